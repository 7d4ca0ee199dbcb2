"""Follows a trajectory at 50 Hz, with a policy or with plain joint PD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_control.controller.foot_placement import FootPlacement
from exoactor_control.controller.hand_forces import ArmFeedforward, HandForces, HandLoad, dex3_weights
from exoactor_control.controller.hand_reach import HandReach, integrated
from exoactor_control.controller.odometry import Odometry
from exoactor_control.controller.single_support import SingleSupportRegulator
from exoactor_control.policy.policy import PD_KD, PD_KP, Policy
from exoactor_control.reference.trajectory import POLICY_RATE, STANDING_FRAME, Frame, Trajectory, steps_on_the_spot
from exoactor_core.arrays import clip_norm, poses_from_frame
from exoactor_core.motion import JOINT_NAMES
from exoactor_core.robot import EFFORT_LIMITS, JOINT_LIMITS
from exoactor_core.robot_state import RobotState
from exoactor_core.rotations import from_quat, rotate_2d, wrap

HEADING_GAIN, POSITION_GAIN = 3.0, 3.0
"""1/s, default gains of the outer loop, found on the project's test motions; see `TrajectoryTracker`."""
MAX_TURN = 2.0  # rad/s of heading correction
MAX_SPEED = 0.5  # m/s of position correction
# A velocity command alone has little effect if the reference's legs contradict it; a lean has.
LEAN, MAX_LEAN = 0.4, 0.13  # rad of lean per m of position error; rad

# Steps on the spot to the place where the robot should stand, before its hands reach for an object and after a motion
_NEAR, _NEAR_OBJECT, _FACING = 0.08, 0.05, 0.1  # m, m before an object, rad: nearer than this the robot stays
_NEAR_HOLDING = 0.12  # m, with something in one hand: an outstretched arm makes trackers step astray
_STEPS = 4  # before the position is checked again
_ROUNDS = 4
_BENT = 0.02  # rad of a knee from which its foot is in the air
# The same while a motion stands, which continues meanwhile
_NEAR_STANDING, _FACING_STANDING = 0.15, 0.3  # m, rad: nearer than this the robot stays
_STANDING_SPEED, _STANDING_JOINT_SPEED = 0.08, 0.3  # m/s of the pelvis, rad/s of the legs below which a motion stands
_SAME_BEND = 0.3  # rad between the knees when standing on both feet
_WAIST_PITCH = JOINT_NAMES.index("waist_pitch_joint")
_WAIST_GAIN, _MAX_WAIST_OFFSET = 1.5, 0.12
# 1/s and rad: trackers bend the waist by up to 0.2 rad more than the motion with outstretched arms, and even more with
# a load, which tips the robot over. The servo's target is corrected by the integral of this error, within what the
# motor bears continuously.
_STOP_MARGIN, _STOP_EFFORT = 0.03, 0.5  # rad from a stop at which a joint leans on it; share of its torque limit there


@dataclass(frozen=True)
class Additions:
    """What acts on a motion beside the policy."""

    single_support: tuple[SingleSupportRegulator, ...] = ()
    """Hold the robot while the motion stands on one leg."""
    hand_forces: HandForces | None = None
    """Press on the objects that the motion touches."""
    hand_reach: HandReach | None = None
    """Corrects the hands towards these objects."""


class TrajectoryTracker:
    """Tracks a trajectory: knows the robot's place in it, and computes the joint targets.

    Without a ``policy`` the targets are the reference's joint positions. ``heading_gain`` 1/s is the yaw rate added per
    rad of heading error (IMU), reduced in fast walks; ``position_gain`` 1/s the velocity added per m of position error
    (`exoactor_control.controller.odometry.Odometry`). There is no such feedback around a policy that observes its own
    position and heading, nor in a motion with `RobotMotion.open_loop`.

    The trajectory is placed in the world at `start`, and again when the motion itself begins: its first frame has the
    robot's position and heading. The policy is commanded the trajectory's velocities plus the feedback of both errors,
    in the frame of the robot's heading, a lean towards the reference position, and the motion's reference correction,
    if any.
    """

    def __init__(self, policy: Policy | None, heading_gain: float, position_gain: float) -> None:
        self.policy = self._first_policy = policy
        self._observes_position = policy is not None and not policy.spec.outer_loop
        if self._observes_position:
            heading_gain = position_gain = 0.0
        self.heading_gain, self.position_gain = heading_gain, position_gain
        self.kp, self.kd = (PD_KP, PD_KD) if policy is None else (policy.kp, policy.kd)
        self._arms = ArmFeedforward(self.kp, self.kd)
        self._weights: list[HandLoad] = []
        self.target = STANDING_FRAME.joint_pos
        """(29,) rad, of the last tick."""
        self.frame: Frame = STANDING_FRAME
        """The frame being commanded."""
        self.trajectory: Trajectory | None = None
        self.odometry = Odometry()
        """Estimate of the robot's position, updated at every tick."""
        self.reference_position = np.zeros(2)
        """(2,) m, desired position of the pelvis now, in the frame of `odometry`."""
        self._index = 0
        self._steps: list[tuple[np.ndarray, np.ndarray]] = []
        """Steps on the spot still to be taken before the trajectory continues: what each frame adds to joint positions
        and velocities."""
        self._placement = FootPlacement()
        self._rounds = 0  # of steps
        self._stepping: list[np.ndarray] = []
        """Steps on the spot likewise, while the trajectory continues: what each frame adds to the joint positions."""
        self._additions = Additions()
        self._waist_offset = 0.0  # rad, of the waist pitch target
        self._yaw_offset, self._origin = 0.0, np.zeros(2)  # of the trajectory's frame in the odometry's
        self._moved = np.zeros(2)  # of the origin, towards observed objects

    def start(
        self,
        trajectory: Trajectory,
        state: RobotState,
        keep_policy: bool,
        keep_position: bool = False,
        additions: Additions | None = None,
        policy: Policy | None = None,
    ) -> None:
        """Begin a trajectory now.

        ``keep_policy``: the policy continues with its history. ``keep_position``: the trajectory begins at the desired
        position and heading at the end of the previous one, rather than at the actual ones; not after a trajectory with
        an open outer loop. ``additions`` act beside the policy. ``policy`` takes over now; None: the present one
        continues, or the tracker's original one if ``keep_policy`` is False.
        """
        self.odometry.update(state)
        keep_position = keep_position and not (self.trajectory is not None and self.trajectory.open_loop)
        if not keep_policy:
            self.policy = self._first_policy
            if self.policy is not None:
                self.policy.reset()
        elif policy is not None and policy is not self.policy:
            self.policy = policy
            policy.reset()
        yaw, position = (
            (self.frame.yaw, self.reference_position) if keep_position else (self.odometry.yaw, self.odometry.position)
        )
        if not keep_policy:
            self.target, self.frame = state.joint_pos, trajectory.frame(0)
        self.trajectory, self._index = trajectory, 0
        self._steps, self._stepping, self._rounds, self._placement = [], [], 0, FootPlacement()
        self._additions, self._moved, self._waist_offset = additions or Additions(), np.zeros(2), 0.0
        self._align(0, yaw, position)

    @property
    def _current(self) -> Trajectory:
        if self.trajectory is None:
            raise RuntimeError("start comes first.")
        return self.trajectory

    def tick(self, state: RobotState) -> None:
        """Advance by one frame."""
        self.odometry.update(state)
        now, trajectory = self._index, self._current
        reach = self._additions.hand_reach
        if reach is not None:  # objects stay where they are
            self._moved = reach.moved(now - trajectory.begin, (self._origin, self._yaw_offset))
        elif now == trajectory.begin < trajectory.end:  # ignore the drift during the blend-in
            self._align(now, self.odometry.yaw, self.odometry.position)
        if reach is not None and now - trajectory.begin in reach.stances and not self._steps:
            near = _NEAR_HOLDING if reach.in_one_hand(now - trajectory.begin) else _NEAR_OBJECT
            self._rounds = self._rounds if self.settle(near) else 0
        frame = self._stepped(self._ahead(0))
        assert frame.position is not None  # set by _ahead
        self.reference_position = frame.position[:2]
        if reach is not None:
            o = self.odometry
            turned = Rotation.from_matrix(from_quat(state.quat_wxyz) @ frame.rotation.T).as_rotvec()
            sway = np.array([*(o.position - self.reference_position), o.height - frame.height, *turned])
            to_odometry = (self._origin + self._moved, self._yaw_offset)
            frame = reach.corrected(now - trajectory.begin, frame, sway, to_odometry, state.joint_pos)
        self.frame = frame
        self.target = frame.joint_pos if self.policy is None else self._act(self.policy, frame, state)
        if self._steps:
            self._steps.pop(0)
        else:
            self._index += 1

    def _act(self, policy: Policy, frame: Frame, state: RobotState) -> np.ndarray:
        """Joint targets (29,) of the policy with the additions."""
        trajectory, now = self._current, self._index
        heading_gain, position_gain = (0.0, 0.0) if trajectory.open_loop else (self.heading_gain, self.position_gain)
        # position error in the frame of the robot's heading
        behind = rotate_2d(-self.odometry.yaw, self.reference_position - self.odometry.position)
        yaw_error = wrap(frame.yaw - self.odometry.yaw)
        velocity, lean, turning = outer_loop_feedback(
            frame.lin_vel_xy, behind if position_gain else np.zeros(2), yaw_error, heading_gain, position_gain
        )
        if position_gain and self._additions.hand_reach is not None:
            joints, on = self._placement.update(self._swings(), behind)
            frame = replace(frame, joint_pos=frame.joint_pos + joints)
            velocity = velocity + on
        forces = self._additions.hand_forces
        loads = [*self._weights, *(forces.at(now - trajectory.begin) if forces else ())]
        if loads:
            self._arms.update(state)
        if loads and position_gain:
            lean = lean + self._arms.lean(loads)
        commanded = replace(
            frame,
            lin_vel_xy=rotate_2d(yaw_error, frame.lin_vel_xy) + velocity,
            roll_pitch=frame.roll_pitch + lean,
            yaw_rate=frame.yaw_rate + float(turning),
        ).corrected(trajectory.correction_at(now))
        o = self.odometry
        position, velocity = np.array([*o.position, o.height]), np.array([*o.velocity, o.climb])
        seen = replace(state, position=position, lin_vel=velocity)
        target = policy.act(seen, commanded, self._ahead)
        for regulator in self._additions.single_support:
            pose, speed = np.r_[state.quat_wxyz, state.joint_pos], np.r_[state.ang_vel, state.joint_vel]
            target = regulator.mixed(now - trajectory.begin, target, pose, speed)
        self.kp, self.kd = self._arms.gains(loads)
        if loads:
            target = target + self._arms.offsets(loads, self.kp)
        if self._additions.hand_reach is not None:
            short = (frame.joint_pos - state.joint_pos)[_WAIST_PITCH]
            self._waist_offset = float(integrated(self._waist_offset, short, _WAIST_GAIN, _MAX_WAIST_OFFSET))
            target = target.copy()
            target[_WAIST_PITCH] += self._waist_offset
        return _on_stops(target, frame.joint_pos, state.joint_pos, self.kp)

    def fit_hands(self, fitted: Sequence[bool]) -> None:
        """Set which hands, left and right, are Dex3-1: their weight is compensated."""
        self._weights = dex3_weights(fitted)

    def observe(self, object_id: str, pose: np.ndarray, state: RobotState) -> None:
        """Update the pose of an object: position and quaternion (7,), m and w, x, y, z, in the frame of the pelvis."""
        reach = self._additions.hand_reach
        if reach is None or not reach.follows(object_id):
            return
        pelvis = np.array([*self.odometry.position, self.odometry.height, *state.quat_wxyz])
        reach.observe(object_id, poses_from_frame(pelvis, pose[None])[0])

    def _align(self, index: int, yaw: float, position: np.ndarray) -> None:
        """Move and turn the trajectory in the world so that its frame ``index`` has this heading and position."""
        self._yaw_offset = yaw - float(self._current.roll_pitch_yaw[index, 2])
        self._origin = position - rotate_2d(self._yaw_offset, self._current.root_pos[index, :2])
        self.reference_position = position

    def settle(self, near: float = _NEAR) -> bool:
        """Take steps if the robot is farther than ``near`` m from where it should stand; says whether it takes any.

        Used after a trajectory's end and before the hands reach: a robot on both feet cannot correct its position.
        """
        if self._rounds == _ROUNDS:
            return False
        joints = self._steps_back(self._ahead(0), _STEPS, near, _FACING)
        if not len(joints):
            return False
        self._steps = list(zip(joints, np.gradient(joints, 1.0 / POLICY_RATE, axis=0), strict=True))
        self._rounds += 1
        return True

    def _steps_back(self, goal: Frame, count: int, near: float, facing: float) -> np.ndarray:
        """What ``count`` steps on the spot add to the joints (T, 29); (0, 29) if the robot is near the goal.

        Near is within ``near`` m and ``facing`` rad.
        """
        keeps_position = self._observes_position or self.position_gain
        assert goal.position is not None  # set by `_ahead`
        off = rotate_2d(-goal.yaw, goal.position[:2] - self.odometry.position)
        is_near = np.linalg.norm(off) < near and abs(wrap(goal.yaw - self.odometry.yaw)) < facing
        if self.policy is None or not keeps_position or self._current.open_loop or is_near:
            return steps_on_the_spot(0)
        return steps_on_the_spot(count, 0 if off[1] > 0.0 else 1)

    def _stepped(self, frame: Frame) -> Frame:
        """The frame, with steps on the spot if the motion stands and the robot is off its place, e.g. after a push."""
        if not self._stepping and self._stands():
            self._stepping = list(self._steps_back(frame, 2, _NEAR_STANDING, _FACING_STANDING))
        return replace(frame, joint_pos=frame.joint_pos + self._stepping.pop(0)) if self._stepping else frame

    def _stands(self) -> bool:
        """Whether the motion stands on both feet for the coming second, and nothing else corrects the legs."""
        trajectory, now = self._current, self._index
        coming = slice(now, now + round(POLICY_RATE))
        inside = trajectory.begin <= now and coming.stop <= trajectory.end
        if self._steps or self._additions != Additions() or not inside:
            return False
        still = np.abs(trajectory.lin_vel_xy[coming]).max() < _STANDING_SPEED
        knees = trajectory.joint_pos[now, [3, 9]]
        both = abs(knees[0] - knees[1]) < _SAME_BEND
        return bool(still and both and np.abs(trajectory.joint_vel[coming, :12]).max() < _STANDING_JOINT_SPEED)

    def _ahead(self, ticks: int) -> Frame:
        """The frame so many ticks from now, with its heading in the IMU's frame and its position in the odometry's."""
        trajectory = self._current
        index = self._index + max(ticks - len(self._steps), 0)
        frame = trajectory.frame(index).turned(self._yaw_offset)
        position = (
            self._origin
            + self._moved
            + rotate_2d(self._yaw_offset, trajectory.root_pos[min(index, len(trajectory) - 1), :2])
        )
        frame = replace(frame, position=np.array([*position, frame.height]))
        if ticks >= len(self._steps):
            return frame
        joints, speeds = self._steps[ticks]
        still = replace(frame, lin_vel_xy=np.zeros(2), lin_vel_z=0.0, yaw_rate=0.0, ang_vel_xy=np.zeros(2))
        return replace(still, joint_pos=frame.joint_pos + joints, joint_vel=speeds)

    def _swings(self) -> np.ndarray:
        """(2,) whether each foot of the reference is in the air now."""
        if self._steps:
            return self._steps[0][0][[3, 9]] > _BENT
        contacts, index = self._current.contacts, self._index - self._current.begin
        stands = (
            contacts[index] > 0.5 if contacts is not None and 0 <= index < len(contacts) else np.ones(2, dtype=bool)
        )
        return ~stands & stands[::-1]  # sliding or jumping feet are not placed

    @property
    def runaway_errors(self) -> tuple[float, float]:
        """Position error, m, and speed in excess of the reference's, m/s, by odometry."""
        o = self.odometry
        far = float(np.linalg.norm(self.reference_position - o.position))
        return far, float(np.linalg.norm(o.velocity) - np.linalg.norm(self.frame.lin_vel_xy))

    @property
    def lost(self) -> str:
        """Id of an object that the motion should have in hand but has lost; empty: none."""
        reach = self._additions.hand_reach
        return "" if reach is None else reach.lost

    @property
    def finished(self) -> bool:
        """Whether the trajectory has been commanded to its end."""
        return self.trajectory is not None and self._index >= len(self.trajectory) and not self._steps

    @property
    def progress(self) -> float:
        """Share of the trajectory commanded so far, up to the end of its motion."""
        return 0.0 if self.trajectory is None else min(self._index / self.trajectory.end, 1.0)

    @property
    def motion_index(self) -> int:
        """Index of the commanded frame in the motion itself; negative in the blend-in."""
        return 0 if self.trajectory is None else max(self._index - 1, 0) - self.trajectory.begin


def _on_stops(target: np.ndarray, reference: np.ndarray, joint_pos: np.ndarray, kp: np.ndarray) -> np.ndarray:
    """Joint targets (29,) with reduced drive of a waist pitch that leans on its forward stop, as in the reference.

    The stop bears the trunk when bending down to the floor, which the motor could not.
    """
    stop = JOINT_LIMITS[_WAIST_PITCH, 1] - _STOP_MARGIN
    if min(reference[_WAIST_PITCH], joint_pos[_WAIST_PITCH]) > stop:
        most = _STOP_EFFORT * EFFORT_LIMITS[_WAIST_PITCH] / kp[_WAIST_PITCH]
        target = target.copy()
        target[_WAIST_PITCH] = max(target[_WAIST_PITCH], joint_pos[_WAIST_PITCH] - most)
    return target


def outer_loop_feedback(
    lin_vel_xy: np.ndarray,
    behind: np.ndarray,
    yaw_error: float | np.ndarray,
    heading_gain: float | np.ndarray,
    position_gain: float | np.ndarray,
    lean_gain: float | np.ndarray = LEAN,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Feedback of heading and position error that is added to the policy's command; for one robot or for many.

    ``lin_vel_xy`` (..., 2) m/s is the reference's: a fast walk tolerates less feedback than a slow one (with TWIST2),
    and correcting the pelvis' sway would slow it down. ``behind`` (..., 2) m leads from the robot to its reference
    position, in the frame of its heading; ``yaw_error`` (...) rad from its heading to the desired one. ``heading_gain``
    is (...) 1/s, ``position_gain`` and ``lean_gain`` are (..., 1) 1/s and rad/m.

    Returns velocity (..., 2) m/s, roll and pitch (..., 2) rad, and yaw rate (...) rad/s to add, each limited.
    """
    share = np.clip(1.5 - np.linalg.norm(lin_vel_xy, axis=-1, keepdims=True) / 0.8, 0.25, 1.0)
    velocity = share * clip_norm(position_gain * behind, MAX_SPEED)
    lean = share * clip_norm(lean_gain * behind[..., ::-1] * (-1.0, 1.0), MAX_LEAN)
    turning = 0.5 * (1.0 + share[..., 0]) * heading_gain * yaw_error
    return velocity, lean, np.clip(turning, -MAX_TURN, MAX_TURN)
