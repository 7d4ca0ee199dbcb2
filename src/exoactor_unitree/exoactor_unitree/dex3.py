"""Opening and closing the Dex3 hands over Unitree's topics; `exoactor_core.dex3` has the facts.

The bits of ``mode`` are those of Unitree's G1 developer documentation, "Dexterous hand".
"""

from __future__ import annotations

import numpy as np

from exoactor_core.dex3 import HAND_KD, HAND_KP, hand_targets
from exoactor_unitree import sdk as unitree

STEP = 0.05
"""Maximum change of a hand's openness in 20 ms."""
_MOTOR_ON, _TIMEOUT_BIT = 1 << 4, 1 << 7  # mode: bits 0-3 the motor, 4-6 its status, 7 stop without commands for 1 s


def hand_command(targets: np.ndarray) -> unitree.HandCmd_:
    """Return the message that moves one hand's motors to ``targets`` (7,) rad, gently."""
    message = unitree.hand_cmd()
    for i, (motor, q) in enumerate(zip(message.motor_cmd, targets.tolist(), strict=True)):
        motor.mode = i | _MOTOR_ON | _TIMEOUT_BIT
        motor.q, motor.kp, motor.kd = q, HAND_KP, HAND_KD
    return message


def hand_positions(state: bytes) -> list[float]:
    """Positions of the motors, rad, from a state message of a hand."""
    return [motor.q for motor in unitree.HandState_.deserialize(state).motor_state]


class Hands:
    """The robot's Dex3 hands, if it has them; call `exoactor_unitree.sdk.open_dds` first.

    Nothing is sent to a hand that has not published its state.
    """

    def __init__(self) -> None:
        self._readers = [unitree.RawReader(topic, unitree.HandState_) for topic in unitree.HAND_STATE_TOPICS]
        self._writers = [unitree.Publisher(topic, unitree.HandCmd_) for topic in unitree.HAND_COMMAND_TOPICS]
        self.states: list[bytes | None] = [None, None]
        """Left, right: the newest state message (see `hand_positions`)."""

        self._commanded: np.ndarray | None = None  # (2,) by `follow`; None: nothing yet

    @property
    def heard(self) -> list[bool]:
        """Left, right: whether the hand has published its state."""
        return [state is not None for state in self.states]

    def listen(self) -> None:
        """Receive the hands' states."""
        self.states = [reader.take() or state for reader, state in zip(self._readers, self.states, strict=True)]

    def follow(self, openness: np.ndarray) -> None:
        """As `move`, but by at most `STEP` per call."""
        before = openness if self._commanded is None else self._commanded
        self._commanded = before + np.clip(openness - before, -STEP, STEP)
        self.move(self._commanded)

    def move(self, openness: np.ndarray) -> None:
        """Command the existing hands to ``openness`` (2,), left and right in [0, 1]; to be called at about 50 Hz."""
        targets = hand_targets(openness)
        for heard, writer, target in zip(self.heard, self._writers, targets, strict=True):
            if heard:
                writer.write(hand_command(target))
