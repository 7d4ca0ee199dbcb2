"""Quality of service of the topics."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE)
"""The last message reaches those who come later: descriptions and markers."""

LATEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""Only the newest counts, for readers that are reliable or best effort: images."""

STATE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""Joint states and transforms, as the standard tools read them."""

RENEWALS = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
"""Leases of several goals at once."""

BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""For reading states from whoever sends them."""
