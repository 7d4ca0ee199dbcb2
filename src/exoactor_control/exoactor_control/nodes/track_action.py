"""What the two servers of TrackMotion have in common: rehearsal and controller."""

from __future__ import annotations

from typing import Any

from exoactor_interfaces.action import TrackMotion

from exoactor_core.stages import Tracking
from exoactor_ros.conversions import (
    checks_from_message,
    floats,
    optional_human,
    robot_from_message,
    robot_to_message,
    scene_from_message,
)


def _fill(result: TrackMotion.Result, tracking: Tracking) -> None:
    result.motion = robot_to_message(tracking.motion)
    result.verdict = tracking.verdict
    if tracking.corrected is not None:
        result.correction, result.open_loop = floats(tracking.corrected.correction), tracking.corrected.open_loop


def person(goal: TrackMotion.Goal) -> dict[str, Any]:
    """The person's motion that comes with the robot's, as the backends' option."""
    return {"human": optional_human(goal.human)}


def person_and_objects(goal: TrackMotion.Goal) -> dict[str, Any]:
    """The person's motion, the scene and its checks, as the backends' options."""
    return person(goal) | {"scene": scene_from_message(goal.scene), "checks": checks_from_message(goal.checks)}


TRACK_ACTION: dict[str, Any] = {
    "stage": "track",
    "action_type": TrackMotion,
    "error_base": 500,
    "to_input": lambda goal: robot_from_message(goal.motion),
    "to_options": person_and_objects,
    "fill": _fill,
    "lease": lambda goal: goal.lease,
}
"""Arguments of `exoactor_ros.stage_node.StageNode`."""
