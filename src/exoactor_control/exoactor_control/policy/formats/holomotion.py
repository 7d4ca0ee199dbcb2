"""HoloMotion's trackers (github.com/HorizonRobotics/HoloMotion, deployment/unitree_g1_ros2_29dof, onnx_export.py).

The ONNX file's metadata give joints, gains, pose and action scale; ``config.yaml``, in its folder or the one above,
lists the observation terms, by ``modules.actor.obs_schema`` in the order in which the actor takes them. Transformers
have their cache of keys and values as an input and an output, and an input that counts the steps, which starts anew
before it reaches ``rope_max_seq_len``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exoactor_control.policy.formats.beyond_mimic import read_joints
from exoactor_control.policy.networks import Network
from exoactor_control.policy.spec import PolicySpec, with_history
from exoactor_core.errors import BadInput

_TERMS = {
    "ref_motion_states": ["reference_joint_pos", "reference_joint_vel"],
    "ref_gravity_projection": ["reference_pelvis_gravity"],
    "ref_base_linvel": ["reference_lin_vel"],
    "ref_base_angvel": ["reference_ang_vel"],
    "ref_dof_pos": ["reference_joint_pos"],
    "ref_dof_vel": ["reference_joint_vel"],
    "ref_root_height": ["reference_height"],
    "ref_robot_yaw_error_sin_cos": ["yaw_error"],
    "ref_future_yaw_delta_sin_cos": ["reference_yaw_change"],
    "ref_future_root_ori_robot_frame_6d": ["pelvis_rotation_error"],
    "projected_gravity": ["gravity"],
    "rel_robot_root_ang_vel": ["ang_vel"],
    "dof_pos": ["joint_pos_rel"],
    "dof_vel": ["joint_vel"],
    "last_action": ["last_action"],
}
_MARGIN = 64  # steps before the end of the position table at which HoloMotion's own deployment restarts


def is_one(data: dict[str, Any]) -> bool:
    """Whether a YAML file is in this format."""
    return isinstance(data.get("obs"), dict) and "obs_groups" in data["obs"]


def read(data: dict[str, Any], network: Network) -> PolicySpec:
    """Derive a policy's spec; raises `BadInput` for unknown entries."""
    joints, entries = read_joints(network.metadata)
    given = _actor_terms(data)
    order = [term.rpartition("/")[2] for term in _schema(data)] or list(given)
    groups: dict[str, list[dict[str, Any]]] = {}
    parts = []
    for name in order:
        if name not in given:
            raise BadInput(f"its actor takes the term '{name}', which is not among its observations")
        short = name.removeprefix("actor_")
        ahead = short.endswith("_fut") or "_future_" in short
        known = _TERMS.get(short.removesuffix("_cur").removesuffix("_fut"))
        if known is None:
            raise BadInput(f"its observation term '{short}' is not known: known are {', '.join(_TERMS)}")
        entry = given[name]
        groups[name] = [{"term": term, "scale": float(entry.get("scale", 1.0))} for term in known]
        if ahead:
            frames = int(_resolved(data, "${obs.n_fut_frames}"))
            parts.append({"groups": [name], "steps": list(range(1, frames + 1))})
        else:
            parts.append(with_history(name, int(_resolved(data, entry.get("history_length", 0)))))
    cache = next((name for name in network.inputs if "past_key_values" in name), "")
    kept = next((name for name in network.outputs if "present_key_values" in name), "")
    if bool(cache) != bool(kept):
        raise BadInput("it has a cache as an input or as an output, but not as both")
    counts = next((name for name in network.inputs if "step_idx" in name or "current_pos" in name), "")
    longest = int(network.metadata.get("rope_max_seq_len", 0))
    return PolicySpec.of_terms(
        "holomotion",
        joints,
        groups,
        parts,
        feedback={cache: kept} if cache else {},
        step_input=counts,
        max_steps=max(longest - _MARGIN, 1) if longest else 0,
        action_output=next((name for name in network.outputs if "actions" in name), ""),
        **entries,
    )


def _actor_terms(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The actor's observation terms by name: those of the group ``policy``, or the actor's in ``unified``."""
    groups = data["obs"]["obs_groups"]
    which = "policy" if groups.get("policy") else "unified"
    entries = [*groups[which]["atomic_obs_list"], *(groups[which].get("additional_atomic_obs_list") or ())]
    terms = {str(name): dict(entry or {}) for term in entries for name, entry in term.items()}
    return {name: entry for name, entry in terms.items() if which == "policy" or name.startswith("actor_")}


def _schema(data: dict[str, Any]) -> Iterator[str]:
    """Terms in the order in which the actor takes them; empty: in the order in which they are listed."""
    schema = ((data.get("modules") or {}).get("actor") or {}).get("obs_schema") or {}
    for part in schema.values():
        yield from (str(term) for term in part.get("terms", ()))


def _resolved(data: dict[str, Any], value: Any) -> Any:
    """Resolve a value that may refer to another (``${obs.context_length}``)."""
    if not (isinstance(value, str) and value.startswith("${")):
        return value
    for key in value[2:-1].split("."):
        data = data[key]
    return data
