"""Choosing the person to estimate by the whole video."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from exoactor_pose.detection.people import MIN_SIMILARITY, Person, bhattacharyya

MAX_GAP_SECONDS = 2.0
"""A person who is not seen for longer begins a new track."""
MIN_DISTANCE, MAX_SPEED = 0.5, 1.5
"""Heights by which a sighting may be off, and heights per second that people move: 2.5 m/s."""
MIN_VISIBILITY = 0.6
"""Mean visibility of the landmarks below the head from which a detection is a person."""
SAME_DISTANCE = 0.25
"""Heights between the hips of two detections below which they are the same person."""
BEYOND_SECONDS = 0.75
"""Time before the first and after the last sighting within which a person may be expected."""
LOOK_SECONDS = 0.5
"""Duration that a single sighting counts."""
MAX_PATH_HEIGHTS = 2.0
"""Heights of path that count: two make a person three times as prominent."""
MIN_PROMINENCE_RATIO = 1.2
"""How many times more prominent than the person followed somebody must be to be followed instead."""


@dataclass(frozen=True)
class Sighting:
    """A person in a frame."""

    time: float
    """s."""
    centre: np.ndarray
    """(2,) px, middle of the hips."""
    height: float
    """px."""
    whole: float
    """Share of the body, below the head, within the image."""
    colours: np.ndarray
    """Colours, as `exoactor_pose.detection.people.colour_histogram`."""
    followed: bool
    """Whether it is the person followed."""


@dataclass
class Track:
    """Sightings of one person in one shot, in time order."""

    shot: int
    sightings: list[Sighting] = field(default_factory=list)

    @property
    def followed(self) -> bool:
        """Whether it is the person followed in most sightings."""
        return sum(seen.followed for seen in self.sightings) > len(self.sightings) / 2

    def continues(self, other: Track) -> bool:
        """Whether it continues another track of the followed person: one ends where the other begins."""
        first, second = sorted((self.sightings, other.sightings), key=lambda seen: seen[0].time)
        end, begin = first[-1], second[0]
        near = float(np.linalg.norm(begin.centre - end.centre)) < MIN_DISTANCE * end.height
        return self.followed and other.followed and end.time < begin.time and near

    @property
    def prominence(self) -> float:
        """Prominence: size, completeness and duration, increased by movement.

        The movement is that from the first half's median to the second's, continued to both ends: single sightings may
        be of something else.
        """
        first, last, count = self.sightings[0], self.sightings[-1], len(self.sightings)
        halves = self.sightings[: -(-count // 2)], self.sightings[count // 2 :]
        before, after = (np.median([seen.centre for seen in half], axis=0) for half in halves)
        whole = (count - 1) / max(count // 2, 1)
        height = float(np.median([seen.height for seen in self.sightings]))
        path = whole * float(np.linalg.norm(after - before)) / max(height, 1.0)
        size = float(np.mean([seen.height * seen.whole for seen in self.sightings]))
        return size * (last.time - first.time + LOOK_SECONDS) * (1.0 + min(path, MAX_PATH_HEIGHTS))

    def distance(self, centre: np.ndarray, time: float) -> float:
        """Heights from the track to a person found at (2,) px at a time, s; infinite if it cannot be the same one."""
        times = np.array([seen.time for seen in self.sightings])
        at = [np.interp(time, times, [seen.centre[k] for seen in self.sightings]) for k in (0, 1)]
        nearest = self.sightings[int(np.abs(times - time).argmin())]
        near = abs(nearest.time - time) <= BEYOND_SECONDS
        return _distance(nearest, np.array(at), centre, time) if near else np.inf


class Sightings:
    """All people seen in a video with images of this width and height, px."""

    def __init__(self, width: int, height: int) -> None:
        self.size = np.array([width, height])
        self.tracks: list[Track] = []

    def add(self, time: float, shot: int, people: list[tuple[np.ndarray, np.ndarray, bool]]) -> None:
        """Add the people in a frame at a time, s, of a numbered shot, in order of time.

        For each person: landmarks (33, 3): x px, y px, visibility; colours; and whether it is the one followed, who
        comes first. A person found twice counts once.
        """
        from scipy.optimize import linear_sum_assignment  # takes 0.1 s to import

        seen: list[Sighting] = []
        for image, colours, followed in people:
            if mean_visibility(image) < MIN_VISIBILITY:
                continue
            body = image[11:]
            whole = float(((body[:, :2] >= 0) & (body[:, :2] < self.size)).all(axis=1).mean())
            sighting = Sighting(
                time, image[23:25, :2].mean(axis=0), float(np.ptp(image[:, 1])), whole, colours, followed
            )
            if all(np.linalg.norm(sighting.centre - s.centre) > SAME_DISTANCE * s.height for s in seen):
                seen.append(sighting)
        known = [t for t in self.tracks if t.shot == shot and t.sightings[-1].time < time]
        cost = np.full((len(seen), len(known) + len(seen)), 1e3)
        cost[:, len(known) :] = 1e2  # nobody known
        for i, sighting in enumerate(seen):
            for k, track in enumerate(known):
                last = track.sightings[-1]
                similarity = bhattacharyya(sighting.colours, last.colours)
                away = _distance(last, last.centre, sighting.centre, time)
                if similarity > MIN_SIMILARITY and np.isfinite(away):
                    cost[i, k] = away - similarity
        for i, k in np.transpose(linear_sum_assignment(cost)):
            if k >= len(known):
                self.tracks.append(Track(shot, [seen[i]]))
            else:
                known[k].sightings.append(seen[i])

    def best(self, shot: int) -> Track:
        """The most prominent person of a shot: the one followed unless another clearly is."""
        tracks = [track for track in self.tracks if track.shot == shot]
        followed = max(tracks, key=lambda t: sum(seen.followed for seen in t.sightings))
        most = max(tracks, key=lambda t: t.prominence)
        return most if most.prominence > MIN_PROMINENCE_RATIO * followed.prominence else followed

    def most_prominent(self, people: list[Person], shot: int, time: float) -> list[Person]:
        """The people in a frame who may be the most prominent one of its shot; all if none is known."""
        tracks = [track for track in self.tracks if track.shot == shot]
        if not tracks:
            return people
        best = self.best(shot)
        chosen = []
        for person in people:
            away = [track.distance(person.centre, time) for track in tracks]
            nearest = tracks[int(np.argmin(away))]
            if np.isfinite(min(away)) and (nearest is best or nearest.continues(best)):
                chosen.append(person)
        return chosen


def mean_visibility(image: np.ndarray) -> float:
    """Mean visibility of the landmarks below the head, (33, 3): x px, y px, visibility."""
    return float(image[11:, 2].mean())


def _distance(seen: Sighting, at: np.ndarray, centre: np.ndarray, time: float) -> float:
    """Distance from a position to ``centre`` in heights; infinite if the person cannot be there at that time."""
    gap, away = abs(time - seen.time), float(np.linalg.norm(centre - at)) / max(seen.height, 1.0)
    return away if gap < MAX_GAP_SECONDS and away < MIN_DISTANCE + MAX_SPEED * gap else np.inf
