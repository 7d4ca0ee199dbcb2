"""A camera that keeps a moving person in view, fixed or panning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from exoactor_core.errors import BadInput

VIEWS = {
    "front": 0.0,
    "three_quarter": -38.0,
    "three_quarter_left": 38.0,
    "side": -88.0,
    "side_left": 88.0,
    "back_three_quarter": -140.0,
    "back_three_quarter_left": 140.0,
    "back": 180.0,
}
"""Position of the camera relative to the person at the start: degrees to the left of straight ahead."""

FIELD_OF_VIEW = 42.0
"""Vertical, degrees."""

PAN_DISTANCE = 3.4
"""m, minimum distance of a panning camera, so that it turns slowly."""

_OUTER = [1, 2, 4, 5, 10, 11, 15, 18, 19, 20, 21, 30, 45]
"""SMPL-X joints at the person's extremities: hips, knees, feet, head, elbows, wrists, middle fingers."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. Image axes: x right, y down, z into the scene."""

    position: np.ndarray
    """(3,) m, in the world."""
    rotation: np.ndarray
    """(3, 3), from camera to world: its columns are right, down and forward."""
    width: int
    height: int
    pan: np.ndarray | None = None
    """(T,) rad to the left by which the camera has turned; None: it does not turn."""
    path: np.ndarray | None = None
    """(T, 3) m by which it has moved; None: it is fixed."""

    @property
    def rotations(self) -> np.ndarray:
        """(T, 3, 3), or (1, 3, 3) for a camera that does not turn, from camera to world."""
        pan = np.zeros(1) if self.pan is None else self.pan
        return Rotation.from_rotvec(pan[:, None] * [0.0, 0.0, 1.0]).as_matrix() @ self.rotation

    @property
    def positions(self) -> np.ndarray:
        """(T, 3), or (1, 3) for a fixed camera, m in the world."""
        return self.position + (np.zeros((1, 3)) if self.path is None else self.path)

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy in pixels."""
        f = self.height / 2.0 / math.tan(math.radians(FIELD_OF_VIEW) / 2.0)
        return f, f, self.width / 2.0, self.height / 2.0

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (T, N, 2) of world points (T, N, 3); points behind the camera are NaN."""
        fx, fy, cx, cy = self.intrinsics
        x, y, z = np.moveaxis((points - self.positions[:, None]) @ self.rotations, -1, 0)
        z = np.where(z > 0.05, z, np.nan)
        return np.stack([cx + fx * x / z, cy + fy * y / z], axis=-1)


_MARGIN = 0.14  # m of flesh around the joints


def towards(azimuth: float, rise: float) -> np.ndarray:
    """(3,) direction to the left of x by ``azimuth`` rad, and up by ``rise`` rad."""
    return np.array([math.cos(azimuth) * math.cos(rise), math.sin(azimuth) * math.cos(rise), math.sin(rise)])


def _at(azimuth: float, rise: float, distance: float, target: np.ndarray, width: int, height: int) -> Camera:
    away = towards(azimuth, rise)
    right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    return Camera(target + distance * away, np.stack([right, np.cross(-away, right), -away], axis=1), width, height)


def frame_person(
    joints: np.ndarray,
    view: str,
    width: int,
    height: int,
    rng: np.random.Generator | Sequence[int],
    pan: bool = False,
    fps: float = 30.0,
    beside: np.ndarray | None = None,
) -> Camera:
    """Place the closest camera that sees every joint in every frame.

    Parameters
    ----------
    joints
        (T, 55, 3) m, SMPL-X joints in the world.
    view
        A name of `VIEWS`.
    width, height
        Image size in pixels.
    rng
        Random generator, or seed, of small changes of the camera.
    pan
        The camera turns to follow the person, and so may be closer.
    fps
        Frames per second: a panning camera follows the walk, not every step.
    beside
        (T, N, 3) m, points of objects that have to be visible, too; ignored by a panning camera.

    Raises
    ------
    BadInput
        There is no such view.
    """
    if view not in VIEWS:
        raise BadInput(f"There is no camera '{view}': there are {', '.join(VIEWS)}.")
    rng = np.random.default_rng(rng)
    azimuth = math.radians(VIEWS[view] + rng.uniform(-4.0, 4.0))
    rise = math.radians(rng.uniform(4.0, 8.0))
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float) * _MARGIN
    points = (joints[::2, _OUTER, None] + corners).reshape(len(joints[::2]), -1, 3)
    if beside is not None and not pan:
        points = np.concatenate([points, beside[::2]], axis=1)
    path = gaussian_filter1d(joints[:, 0, :2], 0.5 * fps, axis=0, mode="nearest")
    framing = _Framing(azimuth, rise, width, height, path if pan else None)
    distance, target = _nearest_view(framing, points)
    return framing.camera(max(distance, PAN_DISTANCE if pan else 2.6), target)


@dataclass(frozen=True)
class _Framing:
    """A camera without its distance from the target."""

    azimuth: float
    rise: float
    width: int
    height: int
    path: np.ndarray | None
    """(T, 2) m, path on the floor that the camera follows; None: it does not turn."""

    def camera(self, distance: float, target: np.ndarray, every: int = 1) -> Camera:
        """The camera at a distance from a target (3,), in each frame of the path or ``every`` n-th one."""
        camera = _at(self.azimuth, self.rise, distance, target, self.width, self.height)
        if self.path is None:
            return camera
        ahead = self.path[::every] - camera.position[:2]
        bearing = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
        return replace(camera, pan=bearing - math.atan2(camera.rotation[1, 2], camera.rotation[0, 2]))


def _nearest_view(framing: _Framing, points: np.ndarray) -> tuple[float, np.ndarray]:
    """Distance and target (3,) of the closest camera that sees all points (T, N, 3) of every other frame.

    Raises
    ------
    BadInput
        There is none.
    """
    target = (points.min(axis=(0, 1)) + points.max(axis=(0, 1))) / 2.0
    room = np.array([framing.width, framing.height])

    def fits(distance: float) -> bool:
        pixels = framing.camera(distance, target, every=2).project(points)
        return bool(np.all((pixels > 0.03 * room) & (pixels < 0.97 * room)))

    near, far = 0.5, 2.0
    for _ in range(3):
        while not fits(far):
            near, far = far, 1.5 * far
            if far > 1e3:
                raise BadInput(f"An image of {framing.width} x {framing.height} pixels cannot hold the person.")
        for _ in range(14):
            middle = (near + far) / 2.0
            near, far = (near, middle) if fits(middle) else (middle, far)
        # centre the visible part in the image, then move closer
        camera = framing.camera(far, target, every=2)
        pixels = camera.project(points)
        off = (pixels.min(axis=(0, 1)) + pixels.max(axis=(0, 1)) - room) / 2.0 / camera.intrinsics[0] * far
        target, near = target + camera.rotation[:, :2] @ off, 0.5
    while not fits(far):
        far *= 1.02
    return far, target
