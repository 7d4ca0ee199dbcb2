"""Retargeting while the person is still moving: frames in, frames out, with a fixed delay."""

from __future__ import annotations

import numpy as np

from exoactor_core.errors import BadInput
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_retarget.contacts import ground
from exoactor_retarget.human import Posture, at_times, posture
from exoactor_retarget.kinematics import State
from exoactor_retarget.retargeter import Retargeter, robot_motion_of
from exoactor_retarget.targets import Stand, make_targets, standing

BLOCK = 0.1
"""s of frames in each output block."""
HISTORY = 1.0
"""s of the person that are remembered, for contacts and the floor."""


class StreamingRetargeter:
    """A window that moves along with the person; output frames are never changed.

    Each window has the last output frames, the next ones, and ``ahead`` seconds beyond them. Feet that stand when a
    window begins keep standing where they are.

    Parameters
    ----------
    retargeter
        Its frame rate is that of the output.
    ahead
        Seconds of the person that must follow a frame before it is output; the delay is at most `BLOCK` s longer.

    Raises
    ------
    BadInput
        ``ahead`` is not positive.
    """

    def __init__(self, retargeter: Retargeter, *, ahead: float = 0.2):
        if not ahead > 0:
            raise BadInput(f"The streaming retargeter's ahead is {ahead} s, but it must be positive.")
        self.retargeter = retargeter
        fps = retargeter.options.fps
        self.ahead, self.block, self.history = (max(1, round(s * fps)) for s in (ahead, BLOCK, HISTORY))
        self._person: Posture | None = None
        self._first = 0  # source frame at which the person begins
        self._out = 0  # number of output frames
        self._last: State | None = None  # the last two output frames
        self._guess: State | None = None  # the solution beyond them
        self._origin = np.zeros(3)
        self._stands: tuple[Stand | None, Stand | None] = (None, None)

    def push(self, motion: HumanMotion) -> RobotMotion | None:
        """Add the person's next frames; returns the robot's next frames, or None if it is too early.

        Raises
        ------
        BadInput
            The frame rate is not that of the frames before.
        """
        retargeter = self.retargeter
        person = posture(motion, retargeter.body, retargeter.mapping["human"])
        if self._person is None:
            self._origin = np.array([*person.at("hip")[0].mean(axis=0)[:2], 0.0])
            self._person = person
        else:
            if person.fps != self._person.fps:
                raise BadInput(f"These frames come at {person.fps} a second, but those before at {self._person.fps}.")
            self._person = self._person.join(person)
        available = self._frames_available(self._person)
        if available - self._out < self.ahead + self.block:
            return None
        return self._next(self._person, available - self.ahead, available)

    def finish(self) -> RobotMotion | None:
        """The remaining frames when the person has stopped; None if there are none."""
        if self._person is None:
            return None
        available = self._frames_available(self._person)
        return self._next(self._person, available, available) if available > self._out else None

    def _frames_available(self, person: Posture) -> int:
        """Number of robot frames for which the person has been seen."""
        last = (self._first + len(person) - 1) / person.fps
        return int(np.floor(last * self.retargeter.options.fps + 1e-6)) + 1

    def _next(self, source: Posture, end: int, available: int) -> RobotMotion:
        """Solve for the frames up to ``available``, and output those up to ``end``."""
        retargeter, mapping = self.retargeter, self.retargeter.mapping
        fps, begin = retargeter.options.fps, max(0, self._out - self.history)
        times = np.arange(begin, available) / fps - self._first / source.fps
        person = ground(at_times(source, times, fps), mapping["contacts"])
        at = self._out - begin
        known = 0 if self._last is None else len(self._last)
        targets = make_targets(person, retargeter.model, mapping, self._origin, at, self._stands)[at - known :]
        state = retargeter.solver.follow(targets, retargeter.options.iterations, self._last, self._guess)
        count = known + end - self._out
        self._stands = standing(state[count - 1 : count], targets.contact[count - 1], retargeter.model)
        self._last, self._guess, self._out = state[max(0, count - 2) : count], state[count:], end
        old = int(max(0, self._out - self.history - 2) / fps * source.fps) - self._first
        if old > 0:
            self._person, self._first = source[old:], self._first + old
        return robot_motion_of(state[known:count], targets[known:count], retargeter.model)
