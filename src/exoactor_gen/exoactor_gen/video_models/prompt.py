"""From a plan to a video model's prompt, by a template with wording that makes the motion easy to estimate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exoactor_core.errors import BadInput
from exoactor_core.files import load_yaml
from exoactor_core.validation import FrozenModel, validated
from exoactor_gen.mannequin.movement import START
from exoactor_gen.plan import Plan

SHIPPED = Path(__file__).parents[1] / "prompts" / "capture.yaml"
SHORT = SHIPPED.with_name("short.yaml")
"""For models with a short text encoder."""
_AHEAD = "at an angle from the front"
_BESIDE = "from the side, with nothing between the person and the camera"
"""Bows and reaches to objects are then across the image rather than in depth."""


@dataclass(frozen=True)
class Prompt:
    """The prompt of a video model."""

    text: str
    negative: str
    seconds: int
    """Length of the video."""
    template: str
    """Name and version of the template."""

    @property
    def combined(self) -> str:
        """Both in one text, for models without negative prompts."""
        return f"{self.text} Avoid: {self.negative}." if self.negative else self.text

    def record(self) -> dict[str, Any]:
        """Record that is stored with the video."""
        return {"prompt": self.text, "negative_prompt": self.negative, "template": self.template}


class Template(FrozenModel):
    """Content of a template file; its comments explain the fields."""

    name: str
    version: int
    camera_height: float = 1.2
    step: str
    rest: str = ""
    text: str
    text_with_image: str = ""
    negative: str = ""

    @classmethod
    def load(cls, path: str | Path = "") -> Template:
        """Read a template; empty: the project's own. Raises `BadInput` as `load_yaml`, or if it is not a template."""
        path = Path(path).expanduser() if path else SHIPPED
        content = load_yaml(path)
        if not isinstance(content, dict):
            raise BadInput(f"The prompt template {path} holds no fields: compare {SHIPPED}.")
        return validated(cls, content, f"The prompt template {path}")

    def fill(self, plan: Plan, seconds: int, with_image: bool = False) -> Prompt:
        """Phrase a plan for a video of so many seconds; for the remaining time the person stands still.

        ``with_image``: the video begins with an image of the scene.

        Raises
        ------
        BadInput
            The template names a field that does not exist.
        """
        steps, begin = [], 0.0
        for action in plan.actions:
            end = begin + action.seconds
            described = action.description.strip().rstrip(".")
            described = re.sub(
                r"^(the |a )?(person|human|adult|man|woman|robot|he|she|they) ", "", described, flags=re.I
            )
            steps.append(
                self._put(self.step, begin=f"{begin:.1f}", end=f"{end:.1f}", description=described, verb=action.verb)
            )
            begin = end
        if self.rest and seconds - begin > 0.5:
            steps.append(self._put(self.rest, seconds=seconds))
        objects = [name.replace("_", " ") for name in plan.objects if name != START]
        text = self.text_with_image if with_image and self.text_with_image else self.text
        text = self._put(
            text,
            actions=" ".join(steps),
            seconds=seconds,
            camera_height=f"{self.camera_height:g}",
            view=_BESIDE if objects else _AHEAD,
            objects=", ".join(objects),
        )
        negative = " ".join(self.negative.split()).rstrip(".")
        return Prompt(" ".join(text.split()), negative, seconds, f"{self.name} {self.version}")

    def _put(self, text: str, **fields: Any) -> str:
        """Insert fields, and drop each [sentence] with an empty one."""

        def optional(match: re.Match[str]) -> str:
            names = re.findall(r"{(\w+)}", match[1])
            return match[1] if all(fields.get(name) not in ("", None) for name in names) else ""

        try:
            return re.sub(r"\[([^\]]*)\]", optional, text).format(**fields)
        except (KeyError, IndexError, ValueError) as error:
            known = ", ".join(f"{{{name}}}" for name in fields)
            raise BadInput(
                f"The prompt template {self.name} has a field that is unknown or broken ({error}): "
                f"known here are {known}."
            ) from None
