"""Actions with things: going to and around them, looking and pointing at them, using hands or a foot on them.

A thing that is first spoken of is put where it is needed: within reach, or some steps ahead if it is walked to, unless
the person has walked there before; then it stands in another direction, and the person turns to it.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from exoactor_core.errors import BadInput
from exoactor_gen.mannequin.language import START, Action
from exoactor_gen.mannequin.scene import BACKREST, FLESH, LOOSE, ROUND, SIZES, SMALL, TALL, Held, Kicked, Thing
from exoactor_gen.mannequin.score import GUARD, IDLE, LENGTH, SIDES, Score, Seat, other, sides_of

GAP = {
    "table": 0.32, "box": 0.31, "basket": 0.31, "bottle": 0.34, "cup": 0.34, "ball": 0.28, "chair": 0.36, "bag": 0.66,
    "broom": 0.30,
}  # fmt: skip
"""From the middle of the person who uses it to its edge, m."""
FAR = 1.2
"""So far ahead stands what is walked to, m."""
CIRCLE = 0.9
"""Radius of the circle that is walked about nothing, m."""
SEATED = 0.26
"""From the middle of the standing person back to the middle of the chair, m."""
FIST = 0.05
"""From the middle of the hand to the knuckles of a fist, m."""
PUSHED = 0.22
"""How far a thing is pushed at a time, m."""
AIMED = 60.0
"""So far aside, in degrees, arm and head get to what is pointed or looked at; beyond it the person turns."""
GRIP = {"bottle": 0.6, "cup": 0.9, "box": 0.65, "ball": 0.6, "basket": 0.85}
"""How far up hands hold it, as a share of its height."""
CARRIED = {2: (0.36, 0.0, 0.13), 1: (0.30, 0.20, 0.10)}
"""By the number of hands, where they carry it: ahead, outward and up from the middle of the pelvis, m."""


def handle(score: Score, action: Action) -> bool:
    """Do an action if it is done to a thing that can be shown; False: it is not."""
    begin = score.now
    if action.kind in _NEEDS_HANDS:
        _free_hands(score, SIDES if action.kind in ("sweep", "clap") else sides_of(action.side, "both"))
    if action.kind == "walk" and action.thing == START:
        _to_start(score, action)
    elif action.kind == "walk" and action.direction == "around" and not action.thing:
        _free_circle(score, action)
    elif action.kind in ("sweep", "place", "sit") or (action.thing in SIZES and action.kind in _HANDLED):
        _HANDLED[action.kind](score, action)
    elif action.thing and action.kind in _SEEN:
        what = f"{action.kind}{_SEEN[action.kind]}"
        raise BadInput(f"There is no {action.thing} to {what}: the mannequin's room can have {shown()}.")
    elif action.kind in ("walk", "step"):
        return _detour(score, action)
    else:
        return False
    score.now = max(score.now, begin + 0.3)  # where one is there already
    return True


def shown() -> str:
    """The things that can be shown, for messages."""
    return ", ".join(f"a {name}" for name in SIZES)


# --- where things are -------------------------------------------------------------------------------------------------


def _thing(
    score: Score, name: str, away: float, on: str | None = None, aside: float = 0.0, back: float = 0.0,
    side: str | None = None,
) -> Thing:  # fmt: skip
    """A thing by name; if it is new, its edge stands ``away`` m from the person, ``aside`` degrees to the left.

    ``on`` another thing, it stands ``back`` m farther from the edge than needed, before the hand of a side.
    """
    if name in score.things:
        return score.things[name]
    if on is None and (name == "cup" or (name in LOOSE and away < 0.5 and _at_table(score))):
        on = "table"
    if on and on != "floor":
        if on not in SIZES:
            raise BadInput(f"Nothing can be on the {on}: the mannequin's room can have {shown()}.")
        table = _thing(score, on, GAP[on])
        _approach(score, table, 1.0)
        spot = _spot(score, table, name, side)
        spot[:2] += score.ahead(back) - score.place[:2]
        score.things[name] = Thing(name, np.array([*spot, score.place[2]]))
        return score.things[name]
    for farther, turn in product((0.0, 0.5, 1.0), np.radians([0.0, 50.0, -50.0, 90.0, -90.0, 135.0, -135.0, 180.0])):
        yaw = score.place[2] + turn + math.radians(aside)
        middle = score.place[:2] + (away + farther + SIZES[name][0] / 2.0) * np.array([math.cos(yaw), math.sin(yaw)])
        new = Thing(name, np.array([*middle, 0.0, yaw + math.pi if name == "chair" else yaw]))  # its seat faces one
        if _free(score, new):
            break
    else:
        raise BadInput(f"There is no room left for a {name} around the person.")
    score.things[name] = new
    return new


def _at_table(score: Score) -> bool:
    """Whether the person stands at the table."""
    table = score.things.get("table")
    if table is None:
        return False
    distance, bearing = _bearing(score, table.place)
    return abs(distance - table.extent(score.place[2]) - GAP["table"]) < 0.1 and abs(bearing) < 20.0


def _free(score: Score, new: Thing) -> bool:
    """Whether the person has not walked where a new thing would stand, and no other thing is there or on the way."""
    if any(new.distance(past) < 0.24 - (0.2 if new.kind == "chair" else 0.0) for past in score.past):
        return False
    standing = [thing for name, thing in score.things.items() if name not in score.held.values()]
    way = np.linspace(score.place[:2], new.place[:2], 20)
    return all(
        np.linalg.norm(new.place[:2] - thing.place[:2]) > new.size[:2].max() / 2 + thing.size[:2].max() / 2 + 0.1
        and min(thing.distance(point) for point in way) > min(0.24, thing.distance(score.place) - 0.01)
        for thing in standing
    )


def _spot(score: Score, support: Thing, name: str, side: str | None) -> np.ndarray:
    """(3,) where something is put on a table or into a basket that the person stands at: small things aside."""
    depth = SIZES[name][0]
    if support.kind == "basket":
        wide = depth if name in ROUND else math.hypot(*SIZES[name][:2])
        room = (support.size[0] - wide) / 2.0 - 0.02
        if room <= 0.0:
            raise BadInput(f"The {name} does not fit into the basket.")
        distance = np.linalg.norm(support.place[:2] - score.place[:2])
        inside = _on(score, support, name)
        if inside:
            raise BadInput(f"The {name} does not fit into the basket, with the {inside[0].kind} in it.")
        return np.array([*score.ahead(distance - min(room, 0.05)), support.place[2] + 0.03])
    if support.kind not in ("table", "chair", "box"):
        raise BadInput(f"The {name} cannot be put on the {support.kind}.")
    edge = (
        GAP[support.kind]
        if support.kind == "table"
        else np.linalg.norm(support.place[:2] - score.place[:2]) - depth / 2
    )
    lefts = (0.28, 0.0) if support.kind == "table" and name in SMALL else (0.0,)
    for left in lefts:
        spot = score.ahead(edge + 0.04 + depth / 2.0, left * _sign(side or "right"))
        if all(thing.distance(spot) > 0.02 + max(SIZES[name][:2]) / 2.0 for thing in _on(score, support, name)):
            return np.array([*spot, support.size[2] + support.place[2]])
    raise BadInput(f"There is no room left on the {support.kind} for the {name}.")


def _on(score: Score, support: Thing, but: str = "") -> list[Thing]:
    """What stands on a thing, or in it."""
    return [
        t for n, t in score.things.items()
        if n not in (but, *score.held.values()) and t is not support and t.place[2] > support.place[2] + 0.01
        and support.distance(t.place) == 0.0
    ]  # fmt: skip


def _bearing(score: Score, point: np.ndarray) -> tuple[float, float]:
    """Distance in m, and degrees to the left, of a point of the floor."""
    dx, dy = point[:2] - score.place[:2]
    angle = math.atan2(dy, dx) - score.place[2]
    return math.hypot(dx, dy), math.degrees((angle + math.pi) % (2.0 * math.pi) - math.pi)


def _turn_to(score: Score, thing: Thing, pace: float, beyond: float) -> tuple[float, float]:
    """Turn to a thing if it is more than some degrees aside; distance and bearing then."""
    distance, bearing = _bearing(score, thing.place)
    if abs(bearing) > beyond:
        score.turn(bearing, pace)
        distance, bearing = _bearing(score, thing.place)
    return distance, bearing


def _gap(score: Score, thing: Thing) -> float:
    """`GAP`; a whole arm is as long as the person is tall."""
    return GAP[thing.kind] * (score.size if thing.kind == "bag" else 1.0)


def _approach(score: Score, thing: Thing, pace: float) -> None:
    """Turn to a thing and go where it can be reached."""
    distance, bearing = _bearing(score, thing.place)
    if thing.place[2] > 0.1:  # it stands on another one
        under = [t for t in score.things.values() if t is not thing and t.distance(thing.place) == 0.0]
        if under:
            if distance > 0.75 or abs(bearing) > 30.0:
                _approach(score, under[0], pace)
            return
    for _ in range(3):  # past what stands in the way one may come out beside it
        distance, bearing = _bearing(score, thing.place)
        if abs(bearing) > 3.0:
            score.turn(bearing, pace)
        away = distance - thing.extent(score.place[2]) - _gap(score, thing)
        if away > 0.03:
            _along(score, "forward", away, pace, thing)
        elif away < -0.06:
            score.go("backward", -away, pace)
        elif abs(bearing) <= 3.0:
            return
    distance, bearing = _bearing(score, thing.place)
    if abs(bearing) > 8.0 or abs(distance - thing.extent(score.place[2]) - _gap(score, thing)) > 0.1:
        raise BadInput(f"The person does not get to the {thing.kind}: other things stand in the way.")


_LEFT_OF = {"forward": "left", "left": "backward", "backward": "right", "right": "forward"}
_AHEAD = {"forward": (1, 0), "left": (0, 1), "backward": (-1, 0), "right": (0, -1)}


def _along(score: Score, way: str, distance: float, pace: float, goal: Thing | None = None) -> None:
    """Walk straight on; past what stands in the way, one step aside."""
    aside = _aside(score, way, distance, goal)
    if not aside:
        score.go(way, distance, pace)
        return
    out = _LEFT_OF[way]
    back = _LEFT_OF[_LEFT_OF[out]]
    if aside < 0.0:
        out, back = back, out
    score.go(out, abs(aside), pace)
    score.go(way, distance, pace)
    if _clear(score, [score.ahead(*np.multiply(_AHEAD[back], s)) for s in np.linspace(0.0, abs(aside), 6)], goal):
        score.go(back, abs(aside), pace)


def _clear(score: Score, points: list[np.ndarray], goal: Thing | None = None) -> bool:
    """Whether nothing but the goal stands where the person would walk."""
    others = [t for n, t in score.things.items() if t is not goal and n not in score.held.values()]
    if goal is not None and goal.kind == "table":
        others = [t for t in others if t.place[2] < 0.1]
    room = {t.kind: 0.34 if t.kind in TALL else 0.24 for t in others}  # hands hang beside what is tall
    return all(t.distance(p) > min(room[t.kind], t.distance(score.place) - 1e-6) for t in others for p in points)


def _aside(score: Score, way: str, distance: float, goal: Thing | None = None) -> float:
    """How far to the left of its way the person has to walk to get past what is on it; 0: it is free, or none is."""
    ahead, left = np.array(_AHEAD[way]), np.array(_AHEAD[_LEFT_OF[way]])

    def free(aside: float) -> bool:
        out = [score.ahead(*(s * aside * left)) for s in np.linspace(0.0, 1.0, 6)]
        on = [score.ahead(*(x * ahead + aside * left)) for x in np.arange(0.0, distance + 0.01, 0.05)]
        return _clear(score, out + on, goal)

    return next((aside for aside in (0.0, 0.3, -0.3, 0.5, -0.5, 0.75, -0.75, 1.0, -1.0) if free(aside)), 0.0)


def _detour(score: Score, action: Action) -> bool:
    """Walk past what stands in the way; False: nothing does."""
    way = action.direction or "forward"
    length = action.distance or (action.count or (1 if action.kind == "step" else 4)) * LENGTH[way]
    if not _aside(score, way, length):
        return False
    _along(score, way, length, action.pace)
    return True


# --- actions ----------------------------------------------------------------------------------------------------------


def _walk(score: Score, action: Action) -> None:
    if action.direction == "around":
        _around(score, action)
        return
    if action.direction in ("backward", "left", "right"):
        raise BadInput(f"The mannequin walks to the {action.thing} forward, not {action.direction}.")
    thing = _thing(score, action.thing, (action.distance or FAR) + GAP[action.thing])
    if action.thing in score.held.values():
        raise BadInput(f"The person holds the {action.thing} and cannot walk to it.")
    _approach(score, thing, action.pace)


def _to_start(score: Score, action: Action) -> None:
    """Turn to where the person began, and walk there."""
    start = np.zeros(3)
    for _ in range(3):  # past what stands in the way one may come out beside it
        distance, bearing = _bearing(score, start)
        if distance < 0.05:
            return
        if abs(bearing) > 3.0:
            score.turn(bearing, action.pace)
        _along(score, "forward", distance, action.pace)
    if _bearing(score, start)[0] > 0.1:
        raise BadInput("The person does not get back to the start: things stand in the way.")


def _around(score: Score, action: Action) -> None:
    """Walk past a thing in an arc, and go on behind it in the same direction."""
    thing = _thing(score, action.thing, 0.75, "floor")
    distance, _ = _turn_to(score, thing, action.pace, 8.0)
    if action.angle:
        _circle(score, thing, -1.0 if action.side == "right" else 1.0, action.pace)
        return
    start = score.place.copy()
    half = thing.extent(start[2] + math.pi / 2.0) + 0.36
    deep = thing.extent(start[2]) + 0.30
    s = -1.0 if action.side == "right" else 1.0
    # past the corners at full width, then back onto the line
    x = np.linspace(0.0, distance + max(distance, deep + 0.7), 400)
    lead, tail = max(distance - deep, 0.3), max(x[-1] - distance - deep, 0.3)
    rise = np.clip(x / lead, 0.0, 1.0)
    fall = np.clip((x - distance - deep) / tail, 0.0, 1.0)
    y = s * half * (_ease(rise) - _ease(fall))
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    count = math.ceil(along[-1] / 0.34)
    foot = "left" if s > 0.0 else "right"
    c, sn = math.cos(start[2]), math.sin(start[2])
    for k in range(1, count + 1):
        at = along[-1] * k / count
        px, py = np.interp(at, along, x), np.interp(at, along, y)
        ahead = min(at + 0.1, along[-1]), max(at - 0.1, 0.0)
        yaw = math.atan2(np.subtract(*np.interp(ahead, along, y)), np.subtract(*np.interp(ahead, along, x)))
        score.place[:] = start[0] + c * px - sn * py, start[1] + sn * px + c * py, start[2] + yaw * (k < count)
        score.step(foot, action.pace, roll=0.25)
        foot = other(foot)
    score.step(foot, action.pace, roll=0.12)
    score.settle()


def _circle(score: Score, thing: Thing, s: float, pace: float) -> None:
    """Walk all the way around a thing, past its left (s = 1) or right (-1) first, and end where the circle began."""
    distance, _ = _bearing(score, thing.place)
    radius = math.hypot(*thing.size[:2]) / 2.0 + 0.42
    if distance - radius > 0.03:
        score.go("forward", distance - radius, pace)
    elif radius - distance > 0.06:
        score.go("backward", radius - distance, pace)
    score.turn(90.0 * s, pace)
    _arc(score, thing.place[:2], radius, s, pace)


def _free_circle(score: Score, action: Action) -> None:
    """Walk a circle about nothing, to the left if not asked otherwise, and end where it began."""
    s = 1.0 if action.side == "right" else -1.0
    middle = score.ahead(0.0, -s * CIRCLE)
    around = score.place[2] + np.linspace(0.0, 2.0 * math.pi, 24)
    if not _clear(score, [middle + CIRCLE * np.array([math.cos(a), math.sin(a)]) for a in around]):
        raise BadInput(f"Things stand where the person would walk a circle of {CIRCLE:g} m: go elsewhere first.")
    _arc(score, middle, CIRCLE, s, action.pace)


def _arc(score: Score, middle: np.ndarray, radius: float, s: float, pace: float) -> None:
    """Walk once around a point that is on the right (s = 1) or on the left (-1)."""
    begin = math.atan2(*(score.place[:2] - middle)[::-1])
    count = math.ceil(2.0 * math.pi * radius / 0.34)
    foot = "left" if s < 0.0 else "right"  # the outer one
    for k in range(1, count + 1):
        angle = begin - s * 2.0 * math.pi * k / count
        score.place[:2] = middle + radius * np.array([math.cos(angle), math.sin(angle)])
        score.place[2] -= s * 2.0 * math.pi / count
        score.step(foot, pace, roll=0.25)
        foot = other(foot)
    score.step(foot, pace, roll=0.12)
    score.settle()


def _ease(s: np.ndarray) -> np.ndarray:
    return s * s * (3.0 - 2.0 * s)


def _lean(score: Score, height: float, begin: float, end: float) -> None:
    """Bend down for what is at a height, m: to the floor with the knees too."""
    low = min(1.0, max(0.0, (0.86 - height) / 0.7))
    score.drop.move(begin, end, [0.38 * low])
    score.trunk.move(begin, end, [8.0 + 36.0 * low, 8.0 + 26.0 * low, 0.0])
    score.head.move(begin, end, [0.0, 14.0 - 14.0 * low])


def _straighten(score: Score, begin: float, end: float) -> None:
    score.drop.move(begin, end, [0.0])
    score.trunk.move(begin, end, [0.0, 0.0, 0.0])
    score.head.move(begin, end, [0.0, 0.0])


def _seconds(height: float, pace: float) -> float:
    return (1.25 + 0.55 * min(1.0, max(0.0, (0.86 - height) / 0.7))) / pace


def _let_go(score: Score, sides: tuple[str, ...], pace: float, seconds: float, lift: float) -> None:
    """Hands back to where they hang, body upright."""
    for side in sides:
        score.reach(side, "free", np.zeros(3), score.now, score.now + seconds, lift)
        score.palms[side].move(score.now, score.now + 0.8 * seconds, [0.0])
        score.fingers[side].move(score.now, score.now + 0.5, score.fingers[side].start)
    _straighten(score, score.now, score.now + seconds)
    score.now += seconds + 0.1


def _touch(score: Score, action: Action) -> None:
    """Lay hands on a thing; or, reaching for one that can be taken, bring them to where they would take it."""
    sides = sides_of(action.side)
    if action.direction == "up":
        raise BadInput(f"The {action.thing} does not stand that high: leave 'up' out.")
    on = action.at or ("table" if action.kind == "reach" and action.thing in SMALL and not action.direction else None)
    back = 0.14 if action.kind == "reach" and on == "table" else 0.0  # the arm is to be seen going there
    thing = _thing(score, action.thing, GAP[action.thing], on, back=back, side=sides[0])
    _approach(score, thing, action.pace)
    for _ in range(action.count or 1):
        seconds = _lay_on(score, thing, sides, action.pace, grasp=action.kind == "reach" and thing.kind in LOOSE)
        score.now += action.seconds or 1.0
        _let_go(score, sides, action.pace, seconds, 0.07)


def _lay_on(
    score: Score, thing: Thing, sides: tuple[str, ...], pace: float, grasp: bool = False, inside: float = 0.14
) -> float:
    """Hands onto a thing, ``inside`` m from its edge, or to where they grasp it; the seconds that it takes."""
    yaw, begin = score.place[2], score.now
    edge = np.linalg.norm(thing.place[:2] - score.place[:2]) - thing.extent(yaw)
    inside = {"basket": 0.015, "ball": thing.extent(yaw)}.get(thing.kind, min(inside, thing.extent(yaw)))
    top = thing.place[2] + thing.size[2]
    if thing.kind == "chair" and math.cos(yaw - thing.place[3]) > 0.7:  # its back is in front
        top, inside = top + BACKREST + 0.014, -0.03
    wide = min(0.19, thing.extent(yaw + math.pi / 2.0) * 0.6)
    if thing.kind in ROUND:
        wide = 0.04 * (len(sides) - 1)
    points = {side: np.array([*score.ahead(edge + inside, wide * _sign(side)), top + FLESH]) for side in sides}
    if grasp:
        points = {side: thing.place[:3] + _grasp(thing, side, yaw) for side in sides}
    height = float(points[sides[0]][2])
    seconds = _seconds(height, pace)
    for side, point in points.items():
        score.reach(side, "world", point, begin, begin + seconds, lift=0.05 if grasp else 0.07)
        if not grasp:
            score.palms[side].move(begin + 0.2 * seconds, begin + seconds, [1.0])
        score.fingers[side].move(begin, begin + 0.6, [4.0, 4.0])
    _lean(score, height, begin, begin + seconds)
    score.now += seconds
    return seconds


def _sign(side: str) -> float:
    return 1.0 if side == "left" else -1.0


def _push(score: Score, action: Action) -> None:
    """Lay hands on a thing and slide it on, with what stands on it; then go after it, as often as it takes."""
    name = action.thing
    if name == "bag":
        raise BadInput("The mannequin does not push the bag, which is too heavy: it punches it.")
    sides = sides_of(action.side, "right" if name in SMALL else "both")
    _free_hands(score, sides)
    new = name not in score.things
    thing = _thing(score, name, GAP[name], action.at or ("table" if name in SMALL else None), side=sides[0])
    if new and name == "chair":
        thing.start[3] += math.pi  # it is pushed by its back
    longest = 0.6 * PUSHED if name in ("ball", *SMALL) else PUSHED
    strokes = max(action.count or 1, math.ceil((action.distance or 0.0) / longest - 1e-9))
    length = action.distance / strokes if action.distance else longest
    for _ in range(strokes):
        _approach(score, thing, action.pace)
        ahead = score.ahead(length) - score.place[:2]
        riders = _on(score, thing)
        _slides(score, thing, ahead, riders)
        seconds = _lay_on(score, thing, sides, action.pace, grasp=name in SMALL, inside=0.03)
        begin, score.now = score.now, score.now + 0.2 + 1.0 / action.pace
        for side in sides:
            last = score.hands[side][-1].point
            score.reach(side, "world", last + np.append(ahead, 0.0), begin + 0.2, score.now)
        score.trunk.move(begin + 0.2, score.now, score.trunk.value + np.array([0.0, 14.0, 0.0]))
        for moved in (thing, *riders):
            after = moved.place + np.append(ahead, [0.0, 0.0])
            moved.events.append(Held(begin + 0.1, score.now + 0.1, sides, after, slides=True))
        score.now += 0.1 + (action.seconds or 0.2)
        _let_go(score, sides, action.pace, seconds, 0.07)


def _slides(score: Score, thing: Thing, ahead: np.ndarray, riders: list[Thing]) -> None:
    """Check that a thing can be pushed on."""
    under = next((t for t in score.things.values() if t is not thing and thing in _on(score, t)), None)
    if under and under.distance(thing.place[:2] + ahead * (1.0 + thing.size[0] / 2.0 / np.linalg.norm(ahead))) > 0.0:
        raise BadInput(f"The {thing.kind} would fall off the {under.kind}.")
    after = Thing(thing.kind, thing.place + np.append(ahead, [0.0, 0.0]))
    for near in score.things.values():
        if near in (thing, under, *riders) or near.kind in score.held.values():
            continue
        if np.linalg.norm(near.place[:2] - after.place[:2]) < after.edge(math.atan2(*ahead[::-1])) + near.size[0] / 2.0:
            raise BadInput(f"The {near.kind} stands in the way of the {thing.kind}.")


def _hold(score: Score, action: Action) -> None:
    if action.thing not in score.held.values():
        _pick_up(score, Action("pick up", thing=action.thing, side=action.side, at=action.at, pace=action.pace))
    score.now += action.seconds or 2.0


def _face(score: Score, action: Action) -> None:
    """Turn to a thing; one that is new stands aside."""
    way = {"right": -1.0, "around": 2.0}.get(action.direction, 1.0)
    thing = _thing(score, action.thing, FAR + GAP[action.thing], aside=way * (action.angle or 90.0))
    _turn_to(score, thing, action.pace, 3.0)


def _seen(score: Score, action: Action) -> tuple[Thing, float, float]:
    """What is pointed or looked at, where it can be: its distance and bearing too."""
    if action.direction == "up":
        raise BadInput(f"The {action.thing} does not stand that high: leave 'up' out.")
    aside = {"left": 45.0, "right": -45.0}.get(action.direction, 0.0)
    thing = _thing(score, action.thing, FAR, action.at, aside)
    return thing, *_turn_to(score, thing, action.pace, AIMED)


def _gaze(score: Score, thing: Thing, begin: float, end: float) -> None:
    distance, bearing = _bearing(score, thing.place)
    middle = thing.place[2] + thing.size[2] / 2.0
    down = math.degrees(math.atan2(1.5 - middle, distance))
    score.head.move(begin, end, [np.clip(bearing, -AIMED, AIMED), min(down, 38.0)])


def _look(score: Score, action: Action) -> None:
    thing, *_ = _seen(score, action)
    for _ in range(action.count or 1):
        begin, score.now = score.now, score.now + 0.8 / action.pace
        _gaze(score, thing, begin, score.now)
        score.now += action.seconds or 1.0
        score.head.move(score.now, score.now + 0.8 / action.pace, [0.0, 0.0])
        score.now += 0.8 / action.pace


def _point(score: Score, action: Action) -> None:
    """The straight arm aims at the thing's middle, and the eyes follow."""
    thing, _, bearing = _seen(score, action)
    sides = sides_of(action.side, "left" if bearing > 15.0 else "right")
    point = thing.place[:3] + np.array([0.0, 0.0, 0.6 * thing.size[2]])
    for _ in range(action.count or 1):
        begin, score.now = score.now, score.now + 1.1 / action.pace
        _gaze(score, thing, begin, score.now)
        score.trunk.move(begin, score.now, [0.0, 2.0, 0.35 * bearing])
        for side in sides:
            score.reach(side, "aim", point, begin, score.now)
            score.fingers[side].move(begin, begin + 0.6, [75.0, 2.0])
        score.now += action.seconds or 1.2
        _let_go(score, sides, action.pace, 1.1 / action.pace, 0.0)


def _punch(score: Score, action: Action) -> None:
    """From the guard to the surface of the bag and back."""
    if action.thing != "bag":
        raise BadInput(f"The mannequin does not punch the {action.thing}: it punches a punching bag.")
    bag = _thing(score, "bag", GAP["bag"] * score.size)
    _approach(score, bag, action.pace)
    sides = sides_of(action.side)
    for side in sides:
        score.fingers[side].move(score.now, score.now + 0.5, [78.0, 78.0])
    score.now = max(score.arm(side, GUARD, 0.8 / action.pace) for side in sides)
    edge = np.linalg.norm(bag.place[:2] - score.place[:2]) - bag.size[0] / 2.0
    for _ in range(action.count or 1):
        for side in sides:
            hit, leave, end = score.now + np.array([0.5, 0.75, 1.35]) / action.pace
            fist = [*score.ahead(edge - FIST, 0.05 * _sign(side)), 1.30 * score.size]
            score.reach(side, "world", fist, score.now, hit)
            score.reach(side, "free", np.zeros(3), leave, end)
            score.trunk.move(score.now, hit, [3.0, 6.0, -20.0 * _sign(side)])
            score.trunk.move(leave, end, [0.0, 0.0, 0.0])
            score.now = end + 0.08
    score.now = max(score.arm(side, IDLE, 0.9 / action.pace) for side in sides)
    for side in sides:
        score.fingers[side].move(score.now - 0.5, score.now, score.fingers[side].start)


def _grasp(thing: Thing, side: str, yaw: float) -> np.ndarray:
    """(3,) from the middle of a thing's underside to a hand that holds it."""
    s = _sign(side)
    out = thing.edge(yaw + math.pi / 2.0) + FLESH
    return np.array([-s * out * math.sin(yaw), s * out * math.cos(yaw), GRIP[thing.kind] * thing.size[2]])


def _pick_up(score: Score, action: Action) -> None:
    if action.thing not in LOOSE:
        raise BadInput(f"The mannequin cannot pick up the {action.thing}: it can pick up {', '.join(LOOSE)}.")
    sides = sides_of(action.side, "right" if action.thing in SMALL else "both")
    _free_hands(score, sides)
    thing = _thing(score, action.thing, GAP[action.thing], action.at, side=sides[0])
    for _ in range(action.count or 1):
        if action.thing in score.held.values():
            _place(score, Action("place", thing=action.thing, at="floor"))
        _approach(score, thing, action.pace)
        yaw, begin = score.place[2], score.now
        points = {side: thing.place[:3] + _grasp(thing, side, yaw) for side in sides}
        height = points[sides[0]][2]
        end = begin + _seconds(height, action.pace)
        for side in sides:
            score.reach(side, "world", points[side], begin, end, lift=0.05 if thing.place[2] > 0.1 else 0.0)
            score.fingers[side].move(begin, begin + 0.5, [8.0, 8.0])
            score.fingers[side].move(end, end + 0.3, [50.0, 50.0] if thing.kind in SMALL else [18.0, 18.0])
        _lean(score, height, begin, end)
        hold = end + 0.35
        score.now = hold + _seconds(height, action.pace)
        ahead, out, up = CARRIED[len(sides)]
        for side in sides:
            out = thing.edge(yaw + math.pi / 2.0) + FLESH if len(sides) == 2 else out
            carried = [ahead, _sign(side) * out, up]
            score.reach(side, "body", carried, hold, hold + 0.85 * (score.now - hold))  # arms lead
            score.held[side] = action.thing
        _straighten(score, hold, score.now)
        score.turned[action.thing] = thing.place[3] - yaw
        thing.events.append(Held(hold, math.inf, sides, thing.place))
        score.now += 0.2


def _place(score: Score, action: Action) -> None:
    name = action.thing
    if name is None or name not in score.held.values():
        if name not in SIZES:
            raise BadInput(f"The person holds no {name or 'thing'} that could be put down: say what to pick up first.")
        below = "floor" if action.at == "table" else None
        _pick_up(score, Action("pick up", thing=name, side=action.side, at=below, pace=action.pace))
    thing = score.things[name]
    sides = tuple(side for side in SIDES if score.held.get(side) == name)
    if action.at in (None, "floor"):
        spot = np.array([*score.ahead(GAP[name] + thing.size[0] / 2.0), 0.0])
        spot_thing = Thing(name, np.array([*spot, score.place[2]]))
        near = [n for n, t in score.things.items() if n not in score.held.values()
                and t.distance(spot) < spot_thing.size[:2].max() / 2.0 + 0.02]  # fmt: skip
        if near:
            _away(score, 0.6)
            spot = np.array([*score.ahead(GAP[name] + thing.size[0] / 2.0), 0.0])
    else:
        if action.at == name:
            raise BadInput(f"The {name} cannot be put on itself.")
        support = _support(score, action.at)
        _approach(score, support, action.pace)
        spot = _spot(score, support, name, sides[0])
    yaw, begin = score.place[2], score.now
    height = spot[2] + GRIP[name] * thing.size[2]
    end = begin + _seconds(height, action.pace)
    into = action.at == "basket"
    after = Thing(name, np.array([*spot, yaw + score.turned[name]]))
    for side in sides:
        point = spot + _grasp(after, side, yaw)
        score.reach(side, "world", point, begin, end, lift=0.10 if into else 0.03)
    _lean(score, height, begin, end)
    last = thing.events[-1]
    thing.events[-1] = Held(last.begin, end + 0.15, last.sides, after.start)
    for side in sides:
        score.fingers[side].move(end + 0.1, end + 0.4, [8.0, 8.0])
        del score.held[side]
    score.now = end + 0.35
    _let_go(score, sides, action.pace, _seconds(height, action.pace), 0.14 if into else 0.06)


def _support(score: Score, name: str) -> Thing:
    if name not in SIZES:
        raise BadInput(f"Nothing can be put on the {name}: the mannequin's room can have {shown()}.")
    return _thing(score, name, (GAP[name] + (FAR if name not in score.things else 0.0)))


def _carry(score: Score, action: Action) -> None:
    if action.thing not in score.held.values():
        _pick_up(score, Action("pick up", thing=action.thing, side=action.side, pace=action.pace))
    if action.at == "floor":
        _place(score, Action("place", thing=action.thing, at="floor", pace=action.pace))
    elif action.at:
        _approach(score, _support(score, action.at), action.pace)
    else:
        _along(score, "forward", action.distance or 4 * LENGTH["forward"], action.pace)


def _free_hands(score: Score, sides: tuple[str, ...]) -> None:
    """Put down what the hands hold, and step back from it."""
    for side in sides:
        if side in score.held:
            _place(score, Action("place", thing=score.held[side], at="floor"))
            _away(score, 0.4)


def _away(score: Score, distance: float) -> None:
    """Step back, or aside where something stands behind."""
    for way, (x, y) in {"backward": (-1, 0), "left": (0, 1), "right": (0, -1)}.items():
        path = [score.ahead(x * s, y * s) for s in np.linspace(0.1, distance, 8)]
        if all(t.distance(p) > 0.24 for n, t in score.things.items() if n not in score.held.values() for p in path):
            score.go(way, distance)
            return


def _sit(score: Score, action: Action) -> None:
    """Sit down on a chair and rise again; one that was pushed away shows its back, and is walked around."""
    if "chair" not in score.things:
        behind = Thing("chair", np.array([*score.ahead(-SEATED), 0.0, score.place[2]]))
        if _free(score, behind):
            score.things["chair"] = behind
    chair = _thing(score, "chair", 0.8)
    if _on(score, chair):
        raise BadInput(f"The person cannot sit down: the {_on(score, chair)[0].kind} is on the chair.")
    yaw = score.place[2] + math.radians(_bearing(score, chair.place)[1])
    if chair.place[3] == score.place[2] and np.allclose(score.ahead(-SEATED), chair.place[:2], atol=0.03):
        pass  # it stands right behind
    elif chair.events and math.cos(yaw - chair.place[3]) > 0.0:
        _around(score, Action("walk", direction="around", thing="chair", pace=action.pace))
        score.go("backward", _bearing(score, chair.place)[0] - SEATED, action.pace)
    else:
        _approach(score, chair, action.pace)
        distance, _ = _bearing(score, chair.place)
        _along(score, "forward", distance - SEATED - 0.18, action.pace, chair)  # the knees turn in front of the seat
        score.turn(180.0, action.pace)
        score.go("backward", 0.18, action.pace)
        if not chair.events:
            chair.start[3] = score.place[2]
    down = 1.7 / action.pace
    for _ in range(action.count or 1):
        begin, end = score.now, score.now + down
        rise = end + (action.seconds or 1.0)
        score.drop.move(begin, end, [0.39])
        score.trunk.move(begin, end, [30.0, 14.0, 0.0])
        score.head.move(begin, end, [0.0, -18.0])
        free = [s for s in SIDES if s not in score.held]
        for side in free:
            score.arm(side, (58.0, 4.0, 0.0, 30.0), down)
            score.arm(side, IDLE, down, at=rise)
        _straighten(score, rise, rise + down)
        score.seats.append(Seat((begin, end, rise, rise + down), chair.size[2]))
        score.now = rise + down + 0.1


def _sweep(score: Score, action: Action) -> None:
    """Take the broom in both hands, draw it over the floor from side to side, and stand it up again."""
    broom = _thing(score, "broom", GAP["broom"])
    _approach(score, broom, action.pace)
    begin, end = score.now, score.now + 1.2 / action.pace
    upper, lower = ("right", "left") if action.side != "left" else ("left", "right")
    foot, up = broom.place[:3], np.array([0.0, 0.0, 1.0])
    high, low = 1.25, 1.00
    for side, z in ((upper, high), (lower, low)):
        score.reach(side, "world", foot + z * up, begin, end)
        score.fingers[side].move(begin, begin + 0.4, [8.0, 8.0])
        score.fingers[side].move(end, end + 0.3, [60.0, 60.0])
    score.trunk.move(begin, end, [3.0, 6.0, 0.0])
    score.head.move(begin, end, [0.0, 16.0])
    score.now = end + 0.35
    hold = score.now
    strokes = action.count or max(2, round((action.seconds or 5.0) / 1.7))
    half = 0.85 / action.pace
    ways = [1.0, -1.0] * strokes
    for k, way in enumerate([*ways, 0.0]):
        seconds = half if 0 < k < len(ways) else 1.0 / action.pace
        last = k == len(ways)
        bristles = foot if last else np.array([*score.ahead(0.72, 0.30 * way), 0.0])
        s = 1.0 if upper == "left" else -1.0
        top = foot + up if last else np.array([*score.ahead(0.20, 0.10 * s + 0.05 * way), 1.35])
        axis = (top - bristles) / np.linalg.norm(top - bristles)
        for side, z in ((upper, high), (lower, low)):
            score.reach(side, "world", bristles + z * axis, score.now, score.now + seconds)
        score.trunk.move(score.now, score.now + seconds, [4.0, 9.0, 10.0 * way] if not last else [3.0, 6.0, 0.0])
        score.now += seconds
    score.past += [score.ahead(0.75, left) for left in (-0.3, 0.0, 0.3)]
    broom.events.append(Held(hold, score.now + 0.05, (upper, lower), broom.place))
    for side in SIDES:
        score.fingers[side].move(score.now, score.now + 0.3, [8.0, 8.0])
    score.now += 0.3
    _let_go(score, SIDES, action.pace, 1.2 / action.pace, 0.0)


def _kick(score: Score, action: Action) -> None:
    """Low and gentle: the foot meets the thing in front of it, which slides or rolls away."""
    side = action.side if action.side in SIDES else "right"
    s = 1.0 if side == "left" else -1.0
    thing = _thing(score, action.thing, 0.34, "floor")
    if action.thing in score.held.values():
        _place(score, Action("place", thing=action.thing, at="floor"))
    if thing.kind not in LOOSE:
        raise BadInput(f"The mannequin does not kick the {thing.kind}: it kicks {', '.join(LOOSE)}.")
    if thing.place[2] > 0.1:
        raise BadInput(f"The {thing.kind} stands too high for a kick: put it on the floor first.")
    if not score.past[1:] and len(score.things) == 1 and not thing.events:
        thing.start[:2] = score.ahead(0.34 + thing.size[0] / 2.0, s * 0.10)
    else:
        _approach(score, thing, action.pace)
    for again in range(action.count or 1):
        if again:
            _approach(score, thing, action.pace)
        for name, near in score.things.items():
            if (
                near is not thing
                and name not in score.held.values()
                and min(near.distance(score.ahead(x, 0.1 * s)) for x in (0.2, 0.35, 0.5)) < 0.08
            ):
                raise BadInput(f"The {name} stands where the foot would kick: go elsewhere first.")
        foot, air, home = score.feet[side], score.air[side], score.feet[side].value.copy()
        ahead = np.array([math.cos(score.place[2]), math.sin(score.place[2]), 0.0])
        score.pressure.move(score.now, score.now + 0.7, score.stand_on(other(side)))
        lift = score.now + 0.6
        score.now = lift
        front = float((thing.place[:2] - home[:2]) @ ahead[:2]) - thing.extent(score.place[2]) - TOE
        for distance, height, pitch, seconds in (
            (-0.14, 0.10, 18.0, 0.50), (max(front, 0.05) + 0.14, 0.09, -6.0, 0.62), (0.03, 0.08, 4.0, 0.60),
        ):  # fmt: skip
            begin, score.now = score.now, score.now + seconds / action.pace
            foot.move(begin, score.now, home + distance * ahead)
            air.move(begin, score.now, [height, math.radians(pitch)])
            if distance > front:
                way = 1.0 if thing.kind == "ball" else 0.6
                away = thing.place + way * np.append(ahead[:2], [0.0, 0.0])
                thing.events.append(Kicked(side, begin, score.now + 1.2, away))
                score.past += [score.ahead(x) for x in np.arange(0.4, front + 0.4 + way, 0.15)]
        end = score.now + 0.45 / action.pace
        foot.move(score.now, end, home)
        air.move(score.now, end, [0.0, 0.0])
        score.now = end
        score.swings[side].append((lift, end, 0.0, 0.0))
        score.settle(0.7)


TOE = 0.13
"""From the middle of the sole to the tip of the shoe, m."""

_NEEDS_HANDS = {"wave", "raise", "reach", "point", "clap", "punch", "push", "touch", "sweep"}

_SEEN = {"walk": " to", "turn": " to", "look": " at", "touch": "", "carry": "", "hold": ""}
"""Actions that are not mimed."""

_HANDLED = {
    "walk": _walk, "turn": _face, "look": _look, "point": _point, "reach": _touch, "touch": _touch, "push": _push,
    "pick up": _pick_up, "hold": _hold, "place": _place, "carry": _carry, "sit": _sit, "sweep": _sweep, "kick": _kick,
    "punch": _punch,
}  # fmt: skip
