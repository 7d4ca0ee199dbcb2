"""Appearance: similarity of a person's colours throughout a video.

Colours are sampled at points of the body that the landmarks locate, so that turning, bending or sitting does not change
them. The upper and the lower half are compared separately, as histograms with soft edges (Lab; light changes the
lightness more than the rest), by Bhattacharyya's coefficient.
"""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np

SAMPLE_RATE = 10.0
"""Hz, rate at which frames are sampled."""
WINDOW_SECONDS = 0.3
"""Samples within this time are compared as one."""
HISTOGRAM_BINS = (12, 16, 16)
"""Bins of L, a and b..."""
LAB_MIN, LAB_RANGE = np.array([0.0, -64.0, -64.0]), np.array([100.0, 128.0, 128.0])
"""...their minimum and range: stronger colours are rare."""
BIN_SPREAD = (1.5, 1.0, 1.0)
"""Standard deviation by which a colour is spread, in bins."""
MIN_VISIBILITY = 0.5
"""Visibility in [0, 1] from which a landmark locates the body."""
MIN_POINTS = 6
"""Minimum number of points in the image for a sample."""
TRUNK = (11, 12, 23, 24)
LIMBS = (((11, 13), (12, 14), (13, 15), (14, 16)), ((23, 25), (24, 26), (25, 27), (26, 28)))
"""First and last landmark of each limb, for the upper and the lower half."""
MIN_TRUNK_HALF_WIDTH = 0.15
"""Half the width of a trunk seen from the side, as a share of its length: arms hang in front of its middle."""
_BIN_CENTRES = [np.arange(n) + 0.5 for n in HISTOGRAM_BINS]
_FRACTIONS = np.linspace(0.2, 0.8, 5)


class AppearanceModel:
    """Call it with every frame of a video in order, then query `similarity`."""

    def __init__(self, fps: float) -> None:
        self.fps, self.every = fps, max(1, round(fps / SAMPLE_RATE))
        self._frame = 0
        self._histograms: list[np.ndarray] = []

    def __call__(self, frame: np.ndarray, landmarks: np.ndarray | None) -> None:
        """Add the next frame, (H, W, 3) uint8 RGB, and the landmarks (33, 3): x px, y px, visibility; None: nobody."""
        if self._frame % self.every == 0:
            unseen = np.full((2, np.prod(HISTOGRAM_BINS)), np.nan, np.float32)
            self._histograms.append(unseen if landmarks is None else _sample(frame, landmarks))
        self._frame += 1

    def similarity(self, found: np.ndarray) -> np.ndarray:
        """Similarity of the person's colours to all earlier ones, in the frames ``found`` (T,).

        Returns
        -------
        (T,) in [0, 1], of the less similar half; NaN if unknown.
        """
        seen = found[:: self.every]
        span = max(1, round(WINDOW_SECONDS * self.fps / self.every))
        similarity = np.full(len(seen), np.nan)
        total, before = np.zeros((2, np.prod(HISTOGRAM_BINS))), np.zeros((2, 1))
        for k in range(len(seen) - span):
            past, once = _sum(self._histograms[k : k + 1], seen[k : k + 1])
            total, before = total + past, before + once
            new, now = _sum(self._histograms[k + 1 : k + 1 + span], seen[k + 1 : k + 1 + span])
            both = ((now > span / 2) & (before >= span))[:, 0]  # by halves
            if both.any():
                shares = np.sqrt(new / np.maximum(now, 1) * (total / np.maximum(before, 1)))
                similarity[k + 1] = shares.sum(axis=-1)[both].min()
        return similarity.repeat(self.every)[: self._frame]


def _sum(histograms: list[np.ndarray], seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum (2, C) of the known histograms among those ``seen`` (N,), per half, and their number (2, 1)."""
    values = np.array(histograms, float)
    known = seen[:, None, None] & ~np.isnan(values[..., :1])
    return np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0)


def _sample(frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(2, C) colour histograms of the upper and the lower half of the body; NaN for a half that is not visible."""
    at, seen = landmarks[:, :2], landmarks[:, 2] > MIN_VISIBILITY
    halves = []
    for half, limbs in enumerate(LIMBS):
        points = [at[a] + t * (at[b] - at[a]) for a, b in limbs if seen[[a, b]].all() for t in _FRACTIONS]
        if half == 0 and seen[list(TRUNK)].all():
            points += _trunk(at)
        halves.append(_colours(frame, np.array(points).reshape(-1, 2)))
    return np.array(halves)


def _trunk(at: np.ndarray) -> list[np.ndarray]:
    """Points spread over the trunk, px."""
    top, bottom = at[[11, 12]].mean(axis=0), at[[23, 24]].mean(axis=0)
    across = np.array([top[1] - bottom[1], bottom[0] - top[0]])
    wide = abs((at[11] - at[12]) @ across) / max(across @ across, 1.0)  # in lengths of the trunk
    half = max(0.35 * wide, MIN_TRUNK_HALF_WIDTH)
    return [top + v * (bottom - top) + u * half * across for u, v in product((-1, -0.5, 0, 0.5, 1), _FRACTIONS)]


def _colours(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(C,) colour histogram at points (N, 2) px within the image; NaN if there are too few."""
    at = np.round(points).astype(int)
    at = at[np.all((at >= 0) & (at < [frame.shape[1], frame.shape[0]]), axis=1)]
    if len(at) < MIN_POINTS:
        return np.full(np.prod(HISTOGRAM_BINS), np.nan, np.float32)
    colours = cv2.cvtColor(frame[at[:, 1], at[:, 0]][None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    steps = (colours - LAB_MIN) / LAB_RANGE * HISTOGRAM_BINS
    near = [np.exp(-0.5 * ((steps[:, k, None] - _BIN_CENTRES[k]) / BIN_SPREAD[k]) ** 2) for k in range(3)]
    shares = np.einsum("ni,nj,nk->ijk", *near).ravel()
    return (shares / shares.sum()).astype(np.float32)
