"""The linear problem inside a step: banded normal equations over time; what must not be crossed is found by trying."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from exoactor_retarget.terms import Gaps

_MAX_ROUNDS = 6
_BOUND_TOLERANCE = 1e-4  # m or rad: less is no reason to solve again


@dataclass(frozen=True)
class Joins:
    """Terms that join frames, by coordinate: weights and residuals of first and second differences."""

    speed_weight: np.ndarray
    """(T - 1, N)."""
    speed: np.ndarray
    smooth_weight: np.ndarray
    """(T - 2, N)."""
    smooth: np.ndarray

    @property
    def cost(self) -> np.ndarray:
        """Cost of each frame (T,)."""
        out = np.zeros(len(self.speed) + 1)
        out[1:] += np.einsum("tn,tn,tn->t", self.speed_weight, self.speed, self.speed)
        out[1:-1] += np.einsum("tn,tn,tn->t", self.smooth_weight, self.smooth, self.smooth)
        return out

    def of(self, block: np.ndarray) -> Joins:
        """Those of some coordinates."""
        return Joins(*(a[:, block] for a in (self.speed_weight, self.speed, self.smooth_weight, self.smooth)))


def equations(hessian: np.ndarray, gradient: np.ndarray, joins: Joins, damping: np.ndarray) -> tuple[np.ndarray, ...]:
    """Lower bands (T, n, 2n + 1) and right side (T, n) of frames' normal equations, joined.

    A row of the bands is one unknown's: itself, those after it in its frame, and those up to itself two frames on.
    """
    t, n = gradient.shape
    right = gradient.copy()
    bands = np.zeros((t, n, 2 * n + 1))
    for k in range(n):
        bands[:, k, : n - k] = hessian[:, k, k:]
    own = bands[:, :, 0]
    own += damping[:, None] * (own + 1.0)
    if t > 1 and joins.speed_weight.any():
        weight = joins.speed_weight
        pull = weight * joins.speed
        own[:-1] += weight
        own[1:] += weight
        bands[:-1, :, n] -= weight
        right[:-1] += pull
        right[1:] -= pull
    if t > 2:
        weight = joins.smooth_weight
        pull = weight * joins.smooth
        own[:-2] += weight
        own[1:-1] += 4 * weight
        own[2:] += weight
        bands[:-2, :, n] -= 2 * weight
        bands[1:-1, :, n] -= 2 * weight
        bands[:-2, :, 2 * n] += weight
        right[:-2] -= pull
        right[1:-1] += 2 * pull
        right[2:] -= pull
    return bands, right


def _solve_banded(bands: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve, overwriting both; zeros where the equations cannot be solved."""
    t, n = right.shape
    matrix = bands.reshape(t * n, 2 * n + 1).T
    _, step, failed = lapack.dpbsv(matrix, right.ravel(), lower=1, overwrite_ab=1, overwrite_b=1)
    return step.reshape(t, n) if failed == 0 else np.zeros_like(right)


def _add_gaps(bands: np.ndarray, right: np.ndarray, gaps: Gaps) -> None:
    """Add the gaps' own terms."""
    n = right.shape[1]
    first = np.flatnonzero(np.r_[True, np.diff(gaps.frame) > 0])
    frame = gaps.frame[first]
    pull = gaps.weight[:, None] * gaps.row
    added = np.add.reduceat(pull[:, :, None] * gaps.row[:, None], first)
    for k in range(n):
        bands[frame, k, : n - k] += added[:, k, k:]
    right[frame] += np.add.reduceat(gaps.short[:, None] * pull, first)


def solve(
    bands: np.ndarray, right: np.ndarray, gaps: Gaps, least: np.ndarray, most: np.ndarray, frozen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The step (T, n) inside bounds ``least`` and ``most`` (T, n), with ``frozen`` frames (T,) unmoved.

    Gaps that the step would close and bounds that it would cross join the equations, and these are solved again.
    Also returns the frames of the gaps that press.
    """
    pressing = gaps.short > 0
    stays = (
        np.broadcast_to(frozen[:, None], right.shape) | ((least > -1e-9) & (right < 0)) | ((most < 1e-9) & (right > 0))
    )
    by = np.zeros_like(right)
    step = by
    for _ in range(_MAX_ROUNDS):
        matrix, vector = bands.copy(), right.copy()
        if pressing.any():
            _add_gaps(matrix, vector, gaps[pressing])
        matrix[:, :, 0] += 1e9 * stays
        vector[stays] = 1e9 * by[stays]
        step = _solve_banded(matrix, vector)
        close = gaps.short - np.sum(gaps.row * step[gaps.frame], axis=1)
        beyond = ((step < least - _BOUND_TOLERANCE) | (step > most + _BOUND_TOLERANCE)) & ~stays
        if not beyond.any() and not (close > np.where(pressing, np.inf, _BOUND_TOLERANCE)).any():
            break
        by = np.where(beyond, np.clip(step, least, most), by)
        stays = stays | beyond
        pressing = np.where(pressing, close > -_BOUND_TOLERANCE, close > _BOUND_TOLERANCE)
    return step, np.unique(gaps.frame[pressing])
