"""First guess of all joint angles from the person's posture, in closed form."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import unit
from exoactor_core.rotations import wrap
from exoactor_retarget.kinematics import State, cross, log
from exoactor_retarget.model import Model, limb_frames
from exoactor_retarget.targets import Targets

_LIMIT_MARGIN = 0.3  # rad beyond a limit: angles that still count as near it


def three_angles(axes: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both solutions (T, 3) of turn(n1, a) turn(n2, b) turn(n3, c) = R for axes (3, 3), n2 square to the others.

    With n3 = turn(n2, d) n1 this is turn(n1, a) turn(n2, b + d) turn(n1, c) = R turn(n2, d): Euler's proper angles.
    """
    n1, n2, n3 = axes
    shift = np.arctan2(n2 @ np.cross(n1, n3), n1 @ n3)
    frame = np.stack([n2, np.cross(n1, n2), n1], axis=1)
    m = frame.T @ rotations @ Rotation.from_rotvec(shift * n2).as_matrix() @ frame
    middle = np.arctan2(np.hypot(m[:, 0, 2], m[:, 1, 2]), m[:, 2, 2])
    first = np.arctan2(m[:, 0, 2], -m[:, 1, 2])
    last = np.arctan2(m[:, 2, 0], m[:, 2, 1])
    one = np.stack([first, middle - shift, last], axis=1)
    return one, np.stack([first + np.pi, -middle - shift, last + np.pi], axis=1)


def _choices(
    solutions: tuple[np.ndarray, np.ndarray], lower: np.ndarray, upper: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both solutions (T, 3) with the full turns that the limits leave room for: (T, C, 3), and their cost (T, C)."""
    room = [
        [
            k
            for k in (-1, 0, 1)
            if low - _LIMIT_MARGIN < (2 * k + 1) * np.pi and high + _LIMIT_MARGIN > (2 * k - 1) * np.pi
        ]
        for low, high in zip(lower, upper, strict=True)
    ]
    turns = 2 * np.pi * np.stack(np.meshgrid(*room, indexing="ij"), axis=-1).reshape(-1, 3)
    choices = np.concatenate([wrap(s)[:, None] + turns for s in solutions], axis=1)
    outside = choices - np.clip(choices, lower, upper)
    return choices, 4.0 * np.sum(outside**2, axis=-1) + 1e-3 * np.sum(choices**2, axis=-1)


def _stacked(found: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Choices and costs of several triples as one array each; those with fewer repeat their first, at a cost."""
    most = max(cost.shape[1] for _, cost in found)
    choices, costs = [], []
    for choice, cost in found:
        spare = most - cost.shape[1]
        choices.append(np.concatenate([choice, np.repeat(choice[:, :1], spare, axis=1)], axis=1))
        costs.append(np.concatenate([cost, np.full((len(cost), spare), 1e6)], axis=1))
    return np.stack(choices), np.stack(costs)


def _steady(choices: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Choose so that joints move least: the cheapest path, by dynamic programming, of each of B joint triples.

    ``choices`` (B, T, C, 3) and ``cost`` (B, T, C) give (B, T, 3).
    """
    steps = np.sum((choices[:, 1:, :, None] - choices[:, :-1, None]) ** 2, axis=-1)
    total, back = cost[:, 0].copy(), np.zeros(cost.shape, dtype=int)
    for t in range(1, cost.shape[1]):
        step = steps[:, t - 1] + total[:, None]
        back[:, t] = step.argmin(axis=-1)
        total = step.min(axis=-1) + cost[:, t]
    triples = np.arange(len(choices))
    path = np.empty(cost.shape[:2], dtype=int)
    path[:, -1] = total.argmin(axis=-1)
    for t in range(cost.shape[1] - 1, 0, -1):
        path[:, t - 1] = back[triples, t, path[:, t]]
    return np.take_along_axis(choices, path[:, :, None, None], axis=2)[:, :, 0]


def initial_state(targets: Targets, model: Model, start: np.ndarray | None = None) -> State:
    """A state near the targets, within the joint limits; ``start`` (J,) are joint angles that it should begin near."""
    joint = np.zeros((len(targets), model.size - 6))

    def balls(wanted: list[tuple[list[int], np.ndarray]]) -> None:
        """Set hinges that together turn what they carry by rotations (T, 3, 3) from rest."""
        triples = [(joints, rotations) for joints, rotations in wanted if len(joints) == 3]
        for joints, rotations in wanted:
            if joints and len(joints) != 3:
                joint[:, joints] = log(rotations) @ model.axes[joints].T
        if triples:
            limits = model.description.limits
            found = [_choices(three_angles(model.axes[j], r), limits[j, 0], limits[j, 1]) for j, r in triples]
            choices, cost = _stacked(found)
            if start is not None:
                begin = np.stack([start[j] for j, _ in triples])
                cost[:, 0] += 10.0 * np.sum((choices[:, 0] - begin[:, None]) ** 2, axis=-1)
            for (joints, _), angles in zip(triples, _steady(choices, cost), strict=True):
                joint[:, joints] = angles

    pelvis = targets.pelvis_rot @ model.rest["pelvis"][0].T
    torso = targets.torso_rot @ model.rest["torso"][0].T
    to_pelvis, to_torso = pelvis.transpose(0, 2, 1), torso.transpose(0, 2, 1)
    wanted = [(model.waist, to_pelvis @ torso)]
    for k in range(2):
        # The knee bends backwards about the left axis of the foot as well as of the thigh.
        foot = targets.foot_rot[:, k] @ model.rest["foot"][k].T
        ankle, hip = targets.foot_pos[:, k] + foot @ model.ankle_way(k), targets.pelvis_pos + pelvis @ model.hips[k]
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
    """Direction of the thigh (T, 3), and how far the knee bends (T,), for the way (T, 3) from hip to ankle.

    ``left`` (T, 3) is the axis that it bends about, ``upper`` and ``lower`` are the lengths of thigh and shank.
    """
    length = np.clip(np.linalg.norm(way, axis=1), abs(upper - lower) + 1e-6, upper + lower)
    bend = np.pi - np.arccos(np.clip((upper**2 + lower**2 - length**2) / (2 * upper * lower), -1.0, 1.0))
    ahead = np.arctan2(lower * np.sin(bend), upper + lower * np.cos(bend))[:, None]  # of the thigh before the way
    down = unit(way)
    forward = unit(cross(left, -down, axis=-1))
    return np.cos(ahead) * down + np.sin(ahead) * forward, bend
