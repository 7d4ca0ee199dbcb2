"""Processes of our own, and the signals that end them."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started meanwhile never hear of Ctrl-C, not even as they load; this thread hears of it after.

    A terminal tells all its processes: those that their parent ends in good order must not end by themselves.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """SIGTERM (docker stop, timeout) and SIGHUP (a closed terminal) raise KeyboardInterrupt, as SIGINT does.

    A signal that is ignored, as nohup has SIGHUP, stays so. For the main thread.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [n for n in signals if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_PR_SET_PDEATHSIG = 1
"""prctl(2), linux/prctl.h."""


def end_with_parent(parent: int, number: signal.Signals) -> None:
    """Have Linux send this process a signal when its parent ends, killed or not.

    Parameters
    ----------
    parent
        Process number of the parent, which may have ended already.
    number
        The signal.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:  # Linux
        prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number))
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
