import xml.etree.ElementTree as ET

import pytest

from exoactor_core.errors import BadInput
from exoactor_core.urdf import attribute, child


def test_what_a_urdf_lacks_is_named():
    joint = ET.fromstring('<joint name="left_knee_joint"><limit effort="139"/></joint>')
    assert attribute(child(joint, "limit"), "effort") == "139"
    with pytest.raises(BadInput, match='no <parent> in <joint name="left_knee_joint">'):
        child(joint, "parent")
    with pytest.raises(BadInput, match="no attribute 'lower' in <limit>"):
        attribute(child(joint, "limit"), "lower")
