import gc
import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
from exoactor_interfaces.action import RetargetMotion
from rclpy.action import ActionClient, ActionServer

from exoactor_core.errors import Missing
from exoactor_ros import action_client
from exoactor_ros.action_client import CONFIRMED_AFTER, Client, call_action
from exoactor_ros.heartbeat import HeartbeatMonitor
from ros_testing import finished, spinning, until

pytestmark = pytest.mark.ros

SERVER = """
import time
from exoactor_interfaces.action import RetargetMotion
from rclpy.node import Node
from exoactor_ros.simple_action_server import SimpleActionServer
from exoactor_ros.spin import run

class Server(Node):
    def __init__(self):
        super().__init__("server", namespace="exoactor")
        self.action = SimpleActionServer(self, RetargetMotion, "slowly", 400, self.work)
        self.action.open()

    def work(self, goal, result, lease_expired):
        while True:
            goal.publish_feedback(RetargetMotion.Feedback(text="working"))
            time.sleep(0.1)

run(Server)
"""


class SlowHandle:
    """rclpy's handle of an action client, on which the answer is there before the asking is over."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._handle, name)
        if not name.startswith("send_"):
            return value

        def slow(*args: Any) -> Any:
            number = value(*args)
            time.sleep(0.3)
            return number

        return slow

    def __enter__(self) -> Any:
        return self._handle.__enter__()

    def __exit__(self, *args: Any) -> None:
        self._handle.__exit__(*args)


def test_answers_that_come_at_once_are_not_lost():
    def serve(goal: Any) -> Any:
        goal.succeed()
        return RetargetMotion.Result(error_code=RetargetMotion.Result.NONE, error_msg="done")

    with spinning() as (node,):
        server = ActionServer(node, RetargetMotion, "at_once", serve)
        client = Client(node, RetargetMotion, "at_once")
        assert client.wait_for_server(10.0)
        client._client_handle = SlowHandle(client._client_handle)
        handle = finished(client.send_goal_async(RetargetMotion.Goal()), 5.0)
        assert finished(handle.get_result_async(), 5.0).result.error_msg == "done"
        finished(handle.cancel_goal_async(), 5.0)
        server.destroy()


def test_a_server_is_not_ready_before_it_had_time_to_discover_the_client(monkeypatch):
    there = True
    monkeypatch.setattr(ActionClient, "server_is_ready", lambda _: there)
    with spinning() as (node,):
        client = Client(node, RetargetMotion, "discovered")
        assert not client.server_is_ready()
        until(client.server_is_ready)
        there = False
        assert not client.server_is_ready()
        there = True
        assert not client.server_is_ready()


@pytest.mark.faults
def test_a_server_that_is_killed_is_noticed_by_its_liveliness(monkeypatch):
    with spinning() as (node,):
        server = subprocess.Popen([sys.executable, "-c", SERVER])
        client = Client(node, RetargetMotion, "slowly")

        def kill(feedback: Any) -> None:
            monkeypatch.setattr(
                client, "server_is_ready", lambda: True
            )  # as for 20 s, until DDS forgets its participant
            server.kill()

        try:
            with pytest.raises(Missing, match="'server' died or froze"):
                call_action(
                    client,
                    RetargetMotion.Goal(),
                    node=node,
                    server="server",
                    on_feedback=kill,
                    on_wait=lambda text: None,
                    cancelled=lambda: False,
                    heartbeats=HeartbeatMonitor(node),
                    server_timeout=60.0,
                    silence_timeout=1e9,
                )
        finally:
            server.kill()
        assert server.wait() < 0


def test_a_liveliness_that_lapses_is_no_death_before_it_is_confirmed(monkeypatch):
    with spinning() as (node,):
        client = Client(node, RetargetMotion, "nobodys")
        now = 100.0
        monkeypatch.setattr(action_client, "time", SimpleNamespace(monotonic=lambda: now))
        assert not client.is_dead(last_heard=0.0), "it may grant no lease"
        client._on_liveliness(SimpleNamespace(alive_count=0))
        assert not client.is_dead(last_heard=99.9)
        now += CONFIRMED_AFTER + 0.1
        assert client.is_dead(last_heard=99.9)
        assert not client.is_dead(last_heard=100.3), "it was heard of since"
        client._on_liveliness(SimpleNamespace(alive_count=1))
        assert not client.is_dead(last_heard=99.9)


def test_a_node_leaves_no_participant_behind():
    def sockets():
        names = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
        return sum(os.readlink(name).startswith("socket:") for name in names if os.path.lexists(name))

    def use():
        with spinning() as (node,):
            Client(node, RetargetMotion, "slowly")

    use()  # what DDS opens once
    gc.collect()
    before = sockets()
    gc.disable()  # it would hide what is left
    try:
        use()
        assert sockets() == before
    finally:
        gc.enable()
