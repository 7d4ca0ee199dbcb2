"""Rendering the mannequin in its room."""
