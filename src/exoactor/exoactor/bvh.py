"""Motion capture files (.bvh) as human motions, whatever the skeleton's names, axes, units and rest pose.

Each joint's world rotation is carried over relative to the rest pose, with bones of the rest pose turned onto those of
SMPL-X's T-pose, so that a skeleton at rest with hanging arms gives the same motion as one with raised arms.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pybvh
from scipy.spatial.transform import Rotation

from exoactor.body import BODY_JOINT_NAMES, HUMAN_PARENTS, BodyModel
from exoactor.errors import BadInput
from exoactor.motion import HumanMotion

# Names by joint, without prefix ("mixamorig:"), side, case and punctuation; the first that exists is taken.
# {s} is "left" or "right". Where a skeleton has an "Arm" joint, its "Shoulder" is the collar; where it has a "Shin", as
# SOMA's, its "Leg" is the hip.
_NAMES: dict[str, tuple[str, ...]] = {
    "hip": ("{s}upleg", "{s}hip", "{s}thigh", "{s}upperleg", "{s}hipjoint", "{s}leg"),
    "knee": ("{s}shin", "{s}leg", "{s}knee", "{s}calf", "{s}lowerleg"),
    "ankle": ("{s}foot", "{s}ankle"),
    "foot": ("{s}toebase", "{s}toe", "{s}toes", "{s}ball"),
    "collar": ("{s}collar", "{s}clavicle", "{s}shoulder"),
    "shoulder": ("{s}arm", "{s}uparm", "{s}upperarm", "{s}shoulder"),
    "elbow": ("{s}forearm", "{s}elbow", "{s}lowerarm", "{s}lowarm"),
    "wrist": ("{s}hand", "{s}wrist"),
}
_PELVIS = ("hips", "hip", "pelvis", "root")
_NECK = ("neck", "neck1", "head")
_HEAD = ("head", "neck1")
_NEEDED = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")

# Bone that gives the direction of a joint: the joint at its far end. Others keep their parent's rest frame.
_BONES = {
    f"{s}_{a}": f"{s}_{b}"
    for s in ("left", "right")
    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
}
_UNITS = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254, "CMU's": 0.0254 / 0.45}
_HUMAN_LEG = (0.55, 1.15)  # m, hip to ankle, of anyone who may be meant

# World axes of the file -> z up; y up goes to x forward for a person who faces +z.
_TO_Z_UP = {
    "+z": np.eye(3),
    "+y": np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]),
    "-y": np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    "-z": np.diag([1.0, -1, -1]),
    "+x": np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    "-x": np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]]),
}


def _plain(name: str) -> str:
    name = re.sub(r"[^a-z0-9]", "", name.split(":")[-1].lower())
    name = re.sub(r"^(mixamorig\d*|bip0?1|b)(?=l|r|h|s|n)", "", name) if name.startswith(("mixamo", "bip")) else name
    parts = {candidate.format(s="") for candidates in _NAMES.values() for candidate in candidates}
    short = re.match(rf"^(l|r)({'|'.join(sorted(parts))})$", name)
    return {"l": "left", "r": "right"}[short[1]] + short[2] if short else name


def joint_table(names: list[str]) -> dict[str, int]:
    """Match a skeleton's joints to SMPL-X's body joints, by name.

    Raises
    ------
    BadInput
        A needed joint is not found.
    """
    plain = {_plain(name): i for i, name in reversed(list(enumerate(names)))}
    table = {"pelvis": next((plain[n] for n in _PELVIS if n in plain), 0)}
    for side in ("left", "right"):
        for part, candidates in _NAMES.items():
            found = next((plain[c.format(s=side)] for c in candidates if c.format(s=side) in plain), None)
            if found is not None:
                table[f"{side}_{part}"] = found
            elif part in _NEEDED:
                raise BadInput(f"The skeleton has no joint for the {side} {part}: it has {', '.join(names[:30])}.")
        if table[f"{side}_hip"] == table[f"{side}_knee"]:
            raise BadInput(f"The skeleton has no joint for the {side} hip: it has {', '.join(names[:30])}.")
        if table.get(f"{side}_collar") == table[f"{side}_shoulder"]:
            del table[f"{side}_collar"]
    for joint, candidates in (("neck", _NECK), ("head", _HEAD)):
        found = next((plain[n] for n in candidates if n in plain), None)
        if found is not None:
            table[joint] = found
    return table


def _spine(table: dict[str, int], parents: np.ndarray) -> list[int]:
    """Joints from above the pelvis up to where the arms branch off."""
    chain, joint = [], int(parents[table.get("left_collar", table["left_shoulder"])])
    while joint not in (-1, table["pelvis"]):
        chain.insert(0, joint)
        joint = int(parents[joint])
    return chain


def _aligning(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Smallest rotation that turns one direction onto another."""
    source, target = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = np.cross(source, target)
    sine, cosine = np.linalg.norm(axis), float(source @ target)
    if sine < 1e-9:
        if cosine > 0:
            return np.eye(3)
        axis = np.cross(source, [1.0, 0, 0] if abs(source[0]) < 0.9 else [0, 1.0, 0])
        sine = np.linalg.norm(axis)
    return Rotation.from_rotvec(axis / sine * np.arctan2(np.linalg.norm(np.cross(source, target)), cosine)).as_matrix()


def _rest_frame(rest: np.ndarray, table: dict[str, int]) -> np.ndarray:
    """Columns: left, up and forward of the rest pose, as in SMPL-X's rest pose."""
    left = rest[table["left_hip"]] - rest[table["right_hip"]]
    left = left / np.linalg.norm(left)
    chest = 0.5 * (rest[table["left_shoulder"]] + rest[table["right_shoulder"]])
    up = chest - 0.5 * (rest[table["left_ankle"]] + rest[table["right_ankle"]])
    up = up - left * (up @ left)
    up /= np.linalg.norm(up)
    return np.stack([left, up, np.cross(left, up)], axis=1)


def _up(pos: np.ndarray, table: dict[str, int]) -> str:
    """Axis that points from the feet to the shoulders on the whole; "" where the person does not stand upright."""
    ends = [pos[:, [table[f"left_{part}"], table[f"right_{part}"]]].mean(axis=(0, 1)) for part in ("ankle", "shoulder")]
    rise = (ends[1] - ends[0]) / max(np.linalg.norm(ends[1] - ends[0]), 1e-9)
    axis = int(np.argmax(np.abs(rise)))
    return f"{'+' if rise[axis] > 0 else '-'}{'xyz'[axis]}" if abs(rise[axis]) > 0.9 else ""


def _scale(leg: float, unit: str | float) -> float:
    if isinstance(unit, float | int):
        return float(unit)
    fitting = [u for u in _UNITS.values() if _HUMAN_LEG[0] <= u * leg <= _HUMAN_LEG[1]]
    if not fitting:
        raise BadInput(f"The unit of length cannot be told: the legs are {leg:.3g} long in any common unit.")
    return min(fitting, key=lambda u: abs(u * leg - 0.83))


def load_bvh(path: str | Path, unit: str | float = "auto") -> HumanMotion:
    """Read a .bvh.

    Parameters
    ----------
    path
        The file: y or z up, names as of CMU, LAFAN1, Mixamo or alike.
    unit
        Metres per unit of the file, or "auto": the common unit in which the legs are nearest to a person's.

    Returns
    -------
    HumanMotion
        In the z-up world, with a stature that fits the leg length; contacts unknown.

    Raises
    ------
    BadInput
        The file cannot be read, or a joint is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"There is no file {path}.")
    try:
        bvh = pybvh.read_bvh_file(path, warn_on_world_up_disagreement=False)
        _, local = bvh.to_rotmat()
        pos, rest_nodes, topology = bvh.node_positions(), bvh.rest_pose_positions(), bvh.fk_topology
    except Exception as error:  # the parser raises all kinds for a damaged file
        raise BadInput(f"{path} is not a readable bvh file: {error}".rstrip(".") + ".") from None
    try:
        return _human(bvh, local, pos, rest_nodes, topology, unit)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def _human(bvh, local, pos, rest_nodes, topology, unit) -> HumanMotion:
    nodes = np.flatnonzero(topology.joint_idx >= 0)  # nodes that are joints, in the order of joint_names
    pos, rest = pos[:, nodes], rest_nodes[nodes]
    place = {int(node): k for k, node in enumerate(nodes)}
    parents = np.array([place.get(int(topology.parent_idx[n]), -1) for n in nodes])
    table = joint_table(list(bvh.joint_names))
    if len(pos) == 0:
        raise BadInput("The file has no frames.")

    world = np.empty_like(local)
    for j in range(len(nodes)):
        world[:, j] = local[:, j] if parents[j] < 0 else world[:, parents[j]] @ local[:, j]
    to_z_up = _TO_Z_UP[_up(pos, table) or str(bvh.world_up)]
    frame = _rest_frame(rest, table)
    body = BodyModel.load()
    neutral = body.rest_joints(np.zeros(1))
    index = {name: i for i, name in enumerate(BODY_JOINT_NAMES)}

    # World rotations of SMPL-X's joints. A joint that the skeleton lacks turns with its parent.
    spine = _spine(table, parents)
    source = dict(table)
    for k, name in enumerate(("spine1", "spine2", "spine3")):
        if spine:
            source[name] = spine[-1] if k == 2 else spine[min(k * len(spine) // 3, len(spine) - 1)]
    rot = np.empty((len(pos), 22, 3, 3))
    for j, name in enumerate(BODY_JOINT_NAMES):
        if name not in source:
            rot[:, j] = rot[:, HUMAN_PARENTS[j]]
            continue
        turned = frame
        if name in _BONES:
            bone = frame @ (neutral[index[_BONES[name]]] - neutral[j])
            turned = _aligning(bone, rest[table[_BONES[name]]] - rest[table[name]]) @ frame
        elif name.endswith("wrist"):  # the hand goes on along the forearm
            elbow = name.replace("wrist", "elbow")
            bone = frame @ (neutral[j] - neutral[index[elbow]])
            turned = _aligning(bone, rest[table[name]] - rest[table[elbow]]) @ frame
        rot[:, j] = to_z_up @ world[:, source[name]] @ turned
    pose = np.empty((len(pos), 22, 3))
    for j in range(22):
        relative = rot[:, j] if j == 0 else rot[:, HUMAN_PARENTS[j]].swapaxes(1, 2) @ rot[:, j]
        pose[:, j] = Rotation.from_matrix(relative).as_rotvec()

    legs = [np.linalg.norm(rest[table[f"{s}_{b}"]] - rest[table[f"{s}_{a}"]])
            for s in ("left", "right") for a, b in (("hip", "knee"), ("knee", "ankle"))]  # fmt: skip
    scale = _scale(float(np.sum(legs)) / 2, unit)
    betas = np.zeros(10)
    betas[0] = _stature(body, scale * float(np.sum(legs)) / 2)
    hips = scale * 0.5 * (pos[:, table["left_hip"]] + pos[:, table["right_hip"]]) @ to_z_up.T
    joints = body.rest_joints(betas)
    middle = 0.5 * (joints[1] + joints[2]) - joints[0]
    transl = hips - rot[:, 0] @ middle - joints[0]
    return HumanMotion(bvh.fps, transl, pose[:, 0], pose[:, 1:].reshape(len(pos), 63), betas)


def _stature(body: BodyModel, leg: float) -> float:
    """First shape coefficient that gives a leg length; joints are linear in it."""

    def length(beta: float) -> float:
        joints = body.rest_joints(np.array([beta]))
        return float(np.linalg.norm(joints[4] - joints[1]) + np.linalg.norm(joints[7] - joints[4]))

    return float(np.clip((leg - length(0.0)) / (length(1.0) - length(0.0)), -5.0, 5.0))
