"""One stage as a ROS node: a backend behind one action server, with a lifecycle."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.msg import State
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from exoactor_core.errors import Busy, Cancelled, Missing, Refused, user_error
from exoactor_core.options import Configurable
from exoactor_core.stages import Stage, Tracking, add_notes, backend_class, backend_names
from exoactor_ros import NAMESPACE
from exoactor_ros.conversions import end_goal, failure, metrics_to_json
from exoactor_ros.heartbeat import Heartbeat
from exoactor_ros.lease import Leases
from exoactor_ros.parameters import Parameters

FEEDBACK_PERIOD = 0.1
"""s between two feedback messages, at least."""

RESULT_KEPT = 60
"""s that a result is kept for a client that asks late."""


class StageNode(LifecycleNode):
    """A lifecycle node that serves one stage; configure loads the backend, activate opens the action server.

    Parameters
    ----------
    name
        Node name, in the namespace /exoactor.
    stage
        Entry-point group of the backends: "generate", "estimate", "retarget" or "track".
    backend
        Backend where the parameter ``backend`` says nothing else.
    action_type, action_name
        The action that is served.
    error_base
        First number of the action's error codes: 200 generate, 300 estimate, 400 retarget, 500 track.
    to_input
        Goal message to the stage's input; may raise `BadInput`.
    fill
        Puts the stage's output into the result message.
    to_options
        Goal message to keyword arguments of the backend's call.
    lease
        Goal message to its lease in s (`exoactor_ros.lease`); 0: none.

    Notes
    -----
    ROS parameters: ``backend``; ``autostart`` (true: configures and activates itself); and, for each option of the
    backend, ``<backend>.<option>``. They are read when the node is configured, and a change is refused
    while it is. Subclasses declare theirs with `parameters`.
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
        self._error_base, self._to_input, self._fill = error_base, to_input, fill
        self._to_options, self._lease = to_options, lease
        self._group = ReentrantCallbackGroup()
        self._server: ActionServer | None = None
        self._backend: Callable[..., Any] | None = None
        self._busy = threading.Lock()  # one goal at a time
        self._leaving = threading.Event()  # set: the goal in work is to end
        self._leases = Leases(self)
        self.heartbeat = Heartbeat(self, "not configured")
        self.parameters = Parameters(self, self._locked)
        self.parameters.declare("backend", backend, f"One of {', '.join(backend_names(stage))}.")
        if self.parameters.declare("autostart", True, "Configure and activate at the start.", read_only=True):
            self._start_timer = self.create_timer(0.0, self._autostart)

    def prepared(self, backend: Any) -> Callable[..., Any]:
        """What is called for a goal, given the loaded backend; for subclasses."""
        return backend

    def on_output(self, output: Any) -> None:
        """Show the output of a successful goal on topics; for subclasses."""

    def more_options(self, tell: Callable[..., None]) -> dict[str, Any]:
        """Keyword arguments of the backend for this goal; ``tell`` sends feedback with the fields given; subclasses."""
        return {}

    # --- lifecycle ----------------------------------------------------------------------------------------------

    def _locked(self) -> str:
        """Why no parameter may be changed now; empty where the node is not configured."""
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
        self.heartbeat.say(True, f"loading the backend '{name}'")
        try:
            backend = backend_class(self._stage, name)
            self._backend = self.prepared(backend(**self.options(name, backend)))
        except Exception as error:
            known = user_error(error)
            if not known:
                self.get_logger().error(traceback.format_exc())
            reason = str(known) if known else f"the backend '{name}' failed to load: {error!r}"
            self.get_logger().error(reason)
            self.heartbeat.say(False, reason)
            return TransitionCallbackReturn.FAILURE
        self.heartbeat.say(True, "configured")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the action server."""
        self._leaving.clear()
        self._server = ActionServer(
            self,
            self._action_type,
            self._action_name,
            self._execute,
            callback_group=self._group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            result_timeout=RESULT_KEPT,
        )
        self.heartbeat.say(True, "ready")
        self.get_logger().info(f"Ready: {self._action_name} with backend '{self.parameters['backend']}'.")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the goal in work and close the action server."""
        self._close()
        self.heartbeat.say(True, "configured, not active")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the backend."""
        self._backend = None
        self.heartbeat.say(True, "not configured")
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close and let go of everything."""
        self._close()
        self._backend = None
        self.heartbeat.say(False, "shut down")
        return super().on_shutdown(state)

    def finish(self) -> None:
        """End the goal in work, while the node still communicates."""
        self._end_goal()

    def destroy_node(self) -> None:
        """End the goal in work, then go."""
        self._close()
        super().destroy_node()

    def _end_goal(self) -> None:
        self._leaving.set()
        if self._busy.acquire(timeout=2.0):  # the goal in work notices at its next progress
            self._busy.release()

    def _close(self) -> None:
        self._end_goal()
        if self._server is not None:
            self._server.destroy()
            self._server = None

    def options(self, name: str, kind: type[Configurable]) -> dict[str, Any]:
        """Declare the options of a backend as parameters ``<name>.<option>`` (once) and read them.

        Raises `BadInput`: a value has the wrong type or lies outside the range, or was given for an option that
        there is not.
        """
        self.parameters.declare_options(kind.Options(), name)
        return dict(self.parameters.options(kind.Options, name))

    # --- the action ---------------------------------------------------------------------------------------------

    def _execute(self, goal: Any) -> Any:
        result = self._action_type.Result()
        try:
            if not self._busy.acquire(blocking=False):
                raise Busy(f"The {self.get_name()} is busy with another goal: wait for it or cancel it.")
            try:
                with self._leases.watch(goal, self._lease(goal.request)) as sender_gone:
                    output = self._run(goal, sender_gone)
                if isinstance(output, Tracking):
                    output.require_success()
                self._fill(result, output)
                result.metrics_json = metrics_to_json(output.metrics)
                result.error_code = result.NONE
            finally:
                self._busy.release()
        except Exception as error:
            result = self._action_type.Result()
            if isinstance(error, Refused) and error.output is not None:  # for the user to look at
                self._fill(result, error.output)
                result.metrics_json = metrics_to_json(error.output.metrics)
            result.error_code, result.error_msg = failure(self, self._error_base, error, self._action_name)
            if self.context.ok():
                end_goal(goal, result)
            return result
        end_goal(goal, result)
        try:
            self.on_output(output)
        except Exception:  # showing it is not the job
            self.get_logger().error(traceback.format_exc())
        return result

    def _run(self, goal: Any, sender_gone: Callable[[], bool]) -> Any:
        last, done = -FEEDBACK_PERIOD, 0.0

        def tell(**fields: Any) -> None:
            goal.publish_feedback(self._action_type.Feedback(fraction=done, **fields))

        def progress(fraction: float, text: str, **fields: Any) -> None:
            nonlocal last, done
            done = float(fraction)
            if goal.is_cancel_requested:
                raise Cancelled("Cancelled.")
            if sender_gone():
                raise Cancelled("Cancelled: whoever sent the goal is gone or frozen.")
            if self._leaving.is_set() or not self.context.ok():
                raise Cancelled(f"The {self.get_name()} was stopped.")
            now = time.monotonic()
            if now - last >= FEEDBACK_PERIOD:
                last = now
                tell(text=text, **fields)

        if self._backend is None:
            raise Missing(f"The {self.get_name()} is not configured.")
        progress(0.0, "starting")
        options = self._to_options(goal.request) | self.more_options(tell)
        given = self._to_input(goal.request)
        output = self._backend(given, progress, **options)
        add_notes(output.metrics, given)
        return output
