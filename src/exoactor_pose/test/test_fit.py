from dataclasses import replace

import numpy as np
import pytest
from pinhole import project
from scipy.spatial.transform import Rotation

from exoactor_core.body import BODY_JOINT_NAMES, BodyModel
from exoactor_core.motion import HumanMotion
from exoactor_pose.detection.anatomy import LANDMARK_NAMES, landmark_points
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.fitting.banded import Banded
from exoactor_pose.fitting.camera import Camera
from exoactor_pose.fitting.contacts import contacts_of
from exoactor_pose.fitting.fit import _Problem, fit
from exoactor_pose.fitting.focal import focal_ratio
from exoactor_pose.fitting.initial import initial_pose
from exoactor_pose.fitting.left_right_swaps import fix_front_back_flips, fix_left_right_swaps, fix_mirrored_limbs
from exoactor_pose.fitting.skeleton import CAMERA, POSE, VARIABLES, Skeleton, State
from exoactor_pose.fitting.terms import Common, Weights

FPS = 30.0
JOINT = {name: 3 * (k - 1) for k, name in enumerate(BODY_JOINT_NAMES)}


@pytest.fixture(scope="module")
def body():
    return BodyModel.load()


def squat_and_wave(body, frames=60):
    """Feet planted: a squat while the right arm waves, turned 25 degrees away from the camera's axis."""
    t = np.arange(frames) / FPS
    bend = 0.35 * (1 - np.cos(2 * np.pi * t / 2.0))
    wave = 0.4 * np.sin(2 * np.pi * t / 1.0)
    pose = np.zeros((frames, 63))
    for side in ("left", "right"):
        pose[:, JOINT[f"{side}_hip"]] = -bend
        pose[:, JOINT[f"{side}_knee"]] = 2 * bend
        pose[:, JOINT[f"{side}_ankle"]] = -bend
    pose[:, JOINT["left_shoulder"] + 2] = -1.25
    pose[:, JOINT["right_shoulder"] + 2] = 0.5 - wave
    pose[:, JOINT["right_elbow"] + 1] = 0.8
    upright = Rotation.from_euler("x", np.pi / 2)  # SMPL-X's y up to z up; then it faces -y
    root = Rotation.from_euler("z", -np.pi / 2 + np.radians(25)) * upright
    motion = HumanMotion(
        fps=FPS,
        transl=np.zeros((frames, 3)),
        global_orient=np.tile(root.as_rotvec(), (frames, 1)),
        body_pose=pose,
        betas=np.zeros(10),
    )
    transl = np.array([4.0, 0.2, 0.0]) - body.foot_points(motion)[:, 0]
    return HumanMotion(FPS, transl, motion.global_orient, pose, motion.betas)


def seen_by(camera, body, motion, noise_px=0.0, seed=0):
    rng = np.random.default_rng(seed)
    rot, pos = body.transforms(motion)
    carriers, places = landmark_points(body, motion.betas)
    points = pos[:, carriers] + np.einsum("tkij,kj->tki", rot[:, carriers], places)
    image = np.ones((len(motion), 33, 3))
    image[..., :2] = project(camera, points) + noise_px * rng.normal(size=(len(motion), 33, 2))
    world = points @ camera.rotation.T
    world = world - world[:, 23:25].mean(axis=1, keepdims=True)
    return Landmarks(motion.fps, 640, 480, image, world, np.ones(len(motion), bool))


def turned_to_start(body, motion):
    """Joints as the fit gives them: starts at x = y = 0, pelvis facing +x."""
    rot, pos = body.transforms(motion)
    ahead = rot[0, 0] @ [0, 0, 1]
    turn = Rotation.from_euler("z", -np.arctan2(ahead[1], ahead[0])).as_matrix()
    return (pos[:, :22] - pos[0, 0] * [1, 1, 0]) @ turn.T


@pytest.fixture(scope="module")
def fitted(body):
    truth = squat_and_wave(body)
    camera = Camera(520, 520, 320, 240, pitch=0.12, height=1.5)
    seen = seen_by(camera, body, truth, noise_px=2.0)
    return truth, camera, seen, fit(seen, Camera(520, 520, 320, 240), body)


def test_fit_recovers_a_motion_from_its_own_landmarks(body, fitted):
    truth, camera, _, result = fitted
    error = np.linalg.norm(turned_to_start(body, result.motion) - turned_to_start(body, truth), axis=-1)
    assert error.mean() < 0.035  # m, in the world, with 2 px of noise
    assert abs(result.camera.pitch - camera.pitch) < 0.05  # told by balance alone, with the feet in one place
    assert abs(result.camera.height - camera.height) < 0.2
    assert result.reprojection.mean() < 5


@pytest.mark.parametrize("rate", [30.0, 65.0])
def test_a_foot_that_pivots_turns_about_its_toe(body, rate):
    """A second's turn on the left foot, the heel down, the right knee raised."""
    frames = 60
    t = np.arange(frames) / FPS
    pose = np.zeros((frames, 63))
    pose[:, [JOINT["left_shoulder"] + 2, JOINT["right_shoulder"] + 2]] = -1.25, 1.25
    pose[:, [JOINT["right_hip"], JOINT["right_knee"]]] = -1.0, 1.3
    turn = np.radians(rate) * np.clip(t - 0.5, 0, 1)
    root = Rotation.from_euler("z", (turn - np.pi / 2 - 0.5)[:, None]) * Rotation.from_euler("x", np.pi / 2)
    motion = HumanMotion(FPS, np.zeros((frames, 3)), root.as_rotvec(), pose, np.zeros(10))
    truth = replace(motion, transl=np.array([4.0, 0.2, 0.0]) - body.foot_points(motion)[:, 1])
    camera = Camera(520, 520, 320, 240, pitch=0.12, height=1.5)
    result = fit(seen_by(camera, body, truth, noise_px=2.0), Camera(520, 520, 320, 240), body)
    heel, toe = np.moveaxis(body.foot_points(result.motion)[:, :2, :2], 1, 0)
    yaw = np.unwrap(np.arctan2(*(toe - heel).T[::-1]))
    assert np.abs(yaw - yaw[0] - turn).max() < np.radians(6)
    assert np.linalg.norm(np.ptp(toe, axis=0)) < 0.01
    assert result.motion.contacts[:, 1].min() > 0.5


def test_hips_are_marked_beside_and_below_their_joints(body):
    carriers, offsets = landmark_points(body, np.zeros(10))
    rest = body.rest_joints(np.zeros(10))
    left, right = rest[carriers[23:25]] + offsets[23:25] - rest[1:3]
    np.testing.assert_allclose(left, [0.022, -0.015, 0.007], atol=1e-9)
    np.testing.assert_allclose(right, [-0.022, -0.015, 0.007], atol=1e-9)


def test_short_legs_are_told_from_a_long_trunk(body):
    """Legs shorter by two standard deviations, the second coefficient of the neutral body."""
    truth = squat_and_wave(body)
    betas = np.zeros(10)
    betas[1] = -2.0
    soles = [body.foot_points(replace(truth, betas=b))[0, 0] for b in (truth.betas, betas)]
    truth = replace(truth, betas=betas, transl=truth.transl + soles[0] - soles[1])
    seen = seen_by(Camera(520, 520, 320, 240, pitch=0.12, height=1.5), body, truth, noise_px=2.0)
    result = fit(seen, Camera(520, 520, 320, 240), body)

    def legs_over_trunk(betas):
        hip, ankle, shoulder = body.rest_joints(betas)[[1, 7, 16], 1]
        return (hip - ankle) / (shoulder - hip)

    assert abs(legs_over_trunk(betas) / legs_over_trunk(np.zeros(10)) - 1) > 0.07
    assert abs(legs_over_trunk(result.motion.betas) / legs_over_trunk(betas) - 1) < 0.015


def test_the_fit_starts_from_people_of_mean_proportions(body):
    skeleton = Skeleton(body)
    betas = skeleton.shape_for(1.8)
    assert abs(skeleton.stature_of(betas) - 1.8) < 1e-9
    np.testing.assert_array_equal(betas[1:], body.mean_betas[1:])


def test_fit_stands_on_the_floor(body, fitted):
    _, _, _, result = fitted
    motion = result.motion
    soles = body.foot_points(motion)
    assert soles[..., 2].min() > -1e-6
    assert np.abs(soles[..., 2]).max() < 0.02
    assert motion.contacts.min(axis=0).mean() > 0.5
    assert np.linalg.norm(np.diff(soles[..., :2], axis=0), axis=-1).mean() < 0.001
    joints = body.joints(motion)
    np.testing.assert_allclose(joints[0, 0, :2], 0, atol=1e-9)
    assert (joints[:, 15, 2] > joints[:, 0, 2]).all()  # head above pelvis: z is up
    ahead = body.transforms(motion)[0][0, 0] @ [0, 0, 1]
    assert abs(np.arctan2(ahead[1], ahead[0])) < 0.1


def test_balance_tells_a_steep_camera_and_keeps_the_person_in_place(body):
    truth = squat_and_wave(body)
    camera = Camera(520, 520, 320, 240, pitch=0.35, height=2.4)
    seen = replace(seen_by(camera, body, truth, noise_px=2.0), world=None)
    result = fit(seen, Camera(520, 520, 320, 240), body)
    assert abs(result.camera.pitch - camera.pitch) < 0.13
    sway = turned_to_start(body, result.motion)[:, 0] - turned_to_start(body, truth)[:, 0]
    assert np.linalg.norm(sway[:, :2], axis=-1).mean() < 0.03


@pytest.mark.parametrize("roll", [-0.4, 0.25])
def test_camera_roll_is_estimated(body, roll):
    truth = squat_and_wave(body)
    camera = Camera(520, 520, 320, 240, pitch=0.12, height=1.5, roll=roll)
    result = fit(seen_by(camera, body, truth, noise_px=2.0), Camera(520, 520, 320, 240), body)
    assert abs(result.camera.roll - roll) < 0.05
    error = np.linalg.norm(turned_to_start(body, result.motion) - turned_to_start(body, truth), axis=-1)
    assert error.mean() < 0.05


@pytest.mark.parametrize("travels", [False, True])
def test_a_person_is_where_the_feet_stand_before_a_camera_that_travels(body, travels):
    truth = squat_and_wave(body)
    camera = Camera(520, 520, 320, 240, pitch=0.12, height=1.5)
    shift = np.linspace(0, 0.8, len(truth))[:, None] * [0.0, 1.0, 0.0]
    moved = HumanMotion(FPS, truth.transl - shift, truth.global_orient, truth.body_pose, truth.betas)
    seen = replace(seen_by(camera, body, moved, noise_px=2.0), camera_travels=travels)
    result = fit(seen, Camera(520, 520, 320, 240), body)
    sway = turned_to_start(body, result.motion)[:, 0] - turned_to_start(body, truth)[:, 0]
    assert (np.linalg.norm(sway[:, :2], axis=-1).max() < 0.08) == travels


@pytest.mark.parametrize("turns", [False, True])
def test_a_camera_that_travels_turns_where_the_persons_motion_says_so(body, turns, monkeypatch):
    """Its background passes by as if it turned by 40 degrees; with ``turns`` it does. Few frames tell."""
    lengths, solve = [], _Problem.solve
    monkeypatch.setattr(_Problem, "solve", lambda self, report: lengths.append(self.frames) or solve(self, report))
    truth = squat_and_wave(body)
    angle = np.radians(40.0) * np.linspace(0.0, 1.0, len(truth))
    rotation = Rotation.from_euler("y", -angle[:, None]).as_matrix()  # to the left, in the camera's axes
    camera = Camera(520, 520, 320, 240, pitch=0.0, height=1.5)
    seen = seen_by(camera, body, truth)
    if turns:
        rays = np.concatenate([(seen.image[..., :2] - [320, 240]) / 520, np.ones((len(truth), 33, 1))], axis=-1)
        rays = np.einsum("tij,tkj->tki", rotation, rays)
        seen.image[..., :2] = 520 * rays[..., :2] / rays[..., 2:] + [320, 240]
        seen = replace(seen, world=np.einsum("tij,tkj->tki", rotation, seen.world))
    result = fit(replace(seen, camera_travels=True, camera_rotation=rotation), Camera(520, 520, 320, 240), body)
    assert (result.seen.camera_rotation is not None) == turns
    assert lengths == [15, 15, len(truth)]
    sway = turned_to_start(body, result.motion)[:, 0] - turned_to_start(body, truth)[:, 0]
    assert np.linalg.norm(sway[:, :2], axis=-1).max() < 0.1


def test_the_assumed_field_of_view_is_that_of_the_longer_side():
    upright, across = Camera.guess(1080, 1920, 55.0), Camera.guess(1920, 1080, 55.0)
    assert upright.fx == across.fx
    assert upright.focal_std > 0
    assert np.degrees(2 * np.arctan(960 / upright.fx)) == pytest.approx(55.0)


@pytest.mark.parametrize("ratio", [0.7, 1.6])
def test_the_persons_motion_tells_the_focal_length(body, ratio):
    camera = Camera(ratio * 520, ratio * 520, 320, 240, pitch=0.12, height=1.5)
    seen = seen_by(camera, body, squat_and_wave(body, frames=240), noise_px=1.0)
    found, std = focal_ratio(seen, replace(camera, fx=520, fy=520, focal_std=0.3), body, 1.7)
    assert abs(np.log(found / ratio)) < 0.5 * abs(np.log(ratio))
    assert 0.2 <= std <= 0.3
    assert focal_ratio(seen, camera, body, 1.7) == (1.0, 0.0)  # it is known


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_short_clips(body, frames):
    truth = squat_and_wave(body, frames)
    camera = Camera(520, 520, 320, 240, pitch=0.1, height=1.4)
    result = fit(seen_by(camera, body, truth), camera, body, weights=Weights(iterations=(10, 10)))
    assert len(result.motion) == frames
    assert body.foot_points(result.motion)[..., 2].min() > -1e-6


def test_gaps_are_bridged(body):
    truth = squat_and_wave(body, 40)
    camera = Camera(520, 520, 320, 240, pitch=0.1, height=1.4)
    seen = seen_by(camera, body, truth)
    gap = slice(15, 22)
    seen.found[gap] = False
    seen.image[gap] = seen.world[gap] = 0
    result = fit(seen, camera, body)
    assert result.motion.confidence[gap].max() < 0.1 < result.motion.confidence[:15].min()
    error = np.linalg.norm(turned_to_start(body, result.motion) - turned_to_start(body, truth), axis=-1)
    assert error[gap].mean() < 0.08


def test_initial_pose_is_exact_for_a_straight_trunk(body):
    truth = squat_and_wave(body, 8)
    joints = body.joints(truth)
    world = np.zeros((8, 33, 3))
    for landmark, name in ((11, "shoulder"), (13, "elbow"), (15, "wrist"), (23, "hip"), (25, "knee"), (27, "ankle")):
        for k, side in enumerate(("left", "right")):
            world[:, landmark + k] = joints[:, BODY_JOINT_NAMES.index(f"{side}_{name}")]
    root, pose = initial_pose(world)
    guess = HumanMotion(FPS, truth.transl, Rotation.from_matrix(root).as_rotvec(), pose.reshape(8, 63), truth.betas)
    found, wanted = body.joints(guess), joints
    for name in ("left_ankle", "right_ankle", "left_wrist", "right_wrist"):
        k = BODY_JOINT_NAMES.index(name)
        assert np.linalg.norm(found[:, k] - wanted[:, k], axis=-1).max() < 0.03


def test_contacts():
    soles = np.zeros((30, 4, 3))
    soles[10:20, 0, 2] = 0.2  # left heel lifted
    soles[:, 1, 0] = np.arange(30) * 0.05  # left toe slides at 1.5 m/s
    contacts = contacts_of(soles, 30.0)
    assert contacts[12:18, 0].max() < 0.1 < 0.9 < contacts[:7, 0].min()
    assert contacts[:, 1].max() < 0.1
    assert contacts[:, 2:].min() > 0.9


def test_soles_that_stop_at_the_top_of_a_jump_do_not_stand_there():
    soles = np.zeros((60, 4, 3))
    soles[..., 2] = np.maximum(0.0, 0.15 - 4.9 * (np.arange(60) / FPS - 1.0) ** 2)[:, None]
    contacts = contacts_of(soles, FPS)
    in_the_air = soles[:, 0, 2] > 0.08
    assert contacts[in_the_air].max() < 0.1
    assert contacts[:20].min() > 0.9
    floor_unknown = soles + np.array([0.0, 0.0, 0.1])
    np.testing.assert_allclose(contacts_of(floor_unknown, FPS), contacts)


def walk_on_the_spot(body, frames=60):
    """Knees and arms go up in turn, seen from the side."""
    swing = np.sin(2 * np.pi * np.arange(frames) / FPS)
    pose = np.zeros((frames, 63))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        lifted = np.maximum(sign * swing, 0)
        pose[:, JOINT[f"{side}_hip"]] = -lifted
        pose[:, JOINT[f"{side}_knee"]] = 1.2 * lifted
        pose[:, JOINT[f"{side}_shoulder"] + 2] = -1.2 * sign
        pose[:, JOINT[f"{side}_elbow"] + 1] = -sign * (0.6 + 0.5 * sign * swing)
    root = Rotation.from_euler("z", np.radians(-20)) * Rotation.from_euler("x", np.pi / 2)
    transl = np.tile([4.0, 0.0, 0.9 + 0.35], (frames, 1))
    return HumanMotion(FPS, transl, np.tile(root.as_rotvec(), (frames, 1)), pose, np.zeros(10))


@pytest.mark.parametrize("flipped", [slice(35, 60), slice(0, 35)], ids=["less than half", "more than half"])
def test_front_and_back_are_told_by_the_motion(body, flipped):
    """A body that faces the other way for a while is turned back; one that turns round is left as it is."""
    camera, truth = Camera(520, 520, 320, 240, pitch=0.1, height=1.4), walk_on_the_spot(body)
    clean = seen_by(camera, body, truth, noise_px=1.0)
    assert fix_front_back_flips(clean)[1] == 0
    image, world = clean.image.copy(), clean.world.copy()
    sides = {"left": "right", "right": "left"}
    names = [name.split("_", 1) for name in LANDMARK_NAMES]
    other = [LANDMARK_NAMES.index("_".join([sides.get(first, first), *rest])) for first, *rest in names]
    image[flipped], world[flipped] = image[flipped][:, other], world[flipped][:, other] * [1.0, 1.0, -1.0]
    mended = fit(replace(clean, image=image, world=world), camera, body)
    assert mended.swapped_frames == flipped.stop - flipped.start
    np.testing.assert_array_equal(mended.seen.image, clean.image)
    np.testing.assert_allclose(mended.seen.world, clean.world)
    yaw = Rotation.from_euler("z", np.linspace(0.0, np.pi, len(truth))[:, None])
    orient = (yaw * Rotation.from_rotvec(truth.global_orient)).as_rotvec()
    turning = seen_by(camera, body, replace(truth, global_orient=orient), noise_px=1.0)
    np.testing.assert_array_equal(fit(turning, camera, body).seen.image, turning.image)


def test_swapped_legs_and_mirrored_forearms_are_undone(body):
    clean = seen_by(Camera(520, 520, 320, 240, pitch=0.1, height=1.4), body, walk_on_the_spot(body), noise_px=1.0)
    assert fix_left_right_swaps(clean)[1] == fix_mirrored_limbs(clean)[1] == 0
    image, world = clean.image.copy(), clean.world.copy()
    left, swapped, mirrored = np.arange(23, 33, 2), slice(15, 35), slice(46, 54)
    for points in (image, world):
        points[swapped, left], points[swapped, left + 1] = points[swapped, left + 1], points[swapped, left].copy()
    shift = -2 * (world[mirrored, 15, 2] - world[mirrored, 13, 2])
    assert np.abs(shift).min() > 0.1
    for hand in (15, 17, 19, 21):
        world[mirrored, hand, 2] += shift
    mended, swapped_frames = fix_left_right_swaps(replace(clean, image=image, world=world))
    mended, mirrored_frames = fix_mirrored_limbs(mended)
    np.testing.assert_array_equal(mended.image, clean.image)
    np.testing.assert_allclose(mended.world, clean.world, atol=1e-12)
    assert (swapped_frames, mirrored_frames) == (20, 8)


def test_legs_that_swap_by_way_of_a_lost_frame_are_undone(body):
    clean = seen_by(Camera(520, 520, 320, 240, pitch=0.1, height=1.4), body, walk_on_the_spot(body), noise_px=1.0)
    image, world = clean.image.copy(), clean.world.copy()
    left, lost, swapped = np.arange(23, 33, 2), 37, slice(38, 52)  # the left knee is highest in frame 37
    for points in (image, world):
        points[swapped, left], points[swapped, left + 1] = points[swapped, left + 1], points[swapped, left].copy()
        points[lost, left] = points[lost, left + 1] = 0.5 * (points[lost, left] + points[lost, left + 1])
    mended, _ = fix_left_right_swaps(replace(clean, image=image, world=world))
    rest = np.arange(len(clean)) != lost
    np.testing.assert_array_equal(mended.image[rest], clean.image[rest])
    assert mended.image[lost, 27, 2] < 0.2  # and the frame between counts little


def test_legs_that_swap_below_the_hips_are_undone_and_the_hips_stay(body):
    clean = seen_by(Camera(520, 520, 320, 240, pitch=0.1, height=1.4), body, walk_on_the_spot(body), noise_px=1.0)
    image, world = clean.image.copy(), clean.world.copy()
    left, swapped = np.arange(25, 33, 2), slice(15, 35)
    for points in (image, world):
        points[swapped, left], points[swapped, left + 1] = points[swapped, left + 1], points[swapped, left].copy()
    mended, _ = fix_left_right_swaps(replace(clean, image=image, world=world))
    np.testing.assert_array_equal(mended.image, clean.image)
    np.testing.assert_array_equal(mended.world, clean.world)


def test_legs_that_cross_in_a_mess_stay_on_the_side_of_their_hips(body):
    """Nothing but the pelvis, turned against the shoulders, tells that legs go on swapped from where they met."""
    clean = seen_by(Camera(520, 520, 320, 240, pitch=0.1, height=1.4), body, walk_on_the_spot(body), noise_px=1.0)
    clean = clean.part(0, 46)
    image, world = clean.image.copy(), clean.world.copy()
    left, swapped, lost = np.arange(25, 33, 2), slice(30, 32), 32
    for points in (image, world):
        points[swapped, left], points[swapped, left + 1] = points[swapped, left + 1], points[swapped, left].copy()
        points[lost, left] = points[lost, left + 1] = 0.5 * (points[lost, left] + points[lost, left + 1])
    mended, _ = fix_left_right_swaps(replace(clean, image=image, world=world))
    np.testing.assert_array_equal(mended.image[lost + 1 :], clean.image[lost + 1 :])


def test_an_image_without_depth_is_enough(body, fitted):
    truth, _, seen, _ = fitted
    result = fit(replace(seen, world=None), Camera(520, 520, 320, 240), body)
    error = np.linalg.norm(turned_to_start(body, result.motion) - turned_to_start(body, truth), axis=-1)
    assert error.mean() < 0.06


def test_a_turning_camera_does_not_turn_the_person(body):
    truth = squat_and_wave(body, 30)
    camera = Camera(520, 520, 320, 240, pitch=0.1, height=1.4)
    still = seen_by(camera, body, truth)
    turns = Rotation.from_rotvec(np.linspace(0, 0.15, 30)[:, None] * [0, 1, 0]).as_matrix()  # to the left
    rays = np.concatenate([(still.image[..., :2] - [320, 240]) / 520, np.ones((30, 33, 1))], axis=-1)
    rays = rays @ np.swapaxes(turns, 1, 2)
    image = np.concatenate([520 * rays[..., :2] / rays[..., 2:] + [320, 240], still.image[..., 2:]], axis=-1)
    world = still.world @ np.swapaxes(turns, 1, 2)
    result = fit(replace(still, image=image, world=world, camera_rotation=turns), Camera(520, 520, 320, 240), body)
    alone = fit(still, Camera(520, 520, 320, 240), body)
    assert np.abs(result.motion.transl - alone.motion.transl).max() < 0.03
    assert result.reprojection.mean() < 3


def test_derivatives_of_the_skeleton(body):
    rng, frames, h = np.random.default_rng(0), 3, 1e-6
    skeleton = Skeleton(body)
    state = State(
        rng.normal(size=(frames, 3)),
        Rotation.random(frames, random_state=0).as_matrix(),
        0.5 * rng.normal(size=(frames, POSE)),
        0.3 * rng.normal(size=skeleton.shapes),
        np.zeros(CAMERA),
    )
    points = skeleton.points(state)
    for k in range(VARIABLES + skeleton.shapes):
        step = h * np.eye(VARIABLES + skeleton.shapes + CAMERA)[k]
        moved = skeleton.points(state.moved(np.tile(step[:VARIABLES], (frames, 1)), step[VARIABLES:]))
        derivative = points.by_variable[..., k] if k < VARIABLES else points.by_shape[..., k - VARIABLES]
        np.testing.assert_allclose((moved.positions - points.positions) / h, derivative, atol=2e-5)
        derivative = points.mass_by_variable[..., k] if k < VARIABLES else points.mass_by_shape[..., k - VARIABLES]
        np.testing.assert_allclose((moved.mass - points.mass) / h, derivative, atol=2e-5)


def test_banded_equations_are_solved_as_dense_ones():
    rng, frames, size, common = np.random.default_rng(1), 7, 3, 2
    equations = Banded(frames, size, common)
    count = frames * size
    rows = []  # dense rows over all variables, and their errors

    def dense(blocks: dict[int, np.ndarray], shared: np.ndarray, error: float) -> None:
        row = np.zeros(count + common + 1)
        for frame, values in blocks.items():
            row[frame * size : (frame + 1) * size] = values
        row[count:-1], row[-1] = shared, error
        rows.append(row)

    for t in range(frames):
        a, b, error = rng.normal(size=(4, size)), rng.normal(size=(4, common)), rng.normal(size=4)
        equations.add(slice(t, t + 1), (a.T @ a)[None])
        equations.border[t] += a.T @ b
        equations.gradient[t] += a.T @ error
        equations.corner += b.T @ b
        equations.common_gradient += b.T @ error
        for k in range(4):
            dense({t: a[k]}, b[k], error[k])
    for t in range(frames - 1):
        a, b = rng.normal(size=size), rng.normal(size=size)
        equations.add(slice(t, t + 1), np.outer(a, a)[None])
        equations.add(slice(t + 1, t + 2), np.outer(b, b)[None])
        equations.add_next(slice(t, t + 1), np.outer(b, a)[None])
        dense({t: a, t + 1: b}, np.zeros(common), 0.0)
    taps = np.array([-1.0, 3.0, -3.0, 1.0])
    weight, bend = rng.uniform(1, 2, size=(frames - 3, size)), rng.normal(size=(frames - 3, size))
    equations.add_smoothness(weight, bend, taps)
    for t in range(frames - 3):
        for k in range(size):
            root = np.sqrt(weight[t, k])
            dense(
                {t + i: root * tap * np.eye(size)[k] for i, tap in enumerate(taps)}, np.zeros(common), root * bend[t, k]
            )
    matrix = np.array(rows)
    step, shared, information = equations.solve(damping=0.0)
    wanted = np.linalg.lstsq(matrix[:, :-1], -matrix[:, -1], rcond=None)[0]
    np.testing.assert_allclose(np.concatenate([step.ravel(), shared]), wanted, atol=1e-6)
    covariance = np.linalg.inv(matrix[:, :-1].T @ matrix[:, :-1])[count:, count:]
    np.testing.assert_allclose(information, np.linalg.inv(covariance), rtol=1e-5)


def test_a_share_of_what_a_fit_saw_adds_to_what_is_known():
    rng = np.random.default_rng(0)
    known, seen = (a @ a.T for a in rng.normal(size=(2, 4, 4)))
    mean, centre = rng.normal(size=(2, 4))
    found = np.linalg.solve(known + seen, known @ mean + seen @ centre)  # by a fit that has both
    now = Common(mean, known).updated(found, seen, 0.5)
    np.testing.assert_allclose(now.information, known + 0.5 * seen)
    np.testing.assert_allclose(now.information @ now.mean, known @ mean + 0.5 * seen @ centre, atol=1e-9)
