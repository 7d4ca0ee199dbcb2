"""GVHMR's hmr4d_results.pt, and GEM's (GENMO's) smpl_params.pt.

GVHMR saves with torch ``smpl_params_global`` and ``smpl_params_incam``, each of ``body_pose`` (L, 63), ``betas``
(L, 10), ``global_orient`` (L, 3) and ``transl`` (L, 3), of SMPL-X; beside them ``K_fullimg`` and ``net_outputs``. GEM
saves the same under ``body_params_global`` and ``body_params_incam``. The global ones are in a world with y up. Both
demos count 30 frames a second, whatever the video says.

Sources: zju3dv/GVHMR tools/demo/demo.py and hmr4d/model/gvhmr/gvhmr_pl_demo.py; NVlabs/GENMO
scripts/demo/demo_smpl.py and demo_smpl_hpe.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exoactor_core.errors import BadInput
from exoactor_core.rotations import FROM_Y_UP
from exoactor_pose.importers.recording import Person, Recording, array, matrices, stature

FPS = 30.0
_GROUPS = {"GVHMR": "smpl_params_global", "GEM": "body_params_global"}


def tool(data: dict[str, Any]) -> str:
    """GVHMR or GEM, or "" if the content is neither's."""
    return next((name for name, key in _GROUPS.items() if key in data), "")


def read(data: dict[str, Any]) -> Recording:
    """The one person of the file."""
    group = data[_GROUPS[tool(data)]]
    if not isinstance(group, dict):
        raise BadInput(f"{_GROUPS[tool(data)]} is not a table.")
    if "identity_coeffs" in group or np.shape(group.get("body_pose", ()))[1:] == (228,):
        raise BadInput("it is of the SOMA body (GEM-X), not of SMPL: export its motion as .bvh.")
    orient = array(group, "global_orient", None, 3)
    frames = len(orient)
    person = Person(
        frames=np.arange(frames),
        root=FROM_Y_UP @ matrices(orient),
        pelvis=array(group, "transl", frames, 3) @ FROM_Y_UP.T,
        body_pose=array(group, "body_pose", frames, None)[:, :63],
        stature=stature(group.get("betas", np.zeros(10))),
    )
    return Recording({"0": person}, FPS)
