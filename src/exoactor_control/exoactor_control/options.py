"""Options of whatever tracks motions: the rehearsal and the robot's controller."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval, Unit

from exoactor_control.controller.safety import MAX_POSITION_ERROR, MAX_SPEED_ERROR
from exoactor_control.controller.tracker import HEADING_GAIN, POSITION_GAIN
from exoactor_control.policy.spec import SHIPPED
from exoactor_core.options import BaseOptions, ReadOnly


class TrackingOptions(BaseOptions):
    """The policy, its feedback, and how far it may get from the reference."""

    policy: str = SHIPPED
    """exoactor: the tracker that comes with this package; a policy file: another one; pd: plain joint PD, the robot
    hanging in a harness on an elastic band that is led along the reference's path, since nothing balances it."""
    policy_spec: str = ""
    """YAML file or name of the layout of the policy's inputs; empty: found beside the policy or by its shapes."""
    heading_gain: Annotated[float, Interval(ge=0.0, le=20.0), Unit("1/s")] = HEADING_GAIN
    """Feedback of the heading error by the IMU into the reference's yaw rate; 0 tracks open loop in heading."""
    position_gain: Annotated[float, Interval(ge=0.0, le=20.0), Unit("1/s")] = POSITION_GAIN
    """Feedback of the position error by the legs' odometry into the reference's velocity; 0 tracks open loop in
    position."""
    reach: Literal["auto", "off"] = "auto"
    """auto: the hands are led to where the objects that they are to touch are observed (topic objects), by 15 cm at
    most; off: they follow the motion alone."""
    max_position_error: Annotated[float, Interval(ge=0.1, le=100.0), Unit("m")] = MAX_POSITION_ERROR
    """Distance of the robot from where the reference is, by the legs' odometry, from which it is damped."""
    max_speed_error: Annotated[float, Interval(ge=0.1, le=100.0), Unit("m/s")] = MAX_SPEED_ERROR
    """Speed beyond the reference's from which it is damped."""


class ControllerOptions(TrackingOptions):
    """What the node ``controller`` drives, and what a motion needs before it is carried out."""

    network_interface: str = "lo"
    """Interface that Unitree's DDS speaks on; the robot's cable, such as eth0."""
    dds_domain: Annotated[int, Interval(ge=0, le=232)] = 1
    """DDS domain of Unitree's topics: 1 for the simulator, 0 for the real robot."""
    robot: Annotated[Literal["sim", "real"], ReadOnly()] = "sim"
    """What is driven."""
    require_rehearsal: Annotated[bool, ReadOnly()] = True
    """A real robot takes a motion only with the verdict of the node rehearsal that that very motion is fit."""
    verdict_lifetime: Annotated[float, Interval(ge=1.0, le=86400.0), Unit("s")] = 1800.0
    """Time after the rehearsal in which a real robot takes the motion."""
    approval_timeout: Annotated[float, Interval(ge=0.1, le=86400.0), Unit("s")] = 600.0
    """Time that a motion waits for the service approve."""
    approve_robot_automatically: Annotated[bool, ReadOnly()] = False
    """Let the real robot move with nobody's approval."""
    rate: Annotated[float, Interval(ge=50.0, le=1000.0), Unit("Hz")] = 500.0
    """Rate of LowCmd."""
    state_timeout: Annotated[float, Interval(ge=0.0, le=5.0), Unit("s")] = 0.0
    """Time without LowState, or of a step of the control loop, until damping; 0: 0.05 on the robot, 0.5 in
    simulation."""
