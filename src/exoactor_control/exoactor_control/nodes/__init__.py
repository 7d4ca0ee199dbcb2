"""The ROS nodes ``controller`` and ``rehearsal``."""
