"""What the solver minimises: one function per term.

Each returns its residual, wanted minus reached, and how to make its Jacobian, which costs more and is needed less.

A frame's cost is the sum over its terms of weight times squared residual. Body terms are functions of root, legs and
waist; arm terms of the arms alone, since arms follow directions that hold in the world and should not move the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from exoactor_core.arrays import smoothstep
from exoactor_retarget.collision import Distances
from exoactor_retarget.human import BEARING
from exoactor_retarget.kinematics import Poses, cross, log
from exoactor_retarget.model import Model
from exoactor_retarget.surroundings import Clearances
from exoactor_retarget.targets import Targets

_MIN_REACH_SHARE, _MAX_REACH_SHARE = 0.35, 0.96  # least and greatest reach of an arm, as shares of its length
_LED_ARM_SHARE = 0.1  # how much the directions of an arm count where an object leads its hand
_LOW_PELVIS_FACTOR = 12.0  # times that it counts if a pelvis is too low that crouches for a hand that an object leads
_LED_HEADING_FACTOR = 20.0  # times that the heading of a pelvis counts whose hands an object leads
_UPRIGHT_HEIGHT = 0.6  # m, of a pelvis that does not crouch
_CROUCH_DEPTH = 0.1  # m that one is lower that does
_BALANCED_OFFSET = 0.05  # m: a centre of mass twice as far out as this is not meant to be over the feet
ACTIVATION_DISTANCE = 0.02  # m: what is not as near as this beyond its limit is not looked at in a step


@dataclass(frozen=True)
class Term:
    """One term for T frames and n coordinates."""

    residual: np.ndarray
    """(T, r)."""
    weight: Any
    """Broadcastable to (T, r)."""
    jacobian: Callable[[], np.ndarray]
    """Gives (T, r, n)."""


@dataclass(frozen=True)
class Support:
    """Where the centre of mass may be: between two lines along each of two axes of the floor."""

    axes: np.ndarray
    """(2, T, 2) unit vectors: along the feet, and to their left."""
    first: np.ndarray
    """(2, T) m along the axes."""
    last: np.ndarray
    weight: np.ndarray
    """(T,) in [0, 1], 0 while the root moves or no foot stands."""

    def __getitem__(self, frames: np.ndarray) -> Support:
        return Support(self.axes[:, frames], self.first[:, frames], self.last[:, frames], self.weight[frames])


def support(targets: Targets, model: Model, balance: dict[str, Any], poses: Poses, frames: np.ndarray) -> Support:
    """Support of the feet in contact, while the root is slow, for the robot without what its hands carry.

    Where an object leads hands it is narrower ahead: a tracker bends further than it is commanded. It counts less where
    the ``poses`` at some ``frames`` are so far from it that nobody stands there: such a person falls, leans on
    something, or touches the floor where no contact is known. Not so where an object leads a hand.
    """
    fps = targets.fps
    contact = targets.contact.astype(np.float64)
    feet = contact.sum(axis=1)
    share = contact / np.maximum(feet, 1)[:, None]
    yaw = np.arctan2(np.sum(share * np.sin(targets.foot_yaw), 1), np.sum(share * np.cos(targets.foot_yaw), 1))
    axes = np.stack([np.stack([np.cos(yaw), np.sin(yaw)], axis=1), np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)])
    low = np.array([balance["forward"][0], -balance["sideways"]])[:, None]
    high = np.array([balance["forward"][1], balance["sideways"]])[:, None]
    along = np.einsum("tkj,atj->atk", targets.foot_pos[..., :2], axes)
    first = np.where(contact > 0, along, np.inf).min(axis=2) + low
    last = np.where(contact > 0, along, -np.inf).max(axis=2) + high
    last[0] -= (balance["forward"][1] - balance["forward_led"]) * targets.holding.max(axis=1)
    if targets.load.any():
        palms = targets.palms(model)
        at = np.einsum("tkj,atj->atk", palms[..., :2], axes)
        share = targets.load / model.description.mass.sum()
        first, last = (edge - np.sum(share * (at - edge[..., None]), axis=2) for edge in (first, last))
    if len(targets) > 1:
        smooth = gaussian_filter1d(targets.pelvis_pos[:, :2], 0.2 * fps, axis=0, mode="nearest")
        speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=1) * fps
    else:
        speed = np.zeros(1)
    still = np.clip(2.0 - speed / balance["slow"], 0.0, 1.0) * (feet > 0)
    # Where a foot lands or leaves, the point to stand over jumps: leave these moments to the motion itself.
    change = np.r_[False, (targets.contact[1:] != targets.contact[:-1]).any(axis=1)]
    still *= 1.0 - maximum_filter1d(change.astype(float), round(0.5 * fps) | 1)
    still *= np.isinf(targets.bearing).all(axis=1)  # what is supported otherwise need not be balanced
    still = gaussian_filter1d(still, 0.1 * fps, mode="nearest") * (feet > 0)
    stand = Support(axes, first, last, still)
    off, _ = _outside(stand[frames], model, poses)
    doubt = np.clip(np.linalg.norm(off, axis=0) / _BALANCED_OFFSET - 1.0, 0.0, 1.0) * (
        1.0 - targets.holding[frames].max(axis=1)
    )
    return replace(stand, weight=still * (1.0 - np.interp(np.arange(len(still)), frames, doubt)))


def _outside(stand: Support, model: Model, poses: Poses) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """How far (2, T) the centre of mass would have to move to be over the support, and masses and moments."""
    center, mass, moment = model.kinematics.center_of_mass(poses)
    at = np.einsum("atj,jt->at", stand.axes, center[:2])
    with np.errstate(invalid="ignore"):
        return np.where(stand.weight > 0, np.clip(at, stand.first, stand.last) - at, 0.0), (mass, moment)


def _turn(model: Model, poses: Poses, body: int, wanted: np.ndarray, weight: Any, block: np.ndarray) -> Term:
    residual = log(wanted @ poses.rotation(body).transpose(0, 2, 1))
    return Term(residual, weight, lambda: model.kinematics.turn_jacobian(poses, body, block))


# --- the body ---


def pelvis_position(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Term:
    """The root path; hands that are led do not pull it down farther than the person crouches."""
    residual = targets.pelvis_pos - poses.pos[0].T
    weight = np.tile(np.array(weights["pelvis_position"]), (len(targets), 1))
    crouches = smoothstep((_UPRIGHT_HEIGHT - targets.pelvis_pos[:, 2]) / _CROUCH_DEPTH) * targets.holding.max(axis=1)
    weight[:, 2] *= np.where(residual[:, 2] > 0.0, 1.0 + (_LOW_PELVIS_FACTOR - 1.0) * crouches, 1.0)
    return Term(residual, weight, lambda: model.kinematics.point_jacobian(poses, 0, poses.pos[0], model.body_block))


def pelvis_rotation(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Term:
    """Orientation of the pelvis; hands that are led do not turn it about the vertical to reach farther."""
    weight = np.full((len(targets), 3), float(weights["pelvis_rotation"]))
    weight[:, 2] *= 1.0 + (_LED_HEADING_FACTOR - 1.0) * targets.holding.max(axis=1)
    return _turn(model, poses, 0, targets.pelvis_rot, weight, model.body_block)


def torso_rotation(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Term:
    """Orientation of the torso."""
    return _turn(model, poses, model.torso, targets.torso_rot, weights["torso_rotation"], model.body_block)


def foot_position(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any], k: int) -> Term:
    """A foot's position: all but fixed in contact."""
    at, body = model.point(poses, "foot", k), model.bodies["foot"][k]
    contact = targets.contact[:, k, None]
    weight = np.where(contact, weights["foot_contact_position"], weights["foot_swing_position"])
    return Term(
        targets.foot_pos[:, k] - at.T,
        weight,
        lambda: model.kinematics.point_jacobian(poses, body, at, model.body_block),
    )


def foot_rotation(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any], k: int) -> Term:
    """A foot's orientation: flat on the floor in contact."""
    contact = targets.contact[:, k, None]
    weight = np.where(contact, weights["foot_contact_rotation"], weights["foot_swing_rotation"])
    return _turn(model, poses, model.bodies["foot"][k], targets.foot_rot[:, k], weight, model.body_block)


def balance(model: Model, poses: Poses, stand: Support, weight: float) -> Iterator[Term]:
    """Centre of mass over the feet while these stand and the root is slow."""
    if not stand.weight.any():
        return
    off, (mass, moment) = _outside(stand, model, poses)

    def jacobian() -> np.ndarray:
        whole = model.kinematics.center_jacobian(poses, mass, moment, model.body_block)
        return np.einsum("atj,tjn->tan", stand.axes, whole[:, :2])

    if off.any():
        yield Term(off.T, np.where(off.T != 0, weight * stand.weight[:, None], 0.0), jacobian)


def bearing(model: Model, poses: Poses, targets: Targets, weight: float, block: np.ndarray) -> Iterator[Term]:
    """Lowest points of knees, hands, forearms, seat and back on what they rest on; those of arms are the arms' own."""
    for k, part in enumerate(BEARING):
        wanted = targets.bearing[:, k]
        rests = np.isfinite(wanted)
        probes = model.bearing[part]
        if not rests.any() or model.of_arm[model.probes.body[probes[0]]] != (block is model.arms_block):
            continue
        lowest = model.probes.heights(poses, probes)
        which = probes[lowest.argmin(axis=0)]
        residual = np.where(rests, wanted - lowest.min(axis=0), 0.0)

        def jacobian(which: np.ndarray = which) -> np.ndarray:
            frame = np.arange(len(which))
            body = model.probes.body[which]
            arm = np.einsum("tij,tj->it", poses.rot[body, :, :, frame], model.probes.local[which])
            up = np.zeros((3, len(which)))
            up[2] = 1.0
            row = _rows(model, poses, body, arm + poses.pos[body, :, frame].T, up, frame, block)
            row[:, block == 2] = 1.0
            return row[:, None]

        yield Term(residual[:, None], np.where(rests, weight, 0.0)[:, None], jacobian)


def reach(model: Model, poses: Poses, targets: Targets, weight: float, k: int) -> Iterator[Term]:
    """A shoulder as near to where its palm is to be as the arm is long, wherever the arm points now."""
    held = targets.holding[:, k]
    if not held.any():
        return
    shoulder, body = model.point(poses, "shoulder", k), model.bodies["shoulder"][k]
    wrist = targets.palm_pos[:, k] - targets.hand_rot[:, k] @ model.wrist_to_palm[k]
    way = wrist - shoulder.T
    length = np.linalg.norm(way, axis=1)
    arm = model.upper_arm + model.forearm
    off = length - np.clip(length, _MIN_REACH_SHARE * arm, _MAX_REACH_SHARE * arm)
    along = way / np.maximum(length, 1e-6)[:, None]

    def jacobian() -> np.ndarray:
        whole = model.kinematics.point_jacobian(poses, body, shoulder, model.body_block)
        return np.einsum("ti,tin->tn", along, whole)[:, None]

    if (off * held).any():
        yield Term(off[:, None], weight * (held**2 * (off != 0))[:, None], jacobian)


# --- the arms ---


def palm(model: Model, poses: Poses, targets: Targets, weight: float, k: int) -> Iterator[Term]:
    """A palm where an object leads it."""
    held = targets.holding[:, k, None]
    if held.any():
        body = model.bodies["hand"][k]
        at = poses.points(body, model.palms[k])
        yield Term(
            (targets.palm_pos[:, k] - at.T) * (held > 0),
            weight * held**2,
            lambda: model.kinematics.point_jacobian(poses, body, at, model.arms_block),
        )


def _free(targets: Targets, k: int) -> np.ndarray:
    """How much an arm follows the person's (T, 1)."""
    return np.maximum((1.0 - targets.holding[:, k, None]) ** 2, _LED_ARM_SHARE)


def _way(model: Model, poses: Poses, start: str, end: str, k: int, wanted: np.ndarray, weight: Any) -> Term:
    """The way from one part of an arm to the next."""
    block, kinematics = model.arms_block, model.kinematics
    first, last = model.point(poses, start, k), model.point(poses, end, k)

    def jacobian() -> np.ndarray:
        out = kinematics.point_jacobian(poses, model.bodies[end][k], last, block)
        return out - kinematics.point_jacobian(poses, model.bodies[start][k], first, block)

    return Term(wanted - (last - first).T, weight, jacobian)


def upper_arm(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any], k: int) -> Term:
    """Direction of an upper arm, as the way from shoulder to elbow."""
    wanted = model.upper_arm * targets.upper_arm[:, k]
    return _way(model, poses, "shoulder", "elbow", k, wanted, weights["upper_arm"] * _free(targets, k))


def forearm(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any], k: int) -> Term:
    """Direction of a forearm, as the way from elbow to wrist."""
    wanted = model.forearm * targets.forearm[:, k]
    return _way(model, poses, "elbow", "wrist", k, wanted, weights["forearm"] * _free(targets, k))


def hand_rotation(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any], k: int) -> Term:
    """Orientation of a hand."""
    body, held = model.bodies["hand"][k], targets.holding[:, k, None]
    weight = weights["hand_rotation"] + held**2 * weights["hand_contact_rotation"]
    return _turn(model, poses, body, targets.hand_rot[:, k], weight, model.arms_block)


def hands_meet(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Iterator[Term]:
    """The way from hand to hand where they are near each other: there it matters more than the arms' directions."""
    if not targets.meeting.any():
        return
    block, bodies = model.arms_block, model.bodies["hand"]
    for k in range(2):  # wrists, then tips
        left, right = (poses.points(bodies[side], model.hand_points[side, k]) for side in range(2))

        def jacobian(left: np.ndarray = left, right: np.ndarray = right) -> np.ndarray:
            out = model.kinematics.point_jacobian(poses, bodies[0], left, block)
            return out - model.kinematics.point_jacobian(poses, bodies[1], right, block)

        weight = weights["hands_meet"] * targets.meeting[:, None]
        yield Term(targets.hand_offset[:, k] - (left - right).T, weight, jacobian)


# --- both ---


@dataclass(frozen=True)
class Gaps:
    """What must not come nearer than it may, K cases in order of their frames."""

    frame: np.ndarray
    """(K,)."""
    short: np.ndarray
    """(K,) m: how much nearer it is than it may be; negative when it is not."""
    row: np.ndarray
    """(K, n) Jacobian of the distance."""
    weight: np.ndarray
    """(K,)."""

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, cases: np.ndarray) -> Gaps:
        return Gaps(self.frame[cases], self.short[cases], self.row[cases], self.weight[cases])

    def join(self, other: Gaps) -> Gaps:
        """Cases of both."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        both = Gaps(*(np.concatenate(pair) for pair in pairs))
        return both[np.argsort(both.frame, kind="stable")]


def _rows(
    model: Model,
    poses: Poses,
    body: np.ndarray,
    point: np.ndarray,
    along: np.ndarray,
    frame: np.ndarray,
    block: np.ndarray,
) -> np.ndarray:
    """Jacobians (K, n) of points (3, K) of bodies (K,) along directions (3, K); zero for the root's position."""
    axis, anchor = poses.axis[block][:, :, frame], poses.anchor[block][:, :, frame]
    moment = cross(point - anchor, along)  # d . (a x r) = a . (r x d)
    return model.kinematics.turns[:, block][body] * np.sum(axis * moment, axis=1).T


def parts_apart(
    model: Model, poses: Poses, near: Distances, apart: np.ndarray, weight: float, block: np.ndarray
) -> Gaps:
    """Parts of the robot that are near each other; they are to be ``apart`` (P,) m.

    A pair with a part of an arm is the arms' affair, the others are the body's.
    """
    bodies = model.description.capsule_body[near.pairs]
    its = model.of_arm[bodies].any(axis=1) == (block is model.arms_block)
    frame, pair = np.nonzero(((near.distance < apart[:, None] + ACTIVATION_DISTANCE) & its[:, None]).T)
    normal, first, second = (a[pair, :, frame].T for a in (near.normal, near.first, near.second))
    row = _rows(model, poses, bodies[pair, 1], second, normal, frame, block)
    row -= _rows(model, poses, bodies[pair, 0], first, normal, frame, block)
    return Gaps(frame, apart[pair] - near.distance[pair, frame], row, np.full(len(frame), float(weight)))


def clear_of_solids(
    model: Model, poses: Poses, clear: Clearances, clearance: np.ndarray, weight: np.ndarray, block: np.ndarray
) -> Gaps:
    """Parts near the floor or objects, which are to keep clearances (Q,) m; parts of arms are the arms' affair."""
    body = model.probes.body[clear.probe]
    its = model.of_arm[body] == (block is model.arms_block)
    frame, pair = np.nonzero(((clear.distance < clearance[:, None] + ACTIVATION_DISTANCE) & its[:, None]).T)
    normal, middle = (a[pair, :, frame].T for a in (clear.normal, clear.middle))
    row = _rows(model, poses, body[pair], middle, normal, frame, block)
    row[:, block < 3] = normal.T[:, block[block < 3]]
    return Gaps(frame, clearance[pair] - clear.distance[pair, frame], row, weight[pair])
