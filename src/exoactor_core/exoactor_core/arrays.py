"""Small operations on arrays over time that several stages need."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, Slerp


def constant(array: np.ndarray) -> np.ndarray:
    """The array, made read-only."""
    array.flags.writeable = False
    return array


def true_runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Start and end (not included) of the runs of true in (T,) bool."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(flags, bool), [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def flags_of_runs(length: int, runs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Inverse of `true_runs`: (length,) bool."""
    flags = np.zeros(length, dtype=bool)
    for start, end in runs:
        flags[start:end] = True
    return flags


def min_jerk(s: np.ndarray) -> np.ndarray:
    """Minimum-jerk rise from 0 to 1 for s in [0, 1] (Flash & Hogan, 1985); its peak speed is 1.875."""
    s = np.clip(s, 0.0, 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2)


def smoothstep(x: np.ndarray | float) -> np.ndarray:
    """0 below 0, 1 above 1, and level at both."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def sustained(values: np.ndarray, frames: int) -> np.ndarray:
    """Largest values that last for so many frames, of (T, ...); over all frames if there are fewer."""
    width = min(len(values), max(1, frames))
    return np.lib.stride_tricks.sliding_window_view(values, width, axis=0).min(axis=-1).max(axis=0)


def smoothed_speed(points: np.ndarray, fps: float, seconds: float) -> np.ndarray:
    """Speeds (T, ...) m/s of points (T, ..., D) m, smoothed over ``seconds`` (a standard deviation); one frame: 0."""
    if len(points) < 2:
        return np.zeros(points.shape[:-1])
    smooth = gaussian_filter1d(points, seconds * fps, axis=0, mode="nearest")
    return np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * fps


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., D) of length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def clip_norm(vectors: np.ndarray, limit: float) -> np.ndarray:
    """Vectors (..., D) scaled down to a length of ``limit`` where they are longer."""
    return vectors * np.minimum(1.0, limit / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))


def perpendicular(vectors: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Directions (..., D) of the components of vectors that are perpendicular to axes (..., D)."""
    along = unit(axes)
    return unit(vectors - along * np.sum(along * vectors, axis=-1, keepdims=True))


def frames_along(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) whose first column is along x (..., 3), and whose second is as near to y as it can be."""
    first, second = unit(x), perpendicular(y, x)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def interpolate(times: np.ndarray, known_times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Linear interpolation of (K, N) at ``known_times`` (K,) to ``times`` (T,): (T, N); the ends are held."""
    columns = [np.interp(times, known_times, column) for column in values.T]
    return np.reshape(columns, (values.shape[1], len(times))).T


def continuous_quaternions(quat: np.ndarray) -> np.ndarray:
    """Quaternions (T, ..., 4) with their signs chosen so that neighbours in time lie on the same side."""
    flips = np.where(np.sum(quat[1:] * quat[:-1], axis=-1, keepdims=True) < 0, -1.0, 1.0)
    return np.concatenate([quat[:1], quat[1:] * np.cumprod(flips, axis=0)])


def poses_at(
    times: np.ndarray, known_times: np.ndarray, pos: np.ndarray, quat: np.ndarray, joints: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (K, 3), quaternions (K, 4) w, x, y, z and joints (K, J) at ``times`` (T,); the ends are held.

    Positions and joints are interpolated linearly, orientations along great circles (slerp).
    """
    if len(known_times) < 2:
        first = np.zeros(len(times), dtype=int)
        return pos[first], quat[first], joints[first]
    within = np.clip(times, known_times[0], known_times[-1])
    turned = Slerp(known_times, Rotation.from_quat(quat, scalar_first=True))(within).as_quat(scalar_first=True)
    return interpolate(times, known_times, pos), continuous_quaternions(turned), interpolate(times, known_times, joints)


def resample_poses(
    pos: np.ndarray, quat: np.ndarray, joints: np.ndarray, fps: float, new_fps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`poses_at` another frame rate, up to the last frame."""
    if fps == new_fps or len(pos) < 2:
        return pos, quat, joints
    old = np.arange(len(pos)) / fps
    new = np.minimum(np.arange(int(old[-1] * new_fps + 1e-6) + 1) / new_fps, old[-1])
    return poses_at(new, old, pos, quat, joints)


def poses_in_frame(frame: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """Express poses (n, 7), m and w, x, y, z, in a frame, whose own pose (7,) is given in the same frame as theirs."""
    turn = Rotation.from_quat(frame[3:], scalar_first=True).inv()
    quats = turn * Rotation.from_quat(poses[:, 3:], scalar_first=True)
    return np.concatenate([turn.apply(poses[:, :3] - frame[:3]), quats.as_quat(scalar_first=True)], axis=1)


def points_in_frame(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Express points (3,) or (n, 3) m in a frame, as `poses_in_frame`."""
    return Rotation.from_quat(frame[3:], scalar_first=True).inv().apply(points - frame[:3])


def poses_from_frame(frame: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """Inverse of `poses_in_frame`: poses (n, 7) given in a frame, in the frame in which its pose (7,) is given."""
    turn = Rotation.from_quat(frame[3:], scalar_first=True)
    quats = turn * Rotation.from_quat(poses[:, 3:], scalar_first=True)
    return np.concatenate([turn.apply(poses[:, :3]) + frame[:3], quats.as_quat(scalar_first=True)], axis=1)
