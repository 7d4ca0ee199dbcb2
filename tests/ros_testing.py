"""Nodes in the test's own process, in a DDS domain of their own."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from exoactor.graph import environment
from exoactor_ros import NAMESPACE
from exoactor_ros.action_client import Client
from exoactor_ros.spin import destroy

DOMAIN = 2 + os.getpid() % 48
"""ROS domain of this process; from 102 on the ports would fall among those that Linux gives away."""

UNITREE_DOMAIN = DOMAIN + 50
"""Domain for Unitree's topics: another, since both kinds of DDS take the same ports for the same domain."""


def use_own_domain() -> dict[str, str]:
    """Set and return the environment that keeps this process and its children to themselves."""
    own = {"ROS_DOMAIN_ID": str(DOMAIN), **environment("localhost")}
    os.environ.update(own)
    return own


@contextmanager
def spinning(*factories: Callable[..., Node], threads: int = 16) -> Iterator[list[Node]]:
    """Nodes, each made by ``factory(context=...)``, and at the end of the list a plain one for clients; all spun."""
    use_own_domain()
    gc.collect()  # lifecycle nodes keep their DDS participant until then, and only 32 are discovered on one machine
    context = Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    executor = MultiThreadedExecutor(threads, context=context)
    nodes = [factory(context=context) for factory in factories]
    nodes.append(rclpy.create_node("tester", namespace=NAMESPACE, context=context))
    for node in nodes:
        executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield nodes
    finally:
        executor.shutdown(2.0)
        thread.join(5.0)
        for node in nodes:
            destroy(node)
        context.try_shutdown()


def until(condition: Callable[[], Any], timeout: float = 10.0) -> Any:
    """Wait until ``condition()`` is true and return it; fails after ``timeout`` s."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still not so after {timeout} s"
        time.sleep(0.01)
    return value


def finished(future: Future, timeout: float = 20.0) -> Any:
    """Result of a future that another thread works on."""
    until(future.done, timeout)
    return future.result()


class Caller:
    """An action client for tests."""

    def __init__(self, node: Node, action_type: type, name: str) -> None:
        self.client = Client(node, action_type, name)
        self.feedback: list[Any] = []

    def send(self, goal: Any, timeout: float = 20.0) -> Any:
        """Send a goal; returns the goal handle, accepted."""
        assert self.client.wait_for_server(timeout), "no server"
        handle = finished(
            self.client.send_goal_async(goal, feedback_callback=lambda m: self.feedback.append(m.feedback))
        )
        assert handle.accepted
        return handle

    def result(self, goal: Any, timeout: float = 20.0) -> Any:
        """Send a goal and return the result message."""
        return finished(self.send(goal).get_result_async(), timeout).result
