"""Feet among low objects: they stand clear of them, and swing over them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from exoactor_core.arrays import min_jerk, smoothstep, true_runs, unit
from exoactor_core.scene import MAX_STEP_HEIGHT, Scene, SceneObject
from exoactor_retarget.contacts import foot_contacts
from exoactor_retarget.human import Posture
from exoactor_retarget.model import Model
from exoactor_retarget.surroundings import Solids, solids_of
from exoactor_retarget.targets import Targets, bridge, headed

_STANCE_CLEARANCE = 0.07  # m beside low objects, for the sole of a standing foot
_SWING_CLEARANCE = 0.08  # m above them, for the sole of a swinging foot
_MIN_SWING_SECONDS = 0.7  # a faster foot does not follow
_RAISING_PHASE = 0.35  # share of a swing in which the foot is raised, and in which it is lowered
_ADVANCING_PHASE = 0.3, 0.8  # shares of a swing between which it moves forward
_OVER_DISTANCE = 0.02  # m beside an object that count as over it
_CROSSING_DISTANCE = 0.05  # m likewise for a person's foot, whose estimate may be off
_MAX_SHIFT = 0.25  # m, maximum displacement of a foothold


def stepped_over(targets: Targets, scene: Scene, model: Model) -> Targets:
    """The targets with feet that stand beside low objects, and are raised where they swing over them.

    Estimated feet are some cm off, and lower than they were.
    """
    low = scene.model_copy(update={"objects": tuple(obj for obj in scene.objects if _is_low(obj))})
    if not low.objects:
        return targets
    solids = solids_of(low, low.poses[None])
    foot_pos, foot_rot, fps = targets.foot_pos.copy(), targets.foot_rot.copy(), targets.fps
    for k in range(2):
        contact, rest, turned = targets.contact[:, k], model.rest["foot"][k], headed(targets.foot_yaw[:, k])
        outline = _outline(model.soles[k] @ rest.T)
        stood = targets.foot_pos[:, k].copy()
        for a, b in true_runs(contact):
            stood[a:b, :2] += _shift_clear(solids, outline @ turned[a].T + stood[a])
        foot_pos[:, k] = bridge(targets.foot_pos[:, k], stood, contact)
        for a, b in true_runs(~contact):
            if a == 0 or b == len(targets):
                continue
            first, last = foot_pos[a - 1, k], foot_pos[b, k]
            between = np.linspace(first, last, 30)
            top = _highest(solids, (between[:, None] + outline @ turned[a].T).reshape(-1, 3))
            if top > 0.0:
                foot_pos[a:b, k] = _swing(first, last, top + _SWING_CLEARANCE, b - a)
                foot_rot[a:b, k] = turned[a:b] @ rest
    aside = (foot_pos - targets.foot_pos).mean(axis=1) * [1.0, 1.0, 0.0]
    pelvis_pos = targets.pelvis_pos + gaussian_filter1d(aside, 0.2 * fps, axis=0, mode="nearest")
    return replace(targets, foot_pos=foot_pos, foot_rot=foot_rot, pelvis_pos=pelvis_pos)


def crossing_pace(person: Posture, scene: Scene) -> np.ndarray:
    """Factor (T,) by which a foot's swing over a low object has to be slowed to take `_MIN_SWING_SECONDS`."""
    pace = np.ones(len(person))
    feet, stands = person.at("foot")[..., :2], foot_contacts(person.contacts, person.fps, 0.08)
    for obj in filter(_is_low, scene.objects):
        for k in range(2):
            for a, b in true_runs(~stands[:, k]):
                first, last = feet[max(a - 1, 0), k], feet[min(b, len(person) - 1), k]
                if obj.floor_distance(np.linspace(first, last, 30)).min() < _CROSSING_DISTANCE:
                    pace[a:b] = max(1.0, _MIN_SWING_SECONDS * person.fps / (b - a))
    return pace


def _swing(first: np.ndarray, last: np.ndarray, height: float, frames: int) -> np.ndarray:
    """Path (T, 3) m of a foot that is raised, moves forward, and is lowered."""
    share = (np.arange(frames) + 1.0) / (frames + 1)
    begin, end = _ADVANCING_PHASE
    ahead = min_jerk((share - begin) / (end - begin))[:, None]
    up = smoothstep(share / _RAISING_PHASE) * smoothstep((1.0 - share) / _RAISING_PHASE)
    return first + ahead * (last - first) + (height * up)[:, None] * [0.0, 0.0, 1.0]


def _is_low(obj: SceneObject) -> bool:
    return bool(obj.extent[1, 2] <= MAX_STEP_HEIGHT)


def _outline(sole: np.ndarray) -> np.ndarray:
    """Points (N, 3) m spread over a sole, from its corners (K, 3)."""
    share = np.linspace(0.0, 1.0, 7)[:, None, None, None]
    return (sole[:, None] + share * (sole[None] - sole[:, None])).reshape(-1, 3)


def _distances(solids: Solids, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Horizontal distances (K, N) m of points (N, 3) from solids, and directions (K, N, 2) away from them."""
    found = []
    for k in range(len(solids)):
        level = np.column_stack([points[:, :2], np.full(len(points), solids.pos[0, k, 2])])
        found.append(solids.distance(k, level[..., None]))
    return np.array([away[:, 0] for away, _ in found]), np.array([normal[:, :2, 0] for _, normal in found])


def _shift_clear(solids: Solids, sole: np.ndarray) -> np.ndarray:
    """Displacement (2,) m with which a foot with points (N, 3) on its sole stands clear of low objects."""
    shift = np.zeros(3)
    for _ in range(round(_MAX_SHIFT / 0.01)):
        if _distances(solids, sole + shift)[0].min() >= _STANCE_CLEARANCE:
            break
        distances, directions = _distances(solids, (sole + shift).mean(axis=0)[None])
        shift[:2] += 0.01 * unit(directions[distances[:, 0].argmin(), 0])
    return shift[:2]


def _highest(solids: Solids, points: np.ndarray) -> float:
    """Height in m of the highest top below points (N, 3); 0: none."""
    over = _distances(solids, points)[0].min(axis=1) < _OVER_DISTANCE
    return float(solids.tops[0, over].max(initial=0.0))
