"""Opening and closing the Dex3 hands.

Unitree's Dex3-1 has seven motors a hand: thumb_0 (turns the thumb across the palm), thumb_1, thumb_2, middle_0,
middle_1, index_0, index_1, in this order in ``HandCmd_`` and ``HandState_`` (Unitree's G1 developer documentation,
"Dexterous hand", which also gives the bits of ``mode`` and the gains of its gripping example, 1.5 N m/rad and
0.1 N m s/rad). Ranges are those of Unitree's ``dex3_1_l.urdf`` and ``dex3_1_r.urdf``: the right hand mirrors the left.
"""

from __future__ import annotations

import numpy as np

from exoactor_unitree import sdk as unitree

NUM_MOTORS = 7
_LEFT_RANGE = np.array([(-1.047, 1.047), (-0.724, 1.047), (0.0, 1.745), *[(-1.571, 0.0), (-1.745, 0.0)] * 2])
HAND_LIMITS = np.stack([_LEFT_RANGE, np.stack([-_LEFT_RANGE[:, 1], -_LEFT_RANGE[:, 0]], 1)])
"""(2, 7, 2) rad: left and right hand, motor, lower and upper."""

_OPEN = np.zeros(NUM_MOTORS)
_CLOSED = np.array([0.0, 0.8, 1.4, -1.25, -1.4, -1.25, -1.4])  # 0.8 of the range: never against the stops
_MIRROR = np.array([1.0, -1.0])  # right hand: every joint's sign is the other
_KP, _KD = 1.5, 0.1
_WORKING, _TIMEOUT = 1 << 4, 1 << 7  # mode: bits 0-3 the motor, 4-6 how it works, 7 stop when no command comes for 1 s


def hand_targets(openness: np.ndarray) -> np.ndarray:
    """Return the motors' targets (2, 7) rad, left and right hand.

    Parameters
    ----------
    openness
        (2,) left and right: 0 a fist, 1 an open hand; values beyond are taken as these.
    """
    share = np.clip(np.nan_to_num(np.asarray(openness, dtype=float), nan=1.0), 0.0, 1.0)[:, None]
    return (share * _OPEN + (1.0 - share) * _CLOSED) * _MIRROR[:, None]


def hand_command(targets: np.ndarray) -> unitree.HandCmd_:
    """Return the message that moves one hand's motors to ``targets`` (7,) rad, gently."""
    message = unitree.hand_cmd()
    for i, (motor, q) in enumerate(zip(message.motor_cmd, targets.tolist(), strict=True)):
        motor.mode = i | _WORKING | _TIMEOUT
        motor.q, motor.kp, motor.kd = q, _KP, _KD
    return message


class Hands:
    """The Dex3 hands of the robot, where it has them; `exoactor_unitree.sdk.open_dds` comes first.

    Nothing is sent to a hand that has not been heard.
    """

    def __init__(self) -> None:
        self._readers = [unitree.RawReader(topic, unitree.HandState_) for topic in unitree.HAND_STATE_TOPICS]
        self._writers = [unitree.Publisher(topic, unitree.HandCmd_) for topic in unitree.HAND_COMMAND_TOPICS]
        self.heard = [False, False]
        """Left, right: the hand has said something."""

    def listen(self) -> None:
        """Notice the hands that speak."""
        for i, reader in enumerate(self._readers):
            self.heard[i] = self.heard[i] or reader.take() is not None

    def move(self, openness: np.ndarray) -> None:
        """Send the hands that are there towards ``openness`` (2,), left and right in [0, 1]; call it at some 50 Hz."""
        targets = hand_targets(openness)
        for heard, writer, target in zip(self.heard, self._writers, targets, strict=True):
            if heard:
                writer.write(hand_command(target))
