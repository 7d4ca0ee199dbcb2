"""Options of the simulator."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval, Unit

from exoactor_core.options import BaseOptions, ReadOnly, Share
from exoactor_description import HandsOption


class SimulatorOptions(BaseOptions):
    """The simulated robot; read once at the start."""

    network_interface: Annotated[str, ReadOnly()] = "lo"
    """Interface of Unitree's DDS."""
    dds_domain: Annotated[int, Interval(ge=0, le=232), ReadOnly()] = 1
    """DDS domain of Unitree's topics; the real robot uses 0."""
    band: Annotated[bool, ReadOnly()] = False
    """Start with the robot on the elastic band; the service ~/band changes it."""
    pick_up: Annotated[bool, ReadOnly()] = True
    """Put a robot that lies on the floor without torque back on its feet after 3 s."""
    hands: Annotated[HandsOption, ReadOnly()] = "auto"
    """Hands of the robot: dex3 (with Unitree's topics), fists (without motors), or auto: dex3 in scenes with objects,
    otherwise fists."""
    scene: Annotated[str, ReadOnly()] = ""
    """Scene file (.yaml) with the objects; empty: no objects."""
    object_rate: Annotated[float, Interval(ge=0.1, le=500.0), Unit("Hz"), ReadOnly()] = 30.0
    """Rate of the topic objects."""
    object_noise: Annotated[float, Interval(ge=0.0, le=1.0), Unit("m"), ReadOnly()] = 0.0
    """Standard deviation of the published positions."""
    object_turn_noise: Annotated[float, Interval(ge=0.0, le=3.0), Unit("rad"), ReadOnly()] = 0.0
    """Standard deviation of the published rotations."""
    object_delay: Annotated[float, Interval(ge=0.0, le=10.0), Unit("s"), ReadOnly()] = 0.0
    """Delay of the published poses."""
    object_dropout: Annotated[Share, ReadOnly()] = 0.0
    """Share of measurements in which an object is missing."""
