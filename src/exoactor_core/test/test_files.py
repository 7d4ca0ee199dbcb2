import json
import os
from threading import Thread

import pytest

from exoactor.run_folder import RunFolder
from exoactor_core.errors import BadInput
from exoactor_core.files import atomic_path, load_json, load_npz, load_yaml, save_json


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "report.json"
    save_json(path, {"a": 1})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="Cannot write"):
        save_json(tmp_path / "file" / "x.json", {})


@pytest.mark.parametrize("load", [load_json, load_npz, load_yaml])
def test_a_folder_instead_of_a_file_is_told(tmp_path, load):
    with pytest.raises(BadInput, match="is a folder: name the file in it"):
        load(tmp_path)
    with pytest.raises(BadInput, match=r"There is no file .*none"):
        load(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xd5\0\1")
    with pytest.raises(BadInput, match=r"bytes: it is not text|bytes is not a readable npz"):
        load(tmp_path / "bytes")


def test_a_pipe_is_a_file_that_can_be_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    Thread(target=(tmp_path / "pipe").write_text, args=['{"a": 1}'], daemon=True).start()
    assert load_json(tmp_path / "pipe") == {"a": 1}


def test_json_that_is_not_utf_8_is_not_guessed(tmp_path):
    (tmp_path / "latin.json").write_bytes('{"instruction": "à gauche"}'.encode("latin-1"))
    with pytest.raises(BadInput, match=r"latin\.json is not UTF-8"):
        load_json(tmp_path / "latin.json")


def test_run_folders_of_one_second_do_not_meet(tmp_path):
    folders = [RunFolder.create("Walk, then WAVE!", tmp_path) for _ in range(3)]
    assert len({f.path for f in folders}) == 3
    assert all("walk-then-wave" in f.path.name for f in folders)


def test_an_instruction_in_another_script_makes_a_folder(tmp_path):
    assert RunFolder.create("手を振る", tmp_path).path.is_dir()


def test_a_run_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="Cannot make a run folder"):
        RunFolder.create("wave", tmp_path / "file")
