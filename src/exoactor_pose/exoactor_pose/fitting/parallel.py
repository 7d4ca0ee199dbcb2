"""Independent fits in threads: most of a fit is numpy on large arrays, which runs in parallel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from typing import TypeVar

from exoactor_core.errors import Cancelled
from exoactor_core.stages import Progress

THREADS = 2
"""Number of fits at a time: each holds its equations, 50 KB per frame."""
REPORT_SECONDS = 0.1

T = TypeVar("T")


def in_parallel(jobs: Sequence[Callable[[Progress], T]], progress: Progress) -> list[T]:
    """Results of jobs in order, `THREADS` of them at a time. Each gets its own progress callback.

    ``progress`` is called only by this thread, with the mean of theirs; if it or a job raises, or this thread is
    interrupted, the others end at their next report.
    """
    if len(jobs) == 1:
        return [jobs[0](progress)]
    stopped, shares, text = Event(), [0.0] * len(jobs), ""

    def run(number: int) -> T:
        def report(share: float, words: str) -> None:
            nonlocal text
            if stopped.is_set():
                raise Cancelled("Another one failed, or all are cancelled.")
            shares[number], text = share, words

        result = jobs[number](report)
        shares[number] = 1.0
        return result

    with ThreadPoolExecutor(THREADS) as pool:
        try:
            running = [pool.submit(run, number) for number in range(len(jobs))]
            done, left = wait(running, 0.0)
            while left and not any(each.exception() for each in done):
                done, left = wait(running, REPORT_SECONDS, FIRST_EXCEPTION)
                progress(sum(shares) / len(jobs), text)
            for each in done:
                each.result()
            return [each.result() for each in running]
        finally:
            stopped.set()
