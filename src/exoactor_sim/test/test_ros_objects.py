"""What the simulator says of objects on ROS topics, without a graph: the node is a stand-in that keeps messages."""

import numpy as np
import pytest

pytest.importorskip("exoactor_interfaces", reason="the interfaces are not built")

from exoactor_core.scene import everyday, joined
from exoactor_core.simulation import ObjectSensor
from exoactor_ros.conversions import pose_from_message
from exoactor_sim.object_topics import ObjectTopics, scene_markers
from exoactor_sim.world import World

pytestmark = pytest.mark.ros

SCENE = joined([everyday("table", pos=(1.2, 0, 0)), everyday("cup", pos=(1.0, 0, 0.74))])


class Node:
    def __init__(self, namespace="/robot1"):
        self.namespace, self.sent = namespace, {}

    def get_namespace(self):
        return self.namespace

    def get_clock(self):
        class Clock:
            nanoseconds = 5_000_000_000

            def now(self):
                return self

        return Clock()

    def create_publisher(self, kind, topic, qos):
        messages = self.sent.setdefault(topic, [])

        class Publisher:
            def publish(self, message):
                messages.append(message)

        return Publisher()


def test_poses_come_at_the_sensors_rate_and_say_when_they_were():
    node, world = Node(), World(scene=SCENE)
    topics = ObjectTopics(node, ObjectSensor(rate=50.0, noise=0.0, turn_noise=0.0, delay=0.1))
    for _ in range(500):  # 1 s
        world.step()
        world.step()
        topics.step(world)
    poses = node.sent["/robot1/exoactor/objects"]
    assert len(poses) == pytest.approx(45, abs=2)
    assert list(poses[0].ids) == ["table", "cup"]
    np.testing.assert_allclose(pose_from_message(poses[-1].poses[1]), SCENE["cup"].pose, atol=2e-3)
    stamp = poses[-1].header.stamp
    assert stamp.sec + 1e-9 * stamp.nanosec == pytest.approx(4.9, abs=0.005)
    assert len(node.sent["/robot1/exoactor/object_markers"]) == pytest.approx(10, abs=2)


def test_a_scene_without_objects_says_nothing():
    node, world = Node(), World()
    topics = ObjectTopics(node, ObjectSensor())
    topics.step(world)
    assert not any(node.sent.values())


def test_every_shape_and_name_is_a_marker():
    from builtin_interfaces.msg import Time

    markers = scene_markers(SCENE, SCENE.poses, "world", Time()).markers
    assert len({(m.ns, m.id) for m in markers}) == len(markers) == 5 + 1 + 2
    assert [m.text for m in markers if m.text] == ["table", "cup"]
