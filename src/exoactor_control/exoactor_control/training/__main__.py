"""Make references and train a tracker on them: ``python -m exoactor_control.training data`` and ``... improve``.

Both go on where they stopped. What is trained on, chosen by and tested by: `exoactor_control.training.split`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from exoactor_control.policy.spec import FOLDER, known_specs
from exoactor_control.training import data as references
from exoactor_control.training.improve import Clips, Improvement, screen
from exoactor_control.training.split import part_of

app = typer.Typer(help=__doc__, no_args_is_help=True)


def _log(fraction: float, text: str) -> None:
    print(f"{fraction:.4f} {text}", flush=True)


@app.command()
def data(
    folder: Annotated[Path, typer.Argument(help="Takes the references.")],
    hours: Annotated[float, typer.Option(help="Of motion.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of everything.")] = 1,
    people: Annotated[
        list[Path] | None, typer.Option(help="Recordings of people (.bvh, AMASS .npz) to fit as well. Repeatable.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes.")] = os.cpu_count() or 1,
) -> None:
    """Make references: random tasks of the generator and random whole-body motions, and recordings of people."""
    fitted = references.from_people(people or [], folder, _log)
    made = references.make_hours(hours, folder, seed, workers, _log)
    print(json.dumps(references.figures([*fitted, *made]), indent=2))


@app.command()
def improve(
    output: Annotated[Path, typer.Argument(help="Folder for checkpoint.pt and exoactor.onnx.")],
    motions: Annotated[list[Path], typer.Option(help="Robot motions (.npz) or folders of them. Repeatable.")],
    teacher: Annotated[
        list[Path] | None,
        typer.Option(help="Trackers with TWIST2's layout, the first that does a motion being imitated there."),
    ] = None,
    samples: Annotated[float, typer.Option(help="Control steps in all.")] = 1e8,
    seed: Annotated[int, typer.Option(help="Of everything.")] = 17,
    threads: Annotated[int, typer.Option(help="That step the physics and run the networks.")] = 2,
) -> None:
    """Train a tracker with `policies/anchored.yaml`; it grows from the one that comes with this package."""
    teachers = [FOLDER / "exoactor.onnx", *(teacher or [])]
    found = [path for given in motions for path in (sorted(given.glob("*.npz")) if given.is_dir() else [given])]
    paths = [path for path in found if part_of(path) == "training"]
    print(f"{len(paths)} of {len(found)} motions are for training.", flush=True)
    layout = known_specs()["twist2"]

    output.mkdir(parents=True, exist_ok=True)
    known = screen(teachers, paths, layout, output / "teachers.json", threads=threads, progress=_log)
    Improvement(teachers, layout, Clips(paths, known), output, seed, threads=threads).run(samples, _log)


if __name__ == "__main__":
    app()
