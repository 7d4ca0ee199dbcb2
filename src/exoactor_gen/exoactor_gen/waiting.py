"""Waiting for what takes minutes, so that it can be reported and broken off."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from exoactor_core.stages import Progress

_Result = TypeVar("_Result")

Tick = Callable[[], None]
"""Called several times a second while something is waited for; raises to break it off."""


class Abandoned(BaseException):
    """Nobody waits for this work any more."""


class ElapsedProgress:
    """Reports how far some work is, with the seconds since it began; its ``tick`` reports again."""

    def __init__(self, report: Progress) -> None:
        self._report, self._start = report, time.monotonic()
        self.fraction, self.text = 0.0, "Planning"

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._start

    def set(self, fraction: float, text: str) -> None:
        """Say how far it is, from the next ``tick`` on."""
        self.fraction, self.text = fraction, text

    def tick(self) -> None:
        """Report; raises `Cancelled` when the user cancelled."""
        self._report(self.fraction, f"{self.text} ({self.seconds:.0f} s)")


def pause(seconds: float, tick: Tick) -> None:
    """Wait, calling ``tick`` meanwhile."""
    end = time.monotonic() + seconds
    tick()
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(0.2, left))
        tick()


def run_in_thread(
    work: Callable[[Callable[[], None]], _Result], tick: Tick, patience: float = 0.0, limit: float = math.inf
) -> _Result:
    """Do ``work`` in a thread while ``tick`` is called; when ``tick`` raises, the work is to end.

    Parameters
    ----------
    work
        Called with a function that it may call often, and that raises `Abandoned` when it shall end.
    tick
        Called five times a second.
    patience
        s to wait for the work to end after ``tick`` raised, so that it holds no memory afterwards.
    limit
        s that it may take.

    Raises
    ------
    TimeoutError
        It takes longer.
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
