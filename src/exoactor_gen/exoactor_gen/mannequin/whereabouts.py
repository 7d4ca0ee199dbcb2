"""Objects of a scene that are told apart by where they stand: the nearest cup, the cup on the left."""

from __future__ import annotations

import re

import numpy as np

from exoactor_core.errors import BadInput
from exoactor_core.scene import Scene, SceneObject
from exoactor_gen.mannequin.vocabulary import ON, SYNONYM, TOWARDS

_MIN_DIFFERENCE = 0.05  # m by which one must be nearer, or further to a side
_NEAREST, _LEFTMOST = ("nearest", "closest"), ("leftmost", "left")
_GOES_ON = rf"(?= (?:{'|'.join(f'{ON} {TOWARDS} in into inside off from next beside'.split())})\b)"
_TO_A_SIDE = r"\b(?:put|place|set|move|slide|push)(?:s|ting|ing)? $"
"""Before what is put on the left, if nothing is said of where to."""


def told_apart(text: str, scene: Scene) -> str:
    """A normalised instruction that names objects by their ids where it says them by where they stand at the start.

    What there is but one of is found as if that were not said, but for "on the left" and "on the right".

    Raises
    ------
    BadInput
        Two of them are about as near, or as far to that side.
    """
    kinds = {obj.category.replace("_", " ") for obj in scene.objects}
    named = "|".join(
        sorted({*kinds, *(word for word, kind in SYNONYM.items() if kind in kinds)}, key=len, reverse=True)
    )
    rank = rf"\b(?:the )?(?P<rank>nearest|closest|leftmost|rightmost|left(?! hand)|right(?! hand)) (?P<name>{named})\b"
    side = (
        rf"\b(?:the )?(?P<name>{named})(?: that is| which is)? (?:on|to) the (?P<rank>left|right)\b(?! (?:side )?of\b)"
    )

    def by_id(found: re.Match[str]) -> str:
        kind = SYNONYM.get(found["name"], found["name"])
        alike = [obj for obj in scene.objects if obj.category.replace("_", " ") == kind]
        if len(alike) > 1:
            return f"the {_first(alike, found['rank'], found['name']).id.replace('_', ' ')}"
        return found[0] if found["rank"] in ("left", "right") else f"the {found['name']}"

    def unless_moved_there(found: re.Match[str]) -> str:
        moved = re.search(_TO_A_SIDE, text[: found.start()]) and not re.match(_GOES_ON, text[found.end() :])
        return found[0] if moved else by_id(found)

    text = re.sub(rank, by_id, text)
    return re.sub(side, unless_moved_there, text)


def _first(alike: list[SceneObject], rank: str, name: str) -> SceneObject:
    """The one that is nearest to the start, or furthest to a side of who stands there."""

    def order(obj: SceneObject) -> float:
        if rank in _NEAREST:
            return float(np.linalg.norm(obj.pos[:2]))
        return -obj.pos[1] if rank in _LEFTMOST else obj.pos[1]

    one, other = sorted(alike, key=order)[:2]
    if order(other) - order(one) < _MIN_DIFFERENCE:
        where = "near" if rank in _NEAREST else f"far to the {'left' if rank in _LEFTMOST else 'right'}"
        raise BadInput(f"Which {name}? The {one.id} and the {other.id} are about as {where}: name one of them.")
    return one
