"""Pictures of a person in a room: MuJoCo ellipsoids and capsules, drawn off-screen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

os.environ.setdefault("MUJOCO_GL", "osmesa")
import mujoco  # noqa: E402

from exoactor.body import BodyModel  # noqa: E402
from exoactor.motion import HumanMotion  # noqa: E402
from exoactor_gen.camera import FIELD_OF_VIEW, Camera  # noqa: E402

Colour = tuple[float, float, float]

_SKINS = ((0.93, 0.74, 0.62), (0.86, 0.65, 0.51), (0.71, 0.50, 0.37), (0.52, 0.35, 0.25), (0.40, 0.27, 0.20))
_HAIRS = ((0.10, 0.08, 0.07), (0.23, 0.14, 0.08), (0.36, 0.24, 0.13), (0.55, 0.42, 0.22), (0.30, 0.29, 0.28))
_SHIRTS = ((0.75, 0.20, 0.18), (0.16, 0.36, 0.62), (0.18, 0.48, 0.30), (0.88, 0.80, 0.30), (0.45, 0.25, 0.50))
_TROUSERS = ((0.14, 0.17, 0.28), (0.24, 0.22, 0.20), (0.33, 0.35, 0.38), (0.42, 0.35, 0.25))
_SHOES = ((0.85, 0.85, 0.84), (0.15, 0.14, 0.14), (0.40, 0.18, 0.12))
_WALLS = ((0.80, 0.79, 0.74), (0.70, 0.77, 0.80), (0.82, 0.76, 0.70), (0.74, 0.80, 0.72))
_WOODS = ((0.55, 0.38, 0.24), (0.45, 0.31, 0.20), (0.66, 0.50, 0.34))


@dataclass(frozen=True)
class Look:
    """Colours of a person and a room."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    wall: Colour
    wood: Colour

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Look:
        """Pick one at random."""
        palettes = (_SKINS, _HAIRS, _SHIRTS, _TROUSERS, _SHOES, _WALLS, _WOODS)
        return cls(*(p[int(rng.integers(len(p)))] for p in palettes))


class _Person:
    """Adds the person's parts, each to the joint that carries it, in the coordinates of the rest pose."""

    def __init__(self, spec: mujoco.MjSpec, body: BodyModel, betas: np.ndarray, look: Look) -> None:
        self.rest, self.names, self.look = body.rest_joints(betas), list(body.joint_names), look
        self.sole = body.rest_foot_points(betas)
        self.size = float((self.rest[15, 1] - self.sole[0, 1]) / 0.9 / 1.70)
        self.bodies = [spec.worldbody.add_body(name=name, mocap=True) for name in body.joint_names]

    def at(self, name: str) -> np.ndarray:
        return self.rest[self.names.index(name)]

    def ellipsoid(self, joint: str, centre: np.ndarray, half: tuple[float, float, float], colour: Colour) -> None:
        index = self.names.index(joint)
        self.bodies[index].add_geom(
            type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, pos=np.asarray(centre) - self.rest[index],
            size=np.array(half) * self.size, rgba=[*colour, 1.0], contype=0, conaffinity=0,
        )  # fmt: skip

    def capsule(self, joint: str, start: np.ndarray, end: np.ndarray, radius: float, colour: Colour) -> None:
        index = self.names.index(joint)
        ends = np.concatenate([start - self.rest[index], end - self.rest[index]])
        self.bodies[index].add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=ends, size=[radius * self.size, 0, 0], rgba=[*colour, 1.0],
            contype=0, conaffinity=0,
        )  # fmt: skip

    def taper(self, joint: str, start: np.ndarray, end: np.ndarray, radii: tuple[float, float], colour: Colour) -> None:
        """A limb that narrows: overlapping capsules."""
        steps = 6
        for k in range(steps):
            a, b = start + (end - start) * k / steps, start + (end - start) * (k + 1) / steps
            self.capsule(joint, a, b, radii[0] + (radii[1] - radii[0]) * (k + 0.5) / steps, colour)

    def build(self) -> None:
        self._trunk()
        self._head()
        for side, s in (("left", 1.0), ("right", -1.0)):
            self._leg(side, s)
            self._arm(side, s)

    def _trunk(self) -> None:
        look, u = self.look, self.size
        hip = (self.at("left_hip") + self.at("right_hip")) / 2.0
        pelvis, spine1, spine2, spine3 = (self.at(n) for n in ("pelvis", "spine1", "spine2", "spine3"))
        neck, head = self.at("neck"), self.at("head")
        self.ellipsoid("pelvis", (pelvis + hip) / 2 + [0, 0.01 * u, -0.012 * u], (0.155, 0.120, 0.112), look.trousers)
        self.ellipsoid("pelvis", pelvis + [0, 0.055 * u, 0], (0.146, 0.070, 0.104), look.shirt)
        self.ellipsoid("spine1", spine1, (0.142, 0.115, 0.102), look.shirt)
        self.ellipsoid("spine2", spine2 + [0, 0.010 * u, 0], (0.150, 0.130, 0.106), look.shirt)
        self.ellipsoid("spine3", spine3 + [0, 0.005 * u, 0.008 * u], (0.164, 0.135, 0.112), look.shirt)
        self.ellipsoid("spine3", spine3 + [0, 0.085 * u, -0.004 * u], (0.150, 0.070, 0.088), look.shirt)
        self.ellipsoid("spine3", neck + [0, -0.018 * u, 0], (0.080, 0.034, 0.068), look.shirt)
        self.capsule("neck", neck - [0, 0.02 * u, 0], head, 0.053, look.skin)

    def _head(self) -> None:
        look, u = self.look, self.size
        dark, white, iris = (0.06, 0.05, 0.05), (0.96, 0.96, 0.95), (0.20, 0.13, 0.08)
        lip = tuple(0.72 * c + d for c, d in zip(look.skin, (0.10, 0.0, 0.0), strict=True))
        centre = self.at("head") + np.array([0.0, 0.060, 0.004]) * u

        def face(x: float, y: float, z: float) -> np.ndarray:
            return centre + np.array([x, y, z]) * u

        self.ellipsoid("head", face(0, 0.012, 0.0), (0.074, 0.100, 0.096), look.skin)
        self.ellipsoid("head", face(0, -0.052, 0.020), (0.057, 0.066, 0.068), look.skin)
        self.ellipsoid("head", face(0, -0.098, 0.056), (0.024, 0.018, 0.020), look.skin)
        self.ellipsoid("head", face(0, 0.030, -0.018), (0.082, 0.094, 0.096), look.hair)
        self.ellipsoid("head", face(0, -0.020, -0.040), (0.073, 0.080, 0.064), look.hair)
        self.ellipsoid("head", face(0, -0.022, 0.098), (0.013, 0.022, 0.019), look.skin)
        self.ellipsoid("head", face(0, -0.032, 0.104), (0.017, 0.011, 0.014), look.skin)
        self.ellipsoid("head", face(0, -0.063, 0.083), (0.025, 0.0055, 0.009), lip)
        self.ellipsoid("head", face(0, -0.071, 0.081), (0.020, 0.0055, 0.009), lip)
        self.ellipsoid("head", face(0, -0.0665, 0.0875), (0.022, 0.0016, 0.006), dark)
        for s in (1.0, -1.0):
            self.ellipsoid("head", face(s * 0.031, 0.004, 0.081), (0.0165, 0.0095, 0.010), white)
            self.ellipsoid("head", face(s * 0.031, 0.004, 0.0875), (0.0082, 0.0084, 0.006), iris)
            self.ellipsoid("head", face(s * 0.031, 0.004, 0.0915), (0.0042, 0.0042, 0.003), dark)
            self.capsule("head", face(s * 0.014, 0.023, 0.0905), face(s * 0.034, 0.029, 0.0845), 0.0046, look.hair)
            self.capsule("head", face(s * 0.034, 0.029, 0.0845), face(s * 0.050, 0.023, 0.072), 0.0042, look.hair)
            self.ellipsoid("head", face(s * 0.076, -0.012, -0.006), (0.009, 0.031, 0.019), look.skin)
            self.ellipsoid("head", face(s * 0.040, -0.038, 0.052), (0.025, 0.032, 0.034), look.skin)

    def _leg(self, side: str, s: float) -> None:
        look, u = self.look, self.size
        hip, knee, ankle = (self.at(f"{side}_{n}") for n in ("hip", "knee", "ankle"))
        heel, toe = self.sole[0 if side == "left" else 2], self.sole[1 if side == "left" else 3]
        foot = f"{side}_foot"
        ball = self.at(foot)
        middle = hip + 0.5 * (knee - hip)
        self.taper(f"{side}_hip", hip, middle, (0.090, 0.078), look.trousers)
        self.taper(f"{side}_hip", middle, knee, (0.078, 0.059), look.trousers)
        calf = knee + 0.35 * (ankle - knee)
        self.taper(f"{side}_knee", knee, calf, (0.059, 0.060), look.trousers)
        self.taper(f"{side}_knee", calf, ankle + [0, 0.02 * u, 0], (0.060, 0.047), look.trousers)
        self.ellipsoid(f"{side}_knee", calf + [0, 0, -0.016 * u], (0.056, 0.100, 0.056), look.trousers)
        # the shoe reaches from the heel to the toes; the soles are where the body model has them
        floor = float(heel[1])
        length = float(toe[2] - heel[2])
        at = f"{side}_ankle"
        sole = tuple(0.45 * c for c in look.shoes)
        self.capsule(at, ankle, ankle - [0, 0.015 * u, 0], 0.044, look.shoes)
        r = 0.032
        for x, z in ((0.010, 0.70 * length - r * u), (-0.012, 0.62 * length - r * u)):
            end = np.array([ankle[0] + s * x * u, floor + r * u, heel[2] + z])
            self.capsule(at, np.array([ankle[0], floor + r * u, heel[2] + r * u]), end, r, look.shoes)
        self.capsule(at, ankle + [0, 0.004 * u, 0.012 * u], ball + [0, 0.022 * u, 0], 0.036, look.shoes)
        front = 0.029
        for x in (0.014, -0.010):
            start = np.array([ball[0] + s * x * u, floor + front * u, ball[2] - 0.01 * u])
            end = np.array([ball[0] + s * x * u, floor + front * u, toe[2] - front * u + 0.010 * u])
            self.capsule(foot, start, end, front, look.shoes)
        self.ellipsoid(at, [ankle[0], floor + 0.011 * u, heel[2] + 0.45 * length], (0.043, 0.011, 0.105), sole)

    def _arm(self, side: str, s: float) -> None:
        look, u = self.look, self.size
        collar, shoulder, elbow, wrist = (self.at(f"{side}_{n}") for n in ("collar", "shoulder", "elbow", "wrist"))
        self.taper(f"{side}_collar", collar, shoulder - [s * 0.012 * u, 0.010 * u, 0], (0.074, 0.062), look.shirt)
        sleeve = shoulder + 0.55 * (elbow - shoulder)
        self.taper(f"{side}_shoulder", shoulder, sleeve, (0.061, 0.053), look.shirt)
        self.taper(f"{side}_shoulder", sleeve, elbow, (0.045, 0.040), look.skin)
        bulk = elbow + 0.3 * (wrist - elbow)
        self.taper(f"{side}_elbow", elbow, bulk, (0.040, 0.041), look.skin)
        self.taper(f"{side}_elbow", bulk, wrist, (0.041, 0.027), look.skin)
        # flat hand: palm down, thumb forward
        middle, pinky, index = (self.at(f"{side}_{n}1") for n in ("middle", "pinky", "index"))
        hand = f"{side}_wrist"
        self.capsule(hand, wrist, wrist + 0.25 * (middle - wrist), 0.026, look.skin)
        self.ellipsoid(hand, wrist + 0.62 * ((middle + pinky) / 2 - wrist) + [0, 0, 0.006 * u], (0.054, 0.016, 0.042),
                       look.skin)  # fmt: skip
        for knuckle in (index, middle, self.at(f"{side}_ring1"), pinky):
            self.capsule(hand, wrist + 0.35 * (knuckle - wrist), knuckle, 0.0125, look.skin)
        for finger, radius in (("index", 0.0098), ("middle", 0.0102), ("ring", 0.0098), ("pinky", 0.0086)):
            chain = [self.at(f"{side}_{finger}{k}") for k in (1, 2, 3)]
            chain.append(chain[2] + 0.9 * (chain[2] - chain[1]))
            for k in range(3):
                self.capsule(f"{side}_{finger}{k + 1}", chain[k], chain[k + 1], radius - 0.0006 * k, look.skin)
        chain = [self.at(f"{side}_thumb{k}") for k in (1, 2, 3)]
        chain.append(chain[2] + 0.8 * (chain[2] - chain[1]))
        for k, radius in enumerate((0.0150, 0.0125, 0.0108)):
            self.capsule(f"{side}_thumb{k + 1}", chain[k], chain[k + 1], radius, look.skin)


def _planks(colour: Colour, rng: np.random.Generator, size: int = 512, rows: int = 8) -> np.ndarray:
    """A wooden floor's texture, (size, size, 3) uint8."""
    image = np.ones((size, size, 1)) * colour
    height = size // rows
    grain = rng.normal(size=(size, size // 16))
    grain = np.repeat(grain, 16, axis=1)
    grain = (grain + np.roll(grain, 5, axis=1) + np.roll(grain, 11, axis=1)) / 3.0
    for row in range(rows):
        top = row * height
        cut = int(rng.integers(size))
        for begin, end in ((0, cut), (cut, size)):
            image[top : top + height, begin:end] *= rng.uniform(0.86, 1.06)
        image[top : top + 2] *= 0.62
        image[top : top + height, max(0, cut - 1) : cut + 1] *= 0.62
    image *= 1.0 + 0.035 * grain[..., None]
    return (255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)


def _room(spec: mujoco.MjSpec, joints: np.ndarray, camera: Camera, look: Look, rng: np.random.Generator) -> None:
    low, high = joints.reshape(-1, 3).min(axis=0), joints.reshape(-1, 3).max(axis=0)
    middle = (low + high) / 2.0
    texture = spec.add_texture(name="wood", type=mujoco.mjtTexture.mjTEXTURE_2D, width=512, height=512, nchannel=3)
    texture.data = _planks(look.wood, rng).tobytes()
    material = spec.add_material(name="wood", texrepeat=[0.6, 0.6], texuniform=True, reflectance=0.0, specular=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "wood"
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[60, 60, 1], material="wood", contype=0, conaffinity=0
    )
    # walls behind the person, as the camera sees it
    ahead = camera.rotation[:2, 2]
    skirting = tuple(0.55 * c for c in look.wood)
    for axis in (0, 1):
        if abs(ahead[axis]) < 0.2:
            continue
        sign = float(np.sign(ahead[axis]))
        edge = (high if sign > 0 else low)[axis] + sign * 1.5
        for half_height, thick, colour in ((1.8, 0.05, look.wall), (0.06, 0.065, skirting)):
            pos, size = np.array([middle[0], middle[1], half_height]), np.array([60.0, 60.0, half_height])
            pos[axis], size[axis] = edge + sign * 0.05, thick
            spec.worldbody.add_geom(
                type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=size, rgba=[*colour, 1], contype=0, conaffinity=0
            )
    towards = -camera.rotation[:, 2] + 0.55 * camera.rotation[:, 0]
    source = middle + 3.0 * towards / np.linalg.norm(towards) * [1, 1, 0] + [0, 0, 5.0]
    target = middle * [1, 1, 0] + [0, 0, 0.6]
    spec.worldbody.add_light(
        pos=source, dir=(target - source) / np.linalg.norm(target - source), castshadow=True,
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, diffuse=[0.62] * 3, specular=[0.12] * 3, ambient=[0.0] * 3,
    )  # fmt: skip


def _model(body: BodyModel, motion: HumanMotion, joints: np.ndarray, camera: Camera, look: Look,
           rng: np.random.Generator) -> mujoco.MjModel:  # fmt: skip
    spec = mujoco.MjSpec()
    spec.visual.global_.offwidth, spec.visual.global_.offheight = camera.width, camera.height
    spec.visual.quality.shadowsize = 2048
    spec.visual.quality.offsamples = 4
    spec.visual.quality.numslices, spec.visual.quality.numstacks = 20, 12
    spec.visual.headlight.ambient = [0.42] * 3
    spec.visual.headlight.diffuse = [0.22] * 3
    spec.visual.headlight.specular = [0.0] * 3
    span = float(np.ptp(joints.reshape(-1, 3), axis=0).max())
    spec.visual.map.shadowclip = max(1.0, 0.75 * span)
    spec.visual.map.znear, spec.visual.map.zfar = 0.05, 200.0
    spec.stat.extent, spec.stat.center = 1.0, joints.reshape(-1, 3).mean(axis=0)
    _room(spec, joints, camera, look, rng)
    _Person(spec, body, motion.betas, look).build()
    axes = np.stack([camera.rotation[:, 0], -camera.rotation[:, 1], -camera.rotation[:, 2]], axis=1)
    spec.worldbody.add_camera(
        name="view", pos=camera.position, fovy=FIELD_OF_VIEW,
        quat=Rotation.from_matrix(axes).as_quat(scalar_first=True),
    )  # fmt: skip
    return spec.compile()


def render(motion: HumanMotion, body: BodyModel, camera: Camera, look: Look, rng: np.random.Generator) -> Iterator[
    np.ndarray
]:  # fmt: skip
    """Draw the person frame by frame: (H, W, 3) uint8 RGB.

    Parameters
    ----------
    motion
        The person's motion.
    body
        The body model that the motion belongs to.
    camera
        A still camera.
    look
        Colours.
    rng
        Grain of the floor.
    """
    rot, pos = body.transforms(motion)
    quat = Rotation.from_matrix(rot.reshape(-1, 3, 3)).as_quat(scalar_first=True).reshape(len(motion), -1, 4)
    model = _model(body, motion, pos, camera, look, rng)
    data = mujoco.MjData(model)
    options = mujoco.MjvOption()
    with mujoco.Renderer(model, camera.height, camera.width) as renderer:
        for frame in range(len(motion)):
            data.mocap_pos, data.mocap_quat = pos[frame], quat[frame]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_camlight(model, data)
            renderer.update_scene(data, camera="view", scene_option=options)
            yield renderer.render()
