"""First guess of all joint angles from the person's posture, in closed form."""

from __future__ import annotations

import numpy as np

from exoactor_retarget.kinematics import State, log
from exoactor_retarget.model import Model
from exoactor_retarget.targets import Targets

_TURNS = 2 * np.pi * np.array([-1, 0, 1])


def _turn(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation matrix, after Rodrigues."""
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew


def three_angles(axes: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both solutions (T, 3) of turn(n1, a) turn(n2, b) turn(n3, c) = R for axes (3, 3), n2 square to the others.

    With n3 = turn(n2, d) n1 this is turn(n1, a) turn(n2, b + d) turn(n1, c) = R turn(n2, d): Euler's proper angles.
    """
    n1, n2, n3 = axes
    shift = np.arctan2(n2 @ np.cross(n1, n3), n1 @ n3)
    frame = np.stack([n2, np.cross(n1, n2), n1], axis=1)
    m = frame.T @ rotations @ _turn(n2, shift) @ frame
    middle = np.arctan2(np.hypot(m[:, 0, 2], m[:, 1, 2]), m[:, 2, 2])
    first = np.arctan2(m[:, 0, 2], -m[:, 1, 2])
    last = np.arctan2(m[:, 2, 0], m[:, 2, 1])
    one = np.stack([first, middle - shift, last], axis=1)
    return one, np.stack([first + np.pi, -middle - shift, last + np.pi], axis=1)


def _steady(
    solutions: tuple[np.ndarray, np.ndarray], lower: np.ndarray, upper: np.ndarray, start: np.ndarray | None
) -> np.ndarray:
    """Choose between two solutions and full turns so that joints move least and stay within limits, (T, 3).

    The cheapest path through the choices is found by dynamic programming; ``start`` (3,) is where it should begin.
    """
    shifts = np.stack(np.meshgrid(*[_TURNS] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    wrapped = [(s + np.pi) % (2 * np.pi) - np.pi for s in solutions]
    choices = np.concatenate([s[:, None] + shifts for s in wrapped], axis=1)  # (T, 54, 3)
    outside = np.maximum(choices - upper, 0) + np.maximum(lower - choices, 0)
    cost = 4.0 * np.sum(outside**2, axis=-1) + 1e-3 * np.sum(choices**2, axis=-1)
    keep = np.sort(np.argpartition(cost.min(axis=0), 7)[:8])  # the others are far outside the limits all the time
    choices, cost = choices[:, keep], cost[:, keep]
    if start is not None:
        cost[0] += 10.0 * np.sum((choices[0] - start) ** 2, axis=-1)
    steps = np.sum((choices[1:, :, None] - choices[:-1, None]) ** 2, axis=-1)
    total, back = cost[0], np.zeros(cost.shape, dtype=int)
    for t in range(1, len(cost)):
        step = steps[t - 1] + total
        back[t] = step.argmin(axis=1)
        total = step.min(axis=1) + cost[t]
    path = np.empty(len(cost), dtype=int)
    path[-1] = total.argmin()
    for t in range(len(cost) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return choices[np.arange(len(choices)), path]


def _limb(along: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Frames (..., 3, 3) of a limb: z against it, x towards ``side``."""
    x = side - np.sum(side * along, axis=-1, keepdims=True) * along
    x = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)
    return np.stack([x, np.cross(-along, x), -along], axis=-1)


def initial_state(targets: Targets, model: Model, start: np.ndarray | None = None) -> State:
    """A state near the targets, within the joint limits; ``start`` (J,) are joint angles that it should begin near."""
    d = model.description
    joint = np.zeros((len(targets), model.size - 6))

    def ball(joints: list[int], rotations: np.ndarray) -> None:
        """Set up to three hinges that together turn what they carry by rotations (T, 3, 3) from rest."""
        if len(joints) == 3:
            solutions = three_angles(model.axes[joints], rotations)
            first = None if start is None else start[joints]
            joint[:, joints] = _steady(solutions, d.limits[joints, 0], d.limits[joints, 1], first)
        elif joints:
            joint[:, joints] = log(rotations) @ model.axes[joints].T

    def bent(limb: str, k: int, upper: np.ndarray, lower: np.ndarray) -> None:
        straight, sign = model.bend(limb, k)
        angle = np.arccos(np.clip(np.sum(upper * lower, axis=-1), -1.0, 1.0))
        joint[:, (model.knee if limb == "knee" else model.elbow)[k]] = straight + sign * angle

    def rest_limb(limb: str, name: str, k: int) -> np.ndarray:
        along = model.directions[name][k] / np.linalg.norm(model.directions[name][k])
        axis = model.axes[(model.knee if limb == "knee" else model.elbow)[k]]
        return _limb(along, np.cross(model.bend(limb, k)[1] * axis, along))

    pelvis = targets.pelvis_rot @ model.rest["pelvis"][0].T
    torso = targets.torso_rot @ model.rest["torso"][0].T
    to_pelvis, to_torso = pelvis.transpose(0, 2, 1), torso.transpose(0, 2, 1)
    ball(model.waist, to_pelvis @ torso)
    for k in range(2):
        foot = targets.foot_rot[:, k] @ model.rest["foot"][k].T
        # The knee bends backwards about the left axis of the foot as well as of the thigh.
        backwards = np.cross(foot[..., 1], targets.thigh[:, k])
        ball(model.hip[k], to_pelvis @ _limb(targets.thigh[:, k], backwards) @ rest_limb("knee", "thigh", k).T)
        bent("knee", k, targets.thigh[:, k], targets.shank[:, k])
        upper = _limb(targets.upper_arm[:, k], targets.arm_rot[:, k, :, 0])
        ball(model.shoulder[k], to_torso @ upper @ rest_limb("elbow", "upper_arm", k).T)
        bent("elbow", k, targets.upper_arm[:, k], targets.forearm[:, k])
    joint = np.clip(joint, model.lower, model.upper)
    state = State(targets.pelvis_pos, targets.pelvis_rot, joint)
    poses = model.kinematics.poses(state)
    for k in range(2):  # what the limbs leave over
        for joints, body, wanted, rest in (
            (model.ankle[k], model.bodies["knee"][k], targets.foot_rot[:, k], model.rest["foot"][k]),
            (model.wrist[k], model.bodies["elbow"][k], targets.hand_rot[:, k], model.rest["hand"][k]),
        ):
            carrier = poses.rotation(body) @ model.rest["knee" if joints is model.ankle[k] else "elbow"][k].T
            ball(joints, carrier.transpose(0, 2, 1) @ wanted @ rest.T)
    return State(targets.pelvis_pos, targets.pelvis_rot, np.clip(joint, model.lower, model.upper))
