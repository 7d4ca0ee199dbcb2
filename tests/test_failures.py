"""What a command does where it cannot write, where ROS 2's environment is wrong, and when a signal ends it.

Every command of the command line is tried against a full disk, a read-only folder, and an output whose name is taken.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from exoactor import cli
from exoactor_core.errors import BadInput
from exoactor_core.files import check_file, check_folder, save_or_rescue
from exoactor_core.motion import RobotMotion
from exoactor_core.scene import everyday, joined
from exoactor_core.video import Video
from exoactor_gen.mannequin.choreography import choreograph
from exoactor_gen.mannequin.language import parse

SMALL = [f"--set=generate.{option}" for option in ("width=64", "height=64", "fps=10")] + ["--set=judge.tries=0"]
VIDEO = Video.from_frames([np.full((32, 32, 3), 90, np.uint8)] * 5, 30)
CHECKS_ONLY = {"up", "send", "call", "doctor", "plan", "options"}
"""Commands that write no file of the user's; `send` does with --demo."""


@dataclass
class Example:
    """How a command is called."""

    words: list[str]
    """Arguments; {input} is a folder with inputs, {out} the one for outputs."""
    outputs: tuple[tuple[str, str], ...] = ()
    """Options that name an output, and a name for it; "" where it is no option."""
    folder: bool = False
    """The output is a folder."""


EXAMPLES = {
    "run": Example(["nod once", *SMALL], (("-o", "runs"),), folder=True),
    "generate": Example(["nod once", *SMALL], (("-o", "a.mp4"),)),
    "estimate": Example(["{input}/amass.npz"], (("-o", "a.npz"),)),
    "retarget": Example(["{input}/human.npz"], (("-o", "a.npz"),)),
    "track": Example(
        ["{input}/robot.npz", "--policy", "pd"], (("-o", "a.npz"), ("--report", "a.json"), ("--video", "a.mp4"))
    ),
    "correct": Example(["{input}/robot.npz", "--tries", "1"], (("-o", "a.npz"),)),
    "train-tracker": Example(["--hours", "0.001", "--samples", "1"], (("-o", "training"),), folder=True),
    "plan": Example(["nod once"]),
    "scene": Example(["{input}/scene.yaml"], (("-o", "a.yaml"), ("-o", "a.xml"))),
    "options": Example(["generate"]),
    "up": Example([]),
    "send": Example(["nod once"]),
    "call": Example(["stop"]),
    "show": Example(["{out}"], (("", "demo.mp4"),)),
    "doctor": Example([]),
}
"""Of every command: one that is missing here fails `test_every_command_is_tried`."""

WRITING = [
    pytest.param(name, option, file, id=f"{name} {option}".strip())
    for name, example in EXAMPLES.items()
    for option, file in example.outputs
]


def test_every_command_is_tried():
    commands = get_command(cli.app).commands
    assert set(commands) == set(EXAMPLES)
    assert {name for name, example in EXAMPLES.items() if not example.outputs} == CHECKS_ONLY
    for name, command in commands.items():
        options = {
            flag
            for option in command.params
            if option.name in ("output", "report", "video")
            for flag in option.opts
            if option.opts[0].startswith("-")
        }
        tried = {option for option, _ in EXAMPLES[name].outputs if option}
        assert tried <= options
        assert options - tried <= {"--output"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A person's motion, as ours and as AMASS has it, a robot's, and a scene."""
    folder, count = tmp_path_factory.mktemp("inputs"), 40
    choreograph(parse("nod once"), np.zeros(10)).save(folder / "human.npz")
    poses = np.zeros((count, 165))
    poses[:, 0] = np.pi / 2  # upright, in a world with z up
    np.savez(
        folder / "amass.npz",
        trans=np.tile([0.0, 0.0, 1.0], (count, 1)),
        poses=poses,
        betas=np.zeros(16),
        gender="neutral",
        surface_model_type="smplx",
        mocap_frame_rate=30.0,
    )
    upright = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    RobotMotion(50.0, np.tile([0.0, 0.0, 0.79], (count, 1)), upright, np.zeros((count, 29))).save(folder / "robot.npz")
    joined([everyday("table", pos=(1.0, 0.0, 0.0))]).save(folder / "scene.yaml")
    return folder


def mounted(folder, *options):
    """Whether a file system in memory could be mounted on the folder."""
    words = ["mount", "-t", "tmpfs", *options, "none", str(folder)]
    return os.geteuid() == 0 and subprocess.run(words, capture_output=True).returncode == 0


def unmount(folder):
    """Takes the file system off the folder; a spawned process may still have it as its working folder."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def full(tmp_path):
    """A function that fills the disk of the folder that it returns, given what it is to hold before."""
    folder, limits = tmp_path / "full", resource.getrlimit(resource.RLIMIT_FSIZE)
    folder.mkdir()
    on_disk = mounted(folder, "-o", "size=64k")
    VIDEO.save(folder / "video.mp4")
    if on_disk:
        with suppress(OSError), (folder / "rest").open("wb", buffering=0) as rest:
            while True:
                rest.write(bytes(4096))
    else:  # not allowed here: files that may not grow fail at the same places
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    if on_disk:
        unmount(folder)


@pytest.fixture
def read_only(tmp_path):
    """A folder that cannot be written, by root neither."""
    folder = tmp_path / "read_only"
    folder.mkdir()
    on_disk = mounted(folder, "-o", "size=64k")
    VIDEO.save(folder / "video.mp4")
    if on_disk:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    elif os.geteuid() == 0:
        pytest.skip("root may write everywhere, and no file system can be mounted read-only here")
    else:
        folder.chmod(0o555)
    yield folder
    if on_disk:
        unmount(folder)
    else:
        folder.chmod(0o755)


@pytest.fixture
def command(monkeypatch, capsys, inputs):
    """Calls the command line in a folder, which is HOME, too; returns the exit code and the two outputs."""

    def call(folder, name, *outputs):
        for variable in ("ROS_LOG_DIR", "ROS_HOME"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("HOME", str(folder))
        monkeypatch.chdir(folder)
        words = [word.format(input=inputs, out=folder) for word in EXAMPLES[name].words]
        as_json = [] if name == "up" else ["--json"]
        monkeypatch.setattr(sys, "argv", ["exoactor", name, *words, *map(str, outputs), *as_json])
        with pytest.raises(SystemExit) as done:
            cli.main()
        said = capsys.readouterr()
        return done.value.code, said.out, said.err

    return call


def refused(answer, words):
    """See that a command failed with one sentence, and that a program reads the same; returns the sentence."""
    code, out, err = answer
    assert code in (2, 3), err
    assert "Traceback" not in err
    assert "Internal error" not in err
    sentence = err.strip().splitlines()[-1]
    assert sentence.startswith("exoactor: ")
    assert words in sentence
    if out:
        value = json.loads(out)  # one object and nothing else
        assert (value["error"], value["exit_code"]) == (sentence.removeprefix("exoactor: "), code)
    return sentence


@pytest.fixture
def no_work(monkeypatch):
    """Fails where a stage is loaded: what can be seen before the work is to be seen before it."""

    def load(self, stage):
        raise AssertionError(f"{stage} was loaded")

    monkeypatch.setattr(cli.Backends, "load", load)


@pytest.mark.parametrize(("name", "option", "file"), WRITING)
def test_a_full_disk(name, option, file, full, command):
    answer = command(full, name, *([option, full / file] if option else []))
    sentence = refused(answer, "Cannot write")
    assert any(reason in sentence for reason in ("No space left on device", "File too large"))
    assert answer[1], "nothing for a program"
    if name in ("estimate", "retarget", "track", "correct") and os.path.ismount(full):
        kept = Path(sentence.partition(" It is kept in ")[2].removesuffix(" instead."))
        assert kept.name == file
        assert kept.stat().st_size > 100
    assert set(os.listdir(full)) <= {"rest", "video.mp4", "runs", "training", ".cache"}, "a temporary file is left"


@pytest.mark.parametrize(("name", "option", "file"), WRITING)
def test_a_read_only_folder(name, option, file, read_only, command, no_work):
    refused(command(read_only, name, *([option, read_only / file] if option else [])), "is read-only")
    if option:
        refused(command(read_only, name, option, read_only / "new" / file), "is read-only")


@pytest.mark.parametrize(("name", "option", "file"), WRITING)
def test_an_output_whose_name_is_taken(name, option, file, tmp_path, command, no_work):
    VIDEO.save(tmp_path / "video.mp4")
    if EXAMPLES[name].folder:
        (tmp_path / file).touch()
        words = "is not a folder"
    else:
        (tmp_path / file).mkdir()
        words = "is a folder" if name != "retarget" else "There may be"
    if name == "retarget":
        pytest.skip("a folder is what retarget takes, too")
    refused(command(tmp_path, name, *([option, tmp_path / file] if option else [])), words)


@pytest.mark.parametrize(("name", "option", "file"), WRITING)
def test_the_ending_of_an_output(name, option, file, tmp_path, command, no_work):
    if EXAMPLES[name].folder or not option:
        pytest.skip("a folder has no ending")
    refused(command(tmp_path, name, option, tmp_path / "a.wrong"), "its name must end in")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["send", "call", "up"])
def test_no_place_for_the_log_of_ros(name, read_only, command):
    refused(command(read_only, name), "Set ROS_LOG_DIR")


def test_doctor_needs_no_place(read_only, command):
    code, out, _ = command(read_only, "doctor")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert "ROS_LOG_DIR" in checks["ROS 2 (up, send, call)"]["detail"]
    assert code == 0


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [("RMW_IMPLEMENTATION", "rmw_absent_cpp", 3), ("ROS_DOMAIN_ID", "abc", 2), ("ROS_DOMAIN_ID", "500", 2)],
)
def test_an_environment_with_which_ros_ends_the_process(variable, value, code, tmp_path):
    environment = {**os.environ, variable: value, "ROS_LOG_DIR": str(tmp_path)}
    programs = (
        ["exoactor_core.entry", "exoactor_gen.node"],
        ["exoactor.cli", "up"],
        ["exoactor.cli", "send", "wave", "--json"],
        ["exoactor_core.entry", "exoactor_sim.simulator", "--ros-args"],
    )
    for words in programs:
        done = subprocess.run([sys.executable, "-m", *words], env=environment, capture_output=True, text=True)
        assert done.returncode == code, words
        assert f"{variable} is" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not done.stdout or json.loads(done.stdout)["exit_code"] == code
    done = subprocess.run(
        [sys.executable, "-m", "exoactor.cli", "doctor", "--json"], env=environment, capture_output=True, text=True
    )
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert f"{variable} is" in checks["ROS 2 (up, send, call)"]["detail"]


def test_keys_of_ros_that_are_missing_are_no_bug(tmp_path):
    keys = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce", "ROS_SECURITY_KEYSTORE": str(tmp_path)}
    programs = (
        ["exoactor_core.entry", "exoactor_gen.node"],
        ["exoactor.cli", "call", "stop"],
        ["exoactor_core.entry", "exoactor_sim.simulator", "--ros-args"],
    )
    for words in programs:
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, env={**os.environ, **keys}, capture_output=True, text=True)
        assert done.returncode == 3, words
        assert "ROS's middleware cannot make a node" in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["up"], ["send", "wave"], ["call", "stop"]], ids=" ".join)
def test_without_ros(words, tmp_path):
    (tmp_path / "rclpy.py").write_text("raise ImportError('No module named rclpy')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "exoactor.cli", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr.startswith("exoactor: ROS 2 is not importable here (No module named rclpy)")
    assert len(done.stderr.splitlines()) == 1


def test_json_is_all_that_gets_to_standard_output(tmp_path):
    noisy = "cli.Backends.load = lambda *_: (print('a'), os.system('echo b'), 1/0)"
    words = ["exoactor", "generate", "nod", "--json", "-o", str(tmp_path / "a.mp4")]
    call = f"import os, sys; from exoactor import cli; {noisy}; sys.argv = {words}; cli.main()"
    for code, words in ((1, ["-c", call]), (2, ["-m", "exoactor.cli", "generate", "--json", "--no-such-option"])):
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
        assert done.returncode == code
        assert set(json.loads(done.stdout)) == {"error", "exit_code"}


def test_standard_output_on_a_full_disk():
    with Path("/dev/full").open("w") as out:
        words = [sys.executable, "-m", "exoactor.cli", "doctor", "--json"]
        done = subprocess.run(words, stdout=out, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == "exoactor: No space left on device."


def test_a_video_that_does_not_fit_into_the_run_folder_is_kept(full):
    with pytest.raises(BadInput, match="It is kept in"):
        save_or_rescue(VIDEO.save, full / "a.mp4") if os.path.ismount(full) else pytest.skip("no disk of its own")


def test_outputs_that_cannot_be_written(tmp_path):
    assert check_file(tmp_path / "new" / "a.mp4", ".mp4")
    assert check_folder(tmp_path / "new" / "newer")
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "file" / "a.mp4", tmp_path / "pipe.mp4", tmp_path / ".mp4", tmp_path / "a"):
        with pytest.raises(BadInput, match="Cannot write"):
            check_file(path, ".mp4")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [["exoactor.cli", "doctor"], ["exoactor_gen.node"], ["exoactor_sim.simulator"]])
def test_a_signal_while_modules_load(words, how, tmp_path):
    """At many moments from the start on: no traceback, and the exit code of what was interrupted."""
    module, *arguments = words
    start = f"from exoactor_core.entry import run; run({module!r}, ros={module != 'exoactor.cli'})"
    environment = {**os.environ, "ROS_LOG_DIR": str(tmp_path)}
    for moment in np.linspace(0.05, 1.5, 12):
        ready, says = os.pipe()
        code = f"import os; os.write({says}, b'.'); {start}"  # Python itself has no handler before
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            pass_fds=[says],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(says)
        os.read(ready, 1)
        os.close(ready)
        time.sleep(moment)
        process.send_signal(how)
        _, said = process.communicate(timeout=60)
        assert "Traceback" not in said, f"after {moment:.2f} s: {said}"
        assert process.returncode in ((130, 0) if module == "exoactor.cli" else (0,)), said
