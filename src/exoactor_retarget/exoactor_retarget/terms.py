"""What the solver minimises: one function per term. Each returns its residual, wanted minus reached, and its Jacobian.

A frame's cost is the sum over its terms of weight times squared residual. Body terms are functions of root, legs and
waist; arm terms of the arms alone, since arms follow directions that hold in the world and should not move the body.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from exoactor_retarget.collision import Distances
from exoactor_retarget.kinematics import Poses, log
from exoactor_retarget.model import Model
from exoactor_retarget.targets import Targets


@dataclass(frozen=True)
class Term:
    """One term for T frames and n coordinates."""

    residual: np.ndarray
    """(T, r)."""
    jacobian: np.ndarray
    """(T, r, n)."""
    weight: Any
    """Broadcastable to (T, r)."""


@dataclass(frozen=True)
class Support:
    """Where the centre of mass may be: between two lines along each of two axes of the floor."""

    axes: np.ndarray
    """(2, T, 2) unit vectors: along the feet, and to their left."""
    first: np.ndarray
    """(2, T) m along the axes."""
    last: np.ndarray
    weight: np.ndarray
    """(T,) 0 while the root moves or no foot stands."""

    def __getitem__(self, frames: np.ndarray) -> Support:
        return Support(self.axes[:, frames], self.first[:, frames], self.last[:, frames], self.weight[frames])


def support(targets: Targets, mapping: dict[str, Any]) -> Support:
    """Support of the feet in contact, while the root is slow."""
    balance, fps = mapping["balance"], targets.fps
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
    if len(targets) > 1:
        smooth = gaussian_filter1d(targets.pelvis_pos[:, :2], 0.2 * fps, axis=0, mode="nearest")
        speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=1) * fps
    else:
        speed = np.zeros(1)
    still = np.clip(2.0 - speed / balance["slow"], 0.0, 1.0) * (feet > 0)
    # Where a foot lands or leaves, the place to stand over jumps: leave these moments to the motion itself.
    change = np.r_[False, (targets.contact[1:] != targets.contact[:-1]).any(axis=1)]
    still *= 1.0 - maximum_filter1d(change.astype(float), round(0.5 * fps) | 1)
    still = gaussian_filter1d(still, 0.1 * fps, mode="nearest") * (feet > 0)
    return Support(axes, first, last, mapping["weights"]["center_of_mass"] * still)


def _position(model: Model, poses: Poses, part: str, k: int, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    point = model.point(poses, part, k)
    return point.T, model.kinematics.point_jacobian(poses, model.bodies[part][k], point, block)


def _turn(
    model: Model, poses: Poses, body: int, wanted: np.ndarray, block: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    residual = log(wanted @ poses.rotation(body).transpose(0, 2, 1))
    return residual, model.kinematics.turn_jacobian(poses, body, block)


# --- the body ---


def pelvis_position(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Term:
    """The root path."""
    block = model.body_block
    jacobian = model.kinematics.point_jacobian(poses, 0, poses.pos[0], block)
    return Term(targets.pelvis_pos - poses.pos[0].T, jacobian, np.array(weights["pelvis_position"]))


def pelvis_rotation(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Term:
    """Orientation of the pelvis."""
    return Term(*_turn(model, poses, 0, targets.pelvis_rot, model.body_block), weights["pelvis_rotation"])


def torso_rotation(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Term:
    """Orientation of the torso."""
    return Term(*_turn(model, poses, model.torso, targets.torso_rot, model.body_block), weights["torso_rotation"])


def foot_position(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any], k: int) -> Term:
    """A foot's place: all but fixed in contact."""
    at, jacobian = _position(model, poses, "foot", k, model.body_block)
    contact = targets.contact[:, k, None]
    weight = np.where(contact, weights["foot_contact_position"], weights["foot_swing_position"])
    return Term(targets.foot_pos[:, k] - at, jacobian, weight)


def foot_rotation(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any], k: int) -> Term:
    """A foot's orientation: flat on the floor in contact."""
    body, contact = model.bodies["foot"][k], targets.contact[:, k, None]
    weight = np.where(contact, weights["foot_contact_rotation"], weights["foot_swing_rotation"])
    return Term(*_turn(model, poses, body, targets.foot_rot[:, k], model.body_block), weight)


def above_floor(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any], k: int) -> Iterator[Term]:
    """Corners of a sole that swings below the floor."""
    body = model.bodies["foot"][k]
    up = np.zeros((3, len(targets)))
    up[2] = 1.0
    for corner in model.soles[k]:
        point = poses.points(body, corner)
        below = np.where(targets.contact[:, k], 0.0, np.minimum(point[2], 0.0))
        if below.any():
            jacobian = model.kinematics.along_jacobian(poses, body, point, up, model.body_block)
            yield Term(-below[:, None], jacobian[:, None], np.where(below < 0, weights["floor"], 0.0)[:, None])


def balance(model: Model, poses: Poses, stand: Support) -> Iterator[Term]:
    """Centre of mass over the feet while these stand and the root is slow."""
    if not stand.weight.any():
        return
    center, jacobian = model.kinematics.center_of_mass(poses, model.body_block)
    at = np.einsum("atj,jt->at", stand.axes, center[:2])
    with np.errstate(invalid="ignore"):
        off = np.where(stand.weight > 0, np.clip(at, stand.first, stand.last) - at, 0.0)
    if off.any():
        along = np.einsum("atj,tjn->tan", stand.axes, jacobian[:, :2])
        yield Term(off.T, along, stand.weight[:, None])


# --- the arms ---


def upper_arm(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any], k: int) -> Term:
    """Direction of an upper arm, as the way from shoulder to elbow."""
    shoulder, first = _position(model, poses, "shoulder", k, model.arms_block)
    elbow, second = _position(model, poses, "elbow", k, model.arms_block)
    return Term(model.upper_arm * targets.upper_arm[:, k] - (elbow - shoulder), second - first, weights["upper_arm"])


def forearm(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any], k: int) -> Term:
    """Direction of a forearm, as the way from elbow to wrist."""
    elbow, first = _position(model, poses, "elbow", k, model.arms_block)
    wrist, second = _position(model, poses, "wrist", k, model.arms_block)
    return Term(model.forearm * targets.forearm[:, k] - (wrist - elbow), second - first, weights["forearm"])


def hand_rotation(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any], k: int) -> Term:
    """Orientation of a hand."""
    body = model.bodies["hand"][k]
    return Term(*_turn(model, poses, body, targets.hand_rot[:, k], model.arms_block), weights["hand_rotation"])


# --- both ---


def apart(
    model: Model, poses: Poses, near: Distances, weight: float, clearance: float, block: np.ndarray
) -> Iterator[Term]:
    """Parts of the robot that stand nearer to each other than the clearance.

    A pair with a part of an arm is the arms' affair, the others are the body's.
    """
    bodies = model.description.capsule_body[near.pairs]
    its = model.of_arm[bodies].any(axis=1) == (block is model.arms_block)
    for p in np.flatnonzero(its & (near.distance < clearance).any(axis=1)):
        a, b = bodies[p]
        short = np.maximum(clearance - near.distance[p], 0.0)
        jacobian = model.kinematics.along_jacobian(poses, b, near.second[p], near.normal[p], block)
        jacobian -= model.kinematics.along_jacobian(poses, a, near.first[p], near.normal[p], block)
        yield Term(short[:, None], jacobian[:, None], np.where(short > 0, weight, 0.0)[:, None])
