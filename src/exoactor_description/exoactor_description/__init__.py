"""The Unitree G1 of primitive shapes, as a URDF: with rubber hands, or with Dex3-1 hands in their place."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Literal

Hands = Literal["fists", "dex3"]
"""Rubber hands, which have no motors, or Dex3-1."""
HandsOption = Literal["auto", "fists", "dex3"]
"""As an option: auto is Dex3 where there are objects, and else the rubber hands of the trackers' training."""

_URDF = Path(__file__).resolve().parent / "urdf"


def urdf_path() -> Path:
    """Path of the URDF of the G1 with rubber hands, which pinocchio, MuJoCo, RViz and browsers read alike."""
    return _URDF / "g1.urdf"


def chosen_hands(option: HandsOption, objects: bool) -> Hands:
    """The hands that an option stands for, with or without objects."""
    if option == "auto":
        return "dex3" if objects else "fists"
    return option


def description(hands: Hands = "fists") -> ET.Element:
    """The URDF of the G1 with the hands of that kind."""
    robot = ET.parse(urdf_path()).getroot()
    if hands == "dex3":
        rubber = {f"{side}_rubber_hand" for side in ("left", "right")}
        for element in [*robot.iter("link"), *robot.iter("joint")]:
            child = element.find("child")
            if element.get("name") in rubber or (child is not None and child.get("link") in rubber):
                robot.remove(element)
        robot.extend(ET.parse(_URDF / "dex3.urdf").getroot())
    return robot


def touching_links(urdf: Path) -> frozenset[frozenset[str]]:
    """Pairs of links that are not kept apart, by the SRDF beside a URDF; none where there is no SRDF.

    Raises `xml.etree.ElementTree.ParseError`: the SRDF is no XML.
    """
    srdf = urdf.with_suffix(".srdf")
    if not srdf.is_file():
        return frozenset()
    pairs = ET.parse(srdf).getroot().iter("disable_collisions")
    return frozenset(frozenset((pair.get("link1", ""), pair.get("link2", ""))) for pair in pairs)
