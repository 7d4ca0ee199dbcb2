"""Starting a node as a process: `main` of every node is one call of `run`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, runtime_checkable

import rclpy
from rclpy.action import ActionClient, ActionServer
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from exoactor_core.errors import ExoActorError, Missing, reason

CALLBACK_WAIT = 1.0
"""s for callbacks to end when the process is to end."""


@runtime_checkable
class Finishing(Protocol):
    """A node with ongoing work, which has to end while the node can still communicate."""

    def finish(self) -> None:
        """End the work and tell its clients."""


@contextmanager
def middleware_errors() -> Iterator[None]:
    """Raise `Missing` where ROS's middleware cannot make a node, e.g. for lack of DDS Security or of its keys."""
    try:
        yield
    except rclpy_implementation.RCLError as error:
        raise Missing(f"ROS's middleware cannot make a node: {reason(error)}.") from None


def run(factory: Callable[[], Node], threads: int = 4) -> None:
    """Build the node, spin it until SIGINT or SIGTERM, and exit without a traceback.

    We handle the signals ourselves, since rclpy would end the communication at once: a `Finishing` node first ends its
    work and tells its clients. An `ExoActorError` while the node is built is printed in one line, and determines the
    exit code.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with middleware_errors():
            rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
            node = factory()
    except ExoActorError as error:
        print(error, file=sys.stderr)
        rclpy.try_shutdown()
        sys.exit(error.exit_code)
    executor = MultiThreadedExecutor(threads)
    executor.add_node(node)
    bugs: list[BaseException] = []

    def spin() -> None:
        try:
            with suppress(ExternalShutdownException):
                executor.spin()
        except BaseException as error:
            bugs.append(error)
        stop.set()

    spinner = threading.Thread(target=spin, name="ros", daemon=True)
    spinner.start()
    stop.wait()
    if isinstance(node, Finishing):
        node.finish()
    executor.remove_node(node)  # no more callbacks begin
    time.sleep(0.05)  # callbacks that have just begun are not counted yet
    idle = executor._work_tracker.wait(CALLBACK_WAIT)  # shutdown does not wait for callbacks
    executor.shutdown(timeout_sec=0.0)
    spinner.join(1.0)
    if not idle:  # it would fail with the node gone, and Python would wait for its thread: a backend that loads
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1 if bugs else 0)
    destroy(node)
    rclpy.try_shutdown()
    if bugs:
        raise bugs[0]


def destroy(node: Node) -> None:
    """Destroy a node and its action clients and servers, which rclpy leaves to the garbage collector.

    Until then they keep the node's DDS participant, and only 32 participants per machine are discovered.
    """
    node.destroy_node()
    for waitable in list(node.waitables):
        if isinstance(waitable, ActionClient | ActionServer):
            waitable.destroy()


@contextmanager
def spinning(node: Node, ended: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Spin a node in a thread while the block lasts, then destroy it and shut its context down.

    Signals stay with the caller. ``ended`` is called when the node no longer spins, for example when ROS shuts down.
    """
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)

    def spin() -> None:
        try:
            with suppress(ExternalShutdownException):
                executor.spin()
        finally:
            ended()

    thread = threading.Thread(target=spin, name="ros", daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown(1.0)
        thread.join(2.0)
        destroy(node)
        node.context.try_shutdown()
