"""A person's motion for policies that follow people: joints in the pelvis' axes, and its orientation.

The conventions are SONIC's (github.com/NVlabs/GR00T-WholeBodyControl, gear_sonic).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from exoactor_core.arrays import interpolate
from exoactor_core.body import HUMAN_JOINT_NAMES, BodyModel
from exoactor_core.motion import HumanMotion
from exoactor_core.rotations import about_z

NUM_HUMAN_JOINTS = 24
_JOINTS = [*range(22), HUMAN_JOINT_NAMES.index("left_thumb3"), HUMAN_JOINT_NAMES.index("right_thumb3")]
# SMPL's rest pose looks along z with y up; this turns a body that looks along x with z up into it.
_REST = Rotation.from_quat([0.5, 0.5, 0.5, 0.5])

_FIST = 1.4  # rad, mean bend of a finger's joints in a fist: some 90, 95 and 60 degrees


@dataclass(frozen=True)
class Human:
    """A person's motion, T frames; a single frame lacks that axis."""

    joints: np.ndarray
    """(T, 24, 3) m: the 22 body joints and the two thumbs' last joints, from the pelvis, in the pelvis' axes."""
    root: np.ndarray
    """(T, 3, 3) orientations of the pelvis in the world: x forward, y left, z up while standing."""
    hands: np.ndarray | None = None
    """(T, 2) openness of the left and the right hand: 0 a fist, 1 flat; None: unknown."""

    @classmethod
    def sample(cls, motion: HumanMotion, times: np.ndarray) -> Human:
        """Sample a motion at ``times``, (T,) s from its first frame; its ends are held."""
        world = BodyModel.load().joints(motion)[:, _JOINTS]
        turned = Rotation.from_rotvec(motion.global_orient) * _REST.inv()
        local = np.einsum("tji,tkj->tki", turned.as_matrix(), world - world[:, :1]).reshape(len(motion), -1)
        t = np.arange(len(motion)) / motion.fps
        times = np.clip(times, 0.0, t[-1])
        joints = interpolate(times, t, local)
        root = Slerp(t, turned)(times) if len(t) > 1 else turned[np.zeros(len(times), dtype=int)]
        assert motion.hand_pose is not None  # set by HumanMotion
        hands = interpolate(times, t, hand_openness(motion.hand_pose))
        return cls(joints.reshape(-1, NUM_HUMAN_JOINTS, 3), root.as_matrix(), hands)

    def __getitem__(self, i: int) -> Human:
        return Human(self.joints[i], self.root[i], None if self.hands is None else self.hands[i])

    def turned(self, angle: float) -> Human:
        """Return the same person in a world rotated about z by so many rad."""
        return Human(self.joints, about_z(angle) @ self.root, self.hands)


def hand_openness(hand_pose: np.ndarray) -> np.ndarray:
    """Openness of the hands of SMPL-X's ``hand_pose`` (T, 90): (T, 2), 0 a fist, 1 flat.

    Computed from the mean bend of the finger joints, without the thumb, whose bend says little.
    """
    bends = np.linalg.norm(hand_pose.reshape(-1, 2, 15, 3)[:, :, :12], axis=-1)
    return np.clip(1.0 - bends.mean(axis=-1) / _FIST, 0.0, 1.0)
