"""From a robot motion to a tracker's trajectory: checked, repaired, resampled to 50 Hz, blended at both ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pinocchio.rpy import rpyToMatrix
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from exoactor_control.reference.human_keypoints import Human
from exoactor_control.reference.repair import (
    LOW_FLIGHT,
    MAX_SPEED,
    MAX_TURN,
    flight,
    floor_level,
    require_support,
    set_on_floor,
    speeds,
    trim_outlier_ends,
)
from exoactor_core.arrays import interpolate, min_jerk, resample_poses
from exoactor_core.errors import UnsafeMotion
from exoactor_core.motion import CORRECTION_WIDTH, HumanMotion, RobotMotion
from exoactor_core.robot import JOINT_LIMITS, STANDING, STANDING_HEIGHT, VELOCITY_LIMITS, sole_points
from exoactor_core.rotations import roll_pitch_yaw
from exoactor_core.scene import Scene

POLICY_RATE = 50.0
"""Hz, rate of all references and policies."""

ENTRY_SPEED, ENTRY_TILT_SPEED, ENTRY_RISE = 1.5, 0.75, 0.3
"""rad/s of a joint, rad/s of the pelvis' tilt and m/s of its height, maximum speeds of blends. Chosen: slow enough to
step back from; the motors reach 20 rad/s and more."""
_MIN_FRAMES = 5  # at 50 Hz
_MIN_MOVING_SPEED, _STOP_SECONDS = 0.3, 1.0
"""m/s of the pelvis in a motion's last frames from which it is walked to a stop instead of stopped at once, and s that
this takes. Found on clips cut out of walks in mid-stride."""
_EASE_PEAK = 1.875  # maximum over mean slope of `_ease`
_STEP_SECONDS = 0.5
"""s per step on the spot."""
_STEP_LIFT = 0.35  # rad of hip and ankle, twice that of the knee, by which a leg is bent: the sole rises by 4 cm
_NO_CORRECTION = np.zeros(CORRECTION_WIDTH)


@dataclass(frozen=True)
class Reference:
    """A motion that is fit to be tracked."""

    motion: RobotMotion
    """At `POLICY_RATE`, with soles on the floor and within the joint limits."""
    notes: tuple[str, ...]
    """Notes on repairs, one sentence each."""
    human: Human | None = None
    """The human motion that it came from, frame by frame; None: not given."""
    begin: float = 0.0
    """s from the beginning of the given motion to the beginning of this one."""
    given: RobotMotion | None = None
    """The given motion, frame by frame beside ``motion``: at `POLICY_RATE`, without dropped frames, and moved as a
    whole onto the floor, but otherwise unchanged. None: ``motion`` is unchanged, too."""
    scene: Scene | None = None
    """The scene with the objects of the motion's contacts; None: there is none."""

    @property
    def hands(self) -> np.ndarray | None:
        """(T, 2) closure of the hands, in [0, 1]: from the motion, or else from the person's hands."""
        if self.motion.hands is not None or self.human is None or self.human.hands is None:
            return self.motion.hands
        return 1.0 - self.human.hands

    def frame_at(self, time: float) -> int:
        """Index of the frame, possibly outside the motion, at a time in s of the given motion."""
        return round((time - self.begin) * POLICY_RATE)

    @property
    def repaired_by(self) -> dict[str, float]:
        """Maximum differences between the given motion and this one: m of height, rad of tilt and joints."""
        if self.given is None:
            return {"height": 0.0, "tilt": 0.0, "joints": 0.0}
        given, now = self.given, self.motion
        turned = (
            Rotation.from_quat(given.root_quat_wxyz, scalar_first=True).inv()
            * Rotation.from_quat(now.root_quat_wxyz, scalar_first=True)
        ).magnitude()
        return {
            "height": float(np.abs(given.root_pos - now.root_pos)[:, 2].max()),
            "tilt": float(turned.max()),
            "joints": float(np.abs(given.joint_pos - now.joint_pos).max()),
        }


@dataclass(frozen=True)
class Frame:
    """The reference at one moment."""

    lin_vel_xy: np.ndarray
    """(2,) m/s, pelvis velocity in the pelvis frame."""
    height: float
    """m, pelvis above the floor."""
    roll_pitch: np.ndarray
    """(2,) rad."""
    yaw: float
    """rad."""
    yaw_rate: float
    """rad/s, about the pelvis' z axis."""
    joint_pos: np.ndarray
    """(29,) rad, motor order."""
    lin_vel_z: float = 0.0
    """m/s, the third component of ``lin_vel_xy``."""
    ang_vel_xy: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """(2,) rad/s, about the pelvis' x and y axes."""
    joint_vel: np.ndarray = field(default_factory=lambda: np.zeros(len(STANDING)))
    """(29,) rad/s."""
    position: np.ndarray | None = None
    """(3,) m, of the pelvis in the frame of the robot's odometry; None: irrelevant."""
    in_motion: bool = False
    """Whether it belongs to the motion itself, rather than to a blend or to standing."""
    human: Human | None = None
    """The person at this moment, arrays of one frame; held in the blends. None: not given."""

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) orientation of the pelvis."""
        return rpyToMatrix(*self.roll_pitch, self.yaw)

    def turned(self, angle: float) -> Frame:
        """Return the frame in a world rotated about z by so many rad."""
        human = None if self.human is None else self.human.turned(angle)
        return replace(self, yaw=self.yaw + angle, human=human)

    def corrected(self, correction: np.ndarray) -> Frame:
        """Return the frame with a row (35,) of a motion's correction added."""
        return replace(
            self,
            lin_vel_xy=self.lin_vel_xy + correction[:2],
            height=self.height + float(correction[2]),
            roll_pitch=self.roll_pitch + correction[3:5],
            yaw_rate=self.yaw_rate + float(correction[5]),
            joint_pos=self.joint_pos + correction[6:],
        )


STANDING_FRAME = Frame(np.zeros(2), STANDING_HEIGHT, np.zeros(2), 0.0, 0.0, STANDING)


def prepare(motion: RobotMotion, human: HumanMotion | None = None, scene: Scene | None = None) -> Reference:
    """Check and repair a motion; ``human`` is the original human motion, for policies that need it.

    ``scene`` has the objects of its contacts. The reference is slowed to the motion's ``pace``.

    Frames at the beginning (a retargeter's cold start) and at the end are dropped if the motion is discontinuous there;
    joints are clipped to their limits; the motion is levelled and set on the floor (see
    `exoactor_control.reference.repair`). Jumps into the air are kept.

    Raises
    ------
    UnsafeMotion
        The motion is too short, its pelvis jumps, its joints are far faster than the motors, the floor under its feet
        leans too much, it begins off the floor, or nothing supports it for longer than a jump lasts.
    """
    notes: list[str] = []
    human = None if human is None else replace(human, fps=human.fps * motion.pace)
    pace, motion = motion.pace, motion.paced
    first, last = trim_outlier_ends(motion)
    pos, quat, joints = (a[first:last] for a in (motion.root_pos, motion.root_quat_wxyz, motion.joint_pos))
    for which, count in (("first", first), ("last", len(motion) - last)):
        if count:
            notes.append(f"The {which} {count} frames were dropped: the motion jumps between them and the rest.")
    pos, quat, joints = resample_poses(pos, quat, joints, motion.fps, POLICY_RATE)
    if len(pos) < _MIN_FRAMES:
        raise UnsafeMotion(
            f"The motion is too short to be tracked: {len(pos)} frames at 50 Hz, fewer than {_MIN_FRAMES}."
        )
    _check_continuous(pos, quat, joints, first / motion.fps)
    low, high = JOINT_LIMITS.T
    outside = np.maximum(low - joints, joints - high).max()
    if outside > 1e-3:
        notes.append(f"Joints were held inside their limits, which they left by up to {outside:.2f} rad.")
    untouched = RobotMotion(POLICY_RATE, pos, quat, joints)
    joints = np.clip(joints, low, high)
    contacts = _resampled(motion, motion.contacts, first / motion.fps + np.arange(len(pos)) / POLICY_RATE)
    placed, frames, done = set_on_floor(RobotMotion(POLICY_RATE, pos, quat, joints, contacts))
    if scene is None:
        require_support(replace(placed, fps=POLICY_RATE / pace))
    times = first / motion.fps + np.arange(len(pos))[frames] / POLICY_RATE
    person = None if human is None else Human.sample(human, times)
    on_floor = pos - [0.0, 0.0, floor_level(untouched)]
    given = RobotMotion(POLICY_RATE, on_floor[frames], quat[frames], untouched.joint_pos[frames])
    placed = replace(
        placed,
        **motion.execution,
        correction=_resampled(motion, motion.correction, times),
        object_contacts=motion.object_contacts,
        hands=_resampled(motion, motion.hands, times),
    )
    return Reference(placed, (*notes, *done), person, float(times[0]), given, scene)


def _check_continuous(pos: np.ndarray, quat: np.ndarray, joints: np.ndarray, start: float) -> None:
    """Raise `UnsafeMotion` if a motion at `POLICY_RATE` is discontinuous; it begins ``start`` s into the original."""
    speed, turn, joint_speed = speeds(pos, quat, joints, POLICY_RATE)
    for what, value, limit, unit in (
        ("pelvis moves at", speed, MAX_SPEED, "m/s"),
        ("pelvis turns at", turn, MAX_TURN, "rad/s"),
        ("joints turn at up to", (joint_speed / VELOCITY_LIMITS).max(axis=1), 3.0, "times the motors' maximum speed"),
    ):
        if value.max() > limit:
            t = int(value.argmax()) / POLICY_RATE + start
            raise UnsafeMotion(
                f"The motion jumps at {t:.2f} s: its {what} {value.max():.1f} {unit}, more than {limit:g}."
            )


def lowered(motion: RobotMotion, share: float) -> np.ndarray:
    """Return the reference correction (T, 35) that lowers the jumps of a prepared motion.

    ``share`` of the height above `exoactor_control.reference.repair.LOW_FLIGHT` remains.
    """
    pos = motion.root_pos.copy()
    pos[:, 2] -= (1.0 - share) * np.maximum(flight(motion) - LOW_FLIGHT, 0.0)
    rpy = np.unwrap(roll_pitch_yaw(motion.root_quat_wxyz), axis=0)
    less, full = (
        Trajectory._from_poses(p, rpy, motion.joint_pos, 0, len(pos)).lin_vel_xy for p in (pos, motion.root_pos)
    )
    correction = np.zeros((len(motion), CORRECTION_WIDTH))
    correction[:, :3] = np.column_stack([less - full, (pos - motion.root_pos)[:, 2]])
    return correction


def only_lowers(correction: np.ndarray | None) -> bool:
    """Whether a correction only lowers jumps."""
    return correction is not None and not correction[:, 3:].any()


def sampled_correction(correction: np.ndarray, rate: float, times: np.ndarray) -> np.ndarray:
    """Sample a correction with a rate in Hz at times in s: (len(times), 35), zero outside."""
    at = np.arange(len(correction)) / rate
    return np.stack([np.interp(times, at, column, left=0.0, right=0.0) for column in correction.T], axis=1)


def _resampled(motion: RobotMotion, values: np.ndarray | None, times: np.ndarray) -> np.ndarray | None:
    """Sample one of a motion's arrays at times in s; None if the motion lacks it."""
    return None if values is None else interpolate(times, np.arange(len(motion)) / motion.fps, values)


@dataclass(frozen=True)
class Trajectory:
    """A reference with its blends, to be followed frame by frame at `POLICY_RATE`."""

    lin_vel_xy: np.ndarray
    """(N, 2) m/s, pelvis frame."""
    root_pos: np.ndarray
    """(N, 3) m."""
    roll_pitch_yaw: np.ndarray
    """(N, 3) rad, yaw unwrapped."""
    yaw_rate: np.ndarray
    """(N,) rad/s, pelvis frame."""
    joint_pos: np.ndarray
    """(N, 29) rad."""
    begin: int
    """Index of the motion's first frame; the blend-in is before it."""
    end: int
    """One past the motion's last frame; the blend-out begins here."""
    lin_vel_z: np.ndarray
    """(N,) m/s, pelvis frame."""
    joint_vel: np.ndarray
    """(N, 29) rad/s."""
    ang_vel_xy: np.ndarray
    """(N, 2) rad/s, pelvis frame."""
    human: Human | None = None
    """The person in the motion's own frames, ``end - begin`` of them; None: not given."""
    correction: np.ndarray | None = None
    """(end - begin, 35) the motion's correction; None: there is none."""
    hands: np.ndarray | None = None
    """(end - begin, 2) closure of the hands, in [0, 1]; None: unknown."""
    contacts: np.ndarray | None = None
    """(end - begin, 2) as `RobotMotion.contacts`."""
    open_loop: bool = False
    """As `RobotMotion.open_loop`."""

    def __len__(self) -> int:
        return len(self.joint_pos)

    def frame(self, i: int) -> Frame:
        """Frame ``i``; past the end, the last one, standing still."""
        j = min(i, len(self) - 1)
        roll, pitch, yaw = self.roll_pitch_yaw[j]
        still = i > j
        return Frame(
            lin_vel_xy=np.zeros(2) if still else self.lin_vel_xy[j],
            height=float(self.root_pos[j, 2]),
            roll_pitch=np.array([roll, pitch]),
            yaw=float(yaw),
            yaw_rate=0.0 if still else float(self.yaw_rate[j]),
            joint_pos=self.joint_pos[j],
            lin_vel_z=0.0 if still else float(self.lin_vel_z[j]),
            ang_vel_xy=np.zeros(2) if still else self.ang_vel_xy[j],
            joint_vel=np.zeros(len(STANDING)) if still else self.joint_vel[j],
            in_motion=self.begin <= i < self.end,
            human=None if self.human is None else self.human[min(max(i, self.begin), self.end - 1) - self.begin],
        )

    def correction_at(self, i: int) -> np.ndarray:
        """(35,) the motion's correction at frame ``i``; zero outside the motion's own frames."""
        if self.correction is None or not self.begin <= i < self.end:
            return _NO_CORRECTION
        return self.correction[i - self.begin]

    @classmethod
    def standing(cls, joint_pos: np.ndarray, seconds: float) -> Trajectory:
        """Move from joint positions (29,) to the standing pose in place, in at least so many seconds."""
        s = _ease(_entry_time(seconds, joint_pos, STANDING))
        joints = joint_pos + s[:, None] * (STANDING - joint_pos)
        root = np.tile([0.0, 0.0, STANDING_HEIGHT], (len(s), 1))
        return cls._from_poses(root, np.zeros((len(s), 3)), joints, begin=len(s), end=len(s))

    @classmethod
    def blended(cls, reference: Reference, joint_pos: np.ndarray, present: Frame, seconds: float) -> Trajectory:
        """Blend from the present pose into a motion, and from its end to standing.

        A motion that begins or ends in mid-stride is walked into, and walked to a stop: see `starting_path` and
        `stopping_path`. ``joint_pos`` (29,) rad is measured; ``present`` was commanded last: the blend begins with its
        height and tilt. Each blend takes at least so many ``seconds``, and longer if the poses are far apart, see
        `ENTRY_SPEED`.
        """
        m = reference.motion
        rpy = np.unwrap(roll_pitch_yaw(m.root_quat_wxyz), axis=0)

        start_rpy = np.array([*present.roll_pitch, rpy[0, 2]])
        end_rpy = np.array([0.0, 0.0, rpy[-1, 2]])
        rise = m.root_pos[[0, -1], 2] - [present.height, STANDING_HEIGHT]
        way, path = starting_path(m), stopping_path(m)
        entry, leaving = (max(seconds, _STOP_SECONDS) if len(walked) else seconds for walked in (way, path))
        s = _ease(_entry_time(entry, joint_pos, m.joint_pos[0], rpy[0] - start_rpy, rise[0]))
        out = _ease(_entry_time(leaving, m.joint_pos[-1], STANDING, rpy[-1] - end_rpy, rise[1]))
        lead_rpy = start_rpy + s[:, None] * (rpy[0] - start_rpy)
        lead_joints = joint_pos + s[:, None] * (m.joint_pos[0] - joint_pos)
        lead_pos = np.tile(m.root_pos[0], (len(s), 1))
        lead_pos[:, 2] = present.height + s * (m.root_pos[0, 2] - present.height)
        if len(way):
            lead_pos[:, :2] += way[np.maximum(np.arange(len(s)) - len(s) + len(way), 0)]
            lead_joints[-len(way) :] += steps_on_the_spot(2, _raised_leg(m, 0))[::-1]
        out_rpy = rpy[-1] + out[:, None] * (end_rpy - rpy[-1])
        out_joints = m.joint_pos[-1] + out[:, None] * (STANDING - m.joint_pos[-1])
        out_pos = np.tile(m.root_pos[-1], (len(out), 1))
        out_pos[:, 2] += out * (STANDING_HEIGHT - m.root_pos[-1, 2])
        if len(path):
            out_pos[:, :2] += path[np.minimum(np.arange(len(out)), len(path) - 1)]
            out_joints[: len(path)] += steps_on_the_spot(2, _raised_leg(m, -1))
        return cls._from_poses(
            np.concatenate([lead_pos, m.root_pos, out_pos]),
            np.concatenate([lead_rpy, rpy, out_rpy]),
            np.concatenate([lead_joints, m.joint_pos, out_joints]),
            begin=len(s),
            end=len(s) + len(m),
            human=reference.human,
            correction=m.correction,
            hands=reference.hands,
            contacts=m.contacts,
            open_loop=m.open_loop,
        )

    @classmethod
    def _from_poses(
        cls, pos: np.ndarray, rpy: np.ndarray, joints: np.ndarray, begin: int, end: int, **others: Any
    ) -> Trajectory:
        rotation = Rotation.from_euler("ZYX", rpy[:, ::-1])
        # A little smoothing (40 ms) keeps the noise of estimated motion out of its derivative.
        velocity = gaussian_filter1d(np.gradient(pos, 1.0 / POLICY_RATE, axis=0), 2.0, axis=0, mode="nearest")
        spin = np.zeros((len(pos), 3))
        spin[:-1] = (rotation[:-1].inv() * rotation[1:]).as_rotvec() * POLICY_RATE
        spin = gaussian_filter1d(spin, 2.0, axis=0, mode="nearest")
        velocity = rotation.inv().apply(velocity)
        joint_vel = np.gradient(joints, 1.0 / POLICY_RATE, axis=0) if len(joints) > 1 else np.zeros_like(joints)
        return cls(
            lin_vel_xy=velocity[:, :2],
            root_pos=pos,
            roll_pitch_yaw=rpy,
            yaw_rate=spin[:, 2],
            joint_pos=joints,
            begin=begin,
            end=end,
            lin_vel_z=velocity[:, 2],
            joint_vel=joint_vel,
            ang_vel_xy=spin[:, :2],
            **others,
        )


def stopping_path(motion: RobotMotion) -> np.ndarray:
    """Return the path (T, 2) m of the pelvis to a stop after a motion at `POLICY_RATE`, relative to its last frame.

    (0, 2) if it (nearly) stands still at the end.
    """
    n = min(6, len(motion) - 1)
    velocity = (motion.root_pos[-1, :2] - motion.root_pos[-1 - n, :2]) * POLICY_RATE / max(n, 1)
    if np.linalg.norm(velocity) < _MIN_MOVING_SPEED:
        return np.zeros((0, 2))
    return np.outer(np.cumsum(1.0 - _ease(_STOP_SECONDS)) / POLICY_RATE, velocity)


def starting_path(motion: RobotMotion) -> np.ndarray:
    """Return the path (T, 2) m of the pelvis from standing into a motion at `POLICY_RATE`, relative to its first frame.

    (0, 2) if it (nearly) stands still at the beginning.
    """
    backward = replace(motion, root_pos=motion.root_pos[::-1])
    return stopping_path(backward)[::-1]


def _raised_leg(motion: RobotMotion, frame: int) -> int:
    """The leg (0: left, 1: right) with the higher sole in a frame."""
    return int(sole_points(motion.part(frame, frame + 1 or None))[0, :, :, 2].min(axis=1).argmax())


def steps_on_the_spot(count: int, first: int = 0) -> np.ndarray:
    """Return what so many alternating steps add to the joints (T, 29) rad; ``first``: 0 left, 1 right."""
    n = round(_STEP_SECONDS * POLICY_RATE)
    bend = _STEP_LIFT * np.sin(np.pi * np.arange(1, n + 1) / n) ** 2
    joints = np.zeros((count * n, len(STANDING)))
    for step in range(count):
        now, leg = slice(step * n, (step + 1) * n), 6 * ((first + step) % 2)
        joints[now, [leg, leg + 3, leg + 4]] += np.outer(bend, [-1.0, 2.0, -1.0])
    return joints


def _entry_time(
    seconds: float, start: np.ndarray, goal: np.ndarray, tilt: np.ndarray | float = 0.0, rise: float = 0.0
) -> float:
    """Seconds, at least so many, in which `_ease` blends between poses (29,) within the entry speeds."""
    way = max(
        float(np.abs(goal - start).max()) / ENTRY_SPEED,
        float(np.abs(tilt).max()) / ENTRY_TILT_SPEED,
        abs(float(rise)) / ENTRY_RISE,
    )
    return max(seconds, _EASE_PEAK * way)


def _ease(seconds: float) -> np.ndarray:
    """Minimum-jerk ramp in (0, 1) over ``seconds`` at `POLICY_RATE`, without both ends."""
    n = max(int(seconds * POLICY_RATE), 1)
    return min_jerk(np.arange(1, n + 1) / (n + 1))
