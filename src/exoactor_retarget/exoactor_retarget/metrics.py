"""Quality figures of a retargeted motion."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core import robot
from exoactor_core.motion import RobotMotion
from exoactor_core.stages import Metrics
from exoactor_retarget.kinematics import State
from exoactor_retarget.model import Model
from exoactor_retarget.surroundings import FLOOR, clearances, near_solids
from exoactor_retarget.targets import Targets

TOUCH = 0.002  # m: depth from which a collision counts.


def key_bodies(state: State, targets: Targets, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Desired and reached positions (T, B, 3) of pelvis, feet, elbows and wrists; arms from the robot's shoulders."""
    poses = model.kinematics.poses(state)
    wanted, reached = [targets.pelvis_pos], [state.root_pos]
    for k in range(2):
        foot, shoulder, elbow, wrist = (model.point(poses, n, k).T for n in ("foot", "shoulder", "elbow", "wrist"))
        bent = shoulder + model.upper_arm * targets.upper_arm[:, k]
        wanted += [targets.foot_pos[:, k], bent, bent + model.forearm * targets.forearm[:, k]]
        reached += [foot, elbow, wrist]
    return np.stack(wanted, axis=1), np.stack(reached, axis=1)


def sole_corners(state: State, model: Model) -> np.ndarray:
    """World positions of the corners of the soles, (T, 2, K, 3) m."""
    poses = model.kinematics.poses(state)
    feet = [[poses.points(model.bodies["foot"][k], corner).T for corner in model.soles[k]] for k in range(2)]
    return np.array(feet).transpose(2, 0, 1, 3)


def floor_depth(state: State, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Depth of the robot below the floor, (T,) m, 0 if it is not, and the deepest body (T,)."""
    ends = np.flatnonzero(model.probes.end)
    heights = model.probes.heights(model.kinematics.poses(state), ends)
    return np.maximum(-heights.min(axis=0), 0.0), model.probes.body[ends[heights.argmin(axis=0)]]


def measure_contacts(state: State, targets: Targets, model: Model) -> Metrics:
    """Accuracy of the hands at the objects that lead them, and penetration of objects by other parts.

    Returns
    -------
    palm_error_mean, palm_error_p90 (mm, while an object leads fully), object_frames, object_depth_max (mm).
    """
    poses = model.kinematics.poses(state)
    at = np.stack([poses.points(model.bodies["hand"][k], model.palms[k]).T for k in range(2)], axis=1)
    error = 1000 * np.linalg.norm(at - targets.palm_pos, axis=-1)[targets.holding > 0.999]
    depth = np.zeros(len(state))
    if targets.solids is not None:
        watched = near_solids(model.probes, poses, targets.solids, 0.0)
        watched = watched[watched[:, 1] != FLOOR]
        if len(watched):
            clear = clearances(model.probes, poses, watched, targets.solids, np.zeros_like(targets.contact))
            depth = np.maximum(-clear.distance.min(axis=0), 0.0)
    return {
        "palm_error_mean": float(error.mean()) if error.size else 0.0,
        "palm_error_p90": float(np.percentile(error, 90)) if error.size else 0.0,
        "object_frames": int((depth > TOUCH).sum()),
        "object_depth_max": 1000 * float(depth.max()),
    }


def sole_tilts(corners: np.ndarray) -> np.ndarray:
    """Angle (T, 2) rad of each sole to the floor, by its `sole_corners`."""
    normal = np.cross(corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :])
    return np.arctan2(np.linalg.norm(normal[..., :2], axis=-1), np.abs(normal[..., 2]))


def measure(motion: RobotMotion, targets: Targets, model: Model) -> Metrics:
    """Measure a motion of the G1 against its targets.

    Returns
    -------
    key_body_error_mean, root_path_error_mean (m), foot_slide_mean, foot_slide_max (mm per frame of contact),
    sole_height_error_max (mm, in contact), sole_lowest (mm, at any time), sole_tilt_max (deg, in contact),
    joint_speed_share_max, frames_outside_limits (of position or speed), self_collision_frames, self_collision_max
    (mm), floor_frames, floor_depth_max (mm, of any part), contact_share, frames.
    """
    turns = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True).as_matrix()
    state = State(motion.root_pos, turns, motion.joint_pos)
    wanted, reached = key_bodies(state, targets, model)
    soles = sole_corners(state, model)
    contact = targets.contact
    both = contact[1:] & contact[:-1]
    slide = np.linalg.norm(np.diff(soles[..., :2].mean(axis=2), axis=0), axis=-1)[both]
    height = np.abs(soles[..., 2]).max(axis=-1)[contact]
    tilt = sole_tilts(soles)[contact]
    speed = np.abs(np.diff(motion.joint_pos, axis=0)) * motion.fps / robot.VELOCITY_LIMITS
    low, high = robot.JOINT_LIMITS.T
    outside = ((motion.joint_pos < low) | (motion.joint_pos > high)).any(axis=1)
    outside[1:] |= (speed > 1.0).any(axis=1)
    depth, _ = robot.self_collision_depth(motion)
    sunk, _ = floor_depth(state, model)
    root = np.linalg.norm((motion.root_pos - targets.pelvis_pos)[:, :2], axis=1)

    def greatest(values: np.ndarray) -> float:
        return float(values.max()) if values.size else 0.0

    return {
        "frames": len(motion),
        "key_body_error_mean": float(np.linalg.norm(wanted - reached, axis=-1).mean()),
        "root_path_error_mean": float(root.mean()),
        "foot_slide_mean": 1000 * float(slide.mean()) if slide.size else 0.0,
        "foot_slide_max": 1000 * greatest(slide),
        "sole_height_error_max": 1000 * greatest(height),
        "sole_lowest": 1000 * float(soles[..., 2].min()),
        "sole_tilt_max": float(np.degrees(greatest(tilt))),
        "joint_speed_share_max": greatest(speed),
        "frames_outside_limits": int(outside.sum()),
        "self_collision_frames": int((depth > TOUCH).sum()),
        "self_collision_max": 1000 * greatest(depth),
        "floor_frames": int((sunk > TOUCH).sum()),
        "floor_depth_max": 1000 * greatest(sunk),
        "contact_share": float(contact.mean()),
    }
