"""Fit the person's motion to the G1."""
