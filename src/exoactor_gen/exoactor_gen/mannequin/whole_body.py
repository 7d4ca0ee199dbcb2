"""From a score to a person's motion: one solution for the whole body.

The feet follow the score, the centre of mass follows the pressure like a linear inverted pendulum, the pelvis follows
from the centre of mass, and the legs are closed analytically, so that planted feet stay in place; likewise the arms
whose hands have targets.

Sources: linear inverted pendulum, Kajita et al., ICRA 2001; masses and centres of the body's segments, de Leva, J.
Biomech. 29 (1996), table 4, men.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_banded
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import frames_along, min_jerk, perpendicular, unit
from exoactor_core.body import BodyModel, joint_transforms
from exoactor_core.constants import GRAVITY
from exoactor_core.contacts import SIDES
from exoactor_core.motion import HumanMotion
from exoactor_core.rotations import FROM_Y_UP
from exoactor_gen.mannequin.objects import ObjectMotion, object_motion
from exoactor_gen.mannequin.score import HEEL_OFF_SECONDS, SOLE_CENTRE, Score, Seat, sign
from exoactor_gen.mannequin.timeline import bump

LEG_REACH = 0.985
"""Maximum extension of a leg, as a share of thigh plus shank."""
ARM_REACH = 0.96
"""Extension of an arm, likewise, from which the body bends down to reach a point."""
ARM_STRAIGHT, SOFT_LENGTH = 0.995, 0.008
"""Absolute maximum extension of an arm, and m over which it slows down before that."""
FINGER_LENGTH = 0.16
"""m from the centre of the hand to slightly beyond the tip of a straight finger."""
_TIPTOE_PITCH = math.radians(22.0)
"""Pitch of feet that push off."""
MEAN_STATURE = 1.70
"""m, height of the person to whom the lengths in this package refer."""

_HIP, _KNEE, _ANKLE = {"left": 1, "right": 2}, {"left": 4, "right": 5}, {"left": 7, "right": 8}
_SHOULDER, _ELBOW, _WRIST = {"left": 16, "right": 17}, {"left": 18, "right": 19}, {"left": 20, "right": 21}
_SPINE, _NECK, _HEAD = (3, 6, 9), 12, 15
_MIDDLE1 = {"left": 28, "right": 43}


Pair = tuple[np.ndarray, np.ndarray]


class _Foot(NamedTuple):
    ankle: np.ndarray
    """(T, 3) m."""
    turn: np.ndarray
    """(T, 3, 3) in the world."""
    yaw: np.ndarray
    """(T,) rad."""
    contact: np.ndarray
    """(T, 2) of heel and toe."""
    ball: np.ndarray
    """(3,) m, the sole's point under the toes, relative to the ankle at rest."""

    @property
    def toe(self) -> np.ndarray:
        """(T, 3) m."""
        return self.ankle + self.turn @ self.ball


def pendulum(pressure: np.ndarray, height: float, fps: float) -> np.ndarray:
    """Centre of mass (T, 2) m above a centre of ``pressure`` (T, 2) m: c - (h/g) c'' = p, at rest at both ends.

    h, its ``height``, is in m.
    """
    t = len(pressure)
    k = height / GRAVITY * fps**2
    bands = np.zeros((3, t))
    bands[0, 2:], bands[1, 1:-1], bands[2, :-2] = -k, 1.0 + 2.0 * k, -k
    bands[1, [0, -1]] = 1.0
    return solve_banded((1, 1), bands, pressure)


def _about(axis: str, angles: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) about an axis by angles (T,) in rad."""
    return Rotation.from_euler(axis, angles[:, None]).as_matrix()


def _about_deg(axis: str, degrees: np.ndarray) -> np.ndarray:
    return _about(axis, np.radians(degrees))


def _arm_rotations(pose: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Local rotations of shoulder and elbow, (T, 3, 3) each, from the arm pose (T, 4) in degrees."""
    s = sign(side)
    flexion, abduction, twist, elbow = pose.T
    shoulder = _about_deg("x", -flexion) @ _about_deg("z", s * (abduction - 90.0)) @ _about_deg("x", twist)
    return shoulder, _about_deg("y", -s * elbow)


def _leg(hip: np.ndarray, ankle: np.ndarray, thigh: np.ndarray, shank: np.ndarray, left_way: np.ndarray) -> Pair:
    """Close a leg: world rotations (T, 3, 3) of thigh and shank with which the ankle is reached; knees bend forward.

    ``left_way`` (T, 3) is the direction of the knee's hinge; ``thigh``, ``shank`` (3,) are the bones at rest.
    """
    target = ankle - hip
    distance = np.linalg.norm(target, axis=1)
    a = thigh[1] * shank[1] + thigh[2] * shank[2]
    b = thigh[2] * shank[1] - thigh[1] * shank[2]
    wanted = (distance**2 - thigh @ thigh - shank @ shank) / 2.0 - thigh[0] * shank[0]
    bend = np.arctan2(b, a) + np.arccos(np.clip(wanted / math.hypot(a, b), -1.0, 1.0))
    knee = _about("x", bend)
    reach = thigh + knee @ shank
    at_rest = frames_along(reach, np.broadcast_to([1.0, 0.0, 0.0], reach.shape))
    upper = frames_along(target, left_way) @ at_rest.transpose(0, 2, 1)
    return upper, upper @ knee


def _foot(score: Score, times: np.ndarray, heel: np.ndarray, toe: np.ndarray, side: str) -> _Foot:
    """The path of a foot; ``heel`` and ``toe`` (3,) are the sole's points relative to the ankle at rest."""
    pose, air = score.feet[side].sample(times), score.air[side].sample(times)
    clear, pitch = air[:, 0], air[:, 1].copy()
    contact = np.ones((len(times), 2))
    for jump in score.jumps:
        _, soles, heels = jump.sample(times)
        clear, pitch = clear + soles, pitch + _TIPTOE_PITCH * heels
        contact[heels > 0.0, 0] = contact[soles > 0.0, 1] = 0.0
    for begin, end, clearance, roll in score.swings[side]:
        s = (times - begin) / (end - begin)
        clear = clear + clearance * bump(s)
        if roll:  # the heel leaves before the toe, and lands first
            pitch += roll * bump((times - begin + HEEL_OFF_SECONDS) / (HEEL_OFF_SECONDS + 0.28))
            pitch -= 0.5 * roll * bump((s - 0.4) / 0.6)
            contact[(times > begin - HEEL_OFF_SECONDS + 1e-9) & (s <= 1e-9), 0] = 0.0
        contact[(s > 1e-9) & (s < 1.0 - 1e-9)] = 0.0
    yaw = pose[:, 2]
    turn = _about("z", yaw)
    flat = turn @ FROM_Y_UP
    foot = flat @ _about("x", pitch)
    lowest = np.minimum((foot @ heel)[:, 2], (foot @ toe)[:, 2])
    ankle = np.empty((len(times), 3))
    ankle[:, :2] = pose[:, :2] - SOLE_CENTRE * turn[:, :2, 0]
    ankle[:, :2] += np.where(pitch > 0.0, ((flat - foot) @ toe)[:, :2].T, 0.0).T  # it rolls over the toe
    ankle[:, 2] = clear - lowest
    return _Foot(ankle, foot, yaw, contact, toe)


def _posture(score: Score, times: np.ndarray, heading: np.ndarray, lead: np.ndarray) -> np.ndarray:
    """Local rotations (T, 55, 3, 3) of the joints, without legs and reaching arms.

    ``heading`` (T,) rad is the body's; ``lead`` (T,) m is how far the left foot is ahead of the middle of both.
    """
    trunk, head, side_bend = (track.sample(times) for track in (score.trunk, score.head, score.side_bend))
    posture = np.tile(np.eye(3), (len(times), 55, 1, 1))
    posture[:, 0] = _about("z", heading) @ FROM_Y_UP @ _about_deg("x", trunk[:, 0] + 1.5)
    turn = trunk[:, 2] + np.degrees(0.30 * lead)  # shoulders turn opposite to the legs
    for joint in _SPINE:
        posture[:, joint] = (
            _about_deg("y", turn / 3.0) @ _about_deg("x", trunk[:, 1] / 3.0) @ _about_deg("z", -side_bend[:, 0] / 3.0)
        )
    for joint, share in ((_NECK, 0.4), (_HEAD, 0.6)):
        yaw = share * (head[:, 0] - np.degrees(0.30 * lead))
        posture[:, joint] = _about_deg("y", yaw) @ _about_deg("x", share * head[:, 1])
    for side in SIDES:
        s = sign(side)
        arm = score.arms[side].sample(times)
        swing = np.degrees(np.clip(1.7 * lead, -0.45, 0.45))
        arm[:, 0] -= s * swing
        arm[:, 3] += np.maximum(0.0, -s * swing) * 0.6
        posture[:, _SHOULDER[side]], posture[:, _ELBOW[side]] = _arm_rotations(arm, side)
        fingers = score.fingers[side].sample(times)
        first = 25 if side == "left" else 40
        for finger in range(4):
            for k in range(3):
                posture[:, first + 3 * finger + k] = _about_deg("z", -s * fingers[:, 1 if finger == 0 else 0])
        thumb = np.clip(fingers[:, 1], 0.0, 40.0)
        for k in range(2):
            posture[:, first + 13 + k] = _about_deg("y", s * 0.6 * thumb)
    return posture


def solve(score: Score, body: BodyModel, betas: np.ndarray, fps: float) -> tuple[HumanMotion, tuple[ObjectMotion, ...]]:
    """The person's motion, with exact contacts and soles at z = 0, and the paths of the objects around."""
    times = np.arange(math.ceil(score.now * fps) + 1) / fps
    t = len(times)
    rest, sole = body.rest_joints(betas), body.rest_foot_points(betas)
    feet = {
        side: _foot(score, times, sole[2 * i] - rest[_ANKLE[side]], sole[2 * i + 1] - rest[_ANKLE[side]], side)
        for i, side in enumerate(SIDES)
    }
    heading = (feet["left"].yaw + feet["right"].yaw) / 2.0
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    lead = np.sum((feet["left"].ankle - feet["right"].ankle)[:, :2] * forward, axis=1) / 2.0

    posture = _posture(score, times, heading, lead)
    pelvis = posture[:, 0]
    # upper body with the pelvis at the origin; it changes only where hands have targets
    turns, pos = joint_transforms(posture, np.zeros((t, 3)), rest)
    local = posture
    height = float(np.mean([foot.ankle[0, 2] for foot in feet.values()]))
    length = {s: (rest[_KNEE[s]] - rest[_HIP[s]], rest[_ANKLE[s]] - rest[_KNEE[s]]) for s in SIDES}
    stand = height + LEG_REACH * sum(float(np.linalg.norm(b)) for b in length["left"]) + float(rest[0, 1] - rest[1, 1])
    level = stand - 0.004 - score.drop.sample(times)[:, 0] + sum(jump.sample(times)[0] for jump in score.jumps)
    tall = stature(body, betas)
    mass = pendulum(score.pressure.sample(times), 0.57 * tall, fps)

    root, lower = np.column_stack([mass, level]), np.zeros(t)
    reaching = {side: Arm(score, side, times, rest) for side in SIDES if score.hands[side]}
    for attempt in range(6 if reaching or score.seats else 1):
        if attempt and reaching:
            local = posture.copy()
            for reach in reaching.values():
                reach.close(local, turns, pos, root, mass, heading)
            turns, pos = joint_transforms(local, np.zeros((t, 3)), rest)
        if attempt:
            below = [arm.lowering(lower) for arm in reaching.values()] + [np.zeros(t)]
            lower = np.max(below, axis=0)
            for seat in score.seats:
                lower = lower + _sitting(seat, times, level, seat.height + 0.066 * tall)
        root, legs = _balanced(root, level - lower, mass, pos, feet, length, heading, fps)

    for side in SIDES:
        thigh, shank = legs[side]
        local[:, _HIP[side]] = pelvis.transpose(0, 2, 1) @ thigh
        local[:, _KNEE[side]] = thigh.transpose(0, 2, 1) @ shank
        local[:, _ANKLE[side]] = shank.transpose(0, 2, 1) @ feet[side].turn
    vectors = Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec().reshape(t, 55, 3)
    contact = np.concatenate([foot.contact for foot in feet.values()], axis=1)
    motion = HumanMotion(
        fps=fps,
        transl=root - rest[0],
        global_orient=Rotation.from_matrix(pelvis).as_rotvec(),
        body_pose=vectors[:, 1:22].reshape(t, 63),
        betas=betas,
        hand_pose=vectors[:, 25:].reshape(t, 90),
        contacts=contact,
    )
    hands = {side: root + middle_of_hand(side, turns, pos, rest) for side in SIDES}
    toes = {side: foot.toe for side, foot in feet.items()}
    return motion, tuple(object_motion(obj, times, hands, toes, heading) for obj in score.objects.values())


def _balanced(
    root: np.ndarray,
    level: np.ndarray,
    mass: np.ndarray,
    pos: np.ndarray,
    feet: dict[str, _Foot],
    length: dict[str, Pair],
    heading: np.ndarray,
    fps: float,
) -> tuple[np.ndarray, dict[str, Pair]]:
    """Pelvis (T, 3) with which the centre of mass is above ``mass`` (T, 2), and thigh and shank of the closed legs.

    ``root`` (T, 3) is the initial guess, ``level`` (T,) the height if the legs reach, ``pos`` the joints with the
    pelvis at the origin.
    """
    root, legs = root.copy(), {}
    upper_mass, upper_moment = _upper_mass(pos)
    for _ in range(8):
        root[:, 2] = level - _lowering(root, level, pos, feet, length, fps)
        moment, total = upper_moment + upper_mass * root, upper_mass
        for side, foot in feet.items():
            hip = root + pos[:, _HIP[side]]
            hinge_yaw = (foot.yaw + heading) / 2.0
            left_way = np.stack([-np.sin(hinge_yaw), np.cos(hinge_yaw), np.zeros(len(root))], axis=1)
            legs[side] = _leg(hip, foot.ankle, *length[side], left_way)
            knee = hip + legs[side][0] @ length[side][0]
            for a, b, share, where in (
                (hip, knee, 0.1416, 0.41),
                (knee, foot.ankle, 0.0433, 0.446),
                (foot.ankle, foot.toe, 0.0137, 0.4),
            ):
                moment, total = moment + share * (a + where * (b - a)), total + share
        error = mass - (moment / total)[:, :2]
        root[:, :2] += error
    root[:, :2] -= error  # the legs were closed for the pelvis before the last correction
    return root, legs


def stature(body: BodyModel, betas: np.ndarray) -> float:
    """Height of a standing person in m, from the sole to the top of the head: the head joint is at 0.9 of it."""
    return float(body.rest_joints(betas)[_HEAD, 1] - body.rest_foot_points(betas)[0, 1]) / 0.9


def _upper_mass(pos: np.ndarray) -> tuple[float, np.ndarray]:
    """Mass share of everything but the legs, and its moment (T, 3) about the pelvis."""
    parts = [
        (0.1117, pos[:, 0]),
        (0.1633, pos[:, 6]),
        (0.1596, 0.5 * (pos[:, 9] + pos[:, 12])),
        (0.0694, pos[:, 15] + 0.35 * (pos[:, 15] - pos[:, 12])),
    ]
    for side in SIDES:
        shoulder, elbow, wrist = (pos[:, j[side]] for j in (_SHOULDER, _ELBOW, _WRIST))
        parts += [
            (0.0271, shoulder + 0.577 * (elbow - shoulder)),
            (0.0162, elbow + 0.457 * (wrist - elbow)),
            (0.0061, pos[:, _MIDDLE1[side]]),
        ]
    return sum(m for m, _ in parts), sum(m * p for m, p in parts)


def _lowering(
    root: np.ndarray, wanted: np.ndarray, pos: np.ndarray, feet: dict[str, _Foot], length: dict[str, Pair], fps: float
) -> np.ndarray:
    """Smooth lowering (T,) m of the pelvis below ``wanted`` (T,) with which both legs reach."""
    need = np.zeros(len(root))
    for side in SIDES:
        hip = root + pos[:, _HIP[side]]
        ankle = feet[side].ankle
        longest = LEG_REACH * sum(float(np.linalg.norm(b)) for b in length[side])
        flat = np.sum((hip - ankle)[:, :2] ** 2, axis=1)
        top = ankle[:, 2] + np.sqrt(np.maximum(longest**2 - flat, 0.01))
        need = np.maximum(need, wanted + pos[:, _HIP[side], 2] - top)
    # a moving maximum followed by no wider a smoothing never falls below the need
    width = max(1, round(0.18 * fps))
    envelope = maximum_filter1d(need, 2 * width + 1, mode="nearest")
    return gaussian_filter1d(envelope, width / 2.5, mode="nearest", truncate=2.5)


def _sitting(seat: Seat, times: np.ndarray, level: np.ndarray, height: float) -> np.ndarray:
    """Lowering (T,) m below ``level`` (T,) with which the pelvis joint is at ``height`` on the seat."""
    down, seated, rise, up = seat.times
    share = min_jerk((times - down) / (seated - down)) - min_jerk((times - rise) / (up - rise))
    return share * (level[(times >= seated) & (times <= rise)].mean() - height)


def middle_of_hand(side: str, turns: np.ndarray, pos: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(T, 3) between wrist and knuckles, from rotations and positions of all joints."""
    return pos[:, _WRIST[side]] + turns[:, _WRIST[side]] @ _to_palm(side, rest)


def _to_palm(side: str, rest: np.ndarray) -> np.ndarray:
    return 0.8 * (rest[_MIDDLE1[side]] - rest[_WRIST[side]])


class Arm:
    """Closes an arm so that the hand is at its target in the score."""

    def __init__(self, score: Score, side: str, times: np.ndarray, rest: np.ndarray) -> None:
        self.side, self.times, self.moves = side, times, score.hands[side]
        self.sign = sign(side)
        self.flat = score.palms[side].sample(times)[:, 0]
        shoulder, elbow, wrist = (rest[j[side]] for j in (_SHOULDER, _ELBOW, _WRIST))
        self.upper, self.fore, self.palm = elbow - shoulder, wrist - elbow, _to_palm(side, rest)
        self.wrist = np.tile(np.eye(3), (len(times), 1, 1))
        self.target = self.shoulder = np.zeros((len(times), 3))

    def close(
        self,
        local: np.ndarray,
        turns: np.ndarray,
        pos: np.ndarray,
        root: np.ndarray,
        mass: np.ndarray,
        heading: np.ndarray,
    ) -> None:
        """Write shoulder, elbow and wrist into ``local`` (T, 55, 3, 3), the posture without reaching.

        ``turns`` and ``pos`` are those of the posture with the pelvis at the origin, ``root`` (T, 3) its position, and
        ``mass`` (T, 2) the centre of mass.
        """
        middle = np.column_stack([mass, root[:, 2]])
        side, s = self.side, self.sign
        chest = turns[:, _SHOULDER[side] - 3]  # the collar
        self.shoulder = root + pos[:, _SHOULDER[side]]
        swung = chest @ local[:, _SHOULDER[side]]
        bent = swung @ local[:, _ELBOW[side]]
        elbow = self.shoulder + swung @ self.upper
        hand = elbow + bent @ (self.fore + self.palm)
        facing = _about("z", heading)
        self.target, share = hand, np.zeros(len(hand))
        for move in self.moves:
            rise = min_jerk((self.times - move.begin) / (move.end - move.begin))
            point = {
                "world": move.point,
                "body": middle + facing @ move.point,
                "free": hand,
                "aim": self._aim(move.point),
            }[move.frame]
            lift = move.lift * bump((self.times - move.begin) / (move.end - move.begin))
            self.target = self.target + rise[:, None] * (point - self.target)
            self.target = self.target + lift[:, None] * [0.0, 0.0, 1.0]
            share = share + rise * ((move.frame != "free") - share)
        way = self.target - self.shoulder
        distance = np.linalg.norm(way, axis=1)
        lower = self.fore + self.wrist @ self.palm
        longest = ARM_STRAIGHT * (np.linalg.norm(self.upper) + np.linalg.norm(lower, axis=1))
        # an arm slows down before full extension
        soft = SOFT_LENGTH * share + 1e-4
        distance = longest - soft * np.logaddexp(0.0, (longest - distance) / soft)
        own = perpendicular(elbow - self.shoulder, way)
        natural = perpendicular(facing @ np.array([-0.45, 0.60 * s, -0.45]), way)
        pole = (1.0 - share)[:, None] * own + share[:, None] * natural
        # the elbow's angle, about y
        u = self.upper
        a, b = u[0] * lower[:, 0] + u[2] * lower[:, 2], u[0] * lower[:, 2] - u[2] * lower[:, 0]
        wanted = (distance**2 - u @ u - np.sum(lower**2, axis=1)) / 2.0 - u[1] * lower[:, 1]
        bend = np.arctan2(b, a) - s * np.arccos(np.clip(wanted / np.hypot(a, b), -1.0, 1.0))
        hinge = _about("y", bend)
        reach = u + np.einsum("tij,tj->ti", hinge, lower)
        upper = frames_along(way, pole) @ frames_along(reach, np.broadcast_to(u, reach.shape)).transpose(0, 2, 1)
        used = share > 1e-9
        local[used, _SHOULDER[side]] = (chest.transpose(0, 2, 1) @ upper)[used]
        local[used, _ELBOW[side]] = hinge[used]
        self._flatten_palm(upper @ hinge, facing)
        local[:, _WRIST[side]] = self.wrist

    def _aim(self, point: np.ndarray) -> np.ndarray:
        """Position of the hand (T, 3) of a straight arm that points at a point, short of it."""
        way = point - self.shoulder
        away = np.linalg.norm(way, axis=1, keepdims=True)
        straight = ARM_REACH * (np.linalg.norm(self.upper) + np.linalg.norm(self.fore + self.palm))
        return self.shoulder + way / away * np.minimum(straight, away - FINGER_LENGTH)

    def _flatten_palm(self, forearm: np.ndarray, facing: np.ndarray) -> None:
        """Turn the wrist so that the palm faces the floor, as required by the score."""
        along = forearm[:, :, 0] * self.sign * [1.0, 1.0, 0.0] + 0.3 * facing[:, :, 0]
        fingers, up = unit(along), np.broadcast_to([0.0, 0.0, 1.0], along.shape)
        flat = np.stack([self.sign * fingers, up, np.cross(self.sign * fingers, up)], axis=2)
        turn = Rotation.from_matrix(forearm.transpose(0, 2, 1) @ flat).as_rotvec()
        self.wrist = Rotation.from_rotvec(self.flat[:, None] * turn).as_matrix()

    def lowering(self, lower: np.ndarray) -> np.ndarray:
        """Lowering (T,) m of the body with which the hand reaches its target; ``lower`` is the present one."""
        lower_arm = np.linalg.norm(self.fore + self.wrist @ self.palm, axis=1)
        longest = ARM_REACH * (np.linalg.norm(self.upper) + lower_arm)
        off = self.target - self.shoulder
        top = self.target[:, 2] + np.sqrt(np.maximum(longest**2 - np.sum(off[:, :2] ** 2, axis=1), 0.01))
        need = np.maximum(0.0, self.shoulder[:, 2] + lower - top)
        out = np.zeros(len(self.times))
        for move, after in zip(self.moves, [*self.moves[1:], None], strict=True):
            if move.frame != "world":
                continue
            end = self.times[-1] if after is None else after.begin
            there = (self.times >= move.end - 1e-9) & (self.times <= end + 1e-9)
            share = min_jerk((self.times - move.begin) / (move.end - move.begin))
            if after is not None:
                share = share - min_jerk((self.times - after.begin) / (after.end - after.begin))
            out += share * float(need[there].max(initial=0.0))
        return out
