import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from exoactor_core import robot
from exoactor_core.body import BODY_JOINT_NAMES, BodyModel
from exoactor_core.bvh import joint_table, load_bvh
from exoactor_core.errors import BadInput
from exoactor_core.formats import (
    ISAAC_BODIES,
    ISAAC_ORDER,
    ROBOT_FORMATS,
    load_csv,
    load_robot,
    resample_robot,
    robot_format,
    save_robot,
)
from exoactor_core.motion import JOINT_NAMES, RobotMotion
from exoactor_pose.importers import load_human

DATA = Path(os.environ.get("EXOACTOR_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


def motion(frames=40, fps=30.0):
    t = np.arange(frames) / fps
    yaw = 3.0 * t
    low, high = robot.JOINT_LIMITS.T
    joints = robot.STANDING + 0.2 * np.sin(t[:, None] + np.arange(29)) * np.minimum(high - low, 1.0)
    return RobotMotion(
        fps=fps,
        root_pos=np.stack([t, 0.1 * t, 0.78 + 0 * t], axis=1),
        root_quat_wxyz=np.stack([np.cos(yaw / 2), 0 * t, 0 * t, np.sin(yaw / 2)], axis=1),
        joint_pos=joints,
        contacts=np.ones((frames, 2)),
    )


@pytest.mark.parametrize(
    ("name", "fps", "tolerance"),
    [("a.npz", 30.0, 0.0), ("a.pkl", 30.0, 1e-15), ("a.csv", 30.0, 1e-8), ("a.beyondmimic.npz", 50.0, 1e-6)],
)
def test_round_trip(tmp_path, name, fps, tolerance):
    before = motion(fps=fps)
    save_robot(before, tmp_path / name)
    after = load_robot(tmp_path / name)
    assert after.fps == before.fps
    np.testing.assert_allclose(after.root_pos, before.root_pos, atol=tolerance)
    np.testing.assert_allclose(after.joint_pos, before.joint_pos, atol=tolerance)
    same = np.abs(np.sum(after.root_quat_wxyz * before.root_quat_wxyz, axis=1))
    np.testing.assert_allclose(same, 1.0, atol=1e-6)
    if name == "a.npz":  # the others have no room for contacts
        np.testing.assert_array_equal(after.contacts, before.contacts)


@pytest.mark.parametrize(("format_", "ending"), ROBOT_FORMATS.items())
def test_formats_by_name_and_by_ending_are_the_same(tmp_path, format_, ending):
    save_robot(motion(), tmp_path / f"named{ending}")
    save_robot(motion(), tmp_path / "named", format_)
    assert robot_format(tmp_path / f"Some.Thing{ending.upper()}") == format_
    save_robot(load_robot(tmp_path / f"named{ending}"), tmp_path / f"again{ending}")
    first, again = (load_robot(tmp_path / f"{name}{ending}") for name in ("named", "again"))
    np.testing.assert_allclose(again.joint_pos, first.joint_pos, atol=1e-6)
    assert (tmp_path / "named").stat().st_size > 1000
    with pytest.raises(BadInput, match="There is no format 'fbx'"):
        save_robot(motion(), tmp_path / "a.npz", "fbx")


def test_what_players_take_for_granted_is_resampled(tmp_path):
    before = motion(frames=61, fps=60.0)
    for name, fps in (("a.csv", 30.0), ("a.beyondmimic.npz", 50.0)):
        save_robot(before, tmp_path / name)
        after = load_robot(tmp_path / name)
        assert (after.fps, after.duration) == (fps, pytest.approx(before.duration))
        np.testing.assert_allclose(after.joint_pos[-1], before.joint_pos[-1], atol=1e-6)


def test_csv_is_unitrees(tmp_path):
    save_robot(motion(frames=51, fps=50.0), tmp_path / "a.csv")
    table = np.loadtxt(tmp_path / "a.csv", delimiter=",")
    assert table.shape == (31, 36)  # one second at 30 Hz
    back = load_robot(tmp_path / "a.csv")
    np.testing.assert_allclose(back.root_quat_wxyz[:, 0], table[:, 6], atol=1e-7)  # w stands last
    assert back.duration == pytest.approx(1.0)
    assert load_csv(tmp_path / "a.csv", 60.0).fps == 60.0


@pytest.mark.parametrize("name", ["a.npz", "a.pkl", "a.beyondmimic.npz"])
def test_a_frame_rate_is_given_to_csv_files_only(tmp_path, name):
    save_robot(motion(), tmp_path / name)
    with pytest.raises(BadInput, match="states its frame rate: leave out --fps"):
        load_robot(tmp_path / name, 60.0)


def test_a_persons_motion_is_no_robots(tmp_path):
    np.savez(tmp_path / "human.npz", root_orient=np.zeros((3, 3)))
    with pytest.raises(BadInput, match="is a person's motion: 'exoactor retarget'"):
        load_robot(tmp_path / "human.npz")


def test_gmr_keys(tmp_path):
    save_robot(motion(), tmp_path / "a.pkl")
    data = pickle.loads((tmp_path / "a.pkl").read_bytes())
    assert set(data) == {"fps", "root_pos", "root_rot", "dof_pos", "local_body_pos", "link_body_list"}
    np.testing.assert_array_equal(data["root_rot"][:, 3], motion().root_quat_wxyz[:, 0])


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_gmr_pickles_of_other_protocols_and_types(tmp_path, protocol):
    m = motion()
    data = {
        "fps": np.float32(30.0),
        "root_pos": np.asfortranarray(m.root_pos.astype(np.float32)),
        "root_rot": m.root_quat_wxyz[:, [1, 2, 3, 0]],
        "dof_pos": m.joint_pos,
        "link_body_list": ["pelvis"],
    }
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(data, protocol=protocol))
    np.testing.assert_allclose(load_robot(tmp_path / "a.pkl").root_pos, m.root_pos, atol=1e-6)


class _Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("nested", [False, True])
def test_pickle_runs_nothing(tmp_path, nested):
    mark = tmp_path / "ran"
    evil = _Evil(os.mkdir, str(mark))
    value = {"fps": 30, "root_pos": np.array([evil], dtype=object)} if nested else evil
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(BadInput, match=r"not a pickle of plain arrays: it wants 'posix\.mkdir'"):
        load_robot(tmp_path / "a.pkl")
    assert not mark.exists()


def test_damaged_files_are_refused(tmp_path):
    save_robot(motion(), tmp_path / "a.pkl")
    whole = (tmp_path / "a.pkl").read_bytes()
    rng = np.random.default_rng(0)
    for k in range(200):
        raw = bytearray(whole[: len(whole) // 8])
        if k % 2:
            raw = bytearray(whole)
            for i in rng.integers(0, 400, 3):
                raw[i] = int(rng.integers(256))
        (tmp_path / "b.pkl").write_bytes(bytes(raw))
        try:
            load_robot(tmp_path / "b.pkl")
        except BadInput:
            continue
    (tmp_path / "c.csv").write_text("1,2,3\n")
    with pytest.raises(BadInput, match=r"line 1: there are 3 columns"):
        load_robot(tmp_path / "c.csv")
    (tmp_path / "d.csv").write_text("")
    with pytest.raises(BadInput, match="no frames"):
        load_robot(tmp_path / "d.csv")
    with pytest.raises(BadInput, match="must end in"):
        load_robot(tmp_path / "e.txt")
    with pytest.raises(BadInput, match="must end in"):
        save_robot(motion(), tmp_path / "e.txt")
    with pytest.raises(BadInput, match="no file"):
        load_human(tmp_path / "none.bvh")
    (tmp_path / "f.bvh").write_text("HIERARCHY nonsense")
    with pytest.raises(BadInput, match="not a readable bvh"):
        load_human(tmp_path / "f.bvh")


def test_isaac_order_is_breadth_first():
    model = robot.pinocchio_model()
    depth = {0: 0}
    for joint in range(1, model.njoints):
        depth[joint] = depth[int(model.parents[joint])] + 1
    depths = [depth[model.getJointId(JOINT_NAMES[i])] for i in ISAAC_ORDER]
    assert depths == sorted(depths)
    assert sorted(ISAAC_ORDER) == list(range(29))
    assert ISAAC_BODIES[0] == "pelvis"
    assert "torso_link" in ISAAC_BODIES


def test_beyondmimic_velocities(tmp_path):
    save_robot(motion(fps=50.0), tmp_path / "a.beyondmimic.npz")
    with np.load(tmp_path / "a.beyondmimic.npz") as data:
        np.testing.assert_allclose(data["body_ang_vel_w"][5, 0], [0, 0, 3.0], atol=1e-4)
        np.testing.assert_allclose(data["body_lin_vel_w"][5, 0], [1.0, 0.1, 0.0], atol=1e-4)
        assert data["body_pos_w"].shape == (40, 30, 3)


def test_resample_robot_keeps_ends_and_does_not_flip():
    m = resample_robot(motion(frames=91), 50.0)  # turns through more than half a turn
    assert np.sum(m.root_quat_wxyz[1:] * m.root_quat_wxyz[:-1], axis=1).min() > 0.9
    np.testing.assert_allclose(m.joint_pos[0], motion(frames=91).joint_pos[0])


def test_joint_names_of_common_skeletons():
    mixamo = ["mixamorig:Hips", "mixamorig:Spine", "mixamorig:Neck", "mixamorig:Head"]
    mixamo += [
        f"mixamorig:{s}{n}"
        for s in ("Left", "Right")
        for n in ("Shoulder", "Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot", "ToeBase")
    ]
    table = joint_table(mixamo)
    assert mixamo[table["left_shoulder"]] == "mixamorig:LeftArm"
    assert mixamo[table["left_collar"]] == "mixamorig:LeftShoulder"
    assert mixamo[table["right_ankle"]] == "mixamorig:RightFoot"
    with pytest.raises(BadInput, match="left knee"):
        joint_table([n for n in mixamo if n != "mixamorig:LeftLeg"])


@pytest.mark.parametrize("name", ["bvh_example", "bvh_test2"])
def test_bvh_gives_a_standing_person(name):
    path = DATA / "human" / f"{name}.bvh"
    if not path.is_file():
        pytest.skip(f"no test data at {path}")
    pybvh = pytest.importorskip("pybvh")
    human = load_bvh(path)
    source = pybvh.read_bvh_file(path)
    assert (human.fps, len(human)) == (pytest.approx(source.fps), source.frame_count)
    joints = BodyModel.load().joints(human)
    index = {n: i for i, n in enumerate(BODY_JOINT_NAMES)}
    height = joints[:, index["head"], 2] - joints[:, [index["left_ankle"], index["right_ankle"]], 2].min(axis=1)
    assert 1.2 < np.median(height) < 1.7
    # Bones keep their directions: compare with the file's own positions.
    table = joint_table(list(source.joint_names))
    pos = source.joint_positions()
    to_z_up = {"+z": np.eye(3), "+y": np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])}[str(source.world_up)]
    for a, b in (
        ("left_shoulder", "left_elbow"),
        ("right_elbow", "right_wrist"),
        ("left_hip", "left_knee"),
        ("right_knee", "right_ankle"),
    ):
        want = (pos[:, table[b]] - pos[:, table[a]]) @ to_z_up.T
        have = joints[:, index[b]] - joints[:, index[a]]
        cosine = np.sum(want * have, -1) / np.linalg.norm(want, axis=-1) / np.linalg.norm(have, axis=-1)
        assert cosine.min() > 0.99, (a, b)
