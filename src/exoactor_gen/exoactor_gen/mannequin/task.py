"""Checks of a task that its movements imply."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from exoactor_core.contacts import HANDS, SIDES
from exoactor_core.errors import BadInput
from exoactor_core.interaction import Interaction
from exoactor_core.scene import Scene
from exoactor_core.task_checks import Check
from exoactor_gen.mannequin.actions import movements_of
from exoactor_gen.mannequin.doors_and_drawers import AJAR_ANGLE, DRAW_LENGTH
from exoactor_gen.mannequin.movement import BESIDE, START, Movement, category_of
from exoactor_gen.mannequin.objects import BROOM, Held, Kicked, RoomObject, objects_of
from exoactor_gen.mannequin.placement import support_of
from exoactor_gen.mannequin.references import found_in
from exoactor_gen.mannequin.score import sides_of
from exoactor_gen.mannequin.walking import BEHIND_BAR_DISTANCE, BEHIND_DOOR_DISTANCE
from exoactor_gen.plan import Plan

BESIDE_DISTANCE = 0.20
"""m, maximum distance between objects beside each other."""
PART_TOLERANCE = 0.15
"""m by which an object may be off its place on a part of a support."""
GAP_TOLERANCE = 0.25
"""m by which the distance left to a goal may exceed the instructed one."""
PUSH_TOLERANCE = 0.25
"""Share by which a push may be too short."""
CLOSED_SHARE = 0.6
"""Minimum share of the way that a drawer slides, or a door swings shut."""
CIRCLE_ANGLE, PAST_ANGLE = 5.5, 1.5
"""rad about an object that is walked around: all the way, and on the way to something behind it."""

_Checks = dict[tuple[str, ...], Check]
"""Checks by topic, so that a later one replaces an earlier one of the same kind."""


def checks_of(
    movements: Iterable[Movement], objects: dict[str, RoomObject], imagined: bool = False
) -> tuple[Check, ...]:
    """Checks that movements imply for their objects; empty if they have none.

    The last movement with an object counts: where it is put last, where the person walks to last. Objects that are
    ``imagined`` stand as far away as the person walks; a walk towards others may end short of them.
    """
    checks: _Checks = {}
    for movement in movements:
        kind, obj, target = movement.kind, objects.get(movement.object or ""), objects.get(movement.at or "")
        if kind in ("walk", "step", "carry", "place", "sit"):
            checks.pop(("near",), None)
        if kind == "walk" and movement.object == START:
            checks["near",] = Check(kind="at", place=(0.0, 0.0), tolerance=0.5)
        if kind == "sit":
            for id_, seat in objects.items():
                if id_ == movement.object or (not movement.object and category_of(id_) in ("chair", "stool")):
                    checks["sat", id_] = Check(kind="sat", object=seat.item.id)
        if obj is None or obj.kind == BROOM:
            continue
        name = obj.item.id
        if kind in ("pick up", "hold", "carry"):
            for what in ("placed", "beside", "part", "set down", "stands"):
                checks.pop((what, name), None)
        if kind in ("push", "nudge", "kick") and ("near",) in checks and checks["near",].object == name:
            del checks["near",]  # it is moved away
        if kind == "walk" and movement.distance and not imagined:
            continue
        if kind == "place" and target and movement.direction in BESIDE:
            checks |= _put_beside(obj, target, support_of(objects.values(), target))
            continue
        checks |= _walked(movement, obj, target) if kind == "walk" else _handled(movement, obj, target)
    return (*checks.values(), Check(kind="stands")) if checks else ()


def _walked(movement: Movement, obj: RoomObject, target: RoomObject | None) -> _Checks:
    """Checks of a walk to an object, around it, through it, over or under it."""
    name, start = obj.item.id, obj.start
    if movement.direction == "around":
        least = CIRCLE_ANGLE if movement.angle else PAST_ANGLE if target else None
        checks: _Checks = {
            ("around", name): Check(kind="robot_around", object=name, amount=least),
            ("stands", name): Check(kind="stands", object=name),
        }
        if target:
            checks["near",] = Check(kind="robot_near", object=target.item.id)
        return checks
    if movement.direction == "between" and target:
        return {
            ("between", name): Check(kind="robot_between", object=name, target=target.item.id),
            **{("stands", one): Check(kind="stands", object=one) for one in (name, target.item.id)},
        }
    if movement.direction in (None, "left", "right"):
        far = round(movement.gap + GAP_TOLERANCE, 3) if movement.gap else None
        return {("near",): Check(kind="robot_near", object=name, tolerance=far)}
    ahead = np.array([np.cos(start[3]), np.sin(start[3])])
    behind = BEHIND_DOOR_DISTANCE if movement.direction == "forward" else BEHIND_BAR_DISTANCE
    x, y = start[:2] + behind * np.sign(start[:2] @ ahead) * ahead
    checks = {
        ("near",): Check(kind="at", place=(float(x), float(y)), tolerance=0.5),
        ("through", name): Check(kind="robot_through", object=name),
    }
    if movement.direction != "forward":
        checks["stands", name] = Check(kind="stands", object=name)
        checks["stays", name] = Check(kind="at", object=name, place=(float(start[0]), float(start[1])))
    return checks


def _put_beside(obj: RoomObject, target: RoomObject, under: RoomObject | None) -> _Checks:
    """Checks of an object put beside another one: it stays upright, on the same support."""
    name, other = obj.item.id, target.item.id
    far = (max(obj.size[:2]) + max(target.size[:2])) / 2.0 + BESIDE_DISTANCE
    return {
        ("placed", name): Check(kind="on", object=name, target=under.item.id if under else ""),
        ("beside", name): Check(kind="at", object=name, target=other, tolerance=round(far, 3)),
        ("stands", other): Check(kind="stands", object=other),
        **_set_down(obj),
    }


def _set_down(obj: RoomObject) -> _Checks:
    """Checks of an object that is put down rather than dropped: it comes down slowly, and stands if it can."""
    name = obj.item.id
    checks: _Checks = {("set down", name): Check(kind="set_down", object=name)}
    if obj.kind != "ball":
        checks["stands", name] = Check(kind="stands", object=name)
    return checks


def _handled(movement: Movement, obj: RoomObject, target: RoomObject | None) -> _Checks:
    """Checks of hands or feet acting on an object."""
    kind, name = movement.kind, obj.item.id
    checks: _Checks = {}
    if kind in ("pick up", "hold", "carry"):
        checks["lifted", name] = Check(kind="lifted", object=name)
    if kind == "carry" and target:
        checks["near",] = Check(kind="robot_near", object=target.item.id)
    elif kind == "carry" and movement.distance:
        checks["moved", name] = Check(kind="moved", object=name, amount=movement.distance, tolerance=0.3)
    if kind == "place" or (kind == "carry" and movement.at == "floor"):
        inside = target is not None and target.item.contains
        checks["placed", name] = Check(
            kind="in" if inside else "on", object=name, target=target.item.id if target else ""
        )
        if movement.part and obj.events:
            x, y = obj.pose[:2]
            checks["part", name] = Check(kind="at", object=name, place=(float(x), float(y)), tolerance=PART_TOLERANCE)
        if not inside:
            checks |= _set_down(obj)
        elif movement.direction == "up":
            checks["stands", name] = Check(kind="stands", object=name)
    elif kind == "open" or (kind == "push" and obj.item.articulation):
        checks["opened", name] = Check(kind="opened", object=name, amount=_slid(obj))
    elif kind == "close":
        checks["opened", name] = Check(kind="closed", object=name, amount=_slid(obj) or CLOSED_SHARE * AJAR_ANGLE)
    elif kind in ("push", "nudge") and obj.kind != "wall":
        checks["moved", name] = _pushed(movement, obj)
    elif kind == "sweep":
        checks["placed", name] = Check(kind="on", object=name)
    elif kind == "wipe":
        checks["wiped", name] = Check(kind="wiped", object=name)
    elif kind == "kick":
        way = _way_of(obj) if movement.direction in (*SIDES, "towards") else None
        checks["kicked", name] = Check(kind="kicked", object=name, place=way)
    elif kind in ("touch", "knock", "reach", "punch", "push"):
        for side in sides_of(movement.side, "both" if kind == "push" else "right"):
            body = HANDS[SIDES.index(side)]
            checks["touched", name, side] = Check(kind="touched", object=name, body=body)
    return checks


def _slid(obj: RoomObject) -> float | None:
    """Minimum slide of a drawer, m; None: it is not a drawer."""
    joint = obj.item.articulation
    return CLOSED_SHARE * DRAW_LENGTH if joint and joint.kind == "slide" else None


def _way_of(obj: RoomObject) -> tuple[float, float] | None:
    """x, y in m by which an object is pushed or kicked in total; None: it is not."""
    slid = [
        event.after for event in obj.events if isinstance(event, Kicked) or (isinstance(event, Held) and event.slides)
    ]
    x, y = (slid[-1] - obj.start)[:2] if slid else (0.0, 0.0)
    return (float(x), float(y)) if slid else None


def _pushed(movement: Movement, obj: RoomObject) -> Check:
    way = _way_of(obj)
    far = movement.distance if way is None else float(np.linalg.norm(way))
    return Check(
        kind="moved",
        object=obj.item.id,
        amount=far,
        tolerance=PUSH_TOLERANCE * far if far else None,
        place=way,
    )


def interaction_of(plan: Plan, scene: Scene | None) -> Interaction | None:
    """Interaction of a plan that is not carried out by the mannequin; without checks if it is not understood."""
    if scene is None:
        return None
    try:
        movements = found_in(scene, movements_of(plan))
    except BadInput:
        return Interaction(scene)
    checks = checks_of(movements, objects_of(scene))
    return Interaction(scene, checks=checks)
