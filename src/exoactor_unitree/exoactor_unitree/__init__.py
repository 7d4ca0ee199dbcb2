"""Unitree's SDK, its messages on the wire, the link to the robot, Dex3 hands and the joystick."""
