"""Observations of policies: a registry of terms, and the vector composed of them according to a spec.

A spec's ``groups`` are lists of terms; its ``observation`` is a list of parts, one after the other, each of

- ``groups``: names of groups, concatenated;
- ``steps``: frames (of 20 ms) ahead at which they are evaluated one after the other (default: the present one);
- ``history``: so many previous steps instead, oldest first, and with ``present: true`` the present one after them;
  ``fill: first`` starts with copies of the first step instead of zeros;
- ``modes``: modes in which it is fed; zeros in others (default: all).

A term is the name of one of `TERMS`, and may have ``joints`` (names: these only), ``clip`` (lower, upper), ``scale``
(one number, or one for each of its own), ``zero`` (joints whose entries are zero) and ``width`` (of terms that have
none of their own).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from pinocchio.utils import rotate
from scipy.spatial.transform import Rotation

from exoactor_control.reference.human_keypoints import NUM_HUMAN_JOINTS, Human
from exoactor_core.errors import BadInput
from exoactor_core.motion import WAIST
from exoactor_core.robot import forward_kinematics, standing_motion
from exoactor_core.robot_state import RobotState
from exoactor_core.rotations import about_z, from_quat, yaw_from_matrix

if TYPE_CHECKING:
    from exoactor_control.reference.trajectory import Frame


class PolicyState(Protocol):
    """What observations read from a policy; n is the number of its joints."""

    order: np.ndarray
    """(n,) index of each of the policy's joints in motor order."""
    default_pose: np.ndarray
    """(n,) rad."""
    last_action: np.ndarray
    """(n,), as output by the network."""
    mode: int
    token: np.ndarray
    """Output of the encoder; (0,) without one."""
    present: Frame
    """The reference's present frame."""


Ahead = Callable[[int], "Frame"]
"""The reference's frame so many steps (of 20 ms) ahead; 0: the present one."""


def _torso(pelvis: np.ndarray, joint_pos: np.ndarray) -> np.ndarray:
    yaw, roll, pitch = joint_pos[WAIST]
    return pelvis @ about_z(yaw) @ rotate("x", roll) @ rotate("y", pitch)


def _pelvis(state: RobotState) -> np.ndarray:
    return from_quat(state.quat_wxyz)


def _roll_pitch(state: RobotState) -> np.ndarray:
    r = _pelvis(state)
    return np.array([np.arctan2(r[2, 1], r[2, 2]), np.arcsin(np.clip(-r[2, 0], -1.0, 1.0))])


def _heading(state: RobotState) -> np.ndarray:
    # where the pelvis' x axis points on the floor, as the yaw of roll_pitch_yaw
    return about_z(yaw_from_matrix(_pelvis(state)))


def _quat_xyzw(rotation: np.ndarray) -> np.ndarray:
    return Rotation.from_matrix(rotation).as_quat()


def _sin_cos(angle: float) -> np.ndarray:
    return np.array([np.sin(angle), np.cos(angle)])


def _six(frame: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """The first two columns of the relative rotation, row by row, (6,)."""
    return (frame.T @ rotation)[:, :2].ravel()


def _torso_error(state: RobotState, frame: Frame, _: PolicyState) -> np.ndarray:
    return _six(_torso(_pelvis(state), state.joint_pos), _torso(frame.rotation, frame.joint_pos))


def _positions(state: RobotState, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the reference and of the robot, (3,) m, in the frame of the robot's odometry."""
    if frame.position is None or state.position is None:
        raise ValueError("the policy is fed the robot's position, and none was given")
    return frame.position, state.position


def _human(frame: Frame) -> Human:
    if frame.human is None:
        raise ValueError("the policy follows the person's motion, and none was given")
    return frame.human


def _position_error(state: RobotState, frame: Frame, _: PolicyState) -> np.ndarray:
    reference, robot = _positions(state, frame)
    return (reference - robot) @ _pelvis(state)


def _torso_position_error(state: RobotState, frame: Frame, _: PolicyState) -> np.ndarray:
    def position(pelvis: np.ndarray, rotation: np.ndarray, joint_pos: np.ndarray) -> np.ndarray:
        return pelvis + rotation @ about_z(joint_pos[WAIST][0]) @ _offset("torso_link")

    rotation, (reference, robot) = _pelvis(state), _positions(state, frame)
    error = position(reference, frame.rotation, frame.joint_pos) - position(robot, rotation, state.joint_pos)
    return error @ _torso(rotation, state.joint_pos)


def _imu_lin_vel(state: RobotState, *_: object) -> np.ndarray:
    return state.lin_vel @ _pelvis(state) + np.cross(state.ang_vel, _offset("imu_in_pelvis"))


@cache
def _offset(link: str) -> np.ndarray:
    """(3,) m from the pelvis to a link; the torso's origin is where the waist's roll and pitch axes meet."""
    pelvis, other = forward_kinematics(standing_motion(), ("pelvis", link))[0]
    return other - pelvis


# Each term: its width, and (robot state, reference frame, policy) -> (width,). Joints in the policy's order.
_JOINTS = -1  # width: one for each of the policy's joints
_GIVEN = -2  # width: given by the spec
_Value = Callable[["RobotState", "Frame", "PolicyState"], np.ndarray]
TERMS: dict[str, tuple[int, _Value]] = {
    # the reference
    "reference_lin_vel_xy": (2, lambda s, r, p: r.lin_vel_xy),  # pelvis frame, m/s
    "reference_lin_vel": (3, lambda s, r, p: np.array([*r.lin_vel_xy, r.lin_vel_z])),
    "reference_velocity_command": (3, lambda s, r, p: np.array([*r.lin_vel_xy, r.yaw_rate])),
    "reference_height": (1, lambda s, r, p: np.array([r.height])),
    "reference_roll_pitch": (2, lambda s, r, p: r.roll_pitch),
    "reference_yaw_rate": (1, lambda s, r, p: np.array([r.yaw_rate])),  # about the pelvis' z axis
    "reference_ang_vel": (3, lambda s, r, p: np.array([*r.ang_vel_xy, r.yaw_rate])),
    "reference_pelvis_gravity": (3, lambda s, r, p: -r.rotation[2]),  # its direction in the reference's pelvis frame
    "reference_torso_gravity": (3, lambda s, r, p: -_torso(r.rotation, r.joint_pos)[2]),
    "reference_torso_quat_xyzw": (4, lambda s, r, p: _quat_xyzw(_torso(r.rotation, r.joint_pos))),
    "reference_pelvis_quat_xyzw": (4, lambda s, r, p: _quat_xyzw(r.rotation)),
    "reference_yaw_change": (2, lambda s, r, p: _sin_cos(r.yaw - p.present.yaw)),  # from now on: sine, cosine
    "reference_joint_pos": (_JOINTS, lambda s, r, p: r.joint_pos[p.order]),
    "reference_joint_vel": (_JOINTS, lambda s, r, p: r.joint_vel[p.order]),
    # the reference's orientation as the robot sees it, or as its heading sees it
    "pelvis_rotation_error": (6, lambda s, r, p: _six(_pelvis(s), r.rotation)),
    "pelvis_rotation_from_heading": (6, lambda s, r, p: _six(_heading(s), r.rotation)),
    "torso_rotation_error": (6, _torso_error),
    "yaw_error": (2, lambda s, r, p: _sin_cos(r.yaw - yaw_from_matrix(_pelvis(s)))),  # sine, cosine
    # where the reference is from the robot, by its odometry, in the axes of its pelvis or torso
    "pelvis_position_error": (3, _position_error),
    "torso_position_error": (3, _torso_position_error),
    # the person
    "human_joints": (3 * NUM_HUMAN_JOINTS, lambda s, r, p: _human(r).joints.ravel()),
    "human_rotation_error": (6, lambda s, r, p: _six(_pelvis(s), _human(r).root)),
    "human_rotation_from_heading": (6, lambda s, r, p: _six(_heading(s), _human(r).root)),
    # the robot
    "lin_vel": (3, lambda s, r, p: s.lin_vel @ _pelvis(s)),  # by its odometry
    "imu_lin_vel": (3, _imu_lin_vel),  # of the IMU in the pelvis
    "ang_vel": (3, lambda s, r, p: s.ang_vel),
    "roll_pitch": (2, lambda s, r, p: _roll_pitch(s)),
    "gravity": (3, lambda s, r, p: -_pelvis(s)[2]),  # its direction in the pelvis frame
    "torso_quat_xyzw": (4, lambda s, r, p: _quat_xyzw(_torso(_pelvis(s), s.joint_pos))),  # by the pelvis' IMU
    "pelvis_quat_xyzw": (4, lambda s, r, p: _quat_xyzw(_pelvis(s))),
    "joint_pos_rel": (_JOINTS, lambda s, r, p: s.joint_pos[p.order] - p.default_pose),
    "joint_vel": (_JOINTS, lambda s, r, p: s.joint_vel[p.order]),
    "last_action": (_JOINTS, lambda s, r, p: p.last_action),  # as the network gave it
    # of networks in two parts
    "mode": (_GIVEN, lambda s, r, p: np.array([p.mode])),  # and zeros after it
    "token": (_GIVEN, lambda s, r, p: p.token),  # what the encoder makes of its own observation
    "zeros": (_GIVEN, lambda s, r, p: np.zeros(0)),
}
HUMAN_TERMS = frozenset(name for name in TERMS if name.startswith("human_"))


@dataclass(frozen=True)
class _Term:
    """A term as used by a spec."""

    name: str
    value: _Value
    width: int
    take: np.ndarray | None
    clip: np.ndarray | None
    scale: np.ndarray

    @classmethod
    def read(cls, entry: dict[str, Any], joints: Sequence[str]) -> _Term:
        unknown = set(entry) - {"term", "joints", "clip", "scale", "zero", "width"}
        name = str(entry.get("term"))
        if name not in TERMS:
            raise BadInput(f"there is no observation term '{name}': known are {', '.join(sorted(TERMS))}")
        if unknown:
            raise BadInput(f"the term '{name}' has an entry '{min(unknown)}', which is not known")
        for joint in (*entry.get("joints", ()), *entry.get("zero", ())):
            if joint not in joints:
                raise BadInput(f"the term '{name}' names the joint '{joint}', which is not in joint_order")
        width, value = TERMS[name]
        width = {_JOINTS: len(joints), _GIVEN: int(entry.get("width", 0))}.get(width, width)
        if width < 1:
            raise BadInput(f"the term '{name}' needs a width")
        if "width" in entry and int(entry["width"]) != width:
            raise BadInput(f"the term '{name}' has {width} numbers, not {entry['width']}")
        take = np.array([joints.index(j) for j in entry["joints"]]) if "joints" in entry else None
        if take is not None and width != len(joints):
            raise BadInput(f"the term '{name}' is not of joints, but names some")
        scale = np.asarray(entry.get("scale", 1.0), dtype=float)
        width = width if take is None else len(take)
        if scale.ndim and scale.shape != (width,):
            raise BadInput(f"the term '{name}' has {width} numbers, but its scale has {scale.size}")
        scale = np.broadcast_to(scale, width).copy()
        covered = joints if take is None else entry["joints"]
        for joint in entry.get("zero", ()):
            scale[covered.index(joint)] = 0.0
        clip = np.asarray(entry["clip"], dtype=float) if "clip" in entry else None
        if clip is not None and clip.shape not in ((2,), (2, width)):
            raise BadInput(f"the term '{name}' has {width} numbers, but its clip is not (lower, upper) of these")
        return cls(name, value, width, take, clip, scale)

    def __call__(self, state: RobotState, frame: Frame, policy: PolicyState) -> np.ndarray:
        x = self.value(state, frame, policy)
        if self.take is not None:
            x = x[self.take]
        if len(x) < self.width:  # terms whose width the spec gives are padded
            x = np.concatenate([x, np.zeros(self.width - len(x))])
        if self.clip is not None:
            x = np.clip(x, *self.clip)
        return self.scale * x


@dataclass(frozen=True)
class _Part:
    """A part of the observation in a spec."""

    groups: tuple[str, ...]
    width: int
    """Of one step."""
    steps: tuple[int, ...]
    history: int
    present: bool
    fill_first: bool
    modes: tuple[int, ...] | None

    @classmethod
    def read(cls, entry: dict[str, Any], groups: dict[str, list[_Term]]) -> _Part:
        unknown = set(entry) - {"groups", "steps", "history", "present", "fill", "modes"}
        if unknown:
            raise BadInput(f"a part of the observation has an entry '{min(unknown)}', which is not known")
        names = tuple(entry["groups"])
        for name in names:
            if name not in groups:
                raise BadInput(f"the observation names the group '{name}', which is not among the groups")
        history = int(entry.get("history", 0))
        if entry.get("fill", "zeros") not in ("zeros", "first"):
            raise BadInput(f"a history is filled with 'zeros' or 'first', not with '{entry['fill']}'")
        if history < 0 or (history and "steps" in entry):
            raise BadInput("a part of the observation has a history, or steps ahead, not both")
        steps = tuple(int(s) for s in entry.get("steps", (0,)))
        if min(steps, default=-1) < 0:
            raise BadInput("the steps of a part of the observation must not lie in the past")
        return cls(
            groups=names,
            width=sum(term.width for name in names for term in groups[name]),
            steps=steps,
            history=history,
            present=bool(entry.get("present", not history)),
            fill_first=entry.get("fill") == "first",
            modes=tuple(entry["modes"]) if "modes" in entry else None,
        )

    @property
    def size(self) -> int:
        return self.width * (self.history + self.present if self.history else len(self.steps))


class Observation:
    """Computes a network's input from the robot's state and the reference.

    ``groups`` and ``parts`` are as a spec gives them (see the module), ``joints`` the names of the policy's joints, in
    its order.

    Raises
    ------
    BadInput
        A term, a joint, a group or a number in them is wrong: the message says which.
    """

    def __init__(
        self, groups: dict[str, list[dict[str, Any]]], parts: list[dict[str, Any]], joints: Sequence[str]
    ) -> None:
        self._groups = {name: [_Term.read(term, joints) for term in terms] for name, terms in groups.items()}
        self._parts = [_Part.read(part, self._groups) for part in parts]
        self.size = sum(part.size for part in self._parts)
        self.reset()

    def __str__(self) -> str:
        return ", ".join(f"{'+'.join(part.groups)} {part.size}" for part in self._parts)

    def terms(self, mode: int = 0) -> frozenset[str]:
        """Names of the terms that are used in a mode."""
        parts = (part for part in self._parts if part.modes is None or mode in part.modes)
        return frozenset(term.name for part in parts for group in part.groups for term in self._groups[group])

    def reset(self) -> None:
        """Clear the history."""
        self._history: list[deque[np.ndarray]] = [
            deque(() if part.fill_first else [np.zeros(part.width)] * part.history, maxlen=part.history)
            for part in self._parts
        ]

    def __call__(self, state: RobotState, ahead: Ahead, policy: PolicyState) -> np.ndarray:
        """Build the observation, (size,) float32, and add this step to the history."""
        known: dict[tuple[str, int], np.ndarray] = {}

        def step(part: _Part, ahead_by: int) -> np.ndarray:
            for name in part.groups:
                if (name, ahead_by) not in known:
                    values = [term(state, ahead(ahead_by), policy) for term in self._groups[name]]
                    known[name, ahead_by] = values[0] if len(values) == 1 else np.concatenate(values)
            return np.concatenate([known[name, ahead_by] for name in part.groups])

        parts: list[np.ndarray] = []
        for part, history in zip(self._parts, self._history, strict=True):
            if part.modes is not None and policy.mode not in part.modes:
                parts.append(np.zeros(part.size))
            elif not part.history:
                parts.extend(step(part, s) for s in part.steps)
            else:
                now = step(part, 0)
                history.extend([now] * (part.history - len(history)))
                parts.extend(history)
                if part.present:
                    parts.append(now)
                history.append(now)
        return np.concatenate(parts).astype(np.float32)
