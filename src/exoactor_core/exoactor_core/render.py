"""Images of the G1 in motion, rendered off screen by MuJoCo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import mujoco
import numpy as np
from scipy.ndimage import gaussian_filter1d

from exoactor_core.arrays import poses_at, unit
from exoactor_core.motion import RobotMotion
from exoactor_core.offscreen import OffscreenRenderer
from exoactor_core.robot import OBJECT_PREFIX, mujoco_spec, set_state
from exoactor_core.rotations import yaw_from_quat
from exoactor_core.scene import Scene, SceneObject
from exoactor_core.scene_mjcf import add_objects
from exoactor_core.stages import Progress, no_progress

_GHOST_RGBA = (0.25, 0.6, 1.0, 0.28)
_FIELD_OF_VIEW = 38.0  # degrees, vertical
_VIEW_FROM = 35.0  # degrees to the left of straight ahead of the robot
_SIDE_VIEW_FROM, _HIDING_HEIGHT = 100.0, 1.0  # degrees and m: view used if an object this high hides the robot
_VIEW_DISTANCE, _HIDING_DISTANCE = 2.3, 0.1  # m, of the camera, and of its line of sight from hiding objects
_CAMERA_SMOOTHING = 0.4  # s
_SUN_FROM = 75.0  # degrees to the left of straight ahead of the robot
_OVERSAMPLING = 1.5  # smooths edges at half the cost of OpenGL's multisampling where there is no GPU
_SHADOW = np.array([0.3, 0.32, 0.36, 1.0], dtype=np.float32)


def render_motion(
    motion: RobotMotion,
    *,
    width: int = 480,
    height: int = 480,
    fps: float = 30.0,
    ghost: RobotMotion | None = None,
    objects: tuple[Scene, np.ndarray] | None = None,
    progress: Progress = no_progress,
) -> Iterator[np.ndarray]:
    """Draw a motion frame by frame, (height, width, 3) uint8 RGB, at ``fps``; poses between frames are interpolated.

    The camera is in front of the robot, to its left; if something high, such as a door, would hide the robot, it is
    beside or behind the robot, where least is hidden. It keeps its direction and follows the pelvis smoothly. A second
    motion, such as the reference, is drawn translucent at the same times (``ghost``); it holds its last pose.
    ``objects`` are a scene and the poses (T, n, 7) of its objects in the motion's frames, m and w, x, y, z.

    Raises
    ------
    Cancelled
        From ``progress``.
    Missing
        There is no OpenGL library to draw with.
    """
    times = np.arange(int(motion.duration * fps + 1e-6) + 1) / fps
    shown = _sampled(motion, times)
    reference = None if ghost is None else _sampled(ghost, times)
    model = _scene(width, height, ghost is not None, None if objects is None else objects[0])
    poses = None if objects is None else _objects_at(times, objects[1], motion.fps)
    data = mujoco.MjData(model)
    heading = float(np.degrees(yaw_from_quat(shown.root_quat_wxyz[0])))
    model.light_dir[0] = _sun_direction(heading)
    casters = _shadow_casters(model)
    high = [] if objects is None else [obj for obj in objects[0].objects if obj.extent[1, 2] > _HIDING_HEIGHT]
    cameras = _cameras(shown, times, heading + _view_from(shown, heading, high), width / height)
    buffer = model.vis.global_
    with OffscreenRenderer(model, buffer.offwidth, buffer.offheight, 2 * model.ngeom + 100) as renderer:
        for i in range(len(times)):
            set_state(data, shown, i)
            if reference is not None:
                set_state(data, reference, i, start=36)
            if poses is not None:
                data.qpos[data.qpos.size - poses[i].size :] = poses[i].ravel()
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)  # required by lights and cameras
            mujoco.mj_camlight(model, data)
            renderer.update(data, next(cameras))
            _add_shadow(renderer.scene, model, data, casters)
            progress((i + 1) / len(times), f"drawing frame {i + 1} of {len(times)}")
            yield cv2.resize(renderer.render(), (width, height), interpolation=cv2.INTER_AREA)


def _sampled(motion: RobotMotion, times: np.ndarray) -> RobotMotion:
    """Poses at ``times`` in s; the ends are held."""
    poses = poses_at(
        times, np.arange(len(motion)) / motion.fps, motion.root_pos, motion.root_quat_wxyz, motion.joint_pos
    )
    return RobotMotion(motion.fps, *poses)


def _objects_at(times: np.ndarray, poses: np.ndarray, fps: float) -> np.ndarray:
    """Poses (K, n, 7) of objects at a frame rate, at ``times`` (T,) s: (T, n, 7)."""
    known = np.arange(len(poses)) / fps
    out = np.empty((len(times), *poses.shape[1:]))
    for i, path in enumerate(poses.swapaxes(0, 1)):
        out[:, i] = np.hstack(poses_at(times, known, path[:, :3], path[:, 3:], path[:, :0])[:2])
    return out


def _sun_direction(heading: float) -> np.ndarray:
    angle = np.radians(heading + _SUN_FROM)
    return unit(np.array([-0.5 * np.cos(angle), -0.5 * np.sin(angle), -1.0]))


def _view_from(motion: RobotMotion, heading: float, high: Sequence[SceneObject]) -> float:
    """Viewing direction in which high objects hide least of the robot, degrees to the left of straight ahead."""
    if not high:
        return _VIEW_FROM
    away = np.linspace(0.1, 1.0, 30)[:, None] * _VIEW_DISTANCE

    def hidden(view_from: float) -> float:
        angle = np.radians(heading + view_from)
        sight = motion.root_pos[:, None, :2] + away * [np.cos(angle), np.sin(angle)]
        return float(np.mean([(obj.floor_distance(sight) < _HIDING_DISTANCE).any(axis=1) for obj in high]))

    return min((_SIDE_VIEW_FROM, -_SIDE_VIEW_FROM, 180.0 - _VIEW_FROM, _VIEW_FROM - 180.0), key=hidden)


def _cameras(motion: RobotMotion, times: np.ndarray, view_from: float, aspect: float) -> Iterator[mujoco.MjvCamera]:
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE
    camera.azimuth = view_from + 180.0
    camera.elevation = -12.0
    half_view = np.tan(np.radians(_FIELD_OF_VIEW / 2)) * min(1.0, aspect)
    camera.distance = 0.78 / half_view
    step = times[1] if len(times) > 1 else 1.0
    for x, y in gaussian_filter1d(motion.root_pos[:, :2], _CAMERA_SMOOTHING / step, axis=0, mode="nearest"):
        camera.lookat[:] = x, y, 0.66
        yield camera


def _scene(width: int, height: int, with_ghost: bool, objects: Scene | None) -> mujoco.MjModel:
    spec = mujoco_spec(floor=False)
    if with_ghost:
        second = mujoco_spec(floor=False)
        for geom in second.geoms:
            geom.rgba = _GHOST_RGBA
        spec.attach(second, prefix="ghost_", frame=spec.worldbody.add_frame())
    if objects is not None:  # each object at its recorded pose, whatever it is fixed to
        free = {"movable": True, "articulation": None}
        add_objects(spec, Scene(objects=tuple(obj.model_copy(update=free) for obj in objects.objects)), OBJECT_PREFIX)
    look = spec.visual
    look.global_.offwidth, look.global_.offheight = (round(_OVERSAMPLING * n) for n in (width, height))
    look.global_.fovy = _FIELD_OF_VIEW
    look.quality.offsamples = 0  # see _OVERSAMPLING
    look.quality.numslices, look.quality.numstacks, look.quality.numquads = 16, 6, 1
    look.headlight.ambient = [0.35, 0.35, 0.35]
    look.headlight.diffuse = [0.25, 0.25, 0.25]
    look.headlight.specular = [0.1, 0.1, 0.1]
    look.rgba.haze = [0.80, 0.85, 0.90, 1.0]
    sky, plane = mujoco.mjtTexture.mjTEXTURE_SKYBOX, mujoco.mjtTexture.mjTEXTURE_2D
    gradient, checker = mujoco.mjtBuiltin.mjBUILTIN_GRADIENT, mujoco.mjtBuiltin.mjBUILTIN_CHECKER
    for name, kind, builtin, one, other in (
        ("sky", sky, gradient, [0.78, 0.85, 0.92], [0.35, 0.47, 0.62]),
        ("tiles", plane, checker, [0.60, 0.63, 0.66], [0.50, 0.53, 0.57]),
    ):
        spec.add_texture(name=name, type=kind, builtin=builtin, rgb1=one, rgb2=other, width=256, height=256)
    tiles = spec.add_material(name="tiles", texrepeat=[1, 1], texuniform=True, specular=0.1, shininess=0.1)
    tiles.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "tiles"
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], material="tiles", contype=0, conaffinity=0
    )
    spec.worldbody.add_light(
        name="sun",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        castshadow=False,  # see _add_shadow
        diffuse=[0.6, 0.6, 0.58],
        specular=[0.25, 0.25, 0.25],
    )
    return spec.compile()


def _shadow_casters(model: mujoco.MjModel) -> np.ndarray:
    """The robot's collision shapes, which are simpler than the visual ones. A ghost casts no shadow."""
    solid = [not model.body(body).name.startswith("ghost_") for body in model.geom_bodyid]
    return np.flatnonzero((model.geom_group == 3) & solid)


def _add_shadow(scene: mujoco.MjvScene, model: mujoco.MjModel, data: mujoco.MjData, geoms: np.ndarray) -> None:
    """Cast the shadow of ``geoms`` on the floor by flattening them along the sun's rays.

    MuJoCo's own shadow maps cost two more passes, the larger part of an image's time where there is no GPU.
    """
    ray = model.light_dir[0] / model.light_dir[0, 2]
    flatten = np.eye(3) - np.outer(ray, [0.0, 0.0, 1.0 - 1e-5])  # a trace of height keeps the normals upward
    positions = data.geom_xpos[geoms] @ flatten.T + [0.0, 0.0, 2e-3]
    rotations = flatten @ data.geom_xmat[geoms].reshape(-1, 3, 3)
    for geom, position, rotation in zip(geoms, positions, rotations, strict=True):
        shadow = scene.geoms[scene.ngeom]
        mujoco.mjv_initGeom(shadow, model.geom_type[geom], model.geom_size[geom], position, rotation.ravel(), _SHADOW)
        shadow.specular = shadow.shininess = 0.0
        scene.ngeom += 1
