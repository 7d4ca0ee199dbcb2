"""Timing of the command loop: ours, in the node of a busy controller, and the 500 Hz example loop of Unitree's SDK.

A robot without dynamics, in its own process, publishes LowState 500 times a second over the loopback interface and
records every LowCmd. The two loops alternate for several rounds, each in fresh processes:

- ours: the node ``controller`` as launched, its policy at 50 Hz, while a client keeps the node busy: every second a
  goal with a motion of 30 s, which is checked, repaired and tracked, then ended by the service ``stand``; another such
  goal in between, which is refused because the first is active; and twenty calls of the node's parameter service.
- the SDK's: the loop of ``g1_low_level_example.py`` of unitree_sdk2_python: a ``RecurrentThread`` of 2 ms that moves
  the ankles and writes the LowCmd with its checksum, and a subscriber that stores the newest LowState. It differs in
  two ways: it echoes mode_machine from every LowState rather than from the first only, which tells the LowState that a
  LowCmd follows; and where the installed SDK lacks its native checksum library, another native one is used.

Ours uses real-time priority if the system permits it (``real_time_priority``), as on the robot; the SDK's example does
not request it.

The times are those at which DDS received the LowCmd (source timestamps) and LowState messages.

Prints one JSON object: the deviation of the period from 2 ms and the latency from LowState to LowCmd in microseconds
(p50, p99, p99.9, max), and CPU in percent of one core of the process with the loop (``cpu_node``: of the rest of the
node); ``ours_no_worse`` tells whether ours is no worse at p99.9, and uses less CPU.

    .venv/bin/python bench/control_loop.py [--seconds 10] [--rounds 3] [--policy FILE]
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from bodiless_robot import PERIOD, BodilessRobot, machine

WARM_UP = 3.0  # s


sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # ros_testing, unitree_checksum


def robot(domain: int, seconds: float) -> None:
    """Act as the robot until a LowCmd comes, then for ``seconds`` more; print the records as JSON."""
    body = BodilessRobot(domain)
    states: list[int] = []
    commands: list[tuple[int, int]] = []  # ns, and the mode_machine of the LowState that it follows
    end = float("inf")
    while time.monotonic() < end:
        taken = body.step(len(states) % 256)
        states.append(body.published_ns)
        commands += [(stamp, data[5]) for stamp, data in taken]
        if commands and end == float("inf"):
            end = time.monotonic() + WARM_UP + seconds
            print("commanded", flush=True)
    begin = commands[0][0] + int(1e9 * WARM_UP)
    print(json.dumps({"states": states, "commands": [c for c in commands if c[0] > begin]}), flush=True)
    os._exit(0)  # the SDK's threads do not end


def sdk(domain: int) -> None:
    """Run the SDK's example loop until killed."""
    from exoactor_unitree import sdk as unitree

    unitree.open_dds("lo", domain)
    from unitree_sdk2py.core.channel import ChannelPublisher, ChannelSubscriber
    from unitree_sdk2py.utils.crc import CRC
    from unitree_sdk2py.utils.thread import RecurrentThread

    try:
        checksum = CRC().Crc
    except OSError:
        from unitree_checksum import checksum
    command, newest, elapsed = unitree.low_cmd(), [], [0.0]
    for motor in command.motor_cmd[:29]:
        motor.mode, motor.kp, motor.kd = 1, 40.0, 1.0

    def keep(message: unitree.LowState_) -> None:
        newest[:] = [message]

    def write() -> None:
        elapsed[0] += PERIOD
        swing = np.sin(2.0 * np.pi * elapsed[0])
        command.mode_pr, command.mode_machine = 0, newest[0].mode_machine
        for joint, amplitude in ((4, 0.5), (5, 0.17), (10, 0.5), (11, -0.17)):
            command.motor_cmd[joint].q = amplitude * swing
        command.crc = checksum(command)
        publisher.Write(command)

    publisher = ChannelPublisher(unitree.LOW_CMD_TOPIC, unitree.LowCmd_)
    publisher.Init()
    subscriber = ChannelSubscriber(unitree.LOW_STATE_TOPIC, unitree.LowState_)
    subscriber.Init(keep, 10)
    while not newest:
        time.sleep(0.1)
    thread = RecurrentThread(interval=PERIOD, target=write, name="control")
    thread.Start()
    threading.Event().wait()


@contextlib.contextmanager
def busy_node(domain: int, policy: str) -> Iterator[list[int]]:
    """The controller's node, standing and kept busy; yields its process ids, that of the loop first."""
    from exoactor_interfaces.action import TrackMotion
    from rcl_interfaces.srv import GetParameters
    from rclpy.action import ActionClient
    from std_srvs.srv import Trigger

    from exoactor_core.robot import standing_motion
    from exoactor_ros.conversions import robot_to_message
    from ros_testing import finished, spinning, until, use_own_domain

    command = [sys.executable, "-m", "exoactor_core.entry", "exoactor_control.nodes.controller_node"]
    command += ["--ros-args", "-r", "__ns:=/exoactor"]
    command += ["-p", f"dds_domain:={domain}", "-p", "robot:=real", "-p", f"policy:='{policy}'"]
    command += ["-p", "require_rehearsal:=false", "--log-level", "error"]
    node = subprocess.Popen(command, env={**os.environ, **use_own_domain()})
    done = threading.Event()
    try:
        with spinning(threads=4) as (client,):
            stand = client.create_client(Trigger, "stand")
            parameters = client.create_client(GetParameters, "controller/get_parameters")
            goals = ActionClient(client, TrackMotion, "track_motion")
            assert stand.wait_for_service(30.0), "the controller does not come up"
            assert goals.wait_for_server(30.0), "the controller does not come up"
            until(lambda: finished(stand.call_async(Trigger.Request())).success, 30.0)
            goal = TrackMotion.Goal(motion=robot_to_message(standing_motion(30.0)))

            def pester() -> None:
                count = 0
                while not done.wait(0.05):
                    parameters.call_async(GetParameters.Request(names=["policy"]))
                    if count % 20 == 0:
                        stand.call_async(Trigger.Request())
                    if count % 10 == 1:
                        goals.send_goal_async(goal)
                    count += 1

            thread = threading.Thread(target=pester)
            thread.start()
            loop = [
                child for child in children(node.pid) if "control_process" in Path(f"/proc/{child}/cmdline").read_text()
            ]
            yield [*loop, node.pid]
            done.set()
            thread.join()
    finally:
        done.set()
        node.send_signal(signal.SIGINT)
        try:
            node.wait(20.0)
        except subprocess.TimeoutExpired:
            node.kill()


@contextlib.contextmanager
def sdk_loop(domain: int) -> Iterator[list[int]]:
    """The SDK's loop; yields its process id."""
    process = subprocess.Popen([sys.executable, __file__, "--sdk", str(domain)])
    try:
        yield [process.pid]
    finally:
        process.kill()
        process.wait()


def children(pid: int) -> list[int]:
    """Ids of a process' children."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            if stat(int(entry))[1] == str(pid):
                found.append(int(entry))
    return found


def stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the process' name."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def leg(which: str, domain: int, seconds: float, policy: str) -> dict[str, np.ndarray]:
    """One round of one loop: deviations of the period and latencies in microseconds, CPU shares in percent."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--robot", str(domain), "--seconds", str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with busy_node(domain, policy) if which == "ours" else sdk_loop(domain) as pids:
            assert process.stdout.readline().strip() == "commanded"
            time.sleep(WARM_UP)
            before, start = [cpu_seconds(p) for p in pids], time.monotonic()
            seen = process.stdout.readline()  # when the robot is done
            elapsed = time.monotonic() - start
            cpu = [100.0 * (cpu_seconds(p) - b) / elapsed for p, b in zip(pids, before, strict=True)]
    finally:
        process.kill()
        process.wait()
    seen = json.loads(seen)
    states, commands = np.array(seen["states"]), sorted(seen["commands"])
    times = np.array([t for t, _ in commands])
    # the LowState that a LowCmd follows: the newest one before it with its number
    newest = np.searchsorted(states, times) - 1
    followed = newest - (newest - np.array([n for _, n in commands])) % 256
    return {
        "period_deviation_us": np.abs(np.diff(times) * 1e-3 - 1e6 * PERIOD),
        "latency_us": (times - states[followed]) * 1e-3,
        "cpu_loop": np.array(cpu[:1]),
        "cpu_node": np.array(cpu[1:]),
    }


def real_time() -> bool:
    """Whether this system permits real-time priority, which only ours requests."""
    check = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(20))"
    return subprocess.run([sys.executable, "-c", check], stderr=subprocess.DEVNULL).returncode == 0


def summary(legs: list[dict[str, np.ndarray]]) -> dict:
    """Combine all rounds of one loop."""
    found: dict = {}
    for name in ("period_deviation_us", "latency_us"):
        values = np.concatenate([leg[name] for leg in legs])
        marks = np.percentile(values, [50, 99, 99.9, 100])
        found[name] = dict(zip(("p50", "p99", "p99.9", "max"), np.round(marks).astype(int).tolist(), strict=True))
        found["commands"] = len(values)
    for name in ("cpu_loop", "cpu_node"):
        values = np.concatenate([leg[name] for leg in legs])
        if len(values):
            found[name] = round(float(values.mean()), 1)
    return found


def main(
    seconds: Annotated[float, typer.Option(help="Measured per round, after 3 s of warm-up.")] = 10.0,
    rounds: Annotated[int, typer.Option(help="Rounds of each loop.")] = 3,
    policy: Annotated[str, typer.Option(help="Tracker of the controller: exoactor, or a file.")] = "exoactor",
    robot_domain: Annotated[int, typer.Option("--robot", hidden=True)] = -1,
    sdk_domain: Annotated[int, typer.Option("--sdk", hidden=True)] = -1,
) -> None:
    """Measure both loops alternately."""
    if robot_domain >= 0:
        robot(robot_domain, seconds)
    if sdk_domain >= 0:
        sdk(sdk_domain)
    from ros_testing import UNITREE_DOMAIN

    legs: dict[str, list] = {"ours": [], "sdk": []}
    for _ in range(rounds):
        for which, done in legs.items():
            done.append(leg(which, UNITREE_DOMAIN, seconds, policy))
    ours, theirs = summary(legs["ours"]), summary(legs["sdk"])
    print(
        json.dumps(
            {
                "ours": ours,
                "sdk": theirs,
                "ours_no_worse": {
                    "period_p99.9": ours["period_deviation_us"]["p99.9"] <= theirs["period_deviation_us"]["p99.9"],
                    "latency_p99.9": ours["latency_us"]["p99.9"] <= theirs["latency_us"]["p99.9"],
                    "cpu": ours["cpu_loop"] < theirs["cpu_loop"],
                },
                "real_time_priority": real_time(),
                "policy": policy,
            }
            | machine(),
            indent=2,
        )
    )


if __name__ == "__main__":
    typer.run(main)
