"""Opening and closing the Dex3 hands over Unitree's topics; `exoactor_core.dex3` has the facts.

The bits of ``mode`` are those of Unitree's G1 developer documentation, "Dexterous hand".
"""

from __future__ import annotations

import numpy as np

from exoactor_core.dex3 import HAND_KD, HAND_KP, hand_targets
from exoactor_unitree import sdk as unitree

_WORKING, _TIMEOUT = 1 << 4, 1 << 7  # mode: bits 0-3 the motor, 4-6 how it works, 7 stop when no command comes for 1 s


def hand_command(targets: np.ndarray) -> unitree.HandCmd_:
    """Return the message that moves one hand's motors to ``targets`` (7,) rad, gently."""
    message = unitree.hand_cmd()
    for i, (motor, q) in enumerate(zip(message.motor_cmd, targets.tolist(), strict=True)):
        motor.mode = i | _WORKING | _TIMEOUT
        motor.q, motor.kp, motor.kd = q, HAND_KP, HAND_KD
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
