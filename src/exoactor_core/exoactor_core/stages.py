"""What a stage is: plain callables behind one protocol, found by name through Python entry points.

A backend is a class: its constructor takes keyword options (and loads models), and calling the instance with the
stage's input and a progress callback returns the stage's output. The command line, the ROS nodes and the tests all
use backends this way. The four entry-point groups are

- ``exoactor.generate``:  `GenerateRequest` -> `Generation`; where ``plans`` is true, ``on_plan`` may be given:
  called with the plan as soon as it is made, which is before anything can fail that costs time or money; where
  ``resumable`` is true, ``on_job`` may be given, and `GenerateRequest.job` is understood; where
  ``judged`` is false the video is the user's own choice, and nobody judges it (see `exoactor_gen.video_judge`)
- ``exoactor.estimate``:  `Video`           -> `Estimate`
- ``exoactor.retarget``:  `HumanMotion`     -> `Retargeting`
- ``exoactor.track``:     `RobotMotion`     -> `Tracking`; its ``human`` may be given: the person's motion it came from

One more, ``exoactor.people``, lends what finds people to other stages: an image -> a list of `Figure`, largest first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval

from exoactor_core.errors import BadInput
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_core.optional import missing_extra
from exoactor_core.video import Video

Progress = Callable[[float, str], None]
"""Called at least once a second with (fraction done in [0, 1], text). Raises `Cancelled` when the user cancelled."""

OnPlan = Callable[[dict[str, Any]], None]
"""Called with a plan, as JSON-ready values."""

OnJob = Callable[[dict[str, Any]], None]
"""Called with the record of a job that a service has accepted, as JSON-ready values, before the job is waited for."""

Metrics = dict[str, Any]
"""Quality figures by name (JSON-ready); ``notes``: sentences on what was assumed or mended."""


def add_notes(metrics: Metrics, *inputs: Any) -> None:
    """Put what was noted as a stage's inputs were read (their ``notes``, where they have any) before its own notes."""
    read = [note for given in inputs for note in getattr(given, "notes", ())]
    if read:
        metrics["notes"] = [*read, *metrics.get("notes", ())]


Share = Annotated[float, Interval(ge=0.0, le=1.0)]
"""Option of a backend: a share of something, or a score. Options of numbers have a range (`Interval`)."""

Seed = Annotated[int, Interval(ge=0, le=2**31 - 1)]
"""Option of a backend: seed of what is drawn."""


def no_progress(fraction: float, text: str) -> None:
    """Progress callback that does nothing."""


@dataclass(frozen=True)
class GenerateRequest:
    """What to imagine: the instruction, and optionally an image of the scene, (H, W, 3) uint8 RGB, and a plan.

    A plan is JSON-ready values as `Generation.plan` holds them; it is carried out as it is, and the instruction is then
    not read. ``attempt`` counts the videos made of one request, from 0: a generator adds it to its seed. ``job`` is the
    record of a job that was submitted before, as `OnJob` got it: its video is fetched, and nothing is submitted.
    """

    instruction: str
    scene_image: np.ndarray | None = None
    plan: dict[str, Any] | None = None
    attempt: int = 0
    job: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        check_instruction(self.instruction)


LONGEST_INSTRUCTION = 2000
"""Characters."""


def check_instruction(text: str) -> None:
    """Check that an instruction is text.

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
    if "Cs" in kinds:  # surrogates: how Python keeps bytes of the command line that it cannot decode
        shown = text.encode("ascii", "backslashreplace").decode()[:80]
        raise BadInput(
            f"The instruction is not UTF-8 ('{shown}'): set the terminal to UTF-8, or leave these bytes out."
        )
    if "Cc" in kinds:
        raise BadInput(f"The instruction has a control character ({kinds['Cc']!r}): leave it out.")


@dataclass(frozen=True)
class Generation:
    """A generated video; ``truth`` is the motion behind it where the generator knows it (evaluation only).

    ``plan`` is what the person was to do, as JSON-ready values; edited, it can be given with the next request.
    ``others`` are videos of the same request that the judge did not take, in the order in which they were made.
    ``image``, (H, W, 3) uint8 RGB, is what the video begins with where an image was given: that one, or what became
    of it where the robot in it was made a person.
    """

    video: Video
    truth: HumanMotion | None = None
    metrics: Metrics = field(default_factory=dict)
    plan: dict[str, Any] | None = None
    others: tuple[Video, ...] = ()
    image: np.ndarray | None = None


@dataclass(frozen=True)
class Figure:
    """Somebody in an image."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom of the eyes to the toes, px."""
    whole: bool
    """Head and feet are seen."""


@dataclass(frozen=True)
class Estimate:
    """The person's motion; ``keypoints`` is (T, 33, 3): MediaPipe landmarks as x px, y px, visibility, for display.

    ``metrics["video"]``, where the backend tells it, holds what can be told of the whole video as such: ``seconds``;
    ``cuts_s``, times at which another shot begins; ``found_share`` of the frames with the person in them;
    ``others_share`` of the time in which somebody else of comparable size is there; ``whole_share`` of the frames with
    the person in which head, hands and feet are in the image, seen or hidden by things; ``lost_s``, ``others_s``,
    ``partly_s``, when it was otherwise: lists of [from, to]; ``alike_min``, least similarity in [0, 1] of the person's
    colours over 0.3 s to all that was seen of them before, at ``alike_min_s``; ``camera_turn_deg``, how far the camera
    turned, and ``camera_explained``, least share of the background over a second that its turning explains, at
    ``camera_explained_s``. ``alike_min`` and the camera's are None where they cannot be told. All times are in s.
    """

    motion: HumanMotion
    keypoints: np.ndarray | None = None
    metrics: Metrics = field(default_factory=dict)


@dataclass(frozen=True)
class Retargeting:
    """The G1's reference motion."""

    motion: RobotMotion
    metrics: Metrics = field(default_factory=dict)


@dataclass(frozen=True)
class Tracking:
    """What the G1 really did (simulation truth, or the robot's own estimate), and the report of it."""

    motion: RobotMotion
    metrics: Metrics = field(default_factory=dict)
    corrected: RobotMotion | None = None
    """The motion with the correction that it needed, to be carried out instead of the one that was given; None: as
    given."""
    verdict: str = ""
    """The rehearsal node's, that this motion is fit for the robot, signed; empty: it is not, or it was no rehearsal."""


def backend_names(stage: str) -> list[str]:
    """Names of the installed backends of a stage ("generate", "estimate", "retarget", "track")."""
    return sorted({e.name for e in entry_points(group=f"exoactor.{stage}")})


def backend_class(stage: str, name: str) -> type:
    """Find the class of the backend ``name`` of ``stage``; its constructor's arguments are its options.

    Raises
    ------
    BadInput
        There is no such backend; the message names those that are installed.
    Missing
        A library that the backend needs is not installed.
    """
    for entry in entry_points(group=f"exoactor.{stage}", name=name):
        try:
            return entry.load()
        except ImportError as error:
            raise missing_extra(f"The backend '{name}' of {stage}", error.name or "a library", error) from None
    known = ", ".join(backend_names(stage)) or "none"
    raise BadInput(f"There is no backend '{name}' for the stage '{stage}': installed are {known}.")


def load_backend(stage: str, name: str, **options: Any) -> Callable[..., Any]:
    """Construct the backend ``name`` of ``stage``; raises `BadInput` as `backend_class` does."""
    return backend_class(stage, name)(**options)
