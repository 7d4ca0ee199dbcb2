"""Rehearse the G1's motion, then track it on the robot, safely."""
