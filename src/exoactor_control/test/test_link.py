"""Link and simulator in separate processes over the loopback interface."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from exoactor_control.controller.state_machine import Controller, State
from exoactor_control.realtime.control_loop import ControlLoop, NoAnswer, Settings
from exoactor_control.realtime.watchdog import WatchdogMemory
from exoactor_core.errors import Missing
from exoactor_core.robot import MODE_MACHINE, STANDING
from exoactor_core.robot_state import MotorCommand

pytest.importorskip("exoactor_unitree.sdk")
pytest.importorskip("exoactor_sim")

from exoactor_unitree import sdk as unitree
from exoactor_unitree import wire
from exoactor_unitree.robot_link import RobotLink

pytestmark = pytest.mark.realtime

DOMAIN = 20 + os.getpid() % 50


def until(condition, timeout=20.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"still not so after {timeout} s"
        time.sleep(0.01)


def watched():
    """The memory of a watchdog that is always there, and never does anything."""
    memory = WatchdogMemory()
    memory.watchdog_beat = float("inf")
    return memory


@pytest.fixture(scope="module")
def link():
    """Link with nobody at the other end yet; a process joins one DDS domain, so there is one for all tests."""
    return RobotLink("lo", DOMAIN)


def test_a_state_without_checksum_and_clock_is_told():
    """As the LowState of Unitree's simulator in Python (unitree_mujoco) is: motors and IMU, no tick, no crc."""
    link = RobotLink("lo", DOMAIN)
    message = wire.LowStateBytes.zeros()
    message.imu[0] = 1.0
    link._take(bytes(message.data))
    with pytest.raises(Missing, match=r"none can be used: its crc is 0 .* and its tick, the robot's clock, is 0"):
        link.wait_for_state(0.1)


@pytest.fixture(scope="module")
def simulator(link):
    process = subprocess.Popen([sys.executable, "-m", "exoactor_sim.simulator", "--domain", str(DOMAIN), "--band"])
    link.wait_for_state(30.0)
    yield process
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(15) == 0
    finally:
        process.kill()


def test_no_peer_is_told_in_one_sentence(link):
    with pytest.raises(Missing, match=rf"No LowState on rt/lowstate of interface lo, domain {DOMAIN} within 0.3 s"):
        link.wait_for_state(0.3)
    assert link.read() is None
    assert link.age == float("inf")
    with pytest.raises(Missing, match="motion switcher does not answer"):
        unitree.MotionSwitcherClient().release(0.1)


def test_state_says_what_the_robot_says(link, simulator):
    state = link.read()
    assert state.joint_pos == pytest.approx(STANDING, abs=0.1)
    assert np.linalg.norm(state.quat_wxyz) == pytest.approx(1.0, abs=1e-3)
    assert state.accel == pytest.approx([0, 0, 9.81], abs=1.0)
    assert state.mode_machine == MODE_MACHINE
    assert state.temperature.min() > 0
    tick = state.tick
    until(lambda: link.read().tick > tick + 100)
    assert link._rejected_for == ""
    until(lambda: link.truth() is not None)
    assert link.truth()[0][2] == pytest.approx(0.78, abs=0.05)


def test_motion_switcher_lets_go_once(link, simulator):
    switcher = unitree.MotionSwitcherClient()
    assert switcher.release(10.0) == "ai"
    assert switcher.release(10.0) == ""


def test_wrong_checksum_is_ignored_and_a_right_one_obeyed(link, simulator, monkeypatch):
    target = STANDING.copy()
    target[18] = 0.3
    command = MotorCommand(q=target, kp=np.full(29, 60.0), kd=np.full(29, 2.0))
    before = link.read().joint_pos[18]

    def send(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            link.write(command)
            time.sleep(0.005)

    with monkeypatch.context() as patch:
        patch.setattr(wire, "checksum", lambda words: 1)
        send(1.0)
    with monkeypatch.context() as patch:  # for the parallel motors, which the simulator does not have
        right = link._command.set_modes
        patch.setattr(link._command, "set_modes", lambda _, *others: right(1, *others))
        send(0.5)
    assert link.read().joint_pos[18] == pytest.approx(before, abs=0.05)
    end = time.monotonic() + 20.0
    while abs(link.read().joint_pos[18] - 0.3) > 0.1:
        assert time.monotonic() < end
        send(0.2)


def test_control_loop_stands_and_lets_down(link, simulator):
    controller = Controller()
    loop = ControlLoop(link, controller, Settings(state_timeout=1.0, robot_clock=True), watched())
    loop.start()
    try:
        until(lambda: not loop.error)
        loop.ask("stand")
        start = link.read().tick
        until(lambda: link.read().tick > start + 2500 or controller.status.fault)
        assert not controller.status.fault
        assert controller.status.state is State.STAND
        assert np.abs(link.read().joint_pos - STANDING).mean() < 0.1
    finally:
        loop.close()
    assert controller.status.state is State.DAMPING


@pytest.mark.faults
def test_a_stop_that_the_loop_does_not_carry_out_is_no_success(link, simulator):
    loop = ControlLoop(link, Controller(), Settings(), watched())
    loop.motors.ours = True
    with pytest.raises(NoAnswer, match="has sent no damping within"):  # it has not been started
        loop.ask("stop")


@pytest.mark.faults
def test_silent_robot_is_noticed(link, simulator, caplog):
    """The simulator is held still: the loop damps, and drives again when the robot comes back."""
    controller = Controller()
    loop = ControlLoop(link, controller, Settings(state_timeout=0.5, robot_clock=True), watched())
    loop.start()
    try:
        until(lambda: not loop.error)
        loop.ask("stand")
        simulator.send_signal(signal.SIGSTOP)
        until(lambda: controller.status.fault)
        assert "LowState" in controller.status.fault
        until(lambda: loop.error)
        until(lambda: "No LowState on rt/lowstate of interface lo" in caplog.text)
        simulator.send_signal(signal.SIGCONT)
        until(lambda: not loop.error)
    finally:
        simulator.send_signal(signal.SIGCONT)
        loop.close()
