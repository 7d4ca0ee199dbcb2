"""Files made after public reports of inputs that failed, one folder a kind, in the test data: each is read right."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from exoactor.cli import app
from exoactor_core.errors import BadInput
from exoactor_core.formats import load_robot
from exoactor_core.robot import forward_kinematics
from exoactor_core.video import Video
from exoactor_pose.importers import load_human

CASES = Path(os.environ.get("EXOACTOR_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "cases"


def case(name):
    path = CASES / name
    if not path.is_file():
        pytest.skip(f"no test data at {path}")
    return path


@pytest.mark.parametrize(
    ("name", "frames", "fps", "note"),
    [
        ("01-bvh-six-channels/six_channels.bvh", None, None, ""),
        ("01-bvh-six-channels/soma_style.bvh", None, None, ""),
        ("03-bvh-dialects/endsite_lower.bvh", None, None, ""),
        ("03-bvh-dialects/frames_more.bvh", None, None, "frames, but holds"),
        ("03-bvh-dialects/frames_nospace.bvh", None, None, ""),
        ("03-bvh-dialects/frametime_lower.bvh", None, None, ""),
        ("03-bvh-dialects/oneline_frames.bvh", None, None, ""),
        ("04-bvh-locale-comma/comma_decimal.bvh", None, None, "decimal commas"),
        ("04-bvh-locale-comma/ft_comma.bvh", None, None, "decimal commas"),
        ("05-float64-pickle/w32.pkl", 195, 30.0, ""),
        ("05-float64-pickle/w64.pkl", 195, 30.0, ""),
        ("06-amass-smplh-retarget/Walk B13 - Walk turn right 45_poses.npz", 195, 120.0, ""),
        ("06-amass-smplh-retarget/smpl72.npz", 195, 30.0, ""),
        ("07-amass-stageii-objects/hand24.npz", 195, 120.0, ""),
        ("07-amass-stageii-objects/obj_stageii.npz", 195, 120.0, "objects"),
        ("08-yup-npz-lies-flat/pbhc_global.npz", 195, None, "y"),
    ],
)
def test_people(name, frames, fps, note):
    human = load_human(case(name))
    assert frames in (None, len(human))
    assert fps is None or human.fps == pytest.approx(fps)
    assert len(human) > 10
    assert note in " ".join(human.notes)
    up = np.median(human.transl[:, 2])
    assert 0.6 < up < 1.3, "the pelvis is not where that of somebody who stands is"


@pytest.mark.parametrize(
    ("name", "frames", "fps"),
    [
        ("09-csv-first-line-lost/bom.csv", 150, 30.0),
        ("09-csv-first-line-lost/header_units.csv", 150, 30.0),
        ("10-csv-header-ignored/wxyz_header.csv", None, None),
        ("11-mjlab-npz/mjlab_named.npz", None, None),
        ("13-csv-fps/fps120.csv", None, None),
    ],
)
def test_robots(name, frames, fps):
    motion = load_robot(case(name))
    assert frames in (None, len(motion))
    assert fps is None or motion.fps == pytest.approx(fps)
    head = forward_kinematics(motion, ("torso_link",))[:, 0, 2]
    assert (head > motion.root_pos[:, 2]).all(), "the torso is not above the pelvis: joints or quaternions are mixed up"
    speed = np.abs(np.diff(motion.joint_pos, axis=0)).max() * motion.fps
    assert speed < 30.0, "joints jump: columns are mixed up"


def test_a_mirrored_video_is_shown_mirrored_and_upright():
    video = Video.load(case("15-mirrored-display-matrix/hflip.mp4"))
    assert any("mirrored" in note for note in video.notes)


def test_an_image_that_would_fill_the_memory(tmp_path):
    words = ["generate", "wave", "--image", str(case("17-huge-picture/huge40000.png")), "-o", str(tmp_path / "x.mp4")]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, BadInput)
    assert "huge40000.png" in str(done.exception)


def test_a_rate_that_the_file_does_not_state(tmp_path):
    path = case("13-csv-fps/fps120.csv")
    words = ["track", str(path), "--policy", "pd", "--json", "--fps", "120"]
    done = CliRunner().invoke(app, words)
    seconds = load_robot(path).duration * load_robot(path).fps / 120.0
    assert json.loads(done.stdout)["frames"] == pytest.approx(50.0 * seconds, abs=2)
