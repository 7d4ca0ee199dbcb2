"""Distances between a robot's collision capsules, for all frames at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exoactor_retarget.description import Description
from exoactor_retarget.kinematics import Poses


@dataclass(frozen=True)
class Distances:
    """Nearest points of P pairs of capsules in T frames."""

    pairs: np.ndarray
    """(P, 2) capsules."""
    distance: np.ndarray
    """(P, T) m between the surfaces; negative inside each other."""
    first: np.ndarray
    """(P, 3, T) nearest points of the middle lines, world, m."""
    second: np.ndarray
    normal: np.ndarray
    """(P, 3, T) unit vectors from the first to the second."""


def _ends(description: Description, poses: Poses, capsules: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and directions (C, 3, T) of middle lines."""
    body, ends = description.capsule_body[capsules], description.capsule_ends[capsules]
    rot = poses.rot[body]
    start = poses.pos[body] + np.einsum("cijt,cj->cit", rot, ends[:, 0])
    return start, np.einsum("cijt,cj->cit", rot, ends[:, 1] - ends[:, 0])


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]


def distances(description: Description, poses: Poses, pairs: np.ndarray) -> Distances:
    """Nearest points of two line segments, after C. Ericson, "Real-Time Collision Detection" (2005), section 5.1.9."""
    capsules, index = np.unique(pairs, return_inverse=True)
    start, along = _ends(description, poses, capsules)
    index = index.reshape(pairs.shape)
    p, d = start[index[:, 0]], along[index[:, 0]]
    q, e = start[index[:, 1]], along[index[:, 1]]
    between = p - q
    dd, ee, de = _dot(d, d) + 1e-12, _dot(e, e) + 1e-12, _dot(d, e)
    dr, er = _dot(d, between), _dot(e, between)
    denominator = dd * ee - de * de
    s = np.clip((de * er - dr * ee) / np.maximum(denominator, 1e-9 * dd * ee), 0.0, 1.0)
    t = np.clip((de * s + er) / ee, 0.0, 1.0)
    s = np.clip((de * t - dr) / dd, 0.0, 1.0)
    first, second = p + s[:, None] * d, q + t[:, None] * e
    away = second - first
    length = np.sqrt(_dot(away, away))
    radii = description.capsule_radius[pairs].sum(axis=1)
    return Distances(pairs, length - radii[:, None], first, second, away / np.maximum(length, 1e-6)[:, None])


def near_pairs(description: Description, poses: Poses, margin: float) -> np.ndarray:
    """Pairs (P, 2) of capsules that come nearer to each other than ``margin`` (m) in any frame."""
    pairs = description.pairs
    if not len(pairs):
        return pairs
    ends = description.capsule_ends
    middle, reach = ends.mean(axis=1), 0.5 * np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    body = description.capsule_body
    center = poses.pos[body] + np.einsum("cijt,cj->cit", poses.rot[body], middle)
    away = center[pairs[:, 0]] - center[pairs[:, 1]]
    reach = (reach + description.capsule_radius)[pairs].sum(axis=1) + margin
    pairs = pairs[_dot(away, away).min(axis=1) < reach**2]
    return pairs[distances(description, poses, pairs).distance.min(axis=1) < margin] if len(pairs) else pairs
