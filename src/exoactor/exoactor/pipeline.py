"""The whole pipeline in one process: what `exoactor run` does, with no ROS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from exoactor.run_folder import RunFolder
from exoactor_core.errors import ExoActorError, Refused, TrackingFailed, user_error
from exoactor_core.stages import Estimate, GenerateRequest, Generation, Progress, Retargeting, Tracking, add_notes


@dataclass
class Report:
    """What came of a task; written as report.json."""

    instruction: str
    success: bool = False
    failed_stage: str = ""
    reason: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time per stage."""
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Quality figures per stage."""
    warnings: list[str] = field(default_factory=list)
    """Why the motion must not go to the robot although the rehearsal succeeded, one sentence each."""


def run(
    instruction: str,
    load: Callable[[str], Callable[..., Any]],
    folder: RunFolder,
    progress: Callable[[str], Progress],
    plan: dict[str, Any] | None = None,
    scene_image: np.ndarray | None = None,
) -> Report:
    """Generate, estimate, retarget and rehearse; keep in ``folder`` what each stage made.

    Parameters
    ----------
    instruction
        The task in words.
    load
        Gives the backend of a stage ("generate", "estimate", "retarget", "track").
    folder
        Takes every output as soon as it exists, and the report at the end, whatever happened.
    progress
        Gives the progress callback of a stage ("generate", "estimate", "retarget", "rehearse").
    plan
        Carried out instead of the instruction.
    scene_image
        Picture of the scene, (H, W, 3) uint8 RGB.

    Raises
    ------
    ExoActorError
        A stage failed; the report in the folder says which and why.
    """
    report = Report(instruction)
    folder.save_task({"instruction": instruction, "execute": "rehearse"})

    def stage(name: str, value: Any, backend: str = "", **options: Any) -> Any:
        start = time.perf_counter()
        report.failed_stage = name
        try:
            output = load(backend or name)(value, progress(name), **options)
        except Refused as error:
            if error.output is not None:
                report.metrics[name] = error.output.metrics
            raise
        finally:
            report.seconds[name] = round(time.perf_counter() - start, 3)
        add_notes(output.metrics, value)
        report.metrics[name] = output.metrics
        return output

    try:
        try:
            generation: Generation = stage(
                "generate",
                GenerateRequest(instruction, scene_image, plan),
                on_plan=folder.save_plan,
                on_job=folder.save_job,
            )
        except Refused as error:
            if error.output is not None:
                folder.save_generation(error.output)
            raise
        folder.save_generation(generation)
        estimate: Estimate = stage("estimate", generation.video)
        folder.save_human(estimate.motion, estimate.keypoints)
        retargeting: Retargeting = stage("retarget", estimate.motion)
        folder.save_robot(retargeting.motion)
        tracking: Tracking = stage("rehearse", retargeting.motion, backend="track", human=estimate.motion)
        if tracking.corrected is not None:
            folder.save_robot(tracking.corrected)
        folder.save_rehearsal(tracking.motion)
        if not tracking.metrics["success"]:
            raise TrackingFailed(f"The rehearsal failed: {tracking.metrics['reason']}.")
        report.warnings = list(tracking.metrics.get("refused", []))
        report.success, report.failed_stage = True, ""
    except KeyboardInterrupt:
        report.reason = "Cancelled."
        _save_report(folder, report)
        raise
    except Exception as error:
        report.reason = str(user_error(error) or f"Internal error: {type(error).__name__}: {error}")
        if isinstance(error, ExoActorError):
            error.figures = vars(report)
        _save_report(folder, report)
        raise
    folder.save_report(vars(report))
    return report


def _save_report(folder: RunFolder, report: Report) -> None:
    """Save the report of a failed task; a disk that is full, too, does not hide why the task failed."""
    try:
        folder.save_report(vars(report))
    except ExoActorError as error:
        report.warnings.append(str(error))
