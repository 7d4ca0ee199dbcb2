"""SONIC's observation configuration (github.com/NVlabs/GR00T-WholeBodyControl, gear_sonic_deploy).

The policy is a pair, ``model_decoder.onnx`` (given as the policy) and ``model_encoder.onnx`` beside it. The encoder
turns what is to be done into a token: in its mode ``g1`` the robot's joint motion, in its mode ``smpl`` the person's
own. One more entry of ours in the file, ``mode: smpl``, chooses the latter while a motion runs.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from exoactor_control.policy.networks import Network
from exoactor_control.policy.observations import Observation
from exoactor_control.policy.spec import Encoder, PolicySpec, known_specs
from exoactor_core.errors import BadInput
from exoactor_core.motion import JOINT_NAMES

_LEGS = list(JOINT_NAMES[:12])
_WRISTS = [f"{side}_wrist_{axis}_joint" for axis in ("roll", "pitch", "yaw") for side in ("left", "right")]
_TERMS: dict[str, dict[str, Any]] = {
    "his_base_angular_velocity": {"term": "ang_vel"},
    "his_body_joint_positions": {"term": "joint_pos_rel"},
    "his_body_joint_velocities": {"term": "joint_vel"},
    "his_last_actions": {"term": "last_action"},
    "his_gravity_dir": {"term": "gravity"},
    "motion_joint_positions": {"term": "reference_joint_pos"},
    "motion_joint_velocities": {"term": "reference_joint_vel"},
    "motion_joint_positions_lowerbody": {"term": "reference_joint_pos", "joints": _LEGS},
    "motion_joint_velocities_lowerbody": {"term": "reference_joint_vel", "joints": _LEGS},
    "motion_joint_positions_wrists": {"term": "reference_joint_pos", "joints": _WRISTS},
    "motion_root_z_position": {"term": "reference_height"},
    "motion_anchor_orientation": {"term": "pelvis_rotation_error"},
    "motion_anchor_orientation_heading": {"term": "pelvis_rotation_from_heading"},
    "smpl_joints": {"term": "human_joints"},
    "smpl_anchor_orientation": {"term": "human_rotation_error"},
    "smpl_anchor_orientation_heading": {"term": "human_rotation_from_heading"},
    "encoder_mode": {"term": "mode", "width": 3},
    "encoder_mode_4": {"term": "mode", "width": 4},
    # of the mode teleop, which is not used here
    "vr_3point_local_target": {"term": "zeros", "width": 9},
    "vr_3point_local_orn_target": {"term": "zeros", "width": 12},
}
_MODES = ("g1", "smpl")


def is_one(data: dict[str, Any]) -> bool:
    """Whether a YAML file is in this format."""
    return "encoder_observations" in (data.get("encoder") or {})


def read(data: dict[str, Any], _: Network) -> PolicySpec:
    """Derive a policy's spec; raises `BadInput` for unknown entries."""
    robot = known_specs()["sonic"]
    assert robot.encoder is not None  # our own spec of it has one
    encoder = data["encoder"]
    token = {"token_state": {"term": "token", "width": int(encoder["dimension"])}}
    modes = {m["name"]: m for m in encoder["encoder_modes"]}
    mode = data.get("mode", "g1")
    if mode not in _MODES or mode not in modes or "g1" not in modes:
        raise BadInput(f"its mode is '{mode}': this takes {' or '.join(_MODES)}, and it has {', '.join(modes)}")

    groups: dict[str, list[dict[str, Any]]] = {}

    def parts(entries: list[dict[str, Any]], terms: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for entry in entries:
            if entry.get("enabled", True):
                term, part = _read_name(str(entry["name"]), terms)
                groups[entry["name"]] = [term]
                found.append({"groups": [entry["name"]], **part})
        return found

    observation = parts(data["observations"], {**_TERMS, **token})
    encoded = parts(encoder["encoder_observations"], _TERMS)
    for part in encoded:
        (name,) = part["groups"]
        part["modes"] = [
            int(modes[m]["mode_id"]) for m in _MODES if m in modes and name in modes[m]["required_observations"]
        ]
    return replace(
        robot,
        groups=groups,
        observation=observation,
        input=(1, Observation(groups, observation, robot.joint_order).size),
        encoder=Encoder(
            file=robot.encoder.file,
            input=(1, Observation(groups, encoded, robot.joint_order).size),
            output=(1, int(encoder["dimension"])),
            observation=encoded,
            mode=int(modes[mode]["mode_id"]),
        ),
    )


def _read_name(name: str, terms: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse a name such as ``motion_joint_positions_10frame_step5`` into its term and its part of the observation."""
    match = re.fullmatch(r"(.+?)(?:_(\d+)frame_step(\d+))?", name)
    if match is None or match[1] not in terms:
        raise BadInput(f"its observation '{name}' is not known: known are {', '.join(terms)}")
    base, count, stride = match.groups()
    if count is None:
        return terms[base], {}
    if not base.startswith("his_"):
        return terms[base], {"steps": [i * int(stride) for i in range(int(count))]}
    if stride != "1":
        raise BadInput(f"its observation '{name}' is a history of every {stride}th step, but of each one is needed")
    return terms[base], {"history": int(count) - 1, "present": True, "fill": "first"}
