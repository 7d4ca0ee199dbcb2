"""The worked example of a backend: installed as a package of its own, found by its entry point."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exoactor_core.video import Video

EXAMPLE = Path(__file__).parents[1] / "examples" / "clip_library"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Environment variables with which Python finds the installed example."""
    folder = tmp_path_factory.mktemp("example")
    source = shutil.copytree(EXAMPLE, folder / "source")  # setuptools builds beside the sources
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*install, folder / "site", source], check=True, timeout=120)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")])}


def generate(environment, *words):
    command = [sys.executable, "-m", "exoactor.cli", "generate", *words, "--generator", "clip_library"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_the_clip_is_taken_by_its_name(environment, tmp_path):
    for level, name in ((0, "walk_forward"), (200, "wave_right_hand")):
        frames = (np.full((16, 16, 3), level, np.uint8) for _ in range(3))
        Video.from_frames(frames, 30.0).save(tmp_path / f"{name}.mp4")
    output = tmp_path / "out" / "video.mp4"
    output.parent.mkdir()
    folder = ("--set", f"generate.folder={tmp_path}")
    done = generate(environment, "wave with your right hand", *folder, "-o", str(output), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["clip"] == "wave_right_hand.mp4"
    assert output.read_bytes() == (tmp_path / "wave_right_hand.mp4").read_bytes()
    assert generate(environment, "jump", *folder).returncode == 2


def test_its_options_are_checked_like_those_of_the_others(environment, tmp_path):
    done = generate(environment, "wave", "--set", "generate.colour=red")
    assert done.returncode == 2
    assert "has no option 'colour': it has folder" in done.stderr
