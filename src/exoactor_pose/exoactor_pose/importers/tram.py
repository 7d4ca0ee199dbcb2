"""TRAM's folder results/NAME: camera.npy and hps/hps_track_K.npy, one a person.

Both are ``np.save`` of a table. A track holds torch tensors: ``pred_rotmat`` (T, 24, 3, 3) and ``pred_trans``
(T, 1, 3) of SMPL in the camera's frame (y down), ``pred_shape`` (T, 10), ``frame`` (T,). The camera holds
``world_cam_R`` (N, 3, 3) and ``world_cam_T`` (N, 3), from the camera to a world with y up. The frame rate is the
video's, and is not in the files.

Sources: yufu-wang/tram scripts/estimate_humans.py, scripts/estimate_camera.py, lib/camera/est_gravity.py and
lib/pipeline/visualization.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exoactor_core.errors import BadInput
from exoactor_core.rotations import FROM_Y_UP
from exoactor_pose.importers.recording import Person, Recording, array, axis_angles, frame_numbers, stature

SMPL_PELVIS = np.array([-0.002, -0.235, 0.028])
"""Pelvis of SMPL's rest body from its origin, m, rounded: it turns with the camera, the person does not."""


def tool(data: dict[str, Any]) -> str:
    """TRAM, or "" if the content is not TRAM's."""
    return "TRAM" if {"camera", "tracks"} <= data.keys() else ""


def read(data: dict[str, Any]) -> Recording:
    """All people; ``data`` has the content of camera.npy as "camera" and that of the tracks, by number, as "tracks"."""
    turn = array(data["camera"], "world_cam_R", None, 3, 3)
    position = array(data["camera"], "world_cam_T", len(turn), 3)
    people = {}
    for name, track in data["tracks"].items():
        rotation = array(track, "pred_rotmat", None, 24, 3, 3)
        frames = frame_numbers(track, "frame", len(rotation))
        if len(frames) and not 0 <= frames.min() <= frames.max() < len(turn):
            raise BadInput(f"track {name} reaches frame {frames.max()}, but camera.npy holds {len(turn)} frames.")
        trans = array(track, "pred_trans").reshape(len(rotation), 3)
        pelvis = np.einsum("tij,tj->ti", turn[frames], trans + SMPL_PELVIS) + position[frames]
        people[name] = Person(
            frames=frames,
            root=FROM_Y_UP @ turn[frames] @ rotation[:, 0],
            pelvis=pelvis @ FROM_Y_UP.T,
            body_pose=axis_angles(rotation[:, 1:22]).reshape(-1, 63),
            stature=stature(array(track, "pred_shape")),
        )
    return Recording(people)
