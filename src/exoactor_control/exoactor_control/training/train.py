"""The implementation of ``exoactor train-tracker``: references, then training, both resumable."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from exoactor_control.policy.policy import Policy, policy_file
from exoactor_control.policy.spec import SHIPPED, known_specs
from exoactor_control.training import data
from exoactor_control.training.clips import Clips
from exoactor_control.training.improve import ON_GPU, Settings, Trainer, check_device
from exoactor_control.training.split import part_of
from exoactor_control.training.teachers import screen
from exoactor_control.training.validation import Validation
from exoactor_core.errors import BadInput
from exoactor_core.stages import Metrics, Progress, no_progress, sub_progress

TEACHER_LAYOUT = "twist2"


def train(
    output: Path,
    motions: Sequence[Path] = (),
    teachers: Sequence[str | Path] = (),
    people: Sequence[Path] = (),
    hours: float = 10.0,
    samples: float = 1e8,
    seed: int = 1,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> Metrics:
    """Train a tracker with ``policies/anchored.yaml``; it grows from the shipped one.

    What is in ``output`` (``references/``, ``screening.json``, ``checkpoint.pt``, ``exoactor.onnx``) is kept: the same
    call again resumes a training that was interrupted. Motions that the split tests or validates with are not trained
    on; the network that is best at the latter is exported. ``motions`` are robot motions (.npz), or folders of them;
    ``people`` recordings (.bvh, AMASS .npz), or folders of them, to be retargeted. ``teachers`` are trackers with
    TWIST2's observation; a motion is imitated from the last that does it, or else from ours. ``hours`` of references
    are generated; ``samples`` are control steps of training, those before a checkpoint counted too. On the ``device``
    "cuda", MuJoCo Warp steps the physics and PyTorch runs the networks; on "cpu", as many threads as there are CPUs do.
    As many processes make references.

    Returns ``tracker`` (path of the ONNX file), ``samples``, ``motions`` (number trained on), ``left_out`` (number that
    the split keeps for validation and tests), ``not_trackable`` (file and reason), ``references`` (files and hours of
    each family).

    Raises
    ------
    BadInput, Missing
        A teacher cannot be loaded or has another layout; there is no such motion or device; a number is out of range.
    """
    files = [policy_file(str(teacher)) for teacher in (SHIPPED, *teachers)]
    for file in files:
        Policy.load(file, TEACHER_LAYOUT)
    given = [file for path in motions for file in _files(Path(path), (".npz",), "robot motion")]
    recordings = [file for path in people for file in _files(Path(path), (".bvh", ".npz"), "recording of a person")]
    if samples <= 0:
        raise BadInput("A training needs a positive number of samples.")
    if device not in ("cpu", "cuda"):
        raise BadInput(f"The device {device} is not one of cpu, cuda.")
    check_device(device)
    folder, threads = Path(output) / "references", os.cpu_count() or 1
    retargeted, failed = data.from_people(recordings, folder, sub_progress(progress, 0.0, 0.05))
    made = [*retargeted, *data.make_hours(hours, folder, seed, threads, sub_progress(progress, 0.05, 0.2))]
    found = [*given, *made]
    paths = [path for path in found if part_of(path) in ("training", None)]
    spec = known_specs()[TEACHER_LAYOUT]
    table = Path(output) / "screening.json"
    known = screen(files, paths, spec, table, threads=threads, progress=sub_progress(progress, 0.2, 0.25))
    settings = Settings() if device == "cpu" else ON_GPU
    clips = Clips(paths, known)
    chosen_by = [path for path in found if part_of(path) == "validation"]
    validation = Validation(chosen_by, spec, Path(output) / "validation.csv", threads) if chosen_by else None
    training = Trainer(files, spec, clips, Path(output), seed, settings, threads, validation)
    training.run(samples, sub_progress(progress, 0.25, 1.0))
    return {
        "tracker": str(Path(output) / "exoactor.onnx"),
        "samples": training.samples,
        "motions": len(clips.names),
        "left_out": len(found) - len(paths),
        "not_trackable": [f"{name}: {why}" for name, why in (failed | clips.left_out).items()],
        "references": data.figures(made),
    }


def _files(path: Path, suffixes: tuple[str, ...], what: str) -> list[Path]:
    found = [f for f in (sorted(path.iterdir()) if path.is_dir() else [path]) if f.is_file() and f.suffix in suffixes]
    if not found:
        raise BadInput(f"There is no {what} ({', '.join(suffixes)}) at {path}.")
    return found
