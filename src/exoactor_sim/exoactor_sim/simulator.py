"""The simulator process: a G1 in MuJoCo in real time behind Unitree's DDS topics, as ``simulator`` on the command line.

It reads and writes the topics of the real robot, so that for a controller only the network interface differs. With
``--ros-args`` it also is the ROS node ``simulator``: parameters as `SimulatorOptions`, services ~/reset
(std_srvs/Trigger) and ~/band (std_srvs/SetBool), topics objects (exoactor_interfaces/ObjectPoses) and object_markers
(visualization_msgs/MarkerArray).
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from exoactor_core.errors import ExoActorError
from exoactor_core.options import description
from exoactor_core.scene import Scene
from exoactor_core.scene_mjcf import check
from exoactor_description import chosen_hands
from exoactor_sim.options import SimulatorOptions

if TYPE_CHECKING:
    from exoactor_sim.world import World

log = logging.getLogger("exoactor.sim")

LOW_STATE_RATE = 500
"""Hz, rate of LowState messages, as on the robot."""
SUBSTEPS = 2
"""Physics steps per LowState."""
TRUTH_EVERY = 10
"""LowState messages per message of ground truth."""
MAX_LAG = 0.1
"""s of lag from which simulated time is slowed down instead of catching up."""


def run(
    options: SimulatorOptions,
    stop: threading.Event | None = None,
    requests: SimpleQueue[Callable] | None = None,
    speed: float = 1.0,
    on_step: Callable[[World], None] | None = None,
) -> None:
    """Simulate until ``stop`` is set, at no more than ``speed`` times real time.

    ``requests`` are functions of the `World` that other threads want to be called between two steps; ``on_step`` is
    called after every LowState.

    Raises
    ------
    Missing, BadInput
        As `exoactor_unitree.sdk.open_dds`; a library is missing; or the scene is invalid (see
        `exoactor_core.scene_mjcf.check`).
    """
    from exoactor_unitree import sdk as unitree

    unitree.open_dds(options.network_interface, options.dds_domain)  # first, since it may fail
    from exoactor_sim.bridge import Bridge

    world = make_world(options)
    bridge = Bridge(options.network_interface, options.dds_domain)
    stop, requests = stop or threading.Event(), requests or SimpleQueue()
    log.info(
        "G1 on interface %s, DDS domain %d, %s.",
        options.network_interface,
        options.dds_domain,
        "in the elastic band" if options.band else "standing",
    )
    pacer = _Pacer(1.0 / LOW_STATE_RATE / speed)
    count = 0
    try:
        while not stop.is_set():
            for _ in range(requests.qsize()):
                requests.get()(world)
            bridge.receive(world)
            for _ in range(SUBSTEPS):
                world.step()
            bridge.send_state(world)
            if count % TRUTH_EVERY == 0:
                bridge.send_truth(world)
                bridge.send_hands(world)
            if on_step is not None:
                on_step(world)
            count += 1
            pacer.wait()
    finally:
        log.info(
            "Stopped after %.1f s; %d commands, %d with a wrong checksum, %.2f s slower than real time.",
            count / LOW_STATE_RATE,
            bridge.commands,
            bridge.rejected,
            pacer.slowed,
        )


class _Pacer:
    """Keeps a loop at a period (s); if it lags by more than `MAX_LAG`, the schedule restarts from there."""

    def __init__(self, period: float) -> None:
        self._period, self._due = period, time.monotonic()
        self.slowed = 0.0
        """s of schedule that were given up."""

    def wait(self) -> None:
        """Sleep until the next period begins."""
        self._due += self._period
        ahead = self._due - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        elif ahead < -MAX_LAG:
            self.slowed -= ahead
            self._due -= ahead


def make_world(options: SimulatorOptions) -> World:
    """The robot and the objects of the scene's file; raises as `Scene.load` and `exoactor_core.scene_mjcf.check`."""
    from exoactor_sim.world import World

    scene = Scene.load(options.scene) if options.scene else None
    if scene is not None:
        check(scene, area=0.0)
    hands = chosen_hands(options.hands, scene is not None)
    timestep = 1.0 / (LOW_STATE_RATE * SUBSTEPS)
    return World(timestep, options.band, 3.0 if options.pick_up else None, hands, scene)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator from the command line or as a ROS node."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="simulator",
        description="A MuJoCo G1 behind Unitree's DDS topics. It stands, held, until a controller takes over.",
        epilog="example: simulator --network-interface lo --domain 1 --band",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for name, field in SimulatorOptions.model_fields.items():
        flags = ["--domain"] if name == "dds_domain" else [f"--{name.replace('_', '-')}"]
        kind: dict[str, Any] = {"action": argparse.BooleanOptionalAction} if field.annotation is bool else {}
        parser.add_argument(*flags, dest=name, default=field.default, help=description(field), **kind)
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per second")
    own, ros = (argv, None) if "--ros-args" not in argv else (argv[: (i := argv.index("--ros-args"))], argv[i:])
    given = parser.parse_args(own)
    logging.basicConfig(format="[simulator] %(message)s")
    log.setLevel(logging.INFO)

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        options = SimulatorOptions(**{name: value for name, value in vars(given).items() if name != "speed"})
        if ros is None:
            run(options, stop, speed=given.speed)
        else:
            from exoactor_sim.ros_services import hosting_node

            with hosting_node(ros, options, stop) as (options, requests, on_step):
                run(options, stop, requests, given.speed, on_step)
    except ExoActorError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
