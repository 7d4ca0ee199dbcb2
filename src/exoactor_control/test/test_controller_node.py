"""Simulator and controller as processes of their own, driven over ROS."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from control_helpers import Robot

pytest.importorskip("rclpy")
pytest.importorskip("exoactor_interfaces.action")
pytest.importorskip("exoactor_sim")

from exoactor_interfaces.action import TrackMotion
from exoactor_interfaces.msg import ObjectPoses
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import Log
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from exoactor_control.nodes.controller_node import ControllerNode
from exoactor_control.rehearsal.verdict import KEY_VARIABLE, Verdicts
from exoactor_core.contacts import Contact
from exoactor_core.dex3 import FINGER_JOINTS
from exoactor_core.interaction import Interaction
from exoactor_core.motion import JOINT_NAMES, RobotMotion
from exoactor_core.robot import STANDING, standing_motion
from exoactor_core.scene import everyday, joined
from exoactor_core.task_checks import Check
from exoactor_ros.conversions import pose_to_message, robot_from_message, robot_to_message, set_interaction
from exoactor_ros.heartbeat import HeartbeatMonitor
from exoactor_unitree.joystick import Button
from ros_testing import Caller, finished, spinning, until, use_own_domain

pytestmark = pytest.mark.ros

KEY = "5" * 64
DATA = Path(os.environ.get("EXOACTOR_DATA", Path(__file__).parents[4] / "shared" / "data"))


class Graph:
    """Processes that are stopped, and checked to stop cleanly, at the end."""

    def __init__(self, domain):
        self.domain, self.processes = domain, []
        self.env = {**os.environ, **use_own_domain(), "OMP_NUM_THREADS": "1"}

    def start(self, module, **parameters):
        arguments = [a for name, value in parameters.items() for a in ("-p", f"{name}:={value}")]
        command = [
            sys.executable,
            "-m",
            "exoactor_core.entry",
            module,
            "--ros-args",
            "-r",
            f"__ns:={'/' if 'simulator' in module else '/exoactor'}",
            "-p",
            f"dds_domain:={self.domain}",
        ]
        self.processes.append(subprocess.Popen([*command, *arguments], env=self.env))

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGINT)
        try:
            assert [p.wait(20) for p in self.processes] == [0] * len(self.processes)
        finally:
            for process in self.processes:
                process.kill()


@pytest.fixture
def graph():
    graph = Graph(70 + os.getpid() % 28)
    yield graph
    graph.stop()


@pytest.fixture
def robot(graph):
    robot = Robot(graph.domain)
    yield robot
    robot.close()


def ask(node, name):
    client = node.create_client(Trigger, name)
    assert client.wait_for_service(10.0)
    for _ in range(4):  # DDS loses an answer to a client that the server has not discovered yet
        with contextlib.suppress(AssertionError):
            return finished(client.call_async(Trigger.Request()), 5.0)
    raise AssertionError(f"{name} does not answer")


def waving(seconds=2.0):
    motion = standing_motion(seconds)
    joints = motion.joint_pos.copy()
    joints[:, 22] -= 0.5 * (1 - np.cos(np.pi * np.linspace(0, 2, len(joints))))
    return RobotMotion(motion.fps, motion.root_pos, motion.root_quat_wxyz, joints)


@pytest.mark.faults
def test_observations_that_cannot_be_used_are_left_out():
    taken = []
    state = SimpleNamespace(joint_pos=STANDING, joint_vel=np.zeros(29), quat_wxyz=np.array([1.0, 0.0, 0.0, 0.0]))
    with spinning(lambda **o: ControllerNode(parameter_overrides=[Parameter("autostart", value=False)], **o)) as nodes:
        controller = nodes[0]
        report = SimpleNamespace(state=state, truth=None, hands=(), go_presses=controller._go_presses)
        controller._loop = SimpleNamespace(latest=report, error="", alarm="", close=lambda: None)
        controller._tracker = SimpleNamespace(observe=taken.append)

        def send(age=0.0, frame="d435_link", x=0.5):
            now = nodes[-1].get_clock().now().nanoseconds - int(1e9 * age)
            message = ObjectPoses(ids=["cup"], poses=[pose_to_message(np.array([x, 0, 0, 1, 0, 0, 0]))])
            message.header.frame_id = frame
            message.header.stamp.sec, message.header.stamp.nanosec = now // 10**9, now % 10**9
            controller._on_objects(message)

        for unusable in ({"age": 1.0}, {"age": -1.0}, {"frame": "world"}, {"frame": "kitchen"}, {"x": np.nan}):
            send(**unusable)
        assert taken == []
        send()
        controller._loop = None
    assert np.linalg.norm(taken[0]["cup"][:3] - [0.55, 0.0, 0.2]) < 0.3  # ahead of the head, as seen from the pelvis


@pytest.mark.slow
def test_hands_are_led_to_observed_objects_and_the_checks_say_what_became_of_them(graph, tmp_path):
    def scene(y):
        stand = everyday("stand", pos=(0.55, 0.3, 0.0), size=(0.2, 0.5, 0.7))
        return joined([stand, everyday("box", pos=(0.55, y, 0.7), size=(0.1, 0.1, 0.1))])

    scene(0.4).save(tmp_path / "scene.yaml")
    graph.start("exoactor_sim.simulator", scene=str(tmp_path / "scene.yaml"))
    graph.start("exoactor_control.nodes.controller_node")
    touch = Contact(body="left_hand", object="box", kind="touch", start=1.5, end=2.0)
    checks = (
        Check(kind="stands", object="box"),
        Check(kind="moved", object="box"),
        Check(kind="touched", object="box"),
    )
    sent = goal(replace(standing_motion(2.5), object_contacts=(touch,)))
    set_interaction(sent, Interaction(scene(0.3), checks=checks))
    with spinning() as (node,):
        joints = {}
        node.create_subscription(JointState, "/joint_states", lambda m: joints.update(dict.fromkeys(m.name)), 10)
        result = Caller(node, TrackMotion, "track_motion").result(sent, 90)
    assert set(joints) == {*JOINT_NAMES, *FINGER_JOINTS[0], *FINGER_JOINTS[1]}  # with objects the hands are Dex3
    metrics = json.loads(result.metrics_json)
    assert metrics["success"], metrics["reason"]
    (led,) = [note for note in metrics["notes"] if "led to the box" in note]
    assert 4.0 < float(led.split()[7]) < 14.0, led  # 10 cm, less what the robot turned as it began to stand
    assert [check["passed"] for check in metrics["checks"]] == [True, False, None]
    assert metrics["task_success"] is False
    assert result.error_code == TrackMotion.Result.TRACKING_FAILED
    assert "The G1 moved as it should, but the task failed. The box was moved by" in result.error_msg


def goal(motion):
    return TrackMotion.Goal(motion=robot_to_message(motion))


def test_tracks_on_the_band_cancels_and_stops(graph):
    graph.start("exoactor_sim.simulator", band="true")
    graph.start("exoactor_control.nodes.controller_node", policy="pd")
    with spinning() as (node,):
        joints, bases = [], []
        node.create_subscription(JointState, "/joint_states", joints.append, 10)
        node.create_subscription(Odometry, "odometry", bases.append, 10)
        caller = Caller(node, TrackMotion, "track_motion")

        result = caller.result(goal(waving()), 60)
        assert result.error_code == 0, result.error_msg
        metrics = json.loads(result.metrics_json)
        assert metrics["success"], metrics["reason"]
        assert metrics["policy"] == "pd (elastic band)"
        assert metrics["joint_error_mean"] < 0.1
        assert result.motion.num_frames == 101
        assert caller.feedback[-1].fraction > 0.5
        assert len(joints) > 10
        assert list(joints[-1].name) == list(JOINT_NAMES)
        assert bases[-1].pose.pose.position.z == pytest.approx(0.78, abs=0.05)

        handle = caller.send(goal(waving(5.0)))
        time.sleep(1.0)
        finished(handle.cancel_goal_async())
        assert finished(handle.get_result_async()).result.error_code == TrackMotion.Result.CANCELLED

        handle = caller.send(goal(waving(5.0)))
        time.sleep(1.0)
        assert ask(node, "stop").success
        result = finished(handle.get_result_async()).result
        assert result.error_code == TrackMotion.Result.ROBOT_NOT_READY
        assert "stopped" in result.error_msg
        result = caller.result(goal(waving()))  # a stop holds
        assert result.error_code == TrackMotion.Result.ROBOT_NOT_READY
        assert "was stopped: let it stand" in result.error_msg

        assert ask(node, "zero_torque").success
        assert ask(node, "stand").success
        assert not ask(node, "zero_torque").success  # it would drop
        assert ask(node, "stop").success
        assert ask(node, "/simulator/reset").success


def test_deactivation_gives_the_motors_back(graph, robot):
    graph.start("exoactor_control.nodes.controller_node", policy="pd")
    with spinning() as (node,):
        until(lambda: "own controller 'ai' has the motors" in ask(node, "stop").message, 30.0)
        assert robot.be()["mode"] == "ai"
        assert not ask(node, "zero_torque").success  # a robot that its own controller holds would drop
        assert robot.be()["mode"] == "ai"
        assert ask(node, "stand").success
        assert robot.be()["mode"] == ""
        until(lambda: robot.be()["damping"] is False)
        change(node, Transition.TRANSITION_DEACTIVATE)
        until(lambda: robot.be()["damping"])
        assert robot.be()["mode"] == "ai"


def test_no_robot_is_told_and_the_node_stays(graph):
    graph.start("exoactor_control.nodes.controller_node", policy="pd")
    with spinning() as (node,):
        caller = Caller(node, TrackMotion, "track_motion")
        result = caller.result(goal(waving()), 60)
        assert result.error_code == TrackMotion.Result.MISSING
        assert "LowState" in result.error_msg
        broken = goal(waving())
        broken.motion.joint_pos[5] = float("nan")
        result = caller.result(broken, 60)
        assert result.error_code == TrackMotion.Result.BAD_INPUT
        assert "not finite" in result.error_msg


@pytest.mark.faults
def test_a_real_robot_moves_only_rehearsed_standing_and_approved(graph, robot):
    graph.env[KEY_VARIABLE] = KEY
    motion = standing_motion(1.0)
    good = goal(motion)
    good.verdict = Verdicts(KEY, None).give(robot_from_message(good.motion), None)
    graph.start("exoactor_control.nodes.controller_node", policy="pd", robot="real", state_timeout=0.5)
    with spinning() as (node,):
        caller = Caller(node, TrackMotion, "track_motion")

        def refused(sent, cause=TrackMotion.Result.UNSAFE_MOTION):
            result = caller.result(sent, 60)
            assert result.error_code == cause
            return result.error_msg

        def waiting():
            caller.feedback.clear()
            handle = caller.send(good)
            until(lambda: any(f.awaiting_approval for f in caller.feedback))
            return handle

        # The verdict: none, what was once believed, another key's, another motion's.
        assert "without the rehearsal's verdict" in refused(goal(motion))
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        old = node.create_publisher(String, "rehearsed_motions", latched)
        numbers = (np.float64(motion.fps), motion.root_pos, motion.root_quat_wxyz, motion.joint_pos)
        content = b"".join(np.asarray(n, np.float32).tobytes() for n in numbers)
        old.publish(String(data=hashlib.sha256(content).hexdigest()))
        assert "without the rehearsal's verdict" in refused(goal(motion))
        for key, rehearsed in (("6" * 64, motion), (KEY, waving())):
            forged = goal(motion)
            forged.verdict = Verdicts(key, None).give(robot_from_message(goal(rehearsed).motion), None)
            assert "not the rehearsal's on this very motion" in refused(forged)

        # It stands by the operator's services alone.
        assert "does not stand under this controller" in refused(good, TrackMotion.Result.ROBOT_NOT_READY)
        assert ask(node, "damp").success
        assert "does not stand under this controller" in refused(good, TrackMotion.Result.ROBOT_NOT_READY)
        assert ask(node, "stand").success

        # Approval: a stop ends the wait, and holds.
        assert not ask(node, "approve").success
        handle = waiting()
        assert ask(node, "stop").success
        result = finished(handle.get_result_async()).result
        assert result.error_code == TrackMotion.Result.ROBOT_NOT_READY
        assert "the motion that waited for approval is refused" in result.error_msg
        answer = ask(node, "approve")
        assert (answer.success, answer.message) == (False, "No motion waits for approval.")
        assert "was stopped: let it stand" in refused(good, TrackMotion.Result.ROBOT_NOT_READY)
        assert robot.damped()

        # One approval, one motion; by the service, and by the remote.
        assert ask(node, "stand").success
        handle = waiting()
        assert ask(node, "approve").success
        result = finished(handle.get_result_async()).result
        assert result.error_code == 0, result.error_msg
        handle = waiting()
        time.sleep(0.5)
        assert not any(not f.awaiting_approval for f in caller.feedback[1:])
        robot.be(buttons=int(Button.A))
        result = finished(handle.get_result_async()).result
        assert result.error_code == 0, result.error_msg
        robot.be(buttons=0)
        handle = waiting()
        robot.be(buttons=int(Button.SELECT))  # stop
        assert finished(handle.get_result_async()).result.error_code == TrackMotion.Result.ROBOT_NOT_READY
        robot.be(buttons=0)
        assert not ask(node, "approve").success


SENDER = """
import sys, threading, rclpy
from exoactor_interfaces.action import TrackMotion
from exoactor_core.robot import standing_motion
from exoactor_ros.action_client import Client, call_action
from exoactor_ros.conversions import robot_to_message
from exoactor_ros.heartbeat import HeartbeatMonitor
rclpy.init()
node = rclpy.create_node("sender", namespace="/exoactor")
threading.Thread(target=rclpy.spin, args=(node,), daemon=True).start()
call_action(Client(node, TrackMotion, "track_motion"), TrackMotion.Goal(motion=robot_to_message(standing_motion(30.0))),
     node=node, server="controller", on_feedback=print, on_wait=print, cancelled=lambda: False,
     heartbeats=HeartbeatMonitor(node), server_timeout=30.0, lease=0.7)
"""


@pytest.mark.faults
def test_a_motion_ends_with_its_sender(graph, robot):
    graph.start("exoactor_control.nodes.controller_node", policy="pd")
    with spinning() as (node,):
        heartbeats = HeartbeatMonitor(node)
        for fault in (signal.SIGKILL, signal.SIGSTOP):
            sender = subprocess.Popen([sys.executable, "-c", SENDER], env=graph.env, stdout=subprocess.DEVNULL)
            try:
                until(lambda: (sign := heartbeats.status("controller")) and sign.text.startswith("track"), 60.0)
                time.sleep(1.5)
                assert heartbeats.status("controller").text.startswith("track")  # it is renewed
                sender.send_signal(fault)
                start = time.monotonic()
                until(lambda: heartbeats.status("controller").text.startswith("stand"))
                print(f"{fault.name}: the motion ended after {time.monotonic() - start:.2f} s")
            finally:
                sender.kill()
                sender.wait()


@pytest.mark.faults
def test_a_motion_ends_while_the_node_is_frozen(graph, robot):
    graph.start("exoactor_control.nodes.controller_node", policy="pd")
    with spinning() as (node,):
        caller = Caller(node, TrackMotion, "track_motion")
        handle = caller.send(goal(standing_motion(30.0)))
        until(lambda: any(f.fraction > 0.03 for f in caller.feedback), 60.0)
        graph.processes[0].send_signal(signal.SIGSTOP)
        time.sleep(2.0)
        graph.processes[0].send_signal(signal.SIGCONT)
        result = finished(handle.get_result_async()).result
        assert result.error_code == TrackMotion.Result.TRACKING_FAILED
        assert "the controller's node was frozen" in result.error_msg


@pytest.mark.slow
def test_policy_walks_without_a_band(graph):
    policy, motion = DATA / "policies" / "twist2_1017_20k.onnx", DATA / "motions" / "kimodo_walk.npz"
    if not policy.is_file() or not motion.is_file():
        pytest.skip(f"{policy} or {motion} is not there")
    graph.start("exoactor_sim.simulator")
    graph.start("exoactor_control.nodes.controller_node", policy=f"'{policy}'")
    with spinning() as (node,):
        result = Caller(node, TrackMotion, "track_motion").result(goal(RobotMotion.load(motion)), 120)
    assert result.error_code == 0, result.error_msg
    metrics = json.loads(result.metrics_json)
    assert metrics["success"], metrics["reason"]
    assert not metrics["fell"]
    assert metrics["min_pelvis_height"] > 0.6
    assert metrics["joint_error_mean"] < 0.15


@pytest.mark.faults
@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_control_process_dies_and_the_node_says_so(graph, robot, fault):
    graph.start("exoactor_control.nodes.controller_node", policy="pd")
    with spinning() as (node,):
        heartbeats = HeartbeatMonitor(node)
        until(lambda: "own controller 'ai' has the motors" in ask(node, "stop").message, 30.0)
        assert ask(node, "stand").success
        caller = Caller(node, TrackMotion, "track_motion")
        handle = caller.send(goal(waving(20.0)))
        until(lambda: any(f.fraction > 0.05 for f in caller.feedback), 30.0)
        number = signal.SIGKILL if fault == "killed" else signal.SIGSTOP
        os.kill(child(graph.processes[0].pid, "exoactor_control.realtime.control_process"), number)
        until(lambda: robot.be()["damping"])
        until(lambda: not heartbeats.status("controller").ok)
        assert "The watchdog damps the motors: the control process has" in heartbeats.status("controller").text
        for request in ("stop", "damp"):
            answer = ask(node, request)
            assert answer.success
            assert "The watchdog damps the motors" in answer.message
        assert finished(handle.get_result_async()).result.error_code == TrackMotion.Result.MISSING
        assert not ask(node, "stand").success
        for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
            change(node, transition)
        assert robot.be()["damping"]
        assert not ask(node, "stop").success  # nothing is sent by what is not configured
        change(node, Transition.TRANSITION_CONFIGURE)
        robot.be(own="")  # as if it had not been given back
        until(lambda: "stop" in heartbeats.status("controller").text and heartbeats.status("controller").ok)
        answer = ask(node, "stop")
        assert (answer.success, answer.message) == (True, "The control process damps the motors.")


@pytest.mark.faults
def test_the_reason_of_damping_is_in_the_log(graph, robot):
    graph.start("exoactor_control.nodes.controller_node", policy="pd")
    with spinning() as (node,):
        said = []
        node.create_subscription(Log, "/rosout", lambda message: said.append(message.msg), 10)
        until(lambda: ask(node, "stand").success, 30.0)
        robot.be(mute=True)
        until(lambda: any(text.startswith("The motors are damped: the last LowState is") for text in said))


def child(pid, module):
    """Process number of a node's own process."""
    pids = [p for task in Path(f"/proc/{pid}/task").iterdir() for p in (task / "children").read_text().split()]
    found = [p for p in pids if module in Path(f"/proc/{p}/cmdline").read_text()]
    assert len(found) == 1
    return int(found[0])


def change(node, transition):
    client = node.create_client(ChangeState, "controller/change_state")
    assert client.wait_for_service(10.0)
    assert finished(client.call_async(ChangeState.Request(transition=Transition(id=transition))), 40.0).success
