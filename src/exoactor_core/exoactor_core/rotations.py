"""Angles of orientations; and single orientations as matrices, ten times as fast as scipy's `Rotation`."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, sin
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

_Angle = TypeVar("_Angle", float, np.ndarray)

FROM_Y_UP = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""World with y up -> world with z up; +z, which SMPL-X's rest pose faces, becomes +x."""


def wrap(angle: _Angle) -> _Angle:
    """Bring angles in rad into [-pi, pi)."""
    return (angle + np.pi) % (2.0 * np.pi) - np.pi


def yaw_from_quat(quat_wxyz: ArrayLike) -> np.ndarray:
    """Heading in rad, (...), of orientations (..., 4): the yaw of `roll_pitch_yaw`."""
    quat = np.asarray(quat_wxyz)
    w, x, y, z = (quat[..., i] for i in range(4))
    return np.arctan2(2.0 * (w * z + x * y), w * w + x * x - y * y - z * z)


def yaw_from_matrix(rotation: np.ndarray) -> float:
    """Heading in rad of an orientation (3, 3), as `yaw_from_quat`."""
    return float(np.arctan2(rotation[1, 0], rotation[0, 0]))


def roll_pitch_yaw(quat_wxyz: np.ndarray) -> np.ndarray:
    """Roll, pitch, yaw in rad, (..., 3), of R = Rz(yaw) Ry(pitch) Rx(roll)."""
    return Rotation.from_quat(quat_wxyz, scalar_first=True).as_euler("ZYX")[..., ::-1]


def shortest_turn(start: ArrayLike, end: ArrayLike) -> np.ndarray:
    """Shortest rotation vectors (..., 3) in rad from unit vectors (..., 3) to others."""
    start, end = np.asarray(start), np.asarray(end)
    axis = np.cross(start, end)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    return axis / np.maximum(sine, 1e-9) * np.arctan2(sine, np.sum(start * end, axis=-1, keepdims=True))


def about_z(angle: float) -> np.ndarray:
    """Rotation (3, 3) about z by an angle in rad."""
    c, s = cos(angle), sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rotate_2d(angle: float | np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Vectors (..., 2) on the floor, rotated to the left by angles (...) in rad."""
    c, s, x, y = np.cos(angle), np.sin(angle), vector[..., 0], vector[..., 1]
    return np.stack([c * x - s * y, s * x + c * y], axis=-1)


def from_quat(quat_wxyz: Sequence[float] | np.ndarray) -> np.ndarray:
    """Rotation (3, 3) of a quaternion of about unit norm."""
    w, x, y, z = (float(v) for v in quat_wxyz)
    k = 2.0 / (w * w + x * x + y * y + z * z)
    return np.array(
        [
            [1.0 - k * (y * y + z * z), k * (x * y - w * z), k * (x * z + w * y)],
            [k * (x * y + w * z), 1.0 - k * (x * x + z * z), k * (y * z - w * x)],
            [k * (x * z - w * y), k * (y * z + w * x), 1.0 - k * (x * x + y * y)],
        ]
    )
