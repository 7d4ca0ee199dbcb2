"""Confidence of each limb, and resting poses of invisible arms."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from exoactor_core.arrays import interpolate, true_runs
from exoactor_core.body import with_hanging_arms
from exoactor_core.motion import LIMBS, HumanMotion
from exoactor_pose.detection.landmarks import Landmarks

_LIMB_LANDMARKS = ([13, 15], [14, 16], [25, 27], [26, 28], [11, 12, 23, 24])
"""Elbow and wrist of each arm, knee and ankle of each leg, shoulders and hips."""

ERROR_SHARE = 0.08
"""Distance of a landmark from the body's, as a share of the person's height in view, at which the confidence falls to
1/e."""
GUESSED, SEEN = 0.25, 0.4
"""Confidence of an arm below which it hangs, and above which it is as fitted; interpolated in between."""
EVIDENCE_SECONDS, CHANGE_SECONDS = 0.5, 0.15
"""An arm must lack evidence for half the first time to hang; it changes over about the second."""
ASIDE = 0.45
"""Shoulder width relative to the length of the trunk in the image, below which a person is seen from the side: it is
0.7 from the front, so this is a turn of 50 degrees."""
_SHOULDERS, _HIPS = [11, 12], [23, 24]


def limb_confidence(seen: Landmarks, error: np.ndarray, height_px: np.ndarray) -> np.ndarray:
    """Confidence of each of `LIMBS`, that of its least certain joint: (T, 5) in [0, 1].

    ``error`` (T, 33) px is the distance of the body's landmarks from the detected ones, ``height_px`` (T,) the person's
    height in view.
    """
    far = error / np.maximum(ERROR_SHARE * height_px, 1.0)[:, None]
    sure = seen.image[..., 2] * np.exp(-(far**2)) * seen.found[:, None]
    return np.stack([sure[:, indices].min(axis=1) for indices in _LIMB_LANDMARKS], axis=1).clip(0.0, 1.0)


def with_resting_arms(motion: HumanMotion, seen: Landmarks) -> HumanMotion:
    """The motion with hanging arms where there is no evidence of them for longer than a moment.

    The far arm of a person seen from the side, and arms in front of one seen from behind, are necessarily hidden by the
    body: for these the fit is better than a hanging arm (wrist and elbow 0.1 m off instead of 0.2 m, in eight generated
    clips), and is kept.
    """
    guesses = ((SEEN - limb_evidence(motion)) / (SEEN - GUESSED)).clip(0.0, 1.0)
    guesses[:, :2][_behind_the_body(seen)] = 0.0
    hang = gaussian_filter1d(guesses[:, :2], CHANGE_SECONDS * motion.fps, axis=0, mode="nearest")
    return with_hanging_arms(motion, hang)


def guessed_limbs(motion: HumanMotion, start_s: float = 0.0) -> list[str]:
    """Sentences on limbs that are guesses, with times of the video, in which the motion begins at ``start_s``."""
    guessed = limb_evidence(motion) < GUESSED
    notes = []
    for k, limb in enumerate(LIMBS):
        spans = [(start_s + a / motion.fps, start_s + b / motion.fps) for a, b in true_runs(guessed[:, k])]
        if spans:
            times = ", ".join(f"{a:.1f} s to {b:.1f} s" for a, b in spans)
            notes.append(f"The {limb} is hardly seen from {times}: its pose is a guess.")
    return notes


def _behind_the_body(seen: Landmarks) -> np.ndarray:
    """(T, 2) bool: the arm is the far one of a person seen from the side, or of one seen from behind."""
    left, right = (seen.image[:, k, :2] for k in _SHOULDERS)
    trunk = 0.5 * (left + right) - seen.image[:, _HIPS, :2].mean(axis=1)
    aside = np.linalg.norm(left - right, axis=1) < ASIDE * np.linalg.norm(trunk, axis=1)
    behind = ~aside & (trunk[:, 0] * (left - right)[:, 1] < trunk[:, 1] * (left - right)[:, 0])
    if seen.world is None:
        return np.stack([aside | behind] * 2, axis=1)
    left_is_far = seen.world[:, _SHOULDERS[0], 2] > seen.world[:, _SHOULDERS[1], 2]
    return np.stack([aside & left_is_far | behind, aside & ~left_is_far | behind], axis=1)


def limb_evidence(motion: HumanMotion) -> np.ndarray:
    """Confidence of the limbs (T, 5) without brief changes; interpolated if the person is lost for a moment."""
    window = 2 * round(0.5 * EVIDENCE_SECONDS * motion.fps) + 1
    seen = np.flatnonzero(np.asarray(motion.confidence) > 0)
    if not len(seen):
        return np.ones((len(motion), len(LIMBS)))
    sure = interpolate(np.arange(len(motion)), seen, np.asarray(motion.limb_confidence)[seen])
    return median_filter(sure, size=(window, 1), mode="nearest")
