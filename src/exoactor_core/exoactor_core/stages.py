"""The contract of the stages: inputs and outputs, and how backends are found.

A backend is a class derived from its stage's base class here, named by an entry point:

================================  ================  =================  ==============
entry-point group                 base class        input              output
================================  ================  =================  ==============
``exoactor.generate``             `Generator`       `GenerateRequest`  `Generation`
``exoactor.estimate``             `Estimator`       `Video`            `Estimate`
``exoactor.retarget``             `Retargeter`      `HumanMotion`      `Retargeting`
``exoactor.track``                `Tracker`         `RobotMotion`      `Tracking`
``exoactor.people``               `PeopleFinder`    image              list of `PersonDetection`
================================  ================  =================  ==============

The constructor takes the options as keyword arguments (see `exoactor_core.options`) and loads models; calling the
instance does the work. The command line, the ROS nodes and the tests all use backends this way.
"""

from __future__ import annotations

import inspect
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import numpy as np

from exoactor_core.errors import BadInput, TrackingFailed
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_core.optional import missing_extra
from exoactor_core.options import Configurable
from exoactor_core.video import Video

if TYPE_CHECKING:  # these import SciPy, which is too slow for printing the help
    from exoactor_core.interaction import Interaction
    from exoactor_core.scene import Scene
    from exoactor_core.task_checks import Rollout

Progress = Callable[[float, str], None]
"""Called at least once per second with (fraction done in [0, 1], text). Raises `Cancelled` if the user cancelled."""

OnPlan = Callable[[dict[str, Any]], None]
"""Called with a plan, as JSON-ready values."""

OnJob = Callable[[dict[str, Any]], None]
"""Called with the record of a job that a service has accepted, as JSON-ready values, before the job is waited for."""

OnSegment = Callable[[HumanMotion], None]
"""Called with each finished segment of a motion, in order, while the rest is still being estimated."""

Metrics = dict[str, Any]
"""Quality figures by name (JSON-ready); ``notes`` are sentences on what was assumed or repaired."""


def add_notes(metrics: Metrics, *inputs: Any) -> None:
    """Put the notes of a stage's inputs (``notes`` of motions) before the stage's own notes."""
    read = [note for given in inputs if isinstance(given, HumanMotion | RobotMotion) for note in given.notes]
    if read:
        metrics["notes"] = [*read, *metrics.get("notes", ())]


def no_progress(fraction: float, text: str) -> None:
    """Progress callback that does nothing."""


def sub_progress(progress: Progress, begin: float, end: float, note: str = "") -> Progress:
    """Report a part of the work as its share of the whole; ``note`` precedes each text."""
    return lambda fraction, text: progress(begin + (end - begin) * fraction, f"{note}{text}")


@dataclass(frozen=True)
class GenerateRequest:
    """What to imagine: the instruction, and optionally an image of the scene, (H, W, 3) uint8 RGB, and a plan.

    A plan consists of JSON-ready values like `Generation.plan`; it is carried out as it is, and the instruction is
    ignored. ``attempt`` counts the videos made of one request, from 0; generators add it to their seed. ``job`` is the
    record of an earlier job, as passed to `OnJob`: its video is fetched, and nothing is submitted. ``scene`` holds the
    real objects; None: the generator imagines those that it needs.
    """

    instruction: str
    scene_image: np.ndarray | None = None
    plan: dict[str, Any] | None = None
    attempt: int = 0
    job: dict[str, Any] | None = None
    scene: Scene | None = None

    def __post_init__(self) -> None:
        check_instruction(self.instruction)


LONGEST_INSTRUCTION = 2000
"""Maximum length of an instruction, characters."""


def check_instruction(text: str) -> None:
    """Check that an instruction is valid text.

    Raises
    ------
    BadInput
        It has bytes that are not UTF-8, control characters, or too many characters.
    """
    if len(text) > LONGEST_INSTRUCTION:
        raise BadInput(
            f"The instruction has {len(text)} characters, but {LONGEST_INSTRUCTION} are the most: give it in parts."
        )
    kinds = {unicodedata.category(c): c for c in text if c not in "\t\r\n"}
    if "Cs" in kinds:  # surrogates: how Python represents undecodable bytes of the command line
        shown = text.encode("ascii", "backslashreplace").decode()[:80]
        raise BadInput(
            f"The instruction is not UTF-8 ('{shown}'): set the terminal to UTF-8, or leave these bytes out."
        )
    if "Cc" in kinds:
        raise BadInput(f"The instruction has a control character ({kinds['Cc']!r}): leave it out.")


@dataclass(frozen=True)
class Generation:
    """A generated video; ``truth`` is the motion behind it if the generator knows it (for evaluation only).

    ``plan`` is what the person was to do, as JSON-ready values; it can be edited and passed with the next request.
    ``others`` are videos of the same request that the judge rejected, in the order in which they were made. ``image``,
    (H, W, 3) uint8 RGB, is the first frame if an image was given: that image, or its version with the robot replaced by
    a person. ``interaction`` holds the objects of the request, or those that the generator imagined; None if it knows
    none.
    """

    video: Video
    truth: HumanMotion | None = None
    metrics: Metrics = field(default_factory=dict)
    plan: dict[str, Any] | None = None
    others: tuple[Video, ...] = ()
    image: np.ndarray | None = None
    interaction: Interaction | None = None


@dataclass(frozen=True)
class PersonDetection:
    """A person in an image."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom of the eyes to the toes, px."""
    full_body: bool
    """Whether head and feet are visible."""


@dataclass(frozen=True)
class Estimate:
    """The person's motion; ``keypoints`` is (T, 33, 3): MediaPipe landmarks as x px, y px, visibility, for display.

    ``metrics["video"]``, if the backend provides it, describes the whole video: ``seconds``; ``cuts_s``, times at
    which another shot begins; ``found_share`` of frames with the person; ``others_share`` of the time in which another
    person of comparable size is visible; ``whole_share`` of the person's frames in which head, hands and feet are
    within the image, visible or hidden; ``lost_s``, ``others_s``, ``partly_s``, the times of exceptions: lists of
    [from, to]; ``similarity_min``, minimum similarity in [0, 1] of the person's colours over 0.3 s to all earlier ones,
    at ``similarity_min_s``; ``camera_turn_deg``, how far the camera turned, and ``camera_explained``, minimum share of
    the background's motion over a second that a rotation explains, at ``camera_explained_s``. ``similarity_min`` and
    the camera's are None where they are unknown. All times are in s.

    ``metrics["motion_s"]``, if the backend provides it, is the part of the video that the motion covers, [from, to] in
    s; ``stretches_s`` has those of all good motions, ``rejected_s`` those of rejected ones, each with the reason.
    """

    motion: HumanMotion
    keypoints: np.ndarray | None = None
    metrics: Metrics = field(default_factory=dict)
    stretches: tuple[tuple[float, HumanMotion], ...] = ()
    """All good motions in the video with their start times, s, in order; ``motion`` is the longest."""


@dataclass(frozen=True)
class Retargeting:
    """The G1's reference motion."""

    motion: RobotMotion
    metrics: Metrics = field(default_factory=dict)


@dataclass(frozen=True)
class Tracking:
    """The actual motion of the G1 (simulation truth, or the robot's own estimate), and the report."""

    motion: RobotMotion
    metrics: Metrics = field(default_factory=dict)
    corrected: RobotMotion | None = None
    """The motion with the changes that it needed, to be carried out instead of the given one; None: as given."""
    verdict: str = ""
    """Signed verdict of the rehearsal node that this motion is fit for the robot; empty: it is not, or there was no
    rehearsal."""
    rollout: Rollout | None = None
    """Motion of the objects, from the motion's first frame until the robot stands again; None: there are none."""
    object_poses: np.ndarray | None = None
    """(T, n, 7) poses of these objects in each frame of the motion, m and w, x, y, z."""

    def require_success(self) -> None:
        """Raise `TrackingFailed`, with this as its output, if the robot failed at the motion or at the task."""
        if self.metrics.get("success") is False:
            raise TrackingFailed(f"The G1 did not do it: {self.metrics.get('reason') or 'no reason given'}.", self)
        failed = [check["sentence"] for check in self.metrics.get("checks", ()) if check["passed"] is False]
        if failed:
            raise TrackingFailed(f"The G1 moved as it should, but the task failed. {' '.join(failed)}", self)


class Backend(Configurable):
    """Base class of the backends of all stages."""

    @classmethod
    def ready(cls) -> str:
        """What ``exoactor doctor`` shows; raises `Missing` if something that the backend needs is absent."""
        return (cls.__doc__ or "").strip().partition("\n")[0]


class Generator(Backend, ABC):
    """Generates a video of a person who does the task."""

    judged: ClassVar[bool] = True
    """Whether the video judge checks the result; False if the video is the user's own choice."""

    @abstractmethod
    def __call__(
        self,
        request: GenerateRequest,
        progress: Progress = no_progress,
        *,
        on_plan: OnPlan | None = None,
        on_job: OnJob | None = None,
    ) -> Generation:
        """Generate the video.

        ``on_plan`` is called with the plan as soon as it is made, before anything that takes time or money; ``on_job``
        with the record of a submitted job, before the job is waited for. Generators without plans or jobs never call
        them.
        """

    @classmethod
    def plan(cls, request: GenerateRequest, **options: Any) -> dict[str, Any]:
        """Return the plan alone, as JSON-ready values; ``options`` are the constructor's. Raises `BadInput`."""
        raise BadInput(f"The generator {cls.__name__} makes no plans.")


class Estimator(Backend, ABC):
    """Estimates a person's motion in a video."""

    @abstractmethod
    def __call__(
        self, video: Video, progress: Progress = no_progress, *, on_segment: OnSegment | None = None
    ) -> Estimate:
        """Estimate the motion; estimators that do not stream never call ``on_segment``."""


class Retargeter(Backend, ABC):
    """Fits a person's motion to the G1."""

    @abstractmethod
    def __call__(
        self, motion: HumanMotion, progress: Progress = no_progress, *, interaction: Interaction | None = None
    ) -> Retargeting:
        """Retarget the motion to the objects of a task, if any; ``interaction`` None: it is not part of a task."""


class Tracker(Backend, ABC):
    """Carries out a motion on the (simulated) robot."""

    @abstractmethod
    def __call__(
        self,
        motion: RobotMotion,
        progress: Progress = no_progress,
        human: HumanMotion | None = None,
        *,
        interaction: Interaction | None = None,
    ) -> Tracking:
        """Track the motion.

        ``human`` is the original human motion, for policies that follow people; ``interaction`` holds the objects and
        the checks of the task.
        """

    def correct(self, motion: RobotMotion, tries: int = 3, progress: Progress = no_progress) -> Tracking:
        """Find a reference correction for a failing motion (`Tracking.corrected`)."""
        raise BadInput(f"The tracker {type(self).__name__} finds no reference corrections.")


class PeopleFinder(Backend, ABC):
    """Finds people in images, for other stages."""

    @abstractmethod
    def __call__(self, image: np.ndarray, /) -> list[PersonDetection]:
        """All people in an image (H, W, 3) uint8 RGB, the largest first."""


Stage = Literal["generate", "estimate", "retarget", "track", "people"]

_BASES: dict[Stage, type[Backend]] = {
    "generate": Generator,
    "estimate": Estimator,
    "retarget": Retargeter,
    "track": Tracker,
    "people": PeopleFinder,
}


def backend_names(stage: Stage) -> list[str]:
    """Names of the installed backends of a stage."""
    return sorted({e.name for e in entry_points(group=f"exoactor.{stage}")})


@overload
def backend_class(stage: Literal["generate"], name: str) -> type[Generator]: ...
@overload
def backend_class(stage: Stage, name: str) -> type[Backend]: ...
def backend_class(stage: Stage, name: str) -> type[Backend]:
    """Find the class of the backend ``name`` of ``stage``.

    Raises
    ------
    BadInput
        There is no such backend (the message lists the installed ones), or it violates the contract.
    Missing
        A library that the backend needs is not installed.
    """
    for entry in entry_points(group=f"exoactor.{stage}", name=name):
        try:
            kind = entry.load()
        except ImportError as error:
            raise missing_extra(f"The backend '{name}' of {stage}", error.name or "a library", error) from None
        if fault := contract_fault(kind, _BASES[stage]):
            raise BadInput(f"The backend '{name}' of {stage} ({entry.value}) {fault}: see docs/adding_a_backend.md.")
        return kind
    known = ", ".join(backend_names(stage)) or "none"
    raise BadInput(f"There is no backend '{name}' for the stage '{stage}': installed are {known}.")


def contract_fault(kind: Any, base: type[Backend]) -> str:
    """Fault of a class as a backend derived from ``base``, to follow its name in a sentence; empty: none."""
    if not (isinstance(kind, type) and issubclass(kind, base)):
        return f"is not derived from {base.__module__}.{base.__name__}"
    if inspect.isabstract(kind):
        return "does not define __call__"
    wanted = inspect.signature(base.__call__).parameters.values()
    by_name = [p.name for p in wanted if p.kind is p.KEYWORD_ONLY]
    try:
        inspect.signature(kind.__call__).bind(*[None] * (len(wanted) - len(by_name)), **dict.fromkeys(by_name))
    except TypeError as error:
        return f"cannot be called as {base.__name__} is ({error})"
    return ""


def load_backend(stage: Stage, name: str, **options: Any) -> Any:
    """Construct the backend ``name`` of ``stage``, an instance of the stage's base class.

    Raises as `backend_class` and the constructor.
    """
    return backend_class(stage, name)(**options)
