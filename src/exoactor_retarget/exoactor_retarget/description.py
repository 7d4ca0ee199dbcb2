"""A robot as the solver needs it: its joint tree, masses, limits, soles and collision capsules, read with pinocchio.

Links behind fixed joints are merged into the moving link. Body 0 is the floating base, body j + 1 is moved by joint j;
joints are in pinocchio's order, parents first.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coal
import numpy as np
import pinocchio as pin

from exoactor_core.errors import BadInput, reason
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
    """(J,) maximum joint speeds, rad/s."""
    effort: np.ndarray
    """(J,) maximum joint torques, N m."""
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
    """Lowest points (K, 3) of each body with spheres or boxes, in the body: what a foot stands on."""
    corner_radius: dict[int, float]
    """m, for these bodies: radius of the spheres whose lowest points the corners are; 0 for boxes."""

    def chain(self, body: int) -> list[int]:
        """Joints from the base to a body."""
        joints: list[int] = []
        while body > 0:
            joints.insert(0, body - 1)
            body = int(self.parent[body - 1])
        return joints

    def body(self, link: str) -> int:
        """Body of a link; raises `BadInput` if there is no such link."""
        if link not in self.links:
            raise BadInput(f"The robot's description has no link '{link}'.")
        return self.links[link][0]


_MIN_HALF_THICKNESS = 0.02  # m: half the thickness from which a box's edges matter


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
    if half[thin] > _MIN_HALF_THICKNESS:  # the long edges protrude from these: thinner capsules cover them
        edge = half[thin] / 4
        for side, face in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            ends = np.zeros((2, 3))
            ends[:, long] = np.array([-1, 1]) * (half[long] - edge)
            ends[:, wide], ends[:, thin] = side * (half[wide] - edge), face * (half[thin] - edge)
            capsules.append((ends, edge))
    return capsules


def _shape(geometry: coal.CollisionGeometry) -> tuple[list[tuple[np.ndarray, float]], np.ndarray]:
    """Capsules of a collision shape, and its lowest points, in the shape's frame."""
    if isinstance(geometry, coal.Sphere):
        return [(np.zeros((2, 3)), geometry.radius)], np.array([[0.0, 0.0, -geometry.radius]])
    if isinstance(geometry, coal.Box):
        half = geometry.halfSide
        return _box_capsules(half), half * np.array([[-1.0, 1, -1], [-1, -1, -1], [1, 1, -1], [1, -1, -1]])
    if isinstance(geometry, coal.Cylinder):  # they collide as capsules of the same length (exoactor_core.robot)
        half_line = max(geometry.halfLength - geometry.radius, 1e-4)
        return [(np.array([[0, 0, -half_line], [0, 0, half_line]]), geometry.radius)], np.zeros((0, 3))
    kind = type(geometry).__name__
    raise BadInput(f"A collision shape of the robot's description is a {kind}: box, cylinder or sphere is needed.")


def read_urdf(path: str | Path, feet: Sequence[str] = ()) -> Description:
    """Read a robot; the SRDF beside its URDF names the pairs of links that may touch.

    Parameters
    ----------
    path
        URDF whose collision shapes are boxes, cylinders and spheres.
    feet
        Links that stand on their spheres, if any, which then are not collision shapes.

    Raises
    ------
    BadInput
        The file cannot be read, or is not such a URDF.
    """
    model, geometries, touching = _parsed(Path(path))
    links = {
        frame.name: (frame.parentJoint - 1, frame.placement.translation, frame.placement.rotation)
        for frame in model.frames
        if frame.type == pin.FrameType.BODY
    }
    shapes = _collision_shapes(model, geometries, feet)
    hinges = range(2, model.njoints)  # after the universe and the floating base
    positions, inertias = [model.idx_qs[j] for j in hinges], list(model.inertias)[1:]
    together = [{links[name][0] for name in pair} for pair in touching if pair <= links.keys()]
    return Description(
        joint_names=tuple(list(model.names)[2:]),
        parent=np.array([model.parents[j] - 1 for j in hinges]),
        origin=np.array([model.jointPlacements[j].translation for j in hinges]),
        turn=np.array([model.jointPlacements[j].rotation for j in hinges]),
        axis=np.array([_axis(model.joints[j]) for j in hinges]),
        limits=np.stack([model.lowerPositionLimit, model.upperPositionLimit], axis=1)[positions],
        speed=model.velocityLimit[6:].copy(),
        effort=model.effortLimit[6:].copy(),
        mass=np.array([inertia.mass for inertia in inertias]),
        center=np.array([inertia.lever for inertia in inertias]),
        links=links,
        pairs=_pairs(shapes["capsule_body"], together),
        **shapes,
    )


def _parsed(path: Path) -> tuple[pin.Model, Sequence[pin.GeometryObject], frozenset[frozenset[str]]]:
    """A URDF's kinematic tree and collision shapes, and the pairs of links that its SRDF exempts; see `read_urdf`."""
    try:
        text = ET.tostring(description(), "unicode") if path == urdf_path() else path.read_text(encoding="utf-8")
        touching = touching_links(path)
        model = pin.buildModelFromXML(text, pin.JointModelFreeFlyer())
        geometries = pin.buildGeomFromUrdfString(model, text, pin.GeometryType.COLLISION).geometryObjects
    except OSError as error:
        raise BadInput(f"Cannot read the robot's description {path}: {reason(error)}.") from None
    except ValueError as error:
        raise BadInput(f"{path} is not a URDF of one tree: {reason(error)}.") from None
    if any(model.nqs[j] != 1 for j in range(2, model.njoints)):
        raise BadInput(f"{path} has joints that are no hinges with limits.")
    return model, geometries, touching


def _collision_shapes(
    model: pin.Model, geometries: Sequence[pin.GeometryObject], feet: Sequence[str]
) -> dict[str, Any]:
    """Fields of a `Description`: the capsules of the shapes, and the lowest points of spheres, or else of boxes."""
    capsules: list[tuple[int, np.ndarray, float]] = []
    spheres: dict[int, list[np.ndarray]] = {}
    boxes: dict[int, list[np.ndarray]] = {}
    radius: dict[int, float] = {}
    for item in geometries:
        body, at, turned = item.parentJoint - 1, item.placement.translation, item.placement.rotation
        shapes, lowest = _shape(item.geometry)
        sphere = isinstance(item.geometry, coal.Sphere)
        radius[body] = max(radius.get(body, 0.0), shapes[0][1] if sphere else 0.0)
        if sphere:  # its lowest point stays below it
            spheres.setdefault(body, []).append(at + lowest)
        elif len(lowest):
            boxes.setdefault(body, []).append(at + lowest @ turned.T)
        if not (sphere and model.frames[item.parentFrame].name in feet):
            capsules += [(body, at + ends @ turned.T, radius) for ends, radius in shapes]
    return {
        "capsule_body": np.array([body for body, _, _ in capsules]),
        "capsule_ends": np.array([ends for _, ends, _ in capsules]),
        "capsule_radius": np.array([radius for _, _, radius in capsules]),
        "corner_radius": {body: radius[body] if body in spheres else 0.0 for body in {*spheres, *boxes}},
        "corners": {body: np.concatenate(spheres.get(body) or boxes[body]) for body in {*spheres, *boxes}},
    }


def _axis(joint: pin.JointModel) -> np.ndarray:
    """(3,) axis of a hinge, in its frame."""
    data = joint.createData()
    joint.calc(data, np.zeros(joint.nq + joint.idx_q))
    return np.ravel(data.S)[3:]


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
