"""Tracking a motion on the robot through a control loop: the counterpart of the rehearsal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_control.controller.safety import START_TILT, tilt_between
from exoactor_control.controller.state_machine import STOPPED, State, Status
from exoactor_control.metrics import STANDS_AFTER, judged, odometry_error
from exoactor_control.realtime.control_process import ControlProcess
from exoactor_control.realtime.report import Report, Sample
from exoactor_control.reference.trajectory import POLICY_RATE, Reference, prepare
from exoactor_core.arrays import poses_from_frame, poses_in_frame
from exoactor_core.errors import BadInput, Cancelled, Missing, RobotNotReady, TrackingFailed
from exoactor_core.interaction import Interaction
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_core.robot import Soles, link_poses
from exoactor_core.robot_state import RobotState
from exoactor_core.rotations import yaw_from_quat
from exoactor_core.scene import Scene
from exoactor_core.stages import Progress, Tracking, no_progress
from exoactor_core.task_checks import Rollout, evaluate, task_metrics
from exoactor_ros.conversions import WORLD

_TRUTH = "simulation truth"
_GET_UP_TIMEOUT = 8.0  # s, in which the simulator puts a fallen robot on its feet
_SETTLE_SECONDS = 1.0  # s of standing before the motion
_TICK = 0.02
_OBSERVED_SECONDS = 1.0  # s before the end in which an object must have been observed for its checks


def pelvis_in(frame: str, report: Report, simulated: bool) -> np.ndarray:
    """Pose (7,), m and w, x, y, z, of the pelvis in the world of a simulation, or in the frame of a link of the robot.

    Raises
    ------
    BadInput
        The pose is unknown in this frame.
    """
    if frame == WORLD and report.truth is not None:
        return np.concatenate(report.truth)
    if frame == WORLD and simulated:
        raise BadInput(
            "The simulator does not publish the robot's pose at the moment: it has too little of the machine's time. "
            "Objects are observed again when it goes on."
        )
    if frame == WORLD or report.state is None:
        raise BadInput(
            "Where the robot is in the frame 'world' is not known: give the objects' poses in the frame of one of its "
            "links, such as d435_link."
        )
    pose = RobotMotion(POLICY_RATE, np.zeros((1, 3)), np.array([[1.0, 0, 0, 0]]), report.state.joint_pos[None])
    position, rotation = (each[0, 0] for each in link_poses(pose, [frame]))
    link = np.r_[position, Rotation.from_matrix(rotation).as_quat(scalar_first=True)]
    return poses_in_frame(link, np.array([[0.0, 0, 0, 1, 0, 0, 0]]))[0]


class RobotTracker:
    """Lets the robot behind a control loop carry out a motion and stand again; it is called like a stage backend.

    ``stands_up``: a motion first makes the robot stand up, unless it was stopped; False: it must already stand.
    """

    def __init__(self, loop: ControlProcess, stands_up: bool = True) -> None:
        self._loop, self._stands_up = loop, stands_up
        self._record: _ObjectRecord | None = None

    def __call__(
        self,
        motion: RobotMotion,
        progress: Progress = no_progress,
        human: HumanMotion | None = None,
        interaction: Interaction | None = None,
    ) -> Tracking:
        """Track a motion; ``human`` is the original human motion, whose hands the robot's hands follow, if it has any.

        ``interaction`` holds the objects of its contacts, and the checks of the task. Returns the motion at 50 Hz as
        measured by LowState (positions from the simulation's truth if available, else from leg odometry), and a report
        like the rehearsal's, with ``position_source``, the loop's ``late_ms_p99`` and, against the truth,
        ``odometry_error``. A fall is reported, not raised. With checks also ``task_success`` and ``checks``, by the
        observed poses of the objects.

        Raises
        ------
        Missing
            The robot is not heard.
        UnsafeMotion
            The motion is not fit to be tracked.
        RobotNotReady
            The robot is not fit to stand, or was stopped.
        TrackingFailed
            The motion did not begin, or was ended early.
        Cancelled
            Raised by ``progress``; the robot stands.
        """
        scene, checks = (None, ()) if interaction is None else (interaction.scene, interaction.checks)
        reference = prepare(motion, human, scene)
        try:
            self._make_stand(progress)
            self._loop.renew()
            shifted = self._loop.track(reference)
            if scene is not None:
                self._record = _ObjectRecord(scene)
            self._wait(lambda: self._status.done, lambda: self._status.progress, "", progress)
            if checks:
                start = self._clock()
                self._wait(lambda: self._clock() - start > STANDS_AFTER, lambda: 1.0, "standing", progress)
        except Cancelled:
            self._loop.ask("end_motion")
            raise
        finally:
            record, self._record = self._record, None
        samples = self._chosen_samples(len(reference.motion))
        tracking = self._report(reference, samples, [*reference.notes, *shifted])
        rollout = None if record is None else record.rollout(reference.motion)
        if record is None or rollout is None:
            return tracking
        if checks:
            results = evaluate(checks, rollout)
            tracking.metrics.update(task_metrics(results, tracking.metrics["success"]))
        rows = record.rows(1e-3 * sample.state.tick for sample in samples)
        return replace(tracking, rollout=rollout, object_poses=_beside(tracking.motion, rollout, rows))

    def observe(self, poses: dict[str, np.ndarray]) -> None:
        """Update the poses of objects, from any thread: by id (7,), m and w, x, y, z, in the frame of the pelvis."""
        self._loop.observe(poses)
        if (record := self._record) is not None:
            record.observe(poses)

    @property
    def _status(self) -> Status:
        return self._loop.report().status

    @property
    def _state(self) -> RobotState:
        state = self._loop.report().state
        if state is None:
            raise Missing(self._loop.error or "No LowState has come.")
        return state

    def check(self) -> None:
        """Raise `RobotNotReady` or `Missing` if no motion may begin now."""
        if self._loop.error:
            raise Missing(self._loop.error)
        report = self._loop.report()
        if report.status.stopped:
            raise RobotNotReady(STOPPED)
        if not self._stands_up and not (report.driving and report.status.state is State.STAND):
            raise RobotNotReady(
                "The robot does not stand under this controller, and no motion makes it: damp it, then let it stand "
                "(services damp and stand, or L2 + B and Start on the remote), then send the motion again."
            )

    def wait_for_robot(self, progress: Progress) -> None:
        """Wait for the robot; raises `Missing` if it is not heard within 5 s."""
        end = time.monotonic() + 5.0
        while self._loop.error:
            if time.monotonic() > end:
                raise Missing(self._loop.error)
            progress(0.0, "waiting for the robot")
            time.sleep(_TICK)

    def _make_stand(self, progress: Progress) -> None:
        loop = self._loop
        self.wait_for_robot(progress)
        self.check()
        if loop.report().driving and self._status.state is State.STAND:
            return
        end = time.monotonic() + _GET_UP_TIMEOUT
        while (lean := tilt_between(self._state.quat_wxyz)) > START_TILT:
            if time.monotonic() > end:
                raise RobotNotReady(f"The robot lies or leans by {lean:.2f} rad: set it on its feet first.")
            progress(0.0, "waiting for the robot to be set on its feet")
            time.sleep(_TICK)
        loop.ask("stand_for_motion")
        self._wait(lambda: loop.report().finished, lambda: 0.0, "standing up", progress)
        start = self._clock()
        self._wait(lambda: self._clock() - start > _SETTLE_SECONDS, lambda: 0.0, "standing", progress)
        if self._status.fault:
            raise RobotNotReady(f"The robot did not stand up: {self._status.fault}.")

    def _wait(self, done: Callable[[], bool], fraction: Callable[[], float], text: str, progress: Progress) -> None:
        """Wait until ``done`` or the controller gave up; raises `RobotNotReady` if it was stopped."""
        while not done():
            self._loop.renew()
            report = self._loop.report()
            status = report.status
            if self._record is not None and self._loop.samples:
                self._record.add(report)
            if status.fault:
                return
            if self._loop.error:
                raise Missing(self._loop.error)
            if status.state not in (State.STAND, State.TRACK):
                raise RobotNotReady("The robot was stopped during the motion.")
            if status.ended:
                raise TrackingFailed(f"The motion was ended, the robot stands: {status.ended}.")
            progress(fraction(), text or status.text)
            time.sleep(_TICK)

    def _clock(self) -> float:
        return 1e-3 * self._state.tick

    def _chosen_samples(self, frames: int) -> list[Sample]:
        """One sample for each tracked frame of the motion; skipped ones repeat the one before."""
        samples = [s for s in self._loop.samples if s.index < frames]  # the rest leads back to standing
        if not samples:
            fault = self._status.fault
            raise TrackingFailed(f"The motion did not begin: {fault or 'the controller gave it up'}.")
        indices = np.array([s.index for s in samples])
        rows = np.searchsorted(indices, np.arange(indices[-1] + 1), side="right") - 1
        return [samples[max(0, row)] for row in rows]

    def _report(self, reference: Reference, samples: list[Sample], notes: list[str]) -> Tracking:
        report = self._loop.report()
        fault, fell = report.status.fault, report.status.fell
        actual, source = _motion(samples)
        metrics, jumped = judged(reference, actual, fault, fell, band=report.band)
        metrics |= {
            "torque_saturation": float(np.mean([s.saturated for s in samples])),
            "policy": report.status.policy,
            "inference_ms_mean": report.inference_ms,
            "band": report.band,
            "notes": [*notes, *jumped, *self._loop.reach_notes],
            "position_source": source,
            "late_ms_p99": self._loop.lateness_ms[1],
        }
        if source == _TRUTH:
            metrics["odometry_error"] = odometry_error(_path(samples), actual)
        return Tracking(actual, metrics)


class _ObjectRecord:
    """Observed poses of objects while a motion was tracked, relative to the pelvis."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._times: list[float] = []  # s, on the robot's clock
        self._pelvis: list[np.ndarray] = []
        self._seen: dict[str, tuple[float, np.ndarray]] = {}  # time and pose of each object's last observation
        self._poses: list[dict[str, np.ndarray]] = []

    def observe(self, poses: dict[str, np.ndarray]) -> None:
        """Update poses like `RobotTracker.observe`, once the motion has begun."""
        if self._pelvis:
            outside = poses_from_frame(self._pelvis[-1], np.array(list(poses.values())).reshape(-1, 7))
            self._seen.update({name: (self._times[-1], pose) for name, pose in zip(poses, outside, strict=True)})

    def add(self, report: Report) -> None:
        """Advance to the present moment."""
        if report.state is not None:
            self._times.append(1e-3 * report.state.tick)
            self._pelvis.append(report.pelvis if report.truth is None else np.concatenate(report.truth))
            self._poses.append({name: pose for name, (_, pose) in self._seen.items()})

    def rollout(self, motion: RobotMotion) -> Rollout | None:
        """The whole record in the frame of the motion; None if it never began.

        Before its first observation an object counts as being there already; one that was never observed is as in the
        scene.
        """
        if len(self._times) < 2:
            return None
        began, given = _on_floor(self._pelvis[0]), _start(motion)
        poses = np.tile(self._scene.poses, (len(self._times), 1, 1))
        for k, obj in enumerate(self._scene.objects):
            rows = [row[obj.id] for row in self._poses if obj.id in row]
            if rows:
                path = np.array([rows[0]] * (len(poses) - len(rows)) + rows)
                poses[:, k] = poses_from_frame(given, poses_in_frame(began, path))
        roots = poses_from_frame(given, poses_in_frame(began, np.array(self._pelvis)))
        seconds = self._times[-1] - self._times[0]
        unobserved = frozenset(
            obj.id
            for obj in self._scene.objects
            if (obj.movable or obj.articulation)
            and self._seen.get(obj.id, (-np.inf,))[0] < self._times[-1] - _OBSERVED_SECONDS
        )
        return Rollout(self._scene, (len(poses) - 1) / max(seconds, 1e-3), poses, roots, unobserved=unobserved)

    def rows(self, times: Iterable[float]) -> np.ndarray:
        """(T,) rows of the rollout just before times in s on the robot's clock."""
        return np.maximum(np.searchsorted(self._times, list(times), side="right") - 1, 0)


def _beside(motion: RobotMotion, rollout: Rollout, rows: np.ndarray) -> np.ndarray:
    """(T, n, 7) poses of a rollout's objects in the world of the robot's motion, whose frames are these rows (T,)."""
    began, given = _on_floor(rollout.root[rows[0]]), _start(motion)
    poses = rollout.poses[rows]
    return poses_from_frame(given, poses_in_frame(began, poses.reshape(-1, 7))).reshape(poses.shape)


def _start(motion: RobotMotion) -> np.ndarray:
    """Pose (7,) on the floor where a motion begins, as `_on_floor`."""
    return _on_floor(np.r_[motion.root_pos[0], motion.root_quat_wxyz[0]])


def _on_floor(pose: np.ndarray) -> np.ndarray:
    """Pose (7,) on the floor below a pose (7,), with the same heading."""
    yaw = yaw_from_quat(pose[3:])
    return np.r_[pose[:2], 0.0, Rotation.from_euler("z", yaw).as_quat(scalar_first=True)]


def _path(samples: list[Sample]) -> np.ndarray:
    """(T, 2) m, horizontal, by the legs' odometry."""
    return np.array([sample.position for sample in samples])


def _motion(samples: list[Sample]) -> tuple[RobotMotion, str]:
    """The robot's motion, one frame per sample, and the source of the position."""
    quats, joints = (np.array([getattr(s.state, name) for s in samples]) for name in ("quat_wxyz", "joint_pos"))
    truth = [s.truth[0] for s in samples if s.truth is not None]
    if len(truth) == len(samples):
        root, source = np.array(truth), _TRUTH
    else:
        soles = Soles()
        heights = [soles.pelvis_height(*pose) for pose in zip(quats, joints, strict=True)]
        root, source = np.column_stack([_path(samples), heights]), "legs' odometry"
    return RobotMotion(POLICY_RATE, root, quats, joints), source
