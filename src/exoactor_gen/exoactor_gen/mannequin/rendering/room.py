"""The room around the person: a floor, four walls with objects on them, and light."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_gen.mannequin.rendering.camera import Camera, towards
from exoactor_gen.mannequin.rendering.look import Colour, Look

_WALL_HEIGHT = 3.4
_TEXTURE = 256


def furnish(spec: mujoco.MjSpec, joints: np.ndarray, camera: Camera, look: Look, rng: np.random.Generator) -> None:
    """Build the room around the camera and the person, whose joints are at ``joints`` (T, J, 3) m.

    ``look`` defines floor, walls, wall objects and light; ``rng`` determines grain, distances and pictures.
    """
    low, high = joints.reshape(-1, 3).min(axis=0)[:2], joints.reshape(-1, 3).max(axis=0)[:2]
    middle = np.array([*(low + high) / 2.0, 0.0])
    _surface(spec, "floor", _FLOORS[look.floor](look.ground, rng), repeat=1.0 / _FLOOR_SIZE[look.floor])
    _plane(spec, middle, np.eye(3), (60.0, 60.0), "floor")
    low = np.minimum(low - rng.uniform(1.2, 2.4, 2), camera.positions.min(axis=0)[:2] - 0.5)
    high = np.maximum(high + rng.uniform(1.2, 2.4, 2), camera.positions.max(axis=0)[:2] + 0.5)
    if look.covering != "paint":
        _surface(spec, "covering", _COVERINGS[look.covering](look.wall, rng), repeat=1.0)
    for k in range(2 if look.hung else 0):
        _surface(spec, f"hung{k}", _HUNG[look.hung](rng), emission=0.5 if look.hung == "window" else 0.0)
    skirting = [0.55 * c for c in look.ground]
    for axis in (0, 1):
        for edge, inward in ((low[axis], 1.0), (high[axis], -1.0)):
            centre = np.array([*(low + high) / 2.0, _WALL_HEIGHT / 2.0])
            centre[axis] = edge
            half = (high - low)[1 - axis] / 2.0
            normal = inward * np.eye(3)[axis]
            along = np.cross([0.0, 0.0, 1.0], normal)
            frame = np.stack([along, [0.0, 0.0, 1.0], normal], axis=1)
            _plane(
                spec, centre, frame, (half, _WALL_HEIGHT / 2.0), "covering" if look.covering != "paint" else look.wall
            )
            foot = centre * [1, 1, 0] + [0, 0, 0.05] + 0.012 * normal
            _plane(spec, foot, frame, (half, 0.05), skirting)
            if look.hung:
                _hang(spec, centre, frame, half, look, rng)
    _shine(spec, camera, look, middle)


def _hang(
    spec: mujoco.MjSpec, centre: np.ndarray, frame: np.ndarray, half: float, look: Look, rng: np.random.Generator
) -> None:
    """Pictures or windows along a wall."""
    at = -half + rng.uniform(0.4, 1.2)
    while at < half - 0.8:
        size = (0.55, 0.65) if look.hung == "window" else tuple(rng.uniform(0.18, 0.42, 2))
        height = 1.65 if look.hung == "window" else rng.uniform(1.3, 1.8)
        pos = centre + frame @ [at + size[0], height - _WALL_HEIGHT / 2.0, 0.02]
        _plane(spec, pos, frame, size, f"hung{int(rng.integers(2))}")
        rim = (0.9, 0.9, 0.88) if look.hung == "window" else (0.16, 0.12, 0.09)
        _plane(spec, pos - 0.008 * frame[:, 2], frame, (size[0] + 0.04, size[1] + 0.04), rim)
        at += 2.0 * size[0] + rng.uniform(0.5, 1.3)


def _shine(spec: mujoco.MjSpec, camera: Camera, look: Look, target: np.ndarray) -> None:
    light = look.light
    back = camera.position - target
    away = towards(math.atan2(back[1], back[0]) + light.azimuth, light.height)
    spec.worldbody.add_light(
        name="lamp",
        pos=target + 6.0 * away,
        dir=-away,
        castshadow=False,
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        diffuse=[light.lamp * c for c in light.colour],
        specular=[0.12] * 3,
        ambient=[0.0] * 3,
    )
    spec.visual.headlight.ambient = [light.ambient * c for c in light.colour]
    spec.visual.headlight.diffuse = [0.22 * c for c in light.colour]
    spec.visual.headlight.specular = [0.0] * 3


def _surface(spec: mujoco.MjSpec, name: str, image: np.ndarray, repeat: float = 0.0, emission: float = 0.0) -> None:
    """Add material ``name`` with an image: ``repeat`` times per metre, or stretched once over the surface."""
    texture = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=image.shape[1], height=image.shape[0], nchannel=3
    )
    texture.data = (255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8).tobytes()
    material = spec.add_material(
        name=name,
        texrepeat=[repeat or 1.0] * 2,
        texuniform=repeat > 0,
        reflectance=0.0,
        specular=0.05,
        emission=emission,
    )
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


def _plane(spec: mujoco.MjSpec, pos: np.ndarray, frame: np.ndarray, half: tuple, skin: str | Colour) -> None:
    """A rectangle with the axes ``frame`` (right, up, normal), with a material's name or a colour."""
    look = {"material": skin} if isinstance(skin, str) else {"rgba": [*skin, 1.0]}
    quat = Rotation.from_matrix(frame).as_quat(scalar_first=True)
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, pos=pos, quat=quat, size=[*half, 1.0], contype=0, conaffinity=0, **look
    )


# --- textures, (N, N, 3) in [0, 1] ------------------------------------------------------------------------------------


def _planks(colour: Colour, rng: np.random.Generator) -> np.ndarray:
    size, rows = 512, 8
    image = np.ones((size, size, 1)) * colour
    height = size // rows
    grain = np.repeat(rng.normal(size=(size, size // 16)), 16, axis=1)
    grain = (grain + np.roll(grain, 5, axis=1) + np.roll(grain, 11, axis=1)) / 3.0
    for row in range(rows):
        top = row * height
        cut = int(rng.integers(size))
        for begin, end in ((0, cut), (cut, size)):
            image[top : top + height, begin:end] *= rng.uniform(0.86, 1.06)
        image[top : top + 2] *= 0.62
        image[top : top + height, max(0, cut - 1) : cut + 1] *= 0.62
    return image * (1.0 + 0.035 * grain[..., None])


def _grid(colour: Colour, rng: np.random.Generator, columns: int, rows: int, shift: float, joint: float) -> np.ndarray:
    """Blocks in rows with joints between them; every second row is shifted by a share of a block."""
    size, image = _TEXTURE, np.empty((_TEXTURE, _TEXTURE, 3))
    height, width = size // rows, size // columns
    for row in range(rows):
        line = np.ones((height, size, 3)) * colour
        for column in range(columns):
            line[:, column * width : (column + 1) * width] *= rng.uniform(0.84, 1.08)
            line[:, column * width : column * width + 3] = joint
        line[:3] = joint
        image[row * height : (row + 1) * height] = np.roll(line, int((row % 2) * shift * width), axis=1)
    return image * (1.0 + 0.03 * rng.normal(size=(size, size, 1)))


def _tiles(colour: Colour, rng: np.random.Generator) -> np.ndarray:
    return _grid(colour, rng, columns=4, rows=4, shift=0.0, joint=0.42)


def _brick(colour: Colour, rng: np.random.Generator) -> np.ndarray:
    warm = np.array(colour) * (1.0, 0.72, 0.60)
    return _grid(tuple(warm), rng, columns=4, rows=16, shift=0.5, joint=0.66)


def _carpet(colour: Colour, rng: np.random.Generator) -> np.ndarray:
    spots = rng.normal(size=(_TEXTURE // 4, _TEXTURE // 4, 1)).repeat(4, axis=0).repeat(4, axis=1)
    return np.array(colour) * (1.0 + 0.10 * spots + 0.04 * rng.normal(size=(_TEXTURE, _TEXTURE, 1)))


def _stripes(colour: Colour, rng: np.random.Generator) -> np.ndarray:
    band = np.where(np.arange(_TEXTURE) // (_TEXTURE // 8) % 2 == 0, 1.0, rng.uniform(0.82, 0.92))
    return np.array(colour) * band[None, :, None] * np.ones((_TEXTURE, 1, 1))


def _picture(rng: np.random.Generator) -> np.ndarray:
    """An abstract picture: a vertical gradient, rectangles and discs."""
    size = _TEXTURE // 2
    fall = np.linspace(0.0, 1.0, size)[:, None, None]
    image = (1.0 - fall) * rng.uniform(0.3, 0.9, 3) + fall * rng.uniform(0.2, 0.8, 3) * np.ones((1, size, 1))
    y, x = np.mgrid[:size, :size]
    for _ in range(7):
        (cx, cy), r, colour = rng.uniform(0, size, 2), rng.uniform(0.06, 0.22) * size, rng.uniform(0.05, 0.95, 3)
        inside = np.hypot(x - cx, y - cy) < r if rng.random() < 0.5 else np.maximum(abs(x - cx), 2 * abs(y - cy)) < r
        image[inside] = colour
    return image


def _window(rng: np.random.Generator) -> np.ndarray:
    """Sky over hills behind a wooden cross."""
    size = _TEXTURE // 2
    y, x = np.mgrid[:size, :size] / size
    image = np.array([0.52, 0.70, 0.92]) + (np.array([0.35, 0.22, 0.06]) * y[..., None])
    for base, colour in ((0.62, (0.42, 0.52, 0.56)), (0.74, (0.30, 0.44, 0.26))):
        image[y > base + 0.07 * np.sin(rng.uniform(3, 9) * x + rng.uniform(0, 6))] = colour
    image[(abs(x - 0.5) < 0.025) | (abs(y - 0.5) < 0.025)] = 0.92
    return image


_FLOORS = {"planks": _planks, "tiles": _tiles, "carpet": _carpet}
_FLOOR_SIZE = {"planks": 1.7, "tiles": 1.4, "carpet": 0.9}
"""m that the texture covers."""
_COVERINGS = {"brick": _brick, "stripes": _stripes}
_HUNG = {"picture": _picture, "window": _window}
