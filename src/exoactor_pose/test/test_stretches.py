"""What is bad for a moment is repaired or split around; what nobody saw is no motion; arms without evidence hang."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from exoactor_core.body import BODY_JOINT_NAMES, BodyModel
from exoactor_core.motion import LIMBS, HumanMotion
from exoactor_pose.detection.anatomy import LANDMARK_NAMES
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.fitting.camera import Camera
from exoactor_pose.fitting.fit import Fit
from exoactor_pose.fitting.limbs import guessed_limbs, limb_confidence, with_resting_arms
from exoactor_pose.quality import Limits
from exoactor_pose.stretches import good_stretches

FPS, FRAMES = 30.0, 120


@pytest.fixture(scope="module")
def body():
    return BodyModel.load()


def seen(found=None):
    found = np.ones(FRAMES, bool) if found is None else found
    return Landmarks(FPS, 640, 480, np.ones((FRAMES, 33, 3)), None, found)


def motion(leap=0.0, **fields):
    """Somebody stands, and at frame 60 somewhere else."""
    upright = Rotation.from_euler("xz", [90, 90], degrees=True).as_rotvec()
    transl = np.zeros((FRAMES, 3))
    transl[60:, 1] = leap
    pose = np.zeros((FRAMES, 63))
    return HumanMotion(FPS, transl, np.tile(upright, (FRAMES, 1)), pose, np.zeros(10), **fields)


def fitted(leap, with_evidence_only=False):
    """A fit that leaps; ``with_evidence_only``: as long as the landmarks around the leap are there."""
    calls = []

    def fit(landmarks):
        calls.append(landmarks)
        here = leap if landmarks.found[60] or not with_evidence_only else 0.0
        moved = motion(here, confidence=0.9 * landmarks.found)
        return Fit(moved, Camera.guess(640, 480, 55.0), np.ones(FRAMES), None, 300.0, landmarks)

    return fit, calls


def test_a_good_motion_is_fitted_once_and_kept_whole(body):
    fit, calls = fitted(0.0)
    (whole,) = good_stretches(seen(), fit, body, Limits(), FRAMES / FPS)
    assert (len(calls), len(whole.motion), whole.fault) == (1, FRAMES, "")


def test_a_leap_of_the_detector_is_repaired(body):
    fit, calls = fitted(2.0, with_evidence_only=True)
    (whole,) = good_stretches(seen(), fit, body, Limits(), FRAMES / FPS)
    assert (len(calls), len(whole.motion), whole.fault) == (2, FRAMES, "")
    assert 0 < (~calls[1].found).sum() < 20
    assert whole.motion.confidence[60] == 0  # it is a guess there, and says so


def test_a_leap_that_stays_is_split_around(body):
    before, after = good_stretches(seen(), fitted(2.0)[0], body, Limits(), FRAMES / FPS)
    assert not before.fault
    assert not after.fault
    assert before.seconds[0] == 0
    assert before.seconds[1] < 2.0 < after.seconds[0]
    assert after.seconds[1] == FRAMES / FPS
    np.testing.assert_allclose(body.joints(after.motion)[0, 0, :2], 0.0, atol=1e-9)  # each starts at the origin
    ahead = Rotation.from_rotvec(after.motion.global_orient[0]).apply([0.0, 0.0, 1.0])
    np.testing.assert_allclose(ahead[:2], [1.0, 0.0], atol=1e-9)


def test_what_is_bad_throughout_is_given_with_its_fault(body):
    fit = fitted(0.0)[0]
    (poor,) = good_stretches(seen(np.arange(FRAMES) % 5 == 0), fit, body, Limits(min_quality=0.95), FRAMES / FPS)
    assert poor.fault.startswith("no person is credibly seen")


def test_ends_in_which_legs_or_trunk_are_a_guess_are_left_out(body):
    sure = np.full((FRAMES, 5), 0.9)
    sure[:10, 2] = sure[-12:, 4] = sure[50:60, 3] = 0.1  # comes in from behind a tree, goes out of the image
    sure[:, 0] = 0.0  # arms may be a guess

    def fit(landmarks):
        moved = motion(confidence=np.full(FRAMES, 0.9), limb_confidence=sure)
        return Fit(moved, Camera.guess(640, 480, 55.0), np.ones(FRAMES), None, 300.0, landmarks)

    (whole,) = good_stretches(seen(), fit, body, Limits(), FRAMES / FPS)
    assert (whole.start, len(whole.motion)) == (10, FRAMES - 22)
    sure[:, 3] = 0.1  # a leg that is never seen: nothing is gained
    (whole,) = good_stretches(seen(), fit, body, Limits(), FRAMES / FPS)
    assert (whole.start, len(whole.motion)) == (0, FRAMES)


def test_ends_in_the_air_are_left_out(body):
    contacts = np.ones((FRAMES, 4))
    contacts[:8] = contacts[50:60] = contacts[-5:] = 0.0  # jumps down, up, and is not seen to land again
    contacts[8, :3] = 0.0

    def fit(landmarks):
        moved = motion(confidence=np.full(FRAMES, 0.9), contacts=contacts)
        return Fit(moved, Camera.guess(640, 480, 55.0), np.ones(FRAMES), None, 300.0, landmarks)

    (stands,) = good_stretches(seen(), fit, body, Limits(), FRAMES / FPS)
    assert (stands.start, len(stands.motion)) == (8, FRAMES - 13)


# --- limbs ---


def test_a_limb_is_as_sure_as_its_least_sure_joint():
    landmarks = seen()
    landmarks.image[:, LANDMARK_NAMES.index("left_wrist"), 2] = 0.1
    error = np.zeros((FRAMES, 33))
    error[:, LANDMARK_NAMES.index("right_knee")] = 60.0
    sure = dict(zip(LIMBS, limb_confidence(landmarks, error, np.full(FRAMES, 300.0))[0], strict=True))
    assert sure["left arm"] == pytest.approx(0.1)
    assert sure["right leg"] < 0.01
    assert sure["right arm"] == sure["left leg"] == sure["torso and head"] == 1.0


def wrists(body, estimate):
    joints = body.joints(estimate)
    return [joints[:, BODY_JOINT_NAMES.index(f"{side}_wrist")] - joints[:, 0] for side in ("left", "right")]


def test_an_arm_without_evidence_hangs_and_the_other_is_as_fitted(body):
    limbs = np.ones((FRAMES, 5))
    limbs[40:80, 0] = 0.0
    rested = with_resting_arms(motion(limb_confidence=limbs), seen())
    left, right = wrists(body, rested)
    assert left[60, 2] < 0.05  # beside the hip
    assert left[0, 2] > 0.3  # as in the T-pose
    np.testing.assert_allclose(right, wrists(body, motion())[1])
    assert np.abs(np.diff(left, axis=0)).max() < 0.12  # and gets there smoothly
    mirrored = with_resting_arms(motion(limb_confidence=limbs[:, [1, 0, 2, 3, 4]]), seen())
    assert wrists(body, mirrored)[1][60, 2] == pytest.approx(left[60, 2], abs=1e-6)


@pytest.mark.parametrize(("far", "rests"), [("left", False), ("right", True)])
def test_the_far_arm_of_somebody_seen_from_the_side_stays_as_fitted(body, far, rests):
    limbs = np.ones((FRAMES, 5))
    limbs[:, 0] = 0.0
    aside = seen()
    aside.image[:, [23, 24], 1] += 100.0  # the shoulders are at one place above the hips
    world = np.zeros((FRAMES, 33, 3))
    world[:, LANDMARK_NAMES.index(f"{far}_shoulder"), 2] = 0.3
    rested = with_resting_arms(motion(limb_confidence=limbs), replace(aside, world=world))
    assert (wrists(body, rested)[0][60, 2] < 0.05) == rests


@pytest.mark.parametrize(("left_x", "rests"), [(0.0, False), (100.0, True)])
@pytest.mark.parametrize("turns", [0, 1, 2])
def test_arms_before_somebody_seen_from_behind_stay_as_fitted(body, left_x, rests, turns):
    limbs = np.ones((FRAMES, 5))
    limbs[:, 0] = 0.0
    away = seen()
    away.image[:, [11, 12, 23, 24], :2] = [[left_x, 0], [100 - left_x, 0], [50, 120], [50, 120]]
    for _ in range(turns):  # who lies is no different
        away.image[..., :2] = np.stack([-away.image[..., 1], away.image[..., 0]], axis=-1)
    rested = with_resting_arms(motion(limb_confidence=limbs), away)
    assert (wrists(body, rested)[0][60, 2] < 0.05) == rests


def test_a_guessed_limb_is_named_with_its_times():
    limbs = np.ones((FRAMES, 5))
    limbs[30:90, 3] = 0.1
    assert guessed_limbs(motion(limb_confidence=limbs), 5.0) == [
        "The right leg is hardly seen from 6.0 s to 8.0 s: its pose is a guess."
    ]


def test_an_arm_does_not_fall_while_the_person_is_lost_for_a_moment(body):
    limbs, confidence = np.ones((FRAMES, 5)), np.ones(FRAMES)
    limbs[50:66], confidence[50:66] = 0.0, 0.0
    given = motion(limb_confidence=limbs, confidence=confidence)
    np.testing.assert_allclose(with_resting_arms(given, seen()).body_pose, given.body_pose)
