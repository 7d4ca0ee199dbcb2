"""Images of a person in a room: MuJoCo ellipsoids and capsules, drawn off-screen."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.body import BodyModel
from exoactor_core.motion import HumanMotion
from exoactor_core.offscreen import OffscreenRenderer
from exoactor_gen.mannequin.objects import ObjectMotion
from exoactor_gen.mannequin.rendering.camera import FIELD_OF_VIEW, Camera
from exoactor_gen.mannequin.rendering.look import Look
from exoactor_gen.mannequin.rendering.person import Person
from exoactor_gen.mannequin.rendering.props import add_props
from exoactor_gen.mannequin.rendering.room import furnish

_SHADOW_BRIGHTNESS = 0.45
"""Brightness of the floor in the shadow."""
_MAX_GEOM = 4000


def _model(
    body: BodyModel,
    motion: HumanMotion,
    joints: np.ndarray,
    camera: Camera,
    look: Look,
    rng: np.random.Generator,
    objects: tuple[ObjectMotion, ...],
) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.visual.global_.offwidth, spec.visual.global_.offheight = camera.width, camera.height
    spec.visual.quality.offsamples = 0  # antialiasing would double the time
    spec.visual.quality.numslices, spec.visual.quality.numstacks = 16, 10
    spec.visual.map.znear, spec.visual.map.zfar = 0.05, 200.0
    spec.stat.extent, spec.stat.center = 1.0, joints.reshape(-1, 3).mean(axis=0)
    furnish(spec, joints, camera, look, rng)
    Person(spec, body, motion.betas, look).build()
    add_props(spec, objects, rng)
    spec.worldbody.add_camera(name="view", pos=camera.position, fovy=FIELD_OF_VIEW)
    return spec.compile()


class _Shadow:
    """The person's shadow on the floor: a second copy of its parts, flattened along the light.

    A shadow map would light every pixel of the room twice, which takes twice the time of everything else.
    """

    def __init__(self, model: mujoco.MjModel, look: Look) -> None:
        down = model.light_dir[model.light("lamp").id]
        self.flatten = np.eye(3) - np.outer(down, [0.0, 0.0, 1.0]) / down[2]
        self.stretch = 1.0 / abs(down[2])
        """Maximum length of a shadow relative to the object that casts it."""
        self.flatten[2, 2] = 1e-3  # almost flat, so that the normals are defined
        self.colour = np.array([*(_SHADOW_BRIGHTNESS * c for c in look.ground), 1.0], dtype=np.float32)
        # faces and fingers are too small to matter
        self.parts = np.flatnonzero((model.geom_bodyid > 0) & (model.geom_rbound > 0.03))

    def add(self, scene: mujoco.MjvScene) -> None:
        """Append the shadow to a scene that contains the person."""
        geoms = {g.objid: g for g in scene.geoms[: scene.ngeom] if g.objtype == mujoco.mjtObj.mjOBJ_GEOM}
        for part in self.parts:
            source, copy = geoms[part], scene.geoms[scene.ngeom]
            pos = self.flatten @ source.pos
            pos[2] += 0.003
            mujoco.mjv_initGeom(copy, source.type, source.size, pos, (self.flatten @ source.mat).ravel(), self.colour)
            copy.dataid = source.dataid
            scene.ngeom += 1


class _View:
    """Image of the scene by the camera, or a part of it."""

    def __init__(self, model: mujoco.MjModel, renderer: OffscreenRenderer) -> None:
        self.model, self.data, self._renderer = model, mujoco.MjData(model), renderer
        self._camera = mujoco.MjvCamera()
        self._camera.type, self._camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0

    def place(self, pos: np.ndarray, quat: np.ndarray) -> None:
        """Set the poses of the moving bodies."""
        self.data.mocap_pos, self.data.mocap_quat = pos, quat
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def draw(self, shadow: _Shadow | None, part: tuple[int, int, int, int]) -> np.ndarray:
        """Pixels (H, W, 3) of a part of the image: its left, top, right and bottom."""
        left, top, right, bottom = part
        renderer = self._renderer
        renderer.update(self.data, self._camera)
        if shadow:
            shadow.add(renderer.scene)
        for eye in renderer.scene.camera:  # the part of the frustum
            high, low = eye.frustum_top, eye.frustum_bottom
            pixel = (high - low) / renderer.height
            eye.frustum_top, eye.frustum_bottom = high - pixel * top, high - pixel * bottom
            eye.frustum_center = pixel * ((left + right) / 2.0 - renderer.width / 2.0)
            eye.frustum_width = pixel * (right - left) / 2.0
        return renderer.render(right - left, bottom - top)


def _moving_part(view: _View, camera: Camera, shadow: _Shadow | None, parts: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the region of some geoms and their shadows; the whole image if one is close."""
    whole = (0, 0, camera.width, camera.height)
    centres, reach = view.data.geom_xpos[parts], view.model.geom_rbound[parts]
    if shadow:
        centres = np.concatenate([centres, centres @ shadow.flatten.T])
        reach = np.concatenate([reach, shadow.stretch * reach])
    x, y, z = ((centres - camera.position) @ camera.rotation).T
    if np.any(z < reach + 0.3):
        return whole
    f, _, cx, cy = camera.intrinsics
    size = f * reach / (z - reach) + 2.0
    low = np.maximum([np.min(cx + f * x / z - size), np.min(cy + f * y / z - size)], 0.0).astype(int)
    high = np.minimum([np.max(cx + f * x / z + size), np.max(cy + f * y / z + size)], whole[2:]).astype(int)
    return (*low.tolist(), *high.tolist()) if np.all(high > low) else whole


def render(
    motion: HumanMotion,
    body: BodyModel,
    camera: Camera,
    look: Look,
    rng: np.random.Generator,
    objects: tuple[ObjectMotion, ...] = (),
) -> Iterator[np.ndarray]:
    """Render a person and the ``objects`` around frame by frame: (H, W, 3) uint8 RGB.

    With a fixed camera, static parts are rendered once, which saves a third of the time. ``rng`` determines the grain
    of the floor, the positions of pictures and the colours of objects.
    """
    rot, pos = body.transforms(motion)
    quat = Rotation.from_matrix(rot.reshape(-1, 3, 3)).as_quat(scalar_first=True).reshape(len(motion), -1, 4)
    for obj in objects:
        turned = Rotation.from_matrix(obj.rotation).as_quat(scalar_first=True)
        pos = np.concatenate([pos, obj.position[:, None]], axis=1)
        quat = np.concatenate([quat, turned[:, None]], axis=1)
    model = _model(body, motion, pos, camera, look, rng, objects)
    shadow = _Shadow(model, look) if look.light.shadow else None
    turns = np.broadcast_to(camera.rotations, (len(motion), 3, 3)) * [1.0, -1.0, -1.0]  # MuJoCo's y is up, z backward
    views = Rotation.from_matrix(turns).as_quat(scalar_first=True)
    positions = np.broadcast_to(camera.positions, (len(motion), 3))
    whole = (0, 0, camera.width, camera.height)
    moving = camera.pan is not None or camera.path is not None
    with OffscreenRenderer(model, camera.width, camera.height, _MAX_GEOM) as renderer:
        view = _View(model, renderer)
        moves = np.ptp(pos, axis=0).any(axis=1) | np.ptp(quat, axis=0).any(axis=1)
        moves[: len(body.joint_names)] = True
        parts = np.flatnonzero(np.concatenate([[False], moves])[model.geom_bodyid])
        model.cam_quat[0], model.cam_pos[0] = views[0], positions[0]
        view.place(np.where(moves[:, None], 1e4, pos[0]), quat[0])
        still = view.draw(shadow, whole).copy()  # without moving parts
        for frame in range(len(motion)):
            model.cam_quat[0], model.cam_pos[0] = views[frame], positions[frame]
            view.place(pos[frame], quat[frame])
            part = whole if moving else _moving_part(view, camera, shadow, parts)
            left, top, right, bottom = part
            image = still.copy()
            image[top:bottom, left:right] = view.draw(shadow, part)
            yield image
