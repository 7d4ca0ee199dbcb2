"""What the mannequin can do: movements with their details, and which details each kind takes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from exoactor_core.errors import BadInput
from exoactor_core.everyday import COLORS, EVERYDAY
from exoactor_gen.plan import Direction, Part, Side


@dataclass(frozen=True)
class Movement:
    """An action as the mannequin does it. Where a field is None, the choreography has a default for it."""

    kind: str
    side: Side | None = None
    """'left', 'right' or 'both': which hand, arm or foot."""
    direction: Direction | None = None
    """Where to; 'side': out to the sides, or beside; 'towards': to what is ``at``."""
    distance: float | None = None
    """Metres."""
    gap: float | None = None
    """Metres from the middle of the person to the edge of what is walked to, where it is said."""
    angle: float | None = None
    """Degrees."""
    count: int | None = None
    seconds: float | None = None
    """How long a pose is held, or a repeated motion goes on."""
    pace: float = 1.0
    """Factor on the speed: 0.75 slowly, 1.1 quickly."""
    object: str | None = None
    """What it is done to, such as 'ball'. Those in `SHOWN` stand in the room, others are mimed."""
    at: str | None = None
    """What the object is put on or into, taken from, carried or pushed to; 'floor' too. Of a walk between: another."""
    part: Part | None = None
    """Which part of ``at`` the object is put on or taken from, as the person before it sees it."""
    meanwhile: str | None = None
    """A gesture at the same time, as an instruction; of who sits, one or several after each other."""

    @property
    def name(self) -> str:
        """Of the object, where the movement must have one."""
        assert self.object
        return self.object

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of what it is done to, and of what that is put on or taken from."""
        return tuple(name for name in (self.object, self.at) if name)


@dataclass(frozen=True)
class Kind:
    """Which directions and details a movement takes, and the side that does it where none is given."""

    directions: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    side: Side = "right"


def _kind(directions: str, takes: str, side: Side = "right") -> Kind:
    return Kind(frozenset(directions.split()), frozenset(takes.split()), side)


KINDS: dict[str, Kind] = {
    "walk": _kind(
        "forward backward left right around over under between", "distance angle count seconds side object at"
    ),
    "step": _kind("forward backward left right", "distance count seconds side"),
    "turn": _kind("left right around", "angle object"),
    "wave": _kind("", "side count seconds"),
    "raise": _kind("up forward side", "side count seconds angle"),
    "lower": _kind("down", "side", "both"),
    "reach": _kind("forward up down left right", "side count seconds object at"),
    "point": _kind("forward up down left right", "side count seconds object at"),
    "squat": _kind("down", "count seconds distance"),
    "jump": _kind("up", "count"),
    "jumping jack": _kind("", "count seconds", "both"),
    "hop": _kind("up", "side count"),
    "bow": _kind("forward down left right", "count seconds angle"),
    "sit": _kind("down", "count seconds object"),
    "rise": _kind("up", ""),
    "kick": _kind("forward left right towards", "side count object at"),
    "clap": _kind("up", "count seconds", "both"),
    "punch": _kind("forward", "side count object"),
    "look": _kind("left right up down forward", "angle seconds count object at"),
    "nod": _kind("", "count seconds"),
    "march": _kind("", "count seconds"),
    "dance": _kind("", "seconds"),
    "lift knee": _kind("up", "side count seconds"),
    "lunge": _kind("forward", "side count"),
    "twist": _kind("left right", "angle count seconds"),
    "salute": _kind("", "side count seconds"),
    "high five": _kind("", "side count seconds"),
    "cross arms": _kind("", "count seconds", "both"),
    "hands on hips": _kind("", "side count seconds", "both"),
    "hands on head": _kind("", "side count seconds", "both"),
    "shrug": _kind("", "count seconds", "both"),
    "shake head": _kind("", "count seconds"),
    "cheer": _kind("up", "count seconds", "both"),
    "flap": _kind("", "count seconds", "both"),
    "circle arms": _kind("", "side count seconds", "both"),
    "knock": _kind("", "side count seconds object"),
    "push": _kind("forward left right towards", "side count seconds distance object at", "both"),
    "nudge": _kind("forward left right towards", "side count distance object at"),
    "open": _kind("forward", "side object"),
    "close": _kind("", "side object"),
    "pick up": _kind("up", "side count object at part", "both"),
    "touch": _kind("", "side count seconds object at"),
    "hold": _kind("up", "side seconds object at", "both"),
    "place": _kind("up down left right side", "side object at part"),
    "carry": _kind("forward", "side distance object at", "both"),
    "sweep": _kind("", "side count seconds object at"),
    "wipe": _kind("", "side count seconds object"),
    "stand": _kind("", "seconds"),
}
"""What the mannequin can do, and the details that each takes."""

KNOWN_OBJECTS = (
    "a table, chair, stool, bottle, cup, basket, bin, box, ball, cone, door, drawer, shelf, wall, bar, button and "
    "punching bag"
)
KNOWN = (
    "walk, step, march in place, dance, turn, wave, raise, reach, point, salute, high five, knock, cross the arms, "
    "hands on the hips or the head, shrug, cheer, flap, circle the arms, squat, jump, hop, do jumping jacks, bow, "
    "lunge, twist, lift a knee, sit down and stand up, kick, clap, punch, look, nod, shake the head, push, open, "
    "close, touch, pick up, hold, carry, place, sweep, wipe, stand or wait; objects to walk to, around, between, over, "
    f"under or through, to use, to point at and to sit on are {KNOWN_OBJECTS}"
)

FOOT_KINDS = frozenset(("kick", "hop", "nudge", "walk", "step", "march", "lunge", "lift knee"))
"""What is done with one foot, or begins with it."""
MOVES_FEET = frozenset(("walk", "step", "turn", "march"))
"""What moves the feet alone, so that a gesture can be done meanwhile."""
WITH_GESTURES = MOVES_FEET | {"sit"}
"""What a gesture can be done during: on the way, or on the chair."""
GESTURES_MEANWHILE = frozenset(
    ("wave", "raise", "point", "clap", "punch", "look", "nod", "shake head", "salute", "high five", "knock", "cheer")
) | {"cross arms", "hands on hips", "hands on head", "shrug", "flap", "circle arms"}
"""What moves arms or head alone."""
ARM_GESTURES = GESTURES_MEANWHILE - {"look", "nod", "shake head"} | {"reach"}
"""What arms show, unless they touch something by it."""
HANDLED = ("pick up", "hold", "carry", "place")
"""After which hands hold an object, or no longer."""
ARMS_USED = ARM_GESTURES | {"push", "open", "close", "touch", "sweep", "wipe", "lower", "jumping jack", *HANDLED}
"""What is done with arms, after which they hang or hold something."""
_REPEATING = frozenset(
    ("wave", "clap", "nod", "shake head", "knock", "cheer", "sweep", "wipe", "march", "jumping jack")
) | {"flap", "circle arms"}
"""What goes on for so long, or is done so often."""
DEEPEST_SQUAT = 0.3
"""m by which a squat lowers the pelvis at most."""
START = "start"
"""Where the person began, as something to walk to."""
SHOWN = frozenset(
    ("table", "chair", "stool", "bottle", "cup", "basket", "bin", "box", "ball", "bag", "bar", "cone", "door", "drawer",
     "shelf", "wall", "button")
)  # fmt: skip
"""What the mannequin can imagine in the room."""
OTHER = "other"
"""Before the category in the name of another object than one that was named: other_table."""
SIZES = {"small": 0.8, "big": 1.25}
"""Sizes that what hands carry may be said to have, as shares of the usual one."""
BESIDE = ("left", "right", "side")
"""Directions of what is put beside an object rather than on it: to its left or right, or either."""
NOT_ON = (*BESIDE, "around", "between", "towards")
"""Directions of movements whose ``at`` is not what the object stands on."""
PART_NAMES: dict[Part, str] = {"left": "the left side", "right": "the right side", "middle": "the middle"}
"""What the parts of a support are called."""
_SEATS = ("chair", "stool")


def category_of(name: str) -> str:
    """The everyday category in a name or id, such as cup in red_cup; the name itself where there is none."""
    return next((word for word in re.split(r"[ _]", name) if word in EVERYDAY), name)


def _adjectives(name: str) -> tuple[str | None, str | None, bool]:
    """The size and the colour in a name such as small_red_cup, and whether it says nothing else."""
    words = name.removesuffix(category_of(name)).split("_")[:-1]
    size = words.pop(0) if words and words[0] in SIZES else None
    color = words.pop(0) if words and words[0] in COLORS else None
    return size, color, not words


def color_of(name: str) -> str | None:
    """The colour in a name such as red_cup; None where it is none, or says more."""
    _, color, only = _adjectives(name)
    return color if only else None


def size_of(name: str) -> float:
    """How large an object of a name such as small_cup is, as a share of the usual."""
    return SIZES.get(_adjectives(name)[0] or "", 1.0)


def can_be_shown(name: str) -> bool:
    """Whether a name is that of what can be imagined: a category, alone, with size or colour, or another one of it."""
    category = category_of(name)
    return category in SHOWN and (name == f"{OTHER}_{category}" or _adjectives(name)[2])


def uses_objects(movements: Sequence[Movement]) -> bool:
    """Whether any is done to an object that stands in the room."""
    return any(m.kind == "sit" or any(category_of(name) in SHOWN for name in m.objects) for m in movements)


def settled(movements: Sequence[Movement]) -> tuple[Movement, ...]:
    """Check that each movement takes its details, and join 'sit down', waiting and 'stand up' into one."""
    out: list[Movement] = []
    down = False
    for number, movement in enumerate(movements, 1):
        check(movement)
        if down and movement.kind == "stand":
            out[-1] = replace(out[-1], seconds=(out[-1].seconds or 0.0) + (movement.seconds or 1.0))
            continue
        if movement.kind == "pick up" and out and out[-1].kind in ("reach", "bow", "squat"):
            bent = out[-1]  # 'reach down and pick up the bottle'
            if bent == Movement(bent.kind, bent.side, "down", pace=bent.pace):
                movement = replace(movement, side=movement.side or out.pop().side)
        if movement.kind == "rise" and down and movement.pace != 1.0:
            if out[-1].pace not in (1.0, movement.pace):
                raise BadInput(f"'{out[-1].kind}' and standing up have one pace: say 'slowly' or 'quickly' once.")
            out[-1] = replace(out[-1], pace=movement.pace)
        if movement.kind != "rise":
            out.append(movement)
        elif not down and out and out[-1].kind not in ("sit", "stand") and any(a.kind == "sit" for a in out):
            raise BadInput(
                f"The mannequin stands up from the chair before '{out[-1].kind}': sitting, it only waits; leave 'stand "
                "up' out, or say it before."
            )
        elif not down:
            out.append(Movement("stand"))
        # the person stands up by itself before it does anything else
        rises = next((a.kind for a in movements[number:] if a.kind != "stand"), "") == "rise"
        low = movement.kind in ("squat", "bow") and (movement.count or 1) == 1
        down = movement.kind == "sit" or (low and (rises or movement.direction == "down"))
    return tuple(out)


def check(movement: Movement) -> None:
    """Check that a movement takes its details.

    Raises
    ------
    BadInput
        It does not.
    """
    for fault in _faults(movement):
        raise BadInput(fault)


def _faults(m: Movement) -> Iterator[str]:
    """Sentences on what a movement does not take, the plainest first."""
    kind, takes, directions = m.kind, KINDS[m.kind].takes, KINDS[m.kind].directions
    walks_to = kind == "walk" and (m.object or m.direction == "around")
    if kind in ("walk", "step") and m.direction == "side":
        yield f"'{kind} sideways' needs a direction: say left or right."
    if m.direction and m.direction not in directions:
        can = f", only {' or '.join(sorted(directions))}" if directions else ": it takes no direction"
        yield f"The mannequin cannot {kind} '{m.direction}'{can}."
    if m.gap and not (kind == "walk" and m.object not in (None, START) and not (m.direction or m.side or m.distance)):
        yield f"'{kind}' leaves no distance ({m.gap:g}): say for example 'walk to the table and stop 1 m before it'."
    for name in ("side", "distance", "angle", "count", "seconds", "object", "at", "part"):
        if name not in takes and (shown := _shown(m, name)):
            shown = f"'{shown}'" if isinstance(getattr(m, name), str) else shown
            what = {"at": "object to do it at", "part": "part of an object"}.get(name, name)
            yield f"'{kind}' takes no {what} ({shown}): it takes {', '.join(sorted(takes)) or 'no details'}."
    yield from _lacking(m)
    for applies, what, *names in (
        (walks_to, "'walk' to something, around it or in a circle", "count", "seconds"),
        (walks_to and m.object == START, "'walk' to the start", "distance"),
        (walks_to and m.direction == "around", "'walk' around", "distance"),
        (walks_to and m.direction != "around" and (m.direction or m.object == START), "'walk' to something", "side"),
        (walks_to and m.direction not in (None, "around", "between"), "'walk' to something", "at"),
        (kind == "look" and m.object, "'look' at something", "angle"),
    ):
        for name in names if applies else ():
            if shown := _shown(m, name):
                yield f"{what} takes no {name} ({shown})."
    often = f"{m.count} times" if m.count else ""
    far = f"{m.distance:g} metres" if m.distance else ""
    if m.seconds and ((kind in _REPEATING and often) or (kind in ("walk", "step") and (often or far))):
        yield f"'{kind}' was given {far or often} and {m.seconds:g} seconds: say one of them."
    if m.meanwhile and kind not in WITH_GESTURES:
        feet = ", ".join(sorted(WITH_GESTURES))
        yield f"'{kind}' and '{m.meanwhile}' are not done at the same time: {feet} can be."
    if kind in ("stand", "hold") and m.pace != 1.0:
        yield f"'{kind}' takes no pace ({'slowly' if m.pace < 1.0 else 'quickly'})."
    if kind == "sit" and m.object and category_of(m.object) not in _SEATS:
        yield f"The mannequin sits on a chair only, not on the {m.object}."
    if m.object == START and kind != "walk":
        yield f"'{kind}' takes no place to do it at ('{START}')."
    if m.angle and m.angle > (most := largest_angle(m)):
        yield f"The mannequin cannot {kind} by {m.angle:g} degrees: up to {most:g} can be done."
    if kind == "squat" and m.distance and m.distance > DEEPEST_SQUAT:
        yield f"The mannequin cannot squat down by {m.distance:g} metres: up to {DEEPEST_SQUAT:g} can be done."
    if kind in FOOT_KINDS and m.side == "both":
        yield f"The mannequin cannot {kind} with both feet at once: say left or right."
    if kind in ("walk", "step") and m.distance and m.count and not 0.1 <= m.distance / m.count <= 0.6:
        yield f"{m.distance:g} m in {m.count} steps is not a step length that a person walks."


def _lacking(m: Movement) -> Iterator[str]:
    """Sentences on what a movement needs."""
    kind = m.kind
    if kind in ("push", "kick") and m.direction in ("left", "right") and not (m.object and can_be_shown(m.object)):
        yield f"'{kind} {m.direction}' needs an object: say for example '{kind} the ball to the {m.direction}'."
    if kind == "twist" and m.direction is None:
        yield "'twist' needs a direction: say for example 'twist to the left'."
    if kind == "turn" and m.direction is None and m.angle is None and m.object is None:
        yield "'turn' needs a direction or an angle: say for example 'turn left 90 degrees'."
    if kind in ("touch", "place", "carry", "hold", "nudge", "open", "close", "wipe") and m.object is None:
        yield f"'{kind}' needs an object: say for example '{kind} the box'."
    if kind == "place" and m.direction in BESIDE and m.at in (None, "floor"):
        yield "It is not said what something is put beside: say for example 'next to the cup'."
    if kind in ("kick", "nudge") and m.at and m.direction != "towards":
        yield f"'{kind}' takes no object to do it at ('{m.at}'): it takes 'towards the {m.at}'."
    if m.direction == "towards" and (m.at in (None, "floor") or m.count):
        yield f"'{kind}' towards something takes what that is, and no count: say 'push the box to the wall'."
    if m.part and m.at in (None, "floor"):
        yield f"It is not said what '{m.part}' is a part of: say for example 'on the {m.part} side of the table'."
    if m.direction == "between" and not (m.object and m.at):
        yield "'walk between' needs two objects: say for example 'walk between the two chairs'."
    if kind == "walk" and m.angle and (m.direction != "around" or m.angle != 360.0):
        yield f"'walk' takes no angle ({m.angle:g}): turn first, or say 'walk in a circle around the box'."
    if kind == "walk" and m.direction == "around" and m.object is None and not m.angle:
        yield "'walk around' needs an object: say for example 'walk around the box'."
    if m.direction in ("over", "under") and category_of(m.object or "nothing") != "bar":
        what = f"the {m.object}" if m.object else "nothing"
        yield f"The mannequin does not walk {m.direction} {what}: it does with a bar."
    if kind == "pick up" and m.at and m.object is None:
        yield f"It is not said what is taken from the {m.at}: say for example 'take the cup from the {m.at}'."


def _shown(movement: Movement, name: str) -> str:
    """A detail as a text; empty where it is not given."""
    value = getattr(movement, name)
    return "" if value is None else value if isinstance(value, str) else f"{value:g}"


def largest_angle(movement: Movement) -> float:
    """Largest angle of a movement, degrees."""
    if movement.kind == "bow":
        return 30.0 if movement.direction in ("left", "right") else 80.0
    if movement.kind == "twist":
        return 60.0
    if movement.kind == "raise":
        return 120.0 if movement.direction == "side" else 160.0
    if movement.kind == "look":
        return {"up": 40.0, "down": 45.0}.get(movement.direction or "", 75.0)
    return math.inf
