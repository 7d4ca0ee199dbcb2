"""A task from the instruction to the robot: the order of the stages, what is saved, and what is refused.

A `Pipeline` gets its stages: `exoactor run` uses `InProcessStages`, the task server has them behind actions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from exoactor.run_folder import RunFolder
from exoactor_core.errors import BadInput, ExoActorError, Refused, TrackingFailed, UnsafeMotion, user_error
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_core.stages import (
    Estimate,
    GenerateRequest,
    Generation,
    OnJob,
    OnPlan,
    Progress,
    Retargeting,
    Tracking,
    add_notes,
    no_progress,
)
from exoactor_core.video import Video

if TYPE_CHECKING:
    from exoactor_core.interaction import Interaction

Output = TypeVar("Output", Generation, Estimate, Retargeting, Tracking)
Execute = Literal["rehearse", "sim", "robot"]
_RETRIED_ERRORS = (Refused, UnsafeMotion, TrackingFailed)  # but not a busy service, or a robot that is not ready


@dataclass(frozen=True)
class Task:
    """A task as requested."""

    request: GenerateRequest
    execute: Execute = "rehearse"
    """How far to go: the rehearsal, then the simulated robot behind DDS, or the real one."""
    tries: int = 2
    """Maximum number of retries, each with another video of the plan, if the rehearsal or an earlier stage fails;
    videos of paid services are never made again."""
    require_approval: bool = False
    """Wait for approval after the rehearsal; a real robot always does."""


@dataclass
class Report:
    """Result of a task; written as report.json."""

    instruction: str
    success: bool = False
    failed_stage: str = ""
    reason: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time per stage."""
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Quality figures per stage."""
    warnings: list[str] = field(default_factory=list)
    """Sentences on why the motion must not go to the robot despite the successful rehearsal, or on a risk."""
    tries: list[dict[str, str]] = field(default_factory=list)
    """``failed_stage`` and ``reason`` of the earlier attempts."""


@dataclass(frozen=True)
class MotionContext:
    """What accompanies a robot motion."""

    human: HumanMotion
    """Human motion from which it was retargeted."""
    interaction: Interaction | None
    """The objects around the robot, and the checks of the task."""
    verdict: str = ""
    """Signed verdict of the rehearsal that the motion is fit for the robot."""


IN_METRICS = ("seconds", "tries", "warnings")
"""Fields of a report that are added to the metrics in the result of the action execute_task."""


class Stages(Protocol):
    """The stages, wherever they run. A `Refused` carries the rejected result of a stage as ``output``."""

    def generate(self, request: GenerateRequest, progress: Progress, on_plan: OnPlan, on_job: OnJob) -> Generation:
        """Generate the video."""

    def estimate(self, video: Video, progress: Progress) -> Estimate:
        """Estimate the person's motion."""

    def retarget(self, motion: HumanMotion, progress: Progress, interaction: Interaction | None) -> Retargeting:
        """Retarget the motion to the objects of a task, if any; ``interaction`` None: it is not part of a task."""

    def rehearse(self, motion: RobotMotion, progress: Progress, context: MotionContext) -> Tracking:
        """Track the motion in simulation; raises `TrackingFailed` if the robot or the task with objects fails."""

    def track(self, motion: RobotMotion, progress: Progress, context: MotionContext) -> Tracking:
        """Track the motion with the robot behind DDS; raises `TrackingFailed` if the robot fails."""


class InProcessStages:
    """The stages in this process, up to the rehearsal: a robot is driven by the controller's node only.

    ``load`` returns the backend of a stage ("generate", "estimate", "retarget", "track"); it is called once for each.
    """

    def __init__(self, load: Callable[[Any], Callable[..., Any]]) -> None:
        self._load = cache(load)

    def load(self) -> None:
        """Load all backends, so that wrong options are reported before the video is made, which takes minutes."""
        for stage in ("generate", "estimate", "retarget", "track"):
            self._load(stage)

    def generate(self, request: GenerateRequest, progress: Progress, on_plan: OnPlan, on_job: OnJob) -> Generation:
        """As `Stages`."""
        return self._load("generate")(request, progress, on_plan=on_plan, on_job=on_job)

    def estimate(self, video: Video | None, progress: Progress) -> Estimate:
        """As `Stages`; None: the backend reads its own input."""
        return self._load("estimate")(video, progress)

    def retarget(self, motion: HumanMotion, progress: Progress, interaction: Interaction | None = None) -> Retargeting:
        """As `Stages`."""
        output: Retargeting = self._load("retarget")(motion, progress, interaction=interaction)
        add_notes(output.metrics, motion)
        return output

    def rehearse(self, motion: RobotMotion, progress: Progress, context: MotionContext) -> Tracking:
        """As `Stages`."""
        output: Tracking = self._load("track")(motion, progress, human=context.human, interaction=context.interaction)
        add_notes(output.metrics, motion)
        output.require_success()
        return output

    def track(self, motion: RobotMotion, progress: Progress, context: MotionContext) -> Tracking:
        """No robot is driven from here."""
        raise BadInput("Only the ROS graph drives a robot: start it ('exoactor up') and send the task.")


def instruction_of(text: str, plan: dict[str, Any] | None) -> str:
    """The instruction, or the plan's if it is empty. Raises `BadInput` if there is neither of the two."""
    if text.strip():
        return text
    if plan is None:
        raise BadInput(
            "The instruction is empty: say what to do, or give a plan with --plan (plan_json of the action's goal)."
        )
    return str(plan.get("instruction", ""))


class Pipeline:
    """Generates, estimates, retargets, rehearses and, if requested, tracks; saves the result of each stage.

    ``stages`` do the work; ``progress`` returns the callback for a stage. ``folder`` receives every output as soon as
    it exists, and at the end, whatever happened, the ``report``, which is filled in as the task proceeds.
    """

    def __init__(self, stages: Stages, folder: RunFolder, progress: Callable[[str], Progress], report: Report) -> None:
        self._stages, self._folder, self._progress, self._report = stages, folder, progress, report
        self._shown: Progress = no_progress  # of the current stage
        self._billed = False  # a paid service makes the videos

    def run(self, task: Task) -> Report:
        """Carry out a task. Raises `ExoActorError`: a stage failed; the report says which and why."""
        report, folder = self._report, self._folder
        try:
            self._run(task)
            report.success, report.failed_stage = True, ""
            folder.save_report(vars(report))
        except BaseException as error:
            report.success, report.reason = False, _reason(error)
            if isinstance(error, ExoActorError):
                error.metrics = vars(report)
            self._try_to_save(lambda: folder.save_report(vars(report)))
            raise
        return report

    def _run(self, task: Task) -> None:
        stages, folder, report = self._stages, self._folder, self._report
        asked = {"execute": task.execute, "require_approval": task.require_approval}
        folder.save_task({"instruction": task.request.instruction} | asked)
        request, failed, video = task.request, None, b""
        while True:
            generation = self._generated(request)
            if failed is not None and generation.video.data == video:  # it would fail in the same way
                report.failed_stage = report.tries.pop()["failed_stage"]
                raise failed
            try:
                motion, context, rehearsal = self._rehearsed(generation)
                self._require_fit(rehearsal, task.execute)
                break
            except Refused as error:
                if len(report.tries) == task.tries or self._billed or type(error) not in _RETRIED_ERRORS:
                    raise
                failed, video = error, generation.video.data
            report.tries.append({"failed_stage": report.failed_stage, "reason": str(failed)})
            self._shown(1.0, f"trying again: {failed}")
            made = int(generation.metrics.get("videos_made", 1))
            request = replace(request, attempt=request.attempt + made, plan=generation.plan or request.plan)
        if task.execute != "rehearse":
            context = replace(context, verdict=rehearsal.verdict)
            self._stage("track", stages.track, folder.save_tracking, rehearsal.corrected or motion, context)

    def _generated(self, request: GenerateRequest) -> Generation:
        def on_job(job: dict[str, Any]) -> None:
            self._billed = True
            self._folder.save_job(job)

        folder = self._folder
        return self._stage("generate", self._stages.generate, folder.save_generation, request, folder.save_plan, on_job)

    def _rehearsed(self, generation: Generation) -> tuple[RobotMotion, MotionContext, Tracking]:
        from exoactor_core.interaction import Interaction  # imports SciPy, which the command line's help does without

        stages, folder, interaction = self._stages, self._folder, generation.interaction
        estimate = self._stage("estimate", stages.estimate, folder.save_estimate, generation.video)
        human = estimate.motion
        if interaction is not None:
            interaction = interaction.within(*estimate.metrics.get("motion_s", (0.0, generation.video.duration)))
        retargeted = self._stage("retarget", stages.retarget, folder.save_robot, human, interaction or Interaction())
        context = MotionContext(human, interaction)
        rehearsal = self._stage("rehearse", stages.rehearse, folder.save_rehearsal, retargeted.motion, context)
        return retargeted.motion, context, rehearsal

    def _stage(
        self, name: str, work: Callable[..., Output], save: Callable[[Output], None], value: Any, *more: Any
    ) -> Output:
        """Run a stage; its metrics and duration go into the report, its output into the folder."""
        report = self._report
        self._shown = progress = self._progress(name)
        progress(0.0, "starting")
        start = time.perf_counter()
        report.failed_stage = name
        try:
            output = work(value, progress, *more)
        except Refused as error:
            if error.output is not None:
                output = error.output
                report.metrics[name] = output.metrics
                self._try_to_save(lambda: save(output))
            raise
        finally:
            report.seconds[name] = round(report.seconds.get(name, 0.0) + time.perf_counter() - start, 3)
        report.metrics[name] = output.metrics
        save(output)
        return output

    def _require_fit(self, rehearsal: Tracking, execute: Execute) -> None:
        """Refuse what the rehearsal refuses for the robot; in simulation only warn."""
        reasons = rehearsal.metrics.get("refused")
        if execute == "robot":
            if reasons is None:
                raise UnsafeMotion("The rehearsal does not say whether the motion is fit for the robot.")
            if reasons:
                raise UnsafeMotion(f"The rehearsal refuses the motion for the robot: {' '.join(reasons)}")
        for reason in reasons or []:
            self._report.warnings.append(reason)
            self._shown(1.0, f"not fit for the robot: {reason}")
        if risk := rehearsal.metrics.get("risk"):
            self._report.warnings.append(f"There is a risk: {risk}")

    def _try_to_save(self, save: Callable[[], None]) -> None:
        """Save what exists of a failed task; an error here, such as a full disk, must not hide the first one."""
        try:
            save()
        except (ExoActorError, OSError) as error:
            self._report.warnings.append(str(user_error(error)))


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "Cancelled."
    return str(user_error(error) or f"Internal error: {type(error).__name__}: {error}")
