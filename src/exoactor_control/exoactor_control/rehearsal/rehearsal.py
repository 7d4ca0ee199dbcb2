"""The robot's controller with a simulated robot, in one process and faster than real time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Interval, Unit

from exoactor_control.controller.options import TrackingOptions
from exoactor_control.controller.state_machine import Controller
from exoactor_control.metrics import STANDS_AFTER, contact_errors, final_error, judged, odometry_error
from exoactor_control.policy.policy import Policy, load_policy
from exoactor_control.reference.take_off import take_off_correction
from exoactor_control.reference.trajectory import POLICY_RATE, lowered, only_lowers, prepare, sampled_correction
from exoactor_control.rehearsal.gate import MAX_STRAY, Load, farthest, judge, strayed
from exoactor_control.rehearsal.reference_correction import correctable, find_correction
from exoactor_control.rehearsal.simulated_robot import COMMAND_PERIOD, Disturbance, SimulatedRobot
from exoactor_core.arrays import poses_in_frame
from exoactor_core.errors import BadInput
from exoactor_core.interaction import Interaction
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_core.robot import JOINT_LIMITS, STANDING
from exoactor_core.scene import Scene, perturbed
from exoactor_core.scene_mjcf import check
from exoactor_core.simulation import ObjectSensor
from exoactor_core.stages import Metrics, Progress, Tracker, Tracking, no_progress, sub_progress
from exoactor_core.task_checks import evaluate, task_metrics
from exoactor_description import HandsOption, chosen_hands

_AFTER_FAULT = 0.5  # s that are still recorded, so that the fall can be seen
_SHARES = (0.75, 0.5, 0.25, 0.0)
"""Shares of a jump's height above what is always allowed, tried in order if the full height is too much."""
_TAKE_OFF_STEPS = (0.1, 0.05, 0.025, 0.0)
"""Changes of the share of the take-off correction, from one try to the next."""
_LOWEST_JUMP = 0.08
"""m; lower flights, as in a run, may be done on the floor."""
_JUMPS = 0.5
"""Share of the commanded height from which a jump counts as done."""
_PACES = (0.8, 0.65, 0.5)
"""Paces tried in order for a motion at which the robot fails."""
RISK = 0.2
"""Share of failed rehearsals with perturbed objects from which the risk is reported before approval."""
_CORRECTED = "The policy was commanded with a reference correction (see exoactor correct)."


@dataclass(frozen=True)
class _Conditions:
    """Conditions of a rehearsal: see `Rehearsal.__call__`."""

    human: HumanMotion | None = None
    disturbance: Disturbance = field(default_factory=Disturbance)
    start: np.ndarray | None = None
    interaction: Interaction | None = None
    progress: Progress = no_progress

    @property
    def scene(self) -> Scene | None:
        """The objects as the controller believes them to be."""
        return None if self.interaction is None else self.interaction.scene


class Rehearsal(Tracker):
    """Tracks a motion in MuJoCo; the controller knows only what the robot's sensors measure.

    Raises
    ------
    BadInput, Missing
        As `Policy.load`; or the time step does not divide 2 ms.
    """

    class Options(TrackingOptions):
        """Options of the simulation, and of the handling of motions that fail."""

        timestep: Annotated[float, Interval(ge=0.0001, le=0.002), Unit("s")] = 0.002
        """Physics step, a divisor of 2 ms; explicit PD control is inaccurate at 5 ms."""
        settle: Annotated[float, Interval(ge=0.0, le=60.0), Unit("s")] = 1.0
        """Standing time before the motion."""
        outer_loop: Literal["auto", "closed"] = "auto"
        """closed: heading and position are fed back; auto: a motion at which the robot fails is also tried without
        feedback, and carried out that way if that is better by the field's rule of success."""
        area: Annotated[float, Interval(ge=0.0, le=1000.0), Unit("m")] = 3.0
        """Maximum distance of the pelvis from its start; a motion that goes farther is refused for the robot. 0: no
        limit."""
        correction_tries: Annotated[int, Interval(ge=0, le=100)] = 0
        """Reference corrections that are tried for a motion that fails or strays, each of which takes minutes; for
        policies with TWIST2's observation. 0: none."""
        min_pace: Annotated[float, Interval(ge=0.1, le=1.0)] = 0.5
        """Minimum share of its speed to which a motion is slowed, with its jumps removed, if the robot fails or strays;
        1: motions are never slowed."""
        hands: HandsOption = "auto"
        """Hands of the simulated robot: dex3, fists (without motors), or auto: dex3 in tasks with objects, otherwise
        fists."""
        variations: Annotated[int, Interval(ge=0, le=100)] = 5
        """Number of further rehearsals of a successful task with perturbed objects; 0: none."""

    options: Options

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        given = self.options
        self._substeps = round(COMMAND_PERIOD / given.timestep)
        if abs(self._substeps * given.timestep - COMMAND_PERIOD) > 1e-9:
            raise BadInput(
                f"The time step {given.timestep} s does not divide the command period of {COMMAND_PERIOD} s."
            )
        self.policy = load_policy(given.policy, given.policy_spec)
        """The policy that tracks the motions; None: plain joint PD."""
        closed = (
            self.policy is not None and self.policy.spec.outer_loop and bool(given.heading_gain or given.position_gain)
        )
        self._may_open_loop = closed and given.outer_loop == "auto"

    def __call__(
        self,
        motion: RobotMotion,
        progress: Progress = no_progress,
        human: HumanMotion | None = None,
        disturbance: Disturbance | None = None,
        start: np.ndarray | None = None,
        *,
        interaction: Interaction | None = None,
    ) -> Tracking:
        """Track a motion; if it fails or strays, try further variants: see the options.

        ``human`` is the original human motion, for policies that follow people. ``start`` (29,) rad is the robot's
        present pose, from which it first stands up on the band; None: it already stands. ``interaction`` holds the
        objects around it, and the checks of the task.

        Returns the simulated robot's true motion at 50 Hz, in step with the reference (without blends), and the report:
        as `exoactor_control.metrics.judged` and `exoactor_control.metrics.final_error`, and ``odometry_error`` (m, of
        leg odometry at the end of the path), ``strayed`` (m, maximum distance from its position in the motion),
        ``farthest`` (m, maximum distance from its start) and ``area`` (m, its limit), ``refused`` (why it must not go
        to a robot, see `exoactor_control.rehearsal.gate`), ``torque_saturation`` (share of time in which a motor was at
        its limit), ``policy``, ``inference_ms_mean``, ``outer_loop`` (heading and position were fed back), ``band``
        (the robot hung in a band), ``from_present_pose``, ``pace`` (share of its speed at which it was carried out and
        judged), ``contact_errors`` (see `exoactor_control.metrics.contact_errors`), ``notes`` (what was done to the
        reference). A fall is reported, not raised. With checks also ``task_success`` (all of them passed), ``checks``
        (each with its ``figure``, ``passed`` and a ``sentence``), and, where they passed, ``perturbed`` (``rehearsals``
        with objects as of `exoactor_core.scene.perturbed`, those that ``failed``, and their ``reasons``) and ``risk``
        (a sentence where `RISK` of them failed, or empty). ``corrected`` is the motion that was carried out instead of
        the given one, if one did better: with a reference correction, corrected take-offs, lowered jumps (to the
        highest at which the robot succeeds), the policy's alternative, an open outer loop, or at a slower pace.

        Raises
        ------
        UnsafeMotion
            The motion is not fit to be tracked.
        RobotNotReady
            The robot cannot be made to stand up from ``start``.
        """
        conditions = _Conditions(human, disturbance or Disturbance(), start, interaction, progress)
        if interaction is not None:
            lifted = [c.object for c in interaction.checks if c.kind == "lifted"]
            reached = [c.object for c in interaction.checks if c.kind in ("touched", "opened")]
            check(interaction.scene, lifted, reached, self.options.area)
        done = self._rehearse_alternatives(motion, conditions)
        if self.policy is not None and motion.correction is None:
            # the best so far may not stay the best
            variants = [motion] if done.corrected is None else [done.corrected, motion]
            if _outcome(done).jumps < _JUMPS:
                done = self._taken_off(motion, done, conditions)
            if not done.metrics["commanded"]["success"]:
                done = self._lowered(variants, done, conditions)
            if motion.pace == 1.0 and not _outcome(done).near:
                done = self._slowed(variants, done, conditions)
        tries = 0 if _outcome(done).near else self.options.correction_tries
        if tries and self.policy is not None and correctable(self.policy):
            done = max(done, self._correct(motion, tries, conditions), key=_outcome)
        if _is_done(done):
            done = self._varied(done, motion, conditions)
        return done

    def _rehearse_alternatives(self, motion: RobotMotion, conditions: _Conditions) -> Tracking:
        """Rehearse a motion; if it fails, also with the alternative policy and an open outer loop; return the best."""
        done = self._rehearse(motion, conditions)
        alternative = self._alternative_for(motion)
        if self.policy is not None and alternative is not None and not _outcome(done).keeps:
            note = f"The policy {alternative.name} tracks it, which does better than {self.policy.name}"
            done = self._better(done, replace(motion, alternative_policy=True), note, conditions)
        if self._may_open_loop and not done.metrics["success"] and not motion.open_loop:
            note = "The outer loop on heading and position is left open, which is better than closed"
            other = replace(done.corrected or motion, open_loop=True)
            done = self._better(done, other, note, conditions)
        return done

    def _alternative_for(self, motion: RobotMotion) -> Policy | None:
        """The policy's alternative; None: there is none, or the motion is tied to one policy."""
        fixed = motion.alternative_policy or motion.correction is not None
        return None if self.policy is None or fixed else self.policy.alternative

    def _better(self, done: Tracking, other: RobotMotion, note: str, conditions: _Conditions) -> Tracking:
        """Also rehearse another motion; return the better rehearsal."""
        again = self._rehearse_corrected(other, conditions)
        if _outcome(again) <= _outcome(done):
            return done
        again.metrics["notes"].append(f"{note}: {_failure(done)}")
        return again

    def _rehearse_corrected(self, motion: RobotMotion, conditions: _Conditions) -> Tracking:
        """Rehearse a motion that may be carried out instead of the given one."""
        return replace(self._rehearse(motion, conditions), corrected=motion)

    def _best_of(self, motions: Sequence[RobotMotion], conditions: _Conditions) -> Tracking:
        """Rehearse motions, up to the first that succeeds, of which one may be carried out; return the best."""
        done: list[Tracking] = []
        for motion in motions:
            done.append(self._rehearse_corrected(motion, conditions))
            if _outcome(done[-1]).near:
                break
        return max(done, key=_outcome)

    def _varied(self, done: Tracking, motion: RobotMotion, conditions: _Conditions) -> Tracking:
        """Also rehearse a successful task with perturbed objects; at a risk, with the alternative policy as well.

        ``motion`` is the given one. Returns the rehearsal with the lower risk.
        """
        motion = done.corrected or motion
        done = replace(done, metrics=done.metrics | self._vary(motion, conditions))
        alternative = self._alternative_for(motion)
        if not done.metrics["risk"] or alternative is None:
            return done
        other = replace(motion, alternative_policy=True)
        again = self._rehearse_corrected(other, conditions)
        if not _is_done(again):
            return done
        again = replace(again, metrics=again.metrics | self._vary(other, conditions))
        before, after = (each.metrics["perturbed"]["failed"] for each in (done, again))
        if after >= before:
            return done
        again.metrics["notes"].append(
            f"The policy {alternative.name} tracks it, which fails in {after} of {self.options.variations} rehearsals "
            f"with perturbed objects instead of {before}."
        )
        return again

    def _vary(self, motion: RobotMotion, conditions: _Conditions) -> Metrics:
        """Rehearse a successful motion with perturbed objects."""
        disturbance, count, reasons = conditions.disturbance, self.options.variations, []
        scene = disturbance.scene or conditions.scene
        assert scene is not None  # the task has succeeded with it
        for k in range(count):
            otherwise = replace(disturbance, scene=perturbed(scene, np.random.default_rng(k)))
            share = sub_progress(conditions.progress, k / count, (k + 1) / count, f"variation {k + 1} of {count}: ")
            metrics = self._rehearse(motion, replace(conditions, disturbance=otherwise, progress=share)).metrics
            if metrics["refused"]:
                reasons.append(metrics["refused"][0])
        failed, risk = len(reasons), ""
        if failed and failed >= RISK * count:
            risk = f"{failed} of {count} rehearsals with objects that are a little elsewhere failed: {reasons[0]}"
        return {"perturbed": {"rehearsals": count, "failed": failed, "reasons": reasons}, "risk": risk}

    def _taken_off(self, motion: RobotMotion, done: Tracking, conditions: _Conditions) -> Tracking:
        """Rehearse a motion in whose jumps the robot stays on the floor with corrected take-offs; return the best."""
        reference, share = prepare(motion), 1.0
        for step in _TAKE_OFF_STEPS:
            other = _with_correction(motion, take_off_correction(reference.motion, share), reference.begin)
            again = self._rehearse_corrected(other, conditions)
            if _outcome(again) > _outcome(done):
                again.metrics["notes"].append(f"Its take-offs are commanded deeper and farther: {_failure(done)}")
                done = again
            if _outcome(done).jumps == _JUMPS:
                break
            share += step if again.metrics["success"] else -step
        return done

    def _lowered(self, variants: Sequence[RobotMotion], done: Tracking, conditions: _Conditions) -> Tracking:
        """Rehearse variants of a motion with their jumps lowered until one succeeds; ``done`` is the best without that.

        A motion at which the robot also fails without jumps is left without them (it falls from less high), unless it
        falls then but not with the full jumps: in that case the jumps are not the problem.
        """
        whole = done
        for share in _SHARES:
            lower = [less for variant in variants if (less := _with_lower_jumps(variant, share)) is not variant]
            if not lower:
                return done
            done = self._best_of(lower, conditions)
            if done.metrics["commanded"]["success"]:
                break
        return max(done, whole, key=_outcome)

    def _slowed(self, variants: Sequence[RobotMotion], done: Tracking, conditions: _Conditions) -> Tracking:
        """Rehearse variants of a motion ever more slowly until one succeeds; ``done`` is the best at full pace.

        Gravity does not slow down: jumps are removed from the slower motion. Returns the best rehearsal.
        """
        full = done
        for pace in (pace for pace in _PACES if pace >= self.options.min_pace):
            slower = [_with_lower_jumps(replace(variant, pace=pace), 0.0) for variant in variants]
            again = self._best_of(slower, conditions)
            if _outcome(again) > _outcome(done):
                note = f"It is carried out at {pace:.0%} of its speed; at full speed: {_failure(full)}"
                again.metrics["notes"].append(note)
                done = again
            if _outcome(again).keeps:
                break
        return done

    def correct(self, motion: RobotMotion, tries: int = 3, progress: Progress = no_progress) -> Tracking:
        """Rehearse a motion with reference corrections until one makes it fit for the robot; return the best rehearsal.

        Its ``corrected`` is the motion with the correction (`exoactor_control.rehearsal.reference_correction`).
        """
        return self._correct(motion, tries, _Conditions(progress=progress))

    def _correct(self, motion: RobotMotion, tries: int, conditions: _Conditions) -> Tracking:
        best: Tracking | None = None
        for seed in range(tries):
            share = sub_progress(conditions.progress, seed / tries, (seed + 1) / tries)
            corrected = find_correction(motion, self.options.policy, self.options.policy_spec, seed, share)
            done = self._rehearse(corrected, replace(conditions, progress=no_progress))
            if best is None or _outcome(done) > _outcome(best):
                best = replace(done, corrected=corrected)
            if all(_outcome(best)):
                break
        assert best is not None
        return best

    def _rehearse(self, motion: RobotMotion, conditions: _Conditions) -> Tracking:
        scene, start, disturbance = conditions.scene, conditions.start, conditions.disturbance
        reference = prepare(motion, conditions.human, scene)
        prepared = reference.motion
        controller = Controller(self.policy, self.options)
        hands = chosen_hands(self.options.hands, scene is not None)
        controller.tracker.fit_hands([hands == "dex3"] * 2)
        band = self.policy is None
        pose = STANDING if start is None else np.clip(start, *JOINT_LIMITS.T)
        really = disturbance.scene or scene
        robot = SimulatedRobot(
            self.options.timestep, prepared, band or start is not None, disturbance, pose, scene=really, hands=hands
        )

        self._stand_up(controller, robot, start is not None)
        shifted = [] if controller.status.fault else controller.track(reference)
        recorder = _Recorder(controller, robot, prepared, disturbance.sensor(), conditions.progress)
        self._run(controller, robot, recorder)
        status, policy, load = controller.status, controller.tracker.policy, recorder.load
        rollout = robot.rollout()
        object_poses = None if rollout is None else rollout.poses[recorder.recorded]
        poses = np.array(recorder.frames or [robot.pose])
        actual = RobotMotion(POLICY_RATE, poses[:, :3], poses[:, 3:7], poses[:, 7:])
        metrics, jumped = judged(reference, actual, status.fault, status.fell)
        if ended := status.ended:
            metrics["reason"] = f"{ended}, so the robot stopped {actual.duration:.2f} s into the motion"
        corrected = motion.correction is not None and self.policy is not None and not only_lowers(motion.correction)
        metrics |= {
            **final_error(reference.given or prepared, actual, robot.pose[:7]),
            "odometry_error": odometry_error(np.array(recorder.estimates or [np.zeros(2)]), actual),
            "farthest": farthest(actual),
            "strayed": float(strayed(prepared, actual).max()),
            "area": self.options.area,
            "refused": judge(prepared, actual, load, metrics, self.options.area, hands),
            "torque_saturation": load.saturation,
            "policy": controller.status.policy,
            "inference_ms_mean": 0.0 if policy is None else policy.inference_ms,
            "outer_loop": policy is not None and policy.spec.outer_loop and not motion.open_loop,
            "band": band,
            "from_present_pose": start is not None,
            "pace": motion.pace,
            "contact_errors": []
            if scene is None or object_poses is None or rollout is None or rollout.forces is None
            else contact_errors(reference, actual, object_poses, rollout.forces[recorder.recorded]),
            "notes": [*reference.notes, *shifted, *[_CORRECTED] * corrected, *jumped, *controller.reach_notes],
        }
        checks = () if conditions.interaction is None else conditions.interaction.checks
        if rollout is not None and checks:
            results = evaluate(checks, rollout)
            metrics |= task_metrics(results, metrics["success"])
            metrics["refused"] += [f"The task fails. {result.sentence}" for result in results if not result.passed]
        return Tracking(actual, metrics, rollout=rollout, object_poses=object_poses)

    def _stand_up(self, controller: Controller, robot: SimulatedRobot, from_present_pose: bool) -> None:
        """Let the robot stand, and settle; from its present pose it stands up on the band."""
        controller.step(robot.state(), robot.time)
        controller.stand()
        standing_up = controller.tracker.trajectory
        upright = len(standing_up) / POLICY_RATE if from_present_pose and standing_up is not None else 0.0
        self._run(controller, robot, lambda: robot.time >= upright)
        robot.band = self.policy is None
        self._run(controller, robot, lambda: robot.time >= upright + self.options.settle)

    def _run(self, controller: Controller, robot: SimulatedRobot, on_tick: Callable[[], bool]) -> None:
        """Simulate in steps of 20 ms until ``on_tick`` returns True."""
        commands_per_tick = round(1.0 / POLICY_RATE / COMMAND_PERIOD)
        while True:
            for _ in range(commands_per_tick):
                command = robot.delayed(controller.step(robot.state(), robot.time))
                trajectory, index = controller.tracker.trajectory, controller.tracking_frame
                if robot.band and trajectory is not None and index is not None:
                    i = trajectory.begin + index
                    robot.anchor = (trajectory.root_pos[i], trajectory.roll_pitch_yaw[i])
                for _ in range(self._substeps):
                    robot.advance(command.torque(robot.joint_pos, robot.joint_vel))
            if on_tick():
                return


class _Recorder:
    """Called at 50 Hz while a motion is tracked: records the robot's motion, and says when to stop."""

    def __init__(
        self,
        controller: Controller,
        robot: SimulatedRobot,
        motion: RobotMotion,
        sensor: ObjectSensor,
        progress: Progress,
    ) -> None:
        self._controller, self._robot, self._count = controller, robot, len(motion)
        self._sensor, self._progress = sensor, progress
        self.load = Load(controller.safety.effort_limits)
        self.frames: list[np.ndarray] = []
        """(36,) true poses in step with the motion."""
        self.recorded: list[int] = []
        """Index of the objects' rollout for each frame."""
        self.estimates: list[np.ndarray] = []
        """(2,) m, the robot's position by its odometry, for each frame."""
        self._fault_time: float | None = None
        self._done_time: float | None = None

    def __call__(self) -> bool:
        """Record the present moment; returns whether to stop."""
        controller, robot = self._controller, self._robot
        status, index = controller.status, controller.tracking_frame
        robot.motion_time = None if index is None else index / POLICY_RATE
        if status.fault and self._fault_time is None:
            self._fault_time = robot.time
        count = len(self.frames)
        in_motion = index is not None and 0 <= index < self._count
        if (in_motion and index == count) or (status.fault and 0 < count < self._count):
            self.frames.append(robot.pose)
            self.recorded.append(robot.recorded)
            self.estimates.append(controller.tracker.odometry.position)
        robot.load = self.load if in_motion else None
        if (closure := controller.hand_closure) is not None:
            robot.close_hands(closure)
        if robot.scene is not None:
            _observe(controller, robot, self._sensor)
        if self.frames:
            robot.record_objects()
        self._progress(status.progress, f"Rehearsing: {status.text}")
        if (status.done or status.ended) and self._done_time is None:
            self._done_time = robot.time
        if self._fault_time is not None:
            return robot.time - self._fault_time > _AFTER_FAULT
        return self._done_time is not None and robot.time - self._done_time > STANDS_AFTER


def _with_lower_jumps(motion: RobotMotion, share: float) -> RobotMotion:
    """The motion with a share of its jumps' height above what is always allowed; unchanged if it has none."""
    reference = prepare(motion)
    return _with_correction(motion, lowered(reference.motion, share), reference.begin)


def _with_correction(motion: RobotMotion, correction: np.ndarray, begin: float) -> RobotMotion:
    """The motion with a correction of its prepared motion, which begins at ``begin`` s; unchanged if that is zero."""
    if not correction.any():
        return motion
    times = np.arange(len(motion)) / motion.paced.fps - begin
    return replace(motion, correction=sampled_correction(correction, POLICY_RATE, times))


class _Outcome(NamedTuple):
    """Outcome of a rehearsal, most important criteria first: the better of two is the greater."""

    task: bool
    motion: bool  # by the field's rule, against the given motion
    commanded: bool  # likewise, against the commanded motion
    near: bool  # commanded, and the robot stayed near its position in the motion
    stands: bool
    allowed: bool  # by the gate
    jumps: float  # height as a share of the commanded one; `_JUMPS` is enough

    @property
    def keeps(self) -> bool:
        """Whether the robot does the task and keeps to the motion."""
        return all(self[:4])


def _outcome(tracking: Tracking) -> _Outcome:
    m = tracking.metrics
    commanded = m["commanded"]["success"]
    near = commanded and m["strayed"] <= MAX_STRAY
    commanded_height = m["jump"]["commanded"]["height"]
    jumps = _JUMPS
    if commanded_height >= _LOWEST_JUMP:
        jumps = min(m["jump"]["done"]["height"] / commanded_height, _JUMPS)
    allowed = not m.get("refused")
    return _Outcome(m.get("task_success", True), m["success"], commanded, near, not m["fell"], allowed, jumps)


def _is_done(tracking: Tracking) -> bool:
    """Whether a task with checks succeeded, and its motion may go to the robot."""
    return bool(tracking.metrics.get("task_success")) and not tracking.metrics["refused"]


def _failure(tracking: Tracking) -> str:
    """Why a rehearsal did not go well."""
    m = tracking.metrics
    return m["reason"] or " ".join(m["refused"]) or "the robot stays on the floor where the motion jumps"


def _observe(controller: Controller, robot: SimulatedRobot, sensor: ObjectSensor) -> None:
    """Report the objects to the controller as seen from the robot."""
    assert robot.scene is not None
    if sensor.is_due(robot.time):
        sensor.measure(robot.time, poses_in_frame(robot.pose[:7], robot.object_poses))
    for _, found in sensor.read(robot.time):
        for i, pose in found.items():
            controller.observe(robot.scene.ids[i], pose)
