"""Corrections of swapped detections: front and back, left and right limbs, and limbs mirrored in depth.

All are choices between two readings of every frame. They are chosen together, by dynamic programming over the frames
(Viterbi), such that the limbs accelerate least; a reading other than the detector's own has a cost.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from exoactor_pose.detection.anatomy import LANDMARK_NAMES
from exoactor_pose.detection.landmarks import Landmarks

_FLIP_COST, _SWAP_COST, _MIRROR_COST = (0.01, 0.5), (0.005, 0.25), (0.01, 0.1)
"""Costs of a frame read differently from the detector, and of a change of reading; m of second differences."""
_TWIST_COST = 0.1
"""Cost of a frame in which the hips face the other way than the shoulders, m: a spine twists far less."""

_LOST = 0.8
"""Detour of six points of the limbs, m, in one frame from which they are lost."""


def _other_side(name: str) -> str:
    side, _, part = name.partition("_")
    return {"left": f"right_{part}", "right": f"left_{part}"}.get(side, name)


_ARMS, _LEGS = np.arange(11, 23), np.arange(23, 33)
"""Landmarks, left and right in turn: shoulders, elbows, wrists, hands; hips, knees, ankles, feet."""
_HIPS = [23, 24]
_MIRRORED = np.array([LANDMARK_NAMES.index(_other_side(name)) for name in LANDMARK_NAMES])
"""Landmark on the other side, for each."""
_LIMB_POINTS = np.concatenate([_ARMS[:6], _LEGS[:6]])
"""Shoulders, elbows, wrists, hips, knees, ankles."""
_LIMBS = tuple((a + s, b + s, c + s) for a, b, c in ((11, 13, 15), (23, 25, 27)) for s in (0, 1))
"""Shoulder, elbow, wrist or hip, knee, ankle."""
_ENDS = {15: (17, 19, 21), 16: (18, 20, 22), 27: (29, 31), 28: (30, 32)}
"""Landmarks that move with a wrist or an ankle."""


def fix_front_back_flips(seen: Landmarks) -> tuple[Landmarks, int]:
    """Landmarks of a body that keeps facing one way when the detector turns it by half a turn at once.

    In an image, a body is hardly distinguishable from one that faces the other way, with mirrored depth. Which of the
    two readings is right for a whole clip is left open (see `facing_the_other_way`), and a body that turns slowly
    through the side view may be read as one that turns back: so the result is a second reading, not a correction.

    Returns
    -------
    The landmarks, and the number of frames that are read as facing the other way.
    """
    frames = np.flatnonzero(seen.found)
    if len(frames) < 5 or seen.world is None:
        return seen, 0
    image, world = seen.image.copy(), seen.world.copy()
    other = facing_the_other_way(seen)
    assert other.world is not None  # it is in the given landmarks
    scale = _metres_per_pixel(image[frames])
    own, turned = (
        np.concatenate([pixels[frames][:, _LIMB_POINTS, :2] * scale, space[frames][:, _LIMB_POINTS]], axis=-1)
        for pixels, space in ((image, world), (other.image, other.world))
    )
    readings = np.stack([own, turned], axis=1)
    kept = _kept(readings, 2 * _LOST)
    flipped = frames[kept][_choose(readings[kept], frames[kept], _FLIP_COST)]
    image[flipped], world[flipped] = other.image[flipped], other.world[flipped]
    return replace(seen, image=image, world=world), len(flipped)


def facing_the_other_way(seen: Landmarks) -> Landmarks:
    """Landmarks of the body that looks the same in the image but faces the other way, with mirrored depth."""
    world = None if seen.world is None else seen.world[:, _MIRRORED] * [1.0, 1.0, -1.0]
    return replace(seen, image=seen.image[:, _MIRRORED], world=world)


def fix_left_right_swaps(seen: Landmarks) -> tuple[Landmarks, int]:
    """Landmarks with limbs on their own side.

    Returns
    -------
    The landmarks, and the number of corrected frames.
    """
    frames = np.flatnonzero(seen.found)
    if len(frames) < 5:
        return seen, 0
    image, world = seen.image.copy(), None if seen.world is None else seen.world.copy()
    changed = np.zeros(len(seen), dtype=bool)
    scale = _metres_per_pixel(image[frames])
    # The arms first: legs then follow the shoulders, if motion alone does not decide, for example when they cross.
    for limbs in (_ARMS, _LEGS):
        features = [image[frames][:, limbs[:6], :2] * scale]
        if world is not None:
            features.append(world[frames][:, limbs[:6]])
        own = np.concatenate(features, axis=-1).reshape(len(frames), 3, 2, -1)
        readings = np.stack([own, own[:, :, ::-1]], axis=1).reshape(len(frames), 2, 6, -1)
        kept = _kept(readings)
        lost = np.setdiff1d(frames, frames[kept])
        image[lost[:, None], limbs, 2] *= 0.1
        twist = np.zeros(len(seen)) if limbs is _ARMS or world is None else _twist(world)
        against = _TWIST_COST * np.stack([-twist, twist], axis=1).clip(min=0.0)
        swapped = frames[kept][_choose(readings[kept], frames[kept], _SWAP_COST, against[frames[kept]])]
        changed[swapped] = True
        correct_hips = np.ix_(swapped[twist[swapped] > 0], _HIPS)
        for points in (image,) if world is None else (image, world):
            hips = points[correct_hips]
            points[np.ix_(swapped, limbs)] = points[np.ix_(swapped, _MIRRORED[limbs])]
            points[correct_hips] = hips
    return replace(seen, image=image, world=world), int(changed.sum())


def fix_mirrored_limbs(seen: Landmarks) -> tuple[Landmarks, int]:
    """Landmarks with limbs that lean towards the camera or away from it such that they move most evenly.

    A limb that moves through the image's plane looks like one that comes back: so the result is a second reading.

    Returns
    -------
    The landmarks, and the number of frames that are read differently.
    """
    frames = np.flatnonzero(seen.found)
    if len(frames) < 5 or seen.world is None:
        return seen, 0
    world, changed = seen.world.copy(), np.zeros(len(seen), dtype=bool)
    for joints in _LIMBS:
        for parent, child in pairwise(joints):
            bone = (world[:, child] - world[:, parent])[frames]
            mirrored = bone * [1.0, 1.0, -1.0]
            flipped = frames[_choose(np.stack([bone, mirrored], axis=1)[:, :, None], frames, _MIRROR_COST)]
            changed[flipped] = True
            below = [j for j in joints if j >= child]
            below += _ENDS[joints[-1]]
            shift = -2 * (world[flipped, child, 2] - world[flipped, parent, 2])
            world[np.ix_(flipped, below, [2])] += shift[:, None, None]
    return replace(seen, world=world), int(changed.sum())


def _metres_per_pixel(image: np.ndarray) -> float:
    """Approximate size of a pixel at the person: the trunk from shoulders to hips is half a metre long."""
    trunk = image[:, [11, 12], :2].mean(1) - image[:, [23, 24], :2].mean(1)
    return 0.5 / max(float(np.percentile(np.linalg.norm(trunk, axis=1), 80)), 1.0)


def _twist(world: np.ndarray) -> np.ndarray:
    """Cosine (T,) of the angle between the directions from right to left hip and shoulder, of points (T, 33, 3) m."""
    hips, shoulders = (world[:, k] - world[:, k + 1] for k in (23, 11))
    lengths = np.linalg.norm(hips, axis=1) * np.linalg.norm(shoulders, axis=1)
    return np.sum(hips * shoulders, axis=1) / np.maximum(lengths, 1e-9)


def _kept(readings: np.ndarray, lost: float = _LOST) -> np.ndarray:
    """Indices of the frames of (F, 2, K, D) without those in which the limbs are lost.

    There the limbs leave their path, in any reading, and come back at once: detectors do so when they change from one
    reading to the other.
    """
    kept = np.arange(len(readings))

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.linalg.norm(a[:, :1] - b, axis=-1).sum(-1).min(1)

    for _ in range(3):
        r = readings[kept]
        detour = np.zeros(len(kept))
        detour[1:-1] = distance(r[:-2], r[1:-1]) + distance(r[1:-1], r[2:]) - distance(r[:-2], r[2:])
        peak = (detour >= np.roll(detour, 1)) & (detour >= np.roll(detour, -1)) & (detour > lost)
        if not peak.any():
            break
        kept = kept[~peak]
    return kept


def _choose(
    readings: np.ndarray, frames: np.ndarray, cost: tuple[float, float], against: np.ndarray | float = 0.0
) -> np.ndarray:
    """Whether the second of two readings (F, 2, K, D) m of the frames numbered ``frames`` is likelier: (F,) bool.

    ``against`` (F, 2) m are additional costs of each.
    """
    count, (other, change) = len(readings), cost
    own = np.broadcast_to(against + np.array([[0.0, other]]), (count, 2))
    changed = change * np.array([[0.0, 1.0], [1.0, 0.0]])
    a, b, c = readings[:-2], readings[1:-1], readings[2:]
    bend = a[:, :, None, None] - 2 * b[:, None, :, None] + c[:, None, None, :]
    moved = c[:, None] - b[:, :, None]  # also counts: if limbs are lost for a frame, they bend in any reading
    costs = np.linalg.norm(bend, axis=-1).sum(-1)  # (F - 2, first, second, third)
    costs += 0.5 * np.linalg.norm(moved, axis=-1).sum(-1)[:, None]
    costs[frames[2:] - frames[:-2] > 5] = 0.0  # unknown across a gap
    costs += own[2:, None, None] + changed
    total = own[0][:, None] + own[1] + changed
    came_from = np.empty((count - 2, 2, 2), dtype=np.int8)
    for k in range(count - 2):
        ways = total[:, :, None] + costs[k]
        came_from[k] = ways.argmin(axis=0)
        total = ways.min(axis=0)
    out = np.empty(count, dtype=bool)
    out[-2:] = np.unravel_index(int(total.argmin()), (2, 2))
    for k in range(count - 3, -1, -1):
        out[k] = came_from[k, int(out[k + 1]), int(out[k + 2])]
    return out
