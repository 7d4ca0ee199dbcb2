"""What is told of a video as such: every fault that is put into a clean clip is caught, and no other."""

from contextlib import closing

import cv2
import numpy as np
import pytest

from exoactor_core.stages import GenerateRequest, load_backend
from exoactor_core.video import Video
from exoactor_gen.video_judge.video_quality import check_video_quality
from exoactor_pose.detection.appearance import AppearanceModel
from exoactor_pose.detection.detectors import MediapipeDetector, Pose
from exoactor_pose.detection.people import Person, has_company
from exoactor_pose.fitting.camera import Camera
from exoactor_pose.video.camera_motion import CameraMotion
from exoactor_pose.video.landmark_tracking import detect
from exoactor_pose.video.person_tracker import Tracker

FPS, SIDE = 12.0, 320
RED, BLUE = (200, 40, 40), (40, 40, 200)


# --- who counts as another person ---


def test_only_others_of_comparable_size_are_company():
    def person(x, size):
        return Person(np.array([x, 100.0]), size)

    one = person(100.0, 100.0)
    assert not has_company([one], one)
    assert not has_company([one, person(300.0, 40.0)], one)  # far away
    assert not has_company([one, person(105.0, 90.0)], one)  # found twice
    assert has_company([one, person(300.0, 70.0)], one)
    assert has_company([one, person(300.0, 70.0)], None)
    assert not has_company([one], None)


class Overlooking:
    """Finds and follows the same person in whole images, somebody else in bright ones that are less wide."""

    batch = 1

    def find_people(self, frames):
        one, other = Person(np.array([80.0, 100.0]), 100.0), Person(np.array([40.0, 100.0]), 70.0)
        return [[one] if frame.shape[1] == 320 else [other] * int(frame.mean() > 128) for frame in frames]

    def find_landmarks(self, frames, people):
        image = np.ones((33, 3))
        image[:, 0], image[:, 1] = np.linspace(60, 100, 33), np.linspace(50, 150, 33)
        return [Pose(image, person=person) for person in people]


def test_somebody_whom_the_detector_overlooks_is_found_on_the_side_of_the_person():
    with closing(Tracker(Overlooking(), FPS)) as tracker:
        for k in range(36):
            frame = np.zeros((200, 320, 3), np.uint8)
            frame[:, 120:] = 255 if 12 <= k < 24 else 0
            tracker([frame])
        told = np.array(tracker.others)
    assert told[18:24].all()
    assert not told[:12].any()
    assert not told[30:].any()


# --- the same looks ---


def figure(shirt, trousers=BLUE, lean=0.0, light=1.0):
    """An image of somebody in plain clothes who leans to the side by an angle in rad, and the landmarks."""
    place = np.zeros((33, 3))
    place[:, 2] = 1.0
    for k, x, y in (
        (11, 14, -60),
        (12, -14, -60),
        (23, 10, 0),
        (24, -10, 0),
        (13, 24, -30),
        (14, -24, -30),
        (15, 26, 0),
        (16, -26, 0),
        (25, 10, 40),
        (26, -10, 40),
        (27, 10, 80),
        (28, -10, 80),
    ):
        turned = (x * np.cos(lean) - y * np.sin(lean), x * np.sin(lean) + y * np.cos(lean)) if y < 0 else (x, y)
        place[k, :2] = turned + np.array([120, 110])
    image = np.full((220, 240, 3), 128, np.uint8)
    at = place[:, :2].round().astype(int)
    cv2.fillConvexPoly(image, cv2.convexHull(at[[11, 12, 24, 23]]), shirt)
    for colour, width, limbs in (
        (shirt, 9, ((11, 13, 15), (12, 14, 16))),
        (trousers, 15, ((23, 25, 27), (24, 26, 28))),
    ):
        for limb in limbs:
            cv2.polylines(image, [at[list(limb)]], False, colour, width)
    return (image * light).astype(np.uint8), place


def similarity(figures, fps=10.0):
    model = AppearanceModel(fps)
    for image, landmarks in figures:
        model(image, landmarks)
    return model.similarity(np.ones(len(figures), bool))


def test_bending_and_light_change_no_looks():
    told = similarity([figure(RED, lean=0.06 * k) for k in range(25)])
    assert np.isnan(told[:3]).all()  # nothing was seen before
    assert np.nanmin(told) > 0.9
    assert np.nanmin(similarity([figure(RED, light=1 - 0.015 * k) for k in range(20)])) > 0.8


def test_a_bare_arm_before_the_trunk_changes_no_looks():
    """Seen from the side, shoulders and hips are at one place in the image, and an arm may hang before them."""

    def aside(skin):
        image, place = figure(RED)
        place[:, 0] = 120
        cv2.rectangle(image, (104, 50), (136, 110), RED, -1)
        place[[13, 14, 15, 16], 0] = 120 if skin else 150
        cv2.line(image, (120, 50), (120 if skin else 150, 110), (220, 180, 150), 9)
        return image, place

    assert np.nanmin(similarity([aside(False)] * 10 + [aside(True)] * 10)) > 0.75


@pytest.mark.parametrize("fps", [10.0, 15.0, 30.0])
@pytest.mark.parametrize("after", [{"shirt": BLUE}, {"shirt": RED, "trousers": (60, 140, 60)}])
def test_one_garment_of_another_colour_is_told_when_it_changes(fps, after):
    half = round(fps)
    told = similarity([figure(RED)] * half + [figure(**after)] * half, fps)
    assert np.nanmin(told) < 0.3
    assert np.nanargmin(told) / fps == pytest.approx(1.0, abs=0.15)


def test_legs_behind_a_table_tell_nothing():
    seen, hidden = figure(RED), figure(RED, trousers=(120, 90, 60))
    hidden[1][23:29, 2] = 0.1
    assert np.nanmin(similarity([seen] * 10 + [hidden] * 10)) > 0.9


# --- the whole way, with MediaPipe ---


def generated(task, **options):
    made = load_backend("generate", "mannequin", fps=12, width=SIDE, height=SIDE, room="pictures", **options)
    return made(GenerateRequest(task)).video


@pytest.fixture(scope="module")
def waving():
    """Frames of somebody who waves, 2 s, and the landmarks in them."""
    pytest.importorskip("mediapipe")
    pytest.importorskip("exoactor_gen.mannequin.mannequin", reason="the generator is not installed")
    frames = np.array([frame for frame, _ in zip(generated("wave", seed=3).frames(), range(24), strict=False)])
    with closing(MediapipeDetector()) as detector:
        return frames, detect(Video.from_frames(frames, FPS), detector)[0].image


@pytest.fixture(scope="module")
def detector():
    pytest.importorskip("mediapipe")
    made = MediapipeDetector()
    yield made
    made.close()


def judged(frames, detector):
    video = frames if isinstance(frames, Video) else Video.from_frames(frames, FPS)
    motion = CameraMotion(video.fps, Camera.guess(video.width, video.height, 55.0))
    checks = check_video_quality(detect(video, detector, camera=motion)[0].facts)
    return {check.name: check for check in checks}, {check.name for check in checks if not check.passed}


def test_a_clean_clip_passes(waving, detector):
    checks, failed = judged(waving[0], detector)
    assert len(checks) == 5
    assert not failed
    assert min(check.score for check in checks.values()) > 0.85


def test_a_camera_that_turns_passes(detector):
    pytest.importorskip("exoactor_gen.mannequin.mannequin", reason="the generator is not installed")
    checks, failed = judged(generated("walk 1 m", seed=2, camera="side", pan=True), detector)
    assert not failed
    assert "turns by up to" in checks["camera"].text


def test_a_cut_is_told(waving, detector):
    other = [frame for frame, _ in zip(generated("bow", seed=8).frames(), range(14), strict=False)]
    checks, failed = judged([*waving[0][:15], *other], detector)
    assert "no cuts" in failed
    assert "at 1.2 s" in checks["no cuts"].text


def test_the_same_motion_of_another_seed_is_told(waving, detector):
    """Where and how the person stands goes on; the clothes and the room do not."""
    other = [frame for frame, _ in zip(generated("wave", seed=4).frames(), range(24), strict=False)]
    _, failed = judged([*waving[0][:15], *other[15:], *other[-2:0:-1]], detector)
    assert {"no cuts", "identity"} <= failed


def test_somebody_beside_is_told(waving, detector):
    frames = np.concatenate([waving[0], waving[0][::-1, :, ::-1]], axis=2)
    _, failed = judged(frames, detector)
    assert failed == {"one person"}


def test_somebody_who_is_gone_for_a_while_is_told(waving, detector):
    frames = waving[0].copy()
    frames[8:14, :, 90:250] = frames[8:14, :, :1]  # a curtain before the person
    checks, failed = judged(frames, detector)
    assert failed == {"one person"}
    assert "not from 0.7 s to 1.2 s" in checks["one person"].text


def test_feet_below_the_image_are_reported(waving, detector):
    frames, image = waving
    bottom = int(image[:, 27:29, 1].min()) - 12
    cut = (SIDE - bottom) // 2
    _, failed = judged([cv2.resize(f[:bottom, cut : SIDE - cut], (SIDE, SIDE)) for f in frames], detector)
    assert "whole body" in failed


def test_clothes_of_another_colour_are_told(waving, detector):
    frames, image = waving[0].copy(), waving[1]
    for frame, place in zip(frames[12:], image[12:], strict=True):
        person = np.zeros(frame.shape[:2], np.uint8)
        cv2.fillConvexPoly(person, cv2.convexHull(place[[11, 12, 23, 24], :2].round().astype(np.int32)), 1)
        person = cv2.dilate(person, np.ones((13, 13)))
        frame[person > 0] = frame[person > 0][:, [1, 2, 0]]
    checks, failed = judged(frames, detector)
    assert failed == {"identity"}
    assert "at 1.0 s" in checks["identity"].text


def test_a_camera_that_zooms_is_told(waving, detector):
    def zoomed(frame, by):
        turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 0.0, by)
        return cv2.warpAffine(frame, turn, (SIDE, SIDE))

    _, failed = judged([zoomed(f, by) for f, by in zip(waving[0], np.linspace(1, 1.12, 24), strict=True)], detector)
    assert failed == {"camera"}
