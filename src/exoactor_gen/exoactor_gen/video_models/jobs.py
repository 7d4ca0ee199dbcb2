"""What a hosted video model is asked for, and the job that works on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from exoactor_core.errors import BadInput
from exoactor_core.validation import validated
from exoactor_gen.image import data_url
from exoactor_gen.video_models.inputs import Inputs
from exoactor_gen.video_models.prompt import Prompt


@dataclass(frozen=True)
class VideoRequest:
    """What a service is asked for."""

    prompt: Prompt
    model: str
    aspect: str
    """'16:9' or '9:16'."""
    resolution: str
    """'720p' and the like."""
    seed: int
    image: np.ndarray | None
    """(H, W, 3) RGB, the first frame."""
    extra: dict[str, Any]
    """Fields that the user adds to the service's own; None takes one away."""
    inputs: Inputs | None = None
    """What the model takes, where it is not the one that the service's own fields are meant for."""

    def fields(self, **own: Any) -> dict[str, Any]:
        """The service's fields with the user's over them; "{image}" is the image as a data URL.

        Raises
        ------
        BadInput
            The model takes no image, or wants something else too.
        """
        image = None if self.image is None else data_url(self.image)
        if self.inputs:
            negative = self.prompt.negative if self.inputs.name("negative") else ""
            prompt = self.prompt.text if negative else self.prompt.combined
            own = self.inputs.fill(
                prompt, negative, image, self.prompt.seconds, self.aspect, self.resolution, self.seed
            )
        wanted = {name: image if value == "{image}" else value for name, value in {**own, **self.extra}.items()}
        filled = {name: value for name, value in wanted.items() if value is not None}
        if self.inputs and (lacking := self.inputs.lacking(filled)):
            raise BadInput(
                f"The model {self.model} wants {', '.join(lacking)} too: give an image where it is one (--image), or "
                f'the option extra, such as {{"{lacking[0]}": ...}}.'
            )
        return filled


@dataclass(frozen=True)
class Job:
    """A submitted job."""

    id: str
    links: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobRecord:
    """All that is needed to fetch the video of a job later on, by another process; JSON-ready but for the dataclass."""

    generator: str
    """Name of the backend."""
    base_url: str
    model: str
    job: str
    links: dict[str, str]
    metrics: dict[str, Any]
    """Figures of the generation that were known when the job was submitted."""
    plan: dict[str, Any]

    @classmethod
    def read(cls, data: dict[str, Any]) -> JobRecord:
        """Read what was written; raises `BadInput` where it is not a record."""
        return validated(cls, data, "The record of a video job")


@dataclass(frozen=True)
class JobRunning:
    """A job that is not done: how far it is, where the service says it, and what it is doing."""

    text: str
    fraction: float | None = None
    poll_at_once: bool = False
    """There is more to see already."""


@dataclass(frozen=True)
class JobDone:
    """A job that is done: where its video is, or its bytes."""

    url: str = ""
    data: bytes = b""
    notes: dict[str, Any] = field(default_factory=dict)
