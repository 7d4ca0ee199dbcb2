"""Acceptance of generated videos: requirements and findings."""
