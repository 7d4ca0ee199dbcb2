"""Targets of the robot in each frame: the person's posture in the robot's proportions, with planted feet."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import smoothed_speed, smoothstep, true_runs, unit
from exoactor_core.contacts import SIDES
from exoactor_core.rotations import shortest_turn, wrap
from exoactor_retarget.contacts import bearing_contacts, foot_contacts, without_short
from exoactor_retarget.human import BEARING, Posture
from exoactor_retarget.kinematics import State, cross, log
from exoactor_retarget.model import Model
from exoactor_retarget.surroundings import Solids

# SMPL-X's rest pose: left arm along x, right arm along -x, palms down; columns are z up the arm, x in the direction in
# which the elbow bends.
_REST_ARMS = np.array([[[0.0, 0, -1], [0, 1, 0], [1, 0, 0]], [[0.0, 0, 1], [0, -1, 0], [1, 0, 0]]])

# A foot in contact that moves farther than this really slides (m, scaled) or pivots (rad); it is released where it is
# faster than this (m/s, rad/s).
_MAX_SLIDE, _MAX_PIVOT = 0.10, 0.25
_MAX_SLIDE_SPEED, _MAX_PIVOT_SPEED = 0.05, 0.5
_MIN_SOLE_UPRIGHT = 0.5  # vertical share of a sole's normal from which it can stand


@dataclass(frozen=True)
class Targets:
    """Targets in the world frame, T frames; sides are left, right. Rotations are those of the robot's links."""

    fps: float
    pelvis_pos: np.ndarray
    """(T, 3) m."""
    pelvis_rot: np.ndarray
    """(T, 3, 3)."""
    torso_rot: np.ndarray
    """(T, 3, 3)."""
    foot_pos: np.ndarray
    """(T, 2, 3) ankles, m."""
    foot_rot: np.ndarray
    """(T, 2, 3, 3)."""
    foot_yaw: np.ndarray
    """(T, 2) rad."""
    contact: np.ndarray
    """(T, 2) bool."""
    thigh: np.ndarray
    """(T, 2, 3) unit vectors from hip to knee; only a hint, since pelvis and feet determine the knee."""
    upper_arm: np.ndarray
    """(T, 2, 3) unit vectors from shoulder to elbow."""
    forearm: np.ndarray
    """(T, 2, 3) unit vectors from elbow to wrist."""
    arm_rot: np.ndarray
    """(T, 2, 3, 3) upper arm: z up the arm, x in the direction in which the elbow bends (a weak hint if the arm is
    straight)."""
    hand_rot: np.ndarray
    """(T, 2, 3, 3)."""
    hand_offset: np.ndarray
    """(T, 2, 3) m of the left hand from the right: wrist to wrist, and tip to tip."""
    meeting: np.ndarray
    """(T,) degree to which the hands are close to each other, 0 to 1."""
    bearing: np.ndarray
    """(T, 8) m: height of the surface on which each of `BEARING` rests; infinite: none."""
    palm_pos: np.ndarray
    """(T, 2, 3) m: target positions of the palms, weighted by ``holding``."""
    holding: np.ndarray
    """(T, 2) degree to which a hand is led by an object rather than by the person's arm, 0 to 1."""
    load: np.ndarray
    """(T, 2) kg carried by the hands in addition to their links' own mass."""
    solids: Solids | None = None
    """Objects around the robot; None: there are none."""

    def __len__(self) -> int:
        return len(self.pelvis_pos)

    def __getitem__(self, frames: slice | np.ndarray) -> Targets:
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "fps"}
        part: dict[str, Any] = {name: v if v is None else v[frames] for name, v in values.items()}
        return Targets(fps=self.fps, **part)

    def heading(self, model: Model, frame: int) -> float:
        """Heading of the robot in a frame, rad."""
        return float(lateral((self.pelvis_rot[frame] @ model.rest["pelvis"][0].T)[:, 1]))

    def headings(self, model: Model) -> np.ndarray:
        """Smoothed headings (T,) of the robot, rad."""
        heading = lateral((self.pelvis_rot @ model.rest["pelvis"][0].T)[:, :, 1])
        return gaussian_filter1d(np.unwrap(heading), 0.1 * self.fps, mode="nearest")

    def hips(self, model: Model) -> np.ndarray:
        """Positions (T, 2, 3) of the robot's hips, m."""
        turned = self.pelvis_rot @ model.rest["pelvis"][0].T
        return self.pelvis_pos[:, None] + np.einsum("tij,kj->tki", turned, model.hips)

    def knees(self, model: Model) -> np.ndarray:
        """Positions (T, 2, 3) of the robot's knees, bent like the person's, m."""
        hips = self.hips(model)
        thigh, shank = (float(np.linalg.norm(model.directions[part][0])) for part in ("thigh", "shank"))
        return _middle_joint(hips, self.foot_pos, thigh, shank, self.thigh)

    def toes(self, model: Model) -> np.ndarray:
        """Positions (T, 2, 3) of the robot's toes, m."""
        return self.foot_pos + (self.foot_rot @ model.toes[:, :, None])[..., 0]

    def with_led_arms(self, model: Model) -> Targets:
        """The targets with arms that reach to where an object leads the hands, with the elbows low and behind.

        For a given hand the elbow may be anywhere on a circle. A hand raised in front of a body that stands close would
        otherwise leave the elbow where it was: up beside the shoulder.
        """
        shoulders = model.shoulders(self.pelvis_pos, self.pelvis_rot, self.torso_rot)
        wrists = self.palm_pos - np.einsum("tkij,kj->tki", self.hand_rot, model.wrist_to_palm)
        low = np.array([-0.5, 0.0, -1.0])
        hint = np.broadcast_to((headed(self.headings(model)) @ low)[:, None], shoulders.shape)
        elbows = _middle_joint(shoulders, wrists, model.upper_arm, model.forearm, hint)
        led = self.holding[..., None]
        upper_arm = unit((1.0 - led) * self.upper_arm + led * unit(elbows - shoulders))
        forearm = unit((1.0 - led) * self.forearm + led * unit(wrists - elbows))
        # What both hands hold hides the person's arms: a straight one bends like one with a low elbow
        both = self.holding.min(axis=1)[:, None, None]
        arm_rot = _arm_frames(upper_arm, forearm, (1.0 - both) * self.arm_rot[..., 0] - both * hint)
        return replace(
            self, upper_arm=upper_arm, forearm=forearm, arm_rot=np.where(led[..., None] > 0.0, arm_rot, self.arm_rot)
        )

    def palms(self, model: Model) -> np.ndarray:
        """Target positions (T, 2, 3) of the palms, m."""
        return self.natural_palms(model) * (1.0 - self.holding[..., None]) + self.palm_pos * self.holding[..., None]

    def natural_palms(self, model: Model) -> np.ndarray:
        """Positions (T, 2, 3) of the robot's palms when it imitates the person, m."""
        wrist = (
            model.shoulders(self.pelvis_pos, self.pelvis_rot, self.torso_rot)
            + model.upper_arm * self.upper_arm
            + model.forearm * self.forearm
        )
        return wrist + np.einsum("tkij,kj->tki", self.hand_rot, model.wrist_to_palm)

    def level_palms(self, model: Model) -> np.ndarray:
        """Positions (T, 2, 3) of the palms with hanging upper arms and level forearms pointing forward, m."""
        ahead = model.forearm + model.wrist_to_palm[:, 0]
        offset = np.stack([ahead, [0.0, 0.0], [-model.upper_arm] * 2], axis=1)
        shoulders = model.shoulders(self.pelvis_pos, self.pelvis_rot, self.torso_rot)
        return shoulders + np.einsum("tij,kj->tki", headed(self.headings(model)), offset)


def _middle_joint(start: np.ndarray, end: np.ndarray, upper: float, lower: float, towards: np.ndarray) -> np.ndarray:
    """Knee or elbow (..., 3) of a limb that reaches from ``start`` to ``end``, bent ``towards`` a side."""
    offset = end - start
    length = np.linalg.norm(offset, axis=-1, keepdims=True)
    along = offset / np.maximum(length, 1e-6)
    length = np.clip(length, abs(upper - lower) + 1e-3, upper + lower)
    down = (length**2 + upper**2 - lower**2) / (2.0 * length)
    bend = unit(towards - np.sum(towards * along, axis=-1, keepdims=True) * along)
    return start + down * along + np.sqrt(np.maximum(upper**2 - down**2, 0.0)) * bend


def ramp(times: np.ndarray, start: float, seconds: float) -> np.ndarray:
    """0 before ``start``, 1 from ``seconds`` later on, smooth in between."""
    return smoothstep((times - start) / max(seconds, 1e-3))


def window(frames: int, first: int, last: int, margin: int) -> np.ndarray:
    """(frames,) 1 from ``first`` to ``last``, fading to 0 over ``margin`` frames on both sides."""
    t = np.arange(frames)
    away = np.maximum(np.maximum(first - t, t - last), 0)
    return smoothstep(1.0 - away / max(margin, 1))


def lateral(left_axis: np.ndarray) -> np.ndarray:
    """Heading angles of unit vectors to the left, (..., 3) -> (...): well defined however far the body bows."""
    return np.arctan2(-left_axis[..., 0], left_axis[..., 1])


def headed(yaw: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) about the vertical."""
    out = np.zeros((len(yaw), 3, 3))
    out[:, 0, 0] = out[:, 1, 1] = np.cos(yaw)
    out[:, 1, 0] = np.sin(yaw)
    out[:, 0, 1] = -out[:, 1, 0]
    out[:, 2, 2] = 1.0
    return out


def towards_upright(up: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) that rotate directions (T, 3) towards the vertical by a share (T,) of the angle."""
    return Rotation.from_rotvec(share[:, None] * shortest_turn(up, [0.0, 0.0, 1.0])).as_matrix()


def untwisted(rot: np.ndarray, headings: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) turned by a share (T,) towards the same pitch straight ahead of headings (T,) rad."""
    pitch = np.arctan2(-rot[:, 2, 0], rot[:, 2, 2])
    straight = headed(headings) @ Rotation.from_euler("y", pitch[:, None]).as_matrix()
    turn = Rotation.from_matrix(straight @ rot.swapaxes(1, 2))
    return Rotation.from_rotvec(share[:, None] * turn.as_rotvec()).as_matrix() @ rot


def bridge(raw: np.ndarray, locked: np.ndarray, contact: np.ndarray) -> np.ndarray:
    """Modify a signal so that it equals ``locked`` in contact, and keeps its own shape between contacts."""
    shift = np.zeros_like(raw)
    runs = true_runs(contact)
    if not runs:
        return raw
    for a, b in runs:
        shift[a:b] = locked[a:b] - raw[a:b]
    for a, b in true_runs(~contact):
        before = shift[a - 1] if a > 0 else shift[b]
        after = shift[b] if b < len(raw) else shift[a - 1]
        share = smoothstep((np.arange(a, b) - a + 1) / (b - a + 1)).reshape(-1, *[1] * (raw.ndim - 1))
        shift[a:b] = before + share * (after - before)
    return raw + shift


def _settled(contact: np.ndarray, pos: np.ndarray, yaw: np.ndarray, fps: float, shortest: float) -> np.ndarray:
    """Contact (T,) without frames in which the foot slides or pivots far."""
    out = contact.copy()
    for a, b in true_runs(contact):
        for values, most, fast in (
            (pos[a:b, :2], _MAX_SLIDE, _MAX_SLIDE_SPEED),
            (yaw[a:b, None], _MAX_PIVOT, _MAX_PIVOT_SPEED),
        ):
            if b - a > 2 and np.linalg.norm(np.ptp(values, axis=0)) > most:
                out[a:b] &= smoothed_speed(values, fps, 0.06) < fast
    return without_short(out, max(1, round(shortest * fps))) & contact if (out != contact).any() else contact


def _held(values: np.ndarray, trim: int, most: float, fps: float) -> np.ndarray:
    """Mean over a contact's middle; if the person's own foot moves by more than ``most``, it is followed instead."""
    middle = values[trim : len(values) - trim]
    if np.linalg.norm(np.ptp(middle, axis=0)) <= most:
        return np.broadcast_to(middle.mean(axis=0), values.shape)
    return gaussian_filter1d(values, 0.5 * fps, axis=0, mode="nearest")


Stand = tuple[np.ndarray, float]
"""Stance of a foot: position (2,) of its ankle on the floor, m, and heading, rad."""


def standing(state: State, contact: np.ndarray, model: Model) -> tuple[Stand | None, Stand | None]:
    """Stances of the feet in the last frame of a state; ``contact`` (2,) says whether they stand."""
    poses = model.kinematics.poses(state[-1:])

    def stand(k: int) -> Stand:
        turn = poses.rotation(model.bodies["foot"][k])[0] @ model.rest["foot"][k].T
        return model.point(poses, "foot", k)[:2, 0], float(lateral(turn[:, 1]))

    return stand(0) if contact[0] else None, stand(1) if contact[1] else None


def _planted(
    pos: np.ndarray,
    rot: np.ndarray,
    contact: np.ndarray,
    soles: np.ndarray,
    fps: float,
    at: int = 0,
    stand: Stand | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lock one foot flat on the floor during each contact; returns positions, rotations, headings.

    If the contact at frame ``at`` continues from the frame before, the foot's pose is the known ``stand``.
    """
    height = -soles[:, 2].min()
    yaw = np.unwrap(lateral(rot[:, :, 1]))
    tilt = log(headed(-yaw) @ rot)
    locked_pos, locked_yaw = pos.copy(), yaw.copy()
    for a, b in true_runs(contact):
        if stand is not None and a < at < b:
            locked_pos[a:b, :2] = stand[0]
            locked_yaw[a:b] = yaw[at] + wrap(stand[1] - yaw[at])
            continue
        trim = (b - a) // 5  # the foot is still landing at the start, and already rolling off at the end
        locked_pos[a:b, :2] = _held(pos[a:b, :2], trim, _MAX_SLIDE, fps)
        locked_yaw[a:b] = _held(yaw[a:b, None], trim, _MAX_PIVOT, fps)[:, 0]
    locked_pos[contact, 2] = height
    pos = bridge(pos, locked_pos, contact)
    yaw = bridge(yaw, locked_yaw, contact)
    pos[:, 2] = np.maximum(pos[:, 2], height)
    # The tilt grows from zero with the time from the nearest contact.
    frames = np.arange(len(pos))
    away = np.full(len(pos), np.inf)
    for a, b in true_runs(contact):
        away = np.minimum(away, np.maximum(np.maximum(a - frames, frames - b + 1), 0))
    share = smoothstep(away / max(0.12 * fps, 1.0))
    matrix = headed(yaw) @ Rotation.from_rotvec(tilt * share[:, None]).as_matrix()
    lowest = (matrix[:, 2] @ soles.T).min(axis=1) + pos[:, 2]
    pos[:, 2] += np.maximum(-lowest, 0.0)
    return pos, matrix, yaw


def _hand_offsets(
    person: Posture, hand_rot: np.ndarray, ratio: float, hands: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (T, 2, 3) m of the left hand from the right, in the robot's size, and their weights (T,).

    Hands stay on the sides of their wrists, at least ``apart`` from each other: forearms in the robot's proportions
    might cross where the person's only met.
    """
    tip = person.at("wrist") + hands["length"] * person.arm * hand_rot[..., 0]
    offsets = ratio * np.stack([-np.diff(points, axis=1)[:, 0] for points in (person.at("wrist"), tip)], axis=1)
    length = np.linalg.norm(offsets[:, 0], axis=-1)
    side = offsets[:, 0] / np.maximum(length, 1e-6)[:, None]
    short = np.maximum(hands["apart"] - np.einsum("tki,ti->tk", offsets, side), 0.0)
    near, far = hands["near"], hands["far"]
    return offsets + short[..., None] * side[:, None], 1.0 - smoothstep((length - near) / (far - near))


@dataclass(frozen=True)
class _Scaling:
    """Scales points of the person to the robot's proportions."""

    origin: np.ndarray
    """(3,) m, centre of the scaling of paths."""
    path: float
    """Scale of the path over the floor."""
    ratio: float
    """Ratio of leg lengths, robot to person: the scale of heights above the ankle."""
    ankles: tuple[float, float]
    """Heights of the ankles above the floor, m: the person's, the robot's."""

    def __call__(self, points: np.ndarray, lift: float = 1.0) -> np.ndarray:
        """Points (..., 3), with heights additionally scaled by ``lift``."""
        out = self.origin + self.path * (points - self.origin)
        out[..., 2] = self.ankles[1] + lift * self.ratio * (points[..., 2] - self.ankles[0])
        return out


def make_targets(
    person: Posture,
    model: Model,
    mapping: dict[str, Any],
    origin: np.ndarray | None = None,
    at: int = 0,
    stands: tuple[Stand | None, Stand | None] = (None, None),
    metric: bool = False,
) -> Targets:
    """Convert a grounded person (with contacts) to the robot's proportions.

    The root path and the feet are scaled about ``origin`` (the first root position) by the ratio of leg lengths; with
    ``metric`` the feet go as far as the person's, and only the root above them is scaled. The feet are further apart by
    the difference of hip widths; heights are scaled above the ankle. A foot that stands in ``stands`` before frame
    ``at`` stays there as long as it is in contact.
    """
    axes = model.person_axes
    ratio = model.leg / person.leg
    middle = person.at("hip").mean(axis=1)
    origin = np.array([*middle[0, :2], 0.0]) if origin is None else origin
    scaling = _Scaling(origin, 1.0 if metric else ratio, ratio, (person.ankle, model.ankle_height))
    if metric:
        over = gaussian_filter1d(person.at("foot").mean(axis=1)[:, :2], 0.2 * person.fps, axis=0, mode="nearest")
        middle[:, :2] = over + ratio * (middle[:, :2] - over)
    pelvis_rot = person.turn("pelvis") @ axes["pelvis"]
    feet = _feet(person, model, mapping, scaling, pelvis_rot, axes["foot"], at, stands)
    bearing = bearing_contacts(person, mapping["contacts"])
    hand_rot = np.stack([person.turn(f"{s}_hand") @ axes[f"{s}_hand"] for s in SIDES], axis=1)
    arm_ratio = (model.upper_arm + model.forearm) / person.arm
    hand_offset, meeting = _hand_offsets(person, hand_rot, arm_ratio, mapping["hands"])
    upper_arm = unit(person.at("elbow") - person.at("shoulder"))
    forearm = unit(person.at("wrist") - person.at("elbow"))
    shoulder = np.stack([person.turn(f"{s}_shoulder") for s in SIDES], axis=1)
    return Targets(
        fps=person.fps,
        pelvis_pos=scaling(middle, mapping["scale"]["reach"]) - pelvis_rot @ model.hips.mean(axis=0),
        pelvis_rot=pelvis_rot @ model.rest["pelvis"][0],
        torso_rot=person.turn("torso") @ axes["torso"] @ model.rest["torso"][0],
        **feet,
        thigh=unit(person.at("knee") - person.at("hip")),
        upper_arm=upper_arm,
        forearm=forearm,
        arm_rot=_arm_frames(upper_arm, forearm, (shoulder @ _REST_ARMS)[..., 0]),
        hand_rot=hand_rot @ model.rest["hand"],
        hand_offset=hand_offset,
        meeting=meeting,
        bearing=np.where(bearing, 0.0, np.inf),
        palm_pos=np.zeros((len(person), 2, 3)),
        holding=np.zeros((len(person), 2)),
        load=np.zeros((len(person), 2)),
    )


def _feet(
    person: Posture,
    model: Model,
    mapping: dict[str, Any],
    scaling: _Scaling,
    pelvis_rot: np.ndarray,
    axes: np.ndarray,
    at: int,
    stands: tuple[Stand | None, Stand | None],
) -> dict[str, Any]:
    """Fields of the targets for the feet, planted flat while in contact."""
    heading = gaussian_filter1d(np.unwrap(lateral(pelvis_rot[:, :, 1])), 0.15 * person.fps, mode="nearest")
    left = np.stack([-np.sin(heading), np.cos(heading), np.zeros_like(heading)], axis=1)
    half_width = abs(model.hips[0, 1] - model.hips[1, 1]) / 2 - scaling.path * person.hip_width / 2
    pos = scaling(person.at("foot"))
    pos += mapping["scale"]["stance_width"] * half_width * np.stack([left, -left], axis=1)
    rot = np.stack([person.turn(f"{s}_foot") @ axes for s in SIDES], axis=1)
    shortest = mapping["contacts"]["shortest"]
    contact = foot_contacts(person.contacts, person.fps, shortest)
    contact &= rot[..., 2, 2] > _MIN_SOLE_UPRIGHT  # when kneeling or crawling the toes touch, but no sole
    foot_yaw = np.zeros(contact.shape)
    for k in range(2):
        yaw = np.unwrap(lateral(rot[:, k, :, 1]))
        contact[:, k] = _settled(contact[:, k], pos[:, k], yaw, person.fps, shortest)
        flat = model.soles[k] @ model.rest["foot"][k].T  # in the axes of the standing foot
        pos[:, k], rot[:, k], foot_yaw[:, k] = _planted(
            pos[:, k], rot[:, k], contact[:, k], flat, person.fps, at, stands[k]
        )
    return {"foot_pos": pos, "foot_rot": rot @ model.rest["foot"], "foot_yaw": foot_yaw, "contact": contact}


def reached(state: State, contact: np.ndarray, fps: float, model: Model) -> Targets:
    """Targets that a state of the robot fulfils exactly; ``contact`` is (T, 2) bool."""
    poses = model.kinematics.poses(state)

    def part(name: str) -> np.ndarray:
        return np.stack([model.point(poses, name, k).T for k in range(2)], axis=1)

    def turn(name: str) -> np.ndarray:
        return np.stack([poses.rotation(body) for body in model.bodies[name]], axis=1)

    hip, knee, foot, shoulder, elbow, wrist = (part(n) for n in ("hip", "knee", "foot", "shoulder", "elbow", "wrist"))
    upper_arm, forearm, foot_rot = unit(elbow - shoulder), unit(wrist - elbow), turn("foot")
    bend = []
    for k in range(2):
        axis = poses.axis[6 + model.elbow[k]].T * model.bends["elbow"][k][1]
        bend.append(cross(axis, upper_arm[:, k], axis=-1))
    z = -upper_arm
    x = unit(np.stack(bend, axis=1))
    return Targets(
        fps=fps,
        pelvis_pos=state.root_pos,
        pelvis_rot=state.root_rot,
        torso_rot=poses.rotation(model.torso),
        foot_pos=foot,
        foot_rot=foot_rot,
        foot_yaw=lateral((foot_rot @ model.rest["foot"].transpose(0, 2, 1))[..., 1]),
        contact=np.asarray(contact, dtype=bool),
        thigh=unit(knee - hip),
        upper_arm=upper_arm,
        forearm=forearm,
        arm_rot=np.stack([x, cross(z, x, axis=-1), z], axis=-1),
        hand_rot=turn("hand"),
        hand_offset=np.zeros((len(state), 2, 3)),
        meeting=np.zeros(len(state)),
        bearing=np.full((len(state), len(BEARING)), np.inf),
        palm_pos=np.zeros((len(state), 2, 3)),
        holding=np.zeros((len(state), 2)),
        load=np.zeros((len(state), 2)),
    )


def _arm_frames(upper_arm: np.ndarray, forearm: np.ndarray, hint: np.ndarray) -> np.ndarray:
    """Frames of the upper arms, x in the direction of the elbow's bend, which is ``hint`` (..., 3) when straight."""
    z = -upper_arm
    bend = forearm - np.sum(forearm * z, axis=-1, keepdims=True) * z
    share = smoothstep((np.linalg.norm(bend, axis=-1, keepdims=True) - 0.15) / 0.25)
    straight = hint - np.sum(hint * z, axis=-1, keepdims=True) * z
    x = share * unit(bend) + (1 - share) * unit(straight)
    x = unit(x - np.sum(x * z, axis=-1, keepdims=True) * z)
    return np.stack([x, cross(z, x, axis=-1), z], axis=-1)
