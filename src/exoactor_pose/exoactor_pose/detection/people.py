"""Choosing the person to estimate among the people in a video, and following that person through the frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from exoactor_core.errors import BadInput

EQUAL_SIZE_RATIO = 0.8
"""People whose sizes differ by less than this ratio count as equally large: detected sizes are off by a tenth."""
COMPARABLE_SIZE_RATIO = 0.5
"""Size relative to the person followed from which others count as company rather than background..."""
SAME_PERSON_DISTANCE = 0.15
"""...and distance, in sizes of the person, below which a detection is the same person."""
SIDE_MARGIN, MIN_SIDE_WIDTH = 0.08, 0.2
"""Margin on both sides of the person, and minimum width for somebody else, in sizes of the person."""
MUCH_LARGER_RATIO = 1.5
"""Size relative to the person followed from which somebody is reported."""
MAX_DISTANCE = 0.6
"""Maximum displacement between two detections close in time, in sizes of the person."""
MAX_HIP_SPEED = 5.0
"""Sizes per second: nobody is so fast while unseen (8 m/s), so a faster track has changed to something else."""
MIN_SIMILARITY, MIN_SIMILARITY_IN_COMPANY, LEARNING_SIMILARITY = 0.35, 0.65, 0.85
"""Similarity of colours in [0, 1] below which it is a different person; below which it is if others are around; and
above which it is certainly the same one, whose appearance is learnt."""
LEARNING_FRAMES = 10
"""The appearance in so many first frames is learnt in any case."""
COMPANY_SECONDS = 2.0
"""For so long after others were seen they are still around."""
SIMILARITY_MARGIN = 0.15
"""Similarity by which another person must match better than the track to be the one followed."""


@dataclass(frozen=True)
class Person:
    """A person found in a frame."""

    centre: np.ndarray
    """(2,) px, centre of the body."""
    size: float
    """px, approximate length of the stretched-out body."""
    region: Any = None
    """Region for the landmarks, in the detector's own format."""


def colour_histogram(image: np.ndarray, person: Person) -> np.ndarray:
    """(1024,) colour histogram of trunk and thighs, by which people are distinguished."""
    parts = []
    for up, down in ((0.22, 0.02), (-0.02, -0.22)):
        low = person.centre - person.size * np.array([0.07, up])
        high = person.centre + person.size * np.array([0.07, -down])
        parts.append(_patch_histogram(image, low, high))
    return np.concatenate(parts) / 2


def _patch_histogram(image: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(512,) colour histogram between two corners, px, within the image."""
    last = np.array([image.shape[1], image.shape[0]]) - 1
    low = np.clip(np.floor(low), 0, last).astype(int)
    high = np.clip(np.ceil(high), low + 1, last + 1).astype(int)
    step = max(1, int((high - low).min()) // 16)
    patch = np.ascontiguousarray(image[low[1] : high[1] : step, low[0] : high[0] : step])
    patch = cv2.cvtColor(patch, cv2.COLOR_RGB2Lab)
    counts = cv2.calcHist([patch], [0, 1, 2], None, [8, 8, 8], [0, 256, 64, 192, 64, 192]).ravel()
    return counts / max(1.0, float(counts.sum()))


def has_company(people: list[Person], person: Person | None) -> bool:
    """Whether there are people of comparable size beside the person followed (None: several of any size)."""
    if person is None:
        return len(people) > 1
    return any(
        p.size > COMPARABLE_SIZE_RATIO * person.size
        and np.linalg.norm(p.centre - person.centre) > SAME_PERSON_DISTANCE * person.size
        for p in people
    )


def side_images(image: np.ndarray, landmarks: np.ndarray, size: float) -> list[np.ndarray]:
    """The parts of an image to the left and the right of a person of some size, px, if there is room for another one.

    A detector finds people in these whom it misses beside somebody prominent.
    """
    left, right = landmarks[:, 0].min() - SIDE_MARGIN * size, landmarks[:, 0].max() + SIDE_MARGIN * size
    parts = image[:, : max(0, int(left))], image[:, max(0, int(right)) :]
    return [np.ascontiguousarray(part) for part in parts if part.shape[1] > MIN_SIDE_WIDTH * size]


def bhattacharyya(a: np.ndarray, b: np.ndarray) -> float:
    """Bhattacharyya coefficient of two distributions, in [0, 1]."""
    return float(np.sqrt(a * b).sum())


class Follower:
    """Chooses a person at first and finds the same one again in later frames.

    ``choice`` is "largest" (of equally large people the most central), or the person's number from the left of the
    image, from 0.
    """

    def __init__(self, choice: str = "largest") -> None:
        choice = str(choice).strip()
        if choice != "largest" and not choice.isdecimal():
            raise BadInput(
                f"person is '{choice}', but it must be 'largest' or a number: 0 for the person farthest left, "
                "1 for the next."
            )
        self.choice = choice
        self.notes: list[str] = []
        self.most = 0
        """Maximum number of people in any frame."""
        self.last: Person | None = None
        self.mismatches = 0
        """Number of frames for which the track has been on somebody of different appearance, with others around."""
        self.eligible: Callable[[list[Person], int, float], list[Person]] | None = None
        """Filter of the people who may be chosen, in a shot of some number at a time, s; None: all."""
        self.shot = 0
        self.time = 0.0
        """s, time of the track's last frame."""
        self._company_time = -np.inf
        self._histogram: np.ndarray | None = None
        self._samples = 0
        self._reported_larger = False

    def choose(self, people: list[Person], width: int, time: float) -> Person | None:
        """Choose the person to follow; None if there are too few.

        ``width`` is the image's, px; ``time``, s, the frame's.
        """
        people = sorted(people, key=lambda p: p.centre[0])
        if self.eligible is not None:
            people = self.eligible(people, self.shot, time)
        if self.choice != "largest":
            return people[int(self.choice)] if int(self.choice) < len(people) else None
        if not people:
            return None
        largest = max(p.size for p in people)
        equal = [p for p in people if p.size > EQUAL_SIZE_RATIO * largest]
        best = min(equal, key=lambda p: abs(p.centre[0] - width / 2))
        if len(equal) > 1:
            number = next(k for k, p in enumerate(people) if p is best)
            self.notes.append(
                f"{len(equal)} people of about equal size are in the image at {time:.1f} s: number {number} from the "
                "left (counted from 0) is followed, the most central; the option person chooses another."
            )
        return best

    def find(self, image: np.ndarray, people: list[Person], time: float) -> Person | None:
        """The person followed among the people in a frame, by position and appearance; None: none of them."""
        if self.last is None:
            return self.choose(people, image.shape[1], time)
        needed = MIN_SIMILARITY_IN_COMPANY if self._in_company(time) else MIN_SIMILARITY
        reach = MAX_DISTANCE + MAX_HIP_SPEED * max(0.0, time - self.time - 0.1)
        best, score = None, -1.0
        for person in people:
            away = float(np.linalg.norm(person.centre - self.last.centre)) / max(self.last.size, 1.0)
            similarity = self.similarity(image, person)
            if away > reach or similarity < needed:
                continue
            closeness = np.exp(-((away / MAX_DISTANCE) ** 2)) if time - self.time < 0.5 else 0.0
            if similarity + 0.5 * closeness > score:
                best, score = person, similarity + 0.5 * closeness
        return best

    def observe(self, people: list[Person], time: float) -> None:
        """Record the number of people."""
        self.most = max(self.most, len(people))
        if len(people) > 1:
            self._company_time = time
        if self.choice != "largest" or self._reported_larger or self.last is None:
            return
        if max((p.size for p in people), default=0.0) < MUCH_LARGER_RATIO * self.last.size:
            return
        self._reported_larger = True
        self.notes.append(
            f"Somebody much larger than the person followed is in the image at {time:.1f} s: the option person "
            "chooses another."
        )

    def _in_company(self, time: float) -> bool:
        return time - self._company_time < COMPANY_SECONDS

    def similarity(self, image: np.ndarray, person: Person) -> float:
        """Similarity of somebody's appearance to the person followed, in [0, 1]; 1 before anybody is followed."""
        return 1.0 if self._histogram is None else bhattacharyya(self._histogram, colour_histogram(image, person))

    def better_match(self, image: np.ndarray, people: list[Person]) -> Person | None:
        """Somebody who clearly matches better than the present track."""
        if self.last is None or self._histogram is None or len(people) < 2:
            return None
        distances = [float(np.linalg.norm(p.centre - self.last.centre)) for p in people]
        at_track = people[int(np.argmin(distances))]
        reach = 3 * MAX_DISTANCE * self.last.size
        rest = [p for p, away in zip(people, distances, strict=True) if p is not at_track and away < reach]
        if not rest:
            return None
        best = max(rest, key=lambda p: self.similarity(image, p))
        return best if self.similarity(image, best) > self.similarity(image, at_track) + SIMILARITY_MARGIN else None

    def update(self, image: np.ndarray, person: Person, time: float, alone: bool = True) -> None:
        """Update the track; its appearance is learnt if nobody else is near (``alone``)."""
        histogram = colour_histogram(image, person)
        similarity = 1.0 if self._histogram is None else bhattacharyya(self._histogram, histogram)
        learnt = self._samples >= LEARNING_FRAMES
        mismatch = learnt and similarity < MIN_SIMILARITY_IN_COMPANY and self._in_company(time)
        self.mismatches = self.mismatches + 1 if mismatch else 0
        if self.mismatches:
            return
        self.last, self.time = person, time
        if self._histogram is None:
            self._histogram, self._samples = histogram, 1
        elif alone and (similarity > LEARNING_SIMILARITY or self._samples < LEARNING_FRAMES):
            self._samples += 1
            self._histogram = self._histogram + (histogram - self._histogram) / min(self._samples, 20)

    def reset(self, another_shot: bool) -> None:
        """Reset after a cut or a change of light: anybody may be in the image, with another appearance."""
        self.last, self._histogram, self.mismatches = None, None, 0
        self.shot += another_shot
