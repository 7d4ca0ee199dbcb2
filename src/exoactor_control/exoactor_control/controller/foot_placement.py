"""Placement of the swing feet such that the robot returns to its reference position.

A commanded velocity has little effect on a tracker if the legs of the reference contradict it. So every foot that the
reference swings is set down beside its foothold in the reference, by the position error at lift-off; the pelvis follows
between the feet.
"""

from __future__ import annotations

import numpy as np

from exoactor_control.reference.trajectory import POLICY_RATE
from exoactor_core.arrays import clip_norm, min_jerk
from exoactor_core.motion import JOINT_NAMES

_POSITION_GAIN = 1.0  # share of the position error that each step corrects
_MAX_STEP_CHANGE = 0.08  # m, maximum change of a step
_SWING_SECONDS = 0.36  # s in which a foot gets there
_PELVIS_TIME_CONSTANT = 0.15  # s, time constant with which the pelvis follows
_LEG_LENGTH = 0.75  # m from the hips to the soles when standing


class FootPlacement:
    """Displacements of the feet from the reference."""

    def __init__(self) -> None:
        self._feet, self._start, self._goal = np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2))  # m, ahead and left
        self._body = np.zeros(2)
        self._airborne = np.zeros(2)  # ticks since each foot was lifted; 0: it stands

    def update(self, swings: np.ndarray, behind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance by one tick.

        Parameters
        ----------
        swings
            (2,) whether the left and the right foot of the reference are in the air.
        behind
            (2,) m from the robot to its reference position, in the frame of its heading.

        Returns
        -------
        Corrections of the joints (29,) rad, and of the pelvis' velocity (2,) m/s in the frame of its heading.
        """
        for k in (foot for foot in range(2) if swings[foot]):
            if not self._airborne[k]:
                self._start[k] = self._feet[k]
                self._goal[k] = self._feet[1 - k] + clip_norm(_POSITION_GAIN * behind, _MAX_STEP_CHANGE)
            share = min_jerk(np.clip((self._airborne[k] + 1.0) / (_SWING_SECONDS * POLICY_RATE), 0.0, 1.0))
            self._feet[k] = self._start[k] + share * (self._goal[k] - self._start[k])
        self._airborne = np.where(swings, self._airborne + 1.0, 0.0)
        step = (self._feet.mean(axis=0) - self._body) / (_PELVIS_TIME_CONSTANT * POLICY_RATE)
        self._body = self._body + step
        joints = np.zeros(len(JOINT_NAMES))
        for k, (ahead, left) in enumerate((self._feet - self._body) / _LEG_LENGTH):
            hip_pitch, hip_roll, ankle_pitch, ankle_roll = 6 * k + np.array([0, 1, 4, 5])
            joints[[hip_pitch, ankle_pitch, hip_roll, ankle_roll]] = -ahead, ahead, left, -left
        return joints, step * POLICY_RATE
