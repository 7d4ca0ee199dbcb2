"""Our URDF against Unitree's own files."""

import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest
from scipy.spatial import cKDTree

from exoactor_description import description, touching_links, urdf_path

DATA = Path(os.environ.get("EXOACTOR_DATA", Path(__file__).parents[4] / "shared" / "data")) / "robot"
UNITREE_URDF = DATA / "g1_29dof_rev_1_0.urdf"
UNITREE_MJCF = DATA / "g1_29dof.xml"
UNITREE_HANDS = DATA / "g1_29dof_with_hand_rev_1_0.urdf"

SURFACES = DATA / "g1_surface_points.npz"

needs_unitree = pytest.mark.skipif(not UNITREE_URDF.is_file(), reason=f"Unitree's description is not in {DATA}")


needs_surfaces = pytest.mark.skipif(not SURFACES.is_file(), reason=f"Unitree's surface points are not in {DATA}")


def capsules_of(link):
    """Ends (K, 2, 3) and radii (K,) of a link's shapes for self-collision: cylinders collide as capsules."""
    ends, radii = [], []
    for shape in link.findall("collision"):
        if re.search("_(heel|toe)_(left|right)$", shape.get("name")):  # the soles' spheres
            continue
        (geometry,) = shape.find("geometry")
        radius = float(geometry.get("radius"))
        half = max(float(geometry.get("length", "0")) / 2 - radius, 0.0)
        origin = shape.find("origin")
        axis = pin.rpy.rpyToMatrix(*map(float, origin.get("rpy", "0 0 0").split()))[:, 2]
        middle = np.array(origin.get("xyz").split(), float)
        ends.append([middle - half * axis, middle + half * axis])
        radii.append(radius)
    return np.array(ends), np.array(radii)


def outside(ends, radii, points):
    """(N,) m by which points (N, 3) stand out of all capsules."""
    a, along = ends[:, None, 0], ends[:, None, 1] - ends[:, None, 0]
    share = np.sum((points - a) * along, axis=-1) / np.maximum(np.sum(along**2, axis=-1), 1e-12)
    nearest = a + np.clip(share, 0, 1)[..., None] * along
    return (np.linalg.norm(points - nearest, axis=-1) - radii[:, None]).min(axis=0)


def surface(ends, radii, rng, count=200_000):
    """Points spread evenly over the surface of the capsules' union: evenly in thin shells about them, drawn onto it."""
    low, high = (ends - radii[:, None, None]).min((0, 1)) - 0.002, (ends + radii[:, None, None]).max((0, 1)) + 0.002
    points = rng.uniform(low, high, (count, 3))
    return points[np.abs(outside(ends, radii, points)) < 0.001]


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


@needs_surfaces
@pytest.mark.parametrize("link", [link.get("name") for link in ET.parse(urdf_path()).getroot().iter("link")])
def test_shapes_enclose_unitrees_surfaces(link):
    """99.5% of a link's points stand out by at most 2 mm, and the shapes by at most 15 mm in the mean.

    The latter is the mean, over points spread evenly on the surface of the shapes' union, of the distance to the
    nearest surface point. Links are mirror images of each other, so that points of both sides count.
    """
    with np.load(SURFACES) as points:
        if link not in points:
            assert link.startswith(("imu", "d435", "mid360"))  # no meshes
            return
        own = points[link].astype(float)
        swapped = link.replace("left", "\0").replace("right", "left").replace("\0", "right")
        both = np.concatenate([own, points[swapped] * [1, -1, 1]])
    element = next(e for e in ET.parse(urdf_path()).getroot().iter("link") if e.get("name") == link)
    ends, radii = capsules_of(element)
    assert len(radii) > 0
    assert np.quantile(outside(ends, radii, own), 0.995) <= 0.002
    shape = surface(ends, radii, np.random.default_rng(0))
    assert len(shape) > 300
    assert cKDTree(both).query(shape)[0].mean() <= 0.015


@needs_surfaces
def test_no_surface_is_without_a_link():
    names = {link.get("name") for link in ET.parse(urdf_path()).getroot().iter("link")}
    with np.load(SURFACES) as points:
        assert {name for name in points if not name.startswith("hand/")} <= names


def test_pairs_that_touch_are_links_and_have_reasons():
    names = {link.get("name") for link in ET.parse(urdf_path()).getroot().iter("link")}
    pairs = ET.parse(urdf_path().with_suffix(".srdf")).getroot().findall("disable_collisions")
    assert len(touching_links(urdf_path())) == len(pairs)
    for pair in pairs:
        assert {pair.get("link1"), pair.get("link2")} <= names
        assert len(pair.get("reason")) > 20
        other = {
            pair.get(f"link{k}").replace("left", "\0").replace("right", "left").replace("\0", "right") for k in (1, 2)
        }
        assert other in touching_links(urdf_path())


# --- Dex3 hands ---


def facts(robot):
    """Of every joint and link by name: all numbers but those of shapes."""
    found = {}
    for element in [*robot.iter("joint"), *robot.iter("link")]:
        tags = ("origin", "axis", "limit", "parent", "child") if element.tag == "joint" else ()
        parts = [element.find(tag) for tag in tags]
        if element.tag == "link" and (inertial := element.find("inertial")) is not None:
            parts = [inertial.find(tag) for tag in ("origin", "mass", "inertia")]
        values = {}
        for part in parts:
            for key, value in {} if part is None else part.items():
                if part.tag == "axis" and element.get("type") == "fixed":
                    continue
                values[part.tag, key] = value if part.tag in ("parent", "child") else np.array(value.split(), float)
        values.pop(("origin", "rpy"), None)
        found[element.tag, element.get("name")] = values
    return found


@needs_unitree
def test_dex3_hands_are_unitrees_but_for_their_shapes():
    ours, theirs = facts(description("dex3")), facts(ET.parse(UNITREE_HANDS).getroot())
    hands = [key for key in theirs if "_hand_" in key[1]]
    assert len(hands) == 2 * 2 * 8
    assert [key for key in ours if "_hand_" in key[1]]
    for key in hands:
        assert ours[key].keys() == theirs[key].keys(), key
        for what, value in theirs[key].items():
            if isinstance(value, str):
                assert ours[key][what] == value
            else:
                np.testing.assert_allclose(ours[key][what], value, rtol=1e-6, atol=1e-10, err_msg=str((key, what)))


def test_dex3_hands_replace_the_rubber_hands():
    names = {link.get("name") for link in description("dex3").iter("link")}
    assert not any("rubber" in name for name in names)
    fists = {link.get("name") for link in description().iter("link")}
    assert len(fists - names) == 2
    assert len(names - fists) == 16
    assert all(joint.find("child").get("link") in names for joint in description("dex3").iter("joint"))


@needs_surfaces
def test_dex3_shapes_are_near_unitrees_surfaces():
    """A capsule a link: half of a link's points are within 4 mm of it, 95% stand out by at most 5 mm."""
    with np.load(SURFACES) as points:
        for link in description("dex3").iter("link"):
            name = link.get("name")
            if "_hand_" not in name or "palm" in name:
                continue
            out = outside(*capsules_of(link), points[f"hand/{name}"].astype(float))
            assert np.quantile(out, 0.95) < 0.005, name
            assert abs(np.median(out)) < 0.004, name
        for side in ("left", "right"):
            (palm,) = (e for e in description("dex3").iter("link") if e.get("name") == f"{side}_hand_palm_link")
            collision = palm.find("collision")
            middle = np.array(collision.find("origin").get("xyz").split(), float)
            half = np.array(collision.find("geometry/box").get("size").split(), float) / 2
            beyond = np.abs(points[f"hand/{side}_hand_palm_link"] - middle) - half
            assert np.quantile(beyond.max(axis=1), 0.95) < 0.003
