"""Values over time: minimum-jerk segments between keys, constant elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from exoactor_core.arrays import min_jerk


def bump(s: np.ndarray) -> np.ndarray:
    """Smooth bump, 0 at s <= 0 and s >= 1 with zero slope there, 1 at s = 0.5."""
    s = np.clip(s, 0.0, 1.0)
    return 16.0 * (s * (1.0 - s)) ** 2


class Track:
    """A vector that is constant except in consecutive minimum-jerk segments."""

    def __init__(self, start: ArrayLike) -> None:
        self.start = np.asarray(start, dtype=np.float64)
        self.moves: list[tuple[float, float, np.ndarray]] = []
        """Begin and end in s, and the change."""

    @property
    def value(self) -> np.ndarray:
        """Value after the last move."""
        return self.start + sum((change for _, _, change in self.moves), np.zeros_like(self.start))

    def move(self, begin: float, end: float, target: ArrayLike) -> None:
        """Move to ``target`` between two times."""
        change = np.asarray(target, dtype=np.float64) - self.value
        if np.any(change):
            self.moves.append((begin, end, change))

    def sample(self, times: np.ndarray) -> np.ndarray:
        """Values at times (T,): (T, N)."""
        out = np.tile(self.start, (len(times), 1))
        for begin, end, change in self.moves:
            out += min_jerk((times - begin) / (end - begin))[:, None] * change
        return out
