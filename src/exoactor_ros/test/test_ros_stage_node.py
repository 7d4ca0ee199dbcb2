import json
import time
from typing import Annotated

import numpy as np
import pytest
from annotated_types import Interval

pytest.importorskip("exoactor_interfaces.action")

from exoactor_interfaces.action import GenerateVideo
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from exoactor_core.errors import Missing, Refused
from exoactor_core.options import BaseOptions, Configurable
from exoactor_core.stages import Generation
from exoactor_core.video import Video
from exoactor_ros import stage_node
from exoactor_ros.conversions import video_to_message
from exoactor_ros.heartbeat import HeartbeatMonitor
from ros_testing import Caller, finished, spinning, until

pytestmark = pytest.mark.ros
VIDEO = Video.from_frames([np.zeros((32, 32, 3), np.uint8)] * 3, 30)


class Fake(Configurable):
    """Does what the instruction says."""

    class Options(BaseOptions):
        speed: Annotated[float, Interval(ge=0.0, le=9.0)] = 1.0
        """How fast,
        in m/s."""
        mode: str = "fine"
        times: int = 1
        """Another thing."""
        loud: bool = False

    def __init__(self, **options):
        super().__init__(**options)
        if self.options.mode == "absent":
            raise Missing("The model is not there: fetch it.")
        self.speed, self.times = self.options.speed, self.options.times

    def __call__(self, request, progress):
        if request.instruction == "refuse":
            raise Refused("This is refused.")
        if request.instruction == "crash":
            raise ZeroDivisionError("oops")
        for i in range(200 if request.instruction == "long" else 3):
            progress(i / 200, f"step {i}")
            time.sleep(0.02)
        return Generation(VIDEO, metrics={"speed": np.float64(self.speed), "times": self.times})


@pytest.fixture(autouse=True)
def _fake_backend(monkeypatch):
    monkeypatch.setattr(stage_node, "backend_class", lambda stage, name: Fake)


def make_node(overrides=None, **options):
    return stage_node.StageNode(
        "generator",
        stage="generate",
        backend="fake",
        action_type=GenerateVideo,
        action_name="generate_video",
        error_base=200,
        to_input=lambda goal: goal,
        fill=lambda result, output: setattr(result, "video", video_to_message(output.video)),
        parameter_overrides=[Parameter(k, value=v) for k, v in (overrides or {}).items()],
        **options,
    )


def goal(text):
    return GenerateVideo.Goal(instruction=text)


def test_goals_good_and_bad():
    with spinning(lambda **o: make_node({"fake.speed": 3}, **o)) as (node, tester):
        caller = Caller(tester, GenerateVideo, "generate_video")
        done = caller.result(goal("short"))
        assert (done.error_code, done.error_msg) == (0, "")
        assert bytes(done.video.data) == VIDEO.data
        assert json.loads(done.metrics_json) == {"speed": 3.0, "times": 1}
        assert caller.feedback[0].text == "starting"
        told = {name: node.describe_parameter(f"fake.{name}").description for name in ("speed", "times", "loud")}
        assert told == {"speed": "How fast, in m/s.", "times": "Another thing.", "loud": ""}

        refused = caller.result(goal("refuse"))
        assert (refused.error_code, refused.error_msg) == (204, "This is refused.")
        crashed = caller.result(goal("crash"))
        assert crashed.error_code == 201
        assert "ZeroDivisionError" in crashed.error_msg
        assert "\n" not in crashed.error_msg
        assert caller.result(goal("short")).error_code == 0  # ready for the next


def test_cancel_and_second_goal():
    with spinning(make_node) as (_, tester):
        caller = Caller(tester, GenerateVideo, "generate_video")
        handle = caller.send(goal("long"))
        until(lambda: len(caller.feedback) > 2)
        second = caller.result(goal("short"))
        assert second.error_code == GenerateVideo.Result.BUSY
        assert "busy" in second.error_msg
        finished(handle.cancel_goal_async())
        result = finished(handle.get_result_async()).result
        assert result.error_code == 205
        times = len(caller.feedback)
        assert times < 40  # 4 s of work at 50 steps a second give at most 10 messages a second
        assert caller.result(goal("short")).error_code == 0


def test_lifecycle_by_hand():
    with spinning(lambda **o: make_node({"autostart": False}, **o)) as (node, tester):
        change = tester.create_client(ChangeState, "generator/change_state")
        state = tester.create_client(GetState, "generator/get_state")
        assert change.wait_for_service(10)
        assert state.wait_for_service(10)

        def to(transition):
            return finished(change.call_async(ChangeState.Request(transition=Transition(id=transition)))).success

        def now():
            return finished(state.call_async(GetState.Request())).current_state.id

        caller = Caller(tester, GenerateVideo, "generate_video")
        assert now() == State.PRIMARY_STATE_UNCONFIGURED
        assert not caller.client.wait_for_server(1.0)
        assert to(Transition.TRANSITION_CONFIGURE)
        assert to(Transition.TRANSITION_ACTIVATE)
        assert now() == State.PRIMARY_STATE_ACTIVE
        handle = caller.send(goal("long"))
        until(lambda: caller.feedback)
        assert to(Transition.TRANSITION_DEACTIVATE)  # ends the goal in work
        until(lambda: not node._server.busy)
        until(lambda: not caller.client.server_is_ready())
        assert to(Transition.TRANSITION_CLEANUP)
        assert now() == State.PRIMARY_STATE_UNCONFIGURED
        assert handle is not None


def test_a_parameter_takes_effect_or_is_refused():
    with spinning(make_node) as (node, tester):
        service = tester.create_client(SetParameters, "generator/set_parameters")
        assert service.wait_for_service(10)

        def put(name, value):
            request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
            return finished(service.call_async(request)).results[0]

        caller = Caller(tester, GenerateVideo, "generate_video")
        assert json.loads(caller.result(goal("short")).metrics_json)["speed"] == 1.0
        for name, value in (("fake.speed", 2.0), ("backend", "other")):
            refused = put(name, value)
            assert not refused.successful
            assert "ros2 lifecycle set /exoactor/generator" in refused.reason
        assert "read-only" in put("autostart", False).reason
        assert "/clock" in put("use_sim_time", True).reason
        assert node.trigger_deactivate() == node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        assert put("fake.speed", 2).successful  # a whole number where a float is meant
        assert "out of range" in put("fake.speed", 10.0).reason
        assert "fake.times is 'many'" in put("fake.times", "many").reason
        assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert json.loads(caller.result(goal("short")).metrics_json)["speed"] == 2.0


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"fake.mode": "absent"}, "The model is not there: fetch it."),
        ({"fake.times": 2.5}, "fake.times is 2.5: Input should be a valid integer"),
        ({"fake.loud": 1}, "fake.loud is 1"),
        ({"fake.speed": 9.5}, "fake.speed out of range"),
        ({"fake.speed": 10}, "fake.speed is 10"),
        (
            {"fake.sped": 3.0},
            "There is no parameter fake.sped: there are fake.loud, fake.mode, fake.speed, fake.times.",
        ),
    ],
)
def test_a_node_that_cannot_work_says_so(overrides, said):
    with spinning(lambda **o: make_node(overrides, **o)) as (_, tester):
        heartbeats = HeartbeatMonitor(tester)
        sign = until(lambda: (s := heartbeats.status("generator")) and not s.ok and s)
        assert said in sign.text
        assert not Caller(tester, GenerateVideo, "generate_video").client.wait_for_server(1.0)
