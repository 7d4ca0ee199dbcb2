"""Tracking a motion in MuJoCo: metrics, the gate before the robot, reference corrections."""
