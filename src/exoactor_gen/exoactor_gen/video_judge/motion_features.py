"""Features of a motion by which actions are recognised: position, heading, hands, feet, posture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exoactor_core.arrays import interpolate
from exoactor_core.body import BODY_JOINT_NAMES, BodyModel
from exoactor_core.contacts import SIDES
from exoactor_core.motion import HumanMotion

FEATURE_RATE = 15.0
"""Hz, sampling rate of the motion: a clap takes 0.4 s, and estimates come at 10 frames per second or more."""
_JOINT = {name: k for k, name in enumerate(BODY_JOINT_NAMES)}


@dataclass(frozen=True)
class MotionFeatures:
    """Features at N times; pairs are left, right, and triples forward, left, up."""

    position: np.ndarray
    """(N, 2) middle between the ankles in the world, m."""
    heading: np.ndarray
    """(N,) of the pelvis in the world, degrees, unwrapped, positive to the left."""
    hand: np.ndarray
    """(N, 2, 3) from shoulder to wrist, arm lengths."""
    forearm: np.ndarray
    """(N, 2) sine of its elevation."""
    wrist: np.ndarray
    """(N, 2, 3) m from the floor at the middle between the ankles to the wrist."""
    ankle: np.ndarray
    """(N, 2, 3) m from below the hips, where standing ankles are, to the ankle."""
    low: np.ndarray
    """(N, 2) leg lengths by which the wrist is lower than in standing."""
    drop: np.ndarray
    """(N,) leg lengths by which the pelvis is lower than in standing."""
    lean: np.ndarray
    """(N,) forward lean of the trunk, degrees."""
    confidence: np.ndarray
    """(N, 2) confidence of the arms, in [0, 1]; low if hidden."""

    def __getitem__(self, part: slice) -> MotionFeatures:
        return MotionFeatures(**{name: value[part] for name, value in vars(self).items()})

    def __len__(self) -> int:
        return len(self.heading)

    @property
    def turned(self) -> float:
        """Degrees to the left, from the first to the last."""
        return float(self.heading[-1] - self.heading[0])

    @property
    def distance(self) -> float:
        """Metres from the first position to the last."""
        return float(np.linalg.norm(self.position[-1] - self.position[0]))

    @property
    def displacement(self) -> np.ndarray:
        """(2,) m forward and to the left, each increment relative to the heading at that time."""
        step, yaw = np.diff(self.position, axis=0), np.radians(self.heading[:-1])
        ahead, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
        return np.array([np.sum(step * ahead.T), np.sum(step * left.T)])


def measure_motion(motion: HumanMotion) -> MotionFeatures:
    """Compute features of a motion at `FEATURE_RATE`, slightly smoothed."""
    body = BodyModel.load()
    rot, pos = body.transforms(motion)
    count = max(2, round(motion.duration * FEATURE_RATE) + 1)
    at = np.linspace(0.0, len(motion) - 1.0, count)

    def sampled(values: np.ndarray) -> np.ndarray:
        x = interpolate(at, np.arange(len(values)), values.reshape(len(values), -1))
        x = np.concatenate([x[:1], x, x[-1:]])
        return (0.25 * x[:-2] + 0.5 * x[1:-1] + 0.25 * x[2:]).reshape(count, *values.shape[1:])

    left = rot[:, 0, :2, 0]  # across the pelvis, which stays level in a bow
    heading = sampled(np.unwrap(np.arctan2(-left[:, 0], left[:, 1])))
    joints = sampled(pos[:, : len(BODY_JOINT_NAMES)])
    shoulder, elbow, wrist, hip, ankle = (
        joints[:, [_JOINT[f"{side}_{name}"] for side in SIDES]]
        for name in ("shoulder", "elbow", "wrist", "hip", "ankle")
    )
    cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]

    def own(v: np.ndarray) -> np.ndarray:
        return np.stack([cos * v[..., 0] + sin * v[..., 1], cos * v[..., 1] - sin * v[..., 0], v[..., 2]], axis=-1)

    rest = body.rest_joints(motion.betas)
    bones = np.diff(rest[[_JOINT[f"left_{name}"] for name in ("shoulder", "elbow", "wrist")]], axis=0)
    arm = np.linalg.norm(bones, axis=1).sum()
    leg = rest[_JOINT["pelvis"], 1] - rest[_JOINT["left_ankle"], 1]
    hanging = rest[_JOINT["left_shoulder"], 1] - arm - rest[_JOINT["left_ankle"], 1]
    ground = np.percentile(ankle[..., 2].min(axis=1), 10)  # not the minimum, which a single bad frame would determine

    def under(points: np.ndarray) -> np.ndarray:
        return np.concatenate([points.mean(axis=1)[:, :2], np.full((count, 1), ground)], axis=1)[:, None]

    trunk = own((joints[:, _JOINT["neck"]] - joints[:, 0])[:, None])[:, 0]
    fore = wrist - elbow
    return MotionFeatures(
        position=ankle.mean(axis=1)[:, :2],
        heading=np.degrees(heading),
        hand=own(wrist - shoulder) / arm,
        forearm=fore[..., 2] / np.linalg.norm(fore, axis=2),
        wrist=own(wrist - under(ankle)),
        ankle=own(ankle - under(hip)),
        low=(hanging - (wrist[..., 2] - ground)) / leg,
        drop=1.0 - (joints[:, 0, 2] - ground) / leg,
        lean=np.degrees(np.arctan2(trunk[:, 0], trunk[:, 2])),
        confidence=sampled(np.asarray(motion.limb_confidence)[:, :2]),
    )
