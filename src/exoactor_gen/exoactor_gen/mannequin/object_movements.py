"""Movements with objects: the table of all, and those of the whole body (looking, striking, sitting, sweeping)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.contacts import SIDES
from exoactor_core.errors import BadInput
from exoactor_gen.mannequin.carrying import carry, hold, pick_up, place
from exoactor_gen.mannequin.doors_and_drawers import close, open_up
from exoactor_gen.mannequin.gestures import raise_guard
from exoactor_gen.mannequin.handling import knock, lower_hands, touch, wipe
from exoactor_gen.mannequin.locomotion import approach, bearing_of, gap_to, turn_to, walk_along, walk_route
from exoactor_gen.mannequin.movement import START, Movement, category_of
from exoactor_gen.mannequin.objects import LOOSE, Held, Kicked, RoomObject
from exoactor_gen.mannequin.placement import WALK_DISTANCE, is_free, is_known, object_named, objects_on, shown
from exoactor_gen.mannequin.pushing import aim, goal_of, push, sweep_off, toe_gap
from exoactor_gen.mannequin.score import IDLE, Score, Seat, heading_vector, sides_of, sign
from exoactor_gen.mannequin.walking import turn_to_face, walk_around, walk_back_to, walk_circle, walk_past, walk_to

SEAT_DISTANCE = 0.26
"""m from the middle of the standing person back to the middle of the chair."""
BEHIND_DISTANCE = 0.55
"""m, the same for an imagined chair that would otherwise touch the person: a person of the robot's size steps back."""
TURN_DISTANCE = 0.30
"""m of additional distance from a seat for turning round, so that knees and hands clear it."""
SEAT_CLEARANCE = 0.38
"""m from the edge of a seat to the middle of a person standing in front of it."""
_SEATED_ARM = 58.0, 14.0, 0.0, 30.0
"""As `IDLE`, for a seated person: hands above the knees."""
FIST_LENGTH = 0.05
"""m from the centre of the hand to the knuckles of a fist."""
MAX_AIM_ANGLE = 60.0
"""Degrees to the side that arm and head reach when pointing or looking; beyond it the person turns."""
_SEEN = {"walk": " to", "turn": " to", "look": " at", "knock": " on"} | dict.fromkeys(
    ("touch", "nudge", "carry", "hold", "open", "close", "wipe"), ""
)
"""Actions that are never mimed."""


def handle(score: Score, movement: Movement) -> bool:
    """Carry out a movement with an object; False: it has none that can be shown."""
    begin = score.now
    if movement.kind == "walk" and movement.object == START and movement.direction == "backward":
        walk_back_to(score, np.zeros(2), movement.pace)
    elif movement.kind == "walk" and movement.object == START:
        walk_route(score, np.zeros(2), movement.pace)
    elif movement.kind == "walk" and movement.direction == "around" and not movement.object:
        walk_circle(score, movement)
    elif movement.kind in ("sweep", "place") or (is_known(score, movement.object) and movement.kind in _HANDLED):
        _HANDLED[movement.kind](score, movement)
    elif movement.object and movement.kind in _SEEN:
        what = f"{movement.kind}{_SEEN[movement.kind]}"
        raise BadInput(f"There is no {movement.object} to {what}: the mannequin's room can have {shown()}.")
    elif movement.kind in ("walk", "step"):
        return walk_past(score, movement)
    else:
        return False
    score.now = max(score.now, begin + 0.3)  # if the hands are already there
    return True


def _seen(score: Score, movement: Movement) -> tuple[RoomObject, float, float]:
    """Object that is pointed or looked at, with distance and direction, if possible."""
    if movement.direction == "up":
        raise BadInput(f"The {movement.object} does not stand that high: leave 'up' out.")
    aside = {"left": 45.0, "right": -45.0}.get(movement.direction or "", 0.0)
    obj = object_named(score, movement.name, WALK_DISTANCE, movement.at, aside)
    return obj, *turn_to(score, obj, movement.pace, MAX_AIM_ANGLE)


def _gaze(score: Score, obj: RoomObject, begin: float, end: float) -> None:
    distance, bearing = bearing_of(score, obj.pose)
    middle = obj.pose[2] + obj.size[2] / 2.0
    down = math.degrees(math.atan2(1.5 - middle, distance))
    score.head.move(begin, end, [np.clip(bearing, -MAX_AIM_ANGLE, MAX_AIM_ANGLE), min(down, 38.0)])


def _look(score: Score, movement: Movement) -> None:
    obj, *_ = _seen(score, movement)
    for _ in range(movement.count or 1):
        begin, score.now = score.now, score.now + 0.8 / movement.pace
        _gaze(score, obj, begin, score.now)
        score.now += movement.seconds or 1.0
        score.head.move(score.now, score.now + 0.8 / movement.pace, [0.0, 0.0])
        score.now += 0.8 / movement.pace


def _point(score: Score, movement: Movement) -> None:
    """Point with a straight arm at the object's centre, and look at it."""
    obj, _, bearing = _seen(score, movement)
    sides = sides_of(movement.side, "left" if bearing > 15.0 else "right")
    point = obj.pose[:3] + np.array([0.0, 0.0, 0.6 * obj.size[2]])
    for _ in range(movement.count or 1):
        begin, score.now = score.now, score.now + 1.1 / movement.pace
        _gaze(score, obj, begin, score.now)
        score.trunk.move(begin, score.now, [0.0, 2.0, 0.35 * bearing])
        for side in sides:
            score.reach(side, "aim", point, begin, score.now)
            score.fingers[side].move(begin, begin + 0.6, [75.0, 2.0])
        score.now += movement.seconds or 1.2
        lower_hands(score, sides, 1.1 / movement.pace, 0.0)


def _punch(score: Score, movement: Movement) -> None:
    """Punch from the guard to the surface of the bag and back."""
    if category_of(movement.name) != "bag":
        raise BadInput(f"The mannequin does not punch the {movement.object}: it punches a punching bag.")
    bag = object_named(score, movement.name, gap_to(score, "bag"))
    approach(score, bag, movement.pace)
    sides = sides_of(movement.side)
    raise_guard(score, sides, movement.pace)
    edge = np.linalg.norm(bag.pose[:2] - score.pose[:2]) - bag.size[0] / 2.0
    for _ in range(movement.count or 1):
        for side in sides:
            hit, leave, end = score.now + np.array([0.5, 0.75, 1.35]) / movement.pace
            fist = [*score.ahead(edge - FIST_LENGTH, 0.05 * sign(side)), 1.30 * score.size]
            score.reach(side, "world", fist, score.now, hit)
            score.contact(f"{side}_hand", bag, "strike", hit, leave, fist)
            score.reach(side, "free", np.zeros(3), leave, end)
            score.trunk.move(score.now, hit, [3.0, 6.0, -20.0 * sign(side)])
            score.trunk.move(leave, end, [0.0, 0.0, 0.0])
            score.now = end + 0.08
    score.now = max(score.arm(side, IDLE, 0.9 / movement.pace) for side in sides)
    for side in sides:
        score.fingers[side].move(score.now - 0.5, score.now, score.fingers[side].start)


def _chair(score: Score, name: str | None, seat: float) -> RoomObject:
    """The chair to sit on; an imagined one stands behind the person if possible."""
    seats = [id_ for id_, obj in score.objects.items() if obj.kind in ("chair", "stool")]
    if name is None and not score.imagines and len(seats) != 1:
        raise BadInput(f"The scene has {'no chair' if not seats else 'several chairs'}: say what to sit on.")
    name = name or (seats[0] if seats else "chair")
    if name not in score.objects and score.imagines:
        for away in (seat, BEHIND_DISTANCE):
            behind = RoomObject.imagined(name, np.array([*score.ahead(-away), 0.0, score.pose[2]]))
            if name not in score.objects and is_free(score, behind):
                score.objects[name] = behind
    return object_named(score, name, 0.8)


def sit(score: Score, movement: Movement, gesticulate: Callable[[Score], None]) -> None:
    """Sit down on a chair, make gestures, and rise again; a chair that was pushed away is walked around."""
    seat = SEAT_DISTANCE * score.scale
    chair = _chair(score, movement.object, seat)
    if objects_on(score, chair):
        raise BadInput(f"The person cannot sit down: the {objects_on(score, chair)[0].name} is on the {chair.name}.")
    yaw = score.pose[2] + math.radians(bearing_of(score, chair.pose)[1])
    faces = chair.pose[3]
    if chair.kind != "chair" and not score.imagines:  # it has no back: its closest side is its front
        faces += round((yaw + math.pi - faces) / (math.pi / 2.0)) * math.pi / 2.0
    turn = math.degrees(math.remainder(faces - score.pose[2], 2.0 * math.pi))
    ahead, aside = Rotation.from_euler("z", -faces).apply([*(score.pose - chair.pose[:3])[:2], 0.0])[:2]
    if chair.pose[3] == score.pose[2] and np.allclose(score.ahead(-seat), chair.pose[:2], atol=0.03):
        pass  # it stands right behind
    elif abs(turn) < 10.0 and 0.0 < ahead < 0.6 and abs(aside) < 0.06:
        score.walk_distance("backward", ahead - seat, movement.pace)  # the person already stands in front of it
    elif not score.imagines:
        before = (chair.extent(faces) + SEAT_CLEARANCE) * heading_vector(faces)
        walk_route(score, chair.pose[:2] + before, movement.pace, chair, past=True)
        score.turn(math.remainder(bearing_of(score, chair.pose)[1] - 180.0, 360.0), movement.pace)
        score.walk_distance("backward", bearing_of(score, chair.pose)[0] - seat, movement.pace)
    elif chair.events and math.cos(yaw - chair.pose[3]) > 0.0:
        walk_around(score, Movement("walk", direction="around", object=chair.item.id, pace=movement.pace))
        score.walk_distance("backward", bearing_of(score, chair.pose)[0] - seat, movement.pace)
    else:
        approach(score, chair, movement.pace)
        distance, _ = bearing_of(score, chair.pose)
        walk_along(score, "forward", distance - seat - TURN_DISTANCE, movement.pace, chair)
        score.turn(180.0, movement.pace)
        score.walk_distance("backward", TURN_DISTANCE, movement.pace)
        if not chair.events:
            chair.start[3] = score.pose[2]
    down = 1.7 / movement.pace
    for _ in range(movement.count or 1):
        begin, end = score.now, score.now + down
        score.bend(begin, end, 0.39, (30.0, 14.0, 0.0), -18.0)
        free = [s for s in SIDES if s not in score.held]
        for side in free:
            score.arm(side, _SEATED_ARM, down)
        score.now = end
        with score.resting(_SEATED_ARM):
            gesticulate(score)
        rise = max(score.now, end + (movement.seconds or 1.0))
        for side in free:
            score.arm(side, IDLE, down, at=rise)
        score.bend(rise, rise + down)
        score.contact("seat", chair, "sit", end, rise)
        score.seats.append(Seat((begin, end, rise, rise + down), chair.size[2]))
        score.now = rise + down + 0.1


def _sweep(score: Score, movement: Movement) -> None:
    """Sweep something off its support, or the floor: take the broom in both hands, sweep, put it back."""
    if movement.object:
        sweep_off(score, movement)
        return
    broom = object_named(score, "broom", gap_to(score, "broom"))
    approach(score, broom, movement.pace)
    begin, end = score.now, score.now + 1.2 / movement.pace
    upper, lower = ("right", "left") if movement.side != "left" else ("left", "right")
    foot, up = broom.pose[:3], np.array([0.0, 0.0, 1.0])
    high, low = 1.25, 1.00
    for side, z in ((upper, high), (lower, low)):
        score.reach(side, "world", foot + z * up, begin, end)
        score.fingers[side].move(begin, begin + 0.4, [8.0, 8.0])
        score.fingers[side].move(end, end + 0.3, [60.0, 60.0])
    score.trunk.move(begin, end, [3.0, 6.0, 0.0])
    score.head.move(begin, end, [0.0, 16.0])
    score.now = end + 0.35
    hold = score.now
    strokes = movement.count or max(2, round((movement.seconds or 5.0) / 1.7))
    half = 0.85 / movement.pace
    ways = [1.0, -1.0] * strokes
    for k, way in enumerate([*ways, 0.0]):
        seconds = half if 0 < k < len(ways) else 1.0 / movement.pace
        last = k == len(ways)
        bristles = foot if last else np.array([*score.ahead(0.72, 0.30 * way), 0.0])
        s = sign(upper)
        top = foot + up if last else np.array([*score.ahead(0.20, 0.10 * s + 0.05 * way), 1.35])
        axis = (top - bristles) / np.linalg.norm(top - bristles)
        for side, z in ((upper, high), (lower, low)):
            score.reach(side, "world", bristles + z * axis, score.now, score.now + seconds)
        score.trunk.move(score.now, score.now + seconds, [4.0, 9.0, 10.0 * way] if not last else [3.0, 6.0, 0.0])
        score.now += seconds
    score.past += [score.ahead(0.75, left) for left in (-0.3, 0.0, 0.3)]
    broom.events.append(Held(hold, score.now + 0.05, (upper, lower), broom.pose))
    for side in SIDES:
        score.fingers[side].move(score.now, score.now + 0.3, [8.0, 8.0])
    score.now += 0.3
    lower_hands(score, SIDES, 1.2 / movement.pace, 0.0)


def _kick(score: Score, movement: Movement) -> None:
    """Kick low and gently: the foot meets the object in front of it, which slides or rolls away."""
    side = movement.side or "right"
    s = sign(side)
    obj = object_named(score, movement.name, 0.34, "floor")
    goal = goal_of(score, movement, obj)
    if movement.object in score.held.values():
        place(score, Movement("place", object=movement.object, at="floor"))
    if not obj.loose:
        raise BadInput(f"The mannequin does not kick the {obj.name}: it kicks {', '.join(LOOSE)}.")
    if obj.pose[2] > 0.1:
        raise BadInput(f"The {obj.name} stands too high for a kick: put it on the floor first.")
    free = math.inf
    if goal or movement.direction in SIDES:
        free = aim(score, obj, movement)
    elif not score.past[1:] and len(score.objects) == 1 and not obj.events:
        obj.start[:2] = score.ahead(0.34 + obj.size[0] / 2.0, s * 0.10)
    else:
        approach(score, obj, movement.pace)
    for again in range(movement.count or 1):
        if again:
            approach(score, obj, movement.pace)
        for near in score.standing:
            if near not in (obj, goal) and min(near.distance(score.ahead(x, 0.1 * s)) for x in (0.2, 0.35, 0.5)) < 0.08:
                raise BadInput(f"The {near.item.id} stands where the foot would kick: go elsewhere first.")
        front = toe_gap(score, obj, side)
        ways = (-0.14, 0.10, 18.0, 0.50), (max(front, 0.05) + 0.14, 0.09, -6.0, 0.62), (0.03, 0.08, 4.0, 0.60)
        begin, end = score.swing_foot(side, ways, movement.pace)[1]
        score.contact(f"{side}_foot", obj, "strike", begin, end)
        far = min(free, 1.0 if obj.kind == "ball" else 0.6)
        obj.events.append(
            Kicked(side, begin, end + 1.2, obj.pose + far * np.append(heading_vector(score.pose[2]), [0.0, 0.0]))
        )
        score.past += [score.ahead(x) for x in np.arange(0.4, front + 0.4 + far, 0.15)]
        score.settle(0.7)


_HANDLED = {
    "walk": walk_to,
    "turn": turn_to_face,
    "look": _look,
    "point": _point,
    "reach": touch,
    "touch": touch,
    "push": push,
    "nudge": push,
    "knock": knock,
    "open": open_up,
    "close": close,
    "pick up": pick_up,
    "hold": hold,
    "place": place,
    "carry": carry,
    "sweep": _sweep,
    "wipe": wipe,
    "kick": _kick,
    "punch": _punch,
}
