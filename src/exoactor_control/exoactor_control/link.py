"""The link to a G1 over Unitree's DDS topics: the same for the simulated and the real robot."""

from __future__ import annotations

import threading
import time

import numpy as np

from exoactor import unitree
from exoactor.errors import Missing
from exoactor.motion import JOINT_NAMES
from exoactor_control.states import MotorCommand, RobotState

_NUM = len(JOINT_NAMES)


class RobotLink:
    """Keeps the newest LowState and sends LowCmd.

    Parameters
    ----------
    network_interface
        ``lo`` for the simulator, the interface of the robot's cable for the robot.
    domain
        DDS domain: 1 for the simulator, 0 for the robot, by Unitree's habit.

    Raises
    ------
    Missing, BadInput
        As `exoactor.unitree.open_dds`.
    """

    def __init__(self, network_interface: str = "lo", domain: int = 1) -> None:
        unitree.open_dds(network_interface, domain)
        self.network_interface, self.domain = network_interface, domain
        self.rejected = 0
        """LowState with a wrong checksum so far."""
        self._arrived = threading.Condition()
        self._message: unitree.LowState_ | None = None
        self._received = 0.0
        self._truth: tuple[np.ndarray, np.ndarray, float] | None = None
        self._command = unitree.low_cmd()
        self._out = unitree.Publisher(unitree.LOW_CMD_TOPIC, unitree.LowCmd_)
        self._in = unitree.Subscriber(unitree.LOW_STATE_TOPIC, unitree.LowState_, self._on_state)
        self._truth_in = unitree.Subscriber(unitree.TRUTH_TOPIC, unitree.SportModeState_, self._on_truth)
        self._switcher: unitree.MotionSwitcherClient | None = None

    def _on_state(self, message: unitree.LowState_) -> None:
        if unitree.crc(message) != message.crc:
            self.rejected += 1
            return
        with self._arrived:
            self._message, self._received = message, time.monotonic()
            self._arrived.notify_all()

    def _on_truth(self, message: unitree.SportModeState_) -> None:
        self._truth = np.array(message.position), np.array(message.imu_state.quaternion), time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the newest LowState came; inf before the first."""
        return time.monotonic() - self._received if self._message is not None else float("inf")

    def wait_for_state(self, timeout: float = 3.0) -> None:
        """Return when a fresh LowState is there.

        Raises
        ------
        Missing
            None came within ``timeout`` seconds.
        """
        asked = time.monotonic()
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._received > asked - 0.1 and self._message is not None, timeout):
                raise Missing(
                    f"No LowState on {unitree.LOW_STATE_TOPIC} of interface {self.network_interface}, "
                    f"domain {self.domain} within {timeout:g} s: is the robot (or exoactor_sim) on, "
                    "and on this interface?"
                )

    def release_motion_switcher(self, timeout: float = 5.0) -> str:
        """Make the robot's own controller let go of the motors.

        Returns
        -------
        str
            Name of the controller that was active; '' when none was.

        Raises
        ------
        Missing
            The service does not answer, or its controller does not let go, within ``timeout`` seconds.
        """
        if self._switcher is None:
            self._switcher = unitree.MotionSwitcherClient()
        end = time.monotonic() + timeout
        first: str | None = None
        while True:
            active = self._switcher.check()
            first = active if first is None else first
            if active == "":
                return first or ""
            if time.monotonic() > end:
                break
            if active is not None:
                self._switcher.release()
            time.sleep(0.05)
        why = "does not answer" if active is None else f"does not release the controller '{active}'"
        raise Missing(f"The robot's motion switcher {why} within {timeout:g} s: put the robot in debug mode (L2 + R2).")

    def read(self) -> RobotState | None:
        """State in the newest LowState, None before the first; ``time`` is its reception on the monotonic clock."""
        message, received = self._message, self._received
        if message is None:
            return None
        motors = np.array([(s.q, s.dq, s.tau_est, max(s.temperature)) for s in message.motor_state[:_NUM]]).T
        imu = message.imu_state
        return RobotState(
            time=received,
            joint_pos=motors[0],
            joint_vel=motors[1],
            quat_wxyz=np.array(imu.quaternion),
            ang_vel=np.array(imu.gyroscope),
            accel=np.array(imu.accelerometer),
            torque=motors[2],
            temperature=motors[3],
            tick=message.tick,
            mode_machine=message.mode_machine,
        )

    def truth(self, max_age: float = 0.5) -> tuple[np.ndarray, np.ndarray] | None:
        """Pelvis position (3,) m and orientation (4,) wxyz that a simulator publishes, for metrics and display alone.

        None on a robot, or when older than ``max_age`` s.
        """
        truth = self._truth
        return None if truth is None or time.monotonic() - truth[2] > max_age else truth[:2]

    def write(self, command: MotorCommand) -> None:
        """Send a command for the 29 motors, with the robot's own mode bytes and the checksum."""
        m, state = self._command, self._message
        m.mode_pr = 0  # ankles and waist as pitch and roll
        m.mode_machine = unitree.MODE_MACHINE_29DOF if state is None else state.mode_machine
        rows = zip(
            command.q.tolist(),
            command.dq.tolist(),
            command.tau.tolist(),
            command.kp.tolist(),
            command.kd.tolist(),
            strict=True,
        )
        for motor, (q, dq, tau, kp, kd) in zip(m.motor_cmd, rows, strict=False):
            motor.mode, motor.q, motor.dq, motor.tau, motor.kp, motor.kd = 1, q, dq, tau, kp, kd
        m.crc = unitree.crc(m)
        self._out.write(m)

    def close(self) -> None:
        """Leave the topics."""
        self._in.close()
        self._truth_in.close()
