"""Motion files of others through the command line: the same reader for every command, whose notes are printed."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from exoactor.cli import app
from exoactor.errors import BadInput, ExoActorError
from exoactor.files import load_npz, read_npz
from exoactor.formats import load_human
from exoactor.motion import HumanMotion
from exoactor_gen.choreography import choreograph
from exoactor_gen.language import parse


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
