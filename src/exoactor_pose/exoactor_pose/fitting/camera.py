"""The fixed pinhole camera, level in roll, that looks along world +x from above the floor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """Pinhole at (0, 0, height) in the z-up world, pitched down by ``pitch``; x right, y down, z ahead in its frame."""

    fx: float
    fy: float
    cx: float
    cy: float
    pitch: float = 0.0
    """rad, positive looks down."""
    height: float = 1.2
    """m above the floor."""

    @classmethod
    def guess(cls, width: int, height: int, fov_deg: float) -> Camera:
        """Camera with a guessed horizontal field of view, centred."""
        focal = 0.5 * width / math.tan(math.radians(fov_deg) / 2)
        return cls(focal, focal, width / 2, height / 2)

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) from world to camera."""
        c, s = math.cos(self.pitch), math.sin(self.pitch)
        return np.array([[0.0, -1.0, 0.0], [-s, 0.0, -c], [c, 0.0, -s]])

    @property
    def position(self) -> np.ndarray:
        """(3,) in the world."""
        return np.array([0.0, 0.0, self.height])

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) -> pixels (..., 2)."""
        p = (points - self.position) @ self.rotation.T
        depth = np.maximum(p[..., 2], 0.1)
        return np.stack([self.fx * p[..., 0] / depth + self.cx, self.fy * p[..., 1] / depth + self.cy], axis=-1)
