"""A person of MuJoCo ellipsoids, capsules and tubes, on the joints of SMPL-X."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from exoactor_core.arrays import perpendicular, unit
from exoactor_core.body import BodyModel
from exoactor_gen.mannequin.rendering.look import Colour, Look, add_shape
from exoactor_gen.mannequin.whole_body import MEAN_STATURE, stature


class Person:
    """Adds the parts of a person to the joints that move them, in coordinates of the rest pose."""

    def __init__(self, spec: mujoco.MjSpec, body: BodyModel, betas: np.ndarray, look: Look) -> None:
        self.spec = spec
        self.rest, self.names, self.look = body.rest_joints(betas), list(body.joint_names), look
        self.sole = body.rest_foot_points(betas)
        self.size = stature(body, betas) / MEAN_STATURE
        self.girth = 1.0 + 0.08 * float(betas[3])  # meaning of this coefficient in the project's own body
        self.bodies = [spec.worldbody.add_body(name=name, mocap=True) for name in body.joint_names]

    def at(self, name: str) -> np.ndarray:
        """Rest position of a joint, (3,) m."""
        return self.rest[self.names.index(name)]

    def ellipsoid(self, joint: str, centre: ArrayLike, half: tuple[float, float, float], colour: Colour) -> None:
        """An ellipsoid with half axes for a person of 1.70 m."""
        index = self.names.index(joint)
        pos, size = np.asarray(centre) - self.rest[index], np.array(half) * self.size
        add_shape(self.bodies[index], "ellipsoid", colour, pos=pos, size=size)

    def capsule(self, joint: str, start: np.ndarray, end: np.ndarray, radius: float, colour: Colour) -> None:
        """A cylinder with round ends."""
        index = self.names.index(joint)
        ends = np.concatenate([start - self.rest[index], end - self.rest[index]])
        add_shape(self.bodies[index], "capsule", colour, fromto=ends, size=[radius * self.size, 0, 0])

    def tube(self, joint: str, centres: np.ndarray, widths: np.ndarray, colour: Colour) -> None:
        """A smooth limb: ellipses (half widths across and front to back, (N, 2)) around centres (N, 3), round ends."""
        vertices, faces = _tube(np.asarray(centres, dtype=float), np.asarray(widths) * self.size * self.girth)
        index = self.names.index(joint)
        name = f"tube{len(self.spec.meshes)}"
        self.spec.add_mesh(
            name=name,
            uservert=(vertices - self.rest[index]).ravel(),
            userface=faces.ravel(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
        add_shape(self.bodies[index], "mesh", colour, meshname=name)

    def limb(
        self,
        joint: str,
        start: np.ndarray,
        end: np.ndarray,
        radii: ArrayLike,
        colour: Colour,
        back: ArrayLike | None = None,
    ) -> None:
        """A straight round tube with radii at equal distances; ``back`` moves its middle backwards."""
        radii = np.asarray(radii)
        share = np.linspace(0.0, 1.0, len(radii))[:, None]
        centres = start + share * (end - start)
        if back is not None:
            centres[:, 2] -= np.array(back) * self.size
        self.tube(joint, centres, np.repeat(radii[:, None], 2, axis=1), colour)

    def dressed(
        self,
        joint: str,
        start: np.ndarray,
        end: np.ndarray,
        radii: ArrayLike,
        cloth: Colour,
        reach: float,
        thickness: float,
        back: ArrayLike | None = None,
    ) -> None:
        """A limb with bare radii, covered by cloth up to a share ``reach`` of its length."""
        reach = float(np.clip(reach, 0.0, 1.0))
        radii = np.asarray(radii)
        at = np.linspace(0.0, 1.0, len(radii))
        behind = np.zeros(len(radii)) if back is None else np.asarray(back)
        for low, high, colour, extra in ((0.0, reach, cloth, thickness), (reach, 1.0, self.look.skin, 0.0)):
            if high - low > 1e-6:
                s = np.linspace(low, high, max(3, round((high - low) * len(radii))))
                first, last = start + low * (end - start), start + high * (end - start)
                self.limb(joint, first, last, np.interp(s, at, radii) + extra, colour, np.interp(s, at, behind))

    def build(self) -> None:
        """Add the whole person."""
        self._trunk()
        self._head()
        for side, s in (("left", 1.0), ("right", -1.0)):
            self._leg(side, s)
            self._arm(side, s)

    def _trunk(self) -> None:
        look, u = self.look, self.size
        pelvis, neck, head = (self.at(n) for n in ("pelvis", "neck", "head"))
        scale = (neck[1] - pelvis[1]) / 0.442
        heights = np.array(_TRUNK)[:, 0]

        def slab(joint: str, low: float, high: float, colour: Colour, extra: float = 0.0) -> None:
            y = np.linspace(low, high, 9)
            widths = np.stack([np.interp(y, heights, np.array(_TRUNK)[:, k]) for k in (1, 2)], axis=1) + extra
            spine = np.array([self.at(n) for n in ("pelvis", "spine1", "spine2", "spine3", "neck")])
            z = np.interp(pelvis[1] + y * scale, spine[:, 1], spine[:, 2])
            self.tube(joint, np.stack([np.zeros(9), pelvis[1] + y * scale, z], axis=1), widths, colour)

        slab("pelvis", -0.11, 0.04, look.trousers)
        slab("pelvis", -0.015, 0.10, look.shirt, 0.005)
        slab("spine1", 0.04, 0.18, look.shirt)
        slab("spine2", 0.12, 0.28, look.shirt)
        slab("spine3", 0.22, 0.45, look.shirt)
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
        self.ellipsoid("head", face(0, 0.034, -0.014), (0.083, 0.096, 0.101), look.hair)
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

        def up(y: float, z: float = 0.0) -> np.ndarray:
            return np.array([0.0, y, z]) * u

        self.dressed(
            f"{side}_hip", hip, knee, (0.085, 0.084, 0.076, 0.066, 0.057, 0.053), look.trousers, look.legs, 0.005
        )
        calf, behind = (0.052, 0.054, 0.055, 0.050, 0.043, 0.039), (0.0, 0.008, 0.012, 0.008, 0.002, 0.0)
        self.dressed(f"{side}_knee", knee, ankle + up(0.015), calf, look.trousers, look.legs - 1.0, 0.006, behind)
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
        self.capsule(at, ankle + up(0.004, 0.012), ball + up(0.022), 0.036, look.shoes)
        front = 0.029
        for x in (0.014, -0.010):
            start = np.array([ball[0] + s * x * u, floor + front * u, ball[2] - 0.01 * u])
            end = np.array([ball[0] + s * x * u, floor + front * u, toe[2] - front * u + 0.010 * u])
            self.capsule(foot, start, end, front, look.shoes)
        self.ellipsoid(at, [ankle[0], floor + 0.011 * u, heel[2] + 0.45 * length], (0.043, 0.011, 0.105), sole)

    def _arm(self, side: str, s: float) -> None:
        look, u = self.look, self.size
        collar, shoulder, elbow, wrist = (self.at(f"{side}_{n}") for n in ("collar", "shoulder", "elbow", "wrist"))
        self.limb(f"{side}_collar", collar, shoulder - [s * 0.012 * u, 0.008 * u, 0], (0.072, 0.068, 0.061), look.shirt)
        upper, fore = (0.051, 0.052, 0.050, 0.047, 0.043, 0.039), (0.039, 0.042, 0.040, 0.034, 0.029, 0.026)
        self.dressed(f"{side}_shoulder", shoulder, elbow, upper, look.shirt, look.sleeves, 0.008)
        self.dressed(f"{side}_elbow", elbow, wrist, fore, look.shirt, look.sleeves - 1.0, 0.008)
        # flat hand: palm down, thumb forward
        middle, pinky, index = (self.at(f"{side}_{n}1") for n in ("middle", "pinky", "index"))
        hand = f"{side}_wrist"
        self.capsule(hand, wrist, wrist + 0.25 * (middle - wrist), 0.026, look.skin)
        self.ellipsoid(
            hand, wrist + 0.62 * ((middle + pinky) / 2 - wrist) + [0, 0, 0.006 * u], (0.054, 0.016, 0.042), look.skin
        )
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


_TRUNK = (
    (-0.13, 0.150, 0.108), (-0.06, 0.162, 0.116), (0.00, 0.157, 0.111), (0.06, 0.147, 0.103), (0.12, 0.143, 0.100),
    (0.20, 0.149, 0.106), (0.28, 0.160, 0.113), (0.34, 0.165, 0.110), (0.385, 0.158, 0.094), (0.42, 0.125, 0.076),
    (0.45, 0.062, 0.056),
)  # fmt: skip
"""Height above the pelvis joint, half width, half depth of the clothed trunk of a person of 1.70 m; m."""


def _tube(centres: np.ndarray, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Closed surface around centres (N, 3) with half widths (N, 2), round ends: vertices (V, 3), triangles (F, 3)."""
    axis = unit(centres[-1] - centres[0])
    across = perpendicular(np.eye(3)[2 if abs(axis[0]) > 0.7 else 0], axis)
    other = np.cross(axis, across)
    rings, half = [], []
    for sign, end in ((-1.0, 0), (1.0, -1)):
        bulge = 0.8 * widths[end].min()
        caps = [(centres[end] + sign * bulge * np.sin(a) * axis, widths[end] * np.cos(a)) for a in (1.35, 0.9, 0.45)]
        rings.append([c for c, _ in caps])
        half.append([w for _, w in caps])
    centre = np.array([*rings[0], *centres, *rings[1][::-1]])
    width = np.array([*half[0], *widths, *half[1][::-1]])
    around = 18  # vertices
    angle = 2.0 * np.pi * np.arange(around) / around
    shape = np.cos(angle)[:, None, None] * across * width[:, :1] + np.sin(angle)[:, None, None] * other * width[:, 1:]
    vertices = (centre + shape).transpose(1, 0, 2).reshape(-1, 3)
    n = len(centre)
    i, j = np.meshgrid(np.arange(n - 1), np.arange(around), indexing="ij")
    a, b = i * around + j, i * around + (j + 1) % around
    sides = np.concatenate([np.stack([a, b, a + around], -1), np.stack([b, b + around, a + around], -1)], axis=1)
    fan = np.arange(1, around - 1)
    first = np.stack([np.zeros_like(fan), fan + 1, fan], -1)
    last = (n - 1) * around + np.stack([np.zeros_like(fan), fan, fan + 1], -1)
    return vertices, np.concatenate([sides.reshape(-1, 3), first, last]).astype(np.int32)
