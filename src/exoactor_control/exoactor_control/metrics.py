"""How well the robot tracked the reference, by the field's measures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_control.reference.repair import LOW_FLIGHT, flight
from exoactor_control.reference.trajectory import Reference, only_lowers, stopping_path
from exoactor_core.arrays import points_in_frame
from exoactor_core.contacts import BODY_PARTS
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import FOOT_LINKS, HAND_LINKS, KEY_BODIES, forward_kinematics, hand_poses
from exoactor_core.rotations import wrap, yaw_from_quat
from exoactor_core.stages import Metrics

FALLEN_HEIGHT = 0.4
"""m: the robot has fallen if its pelvis is lower than this, and lower than the reference's by more than
`MAX_HEIGHT_ERROR`."""
MAX_HEIGHT_ERROR = 0.25
"""m, of pelvis, ankles and wrists; with `MAX_TURN_ERROR` the field's rule of success."""
MAX_TURN_ERROR = 1.0
"""rad, of the pelvis."""
SATURATION_THRESHOLD = 0.95
"""Share of its torque limit from which a motor counts as saturated."""

STANDS_AFTER = 2.0
"""s of standing after a motion, in simulation and on the robot, before the outcome is judged."""

_REACH_SECONDS = 1.0  # s before a contact in which a hand makes its final approach

KEY_LINKS = ("pelvis", *FOOT_LINKS, *HAND_LINKS.values())


def align(reference: RobotMotion, actual: RobotMotion) -> RobotMotion:
    """Move and turn (about z) the reference so that its first frame has the position and heading of the actual one."""
    yaw = yaw_from_quat(actual.root_quat_wxyz[0]) - yaw_from_quat(reference.root_quat_wxyz[0])
    turn = Rotation.from_euler("z", yaw)
    pos = turn.apply(reference.root_pos - reference.root_pos[0])
    pos += [*actual.root_pos[0, :2], reference.root_pos[0, 2]]
    quat = (turn * Rotation.from_quat(reference.root_quat_wxyz, scalar_first=True)).as_quat(scalar_first=True)
    return RobotMotion(reference.fps, pos, quat, reference.joint_pos, reference.contacts)


def errors(reference: RobotMotion, actual: RobotMotion) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors per frame: of the judged bodies' heights (T, 5) m, of the pelvis' orientation and tilt (T,) rad."""
    actual_r = Rotation.from_quat(actual.root_quat_wxyz, scalar_first=True)
    wanted_r = Rotation.from_quat(reference.root_quat_wxyz, scalar_first=True)
    height = np.abs(forward_kinematics(actual, KEY_LINKS) - forward_kinematics(reference, KEY_LINKS))[..., 2]
    up = (actual_r.as_matrix()[:, :, 2] * wanted_r.as_matrix()[:, :, 2]).sum(axis=1)
    return height, np.asarray((actual_r.inv() * wanted_r).magnitude()), np.arccos(np.clip(up, -1.0, 1.0))


def score(
    reference: RobotMotion, actual: RobotMotion, fault: str = "", fell: bool = False, band: bool = False
) -> Metrics:
    """Compare the robot's motion with the reference, frame by frame from the end of the blend-in.

    ``actual`` is at the rate of the ``reference``, and shorter if it was aborted. ``fault``: why the controller gave
    up, if it did; ``fell``: whether the robot was falling then. ``band``: the robot hung on a band, where it cannot
    control its heading, so that its tilt is judged instead of its orientation.

    Returns ``success`` (to the last frame, pelvis, ankles and wrists within 0.25 m of the reference's heights and the
    pelvis within 1 rad of its orientation), ``fell``, ``reason``, ``frames``, ``min_pelvis_height`` (m),
    ``joint_error_mean`` (rad), ``key_body_error_mean`` (m, 14 bodies in the pelvis frame, as MPJPE is counted),
    ``end_position_error`` (m, horizontal), ``path_length`` (m, of the reference, horizontal) and ``end_heading_error``
    (rad).
    """
    n = len(actual)
    wanted = align(reference, actual).part(0, n)
    height_error, turn_error, tilt_error = errors(wanted, actual)
    sunk = wanted.root_pos[:, 2] - actual.root_pos[:, 2] > MAX_HEIGHT_ERROR
    fallen = (actual.root_pos[:, 2] < FALLEN_HEIGHT) & sunk
    fell = bool(fell or fallen.any() or (tilt_error > MAX_TURN_ERROR).any())
    reason = _first_failure(actual.fps, fallen, height_error, tilt_error if band else turn_error)
    if fault:
        reason = f"{reason}; the controller went to damping: {fault}" if reason else fault
    elif n < len(reference):
        reason = reason or f"it ended after {n} of {len(reference)} frames"
    return {
        "success": not reason,
        "fell": fell,
        "reason": reason,
        "frames": n,
        "min_pelvis_height": float(actual.root_pos[:, 2].min()),
        "joint_error_mean": float(np.abs(actual.joint_pos - wanted.joint_pos).mean()),
        "key_body_error_mean": float(np.linalg.norm(_local(actual) - _local(wanted), axis=-1).mean()),
        "end_position_error": float(np.linalg.norm(actual.root_pos[-1, :2] - wanted.root_pos[-1, :2])),
        "path_length": float(np.linalg.norm(np.diff(wanted.root_pos[:, :2], axis=0), axis=1).sum()),
        "end_heading_error": _heading_error(actual.root_quat_wxyz[-1], wanted.root_quat_wxyz[-1]),
    }


_COMMANDED = ("success", "fell", "reason", "joint_error_mean", "key_body_error_mean")


def judged(
    reference: Reference, actual: RobotMotion, fault: str = "", fell: bool = False, band: bool = False
) -> tuple[Metrics, list[str]]:
    """`score` against the given motion, together with figures against the repaired one.

    Returns the metrics of `score`, with ``commanded`` (some of them against the commanded motion: repaired, with
    lowered jumps), ``repaired_by`` (see `Reference.repaired_by`) and ``jump`` (``asked``, ``commanded``, ``done``:
    ``height`` in m of the lower sole and ``seconds`` in the air), and a sentence on the jumps, if there are any.
    """
    motion = commanded = reference.motion
    if motion.correction is not None and only_lowers(motion.correction):
        commanded = replace(motion, root_pos=motion.root_pos + np.outer(motion.correction[:, 2], [0.0, 0.0, 1.0]))
    by_commanded = score(commanded, actual, fault, fell, band)
    jump = {
        which: {"height": float(height.max()), "seconds": float((height > 0.0).sum()) / motion.fps}
        for which, height in (("asked", flight(motion)), ("commanded", flight(commanded)), ("done", flight(actual)))
    }
    return score(reference.given or motion, actual, fault, fell, band) | {
        "commanded": {k: by_commanded[k] for k in _COMMANDED},
        "repaired_by": reference.repaired_by,
        "jump": jump,
    }, _jumped(jump)


def _jumped(jump: dict[str, dict[str, float]]) -> list[str]:
    asked, commanded, done = (jump[which] for which in ("asked", "commanded", "done"))
    if asked["height"] <= LOW_FLIGHT:
        return []
    less = "" if commanded["height"] > asked["height"] - 0.01 else f", lowered to {commanded['height']:.2f} m"
    return [
        f"The motion jumps {asked['height']:.2f} m high ({asked['seconds']:.2f} s in the air){less}; the robot jumped "
        f"{done['height']:.2f} m ({done['seconds']:.2f} s)."
    ]


def final_error(reference: RobotMotion, actual: RobotMotion, pose: np.ndarray) -> Metrics:
    """Distance of the robot from where the motion should have ended, or come to a stop, once it has settled.

    ``reference`` and ``actual`` are as for `score`; ``pose`` (7,) is the robot's last position (m) and orientation (w,
    x, y, z). Returns ``final_position_error`` (m, horizontal), ``final_heading_error`` (rad), and ``moved``, the
    distance from its start (m, horizontal).
    """
    if len(path := stopping_path(reference)):
        stop = reference.root_pos[-1] + [*path[-1], 0.0]
        arrays = ((reference.root_pos, stop), (reference.root_quat_wxyz, reference.root_quat_wxyz[-1]))
        pos, quat = (np.vstack(pair) for pair in arrays)
        reference = RobotMotion(reference.fps, pos, quat, np.vstack([reference.joint_pos, reference.joint_pos[-1]]))
    wanted = align(reference, actual)
    return {
        "final_position_error": float(np.linalg.norm(pose[:2] - wanted.root_pos[-1, :2])),
        "final_heading_error": _heading_error(pose[3:7], wanted.root_quat_wxyz[-1]),
        "moved": float(np.linalg.norm(pose[:2] - actual.root_pos[0, :2])),
    }


def _heading_error(actual_quat: np.ndarray, wanted_quat: np.ndarray) -> float:
    return abs(float(wrap(yaw_from_quat(actual_quat) - yaw_from_quat(wanted_quat))))


def odometry_error(estimate: np.ndarray, actual: RobotMotion) -> float:
    """Horizontal distance in m between the ends of the robot's own estimate of its path (T, 2) and of the true one.

    Both are relative to their first position, in axes of the same orientation.
    """
    moved = (estimate[-1] - estimate[0]) - (actual.root_pos[-1] - actual.root_pos[0])[:2]
    return float(np.linalg.norm(moved))


def _first_failure(fps: float, fallen: np.ndarray, height: np.ndarray, turn: np.ndarray) -> str:
    failed = fallen | (height > MAX_HEIGHT_ERROR).any(axis=1) | (turn > MAX_TURN_ERROR)
    if not failed.any():
        return ""
    t = int(np.argmax(failed))
    when = f"{t / fps:.2f} s into the motion"
    if fallen[t]:
        return f"the robot fell {when}"
    if turn[t] > MAX_TURN_ERROR:
        return f"the pelvis was turned {turn[t]:.2f} rad from the reference {when}"
    body = int(np.argmax(height[t]))
    return f"{KEY_LINKS[body]} was {height[t, body]:.2f} m from the reference's height {when}"


def _local(motion: RobotMotion) -> np.ndarray:
    """Key bodies in the pelvis frame, (T, B, 3) m."""
    rotation = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True)
    relative = forward_kinematics(motion, KEY_BODIES) - motion.root_pos[:, None]
    return np.einsum("tji,tbj->tbi", rotation.as_matrix(), relative)


def contact_errors(reference: Reference, actual: RobotMotion, objects: np.ndarray, forces: np.ndarray) -> list[float]:
    """Distance of each hand from its point on each object at the first touch: m, in the object's frame.

    ``actual``, the objects' poses (T, n, 7) and the forces of body parts on them (T, n, len(BODY_PARTS)) N, in the
    scene's order, are in step with the reference, in which the objects are as in the scene until then. If a hand does
    not touch its object, or touches it long before it reaches for it, its position at the planned time counts.
    """
    scene = reference.scene
    assert scene is not None
    of_hands = [contact for contact in reference.motion.object_contacts if contact.body in HAND_LINKS]
    first = {(c.body, c.object): c for c in sorted(of_hands, key=lambda c: c.start, reverse=True)}
    if not first:
        return []
    wanted, done = (hand_poses(motion)[0] for motion in (reference.motion, actual))
    found = []
    for contact in first.values():
        planned, hand = reference.frame_at(contact.start), list(HAND_LINKS).index(contact.body)
        obj, its = scene[contact.object].pose, objects[:, scene.ids.index(contact.object)]
        reaches = slice(max(0, planned - round(_REACH_SECONDS * actual.fps)), reference.frame_at(contact.end) + 1)
        touched = forces[reaches, scene.ids.index(contact.object), BODY_PARTS.index(contact.body)] > 0.0
        k = reaches.start + int(touched.argmax()) if touched.any() else planned
        if k < len(actual):
            off = points_in_frame(its[k], done[k, hand]) - points_in_frame(obj, wanted[planned, hand])
            found.append(float(np.linalg.norm(off)))
    return found
