"""From where a person is seen whose objects may stand in the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from exoactor_core.body import BODY_JOINT_NAMES
from exoactor_core.contacts import Contact
from exoactor_gen.mannequin.objects import ObjectMotion, surface_distance
from exoactor_gen.mannequin.rendering.camera import Camera

_FRAME_STEP = 10
"""Frames between two that are looked at."""
_CLEAR, _STEP, _REACH = 0.12, 0.04, 4.0
"""m from a joint along its line of sight: where it begins to be looked at, in steps of, and up to."""
_MAX_HIDDEN_SHARE = 0.05
"""Share of the joints that may be hidden in a view that is taken without a look at others."""


def hidden_share(camera: Camera, joints: np.ndarray, objects: Sequence[ObjectMotion]) -> float:
    """Share of the joints (T, J, 3) m that objects hide from a camera, over all frames."""
    towards = camera.positions[:, None] - joints
    distance = np.linalg.norm(towards, axis=-1)
    along = np.arange(_CLEAR, _REACH, _STEP)
    points = joints[:, :, None] + (towards / distance[..., None])[:, :, None] * along[:, None]
    in_way = np.zeros(points.shape[:3], dtype=bool)
    for obj in objects:
        in_way |= surface_distance(obj, points) < 0.0
    return float(np.mean(np.any(in_way & (along < distance[..., None]), axis=-1)))


def clear_view(
    camera_of: Callable[[str], Camera], joints: np.ndarray, objects: Sequence[ObjectMotion], contacts: Sequence[Contact]
) -> str:
    """The view, of which ``camera_of`` gives the camera, in which a person who acts on objects is seen best.

    From the side a bow and a reach are measured across the image and not in depth; from the side of the hand that acts,
    or else the one where objects hide less. ``joints`` (T, 55, 3) m are SMPL-X's in the world.
    """
    left, right = (sum(contact.body.startswith(side) for contact in contacts) for side in ("left", "right"))
    views = ["side", "side_left", "three_quarter", "three_quarter_left"]
    if left > right:
        views = ["side_left", "side", "three_quarter_left", "three_quarter"]
    joints = joints[::_FRAME_STEP, : len(BODY_JOINT_NAMES)]  # without fingers and face
    seen = [replace(o, position=o.position[::_FRAME_STEP], rotation=o.rotation[::_FRAME_STEP]) for o in objects]
    hidden: dict[str, float] = {}
    for view in views:
        hidden[view] = hidden_share(camera_of(view), joints, seen)
        if hidden[view] < _MAX_HIDDEN_SHARE:
            return view
    return min(hidden, key=hidden.__getitem__)
