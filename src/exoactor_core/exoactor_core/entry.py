"""Entry points of the programs: a signal that arrives while a program loads its modules ends it without a traceback."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from importlib import import_module

from exoactor_core.errors import Cancelled, ExoActorError


def run(module: str, ros: bool = True) -> None:
    """Load a module and call its ``main``, which installs its own signal handlers.

    For a node (``ros``) the environment of ROS 2 is checked first, and a signal counts as a normal exit.
    """
    code = 0 if ros else Cancelled.exit_code
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(code))
    try:
        if ros:
            from exoactor_core.environment import check_environment

            check_environment()
        main = import_module(module).main
    except ExoActorError as error:
        print(f"{module}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(main())


exoactor = partial(run, "exoactor.cli", ros=False)
task_server = partial(run, "exoactor.task_server")
state_publisher = partial(run, "exoactor_ros.state_publisher")
generator = partial(run, "exoactor_gen.node")
pose_estimator = partial(run, "exoactor_pose.node")
retargeter = partial(run, "exoactor_retarget.node")
rehearsal = partial(run, "exoactor_control.nodes.rehearsal_node")
controller = partial(run, "exoactor_control.nodes.controller_node")
simulator = partial(run, "exoactor_sim.simulator", ros=False)  # a node with --ros-args only

if __name__ == "__main__":  # as exoactor.up starts nodes
    run(sys.argv.pop(1))
