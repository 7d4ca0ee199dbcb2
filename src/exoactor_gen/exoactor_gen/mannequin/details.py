"""The details that phrases give a movement: amounts, counts and body parts, which must fit it and each other."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

from exoactor_core.errors import BadInput
from exoactor_gen.mannequin.grammar import DETERMINER, Phrase
from exoactor_gen.mannequin.movement import FOOT_KINDS, KINDS, Movement
from exoactor_gen.mannequin.vocabulary import (
    FOOT_WORDS,
    HAND_KINDS,
    HAND_WORDS,
    HEAD_WORDS,
    NOUN_KIND,
    PACE,
    SLIGHT_AMOUNT,
    TIMES,
    TRUNK_WORDS,
    UNITS,
    VERB_KIND,
    quantity,
)

_RANGES = {"distance": (0.05, 20.0), "angle": (1.0, 720.0), "count": (1, 30), "seconds": (0.2, 60.0)}
_NAMED_PARTS = frozenset(
    (("hands on head", "head"), ("squat", "knee"), ("squat", "knees"), ("shrug", "shoulders"), ("cross arms", "arms"),
     *((kind, part) for kind in ("bow", "twist") for part in TRUNK_WORDS),
     *((kind, part) for kind in ("cheer", "flap") for part in ("arms", "hands")))
)  # fmt: skip
"""Body parts that may be named with a kind, and say nothing more."""
_UNIT_NAMES = {"distance": "metres", "angle": "degrees", "count": "times", "seconds": "seconds"}
_TAKEN = {
    "object": "an object", "at": "where that stands or goes", "side": "a side", "distance": "a distance",
    "angle": "an angle", "count": "a count", "seconds": "a time",
}  # fmt: skip
"""What details are called in messages."""
DEEP_BOW = 70.0
"""Degrees."""
_SMALL_STEP, _LONG_STEP = 0.2, 0.36
"""Lengths of a small and of a big step, m."""


def unfit(verb: str, phrase: Phrase) -> BadInput:
    """The error for a phrase that a movement cannot use."""
    words = phrase.text if "which" in phrase.said else re.sub(rf"^{DETERMINER}", "", phrase.text)
    obj = phrase.said.get("object")
    if obj and verb in KINDS and "object" not in KINDS[verb].takes:
        return BadInput(f"'{verb}' takes no object ('{obj}'): other backends can do more (see 'exoactor doctor').")
    taken = ", ".join(_TAKEN[name] for name in _TAKEN if name in KINDS[kind].takes) if (kind := _kind_of(verb)) else ""
    return BadInput(
        f"The mannequin does not understand '{words}' with '{verb}'{f', which takes {taken}' if taken else ''}: say it "
        "in other words, or leave it out; other backends can do more (see 'exoactor doctor')."
    )


def _kind_of(verb: str) -> str:
    """The kind that a verb names by itself; empty where it depends on more."""
    kind = VERB_KIND.get(verb, verb)
    return kind if kind in KINDS else ""


def with_detail(movement: Movement, name: str, value: Any, phrase: Phrase) -> Movement:
    """The movement with one more detail, which must not contradict those before."""
    old, kind = getattr(movement, name), movement.kind
    if name == "direction" and kind == "walk" and {old, value} in ({"around", "left"}, {"around", "right"}):
        side = old if value == "around" else value  # 'around it to the left'
        return replace(with_detail(movement, "side", side, phrase), direction="around")
    if name == "direction" and kind == "raise" and {old, value} == {"up", "side"}:  # 'up to the sides'
        return replace(movement, direction="side")
    if name == "direction" and kind == "place" and old == "down":  # 'down next to it'
        return replace(movement, direction=value)
    if name == "direction" and kind in ("walk", "step", "raise", "bow") and "side" in (old, value):
        return replace(movement, direction=value if value != "side" else old or value)  # 'sideways to the left'
    if name == "direction" and old and old != value:
        if value not in KINDS[kind].directions:
            raise unfit(kind, phrase)
        raise BadInput(
            f"'{kind.removesuffix(' up')} {old}' and '{value}' contradict each other: join them with 'then'."
        )
    if name == "pace" and old != 1.0 and old != value:
        raise unfit(kind, phrase)
    if name not in ("pace", "direction") and old is not None and old != value:
        given = f"{old} and {value}" if isinstance(value, str) else f"{old:g} and {value:g}"
        raise BadInput(f"'{kind}' was given two values of {name} ({given}).")
    return replace(movement, **{name: value})


def with_amount(movement: Movement, phrase: Phrase) -> Movement:
    """Read a number with its unit."""
    if "word" in phrase.said:
        unit, name, value = "times", "count", float(TIMES[phrase.said["word"]])
    else:
        unit = phrase.said["unit"]
        name = next(name for name, units in UNITS.items() if unit in units)
        value = quantity(phrase.said["number"]) * UNITS[name][unit]
        if smaller := phrase.said.get("smaller"):
            if not UNITS[name].get(smaller, math.inf) < UNITS[name][unit]:
                raise BadInput(f"'{phrase.text}' is not one amount: say it in one unit, or join two with 'then'.")
            value += quantity(phrase.said["more"]) * UNITS[name][smaller]
    allowed = {
        "distance": ("for", "by"),
        "angle": ("by",),
        "seconds": ("for",),
        "count": ("for",),
        "steps": ("in", "for"),
    }
    if phrase.said.get("before", allowed[name][0]) not in allowed[name]:
        raise unfit(movement.kind, phrase)
    if name == "steps" and movement.kind not in ("walk", "step", "march", "carry"):
        raise unfit(movement.kind, phrase)
    if name == "count" and movement.kind in ("walk", "march"):
        raise BadInput(f"'{movement.kind}' does not take '{phrase.text}': say how many steps or metres.")
    if name == "count" and movement.kind == "turn" and value % 1.0:  # 'one and a half times'
        name, value = "angle", 360.0 * value
    name = "count" if name == "steps" else name
    return with_detail(movement, name, in_range(name, value), phrase)


def with_noun(movement: Movement, phrase: Phrase) -> Movement:
    """Read 'two steps', 'a bow', 'a half turn' or 'a left turn'."""
    if "way" in phrase.said:
        return with_detail(movement, "direction", phrase.said["way"], phrase)
    number, noun = phrase.said["number"], phrase.said["noun"]
    if "pace" in phrase.said:
        movement = with_detail(movement, "pace", PACE[phrase.said["pace"]], phrase)
    value, kind = quantity(number), NOUN_KIND[noun]
    if "deep" in phrase.said:
        if kind not in ("bow", "squat"):
            raise unfit(movement.kind, phrase)
        movement = with_detail(movement, "angle", DEEP_BOW, phrase) if kind == "bow" else movement
    if "slight" in phrase.said:
        if kind == "step":
            movement = with_detail(movement, "distance", round(value * _SMALL_STEP, 3), phrase)
        elif kind in SLIGHT_AMOUNT and noun not in ("spin", "circle", "pirouette"):
            movement = replace(movement, **SLIGHT_AMOUNT[kind])
        elif kind not in ("dance", "nod", "wave", "turn"):
            raise unfit(movement.kind, phrase)
    if "long" in phrase.said:
        if kind != "step":
            raise unfit(movement.kind, phrase)
        movement = with_detail(movement, "distance", round(value * _LONG_STEP, 3), phrase)
    if kind == "step" and value < 1.0:  # 'a half step'
        return with_detail(movement, "distance", round(2.0 * value * _SMALL_STEP, 3), phrase)
    if kind == "turn" and movement.kind == "turn":
        if number in ("a", "an") and noun == "turn":
            return movement
        return with_detail(movement, "angle", in_range("angle", 360.0 * value), phrase)
    if number in ("a", "an") and kind != "step":
        return movement
    return with_detail(movement, "count", in_range("count", value), phrase)


def with_number(movement: Movement, phrase: Phrase) -> Movement:
    """Read a number without a unit: an angle of turns, a count of what is counted."""
    value, takes = quantity(phrase.said["number"]), KINDS[movement.kind].takes
    if "for" in phrase.said:
        takes = frozenset()
    elif movement.kind == "turn":
        return with_detail(movement, "angle", in_range("angle", value), phrase)
    if "count" in takes and ("distance" not in takes or movement.kind == "step") and movement.kind != "march":
        return with_detail(movement, "count", in_range("count", value), phrase)
    raise BadInput(
        f"The number '{phrase.text}' has no unit that the mannequin knows: say metres, feet, steps, degrees, times or "
        "seconds."
    )


def with_limb(movement: Movement, phrase: Phrase) -> Movement:
    """Read a body part: it must be the one that the movement moves."""
    kind, said = movement.kind, phrase.said
    part = said.get("part", "hand" if kind in HAND_KINDS else "foot")
    side = "both" if "both" in said or "pair" in said else said.get("side") or said.get("only")
    if side == "each":
        raise unfit(kind, phrase)
    plural = part in ("hands", "arms", "fists")
    if part in HEAD_WORDS and kind in ("look", "nod", "shake head") and side is None:
        return movement
    if (kind, part) in _NAMED_PARTS and side in (None, "both"):
        return movement
    if part in ("knee", "knees") and kind == "lift knee":
        part = part.replace("knee", "leg")
    if not (part in HAND_WORDS and kind in HAND_KINDS) and not (part in FOOT_WORDS and kind in FOOT_KINDS):
        raise BadInput(
            f"The mannequin cannot {kind} with '{part}': other backends can do more (see 'exoactor doctor')."
        )
    if kind in ("clap", "flap") and (side == "both" or plural) and side != "one":
        return movement
    side = "both" if plural and side is None else "right" if side == "one" else side
    return movement if side is None else with_detail(movement, "side", side, phrase)


def in_range(name: str, value: float) -> float | int:
    """The value of a detail; raises `BadInput` outside its range, or where a count is not whole."""
    low, high = _RANGES[name]
    if name == "count":
        if abs(value - round(value)) > 1e-9:
            raise BadInput(f"{value:g} is not a whole number of times or steps.")
        value = round(value)
    if not low <= value <= high:
        raise BadInput(f"{value:g} {_UNIT_NAMES[name]} is out of range: {low:g} to {high:g} can be done.")
    return value
