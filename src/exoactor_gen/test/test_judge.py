"""The judge's loop, with a stand-in generator and judge: what is looked at in a video has tests of its own."""

import json

import numpy as np
import pytest

from exoactor import cli, pipeline
from exoactor.run_folder import RunFolder
from exoactor_core import stages
from exoactor_core.errors import BadInput, Cancelled, Missing, Refused
from exoactor_core.stages import GenerateRequest, Generation, no_progress
from exoactor_core.video import Video
from exoactor_gen.video_judge.finding import Finding
from exoactor_gen.video_judge.judge import Judge, Judged, Judgement, _objects

VIDEOS = [Video.from_frames([np.full((16, 16, 3), 60 * k, np.uint8)] * 2, 30.0) for k in range(4)]
PLAN = {"actions": [{"verb": "nod"}]}


class Generator(stages.Generator):
    def __init__(self, fails=None):
        self.fails, self.requests, self.plans_told = fails or {}, [], 0

    def __call__(self, request, progress=no_progress, on_plan=None, on_job=None):
        self.requests.append(request)
        if on_plan:
            self.plans_told += 1
            on_plan(PLAN)
        if request.attempt in self.fails:
            raise self.fails[request.attempt]
        return Generation(VIDEOS[request.attempt], metrics={"seed": request.attempt}, plan=PLAN)


class ScriptedJudge:
    def __init__(self, *scores, bar=0.5, good_enough=0.0):
        self.scores, self.bar = iter(scores), bar
        self.options = Judge.Options(tries=len(scores), good_enough=good_enough)

    def __call__(self, video, plan, progress=no_progress):
        assert plan == PLAN
        score = next(self.scores)
        return Judgement(
            (Finding("nod", score, score > self.bar, f"Nods {score}."), Finding("cuts", 1.0, True, "None."))
        )


def test_what_was_not_checked_is_not_reported_as_passed():
    found = (Finding("cuts", 0.8, True, "None."), *_objects({"actions": [{"objects": ["table", "start"]}]}))
    judgement = Judgement(
        (*found, Finding("climb", 1.0, True, "Moves; whether the person climbs was not checked.", "climbs"))
    )
    data = judgement.data()
    assert [c["passed"] for c in data["checks"]] == [True, None, None]
    assert data["score"] == 0.8
    assert data["unchecked"] == ["objects are there and used as planned: table", "climbs"]
    told = []
    judge = ScriptedJudge(0.9)
    judge.__class__ = type("Judge", (ScriptedJudge,), {"__call__": lambda *_: judgement})
    made = Judged(Generator(), judge)(GenerateRequest("nod"), lambda share, text: told.append(text))
    assert "not checked: objects" in told[-1]
    assert "climbs" in made.metrics["not_checked"]
    assert made.metrics["judge"]["unchecked"] == data["unchecked"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("wave \udcfc", "not UTF-8"), ("wave \x07", "control character"), ("wave " * 2000, "10000 characters")],
)
def test_an_instruction_that_is_no_text(text, said, capsys):
    with pytest.raises(BadInput, match=said):
        GenerateRequest(text)
    for command in ("generate", "plan", "run", "send"):
        with pytest.raises(BadInput, match=said):
            cli.app([command, text], standalone_mode=False)


def test_plan_prints_json_and_makes_no_video(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli.app(["plan", "walk in a circle", "--json"], standalone_mode=False)
    plan = json.loads(capsys.readouterr().out)
    assert plan["actions"][0]["angle"] == 360.0
    cli.app(["plan", "open the window", "--generator", "fal", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["actions"][0]["verb"] == "open"
    verbatim = ["--generator", "kling", "-s", "generate.planner=verbatim"]
    cli.app(["plan", "walk, then open the window", *verbatim], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["planner"] == "verbatim"
    with pytest.raises(BadInput, match="'window'"):
        cli.app(["plan", "open the window"], standalone_mode=False)
    with pytest.raises(BadInput, match="makes no plans"):
        cli.app(["plan", "wave", "--generator", "file"], standalone_mode=False)
    assert not list(tmp_path.iterdir())


def test_the_first_video_that_passes_is_taken():
    made = Judged(generator := Generator(), ScriptedJudge(0.9, 1.0))(GenerateRequest("nod"))
    assert made.video is VIDEOS[0]
    assert not made.others
    assert len(generator.requests) == 1
    assert (made.metrics["seed"], made.metrics["judge_score"], made.metrics["videos_made"]) == (0, 0.95, 1)
    assert made.metrics["judge"]["tries"][0]["checks"][0]["text"] == "Nods 0.9."


def test_a_refused_video_is_made_again_of_the_same_plan():
    plans = []
    judged = Judged(generator := Generator(), ScriptedJudge(0.2, 0.8))
    made = judged(GenerateRequest("nod"), no_progress, plans.append)
    assert plans == [PLAN]
    assert made.video is VIDEOS[1]
    assert made.others == (VIDEOS[0],)
    assert [(r.attempt, r.plan) for r in generator.requests] == [(0, None), (1, PLAN)]
    assert [(t["seed"], t["passed"]) for t in made.metrics["judge"]["tries"]] == [(0, False), (1, True)]


def test_best_of_all_where_none_is_good_enough():
    made = Judged(Generator(), ScriptedJudge(0.6, 0.9, 0.8, good_enough=1.0))(GenerateRequest("nod"))
    assert made.video is VIDEOS[1]
    assert made.others == (VIDEOS[0], VIDEOS[2])
    scores = [t["score"] for t in made.metrics["judge"]["tries"]]
    assert scores == [0.8, 0.95, 0.9]


def test_refused_after_all_tries_with_the_reasons_and_the_best_kept():
    with pytest.raises(Refused, match=r"Each of 3 videos was refused; .*: Nods 0\.4\.$") as caught:
        Judged(Generator(), ScriptedJudge(0.1, 0.4, 0.3))(GenerateRequest("nod"))
    assert caught.value.output.video is VIDEOS[1]
    assert caught.value.output.others == (VIDEOS[0], VIDEOS[2])


def test_a_try_that_fails_does_not_lose_what_there_is():
    judged = Judged(Generator({1: Refused("The service is down.")}), ScriptedJudge(0.2, 0.8, 0.8))
    made = judged(GenerateRequest("nod"))
    assert made.video is VIDEOS[2]
    assert made.metrics["videos_made"] == 2
    assert made.metrics["judge"]["tries"][1] == {"attempt": 1, "passed": False, "error": "The service is down."}
    for error in (BadInput("No."), Cancelled("Stop.")):  # nothing there yet; not to go on
        with pytest.raises(type(error)):
            Judged(Generator({0: error}), ScriptedJudge(0.2, 0.8))(GenerateRequest("nod"))
    with pytest.raises(Cancelled):
        Judged(Generator({1: Cancelled("Stop.")}), ScriptedJudge(0.2, 0.8))(GenerateRequest("nod"))


def test_a_users_own_video_is_not_judged(tmp_path):
    generator = Generator()
    generator.judged = False
    assert "judge" not in Judged(generator, ScriptedJudge(0.0))(GenerateRequest("nod")).metrics
    assert "judge" not in Judged(Generator(), Judge(tries=0))(GenerateRequest("nod")).metrics
    VIDEOS[1].save(tmp_path / "own.mp4")
    load = cli.Backends([f"generate.path={tmp_path / 'own.mp4'}"], generate="file").load
    assert load("generate")(GenerateRequest("nod")).video.data == VIDEOS[1].data


def test_a_video_in_which_nobody_is_found_is_refused_with_the_estimators_sentence():
    pytest.importorskip("mediapipe")
    empty = Video.from_frames([np.full((96, 96, 3), 128, np.uint8)] * 12, 30.0)
    judgement = Judge()(empty, PLAN)
    assert not judgement.passed
    assert judgement.score == 0.0
    assert "A person was found in 0 of" in judgement.reasons


def test_wrong_options():
    for options, said in (
        ({"tries": 21}, "tries is 21"),
        ({"fps": 5.0}, "fps is 5"),
        ({"good_enough": 1.5}, "good_enough is 1.5"),
        ({"estimator": "mediapip"}, "no backend 'mediapip'"),
    ):
        with pytest.raises(BadInput, match=said):
            Judge(**options)


def refusing(monkeypatch):
    judged = Judged(Generator(), ScriptedJudge(0.1, 0.4))
    monkeypatch.setattr(cli.Backends, "load", lambda self, stage: judged)
    return judged


def test_run_folder_of_a_refused_task_has_its_videos(tmp_path):
    folder = RunFolder.create("nod", tmp_path)
    judged = Judged(Generator(), ScriptedJudge(0.1, 0.4))
    stages, report = pipeline.InProcessStages(lambda stage: judged), pipeline.Report("nod")
    with pytest.raises(Refused):
        pipeline.Pipeline(stages, folder, lambda _: no_progress, report).run(pipeline.Task(GenerateRequest("nod")))
    assert (folder.path / "video.mp4").read_bytes() == VIDEOS[1].data
    assert (folder.path / "other_video_1.mp4").read_bytes() == VIDEOS[0].data
    report = json.loads((folder.path / "report.json").read_text())
    assert report["failed_stage"] == "generate"
    assert "Nods 0.4." in report["reason"]
    assert report["metrics"]["generate"]["judge"]["passed"] is False


def test_command_keeps_a_refused_video(tmp_path, monkeypatch, capsys):
    refusing(monkeypatch)
    monkeypatch.setattr("sys.argv", ["exoactor", "generate", "nod", "-o", str(tmp_path / "v.mp4")])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == Refused.exit_code
    said = " ".join(capsys.readouterr().err.split())
    assert "Nods 0.4." in said
    assert f"kept to look at: {tmp_path / 'v.mp4'}" in said
    assert (tmp_path / "v.mp4").read_bytes() == VIDEOS[1].data
    assert (tmp_path / "v.other_1.mp4").read_bytes() == VIDEOS[0].data


def test_settings_of_the_judge(monkeypatch):
    assert cli.Backends(["judge.tries=2", "judge.fps=12"]).load("generate").judge.options.tries == 2
    with pytest.raises(BadInput, match="The judge has no option 'trys': it has tries,"):
        cli.Backends(["judge.trys=2"])


def test_a_missing_estimator_is_no_verdict(monkeypatch):
    judge = Judge()

    def missing(*_):
        raise Missing("mediapipe is not installed.")

    monkeypatch.setattr(judge, "_estimate", missing)
    with pytest.raises(Missing):
        Judged(Generator(), judge)(GenerateRequest("nod"))
