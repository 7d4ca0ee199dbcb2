"""One stage as a ROS node: a backend behind one action server, with a lifecycle."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from lifecycle_msgs.msg import State
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from exoactor_core.errors import Cancelled, Missing, Refused, user_error
from exoactor_core.options import Configurable
from exoactor_core.stages import Stage, Tracking, add_notes, backend_class, backend_names
from exoactor_ros import NAMESPACE
from exoactor_ros.conversions import metrics_to_json
from exoactor_ros.heartbeat import Heartbeat
from exoactor_ros.parameters import Parameters
from exoactor_ros.simple_action_server import SimpleActionServer

FEEDBACK_PERIOD = 0.1
"""Minimum time between two feedback messages, s."""


class StageNode(LifecycleNode):
    """A lifecycle node that serves one stage; configure loads the backend, activate opens the action server.

    ``stage`` is the backends' entry-point group, ``backend`` the default of the parameter ``backend``. ``action_type``,
    ``action_name``, ``error_base`` and ``lease`` are as for `SimpleActionServer`. ``to_input`` converts a goal message
    to the stage's input, and may raise `BadInput`; ``to_options`` returns keyword arguments of the backend's call;
    ``fill`` puts the stage's output into the result message.

    ROS parameters: ``backend``; ``autostart`` (true: configures and activates itself); and ``<backend>.<option>`` for
    each option of the backend. They are read when the node is configured; while it is, changes are refused. Subclasses
    declare their own with `parameters`.
    """

    def __init__(
        self,
        name: str,
        *,
        stage: Stage,
        backend: str,
        action_type: Any,
        action_name: str,
        error_base: int,
        to_input: Callable[[Any], Any],
        fill: Callable[[Any, Any], None],
        to_options: Callable[[Any], dict[str, Any]] = lambda goal: {},
        lease: Callable[[Any], float] = lambda goal: 0.0,
        **node_options: Any,
    ) -> None:
        super().__init__(name, namespace=NAMESPACE, **node_options)
        self._stage, self._action_type, self._action_name = stage, action_type, action_name
        self._to_input, self._fill, self._to_options = to_input, fill, to_options
        self._group = ReentrantCallbackGroup()
        self._server = SimpleActionServer(self, action_type, action_name, error_base, self._execute, lease)
        self._backend: Callable[..., Any] | None = None
        self.heartbeat = Heartbeat(self, "not configured")
        self.parameters = Parameters(self, self._locked)
        self.parameters.declare("backend", backend, f"One of {', '.join(backend_names(stage))}.")
        if self.parameters.declare("autostart", True, "Configure and activate at the start.", read_only=True):
            self._start_timer = self.create_timer(0.0, self._autostart)

    def wrap_backend(self, backend: Any) -> Callable[..., Any]:
        """Return what is called for a goal, given the loaded backend; for subclasses."""
        return backend

    def on_output(self, output: Any) -> None:
        """Publish the output of a successful goal on topics; for subclasses."""

    def feedback_options(self, publish_feedback: Callable[..., None]) -> dict[str, Any]:
        """Keyword arguments of the backend that publish feedback by ``publish_feedback(field=...)``; for subclasses."""
        return {}

    # --- lifecycle ----------------------------------------------------------------------------------------------

    def _locked(self) -> str:
        """Why no parameter may be changed now; empty if the node is not configured."""
        if self._state_machine.current_state[0] == State.PRIMARY_STATE_UNCONFIGURED:
            return ""
        name = self.get_fully_qualified_name()
        return (
            f"{name} reads its parameters when it is configured: 'ros2 lifecycle set {name} deactivate' and 'cleanup' "
            "come first, then 'configure' and 'activate' again."
        )

    def _autostart(self) -> None:
        self._start_timer.cancel()
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters and load the backend."""
        name = self.parameters["backend"]
        self.heartbeat.report(True, f"loading the backend '{name}'")
        try:
            backend = backend_class(self._stage, name)
            self._backend = self.wrap_backend(backend(**self.options(name, backend)))
        except Exception as error:
            known = user_error(error)
            if not known:
                self.get_logger().error(traceback.format_exc())
            reason = str(known) if known else f"the backend '{name}' failed to load: {error!r}"
            self.get_logger().error(reason)
            self.heartbeat.report(False, reason)
            return TransitionCallbackReturn.FAILURE
        self.heartbeat.report(True, "configured")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the action server."""
        self._server.open()
        self.heartbeat.report(True, "ready")
        self.get_logger().info(f"Ready: {self._action_name} with backend '{self.parameters['backend']}'.")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the current goal and close the action server."""
        self._server.close()
        self.heartbeat.report(True, "configured, not active")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the backend."""
        self._backend = None
        self.heartbeat.report(True, "not configured")
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the action server and release the backend."""
        self._server.close()
        self._backend = None
        self.heartbeat.report(False, "shut down")
        return super().on_shutdown(state)

    def finish(self) -> None:
        """End the current goal, while the node can still communicate."""
        self._server.end_goal()

    def destroy_node(self) -> None:
        """End the current goal, then destroy the node."""
        self._server.close()
        super().destroy_node()

    def options(self, name: str, kind: type[Configurable]) -> dict[str, Any]:
        """Declare the options of a backend as parameters ``<name>.<option>`` (once) and read them.

        Raises
        ------
        BadInput
            A value has the wrong type, lies outside the range, or was given for an unknown option.
        """
        self.parameters.declare_options(kind.Options(), name)
        return dict(self.parameters.options(kind.Options, name))

    # --- the action ---------------------------------------------------------------------------------------------

    def _execute(self, goal: Any, result: Any, lease_expired: Callable[[], bool]) -> Callable[[], None]:
        try:
            output = self._run(goal, lease_expired)
            if isinstance(output, Tracking):
                output.require_success()
        except Refused as error:
            if error.output is not None:  # for inspection by the user
                self._fill_in(result, error.output)
            raise
        self._fill_in(result, output)
        return partial(self.on_output, output)

    def _fill_in(self, result: Any, output: Any) -> None:
        self._fill(result, output)
        result.metrics_json = metrics_to_json(output.metrics)

    def _run(self, goal: Any, lease_expired: Callable[[], bool]) -> Any:
        last, done = -FEEDBACK_PERIOD, 0.0

        def publish_feedback(**fields: Any) -> None:
            goal.publish_feedback(self._action_type.Feedback(fraction=done, **fields))

        def progress(fraction: float, text: str, **fields: Any) -> None:
            nonlocal last, done
            done = float(fraction)
            if goal.is_cancel_requested:
                raise Cancelled("Cancelled.")
            if lease_expired():
                raise Cancelled("Cancelled: whoever sent the goal is gone or frozen.")
            if self._server.ending.is_set() or not self.context.ok():
                raise Cancelled(f"The {self.get_name()} was stopped.")
            now = time.monotonic()
            if now - last >= FEEDBACK_PERIOD:
                last = now
                publish_feedback(text=text, **fields)

        if self._backend is None:
            raise Missing(f"The {self.get_name()} is not configured.")
        progress(0.0, "starting")
        options = self._to_options(goal.request) | self.feedback_options(publish_feedback)
        given = self._to_input(goal.request)
        output = self._backend(given, progress, **options)
        add_notes(output.metrics, given)
        return output
