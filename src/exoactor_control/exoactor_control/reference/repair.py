"""Repairs of a motion before it is tracked: broken ends, a floor that is tilted, floating or sunk.

These are left behind by retargeters and pose estimators; what cannot be repaired is refused. What a person does is
kept: raised heels, feet in the air while the hands bear the weight, jumps (for trackers that cannot jump as high there
is `exoactor_control.reference.trajectory.lowered`).

Lengths in m, angles in rad.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, grey_opening
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import true_runs, unit
from exoactor_core.errors import UnsafeMotion
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import VELOCITY_LIMITS, forward_kinematics, sole_points
from exoactor_core.rotations import shortest_turn

# Limits of a G1's pelvis; anything faster is a broken motion. A sprinting person's pelvis reaches about
# 10 m/s, and rises at 3 m/s in a jump; the G1 does neither. The broken first frames that retargeters leave are
# at 40 to 96 m/s.
MAX_SPEED = 6.0
"""m/s of the pelvis."""
MAX_TURN = 12.0
"""rad/s of the pelvis."""
END_SECONDS = 0.5
"""s at the beginning and at the end in which broken frames are dropped rather than refused."""

# At the ends a jump counts as broken if it exceeds this multiple of the motion's 95th percentile, and:
_OUTLIER_FACTOR = 3.0
_JUMP_SPEED, _JUMP_TURN, _JUMP_JOINTS = 1.0, 2.0, 0.25  # m/s, rad/s, share of the motors' greatest speed

_HEIGHT_TOLERANCE = 0.01  # m of the soles above the floor that are tolerated
_MIN_FLOAT = 0.025  # m that the floor may drift before it is followed
_MAX_FLOAT = 0.10  # m that it may drift at any speed: estimates drift by up to 0.09, a stair has 0.15 or more
_SLOW_FLOAT, _MAX_SLOW_FLOAT = 0.05, 0.5  # m/s and m: nobody climbs stairs so slowly
_LONGEST_FLIGHT = 1.2  # s within which a body without support comes down again
LOW_FLIGHT = 0.05
"""m that both soles may be above the floor at any time: runs stay below it, jumps do not."""
_MIN_UNSUPPORTED = 0.15
"""m above the floor from which no part supports the robot: smaller gaps are errors of the estimate."""
_MIN_FLIGHT_HEIGHT = 0.02  # m that both soles are off the floor in flight
_LIMBS = {"wrist_yaw": 0.22, "elbow": 0.1, "shoulder_roll": 0.12, "knee": 0.1}
_REACH = {f"{side}_{limb}_link": reach for limb, reach in _LIMBS.items() for side in ("left", "right")} | {
    "pelvis": 0.18
}
"""m from a link's origin to the point where it, or what is attached to it (hand, seat), may rest on the floor."""
_MAX_RESTING_SPEED = 0.15  # m/s of a supporting sole
_MIN_LEAN, _MAX_LEAN = 0.35, 0.8  # rad of tilt: ignored (estimates tilt by up to 0.28), refused
_MAX_START_HEIGHT = 0.10  # m that the soles may be off the floor in the first frame
_RAISED_HEIGHT = 0.05  # m from which a foot is raised: the blend would lead to one leg


def speeds(pos: np.ndarray, quat: np.ndarray, joints: np.ndarray, fps: float) -> tuple[np.ndarray, ...]:
    """Speed of the pelvis (T-1,) m/s, its turning (T-1,) rad/s, and the joints' (T-1, 29) rad/s, between frames."""
    rotation = Rotation.from_quat(quat, scalar_first=True)
    return (
        np.linalg.norm(np.diff(pos, axis=0), axis=1) * fps,
        np.asarray((rotation[:-1].inv() * rotation[1:]).magnitude()) * fps,
        np.abs(np.diff(joints, axis=0)) * fps,
    )


def trim_outlier_ends(motion: RobotMotion) -> tuple[int, int]:
    """First frame, and one past the last, between jumps within `END_SECONDS` of both ends."""
    n = len(motion)
    if n < 3:
        return 0, n
    speed, turn, joints = speeds(motion.root_pos, motion.root_quat_wxyz, motion.joint_pos, motion.fps)
    share = (joints / VELOCITY_LIMITS).max(axis=1)
    jumps = np.zeros(n - 1, dtype=bool)
    for value, limit, least in (
        (speed, MAX_SPEED, _JUMP_SPEED),
        (turn, MAX_TURN, _JUMP_TURN),
        (share, 1.0, _JUMP_JOINTS),
    ):
        jumps |= value > min(limit, max(least, _OUTLIER_FACTOR * float(np.percentile(value, 95))))
    at = np.flatnonzero(jumps)
    span = min(END_SECONDS * motion.fps, n / 3)
    start, end = at[at < span], at[at >= n - 1 - span]
    # The cold start of an iterative solver decays over two more frames.
    return int(start[-1]) + 3 if len(start) else 0, int(end[0]) + 1 if len(end) else n


def set_on_floor(motion: RobotMotion) -> tuple[RobotMotion, slice, list[str]]:
    """Level the motion, move it onto the floor z = 0, and trim it to begin and end there, on both feet if possible.

    Returns the repaired motion; its frames, without those within `END_SECONDS` in which the feet are off the floor, or
    one is raised and comes down; and notes on what was done, one sentence each. Raises `UnsafeMotion` if its floor is
    tilted too much, or it begins off the floor.
    """
    notes: list[str] = []
    points = sole_points(motion)
    lean, turn = _lean(motion, points, _on_feet(motion, points))
    if lean > _MAX_LEAN:
        raise UnsafeMotion(f"The floor under the motion's feet leans by {lean:.2f} rad, more than {_MAX_LEAN:g}.")
    pos, quat = motion.root_pos, motion.root_quat_wxyz
    if lean > _MIN_LEAN:
        notes.append(f"The motion was levelled: the floor under its feet leaned by {lean:.2f} rad.")
        pos = pos[0] + turn.apply(pos - pos[0])
        quat = (turn * Rotation.from_quat(quat, scalar_first=True)).as_quat(scalar_first=True)
        motion = replace(motion, root_pos=pos, root_quat_wxyz=quat)
        points = sole_points(motion)
    on_feet = _on_feet(motion, points)
    lowest = points[..., 2].min(axis=(1, 2))
    floor = _floor(_stood_on(lowest, on_feet), motion.fps)
    if np.ptp(floor) > 0.0:
        notes.append(
            f"The motion floated between {floor.min():+.3f} and {floor.max():+.3f} m: it was set on the floor."
        )
    elif abs(floor[0]) > _HEIGHT_TOLERANCE:
        notes.append(
            f"The motion was moved {'down' if floor[0] > 0 else 'up'} by {abs(floor[0]):.3f} m onto the floor."
        )
    else:
        floor = np.zeros(len(motion))
    feet = points[..., 2].min(axis=2) - floor[:, None]
    lowest, span = feet.min(axis=1), int(min(END_SECONDS * motion.fps, len(motion) / 3)) + 1
    on_both = np.flatnonzero(~on_feet | (np.abs(feet) < _RAISED_HEIGHT).all(axis=1))
    on_floor = np.flatnonzero((~on_feet | (np.abs(lowest) < _MAX_START_HEIGHT))[:span])
    if not len(on_floor):
        where = "above" if lowest[0] > 0 else "below"
        raise UnsafeMotion(f"The motion begins with its feet {abs(lowest[0]):.2f} m {where} the floor.")
    first, last = int(on_floor[0]), len(motion) - 1
    if len(on_both) and on_both[0] < span:
        first = int(on_both[0])
    if len(on_both) and on_both[-1] > max(first, last - span):
        last = int(on_both[-1])
    for which, count in (("first", first), ("last", len(motion) - 1 - last)):
        if count:
            notes.append(f"The {which} {count / motion.fps:.2f} s were dropped: the feet were not on the floor.")
    frames = slice(first, last + 1)
    pos = np.column_stack([pos[:, :2], pos[:, 2] - floor])
    contacts = None if motion.contacts is None else motion.contacts[frames]
    return RobotMotion(motion.fps, pos[frames], quat[frames], motion.joint_pos[frames], contacts), frames, notes


def _floor(lowest: np.ndarray, fps: float) -> np.ndarray:
    """Height (T,) of the floor under a motion whose lowest sole is at ``lowest`` (T,): constant, unless it drifts."""
    # Most motions stand on a foot most of the time; a low percentile is robust against jumps and single bad frames.
    level = np.full(len(lowest), float(np.percentile(lowest, 20)))
    flight = min(int(_LONGEST_FLIGHT * fps), len(lowest))
    floor = gaussian_filter1d(grey_opening(lowest, (flight,), mode="nearest"), 0.2 * fps, mode="nearest")
    wandered = float(np.ptp(floor))
    if len(floor) < 2 or wandered <= _MIN_FLOAT:
        return level
    slow = np.abs(np.diff(floor)).max() * fps <= _SLOW_FLOAT and wandered <= _MAX_SLOW_FLOAT
    return floor if slow or wandered <= _MAX_FLOAT else level


def floor_level(motion: RobotMotion) -> float:
    """Height of the floor under the whole motion, m: most of the time a foot stands there."""
    points = sole_points(motion)
    return float(np.percentile(_stood_on(points[..., 2].min(axis=(1, 2)), _on_feet(motion, points)), 20))


def _lowest_other(motion: RobotMotion) -> np.ndarray:
    """Height (T,) m that the lowest part of the robot other than its feet may reach."""
    heights = forward_kinematics(motion, tuple(_REACH))[..., 2]
    return (heights - list(_REACH.values())).min(axis=1)


def _on_feet(motion: RobotMotion, points: np.ndarray) -> np.ndarray:
    """Frames (T,) in which nothing is lower than the soles, so that they show the floor; all if there are none."""
    on_feet = points[..., 2].min(axis=(1, 2)) <= _lowest_other(motion)
    return on_feet | (not on_feet.any())


def _stood_on(lowest: np.ndarray, on_feet: np.ndarray) -> np.ndarray:
    """Height (T,) of the supporting surface, interpolated while something else supports the robot."""
    at = np.flatnonzero(on_feet)
    return np.interp(np.arange(len(lowest)), at, lowest[at])


def flight(motion: RobotMotion) -> np.ndarray:
    """Height (T,) of the lower sole, m, while a motion on the floor z = 0 jumps; 0 elsewhere.

    In a jump both soles are off the floor, nothing else of the robot rests on it, and they come down again: not on a
    stair, and not with the feet raised while sitting.
    """
    lowest = sole_points(motion)[..., 2].min(axis=(1, 2))
    height = np.zeros(len(lowest))
    if lowest.max() <= LOW_FLIGHT:
        return height
    others = _lowest_other(motion)
    last = len(lowest) - 1
    for start, end in true_runs(lowest > LOW_FLIGHT):
        lands = (end - start) / motion.fps <= _LONGEST_FLIGHT and start > 0 and end <= last
        if not lands or others[start:end].min() <= 0.0:
            continue
        while start > 0 and lowest[start - 1] > _MIN_FLIGHT_HEIGHT:
            start -= 1
        while end < last and lowest[end] > _MIN_FLIGHT_HEIGHT:
            end += 1
        height[start:end] = lowest[start:end]
    return height


def require_support(motion: RobotMotion) -> None:
    """Check that a motion on the floor z = 0, at the person's own pace, is supported.

    Raises
    ------
    UnsafeMotion
        Nothing of the robot is near the floor, nor does a foot rest above it, for longer than a jump lasts: the person
        leant on something, or the estimate is wrong.
    """
    soles = sole_points(motion)
    height = np.minimum(soles[..., 2].min(axis=(1, 2)), _lowest_other(motion))
    rests = resting(soles, motion.fps).any(axis=1) if len(motion) > 1 else np.zeros(len(motion), dtype=bool)
    for start, end in true_runs((height > _MIN_UNSUPPORTED) & ~rests):
        if (end - start) / motion.fps > _LONGEST_FLIGHT:
            raise UnsafeMotion(
                f"From {start / motion.fps:.1f} s to {end / motion.fps:.1f} s nothing supports the robot: it is up to "
                f"{height[start:end].max():.2f} m above the floor, for longer than a jump lasts. Leave that part "
                "out, or give the scene what the person leans on."
            )


def resting(points: np.ndarray, fps: float) -> np.ndarray:
    """Whether each foot rests, (T, 2), by the points of its sole (T, 2, 4, 3) m."""
    velocity = np.gradient(points.mean(axis=2), 1.0 / fps, axis=0)
    return np.linalg.norm(velocity, axis=-1) < _MAX_RESTING_SPEED


def _lean(motion: RobotMotion, points: np.ndarray, on_feet: np.ndarray) -> tuple[float, Rotation]:
    """Angle by which the floor under a motion is tilted, and the rotation that levels it.

    0 if the resting soles tilt in all directions, or hardly any foot is at rest. A tilted floor shows under every step,
    and in the body that stands on it; raised heels come down at times, and the body over them is upright.
    """
    heel, toe = points[:, :, :2], points[:, :, 2:]
    forward = toe.mean(axis=2) - heel.mean(axis=2)
    leftward = points[:, :, [0, 2]].mean(axis=2) - points[:, :, [1, 3]].mean(axis=2)
    normal = unit(np.cross(forward, leftward))
    none = 0.0, Rotation.identity()
    if len(points) < 2:
        return none
    rest = resting(points, motion.fps) & on_feet[:, None]
    if rest.mean() < 0.1:
        return none
    mean = normal[rest].mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 0.95:
        return none
    up = mean / length
    turn = Rotation.from_rotvec(shortest_turn(up, [0.0, 0.0, 1.0]))
    angle = float(np.arccos(np.clip(up[2], -1.0, 1.0)))
    if angle > _MIN_LEAN:
        # share of the tilt that each sole, and the pelvis while a sole rests, have in common
        downhill = up - [0.0, 0.0, up[2]]
        downhill /= max(float(np.linalg.norm(downhill)), 1e-9)
        soles = np.arctan2(normal[rest] @ downhill, normal[rest][:, 2])
        pelvis = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True).as_matrix()[rest.any(axis=1), :, 2]
        pelvis = np.arctan2(pelvis @ downhill, pelvis[:, 2])
        if min(np.percentile(soles, 10), 2.0 * np.percentile(pelvis, 10)) < _MIN_LEAN:
            return none
    return angle, turn
