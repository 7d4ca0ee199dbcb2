"""Trackers from Isaac Lab whose ONNX file describes itself in its metadata.

BeyondMimic (github.com/HybridRobotics/whole_body_tracking, exporter.py) and holosoma (github.com/amazon-far/holosoma,
src/holosoma_inference) export trackers of one motion each, which the file holds: the input ``time_step`` chooses the
row of the motion in the further outputs, and the action does not depend on it. MOSAIC (github.com/BAAI-Humanoid/MOSAIC,
exporter.py; RobotBridge, deploy/envs/mosaic.py) exports general trackers with the same metadata; one with a velocity
estimator takes the histories of the command and of the reference's gravity once more, after its named terms.

mjlab (1.6, rl/exporter_utils.py and tasks/tracking) names the terms the same way, and says more of each: history length
(0: none), clip and scale, a term's several numbers parted by semicolons. Its linear velocity is that of the pelvis'
IMU.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_control.policy.networks import Network
from exoactor_control.policy.spec import PolicySpec, in_file, with_history
from exoactor_control.reference.trajectory import POLICY_RATE
from exoactor_core.errors import BadInput
from exoactor_core.motion import JOINT_NAMES, WAIST, RobotMotion
from exoactor_core.robot import forward_kinematics

_GROUPS = {
    "command": ["reference_joint_pos", "reference_joint_vel"],
    "motion_anchor_pos_b": ["torso_position_error"],
    "motion_anchor_ori_b": ["torso_rotation_error"],
    "base_lin_vel": ["lin_vel"],
    "base_ang_vel": ["ang_vel"],
    "projected_gravity": ["gravity"],
    "estimator_gravity": ["reference_torso_gravity"],
    "joint_pos": ["joint_pos_rel"],
    "joint_vel": ["joint_vel"],
    "actions": ["last_action"],
}

# holosoma's files do not name their terms: they are always these, in alphabetical order.
_HOLOSOMA = {
    "actions": "actions",
    "base_ang_vel": "base_ang_vel",
    "dof_pos": "joint_pos",
    "dof_vel": "joint_vel",
    "motion_command": "command",
    "motion_ref_ori_b": "motion_anchor_ori_b",
}
_LEG, _ARM = (-0.312, 0.0, 0.0, 0.669, -0.363, 0.0), (0.2, 0.2, 0.0, 0.6, 0.0, 0.0, 0.0)
_HOLOSOMA_POSE = dict(zip(JOINT_NAMES, (*_LEG, *_LEG, 0, 0, 0, *_ARM, 0.2, -0.2, *_ARM[2:]), strict=True))
_LONGEST = 100_000  # frames of a motion


def is_one(network: Network) -> bool:
    """Whether a network is in this format."""
    return holds_motion(network) or "observation_names" in network.metadata


def holds_motion(network: Network) -> bool:
    """Whether the file holds the motion that it tracks."""
    return "time_step" in network.inputs


def read(network: Network) -> PolicySpec:
    """Derive a network's spec from its metadata; raises `BadInput` for missing or unknown entries."""
    meta = network.metadata
    if "dof_names" in meta:
        return _read_holosoma(meta)
    joints, entries = read_joints(meta, "observation_names", "anchor_body_name")
    names = _names(meta["observation_names"])
    by_mjlab = "observation_terms_history_length" in meta
    steps = [
        int(float(n))
        for n in _of_terms(meta, f"observation_{'terms_history_length' if by_mjlab else 'history_lengths'}", names, "1")
    ]
    anchor = anchor_of(meta["anchor_body_name"])
    if by_mjlab:
        return _spec("mjlab", joints, names, steps, anchor, entries, _clips_and_scales(meta, names))
    spec = _spec("beyond_mimic" if holds_motion(network) else "mosaic", joints, names, steps, anchor, entries)
    takes = next(iter(network.inputs.values()))[-1]
    if "command" in names and spec.input[-1] < (takes if isinstance(takes, int) else 0):
        count = steps[names.index("command")]
        with_estimator = _spec(
            "mosaic", joints, [*names, "command", "estimator_gravity"], [*steps, count, count], anchor, entries
        )
        return with_estimator if with_estimator.input[-1] == takes else spec
    return spec


def anchor_of(link: str) -> str:
    """The name that terms use for the link to which a tracker is anchored."""
    anchors = {"torso_link": "torso", "pelvis": "pelvis"}
    if link not in anchors:
        raise BadInput(f"its anchor is {link}, but {' or '.join(anchors)} is needed")
    return anchors[link]


def _of_terms(meta: dict[str, str], key: str, terms: Sequence[str], default: str) -> tuple[str, ...]:
    """Metadata of each observation term."""
    values = _names(meta[key]) if key in meta else (default,) * len(terms)
    if len(values) != len(terms):
        raise BadInput(f"its metadata name {len(terms)} observation terms, but {len(values)} of {key}")
    return values


def _clips_and_scales(meta: dict[str, str], terms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Clip and scale that mjlab applies to each term before its history."""
    clips = _of_terms(meta, "observation_terms_clip", terms, "-inf;inf")
    scales = _of_terms(meta, "observation_terms_scale", terms, "1")
    numbers = [[[float(v) for v in value.split(";")] for value in pair] for pair in zip(clips, scales, strict=True)]
    return {
        term: {"clip": clip, "scale": scale if len(scale) > 1 else scale[0]}
        for term, (clip, scale) in zip(terms, numbers, strict=True)
    }


def read_joints(meta: dict[str, str], *needed: str) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Read joints, and the spec's entries for each, from an Isaac Lab exporter's metadata; ``needed`` are required."""
    entries = {
        "default_pose": "default_joint_pos",
        "kp": "joint_stiffness",
        "kd": "joint_damping",
        "action_scale": "action_scale",
    }
    for name in ("joint_names", *entries.values(), *needed):
        if name not in meta:
            raise BadInput(f"its metadata lack '{name}', which its exporter writes")
    numbers = {entry: np.array([float(v) for v in _names(meta[name])]) for entry, name in entries.items()}
    joints = _names(meta["joint_names"])
    if len(numbers["action_scale"]) == 1:
        numbers["action_scale"] = np.full(len(joints), numbers["action_scale"][0])
    return joints, numbers


def _read_holosoma(meta: dict[str, str]) -> PolicySpec:
    for name in ("kp", "kd"):
        if name not in meta:
            raise BadInput(f"its metadata lack '{name}', which holosoma's exporter writes")
    joints = tuple(json.loads(meta["dof_names"]))
    entries = {name: np.array(json.loads(meta[name]), dtype=float) for name in ("kp", "kd")}
    entries["default_pose"] = np.array([_HOLOSOMA_POSE.get(name, np.nan) for name in joints])
    entries["action_scale"] = np.ones(len(joints))
    names = [_HOLOSOMA[name] for name in sorted(_HOLOSOMA)]
    return _spec("holosoma", joints, names, [1] * len(names), "torso", entries)


def _spec(
    name: str,
    joints: tuple[str, ...],
    terms: Sequence[str],
    steps: Sequence[int],
    anchor: str,
    entries: dict[str, np.ndarray],
    shaped: dict[str, dict[str, Any]] | None = None,
) -> PolicySpec:
    known = _GROUPS if shaped is None else _GROUPS | {"base_lin_vel": ["imu_lin_vel"]}
    groups = {
        name: [{"term": t.replace("torso", anchor), **(shaped or {}).get(name, {})} for t in group]
        for name, group in known.items()
    }
    for term in terms:
        if term not in groups:
            raise BadInput(f"its term '{term}' is not known: known are {', '.join(groups)}")
    parts = [with_history(term, count) for term, count in zip(terms, steps, strict=True)]
    return PolicySpec.of_terms(name, joints, groups, parts, **entries)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def motion(network: Network) -> RobotMotion:
    """Read the motion contained in a network, at 50 Hz.

    Raises
    ------
    BadInput
        Its outputs are not those of BeyondMimic or holosoma.
    """
    with in_file(network.path):
        d = read(network)
        return _pelvis_motion(d, _rows(network, d.input[-1]), network.metadata)


def _pelvis_motion(d: PolicySpec, rows: dict[str, np.ndarray], meta: dict[str, str]) -> RobotMotion:
    """Motion of pelvis and joints from that of the anchor."""
    joint_pos = np.zeros((len(rows["joint_pos"]), len(JOINT_NAMES)))
    joint_pos[:, [JOINT_NAMES.index(name) for name in d.joint_order]] = rows["joint_pos"]
    if "ref_pos_xyz" in rows:
        torso, torso_pos = Rotation.from_quat(rows["ref_quat_xyzw"]), rows["ref_pos_xyz"]
    elif "body_pos_w" in rows:
        body = _names(meta["body_names"]).index(meta["anchor_body_name"])
        torso, torso_pos = (
            Rotation.from_quat(rows["body_quat_w"][:, body], scalar_first=True),
            rows["body_pos_w"][:, body],
        )
        if meta["anchor_body_name"] == "pelvis":
            return RobotMotion(POLICY_RATE, torso_pos, torso.as_quat(scalar_first=True), joint_pos)
    else:
        raise BadInput("it has no output 'ref_pos_xyz' or 'body_pos_w', so its motion is not known")
    # from the torso down to the pelvis
    pelvis = torso * Rotation.from_euler("ZXY", joint_pos[:, WAIST]).inv()
    upright = np.tile([1.0, 0.0, 0.0, 0.0], (len(joint_pos), 1))
    at_origin = RobotMotion(POLICY_RATE, np.zeros((len(joint_pos), 3)), upright, joint_pos)
    offset = forward_kinematics(at_origin, ("torso_link",))[:, 0]
    return RobotMotion(POLICY_RATE, torso_pos - pelvis.apply(offset), pelvis.as_quat(scalar_first=True), joint_pos)


def _rows(network: Network, size: int) -> dict[str, np.ndarray]:
    """Every output but the action, row by row until it stays at the last row."""
    names = list(network.outputs)
    observation = np.zeros(size, dtype=np.float32)

    def row(t: int) -> list[np.ndarray]:
        outputs = network.run(observation, {"time_step": t}, names[1:])
        return [value.reshape(value.shape[1:]) for value in outputs]

    last = row(_LONGEST)
    rows = []
    for t in range(_LONGEST):
        rows.append(row(t))
        if all(np.array_equal(a, b) for a, b in zip(rows[-1], last, strict=True)):
            break
    return {name: np.array([r[i] for r in rows], dtype=float) for i, name in enumerate(names[1:])}
