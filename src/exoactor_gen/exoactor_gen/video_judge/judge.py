"""Judging generated videos before they go on: a motion is estimated from each, and the best of several is taken."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from annotated_types import Interval, Unit

from exoactor_core.errors import BadInput, Cancelled, ExoActorError, Refused
from exoactor_core.options import BaseOptions, Configurable, Share
from exoactor_core.stages import (
    GenerateRequest,
    Generation,
    Generator,
    OnJob,
    OnPlan,
    Progress,
    backend_class,
    load_backend,
    no_progress,
    sub_progress,
)
from exoactor_core.video import Video
from exoactor_gen.video_judge.finding import Finding
from exoactor_gen.video_judge.plan_adherence import check_plan_adherence
from exoactor_gen.video_judge.video_quality import VideoQualityLimits, check_video_quality

_KEPT = ("seed", "job", "cost")
"""Metrics of a generator that are also kept for rejected videos."""


@dataclass(frozen=True)
class Judgement:
    """Judgement of a video."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return all(finding.passed for finding in self.findings)

    @property
    def score(self) -> float:
        """Mean score, in [0, 1], of what was checked."""
        scores = [finding.score for finding in self.findings if not finding.open]
        return sum(scores) / max(len(scores), 1)

    @property
    def unchecked(self) -> list[str]:
        """Parts of the plan that could not be checked."""
        return [finding.unchecked for finding in self.findings if finding.open]

    @property
    def reasons(self) -> str:
        """What is wrong, as sentences."""
        return " ".join(finding.text for finding in self.findings if not finding.passed)

    def data(self) -> dict[str, Any]:
        """The judgement as JSON-ready values."""
        checks = [asdict(f) | ({"passed": None, "score": None} if f.open else {}) for f in self.findings]
        return {"score": round(self.score, 3), "passed": self.passed, "unchecked": self.unchecked, "checks": checks}


class AttemptOptions(BaseOptions):
    """Number of videos, and how they are analysed."""

    tries: Annotated[int, Interval(ge=0, le=20)] = 3
    """Videos that are generated for a request, at most; 0: videos are not judged."""
    good_enough: Share = 0.0
    """Score from which a video that passes is accepted at once; with 1 all videos are generated, and the best is
    taken."""
    estimator: str = "mediapipe"
    """Pose estimator of the judge: mediapipe, vitpose or external, with default options."""
    fps: Annotated[float, Interval(ge=8.0, le=120.0), Unit("Hz")] = 10.0
    """Frame rate at which the judge samples the video."""


class Judge(Configurable):
    """Judges whether a video shows one whole person who does what the plan says."""

    class Options(VideoQualityLimits, AttemptOptions):
        """Strictness of the judge."""

    options: Options

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        given = self.options
        if given.tries:
            kind = backend_class("estimate", given.estimator)
            flat = {"hands": False} if "hands" in kind.Options.model_fields else {}  # fingers are not judged
            self._estimate = load_backend("estimate", given.estimator, **flat)

    def __call__(self, video: Video, plan: dict[str, Any] | None, progress: Progress = no_progress) -> Judgement:
        """Judge a video by its plan, as in `Generation.plan`; None: any motion is accepted.

        Raises
        ------
        Missing
            Something that the estimator needs is not installed.
        """
        try:
            seen = self._estimate(video.subsampled(self.options.fps), progress)
        except (BadInput, Refused) as error:  # no motion can be estimated
            return Judgement((Finding("readable", 0.0, False, str(error)),))
        quality = check_video_quality(seen.metrics.get("video", {}), self.options)
        return Judgement((*quality, *check_plan_adherence(seen.motion, plan or {}), *_objects(plan or {})))


def _objects(plan: dict[str, Any]) -> tuple[Finding, ...]:
    """Finding for a plan's objects, which the judge does not look for in the video."""
    names = [name for action in plan.get("actions", ()) for name in action.get("objects", ()) if name != "start"]
    if not names:
        return ()
    listed = ", ".join(dict.fromkeys(names))
    what = f"objects are there and used as planned: {listed}"
    return (Finding("objects", 1.0, True, f"Whether {what} was not checked.", what),)


class Judged(Generator):
    """A generator whose videos are judged."""

    def __init__(self, generator: Generator, judge: Judge) -> None:
        self.generator, self.judge = generator, judge

    def __call__(
        self,
        request: GenerateRequest,
        progress: Progress = no_progress,
        on_plan: OnPlan | None = None,
        on_job: OnJob | None = None,
    ) -> Generation:
        """Generate videos until one passes, or until all tries are used; return the best one that passes.

        Raises
        ------
        Refused
            None of them passes; ``output`` is the best of them.
        ExoActorError
            As raised by the generator for its first video; later errors count as failed tries.
        """
        tries = self.judge.options.tries if self.generator.judged else 0
        if not tries:
            return self.generator(request, progress, on_plan=on_plan, on_job=on_job)
        if request.job:
            tries = 1  # each attempt would be billed
        made, attempts = self._make(request, tries, progress, on_plan, on_job)
        best, judgement = max(made, key=lambda each: (each[1].passed, each[1].score))
        unchecked = "; ".join(judgement.unchecked)
        judged = {**judgement.data(), "tries": attempts}
        del judged["checks"]  # which the tries contain
        best = replace(
            best,
            metrics=best.metrics
            | {"judge_score": judged["score"], "videos_made": len(made), "judge": judged}
            | ({"not_checked": unchecked} if unchecked else {}),
            others=tuple(generation.video for generation, _ in made if generation is not best),
        )
        if not judgement.passed:
            count = "The video" if len(made) == 1 else f"Each of {len(made)} videos"
            raise Refused(f"{count} was refused; what is wrong with the best: {judgement.reasons}", best)
        said = f"; not checked: {unchecked}" if unchecked else ""
        progress(1.0, f"The video passes the judge with {judgement.score:.2f}{said}")
        return best

    def _make(
        self, request: GenerateRequest, tries: int, progress: Progress, on_plan: OnPlan | None, on_job: OnJob | None
    ) -> tuple[list[tuple[Generation, Judgement]], list[dict[str, Any]]]:
        """Videos up to the first good enough one, with judgements; and the record of each."""
        made: list[tuple[Generation, Judgement]] = []
        attempts: list[dict[str, Any]] = []
        for attempt in range(tries):
            again = f"video {attempt + 1} of {tries}: " if attempt else ""
            making, judging = (
                sub_progress(progress, 0.0, 0.7, again),
                sub_progress(progress, 0.7, 1.0, f"judging {again}"),
            )
            wanted = replace(request, attempt=request.attempt + attempt)
            try:
                generation = self.generator(wanted, making, on_plan=None if attempt else on_plan, on_job=on_job)
            except Cancelled:
                raise
            except ExoActorError as error:
                if not made:
                    raise
                attempts.append({"attempt": attempt, "passed": False, "error": str(error)})
                continue
            if generation.plan is not None:  # keep the plan
                request = replace(request, plan=generation.plan)
            judgement = self.judge(generation.video, generation.plan, judging)
            made.append((generation, judgement))
            kept = {name: generation.metrics[name] for name in _KEPT if name in generation.metrics}
            attempts.append({"attempt": attempt, **kept, **judgement.data()})
            if judgement.passed and judgement.score >= self.judge.options.good_enough:
                break
        return made, attempts
