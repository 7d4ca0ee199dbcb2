"""The Unitree G1 as one URDF of primitive shapes."""

from __future__ import annotations

from pathlib import Path


def urdf_path() -> Path:
    """Path of the G1's URDF, which pinocchio, MuJoCo, RViz and browsers read alike."""
    return Path(__file__).resolve().parent / "urdf" / "g1.urdf"
