"""Surfaces of a scene's objects: tops, surfaces facing the robot, and which object stands on which."""

from __future__ import annotations

import numpy as np

from exoactor_core.arrays import unit
from exoactor_core.scene import SceneObject

_EDGE = 0.05  # m from the edge of a surface to a hand that touches it


def top_at(obj: SceneObject, point: np.ndarray) -> float:
    """Height of an object's highest surface above a point (2,) of the floor; the object's height if there is none."""
    tops = []
    for shape in obj.shapes:
        turn = obj.rotation * shape.rotation
        middle = obj.rotation.apply(shape.pos) + obj.pos
        local = turn.inv().apply([*(point - middle[:2]), 0.0])
        half = np.array(shape.size) / 2.0
        if (np.abs(local[:2]) <= half[:2]).all():
            tops.append(middle[2] + float(np.abs(turn.as_matrix()[2]) @ half))
    return max(tops, default=float(obj.extent[1, 2]))


def seat_middle(obj: SceneObject) -> np.ndarray:
    """(3,) centre of the sitting surface: a chair's seat is in front of its back."""
    middle = obj.corners.mean(axis=0)[:2]
    return np.array([*middle, top_at(obj, middle)])


def box_normal(obj: SceneObject, pos: np.ndarray) -> np.ndarray:
    """(3,) outward normal of the bounding box of an object's nearest shape, at a point (3,) of it, in its frame."""
    low, high = obj.nearest_box(pos)
    return box_side((pos - (low + high) / 2.0) / np.maximum((high - low) / 2.0, 1e-6))[1]


def box_side(direction: np.ndarray) -> tuple[int, np.ndarray]:
    """The axis of a box that is nearest to a direction (2,) or (3,), and the normal (3,) of its side there."""
    axis = int(np.argmax(np.abs(direction)))
    return axis, np.eye(3)[axis] * np.sign(direction[axis])


def facing_surface(obj: SceneObject, towards: np.ndarray, at: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Point and normal of the surface that faces the robot, or of the top if the hand is above it."""
    low, high = obj.bounds
    edge = np.minimum(0.2 * (high - low), _EDGE)
    pos = np.clip(at, low + edge, high - edge)
    if kind == "support" or (kind == "touch" and obj.supports):
        pos[2] = high[2]
        return pos, np.array([0.0, 0.0, 1.0])
    axis, normal = box_side(towards[:2])
    pos[axis] = high[axis] if normal[axis] > 0 else low[axis]
    shape = obj.largest_shape
    if shape.is_round:
        normal = unit(towards * [1.0, 1.0, 0.0])
        pos[:2] = np.array(shape.pos[:2]) + shape.size[0] / 2.0 * normal[:2]
        if shape.kind == "sphere":
            pos[2] = shape.pos[2]
    return pos, normal


def rests_on(obj: SceneObject, under: SceneObject) -> bool:
    """Whether an object stands on, or in, another one."""
    if obj.id == under.id or not (under.supports or under.contains):
        return False
    local = under.local(obj.pos)
    low, high = under.bounds
    return bool((local > low - 0.02).all() and (local < high + np.array([0.02, 0.02, 0.05])).all())
