"""Commands that need no other package's data."""

import pytest
from typer.testing import CliRunner

from exoactor.cli import app
from exoactor_core.errors import BadInput
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


@pytest.mark.parametrize(
    ("words", "said"), [(["nowhere.xml"], "no scene nowhere.xml"), (["a.yaml", "-o", "a.json"], "end in .yaml or .xml")]
)
def test_a_scene_that_cannot_be_converted_is_refused(words, said):
    result = CliRunner().invoke(app, ["scene", *words])
    assert isinstance(result.exception, BadInput)
    assert said in str(result.exception)
