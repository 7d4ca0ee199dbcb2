"""When feet touch the floor, by how the soles move."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter


def contacts_of(soles: np.ndarray, fps: float) -> np.ndarray:
    """Contacts (T, 4) in [0, 1] of sole points (T, 4, 3) m: those that are low and slow, for 0.1 s or more."""
    if len(soles) > 2:
        speed = np.linalg.norm(np.gradient(soles, 1 / fps, axis=0), axis=-1)
    else:
        speed = np.zeros(soles.shape[:2])
    # Low by the lowest point of the frame, not by the floor: a floor that is still a little off must not hide contacts.
    rise = soles[..., 2] - soles[..., 2].min(axis=1, keepdims=True)
    low = 1 / (1 + np.exp(-(0.06 - rise) / 0.01))
    slow = 1 / (1 + np.exp(-(0.40 - speed) / 0.08))
    size = 2 * round(0.05 * fps) + 1
    return median_filter(low * slow, size=(size, 1), mode="nearest")
