"""A drawn scene that a video begins with, whose camera and person are known."""

import numpy as np
import pytest

from exoactor_core.scene import everyday, joined
from exoactor_core.video import Video
from exoactor_gen.first_frame import drawn, known_of
from exoactor_gen.mannequin.choreography import plan_of
from exoactor_gen.mannequin.mannequin import ROBOT_STATURE

PLAN = plan_of("nod")
TABLE = everyday("table", pos=(1.3, 0.0, 0.0))
SCENE = joined([TABLE, everyday("bottle", pos=(1.15, 0.1, TABLE.extent[1, 2]))])


def _video(width, height):
    return Video.from_frames((np.full((height, width, 3), level, np.uint8) for level in range(3)), 10.0)


def test_the_scene_is_drawn_with_a_person_of_the_robot_s_stature():
    (with_bottle, first), (without, _) = (drawn(PLAN, scene, 3, 320, 180) for scene in (SCENE, joined([TABLE])))
    assert with_bottle.shape == (180, 320, 3)
    assert first["person_height"] == pytest.approx(ROBOT_STATURE, abs=0.02)
    assert np.abs(with_bottle.astype(int) - without).max() > 50


def test_a_video_that_begins_with_it_states_its_camera():
    _, first = drawn(PLAN, SCENE, 0, 320, 180)
    half = _video(160, 90).with_metadata(*known_of(first, 160, 90))
    assert half.intrinsics == pytest.approx([value / 2.0 for value in first["intrinsics"]])
    assert Video.from_bytes(half.data).person_height == pytest.approx(first["person_height"])


def test_the_camera_of_a_cropped_video_is_not_known():
    _, first = drawn(PLAN, SCENE, 0, 320, 180)
    cropped = _video(160, 120).with_metadata(*known_of(first, 160, 120))
    assert cropped.intrinsics is None
    assert cropped.person_height == first["person_height"]
