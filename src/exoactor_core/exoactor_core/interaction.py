"""What a task has to do with the objects around the robot."""

from __future__ import annotations

from dataclasses import dataclass, field

from exoactor_core.contacts import Contact
from exoactor_core.scene import Scene
from exoactor_core.task_checks import Check


@dataclass(frozen=True)
class Interaction:
    """The objects of a task, how they are touched, and what is to become of them."""

    scene: Scene = field(default_factory=Scene)
    """The objects as they are at the start; there may be none."""
    contacts: tuple[Contact, ...] = ()
    """Planned contacts with them, where their times are known."""
    checks: tuple[Check, ...] = ()
    """What the task is to bring about."""
