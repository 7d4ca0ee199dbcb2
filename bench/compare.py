"""A benchmark on this checkout beside an earlier one, in one run. Prints one JSON object: each figure before and after.

The script is this checkout's in both cases, and so is the environment; the packages below ``src`` are the earlier
checkout's first. Both take turns, several rounds; figures are the median of the rounds.

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
    """The numbers in what a benchmark printed, each with the way to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from figures(item, f"{name}.{key}".lstrip("."))
    elif isinstance(value, int | float):
        yield name, float(value)


def measured(checkout: Path, command: list[str]) -> dict[str, float]:
    """Figures of a benchmark with the packages of a checkout."""
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
    rounds: Annotated[int, typer.Option(help="Turns of each checkout.", min=1)] = 1,
) -> None:
    """Run a benchmark on both checkouts in turn."""
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
