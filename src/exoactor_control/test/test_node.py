import json
import time

import numpy as np
import pytest

pytest.importorskip("exoactor_interfaces.action")

from exoactor_interfaces.action import TrackMotion
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from exoactor_control.nodes.rehearsal_node import RehearsalNode
from exoactor_control.policy.policy import load_policy
from exoactor_control.policy.spec import SHIPPED
from exoactor_control.rehearsal import verdict
from exoactor_core.motion import JOINT_NAMES, RobotMotion
from exoactor_core.robot import STANDING
from exoactor_ros.conversions import robot_from_message, robot_to_message
from exoactor_ros.heartbeat import HeartbeatMonitor
from exoactor_ros.qos import STATE
from ros_testing import Caller, spinning, until

pytestmark = pytest.mark.ros


def standing(t=40):
    return RobotMotion(50, np.tile([0, 0, 0.79], (t, 1)), np.tile([1.0, 0, 0, 0], (t, 1)), np.zeros((t, 29)))


def test_rehearsal_and_bad_motions(monkeypatch):
    monkeypatch.setenv(verdict.KEY_VARIABLE, "5" * 64)
    with spinning(RehearsalNode) as (_, tester):
        caller = Caller(tester, TrackMotion, "rehearse_motion")
        result = caller.result(TrackMotion.Goal(motion=robot_to_message(standing())), 60.0)
        assert result.error_code == 0, result.error_msg
        assert len(robot_from_message(result.motion)) > 20
        metrics = json.loads(result.metrics_json)
        assert {"success", "fell", "reason", "min_pelvis_height", "joint_error_mean"} <= set(metrics)
        verdicts = verdict.Verdicts("5" * 64, load_policy(SHIPPED))
        verdicts.check(result.verdict, robot_from_message(robot_to_message(standing())), None, 60.0)

        far = standing(200)
        far.root_pos[:, 0] = np.linspace(0.0, 9.0, 200)  # out of the area, and faster than it walks
        result = caller.result(TrackMotion.Goal(motion=robot_to_message(far)), 60.0)
        assert json.loads(result.metrics_json)["refused"]
        assert result.verdict == ""

        message = robot_to_message(standing())
        message.joint_names = message.joint_names[:23]
        result = caller.result(TrackMotion.Goal(motion=message))
        assert result.error_code == 502
        assert "23 joints" in result.error_msg


def test_it_begins_at_the_robots_present_pose():
    with spinning(RehearsalNode) as (_, tester):
        caller = Caller(tester, TrackMotion, "rehearse_motion")
        goal = TrackMotion.Goal(motion=robot_to_message(standing()))
        publisher = tester.create_publisher(JointState, "/joint_states", STATE)
        until(lambda: publisher.get_subscription_count(), 10.0)
        said, poses = {}, []
        # No timer is cancelled from here: rclpy's executor ends when that happens as it is about to be called.
        tester.create_timer(
            0.05, lambda: [publisher.publish(JointState(name=list(JOINT_NAMES), position=p.tolist())) for p in poses]
        )
        for name, knee in (("standing", 0.4), ("sitting", 2.6)):
            pose = STANDING.copy()
            pose[[0, 3, 4]] = pose[[6, 9, 10]] = -knee / 2, knee, -knee / 2
            poses[:] = [pose]
            time.sleep(0.5)
            said[name] = caller.result(goal, 60.0)
        poses.clear()
        assert said["standing"].error_code == 0
        assert json.loads(said["standing"].metrics_json)["from_present_pose"]
        assert said["sitting"].error_code == TrackMotion.Result.ROBOT_NOT_READY
        assert "above its soles" in said["sitting"].error_msg
        time.sleep(1.2)  # it is not heard any more
        metrics = json.loads(caller.result(goal, 60.0).metrics_json)
        assert not metrics["from_present_pose"]


def test_a_policy_file_that_is_none(tmp_path):
    file = tmp_path / "tracker.onnx"
    file.write_bytes(b"this is no network")
    overrides = [Parameter("mujoco.policy", value=str(file))]
    with spinning(lambda **o: RehearsalNode(parameter_overrides=overrides, **o)) as (_, tester):
        heartbeats = HeartbeatMonitor(tester)
        sign = until(lambda: (s := heartbeats.status("rehearsal")) and not s.ok and s, 30.0)
        assert "tracker.onnx" in sign.text
        assert "\n" not in sign.text
