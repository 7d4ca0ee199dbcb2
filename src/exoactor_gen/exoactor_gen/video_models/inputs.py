"""Inputs of a model, by the JSON schema that queues of many models publish for each: our fields under its names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from exoactor_core.errors import BadInput

_NAMES: dict[str, str] = {
    "prompt": "prompt text_prompt text",
    "negative": "negative_prompt",
    "image": "image_url start_image_url first_frame_url first_frame_image_url input_image_url image start_image "
    "first_frame first_frame_image input_image image_urls images",
    "seconds": "duration duration_seconds seconds video_length length",
    "frames": "num_frames frames",
    "aspect": "aspect_ratio",
    "resolution": "resolution",
    "seed": "seed",
}
"""Names of our fields in the schemas of fal's and Replicate's models; the first that a model has is used."""
_RATES = ("frames_per_second", "fps", "frame_rate")
_OFF = (
    *("enable_prompt_expansion", "enhance_prompt", "prompt_optimizer", "prompt_extend", "expand_prompt"),
    *("generate_audio", "enable_audio", "audio"),
)
"""Fields that would change the prompt, or cost more without effect here."""


class Inputs:
    """Inputs of a model (its name is for messages), from the OpenAPI document with the schema.

    Raises
    ------
    KeyError, StopIteration
        It has no schema.
    """

    def __init__(self, document: Mapping[str, Any], model: str) -> None:
        schemas = document["components"]["schemas"]
        bodies = (path["post"]["requestBody"] for path in document.get("paths", {}).values() if "post" in path)
        named = "Input" in schemas  # as in Replicate's; fal's is referenced by the request
        schema = (
            schemas["Input"] if named else _resolved(next(bodies)["content"]["application/json"]["schema"], schemas)
        )
        self.model, self.required = model, tuple(schema.get("required", ()))
        self.fields = {name: _resolved(value, schemas) for name, value in schema["properties"].items()}

    def name(self, what: str) -> str:
        """The model's name of a field; empty if it has none."""
        return next((name for name in _NAMES[what].split() if name in self.fields), "")

    @property
    def longest_prompt(self) -> int | None:
        """Maximum number of characters, if stated."""
        return self.fields.get(self.name("prompt"), {}).get("maxLength")

    def lengths(self, usual: tuple[int, ...]) -> tuple[int, ...]:
        """Available video lengths, s, shortest first; ``usual`` if the schema does not state them."""
        if name := self.name("seconds"):
            field = self.fields[name]
            if choices := [n for n in map(_number, field.get("enum", ())) if n]:
                return tuple(sorted({int(n) for n in choices}))
            low, high = field.get("minimum", usual[0]), field.get("maximum", usual[-1])
        elif name := self.name("frames"):
            field, rate = self.fields[name], self._rate()
            low, high = (field.get(key, rate * n) / rate for key, n in (("minimum", usual[0]), ("maximum", usual[-1])))
        else:
            return usual
        return tuple(range(max(1, math.ceil(low)), math.floor(high) + 1)) or (max(1, round(low)),)

    def fill(
        self, prompt: str, negative: str, image: str | None, seconds: int, aspect: str, resolution: str, seed: int
    ) -> dict[str, Any]:
        """The request's fields; the image is a URL.

        Raises
        ------
        BadInput
            There is an image, but the model takes none, or the model takes no prompt.
        """
        if not self.name("prompt") or (image and not self.name("image")):
            what = "image: take one that begins with an image" if self.name("prompt") else "words"
            raise BadInput(f"The model {self.model} takes no {what}; it takes {', '.join(self.fields)}.")
        wishes: dict[str, Any] = {"prompt": prompt, "negative": negative or None, "seed": seed}
        wishes["seconds"] = self._choice("seconds", seconds)
        wishes["resolution"] = self._choice("resolution", _number(resolution) or 0, resolution)
        if image:
            many = self.fields[self.name("image")].get("type") == "array"
            wishes["image"] = [image] if many else image
        elif aspect in self.fields.get(self.name("aspect"), {}).get("enum", [aspect]):
            wishes["aspect"] = aspect
        if not self.name("seconds") and (name := self.name("frames")):
            field, frames = self.fields[name], 4 * math.ceil(seconds * self._rate() / 4) + 1  # as in most models
            wishes["frames"] = min(max(frames, field.get("minimum", 1)), field.get("maximum", frames))
        filled = {self.name(what): value for what, value in wishes.items() if self.name(what) and value is not None}
        return filled | {name: False for name in _OFF if self.fields.get(name, {}).get("type") == "boolean"}

    def lacking(self, filled: Iterable[str]) -> list[str]:
        """Required fields of the model for which no value is known."""
        return [name for name in self.required if name not in set(filled)]

    def _choice(self, what: str, number: float, otherwise: str = "") -> Any:
        """A number in the model's format: the next larger of its choices, or the largest; None: no such field."""
        field = self.fields.get(self.name(what), {})
        if choices := sorted((n, i) for i, n in enumerate(map(_number, field.get("enum", ()))) if n):
            return field["enum"][next((i for n, i in choices if n >= number), choices[-1][1])]
        if "enum" in field:
            return None
        if field.get("type") == "string":
            return otherwise or re.sub(r"\d+(\.\d+)?", f"{number:g}", str(field.get("default") or "0"), count=1)
        return int(number)

    def _rate(self) -> float:
        """Frames per second."""
        return float(next((v for n in _RATES if (v := self.fields.get(n, {}).get("default"))), 24.0))


def _resolved(value: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve references and alternatives of a schema, ignoring null."""
    out = {key: v for key, v in value.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}
    parts = [schemas[value["$ref"].rpartition("/")[2]]] if "$ref" in value else []
    parts += value.get("allOf", []) + value.get("anyOf", []) + value.get("oneOf", [])
    for part in parts:
        if part.get("type") != "null":
            out = {**_resolved(part, schemas), **out}
    return out


def _number(value: Any) -> float | None:
    """The number in '8s', '720p', '5' or 5."""
    found = re.search(r"\d+(\.\d+)?", str(value))
    return float(found[0]) if found else None
