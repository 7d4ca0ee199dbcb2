"""Retarget many human motions in parallel: a bad file is reported at the end and does not stop the others.

Each file is converted by one of a few processes, which load the retargeter once. Files are written atomically; if the
work is interrupted, files in progress are dropped, and finished ones stay.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exoactor.pipeline import InProcessStages
from exoactor_core.errors import BadInput, Cancelled, ExoActorError
from exoactor_core.formats import ROBOT_FORMATS, save_robot
from exoactor_core.processes import block_signals, end_with_parent
from exoactor_core.stages import Metrics, Progress, load_backend, no_progress
from exoactor_pose.importers import load_human

HUMAN_SUFFIXES = (".npz", ".bvh")


@dataclass
class Converted:
    """Results of a batch, by input file."""

    done: dict[Path, Metrics] = field(default_factory=dict)
    failed: dict[Path, str] = field(default_factory=dict)


def plan(inputs: Sequence[Path], output: Path, format_: str) -> dict[Path, Path]:
    """Map input files to output files; the tree of an input folder is kept in the output folder.

    Raises
    ------
    BadInput
        There is nothing to convert, two outputs would have the same path, or an input would be overwritten.
    """
    files: dict[Path, Path] = {}
    for given in inputs:
        if given.is_dir():
            found = (p for p in sorted(given.rglob("*")) if p.suffix.lower() in HUMAN_SUFFIXES and p.is_file())
            files |= {path: path.relative_to(given) for path in found if not path.name.startswith(".")}
        else:
            files[given] = Path(given.name)
    if not files:
        raise BadInput(f"There is no .npz or .bvh file in {', '.join(str(p) for p in inputs)}.")
    out: dict[Path, Path] = {}
    source: dict[Path, Path] = {}
    for path, name in files.items():
        target = output / name.with_name(name.stem + ROBOT_FORMATS[format_])
        if target in source:
            raise BadInput(f"{source[target]} and {path} would both become {target}: convert them into two folders.")
        source[target], out[path] = path, target
    inputs_there = {path.resolve() for path in files}
    for target in source:
        if target.resolve() in inputs_there:
            raise BadInput(f"{target} would be overwritten: name another folder with -o.")
    return out


def convert(
    files: dict[Path, Path], backend: str, options: dict[str, Any], jobs: int, progress: Progress = no_progress
) -> Converted:
    """Retarget each file with a backend of `exoactor_core.stages`, at most ``jobs`` at a time.

    Raises
    ------
    ExoActorError
        The backend cannot be made with these options.
    Cancelled
        The user pressed Ctrl-C.
    """
    load_backend("retarget", backend, **options)  # so that it fails once here, not for every file
    result, total = Converted(), len(files)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes share the cores; numpy reads this when it is imported
    context = multiprocessing.get_context("spawn")
    stopping = context.Event()
    pool = ProcessPoolExecutor(min(jobs, total), context, _prepare, (os.getpid(), backend, options, stopping))
    progress(0.0, f"0 of {total}")
    try:
        with block_signals(signal.SIGINT):  # this process stops the workers
            futures = {pool.submit(_convert, path, target): path for path, target in files.items()}
        for future in as_completed(futures):
            path = futures[future]
            try:
                metrics, failure = future.result()
            except BrokenProcessPool:
                metrics, failure = {}, "the process that converted it, or one beside it, died (out of memory?)"
            if failure:
                result.failed[path] = failure
            else:
                result.done[path] = metrics
            count, failed = len(result.done) + len(result.failed), len(result.failed)
            progress(count / total, f"{count} of {total}" + (f", {failed} failed" if failed else ""))
    except KeyboardInterrupt:
        raise Cancelled(f"Stopped: {len(result.done)} of {total} motions are done.") from None
    finally:
        stopping.set()
        pool.shutdown(cancel_futures=True)
    return result


# --- in the worker processes ------------------------------------------------------------------------------------------

_worker: dict[str, Any] = {}


def _prepare(parent: int, backend: str, options: dict[str, Any], stopping: Any) -> None:
    end_with_parent(parent, signal.SIGKILL)
    loaded = load_backend("retarget", backend, **options)
    _worker.update(stages=InProcessStages(lambda stage: loaded), stopping=stopping)


def _convert(path: Path, target: Path) -> tuple[Metrics, str]:
    """Convert one file; returns its metrics, and the reason if it failed."""

    def progress(fraction: float, text: str) -> None:
        if _worker["stopping"].is_set():
            raise Cancelled("Stopped.")

    try:
        motion = load_human(path)
        result = _worker["stages"].retarget(motion, progress)
        progress(1.0, "")
        save_robot(result.motion, target)
    except ExoActorError as error:
        return {}, str(error)
    except Exception as error:
        if os.environ.get("EXOACTOR_DEBUG"):
            raise
        return {}, f"internal error, please report it: {type(error).__name__}: {error}"
    return result.metrics, ""
