"""The operator's approval: valid once, for the motion that waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from exoactor_core.errors import Refused, RobotNotReady
from exoactor_core.stages import Progress

_TICK = 0.02  # s between two checks of whether the wait should end


class Approval:
    """Lets a motion wait for approval before it moves the robot; an approval without a waiting motion has no effect."""

    def __init__(self) -> None:
        self._decided = threading.Condition()
        self._waiting = False
        self._approved = False
        self._refusal = ""

    def give(self) -> bool:
        """Approve the waiting motion; False: there is none."""
        with self._decided:
            if not self._waiting or self._refusal:
                return False
            self._approved = True
            self._decided.notify_all()
            return True

    def refuse(self, reason: str) -> None:
        """End the wait; ``reason`` is one sentence. This also overrides an approval that has just been given."""
        with self._decided:
            self._refusal = reason
            self._decided.notify_all()

    def wait(self, timeout: float, progress: Progress, check: Callable[[], None]) -> None:
        """Wait for approval of the motion, for at most ``timeout`` s.

        ``progress`` is called with the elapsed share of the time and a text, like that of a stage, and raises
        `Cancelled`; ``check`` raises if the motion may no longer begin.

        Raises
        ------
        RobotNotReady
            `refuse` ended the wait: the robot was stopped.
        Refused
            Nobody approved in time.
        """
        start = time.monotonic()
        with self._decided:
            self._waiting, self._approved, self._refusal = True, False, ""
        try:
            while True:
                check()
                waited = time.monotonic() - start
                progress(min(1.0, waited / timeout), "waiting for approval (exoactor call approve, or A on the remote)")
                with self._decided:
                    self._decided.wait_for(lambda: self._approved or self._refusal, _TICK)
                    if self._refusal:
                        raise RobotNotReady(self._refusal)
                    if self._approved:
                        return
                if waited > timeout:
                    raise Refused(f"Nobody approved the motion within {timeout:g} s.")
        finally:
            with self._decided:
                self._waiting = False
