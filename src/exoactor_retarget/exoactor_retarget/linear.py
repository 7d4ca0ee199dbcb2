"""The linear problem of a step: banded normal equations over time; active constraints are found by trial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from exoactor_retarget.terms import Gaps

_MAX_ROUNDS = 6
_BOUND_TOLERANCE = 1e-4  # m or rad: smaller violations are no reason to solve again


@dataclass(frozen=True)
class Joins:
    """Terms that couple frames, per coordinate: weights and residuals of first and second differences."""

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
        """The terms of some coordinates."""
        return Joins(*(a[:, block] for a in (self.speed_weight, self.speed, self.smooth_weight, self.smooth)))


@dataclass(frozen=True)
class Problem:
    """Least squares for a step of n coordinates in T frames."""

    hessian: np.ndarray
    """(T, n, n) contribution of each frame."""
    gradient: np.ndarray
    """(T, n) likewise, in the direction of the step."""
    joins: Joins
    damping: np.ndarray
    """(T,)."""
    gaps: Gaps

    def equations(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower bands (T, n, 2n + 1) and right side (T, n) of the normal equations, without the gaps.

        A row of the bands belongs to one unknown: itself, those after it in its frame, and those up to itself two
        frames on.
        """
        t, n = self.gradient.shape
        right = self.gradient.copy()
        bands = np.zeros((t, n, 2 * n + 1))
        for k in range(n):
            bands[:, k, : n - k] = self.hessian[:, k, k:]
        own = bands[:, :, 0]
        own += self.damping[:, None] * (own + 1.0)
        if t > 1 and self.joins.speed_weight.any():
            weight = self.joins.speed_weight
            pull = weight * self.joins.speed
            own[:-1] += weight
            own[1:] += weight
            bands[:-1, :, n] -= weight
            right[:-1] += pull
            right[1:] -= pull
        if t > 2:
            weight = self.joins.smooth_weight
            pull = weight * self.joins.smooth
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
    """Solve, overwriting both; zeros if the equations cannot be solved."""
    t, n = right.shape
    matrix = bands.reshape(t * n, 2 * n + 1).T
    _, step, failed = lapack.dpbsv(matrix, right.ravel(), lower=1, overwrite_ab=1, overwrite_b=1)
    return step.reshape(t, n) if failed == 0 else np.zeros_like(right)


def _add_gaps(bands: np.ndarray, right: np.ndarray, gaps: Gaps, rows: np.ndarray) -> None:
    """Add the terms of the gaps, whose Jacobian is ``rows`` (K, n)."""
    n = right.shape[1]
    order = np.argsort(gaps.frame, kind="stable")
    frame, first, count = np.unique(gaps.frame[order], return_index=True, return_counts=True)
    root = np.sqrt(gaps.weight[order])
    place = np.repeat(np.arange(len(frame)), count), np.arange(len(order)) - np.repeat(first, count)
    jacobian, short = np.zeros((len(frame), count.max(), n)), np.zeros((len(frame), count.max(), 1))
    jacobian[place], short[place] = root[:, None] * rows[order], (root * gaps.short[order])[:, None]
    across = jacobian.swapaxes(1, 2)
    added = across @ jacobian
    for k in range(n):
        bands[frame, k, : n - k] += added[:, k, k:]
    right[frame] += (across @ short)[:, :, 0]


def solve(problem: Problem, least: np.ndarray, most: np.ndarray, frozen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The step (T, n) within bounds ``least`` and ``most`` (T, n), with ``frozen`` frames (T,) fixed.

    Gaps that the step would close and bounds that it would cross are added to the equations, which are then solved
    again. Also returns the frames of the active gaps.
    """
    gaps, pressing = problem.gaps, problem.gaps.short > 0
    rows, known = np.empty((len(gaps), least.shape[1])), np.zeros(len(gaps), dtype=bool)
    by, stays = np.zeros_like(least), None
    for _ in range(_MAX_ROUNDS):
        bands, right = problem.equations()
        if stays is None:
            stays = frozen[:, None] | ((least > -1e-9) & (right < 0)) | ((most < 1e-9) & (right > 0))
        if pressing.any():
            new = pressing & ~known
            rows[new], known = gaps[new].rows, known | new
            _add_gaps(bands, right, gaps[pressing], rows[pressing])
        bands[:, :, 0] += 1e9 * stays
        right[stays] = 1e9 * by[stays]
        step = _solve_banded(bands, right)
        close = gaps.short - gaps.opening(step)
        beyond = ((step < least - _BOUND_TOLERANCE) | (step > most + _BOUND_TOLERANCE)) & ~stays
        if not beyond.any() and not (close > np.where(pressing, np.inf, _BOUND_TOLERANCE)).any():
            break
        by = np.where(beyond, np.clip(step, least, most), by)
        stays = stays | beyond
        pressing = np.where(pressing, close > -_BOUND_TOLERANCE, close > _BOUND_TOLERANCE)
    return step, np.unique(gaps.frame[pressing])
