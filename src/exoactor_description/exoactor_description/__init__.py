"""The Unitree G1 of primitive shapes, as a URDF: with 29 or 23 joints, with rubber hands or with Dex3-1 hands."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Literal

Hands = Literal["fists", "dex3"]
"""Rubber hands, which have no motors, or Dex3-1."""
HandsOption = Literal["auto", "fists", "dex3"]
"""As an option: auto is Dex3 where there are objects, and else the rubber hands of the trackers' training."""

_URDF = Path(__file__).resolve().parent / "urdf"

ROBOT_VARIABLE = "EXOACTOR_ROBOT"
"""Environment variable that says which G1 there is, read once: all of the stack works with that one."""
ROBOTS = {"g1": 5, "g1_23dof": 4}
"""Each G1's mode_machine in LowState (Unitree's table in unitree_ros, robots/g1_description), by its name: that with 29
joints, the default, and that with 23, whose waist roll and pitch and wrist pitch and yaw are locked at zero."""


def robot() -> str:
    """The G1 that there is, one of `ROBOTS`; raises `ValueError` where the environment names another."""
    name = os.environ.get(ROBOT_VARIABLE) or "g1"
    if name not in ROBOTS:
        raise ValueError(f"{ROBOT_VARIABLE} is '{name}', but {' or '.join(ROBOTS)} is needed.")
    return name


def urdf_path() -> Path:
    """Path of the URDF of the G1 with 29 joints and rubber hands; `description` has what is there."""
    return _URDF / "g1.urdf"


def chosen_hands(option: HandsOption, objects: bool) -> Hands:
    """The hands that an option stands for, with or without objects."""
    if option == "auto":
        return "dex3" if objects else "fists"
    return option


def description(hands: Hands = "fists") -> ET.Element:
    """The URDF of the G1 that there is (see `robot`), with the hands of that kind.

    Locked joints keep their place, both their limits zero, so that joint arrays are the same for every G1.
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
    """Give links and joints the parts that those of the same names in ``others`` have."""
    named = {(element.tag, element.get("name")): element for element in root}
    for other in others:
        element = named[other.tag, other.get("name")]
        for part in other:
            for old in element.findall(part.tag):
                element.remove(old)
            element.append(part)


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
