"""What a video model's video begins with where there is a scene and no photograph: the scene and a person, drawn.

The camera and the person's stature are known then, and the estimator is given both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from exoactor_core.interaction import Interaction
from exoactor_core.video import Intrinsics, Video
from exoactor_gen.mannequin.mannequin import Mannequin

_SAME_SHAPE = 0.02
"""Share by which a video may be wider or narrower than its first frame and still show all of it."""


@dataclass(frozen=True)
class FirstFrame:
    """An image, who is in it, and what it was drawn with."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    intrinsics: Intrinsics
    person_height: float
    """m."""

    @classmethod
    def draw(cls, interaction: Interaction, seed: int, width: int, height: int) -> FirstFrame:
        """Draw a scene before anything has moved, and a person of the robot's stature who stands at its origin.

        Raises
        ------
        Missing
            The renderer cannot be started.
        """
        return cls(*Mannequin(seed=seed, width=width, height=height).first_frame(interaction))

    def record(self) -> dict[str, Any]:
        """What is kept with the video, and `stated_in` reads."""
        height, width, _ = self.image.shape
        known = {"intrinsics": list(self.intrinsics), "person_height": self.person_height}
        return {"width": width, "height": height, **known}


def stated_in(video: Video, record: dict[str, Any]) -> Video:
    """The video that begins with a first frame, stating the person's stature, and its camera where it is uncropped."""
    scale = video.width / record["width"]
    whole = abs(video.height / (scale * record["height"]) - 1.0) < _SAME_SHAPE
    fx, fy, cx, cy = (scale * value for value in record["intrinsics"])
    return video.stating((fx, fy, cx, cy) if whole else None, record["person_height"])
