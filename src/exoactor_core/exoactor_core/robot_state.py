"""State and command of the robot's motors."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from exoactor_core.arrays import constant
from exoactor_core.motion import JOINT_NAMES

NUM_JOINTS = len(JOINT_NAMES)
DAMPING_GAIN = 8.0
"""N m s/rad on every joint while damping, the value of Unitree's own deployment examples."""


_JOINT_ZEROS, _ZEROS_3 = constant(np.zeros(NUM_JOINTS)), constant(np.zeros(3))


@dataclass(frozen=True)
class RobotState:
    """The content of one LowState: all that the controller knows of the robot."""

    time: float
    """s, when it was received (or simulated), on the same clock as ``now`` of `Controller.step`."""
    joint_pos: np.ndarray
    """(29,) rad, in Unitree's motor order like all joint arrays here."""
    joint_vel: np.ndarray
    """(29,) rad/s."""
    quat_wxyz: np.ndarray
    """(4,) orientation of the pelvis by the IMU; its yaw drifts on the robot."""
    ang_vel: np.ndarray
    """(3,) rad/s, gyroscope, pelvis frame."""
    accel: np.ndarray = field(default_factory=lambda: _ZEROS_3)
    """(3,) m/s^2, accelerometer, pelvis frame; zeros where unknown."""
    torque: np.ndarray = field(default_factory=lambda: _JOINT_ZEROS)
    """(29,) N m, the motors' own estimate."""
    temperature: np.ndarray = field(default_factory=lambda: _JOINT_ZEROS)
    """(29,) degrees Celsius, the hotter of each motor's two sensors; 0 where unknown."""
    tick: int = 0
    """The robot's clock, ms."""
    position: np.ndarray | None = None
    """(3,) m, of the pelvis, as estimated by `exoactor_control.controller.odometry.Odometry`; None: not estimated."""
    lin_vel: np.ndarray | None = None
    """(3,) m/s, likewise, in the same axes."""
    mode_machine: int = 0
    """The robot's variant, echoed in LowCmd."""
    mode_pr: int = 0
    """How ankles and waist are measured: 0 as pitch and roll, 1 by their parallel motors A and B."""
    buttons: int = 0
    """Bit mask of the buttons held on the remote: `exoactor_unitree.joystick.Button`."""
    enabled: bool = True
    """Whether a motor is enabled, that is, follows some command."""


@dataclass(frozen=True)
class MotorCommand:
    """Command to the motors: torque = tau + kp (q - joint_pos) + kd (dq - joint_vel). Every array is (29,)."""

    q: np.ndarray = field(default_factory=lambda: _JOINT_ZEROS)
    """rad."""
    dq: np.ndarray = field(default_factory=lambda: _JOINT_ZEROS)
    """rad/s."""
    kp: np.ndarray = field(default_factory=lambda: _JOINT_ZEROS)
    """N m/rad."""
    kd: np.ndarray = field(default_factory=lambda: _JOINT_ZEROS)
    """N m s/rad."""
    tau: np.ndarray = field(default_factory=lambda: _JOINT_ZEROS)
    """N m."""

    @classmethod
    def damping(cls) -> MotorCommand:
        """Damping: every joint resists motion, none holds a position."""
        return cls(kd=np.full(NUM_JOINTS, DAMPING_GAIN))

    def torque(self, joint_pos: np.ndarray, joint_vel: np.ndarray) -> np.ndarray:
        """(29,) N m, torques that the motors exert at this position and velocity."""
        return self.tau + self.kp * (self.q - joint_pos) + self.kd * (self.dq - joint_vel)
