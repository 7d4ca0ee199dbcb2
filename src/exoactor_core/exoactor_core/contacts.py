"""Contacts between a body (a person's or the robot's) and the objects of a scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from pydantic import Field, model_validator

from exoactor_core.validation import FrozenModel, to_json, validated

BodyPart = Literal[
    "left_hand",
    "right_hand",
    "left_foot",
    "right_foot",
    "left_knee",
    "right_knee",
    "left_forearm",
    "right_forearm",
    "seat",
    "back",
]
"""A knee includes its shank, the seat the pelvis and thighs, the back the trunk, head and shoulders."""
BODY_PARTS: tuple[str, ...] = get_args(BodyPart)

SIDES = ("left", "right")
"""Sides, in the order of arrays."""
HANDS: tuple[BodyPart, BodyPart] = ("left_hand", "right_hand")
"""Hands, likewise."""

ContactKind = Literal["grasp", "support", "push", "strike", "touch", "sit", "gesture"]

FLOOR = ""
"""Stands for the floor in place of an object's id."""

Vector = tuple[float, float, float]


class Contact(FrozenModel):
    """A part of the body touches an object for some time.

    What both hands hold is two contacts. A gesture touches nothing: it states that the body part has to be visible
    meanwhile, and is not idle.
    """

    body: BodyPart
    object: str
    """Id of the object; `FLOOR`: the floor, or no object in the case of a gesture."""
    kind: ContactKind
    start: float = Field(ge=0.0)
    """s of the motion."""
    end: float
    """s of the motion."""
    pos_object: Vector | None = None
    """m, the point of contact in the object's frame; None: unknown."""
    normal_object: Vector | None = None
    """Outward normal of the object's surface there, in the object's frame; None: unknown."""

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Contact:
        if self.end < self.start:
            raise ValueError(f"the contact ends at {self.end:g} s, before it starts at {self.start:g} s")
        return self

    @property
    def side(self) -> int:
        """Index of the side of a hand, foot, knee or forearm in `SIDES`."""
        return SIDES.index(self.body.split("_")[0])

    def overlaps(self, other: Contact) -> bool:
        """Whether the two contacts overlap in time."""
        return self.start < other.end and other.start < self.end

    def frames(self, fps: float, last: int) -> tuple[int, int]:
        """Its first and last frame at a rate, Hz, none beyond ``last``."""
        return min(round(self.start * fps), last), min(round(self.end * fps), last)

    def at_times(self, start: float, end: float) -> Contact:
        """The same contact with other times, s of the motion."""
        return self.model_copy(update={"start": start, "end": end})


def contacts_to_json(contacts: Sequence[Contact]) -> str:
    """Serialise contacts as JSON text."""
    return to_json(tuple[Contact, ...], tuple(contacts))


def contacts_from_json(text: str) -> tuple[Contact, ...]:
    """Read contacts from JSON text; raises `BadInput` if the text is invalid."""
    return validated(tuple[Contact, ...], text, "The list of contacts")
