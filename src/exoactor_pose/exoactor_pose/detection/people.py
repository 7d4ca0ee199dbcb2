"""Which of the people in a video is the one to read, and following that one through the frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from exoactor_core.errors import BadInput

EQUAL = 0.85
"""People whose sizes differ by less than this ratio count as equally large."""
COMPARABLE = 0.5
"""How large somebody must be in sizes of the person followed to count as another one, not as background..."""
SAME = 0.15
"""...and how far away, in its sizes: nearer, it is the same one found again."""
MARGIN, ROOM = 0.08, 0.2
"""Sizes of the person that are kept clear on both sides, and that somebody else takes at least."""
OUTGROWN = 1.5
"""How many times the size of the person followed somebody must have to be told of."""
NEAR = 0.6
"""How far, in sizes of the person, the person may have got between two looks that are close in time."""
SPEED = 9.0
"""Sizes a second: nobody's hips move faster (15 m/s), so a faster track has changed to something else."""
ALIKE, STRANGE, SURE = 0.35, 0.65, 0.85
"""Similarity of colours in [0, 1] below which it is not the same person; below which it is not where others are about;
and above which it is surely the same, and looks are learnt."""
FIRST_LOOKS = 10
"""So many frames are learnt whatever they show."""
CROWD_SECONDS = 2.0
"""So long after others were seen they are still about."""
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
    """(1024,) shares of colours on the trunk and on the thighs: what tells people apart."""
    parts = []
    for up, down in ((0.22, 0.02), (-0.02, -0.22)):
        low = person.centre - person.size * np.array([0.07, up])
        high = person.centre + person.size * np.array([0.07, -down])
        parts.append(_histogram(image, low, high))
    return np.concatenate(parts) / 2


def _histogram(image: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(512,) shares of colours between two corners, px, as far as they are in the picture."""
    last = np.array([image.shape[1], image.shape[0]]) - 1
    low = np.clip(np.floor(low), 0, last).astype(int)
    high = np.clip(np.ceil(high), low + 1, last + 1).astype(int)
    step = max(1, int((high - low).min()) // 16)
    patch = np.ascontiguousarray(image[low[1] : high[1] : step, low[0] : high[0] : step])
    patch = cv2.cvtColor(patch, cv2.COLOR_RGB2Lab)
    counts = cv2.calcHist([patch], [0, 1, 2], None, [8, 8, 8], [0, 256, 64, 192, 64, 192]).ravel()
    return counts / max(1.0, float(counts.sum()))


def company(people: list[Person], person: Person | None) -> bool:
    """Whether people of comparable size are there beside the person followed (None: several of whatever size)."""
    if person is None:
        return len(people) > 1
    return any(
        p.size > COMPARABLE * person.size and np.linalg.norm(p.centre - person.centre) > SAME * person.size
        for p in people
    )


def beside(image: np.ndarray, landmarks: np.ndarray, size: float) -> list[np.ndarray]:
    """The parts of a picture to the left and the right of a person of some size, px, where there is room for another.

    A detector that is shown these finds people whom it misses beside one who stands out.
    """
    left, right = landmarks[:, 0].min() - MARGIN * size, landmarks[:, 0].max() + MARGIN * size
    parts = image[:, : max(0, int(left))], image[:, max(0, int(right)) :]
    return [np.ascontiguousarray(part) for part in parts if part.shape[1] > ROOM * size]


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
        self.strange = 0
        """For how many frames the track has been on somebody who looks otherwise, where others are about."""
        self._time = 0.0
        self._crowd_time = -np.inf
        self._look: np.ndarray | None = None
        self._looks = 0
        self._outgrown = False

    def choose(self, people: list[Person], width: int, time: float) -> Person | None:
        """The person to follow from now on; None where there are too few.

        Parameters
        ----------
        width
            px, of the picture.
        time
            s, of the frame.
        """
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
        if self.last is None:
            return self.choose(people, image.shape[1], time)
        needed = STRANGE if self._crowded(time) else ALIKE
        reach = NEAR + SPEED * max(0.0, time - self._time - 0.1)
        best, score = None, -1.0
        for person in people:
            away = float(np.linalg.norm(person.centre - self.last.centre)) / max(self.last.size, 1.0)
            alike = self.alike(image, person)
            if away > reach or alike < needed:
                continue
            closeness = np.exp(-((away / NEAR) ** 2)) if time - self._time < 0.5 else 0.0
            if alike + 0.5 * closeness > score:
                best, score = person, alike + 0.5 * closeness
        return best

    def look_round(self, people: list[Person], time: float) -> None:
        """Take note of how many people there are."""
        self.most = max(self.most, len(people))
        if len(people) > 1:
            self._crowd_time = time
        largest = max((p.size for p in people), default=0.0)
        if self.choice != "largest" or self._outgrown or self.last is None or largest < OUTGROWN * self.last.size:
            return
        self._outgrown = True
        self.notes.append(
            f"Somebody much larger than the person followed is in the picture at {time:.1f} s: the option person "
            "chooses another."
        )

    def _crowded(self, time: float) -> bool:
        return time - self._crowd_time < CROWD_SECONDS

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
        """The track is here; looks are learnt where nobody else is near (``alone``)."""
        look = colours(image, person)
        alike = 1.0 if self._look is None else similarity(self._look, look)
        known = self._looks >= FIRST_LOOKS
        self.strange = self.strange + 1 if known and alike < STRANGE and self._crowded(time) else 0
        if self.strange:
            return
        self.last, self._time = person, time
        if self._look is None:
            self._look, self._looks = look, 1
        elif alone and (alike > SURE or self._looks < FIRST_LOOKS):
            self._looks += 1
            self._look = self._look + (look - self._look) / min(self._looks, 20)

    def forget(self) -> None:
        """After a cut: anybody may be in the picture."""
        self.last, self._look, self.strange = None, None, 0
