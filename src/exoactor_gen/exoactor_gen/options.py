"""Options shared by several generators."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Interval

from exoactor_core.errors import BadInput
from exoactor_core.files import json_object
from exoactor_core.options import BaseOptions, Seed


class VideoModelOptions(BaseOptions):
    """Options of every generator with a video model."""

    planner: Literal["auto", "rules", "verbatim", "endpoint", "local"] = "auto"
    """What turns the instruction into a plan: auto (the rules for steps that they understand, the others verbatim),
    rules (the mannequin's task language), verbatim (the instruction as it is), endpoint (a language model behind an
    OpenAI-compatible URL) or local (a language model of transformers)."""
    planner_model: str = ""
    """Language model: its name at the endpoint, or the folder or repository id of a local one."""
    planner_url: str = ""
    """Base URL of the planner endpoint, whose key is read from EXOACTOR_PLANNER_KEY; empty: OpenAI's."""
    template: str = ""
    """Prompt template file; empty: the project's own in exoactor_gen/prompts, capture.yaml, or short.yaml for models
    with a short text encoder."""
    seed: Seed = 0
    """Random seed: the same seed gives the same video, if the model supports seeds."""
    embody: str = ""
    """What replaces the robot in the scene's image with a person: openai or gemini (with a model after a colon), or the
    repository id or folder of an image-editing pipeline of diffusers; empty: nothing."""
    embody_url: str = ""
    """Base URL of a server with OpenAI's or Gemini's protocol; its key is read from EXOACTOR_IMAGE_KEY."""
    embody_tries: Annotated[int, Interval(ge=1, le=20)] = 4
    """Maximum number of images generated until one whole person stands where the robot stood."""
    robot: str = ""
    """Bounding box of the robot in the image: left,top,right,bottom in px; empty: it is detected."""
    extra: str = ""
    """JSON object with further fields of the service's request, or further arguments of the pipeline, such as
    {"cfg_scale": 0.5}; for a service, null removes one of our fields, and "{image}" stands for the image of the
    scene."""


def read_extra(extra: str, example: str) -> dict[str, Any]:
    """Read the option ``extra``, a JSON object or empty; raises `BadInput`, with an example, if it is invalid."""
    try:
        return json_object(extra.strip() or "{}", "The option extra")
    except BadInput:
        raise BadInput(f"The option extra is not a JSON object: write it like {example}.") from None


def attempt_seed(seed: int, attempt: int) -> int:
    """Seed of the attempt with this number; services and PyTorch accept 31 bits."""
    return (seed + attempt) % 2**31
