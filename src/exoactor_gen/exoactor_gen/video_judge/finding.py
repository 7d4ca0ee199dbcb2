"""Findings of the judge of a video."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Finding for one requirement of a video."""

    name: str
    score: float
    """In [0, 1]; 1 is perfect."""
    passed: bool
    """Whether no evidence speaks against it."""
    text: str
    """One sentence: the observation, and if failed, the requirement."""
    unchecked: str = ""
    """Evidence that would be needed to pass, but cannot be seen: such a finding may fail, but does not pass."""

    @property
    def open(self) -> bool:
        """Whether it has neither failed nor passed."""
        return self.passed and bool(self.unchecked)
