"""Facts about a video, independent of the person's motion: see `exoactor_core.stages.Estimate`."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import true_runs
from exoactor_core.stages import Metrics
from exoactor_pose.detection.anatomy import LANDMARK_NAMES
from exoactor_pose.detection.appearance import AppearanceModel
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.video.cuts import REPORTED_GAP_SECONDS, Shots

EDGE_MARGIN = 0.005
"""A landmark closer to the image's edge than this share of its height may be outside the image: detectors that place
landmarks only within images put those of a cropped foot there."""
EXTREMITIES = [k for k, name in enumerate(LANDMARK_NAMES) if k <= 10 or name.split("_")[1] in ("wrist", "heel", "foot")]
"""Head, hands and feet."""


def video_facts(
    seen: Landmarks,
    others: np.ndarray,
    shots: Shots,
    appearance: AppearanceModel,
    explained: tuple[np.ndarray, np.ndarray],
    turned: np.ndarray | None,
) -> Metrics:
    """Facts about a whole video, given all its frames in ``seen``, and ``appearance`` after processing all of them.

    ``others`` (T,) bool says when another person of comparable size is visible, ``shots`` where the video breaks.
    ``explained`` is the result of `CameraMotion.explained` for the frames that are used, empty if the camera's motion
    was not estimated, and ``turned`` its rotation in them.
    """
    found = shots.found
    partly = found & ~_whole(seen)
    similarity = appearance.similarity(found)
    facts = {
        "seconds": round(len(found) / seen.fps, 3),
        "cuts_s": [round(t / seen.fps, 3) for t in shots.cuts],
        "found_share": float(found.mean()),
        "lost_s": _spans(~found, seen.fps),
        "others_share": float(others.mean()),
        "others_s": _spans(others, seen.fps),
        "whole_share": float(1 - partly.sum() / max(found.sum(), 1)),
        "partly_s": _spans(partly, seen.fps),
        "similarity_min": None,
        "camera_turn_deg": None,
        "camera_explained": None,
    }
    if not np.isnan(similarity).all():
        worst = int(np.nanargmin(similarity))
        facts |= {"similarity_min": float(similarity[worst]), "similarity_min_s": round(worst / seen.fps, 3)}
    times, shares = explained
    if len(shares):
        worst = int(np.argmin(shares))
        most = 0.0 if turned is None else Rotation.from_matrix(turned).magnitude().max()
        facts |= {
            "camera_turn_deg": float(np.degrees(most)),
            "camera_explained": float(shares[worst]),
            "camera_explained_s": round(float(times[worst]), 3),
        }
    return facts


def _whole(seen: Landmarks) -> np.ndarray:
    """(T,) bool: head, hands and feet are within the image, visible or hidden."""
    at, margin = seen.image[:, EXTREMITIES, :2], EDGE_MARGIN * seen.height
    return np.all((at >= margin) & (at <= [seen.width - margin, seen.height - margin]), axis=(1, 2))


def _spans(flags: np.ndarray, fps: float) -> list[list[float]]:
    """[from, to] in s of the runs of true in (T,) bool that are long enough to be reported."""
    return [[round(a / fps, 3), round(b / fps, 3)] for a, b in true_runs(flags) if (b - a) / fps > REPORTED_GAP_SECONDS]
