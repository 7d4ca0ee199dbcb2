"""Who owns the motors: this controller, the robot's own, another program, or nobody."""

from __future__ import annotations

import logging
import time

import numpy as np

from exoactor_control.realtime.watchdog import WatchdogMemory
from exoactor_core.errors import RobotNotReady
from exoactor_unitree.robot_link import RobotLink
from exoactor_unitree.sdk import MotionSwitcherClient

log = logging.getLogger("exoactor.control")

INTRUDER = "another controller sends commands on rt/lowcmd"

_SILENCE_SECONDS = 0.25  # s without another controller's LowCmd after which the motors count as free
_RELEASE_TIMEOUT = 4.0  # s for the robot's own controller to release them
_ANSWER_TIMEOUT = 0.8  # s for the motion switcher's answer, which takes milliseconds once DDS has discovered the robot


class MotorOwnership:
    """Takes the motors over from the robot's own controller, and returns them.

    The watchdog, with which ``memory`` is shared, damps with ``blind_damping`` (29,) N m s/rad.
    """

    def __init__(self, link: RobotLink, blind_damping: np.ndarray, memory: WatchdogMemory) -> None:
        self._link, self._blind_damping, self._memory = link, blind_damping, memory
        self._switcher = MotionSwitcherClient()
        self._ours = False
        self._mode: str | None = None  # of the robot's own controllers, by the motion switcher's last answer
        self._own_mode = ""  # the robot's own controller, as found
        self.holder = ""
        """Who has the motors if they are not ours, one clause; empty: unknown."""

    @property
    def ours(self) -> bool:
        """Whether commands are sent, and the watchdog damps when they cease."""
        return self._ours

    @ours.setter
    def ours(self, value: bool) -> None:
        memory = self._memory
        if value and not self._ours:
            memory.set_command(self._blind_damping, self._link.mode_machine)
            memory.control_beat = time.monotonic()
        self._ours = memory.armed = value

    def taken_by_watchdog(self) -> None:
        """Note that the watchdog damps the motors: they are ours."""
        self._ours = True

    @property
    def intruded(self) -> bool:
        """Whether somebody other than our watchdog sends commands."""
        by_watchdog = time.monotonic() - self._memory.sent_time <= 2.0 * _SILENCE_SECONDS
        return self._link.silence < _SILENCE_SECONDS and not by_watchdog

    def mode(self) -> str | None:
        """Name of the robot's own controller that has the motors; '' if none has, None if this is unknown."""
        answer = self._switcher.check(_ANSWER_TIMEOUT)
        if answer is not None:
            self._mode = answer
        return self._mode

    def take(self) -> None:
        """Take over the motors. Raises `RobotNotReady`, `Missing` if another controller keeps them."""
        if not self._switcher.active(_RELEASE_TIMEOUT) and self.intruded:
            raise RobotNotReady(f"The robot cannot be driven: {INTRUDER}.")
        mode = self._switcher.release(_RELEASE_TIMEOUT)
        self._mode = ""  # should it not answer any more, ours stay ours
        end = time.monotonic() + 4.0 * _SILENCE_SECONDS
        while self._link.silence < _SILENCE_SECONDS:
            if time.monotonic() > end:
                self._own_mode = mode
                self.give_back()
                raise RobotNotReady(f"The robot cannot be driven: {INTRUDER}.")
            time.sleep(0.01)
        self._own_mode = mode
        self._memory.own_mode = mode.encode()
        log.info("The motors are ours%s.", f"; '{mode}' had them, and gets them back" if mode else "")
        self.ours = True

    def give_back(self) -> None:
        """Return the motors to the robot's own controller that had them."""
        mode, self._own_mode = self._own_mode, ""
        self.ours = False
        self._memory.own_mode = b""
        self._mode = mode or self._mode
        self._switcher.give_back(mode)

    def lose(self) -> None:
        """Note that the robot's own controller has them."""
        self._own_mode, self.ours = "", False

    def update_holder(self, mode: str | None) -> None:
        """Update `holder`; ``mode`` is what `mode` has just returned."""
        state = self._link.read()
        if self.ours:
            self.holder = ""
        elif mode:
            self.holder = f"the robot's own controller '{mode}' has the motors"
        elif self.intruded:
            self.holder = INTRUDER
        elif state is not None and state.enabled:
            self.holder = "no controller has the motors, and they may hold the last command of one: stop damps them"
        else:
            self.holder = "the motors are free" if state is not None else ""
