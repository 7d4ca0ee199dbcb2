"""Hands that meet objects where they are, rather than where they were when the motion was made.

The robot sways, does not stand where the motion has it, and objects are beside where the scene has them. Until a hand
touches its object, the arm follows the motion as seen from the object's observed pose, by inverse kinematics from where
pelvis and torso are. From the touch on the correction is held: an arm that went on correcting would pull at what is
held whenever the body sways, and the body would answer. What is carried goes over to the correction of what it is put
on, or into, on the way there. How much higher and more upright the body is than the motion has it, as trackers are that
do not crouch as low, is made up for slowly, and while two hands hold something, too: one arm that is stretched out with
a load bends the body, and would be drawn back for that. Two hands that carry something are kept as high and as level as
the motion has them, by where they are measured to be, and higher for what slips down between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from exoactor_control.controller.arms import ARMS, WAIST, ArmKinematics
from exoactor_control.reference.trajectory import POLICY_RATE, Frame, Reference
from exoactor_core.arrays import clip_norm, smoothstep
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import HAND_LINKS, HAND_POINT, JOINT_LIMITS, hand_poses, sole_points
from exoactor_core.rotations import about_z, wrap, yaw_from_quat
from exoactor_core.scene import MAX_STEP_HEIGHT, Scene, SceneObject

MAX_SHIFT, MAX_TURN = 0.15, 0.35
"""m and rad by which an object may be beside its place in the scene and still be reached for."""
MAX_JUMP = 0.3
"""m between two observations of an object: what is farther is taken for another object, or an error."""
CONFIRMED = 15
"""Observations in a row after which an object is believed to be where it jumped to."""
MAX_SPEED = 0.5
"""m/s and rad/s with which a correction changes."""
_LEAD, _RELEASE = 2.0, 0.6  # s before a contact from which its correction is followed, and after it until it ends
_ADVANCE = 1.4, 0.7  # s before a contact in which the arm goes over to the correction: before, the hand is at the trunk
_RAISE = 0.8  # s before that in which the hand is raised: a robot with raised arms does not get where it should stand
_SMOOTHING, _OBJECT_SMOOTHING = 0.1, 0.2  # s, time constants: the body sways at about 0.5 Hz
_POSTURE_SMOOTHING = 0.5  # s, likewise, of height and tilts, which answer to the arms
_POSTURE = [2, 3, 4, 7, 8]  # of the sway: the pelvis' height and tilt, the waist's
_PLANAR = [0, 1, 5, 6]  # of the sway: the pelvis' position and heading, the waist's yaw
_FOLLOWING = 0.5  # s, time constant with which the whole motion follows the object in the end
_DROOP_GAIN, _MAX_DROOP = 1.5, 0.3
"""1/s and rad: by what a joint of an arm stays short of its target, by its encoder, it is moved on until the touch."""
_LEVEL_GAIN, _LEVEL_SHARE, _MAX_LEVEL = 1.0, 0.8, np.array([0.08, 0.4, 0.4])
"""1/s, a share, and m, rad, rad: by what a hand that carries something with the other is lower, or tilted otherwise,
than the motion has it, its target is moved on: a load that tips to one side would go on tipping, and slips between
palms that turn to and fro with the body's steps."""
_LEVEL_SECONDS = 0.4  # s in which that comes, and goes
_SLIP_SMOOTHING, _SLIP_TOLERANCE, _MAX_SLIP = 0.5, 0.01, 0.10
"""s, time constant with which two hands are raised over the motion's for what has slipped down between them; m of slip
that is not seen for noise, and beyond that, that is made up for."""
_LOST_DISTANCE = 0.3  # m farther from a hand than it was taken at which, `CONFIRMED` times, what is held is lost
_LIFTED = 1.0  # s after a touch from which what is held is on its way to where it is put
_CHASED = 0.4  # s before a contact from which an object is not followed any more: the hand may push it already
_BODY_LEAD = 1.3  # s before a contact of seat or foot from which the body is on its way to it
_SWING_LEAD = 0.7  # s before a foot is over something from which the body shifts to the other one
_MIN_STEP_HEIGHT = 0.02  # m: what is lower is not stepped over, but on
_STEPS = 3  # of the inverse kinematics in a frame
_DAMPING, _REST, _TURN_WEIGHT = 1e-3, 0.01, 0.15  # of its least squares: m/rad, m/rad towards the motion, m/rad
_MAX_STEP = 0.2  # rad
_MAX_CORRECTION = 1.0  # rad from the motion's joints: beyond is another branch of solutions, where an arm gets stuck
_MARGIN = 0.02  # rad from the joints' limits


@dataclass(frozen=True)
class _Target:
    """What the motion is on its way to."""

    object: str
    until: int
    """Frame from which the hand reaches for it, or over it, the body sits down, or the foot is swung at or over it."""
    pose: np.ndarray
    """(7,) of the object in the scene."""
    turns: bool
    """It is seen whether it is turned about the vertical: it is not round."""


@dataclass(frozen=True)
class _HandContact:
    hand: str
    target: _Target
    """The object."""
    first: int
    begin: int
    end: int
    last: int
    holds: bool
    """The hand takes the object with it."""
    together: bool
    """So does the other hand."""
    put_on: _Target | None
    """What the object is put on, or into."""
    pivot: np.ndarray
    """(T, 3) m, about which the hands are turned: what they hold, or the object in the scene."""
    grip: np.ndarray
    """(3,) m from the object's frame to the hand as the motion takes it."""

    def _lifted_for(self, frame: int) -> float:
        """For how many frames what is held has been off what it stood on, or still is, whichever is less."""
        return min(frame - self.begin - _LIFTED * POLICY_RATE, self.end - _CHASED * POLICY_RATE - frame)

    def in_hand(self, frame: int) -> bool:
        """Whether the hand holds the object, off what it stood on."""
        return self.holds and self._lifted_for(frame) > 0.0

    def carries(self, frame: int) -> bool:
        """Whether both hands carry the object."""
        return self.carried(frame) > 0.0

    def carried(self, frame: int) -> float:
        """How much both hands carry the object, in [0, 1]."""
        return self.together * float(smoothstep(self._lifted_for(frame) / (_LEVEL_SECONDS * POLICY_RATE)))

    def weight(self, frame: int) -> float:
        """Share of the correction, in [0, 1]."""
        come = (frame - self.begin + _ADVANCE[0] * POLICY_RATE) / ((_ADVANCE[0] - _ADVANCE[1]) * POLICY_RATE)
        gone = (self.last - frame) / max(self.last - self.end, 1)
        return float(smoothstep(min(come, gone)))


class HandReach:
    """Corrects the arms of a motion's frames; ``scene`` holds the objects as the motion has them.

    Objects that are not observed, or no longer, count as where they were last seen, at first in the scene. One that
    jumps is ignored until it was seen there `CONFIRMED` times. Wherever it is, the correction is bounded, and changes
    no faster than `MAX_SPEED`.
    """

    def __init__(self, reference: Reference, scene: Scene) -> None:
        self._points, self._turns = (
            dict(zip(HAND_LINKS, each.swapaxes(0, 1), strict=True)) for each in hand_poses(reference.motion)
        )
        self._contacts = sorted(_hand_contacts(reference, scene, self._points), key=lambda contact: contact.begin)
        put_on = [contact.put_on for contact in self._contacts if contact.put_on is not None]
        of_hands = [*(contact.target for contact in self._contacts), *put_on]
        others = list(_met_otherwise(reference, scene))
        self._targets = sorted([*of_hands, *others], key=lambda target: target.until)
        self._objects = {target.object: target.pose for target in self._targets}
        starts = [target.until - round(_RAISE * POLICY_RATE) for target in of_hands]
        starts += [target.until for target in others]
        self.stances = frozenset(_standing_frame(reference.motion, start) for start in starts)
        """Frames of the motion at which the robot must stand in its place, since it meets an object next."""
        self._observed: dict[str, np.ndarray] = {}
        self.ignored: dict[str, int] = {}
        """How many observations of each object were too far from the one before to be believed."""
        self._elsewhere: dict[str, list[np.ndarray]] = {}  # of each object that jumped, what was observed since
        self._shift = np.zeros((len(self._contacts), 3))
        self._moved = np.zeros(2)
        self._led = np.zeros(len(self._contacts))  # m by which motion and hand together were moved
        self._sway = np.zeros(9)  # m, rad, rad: position and rotation vector of the pelvis, joints of the waist
        self._kinematics = ArmKinematics()
        self._arms: dict[str, np.ndarray] = {}
        self._droop = {hand: np.zeros(7) for hand in HAND_LINKS}
        self._news: set[str] = set()  # objects that were observed since the last frame
        self._away = np.zeros(len(self._contacts), dtype=int)  # observations in a row of what is far from its hand
        self._slip = np.zeros(len(self._contacts))  # m by which what is carried is lower between the hands
        self._level = np.zeros((len(self._contacts), 3))  # m, rad, rad: upwards, about the ways ahead and to the left

    def follows(self, object_id: str) -> bool:
        """Whether the motion touches an object, or puts something on it."""
        return object_id in self._objects

    def in_one_hand(self, index: int) -> bool:
        """Whether one hand holds something at a frame of the motion."""
        return sum(contact.holds and contact.begin <= index < contact.end for contact in self._contacts) == 1

    def observe(self, object_id: str, pose: np.ndarray) -> None:
        """Take in an object's pose (7,), m and w, x, y, z, in the odometry's frame."""
        if object_id not in self._objects:
            return
        if _far(pose, self._observed.get(object_id, pose)):
            seen = self._elsewhere.get(object_id, [])
            self._elsewhere[object_id] = seen = [*([] if seen and _far(pose, seen[-1]) else seen), pose]
            if len(seen) < CONFIRMED:
                self.ignored[object_id] = self.ignored.get(object_id, 0) + 1
                return
        self._elsewhere.pop(object_id, None)
        self._observed[object_id] = pose
        self._news.add(object_id)

    def moved(self, index: int, to_odometry: tuple[np.ndarray, float]) -> np.ndarray:
        """(2,) m by which the motion is moved to meet the object that it goes to next, until the hand reaches for it.

        ``index`` and ``to_odometry`` are as of `corrected`, the latter without what this returns.
        """
        holding = any(contact.first <= index < contact.begin for contact in self._contacts)
        target = next((target for target in self._targets if index < target.until), None)
        if target is not None and not holding:
            off = self._displacement(target, to_odometry)[:2]
            ticks = _FOLLOWING * POLICY_RATE
            if target is not self._targets[0]:  # it still stands before the one before, and goes over on the way
                ticks = max(ticks, 0.5 * (target.until - index))
            self._moved = self._moved + (off - self._moved) / ticks
        return self._moved

    @property
    def lost(self) -> str:
        """Id of an object that hands should have, and have not; empty: none."""
        gone = np.flatnonzero(self._away >= CONFIRMED)
        return self._contacts[gone[0]].target.object if len(gone) else ""

    @property
    def notes(self) -> list[str]:
        """What was done about each object, one sentence each."""
        notes = []
        for name in dict.fromkeys(contact.target.object for contact in self._contacts):
            led = max(float(self._led[k]) for k, contact in enumerate(self._contacts) if contact.target.object == name)
            if name not in self._observed:
                notes.append(f"The {name} was not observed: the hands went to where the scene has it.")
            else:
                notes.append(f"The hands were led to the {name}, {100 * led:.1f} cm from its position in the scene.")
            if ignored := self.ignored.get(name):
                notes.append(f"{ignored} observations of the {name} were ignored: it jumped by over {MAX_JUMP:g} m.")
        return notes

    def corrected(
        self, index: int, frame: Frame, sway: np.ndarray, to_odometry: tuple[np.ndarray, float], joint_pos: np.ndarray
    ) -> Frame:
        """The frame, ``index`` of the motion, with the arms moved; ``frame`` is in the odometry's frame.

        ``sway`` (6,) m, rad is how far the pelvis is from the frame's, and the rotation vector from its orientation, in
        the odometry's frame, in which ``to_odometry`` says where the motion's origin is, (2,) m, and how far it is
        turned, rad. ``joint_pos`` (29,) rad is measured.
        """
        acting = [(k, t) for k, t in enumerate(self._contacts) if t.first <= index < t.last]
        if not acting or frame.position is None:
            return frame
        touching = sum(contact.begin <= index < contact.end for _, contact in acting)
        puts_down = all(
            t.put_on is not None and t.put_on.until <= index < t.end - _CHASED * POLICY_RATE for _, t in acting
        )
        carries = not puts_down and all(t.carries(index) for _, t in acting)
        follows = 1.0 / _POSTURE_SMOOTHING if puts_down or carries else 0.0
        share = np.full(9, follows if touching else 1.0 / _SMOOTHING)
        share[_POSTURE] = 1.0 / _POSTURE_SMOOTHING
        now = np.concatenate([sway, (joint_pos - frame.joint_pos)[WAIST]])
        if carries:  # before the body as the motion has it, not where the body stood as the hands took it
            now[_PLANAR] = 0.0
        if touching == 1:
            now[_POSTURE] = 0.0  # the arm's load bends the body
        self._sway = self._sway + share / POLICY_RATE * (now - self._sway)
        q = _configuration(frame, self._sway[:6], frame.joint_pos)
        q[7:][WAIST] += self._sway[6:]
        joints, heading = frame.joint_pos.copy(), about_z(float(np.arctan2(frame.rotation[1, 0], frame.rotation[0, 0])))
        for k, contact in acting:
            at = int(np.clip(index, 0, len(self._points[contact.hand]) - 1))
            self._follow(k, index, at, to_odometry)
            point, rotation = self._hand_target(contact, self._shift[k], at, to_odometry)
            point[2] += self._slip[k]
            off = np.zeros(3)
            if contact.in_hand(index):
                self._kinematics.update(_configuration(frame, sway, joint_pos))
                self._watch(k, contact.carries(index) and not puts_down)
                off = contact.carried(index) * self._off_level(contact.hand, point, rotation, heading)
            level = self._level[k] + _LEVEL_GAIN / POLICY_RATE * off
            self._level[k] = np.clip(level, -_MAX_LEVEL, _MAX_LEVEL)
            rise, *tilt = np.clip(self._level[k] + _LEVEL_SHARE * off, -_MAX_LEVEL, _MAX_LEVEL)
            point[2] += rise
            rotation = pin.exp3(heading @ [*tilt, 0.0]) @ rotation
            arm, its = self._solve(contact.hand, q, point, rotation), ARMS[contact.hand]
            weight, droop = contact.weight(index), self._droop[contact.hand]
            target = (1.0 - weight) * frame.joint_pos[its] + weight * arm
            if index < contact.begin:
                droop = np.clip(droop + _DROOP_GAIN / POLICY_RATE * (target - joint_pos[its]), -_MAX_DROOP, _MAX_DROOP)
                self._droop[contact.hand] = droop
            joints[its] = target + weight * droop
        self._news.clear()
        return replace(frame, joint_pos=joints)

    def _follow(self, k: int, index: int, at: int, to_odometry: tuple[np.ndarray, float]) -> None:
        """Take the correction of a contact on to that of what the hand is on its way to; between them it is held."""
        contact, ticks, chased = self._contacts[k], _OBJECT_SMOOTHING * POLICY_RATE, _CHASED * POLICY_RATE
        if index < contact.begin - chased:
            target = contact.target
        elif contact.put_on is not None and contact.begin + _LIFTED * POLICY_RATE < index < contact.put_on.until:
            target = contact.put_on
            ticks = max(_FOLLOWING * POLICY_RATE, 0.5 * (target.until - index))
        elif contact.put_on is None and contact.carries(index):
            self._shift[k] = self._shift[k] * (1.0 - 1.0 / (_FOLLOWING * POLICY_RATE))
            return
        else:
            return
        off = self._displacement(target, to_odometry)
        lever = about_z(to_odometry[1]) @ (contact.pivot[at] - target.pose[:3])
        off[:2] += (about_z(float(off[2])) @ lever - lever)[:2]
        most = MAX_SPEED / POLICY_RATE
        self._shift[k] = self._shift[k] + np.clip((off - self._shift[k]) / ticks, -most, most)
        if target is contact.target:
            self._led[k] = np.linalg.norm(self._moved + self._shift[k, :2])

    def _displacement(self, what: _Target, to_odometry: tuple[np.ndarray, float]) -> np.ndarray:
        """(3,) m, m, rad: of the object from where the scene has it, bounded, in the odometry's frame."""
        observed = self._observed.get(what.object)
        if observed is None:
            return np.zeros(3)
        origin, yaw = to_odometry
        expected = about_z(yaw) @ what.pose[:3] + (*origin, 0.0)
        turned = wrap(float(yaw_from_quat(observed[3:]) - yaw_from_quat(what.pose[3:])) - yaw) if what.turns else 0.0
        shift = clip_norm(observed[:2] - expected[:2], MAX_SHIFT)
        return np.array([*shift, min(max(turned, -MAX_TURN), MAX_TURN)])

    def _hand_target(
        self, contact: _HandContact, shift: np.ndarray, at: int, to_odometry: tuple[np.ndarray, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and orientation (3, 3) of a hand in the odometry's frame, moved by a correction (3,)."""
        origin, yaw = to_odometry
        placed = about_z(yaw)
        middle = placed @ contact.pivot[at] + (*origin, 0.0)
        point = placed @ self._points[contact.hand][at] + (*origin, 0.0)
        turned = about_z(float(shift[2]))
        return middle + turned @ (point - middle) + (*shift[:2], 0.0), turned @ placed @ self._turns[contact.hand][at]

    def _watch(self, k: int, follows: bool) -> None:
        """Take in how far from the measured hand an object is that it holds, and how far it has slipped down."""
        contact = self._contacts[k]
        if contact.target.object not in self._news:
            return
        pose, _ = self._kinematics.hand(contact.hand)
        off = pose.act(np.array(HAND_POINT)) - self._observed[contact.target.object][:3]
        far = np.linalg.norm(off) > np.linalg.norm(contact.grip) + _LOST_DISTANCE
        self._away[k] = self._away[k] + 1 if far else 0
        if follows:
            slip = np.clip(off[2] - contact.grip[2] - _SLIP_TOLERANCE, 0.0, _MAX_SLIP)
            self._slip[k] += (slip - self._slip[k]) / (_SLIP_SMOOTHING * POLICY_RATE)

    def _off_level(self, hand: str, point: np.ndarray, rotation: np.ndarray, heading: np.ndarray) -> np.ndarray:
        """(3,) m, rad, rad: how far a measured hand has to rise to its target, and tilt about x and y.

        x is the way ahead that a rotation (3, 3) gives, y that to the left.
        """
        pose, _ = self._kinematics.hand(hand)
        rise = (point - pose.act(np.array(HAND_POINT)))[2]
        tilt = heading.T @ pin.log3(rotation @ pose.rotation.T)
        return np.array([rise, *tilt[:2]])

    def _solve(self, hand: str, q: np.ndarray, point: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """Joints (7,) of an arm by damped least squares, from those of the last frame on.

        The damping grows with the squared error, so that what is out of reach makes no oscillation (T. Sugihara,
        "Solvability-unconcerned inverse kinematics by the Levenberg-Marquardt method", IEEE T-RO 27, 2011).
        """
        arm = ARMS[hand]
        wanted = q[7:][arm].copy()
        low = np.maximum(JOINT_LIMITS[arm, 0] + _MARGIN, wanted - _MAX_CORRECTION)
        high = np.minimum(JOINT_LIMITS[arm, 1] - _MARGIN, wanted + _MAX_CORRECTION)
        joints = self._arms.get(hand, wanted)
        q = q.copy()
        for _ in range(_STEPS):
            q[7:][arm] = joints
            self._kinematics.update(q)
            pose, jacobian = self._kinematics.hand(hand)
            lever = pose.rotation @ HAND_POINT
            moves = jacobian[:3] - pin.skew(lever) @ jacobian[3:]
            turns = _TURN_WEIGHT * jacobian[3:]
            error = np.concatenate(
                [
                    point - pose.translation - lever,
                    _TURN_WEIGHT * pin.log3(rotation @ pose.rotation.T),
                    _REST * (wanted - joints),
                ]
            )
            a = np.vstack([moves, turns, _REST * np.eye(7)])
            step = np.linalg.solve(a.T @ a + (_DAMPING + error @ error) * np.eye(7), a.T @ error)
            joints = np.clip(joints + np.clip(step, -_MAX_STEP, _MAX_STEP), low, high)
        self._arms[hand] = joints
        return joints


def _configuration(frame: Frame, sway: np.ndarray, joint_pos: np.ndarray) -> np.ndarray:
    """Configuration (36,) with a pelvis that is moved and turned by ``sway`` (6,) m, rad from a frame's."""
    turn = Rotation.from_rotvec(sway[3:]) * Rotation.from_matrix(frame.rotation)
    return np.concatenate([frame.position + sway[:3], turn.as_quat(), joint_pos])


def _hand_contacts(reference: Reference, scene: Scene, points: dict[str, np.ndarray]) -> Iterator[_HandContact]:
    """The hands' contacts; ``points`` (T, 3) m are where each hand is."""
    contacts = [contact for contact in reference.motion.object_contacts if contact.body in HAND_LINKS]
    for contact in contacts:
        begin, end = reference.frame_at(contact.start), reference.frame_at(contact.end)
        first, last = begin - round(_LEAD * POLICY_RATE), end + round(_RELEASE * POLICY_RATE)
        target, put_on, holds = _target_of(scene[contact.object], first), None, contact.kind == "grasp"
        together = False
        pivot = np.broadcast_to(target.pose[:3], points[contact.body].shape)
        if holds:
            hands = {c.body for c in contacts if c.object == contact.object and c.overlaps(contact)}
            pivot, together = np.mean([points[hand] for hand in hands], axis=0), len(hands) == 2
            at = pivot[min(end, len(pivot) - 1), :2]
            under = [obj for obj in scene.objects if obj.id != contact.object and obj.floor_distance(at) == 0.0]
            if under and end < len(pivot):
                highest = max(under, key=lambda obj: float(obj.extent[1, 2]))
                put_on = _target_of(highest, end - round(_LEAD * POLICY_RATE))
        grip = points[contact.body][min(begin, len(pivot) - 1)] - target.pose[:3]
        yield _HandContact(contact.body, target, first, begin, end, last, holds, together, put_on, pivot, grip)


def _met_otherwise(reference: Reference, scene: Scene) -> Iterator[_Target]:
    """What other parts than hands meet: what is sat on, kicked, and stepped over."""
    for contact in reference.motion.object_contacts:
        if contact.body not in HAND_LINKS:
            yield _target_of(scene[contact.object], reference.frame_at(contact.start) - round(_BODY_LEAD * POLICY_RATE))
    low = [obj for obj in scene.objects if _MIN_STEP_HEIGHT < obj.extent[1, 2] < MAX_STEP_HEIGHT]
    soles = sole_points(reference.motion).reshape(-1, 3) if low else np.zeros((0, 3))
    for obj in low:
        over = _over(obj, soles).reshape(len(reference.motion), -1).any(axis=1)
        if over.any():
            yield _target_of(obj, int(over.argmax()) - round(_SWING_LEAD * POLICY_RATE))


def _over(obj: SceneObject, points: np.ndarray) -> np.ndarray:
    """Which points (N, 3) are above or below a part of an upright object."""
    local = obj.local(points)
    inside = [np.abs(shape.local(local)[:, :2]) < np.array(shape.size[:2]) / 2.0 for shape in obj.shapes]
    return np.any(np.all(inside, axis=2), axis=0)


def _target_of(obj: SceneObject, until: int) -> _Target:
    return _Target(obj.id, until, obj.pose, not obj.is_round)


def _standing_frame(motion: RobotMotion, before: int) -> int:
    """The last frame before another in which both feet stand."""
    contacts = np.ones((len(motion), 2)) if motion.contacts is None else motion.contacts
    frames = np.flatnonzero(contacts[: max(before, 1)].min(axis=1) > 0.5)
    return int(frames[-1]) if len(frames) else 0


def _far(pose: np.ndarray, before: np.ndarray) -> bool:
    return bool(np.linalg.norm(pose[:3] - before[:3]) > MAX_JUMP)
