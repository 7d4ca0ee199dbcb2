"""What a judge of a video finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    score: float
    """In [0, 1]: how well it is as it should be."""
    passed: bool
    text: str
    """One sentence: what was seen; when failed also what was wanted."""
