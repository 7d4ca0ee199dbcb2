"""Random whole-body references for the G1: footsteps of every kind, kicks, hops and jumps, crouches, arms.

A plan holds the poses of the feet and the zero moment point. The motion of the centre of mass follows by the linear
inverted pendulum (S. Kajita and others, "The 3D linear inverted pendulum mode", IROS 2001): its bounded motion over a
given zero moment point z is x(t) = integral of w/2 exp(-w |t - s|) z(s) ds. In flight the pelvis follows a parabola.
The legs reach the feet by inverse kinematics; `exoactor_control.reference.trajectory.prepare` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pinocchio as pin
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d
from scipy.spatial.transform import Rotation

from exoactor_control.controller.single_support import PENDULUM_FREQUENCY
from exoactor_control.reference.trajectory import POLICY_RATE
from exoactor_core.arrays import flags_of_runs, min_jerk
from exoactor_core.constants import GRAVITY
from exoactor_core.motion import BOTH_ARMS, WAIST, RobotMotion
from exoactor_core.robot import (
    FOOT_LINKS,
    JOINT_LIMITS,
    STANDING,
    STANDING_HEIGHT,
    configurations,
    forward_kinematics,
    link_poses,
    pinocchio_model,
    self_collision_depth,
    standing_motion,
)

_HALF_WIDTH = 0.118  # m from the middle to a foot, standing
_MAX_JOINT_SPEED = 8.0  # rad/s of a leg's joint
_FOOT_WEIGHTS = np.r_[1.0, 1.0, 1.0, 0.2, 0.2, 0.2]  # weights of the position, m, and orientation, rad, of a foot
_LEGS = (slice(0, 6), slice(6, 12))
_CLEARING, _CLEARING_ROUNDS = 0.8, 10
"""Factor on the arms' deviation from standing in each round, until no parts of the robot touch."""
_SMOOTHING = 4
"""Frames, standard deviation of the filter for this factor and the pelvis' height, truncated at three times that."""
_LEG_LENGTH = 0.612
"""m from the hip's roll axis to the ankle of a nearly straight leg."""


@dataclass
class _Plan:
    """Feet and pelvis, in segments; every list holds one array per segment."""

    feet: np.ndarray = field(default_factory=lambda: np.array([[0.0, _HALF_WIDTH, 0.0], [0.0, -_HALF_WIDTH, 0.0]]))
    """(2, 3) current poses of the feet: x, y m and yaw rad."""
    foot_poses: list[np.ndarray] = field(default_factory=list)
    """(T, 2, 3) x, y, yaw of the feet."""
    lifts: list[np.ndarray] = field(default_factory=list)
    """(T, 2) m, heights of the feet above the floor."""
    zmp: list[np.ndarray] = field(default_factory=list)
    """(T, 2) m, the zero moment point."""
    heights: list[np.ndarray] = field(default_factory=list)
    """(T,) m, height of the pelvis relative to standing."""
    flights: list[tuple[int, int]] = field(default_factory=list)
    """First frame and one past the last in which nothing supports the robot."""

    @property
    def frames(self) -> int:
        return sum(len(part) for part in self.heights)

    def add(self, foot_poses: np.ndarray, lifts: np.ndarray, zmp: np.ndarray, heights: np.ndarray) -> None:
        self.foot_poses.append(foot_poses)
        self.lifts.append(lifts)
        self.zmp.append(zmp)
        self.heights.append(heights)
        self.feet = foot_poses[-1].copy()

    def stand(self, seconds: float, height: float = 0.0, over: float = 0.5) -> None:
        """Stand still; ``over``: position of the weight between the left (0) and the right foot (1)."""
        n = max(round(seconds * POLICY_RATE), 1)
        zmp = (1.0 - over) * self.feet[0, :2] + over * self.feet[1, :2]
        self.add(np.tile(self.feet, (n, 1, 1)), np.zeros((n, 2)), np.tile(zmp, (n, 1)), np.full(n, height))

    def step(self, foot: int, to: np.ndarray, seconds: float, lift: float, height: float) -> None:
        """Move a foot to a pose (3,): x, y m and yaw rad."""
        n = max(round(seconds * POLICY_RATE), 5)
        s = min_jerk(np.arange(1, n + 1) / n)
        foot_poses = np.tile(self.feet, (n, 1, 1))
        foot_poses[:, foot] += s[:, None] * (to - self.feet[foot])
        lifts = np.zeros((n, 2))
        lifts[:, foot] = lift * np.sin(np.pi * np.arange(1, n + 1) / n) ** 2
        self.add(foot_poses, lifts, np.tile(self.feet[1 - foot, :2], (n, 1)), np.full(n, height))

    def jump(self, height: float, by: np.ndarray, crouch: float) -> None:
        """Jump with both feet, m high, by x, y m and yaw rad in the frame of the feet."""
        self.stand(0.45, -crouch)
        self.stand(0.12, 0.0)
        air = 2.0 * np.sqrt(2.0 * height / GRAVITY)
        n = max(round(air * POLICY_RATE), 2)
        t = np.arange(1, n + 1) / n
        rise = 4.0 * height * t * (1.0 - t)
        middle, yaw = self.feet[:, :2].mean(axis=0), self.feet[:, 2].mean()
        new = middle + Rotation.from_euler("z", yaw).apply([*by[:2], 0.0])[:2]
        arms = Rotation.from_euler("z", by[2]).apply(np.column_stack([self.feet[:, :2] - middle, [0.0, 0.0]]))[:, :2]
        goal = np.column_stack([new + arms, self.feet[:, 2] + by[2]])
        foot_poses = self.feet + t[:, None, None] * (goal - self.feet)
        begin = self.frames
        self.add(foot_poses, np.column_stack([rise, rise]), foot_poses[:, :, :2].mean(axis=1), rise)
        self.flights.append((begin, begin + n))
        self.stand(0.15, -0.7 * crouch)
        self.stand(0.5, 0.0)


def _ahead(feet: np.ndarray, foot: int, forward: float, outward: float, turn: float) -> np.ndarray:
    """Pose (3,) of a foot relative to the other one: m forward, m outward from standing, rad."""
    other = feet[1 - foot]
    side = 1.0 if foot == 0 else -1.0
    yaw = other[2] + turn
    offset = Rotation.from_euler("z", yaw).apply([forward, side * (2.0 * _HALF_WIDTH + outward), 0.0])[:2]
    return np.array([*(other[:2] + offset), yaw])


def _walk(plan: _Plan, rng: np.random.Generator, crouch: float = 0.0) -> None:
    """Walk a few steps in one manner: forward, backward, sideways, turning, or a combination."""
    seconds, lift = rng.uniform(0.35, 0.8), rng.uniform(0.03, 0.14)
    forward = rng.uniform(-0.25, 0.5) if rng.uniform() < 0.8 else 0.0
    aside = rng.uniform(-0.2, 0.25) if rng.uniform() < 0.4 else 0.0
    turn = rng.uniform(-0.5, 0.5) if rng.uniform() < 0.5 else 0.0
    both = rng.uniform(0.04, 0.15)
    foot = int(rng.integers(2))
    for _ in range(int(rng.integers(2, 9))):
        outward = max(0.0, aside if foot == 0 else -aside) + rng.uniform(-0.02, 0.04)
        sign = 1.0 if (turn > 0) == (foot == 0) else 0.4  # the inner foot cannot turn in as far
        to = _ahead(plan.feet, foot, forward + rng.normal() * 0.03, outward, sign * turn)
        plan.step(foot, to, seconds * rng.uniform(0.9, 1.1), lift, -crouch)
        plan.stand(both, -crouch)
        foot = 1 - foot
    plan.step(foot, _ahead(plan.feet, foot, 0.0, 0.0, 0.0), seconds, lift, -crouch)
    plan.stand(rng.uniform(0.1, 0.6), -crouch)


def _crouched(plan: _Plan, rng: np.random.Generator) -> None:
    depth = rng.uniform(0.06, 0.25)
    plan.stand(0.8, -depth)
    _walk(plan, rng, depth)
    plan.stand(0.6)


def _squat(plan: _Plan, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 4))):
        plan.stand(rng.uniform(0.4, 1.2), -rng.uniform(0.05, 0.4))
        plan.stand(rng.uniform(0.4, 1.0), 0.0, rng.uniform(0.3, 0.7))


def _lunge(plan: _Plan, rng: np.random.Generator) -> None:
    foot, seconds = int(rng.integers(2)), rng.uniform(0.5, 0.9)
    aside = rng.uniform() < 0.4
    to = _ahead(plan.feet, foot, *((0.0, rng.uniform(0.15, 0.4)) if aside else (rng.uniform(0.3, 0.6), 0.0)), 0.0)
    back = plan.feet[foot].copy()
    plan.step(foot, to, seconds, 0.08, -0.05)
    plan.stand(rng.uniform(0.5, 1.2), -rng.uniform(0.1, 0.3), 0.25 if foot == 0 else 0.75)
    plan.stand(0.3, -0.05, 0.8 if foot == 0 else 0.2)
    plan.step(foot, back, seconds, 0.08, 0.0)
    plan.stand(0.4)


def _kick(plan: _Plan, rng: np.random.Generator) -> None:
    foot, seconds = int(rng.integers(2)), rng.uniform(0.35, 0.8)
    carrying = 1.0 if foot == 0 else 0.0
    plan.stand(0.5, -0.02, carrying)
    back, lift = plan.feet[foot].copy(), rng.uniform(0.08, 0.35)
    out = _ahead(plan.feet, foot, rng.uniform(-0.3, 0.45), rng.uniform(0.0, 0.25), 0.0)
    n = max(round(seconds * POLICY_RATE), 8)
    s = np.sin(np.pi * np.arange(1, n + 1) / n)[:, None]
    foot_poses = np.tile(plan.feet, (n, 1, 1))
    foot_poses[:, foot] += s**2 * (out - back)
    lifts = np.zeros((n, 2))
    lifts[:, foot] = lift * s[:, 0]
    plan.add(foot_poses, lifts, np.tile(plan.feet[1 - foot, :2], (n, 1)), np.full(n, -0.02))
    plan.stand(0.4)


def _hop(plan: _Plan, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 4))):
        by = np.array([rng.uniform(-0.15, 0.35), rng.uniform(-0.15, 0.15), rng.uniform(-0.4, 0.4)])
        plan.jump(rng.uniform(0.02, 0.08), by * (rng.uniform(size=3) < 0.6), rng.uniform(0.06, 0.12))


def _jump(plan: _Plan, rng: np.random.Generator) -> None:
    by = np.array([rng.uniform(-0.15, 0.4), rng.uniform(-0.2, 0.2), rng.uniform(-0.8, 0.8)])
    plan.jump(rng.uniform(0.08, 0.22), by * (rng.uniform(size=3) < 0.4), rng.uniform(0.1, 0.2))


_Act = Callable[[_Plan, np.random.Generator], None]
FAMILIES: dict[str, tuple[_Act, ...]] = {
    "walk": (_walk,),
    "crouch": (_crouched, _squat),
    "hop": (_hop, _walk),
    "jump": (_jump,),
    "mixed": (_walk, _crouched, _squat, _hop, _jump),
    "lunge": (_lunge,),
    "kick": (_kick,),
}
"""Movements in each family of random references."""


def whole_body(family: str, rng: np.random.Generator, seconds: float = 8.0) -> RobotMotion:
    """Draw a reference of one of `FAMILIES`, of about this duration, at `POLICY_RATE`, on the floor z = 0."""
    plan = _Plan()
    plan.stand(rng.uniform(0.2, 0.6))
    acts = FAMILIES[family]
    while plan.frames < seconds * POLICY_RATE:
        acts[rng.integers(len(acts))](plan, rng)
    plan.stand(0.6)
    return _followed(plan, rng)


def _followed(plan: _Plan, rng: np.random.Generator | None = None) -> RobotMotion:
    """Motion of a plan; with ``rng``, arms and trunk move randomly."""
    foot_poses, lifts, zmp = (np.concatenate(part) for part in (plan.foot_poses, plan.lifts, plan.zmp))
    height = _smoothed_height(np.concatenate(plan.heights), plan.flights)
    n = len(foot_poses)
    joints = np.tile(STANDING, (n, 1)) if rng is None else _upper_body(n, rng)
    sway = np.zeros((2, n)) if rng is None else gaussian_filter1d(0.15 * rng.normal(size=(2, n)), 20.0)
    pos = np.column_stack([_pendulum(zmp, plan.flights), STANDING_HEIGHT + height])
    yaw = gaussian_filter1d(foot_poses[..., 2].mean(axis=1), 6.0, mode="nearest")
    # a deep crouch bends the trunk forward
    pitch = np.clip(-0.9 * height, 0.0, 0.5) + sway[0]
    quat = Rotation.from_euler("ZYX", np.column_stack([yaw, pitch, sway[1]])).as_quat(scalar_first=True)
    sole, level = _standing_feet()
    feet = [
        [
            pin.SE3((Rotation.from_euler("z", p[2]) * level[k]).as_matrix(), np.array([p[0], p[1], sole + h]))
            for p, h in zip(foot_poses[:, k], lifts[:, k], strict=True)
        ]
        for k in (0, 1)
    ]
    pos[:, 2] -= _out_of_reach(pos, quat, np.array([[pose.translation for pose in path] for path in feet]))
    poses = RobotMotion(POLICY_RATE, pos, quat, np.clip(joints, *JOINT_LIMITS.T))
    return _collision_free(RobotMotion(POLICY_RATE, pos, quat, _feet_at(poses, feet, STANDING)))


def _pendulum(zmp: np.ndarray, flights: list[tuple[int, int]]) -> np.ndarray:
    """Path (T, 2) m of the centre of mass over a zero moment point; at constant speed in flight."""
    n = round(1.5 * POLICY_RATE)
    kernel = np.exp(-PENDULUM_FREQUENCY * np.abs(np.arange(-n, n + 1)) / POLICY_RATE)
    padded = np.concatenate([np.repeat(zmp[:1], n, axis=0), zmp, np.repeat(zmp[-1:], n, axis=0)])
    path = np.stack([np.convolve(column, kernel / kernel.sum(), "valid") for column in padded.T], axis=1)
    for begin, end in flights:
        path[begin:end] = np.linspace(path[begin], path[end - 1], end - begin)
    return gaussian_filter1d(path, 1.5, axis=0, mode="nearest")


def _smoothed_height(height: np.ndarray, flights: list[tuple[int, int]]) -> np.ndarray:
    """Height (T,) of the pelvis, smooth but on its parabola in flight."""
    in_flight = flags_of_runs(len(height), flights)
    smooth = gaussian_filter1d(np.where(in_flight, 0.0, height), 5.0, mode="nearest")
    return np.where(in_flight, height + smooth, smooth)


def _upper_body(n: int, rng: np.random.Generator) -> np.ndarray:
    """Joint positions (n, 29) of standing, with arms and waist moving between random poses."""
    joints = np.tile(STANDING, (n, 1))
    low, high = JOINT_LIMITS.T
    knots = np.arange(0, n + 100, int(rng.uniform(25, 90)))
    much = rng.uniform(0.0, 0.6) if rng.uniform() < 0.8 else 0.0
    for i in range(WAIST.start, BOTH_ARMS.stop):
        share = much * (0.35 if i < BOTH_ARMS.start else 1.0)
        aims = rng.uniform(low[i], high[i], len(knots))
        path = np.interp(np.arange(n), knots, STANDING[i] + share * (aims - STANDING[i]))
        joints[:, i] = gaussian_filter1d(path, 8.0, mode="nearest")
    return joints


def _out_of_reach(pos: np.ndarray, quat: np.ndarray, feet: np.ndarray) -> np.ndarray:
    """Smooth lowering (T,) m of the pelvis with which the legs reach the feet (2, T, 3)."""
    turns, needed = Rotation.from_quat(quat, scalar_first=True), np.zeros(len(pos))
    for way, offset in zip(feet, _hips(), strict=True):
        leg = pos + turns.apply(offset) - way
        reach = np.sqrt(np.maximum(_LEG_LENGTH**2 - (leg[:, :2] ** 2).sum(axis=1), 0.0))
        needed = np.maximum(needed, leg[:, 2] - reach)
    widest = maximum_filter1d(needed, 6 * _SMOOTHING + 1)
    return gaussian_filter1d(widest, _SMOOTHING, truncate=3.0, mode="nearest")


def _collision_free(motion: RobotMotion) -> RobotMotion:
    """Move an arm smoothly towards its pose in standing around frames in which it touches another part."""
    share, arms, collision_free = np.ones((len(motion), 2)), motion.joint_pos[:, BOTH_ARMS], motion
    for _ in range(_CLEARING_ROUNDS):
        touching = np.array(
            [[_of_arm(side, pair) for side in ("left", "right")] for pair in self_collision_depth(collision_free)[1]]
        )
        if not touching.any():
            break
        share = minimum_filter1d(np.where(touching, _CLEARING * share, share), 6 * _SMOOTHING + 1, axis=0)
        smooth = gaussian_filter1d(share, _SMOOTHING, axis=0, truncate=3.0).repeat(arms.shape[1] // 2, axis=1)
        nearer = STANDING[BOTH_ARMS] + smooth * (arms - STANDING[BOTH_ARMS])
        collision_free = replace(motion, joint_pos=np.column_stack([motion.joint_pos[:, : BOTH_ARMS.start], nearer]))
    return collision_free


def _of_arm(side: str, pair: tuple[str, str] | None) -> bool:
    """Whether one of two bodies belongs to the arm of a side."""
    return any(body.startswith(f"{side}_{part}") for body in pair or () for part in ("shoulder", "elbow", "wrist"))


@cache
def _model() -> tuple[pin.Model, tuple[int, int]]:
    model = pinocchio_model()
    return model, tuple(model.getFrameId(foot) for foot in FOOT_LINKS)


@cache
def _standing_feet() -> tuple[float, list[Rotation]]:
    """Height of the feet's frames above the floor, m, and their orientations, when the robot stands."""
    pos, turns = link_poses(standing_motion(), FOOT_LINKS)
    return float(pos[0, 0, 2]), [Rotation.from_matrix(turn) for turn in turns[0]]


@cache
def _hips() -> np.ndarray:
    """(2, 3) m, positions of the hips' roll axes in the pelvis frame."""
    links = ("pelvis", "left_hip_roll_link", "right_hip_roll_link")
    pelvis, *hips = forward_kinematics(standing_motion(), links)[0]
    return np.array(hips) - pelvis


def _feet_at(poses: RobotMotion, feet: list[list[pin.SE3]], before: np.ndarray) -> np.ndarray:
    """Joint positions (T, 29) of poses whose legs reach the feet; ``before`` (29,) is the initial guess."""
    model, ids = _model()
    data = model.createData()
    joints = poses.joint_pos.copy()
    legs, fastest = before.copy(), _MAX_JOINT_SPEED / poses.fps
    for i, q in enumerate(configurations(poses)):
        q[7:19] = legs[:12]
        low, high = np.maximum(legs - fastest, JOINT_LIMITS[:, 0]), np.minimum(legs + fastest, JOINT_LIMITS[:, 1])
        for leg, frame in zip((0, 1), ids, strict=True):
            columns = slice(6 + _LEGS[leg].start, 6 + _LEGS[leg].stop)
            for _ in range(12):
                pin.computeJointJacobians(model, data, q)
                here = pin.updateFramePlacement(model, data, frame)
                error = pin.log6(here.actInv(feet[leg][i])).vector
                if np.abs(error).max() < 1e-4:
                    break
                jacobian = pin.getFrameJacobian(model, data, frame, pin.ReferenceFrame.LOCAL)[:, columns]
                jacobian, error = _FOOT_WEIGHTS[:, None] * jacobian, _FOOT_WEIGHTS * error
                change = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 1e-3 * np.eye(6), error)
                now = slice(7 + _LEGS[leg].start, 7 + _LEGS[leg].stop)
                q[now] = np.clip(q[now] + change, low[_LEGS[leg]], high[_LEGS[leg]])
        legs = q[7:].copy()
        joints[i, :12] = legs[:12]
    return joints
