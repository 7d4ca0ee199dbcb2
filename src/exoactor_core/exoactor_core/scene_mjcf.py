"""Scenes in MuJoCo: bodies in a model, MJCF files, and checks of their geometry."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.errors import BadInput
from exoactor_core.files import need_file, save_bytes
from exoactor_core.scene import Articulation, Scene, SceneObject, Shape, articulated, joined

OBJECT_BIT = 4
"""Contact bit of objects, in addition to bit 0 of the floor and the robot."""

_GEOM = mujoco.mjtGeom
_KINDS = {
    "box": _GEOM.mjGEOM_BOX,
    "cylinder": _GEOM.mjGEOM_CYLINDER,
    "sphere": _GEOM.mjGEOM_SPHERE,
    "capsule": _GEOM.mjGEOM_CAPSULE,
    "mesh": _GEOM.mjGEOM_MESH,
}
_TORSIONAL = 0.005  # m, MuJoCo's default

MAX_LIFTED_MASS = 3.0
"""kg, maximum mass that the robot may lift: what its arms, with 2 kg payload each by Unitree's data sheet, hold in
front of the body."""
MAX_HEIGHT = 1.4
"""m, maximum height that the hands reach: shoulders at 1.07 m, and 0.35 m above them with the elbow bent."""
MAX_DEPTH = 0.45
"""m that hands reach beyond the edge of what an object stands on."""
_OVERLAP = 0.005  # m by which objects may overlap
_GAP = 0.01  # m that an object may be above its support
_ROBOT_RADIUS, _ROBOT_HEIGHT = 0.2, 1.2  # m, space of the robot at the start

_METADATA = "exoactor/"  # prefix of the texts in an MJCF that hold what MuJoCo has no field for


# --- bodies ---


def add_objects(spec: mujoco.MjSpec, scene: Scene, prefix: str = "") -> None:
    """Add the objects of a scene to a model: bodies and joints named by ``prefix`` and id, geoms "<name>/<k>".

    An object's friction and contact dimension hold against everything but objects of higher friction. Keyframes of the
    model grow by the objects' own.

    Raises
    ------
    BadInput
        A mesh is missing, cannot be read, or is open.
    """
    for obj in scene.objects:
        _add(spec, obj, prefix + obj.id)
    start = initial_qpos(scene)
    for key in spec.keys:
        key.qpos = [*key.qpos, *start]


def initial_qpos(scene: Scene) -> np.ndarray:
    """Initial positions of the objects' joints, in order: 7 for a movable object, 1 for an articulated one."""
    parts = [obj.pose if obj.movable else [_initial(obj)] for obj in scene.objects if _moves(obj)]
    return np.concatenate([np.empty(0), *parts])


def _moves(obj: SceneObject) -> bool:
    return obj.movable or obj.articulation is not None


def _initial(obj: SceneObject) -> float:
    return obj.articulation.initial if obj.articulation else 0.0


def _add(spec: mujoco.MjSpec, obj: SceneObject, name: str) -> None:
    start = articulated(obj, _initial(obj))
    body = spec.worldbody.add_body(name=name, pos=start.pos, quat=start.quat_wxyz)
    if obj.movable:
        body.add_freejoint(name=name)
    elif obj.articulation is not None:
        _add_joint(body, obj.articulation, name, bool(spec.compiler.degree))
    volumes = [_volume(shape) for shape in obj.shapes]
    for k, (shape, volume) in enumerate(zip(obj.shapes, volumes, strict=True)):
        geom = body.add_geom(name=f"{name}/{k}", type=_KINDS[shape.kind], pos=shape.pos, quat=shape.quat_wxyz)
        if shape.kind == "mesh":
            geom.meshname = _add_mesh(spec, shape, f"{name}/{k}")
        else:
            geom.size = _half_sizes(shape)
        geom.mass = obj.mass * volume / sum(volumes)
        geom.contype = geom.conaffinity = 1 | OBJECT_BIT
        geom.condim = 6 if obj.rolling_friction else 4
        geom.friction = [obj.friction, _TORSIONAL, obj.rolling_friction]
        geom.priority = 1
        geom.rgba = [*(obj.color or (0.7, 0.6, 0.5)), 1.0]


def _add_joint(body: Any, joint: Articulation, name: str, in_degrees: bool) -> None:
    hinge = joint.kind == "hinge"
    unit = math.degrees(1.0) if hinge and in_degrees else 1.0
    added = body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_HINGE if hinge else mujoco.mjtJoint.mjJNT_SLIDE,
        axis=joint.axis,
        pos=joint.pos,
        ref=unit * joint.initial,
        limited=True,
        range=[unit * limit for limit in joint.limits],
    )
    added.damping[0] = joint.damping


def _half_sizes(shape: Shape) -> list[float]:
    x, y, z = (v / 2.0 for v in shape.size)
    if shape.kind == "box":
        return [x, y, z]
    return [x, {"cylinder": z, "sphere": 0.0, "capsule": max(z - x, 1e-4)}[shape.kind], 0.0]


def _volume(shape: Shape) -> float:
    x, y, z = shape.size
    share = {"box": 1.0, "mesh": 1.0, "sphere": math.pi / 6.0}.get(shape.kind, math.pi / 4.0)
    return share * x * y * z if shape.kind != "capsule" else math.pi / 4.0 * x * y * (z - x / 3.0)


# --- meshes ---


@lru_cache(maxsize=64)
def _mesh(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and faces (F, 3) of a mesh's file.

    Raises
    ------
    BadInput
        It is missing, cannot be read, or is open.
    """
    need_file(path, "mesh")
    spec = mujoco.MjSpec()
    spec.add_mesh(name="mesh", file=str(Path(path).resolve()), inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    spec.worldbody.add_geom(type=_GEOM.mjGEOM_MESH, meshname="mesh")
    try:
        model = spec.compile()
    except ValueError as error:
        raise BadInput(f"The mesh {path} cannot be read: {' '.join(str(error).split())}.") from None
    turn = Rotation.from_quat(model.mesh_quat[0], scalar_first=True)
    vertices, index = np.unique(np.round(model.mesh_vert, 6), axis=0, return_inverse=True)
    faces = index.reshape(-1)[model.mesh_face]
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edges = edges[edges[:, 0] != edges[:, 1]]
    _, uses = np.unique(edges, axis=0, return_counts=True)
    if (uses % 2).any():
        raise BadInput(f"The mesh {path} is open: {int((uses % 2).sum())} of its edges have a face on one side only.")
    return turn.apply(vertices) + model.mesh_pos[0], faces


def _add_mesh(spec: mujoco.MjSpec, shape: Shape, name: str) -> str:
    vertices, _ = _mesh(shape.mesh)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    spec.add_mesh(
        name=name,
        file=str(Path(shape.mesh).resolve()),
        refpos=(low + high) / 2.0,
        scale=np.array(shape.size) / np.maximum(high - low, 1e-9),
    )
    return name


# --- MJCF ---


def to_mjcf(scene: Scene, path: str | Path) -> None:
    """Write a scene as MJCF, atomically: bodies, a floor, and texts with what MuJoCo has no place for.

    Raises
    ------
    BadInput
        The file cannot be written, or a mesh cannot be read.
    """
    spec = _floor_spec()
    add_objects(spec, scene)
    for obj in scene.objects:
        kept = obj.model_dump(mode="json", include={"category", "supports", "contains"})
        spec.add_text(name=_METADATA + obj.id, data=json.dumps(kept))
    spec.compile()
    save_bytes(path, spec.to_xml().encode())


def _floor_spec() -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(name="floor", type=_GEOM.mjGEOM_PLANE, size=[0, 0, 1])
    return spec


def from_mjcf(path: str | Path) -> Scene:
    """Read the bodies of an MJCF as a scene: each that has geoms is an object; planes of the world are the floor.

    A body that moves against another body that moves, or in more than one joint, is none that scenes have.

    Raises
    ------
    BadInput
        The file cannot be read, or has a body or geom that scenes do not have; the message names it.
    """
    need_file(path, "scene")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        model = spec.compile()
    except ValueError as error:
        raise BadInput(f"{path} is not an MJCF file that MuJoCo can read: {' '.join(str(error).split())}.") from None
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    texts = {text.name: text.data for text in spec.texts if text.name.startswith(_METADATA)}
    folder = Path(path).resolve().parent / spec.meshdir
    objects = [
        _object(model, data, body, {mesh.name: folder / mesh.file for mesh in spec.meshes}, texts, str(path))
        for body in range(1, model.nbody)
        if _solid_geoms(model, body)
    ]
    return joined(objects)


def _solid_geoms(model: mujoco.MjModel, body: int) -> list[int]:
    solid = (model.geom_bodyid == body) & ((model.geom_contype | model.geom_conaffinity) != 0)
    return np.flatnonzero(solid).tolist()


def _object(
    model: mujoco.MjModel, data: mujoco.MjData, body: int, meshes: dict[str, Path], texts: dict[str, str], file: str
) -> SceneObject:
    name = model.body(body).name
    object_id = re.sub(r"[^a-z0-9_]", "_", name.lower()) or f"object_{body}"
    if not object_id[0].isalpha():
        object_id = f"object_{object_id}"
    joints = np.flatnonzero(model.jnt_bodyid == body)
    if len(joints) > 1 or model.body_weldid[model.body_parentid[body]] != 0:
        raise BadInput(f"The body '{name}' in {file} moves against another one, or in several joints: give it one.")
    pose = np.r_[data.xpos[body], data.xquat[body]]
    movable, articulation = False, None
    if len(joints):
        joint = model.joint(joints[0])
        type_ = mujoco.mjtJoint(int(joint.type[0]))
        kind = {mujoco.mjtJoint.mjJNT_HINGE: "hinge", mujoco.mjtJoint.mjJNT_SLIDE: "slide"}.get(type_)
        movable = type_ == mujoco.mjtJoint.mjJNT_FREE
        if kind is None and not movable:
            raise BadInput(f"The joint of the body '{name}' in {file} is a ball: scenes have hinges and slides.")
        if kind is not None:
            if not model.jnt_limited[joints[0]]:
                raise BadInput(f"The joint of the body '{name}' in {file} has no range: give it one.")
            articulation = {
                "kind": kind,
                "axis": joint.axis.tolist(),
                "pos": joint.pos.tolist(),
                "limits": joint.range.tolist(),
                "damping": float(joint.damping[0]),
                "initial": float(model.qpos0[joint.qposadr[0]]),
            }
    geoms = _solid_geoms(model, body)
    first = geoms[0]
    obj = SceneObject.model_validate(
        {
            "category": re.sub(r"[_0-9]+$", "", object_id) or object_id,
            **json.loads(texts.get(_METADATA + object_id, "{}")),
            "id": object_id,
            "pos": pose[:3].tolist(),
            "quat_wxyz": pose[3:].tolist(),
            "shapes": [_shape(model, g, meshes, f"{name}' in {file}") for g in geoms],
            "mass": max(float(model.body_mass[body]), 1e-6),
            "friction": float(model.geom_friction[first, 0]),
            "rolling_friction": float(model.geom_friction[first, 2]) if model.geom_condim[first] == 6 else 0.0,
            "movable": movable,
            "articulation": articulation,
            "color": np.clip(model.geom_rgba[first, :3], 0, 1).tolist(),
        }
    )
    if obj.articulation is None:
        return obj
    # MuJoCo's pose is the one at the start, ours the one at 0.
    back = obj.articulation.model_copy(update={"initial": 0.0})
    there = articulated(obj.model_copy(update={"articulation": back}), -obj.articulation.initial)
    return there.model_copy(update={"articulation": obj.articulation})


def _shape(model: mujoco.MjModel, geom: int, meshes: dict[str, Path], where: str) -> dict[str, Any]:
    kinds = {int(value): kind for kind, value in _KINDS.items()}
    kind = kinds.get(int(model.geom_type[geom]))
    if kind is None:
        shown = _GEOM(int(model.geom_type[geom])).name.removeprefix("mjGEOM_").lower()
        raise BadInput(f"The body '{where} has a geom of the shape {shown}: scenes have {', '.join(_KINDS)}.")
    pos, quat = model.geom_pos[geom].copy(), Rotation.from_quat(model.geom_quat[geom], scalar_first=True)
    a, b, c = (2.0 * model.geom_size[geom]).tolist()
    sizes = {"box": (a, b, c), "cylinder": (a, a, b), "sphere": (a, a, a), "capsule": (a, a, a + b)}
    if kind != "mesh":
        turned = quat.as_quat(scalar_first=True).tolist()
        return {"kind": kind, "size": sizes[kind], "pos": pos.tolist(), "quat_wxyz": turned}
    mesh = int(model.geom_dataid[geom])
    path = meshes[model.mesh(mesh).name]
    _mesh(str(path))
    # The compiler moves a mesh into its frame of inertia; we need its centre in the file's axes.
    own = Rotation.from_quat(model.mesh_quat[mesh], scalar_first=True)
    start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    vertices = own.apply(model.mesh_vert[start : start + count])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    turn = quat * own.inv()
    return {
        "kind": kind,
        "mesh": str(path),
        "size": (high - low).tolist(),
        "pos": (pos + turn.apply((low + high) / 2.0)).tolist(),
        "quat_wxyz": turn.as_quat(scalar_first=True).tolist(),
    }


# --- checks ---


def check(scene: Scene, lifted: Collection[str] = (), reached: Collection[str] = (), area: float = 3.0) -> None:
    """Check that a scene can be, and what the robot does to it.

    It is to lift the objects of the ids ``lifted``, and its hands are to reach those of ``reached``, within ``area`` m
    of its start; 0: anywhere.

    Raises
    ------
    BadInput
        With a sentence for everything that is wrong: objects that stand in each other, in the floor or where the robot
        starts; one that nothing holds; one too heavy, fixed or out of reach; a mesh that is missing or open.
    """
    found = [*_collisions(scene)]
    found += [reason for object_id in dict.fromkeys(lifted) if (reason := _not_lifted(scene[object_id]))]
    found += [reason for i in dict.fromkeys((*reached, *lifted)) if (reason := _not_reached(scene, scene[i], area))]
    if found:
        raise BadInput(" ".join(found))


def _collisions(scene: Scene) -> list[str]:
    """Sentences on objects that overlap each other, the floor or the robot, and on objects without support."""
    spec = _floor_spec()
    loose = [
        articulated(t, _initial(t)).model_copy(update={"articulation": None, "movable": True}) for t in scene.objects
    ]
    add_objects(spec, joined(loose))
    robot = spec.worldbody.add_body(name="robot", pos=[0, 0, _ROBOT_HEIGHT / 2 + 0.01])
    robot.add_freejoint()
    robot.add_geom(type=_GEOM.mjGEOM_CYLINDER, size=[_ROBOT_RADIUS, _ROBOT_HEIGHT / 2, 0], conaffinity=OBJECT_BIT)
    model = spec.compile()
    data = mujoco.MjData(model)
    ids = scene.ids
    found = []
    for (one, other), depth in sorted(_depths(model, data).items()):
        if depth > _OVERLAP:
            names = [ids[i - 1] if 0 < i <= len(ids) else "" for i in (one, other)]
            if one == 0:
                found.append(f"The {names[1]} stands {100 * depth:.1f} cm in the floor: raise it.")
            elif not names[1]:
                found.append(f"The {names[0]} is where the robot starts: move it {_ROBOT_RADIUS:g} m away.")
            else:
                found.append(
                    f"The {names[0]} and the {names[1]} stand {100 * depth:.1f} cm inside each other: move one."
                )
    if found:
        return found
    for i, obj in enumerate(scene.objects):
        if obj.movable:
            data.qpos[7 * i + 2] -= _GAP
            held = any(i + 1 in pair and depth > 0.5 * _GAP for pair, depth in _depths(model, data).items())
            data.qpos[7 * i + 2] += _GAP
            if not held:
                found.append(f"The {obj.id} hangs in the air: put it on something, or set movable to false.")
    return found


def _depths(model: mujoco.MjModel, data: mujoco.MjData) -> dict[tuple[int, int], float]:
    """Maximum depth in m for each pair of bodies that touch."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_collision(model, data)
    deepest: dict[tuple[int, int], float] = {}
    for geoms, distance in zip(data.contact.geom, data.contact.dist, strict=True):
        one, other = sorted(int(b) for b in model.geom_bodyid[geoms])
        deepest[one, other] = max(deepest.get((one, other), 0.0), -float(distance))
    return deepest


def _not_lifted(obj: SceneObject) -> str:
    if not obj.movable:
        return f"The {obj.id} is fixed: it cannot be lifted."
    if obj.mass > MAX_LIFTED_MASS:
        return f"The {obj.id} weighs {obj.mass:g} kg: the robot lifts {MAX_LIFTED_MASS:g} kg at most."
    return ""


def _not_reached(scene: Scene, obj: SceneObject, area: float) -> str:
    low, high = obj.extent
    if low[2] > MAX_HEIGHT:
        return f"The {obj.id} is out of reach: it is {low[2]:.2f} m high, and hands reach up to {MAX_HEIGHT:g} m."
    away = float(obj.floor_distance(np.zeros(2)))
    if away > area + MAX_DEPTH and area > 0.0:
        return f"The {obj.id} is out of reach: it is {away:.1f} m away, and the robot may go {area:g} m."
    for other in scene.objects:
        if other.supports and other.id != obj.id:
            under_low, under_high = other.extent
            depth = np.minimum(high - under_low, under_high - low)[:2].min() - (high - low)[:2].min()
            if low[2] >= under_low[2] and depth > MAX_DEPTH:
                return (
                    f"The {obj.id} is out of reach: it stands {depth:.2f} m from the edge of the {other.id}, and "
                    f"hands reach {MAX_DEPTH:g} m over it."
                )
    return ""
