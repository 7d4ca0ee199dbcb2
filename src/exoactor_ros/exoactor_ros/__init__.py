"""What the nodes share: message conversion, the stage node, heartbeats, calling an action, and starting a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rclpy.node import Node

NAMESPACE = "/exoactor"
"""Namespace of every node, action, service and topic that has no standard global name."""


def namespace_of(robot: str) -> str:
    """Namespace of the nodes of a robot, by its name (launch argument ``namespace``); empty: of the only one."""
    return f"/{robot.strip('/')}{NAMESPACE}" if robot.strip("/") else NAMESPACE


def frame_prefix(node: Node) -> str:
    """What a node's TF frames begin with: the robot's name and a slash; empty where the robot is the only one."""
    robot = node.get_namespace().removesuffix(NAMESPACE).strip("/")
    return f"{robot}/" if robot else ""
