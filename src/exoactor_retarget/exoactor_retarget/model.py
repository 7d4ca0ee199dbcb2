"""The robot as seen by the mapping: roles of its bodies, lengths, and limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import perpendicular
from exoactor_core.contacts import SIDES
from exoactor_core.errors import BadInput
from exoactor_description import urdf_path
from exoactor_retarget.collision import CapsulePairs
from exoactor_retarget.description import read_urdf
from exoactor_retarget.kinematics import ROOT, Kinematics, Poses, State, cross
from exoactor_retarget.surroundings import probes_of

_ROTOR = 0.004  # kg m^2: inertia of a small geared motor, which bounds the acceleration of the lightest parts


def limb_frames(along: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Frames (..., 3, 3) of a limb: z opposite to it, x towards ``side``."""
    x = perpendicular(side, along)
    return np.stack([x, cross(-along, x, axis=-1), -along], axis=-1)


def _person_axes(names: dict[str, Any]) -> np.ndarray:
    """Matrix (3, 3) whose columns are the person's axes that a part of the robot adopts, rotated."""
    columns = [np.eye(3)["xyz".index(axis[-1])] * (-1.0 if axis.startswith("-") else 1.0) for axis in names["take"]]
    return np.stack(columns, axis=1) @ Rotation.from_euler("xyz", names["turn"], degrees=True).as_matrix()


class Model:
    """A robot with two legs and two arms, by the sections ``robot`` and ``limits`` of a mapping.

    Raises
    ------
    BadInput
        The description cannot be read, or lacks a link.
    """

    def __init__(self, mapping: dict[str, Any], folder: Path):
        section, limits = mapping["robot"], mapping["limits"]
        links = {part: name or "" for part, name in section["links"].items()}
        path = folder / section["description"] if section["description"] else urdf_path()
        feet = [links["foot"].format(side=s) for s in SIDES]
        self.description = d = read_urdf(path, feet)
        self.kinematics = Kinematics(d)
        self.size = self.kinematics.size
        self.capsules = CapsulePairs(d, d.pairs)
        self.pelvis, self.torso = d.body(links["pelvis"]), d.body(links["torso"])
        if self.pelvis != 0:
            raise BadInput(f"The link '{links['pelvis']}' is not the base of the robot's tree.")
        parts = ("hip", "knee", "foot", "shoulder", "elbow", "wrist", "hand")
        self.links = {p: [links[p].format(side=s) for s in SIDES] for p in parts if links[p]}
        self.bodies = {part: [d.body(name) for name in names] for part, names in self.links.items()}
        if "hand" not in self.bodies:
            self.bodies["hand"] = self.bodies["elbow"]
        self._measure(mapping["hands"]["length"], mapping["hands"].get("palm", (0.0, 0.0, 0.0)))
        self._groups()
        self.bearing = {
            part: np.flatnonzero(np.isin(self.probes.body, bodies) & self.probes.end)
            for part, bodies in self._bearing_bodies().items()
        }
        """Probes (N,) of each part in `BEARING`."""
        limbs = (("knee", "thigh"), ("elbow", "upper_arm"))
        self.bends = {limb: [self._bend(limb, k) for k in range(2)] for limb, _ in limbs}
        """For each knee and elbow the angle at which it is straight, and the sign of its bend."""
        self.limb_rest = {limb: [self._limb_rest(limb, name, k) for k in range(2)] for limb, name in limbs}
        """`limb_frames` of thighs and upper arms at rest."""
        self.person_axes = {part: _person_axes(names) for part, names in mapping["human"]["axes"].items()}
        """(3, 3) by part; the columns are the person's axes that the part adopts."""
        self._set_limits(limits)
        self.waist_bend = float(sum(self.upper[j] for j in self.waist if d.axis[j][1] > 0.9))
        """rad, maximum forward bend of the trunk by the waist."""

    def point(self, poses: Poses, part: str, side: int) -> np.ndarray:
        """World position (3, T) of the link with a role."""
        body, local, _ = self.description.links[self.links[part][side]]
        return poses.points(body, local)

    def points(self, poses: Poses, *parts: str) -> np.ndarray:
        """World positions (2 N, 3, T) of the links with N roles, left and right of each."""
        links = [self.description.links[name] for part in parts for name in self.links[part]]
        return poses.points([body for body, _, _ in links], np.array([local for _, local, _ in links]))

    def _measure(self, hand: float, palm: Sequence[float]) -> None:
        zero = State(np.zeros((1, 3)), np.eye(3)[None], np.zeros((1, self.size - ROOT)))
        poses = self.kinematics.poses(zero)

        def at(part: str) -> np.ndarray:
            return np.array([self.point(poses, part, k)[:, 0] for k in range(2)])

        self.hips = at("hip")
        """(2, 3) hip joints in the pelvis' frame."""
        thigh, shank = at("knee") - self.hips, at("foot") - at("knee")
        upper_arm, forearm = at("elbow") - at("shoulder"), at("wrist") - at("elbow")
        self.leg = float(np.linalg.norm(at("foot") - self.hips, axis=1).mean())
        """Hip to ankle with all joints at zero, m."""
        self.upper_arm = float(np.linalg.norm(upper_arm, axis=1).mean())
        self.forearm = float(np.linalg.norm(forearm, axis=1).mean())
        self.directions = {"thigh": thigh, "shank": shank, "upper_arm": upper_arm, "forearm": forearm}
        """(2, 3) of the limbs at rest."""
        corners = []
        for body in self.bodies["foot"]:
            if body not in self.description.corners:
                raise BadInput("The robot's feet have no spheres or boxes to stand on.")
            corners.append(self.description.corners[body])
        self.soles = np.array(corners)
        """(2, K, 3) corners of the soles in the feet."""
        fronts = [sole[sole[:, 0] > sole[:, 0].mean()].mean(axis=0) for sole in self.soles]
        self.toes = np.add(fronts, [0.02, 0.0, 0.03])
        """(2, 3) m, points of the feet that kick, in the feet."""
        self.probes = probes_of(self.description, self.bodies["foot"], self.soles)
        self.rest = {
            name: np.array([poses.rot[b][..., 0] for b in bodies])
            for name, bodies in (("pelvis", [0]), ("torso", [self.torso]), *self.bodies.items())
        }
        """Orientations (sides, 3, 3) of the bodies at rest."""
        wrist = at("wrist") - np.array([poses.pos[b][:, 0] for b in self.bodies["hand"]])
        tip = wrist + hand * (self.upper_arm + self.forearm) * forearm / self.forearm
        self.hand_points = np.einsum("sji,skj->ski", self.rest["hand"], np.stack([wrist, tip], axis=1))
        """(2, 2, 3) wrist and tip of each hand in the body of the hand."""
        along, inward, up = palm
        self.palms = np.array([[along, -inward, up], [along, inward, up]])
        """(2, 3) m, centres of the palms in the bodies of the hands."""
        self.wrist_to_palm = self.palms - self.hand_points[:, 0]
        """(2, 3) m, likewise."""
        self._rest_shoulders = at("shoulder") - poses.pos[self.torso, :, 0]
        self._rest_torso = poses.pos[self.torso, :, 0]
        self.axes, self._anchors, self._poses = poses.axis[ROOT:, :, 0], poses.anchor[ROOT:, :, 0], poses

    def shoulders(self, pelvis_pos: np.ndarray, pelvis_rot: np.ndarray, torso_rot: np.ndarray) -> np.ndarray:
        """Positions (T, 2, 3) of the shoulders for the pelvis' position (T, 3) and orientations (T, 3, 3), m."""
        torso = pelvis_pos + pelvis_rot @ self.rest["pelvis"][0].T @ self._rest_torso
        return torso[:, None] + np.einsum("tij,kj->tki", torso_rot @ self.rest["torso"][0].T, self._rest_shoulders)

    def foot_to_ankle(self, side: int) -> np.ndarray:
        """From the foot's link to the first joint of the ankle, at rest, m."""
        if not self.ankle[side]:
            return np.zeros(3)
        return self._anchors[self.ankle[side][0]] - self.point(self._poses, "foot", side)[:, 0]

    def leg_lengths(self, side: int) -> tuple[float, float]:
        """Lengths across the knee's axis of thigh, and of shank down to the first joint of the ankle, m."""
        axis = self.axes[self.knee[side]]

        def across(limb: np.ndarray) -> float:
            return float(np.linalg.norm(limb - axis * (axis @ limb)))

        thigh, shank = self.directions["thigh"][side], self.directions["shank"][side] + self.foot_to_ankle(side)
        return across(thigh), across(shank)

    @property
    def ankle_height(self) -> float:
        """Height of the ankle above the sole, m."""
        return -float(self.soles[..., 2].min())

    def _groups(self) -> None:
        """Joint indices by role: (sides, n)."""
        chain, b = self.description.chain, self.bodies

        def rest(part: list[int], *without: list[int]) -> list[int]:
            return [j for j in part if not any(j in w for w in without)]

        self.waist = chain(self.torso)
        self.hip = [chain(knee)[:-1] for knee in b["knee"]]
        self.knee = [chain(knee)[-1] for knee in b["knee"]]
        self.ankle = [rest(chain(b["foot"][k]), chain(b["knee"][k])) for k in range(2)]
        self.shoulder = [rest(chain(elbow)[:-1], self.waist) for elbow in b["elbow"]]
        self.elbow = [chain(elbow)[-1] for elbow in b["elbow"]]
        self.wrist = [rest(chain(b["hand"][k]), chain(b["elbow"][k])) for k in range(2)]

        def has_any(joints: list[int]) -> np.ndarray:
            return np.array([bool(set(chain(b)) & set(joints)) for b in range(len(self.description.mass))])

        arms = sorted(j for k in range(2) for j in (*self.shoulder[k], self.elbow[k], *self.wrist[k]))
        self.arms_block = ROOT + np.array(arms)
        """Coordinates of the arms; all others belong to the body."""
        self.of_arm = has_any(arms)
        """(B,) whether a body is part of an arm."""
        self.of_leg = has_any([j for k in range(2) for j in (*self.hip[k], self.knee[k], *self.ankle[k])])
        """(B,) whether a body is part of a leg."""
        self.of_hips = np.zeros(len(self.description.mass), dtype=bool)
        """(B,) whether a body is the pelvis, or between the pelvis and a thigh."""
        self.of_hips[[self.pelvis, *(j + 1 for hip in self.hip for j in hip[:-1])]] = True
        self.body_block = np.setdiff1d(np.arange(self.size), self.arms_block)

    @property
    def fingertips(self) -> np.ndarray:
        """(2, 3) m, foremost points of the hands in their bodies."""
        points = []
        for body in self.bodies["hand"]:
            its = np.flatnonzero(self.probes.body == body)
            front = its[np.argmax(self.probes.local[its, 0] + self.probes.radius[its])]
            points.append(self.probes.local[front] + np.array([self.probes.radius[front], 0.0, 0.0]))
        return np.array(points)

    def _bearing_bodies(self) -> dict[str, list[int]]:
        b, chain = self.bodies, self.description.chain
        bodies = {f"{side}_knee": [b["knee"][k]] for k, side in enumerate(SIDES)}
        bodies |= {f"{side}_hand": [b["hand"][k]] for k, side in enumerate(SIDES)}
        for k, side in enumerate(SIDES):
            forearm = [b["elbow"][k], *(j + 1 for j in self.wrist[k])]
            bodies[f"{side}_forearm"] = [body for body in forearm if body != b["hand"][k]]
        return bodies | {"seat": [self.pelvis], "back": [j + 1 for j in chain(self.torso)]}

    def _bend(self, limb: str, side: int) -> tuple[float, float]:
        """Angle at which a knee or elbow is straight, and the sign of its bend."""
        joint = (self.knee if limb == "knee" else self.elbow)[side]
        names = ("thigh", "shank") if limb == "knee" else ("upper_arm", "forearm")
        upper, lower = (self.directions[name][side] for name in names)
        axis = self.axes[joint]
        upper, lower = upper - axis * (axis @ upper), lower - axis * (axis @ lower)
        straight = -float(np.arctan2(axis @ np.cross(upper, lower), upper @ lower))
        return straight, float(np.sign(self.description.limits[joint].mean() - straight))

    def _limb_rest(self, limb: str, name: str, side: int) -> np.ndarray:
        along = self.directions[name][side] / np.linalg.norm(self.directions[name][side])
        axis = self.axes[(self.knee if limb == "knee" else self.elbow)[side]]
        return limb_frames(along, np.cross(self.bends[limb][side][1] * axis, along))

    def _set_limits(self, limits: dict[str, Any]) -> None:
        d = self.description
        margin = np.minimum(limits["margin"], 0.5 * np.ptp(d.limits, axis=1))  # none for locked joints
        self.lower, self.upper = d.limits[:, 0] + margin, d.limits[:, 1] - margin
        for limb, joints in (("knee", self.knee), ("elbow", self.elbow)):
            for k, joint in enumerate(joints):
                straight, sign = self.bends[limb][k]
                if sign > 0:
                    self.lower[joint] = max(self.lower[joint], straight + limits["straight"][limb])
                else:
                    self.upper[joint] = min(self.upper[joint], straight - limits["straight"][limb])
        self.speed = limits["speed"] * d.speed
        """(J,) rad/s."""
        self.acceleration = limits["acceleration"] * d.effort / self._inertia()
        """(J,) rad/s^2: what the maximum torque gives to the part of the robot beyond the joint, with all else at
        rest."""

    def _inertia(self) -> np.ndarray:
        """Inertia (J,) about each joint, at rest, of the bodies beyond it, as point masses; kg m^2."""
        d = self.description
        centers = np.array([self._poses.points(b, c)[:, 0] for b, c in enumerate(d.center)])
        out = np.full(len(d.parent), _ROTOR)
        for body in range(1, len(d.mass)):
            for j in d.chain(body):
                arm = cross(self.axes[j][:, None], (centers[body] - self._anchors[j])[:, None])
                out[j] += d.mass[body] * float(np.sum(arm**2))
        return out
