"""Drawing of the objects: a few boxes and capsules each, thin where they would hide the person."""

from __future__ import annotations

from itertools import pairwise, product

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from exoactor_gen.mannequin.objects import BACKREST, ObjectMotion, RoomObject
from exoactor_gen.mannequin.rendering.look import Colour, add_shape

_WOODS = ((0.62, 0.44, 0.28), (0.48, 0.32, 0.20), (0.74, 0.60, 0.42), (0.86, 0.85, 0.82))
_BRIGHT = ((0.16, 0.45, 0.30), (0.14, 0.32, 0.60), (0.74, 0.22, 0.16), (0.85, 0.62, 0.14))
_CARD = ((0.72, 0.56, 0.38), (0.66, 0.50, 0.34), (0.58, 0.62, 0.66))
_PALETTES = {"box": _CARD, **dict.fromkeys(("bottle", "cup", "ball", "bag"), _BRIGHT)}


def add_props(spec: mujoco.MjSpec, objects: tuple[ObjectMotion, ...], rng: np.random.Generator) -> None:
    """Add a moving body for each object, in order, with random colours."""
    for number, obj in enumerate(objects):
        kind = obj.object.kind
        palette = _PALETTES.get(kind, _WOODS)
        body = spec.worldbody.add_body(name=f"object{number}", mocap=True)
        colour = palette[int(rng.integers(len(palette)))]
        if kind in _DRAWN:
            depth, width, height = obj.object.size
            _DRAWN[kind](body, depth, width, height, obj.object.item.color or colour)
        else:
            _solids(body, obj.object, obj.object.item.color or colour)


def _solids(body: mujoco.MjsBody, obj: RoomObject, colour: Colour) -> None:
    """The shapes of the scene's object."""
    for shape in obj.item.shapes:
        size = np.array(shape.size) / 2.0
        if shape.kind in ("cylinder", "capsule"):
            size = np.array([size[0], size[2] - (size[0] if shape.kind == "capsule" else 0.0), 0.0])
        kind = "box" if shape.kind == "mesh" else shape.kind
        add_shape(body, kind, colour, pos=np.array(shape.pos) - obj.underside, quat=shape.quat_wxyz, size=size)


def _box(body: mujoco.MjsBody, low: ArrayLike, high: ArrayLike, colour: Colour) -> None:
    """A box between two corners."""
    low, high = np.asarray(low), np.asarray(high)
    add_shape(body, "box", colour, pos=(low + high) / 2, size=(high - low) / 2)


def _rod(body: mujoco.MjsBody, start: tuple, end: tuple, radius: float, colour: Colour) -> None:
    add_shape(body, "capsule", colour, fromto=[*start, *end], size=[radius, 0, 0])


def _disc(body: mujoco.MjsBody, low: float, high: float, radius: float, colour: Colour) -> None:
    add_shape(body, "cylinder", colour, pos=[0, 0, (low + high) / 2], size=[radius, (high - low) / 2, 0])


def _dark(colour: Colour, share: float = 0.6) -> Colour:
    return tuple(share * c for c in colour)


def _table(body: mujoco.MjsBody, depth: float, width: float, height: float, colour: Colour) -> None:
    x, y = depth / 2, width / 2
    _box(body, (-x, -y, height - 0.035), (x, y, height), colour)
    _legs(body, x - 0.04, y - 0.04, (0.02, height - 0.04), 0.017, _dark(colour))


def _legs(
    body: mujoco.MjsBody, x: float, y: float, heights: tuple[float, float], radius: float, colour: Colour
) -> None:
    for foot in product((-x, x), (-y, y)):
        _rod(body, (*foot, heights[0]), (*foot, heights[1]), radius, colour)


def _chair(body: mujoco.MjsBody, depth: float, width: float, height: float, colour: Colour) -> None:
    """Its back is at the rear: a sitting person faces x."""
    x, y = depth / 2, width / 2
    _box(body, (-x, -y, height - 0.04), (x, y, height), colour)
    _legs(body, x - 0.025, y - 0.025, (0.018, height - 0.04), 0.016, _dark(colour))
    for sy in (-1, 1):
        low, high = (-x + 0.02, sy * (y - 0.025), height), (-x - 0.03, sy * (y - 0.025), height + BACKREST)
        _rod(body, low, high, 0.014, _dark(colour))
    for up in (0.22, 0.36):
        lean = -x + 0.02 - 0.05 * up / BACKREST
        _box(body, (lean - 0.01, -y + 0.02, height + up - 0.035), (lean + 0.01, y - 0.02, height + up + 0.035), colour)


def _carton(body: mujoco.MjsBody, depth: float, width: float, height: float, colour: Colour) -> None:
    x, y = depth / 2, width / 2
    _box(body, (-x, -y, 0.0), (x, y, height), colour)
    tape = tuple(min(1.0, 1.25 * c) for c in colour)
    _box(body, (-x - 0.001, -0.025, height - 0.08), (x + 0.001, 0.025, height + 0.001), tape)


def _bottle(body: mujoco.MjsBody, depth: float, width: float, height: float, colour: Colour) -> None:
    r = depth / 2
    _disc(body, 0.0, 0.68 * height, r, colour)
    add_shape(body, "ellipsoid", colour, pos=[0, 0, 0.68 * height], size=[r, r, 0.16 * height])
    _rod(body, (0, 0, 0.75 * height), (0, 0, 0.94 * height), 0.013, colour)
    _disc(body, 0.93 * height, height, 0.017, (0.92, 0.92, 0.90))
    _disc(body, 0.25 * height, 0.50 * height, 1.01 * r, (0.92, 0.92, 0.90))


def _cup(body: mujoco.MjsBody, depth: float, width: float, height: float, colour: Colour) -> None:
    r = depth / 2
    _disc(body, 0.0, height, r, colour)
    _disc(body, height, height + 0.001, 0.85 * r, _dark(colour, 0.3))
    for up in (0.25, 0.75):
        _rod(body, (-r, 0, up * height), (-r - 0.022, 0, up * height), 0.006, colour)
    _rod(body, (-r - 0.022, 0, 0.25 * height), (-r - 0.022, 0, 0.75 * height), 0.006, colour)


def _bag(body: mujoco.MjsBody, depth: float, width: float, height: float, colour: Colour) -> None:
    """A punching bag on a foot."""
    r = depth / 2
    _disc(body, 0.0, 0.05, 1.35 * r, (0.16, 0.16, 0.17))
    _disc(body, 0.05, 0.85, 0.025, (0.30, 0.30, 0.32))
    _disc(body, 0.85, height, r, colour)
    for up in (0.89, height - 0.06):
        _disc(body, up, up + 0.03, 1.01 * r, _dark(colour, 0.4))


def _basket(body: mujoco.MjsBody, depth: float, width: float, height: float, colour: Colour) -> None:
    """Rings with gaps, through which the content is visible."""
    r, around = depth / 2, 14
    _disc(body, 0.0, 0.015, 0.86 * r, _dark(colour))
    ring = [(np.cos(a), np.sin(a)) for a in 2 * np.pi * np.arange(around + 1) / around]
    for share in (0.08, 0.38, 0.68, 1.0):
        radius = (0.86 + 0.14 * share) * r - 0.008
        for (ax, ay), (bx, by) in pairwise(ring):
            z = share * height - 0.008
            _rod(body, (radius * ax, radius * ay, z), (radius * bx, radius * by, z), 0.008, colour)
    for ax, ay in ring[:-1:2]:
        low, high = (0.86 * r * ax, 0.86 * r * ay, 0.01), ((r - 0.008) * ax, (r - 0.008) * ay, height - 0.01)
        _rod(body, low, high, 0.006, _dark(colour, 0.8))


def _ball(body: mujoco.MjsBody, depth: float, width: float, height: float, colour: Colour) -> None:
    add_shape(body, "sphere", colour, pos=[0, 0, height / 2], size=[height / 2, 0, 0])


def _broom(body: mujoco.MjsBody, depth: float, width: float, height: float, colour: Colour) -> None:
    _rod(body, (0, 0, 0.12), (0, 0, height - 0.012), 0.012, colour)
    _box(body, (-0.025, -0.15, 0.10), (0.025, 0.15, 0.13), _dark(colour))
    _box(body, (-0.03, -0.16, 0.0), (0.03, 0.16, 0.10), (0.80, 0.70, 0.42))


_DRAWN = {
    "table": _table,
    "chair": _chair,
    "box": _carton,
    "bottle": _bottle,
    "cup": _cup,
    "bag": _bag,
    "basket": _basket,
    "ball": _ball,
    "broom": _broom,
}
