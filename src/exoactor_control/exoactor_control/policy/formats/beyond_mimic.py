"""Trackers of one motion each, whose ONNX file describes itself and holds the motion.

The formats are those of BeyondMimic (github.com/HybridRobotics/whole_body_tracking, exporter.py) and of holosoma
(github.com/amazon-far/holosoma, src/holosoma_inference). The action does not depend on the input ``time_step``: that
only chooses the row of the motion in the other outputs.
"""

from __future__ import annotations

import json

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_control.policy.networks import Network
from exoactor_control.policy.observations import Observation
from exoactor_control.policy.spec import PolicySpec, in_file
from exoactor_control.reference.trajectory import POLICY_RATE
from exoactor_core.errors import BadInput
from exoactor_core.motion import JOINT_NAMES, RobotMotion
from exoactor_core.robot import EFFORT_LIMITS, forward_kinematics

_GROUPS = {
    "command": ["reference_joint_pos", "reference_joint_vel"],
    "motion_anchor_pos_b": ["torso_position_error"],
    "motion_anchor_ori_b": ["torso_rotation_error"],
    "base_lin_vel": ["lin_vel"],
    "base_ang_vel": ["ang_vel"],
    "projected_gravity": ["gravity"],
    "joint_pos": ["joint_pos_rel"],
    "joint_vel": ["joint_vel"],
    "actions": ["last_action"],
}
_ANCHORS = {"torso_link": "torso", "pelvis": "pelvis"}

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
    """Whether a network is of this kind."""
    return "time_step" in network.inputs


def read(network: Network) -> PolicySpec:
    """Describe a network by its metadata; raises `BadInput` where they lack something or name what is not known."""
    meta = network.metadata
    if "dof_names" in meta:
        return _read_holosoma(meta)
    lacking = [k for k in ("joint_names", "joint_stiffness", "joint_damping", "default_joint_pos", "action_scale",
                           "observation_names", "anchor_body_name") if k not in meta]  # fmt: skip
    if lacking:
        raise BadInput(f"its metadata lack '{lacking[0]}', which BeyondMimic's exporter writes")
    joints = _names(meta["joint_names"])
    kp, kd, pose, scale = (
        np.array([float(v) for v in _names(meta[name])])
        for name in ("joint_stiffness", "joint_damping", "default_joint_pos", "action_scale")
    )
    names = _names(meta["observation_names"])
    steps = [int(float(n)) for n in _names(meta.get("observation_history_lengths", ",".join("1" * len(names))))]
    if len(steps) != len(names):
        raise BadInput(f"its metadata name {len(names)} observation terms, but {len(steps)} history lengths")
    if meta["anchor_body_name"] not in _ANCHORS:
        raise BadInput(f"its anchor is {meta['anchor_body_name']}, but {' or '.join(_ANCHORS)} is needed")
    return _spec("beyond_mimic", joints, names, steps, pose, kp, kd, scale, anchor=_ANCHORS[meta["anchor_body_name"]])


def _read_holosoma(meta: dict[str, str]) -> PolicySpec:
    for name in ("kp", "kd"):
        if name not in meta:
            raise BadInput(f"its metadata lack '{name}', which holosoma's exporter writes")
    joints = tuple(json.loads(meta["dof_names"]))
    pose = np.array([_HOLOSOMA_POSE.get(name, np.nan) for name in joints])
    kp, kd = (np.array(json.loads(meta[name]), dtype=float) for name in ("kp", "kd"))
    names = [_HOLOSOMA[name] for name in sorted(_HOLOSOMA)]
    return _spec("holosoma", joints, names, [1] * len(names), pose, kp, kd, np.ones(len(joints)))


def _spec(
    name: str,
    joints: tuple[str, ...],
    terms: list[str] | tuple[str, ...],
    steps: list[int],
    pose: np.ndarray,
    kp: np.ndarray,
    kd: np.ndarray,
    scale: np.ndarray,
    anchor: str = "torso",
) -> PolicySpec:
    groups = {name: [{"term": t.replace("torso", anchor)} for t in group] for name, group in _GROUPS.items()}
    parts = []
    for term, count in zip(terms, steps, strict=True):
        if term not in groups:
            raise BadInput(f"its term '{term}' is not known: known are {', '.join(groups)}")
        # Isaac Lab's histories: oldest first, the present one last, begun with copies of the first
        parts.append(
            {"groups": [term]} | ({"history": count - 1, "present": True, "fill": "first"} if count > 1 else {})
        )
    return PolicySpec(
        name=name,
        rate=POLICY_RATE,  # the files do not tell; both projects train at 50 Hz
        input=(1, Observation(groups, parts, joints).size),
        output=(1, len(joints)),
        joint_order=joints,
        groups=groups,
        observation=parts,
        default_pose=pose,
        kp=kp,
        kd=kd,
        effort_limits=np.array([EFFORT_LIMITS[JOINT_NAMES.index(n)] if n in JOINT_NAMES else np.nan for n in joints]),
        action_scale=scale,
        action_clip=np.inf,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def motion(network: Network) -> RobotMotion:
    """Read the motion out of a network, at 50 Hz.

    Raises
    ------
    BadInput
        Its outputs are not those of BeyondMimic or holosoma.
    """
    with in_file(network.path):
        d = read(network)
        return _pelvis_motion(d, _rows(network, d.input[-1]), network.metadata)


def _pelvis_motion(d: PolicySpec, rows: dict[str, np.ndarray], meta: dict[str, str]) -> RobotMotion:
    """The motion of the pelvis and the joints from that of the anchor."""
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
    waist = [JOINT_NAMES.index(f"waist_{axis}_joint") for axis in ("yaw", "roll", "pitch")]
    pelvis = torso * Rotation.from_euler("ZXY", joint_pos[:, waist]).inv()
    upright = np.tile([1.0, 0.0, 0.0, 0.0], (len(joint_pos), 1))
    at_origin = RobotMotion(POLICY_RATE, np.zeros((len(joint_pos), 3)), upright, joint_pos)
    offset = forward_kinematics(at_origin, ("torso_link",))[:, 0]
    return RobotMotion(POLICY_RATE, torso_pos - pelvis.apply(offset), pelvis.as_quat(scalar_first=True), joint_pos)


def _rows(network: Network, size: int) -> dict[str, np.ndarray]:
    """Every output but the action, row by row until they stay at the last one."""
    names = list(network.outputs)
    observation = np.zeros(size, dtype=np.float32)

    def row(t: int) -> list[np.ndarray]:
        return [value.reshape(value.shape[1:]) for value in network.run(observation, time_step=t)[1:]]

    last = row(_LONGEST)
    rows = []
    for t in range(_LONGEST):
        rows.append(row(t))
        if all(np.array_equal(a, b) for a, b in zip(rows[-1], last, strict=True)):
            break
    return {name: np.array([r[i] for r in rows], dtype=float) for i, name in enumerate(names[1:])}
