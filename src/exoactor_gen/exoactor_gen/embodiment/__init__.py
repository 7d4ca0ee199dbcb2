"""Turning the robot in an image of the scene into a person."""
