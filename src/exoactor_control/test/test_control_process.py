"""The control process and a robot without a body, in processes of their own over the loopback interface."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from control_helpers import Robot, until

from exoactor_core.errors import BadInput, Missing, Refused
from exoactor_core.motion import HumanMotion
from exoactor_core.robot import standing_motion

pytest.importorskip("exoactor_unitree.sdk")

from exoactor_control.controller.state_machine import State
from exoactor_control.realtime.control_process import ControlProcess, Settings
from exoactor_control.reference.trajectory import prepare
from exoactor_core.dex3 import hand_targets
from exoactor_unitree.joystick import Button
from processes import alive

pytestmark = pytest.mark.realtime

DOMAIN = 100 + os.getpid() % 50
AT_ONCE = 50.0  # ms: two LowState, 4 ms, on a computer that is not busy with other things


@pytest.fixture(scope="module")
def robot():
    robot = Robot(DOMAIN)
    yield robot
    robot.close()


@pytest.fixture(scope="module")
def running(robot):
    # patient, as with the simulator: the robot's process may have to wait for its turn on a busy computer
    process = ControlProcess(Settings(dds_domain=DOMAIN, policy="pd", state_timeout=0.5, robot_clock=True))
    until(lambda: not process.error)
    yield process
    process.close()


@pytest.fixture
def loop(robot, running):
    """The process, driving nothing, and a robot that is well."""
    robot.be(buttons=0, mode_pr=0, lean=0.0, intrude=False, stubborn=False, own="ai")
    running.release()
    time.sleep(0.3)
    return running


@pytest.mark.faults
def test_nothing_is_sent_before_the_first_request_and_the_motors_go_back(robot, loop):
    sent = robot.be()["commands"]
    time.sleep(0.1)
    assert robot.be()["commands"] == sent
    assert robot.be()["mode"] == "ai"
    assert loop.report().state.joint_pos == pytest.approx(prepare(standing_motion(1.0)).motion.joint_pos[0])
    with pytest.raises(Refused, match="own controller 'ai' has the motors"):
        loop.ask("stop")  # it is not fought
    assert robot.be()["commands"] == sent
    assert not loop.report().driving

    loop.ask("stand")
    until(lambda: robot.be()["commands"] > sent)
    got = robot.be()
    assert (got["mode"], got["mode_pr"], got["mode_machine"], got["damping"]) == ("", 0, 7, False)
    until(lambda: loop.report().status.state is State.STAND)

    loop.release()
    until(lambda: robot.be()["damping"])
    time.sleep(0.1)
    got = robot.be()
    assert got["mode"] == "ai"
    time.sleep(0.1)
    assert robot.be()["commands"] == got["commands"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"mode_pr": 1}, r"mode AB"),
        ({"lean": 0.8}, r"leans by 0.80 rad"),
        ({"stubborn": True}, r"does not release the controller 'ai'"),
    ],
)
def test_unfit_robot_keeps_its_own_controller(robot, loop, wrong, reason):
    robot.be(**wrong)
    sent = robot.be()["commands"]
    time.sleep(0.1)
    with pytest.raises((Refused, Missing), match=reason):
        loop.ask("stand")
    got = robot.be()
    assert got["mode"] == "ai"
    assert got["commands"] == sent


@pytest.mark.faults
def test_one_controller_only(robot, loop):
    robot.be(intrude=True)
    time.sleep(0.1)
    with pytest.raises(Refused, match="another controller"):
        loop.ask("stand")
    assert robot.be()["mode"] == "ai"  # given back
    robot.be(intrude=False)
    time.sleep(0.4)
    loop.ask("stand")
    robot.be(intrude=True)
    until(robot.damped, 2.0)
    assert robot.be()["damped_after_ms"] < AT_ONCE
    until(lambda: "another controller" in loop.report().status.fault)
    with pytest.raises(Refused, match="another controller"):
        loop.ask("stand")


@pytest.mark.faults
def test_parallel_mode_while_driven_damps(robot, loop):
    loop.ask("stand")
    robot.be(mode_pr=1)
    until(robot.damped, 2.0)
    until(lambda: "mode AB" in loop.report().status.fault)


@pytest.mark.faults
def test_buttons_of_the_remote(robot, loop):
    before = loop.report().go_presses
    robot.be(buttons=int(Button.START))
    until(lambda: loop.report().status.state is State.STAND and loop.report().driving)
    robot.be(buttons=int(Button.A))
    until(lambda: loop.report().go_presses == before + 1)
    time.sleep(0.1)
    assert loop.report().go_presses == before + 1  # once, though it is held
    for stop in (Button.SELECT, Button.L2 | Button.B):
        loop.ask("stand")
        loop.track(prepare(standing_motion(5.0)))
        until(lambda: loop.report().status.state is State.TRACK)
        robot.be(buttons=int(stop))
        until(robot.damped, 2.0)
        assert robot.be()["damped_after_ms"] < AT_ONCE
        until(lambda: loop.report().status.state is State.DAMPING)
        assert robot.be(buttons=0)["damping"]


def test_hands_follow_the_persons(robot, loop):
    with pytest.raises(Refused, match="stand first"):
        loop.ask("open_hands")
    loop.ask("stand")
    if robot.be()["hands"] == [None, None]:
        with pytest.raises(Missing, match="No Dex3 hand"):
            loop.ask("open_hands")
    robot.be(hands=True)
    time.sleep(0.2)
    loop.ask("close_hands")
    until(lambda: robot.be()["hands"][0] == pytest.approx(hand_targets([0.0, 0.0])[0], abs=1e-5))
    fists = np.zeros((120, 2, 15, 3))
    fists[:, 1, :, 2] = 1.6  # the right hand alone
    person = HumanMotion(
        50.0, np.zeros((120, 3)), np.zeros((120, 3)), np.zeros((120, 63)), np.zeros(10), fists.reshape(120, 90)
    )
    loop.track(prepare(standing_motion(2.0), person))
    until(lambda: loop.report().status.done or loop.report().status.fault)
    assert not loop.report().status.fault
    left, right = robot.be()["hands"]
    assert left == pytest.approx(hand_targets([1.0, 0.0])[0], abs=1e-5)
    assert right == pytest.approx(hand_targets([1.0, 0.0])[1], abs=1e-5)
    assert [s.index for s in loop.samples][:101] == list(range(101))


@pytest.mark.faults
def test_robot_is_damped_when_the_node_is_killed(robot, loop):
    code = (
        "import sys, time\n"
        "from exoactor_control.realtime.control_process import ControlProcess, Settings\n"
        f"p = ControlProcess(Settings(dds_domain={DOMAIN}, policy='pd', state_timeout=0.5, robot_clock=True))\n"
        "while p.error: time.sleep(0.01)\n"
        "p.ask('stand'); print(p.pid, flush=True); time.sleep(60)"
    )
    node = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(node.stdout.readline())
    until(lambda: not robot.be()["damping"])
    node.send_signal(signal.SIGKILL)
    node.wait()
    until(lambda: not alive(pid))
    got = robot.be()
    assert got["damping"]
    assert got["mode"] == "ai"


def test_ctrl_c_is_the_nodes_alone(robot, loop):
    loop.ask("stand")
    until(lambda: not robot.be()["damping"])
    os.kill(loop.pid, signal.SIGINT)
    time.sleep(0.2)
    assert not robot.be()["damping"]
    until(lambda: loop.report().status.state is State.STAND)


def test_a_dead_process_is_told(robot):
    process = ControlProcess(Settings(dds_domain=DOMAIN, policy="pd"))
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: "has ended" in process.error)
    with pytest.raises(Missing, match="has ended"):
        process.ask("stand")
    process.close()


def test_wrong_settings_are_told(robot):
    with pytest.raises(Missing, match="no policy file"):
        ControlProcess(Settings(dds_domain=DOMAIN, policy="nowhere.onnx"))
    with pytest.raises(BadInput, match="999"):
        ControlProcess(Settings(dds_domain=999, policy="pd"))
