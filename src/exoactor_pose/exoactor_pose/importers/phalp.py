"""PHALP's and 4D-Humans' demo_NAME.pkl.

``joblib.dump`` of a table by frame, compressed: ``time``, ``size`` [(h, w)], and lists over the people seen: ``tid``,
``tracked_time`` (more than 0: guessed, not seen), ``smpl`` with ``global_orient`` (1, 3, 3), ``body_pose``
(23, 3, 3) and ``betas`` (10,), ``camera`` (3,): the person's position in the camera's frame (y down), for a focal
length of 5000 on an image of 256 by 256 pixels that holds the whole frame.

It holds neither gravity nor the camera's motion. The camera is taken to stand still, upright is where the person is
upright on the whole: the middle of the mass above the soles. The depth follows from an assumed field of view, and is
smoothed.

Sources: brjathu/PHALP phalp/trackers/PHALP.py, phalp/models/hmar/hmar.py and configs/base.py; 4D-Humans track.py writes
the same.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import unit
from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.motion import HumanMotion
from exoactor_pose.detection.anatomy import JOINT_MASSES
from exoactor_pose.importers.recording import Person, Recording, array, axis_angles, frame_numbers, stature

FOCAL, SIZE = 5000.0, 256.0
FOV_DEG = 55.0
"""Assumed horizontal field of view, as in the other backends."""
SMOOTHING = 3.0
"""Frames (one standard deviation) over which the path is smoothed: frames were estimated independently."""


def tool(data: dict[Any, Any]) -> str:
    """PHALP, or "" if the content is not PHALP's."""
    frames = data and all(isinstance(f, dict) and "tid" in f for f in data.values())
    return "PHALP" if frames and any("smpl" in f and "camera" in f for f in data.values()) else ""


def read(data: dict[Any, dict[str, Any]]) -> Recording:
    """All people in the file."""
    tracks: dict[str, dict[int, tuple[Any, ...]]] = {}
    for number, frame in enumerate(data.values()):
        people = (frame["tid"], frame["smpl"], frame["camera"], frame.get("tracked_time", [0] * len(frame["tid"])))
        size = frame.get("size") or [(1.0, 1.0)] * len(frame["tid"])
        for person in zip(*people, size, strict=False):
            tracks.setdefault(str(person[0]), {})[int(frame.get("time", number))] = person[1:]
    note = "The file has neither gravity nor the camera's motion: the camera is taken to stand still."
    return Recording({name: _person(track) for name, track in tracks.items()}, notes=(note,))


def _person(track: dict[int, tuple[Any, ...]]) -> Person:
    frames = frame_numbers({"time": sorted(track)}, "time", len(track))
    smpl, camera, guessed, size = zip(*(track[k] for k in frames), strict=True)
    if not all(isinstance(s, dict) for s in smpl):
        raise BadInput("smpl is not a table.")
    root = np.stack([array(s, "global_orient").reshape(3, 3) for s in smpl])
    body = axis_angles(np.stack([array(s, "body_pose").reshape(-1, 3, 3)[:21] for s in smpl])).reshape(-1, 63)
    betas = np.stack([array(s, "betas").ravel() for s in smpl])

    position = np.stack([array({"camera": c}, "camera").reshape(3) for c in camera])
    height, width = np.array([tuple(s)[:2] for s in size], dtype=float).T
    focal = 0.5 * width / math.tan(math.radians(FOV_DEG) / 2) * SIZE / np.maximum(height, width)
    position[:, 2] *= focal / FOCAL
    position = gaussian_filter1d(position, SMOOTHING, axis=0, mode="nearest")

    upright = _upright(root, body)
    return Person(
        frames=frames,
        root=upright @ root,
        pelvis=position @ upright.T,
        body_pose=body,
        stature=stature(betas),
        confidence=np.where(np.array(guessed) > 0, 0.2, 1.0),
    )


def _upright(root: np.ndarray, body_pose: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) from the camera's frame to a world with z up, looking along +x."""
    body = BodyModel.load()
    motion = HumanMotion(30.0, np.zeros((len(root), 3)), axis_angles(root), body_pose, np.zeros(1))
    mass = np.einsum("tji,j->ti", body.joints(motion)[:, :22], JOINT_MASSES)
    above = mass - body.foot_points(motion).mean(axis=1)
    up = np.median(unit(above), axis=0)
    ahead = np.array([0.0, 0.0, 1.0]) - up * up[2] / (up @ up)
    level, _ = Rotation.align_vectors([[0, 0, 1.0], [1.0, 0, 0]], [up, ahead])
    return level.as_matrix()
