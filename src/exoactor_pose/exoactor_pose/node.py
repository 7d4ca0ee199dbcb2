"""The node ``pose_estimator``: action estimate_motion; shows the person's skeleton on human/markers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from exoactor_interfaces.action import EstimateMotion
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from exoactor_core.body import HUMAN_PARENTS, BodyModel
from exoactor_core.motion import HumanMotion
from exoactor_core.stages import Estimate
from exoactor_ros import frame_prefix
from exoactor_ros.conversions import WORLD, floats, human_to_message, video_from_message
from exoactor_ros.qos import LATCHED
from exoactor_ros.replay import Replay
from exoactor_ros.spin import run
from exoactor_ros.stage_node import StageNode

SHOWN_FPS = 15.0
BODY_JOINTS = 22
"""Pelvis and body; the hands are not shown."""
BONE = ColorRGBA(r=0.95, g=0.55, b=0.15, a=0.9)
JOINT = ColorRGBA(r=0.2, g=0.5, b=0.95, a=0.9)


def fill(result: EstimateMotion.Result, estimate: Estimate) -> None:
    """Fill the result from the stage's output."""
    result.motion = human_to_message(estimate.motion)
    result.keypoints = floats(estimate.keypoints)


class PoseNode(StageNode):
    """Serves estimate_motion and shows the last motion as a moving skeleton."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__(
            "pose_estimator",
            stage="estimate",
            backend="mediapipe",
            action_type=EstimateMotion,
            action_name="estimate_motion",
            error_base=300,
            to_input=lambda goal: video_from_message(goal.video),
            fill=fill,
            **node_options,
        )
        self._markers = self.create_publisher(MarkerArray, "human/markers", LATCHED)
        self._replay = Replay(self, self._publish, lambda: self._markers.get_subscription_count() > 0)

    def feedback_options(self, publish_feedback: Callable[..., None]) -> dict[str, Any]:
        """Publish segments as feedback, if the backend streams."""

        def on_segment(segment: HumanMotion) -> None:
            publish_feedback(
                text=f"{len(segment) / segment.fps:.1f} s more are finished", segment=human_to_message(segment)
            )

        return {"on_segment": on_segment}

    def on_output(self, output: Estimate) -> None:
        """Show the motion from now on."""
        step = max(1, round(output.motion.fps / SHOWN_FPS))
        positions = BodyModel.load().joints(output.motion)[::step, :BODY_JOINTS]
        self._publish(positions[0])
        self._replay.show(lambda: positions, output.motion.fps / step)

    def _publish(self, joints: np.ndarray) -> None:
        stamp = self.get_clock().now().to_msg()
        array = skeleton(joints)
        for marker in array.markers:
            marker.header.stamp = stamp
            marker.header.frame_id = frame_prefix(self) + WORLD
        self._markers.publish(array)


def skeleton(joints: np.ndarray) -> MarkerArray:
    """Bones and joints, the first of a body, (J, 3) m in the world, as two markers."""
    points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in joints]
    bones = Marker(ns="human", id=0, type=Marker.LINE_LIST, color=BONE)
    bones.scale.x = 0.03
    bones.points = [
        points[j] for child, parent in enumerate(HUMAN_PARENTS[: len(joints)]) if parent >= 0 for j in (parent, child)
    ]
    dots = Marker(ns="human", id=1, type=Marker.SPHERE_LIST, color=JOINT, points=points)
    dots.scale.x = dots.scale.y = dots.scale.z = 0.05
    for marker in (bones, dots):
        marker.pose.orientation.w = 1.0
    return MarkerArray(markers=[bones, dots])


def main() -> None:
    """Entry point of the node."""
    run(PoseNode)
