"""Appearance of person and room: colours, clothes, walls and light, random or chosen by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import mujoco
import numpy as np

Colour = Sequence[float]
_T = TypeVar("_T")

_SKINS = ((0.93, 0.74, 0.62), (0.86, 0.65, 0.51), (0.71, 0.50, 0.37), (0.52, 0.35, 0.25), (0.40, 0.27, 0.20))
_HAIRS = ((0.10, 0.08, 0.07), (0.23, 0.14, 0.08), (0.36, 0.24, 0.13), (0.55, 0.42, 0.22), (0.30, 0.29, 0.28))
_SHIRTS = (
    (0.75, 0.20, 0.18),
    (0.16, 0.36, 0.62),
    (0.18, 0.48, 0.30),
    (0.88, 0.80, 0.30),
    (0.45, 0.25, 0.50),
    (0.86, 0.86, 0.84),
    (0.20, 0.21, 0.23),
    (0.84, 0.50, 0.24),
)
_TROUSERS = ((0.14, 0.17, 0.28), (0.24, 0.22, 0.20), (0.33, 0.35, 0.38), (0.42, 0.35, 0.25), (0.25, 0.32, 0.26))
_SHOES = ((0.85, 0.85, 0.84), (0.15, 0.14, 0.14), (0.40, 0.18, 0.12))
_WALLS = ((0.80, 0.79, 0.74), (0.70, 0.77, 0.80), (0.82, 0.76, 0.70), (0.74, 0.80, 0.72), (0.62, 0.60, 0.64))
_WOODS = ((0.55, 0.38, 0.24), (0.45, 0.31, 0.20), (0.66, 0.50, 0.34))
_STONES = ((0.62, 0.61, 0.58), (0.50, 0.52, 0.54), (0.66, 0.58, 0.50))

CLOTHES = {"tshirt": (0.55, 2.0), "long_sleeves": (2.0, 2.0), "shorts": (0.55, 0.72), "vest": (0.0, 0.72)}
"""Length of sleeves and trouser legs: 1 is the elbow or knee, 2 the wrist or ankle."""

ROOMS = {
    "plain": ("paint", ""),
    "pictures": ("paint", "picture"),
    "windows": ("paint", "window"),
    "brick": ("brick", "picture"),
    "wallpaper": ("stripes", "window"),
}
"""Covering of the walls, and what hangs on them."""

FLOORS = ("planks", "tiles", "carpet")

LIGHTS = {
    # warmth, intensity of the lamp and of ambient light, height of the lamp in degrees, whether it casts a shadow
    "day": ((1.00, 1.00, 1.00), 0.62, 0.42, 58.0, True),
    "warm": ((1.10, 0.94, 0.74), 0.60, 0.38, 50.0, True),
    "cool": ((0.90, 0.98, 1.08), 0.58, 0.42, 62.0, True),
    "hard": ((1.02, 1.00, 0.96), 0.80, 0.28, 42.0, True),
    "soft": ((1.00, 1.00, 1.00), 0.30, 0.62, 70.0, False),
}


@dataclass(frozen=True)
class Light:
    """A distant lamp, and ambient light."""

    colour: Colour
    lamp: float
    ambient: float
    azimuth: float
    """rad to the left of the direction from the person to the camera."""
    height: float
    """rad above the horizon."""
    shadow: bool


@dataclass(frozen=True)
class Look:
    """All properties of the image other than motion, body shape and camera."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    sleeves: float
    """1 reaches to the elbow, 2 to the wrist."""
    legs: float
    """1 reaches to the knee, 2 to the ankle."""
    wall: Colour
    covering: str
    """Of the walls: 'paint', 'brick' or 'stripes'."""
    hung: str
    """On the walls: 'picture', 'window' or nothing."""
    floor: str
    """One of `FLOORS`."""
    ground: Colour
    light: Light

    @classmethod
    def draw(cls, rng: np.random.Generator, clothes: str = "", room: str = "", light: str = "") -> Look:
        """Draw a random one; a name of `CLOTHES`, `ROOMS` or `LIGHTS` fixes that part without affecting the others."""

        def pick(choices: Iterable[_T]) -> _T:
            choices = tuple(choices)
            return choices[int(rng.integers(len(choices)))]

        def shade(colour: Colour) -> Colour:
            return tuple(float(c) for c in np.clip(np.array(colour) * rng.uniform(0.85, 1.15), 0.0, 1.0))

        skin, hair = pick(_SKINS), pick(_HAIRS)
        shirt, trousers, shoes = shade(pick(_SHIRTS)), shade(pick(_TROUSERS)), shade(pick(_SHOES))
        drawn = pick(CLOTHES), pick(ROOMS), pick(LIGHTS)
        clothes, room, light = (given or found for given, found in zip((clothes, room, light), drawn, strict=True))
        wall, floor, grain = shade(pick(_WALLS)), pick(FLOORS), rng.integers(3)
        warmth, lamp, ambient, height, shadow = LIGHTS[light]
        side = math.radians(rng.uniform(-65.0, 65.0))
        return cls(
            skin,
            hair,
            shirt,
            trousers,
            shoes,
            *CLOTHES[clothes],
            wall,
            *ROOMS[room],
            floor,
            (_WOODS if floor == "planks" else _STONES)[grain],
            Light(warmth, lamp, ambient, side, math.radians(height), shadow),
        )


def add_shape(body: mujoco.MjsBody, kind: str, colour: Colour, **geometry: Any) -> None:
    """Add a visual geom of a kind, such as "box"; ``geometry`` is as for `MjsBody.add_geom`."""
    shape = getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}")
    body.add_geom(type=shape, rgba=[*colour, 1.0], contype=0, conaffinity=0, **geometry)
