"""Distil a teacher into the tracker of our own: DAgger, on the states that the student itself comes to.

The student drives the simulated robots and the teacher says what it would have done in the same states (S. Ross and
others, "A reduction of imitation learning and structured prediction to no-regret online learning", AISTATS 2011). Three
things make the student better than its teacher: the teacher is commanded a reference that is moved by a share of the
joints' error, which a tracker trained on poses alone leaves standing; it sees the robot when the action takes effect
rather than when it was measured, so that the student learns to look ahead over the delay; and it sees the robot without
the sensors' noise.

A tracker of ours in the teacher's place is gone on with: it keeps what it does, and learns to do by itself, commanded
the motion alone, what it does under a motion's correction (`exoactor_control.rehearsal.reference_correction`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from exoactor_control.policy.spec import PolicySpec
from exoactor_control.reference.trajectory import POLICY_RATE
from exoactor_control.training.environment import OBSERVATION, Episode, Robots, Variation
from exoactor_control.training.student import (
    TEACHER_FEEDBACK,
    Labelled,
    Student,
    load_checkpoint,
    load_teacher,
    save_training,
)
from exoactor_core.stages import Progress, no_progress


@dataclass(frozen=True)
class Settings:
    """How long and how the student learns."""

    robots: int = 192
    ticks: int = 24
    """Control steps of every robot between updates."""
    updates: int = 12
    """Minibatches between rollouts."""
    batch: int = 1024
    buffer: int = 500_000
    """Samples kept, the newest."""
    warm_up: int = 20_000
    """Samples before the first update; what is seen is normalised by them."""
    rate: float = 7e-4
    """Of Adam at the beginning; falls to a fiftieth on half a cosine."""
    by_teacher: float = 0.06
    """Share of the time in which the teacher drives ever fewer of the robots."""
    noise: float = 0.15
    """Greatest deviation of the noise on the actions, in the network's units."""
    average: float = 0.998
    """Of the weights' moving average, which is what is exported."""


OWN = Settings(rate=1.5e-4, by_teacher=0.3, warm_up=100_000)
"""For going on with a tracker of ours."""


class Distillation:
    """The training: rollouts, updates, checkpoints. `run` it until the time is over; begin again where it stopped.

    Parameters
    ----------
    teacher
        ONNX file with TWIST2's layout, of another's tracker or of ours.
    spec
        The layout.
    draw
        Gives the next episode of a robot.
    folder
        Takes ``checkpoint.pt`` and ``exoactor.onnx``; a checkpoint that is there is gone on from.
    """

    def __init__(
        self,
        teacher: Path,
        spec: PolicySpec,
        draw: Callable[[int], Episode],
        folder: Path,
        seed: int = 0,
        settings: Settings | None = None,
        variation: Variation | None = None,
        threads: int = 2,
    ) -> None:
        own = Student.from_onnx(teacher)
        self.settings = s = settings or (Settings() if own is None else OWN)
        self.folder = folder
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        self._rng = np.random.default_rng(seed)
        self._label = load_teacher(teacher, threads)
        self._own = own is not None
        self._student, self._average = own or Student(), Student()
        self._average.load_state_dict(self._student.state_dict())
        self._adam = torch.optim.Adam(self._student.parameters(), s.rate)
        self._labelled = Labelled(s.buffer, OBSERVATION)
        self.samples = 0
        self.done = 0.0
        """Share of the training that is over, in [0, 1]."""
        self._resume()
        if self.samples:
            self._rng = np.random.default_rng([seed, self.samples])
        self._robots = Robots(
            s.robots, draw, spec, variation or Variation(), seed + self.samples, threads, TEACHER_FEEDBACK
        )
        self._noise = s.noise * self._rng.uniform(0, 1, s.robots) ** 2
        self._luck = self._rng.uniform(0, 1, s.robots)

    def run(self, minutes: float, progress: Progress = no_progress) -> None:
        """Train until it has taken ``minutes``, those before a checkpoint that was gone on from counted too."""
        last = saved = time.monotonic()
        falls, ticks = 0.0, 0.0
        try:
            while self.done < 1.0:
                fallen = self._roll()
                falls, ticks = 0.9 * falls + fallen, 0.9 * ticks + self.settings.robots * self.settings.ticks
                loss = self._learn()
                now = time.monotonic()
                self.done = min(1.0, self.done + (now - last) / (60.0 * minutes))
                last = now
                often = 60.0 * POLICY_RATE * falls / ticks
                progress(self.done, f"{self.samples / 1e6:.2f} M samples, loss {loss:.4f}, {often:.2f} falls a minute")
                if now - saved > 60.0:
                    self.save()
                    saved = now
        finally:
            self.save()

    def _roll(self) -> int:
        """Drive the robots and keep what was seen and what the teacher says to it; returns how many failed."""
        s, fallen = self.settings, 0
        share = max(0.0, 1.0 - self.done / s.by_teacher)
        for _ in range(s.ticks):
            seen = self._robots.observe()
            label = self._label(self._robots.corrected(seen)) if self._own else None
            with torch.no_grad():
                action = self._student(torch.from_numpy(seen)).numpy().copy()
            action += self._noise[:, None] * self._rng.normal(size=action.shape)
            taught = self._luck < share
            if taught.any():
                # Here the teacher sees the state that was measured: there is no delay before it has acted.
                action[taught] = (self._label(self._robots.clean_now()) if label is None else label)[taught]
                action[taught] += self._noise[taught, None] * self._rng.normal(size=action[taught].shape)
            clean, failed = self._robots.step(action)
            self._labelled.add(seen, self._label(clean) if label is None else label)
            fallen += int(failed.sum())
        self.samples += s.robots * s.ticks
        return fallen

    def _learn(self) -> float:
        s = self.settings
        if len(self._labelled) < s.warm_up:
            return 0.0
        if not self._own and not self._student.std.ne(1.0).any():
            sample = torch.from_numpy(self._labelled.observations[::2].astype(np.float32))
            for student in (self._student, self._average):
                student.normalise_by(sample)
        for group in self._adam.param_groups:
            group["lr"] = float(s.rate * (0.02 + 0.98 * 0.5 * (1.0 + np.cos(np.pi * self.done))))
        total = 0.0
        for _ in range(s.updates):
            loss = self._labelled.loss(self._student, s.batch, self._rng)
            self._adam.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self._student.parameters(), 1.0)
            self._adam.step()
            total += float(loss.detach())
            self._average.average_in(self._student, s.average)
        return total / s.updates

    # files

    def save(self) -> None:
        """Write the checkpoint and the tracker as ONNX."""
        state = {
            "student": self._student.state_dict(),
            "average": self._average.state_dict(),
            "adam": self._adam.state_dict(),
            "samples": self.samples,
            "done": self.done,
        }
        save_training(self.folder, state, self._average, "exoactor.yaml")

    def _resume(self) -> None:
        state = load_checkpoint(self.folder)
        if state is None:
            return
        self._student.load_state_dict(state["student"])
        self._average.load_state_dict(state["average"])
        self._adam.load_state_dict(state["adam"])
        self.samples, self.done = state["samples"], state["done"]
