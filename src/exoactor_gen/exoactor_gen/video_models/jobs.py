"""Requests to hosted video models, and the jobs that carry them out."""

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
    """Request to a service."""

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
    """Additional fields of the user; None removes one of ours."""
    inputs: Inputs | None = None
    """Inputs of the model, if it is not the one for which the service's own fields are written."""

    def fields(self, **own: Any) -> dict[str, Any]:
        """The service's fields overridden by the user's; "{image}" is the image as a data URL.

        Raises
        ------
        BadInput
            The model takes no image, or requires further fields.
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
    """All that is needed to fetch the video of a job later, in another process; JSON-ready except for the dataclass."""

    generator: str
    """Name of the backend."""
    base_url: str
    model: str
    job: str
    links: dict[str, str]
    metrics: dict[str, Any]
    """Metrics of the generation known at submission."""
    plan: dict[str, Any]

    @classmethod
    def read(cls, data: dict[str, Any]) -> JobRecord:
        """Read a written record; raises `BadInput` if it is not one."""
        return validated(cls, data, "The record of a video job")


@dataclass(frozen=True)
class JobRunning:
    """An unfinished job: its progress, if the service reports it, and its activity."""

    text: str
    fraction: float | None = None
    poll_at_once: bool = False
    """Whether to poll again at once."""


@dataclass(frozen=True)
class JobDone:
    """A finished job: the URL of its video, or its bytes."""

    url: str = ""
    data: bytes = b""
    notes: dict[str, Any] = field(default_factory=dict)
