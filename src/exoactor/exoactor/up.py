"""`exoactor up`: start the node graph as processes, watch them, and stop them together."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from exoactor import console
from exoactor.demo import write_demo
from exoactor.graph import RESPAWN_DELAY, Process, environment, launch_key, processes, resolve, rviz_arguments
from exoactor.graph_lock import lock_graph
from exoactor.run_folder import RunFolder
from exoactor_core.environment import check_environment
from exoactor_core.errors import BadInput
from exoactor_core.processes import sigterm_as_ctrl_c

END_WAIT = 8.0
"""s for a process to end after SIGINT before it is killed."""


def parse(arguments: Sequence[str]) -> dict[str, str]:
    """Parse ``name:=value`` arguments into a dictionary; raises `BadInput` for anything else."""
    given = {}
    for word in arguments:
        name, assigned, value = word.partition(":=")
        if not assigned or not name:
            raise BadInput(f"'{word}' is not NAME:=VALUE, for example robot:=sim.")
        given[name] = value
    return given


class Graph:
    """The running processes."""

    def __init__(self) -> None:
        self._locks: list[socket.socket] = []
        self._running: dict[str, subprocess.Popen] = {}
        self._respawn: dict[str, Callable[[], None]] = {}
        self._due: dict[str, float] = {}  # when a process is to be restarted, s on the monotonic clock

    def start(self, values: dict[str, str]) -> None:
        """Start everything; raises `Busy` if such a graph is already running."""
        self._locks = lock_graph(values)
        key = launch_key()
        for process in processes(values):
            variables = environment(values["network"]) | process.key_environment(key)
            start = partial(self._start, process.name, command(process, values), variables)
            if process.respawn:
                self._respawn[process.name] = start
            start()
        if values["rviz"] == "true":
            if shutil.which("rviz2"):
                self._start("rviz2", ["rviz2", *rviz_arguments(values["namespace"])], environment(values["network"]))
            else:
                say("rviz2 is not installed here: going on without it.")

    def _start(self, name: str, words: list[str], variables: dict[str, str] | None = None) -> None:
        # A session of its own: Ctrl-C reaches only this process, which then ends the others in order.
        self._running[name] = subprocess.Popen(
            words,
            start_new_session=True,
            env={"PYTHONUNBUFFERED": "1", **os.environ, **(variables or {})},
            pass_fds=[lock.fileno() for lock in self._locks],
        )

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the running nodes, by name."""
        return {name: process.pid for name, process in self._running.items()}

    def reap(self) -> list[str]:
        """Return a line for each process that ended since the last call; restart those that are due."""
        lines = []
        for name in [name for name, due in self._due.items() if time.monotonic() > due]:
            del self._due[name]
            self._respawn[name]()
        for name, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                del self._running[name]
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                if name in self._respawn:
                    self._due[name] = time.monotonic() + RESPAWN_DELAY
                    lines.append(f"{name} {how}; it is started again.")
                else:
                    lines.append(f"{name} {how}; the other nodes go on without it.")
        return lines

    def stop(self) -> None:
        """Stop all processes: with SIGINT, and later SIGKILL.

        The simulated robot is stopped last, so that the controller can hand the motors back.
        """
        robot = self._running.pop("simulator", None)
        self._end(self._running)
        if robot is not None:
            self._end({"simulator": robot})
        self._running.clear()
        for lock in self._locks:
            lock.close()

    def _end(self, running: dict[str, subprocess.Popen]) -> None:
        for process in running.values():
            process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + END_WAIT
        for name, process in running.items():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                say(f"{name} did not end in {END_WAIT:.0f} s: killed.")
                process.kill()
                process.wait()


def command(process: Process, values: dict[str, str]) -> list[str]:
    """Command line of a process, with the running interpreter."""
    return [sys.executable, "-m", "exoactor_core.entry", process.module, *process.ros_arguments(values)]


@contextmanager
def running(values: dict[str, str]) -> Iterator[Graph]:
    """The graph while the block lasts; SIGTERM and SIGHUP end it like Ctrl-C."""
    check_environment()
    graph = Graph()
    with sigterm_as_ctrl_c():
        try:
            graph.start(values)
            yield graph
        finally:
            graph.stop()


def up(arguments: Sequence[str]) -> int:
    """Start the graph and wait for Ctrl-C (exit code 0), or until no process is left (1)."""
    values = resolve(parse(arguments))
    try:
        with running(values) as graph:
            say(f'{len(graph.pids)} processes; send a task with: exoactor send "wave". Ctrl-C ends all.')
            while graph.pids:
                for line in graph.reap():
                    say(line)
                time.sleep(0.2)
    except KeyboardInterrupt:
        say("Ended.")
        return 0
    say("No process is left.")
    return 1


def demo(task: str, arguments: Sequence[str], client: Any) -> int:
    """Start the graph, run one task on the simulated robot, write demo.mp4, print the report, stop the graph.

    ``client`` is the module `exoactor.client`, which requires ROS.
    """
    values = resolve(parse(arguments))
    os.environ.update(environment(values["network"]))  # also for the client
    with console.progress_bars() as bars:
        with running(values) as graph:
            say(f"{len(graph.pids)} processes: {', '.join(graph.pids)}.")
            show = console.stage_bars(bars)

            def on_feedback(stage: str, fraction: float, text: str) -> None:
                for line in graph.reap():
                    say(line)
                show(stage, fraction, text)

            result = client.send_task(
                task,
                execute="sim",
                on_feedback=on_feedback,
                wait=60.0,
                namespace=values["namespace"],
                on_wait=partial(on_feedback, "wait", 0.0),
            )
        if not result.run_folder:
            say(result.reason)
            return result.exit_code
        folder = Path(result.run_folder)
        write_demo(RunFolder(folder), bars("demo"), failed=not result.success)
    console.print_report(folder, vars(result))
    return result.exit_code


def say(text: str) -> None:
    """Print a line on standard error."""
    print(f"exoactor: {text}", file=sys.stderr, flush=True)
