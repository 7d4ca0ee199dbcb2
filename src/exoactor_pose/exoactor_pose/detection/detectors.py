"""Detectors: they find people in images, and 33 landmarks on each; a protocol, and MediaPipe behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from exoactor_core.errors import BadInput, Missing
from exoactor_pose.detection.mediapipe_graphs import Graph, landmark_array, modules_folder, without_output
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
_SEGMENTATION_OUTPUT = 2
"""Number of the landmark models' output that nobody asks for: the silhouette."""
_REGION_SCALE = 1.25
"""Side of the region over the length of the body, as MediaPipe's graphs take it."""
_BODY, _MIN_INSIDE = slice(11, 33), 0.25
"""Landmarks below the head, and their share that is in the image at least: the others are the model's guesses."""
_SAME_PERSON_DISTANCE = 0.25
"""Lengths of the body between the middles of two people found that are one."""
_WIDE = 1.5
"""Width over height from which an image is searched in squares: where one is little wider, people are hardly smaller
for the detector in the whole of it, and it finds people that are none in the squares."""
INTERPOLATED_DISTANCE = 0.05
"""Lengths of the body by which no landmark may move over two frames so that the one between is interpolated."""


def model_file(complexity: int) -> Path:
    """Where MediaPipe looks for a landmark model."""
    return modules_folder() / "pose_landmark" / f"pose_landmark_{MODELS[complexity]}.tflite"


class MediapipeDetector:
    """MediaPipe's BlazePose: the landmarks of one frame say where to place those of the next.

    Parameters
    ----------
    model_complexity
        0 lite, 1 full, 2 heavy; "auto": heavy where it is installed, full elsewhere. Full comes with MediaPipe, heavy
        by ``make env``.
    min_confidence
        Confidence in [0, 1] below which nobody is there.

    Raises
    ------
    Missing
        MediaPipe or the model file is not installed.
    BadInput
        ``model_complexity`` is none of these.
    """

    batch = 2

    def __init__(self, model_complexity: int | str = 1, min_confidence: float = 0.5) -> None:
        if str(model_complexity) not in ("auto", "0", "1", "2"):
            raise BadInput(f"model_complexity is {model_complexity}, but it must be auto, 0, 1 or 2.")
        self.notes: tuple[str, ...] = ()
        """Sentences for the user."""
        if str(model_complexity) == "auto":
            if not model_file(2).is_file():
                self.notes = (
                    "MediaPipe's heavy landmark model is not installed: the full one is used, which mixes up front and "
                    "back of people who turn. 'make env' fetches it.",
                )
            model_complexity = 2 if model_file(2).is_file() else 1
        if not model_file(int(model_complexity)).is_file():
            raise Missing(
                f"MediaPipe's model {model_file(int(model_complexity))} is not installed: run 'make env', or use "
                "model_complexity 1."
            )
        self.model = MODELS[int(model_complexity)]
        self._people_graph = Graph("PoseDetectionCpu", ("DETECTIONS",), threshold=min_confidence)
        self._landmark_graph = Graph(
            "PoseLandmarkByRoiCpu",
            ("LANDMARKS", "WORLD_LANDMARKS", "AUXILIARY_LANDMARKS"),
            roi=True,
            model=without_output(model_file(int(model_complexity)).read_bytes(), _SEGMENTATION_OUTPUT),
            threshold=min_confidence,
        )

    def find_people(self, frames: list[np.ndarray]) -> list[list[Person]]:
        """The people in every frame."""
        return [self._people_in(frame) for frame in frames]

    def find_landmarks(self, frames: list[np.ndarray], people: list[Person]) -> list[Pose | None]:
        """The landmarks of one person in every frame; None where they do not fit.

        Of two frames, the first's are interpolated while the person followed hardly moves.
        """
        person = people[0]
        if len(frames) != 2 or person is not people[1]:
            return [self._landmarks_of(frame, each) for frame, each in zip(frames, people, strict=True)]
        if person.region[1].fast:
            first = self._landmarks_of(frames[0], person)
            second = None if first is None or first.person is None else self._landmarks_of(frames[1], first.person)
            return [first, second if second is None or _between(person, second) is None else _slow(second)]
        second = self._landmarks_of(frames[1], person, frames_since=2)
        if second is None or (between := _between(person, second)) is None:
            return [self._landmarks_of(frames[0], person), second]
        return [between, _slow(second)]

    def close(self) -> None:
        """End the graphs' threads."""
        self._people_graph.close()
        self._landmark_graph.close()

    def _people_in(self, frame: np.ndarray) -> list[Person]:
        found = []
        for left, square in _squares(frame):
            for ends in self._ends_in(square):
                off_centre = abs(ends[0, 0] - square.shape[1] / 2)
                found.append((off_centre, _person(_Track(ends + np.array([left, 0])))))
        people: list[Person] = []
        for _, person in sorted(found, key=lambda each: each[0]):
            if all(np.linalg.norm(person.centre - p.centre) > _SAME_PERSON_DISTANCE * p.size for p in people):
                people.append(person)
        return people

    def _ends_in(self, image: np.ndarray) -> list[np.ndarray]:
        """Of everybody in an image (2, 2) px: the middle of the hips, and a point over the head (`_person`)."""
        from mediapipe.python import packet_getter

        got = self._people_graph(image)
        if "DETECTIONS" not in got:
            return []
        scale = [image.shape[1], image.shape[0]]
        detections = packet_getter.get_proto_list(got["DETECTIONS"])
        points = [detection.location_data.relative_keypoints[:2] for detection in detections]
        return [np.array([(p.x, p.y) for p in ends]) * scale for ends in points]

    def _landmarks_of(self, frame: np.ndarray, person: Person, frames_since: int = 1) -> Pose | None:
        region, track = person.region
        got = self._landmark_graph(frame, region)
        if len(got) < 3:
            return None
        height, width = frame.shape[:2]
        image = landmark_array(got["LANDMARKS"])[:, [0, 1, 3]] * [width, height, 1.0]
        inside = ((image[:, :2] >= 0) & (image[:, :2] <= [width, height])).all(axis=1)
        if inside[_BODY].mean() < _MIN_INSIDE:
            return None
        world = landmark_array(got["WORLD_LANDMARKS"])[:, :3]
        ends = landmark_array(got["AUXILIARY_LANDMARKS"])[:, :2] * [width, height]
        return Pose(image, world, person=_person(replace(track.next(ends, frames_since), image=image, world=world)))


def _squares(image: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Squares that overlap by half or more and cover a wide image, each with its left edge, px; else the image itself.

    The people detector shrinks what it is shown into a small square, in which people in a wide image would be tiny.
    """
    height, width = image.shape[:2]
    count = 1 if width < _WIDE * height else 1 + math.ceil(2 * (width / height - 1))
    side = width if count == 1 else height
    return [(left, image[:, left : left + side]) for left in np.linspace(0, width - side, count).astype(int)]


def _between(person: Person, after: Pose) -> Pose | None:
    """The pose half-way from somebody's last one to the one two frames later; None: they are too far apart."""
    track = person.region[1]
    if track.image is None or after.person is None or after.world is None:
        return None
    moved = np.linalg.norm(after.image[:, :2] - track.image[:, :2], axis=1)
    if moved.max() > INTERPOLATED_DISTANCE * person.size:
        return None
    somebody = _person(replace(track, value=(track.value + after.person.region[1].value) / 2))
    return Pose((track.image + after.image) / 2, (track.world + after.world) / 2, person=somebody)


def _slow(pose: Pose) -> Pose:
    """The same, of somebody who hardly moves."""
    assert pose.person is not None  # the detector gives it
    return replace(pose, person=_person(replace(pose.person.region[1], fast=False)))


@dataclass(frozen=True)
class _Track:
    """Two points, px, held still while they hardly move: a region that trembles makes the landmarks tremble.

    The One Euro filter (Casiez et al., CHI 2012), with MediaPipe's constants, a frame every 1/30 s, and speeds in
    lengths of the body.
    """

    value: np.ndarray
    speed: float | np.ndarray = 0.0
    fast: bool = True
    """Whether the person moves too quickly for landmarks to be interpolated."""
    image: np.ndarray | None = None
    world: np.ndarray | None = None
    """Landmarks in this frame, as in `Pose`."""

    def next(self, value: np.ndarray, frames: int = 1) -> _Track:
        """The same, so many frames later."""
        rate = 30.0 / frames
        length = max(2 * float(np.linalg.norm(value[1] - value[0])), 1.0)
        speed = self.speed + _smoothing_factor(1.0, rate) * ((value - self.value) * rate / length - self.speed)
        factor = _smoothing_factor(0.01 + 10.0 * np.abs(speed), rate)
        return replace(self, value=self.value + factor * (value - self.value), speed=speed, fast=True)


def _smoothing_factor(cutoff: float | np.ndarray, rate: float) -> float | np.ndarray:
    """Of a new value in a low-pass filter of this cutoff, Hz, with so many values a second."""
    return 1.0 / (1.0 + rate / (2 * np.pi * cutoff))


def _person(track: _Track) -> Person:
    """Somebody from the middle of the hips, px, and the point over the head on the circle that holds the body."""
    ends = track.value
    x, y = ends[1] - ends[0]
    radius = float(np.hypot(x, y))
    turn = np.arctan2(x, -y)  # 0 where the head is up, clockwise as seen
    return Person(ends[0], 2 * radius, ((*ends[0], 2 * _REGION_SCALE * radius, turn), track))
