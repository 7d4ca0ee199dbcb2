"""Imagine the task: instruction to third-person video."""
