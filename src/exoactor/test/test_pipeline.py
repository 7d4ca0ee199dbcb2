"""The pipeline and the command line, with stand-in stages: the real ones have tests of their own."""

import json
from dataclasses import replace

import numpy as np
import pytest

from exoactor import cli, inputs
from exoactor.console import print_metrics, print_report, report_lines
from exoactor.pipeline import InProcessStages, Pipeline, Report, Task
from exoactor.run_folder import RunFolder
from exoactor_core.contacts import Contact
from exoactor_core.errors import BadInput, Refused, TrackingFailed
from exoactor_core.interaction import Interaction
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_core.stages import (
    Estimate,
    GenerateRequest,
    Generation,
    Retargeting,
    Tracking,
    backend_class,
    no_progress,
)
from exoactor_core.video import Video

VIDEO = Video.from_frames((np.zeros((16, 16, 3), np.uint8) for _ in range(3)), 30.0)
HUMAN = HumanMotion(30.0, np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 63)), np.zeros(10))
ROBOT = RobotMotion(50.0, np.zeros((3, 3)), np.tile([1.0, 0, 0, 0], (3, 1)), np.zeros((3, 29)))


def stage_outputs(success=True):
    return {
        "generate": Generation(VIDEO, HUMAN, image=np.full((16, 16, 3), (200, 0, 9), np.uint8)),
        "estimate": Estimate(HUMAN, np.zeros((3, 33, 3))),
        "retarget": Retargeting(ROBOT),
        "track": Tracking(ROBOT, {"success": success, "reason": "" if success else "the G1 fell"}),
    }


def loader(outputs):
    def load(stage):
        def backend(value, progress, **options):
            wanted = {
                "generate": {"on_plan", "on_job"},
                "retarget": {"interaction"},
                "track": {"human", "interaction"},
            }
            assert set(options) == wanted.get(stage, set())
            assert stage != "track" or options["human"] is HUMAN  # the person goes with the robot's motion
            return outputs[stage]

        return backend

    return load


def run(instruction, load, folder, plan=None):
    task = Task(GenerateRequest(instruction, plan=plan))
    return Pipeline(InProcessStages(load), folder, lambda stage: no_progress, Report(instruction)).run(task)


def files(folder):
    return {p.name for p in folder.path.iterdir()}


def test_a_run_keeps_every_output_and_the_report(tmp_path):
    folder = RunFolder.create("wave", tmp_path)
    report = run("wave", loader(stage_outputs()), folder)
    assert report.success
    assert list(report.seconds) == ["generate", "estimate", "retarget", "rehearse"]
    assert {
        "task.json",
        "video.mp4",
        "image.png",
        "human_motion.npz",
        "robot_motion.npz",
        "rehearsal.npz",
        "report.json",
    } <= files(folder)
    np.testing.assert_array_equal(inputs.read_image(folder.path / "image.png"), np.full((16, 16, 3), (200, 0, 9)))


def test_the_plan_is_kept_and_goes_to_the_generator(tmp_path):
    class Planning:
        def __call__(self, request, progress, on_plan, on_job):
            assert request.plan == {"edited": True}
            on_plan({"actions": []})
            raise Refused("No video.")

    folder = RunFolder.create("wave", tmp_path)
    with pytest.raises(Refused):
        run("wave", lambda stage: Planning(), folder, {"edited": True})
    assert json.loads((folder.path / "plan.json").read_text()) == {"actions": []}


def test_the_job_of_a_service_is_kept_while_it_works(tmp_path):
    folder = RunFolder.create("wave", tmp_path)

    class Service:
        def __call__(self, request, progress, on_plan, on_job):
            on_job({"generator": "kling", "job": "7"})
            assert json.loads((folder.path / "job.json").read_text()) == {"generator": "kling", "job": "7"}
            raise Refused("No video.")

    with pytest.raises(Refused, match="No video"):
        run("wave", lambda stage: Service(), folder)


class Tries:
    """Stages whose rehearsals end as they are told to, one after the other; every video is another one."""

    def __init__(self, *ends, video=None):
        self.ends, self.video, self.requests = list(ends), video, []

    def __call__(self, stage):
        outputs = stage_outputs()

        def generate(request, progress, on_plan, on_job):
            self.requests.append(request)
            level = np.full((16, 16, 3), 40 * len(self.requests), np.uint8)
            video = self.video or Video.from_frames([level] * 3, 30.0)
            return Generation(video, HUMAN, {"videos_made": 2, "note": "there is no shelf"}, {"actions": []})

        def track(motion, progress, **options):
            return Tracking(ROBOT, self.ends.pop(0))

        return {"generate": generate, "track": track}.get(stage, lambda *_, **__: outputs[stage])


FELL = {"success": False, "reason": "it fell"}
DROPPED = {"success": True, "checks": [{"passed": False, "sentence": "The cup was lifted by 0 m."}]}


def test_what_fails_in_rehearsal_is_tried_again_with_another_video(tmp_path):
    load = Tries(FELL, DROPPED, {"success": True, "risk": "1 of 5 failed."})
    report = run("wave", load, RunFolder.create("wave", tmp_path))
    assert report.success
    assert [request.attempt for request in load.requests] == [0, 2, 4]
    assert load.requests[1].plan == {"actions": []}
    assert [each["failed_stage"] for each in report.tries] == ["rehearse", "rehearse"]
    assert "it fell" in report.tries[0]["reason"]
    assert "the task failed. The cup was lifted by 0 m." in report.tries[1]["reason"]
    assert report.warnings == ["There is a risk: 1 of 5 failed."]
    shown = "\n".join(report_lines(vars(report)))
    assert "failed before in rehearse     The G1 did not do it: it fell." in shown
    assert "warning                       There is a risk: 1 of 5 failed." in shown
    assert "video                         there is no shelf" in shown


def test_a_motion_that_ends_before_the_task_does_is_not_rehearsed(tmp_path):
    contact = Contact(body="left_hand", object="box", kind="grasp", start=1.0, end=9.0)
    outputs = stage_outputs()
    outputs["generate"] = replace(outputs["generate"], interaction=Interaction(contacts=(contact,)))
    outputs["estimate"] = replace(outputs["estimate"], metrics={"motion_s": [0.0, 6.0]})
    folder = RunFolder.create("carry the box", tmp_path)
    with pytest.raises(Refused, match=r"covers 0.0 s to 6.0 s of the video only, but the left hand has to hold"):
        run("carry the box", loader(outputs), folder)
    assert json.loads((folder.path / "report.json").read_text())["failed_stage"] == "estimate"
    assert "robot_motion.npz" not in files(folder)


def test_tries_end(tmp_path):
    load = Tries(FELL, FELL, DROPPED)
    with pytest.raises(TrackingFailed, match="lifted"):
        run("wave", load, RunFolder.create("wave", tmp_path))
    assert len(load.requests) == 3


def test_the_same_video_is_not_tried_again(tmp_path):
    load, folder = Tries(FELL, video=VIDEO), RunFolder.create("wave", tmp_path)
    with pytest.raises(TrackingFailed, match="it fell"):
        run("wave", load, folder)
    assert json.loads((folder.path / "report.json").read_text())["failed_stage"] == "rehearse"


def test_videos_of_a_service_are_not_made_again(tmp_path):
    def load(stage):
        def submitted(request, progress, on_plan, on_job):
            on_job({"job": "7"})
            return stage_outputs()["generate"]

        return submitted if stage == "generate" else Tries(FELL)(stage)

    with pytest.raises(TrackingFailed, match="it fell"):
        run("wave", load, RunFolder.create("wave", tmp_path))


def test_a_failed_stage_keeps_what_there_was_and_says_why(tmp_path):
    folder = RunFolder.create("wave", tmp_path)

    def load(stage):
        if stage == "retarget":
            raise BadInput("No such thing.")
        return loader(stage_outputs())(stage)

    with pytest.raises(BadInput):
        run("wave", load, folder)
    report = json.loads((folder.path / "report.json").read_text())
    assert (report["success"], report["failed_stage"], report["reason"]) == (False, "retarget", "No such thing.")
    assert "human_motion.npz" in files(folder)
    assert "robot_motion.npz" not in files(folder)


def test_a_fall_in_the_rehearsal_is_a_refusal(tmp_path):
    folder = RunFolder.create("wave", tmp_path)
    with pytest.raises(Refused, match="the G1 fell"):
        run("wave", loader(stage_outputs(success=False)), folder)
    assert json.loads((folder.path / "report.json").read_text())["failed_stage"] == "rehearse"


def test_what_is_not_fit_for_the_robot_is_a_warning(tmp_path):
    outputs = stage_outputs()
    outputs["track"].metrics["refused"] = ["It gets 4.0 m away from its start, more than 3 m."]
    folder = RunFolder.create("walk", tmp_path)
    report = run("walk", loader(outputs), folder)
    assert report.success
    assert json.loads((folder.path / "report.json").read_text())["warnings"] == outputs["track"].metrics["refused"]


def test_unknown_backend_names_those_there_are():
    with pytest.raises(BadInput, match="mannequin"):
        backend_class("generate", "mannequinn")


def run_cli(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["exoactor", *arguments])
    with pytest.raises(SystemExit) as done:
        cli.main()
    return done.value.code, capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["estimate", "none.mp4"], "none.mp4"),
        (["retarget", "none.npz"], "none.npz"),
        (["track", "none.npz"], "none.npz"),
        (["show", "none"], "none"),
        (["generate", "wave", "--generator", "magic"], "There is no backend 'magic'"),
        (["generate", "wave", "--set", "camera=side"], "STAGE.OPTION=VALUE"),
        (["generate", "wave", "--set", "generate.colour=red"], "has no option 'colour'"),
        (["generate", "wave", "--set", "generate.seed=many"], "seed is 'many', but a whole number"),
        (["run", "wave", "--policy", __file__], "is not an ONNX network"),  # before anything is made: one line
        (["send", "wave", "--execute", "moon"], "not one of rehearse, sim, robot"),
        (["generate"], "give a plan with --plan"),
        (["generate", "--plan", "none.json"], "There is no file none.json"),
        (["generate", "--resume", "none.json"], "There is no file none.json"),
        (["generate", "wave", "--resume", "none.json"], "leave out the task"),
        (["generate", "wave", "--image", "/"], "/ is a folder: name the image in it"),
        (["generate", "wave", "--scene", "/"], "/ is a folder: name the file in it"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(monkeypatch, capsys, arguments, words):
    code, out = run_cli(monkeypatch, capsys, *arguments)
    assert code == 2
    assert words in out.err
    assert len(out.err.strip().splitlines()) == 1


def test_a_plan_is_written_beside_the_video_and_read_again(monkeypatch, capsys, tmp_path):
    small = [f"--set=generate.{option}" for option in ("width=64", "height=64", "fps=10")]
    small.append("--set=judge.tries=0")  # of no matter here
    code, out = run_cli(monkeypatch, capsys, "generate", "nod once, then clap once", "-o", f"{tmp_path}/v.mp4", *small)
    assert code == 0, out.err
    plan = json.loads((tmp_path / "v.plan.json").read_text())
    assert json.loads((tmp_path / "v.metrics.json").read_text())["seed"] == 0
    (tmp_path / "edited.json").write_text(json.dumps({**plan, "actions": plan["actions"][1:]}))
    given = ("generate", "--plan", f"{tmp_path}/edited.json", "-o", f"{tmp_path}/w.mp4", "--json", *small)
    code, out = run_cli(monkeypatch, capsys, *given)
    assert code == 0, out.err
    assert json.loads(out.out)["plan"].startswith("claps both hands in front of the chest once (")


def test_paths_are_printed_whole_on_one_line_with_their_brackets(capsys, tmp_path):
    folder = tmp_path / ("[bold]" + 40 * "ä b") / "run"
    print_report(folder, {"success": True})
    assert f"Run folder: {folder}\n" in capsys.readouterr().out


def test_the_options_of_a_backend_are_listed(monkeypatch, capsys):
    code, out = run_cli(monkeypatch, capsys, "options", "generate", "file", "--json")
    assert code == 0
    assert json.loads(out.out) == {"path": {"default": "", "values": "text", "help": "The video file."}}
    code, out = run_cli(monkeypatch, capsys, "options", "retarget")
    assert "a number from 10 to 200 Hz" in " ".join(out.out.split())
    for words in (["generates"], ["generate", "movies"], ["judge", "file"]):
        assert run_cli(monkeypatch, capsys, "options", *words)[0] == 2


def test_figures_are_printed_for_people(capsys):
    print_metrics(
        {"height": 1.23456, "position": [0.5000001, 2.0], "rotation": [[1.0, 0.0]], "limbs": {"arm": 1}}, False
    )
    assert capsys.readouterr().out.split() == ["height", "1.235", "position", "0.5,", "2"]
