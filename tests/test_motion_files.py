"""Motion files of others through the command line: the same reader for every command, whose notes are printed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from exoactor.cli import app
from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput, ExoActorError
from exoactor_core.files import load_npz, read_npz
from exoactor_core.formats import load_robot
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_gen.mannequin.choreography import choreograph
from exoactor_gen.mannequin.language import parse
from exoactor_pose.importers import load_human


def person(task="wave"):
    return choreograph(parse(task), np.zeros(10))


def run(*arguments):
    """Exit code, the figures, and what was refused."""
    done = CliRunner().invoke(app, [str(a) for a in (*arguments, "--json")])
    if done.exception is not None and not isinstance(done.exception, ExoActorError | SystemExit):
        raise done.exception
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else None, str(done.exception or "")


def amass(path, motion=None, width=156, **more):
    """An AMASS file of a motion: SMPL's 72, SMPL-H's 156 or SMPL-X's 165 angles; 0: the split layout."""
    motion = motion or person()
    body = np.concatenate([motion.global_orient, motion.body_pose], axis=1)
    rest = np.zeros((len(motion), max(width - 66, 0)))
    layout = (
        {"poses": np.concatenate([body, rest], axis=1)}
        if width
        else {"root_orient": motion.global_orient, "pose_body": motion.body_pose}
    )
    table = {"trans": motion.transl, "betas": np.zeros(16), "gender": "male", "mocap_framerate": motion.fps}
    np.savez(path, **table | layout | more)
    return path


OBJECTS = {"latent_labels": np.array(["C7", None], dtype=object)}


@pytest.mark.parametrize("width", [72, 156, 165, 0])
def test_retarget_reads_amass_as_estimate_does(tmp_path, width):
    path = amass(tmp_path / "walk_poses.npz", width=width, **OBJECTS)
    _, refused = run("estimate", path, "-o", tmp_path / "human.npz")
    assert not refused
    estimated, have = HumanMotion.load(tmp_path / "human.npz"), load_human(path)
    for name in ("fps", "transl", "global_orient", "body_pose", "betas", "contacts"):
        np.testing.assert_array_equal(getattr(have, name), getattr(estimated, name))
    assert have.notes == ("latent_labels holds Python objects, which are not read.",)


def test_a_folder_is_retargeted_with_every_file_s_notes(tmp_path):
    (tmp_path / "in").mkdir()
    short = person()
    short = HumanMotion(short.fps, short.transl[:20], short.global_orient[:20], short.body_pose[:20], short.betas)
    amass(tmp_path / "in" / "a.npz", short, pose_hand=np.zeros((20, 24)), width=0, **OBJECTS)
    report, refused = run("retarget", tmp_path / "in", "-o", tmp_path / "out", "--jobs", 1)
    assert not refused
    (metrics,) = report["motions"].values()
    assert metrics["notes"][:2] == [
        "latent_labels holds Python objects, which are not read.",
        "pose_hand is 24 wide: coefficients of a hand model. The hands were left flat.",
    ]


def test_python_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    np.savez(tmp_path / "a.npz", a=np.zeros(3), b=np.array([Trap()], dtype=object))
    data, objects = read_npz(tmp_path / "a.npz")
    assert (list(data), objects) == (["a"], ("b",))
    with pytest.raises(BadInput, match="Python objects in b"):
        load_npz(tmp_path / "a.npz")
    assert not (tmp_path / "ran").exists()


TO_Y_UP = Rotation.from_matrix([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])


def turned(motion, rotation, shift=(0.0, 0.0, 0.0)):
    """The motion in another world."""
    rest = BodyModel.load().rest_joints(motion.betas)[0]
    root = rotation * Rotation.from_rotvec(motion.global_orient)
    pelvis = rotation.apply(motion.transl + rest) + shift
    return replace(motion, transl=pelvis - rest, global_orient=root.as_rotvec())


@pytest.mark.parametrize("task", ["wave", "walk forward two metres", "squat"])
def test_a_world_with_y_up_is_turned_with_a_note(tmp_path, task):
    motion = person(task)
    want = load_human(amass(tmp_path / "z.npz", motion))
    have = load_human(amass(tmp_path / "y.npz", turned(motion, TO_Y_UP)))
    assert not want.notes
    assert "y was taken as up" in have.notes[0]
    np.testing.assert_allclose(have.global_orient, want.global_orient, atol=1e-6)
    np.testing.assert_allclose(have.transl, want.transl, atol=1e-3)


def test_who_lies_is_not_turned(tmp_path):
    """Getting up, crawling on hands and knees and along the floor, lying: all along y."""
    still = person("wave")
    t = len(still)
    on_back = Rotation.from_euler("z", 90, degrees=True) * Rotation.from_euler("y", 90, degrees=True)  # head to +y
    assert (on_back.apply([0, 0, 1])[1], on_back.apply([1, 0, 0])[2]) == pytest.approx((1.0, -1.0))
    lying = turned(still, on_back, (0.0, 0.0, 0.1))
    for shift in ((0.0, 0.0, 0.0), (0.0, -0.9, 0.0), (0.0, -0.9, 0.5)):
        with pytest.raises(BadInput, match="stands or lies along the y axis"):
            load_human(amass(tmp_path / "a.npz", replace(lying, transl=lying.transl + shift)))
    up = Rotation.from_rotvec(np.linspace(0, np.pi / 2, t)[:, None] * [1.0, 0.0, 0.0])
    rising = replace(lying, global_orient=(up * Rotation.from_rotvec(lying.global_orient)).as_rotvec())
    knees = still.body_pose.copy()
    knees[:, [0, 3]], knees[:, [9, 12]] = -np.pi / 2, np.pi / 2  # hips and knees
    crawling = replace(lying, body_pose=knees)
    along = replace(lying, transl=lying.transl + np.linspace(0, 1.5, t)[:, None] * [0.0, 1.0, 0.0])
    for name, motion in {"rising": rising, "crawling": crawling, "along": along}.items():
        have = load_human(amass(tmp_path / f"{name}.npz", motion))
        assert not have.notes
        upright = Rotation.from_rotvec(have.global_orient).apply([0, 1, 0])[:, 2]
        assert abs(upright[0]) < 0.1


def test_a_robot_in_a_world_with_y_up(tmp_path):
    t = 40
    quat = np.tile(Rotation.from_euler("zx", [0.3, 0.05]).as_quat(scalar_first=True), (t, 1))
    motion = RobotMotion(50.0, np.linspace([0, 0, 0.78], [1, 0, 0.78], t), quat, np.zeros((t, 29)))

    def saved(rotation, shift=(0.0, 0.0, 0.0)):
        root = rotation * Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True)
        other = replace(
            motion, root_pos=rotation.apply(motion.root_pos) + shift, root_quat_wxyz=root.as_quat(scalar_first=True)
        )
        other.save(tmp_path / "m.npz")
        return load_robot(tmp_path / "m.npz")

    have = saved(TO_Y_UP)
    assert "y was taken as up" in have.notes[0]
    np.testing.assert_allclose(have.root_pos, motion.root_pos, atol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(have.root_quat_wxyz * quat, axis=1)), 1.0)
    on_side = Rotation.from_euler("x", -90, degrees=True)  # head to +y, moves along x
    assert not saved(on_side, (0.0, -0.78, 0.1)).notes
    with pytest.raises(BadInput, match="stands or lies along the y axis"):
        saved(on_side, (0.0, 0.0, 0.1))
    with pytest.raises(BadInput, match="stands or lies along the y axis"):
        saved(TO_Y_UP, (0.0, -0.78, 0.0))
