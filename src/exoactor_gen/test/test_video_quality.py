"""What is said of a video by what an estimator told of it."""

import json
import re

import pytest

from exoactor_gen.video_judge.video_quality import VideoQualityLimits, check_video_quality

GOOD = {
    "seconds": 5.0,
    "cuts_s": [],
    "found_share": 1.0,
    "lost_s": [],
    "others_share": 0.0,
    "others_s": [],
    "whole_share": 1.0,
    "partly_s": [],
    "similarity_min": 0.96,
    "similarity_min_s": 1.2,
    "camera_turn_deg": 0.0,
    "camera_explained": 0.95,
    "camera_explained_s": 3.0,
}


def only(name, limits=None, **changed):
    """The check of that name on a good video with these facts changed; all others pass."""
    checks = {check.name: check for check in check_video_quality(GOOD | changed, limits)}
    assert all(check.passed for other, check in checks.items() if other != name)
    return checks[name]


def test_a_good_video_passes_everything():
    checks = check_video_quality(GOOD)
    assert [check.name for check in checks] == ["one person", "whole body", "no cuts", "camera", "identity"]
    assert all(check.passed and 0.9 < check.score <= 1 for check in checks)


def test_nothing_told_is_nothing_judged():
    assert check_video_quality({}) == []
    assert [check.name for check in check_video_quality({"cuts_s": []})] == ["no cuts"]
    bare = check_video_quality(
        {"found_share": 0.2, "whole_share": 0.2, "cuts_s": [1.0], "camera_explained": 0.1, "similarity_min": 0.1}
    )
    assert not any(check.passed for check in bare)


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("one person", {"found_share": 0.7, "lost_s": [[0, 0.5], [2, 3]]}, "70% .* from 0.0 s to 0.5 s and from 2.0"),
        ("one person", {"others_share": 0.4, "others_s": [[1, 3]]}, "40% of the time, from 1.0 s to 3.0 s"),
        ("whole body", {"whole_share": 0.5, "partly_s": [[0, 1]] * 5}, "50% of .* not from 0.0 s .* and later"),
        ("no cuts", {"cuts_s": [1.2, 3.0]}, r"cut at 1.2 s, 3.0 s; one shot is required"),
        ("camera", {"camera_explained": 0.3}, "moves along or zooms.* at about 3.0 s: turning explains 30%"),
        ("identity", {"similarity_min": 0.3}, r"different at 1.2 s: 0.30 .*0.65 are required"),
    ],
)
def test_every_fault_is_told_with_its_time(name, changed, words):
    check = only(name, **changed)
    assert not check.passed
    assert 0 <= check.score < 0.75
    assert re.search(words, check.text)
    json.dumps(check.score)


def test_a_camera_that_turns_passes_a_little_lower_and_the_unknown_too():
    still, turns = only("camera").score, only("camera", camera_turn_deg=30.0)
    unknown = only("camera", camera_explained=None, camera_turn_deg=None)
    assert turns.passed
    assert unknown.passed
    assert 1 == still > turns.score > unknown.score
    assert "30 degrees" in turns.text
    assert only("identity", similarity_min=None).passed


def test_limits_are_the_users():
    assert only("camera", VideoQualityLimits(min_explained=0.0), camera_explained=0.1).passed
    assert not only("whole body", VideoQualityLimits(min_whole=0.99), whole_share=0.95).passed
