"""The default pipeline runs without what `make extras` installs, and what needs it says so."""

import subprocess
import sys
from pathlib import Path

import pytest

import exoactor
from exoactor_core.robot import standing_motion

EXTRAS = ("torch", "transformers", "diffusers", "accelerate", "ftfy", "regex", "onnx", "smplx", "joblib")
WITHOUT_EXTRAS = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS}:
            raise ImportError(f"No module named '{{name}}'")

sys.meta_path.insert(0, Blocked())
from exoactor.cli import main
sys.argv[0] = "exoactor"
main()
"""


def command(*words):
    return subprocess.run([sys.executable, "-c", WITHOUT_EXTRAS, *words], capture_output=True, text=True, timeout=300)


def test_the_list_is_that_of_the_requirements():
    requirements = Path(exoactor.__file__).parents[3] / "scripts/requirements.txt"
    names = {line.partition("#")[0].strip().rstrip("<>=0123456789.,") for line in requirements.read_text().splitlines()}
    assert not names & set(EXTRAS)


def test_doctor_is_content():
    done = command("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "make extras" in done.stdout


@pytest.fixture
def files(tmp_path):
    """Inputs that only torch reads, and a motion to track."""
    torch = pytest.importorskip("torch")
    standing_motion(0.5).save(tmp_path / "motion.npz")
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "policy.pt")
    torch.save({"smpl_params_global": {"body_pose": torch.zeros(2, 63)}}, tmp_path / "hmr4d_results.pt")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        ("generate wave --generator diffusers", "torch"),
        ("generate wave --generator kling --set generate.planner=local --set generate.planner_model=x", "regex"),
        ("train-tracker -o out", "onnx"),
        ("track motion.npz --policy policy.pt", "torch"),
        ("estimate hmr4d_results.pt", "torch"),
    ],
)
def test_what_needs_them_says_so(words, needs, files, monkeypatch):
    monkeypatch.chdir(files)
    monkeypatch.setenv("KLING_API_KEY", "none")
    done = command(*words.split())
    assert done.returncode == 3, done.stdout + done.stderr
    assert needs in done.stderr
    assert "make extras" in done.stderr


@pytest.mark.slow
def test_the_default_pipeline_runs(tmp_path):
    done = command("run", "wave", "-o", str(tmp_path), "--no-demo")
    assert done.returncode == 0, done.stdout + done.stderr
