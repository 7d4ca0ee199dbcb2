"""Commands that need no other package's data."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from exoactor import console
from exoactor.cli import app
from exoactor_core.errors import BadInput, TrackingFailed
from exoactor_core.robot import standing_motion
from exoactor_core.scene import everyday, joined


def test_a_scene_is_checked_and_converted(tmp_path):
    table = everyday("table", pos=(1, 0, 0))
    room = joined([table, everyday("cup", pos=(0.8, 0, table.bounds[1][2]))])
    room.save(tmp_path / "a.yaml")
    for source, target in (("a.yaml", "b.xml"), ("b.xml", "c.yaml")):
        result = CliRunner().invoke(app, ["scene", str(tmp_path / source), "-o", str(tmp_path / target)])
        assert result.exit_code == 0, result.exception
        assert "cup" in result.stdout
    assert (tmp_path / "b.xml").read_text().startswith("<mujoco")
    assert "category: cup" in (tmp_path / "c.yaml").read_text()


def test_a_log_gets_a_line_of_progress_a_minute(capsys, monkeypatch):
    times = iter([0.0, 30.0, 61.0, 61.0, 62.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(times))
    with console.progress_bars() as bars:
        line = bars("train")
        line(0.1, "soon")
        line(0.2, "3 of 9 motions")
        line(0.3, "again")
    assert capsys.readouterr().err.splitlines() == ["train ...", "train 20% 3 of 9 motions"]
    with console.progress_bars(quiet=True) as bars:
        bars("train")(0.5, "nothing")
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"), [(["nowhere.xml"], "no scene nowhere.xml"), (["a.yaml", "-o", "a.json"], "end in .yaml or .xml")]
)
def test_a_scene_that_cannot_be_converted_is_refused(words, said):
    result = CliRunner().invoke(app, ["scene", *words])
    assert isinstance(result.exception, BadInput)
    assert said in str(result.exception)


def test_a_motion_at_which_the_tracker_fails_may_have_a_correction(tmp_path):
    still = standing_motion(1.0)
    yaw = 9.0 * np.arange(len(still)) / still.fps
    spinning = Rotation.from_euler("z", yaw[:, None]).as_quat(scalar_first=True)
    replace(still, root_quat_wxyz=spinning).save(path := tmp_path / "spin.npz")
    words = ["track", str(path), "-s", "track.outer_loop=closed", "-s", "track.min_pace=1"]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, TrackingFailed)
    assert f"'exoactor correct {path}' searches" in str(done.exception)
