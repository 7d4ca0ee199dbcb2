"""Initial guess of all joint angles from the person's posture, in closed form."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import unit
from exoactor_core.rotations import wrap
from exoactor_retarget.kinematics import State, cross, log
from exoactor_retarget.model import Model, limb_frames
from exoactor_retarget.targets import Targets

_LIMIT_MARGIN = 0.3  # rad beyond a limit: angles that still count as near it


def three_angles(axes: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both solutions (..., T, 3) of turn(n1, a) turn(n2, b) turn(n3, c) = R (..., T, 3, 3).

    The axes are (..., 3, 3), n2 square to the others. With n3 = turn(n2, d) n1 this is
    turn(n1, a) turn(n2, b + d) turn(n1, c) = R turn(n2, d): Euler's proper angles.
    """
    n1, n2, n3 = np.moveaxis(axes, -2, 0)
    shift = np.arctan2(np.sum(n2 * cross(n1, n3, axis=-1), axis=-1), np.sum(n1 * n3, axis=-1))[..., None]
    frame = np.stack([n2, cross(n1, n2, axis=-1), n1], axis=-1)
    turn = Rotation.from_rotvec(shift * n2).as_matrix() @ frame
    m = frame.swapaxes(-1, -2)[..., None, :, :] @ rotations @ turn[..., None, :, :]
    middle = np.arctan2(np.hypot(m[..., 0, 2], m[..., 1, 2]), m[..., 2, 2])
    first = np.arctan2(m[..., 0, 2], -m[..., 1, 2])
    last = np.arctan2(m[..., 2, 0], m[..., 2, 1])
    one = np.stack([first, middle - shift, last], axis=-1)
    return one, np.stack([first + np.pi, -middle - shift, last + np.pi], axis=-1)


def _full_turns(limits: np.ndarray) -> np.ndarray:
    """Full turns (C, 3) in rad that the limits (3, 2) of three joints allow in addition to angles in [-pi, pi)."""
    low, high = limits[:, 0] - _LIMIT_MARGIN, limits[:, 1] + _LIMIT_MARGIN
    room = [
        [k for k in (-1, 0, 1) if a < (2 * k + 1) * np.pi and b > (2 * k - 1) * np.pi]
        for a, b in zip(low, high, strict=True)
    ]
    return 2 * np.pi * np.array(list(product(*room)))


def _choices(axes: np.ndarray, limits: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles (B, T, C, 3) of B joint triples that turn by rotations (B, T, 3, 3), and what they cost (B, T, C).

    ``axes`` are (B, 3, 3), ``limits`` (B, 3, 2). They are both solutions with the full turns that the limits leave room
    for; a triple with fewer repeats its first, at a cost.
    """
    found = [_full_turns(its) for its in limits]
    most = max(len(its) for its in found)
    turns = np.stack([np.concatenate([its, np.repeat(its[:1], most - len(its), axis=0)]) for its in found])
    spare = np.array([[0.0] * len(its) + [1e6] * (most - len(its)) for its in found])
    choices = np.concatenate([wrap(s)[:, :, None] + turns[:, None] for s in three_angles(axes, rotations)], axis=2)
    outside = choices - np.clip(choices, limits[:, None, None, :, 0], limits[:, None, None, :, 1])
    cost = 4.0 * np.sum(outside**2, axis=-1) + 1e-3 * np.sum(choices**2, axis=-1)
    return choices, cost + np.tile(spare, 2)[:, None]


def _steady(choices: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Choose solutions so that joints move least: the cheapest path of B joint triples, by dynamic programming.

    ``choices`` (B, T, C, 3) and ``cost`` (B, T, C) give (B, T, 3).
    """
    change = choices[:, 1:, :, None] - choices[:, :-1, None]
    steps = np.swapaxes(np.sum(change**2, axis=-1) + cost[:, 1:, :, None], 0, 1)
    total, back = cost[:, 0], np.zeros(cost.shape, dtype=int)
    for t, step in enumerate(steps, start=1):
        way = step + total[:, None]
        back[:, t], total = way.argmin(axis=-1), way.min(axis=-1)
    triples = np.arange(len(choices))
    path = np.empty(cost.shape[:2], dtype=int)
    path[:, -1] = total.argmin(axis=-1)
    for t in range(cost.shape[1] - 1, 0, -1):
        path[:, t - 1] = back[triples, t, path[:, t]]
    return np.take_along_axis(choices, path[:, :, None, None], axis=2)[:, :, 0]


def initial_state(targets: Targets, model: Model, start: np.ndarray | None = None) -> State:
    """A state near the targets, within the joint limits; ``start`` (J,) are joint angles near which it should begin."""
    joint = np.zeros((len(targets), model.size - 6))

    def balls(wanted: list[tuple[list[int], np.ndarray]]) -> None:
        """Set hinges that together rotate what they carry by (T, 3, 3) from rest."""
        triples = [(joints, rotations) for joints, rotations in wanted if len(joints) == 3]
        for joints, rotations in wanted:
            if joints and len(joints) != 3:
                joint[:, joints] = log(rotations) @ model.axes[joints].T
        if triples:
            its = np.array([joints for joints, _ in triples])
            rotations = np.stack([rotations for _, rotations in triples])
            choices, cost = _choices(model.axes[its], model.description.limits[its], rotations)
            if start is not None:
                cost[:, 0] += 10.0 * np.sum((choices[:, 0] - start[its][:, None]) ** 2, axis=-1)
            joint[:, its] = _steady(choices, cost).swapaxes(0, 1)

    pelvis = targets.pelvis_rot @ model.rest["pelvis"][0].T
    torso = targets.torso_rot @ model.rest["torso"][0].T
    to_pelvis, to_torso = pelvis.transpose(0, 2, 1), torso.transpose(0, 2, 1)
    wanted = [(model.waist, to_pelvis @ torso)]
    for k in range(2):
        # The knee bends backwards about the left axis of the foot and of the thigh.
        foot = targets.foot_rot[:, k] @ model.rest["foot"][k].T
        ankle, hip = targets.foot_pos[:, k] + foot @ model.foot_to_ankle(k), targets.pelvis_pos + pelvis @ model.hips[k]
        thigh, bend = _leg(ankle - hip, foot[..., 1], *model.leg_lengths(k))
        leg = limb_frames(thigh, cross(foot[..., 1], thigh, axis=-1))
        straight, sign = model.bends["knee"][k]
        joint[:, model.knee[k]] = straight + sign * bend
        upper, fore = targets.upper_arm[:, k], targets.forearm[:, k]
        straight, sign = model.bends["elbow"][k]
        joint[:, model.elbow[k]] = straight + sign * np.arccos(np.clip(np.sum(upper * fore, axis=-1), -1.0, 1.0))
        arm = limb_frames(upper, targets.arm_rot[:, k, :, 0])
        wanted += [
            (model.hip[k], to_pelvis @ leg @ model.limb_rest["knee"][k].T),
            (model.shoulder[k], to_torso @ arm @ model.limb_rest["elbow"][k].T),
        ]
    balls(wanted)
    joint = np.clip(joint, model.lower, model.upper)
    poses = model.kinematics.poses(State(targets.pelvis_pos, targets.pelvis_rot, joint))
    wanted = []
    for k in range(2):  # what the limbs leave over
        for joints, limb, end, turn in (
            (model.ankle[k], "knee", "foot", targets.foot_rot),
            (model.wrist[k], "elbow", "hand", targets.hand_rot),
        ):
            carrier = poses.rotation(model.bodies[limb][k]) @ model.rest[limb][k].T
            wanted.append((joints, carrier.transpose(0, 2, 1) @ turn[:, k] @ model.rest[end][k].T))
    balls(wanted)
    return State(targets.pelvis_pos, targets.pelvis_rot, np.clip(joint, model.lower, model.upper))


def _leg(way: np.ndarray, left: np.ndarray, upper: float, lower: float) -> tuple[np.ndarray, np.ndarray]:
    """Direction of the thigh (T, 3), and bend of the knee (T,), for the vector ``way`` (T, 3) from hip to ankle.

    ``left`` (T, 3) is the axis of the bend, ``upper`` and ``lower`` are the lengths of thigh and shank.
    """
    length = np.clip(np.linalg.norm(way, axis=1), abs(upper - lower) + 1e-6, upper + lower)
    bend = np.pi - np.arccos(np.clip((upper**2 + lower**2 - length**2) / (2 * upper * lower), -1.0, 1.0))
    ahead = np.arctan2(lower * np.sin(bend), upper + lower * np.cos(bend))[:, None]  # of the thigh before the way
    down = unit(way)
    forward = unit(cross(left, -down, axis=-1))
    return np.cos(ahead) * down + np.sin(ahead) * forward, bend
