from dataclasses import replace

import numpy as np
import pytest

from exoactor_core.contacts import Contact, contacts_from_json
from exoactor_core.errors import BadInput
from exoactor_core.motion import HUMAN_ARRAYS, JOINT_NAMES, HumanMotion, RobotMotion
from exoactor_core.robot import standing_motion


def robot_arrays(frames=5):
    return {
        "fps": 50.0,
        "root_pos": np.zeros((frames, 3)),
        "root_quat_wxyz": np.tile([1.0, 0, 0, 0], (frames, 1)),
        "joint_pos": np.zeros((frames, 29)),
    }


def human_arrays(frames=5):
    return {
        "fps": 30.0,
        "transl": np.zeros((frames, 3)),
        "global_orient": np.zeros((frames, 3)),
        "body_pose": np.zeros((frames, 63)),
        "betas": np.zeros(10),
    }


def test_there_are_29_joints_in_unitrees_order():
    assert len(JOINT_NAMES) == len(set(JOINT_NAMES)) == 29
    assert JOINT_NAMES[3] == "left_knee_joint"
    assert JOINT_NAMES[12] == "waist_yaw_joint"
    assert JOINT_NAMES[28] == "right_wrist_yaw_joint"


def test_robot_motion_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    arrays = robot_arrays() | {"joint_pos": rng.normal(size=(5, 29)), "contacts": rng.random((5, 2))}
    RobotMotion(**arrays).save(tmp_path / "robot.npz")
    back = RobotMotion.load(tmp_path / "robot.npz")
    for name, value in arrays.items():
        np.testing.assert_allclose(getattr(back, name), value)


def test_a_copy_of_a_robot_motion_is_the_same_to_the_bit():
    quats = np.random.default_rng(0).normal(size=(1000, 4))
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    motion = RobotMotion(**robot_arrays(1000) | {"root_quat_wxyz": quats.astype(np.float32)})
    np.testing.assert_array_equal(replace(motion, correction=None).root_quat_wxyz, motion.root_quat_wxyz)


def test_hands_and_contacts_with_objects_are_kept(tmp_path):
    grasp = Contact(body="left_hand", object="cup", kind="grasp", start=0.02, end=0.08, pos_object=(0, 0, 0.1))
    motion = RobotMotion(**robot_arrays(), hands=np.linspace(0, 1, 10).reshape(5, 2), object_contacts=(grasp,))
    motion.save(tmp_path / "robot.npz")
    back = RobotMotion.load(tmp_path / "robot.npz")
    assert back.object_contacts == (grasp,)
    np.testing.assert_allclose(back.hands, motion.hands)
    with pytest.raises(BadInput, match="ends at 1 s, before it starts at 2 s"):
        contacts_from_json('[{"body": "seat", "object": "", "kind": "sit", "start": 2, "end": 1}]')


def test_a_motion_at_half_its_pace_lasts_twice_as_long(tmp_path):
    grasp = Contact(body="left_hand", object="cup", kind="grasp", start=0.02, end=0.08)
    RobotMotion(**robot_arrays(), object_contacts=(grasp,), pace=0.5, open_loop=True).save(tmp_path / "robot.npz")
    motion = RobotMotion.load(tmp_path / "robot.npz")
    assert motion.execution == {"open_loop": True, "alternative_policy": False, "pace": 0.5}
    paced = motion.paced
    assert (paced.fps, paced.pace, paced.open_loop) == (25.0, 1.0, True)
    assert (paced.object_contacts[0].start, paced.object_contacts[0].end) == (0.04, 0.16)
    assert paced.paced is paced
    for pace in (0.0, 1.1, float("nan")):
        with pytest.raises(BadInput, match="The pace is"):
            replace(motion, pace=pace)


def test_human_motion_round_trip_in_amass_keys(tmp_path):
    rng = np.random.default_rng(0)
    arrays = human_arrays() | {"body_pose": rng.normal(size=(5, 63)), "contacts": rng.random((5, 4))}
    HumanMotion(**arrays).save(tmp_path / "human.npz")
    with np.load(tmp_path / "human.npz") as data:
        assert str(data["surface_model_type"]) == "smplx"
        assert {"trans", "root_orient", "pose_body", "pose_hand", "mocap_frame_rate", "betas"} <= set(data.files)
    np.testing.assert_allclose(HumanMotion.load(tmp_path / "human.npz").body_pose, arrays["body_pose"])


def test_limb_confidence_is_kept_and_is_the_frames_where_it_is_unknown(tmp_path):
    limbs = np.random.default_rng(0).random((5, 5))
    HumanMotion(**human_arrays(), limb_confidence=limbs).save(tmp_path / "human.npz")
    np.testing.assert_allclose(HumanMotion.load(tmp_path / "human.npz").limb_confidence, limbs)
    unknown = HumanMotion(**human_arrays(), confidence=np.linspace(0, 1, 5))
    np.testing.assert_allclose(unknown.limb_confidence[:, 2], unknown.confidence)


def test_parts_of_a_human_motion_join_again():
    rng = np.random.default_rng(0)
    whole = HumanMotion(**human_arrays(), hand_pose=rng.random((5, 90)), limb_confidence=rng.random((5, 5)))
    again = HumanMotion.joined([whole.part(0, 2), whole.part(2, 5)])
    for name in HUMAN_ARRAYS:
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"joint_pos": np.zeros((5, 23))}, "shape"),
        ({"joint_pos": np.full((5, 29), np.nan)}, "not finite, first in frame 0"),
        ({"root_quat_wxyz": np.ones((5, 4))}, "norm is 2.000 in frame 0"),
        ({"root_pos": np.zeros((0, 3))}, "no frames"),
        ({"fps": 0.0}, "frame rate"),
        ({"joint_names": JOINT_NAMES[::-1]}, "motor order"),
        ({"joint_names": JOINT_NAMES[:-1]}, "28 names"),
    ],
)
def test_bad_robot_motion_is_refused_in_a_sentence(change, words):
    with pytest.raises(BadInput, match=words):
        RobotMotion(**robot_arrays() | change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"body_pose": np.zeros((5, 69))}, "shape"),
        ({"transl": np.full((5, 3), np.inf)}, "not finite"),
        ({"contacts": np.zeros((4, 4))}, "contacts"),
    ],
)
def test_bad_human_motion_is_refused_in_a_sentence(change, words):
    with pytest.raises(BadInput, match=words):
        HumanMotion(**human_arrays() | change)


@pytest.mark.parametrize("kind", [RobotMotion, HumanMotion])
def test_unreadable_files_are_refused_with_their_name(tmp_path, kind):
    path = tmp_path / "motion.npz"
    with pytest.raises(BadInput, match="There is no file"):
        kind.load(path)
    for content in (b"", b"not an npz", b"PK\x03\x04 cut off"):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"motion\.npz"):
            kind.load(path)
    np.savez(path, fps=30)
    with pytest.raises(BadInput, match="lacks"):
        kind.load(path)


def test_pickled_arrays_are_never_loaded(tmp_path):
    path = tmp_path / "evil.npz"
    arrays = robot_arrays() | {"joint_names": np.array(JOINT_NAMES, dtype=object)}
    np.savez(path, **arrays)
    with pytest.raises(BadInput, match=r"evil\.npz"):
        RobotMotion.load(path)


def test_joint_velocities_follow_from_the_angles(tmp_path):
    time = np.arange(20)[:, None] / 50
    still = np.tile([[1.0, 0, 0, 0]], (20, 1))
    motion = RobotMotion(50.0, np.zeros((20, 3)), still, time * np.linspace(-1, 1, 29))
    np.testing.assert_allclose(motion.joint_vel, np.tile(np.linspace(-1, 1, 29), (20, 1)), atol=1e-9)
    motion.save(tmp_path / "motion.npz")
    np.testing.assert_allclose(np.load(tmp_path / "motion.npz")["joint_vel"], motion.joint_vel)
    one = RobotMotion(50.0, np.zeros((1, 3)), still[:1], np.zeros((1, 29)))
    assert not one.joint_vel.any()


def test_a_part_of_a_robot_motion_has_the_arrays_of_its_frames():
    whole = replace(standing_motion(1.0), hands=np.linspace(0.0, 1.0, 51)[:, None] * [1.0, 1.0])
    part = whole.part(10, 20)
    assert len(part) == 10
    np.testing.assert_array_equal(part.hands[:, 0], whole.hands[10:20, 0])
    assert part.correction is None
    assert len(whole.part(-1, None)) == 1
