"""Change of a human motion's frame rate."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from exoactor.motion import HumanMotion


def resample(motion: HumanMotion, fps: float) -> HumanMotion:
    """Return the motion at ``fps``: orientations by slerp, positions linearly, contacts of the nearest frame."""
    if len(motion) == 1 or abs(motion.fps - fps) < 1e-9:
        return HumanMotion(
            fps, motion.transl, motion.global_orient, motion.body_pose, motion.betas, motion.hand_pose,
            motion.contacts, motion.confidence,
        )  # fmt: skip
    old = np.arange(len(motion)) / motion.fps
    new = np.minimum(np.arange(int(np.floor(old[-1] * fps + 1e-6)) + 1) / fps, old[-1])
    nearest = np.clip(np.rint(new * motion.fps).astype(int), 0, len(old) - 1)

    def linear(values: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(new, old, column) for column in values.T], axis=1)

    def turning(values: np.ndarray) -> np.ndarray:
        parts = values.reshape(len(old), -1, 3)
        return np.concatenate(
            [Slerp(old, Rotation.from_rotvec(parts[:, k]))(new).as_rotvec() for k in range(parts.shape[1])], axis=1
        )

    return HumanMotion(
        fps=fps,
        transl=linear(motion.transl),
        global_orient=turning(motion.global_orient),
        body_pose=turning(motion.body_pose),
        betas=motion.betas,
        hand_pose=linear(motion.hand_pose),
        contacts=motion.contacts[nearest],
        confidence=np.interp(new, old, motion.confidence),
    )
