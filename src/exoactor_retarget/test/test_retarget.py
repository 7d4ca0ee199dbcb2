import os
import time
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from exoactor_core import robot
from exoactor_core.arrays import true_runs
from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput, Cancelled, Refused
from exoactor_core.interaction import Interaction
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_pose.importers import load_human
from exoactor_retarget.collision import CapsulePairs
from exoactor_retarget.contacts import detect, ground, without_short
from exoactor_retarget.human import posture, resample, without_flips
from exoactor_retarget.kinematics import State
from exoactor_retarget.metrics import key_bodies, sole_corners
from exoactor_retarget.retargeter import Retargeter, robot_motion_of
from exoactor_retarget.solver import Solver
from exoactor_retarget.streaming import StreamingRetargeter
from exoactor_retarget.targets import reached

DATA = Path(os.environ.get("EXOACTOR_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
UPRIGHT = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # SMPL-X's y-up rest pose into the world, facing +x
CONTACTS = {"height_on": 0.045, "height_off": 0.08, "speed_on": 0.35, "speed_off": 0.7, "shortest": 0.08}


@pytest.fixture(scope="module")
def retarget():
    return Retargeter()


def standing(frames=45, fps=30.0, beta0=0.0, heading=0.0, lift=0.0, arms_down=True):
    """Stand with hanging arms; ``heading`` is a number or (T,), rad."""
    betas = np.r_[beta0, np.zeros(9)]
    body = BodyModel.load()
    pose = np.zeros((frames, 21, 3))
    if arms_down:
        pose[:, 15] = [0, 0, -1.35]
        pose[:, 16] = [0, 0, 1.35]
    heading = np.broadcast_to(heading, frames)
    orient = (Rotation.from_euler("z", heading[:, None]) * Rotation.from_matrix(UPRIGHT)).as_rotvec()
    motion = HumanMotion(
        fps, np.zeros((frames, 3)), orient, pose.reshape(frames, 63), betas, contacts=np.ones((frames, 4))
    )
    low = body.foot_points(motion)[..., 2].min(axis=1)
    return replace(motion, transl=motion.transl - np.stack([0 * low, 0 * low, low - lift], axis=1))


def squatting(frames=90, depth=1.0, **options):
    """Squat on planted feet: hips, knees and ankles bend together, the pelvis is put where the left ankle stays."""
    still = standing(frames, **options)
    body = BodyModel.load()
    bend = depth * 0.5 * (1 - np.cos(2 * np.pi * np.arange(frames) / (frames - 1)))
    pose = still.body_pose.reshape(frames, 21, 3).copy()
    for joint, share in ((0, -1.0), (1, -1.0), (3, 2.0), (4, 2.0), (6, -1.0), (7, -1.0)):
        pose[:, joint, 0] = share * bend
    motion = replace(still, body_pose=pose.reshape(frames, 63))
    shift = body.joints(still)[:, 7] - body.joints(motion)[:, 7]
    return replace(motion, transl=motion.transl + shift)


def person(motion):
    return posture(motion, BodyModel.load(), Retargeter().mapping["human"])


def choreography(task):
    language = pytest.importorskip("exoactor_gen.mannequin.language")
    choreographer = pytest.importorskip("exoactor_gen.mannequin.choreography")
    return choreographer.choreograph(language.parse(task), np.zeros(10))


def assert_sound(result):
    motion, metrics = result.motion, result.metrics
    assert np.isfinite(motion.joint_pos).all()
    low, high = robot.JOINT_LIMITS.T
    assert (motion.joint_pos >= low).all()
    assert (motion.joint_pos <= high).all()
    assert metrics["frames_outside_limits"] == 0
    soles = robot.sole_points(motion)
    contact = motion.contacts > 0.5
    if contact.any():
        assert np.abs(soles[..., 2][contact]).max() < 0.004
    assert soles[..., 2].min() > -0.005
    if len(motion) > 1:
        speed = np.abs(np.diff(motion.joint_pos, axis=0)) * motion.fps
        assert (speed <= 0.81 * robot.VELOCITY_LIMITS).all()
        assert np.linalg.norm(np.diff(motion.root_pos, axis=0), axis=1).max() * motion.fps < 3.0
        assert np.sum(motion.root_quat_wxyz[1:] * motion.root_quat_wxyz[:-1], axis=1).min() > 0.9


@pytest.mark.parametrize("beta0", [-3.0, 0.0, 3.0])  # 1.4 m, 1.7 m, 2.0 m
def test_standing_is_standing_whatever_the_stature(retarget, beta0):
    result = retarget(standing(beta0=beta0))
    assert_sound(result)
    motion = result.motion
    assert np.ptp(motion.joint_pos, axis=0).max() < 0.02
    assert abs(motion.root_pos[0, 2] - robot.STANDING_HEIGHT) < 0.02
    roll, pitch, _ = Rotation.from_quat(motion.root_quat_wxyz[0], scalar_first=True).as_euler("xyz")
    assert abs(roll) < 0.05
    assert abs(pitch) < 0.1


@pytest.mark.parametrize("beta0", [-3.0, 3.0])
def test_squat(retarget, beta0):
    result = retarget(squatting(beta0=beta0))
    assert_sound(result)
    motion, metrics = result.motion, result.metrics
    assert metrics["foot_slide_mean"] < 0.2
    assert metrics["sole_tilt_max"] < 0.5
    assert np.ptp(motion.root_pos[:, 2]) > 0.12
    middle = len(motion) // 2
    assert motion.joint_pos[middle, 3] > motion.joint_pos[0, 3] + 0.8
    assert motion.joint_pos[:, 3] == pytest.approx(motion.joint_pos[:, 9], abs=0.1)


def test_arms_follow_directions(retarget):
    result = retarget(standing(arms_down=False))  # T-pose
    assert_sound(result)
    wrists = robot.forward_kinematics(result.motion, ["left_wrist_yaw_link", "right_wrist_yaw_link"])
    left, right = wrists[-1] - result.motion.root_pos[-1]
    assert left[1] > 0.45
    assert right[1] < -0.45
    assert result.metrics["key_body_error_mean"] < 0.03


def test_turning_round_does_not_flip(retarget):
    result = retarget(standing(frames=121, heading=np.linspace(0, 2.5 * np.pi, 121)))
    assert_sound(result)
    yaw = np.unwrap(Rotation.from_quat(result.motion.root_quat_wxyz, scalar_first=True).as_euler("ZYX")[:, 0])
    assert yaw[-1] - yaw[0] == pytest.approx(2.5 * np.pi, abs=0.3)


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("fps", [30.0, 50.0])
def test_short_motions(retarget, frames, fps):
    result = retarget(standing(frames=frames, fps=fps))
    assert_sound(result)
    assert len(result.motion) == int(np.floor((frames - 1) / fps * 50 + 1e-6)) + 1


@pytest.mark.parametrize("lift", [-0.4, 0.3])
def test_floating_and_sinking_people_are_brought_to_the_floor(retarget, lift):
    motion = squatting(lift=lift)
    for known in (motion.contacts, np.zeros_like(motion.contacts)):
        result = retarget(replace(motion, contacts=known))
        assert_sound(result)
        assert result.motion.contacts.mean() > 0.95


def test_wild_motion_stays_within_limits(retarget):
    rng = np.random.default_rng(3)
    base = standing(frames=40)
    pose = base.body_pose + np.cumsum(rng.normal(0, 0.25, base.body_pose.shape), axis=0)
    orient = base.global_orient + np.cumsum(rng.normal(0, 0.1, (40, 3)), axis=0)
    result = retarget(replace(base, body_pose=pose, global_orient=orient, contacts=np.zeros((40, 4))))
    low, high = robot.JOINT_LIMITS.T
    assert np.isfinite(result.motion.root_pos).all()
    assert (result.motion.joint_pos >= low).all()
    assert (result.motion.joint_pos <= high).all()
    speed = np.abs(np.diff(result.motion.joint_pos, axis=0)) * 50
    assert (speed <= 0.81 * robot.VELOCITY_LIMITS).all()


@pytest.mark.parametrize(
    "task", ["wave", "squat twice", "walk forward two metres", "turn left 90 degrees then walk forward one metre"]
)
def test_choreographies(retarget, task):
    human = choreography(task)
    result = retarget(human)
    assert_sound(result)
    metrics = result.metrics
    assert metrics["key_body_error_mean"] < 0.02
    assert metrics["foot_slide_mean"] < 0.2
    assert metrics["self_collision_frames"] == 0
    speed = np.abs(np.diff(result.motion.joint_pos, axis=0)).max(axis=1) * 50
    assert speed[0] < 2.0  # no jump at the start
    travelled = np.linalg.norm(result.motion.root_pos[-1, :2] - result.motion.root_pos[0, :2])
    human_travelled = np.linalg.norm(human.transl[-1, :2] - human.transl[0, :2])
    assert travelled == pytest.approx(0.75 * human_travelled, abs=0.12)


@pytest.mark.parametrize("name", ["bvh_example", "bvh_test2"])
def test_motion_capture(retarget, name):
    path = DATA / "human" / f"{name}.bvh"
    if not path.is_file():
        pytest.skip(f"no test data at {path}")
    result = retarget(load_human(path))
    assert_sound(result)
    assert result.metrics["key_body_error_mean"] < 0.05


@pytest.mark.parametrize("task", ["clap your hands", "bow, then clap three times"])
def test_hands_that_meet_do_not_pass_through_each_other(retarget, task):
    result = retarget(choreography(task))
    assert_sound(result)
    assert result.metrics["self_collision_max"] < 2.0
    hands = robot.forward_kinematics(result.motion, ["left_wrist_yaw_link", "right_wrist_yaw_link"])
    way = np.linalg.norm(hands[:, 0] - hands[:, 1], axis=-1)
    assert way.min() < 0.13
    swift = np.abs(np.diff(result.motion.joint_pos, 2, axis=0)) * 50**2
    assert (swift <= 1.02 * retarget.model.acceleration).all()


def test_slow_motions_keep_the_centre_of_mass_over_the_feet(retarget):
    human = standing(frames=900)
    lean = np.sin(np.pi * np.clip(np.linspace(-4, 5, 900), 0, 1)) ** 2  # 3.3 s back and forth
    transl = human.transl - 0.12 * lean[:, None] * [1.0, 0.0, 0.0]
    motion = retarget(replace(human, transl=transl)).motion
    turns = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True).as_matrix()
    poses = retarget.model.kinematics.poses(State(motion.root_pos, turns, motion.joint_pos))
    center = retarget.model.kinematics.center_of_mass(poses)
    ankles = np.mean([retarget.model.point(poses, "foot", k)[0] for k in range(2)], axis=0)
    assert (center[0] - ankles).min() > -0.02


@pytest.mark.parametrize("name", ["twist2_walk_001", "kimodo_walk", "asap_CR7_level1"])
def test_what_the_robot_can_reach_is_reached(retarget, name):
    path = DATA / "motions" / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no test data at {path}")
    motion = RobotMotion.load(path)
    turns = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True).as_matrix()
    lift = max(0.0, -robot.sole_points(motion)[3:, ..., 2].min())  # some stand in the floor
    state = State(motion.root_pos + np.array([0, 0, lift]), turns, motion.joint_pos)[3:]
    wanted = reached(state, np.zeros((len(state), 2), dtype=bool), motion.fps, retarget.model)
    found = robot_motion_of(retarget.fit(wanted), wanted, retarget.model)
    target = robot_motion_of(state, wanted, retarget.model)
    error = np.linalg.norm(robot.forward_kinematics(found) - robot.forward_kinematics(target), axis=-1)
    assert error.mean() < 0.005
    speed = np.abs(np.diff(found.joint_pos, axis=0)).max(axis=1)
    assert speed[0] < 2 * speed.mean() + 0.02  # the first frame is as good as the others


def test_long_motions_are_solved_in_windows_that_fit_together(retarget):
    human = choreography("walk forward two metres, then wave")
    frames = np.r_[np.arange(len(human)), np.arange(len(human) - 2, -1, -1)]  # there and back
    human = HumanMotion(
        human.fps,
        human.transl[frames],
        human.global_orient[frames],
        human.body_pose[frames],
        human.betas,
        contacts=human.contacts[frames],
    )
    whole = retarget.fit(retarget.targets(human))
    short = Solver(retarget.mapping, retarget.model)
    short.window, short.ahead = 3.0, 1.0
    parts = short.solve(retarget.targets(human), 12)
    assert len(parts) == len(whole)
    assert np.abs(parts.joint_pos - whole.joint_pos).max() < 0.1
    assert np.abs(np.diff(parts.joint_pos, 2, axis=0)).max() < 1.5 * np.abs(np.diff(whole.joint_pos, 2, axis=0)).max()


@pytest.mark.parametrize("task", ["walk forward two metres", "squat twice, then clap your hands"])
def test_another_robot_is_another_mapping(task):
    retarget = Retargeter(mapping=str(files("exoactor_retarget") / "mapping" / "h1.yaml"))
    model = retarget.model
    targets = retarget.targets(choreography(task))
    state = retarget.fit(targets)
    assert state.joint_pos.shape == (len(targets), 19)
    wanted, found = key_bodies(state, targets, model)
    assert np.linalg.norm(wanted - found, axis=-1)[:, 1:].mean() < 0.01
    soles = sole_corners(state, model)
    assert np.abs(soles[..., 2])[targets.contact].max() < 0.002
    assert soles[..., 2].min() > -0.002
    low, high = model.description.limits.T
    assert ((state.joint_pos >= low) & (state.joint_pos <= high)).all()
    assert (np.abs(np.diff(state.joint_pos, axis=0)) * 50 <= model.description.speed).all()
    poses = model.kinematics.poses(state)
    pairs = CapsulePairs(model.description, model.description.pairs)
    assert pairs.distances(poses, np.inf).distance.min() > -0.002
    assert abs(state.root_pos[0, 2] - 1.01) < 0.03


def test_progress_and_cancelling(retarget):
    fractions = []
    retarget(standing(frames=10), lambda fraction, text: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0

    def cancel(fraction, text):
        raise Cancelled

    with pytest.raises(Cancelled):
        retarget(standing(frames=10), cancel)


def test_options_are_checked(tmp_path):
    with pytest.raises(BadInput, match="fps"):
        Retargeter(fps=1000.0)
    with pytest.raises(BadInput, match="There is no file"):
        Retargeter(mapping=str(tmp_path / "none.yaml"))
    (tmp_path / "bad.yaml").write_text("human: {}")
    with pytest.raises(BadInput, match="not a mapping"):
        Retargeter(mapping=str(tmp_path / "bad.yaml"))


def test_intervals_and_short_runs():
    mask = np.array([1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0], dtype=bool)
    assert true_runs(mask) == [(0, 2), (3, 6), (9, 10)]
    assert true_runs(without_short(mask, 2)) == [(0, 6)]


def test_contacts_are_detected():
    t = np.arange(100) / 50
    step = np.clip(np.sin(2 * np.pi * t), 0, None) * 0.15
    points = np.zeros((100, 4, 3))
    points[:, :2, 2] = step[:, None]
    found = detect(points, 50.0, CONTACTS)
    assert found[:, 2:].all()
    assert not found[10:15, :2].any()
    assert found[30:45, :2].all()


def test_ground_keeps_jumps():
    human = standing(frames=90)
    jump = 0.3 * np.clip(np.sin(np.linspace(-np.pi, 2 * np.pi, 90)), 0, None)
    transl = human.transl.copy()
    transl[:, 2] += jump + 0.2
    grounded = ground(person(replace(human, transl=transl, contacts=np.zeros((90, 4)))), CONTACTS)
    low = grounded.soles[..., 2].min(axis=1)
    assert np.ptp(low) == pytest.approx(np.ptp(jump), abs=0.03)
    assert abs(low[0]) < 0.01
    assert not grounded.contacts[int(jump.argmax())].any()


def test_posture_is_the_body_models():
    human = squatting(frames=30)
    body, found = BodyModel.load(), person(human)
    np.testing.assert_allclose(found.soles, body.foot_points(human), atol=1e-9)
    names = [body.joint_names.index(f"{s}_wrist") for s in ("left", "right")]
    np.testing.assert_allclose(found.at("wrist"), body.joints(human)[:, names], atol=1e-9)


def test_resample_keeps_time():
    human = person(squatting(frames=61))
    fast = resample(human, 50.0)
    assert len(fast) == 101
    np.testing.assert_allclose(fast.points[50], human.points[30], atol=1e-6)
    np.testing.assert_allclose(fast.turns[50], human.turns[30], atol=1e-6)


# --- streaming ---


def part(motion, first, last):
    last = min(last, len(motion))
    arrays = (getattr(motion, n)[first:last] for n in ("transl", "global_orient", "body_pose"))
    return HumanMotion(motion.fps, *arrays, motion.betas, contacts=motion.contacts[first:last])


def stream(retarget, human, chunk):
    """The motion, and the greatest delay in s."""
    streaming, parts, delay = StreamingRetargeter(retarget), [], 0.0
    for i in range(0, len(human), chunk):
        out = streaming.push(part(human, i, i + chunk))
        if out is not None:
            given = sum(len(p) for p in parts)
            delay = max(delay, i / human.fps - given / retarget.options.fps)
            parts.append(out)
    parts += [out for out in [streaming.finish()] if out is not None]
    names = ("root_pos", "root_quat_wxyz", "joint_pos", "contacts")
    return RobotMotion(retarget.options.fps, *(np.concatenate([getattr(p, n) for p in parts]) for n in names)), delay


@pytest.mark.parametrize("chunk", [1, 4])
def test_streaming_is_as_sound_as_the_whole_clip(retarget, chunk):
    human = choreography("walk forward one metre, then clap your hands")
    start = time.process_time()
    motion, delay = stream(retarget, human, chunk)
    seconds = time.process_time() - start
    whole = retarget(human).motion
    assert len(motion) == len(whole)
    assert delay <= 0.3 + 1e-9
    assert seconds / len(motion) < 0.02  # 3 to 4 ms where nothing else runs
    contact, soles = motion.contacts > 0.5, robot.sole_points(motion)
    both = contact[1:] & contact[:-1]
    assert np.linalg.norm(np.diff(soles[..., :2].mean(axis=2), axis=0), axis=-1)[both].max() < 0.001
    assert np.abs(soles[..., 2]).max(axis=-1)[contact].max() < 0.002
    assert soles[..., 2].min() > -0.005
    assert (np.abs(np.diff(motion.joint_pos, axis=0)) * 50 <= 0.81 * robot.VELOCITY_LIMITS).all()
    depth, _ = robot.self_collision_depth(motion)
    assert depth.max() < 0.002
    error = np.linalg.norm(robot.forward_kinematics(motion) - robot.forward_kinematics(whole), axis=-1)
    assert error.mean() < 0.02


def test_memory_does_not_grow(retarget):
    streaming, held = StreamingRetargeter(retarget), []
    human = standing(frames=30)
    for _ in range(8):
        streaming.push(human)
        held.append(len(streaming._person))
    assert max(held[3:]) <= held[3]


def test_streaming_refuses_what_does_not_fit(retarget):
    with pytest.raises(BadInput, match="ahead"):
        StreamingRetargeter(retarget, ahead=0.0)
    streaming = StreamingRetargeter(retarget)
    assert streaming.finish() is None
    assert streaming.push(standing(frames=2)) is None
    with pytest.raises(BadInput, match="frames come"):
        streaming.push(standing(frames=2, fps=25.0))
    assert len(streaming.finish()) == 2


@pytest.mark.parametrize("degrees", [6.0, 30.0])
def test_a_foot_turns_on_the_floor_with_the_person_but_not_with_noise(retarget, degrees):
    turn = np.radians(degrees)
    human = standing(90, heading=turn * np.clip(np.arange(90) / 30 - 1.0, 0.0, 1.0))
    left = np.ones(4) * [1, 1, 0, 0]
    toe = BodyModel.load().foot_points(human)[:, 1] * [1, 1, 0]
    motion = retarget(replace(human, transl=human.transl - toe, contacts=np.tile(left, (90, 1)))).motion
    soles = robot.sole_points(motion)[:, 0, :, :2]
    way = soles[:, 2:].mean(axis=1) - soles[:, :2].mean(axis=1)
    yaw = np.arctan2(way[:, 1], way[:, 0])
    assert np.ptp(yaw) == pytest.approx(turn if degrees > 10 else 0.0, abs=np.radians(4))


def test_standing_feet_stay_where_they_are_while_the_person_drifts(retarget):
    human = standing(frames=150)
    drift = np.linspace(0, 0.09, 150)[:, None] * [1.0, 0.5, 0.0]
    motion, _ = stream(retarget, replace(human, transl=human.transl + drift), 3)
    soles = robot.sole_points(motion)[..., :2].mean(axis=2)
    assert motion.contacts.all()
    assert np.ptp(soles, axis=0).max() < 0.002


# --- any part may bear ---


def lying_low(orient, pose):
    """A person of a pose (T, 21, 3) and orientation (T, 3), its lowest joint's flesh on the floor."""
    body, frames = BodyModel.load(), len(pose)
    motion = HumanMotion(30.0, np.zeros((frames, 3)), orient, pose.reshape(frames, 63), np.zeros(10))
    found = person(motion)
    low = np.minimum(body.foot_points(motion)[..., 2].min(axis=1), found.bearing[..., 2].min(axis=1))
    return replace(motion, transl=-low[:, None] * [0.0, 0.0, 1.0])


def crawling(frames=90):
    """On hands and knees, which go in turn."""
    joint = {name: k - 1 for k, name in enumerate(BodyModel.load().joint_names)}
    swing = np.sin(2 * np.pi * 0.8 * np.arange(frames) / 30.0)
    pose = np.zeros((frames, 21, 3))
    for side, s in (("left", 1.0), ("right", -1.0)):
        pose[:, joint[f"{side}_hip"], 0] = -1.5 + 0.35 * s * swing
        pose[:, joint[f"{side}_knee"], 0] = 1.5 - 0.2 * s * swing
        pose[:, joint[f"{side}_ankle"], 0] = 0.6
        pose[:, joint[f"{side}_shoulder"]] = np.stack([0.3 * s * swing, np.full(frames, -1.4 * s), -0.35 * swing], 1)
    orient = (Rotation.from_matrix(UPRIGHT) * Rotation.from_euler("x", np.full((frames, 1), 1.45))).as_rotvec()
    motion = lying_low(orient, pose)
    return replace(motion, transl=motion.transl + 0.35 / 30.0 * np.arange(frames)[:, None] * [1.0, 0.0, 0.0])


def getting_up():
    """From lying on the belly over hands and knees, and kneeling, to standing."""
    joint = {name: k for k, name in enumerate(BodyModel.load().joint_names)}
    keys = []
    for pitch, hip, knee, arm, down, ankle in (
        (1.57, 0.0, 0.1, 0.9, 0.0, 0.8),
        (1.45, 1.5, 1.5, 1.4, 0.0, 0.6),
        (0.1, 0.1, 1.5, 0.3, 1.2, 0.6),
        (0.6, 1.9, 2.1, 0.5, 1.0, -0.3),
        (0.0, 0.0, 0.05, 0.0, 1.35, 0.0),
    ):
        key = np.zeros((22, 3))
        key[0] = (Rotation.from_matrix(UPRIGHT) * Rotation.from_euler("x", pitch)).as_rotvec()
        for side, s in (("left", -1.0), ("right", 1.0)):
            key[joint[f"{side}_hip"], 0], key[joint[f"{side}_knee"], 0] = -hip, knee
            key[joint[f"{side}_ankle"], 0], key[joint[f"{side}_shoulder"], 1:] = ankle, (s * arm, s * down)
        keys.append(key)
    at = np.linspace(0.0, len(keys) - 1.0, 120)
    at = np.floor(at) + 0.5 - 0.5 * np.cos(np.pi * (at % 1.0))
    turned = [
        Slerp(np.arange(len(keys)), Rotation.from_rotvec([k[j] for k in keys]))(at).as_rotvec() for j in range(22)
    ]
    return lying_low(turned[0], np.stack(turned[1:], axis=1))


@pytest.mark.parametrize("human", [crawling, getting_up])
def test_no_part_is_in_the_floor(retarget, human):
    result = retarget(human())
    assert_sound(result)
    assert result.metrics["floor_frames"] == 0
    assert result.metrics["self_collision_max"] < 2.0
    parts = [n for side in ("left", "right") for n in (f"{side}_wrist_yaw_link", f"{side}_knee_link")]
    lowest = robot.forward_kinematics(result.motion, parts)[..., 2].min(axis=1)
    assert lowest[:40].max() < 0.15  # it is down there, and not lifted


def test_what_stays_in_the_floor_is_refused(retarget, monkeypatch):
    monkeypatch.setitem(retarget.mapping["weights"], "floor", 0.0)
    with pytest.raises(Refused, match="cm in the floor at"):
        retarget(getting_up())


def test_a_stance_that_is_too_wide_in_metres_is_narrower_in_tasks(retarget):
    still = standing()
    pose = still.body_pose.reshape(-1, 21, 3).copy()
    pose[:, [0, 7], 2], pose[:, [1, 6], 2] = 0.5, -0.5  # hips apart, ankles level
    human = replace(still, body_pose=pose.reshape(-1, 63))
    human = replace(human, transl=human.transl - [0, 0, BodyModel.load().foot_points(human)[..., 2].min()])
    result = retarget(human, interaction=Interaction())
    assert robot.sole_points(result.motion)[..., 2].min() > -0.01
    assert "shorter than the person's by the ratio of the legs' lengths" in result.metrics["notes"][0]
    assert result.metrics["sole_tilt_max"] < Retargeter(scale="world")(human).metrics["sole_tilt_max"] - 3.0


@pytest.mark.parametrize(("first", "frames"), [(40, 5), (0, 3), (87, 3)])
def test_glitches_are_filled_from_the_frames_around(retarget, first, frames):
    human = squatting()
    pose, orient = human.body_pose.copy().reshape(-1, 21, 3), human.global_orient.copy()
    flipped, shoulder = slice(first, first + frames), 15
    pose[flipped, shoulder] = (
        Rotation.from_rotvec(pose[flipped, shoulder]) * Rotation.from_euler("x", 2.5)
    ).as_rotvec()
    orient[flipped] = (Rotation.from_rotvec(orient[flipped]) * Rotation.from_euler("y", 2.0)).as_rotvec()
    found = person(replace(human, body_pose=pose.reshape(-1, 63), global_orient=orient))
    assert np.abs(found.turns - person(human).turns).max() < 0.05


def test_a_real_kick_or_punch_is_no_glitch():
    for name in ("dm_kick", "dm_punch", "dm_spin"):
        path = DATA / "human" / f"{name}.npz"
        if not path.is_file():
            pytest.skip(f"no test data at {path}")
        human = load_human(path)
        pose = np.concatenate([human.global_orient, human.body_pose], axis=1).reshape(-1, 3)
        local = Rotation.from_rotvec(pose).as_matrix().reshape(len(human), 22, 3, 3).transpose(1, 0, 2, 3)
        assert without_flips(local, human.fps) is local
