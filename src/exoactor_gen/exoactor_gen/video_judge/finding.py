"""What a judge of a video finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What was seen of one thing that is asked of a video."""

    name: str
    score: float
    """In [0, 1]: how well it is as it should be."""
    passed: bool
    """Nothing that was looked at speaks against it."""
    text: str
    """One sentence: what was seen; when failed also what was wanted."""
    unchecked: str = ""
    """What it would take to call it right, and cannot be seen: such a finding may be bad, but it does not pass."""

    @property
    def open(self) -> bool:
        """Whether it neither failed nor can be said to have passed."""
        return self.passed and bool(self.unchecked)
