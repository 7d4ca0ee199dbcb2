"""Elements of a URDF that have to be there."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from exoactor_core.errors import BadInput


def child(element: ET.Element, tag: str) -> ET.Element:
    """Return the first child with a tag; raises `BadInput` where there is none."""
    found = element.find(tag)
    if found is None:
        raise BadInput(f"The robot's description has no <{tag}> in {_shown(element)}.")
    return found


def attribute(element: ET.Element, key: str) -> str:
    """Return the value of an attribute; raises `BadInput` where there is none."""
    value = element.get(key)
    if value is None:
        raise BadInput(f"The robot's description has no attribute '{key}' in {_shown(element)}.")
    return value


def _shown(element: ET.Element) -> str:
    name = element.get("name")
    return f"<{element.tag}>" if name is None else f'<{element.tag} name="{name}">'
