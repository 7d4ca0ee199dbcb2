"""Replacing the robot in an image of the scene with a person."""
