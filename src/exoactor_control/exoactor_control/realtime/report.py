"""What the control loop reports to whoever started it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exoactor_control.controller.state_machine import Status
from exoactor_core.robot_state import RobotState


@dataclass(frozen=True)
class Sample:
    """What one step of the loop saw while a motion was tracked."""

    index: int
    """Frame of the motion at 50 Hz."""
    state: RobotState
    truth: tuple[np.ndarray, np.ndarray] | None
    """Simulation's position and orientation of the pelvis, for metrics alone."""
    saturated: bool
    """A motor was at its torque limit."""
    position: np.ndarray
    """(2,) m, of the pelvis, by the legs' odometry."""


@dataclass(frozen=True)
class Report:
    """What the loop has to say, some 50 times a second."""

    state: RobotState | None
    truth: tuple[np.ndarray, np.ndarray] | None
    status: Status
    error: str
    """Why the robot cannot be driven, one sentence; empty when it can."""
    driving: bool
    """The motors are this controller's."""
    holder: str
    """Who has the motors where they are not this controller's, one clause; empty: not known."""
    go_presses: int
    """How often the operator pressed "go" on the remote so far."""
    inference_ms: float
    """Mean time of the policy's inference; 0 without one."""
    band: bool
    """There is no policy: the robot must hang in the band."""
    finished: bool
    """`TrajectoryTracker.finished`."""
    number: int
    """Of this report; a request's answer tells which reports began after it."""
    motion: int
    """Number given to the motion in `ControlLoop.track`."""
    pelvis: np.ndarray
    """(7,) m and w, x, y, z, by the legs' odometry and the IMU; while nothing is followed it stays where it was."""
    hands: tuple[bytes | None, ...] = (None, None)
    """What the Dex3 hands, left and right, said last (see `exoactor_unitree.dex3.hand_positions`)."""
    stop_count: int = 0
    """How often the robot was stopped so far."""
    samples: tuple[Sample, ...] = ()
    """What was seen of it since the last report."""
