"""Options of the simulator."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval

from exoactor_core.options import BaseOptions, ReadOnly


class SimulatorOptions(BaseOptions):
    """The simulated robot; read once, at the start."""

    network_interface: Annotated[str, ReadOnly()] = "lo"
    """Interface that Unitree's DDS speaks on."""
    dds_domain: Annotated[int, Interval(ge=0, le=232), ReadOnly()] = 1
    """DDS domain of Unitree's topics; the real robot uses 0."""
    band: Annotated[bool, ReadOnly()] = False
    """Begin with the robot in the elastic band; the service ~/band changes it."""
    pick_up: Annotated[bool, ReadOnly()] = True
    """Set a robot that lies limp on the floor on its feet after 3 s."""
