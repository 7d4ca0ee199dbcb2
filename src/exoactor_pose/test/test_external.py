import os
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from exoactor_core.errors import BadInput, Cancelled, Missing, Refused
from exoactor_core.stages import load_backend
from exoactor_core.video import Video
from exoactor_pose.external import ExternalEstimator
from processes import alive

VIDEO = Video.from_frames([np.zeros((48, 64, 3), np.uint8)] * 25, 25.0)

# Stands for a research estimator: writes progress as tqdm does, and an AMASS npz without a frame rate.
PROGRAM = """
import os, subprocess, sys, time
import numpy as np
video, output, what = sys.argv[1:4]
assert os.path.getsize(video) > 0 and os.path.isdir(output)
print("loading", flush=True)
for k in range(3):
    print(f"\\r{k + 1}/3", end="", flush=True)
    time.sleep(0.15)
print()
if what == "fail":
    print("\\x1b[31mCUDA out of memory\\x1b[0m", file=sys.stderr)
    sys.exit(3)
if what in ("hang", "stubborn"):
    import signal
    if what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open(os.path.join(output, "pids"), "w").write(f"{os.getpid()} {child.pid}")
    print("waiting for nothing", flush=True)
    time.sleep(60)
if what == "leave":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open(os.path.join(output, "pids"), "w").write(str(child.pid))
if what != "nothing":
    folder = os.path.join(output, "results", os.path.basename(video)[:-4])
    os.makedirs(folder)
    frames = 25
    poses = np.zeros((frames, 156))
    poses[:, 0] = np.pi / 2
    np.savez(os.path.join(folder, "motion.npz"), poses=poses, trans=np.zeros((frames, 3)), betas=np.zeros(10))
    print(sorted(name for name in os.environ if name.startswith("T_")), flush=True)
    print("saved", os.environ.get("PYTHONPATH", ""), flush=True)
"""


@pytest.fixture
def estimator(tmp_path):
    program = tmp_path / "an estimator.py"  # a space, which only a split as a shell's keeps together
    program.write_text(PROGRAM)

    def make(what="work", **options):
        command = f"{shlex.quote(sys.executable)} '{program}' {{video}} {{output}} {what}"
        return ExternalEstimator(**{"command": command, "logs": str(tmp_path / "logs"), **options})

    return make


def pids(tmp_path):
    return [int(pid) for path in tmp_path.rglob("pids") for pid in path.read_text().split()]


def all_gone(tmp_path):
    """Whether every process has died; on a busy machine a killed one lives on for a moment."""
    limit = time.monotonic() + 5.0
    while any(map(alive, pids(tmp_path))) and time.monotonic() < limit:
        time.sleep(0.02)
    return not any(map(alive, pids(tmp_path)))


def test_result_progress_and_log(estimator, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    for name in (
        "OPENAI_API_KEY",
        "FAL_KEY",
        "REPLICATE_API_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "db_password",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "TOKENIZERS_PARALLELISM",
        "KEYBOARD",
        "MONKEY",
    ):
        monkeypatch.setenv(f"T_{name}", "x")
    told = []
    estimate = estimator()(VIDEO, lambda share, text: told.append((share, text)))
    assert (estimate.motion.fps, len(estimate.motion)) == (25.0, 25)  # the video's rate
    assert estimate.metrics["source"] == "AMASS"
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert any(text.endswith("/3") for _, text in told)
    log = Path(estimate.metrics["log"])
    assert log.read_text().startswith("loading")
    assert "['T_KEYBOARD', 'T_MONKEY', 'T_TOKENIZERS_PARALLELISM']\n" in log.read_text()  # no keys among them
    assert log.read_text().endswith("saved \n")  # our PYTHONPATH is not the other environment's
    assert not list(log.parent.glob("*.mp4"))


def test_a_pattern_chooses_the_result(estimator):
    assert len(estimator(result="{output}/results/{name}/*.npz")(VIDEO).motion) == 25
    with pytest.raises(
        Refused, match=r"left no result: nothing matches .*\.pt; its last line was 'saved'\. Its log: /"
    ):
        estimator(result="{output}/*.pt")(VIDEO)
    with pytest.raises(Refused, match="its last line was '3/3'"):
        estimator("nothing")(VIDEO)


def test_a_result_of_another_run_is_not_taken(estimator, tmp_path):
    old = tmp_path / "old.npz"
    np.savez(old, poses=np.zeros((2, 156)), trans=np.zeros((2, 3)))
    os.utime(old, (time.time() - 60,) * 2)
    with pytest.raises(Refused, match="is older than this run"):
        estimator("nothing", result=str(old))(VIDEO)
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(Refused, match=r"is none that can be read \(understood are GVHMR"):
        estimator("nothing", result=str(tmp_path / "a.txt"))(VIDEO)


def test_failure_is_one_sentence_with_the_last_line(estimator):
    with pytest.raises(
        Refused, match=r"failed with exit code 3; its last line was 'CUDA out of memory'\. Its log: /.*txt\."
    ):
        estimator("fail")(VIDEO)


@pytest.mark.parametrize("what", ["hang", "stubborn"])
def test_cancel_ends_the_whole_group(estimator, tmp_path, what):
    asked = []

    def cancel(share, text):
        if "waiting" in text:
            asked.append(time.monotonic())
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        estimator(what)(VIDEO, cancel)
    assert time.monotonic() - asked[0] < 4.0  # 0.5 s of grace; a busy machine adds to it
    assert len(pids(tmp_path)) == 2
    assert all_gone(tmp_path)


def test_time_out(estimator, tmp_path):
    with pytest.raises(
        Refused, match=r"ended after 2 s \(its option timeout\); its last line was 'waiting for nothing'"
    ):
        estimator("hang", timeout=2.0)(VIDEO)
    assert all_gone(tmp_path)


def test_what_the_command_leaves_running_is_ended(estimator, tmp_path):
    estimator("leave")(VIDEO)
    assert len(pids(tmp_path)) == 1
    assert all_gone(tmp_path)


def test_no_shell_reads_the_command(tmp_path):
    mark = tmp_path / "ran"
    echo = ExternalEstimator(
        command=f"echo {{video}} ; touch {mark} && $(touch {mark}) | `touch {mark}`", logs=str(tmp_path)
    )
    with pytest.raises(Refused, match="left no result"):
        echo(VIDEO)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "has no command"),
        ({"command": "run 'it {video}"}, "cannot be split"),
        ({"command": "run it"}, r"does not name \{video\}"),
        ({"command": "run {video} {gpu}"}, "'{gpu}' is not one of the placeholders"),
        ({"command": "run {video}", "result": "{here}/*.pt"}, "'{here}' is not one"),
        ({"command": "run {video}", "timeout": -1.0}, "timeout is -1.0"),
        ({"command": "run {video}", "folder": "/no/such"}, "no folder /no/such"),
    ],
)
def test_bad_options(options, match):
    with pytest.raises(BadInput, match=match):
        load_backend("estimate", "external", **options)


def test_a_command_that_is_not_there(tmp_path):
    with pytest.raises(Missing, match="command '/no/such/conda' is not found"):
        ExternalEstimator(command="/no/such/conda run {video}", logs=str(tmp_path))(VIDEO)


@pytest.mark.ros
def test_the_node_runs_and_cancels_it(estimator, tmp_path):
    pytest.importorskip("exoactor_interfaces.action")
    from exoactor_interfaces.action import EstimateMotion
    from rclpy.parameter import Parameter

    from exoactor_pose.node import PoseNode
    from exoactor_ros.conversions import human_from_message, video_to_message
    from ros_testing import Caller, finished, spinning, until

    command = f"{shlex.quote(sys.executable)} '{tmp_path / 'an estimator.py'}' {{video}} {{output}}"
    settings = {"backend": "external", "external.logs": str(tmp_path / "logs"), "external.timeout": 60}

    def node(kind):
        values = settings | {"external.command": f"{command} {kind}"}
        return lambda **o: PoseNode(parameter_overrides=[Parameter(k, value=v) for k, v in values.items()], **o)

    goal = EstimateMotion.Goal(video=video_to_message(VIDEO))
    with spinning(node("work")) as (_, tester):
        done = Caller(tester, EstimateMotion, "estimate_motion").result(goal)
        assert done.error_code == 0, done.error_msg
        assert len(human_from_message(done.motion)) == 25
    with spinning(node("hang")) as (_, tester):
        caller = Caller(tester, EstimateMotion, "estimate_motion")
        handle = caller.send(goal)
        until(lambda: any("waiting" in feedback.text for feedback in caller.feedback))
        finished(handle.cancel_goal_async())
        assert finished(handle.get_result_async()).result.error_code == 305
    assert all_gone(tmp_path)
