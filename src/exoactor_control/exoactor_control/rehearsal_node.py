"""The node ``rehearsal``: action rehearse_motion, in a process of its own so that physics never disturbs the robot."""

from __future__ import annotations

from typing import Any

from exoactor_interfaces.action import TrackMotion

from exoactor.ros.convert import robot_from_message, robot_to_message
from exoactor.ros.spin import run
from exoactor.ros.stage_node import StageNode
from exoactor.stages import Tracking


def fill(result: TrackMotion.Result, tracking: Tracking) -> None:
    """The stage's output into the result."""
    result.motion = robot_to_message(tracking.motion)


class RehearsalNode(StageNode):
    """Serves rehearse_motion: tracks a motion in MuJoCo, faster than real time."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__(
            "rehearsal",
            stage="track",
            backend="mujoco",
            action_type=TrackMotion,
            action_name="rehearse_motion",
            error_base=500,
            to_input=lambda goal: robot_from_message(goal.motion),
            fill=fill,
            **node_options,
        )


def main() -> None:
    """Entry point of the node."""
    run(RehearsalNode)


if __name__ == "__main__":
    main()
