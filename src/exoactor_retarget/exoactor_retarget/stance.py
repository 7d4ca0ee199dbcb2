"""Stances: where the robot has to stand so that its own hands, feet and seat meet the objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from exoactor_core.arrays import unit
from exoactor_core.contacts import Contact
from exoactor_core.scene import Scene, SceneObject
from exoactor_retarget.hand_contacts import LOW, HandContactPlanner, check_one_hand, contact_groups
from exoactor_retarget.model import Model
from exoactor_retarget.object_geometry import facing_surface, rests_on, seat_middle
from exoactor_retarget.object_motion import KNEE, LIFT_AFTER, PLACED_BEFORE, Destination, place_for
from exoactor_retarget.relocation import Stance
from exoactor_retarget.surroundings import solids_of
from exoactor_retarget.targets import Targets, headed

_NEAR, _NEAR_RANGE = 0.45, (0.4, 0.7)  # m from the goal of a walk to the pelvis, and the acceptable range
_BEFORE_SEAT = 0.13  # m from the edge of a seat to the feet
_AHEAD, _ASIDE = 0.30, (0.0, 0.20)  # m ahead of the pelvis, and to its own side, where a hand works comfortably
_BETWEEN = 0.05  # m from there to the middle of both hands, unless the robot bends down or takes something heavy
_FOREARMS = (0.26, 0.0, 0.10)  # m from a hip to a point kept free for raising the arms
_HEAVY = 0.22  # m ahead, likewise, when taking a box: the waist cannot bear it at arm's length
_BACK = 0.3  # m, maximum distance that it stands back for that


def stances(
    planner: HandContactPlanner,
    contacts: Sequence[Contact],
    targets: Targets,
    destinations: Mapping[str, Destination] | None = None,
) -> list[Stance]:
    """First and last frames in which the robot must be shifted by (2,) m from the position given by the person's scale.

    ``destinations`` are the places where objects are put, by id; others are put on, or into, the nearest object.
    """
    destinations = destinations or {}
    model, scene = planner.model, planner.scene
    fps, last = targets.fps, len(targets) - 1
    palms = targets.natural_palms(model)
    found: list[Stance] = []
    for group in contact_groups(contacts):
        contact = group[0]
        obj = scene[contact.object]
        begin, end = contact.frames(fps, last)
        around = slice(max(0, begin - round(0.1 * fps)), min(last, begin + round(0.2 * fps)) + 1)
        sides = [c.side for c in group if c.body.endswith("hand")]
        if sides:
            natural = palms[around, sides].mean(axis=(0, 1))
            hand_contacts = planner.plan(group, targets, palms)
            point = obj.rotation.apply(np.mean([t.pos for t in hand_contacts], axis=0)) + obj.pos
            heavy = contact.kind == "grasp" and len(sides) == 2 and point[2] > LOW
            nearest = obj.articulation is not None or point[2] < LOW or heavy
            ahead = _within_reach(targets, model, begin, natural, sides, nearest)
            shift = _clear(scene, [obj], model, targets, begin, point[:2] - ahead, heavy)
            if contact.kind == "grasp":
                found.append(Stance(begin, min(begin + round(LIFT_AFTER * fps), last), shift))
                if end < last - round(0.3 * fps):
                    at = max(0, end - round(PLACED_BEFORE * fps))
                    natural_end = palms[at, sides].mean(axis=0)
                    facing = targets.heading(model, at)
                    goal, under = place_for(scene, obj, natural_end, found[-1].shift, facing, destinations.get(obj.id))
                    if hand_contacts[0].fingers and not any(one.contains for one in under):  # released over the rim
                        check_one_hand(obj, float(goal[2]), "put the {} down there")
                    held = goal[:2] + (point - np.array(obj.pos))[:2]
                    shift = held - _within_reach(targets, model, at, natural_end, sides, heavy)
                    found.append(Stance(at, end, _clear(scene, under, model, targets, at, shift, heavy)))
            else:
                found.append(Stance(begin, begin if contact.kind == "push" else end, shift))
        elif contact.body == "seat":
            edge, ahead = seat_edge(obj, targets.heading(model, (begin + end) // 2))
            feet = targets.foot_pos[begin : end + 1, :, :2].mean(axis=(0, 1))
            found.append(Stance(begin, end, edge[:2] + _BEFORE_SEAT * ahead - feet))
        elif contact.body.endswith("foot"):
            toe = targets.toes(model)[begin, contact.side]
            found.append(Stance(begin, end, (foot_goal(obj, contact, toe, targets.heading(model, begin)) - toe)[:2]))
    return sorted(found, key=lambda stance: stance.first)


def near_stance(obj: SceneObject, targets: Targets, shift: np.ndarray, works: bool) -> Stance | None:
    """Stance at the end, near the goal of the walk; None: the previous ``shift`` (2,) m leads there.

    A goal that was moved onto the robot's final position is approached on the straight way from the start. A robot that
    ``works`` with hands or feet stands as close as that requires; otherwise farther, since a tracker stops late.
    """
    last = len(targets) - 1
    begins, ends = targets.pelvis_pos[0, :2], targets.pelvis_pos[-1, :2] + shift
    away, least = obj.floor_distance(ends), 0.0 if works else _NEAR_RANGE[0]
    if least <= away <= _NEAR_RANGE[1] or obj.floor_distance(begins) < _NEAR:
        return None
    comes_from = ends if away > 0.0 else begins
    nearest = np.clip(comes_from, *obj.extent[:, :2])
    return Stance(last, last, shift + nearest - _NEAR * unit(nearest - comes_from) - ends)


def _within_reach(
    targets: Targets, model: Model, frame: int, palms: np.ndarray, sides: Sequence[int], nearest: bool = False
) -> np.ndarray:
    """Position (2,) of the centre (3,) of the palms within comfortable reach, the closest to the present one.

    ``nearest``: as close to the body as possible, so that the arm is not yet stretched when a pushed object yields, and
    so that a robot that bends down, or takes something heavy, stays above its feet; two hands are in the middle, since
    a crouch that reaches aside twists.
    """
    turn, pelvis = headed(np.array([targets.heading(model, frame)]))[0], targets.pelvis_pos[frame]
    ahead, left, up = turn.T @ (palms - pelvis)
    between = 0.0 if nearest else _BETWEEN
    low, high = (-between, between) if len(sides) == 2 else _ASIDE if sides[0] == 0 else (-_ASIDE[1], -_ASIDE[0])
    return (pelvis + turn @ [_AHEAD if nearest else max(float(ahead), _AHEAD), np.clip(float(left), low, high), up])[:2]


def _clear(
    scene: Scene,
    near: Sequence[SceneObject],
    model: Model,
    targets: Targets,
    begin: int,
    shift: np.ndarray,
    heavy: bool = False,
) -> np.ndarray:
    """The shift (2,) m, moved back if knees or toes would be in objects, or in what they stand on."""
    around = slice(max(0, begin - round(0.5 * targets.fps)), begin + round(LIFT_AFTER * targets.fps))
    part = targets[around]
    knees, toes, hips = part.knees(model), part.toes(model), part.hips(model)
    turn = headed(np.array([targets.heading(model, begin)]))[0]
    forearms = (_HEAVY if heavy else _FOREARMS[0], *_FOREARMS[1:])
    points = np.concatenate([knees, toes, hips + turn @ forearms], axis=1).reshape(-1, 3, 1)
    others = [*near, *(other for obj in near for other in scene.objects if rests_on(obj, other))]
    if not others:
        return shift
    scene = Scene(objects=tuple(others))
    solids = solids_of(scene, scene.poses[None])
    facing = turn[:2, 0]
    for back in np.arange(0.0, _BACK, 0.02):
        at = points + np.array([*(shift - back * facing), 0.0])[:, None]
        if all(solids.distance(k, at)[0].min() > KNEE for k in range(len(solids))):
            return shift - back * facing
    return shift


def seat_edge(obj: SceneObject, heading: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre (3,) of the edge of a seat over which the knees are when sitting, and the heading vector (2,)."""
    ahead = np.array([np.cos(heading), np.sin(heading)])
    middle = seat_middle(obj)
    local = obj.rotation.inv().apply([*ahead, 0.0])[:2]
    half = np.diff(obj.bounds[:, :2], axis=0)[0] / 2.0
    deep = float(np.min(half / np.maximum(np.abs(local), 1e-6)))
    return middle + np.array([*(deep * ahead), 0.0]), ahead


def foot_goal(obj: SceneObject, contact: Contact, toe: np.ndarray, heading: float) -> np.ndarray:
    """Target (3,) m of a toe at (3,) on an object: a kick goes through its centre, a push low on its front."""
    middle = obj.corners.mean(axis=0)
    if contact.kind != "push":
        return middle
    ahead = obj.rotation.inv().apply([np.cos(heading), np.sin(heading), 0.0])
    pos, _ = facing_surface(obj, -ahead, obj.local(toe), contact.kind)
    return np.array([*(obj.rotation.apply(pos) + obj.pos)[:2], toe[2]])
