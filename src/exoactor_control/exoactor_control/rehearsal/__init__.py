"""Tracking a motion in MuJoCo: figures, the gate before the robot, corrections of the reference."""
