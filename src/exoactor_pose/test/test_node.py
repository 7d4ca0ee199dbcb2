import numpy as np
import pytest

pytest.importorskip("exoactor_interfaces.action")
pytest.importorskip("mediapipe")

from exoactor_interfaces.action import EstimateMotion
from exoactor_interfaces.msg import Video as VideoMessage
from visualization_msgs.msg import Marker, MarkerArray

from exoactor_core.motion import HumanMotion
from exoactor_core.stages import Estimate
from exoactor_core.video import Video
from exoactor_pose.node import PoseNode, fill
from exoactor_ros.conversions import human_from_message, video_to_message
from exoactor_ros.qos import LATCHED
from ros_testing import Caller, spinning, until

pytestmark = pytest.mark.ros


def test_bad_videos_and_the_skeleton():
    t = 6
    motion = HumanMotion(30, np.tile([0, 0, 0.95], (t, 1)), np.zeros((t, 3)), np.zeros((t, 63)), np.zeros(10))
    nobody = Video.from_frames([np.full((120, 160, 3), 128, np.uint8)] * 20, 30)
    seen = []
    with spinning(PoseNode) as (node, tester):
        caller = Caller(tester, EstimateMotion, "estimate_motion")
        for message in (VideoMessage(), VideoMessage(data=b"no video"), video_to_message(nobody)):
            result = caller.result(EstimateMotion.Goal(video=message), 60.0)
            assert result.error_code == 302, result.error_msg
            assert result.error_msg
            assert "\n" not in result.error_msg
        node.on_output(Estimate(motion))
        tester.create_subscription(MarkerArray, "human/markers", seen.append, LATCHED)  # late, and yet it comes
        until(lambda: len(seen) > 2)
    bones, joints = seen[-1].markers
    assert (bones.type, len(bones.points), bones.header.frame_id) == (Marker.LINE_LIST, 2 * 21, "world")
    assert (joints.type, len(joints.points)) == (Marker.SPHERE_LIST, 22)


def test_a_streaming_backend_tells_segments_as_feedback():
    motion = HumanMotion(30, np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 63)), np.zeros(10))

    class Streaming:
        """Two segments, and progress between them."""

        def __call__(self, video, progress, on_segment):
            on_segment(motion)
            progress(0.5, "half")
            on_segment(motion)
            # rclpy's client drops the feedback that it takes after the result
            until(lambda: sum(f.segment.num_frames > 0 for f in caller.feedback) == 2)
            return Estimate(motion)

    video = Video.from_frames([np.full((48, 64, 3), 128, np.uint8)] * 2, 30)
    with spinning(PoseNode) as (node, tester):
        until(lambda: node._backend)
        node._backend = Streaming()
        caller = Caller(tester, EstimateMotion, "estimate_motion")
        result = caller.result(EstimateMotion.Goal(video=video_to_message(video)), 60.0)
        assert result.error_code == 0, result.error_msg
    told = [f for f in caller.feedback if f.segment.num_frames]
    assert [f.fraction for f in told] == [0.0, 0.5]
    assert len(human_from_message(told[0].segment)) == 2


def test_keypoints_travel_flat():
    keypoints = np.arange(2 * 33 * 3, dtype=np.float32).reshape(2, 33, 3)
    motion = HumanMotion(30, np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 63)), np.zeros(10))
    result = EstimateMotion.Result()
    fill(result, Estimate(motion, keypoints))
    np.testing.assert_array_equal(np.asarray(result.keypoints).reshape(2, 33, 3), keypoints)
