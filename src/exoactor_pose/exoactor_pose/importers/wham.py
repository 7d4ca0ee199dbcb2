"""WHAM's wham_output.pkl.

``joblib.dump`` of a table by person: ``pose_world`` (T, 72) axis-angle of SMPL's 24 joints and ``trans_world`` (T, 3)
in a world with y up, ``betas`` (T, 10), ``frame_ids`` (T,); beside them ``pose``, ``trans`` and ``verts`` in the
camera's frame. The frame rate is the video's, and is not in the file.

Source: yohanshin/WHAM demo.py, lib/models/wham.py (``return_y_up``) and lib/vis/run_vis.py.
"""

from __future__ import annotations

from typing import Any

from exoactor_core.rotations import FROM_Y_UP
from exoactor_pose.importers.recording import Person, Recording, array, frame_numbers, matrices, stature


def tool(data: dict[Any, Any]) -> str:
    """WHAM, or "" if the content is not WHAM's."""
    people = data and all(isinstance(p, dict) and "pose_world" in p for p in data.values())
    return "WHAM" if people else ""


def read(data: dict[Any, dict[str, Any]]) -> Recording:
    """All people in the file."""
    people = {}
    for name, track in data.items():
        pose = array(track, "pose_world", None, 72)
        people[str(name)] = Person(
            frames=frame_numbers(track, "frame_ids", len(pose)),
            root=FROM_Y_UP @ matrices(pose[:, :3]),
            pelvis=array(track, "trans_world", len(pose), 3) @ FROM_Y_UP.T,
            body_pose=pose[:, 3:66],
            stature=stature(array(track, "betas")),
        )
    return Recording(people)
