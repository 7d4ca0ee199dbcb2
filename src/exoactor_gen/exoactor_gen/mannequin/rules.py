"""The task language of the mannequin as a planner, and any plan as what the mannequin does."""

from __future__ import annotations

import re
from dataclasses import replace

from exoactor_core.errors import BadInput
from exoactor_gen.mannequin import language
from exoactor_gen.mannequin.choreography import durations
from exoactor_gen.mannequin.language import KINDS, parse
from exoactor_gen.mannequin.scene import SMALL
from exoactor_gen.plan import Action, Plan

_SLACK = 0.3
"""s that an action may take more or less than planned before its pace is changed."""
_PACE = (0.6, 1.3)

_SAY = {
    "walk": "walks{way}{thing}{much}", "step": "steps{way}{much}", "turn": "turns on the spot{way}{thing}{much}",
    "wave": "raises {hand} and waves{much}", "raise": "raises {arm}{way}{much}",
    "reach": "reaches{way} with {hand}{thing}{at}", "point": "points{way} with {arm}{thing}{at}",
    "squat": "squats down and stands up again{much}", "bow": "bows from the hips{much} and straightens up again",
    "sit": "sits down{thing}, stays seated{stay} and stands up again", "kick": "kicks forward with {foot}{thing}{much}",
    "clap": "claps both hands in front of the chest{much}", "punch": "punches forward with {fist}{thing}{much}",
    "look": "turns the head to look{way}{thing}", "nod": "nods{much}",
    "march": "walks in place, lifting the feet{much}",
    "push": "pushes{thing}{at} forward{much} with {hand}", "hold": "holds{thing}{at} with {hand}",
    "pick up": "bends down, picks up{thing}{at} with {hand} and straightens up", "stand": "stands still",
    "touch": "lays {hand} on{thing}{much}", "place": "puts{thing} down{at} and lets go of it",
    "carry": "carries{thing}{way}{much} with {hand}{at}", "sweep": "sweeps the floor with a broom{much}",
}  # fmt: skip
_WAY = {
    "left": " to the left", "right": " to the right", "side": " out to the side", "around": " to face the other way",
}  # fmt: skip
_THING = {
    "reach": " towards the ", "point": " at the ", "look": " at the ", "turn": " to face the ", "sit": " on the ",
    **dict.fromkeys(("pick up", "touch", "place", "carry", "push", "hold"), " the "),
}  # fmt: skip
_AT = {"pick up": " from the ", "carry": " to the ", **dict.fromkeys(("touch", "hold"), " on the ")}
_NO_THING = {"sit": " as if on a chair", "pick up": " something"}


def from_words(instruction: str) -> Plan:
    """Plan an instruction of the task language, with the mannequin's own times.

    Raises
    ------
    BadInput
        As `exoactor_gen.mannequin.language.parse`.
    """
    return as_plan(instruction, parse(instruction))


def as_plan(instruction: str, plan: language.Plan) -> Plan:
    """The same with times, as a plan.

    Raises
    ------
    BadInput
        Its things do not allow it.
    """
    actions = plan.actions
    return Plan(
        instruction=instruction,
        planner="rules",
        actions=tuple(_told(action, seconds) for action, seconds in zip(actions, durations(actions), strict=True)),
    )


def _told(action: language.Action, seconds: float) -> Action:
    return Action(
        verb=action.kind,
        description=describe(action),
        seconds=round(seconds, 2),
        side=action.side,
        direction=action.direction,
        distance=action.distance,
        angle=action.angle,
        count=action.count,
        objects=tuple(name for name in (action.thing, action.at) if name),
    )


def describe(action: language.Action) -> str:
    """Say in English what the person does: 'walks forward 2 metres'."""
    kind = action.kind
    two = kind in ("push", "pick up", "hold", "carry") and action.thing not in SMALL
    side = action.side or ("both" if two else "right")
    if kind in ("reach", "point") and not action.side and action.direction == "left":
        side = "left"
    limbs = {
        name: f"both {plural}" if side == "both" else f"the {side} {name}"
        for name, plural in (("hand", "hands"), ("arm", "arms"), ("fist", "fists"), ("foot", "feet"))
    }
    way = action.direction or {"walk": "forward", "step": "forward", "reach": "forward", "point": "forward"}.get(kind)
    much = [
        f"{action.distance:g} metres" if action.distance else "",
        f"{action.angle:g} degrees" if action.angle else "",
    ]
    if action.count:
        steps = kind in ("walk", "step", "march")
        much.append(("in " if action.distance else "") + f"{action.count} steps" if steps else f"{action.count} times")
    thing = _THING.get(kind, " against the ") + action.thing if action.thing else _NO_THING.get(kind, "")
    at = _AT.get(kind, " in the " if action.at == "basket" else " on the ") + action.at if action.at else ""
    if kind == "walk" and action.thing:
        past = f" on the {action.side}" if action.side else ""
        thing, way = (f" around the {action.thing}{past}" if way == "around" else f" up to the {action.thing}"), ""
        much = ["in a full circle"] if action.angle else much
    if kind == "walk" and action.thing == language.START:
        thing = " back to where it began"
    if kind == "walk" and way == "around" and not action.thing:
        way, much = "", [f"in a full circle to the {action.side or 'left'}"]
    stay = f" for {action.seconds:g} seconds" if action.seconds else ""
    text = _SAY[kind].format(
        way=_WAY.get(way, f" {way}") if way else "",
        much="".join(f" {m}" for m in much if m),
        thing=thing,
        at=at,
        stay=stay,
        **limbs,
    )
    text = re.sub(r" 1 (metre|degree|second|step)s\b", r" 1 \1", text).replace(" 1 times", " once")
    pace = "" if action.pace == 1.0 else " slowly" if action.pace < 1.0 else " quickly"
    return text + pace + (stay if stay not in text else "")


def to_language(plan: Plan) -> language.Plan:
    """What the mannequin makes of a plan: its times become a longer stay or another pace.

    Raises
    ------
    BadInput
        An action is nothing that the mannequin can do.
    """
    actions = []
    for number, action in enumerate(plan.actions, 1):
        if action.verb not in KINDS:
            raise BadInput(
                f"The mannequin cannot do step {number} of the plan, '{action.verb}': it knows {', '.join(KINDS)}."
            )
        takes = KINDS[action.verb].takes
        bare = language.Action(
            action.verb, action.side, action.direction, action.distance, action.angle, action.count,
            thing=action.objects[0] if action.objects and "thing" in takes else None,
            at=action.objects[1] if action.objects[1:] and "at" in takes else None,
        )  # fmt: skip
        actions.append(bare)
    if any(action.kind == "rise" for action in actions):
        settled = language.settled(actions)
    else:  # as `from_words` makes it: what belongs together is together
        for action in actions:
            language.check(action)
        settled = tuple(actions)
    if len(settled) != len(actions):
        return language.Plan(settled)
    timed: list[language.Action] = []
    for action, planned in zip(settled, plan.actions, strict=True):
        timed.append(_timed(timed, action, planned.seconds))
    return language.Plan(tuple(timed))


def _timed(before: list[language.Action], action: language.Action, seconds: float) -> language.Action:
    """Make the action take about so long, after those before it."""

    def lasts(action: language.Action) -> float:
        return durations([*before, action])[-1]

    natural = lasts(action)
    if abs(natural - seconds) <= _SLACK:
        return action
    if "seconds" in KINDS[action.kind].takes and (action.count or 1) == 1:
        stay = seconds - (lasts(replace(action, seconds=1.0)) - 1.0)
        tries = [replace(action, seconds=max(0.2, round(stay + more, 2))) for more in (0.0, -0.3, 0.3)]
        return min(tries, key=lambda a: abs(lasts(a) - seconds))  # a wave lasts whole swings
    low, high = _PACE
    return replace(action, pace=min(high, max(low, natural / seconds)))
