"""The part of a person's motion that the mapping uses: a few joints, their orientations, and the soles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import continuous_quaternions
from exoactor_core.body import BODY_JOINT_NAMES, HUMAN_PARENTS, BodyModel
from exoactor_core.contacts import SIDES
from exoactor_core.motion import HumanMotion

POINTS = ("hip", "knee", "foot", "shoulder", "elbow", "wrist")
TURNS = ("pelvis", "torso", "left_foot", "right_foot", "left_shoulder", "right_shoulder", "left_hand", "right_hand")

BEARING = (*(f"{side}_{part}" for part in ("knee", "hand", "forearm") for side in SIDES), "seat", "back")
"""Body parts other than the feet that may support the body."""
_FLESH_RADII = np.array([0.05, 0.05, 0.05, 0.05, 0.04, 0.04, 0.10, 0.10])
"""m: from the joints of `BEARING` to the skin."""

_TIME_SERIES = ("points", "turns", "soles", "contacts")


@dataclass(frozen=True)
class Posture:
    """T frames of a person, world frame, m."""

    fps: float
    points: np.ndarray
    """(T, 6, 2, 3) positions of `POINTS`, left and right."""
    turns: np.ndarray
    """(T, 8, 3, 3) orientations of `TURNS`, in the person's own axes."""
    soles: np.ndarray
    """(T, 4, 3) left heel, left toe, right heel, right toe."""
    contacts: np.ndarray
    """(T, 4) in [0, 1], of the soles."""
    leg: float
    """Hip to ankle, m."""
    ankle: float
    """Ankle above the sole, m."""
    hip_width: float
    arm: float
    """Shoulder to wrist, m."""

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, frames: slice) -> Posture:
        return replace(self, **{name: getattr(self, name)[frames] for name in _TIME_SERIES})

    def join(self, other: Posture) -> Posture:
        """Concatenate two motions."""
        both: dict[str, Any] = {n: np.concatenate([getattr(self, n), getattr(other, n)]) for n in _TIME_SERIES}
        return replace(self, **both)

    def at(self, part: str) -> np.ndarray:
        """(T, 2, 3) positions of left and right."""
        return self.points[:, POINTS.index(part)]

    @property
    def bearing(self) -> np.ndarray:
        """(T, 8) lowest points of `BEARING`, as if lying."""
        middles = [self.at(part).mean(axis=1, keepdims=True) for part in ("hip", "shoulder")]
        points = np.concatenate([self.at("knee"), self.at("wrist"), self.at("elbow"), *middles], axis=1)
        points[..., 2] -= _FLESH_RADII
        return points

    def turn(self, part: str) -> np.ndarray:
        """(T, 3, 3) orientations."""
        return self.turns[:, TURNS.index(part)]

    def lowered(self, height: np.ndarray) -> Posture:
        """The motion with frames lowered by heights (T,) m."""
        drop = np.zeros((len(self), 1, 3))
        drop[:, 0, 2] = height
        return replace(self, points=self.points - drop[:, None], soles=self.soles - drop)


def posture(motion: HumanMotion, body: BodyModel, human: dict[str, Any]) -> Posture:
    """Forward kinematics of the joints that a mapping names (its section ``human``)."""
    index = {name: i for i, name in enumerate(body.joint_names)}
    joints = np.array([[index[human[part].format(side=s)] for s in SIDES] for part in POINTS])
    hand, foot, shoulder = joints[5], joints[2], joints[3]
    turns = [index[human["pelvis"]], index[human["torso"]], *foot, *shoulder, *hand]
    rest, soles = body.rest_joints(motion.betas), body.rest_foot_points(motion.betas)
    count = 22  # the body without face and fingers
    t = len(motion)
    pose = np.concatenate([motion.global_orient, motion.body_pose], axis=1).reshape(t * count, 3)
    local = Rotation.from_rotvec(pose).as_matrix().reshape(t, count, 3, 3).transpose(1, 0, 2, 3)
    local = without_flips(local, motion.fps)
    rot, pos = np.empty((count, t, 3, 3)), np.empty((count, t, 3))
    rot[0], pos[0] = local[0], motion.transl + rest[0]
    for joint in range(1, count):
        parent = HUMAN_PARENTS[joint]
        np.matmul(rot[parent], local[joint], out=rot[joint])
        pos[joint] = pos[parent] + rot[parent] @ (rest[joint] - rest[parent])
    holders = [index[f"{s}_{name}"] for s in SIDES for name in ("ankle", "foot")]
    sole = [pos[j] + rot[j] @ (soles[k] - rest[j]) for k, j in enumerate(holders)]
    assert motion.contacts is not None  # zeros if not given
    return Posture(
        fps=motion.fps,
        points=pos[joints].transpose(2, 0, 1, 3),
        turns=rot[turns].transpose(1, 0, 2, 3),
        soles=np.stack(sole, axis=1),
        contacts=motion.contacts,
        leg=float(np.mean(rest[joints[0], 1] - rest[foot, 1])),
        ankle=float(np.mean(rest[foot, 1]) - np.mean(soles[:, 1])),
        hip_width=float(abs(rest[joints[0, 0], 0] - rest[joints[0, 1], 0])),
        arm=float(np.linalg.norm(np.diff(rest[joints[3:]], axis=0), axis=-1).sum(axis=0).mean()),
    )


_MAX_SPEEDS = {"pelvis": 15.0, "hip": 18.0, "knee": 26.0, "ankle": 22.0, "shoulder": 22.0, "elbow": 30.0, "wrist": 26.0}
"""rad/s, maximum joint speeds of people, with a margin: a kick turns the knee by 20, a punch the elbow by 27."""
_MAX_TRUNK_SPEED = 12.0
_MAX_FLIP, _MAX_END_FLIP = 0.4, 0.2  # s for which an estimate stays flipped, inside and at the ends of the motion


def without_flips(local: np.ndarray, fps: float) -> np.ndarray:
    """Joint rotations (22, T, 3, 3) with impossibly fast stretches replaced by interpolation.

    If two frames are further apart than the joint can turn, there is a glitch of the estimate. It is replaced, together
    with what lies between it and the next one if that follows soon, and as many further frames as the turn needs.
    """
    names = [name.split("_")[-1] for name in BODY_JOINT_NAMES]
    most = np.array([_MAX_SPEEDS.get(name, _MAX_TRUNK_SPEED) for name in names]) / fps
    cosine = 0.5 * (np.einsum("jtab,jtab->jt", local[:, 1:], local[:, :-1]) - 1.0)
    fast = cosine < np.cos(np.minimum(most, np.pi))[:, None]
    if not fast.any():
        return local
    out, frames, end = local.copy(), np.arange(local.shape[1]), local.shape[1] - 1
    for joint in np.flatnonzero(fast.any(axis=1)):
        good = np.ones(len(frames), dtype=bool)
        edges = np.flatnonzero(fast[joint])
        for jumps in np.split(edges, np.flatnonzero(np.diff(edges) > _MAX_FLIP * fps) + 1):
            first, last = int(jumps[0]), int(jumps[-1]) + 1
            if last <= _MAX_END_FLIP * fps:  # such a short part before or after is the glitch itself
                first = -1
            elif first >= end - _MAX_END_FLIP * fps:
                last = end + 1
            while first >= 0 and last <= end:
                turn = Rotation.from_matrix(local[joint, last] @ local[joint, first].T)
                if turn.magnitude() <= 0.7 * most[joint] * (last - first):
                    break
                first, last = first - 1, last + 1
            good[first + 1 : last] = False
        if good.any():
            known = frames[good].astype(float)
            out[joint] = turns_between(known, np.clip(frames, known[0], known[-1]), local[joint, good])
    return out


def smooth_between(old: np.ndarray, new: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate (T, ...) from the times ``old`` to ``new``, cubic with difference slopes (Hermite).

    scipy's CubicHermiteSpline takes three times as long for 300 frames, and agrees to 15 digits.
    """
    if len(old) == 1:
        return np.repeat(values, len(new), axis=0)
    slopes = np.gradient(values, old, axis=0)
    k = np.clip(np.searchsorted(old, new, side="right") - 1, 0, len(old) - 2)
    width = old[k + 1] - old[k]
    u = (new - old[k]) / width
    shares = (
        (1.0 + 2.0 * u) * (1.0 - u) ** 2,
        u**2 * (3.0 - 2.0 * u),
        width * u * (1.0 - u) ** 2,
        width * u**2 * (u - 1.0),
    )
    parts = values[k], values[k + 1], slopes[k], slopes[k + 1]
    return sum(s.reshape(-1, *[1] * (values.ndim - 1)) * p for s, p in zip(shares, parts, strict=True))


def turns_between(old: np.ndarray, new: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Interpolate rotations (T, ..., 3, 3): cubic in quaternions, which are then normalised."""
    quat = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_quat().reshape(*matrices.shape[:-2], 4)
    quat = smooth_between(old, new, continuous_quaternions(quat))
    return Rotation.from_quat(quat.reshape(-1, 4)).as_matrix().reshape(*quat.shape[:-1], 3, 3)


def resample(person: Posture, fps: float) -> Posture:
    """Return the motion at another frame rate; contacts are those of the nearest frame."""
    if len(person) == 1 or abs(person.fps - fps) < 1e-9:
        return replace(person, fps=fps)
    last = (len(person) - 1) / person.fps
    return at_times(person, np.minimum(np.arange(int(np.floor(last * fps + 1e-6)) + 1) / fps, last), fps)


def at_times(person: Posture, times: np.ndarray, fps: float) -> Posture:
    """The motion at ``times`` (s from its first frame), which are 1 / ``fps`` apart."""
    old = np.arange(len(person)) / person.fps
    return replace(
        person,
        fps=fps,
        points=smooth_between(old, times, person.points),
        turns=turns_between(old, times, person.turns),
        soles=smooth_between(old, times, person.soles),
        contacts=person.contacts[np.clip(np.rint(times * person.fps).astype(int), 0, len(old) - 1)],
    )
