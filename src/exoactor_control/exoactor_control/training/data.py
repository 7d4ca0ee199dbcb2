"""Hours of references to train a tracker on, made by one command from a seed, resumed where it stopped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

from exoactor_control.reference.trajectory import prepare
from exoactor_control.training.references import choreographed, random_task, retargeted
from exoactor_control.training.whole_body import FAMILIES, whole_body
from exoactor_core.errors import BadInput, ExoActorError
from exoactor_core.files import load_json, save_bytes, save_json
from exoactor_core.motion import RobotMotion
from exoactor_core.stages import Progress, load_backend, no_progress

_TASK_SHARE = 0.4
"""Share of random tasks of the generator; the rest are random whole-body references."""
_FAMILY_WEIGHTS = {"walk": 4.0, "crouch": 2.0, "hop": 1.0, "jump": 1.0, "mixed": 2.0, "lunge": 0.5, "kick": 0.5}
_SPEED_RANGE = (0.75, 1.35)
"""Speed of a random task against the generator's."""


def make_hours(
    hours: float, folder: Path, seed: int = 0, workers: int = os.cpu_count() or 1, progress: Progress = no_progress
) -> list[Path]:
    """Make references, in so many worker processes, until there are so many hours of them; return the files.

    Reference k is drawn from (seed, k) alone, whoever makes it and when: files that are there are kept, and one that
    could not be made is not tried again (``<seed>_failed.json`` says why). ``folder`` takes
    ``<family>_<seed>_<k>.npz``; the families are "task" and `whole_body.FAMILIES`.
    """
    if hours <= 0 or workers < 1 or seed < 0:
        raise BadInput("Hours and workers must be positive, and the seed not negative.")
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"{seed}_failed.json"
    failed: dict[str, str] = load_json(table) if table.exists() else {}
    made: dict[int, tuple[Path, float]] = {}
    seconds, k = 0.0, 0
    running: dict[Future[float], tuple[int, Path]] = {}
    with ProcessPoolExecutor(workers) as pool:
        while seconds < 3600.0 * hours or running:
            while len(running) < 2 * workers and seconds < 3600.0 * hours:
                path = folder / f"{family_of(seed, k)}_{seed}_{k:06d}.npz"
                if path.exists():
                    made[k] = path, RobotMotion.load(path).duration
                    seconds += made[k][1]
                elif str(k) not in failed:
                    running[pool.submit(_make, seed, k, path)] = k, path
                k += 1
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                number, path = running.pop(future)
                try:
                    made[number] = path, future.result()
                    seconds += made[number][1]
                except ExoActorError as error:
                    failed[str(number)] = str(error)
                    save_json(table, failed)
            progress(min(seconds / (3600.0 * hours), 1.0), f"{seconds / 3600.0:.2f} h in {len(made)} references")
    # those of the lowest numbers that are enough, whichever came first
    paths, enough = [], 3600.0 * hours
    for number in sorted(made):
        if enough > 0.0:
            paths.append(made[number][0])
            enough -= made[number][1]
    return paths


def family_of(seed: int, k: int) -> str:
    """Family of reference k."""
    rng = np.random.default_rng([seed, k])
    if rng.uniform() < _TASK_SHARE:
        return "task"
    weights = np.array([_FAMILY_WEIGHTS[name] for name in FAMILIES])
    return list(FAMILIES)[rng.choice(len(weights), p=weights / weights.sum())]


def _make(seed: int, k: int, path: Path) -> float:
    """Make reference k; returns its length in s."""
    family = family_of(seed, k)
    rng = np.random.default_rng([seed, k, 1])
    if family == "task":
        task = random_task(rng)
        person = choreographed(task, seed=int(rng.integers(2**31)), stature=float(rng.uniform(1.45, 2.05)))
        motion = retargeted(person, float(rng.uniform(*_SPEED_RANGE)))
        save_bytes(path.with_suffix(".txt"), (task + "\n").encode())
    else:
        motion = whole_body(family, rng, float(rng.uniform(5.0, 14.0)))
    motion = prepare(motion).motion
    motion.save(path)
    return motion.duration


def from_people(
    files: Sequence[Path], folder: Path, progress: Progress = no_progress
) -> tuple[list[Path], dict[str, str]]:
    """Fit recordings of people (.bvh, AMASS .npz) to the G1, each once.

    Names of BVH files get ``bvh_`` before them, unless they have it.

    Returns
    -------
    The references; by file name, why others could not be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made, failed = [], {}
    for i, file in enumerate(files):
        stem = file.stem if file.suffix != ".bvh" or file.stem.startswith("bvh_") else f"bvh_{file.stem}"
        path = folder / f"{stem}.npz"
        if not path.exists():
            try:
                reader: Any = load_backend("estimate", "file", path=str(file))
                retargeted(reader().motion).save(path)
            except ExoActorError as error:
                failed[file.name] = str(error)
                continue
        made.append(path)
        progress((i + 1) / len(files), file.name)
    return made, failed


def figures(paths: Sequence[Path]) -> dict[str, Any]:
    """How many references there are of each family, and how many hours."""
    families: dict[str, list[float]] = {}
    for path in paths:
        families.setdefault(path.stem.split("_")[0], []).append(RobotMotion.load(path).duration)
    return {name: {"files": len(s), "hours": round(sum(s) / 3600.0, 3)} for name, s in sorted(families.items())}
