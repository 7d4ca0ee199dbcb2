"""Many simulated G1s at once, each following its own reference, with a TWIST2-like policy's observation and actuation.

The observations are those of `exoactor_control.policy.policy.Policy` for ``policies/twist2.yaml``, number by number,
and torques and target speeds are limited as by `exoactor_control.controller.safety.Safety`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_control.controller.safety import TARGET_SPEED
from exoactor_control.controller.tracker import HEADING_GAIN, LEAN, POSITION_GAIN, outer_loop_feedback
from exoactor_control.policy.spec import PolicySpec
from exoactor_control.reference.trajectory import POLICY_RATE, STANDING_FRAME, Reference, Trajectory
from exoactor_control.training.physics import Physics, ThreadedPhysics, WarpPhysics
from exoactor_core.motion import JOINT_NAMES, RobotMotion
from exoactor_core.robot import (
    EFFORT_LIMITS,
    JOINT_LIMITS,
    STANDING,
    STANDING_HEIGHT,
    VELOCITY_LIMITS,
    as_servos,
    mujoco_spec,
)
from exoactor_core.rotations import roll_pitch_yaw, rotate_2d, wrap, yaw_from_quat

HISTORY_STEPS = 10
STEP_WIDTH = 127
"""Numbers of one step: mimic 35 and proprioception 92."""
MIMIC_WIDTH = 35
OBSERVATION_WIDTH = STEP_WIDTH * (HISTORY_STEPS + 1) + MIMIC_WIDTH
_TIMESTEP = 0.002
_SUBSTEPS = round(1.0 / POLICY_RATE / _TIMESTEP)
_RAMP = TARGET_SPEED * VELOCITY_LIMITS * _TIMESTEP * np.arange(1, _SUBSTEPS + 1)[:, None]
"""(10, 29) rad, maximum change of a target after each physics step."""
_PUSHED = (
    "torso_link",
    "pelvis",
    *(f"{s}_{arm}_link" for s in ("left", "right") for arm in ("shoulder_roll", "elbow")),
)
_PUSH_SECONDS = (0.08, 0.2)
_ANKLES = np.array([i for i, name in enumerate(JOINT_NAMES) if "ankle" in name])
_MAX_GAINS = (2.5, 4.0, 0.4)  # maximum feedback of heading and position: 1/s, 1/s, rad/m


@dataclass(frozen=True)
class DomainRandomization:
    """Variation of the robots and their disturbances; all zero: the nominal robot."""

    mass: float = 0.1
    """Relative variation of each link's mass."""
    strength: float = 0.1
    """Relative variation of the motors' gains and limits."""
    friction: tuple[float, float] = (0.5, 1.2)
    delay: int = 10
    """Maximum delay of an action, physics steps of 2 ms, at most 10."""
    push: float = 48.0
    """Maximum impulse of a push at torso, pelvis or arms, N s; most are far weaker."""
    push_every: float = 4.0
    """Mean time between pushes, s; 0: none."""
    noise: float = 1.0
    """Sensor noise, times 0.01 rad, 0.05 rad/s of the gyroscope and 0.2 rad/s of the joints."""


NOMINAL = DomainRandomization(0.0, 0.0, (1.0, 1.0), 0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Episode:
    """A trajectory to follow."""

    mimic: np.ndarray
    """(L, 35) command of the policy."""
    root_pos: np.ndarray
    """(L, 3) m."""
    yaw: np.ndarray
    """(L,) rad."""

    @classmethod
    def of_motion(cls, motion: RobotMotion, blend: float = 1.0, stand: int = 0) -> Episode:
        """Stand for ``stand`` frames, then track a prepared motion with blends of ``blend`` s, from and to standing."""
        return cls.from_trajectory(Trajectory.blended(Reference(motion, ()), STANDING, STANDING_FRAME, blend), stand)

    @classmethod
    def from_trajectory(cls, trajectory: Trajectory, stand: int = 0) -> Episode:
        """Precede a trajectory by ``stand`` frames of standing still."""
        rpy = trajectory.roll_pitch_yaw
        mimic = np.concatenate(
            [
                trajectory.lin_vel_xy,
                trajectory.root_pos[:, 2:],
                rpy[:, :2],
                trajectory.yaw_rate[:, None],
                trajectory.joint_pos,
            ],
            axis=1,
        )
        still = np.r_[0.0, 0.0, STANDING_HEIGHT, 0.0, 0.0, 0.0, STANDING]
        return cls(
            np.concatenate([np.tile(still, (stand, 1)), mimic]),
            np.concatenate([np.tile(trajectory.root_pos[:1], (stand, 1)), trajectory.root_pos]),
            np.concatenate([np.tile(rpy[:1, 2], stand), rpy[:, 2]]),
        )

    def __len__(self) -> int:
        return len(self.mimic)


class Robots:
    """N simulated robots, each with an episode of its own.

    ``draw`` returns the next episode of robot i; ``spec`` has the policy's pose, gains, limits and action scale;
    ``randomization`` varies the robots, with ``seed``; the physics run in ``threads``, or with MuJoCo Warp on
    ``warp_device``. ``teacher_feedback`` (29,) is the share of each joint's error that is added to the teacher's
    command.
    """

    def __init__(
        self,
        count: int,
        draw: Callable[[int], Episode],
        spec: PolicySpec,
        randomization: DomainRandomization = NOMINAL,
        seed: int = 0,
        threads: int = 2,
        teacher_feedback: np.ndarray | float = 0.0,
        warp_device: str = "",
    ) -> None:
        self._teacher_feedback = teacher_feedback
        self.count, self.draw, self.spec, self.randomization = count, draw, spec, randomization
        self.rng = np.random.default_rng(seed)
        self._base = mujoco_spec(_TIMESTEP, visuals=False).compile()
        as_servos(self._base, spec.kp, spec.kd, np.minimum(spec.effort_limits, EFFORT_LIMITS))
        self._base.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_SENSOR
        self._physics: Physics = (
            WarpPhysics(self._base, count, _SUBSTEPS, warp_device)
            if warp_device
            else ThreadedPhysics(self._base, count, threads)
        )
        self._models = self._physics.models
        self._data = mujoco.MjData(self._base)
        self._state = np.zeros((count, mujoco.mj_stateSize(self._base, mujoco.mjtState.mjSTATE_FULLPHYSICS)))
        self._force = np.zeros((count, self._base.nbody, 6))
        self._pushed = [self._base.body(name).id for name in _PUSHED]
        self.episodes = [draw(i) for i in range(count)]
        self.frame = np.zeros(count, int)
        """(N,) index of the frame to be commanded next."""
        self._history = np.zeros((count, HISTORY_STEPS, STEP_WIDTH), np.float32)
        self._clean_history = np.zeros((count, HISTORY_STEPS, STEP_WIDTH), np.float32)
        self.last_action = np.zeros((count, len(JOINT_NAMES)))
        self.correction: np.ndarray | float = 0.0
        """(N, 35) reference correction that is added to the robots' commands."""
        self._targets = np.tile(STANDING, (count, _SUBSTEPS, 1))  # of the last 20 ms, as they were sent
        self._delay = np.zeros(count, int)
        self._push_left = np.zeros(count, int)
        self.gains = np.zeros((count, 3))
        """(N, 3) gains of the outer loop: 1/s of heading, 1/s of position, rad/m of the lean towards it."""
        self._origin = np.zeros((count, 3))  # x, y, yaw in the world of the trajectory's first position
        self.qpos = np.zeros((count, self._base.nq))
        self.qvel = np.zeros((count, self._base.nv))
        for i, episode in enumerate(self.episodes):
            self.reset(i, episode)

    def reset(self, i: int, episode: Episode) -> None:
        """Let robot i stand at the beginning of an episode, with newly randomised properties."""
        v, rng = self.randomization, self.rng
        self.episodes[i] = episode
        model, base = self._models[i], self._base
        scale = 1.0 + v.mass * (rng.uniform(-1, 1) + 0.3 * rng.uniform(-1, 1, base.nbody)) / 1.3
        model.body_mass[:] = base.body_mass * scale
        model.body_inertia[:] = base.body_inertia * scale[:, None]
        mujoco.mj_setConst(model, self._data)
        strength = 1.0 + v.strength * rng.uniform(-1, 1, base.nu)
        model.actuator_gainprm[:, 0] = base.actuator_gainprm[:, 0] * strength
        model.actuator_biasprm[:, 1:3] = base.actuator_biasprm[:, 1:3] * strength[:, None]
        model.actuator_forcerange[:] = base.actuator_forcerange * strength[:, None]
        model.geom_friction[:, 0] = base.geom_friction[:, 0] * rng.uniform(*v.friction)
        self._physics.changed(i)
        noise = v.noise * rng.uniform(0, 1)
        qpos, qvel = self.qpos[i], self.qvel[i]
        qpos[:3] = 0.0, 0.0, STANDING_HEIGHT
        qpos[3:7] = Rotation.from_euler("z", rng.uniform(-np.pi, np.pi)).as_quat(scalar_first=True)
        qpos[7:] = STANDING + 0.05 * noise * rng.normal(size=29)
        qvel[:] = 0.2 * noise * rng.normal(size=base.nv)
        self._state[i] = np.r_[0.0, qpos, qvel]
        self._force[i] = 0.0
        self.frame[i] = 0
        self._history[i] = self._clean_history[i] = 0.0
        self.last_action[i] = 0.0
        self._targets[i] = qpos[7:]
        self._delay[i] = rng.integers(0, v.delay + 1)
        self._push_left[i] = 0
        # The outer loop is the deployed tracker's; its gains vary so that the policy works with any.
        self.gains[i] = rng.uniform(0.0, _MAX_GAINS) if v.noise else (HEADING_GAIN, POSITION_GAIN, LEAN)
        self._origin[i] = 0.0, 0.0, yaw_from_quat(qpos[3:7]) - episode.yaw[0]

    def mimic(self) -> np.ndarray:
        """(N, 35) present commands of the robots, including the feedback of heading and position."""
        command = self.reference("mimic")
        yaw_error, position_error = self.errors()
        heading, position, lean = self.gains.T[..., None]
        velocity, leaning, turning = outer_loop_feedback(
            command[:, :2], position_error, yaw_error, heading[:, 0], position, lean
        )
        command[:, :2] = rotate_2d(yaw_error, command[:, :2]) + velocity
        command[:, 3:5] += leaning
        command[:, 5] += turning
        return command + self.correction

    def teacher_mimic(self) -> np.ndarray:
        """(N, 35) commands of the robots' teachers, without the feedback of joint errors."""
        return self.mimic()

    def reference(self, what: str) -> np.ndarray:
        """(N, ...) one of the episodes' arrays at the robots' present frames; the last frame after the end."""
        return np.stack([getattr(e, what)[min(t, len(e) - 1)] for e, t in zip(self.episodes, self.frame, strict=True)])

    def _in_world(self, positions: np.ndarray) -> np.ndarray:
        """Positions (N, k, 3) m of the robots' trajectories, in the world."""
        first, origin = np.stack([e.root_pos[:1, :2] for e in self.episodes]), self._origin[:, None]
        on_ground = rotate_2d(origin[..., 2], positions[..., :2] - first) + origin[..., :2]
        return np.concatenate([on_ground, positions[..., 2:]], axis=-1)

    def errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Heading error (N,) rad and position error (N, 2) m, from robot to reference, in its heading frame."""
        yaw = yaw_from_quat(self.qpos[:, 3:7])
        yaw_error = wrap(self.reference("yaw") + self._origin[:, 2] - yaw)
        wanted = self._in_world(self.reference("root_pos")[:, None])[:, 0, :2]
        return yaw_error, rotate_2d(-yaw, wanted - self.qpos[:, :2])

    def observe(self, remember: bool = True) -> np.ndarray:
        """The robots' observations, (N, 1432), which enter their history if ``remember``."""
        parts = self._sensed()
        if self.randomization.noise:
            spread = self.randomization.noise * np.array([0.05, 0.01, 0.01, 0.2])
            parts = [p + s * self.rng.normal(size=p.shape) for p, s in zip(parts, spread, strict=True)]
        step = self._step(self.mimic(), parts, self.last_action)
        observation = _with_history(step, self._history)
        if remember:
            _remember(step, self._history)
        return observation

    def clean_now(self) -> np.ndarray:
        """Present observation of the teacher, (N, 1432): without noise, with joint errors fed back into its command."""
        return _with_history(self._clean_step(), self._clean_history)

    def _clean_step(self) -> np.ndarray:
        mimic = self.teacher_mimic()
        mimic[:, 6:] += self._teacher_feedback * (mimic[:, 6:] - self.qpos[:, 7:])
        return self._step(mimic, self._sensed(), self.last_action)

    def _sensed(self, which: slice = slice(None)) -> list[np.ndarray]:
        qpos, qvel = self.qpos[which], self.qvel[which]
        return [qvel[:, 3:6], roll_pitch_yaw(qpos[:, 3:7])[:, :2], qpos[:, 7:], qvel[:, 6:]]

    def _step(self, mimic: np.ndarray, sensed: list[np.ndarray], last_action: np.ndarray) -> np.ndarray:
        gyro, tilt, pos, vel = sensed
        vel = 0.05 * vel
        vel[:, _ANKLES] = 0.0
        step = [mimic, 0.25 * gyro, tilt, pos - self.spec.default_pose, vel, last_action]
        return np.concatenate(step, axis=1).astype(np.float32)

    def advance(self, action: np.ndarray) -> np.ndarray:
        """Simulate 20 ms with these raw actions (N, 29), which take effect after each robot's delay.

        Returns the teacher's observation when the action takes effect, (N, 1432).
        """
        if self.randomization.push_every:
            self._push(self.rng)
        states = self._simulate(action)
        self._take(np.concatenate([self._state[:, None], states], axis=1)[np.arange(self.count), self._delay])
        step = self._clean_step()
        clean = _with_history(step, self._clean_history)
        _remember(step, self._clean_history)
        self._take(states[:, -1])
        self._state = states[:, -1].copy()
        self.last_action = action.astype(float)
        self.frame += 1
        return clean

    def _simulate(self, action: np.ndarray) -> np.ndarray:
        """States (N, 10, ...) of the next 20 ms, with these raw actions (N, 29) after each robot's delay."""
        d = self.spec
        target = d.default_pose + d.action_scale * np.clip(action, -d.action_clip, d.action_clip)
        target = np.clip(target, *JOINT_LIMITS.T)
        last = self._targets[:, -1:]
        sent = np.clip(target[:, None], last - _RAMP, last + _RAMP)
        late = np.arange(_SUBSTEPS) + _SUBSTEPS - self._delay[:, None]
        control = np.take_along_axis(np.concatenate([self._targets, sent], axis=1), late[..., None], axis=1)
        states = self._physics.simulate(self._state, control, self._force)
        self._targets = sent
        return states

    def _take(self, states: np.ndarray) -> None:
        """Take qpos and qvel from full states: time, qpos, qvel."""
        self.qpos = states[:, 1 : 1 + self._base.nq].copy()
        self.qvel = states[:, 1 + self._base.nq : 1 + self._base.nq + self._base.nv].copy()

    def _push(self, rng: np.random.Generator) -> None:
        self._push_left -= 1
        for i in np.flatnonzero(self._push_left == 0):
            self._force[i] = 0.0
        starts = (self._push_left < 0) & (
            rng.uniform(size=self.count) < 1.0 / (self.randomization.push_every * POLICY_RATE)
        )
        for i in np.flatnonzero(starts):
            direction, frames = rng.uniform(-np.pi, np.pi), round(rng.uniform(*_PUSH_SECONDS) * POLICY_RATE)
            force = self.randomization.push * rng.uniform() ** 2 * POLICY_RATE / frames
            self._force[i, rng.choice(self._pushed), :2] = force * np.cos(direction), force * np.sin(direction)
            self._push_left[i] = frames


def _with_history(step: np.ndarray, history: np.ndarray) -> np.ndarray:
    return np.concatenate([step, history.reshape(len(step), -1), step[:, :MIMIC_WIDTH]], axis=1)


def _remember(step: np.ndarray, history: np.ndarray) -> None:
    history[:, :-1] = history[:, 1:]
    history[:, -1] = step
