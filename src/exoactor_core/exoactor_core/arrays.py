"""Small operations on arrays over time that several stages need."""

from __future__ import annotations

import numpy as np


def true_runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Start and end (not included) of the runs of true in (T,) bool."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(flags, bool), [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def interpolate(times: np.ndarray, known_times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Linear interpolation of (K, N) at ``known_times`` (K,) to ``times`` (T,): (T, N); the ends are held."""
    return np.stack([np.interp(times, known_times, column) for column in values.T], axis=1)
