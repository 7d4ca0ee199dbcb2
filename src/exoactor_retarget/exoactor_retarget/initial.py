"""First guess of all joint angles from the person's posture, in closed form."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from exoactor import robot
from exoactor_retarget.targets import Targets

# Fixed tilts of the G1's joint axes (URDF): hip roll about y, shoulder pitch about x.
_HIP_TILT = 0.1749
_SHOULDER_TILT = 0.27931


def _angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip(np.sum(a * b, axis=-1), -1.0, 1.0))


def _euler(sequence: str, matrices: np.ndarray) -> np.ndarray:
    return Rotation.from_matrix(matrices).as_euler(sequence)


def _continuous(angles: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Choose between the two Euler solutions and full turns so that joints move least and stay within limits.

    ``angles`` (T, 3) are first, middle and last joint; ``limits`` (3, 2). The cheapest path through the choices is
    found by dynamic programming.
    """
    turns = 2 * np.pi * np.array([-1, 0, 1])
    other = np.stack([angles[:, 0] + np.pi, np.pi - angles[:, 1], angles[:, 2] + np.pi], axis=1)
    choices = np.stack(
        [a + np.array([first, 0, last]) for a in (angles, other) for first in turns for last in turns], axis=1
    )  # (T, 18, 3)
    outside = np.maximum(choices - limits[:, 1], 0) + np.maximum(limits[:, 0] - choices, 0)
    cost = 4.0 * np.sum(outside**2, axis=-1) + 1e-3 * np.sum(choices**2, axis=-1)
    total, back = cost[0], np.zeros(cost.shape, dtype=int)
    for t in range(1, len(angles)):
        step = np.sum((choices[t][:, None] - choices[t - 1][None]) ** 2, axis=-1) + total[None]
        back[t] = step.argmin(axis=1)
        total = step.min(axis=1) + cost[t]
    path = np.empty(len(angles), dtype=int)
    path[-1] = total.argmin()
    for t in range(len(angles) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return choices[np.arange(len(angles)), path]


def initial_configurations(targets: Targets, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Pinocchio configurations (T, 36) near the targets, within the joint limits ``lower``, ``upper`` (29,)."""
    t = len(targets.pelvis_pos)
    joint = np.tile(robot.STANDING, (t, 1))
    pelvis_inverse = targets.pelvis_rot.transpose(0, 2, 1)
    tilt = Rotation.from_euler("y", -_HIP_TILT).as_matrix()
    for k in range(2):
        thigh, shank = targets.thigh[:, k], targets.shank[:, k]
        knee = np.clip(_angle(thigh, shank), 0.1, None)
        # The knee bends backwards about the y axis of the foot as well as of the thigh.
        y = targets.foot_rot[:, k, :, 1]
        x = np.cross(y, -thigh)
        x /= np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-6)
        frame = np.stack([x, np.cross(-thigh, x), -thigh], axis=-1)
        hip = _continuous(_euler("YXZ", pelvis_inverse @ frame @ tilt), _hip_limits(lower, upper, 6 * k))
        joint[:, 6 * k : 6 * k + 3] = hip + np.array([_HIP_TILT, 0, 0])
        joint[:, 6 * k + 3] = knee
        joint[:, 6 * k + 4] = -(joint[:, 6 * k] + knee)
        joint[:, 6 * k + 5] = 0.0
    joint[:, 12:15] = _euler("ZXY", pelvis_inverse @ targets.torso_rot)
    torso_inverse = targets.torso_rot.transpose(0, 2, 1)
    for k, sign in enumerate((1.0, -1.0)):
        tilt = Rotation.from_euler("x", -sign * _SHOULDER_TILT).as_matrix()
        first = 15 + 7 * k
        limits = np.stack([lower[first : first + 3], upper[first : first + 3]], axis=1)
        offset = np.array([0, sign * _SHOULDER_TILT, 0])
        shoulder = _continuous(_euler("YXZ", tilt @ torso_inverse @ targets.arm_rot[:, k]), limits - offset[:, None])
        joint[:, first : first + 3] = shoulder + offset
        joint[:, first + 3] = np.pi / 2 - _angle(targets.upper_arm[:, k], targets.forearm[:, k])
        joint[:, first + 4 : first + 7] = 0.0
    joint = np.clip(joint, lower, upper)
    quat = np.array([pin.Quaternion(r).coeffs() for r in targets.pelvis_rot])
    return np.concatenate([targets.pelvis_pos, quat, joint], axis=1)


def _hip_limits(lower: np.ndarray, upper: np.ndarray, first: int) -> np.ndarray:
    limits = np.stack([lower[first : first + 3], upper[first : first + 3]], axis=1)
    return limits - np.array([[_HIP_TILT], [0], [0]])
