"""The Unitree G1, made of primitive shapes, as a URDF: with 29 or 23 joints, with rubber hands or Dex3-1 hands."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Literal

Hands = Literal["fists", "dex3"]
"""Rubber hands, which have no motors, or Dex3-1 hands."""
HandsOption = Literal["auto", "fists", "dex3"]
"""As an option: auto is dex3 in tasks with objects, and otherwise the rubber hands that the trackers were trained
with."""

_URDF = Path(__file__).resolve().parent / "urdf"

ROBOT_VARIABLE = "EXOACTOR_ROBOT"
"""Environment variable with the variant of the G1; it is read once and applies to the whole stack."""
ROBOTS = {"g1": 5, "g1_23dof": 4}
"""mode_machine in LowState of each variant (Unitree's table in unitree_ros, robots/g1_description): the one with 29
joints, the default, and the one with 23, whose waist roll and pitch and wrist pitch and yaw are locked at zero."""


def robot() -> str:
    """The variant of the G1, one of `ROBOTS`; raises `ValueError` if the environment names another."""
    name = os.environ.get(ROBOT_VARIABLE) or "g1"
    if name not in ROBOTS:
        raise ValueError(f"{ROBOT_VARIABLE} is '{name}', but {' or '.join(ROBOTS)} is needed.")
    return name


def urdf_path() -> Path:
    """Path of the URDF of the G1 with 29 joints and rubber hands; see `description` for the configured variant."""
    return _URDF / "g1.urdf"


def chosen_hands(option: HandsOption, objects: bool) -> Hands:
    """The hands that an option selects, with or without objects."""
    if option == "auto":
        return "dex3" if objects else "fists"
    return option


def description(hands: Hands = "fists") -> ET.Element:
    """The URDF of the configured variant (see `robot`), with hands of this kind.

    Locked joints are kept, with both limits zero, so that joint arrays are the same for every variant.
    """
    root = ET.parse(urdf_path()).getroot()
    if robot() == "g1_23dof":
        _replace(root, ET.parse(_URDF / "g1_23dof.urdf").getroot())
    if hands == "dex3":
        rubber = {f"{side}_rubber_hand" for side in ("left", "right")}
        for element in [*root.iter("link"), *root.iter("joint")]:
            child = element.find("child")
            if element.get("name") in rubber or (child is not None and child.get("link") in rubber):
                root.remove(element)
        root.extend(ET.parse(_URDF / "dex3.urdf").getroot())
    return root


def _replace(root: ET.Element, others: ET.Element) -> None:
    """Replace parts of links and joints by those of the same names in ``others``."""
    named = {(element.tag, element.get("name")): element for element in root}
    for other in others:
        element = named[other.tag, other.get("name")]
        for part in other:
            for old in element.findall(part.tag):
                element.remove(old)
            element.append(part)


def touching_links(urdf: Path) -> frozenset[frozenset[str]]:
    """Pairs of links whose collisions are ignored, from the SRDF beside a URDF; none if there is no SRDF.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        The SRDF is not valid XML.
    """
    srdf = urdf.with_suffix(".srdf")
    if not srdf.is_file():
        return frozenset()
    pairs = ET.parse(srdf).getroot().iter("disable_collisions")
    return frozenset(frozenset((pair.get("link1", ""), pair.get("link2", ""))) for pair in pairs)
