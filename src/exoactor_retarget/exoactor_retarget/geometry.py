"""The G1's lengths that the mapping needs, measured on its model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from exoactor import robot
from exoactor.motion import RobotMotion

SIDES = ("left", "right")


@dataclass(frozen=True)
class Geometry:
    """Lengths in m of the G1 with all joints at zero."""

    hips: np.ndarray
    """(2, 3) hip joints in the pelvis."""
    leg: float
    """Hip to ankle, straight."""
    upper_arm: float
    forearm: float
    """Elbow to the wrist's pitch joint."""
    soles: np.ndarray
    """(2, 4, 3) corners of the soles in the ankle roll links."""

    @property
    def ankle_height(self) -> float:
        """Height of the ankle above the sole."""
        return -float(self.soles[..., 2].min())


@lru_cache(maxsize=1)
def geometry() -> Geometry:
    """Measure the G1."""
    zero = RobotMotion(50.0, np.zeros((1, 3)), np.array([[1.0, 0, 0, 0]]), np.zeros((1, 29)))
    names = ("hip_roll_link", "ankle_roll_link", "shoulder_roll_link", "elbow_link", "wrist_pitch_link")
    points = robot.forward_kinematics(zero, [f"{side}_{name}" for side in SIDES for name in names])[0].reshape(2, 5, 3)
    hip, ankle, shoulder, elbow, wrist = points[0]
    return Geometry(
        hips=points[:, 0],
        leg=float(np.linalg.norm(ankle - hip)),
        upper_arm=float(np.linalg.norm(elbow - shoulder)),
        forearm=float(np.linalg.norm(wrist - elbow)),
        soles=robot.sole_points(zero)[0] - points[:, None, 1],
    )
