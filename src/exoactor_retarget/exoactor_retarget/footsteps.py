"""Footsteps for a body that walks or turns on feet that do not step.

In estimates of a turning person, both feet often stay on the floor and pivot with the body, which a robot's feet cannot
do. The feet of such a person are placed anew, one after the other, under the position of the body in the middle of each
stance.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from exoactor_core.arrays import min_jerk, true_runs
from exoactor_retarget.contacts import foot_contacts, without_short
from exoactor_retarget.human import POINTS, TURNS, Posture
from exoactor_retarget.targets import headed, towards_upright

STEP_SECONDS, SWING_SECONDS = 0.7, 0.44
"""s per step, and of its foot in the air."""
LIFT_HEIGHT, SWAY_DISTANCE = 0.05, 0.045
"""m by which the foot is raised, and by which the body sways to the standing foot."""
_MAX_PAUSE = 0.5  # s of standing still that do not end a walk
_MAX_TWIST, _MIN_TWIST = 0.7, 0.15  # rad: turn over a standing foot; ignored at the slow ends of a turn
_MIN_TURN_SPEED = 0.2  # relative to a turn's maximum: slower turning before and after is drift of the estimate
_TOLERANCE, _FOOT_LEVER = 0.03, 0.15  # m that a foot may be off after a walk, and m per rad of its heading error
_SMOOTHING = 0.3  # s


def with_footsteps(person: Posture, goes: np.ndarray) -> Posture:
    """The motion with newly placed feet in frames (T,), as of `unreliable_walks`; unchanged if there are none.

    The body follows its path, smoothly and upright, and sways to the standing foot.
    """
    if not goes.any():
        return person
    fps, feet, heading = person.fps, person.at("foot"), headings(person, _SMOOTHING)
    base = gaussian_filter1d(feet[..., :2].mean(axis=1), _SMOOTHING * fps, axis=0, mode="nearest")
    across = headed(heading)[:, :2, :2]
    still = ~goes if not goes.all() else goes
    apart = np.median(-np.einsum("ti,ti->t", across[:, :, 1], np.diff(feet[..., :2], axis=1)[:, 0])[still])
    under = base[:, None] + 0.5 * apart * np.stack([across[:, :, 1], -across[:, :, 1]], axis=1)
    yaw = np.repeat(heading[:, None, None], 2, axis=1)
    foot_poses, lift = _walk(np.concatenate([under, yaw], axis=2), goes, fps)
    return _on_feet(person, foot_poses, lift, goes, base, heading, int(np.argmax(still)))


def unreliable_walks(person: Posture) -> np.ndarray:
    """Frames (T,) of all walks and turns, if in any the body turns farther than a standing foot allows; else none."""
    stands, heading = foot_contacts(person.contacts, person.fps, 0.08), headings(person, 0.2)
    speed = np.abs(np.gradient(heading))
    bad = np.zeros(len(person), dtype=bool)
    for first, end in (run for k in range(2) for run in true_runs(stands[:, k])):
        least, most = (first + at for at in sorted((heading[first:end].argmin(), heading[first:end].argmax())))
        turned = np.abs(heading[least : most + 1] - heading[[least, most], None])
        if turned.max() > _MAX_TWIST:  # turning to and fro before and after does not count
            begins = int(np.flatnonzero(turned[0] <= _MIN_TWIST)[-1]) + 1
            ends = begins + int(np.flatnonzero(turned[1, begins:] <= _MIN_TWIST)[0])
            turn = slice(least + begins, least + ends)
            turning = np.flatnonzero(speed[turn] >= _MIN_TURN_SPEED * speed[turn].max())
            bad[turn][turning[0] : turning[-1] + 1] = True
    return without_short(bad | ~stands.all(axis=1), round(_MAX_PAUSE * person.fps)) if bad.any() else bad


def headings(person: Posture, smoothing: float) -> np.ndarray:
    """Headings (T,) of the hips, rad, smoothed over so many s."""
    left = -np.diff(person.at("hip"), axis=1)[:, 0]
    heading = np.unwrap(np.arctan2(-left[:, 0], left[:, 1]))
    return gaussian_filter1d(heading, smoothing * person.fps, mode="nearest")


def _walk(under: np.ndarray, goes: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Poses of the feet, x, y m and yaw rad (T, 2, 3), and their lift (T, 2) m.

    ``under`` (T, 2, 3) are the foot poses under the body, which walks in frames (T,). Each foot is set down at the pose
    under the body in the middle of its stance; they step until they stand right.
    """
    step, swing = round(STEP_SECONDS * fps), round(SWING_SECONDS * fps)  # frames
    ahead = swing + (2 * step - swing) // 2
    progress = min_jerk((np.arange(swing) + 1.0) / swing)[:, None]
    height = LIFT_HEIGHT * np.sin(np.pi * (np.arange(swing) + 0.5) / swing) ** 2
    foot_poses, lift = np.repeat(under[:1], len(under), axis=0), np.zeros(under.shape[:2])
    at, swung = 0, -1
    while at + step < len(under):
        goal, feet = under[min(at + ahead, len(under) - 1)], foot_poses[at]
        error = np.linalg.norm((goal - feet) * [1.0, 1.0, _FOOT_LEVER], axis=1)
        if not goes[at : at + step].any() and (swung < 0 or error.max() < _TOLERANCE):
            at, swung = at + 1, -1
            continue
        swung = 1 - swung if swung >= 0 else int(error.argmax())
        foot_poses[at : at + swing, swung] += progress * (goal[swung] - feet[swung])
        foot_poses[at + swing :, swung] = goal[swung]
        lift[at : at + swing, swung] = height
        at += step
    return foot_poses, lift


def _on_feet(
    person: Posture,
    foot_poses: np.ndarray,
    lift: np.ndarray,
    goes: np.ndarray,
    base: np.ndarray,
    heading: np.ndarray,
    flat: int,
) -> Posture:
    """The person with feet as of `_walk`, flat as in a frame, with the body above ``base`` (T, 2), facing (T,) rad."""
    fps, foot = person.fps, POINTS.index("foot")
    points, soles, turns = (v.copy() for v in (person.points, person.soles, person.turns))
    moving = gaussian_filter1d(goes.astype(float), 0.2 * fps, mode="nearest")
    hips = person.at("hip").mean(axis=1)
    turn = headed(moving * (heading - headings(person, 0.02)))
    upper = turn @ towards_upright(person.turn("torso")[:, :, 1], moving)
    points = hips[:, None, None] + np.einsum("tij,tnkj->tnki", upper, points - hips[:, None, None])
    turns = upper[:, None] @ turns
    turns[:, TURNS.index("pelvis")] = (
        turn @ towards_upright(person.turn("pelvis")[:, :, 1], moving) @ person.turn("pelvis")
    )
    rough = hips[:, :2] - base
    calm = gaussian_filter1d(rough, _SMOOTHING * fps, axis=0, mode="nearest") - rough
    left = np.stack([-np.sin(heading), np.cos(heading)], axis=1)
    shift = gaussian_filter1d(lift[:, 1] - lift[:, 0], 0.08 * fps, mode="nearest")
    sway = SWAY_DISTANCE / LIFT_HEIGHT * shift[:, None] * left
    points[..., :2] += (moving[:, None] * calm + sway)[:, None, None]
    for k, side in enumerate(("left", "right")):
        which, its = TURNS.index(f"{side}_foot"), slice(2 * k, 2 * k + 2)
        ankle, to_toe = person.points[flat, foot, k], person.soles[flat, 2 * k + 1] - person.soles[flat, 2 * k]
        turn = headed(foot_poses[:, k, 2] - np.arctan2(to_toe[1], to_toe[0]))
        points[:, foot, k] = np.column_stack([foot_poses[:, k, :2], ankle[2] + lift[:, k]])
        turns[:, which] = turn @ person.turns[flat, which]
        soles[:, its] = points[:, foot, k, None] + np.einsum("tij,kj->tki", turn, person.soles[flat, its] - ankle)
    contacts = np.repeat(lift == 0.0, 2, axis=1).astype(float)
    return replace(person, points=points, soles=soles, turns=turns, contacts=contacts)
