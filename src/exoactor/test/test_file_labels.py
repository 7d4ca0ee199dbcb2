"""A file's own labels are read: names, orders, rates and dialects, on files that the tests make."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from exoactor_core.bvh import load_bvh
from exoactor_core.errors import BadInput
from exoactor_core.files import decoded
from exoactor_core.formats import load_csv, load_robot
from exoactor_core.motion import JOINT_NAMES, RobotMotion
from exoactor_core.unpickle import read_pickle

JOINTS = [  # name, parent, offset: y up, centimetres, T-pose
    ("Hips", -1, (0, 90, 0)),
    ("Spine", 0, (0, 20, 0)),
    ("Neck", 1, (0, 30, 0)),
    ("Head", 2, (0, 10, 0)),
]
for side, sign in (("Left", 1), ("Right", -1)):
    k = len(JOINTS)
    JOINTS += [
        (f"{side}UpLeg", 0, (9 * sign, -5, 0)),
        (f"{side}Leg", k, (0, -42, 0)),
        (f"{side}Foot", k + 1, (0, -40, 0)),
        (f"{side}Arm", 1, (18 * sign, 25, 0)),
        (f"{side}ForeArm", k + 3, (28 * sign, 0, 0)),
        (f"{side}Hand", k + 4, (25 * sign, 0, 0)),
    ]


def bvh(six=False, frames=5):
    """A walk-like bvh; with position channels in every joint if ``six``."""
    order = []

    def write(j, depth):
        name, parent, offset = JOINTS[j]
        order.append(j)
        wide = six or parent < 0
        kinds = "Xposition Yposition Zposition " * wide + "Zrotation Xrotation Yrotation"
        lines = [("JOINT " if parent >= 0 else "ROOT ") + name, "{", "OFFSET {:.2f} {:.2f} {:.2f}".format(*offset)]
        lines.append(f"CHANNELS {6 if wide else 3} {kinds}")
        children = [k for k, (_, p, _) in enumerate(JOINTS) if p == j]
        for child in children:
            lines += write(child, depth + 1)
        if not children:
            lines += ["End Site", "{", "OFFSET 0.0 1.0 0.0", "}"]
        return [*lines, "}"]

    lines = ["HIERARCHY", *write(0, 0), "MOTION", f"Frames: {frames}", "Frame Time: 0.02"]
    for t in range(frames):
        row = []
        for j in order:
            if six or JOINTS[j][1] < 0:
                row += list(JOINTS[j][2])
            row += [3.0 * t, 1.5 * j, -2.0 * t]
        lines.append(" ".join(f"{value:.4f}" for value in row))
    return "\n".join(lines) + "\n"


def human(tmp_path, text, encoding="utf-8"):
    (tmp_path / "a.bvh").write_bytes(text.encode(encoding))
    return load_bvh(tmp_path / "a.bvh")


DIALECTS = {
    "six channels": (bvh(six=True), ""),
    "no space": (bvh().replace("Frames: ", "Frames:").replace("Time: ", "Time:"), ""),
    "lower case": (bvh().replace("Frame Time", "Frame time").replace("End Site", "End site"), ""),
    "one line": (bvh().partition("0.02\n")[0] + "0.02\n" + bvh().partition("0.02\n")[2].replace("\n", " "), ""),
    "more frames stated": (bvh().replace("Frames: 5", "Frames: 6"), "states 6 frames, but holds 5"),
    "decimal commas": (bvh().replace(".", ","), "decimal commas"),
    "comma in the frame time": (bvh().replace("0.02\n", "0,02\n"), "decimal commas"),
    "windows": (bvh().replace("\n", "\r\n"), ""),
    "byte order mark": ("\ufeff" + bvh(), ""),
    "prefixed names": (bvh().replace("ROOT ", "ROOT mixamorig:").replace("JOINT ", "JOINT mixamorig:"), ""),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_bvh_dialects_are_the_same_motion(tmp_path, name):
    text, note = DIALECTS[name]
    want, have = human(tmp_path, bvh()), human(tmp_path, text)
    np.testing.assert_allclose(have.body_pose, want.body_pose, atol=1e-9)
    np.testing.assert_allclose(have.transl, want.transl, atol=1e-9)
    assert have.fps == want.fps == pytest.approx(50)
    assert note in " ".join(have.notes)
    assert bool(note) == bool(have.notes)


def test_bvh_not_utf8_is_noted_and_damage_is_located(tmp_path):
    assert "not UTF-8" in human(tmp_path, bvh().replace("ROOT", "ROOT").replace("Head", "H\xe9ad"), "latin-1").notes[0]
    with pytest.raises(BadInput, match="is cut off"):
        human(tmp_path, bvh()[:-10].rsplit(" ", 1)[0])
    with pytest.raises(BadInput, match="'nan'"):
        human(tmp_path, bvh().replace(" 0.0000", " nan", 1))


def table(rng=None):
    rng = rng or np.random.default_rng(0)
    quat = np.tile([0.1, 0.0, 0.0, np.sqrt(0.99)], (6, 1))
    return np.concatenate([rng.normal(size=(6, 3)), quat, rng.uniform(-0.2, 0.2, (6, 29))], axis=1)


NAMES = ["root_x", "root_y", "root_z", "qx", "qy", "qz", "qw", *JOINT_NAMES]


def written(path, names, values, encoding="utf-8", more=""):
    rows = [",".join(f"{v:.9f}" for v in row) for row in values]
    path.write_text("\n".join([*([",".join(names)] if names else []), *([more] if more else []), *rows]), encoding)
    return path


def test_csv_columns_go_by_their_names(tmp_path):
    values = table()
    plain = load_csv(written(tmp_path / "a.csv", [], values))
    assert len(plain.notes) == 2  # neither order nor rate is stated
    turned = np.random.default_rng(1).permutation(36)
    for more in ("", ",".join(["m"] * 3 + [""] * 4 + ["rad"] * 29)):
        other = load_csv(written(tmp_path / "b.csv", [NAMES[k] for k in turned], values[:, turned], more=more))
        np.testing.assert_allclose(other.joint_pos, plain.joint_pos)
        np.testing.assert_allclose(other.root_quat_wxyz, plain.root_quat_wxyz)
    with pytest.raises(BadInput, match="the column 'left_paw' is unknown"):
        load_csv(written(tmp_path / "c.csv", [*NAMES[:-1], "left_paw"], values))
    with pytest.raises(BadInput, match="units must be m and rad"):
        load_csv(written(tmp_path / "d.csv", NAMES, values, more=",".join(["deg"] * 36)))


def test_csv_keeps_its_first_line_and_its_rate(tmp_path):
    assert len(load_csv(written(tmp_path / "a.csv", [], table(), "utf-8-sig"))) == 6
    assert load_robot(tmp_path / "a.csv", 120.0).fps == 120
    timed = np.concatenate([np.arange(6)[:, None] / 50, table()], axis=1)
    assert load_csv(written(tmp_path / "b.csv", ["time", *NAMES], timed)).fps == pytest.approx(50)


def test_npz_joints_go_by_their_names(tmp_path):
    m = load_csv(written(tmp_path / "a.csv", [], table()))
    order = np.random.default_rng(2).permutation(29)
    pos, quat = np.zeros((6, 2, 3)), np.tile([1.0, 0, 0, 0], (6, 2, 1))
    pos[:, 1], quat[:, 1] = m.root_pos, m.root_quat_wxyz
    np.savez(
        tmp_path / "m.npz",
        fps=[50.0],
        joint_pos=m.joint_pos[:, order],
        body_pos_w=pos,
        body_quat_w=quat,
        joint_names=np.array(JOINT_NAMES)[order],
        body_names=["torso_link", "pelvis"],
    )
    back = load_robot(tmp_path / "m.npz")
    np.testing.assert_allclose(back.joint_pos, m.joint_pos)
    np.testing.assert_allclose(back.root_pos, m.root_pos)
    assert not back.notes


def test_quaternions_a_little_off_are_normalised_with_a_note():
    quat = np.tile([1.05, 0.0, 0, 0], (3, 1))
    m = RobotMotion(30.0, np.zeros((3, 3)), quat, np.zeros((3, 29)))
    assert "5.0% off unit length" in m.notes[0]
    np.testing.assert_allclose(m.root_quat_wxyz, [[1, 0, 0, 0]] * 3)
    with pytest.raises(BadInput, match="not a unit quaternion"):
        RobotMotion(30.0, np.zeros((3, 3)), quat * 1.02, np.zeros((3, 29)))


def test_a_huge_image_is_refused_before_it_is_decoded():
    small, data = io.BytesIO(), bytearray()
    Image.new("1", (8, 8)).save(small, "png")
    data = bytearray(small.getvalue())
    data[16:24] = (40000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    with pytest.raises(BadInput, match="more than 100 million pixels"):
        decoded(bytes(data))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_of_a_pickle_can_be_worked_on_in_any_precision(tmp_path, dtype, protocol):
    """SciPy's rotations refuse read-only float64, which a view of the file's bytes would be."""
    turns = np.random.default_rng(3).normal(size=(5, 3)).astype(dtype)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"pose": turns}, protocol))
    pose = read_pickle(tmp_path / "a.pkl")["pose"]
    assert pose.flags.writeable
    np.testing.assert_allclose(Rotation.from_rotvec(pose).magnitude(), Rotation.from_rotvec(turns).magnitude())
