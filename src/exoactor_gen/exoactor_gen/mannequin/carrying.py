"""Movements with objects in the hands: pick up, hold, carry and put down."""

from __future__ import annotations

import math

import numpy as np

from exoactor_core.contacts import SIDES
from exoactor_core.errors import BadInput
from exoactor_gen.mannequin.handling import (
    HAND_ASIDE,
    bend_seconds,
    grasp_offset,
    grip_height,
    lean,
    lower_hands,
    plan_contacts,
    taking_hands,
)
from exoactor_gen.mannequin.locomotion import approach, gap_to, is_clear, step_away, walk_along
from exoactor_gen.mannequin.movement import BESIDE, PART_NAMES, Movement, category_of
from exoactor_gen.mannequin.objects import LOOSE, MAX_CARRIED, ONE_HANDED, PALM_DEPTH, Held, RoomObject
from exoactor_gen.mannequin.placement import (
    WALK_DISTANCE,
    is_known,
    is_on_part,
    object_named,
    shown,
    spot_beside,
    spot_on,
    support_of,
)
from exoactor_gen.mannequin.score import USUAL_STEP, Score, sign

FAR_ASIDE = 0.5
"""m to the side from which an object is put down only after a side step."""
PELVIS_HEIGHT = 0.93
"""m, when standing."""
MIN_LIFT, MAX_CARRY_HEIGHT = 0.12, 0.36
"""m: minimum height of carried objects above where they were taken, and maximum above the pelvis."""
MIN_CARRY_DISTANCE = 0.175
"""m, minimum distance of carried objects from the middle of the pelvis."""
STILL_HELD = 1e6
"""s, end of a contact whose end is still unknown."""
CARRY_POSITIONS = {2: (0.36, 0.0, 0.13), 1: (0.30, 0.20, 0.10)}
"""Positions of carried objects by number of hands: forward, outward and up from the middle of the pelvis, m."""


def hold(score: Score, movement: Movement) -> None:
    """Pick an object up unless it is held, and stay."""
    if movement.object not in score.held.values():
        pick_up(
            score, Movement("pick up", object=movement.object, side=movement.side, at=movement.at, pace=movement.pace)
        )
    score.now += movement.seconds or 2.0


def pick_up(score: Score, movement: Movement) -> None:
    """Grasp an object and lift it to its carrying position."""
    kind = category_of(movement.name)
    known = score.objects.get(movement.name)
    if known and known.item.movable and known.item.mass > MAX_CARRIED:
        raise BadInput(f"The {known.name} weighs {known.item.mass:g} kg: {MAX_CARRIED:g} kg can be lifted.")
    if not (known.loose if known else kind in LOOSE):
        raise BadInput(f"The mannequin cannot pick up the {movement.name}: it can pick up {', '.join(LOOSE)}.")
    inside = score.objects.get(movement.at or "") or (support_of(score.objects.values(), known) if known else None)
    if inside and inside.item.articulation and inside.events:  # it would have to move along
        raise BadInput(
            f"The {inside.name} was moved in the same task, and nothing is taken out of it then: make 'take the "
            f"{movement.name.replace('_', ' ')} out of the {inside.name}' a task of its own."
        )
    sides = taking_hands(score, movement)
    away, part = gap_to(score, movement.name), movement.part
    obj = object_named(score, movement.name, away, movement.at, side=sides[0], part=part)
    for _ in range(movement.count or 1):
        if movement.object in score.held.values():
            place(score, Movement("place", object=movement.object, at="floor"))
        approach(score, obj, movement.pace)
        if part and inside and not is_on_part(score, inside, obj, part):
            raise BadInput(f"The {obj.name} is not on {PART_NAMES[part]} of the {inside.name}, seen from before it.")
        if part:
            _step_aside(score, obj.pose, movement.pace, sides, HAND_ASIDE)
        yaw, begin = score.pose[2], score.now
        points = {side: obj.pose[:3] + grasp_offset(obj, side, yaw) for side in sides}
        height = float(points[sides[0]][2])
        end = begin + bend_seconds(score, height, movement.pace)
        for side in sides:
            score.reach(side, "world", points[side], begin, end, lift=0.05 if obj.pose[2] > 0.1 else 0.0)
            score.fingers[side].move(begin, begin + 0.5, [8.0, 8.0])
            score.fingers[side].move(end, end + 0.3, [50.0, 50.0] if obj.one_handed else [18.0, 18.0])
        lean(score, points[sides[0]], begin, end)
        hold = end + 0.35
        plan_contacts(score, obj, sides, "grasp", hold, STILL_HELD)
        score.now = hold + bend_seconds(score, height, movement.pace)
        ahead, out, up = score.scale * np.array(CARRY_POSITIONS[len(sides)])
        ahead = max(ahead, obj.extent(yaw) + MIN_CARRY_DISTANCE * score.scale)
        up = max(up, min(height + MIN_LIFT - PELVIS_HEIGHT * score.size, MAX_CARRY_HEIGHT * score.size))
        for side in sides:
            out = obj.edge(yaw + math.pi / 2.0) + PALM_DEPTH if len(sides) == 2 else out
            carried = [ahead, sign(side) * out, up]
            score.reach(side, "body", carried, hold, hold + 0.85 * (score.now - hold))  # the arms lead
            score.held[side] = movement.name
        score.bend(hold, score.now)
        score.turned[movement.name] = obj.pose[3] - yaw
        obj.events.append(Held(hold, math.inf, sides, obj.pose))
        score.now += 0.2


def place(score: Score, movement: Movement) -> None:
    """Put an object down, on or into another one or on the floor; it is picked up first unless it is held."""
    name = movement.object or ""
    if name not in score.held.values():
        if not is_known(score, name):
            raise BadInput(f"The person holds no {name or 'object'} that could be put down: say what to pick up first.")
        on_stand = score.low_reach and category_of(name) in ONE_HANDED
        below = "stand" if on_stand else "floor" if category_of(movement.at or "") == "table" else None
        pick_up(score, Movement("pick up", object=name, side=movement.side, at=below, pace=movement.pace))
    obj = score.objects[name]
    sides = tuple(side for side in SIDES if score.held.get(side) == name)
    beside = movement.direction if movement.direction in BESIDE else None
    if movement.at in (None, "floor"):
        away = gap_to(score, obj.kind) + obj.size[0] / 2.0
        if any(t.distance(score.ahead(away)) < obj.size[:2].max() / 2.0 + 0.02 for t in score.standing):
            step_away(score, 0.6)
        spot = np.append(score.ahead(away), 0.0)
    else:
        if movement.at == name:
            raise BadInput(f"The {name} cannot be put on itself.")
        support = _support(score, movement.at)
        approach(score, support, movement.pace)
        if beside:
            spot = spot_beside(score, support, obj, beside)
        else:
            spot = spot_on(score, support, obj, sides[0], movement.part)
        if movement.part:
            _step_aside(score, spot, movement.pace, sides, HAND_ASIDE)
        else:
            _step_aside(score, spot, movement.pace)
    yaw, begin = score.pose[2], score.now
    height = spot[2] + grip_height(obj)
    end = begin + bend_seconds(score, height, movement.pace)
    into = movement.at in score.objects and score.objects[movement.at].item.contains and not beside
    after = obj.at(np.array([*spot, yaw + score.turned[name]]))
    for side in sides:
        point = spot + grasp_offset(after, side, yaw)
        score.reach(side, "world", point, begin, end, lift=0.10 if into else 0.03)
    lean(score, np.append(spot[:2], height), begin, end)
    last = obj.events[-1]
    assert isinstance(last, Held)
    obj.events[-1] = Held(last.begin, end + 0.15, last.sides, after.start)
    score.end_contacts(obj, end + 0.15)
    for side in sides:
        score.fingers[side].move(end + 0.1, end + 0.4, [8.0, 8.0])
        del score.held[side]
    score.now = end + 0.35
    lower_hands(score, sides, bend_seconds(score, height, movement.pace), 0.14 if into else 0.06)


def _step_aside(
    score: Score, spot: np.ndarray, pace: float, sides: tuple[str, ...] = SIDES, most: float = FAR_ASIDE
) -> None:
    """Step to the side until a target is before the hands that reach for it, if it is more than ``most`` m aside."""
    natural = HAND_ASIDE * sign(sides[0]) if len(sides) == 1 else 0.0
    left = float((spot[:2] - score.pose[:2]) @ (score.ahead(0.0, 1.0) - score.pose[:2])) - natural
    if abs(left) > most:
        score.walk_distance("left" if left > 0.0 else "right", abs(left), pace)


def _support(score: Score, name: str) -> RoomObject:
    if not is_known(score, name):
        raise BadInput(f"Nothing can be put on the {name}: the mannequin's room can have {shown()}.")
    return object_named(score, name, gap_to(score, name) + (WALK_DISTANCE if name not in score.objects else 0.0))


def carry(score: Score, movement: Movement) -> None:
    """Bring an object to another one, or walk with it: straight ahead, or in the first free direction."""
    if movement.object not in score.held.values():
        pick_up(score, Movement("pick up", object=movement.object, side=movement.side, pace=movement.pace))
    if movement.at == "floor":
        place(score, Movement("place", object=movement.object, at="floor", pace=movement.pace))
    elif movement.at:
        approach(score, _support(score, movement.at), movement.pace)
    else:
        distance = movement.distance or 4 * USUAL_STEP["forward"]
        way = np.linspace(0.0, distance, math.ceil(distance / 0.05) + 1)
        for turn in (0.0, 90.0, -90.0, 180.0):  # not sideways past the table that it was taken from
            c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            if is_clear(score, [score.ahead(c * x, s * x) for x in way]):
                if turn:
                    score.turn(turn, movement.pace)
                break
        walk_along(score, "forward", distance, movement.pace)
