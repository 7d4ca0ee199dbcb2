"""Waiting for operations that take minutes, with progress reports and cancellation."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from exoactor_core.stages import Progress

_Result = TypeVar("_Result")

Tick = Callable[[], None]
"""Called several times a second while waiting; raises to cancel."""


class Abandoned(BaseException):
    """The work was cancelled."""


class ElapsedProgress:
    """Reports progress with the elapsed time; ``tick`` repeats the last report."""

    def __init__(self, report: Progress) -> None:
        self._report, self._start = report, time.monotonic()
        self.fraction, self.text = 0.0, "Planning"

    @property
    def seconds(self) -> float:
        """Elapsed time, s."""
        return time.monotonic() - self._start

    def set(self, fraction: float, text: str) -> None:
        """Set the progress that the next ``tick`` reports."""
        self.fraction, self.text = fraction, text

    def tick(self) -> None:
        """Report; raises `Cancelled` if the user cancelled."""
        self._report(self.fraction, f"{self.text} ({self.seconds:.0f} s)")


def pause(seconds: float, tick: Tick) -> None:
    """Wait, and call ``tick`` meanwhile."""
    end = time.monotonic() + seconds
    tick()
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(0.2, left))
        tick()


def run_in_thread(
    work: Callable[[Callable[[], None]], _Result], tick: Tick, patience: float = 0.0, limit: float = math.inf
) -> _Result:
    """Run ``work`` in a thread while calling ``tick``; the work is cancelled if ``tick`` raises.

    Parameters
    ----------
    work
        Called with a function that it should call often, which raises `Abandoned` once the work is cancelled.
    tick
        Called five times a second.
    patience
        s to wait for the cancelled work to end, so that it frees its memory.
    limit
        Maximum time, s.

    Raises
    ------
    TimeoutError
        The work takes longer than ``limit``.
    """
    outcome: list[Any] = []
    done, abandoned = threading.Event(), threading.Event()
    end = time.monotonic() + limit

    def alive() -> None:
        if abandoned.is_set():
            raise Abandoned

    def run() -> None:
        try:
            outcome.append((work(alive), None))
        except BaseException as error:
            outcome.append((None, error))
        done.set()

    threading.Thread(target=run, name="work", daemon=True).start()
    try:
        while not done.wait(0.2):
            tick()
            if time.monotonic() > end:
                raise TimeoutError
        tick()
    except BaseException:
        abandoned.set()
        done.wait(patience)
        raise
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
