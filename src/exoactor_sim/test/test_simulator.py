import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.realtime
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


def test_dex3_hands_are_heard_and_do_as_they_are_commanded(tmp_path):
    """The simulator as a process of its own, with a scene, on the topics of Unitree's hands."""
    (tmp_path / "scene.yaml").write_text("objects:\n- {id: box, category: box, pos: [1.5, 0, 0]}\n")
    process = subprocess.Popen(
        [*SIMULATOR, "--domain", DOMAIN, "--band", "--scene", str(tmp_path / "scene.yaml")],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while "elastic band" not in (line := process.stderr.readline()):
            assert line, "the simulator did not start"
        done = subprocess.run([sys.executable, "-c", CLOSE_HANDS, DOMAIN], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        closed = [float(q) for q in done.stdout.split()]
        assert closed[3] < -1.0  # the middle finger of the left hand
    finally:
        process.kill()


CLOSE_HANDS = """
import sys, time
import numpy as np
from exoactor_unitree import sdk
from exoactor_unitree.dex3 import Hands, hand_positions
sdk.open_dds("lo", int(sys.argv[1]))
hands = Hands()
q, end = [0.0] * 7, time.monotonic() + 40
while q[3] > -1.0 and time.monotonic() < end:
    hands.listen()
    hands.move(np.zeros(2))
    if hands.heard[0]:
        q = hand_positions(hands.states[0])
    time.sleep(0.02)
print(*q)
"""


def test_a_scene_that_cannot_be_is_one_line_and_exit_code_2(tmp_path):
    (tmp_path / "scene.yaml").write_text("objects:\n- {id: box, category: box, pos: [1.5, 0, 1]}\n")
    command = [*SIMULATOR, "--domain", DOMAIN, "--scene", str(tmp_path / "scene.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "box hangs in the air" in done.stderr
    assert "Traceback" not in done.stderr
