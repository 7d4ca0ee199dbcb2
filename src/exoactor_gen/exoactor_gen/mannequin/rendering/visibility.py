"""Choice of views in which objects hide little of the person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from exoactor_core.body import BODY_JOINT_NAMES
from exoactor_core.contacts import SIDES, Contact
from exoactor_gen.mannequin.objects import ObjectMotion, surface_distance
from exoactor_gen.mannequin.rendering.camera import Camera

_FRAME_STEP = 10
"""Every n-th frame is checked."""
_CLEAR, _STEP, _REACH = 0.12, 0.04, 4.0
"""m along the line of sight from a joint: start, step and end of the check."""
_MAX_HIDDEN_SHARE = 0.05
"""Share of hidden joints up to which a view is taken without checking others."""
_MAX_HIDDEN_HAND = 0.5
"""The same for elbow and wrist of an acting hand, while it acts."""
_REACH_SECONDS = 0.7
"""s before and after a hand touches an object."""
_TRUNK_RADIUS = 0.12
"""m, from pelvis to head."""
_BEHIND, _CROUCHED = 2.0, 0.6
"""rad from a person's heading beyond which a camera sees the back, from where crouches are not measurable; share of a
pelvis' usual height below which a person crouches."""


def hidden_share(
    camera: Camera, joints: np.ndarray, objects: Sequence[ObjectMotion], trunk: np.ndarray | None = None
) -> float:
    """Share of the joints (T, J, 3) m that objects hide from a camera, over all frames.

    The person's own trunk, ``trunk`` (T, 2, 3) m from pelvis to head, hides as well if given.
    """
    towards = camera.positions[:, None] - joints
    distance = np.linalg.norm(towards, axis=-1)
    along = np.arange(_CLEAR, _REACH, _STEP)
    points = joints[:, :, None] + (towards / distance[..., None])[:, :, None] * along[:, None]
    in_way = np.zeros(points.shape[:3], dtype=bool)
    for obj in objects:
        in_way |= surface_distance(obj, points) < 0.0
    if trunk is not None:
        in_way |= _distance_from_line(points, trunk) < _TRUNK_RADIUS
    return float(np.mean(np.any(in_way & (along < distance[..., None]), axis=-1)))


def _distance_from_line(points: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distance of points (T, ..., 3) from the segment between two ends (T, 2, 3)."""
    start, end = (ends[:, k].reshape(len(ends), *[1] * (points.ndim - 2), 3) for k in range(2))
    way = end - start
    share = np.sum((points - start) * way, axis=-1) / np.sum(way * way, axis=-1)
    return np.linalg.norm(points - start - share.clip(0.0, 1.0)[..., None] * way, axis=-1)


def hand_hidden_share(
    camera: Camera, joints: np.ndarray, objects: Sequence[ObjectMotion], contact: Contact, fps: float
) -> float:
    """Share of elbow and wrist that objects and trunk hide while a hand begins to touch an object, or gestures.

    ``joints`` (T, 55, 3) m are SMPL-X's in the world.
    """
    begin, end = contact.start, contact.end
    if contact.kind != "gesture":  # a held object may hide it for the rest
        begin, end = begin - _REACH_SECONDS, min(end, begin + _REACH_SECONDS)
    frames = slice(max(0, round(begin * fps)), round(end * fps) + 1, _FRAME_STEP // 2)
    arm = [BODY_JOINT_NAMES.index(f"{SIDES[contact.side]}_{joint}") for joint in ("elbow", "wrist")]
    others = [at_frames(obj, frames) for obj in objects if obj.object.item.id != contact.object]
    trunk = joints[frames][:, [BODY_JOINT_NAMES.index(name) for name in ("pelvis", "head")]]
    return hidden_share(camera, joints[frames][:, arm], others, trunk)


def seen_from_behind(camera: Camera, joints: np.ndarray, contact: Contact, fps: float) -> bool:
    """Whether a camera sees the back of a person who crouches as a hand begins to touch an object, or lets it go.

    ``joints`` (T, 55, 3) m are SMPL-X's in the world.
    """
    ends = [contact.start, contact.end] if contact.end * fps < len(joints) - 1 else [contact.start]
    frames = np.minimum(np.rint(np.array(ends) * fps).astype(int), len(joints) - 1)
    left, right = (joints[frames, BODY_JOINT_NAMES.index(f"{side}_hip"), :2] for side in SIDES)
    across = left - right
    ahead = np.stack([across[:, 1], -across[:, 0]], axis=1)
    towards = (np.broadcast_to(camera.positions, (len(joints), 3))[frames] - joints[frames, 0])[:, :2]
    cosine = np.sum(ahead * towards, axis=1) / np.linalg.norm(ahead, axis=1) / np.linalg.norm(towards, axis=1)
    height = joints[:, 0, 2]
    crouches = height[frames] < _CROUCHED * np.percentile(height, 90)
    return bool(np.any(crouches & (cosine < np.cos(_BEHIND))))


def at_frames(obj: ObjectMotion, frames: slice) -> ObjectMotion:
    """The object's motion in some frames."""
    return replace(obj, position=obj.position[frames], rotation=obj.rotation[frames])


def clear_view(
    camera_of: Callable[[str], Camera],
    joints: np.ndarray,
    objects: Sequence[ObjectMotion],
    contacts: Sequence[Contact],
    fps: float,
) -> str:
    """The best of the views, whose cameras ``camera_of`` returns, for a person who acts on objects.

    From the side a bow and a reach are measured across the image rather than in depth. The side of the acting hand is
    preferred, or else the one with fewer hidden parts, such that no acting hand is hidden most of the time, not even by
    the body, and that a person who crouches is not seen from behind meanwhile. ``joints`` (T, 55, 3) m are SMPL-X's in
    the world.
    """
    left, right = (sum(contact.body.startswith(side) for contact in contacts) for side in SIDES)
    views = ["side", "side_left", "three_quarter", "three_quarter_left"]
    if left > right:
        views = ["side_left", "side", "three_quarter_left", "three_quarter"]
    some = slice(None, None, _FRAME_STEP)
    body = joints[some, : len(BODY_JOINT_NAMES)]  # without fingers and face
    seen = [at_frames(obj, some) for obj in objects]
    hands = [contact for contact in contacts if contact.body.endswith("hand")]
    hidden: dict[str, float] = {}
    for view in views:
        camera = camera_of(view)
        share = hidden_share(camera, body, seen)
        worst = max((hand_hidden_share(camera, joints, objects, hand, fps) for hand in hands), default=0.0)
        behind = any(seen_from_behind(camera, joints, hand, fps) for hand in hands)
        if share < _MAX_HIDDEN_SHARE and worst < _MAX_HIDDEN_HAND and not behind:
            return view
        hidden[view] = share + worst + behind
    return min(hidden, key=hidden.__getitem__)
