"""ProtoMotions' unified ONNX pipeline (github.com/NVlabs/ProtoMotions, deployment/).

``unified_pipeline.onnx`` has an input for each quantity, which ``unified_pipeline.yaml`` beside it names by a key. The
torso's orientation is its anchor's; orientations are x, y, z, w, in the world in which the reference faces as the robot
does when the motion begins. The output ``joint_pos_targets`` holds the motors' targets in rad, and is what
``historical.processed_actions`` wants of the step before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exoactor_control.policy.formats.beyond_mimic import anchor_of
from exoactor_control.policy.networks import Network
from exoactor_control.policy.spec import PolicySpec
from exoactor_core.errors import BadInput

_TARGETS = "joint_pos_targets"


def is_one(data: dict[str, Any]) -> bool:
    """Whether a YAML file is in this format."""
    return data.get("type") == "unified_pipeline"


def read(data: dict[str, Any], network: Network) -> PolicySpec:
    """Derive a policy's spec; raises `BadInput` for unknown entries."""
    anchor = anchor_of(data["robot"]["anchor_body_name"])
    control = data["control"]
    if float(control.get("action_ema_alpha") or 1.0) != 1.0 or control.get("pd_target_max_accel") is not None:
        raise BadInput("its targets are to be filtered (action_ema_alpha, pd_target_max_accel), which is not done here")
    terms = {
        "current.anchor_rot": f"{anchor}_quat_xyzw",
        "current.dof_pos": "joint_pos_rel",  # from a default pose of zeros
        "current.dof_vel": "joint_vel",
        "current.root_local_ang_vel": "ang_vel",
        "historical.processed_actions": "last_action",
        "mimic.future_anchor_rot": f"reference_{anchor}_quat_xyzw",
        "mimic.future_dof_pos": "reference_joint_pos",
        "mimic.future_dof_vel": "reference_joint_vel",
    }
    joints = tuple(str(name) for name in data["robot"]["joint_names"])
    steps = [int(step) for step in data["motion"]["future_step_indices"]]
    groups, inputs = {}, {}
    for entry in data["policy_inputs"]:
        key = str(entry["key"])
        if key not in terms:
            raise BadInput(f"its input '{key}' is not known: known are {', '.join(terms)}")
        groups[key] = [{"term": terms[key]}]
        inputs[str(entry["name"])] = [{"groups": [key], **({"steps": steps} if ".future_" in key else {})}]
    first, *others = network.inputs
    if set(inputs) != set(network.inputs):
        raise BadInput(f"it describes the inputs {', '.join(inputs)}, but the network has {', '.join(network.inputs)}")
    return PolicySpec.of_terms(
        "protomotions",
        joints,
        groups,
        inputs[first],
        input=tuple(n if isinstance(n, int) else 1 for n in network.inputs[first]),
        inputs={name: inputs[name] for name in others},
        rate=round(1.0 / float(data["dt"]), 6),
        default_pose=np.zeros(len(joints)),
        kp=np.array(control["stiffness"], dtype=float),
        kd=np.array(control["damping"], dtype=float),
        action_scale=1.0,
        action_output=_TARGETS,
    )
