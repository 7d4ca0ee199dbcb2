"""Quality of service of the topics."""

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE)
"""The last message reaches late subscribers: descriptions and markers."""

LATEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""Only the newest message counts, for reliable or best-effort readers: images."""

STATE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""Joint states and transforms, as the standard tools read them."""

RENEWALS = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
"""Renewals of several leases at once."""

BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""For reading states from any publisher."""


def _alive(lease: float) -> QoSProfile:
    return QoSProfile(
        depth=1,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
        reliability=ReliabilityPolicy.RELIABLE,
        liveliness=LivelinessPolicy.AUTOMATIC,
        liveliness_lease_duration=Duration(seconds=lease),
    )


STATUS = _alive(0.3)
"""Status of an action server; DDS asserts every 0.2 s that its process lives, whatever the threads of Python do."""

STATUS_WATCHED = _alive(1.0)
"""Status for a client that wants to know when the server's process has died, with a delay of up to 0.8 s."""
