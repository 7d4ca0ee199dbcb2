"""Options for tracking motions, shared by the rehearsal and the robot's controller."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval, Unit

from exoactor_control.controller.safety import MAX_POSITION_ERROR, MAX_SPEED_ERROR
from exoactor_control.controller.tracker import HEADING_GAIN, POSITION_GAIN
from exoactor_control.policy.spec import SHIPPED
from exoactor_core.options import BaseOptions


class TrackingOptions(BaseOptions):
    """The policy, its feedback, and its bounds."""

    policy: str = SHIPPED
    """exoactor: the tracker that comes with this package; or a policy file; or pd: plain joint PD with the robot
    hanging on an elastic band that is moved along the reference's path, since nothing balances it."""
    policy_spec: str = ""
    """Policy spec: YAML file or name; empty: found beside the policy, or by the shapes of its inputs."""
    heading_gain: Annotated[float, Interval(ge=0.0, le=20.0), Unit("1/s")] = HEADING_GAIN
    """Gain from the heading error (IMU) to the commanded yaw rate; 0: open loop in heading."""
    position_gain: Annotated[float, Interval(ge=0.0, le=20.0), Unit("1/s")] = POSITION_GAIN
    """Gain from the position error (leg odometry) to the commanded velocity; 0: open loop in position."""
    reach: Literal["auto", "off"] = "auto"
    """auto: the hands are corrected towards the observed objects (topic objects), by 15 cm at most; off: they follow
    the motion alone."""
    max_position_error: Annotated[float, Interval(ge=0.1, le=100.0), Unit("m")] = MAX_POSITION_ERROR
    """Distance from the reference, by leg odometry, at which the robot is damped."""
    max_speed_error: Annotated[float, Interval(ge=0.1, le=100.0), Unit("m/s")] = MAX_SPEED_ERROR
    """Speed in excess of the reference's at which the robot is damped."""
