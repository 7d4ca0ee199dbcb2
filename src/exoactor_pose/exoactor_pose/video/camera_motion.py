"""Rotation of the camera during a video, from the background.

Corners of the background are followed from keyframes (Lucas and Kanade's optical flow on small grey images, the
person masked out). A camera that stands still and turns moves every one of them, near or far, by K R K^-1, so two of
them give R: RANSAC finds the turn that most agree with. Every image is compared with the keyframe nearest to it in
direction, not with the image before, so errors do not add up, and a camera that comes back comes back exactly.

Sources: B. Lucas and T. Kanade, IJCAI 1981; M. Fischler and R. Bolles, "Random sample consensus", 1981; rotation of a
panorama's camera, R. Hartley and A. Zisserman, "Multiple View Geometry", 2004, 8.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.spatial.transform import Rotation, Slerp

from exoactor_core.arrays import unit
from exoactor_pose.fitting.camera import Camera

IMAGE_WIDTH = 320
"""Maximum width of the images, px."""
SAMPLE_RATE = 10.0
"""Hz, rate of the processed images; the rotation is interpolated in between."""
MAX_CORNERS = 160
MIN_CORNER_STRENGTH = 2e-8
"""Strength of a corner (Harris and Stephens, 1988), images in [0, 1]: less is coding noise."""
HARRIS_K = 0.08
"""Harris' k: how clearly a corner must differ from an edge."""
MAX_PAIRS = 64
"""Maximum number of corners kept per comparison."""
MIN_CORNERS = 8
"""Fewer corners are no evidence."""
INLIER_DISTANCE = 1.0
"""px of the small image: maximum distance of a corner from its predicted position."""
MAX_PATCH_DIFFERENCE = 8.0
"""Grey levels by which a corner's surroundings may differ from the keyframe's: otherwise it is occluded."""
STILL_ANGLE_DEG = 0.25
"""A camera that never turns farther is still."""
KEYFRAME_ANGLE_DEG = 12.0
"""Distance to the closest keyframe from which a new one is taken."""
MIN_EXPLAINED_SHARE = 0.75
"""Share of the static corners that a rotation must explain; otherwise the camera travels or zooms."""
MIN_TRAVEL_SHARE = 0.2
"""Minimum share of the time for which it must travel to be followed: see `exoactor_pose.fitting.fit`."""
FOCAL_RATIOS = np.geomspace(0.45, 2.0, 16)
"""Focal lengths that are tried, relative to an assumed one: a wrong one makes rotations look like motion..."""
FOCAL_SEARCH_SAMPLES = 50
"""...on about so many samples."""
CORNER_NOISE = 0.1
"""px of the small image: accuracy of following corners, at best."""


@dataclass(eq=False)
class _Keyframe:
    image: np.ndarray
    points: np.ndarray
    """(N, 2) px of the small image."""
    rotation: np.ndarray
    """(3, 3) from the first camera to this one."""


class CameraMotion:
    """Call it with every frame of a video in order, then query `rotations`.

    Of the camera the focal lengths and the centre are used: a wrong focal length scales the angles.
    """

    def __init__(self, fps: float, camera: Camera) -> None:
        self.fps, self.camera = fps, camera
        self.every = max(1, round(fps / SAMPLE_RATE))
        self._random = np.random.default_rng(0)
        self._frame = 0
        self._sampled: list[int] = []
        self._rotations: list[np.ndarray] = []
        self._pairs: list[list[np.ndarray]] = []
        """For every processed image and every keyframe it was compared with: (2, M, 2) px, positions of static corners
        before and after; none if there were too few."""
        self._keyframes: list[_Keyframe] = []
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        """Image and mask of the last processed frame."""
        self._explained: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        """Results of `explained` for the frames so far, by the first frame and the one after the last."""

    def __call__(self, frame: np.ndarray, landmarks: np.ndarray | None) -> None:
        """Add the next frame, (H, W, 3) uint8 RGB, and the person's landmarks (33, 2 or more) px; None: not found."""
        number, self._frame = self._frame, self._frame + 1
        self._explained.clear()
        if number % self.every:
            return
        scale = min(1.0, IMAGE_WIDTH / frame.shape[1])
        size = round(scale * frame.shape[1]), round(scale * frame.shape[0])
        image = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        image = cv2.GaussianBlur(image, (0, 0), 0.8)  # aliased slanting edges are not corners
        camera = self.camera
        self._intrinsics = tuple(scale * v for v in (camera.fx, camera.fy, camera.cx, camera.cy))
        mask = _background(image.shape, None if landmarks is None else scale * landmarks[:, :2])
        self._pairs.append([])
        self._rotations.append(self._register(image, mask))
        self._sampled.append(number)
        self._last = image, mask

    def focal_ratio(self, start: int = 0, stop: int | None = None) -> tuple[float, float]:
        """Focal length relative to the assumed one, from the background of frames ``start`` to before ``stop``.

        When the camera turns, a wide lens moves points far from the image's centre by more pixels than points close to
        it (Hartley and Zisserman, 19.6). A travelling camera looks like one with a long lens: if the longest explains
        most, or none explains enough, the background is inconclusive.

        Returns
        -------
        The ratio, and its relative standard deviation.
        """
        samples = self._samples(start, stop)
        if not self.camera.focal_std or self._too_few_corners(samples):
            return 1.0, self.camera.focal_std
        compared = [self._agreement(pairs, FOCAL_RATIOS) for k in self._sparse(samples) for pairs in self._pairs[k]]
        error, share = np.mean(compared, axis=0)
        best = int(error.argmin())
        if best in (0, len(error) - 1) or share[best] < MIN_EXPLAINED_SHARE:
            return 1.0, self.camera.focal_std
        # Every image counts as one observation, whose noise is the residual of the best focal length.
        change = np.log(FOCAL_RATIOS)
        cost = len(compared) * (error / max(error[best], CORNER_NOISE**2) - 1) + (change / self.camera.focal_std) ** 2
        k = int(cost.argmin())  # between the best one and the assumed one
        curve, slope, _ = np.polyfit(change[k - 1 : k + 2], cost[k - 1 : k + 2], 2)
        return float(np.exp(-slope / (2 * curve))), float(curve**-0.5)

    def rotations(
        self, start: int = 0, stop: int | None = None, focal_ratio: float = 1.0
    ) -> tuple[np.ndarray | None, bool, tuple[str, ...]]:
        """Rotation of the camera in the frames from ``start`` to before ``stop``.

        ``focal_ratio`` is the focal length relative to the assumed one: the larger, the less the camera has turned.

        Returns
        -------
        rotations
            (T, 3, 3) from the first of these frames' camera to each frame's camera (x right, y down, z ahead): a
            direction d of the first is R d in the other. None: the camera stands still, or it is unknown.
        travels
            Whether the camera also travels for more than a moment.
        notes
            Sentences for the user, with times of the video.
        """
        if len(self._samples(start, stop)) < 2:
            return None, False, ()
        times, shares = self.explained(start, stop)
        if not len(times):
            note = "The background shows too little to tell whether the camera moves: it is taken as still."
            return None, False, (note,)
        travels = bool((shares < MIN_EXPLAINED_SHARE).mean() > MIN_TRAVEL_SHARE)
        notes = _moves_along(times, shares, travels)
        turns = self.turns(start, stop, focal_ratio)
        if turns is None:
            return None, travels, notes
        most = np.degrees(Rotation.from_matrix(turns).magnitude().max())
        return turns, travels, (f"The camera turns by up to {most:.0f} degrees: that is taken into account.", *notes)

    def turns(self, start: int = 0, stop: int | None = None, focal_ratio: float = 1.0) -> np.ndarray | None:
        """The rotations alone, which takes less time."""
        samples = self._samples(start, stop)
        if self._too_few_corners(samples):
            return None
        frames = np.arange(start, self._frame if stop is None else stop)
        known = Rotation.from_matrix(np.array(self._rotations)[samples])
        turns = _between(np.array(self._sampled)[samples], known, frames)
        across = [1 / focal_ratio, 1 / focal_ratio, 1.0]  # a roll is the same for every focal length
        turns = Rotation.from_rotvec((turns * turns[0].inv()).as_rotvec() * across)
        return None if np.degrees(turns.magnitude().max()) < STILL_ANGLE_DEG else turns.as_matrix()

    def explained(self, start: int = 0, stop: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Share of the background's motion that a rotation explains; if it is small, the camera also travels or zooms.

        Only corners that move like static points before some camera are considered.

        Returns
        -------
        times
            (N,) s of the images looked at of the frames from ``start`` to before ``stop``; none where the background
            shows too little in most of them.
        explained
            (N,) share of the corners in [0, 1], mean over about a second.
        """
        part = start, self._frame if stop is None else stop
        if part not in self._explained:
            self._explained[part] = self._explain(self._samples(*part))
        return self._explained[part]

    def _explain(self, samples: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Times and shares of these samples: see `explained`."""
        if self._too_few_corners(samples):
            return np.zeros(0), np.zeros(0)

        def shares(samples: list[int], focal_ratios: np.ndarray) -> np.ndarray:
            none = [np.ones(len(focal_ratios))]
            each = ([self._agreement(pairs, focal_ratios)[1] for pairs in self._pairs[k]] for k in samples)
            return np.array([np.min(none + found, axis=0) for found in each])

        ratios = FOCAL_RATIOS if self.camera.focal_std else np.ones(1)
        ratio = ratios[shares(self._sparse(samples), ratios).sum(axis=0).argmax()]
        times = np.array(self._sampled)[samples] / self.fps
        window = max(1, round(1.0 / max(float(np.median(np.diff(times))), 1e-3)))
        return times, uniform_filter1d(shares(samples, ratio[None])[:, 0], window, mode="constant", cval=1.0)

    def _samples(self, start: int, stop: int | None) -> list[int]:
        """Numbers of the samples at the frames from ``start`` to before ``stop``."""
        stop = self._frame if stop is None else stop
        return [k for k, number in enumerate(self._sampled) if start <= number < stop]

    def _too_few_corners(self, samples: list[int]) -> bool:
        """Whether these are fewer than two images, or most of them have too few corners."""
        return len(samples) < 2 or sum(not self._pairs[k] for k in samples if k) > 0.5 * len(samples)

    def _sparse(self, samples: list[int]) -> list[int]:
        """About `FOCAL_SEARCH_SAMPLES` of them."""
        return samples[:: max(1, len(samples) // FOCAL_SEARCH_SAMPLES)]

    def _agreement(self, pairs: np.ndarray, focal_ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How well one rotation explains the motion of corners (2, M, 2) px, for each focal length.

        Returns
        -------
        (F,) mean squared errors, px^2, each at most that of twice `INLIER_DISTANCE`; and (F,) shares of the corners
        that are explained.
        """
        a, b = self._rays(pairs[:, None], focal_ratios[:, None])
        agree = np.ones(a.shape[:2], bool)
        for limit in (4 * INLIER_DISTANCE, 2 * INLIER_DISTANCE, INLIER_DISTANCE, INLIER_DISTANCE):
            turned = a @ np.swapaxes(_rotations_between(a, b, agree), 1, 2)
            error = np.linalg.norm(self._pixels(turned, focal_ratios[:, None]) - pairs[1], axis=-1)
            agree = error < limit
        return (error.clip(max=2 * INLIER_DISTANCE) ** 2).mean(axis=1), agree.mean(axis=1)

    # --- one image ---

    def _register(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Rotation of this image's camera."""
        if not self._keyframes:
            self._add_keyframe(image, mask, np.eye(3))
            return np.eye(3)
        before = self._rotations[-1]
        near = min(self._keyframes, key=lambda key: _degrees(key.rotation.T @ before))
        found = self._compare(near, image, mask, before)
        if found is None or found[1] < 0.5 * self._visible(near, mask, found[0]):
            # far apart, or turned quickly: the previous image has more in common, and its overall shift gives a first
            # guess
            assert self._last is not None  # there is a keyframe, so there was an image
            last = self._add_keyframe(*self._last, before)
            found = self._compare(last, image, mask, self._shift(last.image, image) @ before) or found
            if found and _degrees(near.rotation.T @ found[0]) < KEYFRAME_ANGLE_DEG / 2:
                self._keyframes.remove(near)  # it shows what is no longer there
        if found is None:  # lost: continue from here
            self._keyframes = []
            self._add_keyframe(image, mask, before)
            return before
        rotation = found[0]
        if min(_degrees(key.rotation.T @ rotation) for key in self._keyframes) > KEYFRAME_ANGLE_DEG:
            self._add_keyframe(image, mask, rotation)
        return rotation

    def _shift(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Coarse rotation (3, 3) between two images, from their overall shift."""
        window = cv2.createHanningWindow(a.shape[::-1], cv2.CV_32F)
        moved, _ = cv2.phaseCorrelate(a.astype(np.float32), b.astype(np.float32), window)
        centre = np.array(a.shape[::-1]) / 2.0
        rays = self._rays(centre + np.array([[0.0, 0.0], [1.0, 0.0], moved, [moved[0] + 1.0, moved[1]]]))
        frames = _frames(rays[[0, 2]], rays[[1, 3]])
        return frames[1] @ frames[0].T

    def _add_keyframe(self, image: np.ndarray, mask: np.ndarray, rotation: np.ndarray) -> _Keyframe:
        strength = cv2.cornerHarris(image.astype(np.float32) / 255.0, 5, 3, HARRIS_K)
        strength[(mask == 0) | (strength < cv2.dilate(strength, np.ones((9, 9))))] = 0.0
        points = np.argwhere(strength > MIN_CORNER_STRENGTH)
        order = np.argsort(-strength[points[:, 0], points[:, 1]])[:MAX_CORNERS]
        points = points[order][:, ::-1].astype(np.float32)
        key = _Keyframe(image, points, rotation)
        self._keyframes.append(key)
        return key

    def _compare(
        self, key: _Keyframe, image: np.ndarray, mask: np.ndarray, before: np.ndarray
    ) -> tuple[np.ndarray, int] | None:
        """Rotation from the first camera, and the number of corners that agree; None: too few."""
        if len(key.points) < MIN_CORNERS:
            return None
        rays = self._rays(key.points)
        guess = self._pixels(rays @ (before @ key.rotation.T).T).astype(np.float32)
        height, width = image.shape
        inside = np.all((guess > 2) & (guess < [width - 3, height - 3]), axis=1)
        if inside.sum() < MIN_CORNERS:
            return None
        start, rays = key.points[inside], rays[inside]
        flowed, status, change = cv2.calcOpticalFlowPyrLK(
            key.image,
            image,
            start[:, None],
            guess[inside][:, None].copy(),
            winSize=(15, 15),
            maxLevel=1,
            criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01),
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )
        flowed = flowed.reshape(-1, 2)
        at = np.clip(np.nan_to_num(flowed).round().astype(int), 0, [width - 1, height - 1])
        good = (status.ravel() > 0) & np.all((flowed > 1) & (flowed < [width - 2, height - 2]), axis=1)
        good &= (change.ravel() < MAX_PATCH_DIFFERENCE) & (mask[at[:, 1], at[:, 0]] > 0)
        if good.sum() < MIN_CORNERS:
            return None
        pairs = np.stack([start[good], flowed[good]])
        still = _unmoved(*pairs)
        if still.sum() >= MIN_CORNERS:
            self._pairs[-1].append(pairs[:, still][:, :MAX_PAIRS])
        turn, agree = self._ransac(rays[good], flowed[good].astype(float), before @ key.rotation.T)
        if agree.sum() < MIN_CORNERS:
            return None
        return turn @ key.rotation, int(agree.sum())

    def _ransac(self, rays: np.ndarray, pixels: np.ndarray, guess: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rotation that takes most of the ``rays`` (N, 3) to ``pixels`` (N, 2), and which ones agree."""
        seen = self._rays(pixels)
        pairs = self._random.integers(len(rays), size=(48, 2))
        pairs = pairs[np.linalg.norm(rays[pairs[:, 0]] - rays[pairs[:, 1]], axis=1) > 0.05]
        turns = _frames(seen[pairs[:, 0]], seen[pairs[:, 1]]) @ np.swapaxes(
            _frames(rays[pairs[:, 0]], rays[pairs[:, 1]]), 1, 2
        )
        turns = np.concatenate([guess[None], np.eye(3)[None], turns])

        def errors(turns: np.ndarray) -> np.ndarray:
            return np.linalg.norm(self._pixels(rays @ np.swapaxes(turns, -1, -2)) - pixels, axis=-1)

        cost = np.minimum(errors(turns), 2 * INLIER_DISTANCE).sum(axis=1)
        turn = turns[np.argmin(cost)]
        for limit in (2 * INLIER_DISTANCE, INLIER_DISTANCE, INLIER_DISTANCE):
            agree = errors(turn) < limit
            if agree.sum() >= 2:
                turn = _rotations_between(rays[None], seen[None], agree[None])[0]
        return turn, errors(turn) < INLIER_DISTANCE

    def _visible(self, key: _Keyframe, mask: np.ndarray, rotation: np.ndarray) -> int:
        """Number of corners of a keyframe that a camera with this rotation should see beside the person."""
        height, width = mask.shape
        at = self._pixels(self._rays(key.points) @ (rotation @ key.rotation.T).T)
        at = at[np.all((at > 2) & (at < [width - 3, height - 3]), axis=1)].round().astype(int)
        return int((mask[at[:, 1], at[:, 0]] > 0).sum())

    def _rays(self, pixels: np.ndarray, focal_ratio: float | np.ndarray = 1.0) -> np.ndarray:
        """Unit directions (..., 3) of pixels (..., 2) of the small image, with another focal length."""
        fx, fy, cx, cy = self._intrinsics
        x, y = (pixels[..., 0] + 0.5 - cx) / (focal_ratio * fx), (pixels[..., 1] + 0.5 - cy) / (focal_ratio * fy)
        return unit(np.stack([x, y, np.ones_like(x)], axis=-1))

    def _pixels(self, rays: np.ndarray, focal_ratio: float | np.ndarray = 1.0) -> np.ndarray:
        fx, fy, cx, cy = self._intrinsics
        fx, fy = focal_ratio * fx, focal_ratio * fy
        depth = np.where(rays[..., 2] > 0.05, rays[..., 2], np.nan)
        with np.errstate(invalid="ignore"):
            at = np.stack([fx * rays[..., 0] / depth + cx - 0.5, fy * rays[..., 1] / depth + cy - 0.5], axis=-1)
        return np.nan_to_num(at, nan=-1e4)


def _background(shape: tuple[int, int], landmarks: np.ndarray | None) -> np.ndarray:
    """Mask (H, W) uint8: 255 in the background, 0 within a hull around the person (landmarks (33, 2) px)."""
    mask = np.full(shape, 255, np.uint8)
    if landmarks is not None:
        size = float(np.ptp(landmarks, axis=0).max())
        hull = cv2.convexHull(np.round(landmarks).astype(np.int32).reshape(-1, 1, 2))
        cv2.fillConvexPoly(mask, hull, 0)
        cv2.polylines(mask, [hull], True, 0, thickness=max(1, round(0.2 * size)))  # with a margin of a tenth
    return mask


def _unmoved(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which corners, (N, 2) px before and after, move like static points before some camera: (N,) bool.

    Those on one wall move by a homography, others along epipolar lines (Hartley and Zisserman, 13 and 9.2).
    """
    _, wall = cv2.findHomography(a, b, cv2.RANSAC, INLIER_DISTANCE)
    _, rigid = cv2.findFundamentalMat(a, b, cv2.FM_RANSAC, INLIER_DISTANCE, 0.99)
    masks = [mask.ravel() > 0 for mask in (wall, rigid) if mask is not None and len(mask) == len(a)]
    return np.any(masks, axis=0) if masks else np.zeros(len(a), bool)


def _frames(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, 3, 3) frames whose first axis is a, the third across a and b; unit directions (N, 3)."""
    z = unit(np.cross(a, b))
    return np.stack([a, np.cross(z, a), z], axis=-1)


def _rotations_between(a: np.ndarray, b: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(N, 3, 3) rotations that best take the chosen (N, M) of directions a to b, (N, M, 3) each (Kabsch, 1976).

    SciPy's `align_vectors` takes one set at a time: searching focal lengths took 0.15 s a second of video with it.
    """
    u, _, vt = np.linalg.svd(np.swapaxes(b * chosen[..., None], 1, 2) @ a)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return u @ vt


def _degrees(rotation: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1.0) / 2.0, -1.0, 1.0))))


def _between(at: np.ndarray, turns: Rotation, wanted: np.ndarray) -> Rotation:
    """Interpolate rotations at frames ``at`` to the frames ``wanted``; extrapolated at constant speed."""
    first = turns[0] * turns[1].inv() * turns[0]
    last = turns[-1] * turns[-2].inv() * turns[-1]
    frames = np.array([2 * at[0] - at[1], *at, 2 * at[-1] - at[-2]])
    known = Rotation.concatenate([first, turns, last])
    return Slerp(frames, known)(np.clip(wanted, frames[0], frames[-1]))


def _moves_along(times: np.ndarray, explained: np.ndarray, travels: bool) -> tuple[str, ...]:
    """Sentence if a rotation does not explain the background for about a second."""
    how = "the person's path is that of the feet that stand" if travels else "only the camera's turning is considered"
    bad = np.flatnonzero(explained < MIN_EXPLAINED_SHARE)
    if not len(bad):
        return ()
    return (
        f"Between {max(0.0, times[bad[0]]):.1f} s and {times[bad[-1]]:.1f} s the camera moves along or zooms, or the "
        f"background moves: {how}, and is less sure.",
    )
