"""Placement of objects in the mannequin's room: a new object is placed where it is needed.

That is within reach, or some steps ahead if it is walked to, unless the person has walked there before; then it is
placed in another direction, and the person turns to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import count, product

import numpy as np

from exoactor_core.errors import BadInput
from exoactor_core.everyday import EVERYDAY
from exoactor_gen.mannequin.locomotion import approach, bearing_of, gap_to
from exoactor_gen.mannequin.movement import PART_NAMES, SHOWN, can_be_shown, category_of
from exoactor_gen.mannequin.objects import BROOM, LOOSE, ONE_HANDED, RoomObject
from exoactor_gen.mannequin.score import Score, heading_vector, sign
from exoactor_gen.plan import Part

BESIDE_GAP = 0.10
"""m between objects beside each other, enough for a hand."""
WALK_DISTANCE = 1.2
"""m to an object that is walked to."""
TURNING_ROOM = 0.6
"""m, minimum distance of objects that are not straight ahead: the person turns to them, with objects in the hands."""
MIDDLE_REACH = 0.10
"""m beyond the nearest place on a support up to which something is put in its middle."""
DRAWER_STAND_HEIGHT, DRAWER_GAP = 0.60, 0.01
"""m: height of the stand of an imagined drawer, and the gap between them."""
RIM_HEIGHT = 0.86
"""m from the floor to the top of containers, for arms that do not reach lower: they stand on a stand."""


def shown() -> str:
    """The objects that can be imagined, for messages."""
    return ", ".join(f"a {name}" for name in (*sorted(SHOWN), BROOM))


def is_known(score: Score, name: str | None) -> bool:
    """Whether an object is in the room, or can be imagined there."""
    if name is None or name in score.objects or not score.imagines:
        return name in score.objects
    return name == BROOM or can_be_shown(name)


def table_of(score: Score) -> str:
    """Name of the table in the room, or of one that can be imagined there."""
    return next((name for name, obj in score.objects.items() if obj.kind == "table"), "table")


def object_named(
    score: Score,
    name: str,
    away: float,
    on: str | None = None,
    aside: float = 0.0,
    back: float = 0.0,
    side: str | None = None,
    size: tuple[float, ...] | None = None,
    part: Part | None = None,
) -> RoomObject:
    """An object by name; the edge of a new one is ``away`` m from the person, ``aside`` degrees to the left.

    It has its usual size, or that of (3,) m. ``on`` another object, it is ``back`` m farther from the edge than
    necessary, in front of the hand of a side, or on the ``part`` that is said.
    """
    if name in score.objects:
        return score.objects[name]
    kind = category_of(name)
    if not (is_known(score, name) or (score.imagines and kind == "stand")):
        raise BadInput(f"The scene has no {name}: it has {', '.join(score.objects) or 'nothing'}.")
    if kind == "drawer" and on is None:
        return _drawer_on_stand(score, name, away)
    if on is None and (kind == "cup" or (kind in LOOSE and away < 0.5 and at_table(score))):
        on = table_of(score)
    new = RoomObject.imagined(name, np.zeros(4), size)
    into = new.item.contains and score.low_reach
    taken = kind in ONE_HANDED or (kind == "ball" and name in score.taken)
    if on is None and (into or (score.low_reach and taken)):
        on = "stand"
    if on == "stand":
        on = _new_stand(score)
    if on and on != "floor":
        on_stand = category_of(on) == "stand"
        if not (is_known(score, on) or on_stand):
            raise BadInput(f"Nothing can be on the {on}: the mannequin's room can have {shown()}.")
        size = None
        if on_stand and into:
            size = (0.4, 0.4, RIM_HEIGHT - new.size[2])
        elif on_stand and not new.one_handed:  # arms that reach around it do not reach far over the edge
            size = (0.24, 0.4, 0.6)
        there = away if on_stand else max(away + gap_to(score, on) - gap_to(score, name), gap_to(score, on))
        under = object_named(score, on, there, aside=aside, size=size)
        approach(score, under, 1.0)
        spot = spot_on(score, under, new, side, part)
        spot[:2] += score.ahead(back) - score.pose[:2]
        if under.item.contains:
            spot[2] = under.scene_object.heights[:, 1].min()  # its floor
        score.objects[name] = new.at(np.array([*spot, score.pose[2]]))
        return score.objects[name]
    for farther, turn in product((0.0, 0.5, 1.0), np.radians([0.0, 50.0, -50.0, 90.0, -90.0, 135.0, -135.0, 180.0])):
        off = away if turn == 0.0 else max(away, TURNING_ROOM)
        yaw = score.pose[2] + turn + math.radians(aside)
        middle = score.pose[:2] + (off + farther + new.size[0] / 2.0) * heading_vector(yaw)
        facing = yaw + math.pi if kind == "chair" else yaw  # its seat faces the person
        new = new.at(np.array([*middle, 0.0, facing]))
        if is_free(score, new):
            break
    else:
        raise BadInput(f"There is no room left for a {name} around the person.")
    score.objects[name] = new
    return new


def _new_stand(score: Score) -> str:
    """Name of a new stand: each object has its own."""
    return next(name for n in count(1) if (name := f"stand_{n}" if n > 1 else "stand") not in score.objects)


def _drawer_on_stand(score: Score, name: str, away: float) -> RoomObject:
    """A new drawer on a stand of its own, its front towards the person, who walks there."""
    size = (*EVERYDAY["drawer"].size[:2], DRAWER_STAND_HEIGHT * score.scale)
    stand = object_named(score, _new_stand(score), away, size=size)
    approach(score, stand, 1.0)
    pose = np.array([*stand.pose[:2], stand.size[2] + DRAWER_GAP, score.pose[2] + math.pi])
    score.objects[name] = RoomObject.imagined(name, pose)
    return score.objects[name]


def at_table(score: Score) -> bool:
    """Whether the person stands at the table."""
    table = score.objects.get(table_of(score))
    if table is None:
        return False
    distance, bearing = bearing_of(score, table.pose)
    return abs(distance - table.extent(score.pose[2]) - gap_to(score, "table")) < 0.1 and abs(bearing) < 20.0


def is_free(score: Score, new: RoomObject) -> bool:
    """Whether the person has not walked where a new object would stand, and no other object is there or on the way."""
    if any(new.distance(past) < 0.24 - (0.2 if new.kind == "chair" else 0.0) for past in score.past):
        return False
    way = np.linspace(score.pose[:2], new.pose[:2], 20)
    return all(
        np.linalg.norm(new.pose[:2] - obj.pose[:2]) > new.size[:2].max() / 2 + obj.size[:2].max() / 2 + 0.1
        and min(obj.distance(point) for point in way) > min(0.24, obj.distance(score.pose) - 0.01)
        for obj in score.standing
    )


def spot_on(
    score: Score, support: RoomObject, obj: RoomObject, side: str | None, part: Part | None = None
) -> np.ndarray:
    """(3,) position on a table or in a container at which the person stands; small objects aside, or on a part."""
    depth = obj.size[0]
    distance = float(np.linalg.norm(support.pose[:2] - score.pose[:2]))
    if support.item.contains:
        wide = depth if obj.round else math.hypot(*obj.size[:2])
        room = (support.size[0] - wide) / 2.0 - 0.02
        if room <= 0.0:
            raise BadInput(f"The {obj.name} does not fit into the {support.name}.")
        inside = objects_on(score, support, obj)
        aside = min(room, 0.10) * sign(side or "right")
        for left in (0.0, aside, -aside):
            spot = score.ahead(distance - min(math.sqrt(max(room**2 - left**2, 0.0)), 0.05), left)
            if all(near.distance(spot) > 0.01 + wide / 2.0 for near in inside):
                return np.array([*spot, support.pose[2] + 0.03])
        raise BadInput(f"The {obj.name} does not fit into the {support.name}, with the {inside[0].name} in it.")
    if not support.item.supports and support.kind != "box":
        raise BadInput(f"The {obj.name} cannot be put on the {support.name}.")
    edge = gap_to(score, "table") if support.kind == "table" else distance - depth / 2
    away = edge + 0.04 + depth / 2.0
    lefts: tuple[float, ...] = (0.28 * score.scale, 0.0) if support.kind == "table" and obj.one_handed else (0.0,)
    if not score.imagines:
        lefts += (0.15, -0.15, 0.3, -0.3, 0.45, -0.45)
    if part:
        away, lefts = _part_of(score, support, away, part)
    there = objects_on(score, support, obj)
    if obj.item.id not in score.objects:  # a new one stands there from the start
        there += [t.at(t.start) for t in score.objects.values() if t.events and _is_on(support, t.start)]
    for left in lefts:
        spot = score.ahead(away, left if part else left * sign(side or "right"))
        if (score.imagines or support.distance(spot) == 0.0) and all(
            near.distance(spot) > 0.02 + max(obj.size[:2]) / 2.0 for near in there
        ):
            return np.array([*spot, support.size[2] + support.pose[2]])
    where = f"{PART_NAMES[part]} of " if part else ""
    raise BadInput(f"There is no room left on {where}the {support.name} for the {obj.name}.")


def _axes(yaw: float) -> np.ndarray:
    """(2, 2) unit vectors on the floor: ahead and to the left of who faces ``yaw``."""
    return np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])


def _part_of(score: Score, support: RoomObject, near: float, part: Part) -> tuple[float, tuple[float, ...]]:
    """Distances ahead and to the left, m, of places on a part of a support, of which ``near`` is the nearest."""
    yaw = score.pose[2]
    ahead, across = _axes(yaw)
    middle = support.pose[:2] - score.pose[:2]
    if part == "middle":
        farthest = near + MIDDLE_REACH
        return max(near, min(float(middle @ ahead), farthest)), (float(middle @ across),)
    half = support.extent(yaw + math.pi / 2.0) * sign(part)
    return near, tuple(float(middle @ across) + share * half for share in (0.5, 0.65, 0.35))


def is_on_part(score: Score, support: RoomObject, obj: RoomObject, part: Part) -> bool:
    """Whether an object is on a part of its support, as the person before it sees it: its left, right or middle."""
    yaw = score.pose[2]
    aside = float((obj.pose[:2] - support.pose[:2]) @ _axes(yaw)[1])
    third = support.extent(yaw + math.pi / 2.0) / 3.0
    return abs(aside) <= third if part == "middle" else aside * sign(part) > 0.0


def spot_beside(score: Score, neighbour: RoomObject, obj: RoomObject, way: str) -> np.ndarray:
    """(3,) position to the "left" or "right" of an object, or "side": the closer of both."""
    yaw = score.pose[2]
    ahead, across = _axes(yaw)
    nearest = neighbour.pose[:2] - max(neighbour.extent(yaw) - max(obj.size[:2]) / 2.0, 0.0) * ahead
    wide = neighbour.extent(yaw + math.pi / 2.0) + max(obj.size[:2]) / 2.0 + BESIDE_GAP
    under = support_of(score.objects.values(), neighbour)
    aside = float((nearest - score.pose[:2]) @ across)
    ways = {"left": (1.0,), "right": (-1.0,)}.get(way, (-1.0, 1.0) if aside > 0.0 else (1.0, -1.0))
    for s in ways:
        spot = nearest + s * wide * across
        near = [n for n in score.standing if n not in (obj, under)]
        if (under is None or under.distance(spot) == 0.0) and all(
            n.distance(spot) > max(obj.size[:2]) / 2.0 + 0.02 for n in near
        ):
            return np.array([*spot, neighbour.pose[2]])
    where = "next to" if way == "side" else f"to the {way} of"
    raise BadInput(f"There is no room {where} the {neighbour.name} for the {obj.name}.")


def support_of(objects: Iterable[RoomObject], obj: RoomObject) -> RoomObject | None:
    """Support of an object; None: the floor."""
    under = [t for t in objects if t is not obj and t.pose[2] < obj.pose[2] - 0.01 and t.distance(obj.pose) == 0.0]
    return max(under, key=lambda t: float(t.pose[2] + t.size[2]), default=None)


def objects_on(score: Score, support: RoomObject, but: RoomObject | None = None) -> list[RoomObject]:
    """Objects on or in another one."""
    return [
        t
        for t in score.standing
        if t is not support and (but is None or t.item.id != but.item.id) and _is_on(support, t.pose)
    ]


def _is_on(support: RoomObject, pose: np.ndarray) -> bool:
    """Whether an object at a pose (4,) is on or in another one."""
    return bool(pose[2] > support.pose[2] + 0.01 and support.distance(pose) == 0.0)
