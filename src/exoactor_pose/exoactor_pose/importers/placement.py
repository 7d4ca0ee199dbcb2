"""From a person's track to a HumanMotion: gaps closed, feet on the floor, starting at the origin facing +x."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial.transform import Rotation, Slerp

from exoactor_core.arrays import interpolate
from exoactor_core.body import STATURE, BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.motion import HumanMotion
from exoactor_core.rotations import FROM_Y_UP
from exoactor_pose.fitting.contacts import contacts_of
from exoactor_pose.importers.recording import Person
from exoactor_pose.origin import at_origin

MAX_FLOOR_STEP = 0.12
"""m: a foot that rests farther than this from the floor of earlier steps rests on something else."""
DRIFT_SECONDS = 0.5
"""s over which the floor is smoothed, and within which it may drift by less than `MAX_FLOOR_STEP`."""
MIN_UPRIGHT_COSINE = 0.75
"""Minimum cosine between the trunk and the vertical of a standing person."""


def z_up(person: Person) -> tuple[Person, tuple[str, ...]]:
    """Turn a person, with a note, who stands along the y axis of a file that should have z up.

    This is assumed if trunk and straight legs point along y in nearly all frames, the soles return to one height along
    y, and either the person moves far along z, or y = 0 is at the soles and z = 0 is not where the back of a lying
    person would be.

    Raises
    ------
    BadInput
        They either stand or lie along y, and the file does not tell which.
    """
    along = person.root[:, 1, 1]
    finite = all(np.isfinite(values).all() for values in (person.root, person.pelvis, person.body_pose))
    if not finite or len(along) == 0 or (np.abs(along) > MIN_UPRIGHT_COSINE).mean() < 0.9:
        return person, ()  # non-finite values are refused by name later
    down = np.median(along) < 0
    axis = -1.0 if down else 1.0
    turn = FROM_Y_UP @ np.diag([1.0, axis, axis])
    body = BodyModel.load()
    motion = HumanMotion(
        30.0, person.pelvis, Rotation.from_matrix(person.root).as_rotvec(), person.body_pose, np.zeros(10)
    )
    soles = axis * body.foot_points(motion)[..., 1].min(axis=1)
    rest = body.rest_pelvis_height(motion.betas)
    legs = axis * body.joints(motion)[:, 0, 1] - soles
    if np.median(legs) < 0.75 * rest or np.ptp(np.percentile(soles, [5, 95])) > 0.25:
        return person, ()  # on hands and knees, or lying on the floor
    low = person.pelvis[:, 2].min() > 0.05 and person.pelvis[:, 2].max() < 0.35  # like a pelvis on a floor at z = 0
    floors = np.median(soles) - np.array([0.0, body.rest_joints(motion.betas)[0, 1]])  # some files store the pelvis
    on_floor_y = not down and np.abs(floors).min() < 0.2
    if np.ptp(person.pelvis[:, 2]) < 0.4 and (low or not on_floor_y):
        raise BadInput(
            "the person stands or lies along the y axis throughout, and the file does not say which: "
            "turn the motion so that z is up or, where the person lies, about z."
        )
    side = "down" if down else "up"
    note = f"The person stands along the file's y axis: y was taken as {side}, and the motion turned so that z is up."
    return replace(person, root=turn @ person.root, pelvis=person.pelvis @ turn.T), (note,)


def human_motion(person: Person, fps: float) -> HumanMotion:
    """The motion of a track.

    The body is the project's own, with the person's height; nothing else of the shape is kept, since shape coefficients
    are specific to their model. Pose and path are kept.
    """
    person = without_gaps(person)
    body = BodyModel.load()
    betas = np.zeros(10)
    betas[0] = (person.stature - STATURE) / (0.06 * STATURE)
    motion = HumanMotion(
        fps=fps,
        transl=person.pelvis - body.rest_joints(betas)[0],
        global_orient=Rotation.from_matrix(person.root).as_rotvec(),
        body_pose=person.body_pose,
        betas=betas,
        hand_pose=person.hand_pose,
        contacts=person.contacts,
        confidence=person.confidence,
    )
    return on_floor(motion, body, person.contacts is None)


def without_gaps(person: Person) -> Person:
    """Every frame from the first to the last; missing ones are interpolated, with confidence 0.

    Raises
    ------
    BadInput
        There are no frames, or a number is not finite.
    """
    frames = person.frames
    if len(frames) == 0:
        raise BadInput("there are no frames.")
    for name in ("root", "pelvis", "body_pose", "hand_pose", "contacts", "confidence"):
        value = getattr(person, name)
        if value is not None and not np.isfinite(value).all():
            bad = np.argwhere(~np.isfinite(value).reshape(len(value), -1).all(axis=1))[0][0]
            raise BadInput(f"its {name} holds a number that is not finite, first in frame {bad}.")
    every = np.arange(frames[0], frames[-1] + 1)
    if len(every) == len(frames):
        return person

    def turning(axis_angle: np.ndarray) -> np.ndarray:
        joints = axis_angle.reshape(len(frames), -1, 3).swapaxes(0, 1)
        turned = [Slerp(frames, Rotation.from_rotvec(joint))(every).as_rotvec() for joint in joints]
        return np.stack(turned, axis=1).reshape(len(every), -1)

    confidence = np.zeros(len(every))
    confidence[frames - frames[0]] = 1.0 if person.confidence is None else person.confidence
    return replace(
        person,
        frames=every,
        root=Slerp(frames, Rotation.from_matrix(person.root))(every).as_matrix(),
        pelvis=interpolate(every, frames, person.pelvis),
        body_pose=turning(person.body_pose),
        hand_pose=None if person.hand_pose is None else turning(person.hand_pose),
        contacts=None if person.contacts is None else interpolate(every, frames, person.contacts),
        confidence=confidence,
    )


def on_floor(motion: HumanMotion, body: BodyModel, find_contacts: bool) -> HumanMotion:
    """The motion on the floor z = 0, starting at x = y = 0 facing +x.

    The floor is where the feet rest; slow drift is followed, but a foot that rests on a block does not move it. Parts
    that remain below the floor are lifted smoothly.
    """
    soles = body.foot_points(motion)
    contacts = contacts_of(soles, motion.fps) if find_contacts else np.asarray(motion.contacts)
    floor = floor_under(soles[..., 2], contacts, motion.fps)
    below = maximum_filter1d(np.maximum(floor - soles[..., 2].min(axis=1), 0.0), 2 * round(0.2 * motion.fps) + 1)
    up = gaussian_filter1d(below, max(1.0, 0.07 * motion.fps), truncate=3.0, mode="nearest") - floor

    transl = motion.transl + up[:, None] * [0, 0, 1]
    return at_origin(replace(motion, transl=transl, contacts=contacts), body)


def floor_under(heights: np.ndarray, contacts: np.ndarray, fps: float) -> np.ndarray:
    """Height of the floor (T,) m from heights (T, 4) m and contacts (T, 4) of the sole points."""
    weight = contacts.sum(axis=1)
    rest = (heights * contacts).sum(axis=1) / np.maximum(weight, 1e-9)
    standing = weight > 0.5
    if standing.sum() < 0.1 * fps:  # in the air all the time: use the lowest point
        return np.full(len(heights), np.percentile(heights.min(axis=1), 5))
    near = _on_floor_frames(np.where(standing, rest, np.nan), _mode_median(rest[standing], MAX_FLOOR_STEP), fps)
    drift = np.interp(np.arange(len(heights)), np.flatnonzero(near), rest[near])
    return gaussian_filter1d(drift, DRIFT_SECONDS * fps, mode="nearest")


def _on_floor_frames(rest: np.ndarray, floor: float, fps: float) -> np.ndarray:
    """Frames (T,) in which feet rest on the drifting floor: heights (T,) m, NaN if no foot rests."""
    near = np.zeros(len(rest), dtype=bool)
    start = int(np.nanargmin(np.abs(rest - floor)))
    share = 1 - np.exp(-1 / (DRIFT_SECONDS * fps))
    for frames in (range(start, len(rest)), range(start, -1, -1)):
        present = floor
        for k in frames:
            if abs(rest[k] - present) < MAX_FLOOR_STEP:
                near[k] = True
                present += share * (rest[k] - present)
    return near


def _mode_median(values: np.ndarray, width: float) -> float:
    """Median of the values in the interval of this width that contains the most of them."""
    order = np.sort(values)
    ends = np.searchsorted(order, order + width, side="right")
    first = int(np.argmax(ends - np.arange(len(order))))
    return float(np.median(order[first : ends[first]]))
