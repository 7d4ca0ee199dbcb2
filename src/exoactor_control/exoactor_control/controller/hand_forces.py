"""Forces at the hands, fed forward: what they press on, what they lift, and what they weigh themselves.

A tracker holds the arms by soft position servos, the wrists of those in use by 4 N m/rad: hands that are only commanded
to a position inside a box bend away from it. So the joint torques J^T f of the wanted contact forces f are added to the
joint targets, divided by the servos' stiffness: the hands press with the force that friction needs, and carry what they
lift.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from exoactor_control.controller.arms import ARMS, WAIST, ArmKinematics
from exoactor_control.reference.trajectory import POLICY_RATE, Reference
from exoactor_core.constants import GRAVITY
from exoactor_core.contacts import Contact
from exoactor_core.dex3 import EXTRA_MASS, EXTRA_MASS_POINT
from exoactor_core.motion import JOINT_NAMES
from exoactor_core.robot import HAND_LINKS, HAND_POINT, link_poses
from exoactor_core.robot_state import RobotState
from exoactor_core.rotations import about_z, yaw_from_quat
from exoactor_core.scene import Scene, SceneObject

_SAFETY_FACTOR = 3.5
"""On the normal force that friction needs at rest: the body sways, and hands touch at points that slip and turn."""
_FRICTION = 0.5
"""That is counted on, unless the object has less."""
_MIN_PRESS, _MAX_PRESS = 10.0, 30.0
"""N of a hand: to keep what weighs nothing, and what the wrists' 5 N m withstand for long on a lever of 9 cm: the load,
the body's sway and the turns of what is held take the rest."""
_RAMP = round(0.4 * POLICY_RATE)
"""Frames over which a force comes and goes."""
_WRIST_GAINS = 20.0, 1.0
"""N m/rad and N m s/rad, least stiffness and damping of the wrists of two hands that hold something, as TWIST2's own
robot has them: 4 N m/rad let them twist until the palms slip."""
_LEAN, _MAX_LEAN = 0.015, 0.15
"""rad for each N m about the pelvis, and rad, by which the body leans away from what the hands carry: a tracker, which
knows nothing of a load, steps after it."""
_MAX_OFFSET = 1.0
"""rad by which a joint target is moved at most."""


@dataclass(frozen=True)
class HandLoad:
    """What one hand does at one moment."""

    hand: str
    press: np.ndarray
    """(3,) N on an object, in the frame of the hand's link."""
    load: float
    """N upwards."""
    point: np.ndarray
    """(3,) m, where, in the frame of the hand's link."""
    together: float = 0.0
    """How much it holds something together with the other hand, 0 to 1."""


@dataclass(frozen=True)
class _HandForce:
    hand: str
    begin: int
    """Frame of the motion at which the contact begins, and with it the force."""
    end: int
    """Frame from which the force goes."""
    press: np.ndarray
    """(3,) N in the frame of the hand's link, which turns with an object that is held."""
    load: float
    """N upwards, once the hand presses."""
    point: np.ndarray
    """(3,) m in the frame of the hand's link, where it touches the object."""

    def at(self, frame: int) -> HandLoad:
        come, gone = (frame - self.begin) / _RAMP, (frame - self.end) / _RAMP
        pressed, loaded = np.clip([come, come - 1.0], 0.0, 1.0) * (1.0 - np.clip(gone, 0.0, 1.0))
        between_palms = self.press.any() and self.load > 0.0
        together = pressed * between_palms
        return HandLoad(self.hand, pressed * self.press, float(loaded * self.load), self.point, together)


def dex3_weights(fitted: Sequence[bool]) -> list[HandLoad]:
    """The weights of the Dex3 hands that are fitted, left and right, over that of the rubber hands of the training."""
    hands = (hand for hand, there in zip(HAND_LINKS, fitted, strict=True) if there)
    return [HandLoad(hand, np.zeros(3), EXTRA_MASS * GRAVITY, np.array(EXTRA_MASS_POINT)) for hand in hands]


class HandForces:
    """The forces of a motion's hands on what they hold or push in a scene, and to carry it."""

    def __init__(self, reference: Reference, scene: Scene) -> None:
        self._forces = list(_forces(reference, scene))

    def at(self, frame: int) -> list[HandLoad]:
        """At a frame of the motion."""
        return [f.at(frame) for f in self._forces if f.begin <= frame <= f.end + _RAMP]


class ArmFeedforward:
    """What servos of stiffness ``kp`` and damping ``kd``, (29,) N m/rad and N m s/rad, do against forces at the hands.

    The waist carries what two hands lift together, and their own weight meanwhile, not what they press: the palms press
    against each other.
    """

    def __init__(self, kp: np.ndarray, kd: np.ndarray) -> None:
        self._gains, self._arms = np.array([kp, kd]), ArmKinematics()
        self._yaw = 0.0

    def update(self, state: RobotState) -> None:
        """Take in where the arms are, for `offsets` and `lean`."""
        self._arms.update(np.concatenate([np.zeros(3), state.quat_wxyz[[1, 2, 3, 0]], state.joint_pos]))
        self._yaw = float(yaw_from_quat(state.quat_wxyz))

    def gains(self, loads: Sequence[HandLoad]) -> np.ndarray:
        """Stiffness and damping (2, 29), greater at the wrists of two hands that hold something."""
        gains = self._gains.copy()
        for each in loads:
            wrist = gains[:, ARMS[each.hand]][:, -3:]
            wrist += each.together * np.maximum(np.array(_WRIST_GAINS)[:, None] - wrist, 0.0)
        return gains

    def offsets(self, loads: Sequence[HandLoad], kp: np.ndarray) -> np.ndarray:
        """(29,) rad to be added to the joint targets of servos of stiffness ``kp`` (29,), as `gains` gives it."""
        torques = np.zeros(len(JOINT_NAMES))
        together = max((each.together for each in loads), default=0.0)
        for each in loads:
            arm, (pose, _) = ARMS[each.hand], self._arms.hand(each.hand)
            point, load = pose.act(each.point), np.array([0.0, 0.0, each.load])
            torques[WAIST] += together * self._arms.torques(point, load)[WAIST]
            torques[arm] += self._arms.torques(point, pose.rotation @ each.press + load)[arm]
        return np.clip(torques / kp, -_MAX_OFFSET, _MAX_OFFSET)

    def lean(self, loads: Sequence[HandLoad]) -> np.ndarray:
        """Roll and pitch (2,) rad by which the body leans away from what the hands carry, against its moment."""
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
    if contact.kind == "push" and obj.articulation:  # a door swings by itself
        return 0.0 if obj.articulation.kind == "hinge" else _MIN_PRESS, 0.0
    if contact.kind == "push":
        return min(obj.friction * weight / hands, _MAX_PRESS), 0.0
    if hands == 1:  # held by fingers, which press on it by themselves
        return 0.0, weight
    press = _SAFETY_FACTOR * weight / hands / max(min(obj.friction, _FRICTION), 0.1)
    return float(np.clip(press, _MIN_PRESS, _MAX_PRESS)), weight / hands
