"""A task's objects, the planned contacts with them, and its checks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from exoactor_core.contacts import Contact
from exoactor_core.errors import Refused
from exoactor_core.scene import Scene
from exoactor_core.task_checks import Check

_TOLERANCE = 1.0
"""s that a planned contact may extend beyond the motion: what is held to the end may be held to the video's last frame,
in which the person need not be seen."""


@dataclass(frozen=True)
class Interaction:
    """The objects of a task, how they are touched, and what the task has to achieve."""

    scene: Scene = field(default_factory=Scene)
    """The objects at the start; there may be none."""
    contacts: tuple[Contact, ...] = ()
    """Planned contacts with the objects, if their times are known."""
    checks: tuple[Check, ...] = ()
    """What the task has to achieve."""

    def within(self, start: float, end: float) -> Interaction:
        """The same with the times of a motion that covers the video from ``start`` to ``end``, s.

        Raises
        ------
        Refused
            A planned contact is outside that part, so that the motion cannot do the task.
        """
        for contact in self.contacts:
            if contact.start < start - _TOLERANCE or contact.end > end + _TOLERANCE:
                body = contact.body.replace("_", " ")
                what = f"hold or touch the {contact.object}" if contact.object else "move"
                raise Refused(
                    f"The motion covers {start:.1f} s to {end:.1f} s of the video only, but the {body} has to {what} "
                    f"from {contact.start:.1f} s to {contact.end:.1f} s."
                )
        shifted = (c.at_times(max(c.start - start, 0.0), max(c.end - start, 0.0)) for c in self.contacts)
        return replace(self, contacts=tuple(shifted))
