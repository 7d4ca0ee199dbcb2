"""Unitree's Dex3-1 hands: their motors, and how far these turn to close a hand.

Seven motors a hand, in the order of Unitree's ``HandCmd_`` and ``HandState_``: thumb_0 (turns the thumb across the
palm), thumb_1, thumb_2, middle_0, middle_1, index_0, index_1 (G1 developer documentation, "Dexterous hand", which also
gives the gains of its gripping example). The right hand mirrors the left. Efforts are those of
``g1_29dof_with_hand_rev_1_0.urdf``.
"""

from __future__ import annotations

import numpy as np

HAND_MOTORS = ("thumb_0", "thumb_1", "thumb_2", "middle_0", "middle_1", "index_0", "index_1")
FINGER_JOINTS = tuple(tuple(f"{side}_hand_{motor}_joint" for motor in HAND_MOTORS) for side in ("left", "right"))
"""Joints of the left and the right hand, in the order of their motors."""
HAND_EFFORTS = np.tile([2.45, *[1.4] * 6], (2, 1))
"""(2, 7) N m."""
EXTRA_MASS = 0.527
"""kg by which a Dex3-1 is heavier than a rubber hand."""
EXTRA_MASS_POINT = (0.112, 0.0, 0.0)
"""m, position of that mass with the hand open, in the frame of the wrist's last link."""
HAND_KP, HAND_KD = 1.5, 0.1
"""N m/rad and N m s/rad, commanded gains of the hands."""

_CLOSED = np.array([0.0, 0.8, 1.4, -1.25, -1.4, -1.25, -1.4])  # 0.8 of the range: never against the stops
_MIRROR = np.array([1.0, -1.0])  # right hand: every joint's sign is the other


def hand_targets(openness: np.ndarray) -> np.ndarray:
    """Targets (2, 7) rad of the motors of both hands; ``openness`` (2,): 0 and less a fist, 1 and more an open hand."""
    share = np.clip(np.nan_to_num(np.asarray(openness, dtype=float), nan=1.0), 0.0, 1.0)[:, None]
    return (1.0 - share) * _CLOSED * _MIRROR[:, None]
