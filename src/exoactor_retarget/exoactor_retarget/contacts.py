"""Contacts of the feet with the floor, and the height of the floor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from exoactor_core.arrays import true_runs
from exoactor_retarget.human import Posture


def without_short(mask: np.ndarray, frames: int) -> np.ndarray:
    """Fill gaps, then drop runs, that are shorter than ``frames`` and touch neither end of the motion."""
    out = np.array(mask, dtype=bool)
    for value in (False, True):
        for a, b in true_runs(out == value):
            if b - a < frames and a > 0 and b < len(out):
                out[a:b] = not value
    return out


def detect(points: np.ndarray, fps: float, options: Mapping[str, float]) -> np.ndarray:
    """Find contacts (T, K) bool of sole points (T, K, 3) m over the floor z = 0, by height and speed, with hysteresis.

    ``options``: height_on, height_off (m), speed_on, speed_off (m/s), shortest (s).
    """
    t = len(points)
    smooth = gaussian_filter1d(points, 0.02 * fps, axis=0, mode="nearest") if t > 2 else points
    speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * fps if t > 1 else np.zeros(points.shape[:2])
    height = points[..., 2]
    on = (height < options["height_on"]) & (speed < options["speed_on"])
    keep = (height < options["height_off"]) & (speed < options["speed_off"])
    contact = np.zeros(on.shape, dtype=bool)
    frames = max(1, round(options["shortest"] * fps))
    for k in range(on.shape[1]):
        for a, b in true_runs(keep[:, k]):  # a run that may touch does so from its first certain frame
            sure = np.flatnonzero(on[a:b, k])
            if len(sure):
                contact[a + sure[0] : b, k] = True
        contact[:, k] = without_short(contact[:, k], frames)
    return contact


def floor_height(points: np.ndarray) -> float:
    """Height at which the lower sole points rest most of the time, (T, K, 3) -> m."""
    return float(np.percentile(points[..., 2].min(axis=1), 20))


def ground(person: Posture, options: Mapping[str, float]) -> Posture:
    """Move the person down (or up) to the floor z = 0, and find contacts if there are none.

    The points in contact are brought to the floor, without slow drift of the height. In a motion that never touches the
    floor, the lowest height of the feet is at the floor.
    """
    points = person.soles
    if np.any(person.contacts > 0.5):
        contact = person.contacts > 0.5
    else:
        floor = floor_height(points)
        contact = detect(points - [0.0, 0.0, floor], person.fps, options)
    if contact.any():
        touching = contact.any(axis=1)
        height = np.where(contact, points[..., 2], 0.0).sum(axis=1) / np.maximum(contact.sum(axis=1), 1)
        frames = np.arange(len(person))
        offset = np.interp(frames, frames[touching], height[touching])
        offset = gaussian_filter1d(offset, max(0.3 * person.fps, 1e-3), mode="nearest")
    else:
        offset = np.full(len(person), min(points[..., 2].min(), person.bearing[..., 2].min()))
    return replace(person.lowered(offset), contacts=contact.astype(np.float64))


def bearing_contacts(person: Posture, options: Mapping[str, float]) -> np.ndarray:
    """Which of the body parts other than the feet that may support the person lie on the floor: (T, 8) bool."""
    points = person.bearing
    if points[..., 2].min() > options["bearing_on"]:
        return np.zeros(points.shape[:2], dtype=bool)
    heights = {"height_on": options["bearing_on"], "height_off": options["bearing_off"]}
    return detect(points, person.fps, {**options, **heights})


def foot_contacts(contacts: np.ndarray, fps: float, shortest: float) -> np.ndarray:
    """Contacts of whole feet from those of heels and toes: (T, 4) -> (T, 2) bool.

    A robot's foot is one flat piece: it stands while the heel or the toe does.
    """
    either = np.any((contacts > 0.5).reshape(len(contacts), 2, 2), axis=2)
    frames = max(1, round(shortest * fps))
    return np.stack([without_short(either[:, k], frames) for k in range(2)], axis=1)
