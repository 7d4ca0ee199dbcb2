"""The human body: joints and sole points of an SMPL-X motion, in plain numpy.

The body comes from a file in SMPL-X's own npz layout: the user's licensed SMPL-X, or else a neutral body that
`write_neutral_body` makes from public anthropometry, so that one code path serves both. Only plain arrays are read
from such a file; nothing in it is unpickled.

Sources: segment lengths as fractions of stature from Drillis & Contini, "Body Segment Parameters" (1966), as given in
D. A. Winter, "Biomechanics and Motor Control of Human Movement", figure 4.1 (ankle 0.039, knee 0.285, hip 0.530,
shoulder 0.818, upper arm 0.186, forearm 0.146, hand 0.108, foot 0.152 of stature); finger bones as shares of hand
length after Buryanov & Kotiuk, "Proportions of Hand Segments" (2010), rounded; spine, neck and head joints spread
between them by eye, as SMPL-X spreads them. Names and order of the joints are SMPL-X's (Pavlakos et al., CVPR 2019).
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.errors import BadInput
from exoactor_core.files import save_npz
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
# Vertices of SMPL-X that tools pick by number (nose, eyes, ears, finger tips, toes, heels).
_MARKED_VERTICES = {
    "nose": 9120, "right_eye": 9929, "left_eye": 9448, "right_ear": 616, "left_ear": 6,
    "right_thumb": 8079, "right_index": 7669, "right_middle": 7794, "right_ring": 7905, "right_pinky": 8022,
    "left_thumb": 5361, "left_index": 4933, "left_middle": 5058, "left_ring": 5169, "left_pinky": 5286,
    "left_toe": 5770, "left_small_toe": 5780, "left_heel": 8846,
    "right_toe": 8463, "right_small_toe": 8474, "right_heel": 8635,
}  # fmt: skip
_SOLE = (("left_heel", 7), ("left_toe", 10), ("right_heel", 8), ("right_toe", 11))

STATURE = 1.70
"""Stature of the neutral body with zero betas, m."""

_FILE_VERSION = 1


@dataclass(frozen=True)
class BodyModel:
    """A body in SMPL-X's layout, reduced to its joints and soles. Make one with `load`."""

    path: Path
    joint_template: np.ndarray
    """(55, 3) rest joints for zero betas; y up, facing +z, left is +x."""
    joint_shapedirs: np.ndarray
    """(55, 3, B) change of the rest joints per shape coefficient."""
    sole_template: np.ndarray
    """(4, 3) rest sole points for zero betas: left heel, left toe, right heel, right toe."""
    sole_shapedirs: np.ndarray
    """(4, 3, B)."""
    joint_names: tuple[str, ...] = HUMAN_JOINT_NAMES

    @classmethod
    def load(cls, path: str | Path | None = None) -> BodyModel:
        """Read a body.

        Parameters
        ----------
        path
            SMPL-X npz (e.g. SMPLX_NEUTRAL.npz). None: the neutral body, made on first use in the user's cache folder.

        Raises
        ------
        BadInput
            There is no such file, or it is not an SMPL-X npz.
        """
        if path:
            path = Path(path).expanduser()
            return _load(path, path.stat().st_mtime_ns if path.is_file() else 0)
        path = neutral_body_path()
        if path.is_file():
            try:
                return _load(path, path.stat().st_mtime_ns)
            except BadInput:
                pass  # a damaged cache is made anew
        write_neutral_body(path)
        return _load(path, path.stat().st_mtime_ns)

    def rest_joints(self, betas: np.ndarray) -> np.ndarray:
        """Joints of the rest pose for a shape: (55, 3) m, y up, facing +z. Betas beyond the model's are ignored."""
        return _shaped(self.joint_template, self.joint_shapedirs, betas)

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
        joints = [joint for _, joint in _SOLE]
        local = self.rest_foot_points(motion.betas) - self.rest_joints(motion.betas)[joints]
        return pos[:, joints] + np.einsum("tkij,kj->tki", rot[:, joints], local)


def joint_transforms(local: np.ndarray, pelvis: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (T, 55, 3, 3) and positions (T, 55, 3) of the joints.

    They follow from the rotations ``local`` (T, 55, 3, 3) of each in its parent, the pelvis' in the world, the position
    of the ``pelvis`` (T, 3), and the joints at ``rest`` (55, 3).
    """
    rot, pos = local.copy(), np.empty(local.shape[:3])
    pos[:, 0] = pelvis
    for joint, parent in enumerate(HUMAN_PARENTS[1:], 1):
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
    # 20 components are 10 of shape and 10 of expression; full files hold 300 and 100. AMASS uses up to 16.
    shapedirs = shapedirs[..., : 10 if shapedirs.shape[-1] <= 20 else 16].astype(np.float64)
    template = regressor @ vertices
    directions = np.einsum("jv,vck->jck", regressor, shapedirs)
    sole = np.array([_MARKED_VERTICES[name] for name, _ in _SOLE])
    sole_template, sole_directions = vertices[sole].copy(), shapedirs[sole].copy()
    for k in range(4):  # the marked vertices lie on the outline of the foot: lower them to the ground that it stands on
        side = np.sign(vertices[sole[k], 0])
        lowest = int(np.argmin(np.where(np.sign(vertices[:, 0]) == side, vertices[:, 1], np.inf)))
        sole_template[k, 1], sole_directions[k, 1] = vertices[lowest, 1], shapedirs[lowest, 1]
    return BodyModel(path, template, directions, sole_template, sole_directions)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read the plain arrays that joints need; a licensed file also holds pickled ones, which stay unread."""
    if not path.is_file():
        raise BadInput(f"There is no body model file {path}.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            data = {key: archive[key] for key in ("v_template", "shapedirs", "J_regressor", "kintree_table")}
    except KeyError as error:
        raise BadInput(f"{path} is not an SMPL-X npz: {error.args[0]}.") from None
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is not a readable SMPL-X npz: {error}.") from None
    vertices, joints = data["v_template"].shape, data["J_regressor"].shape
    if vertices != (NUM_VERTICES, 3) or joints != (55, NUM_VERTICES) or data["shapedirs"].ndim != 3:
        raise BadInput(f"{path} is not an SMPL-X body: v_template is {vertices} and J_regressor {joints}.")
    parents = data["kintree_table"][0].astype(np.int64)
    if not np.array_equal(parents[1:], HUMAN_PARENTS[1:]):
        raise BadInput(f"{path} is not an SMPL-X body: its joint tree differs.")
    return data


# --- the neutral body -------------------------------------------------------------------------------------------------


def neutral_body_path() -> Path:
    """Where the neutral body is cached ($XDG_CACHE_HOME/exoactor or ~/.cache/exoactor)."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "exoactor" / f"neutral-body-{_FILE_VERSION}.npz"


def _neutral_points() -> dict[str, np.ndarray]:
    """Rest joints and end points (head top, tips, heels, ...) in m; ground at y = 0."""
    points: dict[str, tuple[float, float, float]] = {  # shares of stature
        "pelvis": (0, 0.585, 0.0), "spine1": (0, 0.640, -0.006), "spine2": (0, 0.700, -0.010),
        "spine3": (0, 0.750, -0.008), "neck": (0, 0.845, -0.010), "head": (0, 0.900, 0.004),
        "jaw": (0, 0.895, 0.012), "head_top": (0, 1.0, 0.004), "nose": (0, 0.915, 0.068),
    }  # fmt: skip
    half = {
        "hip": (0.047, 0.530, 0.0), "knee": (0.050, 0.285, 0.002), "ankle": (0.050, 0.039, -0.012),
        "foot": (0.056, 0.014, 0.062), "heel": (0.050, 0.0, -0.044), "toe": (0.050, 0.0, 0.100),
        "small_toe": (0.077, 0.0, 0.085), "toe_tip": (0.057, 0.010, 0.108), "eye": (0.019, 0.936, 0.052),
        "ear": (0.045, 0.922, 0.0),
        "collar": (0.035, 0.812, -0.002), "shoulder": (0.105, 0.818, -0.010),
        "elbow": (0.105 + 0.186, 0.818, -0.012), "wrist": (0.105 + 0.186 + 0.146, 0.818, -0.010),
    }  # fmt: skip
    hand = 0.108
    wrist = np.array(half["wrist"])
    bones = {  # knuckle (along, towards the thumb) and the three bones, shares of the hand's length
        "index": (0.46, 0.115, (0.235, 0.135, 0.105)), "middle": (0.47, 0.0, (0.260, 0.155, 0.115)),
        "ring": (0.45, -0.095, (0.240, 0.145, 0.110)), "pinky": (0.42, -0.185, (0.190, 0.105, 0.100)),
    }  # fmt: skip
    for finger, (along, across, lengths) in bones.items():
        reach = np.cumsum([along, *lengths])
        for k, name in enumerate((f"{finger}1", f"{finger}2", f"{finger}3", finger)):
            half[name] = tuple(wrist + hand * np.array([reach[k], 0, across]))
    for k, name in enumerate(("thumb1", "thumb2", "thumb3", "thumb")):
        share = float(np.cumsum([0.0, 0.24, 0.17, 0.14])[k])
        half[name] = tuple(wrist + hand * np.array([0.12 + 0.75 * share, -0.06, 0.13 + 0.66 * share]))
    for name, (x, y, z) in half.items():
        points[f"left_{name}"], points[f"right_{name}"] = (x, y, z), (-x, y, z)
    return {name: STATURE * np.array(value, dtype=np.float64) for name, value in points.items()}


_LEG = ("hip", "knee", "ankle", "foot", "heel", "toe", "small_toe", "toe_tip")


def _shape_offsets(points: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Change of a point per unit (about one standard deviation) of each of the ten shape coefficients, (3, 10) m.

    They are stature, leg length, arm length, girth, shoulder width, hip width, foot length, head size, and two that do
    nothing; SMPL-X's own differ, except that the first is stature too.
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
    arm = bool(side) and not leg and part not in ("eye", "ear", "collar")
    if arm:
        out[0, 2] = 0.04 * (p[0] - side * points["left_shoulder"][0])
        out[0, 4] = 0.010 * side
    if leg:
        out[0, 5] = 0.006 * side
    if part in ("foot", "heel", "toe", "small_toe", "toe_tip"):
        out[2, 6] = 0.05 * (p[2] - points["left_ankle"][2])
    if part in ("jaw", "head_top", "nose", "eye", "ear"):
        out[:, 7] = 0.03 * (p - points["head"])
    return out


def _bones() -> list[tuple[str, str, tuple[float, float], tuple[float, float]]]:
    """Surface: (from, to, half widths at the start, at the end) in m; widths are (sideways, front-back or up-down)."""
    bones = [
        ("pelvis", "spine1", (0.150, 0.105), (0.138, 0.098)),
        ("spine1", "spine2", (0.135, 0.096), (0.140, 0.100)),
        ("spine2", "spine3", (0.140, 0.100), (0.150, 0.105)),
        ("spine3", "neck", (0.150, 0.105), (0.075, 0.065)),
        ("neck", "head", (0.055, 0.058), (0.058, 0.062)),
        ("head", "head_top", (0.072, 0.090), (0.060, 0.075)),
        ("head", "jaw", (0.050, 0.060), (0.045, 0.055)),
    ]
    for s in ("left", "right"):
        bones += [
            ("pelvis", f"{s}_hip", (0.10, 0.10), (0.085, 0.09)),
            (f"{s}_hip", f"{s}_knee", (0.082, 0.085), (0.052, 0.056)),
            (f"{s}_knee", f"{s}_ankle", (0.053, 0.056), (0.036, 0.038)),
            (f"{s}_ankle", f"{s}_foot", (0.036, 0.038), (0.045, 0.020)),
            (f"{s}_foot", f"{s}_toe_tip", (0.045, 0.020), (0.040, 0.015)),
            ("spine3", f"{s}_collar", (0.08, 0.08), (0.07, 0.07)),
            (f"{s}_collar", f"{s}_shoulder", (0.065, 0.065), (0.055, 0.055)),
            (f"{s}_shoulder", f"{s}_elbow", (0.048, 0.048), (0.038, 0.038)),
            (f"{s}_elbow", f"{s}_wrist", (0.038, 0.038), (0.027, 0.025)),
            ("head", f"{s}_eye", (0.015, 0.015), (0.012, 0.012)),
            (f"{s}_wrist", f"{s}_middle1", (0.030, 0.014), (0.040, 0.013)),
        ]
        for finger in _FINGERS:
            chain = [f"{s}_{finger}{k}" for k in (1, 2, 3)] + [f"{s}_{finger}"]
            bones += [(a, b, (0.009, 0.009), (0.008, 0.008)) for a, b in pairwise(chain)]
    return bones


def _tube(
    start: np.ndarray, end: np.ndarray, wide_start: tuple[float, float], wide_end: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Round-ended tube: share along the bone (N,), offsets from the axis (N, 3), triangles (F, 3)."""
    rings, around = 9, 16
    axis = (end - start) / np.linalg.norm(end - start)
    sideways = np.array([0.0, 0.0, 1.0]) if abs(axis[0]) > 0.7 else np.array([1.0, 0.0, 0.0])
    sideways = sideways - axis * (sideways @ axis)
    sideways /= np.linalg.norm(sideways)
    other = np.cross(axis, sideways)
    share = np.array([0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0])
    cap = np.radians([-75, -40, 0, 0, 0, 0, 0, 40, 75])  # latitude of the rings on the round ends
    angle = np.arange(around) * 2 * np.pi / around
    width = (1 - share)[:, None] * wide_start + share[:, None] * wide_end  # (rings, 2)
    flat = np.cos(angle)[:, None] * sideways * width[:, None, :1] + np.sin(angle)[:, None] * other * width[:, None, 1:]
    bulge = np.sin(cap) * width.min(axis=1)
    offsets = flat * np.cos(cap)[:, None, None] + bulge[:, None, None] * axis
    a, b = np.meshgrid(np.arange(rings - 1), np.arange(around), indexing="ij")
    i, j = a * around + b, a * around + (b + 1) % around
    faces = np.stack([np.stack([i, j, j + around], -1), np.stack([i, j + around, i + around], -1)], -2)
    return np.repeat(share, around), offsets.reshape(-1, 3), faces.reshape(-1, 3)


def _holder(name: str) -> int:
    """Joint that a point moves with."""
    if name in HUMAN_JOINT_NAMES:
        return HUMAN_JOINT_NAMES.index(name)
    side, _, part = name.partition("_")
    if name in ("head_top", "nose") or part == "ear":
        return HUMAN_JOINT_NAMES.index("head")
    joint = {"heel": "ankle", "toe": "foot", "small_toe": "foot", "toe_tip": "foot"}.get(part, f"{part}3")
    return HUMAN_JOINT_NAMES.index(f"{side}_{joint}")


def write_neutral_body(path: str | Path) -> None:
    """Write the neutral body (1.70 m, T-pose, y up, facing +z) in SMPL-X's npz layout, atomically, in about a second.

    The surface is one round-ended tube per bone. Six more vertices around every joint carry the joint regressor, so
    that the regressor gives the joints exactly for every shape.

    Raises
    ------
    BadInput
        The folder cannot be written.
    """
    points = _neutral_points()
    offsets = {name: _shape_offsets(points, name) for name in points}
    # SMPL-X's origin lies 0.35 m above the pelvis; so does ours, so that nobody relies on a pelvis at the origin.
    origin = np.array([0.0, points["pelvis"][1] + 0.35, 0.0])

    position, shape, weight, faces = [], [], [], []

    def add(xyz: np.ndarray, directions: np.ndarray, holder: np.ndarray) -> None:
        position.append(xyz)
        shape.append(directions)
        weight.append(np.eye(55, dtype=np.float32)[holder])

    star = 0.01 * np.concatenate([np.eye(3), -np.eye(3)])
    for joint, name in enumerate(HUMAN_JOINT_NAMES):
        add(points[name] + star, np.repeat(offsets[name][None], 6, 0), np.full(6, joint))
    count = 6 * 55
    for start, end, wide_start, wide_end in _bones():
        share, radial, triangles = _tube(points[start], points[end], wide_start, wide_end)
        share = share[:, None]
        along = (1 - share) * points[start] + share * points[end]
        directions = (1 - share[..., None]) * offsets[start] + share[..., None] * offsets[end]
        directions[..., 3] += 0.08 * radial  # girth
        xyz = along + radial
        below = xyz[:, 1] < 0  # soles are flat
        xyz[below, 1] = 0.0
        directions[below, 1] = offsets["left_heel"][1]
        add(xyz, directions, np.full(len(xyz), _holder(start)))
        faces.append(triangles + count)
        count += len(xyz)
    marked = list(_MARKED_VERTICES)
    spare = NUM_VERTICES - count - len(marked)
    add(np.repeat(points["pelvis"][None], spare, 0), np.repeat(offsets["pelvis"][None], spare, 0), np.zeros(spare, int))

    # Marked vertices go to the numbers that SMPL-X gives them; the others fill the numbers left over, in order.
    numbers = np.setdiff1d(np.arange(NUM_VERTICES), list(_MARKED_VERTICES.values()))
    for name in marked:
        add(points[name][None], offsets[name][None], np.array([_holder(name)]))
    numbers = np.concatenate([numbers, list(_MARKED_VERTICES.values())])
    vertices = np.empty((NUM_VERTICES, 3))
    vertices[numbers] = np.concatenate(position) - origin
    shapedirs = np.zeros((NUM_VERTICES, 3, 20))  # ten of shape, ten of expression (none)
    shapedirs[numbers, :, :10] = np.concatenate(shape)
    weights = np.zeros((NUM_VERTICES, 55), dtype=np.float32)
    weights[numbers] = np.concatenate(weight)
    regressor = np.zeros((55, NUM_VERTICES))
    for joint in range(55):
        regressor[joint, numbers[6 * joint : 6 * joint + 6]] = 1 / 6
    triangles = numbers[np.concatenate(faces)].astype(np.int32)
    save_npz(
        path,
        v_template=vertices,
        f=triangles,
        shapedirs=shapedirs,
        posedirs=np.zeros((NUM_VERTICES, 3, 54 * 9), dtype=np.float16),
        J_regressor=regressor,
        weights=weights,
        kintree_table=np.stack([np.where(HUMAN_PARENTS < 0, 2**32 - 1, HUMAN_PARENTS), np.arange(55)]),
        lmk_faces_idx=np.zeros(51, dtype=np.int64),
        lmk_bary_coords=np.tile([1.0, 0.0, 0.0], (51, 1)),
        dynamic_lmk_faces_idx=np.zeros((79, 17), dtype=np.int64),
        dynamic_lmk_bary_coords=np.tile([1.0, 0.0, 0.0], (79, 17, 1)),
        hands_componentsl=np.eye(45),
        hands_componentsr=np.eye(45),
        hands_meanl=np.zeros(45),
        hands_meanr=np.zeros(45),
    )
