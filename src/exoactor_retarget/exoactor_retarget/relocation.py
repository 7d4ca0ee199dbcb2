"""A person's motion relocated to the objects: shifted while they step, with additional steps where needed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from exoactor_core.arrays import smoothstep, true_runs
from exoactor_retarget.footsteps import headings
from exoactor_retarget.human import POINTS, TURNS, Posture
from exoactor_retarget.targets import bridge, headed

_STEP_SECONDS, _SWING_SECONDS = 0.5, 0.36  # s of an inserted step, and of its foot in the air
_REST_SECONDS = 0.5  # s of standing after steps before bending down, since the robot's feet lag
_LIFT_HEIGHT = 0.05  # m
_SWAY_DISTANCE = 0.03  # m towards the standing foot
_MAX_STEP_LENGTH = 0.22  # m
_MIN_APART = 0.14  # m, lateral distance of the feet's centres
_MAX_STRETCH = 0.12  # m, maximum extension of one of the person's steps
_WALKING_SPEEDS = 0.2, 0.4  # m/s between which the body starts to turn in the direction of motion
_MAX_TURN = 0.8  # rad, maximum turn relative to the person's heading


class Stance(NamedTuple):
    """Frames in which contacts determine the robot's position."""

    first: int
    last: int
    """Inclusive."""
    shift: np.ndarray
    """(2,) m from the position given by the person's scale."""


def moved(person: Posture, stands: np.ndarray, shift: np.ndarray, turn: np.ndarray) -> Posture:
    """The motion with each frame shifted by (T, 2) m and turned by (T,) rad about the hips; standing feet stay.

    ``stands`` is (T, 2) bool.
    """
    pivot = person.at("hip").mean(axis=1)[:, :2]
    cosine, sine = np.cos(turn), np.sin(turn)
    across = np.array([[cosine, -sine], [sine, cosine]]).transpose(2, 0, 1)

    def carried(points: np.ndarray) -> np.ndarray:
        out = points.copy()
        about = pivot.reshape(-1, *[1] * (points.ndim - 2), 2)
        to = (pivot + shift).reshape(about.shape)
        out[..., :2] = np.einsum("tij,t...j->t...i", across, points[..., :2] - about) + to
        return out

    points, soles, turns = carried(person.points), person.soles.copy(), headed(turn)[:, None] @ person.turns
    foot = POINTS.index("foot")
    offsets = points[:, foot, :, :2] - person.points[:, foot, :, :2]
    held = _held(person, offsets, stands, turn)
    for k, side in enumerate(("left", "right")):
        own, yaw = person.points[:, foot, k], turn[:, None].copy()
        for a, b in true_runs(stands[:, k]):
            yaw[a:b] = turn[(a + b - 1) // 2]
        offset = bridge(offsets[:, k], held[:, k], stands[:, k])
        yaw = bridge(turn[:, None], yaw, stands[:, k])[:, 0]
        points[:, foot, k] = own
        points[:, foot, k, :2] += offset
        turned, which = headed(yaw), TURNS.index(f"{side}_foot")
        turns[:, which] = turned @ person.turns[:, which]
        sole = slice(2 * k, 2 * k + 2)
        arm = person.soles[:, sole] - own[:, None]
        soles[:, sole] = points[:, foot, k, None] + np.einsum("tij,tkj->tki", turned, arm)
    return replace(person, points=points, turns=turns, soles=soles)


def _held(person: Posture, offsets: np.ndarray, stands: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Offsets (T, 2, 2) m of the feet, constant while each stands, and such that no foot is set down on the other."""
    feet, held = person.at("foot")[..., :2], offsets.copy()
    left = headed(headings(person, 0.02) + turn)[:, :2, 1]
    runs = sorted((a, b, k) for k in range(2) for a, b in true_runs(stands[:, k]))
    for a, b, k in runs:
        held[a:b, k] = offsets[(a + b - 1) // 2, k]
        if a and stands[a, 1 - k]:
            outward = left[a] if k == 0 else -left[a]
            own = float((feet[a, k] - feet[a, 1 - k]) @ outward)
            gap = own + float((held[a, k] - held[a, 1 - k]) @ outward)
            held[a:b, k] += max(min(_MIN_APART, own) - gap, 0.0) * outward
    return held


def heading_change(person: Posture, shift: np.ndarray) -> np.ndarray:
    """Turn (T,) rad of a walking body due to a shift of its path by (T, 2) m."""
    path = gaussian_filter1d(person.at("hip").mean(axis=1)[:, :2], 0.2 * person.fps, axis=0, mode="nearest")
    old = np.gradient(path, axis=0) * person.fps
    new = np.gradient(path + gaussian_filter1d(shift, 0.2 * person.fps, axis=0, mode="nearest"), axis=0) * person.fps
    angle = np.arctan2(old[:, 0] * new[:, 1] - old[:, 1] * new[:, 0], np.sum(old * new, axis=1))
    slower = np.minimum(np.linalg.norm(old, axis=1), np.linalg.norm(new, axis=1))
    share = smoothstep((slower - _WALKING_SPEEDS[0]) / (_WALKING_SPEEDS[1] - _WALKING_SPEEDS[0]))
    return gaussian_filter1d(share * np.clip(angle, -_MAX_TURN, _MAX_TURN), 0.25 * person.fps, mode="nearest")


def steps_needed(way: np.ndarray, heading: float, swings: int) -> int:
    """Number of steps to insert to go further by ``way`` (2,) m, given the steps that the person takes anyway.

    A step to the side of the ``heading`` (rad) is half as long, since the feet get closer to each other by its length.
    """
    ahead, aside = headed(np.array([heading]))[0, :2, :2].T @ way
    left = float(np.hypot(ahead, 2.0 * aside)) - _MAX_STRETCH * swings
    return 0 if left < 0.04 else int(np.ceil(left / _MAX_STEP_LENGTH))


def with_steps(person: Posture, frame: int, count: int, shift: np.ndarray) -> tuple[Posture, np.ndarray, int]:
    """Insert ``count`` alternating steps on the spot after a frame, and one more that closes the feet.

    Parameters
    ----------
    shift
        (2,) m by which the steps will be shifted: the foot on that side steps first.

    Returns
    -------
    posture
        The longer motion.
    sway
        (T, 2) m, sway towards the standing foot.
    frames
        Number of inserted frames.
    """
    fps = person.fps
    step_frames, swing_frames = round(_STEP_SECONDS * fps), round(_SWING_SECONDS * fps)
    added = (count + 1) * step_frames
    index = np.r_[np.arange(frame + 1), np.full(added, frame), np.arange(frame + 1, len(person))]
    arrays = {name: getattr(person, name)[index].copy() for name in ("points", "turns", "soles", "contacts")}
    feet = person.at("foot")[frame, :, :2]
    across = feet[0] - feet[1]
    left = across / max(float(np.linalg.norm(across)), 1e-6)
    first = 0 if shift @ left > 0 else 1
    sway = np.zeros((len(index), 2))
    foot = POINTS.index("foot")
    for step in range(count + 1):
        k = (first + step) % 2
        begin = frame + 1 + step * step_frames + (step_frames - swing_frames) // 2
        swing = slice(begin, begin + swing_frames)
        bump = np.sin(np.pi * (np.arange(swing_frames) + 0.5) / swing_frames) ** 2
        arrays["points"][swing, foot, k, 2] += _LIFT_HEIGHT * bump
        arrays["soles"][swing, 2 * k : 2 * k + 2, 2] += _LIFT_HEIGHT * bump[:, None]
        arrays["contacts"][swing, 2 * k : 2 * k + 2] = 0.0
        sway[swing] += (-1.0 if k == 0 else 1.0) * _SWAY_DISTANCE * bump[:, None] * left
    return replace(person, **arrays), gaussian_filter1d(sway, 0.08 * fps, axis=0, mode="nearest"), added


def swing_count(stands: np.ndarray) -> int:
    """Number of times that a foot is set down in (T, 2)."""
    return int((stands[1:] & ~stands[:-1]).sum())


def standing_frame(person: Posture, stands: np.ndarray, first: int, last: int) -> int:
    """A frame in a range in which the person stands upright on both feet, for `_REST_SECONDS` more or after steps."""
    hips = person.at("hip").mean(axis=1)[first : max(first, last) + 1, 2]
    both = stands[first : first + len(hips)].all(axis=1)
    height = np.where(both, hips, 0.0)
    upright = np.flatnonzero(height >= 0.98 * height.max())
    stepped = np.flatnonzero(~both)
    stepped = stepped[stepped < upright[-1]]
    if len(stepped):
        return first + int(upright[np.searchsorted(upright, stepped[-1])])
    return first + int(upright[max(0, len(upright) - 1 - round(_REST_SECONDS * person.fps))])


def along_steps(placed: list[Stance], stands: np.ndarray, person: Posture) -> np.ndarray:
    """Shift (T, 2) m from one stance to the next while the feet step, in proportion to the body's motion."""
    middle = person.at("hip").mean(axis=1)[:, :2]
    smooth = gaussian_filter1d(middle, 0.2 * person.fps, axis=0, mode="nearest")
    speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=1)
    stepping = gaussian_filter1d((~stands).any(axis=1).astype(float), 0.08 * person.fps, mode="nearest")
    done = np.cumsum(np.minimum(stepping * (speed + 0.1 / person.fps), 0.05))
    shift = np.repeat(placed[-1].shift[None], len(middle), axis=0)
    for (_, begin, before), (end, last, after) in pairwise(placed):
        share = (done[begin : end + 1] - done[begin]) / max(done[end] - done[begin], 1e-9)
        shift[begin : end + 1] = before + share[:, None] * (after - before)
        shift[end : last + 1] = after
    return shift
