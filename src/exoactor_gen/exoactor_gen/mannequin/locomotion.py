"""Positions relative to objects, and paths on the floor: straight, around obstacles, and in arcs."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import dijkstra

from exoactor_core.errors import BadInput
from exoactor_core.rotations import rotate_2d, wrap
from exoactor_gen.mannequin.movement import START, category_of
from exoactor_gen.mannequin.objects import TALL_HEIGHT, RoomObject
from exoactor_gen.mannequin.score import AHEAD, Score, heading_vector, other

_GAP = {
    "table": 0.32,
    "basket": 0.32,
    "bin": 0.32,
    "bottle": 0.34,
    "cup": 0.34,
    "ball": 0.28,
    "chair": 0.36,
    "stool": 0.36,
    "broom": 0.30,
    "bag": 0.66,
    "door": 0.50,
    "drawer": 0.48,
    "bar": 0.35,
}
"""m from the middle of a person who uses an object to its edge; 0.31 for others."""

CORNER_GAP = 0.36
"""m from the middle of a person who walks past an object to its corners."""
_STEP_ASIDE = 0.4
"""m up to which a person with the right heading steps to a point, forward, back or sideways, instead of turning."""


def gap_to(score: Score, name: str) -> float:
    """Distance from a person who uses an object to its edge, m; arm lengths scale with stature."""
    kind = category_of(name)
    return _GAP.get(kind, 0.31) * (score.size if kind == "bag" else score.scale)


def bearing_of(score: Score, point: np.ndarray) -> tuple[float, float]:
    """Distance in m, and direction in degrees to the left, of a point on the floor."""
    dx, dy = point[:2] - score.pose[:2]
    angle = math.atan2(dy, dx) - score.pose[2]
    return math.hypot(dx, dy), math.degrees(wrap(angle))


def turn_to(score: Score, obj: RoomObject, pace: float, beyond: float) -> tuple[float, float]:
    """Turn to an object if it is more than some degrees aside; returns its distance and direction then."""
    distance, bearing = bearing_of(score, obj.pose)
    if abs(bearing) > beyond:
        score.turn(bearing, pace)
        distance, bearing = bearing_of(score, obj.pose)
    return distance, bearing


def face(score: Score, yaw: float, pace: float) -> None:
    """Turn to a yaw, rad, if it is more than 3 degrees off."""
    turn = math.degrees(wrap(yaw - score.pose[2]))
    if abs(turn) > 3.0:
        score.turn(turn, pace)


def _step_to(score: Score, point: np.ndarray, yaw: float, pace: float) -> None:
    """Turn a little, then step forward or back, and sideways."""
    face(score, yaw, pace)
    away, bearing = bearing_of(score, point)
    ahead, left = away * math.cos(math.radians(bearing)), away * math.sin(math.radians(bearing))
    for way, distance in (("forward", ahead), ("backward", -ahead), ("left", left), ("right", -left)):
        if distance > 0.03:
            score.walk_distance(way, distance, pace)


def approach(score: Score, obj: RoomObject, pace: float) -> None:
    """Turn to an object and walk to where it can be reached."""
    distance, bearing = bearing_of(score, obj.pose)
    if not score.imagines:
        under = [t for t in score.objects.values() if t is not obj and t.distance(obj.pose) == 0.0]
        support = under[0] if under and obj.pose[2] > 0.1 else obj
        point, yaw = _stand_before(score, obj, support)
        away, _ = bearing_of(score, point)
        if away > 0.06:
            turned = abs(wrap(yaw - score.pose[2])) > math.radians(30.0)
            if turned or away > _STEP_ASIDE or not is_clear(score, np.linspace(score.pose[:2], point, 6), support):
                walk_route(score, point, pace, support)
            else:
                _step_to(score, point, yaw, pace)
        face(score, yaw, pace)
        return
    if obj.pose[2] > 0.1:  # it stands on another one
        under = [t for t in score.objects.values() if t is not obj and t.distance(obj.pose) == 0.0]
        if under:
            if distance > 0.75 or abs(bearing) > 30.0:
                approach(score, under[0], pace)
            return
    for _ in range(3):  # after an obstacle the person may arrive beside it
        distance, bearing = bearing_of(score, obj.pose)
        if abs(bearing) > 3.0:
            score.turn(bearing, pace)
        away = distance - obj.extent(score.pose[2]) - gap_to(score, obj.kind)
        if away > 0.03:
            walk_along(score, "forward", away, pace, obj)
        elif away < -0.06:
            score.walk_distance("backward", -away, pace)
        elif abs(bearing) <= 3.0:
            return
    distance, bearing = bearing_of(score, obj.pose)
    if abs(bearing) > 8.0 or abs(distance - obj.extent(score.pose[2]) - gap_to(score, obj.kind)) > 0.1:
        raise BadInput(f"The person does not get to the {obj.name}: other objects stand in the way.")


def go_behind(score: Score, obj: RoomObject, yaw: float, pace: float) -> None:
    """Walk to where an object is straight ahead in a direction, rad, and face it."""
    away = obj.extent(yaw) + max(gap_to(score, obj.kind), CORNER_GAP)
    walk_route(score, obj.pose[:2] - away * heading_vector(yaw), pace, obj, past=True)
    face(score, yaw, pace)


_LEFT_OF = {"forward": "left", "left": "backward", "backward": "right", "right": "forward"}


def walk_along(score: Score, direction: str, distance: float, pace: float, goal: RoomObject | None = None) -> None:
    """Walk straight ahead; around an obstacle with one step aside."""
    aside = detour_width(score, direction, distance, goal)
    if not aside:
        score.walk_distance(direction, distance, pace)
        return
    out = _LEFT_OF[direction]
    back = _LEFT_OF[_LEFT_OF[out]]
    if aside < 0.0:
        out, back = back, out
    score.walk_distance(out, abs(aside), pace)
    score.walk_distance(direction, distance, pace)
    if is_clear(score, [score.ahead(*np.multiply(AHEAD[back], s)) for s in np.linspace(0.0, abs(aside), 6)], goal):
        score.walk_distance(back, abs(aside), pace)


def is_clear(score: Score, points: ArrayLike, goal: RoomObject | None = None, end: np.ndarray | None = None) -> bool:
    """Whether nothing but the goal is on the person's path, points (N, 2).

    The person may come as close to an object as now, or as at ``end``, to which it returns.
    """
    others = [t for t in score.standing if t is not goal]
    if goal is not None and goal.kind == "table":
        others = [t for t in others if t.pose[2] < 0.1]
    room = [(t, 0.34 if t.size[2] > TALL_HEIGHT else 0.24) for t in others]  # hands hang beside tall objects
    path, stands = np.asarray(points), np.array([score.pose[:2], score.pose[:2] if end is None else end])
    return all(np.all(t.distance(path) > min(away, *(t.distance(stands) - 1e-6))) for t, away in room)


def route(
    score: Score, target: np.ndarray, goal: RoomObject | None = None, end: np.ndarray | None = None
) -> list[np.ndarray]:
    """Corners (2,) of the shortest path to a point on the floor around all objects but the goal; empty: there is none.

    ``end`` is as for `is_clear`.
    """

    def clear(a: np.ndarray, b: np.ndarray) -> bool:
        count = max(2, math.ceil(np.linalg.norm(b - a) / 0.05) + 1)
        return is_clear(score, a + np.linspace(0.0, 1.0, count)[:, None] * (b - a), goal, end)

    start = score.pose[:2].copy()
    if clear(start, target):
        return [target]
    nodes = [start, target]
    for obj in score.standing:
        if obj is not goal:
            half = obj.size[:2] / 2.0 + CORNER_GAP
            corners = obj.pose[:2] + rotate_2d(obj.pose[3], half * np.array(list(product((-1, 1), (-1, 1)))))
            nodes += [corner for corner in corners if is_clear(score, corner[None], goal)]
    length = np.zeros((len(nodes), len(nodes)))
    for (i, a), (j, b) in combinations(enumerate(nodes), 2):
        if clear(a, b):
            length[i, j] = np.linalg.norm(b - a)
    total, before = dijkstra(length, directed=False, indices=0, return_predecessors=True)  # type: ignore[call-overload]
    if not np.isfinite(total[1]):
        return []
    path, k = [], 1
    while k > 0:
        path.append(nodes[k])
        k = before[k]
    return path[::-1]


def walk_route(
    score: Score, target: np.ndarray, pace: float, goal: RoomObject | None = None, past: bool = False
) -> None:
    """Walk to a point on the floor on the shortest path around all objects but the goal, turning at its corners.

    ``past``: also walk around the goal. Without a goal the point is where the person began.
    """
    corners = route(score, target, None if past else goal, None if goal else target)
    if not corners:
        where = goal.name if goal else START
        raise BadInput(f"The person does not get to the {where}: other objects stand in the way.")
    for corner in corners:
        distance, bearing = bearing_of(score, corner)
        if distance > 0.02:
            if abs(bearing) > 3.0:
                score.turn(bearing, pace)
            score.walk_distance("forward", distance, pace)


def _stand_before(score: Score, obj: RoomObject, support: RoomObject) -> tuple[np.ndarray, float]:
    """Best position, x and y, and heading, rad, to use an object on a support: near to it and to the person."""
    best: tuple[float, np.ndarray, float] | None = None
    ahead = math.atan2(*(obj.pose[:2] - score.pose[:2])[::-1])
    first, count = (ahead, 8) if support.round else (support.pose[3], 4)
    for yaw in first + 2.0 * math.pi * np.arange(count) / count:
        facing = heading_vector(yaw)
        reach = float((obj.pose[:2] - support.pose[:2]) @ facing) + support.extent(yaw)
        point = obj.pose[:2] - (reach + gap_to(score, support.kind)) * facing
        corners = route(score, point, support)
        if corners:
            steps = np.diff([score.pose[:2], *corners], axis=0)
            cost = float(np.linalg.norm(steps, axis=1).sum()) + 10.0 * max(0.0, reach - obj.extent(yaw) - 0.15)
            if best is None or cost < best[0] - 1e-9:
                best = cost, point, float(yaw)
    if best is None:
        raise BadInput(f"The person does not get to the {obj.name}: other objects stand in the way.")
    return best[1], best[2]


def detour_width(score: Score, direction: str, distance: float, goal: RoomObject | None = None) -> float:
    """Deviation of the path around an obstacle, m to the left; 0: the path is free, or there is no way."""
    ahead, left = np.array(AHEAD[direction]), np.array(AHEAD[_LEFT_OF[direction]])

    def free(aside: float) -> bool:
        out = [score.ahead(*(s * aside * left)) for s in np.linspace(0.0, 1.0, 6)]
        on = [score.ahead(*(x * ahead + aside * left)) for x in np.arange(0.0, distance + 0.01, 0.05)]
        return is_clear(score, out + on, goal)

    return next((aside for aside in (0.0, 0.3, -0.3, 0.5, -0.5, 0.75, -0.75, 1.0, -1.0) if free(aside)), 0.0)


def step_away(score: Score, distance: float) -> None:
    """Step back, or aside if something stands behind."""
    for direction in ("backward", "left", "right"):
        path = [score.ahead(*np.multiply(AHEAD[direction], s)) for s in np.linspace(0.1, distance, 8)]
        if all(t.distance(p) > 0.24 for t in score.standing for p in path):
            score.walk_distance(direction, distance)
            return


def walk_arc(score: Score, middle: np.ndarray, radius: float, s: float, pace: float) -> None:
    """Walk once around a point on the right (s = 1) or on the left (-1)."""
    begin = math.atan2(*(score.pose[:2] - middle)[::-1])
    count = math.ceil(2.0 * math.pi * radius / (0.34 * score.scale))
    foot = "left" if s < 0.0 else "right"  # the outer one
    for k in range(1, count + 1):
        angle = begin - s * 2.0 * math.pi * k / count
        score.pose[:2] = middle + radius * heading_vector(angle)
        score.pose[2] -= s * 2.0 * math.pi / count
        score.step(foot, pace, roll=0.25)
        foot = other(foot)
    score.step(foot, pace, roll=0.12)
    score.settle()
