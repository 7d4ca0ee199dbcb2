"""Options of the node ``controller``."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval, Unit

from exoactor_control.controller.options import TrackingOptions
from exoactor_core.options import ReadOnly


class ControllerOptions(TrackingOptions):
    """Robot that the node ``controller`` drives, and conditions for carrying out a motion."""

    network_interface: str = "lo"
    """Network interface of Unitree's DDS; for the robot, the interface of its cable, such as eth0."""
    dds_domain: Annotated[int, Interval(ge=0, le=232)] = 1
    """DDS domain of Unitree's topics: 1 for the simulator, 0 for the real robot."""
    robot: Annotated[Literal["sim", "real"], ReadOnly()] = "sim"
    """Robot that is driven."""
    require_rehearsal: Annotated[bool, ReadOnly()] = True
    """A real robot accepts a motion only with the rehearsal node's verdict that this very motion is fit."""
    verdict_lifetime: Annotated[float, Interval(ge=1.0, le=86400.0), Unit("s")] = 1800.0
    """Time after the rehearsal within which a real robot accepts the motion."""
    approval_timeout: Annotated[float, Interval(ge=0.1, le=86400.0), Unit("s")] = 600.0
    """Time for which a motion waits for the service approve."""
    approve_robot_automatically: Annotated[bool, ReadOnly()] = False
    """Let the real robot move without approval."""
    rate: Annotated[float, Interval(ge=50.0, le=1000.0), Unit("Hz")] = 500.0
    """Rate at which LowCmd is sent."""
    state_timeout: Annotated[float, Interval(ge=0.0, le=5.0), Unit("s")] = 0.0
    """Time without LowState, or duration of a step of the control loop, after which the robot is damped; 0: 0.05 on the
    robot, 0.5 in simulation."""
