"""Hands all the way: the drawn person's, the landmarks, the fingers of SMPL-X, the robot's."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dex3_facts import HAND_LIMITS
from exoactor_control.reference.human_keypoints import hand_openness
from exoactor_core.body import BODY_JOINT_NAMES, BodyModel
from exoactor_core.dex3 import hand_targets
from exoactor_core.motion import HumanMotion
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.fitting.hands import HandFinder, hand_pose

FPS = 30.0
FIST = np.array([1.5, 1.6, 1.0])


def person(closed):
    """Both hands raised beside the head, palms to the front; ``closed`` (T, 2) in [0, 1]."""
    count = len(closed)
    pose = np.zeros((count, 63))
    for side, mirror in (("left", 1.0), ("right", -1.0)):
        shoulder, elbow = (3 * (BODY_JOINT_NAMES.index(f"{side}_{part}") - 1) for part in ("shoulder", "elbow"))
        raised = Rotation.from_euler("z", -0.6 * mirror) * Rotation.from_euler("x", -1.4)
        pose[:, shoulder : shoulder + 3] = raised.as_rotvec()
        pose[:, elbow + 1] = -1.6 * mirror
    hands = np.zeros((count, 2, 5, 3, 3))
    hands[:, :, :4, :, 2] = closed[:, :, None, None] * FIST * np.array([-1.0, 1.0])[:, None, None]
    facing = Rotation.from_euler("ZX", [np.pi / 2, np.pi / 2])
    return HumanMotion(
        FPS,
        np.tile([0, 0, 1.3], (count, 1)),
        np.tile(facing.as_rotvec(), (count, 1)),
        pose,
        np.zeros(10),
        hands.reshape(count, 90),
    )


def robot_grip(pose):
    """How far the Dex3's fingers are closed of their range, (T, 2) in [0, 1]."""
    reach = np.abs(HAND_LIMITS[:, 3:]).max(axis=-1)
    return np.array([(np.abs(hand_targets(each))[:, 3:] / reach).mean(axis=1) for each in hand_openness(pose)])


def test_drawn_hands_open_and_close_the_robots_hands():
    pytest.importorskip("mediapipe")
    mannequin = pytest.importorskip("exoactor_gen.mannequin.mannequin", reason="the generator is not installed")
    assert mannequin
    from exoactor_gen.mannequin.rendering.camera import frame_person
    from exoactor_gen.mannequin.rendering.look import Look
    from exoactor_gen.mannequin.rendering.render import render
    from exoactor_pose.detection.detectors import MediapipeDetector

    closed = np.zeros((8, 2))
    closed[:4, 0] = closed[4:, 1] = 1.0  # first the left hand is a fist, then the right
    motion, body, rng = person(closed), BodyModel.load(), np.random.default_rng(1)
    camera = frame_person(body.joints(motion), "front", 640, 480, rng)
    detector, finder = MediapipeDetector(), HandFinder()
    seen = []
    for frame in render(motion, body, camera, Look.draw(rng), rng):
        pose = detector.find_landmarks([frame], detector.find_people([frame])[0][:1])[0]
        seen.append((pose.image, *finder(frame, pose.image)))
    image, hands, world = (np.array(each) for each in zip(*seen, strict=True))
    landmarks = Landmarks(5.0, 640, 480, image, None, np.ones(8, bool), hands, world)
    grip = robot_grip(hand_pose(landmarks))
    assert (hands[..., 2].min(axis=(1, 2)) > 0).mean() > 0.8  # both are seen most of the time
    assert grip[:3, 0].min() > 0.35 > 0.2 > grip[:3, 1].max()
    assert grip[5:, 1].min() > 0.35 > 0.2 > grip[5:, 0].max()


def test_a_fist_closes_and_a_flat_hand_opens_the_robots_hand():
    grip = robot_grip(person(np.array([[0.0, 1.0], [1.0, 0.0]])).hand_pose)
    np.testing.assert_allclose(grip, [[0.0, 0.8], [0.8, 0.0]], atol=0.03)
