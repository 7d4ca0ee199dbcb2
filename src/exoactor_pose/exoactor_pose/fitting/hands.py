"""Hands: 21 landmarks of each visible hand, and from them finger bends and wrist rotations.

The landmarks are those of MediaPipe's hand model (wrist, then thumb, index, middle, ring and little finger from the
palm to the tip, four each). It processes a square around the hand, placed by the wrist and the knuckles of the 33 body
landmarks as in MediaPipe's holistic graph (``hand_detections_from_pose_to_rects_calculator.cc``).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from exoactor_core.arrays import frames_along, unit
from exoactor_core.contacts import SIDES
from exoactor_core.rotations import wrap
from exoactor_pose.detection.anatomy import LANDMARK_NAMES
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.detection.mediapipe_graphs import Graph, landmark_array

HAND_SEARCH_RATE = 6.0
"""Hz, rate at which hands are searched: each run takes about 20 ms of CPU."""

_REGION_SCALE = 4.0
"""Side of the square relative to the distance from the wrist to the knuckles."""
_MIN_REGION_PX = 20.0
"""px: a smaller square shows no fingers."""
_MIN_WRIST_VISIBILITY = 0.2
"""Visibility of the wrist, in [0, 1], below which a hand is hidden: what the model finds there is seldom this hand."""
_MIN_LENGTH_RATIO = 0.25
"""Minimum distance from the wrist to the knuckles relative to the length of the forearm, or to half the shoulder width
if that is larger: a hand that points at the camera is larger than it looks."""
_POINTS = np.array([[LANDMARK_NAMES.index(f"{s}_{p}") for p in ("wrist", "index", "pinky", "elbow")] for s in SIDES])
_SHOULDERS = [LANDMARK_NAMES.index(f"{s}_shoulder") for s in SIDES]

_CHAINS = np.array([[0, 5, 6, 7, 8], [0, 9, 10, 11, 12], [0, 17, 18, 19, 20], [0, 13, 14, 15, 16], [0, 1, 2, 3, 4]])
"""Landmarks along index, middle, little, ring finger and thumb: SMPL-X's order of fingers."""
_MAX_BEND = np.array([1.7, 1.9, 1.4])
"""rad, maximum bend of the three joints of a finger."""
_SMOOTHING_SECONDS, _HOLD_SECONDS = 0.1, 0.5
"""s: averaging time of measurements, and time for which they are held while the hand is hidden."""


class HandFinder:
    """Finds the 21 landmarks of both hands in an image. It runs in every n-th call only; in others nothing is found."""

    def __init__(self, every: int = 1) -> None:
        self.every, self._calls = max(1, int(every)), 0
        self._graph = Graph("HandLandmarkCpu", ("LANDMARKS", "WORLD_LANDMARKS", "HANDEDNESS"), roi=True)

    def __call__(self, frame: np.ndarray, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Search both hands in a frame, (H, W, 3) uint8 RGB, by the body's landmarks (33, 3): x px, y px, visibility.

        Returns
        -------
        (2, 21, 3) left and right hand: x px, y px, confidence that it is this hand (0: not seen); and (2, 21, 3) m
        relative to the hand's centre, x right, y down, z away from the camera.
        """
        image, world = np.zeros((2, 21, 3)), np.zeros((2, 21, 3))
        self._calls += 1
        if (self._calls - 1) % self.every:
            return image, world
        for side in range(2):
            square = hand_region(body, side)
            if square is None or not (0 <= square[0] < frame.shape[1] and 0 <= square[1] < frame.shape[0]):
                continue
            got = self._graph(frame, square)
            if len(got) == 3:
                image[side] = landmark_array(got["LANDMARKS"])[:, :3] * [frame.shape[1], frame.shape[0], 0.0]
                image[side, :, 2] = _side_confidence(got["HANDEDNESS"], side)
                world[side] = landmark_array(got["WORLD_LANDMARKS"])[:, :3]
        return image, world

    def close(self) -> None:
        """End the graph's threads."""
        self._graph.close()


def _side_confidence(handedness: Any, side: int) -> float:
    """Confidence that this is the hand of a side; the model names hands as seen in a mirror."""
    from mediapipe.python import packet_getter

    guess = packet_getter.get_proto(handedness).classification[0]
    return guess.score if (guess.label == "Right") == (side == 0) else 1.0 - guess.score


def hand_region(body: np.ndarray, side: int) -> np.ndarray | None:
    """Square around a hand: x, y of its centre and its side in px, its rotation in rad; None: too small, or hidden.

    ``body`` (33, 3) are the body's landmarks: x px, y px, visibility; ``side`` is 0 left, 1 right.
    """
    if body[_POINTS[side][0], 2] < _MIN_WRIST_VISIBILITY:
        return None
    wrist, index, pinky, elbow = body[_POINTS[side], :2]
    across = (2 * index + pinky) / 3 - wrist
    shoulders = body[_SHOULDERS[0], :2] - body[_SHOULDERS[1], :2]
    arm = max(float(np.linalg.norm(wrist - elbow)), 0.5 * float(np.linalg.norm(shoulders)))
    length = max(float(np.linalg.norm(across)), _MIN_LENGTH_RATIO * arm)
    if _REGION_SCALE * length < _MIN_REGION_PX:
        return None
    turn = np.arctan2(across[0], -across[1])  # 0 if the fingers point up, clockwise in the image
    return np.array([*(wrist + across), _REGION_SCALE * length, turn])


# --- fingers ----------------------------------------------------------------------------------------------------------


def finger_bends(image: np.ndarray, world: np.ndarray | None = None) -> np.ndarray:
    """Bend of the finger joints, from the hands' landmarks in the image and, if known, in space, m.

    The model makes small hands too flat in depth, and an image hides bends along the line of sight: of both, (..., 21,
    3) each, the larger bend counts.

    Returns
    -------
    (..., 5, 3) rad, 0 for a flat hand: index, middle, little, ring finger, thumb, each from the palm to the tip. The
    thumb's first is 0.
    """
    bends = bends_in_image(image)
    if world is not None:
        bends = np.maximum(bends, bends_in_space(world))
    return np.clip(bends, 0.0, _MAX_BEND)


def bends_in_image(image: np.ndarray) -> np.ndarray:
    """(..., 5, 3) rad, as `finger_bends`: a straight finger is straight from all sides."""
    bones = np.diff(image[..., :2][..., _CHAINS, :], axis=-2)
    bends = _angles(bones[..., :-1, :], bones[..., 1:, :])
    bends[..., :4, 0] = bends[..., :4, 1]  # palm bones are spread; first joints bend like the second
    bends[..., 4, 0] = 0.0
    return bends


def bends_in_space(world: np.ndarray) -> np.ndarray:
    """(..., 5, 3) rad, as `finger_bends`, the same for mirror images."""
    bones = np.diff(world[..., _CHAINS, :], axis=-2)
    along, _, palm = np.moveaxis(_palm(world), -1, 0)
    rise = np.einsum("...fbk,...k->...fb", bones[..., :4, :, :], palm)
    reach = np.einsum("...fbk,...k->...fb", bones[..., :4, :, :], along)
    bends = np.zeros((*world.shape[:-2], 5, 3))
    bends[..., :4, :] = wrap(np.diff(np.arctan2(rise, reach) * [0, 1, 1, 1], axis=-1))  # relative to the palm's plane
    # Fingers bend towards the palm: otherwise the hand was mistaken for its mirror image.
    bends[..., :4, :] *= np.where(bends[..., :4, :].sum(axis=(-1, -2), keepdims=True) < 0, -1.0, 1.0)
    bends[..., 4, 1:] = _angles(bones[..., 4, 1:-1, :], bones[..., 4, 2:, :])
    return bends


def _palm(points: np.ndarray) -> np.ndarray:
    """Axes of the palm as columns, (..., 3, 3): to the middle knuckle, to the thumb's side, and their cross product.

    The last one leaves the left hand through the palm and the right hand through its back.
    """
    return frames_along(points[..., 9, :] - points[..., 0, :], points[..., 5, :] - points[..., 17, :])


def _angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip(np.sum(unit(a) * unit(b), axis=-1), -1.0, 1.0))


_FINGER_AXIS = np.array([0.0, 0.0, -1.0])
_THUMB_AXIS = np.array([0.35, 0.85, -0.40])
"""Bending axes in the left hand of the rest pose, palm down, fingers along x, thumb along x and z: fingers bend down,
the thumb down and under the palm. The right hand is the mirror image."""
_MIRRORED = np.array([1.0, -1.0, -1.0])
"""Effect of mirroring at x = 0 on an axis of rotation."""


def hand_pose(seen: Landmarks) -> np.ndarray:
    """Finger bends over time: SMPL-X's (T, 90) axis-angle, flat (zeros) if a hand was not seen for long."""
    pose = np.zeros((len(seen), 2, 5, 3, 3))
    if seen.hands is not None:
        weight = seen.hands[..., 2].mean(axis=-1)
        bends = finger_bends(seen.hands, seen.hands_world)
        axes = np.concatenate([np.tile(_FINGER_AXIS, (4, 1)), _THUMB_AXIS[None] / np.linalg.norm(_THUMB_AXIS)])
        for side in range(2):
            smooth = _smoothed(bends[:, side].reshape(len(seen), 15), weight[:, side], seen.fps).reshape(-1, 5, 3, 1)
            pose[:, side] = smooth * (axes * _MIRRORED if side else axes)[:, None]
    return pose.reshape(len(seen), 90)


def _smoothed(values: np.ndarray, weight: np.ndarray, fps: float) -> np.ndarray:
    """Weighted mean over time of (T, N), which is held through gaps and then decays to zero."""
    total, share = np.zeros_like(values), np.full(len(values), 3e-3 / fps)
    for seconds, part in ((_SMOOTHING_SECONDS, 1.0), (_HOLD_SECONDS, 0.03)):
        sigma = seconds * fps
        blur = partial(gaussian_filter1d, sigma=sigma, axis=0, mode="constant", truncate=5.0)
        total += part * blur(weight[:, None] * values)
        share += part * blur(weight)
    return total / share[:, None]


# --- wrists -----------------------------------------------------------------------------------------------------------

_SHARED_LANDMARKS = (("pinky", 17, 0.17), ("index", 5, 0.17), ("thumb", 2, 0.11))
"""Body landmark, the hand's landmark at the same joint, and how far beyond it the body's is (see `anatomy`), relative
to the length of the palm."""


def with_hand_landmarks(seen: Landmarks) -> Landmarks:
    """Replace the body's landmarks of knuckles and thumbs by the hands' landmarks.

    These are accurate to a pixel or two, so that the fit finds the rotation of the wrists. Between two runs, and while
    a hand is hidden, the correction is smoothed like the fingers.
    """
    if seen.hands is None:
        return seen
    image = seen.image.copy()
    for side in range(2):
        hand = seen.hands[:, side, :, :2]
        # below one half it may as well be the other hand, with its knuckles in reverse order
        weight = np.clip(2.0 * seen.hands[:, side, :, 2].mean(axis=-1) - 1.0, 0.0, 1.0)
        for name, point, beyond in _SHARED_LANDMARKS:
            k = LANDMARK_NAMES.index(f"{SIDES[side]}_{name}")
            moved = hand[:, point] + beyond * (hand[:, 9] - hand[:, 0]) - image[:, k, :2]
            image[:, k, :2] += _smoothed(moved, weight, seen.fps)
    return replace(seen, image=image * seen.found[:, None, None])
