"""Initial guess of the pose, in closed form from the directions of MediaPipe's world landmarks."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import frames_along, perpendicular, unit
from exoactor_core.body import BODY_JOINT_NAMES
from exoactor_core.rotations import shortest_turn
from exoactor_pose.detection.anatomy import LANDMARK_NAMES

_L = {name: k for k, name in enumerate(LANDMARK_NAMES)}
_J = {name: k for k, name in enumerate(BODY_JOINT_NAMES)}


def _frame(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) whose y column is ``y`` and whose x column is closest to ``x``."""
    x, y = perpendicular(x, y), unit(y)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def _limb(
    base: np.ndarray, upper: np.ndarray, lower: np.ndarray, rest: np.ndarray, hinge: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Swing (T, 3, 3) of the upper bone, and axis-angle (T, 3) of the hinge below it.

    ``base`` (T, 3, 3) is the world rotation of the part that carries the limb, ``upper`` and ``lower`` (T, 3) are the
    directions of the two bones in the world, ``rest`` and ``hinge`` (3,) the limb's direction and the axis of positive
    flexion in the rest pose.
    """
    u = unit(np.einsum("tji,tj->ti", base, upper))
    f = unit(np.einsum("tji,tj->ti", base, lower))
    # Shortest swing; where the limb is straight, the hinge axis is what that swing makes of it.
    swing = Rotation.from_rotvec(shortest_turn(rest, u))
    turn = np.cross(u, f)
    bend = np.linalg.norm(turn, axis=-1)
    straight = 0.25  # sine of the bend at which the measured hinge axis counts as much as the swung one
    swung = swing.apply(hinge)
    swung = np.where((np.sum(swung * turn, -1) < -0.5 * bend)[:, None] & (bend > 0.5)[:, None], 0, swung)
    h = turn + straight * (1 - np.minimum(bend, 1))[:, None] * swung + 1e-6 * swing.apply(hinge)
    rest_frame = np.stack([rest, hinge, np.cross(rest, hinge)], axis=-1)
    rotation = frames_along(u, h) @ rest_frame.T
    angle = np.arctan2(bend, np.sum(u * f, -1))
    return rotation, angle[:, None] * hinge


def initial_pose(world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (T, 3, 3) of the pelvis and axis-angle (T, 21, 3) of body joints 1-21.

    ``world`` (T, 33, 3) are landmarks in the z-up world (any origin).
    """
    t = len(world)
    p = {name: world[:, k] for name, k in _L.items()}
    hips, shoulders = (0.5 * (p[f"left_{n}"] + p[f"right_{n}"]) for n in ("hip", "shoulder"))
    root = _frame(p["left_hip"] - p["right_hip"], shoulders - hips)
    chest = _frame(p["left_shoulder"] - p["right_shoulder"], shoulders - hips)
    pose = np.zeros((t, 22, 3))
    twist = Rotation.from_matrix(np.swapaxes(root, -1, -2) @ chest).as_rotvec()
    for name in ("spine1", "spine2", "spine3"):
        pose[:, _J[name]] = twist / 3
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for base, joint, middle, end, rest, hinge in (
            (root, "hip", "knee", "ankle", (0, -1, 0), (1, 0, 0)),
            (chest, "shoulder", "elbow", "wrist", (sign, 0, 0), (0, -sign, 0)),
        ):
            a, b, c = (p[f"{side}_{n}"] for n in (joint, middle, end))
            swing, flex = _limb(base, b - a, c - b, np.array(rest, float), np.array(hinge, float))
            pose[:, _J[f"{side}_{joint}"]] = Rotation.from_matrix(swing).as_rotvec()
            pose[:, _J[f"{side}_{middle}"]] = flex
    return root, continuous(pose[:, 1:])


def continuous(rotvec: np.ndarray) -> np.ndarray:
    """Choose the equivalent axis-angle, r or r - 2 pi r/|r|, closer to the frame before; (T, J, 3)."""
    out = rotvec.copy()
    for k in range(1, len(out)):
        angle = np.linalg.norm(out[k], axis=-1, keepdims=True)
        other = out[k] * (1 - 2 * np.pi / np.maximum(angle, 1e-6))
        nearer = np.linalg.norm(other - out[k - 1], axis=-1) < np.linalg.norm(out[k] - out[k - 1], axis=-1)
        out[k] = np.where((nearer & (angle[..., 0] > 1e-6))[:, None], other, out[k])
    return out
