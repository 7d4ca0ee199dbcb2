"""Objects around the person: their poses, and how hands or feet move them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import min_jerk, unit
from exoactor_core.everyday import CHAIR_BACK, COLORS, EVERYDAY
from exoactor_core.rotations import rotate_2d, shortest_turn, yaw_from_quat
from exoactor_core.scene import Scene, SceneObject, articulated, everyday
from exoactor_core.solids import solid_distance
from exoactor_gen.mannequin.movement import KINDS, SHOWN, Movement, category_of, color_of, size_of
from exoactor_gen.plan import Side

BROOM = "broom"
"""Tool for sweeping, which is not an object of the task."""
MAX_CARRIED = 3.0
"""kg that hands can carry."""
ONE_HANDED_WIDTH = 0.105
"""m, maximum width of objects for one hand."""
TALL_HEIGHT = 0.4
"""m: objects at least this high reach the hanging hands of a person beside them."""
BACKREST = CHAIR_BACK
"""m, height of a chair's back above its seat."""
TOECAP_LENGTH = 0.015
"""m that the shoe extends beyond the tip of the sole."""
PALM_DEPTH = 0.02
"""m from the centre of the hand to the surface on which the palm lies."""


_IMAGINED_SIZE = {"shelf": (0.30, 0.80, 0.74)}
"""m, sizes of imagined objects that differ from the usual ones: the top of a shelf within arm's reach."""


@dataclass(frozen=True)
class Held:
    """An interval in which hands hold an object, and the pose at which they leave it."""

    begin: float
    end: float
    sides: tuple[str, ...]
    after: np.ndarray
    """(4,) final pose: x, y, z of its underside's centre, yaw."""
    slides: bool = False
    """Whether it is pushed over its support rather than lifted."""


@dataclass(frozen=True)
class Kicked:
    """A kick, after which the object slides or rolls away with decreasing speed."""

    side: str
    begin: float
    """The foot is still behind it."""
    end: float
    after: np.ndarray
    """(4,) final pose."""


@dataclass(frozen=True)
class Opened:
    """A motion in its articulation, pushed or drawn by a hand."""

    begin: float
    end: float
    angle: float
    """rad, or m for a drawer."""
    after: np.ndarray
    """(4,) final pose."""


@dataclass(eq=False)
class RoomObject:
    """An object of the scene, and its motions."""

    item: SceneObject
    start: np.ndarray
    """(4,) x, y, z of its underside's centre in m, yaw in rad."""
    events: list[Held | Kicked | Opened] = field(default_factory=list)

    @classmethod
    def imagined(cls, name: str, pose: np.ndarray, size: tuple[float, ...] | None = None) -> RoomObject:
        """Create an everyday object such as cup or red_cup, of usual size or (3,) m, or the broom, at a pose (4,)."""
        if name == BROOM:
            return cls(_broom(), pose)
        given: dict[str, Any] = {"color": COLORS[color]} if (color := color_of(name)) else {}
        kind = category_of(name)
        if (share := size_of(name)) != 1.0:
            size = tuple(share * length for length in EVERYDAY[kind].size)
        return cls(everyday(kind, name, size=size or _IMAGINED_SIZE.get(kind), **given), pose)

    @classmethod
    def given(cls, item: SceneObject) -> RoomObject:
        """An object of a given scene; tilted ones count as upright."""
        x, y, z = item.rotation.apply(_underside(item)) + item.pos
        return cls(item, np.array([x, y, z, float(yaw_from_quat(item.quat_wxyz))]))

    def at(self, pose: np.ndarray) -> RoomObject:
        """The same object at another pose (4,)."""
        return RoomObject(self.item, pose)

    def turned(self, angle: float) -> np.ndarray:
        """(4,) its pose when rotated in its articulation from the start, rad."""
        return RoomObject.given(articulated(self.scene_object, angle)).start

    @property
    def kind(self) -> str:
        """Its category."""
        return self.item.category

    @property
    def name(self) -> str:
        """Its id as words."""
        return self.item.id.replace("_", " ")

    @property
    def size(self) -> np.ndarray:
        """(3,) depth, width, height, m; for a chair, the height of its seat."""
        low, high = self.item.bounds
        size = high - low
        if self.kind == "chair":
            seat = max(self.item.shapes, key=lambda shape: shape.size[0] * shape.size[1])
            size[2] = seat.pos[2] + seat.size[2] / 2.0 - low[2]
        return size

    @property
    def round(self) -> bool:
        """Whether it looks the same from all sides."""
        return self.item.shapes[0].is_round

    @property
    def loose(self) -> bool:
        """Whether hands can carry it."""
        return self.item.movable and not self.item.supports and self.item.mass <= MAX_CARRIED

    @property
    def one_handed(self) -> bool:
        """Whether one hand suffices for it."""
        return self.loose and float(min(self.size[:2])) <= ONE_HANDED_WIDTH and self.kind != BROOM

    @property
    def underside(self) -> np.ndarray:
        """(3,) m, centre of its underside in the frame of the scene's object."""
        return _underside(self.item)

    @property
    def scene_object(self) -> SceneObject:
        """The scene's object at the start."""
        turn = Rotation.from_euler("z", self.start[3])
        return self.item.at(
            np.concatenate([self.start[:3] - turn.apply(self.underside), turn.as_quat(scalar_first=True)])
        )

    @property
    def pose(self) -> np.ndarray:
        """(4,) final pose, or the one at which it was last put down."""
        return self.events[-1].after if self.events else self.start

    def distance(self, points: np.ndarray) -> Any:
        """Distance of points x, y (..., 2 or more) on the floor from the area that it covers, m; 0 inside."""
        across = self._local(points)
        return np.linalg.norm(np.maximum(np.abs(across) - self.size[:2] / 2.0, 0.0), axis=-1)

    def nearest(self, point: np.ndarray) -> np.ndarray:
        """(2,) the point of the area that it covers that is nearest to a point x, y on the floor, m."""
        inside = np.clip(self._local(point), -self.size[:2] / 2.0, self.size[:2] / 2.0)
        return self.pose[:2] + rotate_2d(self.pose[3], inside)

    def _local(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) points on the floor in its own axes, m."""
        return rotate_2d(-self.pose[3], np.asarray(points)[..., :2] - self.pose[:2])

    def edge(self, yaw: float) -> float:
        """Distance from its centre along ``yaw`` to its edge, m."""
        turn = yaw - self.pose[3]
        if self.round:
            return float(self.size[0] / 2.0)
        along = np.abs([math.cos(turn), math.sin(turn)])
        return float(np.min(self.size[:2] / 2.0 / np.maximum(along, 1e-9)))

    def extent(self, yaw: float) -> float:
        """Distance from its centre to the supporting line in direction ``yaw``, m."""
        return self._half(self.size, yaw)

    def bulk(self, yaw: float) -> float:
        """As `extent`, for its largest shape: for example the leaf of a door without its handles."""
        return self._half(self.item.largest_shape.size, yaw)

    def _half(self, size: np.ndarray | tuple[float, ...], yaw: float) -> float:
        turn = yaw - self.pose[3]
        return float(abs(math.cos(turn)) * size[0] + abs(math.sin(turn)) * size[1]) / 2.0


def _underside(item: SceneObject) -> np.ndarray:
    low, high = item.bounds
    return np.array([*(low + high)[:2] / 2.0, low[2]])


def objects_of(scene: Scene) -> dict[str, RoomObject]:
    """The objects of a given scene, by their ids."""
    return {item.id: RoomObject.given(item) for item in scene.objects}


@dataclass(frozen=True)
class ObjectMotion:
    """An object and its path."""

    object: RoomObject
    position: np.ndarray
    """(T, 3) m, of its underside's centre."""
    rotation: np.ndarray
    """(T, 3, 3) from its own axes (depth forward, width left, height up) to the world."""


def object_motion(
    obj: RoomObject, times: np.ndarray, hands: dict[str, np.ndarray], toes: dict[str, np.ndarray], heading: np.ndarray
) -> ObjectMotion:
    """Poses of an object while a person moves.

    Parameters
    ----------
    object
        With its motions.
    times
        (T,) s.
    hands
        By side, (T, 3) m: centres of the hands.
    toes
        By side, (T, 3) m: tips of the soles.
    heading
        (T,) rad, the person's heading.
    """
    poses = np.tile(obj.start, (len(times), 1))
    tilt = np.tile(np.eye(3), (len(times), 1, 1))
    for event in obj.events:
        later, now = times >= event.end, (times >= event.begin) & (times < event.end)
        before = poses[now].copy()
        poses[later] = event.after
        if isinstance(event, Kicked):
            still = obj.at(before[0])
            stands = ObjectMotion(still, before[:, :3], Rotation.from_euler("z", before[:, 3:]).as_matrix())
            met = surface_distance(stands, toes[event.side][now]) < TOECAP_LENGTH
            begin = times[now][int(np.argmax(met))] if met.any() else event.begin
            s = np.clip((times[now] - begin) / (event.end - begin), 0.0, 1.0)
            poses[now] = before + (1.0 - (1.0 - s) ** 3)[:, None] * (event.after - before)
        elif isinstance(event, Opened):
            angles = event.angle * min_jerk((times[now] - event.begin) / (event.end - event.begin))
            poses[now] = np.reshape([obj.turned(angle) for angle in angles], (-1, 4))
        elif obj.kind == BROOM:
            axis = unit(hands[event.sides[0]] - hands[event.sides[1]])
            first = int(np.argmax(now))
            along = float((hands[event.sides[0]][first] - before[0][:3]) @ axis[first])
            poses[now, :3] = (hands[event.sides[0]] - along * axis)[now]
            tilt[now] = Rotation.from_rotvec(shortest_turn([0.0, 0.0, 1.0], axis[now])).as_matrix()
        elif now.any():
            middle = np.mean([hands[side] for side in event.sides], axis=0)
            first = int(np.argmax(now))
            turned = heading - heading[first]
            if event.slides:
                poses[now, :2] = before[:, :2] + (middle - middle[first])[now, :2]
                continue
            offset = poses[first, :3] - middle[first]
            poses[now, :3] = (middle + Rotation.from_euler("z", turned[:, None]).apply(offset))[now]
            poses[now, 3] = before[0][3] + turned[now]
    return ObjectMotion(obj, poses[:, :3], tilt @ Rotation.from_euler("z", poses[:, 3:]).as_matrix())


def corners(obj: ObjectMotion) -> np.ndarray:
    """Corners of an object's bounding box, (T, 8, 3) m."""
    low, high = obj.object.item.bounds - obj.object.underside
    signs = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    return obj.position[:, None] + (low + signs * (high - low)) @ obj.rotation.transpose(0, 2, 1)


def surface_distance(obj: ObjectMotion, points: np.ndarray) -> np.ndarray:
    """Distance of points (T, ..., 3) from the surface of an object, m; negative inside. Meshes count as their boxes."""
    flat = points.reshape(len(points), -1, 3)
    local = np.einsum("tji,tnj->tni", obj.rotation, flat - obj.position[:, None]) + obj.object.underside
    distances = []
    for shape in obj.object.item.shapes:
        inside = shape.local(local.reshape(-1, 3))
        distances.append(solid_distance(shape.kind, np.array(shape.size) / 2.0, inside.T[None])[0][0])
    return np.min(distances, axis=0).reshape(points.shape[:-1])


def _broom() -> SceneObject:
    stick = {"kind": "cylinder", "size": (0.04, 0.04, 1.45), "pos": (0.0, 0.0, 0.725)}
    return SceneObject.model_validate({"id": BROOM, "category": BROOM, "mass": 0.8, "shapes": [stick]})


def _kinds(wanted: str) -> tuple[str, ...]:
    made = (RoomObject.imagined(kind, np.zeros(4)) for kind in sorted(SHOWN))
    return tuple(obj.kind for obj in made if getattr(obj, wanted))


LOOSE = _kinds("loose")
"""Kinds of objects that the mannequin imagines and that hands can carry."""
ONE_HANDED = _kinds("one_handed")
"""Kinds for which one hand suffices."""


def usual_side(movement: Movement) -> Side:
    """Default side of the hand, arm or foot of a movement."""
    return movement.side or ("right" if category_of(movement.object or "") in ONE_HANDED else KINDS[movement.kind].side)
