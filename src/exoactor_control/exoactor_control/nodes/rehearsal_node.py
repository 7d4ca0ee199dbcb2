"""The node ``rehearsal``: action rehearse_motion, in a process of its own so that physics never disturbs the robot."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState

from exoactor_control.nodes.track_action import TRACK_ACTION
from exoactor_control.rehearsal.rehearsal import Rehearsal
from exoactor_control.rehearsal.verdict import Verdicts, take_key
from exoactor_core.interaction import Interaction
from exoactor_core.motion import JOINT_NAMES, HumanMotion, RobotMotion
from exoactor_core.stages import Progress, Tracking
from exoactor_ros.qos import STATE
from exoactor_ros.spin import run
from exoactor_ros.stage_node import StageNode

_MAX_POSE_AGE = 1.0  # s; older poses are not the robot's present pose


class RehearsalNode(StageNode):
    """Serves rehearse_motion: tracks a motion in MuJoCo, faster than real time.

    The rehearsal begins at the robot's present pose if /joint_states provides it, else standing. The result for a
    motion that is fit for the robot has a signed verdict (`exoactor_control.rehearsal.verdict`), which the robot's
    controller requires.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__("rehearsal", backend="mujoco", action_name="rehearse_motion", **TRACK_ACTION, **node_options)
        self._pose: tuple[np.ndarray, float] | None = None
        self._key = take_key()
        self.create_subscription(JointState, "/joint_states", self._on_joints, STATE, callback_group=self._group)

    def wrap_backend(self, backend: Callable[..., Tracking]) -> Callable[..., Tracking]:
        """Let rehearsals begin at the robot's pose, and sign their verdicts; other backends are not wrapped."""
        if not isinstance(backend, Rehearsal):
            return backend
        verdicts = Verdicts(self._key, backend.policy)

        def rehearse_from_here(
            motion: RobotMotion, progress: Progress, human: HumanMotion | None, interaction: Interaction | None = None
        ) -> Tracking:
            tracking = backend(motion, progress, human, start=self._present(), interaction=interaction)
            if tracking.metrics["refused"]:
                return tracking
            return replace(tracking, verdict=verdicts.give(tracking.corrected or motion, human, interaction))

        return rehearse_from_here

    def _on_joints(self, message: JointState) -> None:
        positions = np.array(message.position)
        if tuple(message.name) == JOINT_NAMES and positions.shape == (len(JOINT_NAMES),):
            self._pose = positions, time.monotonic()

    def _present(self) -> np.ndarray | None:
        """Joint positions (29,) of the robot, in rad; None if they are unknown."""
        if self._pose is None:
            return None
        positions, received = self._pose
        fresh = time.monotonic() - received < _MAX_POSE_AGE and bool(np.isfinite(positions).all())
        return positions if fresh else None


def main() -> None:
    """Entry point of the node."""
    run(RehearsalNode)
