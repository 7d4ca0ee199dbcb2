import json

import numpy as np
import pytest

pytest.importorskip("exoactor_interfaces.action")

from exoactor_interfaces.action import GenerateVideo
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage

from exoactor_core.contacts import contacts_from_json
from exoactor_core.scene import everyday, joined
from exoactor_core.task_checks import checks_from_json
from exoactor_core.video import Video
from exoactor_gen.node import GeneratorNode
from exoactor_ros.conversions import image_from_message, scene_from_message, scene_to_message
from exoactor_ros.qos import BEST_EFFORT
from ros_testing import Caller, spinning, until

pytestmark = pytest.mark.ros
SMALL = [Parameter(f"mannequin.{name}", value=value) for name, value in (("width", 64), ("height", 64), ("fps", 10))]


@pytest.fixture
def video(tmp_path):
    video = Video.from_frames([np.full((48, 64, 3), 10 * i, np.uint8) for i in range(12)], 30)
    video.save(tmp_path / "clip.mp4")
    return video


def test_video_played_from_a_file(video, tmp_path):
    overrides = [
        Parameter("backend", value="file"),
        Parameter("file.path", value=str(tmp_path / "clip.mp4")),
    ]
    seen = []
    with spinning(lambda **o: GeneratorNode(parameter_overrides=overrides, **o)) as (node, tester):
        tester.create_subscription(CompressedImage, "video/image/compressed", seen.append, BEST_EFFORT)
        caller = Caller(tester, GenerateVideo, "generate_video")
        result = caller.result(GenerateVideo.Goal(instruction="anything"))
        assert (result.error_code, result.error_msg) == (0, "")
        assert bytes(result.video.data) == video.data
        assert result.truth.num_frames == 0
        until(lambda: len(seen) > 14)  # twelve frames a round: it starts over
        assert node._replay._timer.timer_period_ns == round(1e9 / 30)  # at the video's own rate
        assert image_from_message(seen[0]).shape == (48, 64, 3)

        bad = GenerateVideo.Goal(instruction="x", scene_image=CompressedImage(data=b"no image"))
        result = caller.result(bad)
        assert result.error_code == 202
        assert "scene image" in result.error_msg


def test_plan_goes_out_with_the_video_and_comes_back_edited():
    overrides = [*SMALL, Parameter("judge.tries", value=0)]
    with spinning(lambda **o: GeneratorNode(parameter_overrides=overrides, **o)) as (_, tester):
        caller = Caller(tester, GenerateVideo, "generate_video")
        result = caller.result(GenerateVideo.Goal(instruction="nod once, then clap once"))
        assert (result.error_code, result.error_msg) == (0, "")
        plan = json.loads(result.plan_json)
        assert [action["verb"] for action in plan["actions"]] == ["nod", "clap"]
        reported = [feedback for feedback in caller.feedback if feedback.plan_json]
        assert [json.loads(feedback.plan_json) for feedback in reported] == [plan]
        assert reported[0].text == "Plan: nods once, then claps both hands in front of the chest once"
        assert not result.scene.objects
        del plan["actions"][0]
        result = caller.result(GenerateVideo.Goal(plan_json=json.dumps(plan)))
        assert json.loads(result.metrics_json)["plan"].startswith("claps both hands in front of the chest once (")
        result = caller.result(GenerateVideo.Goal(instruction="nod", plan_json='{"actions": 1}'))
        assert result.error_code == 202
        assert "The plan is not valid" in result.error_msg


def test_a_scene_comes_in_and_goes_out_with_the_checks_of_the_task():
    overrides = [*SMALL, Parameter("judge.tries", value=0)]
    scene = joined([everyday("table", pos=(1.2, 0.0, 0.0)), everyday("cup", "red_cup", pos=(1.0, 0.1, 0.74))])
    with spinning(lambda **o: GeneratorNode(parameter_overrides=overrides, **o)) as (_, tester):
        caller = Caller(tester, GenerateVideo, "generate_video")
        result = caller.result(GenerateVideo.Goal(instruction="touch the cup", scene=scene_to_message(scene)))
        assert (result.error_code, result.error_msg) == (0, "")
        assert scene_from_message(result.scene).ids == scene.ids
        assert [check.kind for check in checks_from_json(result.checks)] == ["touched", "stands"]
        assert [contact.object for contact in contacts_from_json(result.contacts)] == ["red_cup"]


def test_videos_that_the_judge_refuses_are_given_to_look_at():
    pytest.importorskip("mediapipe")
    overrides = [*SMALL, Parameter("judge.tries", value=2), Parameter("judge.min_similarity", value=1.0)]  # nobody is
    with spinning(lambda **o: GeneratorNode(parameter_overrides=overrides, **o)) as (_, tester):
        caller = Caller(tester, GenerateVideo, "generate_video")
        result = caller.result(GenerateVideo.Goal(instruction="nod once"))
        assert result.error_code == GenerateVideo.Result.REFUSED
        assert result.error_msg.startswith("Each of 2 videos was refused; what is wrong with the best: ")
        assert (result.video.width, len(result.others)) == (64, 1)
        assert [t["attempt"] for t in json.loads(result.metrics_json)["judge"]["tries"]] == [0, 1]
        assert any(feedback.text.startswith("judging video 2 of 2") for feedback in caller.feedback)


def test_unknown_task_names_what_is_known():
    with spinning(GeneratorNode) as (node, tester):
        result = Caller(tester, GenerateVideo, "generate_video").result(
            GenerateVideo.Goal(instruction="recite a poem backwards")
        )
        assert result.error_code == 202
        assert "\n" not in result.error_msg
        assert "wave" in result.error_msg
        assert node.get_parameter("mannequin.fps").value == 30
