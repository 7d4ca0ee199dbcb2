"""A first guess of the landmarks in space where the detector gives positions in the image alone.

Lengths of bones give how far each leans out of the image's plane, not to which side. The person's facing chooses:
the order of left and right gives towards or away from the camera, nose and toes give left or right of the image;
thighs, upper arms and forearms then lean forward, shanks backward. So C. J. Taylor, "Reconstruction of articulated
objects from point correspondences in a single uncalibrated image" (2000), with the signs chosen by anatomy.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

_SLACK = 0.93
"""Bones count as leaning only if they look shorter than this share: noise would always make them lean."""
_FACE = ((0, 7), (0, 8), (31, 29), (32, 30))
"""Pairs of landmarks: the vector from the second to the first points forward."""


def lift(image: np.ndarray, rest: np.ndarray, fps: float) -> np.ndarray:
    """Guess landmarks in space, (T, 33, 3) m from the middle of the hips; x right, y down, z away from the camera.

    ``image`` (T, 33, 3) are x, y in any one unit, y down, and confidence in [0, 1]; ``rest`` (33, 3) m, the landmarks
    on the body at rest (y up, facing +z), gives the lengths.
    """
    xy, trust = image[..., :2], image[..., 2]

    def length(a: int, b: int) -> float:
        return float(np.linalg.norm(rest[a] - rest[b]))

    bones = [(a + s, b + s) for a, b in ((11, 13), (13, 15), (23, 25), (25, 27), (11, 23)) for s in (0, 1)]
    bones += [(11, 12), (23, 24)]
    seen = np.stack([np.linalg.norm(xy[:, a] - xy[:, b], axis=1) / length(a, b) for a, b in bones], axis=1)
    sure = np.stack([np.minimum(trust[:, a], trust[:, b]) for a, b in bones], axis=1) > 0.3
    # The bones that lean least determine the scale, which changes slowly.
    scale = np.nanpercentile(np.where(sure | ~sure.any(1, keepdims=True), seen, np.nan), 85, axis=1)
    scale = _SLACK * median_filter(scale, size=2 * round(0.3 * fps) + 1, mode="nearest").clip(min=1e-6)
    xy = xy / scale[:, None, None]

    def smooth(x: np.ndarray) -> np.ndarray:
        return gaussian_filter1d(x, 0.1 * fps, axis=0, mode="nearest")

    across = (xy[:, [11, 23], 0] - xy[:, [12, 24], 0]).sum(axis=1) / (length(11, 12) + length(23, 24))
    a, b = np.array(_FACE).T
    ahead = smooth((np.minimum(trust[:, a], trust[:, b]) * (xy[:, a, 0] - xy[:, b, 0])).sum(axis=1))
    left_x = smooth(across).clip(-1, 1)
    left_z = np.where(ahead < 0, -1.0, 1.0) * np.sqrt(1 - left_x**2)
    front_z = -left_x

    depth = np.zeros(xy.shape[:2])

    def lean(child: int, parent: int, towards: np.ndarray, at_most: float = 1.0) -> None:
        flat = np.linalg.norm(xy[:, child] - xy[:, parent], axis=1)
        whole = _SLACK * length(child, parent)
        away = np.sqrt((whole**2 - flat**2).clip(min=0)).clip(max=at_most * whole)
        depth[:, child] = depth[:, parent] + np.where(towards < 0, -1, 1) * away

    middle = 0.5 * (xy[:, 11] + xy[:, 12]) - 0.5 * (xy[:, 23] + xy[:, 24])
    trunk = _SLACK * 0.5 * (length(11, 23) + length(12, 24))
    bow = np.sqrt((trunk**2 - (middle**2).sum(1)).clip(min=0)) * np.where(front_z < 0, -1, 1)
    for side, sign in ((0, 1.0), (1, -1.0)):
        half = 0.5 * sign * left_z
        outward = 0.3 * sign * left_z
        depth[:, 23 + side] = half * length(23, 24)
        depth[:, 11 + side] = bow + half * length(11, 12)
        lean(25 + side, 23 + side, front_z + outward)
        lean(27 + side, 25 + side, -front_z, 0.9)
        lean(13 + side, 11 + side, front_z + outward)
        lean(15 + side, 13 + side, front_z)
        depth[:, 29 + side] = depth[:, 27 + side] - 0.05 * front_z
        depth[:, 31 + side] = depth[:, 27 + side] + 0.17 * front_z
        for finger in (17, 19, 21):
            depth[:, finger + side] = depth[:, 15 + side]
    neck = 0.5 * (depth[:, 11] + depth[:, 12])
    depth[:, :11] = (neck + 0.1 * front_z)[:, None]
    for ear, sign in ((7, 1.0), (8, -1.0)):
        depth[:, ear] = neck + 0.07 * sign * left_z
    out = np.concatenate([xy, depth[..., None]], axis=-1)
    return out - out[:, 23:25].mean(axis=1, keepdims=True)
