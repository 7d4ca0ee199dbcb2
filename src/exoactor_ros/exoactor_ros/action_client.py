"""Calling an action from a thread while an executor spins: feedback, cancelling, detection of a dead server."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus, GoalStatusArray
from rclpy.action import ActionClient
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.task import Future
from unique_identifier_msgs.msg import UUID

from exoactor_core.errors import Busy, Cancelled, Missing, Refused
from exoactor_ros.heartbeat import HeartbeatMonitor, NodeStatus
from exoactor_ros.lease import TOPIC
from exoactor_ros.qos import RENEWALS, STATUS_WATCHED

TICK = 0.05
"""s between two checks of the server and of a request to cancel."""
CANCEL_WAIT = 3.0
"""s for a server to end its work after a cancel request."""
CONFIRMED_AFTER = 0.5
"""s without a message from a server, after its liveliness lapsed, after which it counts as dead."""


SETTLED_AFTER = 0.5
"""s after which a server that was discovered has also discovered its client."""


class Client(ActionClient):
    """An action client that can be used from several threads, and that notices when the server dies.

    rclpy's client registers a request after sending it: a response that the executor's thread receives in between is
    dropped ("Ignoring unexpected goal response"), and the caller waits for ever.
    """

    def __init__(self, node: Node, action_type: Any, action_name: str, **kwargs: Any) -> None:
        self._request_lock = threading.RLock()
        self._renewals = node.create_publisher(UUID, TOPIC, RENEWALS)
        self._lapsed: float | None = None
        self._found: float | None = None
        super().__init__(node, action_type, action_name, **kwargs)
        node.create_subscription(
            GoalStatusArray,
            f"{action_name}/_action/status",
            lambda _: None,
            STATUS_WATCHED,
            callback_group=MutuallyExclusiveCallbackGroup(),
            event_callbacks=SubscriptionEventCallbacks(liveliness=self._on_liveliness, use_default_callbacks=False),
        )

    def server_is_ready(self) -> bool:
        """Whether the server exists and has had time to discover this client: earlier responses would be lost."""
        if not super().server_is_ready():
            self._found = None
            return False
        now = time.monotonic()
        self._found = self._found or now
        return now - self._found > SETTLED_AFTER

    def _on_liveliness(self, changed: Any) -> None:
        self._lapsed = None if changed.alive_count else time.monotonic()

    def is_dead(self, last_heard: float) -> bool:
        """Whether the server's process is dead or frozen: its liveliness lapsed, and it has not been heard since.

        ``last_heard`` is in s of the monotonic clock. The liveliness of a process that is starved for a second may
        lapse as well: it is not dead if it comes back within `CONFIRMED_AFTER`. Always False for servers that grant no
        lease.
        """
        lapsed = self._lapsed
        return lapsed is not None and time.monotonic() - max(lapsed, last_heard) > CONFIRMED_AFTER

    def renew(self, goal_id: UUID) -> None:
        """Renew the lease of a goal, see `exoactor_ros.lease`."""
        self._renewals.publish(goal_id)

    def send_goal_async(self, *args: Any, **kwargs: Any) -> Future:
        """As rclpy's."""
        with self._request_lock:
            return super().send_goal_async(*args, **kwargs)

    def _cancel_goal_async(self, goal_handle: Any) -> Future:
        with self._request_lock:
            return super()._cancel_goal_async(goal_handle)

    def _get_result_async(self, goal_handle: Any) -> Future:
        with self._request_lock:
            return super()._get_result_async(goal_handle)

    async def execute(self, taken_data: Any) -> None:
        """As rclpy's."""
        with self._request_lock:  # requests are registered by now
            pass
        await super().execute(taken_data)


def call_action(
    client: Client,
    goal: Any,
    *,
    node: Node,
    server: str,
    on_feedback: Callable[[Any], None],
    on_wait: Callable[[str], None],
    cancelled: Callable[[], bool],
    heartbeats: HeartbeatMonitor,
    server_timeout: float = 10.0,
    silence_timeout: float = 8.0,
    lease: float = 0.0,
    detach: bool = False,
) -> Any:
    """Send a goal, wait for its result and return it, whatever its error code; others spin the client's ``node``.

    ``server`` names the node that serves the action, as in its heartbeats; ``on_wait`` is called with a text about once
    per second while waiting for it. ``cancelled`` is polled; True cancels the goal. ``server_timeout`` is the time to
    wait for the server at the start, and ``silence_timeout`` that for a heartbeat later, s. With a ``lease`` (s) the
    goal ends that long after this process has died or frozen (see `exoactor_ros.lease`); 0: it continues. Only actions
    whose goal has the field ``lease`` support it. ``detach``: return None as soon as the server has accepted the goal.

    Raises
    ------
    Missing
        The server is absent, reports that it cannot work, or died.
    Busy
        It rejected the goal.
    Refused
        It ended the goal without success or error code.
    Cancelled
        ``cancelled`` returned True, and the server ended its work or did not answer in time.
    """
    work = _Call(client, node, server, heartbeats, cancelled, silence_timeout, renewed=lease > 0.0)
    work.wait_for_server(on_wait, server_timeout)
    if lease:
        goal.lease = lease

    def feedback(message: Any) -> None:
        work.last_feedback = time.monotonic()
        on_feedback(message.feedback)

    handle = work.wait(client.send_goal_async(goal, feedback_callback=feedback, goal_uuid=work.goal_id))
    if not handle.accepted:
        raise Busy(f"The node '{server}' rejected the goal: it is busy with another.")
    if detach:
        return None
    response = work.wait(handle.get_result_async(), handle)
    if cancelled():
        raise Cancelled("Cancelled.")
    if response.status != GoalStatus.STATUS_SUCCEEDED and not response.result.error_code:
        raise Refused(f"The node '{server}' ended the goal without success and gave no reason: see its log.")
    return response.result


class _Call:
    """One goal: waits for its server, renews its lease, and notices a dead server or a cancel request."""

    def __init__(
        self,
        client: Client,
        node: Node,
        server: str,
        heartbeats: HeartbeatMonitor,
        cancelled: Callable[[], bool],
        silence_timeout: float,
        renewed: bool,
    ) -> None:
        self._client, self._node, self._server, self._heartbeats = client, node, server, heartbeats
        self._cancelled, self._silence_timeout, self._renewed = cancelled, silence_timeout, renewed
        self.goal_id = UUID(uuid=list(uuid.uuid4().bytes))
        self._instance = ""  # of the server, and the time when the goal is sent: by `wait_for_server`
        self._sent = self.last_feedback = 0.0
        self._cancel_sent: float | None = None

    def wait_for_server(self, on_wait: Callable[[str], None], timeout: float) -> None:
        """Return when the goal can be sent. Raises as `call_action`."""
        start = last_notice = time.monotonic()
        while not self._client.server_is_ready():
            now = time.monotonic()
            sign = self._heartbeats.status(self._server)
            if sign is not None and now - sign.time >= timeout:
                sign = None
            if sign is not None and not sign.ok:
                raise Missing(f"The node '{self._server}' cannot work: {sign.text}")
            if sign is None and now - start > timeout:
                raise Missing(
                    f"The node '{self._server}' is not there: start it ('exoactor up' starts all) and send again."
                )
            if self._cancelled() or not self._node.context.ok():
                raise Cancelled("Cancelled.")
            if now - last_notice > 1.0:
                last_notice = now
                on_wait(f"waiting for '{self._server}'" + (f": {sign.text}" if sign else ""))
            time.sleep(TICK)
        self._instance = _instance(self._heartbeats.status(self._server))
        self._sent = self.last_feedback = time.monotonic()

    def wait(self, future: Future, handle: Any = None) -> Any:
        """The future's result; ``handle`` is that of the goal once accepted. Raises as `call_action`."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not done.wait(TICK):
            if self._renewed:
                self._client.renew(self.goal_id)
            now = time.monotonic()
            if handle is None and now - self._sent > self._silence_timeout:
                raise Missing(f"The node '{self._server}' does not answer: see its log, start it again and send again.")
            self._check_alive(now)
            if not self._node.context.ok():
                raise Cancelled("The node was stopped.")
            if self._cancelled() and handle is not None and self._cancel_sent is None:
                self._cancel_sent = now
                handle.cancel_goal_async()
            if self._cancel_sent is not None and now - self._cancel_sent > CANCEL_WAIT:
                raise Cancelled(f"Cancelled; the node '{self._server}' has not ended its work yet.")
        return future.result()

    def _check_alive(self, now: float) -> None:
        sign = self._heartbeats.status(self._server)
        restarted = self._instance and _instance(sign) != self._instance
        heard = max(self.last_feedback, sign.time if sign else 0.0)
        undiscovered = not self._client.server_is_ready() and now - self.last_feedback > 1.0
        if restarted or undiscovered or self._client.is_dead(heard) or now - heard > self._silence_timeout:
            raise Missing(
                f"The node '{self._server}' died or froze during its work: see its log, start it or the "
                "whole graph again, and send the task again."
            )


def _instance(sign: NodeStatus | None) -> str:
    return sign.instance if sign else ""
