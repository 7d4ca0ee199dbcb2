"""Options that several generators have."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Interval

from exoactor_core.errors import BadInput
from exoactor_core.files import json_object
from exoactor_core.options import BaseOptions, Seed


class VideoModelOptions(BaseOptions):
    """Options of every generator that asks a video model."""

    planner: Literal["auto", "rules", "verbatim", "endpoint", "local"] = "auto"
    """What turns the instruction into a plan: auto (the rules as far as they understand, the rest in its own words),
    rules (the mannequin's task language), verbatim (the words as they stand), endpoint (a language model behind an
    OpenAI-compatible URL) or local (one of transformers)."""
    planner_model: str = ""
    """Language model: the endpoint's name of it, or the local one's folder or repository id."""
    planner_url: str = ""
    """Base URL of the planner endpoint, whose key is read from EXOACTOR_PLANNER_KEY; empty: OpenAI's."""
    template: str = ""
    """File of the prompt template; empty: the project's own in exoactor_gen/prompts: capture.yaml, or short.yaml where
    the model reads too few words for it."""
    seed: Seed = 0
    """The same one gives the same video again, where the model takes one."""
    embody: str = ""
    """What turns the robot in the scene's image into a person: openai or gemini (with a model after a colon), or the
    repository id or folder of an image-editing pipeline of diffusers; empty: nothing does."""
    embody_url: str = ""
    """Base URL of a server that speaks as openai or gemini do; its key is read from EXOACTOR_IMAGE_KEY."""
    embody_tries: Annotated[int, Interval(ge=1, le=20)] = 4
    """How many images are made until one whole person stands where the robot stood."""
    robot: str = ""
    """Where the robot is in the image: left,top,right,bottom in px; empty: it is looked for."""
    extra: str = ""
    """JSON object of further fields of the service's request or arguments of the pipeline, such as {"cfg_scale": 0.5};
    for a service, null takes one of ours away, and "{image}" stands for the image of the scene."""


def read_extra(extra: str, example: str) -> dict[str, Any]:
    """Read the option ``extra``, a JSON object or nothing; raises `BadInput`, with an example, where it is none."""
    try:
        return json_object(extra.strip() or "{}", "The option extra")
    except BadInput:
        raise BadInput(f"The option extra is not a JSON object: write it like {example}.") from None


def attempt_seed(seed: int, attempt: int) -> int:
    """The seed of the attempt that has this number; services and PyTorch take 31 bits."""
    return (seed + attempt) % 2**31
