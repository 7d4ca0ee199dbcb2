"""Where a video breaks: cuts, jumps of the person, stretches with nobody in them; and the parts without.

The cuts are found by code of our own, since all four detectors of PySceneDetect 0.7 take a flash or a change of the
light for a cut (see ``test_light_and_flashes_are_told_from_another_scene``), and it installs a second OpenCV.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from scipy.ndimage import median_filter

from exoactor_core.arrays import true_runs
from exoactor_core.errors import BadInput
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.detection.people import MAX_HIP_SPEED

THUMBNAIL = (32, 24)
SAMPLES = 8
"""A pixel of a thumbnail is the mean of about this many, each way: all of a large image take ten times as long."""
MIN_DIFFERENCE = 0.07
"""Mean difference of two thumbnails, of the full range, above which a frame may be another shot..."""
MIN_COLOUR_CHANGE = 0.25
"""...if the shares of their colours (half the sum of the differences) differ by as much, too..."""
MIN_DIFFERENCE_RATIO = 3.0
"""...and the difference is this many times that of the frame before, as in no pan of the camera."""
POSSIBLE_CUT, CERTAIN_CUT = 1, 2
"""Another image by its colours, which may be other light; and one by its edges, too."""
SAME_SCENE_CORRELATION = 0.6
"""Correlation of two thumbnails' gradients from which they show the same scene, in whatever light..."""
FAINT_EDGES_RATIO = 0.2
"""...where the fainter ones have this share of the stronger ones' strength: a flash or darkness hides them."""
MAX_STEADY_MOVEMENT = 0.12
"""Mean displacement of the landmarks, sizes of the person, below which the person continues: the light changed."""
FLASH_SECONDS = 0.25
"""How long the person may be lost in such a change."""
LANDMARK_NOISE = 0.15
"""Sizes by which landmarks may be off."""
MAX_HIP_ACCELERATION = 60.0
"""Sizes / s^2: nobody's hips speed up faster (100 m/s^2)."""
GLITCH_FRAMES = 3
"""Frames for which a jump there and back is a slip of the detector, not a cut."""
_RETURNED_SHARE = 0.5
"""Share of a jump's distance: a person who is nearer than that to the place before it is back there."""
MAX_GAP_SECONDS = 0.6
"""Nobody for longer than this breaks the motion. Between known ends, an acceleration unknown by 3.5 m/s^2 (the fit's
spread) makes a position unknown by up to a t^2 / 16: 8 cm after 0.6 s, as much as the fit's own error."""
REPORTED_GAP_SECONDS = 0.2
"""Shorter empty stretches are not reported."""
MIN_STRETCH_SECONDS = 1.0
"""A shorter stretch is no motion."""


class CutFinder:
    """Detects frame by frame whether the image has changed to another one."""

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._change = 0.0

    def __call__(self, frame: np.ndarray) -> int:
        """Process the next frame, (H, W, 3) uint8 RGB: 0, no cut; `POSSIBLE_CUT`; or `CERTAIN_CUT`."""
        step = max(1, min(frame.shape[1] // THUMBNAIL[0], frame.shape[0] // THUMBNAIL[1]) // SAMPLES)
        height, width = (size // step for size in frame.shape[:2])
        some = cv2.resize(frame[: height * step, : width * step], (width, height), interpolation=cv2.INTER_NEAREST)
        small = cv2.resize(some, THUMBNAIL, interpolation=cv2.INTER_AREA)
        colours = cv2.calcHist([small], [0, 1, 2], None, [6, 6, 6], [0, 256] * 3).ravel() / small[..., 0].size
        last, self._last = self._last, (small, colours)
        if last is None:
            return 0
        before, self._change = self._change, float(cv2.norm(small, last[0], cv2.NORM_L1)) / small.size / 255.0
        colour_change = float(np.abs(colours - last[1]).sum()) / 2
        if self._change <= max(MIN_DIFFERENCE, MIN_DIFFERENCE_RATIO * before) or colour_change <= MIN_COLOUR_CHANGE:
            return 0
        return POSSIBLE_CUT if _same_scene(small, last[0]) else CERTAIN_CUT


def _same_scene(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two thumbnails show the same scene, or one of them shows too little."""
    grey = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (a, b)]
    a, b = (np.stack([cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1)]) for g in grey)
    weak, strong = sorted((float(np.linalg.norm(a)), float(np.linalg.norm(b))))
    return weak <= FAINT_EDGES_RATIO * strong or float((a * b).sum()) > SAME_SCENE_CORRELATION * weak * strong


@dataclass(frozen=True)
class Shots:
    """Stretches of a video in which one person is seen in one shot, and notes on the rest."""

    stretches: tuple[tuple[int, int], ...]
    """First frame, and the frame after the last, in order; the person was found in the frames at both ends."""
    found: np.ndarray
    """(T,) bool, of the whole video, without false detections."""
    cuts: tuple[int, ...]
    """Frames at which another shot begins."""
    notes: tuple[str, ...]


def find_stretches(seen: Landmarks, sizes: np.ndarray, changed: np.ndarray) -> Shots:
    """The parts of a video in which one person is seen in one shot.

    ``sizes`` (T,) px says how large the person is; ``changed`` (T,) is what `CutFinder` says of every frame.

    Raises
    ------
    BadInput
        All parts are too short.
    """
    fps, (jumps, found) = seen.fps, _jumps(seen, sizes)
    seen = replace(seen, found=found)
    frames = np.flatnonzero(changed).tolist()
    images = {t for t in frames if changed[t] == CERTAIN_CUT or not _steady(seen, sizes, t)}
    cuts = (jumps | images) - {0}
    empty = true_runs(~found)
    edges = {0, len(found), *cuts, *(t for a, b in empty if (b - a) / fps > MAX_GAP_SECONDS for t in (a, b))}
    parts = trimmed(pairwise(sorted(edges)), found)
    long = [(a, b) for a, b in parts if (b - a) / fps >= enough_seconds(len(found) / fps)]

    notes = []
    for starts, sentence in (
        (cuts & images, "The video is cut at {}."),
        (cuts - images, "The person is suddenly somewhere else at {}: it is another one, or the video is cut."),
    ):
        if starts:
            notes.append(sentence.format(", ".join(f"{t / fps:.1f} s" for t in sorted(starts))))
    reported = [(a, b) for a, b in empty if (b - a) / fps > REPORTED_GAP_SECONDS]
    notes += [_gap_note(seen, a, b, cuts) for a, b in reported]
    if not long:
        longest = max((b - a for a, b in parts), default=0) / fps
        raise BadInput(
            f"{' '.join(notes)} The longest stretch in which one person is seen without a break lasts {longest:.1f} s, "
            f"but {enough_seconds(len(found) / fps):.1g} s are needed.".strip()
        )
    return Shots(tuple(long), found, tuple(sorted(int(t) for t in cuts)), tuple(notes))


def trimmed(parts: Iterable[tuple[int, int]], found: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop of parts of a video, trimmed to the first and last frames in which the person was found."""
    seen = [(start, np.flatnonzero(found[start:stop])) for start, stop in parts]
    return [(int(start + frames[0]), int(start + frames[-1]) + 1) for start, frames in seen if len(frames)]


def enough_seconds(duration: float) -> float:
    """Minimum duration of a stretch, s: `MIN_STRETCH_SECONDS`, or half of a short video."""
    return min(MIN_STRETCH_SECONDS, 0.5 * duration)


def _jumps(seen: Landmarks, sizes: np.ndarray) -> tuple[set[int], np.ndarray]:
    """Frames at which the person moved impossibly far; and ``found`` without false detections there and back."""
    hips, fps, found = seen.image[:, 23:25, :2].mean(axis=1), seen.fps, seen.found.copy()
    frames = np.flatnonzero(found).tolist()

    def displacement(a: int, b: int) -> float:
        """Displacement of the hips from frame a to b, in sizes of the person."""
        return float(np.linalg.norm(hips[b] - hips[a])) / max(sizes[a], sizes[b], 1.0)

    steps = np.array([displacement(a, b) for a, b in pairwise(frames)])
    usual = dict(zip(frames[1:], median_filter(steps, size=7, mode="nearest"), strict=True)) if len(steps) else {}

    def far(a: int, b: int) -> bool:
        allowed = MAX_HIP_SPEED * (b - a) / fps if b - a > 1 else 2 * usual[b] + MAX_HIP_ACCELERATION / fps**2
        return displacement(a, b) > max(LANDMARK_NOISE, allowed)

    def returned(before: int, jump: int, t: int) -> bool:
        """Whether the person at ``t`` is back where it was ``before`` a jump shortly ago."""
        return t - jump <= GLITCH_FRAMES and displacement(before, t) < _RETURNED_SHARE * displacement(before, jump)

    jumps: list[tuple[int, int]] = []  # and the last good frame before each
    last = None
    for t in frames:
        slip = next((k for k, (jump, before) in enumerate(jumps) if returned(before, jump, t)), None)
        if slip is not None:
            found[jumps[slip][0] : t] = False
            del jumps[slip:]
        elif last is not None and far(last, t):
            jumps.append((t, last))
        last = t
    return {t for t, _ in jumps}, found


def _steady(seen: Landmarks, sizes: np.ndarray, t: int) -> bool:
    """Whether the person continues across frame ``t`` as if nothing had happened."""
    frames = np.flatnonzero(seen.found)
    before, after = frames[frames < t], frames[frames >= t]
    if not len(before) or not len(after) or (after[0] - before[-1]) / seen.fps > FLASH_SECONDS:
        return False
    a, b = before[-1], after[0]
    moved = np.linalg.norm(seen.image[b, :, :2] - seen.image[a, :, :2], axis=-1).mean()
    return moved < MAX_STEADY_MOVEMENT * max(sizes[a], sizes[b], 1.0)


def _gap_note(seen: Landmarks, a: int, b: int, cuts: set[int]) -> str:
    """A sentence about nobody in frames a to b."""
    start, stop = f"{a / seen.fps:.1f} s", f"{b / seen.fps:.1f} s"
    if a == 0:
        return f"The person is not seen before {stop}."
    if a not in cuts and seen.found[a - 1]:
        body = seen.image[a - 1, 11:29, :2]
        (x, y), (wide, tall) = np.median(body, axis=0), np.ptp(body, axis=0)
        # distance of the body from each side of the image, and the body's extent in that direction
        sides = {
            "left": (x, wide),
            "right": (seen.width - x, wide),
            "top": (y, tall),
            "bottom": (seen.height - y, tall),
        }
        side, (away, extent) = min(sides.items(), key=lambda item: item[1][0])
        if away < 0.5 * extent + 0.02 * seen.width:
            back = "and does not come back" if b == len(seen) else f"and is back at {stop}"
            return f"The person leaves the image at the {side} at {start} {back}."
    return f"The person is not seen from {start} to {stop}."
