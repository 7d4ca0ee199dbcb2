"""Distances between a robot's collision capsules, for all frames at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exoactor_retarget.description import Description
from exoactor_retarget.kinematics import Poses


@dataclass(frozen=True)
class Distances:
    """Nearest points of capsule pairs, in K cases of one pair in one frame."""

    pair: np.ndarray
    """(K,) which of the pairs."""
    frame: np.ndarray
    """(K,)."""
    bodies: np.ndarray
    """(2, K)."""
    distance: np.ndarray
    """(K,) m between the surfaces; negative if they overlap."""
    first: np.ndarray
    """(3, K) nearest points of the middle lines, world, m."""
    second: np.ndarray
    normal: np.ndarray
    """(3, K) unit vectors from the first to the second."""


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("i...,i...->...", a, b)


class CapsulePairs:
    """Pairs (P, 2) of a robot's capsules."""

    def __init__(self, description: Description, pairs: np.ndarray):
        self.description, self.pairs = description, pairs
        capsules, index = np.unique(pairs, return_inverse=True)
        self._index = index.reshape(pairs.shape).T
        self._body, ends = description.capsule_body[capsules], description.capsule_ends[capsules]
        self._start, self._way = ends[:, 0], ends[:, 1] - ends[:, 0]
        self._square = np.sum(self._way**2, axis=1) + 1e-12
        self._radii = description.capsule_radius[pairs].sum(axis=1)
        self._reach = self._radii + 0.5 * np.linalg.norm(self._way, axis=1)[self._index].sum(axis=0)

    def __getitem__(self, which: np.ndarray) -> CapsulePairs:
        return CapsulePairs(self.description, self.pairs[which])

    def __len__(self) -> int:
        return len(self._radii)

    def distances(self, poses: Poses, within: np.ndarray | float) -> Distances:
        """Distances of the pairs in the frames in which they are below ``within`` (P,) m.

        The nearest points of two line segments are computed after C. Ericson, "Real-Time Collision Detection" (2005),
        section 5.1.9, where the spheres around the capsules are close enough.
        """
        within = np.broadcast_to(within, len(self))
        starts = np.ascontiguousarray(poses.points(self._body, self._start).swapaxes(0, 1))
        ways = np.ascontiguousarray(poses.turned(self._body, self._way).swapaxes(0, 1))
        middles = starts + 0.5 * ways
        apart = middles[:, self._index[0]] - middles[:, self._index[1]]
        reach = np.maximum(self._reach + within, 0.0)
        pair, frame = np.nonzero(_dot(apart, apart) < (reach**2)[:, None])
        one, other = self._index[:, pair]
        cases = [capsule * starts.shape[-1] + frame for capsule in (one, other)]
        p, d, q, e = (a.reshape(3, -1).take(case, axis=1) for case in cases for a in (starts, ways))
        between = p - q
        dd, ee, de = self._square[one], self._square[other], _dot(d, e)
        dr, er = _dot(d, between), _dot(e, between)
        s = np.clip((de * er - dr * ee) / np.maximum(dd * ee - de * de, 1e-9 * dd * ee), 0.0, 1.0)
        t = np.clip((de * s + er) / ee, 0.0, 1.0)
        s = np.clip((de * t - dr) / dd, 0.0, 1.0)
        first, second = p + s * d, q + t * e
        away = second - first
        length = np.sqrt(_dot(away, away))
        distance = length - self._radii[pair]
        near = np.flatnonzero(distance < within[pair])
        bodies = self._body[self._index[:, pair[near]]]
        first, second, normal = (a[:, near] for a in (first, second, away / np.maximum(length, 1e-6)))
        return Distances(pair[near], frame[near], bodies, distance[near], first, second, normal)

    def near(self, poses: Poses, margin: float) -> np.ndarray:
        """Which of the pairs (N,) come closer than ``margin`` (m) in any frame."""
        if not len(self):
            return np.zeros(0, dtype=int)
        middles = poses.points(self._body, self._start + 0.5 * self._way) - poses.pos[0]
        middles = np.ascontiguousarray(middles.transpose(2, 0, 1))
        square, one = np.sum(middles**2, axis=2, keepdims=True), np.ones((*middles.shape[:2], 1))
        # (a - b)^2 = (-2 a, a^2, 1) . (b, 1, b^2)
        left = np.concatenate([-2.0 * middles, square, one], axis=2)
        right = np.concatenate([middles, one, square], axis=2)
        least = np.min(left @ right.swapaxes(1, 2), axis=0)
        maybe = np.flatnonzero(least[self._index[0], self._index[1]] < (self._reach + margin) ** 2)
        return maybe[np.unique(self[maybe].distances(poses, margin).pair)]
