"""Output of every importer: people's motions in a gravity-aligned world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.errors import BadInput


@dataclass(frozen=True)
class Person:
    """One person's track, T frames, in a world with z up and arbitrary origin and heading."""

    frames: np.ndarray
    """(T,) int, rising: numbers of the video's frames; there may be gaps."""
    root: np.ndarray
    """(T, 3, 3) from SMPL's rest pose (y up, facing +z) to the world."""
    pelvis: np.ndarray
    """(T, 3) m, up to a constant offset."""
    body_pose: np.ndarray
    """(T, 63) axis-angle of body joints 1-21, rad; they are the same in SMPL, SMPL-H and SMPL-X."""
    stature: float
    """m."""
    hand_pose: np.ndarray | None = None
    """(T, 90) axis-angle; None: unknown."""
    contacts: np.ndarray | None = None
    """(T, 4) left heel, left toe, right heel, right toe; None: unknown."""
    confidence: np.ndarray | None = None
    """(T,) in [0, 1]; None: unknown."""


@dataclass(frozen=True)
class Recording:
    """Content of a file."""

    people: dict[str, Person]
    """By the id in the file."""
    fps: float | None = None
    """None if the file does not state it."""
    notes: tuple[str, ...] = ()
    """Sentences on what the file leaves open."""


def stature(betas: Any) -> float:
    """Approximate stature in m from SMPL's shape coefficients.

    The first of them is mostly stature in SMPL, SMPL-H and SMPL-X: 1.66 m + 0.10 m each, the rule of GMR
    (general_motion_retargeting/utils/smpl.py). Sex and the other coefficients are ignored, which is accurate to about 7
    cm.
    """
    values = np.asarray(betas, dtype=np.float64)
    first = float(values.reshape(-1, values.shape[-1])[:, 0].mean()) if values.size else 0.0
    if not np.isfinite(first):
        raise BadInput("betas holds a number that is not finite.")
    return float(np.clip(1.66 + 0.10 * first, 1.2, 2.2))


def array(data: Mapping[str, Any], key: str, *shape: int | None) -> np.ndarray:
    """The array under a key as float64 of a shape (None: any size; without a shape: any).

    Raises
    ------
    BadInput
        It is missing or has another shape.
    """
    if key not in data:
        raise BadInput(f"{key} is missing; there is {', '.join(map(str, data)) or 'nothing'}.")
    try:
        value = np.asarray(data[key], dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"{key} is not an array of numbers.") from None
    if shape and (value.ndim != len(shape) or any(s not in (None, n) for s, n in zip(shape, value.shape, strict=True))):
        wanted = ", ".join("any" if s is None else str(s) for s in shape)
        raise BadInput(f"{key} has shape {value.shape}, but ({wanted}) is needed.")
    return value


def frame_numbers(data: Mapping[str, Any], key: str, count: int) -> np.ndarray:
    """The numbers (count,) of a track's frames; raises `BadInput` if they are invalid or do not rise."""
    value = array(data, key, count)
    if not np.isfinite(value).all() or (np.diff(value) <= 0).any():
        raise BadInput(f"the numbers of its frames, {key}, do not increase.")
    if count and value[-1] - value[0] > 50 * count + 1000:
        raise BadInput(f"its {count} frames reach from number {value[0]:.0f} to {value[-1]:.0f}.")
    return value.astype(int)


def matrices(axis_angle: np.ndarray) -> np.ndarray:
    """Axis-angle (..., 3) -> rotation matrices (..., 3, 3)."""
    return Rotation.from_rotvec(axis_angle.reshape(-1, 3)).as_matrix().reshape(*axis_angle.shape[:-1], 3, 3)


def axis_angles(rotations: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) -> axis-angle (..., 3); raises `BadInput` for other matrices."""
    flat = rotations.reshape(-1, 3, 3)
    if not np.isfinite(flat).all() or (np.linalg.det(flat) < 0.5).any():
        raise BadInput("a matrix is not a rotation.")
    return Rotation.from_matrix(flat).as_rotvec().reshape(*rotations.shape[:-2], 3)
