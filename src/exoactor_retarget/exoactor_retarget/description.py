"""What the solver knows of a robot: its joint tree, masses, limits, soles and collision capsules, read from a URDF.

Links that fixed joints carry are merged into the link that moves. Body 0 is the floating base, body j + 1 is what
joint j moves; joints stand in the file's order, parents first.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.errors import BadInput, reason
from exoactor_core.urdf import attribute, child
from exoactor_description import description, touching_links, urdf_path


@dataclass(frozen=True)
class Description:
    """A robot of J hinges and J + 1 bodies; lengths in m, angles in rad."""

    joint_names: tuple[str, ...]
    parent: np.ndarray
    """(J,) body that carries the joint."""
    origin: np.ndarray
    """(J, 3) position of the joint in its parent body."""
    turn: np.ndarray
    """(J, 3, 3) orientation of the joint's frame in its parent body."""
    axis: np.ndarray
    """(J, 3) unit axis in the joint's frame."""
    limits: np.ndarray
    """(J, 2) lower and upper joint limits."""
    speed: np.ndarray
    """(J,) greatest joint speeds, rad/s."""
    effort: np.ndarray
    """(J,) greatest joint torques, N m."""
    mass: np.ndarray
    """(J + 1,) kg."""
    center: np.ndarray
    """(J + 1, 3) centres of mass in the bodies."""
    links: dict[str, tuple[int, np.ndarray, np.ndarray]]
    """Body of each link, and the link's position (3,) and orientation (3, 3) in it."""
    capsule_body: np.ndarray
    """(C,) body of each collision capsule."""
    capsule_ends: np.ndarray
    """(C, 2, 3) ends of its middle line in the body."""
    capsule_radius: np.ndarray
    """(C,)."""
    pairs: np.ndarray
    """(P, 2) capsules that must not touch."""
    corners: dict[int, np.ndarray]
    """Lowest points (K, 3) of each body that has spheres or boxes, in the body: what a foot stands on."""
    corner_radius: dict[int, float]
    """m, of these bodies: of the spheres that the corners are the lowest points of; of boxes 0."""

    def chain(self, body: int) -> list[int]:
        """Joints from the base to a body."""
        joints: list[int] = []
        while body > 0:
            joints.insert(0, body - 1)
            body = int(self.parent[body - 1])
        return joints

    def body(self, link: str) -> int:
        """Body of a link; raises `BadInput` when there is none of that name."""
        if link not in self.links:
            raise BadInput(f"The robot's description has no link '{link}'.")
        return self.links[link][0]


_THICK = 0.02  # m: half the thickness from which the edges of a box count


def _vector(element: ET.Element | None, key: str, default: str = "0 0 0") -> np.ndarray:
    return np.array([float(v) for v in (default if element is None else element.get(key, default)).split()])


def _placement(element: ET.Element) -> tuple[np.ndarray, np.ndarray]:
    origin = element.find("origin")
    return _vector(origin, "xyz"), Rotation.from_euler("xyz", _vector(origin, "rpy")).as_matrix()


def _box_capsules(half: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Capsules along the longest edge that cover a box up to its corners: middle lines (2, 3) and radii."""
    long, wide, thin = np.argsort(-half, kind="stable")
    radius = 1.1 * half[thin]
    across = max(half[wide] - half[thin], 0.0)
    count = 1 if across < 1e-9 else int(np.ceil(across / half[thin])) + 1
    capsules = []
    for shift in np.linspace(-across, across, count) if count > 1 else [0.0]:
        ends = np.zeros((2, 3))
        ends[:, long] = np.array([-1, 1]) * (half[long] - 0.4 * radius)
        ends[:, wide] = shift
        capsules.append((ends, radius))
    if half[thin] > _THICK:  # the long edges stand out of these: thinner capsules cover them
        edge = half[thin] / 4
        for side, face in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            ends = np.zeros((2, 3))
            ends[:, long] = np.array([-1, 1]) * (half[long] - edge)
            ends[:, wide], ends[:, thin] = side * (half[wide] - edge), face * (half[thin] - edge)
            capsules.append((ends, edge))
    return capsules


def _shape(geometry: ET.Element) -> tuple[list[tuple[np.ndarray, float]], np.ndarray]:
    """Capsules of a collision shape, and its lowest points, in the shape's frame."""
    shape = geometry[0]
    if shape.tag == "sphere":
        radius = float(attribute(shape, "radius"))
        return [(np.zeros((2, 3)), radius)], np.array([[0.0, 0.0, -radius]])
    if shape.tag == "box":
        half = _vector(shape, "size") / 2
        return _box_capsules(half), half * np.array([[-1.0, 1, -1], [-1, -1, -1], [1, 1, -1], [1, -1, -1]])
    if shape.tag in ("cylinder", "capsule"):  # cylinders collide as capsules of their length (exoactor_core.robot)
        radius, length = float(attribute(shape, "radius")), float(attribute(shape, "length"))
        half_line = max(length / 2 - radius, 1e-4) if shape.tag == "cylinder" else length / 2
        return [(np.array([[0, 0, -half_line], [0, 0, half_line]]), radius)], np.zeros((0, 3))
    raise BadInput(f"A collision shape of the robot's description is a {shape.tag}: box, cylinder or sphere is needed.")


def read_urdf(path: str | Path, feet: Sequence[str] = ()) -> Description:
    """Read a robot; the SRDF beside its URDF names the pairs of links that need not be kept apart.

    Parameters
    ----------
    path
        URDF whose collision shapes are boxes, cylinders and spheres.
    feet
        Links whose spheres, if any, are what they stand on: these are no collision shapes.

    Raises
    ------
    BadInput
        The file cannot be read, or is no such URDF.
    """
    try:
        root = description() if path == urdf_path() else ET.parse(path).getroot()
        touching = touching_links(Path(path))
    except OSError as error:
        raise BadInput(f"Cannot read the robot's description {path}: {reason(error)}.") from None
    except ET.ParseError as error:
        raise BadInput(f"{path} is not a URDF: {error}.") from None
    joints = {attribute(child(joint, "child"), "link"): joint for joint in root.findall("joint")}
    elements = {attribute(link, "name"): link for link in root.findall("link")}
    base = [name for name in elements if name not in joints]
    if len(base) != 1:
        raise BadInput(f"{path} is not a URDF of one tree: it has {len(base)} links without a joint.")
    links = {base[0]: (0, np.zeros(3), np.eye(3))}
    hinges: list[ET.Element] = []
    placed: list[tuple[int, np.ndarray, np.ndarray]] = []
    waiting = [joint for joint in root.findall("joint")]
    while waiting:
        ready = [joint for joint in waiting if attribute(child(joint, "parent"), "link") in links]
        if not ready:
            raise BadInput(f"{path} is not a URDF of one tree: a joint's parent is missing.")
        joint = ready[0]
        waiting.remove(joint)
        body, pos, rot = links[attribute(child(joint, "parent"), "link")]
        at, turned = _placement(joint)
        pos, rot = pos + rot @ at, rot @ turned
        if joint.get("type") != "fixed":
            hinges.append(joint)
            placed.append((body, pos, rot))
            body, pos, rot = len(hinges), np.zeros(3), np.eye(3)
        links[attribute(child(joint, "child"), "link")] = (body, pos, rot)

    count = len(hinges) + 1
    mass, moment = np.zeros(count), np.zeros((count, 3))
    capsules: list[tuple[int, np.ndarray, float]] = []
    spheres: dict[int, list[np.ndarray]] = {}
    boxes: dict[int, list[np.ndarray]] = {}
    radius: dict[int, float] = {}
    for name, (body, pos, rot) in links.items():
        inertial = elements[name].find("inertial")
        if inertial is not None:
            own = float(attribute(child(inertial, "mass"), "value"))
            mass[body] += own
            moment[body] += own * (pos + rot @ _placement(inertial)[0])
        for collision in elements[name].findall("collision"):
            at, turned = _placement(collision)
            at, turned = pos + rot @ at, rot @ turned
            geometry = child(collision, "geometry")
            shapes, lowest = _shape(geometry)
            kind = geometry[0].tag
            radius[body] = max(radius.get(body, 0.0), shapes[0][1] if kind == "sphere" else 0.0)
            if kind in ("sphere", "box"):
                (spheres if kind == "sphere" else boxes).setdefault(body, []).append(_lowest(lowest, at, turned, kind))
            if not (name in feet and kind == "sphere"):
                capsules += [(body, at + ends @ turned.T, radius) for ends, radius in shapes]
    limit = [child(joint, "limit") for joint in hinges]
    parent = np.array([p for p, _, _ in placed])
    capsule_body = np.array([body for body, _, _ in capsules])
    axis = np.array([_vector(joint.find("axis"), "xyz", "1 0 0") for joint in hinges])
    return Description(
        joint_names=tuple(attribute(joint, "name") for joint in hinges),
        parent=parent,
        origin=np.array([p for _, p, _ in placed]),
        turn=np.array([r for _, _, r in placed]),
        axis=axis / np.linalg.norm(axis, axis=1, keepdims=True),
        limits=np.array([[float(attribute(x, "lower")), float(attribute(x, "upper"))] for x in limit]),
        speed=np.array([float(attribute(x, "velocity")) for x in limit]),
        effort=np.array([float(attribute(x, "effort")) for x in limit]),
        mass=mass,
        center=moment / np.maximum(mass, 1e-12)[:, None],
        links=links,
        capsule_body=capsule_body,
        capsule_ends=np.array([ends for _, ends, _ in capsules]),
        capsule_radius=np.array([radius for _, _, radius in capsules]),
        pairs=_pairs(capsule_body, [{links[name][0] for name in pair} for pair in touching if pair <= links.keys()]),
        corner_radius={body: radius[body] if body in spheres else 0.0 for body in {*spheres, *boxes}},
        corners={body: np.concatenate(spheres.get(body) or boxes[body]) for body in {*spheres, *boxes}},
    )


def _lowest(points: np.ndarray, at: np.ndarray, turned: np.ndarray, kind: str) -> np.ndarray:
    return at + points if kind == "sphere" else at + points @ turned.T  # a sphere's lowest point stays below it


def _pairs(body: np.ndarray, touching: list[set[int]]) -> np.ndarray:
    """Capsule pairs of different bodies that are not ``touching``."""
    first, second = np.triu_indices(len(body), 1)
    apart = np.ones((body.max(initial=0) + 1,) * 2, dtype=bool)
    np.fill_diagonal(apart, False)
    for pair in touching:
        one, other = min(pair), max(pair)
        apart[one, other] = apart[other, one] = False
    kept = apart[body[first], body[second]]
    return np.stack([first[kept], second[kept]], axis=1)
