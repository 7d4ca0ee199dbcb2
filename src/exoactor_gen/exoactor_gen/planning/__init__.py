"""Instruction to plan: the task language and the planners."""
