"""Seconds per stage and per second of video, for the whole pipeline in one process. Prints one JSON object.

For comparison it includes the times that the paper reports for its own stages (arXiv 2604.27711), measured by its
authors on their machine, also in seconds per second of video.

    .venv/bin/python bench/end_to_end.py
"""

from __future__ import annotations

import json
import platform
import tempfile
from typing import Annotated

import typer

from exoactor.cli import Backends, progress_bars
from exoactor.pipeline import InProcessStages, Pipeline, Report, Task
from exoactor.run_folder import RunFolder
from exoactor_core.errors import ExoActorError
from exoactor_core.stages import GenerateRequest
from exoactor_core.video import Video

TASKS = (
    "wave with your right hand",
    "squat twice",
    "walk forward two metres",
    "turn left 90 degrees, then walk one metre",
    "walk forward two steps, then wave with your right hand",
)

PAPER = {
    "embodiment transfer": 10.7,
    "decomposition": 2.5,
    "video generation": 13.2,
    "whole-body motion": 2.9,
    "hands": 16.4,
}


def main(
    policy: str = "exoactor", output: Annotated[str, typer.Option(help="Folder for the run folders.")] = ""
) -> None:
    clips = []
    with tempfile.TemporaryDirectory() as temporary:
        for task in TASKS:
            folder = RunFolder.create(task, output or temporary)
            backends = Backends(policy=policy)
            clip: dict = {"task": task}
            try:
                with progress_bars() as bars:
                    report = Pipeline(InProcessStages(backends.load), folder, bars, Report(task)).run(
                        Task(GenerateRequest(task))
                    )
            except ExoActorError as error:
                clip |= {"success": False, "reason": str(error)}
            else:
                length = Video.load(folder.path / "video.mp4").duration
                rehearsal = report.metrics["rehearse"]
                clip |= {
                    "success": True,
                    "video_seconds": round(length, 2),
                    "seconds_per_second": {s: round(t / length, 3) for s, t in report.seconds.items()},
                    "min_pelvis_height": rehearsal["min_pelvis_height"],
                    "joint_error_mean": rehearsal["joint_error_mean"],
                    "end_position_error": rehearsal["end_position_error"],
                    "policy": rehearsal["policy"],
                }
            clips.append(clip)
    done = [c for c in clips if c["success"]]
    total = sum(c["video_seconds"] for c in done)
    stages = done[0]["seconds_per_second"] if done else {}
    mean = {s: round(sum(c["seconds_per_second"][s] * c["video_seconds"] for c in done) / total, 3) for s in stages}
    print(
        json.dumps(
            {
                "clips": clips,
                "seconds_per_second": mean,
                "paper_seconds_per_second": PAPER,
                "succeeded": len(done),
                "machine": f"{platform.machine()}, Python {platform.python_version()}",
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    typer.run(main)
