import json

import numpy as np
import pytest

pytest.importorskip("exoactor_interfaces.action")

from exoactor_interfaces.action import TrackMotion
from rclpy.parameter import Parameter

from exoactor.motion import RobotMotion
from exoactor.ros.convert import robot_from_message, robot_to_message
from exoactor.ros.heartbeat import Watch
from exoactor.ros.testing import Caller, spinning, until
from exoactor_control.rehearsal_node import RehearsalNode

pytestmark = pytest.mark.ros


def standing(t=40):
    return RobotMotion(50, np.tile([0, 0, 0.79], (t, 1)), np.tile([1.0, 0, 0, 0], (t, 1)), np.zeros((t, 29)))


def test_rehearsal_and_bad_motions():
    with spinning(RehearsalNode) as (_, tester):
        caller = Caller(tester, TrackMotion, "rehearse_motion")
        result = caller.result(TrackMotion.Goal(motion=robot_to_message(standing())), 60.0)
        assert result.error_code == 0, result.error_msg
        assert len(robot_from_message(result.motion)) > 20
        metrics = json.loads(result.metrics_json)
        assert {"success", "fell", "reason", "min_pelvis_height", "joint_error_mean"} <= set(metrics)

        message = robot_to_message(standing())
        message.joint_names = message.joint_names[:23]
        result = caller.result(TrackMotion.Goal(motion=message))
        assert result.error_code == 502
        assert "23 joints" in result.error_msg


def test_a_policy_file_that_is_none(tmp_path):
    file = tmp_path / "tracker.onnx"
    file.write_bytes(b"this is no network")
    overrides = [Parameter("mujoco.policy", value=str(file))]
    with spinning(lambda **o: RehearsalNode(parameter_overrides=overrides, **o)) as (_, tester):
        watch = Watch(tester)
        sign = until(lambda: (s := watch.sign("rehearsal")) and not s.ok and s, 30.0)
        assert "tracker.onnx" in sign.text
        assert "\n" not in sign.text
