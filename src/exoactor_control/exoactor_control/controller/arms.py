"""Kinematics of the G1's arms, on one pinocchio model."""

from __future__ import annotations

from functools import cache

import numpy as np
import pinocchio as pin

from exoactor_core.robot import HAND_LINKS, pinocchio_model

ARMS = {"left_hand": slice(15, 22), "right_hand": slice(22, 29)}
"""Joints of the arm that carries a hand, in motor order."""


@cache
def _model() -> pin.Model:
    return pinocchio_model()


class ArmKinematics:
    """Poses of the hands' links, updated pose by pose. Every thread needs its own instance."""

    def __init__(self) -> None:
        self._data = _model().createData()
        self._links = {hand: _model().getFrameId(link) for hand, link in HAND_LINKS.items()}

    def update(self, q: np.ndarray) -> None:
        """Set the configuration (36,), as of `exoactor_core.robot.configurations`."""
        pin.computeJointJacobians(_model(), self._data, q)

    def hand(self, hand: str) -> tuple[pin.SE3, np.ndarray]:
        """Pose of a hand's link, and its Jacobian (6, 7) for the arm's joints, along the world's axes."""
        link, arm = self._links[hand], ARMS[hand]
        pose = pin.updateFramePlacement(_model(), self._data, link)
        jacobian = pin.getFrameJacobian(_model(), self._data, link, pin.LOCAL_WORLD_ALIGNED)
        return pose, jacobian[:, 6 + arm.start : 6 + arm.stop]

    def torques(self, point: np.ndarray, force: np.ndarray) -> np.ndarray:
        """Torques (29,) N m with which the joints exert a force (3,) N at a point (3,) m of a hand."""
        return self._data.J[:, 6:].T @ np.concatenate([force, np.cross(point, force)])
