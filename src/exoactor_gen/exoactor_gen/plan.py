"""The plan of a task: the person's actions with times; its JSON can be read, edited and sent again."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from exoactor_core.errors import BadInput
from exoactor_core.validation import FrozenModel, validated

MAX_ACTIONS = 24
"""Maximum number of actions in a plan."""
MAX_DESCRIPTION = 240
"""Maximum number of characters in the description of an action."""
Side = Literal["left", "right", "both"]
Direction = Literal[
    "forward", "backward", "left", "right", "up", "down", "side", "around", "over", "under", "between", "towards"
]  # fmt: skip
Part = Literal["left", "right", "middle"]


class Action(FrozenModel):
    """One step of a plan."""

    verb: str = Field(
        min_length=2, max_length=30, pattern=r"^[a-z][a-z -]*$", description="What is done: walk, wave ..."
    )
    description: str = Field(
        min_length=3,
        max_length=MAX_DESCRIPTION,
        description="The same in full, third person: 'walks forward two metres'.",
    )
    seconds: float = Field(ge=0.2, lt=100.0, description="How long it takes at an everyday pace.")
    side: Side | None = Field(default=None, description="Which hand, arm or foot.")
    direction: Direction | None = Field(default=None, description="Where to, as the person sees it.")
    distance: float | None = Field(default=None, gt=0.0, lt=100.0, description="Metres.")
    gap: float | None = Field(
        default=None, gt=0.0, lt=100.0, description="Metres that are left to the object walked to, where it is said."
    )
    angle: float | None = Field(default=None, gt=0.0, lt=1000.0, description="Degrees, of a turn or a bow.")
    count: int | None = Field(default=None, ge=1, lt=100, description="How often, or how many steps.")
    part: Part | None = Field(
        default=None, description="Which part of the support it is put on or taken from, as the person sees it."
    )
    meanwhile: str | None = Field(
        default=None,
        max_length=120,
        description="A gesture at the same time, as an instruction, such as 'wave'; described too.",
    )
    objects: tuple[str, ...] = Field(
        default=(), max_length=6, description="Objects that are touched or walked to or around."
    )

    @field_validator("verb", mode="before")
    @classmethod
    def _plain_verb(cls, verb: Any) -> Any:
        """Language models also write 'Pick_up'."""
        return verb.strip().lower().replace("_", " ") if isinstance(verb, str) else verb

    @model_validator(mode="after")
    def _of_one_mind(self) -> Action:
        """Video models read the description and the mannequin the other fields: an edit of only one would be lost."""
        text = self.description.lower()
        sides = {"left", "right"} & set(re.findall(r"[a-z]+", text)) - {self.direction, self.part}
        if self.side in ("left", "right") and sides and self.side not in sides:
            raise ValueError(f"the description says {sides.pop()}, but side is {self.side}: change both")
        for name, unit in (("distance", r"m\b|met(?:re|er)s?"), ("angle", "degrees?"), ("count", "times|steps?")):
            value = getattr(self, name)
            said = [float(n) for n in re.findall(rf"(\d+(?:\.\d+)?) ?(?:{unit})", text)]
            if value and said and not any(math.isclose(value, n, abs_tol=0.006) for n in said):
                raise ValueError(f"the description says {said[0]:g}, but {name} is {value:g}: change both")
        return self


class Draft(FrozenModel):
    """Output of a planner: the actions in order."""

    actions: tuple[Action, ...] = Field(min_length=1, max_length=MAX_ACTIONS)


class Plan(Draft):
    """The actions that carry out an instruction."""

    instruction: str
    planner: str = ""
    """What made the plan."""
    note: str | None = None
    """How the instruction was read where it is misspelt or could mean something else."""

    @property
    def seconds(self) -> float:
        """Total duration."""
        return sum(action.seconds for action in self.actions)

    @property
    def objects(self) -> tuple[str, ...]:
        """All objects that are named, without duplicates."""
        return tuple(dict.fromkeys(obj for action in self.actions for obj in action.objects))

    def __str__(self) -> str:
        return ", then ".join(f"{a.description.rstrip('.')} ({a.seconds:g} s)" for a in self.actions)

    def within(self, longest: float) -> Plan:
        """The same plan in at most ``longest`` seconds.

        Raises
        ------
        BadInput
            It would have to be more than a third faster than planned.
        """
        factor = longest / self.seconds
        if factor >= 1.0:
            return self
        if factor < 0.75:
            raise BadInput(
                f"The plan takes {self.seconds:.1f} s, but a video of this generator has at most {longest:g} s: give "
                "the task in parts, or shorten the plan (exoactor generate --plan)."
            )
        shorter = (
            a.model_copy(update={"seconds": max(0.2, math.floor(100 * factor * a.seconds) / 100)}) for a in self.actions
        )
        return self.model_copy(update={"actions": tuple(shorter)})

    def data(self) -> dict[str, Any]:
        """The plan as JSON-ready values, without empty fields."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def read(cls, data: Mapping[str, Any] | str | bytes, name: str = "The plan") -> Plan:
        """Read a plan from JSON-ready values, or JSON text.

        Raises
        ------
        BadInput
            It is not JSON or not a plan; the message names the first fault.
        """
        return validated(cls, data, name)


def schema() -> dict[str, Any]:
    """JSON schema of `Draft` in the subset that services with structured output support.

    Every property is required, and nullable if it is optional; none may be added; lengths and ranges are omitted, and
    checked afterwards.
    """
    return _plain(Draft.model_json_schema(), Draft.model_json_schema()["$defs"])


def _plain(value: Any, defs: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_plain(v, defs) for v in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _plain(defs[value["$ref"].rpartition("/")[2]], defs)
    kept = {k: _plain(v, defs) for k, v in value.items() if k in ("type", "enum", "anyOf", "items", "description")}
    if "properties" in value:
        kept["properties"] = {name: _plain(v, defs) for name, v in value["properties"].items()}
        kept |= {"required": list(value["properties"]), "additionalProperties": False}
    return kept
