"""Training data of the tracker: motions from files, and random tasks of the generator, with variations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from exoactor_control.reference.trajectory import POLICY_RATE, prepare
from exoactor_core.arrays import resample_poses
from exoactor_core.errors import BadInput, Missing, Refused
from exoactor_core.motion import BOTH_ARMS, JOINT_NAMES, HumanMotion, RobotMotion
from exoactor_core.robot import JOINT_LIMITS
from exoactor_core.stages import load_backend

_OTHER_SIDE = {"left": "right", "right": "left"}
MIRRORED_JOINTS = np.array(
    [JOINT_NAMES.index("_".join(_OTHER_SIDE.get(part, part) for part in name.split("_"))) for name in JOINT_NAMES]
)
MIRRORED_SIGNS = np.array([-1.0 if "_roll_" in name or "_yaw_" in name else 1.0 for name in JOINT_NAMES])


def random_task(rng: np.random.Generator) -> str:
    """Draw an instruction in the generator's language: one to three actions with random details."""
    actions = [_ACTIONS[rng.integers(len(_ACTIONS))] for _ in range(rng.integers(1, 4))]
    return ", then ".join(action(rng) for action in actions)


def _one_of(rng: np.random.Generator, *words: str) -> str:
    return words[int(rng.integers(len(words)))]


def _walk(rng: np.random.Generator) -> str:
    direction = _one_of(rng, "forward", "forward", "forward", "backward", "to the left", "to the right")
    longest = 3.0 if direction == "forward" else 1.2
    return f"{_pace(rng)}walk {direction} {rng.uniform(0.4, longest):.1f} metres"


def _step(rng: np.random.Generator) -> str:
    direction = _one_of(rng, "forward", "back", "to the left", "to the right")
    return f"take {rng.integers(1, 4)} steps {direction}"


def _turn(rng: np.random.Generator) -> str:
    return f"turn {_one_of(rng, 'left', 'right')} {rng.integers(2, 19) * 10} degrees"


def _pace(rng: np.random.Generator) -> str:
    return _one_of(rng, "", "", "slowly ", "quickly ")


def _hand(rng: np.random.Generator) -> str:
    return _one_of(rng, "your left hand", "your right hand", "both hands")


_ACTIONS: tuple[Callable[[np.random.Generator], str], ...] = (
    _walk,
    _walk,
    _walk,
    _step,
    _turn,
    _turn,
    lambda rng: f"{_pace(rng)}wave with {_hand(rng)}",
    lambda rng: f"raise {_hand(rng)} {_one_of(rng, 'up', 'forward', 'to the side')}",
    lambda rng: f"reach {_one_of(rng, 'forward', 'up', 'down')} with {_hand(rng)}",
    lambda rng: f"point {_one_of(rng, 'forward', 'up', 'left', 'right')} with {_hand(rng)}",
    lambda rng: f"{_pace(rng)}squat {rng.integers(1, 4)} times",
    lambda rng: f"{_pace(rng)}squat {rng.integers(1, 3)} times",
    lambda rng: f"bow {rng.integers(1, 3)} times",
    lambda rng: "sit down and stand up",
    lambda rng: f"kick with your {_one_of(rng, 'left', 'right')} foot",
    lambda rng: f"{_pace(rng)}kick with your {_one_of(rng, 'left', 'right')} foot",
    lambda rng: f"clap {rng.integers(2, 7)} times",
    lambda rng: f"punch {rng.integers(1, 4)} times with your {_one_of(rng, 'left', 'right')} hand",
    lambda rng: f"look {_one_of(rng, 'left', 'right', 'up', 'down')}",
    lambda rng: f"push with {_hand(rng)}",
    lambda rng: f"pick up the box with {_hand(rng)}",
    lambda rng: f"stand still for {rng.uniform(0.5, 2.0):.1f} seconds",
)


def choreographed(task: str, **options: Any) -> HumanMotion:
    """Return the mannequin's motion for a task, without its video; ``options`` are the generator's."""
    return load_backend("generate", "mannequin", **options).motion(task)


def retargeted(person: HumanMotion, speed: float = 1.0) -> RobotMotion:
    """Retarget a person's motion, sped up by a factor, to the G1."""
    return load_backend("retarget", "trajectory_ik")(replace(person, fps=person.fps * speed)).motion


def load_prepared(paths: Sequence[Path]) -> tuple[dict[str, RobotMotion], dict[str, str]]:
    """Read robot motions and prepare them.

    Returns
    -------
    motions
        By file name.
    left_out
        Why a motion cannot be tracked, by file name.

    Raises
    ------
    Missing
        No motion is left.
    """
    motions, left_out = {}, {}
    for path in paths:
        try:
            motions[path.name] = prepare(RobotMotion.load(path)).motion
        except (Refused, BadInput) as error:
            left_out[path.name] = str(error)
    if not motions:
        raise Missing(" ".join(["There is no motion to train on.", *left_out.values()]))
    return motions, left_out


def varied(motion: RobotMotion, others: Sequence[RobotMotion], rng: np.random.Generator) -> RobotMotion:
    """Vary a motion: cut, change its speed, exchange the arms with those of another motion, add noise."""
    first = 0 if rng.uniform() < 0.5 else int(rng.integers(0, max(len(motion) - 50, 1)))
    last = min(len(motion), first + int(rng.integers(100, 500)))
    pos, quat, joints = (a[first:last] for a in (motion.root_pos, motion.root_quat_wxyz, motion.joint_pos))
    pos, quat, joints = resample_poses(pos, quat, joints, POLICY_RATE * rng.uniform(0.7, 1.2), POLICY_RATE)
    joints = joints.copy()
    n = len(joints)
    if rng.uniform() < 0.3:
        other = _one(others, rng).joint_pos[:, BOTH_ARMS]
        begin = int(rng.integers(0, max(len(other) - n, 1)))
        joints[:, BOTH_ARMS] = other[np.minimum(begin + np.arange(n), len(other) - 1)]
    if rng.uniform() < 0.6:
        much = rng.uniform(0, 1)
        joints[:, : BOTH_ARMS.start] += _wander(n, 15, 0.05 * much, rng)
        joints[:, BOTH_ARMS] += _wander(n, 14, 0.2 * much, rng)
        pos = pos + _wander(n, 3, 0.03 * much, rng) * (2.0, 2.0, 0.7)
        turn = Rotation.from_rotvec(_wander(n, 3, 0.06 * much, rng))
        quat = (Rotation.from_quat(quat, scalar_first=True) * turn).as_quat(scalar_first=True)
    return RobotMotion(POLICY_RATE, pos, quat, np.clip(joints, *JOINT_LIMITS.T))


def _one(motions: Sequence[RobotMotion], rng: np.random.Generator) -> RobotMotion:
    motion = motions[int(rng.integers(len(motions)))]
    return mirror(motion) if rng.uniform() < 0.5 else motion


def mirrored_joints(values: np.ndarray) -> np.ndarray:
    """Values (..., 29) of joints in motor order, or actions, of the mirror image."""
    return values[..., MIRRORED_JOINTS] * MIRRORED_SIGNS


def mirror(motion: RobotMotion) -> RobotMotion:
    """Exchange left and right, in the plane y = 0."""
    quat = motion.root_quat_wxyz * (1.0, -1.0, 1.0, -1.0)
    correction = motion.correction
    if correction is not None:
        correction = np.concatenate(
            [correction[:, :6] * (1, -1, 1, -1, 1, -1), mirrored_joints(correction[:, 6:])], axis=1
        )
    joints = mirrored_joints(motion.joint_pos)
    return RobotMotion(motion.fps, motion.root_pos * (1.0, -1.0, 1.0), quat, joints, correction=correction)


def _wander(n: int, width: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise, (n, width), of this standard deviation, over 0.2 to 0.6 s."""
    sigma = rng.uniform(10.0, 30.0)
    noise = gaussian_filter1d(rng.normal(size=(n, width)), sigma, axis=0, mode="nearest")
    return deviation * noise * np.sqrt(2.0 * np.sqrt(np.pi) * sigma)  # what the filter takes from white noise
