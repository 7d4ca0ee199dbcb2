"""Signed distances from convex solids."""

from __future__ import annotations

import numpy as np


def solid_distance(kind: str, half: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances (N, T) m of points (N, 3, T) in a solid's frame from it, negative inside, and its normals (N, 3, T).

    ``half`` (3,) m is half the extent of a box, cylinder, sphere or capsule, whose axis is z; a mesh counts as a box.
    """
    if kind in ("box", "mesh"):
        return _box_distance(half, points)
    if kind == "cylinder":
        radial = np.linalg.norm(points[:, :2], axis=1)
        away, across = _box_distance(half[[0, 2]], np.stack([radial, points[:, 2]], axis=1))
        side = points[:, :2] / np.maximum(radial, 1e-9)[:, None]
        return away, np.concatenate([side * across[:, :1], across[:, 1:]], axis=1)
    line = np.maximum(half[2] - half[0], 0.0)  # a sphere, or a capsule about the nearest point of its middle line
    points = points - np.array([0.0, 0.0, 1.0])[:, None] * np.clip(points[:, 2:], -line, line)
    length = np.linalg.norm(points, axis=1)
    return length - half[0], points / np.maximum(length, 1e-9)[:, None]


def _box_distance(half: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `solid_distance`, of a box with half extents (D,) from points (N, D, T)."""
    beyond = np.abs(points) - half[:, None]
    out = np.maximum(beyond, 0.0)
    away = np.linalg.norm(out, axis=1)
    normal = out / np.maximum(away, 1e-9)[:, None]
    point, frame = np.nonzero(away < 1e-9)  # inside: out by the nearest face
    depths = beyond[point, :, frame]
    away[point, frame] = depths.max(axis=1)
    normal[point, :, frame] = np.arange(len(half)) == depths.argmax(axis=1)[:, None]
    return away, np.where(points < 0, -normal, normal)
