"""What the nodes share: message conversion, the stage node, heartbeats, calling an action, and starting a node."""

NAMESPACE = "/exoactor"
"""Namespace of every node, action, service and topic that has no standard global name."""
