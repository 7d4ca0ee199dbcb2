"""Feedforward of the forces at the hands: contact forces, loads, and the weight of the hands themselves.

A tracker holds the arms with soft position servos (4 N m/rad at the wrists of those in use), so that hands commanded to
a position inside a box bend away from it. Therefore the joint torques J^T f of the desired contact forces f, divided by
the servos' stiffness, are added to the joint targets: the hands press with the force that friction needs, and carry
what they lift.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from exoactor_control.controller.arms import ARMS, ArmKinematics
from exoactor_control.reference.trajectory import POLICY_RATE, Reference
from exoactor_core.constants import GRAVITY
from exoactor_core.contacts import Contact
from exoactor_core.dex3 import EXTRA_MASS, EXTRA_MASS_POINT
from exoactor_core.motion import JOINT_NAMES, WAIST
from exoactor_core.robot import HAND_LINKS, HAND_POINT, link_poses
from exoactor_core.robot_state import RobotState
from exoactor_core.rotations import about_z, yaw_from_quat
from exoactor_core.scene import Scene, SceneObject

_SAFETY_FACTOR = 3.5
"""On the normal force that friction needs at rest: the body sways, and hands slip and turn at their contact points."""
_FRICTION = 0.5
"""Assumed coefficient of friction, unless the object has less."""
_MIN_PRESS, _MAX_PRESS = 10.0, 30.0
"""N per hand: a minimum for light objects, and what the wrists' 5 N m withstand continuously on a lever of 9 cm; load,
sway and turns of the object take the rest."""
_RAMP = round(0.4 * POLICY_RATE)
"""Frames over which a force is faded in and out."""
_WRIST_GAINS = 20.0, 1.0
"""N m/rad and N m s/rad, minimum stiffness and damping of the wrists of two hands that hold something, as on TWIST2's
own robot: with 4 N m/rad the wrists twist until the palms slip."""
_LEAN, _MAX_LEAN = 0.015, 0.15
"""rad per N m about the pelvis, and rad, by which the body leans against the load: a tracker, which does not know of a
load, would step after it."""
_MAX_OFFSET = 1.0
"""Maximum change of a joint target, rad."""


@dataclass(frozen=True)
class HandLoad:
    """Force of one hand at one moment."""

    hand: str
    press: np.ndarray
    """(3,) N on an object, in the frame of the hand's link."""
    load: float
    """N, upwards."""
    point: np.ndarray
    """(3,) m, point of attack in the frame of the hand's link."""
    together: float = 0.0
    """Degree to which it holds something together with the other hand, in [0, 1]."""


@dataclass(frozen=True)
class _HandForce:
    hand: str
    begin: int
    """Frame of the motion at which the contact, and with it the force, begins."""
    end: int
    """Frame from which the force fades out."""
    press: np.ndarray
    """(3,) N in the frame of the hand's link, which turns with a held object."""
    load: float
    """N, upwards, once the hand presses."""
    point: np.ndarray
    """(3,) m, contact point in the frame of the hand's link."""

    def at(self, frame: int) -> HandLoad:
        come, gone = (frame - self.begin) / _RAMP, (frame - self.end) / _RAMP
        pressed, loaded = np.clip([come, come - 1.0], 0.0, 1.0) * (1.0 - np.clip(gone, 0.0, 1.0))
        between_palms = self.press.any() and self.load > 0.0
        together = pressed * between_palms
        return HandLoad(self.hand, pressed * self.press, float(loaded * self.load), self.point, together)


def dex3_weights(fitted: Sequence[bool]) -> list[HandLoad]:
    """Weights of the fitted Dex3 hands, left and right, in excess of the rubber hands used in training."""
    hands = (hand for hand, there in zip(HAND_LINKS, fitted, strict=True) if there)
    return [HandLoad(hand, np.zeros(3), EXTRA_MASS * GRAVITY, np.array(EXTRA_MASS_POINT)) for hand in hands]


class HandForces:
    """The forces with which the hands of a motion hold, push and carry the objects of a scene."""

    def __init__(self, reference: Reference, scene: Scene) -> None:
        self._forces = list(_forces(reference, scene))

    def at(self, frame: int) -> list[HandLoad]:
        """The loads at a frame of the motion."""
        return [f.at(frame) for f in self._forces if f.begin <= frame <= f.end + _RAMP]


class ArmFeedforward:
    """Compensates forces at the hands with servos of ``kp`` and ``kd``, (29,) N m/rad and N m s/rad.

    The waist carries what two hands lift together, and meanwhile their own weight, but not their contact forces: the
    palms press against each other.
    """

    def __init__(self, kp: np.ndarray, kd: np.ndarray) -> None:
        self._gains, self._arms = np.array([kp, kd]), ArmKinematics()
        self._yaw = 0.0

    def update(self, state: RobotState) -> None:
        """Update the pose of the arms, for `offsets` and `lean`."""
        self._arms.update(np.concatenate([np.zeros(3), state.quat_wxyz[[1, 2, 3, 0]], state.joint_pos]))
        self._yaw = float(yaw_from_quat(state.quat_wxyz))

    def gains(self, loads: Sequence[HandLoad]) -> np.ndarray:
        """Stiffness and damping (2, 29), increased at the wrists of two hands that hold something."""
        gains = self._gains.copy()
        for each in loads:
            wrist = gains[:, ARMS[each.hand]][:, -3:]
            wrist += each.together * np.maximum(np.array(_WRIST_GAINS)[:, None] - wrist, 0.0)
        return gains

    def offsets(self, loads: Sequence[HandLoad], kp: np.ndarray) -> np.ndarray:
        """(29,) rad to add to the joint targets of servos with stiffness ``kp`` (29,), as `gains` returns it."""
        torques = np.zeros(len(JOINT_NAMES))
        together = max((each.together for each in loads), default=0.0)
        for each in loads:
            arm, (pose, _) = ARMS[each.hand], self._arms.hand(each.hand)
            point, load = pose.act(each.point), np.array([0.0, 0.0, each.load])
            torques[WAIST] += together * self._arms.torques(point, load)[WAIST]
            torques[arm] += self._arms.torques(point, pose.rotation @ each.press + load)[arm]
        return np.clip(torques / kp, -_MAX_OFFSET, _MAX_OFFSET)

    def lean(self, loads: Sequence[HandLoad]) -> np.ndarray:
        """Roll and pitch (2,) rad by which the body leans against the moment of the load."""
        moment = np.zeros(2)
        for each in loads:
            pose, _ = self._arms.hand(each.hand)
            moment += each.load * pose.act(each.point)[:2]
        ahead, left = about_z(self._yaw).T[:2, :2] @ moment
        return np.clip(_LEAN * np.array([left, -ahead]), -_MAX_LEAN, _MAX_LEAN)


def _forces(reference: Reference, scene: Scene) -> Iterable[_HandForce]:
    contacts = [c for c in reference.motion.object_contacts if c.body in HAND_LINKS and c.object]
    if not contacts:
        return
    positions, turns = link_poses(reference.motion, tuple(HAND_LINKS.values()))
    for contact in contacts:
        if contact.kind not in ("grasp", "push", "support") or contact.normal_object is None:
            continue
        obj = scene[contact.object]
        begin, end = reference.frame_at(contact.start), reference.frame_at(contact.end)
        same = [other for other in contacts if (other.object, other.kind) == (contact.object, contact.kind)]
        together = sum(contact.overlaps(other) for other in same)
        force, load = wanted_forces(contact, obj, together)
        normal = obj.rotation.apply(contact.normal_object)
        at = int(np.clip(begin, 0, len(positions) - 1)), contact.side
        turn, point = turns[at], np.array(HAND_POINT)
        if contact.pos_object is not None:
            point = turn.T @ (obj.rotation.apply(contact.pos_object) + obj.pos - positions[at])
        yield _HandForce(contact.body, begin, end, turn.T @ (-force * normal), load, point)


def wanted_forces(contact: Contact, obj: SceneObject, hands: int) -> tuple[float, float]:
    """Normal force of one hand on an object that so many hands hold or push, and its share of the weight, N."""
    weight = obj.mass * GRAVITY
    if contact.kind == "support":
        return _MIN_PRESS, 0.0
    if contact.kind == "push" and obj.articulation:  # a door swings freely
        return 0.0 if obj.articulation.kind == "hinge" else _MIN_PRESS, 0.0
    if contact.kind == "push":
        return min(obj.friction * weight / hands, _MAX_PRESS), 0.0
    if hands == 1:  # held by fingers, which press by themselves
        return 0.0, weight
    press = _SAFETY_FACTOR * weight / hands / max(min(obj.friction, _FRICTION), 0.1)
    return float(np.clip(press, _MIN_PRESS, _MAX_PRESS)), weight / hands
