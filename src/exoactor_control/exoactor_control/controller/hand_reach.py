"""Correction of the arms so that hands meet objects at their observed poses.

The robot sways and deviates from the motion's path, and objects deviate from their poses in the scene. Until a hand
touches its object, the arm follows the motion relative to the object's observed pose, by inverse kinematics from the
measured poses of pelvis and torso. From the touch on, the correction is constant: an arm that continued to correct
would pull at the held object whenever the body sways, and the body would react. On the way to a support or container,
the correction of a carried object changes to that of the support. Deviations of the body's height and tilt (trackers
may crouch less deeply than the motion) are compensated slowly, also while two hands hold something, but not for one
hand: an outstretched arm with a load bends the body, and would be drawn back by the compensation. Two hands that carry
something are kept at the motion's height and level by feedback of their measured poses, and higher if the object slips
down between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from exoactor_control.controller.arms import ARMS, ArmKinematics
from exoactor_control.reference.trajectory import POLICY_RATE, Frame, Reference
from exoactor_core.arrays import clip_norm, smoothstep
from exoactor_core.motion import WAIST, RobotMotion
from exoactor_core.robot import HAND_LINKS, HAND_POINT, JOINT_LIMITS, hand_poses, sole_points
from exoactor_core.rotations import about_z, wrap, yaw_from_matrix, yaw_from_quat
from exoactor_core.scene import MAX_STEP_HEIGHT, Scene, SceneObject

MAX_SHIFT, MAX_TURN = 0.15, 0.35
"""m and rad, maximum deviation of an object from its pose in the scene that is corrected."""
MAX_JUMP = 0.3
"""m between two observations of an object: beyond it, the second is considered another object, or an error."""
CONFIRMED = 15
"""Consecutive observations after which an object's jump is accepted."""
MAX_SPEED = 0.5
"""m/s and rad/s, maximum rate of change of a correction."""
_LEAD, _RELEASE = 2.0, 0.6  # s before a contact at which its correction starts, and after it at which it ends
_ADVANCE = 1.4, 0.7  # s before a contact between which the correction is blended in: earlier, the hand is at the trunk
_RAISE = 0.8  # s before that in which the hand is raised: a robot with raised arms misses its place
_SMOOTHING, _OBJECT_SMOOTHING = 0.1, 0.2  # s, time constants: the body sways at about 0.5 Hz
_POSTURE_SMOOTHING = 0.5  # s, likewise, of height and tilts, which react to the arms
_POSTURE = [2, 3, 4, 7, 8]  # in the sway: height and tilt of the pelvis, roll and pitch of the waist
_PLANAR = [0, 1, 5, 6]  # in the sway: position and heading of the pelvis, yaw of the waist
_FOLLOWING = 0.5  # s, final time constant with which the whole motion follows the object
_DROOP_GAIN, _MAX_DROOP = 1.5, 0.3
"""1/s and rad, gain and limit of the integral by which an arm's joints reach their targets before the touch."""
_LEVEL_GAIN, _LEVEL_SHARE, _MAX_LEVEL = 1.0, 0.8, np.array([0.08, 0.4, 0.4])
"""1/s, 1, and m, rad, rad: integral and proportional gain and limits of the feedback on height and tilt of two hands
that carry something: a load that tips to one side would continue to tip, and slips between palms that turn to and fro
with the body's steps."""
_LEVEL_SECONDS = 0.4  # s in which it is blended in, and out
_SLIP_SMOOTHING, _SLIP_TOLERANCE, _MAX_SLIP = 0.5, 0.01, 0.10
"""s, time constant with which two hands are raised above the motion's to compensate for slip; m of slip that is
attributed to noise, and maximum compensation beyond it."""
_LOST_DISTANCE = 0.3  # m from a hand beyond the grip: after `CONFIRMED` such observations an object is lost
_LIFTED = 1.0  # s after a touch at which a held object is on its way to its support
_CHASED = 0.4  # s before a contact at which an object is no longer followed: the hand may push it already
_BODY_LEAD = 1.3  # s before a contact of seat or foot at which the body starts to move towards it
_SWING_LEAD = 0.7  # s before a foot is above an object at which the body shifts to the other foot
_MIN_STEP_HEIGHT = 0.02  # m: lower objects are stepped on rather than over
_STEPS = 3  # of the inverse kinematics per frame
_DAMPING, _REST, _TURN_WEIGHT = 1e-3, 0.01, 0.15  # of its least squares, m/rad: the second pulls to the motion
_MAX_STEP = 0.2  # rad
_MAX_CORRECTION = 1.0  # rad from the motion's joints: beyond lies another branch of solutions, where an arm gets stuck
_MARGIN = 0.02  # rad from the joints' limits


@dataclass(frozen=True)
class _Target:
    """An object that the motion meets."""

    object: str
    until: int
    """Frame at which the hand starts to reach for it, the body to sit down, or the foot to swing at or over it."""
    pose: np.ndarray
    """(7,) of the object in the scene."""
    turns: bool
    """Its yaw can be observed: it is not round."""


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
    """The hand grasps the object."""
    together: bool
    """The other hand grasps it as well."""
    put_on: _Target | None
    """Object on or into which it is put."""
    pivot: np.ndarray
    """(T, 3) m, point about which the correction turns the hands: the held object, or the object in the scene."""
    grip: np.ndarray
    """(3,) m from the object's frame to the hand at the grasp in the motion."""

    def _lifted_for(self, frame: int) -> float:
        """Number of frames since the object was lifted off its support, or until it is put down, whichever is less."""
        return min(frame - self.begin - _LIFTED * POLICY_RATE, self.end - _CHASED * POLICY_RATE - frame)

    def in_hand(self, frame: int) -> bool:
        """Whether the hand holds the object lifted off its support."""
        return self.holds and self._lifted_for(frame) > 0.0

    def is_carried(self, frame: int) -> bool:
        """Whether both hands carry the object."""
        return self.carried_share(frame) > 0.0

    def carried_share(self, frame: int) -> float:
        """Degree to which both hands carry the object, in [0, 1]."""
        return self.together * float(smoothstep(self._lifted_for(frame) / (_LEVEL_SECONDS * POLICY_RATE)))

    def weight(self, frame: int) -> float:
        """Share of the correction, in [0, 1]."""
        come = (frame - self.begin + _ADVANCE[0] * POLICY_RATE) / ((_ADVANCE[0] - _ADVANCE[1]) * POLICY_RATE)
        gone = (self.last - frame) / max(self.last - self.end, 1)
        return float(smoothstep(min(come, gone)))


class HandReach:
    """Corrects the arms in the frames of a motion; ``scene`` holds the objects at the motion's poses.

    Objects without a recent observation are assumed at their last observed poses, initially those of the scene. One
    that jumps is ignored until it was observed there `CONFIRMED` times. The correction is always bounded, and changes
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
        """Frames of the motion at which the robot must stand in its place because it meets an object next."""
        self._observed: dict[str, np.ndarray] = {}
        self.ignored: dict[str, int] = {}
        """Number of observations of each object that were rejected as jumps."""
        self._elsewhere: dict[str, list[np.ndarray]] = {}  # observations of each object since it jumped
        self._shift = np.zeros((len(self._contacts), 3))
        self._moved = np.zeros(2)
        self._led = np.zeros(len(self._contacts))  # m, total correction of motion and hand
        self._sway = np.zeros(9)  # m, rad, rad: position and rotation vector of the pelvis, joints of the waist
        self._kinematics = ArmKinematics()
        self._arms: dict[str, np.ndarray] = {}
        self._droop = {hand: np.zeros(7) for hand in HAND_LINKS}
        self._news: set[str] = set()  # objects observed since the last frame
        self._away = np.zeros(len(self._contacts), dtype=int)  # consecutive observations far from the hand
        self._slip = np.zeros(len(self._contacts))  # m by which a carried object has slipped down between the hands
        self._level = np.zeros((len(self._contacts), 3))  # m, rad, rad: up, about the forward and the left direction

    def follows(self, object_id: str) -> bool:
        """Whether the motion touches an object, or puts something on it."""
        return object_id in self._objects

    def in_one_hand(self, index: int) -> bool:
        """Whether one hand holds something at a frame of the motion."""
        return sum(contact.holds and contact.begin <= index < contact.end for contact in self._contacts) == 1

    def observe(self, object_id: str, pose: np.ndarray) -> None:
        """Update an object's pose (7,), m and w, x, y, z, in the odometry's frame."""
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
        """(2,) m by which the motion is moved to meet its next object, until the hand reaches for it.

        ``index`` and ``to_odometry`` are as in `corrected`, the latter without the result of this method.
        """
        holding = any(contact.first <= index < contact.begin for contact in self._contacts)
        target = next((target for target in self._targets if index < target.until), None)
        if target is not None and not holding:
            off = self._displacement(target, to_odometry)[:2]
            ticks = _FOLLOWING * POLICY_RATE
            if target is not self._targets[0]:  # it still stands at the previous one, and changes on the way
                ticks = max(ticks, 0.5 * (target.until - index))
            self._moved = self._moved + (off - self._moved) / ticks
        return self._moved

    @property
    def lost(self) -> str:
        """Id of an object that the hands have lost; empty: none."""
        gone = np.flatnonzero(self._away >= CONFIRMED)
        return self._contacts[gone[0]].target.object if len(gone) else ""

    @property
    def notes(self) -> list[str]:
        """Sentences on the correction for each object."""
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
        """Correct the arms in a frame of the motion, number ``index``.

        Parameters
        ----------
        frame
            In the odometry's frame.
        sway
            (6,) m, rad: position and rotation vector of the measured pelvis relative to the frame's, in the odometry's
            frame.
        to_odometry
            Position (2,) m and yaw, rad, of the motion's origin in the odometry's frame.
        joint_pos
            (29,) rad, measured.
        """
        acting = [(k, t) for k, t in enumerate(self._contacts) if t.first <= index < t.last]
        if not acting or frame.position is None:
            return frame
        touching = sum(contact.begin <= index < contact.end for _, contact in acting)
        puts_down = all(
            t.put_on is not None and t.put_on.until <= index < t.end - _CHASED * POLICY_RATE for _, t in acting
        )
        carried = not puts_down and all(t.is_carried(index) for _, t in acting)
        follows = 1.0 / _POSTURE_SMOOTHING if puts_down or carried else 0.0
        share = np.full(9, follows if touching else 1.0 / _SMOOTHING)
        share[_POSTURE] = 1.0 / _POSTURE_SMOOTHING
        now = np.concatenate([sway, (joint_pos - frame.joint_pos)[WAIST]])
        if carried:  # in front of the motion's body, not of where the body stood at the grasp
            now[_PLANAR] = 0.0
        if touching == 1:
            now[_POSTURE] = 0.0  # the arm's load bends the body
        self._sway = self._sway + share / POLICY_RATE * (now - self._sway)
        q = _configuration(frame, self._sway[:6], frame.joint_pos)
        q[7:][WAIST] += self._sway[6:]
        joints, heading = frame.joint_pos.copy(), about_z(yaw_from_matrix(frame.rotation))
        measured: dict[str, pin.SE3] = {}
        if held := [(k, t) for k, t in acting if t.in_hand(index)]:
            self._kinematics.update(_configuration(frame, sway, joint_pos))
            measured = {contact.hand: self._kinematics.hand(contact.hand)[0].copy() for _, contact in held}
            self._watch(held, measured, carried)
        for k, contact in acting:
            at = int(np.clip(index, 0, len(self._points[contact.hand]) - 1))
            self._follow(k, index, at, to_odometry)
            point, rotation = self._hand_target(contact, self._shift[k], at, to_odometry)
            point[2] += self._slip[k]
            off = np.zeros(3)
            if contact.in_hand(index):
                off = contact.carried_share(index) * _off_level(measured[contact.hand], point, rotation, heading)
            self._level[k] = integrated(self._level[k], off, _LEVEL_GAIN, _MAX_LEVEL)
            rise, *tilt = np.clip(self._level[k] + _LEVEL_SHARE * off, -_MAX_LEVEL, _MAX_LEVEL)
            point[2] += rise
            rotation = pin.exp3(heading @ [*tilt, 0.0]) @ rotation
            arm, its = self._solve(contact.hand, q, point, rotation), ARMS[contact.hand]
            weight, droop = contact.weight(index), self._droop[contact.hand]
            target = (1.0 - weight) * frame.joint_pos[its] + weight * arm
            if index < contact.begin:
                droop = integrated(droop, target - joint_pos[its], _DROOP_GAIN, _MAX_DROOP)
                self._droop[contact.hand] = droop
            joints[its] = target + weight * droop
        self._news.clear()
        return replace(frame, joint_pos=joints)

    def _follow(self, k: int, index: int, at: int, to_odometry: tuple[np.ndarray, float]) -> None:
        """Move the correction of a contact towards that of the hand's next object; otherwise it is constant."""
        contact, ticks, chased = self._contacts[k], _OBJECT_SMOOTHING * POLICY_RATE, _CHASED * POLICY_RATE
        if index < contact.begin - chased:
            target = contact.target
        elif contact.put_on is not None and contact.begin + _LIFTED * POLICY_RATE < index < contact.put_on.until:
            target = contact.put_on
            ticks = max(_FOLLOWING * POLICY_RATE, 0.5 * (target.until - index))
        elif contact.put_on is None and contact.is_carried(index):
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
        """(3,) m, m, rad: deviation of the object from its pose in the scene, bounded, in the odometry's frame."""
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

    def _watch(self, held: Sequence[tuple[int, _HandContact]], measured: Mapping[str, pin.SE3], carried: bool) -> None:
        """Update whether held objects are far from the measured hands, and how far down one between two has slipped.

        Both hands are raised by the same slip: a hand that followed the object's tilt would increase it.
        """
        held = [(k, contact) for k, contact in held if contact.target.object in self._news]
        slips = []
        for k, contact in held:
            off = measured[contact.hand].act(np.array(HAND_POINT)) - self._observed[contact.target.object][:3]
            far = np.linalg.norm(off) > np.linalg.norm(contact.grip) + _LOST_DISTANCE
            self._away[k] = self._away[k] + 1 if far else 0
            slips.append(off[2] - contact.grip[2])
        if held and carried:
            slip = np.clip(np.mean(slips) - _SLIP_TOLERANCE, 0.0, _MAX_SLIP)
            which = [k for k, _ in held]
            self._slip[which] += (slip - self._slip[which]) / (_SLIP_SMOOTHING * POLICY_RATE)

    def _solve(self, hand: str, q: np.ndarray, point: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """Joints (7,) of an arm by damped least squares, starting from those of the last frame.

        The damping grows with the squared error, which avoids oscillation at targets out of reach (T. Sugihara,
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


def integrated(
    integral: np.ndarray | float, error: np.ndarray | float, gain: float, limit: np.ndarray | float
) -> np.ndarray:
    """The limited integral of an error after one more frame; ``gain`` is in 1/s."""
    return np.clip(integral + gain / POLICY_RATE * error, -limit, limit)


def _off_level(measured: pin.SE3, point: np.ndarray, rotation: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """(3,) m, rad, rad: error of a measured hand in height, and in tilt about x and y of ``heading`` (3, 3)."""
    rise = (point - measured.act(np.array(HAND_POINT)))[2]
    tilt = heading.T @ pin.log3(rotation @ measured.rotation.T)
    return np.array([rise, *tilt[:2]])


def _configuration(frame: Frame, sway: np.ndarray, joint_pos: np.ndarray) -> np.ndarray:
    """Configuration (36,) with the frame's pelvis moved and turned by ``sway`` (6,) m, rad."""
    turn = Rotation.from_rotvec(sway[3:]) * Rotation.from_matrix(frame.rotation)
    return np.concatenate([frame.position + sway[:3], turn.as_quat(), joint_pos])


def _hand_contacts(reference: Reference, scene: Scene, points: dict[str, np.ndarray]) -> Iterator[_HandContact]:
    """The hands' contacts; ``points`` (T, 3) m are the positions of each hand."""
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
    """Objects that other parts than hands meet: those sat on, kicked, and stepped over."""
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
