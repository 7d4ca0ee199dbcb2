"""The objects around the robot, and their file.

The world is z up, in m, with the floor at z = 0; the motion begins at the origin, facing +x. `exoactor_core.scene_mjcf`
converts scenes to and from MuJoCo; `exoactor_core.everyday` has the properties of everyday objects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from annotated_types import Len
from numpy.typing import ArrayLike
from pydantic import Field, PositiveFloat, TypeAdapter, field_validator, model_validator
from scipy.spatial.transform import Rotation

from exoactor_core.contacts import Vector
from exoactor_core.errors import BadInput
from exoactor_core.everyday import COLORS, EVERYDAY, color_name, usual
from exoactor_core.files import load_yaml, save_bytes
from exoactor_core.validation import FrozenModel, validated

Quaternion = tuple[float, float, float, float]
"""w, x, y, z."""

Size = tuple[PositiveFloat, PositiveFloat, PositiveFloat]

MAX_STEP_HEIGHT = 0.12
"""m, maximum height of objects that are stepped over."""


class _Posed(FrozenModel):
    pos: Vector = (0.0, 0.0, 0.0)
    """m."""
    quat_wxyz: Quaternion = (1.0, 0.0, 0.0, 0.0)

    @field_validator("quat_wxyz")
    @classmethod
    def _unit(cls, quat: Quaternion) -> Quaternion:
        norm = float(np.linalg.norm(quat))
        if abs(norm - 1.0) > 0.01:
            raise ValueError(f"a quaternion of unit length is needed, but its norm is {norm:.3f}")
        return quat if abs(norm - 1.0) < 1e-9 else tuple(float(v) / norm for v in quat)  # type: ignore[return-value]

    @property
    def rotation(self) -> Rotation:
        """Rotation of its own frame in the outer one."""
        return Rotation.from_quat(self.quat_wxyz, scalar_first=True)

    @property
    def pose(self) -> np.ndarray:
        """(7,) position in m and orientation w, x, y, z in the outer frame."""
        return np.array([*self.pos, *self.quat_wxyz])

    def local(self, points: ArrayLike) -> np.ndarray:
        """Points (3,) or (n, 3) m of the outer frame in its own frame."""
        return self.rotation.inv().apply(np.asarray(points) - self.pos)


class Shape(_Posed):
    """A solid of an object, with its centre at ``pos`` in the object's frame."""

    kind: Literal["box", "cylinder", "sphere", "capsule", "mesh"]
    """The axes of cylinders and capsules are along z."""
    size: Size
    """m, full extents along x, y and z of its own frame, including the caps of capsules; meshes are scaled to it."""
    mesh: str = ""
    """Path of an .stl, .obj or .msh, relative to the scene's file if it is read from one. Meshes collide as their
    convex hull."""

    @model_validator(mode="after")
    def _consistent(self) -> Shape:
        x, y, z = self.size
        if self.kind in ("cylinder", "capsule") and x != y:
            raise ValueError(f"a {self.kind} is round: its size along x and y is its diameter, but {x:g} is not {y:g}")
        if self.kind == "capsule" and z < x:
            raise ValueError(f"a capsule of diameter {x:g} cannot be {z:g} long")
        if self.kind == "sphere" and not x == y == z:
            raise ValueError("the three sizes of a sphere are its diameter, but they differ")
        if (self.kind == "mesh") != bool(self.mesh):
            raise ValueError(
                "a mesh needs the path of its file" if not self.mesh else f"a {self.kind} has no mesh file"
            )
        return self

    @property
    def is_round(self) -> bool:
        """Whether it looks the same from all sides, turned about its z axis."""
        return self.kind in ("cylinder", "sphere", "capsule")


class Articulation(FrozenModel):
    """A joint between an object and the world, as of a door or a drawer; at 0 the object is at its given pose."""

    kind: Literal["hinge", "slide"]
    axis: Vector
    """In the object's frame."""
    pos: Vector = (0.0, 0.0, 0.0)
    """m, a point of a hinge's axis in the object's frame."""
    limits: tuple[float, float]
    """rad or m."""
    damping: float = Field(0.0, ge=0.0)
    """N m s/rad or N s/m."""
    initial: float = 0.0
    """rad or m, position at the start."""

    @model_validator(mode="after")
    def _consistent(self) -> Articulation:
        low, high = self.limits
        if not low < high:
            raise ValueError(f"the lower limit {low:g} is not below the upper {high:g}")
        if not low <= self.initial <= high:
            raise ValueError(f"it starts at {self.initial:g}, outside its limits of {low:g} to {high:g}")
        if np.linalg.norm(self.axis) < 1e-6:
            raise ValueError("the axis has no direction")
        return self

    @property
    def direction(self) -> np.ndarray:
        """(3,) the axis as a unit vector."""
        return np.array(self.axis) / np.linalg.norm(self.axis)


class SceneObject(_Posed):
    """A rigid object, its frame at ``pos`` and ``quat_wxyz`` in the world.

    Without shapes it is an everyday object (`exoactor_core.everyday`), with its frame at the centre of its underside;
    it may have a ``size`` (x, y, z) in m then, and any other field overrides the usual property.
    """

    id: str = Field(min_length=1, max_length=60, pattern=r"^[a-z][a-z0-9_]*$")
    category: str = Field(min_length=1, max_length=60, pattern=r"^[a-z][a-z0-9_ -]*$")
    """Kind of object: bottle, table ..."""
    shapes: Annotated[tuple[Shape, ...], Len(1, 100)]
    mass: float = Field(1.0, gt=0.0, le=1000.0)
    """kg; of a fixed object it has no effect."""
    friction: float = Field(0.8, ge=0.0, le=5.0)
    """Coefficient of sliding friction on hands, floor and other objects (the higher of two counts)."""
    rolling_friction: float = Field(0.0, ge=0.0, le=0.1)
    """m, lever arm of the rolling resistance."""
    movable: bool = True
    """It can be carried or pushed away; False: it is fixed, or moves in its articulation only."""
    articulation: Articulation | None = None
    supports: bool = False
    """Objects can be put on it."""
    contains: bool = False
    """Objects can be put into it."""
    color: tuple[float, float, float] | None = None
    """Red, green, blue in [0, 1]; None: any."""

    @model_validator(mode="before")
    @classmethod
    def _everyday(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "shapes" in data:
            return data
        given = dict(data)
        size = given.pop("size", None)
        if size is not None:
            size = TypeAdapter(Size).validate_python(size)
        category = given.get("category")
        if category not in EVERYDAY:
            raise ValueError(f"'{category}' is not an everyday object ({', '.join(EVERYDAY)}): give it shapes")
        return {**usual(category, size), **given}

    @model_validator(mode="after")
    def _consistent(self) -> SceneObject:
        if self.movable and self.articulation:
            raise ValueError(f"'{self.id}' is movable and has an articulation: set movable to false")
        return self

    @property
    def boxes(self) -> np.ndarray:
        """(N, 2, 3) m, lowest and highest corner of each shape's bounding box, in the object's frame."""
        middle = np.array([shape.pos for shape in self.shapes])
        half = np.array([np.abs(s.rotation.as_matrix()) @ s.size for s in self.shapes]) / 2.0
        return np.stack([middle - half, middle + half], axis=1)

    @property
    def bounds(self) -> np.ndarray:
        """(2, 3) m, lowest and highest corner of the bounding box of all shapes, in the object's frame."""
        low, high = self.boxes.swapaxes(0, 1)
        return np.array([low.min(axis=0), high.max(axis=0)])

    def nearest_box(self, point: np.ndarray) -> np.ndarray:
        """(2, 3) m, the one of `boxes` nearest to a point (3,) in the object's frame."""
        return min(self.boxes, key=lambda box: float(np.linalg.norm(np.clip(point, *box) - point)))

    @property
    def corners(self) -> np.ndarray:
        """(8, 3) m, the corners of `bounds` in the world."""
        corners = np.array(np.meshgrid(*self.bounds.T)).reshape(3, -1).T
        return self.rotation.apply(corners) + self.pos

    @property
    def extent(self) -> np.ndarray:
        """(2, 3) m, lowest and highest corner of the axis-aligned bounding box of `corners` in the world."""
        return np.array([self.corners.min(axis=0), self.corners.max(axis=0)])

    @property
    def heights(self) -> np.ndarray:
        """(n, 2) m, lowest and highest point of each shape's bounding box, in the world."""
        middle = self.pos[2] + self.rotation.apply([shape.pos for shape in self.shapes])[:, 2]
        half = [np.abs((self.rotation * s.rotation).as_matrix()[2]) @ s.size / 2.0 for s in self.shapes]
        return np.stack([middle - half, middle + half], axis=1)

    def floor_distance(self, points: np.ndarray) -> np.ndarray:
        """(...,) m, horizontal distance of points (..., 2) from `extent`; 0 within it."""
        return np.linalg.norm(points - np.clip(points, *self.extent[:, :2]), axis=-1)

    @property
    def largest_shape(self) -> Shape:
        """The shape with the largest bounding box."""
        return max(self.shapes, key=lambda shape: math.prod(shape.size))

    @property
    def is_round(self) -> bool:
        """Whether it looks the same from all sides, turned about its z axis."""
        return all(
            np.hypot(*shape.pos[:2]) < 1e-6
            and shape.is_round
            and (shape.kind == "sphere" or abs(shape.rotation.as_matrix()[2, 2]) > 1.0 - 1e-6)
            for shape in self.shapes
        )

    def at(self, pose: np.ndarray) -> SceneObject:
        """The same object at another pose (7,)."""
        x, y, z, *quat = (float(v) for v in pose)
        return self.model_copy(update={"pos": (x, y, z), "quat_wxyz": tuple(quat)})


class Scene(FrozenModel):
    """The objects around the robot."""

    objects: Annotated[tuple[SceneObject, ...], Len(0, 100)] = ()

    @model_validator(mode="after")
    def _ids_differ(self) -> Scene:
        ids = [obj.id for obj in self.objects]
        twice = next((i for i in ids if ids.count(i) > 1), None)
        if twice:
            raise ValueError(f"two objects have the id '{twice}'")
        return self

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the objects, in their order."""
        return tuple(obj.id for obj in self.objects)

    @property
    def poses(self) -> np.ndarray:
        """(n, 7) m and w, x, y, z of the objects in the world."""
        return np.array([obj.pose for obj in self.objects]).reshape(-1, 7)

    def __getitem__(self, object_id: str) -> SceneObject:
        """The object with an id; raises `BadInput` if there is none."""
        for obj in self.objects:
            if obj.id == object_id:
                return obj
        raise BadInput(f"The scene has no object '{object_id}': it has {', '.join(self.ids) or 'none'}.")

    def find(self, name: str) -> SceneObject:
        """The object that words refer to: an id, or a category with or without a distinguishing word of its id.

        "the cup", "red cup" and "red_cup" all find the object red_cup, where it is the only cup; "red cup" also finds
        the only cup whose ``color`` is red.

        Raises
        ------
        BadInput
            The scene has none, or several; the message names them.
        """
        words = [w for w in re.findall(r"[a-z0-9]+", name.lower()) if w not in ("the", "a", "an", "this", "that")]
        if "_".join(words) in self.ids:
            return self["_".join(words)]
        found = [obj for obj in self.objects if words and set(words) <= _words(obj)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise BadInput(f"The scene has no '{' '.join(words) or name}': it has {', '.join(self.ids) or 'nothing'}.")
        *others, last = (obj.id for obj in found)
        raise BadInput(f"Which {' '.join(words)}? The scene has {', '.join(others)} and {last}: name one of them.")

    def data(self) -> dict[str, Any]:
        """The scene as JSON-ready values, without defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def read(cls, data: Any, name: str = "The scene") -> Scene:
        """Read a scene from JSON-ready values.

        Raises
        ------
        BadInput
            The data is not a scene; the message names the first fault.
        """
        if not isinstance(data, dict):
            raise BadInput(f"{name} is not a scene: a mapping with the list 'objects' is needed.")
        return validated(cls, data, name)

    def save(self, path: str | Path) -> None:
        """Write the scene as YAML, atomically."""
        save_bytes(path, yaml.safe_dump(self.data(), sort_keys=False, default_flow_style=None, width=100).encode())

    @classmethod
    def load(cls, path: str | Path) -> Scene:
        """Read a scene's YAML; paths of meshes become absolute. Raises as `read` and `load_yaml`."""
        scene = cls.read(load_yaml(path), str(path))
        folder = Path(path).resolve().parent
        return cls(objects=tuple(_with_meshes_in(folder, obj) for obj in scene.objects))


def _words(obj: SceneObject) -> set[str]:
    """Words by which an object is called: those of its id and category, and its colour if these name none."""
    words = {*re.findall(r"[a-z0-9]+", obj.category), *obj.id.split("_")}
    if obj.color and not words & COLORS.keys():
        words.add(color_name(obj.color))
    return words


def _with_meshes_in(folder: Path, obj: SceneObject) -> SceneObject:
    shapes = tuple(
        shape.model_copy(update={"mesh": str(folder / shape.mesh)}) if shape.mesh else shape for shape in obj.shapes
    )
    return obj.model_copy(update={"shapes": shapes})


def everyday(
    category: str, object_id: str = "", pos: Sequence[float] = (0.0, 0.0, 0.0), yaw: float = 0.0, **given: Any
) -> SceneObject:
    """Create an object of a category of `exoactor_core.everyday.EVERYDAY`, which is also the default id.

    The centre of its underside is at ``pos`` (3,) m, and it is turned by ``yaw`` rad. ``given`` fields override the
    usual ones: ``size`` (3,) m, or any other field of `SceneObject`.

    Raises
    ------
    BadInput
        There is no such category, or the given fields are invalid.
    """
    quat = (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
    named = {"id": object_id or category, "category": category, "pos": tuple(pos), "quat_wxyz": quat}
    return validated(SceneObject, named | given, f"The {object_id or category}")


def articulated(obj: SceneObject, value: float) -> SceneObject:
    """An object moved in its articulation from 0 to ``value``, rad or m."""
    joint = obj.articulation
    if joint is None:
        return obj
    if joint.kind == "slide":
        return obj.at(np.r_[obj.pos + obj.rotation.apply(value * joint.direction), obj.quat_wxyz])
    turn = Rotation.from_rotvec(value * joint.direction)
    pos = obj.pos + obj.rotation.apply(np.array(joint.pos) - turn.apply(joint.pos))
    return obj.at(np.r_[pos, (obj.rotation * turn).as_quat(scalar_first=True)])


def joined(objects: Sequence[SceneObject]) -> Scene:
    """A scene of these objects; raises `BadInput` if two have the same id."""
    return validated(Scene, {"objects": tuple(objects)}, "The scene")


def perturbed(scene: Scene, rng: np.random.Generator) -> Scene:
    """A randomly perturbed scene, as reality might be.

    Movable objects are displaced by up to 2 cm and 5 degrees on their ground. The masses of all objects vary by up to
    20%, and friction coefficients from 0.5 to 1.2.
    """
    return joined([_perturbed(obj, rng) for obj in scene.objects])


def _perturbed(obj: SceneObject, rng: np.random.Generator) -> SceneObject:
    far, towards = 0.02 * math.sqrt(rng.random()), rng.uniform(-math.pi, math.pi)
    turn = math.radians(rng.uniform(-5.0, 5.0))
    otherwise = obj.model_copy(
        update={"mass": obj.mass * (1.0 + rng.uniform(-0.2, 0.2)), "friction": rng.uniform(0.5, 1.2)}
    )
    if not obj.movable:
        return otherwise
    pos = obj.pos + far * np.array([math.cos(towards), math.sin(towards), 0.0])
    quat = (Rotation.from_euler("z", turn) * obj.rotation).as_quat(scalar_first=True)
    return otherwise.at(np.r_[pos, quat])
