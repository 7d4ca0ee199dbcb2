"""Options of whatever tracks motions: the rehearsal and the robot's controller."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval, Unit

from exoactor_control.controller.safety import MAX_POSITION_ERROR, MAX_SPEED_ERROR
from exoactor_control.controller.tracker import HEADING_GAIN, POSITION_GAIN
from exoactor_control.policy.spec import SHIPPED
from exoactor_core.options import BaseOptions


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
