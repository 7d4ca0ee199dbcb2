"""People in a single image, for other stages, through the entry point ``exoactor.people``."""

from __future__ import annotations

from typing import Any

import numpy as np

from exoactor_core.options import BaseOptions, Share
from exoactor_core.stages import PeopleFinder, PersonDetection
from exoactor_pose.detection.anatomy import LANDMARK_NAMES
from exoactor_pose.detection.detectors import MediapipeDetector

MIN_VISIBILITY = 0.5
"""Visibility in [0, 1] from which a landmark counts as seen."""
SAME_PERSON_OVERLAP = 0.5
"""Overlap of two boxes, as a share of the smaller one, from which they are the same person."""
_EXTREMITIES = [LANDMARK_NAMES.index(name) for name in ("nose", "left_ankle", "right_ankle")]


class MediapipePeople(PeopleFinder):
    """Finds people, and human-like figures, in images with MediaPipe.

    Raises
    ------
    Missing
        MediaPipe is not installed.
    """

    class Options(BaseOptions):
        """Options of the detector."""

        min_confidence: Share = 0.5
        """Confidence below which detections are ignored."""

    options: Options

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._detector = MediapipeDetector(min_confidence=self.options.min_confidence)

    def __call__(self, image: np.ndarray) -> list[PersonDetection]:
        """All people in an image (H, W, 3) uint8 RGB, the largest first."""
        found: list[PersonDetection] = []
        limit = np.array(image.shape[1::-1], float)
        for person in sorted(self._detector.find_people([image])[0], key=lambda p: -p.size):
            pose = self._detector.find_landmarks([image], [person])[0]
            if pose is None:
                continue
            points = pose.image[:, :2]
            inside = np.all((points >= 0) & (points <= limit), axis=1)
            whole = bool(inside[_EXTREMITIES].all() and (pose.image[_EXTREMITIES, 2] > MIN_VISIBILITY).all())
            left, top, right, bottom = np.clip([points.min(axis=0), points.max(axis=0)], 0, limit).ravel().tolist()
            box = left, top, right, bottom
            if all(_overlap(np.array(box), np.array(other.box)) < SAME_PERSON_OVERLAP for other in found):
                found.append(PersonDetection(box, whole))
        return found


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Area shared by two boxes, relative to the smaller one."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    smaller = min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
    return float(np.prod(np.maximum(sides, 0)) / max(smaller, 1e-9))
