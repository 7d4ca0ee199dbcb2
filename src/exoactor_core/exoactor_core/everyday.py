"""Everyday objects: the one table of their sizes, masses and frictions, and their shapes.

The frame of every one is at the middle of its underside, x to its front (the side that a person faces sitting on the
chair, opening the drawer), y to its left, z up.

Friction is on rubber, as of the G1's hands and soles. Engineering tables give 0.5 to 0.8 for dry rubber on cardboard
and 0.6 to 0.85 on concrete, 0.4 to 0.75 for wood on wood at rest (Lust CDA3000 Engineering Guide, table 7.21; The
Engineering ToolBox, "Friction and Friction Coefficients"); lever arms of rolling resistance are of table 7.22 of the
former. Rehearsals vary them from 0.5 to 1.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.contacts import Vector

_BOARD = 0.03  # m, thickness of boards
_LEG = 0.05  # m, of furniture
_RAIL = 0.03  # m, of bars
_WALL = 0.008  # m, of baskets and bins

Shapes = tuple[dict[str, Any], ...]
"""JSON-ready values of `exoactor_core.scene.Shape`."""


def _shape(
    kind: str, size: Sequence[float], pos: Sequence[float] | np.ndarray, rotation: Rotation | None = None
) -> dict[str, Any]:
    quat = [1.0, 0.0, 0.0, 0.0] if rotation is None else rotation.as_quat(scalar_first=True)
    numbers = {"size": size, "pos": pos, "quat_wxyz": quat}
    return {"kind": kind, **{name: np.round(value, 6).tolist() for name, value in numbers.items()}}


def _box(x: float, y: float, z: float) -> Shapes:
    return (_shape("box", (x, y, z), (0, 0, z / 2)),)


def _cylinder(x: float, y: float, z: float) -> Shapes:
    return (_shape("cylinder", (x, x, z), (0, 0, z / 2)),)


def _button(x: float, y: float, z: float) -> Shapes:
    """A post with a button on its top."""
    top = 0.03
    return (*_box(x, y, z - top), _shape("cylinder", (0.7 * x, 0.7 * x, top), (0, 0, z - top / 2)))


def _ball(x: float, y: float, z: float) -> Shapes:
    return (_shape("sphere", (x, x, x), (0, 0, x / 2)),)


def _bottle(x: float, y: float, z: float) -> Shapes:
    body = 0.75 * z
    return (*_cylinder(x, x, body), _shape("cylinder", (0.4 * x, 0.4 * x, z - body), (0, 0, (body + z) / 2)))


def _round_basket(x: float, y: float, z: float) -> Shapes:
    """A floor and eight walls."""
    sides = 8
    distance = x / 2 - _WALL / 2
    width = 2 * (x / 2) * math.tan(math.pi / sides)
    walls = []
    for i in range(sides):
        turn = Rotation.from_euler("z", 2 * math.pi * i / sides)
        walls.append(_shape("box", (_WALL, width, z), turn.apply([distance, 0, z / 2]), turn))
    return (_shape("cylinder", (x, x, _WALL), (0, 0, _WALL / 2)), *walls)


def _legs(x: float, y: float, height: float) -> Shapes:
    return tuple(
        _shape("box", (_LEG, _LEG, height), (i * (x - _LEG) / 2, j * (y - _LEG) / 2, height / 2))
        for i in (-1, 1)
        for j in (-1, 1)
    )


def _table(x: float, y: float, z: float) -> Shapes:
    return (_shape("box", (x, y, _BOARD), (0, 0, z - _BOARD / 2)), *_legs(x, y, z - _BOARD))


def _chair(x: float, y: float, z: float) -> Shapes:
    """``z`` is the height of the seat; the back rises half as much again as `CHAIR_BACK`."""
    back = _shape("box", (_BOARD, y, CHAIR_BACK), (-x / 2 + _BOARD / 2, 0, z + CHAIR_BACK / 2))
    return (*_table(x, y, z), back)


def _shelf(x: float, y: float, z: float) -> Shapes:
    """Two sides, and boards 0.4 m or less apart."""
    sides = (_shape("box", (x, _BOARD, z), (0, j * (y - _BOARD) / 2, z / 2)) for j in (-1, 1))
    count = math.ceil(z / 0.4) + 1
    heights = np.linspace(_BOARD / 2, z - _BOARD / 2, count)
    return (*sides, *(_shape("box", (x, y - 2 * _BOARD, _BOARD), (0, 0, h)) for h in heights))


def _door(x: float, y: float, z: float) -> Shapes:
    """A leaf and a handle on both sides."""
    leaf = _shape("box", (x, y, z), (0, 0, z / 2))
    handles = (
        _shape("box", (0.05, 0.12, 0.02), (i * (x / 2 + 0.025), -(y / 2 - 0.10), min(HANDLE_HEIGHT, z / 2)))
        for i in (-1, 1)
    )
    return (leaf, *handles)


def _bar(x: float, y: float, z: float) -> Shapes:
    """A rail on two posts, whose feet are ``x`` deep."""
    rail = _shape("box", (_RAIL, y, _RAIL), (0, 0, z - _RAIL / 2))
    posts = (_shape("box", (_RAIL, _RAIL, z - _RAIL), (0, i * (y - _RAIL) / 2, (z - _RAIL) / 2)) for i in (-1, 1))
    feet = (_shape("box", (x, _RAIL, 0.02), (0, i * (y - _RAIL) / 2, 0.01)) for i in (-1, 1))
    return (rail, *posts, *feet)


def _drawer(x: float, y: float, z: float) -> Shapes:
    """A floor, four walls, the front one with a handle."""
    board = 0.012
    walls = [_shape("box", (board, y, z), (i * (x - board) / 2, 0, z / 2)) for i in (-1, 1)]
    walls += [_shape("box", (x - 2 * board, board, z), (0, j * (y - board) / 2, z / 2)) for j in (-1, 1)]
    handle = _shape("box", (0.03, 0.12, 0.02), (x / 2 + 0.015, 0, z / 2))
    return (_shape("box", (x, y, board), (0, 0, board / 2)), *walls, handle)


def _cone(x: float, y: float, z: float) -> Shapes:
    """A foot, and four discs."""
    foot, parts = 0.03, 4
    height = (z - foot) / parts
    widths = np.linspace(0.75 * x, 0.2 * x, parts)
    discs = (_shape("cylinder", (w, w, height), (0, 0, foot + (i + 0.5) * height)) for i, w in enumerate(widths))
    return (_shape("box", (x, y, foot), (0, 0, foot / 2)), *discs)


CHAIR_BACK = 0.40
"""m, height of a chair's back above its seat."""
HANDLE_HEIGHT = 1.05
"""m, of a door's handle (DIN 18101)."""


@dataclass(frozen=True)
class Everyday:
    """Properties of the objects of a category, unless stated otherwise."""

    size: Vector
    """m, along x, y, z; for a chair, z is the height of the seat."""
    mass: float
    """kg."""
    friction: float
    shapes: Callable[[float, float, float], Shapes]
    """Shapes for a given size."""
    source: str
    movable: bool = True
    rolling_friction: float = 0.0
    """m."""
    supports: bool = False
    contains: bool = False
    color: Vector | None = None


EVERYDAY: dict[str, Everyday] = {
    "bottle": Everyday((0.066, 0.066, 0.22), 0.52, 0.8, _bottle, "half a litre of water in PET", color=(0.2, 0.5, 0.9)),
    "cup": Everyday((0.08, 0.08, 0.10), 0.25, 0.8, _cylinder, "YCB mug (118 g), half full", color=(0.9, 0.9, 0.85)),
    "can": Everyday((0.102, 0.102, 0.139), 0.414, 0.7, _cylinder, "YCB master chef can", color=(0.7, 0.2, 0.2)),
    "box": Everyday((0.25, 0.30, 0.25), 1.0, 0.8, _box, "a parcel's carton", color=(0.72, 0.53, 0.33)),
    "ball": Everyday(
        (0.22, 0.22, 0.22), 0.43, 0.7, _ball, "IFAB Laws of the Game, law 2: 68 to 70 cm round, 410 to 450 g",
        rolling_friction=0.003, color=(0.95, 0.95, 0.95),
    ),
    "sponge": Everyday((0.08, 0.12, 0.05), 0.05, 0.9, _box, "a kitchen sponge, wet", color=(0.95, 0.85, 0.2)),
    "basket": Everyday(
        (0.36, 0.36, 0.26), 0.7, 0.7, _round_basket, "a woven basket", contains=True, color=(0.75, 0.6, 0.4)
    ),
    "bin": Everyday(
        (0.30, 0.30, 0.35), 0.9, 0.6, _round_basket, "a waste-paper bin of plastic", contains=True,
        color=(0.35, 0.35, 0.38),
    ),
    "table": Everyday(
        (0.60, 1.10, 0.74), 20.0, 0.6, _table, "EN 527-1: desks 740 mm high", movable=False, supports=True,
        color=(0.65, 0.5, 0.35),
    ),
    "stand": Everyday((0.40, 0.40, 0.60), 8.0, 0.6, _box, "a plinth", movable=False, supports=True),
    "shelf": Everyday(
        (0.30, 0.80, 1.20), 20.0, 0.6, _shelf, "a bookcase", movable=False, supports=True, color=(0.6, 0.5, 0.4)
    ),
    "chair": Everyday(
        (0.42, 0.42, 0.44), 6.0, 0.6, _chair, "EN 1729-1: seats 430 to 460 mm high", supports=True,
        color=(0.5, 0.35, 0.25),
    ),
    "stool": Everyday((0.36, 0.36, 0.44), 5.0, 0.6, _box, "as the chair, without its back", supports=True),
    "door": Everyday(
        (0.04, 0.86, 1.985), 18.0, 0.5, _door, "DIN 18101; a hollow leaf", movable=False, color=(0.85, 0.8, 0.7)
    ),
    "drawer": Everyday((0.45, 0.40, 0.15), 3.0, 0.5, _drawer, "of a kitchen cabinet", movable=False, contains=True),
    "cone": Everyday((0.29, 0.29, 0.50), 1.2, 0.7, _cone, "EN 13422: 500 mm high", color=(0.95, 0.4, 0.1)),
    "bar": Everyday(
        (0.30, 1.20, 0.05), 0.4, 0.7, _bar, "a rail on posts, low to be stepped over", color=(0.9, 0.75, 0.1)
    ),
    "bag": Everyday((0.30, 0.30, 1.50), 30.0, 0.7, _cylinder, "a punching bag", movable=False),
    "wall": Everyday((0.10, 2.00, 2.00), 100.0, 0.6, _box, "a partition", movable=False),
    "button": Everyday(
        (0.14, 0.14, 0.86), 15.0, 0.6, _button, "a post with an emergency stop, EN ISO 13850: 0.6 to 1.7 m high",
        movable=False, color=(0.8, 0.1, 0.1),
    ),
    "mark": Everyday((0.10, 0.10, 0.004), 0.1, 0.6, _box, "a sticker", movable=False, color=(0.9, 0.1, 0.1)),
}  # fmt: skip
"""By category. Masses and sizes without a standard are typical of a household."""


COLORS: dict[str, Vector] = {
    "red": (0.80, 0.10, 0.10),
    "orange": (0.95, 0.50, 0.10),
    "yellow": (0.95, 0.85, 0.15),
    "green": (0.15, 0.60, 0.20),
    "blue": (0.15, 0.35, 0.85),
    "purple": (0.50, 0.20, 0.65),
    "pink": (0.95, 0.55, 0.70),
    "brown": (0.45, 0.30, 0.15),
    "black": (0.08, 0.08, 0.08),
    "white": (0.95, 0.95, 0.95),
    "grey": (0.50, 0.50, 0.50),
    "gray": (0.50, 0.50, 0.50),
}
"""Red, green, blue in [0, 1] of each colour name."""


def color_name(color: Sequence[float]) -> str:
    """The name in `COLORS` nearest to red, green, blue in [0, 1]."""
    return min(COLORS, key=lambda name: math.dist(COLORS[name], color))


def _articulation(category: str, size: Sequence[float]) -> dict[str, Any] | None:
    if category == "door":  # the hinge on its left
        pos = [0.0, size[1] / 2, 0.0]
        return {"kind": "hinge", "axis": [0, 0, 1], "pos": pos, "limits": [-1.75, 1.75], "damping": 1.0}
    if category == "drawer":
        return {"kind": "slide", "axis": [1, 0, 0], "limits": [0.0, round(0.8 * size[0], 6)], "damping": 5.0}
    return None


_SHARED = ("friction", "rolling_friction", "movable", "supports", "contains", "color")
"""Fields that everyday objects share with those of scenes."""


def usual(category: str, size: Sequence[float] | None = None) -> dict[str, Any]:
    """Usual properties of an object of a category, as fields of a `SceneObject`; the mass scales with the size.

    Raises
    ------
    KeyError
        `EVERYDAY` has no such category.
    """
    like = EVERYDAY[category]
    x, y, z = size = like.size if size is None else tuple(size)
    return {
        "shapes": like.shapes(x, y, z),
        "mass": round(like.mass * (x * y * z) / math.prod(like.size), 6),
        "articulation": _articulation(category, size),
        **{name: getattr(like, name) for name in _SHARED},
    }
