"""PromptHMR's results.pkl.

``joblib.dump`` of a table; ``people`` holds by person ``frames`` (T,), ``smplx_world`` with ``pose`` (T, 165)
axis-angle of SMPL-X's 55 joints, ``shape`` (T, 10) and ``trans`` (T, 3) in a world with y up, and ``smplx_cam`` with
``contact`` (T, 6) of the joints 7, 10, 8, 11, 20, 21. The frame rate is the video's, and is not in the file.

Source: yufu-wang/PromptHMR pipeline/pipeline.py, pipeline/world.py and pipeline/phmr_vid.py.
"""

from __future__ import annotations

from typing import Any

from exoactor_core.errors import BadInput
from exoactor_core.rotations import FROM_Y_UP
from exoactor_pose.importers.recording import Person, Recording, array, frame_numbers, matrices, stature


def tool(data: dict[str, Any]) -> str:
    """PromptHMR, or "" if the content is not PromptHMR's."""
    return "PromptHMR" if {"people", "camera_world"} <= data.keys() else ""


def read(data: dict[str, Any]) -> Recording:
    """All people in the file."""
    people = {}
    for name, track in data["people"].items():
        if "smplx_world" not in track:
            raise BadInput(f"the person {name} has no smplx_world: PromptHMR was ended too early.")
        world = track["smplx_world"]
        pose = array(world, "pose", None, 165)
        contact = track.get("smplx_cam", {}).get("contact")
        people[str(name)] = Person(
            frames=frame_numbers(track, "frames", len(pose)),
            root=FROM_Y_UP @ matrices(pose[:, :3]),
            pelvis=array(world, "trans", len(pose), 3) @ FROM_Y_UP.T,
            body_pose=pose[:, 3:66],
            stature=stature(array(world, "shape")),
            hand_pose=pose[:, 75:165],
            contacts=None if contact is None else array({"contact": contact}, "contact", len(pose), 6)[:, :4],
        )
    return Recording(people)
