"""Generators that ask a video model: hosted services and diffusers."""
