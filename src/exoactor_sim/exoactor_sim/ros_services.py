"""The simulator's ROS side: parameters, and services for what a person would do by hand in the lab."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from exoactor_core.environment import check_environment
from exoactor_core.errors import Missing
from exoactor_core.simulation import ObjectSensor
from exoactor_sim.options import SimulatorOptions
from exoactor_sim.world import World


@contextmanager
def hosting_node(
    ros_args: list[str], defaults: SimulatorOptions, stop: threading.Event
) -> Iterator[tuple[SimulatorOptions, SimpleQueue[Callable[[World], None]], Callable[[World], None]]]:
    """Spin the node ``simulator`` in a thread; ``stop`` is set when ROS shuts down.

    ``ros_args`` are those from ``--ros-args`` on. Yields the options with ROS parameters applied, the queue of
    requests, and the publisher of the objects, to be called after every step; ``defaults`` are the options without ROS
    parameters.
    """
    check_environment()
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions
        from std_srvs.srv import SetBool, Trigger

        from exoactor_ros.parameters import Parameters
        from exoactor_ros.spin import middleware_errors, spinning
        from exoactor_sim.object_topics import ObjectTopics
    except ImportError as error:
        raise Missing(f"ROS 2 is not installed ({error}): start the simulator without --ros-args.") from None

    requests: SimpleQueue[Callable[[World], None]] = SimpleQueue()
    with middleware_errors():
        rclpy.init(args=ros_args, signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node("simulator")
    parameters = Parameters(node)
    parameters.declare_options(defaults)
    options = parameters.options(SimulatorOptions)
    sensor = ObjectSensor(
        options.object_rate,
        options.object_noise,
        options.object_turn_noise,
        options.object_delay,
        options.object_dropout,
    )
    objects = ObjectTopics(node, sensor)

    def ask(request: Callable[[World], None], text: str, response: Any) -> Any:
        done = threading.Event()

        def carry_out(world: World) -> None:
            request(world)
            done.set()

        requests.put(carry_out)
        response.success = done.wait(2.0)
        response.message = text if response.success else "The simulation does not answer."
        return response

    def reset(_: Any, response: Any) -> Any:
        return ask(World.reset, "The robot stands at the origin, held until a controller takes over.", response)

    def band(request: Any, response: Any) -> Any:
        text = "The robot hangs in the band." if request.data else "The band is released."
        return ask(lambda world: world.set_band(request.data), text, response)

    node.create_service(Trigger, "~/reset", reset)
    node.create_service(SetBool, "~/band", band)
    with spinning(node, stop.set):
        yield options, requests, objects.step
