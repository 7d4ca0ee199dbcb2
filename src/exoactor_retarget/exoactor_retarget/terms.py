"""Terms of the solver's cost: one function each.

Each returns its residual, desired minus reached, and a function for its Jacobian, which is more expensive and needed
less often. A frame's cost is the sum of weight times squared residual over its terms. Body terms are functions of root,
legs and waist; arm terms of the arms only, since arms follow directions in the world and should not move the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from exoactor_core.arrays import smoothed_speed, smoothstep
from exoactor_retarget.collision import Distances
from exoactor_retarget.human import BEARING
from exoactor_retarget.kinematics import Kinematics, Poses, cross, log
from exoactor_retarget.model import Model
from exoactor_retarget.surroundings import Clearances
from exoactor_retarget.targets import Targets, headed

_MIN_REACH_SHARE, _MAX_REACH_SHARE = 0.35, 0.96  # minimum and maximum reach of an arm, as shares of its length
_LED_ARM_SHARE = 0.1  # weight of the directions of an arm whose hand is led by an object
_LOW_PELVIS_FACTOR = 12.0  # factor of the height error of a pelvis that crouches too low for a hand led by an object
_LED_PELVIS_FACTORS = 20.0, 4.0, 20.0
"""Weight factors for a pelvis whose hands are led by an object: lateral tilt, further forward bend in a crouch, and
heading."""
_UPRIGHT_HEIGHT = 0.6  # m, height of a pelvis that does not crouch
_CROUCH_DEPTH = 0.1  # m, depth from which it crouches
_SLACK, _SLACK_SECONDS = 0.1, 0.5  # m off the feet that a body may be that holds something, s before and after steps
_BALANCED_OFFSET = 0.05  # m: a centre of mass twice as far out as this is not meant to be above the feet
ACTIVATION_DISTANCE = 0.02  # m: constraints that are farther from their limit are ignored in a step.


@dataclass(frozen=True)
class Term:
    """One term for T frames and n coordinates."""

    residual: np.ndarray
    """(T, r)."""
    weight: np.ndarray
    """(T, r) or (T, 1)."""
    jacobian: Callable[[slice | np.ndarray], np.ndarray]
    """Returns (t, r, n) for t of the frames."""

    def __getitem__(self, frames: np.ndarray) -> Term:
        return Term(self.residual[frames], self.weight[frames], lambda part: self.jacobian(frames[part]))


@dataclass(frozen=True)
class Support:
    """Where the centre of mass may be: within an interval along each of two axes of the floor."""

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
    """Support by the feet in contact while the root is slow, for the robot without the load of its hands.

    If an object leads the hands it is narrower ahead, since a tracker bends further than commanded. Its weight is
    reduced if the ``poses`` at some ``frames`` are so far from it that nobody could stand there: such a person falls,
    leans on something, or touches the floor with unknown contacts. This does not apply if an object leads a hand.
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
    speed = smoothed_speed(targets.pelvis_pos[:, :2], fps, 0.2)
    still = np.clip(2.0 - speed / balance["slow"], 0.0, 1.0) * (feet > 0)
    # When a foot lands or leaves, the support jumps: leave these moments to the motion itself.
    change = np.r_[False, (targets.contact[1:] != targets.contact[:-1]).any(axis=1)]
    # A body that leans against a load would be thrown forward there: it comes up before.
    slack = maximum_filter1d(change.astype(float), 2 * round(_SLACK_SECONDS * fps) + 1)
    slack = gaussian_filter1d(slack, 0.5 * _SLACK_SECONDS * fps, mode="nearest")
    slack *= _SLACK * targets.holding.max(axis=1)
    first, last = first - slack, last + slack
    still *= 1.0 - maximum_filter1d(change.astype(float), round(0.5 * fps) | 1)
    still *= np.isinf(targets.bearing).all(axis=1)  # a body supported otherwise need not be balanced
    still = gaussian_filter1d(still, 0.1 * fps, mode="nearest") * (feet > 0)
    stand = Support(axes, first, last, still)
    off = _outside(stand[frames], model, poses)
    doubt = np.clip(np.linalg.norm(off, axis=0) / _BALANCED_OFFSET - 1.0, 0.0, 1.0) * (
        1.0 - targets.holding[frames].max(axis=1)
    )
    return replace(stand, weight=still * (1.0 - np.interp(np.arange(len(still)), frames, doubt)))


def _outside(stand: Support, model: Model, poses: Poses) -> np.ndarray:
    """Displacement (2, T) of the centre of mass that would bring it above the support."""
    at = np.einsum("atj,jt->at", stand.axes, model.kinematics.center_of_mass(poses)[:2])
    with np.errstate(invalid="ignore"):
        return np.where(stand.weight > 0, np.clip(at, stand.first, stand.last) - at, 0.0)


def _turns(
    model: Model, poses: Poses, bodies: list[int], wanted: np.ndarray, weight: np.ndarray, block: np.ndarray
) -> Term:
    """Orientations (T, K, 3, 3) of K bodies, with weights that broadcast to (T, K, 3)."""
    reached = np.ascontiguousarray(poses.rot[bodies].transpose(3, 0, 1, 2))
    residual = log(wanted @ reached.swapaxes(2, 3))
    weight = np.broadcast_to(weight, residual.shape).reshape(len(wanted), -1)
    return Term(
        residual.reshape(len(wanted), -1),
        weight,
        lambda frames: model.kinematics.turn_jacobian(poses[frames], bodies, block),
    )


# --- the body ---


def positions(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Term:
    """Root path, and feet, almost fixed in contact; led hands pull the pelvis no lower than the person crouches."""
    at = np.concatenate([poses.pos[:1], model.points(poses, "foot")])
    residual = np.concatenate([targets.pelvis_pos[:, None], targets.foot_pos], axis=1) - at.transpose(2, 0, 1)
    weight = np.empty_like(residual)
    weight[:, 0] = weights["pelvis_position"]
    weight[:, 1:] = _of_feet(targets, weights, "position")
    weight[:, 0, 2] *= np.where(residual[:, 0, 2] > 0.0, 1.0 + (_LOW_PELVIS_FACTOR - 1.0) * crouching(targets), 1.0)
    bodies = [0, *model.bodies["foot"]]
    return Term(
        residual.reshape(len(targets), -1),
        weight.reshape(len(targets), -1),
        lambda frames: model.kinematics.point_jacobian(poses[frames], bodies, at[..., frames], model.body_block),
    )


def rotations(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Term:
    """Orientations of torso and feet, the latter flat on the floor in contact."""
    wanted = np.concatenate([targets.torso_rot[:, None], targets.foot_rot], axis=1)
    weight = np.empty(wanted.shape[:3])
    weight[:, 0] = weights["torso_rotation"]
    weight[:, 1:] = _of_feet(targets, weights, "rotation")
    return _turns(model, poses, [model.torso, *model.bodies["foot"]], wanted, weight, model.body_block)


def pelvis_rotation(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Term:
    """Orientation of the pelvis, about the axes forward, to the left and up.

    Led hands must not turn it aside or tilt it sideways, as happens when trunk and thighs avoid each other in a crouch,
    nor bend it much further than the person crouches, as straight legs would.
    """
    ahead = (targets.pelvis_rot @ model.rest["pelvis"][0].T)[:, :, 0]
    axes = np.swapaxes(headed(np.arctan2(ahead[:, 1], ahead[:, 0])), 1, 2)
    world = _turns(model, poses, [0], targets.pelvis_rot[:, None], np.ones(3), model.body_block)
    residual = np.einsum("tij,tj->ti", axes, world.residual)
    held, bends = targets.holding.max(axis=1), np.where(residual[:, 1] < 0.0, crouching(targets), 0.0)
    led = np.stack([held, bends, held], axis=1)
    weight = weights["pelvis_rotation"] * (1.0 + (np.array(_LED_PELVIS_FACTORS) - 1.0) * led)
    return Term(residual, weight, lambda frames: axes[frames] @ world.jacobian(frames))


def crouching(targets: Targets) -> np.ndarray:
    """Degree (T,) to which the pelvis crouches for hands led by an object."""
    return smoothstep((_UPRIGHT_HEIGHT - targets.pelvis_pos[:, 2]) / _CROUCH_DEPTH) * targets.holding.max(axis=1)


def _of_feet(targets: Targets, weights: dict[str, Any], what: str) -> np.ndarray:
    """Weights (T, 2, 1)."""
    return np.where(targets.contact, weights[f"foot_contact_{what}"], weights[f"foot_swing_{what}"])[..., None]


def balance(model: Model, poses: Poses, stand: Support, weight: float) -> Iterator[Term]:
    """Centre of mass above the feet while they stand and the root is slow."""
    if not stand.weight.any():
        return
    off = _outside(stand, model, poses)

    def jacobian(frames: slice | np.ndarray) -> np.ndarray:
        whole = model.kinematics.center_jacobian(poses[frames], model.body_block)
        return stand.axes[:, frames].swapaxes(0, 1) @ whole[:, :2]

    if off.any():
        yield Term(off.T, np.where(off.T != 0, weight * stand.weight[:, None], 0.0), jacobian)


def bearing(model: Model, poses: Poses, targets: Targets, weight: float, block: np.ndarray) -> Iterator[Term]:
    """Lowest points of knees, hands, forearms, seat and back on their support; those of arms are arm terms."""
    for k, part in enumerate(BEARING):
        wanted = targets.bearing[:, k]
        rests = np.isfinite(wanted)
        probes = model.bearing[part]
        if not rests.any() or model.of_arm[model.probes.body[probes[0]]] != (block is model.arms_block):
            continue
        lowest = model.probes.heights(poses, probes)
        which = probes[lowest.argmin(axis=0)]
        residual = np.where(rests, wanted - lowest.min(axis=0), 0.0)

        def jacobian(frames: slice | np.ndarray, which: np.ndarray = which) -> np.ndarray:
            probe, frame = which[frames], np.arange(len(which))[frames]
            body, up = model.probes.body[probe], np.zeros((3, len(probe)))
            up[2] = 1.0
            at = np.einsum("tij,tj->it", poses.rot[body, :, :, frame], model.probes.local[probe])
            at += poses.pos[body, :, frame].T
            bodies = np.stack([np.full(len(body), model.kinematics.world), body])
            return _rows(model.kinematics, poses, bodies, np.stack([at, at]), up, frame, block)[:, None]

        yield Term(residual[:, None], np.where(rests, weight, 0.0)[:, None], jacobian)


def reach(model: Model, poses: Poses, targets: Targets, weight: float, k: int) -> Iterator[Term]:
    """A shoulder within arm's length of the target of its palm, whatever the arm's present direction."""
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

    def jacobian(frames: slice | np.ndarray) -> np.ndarray:
        whole = model.kinematics.point_jacobian(poses[frames], [body], shoulder[None, :, frames], model.body_block)
        return along[frames, None] @ whole

    if (off * held).any():
        yield Term(off[:, None], weight * (held**2 * (off != 0))[:, None], jacobian)


# --- the arms ---


def palm(model: Model, poses: Poses, targets: Targets, weight: float, k: int) -> Iterator[Term]:
    """A palm led by an object."""
    held = targets.holding[:, k, None]
    if held.any():
        body = model.bodies["hand"][k]
        at = poses.points(body, model.palms[k])
        yield Term(
            (targets.palm_pos[:, k] - at.T) * (held > 0),
            weight * held**2,
            lambda frames: model.kinematics.point_jacobian(
                poses[frames], [body], at[None, :, frames], model.arms_block
            ),
        )


def directions(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Term:
    """Directions of upper arms and forearms, as vectors from shoulders to elbows and from there to the wrists."""
    parts = ("shoulder", "elbow", "wrist")
    bodies, at = [body for part in parts for body in model.bodies[part]], model.points(poses, *parts)
    wanted = np.concatenate([model.upper_arm * targets.upper_arm, model.forearm * targets.forearm], axis=1)
    free = np.maximum((1.0 - targets.holding) ** 2, _LED_ARM_SHARE)  # degree to which an arm follows the person's
    weight = np.concatenate([weights["upper_arm"] * free, weights["forearm"] * free], axis=1)

    def jacobian(frames: slice | np.ndarray) -> np.ndarray:
        whole = model.kinematics.point_jacobian(poses[frames], bodies, at[..., frames], model.arms_block)
        return whole[:, 6:] - whole[:, :-6]

    residual = wanted - (at[2:] - at[:-2]).transpose(2, 0, 1)
    return Term(residual.reshape(len(targets), -1), np.repeat(weight, 3, axis=1), jacobian)


def hands(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Term:
    """Orientations of the hands."""
    weight = weights["hand_rotation"] + targets.holding[..., None] ** 2 * weights["hand_contact_rotation"]
    return _turns(model, poses, model.bodies["hand"], targets.hand_rot, weight, model.arms_block)


def hands_meet(model: Model, poses: Poses, targets: Targets, weights: dict[str, Any]) -> Iterator[Term]:
    """The vector between hands that are close to each other, where it matters more than the arms' directions."""
    if not targets.meeting.any():
        return
    block, bodies = model.arms_block, model.bodies["hand"]
    for k in range(2):  # wrists, then tips
        at = poses.points(bodies, model.hand_points[:, k])

        def jacobian(frames: slice | np.ndarray, at: np.ndarray = at) -> np.ndarray:
            both = model.kinematics.point_jacobian(poses[frames], bodies, at[..., frames], block)
            return both[:, :3] - both[:, 3:]

        weight = weights["hands_meet"] * targets.meeting[:, None]
        yield Term(targets.hand_offset[:, k] - (at[0] - at[1]).T, weight, jacobian)


# --- both ---


@dataclass(frozen=True)
class Gaps:
    """Minimum distances: K cases of a point of one body and a point of another, or of the world."""

    frame: np.ndarray
    """(K,)."""
    short: np.ndarray
    """(K,) m: amount by which the distance is too short; negative if it is not."""
    weight: np.ndarray
    """(K,)."""
    bodies: np.ndarray
    """(2, K); the first may be the world."""
    points: np.ndarray
    """(2, 3, K) m, on these."""
    normal: np.ndarray
    """(3, K) unit vectors from the first to the second."""

    kinematics: Kinematics
    poses: Poses
    block: np.ndarray
    """(n,) coordinates of steps and Jacobians."""

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, cases: np.ndarray) -> Gaps:
        part: dict[str, Any] = {name: getattr(self, name)[..., cases] for name in _CASES}
        return replace(self, **part)

    def within(self, frames: np.ndarray) -> Gaps:
        """Cases in some frames, which become the only ones."""
        new = np.full(self.poses.pos.shape[-1], -1)
        new[frames] = np.arange(len(frames))
        left = self[new[self.frame] >= 0]
        return replace(left, frame=new[left.frame], poses=self.poses[frames])

    def join(self, other: Gaps) -> Gaps:
        """Cases of both."""
        both: dict[str, Any] = {n: np.concatenate([getattr(self, n), getattr(other, n)], axis=-1) for n in _CASES}
        return replace(self, **both)

    def of(self, model: Model, block: np.ndarray) -> Gaps:
        """Cases of a block: those with a part of an arm belong to the arms, the others to the body."""
        arms = np.append(model.of_arm, False)[self.bodies].any(axis=0)
        return replace(self[arms == (block is model.arms_block)], block=block)

    def opening(self, step: np.ndarray) -> np.ndarray:
        """Increase of the distances (K,) by a step (T, n), to first order."""
        counts = np.bincount(self.bodies.ravel(), minlength=self.kinematics.world + 1)
        bodies, place = np.flatnonzero(counts), np.cumsum(counts > 0) - 1
        velocities = self.kinematics.velocities(self.poses, bodies, self.block, step)
        turn, move = (a.reshape(3, -1) for a in velocities)
        at = place[self.bodies] * len(step) + self.frame
        first, second = (
            move.take(k, axis=1) + cross(turn.take(k, axis=1), point, axis=0)
            for k, point in zip(at, self.points, strict=True)
        )
        return np.einsum("ik,ik->k", self.normal, second - first)

    @property
    def rows(self) -> np.ndarray:
        """Jacobian (K, n) of the distances."""
        return _rows(self.kinematics, self.poses, self.bodies, self.points, self.normal, self.frame, self.block)


_CASES = ("frame", "short", "weight", "bodies", "points", "normal")


def _rows(
    kinematics: Kinematics,
    poses: Poses,
    bodies: np.ndarray,
    points: np.ndarray,
    along: np.ndarray,
    frame: np.ndarray,
    block: np.ndarray,
) -> np.ndarray:
    """Jacobian (K, n) of the distance along directions (3, K) from points of bodies to points of others, (2, 3, K)."""
    axis, anchor = (a[block][:, :, frame] for a in (poses.axis, poses.anchor))
    turns = kinematics.turns[:, block][bodies]
    offset = np.einsum("nik,ik->kn", cross(anchor, axis), along)  # d . (a x (p - o)) = a . (p x d) + d . (o x a)
    first, second = (
        turned * (np.einsum("nik,ik->kn", axis, cross(point, along, axis=0)) + offset)
        for turned, point in zip(turns, points, strict=True)
    )
    row = second - first
    if block[0] == 0:
        moves = (bodies != kinematics.world).astype(float)
        row[:, :3] = along.T * (moves[1] - moves[0])[:, None]
    return row


def parts_apart(model: Model, poses: Poses, near: Distances, apart: np.ndarray, weight: float) -> Gaps:
    """Parts of the robot that are close to each other and have to be ``apart`` (P,) m."""
    return Gaps(
        near.frame,
        apart[near.pair] - near.distance,
        np.full(len(near.frame), float(weight)),
        near.bodies,
        np.stack([near.first, near.second]),
        near.normal,
        model.kinematics,
        poses,
        np.arange(model.size),
    )


def clear_of_solids(model: Model, poses: Poses, clear: Clearances, clearance: np.ndarray, weight: np.ndarray) -> Gaps:
    """Parts close to the floor or objects, which have to keep clearances (Q,) m."""
    pair, frame = np.nonzero(clear.distance < clearance[:, None] + ACTIVATION_DISTANCE)
    body = model.probes.body[clear.probe[pair]]
    normal, middle = (a[pair, :, frame].T for a in (clear.normal, clear.middle))
    return Gaps(
        frame,
        clearance[pair] - clear.distance[pair, frame],
        weight[pair],
        np.stack([np.full(len(body), model.kinematics.world), body]),
        np.stack([middle, middle]),
        normal,
        model.kinematics,
        poses,
        np.arange(model.size),
    )
