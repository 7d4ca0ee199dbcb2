"""Movements as actions of a plan, with a description in English; and the actions of any plan as movements."""

from __future__ import annotations

import re

from exoactor_core.errors import BadInput
from exoactor_core.validation import validated
from exoactor_gen.mannequin.language import gestures_of
from exoactor_gen.mannequin.movement import KINDS, PART_NAMES, START, Movement, category_of, check, settled
from exoactor_gen.mannequin.objects import usual_side
from exoactor_gen.plan import MAX_DESCRIPTION, Action, Plan

_SAY = {
    "walk": "walks{way}{object}{at}{much}",
    "step": "steps{way}{much}",
    "turn": "turns on the spot{way}{object}{much}",
    "wave": "raises {hand} and waves{much}",
    "raise": "raises {arm}{way}{much}",
    "lower": "lowers {arm}",
    "reach": "reaches{way} with {hand}{object}{at}{much}",
    "point": "points{way} with {arm}{object}{at}{much}",
    "squat": "squats down{depth} and stands up again{much}",
    "jumping jack": "does jumping jacks without jumping, one foot after the other stepping out to the side and back "
    "while both arms go up and down{much}",
    "jump": "jumps up from both feet and lands where it stood{much}",
    "bow": "bows from the hips{much} and straightens up again",
    "lean": "leans{way}{much} and straightens up again",
    "sit": "sits down{object}, stays seated{stay}{during} and stands up again{much}",
    "hop": "hops on {foot} alone{much}",
    "kick": "kicks{way} with {foot}{object}{at}{much}",
    "clap": "claps both hands in front of the chest{much}",
    "clap up": "claps both hands above the head{much}",
    "punch": "punches forward with {fist}{object}{much}",
    "look": "turns the head to look{way}{object}{at}{much}",
    "nod": "nods{much}",
    "march": "walks in place, lifting the feet{much}",
    "dance": "dances in place{much}",
    "lift knee": "lifts the {side} knee and lowers it again{much}",
    "lunge": "lunges forward with {foot}{much}",
    "twist": "turns the upper body{way}{much} and back",
    "salute": "salutes with {hand}{much}",
    "high five": "holds {hand} up for a high five{much}",
    "cross arms": "crosses the arms in front of the chest{much}",
    "shrug": "shrugs with open hands{much}",
    "hands on hips": "holds {hand} on the hips{much}",
    "hands on head": "holds {hand} on the head{much}",
    "shake head": "shakes the head{much}",
    "cheer": "cheers with both arms up{much}",
    "flap": "flaps both arms like wings{much}",
    "circle arms": "moves {arm} in wide circles{much}",
    "knock": "knocks{object} with {fist}{much}",
    "push": "pushes{object}{at}{way}{much} with {hand}",
    "nudge": "pushes{object}{at}{way}{much} with {foot}",
    "open": "{opens}{object} open with {hand}",
    "close": "pushes{object} shut with {hand}",
    "hold": "holds{object}{at} with {hand}",
    "pick up": "bends down, picks up{object}{at} with {hand} and straightens up{much}",
    "stand": "stands still",
    "touch": "lays {hand} on{object}{much}",
    "place": "puts{object} down{at}{upright} and lets go of it",
    "carry": "carries{object}{way}{much} with {hand}{at}",
    "sweep": "sweeps{object}{at}{much}",
    "wipe": "wipes{object} with {hand}{much}",
}
_AHEAD = ("walk", "step", "reach", "point", "push", "nudge", "kick")
"""What is done forward where no direction is given."""
_WAY = {
    "left": " to the left",
    "right": " to the right",
    "side": " out to the side",
    "around": " to face the other way",
}
_OBJECT = {
    "reach": " towards the ",
    "point": " at the ",
    "look": " at the ",
    "turn": " to face the ",
    "sit": " on the ",
    "knock": " on the ",
    **dict.fromkeys(
        ("pick up", "touch", "place", "carry", "push", "nudge", "open", "close", "hold", "sweep", "wipe"), " the "
    ),
}
_AT = {
    "pick up": " from the ",
    "sweep": " off the ",
    "carry": " to the ",
    "walk": " to the ",
    **dict.fromkeys(("touch", "hold", "look"), " on the "),
}
_BESIDE = {"left": " to the left of the ", "right": " to the right of the ", "side": " next to the "}
_DETAILS = ("side", "direction", "distance", "gap", "angle", "count", "part", "meanwhile")
"""What actions and movements have in common."""
_NO_OBJECT = {
    "sit": " as if on a chair",
    "pick up": " something",
    "sweep": " the floor with a broom",
    "knock": " in the air",
}


def action_of(movement: Movement, seconds: float, shown: Movement | None = None) -> Action:
    """The movement as an action of a plan; ``shown`` is what is seen to be done, where it is something else."""
    said = describe(shown or movement)
    if len(said) > MAX_DESCRIPTION:
        raise BadInput(f"'{said[:60]} ...' is too much for one action: give the task in parts.")
    data = {
        "verb": movement.kind,
        "description": said,
        "seconds": round(seconds, 2),
        "objects": movement.objects,
        **{name: getattr(movement, name) for name in _DETAILS},
    }
    return validated(Action, data, f"'{said}'")


def describe(movement: Movement) -> str:
    """Say in English what the person does: 'walks forward 2 metres'."""
    kind = movement.kind
    side = usual_side(movement)
    if kind in ("reach", "point") and not movement.side and movement.direction == "left":
        side = "left"
    limbs = {
        name: f"both {plural}" if side == "both" else f"the {side} {name}"
        for name, plural in (("hand", "hands"), ("arm", "arms"), ("fist", "fists"), ("foot", "feet"))
    }
    way = movement.direction or ("forward" if kind in _AHEAD else None)
    if kind == "turn" and movement.angle and way == "around":
        way = None
    much = _amounts(movement)
    name, place = ((called or "").replace("_", " ") for called in (movement.object, movement.at))
    obj = _OBJECT.get(kind, " against the ") + name if name else _NO_OBJECT.get(kind, "")
    within = category_of(place) in ("basket", "bin", "drawer")
    beside = _BESIDE.get(movement.direction or "") if kind == "place" else None
    if way == "towards":
        way, beside = None, " towards the "
    at = beside + place if beside else _AT.get(kind, " in the " if within else " on the ") + place if place else ""
    at = at.replace(" the ", f" {PART_NAMES[movement.part]} of the ", 1) if movement.part else at
    if kind == "walk" and movement.object:
        way, obj = None, _walked_to(movement, name)
        if movement.direction == "between":
            at = f" and the {place}"
        elif at and not movement.direction:
            at = f" on the {place}"
        much = ["in a full circle"] if movement.angle else much
    elif kind == "walk" and way == "around":
        way, much = None, [f"in a full circle to the {movement.side or 'left'}"]
    depth = f" by {much.pop(0)}" if kind == "squat" and movement.distance else ""
    stay = f" for {movement.seconds:g} seconds" if movement.seconds else ""
    gestures = ", then ".join(map(describe, gestures_of(movement)))
    during, gestures = (f", {gestures},", "") if kind == "sit" and gestures else ("", gestures)
    said = {("bow", "left"): "lean", ("bow", "right"): "lean", ("clap", "up"): "clap up"}.get((kind, way or ""), kind)
    text = _SAY[said].format(
        way=_WAY.get(way, f" {way}") if way else "",
        much="".join(f" {m}" for m in much),
        object=obj,
        at=at,
        stay=stay,
        depth=depth,
        during=during,
        side=side,
        upright=" upright" if kind == "place" and movement.direction == "up" else "",
        opens="pulls" if category_of(name) == "drawer" else "pushes",
        **limbs,
    )
    text = re.sub(r" 1 (metre|degree|second|step)s\b", r" 1 \1", text).replace(" 1 times", " once")
    if gestures:
        stay += f" and at the same time {gestures}"
    pace = "" if movement.pace == 1.0 else " slowly" if movement.pace < 1.0 else " quickly"
    return text + pace + (stay if stay not in text else "")


def _amounts(movement: Movement) -> list[str]:
    """Distance, angle and count in words."""
    much = [f"{movement.distance:g} metres"] if movement.distance else []
    much += [f"{movement.angle:g} degrees"] if movement.angle else []
    if movement.count and movement.kind in ("walk", "step", "march"):
        much.append(f"in {movement.count} steps" if movement.distance else f"{movement.count} steps")
    elif movement.count:
        much.append(f"{movement.count} times")
    return much


def _walked_to(movement: Movement, name: str) -> str:
    """Where somebody walks with regard to an object, in words."""
    if movement.object == START:
        return " back to where it began"
    if movement.direction == "around":
        return f" around the {name}" + (f" on the {movement.side}" if movement.side else "")
    if movement.direction in ("over", "under", "between"):
        return f" {movement.direction} the {name}"
    if movement.direction in ("left", "right"):
        return f" up to the {name} on the {movement.direction}"
    if movement.direction:
        return f" through the {name}"
    if movement.side:
        return f" up to the {movement.side} of the {name}"
    if movement.gap:
        return f" up to {movement.gap:g} metres before the {name}"
    return f" {'towards' if movement.distance else 'up to'} the {name}"


def movements_of(plan: Plan) -> tuple[Movement, ...]:
    """What the mannequin makes of a plan's actions, whose times are left out.

    Raises
    ------
    BadInput
        An action is nothing that the mannequin can do.
    """
    movements = []
    for number, action in enumerate(plan.actions, 1):
        objects = [name.replace(" ", "_") for name in action.objects]  # 'red cup' of other planners
        if action.verb not in KINDS:
            raise BadInput(
                f"The mannequin cannot do step {number} of the plan, '{action.verb}': it knows {', '.join(KINDS)}."
            )
        takes = KINDS[action.verb].takes
        movement = Movement(
            action.verb,
            object=objects[0] if objects and "object" in takes else None,
            at=objects[1] if objects[1:] and "at" in takes else None,
            **{name: getattr(action, name) for name in _DETAILS},
        )
        gestures_of(movement)
        movements.append(movement)
    if any(movement.kind == "rise" for movement in movements):
        return settled(movements)
    for movement in movements:  # as a sentence gives them: what belongs together is together
        check(movement)
    return tuple(movements)
