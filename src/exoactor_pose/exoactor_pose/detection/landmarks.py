"""The 33 MediaPipe landmarks of the person in every frame of a video."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from exoactor_core.stages import Metrics

_PER_FRAME = ("image", "world", "found", "hands", "hands_world", "camera_rotation")


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of the person in T frames, in MediaPipe's order."""

    fps: float
    width: int
    height: int
    image: np.ndarray
    """(T, 33, 3): x px, y px, visibility in [0, 1]; zeros if no person was found."""
    world: np.ndarray | None
    """(T, 33, 3) m, relative to the middle of the hips; x right, y down, z away from the camera; None: depth is
    unknown."""
    found: np.ndarray
    """(T,) bool."""
    hands: np.ndarray | None = None
    """(T, 2, 21, 3): the left and the right hand's landmarks in MediaPipe's order: x px, y px, confidence in [0, 1],
    0 where unseen."""
    hands_world: np.ndarray | None = None
    """(T, 2, 21, 3) m relative to the hand's centre, axes as in ``world``."""
    camera_rotation: np.ndarray | None = None
    """(T, 3, 3) rotation from the first frame's camera to this frame's camera; None: the camera stands still."""
    camera_travels: bool = False
    """Whether the camera travels, besides turning."""
    focal_ratio: float = 1.0
    """Focal length relative to the assumed one, from the background of a turning camera."""
    focal_std: float = 0.0
    """Its relative standard deviation."""
    start: int = 0
    """Number of the first of these frames in the video."""
    notes: tuple[str, ...] = ()
    """Sentences with times on what was lost: cuts, empty stretches, the person leaving the image, several people."""
    facts: Metrics = field(default_factory=dict)
    """Facts about the whole video: see `exoactor_pose.video.facts`."""

    def __len__(self) -> int:
        return len(self.found)

    def part(self, first: int, stop: int) -> Landmarks:
        """The frames of the video from ``first`` up to, but not including, ``stop``."""
        return replace(self._at(slice(first - self.start, stop - self.start)), start=first)

    def every(self, step: int) -> Landmarks:
        """Every ``step``-th frame, as of a video of a lower frame rate."""
        return replace(self._at(slice(None, None, step)), fps=self.fps / step, start=self.start // step)

    def _at(self, frames: slice) -> Landmarks:
        fields: dict[str, Any] = {name: getattr(self, name) for name in _PER_FRAME}
        return replace(self, **{name: values[frames] for name, values in fields.items() if values is not None})
