"""Follows a trajectory, 50 times a second: with a policy, or with nothing but the joints' PD."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from exoactor_control.policy import PD_KD, PD_KP, Policy, roll_pitch_yaw
from exoactor_control.reference import STANDING_FRAME, Frame, Trajectory

if TYPE_CHECKING:
    from exoactor_control.states import RobotState

_MAX_CORRECTION = 0.5  # rad/s of heading correction


class Tracker:
    """Where the robot is in a trajectory, and the joint targets there.

    Parameters
    ----------
    policy
        None: the targets are the reference's own joint positions.
    heading_gain
        1/s; yaw rate added per radian of heading error by the IMU since `start`.
    """

    def __init__(self, policy: Policy | None, heading_gain: float) -> None:
        self.policy = policy
        self.heading_gain = heading_gain
        self.kp, self.kd = (PD_KP, PD_KD) if policy is None else (policy.kp, policy.kd)
        self.target = STANDING_FRAME.joint_pos
        """(29,) rad, of the last tick."""
        self.frame: Frame = STANDING_FRAME
        """What is being commanded."""
        self.trajectory: Trajectory | None = None
        self._index = 0
        self._yaw_offset = 0.0

    def start(self, trajectory: Trajectory, state: RobotState, keep_policy: bool) -> None:
        """Begin a trajectory here and now; ``keep_policy``: the policy runs on, its history stays."""
        if self.policy is not None and not keep_policy:
            self.policy.reset()
        if not keep_policy:
            self.target, self.frame = state.joint_pos, trajectory.frame(0)
        self.trajectory, self._index = trajectory, 0
        self._yaw_offset = float(roll_pitch_yaw(state.quat_wxyz)[2]) - float(trajectory.roll_pitch_yaw[0, 2])

    def tick(self, state: RobotState) -> None:
        """Advance by one frame."""
        now = self._index
        frame = self._ahead(now)
        self._index += 1
        self.frame = frame
        if self.policy is None:
            self.target = frame.joint_pos
            return
        error = frame.yaw - float(roll_pitch_yaw(state.quat_wxyz)[2])
        error = (error + np.pi) % (2.0 * np.pi) - np.pi
        turn = float(np.clip(self.heading_gain * error, -_MAX_CORRECTION, _MAX_CORRECTION))
        frame = replace(frame, yaw_rate=frame.yaw_rate + turn)
        self.target = self.policy.act(state, frame, lambda steps: self._ahead(now + steps))

    def _ahead(self, index: int) -> Frame:
        """Frame of the trajectory, its heading in the world of the robot's IMU."""
        return self.trajectory.frame(index).turned(self._yaw_offset)

    @property
    def finished(self) -> bool:
        """The trajectory has been commanded to its end."""
        return self.trajectory is not None and self._index >= len(self.trajectory)

    @property
    def progress(self) -> float:
        """Share of the trajectory commanded so far."""
        return 0.0 if self.trajectory is None else min(self._index / len(self.trajectory), 1.0)

    @property
    def motion_index(self) -> int:
        """Index of the commanded frame in the motion itself, negative in the blend-in."""
        return 0 if self.trajectory is None else max(self._index - 1, 0) - self.trajectory.begin
