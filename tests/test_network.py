"""Who can reach a running graph, and two robots in one ROS domain."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("exoactor_interfaces.action")
pytest.importorskip("cyclonedds")

from exoactor_interfaces.action import TrackMotion
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage

from exoactor import client
from exoactor.graph import environment, processes, resolve
from exoactor.task_server import STAGES
from exoactor.up import command
from exoactor_core.errors import Missing
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import standing_motion
from exoactor_ros import namespace_of
from exoactor_ros.conversions import robot_to_message
from exoactor_ros.heartbeat import HeartbeatMonitor
from ros_testing import UNITREE_DOMAIN, Caller, spinning, until, use_own_domain

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(200)]
ROBOTS = ("robot1", "robot2")
NODES = {"simulator", "controller", "task_server", "robot_state_publisher"}


@contextmanager
def running(env, nodes=None, **values):
    """Two robots, each behind a Unitree domain of its own, with these nodes or all; yields the processes."""
    started = []
    domains = (UNITREE_DOMAIN, 52 + (UNITREE_DOMAIN - 28) % 48)  # both below 102: see ros_testing
    for robot, domain in zip(ROBOTS, domains, strict=True):
        given = resolve({"namespace": robot, "dds_domain": str(domain), **values})
        wanted = [p for p in processes(given) if nodes is None or p.name in nodes]
        started += [subprocess.Popen(command(p, given), env=env) for p in wanted]
    try:
        yield started
    finally:
        for process in started:
            process.send_signal(signal.SIGINT)
        for process in started:
            try:
                process.wait(30)
            finally:
                process.kill()


def own_environment():
    return {**os.environ, **use_own_domain(), **environment("localhost"), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def robots():
    """Two robots with what a task in work needs."""
    with running(own_environment(), NODES, policy="pd") as started:
        yield [process.pid for process in started]


def lifting(joint, seconds=2.0):
    motion = standing_motion(seconds)
    joints = motion.joint_pos.copy()
    joints[:, joint] -= 0.4 * (1 - np.cos(np.pi * np.linspace(0, 2, len(joints))))
    return RobotMotion(motion.fps, motion.root_pos, motion.root_quat_wxyz, joints)


def test_two_robots_carry_out_two_motions_at_once(robots):
    with spinning() as (node,):
        frames, joints, bases = set(), {}, {}
        node.create_subscription(
            TFMessage, "/tf", lambda m: frames.update((t.header.frame_id, t.child_frame_id) for t in m.transforms), 50
        )
        callers = {}
        for robot in ROBOTS:
            node.create_subscription(
                JointState, f"/{robot}/joint_states", lambda m, r=robot: joints.setdefault(r, []).append(m.position), 50
            )
            node.create_subscription(
                Odometry, f"{namespace_of(robot)}/odometry", lambda m, r=robot: bases.update({r: m}), 5
            )
            callers[robot] = Caller(node, TrackMotion, f"{namespace_of(robot)}/track_motion")
        arms = dict(zip(ROBOTS, (22, 15), strict=True))  # shoulder pitch, right and left
        until(lambda: len(bases) == 2, 60.0)  # both are driven
        handles = [
            callers[robot].send(TrackMotion.Goal(motion=robot_to_message(lifting(arms[robot]))), 30.0)
            for robot in ROBOTS
        ]
        results = [h.get_result_async() for h in handles]
        until(lambda: all(r.done() for r in results), 60.0)
        for robot, result in zip(ROBOTS, results, strict=True):
            done = result.result().result
            assert done.error_code == 0, done.error_msg
            assert json.loads(done.metrics_json)["success"]
            moved = np.ptp(np.array(joints[robot]), axis=0)
            other = arms[ROBOTS[1 - ROBOTS.index(robot)]]
            assert moved[arms[robot]] > 0.5 > 0.3 > moved[other], robot  # each did its own
            assert bases[robot].header.frame_id == f"{robot}/world"
            assert {
                (f"{robot}/world", f"{robot}/pelvis"),
                (f"{robot}/world", f"{robot}/reference/pelvis"),  # from the start, though nothing was retargeted
                (f"{robot}/waist_roll_link", f"{robot}/torso_link"),
            } <= frames
        assert all(frame.startswith(tuple(f"{robot}/" for robot in ROBOTS)) for pair in frames for frame in pair)


@pytest.mark.timeout(400)
def test_two_robots_carry_out_two_tasks_at_once(tmp_path):
    env = own_environment()
    tasks = {"robot1": "raise your right arm", "robot2": "raise your left arm"}
    with running(env, runs=str(tmp_path)), spinning() as (node,):
        watches = [HeartbeatMonitor(_named(node, namespace_of(robot))) for robot in ROBOTS]
        stages = [name for name, *_ in STAGES.values()]
        until(lambda: all((sign := w.status(name)) and sign.ok for w in watches for name in stages), 120.0)
        send = [sys.executable, "-m", "exoactor.cli", "send", "--execute", "sim", "--json", "--namespace"]
        clients = [
            subprocess.Popen([*send, robot, task], env=env, stdout=subprocess.PIPE, text=True)
            for robot, task in tasks.items()
        ]
        results = [json.loads(client.communicate(timeout=240)[0]) for client in clients]
    moved = []
    for result, task in zip(results, tasks.values(), strict=True):
        assert result["success"], result["reason"]
        assert result["instruction"] == task
        joints = RobotMotion.load(Path(result["run_folder"]) / "tracking.npz").joint_pos
        moved.append(np.ptp(joints[:, [22, 15]], axis=0))  # shoulder pitch, right and left
    assert moved[0][0] > 2 * moved[0][1]
    assert moved[1][1] > 2 * moved[1][0]


def test_the_client_speaks_to_the_robot_that_it_names(robots):
    spinning_domain = use_own_domain()
    assert spinning_domain["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("fastdds_localhost.xml")
    with pytest.raises(Missing, match="task_server"):
        client.send_task("wave", wait=1.0)  # the only robot: there is none
    result = client.send_task("", namespace="robot2", wait=20.0)  # its task server answers
    assert result.exit_code == 2
    with spinning() as (node,):
        heartbeats = HeartbeatMonitor(node)
        other = HeartbeatMonitor(_named(node, namespace_of("robot1")))
        until(lambda: other.status("controller"), 10.0)
        assert heartbeats.status("controller") is None  # heartbeats of other robots are not this one's


class _named:
    """A node in another namespace, as a `HeartbeatMonitor` sees it."""

    def __init__(self, node, namespace):
        self._node, self._namespace = node, namespace

    def get_namespace(self):
        return self._namespace

    def __getattr__(self, name):
        return getattr(self._node, name)


def family(pid):
    """A process and all that descend from it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {pid}.union(*(family(int(child)) for child in children))


@pytest.mark.skipif(not shutil.which("ss"), reason="the program ss (iproute2) is not installed")
def test_nothing_listens_beyond_this_machine(robots):
    """DDS listens on ports from 7400 on, below those that Linux gives away to senders."""
    with spinning() as (node,):
        seen = HeartbeatMonitor(_named(node, namespace_of("robot1")))
        until(lambda: seen.status("controller"), 60.0)
    pids = set().union(*(family(pid) for pid in robots))
    given_away = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    lines = subprocess.run(["ss", "-tulpnH"], capture_output=True, text=True, check=True).stdout.splitlines()
    own = [line.split()[4] for line in lines if pids & {int(p) for p in re.findall(r"pid=(\d+)", line)}]
    listening = [address for address in own if int(address.rpartition(":")[2]) < given_away]
    assert len(listening) > 2 * len(NODES)  # at least: two of each node, and Unitree's
    assert [a for a in listening if not a.startswith(("127.0.0.1:", "[::1]:")) and "%lo:" not in a] == []


ALONE = """
ip link set lo up && ip link add eth9 type veth peer name eth8 && ip addr add 192.0.2.9/24 dev eth9 &&
ip link set eth9 up && ip link set eth8 up && ip route add default dev eth9 && echo ready || exit 0
"$@" & sleep 0.2; node=$!
for i in $(seq 100); do sleep 0.2; [ $(wc -l < /proc/net/udp) -gt 3 ] && break; done
sleep 1; cat /proc/net/igmp; kill -INT $node; wait $node
"""
"""In a network namespace of its own: start a node, wait for its sockets, say which multicast groups are joined."""


@pytest.mark.parametrize("network", ["localhost", "subnet"])
def test_multicast_groups_that_are_joined(network):
    values = resolve({"network": network})
    publisher = next(p for p in processes(values) if p.name == "robot_state_publisher")
    env = {**os.environ, **environment(network), "ROS_DOMAIN_ID": "0"}
    if network == "subnet":
        for library in ("FASTRTPS", "FASTDDS"):
            env.pop(f"{library}_DEFAULT_PROFILES_FILE", None)
    words = ["unshare", "-rn", "sh", "-c", ALONE, "sh", *command(publisher, values)]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    if not done.stdout.startswith("ready"):
        pytest.skip(f"no network namespace may be made here: {done.stderr.strip()}")
    joined = done.stdout.partition("eth9")[2]
    assert joined
    assert ("0100FFEF" in joined) == (network == "subnet")  # 239.255.0.1, where DDS discovers
