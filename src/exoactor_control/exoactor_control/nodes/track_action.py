"""Common parts of the two servers of TrackMotion: rehearsal and controller."""

from __future__ import annotations

from typing import Any

from exoactor_interfaces.action import TrackMotion

from exoactor_core.stages import Tracking
from exoactor_ros.conversions import (
    floats,
    interaction_from_message,
    optional_human,
    robot_from_message,
    robot_to_message,
    set_execution,
    set_object_motion,
)


def _fill(result: TrackMotion.Result, tracking: Tracking) -> None:
    result.motion = robot_to_message(tracking.motion)
    result.verdict = tracking.verdict
    if tracking.rollout is not None and tracking.object_poses is not None:
        set_object_motion(result, tracking.rollout.scene.ids, tracking.object_poses)
    corrected = tracking.corrected
    if corrected is not None:
        result.correction = floats(corrected.correction)
        set_execution(result, corrected)


def person_and_objects(goal: TrackMotion.Goal) -> dict[str, Any]:
    """The human motion and the interaction, as keyword arguments of the backends."""
    return {"human": optional_human(goal.human), "interaction": interaction_from_message(goal)}


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
