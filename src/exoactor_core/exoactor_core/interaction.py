"""A task's objects, the planned contacts with them, and its checks."""

from __future__ import annotations

from dataclasses import dataclass, field

from exoactor_core.contacts import Contact
from exoactor_core.scene import Scene
from exoactor_core.task_checks import Check


@dataclass(frozen=True)
class Interaction:
    """The objects of a task, how they are touched, and what the task has to achieve."""

    scene: Scene = field(default_factory=Scene)
    """The objects at the start; there may be none."""
    contacts: tuple[Contact, ...] = ()
    """Planned contacts with the objects, if their times are known."""
    checks: tuple[Check, ...] = ()
    """What the task has to achieve."""
