import numpy as np
import pytest

from exoactor_core.body import HUMAN_JOINT_NAMES, BodyModel
from exoactor_core.motion import HumanMotion
from exoactor_pose.detection.anatomy import LANDMARK_NAMES
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.fitting.hands import (
    HandFinder,
    bends_in_space,
    finger_bends,
    hand_pose,
    hand_region,
    with_hand_landmarks,
)

FPS = 30.0
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
FIST = {finger: (1.4, 1.6, 1.0) for finger in FINGERS[1:]} | {"thumb": (0.0, 0.5, 0.7)}
POINTING = FIST | {"index": (0.0, 0.0, 0.0)}


def bends(shape):
    """(5, 3) in SMPL-X's order of fingers."""
    return np.array([shape.get(f, (0.0, 0.0, 0.0)) for f in ("index", "middle", "pinky", "ring", "thumb")])


def hand(shape, side="left"):
    """21 landmarks (21, 3) m of a hand of the rest pose, y up and palm down, in MediaPipe's order."""
    body = BodyModel.load()
    angles = bends(shape)
    pose = np.zeros((2, 5, 3, 3))
    across = np.array([0.35, 0.85, -0.40]) / np.linalg.norm([0.35, 0.85, -0.40])
    for k, mirror in ((0, 1.0), (1, np.array([1.0, -1.0, -1.0]))):
        pose[k, :4] = angles[:4, :, None] * (mirror * np.array([0, 0, -1.0]))
        pose[k, 4] = angles[4, :, None] * (mirror * across)
    motion = HumanMotion(FPS, np.zeros((1, 3)), np.zeros((1, 3)), np.zeros((1, 63)), np.zeros(10), pose.reshape(1, 90))
    rotations, joints = (a[0] for a in body.transforms(motion))
    rest = body.rest_joints(np.zeros(10))
    points = [joints[HUMAN_JOINT_NAMES.index(f"{side}_wrist")]]
    for finger in FINGERS:
        k = [HUMAN_JOINT_NAMES.index(f"{side}_{finger}{n}") for n in (1, 2, 3)]
        points += [*joints[k], joints[k[2]] + 0.8 * rotations[k[2]] @ (rest[k[2]] - rest[k[1]])]
    return np.array(points)


def seen(left, right=None, confidence=1.0):
    """Landmarks of T frames with hands (T, 21, 3) m of the rest pose, seen by a camera that looks at the palms."""
    count = len(left)
    world = np.zeros((count, 2, 21, 3))
    world[:, 0], world[:, 1] = left, left if right is None else right
    world = world @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # x right, y down, z away: from below, fingers aside
    image = np.concatenate([300 * world[..., :2], np.ones((count, 2, 21, 1))], axis=-1)
    image[..., 2] = np.broadcast_to(confidence, (2, count)).T[..., None]
    return Landmarks(FPS, 640, 480, np.ones((count, 33, 3)), None, np.ones(count, bool), image, world)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("shape", [{}, FIST, POINTING], ids=["open", "fist", "pointing"])
def test_bends_are_those_of_the_hand(shape, side):
    points = hand(shape, side)
    mirrored = points * [1.0, 1.0, -1.0]
    for each in (points, mirrored):
        np.testing.assert_allclose(bends_in_space(each)[:4], bends(shape)[:4], atol=0.02)
        np.testing.assert_allclose(bends_in_space(each)[4], bends(shape)[4], atol=0.15)


def test_an_image_alone_distinguishes_a_fist_from_an_open_hand():
    turns = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 3, 3)))[0]
    fist, flat = (finger_bends(hand(shape) @ turns)[:, :4].mean(axis=(1, 2)) for shape in (FIST, {}))
    assert flat.max() < 0.05
    assert fist.min() > 0.3
    assert fist.mean() > 0.9


@pytest.mark.parametrize("shape", [{}, FIST, POINTING], ids=["open", "fist", "pointing"])
def test_hand_pose_is_smplx(shape):
    """The same bends come back at least, in no other finger, and put the fingers where they were."""
    pose = hand_pose(seen([hand(shape)] * 20, [hand(shape, "right")] * 20))
    assert pose.shape == (20, 90)
    angle = np.linalg.norm(pose.reshape(20, 2, 5, 3, 3), axis=-1)
    assert (angle[:, :, :4] > bends(shape)[:4] - 0.03).all()
    assert (angle[:, :, :4] < np.where(bends(shape)[:4] > 0, 2.0, 0.03)).all()
    motion = HumanMotion(FPS, np.zeros((20, 3)), np.zeros((20, 3)), np.zeros((20, 63)), np.zeros(10), pose)
    joints = BodyModel.load().joints(motion)[10]
    for side in ("left", "right"):
        points = hand(shape, side)
        for finger, first in (("thumb", 1), ("index", 5), ("middle", 9), ("ring", 13), ("pinky", 17)):
            k = HUMAN_JOINT_NAMES.index(f"{side}_{finger}3")
            assert np.linalg.norm(joints[k] - points[first + 2]) < (0.03 if bends(shape).any() else 0.01)


def test_closing_moves_the_tips_under_the_palm():
    """Independently of the axes: SMPL-X's palms look down in the rest pose."""
    for side in ("left", "right"):
        flat, fist = hand({}, side), hand(FIST, side)
        assert (fist[[8, 12, 16, 20], 1] < flat[[8, 12, 16, 20], 1] - 0.015).all()
        assert (np.linalg.norm(fist - fist[0], axis=1) < np.linalg.norm(flat - flat[0], axis=1) - 0.03)[8::4].all()


def test_what_is_not_seen_is_held_and_then_flat():
    confidence = np.zeros(150)
    confidence[:30:3] = 0.8  # every third frame of the first second
    pose = hand_pose(seen([hand(FIST)] * 150, confidence=np.stack([confidence, np.zeros(150)])))
    angle = np.linalg.norm(pose.reshape(150, 2, 5, 3, 3), axis=-1)
    assert (angle[:40, 0, :4, 1] > 1.5).all()
    assert angle[100:, 0].max() < 0.05
    assert (angle[:, 1] == 0).all()
    assert np.abs(np.diff(pose, axis=0)).max() < 0.15  # rad per frame: it opens, it does not jump
    nothing = Landmarks(FPS, 640, 480, np.ones((3, 33, 3)), None, np.ones(3, bool))
    assert (hand_pose(nothing) == 0).all()


def test_one_wrong_look_does_not_open_a_fist():
    hands = np.array([hand(FIST)] * 60)
    hands[30] = hand({})
    angle = np.linalg.norm(hand_pose(seen(hands)).reshape(60, 2, 5, 3, 3), axis=-1)
    assert angle[:, :, :4, 1].min() > 1.2


def test_sharpened_knuckles():
    landmarks = seen([hand({})] * 12, confidence=np.stack([np.ones(12), np.full(12, 0.4)]))
    result = with_hand_landmarks(landmarks)
    index, other = (LANDMARK_NAMES.index(f"{side}_index") for side in ("left", "right"))
    knuckle, wrist, middle = (landmarks.hands[:, 0, k, :2] for k in (5, 0, 9))
    np.testing.assert_allclose(result.image[:, index, :2], knuckle + 0.17 * (middle - wrist), atol=0.5)
    np.testing.assert_array_equal(result.image[:, other], landmarks.image[:, other])  # too unsure
    assert (
        with_hand_landmarks(Landmarks(FPS, 640, 480, landmarks.image, None, landmarks.found)).image is landmarks.image
    )


def test_region_around_a_hand():
    body = np.zeros((33, 3))
    body[:, 2] = 1.0
    for name, place in (
        ("elbow", (100, 200)),
        ("wrist", (100, 140)),
        ("index", (103, 120)),
        ("pinky", (94, 120)),
        ("shoulder", (130, 200)),
    ):
        body[LANDMARK_NAMES.index(f"left_{name}"), :2] = place
        body[LANDMARK_NAMES.index(f"right_{name}"), :2] = np.add(place, (80, 0))
    x, y, size, turn = hand_region(body, 0)
    assert (x, y) == pytest.approx((100, 120))
    assert size == pytest.approx(80)
    assert turn == pytest.approx(0)  # fingers up
    body[LANDMARK_NAMES.index("left_index"), :2] = body[LANDMARK_NAMES.index("left_pinky"), :2] = (101, 140)
    assert hand_region(body, 0)[2] > 50  # it points at the camera: still as large as a hand
    assert hand_region(body * [0.1, 0.1, 1.0], 0) is None
    body[LANDMARK_NAMES.index("left_wrist"), 2] = 0.1
    assert hand_region(body, 0) is None, "it is hidden"
    assert hand_region(body, 1) is not None


def test_no_hand_is_found_where_there_is_none():
    pytest.importorskip("mediapipe")
    finder = HandFinder(every=2)
    body = np.random.default_rng(0).uniform(100, 300, (33, 3))
    for _ in range(2):
        image, world = finder(np.full((480, 640, 3), 128, np.uint8), body)
        assert (image == 0).all()
        assert (world == 0).all()
    finder.close()
