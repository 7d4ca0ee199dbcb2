"""A still camera that keeps a moving person in the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from exoactor.errors import BadInput

VIEWS = {"front": 0.0, "three_quarter": -38.0, "three_quarter_left": 38.0, "side": -88.0, "side_left": 88.0}
"""Where the camera stands, seen from the person at the start: degrees to the left of straight ahead."""

FIELD_OF_VIEW = 42.0
"""Vertical, degrees."""

_OUTER = [1, 2, 4, 5, 10, 11, 15, 18, 19, 20, 21, 30, 45]
"""SMPL-X joints that bound a person: hips, knees, feet, head, elbows, wrists, middle fingers."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. Image axes: x right, y down, z into the scene."""

    position: np.ndarray
    """(3,) m, in the world."""
    rotation: np.ndarray
    """(3, 3), from camera to world: its columns are right, down and forward."""
    width: int
    height: int

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy in pixels."""
        f = self.height / 2.0 / math.tan(math.radians(FIELD_OF_VIEW) / 2.0)
        return f, f, self.width / 2.0, self.height / 2.0

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of world points (..., 3); points behind the camera are NaN."""
        fx, fy, cx, cy = self.intrinsics
        x, y, z = np.moveaxis((points - self.position) @ self.rotation, -1, 0)
        z = np.where(z > 0.05, z, np.nan)
        return np.stack([cx + fx * x / z, cy + fy * y / z], axis=-1)


def _at(azimuth: float, rise: float, distance: float, target: np.ndarray, width: int, height: int) -> Camera:
    away = np.array([math.cos(azimuth) * math.cos(rise), math.sin(azimuth) * math.cos(rise), math.sin(rise)])
    right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    return Camera(target + distance * away, np.stack([right, np.cross(-away, right), -away], axis=1), width, height)


def frame_person(
    joints: np.ndarray, view: str, width: int, height: int, rng: np.random.Generator, margin: float = 0.14
) -> Camera:
    """Place the nearest camera that sees every joint in every frame.

    Parameters
    ----------
    joints
        (T, 55, 3) m, SMPL-X joints in the world.
    view
        A name of `VIEWS`.
    width, height
        Picture size in pixels.
    rng
        Moves the camera a little.
    margin
        Flesh around the joints, m.

    Raises
    ------
    BadInput
        There is no such view.
    """
    if view not in VIEWS:
        raise BadInput(f"There is no camera '{view}': there are {', '.join(VIEWS)}.")
    azimuth = math.radians(VIEWS[view] + rng.uniform(-4.0, 4.0))
    rise = math.radians(rng.uniform(4.0, 8.0))
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float) * margin
    flat = joints[::2, _OUTER].reshape(-1, 3)
    points = (flat[:, None] + corners).reshape(-1, 3)
    target = (points.min(axis=0) + points.max(axis=0)) / 2.0

    room = np.array([width, height])

    def fits(distance: float) -> bool:
        pixels = _at(azimuth, rise, distance, target, width, height).project(points)
        return bool(np.all((pixels > 0.03 * room) & (pixels < 0.97 * room)))

    near, far = 0.5, 2.0
    for _ in range(3):
        while not fits(far):
            near, far = far, 1.5 * far
            if far > 1e3:
                raise BadInput(f"A picture of {width} x {height} pixels cannot hold the person.")
        for _ in range(14):
            middle = (near + far) / 2.0
            near, far = (near, middle) if fits(middle) else (middle, far)
        # put the middle of what is seen into the middle of the picture, then come nearer
        camera = _at(azimuth, rise, far, target, width, height)
        pixels = camera.project(points)
        off = (pixels.min(axis=0) + pixels.max(axis=0) - room) / 2.0 / camera.intrinsics[0] * far
        target, near = target + camera.rotation[:, :2] @ off, 0.5
    while not fits(far):
        far *= 1.02
    return _at(azimuth, rise, max(far, 2.6), target, width, height)
