"""Opening and closing doors and drawers."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.contacts import SIDES
from exoactor_core.errors import BadInput
from exoactor_gen.mannequin.handling import DOOR_PUSH_HEIGHT, bend_seconds, free_hand, lean, lower_hands
from exoactor_gen.mannequin.locomotion import approach, face, gap_to, walk_route
from exoactor_gen.mannequin.movement import Movement, category_of
from exoactor_gen.mannequin.objects import PALM_DEPTH, Opened, RoomObject
from exoactor_gen.mannequin.placement import object_named
from exoactor_gen.mannequin.score import Score

OPEN_ANGLE = 1.57
"""rad to which a door is pushed open."""
SHOVE_LENGTH = 0.20
"""m that the hand moves with a door."""
AJAR_ANGLE, AJAR_DISTANCE = 0.6, 0.3
"""rad by which an imagined door that is to be closed stands open towards the person, and additional distance, m."""
DRAW_LENGTH = 0.20
"""m by which a drawer is drawn out."""


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
    lower_hands(score, (side,), 1.0, 0.0)
    score.now = max(score.now, reached + 3.0)


def _drawer(score: Score, movement: Movement) -> RoomObject:
    """The drawer, with the person in front of it."""
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
    side = movement.side if movement.side in SIDES else free_hand(score)
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
    lower_hands(score, (side,), 1.2 / movement.pace, 0.08)
