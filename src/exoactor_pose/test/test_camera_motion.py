"""Turns of the camera from a painted background whose motion is known."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from exoactor_pose.fitting.camera import Camera
from exoactor_pose.video.camera_motion import CameraMotion

WIDTH, HEIGHT, FOCAL, FPS = 320, 240, 300.0, 30.0
K = np.array([[FOCAL, 0, WIDTH / 2 - 0.5], [0, FOCAL, HEIGHT / 2 - 0.5], [0, 0, 1]])
MARGIN = 350
"""px painted beyond the first image on every side."""
NOISE = np.random.default_rng(1)
ORIGIN = np.array([[1.0, 0, -MARGIN], [0, 1, -MARGIN], [0, 0, 1]])


@pytest.fixture(scope="module")
def wall():
    rng = np.random.default_rng(0)
    image = np.full((HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN, 3), 150, np.uint8)
    for _ in range(900):
        x, y = rng.integers(0, image.shape[1]), rng.integers(0, image.shape[0])
        w, h = rng.integers(5, 60, 2)
        cv2.rectangle(image, (x, y), (x + w, y + h), rng.integers(40, 230, 3).tolist(), -1)
    return image


def _seen(wall, homography):
    """Image of the wall after a homography of pixels, with a sensor's noise."""
    image = cv2.warpPerspective(wall, homography @ ORIGIN, (WIDTH, HEIGHT))
    noise = NOISE.normal(0, 3, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _turned(wall, rotation):
    return _seen(wall, K @ rotation @ np.linalg.inv(K))


def _person(image, x):
    """Put a person in a motley coat with a middle at ``x`` px into the image; returns its landmarks."""
    coat = np.random.default_rng(2).integers(0, 255, (30, 18, 3)).astype(np.uint8).repeat(6, axis=0).repeat(6, axis=1)
    image[40:220, int(x - 54) : int(x + 54)] = coat
    return np.stack(np.meshgrid([x - 50, x, x + 50], np.linspace(42, 217, 11)), -1).reshape(-1, 2)


def _look(frames, landmarks=None, focal=FOCAL):
    motion = CameraMotion(FPS, Camera(focal, focal, WIDTH / 2, HEIGHT / 2, focal_std=0.2))
    for k, frame in enumerate(frames):
        motion(frame, None if landmarks is None else landmarks[k])
    return motion


def _error(found, wanted):
    return np.degrees((Rotation.from_matrix(found).inv() * Rotation.from_matrix(wanted)).magnitude())


def _there_and_back(count=46, most=35):
    """(T, 3, 3): a pan by many degrees with a little tilt and roll, and back again."""
    s = np.sin(np.linspace(0, np.pi, count))
    return Rotation.from_euler("yxz", np.stack([-most * s, 4 * s**2, 2 * s], axis=1), degrees=True).as_matrix()


def test_a_turn_is_found_and_coming_back_too(wall):
    wanted = _there_and_back()
    motion = _look([_turned(wall, r) for r in wanted])
    found, _, notes = motion.rotations()
    assert _error(found, wanted).max() < 0.3
    assert _error(found[-1:], wanted[-1:])[0] < 0.05  # no drift: it is compared with the first image again
    assert len(notes) == 1
    assert "turns by up to 35 degrees" in notes[0]


def test_part_of_a_video_is_relative_to_its_first_frame(wall):
    wanted = _there_and_back()
    found, _, _ = _look([_turned(wall, r) for r in wanted]).rotations(12, 40)
    assert len(found) == 28
    assert _error(found, wanted[12:40] @ wanted[12].T).max() < 0.3


def test_a_still_camera_is_exactly_still(wall):
    frames, landmarks = [], []
    for k in range(45):
        frames.append(_turned(wall, np.eye(3)))
        landmarks.append(_person(frames[-1], 70 + 4 * k))
    assert _look(frames, landmarks).rotations() == (None, False, ())


def test_a_person_whom_the_camera_follows_does_not_count(wall):
    wanted = _there_and_back(most=12)
    frames = [_turned(wall, r) for r in wanted]
    landmarks = [_person(frame, 160 + 10 * np.sin(k / 7)) for k, frame in enumerate(frames)]
    found, travels, notes = _look(frames, landmarks).rotations()
    assert _error(found, wanted).max() < 0.3
    assert not travels
    assert len(notes) == 1


@pytest.mark.parametrize("most", [1.1, 1.6])
def test_a_zoom_is_told(wall, most):
    frames = [_seen(wall, K @ np.diag([z, z, 1]) @ np.linalg.inv(K)) for z in np.linspace(1.0, most, 46)]
    _, travels, notes = _look(frames).rotations()
    assert travels or most < 1.5
    assert any("moves along or zooms" in note for note in notes)


def test_a_camera_that_moves_along_is_told(wall):
    near = cv2.resize(wall, None, fx=0.5, fy=0.5)[::-1]
    frames = []
    for k in range(46):
        frame = _seen(wall, np.array([[1.0, 0, -k], [0, 1, 0], [0, 0, 1]]))
        frame[130:] = near[200:310, 3 * k : 3 * k + WIDTH]  # what is near moves faster
        frames.append(frame)
    _, travels, notes = _look(frames).rotations()
    assert travels
    assert any("moves along or zooms" in note for note in notes)


def test_a_turn_is_no_other_motion_where_the_focal_length_is_only_assumed(wall):
    frames = [_turned(wall, r) for r in _there_and_back()]
    camera = Camera(0.75 * FOCAL, 0.75 * FOCAL, WIDTH / 2, HEIGHT / 2)
    assumed, known = (CameraMotion(FPS, replace(camera, focal_std=std)) for std in (0.2, 0.0))
    for frame in frames:
        assumed(frame, None)
        known(frame, None)
    assert assumed.explained()[1].min() > 0.85
    assert known.explained()[1].min() < 0.7
    assert len(assumed.rotations()[2]) == 1


def test_what_a_turn_explains_is_of_all_frames_so_far(wall):
    frames = [_turned(wall, r) for r in _there_and_back(24)]
    motion = _look(frames[:12])
    few = motion.explained(0, 24)
    for frame in frames[12:]:
        motion(frame, None)
    alike = _look(frames)
    assert len(few[0]) == 4
    for found, wanted in zip(motion.explained(0, 24), alike.explained(0, 24), strict=True):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(motion.explained(0, 12)[0], few[0])


@pytest.mark.parametrize("assumed", [0.6, 1.5])
def test_the_focal_length_is_told_by_a_camera_that_turns(wall, assumed):
    wanted = _there_and_back(most=15)
    motion = _look([_turned(wall, r) for r in wanted], focal=assumed * FOCAL)
    ratio, std = motion.focal_ratio()
    assert ratio == pytest.approx(1 / assumed, rel=0.05)
    assert std < 0.05
    found, travels, _ = motion.rotations(focal_ratio=ratio)
    assert _error(found, wanted).max() < 0.1 * 15
    assert not travels


def test_the_focal_length_is_left_open_by_a_camera_that_does_not_turn(wall):
    still = [_turned(wall, np.eye(3))] * 20
    beside = [_seen(wall, np.array([[1.0, 0, -4 * k], [0, 1, 0], [0, 0, 1]])) for k in range(20)]
    for frames in (still, beside):
        ratio, std = _look(frames).focal_ratio()
        assert ratio == pytest.approx(1.0, abs=0.02)
        assert std == pytest.approx(0.2, abs=0.02)


def test_a_bare_background_is_told():
    frames = [np.full((HEIGHT, WIDTH, 3), 120, np.uint8)] * 20
    rotation, _, notes = _look(frames).rotations()
    assert rotation is None
    assert "too little" in notes[0]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_short_to_tell(wall, count):
    assert _look([_turned(wall, np.eye(3))] * count).rotations() == (None, False, ())


def test_a_cut_does_not_spoil_what_follows(wall):
    before = [cv2.flip(_turned(wall, np.eye(3)), -1)] * 20
    wanted = _there_and_back()[:30]
    found, _, _ = _look(before + [_turned(wall, r) for r in wanted]).rotations(21)
    assert _error(found, wanted[1:] @ wanted[1].T).max() < 0.4
