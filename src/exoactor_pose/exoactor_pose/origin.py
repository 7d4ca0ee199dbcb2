"""Origin of a motion: it starts at x = y = 0, facing +x."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.body import BodyModel
from exoactor_core.motion import HumanMotion

HEADING_SECONDS = 0.2
"""s over which the initial heading is averaged."""


def at_origin(motion: HumanMotion, body: BodyModel) -> HumanMotion:
    """The motion moved over the floor, and turned about the vertical, so that it starts at x = y = 0 facing +x."""
    offset = body.rest_joints(motion.betas)[0]
    pelvis, root = path_at_origin(motion.transl + offset, Rotation.from_rotvec(motion.global_orient), motion.fps)
    return replace(motion, transl=pelvis - offset, global_orient=root.as_rotvec())


def path_at_origin(pelvis: np.ndarray, root: Rotation, fps: float) -> tuple[np.ndarray, Rotation]:
    """The same for the pelvis alone: positions (T, 3) m, and T rotations from SMPL's rest pose to the world."""
    ahead = root.apply([0.0, 0.0, 1.0])[: max(1, round(HEADING_SECONDS * fps))].mean(axis=0)
    turn = Rotation.from_euler("z", -np.arctan2(ahead[1], ahead[0]))
    return turn.apply(pelvis - pelvis[0] * [1, 1, 0]), turn * root
