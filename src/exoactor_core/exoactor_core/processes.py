"""Our own processes: their signals and their memory."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType


def take_priority(priority: int) -> bool:
    """Give this thread, and those that it starts, real-time priority; False: not permitted."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (AttributeError, OSError):
        return False
    return True


@contextmanager
def block_signals(*numbers: signal.Signals) -> Iterator[None]:
    """Block signals in this thread and in the processes that it starts meanwhile; they are delivered here afterwards.

    Used with SIGINT: a terminal sends Ctrl-C to all its processes, and children that their parent ends in order must
    not end by themselves, not even while they load.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM (docker stop, timeout) and SIGHUP (a closed terminal) raise KeyboardInterrupt, as SIGINT does.

    Ignored signals, such as SIGHUP under nohup, stay ignored. For the main thread only.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled(interrupt):
        yield


@contextmanager
def interrupt_afterwards() -> Iterator[None]:
    """Defer the KeyboardInterrupt of SIGINT, SIGTERM or SIGHUP to the end of the block. For the main thread only.

    Blocking the signals would not suffice: another thread, of a library, could receive them.
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
    """Install a handler for the signals that end a program, except for ignored ones."""
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
    """Let Linux send this process a signal when its parent ends (or has already ended), even if it is killed."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:  # Linux
        prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number))
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def keep_heap_compact() -> None:
    """Keep the memory of this process from fragmenting from now on, if the C library is glibc.

    By default threads have their own heaps, which fragment when one thread creates images and another frees them: all
    threads share one heap instead. Blocks of 1 MiB or more, such as images, stay outside it: by default glibc moves
    them into the heap once the first has been freed, where what is kept for long settles in the gaps between them.
    """
    arena_max, mmap_threshold = -8, -3  # M_ARENA_MAX and M_MMAP_THRESHOLD of malloc.h
    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(arena_max, 1)
        libc.mallopt(mmap_threshold, 2**20)
