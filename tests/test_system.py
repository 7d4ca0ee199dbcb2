"""The whole graph as separate processes, driven through the action client and the standard topics."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("exoactor_interfaces.action")
pytest.importorskip("cyclonedds")

from rclpy.action import ActionClient
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from exoactor import client
from exoactor.graph import resolve
from exoactor.task_server import STAGES
from exoactor_core.errors import Missing
from exoactor_core.motion import JOINT_NAMES, HumanMotion, RobotMotion
from exoactor_core.video import Video
from exoactor_ros.heartbeat import HeartbeatMonitor
from exoactor_ros.qos import LATCHED, STATE
from ros_testing import UNITREE_DOMAIN, spinning, until, use_own_domain

pytestmark = [pytest.mark.ros, pytest.mark.timeout(300)]
NODES = {"task_server", "generator", "pose_estimator", "retargeter", "rehearsal", "controller", "robot_state_publisher"}
START = 90.0
"""s that the nodes have to load their models, on a machine with other work."""


class Up:
    """`exoactor up` as a process."""

    def __init__(self, folder):
        self.values = resolve({"dds_domain": str(UNITREE_DOMAIN), "runs": str(folder / "runs"), "respawn": "true"})
        self.log = folder / "up.log"
        environment = {**os.environ, **use_own_domain()}
        words = [f"{name}:={value}" for name, value in self.values.items() if name in ("dds_domain", "runs", "respawn")]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "exoactor.cli", "up", *words],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def children(self):
        """Process number by module."""
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        words = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0") for pid in pids}
        return {
            word[word.index("exoactor_core.entry") + 1]: pid
            for pid, word in words.items()
            if "exoactor_core.entry" in word
        }

    def end(self):
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            for pid in (*self.children().values(), self.process.pid):  # none of them outlives the tests
                os.kill(pid, signal.SIGKILL)
            raise


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    up = Up(tmp_path_factory.mktemp("graph"))
    try:
        with spinning() as (tester,):
            heartbeats = HeartbeatMonitor(tester)
            servers = [ActionClient(tester, kind, action) for _, action, kind in STAGES.values()]

            def ready():
                assert up.process.poll() is None
                statuses = [heartbeats.status(name) for name in NODES]
                return all(s.server_is_ready() for s in servers) and all(s and s.ok for s in statuses)

            try:
                until(ready, START)
            except AssertionError:
                signs = {n: getattr(heartbeats.status(n), "text", "silent") for n in NODES}
                pytest.fail(f"{signs}\n{up.log.read_text()}")
            for server in servers:
                server.destroy()
        yield up
    finally:
        if up.process.poll() is None:
            up.end()


def test_a_task_from_words_to_the_simulated_robot(graph):
    seen = {}
    with spinning() as (tester,):
        for kind, topic, qos in (
            (JointState, "/joint_states", STATE),
            (TFMessage, "/tf", STATE),
            (String, "/robot_description", LATCHED),
            (JointState, "/exoactor/reference/joint_states", STATE),
        ):
            tester.create_subscription(kind, topic, lambda m, t=topic: seen.__setitem__(t, m), qos)
        stages = []
        result = client.send_task(
            "wave with your right hand", execute="sim", on_feedback=lambda stage, *_: stages.append(stage)
        )
        assert result.success, f"{result}\n{graph.log.read_text()}"
        assert len(graph.children()) >= 6
        assert list(dict.fromkeys(stages)) == ["generate", "estimate", "retarget", "rehearse", "track"]
        assert set(result.seconds) == set(stages)
        folder = Path(result.run_folder)
        video = Video.load(folder / "video.mp4")
        human = HumanMotion.load(folder / "human_motion.npz")
        robot = RobotMotion.load(folder / "robot_motion.npz")
        assert abs(human.duration - video.duration) < 0.2
        assert abs(robot.duration - human.duration) < 0.2
        for name in ("rehearsal", "tracking"):
            done = RobotMotion.load(folder / f"{name}.npz")
            assert done.duration > 0.8 * robot.duration
        arm = JOINT_NAMES.index("right_shoulder_roll_joint")
        assert robot.joint_pos[:, arm : arm + 3].std(axis=0).max() > 0.1  # the right arm moves
        until(lambda: len(seen) == 4)
    assert list(seen["/joint_states"].name) == list(JOINT_NAMES)
    assert "right_wrist_yaw_link" in seen["/robot_description"].data
    assert {t.child_frame_id.removeprefix("reference/") for t in seen["/tf"].transforms} >= {"pelvis", "torso_link"}


def test_bad_input_leaves_the_graph_ready(graph):
    for text in ("", "recite a poem backwards"):
        result = client.send_task(text)
        assert (result.success, result.exit_code) == (False, 2)
        assert result.reason
        assert "\n" not in result.reason


@pytest.mark.faults
def test_a_killed_stage_is_noticed_and_comes_back(graph):
    generator = graph.children()["exoactor_gen.node"]
    killed = []

    def on_feedback(stage, fraction, text):
        if stage == "generate" and fraction > 0 and not killed:  # in the middle of its goal
            killed.append(time.monotonic())
            os.kill(generator, signal.SIGKILL)

    result = client.send_task("wave with your right hand", on_feedback=on_feedback)
    assert (result.exit_code, result.failed_stage) == (3, "generate")
    assert "'generator' died" in result.reason
    assert time.monotonic() - killed[0] < 20
    until(lambda: "generator was killed by SIGKILL; it is started again" in graph.log.read_text())
    until(lambda: client.send_task("recite a poem backwards").exit_code == 2, START)  # the generator's own answer


@pytest.mark.faults
def test_a_frozen_stage_is_noticed_before_the_task_starts(graph):
    retargeter = graph.children()["exoactor_retarget.node"]
    os.kill(retargeter, signal.SIGSTOP)
    try:
        time.sleep(3.0)
        result = client.send_task("wave with your right hand")
    finally:
        os.kill(retargeter, signal.SIGCONT)
    assert (result.exit_code, result.failed_stage, result.seconds) == (3, "retarget", {})
    assert "'retargeter' is dead or frozen" in result.reason


@pytest.mark.faults
@pytest.mark.parametrize(
    ("end", "reason"), [(signal.SIGKILL, "sent it is gone or frozen"), (signal.SIGTERM, "The task was cancelled")]
)
def test_a_task_ends_with_the_command_that_sent_it(graph, end, reason):
    runs = Path(graph.values["runs"])
    before = set(runs.iterdir())
    words = ["send", "walk forward two metres, then wave", "--execute", "rehearse"]
    command = subprocess.Popen([sys.executable, "-m", "exoactor.cli", *words], stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: command.poll() is not None or set(runs.iterdir()) - before, 60.0)
        (run,) = set(runs.iterdir()) - before
        command.send_signal(end)
        command.communicate(timeout=30.0)
        until((run / "report.json").exists, 30.0)
    finally:
        command.kill()
    assert command.returncode != 0
    report = json.loads((run / "report.json").read_text())
    assert not report["success"]
    assert reason in report["reason"]


@pytest.mark.faults
def test_a_motion_ends_with_the_task_server(graph):
    task_server = graph.children()["exoactor.task_server"]
    killed = []

    def on_feedback(stage, fraction, text):
        if stage == "track" and fraction > 0 and not killed:
            killed.append(time.monotonic())
            os.kill(task_server, signal.SIGKILL)

    with spinning() as (tester,):
        heartbeats = HeartbeatMonitor(tester)
        with pytest.raises(Missing, match="'task_server' died"):
            client.send_task("wave for 6 seconds", execute="sim", on_feedback=on_feedback)  # cannot end by itself
        assert killed
        for line in (
            "track_motion: Cancelled: whoever sent the goal is gone or frozen.",
            "task_server was killed by SIGKILL; the other nodes go on without it",
        ):
            until(lambda line=line: line in graph.log.read_text(), 60.0)
        until(lambda: (sign := heartbeats.status("controller")) and sign.text.startswith("stand"), 60.0)


def test_ctrl_c_ends_all_without_a_traceback(graph):
    pids = graph.children().values()
    assert pids
    assert graph.end() == 0
    log = graph.log.read_text()
    assert "Traceback" not in log
    assert "never retrieved" not in log
    assert "did not end" not in log
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
