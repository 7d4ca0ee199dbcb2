import threading

import pytest

from exoactor_core.errors import Cancelled
from exoactor_core.stages import no_progress
from exoactor_pose.fitting.parallel import in_parallel


def endless(report):
    while True:
        report(0.0, "working")


def test_results_come_in_order_and_progress_from_the_calling_thread():
    told = []

    def job(number):
        def run(report):
            if number == 0:
                assert last.wait(5.0)
            last.set()
            report(0.5, f"job {number}")
            return number

        return run

    last = threading.Event()
    assert in_parallel([job(k) for k in range(3)], lambda *_: told.append(threading.current_thread())) == [0, 1, 2]
    assert set(told) <= {threading.current_thread()}


def test_what_one_job_raises_comes_out_and_ends_the_others():
    def failing(report):
        raise ValueError("no fit")

    for jobs in ([failing, endless], [endless, failing]):
        with pytest.raises(ValueError, match="no fit"):
            in_parallel(jobs, no_progress)


def test_cancelling_ends_all_jobs():
    def cancel(share, text):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled, match="stopped"):
        in_parallel([endless, endless], cancel)
