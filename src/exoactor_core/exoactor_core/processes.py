"""Processes of our own, the signals that end them, and their memory."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType


@contextmanager
def block_signals(*numbers: signal.Signals) -> Iterator[None]:
    """Block signals in this thread, and in the processes that it starts meanwhile; they are delivered here afterwards.

    With SIGINT: a terminal sends Ctrl-C to all its processes, and those that their parent ends in order must not end by
    themselves, not even while they load.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
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

    with _handled(interrupt):
        yield


@contextmanager
def interrupt_afterwards() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGINT, SIGTERM or SIGHUP only when the block has ended. For the main thread.

    Blocking the signals would not do: another thread, of a library, may take them.
    """
    arrived: list[int] = []
    try:
        with _handled(lambda number, _: arrived.append(number)):
            yield
    finally:
        if arrived:
            raise KeyboardInterrupt


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have a handler take the signals that end a program, but for those that are ignored."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [n for n in signals if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


_PR_SET_PDEATHSIG = 1
"""prctl(2), linux/prctl.h."""


def end_with_parent(parent: int, number: signal.Signals) -> None:
    """Have Linux send this process a signal when its parent, which may have ended already, ends, killed or not."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:  # Linux
        prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number))
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def share_heap() -> None:
    """Have all threads of this process allocate from one heap from now on, where the C library is glibc.

    It gives threads heaps of their own; images that one thread makes and another frees leave holes in all of them.
    """
    arena_max = -8  # M_ARENA_MAX of malloc.h
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(arena_max, 1)
