"""Contact points and orientations of hands on objects: between palms, with fingers, or with a palm or knuckles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import unit
from exoactor_core.contacts import Contact
from exoactor_core.errors import Refused
from exoactor_core.scene import Scene, SceneObject
from exoactor_retarget.model import Model
from exoactor_retarget.object_geometry import box_normal, box_side, facing_surface
from exoactor_retarget.targets import Targets, headed

_PRESS_DEPTH = {"grasp": 0.02, "push": 0.02, "strike": 0.02, "touch": 0.01, "support": 0.01}
"""m that hands aim into an object, by the kind of contact."""
_APPROACH_DISTANCE = 0.10  # m in front of the surface, position of a hand before the contact
_APPROACH_INWARD = 0.05  # m closer to the body there
_APPROACH_ABOVE = 0.12  # m higher there, where hands take low objects, beside which arms are short, or a drawer's front
_MAX_PALM_GAP, _MIN_PALM_GAP = 0.46, 0.10  # m between two palms
_DEX3_PALM = 0.0415, 0.003  # m, the palm's link in that of the wrist, ahead and outward (Unitree's URDF)
_DEX3_REACH = 0.134
"""m along the palm's link plus a third of the way around the object: fingers hold objects up to here. Found by
rehearsals with bottles of 66 mm and cups of 80 mm, which are held best 0.065 and 0.05 m ahead of the palm's link."""
_DEX3_GAP = 0.017  # m from the palm's link sideways to the surface of a held object
_DEX3_FIST, _DEX3_KNUCKLES = np.array([0.093, -0.057, 0.0]), np.array([0.145, -0.03, 0.0])
"""m, contact points of a closed left hand on objects beside it (the centre of pressure of its bent fingers and thumb on
a box in simulation) and ahead of it, in the link of the wrist."""
_DEX3_MAX_WIDTH, _DEX3_APPROACH, _DEX3_INWARD = 0.095, 0.12, 0.35  # m, m and rad
_DEX3_ASIDE = 0.05  # m to its side from which a hand approaches: fingers get 2 cm off their path
_MIN_DRAW_DISTANCE = 0.05  # m towards the robot from which a hand draws an object rather than pushing it
_HALF_HAND_SPACING = 0.09  # m from the middle between two pushing hands to each of them
_DEPTHS_UNDER_TOP = 0.04, 0.07  # m, minimum and maximum, from the grip to the top of low objects
_TIPS_SURELY = 1.5  # relative to the height at which it would begin to tip
_MIN_ONE_HAND_HEIGHT = 0.45  # m above the floor: lower, with a level hand, the pelvis drops and the arm twists
_MIN_PALM_HEIGHT = 0.16  # m above the floor: for lower objects the waist leans on its stop, and twists
LOW = 0.5
"""m above the floor: for lower objects the robot bends down with the hands in front, and pushes with hanging palms."""


@dataclass(frozen=True)
class HandContact:
    """A hand on an object."""

    side: int
    index: int
    """Index of the object in the scene."""
    contact: Contact
    pos: np.ndarray
    """(3,) m, contact point in the object's frame."""
    normal: np.ndarray
    """(3,) outward normal of the object there, in its frame."""
    rotation: np.ndarray
    """(3, 3) of the hand's body in the object's frame."""
    local: np.ndarray
    """(3,) m, contact point of the hand, in its body."""
    retreat: np.ndarray
    """(3,) m, from the contact point to the point of approach, in the object's frame."""
    press: float
    """m that the hand aims into the object."""
    fingers: bool = False
    """Whether fingers close around the object; otherwise a fist touches it."""


def contact_groups(contacts: Sequence[Contact]) -> list[list[Contact]]:
    """Contacts grouped by object and time: those of both hands with one object belong together."""
    groups: list[list[Contact]] = []
    for contact in sorted(contacts, key=lambda c: c.start):
        for group in groups:
            one = group[0]
            same = one.object == contact.object and one.kind == contact.kind and contact.body.endswith("hand")
            if same and one.body != contact.body and one.body.endswith("hand") and abs(one.start - contact.start) < 0.5:
                group.append(contact)
                break
        else:
            groups.append([contact])
    return groups


@dataclass(frozen=True)
class HandContactPlanner:
    """Plans the contacts of hands with the objects of a scene.

    ``hands`` are "fists", which hold objects between the palms, or "dex3", one of which can close around an object.
    """

    model: Model
    scene: Scene
    hands: str

    def plan(self, group: Sequence[Contact], targets: Targets, natural: np.ndarray) -> list[HandContact]:
        """Contact of each hand of a group with the object; ``natural`` (T, 2, 3) m are the palms without objects."""
        contact = group[0]
        obj = self.scene[contact.object]
        frame = min(round(contact.start * targets.fps), len(targets) - 1)
        last = min(round(contact.end * targets.fps), len(targets) - 1)
        heading, palms = targets.heading(self.model, frame), natural[frame]
        to_object = obj.rotation.inv()
        forward, left = (to_object.apply(v) for v in headed(np.array([heading]))[0].T[:2])
        sides = [c.side for c in group]
        near = obj.local(palms)
        middle = near[sides].mean(axis=0)
        hand_contacts = []
        for contact, side in zip(group, sides, strict=True):
            if contact.kind == "grasp" and len(group) == 1:
                hand_contacts.append(self._finger_grasp(side, contact, forward))
                continue
            if contact.pos_object is not None:
                pos = np.array(contact.pos_object)
                normal = (
                    box_normal(obj, pos) if contact.normal_object is None else unit(np.array(contact.normal_object))
                )
                if contact.kind == "push":
                    way = to_object.apply(natural[last, side] - natural[frame, side]) * [1.0, 1.0, 0.0]
                    drawn = way @ forward < -_MIN_DRAW_DISTANCE  # towards the robot, with the palm
                    normal = -unit(way) if drawn else facing_surface(obj, -forward, pos, contact.kind)[1]
                    if not drawn and obj.articulation is None and len(group) == 1:  # off-centre it would turn away
                        pos += (obj.bounds.mean(axis=0) - pos) @ left * left
            elif contact.kind == "grasp":
                pos, normal = _between_palms(obj, left if side == 0 else -left, middle)
            else:
                pos, normal = facing_surface(obj, -forward, near[side], contact.kind)
            if contact.kind == "push":
                _check_slides(obj, pos, forward)
            if _taken_low(contact, obj, pos):  # as high as possible, so that the robot bends down less
                pos[2] = max(pos[2], _low_grip(obj))
            hand_contacts.append(self._contact(side, contact, pos, normal, forward))
        if len(hand_contacts) == 2 and contact.kind == "push":
            middle = (hand_contacts[0].pos + hand_contacts[1].pos) / 2.0
            wide = min(_HALF_HAND_SPACING, np.abs(np.diff(obj.bounds, axis=0)[0] @ np.abs(left)) / 2.0 - 0.03)
            hand_contacts = [
                self._contact(
                    one.side, one.contact, middle + (wide if one.side == 0 else -wide) * left, one.normal, forward
                )
                for one in hand_contacts
            ]
        return hand_contacts

    def _contact(
        self, side: int, contact: Contact, pos: np.ndarray, normal: np.ndarray, forward: np.ndarray
    ) -> HandContact:
        obj = self.scene[contact.object]
        low = pushed_low(contact, obj.pos[2] + obj.rotation.apply(pos)[2])
        drawn = contact.kind == "push" and normal @ forward > 0.3
        into_drawer = drawn and obj.articulation is not None  # from above, behind its front
        palm = contact.kind in ("grasp", "support") or abs(normal[2]) > 0.7 or low or drawn
        out = 1.0 if side == 0 else -1.0
        fist = self.hands == "dex3" and not low
        taken_low = _taken_low(contact, obj, pos)
        if palm:
            y = normal if side == 0 else -normal
            x = forward - (forward @ y) * y
            down = low or into_drawer
            x = unit(x) if np.linalg.norm(x) > 0.3 else unit(np.array([0.0, 0.0, -1.0 if down else 1.0]) - y[2] * y)
            local = _DEX3_FIST * [1.0, out, 1.0] if fist else self.model.palms[side]
        else:
            x = -normal
            up = np.array([0.0, 0.0, 1.0])
            y = unit(np.cross(up, x))
            local = _DEX3_KNUCKLES * [1.0, out, 1.0] if fist else self.model.fingertips[side]
        rotation = np.stack([x, y, np.cross(x, y)], axis=1)
        filled = _filled(contact, pos, normal)
        index, press = self.scene.ids.index(contact.object), _PRESS_DEPTH[contact.kind]
        retreat = _APPROACH_DISTANCE * normal - _APPROACH_INWARD * forward
        if taken_low or into_drawer:
            retreat += obj.rotation.inv().apply([0.0, 0.0, _APPROACH_ABOVE])
        return HandContact(side, index, filled, pos, normal, rotation, local, retreat, press)

    def _finger_grasp(self, side: int, contact: Contact, forward: np.ndarray) -> HandContact:
        """A Dex3-1 hand around an object, from in front and slightly from its own side, the thumb up."""
        obj = self.scene[contact.object]
        shape = obj.largest_shape
        radius = min(shape.size[:2]) / 2.0
        if radius > _DEX3_MAX_WIDTH / 2.0:
            raise Refused(
                f"The robot cannot close a hand about the {obj.category}: it is {200 * radius:.0f} cm wide, and "
                f"{100 * _DEX3_MAX_WIDTH:.0f} cm can be held."
            )
        check_one_hand(obj, obj.pos[2], "pick up the {} from there")
        out = 1.0 if side == 0 else -1.0
        x = Rotation.from_euler("z", -out * _DEX3_INWARD).apply(forward)
        y = np.cross([0.0, 0.0, 1.0], x)
        axis = np.array(shape.pos)
        ahead = _DEX3_PALM[0] + _DEX3_REACH - 2.0 * np.pi / 3.0 * radius
        local = np.array([ahead, out * (_DEX3_PALM[1] - _DEX3_GAP - radius), 0.0])
        filled = _filled(contact, axis + out * radius * y, out * y)
        rotation = np.stack([x, y, np.cross(x, y)], axis=1)
        retreat = -_DEX3_APPROACH * x + _DEX3_ASIDE * out * y
        return HandContact(
            side, self.scene.ids.index(contact.object), filled, axis, out * y, rotation, local, retreat, 0.0, True
        )


def _between_palms(obj: SceneObject, outward: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Contact of a palm on the side of an object in direction ``outward`` (3,), in its frame."""
    low, high = obj.bounds
    middle = (low + high) / 2.0
    shape = obj.largest_shape
    middle[2] = np.clip(at[2], low[2] + 0.45 * (high[2] - low[2]), low[2] + 0.6 * (high[2] - low[2]))
    if shape.is_round and np.abs(shape.rotation.as_matrix()[2, 2]) > 0.9:
        normal = unit(outward * [1.0, 1.0, 0.0])
        half = shape.size[0] / 2.0
        if shape.kind == "sphere":
            middle[2] = shape.pos[2]
        middle[:2] = shape.pos[:2]
    else:
        axis, normal = box_side(outward[:2])
        half = (high - low)[axis] / 2.0
    if not _MIN_PALM_GAP <= 2.0 * half <= _MAX_PALM_GAP:
        raise Refused(
            f"The robot cannot hold the {obj.category} between its palms: it is {200 * half:.0f} cm wide there, "
            f"and {100 * _MIN_PALM_GAP:.0f} to {100 * _MAX_PALM_GAP:.0f} cm can be held. What is narrower takes Dex3 "
            f"hands (retarget.hands=dex3)."
        )
    return middle + half * normal, normal


def check_one_hand(obj: SceneObject, bottom: float, does: str) -> None:
    """Raise `Refused` if one hand cannot reach down to an object whose frame is at a height (m) above the floor."""
    height = bottom + obj.largest_shape.pos[2]
    if height < _MIN_ONE_HAND_HEIGHT:
        raise Refused(
            f"The robot cannot {does.format(obj.category)} with one hand: it would hold it {100 * height:.0f} cm over "
            f"the floor, and one hand gets down to {100 * _MIN_ONE_HAND_HEIGHT:.0f} cm. Put it on a table or a stand."
        )


def _check_slides(obj: SceneObject, pos: np.ndarray, forward: np.ndarray) -> None:
    """Raise `Refused` for an object on the floor that would tip over if pushed forward at a point (3,) in its frame."""
    deep = float(np.ptp(obj.bounds, axis=0) @ np.abs(forward))
    up, tips = pos[2] - obj.bounds[0, 2], 0.5 * deep / max(obj.friction, 1e-6)
    if obj.movable and obj.pos[2] < 0.1 and up > _TIPS_SURELY * tips:
        raise Refused(
            f"The {obj.category} would tip over rather than slide: it is pushed {100 * up:.0f} cm up; with its depth "
            f"and a friction of {obj.friction:g} it slides where it is pushed lower than {100 * tips:.0f} cm."
        )


def _low_grip(obj: SceneObject) -> float:
    """Height (m, in its frame) at which palms hold a low object; raises `Refused` for a ball that is too low."""
    shape = obj.largest_shape
    if shape.kind != "sphere":
        top, lowest = float(obj.bounds[1, 2]), _MIN_PALM_HEIGHT - float(obj.pos[2])
        return max(top - _DEPTHS_UNDER_TOP[1], min(top - _DEPTHS_UNDER_TOP[0], lowest))
    height = obj.pos[2] + shape.pos[2]
    if height < _MIN_PALM_HEIGHT:
        raise Refused(
            f"The robot cannot pick up the {obj.category} from there: its middle, where palms hold it, is "
            f"{100 * height:.0f} cm over the floor, and they get down to {100 * _MIN_PALM_HEIGHT:.0f} cm. It can "
            "take it from a table, or kick it."
        )
    return float(shape.pos[2])


def _taken_low(contact: Contact, obj: SceneObject, pos: np.ndarray) -> bool:
    """Whether hands take an object low, at a point (3,) in its frame."""
    return contact.kind == "grasp" and bool(obj.pos[2] + pos[2] < LOW)


def pushed_low(contact: Contact, height: float) -> bool:
    """Whether a point at a height (m) above the floor is pushed with a hanging hand."""
    return contact.kind == "push" and height < LOW


def _filled(contact: Contact, pos: np.ndarray, normal: np.ndarray) -> Contact:
    at, out = ((float(v[0]), float(v[1]), float(v[2])) for v in (pos, normal))
    return contact.model_copy(update={"pos_object": at, "normal_object": out})
