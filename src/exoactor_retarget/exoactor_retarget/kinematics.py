"""Poses and Jacobians of all frames at once, in plain numpy.

Arrays have time last here, so that each joint of the tree takes a handful of operations on long contiguous rows,
whatever the number of frames. The coordinates of a step are: root position (3) and rotation (3) in world axes, then
joints.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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
        """Concatenate two states."""
        return State(
            np.concatenate([self.root_pos, other.root_pos]),
            np.concatenate([self.root_rot, other.root_rot]),
            np.concatenate([self.joint_pos, other.joint_pos]),
        )

    def where(self, taken: np.ndarray, other: State) -> State:
        """Take this state in frames where ``taken`` (T,) is true, and the other one elsewhere."""
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
        """The state after a step (T, 6 + J), with joints clipped to their limits."""
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


_COMPONENTS = {0: (0, 1, 2), -1: [(..., i) for i in range(3)], -2: [(..., i, slice(None)) for i in range(3)]}


def cross(a: np.ndarray, b: np.ndarray, axis: int = -2) -> np.ndarray:
    """Cross products of (..., 3, T), or along another axis (-1 or 0); faster than numpy's."""
    (a0, a1, a2), (b0, b1, b2) = ([v[i] for i in _COMPONENTS[axis]] for v in (a, b))
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=axis)


@dataclass(frozen=True)
class Poses:
    """Poses of the B bodies, and the axes for Jacobians."""

    rot: np.ndarray
    """(B, 3, 3, T)."""
    pos: np.ndarray
    """(B, 3, T) m."""
    axis: np.ndarray
    """(6 + J, 3, T) axes of the rotations; those of the root's position are unused."""
    anchor: np.ndarray
    """(6 + J, 3, T) points on these axes, m."""

    def __getitem__(self, frames: slice | np.ndarray) -> Poses:
        return Poses(*(a[..., frames] for a in (self.rot, self.pos, self.axis, self.anchor)))

    def turned(self, body: int | slice | Sequence[int] | np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Vectors (..., 3, T) in world axes from vectors (..., 3) of one body, or of one body each."""
        return np.matmul(vector[..., None, None, :], self.rot[body])[..., 0, :]

    def points(self, body: int | slice | Sequence[int] | np.ndarray, local: np.ndarray) -> np.ndarray:
        """World positions (..., 3, T) of points (..., 3) of one body, or of one body each."""
        return self.turned(body, local) + self.pos[body]

    def rotation(self, body: int) -> np.ndarray:
        """World orientation (T, 3, 3) of a body."""
        return np.ascontiguousarray(self.rot[body].transpose(2, 0, 1))


@dataclass(frozen=True)
class _Hinges:
    """J joints: one joint, or two of the same kind at the same depth of the tree, like those of both legs."""

    joints: slice
    bodies: slice
    """The bodies that they move."""
    parents: slice
    """The bodies that they are attached to."""
    origin: np.ndarray
    """(J, 1, 1, 3) m."""
    before: np.ndarray | None
    """(J, 1, 3, 3) transposed rotations of the joints' frames in the parents', such that the axis is x, y or z."""
    after: np.ndarray | None
    """(J, 1, 3, 3) likewise, of the bodies' frames in the joints'."""
    main: int
    """Index of the axis, x, y or z, up to its sign."""


def _slice(indices: np.ndarray) -> slice:
    """A slice of one or two indices."""
    first, last = int(indices[0]), int(indices[-1])
    return slice(first, last + 1, max(1, last - first))


class Kinematics:
    """Forward kinematics and Jacobians of a robot."""

    def __init__(self, description: Description):
        self.description = description
        count = len(description.parent)
        self.chains = [np.array(description.chain(b), dtype=int) for b in range(count + 1)]
        self._sign, self._hinges = self._prepared()
        self.size = ROOT + count
        self.world = count + 1
        """Index of the world in place of a body."""
        self.turns = np.zeros((count + 2, self.size), dtype=bool)
        """(B + 1, 6 + J) whether a coordinate turns a body, or the world."""
        self.turns[: self.world, 3:ROOT] = True
        for body, chain in enumerate(self.chains):
            self.turns[body, ROOT + chain] = True

    def _prepared(self) -> tuple[np.ndarray, list[_Hinges]]:
        """Signs (J, 1, 1) of the axes along x, y or z, and the joints from the root outwards."""
        d = self.description
        sign, alike = np.ones((len(d.parent), 1, 1)), defaultdict(list)
        before, after = d.turn.copy(), np.tile(np.eye(3), (len(d.parent), 1, 1))
        for j, axis in enumerate(d.axis):
            main = int(np.argmax(np.abs(axis)))
            sign[j] = np.sign(axis[main])
            if abs(axis[main]) < 1 - 1e-9:
                turn = Rotation.align_vectors([axis], [np.eye(3)[main] * sign[j, 0, 0]])[0].as_matrix()
                before[j], after[j] = before[j] @ turn, turn.T
            turned = [not np.allclose(m[j], np.eye(3), atol=1e-12) for m in (before, after)]
            alike[len(self.chains[j + 1]), main, turned[0], turned[1]].append(j)
        hinges = []
        for (_, main, turned_before, turned_after), joints in sorted(alike.items()):
            ordered = (np.diff(d.parent[joints]) >= 0).all()
            for its in np.split(np.array(joints), range(2 if ordered else 1, len(joints), 2 if ordered else 1)):
                hinges.append(
                    _Hinges(
                        _slice(its),
                        _slice(its + 1),
                        _slice(d.parent[its]),
                        d.origin[its][:, None, None],
                        before[its].swapaxes(1, 2)[:, None] if turned_before else None,
                        after[its].swapaxes(1, 2)[:, None] if turned_after else None,
                        main,
                    )
                )
        return sign, hinges

    def poses(self, state: State) -> Poses:
        """Poses of all bodies."""
        t, size = len(state), self.size
        rot, pos = np.empty((size - ROOT + 1, 3, 3, t)), np.empty((size - ROOT + 1, 3, t))
        axis, anchor = np.empty((size, 3, t)), np.empty((size, 3, t))
        rot[0], pos[0] = state.root_rot.transpose(1, 2, 0), state.root_pos.T
        axis[:ROOT] = np.tile(np.eye(3), (2, 1))[:, :, None]
        angles = np.ascontiguousarray(state.joint_pos.T)[:, None]
        cosine, sine = np.cos(angles), self._sign * np.sin(angles)
        joint_axis = axis[ROOT:]
        for h in self._hinges:
            carried, out = rot[h.parents], rot[h.bodies]
            np.add(np.matmul(h.origin, carried)[:, :, 0], pos[h.parents], out=pos[h.bodies])
            if h.before is not None:
                carried = np.matmul(h.before, carried)
            c, s, (u, v) = cosine[h.joints], sine[h.joints], ((h.main + 1) % 3, (h.main + 2) % 3)
            out[:, :, h.main] = joint_axis[h.joints] = carried[:, :, h.main]
            out[:, :, u] = c * carried[:, :, u] + s * carried[:, :, v]
            out[:, :, v] = c * carried[:, :, v] - s * carried[:, :, u]
            if h.after is not None:
                out[:] = np.matmul(h.after, out)
        joint_axis *= self._sign
        anchor[:ROOT], anchor[ROOT:] = pos[0], pos[1:]
        return Poses(rot, pos, axis, anchor)

    def turn_jacobian(self, poses: Poses, bodies: Sequence[int], block: np.ndarray) -> np.ndarray:
        """Jacobian (T, 3 K, n) of the angular velocities of K bodies for the coordinates of a block."""
        which, column = np.nonzero(self.turns[bodies][:, block])
        out = np.zeros((poses.pos.shape[-1], len(bodies), 3, len(block)))
        out[:, which, :, column] = poses.axis[block[column]].swapaxes(1, 2)
        return out.reshape(len(out), -1, len(block))

    def point_jacobian(
        self, poses: Poses, bodies: Sequence[int] | np.ndarray, points: np.ndarray, block: np.ndarray
    ) -> np.ndarray:
        """Jacobian (T, 3 K, n) of world points (K, 3, T) that move with K bodies."""
        which, column = np.nonzero(self.turns[bodies][:, block])
        turning = block[column]
        moved = cross(poses.axis[turning], points[which] - poses.anchor[turning])
        out = np.zeros((points.shape[-1], len(points), 3, len(block)))
        out[:, which, :, column] = moved.swapaxes(1, 2)
        if block[0] == 0:
            out[..., :3] = np.eye(3)
        return out.reshape(len(out), -1, len(block))

    def velocities(
        self, poses: Poses, bodies: np.ndarray, block: np.ndarray, step: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rotation and translation of K bodies, one of which may be the world, by a step (T, n) of a block.

        Returns
        -------
        turn, move
            (3, K, T) each: a point p of a body moves by ``move + turn x p``, to first order.
        """
        turns = self.turns[bodies][:, block].astype(np.float64)
        axis, anchor = (a[block].transpose(1, 0, 2) for a in (poses.axis, poses.anchor))
        turning = axis * step.T
        turn, move = turns @ turning, turns @ cross(anchor, turning, axis=0)
        if block[0] == 0:
            move[:, bodies != self.world] += step.T[:3, None]
        return turn, move

    def _moments(self, poses: Poses) -> np.ndarray:
        """Mass times centre (B, 3 T) of each body."""
        d = self.description
        return (d.mass[:, None, None] * poses.points(slice(None), d.center)).reshape(len(d.mass), -1)

    def center_of_mass(self, poses: Poses) -> np.ndarray:
        """Centre of mass (3, T), m."""
        return self._moments(poses).sum(axis=0).reshape(3, -1) / self.description.mass.sum()

    def center_jacobian(self, poses: Poses, block: np.ndarray) -> np.ndarray:
        """Jacobian (T, 3, n) of the centre of mass."""
        mass, turning = self.description.mass, block[block >= 3]
        turned = self.turns[: self.world, turning].T.astype(np.float64)
        anchor = poses.anchor[turning]
        arm = (turned @ self._moments(poses)).reshape(anchor.shape) - (turned @ mass)[:, None, None] * anchor
        out = np.zeros((anchor.shape[-1], 3, len(block)))
        out[:, :, block >= 3] = cross(poses.axis[turning], arm).transpose(2, 1, 0) / mass.sum()
        if block[0] == 0:
            out[:, :, :3] = np.eye(3)
        return out
