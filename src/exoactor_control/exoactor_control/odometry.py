"""Where the robot has got to, by its own legs: what LowState tells of the pelvis' path over the floor.

The lowest points of the soles stand still on the floor while they bear the robot, so the pelvis moves against them as
the leg joints and the IMU's orientation say. The floor is taken as level and the feet as not sliding; while both feet
are in the air the pelvis is taken to move on against the foot that is lower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from exoactor.robot import Soles

if TYPE_CHECKING:
    from exoactor_control.states import RobotState

_TOUCH = 0.0005
"""m: how much higher than the lowest a point of the soles may be and still count (by exp(-1)) as one that bears.

Found on logs of 47 motions tracked in MuJoCo, with exact sensors and with tilts of 0.5 and 1.1 degrees, encoder offsets
and noise added: 0.0003 to 0.001 m do about equally well, larger ones let the swinging foot in.
"""
_SMOOTHING = 0.1
"""s, time constant of the reported velocity: the steps of the legs' estimate between contacts stay out of it."""
_GAP = 0.2
"""s without a state after which the estimate begins anew from where it was."""


class Odometry:
    """Position and velocity of the pelvis over the floor since the first state, heading by the IMU.

    Give it states at 20 to 100 Hz; each takes less than 0.1 ms. The frame is the one in which the IMU tells the
    heading, its origin is where the pelvis was in the first state.
    """

    def __init__(self) -> None:
        self.position = np.zeros(2)
        """(2,) m, horizontal."""
        self.velocity = np.zeros(2)
        """(2,) m/s, horizontal, smoothed over a step."""
        self.height, self.climb = 0.0, 0.0
        """m, of the pelvis over the lower sole; and m/s, how fast it rises, smoothed alike."""
        self.yaw = 0.0
        """rad, by the IMU, in (-pi, pi]."""
        self._soles = Soles()
        self._points: np.ndarray | None = None
        self._weights = np.zeros(8)
        self._time = -np.inf

    def update(self, state: RobotState) -> None:
        """Take in a newer state; one that is not newer is ignored."""
        dt = state.time - self._time
        if dt <= 0.0:
            return
        points = self._soles.points(state.quat_wxyz, state.joint_pos).reshape(8, 3)
        weights = np.exp((points[:, 2].min() - points[:, 2]) / _TOUCH)
        if dt < _GAP:
            # Only points that bear at both times tell how far the pelvis went between them.
            both = np.sqrt(weights * self._weights) + 1e-12
            step = both @ (self._points - points) / both.sum()
            share = min(dt / _SMOOTHING, 1.0)
            self.position = self.position + step[:2]
            self.velocity = self.velocity + share * (step[:2] / dt - self.velocity)
            self.climb += share * (step[2] / dt - self.climb)
        else:
            self.velocity, self.climb = np.zeros(2), 0.0
        self.height = -float(points[:, 2].min())
        self._points, self._weights, self._time = points, weights, state.time
        w, x, y, z = state.quat_wxyz
        self.yaw = float(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)))
