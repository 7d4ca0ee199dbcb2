"""Generators with video models: hosted services and diffusers."""
