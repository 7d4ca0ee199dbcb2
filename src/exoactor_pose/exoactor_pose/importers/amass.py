"""AMASS' npz of SMPL, SMPL-H and SMPL-X.

``trans`` (T, 3) and ``poses`` (T, 72 | 156 | 165) axis-angle of all joints of SMPL, SMPL-H or SMPL-X, in a world with z
up; ``betas``, and ``mocap_framerate`` or ``mocap_frame_rate``. Newer files have ``root_orient``, ``pose_body`` and
``pose_hand`` as well ((T, 90) axis-angle, or fewer coefficients of the hands' principal components), and some have
nothing else. `HumanMotion.save` writes that too, with ``contacts`` and
``confidence``.

Source: nghorbani/amass, src/amass/data/prepare_data.py and notebooks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exoactor_core.errors import BadInput
from exoactor_pose.importers.placement import z_up
from exoactor_pose.importers.recording import Person, Recording, array, matrices, stature

_HANDS = {72: None, 156: slice(66, 156), 165: slice(75, 165)}


def tool(data: dict[str, Any]) -> str:
    """AMASS, or "" if the content is not AMASS's."""
    return "AMASS" if "trans" in data and ("poses" in data or {"root_orient", "pose_body"} <= data.keys()) else ""


def read(data: dict[str, Any]) -> Recording:
    """The one person of the file."""
    trans = array(data, "trans", None, 3)
    frames, notes = len(trans), []
    if "poses" in data:
        poses = array(data, "poses", frames, None)
        if poses.shape[1] not in _HANDS:
            raise BadInput(f"poses is {poses.shape[1]} wide, but SMPL's are 72, SMPL-H's 156, SMPL-X's 165.")
        hands = None if _HANDS[poses.shape[1]] is None else poses[:, _HANDS[poses.shape[1]]]
        orient, body = poses[:, :3], poses[:, 3:66]
    else:
        orient, body = array(data, "root_orient", frames, 3), array(data, "pose_body", frames, 63)
        hands = array(data, "pose_hand", frames, None) if "pose_hand" in data else None
        if hands is not None and hands.shape[1] != 90:
            notes.append(f"pose_hand is {hands.shape[1]} wide: coefficients of a hand model. The hands were left flat.")
            hands = None
    rate = next((data[key] for key in ("mocap_framerate", "mocap_frame_rate", "fps") if key in data), None)
    person = Person(
        frames=np.arange(frames),
        root=matrices(orient),
        pelvis=trans,
        body_pose=body,
        stature=stature(data.get("betas", np.zeros(10))),
        hand_pose=hands,
    )
    person, turned = z_up(person)
    return Recording({"0": person}, None if rate is None else float(np.ravel(rate)[0]), (*notes, *turned))
