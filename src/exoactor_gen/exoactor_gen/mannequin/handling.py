"""Movements of hands with objects: touch, push, pick up, hold, carry and put down."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.contacts import SIDES, ContactKind
from exoactor_core.errors import BadInput
from exoactor_core.everyday import EVERYDAY
from exoactor_gen.mannequin.locomotion import (
    approach,
    bearing_of,
    face,
    gap_to,
    go_behind,
    is_clear,
    step_away,
    walk_along,
    walk_route,
)
from exoactor_gen.mannequin.movement import BESIDE, KINDS, Movement, category_of
from exoactor_gen.mannequin.objects import (
    BACKREST,
    LOOSE,
    MAX_CARRIED,
    ONE_HANDED,
    PALM_DEPTH,
    Held,
    Kicked,
    Opened,
    RoomObject,
)
from exoactor_gen.mannequin.placement import (
    WALK_DISTANCE,
    is_known,
    object_named,
    objects_on,
    shown,
    spot_beside,
    spot_on,
    support_of,
    table_of,
)
from exoactor_gen.mannequin.score import USUAL_STEP, Score, sides_of, sign
from exoactor_gen.mannequin.vocabulary import HAND_KINDS

EASY_REACH = 0.45
"""m from the middle of the person that a hand reaches when standing upright."""
SHOVE_GAP, SHOVE_SHARE = 0.08, 0.5
"""m from the toes to the surface that a foot pushes, and share of `PUSH_LENGTH` per push."""
SHOVE_HEIGHT = 0.09
"""m that a pushing foot is raised: a lower one that is as slow is estimated as standing."""
TOE_LENGTH = 0.13
"""m from the middle of the sole to the tip of the shoe."""
FAR_ASIDE = 0.5
"""m to the side from which an object is put down only after a side step."""
TRUNK_LENGTH = 0.45
"""m from the hips to the shoulders."""
PELVIS_HEIGHT = 0.93
"""m, when standing."""
MIN_LIFT, MAX_CARRY_HEIGHT = 0.12, 0.36
"""m: minimum height of carried objects above where they were taken, and maximum above the pelvis."""
MIN_CARRY_DISTANCE = 0.175
"""m, minimum distance of carried objects from the middle of the pelvis."""
PUSH_LENGTH = 0.22
"""m that an object is pushed at a time."""
OPEN_ANGLE = 1.57
"""rad to which a door is pushed open."""
DOOR_PUSH_HEIGHT = 1.15
"""m, height at which a door is pushed."""
MAX_TOUCH_HEIGHT = 1.3
"""m: higher objects are touched on their front rather than their top."""
SHOVE_LENGTH = 0.20
"""m that the hand moves with a door."""
AJAR_ANGLE, AJAR_DISTANCE = 0.6, 0.3
"""rad by which an imagined door that is to be closed stands open towards the person, and additional distance, m."""
DRAWER_HEIGHT, DRAWER_GAP, DRAW_LENGTH = 0.60, 0.01, 0.20
"""m: height of the stand of an imagined drawer, gap between them, and length by which it is drawn out."""
MIN_PUSH_HEIGHT = 0.16
"""m above the floor, minimum height at which hands push forward."""
MIN_SWEEP_HEIGHT = 0.07
"""m above a table, of a fist that sweeps over it."""
LOW_PUSH = 0.55
"""m: on the floor, objects that would have to be pushed lower are pushed with a foot."""
KNOCK_WAY, KNOCK_SECONDS = 0.10, (0.4, 0.7)
"""m that a knocking fist moves back; s that it stays, and that it moves: feasible for a robot."""
WIPE_STROKE = 0.22, 0.09
"""m to the side of the person, centre of wiping, and its amplitude."""
STILL_HELD = 1e6
"""s, end of a contact whose end is still unknown."""
_GRIP = {"bottle": 0.6, "cup": 0.9, "ball": 0.6, "basket": 0.85, "bin": 0.85}
"""Height at which hands hold an object, relative to its height."""
CARRY_POSITIONS = {2: (0.36, 0.0, 0.13), 1: (0.30, 0.20, 0.10)}
"""Positions of carried objects by number of hands: forward, outward and up from the middle of the pelvis, m."""


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


def lower_hands(score: Score, sides: tuple[str, ...], pace: float, seconds: float, lift: float) -> None:
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
        return () if movement.object in score.held.values() else _taking_hands(score, movement)
    if kind == "push" and category_of(movement.object or "") != "door":
        return _taking_hands(score, movement)
    if kind == "sweep" and movement.object is None:  # with a broom
        return SIDES
    if kind in HAND_KINDS or kind in ("cheer", "flap", "cross arms"):
        return sides_of(movement.side, "both" if KINDS[kind].side == "both" else _free_hand(score))
    return ()


def _free_hand(score: Score) -> str:
    """The right hand, unless it is the only one that holds something."""
    return "left" if "right" in score.held and "left" not in score.held else "right"


def _taking_hands(score: Score, movement: Movement) -> tuple[str, ...]:
    """Hands that grasp or push an object."""
    return sides_of(movement.side, _free_hand(score) if _is_one_handed(score, movement.object) else "both")


def _is_one_handed(score: Score, name: str | None) -> bool:
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
        seconds = _lay_on(score, obj, sides, movement.pace, grasp=movement.kind == "reach" and obj.loose)
        _plan_contacts(score, obj, sides, "touch", score.now, score.now + (movement.seconds or 1.0))
        score.now += movement.seconds or 1.0
        lower_hands(score, sides, movement.pace, seconds, 0.07)


def knock(score: Score, movement: Movement) -> None:
    """Knock on an object with a fist, twice by default."""
    side = sides_of(movement.side)[0]
    obj = object_named(score, movement.name, gap_to(score, movement.name), side=side)
    approach(score, obj, movement.pace)
    seconds = _lay_on(score, obj, (side,), movement.pace)
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
    lower_hands(score, (side,), movement.pace, seconds, 0.07)


def _plan_contacts(
    score: Score, obj: RoomObject, sides: tuple[str, ...], kind: ContactKind, start: float, end: float
) -> None:
    """Plan contacts of hands that have just been brought to an object."""
    for side in sides:
        score.contact(f"{side}_hand", obj, kind, start, end, score.hands[side][-1].point)


def _lay_on(
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
        top, inside = obj.pose[2] + _push_height(obj, yaw) - PALM_DEPTH, -PALM_DEPTH
    elif top > MAX_TOUCH_HEIGHT * score.size:  # its front, at the height at which a door is pushed
        top, inside = DOOR_PUSH_HEIGHT * score.size - PALM_DEPTH, obj.extent(yaw) - obj.bulk(yaw) - PALM_DEPTH
    if obj.kind == "chair" and math.cos(yaw - obj.pose[3]) > 0.7:  # its back is in front
        top, inside = top + BACKREST, -0.01
    if obj.round:
        half = 0.04 * (len(sides) - 1)
    left = {side: aside + float(np.clip(0.19 * sign(side) - aside, -half, half)) for side in sides}
    points = {side: np.array([*score.ahead(edge + inside, left[side]), top + PALM_DEPTH]) for side in sides}
    if grasp:
        points = {side: obj.pose[:3] + _grasp(obj, side, yaw) for side in sides}
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
    sides = sides_of(movement.side, "right" if foot or _is_one_handed(score, name) else "both")
    new = name not in score.objects
    on = table_of(score) if score.imagines and kind in ONE_HANDED else None
    on = "floor" if foot or (movement.direction in SIDES and on is None) else on
    obj = object_named(score, name, gap_to(score, name), movement.at or on, side=sides[0])
    if foot and obj.pose[2] > 0.1:
        raise BadInput(f"The {obj.name} stands too high to be pushed with a foot: push it with a hand.")
    if new and kind == "chair":
        obj.start[3] += math.pi  # it is pushed at its back
    if movement.direction in SIDES:
        if obj.pose[2] > 0.1:
            raise BadInput(f"The {obj.name} stands on something: there it is pushed forward only.")
        go_behind(score, obj, movement.direction, movement.pace)
    usual = (0.6 if obj.one_handed or obj.kind == "ball" else 1.0) * PUSH_LENGTH * score.scale
    low = foot or (movement.side is None and _is_low(score, obj))
    distance = movement.distance or usual * (movement.count or 1)
    strokes = max(movement.count or 1, math.ceil(distance / (SHOVE_SHARE * usual if low else usual) - 1e-9))
    length = distance / strokes
    for _ in range(strokes):
        approach(score, obj, movement.pace)
        ahead = score.ahead(length) - score.pose[:2]
        riders = objects_on(score, obj)
        _slides(score, obj, ahead, riders)
        if low:
            _shove(score, obj, ahead, riders, movement.side or "right", movement.pace)
            continue
        seconds = _lay_on(score, obj, sides, movement.pace, grasp=obj.one_handed, push=not obj.one_handed)
        begin, score.now = score.now, score.now + 0.2 + 1.0 / movement.pace
        _plan_contacts(score, obj, sides, "push", begin, score.now + 0.1)
        for side in sides:
            last = score.hands[side][-1].point
            score.reach(side, "world", last + np.append(ahead, 0.0), begin + 0.2, score.now)
        score.trunk.move(begin + 0.2, score.now, score.trunk.value + np.array([0.0, 14.0, 0.0]))
        for moved in (obj, *riders):
            after = moved.pose + np.append(ahead, [0.0, 0.0])
            moved.events.append(Held(begin + 0.1, score.now + 0.1, sides, after, slides=True))
        score.now += 0.1 + (movement.seconds or 0.2)
        lower_hands(score, sides, movement.pace, seconds, 0.07)


def _is_low(score: Score, obj: RoomObject) -> bool:
    """Whether hands would have to push an object on the floor from a crouch, from which the G1 falls over backwards."""
    slides = obj.pose[2] < 0.1 and obj.kind != "ball" and not obj.item.supports
    return slides and _push_height(obj, score.pose[2]) < LOW_PUSH * score.scale


def toe_gap(score: Score, obj: RoomObject, side: str) -> float:
    """Distance from the toes of a foot to the front of an object, m, in the direction that the person faces."""
    ahead = np.array([math.cos(score.pose[2]), math.sin(score.pose[2])])
    return float((obj.pose[:2] - score.feet[side].value[:2]) @ ahead) - obj.extent(score.pose[2]) - TOE_LENGTH


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


def wipe(score: Score, movement: Movement) -> None:
    """Lay a hand on the emptiest part of a table, and rub from side to side."""
    table = object_named(score, movement.name, gap_to(score, movement.name))
    if not table.item.supports or table.loose:
        raise BadInput(f"The mannequin does not wipe the {table.name}: it wipes what things stand on.")
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
    lower_hands(score, (side,), movement.pace, 1.2 / movement.pace, 0.10)


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
    tips = obj.extent(score.pose[2]) / max(obj.item.friction, 0.1)
    height = obj.pose[2] + min(max(tips, MIN_SWEEP_HEIGHT), 0.6 * obj.size[2])
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
    lower_hands(score, (side,), movement.pace, 1.2 / movement.pace, 0.05)


def open_up(score: Score, movement: Movement) -> None:
    """Push a door open, or draw a drawer out."""
    if category_of(movement.name) == "drawer":
        _draw(score, movement)
    else:
        open_door(score, movement)


def close(score: Score, movement: Movement) -> None:
    """Push an open door or drawer shut; imagined ones stand open."""
    kind = category_of(movement.name)
    if kind not in ("door", "drawer"):
        raise BadInput(f"The mannequin does not close the {movement.name}: it closes doors and drawers.")
    if movement.object in score.objects:
        opened = any(isinstance(event, Opened) for event in score.objects[movement.name].events)
        why = "was opened in the same task" if opened else "does not stand open towards the person"
        raise BadInput(f"The {movement.name} {why}, and is not closed then: make 'close the {kind}' a task of its own.")
    if kind == "drawer":
        _push_in(score, movement)
        return
    away = gap_to(score, kind) + AJAR_DISTANCE
    shut = object_named(score, movement.name, away)
    door = score.objects[movement.name] = _standing_open(shut, -AJAR_ANGLE, (-OPEN_ANGLE, AJAR_ANGLE))
    hinge = _hinge(door)
    aside = door.pose[:2] - hinge
    way = np.array([-aside[1], aside[0]]) / np.linalg.norm(aside)  # of the leaf's middle when turning to the left
    walk_route(score, door.pose[:2] - gap_to(score, kind) * way, movement.pace, door)
    face(score, math.atan2(way[1], way[0]), movement.pace)
    _swing(score, door, AJAR_ANGLE, movement)


def _standing_open(shut: RoomObject, value: float, limits: tuple[float, float]) -> RoomObject:
    """A door or drawer that stands open by ``value`` rad or m, with limits about that."""
    assert shut.item.articulation
    joint = shut.item.articulation.model_copy(update={"limits": limits})
    return RoomObject(shut.item.model_copy(update={"articulation": joint}), shut.turned(value))


def _hinge(door: RoomObject) -> np.ndarray:
    """(2,) m, position of a door's axis on the floor."""
    item = door.scene_object
    assert item.articulation
    hinge: np.ndarray = item.rotation.apply(item.articulation.pos)[:2] + item.pos[:2]
    return hinge


def open_door(score: Score, movement: Movement) -> None:
    """Push the free side of a door's leaf with a hand, and wait until it has swung open."""
    door = object_named(score, movement.name, gap_to(score, movement.name))
    joint = door.item.articulation
    if joint is None or joint.kind != "hinge" or abs(joint.axis[2]) < 0.9 * np.linalg.norm(joint.axis):
        raise BadInput(f"The {door.name} has no upright hinge: it cannot be pushed open.")
    approach(score, door, movement.pace)
    way = math.copysign(1.0, -_free_side(score, door) * joint.axis[2])
    if way * joint.limits[way > 0.0] < OPEN_ANGLE:
        raise BadInput(f"The {door.name} does not open away from the person: it cannot be pushed open.")
    _swing(score, door, way * OPEN_ANGLE, movement)


def _free_side(score: Score, door: RoomObject) -> float:
    """Distance from the hinge to the middle of the leaf, m, to the left of the person's heading."""
    ahead, aside = score.ahead(1.0) - score.pose[:2], door.pose[:2] - _hinge(door)
    return float(ahead[0] * aside[1] - ahead[1] * aside[0])


def _swing(score: Score, door: RoomObject, angle: float, movement: Movement) -> None:
    """Push the free side of a leaf that the person faces, and wait until it has swung by an angle, rad."""
    ahead, aside = score.ahead(1.0) - score.pose[:2], _free_side(score, door)
    free = 0.5 * (door.pose[:2] - _hinge(door))  # from the leaf's middle halfway to its free edge
    side = movement.side if movement.side in SIDES else "left" if aside > 0.0 else "right"
    leaf = door.item.largest_shape
    point = np.append(door.pose[:2] + free - min(leaf.size[:2]) / 2.0 * ahead, DOOR_PUSH_HEIGHT * score.size)
    begin, reached = score.now, score.now + 1.3 / movement.pace
    score.reach(side, "world", point - np.append(PALM_DEPTH * ahead, 0.0), begin, reached)
    score.fingers[side].move(begin, begin + 0.6, [4.0, 4.0])
    score.contact(f"{side}_hand", door, "push", reached, reached + 1.0, point)
    score.reach(side, "world", point + np.append(SHOVE_LENGTH * score.scale * ahead, 0.0), reached, reached + 0.9)
    door.events.append(Opened(reached, reached + 3.0, angle, door.turned(angle)))
    score.now = reached + 1.0
    lower_hands(score, (side,), movement.pace, 1.0, 0.0)
    score.now = max(score.now, reached + 3.0)


def _drawer(score: Score, movement: Movement) -> RoomObject:
    """The drawer; an imagined one is on a stand, its front towards the person, at its maximum opening."""
    if movement.object not in score.objects and score.imagines:
        size = np.array(EVERYDAY["drawer"].size)
        stand = object_named(score, "stand", gap_to(score, "drawer"), size=(*size[:2], DRAWER_HEIGHT * score.scale))
        approach(score, stand, movement.pace)
        pose = np.array([*stand.pose[:2], stand.size[2] + DRAWER_GAP, score.pose[2] + math.pi])
        score.objects[movement.name] = RoomObject.imagined(movement.name, pose)
    drawer = object_named(score, movement.name, gap_to(score, "drawer"))
    joint = drawer.item.articulation
    if joint is None or joint.kind != "slide":
        raise BadInput(f"The {drawer.name} does not slide: it is no drawer.")
    approach(score, drawer, movement.pace)
    return drawer


def _draw(score: Score, movement: Movement) -> None:
    """Draw a drawer out with a hand behind its front."""
    drawer = _drawer(score, movement)
    _slide(score, drawer, DRAW_LENGTH, movement)


def _push_in(score: Score, movement: Movement) -> None:
    """Push a drawer shut."""
    drawer = _drawer(score, movement)
    shut = drawer.size[0]
    score.objects[movement.name] = drawer = _standing_open(drawer, DRAW_LENGTH, (-DRAW_LENGTH, shut - DRAW_LENGTH))
    approach(score, drawer, movement.pace)
    _slide(score, drawer, -DRAW_LENGTH, movement)


def _slide(score: Score, drawer: RoomObject, far: float, movement: Movement) -> None:
    """Slide a drawer by its front: out with the hand behind it, or in with the hand in front of it."""
    side = movement.side if movement.side in SIDES else _free_hand(score)
    front = drawer.item.shapes[1]  # the front wall
    turn = Rotation.from_euler("z", drawer.pose[3])
    out = turn.apply([1.0, 0.0, 0.0])
    half = min(front.size) / 2.0 + PALM_DEPTH
    local = np.array([max(s.pos[0] for s in drawer.item.shapes if s.size == front.size), 0.0, drawer.size[2]])
    point = drawer.pose[:3] + turn.apply(local) - math.copysign(half, far) * out - [0.0, 0.0, 0.03]
    begin, reached = score.now, score.now + bend_seconds(score, point[2], movement.pace)
    score.reach(side, "world", point, begin, reached, lift=0.10 if far > 0.0 else 0.03)
    score.fingers[side].move(begin, begin + 0.6, [4.0, 4.0])
    lean(score, point, begin, reached)
    score.now = reached + 0.2 + 1.4 / movement.pace
    score.contact(f"{side}_hand", drawer, "push", reached, score.now, point, (-math.copysign(1.0, far), 0.0, 0.0))
    score.reach(side, "world", point + far * out, reached + 0.2, score.now)
    drawer.events.append(Opened(reached + 0.2, score.now, far, drawer.turned(far)))
    lower_hands(score, (side,), movement.pace, 1.2 / movement.pace, 0.08)


def _push_height(obj: RoomObject, yaw: float) -> float:
    """m, height at which an object slides when pushed rather than tips."""
    tips = obj.extent(yaw) / max(obj.item.friction, 0.1)
    return float(min(max(tips, MIN_PUSH_HEIGHT), (0.5 if obj.round else 0.65) * obj.size[2]))


def _slides(score: Score, obj: RoomObject, ahead: np.ndarray, riders: list[RoomObject]) -> None:
    """Check that an object can be pushed on."""
    under = support_of(score.objects.values(), obj)
    if under and under.distance(obj.pose[:2] + ahead * (1.0 + obj.size[0] / 2.0 / np.linalg.norm(ahead))) > 0.0:
        raise BadInput(f"The {obj.name} would fall off the {under.name}.")
    after = obj.at(obj.pose + np.append(ahead, [0.0, 0.0]))
    for near in score.objects.values():
        if near in (obj, under, *riders) or near.item.id in score.held.values():
            continue
        if np.linalg.norm(near.pose[:2] - after.pose[:2]) < after.edge(math.atan2(*ahead[::-1])) + near.size[0] / 2.0:
            raise BadInput(f"The {near.name} stands in the way of the {obj.name}.")


def hold(score: Score, movement: Movement) -> None:
    """Pick an object up unless it is held, and stay."""
    if movement.object not in score.held.values():
        pick_up(
            score, Movement("pick up", object=movement.object, side=movement.side, at=movement.at, pace=movement.pace)
        )
    score.now += movement.seconds or 2.0


def _grip_height(obj: RoomObject) -> float:
    return float(_GRIP.get(obj.kind, 0.65) * obj.size[2])


def _grasp(obj: RoomObject, side: str, yaw: float) -> np.ndarray:
    """(3,) from the centre of an object's underside to a hand that holds it."""
    s = sign(side)
    out = obj.edge(yaw + math.pi / 2.0) + PALM_DEPTH
    return np.array([-s * out * math.sin(yaw), s * out * math.cos(yaw), _grip_height(obj)])


def pick_up(score: Score, movement: Movement) -> None:
    """Grasp an object and lift it to its carrying position."""
    kind = category_of(movement.name)
    known = score.objects.get(movement.name)
    if known and known.item.movable and known.item.mass > MAX_CARRIED:
        raise BadInput(f"The {known.name} weighs {known.item.mass:g} kg: {MAX_CARRIED:g} kg can be lifted.")
    if not (known.loose if known else kind in LOOSE):
        raise BadInput(f"The mannequin cannot pick up the {movement.name}: it can pick up {', '.join(LOOSE)}.")
    sides = _taking_hands(score, movement)
    obj = object_named(score, movement.name, gap_to(score, movement.name), movement.at, side=sides[0])
    for _ in range(movement.count or 1):
        if movement.object in score.held.values():
            place(score, Movement("place", object=movement.object, at="floor"))
        approach(score, obj, movement.pace)
        yaw, begin = score.pose[2], score.now
        points = {side: obj.pose[:3] + _grasp(obj, side, yaw) for side in sides}
        height = float(points[sides[0]][2])
        end = begin + bend_seconds(score, height, movement.pace)
        for side in sides:
            score.reach(side, "world", points[side], begin, end, lift=0.05 if obj.pose[2] > 0.1 else 0.0)
            score.fingers[side].move(begin, begin + 0.5, [8.0, 8.0])
            score.fingers[side].move(end, end + 0.3, [50.0, 50.0] if obj.one_handed else [18.0, 18.0])
        lean(score, points[sides[0]], begin, end)
        hold = end + 0.35
        _plan_contacts(score, obj, sides, "grasp", hold, STILL_HELD)
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
        spot = np.array([*score.ahead(gap_to(score, obj.kind) + obj.size[0] / 2.0), 0.0])
        placed = obj.at(np.array([*spot, score.pose[2]]))
        near = [
            n
            for n, t in score.objects.items()
            if n not in score.held.values() and t.distance(spot) < placed.size[:2].max() / 2.0 + 0.02
        ]
        if near:
            step_away(score, 0.6)
            spot = np.array([*score.ahead(gap_to(score, obj.kind) + obj.size[0] / 2.0), 0.0])
    else:
        if movement.at == name:
            raise BadInput(f"The {name} cannot be put on itself.")
        support = _support(score, movement.at)
        approach(score, support, movement.pace)
        spot = spot_beside(score, support, obj, beside) if beside else spot_on(score, support, obj, sides[0])
        _step_aside(score, spot, movement.pace)
    yaw, begin = score.pose[2], score.now
    height = spot[2] + _grip_height(obj)
    end = begin + bend_seconds(score, height, movement.pace)
    into = movement.at in score.objects and score.objects[movement.at].item.contains and not beside
    after = obj.at(np.array([*spot, yaw + score.turned[name]]))
    for side in sides:
        point = spot + _grasp(after, side, yaw)
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
    lower_hands(score, sides, movement.pace, bend_seconds(score, height, movement.pace), 0.14 if into else 0.06)


def _step_aside(score: Score, spot: np.ndarray, pace: float) -> None:
    """Step to the side towards a target that is too far aside to be reached."""
    left = float((spot[:2] - score.pose[:2]) @ (score.ahead(0.0, 1.0) - score.pose[:2]))
    if abs(left) > FAR_ASIDE:
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
