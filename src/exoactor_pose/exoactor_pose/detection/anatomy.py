"""Positions of MediaPipe's landmarks on the SMPL-X body, and ranges of its joints.

MediaPipe marks what a viewer sees (the side of the hip, the skin of the face), whereas SMPL-X's joints are centres of
rotation. So each landmark has a joint that it moves with and an offset from it. The offset of the hip is that of
BlazePose's keypoint on the pelvis from the centre of the hip joint in Pose2Sim's OpenSim model (D. Pagnon,
Markers_BlazePose.xml): 22 mm to the side, 15 mm below, 7 mm ahead.
"""

from __future__ import annotations

import numpy as np

from exoactor_core.body import BODY_JOINT_NAMES, BodyModel

_HEAD = {  # from the head joint, of the left side; m
    "nose": (0.0, 0.026, 0.109), "eye_inner": (0.016, 0.061, 0.094), "eye": (0.032, 0.061, 0.088),
    "eye_outer": (0.045, 0.060, 0.078), "ear": (0.076, 0.037, -0.007), "mouth": (0.024, -0.012, 0.100),
}  # fmt: skip
_LIMB = {  # landmark: (joint that moves it, joint or sole point that it is measured from, offset of the left side; m)
    "shoulder": ("collar", "shoulder", (0.0, 0.0, 0.0)),
    "elbow": ("elbow", "elbow", (0.0, 0.0, 0.0)),
    "wrist": ("wrist", "wrist", (0.0, 0.0, 0.0)),
    "pinky": ("wrist", "pinky1", (0.015, 0.0, 0.0)),
    "index": ("wrist", "index1", (0.015, 0.0, 0.0)),
    "thumb": ("wrist", "thumb2", (0.010, 0.0, 0.0)),
    "hip": ("pelvis", "hip", (0.022, -0.015, 0.007)),
    "knee": ("knee", "knee", (0.0, 0.0, 0.0)),
    "ankle": ("ankle", "ankle", (0.0, 0.0, 0.0)),
    "heel": ("ankle", "heel", (0.0, 0.025, 0.005)),
    "foot_index": ("foot", "toe", (0.005, 0.020, 0.0)),
}

LANDMARK_NAMES: tuple[str, ...] = (
    "nose",
    *(f"{side}_{part}" for side in ("left", "right") for part in ("eye_inner", "eye", "eye_outer")),
    *(f"{side}_{part}" for part in ("ear", "mouth", *_LIMB) for side in ("left", "right")),
)
"""MediaPipe's 33 landmarks in its order."""

_SOLE_ORDER = ("left_heel", "left_toe", "right_heel", "right_toe")
SOLE_JOINTS = np.array([7, 10, 8, 11])
"""Joints that carry left heel, left toe, right heel, right toe."""


def landmark_points(body: BodyModel, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks on the rest body: the joints that carry them (33,), and their offsets from those joints (33, 3) m."""
    rest, sole = body.rest_joints(betas), body.rest_foot_points(betas)
    names = list(body.joint_names)
    carriers, offsets = [], []
    for name in LANDMARK_NAMES:
        side, part = name.split("_", 1) if "_" in name else ("left", name)
        mirror = np.array([1.0 if side == "left" else -1.0, 1.0, 1.0])
        if part in _HEAD:
            carrier, from_joint = names.index("head"), mirror * _HEAD[part]
        else:
            moved_by, measured_from, offset = _LIMB[part]
            carrier = names.index(moved_by if moved_by == "pelvis" else f"{side}_{moved_by}")
            point = f"{side}_{measured_from}"
            start = sole[_SOLE_ORDER.index(point)] if point in _SOLE_ORDER else rest[names.index(point)]
            from_joint = start + mirror * offset - rest[carrier]
        carriers.append(carrier)
        offsets.append(from_joint)
    return np.array(carriers), np.array(offsets)


# Trust in each landmark: the face is small and rigid, hands and toes are unsteady.
_TRUST = {
    "nose": 0.4, "eye_inner": 0.1, "eye": 0.2, "eye_outer": 0.1, "ear": 0.5, "mouth": 0.1,
    "shoulder": 1.0, "elbow": 1.0, "wrist": 1.0, "pinky": 0.3, "index": 0.3, "thumb": 0.2,
    "hip": 1.0, "knee": 1.0, "ankle": 1.0, "heel": 0.8, "foot_index": 0.8,
}  # fmt: skip
LANDMARK_TRUST = np.array([_TRUST[n.split("_", 1)[-1]] for n in LANDMARK_NAMES])
"""(33,) weight of each landmark in the fit."""


# Share of the body's mass nearest to each joint: segment masses of Winter (head and neck 0.081, trunk 0.497, upper arm
# 0.028, forearm 0.016, hand 0.006, thigh 0.100, shank 0.0465, foot 0.0145), each split between its two ends.
_MASSES = {
    "pelvis": 0.14, "hip": 0.056, "spine1": 0.10, "knee": 0.065, "spine2": 0.11, "ankle": 0.028, "spine3": 0.147,
    "foot": 0.0055, "neck": 0.03, "collar": 0.0, "head": 0.051, "shoulder": 0.016, "elbow": 0.020, "wrist": 0.014,
}  # fmt: skip
JOINT_MASSES = np.array([_MASSES[n.split("_", 1)[-1]] for n in BODY_JOINT_NAMES])
JOINT_MASSES /= JOINT_MASSES.sum()
"""(22,) share of the body's mass that counts at each body joint, for the centre of mass."""


_SEGMENTS = "shoulder-elbow elbow-wrist hip-knee knee-ankle heel-foot_index hip-shoulder ear-eye"
_SEGMENT_NAMES = (
    *([f"{side}_{end}" for end in segment.split("-")] for side in ("left", "right") for segment in _SEGMENTS.split()),
    *([f"right_{part}", f"left_{part}"] for part in ("shoulder", "hip", "ear")),
)
SEGMENTS = np.array([[LANDMARK_NAMES.index(end) for end in ends] for ends in _SEGMENT_NAMES])
"""(S, 2) pairs of landmarks whose directions in space MediaPipe's world landmarks give."""

# Range of each left joint's axis-angle components (rad): comfortable ranges of an adult with some room, and the spread
# of the pull towards zero. Components about y and z change sign on the right side.
_RANGES = {
    #            x low, high    y low, high    z low, high    spread x, y, z
    "hip":      ((-2.3, 0.7), (-0.8, 0.8), (-0.6, 1.2), (2.0, 0.6, 0.8)),
    "spine1":   ((-0.3, 0.7), (-0.4, 0.4), (-0.35, 0.35), (0.30, 0.20, 0.20)),
    "knee":     ((0.0, 2.6), (-0.1, 0.1), (-0.1, 0.1), (3.0, 0.05, 0.05)),
    "spine2":   ((-0.3, 0.7), (-0.4, 0.4), (-0.35, 0.35), (0.30, 0.20, 0.20)),
    "ankle":    ((-0.8, 0.9), (-0.5, 0.5), (-0.5, 0.5), (0.5, 0.25, 0.25)),
    "spine3":   ((-0.3, 0.5), (-0.4, 0.4), (-0.35, 0.35), (0.25, 0.20, 0.20)),
    "foot":     ((-0.9, 0.3), (-0.1, 0.1), (-0.1, 0.1), (0.10, 0.03, 0.03)),
    "neck":     ((-0.6, 0.6), (-0.8, 0.8), (-0.5, 0.5), (0.25, 0.40, 0.25)),
    "collar":   ((-0.3, 0.3), (-0.4, 0.4), (-0.5, 0.5), (0.05, 0.12, 0.12)),
    "head":     ((-0.6, 0.6), (-0.8, 0.8), (-0.5, 0.5), (0.25, 0.40, 0.25)),
    "shoulder": ((-1.8, 1.8), (-2.2, 2.2), (-2.2, 2.2), (1.5, 2.0, 2.0)),
    "elbow":    ((-0.5, 0.5), (-2.6, 0.05), (-0.3, 0.3), (0.25, 3.0, 0.10)),
    "wrist":    ((-1.2, 1.2), (-0.8, 0.8), (-1.2, 1.2), (0.40, 0.25, 0.30)),
}  # fmt: skip


def joint_ranges() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower bound, upper bound and spread, each (21, 3) rad, of the axis-angle components of body joints 1-21."""
    low, high, spread = np.empty((21, 3)), np.empty((21, 3)), np.empty((21, 3))
    for k, name in enumerate(BODY_JOINT_NAMES[1:]):
        bounds = np.array(_RANGES[name.split("_", 1)[-1]][:3])
        spread[k] = _RANGES[name.split("_", 1)[-1]][3]
        if name.startswith("right_"):
            bounds[1:] = -bounds[1:, ::-1]
        low[k], high[k] = bounds.T
    return low, high, spread
