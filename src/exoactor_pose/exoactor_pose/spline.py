"""Uniform cubic B-splines over the frames of a clip: smooth by construction, and few variables for the fit."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu


class Spline:
    """Cubic B-spline basis of T frames; evaluation and least squares are linear in T.

    Parameters
    ----------
    frames
        T.
    spacing
        Frames between knots, at least 1.
    """

    def __init__(self, frames: int, spacing: float) -> None:
        s = np.arange(frames) / max(spacing, 1.0)
        first = np.floor(s).astype(int)
        u = s - first
        self.taps = first[:, None] + np.arange(4)
        self.weights = (
            np.stack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], axis=1) / 6
        )
        self.knots = int(first[-1]) + 4
        self._taps = torch.as_tensor(self.taps)
        self._weights = torch.as_tensor(self.weights, dtype=torch.float32)

    def __call__(self, knots: torch.Tensor) -> torch.Tensor:
        """Values at the frames: (K, D) -> (T, D)."""
        return (knots[self._taps] * self._weights[..., None]).sum(dim=1)

    def fit(self, values: np.ndarray, weight: np.ndarray, stiffness: float = 1e-3) -> np.ndarray:
        """Knots (K, D) that follow ``values`` (T, D) with ``weight`` (T,), bending little where nothing is known."""
        rows = np.repeat(np.arange(len(values)), 4)
        basis = sparse.csr_matrix((self.weights.ravel(), (rows, self.taps.ravel())), shape=(len(values), self.knots))
        bend = sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(self.knots - 2, self.knots))
        slope = sparse.diags([1.0, -1.0], [0, 1], shape=(self.knots - 1, self.knots))
        normal = basis.T @ sparse.diags(weight) @ basis + stiffness * bend.T @ bend + 1e-6 * slope.T @ slope
        normal = normal + 1e-9 * sparse.identity(self.knots)
        return splu(normal.tocsc()).solve(np.asarray(basis.T @ (weight[:, None] * values)))
