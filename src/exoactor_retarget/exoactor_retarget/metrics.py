"""Quality figures of a retargeted motion."""

from __future__ import annotations

import numpy as np

from exoactor import robot
from exoactor.motion import RobotMotion
from exoactor.stages import Metrics
from exoactor_retarget.geometry import SIDES, geometry
from exoactor_retarget.targets import Targets

_TOUCH = 0.002  # m: depth from which a self-collision counts


def _key_targets(targets: Targets, positions: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Wanted and reached positions (T, B, 3) of pelvis, feet, elbows and wrists; arms from the robot's shoulders."""
    g1 = geometry()
    wanted, reached = [targets.pelvis_pos], [positions["pelvis"]]
    for k, side in enumerate(SIDES):
        elbow = positions[f"{side}_shoulder_roll_link"] + g1.upper_arm * targets.upper_arm[:, k]
        wanted += [targets.foot_pos[:, k], elbow, elbow + g1.forearm * targets.forearm[:, k]]
        reached += [positions[f"{side}_{n}_link"] for n in ("ankle_roll", "elbow", "wrist_pitch")]
    return np.stack(wanted, axis=1), np.stack(reached, axis=1)


def measure(motion: RobotMotion, targets: Targets) -> Metrics:
    """Measure a motion against its targets.

    Returns
    -------
    key_body_error_mean, root_path_error_mean (m), foot_slide_mean (mm per frame of contact), sole_height_error_max
    (mm, in contact), sole_lowest (mm, at any time), sole_tilt_max (deg, in contact), joint_speed_share_max,
    frames_outside_limits, self_collision_frames, contact_share, frames.
    """
    names = [
        "pelvis",
        *(f"{s}_{n}_link" for s in SIDES for n in ("ankle_roll", "shoulder_roll", "elbow", "wrist_pitch")),
    ]
    points = robot.forward_kinematics(motion, names)
    wanted, reached = _key_targets(targets, {name: points[:, i] for i, name in enumerate(names)})
    soles = robot.sole_points(motion)
    contact = targets.contact
    both = contact[1:] & contact[:-1]
    slide = np.linalg.norm(np.diff(soles[..., :2].mean(axis=2), axis=0), axis=-1)[both]
    height = np.abs(soles[..., 2]).max(axis=-1)[contact]
    rise = soles[..., 2].max(axis=-1) - soles[..., 2].min(axis=-1)
    length = np.linalg.norm(geometry().soles[0].max(axis=0)[:2] - geometry().soles[0].min(axis=0)[:2])
    tilt = np.arcsin(np.clip(rise / length, 0, 1))[contact]
    speed = np.abs(np.diff(motion.joint_pos, axis=0)) * motion.fps / robot.VELOCITY_LIMITS
    low, high = robot.JOINT_LIMITS.T
    outside = ((motion.joint_pos < low) | (motion.joint_pos > high)).any(axis=1)
    depth, _ = robot.self_collision_depth(motion)
    root = np.linalg.norm((motion.root_pos - targets.pelvis_pos)[:, :2], axis=1)

    def greatest(values: np.ndarray) -> float:
        return float(values.max()) if values.size else 0.0

    return {
        "frames": len(motion),
        "key_body_error_mean": float(np.linalg.norm(wanted - reached, axis=-1).mean()),
        "root_path_error_mean": float(root.mean()),
        "foot_slide_mean": 1000 * float(slide.mean()) if slide.size else 0.0,
        "sole_height_error_max": 1000 * greatest(height),
        "sole_lowest": 1000 * float(soles[..., 2].min()),
        "sole_tilt_max": float(np.degrees(greatest(tilt))),
        "joint_speed_share_max": greatest(speed),
        "frames_outside_limits": int(outside.sum()),
        "self_collision_frames": int((depth > _TOUCH).sum()),
        "contact_share": float(contact.mean()),
    }
