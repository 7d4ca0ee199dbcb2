"""Which of several teachers does which motion best: found by having each of them track it in simulation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from exoactor_control.policy.spec import PolicySpec
from exoactor_control.training.anchored import AnchoredRobots, Clip
from exoactor_control.training.environment import NOMINAL, DomainRandomization, Episode
from exoactor_control.training.references import load_prepared
from exoactor_control.training.student import JOINTS, TEACHER_FEEDBACK, Student, load_teacher
from exoactor_core.errors import Missing
from exoactor_core.files import load_json, save_json
from exoactor_core.stages import Progress, no_progress

_DISTURBED = DomainRandomization(push=16.0)
"""Without the punches under which most teachers fall alike."""
Teacher = Callable[[np.ndarray], np.ndarray]
"""Observations (N, M) -> raw actions (N, 29)."""


def screen(
    teachers: Sequence[Path],
    paths: Sequence[Path],
    spec: PolicySpec,
    table: Path,
    motions: int = 96,
    threads: int = 2,
    progress: Progress = no_progress,
) -> dict[str, int]:
    """Find the teacher that does each motion best, by the reward on the nominal robot and on a disturbed one.

    Returns
    -------
    File name -> index; -1: all fail on the nominal robot. Kept in ``table`` (JSON) with the files' digests; motions
    that are in it are not tried again. So many ``motions`` are tried at once.
    """
    kept = load_json(table) if table.exists() else {}
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in paths}
    known = {name: kept[f"{name} {d}"] for name, d in digests.items() if f"{name} {d}" in kept}
    runs = [load_teacher(teacher, threads) for teacher in teachers]
    feedback = teacher_feedback(teachers)
    # Those of like length together: a batch takes as long as its longest.
    wanted = sorted((path for path in paths if path.name not in known), key=lambda path: path.stat().st_size)
    for begin in range(0, len(wanted), motions):
        known |= _best_teachers(runs, feedback, wanted[begin : begin + motions], spec, threads)
        save_json(table, kept | {f"{name} {digests[name]}": which for name, which in known.items()})
        progress(len(known) / len(paths), "Which teacher does which motion best")
    return known


def _best_teachers(
    runs: Sequence[Teacher], feedback: np.ndarray, paths: Sequence[Path], spec: PolicySpec, threads: int
) -> dict[str, int]:
    best = dict.fromkeys((path.name for path in paths), -1)
    try:
        motions, _ = load_prepared(paths)
    except Missing:
        return best
    returns = np.zeros(len(motions))
    clips = [Clip.of(Episode.of_motion(motion, stand=25), k, 0) for k, motion in enumerate(motions.values())]
    for which, run in enumerate(runs):
        nominal, disturbed = (
            _return(run, feedback[which], clips, spec, randomization, threads)
            for randomization in (NOMINAL, _DISTURBED)
        )
        total = np.where(nominal > 0.0, nominal + np.maximum(disturbed, 0.0), 0.0)
        best |= {name: which for name, better in zip(motions, total > returns, strict=True) if better}
        returns = np.maximum(returns, total)
    return best


def _return(
    run: Teacher,
    feedback: np.ndarray,
    clips: Sequence[Clip],
    spec: PolicySpec,
    randomization: DomainRandomization,
    threads: int,
) -> np.ndarray:
    """(M,) mean reward of a teacher over each clip; 0: it failed."""
    robots = AnchoredRobots(len(clips), clips.__getitem__, spec, randomization, 0, threads, feedback[None], 0.0)
    frames = np.array([len(clip.episode) for clip in clips])
    doing = np.ones(len(clips), dtype=bool)
    total = np.zeros(len(clips))
    for _ in range(frames.max()):
        _, reward, failed, over = robots.step(run(robots.clean_now()))
        total[doing] += reward[doing] / frames[doing]
        total[doing & failed] = 0.0
        doing &= ~(failed | over)
        if not doing.any():
            break
        robots.restart(failed | over)
    return total


def teacher_feedback(teachers: Sequence[Path]) -> np.ndarray:
    """(T, 29) share of each joint's error that is added to each teacher's command: 0 for trackers of ours."""
    return np.stack([np.zeros(JOINTS) if Student.from_onnx(path) else TEACHER_FEEDBACK for path in teachers])
