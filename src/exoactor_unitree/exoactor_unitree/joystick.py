"""The buttons of Unitree's wireless remote, as LowState carries them.

Of LowState's ``wireless_remote`` bytes 2 and 3 hold sixteen buttons, one bit each, low byte first; the sticks follow,
and are not used. The order of the bits is that of Unitree's own examples: ``KeyMap`` in unitree_rl_gym's
``deploy/deploy_real/common/remote_controller.py`` and the table in unitree_sdk2_python's
``example/wireless_controller/wireless_controller_g1.py``.
"""

from __future__ import annotations

from enum import IntFlag

REMOTE_BYTES = 40


class Button(IntFlag):
    """Buttons of the remote, by their bit."""

    R1 = 1 << 0
    L1 = 1 << 1
    START = 1 << 2
    SELECT = 1 << 3
    R2 = 1 << 4
    L2 = 1 << 5
    F1 = 1 << 6
    F2 = 1 << 7
    A = 1 << 8
    B = 1 << 9
    X = 1 << 10
    Y = 1 << 11
    UP = 1 << 12
    RIGHT = 1 << 13
    DOWN = 1 << 14
    LEFT = 1 << 15


ACTIONS: dict[str, Button] = {
    "stop": Button.SELECT,
    "damp": Button.L2 | Button.B,
    "stand": Button.START,
    "go": Button.A,
}
"""Requests of the operator, and the buttons that must be held together for them.

L2 + B is damping in Unitree's own controllers, too, and select ends Unitree's deployment examples. None of the chords
of Unitree's firmware (L2 + R2: debug mode, L1/L2/R1/R2 + A/X/Y/arrows) is a request here.
"""

_SHIFTS = Button.L1 | Button.L2 | Button.R1 | Button.R2


def pressed(wireless_remote: bytes) -> int:
    """Return the buttons that are held, as the bits of `Button`; 0 where there are no 40 bytes."""
    return int.from_bytes(wireless_remote[2:4], "little") if len(wireless_remote) == REMOTE_BYTES else 0


class Remote:
    """Derives the operator's requests from the buttons held in each LowState.

    "stop" and "damp" are requested for as long as they are held, whatever else is held; "stand" and "go" once, when
    their button is pressed with no shoulder button held. A button that is down in the first LowState requests neither.
    """

    def __init__(self) -> None:
        self._before = 0xFFFF

    def requests(self, buttons: int) -> list[str]:
        """Return the requested `ACTIONS`; only the most urgent one."""
        if not buttons and not self._before:  # almost always
            return []
        fresh = buttons & ~self._before
        self._before = buttons
        for name in ("stop", "damp"):
            if buttons & ACTIONS[name] == ACTIONS[name]:
                return [name]
        if buttons & _SHIFTS:
            return []
        return [name for name in ("stand", "go") if fresh & ACTIONS[name]][:1]
