"""Following one person's landmarks frame after frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np

from exoactor_pose.detection.detectors import Detector, Pose
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.detection.people import (
    COMPARABLE_SIZE_RATIO,
    MAX_DISTANCE,
    MIN_SIMILARITY_IN_COMPANY,
    Follower,
    Person,
    has_company,
    side_images,
)
from exoactor_pose.detection.people_tracks import MIN_VISIBILITY, mean_visibility
from exoactor_pose.fitting.hands import HandFinder
from exoactor_pose.video.cuts import CERTAIN_CUT, CutFinder

SEARCH_SECONDS = 0.5
"""s between searches for other people..."""
COMPANY_SEARCH_SECONDS = 0.25
"""...and while others are around."""
VISIBILITY_MARGIN = 0.1
"""Mean visibility by which a detection must exceed a doubtful track for the track to continue there."""
MISMATCH_SECONDS = 0.1
"""s for which a person may look different from the one followed, while others are around."""
BACKWARD_SECONDS, JPEG_QUALITY = 1.0, (cv2.IMWRITE_JPEG_QUALITY, 95)
"""s for which a newly found person is followed backward into frames in which the search had found nobody, at most; a
second of uncompressed large images would take hundreds of megabytes."""
FRAMES_AHEAD = 4


class Tracker:
    """Landmarks of one person, frame after frame.

    Parameters
    ----------
    detector
        Finds people and their landmarks.
    fps
        Frames per second.
    person
        Whom to follow if there are several people: see `Follower`.
    hands
        Called once per frame in which the person was found.
    observers
        Called with every frame and the person's landmarks (33, 3): x px, y px, visibility; None: nobody was found.

    Hands and observers are called in order, in a second thread; people are searched in a third, while the detector
    places the landmarks of the one followed.
    """

    def __init__(
        self,
        detector: Detector,
        fps: float,
        person: str = "largest",
        hands: HandFinder | None = None,
        observers: Sequence[Callable[[np.ndarray, np.ndarray | None], None]] = (),
    ) -> None:
        self.detector, self.fps, self.hands, self.observers = detector, fps, hands, observers
        self.first = 0
        """Number of the first frame that is kept: see `drop`."""
        self.poses: list[Pose | None] = []
        """Poses of every frame from there on."""
        self.sizes: list[float] = []
        self.changed: list[int] = []
        """Result of `CutFinder` for every frame."""
        self.follower = Follower(person)
        self._cuts = CutFinder()
        self._next: Person | None = None
        self._crowd: list[Person] = []
        self.company = False
        """Whether the last search found another person of comparable size."""
        self._companies: list[bool] = []
        self._asides: list[Future[bool] | None] = []
        self._aside: Future[bool] | None = None
        """Whether somebody is beside the person, by the last search of the sides."""
        self._left_out: list[tuple[int, int]] = []
        self._sides_searched = -np.inf
        self._people_searched = 0
        self._searches, self._pool = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._hands: list[Future] = []
        self._empty: deque[tuple[int, Future]] = deque(maxlen=max(1, round(BACKWARD_SECONDS * fps)))
        """Number and image, as JPEG, of the last frames in which nobody was found, all of one shot; the second thread
        encodes them, which takes 5 ms each."""

    def __call__(self, frames: list[np.ndarray]) -> None:
        """Process the next frames, at most ``detector.batch``."""
        first = self.first + len(self.poses)
        changed = [self._cuts(frame) for frame in frames]
        numbers = range(first, first + len(frames))
        followed, lost = self._next, self._next is None or any(changed)
        search = self._searches.submit(self._find_people, frames, self._unsearched(first, changed))
        poses = [] if lost else self._find_landmarks(frames, [followed] * len(frames))  # meanwhile
        chosen = [self._pick(*each) for each in zip(numbers, frames, search.result(), changed, strict=True)]
        if lost or any(person is not followed for person in chosen):
            poses = self._find_landmarks(frames, chosen)
        if not lost and None in poses:  # lost just now: search again at once
            self._next = None
            search = self._searches.submit(self._find_people, frames, slice(None))
            chosen = [self._pick(*each) for each in zip(numbers, frames, search.result(), changed, strict=True)]
            poses = self._find_landmarks(frames, chosen)
        for number, (frame, person, pose) in enumerate(zip(frames, chosen, poses, strict=True), first):
            self._next = None if pose is None else pose.person
            self.poses.append(pose)
            self.sizes.append(person.size if person else 0.0)
            self._asides.append(None)
            if changed[number - first]:
                self._empty.clear()
            if pose is None:
                self._empty.append((number, self._pool.submit(cv2.imencode, ".jpg", frame, JPEG_QUALITY)))
            if pose is not None and self._next is not None:
                self.follower.update(frame, self._next, number / self.fps, self._alone(self._next))
                self._search_sides(number, frame, self._next, pose.image)
                self._asides[-1] = self._aside
                if self.follower.mismatches > MISMATCH_SECONDS * self.fps:
                    self._leave_out(number + 1 - self.follower.mismatches, number + 1)
                    self._next, self.follower.mismatches = None, 0
                else:
                    self._follow_backward(self._next)
            self._hands.append(self._pool.submit(self._observe, frame, None if pose is None else pose.image))
            if len(self._hands) > FRAMES_AHEAD:
                self._hands[-1 - FRAMES_AHEAD].result()  # limits the number of frames in memory
        self.changed += changed

    def _unsearched(self, first: int, changed: list[int]) -> slice:
        """The next frames in which to search for people.

        While nobody is followed, all of them; if nobody was found in the frame before, only the last one, since a new
        person is followed backward.
        """
        if any(changed):
            return slice(0 if self._next is None else int(np.flatnonzero(changed)[0]), len(changed))
        if self._next is None:
            empty = self._people_searched == first - 1 and self.poses[-1:] == [None]
            return slice(len(changed) - 1 if empty else 0, len(changed))
        often = COMPANY_SEARCH_SECONDS if len(self._crowd) > 1 else SEARCH_SECONDS
        return slice(0, int(self._doubtful or first + len(changed) - 1 - self._people_searched >= often * self.fps))

    def _find_people(self, frames: list[np.ndarray], part: slice) -> list[list[Person] | None]:
        """The people in a part of some frames, None for the others."""
        people: list[list[Person] | None] = [None] * len(frames)
        if frames[part]:
            people[part] = self.detector.find_people(frames[part])
        return people

    def _follow_backward(self, person: Person) -> None:
        """Follow a newly found person back into the frames before, in which the search had missed them."""
        while self._empty:
            number, coded = self._empty.pop()
            frame = np.asarray(cv2.imdecode(coded.result()[1], cv2.IMREAD_COLOR))
            pose = self._find_landmarks([frame], [person])[0] if number >= self.first else None
            if pose is None or pose.person is None:
                break
            if self.follower.similarity(frame, pose.person) < MIN_SIMILARITY_IN_COMPANY:
                break
            self.poses[number - self.first], self.sizes[number - self.first] = pose, person.size
            person = pose.person
        self._empty.clear()

    def _observe(self, frame: np.ndarray, image: np.ndarray | None) -> tuple[np.ndarray, np.ndarray] | None:
        """Work for the second thread; returns the hands of a frame."""
        for observer in self.observers:
            observer(frame, image)
        return self.hands(frame, image) if self.hands and image is not None else None

    def _pick(self, number: int, frame: np.ndarray, people: list[Person] | None, changed: int) -> Person | None:
        """The person whose landmarks to place in this frame."""
        if changed:
            self.follower.reset(another_shot=changed == CERTAIN_CUT)
            self._next = None
        person = self._next if people is None else self._search_people(number, frame, people)
        self._companies[number - self.first :] = [self.company]
        return person

    def _search_people(self, number: int, frame: np.ndarray, people: list[Person]) -> Person | None:
        """Choose whom to follow among the people in this frame."""
        searched, self._people_searched, self._crowd = self._people_searched, number, people
        self.follower.observe(people, number / self.fps)
        person = self._next
        if person is None:
            if self.follower.last is None and self.follower.choice == "largest":
                people = self._credible(number, frame, people)
            person = self.follower.find(frame, people, number / self.fps)
            if person is not None:
                self.follower.update(frame, person, number / self.fps, self._alone(person))
        elif (other := self.follower.better_match(frame, people)) is not None:
            self._leave_out(searched, number)
            person = self._next = other
        elif (surer := self._surer(number, frame, people)) is not None:
            person = self._next = surer
        self.company = has_company(self._crowd, person)
        return person

    def _credible(self, number: int, frame: np.ndarray, people: list[Person]) -> list[Person]:
        """Those who may be followed and on whom landmarks can be placed: others are things that resemble people."""
        if self.follower.eligible is not None:
            people = self.follower.eligible(people, self.follower.shot, number / self.fps)
        return [p for p in people if self._find_landmarks([frame], [p])[0] is not None]

    @property
    def _doubtful(self) -> bool:
        """Whether so little of the person is visible that the track may have drifted to something else."""
        return bool(self.poses) and _visibility(self.poses[-1]) < MIN_VISIBILITY

    def _surer(self, number: int, frame: np.ndarray, people: list[Person]) -> Person | None:
        """The person as found in this frame, if clearly more of them is visible than at the doubtful track."""
        found = self.follower.find(frame, people, number / self.fps) if self._doubtful else None
        if found is None:
            return None
        first = self._find_landmarks([frame], [found])[0]  # which may be a fast run, by another model
        if first is None or first.person is None:
            return None
        tracked, seen = map(_visibility, self._find_landmarks([frame, frame], [self._next, first.person]))
        return found if seen > tracked + VISIBILITY_MARGIN else None

    def _leave_out(self, start: int, stop: int) -> None:
        """Discard what was placed on somebody else."""
        for number in range(max(start, self.first), stop):
            self.poses[number - self.first] = None
        if self._left_out and self._left_out[-1][1] >= start:
            start = self._left_out.pop()[0]
        self._left_out.append((start, stop))

    def _search_sides(self, number: int, frame: np.ndarray, person: Person, image: np.ndarray) -> None:
        """Search now and then for somebody on either side of the person, separately; not if others are known."""
        if self.company or number - self._sides_searched < SEARCH_SECONDS * self.fps:
            return
        self._sides_searched = number
        parts, least = side_images(frame, image, person.size), COMPARABLE_SIZE_RATIO * person.size

        def somebody() -> bool:
            return any(p.size > least for part in parts for p in self.detector.find_people([part])[0])

        self._aside = self._searches.submit(somebody)

    def _alone(self, person: Person) -> bool:
        near = [p for p in self._crowd if np.linalg.norm(p.centre - person.centre) < MAX_DISTANCE * person.size]
        return len(near) < 2

    def _find_landmarks(self, frames: list[np.ndarray], people: Sequence[Person | None]) -> list[Pose | None]:
        poses: list[Pose | None] = [None] * len(frames)
        there = [(k, person) for k, person in enumerate(people) if person is not None]
        if there:
            placed = self.detector.find_landmarks([frames[k] for k, _ in there], [person for _, person in there])
            for (k, _), pose in zip(there, placed, strict=True):
                poses[k] = pose
        return poses

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user."""
        if not self._left_out:
            return tuple(self.follower.notes)
        times = ", ".join(f"{start / self.fps:.1f} s to {stop / self.fps:.1f} s" for start, stop in self._left_out)
        return (
            *self.follower.notes,
            f"Somebody else hides the person or was taken for the person from {times}: that is left out.",
        )

    def landmarks(self, width: int, height: int) -> Landmarks:
        """All kept frames, without checking notes and breaks."""
        poses, searched = self.poses, [future.result() for future in self._hands]
        hands = (
            [None if each is None else each[0] for each in searched]
            if self.hands
            else [None if pose is None else pose.hands for pose in poses]
        )
        image = [np.zeros((33, 3)) if pose is None else pose.image for pose in poses]
        return Landmarks(
            self.fps,
            width,
            height,
            np.array(image).reshape(-1, 33, 3),
            _stacked([None if pose is None else pose.world for pose in poses], (33, 3)),
            np.array([pose is not None for pose in poses], bool),
            hands=_stacked(hands, (2, 21, 3)),
            hands_world=_stacked([None if each is None else each[1] for each in searched], (2, 21, 3)),
            start=self.first,
            notes=self.notes,
        )

    @property
    def others(self) -> list[bool]:
        """Whether another person of comparable size was there at the last search, for every kept frame."""
        pairs = zip(self._companies, self._asides, strict=True)
        return [company or (aside is not None and aside.result()) for company, aside in pairs]

    def drop(self, count: int) -> None:
        """Discard the first kept frames, so that a long stream needs no more memory than a short one."""
        for each in (self.poses, self.sizes, self.changed, self._companies, self._asides, self._hands):
            del each[:count]
        self.first += count

    def wait(self) -> None:
        """Wait for the other threads."""
        for future in (*self._hands, *self._asides):
            if future is not None:
                future.result()

    def close(self) -> None:
        """End the other threads."""
        self._searches.shutdown(cancel_futures=True)
        self._pool.shutdown(cancel_futures=True)


def _visibility(pose: Pose | None) -> float:
    """Mean visibility of the landmarks below the head; 0: nobody was found."""
    return 0.0 if pose is None else mean_visibility(pose.image)


def _stacked(values: Sequence[np.ndarray | None], shape: tuple[int, ...]) -> np.ndarray | None:
    """The arrays of all frames as one, zeros for missing ones; None: all are missing."""
    if all(value is None for value in values):
        return None
    return np.array([np.zeros(shape) if value is None else value for value in values])
