"""Quality of an estimate, per frame and overall, without ground truth; and limits on it."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, Unit
from scipy.ndimage import uniform_filter1d

from exoactor_core.body import BodyModel
from exoactor_core.motion import HumanMotion
from exoactor_core.options import BaseOptions, Share
from exoactor_core.stages import Metrics

PELVIS, HEAD, ANKLES = 0, 15, [7, 8]
LOCAL_SECONDS, LOCAL_FACTOR = 0.3, 3.0
"""s for which a motion may be this many times worse than a clip's limit on average: kicks and jumps are brief."""


class Limits(BaseOptions):
    """Limits that a clip must satisfy."""

    min_quality: Share = 0.45
    """Minimum mean confidence of a motion; below it no person is credibly there. People in real videos reach 0.69 or
    more; flowers, motorcycles or lettering that a detector mistakes for people reach 0.31 or less."""
    max_reprojection: Annotated[float, Interval(ge=0.0, le=10.0)] = 0.07
    """Maximum mean distance of the body from the landmarks, as a share of the person's height in view. A motion is
    split around moments that far exceed this or one of the following limits."""
    max_skate: Annotated[float, Interval(ge=0.0, le=1e6), Unit("mm")] = 15.0
    """Maximum mean slide of standing feet per frame at 30 Hz."""
    max_jerk: Annotated[float, Interval(ge=0.0, le=1e6), Unit("m/s^3")] = 150.0
    """Maximum mean jerk of the joints; dancing stays below 100."""
    max_speed: Annotated[float, Interval(ge=0.0, le=1e6), Unit("m/s")] = 10.0
    """Maximum speed of the pelvis over 0.1 s: a sprinter's."""


def frame_figures(motion: HumanMotion, body: BodyModel, reprojection: np.ndarray) -> dict[str, np.ndarray]:
    """Quality figures of every frame of a motion with its contacts and confidence, each (T,).

    ``reprojection`` (T,) is the mean distance of the body's landmarks from the detected ones, px.

    Returns
    -------
    ``confidence`` in [0, 1]; ``reprojection_px``; ``foot_skate_mm``, the mean slide of sole points in contact since
    the frame before, scaled to 30 frames per second; ``floating_mm``, height of the lowest point in contact (0 without
    contact: people jump); ``penetration_mm``, depth of the lowest point under the floor; ``jerk`` in m/s^3, mean of
    the joints; ``speed`` of the pelvis over 0.1 s, m/s.
    """
    frames, fps = len(motion), motion.fps
    assert motion.confidence is not None  # ones if not given
    soles, joints = body.foot_points(motion), body.joints(motion)[:, :22]
    touching = _touching(motion)
    skate, jerk, speed = np.zeros(frames), np.zeros(frames), np.zeros(frames)
    if frames > 1:
        standing = touching[1:] & touching[:-1]
        moved = np.linalg.norm(np.diff(soles[..., :2], axis=0), axis=-1) * standing
        skate[1:] = moved.sum(1) / np.maximum(standing.sum(1), 1) * fps / 30
        span = min(max(1, round(0.1 * fps)), frames - 1)
        speed[span:] = np.linalg.norm(joints[span:, PELVIS] - joints[:-span, PELVIS], axis=-1) * fps / span
    if frames > 3:
        jerk[2:-1] = np.linalg.norm(np.diff(joints, n=3, axis=0), axis=-1).mean(1) * fps**3
    height = np.where(touching, soles[..., 2], np.inf).min(1)
    return {
        "confidence": motion.confidence,
        "reprojection_px": reprojection,
        "foot_skate_mm": 1000 * skate,
        "floating_mm": 1000 * np.where(touching.any(1), height, 0.0).clip(min=0),
        "penetration_mm": 1000 * (-soles[..., 2].min(1)).clip(min=0),
        "jerk": jerk,
        "speed": speed,
    }


def clip_figures(
    motion: HumanMotion, body: BodyModel, found: np.ndarray, reprojection: np.ndarray, height_px: float
) -> Metrics:
    """Figures of the clip, and those of `frame_figures` as lists: ``per_frame``.

    The person was ``found`` in the frames (T,), ``height_px`` high in view; the rest is as in `frame_figures`.
    """
    figures = frame_figures(motion, body, reprojection)
    touching = _touching(motion)
    stood = np.zeros(len(motion), dtype=bool)
    stood[1:] = (touching[1:] & touching[:-1]).any(1)
    joints = body.joints(motion)
    steps = np.linalg.norm(np.diff(joints[:, PELVIS, :2], axis=0), axis=-1)

    def mean(name: str, where: Any) -> float:
        return float(figures[name][where].mean()) if where.any() else 0.0

    return {
        "frames": len(motion),
        "fps": motion.fps,
        "found_share": float(found.mean()),
        "confidence_mean": float(figures["confidence"].mean()),
        "confidence_found_mean": mean("confidence", found),
        "reprojection_px_mean": mean("reprojection_px", found),
        "reprojection_share": mean("reprojection_px", found) / max(height_px, 1.0),
        "foot_skate_mm_per_frame": mean("foot_skate_mm", stood),
        "contact_share": float(touching.any(1).mean()),
        "floating_mm_mean": mean("floating_mm", touching.any(1)),
        "ground_penetration_mm_max": float(figures["penetration_mm"].max()),
        "jerk_mean": float(figures["jerk"].mean()),
        "speed_max": float(figures["speed"].max()),
        "head_down_share": float((joints[:, HEAD, 2] < joints[:, ANKLES, 2].min(1)).mean()),
        "root_path_m": float(steps.sum()),
        "per_frame": {name: np.round(values, 3).tolist() for name, values in figures.items()},
    }


def _touching(motion: HumanMotion) -> np.ndarray:
    """(T, 4) bool: sole points in contact."""
    return np.asarray(motion.contacts) > 0.5


def faults(metrics: Metrics, limits: Limits, start_s: float = 0.0) -> str:
    """All reasons why a motion, by its `clip_figures`, is of insufficient quality; empty: it is good.

    ``start_s`` is the time of its first frame in the video.
    """
    m = metrics
    if m["confidence_found_mean"] < limits.min_quality:
        return (
            "no person is credibly seen: the body explains what the detector found with a confidence of only "
            f"{m['confidence_found_mean']:.2f}, less than min_quality, {limits.min_quality:g}"
        )
    if m["head_down_share"] > 0.5:
        return "the head is below the feet most of the time, as in an image upside down"
    worst = {name: int(np.argmax(values)) / m["fps"] for name, values in m["per_frame"].items()}
    when = {name: f"most at {start_s + time:.1f} s" for name, time in worst.items()}
    poor = (
        (
            m["reprojection_share"] > limits.max_reprojection,
            f"the body misses what was seen by {100 * m['reprojection_share']:.0f} % of the person's height, "
            f"more than max_reprojection, {100 * limits.max_reprojection:g} %, {when['reprojection_px']}",
        ),
        (
            m["foot_skate_mm_per_frame"] > limits.max_skate,
            f"standing feet slide {m['foot_skate_mm_per_frame']:.0f} mm a frame, "
            f"more than max_skate, {limits.max_skate:g}, {when['foot_skate_mm']}",
        ),
        (
            m["jerk_mean"] > limits.max_jerk,
            f"it jerks by {m['jerk_mean']:.0f} m/s^3, more than max_jerk, {limits.max_jerk:g}, {when['jerk']}",
        ),
        (
            m["speed_max"] > limits.max_speed,
            f"the person moves at {m['speed_max']:.0f} m/s, more than max_speed, {limits.max_speed:g}, {when['speed']}",
        ),
    )
    return "; ".join(reason for is_poor, reason in poor if is_poor)


def bad_frames(figures: dict[str, np.ndarray], limits: Limits, height_px: float, fps: float) -> np.ndarray:
    """(T,) bool: frames around which the motion exceeds the limits so far that it is not a person's.

    ``figures`` are those of `frame_figures`, ``height_px`` is the person's height in view.
    """
    window = max(1, round(LOCAL_SECONDS * fps))
    bad = figures["speed"] > limits.max_speed
    for values, limit in (
        (figures["reprojection_px"] / max(height_px, 1.0), limits.max_reprojection),
        (figures["foot_skate_mm"], limits.max_skate),
        (figures["jerk"], limits.max_jerk),
    ):
        bad |= uniform_filter1d(values, window, mode="nearest") > LOCAL_FACTOR * limit
    return bad
