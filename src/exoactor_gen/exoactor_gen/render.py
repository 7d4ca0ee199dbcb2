"""Pictures of a person in a room: MuJoCo ellipsoids and capsules, drawn off-screen."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from scipy.spatial.transform import Rotation

os.environ.setdefault("MUJOCO_GL", "osmesa")
import mujoco

from exoactor.body import BodyModel
from exoactor.motion import HumanMotion
from exoactor_gen.camera import FIELD_OF_VIEW, Camera
from exoactor_gen.look import Look
from exoactor_gen.person import Person
from exoactor_gen.props import add_props
from exoactor_gen.room import furnish
from exoactor_gen.scene import Moving

_SHADED = 0.45
"""Brightness of the floor in the shadow."""


def _model(body: BodyModel, motion: HumanMotion, joints: np.ndarray, camera: Camera, look: Look,
           rng: np.random.Generator, things: tuple[Moving, ...]) -> mujoco.MjModel:  # fmt: skip
    spec = mujoco.MjSpec()
    spec.visual.global_.offwidth, spec.visual.global_.offheight = camera.width, camera.height
    spec.visual.quality.offsamples = 0  # smoothing edges would double the time
    spec.visual.quality.numslices, spec.visual.quality.numstacks = 16, 10
    spec.visual.map.znear, spec.visual.map.zfar = 0.05, 200.0
    spec.stat.extent, spec.stat.center = 1.0, joints.reshape(-1, 3).mean(axis=0)
    furnish(spec, joints, camera, look, rng)
    Person(spec, body, motion.betas, look).build()
    add_props(spec, things, rng)
    spec.worldbody.add_camera(name="view", pos=camera.position, fovy=FIELD_OF_VIEW)
    return spec.compile()


class _Shadow:
    """The person's shadow on the floor: its parts once more, flattened along the light.

    A shadow map would have every pixel of the room lit twice, which takes twice the time of all the rest.
    """

    def __init__(self, model: mujoco.MjModel, look: Look) -> None:
        down = model.light_dir[model.light("lamp").id]
        self.flatten = np.eye(3) - np.outer(down, [0.0, 0.0, 1.0]) / down[2]
        self.flatten[2, 2] = 1e-3  # all but flat, so that the normals can be told
        self.colour = np.array([*(_SHADED * c for c in look.ground), 1.0], dtype=np.float32)
        # faces and fingers are too small to be missed
        self.parts = np.flatnonzero((model.geom_bodyid > 0) & (model.geom_rbound > 0.03))

    def add(self, scene: mujoco.MjvScene) -> None:
        """Append the shadow to a scene that holds the person."""
        geoms = {g.objid: g for g in scene.geoms[: scene.ngeom] if g.objtype == mujoco.mjtObj.mjOBJ_GEOM}
        for part in self.parts:
            source, copy = geoms[part], scene.geoms[scene.ngeom]
            place = self.flatten @ source.pos
            place[2] += 0.003
            mujoco.mjv_initGeom(copy, source.type, source.size, place, (self.flatten @ source.mat).ravel(), self.colour)
            copy.dataid = source.dataid
            scene.ngeom += 1


def render(
    motion: HumanMotion, body: BodyModel, camera: Camera, look: Look, rng: np.random.Generator,
    things: tuple[Moving, ...] = (),
) -> Iterator[np.ndarray]:  # fmt: skip
    """Draw the person frame by frame: (H, W, 3) uint8 RGB.

    Parameters
    ----------
    motion
        The person's motion.
    body
        The body model that the motion belongs to.
    camera
        Where it is seen from.
    look
        Clothes, room and light.
    rng
        Grain of the floor, places of pictures, colours of things.
    things
        What stands around the person, and its way.
    """
    rot, pos = body.transforms(motion)
    quat = Rotation.from_matrix(rot.reshape(-1, 3, 3)).as_quat(scalar_first=True).reshape(len(motion), -1, 4)
    for thing in things:
        turned = Rotation.from_matrix(thing.rotation).as_quat(scalar_first=True)
        pos = np.concatenate([pos, thing.position[:, None]], axis=1)
        quat = np.concatenate([quat, turned[:, None]], axis=1)
    model = _model(body, motion, pos, camera, look, rng, things)
    shadow = _Shadow(model, look) if look.light.shadow else None
    data = mujoco.MjData(model)
    options = mujoco.MjvOption()
    turns = np.broadcast_to(camera.rotations, (len(motion), 3, 3)) * [1.0, -1.0, -1.0]  # MuJoCo's y is up, z backward
    views = Rotation.from_matrix(turns).as_quat(scalar_first=True)
    with mujoco.Renderer(model, camera.height, camera.width) as renderer:
        for frame in range(len(motion)):
            data.mocap_pos, data.mocap_quat, model.cam_quat[0] = pos[frame], quat[frame], views[frame]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_camlight(model, data)
            renderer.update_scene(data, camera="view", scene_option=options)
            if shadow:
                shadow.add(renderer.scene)
            yield renderer.render()
