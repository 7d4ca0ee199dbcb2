"""The body model of the fit: points on it, and their derivatives by its variables, for many frames at once.

Variables of a frame: position of the pelvis (3), a small turn of the pelvis about the axes of the frame of reference
(3), and `POSE` components of the joints' axis-angles. A joint's point moves with an axis-angle r by the columns of
SO(3)'s left Jacobian at r (Sola, Deray & Atchuthan, "A micro Lie theory", 2018, eq. 145).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.body import BODY_JOINT_NAMES, HUMAN_PARENTS, BodyModel, joint_transforms
from exoactor_pose.detection.anatomy import JOINT_MASSES, SOLE_JOINTS, landmark_points

BODY_JOINTS = len(BODY_JOINT_NAMES)
LANDMARKS = 33

# The parts moved by one variable each: joints that share it, and its axes. The spine bends in its three joints
# equally, the neck in its two; knees and elbows are hinges; collar bones do not rotate about themselves.
_LEG = {"hip": "xyz", "knee": "x", "ankle": "xyz", "foot": "x"}
_ARM = {"collar": "yz", "shoulder": "xyz", "elbow": "y", "wrist": "xyz"}
_PARTS = (
    (("spine1", "spine2", "spine3"), "xyz"),
    (("neck", "head"), "xyz"),
    *(((f"{side}_{joint}",), axes) for side in ("left", "right") for joint, axes in (_LEG | _ARM).items()),
)


def _mixing() -> np.ndarray:
    columns = []
    for joints, axes in _PARTS:
        for axis in axes:
            column = np.zeros((BODY_JOINTS - 1, 3))
            column[[BODY_JOINT_NAMES.index(j) - 1 for j in joints], "xyz".index(axis)] = 1.0
            columns.append(column.ravel())
    return np.stack(columns, axis=1)


MIXING = _mixing()
"""(63, POSE) from pose variables to the axis-angles of body joints 1-21."""
POSE = MIXING.shape[1]
VARIABLES = 6 + POSE
"""Number of variables of a frame."""
CAMERA = 4
"""Variables of the camera, common to all frames: see `State.camera`."""


@dataclass
class State:
    """The unknowns of the fit. Their frame of reference is fixed at the first camera and nearly level."""

    path: np.ndarray
    """(T, 3) m, pelvis."""
    root: np.ndarray
    """(T, 3, 3) rotation of the pelvis."""
    pose: np.ndarray
    """(T, POSE) rad."""
    betas: np.ndarray
    """(B,)."""
    camera: np.ndarray
    """(CAMERA,): pitch and roll (rad) that level the frame of reference, the first camera's height above the floor (m),
    and the scale of the camera's path."""

    def moved(self, step: np.ndarray, common: np.ndarray) -> State:
        """Add a step, (T, VARIABLES) and (B + CAMERA,)."""
        turned = Rotation.from_rotvec(step[:, 3:6]).as_matrix() @ self.root
        count = len(self.betas)
        return State(
            self.path + step[:, :3],
            turned,
            self.pose + step[:, 6:],
            self.betas + common[:count],
            self.camera + common[count:],
        )

    def common(self) -> np.ndarray:
        """(B + CAMERA,) the variables common to all frames."""
        return np.concatenate([self.betas, self.camera])

    def part(self, frames: slice) -> State:
        """Some of the frames."""
        return State(self.path[frames], self.root[frames], self.pose[frames], self.betas, self.camera)

    def axis_angles(self) -> np.ndarray:
        """(T, 63) rad, as in `HumanMotion`."""
        return self.pose @ MIXING.T

    def level(self) -> np.ndarray:
        """(3, 3) from the frame of reference to the world, whose z is up."""
        return _about(1, self.camera[0]) @ _about(0, self.camera[1])


def _about(axis: int, angle: float) -> np.ndarray:
    return Rotation.from_rotvec(angle * np.eye(3)[axis]).as_matrix()


@dataclass
class Points:
    """Points of the body in the frame of reference and their derivatives, which are empty unless requested.

    Those of the landmarks and soles are in single precision, which takes half the time and suffices for a step.
    """

    positions: np.ndarray
    """(T, 37, 3) m: 33 landmarks, then left heel, left toe, right heel, right toe."""
    mass: np.ndarray
    """(T, 3) m, centre of mass."""
    joints: np.ndarray
    """(T, 22, 3) m."""
    by_variable: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(T, 37, 3, VARIABLES)."""
    by_shape: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(T, 37, 3, B)."""
    mass_by_variable: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(T, 3, VARIABLES)."""
    mass_by_shape: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(T, 3, B)."""

    def part(self, frames: slice) -> Points:
        """Some of the frames."""
        return Points(*(getattr(self, f.name)[frames] for f in fields(self)))


class Skeleton:
    """Joints, landmarks and soles of a body, as functions of `State`."""

    def __init__(self, body: BodyModel, shapes: int = 10) -> None:
        self.shapes = min(shapes, body.joint_shapedirs.shape[-1])
        self.mean_betas = body.mean_betas[: self.shapes]
        """(B,) mean shape of people."""
        eye = np.eye(self.shapes)

        def linear(function: Callable[[np.ndarray], Any]) -> tuple[np.ndarray, np.ndarray]:
            base = function(np.zeros(self.shapes))
            return base, np.stack([function(e) - base for e in eye], axis=-1)

        def offsets(betas: np.ndarray) -> np.ndarray:
            soles = body.rest_foot_points(betas) - body.rest_joints(betas)[SOLE_JOINTS]
            return np.concatenate([landmark_points(body, betas)[1], soles])

        # The head joint is at 0.90 of stature in the neutral body, and about so in SMPL-X.
        self.stature = linear(lambda b: (body.rest_joints(b)[15, 1] - body.rest_foot_points(b)[0, 1]) / 0.90)
        self._rest = linear(lambda b: body.rest_joints(b)[:BODY_JOINTS])
        self._offsets = linear(offsets)
        self._carriers = np.concatenate([landmark_points(body, np.zeros(self.shapes))[0], SOLE_JOINTS])
        self._parents = HUMAN_PARENTS[:BODY_JOINTS]
        below = np.eye(BODY_JOINTS, dtype=bool)  # [j, k]: joint k moves with joint j
        for joint in range(BODY_JOINTS - 1, 0, -1):
            below[self._parents[joint]] |= below[joint]
        self._masses_below = below * JOINT_MASSES
        # No landmark is between joints that share a variable, so it moves with all of them or with none.
        moved = below[1:, self._carriers].astype(float)  # (21, 37)
        self._moves = (np.abs(MIXING).reshape(-1, 3, POSE).max(1).T @ moved > 0).T.astype(np.float32)  # (37, POSE)

    def stature_of(self, betas: np.ndarray) -> float:
        """Standing height, m."""
        return float(self.stature[0] + self.stature[1] @ betas)

    def shape_for(self, height: float) -> np.ndarray:
        """(B,) mean shape of people of that standing height, m."""
        betas = self.mean_betas.copy()
        betas[0] += (height - self.stature_of(betas)) / self.stature[1][0]
        return betas

    def rest_landmarks(self, betas: np.ndarray) -> np.ndarray:
        """(33, 3) m on the body at rest, y up, facing +z."""
        rest, offset = (base + change @ betas for base, change in (self._rest, self._offsets))
        return (rest[self._carriers] + offset)[:LANDMARKS]

    def points(self, state: State, derivatives: bool = True) -> Points:
        """Forward kinematics."""
        frames, betas = len(state.path), state.betas
        rest = self._rest[0] + self._rest[1] @ betas
        offset = self._offsets[0] + self._offsets[1] @ betas
        turns = state.axis_angles().reshape(frames, BODY_JOINTS - 1, 3)
        local = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(frames, BODY_JOINTS - 1, 3, 3)
        rot, pos = joint_transforms(np.concatenate([state.root[:, None], local], axis=1), state.path, rest)
        carried = rot[:, self._carriers]
        positions = pos[:, self._carriers] + (carried @ offset[..., None])[..., 0]
        mass = np.einsum("j,tjx->tx", JOINT_MASSES, pos)
        if not derivatives:
            return Points(positions, mass, pos)

        by_shape, change = np.zeros((frames, BODY_JOINTS, 3, self.shapes)), self._rest[1]
        for joint, parent in enumerate(self._parents[1:], 1):
            by_shape[:, joint] = by_shape[:, parent] + rot[:, parent] @ (change[joint] - change[parent])
        # Axes of the variables in the frame of reference, and their moments about its origin.
        axes = rot[:, self._parents[1:]] @ _left_jacobian(turns)
        axes = np.swapaxes(axes, 2, 3)  # (T, 21, axis, 3)
        moments = np.cross(pos[:, 1:, None], axes)
        axis = (np.swapaxes(axes.reshape(frames, -1, 3), 1, 2) @ MIXING).astype(np.float32)
        moment = (np.swapaxes(moments.reshape(frames, -1, 3), 1, 2) @ MIXING).astype(np.float32)
        out = np.zeros((frames, len(self._carriers), 3, VARIABLES), np.float32)
        points = positions.astype(np.float32)
        for x, y, z in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            turned = axis[:, None, y] * points[:, :, z, None] - axis[:, None, z] * points[:, :, y, None]
            out[:, :, x, 6:] = (turned + moment[:, None, x]) * self._moves
        out[:, :, :, :3] = np.eye(3)
        out[:, :, :, 3:6] = -_skew(positions - state.path[:, None])

        levers = np.einsum("jk,tkx->tjx", self._masses_below, pos) - self._masses_below.sum(1)[:, None] * pos
        swing = np.cross(axes, levers[:, 1:, None]).reshape(frames, -1, 3)
        by_mass = np.zeros((frames, 3, VARIABLES))
        by_mass[:, :, :3] = np.eye(3)
        by_mass[:, :, 3:6] = -_skew(mass - state.path)
        by_mass[:, :, 6:] = np.swapaxes(swing, 1, 2) @ MIXING
        points_by_shape = (by_shape[:, self._carriers] + carried @ self._offsets[1]).astype(np.float32)
        mass_by_shape = np.einsum("j,tjxb->txb", JOINT_MASSES, by_shape)
        return Points(positions, mass, pos, out, points_by_shape, by_mass, mass_by_shape)


def _skew(v: np.ndarray) -> np.ndarray:
    """Cross-product matrices (..., 3, 3) of (..., 3)."""
    return np.cross(np.eye(3), v[..., None, :])


def _left_jacobian(r: np.ndarray) -> np.ndarray:
    """(..., 3, 3): rotation about the fixed axes per change of the axis-angle (..., 3)."""
    angle2 = np.maximum((r**2).sum(-1), 1e-8)
    angle = np.sqrt(angle2)
    k = _skew(r)
    first = (1 - np.cos(angle)) / angle2
    second = (angle - np.sin(angle)) / (angle2 * angle)
    return np.eye(3) + first[..., None, None] * k + second[..., None, None] * (k @ k)
