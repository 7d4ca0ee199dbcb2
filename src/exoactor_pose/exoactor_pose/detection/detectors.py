"""Detectors: they find people in images, and 33 landmarks on each; a protocol, and MediaPipe behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from exoactor_core.errors import BadInput, Missing
from exoactor_pose.detection.mediapipe_graphs import Graph, landmark_array, modules_folder
from exoactor_pose.detection.people import Person


@dataclass(frozen=True)
class Pose:
    """Landmarks of one person in one frame; the fields are those of `exoactor_pose.detection.landmarks.Landmarks`."""

    image: np.ndarray
    """(33, 3): x px, y px, visibility."""
    world: np.ndarray | None = None
    """(33, 3) m."""
    hands: np.ndarray | None = None
    """(2, 21, 3): x px, y px, confidence."""
    person: Person | None = None
    """Where to place the landmarks in the next frame; None: people must be found again in every frame."""


class Detector(Protocol):
    """Finds people, and places landmarks on one person a frame. Frames are (H, W, 3) uint8 RGB."""

    batch: int
    """How many frames it takes at once."""

    def find_people(self, frames: list[np.ndarray]) -> list[list[Person]]:
        """The people in every frame."""

    def find_landmarks(self, frames: list[np.ndarray], people: list[Person]) -> list[Pose | None]:
        """The landmarks of one person in every frame; None where they do not fit."""

    def close(self) -> None:
        """Give everything back."""


_MODEL_FILES = {0: "pose_landmark_lite.tflite", 1: "pose_landmark_full.tflite", 2: "pose_landmark_heavy.tflite"}
_REGION_SCALE = 1.25
"""Side of the region over the length of the body, as MediaPipe's graphs take it."""


class MediapipeDetector:
    """MediaPipe's BlazePose: the landmarks of one frame say where to place those of the next.

    Parameters
    ----------
    model_complexity
        0 light, 1 full, 2 heavy. Only 1 comes with the package.
    min_confidence
        Confidence in [0, 1] below which nobody is there.

    Raises
    ------
    Missing
        MediaPipe or the model file is not installed.
    BadInput
        ``model_complexity`` is none of 0, 1, 2.
    """

    batch = 1

    def __init__(self, model_complexity: int = 1, min_confidence: float = 0.5) -> None:
        if model_complexity not in _MODEL_FILES:
            raise BadInput(f"model_complexity is {model_complexity}, but it must be 0, 1 or 2.")
        model = modules_folder() / "pose_landmark" / _MODEL_FILES[model_complexity]
        if not model.is_file():
            raise Missing(f"MediaPipe's model {model} is not installed: put it there, or use model_complexity 1.")
        self._people_graph = Graph("PoseDetectionCpu", ("DETECTIONS",), threshold=min_confidence)
        self._landmark_graph = Graph(
            "PoseLandmarkByRoiCpu", ("LANDMARKS", "WORLD_LANDMARKS", "AUXILIARY_LANDMARKS"), roi=True,
            side={"MODEL_COMPLEXITY": model_complexity}, threshold=min_confidence,
        )  # fmt: skip

    def find_people(self, frames: list[np.ndarray]) -> list[list[Person]]:
        """The people in every frame."""
        return [self._people_in(frame) for frame in frames]

    def find_landmarks(self, frames: list[np.ndarray], people: list[Person]) -> list[Pose | None]:
        """The landmarks of one person in every frame; None where they do not fit."""
        return [self._landmarks_of(frame, person) for frame, person in zip(frames, people, strict=True)]

    def close(self) -> None:
        """End the graphs' threads."""
        self._people_graph.close()
        self._landmark_graph.close()

    def _people_in(self, frame: np.ndarray) -> list[Person]:
        from mediapipe.python import packet_getter

        got = self._people_graph(frame)
        if "DETECTIONS" not in got:
            return []
        scale = [frame.shape[1], frame.shape[0]]
        found = []
        for detection in packet_getter.get_proto_list(got["DETECTIONS"]):
            points = detection.location_data.relative_keypoints
            ends = np.array([(p.x, p.y) for p in points[:2]]) * scale
            found.append(_person(ends, _SmoothedPoints(ends)))
        return found

    def _landmarks_of(self, frame: np.ndarray, person: Person) -> Pose | None:
        region, smoothed = person.region
        got = self._landmark_graph(frame, region)
        if len(got) < 3:
            return None
        height, width = frame.shape[:2]
        image = landmark_array(got["LANDMARKS"])[:, [0, 1, 3]] * [width, height, 1.0]
        world = landmark_array(got["WORLD_LANDMARKS"])[:, :3]
        ends = landmark_array(got["AUXILIARY_LANDMARKS"])[:, :2] * [width, height]
        smoothed = smoothed.next(ends)
        return Pose(image, world, person=_person(smoothed.value, smoothed))


@dataclass(frozen=True)
class _SmoothedPoints:
    """Two points, px, held still while they hardly move: a region that trembles makes the landmarks tremble.

    The One Euro filter (Casiez et al., CHI 2012), with MediaPipe's constants, a frame every 1/30 s, and speeds in
    lengths of the body.
    """

    value: np.ndarray
    speed: float | np.ndarray = 0.0

    def next(self, value: np.ndarray) -> _SmoothedPoints:
        length = max(2 * float(np.linalg.norm(value[1] - value[0])), 1.0)
        speed = self.speed + _smoothing_factor(1.0) * ((value - self.value) * 30.0 / length - self.speed)
        factor = _smoothing_factor(0.01 + 10.0 * np.abs(speed))
        return _SmoothedPoints(self.value + factor * (value - self.value), speed)


def _smoothing_factor(cutoff: float | np.ndarray) -> float | np.ndarray:
    """Of a new value in a low-pass filter of this cutoff, Hz."""
    return 1.0 / (1.0 + 30.0 / (2 * np.pi * cutoff))


def _person(ends: np.ndarray, smoothed: _SmoothedPoints) -> Person:
    """Somebody from the middle of the hips, px, and the point over the head on the circle that holds the body."""
    x, y = ends[1] - ends[0]
    radius = float(np.hypot(x, y))
    turn = np.arctan2(x, -y)  # 0 where the head is up, clockwise as seen
    return Person(ends[0], 2 * radius, ((*ends[0], 2 * _REGION_SCALE * radius, turn), smoothed))
