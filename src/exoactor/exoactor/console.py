"""Output of the command line: progress, metrics and errors, for a person or as one JSON object for a program."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from exoactor_core.errors import BadInput, Cancelled, ExoActorError, Internal, user_error
from exoactor_core.processes import sigterm_as_ctrl_c
from exoactor_core.stages import no_progress

stderr = Console(stderr=True, highlight=False, markup=False)  # paths and sentences may contain brackets
stdout = Console(highlight=False, markup=False)
_LINE_EVERY = 60.0
"""s between two lines of a stage's progress in a log."""
_json_output: TextIO | None = None  # None: sys.stdout


def main(app: typer.Typer) -> int:
    """Run the command in ``sys.argv``; print its error, and return the exit code.

    With ``--json``, standard output has nothing but the command's object, or one with ``error`` and ``exit_code``.
    """
    as_json = "--json" in sys.argv[1:]  # also if the command line cannot be parsed
    with sigterm_as_ctrl_c(), _json_only() if as_json else nullcontext():
        return _run(app, as_json)


def _run(app: typer.Typer, as_json: bool) -> int:
    try:
        code = app(standalone_mode=False) or 0  # an int where typer.Exit was raised or Ctrl-C pressed
        if code != Cancelled.exit_code:
            return code
        error: ExoActorError = Cancelled("Cancelled.")
    except KeyboardInterrupt:  # before typer handles it
        error = Cancelled("Cancelled.")
    except Exception as raised:
        usage: Any = raised
        if hasattr(usage, "format_message"):  # a ClickException, whose class typer does not export
            if not as_json:
                usage.show()
                return usage.exit_code
            error = BadInput(usage.format_message())
        else:
            error = user_error(raised) or Internal(
                f"Internal error, please report it: {type(raised).__name__}: {raised}. "
                "Set EXOACTOR_DEBUG=1 to see where."
            )
            if not isinstance(raised, ExoActorError) and os.environ.get("EXOACTOR_DEBUG"):
                raise
    stderr.print(f"exoactor: {error}", soft_wrap=True)
    if as_json:
        with suppress(OSError):  # standard output itself may have failed
            print_json({**error.metrics, "error": str(error), "exit_code": error.exit_code})
    return error.exit_code


@contextmanager
def _json_only() -> Iterator[None]:
    """Reserve standard output for `print_json`: redirect all other output, even from C libraries, to standard error."""
    global _json_output
    output: TextIO = sys.stdout
    own: int | None = None
    try:
        if sys.stdout is sys.__stdout__:  # not replaced by a test
            output.flush()
            own = os.dup(1)
            os.dup2(2, 1)
            output = os.fdopen(os.dup(own), "w")
        _json_output = output
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _json_output = None
        if own is not None:
            with suppress(OSError):  # print_json flushes, so that nothing is lost here
                output.close()
            os.dup2(own, 1)
            os.close(own)


def print_json(value: Mapping[str, Any]) -> None:
    """Print a JSON object for a program."""
    print(json.dumps(value), file=_json_output or sys.stdout, flush=True)


def print_metrics(metrics: Mapping[str, Any], as_json: bool, error: ExoActorError | None = None) -> None:
    """Print metrics for a person, or as JSON for a program; then raise the error that they belong to, if any.

    Raises
    ------
    ExoActorError
        ``error``, with the metrics: `main` prints both as one object.
    """
    if as_json and error is None:
        print_json(metrics)
    elif not as_json:
        for name, value in metrics.items():
            if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], list)):
                continue  # tables and matrices are for programs
            values = value if isinstance(value, list | tuple) else [value]
            stdout.print(f"  {name:<28}{', '.join(f'{v:.4g}' if isinstance(v, float) else str(v) for v in values)}")
    if error is not None:
        error.metrics = metrics
        raise error


@contextmanager
def progress_bars(quiet: bool = False) -> Iterator[Callable[[str], Callable[[float, str], None]]]:
    """Yield a function that opens a progress bar on standard error and returns its callback.

    If standard error is not a terminal there are no bars, but a line when a stage begins, and one per minute while it
    lasts.
    """
    columns = (
        TextColumn("{task.fields[stage]:<9}"),
        BarColumn(30),
        TimeElapsedColumn(Column(no_wrap=True)),  # the bar is narrowed first
        TextColumn("{task.description}"),
    )
    if quiet:
        yield lambda stage: no_progress
        return
    if not stderr.is_terminal:
        yield _progress_lines
        return
    with Progress(*columns, console=stderr) as bars:

        def finish_all() -> None:
            for task in bars.task_ids:
                bars.update(task, completed=1.0, description="")
                bars.stop_task(task)

        def open_bar(stage: str) -> Callable[[float, str], None]:
            finish_all()  # the previous stages are finished
            bar = bars.add_task("", total=1.0, stage=stage)
            return lambda fraction, text: bars.update(bar, completed=fraction, description=text)

        yield open_bar
        finish_all()


def _progress_lines(stage: str) -> Callable[[float, str], None]:
    stderr.print(f"{stage} ...")
    last = time.monotonic()

    def line(fraction: float, text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_EVERY:
            last = time.monotonic()
            stderr.print(f"{stage} {fraction:.0%} {text}", soft_wrap=True)

    return line


def stage_bars(bars: Callable[[str], Callable[[float, str], None]]) -> Callable[[str, float, str], None]:
    """Turn feedback of stage, fraction and text into progress bars, one per stage."""
    callbacks: dict[str, Callable[[float, str], None]] = {}

    def on_feedback(stage: str, fraction: float, text: str) -> None:
        if stage not in callbacks:
            callbacks[stage] = bars(stage)
        callbacks[stage](fraction, text)

    return on_feedback


def print_report(folder: Path, report: dict[str, Any]) -> None:
    """Print a one-screen report of a task."""
    for line in report_lines(report):
        stdout.print(line, soft_wrap=True)
    stdout.print(f"Run folder: {folder}", soft_wrap=True)
    if (folder / "demo.mp4").exists():
        stdout.print(f"Video:      {folder / 'demo.mp4'}", soft_wrap=True)


REPORTED = (
    ("generate", "judge_score", "judge's score of the video", "{:.2f}"),
    ("generate", "videos_made", "videos made", "{}"),
    ("estimate", "found_share", "person found in", "{:.0%} of frames"),
    ("retarget", "foot_slide_mean", "planted feet slide", "{:.2f} mm a frame"),
    ("rehearse", "policy", "tracker", "{}"),
    ("rehearse", "min_pelvis_height", "lowest pelvis, rehearsal", "{:.2f} m"),
    ("rehearse", "joint_error_mean", "joint error, rehearsal", "{:.3f} rad"),
    ("rehearse", "end_position_error", "end position error, rehearsal", "{:.2f} m"),
    ("rehearse", "task_success", "task done, rehearsal", "{}"),
    ("track", "task_success", "task done, tracking", "{}"),
    ("track", "min_pelvis_height", "lowest pelvis, tracking", "{:.2f} m"),
    ("track", "joint_error_mean", "joint error, tracking", "{:.3f} rad"),
)


def report_lines(report: dict[str, Any]) -> list[str]:
    """The report of a task on one screen."""
    verdict = "Success" if report["success"] else f"Failed in '{report['failed_stage']}': {report['reason']}"
    seconds = report.get("seconds", {})
    rows = [("seconds", ", ".join(f"{stage} {value:.1f}" for stage, value in seconds.items()))]
    for stage, key, name, form in REPORTED:
        value = report.get("metrics", {}).get(stage, {}).get(key)
        if value is not None:
            rows.append((name, form.format(value)))
    rows += [(f"failed before in {one['failed_stage']}", one["reason"]) for one in report.get("tries", ())]
    rows += [("warning", text) for text in report.get("warnings", ())]
    metrics = report.get("metrics", {})
    notes = metrics.get("generate", {}).get("note", ""), *metrics.get("estimate", {}).get("notes", ())
    rows += [("video", note) for note in notes if note]
    return [verdict, *(f"  {name:<30}{value}" for name, value in rows)]
