"""The baseline of retarget.py: per-frame two-stage differential IK with mink, configured like GMR.

GMR (arXiv 2510.02252, github.com/YanjieZe/GMR): each frame is solved from the previous one, first with table 1
(position of pelvis and feet, orientation of all bodies), then with table 2 (positions of the limbs as well). Each stage
takes up to eleven QP steps (daqp, damping 0.5, frame tasks with damping 1, steps of 2 ms), and ends when its error
decreases by less than 0.001. Joint limits are the only active limits. Positions are scaled about the root by 0.9 (legs,
trunk, and the root's position in the world) and 0.8 (arms), times the person's height over 1.8 m. Tables, weights,
offsets, scales and the initial pose are facts of its configuration smplx_to_g1; the code is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core import robot
from exoactor_core.body import BODY_JOINT_NAMES, BodyModel
from exoactor_core.errors import Missing
from exoactor_core.motion import JOINT_NAMES, HumanMotion, RobotMotion
from exoactor_core.stages import Progress, no_progress

try:
    import mink
except ImportError as error:
    raise Missing(
        f"The baseline needs mink and daqp ({error}): .venv/bin/pip install -r bench/requirements.txt."
    ) from None

_SIDES = ("left", "right")
_TOE = (0.1, 0.0, -0.02)  # m, in the ankle roll link: GMR's left_toe_link
_TRUNK, _HIP = (0.5, -0.5, -0.5, -0.5), (0.42677550, -0.56379311, -0.56379311, -0.42677550)
_ARM = {"left": (np.sqrt(0.5), 0, -np.sqrt(0.5), 0), "right": (0, np.sqrt(0.5), 0, np.sqrt(0.5))}
_HAND = {"left": (1.0, 0, 0, 0), "right": (0, 0, 0, -1.0)}


@dataclass(frozen=True)
class _Row:
    """One body: robot frame, SMPL-X joint, scale, rotation (w, x, y, z), offset (m), weights in both tables."""

    frame: str
    joint: str
    scale: float
    turn: tuple[float, ...]
    first: tuple[float, float]
    second: tuple[float, float]
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)


TABLE: tuple[_Row, ...] = (
    _Row("pelvis", "pelvis", 0.9, _TRUNK, (100, 10), (100, 5)),
    _Row("torso_link", "spine3", 0.9, _TRUNK, (0, 10), (0, 10)),
    *(
        row
        for side, sign in zip(_SIDES, (1.0, -1.0), strict=True)
        for row in (
            _Row(f"{side}_hip_roll_link", f"{side}_hip", 0.9, _HIP, (0, 10), (10, 5)),
            _Row(f"{side}_knee_link", f"{side}_knee", 0.9, _TRUNK, (0, 10), (10, 5)),
            _Row(f"{side}_toe_link", f"{side}_foot", 0.9, _TRUNK, (100, 10), (100, 50), (0, 0.02 * sign, 0)),
            _Row(f"{side}_shoulder_yaw_link", f"{side}_shoulder", 0.8, _ARM[side], (0, 10), (10, 5)),
            _Row(f"{side}_elbow_link", f"{side}_elbow", 0.8, _HAND[side], (0, 10), (10, 5)),
            _Row(f"{side}_wrist_yaw_link", f"{side}_wrist", 0.8, _HAND[side], (0, 10), (10, 5)),
        )
    ),
)
FRAMES: tuple[str, ...] = tuple(row.frame for row in TABLE)
"""The 14 frames that have targets."""

_FIRST_POSE = {
    "hip_pitch": -0.57,
    "hip_roll": 0.3,
    "hip_yaw": 0.3,
    "knee": 0.8,
    "shoulder_pitch": -0.57,
    "shoulder_roll": 0.87,
    "elbow": 0.57,
}
_MIRRORED = ("hip_roll", "hip_yaw", "shoulder_roll")


def human_rotations(motion: HumanMotion, body: BodyModel) -> np.ndarray:
    """GMR's target orientations (T, 14, 3, 3) of `FRAMES`."""
    rot, _ = body.transforms(motion)
    turns = Rotation.from_quat([row.turn for row in TABLE], scalar_first=True).as_matrix()
    return rot[:, [BODY_JOINT_NAMES.index(row.joint) for row in TABLE]] @ turns


def human_targets(motion: HumanMotion, body: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """GMR's target positions (T, 14, 3) and orientations (T, 14, 3, 3) of `FRAMES`; the person's floor is z = 0.

    The person's height is GMR's estimate: 1.66 m + 0.1 m x the first shape coefficient.
    """
    _, joints = body.transforms(motion)
    rot = human_rotations(motion, body)
    ratio = (1.66 + 0.1 * float(motion.betas[0])) / 1.8
    scale = ratio * np.array([row.scale for row in TABLE])[:, None]
    root = joints[:, :1]
    pos = joints[:, [BODY_JOINT_NAMES.index(row.joint) for row in TABLE]]
    pos = scale * (pos - root) + 0.9 * ratio * root
    return pos + np.einsum("tkij,kj->tki", rot, np.array([row.shift for row in TABLE])), rot


def robot_targets(motion: RobotMotion) -> tuple[np.ndarray, np.ndarray]:
    """Positions and orientations of `FRAMES` in a robot motion."""
    ik = MinkIK()
    pos, rot = np.empty((len(motion), 14, 3)), np.empty((len(motion), 14, 3, 3))
    for t in range(len(motion)):
        q = np.concatenate([motion.root_pos[t], motion.root_quat_wxyz[t], motion.joint_pos[t]])
        ik.configuration.update(q)
        for k, frame in enumerate(FRAMES):
            pose = ik.configuration.get_transform_frame_to_world(frame, _kind(frame))
            pos[t, k], rot[t, k] = pose.translation(), pose.rotation().as_matrix()
    return pos, rot


def _kind(frame: str) -> str:
    return "site" if frame.endswith("toe_link") else "body"


class MinkIK:
    """Follows targets of `FRAMES` frame by frame; ``solves`` counts the QP steps.

    The limits are built once. GMR's own code passes them as another argument, so that mink rebuilds them in every step:
    ``as_shipped`` does the same, and takes about twice as long.
    """

    def __init__(self, as_shipped: bool = False) -> None:
        spec = robot.mujoco_spec(floor=False, visuals=False)
        for side in _SIDES:
            spec.body(f"{side}_ankle_roll_link").add_site(name=f"{side}_toe_link", pos=_TOE)
        self.model = spec.compile()
        q = np.zeros(36)
        q[:4] = 0.0, 0.0, 0.793, 1.0
        for k, name in enumerate(JOINT_NAMES):
            side, _, part = name.removesuffix("_joint").partition("_")
            q[7 + k] = _FIRST_POSE.get(part, 0.0) * (-1.0 if side == "right" and part in _MIRRORED else 1.0)
        self.configuration = mink.Configuration(self.model, q=q)
        self.limits = None if as_shipped else [mink.ConfigurationLimit(self.model)]
        self.solves = 0
        self.stages = [
            [
                mink.FrameTask(row.frame, _kind(row.frame), *costs, lm_damping=1.0)
                for row, costs in zip(TABLE, table, strict=True)
            ]
            for table in ([row.first for row in TABLE], [row.second for row in TABLE])
        ]

    def _solve(self, tasks: list[mink.FrameTask]) -> None:
        """Take one to eleven steps, until the error decreases by less than 0.001."""

        def error() -> float:
            return float(np.linalg.norm(np.concatenate([task.compute_error(self.configuration) for task in tasks])))

        step, before = self.model.opt.timestep, error()
        for _ in range(11):
            self.solves += 1
            velocity = mink.solve_ik(self.configuration, tasks, step, "daqp", damping=0.5, limits=self.limits)
            self.configuration.integrate_inplace(velocity, step)
            after = error()
            if before - after <= 0.001:
                break
            before = after

    def __call__(self, fps: float, pos: np.ndarray, rot: np.ndarray, progress: Progress = no_progress) -> RobotMotion:
        """Follow positions (T, 14, 3) and orientations (T, 14, 3, 3)."""
        out = np.empty((len(pos), 36))
        for t in range(len(pos)):
            for k in range(len(TABLE)):
                pose = mink.SE3.from_rotation_and_translation(mink.SO3.from_matrix(rot[t, k]), pos[t, k])
                for tasks in self.stages:
                    tasks[k].set_target(pose)
            for tasks in self.stages:
                self._solve(tasks)
            out[t] = self.configuration.q
            if t % 25 == 0:
                progress(t / len(pos), "mink")
        return RobotMotion(fps, out[:, :3], out[:, 3:7], out[:, 7:])
