"""The human body: joints and sole points of an SMPL-X motion, in plain numpy.

The body is either the user's licensed SMPL-X model, of which only plain arrays are read and nothing is unpickled, or a
neutral body built here from public anthropometry.

Sources: segment lengths as fractions of stature from Drillis & Contini, "Body Segment Parameters" (1966), as given in
D. A. Winter, "Biomechanics and Motor Control of Human Movement", figure 4.1 (ankle 0.039, knee 0.285, hip 0.530,
shoulder 0.818, upper arm 0.186, forearm 0.146, hand 0.108, foot 0.152 of stature); finger bones as shares of hand
length after Buryanov & Kotiuk, "Proportions of Hand Segments" (2010), rounded; spine, neck and head joints spread
between them by eye, as SMPL-X spreads them. Names and order of the joints are SMPL-X's (Pavlakos et al., CVPR 2019).

Drillis & Contini measure arms from the acromion and legs from the trochanter, above the centres of rotation. Where
SMPL's mean body has these is one shape coefficient away (`_JOINT_CENTRES`); its bones are published with the MuJoCo
models of motion trackers (smpl_humanoid.xml of PHC and ProtoMotions: thigh 0.381, shank 0.401, upper arm 0.262, forearm
0.249 m).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.errors import BadInput
from exoactor_core.files import need_file, read_npz
from exoactor_core.motion import HumanMotion

_FINGERS = ("index", "middle", "pinky", "ring", "thumb")

_BODY_JOINTS = (
    "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot "
    "neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist"
)
BODY_JOINT_NAMES = tuple(_BODY_JOINTS.split())
"""The 22 body joints, in SMPL-X's order."""

HUMAN_JOINT_NAMES: tuple[str, ...] = (
    *BODY_JOINT_NAMES,
    *("jaw", "left_eye", "right_eye"),
    *(f"{side}_{finger}{k}" for side in ("left", "right") for finger in _FINGERS for k in (1, 2, 3)),
)
"""All 55 joints, in SMPL-X's order."""

_BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15)
_FINGER_PARENTS = (wrist if k % 3 == 0 else first + k - 1 for wrist, first in ((20, 25), (21, 40)) for k in range(15))
HUMAN_PARENTS = np.array([*_BODY_PARENTS, *_FINGER_PARENTS])
"""(55,) parent of each joint; -1 for the pelvis."""

NUM_VERTICES = 10475
_SOLE = (("left_heel", 8846, 7), ("left_toe", 5770, 10), ("right_heel", 8635, 8), ("right_toe", 8463, 11))
"""Sole points: name, number of SMPL-X's vertex that is commonly used for it, and the joint that it moves with."""

STATURE = 1.70
"""Stature of the neutral body with zero betas, m."""


_HANGING = {
    "collar": (0.0, 0.0, 0.0),
    "shoulder": (0.0, 0.0, -1.25),
    "elbow": (0.0, -0.25, 0.0),
    "wrist": (0.0, 0.0, 0.0),
}
"""Axis-angle of the left arm's joints, rad; y and z change sign on the right."""


@dataclass(frozen=True)
class BodyModel:
    """A body in SMPL-X's layout, reduced to its joints and soles. Make one with `load`."""

    joint_template: np.ndarray
    """(55, 3) rest joints for zero betas; y up, facing +z, left is +x."""
    joint_shapedirs: np.ndarray
    """(55, 3, B) change of the rest joints per shape coefficient."""
    sole_template: np.ndarray
    """(4, 3) rest sole points for zero betas: left heel, left toe, right heel, right toe."""
    sole_shapedirs: np.ndarray
    """(4, 3, B)."""
    mean_betas: np.ndarray
    """(B,) mean shape of people."""
    joint_names: tuple[str, ...] = HUMAN_JOINT_NAMES

    @classmethod
    def load(cls, path: str | Path | None = None) -> BodyModel:
        """Read an SMPL-X npz (e.g. SMPLX_NEUTRAL.npz); None: the neutral body.

        Raises
        ------
        BadInput
            There is no such file, or it is not an SMPL-X npz.
        """
        if not path:
            return _neutral_body()
        path = Path(path).expanduser()
        return _load(path, path.stat().st_mtime_ns if path.is_file() else 0)

    def rest_joints(self, betas: np.ndarray) -> np.ndarray:
        """Joints of the rest pose for a shape: (55, 3) m, y up, facing +z. Betas beyond the model's are ignored."""
        return _shaped(self.joint_template, self.joint_shapedirs, betas)

    def rest_pelvis_height(self, betas: np.ndarray) -> float:
        """Height of the pelvis over the soles of the rest pose, m."""
        return float(self.rest_joints(betas)[0, 1] - self.rest_foot_points(betas)[:, 1].min())

    def rest_foot_points(self, betas: np.ndarray) -> np.ndarray:
        """Sole points of the rest pose: (4, 3) m, left heel, left toe, right heel, right toe."""
        return _shaped(self.sole_template, self.sole_shapedirs, betas)

    def transforms(self, motion: HumanMotion) -> tuple[np.ndarray, np.ndarray]:
        """Forward kinematics: world rotations (T, 55, 3, 3) and positions (T, 55, 3) of the joints."""
        t = len(motion)
        pose = np.concatenate(
            [motion.global_orient, motion.body_pose, np.zeros((t, 9)), motion.hand_pose], axis=1
        ).reshape(t * 55, 3)
        local = Rotation.from_rotvec(pose).as_matrix().reshape(t, 55, 3, 3)
        rest = self.rest_joints(motion.betas)
        return joint_transforms(local, motion.transl + rest[0], rest)

    def joints(self, motion: HumanMotion) -> np.ndarray:
        """World positions of the joints, (T, 55, 3) m."""
        return self.transforms(motion)[1]

    def foot_points(self, motion: HumanMotion) -> np.ndarray:
        """World positions of the sole points that contacts refer to, (T, 4, 3) m.

        Left heel, left toe, right heel, right toe; heels move with the ankle joint, toes with SMPL-X's foot joint
        (the ball of the foot).
        """
        rot, pos = self.transforms(motion)
        joints = [joint for *_, joint in _SOLE]
        local = self.rest_foot_points(motion.betas) - self.rest_joints(motion.betas)[joints]
        return pos[:, joints] + np.einsum("tkij,kj->tki", rot[:, joints], local)


def with_hanging_arms(motion: HumanMotion, share: np.ndarray) -> HumanMotion:
    """The motion with its arms lowered to hang, by a share in [0, 1] (T, 2) for the left and the right arm."""
    pose, hands = motion.body_pose.reshape(-1, 21, 3).copy(), np.asarray(motion.hand_pose).reshape(-1, 2, 45).copy()
    for arm, side in enumerate(("left", "right")):
        mirror = np.array([1.0, 1.0, 1.0] if side == "left" else [1.0, -1.0, -1.0])
        for joint, rest in _HANGING.items():
            k = BODY_JOINT_NAMES.index(f"{side}_{joint}") - 1
            pose[:, k] += share[:, arm, None] * (mirror * rest - pose[:, k])
        hands[:, arm] *= 1.0 - share[:, arm, None]
    return replace(motion, body_pose=pose.reshape(-1, 63), hand_pose=hands.reshape(-1, 90))


def joint_transforms(local: np.ndarray, pelvis: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (T, J, 3, 3) and positions (T, J, 3) m of the first J joints.

    They follow from the rotations ``local`` (T, J, 3, 3) of each in its parent, the pelvis' in the world, the position
    of the ``pelvis`` (T, 3), and the joints at ``rest`` (J, 3).
    """
    rot, pos = local.copy(), np.empty(local.shape[:3])
    pos[:, 0] = pelvis
    for joint, parent in enumerate(HUMAN_PARENTS[1 : len(rest)], 1):
        rot[:, joint] = rot[:, parent] @ local[:, joint]
        pos[:, joint] = pos[:, parent] + rot[:, parent] @ (rest[joint] - rest[parent])
    return rot, pos


def _shaped(template: np.ndarray, shapedirs: np.ndarray, betas: np.ndarray) -> np.ndarray:
    betas = np.atleast_1d(np.asarray(betas, dtype=np.float64))[: shapedirs.shape[-1]]
    return template + shapedirs[..., : len(betas)] @ betas


@lru_cache(maxsize=4)
def _load(path: Path, _modified: int) -> BodyModel:
    data = _read(path)
    vertices, regressor = data["v_template"].astype(np.float64), data["J_regressor"].astype(np.float64)
    shapedirs = data["shapedirs"]
    # 20 components are 10 of shape and 10 of expression; full files have 300 and 100. AMASS uses up to 16.
    shapedirs = shapedirs[..., : 10 if shapedirs.shape[-1] <= 20 else 16].astype(np.float64)
    template = regressor @ vertices
    directions = np.einsum("jv,vck->jck", regressor, shapedirs)
    sole = np.array([vertex for _, vertex, _ in _SOLE])
    sole_template, sole_directions = vertices[sole].copy(), shapedirs[sole].copy()
    for k in range(4):  # the marked vertices are on the outline of the foot: lower them to the ground
        side = np.sign(vertices[sole[k], 0])
        lowest = int(np.argmin(np.where(np.sign(vertices[:, 0]) == side, vertices[:, 1], np.inf)))
        sole_template[k, 1], sole_directions[k, 1] = vertices[lowest, 1], shapedirs[lowest, 1]
    return BodyModel(template, directions, sole_template, sole_directions, np.zeros(shapedirs.shape[-1]))


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read the plain arrays that joints need; pickled ones, which licensed files also hold, are not read."""
    data, _ = read_npz(need_file(path, "body model file"))
    lacking = [key for key in ("v_template", "shapedirs", "J_regressor", "kintree_table") if key not in data]
    if lacking:
        raise BadInput(f"{path} is not an SMPL-X npz: it lacks {', '.join(lacking)}.")
    vertices, joints = data["v_template"].shape, data["J_regressor"].shape
    if vertices != (NUM_VERTICES, 3) or joints != (55, NUM_VERTICES) or data["shapedirs"].ndim != 3:
        raise BadInput(f"{path} is not an SMPL-X body: v_template is {vertices} and J_regressor {joints}.")
    parents = data["kintree_table"][0].astype(np.int64)
    if not np.array_equal(parents[1:], HUMAN_PARENTS[1:]):
        raise BadInput(f"{path} is not an SMPL-X body: its joint tree differs.")
    return data


# --- the neutral body -------------------------------------------------------------------------------------------------


def _neutral_points() -> dict[str, np.ndarray]:
    """Rest joints and sole points in m; ground at y = 0."""
    points: dict[str, tuple[float, float, float]] = {  # shares of stature
        "pelvis": (0, 0.585, 0.0), "spine1": (0, 0.640, -0.006), "spine2": (0, 0.700, -0.010),
        "spine3": (0, 0.750, -0.008), "neck": (0, 0.845, -0.010), "head": (0, 0.900, 0.004),
        "jaw": (0, 0.895, 0.012),
    }  # fmt: skip
    half = {
        "hip": (0.047, 0.530, 0.0), "knee": (0.050, 0.285, 0.002), "ankle": (0.050, 0.039, -0.012),
        "foot": (0.056, 0.014, 0.062), "heel": (0.050, 0.0, -0.044), "toe": (0.050, 0.0, 0.100),
        "eye": (0.019, 0.936, 0.052), "collar": (0.035, 0.812, -0.002), "shoulder": (0.105, 0.818, -0.010),
        "elbow": (0.105 + 0.186, 0.818, -0.012), "wrist": (0.105 + 0.186 + 0.146, 0.818, -0.010),
    }  # fmt: skip
    hand = 0.108
    wrist = np.array(half["wrist"])
    bones = {  # knuckle (along, towards the thumb) and the bones to the last joint, shares of the hand's length
        "index": (0.46, 0.115, (0.235, 0.135)), "middle": (0.47, 0.0, (0.260, 0.155)),
        "ring": (0.45, -0.095, (0.240, 0.145)), "pinky": (0.42, -0.185, (0.190, 0.105)),
    }  # fmt: skip
    for finger, (along, across, lengths) in bones.items():
        reach = np.cumsum([along, *lengths])
        for k in range(3):
            half[f"{finger}{k + 1}"] = tuple(wrist + hand * np.array([reach[k], 0, across]))
    for k, share in enumerate(np.cumsum([0.0, 0.24, 0.17]).tolist()):
        half[f"thumb{k + 1}"] = tuple(wrist + hand * np.array([0.12 + 0.75 * share, -0.06, 0.13 + 0.66 * share]))
    for name, (x, y, z) in half.items():
        points[f"left_{name}"], points[f"right_{name}"] = (x, y, z), (-x, y, z)
    return {name: STATURE * np.array(value, dtype=np.float64) for name, value in points.items()}


_LEG = ("hip", "knee", "ankle", "foot", "heel", "toe")
_JOINT_CENTRES_SHAPE = 8
_JOINT_CENTRES = {
    "pelvis": (0.0, -0.032), "spine1": (0.0, -0.025), "spine2": (0.0, -0.010), "spine3": (0.0, -0.025),
    "hip": (0.0, -0.032), "knee": (0.0, -0.008), "collar": (0.0, -0.013), "shoulder": (0.0, -0.013),
    "elbow": (-0.031, -0.013), "wrist": (-0.030, -0.013), "hand": (-0.030, -0.013),
}  # fmt: skip
"""How far outward and up the joints of SMPL's mean body lie from those of Drillis & Contini, as shares of stature."""


def _shape_offsets(points: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Change of a point per unit (about one standard deviation) of each of the ten shape coefficients, (3, 10) m.

    They are stature, leg length, arm length, none, shoulder width, hip width, foot length, head size, `_JOINT_CENTRES`
    and none; SMPL-X's own differ, except that the first is stature too.
    """
    p = points[name]
    side = np.sign(p[0])
    part = name.split("_", 1)[1] if side else name
    out = np.zeros((3, 10))
    out[:, 0] = 0.06 * p  # 0.1 m of stature
    leg = part in _LEG
    if leg:  # legs longer by 4 % from the hip down; feet keep their height
        hip, ankle = points["left_hip"][1], points["left_ankle"][1]
        out[1, 1] = 0.04 * (np.clip(p[1], ankle, hip) - hip)
    arm = bool(side) and not leg and part not in ("eye", "collar")
    if arm:
        out[0, 2] = 0.04 * (p[0] - side * points["left_shoulder"][0])
        out[0, 4] = 0.010 * side
    if leg:
        out[0, 5] = 0.006 * side
    if part in ("foot", "heel", "toe"):
        out[2, 6] = 0.05 * (p[2] - points["left_ankle"][2])
    if part in ("jaw", "eye"):
        out[:, 7] = 0.03 * (p - points["head"])
    outward, up = _JOINT_CENTRES.get("hand" if arm and part not in _JOINT_CENTRES else part, (0.0, 0.0))
    out[:2, _JOINT_CENTRES_SHAPE] = STATURE * side * outward, STATURE * up
    return out


@cache
def _neutral_body() -> BodyModel:
    """The neutral body: 1.70 m, T-pose, y up, facing +z."""
    points = _neutral_points()
    offsets = {name: _shape_offsets(points, name) for name in points}
    # SMPL-X's origin lies 0.35 m above the pelvis; so does ours, so that nobody relies on a pelvis at the origin.
    origin = np.array([0.0, points["pelvis"][1] + 0.35, 0.0])
    # Each joint is the mean of six points around it, as SMPL-X's regressor computes joints from vertices: without, the
    # last bits of every motion would differ from those that the benchmarks' figures are of.
    around = 0.01 * np.concatenate([np.eye(3), -np.eye(3)])
    vertices = np.concatenate([points[name] + around for name in HUMAN_JOINT_NAMES]) - origin
    regressor = np.kron(np.eye(55), np.full((1, 6), 1 / 6))
    directions = np.repeat([offsets[name] for name in HUMAN_JOINT_NAMES], 6, axis=0)
    sole = [name for name, *_ in _SOLE]
    return BodyModel(
        regressor @ vertices,
        np.einsum("jv,vck->jck", regressor, directions),
        np.array([points[name] for name in sole]) - origin,
        np.array([offsets[name] for name in sole]),
        np.eye(10)[_JOINT_CENTRES_SHAPE],
    )
