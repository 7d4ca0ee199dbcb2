"""The link to a G1 over Unitree's DDS topics: the same for the simulated and the real robot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from exoactor_core.errors import Missing
from exoactor_core.robot import LOCKED, MODE_MACHINE
from exoactor_core.robot_state import NUM_JOINTS, MotorCommand, RobotState
from exoactor_unitree import sdk as unitree
from exoactor_unitree.joystick import pressed
from exoactor_unitree.wire import LowCmdBytes, LowStateBytes

_TRUTH_AGE = 0.5  # s


class RobotLink:
    """Keeps the newest LowState and sends LowCmd.

    LowState is fetched on request: there is no further thread between the robot and the control loop.
    ``network_interface`` is ``lo`` for the simulator, and the interface of the cable for the robot; ``domain`` is by
    convention 1 for the simulator and 0 for the robot.

    Raises
    ------
    Missing, BadInput
        As `exoactor_unitree.sdk.open_dds`.
    """

    def __init__(self, network_interface: str = "lo", domain: int = 1) -> None:
        unitree.open_dds(network_interface, domain)
        self.network_interface, self.domain = network_interface, domain
        self._rejected_for = ""  # fault of the last LowState with a wrong checksum or format
        self._lock = threading.Lock()
        self._state: RobotState | None = None
        self._truth: tuple[np.ndarray, np.ndarray, float] | None = None
        self._other = float("-inf")  # when another controller's LowCmd was last heard
        self._command = LowCmdBytes()
        self._out = unitree.Publisher(unitree.LOW_CMD_TOPIC, unitree.LowCmd_)
        self._in = unitree.RawReader(unitree.LOW_STATE_TOPIC, unitree.LowState_)
        self._others_in = unitree.RawReader(unitree.LOW_CMD_TOPIC, unitree.LowCmd_, ignore_own=True)
        self._truth_in = unitree.RawReader(unitree.TRUTH_TOPIC, unitree.SportModeState_)

    # LowState

    def read(self) -> RobotState | None:
        """State in the newest LowState, None before the first; ``time`` is its reception time (monotonic clock)."""
        with self._lock:
            data = self._in.take()
            if data is not None:
                self._take(data)
            return self._state

    def _take(self, data: bytes) -> None:
        try:
            message = LowStateBytes(data)
        except ValueError as error:
            self._rejected_for = str(error)
            return
        if not message.intact:
            lacking = ["its crc is 0 where the checksum belongs" if message.crc == 0 else "its crc is wrong"]
            lacking += ["its tick, the robot's clock, is 0"] * (message.tick == 0)
            self._rejected_for = " and ".join(lacking)
            return
        motors, imu = message.motors[:NUM_JOINTS].astype(np.float64).T, message.imu.astype(np.float64)
        self._state = RobotState(
            time=time.monotonic(),
            joint_pos=motors[0],
            joint_vel=motors[1],
            quat_wxyz=imu[:4],
            ang_vel=imu[4:7],
            accel=imu[7:10],
            torque=motors[3],
            temperature=message.temperatures[:NUM_JOINTS].max(axis=1).astype(np.float64),
            tick=message.tick,
            mode_machine=message.mode_machine,
            mode_pr=message.mode_pr,
            buttons=pressed(message.wireless_remote),
            enabled=bool(message.modes[:NUM_JOINTS].any()),
        )

    @property
    def age(self) -> float:
        """Seconds since the newest LowState; inf before the first."""
        state = self.read()
        return time.monotonic() - state.time if state is not None else float("inf")

    def wait(self, seconds: float) -> float | None:
        """Wait for the next LowState; return its reception time (monotonic clock, s), or None after ``seconds``."""
        return time.monotonic() if self._in.wait(seconds) else None

    def wait_for_state(self, timeout: float = 3.0, meanwhile: Callable[[], None] | None = None) -> None:
        """Wait for a fresh LowState; ``meanwhile`` is called every 2 ms until then.

        Raises
        ------
        Missing
            None came within ``timeout`` seconds.
        """
        end = time.monotonic() + timeout
        while not self.age < 0.1:
            left = end - time.monotonic()
            if left <= 0.0 and self._rejected_for:
                raise Missing(
                    f"LowState comes on {unitree.LOW_STATE_TOPIC} of interface {self.network_interface}, domain "
                    f"{self.domain}, but none can be used: {self._rejected_for}. A robot fills these in; of the "
                    "simulators exoactor_sim does, Unitree's own in Python (unitree_mujoco) does not."
                )
            if left <= 0.0:
                raise Missing(
                    f"No LowState on {unitree.LOW_STATE_TOPIC} of interface {self.network_interface}, "
                    f"domain {self.domain} within {timeout:g} s: is the robot (or exoactor_sim) on, "
                    "and on this interface?"
                )
            if meanwhile is not None:
                meanwhile()
            self.wait(min(left, 0.1 if meanwhile is None else 0.002))

    def truth(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Pelvis position (3,) m and orientation (4,) wxyz from a simulator, for metrics and display only.

        None on a robot, or if older than `_TRUTH_AGE`.
        """
        with self._lock:
            data = self._truth_in.take()
            if data is not None:
                message = unitree.SportModeState_.deserialize(data)
                orientation = np.array(message.imu_state.quaternion)
                self._truth = np.array(message.position), orientation, time.monotonic()
        truth = self._truth
        return None if truth is None or time.monotonic() - truth[2] > _TRUTH_AGE else truth[:2]

    # LowCmd

    @property
    def mode_machine(self) -> int:
        """The robot's variant as it reports it; before that, the configured one."""
        return MODE_MACHINE if self._state is None else self._state.mode_machine

    def write(self, command: MotorCommand) -> None:
        """Send a command to the motors, with the robot's own mode_machine and the checksum.

        Ankles and waist are commanded by pitch and roll (mode_pr 0), never by their parallel motors.
        """
        out = self._command
        gains = out.gains[:NUM_JOINTS]
        gains[:, 0], gains[:, 1], gains[:, 2] = command.q, command.dq, command.tau
        gains[:, 3], gains[:, 4] = command.kp, command.kd
        gains[LOCKED] = 0.0
        out.set_modes(0, self.mode_machine, ~LOCKED)
        self._out.write_bytes(out.sealed())

    @property
    def silence(self) -> float:
        """Seconds since another controller's LowCmd was last received; inf if there was none."""
        with self._lock:
            if self._others_in.take() is not None:
                self._other = time.monotonic()
        return time.monotonic() - self._other
