"""Sending a task to the running graph from Python, and calling its services."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

import rclpy
from exoactor_interfaces.action import ExecuteTask
from rclpy.context import Context
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger

from exoactor.graph import RESET, SERVICES, enclave
from exoactor.pipeline import IN_METRICS, Execute, Report
from exoactor_core.errors import BadInput, Cancelled, ExoActorError, Missing, Refused, error_of
from exoactor_core.scene import Scene
from exoactor_ros import NAMESPACE, namespace_of
from exoactor_ros.action_client import Client, call_action
from exoactor_ros.conversions import plan_to_message, scene_to_message
from exoactor_ros.heartbeat import HeartbeatMonitor
from exoactor_ros.lease import TASK_LEASE
from exoactor_ros.spin import middleware_errors, spinning

EXECUTE = {name: getattr(ExecuteTask.Goal, name.upper()) for name in get_args(Execute)}

SERVICE_WAIT = 10.0
"""s for a service to appear, and for its answer: the robot's own controller may take 4 s to release the motors."""

OnFeedback = Callable[[str, float, str], None]
"""Called with stage, fraction of the stage in [0, 1], and text."""


@dataclass
class TaskResult(Report):
    """Result of a task that was sent."""

    run_folder: str = ""
    """On the task server's machine; empty when the task was refused at once."""
    error_code: int = 0
    """Error code of the action; 0 on success."""
    exit_code: int = 0
    """Exit code for a command that sent the task."""


def send_task(
    instruction: str,
    scene_image: bytes | None = None,
    execute: str = "rehearse",
    require_approval: bool = False,
    on_feedback: OnFeedback = lambda stage, fraction, text: None,
    wait: float = 10.0,
    plan: dict[str, Any] | None = None,
    namespace: str = "",
    detach: bool = False,
    scene: Scene | None = None,
    on_wait: Callable[[str], None] = lambda text: None,
) -> TaskResult:
    """Send a task and wait until it ends; a KeyboardInterrupt or the end of this process cancels it.

    ``scene_image`` holds the bytes of a png or jpeg file. ``execute`` is "rehearse", "sim" or "robot";
    with ``require_approval`` the task waits for the approve service after the rehearsal. ``on_feedback`` is called as
    the task proceeds, and ``on_wait`` with a text once per second while the task server is missing, for at most
    ``wait`` s; both are called in another thread. A ``plan`` (a run folder's plan.json, edited or not) is carried out
    instead of the instruction. ``namespace`` is the launch argument of that name. ``detach``: return when the task is
    accepted, without metrics and run folder, and leave it running.

    Raises
    ------
    BadInput
        ``execute`` is none of the three.
    Missing
        The task server is missing, or it died.
    Cancelled
        The user cancelled.
    """
    if execute not in EXECUTE:
        raise BadInput(f"execute '{execute}' is not one of {', '.join(EXECUTE)}.")
    goal = ExecuteTask.Goal(
        instruction=instruction,
        execute=EXECUTE[execute],
        require_approval=require_approval,
        plan_json=plan_to_message(plan),
        scene=scene_to_message(scene),
    )
    if scene_image:
        kind = "png" if scene_image.startswith(b"\x89PNG") else "jpeg"
        goal.scene_image = CompressedImage(format=kind, data=scene_image)
    with _spinning_node(namespace_of(namespace)) as node:
        cancel = threading.Event()
        with ThreadPoolExecutor(1, "send") as pool:  # so that Ctrl-C interrupts this thread rather than the call
            answer = pool.submit(
                call_action,
                Client(node, ExecuteTask, "execute_task"),
                goal,
                node=node,
                server="task_server",
                on_wait=on_wait,
                on_feedback=lambda f: on_feedback(f.stage, f.fraction, f.text),
                cancelled=cancel.is_set,
                heartbeats=HeartbeatMonitor(node),
                server_timeout=wait,
                lease=0.0 if detach else TASK_LEASE,
                detach=detach,
            )
            try:
                result = answer.result()
            except KeyboardInterrupt:
                cancel.set()
                error = answer.exception()
                raise error if isinstance(error, ExoActorError) else Cancelled("Cancelled.") from None
    return TaskResult(instruction, True) if detach else _result(instruction, result)


def call_service(name: str, namespace: str = "") -> str:
    """Call one of the graph's `SERVICES`, and return its answer; ``namespace`` is the launch argument.

    Raises
    ------
    BadInput
        There is no such service.
    Missing
        The service is missing, or does not answer.
    Refused
        It answers that it did not succeed; the message is the answer.
    """
    if name not in SERVICES:
        raise BadInput(f"There is no service '{name}': there are {', '.join(SERVICES)}.")
    inside = namespace_of(namespace)
    outside = inside.removesuffix(NAMESPACE)
    with _spinning_node(inside) as node:
        client = node.create_client(Trigger, f"{outside}/{name}" if name == RESET else name)
        if not client.wait_for_service(SERVICE_WAIT):
            raise Missing(f"The service '{name}' is not there: nothing was sent. Use the remote, or start the graph.")
        answered = threading.Event()
        future = client.call_async(Trigger.Request())
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(SERVICE_WAIT):
            raise Missing(
                f"The service '{name}' does not answer within {SERVICE_WAIT:g} s: what it did is not known. "
                "Use the remote."
            )
        answer = future.result()
    if not answer.success:
        raise Refused(answer.message)
    return answer.message


def _result(instruction: str, result: ExecuteTask.Result) -> TaskResult:
    metrics, code = json.loads(result.metrics_json or "{}"), result.error_code
    return TaskResult(
        instruction,
        code == result.NONE,
        result.failed_stage,
        result.error_msg or (f"No reason was given (error {code}): see the log." if code else ""),
        **{name: metrics.pop(name) for name in IN_METRICS if name in metrics},
        metrics=metrics,
        run_folder=result.run_folder,
        error_code=code,
        exit_code=error_of(code, "").exit_code if code else 0,
    )


@contextmanager
def _spinning_node(namespace: str) -> Iterator[Node]:
    """A node in its own context, spun in a thread; signals stay with the caller."""
    context = Context()
    keys = enclave("operator")
    args = ["--ros-args", *keys] if keys else []
    name = f"client_{time.monotonic_ns() % 1_000_000_000}"
    with middleware_errors():
        rclpy.init(args=args, context=context, signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node(name, namespace=namespace, context=context)
    with spinning(node):
        yield node
