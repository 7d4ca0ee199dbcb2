"""Actions with things: walking to and around them, touching, taking, carrying and placing them, sitting, sweeping.

A thing that is first spoken of is put where it is needed: within reach, or some steps ahead if it is walked to, unless
the person has walked there before; then it stands in another direction, and the person turns to it.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from exoactor.errors import BadInput
from exoactor_gen.language import Action
from exoactor_gen.scene import FLESH, LOOSE, ROUND, SIZES, Held, Kicked, Thing
from exoactor_gen.score import IDLE, SIDES, Score, Seat, other, sides_of

GAP = {"table": 0.26, "box": 0.31, "basket": 0.31, "bottle": 0.34, "ball": 0.28, "chair": 0.30, "broom": 0.30}
"""From the middle of the person who uses it to its edge, m."""
FAR = 1.2
"""So far ahead stands what is walked to, m."""
SEATED = 0.26
"""From the middle of the standing person back to the middle of the chair, m."""
GRIP = {"bottle": 0.6, "box": 0.65, "ball": 0.6, "basket": 0.85}
"""How far up hands hold it, as a share of its height."""
CARRIED = {2: (0.36, 0.0, 0.13), 1: (0.30, 0.20, 0.10)}
"""By the number of hands, where they carry it: ahead, outward and up from the middle of the pelvis, m."""


def handle(score: Score, action: Action) -> bool:
    """Do an action if it is done to a thing that can be shown; False: it is not."""
    begin = score.now
    if action.kind in _NEEDS_HANDS:
        _free_hands(score, SIDES if action.kind in ("sweep", "clap") else sides_of(action.side, "both"))
    if action.kind in ("sweep", "place") or (action.thing in SIZES and action.kind in _HANDLED):
        _HANDLED[action.kind](score, action)
    elif action.kind in ("walk", "touch", "carry") and action.thing:
        raise BadInput(f"There is no {action.thing} to {action.kind} to: the mannequin's room can have {shown()}.")
    elif action.kind == "walk" and action.direction in (None, "forward"):
        return _detour(score, action)
    else:
        return False
    score.now = max(score.now, begin + 0.3)  # where one is there already
    return True


def shown() -> str:
    """The things that can be shown, for messages."""
    return ", ".join(f"a {name}" for name in SIZES)


# --- where things are -------------------------------------------------------------------------------------------------


def _thing(score: Score, name: str, away: float, on: str | None = None) -> Thing:
    """A thing by name; if it is new, its edge stands ``away`` m from the person."""
    if name in score.things:
        return score.things[name]
    if on and on != "floor":
        if on not in SIZES:
            raise BadInput(f"Nothing can be on the {on}: the mannequin's room can have {shown()}.")
        table = _thing(score, on, GAP[on])
        _approach(score, table, 1.0)
        score.things[name] = Thing(name, np.array([*_spot(score, table, name), score.place[2]]))
        return score.things[name]
    for farther, turn in product((0.0, 0.5, 1.0), np.radians([0.0, 50.0, -50.0, 90.0, -90.0, 135.0, -135.0, 180.0])):
        yaw = score.place[2] + turn
        middle = score.place[:2] + (away + farther + SIZES[name][0] / 2.0) * np.array([math.cos(yaw), math.sin(yaw)])
        new = Thing(name, np.array([*middle, 0.0, yaw]))
        if _free(score, new):
            break
    else:
        raise BadInput(f"There is no room left for a {name} around the person.")
    score.things[name] = new
    return new


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


def _spot(score: Score, support: Thing, name: str) -> np.ndarray:
    """(3,) where something is put on a table or into a basket that the person stands at."""
    depth = SIZES[name][0]
    if support.kind == "basket":
        wide = depth if name in ROUND else math.hypot(*SIZES[name][:2])
        room = (support.size[0] - wide) / 2.0 - 0.02
        if room <= 0.0:
            raise BadInput(f"The {name} does not fit into the basket.")
        distance = np.linalg.norm(support.place[:2] - score.place[:2])
        return np.array([*score.ahead(distance - min(room, 0.05)), support.place[2] + 0.03])
    if support.kind not in ("table", "chair", "box"):
        raise BadInput(f"The {name} cannot be put on the {support.kind}.")
    edge = (
        GAP[support.kind]
        if support.kind == "table"
        else np.linalg.norm(support.place[:2] - score.place[:2]) - depth / 2
    )
    return np.array([*score.ahead(edge + 0.04 + depth / 2.0), support.size[2] + support.place[2]])


def _bearing(score: Score, point: np.ndarray) -> tuple[float, float]:
    """Distance in m, and degrees to the left, of a point of the floor."""
    dx, dy = point[:2] - score.place[:2]
    angle = math.atan2(dy, dx) - score.place[2]
    return math.hypot(dx, dy), math.degrees((angle + math.pi) % (2.0 * math.pi) - math.pi)


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
        away = distance - thing.extent(score.place[2]) - GAP[thing.kind]
        if away > 0.03:
            _forward(score, away, pace, thing)
        elif away < -0.06:
            score.go("backward", -away, pace)
        elif abs(bearing) <= 3.0:
            return
    distance, bearing = _bearing(score, thing.place)
    if abs(bearing) > 8.0 or abs(distance - thing.extent(score.place[2]) - GAP[thing.kind]) > 0.1:
        raise BadInput(f"The person does not get to the {thing.kind}: other things stand in the way.")


def _forward(score: Score, distance: float, pace: float, goal: Thing | None = None, count: int | None = None) -> None:
    """Walk straight on; past what stands in the way, one step aside."""
    aside = _aside(score, distance, goal)
    if not aside:
        if count:
            score.walk("forward", count, distance / count, pace)
        else:
            score.go("forward", distance, pace)
        return
    way, back = ("left", "right") if aside > 0.0 else ("right", "left")
    score.go(way, abs(aside), pace)
    score.go("forward", distance, pace)
    free = score.ahead(0.0, -aside)
    if all(t.distance(free) > 0.3 or n in score.held.values() for n, t in score.things.items()):
        score.go(back, abs(aside), pace)


def _aside(score: Score, distance: float, goal: Thing | None) -> float:
    """How far to the left the person has to walk to get past what stands ahead; 0: the way is free."""
    others = [t for n, t in score.things.items() if t is not goal and n not in score.held.values()]
    if goal is not None and goal.kind == "table":
        others = [t for t in others if t.place[2] < 0.1]

    def free(left: float) -> bool:
        way = [score.ahead(x, left) for x in np.arange(0.0, distance + 0.01, 0.05)]
        return all(thing.distance(point) > 0.24 for thing in others for point in way)

    return next((left for left in (0.0, 0.3, -0.3, 0.5, -0.5, 0.75, -0.75, 1.0, -1.0) if free(left)), 0.0)


def _detour(score: Score, action: Action) -> bool:
    """Walk forward past what stands in the way; False: nothing does."""
    count = action.count or 4
    distance = action.distance or 0.38 * count
    if not _aside(score, distance, None):
        return False
    _forward(score, distance, action.pace)
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


def _around(score: Score, action: Action) -> None:
    """Walk past a thing in an arc, and go on behind it in the same direction."""
    thing = _thing(score, action.thing, 0.75)
    distance, bearing = _bearing(score, thing.place)
    if abs(bearing) > 8.0:
        score.turn(bearing, action.pace)
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
    sides = sides_of(action.side)
    thing = _thing(score, action.thing, GAP[action.thing], action.at)
    _approach(score, thing, action.pace)
    yaw = score.place[2]
    edge = np.linalg.norm(thing.place[:2] - score.place[:2]) - thing.extent(yaw)
    inside = 0.015 if thing.kind == "basket" else min(0.14, thing.extent(yaw))
    top = thing.place[2] + thing.size[2]
    wide = min(0.19, thing.extent(yaw + math.pi / 2.0) * 0.6)
    if thing.kind in ROUND:
        wide = 0.04 * (len(sides) - 1)
    for _ in range(action.count or 1):
        begin, seconds = score.now, _seconds(top, action.pace)
        for side in sides:
            s = 1.0 if side == "left" else -1.0
            point = [*score.ahead(edge + inside, s * wide), top + FLESH]
            score.reach(side, "world", point, begin, begin + seconds, lift=0.07)
            score.palms[side].move(begin + 0.2 * seconds, begin + seconds, [1.0])
            score.fingers[side].move(begin, begin + 0.6, [4.0, 4.0])
        _lean(score, top, begin, begin + seconds)
        score.now += seconds + (action.seconds or 1.0)
        _let_go(score, sides, action.pace, seconds, 0.07)


def _grasp(thing: Thing, side: str, yaw: float) -> np.ndarray:
    """(3,) from the middle of a thing's underside to a hand that holds it."""
    s = 1.0 if side == "left" else -1.0
    out = thing.edge(yaw + math.pi / 2.0) + FLESH
    return np.array([-s * out * math.sin(yaw), s * out * math.cos(yaw), GRIP[thing.kind] * thing.size[2]])


def _pick_up(score: Score, action: Action) -> None:
    if action.thing not in LOOSE:
        raise BadInput(f"The mannequin cannot pick up the {action.thing}: it can pick up {', '.join(LOOSE)}.")
    sides = sides_of(action.side, "right" if action.thing == "bottle" else "both")
    _free_hands(score, sides)
    thing = _thing(score, action.thing, GAP[action.thing], action.at)
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
            score.fingers[side].move(end, end + 0.3, [50.0, 50.0] if thing.kind == "bottle" else [18.0, 18.0])
        _lean(score, height, begin, end)
        hold = end + 0.35
        score.now = hold + _seconds(height, action.pace)
        ahead, out, up = CARRIED[len(sides)]
        for side in sides:
            s = 1.0 if side == "left" else -1.0
            at = s * (thing.edge(yaw + math.pi / 2.0) + FLESH) if len(sides) == 2 else s * out
            score.reach(side, "body", [ahead, at, up], hold, hold + 0.85 * (score.now - hold))  # arms lead
            score.held[side] = action.thing
        _straighten(score, hold, score.now)
        thing.events.append(Held(hold, math.inf, sides, thing.place))
        score.now += 0.2


def _place(score: Score, action: Action) -> None:
    name = action.thing
    if name is None or name not in score.held.values():
        if name not in SIZES:
            raise BadInput(f"The person holds no {name or 'thing'} that could be put down: say what to pick up first.")
        _pick_up(score, Action("pick up", thing=name, side=action.side, pace=action.pace))
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
        spot = _spot(score, support, name)
    yaw, begin = score.place[2], score.now
    height = spot[2] + GRIP[name] * thing.size[2]
    end = begin + _seconds(height, action.pace)
    into = action.at == "basket"
    for side in sides:
        point = spot + _grasp(thing, side, yaw)
        score.reach(side, "world", point, begin, end, lift=0.10 if into else 0.03)
    _lean(score, height, begin, end)
    last = thing.events[-1]
    thing.events[-1] = Held(last.begin, end + 0.15, last.sides, np.array([*spot, yaw]))
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
    if action.at:
        _approach(score, _support(score, action.at), action.pace)
    else:
        _forward(score, action.distance or 4 * 0.38, action.pace)


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
    """Sit down on a chair and rise again."""
    if "chair" not in score.things:
        behind = Thing("chair", np.array([*score.ahead(-SEATED), 0.0, score.place[2]]))
        if _free(score, behind):
            score.things["chair"] = behind
    chair = _thing(score, "chair", 0.8)
    if chair.start[3] == score.place[2] and np.allclose(score.ahead(-SEATED), chair.place[:2], atol=0.03):
        pass  # it stands right behind
    else:
        _approach(score, chair, action.pace)
        distance, _ = _bearing(score, chair.place)
        _forward(score, distance - SEATED - 0.18, action.pace, chair)  # the knees turn in front of the seat
        score.turn(180.0, action.pace)
        score.go("backward", 0.18, action.pace)
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
    thing = _thing(score, action.thing, 0.34)
    if action.thing in score.held.values():
        _place(score, Action("place", thing=action.thing, at="floor"))
    if thing.kind not in LOOSE:
        raise BadInput(f"The mannequin does not kick the {thing.kind}: it kicks {', '.join(LOOSE)}.")
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

_HANDLED = {
    "walk": _walk, "touch": _touch, "pick up": _pick_up, "place": _place, "carry": _carry, "sit": _sit,
    "sweep": _sweep, "kick": _kick,
}  # fmt: skip
