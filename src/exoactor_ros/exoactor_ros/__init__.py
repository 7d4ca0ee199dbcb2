"""Shared parts of the nodes: message conversion, stage node, heartbeats, action client, and process start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rclpy.node import Node

NAMESPACE = "/exoactor"
"""Namespace of all nodes, actions, services and topics without a standard global name."""


def namespace_of(robot: str) -> str:
    """Namespace of the nodes of a robot by its name (launch argument ``namespace``); empty: the only robot."""
    return f"/{robot.strip('/')}{NAMESPACE}" if robot.strip("/") else NAMESPACE


def frame_prefix(node: Node) -> str:
    """Prefix of a node's TF frames: the robot's name and a slash; empty if there is only one robot."""
    robot = node.get_namespace().removesuffix(NAMESPACE).strip("/")
    return f"{robot}/" if robot else ""
