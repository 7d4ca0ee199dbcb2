"""Obstacle avoidance: the root path is bent around objects that stand in its way."""

from __future__ import annotations

from collections.abc import Set
from itertools import compress

import numpy as np
from scipy.ndimage import gaussian_filter1d

from exoactor_core.arrays import smoothstep, unit
from exoactor_core.scene import Scene, SceneObject
from exoactor_retarget.human import Posture
from exoactor_retarget.object_geometry import rests_on
from exoactor_retarget.relocation import Stance
from exoactor_retarget.surroundings import solids_of
from exoactor_retarget.targets import window

_CLEARANCE, _HAND_CLEARANCE = 0.33, 0.40  # m from the middle of the robot to obstacles; also beside hanging hands
_HAND_HEIGHT = 0.5  # m above the floor, height of hanging hands
_SWAY = 0.05  # m that the hips may come closer, when turning or leaving, to what the robot has stopped at
_LEAVING = 0.3  # m of additional distance from it per m of path
_MIN_TOP, _MAX_UNDERSIDE = 0.10, 1.1  # m: lower objects are stepped over, higher ones walked under


def past_obstacles(
    person: Posture, shift: np.ndarray, placed: list[Stance], stands: np.ndarray, scene: Scene, goals: Set[str]
) -> np.ndarray:
    """The shift (T, 2) extended so that the path goes around obstacles."""
    path = person.at("hip").mean(axis=1)[:, :2]
    stops = np.array([(path + shift)[frame] for first, last, _ in placed for frame in (first, last)])
    obstacles = _obstacles(scene, goals)
    if not obstacles:
        return shift
    solids = solids_of(Scene(objects=obstacles), np.array([[obj.pose for obj in obstacles]]))
    free = np.ones(len(person))
    for first, last, _ in placed:
        free *= 1.0 - window(len(person), first, last, round(0.8 * person.fps))
    walking = gaussian_filter1d((~stands).any(axis=1).astype(float), 0.3 * person.fps, mode="nearest")
    free *= smoothstep(3.0 * walking)
    clearance = np.where(solids.tops[0] > _HAND_HEIGHT, _HAND_CLEARANCE, _CLEARANCE)
    # It comes no closer to what it stops at than where it stops, and farther as it leaves
    gone = np.linalg.norm((path + shift)[:, None] - stops, axis=2)
    nearest = [
        (obj.floor_distance(stops) - _SWAY + _LEAVING * gone).min(axis=1) for obj in obstacles for _ in obj.shapes
    ]
    clearance = np.minimum(clearance[:, None], nearest)
    extra = np.zeros_like(shift)
    for _ in range(60):
        at = path + shift + extra
        push = np.zeros_like(at)
        for k in range(len(solids)):
            height = np.full(len(at), solids.pos[0, k, 2])
            away, normal = solids.distance(k, np.column_stack([at, height]).T[None])
            short = np.maximum(clearance[k] - away[0], 0.0)
            push += short[:, None] * _aside(normal[0, :2].T, path)
        if np.abs(push).max() < 0.01:
            break
        extra += gaussian_filter1d(0.5 * push, 0.6 * person.fps, axis=0, mode="nearest") * free[:, None]
    return shift + extra


def round_seat(
    person: Posture, shift: np.ndarray, placed: list[Stance], stands: np.ndarray, seat: SceneObject, sits: int
) -> np.ndarray:
    """The shift (T, 2) extended so that the path goes around a seat, until the frame in which the body sits down."""
    path = (person.at("hip").mean(axis=1)[:, :2] + shift)[:sits]
    away = seat.floor_distance(path)
    end = int(np.flatnonzero(away > _CLEARANCE)[-1]) + 1 if (away > _CLEARANCE).any() else 0
    if not end:
        return shift
    before = [stance for stance in placed if stance.last < end]
    gone = past_obstacles(person[:end], shift[:end], before, stands[:end], Scene(objects=(seat,)), set())
    share = 1.0 - window(end, end, end, round(0.8 * person.fps))
    return np.concatenate([shift[:end] + share[:, None] * (gone - shift[:end]), shift[end:]])


def _obstacles(scene: Scene, goals: Set[str]) -> tuple[SceneObject, ...]:
    """Obstacles on the floor, without the goals."""
    obstacles = []
    for obj in scene.objects:
        underside, top = obj.heights.T
        in_the_way = (top >= _MIN_TOP) & (underside <= _MAX_UNDERSIDE)  # neither stepped over nor walked under
        shapes = tuple(compress(obj.shapes, in_the_way))
        if obj.id not in goals and shapes and not any(rests_on(obj, other) for other in scene.objects):
            obstacles.append(obj.model_copy(update={"shapes": shapes}))
    return tuple(obstacles)


def _aside(normal: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Normals (T, 2) turned perpendicular to the path (T, 2), so that an obstacle right ahead is passed on one side."""
    way = unit(np.gradient(path, axis=0))
    left = np.stack([-way[:, 1], way[:, 0]], axis=1)
    side = np.sum(normal * left, axis=1)
    total = np.sign(np.sum(side)) or 1.0
    against = np.abs(side) < 0.5
    return np.where(against[:, None], 0.7 * total * left + 0.3 * normal, normal)
