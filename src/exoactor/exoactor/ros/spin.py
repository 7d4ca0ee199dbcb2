"""Starting a node as a process: `main` of every node is one call of `run`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node

from exoactor.errors import ExoActorError


def run(factory: Callable[[], Node], threads: int = 4) -> None:
    """Build the node, spin it until SIGINT or SIGTERM, and leave without a traceback.

    An `ExoActorError` while it is built is told in one line, and its exit code is the process's.
    """
    with contextlib.suppress(KeyboardInterrupt):
        rclpy.init(args=sys.argv)
        try:
            node = factory()
        except ExoActorError as error:
            rclpy.try_shutdown()
            print(f"{error}", file=sys.stderr)
            sys.exit(error.exit_code)
        executor = MultiThreadedExecutor(threads)
        executor.add_node(node)
        try:
            with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
                executor.spin()
        finally:
            rclpy.try_shutdown()  # work in progress sees it and ends
            executor.shutdown(timeout_sec=2.0)
            node.destroy_node()
