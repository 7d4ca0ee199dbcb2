"""Unitree RL Lab's ``deploy.yaml`` (github.com/unitreerobotics/unitree_rl_lab, deploy/).

Joints are in ``joint_ids_map``'s order except for ``stiffness`` and ``damping``, which are in motor order; a term is
clipped, then scaled; histories are oldest first, the present step last, and begin with copies of the first.
A velocity command becomes the reference's velocity, so that the robot walks along the reference's path.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exoactor_control.policy.networks import Network
from exoactor_control.policy.spec import PolicySpec, with_history
from exoactor_core.errors import BadInput
from exoactor_core.motion import JOINT_NAMES

_TERMS = {
    "base_ang_vel": "ang_vel",
    "projected_gravity": "gravity",
    "velocity_commands": "reference_velocity_command",
    "joint_pos_rel": "joint_pos_rel",
    "joint_vel_rel": "joint_vel",
    "last_action": "last_action",
}


def is_one(data: dict[str, Any]) -> bool:
    """Whether a YAML file is in this format."""
    return "joint_ids_map" in data


def read(data: dict[str, Any], _: Network) -> PolicySpec:
    """Derive a policy's spec; raises `BadInput` for unknown entries."""
    motors = [int(i) for i in data["joint_ids_map"]]
    if not all(0 <= i < len(JOINT_NAMES) for i in motors):
        raise BadInput(f"joint_ids_map names motors beyond the G1's {len(JOINT_NAMES)}")
    joints = tuple(JOINT_NAMES[i] for i in motors)
    default = np.array(data["default_joint_pos"], dtype=float)
    if list(data["actions"]) != ["JointPositionAction"]:
        raise BadInput(f"its actions are {', '.join(data['actions'])}, but JointPositionAction alone is needed")
    action = data["actions"]["JointPositionAction"]
    if action.get("clip") is not None or action.get("joint_ids") is not None:
        raise BadInput("its JointPositionAction has a clip or joint_ids, which are not known here")
    if not np.array_equal(np.array(action["offset"], dtype=float), default):
        raise BadInput("its action's offset is not default_joint_pos")
    groups, parts = {}, []
    for name, term in data["observations"].items():
        if name not in _TERMS:
            raise BadInput(f"its observation term '{name}' is not known: known are {', '.join(_TERMS)}")
        groups[name] = [_term(name, term, data)]
        parts.append(with_history(name, int(term.get("history_length") or 1)))
    return PolicySpec.of_terms(
        "unitree_rl_lab",
        joints,
        groups,
        parts,
        rate=round(1.0 / float(data["step_dt"]), 6),
        default_pose=default,
        kp=np.array(data["stiffness"], dtype=float)[motors],
        kd=np.array(data["damping"], dtype=float)[motors],
        action_scale=np.array(action["scale"], dtype=float),
    )


def _term(name: str, term: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"term": _TERMS[name]}
    if term.get("scale") is not None:
        entry["scale"] = term["scale"]
    if term.get("clip") is not None:
        entry["clip"] = term["clip"]
    if name == "velocity_commands":
        ranges = data["commands"]["base_velocity"]["ranges"]
        entry["clip"] = np.array([ranges[axis] for axis in ("lin_vel_x", "lin_vel_y", "ang_vel_z")], dtype=float).T
    return entry
