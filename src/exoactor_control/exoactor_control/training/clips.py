"""Episodes of the training set, drawn in this process or, in advance, in others."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np

from exoactor_control.reference.repair import LOW_FLIGHT, flight
from exoactor_control.reference.trajectory import Trajectory
from exoactor_control.training.anchored import Clip
from exoactor_control.training.environment import Episode
from exoactor_control.training.references import load_prepared, mirror, varied
from exoactor_core.robot import STANDING


class Clips:
    """Motions of the training set; those at which the student fails are drawn more often.

    Of ``paths``, robot motions, those that cannot be tracked are left out; ``left_out`` says by file name why.
    ``teachers`` has by file name the index of the teacher that succeeds at it, -1: none, as
    `exoactor_control.training.teachers.screen` returns it. Jumps are imitated from the first of the teachers, ours, for
    which `exoactor_control.reference.take_off` was found.
    """

    def __init__(self, paths: Sequence[Path], teachers: dict[str, int]) -> None:
        self.source = paths, teachers
        motions, self.left_out = load_prepared(paths)
        self.names, self._motions = list(motions), list(motions.values())
        self.teacher = np.array([teachers.get(name, -1) for name in motions])
        self.jumps = np.array([bool(flight(motion).max() > LOW_FLIGHT) for motion in motions.values()])
        self.teacher[self.jumps & (self.teacher >= 0)] = 0
        self.failing = np.full(len(self.names), 0.5)
        """Recent share of failed episodes of each motion."""

    def draw(self, rng: np.random.Generator) -> Clip:
        """Draw an episode: standing, a blend, a motion or part of it, a blend, standing."""
        return self.make(self.choose(rng), rng)

    def choose(self, rng: np.random.Generator) -> int:
        """Draw the index of a motion; -1: only standing."""
        if rng.uniform() < 0.04:
            return -1
        weight = 0.15 + np.clip(self.failing, 0.0, 1.0)
        return int(rng.choice(len(weight), p=weight / weight.sum()))

    def make(self, k: int, rng: np.random.Generator) -> Clip:
        """Draw an episode of motion k."""
        if k < 0:
            still = Episode.from_trajectory(Trajectory.standing(STANDING, 1.0), int(rng.integers(100, 250)))
            return Clip.of(still, -1, 0)
        motion = self._motions[k]
        motion = varied(mirror(motion) if rng.uniform() < 0.5 else motion, self._motions, rng)
        blend = rng.uniform(0.6, 1.5)
        episode = Episode.of_motion(motion, blend, int(rng.integers(0, 25)))
        return Clip.of(episode, k, int(self.teacher[k]), bool(self.jumps[k]))

    def report(self, clip: Clip, failed: bool) -> None:
        """Record an episode's end."""
        if clip.motion >= 0:
            self.failing[clip.motion] += 0.1 * (failed - self.failing[clip.motion])


class ClipQueue:
    """Clips drawn in advance by other processes, since thousands of robots on a GPU use them quickly."""

    def __init__(self, clips: Clips, rng: np.random.Generator, processes: int, ahead: int) -> None:
        self._clips, self._rng = clips, rng
        context = multiprocessing.get_context("forkserver")
        self._pool = ProcessPoolExecutor(processes, context, _load_clips, clips.source)
        self._drawn = deque(self._next() for _ in range(ahead))

    def _next(self) -> Future[Clip]:
        return self._pool.submit(_make_clip, self._clips.choose(self._rng), int(self._rng.integers(2**63)))

    def draw(self) -> Clip:
        """Take the oldest, and let another one be drawn."""
        self._drawn.append(self._next())
        return self._drawn.popleft().result()

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


_clips: Clips
"""Of a process of `ClipQueue`."""


def _load_clips(paths: Sequence[Path], teachers: dict[str, int]) -> None:
    global _clips
    _clips = Clips(paths, teachers)


def _make_clip(k: int, seed: int) -> Clip:
    return _clips.make(k, np.random.default_rng(seed))
