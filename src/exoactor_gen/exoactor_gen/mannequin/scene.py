"""Simple things around the person: their kinds and sizes, where they stand, and when hands or feet move them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

SIZES = {
    "table": (0.60, 1.10, 0.76), "chair": (0.42, 0.42, 0.44), "basket": (0.36, 0.36, 0.26), "box": (0.26, 0.30, 0.32),
    "bottle": (0.07, 0.07, 0.28), "cup": (0.09, 0.09, 0.14), "ball": (0.24, 0.24, 0.24), "bag": (0.26, 0.26, 1.58),
    "broom": (0.04, 0.04, 1.45),
}  # fmt: skip
"""Depth, width and height, m; of a chair the height of its seat."""

BACKREST = 0.40
"""How far the back of the chair rises above its seat, m."""
ROUND = ("basket", "bottle", "cup", "ball", "bag", "broom")
LOOSE = ("bottle", "cup", "box", "ball", "basket")
"""What hands can carry."""
SMALL = ("bottle", "cup")
"""What one hand takes."""
TALL = ("table", "chair", "bag")
"""What reaches up to the hands of who stands beside it."""

TOECAP = 0.015
"""The shoe reaches so far beyond the tip of the sole, m."""
FLESH = 0.02
"""From the middle of the hand to what the palm lies on, m."""


@dataclass(frozen=True)
class Held:
    """Hands hold it for a while, and leave it somewhere."""

    begin: float
    end: float
    sides: tuple[str, ...]
    after: np.ndarray
    """(4,) where it is left: x, y, z of its underside's middle, yaw."""
    slides: bool = False
    """It is pushed over what it stands on, and not lifted."""


@dataclass(frozen=True)
class Kicked:
    """From when a foot meets it, it slides or rolls away, slower and slower."""

    side: str
    begin: float
    """The foot is behind it yet."""
    end: float
    after: np.ndarray
    """(4,) where it comes to rest."""


@dataclass(eq=False)
class Thing:
    """Something that stands in the room."""

    kind: str
    start: np.ndarray
    """(4,) x, y, z of its underside's middle in m, yaw in rad."""
    events: list[Held | Kicked] = field(default_factory=list)

    @property
    def size(self) -> np.ndarray:
        """(3,) depth, width, height, m."""
        return np.array(SIZES[self.kind])

    @property
    def place(self) -> np.ndarray:
        """(4,) where it is in the end, or was when it was last put down."""
        return self.events[-1].after if self.events else self.start

    def distance(self, point: np.ndarray) -> float:
        """From a point x, y of the floor to what it covers of it, m; 0 inside."""
        return float(np.linalg.norm(np.maximum(np.abs(self._across(point)) - self.size[:2] / 2.0, 0.0)))

    def _across(self, point: np.ndarray) -> np.ndarray:
        x, y, _, yaw = self.place
        dx, dy = np.asarray(point[:2]) - (x, y)
        return np.array([math.cos(yaw) * dx + math.sin(yaw) * dy, math.cos(yaw) * dy - math.sin(yaw) * dx])

    def edge(self, yaw: float) -> float:
        """From its middle along ``yaw`` to its edge, m."""
        turn = yaw - self.place[3]
        if self.kind in ROUND:
            return float(self.size[0] / 2.0)
        along = np.abs([math.cos(turn), math.sin(turn)])
        return float(np.min(self.size[:2] / 2.0 / np.maximum(along, 1e-9)))

    def extent(self, yaw: float) -> float:
        """From its middle to the line across ``yaw`` that it ends at, m."""
        turn = yaw - self.place[3]
        return float(abs(math.cos(turn)) * self.size[0] + abs(math.sin(turn)) * self.size[1]) / 2.0


@dataclass(frozen=True)
class Moving:
    """A thing and its way."""

    thing: Thing
    position: np.ndarray
    """(T, 3) m, of its underside's middle."""
    rotation: np.ndarray
    """(T, 3, 3) from its own axes (depth forward, width left, height up) to the world."""


def moving(
    thing: Thing, times: np.ndarray, hands: dict[str, np.ndarray], toes: dict[str, np.ndarray], heading: np.ndarray
) -> Moving:
    """Where a thing is while a person moves.

    Parameters
    ----------
    thing
        With what happens to it.
    times
        (T,) s.
    hands
        By side, (T, 3) m: the middles of the hands.
    toes
        By side, (T, 3) m: the tips of the soles.
    heading
        (T,) rad, where the person faces.
    """
    place = np.tile(thing.start, (len(times), 1))
    tilt = np.tile(np.eye(3), (len(times), 1, 1))
    for event in thing.events:
        later, now = times >= event.end, (times >= event.begin) & (times < event.end)
        before = place[now].copy()
        place[later] = event.after
        if isinstance(event, Kicked):
            still = Thing(thing.kind, before[0])
            stands = Moving(still, before[:, :3], Rotation.from_euler("z", before[:, 3:]).as_matrix())
            met = surface_distance(stands, toes[event.side][now]) < TOECAP
            begin = times[now][int(np.argmax(met))] if met.any() else event.begin
            s = np.clip((times[now] - begin) / (event.end - begin), 0.0, 1.0)
            place[now] = before + (1.0 - (1.0 - s) ** 3)[:, None] * (event.after - before)
        elif thing.kind == "broom":
            axis = hands[event.sides[0]] - hands[event.sides[1]]
            axis /= np.linalg.norm(axis, axis=1, keepdims=True)
            first = int(np.argmax(now))
            along = float((hands[event.sides[0]][first] - before[0][:3]) @ axis[first])
            place[now, :3] = (hands[event.sides[0]] - along * axis)[now]
            tilt[now] = _upright(axis[now])
        elif now.any():
            middle = np.mean([hands[side] for side in event.sides], axis=0)
            first = int(np.argmax(now))
            turned = heading - heading[first]
            if event.slides:
                place[now, :2] = before[:, :2] + (middle - middle[first])[now, :2]
                continue
            offset = place[first, :3] - middle[first]
            place[now, :3] = (middle + Rotation.from_euler("z", turned[:, None]).apply(offset))[now]
            place[now, 3] = before[0][3] + turned[now]
    return Moving(thing, place[:, :3], tilt @ Rotation.from_euler("z", place[:, 3:]).as_matrix())


def _upright(axis: np.ndarray) -> np.ndarray:
    """Smallest rotations (T, 3, 3) that bring z to the axes (T, 3)."""
    turn = np.cross([0.0, 0.0, 1.0], axis)
    sine = np.linalg.norm(turn, axis=1, keepdims=True)
    angle = np.arctan2(sine, axis[:, 2:])
    return Rotation.from_rotvec(turn / np.maximum(sine, 1e-9) * angle).as_matrix()


def corners(thing: Moving) -> np.ndarray:
    """Corners of what a thing takes up, (T, 8, 3) m."""
    signs = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])
    return thing.position[:, None] + (signs * thing.thing.size) @ thing.rotation.transpose(0, 2, 1)


def surface_distance(thing: Moving, points: np.ndarray) -> np.ndarray:
    """From points (T, 3) to the surface of a thing, m; negative inside (of a table: its top; of a chair: no legs)."""
    local = np.einsum("tji,tj->ti", thing.rotation, points - thing.position)
    depth, width, height = thing.thing.size
    if thing.thing.kind == "ball":
        return np.linalg.norm(local - [0.0, 0.0, height / 2.0], axis=1) - height / 2.0
    low = {"table": height - 0.035, "chair": height - 0.04}.get(thing.thing.kind, 0.0)
    up = np.maximum(low - local[:, 2], local[:, 2] - height)
    if thing.thing.kind in ROUND:
        out = np.stack([np.linalg.norm(local[:, :2], axis=1) - depth / 2.0, up], axis=1)
    else:
        out = np.column_stack([np.abs(local[:, :2]) - [depth / 2.0, width / 2.0], up])
    away = _outside(out)
    if thing.thing.kind == "chair":
        middle = np.array([-depth / 2.0 - 0.01, 0.0, height + BACKREST / 2.0])
        away = np.minimum(away, _outside(np.abs(local - middle) - [0.035, width / 2.0, BACKREST / 2.0 + 0.014]))
    return away


def _outside(beyond: np.ndarray) -> np.ndarray:
    """Distance from a box, negative inside, by how far points are beyond each pair of its sides, (T, N)."""
    return np.linalg.norm(np.maximum(beyond, 0.0), axis=1) + np.minimum(beyond.max(axis=1), 0.0)
