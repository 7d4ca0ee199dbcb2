"""Expectations of a motion from a plan's actions, as far as the body can show them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exoactor_gen.mannequin.vocabulary import by_form, verb_forms

_VERBS = {
    "travel": "walk step go stroll march advance run jog sprint rush stride approach carry shuffle",
    "turn": "turn rotate pivot spin twirl",
    "wave": "wave greet",
    "raise": "raise lift",
    "reach": "reach stretch extend point",
    "push": "push shove press",
    "punch": "punch jab strike hit",
    "clap": "clap applaud",
    "kick": "kick nudge",
    "squat": "squat crouch kneel duck",
    "sit": "sit lie",
    "bow": "bow",
    "bend": "bend stoop lean",
    "take": "pick take grab grasp touch place put lay set tap pat",
    "hands": "sweep wipe throw toss catch pour open close pull drag gesture stir mop brush salute cheer flap "
    "knock shrug cross",
    "stand": "stand wait stay pause remain",
    "still": "look nod face hold glance watch gaze smile speak talk say listen think see breathe rise",
    "unspecified": "return relax recover reset finish end start begin prepare continue repeat adjust rest",
    "moves": "move jump vault hop leap dance climb crawl roll exercise swing shake play",
}
"""Measure of each verb; others are measured as moves."""
UNCHECKED = ("moves", "still", "hands")
"""For these, little is measured: that the body moves, that it stays, or that hands move."""
_WAYS = {
    "forward": "forward forwards ahead",
    "backward": "backward backwards",
    "left": "left",
    "right": "right",
    "up": "up upward upwards overhead high",
    "down": "down downward downwards",
    "around": "around",
    "side": "side sides sideways",
}
_TAKES = {
    "travel": "forward backward left right",
    "turn": "left right around",
    "raise": "forward up side",
    "reach": "forward up down left right",
}
"""Directions that are searched in the description if their field is empty."""
_ONE_SIDED = ("wave", "raise", "reach", "punch", "kick")
"""Verbs that are measured on the planned side only; hands often push or take something together."""

_LIMB = r"(?:hand|arm|fist|elbow|foot|leg|knee)"


_FAST = frozenset(form for word in ("run", "jog", "sprint", "rush") for form in verb_forms(word))
"""Distances in haste are not measured: the estimate makes them far too short if the camera follows."""
_KIND = by_form(_VERBS)
_WAY = {word: way for way, words in _WAYS.items() for word in words.split()}


@dataclass(frozen=True)
class ExpectedAction:
    """An action of a plan, as far as the body can show it; None is left open by the plan."""

    verb: str
    text: str
    kind: str
    """Its measure."""
    share: float
    """Share of the plan's time."""
    side: str | None
    direction: str | None
    distance: float | None
    angle: float | None
    count: float | None
    has_object: bool
    """It is done to an object, or at an object."""
    may_be_there: bool
    """The person may already be there: the object was named before."""
    may_travel: bool
    """The person may go elsewhere: it is expected, or there is an object to go to."""
    may_turn: bool
    """The person may turn."""
    meanwhile: str = ""
    """A simultaneous gesture, which is not measured."""
    verbatim: bool = False
    """The planner took the words verbatim, and its measure knows at most one of them."""


def read_plan(plan: Mapping[str, Any]) -> list[ExpectedAction]:
    """Interpret a plan's actions; descriptions provide side and direction if their fields are empty."""
    actions = plan.get("actions")
    actions = [a for a in actions if isinstance(a, Mapping)] if isinstance(actions, list | tuple) else []
    seconds = [_number(action, "seconds") or 3.0 for action in actions]
    expected, before = [], set()
    for action, s in zip(actions, seconds, strict=True):
        objects = action.get("objects")
        objects = [str(obj) for obj in objects] if isinstance(objects, list | tuple) else []
        expected.append(_expected(action, s / sum(seconds), bool(objects), bool(objects) and objects[-1] in before))
        before.update(objects)
    return expected


def _number(action: Mapping[str, Any], name: str) -> float | None:
    value = action.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0.0 < value < float("inf") else None


def _expected(action: Mapping[str, Any], share: float, obj: bool, may_be_there: bool) -> ExpectedAction:
    verb = str(action.get("verb") or "move").strip().lower().replace("_", " ")
    described = str(action.get("description") or verb).strip().rstrip(".")
    text = described.removeprefix("does this: ")
    said = text.lower()
    words = re.findall(r"[a-z]+", f"{verb} {said}")
    kind = next((_KIND[word] for word in words if word in _KIND), "moves")
    arm, leg, head = (re.search(rf"\b{part}s?\b", said) for part in ("(?:hand|arm)", "(?:leg|foot|knee)", "head"))
    if kind == "push" and leg and not arm:
        kind = "kick"
    elif kind == "raise" and (leg or obj):
        kind = "kick" if leg else "take"
    elif (kind in ("raise", "turn", "bow", "bend", "moves") and head and not arm) or (
        kind == "stand" and "up" in words
    ):
        kind = "still"  # 'turns the head', 'stands up again'
    side, direction = action.get("side"), action.get("direction")
    limb = re.search(rf"\b(left|right|both) {_LIMB}", said)
    if not side and limb and kind in _ONE_SIDED:
        side = limb[1]
    if not direction and not (obj and kind in ("travel", "turn")):
        elsewhere = re.sub(rf"\b(?:left|right) (?:{_LIMB}|of\b)", "", said)
        ways = [_WAY[word] for word in re.findall(r"[a-z]+", elsewhere) if word in _WAY]
        direction = next((way for way in ways if way in _TAKES.get(kind, "").split()), None)
    also = {_KIND.get(word) for word in words}
    if kind == "travel" and re.search(r"\b(?:in place|on the spot)\b", said):
        kind, also = "march", set()
    distance, count = _number(action, "distance"), _number(action, "count")
    if kind == "travel" and not _FAST.isdisjoint(words):
        distance = None
    free = obj or kind in ("sit", "hands", "moves", "unspecified")  # people go to a seat, and turn their back to it
    travels = "travel" in also
    return ExpectedAction(
        verb=verb,
        text=text,
        kind=kind,
        share=share,
        side=side if side in ("left", "right", "both") else None,
        direction=direction if isinstance(direction, str) else None,
        distance=distance,
        count=count,
        angle=_number(action, "angle"),
        has_object=obj,
        may_be_there=may_be_there,
        may_travel=free or travels,
        may_turn=free
        or kind in ("turn", "still")
        or ("turn" in also and not head)
        or (travels and not (distance or count)),
        meanwhile=str(action.get("meanwhile") or ""),
        verbatim=text != described,
    )
