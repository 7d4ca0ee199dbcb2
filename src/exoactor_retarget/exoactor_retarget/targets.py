"""What the robot should do in each frame: the person's posture in the robot's proportions, feet planted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from exoactor.body import BodyModel
from exoactor.motion import HumanMotion
from exoactor_retarget.contacts import foot_contacts, intervals
from exoactor_retarget.geometry import geometry

# SMPL-X's rest pose is y up, facing +z, left +x, palms down; columns are the robot's axes in it.
_LINK = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])  # x forward, y left, z up
_HAND = np.stack([np.eye(3), np.diag([-1.0, -1, 1])])  # x along the hand, z to the thumb
_ARM = np.stack([np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]),  # z up the arm, x where the elbow bends to
                 np.array([[0.0, 0, 1], [0, -1, 0], [1, 0, 0]])])  # fmt: skip


# A foot in contact that moves further than this really slides (m, scaled) or pivots (rad).
_SLIDES, _PIVOTS = 0.10, 0.6


@dataclass(frozen=True)
class Targets:
    """Targets in the world frame, T frames; sides are left, right."""

    fps: float
    pelvis_pos: np.ndarray
    """(T, 3) m."""
    pelvis_rot: np.ndarray
    """(T, 3, 3)."""
    torso_rot: np.ndarray
    """(T, 3, 3)."""
    foot_pos: np.ndarray
    """(T, 2, 3) ankle roll links, m."""
    foot_rot: np.ndarray
    """(T, 2, 3, 3)."""
    foot_yaw: np.ndarray
    """(T, 2) rad."""
    contact: np.ndarray
    """(T, 2) bool."""
    thigh: np.ndarray
    """(T, 2, 3) unit vectors from hip to knee."""
    shank: np.ndarray
    """(T, 2, 3) unit vectors from knee to ankle."""
    upper_arm: np.ndarray
    """(T, 2, 3) unit vectors from shoulder to elbow."""
    forearm: np.ndarray
    """(T, 2, 3) unit vectors from elbow to wrist."""
    arm_rot: np.ndarray
    """(T, 2, 3, 3) upper arm: z up the arm, x where the elbow bends to (a weak hint when the arm is straight)."""
    hand_rot: np.ndarray
    """(T, 2, 3, 3) wrist yaw links."""


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def _lateral(left_axis: np.ndarray) -> np.ndarray:
    """Heading angles of unit vectors to the left, (..., 3) -> (...): well defined however far the body bows."""
    return np.arctan2(-left_axis[..., 0], left_axis[..., 1])


def _bridge(raw: np.ndarray, locked: np.ndarray, contact: np.ndarray) -> np.ndarray:
    """Move a signal so that it equals ``locked`` while in contact, and keeps its own shape between contacts."""
    shift = np.zeros_like(raw)
    runs = intervals(contact)
    if not runs:
        return raw
    for a, b in runs:
        shift[a:b] = locked[a:b] - raw[a:b]
    for a, b in intervals(~contact):
        before = shift[a - 1] if a > 0 else shift[b]
        after = shift[b] if b < len(raw) else shift[a - 1]
        share = _smoothstep((np.arange(a, b) - a + 1) / (b - a + 1)).reshape(-1, *[1] * (raw.ndim - 1))
        shift[a:b] = before + share * (after - before)
    return raw + shift


def _held(values: np.ndarray, trim: int, most: float, fps: float) -> np.ndarray:
    """Mean of a contact's middle; a contact in which the person's own foot moves by more than ``most`` is followed."""
    middle = values[trim : len(values) - trim]
    if np.linalg.norm(np.ptp(middle, axis=0)) <= most:
        return np.broadcast_to(middle.mean(axis=0), values.shape)
    return gaussian_filter1d(values, 0.25 * fps, axis=0, mode="nearest")


def _planted(
    pos: np.ndarray, rot: np.ndarray, contact: np.ndarray, soles: np.ndarray, fps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lock one foot flat on the floor during each contact; returns positions, rotations, headings."""
    height = -soles[:, 2].min()
    yaw = np.unwrap(_lateral(rot[:, :, 1]))
    tilt = Rotation.from_euler("z", -yaw[:, None]) * Rotation.from_matrix(rot)
    locked_pos, locked_yaw = pos.copy(), yaw.copy()
    for a, b in intervals(contact):
        trim = (b - a) // 5  # the foot still lands at the start, and already rolls off at the end
        locked_pos[a:b, :2] = _held(pos[a:b, :2], trim, _SLIDES, fps)
        locked_yaw[a:b] = _held(yaw[a:b, None], trim, _PIVOTS, fps)[:, 0]
    locked_pos[contact, 2] = height
    pos = _bridge(pos, locked_pos, contact)
    yaw = _bridge(yaw, locked_yaw, contact)
    pos[:, 2] = np.maximum(pos[:, 2], height)
    # Tilt grows from zero with the time from the nearest contact.
    frames = np.arange(len(pos))
    away = np.full(len(pos), np.inf)
    for a, b in intervals(contact):
        away = np.minimum(away, np.maximum(np.maximum(a - frames, frames - b + 1), 0))
    share = _smoothstep(away / max(0.12 * fps, 1.0))
    rotation = Rotation.from_euler("z", yaw[:, None]) * Rotation.from_rotvec(tilt.as_rotvec() * share[:, None])
    matrix = rotation.as_matrix()
    lowest = np.einsum("tj,cj->tc", matrix[:, 2], soles).min(axis=1) + pos[:, 2]
    pos[:, 2] += np.maximum(-lowest, 0.0)
    return pos, matrix, yaw


def make_targets(motion: HumanMotion, body: BodyModel, mapping: dict[str, Any]) -> Targets:
    """Put a grounded human motion (with contacts) into the robot's proportions.

    The root path and the feet are scaled about the first root position by the ratio of leg lengths; the feet stand
    further apart by the difference of hip widths; heights are scaled above the ankle.
    """
    human, scale, fps = mapping["human"], mapping["scale"], motion.fps
    index = {name: i for i, name in enumerate(body.joint_names)}

    def joints(key: str) -> list[int]:
        return [index[name] for name in human[key]]

    g1 = geometry()
    rot, pos = body.transforms(motion)
    rest, soles = body.rest_joints(motion.betas), body.rest_foot_points(motion.betas)
    hips, feet = joints("hips"), joints("feet")
    leg = np.mean(rest[hips, 1] - rest[feet, 1])
    ankle = np.mean(rest[feet, 1]) - np.mean(soles[:, 1])
    ratio = g1.leg / leg

    pelvis_rot = rot[:, index[human["pelvis"]]] @ _LINK
    middle = pos[:, hips].mean(axis=1)
    origin = np.array([*middle[0, :2], 0.0])

    def scaled(points: np.ndarray, lift: float) -> np.ndarray:
        out = origin + ratio * (points - origin)
        out[..., 2] = g1.ankle_height + lift * ratio * (points[..., 2] - ankle)
        return out

    hip_middle = g1.hips.mean(axis=0)
    pelvis_pos = scaled(middle, scale["reach"]) - pelvis_rot @ hip_middle

    heading = np.unwrap(_lateral(pelvis_rot[:, :, 1]))
    heading = gaussian_filter1d(heading, 0.15 * fps, mode="nearest")
    left = np.stack([-np.sin(heading), np.cos(heading), np.zeros_like(heading)], axis=1)
    half_width = abs(g1.hips[0, 1] - g1.hips[1, 1]) / 2 - ratio * abs(rest[hips[0], 0] - rest[hips[1], 0]) / 2
    foot_pos = scaled(pos[:, feet], 1.0)
    foot_pos += scale["stance_width"] * half_width * np.stack([left, -left], axis=1)
    foot_rot = rot[:, feet] @ _LINK
    contact = foot_contacts(motion.contacts, fps, mapping["contacts"]["shortest"])
    foot_yaw = np.zeros(contact.shape)
    for k in range(2):
        foot_pos[:, k], foot_rot[:, k], foot_yaw[:, k] = _planted(
            foot_pos[:, k], foot_rot[:, k], contact[:, k], g1.soles[k], fps
        )

    knees, shoulders, elbows, wrists = (joints(k) for k in ("knees", "shoulders", "elbows", "wrists"))
    forearm = _unit(pos[:, wrists] - pos[:, elbows])
    upper_arm = _unit(pos[:, elbows] - pos[:, shoulders])
    return Targets(
        fps=fps,
        pelvis_pos=pelvis_pos,
        pelvis_rot=pelvis_rot,
        torso_rot=rot[:, index[human["torso"]]] @ _LINK,
        foot_pos=foot_pos,
        foot_rot=foot_rot,
        foot_yaw=foot_yaw,
        contact=contact,
        thigh=_unit(pos[:, knees] - pos[:, hips]),
        shank=_unit(pos[:, feet] - pos[:, knees]),
        upper_arm=upper_arm,
        forearm=forearm,
        arm_rot=_arm_frames(upper_arm, forearm, rot[:, shoulders] @ _ARM),
        hand_rot=rot[:, wrists] @ _HAND,
    )


def _arm_frames(upper_arm: np.ndarray, forearm: np.ndarray, hint: np.ndarray) -> np.ndarray:
    """Frames of the upper arms whose x is the side that the elbow bends to; ``hint`` rules when the arm is straight."""
    z = -upper_arm
    bend = forearm - np.sum(forearm * z, axis=-1, keepdims=True) * z
    share = _smoothstep((np.linalg.norm(bend, axis=-1, keepdims=True) - 0.15) / 0.25)
    straight = hint[..., 0] - np.sum(hint[..., 0] * z, axis=-1, keepdims=True) * z
    x = share * _unit(bend) + (1 - share) * _unit(straight)
    x = _unit(x - np.sum(x * z, axis=-1, keepdims=True) * z)
    return np.stack([x, np.cross(z, x), z], axis=-1)
