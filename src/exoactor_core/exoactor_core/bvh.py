"""Motion capture files (.bvh) as human motions, whatever the skeleton's names, axes, units and rest pose.

Each joint's world rotation is carried over relative to the rest pose, with bones of the rest pose turned onto those of
SMPL-X's T-pose, so that a skeleton at rest with hanging arms gives the same motion as one with raised arms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import frames_along
from exoactor_core.body import BODY_JOINT_NAMES, HUMAN_PARENTS, BodyModel
from exoactor_core.errors import BadInput, in_file
from exoactor_core.files import read_text
from exoactor_core.motion import HumanMotion
from exoactor_core.rotations import FROM_Y_UP

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
_HUMAN_LEG = (0.55, 1.15)  # m, hip to ankle, of any plausible person

# World axes of the file -> z up; y up goes to x forward for a person who faces +z.
_TO_Z_UP = {
    "+z": np.eye(3),
    "+y": FROM_Y_UP,
    "-y": np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    "-z": np.diag([1.0, -1, -1]),
    "+x": np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    "-x": np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]]),
}


def _normalised(name: str) -> str:
    name = re.sub(r"[^a-z0-9]", "", name.split(":")[-1].lower())
    name = re.sub(r"^(mixamorig\d*|bip0?1|b)(?=l|r|h|s|n)", "", name) if name.startswith(("mixamo", "bip")) else name
    parts = {candidate.format(s="") for candidates in _NAMES.values() for candidate in candidates}
    short = re.match(rf"^(l|r)({'|'.join(sorted(parts))})$", name)
    return {"l": "left", "r": "right"}[short[1]] + short[2] if short else name


def joint_table(names: list[str]) -> dict[str, int]:
    """Match a skeleton's joints to SMPL-X's body joints, by name. Raises `BadInput`: a needed joint is not found."""
    plain = {_normalised(name): i for i, name in reversed(list(enumerate(names)))}
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
    above = _ancestors(table.get("left_collar", table["left_shoulder"]), parents)
    return list(takewhile(lambda joint: joint != table["pelvis"], above))[::-1]


def _ancestors(joint: int, parents: np.ndarray) -> Iterator[int]:
    """Joints from a joint's parent to the root."""
    while (joint := int(parents[joint])) >= 0:
        yield joint


def _rest_frame(rest: np.ndarray, table: dict[str, int]) -> np.ndarray:
    """Columns: left, up and forward of the rest pose, as in SMPL-X's rest pose."""
    left = rest[table["left_hip"]] - rest[table["right_hip"]]
    chest = 0.5 * (rest[table["left_shoulder"]] + rest[table["right_shoulder"]])
    return frames_along(left, chest - 0.5 * (rest[table["left_ankle"]] + rest[table["right_ankle"]]))


def _up(pos: np.ndarray, table: dict[str, int]) -> str:
    """Axis that points from the feet to the shoulders in most frames; "" if the person does not stand upright."""
    ends = [pos[:, [table[f"left_{part}"], table[f"right_{part}"]]].mean(axis=(0, 1)) for part in ("ankle", "shoulder")]
    rise = (ends[1] - ends[0]) / max(np.linalg.norm(ends[1] - ends[0]), 1e-9)
    axis = int(np.argmax(np.abs(rise)))
    return f"{'+' if rise[axis] > 0 else '-'}{'xyz'[axis]}" if abs(rise[axis]) > 0.9 else ""


def _scale(leg: float) -> float:
    """Metres per unit of a file with legs of that length."""
    fitting = [u for u in _UNITS.values() if _HUMAN_LEG[0] <= u * leg <= _HUMAN_LEG[1]]
    if not fitting:
        raise BadInput(f"The unit of length cannot be determined: the legs are {leg:.3g} long in any common unit.")
    return min(fitting, key=lambda u: abs(u * leg - 0.83))


def load_bvh(path: str | Path) -> HumanMotion:
    """Read a .bvh, y or z up, with names as of CMU, LAFAN1, Mixamo or similar, into the z-up world.

    The unit is the common one in which the legs fit a person best, and the stature fits their length; contacts are
    unknown.

    Raises
    ------
    BadInput
        It cannot be read, or a joint is missing.
    """
    path = Path(path)
    text, notes = read_text(path)
    with in_file(path):
        return _human(_parse(text), notes)


# --- the file ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bvh:
    """A file's skeleton of J joints and its T frames, in the file's axes and units."""

    names: list[str]
    parents: np.ndarray  # (J,), -1 for the root
    offsets: np.ndarray  # (J, 3)
    translations: np.ndarray  # (T, J, 3) of each joint in its parent
    rotations: np.ndarray  # (T, J, 3, 3) of each joint in its parent
    moving: np.ndarray  # (J,) bool: the joint has position channels that change its offset in its parent
    fps: float
    notes: tuple[str, ...]


_TOKEN = re.compile(
    r"\s*(?:(?P<joint>(?:ROOT|JOINT)\b[ \t]*(?P<name>[^\n{}]*))|(?P<end>END\b[^\n{}]*)"
    r"|OFFSET(?P<offset>(?:\s+[-+\d.,e]+){3})|CHANNELS\s+(?P<count>\d+)(?P<channels>(?:\s+[XYZ](?:position|rotation))*)"
    r"|(?P<brace>[{}]))",
    re.IGNORECASE,
)
_MOTION = re.compile(r"\s*MOTION\s+FRAMES?\s*:?\s*(\d+)\s+FRAME\s*TIME\s*:?\s*([-+\d.,e]+)", re.IGNORECASE)


def _numbers(text: str) -> tuple[np.ndarray, bool]:
    """The numbers of a text, and whether they have decimal commas; a comma beside decimal points separates."""
    decimal_comma = "." not in text and re.search(r"\d,\d", text) is not None
    if decimal_comma:
        text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    words = text.replace(",", " ").split()
    try:
        values = np.array(words, dtype=np.float64)
    except ValueError:
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        for number, line in enumerate(text.splitlines(), 1):
            for word in line.replace(",", " ").split():
                try:
                    fine = np.isfinite(float(word))
                except ValueError:
                    fine = False
                if not fine:
                    raise BadInput(f"'{word[:30]}' in line {number} of its numbers is not a finite number.") from None
    return values, decimal_comma


@dataclass
class _Joint:
    name: str
    parent: int  # -1 for the root
    offset: np.ndarray  # (3,)
    channels: list[str]


def _hierarchy(text: str, position: int) -> tuple[list[_Joint], int, bool]:
    """The joints from a position of the text on, where they end, and whether they have decimal commas."""
    joints: list[_Joint] = []
    stack: list[int] = []  # joints whose braces are open; -1 for the end of a chain
    pending: int | None = None
    commas = False
    while (token := _TOKEN.match(text, position)) is not None:
        position = token.end()
        if token["joint"] is not None:
            if not stack and joints:
                raise BadInput("It holds several skeletons: export one person.")
            joints.append(_Joint(token["name"].strip(), stack[-1] if stack else -1, np.zeros(3), []))
            pending = len(joints) - 1
        elif token["end"] is not None:
            pending = -1
        elif token["brace"] == "{" and pending is not None:
            stack.append(pending)
            pending = None
        elif token["brace"] == "}" and stack:
            stack.pop()
        elif token["offset"] is not None and stack:
            value, comma = _numbers(token["offset"])
            if len(value) != 3:
                raise BadInput(f"The offset of {joints[-1].name} is not three numbers.")
            commas |= comma
            if stack[-1] >= 0:
                joints[stack[-1]].offset = value
        elif token["channels"] is not None and stack and stack[-1] >= 0:
            joint = joints[stack[-1]]
            joint.channels = [c.lower() for c in token["channels"].split()]
            if len(joint.channels) != int(token["count"]):
                raise BadInput(f"{joint.name} states {token['count']} channels, but names others.")
        else:
            break
    if stack or not joints:
        raise _not_understood(text, position)
    return joints, position, commas


def _not_understood(text: str, position: int) -> BadInput:
    line = text.count("\n", 0, position) + 1
    return BadInput(f"It is not a readable bvh file: it is not understood from line {line} on.")


def _parse(text: str) -> _Bvh:
    """Read hierarchy and frames: any case, braces and numbers on any lines, decimal commas."""
    start = re.match(r"\s*HIERARCHY\b", text, re.IGNORECASE)
    if not start:
        raise BadInput("It is not a readable bvh file: it does not begin with HIERARCHY.")
    joints, position, commas = _hierarchy(text, start.end())
    head = _MOTION.match(text, position)
    if head is None:
        raise _not_understood(text, position)
    step, comma = _numbers(head[2])
    values, comma_in_data = _numbers(text[head.end() :])
    width = sum(len(joint.channels) for joint in joints)
    if step[0] <= 0:
        raise BadInput(f"Its frame time is {head[2]}, but it must be more than 0 s.")
    if not width or not len(values):
        raise BadInput("The file has no frames.")
    if len(values) % width:
        raise BadInput(f"It has {len(values)} numbers for {width} channels: frame {len(values) // width} is cut off.")
    table, notes = values.reshape(-1, width), []
    if commas or comma or comma_in_data:
        notes.append("The file has decimal commas, which are read as points.")
    if len(table) != int(head[1]):
        notes.append(f"The file states {head[1]} frames, but holds {len(table)}, which are read.")
    return _assembled(joints, table, _rate(float(step[0])), notes)


def _rate(frame_time: float) -> float:
    """Frames per second: a whole number where the frame time, which files round to 1e-6 s, allows it."""
    whole = round(1.0 / frame_time)
    return float(whole) if whole and abs(1.0 / whole - frame_time) < 1e-6 else 1.0 / frame_time


def _assembled(joints: list[_Joint], table: np.ndarray, fps: float, notes: list[str]) -> _Bvh:
    """Local transforms of every joint.

    Position channels stand in place of a joint's OFFSET, as Blender writes them, or add to it where they are nearer to
    zero than to it.
    """
    frames, count, column = len(table), len(joints), 0
    parents, offsets = np.array([joint.parent for joint in joints]), np.array([joint.offset for joint in joints])
    translations, moving = np.tile(offsets, (frames, 1, 1)), np.zeros(count, dtype=bool)
    rotations = np.tile(np.eye(3), (frames, count, 1, 1))
    for j, joint in enumerate(joints):
        shift, given = np.zeros((frames, 3)), np.zeros(3, dtype=bool)
        for kind in joint.channels:
            values, axis = table[:, column], "xyz".index(kind[0])
            column += 1
            if kind.endswith("position"):
                shift[:, axis], given[axis] = values, True
            else:
                turn = Rotation.from_euler(kind[0], values[:, None], degrees=True)
                rotations[:, j] = rotations[:, j] @ turn.as_matrix()
        if given.any():
            usual = np.median(shift, axis=0)
            instead = parents[j] < 0 or np.linalg.norm((usual - offsets[j])[given]) <= np.linalg.norm(usual[given])
            if not instead:
                shift = shift + offsets[j]
            if instead and parents[j] >= 0 and not offsets[j].any():
                offsets[j] = np.where(given, usual, 0.0)
            translations[:, j, given] = shift[:, given]
            moving[j] = float(np.abs(translations[:, j] - offsets[j]).max()) > 0.01 * np.abs(offsets).max()
    return _Bvh([joint.name for joint in joints], parents, offsets, translations, rotations, moving, fps, tuple(notes))


# --- the person -------------------------------------------------------------------------------------------------------


def _human(bvh: _Bvh, text_notes: tuple[str, ...]) -> HumanMotion:
    table, notes = joint_table(bvh.names), [*text_notes, *bvh.notes]
    world, pos, rest = _forward_kinematics(bvh)
    chain = {table["pelvis"], *_ancestors(table["pelvis"], bvh.parents)}
    stretched = [bvh.names[j] for j in np.flatnonzero(bvh.moving) if j not in chain]
    if stretched:
        notes.append(
            f"The file moves {len(stretched)} joints within their parents, {stretched[0]} first: their rotations only "
            "are carried over."
        )
    up = _up(pos, table) or _up(rest[None], table)
    if not up:
        raise BadInput("It cannot be determined which way is up: neither the person nor the rest pose stands upright.")
    to_z_up, body = _TO_Z_UP[up], BodyModel.load()
    rot = _joint_rotations(to_z_up @ world, rest, table, _spine(table, bvh.parents), body.rest_joints(np.zeros(1)))
    pose = np.empty((len(pos), 22, 3))
    for j in range(22):
        relative = rot[:, j] if j == 0 else rot[:, HUMAN_PARENTS[j]].swapaxes(1, 2) @ rot[:, j]
        pose[:, j] = Rotation.from_matrix(relative).as_rotvec()

    hip, knee, ankle = (rest[[table[f"left_{part}"], table[f"right_{part}"]]] for part in ("hip", "knee", "ankle"))
    leg = float((np.linalg.norm(knee - hip, axis=1) + np.linalg.norm(ankle - knee, axis=1)).mean())
    scale = _scale(leg)
    betas = np.zeros(10)
    betas[0] = _stature(body, scale * leg)
    hips = scale * 0.5 * (pos[:, table["left_hip"]] + pos[:, table["right_hip"]]) @ to_z_up.T
    joints = body.rest_joints(betas)
    middle = 0.5 * (joints[1] + joints[2]) - joints[0]
    transl = hips - rot[:, 0] @ middle - joints[0]
    return HumanMotion(bvh.fps, transl, pose[:, 0], pose[:, 1:].reshape(len(pos), 63), betas, notes=tuple(notes))


def _forward_kinematics(bvh: _Bvh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World rotations (T, J, 3, 3) and positions (T, J, 3) of the joints, and their positions at rest (J, 3)."""
    world, pos, rest = (np.empty_like(values) for values in (bvh.rotations, bvh.translations, bvh.offsets))
    for j, parent in enumerate(bvh.parents):
        if parent < 0:
            world[:, j], pos[:, j], rest[j] = bvh.rotations[:, j], bvh.translations[:, j], bvh.offsets[j]
        else:
            world[:, j] = world[:, parent] @ bvh.rotations[:, j]
            pos[:, j] = pos[:, parent] + np.einsum("tij,tj->ti", world[:, parent], bvh.translations[:, j])
            rest[j] = rest[parent] + bvh.offsets[j]
    return world, pos, rest


def _joint_rotations(
    world: np.ndarray, rest: np.ndarray, table: dict[str, int], spine: list[int], neutral: np.ndarray
) -> np.ndarray:
    """World rotations (T, 22, 3, 3) of SMPL-X's joints; one that the skeleton lacks turns with its parent.

    ``world`` (T, J, 3, 3) are those of the skeleton's joints, ``rest`` (J, 3) and ``neutral`` (55, 3) both rest poses.
    """
    frame, source = _rest_frame(rest, table), dict(table)
    for k, name in enumerate(("spine1", "spine2", "spine3") if spine else ()):
        source[name] = spine[-1] if k == 2 else spine[min(k * len(spine) // 3, len(spine) - 1)]
    rot = np.empty((len(world), 22, 3, 3))
    for j, name in enumerate(BODY_JOINT_NAMES):
        if name not in source:
            rot[:, j] = rot[:, HUMAN_PARENTS[j]]
            continue
        turned, near = frame, name.replace("wrist", "elbow")  # the hand goes on along the forearm
        far = _BONES.get(near)
        if far:
            bone = frame @ (neutral[BODY_JOINT_NAMES.index(far)] - neutral[BODY_JOINT_NAMES.index(near)])
            onto, _ = Rotation.align_vectors([rest[table[far]] - rest[table[near]]], [bone])  # the smallest turn
            turned = onto.as_matrix() @ frame
        rot[:, j] = world[:, source[name]] @ turned
    return rot


def _stature(body: BodyModel, leg: float) -> float:
    """First shape coefficient that gives a leg length; joints are linear in it."""

    def length(beta: float) -> float:
        joints = body.rest_joints(np.array([beta]))
        return float(np.linalg.norm(joints[4] - joints[1]) + np.linalg.norm(joints[7] - joints[4]))

    return float(np.clip((leg - length(0.0)) / (length(1.0) - length(0.0)), -5.0, 5.0))
