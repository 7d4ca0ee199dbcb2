"""Reports of the control loop to its owner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exoactor_control.controller.state_machine import Status
from exoactor_core.robot_state import RobotState


@dataclass(frozen=True)
class Sample:
    """State at one step of the loop while a motion was tracked."""

    index: int
    """Frame of the motion at 50 Hz."""
    state: RobotState
    truth: tuple[np.ndarray, np.ndarray] | None
    """Simulation's position and orientation of the pelvis, for metrics only."""
    saturated: bool
    """Whether a motor was at its torque limit."""
    position: np.ndarray
    """(2,) m, of the pelvis, by leg odometry."""


@dataclass(frozen=True)
class Report:
    """Report of the loop, at about 50 Hz."""

    state: RobotState | None
    truth: tuple[np.ndarray, np.ndarray] | None
    status: Status
    error: str
    """Why the robot cannot be driven, one sentence; empty if it can."""
    driving: bool
    """Whether the motors are this controller's."""
    holder: str
    """Who has the motors if they are not this controller's, one clause; empty: unknown."""
    go_presses: int
    """Number of times that the operator has pressed "go" on the remote."""
    inference_ms: float
    """Mean inference time of the policy; 0 without one."""
    band: bool
    """Whether there is no policy, so that the robot must hang on the band."""
    finished: bool
    """`TrajectoryTracker.finished`."""
    number: int
    """Sequence number; a request's answer tells which reports began after it."""
    motion: int
    """Number given to the motion in `ControlLoop.track`."""
    pelvis: np.ndarray
    """(7,) m and w, x, y, z, by leg odometry and IMU; constant while nothing is tracked."""
    hands: tuple[bytes | None, ...] = (None, None)
    """Last state messages of the Dex3 hands, left and right (see `exoactor_unitree.dex3.hand_positions`)."""
    stop_count: int = 0
    """Number of times that the robot has been stopped."""
    samples: tuple[Sample, ...] = ()
    """Samples since the last report."""
