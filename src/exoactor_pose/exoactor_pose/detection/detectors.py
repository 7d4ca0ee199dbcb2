"""Detectors: they find people in images and 33 landmarks on each; a protocol, and MediaPipe's implementation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from exoactor_core.arrays import unit
from exoactor_core.errors import BadInput, Missing
from exoactor_pose.detection.anatomy import LANDMARK_TRUST
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
    """Finds people, and places the landmarks of one person per frame. Frames are (H, W, 3) uint8 RGB."""

    batch: int
    """Number of frames per call."""

    def find_people(self, frames: list[np.ndarray]) -> list[list[Person]]:
        """The people in every frame."""

    def find_landmarks(self, frames: list[np.ndarray], people: list[Person]) -> list[Pose | None]:
        """The landmarks of one person in every frame; None if they do not fit."""

    def close(self) -> None:
        """Release all resources."""


MODELS = ("lite", "full", "heavy")
"""MediaPipe's landmark models by their complexity 0, 1, 2."""
_SEGMENTATION_OUTPUT = 2
"""Index of the landmark models' unused output, the silhouette."""
_REGION_SCALE = 1.25
"""Side of the region relative to the length of the body, as in MediaPipe's graphs."""
_BODY, _MIN_INSIDE = slice(11, 33), 0.25
"""Landmarks below the head, and their minimum share within the image: those outside are the model's guesses."""
_ACROSS = np.array([[11, 12], [23, 24]])
"""Left and right shoulder, left and right hip."""
_JOINTS = np.r_[11:17, 23:29]
"""Shoulders, elbows and wrists; hips, knees and ankles; each left, then right."""
UNSURE_TURN_DEG = 40.0
"""Turn of shoulders or hips since the heavy model was last used, from which the full model may confuse front and
back..."""
UNSURE_SWAP = 0.08
"""...lengths of the body by which the joints of a pair are closer to each other's expected positions, from which it may
confuse left and right..."""
UNSURE_VISIBILITY = 0.75
"""...mean visibility of the joints below which it is unsure..."""
UNSURE_SIZE_PX = 150.0
"""...and length of a body below which it is; the models' input is a square of 256 px, 1.25 times as large as the
body."""
_SAME_PERSON_DISTANCE = 0.25
"""Lengths of the body between the centres of two detections below which they are the same person."""
_MAX_REGION_ERROR = 0.1
"""Lengths of the body by which the landmarks may disagree with the detection that they were placed by..."""
_CLOSER_SCALE = 1.5
"""...or else the person is searched again in a square of so many lengths: the people detector is off by a fifth, in
place and in size, where people are small in its image."""
_WIDE = 1.5
"""Aspect ratio from which an image is searched in squares: in less wide ones people are hardly smaller for the
detector, and squares give more false detections."""
MAX_STEP = 4
"""Maximum number of frames until the model is run again."""
MAX_DEVIATION = 0.0075
"""Lengths of the body by which landmarks may deviate from a straight line until the next model run: otherwise frames in
between are also processed."""


def model_file(complexity: int) -> Path:
    """Path at which MediaPipe looks for a landmark model."""
    return modules_folder() / "pose_landmark" / f"pose_landmark_{MODELS[complexity]}.tflite"


class MediapipeDetector:
    """MediaPipe's BlazePose: the landmarks of one frame give the region of the next.

    ``model_complexity`` is 0 lite, 1 full, 2 heavy, or "auto": full, and heavy (if installed) in frames in which full
    is unsure. The full model comes with MediaPipe, ``make env`` fetches the heavy one. Detections below
    ``min_confidence``, in [0, 1], are ignored.

    Raises
    ------
    Missing
        MediaPipe or the model file is not installed.
    BadInput
        ``model_complexity`` is none of these.
    """

    batch = MAX_STEP

    def __init__(self, model_complexity: int | str = 1, min_confidence: float = 0.5) -> None:
        if str(model_complexity) not in ("auto", "0", "1", "2"):
            raise BadInput(f"model_complexity is {model_complexity}, but it must be auto, 0, 1 or 2.")
        self.notes: tuple[str, ...] = ()
        """Sentences for the user."""
        wanted = [1, 2] if str(model_complexity) == "auto" else [int(model_complexity)]
        if len(wanted) > 1 and not model_file(2).is_file():
            wanted = [1]
            self.notes = (
                "MediaPipe's heavy landmark model is not installed: the full one is used alone, which mixes up front "
                "and back of people who turn. 'make env' fetches it.",
            )
        if not model_file(wanted[0]).is_file():
            raise Missing(
                f"MediaPipe's model {model_file(wanted[0])} is not installed: run 'make env', or use "
                "model_complexity 1."
            )
        self._people_graph = Graph("PoseDetectionCpu", ("DETECTIONS",), threshold=min_confidence)
        self._models = [_LandmarkModel(complexity, min_confidence) for complexity in wanted]

    @property
    def model(self) -> str:
        """Names of the models that were used."""
        return ", ".join(model.name for model in self._models if model.runs) or self._models[0].name

    def find_people(self, frames: list[np.ndarray]) -> list[list[Person]]:
        """The people in every frame."""
        return [self._people_in(frame) for frame in frames]

    def find_landmarks(self, frames: list[np.ndarray], people: list[Person]) -> list[Pose | None]:
        """The landmarks of one person in every frame; None if they do not fit.

        If a person is being followed, the models run on as many of the frames as the motion requires, and the landmarks
        of the others are interpolated.
        """
        track, *others = (person.region[1] for person in people)
        if any(other is not track for other in others):
            tracks = [self._run(frame, person.region[1]) for frame, person in zip(frames, people, strict=True)]
            return [_pose(track) for track in tracks]
        found, step = list[_Track | None](), track.step
        while part := frames[len(found) :][:step]:
            seen = self._run(part[-1], track, len(part))
            if seen is not None:
                *between, track = self._filled(part[:-1], track, seen)
                found += [*between, track]
                step = track.step
            elif len(part) > 1:
                step = 1
            else:
                found.append(None)
        return [_pose(each) for each in found]

    def _filled(self, frames: list[np.ndarray], before: _Track, after: _Track) -> list[_Track]:
        """Tracks between two model runs, interpolated or processed as the motion requires, and the one after."""
        half = len(frames) // 2
        needed = frames and after.deviation(len(frames) + 1) > MAX_DEVIATION
        middle = self._run(frames[half], before, half + 1) if needed else None
        if middle is None:
            return [*_between(before, after, len(frames)), after]
        after = after.since(middle, len(frames) - half)
        return [*self._filled(frames[:half], before, middle), *self._filled(frames[half + 1 :], middle, after)]

    def close(self) -> None:
        """End the graphs' threads."""
        self._people_graph.close()
        for model in self._models:
            model.close()

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
        """For each person in an image (2, 2) px: the middle of the hips, and a point above the head (`_person`)."""
        from mediapipe.python import packet_getter

        got = self._people_graph(image)
        if "DETECTIONS" not in got:
            return []
        scale = [image.shape[1], image.shape[0]]
        detections = packet_getter.get_proto_list(got["DETECTIONS"])
        points = [detection.location_data.relative_keypoints[:2] for detection in detections]
        return [np.array([(p.x, p.y) for p in ends]) * scale for ends in points]

    def _run(self, frame: np.ndarray, track: _Track, frames: int = 1) -> _Track | None:
        """Run the model on a frame, ``frames`` after the track's last run; None: the landmarks do not fit."""
        first, *heavy = self._models
        clear = track.across is not None and track.length >= UNSURE_SIZE_PX and not _hidden(track.points)
        once = not track.runs  # so far: most detections are processed only once
        placed, across = None, track.across
        if clear or once or not heavy:
            placed = first(frame, _person(track).region[0])
        if once and (placed is None or _disagree(placed[1], track)):
            closer = self._closer(frame, track)
            if closer is None and placed is not None:
                closer = replace(track, value=placed[1])
            if closer is not None:  # otherwise the region would be the same again
                track = closer
                placed = first(frame, _person(track).region[0])
        if heavy and (placed is None or (track.runs > 1 and _unsure(placed[0], track, frames))):
            placed = heavy[0](frame, _person(track).region[0])
            across = None if placed is None else _across(placed[0])
        if placed is None:
            return None
        points, ends = placed
        return replace(track.next(ends, frames), points=points, across=across).since(track, frames)

    def _closer(self, frame: np.ndarray, track: _Track) -> _Track | None:
        """The same person found in the part of the frame around; None: nobody is."""
        half = 0.5 * _CLOSER_SCALE * track.length
        low, high = (np.clip(track.value[0] + side, 0, frame.shape[1::-1]).astype(int) for side in (-half, half))
        part = np.ascontiguousarray(frame[low[1] : high[1], low[0] : high[0]])
        people = [ends + low for ends in self._ends_in(part)] if part.size else []
        return _Track(min(people, key=lambda ends: np.linalg.norm(ends[0] - track.value[0]))) if people else None


def _disagree(ends: np.ndarray, track: _Track) -> bool:
    """Whether the ends of the body (2, 2) px by its landmarks are elsewhere than where the landmarks were placed."""
    return bool(np.linalg.norm(ends - track.value, axis=1).max() > _MAX_REGION_ERROR * track.length)


def _unsure(points: np.ndarray, track: _Track, frames: int) -> bool:
    """Whether landmarks (33, 6), ``frames`` after the last run, are hidden, swapped, or turned since heavy's."""
    assert track.across is not None  # the heavy model runs as soon as somebody is followed
    cosine = (_across(points) * track.across).sum(axis=1)
    turned = bool(cosine.min() < np.cos(np.radians(UNSURE_TURN_DEG)))
    return _hidden(points) or turned or _swapped(points, track, frames)


def _swapped(points: np.ndarray, track: _Track, frames: int) -> bool:
    """Whether a left and a right joint are swapped in landmarks (33, 6), ``frames`` after the last run."""
    expected, at = (p[_JOINTS, :2].reshape(-1, 2, 2) for p in (track.points + frames * track.velocity, points))
    own, other = (np.linalg.norm(at - e, axis=-1).sum(axis=1) for e in (expected, expected[:, ::-1]))
    return bool((own - other).max() > UNSURE_SWAP * track.length)


def _hidden(points: np.ndarray) -> bool:
    """Whether landmarks (33, 6) show too little of the limbs."""
    return bool(points[_JOINTS, 2].mean() < UNSURE_VISIBILITY)


def _across(points: np.ndarray) -> np.ndarray:
    """Directions (2, 2) from the right to the left shoulder and hip, seen from above, of landmarks (33, 6)."""
    left, right = points[_ACROSS.T][..., [3, 5]]
    return unit(left - right)


class _LandmarkModel:
    """One of MediaPipe's landmark models, by its complexity."""

    def __init__(self, complexity: int, min_confidence: float) -> None:
        self.name, self.runs = MODELS[complexity], 0
        self._graph = Graph(
            "PoseLandmarkByRoiCpu",
            ("LANDMARKS", "WORLD_LANDMARKS", "AUXILIARY_LANDMARKS"),
            roi=True,
            model=without_output(model_file(complexity).read_bytes(), _SEGMENTATION_OUTPUT),
            threshold=min_confidence,
        )

    def __call__(self, frame: np.ndarray, region: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Landmarks of the person in a region, (33, 6) as in `_Track`, and the ends of the body (2, 2) px.

        None: they do not fit.
        """
        self.runs += 1
        got = self._graph(frame, region)
        if len(got) < 3:
            return None
        height, width = frame.shape[:2]
        image = landmark_array(got["LANDMARKS"])[:, [0, 1, 3]] * [width, height, 1.0]
        inside = ((image[:, :2] >= 0) & (image[:, :2] <= [width, height])).all(axis=1)
        if inside[_BODY].mean() < _MIN_INSIDE:
            return None
        world = landmark_array(got["WORLD_LANDMARKS"])[:, :3]
        ends = landmark_array(got["AUXILIARY_LANDMARKS"])[:, :2] * [width, height]
        return np.concatenate([image, world], axis=1), ends

    def close(self) -> None:
        """End the graph's threads."""
        self._graph.close()


def _squares(image: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Overlapping squares (by half or more) that cover a wide image, each with its left edge, px; or the image itself.

    The people detector shrinks its input to a small square, in which people in a wide image would be tiny.
    """
    height, width = image.shape[:2]
    count = 1 if width < _WIDE * height else 1 + math.ceil(2 * (width / height - 1))
    side = width if count == 1 else height
    return [(left, image[:, left : left + side]) for left in np.linspace(0, width - side, count).astype(int)]


def _between(before: _Track, after: _Track, count: int) -> list[_Track]:
    """``count`` tracks between two model runs: parabolas through the landmarks of these and of the run before."""
    tracks = []
    for k in range(1, count + 1):
        share = k / (count + 1)
        bend = k * (k - count - 1) * after.bend
        points, value = (a + share * (b - a) for a, b in ((before.points, after.points), (before.value, after.value)))
        tracks.append(replace(after, points=points + bend, value=value))
    return tracks


def _pose(track: _Track | None) -> Pose | None:
    return None if track is None else Pose(track.points[:, :3], track.points[:, 3:], person=_person(track))


@dataclass(frozen=True)
class _Track:
    """Two points, px, smoothed while they hardly move, since a jittering region makes the landmarks jitter.

    The One Euro filter (Casiez et al., CHI 2012), with MediaPipe's constants, a frame every 1/30 s, and speeds in
    lengths of the body.
    """

    value: np.ndarray
    speed: float | np.ndarray = 0.0
    points: np.ndarray = field(default_factory=lambda: np.zeros((33, 6)))
    """(33, 6) landmarks of the last model run: x px, y px, visibility; x, y, z m."""
    velocity: np.ndarray = field(default_factory=lambda: np.zeros((33, 6)))
    """Velocity of the landmarks since the run before, per frame."""
    bend: np.ndarray = field(default_factory=lambda: np.zeros((33, 6)))
    """Half of their acceleration, per frame^2."""
    curve: np.ndarray = field(default_factory=lambda: np.zeros((33, 6)))
    """Mean of the last two bends, which has less noise."""
    frames: int = 1
    """Since the run before."""
    runs: int = 0
    """Number of model runs."""
    across: np.ndarray | None = None
    """`_across` of the heavy model's last run; None: it has not run."""

    @property
    def length(self) -> float:
        """px, approximate length of the body."""
        return max(2 * float(np.linalg.norm(self.value[1] - self.value[0])), 1.0)

    @property
    def step(self) -> int:
        """Number of frames until the next model run: at most twice as many as before."""
        step = min(2 * self.frames, MAX_STEP)
        while step > 1 and self.deviation(step) > MAX_DEVIATION:
            step //= 2
        return max(1, step)

    def deviation(self, frames: int) -> float:
        """Deviation of the landmarks from a straight line over ``frames``, lengths of the body; infinite if unknown."""
        if self.runs < 4:
            return np.inf
        curve = np.linalg.norm(self.curve[:, :2], axis=1) * LANDMARK_TRUST * self.points[:, 2]
        return 0.25 * frames**2 * float(curve.max()) / self.length

    def next(self, value: np.ndarray, frames: int = 1) -> _Track:
        """The track with its two points at ``value`` (2, 2) px, ``frames`` later."""
        rate = 30.0 / frames
        length = replace(self, value=value).length
        speed = self.speed + _smoothing_factor(1.0, rate) * ((value - self.value) * rate / length - self.speed)
        factor = _smoothing_factor(0.01 + 10.0 * np.abs(speed), rate)
        return replace(self, value=self.value + factor * (value - self.value), speed=speed)

    def since(self, before: _Track, frames: int) -> _Track:
        """The track with the landmarks' motion since a model run ``frames`` before."""
        velocity = (self.points - before.points) / frames
        bend = (velocity - before.velocity) / (frames + before.frames)
        bend[:, 2] = 0.0
        curve = 0.5 * (bend + before.bend)
        return replace(self, velocity=velocity, bend=bend, curve=curve, frames=frames, runs=before.runs + 1)


def _smoothing_factor(cutoff: float | np.ndarray, rate: float) -> float | np.ndarray:
    """Weight of a new value in a low-pass filter of this cutoff, Hz, at this rate, Hz."""
    return 1.0 / (1.0 + rate / (2 * np.pi * cutoff))


def _person(track: _Track) -> Person:
    """A person from the middle of the hips, px, and the point above the head on the body's bounding circle."""
    ends = track.value
    x, y = ends[1] - ends[0]
    radius = float(np.hypot(x, y))
    turn = np.arctan2(x, -y)  # 0 if the head is up, clockwise in the image
    return Person(ends[0], 2 * radius, ((*ends[0], 2 * _REGION_SCALE * radius, turn), track))
