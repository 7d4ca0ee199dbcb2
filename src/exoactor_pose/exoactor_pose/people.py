"""Which of the people in a video is the one to read, and following that one through the frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from exoactor.errors import BadInput

EQUAL = 0.85
"""People whose sizes differ by less than this ratio count as equally large."""
NEAR = 0.6
"""How far, in sizes of the person, the person may have got between two looks that are close in time."""
SPEED = 9.0
"""Sizes a second: nobody's hips move faster (15 m/s), so a faster track has changed to something else."""
ALIKE = 0.35
"""Similarity of colours in [0, 1] below which it is not the same person."""
CLEARLY = 0.15
"""Similarity by which another person must look more like the one followed to be that one."""


@dataclass(frozen=True)
class Person:
    """Somebody found in a frame."""

    centre: np.ndarray
    """(2,) px, the middle of the body."""
    size: float
    """px, about the body's length when it is stretched out."""
    region: Any = None
    """Where the detector is to place landmarks: its own kind of value."""


def colours(image: np.ndarray, person: Person) -> np.ndarray:
    """(512,) shares of colours on the trunk and thighs: what tells people apart."""
    half = np.maximum(person.size * np.array([0.08, 0.22]), 2.0)
    height, width = image.shape[:2]
    low = np.clip(np.floor(person.centre - half), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(person.centre + half), low + 1, [width, height]).astype(int)
    patch = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    patch = cv2.cvtColor(patch, cv2.COLOR_RGB2Lab)
    counts = cv2.calcHist([patch], [0, 1, 2], None, [8, 8, 8], [0, 256, 64, 192, 64, 192]).ravel()
    return counts / max(1.0, float(counts.sum()))


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Bhattacharyya coefficient of two distributions, in [0, 1]."""
    return float(np.sqrt(a * b).sum())


class Follower:
    """Chooses the person at first and finds the same one again in later frames.

    Parameters
    ----------
    choice
        "largest" (of people equally large the most central), or the number of the person counted from the left
        of the picture, from 0.
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
        """The most people found in any frame."""
        self.last: Person | None = None
        self._time = 0.0
        self._look: np.ndarray | None = None

    def choose(self, people: list[Person], width: int, time: float) -> Person | None:
        """The person to follow from now on; None where there are too few.

        Parameters
        ----------
        width
            px, of the picture.
        time
            s, of the frame.
        """
        self.most = max(self.most, len(people))
        people = sorted(people, key=lambda p: p.centre[0])
        if self.choice != "largest":
            return people[int(self.choice)] if int(self.choice) < len(people) else None
        if not people:
            return None
        largest = max(p.size for p in people)
        equal = [p for p in people if p.size > EQUAL * largest]
        best = min(equal, key=lambda p: abs(p.centre[0] - width / 2))
        if len(equal) > 1:
            number = next(k for k, p in enumerate(people) if p is best)
            self.notes.append(
                f"{len(equal)} people of about equal size are in the picture at {time:.1f} s: number {number} from the "
                "left (counted from 0) is followed, the most central; the option person chooses another."
            )
        return best

    def find(self, image: np.ndarray, people: list[Person], time: float) -> Person | None:
        """The person followed among the people of a frame, by place and looks; None where nobody is that one."""
        self.most = max(self.most, len(people))
        if self.last is None:
            person = self.choose(people, image.shape[1], time)
            return person
        reach = NEAR + SPEED * max(0.0, time - self._time - 0.1)
        best, score = None, -1.0
        for person in people:
            away = float(np.linalg.norm(person.centre - self.last.centre)) / max(self.last.size, 1.0)
            alike = self.alike(image, person)
            if away > reach or alike < ALIKE:
                continue
            closeness = np.exp(-((away / NEAR) ** 2)) if time - self._time < 0.5 else 0.0
            if alike + 0.5 * closeness > score:
                best, score = person, alike + 0.5 * closeness
        return best

    def alike(self, image: np.ndarray, person: Person) -> float:
        """How much somebody looks like the person followed, in [0, 1]; 1 before anybody is followed."""
        return 1.0 if self._look is None else similarity(self._look, colours(image, person))

    def other(self, image: np.ndarray, people: list[Person]) -> Person | None:
        """Somebody who is clearly rather the one followed than whoever stands where the track now is."""
        if self.last is None or self._look is None or len(people) < 2:
            return None
        at_track = min(people, key=lambda p: float(np.linalg.norm(p.centre - self.last.centre)))
        rest = [p for p in people if p is not at_track
                and np.linalg.norm(p.centre - self.last.centre) < 3 * NEAR * self.last.size]  # fmt: skip
        if not rest:
            return None
        best = max(rest, key=lambda p: self.alike(image, p))
        return best if self.alike(image, best) > self.alike(image, at_track) + CLEARLY else None

    def follow(self, image: np.ndarray, person: Person, time: float, alone: bool = True) -> None:
        """The person was placed here; looks are learnt where nobody else is near (``alone``)."""
        self.last, self._time = person, time
        if self._look is None:
            self._look = colours(image, person)
        elif alone:
            look = colours(image, person)
            if similarity(look, self._look) > ALIKE:
                self._look = 0.95 * self._look + 0.05 * look

    def forget(self) -> None:
        """After a cut: anybody may be in the picture."""
        self.last, self._look = None, None
