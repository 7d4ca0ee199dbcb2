import os
import signal
import subprocess
import sys
import time

import pytest

DOMAIN = str(20 + os.getpid() % 50)
SIMULATOR = [sys.executable, "-m", "exoactor_sim.simulator"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_leaves_cleanly(number):
    process = subprocess.Popen([*SIMULATOR, "--domain", DOMAIN, "--band"], stderr=subprocess.PIPE, text=True)
    try:
        while "elastic band" not in (line := process.stderr.readline()):
            assert line, "the simulator did not start"
        time.sleep(0.2)
        process.send_signal(number)
        assert process.wait(15) == 0
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()


def test_wrong_interface_is_one_line_and_exit_code_3():
    done = subprocess.run([*SIMULATOR, "--network-interface", "eth99"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 3
    assert "no network interface 'eth99'" in done.stderr
    assert "Traceback" not in done.stderr
