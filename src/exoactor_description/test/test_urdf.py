"""Our URDF against Unitree's own files."""

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest

from exoactor_description import urdf_path

DATA = Path(os.environ.get("EXOACTOR_DATA", Path(__file__).parents[4] / "shared" / "data")) / "robot"
UNITREE_URDF = DATA / "g1_29dof_rev_1_0.urdf"
UNITREE_MJCF = DATA / "g1_29dof.xml"

needs_unitree = pytest.mark.skipif(not UNITREE_URDF.is_file(), reason=f"Unitree's description is not in {DATA}")


def build(path):
    return pin.buildModelFromUrdf(str(path), pin.JointModelFreeFlyer())


@pytest.fixture(scope="module")
def ours():
    return build(urdf_path())


@pytest.fixture(scope="module")
def theirs():
    return build(UNITREE_URDF)


@pytest.fixture(scope="module")
def random_configurations(ours):
    rng = np.random.default_rng(0)
    q = rng.uniform(ours.lowerPositionLimit.clip(-3), ours.upperPositionLimit.clip(max=3), (100, ours.nq))
    q[:, 3:7] /= np.linalg.norm(q[:, 3:7], axis=1, keepdims=True)
    return q


def test_it_is_one_file_of_primitive_shapes():
    root = ET.parse(urdf_path()).getroot()
    assert not list(root.iter("mesh"))
    shapes = {shape.tag for geometry in root.iter("geometry") for shape in geometry}
    assert shapes == {"box", "cylinder", "sphere"}
    names = [c.get("name") for c in root.iter("collision")]
    assert len(set(names)) == len(names)


def test_every_colour_is_defined_and_used():
    root = ET.parse(urdf_path()).getroot()
    used = {m.get("name") for v in root.iter("visual") for m in v.iter("material")}
    assert used == {m.get("name") for m in root.findall("material")}


def test_left_and_right_look_alike():
    links = {link.get("name"): link for link in ET.parse(urdf_path()).getroot().iter("link")}

    def looks(link, side):
        rows = []
        for shape in link.iter("visual"):
            origin = shape.find("origin")
            xyz = np.array(origin.get("xyz").split(), float)
            rpy = np.array((origin.get("rpy") or "0 0 0").split(), float)
            axes = pin.rpy.rpyToMatrix(*rpy)
            if side == "right":  # mirrored in the x-z plane
                mirror = np.diag([1.0, -1.0, 1.0])
                xyz, axes = mirror @ xyz, mirror @ axes @ mirror
            rows.append(np.r_[xyz, (axes @ np.diag([1.0, 2.0, 3.0]) @ axes.T).ravel()])
        return np.array(rows)

    for name, link in links.items():
        if name.startswith("left_"):
            other = links[name.replace("left_", "right_")]
            np.testing.assert_allclose(looks(link, "left"), looks(other, "right"), atol=1e-6)


@needs_unitree
def test_joint_order_limits_efforts_and_velocities(ours, theirs):
    assert list(ours.names) == list(theirs.names)
    for limit in ("lowerPositionLimit", "upperPositionLimit", "effortLimit", "velocityLimit"):
        np.testing.assert_array_equal(getattr(ours, limit)[-29:], getattr(theirs, limit)[-29:])


@needs_unitree
def test_link_poses(ours, theirs, random_configurations):
    frames = [f.name for f in theirs.frames]
    assert {f.name for f in ours.frames} == set(frames)
    a, b = ours.createData(), theirs.createData()
    for q in random_configurations:
        pin.framesForwardKinematics(ours, a, q)
        pin.framesForwardKinematics(theirs, b, q)
        for name in frames:
            one, other = a.oMf[ours.getFrameId(name)], b.oMf[theirs.getFrameId(name)]
            assert np.abs(one.homogeneous - other.homogeneous).max() < 1e-6, name


@needs_unitree
def test_mass_matrix(ours, theirs, random_configurations):
    a, b = ours.createData(), theirs.createData()
    for q in random_configurations:
        one, other = pin.crba(ours, a, q), pin.crba(theirs, b, q)
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-12)
        forces = pin.computeGeneralizedGravity(theirs, b, q)
        np.testing.assert_allclose(pin.computeGeneralizedGravity(ours, a, q), forces, atol=1e-6)


@needs_unitree
def test_soles_are_those_of_unitrees_mjcf():
    ours = ET.parse(urdf_path()).getroot()
    theirs = ET.parse(UNITREE_MJCF).getroot()
    for foot in ("left_ankle_roll_link", "right_ankle_roll_link"):
        body = next(b for b in theirs.iter("body") if b.get("name") == foot)
        expected = {(float(g.get("size")), *map(float, g.get("pos").split())) for g in body.findall("geom")[1:]}
        link = next(e for e in ours.iter("link") if e.get("name") == foot)
        spheres = [(c, s) for c in link.iter("collision") for s in c.iter("sphere")]
        found = {(float(s.get("radius")), *map(float, c.find("origin").get("xyz").split())) for c, s in spheres}
        assert len(expected) == 4
        assert found == expected
