"""Standing on one leg: the motion is leaned over the supporting foot, and a regulator keeps the robot above it.

A person's centre of mass is over the foot; the robot's, with the person's joint angles, is some centimetres beside the
middle of a sole that is six wide, on an ankle that is not level. Moreover, trackers that were trained on walks and
gestures do not stay on one foot: they hop. So, while a motion stands on one leg for longer than a kick takes, and the
robot is where it can be held, the joint targets come from a linear quadratic regulator about the motion, with the sole
on the floor and gravity compensated. The policy steps and hops the robot there, and takes over again when it is pushed
away.

The regulator's cost is that of MuJoCo's tutorial on a humanoid that stands on one leg
(github.com/google-deepmind/mujoco, python/LQR.ipynb): primarily the centre of mass over the foot.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cache

import mujoco
import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from exoactor_control.reference.trajectory import POLICY_RATE
from exoactor_core.arrays import flags_of_runs, true_runs
from exoactor_core.errors import UnsafeMotion
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import EFFORT_LIMITS, JOINT_LIMITS, as_servos, mujoco_spec, sole_points
from exoactor_core.rotations import about_z, yaw_from_matrix

FEET = ("left", "right")
_TIMESTEP = 0.002  # s
_PERIOD = round(1.0 / POLICY_RATE / _TIMESTEP)  # of them between targets

_MIN_FOOT_HEIGHT = 0.05
"""m of the other foot above the floor, at least."""
_MIN_STAND_SECONDS = 2.5
"""s, minimum duration; kicks, which trackers can do by themselves, take up to 2."""
_MAX_FOOT_TRAVEL = 0.15
"""m that the supporting foot may move meanwhile: less than in hops, but enough for estimated motions."""
_MAX_COM_OFFSET = 0.2
"""m of the centre of mass from the foot; farther away something else, such as a chair or a table, must support the
body."""

# The following were found in simulation on two stands of 4 and 6 s and their mirror images, on robots 10% lighter and
# heavier, with commands 20 ms late.
_COM_TARGET, _COM_TOLERANCE = np.array([0.02, 0.0]), np.array([0.015, 0.003])
"""m from the ankle, forward and to the left: target of the centre of mass, and tolerated distance from it."""
_LEAN_SMOOTHING_SECONDS = 0.15
"""s, standard deviation of the Gaussian that fades the lean in and out."""
_CAPTURE_REGION = np.array([0.08, 0.03])
"""m from the middle within which the extrapolated centre of mass must be for the regulator to hold the robot."""
_TAKE_OVER_SECONDS, _GIVE_BACK_SECONDS, _END_SECONDS = 0.4, 0.1, 0.2
"""s in which the regulator fades in, fades out when it cannot hold the robot, and fades out at the end."""
_COM_SCALE, _PELVIS_SCALE, _TILT_SCALE, _JOINT_SCALE, _JOINT_SPEED_SCALE = 0.1, 1.0, 0.2, 1.0, 5.0
"""Scales of the regulator's quadratic costs: m of the centre of mass, m and rad of the pelvis, rad and rad/s of the
joints."""
_TORQUE_SHARE = 1.0 / 3.0
"""Scale of the regulator's cost of a target: share of a motor's maximum torque."""
PENDULUM_FREQUENCY = 3.6
"""1/s, natural frequency of the G1 on one leg as an inverted pendulum. Its centre of mass is extrapolated by its
velocity over this frequency (A. L. Hof, "The 'extrapolated center of mass' concept suggests a simple control of balance
in walking", Human Movement Science 27, 2008)."""
_KNOT_FRAMES = 10
"""Frames between two linearisations."""


@cache
def robot_model() -> mujoco.MjModel:
    """The G1's model, not to be modified. Loading it holds the interpreter's lock for 0.1 s: load it in advance."""
    return mujoco_spec(_TIMESTEP, visuals=False).compile()


def single_support_phases(motion: RobotMotion) -> list[tuple[int, int, int]]:
    """Foot (0: left, 1: right), first frame and one past the last, of every stand on one leg, in order."""
    soles = sole_points(motion)
    low, middle = soles[..., 2].min(axis=2), soles.mean(axis=2)
    found = []
    for foot in (0, 1):
        for first, end in true_runs(low[:, 1 - foot] - low[:, foot] > _MIN_FOOT_HEIGHT):
            long = (end - first) / motion.fps >= _MIN_STAND_SECONDS
            still = np.ptp(middle[first:end, foot, :2], axis=0).max() < _MAX_FOOT_TRAVEL
            if long and still and _carries(motion, foot, first, end):
                found.append((foot, first, end))
    return sorted(found, key=lambda stand: stand[1])


def _carries(motion: RobotMotion, foot: int, first: int, end: int) -> bool:
    """Whether the foot alone can support the robot: the centre of mass is close enough to it."""
    body = _Body(robot_model(), foot)
    for i in range(first, end, _KNOT_FRAMES):
        body.place(np.r_[motion.root_quat_wxyz[i], motion.joint_pos[i]])
        if np.linalg.norm(body.over()[:2]) > _MAX_COM_OFFSET:
            return False
    return True


def shift_com(motion: RobotMotion, found: list[tuple[int, int, int]]) -> tuple[RobotMotion, list[str]]:
    """Shift the centre of mass over the supporting foot in each of the `single_support_phases`, and level that sole.

    Returns
    -------
    The motion, and notes on what was done, one sentence each.
    """
    notes = []
    for foot, first, end in found:
        motion, angle = _shifted(motion, foot, first, end)
        span = f"{first / motion.fps:.1f} to {end / motion.fps:.1f} s"
        notes.append(
            f"The centre of mass was shifted over the {FEET[foot]} foot from {span} (lean up to {angle:.2f} rad)."
        )
    return motion, notes


def _shifted(motion: RobotMotion, foot: int, first: int, end: int) -> tuple[RobotMotion, float]:
    """Return the motion shifted in one stand, and its maximum lean in rad."""
    body = _Body(robot_model(), foot)
    ankle = 6 * foot + np.arange(4, 6)
    pos, quat, joints = motion.root_pos.copy(), motion.root_quat_wxyz.copy(), motion.joint_pos.copy()
    lean = np.zeros((len(motion), 3))  # rotation vectors, in the world
    for i in range(first, end):
        pose = joints[i].copy()
        for _ in range(3):  # the lean changes what makes the sole level, which in turn hardly changes the lean
            turned = _turned(lean[i], quat[i])
            body.place(np.r_[turned, pose])
            pose[ankle] = body.level_ankle()
            body.place(np.r_[turned, pose])
            over = about_z(-body.heading) @ body.over()
            off = over[:2] - np.clip(over[:2], _COM_TARGET - _COM_TOLERANCE, _COM_TARGET + _COM_TOLERANCE)
            lean[i] += about_z(body.heading) @ [off[1] / over[2], -off[0] / over[2], 0.0]
    spread = _LEAN_SMOOTHING_SECONDS * motion.fps
    lean = gaussian_filter1d(lean, spread, axis=0, mode="nearest")
    inside = flags_of_runs(len(motion), [(first, end)]).astype(float)
    levelled = gaussian_filter1d(inside, spread, mode="nearest")
    soles = sole_points(motion)[:, foot]
    for i in np.flatnonzero(levelled > 1e-3).tolist():
        centre = soles[i].mean(axis=0)
        pos[i] = centre + Rotation.from_rotvec(lean[i]).apply(pos[i] - centre)
        quat[i] = _turned(lean[i], quat[i])
        body.place(np.r_[quat[i], joints[i]])
        joints[i, ankle] += levelled[i] * (body.level_ankle() - joints[i, ankle])
    joints = np.clip(joints, *JOINT_LIMITS.T)
    shifted = replace(motion, root_pos=pos, root_quat_wxyz=quat, joint_pos=joints)
    pos[:, 2] += soles[..., 2].min(axis=1) - sole_points(shifted)[:, foot, :, 2].min(axis=1)
    return shifted, float(np.linalg.norm(lean, axis=1).max())


def _turned(by: np.ndarray, quat_wxyz: np.ndarray) -> np.ndarray:
    return (Rotation.from_rotvec(by) * Rotation.from_quat(quat_wxyz, scalar_first=True)).as_quat(scalar_first=True)


class SingleSupportRegulator:
    """The regulator of one stand.

    ``motion`` is at `POLICY_RATE`, after `shift_com`; ``stand`` is one of the `single_support_phases` found before
    that. ``kp`` and ``kd`` (29,) are the motors' gains, N m/rad and N m s/rad.

    Raises
    ------
    UnsafeMotion
        Something other than the foot is on the floor.
    """

    def __init__(self, motion: RobotMotion, stand: tuple[int, int, int], kp: np.ndarray, kd: np.ndarray) -> None:
        foot, self._first, end = stand
        model = copy(robot_model())
        as_servos(model, kp, kd, EFFORT_LIMITS)
        self._body = _Body(model, foot)
        poses = np.hstack([motion.root_quat_wxyz, motion.joint_pos])[self._first : end]
        self._poses = [self._body.on_floor(pose)[0] for pose in poses]
        self._share = 0.0
        knots = np.unique(np.r_[np.arange(0, len(poses), _KNOT_FRAMES), len(poses) - 1])
        linear = [self._linearised(self._poses[k], kp) for k in knots]
        self._gravity_offsets = _between(knots, np.array([offset for *_, offset in linear]))
        self._gains = _between(knots, np.array([_gain(a, b, cost, kp) for a, b, cost, _ in linear]))

    def mixed(self, index: int, target: np.ndarray, pose: np.ndarray, speed: np.ndarray) -> np.ndarray:
        """Mix the policy's joint targets (29,) rad at a frame of the motion with the regulator's, at every frame.

        The regulator fades in once the robot can be held, and out when it no longer can: then the policy steps.
        ``pose`` (33,) and ``speed`` (32,) are measured: the pelvis' quaternion w, x, y, z and angular velocity in its
        own frame, rad/s, each followed by the joints', rad and rad/s.
        """
        i, body = index - self._first, self._body
        if not 0 <= i < len(self._poses):
            self._share = 0.0
            return target
        wanted = self._poses[i]
        pose, speed = body.on_floor(pose, speed)
        can = self._can_be_held(pose, speed)
        rate = 1.0 / _TAKE_OVER_SECONDS if can else -1.0 / _GIVE_BACK_SECONDS
        self._share = float(np.clip(self._share + rate / POLICY_RATE, 0.0, 1.0))
        off = np.zeros(body.model.nv)
        mujoco.mj_differentiatePos(body.model, off, 1.0, wanted, pose)
        held = wanted[7:] + self._gravity_offsets[i] - self._gains[i] @ np.r_[off, speed]
        share = min(self._share, (len(self._poses) - i) / POLICY_RATE / _END_SECONDS)
        return target + share * (held - target)

    def _can_be_held(self, pose: np.ndarray, speed: np.ndarray) -> bool:
        """Whether the extrapolated centre of mass is over the sole."""
        body = self._body
        body.set(pose, speed)
        over = body.over()[:2] + body.over_jacobian() @ speed / PENDULUM_FREQUENCY
        return bool(np.all(np.abs(over - _COM_TARGET) < _CAPTURE_REGION))

    def _linearised(self, pose: np.ndarray, kp: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Dynamics over one period (70, 70) and (70, 29), state cost (70, 70), and gravity compensation (29,) rad."""
        body, model, data = self._body, self._body.model, self._body.data

        def inverse(height: float) -> np.ndarray:
            """Forces (35,) that hold the pose with the pelvis raised by so much."""
            data.qpos[:], data.qvel[:], data.ctrl[:] = pose, 0.0, 0.0
            data.qpos[2] += height
            mujoco.mj_forward(model, data)
            data.qacc[:] = 0.0
            mujoco.mj_inverse(model, data)
            return data.qfrc_inverse.copy()

        if inverse(_MIN_FOOT_HEIGHT)[2] <= 0.0:
            raise UnsafeMotion("The motion stands on one leg with another part of the robot below that foot.")
        # The floor is slightly soft: the sole is as deep in it as the weight presses
        height = brentq(lambda z: inverse(z)[2], -_MIN_FOOT_HEIGHT, _MIN_FOOT_HEIGHT, xtol=1e-7)
        gravity_offset = inverse(height)[6:] / kp
        data.ctrl[:] = pose[7:] + gravity_offset
        mujoco.mj_forward(model, data)
        nv, nu = model.nv, model.nu
        a, b = np.zeros((2 * nv, 2 * nv)), np.zeros((2 * nv, nu))
        mujoco.mjd_transitionFD(model, data, 1e-6, True, a, b, None, None)
        period_a, period_b = np.eye(2 * nv), np.zeros_like(b)
        for _ in range(_PERIOD):
            period_a, period_b = a @ period_a, a @ period_b + b
        over = body.over_jacobian() / _COM_SCALE
        extrapolated = np.hstack([over, over / PENDULUM_FREQUENCY])
        scales = [[_PELVIS_SCALE] * 3, [_TILT_SCALE] * 3, [_JOINT_SCALE] * nu]
        allowed = np.concatenate([*scales, [np.inf] * 3, [_JOINT_SPEED_SCALE] * (3 + nu)])
        cost = extrapolated.T @ extrapolated + np.diag(allowed**-2.0)
        return period_a, period_b, cost, gravity_offset


def _gain(a: np.ndarray, b: np.ndarray, cost: np.ndarray, kp: np.ndarray) -> np.ndarray:
    """Gain (29, 70) of the linear quadratic regulator.

    The Riccati equation is solved by doubling (E. K.-W. Chu, H.-Y. Fan, W.-W. Lin, C.-S. Wang, "Structure-preserving
    algorithms for periodic discrete-time algebraic Riccati equations", 2004), in a tenth of the time of
    `scipy.linalg.solve_discrete_are`, which would hold the interpreter's lock and thereby stall the control loop.
    """
    effort = np.diag((kp / (_TORQUE_SHARE * EFFORT_LIMITS)) ** 2)
    f, g, h = a, b @ np.linalg.solve(effort, b.T), cost
    for _ in range(30):
        w = f @ np.linalg.inv(np.eye(len(f)) + g @ h)
        more = f.T @ h @ np.linalg.solve(np.eye(len(f)) + g @ h, f)
        f, g, h = w @ f, g + w @ g @ f.T, h + 0.5 * (more + more.T)
        if np.abs(more).max() < 1e-9 * np.abs(h).max():
            break
    return np.linalg.solve(effort + b.T @ h @ b, b.T @ h @ a)


def _between(knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate values (K, ...) at knots (frames) to every frame from the first to the last."""
    return make_interp_spline(knots, values, k=1)(np.arange(knots[-1] + 1))


class _Body:
    """The robot's state relative to one supporting foot."""

    def __init__(self, model: mujoco.MjModel, foot: int) -> None:
        self.model, self.data = model, mujoco.MjData(model)
        self._foot = model.body(f"{FEET[foot]}_ankle_roll_link").id
        self._shank = model.body(f"{FEET[foot]}_knee_link").id
        geoms = np.flatnonzero((model.geom_bodyid == self._foot) & (model.geom_type == mujoco.mjtGeom.mjGEOM_SPHERE))
        self._sole, self._radius = geoms, model.geom_size[geoms, 0]

    def set(self, pose: np.ndarray, speed: np.ndarray | float) -> None:
        """Set MuJoCo's position (36,) and velocity (35,), and update the bodies."""
        self.data.qpos[:], self.data.qvel[:] = pose, speed
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)

    def place(self, pose: np.ndarray, speed: np.ndarray | None = None) -> None:
        """Set the pelvis' quaternion and the joint positions (33,), and their velocities (32,), at the origin."""
        self.set(np.r_[0.0, 0.0, 0.0, pose], 0.0 if speed is None else np.r_[0.0, 0.0, 0.0, speed])

    @property
    def heading(self) -> float:
        """rad, of the toes."""
        return yaw_from_matrix(self.data.xmat[self._foot].reshape(3, 3))

    def over(self) -> np.ndarray:
        """(3,) m, from the ankle to the centre of mass, in the world."""
        return self.data.subtree_com[1] - self.data.xpos[self._foot]

    def over_jacobian(self) -> np.ndarray:
        """Jacobian (2, 35) of `over` in the horizontal plane."""
        com, foot = np.zeros((2, 3, self.model.nv))
        mujoco.mj_jacSubtreeCom(self.model, self.data, com, 1)
        mujoco.mj_jacBody(self.model, self.data, foot, None, self._foot)
        return (com - foot)[:2]

    def level_ankle(self) -> np.ndarray:
        """Pitch and roll (2,) rad of the ankle with which the sole is level."""
        up = self.data.xmat[self._shank].reshape(3, 3)[2]
        return np.array([np.arctan2(up[0], up[2]), -np.arcsin(up[1])])

    def on_floor(self, pose: np.ndarray, speed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """MuJoCo's position (36,) and velocity (35,) with the foot at the origin, its toes along x.

        ``pose`` and ``speed`` are as for `place`.
        """
        self.place(pose, speed)
        turn = about_z(-self.heading)
        lowest = float((self.data.geom_xpos[self._sole, 2] - self._radius).mean())
        pos = -turn @ self.data.xpos[self._foot]
        pos[2] = -lowest
        quat = _turned(np.array([0.0, 0.0, -self.heading]), pose[:4])
        foot = np.zeros(6)
        if speed is not None:
            mujoco.mj_comVel(self.model, self.data)
            mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_BODY, self._foot, foot, 0)
        return np.r_[pos, quat, pose[4:]], np.r_[-turn @ foot[3:], self.data.qvel[3:]]
