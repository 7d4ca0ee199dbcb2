"""Movements of hands to objects: touch, knock and wipe; and how a body bends down to reach them."""

from __future__ import annotations

import math

import numpy as np

from exoactor_core.contacts import SIDES, ContactKind
from exoactor_core.errors import BadInput
from exoactor_gen.mannequin.locomotion import approach, bearing_of, gap_to
from exoactor_gen.mannequin.movement import KINDS, Movement, category_of
from exoactor_gen.mannequin.objects import BACKREST, ONE_HANDED, PALM_DEPTH, RoomObject
from exoactor_gen.mannequin.placement import object_named, objects_on, table_of
from exoactor_gen.mannequin.score import Score, sides_of, sign
from exoactor_gen.mannequin.vocabulary import HAND_KINDS

EASY_REACH = 0.45
"""m from the middle of the person that a hand reaches when standing upright."""
HAND_ASIDE = 0.19
"""m from the middle of the person to a hand that reaches straight ahead."""
TRUNK_LENGTH = 0.45
"""m from the hips to the shoulders."""
DOOR_PUSH_HEIGHT = 1.15
"""m, height at which a door is pushed."""
MAX_TOUCH_HEIGHT = 1.3
"""m: higher objects are touched on their front rather than their top."""
MIN_PUSH_HEIGHT = 0.16
"""m above the floor, minimum height at which hands push forward."""
KNOCK_WAY, KNOCK_SECONDS = 0.10, (0.4, 0.7)
"""m that a knocking fist moves back; s that it stays, and that it moves: feasible for a robot."""
WIPE_STROKE = 0.22, 0.09
"""m to the side of the person, centre of wiping, and its amplitude."""
_GRIP = {"bottle": 0.6, "cup": 0.9, "ball": 0.6, "basket": 0.85, "bin": 0.85}
"""Height at which hands hold an object, relative to its height."""


def lean(score: Score, point: np.ndarray, begin: float, end: float) -> None:
    """Bend down so that a hand reaches a point, m: over distant points, and with bent knees to the floor."""
    away = float(np.linalg.norm(point[:2] - score.pose[:2])) - EASY_REACH * score.scale
    over = math.degrees(math.asin(min(0.6, max(0.0, away) / (TRUNK_LENGTH * score.size))))
    height = float(point[2])
    low = _lowness(score, height)
    trunk = (8.0 + 25.0 * low, 8.0 + 37.0 * low + over, 0.0)
    score.bend(begin, end, 0.38 * low * score.scale, trunk, 14.0 - 14.0 * low)


def _lowness(score: Score, height: float) -> float:
    """0 for heights that hands reach upright, 1 for the floor."""
    return min(1.0, max(0.0, (0.86 - height / score.scale) / 0.7))


def bend_seconds(score: Score, height: float, pace: float) -> float:
    """Time to bend down to a height, s."""
    return (1.25 + 0.55 * _lowness(score, height)) / pace


def lower_hands(score: Score, sides: tuple[str, ...], seconds: float, lift: float) -> None:
    """Move the hands back to where they hang, with an upright body."""
    for side in sides:
        score.reach(side, "free", np.zeros(3), score.now, score.now + seconds, lift)
        score.palms[side].move(score.now, score.now + 0.8 * seconds, [0.0])
        score.fingers[side].move(score.now, score.now + 0.5, score.fingers[side].start)
    score.bend(score.now, score.now + seconds)
    score.now += seconds + 0.1


def hands_for(score: Score, movement: Movement) -> tuple[str, ...]:
    """Hands that a movement uses and that must be free; if one suffices and none is specified, a free one."""
    kind = movement.kind
    if kind in ("pick up", "hold", "carry", "place"):
        return () if movement.object in score.held.values() else taking_hands(score, movement)
    if kind == "push" and category_of(movement.object or "") != "door":
        return taking_hands(score, movement)
    if kind == "sweep" and movement.object is None:  # with a broom
        return SIDES
    if kind in HAND_KINDS or kind in ("cheer", "flap", "cross arms", "jumping jack"):
        return sides_of(movement.side, "both" if KINDS[kind].side == "both" else free_hand(score))
    return ()


def free_hand(score: Score) -> str:
    """The right hand, unless it is the only one that holds something."""
    return "left" if "right" in score.held and "left" not in score.held else "right"


def taking_hands(score: Score, movement: Movement) -> tuple[str, ...]:
    """Hands that grasp or push an object."""
    return sides_of(movement.side, free_hand(score) if is_one_handed(score, movement.object) else "both")


def is_one_handed(score: Score, name: str | None) -> bool:
    """Whether one hand suffices for an object."""
    known = score.objects.get(name or "")
    return known.one_handed if known else category_of(name or "") in ONE_HANDED


def touch(score: Score, movement: Movement) -> None:
    """Lay hands on an object; or, when reaching for a movable one, bring them to where they would grasp it."""
    sides = sides_of(movement.side)
    if movement.direction == "up":
        raise BadInput(f"The {movement.object} does not stand that high: leave 'up' out.")
    on = movement.at
    if on is None and movement.kind == "reach" and score.imagines and category_of(movement.name) in ONE_HANDED:
        low = movement.direction == "down" and score.low_reach
        on = "floor" if low else None if movement.direction else table_of(score)
    to_table = movement.kind == "reach" and category_of(on or "") == "table"
    back = 0.14 if to_table else 0.0  # so that the arm's motion is visible
    obj = object_named(score, movement.name, gap_to(score, movement.name), on, back=back, side=sides[0])
    approach(score, obj, movement.pace)
    for _ in range(movement.count or 1):
        seconds = lay_on(score, obj, sides, movement.pace, grasp=movement.kind == "reach" and obj.loose)
        plan_contacts(score, obj, sides, "touch", score.now, score.now + (movement.seconds or 1.0))
        score.now += movement.seconds or 1.0
        lower_hands(score, sides, seconds, 0.07)


def knock(score: Score, movement: Movement) -> None:
    """Knock on an object with a fist, twice by default."""
    side = sides_of(movement.side)[0]
    obj = object_named(score, movement.name, gap_to(score, movement.name), side=side)
    approach(score, obj, movement.pace)
    seconds = lay_on(score, obj, (side,), movement.pace)
    score.palms[side].move(score.now - 0.4, score.now, [0.0])
    score.fingers[side].move(score.now - 0.4, score.now, [78.0, 78.0])
    on = score.hands[side][-1].point
    front = on[2] < obj.pose[2] + obj.size[2]
    back = np.append(score.ahead(-KNOCK_WAY) - score.pose[:2], 0.0) if front else np.array([0.0, 0.0, KNOCK_WAY])
    count = movement.count or 2
    for k in range(count):
        score.contact(f"{side}_hand", obj, "touch", score.now, score.now + KNOCK_SECONDS[0], on)
        score.now += KNOCK_SECONDS[0]
        for point in (on + back, on) if k < count - 1 else ():
            score.reach(side, "world", point, score.now, score.now + KNOCK_SECONDS[1])
            score.now += KNOCK_SECONDS[1]
    lower_hands(score, (side,), seconds, 0.07)


def plan_contacts(
    score: Score, obj: RoomObject, sides: tuple[str, ...], kind: ContactKind, start: float, end: float
) -> None:
    """Plan contacts of hands that have just been brought to an object."""
    for side in sides:
        score.contact(f"{side}_hand", obj, kind, start, end, score.hands[side][-1].point)


def lay_on(
    score: Score, obj: RoomObject, sides: tuple[str, ...], pace: float, grasp: bool = False, push: bool = False
) -> float:
    """Move hands onto an object, to grasp it, or to its side to push it; returns the duration, s."""
    yaw, begin = score.pose[2], score.now
    distance, bearing = bearing_of(score, obj.pose)
    edge = distance * math.cos(math.radians(bearing)) - obj.extent(yaw)
    aside, half = distance * math.sin(math.radians(bearing)), 0.6 * obj.extent(yaw + math.pi / 2.0)
    inside = 0.015 if obj.item.contains else obj.extent(yaw) if obj.kind == "ball" else min(0.14, obj.extent(yaw))
    top = obj.pose[2] + obj.size[2]
    if push and obj.item.supports:
        inside = 0.03
    elif push:
        top, inside = obj.pose[2] + push_height(obj, yaw) - PALM_DEPTH, -PALM_DEPTH
    elif top > MAX_TOUCH_HEIGHT * score.size:  # its front, at the height at which a door is pushed
        top, inside = DOOR_PUSH_HEIGHT * score.size - PALM_DEPTH, obj.extent(yaw) - obj.bulk(yaw) - PALM_DEPTH
    if obj.kind == "chair" and math.cos(yaw - obj.pose[3]) > 0.7:  # its back is in front
        top, inside = top + BACKREST, -0.01
    if obj.round:
        half = 0.04 * (len(sides) - 1)
    left = {side: aside + float(np.clip(HAND_ASIDE * sign(side) - aside, -half, half)) for side in sides}
    points = {side: np.array([*score.ahead(edge + inside, left[side]), top + PALM_DEPTH]) for side in sides}
    if grasp:
        points = {side: obj.pose[:3] + grasp_offset(obj, side, yaw) for side in sides}
    height = float(points[sides[0]][2])
    seconds = bend_seconds(score, height, pace)
    for side, point in points.items():
        score.reach(side, "world", point, begin, begin + seconds, lift=0.05 if grasp else 0.07)
        if not grasp and inside > 0.0:
            score.palms[side].move(begin + 0.2 * seconds, begin + seconds, [1.0])
        score.fingers[side].move(begin, begin + 0.6, [4.0, 4.0])
    lean(score, points[sides[0]], begin, begin + seconds)
    score.now += seconds
    return seconds


def wipe(score: Score, movement: Movement) -> None:
    """Lay a hand on the emptiest part of a table, and rub from side to side."""
    table = object_named(score, movement.name, gap_to(score, movement.name))
    if not table.item.supports or table.loose:
        raise BadInput(f"The mannequin does not wipe the {table.name}: it wipes what objects stand on.")
    approach(score, table, movement.pace)
    edge = float(np.linalg.norm(table.pose[:2] - score.pose[:2])) - table.extent(score.pose[2])
    aside, half = score.scale * np.array(WIPE_STROKE)

    def spot(side: str, way: float = 0.0) -> np.ndarray:
        left = sign(side) * aside + way * half
        return np.array([*score.ahead(edge + 0.12, left), table.pose[2] + table.size[2] + PALM_DEPTH])

    def room(side: str) -> float:
        return min((float(obj.distance(spot(side))) for obj in objects_on(score, table)), default=1.0)

    side = movement.side if movement.side in SIDES else max(("right", "left"), key=room)
    begin, score.now = score.now, score.now + bend_seconds(score, spot(side)[2], movement.pace)
    score.reach(side, "world", spot(side), begin, score.now, lift=0.07)
    score.palms[side].move(begin + 0.3, score.now, [1.0])
    score.fingers[side].move(begin, begin + 0.6, [4.0, 4.0])
    lean(score, spot(side), begin, score.now)
    rubs = score.now + 0.3
    strokes = movement.count or max(3, round((movement.seconds or 0.0) * movement.pace / 1.6))
    score.now = rubs
    for way in (*(1.0, -1.0) * strokes, 0.0):
        score.reach(side, "world", spot(side, way), score.now, score.now + 0.8 / movement.pace)
        score.now += 0.8 / movement.pace
    score.contact(f"{side}_hand", table, "support", rubs - 0.3, score.now, spot(side))
    lower_hands(score, (side,), 1.2 / movement.pace, 0.10)


def tipping_height(obj: RoomObject, yaw: float) -> float:
    """m, height above which an object tips when pushed rather than slides."""
    return obj.extent(yaw) / max(obj.item.friction, 0.1)


def push_height(obj: RoomObject, yaw: float) -> float:
    """m, height at which hands push an object, so that it slides."""
    return float(min(max(tipping_height(obj, yaw), MIN_PUSH_HEIGHT), (0.5 if obj.round else 0.65) * obj.size[2]))


def grip_height(obj: RoomObject) -> float:
    """Height above its underside at which hands hold an object, m."""
    return float(_GRIP.get(obj.kind, 0.65) * obj.size[2])


def grasp_offset(obj: RoomObject, side: str, yaw: float) -> np.ndarray:
    """(3,) from the centre of an object's underside to a hand that holds it."""
    s = sign(side)
    out = obj.edge(yaw + math.pi / 2.0) + PALM_DEPTH
    return np.array([-s * out * math.sin(yaw), s * out * math.cos(yaw), grip_height(obj)])
