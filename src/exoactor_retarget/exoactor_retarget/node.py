"""The node ``retargeter``: action retarget_motion; shows the reference G1 as joint states and odometry."""

from __future__ import annotations

from typing import Any

from exoactor_interfaces.action import RetargetMotion
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState

from exoactor_core.interaction import Interaction
from exoactor_core.motion import RobotMotion
from exoactor_core.stages import Retargeting
from exoactor_ros import frame_prefix
from exoactor_ros.conversions import (
    human_from_message,
    interaction_from_message,
    joint_state_message,
    odometry_message,
    robot_to_message,
)
from exoactor_ros.qos import STATE
from exoactor_ros.replay import Replay
from exoactor_ros.spin import run
from exoactor_ros.stage_node import StageNode

SHOWN_FPS = 25.0


def fill(result: RetargetMotion.Result, retargeting: Retargeting) -> None:
    """Fill the result from the stage's output."""
    result.motion = robot_to_message(retargeting.motion)


class RetargetNode(StageNode):
    """Serves retarget_motion and replays the last reference while there are subscribers."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__(
            "retargeter",
            stage="retarget",
            backend="trajectory_ik",
            action_type=RetargetMotion,
            action_name="retarget_motion",
            error_base=400,
            to_input=lambda goal: human_from_message(goal.motion),
            to_options=lambda goal: {"interaction": interaction_from_message(goal) or Interaction()},
            fill=fill,
            **node_options,
        )
        self._joints = self.create_publisher(JointState, "reference/joint_states", STATE)
        self._base = self.create_publisher(Odometry, "reference/odometry", STATE)
        self._motion: RobotMotion | None = None
        self._replay = Replay(self, self._publish, lambda: self._joints.get_subscription_count() > 0)

    def on_output(self, output: Retargeting) -> None:
        """Replay the motion from now on."""
        self._motion = output.motion
        step = max(1, round(output.motion.fps / SHOWN_FPS))
        self._replay.show(lambda: range(0, len(output.motion), step), output.motion.fps / step)

    def _publish(self, frame: int) -> None:
        motion, stamp = self._motion, self.get_clock().now().to_msg()
        assert motion is not None  # set before replaying
        frame = min(frame, len(motion) - 1)
        base, quat = motion.root_pos[frame], motion.root_quat_wxyz[frame]
        self._base.publish(odometry_message(base, quat, stamp, frame_prefix(self), "reference/pelvis"))
        self._joints.publish(joint_state_message(motion.joint_pos[frame], stamp))


def main() -> None:
    """Entry point of the node."""
    run(RetargetNode)
