"""The node ``robot_state_publisher``: /robot_description, and /tf of the robot and of the reference.

Does what the standard robot_state_publisher does, for two robots of one description: the robot from /joint_states,
and the reference from reference/joint_states, whose frames are called ``reference/<link>``. Their bases come from
odometry and reference/odometry.
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from exoactor_core.motion import JOINT_NAMES
from exoactor_core.robot import STANDING, STANDING_HEIGHT, urdf_path
from exoactor_ros import NAMESPACE, frame_prefix
from exoactor_ros.conversions import WORLD
from exoactor_ros.heartbeat import Heartbeat
from exoactor_ros.qos import BEST_EFFORT, LATCHED, STATE
from exoactor_ros.spin import run

PUBLISH_RATE = 30.0
"""Transforms a second, at most."""

IDLE = 0.2
"""s without joint states until the reference's transforms are repeated."""


@dataclass(frozen=True)
class Joint:
    """One joint of a URDF."""

    name: str
    parent: str
    child: str
    origin: np.ndarray
    """(3,) m in the parent link."""
    rotation: Rotation
    """Of the child in the parent link at angle zero."""
    axis: np.ndarray | None
    """(3,) unit axis in the child link; None: fixed."""


def read_joints(urdf: str) -> list[Joint]:
    """Joints of a URDF text, fixed and revolute."""

    def numbers(element: ElementTree.Element | None, key: str, default: str) -> np.ndarray:
        return np.array([float(v) for v in (default if element is None else element.get(key, default)).split()])

    joints = []
    for element in ElementTree.fromstring(urdf).findall("joint"):
        origin = element.find("origin")
        moves = element.get("type") in ("revolute", "continuous")
        joints.append(
            Joint(
                element.get("name"),
                element.find("parent").get("link"),
                element.find("child").get("link"),
                numbers(origin, "xyz", "0 0 0"),
                Rotation.from_euler("xyz", numbers(origin, "rpy", "0 0 0")),
                numbers(element.find("axis"), "xyz", "1 0 0") if moves else None,
            )
        )
    return joints


class Skeleton:
    """Turns joint angles into transforms from link to link; frames get a prefix."""

    def __init__(self, joints: list[Joint], prefix: str = "") -> None:
        self._names = [j.name for j in joints]
        self._axes = np.array([np.zeros(3) if j.axis is None else j.axis for j in joints])
        self._rest = Rotation.concatenate([j.rotation for j in joints])
        self._messages = []
        for joint in joints:
            message = TransformStamped(child_frame_id=prefix + joint.child)
            message.header.frame_id = prefix + joint.parent
            t = message.transform.translation
            t.x, t.y, t.z = (float(v) for v in joint.origin)
            self._messages.append(message)

    def transforms(self, angles: dict[str, float], stamp: Any) -> list[TransformStamped]:
        """Transforms of all joints at ``angles`` (rad by joint name; a missing one is zero)."""
        q = np.array([angles.get(name, 0.0) for name in self._names])
        quats = (self._rest * Rotation.from_rotvec(self._axes * q[:, None])).as_quat()
        for message, (x, y, z, w) in zip(self._messages, quats.tolist(), strict=True):
            message.header.stamp = stamp
            r = message.transform.rotation
            r.x, r.y, r.z, r.w = x, y, z, w
        return self._messages


class StatePublisher(Node):
    """Publishes the description once, and the transforms as joint states come.

    The reference's are there from the start: until there is one, and while nobody replays it, it stands as it last was.
    Where the node is in a robot's namespace, all frames begin with the robot's name.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__("robot_state_publisher", namespace=NAMESPACE, **node_options)
        urdf = urdf_path().read_text()
        self._description = self.create_publisher(String, "/robot_description", LATCHED)
        self._description.publish(String(data=urdf))
        self._tf = self.create_publisher(TFMessage, "/tf", STATE)
        joints = read_joints(urdf)
        robot = frame_prefix(self)
        for prefix, states, odometry in (
            ("", "/joint_states", "odometry"),
            ("reference/", "reference/joint_states", "reference/odometry"),
        ):
            self._follow(Skeleton(joints, robot + prefix), robot + prefix, states, odometry, always=bool(prefix))
        self._heartbeat = Heartbeat(self)

    def _follow(self, skeleton: Skeleton, prefix: str, states: str, odometry: str, always: bool) -> None:
        base = TransformStamped(child_frame_id=f"{prefix}pelvis")
        base.header.frame_id = frame_prefix(self) + WORLD
        base.transform.translation.z = STANDING_HEIGHT  # where nobody says how high the pelvis is
        angles = dict(zip(JOINT_NAMES, STANDING.tolist(), strict=True))
        last = 0.0

        def on_base(message: Odometry) -> None:
            pose = message.pose.pose
            t = base.transform.translation
            t.x, t.y, t.z = pose.position.x, pose.position.y, pose.position.z
            base.transform.rotation = pose.orientation

        def on_joints(message: JointState) -> None:
            nonlocal last, angles
            now = time.monotonic()
            if now - last < 1.0 / PUBLISH_RATE:
                return
            last = now
            angles = dict(zip(message.name, message.position, strict=False))
            publish(message.header.stamp)

        def publish(stamp: Time) -> None:
            base.header.stamp = stamp
            self._tf.publish(TFMessage(transforms=[base, *skeleton.transforms(angles, stamp)]))

        def keep() -> None:
            if time.monotonic() - last > IDLE:
                publish(self.get_clock().now().to_msg())

        self.create_subscription(Odometry, odometry, on_base, BEST_EFFORT)
        self.create_subscription(JointState, states, on_joints, BEST_EFFORT)
        if always:
            self.create_timer(IDLE, keep)


def main() -> None:
    """Entry point of the node."""
    run(StatePublisher, threads=2)


if __name__ == "__main__":
    main()
