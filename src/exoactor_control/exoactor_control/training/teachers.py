"""Assignment of teachers to motions, by tracking them in simulation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exoactor_control.policy.spec import PolicySpec
from exoactor_control.training.anchored import Clip
from exoactor_control.training.environment import NOMINAL, DomainRandomization, Episode
from exoactor_control.training.references import load_prepared
from exoactor_control.training.rollouts import as_teacher, track_each
from exoactor_control.training.student import JOINTS, TEACHER_FEEDBACK, Student, load_teacher
from exoactor_core.errors import Missing
from exoactor_core.files import load_json, save_json
from exoactor_core.stages import Progress, no_progress, sub_progress

DISTURBED = DomainRandomization(push=16.0)
"""Without strong pushes, under which most trackers fall alike."""
_SAVED_EVERY = 16
"""Number of motions after which the table is saved."""
_LEAST = 1e-6
"""Minimum reward of a success; failures have 0."""


def screen(
    teachers: Sequence[Path],
    paths: Sequence[Path],
    spec: PolicySpec,
    table: Path,
    threads: int = 2,
    progress: Progress = no_progress,
) -> dict[str, int]:
    """Find the teacher of each motion: the last one that succeeds on the nominal and on a disturbed robot.

    One teacher is used for as many motions as possible, since two that act differently in similar motions contradict
    each other. If none succeeds on both, the one with the highest reward is the teacher. Rewards are stored in
    ``table`` (JSON) as they come, by the digests of motion and teacher, and are not computed again.

    Returns
    -------
    File name -> index of the teacher; -1: all fail on the nominal robot.
    """
    screening = _Screening(teachers, paths, spec, table, threads)
    pending = [path.name for path in paths]
    for k, which in enumerate(reversed(range(len(teachers)))):
        part = sub_progress(progress, k / len(teachers), (k + 1) / len(teachers), f"Teacher {which + 1} ")
        screening.run(which, "nominal", pending, sub_progress(part, 0.0, 0.5))
        able = [name for name in pending if screening.does(name, which, "nominal")]
        screening.run(which, "disturbed", able, sub_progress(part, 0.5, 1.0))
        pending = [name for name in pending if not screening.does(name, which, "disturbed")]
    return {path.name: screening.best(path.name) for path in paths}


_ROBOTS = {"nominal": NOMINAL, "disturbed": DISTURBED}


class _Screening:
    """Rewards of teachers for motions: 0 for failures."""

    def __init__(
        self, teachers: Sequence[Path], paths: Sequence[Path], spec: PolicySpec, table: Path, threads: int
    ) -> None:
        self._teachers, self._spec, self._table, self._threads = teachers, spec, table, threads
        self._feedback = teacher_feedback(teachers)
        self._paths = {path.name: path for path in paths}
        self._clips: dict[str, Clip | None] = {}
        """Clips used so far; None: the motion cannot be tracked."""
        self._rewards: dict[str, float] = load_json(table) if table.exists() else {}
        motions = {name: _digest(path) for name, path in self._paths.items()}
        self._keys = {
            (name, which, robot): f"{name} {motion} {_digest(teacher)} {robot}"
            for which, teacher in enumerate(teachers)
            for name, motion in motions.items()
            for robot in _ROBOTS
        }

    def does(self, name: str, which: int, robot: str) -> bool:
        """Whether a teacher is known to succeed."""
        return self._rewards.get(self._keys[name, which, robot], 0.0) > 0.0

    def best(self, name: str) -> int:
        """Index of the teacher of a motion, as `screen` returns it."""
        nominal, disturbed = (
            np.array([self._rewards.get(self._keys[name, k, robot], 0.0) for k in range(len(self._teachers))])
            for robot in _ROBOTS
        )
        if disturbed.any():
            return int(np.flatnonzero(disturbed)[-1])
        return int(np.argmax(nominal)) if nominal.any() else -1

    def run(self, which: int, robot: str, names: Sequence[str], progress: Progress) -> None:
        """Let a teacher track those of these motions that it has not tracked yet."""
        missing = [name for name in names if self._keys[name, which, robot] not in self._rewards]
        self._load([name for name in missing if name not in self._clips])
        wanted = {name: clip for name in missing if (clip := self._clips[name])}
        if not wanted:
            return
        run = load_teacher(self._teachers[which], self._threads)
        outcomes = track_each(
            as_teacher(run),
            list(wanted.values()),
            self._spec,
            _ROBOTS[robot],
            self._threads,
            self._feedback[which],
        )
        tracked = list(wanted)
        try:
            for done, outcome in enumerate(outcomes, 1):
                key = self._keys[tracked[outcome.clip], which, robot]
                self._rewards[key] = max(outcome.reward, _LEAST) if outcome.success else 0.0
                if done % _SAVED_EVERY == 0:
                    save_json(self._table, self._rewards)
                progress(done / len(wanted), f"on the {robot} robot: {done} of {len(wanted)} motions")
        finally:
            save_json(self._table, self._rewards)

    def _load(self, names: Sequence[str]) -> None:
        self._clips |= dict.fromkeys(names)
        try:
            motions, _ = load_prepared([self._paths[name] for name in names])
        except Missing:
            return
        for name, motion in motions.items():
            self._clips[name] = Clip.of(Episode.of_motion(motion, stand=25), 0, 0)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def teacher_feedback(teachers: Sequence[Path]) -> np.ndarray:
    """(T, 29) share of each joint's error that is added to each teacher's command: 0 for our trackers."""
    return np.stack([np.zeros(JOINTS) if Student.from_onnx(path) else TEACHER_FEEDBACK for path in teachers])
