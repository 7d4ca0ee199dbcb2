"""Video quality: one whole person throughout, in one shot, and a camera whose motion is understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exoactor_core.options import BaseOptions, Share
from exoactor_gen.video_judge.finding import Finding

STILL_CAMERA_DEG = 0.25
"""Degrees: a camera that turns less is still."""
TURNING_CAMERA_SCORE = 0.9
"""Score of a turning camera, whose rotation is estimated."""
UNKNOWN_SCORE = 0.8
"""Score if the video does not show it."""
MAX_LISTED_TIMES = 3


class VideoQualityLimits(BaseOptions):
    """Requirements of a video."""

    min_found: Share = 0.9
    """Minimum share of frames in which the person is found."""
    max_others: Share = 0.1
    """Maximum share of the time in which other people of comparable size are in view."""
    min_whole: Share = 0.9
    """Minimum share of the person's frames in which head, hands and feet are in view."""
    min_similarity: Share = 0.65
    """Minimum similarity of the colours of the person's upper and lower half to those seen before."""
    min_explained: Share = 0.75
    """Minimum share of the background's motion over a second that a still or turning camera explains; 0: the camera may
    travel."""


def check_video_quality(facts: Mapping[str, Any], limits: VideoQualityLimits | None = None) -> list[Finding]:
    """Judge an estimator's facts about a video (``Estimate.metrics["video"]``); missing ones are not judged."""
    limits = limits or VideoQualityLimits()
    checks = {
        "found_share": _one_person,
        "whole_share": _whole_body,
        "cuts_s": _no_cuts,
        "camera_explained": _camera,
        "similarity_min": _identity,
    }
    return [check(facts, limits) for fact, check in checks.items() if fact in facts]


def _one_person(facts: Mapping[str, Any], limits: VideoQualityLimits) -> Finding:
    found, others = facts["found_share"], facts.get("others_share", 0.0)
    wrong = []
    if found < limits.min_found:
        wrong.append(
            f"The person is seen in {found:.0%} of the frames{_times(facts.get('lost_s'), ', but not ')}; "
            f"{limits.min_found:.0%} are required."
        )
    if others > limits.max_others:
        wrong.append(
            f"Somebody else is in the image for {others:.0%} of the time{_times(facts.get('others_s'), ', ')}; "
            "one person is wanted."
        )
    return Finding("one person", found * (1 - others), not wrong, " ".join(wrong) or "One person is seen throughout.")


def _whole_body(facts: Mapping[str, Any], limits: VideoQualityLimits) -> Finding:
    whole = facts["whole_share"]
    text = f"Head, hands and feet are in the image in {whole:.0%} of the frames"
    if whole >= limits.min_whole:
        return Finding("whole body", whole, True, text + ".")
    text += f"{_times(facts.get('partly_s'), ', but not ')}; {limits.min_whole:.0%} are required."
    return Finding("whole body", whole, False, text)


def _no_cuts(facts: Mapping[str, Any], limits: VideoQualityLimits) -> Finding:
    cuts = facts["cuts_s"]
    if not cuts:
        return Finding("no cuts", 1.0, True, "The video is one shot.")
    listed = ", ".join(f"{t:.1f} s" for t in cuts[:MAX_LISTED_TIMES]) + (
        " and later" if len(cuts) > MAX_LISTED_TIMES else ""
    )
    return Finding("no cuts", 0.5 / len(cuts), False, f"The video is cut at {listed}; one shot is required.")


def _camera(facts: Mapping[str, Any], limits: VideoQualityLimits) -> Finding:
    explained, turn = facts["camera_explained"], facts.get("camera_turn_deg") or 0.0
    if explained is None:
        text = "The background shows too little to tell whether the camera moves."
        return Finding("camera", UNKNOWN_SCORE, True, text)
    if explained < limits.min_explained:
        about = f" at about {facts['camera_explained_s']:.1f} s" if "camera_explained_s" in facts else ""
        text = (
            f"The camera moves along or zooms, or the background moves{about}: turning explains {explained:.0%} of "
            "it; a camera that stands still, or only turns, is required."
        )
        return Finding("camera", 0.5 * explained, False, text)
    if turn < STILL_CAMERA_DEG:
        return Finding("camera", 1.0, True, "The camera stands still.")
    text = f"The camera turns by up to {turn:.0f} degrees, which is estimated."
    return Finding("camera", TURNING_CAMERA_SCORE, True, text)


def _identity(facts: Mapping[str, Any], limits: VideoQualityLimits) -> Finding:
    similarity = facts["similarity_min"]
    if similarity is None:
        text = "The person is seen too little to tell whether the looks change."
        return Finding("identity", UNKNOWN_SCORE, True, text)
    if similarity >= limits.min_similarity:
        text = f"The person looks the same throughout: {similarity:.2f} at least."
        return Finding("identity", similarity, True, text)
    when = f" at {facts['similarity_min_s']:.1f} s" if "similarity_min_s" in facts else ""
    text = (
        f"The person looks different{when}: {similarity:.2f} of the colours before; "
        f"{limits.min_similarity:g} are required."
    )
    return Finding("identity", similarity, False, text)


def _times(spans: Sequence[Sequence[float]] | None, before: str) -> str:
    """The first of some time spans in words; empty if there are none."""
    if not spans:
        return ""
    listed = " and ".join(f"from {a:.1f} s to {b:.1f} s" for a, b in spans[:MAX_LISTED_TIMES])
    return before + listed + (" and later" if len(spans) > MAX_LISTED_TIMES else "")
