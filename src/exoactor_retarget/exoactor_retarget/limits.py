"""Joint angles within limits of position, speed and acceleration, as close as possible to given ones."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded

from exoactor_retarget.kinematics import State
from exoactor_retarget.model import Model

_LIMIT_SHARE = 0.98  # share of the limits aimed at, since the projection is slightly inaccurate
_MAX_ITERATIONS = 300


def _speed_only(joint: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Strictly bound the change of each joint from frame to frame, in both directions of time."""
    forth, back = joint.copy(), joint.copy()
    for t in range(1, len(joint)):
        forth[t] = forth[t - 1] + np.clip(joint[t] - forth[t - 1], -most, most)
        back[-1 - t] = back[-t] + np.clip(joint[-1 - t] - back[-t], -most, most)
    return 0.5 * (forth + back)


def nearest_within(
    joint: np.ndarray, lower: np.ndarray, upper: np.ndarray, speed: np.ndarray, acceleration: np.ndarray
) -> np.ndarray:
    """The trajectory (T, J) closest to ``joint`` within limits (J,) on values, first and second differences.

    Alternating direction method of multipliers (Boyd et al. 2011): least squares with three splitting variables; the
    matrix is the same for all joints and iterations.
    """
    t = len(joint)
    if t < 3:
        return np.clip(joint, lower, upper) if t < 2 else _speed_only(np.clip(joint, lower, upper), speed)
    bands = np.zeros((3, t))
    bands[0] = 2.0  # the distance itself, and the values' limits
    bands[0, :-1] += 1
    bands[0, 1:] += 1
    bands[1, :-1] -= 1
    bands[0, :-2] += 1
    bands[0, 1:-1] += 4
    bands[0, 2:] += 1
    bands[1, :-2] -= 2
    bands[1, 1:-1] -= 2
    bands[2, :-2] += 1
    factor = cholesky_banded(bands, lower=True)
    bounds = (
        (lower, upper),
        (-_LIMIT_SHARE * speed, _LIMIT_SHARE * speed),
        (-_LIMIT_SHARE * acceleration, _LIMIT_SHARE * acceleration),
    )
    width = (upper - lower, speed, acceleration)
    x = joint
    split = [joint, np.diff(joint, axis=0), np.diff(joint, 2, axis=0)]
    dual = [np.zeros_like(s) for s in split]
    for round_ in range(_MAX_ITERATIONS):
        off = 0.0
        for i, (least, most) in enumerate(bounds):
            value = x if i == 0 else np.diff(x, i, axis=0)
            off = max(off, float(np.max(np.abs(value - np.clip(value, least, most)) / width[i], initial=0.0)))
            split[i] = np.clip(value + dual[i], least, most)
            dual[i] += value - split[i]
        if round_ and off < 0.01:  # of a limit's width: less than the margin of the limits
            break
        a, b, c = (s - d for s, d in zip(split, dual, strict=True))
        right = joint + a
        right[1:] += b
        right[:-1] -= b
        right[2:] += c
        right[1:-1] -= 2 * c
        right[:-2] += c
        x = cho_solve_banded((factor, True), right, check_finite=False)
    return _speed_only(np.clip(x, lower, upper), speed)


def limited(state: State, model: Model, fps: float, fixed: int = 0) -> State:
    """Bring joints with excessive speed or acceleration within their limits; others are unchanged."""
    speed, acceleration = model.speed / fps, model.acceleration / fps**2
    joint = state.joint_pos
    if len(joint) < 2:
        return state
    over = (np.abs(np.diff(joint, axis=0)) > speed).any(axis=0)
    if len(joint) > 2:
        over |= (np.abs(np.diff(joint, 2, axis=0)) > acceleration).any(axis=0)
    if not over.any():
        return state
    out = joint.copy()
    out[:, over] = nearest_within(joint[:, over], model.lower[over], model.upper[over], speed[over], acceleration[over])
    out[:fixed] = joint[:fixed]
    return State(state.root_pos, state.root_rot, out)
