"""Compare a benchmark on this checkout and on an earlier one. Prints one JSON object with each figure before and after.

Both cases use this checkout's script and environment; for the earlier checkout, its packages below ``src`` come first
in the path. The checkouts alternate for several rounds; figures are the medians of the rounds.

    git worktree add build/before v0.1.0
    .venv/bin/python bench/compare.py build/before bench/control_loop.py --seconds 5
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer


def figures(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in a benchmark's output by their path in it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from figures(item, f"{name}.{key}".lstrip("."))
    elif isinstance(value, int | float):
        yield name, float(value)


def measured(checkout: Path, command: list[str]) -> dict[str, float]:
    """Run a benchmark with the packages of a checkout; returns its figures."""
    packages = [str(path.parent.resolve()) for path in sorted(checkout.glob("src/*/setup.py"))]
    if not packages:
        raise typer.BadParameter(f"{checkout} is not a checkout of this project: it has no src/*/setup.py.")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(packages)}
    done = subprocess.run([sys.executable, *command], env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise typer.Exit(done.returncode)
    return dict(figures(json.loads(done.stdout)))


app = typer.Typer(add_completion=False)


@app.command(context_settings={"allow_interspersed_args": False})
def main(
    before: Annotated[Path, typer.Argument(help="The earlier checkout.", exists=True, file_okay=False)],
    command: Annotated[list[str], typer.Argument(help="The benchmark with its options.")],
    rounds: Annotated[int, typer.Option(help="Runs of each checkout.", min=1)] = 1,
) -> None:
    """Run a benchmark on both checkouts alternately."""
    here = Path(__file__).parents[1]
    runs: dict[str, list[dict[str, float]]] = {"before": [], "after": []}
    for _ in range(rounds):
        for name, checkout in (("before", before), ("after", here)):
            runs[name].append(measured(checkout, command))
    report = {
        figure: {name: float(np.median([run[figure] for run in done if figure in run])) for name, done in runs.items()}
        for figure in runs["after"][0]
        if figure in runs["before"][0]
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    app()
