"""Whose the motors are: this controller's, the robot's own controller's, another's, or nobody's."""

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

_SILENCE_SECONDS = 0.25  # s without another controller's LowCmd until the motors count as free
_RELEASE_TIMEOUT = 4.0  # s for the robot's own controller to let go
_ANSWER_TIMEOUT = 0.8  # s for the motion switcher's answer; it comes within milliseconds once DDS has found the robot


class MotorOwnership:
    """Takes the motors from the robot's own controller, and gives them back.

    The watchdog, with which ``memory`` is shared (None: there is none), damps with ``blind_damping`` (29,) N m s/rad.
    """

    def __init__(self, link: RobotLink, blind_damping: np.ndarray, memory: WatchdogMemory | None) -> None:
        self._link, self._blind_damping, self._memory = link, blind_damping, memory
        self._switcher = MotionSwitcherClient()
        self._ours = False
        self._mode: str | None = None  # of the robot's own controllers, when the motion switcher last answered
        self._own_mode = ""  # the robot's own controller, as it was found
        self.holder = ""
        """Who has the motors where they are not ours, one clause; empty: not known."""

    @property
    def ours(self) -> bool:
        """Commands are sent, and the watchdog sends damping where they cease."""
        return self._ours

    @ours.setter
    def ours(self, value: bool) -> None:
        memory = self._memory
        if memory is not None:
            if value and not self._ours:
                memory.set_command(self._blind_damping, self._link.mode_machine)
                memory.control_beat = time.monotonic()
            memory.armed = value
        self._ours = value

    def taken_by_watchdog(self) -> None:
        """The watchdog damps the motors: they are ours."""
        self._ours = True

    @property
    def intruded(self) -> bool:
        """Somebody else sends commands, who is not our watchdog."""
        by_watchdog = self._memory is not None and time.monotonic() - self._memory.sent_time <= 2.0 * _SILENCE_SECONDS
        return self._link.silence < _SILENCE_SECONDS and not by_watchdog

    def mode(self) -> str | None:
        """Name of the robot's own controller that has the motors; '' when none has, None when that was never known."""
        answer = self._switcher.check(_ANSWER_TIMEOUT)
        if answer is not None:
            self._mode = answer
        return self._mode

    def take(self) -> None:
        """Take the motors. Raises `RobotNotReady`, `Missing`: the robot's own controller, or another, keeps them."""
        if not self._switcher.active(_RELEASE_TIMEOUT) and self.intruded:
            raise RobotNotReady(f"The robot cannot be driven: {INTRUDER}.")
        mode = self._switcher.release(_RELEASE_TIMEOUT)
        end = time.monotonic() + 4.0 * _SILENCE_SECONDS
        while self._link.silence < _SILENCE_SECONDS:
            if time.monotonic() > end:
                self._own_mode = mode
                self.give_back()
                raise RobotNotReady(f"The robot cannot be driven: {INTRUDER}.")
            time.sleep(0.01)
        self._own_mode = mode
        if self._memory is not None:
            self._memory.own_mode = mode.encode()
        log.info("The motors are ours%s.", f"; '{mode}' had them, and gets them back" if mode else "")
        self.ours = True

    def give_back(self) -> None:
        """Have the robot's own controller take the motors that it had."""
        mode, self._own_mode = self._own_mode, ""
        self.ours = False
        if self._memory is not None:
            self._memory.own_mode = b""
        self._switcher.give_back(mode)

    def lose(self) -> None:
        """Take in that the robot's own controller has them."""
        self._own_mode, self.ours = "", False

    def update_holder(self, mode: str | None) -> None:
        """Bring `holder` up to date; ``mode`` is what `mode` has just returned."""
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
