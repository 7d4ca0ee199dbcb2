"""Leases of goals: a goal ends when its sender is gone or frozen.

A sender that wants this sets the goal's field ``lease`` (s) and publishes the goal's id on the topic `TOPIC` several
times in that time; `exoactor_ros.action_client.call_action` does both. The server calls `Leases.watch`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from unique_identifier_msgs.msg import UUID

from exoactor_ros.qos import RENEWALS

TOPIC = "leases"
MOTION_LEASE = 0.7
"""s that a motion continues without its sender: with the time to notice it, less than a second."""
TASK_LEASE = 5.0
"""s that work which moves nothing continues without its sender, since busy machines delay renewals: a task, which
the task server ends, and the rehearsal."""
_FIRST_RENEWAL = 3.0  # s for the first renewal: DDS may discover the sender's topic later than its goal


class Leases:
    """The server's side: receives the renewals of active goals."""

    def __init__(self, node: Node) -> None:
        self._ends: dict[bytes, float] = {}  # s, monotonic clock, by the id of an active goal
        self._leases: dict[bytes, float] = {}
        node.create_subscription(UUID, TOPIC, self._renew, RENEWALS, callback_group=MutuallyExclusiveCallbackGroup())

    @contextmanager
    def watch(self, goal: Any, lease: float) -> Iterator[Callable[[], bool]]:
        """Watch a goal's lease (s) while the block lasts; yields a function that says whether it has expired."""
        if not lease > 0.0:
            yield lambda: False
            return
        key = bytes(goal.goal_id.uuid)
        self._leases[key], self._ends[key] = lease, time.monotonic() + max(lease, _FIRST_RENEWAL)
        try:
            yield lambda: time.monotonic() > self._ends[key]
        finally:
            del self._leases[key], self._ends[key]

    def _renew(self, message: UUID) -> None:
        key = bytes(message.uuid)
        lease = self._leases.get(key)
        if lease is not None:
            self._ends[key] = time.monotonic() + lease
