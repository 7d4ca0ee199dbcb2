"""Latency of damping: from a stop, or the death of a process, to the LowCmd that damps, as received by the robot.

A robot without dynamics, in its own process, publishes LowState 500 times a second over the loopback interface. The
control process and its watchdog run as the controller's node starts them for a real robot (``state_timeout`` 0.05 s).
The robot is repeatedly brought into each state, then

- *stop*: requested, like the node's service does, from another process than the loop's; measured from the request;
- *remote*: Select is pressed; measured from the LowState that contains it;
- *killed*: the control process gets SIGKILL; and with it the node's process;
- *frozen*: the control process gets SIGSTOP; measured from then, including the 50 ms by which it may be late.

The end is the first LowCmd that damps (by its source timestamp, without position gains); no later one drives.

Prints one JSON object: milliseconds (p50, p99, max) of each.

    .venv/bin/python bench/stop_latency.py [--stops 200] [--deaths 20]
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer
from bodiless_robot import BodilessRobot, machine

from exoactor_control.realtime.control_process import ControlProcess, Settings
from exoactor_control.reference.trajectory import prepare
from exoactor_core.errors import Refused
from exoactor_core.robot import standing_motion
from exoactor_unitree.joystick import Button
from exoactor_unitree.wire import LowCmdBytes

STATE_TIMEOUT = 0.05


def robot(domain: int) -> None:
    """Act as the robot; answer lines on stdin: "press" or "release" Select, or the first damping after a time, ns."""
    body = BodilessRobot(domain)
    commands: list[tuple[int, bool]] = []  # ns, whether it damps
    pressed, since = [False], [0]

    def listen() -> None:
        for line in sys.stdin:
            word = line.strip()
            if word in ("press", "release"):
                pressed[0] = word == "press"
                time.sleep(0.02)
                print(since[0], flush=True)
            else:
                after = int(word)
                late = [c for c in list(commands) if c[0] > after]
                driven = max((t for t, damps in late if not damps), default=after)
                print(next((t for t, damps in late if damps and t > driven), 0), flush=True)
                commands.clear()

    threading.Thread(target=listen, daemon=True).start()
    while True:
        buttons = int(Button.SELECT) if pressed[0] else 0
        if buttons and not int.from_bytes(body.state.data[2034:2036], "little"):
            since[0] = time.time_ns()
        body.state.data[2034:2036] = buttons.to_bytes(2, "little")
        for stamp, data in body.step():
            gains = LowCmdBytes(data).gains[:29]
            commands.append((stamp, not gains[:, 3].any() and bool(gains[:, 4].all())))
        assert body.switcher.mode == ""


class Robot:
    """The robot's process."""

    def __init__(self, domain: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--robot", str(domain)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, word: str) -> int:
        print(word, file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def damped(self, since: int) -> float:
        """ms from ``since`` (ns) until the motors were damped."""
        for _ in range(50):
            time.sleep(0.05)
            if time.time_ns() - since > 2e8 and (at := self.ask(str(since))):
                return 1e-6 * (at - since)
        raise RuntimeError("The motors were not damped within seconds.")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def until(condition: Callable[[], object], timeout: float = 20.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("The controller does not get there.")
        time.sleep(0.01)


def reach(process: ControlProcess, state: str) -> None:
    """Bring the robot into a state."""
    until(lambda: not process.error)
    if state == "not driven":
        process.release()
    elif state in ("zero torque", "damping"):
        process.ask("damp")
        process.ask(state.replace(" ", "_").replace("damping", "damp"))
    else:

        def stands() -> bool:
            try:
                process.ask("stand")
            except Refused:  # the previous ones' commands still arrive
                return False
            return True

        until(stands)
        if state == "track":
            process.track(prepare(standing_motion(30.0)))
        until(lambda: process.report().status.state == state)
    time.sleep(0.1)


def node(domain: int) -> None:
    """Act as a node's process: the robot tracks a motion; prints the control process' id."""
    process = start(domain)
    reach(process, "track")
    print(process.pid, flush=True)
    time.sleep(60.0)


def start(domain: int) -> ControlProcess:
    return ControlProcess(Settings(dds_domain=domain, state_timeout=STATE_TIMEOUT))


def summary(values: list[float]) -> dict[str, float]:
    p50, p99, worst = np.percentile(values, [50, 99, 100])
    return {"n": len(values), "p50": round(p50, 1), "p99": round(p99, 1), "max": round(worst, 1)}


def main(
    stops: Annotated[int, typer.Option(help="Number of stops in each state.")] = 200,
    deaths: Annotated[int, typer.Option(help="Number of deaths of each kind.")] = 20,
    robot_domain: Annotated[int, typer.Option("--robot", hidden=True)] = -1,
    node_domain: Annotated[int, typer.Option("--node", hidden=True)] = -1,
) -> None:
    """Measure everything in turn."""
    if robot_domain >= 0:
        robot(robot_domain)
    if node_domain >= 0:
        node(node_domain)
    domain = 150 + os.getpid() % 50
    body = Robot(domain)
    took: dict[str, list[float]] = {}
    process = start(domain)
    try:
        for state in ("not driven", "zero torque", "damping", "stand", "track"):
            for count in range(stops if state != "not driven" else max(1, stops // 10)):
                reach(process, state)
                since = time.time_ns()
                if count % 2 and state in ("stand", "track"):
                    since = body.ask("press")
                    took.setdefault(f"remote in {state}", []).append(body.damped(since))
                    body.ask("release")
                else:
                    process.ask("stop")
                    took.setdefault(f"stop in {state}", []).append(body.damped(since))
        for _ in range(deaths):
            reach(process, "track")
            since = time.time_ns()
            os.kill(process.pid, signal.SIGSTOP)
            took.setdefault("control process frozen", []).append(body.damped(since))
            os.kill(process.pid, signal.SIGCONT)
            until(lambda: not process.alarm)
            time.sleep(0.5)
        for _ in range(deaths):
            reach(process, "track")
            since = time.time_ns()
            os.kill(process.pid, signal.SIGKILL)
            took.setdefault("control process killed", []).append(body.damped(since))
            process.close()
            process = start(domain)
    finally:
        process.close()
    for _ in range(deaths):
        parent = subprocess.Popen([sys.executable, __file__, "--node", str(domain)], stdout=subprocess.PIPE, text=True)
        control = int(parent.stdout.readline())
        since = time.time_ns()
        parent.kill()
        os.kill(control, signal.SIGKILL)
        took.setdefault("node and control process killed", []).append(body.damped(since))
        parent.wait()
        time.sleep(4.0)
        parent = subprocess.Popen([sys.executable, __file__, "--node", str(domain)], stdout=subprocess.PIPE, text=True)
        parent.stdout.readline()
        since = time.time_ns()
        parent.kill()
        took.setdefault("node killed", []).append(body.damped(since))
        parent.wait()
        time.sleep(1.0)
    body.close()
    print(
        json.dumps(
            {
                "ms": {name: summary(values) for name, values in took.items()},
            }
            | machine(),
            indent=2,
        )
    )


if __name__ == "__main__":
    typer.run(main)
