"""Reference correction: an offset to a policy's command with which it succeeds at a motion, found by sampling.

A tracker fails at the few motions that are unlike its training data: it puts a foot down early, or does not turn in the
air. With other commands it can do most of them. Model predictive path integral control (Williams et al., 2017) with the
policy in the loop finds these: over a horizon that moves along the motion, parallel rollouts follow smooth variations
of the command, and the variations are averaged, weighted by how closely they followed the motion. Each variation is
tried on robots with several masses and delays.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from exoactor_control.metrics import MAX_HEIGHT_ERROR, MAX_TURN_ERROR, errors
from exoactor_control.policy.networks import Network
from exoactor_control.policy.policy import Policy, load_policy
from exoactor_control.policy.spec import SHIPPED, PolicySpec, known_specs
from exoactor_control.reference.trajectory import (
    POLICY_RATE,
    STANDING_FRAME,
    Reference,
    Trajectory,
    prepare,
    sampled_correction,
)
from exoactor_control.training.environment import NOMINAL, Episode, Robots
from exoactor_core.errors import BadInput
from exoactor_core.motion import CORRECTION_WIDTH, RobotMotion
from exoactor_core.robot import STANDING, STANDING_HEIGHT
from exoactor_core.rotations import rotate_2d, yaw_from_quat
from exoactor_core.stages import Progress, no_progress, sub_progress

_STANDING_FRAMES = 50  # frames of standing before the blend-in
_HORIZON_FRAMES, _KNOT_FRAMES = 40, 5  # lookahead; spacing of the knots, by which it advances
_SAMPLES, _ITERATIONS = 40, 4
_MAX_ROUNDS = 3  # maximum number of passes along the motion
_SPREAD_DECAY = 0.8  # spread of each iteration relative to the previous one
_TEMPERATURE = 0.1  # of the weights, relative to the median sample's distance from the best
_VARIANTS = ((0.0, 0), (0.07, 10), (-0.07, 5))
"""Robots on which each variation is tried: share of added mass, and delay in physics steps of 2 ms."""
_SPREAD = np.r_[0.3, 0.3, 0.05, 0.08, 0.08, 0.5, np.full(15, 0.15), np.full(14, 0.1)]
"""(35,) standard deviations of the variations, m/s, m, rad, rad/s."""
_NEAR_SHARE = 0.6
"""Share of the allowed errors up to which nothing is varied."""
_GOOD_SHARE = 0.8
"""Share of the allowed errors within which a correction is good."""
_FALLEN_DEPTH = 0.4  # m that the pelvis has sunk below the reference's
_MAX_POSITION_ERROR = 0.4
"""m of position error beyond which a motion was not done well, though the field's rule does not judge it."""
_FADE_FRAMES = 10  # frames in which the correction decays to 1/e beyond the horizon


def find_correction(
    motion: RobotMotion, policy: str = SHIPPED, spec: str | Path = "", seed: int = 0, progress: Progress = no_progress
) -> RobotMotion:
    """Return the motion with a correction; the search starts from an existing correction.

    Whether the correction helps has to be judged by a rehearsal, against the motion itself. A motion at which the robot
    stays well within the bounds of success, and near its reference position, is returned unchanged. ``policy`` and
    ``spec`` are as for `exoactor_control.policy.policy.load_policy`; the policy's observations must be TWIST2's.
    ``seed`` is of the variations; ``progress`` is called every few seconds.

    Raises
    ------
    BadInput, Missing
        The policy cannot be loaded, or its observation is not TWIST2's.
    UnsafeMotion
        The motion is not fit to be tracked.
    """
    reference = prepare(motion)
    loaded = load_policy(policy, str(spec))
    if loaded is None or not correctable(loaded):
        raise BadInput(
            f"No reference correction can be found for the policy {policy}: that takes TWIST2's observation and a "
            "network with a free batch size."
        )
    search = _Search(reference, loaded.network, loaded.spec, np.random.default_rng(seed))
    here = reference.begin + np.arange(len(reference.motion)) / POLICY_RATE
    fps = motion.paced.fps
    there = np.arange(len(motion)) / fps - reference.begin
    best, least = motion.correction, search.worst()
    for k in range(_MAX_ROUNDS):
        if least.max() < _GOOD_SHARE:
            break
        search.run(sub_progress(progress, k / _MAX_ROUNDS, (k + 1) / _MAX_ROUNDS))
        # It is judged at the motion's own rate, as it will be stored: resampling may spoil a correction for a hop
        kept = sampled_correction(search.correction, POLICY_RATE, there)
        search.correction[:] = sampled_correction(kept, fps, here)
        worst = search.worst()
        if _rank(worst) < _rank(least):
            best, least = kept, worst
    progress(1.0, f"The worst moment is at {least[0].max():.0%} of what is allowed.")
    return replace(motion, correction=best if best is not None and best.any() else None)


def _rank(worst: np.ndarray) -> tuple[int, float]:
    """Rank a correction by the errors of its rollouts (rollouts, 2), lower is better: failures, then the worst error.

    The position at the motion's end is not part of success.
    """
    return int((worst[:, 0] > 1.0).sum()), float(worst.max())


def correctable(policy: Policy) -> bool:
    """Whether a correction can be found for a policy: it has TWIST2's observation, and a network of any batch size."""
    theirs = known_specs()["twist2"]
    alike = all(getattr(policy.spec, k) == getattr(theirs, k) for k in ("joint_order", "groups", "observation"))
    return alike and not any(isinstance(shape[0], int) for shape in policy.network.inputs.values())


class _Search:
    """The search for the correction of one motion, and its simulated robots."""

    def __init__(self, reference: Reference, network: Network, spec: PolicySpec, rng: np.random.Generator) -> None:
        trajectory = Trajectory.blended(reference, STANDING, STANDING_FRAME, 1.0)
        episode = Episode.from_trajectory(trajectory, _STANDING_FRAMES)
        self._begin = _STANDING_FRAMES + trajectory.begin
        self._motion, self._rng = reference.motion, rng
        self._single = ParallelRollouts(1, network, spec, episode, self._begin)
        self._sampled = ParallelRollouts(_SAMPLES, network, spec, episode, self._begin)
        correction = self._motion.correction
        self.correction = np.zeros((len(self._motion), CORRECTION_WIDTH)) if correction is None else correction.copy()
        """(T, 35)."""
        self._single.run(np.zeros((1, self._begin, CORRECTION_WIDTH)))
        self._start = self._single.state
        knots = np.arange(0, _HORIZON_FRAMES + _KNOT_FRAMES, _KNOT_FRAMES)
        self._spline = CubicSpline(knots, np.eye(len(knots))[:, 1:])(np.arange(_HORIZON_FRAMES))  # first knot fixed
        self._growth = np.linspace(0.8, 1.2, len(knots) - 1)[:, None]  # the far future is less certain

    def worst(self) -> np.ndarray:
        """(rollouts, 2) maximum errors as shares of what success allows, and of `_MAX_POSITION_ERROR`."""
        self._single.state = self._start
        return self._shares(*self._single.run(self.correction[None]), 0)[0].max(axis=-2)

    def run(self, progress: Progress) -> None:
        """One pass along the motion, or until the nominal robot falls."""
        self._single.state = self._start
        for at in range(0, len(self._motion), _KNOT_FRAMES):
            here = self._single.state
            ahead = min(at + _HORIZON_FRAMES, len(self._motion))
            before = self.correction[ahead - 1].copy()
            progress(
                at / len(self._motion),
                f"Seeking a correction: {at / POLICY_RATE:.1f} of {self._motion.duration:.1f} s.",
            )
            if self._shares(*self._single.run(self.correction[None, at:ahead]), at).max() > _NEAR_SHARE:
                # Do all of them, even if fewer would suffice: near the bounds, robots other than the rollouts would
                # fail
                for k in range(_ITERATIONS):
                    self._improve(at, here, _SPREAD_DECAY**k)
            beyond = np.arange(1, len(self.correction) - ahead + 1)[:, None]
            self.correction[ahead:] += (self.correction[ahead - 1] - before) * np.exp(-beyond / _FADE_FRAMES)
            self._single.state = here
            *_, sunk = self._errors(*self._single.run(self.correction[None, at : at + _KNOT_FRAMES]), at)
            if sunk[0, 0].max() > _FALLEN_DEPTH:
                return

    def _improve(self, at: int, here: dict[str, np.ndarray], spread: float) -> None:
        now = self.correction[at : at + _HORIZON_FRAMES]
        change = (
            self._rng.normal(size=(_SAMPLES, self._spline.shape[1], CORRECTION_WIDTH)) * spread * _SPREAD * self._growth
        )
        change[0] = 0.0
        commanded = now + np.einsum("hk,nkg->nhg", self._spline[: len(now)], change)
        self._sampled.state = here
        cost = self._cost(*self._sampled.run(commanded), at) + 0.002 * ((commanded / _SPREAD) ** 2).mean(axis=(1, 2))
        weight = np.exp((cost.min() - cost) / (_TEMPERATURE * (np.median(cost) - cost.min()) + 1e-9))
        now[:] = np.einsum("n,nhg->hg", weight / weight.sum(), commanded)

    def _cost(self, poses: np.ndarray, origins: np.ndarray, at: int) -> np.ndarray:
        """(n,) cost of n samples, by their distance from the motion: mean over the rollouts, and the worst of them."""
        height, turned, position, joints, sunk = self._errors(poses, origins, at)
        cost = _penalty(height / MAX_HEIGHT_ERROR).sum(axis=-1) + _penalty(turned / MAX_TURN_ERROR)
        cost += 0.5 * joints + 4.0 * np.maximum(position - 0.1, 0.0) ** 2 + 200.0 * np.maximum(sunk - 0.12, 0.0) ** 2
        cost = cost.mean(axis=2)
        return cost.mean(axis=1) + 0.5 * cost.max(axis=1)

    def _shares(self, poses: np.ndarray, origins: np.ndarray, at: int) -> np.ndarray:
        """(n, rollouts, H, 2) errors as shares: of what success allows, and of `_MAX_POSITION_ERROR`."""
        height, turned, position, *_ = self._errors(poses, origins, at)
        success = np.maximum(height.max(axis=-1) / MAX_HEIGHT_ERROR, turned / MAX_TURN_ERROR)
        return np.stack([success, position / _MAX_POSITION_ERROR], axis=-1)

    def _errors(self, poses: np.ndarray, origins: np.ndarray, at: int) -> tuple[np.ndarray, ...]:
        """Errors of height (n, rollouts, H, 5) m, turn (n, rollouts, H) rad, position m, joints rad, and sinking m."""
        shape = poses.shape[:-1]
        m = self._motion
        frames = np.broadcast_to(np.arange(at, at + shape[-1]), shape).reshape(-1)
        x, y, yaw = np.broadcast_to(origins[..., None, :], (*shape, 3)).reshape(-1, 3).T
        pos, quat, joints = m.root_pos[frames].copy(), m.root_quat_wxyz[frames], m.joint_pos[frames]
        pos[:, :2] = rotate_2d(yaw, pos[:, :2] - m.root_pos[0, :2]) + np.stack([x, y], axis=1)
        quat = Rotation.from_euler("z", yaw[:, None]) * Rotation.from_quat(quat, scalar_first=True)
        wanted = RobotMotion(POLICY_RATE, pos, quat.as_quat(scalar_first=True), joints)
        flat = poses.reshape(-1, poses.shape[-1])
        actual = RobotMotion(POLICY_RATE, flat[:, :3], flat[:, 3:7], flat[:, 7:])
        height, turned, _ = errors(wanted, actual)
        position = np.linalg.norm((actual.root_pos - pos)[:, :2], axis=1)
        sunk = np.minimum(pos[:, 2], STANDING_HEIGHT) - actual.root_pos[:, 2]
        every = (height, turned, position, np.abs(actual.joint_pos - joints).mean(axis=1), sunk)
        return tuple(e.reshape(*shape, *e.shape[1:]) for e in every)


def _penalty(share: np.ndarray) -> np.ndarray:
    """Cost of errors as shares of what success allows: steep from `_NEAR_SHARE` on."""
    near, over = (np.maximum(share - start, 0.0) for start in (_NEAR_SHARE, 0.9))
    return 0.1 * share**2 + 8.0 * near**2 + 60.0 * over**2


class ParallelRollouts(Robots):
    """The robots of `_VARIANTS`, n times, all at the same frame of one motion, with the policy in the loop."""

    _MUTABLE = ("_state", "_history", "last_action", "_targets", "_origin", "frame", "qpos", "qvel")

    def __init__(self, samples: int, network: Network, spec: PolicySpec, episode: Episode, begin: int) -> None:
        self._network, self._begin, self._samples = network, begin, samples
        super().__init__(samples * len(_VARIANTS), lambda _: episode, spec, NOMINAL)

    def reset(self, i: int, episode: Episode) -> None:
        """Let robot i stand at the beginning, with its variant's properties."""
        super().reset(i, episode)
        mass, self._delay[i] = _VARIANTS[i % len(_VARIANTS)]
        model, base = self._models[i], self._base
        model.body_mass[:], model.body_inertia[:] = base.body_mass * (1.0 + mass), base.body_inertia * (1.0 + mass)
        mujoco.mj_setConst(model, self._data)
        self.qpos[i] = np.r_[0.0, 0.0, STANDING_HEIGHT, 1.0, 0.0, 0.0, 0.0, STANDING]
        self._state[i] = np.r_[0.0, self.qpos[i], self.qvel[i]]
        self._origin[i] = 0.0, 0.0, -episode.yaw[0]

    @property
    def state(self) -> dict[str, np.ndarray]:
        """State of the first sample's rollouts; setting it copies it to every sample's."""
        return {k: getattr(self, k)[: len(_VARIANTS)].copy() for k in self._MUTABLE}

    @state.setter
    def state(self, state: dict[str, np.ndarray]) -> None:
        for name, values in state.items():
            setattr(self, name, np.tile(values, (self._samples, *[1] * (values.ndim - 1))))

    def run(self, corrections: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Continue with corrections (n, H, 35), one for each sample.

        Returns
        -------
        Poses (n, rollouts, H, 36) after each frame, and the pose of the motion's first frame (n, rollouts, 3): m, m,
        rad.
        """
        poses = []
        for now in range(corrections.shape[1]):
            if self.frame[0] == self._begin:  # the motion begins where the robot is: see `TrajectoryTracker`
                self._align()
            self.correction = np.repeat(corrections[:, now], len(_VARIANTS), axis=0)
            action = self._network.run(self.observe())[0].astype(float)
            states = self._simulate(action)
            self._take(states[:, -1])
            self._state, self.last_action = states[:, -1].copy(), action
            self.frame += 1
            poses.append(self.qpos)
        shape = (self._samples, len(_VARIANTS))
        begin = self._in_world(np.tile(self.episodes[0].root_pos[self._begin], (self.count, 1, 1)))[:, 0]
        origins = np.column_stack([begin[:, :2], self._origin[:, 2]])
        return np.stack(poses, axis=1).reshape(*shape, -1, self.qpos.shape[1]), origins.reshape(*shape, 3)

    def _align(self) -> None:
        episode = self.episodes[0]
        self._origin[:, 2] = yaw_from_quat(self.qpos[:, 3:7]) - episode.yaw[self._begin]
        begin = episode.root_pos[self._begin, :2] - episode.root_pos[0, :2]
        self._origin[:, :2] = self.qpos[:, :2] - rotate_2d(self._origin[:, 2], np.tile(begin, (self.count, 1)))

    def reference(self, what: str) -> np.ndarray:
        """As `Robots.reference`: all robots are at the same frame of the same motion."""
        values = getattr(self.episodes[0], what)
        return np.broadcast_to(values[min(self.frame[0], len(values) - 1)], (self.count, *values.shape[1:])).copy()
