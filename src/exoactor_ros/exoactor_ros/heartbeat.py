"""Heartbeats on /diagnostics: each node sends one per second, and the task server listens.

With Fast DDS, DDS itself forgets a killed process only after 20 s; the client of an active action notices earlier
(`exoactor_ros.action_client.Client.is_dead`).
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

TOPIC = "/diagnostics"
PERIOD = 1.0
_ERROR_LEVELS = (DiagnosticStatus.ERROR, DiagnosticStatus.STALE)


class Heartbeat:
    """Publishes the status of a node once per second, and at every change."""

    def __init__(self, node: Node, text: str = "ready") -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, TOPIC, 10)
        self._status = DiagnosticStatus(
            name=node.get_fully_qualified_name(), hardware_id="exoactor", level=DiagnosticStatus.OK, message=text
        )
        # A new process with the same name gets another instance id, so that a restart is noticed.
        self._status.values = [KeyValue(key="instance", value=f"{socket.gethostname()}:{os.getpid()}")]
        node.create_timer(PERIOD, self._beat, callback_group=MutuallyExclusiveCallbackGroup())

    def report(self, ok: bool, text: str) -> None:
        """Change the status: with ``ok`` False, ``text`` is the error that keeps the node from working."""
        self._status.level = DiagnosticStatus.OK if ok else DiagnosticStatus.ERROR
        self._status.message = text
        self._beat()

    def _beat(self) -> None:
        if not self._node.context.ok():
            return
        message = DiagnosticArray(status=[self._status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)


@dataclass(frozen=True)
class NodeStatus:
    """The last heartbeat of a node."""

    time: float
    """time.monotonic() when it was received, s."""
    ok: bool
    text: str
    instance: str

    @property
    def recent(self) -> bool:
        """Whether it was received within the last three periods."""
        return self.silence < 3 * PERIOD

    @property
    def silence(self) -> float:
        """Seconds since it was received."""
        return time.monotonic() - self.time


class HeartbeatMonitor:
    """Receives the heartbeats of all nodes in the namespace of ``node``."""

    def __init__(self, node: Node) -> None:
        self._namespace = node.get_namespace()
        self._statuses: dict[str, NodeStatus] = {}
        node.create_subscription(
            DiagnosticArray, TOPIC, self._hear, 50, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def _hear(self, message: DiagnosticArray) -> None:
        for status in message.status:
            instance = next((v.value for v in status.values if v.key == "instance"), "")
            self._statuses[status.name] = NodeStatus(
                time.monotonic(), status.level not in _ERROR_LEVELS, status.message, instance
            )

    def status(self, name: str) -> NodeStatus | None:
        """The last heartbeat of the node ``name``; None if there never was one."""
        return self._statuses.get(f"{self._namespace}/{name}")
