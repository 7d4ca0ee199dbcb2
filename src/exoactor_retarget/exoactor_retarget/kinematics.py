"""Poses and Jacobians of all frames at once, in plain numpy.

Arrays have time last here, so that each joint of the tree costs a handful of operations on long contiguous rows
whatever the number of frames. Coordinates of a step are: root position (3) and rotation (3) in world axes, then joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_retarget.description import Description

ROOT = 6  # coordinates of the root


@dataclass(frozen=True)
class State:
    """Configurations of T frames."""

    root_pos: np.ndarray
    """(T, 3) m."""
    root_rot: np.ndarray
    """(T, 3, 3)."""
    joint_pos: np.ndarray
    """(T, J) rad."""

    def __len__(self) -> int:
        return len(self.root_pos)

    def __getitem__(self, frames: slice | np.ndarray) -> State:
        return State(self.root_pos[frames], self.root_rot[frames], self.joint_pos[frames])

    def join(self, other: State) -> State:
        """One state after the other."""
        return State(
            np.concatenate([self.root_pos, other.root_pos]),
            np.concatenate([self.root_rot, other.root_rot]),
            np.concatenate([self.joint_pos, other.joint_pos]),
        )

    def where(self, taken: np.ndarray, other: State) -> State:
        """Take this state in frames where ``taken`` (T,) is true, the other one elsewhere."""
        if taken.all():
            return self
        return State(
            np.where(taken[:, None], self.root_pos, other.root_pos),
            np.where(taken[:, None, None], self.root_rot, other.root_rot),
            np.where(taken[:, None], self.joint_pos, other.joint_pos),
        )

    def replaced(self, frames: np.ndarray, part: State) -> State:
        """The state with some frames replaced."""
        if len(part) == len(self):
            return part
        out = State(self.root_pos.copy(), self.root_rot.copy(), self.joint_pos.copy())
        out.root_pos[frames], out.root_rot[frames], out.joint_pos[frames] = part.root_pos, part.root_rot, part.joint_pos
        return out

    def moved(self, step: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> State:
        """The state after a step (T, 6 + J), joints clipped to their limits."""
        turn = Rotation.from_rotvec(step[:, 3:6]).as_matrix()
        joint = np.clip(self.joint_pos + step[:, ROOT:], lower, upper)
        return State(self.root_pos + step[:, :3], turn @ self.root_rot, joint)


def log(rotations: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) of matrices (..., 3, 3); finite, but not accurate, near half turns."""
    skew = np.stack(
        [
            rotations[..., 2, 1] - rotations[..., 1, 2],
            rotations[..., 0, 2] - rotations[..., 2, 0],
            rotations[..., 1, 0] - rotations[..., 0, 1],
        ],
        axis=-1,
    )
    sine = 0.5 * np.sqrt(np.sum(skew * skew, axis=-1))
    cosine = 0.5 * (rotations[..., 0, 0] + rotations[..., 1, 1] + rotations[..., 2, 2] - 1.0)
    factor = np.where(sine > 1e-6, np.arctan2(sine, cosine) / np.maximum(sine, 1e-6), 1.0)
    return 0.5 * factor[..., None] * skew


def cross(a: np.ndarray, b: np.ndarray, axis: int = -2) -> np.ndarray:
    """Cross products of (..., 3, T), or of (..., 3) when ``axis`` is -1; quicker than numpy's."""
    if axis == -1:
        a0, a1, a2, b0, b1, b2 = (v[..., i] for v in (a, b) for i in range(3))
    else:
        a0, a1, a2, b0, b1, b2 = (v[..., i, :] for v in (a, b) for i in range(3))
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=axis)


@dataclass(frozen=True)
class Poses:
    """Poses of the B bodies, and what Jacobians are made of."""

    rot: np.ndarray
    """(B, 3, 3, T)."""
    pos: np.ndarray
    """(B, 3, T) m."""
    axis: np.ndarray
    """(6 + J, 3, T) axes of the rotations; those of the root's position are unused."""
    anchor: np.ndarray
    """(6 + J, 3, T) points on these axes, m."""

    def points(self, body: int, local: np.ndarray) -> np.ndarray:
        """World positions (3, T) of a point of a body."""
        rot = self.rot[body]
        return self.pos[body] + rot[:, 0] * local[0] + rot[:, 1] * local[1] + rot[:, 2] * local[2]

    def rotation(self, body: int) -> np.ndarray:
        """World orientation (T, 3, 3) of a body."""
        return np.ascontiguousarray(self.rot[body].transpose(2, 0, 1))


class Kinematics:
    """Forward kinematics and Jacobians of a robot."""

    def __init__(self, description: Description):
        self.description = description
        count = len(description.parent)
        self._joints = [self._prepared(j) for j in range(count)]
        self.chains = [np.array(description.chain(b), dtype=int) for b in range(count + 1)]
        self.size = ROOT + count
        self.turns = np.zeros((count + 1, self.size), dtype=bool)
        """(B, 6 + J) whether a coordinate turns a body."""
        self.turns[:, 3:ROOT] = True
        for body, chain in enumerate(self.chains):
            self.turns[body, ROOT + chain] = True

    def _prepared(self, j: int) -> tuple[int, np.ndarray, np.ndarray | None, int, float, np.ndarray | None]:
        """Parent, origin, rotation before, main axis, its sign, rotation after: so that each hinge is x, y or z."""
        d = self.description
        axis, before, after = d.axis[j], d.turn[j], None
        main = int(np.argmax(np.abs(axis)))
        sign = float(np.sign(axis[main]))
        if abs(axis[main]) < 1 - 1e-9:
            unit = np.eye(3)[main] * sign
            turn = Rotation.align_vectors([axis], [unit])[0].as_matrix()
            before, after = before @ turn, turn.T
        identity = np.allclose(before, np.eye(3), atol=1e-12)
        return int(d.parent[j]), d.origin[j], None if identity else before, main, sign, after

    def poses(self, state: State) -> Poses:
        """Poses of all bodies."""
        count, t = len(self._joints), len(state)
        rot, pos = np.empty((count + 1, 3, 3, t)), np.empty((count + 1, 3, t))
        axis, anchor = np.empty((self.size, 3, t)), np.empty((self.size, 3, t))
        rot[0], pos[0] = state.root_rot.transpose(1, 2, 0), state.root_pos.T
        axis[:ROOT] = np.tile(np.eye(3), (2, 1))[:, :, None]
        anchor[:ROOT] = pos[0]
        angles = np.ascontiguousarray(state.joint_pos.T)
        cosine, sine = np.cos(angles), np.sin(angles)
        for j, (parent, origin, before, main, sign, after) in enumerate(self._joints):
            carried = rot[parent]
            position = pos[j + 1]
            np.multiply(carried[:, 0], origin[0], out=position)
            position += carried[:, 1] * origin[1]
            position += carried[:, 2] * origin[2]
            position += pos[parent]
            if before is not None:
                carried = np.matmul(before.T, carried)
            u, v = (main + 1) % 3, (main + 2) % 3
            c, s = cosine[j], sine[j] if sign > 0 else -sine[j]
            out = rot[j + 1]
            out[:, main] = carried[:, main]
            out[:, u] = c * carried[:, u] + s * carried[:, v]
            out[:, v] = c * carried[:, v] - s * carried[:, u]
            np.multiply(carried[:, main], sign, out=axis[ROOT + j])
            if after is not None:
                rot[j + 1] = np.matmul(after.T, out)
        anchor[ROOT:] = pos[1:]
        return Poses(rot, pos, axis, anchor)

    def _columns(self, body: int, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of a block that turn a body, and their columns in the block."""
        columns = np.flatnonzero(self.turns[body, block])
        return block[columns], columns

    def turn_jacobian(self, poses: Poses, body: int, block: np.ndarray) -> np.ndarray:
        """Jacobian (T, 3, n) of a body's angular velocity for the coordinates of a block."""
        coordinates, columns = self._columns(body, block)
        out = np.zeros((poses.pos.shape[-1], 3, len(block)))
        out[:, :, columns] = poses.axis[coordinates].transpose(2, 1, 0)
        return out

    def point_jacobian(self, poses: Poses, body: int, point: np.ndarray, block: np.ndarray) -> np.ndarray:
        """Jacobian (T, 3, n) of world points (3, T) that move with a body."""
        coordinates, columns = self._columns(body, block)
        out = np.zeros((poses.pos.shape[-1], 3, len(block)))
        out[:, :, columns] = cross(poses.axis[coordinates], point - poses.anchor[coordinates]).transpose(2, 1, 0)
        if block[0] == 0:
            out[:, :, :3] = np.eye(3)
        return out

    def center_of_mass(self, poses: Poses) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Centre of mass (3, T), and the masses (B,) and mass times centre (B, 3, T) of all that each body carries."""
        d = self.description
        mass = d.mass.copy()
        moment = np.einsum("bijt,bj->bit", poses.rot, d.center) + poses.pos
        moment *= mass[:, None, None]
        for j in reversed(range(len(d.parent))):
            moment[d.parent[j]] += moment[j + 1]
            mass[d.parent[j]] += mass[j + 1]
        return moment[0] / mass[0], mass, moment

    def center_jacobian(self, poses: Poses, mass: np.ndarray, moment: np.ndarray, block: np.ndarray) -> np.ndarray:
        """Jacobian (T, 3, n) of the centre of mass, from what `center_of_mass` gives."""
        out = np.zeros((poses.pos.shape[-1], 3, len(block)))
        turning = block[block >= 3]
        body = np.maximum(turning - ROOT + 1, 0)
        arm = moment[body] - mass[body, None, None] * poses.anchor[turning]
        out[:, :, block >= 3] = cross(poses.axis[turning], arm).transpose(2, 1, 0) / mass[0]
        if block[0] == 0:
            out[:, :, :3] = np.eye(3)
        return out
