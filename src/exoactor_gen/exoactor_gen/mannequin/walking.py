"""Walking relative to objects: to them, around them, past them, and back to the start."""

from __future__ import annotations

import math

import numpy as np

from exoactor_core.arrays import smoothstep, unit
from exoactor_core.contacts import SIDES
from exoactor_core.errors import BadInput
from exoactor_core.scene import MAX_STEP_HEIGHT
from exoactor_gen.mannequin.locomotion import (
    approach,
    bearing_of,
    detour_width,
    gap_to,
    is_clear,
    turn_to,
    walk_along,
    walk_arc,
    walk_route,
)
from exoactor_gen.mannequin.movement import Movement, category_of
from exoactor_gen.mannequin.objects import Opened, RoomObject
from exoactor_gen.mannequin.placement import WALK_DISTANCE, is_free, is_known, object_named
from exoactor_gen.mannequin.score import USUAL_STEP, Score, heading_vector, other, sign
from exoactor_gen.mannequin.whole_body import MEAN_STATURE

PAST_CORNERS, MIN_LEAD, ROOM_BEFORE = 0.10, 0.3, 0.35
"""m: beyond the corners of what is walked around the way is as wide as there; up to where it becomes so, at least; and
so much more of it for who stands nearer."""
BEHIND_DISTANCE, BEHIND_DOOR_DISTANCE = 0.4, 0.7
"""m behind an object that is walked around to a subsequent goal; and m walked on behind a door."""
GATE_SIZE = (0.3, 1.2, 1.24)
"""m, of an imagined bar to walk under."""
MAX_DUCK = 0.30
"""m, maximum lowering of the head."""
STEP_OVER_DISTANCE = 0.20
"""m between the middle of the foot that steps over a bar and the middle of the bar, before and after."""
BALANCE_SECONDS = 0.6
"""s of standing still before it."""
HEADROOM, BACK_LENGTH = 0.05, 0.80
"""m: clearance above the head, and length from the hips to the top of the head."""
MIN_BACKWARD_BEARING = 170.0
"""Degrees off straight ahead from which a goal is walked to backward."""
SIDE_ANGLE = 50.0
"""Degrees off straight ahead of objects imagined on a side."""
BEHIND_BAR_DISTANCE = 0.7
"""m from a bar to the end of the walk over or under it."""
PASSAGE, MIN_PASSAGE = 1.1, 0.7
"""m between two imagined objects to walk between, and minimum in given scenes."""
MIN_WALK = 0.8
"""m, minimum walk towards an imagined object that is not reached."""
CIRCLE_RADIUS = 0.9
"""m, radius of a circle that is walked about nothing."""


def walk_to(score: Score, movement: Movement) -> None:
    """Walk to an object, or around it."""
    if movement.direction == "around":
        walk_around(score, movement)
        return
    if movement.direction == "between":
        walk_between(score, movement)
        return
    if movement.direction in ("over", "under"):
        walk_across(score, movement)
        return
    if movement.direction == "forward" and category_of(movement.name) == "door":
        walk_through(score, movement)
        return
    if movement.direction == "backward":
        raise BadInput(f"The mannequin walks to the {movement.object} forward, not {movement.direction}.")
    away = max((movement.distance or WALK_DISTANCE) + gap_to(score, movement.name), MIN_WALK + (movement.gap or 0.0))
    aside = {"left": SIDE_ANGLE, "right": -SIDE_ANGLE}.get(movement.direction or "", 0.0)
    left = score.ahead(0.0, 1.0) - score.pose[:2]
    begin, known = score.pose[:2].copy(), movement.name in score.objects
    obj = object_named(score, movement.name, away, movement.at, aside)
    if aside and (obj.pose[:2] - begin) @ left * aside <= 0.0:
        raise BadInput(f"The {obj.name} is not on the {movement.direction} of the person.")
    if movement.object in score.held.values():
        raise BadInput(f"The person holds the {movement.object} and cannot walk to it.")
    if movement.gap or (known and movement.distance):
        _walk_towards(score, obj, movement)
    elif movement.side:
        _walk_beside(score, obj, obj.pose, sign(movement.side), movement.pace)
    else:
        approach(score, obj, movement.pace)


def _walk_towards(score: Score, obj: RoomObject, movement: Movement) -> None:
    """Walk a distance towards an object that is not nearer, or up to a distance before it."""
    away, _ = turn_to(score, obj, movement.pace, 3.0)
    edge = away - obj.extent(score.pose[2])
    distance = movement.distance or edge - (movement.gap or 0.0)
    if distance < 0.05:
        raise BadInput(f"The person is {edge:.2f} m from the {obj.name} already: {movement.gap:g} m are farther.")
    room = max(edge - gap_to(score, obj.kind), 0.0)
    if distance > room + 0.1:
        raise BadInput(f"The {obj.name} is reached after {room:.1f} m: {distance:.2g} m are too far.")
    walk_along(score, "forward", distance, movement.pace, obj)


def walk_through(score: Score, movement: Movement) -> None:
    """Walk on through a door that stands open."""
    door = object_named(score, movement.name, WALK_DISTANCE)
    if not any(isinstance(event, Opened) for event in door.events):
        raise BadInput(f"The {door.name} is not open: say 'push the {door.name} open and walk through'.")
    distance, bearing = bearing_of(score, door.start)
    if abs(bearing) > 30.0:
        score.turn(bearing, movement.pace)
    score.walk_distance("forward", distance + BEHIND_DOOR_DISTANCE, movement.pace)


def walk_across(score: Score, movement: Movement) -> None:
    """Step over a low bar, or walk bent under one at shoulder height."""
    over = movement.direction == "over"
    bar = object_named(score, movement.name, WALK_DISTANCE, size=None if over else GATE_SIZE)
    approach(score, bar, movement.pace)
    rail = max(bar.item.shapes, key=lambda shape: shape.size[1])
    low, high = bar.pose[2] - bar.underside[2] + rail.pos[2] + np.array([-0.5, 0.5]) * rail.size[2]
    away, _ = bearing_of(score, bar.pose)
    if over:
        if high > MAX_STEP_HEIGHT:
            raise BadInput(f"The {bar.name} is {high:.2f} m high: {MAX_STEP_HEIGHT:g} m can be stepped over.")
        short = STEP_OVER_DISTANCE * score.scale
        score.walk_distance("forward", away - short, movement.pace)
        score.now += BALANCE_SECONDS
        score.pose[:2] = score.ahead(2.0 * short)
        for side in ("right", "left"):
            score.step(side, movement.pace, swing=0.7, double=0.3, clearance=(high + 0.15) / score.scale)
        score.settle()
        past = short
    else:
        duck = MEAN_STATURE * score.size + HEADROOM - low
        if duck > MAX_DUCK:
            raise BadInput(f"The {bar.name} is {low:.2f} m over the floor: that is too low to walk under.")
        bent = math.degrees(math.acos(1.0 - 0.5 * max(duck, 0.0) / (BACK_LENGTH * score.size)))
        score.bend(score.now, score.now + 1.0, 0.5 * max(duck, 0.0), (0.4 * bent, 0.6 * bent, 0.0))
        score.now, past = score.now + 1.0, BEHIND_DISTANCE
        score.walk_distance("forward", away + past, movement.pace)
        score.bend(score.now, score.now + 1.0)
        score.now += 1.0
    score.walk_distance("forward", BEHIND_BAR_DISTANCE - past, movement.pace)


def walk_between(score: Score, movement: Movement) -> None:
    """Walk between two objects, and on behind them."""
    one, two = (_beside_the_way(score, name or "", s) for name, s in ((movement.object, 1.0), (movement.at, -1.0)))
    across = unit(two.pose[:2] - one.pose[:2])
    yaw = math.atan2(across[1], across[0])
    near, far = one.pose[:2] + one.edge(yaw) * across, two.pose[:2] - two.edge(yaw) * across
    gap, middle = float((far - near) @ across), (near + far) / 2.0
    if gap < MIN_PASSAGE * score.scale:
        raise BadInput(f"The {one.name} and the {two.name} are {max(gap, 0.0):.1f} m apart: nobody gets through there.")
    ahead = np.array([-across[1], across[0]])
    ahead *= math.copysign(1.0, float((middle - score.pose[:2]) @ ahead))
    for away in (-BEHIND_DISTANCE, BEHIND_DISTANCE):
        if (middle + away * ahead - score.pose[:2]) @ ahead > 0.1:
            walk_route(score, middle + away * ahead, movement.pace, one, past=True)


def _beside_the_way(score: Score, name: str, s: float) -> RoomObject:
    """One of two objects to walk between; a new one stands to the left (s = 1) or right (-1) of the path."""
    new = name not in score.objects and score.imagines and is_known(score, name)
    if new:
        imagined = RoomObject.imagined(name, np.zeros(4))
        aside = s * (PASSAGE / 2.0 + imagined.size[1] / 2.0)
        obj = imagined.at(np.array([*score.ahead(WALK_DISTANCE + 0.3, aside), 0.0, score.pose[2]]))
        if not is_free(score, obj):
            raise BadInput(f"There is no room for the {obj.name} beside the way: go elsewhere first.")
        score.objects[name] = obj
    return object_named(score, name, WALK_DISTANCE)


def walk_back_to(score: Score, point: np.ndarray, pace: float) -> None:
    """Walk backward, straight to a point (2,) on the floor behind the person."""
    distance, bearing = bearing_of(score, point)
    if distance > 0.1 and abs(bearing) < MIN_BACKWARD_BEARING:
        raise BadInput("The start is not right behind the person: say 'walk back to the start'.")
    score.walk_distance("backward", distance, pace)


def walk_around(score: Score, movement: Movement) -> None:
    """Walk past an object in an arc, and continue behind it in the same direction."""
    obj = object_named(score, movement.name, 0.75, "floor")
    if movement.at in score.objects:
        _walk_past_to(score, obj, score.objects[movement.at], movement)
        return
    distance, bearing = turn_to(score, obj, movement.pace, 8.0)
    if movement.angle:
        _circle(score, obj, -1.0 if movement.side == "right" else 1.0, movement.pace)
        return
    close = MIN_LEAD - (distance - obj.extent(score.pose[2]) - PAST_CORNERS)
    if close > 0.0:  # no room to get past its corner
        score.walk_distance("backward", close + ROOM_BEFORE, movement.pace)
        distance, bearing = bearing_of(score, obj.pose)
    start = score.pose.copy()
    half = obj.extent(start[2] + math.pi / 2.0) + 0.36
    left = distance * math.sin(math.radians(bearing))
    deep = obj.extent(start[2]) + PAST_CORNERS
    s = -1.0 if movement.side == "right" else 1.0
    # past the corners at full width, then back onto the line
    lead, tail = distance - deep, 0.65
    x = np.linspace(0.0, distance + deep + tail, 400)
    y = (left + s * half) * (smoothstep(x / lead) - smoothstep((x - distance - deep) / tail))
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    count = math.ceil(along[-1] / (0.34 * score.scale))
    foot = "left" if s > 0.0 else "right"
    c, sn = math.cos(start[2]), math.sin(start[2])
    for k in range(1, count + 1):
        at = along[-1] * k / count
        px, py = np.interp(at, along, x), np.interp(at, along, y)
        ahead = min(at + 0.1, along[-1]), max(at - 0.1, 0.0)
        yaw = math.atan2(np.subtract(*np.interp(ahead, along, y)), np.subtract(*np.interp(ahead, along, x)))
        score.pose[:] = start[0] + c * px - sn * py, start[1] + sn * px + c * py, start[2] + yaw * (k < count)
        score.step(foot, movement.pace, roll=0.25)
        foot = other(foot)
    score.step(foot, movement.pace, roll=0.12)
    score.settle()
    if movement.at:
        approach(score, object_named(score, movement.at, BEHIND_DISTANCE + gap_to(score, movement.at)), movement.pace)


def _walk_past_to(score: Score, obj: RoomObject, goal: RoomObject, movement: Movement) -> None:
    """Walk around an object to a goal behind it."""
    (x, y), (gx, gy) = obj.pose[:2] - score.pose[:2], goal.pose[:2] - score.pose[:2]
    far = math.copysign(1.0, gx * y - gy * x)
    _walk_beside(score, obj, goal.pose, sign(movement.side) if movement.side else far, movement.pace)
    approach(score, goal, movement.pace)


def _walk_beside(score: Score, obj: RoomObject, ahead: np.ndarray, s: float, pace: float) -> None:
    """Walk to where an object is on the right (s = 1) or left (-1) when looking from here to a point ahead."""
    yaw = math.atan2(*(ahead[:2] - score.pose[:2])[::-1])
    left = np.array([-math.sin(yaw), math.cos(yaw)])
    walk_route(score, obj.pose[:2] + s * (obj.extent(yaw + math.pi / 2.0) + 0.36) * left, pace, obj, past=True)


def _circle(score: Score, obj: RoomObject, s: float, pace: float) -> None:
    """Walk all the way around an object, first past its left (s = 1) or right (-1), back to the start of the circle."""
    distance, _ = bearing_of(score, obj.pose)
    radius = math.hypot(*obj.size[:2]) / 2.0 + 0.42
    if distance - radius > 0.03:
        score.walk_distance("forward", distance - radius, pace)
    elif radius - distance > 0.06:
        score.walk_distance("backward", radius - distance, pace)
    score.turn(90.0 * s, pace)
    walk_arc(score, obj.pose[:2], radius, s, pace)


def walk_circle(score: Score, movement: Movement) -> None:
    """Walk a circle about nothing, by default to the left, back to its start."""
    s = 1.0 if movement.side == "right" else -1.0
    middle = score.ahead(0.0, -s * CIRCLE_RADIUS)
    around = score.pose[2] + np.linspace(0.0, 2.0 * math.pi, 24)
    if not is_clear(score, [middle + CIRCLE_RADIUS * heading_vector(a) for a in around]):
        where = f"where the person would walk a circle of {CIRCLE_RADIUS:g} m"
        raise BadInput(f"Objects stand {where}: go elsewhere first.")
    walk_arc(score, middle, CIRCLE_RADIUS, s, movement.pace)


def walk_past(score: Score, movement: Movement) -> bool:
    """Walk past an obstacle; False: there is none."""
    direction = movement.direction or "forward"
    count = movement.count or (1 if movement.kind == "step" else 4)
    length = movement.distance or count * score.scale * USUAL_STEP[direction]
    if not detour_width(score, direction, length):
        return False
    walk_along(score, direction, length, movement.pace)
    return True


def turn_to_face(score: Score, movement: Movement) -> None:
    """Turn to an object; a new one stands aside."""
    way = {"right": -1.0, "around": 2.0}.get(movement.direction or "", 1.0)
    away = WALK_DISTANCE + gap_to(score, movement.name)
    obj = object_named(score, movement.name, away, aside=way * (movement.angle or 90.0))
    _, bearing = bearing_of(score, obj.pose)
    if abs(bearing) > 3.0:  # the way round that is said
        if movement.direction in SIDES and bearing * sign(movement.direction) < 0.0:
            bearing += 360.0 * sign(movement.direction)
        score.turn(bearing, movement.pace)
