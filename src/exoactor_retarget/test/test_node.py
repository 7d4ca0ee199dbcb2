import json

import numpy as np
import pytest

pytest.importorskip("exoactor_interfaces.action")

from exoactor_interfaces.action import RetargetMotion
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState

from exoactor_core.motion import JOINT_NAMES, HumanMotion
from exoactor_retarget.node import RetargetNode
from exoactor_ros.conversions import human_to_message, robot_from_message
from exoactor_ros.qos import STATE
from ros_testing import Caller, spinning, until

pytestmark = pytest.mark.ros


def standing(t=16):
    """A person who stands: y up in the rest pose becomes z up in the world, facing x."""
    return HumanMotion(
        30, np.tile([0, 0, 0.95], (t, 1)), np.full((t, 3), 2 * np.pi / 3 / np.sqrt(3)), np.zeros((t, 63)), np.zeros(10)
    )


def test_motion_in_motion_out_and_replay():
    joints, bases = [], []
    with spinning(RetargetNode) as (_, tester):
        tester.create_subscription(JointState, "reference/joint_states", joints.append, STATE)
        tester.create_subscription(Odometry, "reference/odometry", bases.append, STATE)
        caller = Caller(tester, RetargetMotion, "retarget_motion")
        result = caller.result(RetargetMotion.Goal(motion=human_to_message(standing())), 60.0)
        assert result.error_code == 0, result.error_msg
        motion = robot_from_message(result.motion)
        assert motion.fps == 50
        assert 0.6 < motion.root_pos[:, 2].mean() < 0.9
        assert json.loads(result.metrics_json)
        until(lambda: len(joints) > 3 and len(bases) > 3)
        assert list(joints[0].name) == list(JOINT_NAMES)

        message = human_to_message(standing())
        message.transl[4] = float("nan")
        result = caller.result(RetargetMotion.Goal(motion=message))
        assert result.error_code == 402
        assert "not finite" in result.error_msg
        result = caller.result(RetargetMotion.Goal())
        assert (result.error_code, result.error_msg) == (402, "The human motion has no frames.")
