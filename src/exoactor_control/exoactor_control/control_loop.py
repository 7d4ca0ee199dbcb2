"""The loop between the robot's link and the controller, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from exoactor.errors import ExoActorError
from exoactor_control.link import RobotLink
from exoactor_control.states import Controller, MotorCommand, RobotState

log = logging.getLogger("exoactor.control")

LOST = 2.0
"""s without a LowState until the robot counts as gone: it may come back restarted, and is greeted anew."""

_BRIDGED = 0.004  # s: LowState comes every 2 ms; the robot's clock is carried on no further than this


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


class ControlLoop:
    """Steps a controller at a fixed rate while the robot is heard.

    Parameters
    ----------
    link, controller
        Robot and what drives it.
    rate
        Hz.
    state_timeout
        s without a LowState until the controller damps the robot (it never waits less than its own 50 ms).
    robot_clock
        Count time in LowState's ticks, so that a simulation slower than real time is controlled in its own time; else
        on this computer's clock.
    """

    def __init__(
        self,
        link: RobotLink,
        controller: Controller,
        rate: float = 500.0,
        state_timeout: float = 0.05,
        robot_clock: bool = False,
    ) -> None:
        self.link, self.controller = link, controller
        self.trouble = "not started"
        """Why the robot is not driven, one sentence; empty when it is."""
        self.samples: list[Sample] = []
        """One per frame of the motion now or last tracked; `clear` before a new one."""
        self._period = 1.0 / rate
        self._state_timeout = state_timeout
        self._robot_clock = robot_clock
        self._late: deque[float] = deque(maxlen=5000)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Begin to look for the robot, and to drive it."""
        self._thread.start()

    def close(self) -> None:
        """Damp the robot and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(8.0)

    def clear(self) -> None:
        """Forget the samples."""
        self.samples = []

    @property
    def lateness_ms(self) -> tuple[float, float]:
        """Median and 99th percentile of how late the last 5000 steps began, ms."""
        late = np.array(self._late) if self._late else np.zeros(1)
        return float(1e3 * np.median(late)), float(1e3 * np.percentile(late, 99))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.link.wait_for_state(1.0)
                self.link.release_motion_switcher(3.0)
            except ExoActorError as error:
                self.trouble = str(error)
                continue
            log.info("The robot is heard.")
            self.trouble = ""
            try:
                self._drive()
            except Exception:
                log.exception("The control loop failed: the robot is damped.")
                self.controller.damp()
                self._let_down()
        self.trouble = "The control loop has ended."

    def _drive(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            age = self.link.age
            if age > LOST:
                self.trouble = f"The robot is not heard any more: no LowState for {LOST:g} s."
                self.controller.step(self.link.read(), time.monotonic() + 1.0)  # it sees a stale state, and damps
                return
            self._step(age)
            due += self._period
            ahead = due - time.monotonic()
            self._late.append(max(0.0, -ahead))
            if ahead > 0:
                time.sleep(ahead)
            elif ahead < -0.02:  # never catch up with a burst
                due -= ahead
        self.controller.damp()
        self._let_down()

    def _step(self, age: float) -> None:
        state = self.link.read()
        now = time.monotonic()
        if self._robot_clock:
            state = replace(state, time=1e-3 * state.tick)
            now = state.time + (age if age > self._state_timeout else min(age, _BRIDGED))
        elif age <= self._state_timeout:
            now = min(now, state.time + 0.04)  # inside the controller's own patience
        command = self.controller.step(state, now)
        self.link.write(command)
        index = self.controller.tracking_frame
        if index is not None and index >= 0 and (not self.samples or index > self.samples[-1].index):
            limits = 0.98 * self.controller.torque_limits
            saturated = bool((np.abs(command.torque(state.joint_pos, state.joint_vel)) >= limits).any())
            self.samples.append(Sample(index, state, self.link.truth(), saturated))

    def _let_down(self) -> None:
        """Leave the motors damping, not in the last command."""
        for _ in range(10):
            self.link.write(MotorCommand.damping())
            time.sleep(self._period)
