"""Where the robot is, by its own legs: what LowState says about the pelvis' path over the floor.

The lowest points of the soles stand still on the floor while they support the robot, so the pelvis moves against them
as the leg joints and the IMU's orientation say; the floor is taken as level. Its speed is carried on by the
accelerometer and drawn to what the legs say, but no faster than a foot that slides, or comes down on its edge, would
have it: such a foot errs for a few hundredths of a second, the accelerometer over seconds. While the robot falls freely
the legs say nothing. (A complementary filter with a bounded innovation.) The accelerometer is integrated at the rate of
LowState (IMU preintegration): a foot's coming down is over before the next update.
"""

from __future__ import annotations

import numpy as np

from exoactor_core.arrays import clip_norm
from exoactor_core.robot import Soles, forward_kinematics, standing_motion
from exoactor_core.robot_state import RobotState
from exoactor_core.rotations import from_quat, yaw_from_quat

# These were found on logs of motions tracked in MuJoCo; half or twice as much does little worse.
_CONTACT_HEIGHT = 0.0003
"""m: how much higher than the lowest a point of the soles may be and still count (by exp(-1)) as one in support."""
_LEGS_TIME_CONSTANT = 0.017
"""s, time constant with which the speed is drawn to what the legs say."""
_MAX_INNOVATION = 0.15
"""m/s: a difference between the two that is larger counts as this much."""
_FREE_FALL_ACCELERATION = 4.0
"""m/s^2: an accelerometer that feels less than this upward is in free fall, however the legs swing."""
_VELOCITY_TIME_CONSTANT = 0.1
"""s, time constant of the reported velocity: the steps of the legs' estimate between contacts stay out of it."""
_MAX_GAP_SECONDS = 0.2
"""s without a state after which the estimate restarts from where it was."""


class Odometry:
    """Position and velocity of the pelvis over the floor since the first state, heading by the IMU.

    Give `update` states at 20 to 100 Hz; each takes less than 0.1 ms. Give `integrate` every state, those between the
    updates too. The frame is the one in which the IMU measures the heading, its origin is where the pelvis was in the
    first state.
    """

    def __init__(self) -> None:
        self.position = np.zeros(2)
        """(2,) m, horizontal."""
        self.velocity = np.zeros(2)
        """(2,) m/s, horizontal, smoothed over a step."""
        self.height, self.climb = 0.0, 0.0
        """m, of the pelvis over the lower sole; and m/s, how fast it rises, smoothed likewise."""
        self.yaw = 0.0
        """rad, by the IMU, in (-pi, pi]."""
        self._soles = Soles()
        self._points: np.ndarray | None = None
        self._weights = np.zeros(8)
        self._speed = np.zeros(2)
        self._time = -np.inf
        pelvis, imu = forward_kinematics(standing_motion(), ("pelvis", "imu_in_pelvis"))[0]
        self._imu = imu - pelvis
        self._imu_velocity = np.zeros(3)  # m/s, from the pelvis, as it turns
        self._felt, self._felt_time = np.zeros(3), -np.inf  # m/s by the accelerometer since the last update

    def integrate(self, state: RobotState) -> None:
        """Take in what the accelerometer feels, from a newer state."""
        dt = state.time - self._felt_time
        if 0.0 < dt < _MAX_GAP_SECONDS:
            self._felt = self._felt + from_quat(state.quat_wxyz) @ state.accel * dt
        self._felt_time = max(state.time, self._felt_time)

    def update(self, state: RobotState) -> None:
        """Take in a newer state; one that is not newer is ignored."""
        dt = state.time - self._time
        if dt <= 0.0:
            return
        self.integrate(state)
        points = self._soles.points(state.quat_wxyz, state.joint_pos).reshape(8, 3)
        weights = np.exp((points[:, 2].min() - points[:, 2]) / _CONTACT_HEIGHT)
        if dt < _MAX_GAP_SECONDS:
            # Only points in support at both times show how far the pelvis went between them.
            both = np.sqrt(weights * self._weights) + 1e-12
            step = both @ (self._points - points) / both.sum()
            self._speed = self._filtered(step[:2] / dt, state, dt)
            share = min(dt / _VELOCITY_TIME_CONSTANT, 1.0)
            self.position = self.position + self._speed * dt
            self.velocity = self.velocity + share * (self._speed - self.velocity)
            self.climb += share * (step[2] / dt - self.climb)
        else:
            self.velocity, self.climb, self._speed = np.zeros(2), 0.0, np.zeros(2)
        self.height = -float(points[:, 2].min())
        self._points, self._weights, self._time = points, weights, state.time
        self._felt = np.zeros(3)
        self.yaw = float(yaw_from_quat(state.quat_wxyz))

    def _filtered(self, by_legs: np.ndarray, state: RobotState, dt: float) -> np.ndarray:
        """(2,) m/s since the state before, ``dt`` s ago: by the accelerometer and, (2,) m/s, the legs."""
        before = self._imu_velocity
        self._imu_velocity = from_quat(state.quat_wxyz) @ np.cross(state.ang_vel, self._imu)
        if not state.accel.any():  # not measured
            return by_legs
        gained = self._felt - (self._imu_velocity - before)  # of the pelvis, and against gravity
        speed = self._speed + gained[:2]
        trust = 0.0 if gained[2] < _FREE_FALL_ACCELERATION * dt else 1.0 - np.exp(-dt / _LEGS_TIME_CONSTANT)
        return speed + trust * clip_norm(by_legs - speed, _MAX_INNOVATION)
