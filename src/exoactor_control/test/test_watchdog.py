"""Control process, its node and the watchdog die or freeze, alone and together, while a robot stands under control."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from control_helpers import Robot, until

from exoactor_core.errors import Missing, Refused
from exoactor_core.robot import standing_motion

pytest.importorskip("exoactor_unitree.sdk")

from exoactor_control.controller.state_machine import State
from exoactor_control.realtime.control_process import ControlProcess, Settings
from exoactor_control.realtime.watchdog import LAST_DAMPING_SECONDS
from exoactor_control.reference.trajectory import prepare
from processes import alive

pytestmark = [pytest.mark.faults, pytest.mark.realtime, pytest.mark.timeout(120)]

DOMAIN = 150 + os.getpid() % 50
SOON = 0.5
"""s, generous for a busy computer: bench/stop_latency.py measures it."""
FREEZE = 0.5
"""s without a step of the control process until the watchdog damps: patient, as with the simulator."""

NODE = f"""
import sys, time
from exoactor_control.realtime.control_process import ControlProcess, Settings
p = ControlProcess(Settings(dds_domain={DOMAIN}, policy='pd', state_timeout={FREEZE}, robot_clock=True))
while p.error: time.sleep(0.01)
p.ask('stand'); print(p.pid, p._guard.pid, flush=True); time.sleep(60)
"""


@pytest.fixture(scope="module")
def robot():
    robot = Robot(DOMAIN)
    yield robot
    robot.close()


@contextmanager
def control(robot, start="track"):
    """A control process that has the robot stand, or track a motion."""
    robot.be(buttons=0, intrude=False, own="ai")
    process = ControlProcess(Settings(dds_domain=DOMAIN, policy="pd", state_timeout=FREEZE, robot_clock=True))
    try:
        until(lambda: not process.error)
        if start:
            until(lambda: can(process, "stand"))
        if start == "track":
            process.track(prepare(standing_motion(20.0)))
            until(lambda: process.report().status.state is State.TRACK)
        if start:
            until(lambda: stiff(robot))
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.close()


def can(process, what):
    """Ask for something that another's last commands may still be in the way of."""
    with suppress(Refused):
        process.ask(what)
        return True


@contextmanager
def node(robot):
    """A process as the node, with one of each; yields it and the two process numbers."""
    robot.be(buttons=0, intrude=False, own="ai")
    time.sleep(0.3)
    process = subprocess.Popen([sys.executable, "-c", NODE], stdout=subprocess.PIPE, text=True)
    pids = []
    try:
        pids = [int(word) for word in process.stdout.readline().split()]
        until(lambda: stiff(robot))
        yield process, *pids
    finally:
        process.kill()
        process.wait()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def stiff(robot):
    got = robot.be()
    return not got["damping"] and time.monotonic() - got["stiff"] < SOON


def assert_damped(robot, since, within=SOON):
    """The motors were let go within so many s of a moment, and are being damped."""
    until(lambda: robot.be()["damping"], within + 2.0)
    time.sleep(0.1)
    got = robot.be()
    assert got["damping"]
    assert got["stiff"] < since + within
    assert time.monotonic() - got["last"] < SOON


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)
    return time.monotonic()


@pytest.mark.parametrize("start", ["stand", "track"])
def test_control_process_killed(robot, start, capfd):
    with control(robot, start) as process:
        assert_damped(robot, kill(process.pid))
        advice = "configure the controller anew, or start the whole graph again"
        until(lambda: process.alarm == f"The watchdog damps the motors: the control process has ended; {advice}.")
        assert "The watchdog damps the motors" in process.ask("stop")
        assert "The watchdog damps the motors" in process.ask("damp")
        with pytest.raises(Missing, match="configure the controller anew"):
            process.ask("stand")
        time.sleep(LAST_DAMPING_SECONDS)
        assert_damped(robot, time.monotonic())  # for as long as the node is there
    got = robot.be()
    assert (got["damping"], got["mode"]) == (True, "ai")  # it has them back
    assert "[watchdog] The motors are damped: the control process has ended." in capfd.readouterr().err


def test_control_process_frozen_and_resumed(robot):
    with control(robot) as process:
        assert_damped(robot, kill(process.pid, signal.SIGSTOP), FREEZE + SOON)
        until(lambda: "the control process has done nothing for" in process.alarm)
        asked = time.monotonic()
        answer = process.ask("stop")
        assert time.monotonic() - asked > 0.9
        assert "The watchdog damps the motors. The control process does not answer within 1 s" in answer
        held = robot.be()["holding"]
        resumed = kill(process.pid, signal.SIGCONT)
        until(lambda: not process.alarm)
        time.sleep(0.3)
        assert_damped(robot, resumed)
        assert robot.be()["holding"] <= held + 1  # at most one command was under way
        until(lambda: process.report().status.state is State.DAMPING)
        until(lambda: can(process, "stand"))  # all is well again


def test_a_gap_of_its_own_is_no_time_to_go_on_from(robot):
    """The watchdog is frozen, too: the loop alone sees that it stood still."""
    with control(robot) as process:
        os.kill(process._guard.pid, signal.SIGSTOP)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(FREEZE + 0.1)
        resumed = kill(process.pid, signal.SIGCONT)
        assert_damped(robot, resumed)
        until(lambda: "the control loop stood still for" in process.report().status.fault)


def test_watchdog_killed(robot, caplog):
    with control(robot, start="") as process:
        before = process._guard.pid
        process._watchdog._start = lambda: time.sleep(0.5)  # not another one yet
        os.kill(before, signal.SIGKILL)
        until(lambda: "The watchdog has ended" in process.alarm)
        until(lambda: "The watchdog has ended" in caplog.text)  # it is logged after the alarm is raised
        until(lambda: not process._memory.watched)
        with pytest.raises(Missing, match="No watchdog guards the motors"):
            process.ask("stand")
        assert robot.be()["mode"] == "ai"
        del process._watchdog._start
        until(lambda: not process.alarm)
        assert process._guard.pid != before
        process.ask("stand")
        assert_damped(robot, kill(process.pid))


def test_watchdog_frozen_is_replaced(robot):
    with control(robot) as process:
        before = process._guard.pid
        os.kill(before, signal.SIGSTOP)
        until(lambda: "The watchdog does not answer" in process.alarm)
        until(lambda: not process.alarm)
        assert not alive(before)
        until(lambda: stiff(robot))  # the motion went on
        assert_damped(robot, kill(process.pid))


def test_control_process_and_watchdog_killed(robot):
    with control(robot) as process:
        os.kill(process._guard.pid, signal.SIGKILL)
        assert_damped(robot, kill(process.pid), 5.0)  # by the next watchdog


def test_control_process_killed_and_watchdog_frozen(robot):
    with control(robot) as process:
        os.kill(process._guard.pid, signal.SIGSTOP)
        assert_damped(robot, kill(process.pid), 8.0)  # by the next watchdog


def test_node_killed(robot):
    with node(robot) as (process, control_pid, watchdog_pid):
        assert_damped(robot, kill(process.pid))
        until(lambda: not alive(control_pid) and not alive(watchdog_pid))
        got = robot.be()
        assert (got["damping"], got["mode"]) == (True, "ai")


def test_stop_while_a_motion_is_sent_to_a_frozen_control_process(robot):
    with control(robot, "stand") as process:
        reference = prepare(standing_motion(300.0))  # larger than the pipe
        os.kill(process.pid, signal.SIGSTOP)

        def send():
            with suppress(Missing, Refused):
                process.track(reference)

        threading.Thread(target=send, daemon=True).start()
        time.sleep(0.2)
        assert process.ask("stop").startswith("The watchdog damps the motors.")
        until(lambda: robot.be()["damping"])


def test_node_and_control_process_killed(robot):
    with node(robot) as (process, control_pid, watchdog_pid):
        os.kill(process.pid, signal.SIGSTOP)  # or the control process ends by itself, killed after the node
        killed = kill(control_pid)
        os.kill(process.pid, signal.SIGKILL)
        assert_damped(robot, killed)
        until(lambda: not alive(watchdog_pid))
        got = robot.be()
        assert (got["damping"], got["mode"]) == (True, "ai")
        assert time.monotonic() - killed > LAST_DAMPING_SECONDS


def test_node_killed_and_control_process_frozen(robot):
    with node(robot) as (process, control_pid, watchdog_pid):
        os.kill(process.pid, signal.SIGSTOP)  # or the control process ends by itself before it is frozen
        frozen = kill(control_pid, signal.SIGSTOP)
        os.kill(process.pid, signal.SIGKILL)
        assert_damped(robot, frozen, FREEZE + SOON)
        until(lambda: not alive(control_pid) and not alive(watchdog_pid))
        got = robot.be()
        assert (got["damping"], got["mode"]) == (True, "ai")


def test_node_frozen_and_control_process_killed(robot):
    with node(robot) as (process, control_pid, _):
        os.kill(process.pid, signal.SIGSTOP)
        assert_damped(robot, kill(control_pid))


def test_node_and_watchdog_killed(robot):
    with node(robot) as (process, control_pid, watchdog_pid):
        os.kill(process.pid, signal.SIGSTOP)  # or it starts another watchdog
        os.kill(watchdog_pid, signal.SIGKILL)
        assert_damped(robot, kill(process.pid))
        until(lambda: not alive(control_pid))
        got = robot.be()
        assert (got["damping"], got["mode"]) == (True, "ai")


def test_all_killed_and_a_new_controller_assumes_nothing(robot):
    """The robot keeps the last command: it is stiff, nobody is on the wire, and nobody has the motors."""
    with node(robot) as (process, control_pid, watchdog_pid):
        for pid in (process.pid, watchdog_pid):  # or the node starts another watchdog, or the watchdog damps
            os.kill(pid, signal.SIGSTOP)
        for pid in (control_pid, watchdog_pid, process.pid):
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    got = robot.be()
    assert (got["damping"], got["mode"]) == (False, "")
    fresh = ControlProcess(Settings(dds_domain=DOMAIN, policy="pd", state_timeout=FREEZE, robot_clock=True))
    try:
        until(lambda: "may hold the last command" in getattr(fresh.latest, "holder", ""))
        assert not fresh.latest.driving
        assert robot.be()["commands"] == got["commands"]
        assert fresh.ask("stop") == "The control process damps the motors."
        until(lambda: robot.be()["damping"])
        until(lambda: fresh.report().driving)
    finally:
        fresh.close()


def test_a_robot_that_is_not_heard_is_damped_on(robot):
    """Its answers are lost, which does not say that it hears nothing: what they said of its motors before is past."""
    with control(robot, "stand") as process:
        muted = time.monotonic()
        robot.be(mute=True)
        try:
            assert_damped(robot, muted, FREEZE + SOON)
            until(lambda: process.error)
            time.sleep(3.0)  # its motion switcher is asked every second
            assert_damped(robot, time.monotonic())
            with pytest.raises(Missing, match="Damping is sent, but the robot is not heard"):
                process.ask("stop")
            assert not process.alarm
        finally:
            robot.be(mute=False)
        until(lambda: not process.error)
        until(lambda: can(process, "stand"))


def test_motors_that_its_own_controller_takes_back_are_not_fought_for(robot):
    with control(robot, "stand") as process:
        process.ask("stop")
        robot.be(own="ai")
        until(lambda: not process.report().driving)
        time.sleep(0.1)
        sent = robot.be()["commands"]
        time.sleep(0.1)
        assert robot.be()["commands"] == sent
        with pytest.raises(Refused, match="own controller 'ai' has the motors"):
            process.ask("stop")
        until(lambda: "own controller 'ai'" in process.report().holder)
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: "has ended" in process.error)
        with pytest.raises(Refused, match="own controller 'ai' has the motors"):
            process.ask("stop")  # nor by the watchdog
        assert robot.be()["commands"] == sent


def test_stop_beside_an_intruder_damps_and_is_no_success(robot):
    with control(robot, start="") as process:
        robot.be(own="", intrude=True)
        until(lambda: "another controller" in process.report().holder)
        with pytest.raises(Refused, match="Damping is sent, but another controller"):
            process.ask("stop")
        until(lambda: process.report().driving)
        robot.be(intrude=False)
        until(lambda: robot.be()["damping"])
