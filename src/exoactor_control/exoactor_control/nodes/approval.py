"""The operator's approval: for the one motion that waits for it, once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from exoactor_core.errors import Refused, RobotNotReady
from exoactor_core.stages import Progress

_TICK = 0.02  # s between two looks at whether the wait is to end


class Approval:
    """What a motion waits on before it moves the robot; an approval that comes when none waits counts for nothing."""

    def __init__(self) -> None:
        self._decided = threading.Condition()
        self._waiting = False
        self._approved = False
        self._refusal = ""

    def give(self) -> bool:
        """Approve the motion that waits; False: none does."""
        with self._decided:
            if not self._waiting or self._refusal:
                return False
            self._approved = True
            self._decided.notify_all()
            return True

    def refuse(self, reason: str) -> None:
        """End the wait; ``reason`` is one sentence. It holds against an approval that came just before, too."""
        with self._decided:
            self._refusal = reason
            self._decided.notify_all()

    def wait(self, timeout: float, progress: Progress, check: Callable[[], None]) -> None:
        """Return when the motion is approved, within ``timeout`` s.

        ``progress`` is called with the share of the time that is over and a text, as a stage's, and raises `Cancelled`;
        ``check`` raises when the motion may not begin any more.

        Raises
        ------
        RobotNotReady
            The wait was ended by `refuse`: the robot was stopped.
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
                progress(min(1.0, waited / timeout), "waiting for the approve service")
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
