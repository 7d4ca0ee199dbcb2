"""From the landmarks of a stretch of video to motions: bad moments are repaired, or split around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import median_filter

from exoactor_core.arrays import flags_of_runs, true_runs
from exoactor_core.body import BodyModel
from exoactor_core.motion import HumanMotion
from exoactor_core.stages import Metrics
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.fitting.fit import Fit
from exoactor_pose.fitting.limbs import GUESSED, SEEN, limb_evidence
from exoactor_pose.origin import at_origin
from exoactor_pose.quality import LOCAL_SECONDS, Limits, bad_frames, clip_figures, faults, frame_figures
from exoactor_pose.video.cuts import MAX_GAP_SECONDS, enough_seconds, trimmed


@dataclass(frozen=True)
class Stretch:
    """Part of a video in which the person is followed, and its motion."""

    start: int
    """Number of its first frame."""
    motion: HumanMotion
    metrics: Metrics
    """Quality figures, see `clip_figures`."""
    fault: str
    """Why its quality is insufficient; empty: it is good."""
    fit: Fit
    """The fit of which it is a part."""

    @property
    def seconds(self) -> tuple[float, float]:
        """Start and end in the video, s."""
        return self.start / self.motion.fps, (self.start + len(self.motion)) / self.motion.fps


def good_stretches(
    seen: Landmarks, fit: Callable[[Landmarks], Fit], body: BodyModel, limits: Limits, duration: float
) -> list[Stretch]:
    """Motions from the landmarks of a stretch, in order of time, and rejected parts with their faults.

    The person is found in the first and in the last frame. If the motion that ``fit`` returns is bad for a moment, the
    landmarks there are left out, and the body is fitted again. The stretch is split around parts that remain bad, or
    are then too long a gap. ``duration`` is the video's, s.
    """
    result = fit(seen)
    bad = _bad(seen, result, body, limits)
    if bad.any() and not bad.all():
        repaired = replace(seen, found=seen.found & ~bad)
        if repaired.found.any():
            seen, result = repaired, fit(repaired)
            bad = _bad(seen, result, body, limits)
    window = 2 * round(0.5 * LOCAL_SECONDS * seen.fps) + 1
    evident = seen.found & (median_filter(np.asarray(result.motion.confidence), size=window, mode="nearest") > GUESSED)
    bad |= flags_of_runs(len(seen), [(a, b) for a, b in true_runs(~evident) if (b - a) / seen.fps > MAX_GAP_SECONDS])
    whole = limb_evidence(result.motion)[:, 2:].min(axis=1) > SEEN
    standing = np.asarray(result.motion.contacts).max(axis=1) > 0.5
    parts, most = [], round(MAX_GAP_SECONDS * seen.fps)
    for a, b in trimmed(true_runs(~bad), evident):
        a, b = _without_ends(*_without_ends(a, b, whole, most), standing, most)
        parts.append(_part(seen, result, a, b, body, limits))
    enough = [part for part in parts if len(part.motion) / seen.fps >= enough_seconds(duration)]
    if not enough:
        return [whole_stretch(seen, result, body, limits)]
    starts = [part.start - seen.start for part in enough]
    used = flags_of_runs(len(seen), [(a, a + len(part.motion)) for a, part in zip(starts, enough, strict=True)])
    lost = [_part(seen, result, a, b, body, limits) for a, b in true_runs(~used) if b - a > most]
    unclear = "the person is seen too poorly, or well for too short a time"
    rejected = [replace(part, fault=part.fault or unclear) for part in lost]
    return sorted([*enough, *rejected], key=lambda stretch: stretch.start)


def _without_ends(start: int, stop: int, good: np.ndarray, most: int) -> tuple[int, int]:
    """Trim frames at both ends, at most ``most``, that are not good.

    There, legs and trunk are guesses, as when people enter or leave; or the person is in the air, where a robot cannot
    begin.
    """
    first, last = good[start : min(start + most, stop)], good[max(stop - most, start) : stop]
    return start + int(first.argmax()), stop - int(last[::-1].argmax())


def _bad(seen: Landmarks, result: Fit, body: BodyModel, limits: Limits) -> np.ndarray:
    figures = frame_figures(result.motion, body, result.reprojection)
    return bad_frames(figures, limits, result.height_px, seen.fps)


def whole_stretch(seen: Landmarks, result: Fit, body: BodyModel, limits: Limits) -> Stretch:
    """All of a fit as one stretch."""
    metrics = clip_figures(result.motion, body, seen.found, result.reprojection, result.height_px)
    return Stretch(seen.start, result.motion, metrics, faults(metrics, limits, seen.start / seen.fps), result)


def _part(seen: Landmarks, result: Fit, start: int, stop: int, body: BodyModel, limits: Limits) -> Stretch:
    frames = slice(start, stop)
    seen = replace(seen, found=seen.found[frames], start=seen.start + start)
    motion = at_origin(result.motion.part(start, stop), body)
    return whole_stretch(seen, replace(result, motion=motion, reprojection=result.reprojection[frames]), body, limits)
