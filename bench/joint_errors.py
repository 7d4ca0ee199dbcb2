"""Errors of estimated joints and paths, for the benchmarks of the pose estimator."""

from __future__ import annotations

import os
import platform
import sys

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.body import BODY_JOINT_NAMES

_PAIRS = (("hip", 23), ("knee", 25), ("ankle", 27), ("shoulder", 11), ("elbow", 13), ("wrist", 15), ("foot", 31))
JOINTS = np.array([BODY_JOINT_NAMES.index(f"{s}_{j}") for j, _ in _PAIRS for s in ("left", "right")])
"""The 14 joints that SMPL-X and MediaPipe have in common, left and right; the feet are the last two."""
LANDMARKS = np.array([k + i for _, k in _PAIRS for i in (0, 1)])
"""MediaPipe's landmarks of these."""
CAMERA_TO_WORLD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
MACHINE = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


def say(text: str, end: str = "\n") -> None:
    """Print progress to stderr."""
    print(f"{text:<100}", end=end, file=sys.stderr, flush=True)


def procrustes_error(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(T,) mean distance after the best similarity of each frame; (T, J, 3) each."""
    a, b = found - found.mean(1, keepdims=True), truth - truth.mean(1, keepdims=True)
    u, s, vt = np.linalg.svd(np.swapaxes(a, 1, 2) @ b)
    sign = np.sign(np.linalg.det(u @ vt))
    fix = np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=1)
    rotation = (u * fix[:, None]) @ vt
    scale = (s * fix).sum(1) / np.maximum((a**2).sum((1, 2)), 1e-12)
    return np.linalg.norm(scale[:, None, None] * (a @ rotation) - b, axis=-1).mean(1)


def best_turn(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(3, 3) rotation about z that best aligns ``found`` to ``truth``, (T, J, 3) each, root-relative."""
    x, y = found[..., 0], found[..., 1]
    u, v = truth[..., 0], truth[..., 1]
    return Rotation.from_euler("z", np.arctan2((x * v - y * u).sum(), (x * u + y * v).sum())).as_matrix()


def ground_path(root: np.ndarray, fps: float) -> float:
    """Length of a path on the ground, m, from samples 0.1 s apart (to exclude jitter)."""
    return float(np.linalg.norm(np.diff(root[:: max(1, round(fps / 10)), :2], axis=0), axis=-1).sum())
