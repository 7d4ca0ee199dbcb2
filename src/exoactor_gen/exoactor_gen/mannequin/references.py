"""Which objects and hands the words of the task language mean: by name, by place, or as "it" and "the other"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from exoactor_core.errors import BadInput
from exoactor_core.everyday import COLORS, EVERYDAY, color_name
from exoactor_core.scene import Scene, SceneObject
from exoactor_gen.mannequin.details import unfit
from exoactor_gen.mannequin.grammar import Phrase
from exoactor_gen.mannequin.movement import (
    BESIDE,
    HANDLED,
    KINDS,
    NOT_ON,
    OTHER,
    START,
    Movement,
    category_of,
    color_of,
)
from exoactor_gen.mannequin.objects import objects_of, usual_side
from exoactor_gen.mannequin.placement import support_of
from exoactor_gen.mannequin.vocabulary import OBJECTS, ON, SIZE, SYNONYM, TOWARDS, plural

_STANDS_AT = ("pick up", "hold", "sweep", "touch", "push", "reach", "point", "look", "walk")
"""Whose ``at`` says where the object stands."""
_NEAR_DISTANCE = 0.8  # m between what stands next to each other
_MIN_DIFFERENCE = 0.05  # m by which one must be nearer, or further to a side
_MIN_RATIO = 1.1
"""By which one must be larger than another one."""
_NEAREST, _FARTHEST, _LEFTMOST = ("nearest", "closest"), ("farthest", "furthest", "far"), ("leftmost", "left")
_HIGHEST, _LOWEST = ("top", "upper", "highest"), ("bottom", "lower", "lowest")
_SMALLEST = {*(word for word, size in SIZE.items() if size == "small"), "smaller", "smallest"}
_BIGGEST = {*(word for word, size in SIZE.items() if size == "big"), "bigger", "biggest", "larger", "largest"}
_GOES_ON = rf"(?= (?:{'|'.join(f'{ON} {TOWARDS} in into inside off from next beside'.split())})\b)"
_COLOURED = rf"\b(?:{'|'.join(COLORS)}) $"
_TO_A_SIDE = r"\b(?:put|place|set|move|slide|push)(?:s|ting|ing)? $"
"""Before what is put on the left, if nothing is said of where to."""


def names_of(scene: Scene) -> frozenset[str]:
    """By which the objects of a scene can be called."""
    names = {name for obj in scene.objects for name in (obj.category, obj.id.replace("_", " "))}
    return frozenset(name.replace("_", " ") for name in names)


def with_object_ids(text: str, scene: Scene) -> str:
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
    sizes = "|".join(sorted({*_SMALLEST, *_BIGGEST}, key=len, reverse=True))
    ranks = f"{sizes}|{'|'.join((*_NEAREST, *_FARTHEST))}|leftmost|rightmost|left(?! hand)|right(?! hand)"
    ranks += f"|(?<=the )(?:{'|'.join((*_HIGHEST, *_LOWEST))})"  # 'lower' alone is a verb
    rank = rf"\b(?:the )?(?P<rank>{ranks}) (?P<name>{named})\b"
    side = (
        rf"\b(?:the )?(?P<name>{named})(?: that is| which is)? (?:on|to) (?:the|your) (?P<rank>left|right)\b"
        r"(?! (?:side )?of\b)"
    )

    def by_id(found: re.Match[str]) -> str:
        kind = SYNONYM.get(found["name"], found["name"])
        alike = [obj for obj in scene.objects if obj.category.replace("_", " ") == kind]
        if len(alike) > 1:
            return f"the {_first(alike, found['rank'], found['name']).id.replace('_', ' ')}"
        return found[0] if found["rank"] in ("left", "right") else f"the {found['name']}"

    def unless_moved_there(found: re.Match[str]) -> str:
        if re.search(_COLOURED, text[: found.start()]):  # that distinguishes it
            return found[0]
        moved = re.search(_TO_A_SIDE, text[: found.start()]) and not re.match(_GOES_ON, text[found.end() :])
        return found[0] if moved else by_id(found)

    text = re.sub(rank, by_id, text)
    return re.sub(side, unless_moved_there, text)


def _first(alike: list[SceneObject], rank: str, name: str) -> SceneObject:
    """The one that is nearest to the start, furthest to a side of who stands there, highest, lowest, smallest ..."""
    sized = rank in _SMALLEST | _BIGGEST

    def order(obj: SceneObject) -> float:
        if sized:
            low, high = obj.bounds
            return float(np.log(np.prod(high - low)) / np.log(_MIN_RATIO)) * (1.0 if rank in _SMALLEST else -1.0)
        if rank in (*_NEAREST, *_FARTHEST):
            return float(np.linalg.norm(obj.pos[:2])) * (1.0 if rank in _NEAREST else -1.0)
        if rank in (*_HIGHEST, *_LOWEST):
            return float(obj.extent[0, 2]) * (1.0 if rank in _LOWEST else -1.0)
        return -obj.pos[1] if rank in _LEFTMOST else obj.pos[1]

    one, other = sorted(alike, key=order)[:2]
    if order(other) - order(one) < (1.0 if sized else _MIN_DIFFERENCE):
        side = f"far to the {'left' if rank in _LEFTMOST else 'right'}"
        ranked = {**dict.fromkeys(_NEAREST, "near"), **dict.fromkeys(_FARTHEST, "far")}
        ranked |= dict.fromkeys((*_HIGHEST, *_LOWEST), "high")
        where = "large" if sized else ranked.get(rank, side)
        raise BadInput(f"Which {name}? The {one.id} and the {other.id} are about as {where}: name one of them.")
    return one


def _color_of(obj: SceneObject) -> str:
    """The word for an object's colour; empty where it has none."""
    return color_name(obj.color) if obj.color else ""


def found_in(scene: Scene, movements: Sequence[Movement]) -> tuple[Movement, ...]:
    """The movements with the ids of the objects that they name.

    Raises
    ------
    BadInput
        The scene lacks an object, or it does not stand where it is said to.
    """
    room = objects_of(scene)
    where = {id_: under.item.id if (under := support_of(room.values(), obj)) else "floor" for id_, obj in room.items()}

    def id_of(name: str | None) -> str | None:
        return name if name in (None, START, "floor") else scene.find(name).id

    found = []
    for movement in movements:
        at, name = id_of(movement.at), movement.object
        if at and name and movement.kind in _STANDS_AT and movement.direction not in NOT_ON:
            there = Scene(objects=tuple(obj for obj in scene.objects if where[obj.id] == at))
            try:
                name = there.find(name).id
            except BadInput:
                obj = scene.find(name).id
                raise BadInput(f"The {obj} is not on the {at}: it is on the {where[obj] or 'way'}.") from None
        found.append(replace(movement, object=(id_ := id_of(name)), at=at))
        if id_ and movement.kind == "place":
            where[id_] = where[at] if at and movement.direction in BESIDE else at or "floor"
        elif id_ and movement.kind in (*HANDLED, "sweep"):
            where[id_] = "floor" if movement.kind == "sweep" else ""
    return tuple(found)


class References:
    """What the words of an instruction refer to, given the movements that were read before.

    Parameters
    ----------
    movements
        Read so far; the reader appends to this list.
    scene
        The objects that are there; None: those that are named are imagined.
    """

    def __init__(self, movements: list[Movement], scene: Scene | None) -> None:
        self.movements, self.scene = movements, scene
        self.unwanted: list[Movement] = []
        """What is said not to be done."""
        self.objects = names_of(scene) if scene else frozenset[str]()
        self._singular = {plural(name): name for name in (*OBJECTS, *SYNONYM, *self.objects)}

    def called(self, name: str, said: Mapping[str, str], movement: Movement) -> str:
        """The name of an object: of the scene's, or a category with its colour, as in 'red_cup'."""
        name = name if name in self.objects else SYNONYM.get(name, name)
        if "size" in said and self.scene is not None:
            raise BadInput(f"It is not clear which {name} is '{said['size']}': name it as the scene does.")
        if "color" in said or "size" in said:
            adjectives = (SIZE.get(said.get("size", "")), said.get("color"))
            return "_".join(word for word in (*adjectives, name) if word)
        if "other" in said:
            return f"{OTHER}_{name}" if self.scene is None else self._other(self.scene, name, movement)
        if self.scene is not None:
            return name
        named = {n for a in self.movements for n in a.objects if category_of(n) == name}
        if len(named) > 1 and name not in named:
            raise BadInput(f"Which {name}? {' and '.join(sorted(named)).replace('_', ' ')} were named: say the colour.")
        return name if name in named or not named else named.pop()

    def _other(self, scene: Scene, name: str, movement: Movement) -> str:
        """The object of a scene that is called so, too, and neither was named nor has on it what is moved."""
        room = objects_of(scene)
        said = {scene.find(n).id for a in (*self.movements, movement) for n in a.objects if n in room}
        said |= {under.item.id for id_ in said if (under := support_of(room.values(), room[id_]))}
        called = [id_ for id_, obj in room.items() if obj.kind == name]
        left = [id_ for id_ in called if id_ not in said]
        if len(called) < 2 or not left:
            raise BadInput(f"The scene has no other {name}: it has {', '.join(called) or 'none'}.")
        if len(left) > 1:
            raise BadInput(f"Which other {name}? The scene has {', '.join(left)}: name one of them.")
        return left[0]

    def it(self, movement: Movement, inside: bool = False) -> str:
        """What 'it' is: for hands that hold something this, else what was named last.

        ``inside``: something is put into it, or taken out of it.
        """
        named = [
            n
            for a in (*self.unwanted, *self.movements)
            for n in (
                a.object,
                None if a.kind in _STANDS_AT or (a.kind == "place" and self._is_apart(a, movement)) else a.at,
            )
            if n not in (None, "floor", START)
        ]
        taken = [a.object for a in self.movements if a.kind in ("pick up", "carry") and a.object]
        if movement.kind in ("place", "carry", "hold") and movement.object is None and taken:
            named = taken
        like = "contains" if inside else "supports" if movement.kind in ("wipe", "sit") else ""
        if like:
            named = [n for a in self.movements for n in a.objects if self.like(n).get(like)] or named
        named = [name for name in named if name != movement.object]
        return named[-1] if named else ""

    def _is_apart(self, put: Movement, movement: Movement) -> bool:
        """Whether 'it' of a movement means an object that was put somewhere rather than the place."""
        if movement.kind == "place":
            return movement.direction in BESIDE
        return movement.kind in ("pick up", "hold") and put.at not in (None, "floor") and not self.contains(put.at)

    def alike(self, color: str) -> str:
        """What 'the red one' is like: what something was done to last, or the one object of the scene of that colour.

        Empty: it is not clear.
        """
        done = [a.object for a in (*self.unwanted, *self.movements) if a.object not in (None, "floor", START)]
        if done or self.scene is None:
            return done[-1] or "" if done else ""
        tinted = [obj.id for obj in self.scene.objects if color in (*obj.id.split("_"), _color_of(obj))]
        return tinted[0] if len(tinted) == 1 else ""

    def holds(self, name: str) -> bool:
        """Whether hands hold an object after the movements that were read."""
        handled = [a.kind for a in self.movements if a.object == name and a.kind in HANDLED]
        return handled[-1:] not in ([], ["place"])

    def them(self) -> Sequence[str]:
        """What 'them' are: the objects that the same was done to last."""
        names: list[str] = []
        for movement in reversed(self.movements):
            if movement.kind != self.movements[-1].kind or not movement.object:
                break
            names.insert(0, movement.object)
        if len(set(names)) < 2:
            raise BadInput("It is not clear what 'them' are: name two objects before, or say which.")
        return tuple(dict.fromkeys(names))

    def several(self, said: Mapping[str, str]) -> tuple[str, ...]:
        """The objects that a plural names: those of the scene, or that were named before, or the two that are said."""
        nouns, tint = said["several"], said.get("tint", "")
        alike = self._alike(nouns, tint)
        two = bool(re.match(r"both|(?:the )?two", said.get("many", "")))
        if two and self.scene is None and len(alike) < 2 and not tint:
            kind = self._kind_of(nouns)
            return kind, f"{OTHER}_{kind}"
        if len(alike) < 2 or (two and len(alike) != 2):
            known = f"{'they are' if self.scene else 'named were'} {', '.join(alike) or 'none'}".replace("_", " ")
            raise BadInput(
                f"It is not clear which {nouns} are meant ({known}): name them one by one, or say 'both {nouns}'."
            )
        return alike

    def one_of(self, nouns: str) -> str:
        """The nearest of the scene's objects that a plural names; where none is given, the one that is imagined."""
        if self.scene is None:
            return self._kind_of(nouns)
        alike = self._alike(nouns)
        if not alike:
            raise BadInput(f"The scene has no {nouns}: it has {', '.join(self.scene.ids) or 'nothing'}.")
        scene = self.scene
        return min(alike, key=lambda id_: float(np.linalg.norm(scene[id_].pos[:2])))

    def _kind_of(self, nouns: str) -> str:
        name = self._singular[nouns]
        return SYNONYM.get(name, name)

    def _alike(self, nouns: str, tint: str = "") -> tuple[str, ...]:
        """The objects of the scene, or that were named before, of a category and a colour."""
        kind = self._kind_of(nouns)
        if self.scene is None:
            named = dict.fromkeys(n for a in self.movements for n in a.objects if category_of(n) == kind)
            return tuple(n for n in named if not tint or color_of(n) == tint)
        like = [obj for obj in self.scene.objects if obj.category.replace("_", " ") == kind]
        return tuple(obj.id for obj in like if not tint or tint in (*obj.id.split("_"), _color_of(obj)))

    def there(self) -> str | None:
        """Where 'there' is: what was carried or walked to last."""
        goals = [a.at if a.kind == "carry" else a.object for a in self.movements if a.kind in ("carry", "walk")]
        return goals[-1] if goals and goals[-1] != START else None

    def taken_from(self, name: str | None) -> str | None:
        """What an object stood on before hands took it, 'floor' too; None: it is not known."""
        said = [a.at for a in self.movements if a.object == name and a.kind == "pick up"]
        return (said[-1] or self.stands_on(name or "")) if said else None

    def stands_on(self, name: str) -> str | None:
        """What an object of the scene stands on at the start, 'floor' too; else, what it was said to be on, or None."""
        if self.scene is None:
            said = [m for m in self.movements if m.object == name and m.kind in (*_STANDS_AT, "place")]
            return next((m.at for m in reversed(said) if m.at and m.direction not in NOT_ON), None)
        room = objects_of(self.scene)
        under = support_of(room.values(), room[self.scene.find(name).id])
        return under.item.id if under else "floor"

    def is_on(self, name: str, support: str) -> bool:
        """Whether an object stands on another one, as far as it is known."""
        return self.stands_on(name) == (support if self.scene is None else self.scene.find(support).id)

    def limb(self, phrase: Phrase) -> Phrase:
        """A limb with its side, where 'the other' one than before is said."""
        if "rest" not in phrase.said and phrase.said.get("side") not in ("other", "same"):
            return phrase
        last = next((m for m in reversed(self.movements) if "side" in KINDS[m.kind].takes), None)
        side = last and usual_side(last)
        if side not in ("left", "right"):
            raise BadInput(f"It is not clear which '{phrase.text}' is: say left or right.")
        said = {name: value for name, value in phrase.said.items() if name != "rest"}
        if said.get("side") != "same":
            side = "left" if side == "right" else "right"
        return replace(phrase, said={**said, "side": side})

    def like(self, name: str) -> dict[str, bool]:
        """Whether objects can be put on, or into, another one; empty where it is not known."""
        like = EVERYDAY.get(category_of(name)) if self.scene is None else self.scene.find(name)
        return {"supports": like.supports, "contains": like.contains} if like else {}

    def contains(self, name: str) -> bool:
        """Whether something can be put into an object, or it is not known."""
        return self.like(name).get("contains", True)

    def require_on(self, side: str, name: str, phrase: Phrase, verb: Phrase) -> None:
        """Raise `BadInput` where an object of the scene is not on that side of who begins, facing +x."""
        if self.scene is None or name == "floor":
            raise unfit(verb.text, phrase)
        x, y, _ = self.scene.find(name).pos
        if not {"left": y > 0.0, "right": y < 0.0, "behind": x < 0.0, "front": x > 0.0}[side]:
            where = {"behind": "behind the robot", "front": "in front of the robot"}.get(side, f"on the {side}")
            raise BadInput(f"The {name} is not {where}: it is at x = {x:g} m, y = {y:g} m.")

    def require_near(self, name: str, neighbour: str, phrase: Phrase) -> None:
        """Raise `BadInput` where an object of the scene does not stand next to another one."""
        if self.scene is None:
            raise BadInput(f"Where no scene is given, objects stand where they are needed: leave '{phrase.text}' out.")
        one, other = self.scene.find(name), self.scene.find(neighbour)
        low, high = one.extent[:, :2]
        gap = float(other.floor_distance(np.clip(np.array(other.pos[:2]), low, high)))
        if gap > _NEAR_DISTANCE:
            raise BadInput(f"The {one.id} is not next to the {other.id}: it is {gap:.1f} m from it.")
