"""The Unitree G1 as one URDF of primitive shapes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path


def urdf_path() -> Path:
    """Path of the G1's URDF, which pinocchio, MuJoCo, RViz and browsers read alike."""
    return Path(__file__).resolve().parent / "urdf" / "g1.urdf"


def touching_links(urdf: Path) -> frozenset[frozenset[str]]:
    """Pairs of links that are not kept apart, by the SRDF beside a URDF; none where there is no SRDF.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        The SRDF is no XML.
    """
    srdf = urdf.with_suffix(".srdf")
    if not srdf.is_file():
        return frozenset()
    pairs = ET.parse(srdf).getroot().iter("disable_collisions")
    return frozenset(frozenset((pair.get("link1", ""), pair.get("link2", ""))) for pair in pairs)
