"""Movements that push an object away: with hands or a foot, or off its support."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from exoactor_core.contacts import SIDES
from exoactor_core.errors import BadInput
from exoactor_core.rotations import wrap
from exoactor_gen.mannequin.doors_and_drawers import open_door
from exoactor_gen.mannequin.handling import (
    bend_seconds,
    is_one_handed,
    lay_on,
    lean,
    lower_hands,
    plan_contacts,
    push_height,
    tipping_height,
    touch,
)
from exoactor_gen.mannequin.locomotion import approach, bearing_of, gap_to, go_behind
from exoactor_gen.mannequin.movement import Movement, can_be_shown, category_of
from exoactor_gen.mannequin.objects import ONE_HANDED, PALM_DEPTH, Held, Kicked, RoomObject
from exoactor_gen.mannequin.placement import WALK_DISTANCE, object_named, objects_on, support_of, table_of
from exoactor_gen.mannequin.score import Score, heading_vector, sides_of, sign

SHOVE_GAP, SHOVE_SHARE = 0.08, 0.5
"""m from the toes to the surface that a foot pushes, and share of `PUSH_LENGTH` per push."""
SHOVE_HEIGHT = 0.09
"""m that a pushing foot is raised: a lower one that is as slow is estimated as standing."""
TOE_LENGTH = 0.13
"""m from the middle of the sole to the tip of the shoe."""
PUSH_LENGTH = 0.22
"""m that an object is pushed at a time."""
MIN_SWEEP_HEIGHT = 0.07
"""m above a table, of a fist that sweeps over it."""
GOAL_DISTANCE, GOAL_GAP = 0.5, 0.04
"""m from an object to the imagined goal that it is moved to, and that are left between them."""
MAX_PUSH = 3.0
"""m by which an object is pushed or kicked towards something, at most."""
LOW_PUSH = 0.55
"""m: on the floor, objects that would have to be pushed lower are pushed with a foot."""


def push(score: Score, movement: Movement) -> None:
    """Push an object, and whatever stands on it, with hands or a foot; follow and repeat as necessary."""
    name, kind = movement.name, category_of(movement.name)
    if kind == "bag":
        raise BadInput("The mannequin does not push the bag, which is too heavy: it punches it.")
    if kind == "wall" and not movement.distance and movement.direction not in SIDES:
        touch(score, replace(movement, kind="touch", side=movement.side or "both"))
        return
    if kind in ("shelf", "wall"):
        raise BadInput(f"The mannequin does not push the {name}, which does not give way: say 'touch the {name}'.")
    if kind == "door":
        open_door(score, movement)
        return
    foot = movement.kind == "nudge"
    sides = sides_of(movement.side, "right" if foot or is_one_handed(score, name) else "both")
    new = name not in score.objects
    on = table_of(score) if score.imagines and kind in ONE_HANDED else None
    aimed = movement.direction in (*SIDES, "towards")
    on = "floor" if foot or (aimed and on is None) else on
    at = movement.at if movement.direction != "towards" else None
    obj = object_named(score, name, gap_to(score, name), at or on, side=sides[0])
    goal = goal_of(score, movement, obj)
    if foot and obj.pose[2] > 0.1:
        raise BadInput(f"The {obj.name} stands too high to be pushed with a foot: push it with a hand.")
    if new and kind == "chair":
        obj.start[3] += math.pi  # it is pushed at its back
    free = math.inf
    if aimed:
        if obj.pose[2] > 0.1:
            raise BadInput(f"The {obj.name} stands on something: there it is pushed forward only.")
        free = aim(score, obj, movement)
    usual = (0.6 if obj.one_handed or obj.kind == "ball" else 1.0) * PUSH_LENGTH * score.scale
    low = foot or (movement.side is None and _is_low(score, obj))
    distance = min(movement.distance or (free if goal else usual * (movement.count or 1)), free)
    strokes = max(movement.count or 1, math.ceil(distance / (SHOVE_SHARE * usual if low else usual) - 1e-9))
    length = distance / strokes
    for _ in range(strokes):
        if aimed:
            _walk_up(score, obj, movement.pace)
        else:
            approach(score, obj, movement.pace)
        ahead = score.ahead(length) - score.pose[:2]
        riders = objects_on(score, obj)
        _slides(score, obj, ahead, riders, goal)
        if low:
            _shove(score, obj, ahead, riders, movement.side or "right", movement.pace)
            continue
        seconds = lay_on(score, obj, sides, movement.pace, grasp=obj.one_handed, push=not obj.one_handed)
        begin, score.now = score.now, score.now + 0.2 + 1.0 / movement.pace
        plan_contacts(score, obj, sides, "push", begin, score.now + 0.1)
        for side in sides:
            last = score.hands[side][-1].point
            score.reach(side, "world", last + np.append(ahead, 0.0), begin + 0.2, score.now)
        score.trunk.move(begin + 0.2, score.now, score.trunk.value + np.array([0.0, 14.0, 0.0]))
        for moved in (obj, *riders):
            after = moved.pose + np.append(ahead, [0.0, 0.0])
            moved.events.append(Held(begin + 0.1, score.now + 0.1, sides, after, slides=True))
        score.now += 0.1 + (movement.seconds or 0.2)
        lower_hands(score, sides, seconds, 0.07)


def goal_of(score: Score, movement: Movement, obj: RoomObject) -> RoomObject | None:
    """What an object is pushed or kicked towards; if it is imagined, it stands behind the object. None: nothing."""
    if movement.direction != "towards" or movement.at is None:
        return None
    if movement.at in score.objects or not can_be_shown(movement.at):
        return object_named(score, movement.at, WALK_DISTANCE)
    goal = RoomObject.imagined(movement.at, np.zeros(4))
    yaw = math.atan2(*(obj.pose[:2] - score.pose[:2])[::-1])
    away = obj.extent(yaw) + (movement.distance or 0.0) + GOAL_DISTANCE + goal.size[0] / 2.0
    facing = yaw + math.pi if goal.kind == "chair" else yaw  # its seat faces the person
    goal = goal.at(np.array([*(obj.pose[:2] + away * heading_vector(yaw)), 0.0, facing]))
    if any(near.distance(goal.nearest(near.pose[:2])) < 0.1 for near in score.standing if near is not obj):
        raise BadInput(f"There is no room left for a {goal.name} behind the {obj.name}.")
    score.objects[movement.at] = goal
    return goal


def aim(score: Score, obj: RoomObject, movement: Movement) -> float:
    """Stand so that an object is straight ahead in the direction in which it goes; m that are free to its goal."""
    if movement.direction in SIDES:
        go_behind(score, obj, score.pose[2] + sign(movement.direction) * math.pi / 2.0, movement.pace)
        return math.inf
    goal = score.objects[movement.at or ""]
    way = goal.nearest(obj.pose[:2]) - obj.pose[:2]
    yaw = math.atan2(way[1], way[0])
    free = float(np.linalg.norm(way)) - obj.extent(yaw) - GOAL_GAP
    if not 0.05 < free < MAX_PUSH:
        where = "already is at" if free <= 0.05 else f"is {free:.1f} m from"
        raise BadInput(f"The {obj.name} {where} the {goal.name}: it is moved 0.05 to {MAX_PUSH:g} m towards something.")
    _, bearing = bearing_of(score, obj.pose)
    if max(abs(bearing), abs(math.degrees(wrap(yaw - score.pose[2])))) > 5.0:
        go_behind(score, obj, yaw, movement.pace)
    return free


def _walk_up(score: Score, obj: RoomObject, pace: float) -> None:
    """Walk up to an object straight ahead without turning to one of its sides."""
    if (more := _distance_ahead(score, obj, score.pose) - gap_to(score, obj.kind)) > 0.03:
        score.walk_distance("forward", more, pace)


def _is_low(score: Score, obj: RoomObject) -> bool:
    """Whether hands would push an object on the floor from a crouch: the G1 falls backwards, or misses a ball."""
    slides = obj.pose[2] < 0.1 and not obj.item.supports
    return slides and push_height(obj, score.pose[2]) < LOW_PUSH * score.scale


def _distance_ahead(score: Score, obj: RoomObject, point: np.ndarray) -> float:
    """Distance from a point to the front of an object, m, in the direction that the person faces."""
    ahead = heading_vector(score.pose[2])
    return float((obj.pose[:2] - point[:2]) @ ahead) - obj.extent(score.pose[2])


def toe_gap(score: Score, obj: RoomObject, side: str) -> float:
    """Distance from the toes of a foot to the front of an object, m, in the direction that the person faces."""
    return _distance_ahead(score, obj, score.feet[side].value) - TOE_LENGTH


def _shove(score: Score, obj: RoomObject, ahead: np.ndarray, riders: list[RoomObject], side: str, pace: float) -> None:
    """Push an object, and whatever stands on it, with a foot."""
    if (more := toe_gap(score, obj, side) - SHOVE_GAP) > 0.03:
        score.walk_distance("forward", more, pace)
    gap, far = toe_gap(score, obj, side), float(np.linalg.norm(ahead)) - 0.01
    ways = (gap - 0.02, SHOVE_HEIGHT, 0.0, 0.4), (gap + far, SHOVE_HEIGHT, 0.0, 0.8), (0.03, SHOVE_HEIGHT, 0.0, 0.5)
    begin, end = score.swing_foot(side, ways, pace)[1]
    score.contact(f"{side}_foot", obj, "push", begin, end)
    for moved in (obj, *riders):
        after = moved.pose + np.append(ahead, [0.0, 0.0])
        moved.events.append(Kicked(side, begin, end, after))
    score.settle(0.7)


def sweep_off(score: Score, movement: Movement) -> None:
    """Draw an object off the near edge of its support, with a hand behind it."""
    side = "left" if movement.side == "left" else "right"
    obj = object_named(score, movement.name, gap_to(score, movement.name), movement.at or table_of(score), side=side)
    if not obj.one_handed:
        raise BadInput(f"The mannequin does not sweep the {obj.name} off: it sweeps what one hand takes.")
    under = support_of(score.objects.values(), obj)
    if under is None:
        raise BadInput(f"The {obj.name} stands on nothing that it could be swept off.")
    approach(score, obj, movement.pace)
    ahead, left = (score.ahead(*way) - score.pose[:2] for way in ((1.0, 0.0), (0.0, 1.0)))
    away = float((obj.pose[:2] - score.pose[:2]) @ ahead)
    edge = float(np.linalg.norm(under.pose[:2] - score.pose[:2])) - under.extent(score.pose[2])
    way = (-ahead + sign(side) * -left) / math.sqrt(2.0)  # towards the person, and inward
    far = (away - edge + 0.08) * math.sqrt(2.0)
    height = obj.pose[2] + min(max(tipping_height(obj, score.pose[2]), MIN_SWEEP_HEIGHT), 0.6 * obj.size[2])
    behind = np.append(obj.pose[:2] - (obj.extent(score.pose[2]) + PALM_DEPTH) * way, height)
    begin, score.now = score.now, score.now + bend_seconds(score, height, movement.pace)
    score.reach(side, "world", behind, begin, score.now, lift=0.15)
    score.fingers[side].move(begin, begin + 0.6, [4.0, 4.0])
    lean(score, behind, begin, score.now)
    meets, score.now = score.now, score.now + 0.2 + 1.0 / movement.pace
    score.contact(f"{side}_hand", obj, "push", meets, score.now, behind)
    score.reach(side, "world", behind + np.append(far * way, 0.0), meets + 0.2, score.now)
    landed = np.array([*(obj.pose[:2] + far * way), 0.0, obj.pose[3]])
    obj.events.append(Held(meets + 0.2, score.now, (side,), landed, slides=True))
    lower_hands(score, (side,), 1.2 / movement.pace, 0.05)


def _slides(
    score: Score, obj: RoomObject, ahead: np.ndarray, riders: list[RoomObject], goal: RoomObject | None
) -> None:
    """Check that an object can be pushed on."""
    under = support_of(score.objects.values(), obj)
    if under and under.distance(obj.pose[:2] + ahead * (1.0 + obj.size[0] / 2.0 / np.linalg.norm(ahead))) > 0.0:
        raise BadInput(f"The {obj.name} would fall off the {under.name}.")
    after = obj.at(obj.pose + np.append(ahead, [0.0, 0.0]))
    for near in score.standing:
        if near in (obj, under, goal, *riders):
            continue
        if np.linalg.norm(near.pose[:2] - after.pose[:2]) < after.edge(math.atan2(*ahead[::-1])) + near.size[0] / 2.0:
            raise BadInput(f"The {near.name} stands in the way of the {obj.name}.")
