"""The job behind ``exoactor train-tracker``: references, then distillation, each gone on with where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exoactor_control.policy.policy import Policy, policy_file
from exoactor_control.training.distill import Distillation
from exoactor_control.training.references import Library, load_prepared, make
from exoactor_core.errors import BadInput
from exoactor_core.stages import Metrics, Progress, no_progress, sub_progress

TEACHER_LAYOUT = "twist2"


class Training:
    """Trains the tracker of our own.

    Parameters
    ----------
    teacher
        ONNX file of a tracker with TWIST2's layout; or "exoactor" or the file of a tracker of ours, which is gone on
        with: it learns to do by itself what it does under the motions' corrections
        (`exoactor_control.rehearsal.reference_correction`).
    output
        Folder for the references (``references/``), ``checkpoint.pt`` and ``exoactor.onnx``. What is there is gone on
        with: the same command again continues a training that was broken off.
    motions
        Further robot motions (.npz), or folders of them.
    tasks
        How many random tasks of the generator are made into references.
    minutes
        Of distillation, as a clock on the wall tells, all calls counted together.
    seed
        Of everything that is drawn.
    threads
        That step the physics and run the networks.

    Raises
    ------
    BadInput, Missing
        The teacher cannot be loaded or has another layout; there is no such motion.
    """

    def __init__(
        self,
        teacher: str | Path,
        output: Path,
        motions: Sequence[Path] = (),
        tasks: int = 300,
        minutes: float = 70.0,
        seed: int = 0,
        threads: int = 2,
    ) -> None:
        self._teacher, self._output = policy_file(str(teacher)), Path(output)
        self._spec = Policy.load(self._teacher, TEACHER_LAYOUT).spec
        self._motions = [path for given in motions for path in _files(Path(given))]
        if minutes <= 0 or threads < 1 or tasks < 0:
            raise BadInput("A training needs a positive time, at least one thread, and no negative number of tasks.")
        self._tasks, self._minutes, self._seed, self._threads = tasks, minutes, seed, threads

    def __call__(self, progress: Progress = no_progress) -> Metrics:
        """Train; returns ``tracker`` (path of the ONNX file), ``samples`` and ``motions`` (how many)."""
        references = self._output / "references"
        made = make(self._tasks, references, self._seed, sub_progress(progress, 0.0, 0.3))
        motions = load_prepared([*self._motions, *made], sub_progress(progress, 0.3, 0.32))
        library = Library(list(motions.values()))
        rng = np.random.default_rng(self._seed)
        distillation = Distillation(
            self._teacher,
            self._spec,
            lambda _: library.draw(rng),
            self._output,
            self._seed,
            threads=self._threads,
        )
        distillation.run(self._minutes, sub_progress(progress, 0.32, 1.0))
        return {
            "tracker": str(self._output / "exoactor.onnx"),
            "samples": distillation.samples,
            "motions": len(motions),
        }


def _files(path: Path) -> list[Path]:
    found = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if not found or not all(f.is_file() for f in found):
        raise BadInput(f"There is no robot motion (.npz) at {path}.")
    return found
