"""The node ``robot_state_publisher``: /robot_description, and /tf of the robot and of the reference.

Does what the standard robot_state_publisher does, for two robots of one description: the robot from /joint_states, and
the reference from reference/joint_states, whose frames are called ``reference/<link>``. Their bases come from odometry
and reference/odometry. The description has Dex3 hands as soon as their joints are received.
"""

from __future__ import annotations

import time
from typing import Any
from xml.etree import ElementTree

import pinocchio as pin
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from exoactor_core.dex3 import FINGER_JOINTS
from exoactor_core.motion import JOINT_NAMES
from exoactor_core.robot import STANDING, STANDING_HEIGHT
from exoactor_description import Hands, description
from exoactor_ros import NAMESPACE, frame_prefix
from exoactor_ros.conversions import WORLD
from exoactor_ros.heartbeat import Heartbeat
from exoactor_ros.qos import BEST_EFFORT, LATCHED, STATE
from exoactor_ros.spin import run

_FINGERS = {joint for hand in FINGER_JOINTS for joint in hand}

PUBLISH_RATE = 30.0
"""Maximum rate of the transforms, Hz."""

IDLE = 0.2
"""s without joint states after which the reference's transforms are repeated."""


class LinkTransforms:
    """Converts joint positions to transforms from link to link of a URDF; frames get a prefix."""

    def __init__(self, urdf: str, prefix: str = "") -> None:
        self._model = pin.buildModelFromXML(urdf, pin.JointModelFreeFlyer())
        self._data = self._model.createData()
        frames = self._model.frames
        links = {i for i, frame in enumerate(frames) if frame.type == pin.FrameType.BODY}
        parents = {link: frames[frames[link].parentFrame].parentFrame for link in links}  # skips the joint between them
        self._pairs = [(link, parent) for link, parent in parents.items() if parent in links]
        self._messages = []
        for link, parent in self._pairs:
            message = TransformStamped(child_frame_id=prefix + frames[link].name)
            message.header.frame_id = prefix + frames[parent].name
            self._messages.append(message)

    def at(self, angles: dict[str, float], stamp: Time) -> list[TransformStamped]:
        """Transforms of all joints at ``angles`` (rad by joint name; a missing one is zero)."""
        q = pin.neutral(self._model)
        q[7:] = [angles.get(name, 0.0) for name in list(self._model.names)[2:]]
        pin.framesForwardKinematics(self._model, self._data, q)
        poses = self._data.oMf
        for message, (link, parent) in zip(self._messages, self._pairs, strict=True):
            placement = poses[parent].actInv(poses[link])
            t, r = message.transform.translation, message.transform.rotation
            t.x, t.y, t.z = placement.translation.tolist()
            r.x, r.y, r.z, r.w = pin.Quaternion(placement.rotation).coeffs().tolist()
            message.header.stamp = stamp
        return self._messages


class StatePublisher(Node):
    """Publishes the description once, and transforms whenever joint states arrive.

    The reference's transforms exist from the start: before the first reference, and while none is replayed, it keeps
    its last pose. In a robot's namespace, all frames begin with the robot's name.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__("robot_state_publisher", namespace=NAMESPACE, **node_options)
        self._description = self.create_publisher(String, "/robot_description", LATCHED)
        self._tf = self.create_publisher(TFMessage, "/tf", STATE)
        self._links: dict[str, LinkTransforms] = {}
        self._describe("fists")
        self._follow("", "/joint_states", "odometry")
        self._follow("reference/", "reference/joint_states", "reference/odometry")
        self._heartbeat = Heartbeat(self)

    def _describe(self, hands: Hands) -> None:
        urdf = ElementTree.tostring(description(hands), encoding="unicode")
        self._hands = hands
        self._links = {prefix: LinkTransforms(urdf, frame_prefix(self) + prefix) for prefix in ("", "reference/")}
        self._description.publish(String(data=urdf))

    def _follow(self, prefix: str, states: str, odometry: str) -> None:
        base = TransformStamped(child_frame_id=f"{frame_prefix(self)}{prefix}pelvis")
        base.header.frame_id = frame_prefix(self) + WORLD
        base.transform.translation.z = STANDING_HEIGHT  # if the height of the pelvis is unknown
        angles = dict(zip(JOINT_NAMES, STANDING.tolist(), strict=True))
        last = 0.0

        def on_base(message: Odometry) -> None:
            pose = message.pose.pose
            t = base.transform.translation
            t.x, t.y, t.z = pose.position.x, pose.position.y, pose.position.z
            base.transform.rotation = pose.orientation

        def on_joints(message: JointState) -> None:
            nonlocal last
            now = time.monotonic()
            angles.update(zip(message.name, message.position, strict=False))
            if self._hands == "fists" and not _FINGERS.isdisjoint(message.name):
                self._describe("dex3")
            if now - last < 1.0 / PUBLISH_RATE:
                return
            last = now
            publish(message.header.stamp)

        def publish(stamp: Time) -> None:
            base.header.stamp = stamp
            self._tf.publish(TFMessage(transforms=[base, *self._links[prefix].at(angles, stamp)]))

        def keep() -> None:
            if time.monotonic() - last > IDLE:
                publish(self.get_clock().now().to_msg())

        self.create_subscription(Odometry, odometry, on_base, BEST_EFFORT)
        self.create_subscription(JointState, states, on_joints, BEST_EFFORT)
        if prefix:
            self.create_timer(IDLE, keep)


def main() -> None:
    """Entry point of the node."""
    run(StatePublisher, threads=2)
