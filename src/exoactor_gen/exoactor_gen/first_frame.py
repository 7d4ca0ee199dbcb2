"""First frames of video models' videos: a given image, in which the robot may be replaced with a person.

With a scene and no image, the scene is rendered with a person; its camera and the person's height are then known, and
passed to the estimator.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exoactor_core.interaction import Interaction
from exoactor_core.scene import Scene
from exoactor_core.stages import GenerateRequest
from exoactor_core.video import Intrinsics
from exoactor_gen.embodiment.embodiment import Embodiment
from exoactor_gen.mannequin.mannequin import Mannequin
from exoactor_gen.mannequin.task import interaction_of
from exoactor_gen.plan import Plan
from exoactor_gen.waiting import ElapsedProgress

_ASPECT_TOLERANCE = 0.02
"""Relative difference of aspect ratio up to which a video shows all of its first frame."""


def first_image(
    request: GenerateRequest,
    plan: Plan,
    embody: Embodiment | None,
    size: tuple[int, int] | None,
    status: ElapsedProgress,
) -> tuple[np.ndarray | None, dict[str, Any]]:
    """The first frame, (H, W, 3) uint8 RGB, of a video, None if there is none; and its record.

    A scene is rendered in a ``size`` (width and height, px); None: the model takes no image. Raises as `Embodiment` and
    `drawn`.
    """
    image = request.scene_image
    if embody:
        status.set(0.0, "Turning the robot into a person")
        image, record = embody(image, status.tick, request.attempt)
        return image, {"embodiment": record}
    if image is not None or request.scene is None or size is None:
        return image, {}
    status.set(0.0, "Drawing the scene that the video begins with")
    image, drawn_with = drawn(plan, request.scene, request.attempt, *size)
    return image, {"first_frame": drawn_with}


def drawn(plan: Plan, scene: Scene, seed: int, width: int, height: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Render a scene in its initial state, with a person of the robot's stature at its origin.

    Returns the image, (H, W, 3) uint8 RGB, and the record of its camera, which `known_of` reads.

    Raises
    ------
    Missing
        The renderer cannot be started.
    """
    interaction = interaction_of(plan, scene) or Interaction(scene)
    image, intrinsics, stature = Mannequin(seed=seed, width=width, height=height).first_frame(interaction)
    size = {"width": image.shape[1], "height": image.shape[0]}
    return image, {**size, "intrinsics": list(intrinsics), "person_height": stature}


def known_of(record: dict[str, Any], width: int, height: int) -> tuple[Intrinsics | None, float]:
    """Camera and person's height, m, of a video of this size that begins with a first frame.

    If the video shows only a part of the frame, its camera is unknown: None.
    """
    scale = width / record["width"]
    whole = abs(height / (scale * record["height"]) - 1.0) < _ASPECT_TOLERANCE
    fx, fy, cx, cy = (scale * value for value in record["intrinsics"])
    return (fx, fy, cx, cy) if whole else None, record["person_height"]
