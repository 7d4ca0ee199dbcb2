"""The two motion types of the stack and their files.

World frame: x forward, y left, z up (REP 103); metres, radians, seconds. Arrays have time first. Quaternions are
w, x, y, z, and names say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from exoactor_core.contacts import Contact, contacts_from_json, contacts_to_json
from exoactor_core.errors import BadInput, in_file
from exoactor_core.files import load_npz, save_npz

_LEG = ["hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll"]
_ARM = ["shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw"]
JOINT_NAMES: tuple[str, ...] = (
    *(f"{side}_{joint}_joint" for side in ("left", "right") for joint in _LEG),
    *("waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint"),
    *(f"{side}_{joint}_joint" for side in ("left", "right") for joint in _ARM),
)
"""The G1's 29 joints in Unitree's motor order."""
WAIST, BOTH_ARMS = slice(12, 15), slice(15, len(JOINT_NAMES))
"""Joints of the waist (yaw, roll, pitch) and of both arms; those of the legs come before."""
CORRECTION_WIDTH = 6 + len(JOINT_NAMES)
"""Width of a frame of `RobotMotion.correction`."""
_ROBOT_OPTIONAL = {"contacts": 2, "correction": CORRECTION_WIDTH, "hands": 2}
ROBOT_ARRAYS = {"root_pos": 3, "root_quat_wxyz": 4, "joint_pos": len(JOINT_NAMES), **_ROBOT_OPTIONAL}
"""Arrays of a robot motion with one row per frame, and their widths."""
EXECUTION_FIELDS = {"open_loop": False, "alternative_policy": False, "pace": 1.0}
"""Fields with which the rehearsal says how a robot motion is to be carried out, and their defaults."""


def _checked(what: str, value: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return ``value`` as float64 after checking its shape (None: any size) and that every number is finite."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != len(shape) or any(s is not None and s != n for s, n in zip(shape, array.shape, strict=True)):
        wanted = ", ".join("T" if s is None else str(s) for s in shape)
        raise BadInput(f"{what} has shape {array.shape}, but ({wanted}) is needed.")
    bad = ~np.isfinite(array)
    if bad.any():
        raise BadInput(f"{what} holds a number that is not finite, first in frame {int(np.argwhere(bad)[0][0])}.")
    return array


def _check_fps(fps: float) -> float:
    fps = float(fps)
    if not (np.isfinite(fps) and 1.0 <= fps <= 1000.0):
        raise BadInput(f"The frame rate is {fps}, but it must lie between 1 and 1000 frames per second.")
    return fps


LIMBS = ("left arm", "right arm", "left leg", "right leg", "torso and head")
"""Columns of `HumanMotion.limb_confidence`."""
_HUMAN_OPTIONAL = {"hand_pose": 90, "contacts": 4, "limb_confidence": len(LIMBS)}
HUMAN_ARRAYS = {"transl": 3, "global_orient": 3, "body_pose": 63, "confidence": 1, **_HUMAN_OPTIONAL}
"""Arrays of a human motion with one row per frame, and their widths; ``confidence`` has one axis only."""
_AMASS_KEYS = {
    **{"transl": "trans", "global_orient": "root_orient", "body_pose": "pose_body", "hand_pose": "pose_hand"},
    **{name: name for name in ("betas", "contacts", "confidence", "limb_confidence")},
}
"""AMASS's names of a human motion's arrays, and our names of those that AMASS lacks."""


@dataclass(frozen=True)
class HumanMotion:
    """A person's motion as SMPL-X parameters, T frames, in the z-up world.

    The rest pose is SMPL-X's (T-pose, y up, facing +z); ``global_orient`` takes it into the world. The pelvis is at
    ``transl`` + J0(betas), as in SMPL-X and AMASS.
    """

    fps: float
    transl: np.ndarray
    """(T, 3) m."""
    global_orient: np.ndarray
    """(T, 3) axis-angle, rad."""
    body_pose: np.ndarray
    """(T, 63) axis-angle of body joints 1-21, rad."""
    betas: np.ndarray
    """(B,) shape coefficients."""
    hand_pose: np.ndarray | None = None
    """(T, 90) axis-angle, left 15 joints then right 15; None: zeros (flat hands)."""
    contacts: np.ndarray | None = None
    """(T, 4) in [0, 1]: left heel, left toe, right heel, right toe; None: unknown (zeros)."""
    confidence: np.ndarray | None = None
    """(T,) in [0, 1]; None: ones."""
    limb_confidence: np.ndarray | None = None
    """(T, 5) in [0, 1], in the order of `LIMBS`; 0: the limb is not visible and its pose is a guess. None:
    ``confidence``."""
    notes: tuple[str, ...] = ()
    """Sentences on what the reader of a file assumed or repaired; they are not saved."""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "fps", _check_fps(self.fps))
        set_(self, "transl", _checked("trans", self.transl, (None, 3)))
        t = len(self.transl)
        if t == 0:
            raise BadInput("The human motion has no frames.")
        for name, shape in (("global_orient", (t, 3)), ("body_pose", (t, 63)), ("betas", (None,))):
            set_(self, name, _checked(_AMASS_KEYS[name], getattr(self, name), shape))
        confidence = np.ones(t) if self.confidence is None else _checked("confidence", self.confidence, (t,))
        set_(self, "confidence", confidence)
        for name, width in _HUMAN_OPTIONAL.items():
            value = getattr(self, name)
            if value is None:
                value = np.tile(confidence[:, None], width) if name == "limb_confidence" else np.zeros((t, width))
            set_(self, name, _checked(name, value, (t, width)))

    def __len__(self) -> int:
        return len(self.transl)

    @property
    def duration(self) -> float:
        """Seconds from the first to the last frame."""
        return (len(self) - 1) / self.fps

    def part(self, start: int, stop: int) -> HumanMotion:
        """The frames from ``start`` up to, but not including, ``stop``."""
        fields: dict[str, Any] = {name: getattr(self, name)[start:stop] for name in HUMAN_ARRAYS}
        return replace(self, **fields)

    @classmethod
    def joined(cls, motions: Sequence[HumanMotion]) -> HumanMotion:
        """Concatenate consecutive motions of the same person at the same rate."""
        fields: dict[str, Any] = {name: np.concatenate([getattr(m, name) for m in motions]) for name in HUMAN_ARRAYS}
        return replace(motions[0], **fields)

    def save(self, path: str | Path) -> None:
        """Write the AMASS SMPL-X npz layout, atomically."""
        save_npz(
            path,
            surface_model_type="smplx",
            gender="neutral",
            mocap_frame_rate=self.fps,
            mocap_time_length=self.duration,
            pose_jaw=np.zeros((len(self), 3)),
            pose_eye=np.zeros((len(self), 6)),
            **{key: getattr(self, name) for name, key in _AMASS_KEYS.items()},
        )

    @classmethod
    def load(cls, path: str | Path) -> HumanMotion:
        """Read an AMASS SMPL-X npz.

        Raises
        ------
        BadInput
            The file cannot be read, lacks a key, or holds a wrong shape or a number that is not finite.
        """
        data = load_npz(path, required=("mocap_frame_rate", "trans", "root_orient", "pose_body", "betas"))
        arrays: dict[str, Any] = {name: data.get(key) for name, key in _AMASS_KEYS.items()}
        arrays["betas"] = np.atleast_1d(arrays["betas"])
        with in_file(path, "human motion"):
            return cls(fps=float(data["mocap_frame_rate"]), **arrays)


@dataclass(frozen=True)
class RobotMotion:
    """A motion of the G1: floating base and 29 joints, T frames, in the z-up world."""

    fps: float
    root_pos: np.ndarray
    """(T, 3) m, position of the pelvis link."""
    root_quat_wxyz: np.ndarray
    """(T, 4) unit quaternion of the pelvis link."""
    joint_pos: np.ndarray
    """(T, 29) rad, Unitree's motor order."""
    contacts: np.ndarray | None = None
    """(T, 2) in [0, 1]: left, right foot; None: unknown."""
    joint_names: tuple[str, ...] = JOINT_NAMES
    correction: np.ndarray | None = None
    """(T, 35) reference correction: an offset to the command of a tracker's policy with which the robot succeeds.

    Velocity of the pelvis forward and to the left (m/s), its height (m), roll and pitch (rad), yaw rate (rad/s), and
    joint positions (rad). It is found for one policy, by ``exoactor correct``. None: no correction.
    """
    open_loop: bool = False
    """Keep the tracker's outer loop on heading and position open: the rehearsal found that the motion succeeds only
    without."""
    alternative_policy: bool = False
    """Track with the policy's alternative: the rehearsal found that it does better than the policy itself."""
    pace: float = 1.0
    """Share of its speed at which the motion is carried out: the rehearsal found that the robot fails at higher
    speeds."""
    hands: np.ndarray | None = None
    """(T, 2) closure of the left and the right hand, in [0, 1]; None: unknown."""
    object_contacts: tuple[Contact, ...] = ()
    """Contacts with the objects of a scene."""
    notes: tuple[str, ...] = ()
    """Sentences on what the reader of a file assumed or repaired; they are not saved."""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        names = tuple(str(n) for n in self.joint_names)
        if names != JOINT_NAMES:
            wrong = [f"'{a}' in place of '{b}'" for a, b in zip(names, JOINT_NAMES, strict=False) if a != b]
            first = wrong[0] if wrong else f"there are {len(names)} names"
            raise BadInput(f"joint_names are not the G1's 29 joints in Unitree's motor order: {first}.")
        set_(self, "joint_names", names)
        set_(self, "fps", _check_fps(self.fps))
        set_(self, "root_pos", _checked("root_pos", self.root_pos, (None, 3)))
        t = len(self.root_pos)
        if t == 0:
            raise BadInput("The robot motion has no frames.")
        quat = _checked("root_quat_wxyz", self.root_quat_wxyz, (t, 4))
        norm = np.linalg.norm(quat, axis=1)
        off = np.abs(norm - 1.0)
        i = int(np.argmax(off))
        if off[i] > 0.06:
            raise BadInput(f"root_quat_wxyz is not a unit quaternion: its norm is {norm[i]:.3f} in frame {i}.")
        if off[i] > 0.01:
            note = f"The root quaternions were normalised: they are up to {off[i]:.1%} off unit length (frame {i})."
            set_(self, "notes", (*self.notes, note))
        # A quaternion of unit length is kept bit for bit, so that copies have the same signature in a verdict.
        set_(self, "root_quat_wxyz", np.where(off[:, None] < 1e-12, quat, quat / norm[:, None]))
        set_(self, "joint_pos", _checked("joint_pos", self.joint_pos, (t, len(JOINT_NAMES))))
        if not 0.0 < self.pace <= 1.0:
            raise BadInput(f"The pace is {self.pace:g}, but it must be more than 0 and at most 1.")
        for name, width in _ROBOT_OPTIONAL.items():
            if getattr(self, name) is not None:
                set_(self, name, _checked(name, getattr(self, name), (t, width)))

    def __len__(self) -> int:
        return len(self.root_pos)

    def part(self, start: int, stop: int | None) -> RobotMotion:
        """The frames from ``start`` up to, but not including, ``stop``, without contacts with objects."""
        arrays = {name: getattr(self, name) for name in ROBOT_ARRAYS}
        fields: dict[str, Any] = {name: a[start:stop] for name, a in arrays.items() if a is not None}
        return replace(self, **fields, object_contacts=())

    @property
    def duration(self) -> float:
        """Seconds from the first to the last frame, at full pace."""
        return (len(self) - 1) / self.fps

    @property
    def joint_vel(self) -> np.ndarray:
        """(T, 29) rad/s, by central differences."""
        return np.gradient(self.joint_pos, axis=0) * self.fps if len(self) > 1 else np.zeros_like(self.joint_pos)

    @property
    def execution(self) -> dict[str, Any]:
        """The values of its `EXECUTION_FIELDS`, by name."""
        return {name: getattr(self, name) for name in EXECUTION_FIELDS}

    @property
    def paced(self) -> RobotMotion:
        """The motion slowed to its ``pace``; the result's pace is 1."""
        if self.pace == 1.0:
            return self
        contacts = tuple(c.at_times(c.start / self.pace, c.end / self.pace) for c in self.object_contacts)
        return replace(self, fps=self.fps * self.pace, object_contacts=contacts, pace=1.0)

    def save(self, path: str | Path) -> None:
        """Write the robot motion npz, atomically; joint_vel is included for other tools."""
        optional = {name: getattr(self, name) for name in _ROBOT_OPTIONAL if getattr(self, name) is not None}
        if self.object_contacts:
            optional["object_contacts"] = contacts_to_json(self.object_contacts)
        save_npz(
            path,
            fps=self.fps,
            joint_names=np.array(self.joint_names),
            root_pos=self.root_pos,
            root_quat_wxyz=self.root_quat_wxyz,
            joint_pos=self.joint_pos,
            joint_vel=self.joint_vel,
            **self.execution,
            **optional,
        )

    @classmethod
    def load(cls, path: str | Path) -> RobotMotion:
        """Read a robot motion npz.

        Raises
        ------
        BadInput
            The file cannot be read, lacks a key, or holds a wrong shape, joint order, quaternion or number.
        """
        data = load_npz(path, required=("fps", "joint_names", "root_pos", "root_quat_wxyz", "joint_pos"))
        execution: dict[str, Any] = {k: type(default)(data.get(k, default)) for k, default in EXECUTION_FIELDS.items()}
        arrays: dict[str, Any] = {name: data.get(name) for name in ROBOT_ARRAYS}
        with in_file(path, "robot motion"):
            return cls(
                fps=float(data["fps"]),
                object_contacts=contacts_from_json(str(data.get("object_contacts", "[]"))),
                joint_names=tuple(np.atleast_1d(data["joint_names"]).tolist()),
                **execution,
                **arrays,
            )
