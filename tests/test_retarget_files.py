"""Retargeting from files to files: people of all sizes, other tools' formats, folders."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from exoactor import batch, cli
from exoactor_core import robot
from exoactor_core.bvh import load_bvh
from exoactor_core.errors import BadInput, Cancelled
from exoactor_core.formats import ROBOT_FORMATS, load_robot
from exoactor_core.motion import HumanMotion
from exoactor_core.stages import load_backend
from exoactor_gen.mannequin.choreography import choreograph
from exoactor_gen.mannequin.language import parse
from exoactor_pose.importers import load_human
from processes import alive

DATA = Path(os.environ.get("EXOACTOR_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TASK = "take two steps forward"


@pytest.fixture(scope="module")
def retarget():
    return load_backend("retarget", "trajectory_ik")


def person(stature=1.70):
    """Someone of that stature who takes two steps; a unit of the neutral body's first coefficient is 6 % of 1.70 m."""
    betas = np.zeros(10)
    betas[0] = (stature / 1.70 - 1.0) / 0.06
    return choreograph(parse(TASK), betas)


def write_bvh(path, stature, unit, up="y"):
    """Someone of that stature who squats on flat feet, arms hanging; as CMU and Mixamo name joints."""
    s = stature / unit
    tree = (
        "Hips",
        (0, 0.53, 0),
        [
            (
                "Spine",
                (0, 0.1, 0),
                [
                    ("Neck", (0, 0.2, 0), [("Head", (0, 0.06, 0), [])]),
                    *(
                        (
                            f"{side}Arm",
                            (x * 0.11, 0.18, 0),
                            [(f"{side}ForeArm", (0, -0.186, 0), [(f"{side}Hand", (0, -0.146, 0), [])])],
                        )
                        for side, x in (("Left", 1), ("Right", -1))
                    ),
                ],
            ),
            *(
                (
                    f"{side}UpLeg",
                    (x * 0.05, 0, 0),
                    [
                        (
                            f"{side}Leg",
                            (0, -0.245, 0),
                            [(f"{side}Foot", (0, -0.246, 0), [(f"{side}ToeBase", (0, -0.03, 0.08), [])])],
                        )
                    ],
                )
                for side, x in (("Left", 1), ("Right", -1))
            ),
        ],
    )
    order, lines = [], ["HIERARCHY"]

    def turned(v):
        return v if up == "y" else (v[0], -v[2], v[1])

    def write(node, depth):
        name, offset, children = node
        pad = "  " * depth
        order.append(name)
        lines.append(f"{pad}{'ROOT' if depth == 0 else 'JOINT'} {name}")
        at = (0, 0, 0) if depth == 0 else turned(offset)
        channels = "6 Xposition Yposition Zposition" if depth == 0 else "3"
        lines.extend(
            [
                f"{pad}{{",
                f"{pad}  OFFSET " + " ".join(f"{s * c:.6f}" for c in at),
                f"{pad}  CHANNELS {channels} Zrotation Xrotation Yrotation",
            ]
        )
        for child in children:
            write(child, depth + 1)
        if not children:
            end = " ".join(f"{s * c:.6f}" for c in turned((0, 0.05, 0.02)))
            lines.extend([f"{pad}  End Site", f"{pad}  {{", f"{pad}    OFFSET {end}", f"{pad}  }}"])
        lines.append(f"{pad}}}")

    write(tree, 0)
    frames = 40
    lines += ["MOTION", f"Frames: {frames}", f"Frame Time: {1 / 30:.6f}"]
    for t in range(frames):
        bend = 40 * np.sin(np.pi * t / (frames - 1)) ** 2  # degrees
        sink = 0.491 * (1 - np.cos(np.radians(bend)))
        row = [s * c for c in turned((0, 0.53 - sink, 0))]
        for name in order:
            about_x = {"UpLeg": -bend, "Leg": 2 * bend, "Foot": -bend}.get(
                name.removeprefix("Left").removeprefix("Right"), 0
            )
            row += [0, about_x, 0]
        lines.append(" ".join(f"{v:.6f}" for v in row))
    path.write_text("\n".join(lines) + "\n")


def assert_feet_on_the_floor(motion):
    soles, contact = robot.sole_points(motion), motion.contacts > 0.5
    assert contact.any(axis=1).mean() > 0.9  # one foot or the other
    assert np.abs(soles[..., 2][contact]).max() < 0.002
    assert soles[..., 2].min() > -0.002
    assert np.abs(motion.root_pos[0, 2] - robot.STANDING_HEIGHT) < 0.03


@pytest.mark.parametrize("stature", [1.2, 2.1])
def test_people_of_all_sizes_stand_on_the_floor(retarget, stature):
    human = person(stature)
    motion = retarget(human).motion
    assert_feet_on_the_floor(motion)
    ratio = 0.624 / (0.491 * stature)  # of the legs, hip to ankle: the path goes with it
    assert np.ptp(motion.root_pos[:, 0]) == pytest.approx(ratio * np.ptp(human.transl[:, 0]), rel=0.03)


@pytest.mark.parametrize(("stature", "unit", "up"), [(1.2, 0.01, "y"), (2.1, 1.0, "z")])
def test_bvh_of_all_sizes_stand_on_the_floor(tmp_path, retarget, stature, unit, up):
    write_bvh(tmp_path / "squat.bvh", stature, unit, up)
    motion = retarget(load_bvh(tmp_path / "squat.bvh")).motion
    assert_feet_on_the_floor(motion)
    knees = motion.joint_pos[:, [3, 9]]
    assert (np.ptp(knees, axis=0) > 0.6).all()
    assert np.abs(knees[:, 0] - knees[:, 1]).max() < 0.05


@pytest.mark.parametrize("name", ["bvh_example", "bvh_test2"])
def test_bvh_of_others(retarget, name):
    path = DATA / "human" / f"{name}.bvh"
    if not path.is_file():
        pytest.skip(f"no test data at {path}")
    motion = retarget(load_human(path)).motion
    soles, contact = robot.sole_points(motion), motion.contacts > 0.5
    assert contact.any(axis=1).mean() > 0.9
    height = np.abs(soles[..., 2][contact])
    assert np.quantile(height, 0.95) < 0.002  # one of them runs and turns
    assert height.max() < 0.012


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["exoactor", "retarget", *(str(a) for a in arguments)])
    try:
        cli.main()
    except SystemExit as done:
        return int(done.code or 0), capsys.readouterr()
    return 0, capsys.readouterr()


def test_a_folder_goes_on_after_a_bad_file(tmp_path, monkeypatch, capsys):
    inside = tmp_path / "in"
    person().save(inside / "a" / "walk.npz")
    person().save(inside / "walk.npz")
    write_bvh(inside / "squat.bvh", 1.7, 0.01)
    (inside / "broken.npz").write_bytes(b"nothing")
    (inside / "notes.txt").write_text("not a motion")
    code, out = run(monkeypatch, capsys, inside, "-o", tmp_path / "out", "--format", "csv", "--jobs", 2, "--json")
    assert code == 2
    assert "1 of 4 motions could not be retargeted" in out.err
    assert "broken.npz is not a motion that can be read" in out.err
    report = json.loads(out.out)
    assert [Path(p).name for p in report["failed"]] == ["broken.npz"]
    written = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert written == ["a/walk.csv", "squat.csv", "walk.csv"]
    assert sorted(Path(p).relative_to(tmp_path / "out").as_posix() for p in report["motions"]) == written
    # As one file alone.
    code, _ = run(monkeypatch, capsys, inside / "walk.npz", "-o", tmp_path / "alone.csv", "--format", "csv")
    assert code == 0
    assert (tmp_path / "alone.csv").read_bytes() == (tmp_path / "out" / "walk.csv").read_bytes()


@pytest.mark.parametrize("name", ["a.npz", "a.pkl", "a.csv", "a.beyondmimic.npz"])
def test_one_file_in_each_format(tmp_path, monkeypatch, capsys, retarget, name):
    person().save(tmp_path / "human.npz")
    code, _ = run(monkeypatch, capsys, tmp_path / "human.npz", "-o", tmp_path / name)
    assert code == 0
    wanted, got = retarget(HumanMotion.load(tmp_path / "human.npz")).motion, load_robot(tmp_path / name)
    assert got.duration == pytest.approx(wanted.duration, abs=1 / 30)
    np.testing.assert_allclose(got.joint_pos[0], wanted.joint_pos[0], atol=1e-6)
    np.testing.assert_allclose(got.root_pos[0], wanted.root_pos[0], atol=1e-6)


def test_plan_refuses_what_would_lose_files(tmp_path):
    for name in ("a.npz", "a.bvh", "b/a.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    out = tmp_path / "out"
    both = [tmp_path / "a.npz", tmp_path / "b" / "a.npz"]
    with pytest.raises(BadInput, match="would both become"):
        batch.plan(both, out, "npz")
    with pytest.raises(BadInput, match="would both become"):
        batch.plan([tmp_path], out, "npz")
    with pytest.raises(BadInput, match="would be overwritten"):
        batch.plan([tmp_path / "b"], tmp_path / "b", "npz")
    assert batch.plan([tmp_path / "b"], tmp_path / "b", "gmr") == {tmp_path / "b" / "a.npz": tmp_path / "b" / "a.pkl"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"no \.npz or \.bvh"):
        batch.plan([tmp_path / "empty"], out, "npz")
    assert set(ROBOT_FORMATS) == {"npz", "gmr", "csv", "beyondmimic"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.npz", "b.npz", "-o", "c.npz"], "name a folder with -o"),
        ([".", "-o", "c.npz"], "name a folder with -o"),
        (["a.npz", "--format", "bvh"], "is not one of npz"),
        (["a.npz", "--format", "csv", "-o", "c.npz"], "its name must end in .csv"),
    ],
)
def test_bad_arguments(monkeypatch, capsys, arguments, words):
    code, out = run(monkeypatch, capsys, *arguments)
    assert code == 2
    assert words in out.err


def test_options_are_refused_once(tmp_path, monkeypatch, capsys):
    person().save(tmp_path / "a.npz")
    code, out = run(monkeypatch, capsys, tmp_path, "-o", tmp_path / "out", "--set", "retarget.fps=1")
    assert code == 2
    assert out.err.count("fps is '1'") == 1
    assert not (tmp_path / "out").exists()


def in_a_process(tmp_path):
    """The command with two workers, its folder, and the file that lists its processes."""
    for k in range(30):
        person().save(tmp_path / "in" / f"{k}.npz")
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "exoactor.cli", "retarget", str(tmp_path / "in"), "-o", str(out), "--jobs", "2"],
        start_new_session=True,  # Ctrl-C goes to every process of a terminal's foreground group
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, out, Path(f"/proc/{process.pid}/task/{process.pid}/children")


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)


@pytest.mark.parametrize("early", [True, False])
def test_ctrl_c_leaves_no_half_files(early, tmp_path):
    process, out, children = in_a_process(tmp_path)

    def ready():
        """Early: the processes have just been born; else one file is done."""
        return len(children.read_text().split()) > 2 if early else list(out.glob("[0-9]*.npz"))

    wait_until(ready)
    time.sleep(0.2 * early)  # until they hear
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == Cancelled.exit_code
    assert "Stopped:" in told
    assert "Traceback" not in told
    files = list(out.iterdir()) if out.exists() else []
    assert (0 if early else 1) <= len(files) < 30
    assert all(len(load_robot(path)) > 50 for path in files)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_worker_outlives_the_command(how, tmp_path):
    if how != signal.SIGKILL and signal.getsignal(how) == signal.SIG_IGN:
        pytest.skip("the signal is ignored here, as under nohup, and so by what is started")
    process, out, children = in_a_process(tmp_path)
    wait_until(lambda: list(out.glob("[0-9]*.npz")))
    workers = children.read_text().split()
    assert len(workers) > 2
    process.send_signal(how)
    _, told = process.communicate(timeout=60)
    wait_until(lambda: not any(alive(pid) for pid in workers))
    assert not any(alive(pid) for pid in workers)
    assert len(list(out.glob("[0-9]*.npz"))) < 30
    if how != signal.SIGKILL:
        assert process.returncode == Cancelled.exit_code
        assert "Stopped:" in told
        assert "Traceback" not in told
