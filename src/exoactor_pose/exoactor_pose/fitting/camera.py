"""A pinhole camera above the floor, looking along world +x."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from exoactor_core.rotations import about_z

FOCAL_STD = 0.3
"""Relative standard deviation of an assumed focal length: for 55 degrees, fields of view from 42 to 70 degrees."""


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
    roll: float = 0.0
    """rad, positive: clockwise seen from behind, so that the image turns to the left."""
    focal_std: float = 0.0
    """Relative standard deviation of the focal lengths; 0: they are known."""

    @classmethod
    def guess(cls, width: int, height: int, fov_deg: float) -> Camera:
        """Camera with a guessed field of view along the image's longer side, centred."""
        focal = 0.5 * max(width, height) / math.tan(math.radians(fov_deg) / 2)
        return cls(focal, focal, width / 2, height / 2, focal_std=FOCAL_STD)

    def zoomed(self, ratio: float, std: float) -> Camera:
        """The camera with focal lengths scaled by a ratio, and their relative standard deviation."""
        return replace(self, fx=ratio * self.fx, fy=ratio * self.fy, focal_std=std)

    def tilted(self, level: np.ndarray, height: float) -> Camera:
        """The camera at another height, seen from a world turned by ``level`` (3, 3), without its heading."""
        rotation = self.rotation @ level.T
        pitch, roll = math.asin(-rotation[2, 2]), math.atan2(rotation[0, 2], -rotation[1, 2])
        return replace(self, height=height, pitch=pitch, roll=roll)

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) from world to camera."""
        c, s = math.cos(self.pitch), math.sin(self.pitch)
        return about_z(self.roll) @ [[0.0, -1.0, 0.0], [-s, 0.0, -c], [c, 0.0, -s]]
