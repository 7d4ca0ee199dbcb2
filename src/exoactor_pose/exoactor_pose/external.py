"""Backend ``external``: another estimator, run by a command in its own environment or container."""

from __future__ import annotations

import glob
import math
import os
import re
import secrets
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval, Unit

from exoactor_core.errors import BadInput, Missing, ServiceFailed, reason
from exoactor_core.options import BaseOptions
from exoactor_core.stages import Estimate, Estimator, OnSegment, Progress, no_progress
from exoactor_core.video import Video
from exoactor_pose.importers import SUPPORTED_FORMATS, read, recognises

POLL_SECONDS = 0.1
"""s between two checks of the process."""
GRACE_SECONDS = 0.5
"""s between asking the process group to end and killing it."""
ASSUMED_PACE = 10.0
"""s that such estimators take per second of video, for the progress bar."""

_OWN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")  # of our environment, which would break the other one

_SECRET = re.compile(r"(^|_)(API_?KEYS?|KEYS?|TOKENS?|SECRETS?|PASSWORDS?|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)
"""Names of environment variables that other programs must not see."""


class ExternalEstimator(Estimator):
    """Video -> Estimate by another program, whose result file is then read.

    The command is split as in a shell, but no shell runs it: quotes count, pipes and variables do not. In the command
    and the pattern, {video} is the video's path, {output} an empty folder, and {name} the video's name without
    extension. All are new for every run, so that an old result is never used. Environment variables whose names suggest
    keys, tokens or passwords are not passed on: include one that is needed in the command (env HF_TOKEN=... conda run
    ...).
    """

    class Options(BaseOptions):
        """The command and its result."""

        command: str = ""
        """For example: /opt/conda/bin/conda run --no-capture-output -n gvhmr python tools/demo/demo.py --video {video}
        --output_root {output} -s."""
        result: str = "{output}/**/*"
        """Glob pattern of the result file, relative to ``folder``; ** matches any folders. The newest match is
        taken."""
        folder: str = ""
        """Working folder of the command, usually the estimator's repository; empty: {output}."""
        timeout: Annotated[float, Interval(ge=0.0, le=86400.0), Unit("s")] = 1800.0
        """Time after which the command is terminated; 0: never."""
        person: str = ""
        """The person's id in the result; empty: whoever is visible longest."""
        logs: str = ""
        """Folder in which each run gets a folder with log.txt and {output}; empty: ~/.exoactor/external."""

    options: Options

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        given = self.options
        if not given.command.strip():
            raise BadInput(
                "The estimator 'external' has no command: set its option command, with {video} and {output} in it."
            )
        try:
            self.command = shlex.split(given.command)
        except ValueError as error:
            raise BadInput(f"The command of the external estimator cannot be split: {error}.") from None
        if not any("{video}" in part for part in self.command):
            raise BadInput("The command of the external estimator does not name {video}.")
        for text in (given.command, given.result):
            for unknown in re.findall(r"{(\w*)}", text):
                if unknown not in ("video", "output", "name"):
                    raise BadInput(f"'{{{unknown}}}' is not one of the placeholders {{video}}, {{output}}, {{name}}.")
        if given.folder and not Path(given.folder).expanduser().is_dir():
            raise BadInput(f"There is no folder {given.folder} for the external estimator to run in.")
        self.logs = Path(given.logs or "~/.exoactor/external").expanduser()

    def __call__(self, video: Video, progress: Progress = no_progress, on_segment: OnSegment | None = None) -> Estimate:
        """Run the command on the video and read its result.

        Raises
        ------
        BadInput
            The result is not a readable motion.
        Missing
            The command is not installed.
        ServiceFailed
            The command failed, took too long, or left no result.
        """
        name = f"exoactor-{secrets.token_hex(4)}"
        run = self.logs / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{name[9:]}"
        output, clip, log = run / "output", run / f"{name}.mp4", run / "log.txt"
        try:
            output.mkdir(parents=True)
        except OSError as error:
            raise BadInput(f"Cannot write {output}: {reason(error)}.") from None
        video.save(clip)
        values = {"video": str(clip), "output": str(output), "name": name}
        folder = Path(self.options.folder).expanduser() if self.options.folder else output
        command = [_filled(part, values) for part in self.command]
        since = time.time()
        _run(command, folder, log, self.options.timeout, ASSUMED_PACE * video.duration, progress)
        path = _newest(str(folder / _filled(self.options.result, values, glob.escape)), since, log)
        progress(0.98, f"Reading {path.name}")
        try:
            estimate = read(path, self.options.person, video.fps)
        except BadInput as error:
            raise BadInput(f"The external estimator's result cannot be used: {error}") from None
        clip.unlink(missing_ok=True)
        estimate.metrics.update(command=shlex.join(command), log=str(log), seconds=round(time.time() - since, 1))
        progress(1.0, "The motion is estimated")
        return estimate


def _filled(text: str, values: dict[str, str], quote: Callable[[str], str] = str) -> str:
    return re.sub(r"{(video|output|name)}", lambda match: quote(values[match[1]]), text)


def _run(command: list[str], folder: Path, log: Path, timeout: float, usual: float, progress: Progress) -> None:
    """Run a command in its own process group, which never outlives this call."""
    environment = {k: v for k, v in os.environ.items() if k not in _OWN and not _SECRET.search(k)}
    environment["PYTHONUNBUFFERED"] = "1"
    start = time.monotonic()
    with log.open("wb") as file:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise Missing(f"The external estimator's command '{command[0]}' is not found.") from None
        except OSError as error:
            raise Missing(f"The external estimator '{command[0]}' cannot be run: {reason(error)}.") from None
    try:
        while not _ended(process):
            elapsed = time.monotonic() - start
            if timeout and elapsed > timeout:
                raise ServiceFailed(
                    f"The external estimator was ended after {timeout:.0f} s (its option timeout); {_last_words(log)}"
                )
            share = 0.95 * (1 - math.exp(-elapsed / max(usual, 1.0)))
            progress(share, f"{elapsed:.0f} s: {_last_line(log) or command[0]}")
            time.sleep(POLL_SECONDS)
    finally:
        _end(process)
    if process.returncode:
        how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
        raise ServiceFailed(f"The external estimator failed with {how}; {_last_words(log)}")


def _ended(process: subprocess.Popen) -> bool:
    """Whether the command has ended; it is not reaped yet, so that the number of its group cannot be reused."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen) -> None:
    """End the whole process group: ask first if the command is still running, then kill the rest."""
    if not _ended(process):
        os.killpg(process.pid, signal.SIGTERM)
        limit = time.monotonic() + GRACE_SECONDS
        while not _ended(process) and time.monotonic() < limit:
            time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(log: Path) -> str:
    """The last line of the command's output; rewriting progress bars count as one line."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        text = file.read().decode(errors="replace")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    return "".join(c for c in lines[-1] if c.isprintable())[:200] if lines else ""


def _last_words(log: Path) -> str:
    line = _last_line(log)
    return f"its last line was '{line}'. Its log: {log}." if line else f"it wrote nothing. Its log: {log}."


def _newest(pattern: str, since: float, log: Path) -> Path:
    """The newest readable file that matches and was written since then."""
    found = [Path(path) for path in glob.glob(pattern, recursive=True)]
    fresh = [path for path in found if path.stat().st_mtime >= since - 1.0 and recognises(path)]
    if fresh:
        return max(fresh, key=lambda path: path.stat().st_mtime)
    if found:
        kind = "older than this run" if any(map(recognises, found)) else "none that can be read"
        reason = f"what matches {pattern} is {kind} (understood are {SUPPORTED_FORMATS})"
    else:
        reason = f"nothing matches {pattern}"
    raise ServiceFailed(f"The external estimator left no result: {reason}; {_last_words(log)}")
