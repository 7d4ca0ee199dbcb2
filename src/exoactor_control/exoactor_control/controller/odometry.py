"""Leg odometry: the pelvis' path over the floor from LowState.

The lowest points of the soles stand still on the floor while they support the robot, so that the leg joints and the
IMU's orientation give the motion of the pelvis relative to them; the floor is assumed level. The velocity is integrated
from the accelerometer and corrected towards that of the legs, with a bounded innovation, since a foot that slides or
lands on its edge is wrong for a few hundredths of a second, and the accelerometer for seconds. In free fall the legs
give no information. (A complementary filter with a bounded innovation.)

The accelerometer is integrated at the rate of LowState (IMU preintegration), since foot impacts are over before the
next update.
"""

from __future__ import annotations

import numpy as np

from exoactor_core.arrays import clip_norm
from exoactor_core.robot import Soles, forward_kinematics, standing_motion
from exoactor_core.robot_state import RobotState
from exoactor_core.rotations import from_quat, yaw_from_quat

# Found on logs of motions tracked in MuJoCo; half or twice these values are only slightly worse.
_CONTACT_HEIGHT = 0.0003
"""m above the lowest point of the soles at which a point's weight as a support point has fallen to exp(-1)."""
_LEGS_TIME_CONSTANT = 0.017
"""s, time constant with which the velocity is corrected towards that of the legs."""
_MAX_INNOVATION = 0.15
"""m/s: larger differences between the two are clipped to this."""
_FREE_FALL_ACCELERATION = 4.0
"""m/s^2: with less upward acceleration than this the robot is in free fall, however the legs move."""
_VELOCITY_TIME_CONSTANT = 0.1
"""s, time constant of the reported velocity, which smooths steps of the legs' estimate between contacts."""
_MAX_GAP_SECONDS = 0.2
"""s without a state after which the estimate restarts from its last value."""


class Odometry:
    """Position and velocity of the pelvis over the floor since the first state; heading from the IMU.

    Call `update` with states at 20 to 100 Hz (less than 0.1 ms each), and `integrate` with every state, including those
    between updates. The frame has the IMU's heading; its origin is the position of the pelvis in the first state.
    """

    def __init__(self) -> None:
        self.position = np.zeros(2)
        """(2,) m, horizontal."""
        self.velocity = np.zeros(2)
        """(2,) m/s, horizontal, smoothed over about a step."""
        self.height, self.climb = 0.0, 0.0
        """m, of the pelvis above the lower sole; and m/s, its vertical velocity, smoothed likewise."""
        self.yaw = 0.0
        """rad, from the IMU, in (-pi, pi]."""
        self._soles = Soles()
        self._points: np.ndarray | None = None
        self._weights = np.zeros(8)
        self._speed = np.zeros(2)
        self._time = -np.inf
        pelvis, imu = forward_kinematics(standing_motion(), ("pelvis", "imu_in_pelvis"))[0]
        self._imu = imu - pelvis
        self._imu_velocity = np.zeros(3)  # m/s, due to the pelvis' rotation
        self._felt, self._felt_time = np.zeros(3), -np.inf  # m/s, from the accelerometer since the last update

    def integrate(self, state: RobotState) -> None:
        """Integrate the accelerometer of a newer state."""
        dt = state.time - self._felt_time
        if 0.0 < dt < _MAX_GAP_SECONDS:
            self._felt = self._felt + from_quat(state.quat_wxyz) @ state.accel * dt
        self._felt_time = max(state.time, self._felt_time)

    def update(self, state: RobotState) -> None:
        """Update with a newer state; one that is not newer is ignored."""
        dt = state.time - self._time
        if dt <= 0.0:
            return
        self.integrate(state)
        points = self._soles.points(state.quat_wxyz, state.joint_pos).reshape(8, 3)
        weights = np.exp((points[:, 2].min() - points[:, 2]) / _CONTACT_HEIGHT)
        if dt < _MAX_GAP_SECONDS:
            # Only points that support the robot at both times show the pelvis' motion between them.
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
        """(2,) m/s, fused from accelerometer and legs ((2,) m/s); ``dt`` s after the state before."""
        before = self._imu_velocity
        self._imu_velocity = from_quat(state.quat_wxyz) @ np.cross(state.ang_vel, self._imu)
        if not state.accel.any():  # not measured
            return by_legs
        gained = self._felt - (self._imu_velocity - before)  # of the pelvis, and against gravity
        speed = self._speed + gained[:2]
        trust = 0.0 if gained[2] < _FREE_FALL_ACCELERATION * dt else 1.0 - np.exp(-dt / _LEGS_TIME_CONSTANT)
        return speed + trust * clip_norm(by_legs - speed, _MAX_INNOVATION)
