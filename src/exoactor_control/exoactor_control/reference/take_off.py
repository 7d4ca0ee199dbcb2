"""Take-offs: corrections of the commands for a motion that jumps, so that both feet leave the floor.

A tracker whose teachers stay on the floor tracks a jump as a squat from which it rises on its toes. The motors are
strong enough, and the tracker can land: it has to be commanded a deeper countermovement than the motion's, and an
extension of hips, knees and ankles beyond the motion's at take-off.
"""

from __future__ import annotations

import numpy as np

from exoactor_control.reference.repair import flight
from exoactor_control.reference.trajectory import POLICY_RATE
from exoactor_core.arrays import min_jerk, true_runs
from exoactor_core.constants import GRAVITY
from exoactor_core.motion import CORRECTION_WIDTH, RobotMotion
from exoactor_core.robot import STANDING, sole_points

# Found by the cross-entropy method on six random single jumps of 11 to 20 cm (`exoactor_control.training.whole_body`)
# with our tracker, on the robot as it is and on one 7 % heavier and 16 ms late
_BEND, _BEND_PER_HEIGHT = 0.65, 1.12  # rad of hips and ankles, of the knees twice as much; rad/m of the jump's height
_BEGIN, _LOWEST = 0.49, 0.345  # s before the take-off at which the additional bend begins, and is largest
_EXTENSION = np.array([0.225, -0.295, 0.81])  # rad of hip, knee and ankle pitch at the take-off of a jump of `_HEIGHT`
_RISE, _LEAN, _FORWARD = 0.03, -0.06, 0.235  # m, rad and m/s of the pelvis, likewise
_HEIGHT, _HIGHEST = 0.15, 0.25  # m; higher jumps are commanded no more than this
_CENTRE, _RISING, _FALLING = 0.02, 0.08, 0.043  # s before the take-off, and s of the extension's two half Gaussians
_TUCK, _TUCKED, _TUCKING = 0.085, 0.11, 0.05  # rad by which the legs are bent in the air, s after the take-off, and s
_THIGH_AND_SHANK = 0.6  # m, both
_CONTACT_HEIGHT, _CONTACT_SECONDS = 0.03, 0.1  # m above the floor, and s before the take-off, of a foot that pushes off


def take_off_correction(motion: RobotMotion, share: float = 1.0) -> np.ndarray:
    """Return the reference correction (T, 35) of the take-offs of a prepared motion; zero if it does not jump.

    ``share`` scales the countermovement and the extension. Only legs whose foot is on the floor before the take-off
    push off.
    """
    heights = flight(motion)
    correction = np.zeros((len(motion), CORRECTION_WIDTH))
    landed = 0
    lowest = sole_points(motion)[..., 2].min(axis=2) if heights.any() else np.zeros((0, 2))
    for first, end in true_runs(heights > 0.0):
        top = first + int(heights[first:end].argmax())
        # Estimated and smoothed feet rise earlier than a body in free flight
        start = max(first, top - round(np.sqrt(2.0 * heights[top] / GRAVITY) * POLICY_RATE))
        before = slice(max(landed, first - round(_CONTACT_SECONDS * POLICY_RATE)), first)
        pushing = np.asarray((lowest[before] < _CONTACT_HEIGHT).any(axis=0))
        knees = motion.joint_pos[max(landed, start - round(_BEGIN * POLICY_RATE)) : start, [3, 9]] - STANDING[[3, 9]]
        height = min(float(heights[top]), _HIGHEST)
        bend = max(share * (_BEND + _BEND_PER_HEIGHT * height) - 0.5 * float(knees.max(axis=0).mean()), 0.0)
        push = share * height / _HEIGHT
        correction[landed:end] = _take_off(np.arange(landed, end) - start, bend, push, pushing)
        landed = end
    return correction


def _take_off(frames: np.ndarray, bend: float, push: float, pushing: np.ndarray) -> np.ndarray:
    """Correction (len(frames), 35) of one jump; ``frames`` are counted from its take-off.

    ``bend`` rad is added to the countermovement, and ``push`` times the extension at take-off, in the legs that are
    ``pushing`` (2,).
    """
    t = frames / POLICY_RATE
    depth = min_jerk((t + _BEGIN) / (_BEGIN - _LOWEST)) * (1.0 - min_jerk((t + _LOWEST) / _LOWEST))
    extension = push * _gaussian(t + _CENTRE, np.where(t < -_CENTRE, _RISING, _FALLING))
    bent = bend * depth + _TUCK * _gaussian(t - _TUCKED, _TUCKING)
    correction = np.zeros((len(t), CORRECTION_WIDTH))
    correction[:, 0] = _FORWARD * extension
    correction[:, 2] = _RISE * extension - _THIGH_AND_SHANK * (1.0 - np.cos(bend)) * depth
    correction[:, 4] = _LEAN * extension
    for foot in np.flatnonzero(pushing):
        pitches = 6 + 6 * foot + np.array([0, 3, 4])  # of hip, knee and ankle
        correction[:, pitches] = np.outer(bent, [-1.0, 2.0, -1.0]) + np.outer(extension, _EXTENSION)
    return correction


def _gaussian(t: np.ndarray, deviation: np.ndarray | float) -> np.ndarray:
    return np.exp(-0.5 * (t / deviation) ** 2)
