"""Video models behind an HTTP service: plan, prompt, submit, poll, download; `providers` describes each service."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from dataclasses import asdict
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Interval, Unit

from exoactor_core.errors import BadInput, Cancelled, ExoActorError, Missing, Refused, ServiceFailed
from exoactor_core.stages import GenerateRequest, Generation, Generator, OnJob, OnPlan, Progress, no_progress
from exoactor_core.video import Video
from exoactor_gen.embodiment.embodiment import load_embodiment
from exoactor_gen.first_frame import first_image, known_of
from exoactor_gen.http_client import HttpClient, Request, refusal
from exoactor_gen.mannequin.task import interaction_of
from exoactor_gen.options import VideoModelOptions, attempt_seed, read_extra
from exoactor_gen.plan import Plan
from exoactor_gen.planning.planners import load_planner, plan_only, plan_within
from exoactor_gen.video_models.inputs import Inputs
from exoactor_gen.video_models.jobs import Job, JobDone, JobRecord, JobRunning, VideoRequest
from exoactor_gen.video_models.prompt import Prompt, Template
from exoactor_gen.waiting import ElapsedProgress, Tick, pause

MAX_DOWNLOADS = 3
"""Number of attempts to download a video that arrives damaged."""
DOWNLOAD_TIMEOUT = 600.0
"""s, maximum time for the download of a video."""
MIN_POLL_SECONDS = 1.0
"""s, minimum time between two requests for the state of a job."""


class Hosted(Generator):
    """A video model behind an HTTP service."""

    class Options(VideoModelOptions):
        """Options of all services."""

        model: str = ""
        """The model's name at the service; empty: the project's default."""
        base_url: str = ""
        """URL of the service; empty: its public address, if it has one."""
        seconds: Annotated[int, Interval(ge=0, le=600), Unit("s")] = 0
        """Length of the video; 0: the shortest that the service offers and the plan fits in."""
        aspect: Literal["16:9", "9:16"] = "16:9"
        """Aspect ratio; with an image of the scene most services use the image's."""
        resolution: Literal["480p", "720p", "1080p"] = "720p"
        """Resolution, if the service offers it; more than 720p does not improve the estimated motion."""
        timeout: Annotated[float, Interval(ge=0.001, le=86400.0), Unit("s")] = 900.0
        """Time after which an unfinished job is cancelled."""
        poll: Annotated[float, Interval(ge=0.001, le=3600.0), Unit("s")] = 5.0
        """Polling interval of the job."""
        budget: Annotated[float, Interval(ge=0.0, le=100000.0), Unit("USD")] = 0.0
        """Maximum cost of all videos of a task; a job that would exceed it, or whose price is unknown, is not
        submitted. 0: no limit."""

    options: Options

    backend: ClassVar[str]
    """Name of the backend's entry point."""
    title: ClassVar[str]
    home: ClassVar[str]
    """Default base URL."""
    needs_url: ClassVar[str] = ""
    """Why, and to what, the option base_url must be set; empty: it need not be."""
    key_name: ClassVar[str]
    """Environment variable of the key."""
    key_header: ClassVar[tuple[str, str]] = ("Authorization", "Bearer ")
    key_from: ClassVar[str]
    """Where to get a key."""
    default_model: ClassVar[str]
    lengths: ClassVar[tuple[int, ...]]
    """Available video lengths, s."""
    longest_prompt: ClassVar[int] = 4000
    """Maximum number of characters."""
    takes_negative = True
    takes_seed = True
    price_list: ClassVar[str]
    """URL of the price list."""
    prices: ClassVar[dict[str, float]] = {}
    """Its prices of models at 720p, without sound if there is a choice, USD per second; as of"""
    prices_read: ClassVar[str] = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        given = self.options
        if self.needs_url and not given.base_url:
            raise Missing(self.needs_url)
        self.extra = read_extra(given.extra, '{"guidance_scale": 4}')
        self.base_url = given.base_url or self.home
        self.poll_interval = max(given.poll, MIN_POLL_SECONDS)
        self._check_seconds(self.lengths)
        key = self.key(self.base_url)
        self.web = HttpClient(
            self.title, self.base_url, key, self.key_name, self.key_header, is_temporary=self.is_temporary
        )
        self.model = given.model or self.model_for(False)
        self.planner = load_planner(given)
        self.template = Template.load(given.template)
        self.embody = load_embodiment(given)

    # --- properties of a service ---------------------------------------------------------------------------------

    @classmethod
    def key(cls, base_url: str) -> str:
        """The key for this address; raises `Missing` if the service needs one and none is set."""
        key = os.environ.get(cls.key_name, "").strip()
        if not key:
            raise Missing(f"{cls.title} needs a key: set {cls.key_name} in the environment ({cls.key_from}).")
        return key

    @classmethod
    def ready(cls) -> str:
        """What `exoactor doctor` shows; raises `Missing` if base_url must be given, or the key is not set."""
        if cls.needs_url:
            raise Missing(cls.needs_url)
        cls.key(cls.home)
        return f"{cls.key_name} is set"

    def model_for(self, with_image: bool) -> str:
        """The default model."""
        return self.default_model

    def is_temporary(self, reason: str) -> bool:
        """Whether a 429 with this reason is temporary."""
        return not any(word in reason.lower() for word in ("insufficient_quota", "billing", "balance", "credit"))

    def inputs(self, model: str, tick: Tick) -> Inputs | None:
        """Inputs of this model, if the service publishes them, and `submit` is written for another model.

        Raises
        ------
        ExoActorError
            As `HttpClient.fetch`; other errors mean that the answer is in another form.
        """
        return None

    def submit(self, request: VideoRequest) -> Request:
        """The request that submits a job."""
        raise NotImplementedError

    def parse_job(self, answer: Any) -> Job:
        """Parse the job in the answer; a KeyError, IndexError or TypeError means that there is none."""
        return Job(answer["id"])

    def poll(self, job: Job) -> Request:
        """The request for the state of a job."""
        raise NotImplementedError

    def parse_status(self, job: Job, answer: Any) -> JobRunning | JobDone:
        """Parse the state; raises `Refused` or `ServiceFailed` if the job failed."""
        raise NotImplementedError

    def cancel(self, job: Job) -> Request | None:
        """The request that cancels a job, if the service has one."""
        return None

    # --- the work ---------------------------------------------------------------------------------------------------

    @classmethod
    def plan(cls, request: GenerateRequest, **options: Any) -> dict[str, Any]:
        """Return the plan alone; raises as `planned`. Lengths are those of the default model."""
        given = cls.Options(**options)
        return plan_only(request, float(given.seconds or cls.lengths[-1]), given)

    def __call__(
        self,
        request: GenerateRequest,
        progress: Progress = no_progress,
        on_plan: OnPlan | None = None,
        on_job: OnJob | None = None,
    ) -> Generation:
        """Generate the video, or fetch that of the job in the request.

        A job is submitted once, since none of the services documents an idempotency key. If it is unclear whether a
        service accepted a job, the error says so.

        Raises
        ------
        BadInput
            The plan cannot be made, is too long, or the service does not accept the request.
        Missing
            The service cannot be reached, refuses the key or wants to be paid.
        Refused
            It refuses the content, or the job would exceed the budget.
        ServiceFailed
            The service fails, or does not finish in time.
        """
        status = ElapsedProgress(progress)
        if request.job is not None:
            return self._collect(JobRecord.read(request.job), status, request, None)
        model = self.model
        with_image = request.scene_image is not None or not (self.embody or request.scene is None)
        if with_image and model == self.model_for(False):
            model = self.model_for(True)
        notes: dict[str, Any] = {}
        inputs = self._inputs(model, status.tick, notes)
        lengths = inputs.lengths(self.lengths) if inputs else self.lengths
        self._check_seconds(lengths)
        longest = float(self.options.seconds or lengths[-1])
        plan = plan_within(request, self.planner, longest, status.tick, progress, on_plan)
        seconds = self.options.seconds or next(n for n in lengths if n >= min(plan.seconds - 0.25, longest))
        prompt = self._prompt(plan, seconds, with_image, inputs)
        image, record = first_image(request, plan, self.embody, self._size(), status)
        notes |= record
        seed = attempt_seed(self.options.seed, request.attempt)
        video_request = VideoRequest(
            prompt, model, self.options.aspect, self.options.resolution, seed, image, self.extra, inputs
        )
        self._check_budget(model, seconds, request.attempt + 1)
        job = self._submit(video_request, plan, notes, status)
        if on_job is not None:
            on_job(asdict(job))
        return self._collect(job, status, request, image)

    def _prompt(self, plan: Plan, seconds: int, with_image: bool, inputs: Inputs | None) -> Prompt:
        """The prompt; raises `BadInput` if it is too long for the service."""
        prompt = self.template.fill(plan, seconds, with_image)
        takes_negative = bool(inputs.name("negative")) if inputs else self.takes_negative
        length = len(prompt.text if takes_negative else prompt.combined)
        most = (inputs.longest_prompt if inputs else None) or self.longest_prompt
        if length > most:
            raise BadInput(
                f"The prompt has {length} characters, but {self.title} takes {most}: shorten the plan or the template."
            )
        return prompt

    def _submit(self, request: VideoRequest, plan: Plan, notes: dict[str, Any], status: ElapsedProgress) -> JobRecord:
        """Submit a job; returns its record."""
        cost, inputs = self._cost(request.model, request.prompt.seconds), request.inputs
        status.set(0.02, f"Sending the task to {self.title}" + (f", {cost}" if cost else ""))
        answer = self.web.fetch_json(self.submit(request), status.tick, time.monotonic() + self.options.timeout)
        try:
            job = self.parse_job(answer)
        except (KeyError, IndexError, TypeError):
            raise ServiceFailed(
                f"{self.title} took the task but named no job: is {self.base_url} its address?"
            ) from None
        status.set(0.05, f"{self.title} has the task" + (f", {cost}" if cost else ""))
        metrics = {
            "provider": self.title,
            "model": request.model,
            "job": job.id,
            "seed": request.seed if (inputs.name("seed") if inputs else self.takes_seed) else None,
            **request.prompt.record(),
            **notes,
        }
        if cost:
            metrics["cost"] = cost
        return JobRecord(self.backend, self.base_url, request.model, job.id, job.links, metrics, plan.data())

    def _size(self) -> tuple[int, int]:
        """Width and height of the requested video, px."""
        long, short = {"480p": (832, 480), "720p": (1280, 720), "1080p": (1920, 1080)}[self.options.resolution]
        return (long, short) if self.options.aspect == "16:9" else (short, long)

    def _collect(
        self, record: JobRecord, status: ElapsedProgress, request: GenerateRequest, image: np.ndarray | None
    ) -> Generation:
        """Wait for a job and fetch its video."""
        job = Job(record.job, dict(record.links))
        try:
            done = self._wait(job, status, time.monotonic() + self.options.timeout)
            status.set(0.92, "Downloading the video")
            video, frames = self._download(done, status.tick)
        except (Cancelled, KeyboardInterrupt):
            self._end(job)
            raise
        except (BadInput, Missing, Refused) as error:
            raise type(error)(f"{error} The job was {job.id} of {self.title}.") from None
        status.set(1.0, f"{frames} frames from {self.title}")
        status.tick()
        if first := record.metrics.get("first_frame"):
            video = video.with_metadata(*known_of(first, video.width, video.height))
        figures = {"seconds": frames / video.fps, "frames": frames, "waited": round(status.seconds, 1), **done.notes}
        interaction = interaction_of(Plan.read(record.plan), request.scene) if request.scene else None
        metrics = record.metrics | figures
        return Generation(video, None, metrics, record.plan, image=image, interaction=interaction)

    def _inputs(self, model: str, tick: Tick, notes: dict[str, Any]) -> Inputs | None:
        """Inputs of the model, as far as they can be found."""
        try:
            return self.inputs(model, tick)
        except (BadInput, Missing, Refused) as error:  # for example a private model
            reason = str(error)
        except (LookupError, TypeError, AttributeError, StopIteration):
            reason = "it is not in the form that is known"
        notes["note"] = (
            f"What {model} takes could not be read ({reason}): the fields of {self.default_model} were sent."
        )
        return None

    def _check_seconds(self, lengths: tuple[int, ...]) -> None:
        if self.options.seconds and self.options.seconds not in lengths:
            raise BadInput(f"{self.title} makes videos of {_listed(lengths)} s, not of {self.options.seconds} s.")

    def _wait(self, job: Job, status: ElapsedProgress, until: float) -> JobDone:
        while True:
            answer = self.web.fetch_json(self.poll(job), status.tick, until)
            try:
                state = self.parse_status(job, answer)
                if isinstance(state, JobDone) and not state.data and not (isinstance(state.url, str) and state.url):
                    raise ValueError("no video")
            except (KeyError, IndexError, TypeError, AttributeError, ValueError):
                self._end(job)
                raise ServiceFailed(f"{self.title} answered in a way that is not known for its job.") from None
            except ExoActorError:
                self._end(job)  # it failed, or its state is unknown here
                raise
            if isinstance(state, JobDone):
                return state
            guess = 1.0 - math.exp(-status.seconds / 120.0)
            done = guess if state.fraction is None else state.fraction
            status.set(max(status.fraction, 0.05 + 0.85 * min(1.0, max(0.0, done))), f"{self.title}: {state.text}")
            if time.monotonic() + self.poll_interval > until:
                self._end(job)
                raise ServiceFailed(
                    f"{self.title} was not done after {self.options.timeout:g} s, and its job was cancelled: set the "
                    "option timeout higher, or try later."
                )
            pause(MIN_POLL_SECONDS if state.poll_at_once else self.poll_interval, status.tick)

    def _download(self, done: JobDone, tick: Tick) -> tuple[Video, int]:
        """Download the video and decode it once to detect damage; returns it and its number of frames."""
        wrong = ""
        for _ in range(MAX_DOWNLOADS):
            data = done.data or self.web.fetch(Request(done.url, limit=DOWNLOAD_TIMEOUT), tick)
            try:
                video = Video.from_bytes(data)
                return video, video.check(lambda _: tick())
            except BadInput as error:
                wrong = str(error)
            if done.data:
                break
        raise ServiceFailed(f"{self.title} delivered no video that can be read: {wrong}")

    def _end(self, job: Job) -> None:
        """Cancel the job, so that it costs no more; waits no longer than the user would."""
        request = self.cancel(job)
        if request is None:
            return

        def send() -> None:
            with contextlib.suppress(ExoActorError):  # then it ends by itself
                self.web.fetch(request, until=time.monotonic())

        thread = threading.Thread(target=send, name="cancel", daemon=True)
        thread.start()
        thread.join(0.8)

    def _price(self, model: str) -> float | None:
        """USD per second of video; None: unknown."""
        known = self.base_url == self.home and self.options.resolution == "720p"
        return self.prices.get(model) if known else None

    def _check_budget(self, model: str, seconds: int, videos: int) -> None:
        """Raise `Refused` if so many videos of a task exceed the budget, or might."""
        budget = self.options.budget
        if not budget:
            return
        price = self._price(model)
        if price is None:
            raise Refused(
                f"The price of {model} at {self.options.resolution} is not known, so the budget of {budget:g} USD "
                f"cannot be kept: see {self.price_list}, and set the option budget to 0 to have the video made."
            )
        if (cost := price * seconds * videos) > budget:
            raise Refused(
                f"{videos} video{'s' * (videos > 1)} of {seconds} s cost about {cost:.2f} USD, more than the budget of "
                f"{budget:g} USD: nothing was submitted."
            )

    def _cost(self, model: str, seconds: int) -> str:
        """The user's cost, as far as it is known."""
        if not self.base_url.startswith(self.home):
            return ""
        if (price := self._price(model)) is not None:
            return f"about {price * seconds:.2f} USD ({seconds} s at {price:g}, {self.price_list}, {self.prices_read})"
        return f"{seconds} s by {self.price_list}"

    def failed(self, reason: Any) -> ExoActorError:
        """The error for a job that the service reports as failed."""
        return refusal(self.title, str(reason))


def _listed(lengths: tuple[int, ...]) -> str:
    if len(lengths) > 3 and lengths == tuple(range(lengths[0], lengths[-1] + 1)):
        return f"{lengths[0]} to {lengths[-1]}"
    return ", ".join(str(n) for n in lengths)
