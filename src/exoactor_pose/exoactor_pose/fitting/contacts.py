"""Contacts of the feet with the floor, from the motion of the soles."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter, minimum_filter1d

from exoactor_core.arrays import true_runs

PIVOT_RATE, PIVOT_ANGLE = 0.3, 0.15
"""rad/s about the vertical, and rad altogether, from which a foot on the floor pivots: less is noise."""
_LONGEST_RISE = 0.3
"""s from the take-off to the top of a jump, at most: that of a jump of 0.44 m."""


def contacts_of(soles: np.ndarray, fps: float) -> np.ndarray:
    """Contacts (T, 4) in [0, 1] of sole points (T, 4, 3) m: those that are low and slow for 0.1 s or more."""
    if len(soles) > 2:
        speed = np.linalg.norm(np.gradient(soles, 1 / fps, axis=0), axis=-1)
    else:
        speed = np.zeros(soles.shape[:2])
    # Low relative to the lowest point around rather than to the floor, which may still be inaccurate; and not relative
    # to the frame's lowest point, by which soles that stop at the top of a jump would stand.
    lowest = minimum_filter1d(soles[..., 2].min(axis=1), 2 * round(_LONGEST_RISE * fps) + 1, mode="nearest")
    rise = soles[..., 2] - lowest[:, None]
    low = 1 / (1 + np.exp(-(0.06 - rise) / 0.01))
    slow = 1 / (1 + np.exp(-(0.40 - speed) / 0.08))
    size = 2 * round(0.05 * fps) + 1
    return median_filter(low * slow, size=(size, 1), mode="nearest")


def fixed_points(soles: np.ndarray, contacts: np.ndarray, fps: float) -> np.ndarray:
    """Sole points in contact that are fixed, (T, 4) in [0, 1] like the contacts.

    Of a pivoting foot only the heel or the toe is, whichever moves less; the other one slides around it.
    """
    fixed = contacts.copy()
    for foot in (slice(0, 2), slice(2, 4)):
        heel, toe = soles[:, foot, :2].swapaxes(0, 1)
        yaw = np.unwrap(np.arctan2(*(toe - heel).T[::-1]))
        for a, b in true_runs(contacts[:, foot].min(axis=1) > 0.5):
            if b - a < 3:
                continue
            rate = np.gradient(gaussian_filter1d(yaw[a:b], 0.1 * fps, mode="nearest")) * fps
            for c, d in true_runs(np.abs(rate) > PIVOT_RATE):
                if abs(rate[c:d].sum()) > PIVOT_ANGLE * fps:
                    moved = np.linalg.norm(soles[a + d - 1, foot] - soles[a + c, foot], axis=-1)
                    fixed[a + c : a + d, foot.start + int(moved.argmax())] = 0.0
    return fixed
