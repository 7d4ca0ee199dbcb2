"""Contacts between a body, a person's or the robot's, and the objects of a scene."""

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
"""A knee is the shank with it, the seat the pelvis with the thighs, the back the trunk with head and shoulders."""
BODY_PARTS: tuple[str, ...] = get_args(BodyPart)

SIDES = ("left", "right")
"""In the order in which arrays have them."""
HANDS: tuple[BodyPart, BodyPart] = ("left_hand", "right_hand")
"""Likewise."""

ContactKind = Literal["grasp", "support", "push", "strike", "touch", "sit", "gesture"]

FLOOR = ""
"""The floor, where an object is named."""

Vector = tuple[float, float, float]


class Contact(FrozenModel):
    """A part of the body touches an object for a while. What both hands hold is two contacts.

    A gesture touches nothing: it says that the part does something that is to be seen, and is not idle.
    """

    body: BodyPart
    object: str
    """Its id; `FLOOR`: the floor, or nothing of a gesture."""
    kind: ContactKind
    start: float = Field(ge=0.0)
    """s of the motion."""
    end: float
    """s of the motion."""
    pos_object: Vector | None = None
    """m, where the object is touched, in its own frame; None: not known."""
    normal_object: Vector | None = None
    """Out of the object's surface there, in its own frame; None: not known."""

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Contact:
        if self.end < self.start:
            raise ValueError(f"the contact ends at {self.end:g} s, before it starts at {self.start:g} s")
        return self

    @property
    def side(self) -> int:
        """Index in `SIDES` of a hand, foot, knee or forearm."""
        return SIDES.index(self.body.split("_")[0])

    def overlaps(self, other: Contact) -> bool:
        """Whether both are there at some time."""
        return self.start < other.end and other.start < self.end

    def at_times(self, start: float, end: float) -> Contact:
        """The same contact from another time to another, s of the motion."""
        return self.model_copy(update={"start": start, "end": end})


def contacts_to_json(contacts: Sequence[Contact]) -> str:
    """Contacts as JSON text."""
    return to_json(tuple[Contact, ...], tuple(contacts))


def contacts_from_json(text: str) -> tuple[Contact, ...]:
    """Read contacts from JSON text; raises `BadInput` where it holds none."""
    return validated(tuple[Contact, ...], text, "The list of contacts")
