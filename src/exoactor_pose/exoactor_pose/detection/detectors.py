"""Detectors: they find people in images, and 33 landmarks on each; a protocol, and MediaPipe behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

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


MODELS = ("lite", "full", "heavy")
"""MediaPipe's landmark models by their complexity 0, 1, 2."""
_REGION_SCALE = 1.25
"""Side of the region over the length of the body, as MediaPipe's graphs take it."""
_BODY = (11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""Shoulders, elbows, wrists, hips, knees, ankles."""
UNSURE_VISIBILITY = 0.7
"""Mean visibility of these below which the full model is unsure."""
FAST_TURN_DEG = 20.0
"""Turn of the hips and the shoulders from a frame to the next above which it may have mixed up front and back."""
SMALL_PX = 150.0
"""Length of a body, px, below which it is unsure: the models' input is 256 px for a square 1.25 times as large."""
HEAVY_FRAMES = 12
"""So many frames, from one that is unsure on and at the start, are the heavy model's."""


def model_file(complexity: int) -> Path:
    """Where MediaPipe looks for a landmark model."""
    return modules_folder() / "pose_landmark" / f"pose_landmark_{MODELS[complexity]}.tflite"


class MediapipeDetector:
    """MediaPipe's BlazePose: the landmarks of one frame say where to place those of the next.

    Parameters
    ----------
    model_complexity
        0 lite, 1 full, 2 heavy; "auto": full, and heavy where that is unsure, and full alone where heavy is not
        installed. Full comes with MediaPipe, heavy by ``make env``.
    min_confidence
        Confidence in [0, 1] below which nobody is there.

    Raises
    ------
    Missing
        MediaPipe or the model file is not installed.
    BadInput
        ``model_complexity`` is none of these.
    """

    batch = 1

    def __init__(self, model_complexity: int | str = 1, min_confidence: float = 0.5) -> None:
        if str(model_complexity) not in ("auto", "0", "1", "2"):
            raise BadInput(f"model_complexity is {model_complexity}, but it must be auto, 0, 1 or 2.")
        if str(model_complexity) == "auto":
            wanted = [k for k in (1, 2) if model_file(k).is_file()] or [1]
        else:
            wanted = [int(model_complexity)]
        if not model_file(wanted[0]).is_file():
            raise Missing(
                f"MediaPipe's model {model_file(wanted[0])} is not installed: run 'make env', or use "
                "model_complexity 1."
            )
        self._people_graph = Graph("PoseDetectionCpu", ("DETECTIONS",), threshold=min_confidence)
        self._landmark_graphs = [
            Graph(
                "PoseLandmarkByRoiCpu",
                ("LANDMARKS", "WORLD_LANDMARKS", "AUXILIARY_LANDMARKS"),
                roi=True,
                side={"MODEL_COMPLEXITY": complexity},
                threshold=min_confidence,
            )
            for complexity in wanted
        ]
        self.frames_by_model = dict.fromkeys((MODELS[k] for k in wanted), 0)
        """How often each model has placed landmarks."""

    def find_people(self, frames: list[np.ndarray]) -> list[list[Person]]:
        """The people in every frame."""
        return [self._people_in(frame) for frame in frames]

    def find_landmarks(self, frames: list[np.ndarray], people: list[Person]) -> list[Pose | None]:
        """The landmarks of one person in every frame; None where they do not fit."""
        return [self._landmarks_of(frame, person) for frame, person in zip(frames, people, strict=True)]

    def close(self) -> None:
        """End the graphs' threads."""
        self._people_graph.close()
        for graph in self._landmark_graphs:
            graph.close()

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
            found.append(_person(_Track(ends)))
        return found

    def _landmarks_of(self, frame: np.ndarray, person: Person) -> Pose | None:
        region, track = person.region
        names = list(self.frames_by_model)
        first = len(names) - 1 if track.heavy_frames else 0
        pose = self._run(first, frame, region, track)
        if pose is not None and len(names) > 1:
            unsure = _unsure(pose, person.size, track)
            if unsure and not first:
                pose, first = self._run(1, frame, region, track) or pose, 1
            left = HEAVY_FRAMES if unsure else max(track.heavy_frames - 1, 0)
            assert pose.person is not None  # `_run` gives it
            pose = replace(pose, person=_person(replace(pose.person.region[1], heavy_frames=left)))
        if pose is not None:
            self.frames_by_model[names[first]] += 1
        return pose

    def _run(self, graph: int, frame: np.ndarray, region: Any, track: _Track) -> Pose | None:
        got = self._landmark_graphs[graph](frame, region)
        if len(got) < 3:
            return None
        height, width = frame.shape[:2]
        image = landmark_array(got["LANDMARKS"])[:, [0, 1, 3]] * [width, height, 1.0]
        world = landmark_array(got["WORLD_LANDMARKS"])[:, :3]
        ends = landmark_array(got["AUXILIARY_LANDMARKS"])[:, :2] * [width, height]
        return Pose(image, world, person=_person(track.next(ends, _across(world))))


def _across(world: np.ndarray) -> np.ndarray:
    """(2, 2) from the right to the left hip and shoulder, seen from above; m."""
    return world[[23, 11]][:, [0, 2]] - world[[24, 12]][:, [0, 2]]


def _unsure(pose: Pose, size: float, track: _Track) -> bool:
    """Whether the landmarks are small, hardly visible, or turned suddenly."""
    assert pose.world is not None
    if size < SMALL_PX or pose.image[_BODY, 2].mean() < UNSURE_VISIBILITY:
        return True
    before, now = track.across, _across(pose.world)
    if before is None:
        return False
    turn = np.arctan2(before[:, 0] * now[:, 1] - before[:, 1] * now[:, 0], (before * now).sum(axis=1))
    return bool(np.abs(turn).max() > np.radians(FAST_TURN_DEG))


@dataclass(frozen=True)
class _Track:
    """Two points, px, held still while they hardly move: a region that trembles makes the landmarks tremble.

    The One Euro filter (Casiez et al., CHI 2012), with MediaPipe's constants, a frame every 1/30 s, and speeds in
    lengths of the body.
    """

    value: np.ndarray
    speed: float | np.ndarray = 0.0
    across: np.ndarray | None = None
    """As `_across` of the frame before."""
    heavy_frames: int = HEAVY_FRAMES
    """So many frames from here on are the heavy model's, where there is one."""

    def next(self, value: np.ndarray, across: np.ndarray) -> _Track:
        length = max(2 * float(np.linalg.norm(value[1] - value[0])), 1.0)
        speed = self.speed + _smoothing_factor(1.0) * ((value - self.value) * 30.0 / length - self.speed)
        factor = _smoothing_factor(0.01 + 10.0 * np.abs(speed))
        return replace(self, value=self.value + factor * (value - self.value), speed=speed, across=across)


def _smoothing_factor(cutoff: float | np.ndarray) -> float | np.ndarray:
    """Of a new value in a low-pass filter of this cutoff, Hz."""
    return 1.0 / (1.0 + 30.0 / (2 * np.pi * cutoff))


def _person(track: _Track) -> Person:
    """Somebody from the middle of the hips, px, and the point over the head on the circle that holds the body."""
    ends = track.value
    x, y = ends[1] - ends[0]
    radius = float(np.hypot(x, y))
    turn = np.arctan2(x, -y)  # 0 where the head is up, clockwise as seen
    return Person(ends[0], 2 * radius, ((*ends[0], 2 * _REGION_SCALE * radius, turn), track))
