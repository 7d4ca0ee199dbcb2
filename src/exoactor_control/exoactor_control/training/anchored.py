"""Simulated robots for ``policies/anchored.yaml``, which observes their position, heading and the reference ahead.

The student sees the reference itself, and its own pose relative to it by an erroneous odometry, without an outer loop.
The teacher of an episode, which has TWIST2's layout, is commanded what the outer loop would command, without noise. For
reinforcement learning, the student is also rewarded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_control.controller.tracker import HEADING_GAIN, LEAN, POSITION_GAIN
from exoactor_control.metrics import KEY_LINKS, MAX_HEIGHT_ERROR, MAX_TURN_ERROR
from exoactor_control.policy.spec import PolicySpec
from exoactor_control.reference.take_off import take_off_correction
from exoactor_control.reference.trajectory import POLICY_RATE
from exoactor_control.training.environment import MIMIC_WIDTH, DomainRandomization, Episode, Robots
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import HAND_LINKS, STANDING, add_hand_load, forward_kinematics
from exoactor_core.rotations import rotate_2d, yaw_from_quat

LOOKAHEAD_STEPS = np.array([5, 10, 25, 50])
"""Steps of 20 ms ahead at which the reference is seen."""
ANCHOR_WIDTH = 9
OBSERVATION_WIDTH = 1432 + ANCHOR_WIDTH + len(LOOKAHEAD_STEPS) * (MIMIC_WIDTH + ANCHOR_WIDTH)
_MAX_OFFSET = 1.5
"""m, as the layout clips it."""
_MAX_DISTANCE = 1.0
"""m from its position at which an episode ends: nothing is learnt so far away."""
_MAX_LOAD = 2.0
"""kg in a hand."""
_REWARDS = {
    "joints": (1.0, 0.2),  # rad, root mean square
    "bodies": (1.0, 0.1),  # m, of the judged bodies relative to the pelvis, root mean square
    "heights": (1.0, 0.12),  # m, of the judged body that is farthest off
    "orientation": (0.5, 0.3),  # rad, of the pelvis
    "position": (0.7, 0.25),  # m, of the pelvis, horizontal
}
"""Weight and scale of each error's reward, weight exp(-(error / scale)^2): the form is that of X. B. Peng and others,
"DeepMimic" (ACM Transactions on Graphics 37, 2018); the numbers are chosen."""
_CHANGE_WEIGHT, _MAX_CHANGE = 0.05, 10.0
"""Penalty for a mean squared change of the action, and its bound. Chosen, as `_FAILURE_REWARD`."""
_FAILURE_REWARD = -5.0
_OUTER_LOOP_GAINS = (HEADING_GAIN, POSITION_GAIN, LEAN)


@dataclass(frozen=True)
class Clip:
    """An episode of a known motion."""

    episode: Episode
    motion: int = -1
    """Index of the motion in the library; -1: only standing."""
    teacher: int = -1
    """Index of the teacher of this motion; -1: none."""
    bodies: np.ndarray = field(default_factory=lambda: np.zeros((0, len(KEY_LINKS), 3)))
    """(L, 5, 3) m, of `exoactor_control.metrics.KEY_LINKS` in the trajectory's frame."""
    correction: np.ndarray | None = None
    """(L, 35) offset to the teacher's command: a jump's take-offs; None: none."""

    @classmethod
    def of(cls, episode: Episode, motion: int = -1, teacher: int = -1, jumps: bool = False) -> Clip:
        """Add the poses of the judged bodies and, if the motion ``jumps``, the correction of its take-offs."""
        rpy = np.column_stack([episode.mimic[:, 3:5], episode.yaw])
        quat = Rotation.from_euler("ZYX", rpy[:, ::-1]).as_quat(scalar_first=True)
        robot = RobotMotion(POLICY_RATE, episode.root_pos, quat, episode.mimic[:, 6:])
        correction = take_off_correction(robot) if jumps else None
        return cls(episode, motion, teacher, forward_kinematics(robot, KEY_LINKS), correction)


class AnchoredRobots(Robots):
    """`Robots` whose observations are `OBSERVATION_WIDTH` wide.

    ``draw`` returns the next clip of robot i; ``teacher_feedback`` (teachers, 29) is the share of each joint's error
    that is added to each teacher's command; ``mid_stride`` is the share of episodes that begin at a random frame of the
    motion, with the robot in the reference's state. Other parameters are as for `Robots`.
    """

    def __init__(
        self,
        count: int,
        draw: Callable[[int], Clip],
        spec: PolicySpec,
        randomization: DomainRandomization,
        seed: int,
        threads: int,
        teacher_feedback: np.ndarray,
        mid_stride: float = 0.5,
        warp_device: str = "",
    ) -> None:
        self._teacher_gains, self._mid_stride = np.vstack([teacher_feedback, np.zeros(29)]), mid_stride
        self.clips: list[Clip] = []
        self.wander = np.zeros((count, 2))
        """(N, 2) m, error of the odometry."""
        self._scale, self._walk = np.zeros((count, 2)), np.zeros(count)
        self._previous = np.zeros((count, 29))

        def episode(i: int) -> Episode:
            self.clips[i : i + 1] = [draw(i)]  # the first ones come in order
            return self.clips[i].episode

        super().__init__(count, episode, spec, randomization, seed, threads, 0.0, warp_device)

    @property
    def teachers(self) -> np.ndarray:
        """(N,) index of each robot's teacher; -1: none."""
        return np.array([clip.teacher for clip in self.clips])

    def reset(self, i: int, episode: Episode) -> None:
        """Let robot i begin an episode, with newly randomised properties."""
        super().reset(i, episode)
        rng, much = self.rng, float(self.randomization.noise > 0.0)
        self.gains[i] = _OUTER_LOOP_GAINS
        self._teacher_feedback = self._teacher_gains[self.teachers]
        self.wander[i], self._previous[i] = 0.0, 0.0
        self._scale[i] = much * 0.05 * rng.uniform(-1.0, 1.0, 2)
        self._walk[i] = much * 0.03 * rng.uniform() ** 2
        self._models[i].body_ipos[:] = self._base.body_ipos
        if much:
            self._load(i)
        self._physics.changed(i)
        if self.clips[i].motion >= 0 and rng.uniform() < self._mid_stride:
            self._begin_at(i, int(rng.integers(0, max(len(episode) - 50, 1))))

    def _load(self, i: int) -> None:
        """Put loads in the hands of two in five robots: the same in both, as if both held it, or one in one hand."""
        if self.rng.uniform() > 0.4:
            return
        loads = self.rng.uniform(0.0, _MAX_LOAD, 2)
        loads = loads[[0, 0]] if self.rng.uniform() < 0.6 else loads * self.rng.permutation(2)
        for hand, load in zip(HAND_LINKS, loads, strict=True):
            add_hand_load(self._models[i], hand, load)
        mujoco.mj_setConst(self._models[i], self._data)

    def _begin_at(self, i: int, t: int) -> None:
        """Put robot i in the reference's state at frame t."""
        e = self.clips[i].episode
        nxt = min(t + 1, len(e) - 1)
        yaw = self._origin[i, 2]
        rpy = np.array([[*e.mimic[k, 3:5], e.yaw[k] + yaw] for k in (t, nxt)])
        r = Rotation.from_euler("ZYX", rpy[:, ::-1])
        qpos, qvel = self.qpos[i], self.qvel[i]
        rng = self.rng
        qpos[:2] = rotate_2d(yaw, e.root_pos[t, :2] - e.root_pos[0, :2]) + self._origin[i, :2]
        qpos[2] = e.root_pos[t, 2] + 0.01
        qpos[3:7] = r[0].as_quat(scalar_first=True)
        qpos[7:] = e.mimic[t, 6:] + 0.03 * rng.normal(size=29)
        velocity = (e.root_pos[nxt] - e.root_pos[t]) * POLICY_RATE
        qvel[:2], qvel[2] = rotate_2d(yaw, velocity[:2]), velocity[2]
        qvel[3:6] = (r[0].inv() * r[1]).as_rotvec() * POLICY_RATE
        qvel[6:] = (e.mimic[nxt, 6:] - e.mimic[t, 6:]) * POLICY_RATE
        self._state[i] = np.r_[0.0, qpos, qvel]
        self.frame[i] = t
        self._targets[i] = qpos[7:]
        d = self.spec
        self.last_action[i] = (e.mimic[t, 6:] - d.default_pose) / d.action_scale
        self._previous[i] = self.last_action[i]
        this = slice(i, i + 1)
        step = self._step(e.mimic[t][None], self._sensed(this), self.last_action[this])
        self._history[i] = self._clean_history[i] = step[0]

    def observe(self, remember: bool = True) -> np.ndarray:
        """As `Robots.observe`, with the reference as the robots' odometry sees it, (N, 1617)."""
        controlled, self.gains = self.gains, np.zeros_like(self.gains)
        seen = super().observe(remember)
        self.gains = controlled
        return np.concatenate([seen, self._ahead(seen)], axis=1).astype(np.float32)

    def teacher_mimic(self) -> np.ndarray:
        """As `Robots.teacher_mimic`, the take-offs of jumps corrected."""
        mimic = self.mimic()
        for command, clip, t in zip(mimic, self.clips, self.frame, strict=True):
            if clip.correction is not None:
                command += clip.correction[min(t, len(clip.correction) - 1)]
        return mimic

    def _ahead(self, seen: np.ndarray) -> np.ndarray:
        """(N, 185) the reference relative to the robot, now and ahead."""
        n, steps = self.count, np.r_[0, LOOKAHEAD_STEPS]
        index = [np.minimum(t + steps, len(c.episode) - 1) for c, t in zip(self.clips, self.frame, strict=True)]
        mimic, pos, yaw = (
            np.stack([getattr(c.episode, what)[k] for c, k in zip(self.clips, index, strict=True)])
            for what in ("mimic", "root_pos", "yaw")
        )
        noise = 0.005 * self.rng.normal(size=(n, 3)) if self.randomization.noise else np.zeros((n, 3))
        observed = self.qpos[:, :3] + noise + np.column_stack([self.wander, np.zeros(n)])
        # as measured by the robot's own sensors: roll and pitch with noise
        tilt = seen[:, MIMIC_WIDTH + 3 : MIMIC_WIDTH + 5]
        heading = yaw_from_quat(self.qpos[:, 3:7])
        robot = Rotation.from_euler("ZYX", np.column_stack([heading, tilt[:, 1], tilt[:, 0]])).as_matrix()
        angles = np.stack([yaw + self._origin[:, None, 2], mimic[..., 4], mimic[..., 3]], axis=-1)
        wanted = Rotation.from_euler("ZYX", angles.reshape(-1, 3)).as_matrix().reshape(n, len(steps), 3, 3)
        error = self._in_world(pos) - observed[:, None]
        offset = np.clip(np.einsum("nki,nij->nkj", error, robot), -_MAX_OFFSET, _MAX_OFFSET) * (1.0, 1.0, 0.0)
        turned = np.einsum("nji,nkjl->nkil", robot, wanted)[..., :2].reshape(n, len(steps), 6)
        anchor = np.concatenate([offset, turned], axis=-1)
        later = np.concatenate([mimic[:, 1:], anchor[:, 1:]], axis=-1)
        return np.concatenate([anchor[:, 0], later.reshape(n, -1)], axis=1)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Simulate 20 ms with these raw actions (N, 29).

        Returns
        -------
        The teacher's observation when the action takes effect (N, 1432), the reward (N,), which robots failed (N,), and
        which reached the end of their episode (N,).
        """
        before, self._previous = self.qpos[:, :2].copy(), self.last_action
        clean = self.advance(action)
        moved = self.qpos[:, :2] - before
        self.wander += self._scale * moved + self._walk[:, None] * np.sqrt(1.0 / POLICY_RATE) * self.rng.normal(
            size=moved.shape
        )
        reward, failed = self._judge()
        over = ~failed & (self.frame >= [len(e) for e in self.episodes])
        return clean, reward, failed, over

    def restart(self, which: np.ndarray) -> None:
        """Let these robots (N,) begin a new episode."""
        for i in np.flatnonzero(which):
            self.reset(int(i), self.draw(int(i)))

    def _judge(self) -> tuple[np.ndarray, np.ndarray]:
        """Reward (N,) of a step, and which robots (N,) failed by the field's rule or are lost."""
        mimic, yaw = self.reference("mimic"), self.reference("yaw")
        rpy, joints = np.column_stack([mimic[:, 3:5], yaw + self._origin[:, 2]]), mimic[:, 6:]
        bodies = [c.bodies[min(t, len(c.episode) - 1)] for c, t in zip(self.clips, self.frame, strict=True)]
        wanted = self._in_world(np.stack(bodies))
        with np.errstate(invalid="ignore"):
            finite = np.asarray(np.isfinite(self.qpos).all(axis=1))
        qpos = np.where(finite[:, None], self.qpos, np.r_[0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, STANDING])
        actual = forward_kinematics(RobotMotion(POLICY_RATE, qpos[:, :3], qpos[:, 3:7], qpos[:, 7:]), KEY_LINKS)
        rotation = Rotation.from_quat(qpos[:, 3:7], scalar_first=True)
        turned = np.asarray((rotation.inv() * Rotation.from_euler("ZYX", rpy[:, ::-1])).magnitude())
        height = np.abs(actual - wanted)[..., 2]
        distance = np.linalg.norm((actual - wanted)[:, 0, :2], axis=-1)
        local = (actual - actual[:, :1]) - (wanted - wanted[:, :1])
        failed = (
            (height > MAX_HEIGHT_ERROR).any(axis=1) | (turned > MAX_TURN_ERROR) | (distance > _MAX_DISTANCE) | ~finite
        )
        squares = {
            "joints": ((joints - qpos[:, 7:]) ** 2).mean(axis=1),
            "bodies": (local**2).sum(axis=-1).mean(axis=1),
            "heights": (height**2).max(axis=1),
            "orientation": turned**2,
            "position": distance**2,
        }
        reward = sum(weight * np.exp(-squares[what] / scale**2) for what, (weight, scale) in _REWARDS.items())
        change = ((self.last_action - self._previous) ** 2).mean(axis=1)
        reward = reward - _CHANGE_WEIGHT * np.minimum(change, _MAX_CHANGE)
        return np.where(failed, _FAILURE_REWARD, reward), failed
