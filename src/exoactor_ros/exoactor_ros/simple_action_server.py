"""An action server that works on one goal at a time, for the stages and the task server."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from exoactor_core.errors import Busy, user_error
from exoactor_ros.conversions import error_code
from exoactor_ros.lease import Leases
from exoactor_ros.qos import STATUS

RESULT_KEPT = 60
"""s that a result is kept for late clients."""
END_WAIT = 2.0
"""s for the current goal to end."""


class SimpleActionServer:
    """Rejects a second goal as busy; an error of the work becomes the result's error code and message.

    ``work`` is called with the goal, the result to fill in, and a function that says whether the goal's lease has
    expired; what it returns is called once the client has its result. ``error_base`` is the base of the action's error
    codes: 100 execute_task, 200 generate, 300 estimate, 400 retarget, 500 track. ``lease`` returns a goal message's
    lease in s (`exoactor_ros.lease`); 0: none.
    """

    def __init__(
        self,
        node: Node,
        action_type: Any,
        action_name: str,
        error_base: int,
        work: Callable[[Any, Any, Callable[[], bool]], Callable[[], None] | None],
        lease: Callable[[Any], float] = lambda goal: 0.0,
    ) -> None:
        self._node, self._type, self._name, self._error_base = node, action_type, action_name, error_base
        self._work, self._lease, self._leases = work, lease, Leases(node)
        self._group = ReentrantCallbackGroup()
        self._busy = threading.Lock()
        self._server: ActionServer | None = None
        self.ending = threading.Event()
        """Set when the current goal has to end."""

    @property
    def busy(self) -> bool:
        """Whether a goal is being worked on."""
        return self._busy.locked()

    def open(self) -> None:
        """Accept goals from now on."""
        self.ending.clear()
        self._server = ActionServer(
            self._node,
            self._type,
            self._name,
            self._execute,
            callback_group=self._group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            result_timeout=RESULT_KEPT,
            status_pub_qos_profile=STATUS,
        )

    def end_goal(self) -> None:
        """Set `ending`, and wait up to `END_WAIT` for the current goal."""
        self.ending.set()
        if self._busy.acquire(timeout=END_WAIT):
            self._busy.release()

    def close(self) -> None:
        """End the current goal, and accept no more."""
        self.end_goal()
        if self._server is not None:
            self._server.destroy()
            self._server = None

    def _execute(self, goal: Any) -> Any:
        result, afterwards = self._type.Result(), None
        try:
            if not self._busy.acquire(blocking=False):
                raise Busy(f"The {self._node.get_name()} is busy with another goal: wait for it or cancel it.")
            try:
                with self._leases.watch(goal, self._lease(goal.request)) as lease_expired:
                    afterwards = self._work(goal, result, lease_expired)
            finally:
                self._busy.release()
            result.error_code = result.NONE
        except Exception as error:
            result.error_code, result.error_msg = self._failure(error)
        if self._node.context.ok():  # status and error code never contradict each other
            if result.error_code == result.NONE:
                goal.succeed()
            elif result.error_code == result.CANCELLED and goal.is_cancel_requested:
                goal.canceled()
            else:  # also goals that the node cancelled itself: rcl has no state for these
                goal.abort()
        if afterwards is not None:
            try:
                afterwards()
            except Exception:  # the goal has succeeded
                self._node.get_logger().error(traceback.format_exc())
        return result

    def _failure(self, error: Exception) -> tuple[int, str]:
        """Error code and message for an error, which is logged."""
        known, node = user_error(error), self._node
        if node.context.ok():  # otherwise the process is ending, and nobody listens
            if known:
                node.get_logger().warning(f"{self._name}: {known}")
            else:
                node.get_logger().error("".join(traceback.format_exception(error)))
        bug = f"Internal error in the {node.get_name()} ({type(error).__name__}: {error}); see its log."
        return error_code(self._error_base, error), str(known or bug)
