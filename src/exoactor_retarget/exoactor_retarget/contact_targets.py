"""Targets that lead hands, feet and seat to the objects that they touch, and the objects that move with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from exoactor_core.arrays import smoothstep
from exoactor_core.contacts import Contact
from exoactor_core.dex3 import EXTRA_MASS
from exoactor_core.scene import Scene, SceneObject
from exoactor_retarget.hand_contacts import LOW, HandContact, HandContactPlanner
from exoactor_retarget.human import BEARING
from exoactor_retarget.object_motion import PUSH_LAG, Destination, carried, pushed, swung, within_reach
from exoactor_retarget.reaching import hand_path
from exoactor_retarget.stance import foot_goal, seat_edge
from exoactor_retarget.surroundings import solids_of
from exoactor_retarget.targets import Targets, ramp, towards_upright, untwisted, window

_SEAT_DEPTH = 0.13  # m from the edge of a seat to the pelvis
_LEAN_BACK_SECONDS = 0.4  # in which a sitting robot leans back, and forward again before rising
_UPRIGHT_SHARE = 0.7  # of the lean of trunk and pelvis that is removed meanwhile
_SEAT_APPROACH, _SEAT_PRESS = 0.02, 0.03  # m above a seat for the pelvis at first, and into it when leaning back
_SEAT_MARGIN = 0.2  # s before and after sitting in which the pelvis is at the seat, not above the feet
_FOOT_LAG = 0.12  # m that a pushing foot aims farther: the robot's lags under load
_STRAIGHTENING_SECONDS = 0.3  # standard deviation with which a trunk is straightened for both hands
_HANGING_HEIGHT = 0.2  # m above the pelvis, up to which a hand counts as hanging


class ContactTargets:
    """Targets of a robot that imitates a person, to which contacts with objects are added in groups.

    Parameters
    ----------
    targets
        Without objects; the robot stands where it meets them.
    planner
        Of the hands' contacts; its model and scene are the robot and the objects.
    destinations, push_distances
        Where objects are put, and how far (m) they are pushed per push, by their ids.

    Attributes
    ----------
    contacts
        The added contacts, with their contact points.
    poses
        (T, n, 7) of the objects, m and w, x, y, z.
    """

    def __init__(
        self,
        targets: Targets,
        planner: HandContactPlanner,
        destinations: Mapping[str, Destination],
        push_distances: Mapping[str, float],
    ) -> None:
        self._targets, self._planner, self._model, self._scene = targets, planner, planner.model, planner.scene
        self._destinations, self._push_distances = destinations, push_distances
        t = len(targets)
        self._times = np.arange(t) / targets.fps
        self._palms = targets.natural_palms(self._model)
        self._touch = np.zeros((t, len(self._scene), len(self._model.description.mass)), dtype=bool)
        self._bearing, self._leans = targets.bearing.copy(), np.zeros(t)
        self._foot_pos, self._pelvis_pos = targets.foot_pos.copy(), targets.pelvis_pos.copy()
        self._hand_contacts: list[HandContact] = []
        self.contacts: list[Contact] = []
        self.poses = np.repeat(self._scene.poses[None], t, axis=0)

    def add(self, group: Sequence[Contact]) -> None:
        """Add a contact, or the contacts of both hands with one object."""
        if group[0].body.endswith("hand"):
            self._add_hands(group)
            return
        contact = group[0]
        self.contacts.append(contact)
        if contact.body == "seat":
            self._add_seat(contact)
        elif contact.body.endswith("foot"):
            self._add_foot(contact)

    def _frames(self, contact: Contact) -> tuple[int, int]:
        return contact.frames(self._targets.fps, len(self._times) - 1)

    def _window(self, first: int, last: int, seconds: float) -> np.ndarray:
        return window(len(self._times), first, last, round(seconds * self._targets.fps))

    def _allow_touch(self, when: np.ndarray, obj: int, bodies: Sequence[int]) -> None:
        """Let bodies touch an object in frames (T,) bool."""
        self._touch[np.ix_(np.flatnonzero(when), np.array([obj]), np.array(bodies))] = True

    def _add_hands(self, group: Sequence[Contact]) -> None:
        contact, sides = group[0], [c.side for c in group]
        obj, k = self._scene[contact.object], self._scene.ids.index(contact.object)
        hands = self._planner.plan(group, self._targets, self._palms)
        if contact.kind == "push" and obj.articulation:
            begin, end = self._frames(contact)
            far = float(np.linalg.norm(np.diff(self._palms[[begin, end], hands[0].side, :2], axis=0)))
            self.poses[:, k] = swung(obj, hands[0], self._times, far + PUSH_LAG)
            self._touch[self._times >= contact.start, k] = True  # it yields
            hands = [within_reach(one, self.poses[:, k], self._targets, self._model) for one in hands]
        self._hand_contacts += hands
        self.contacts += [one.contact for one in hands]
        near = self._window(*self._frames(contact), 0.5) > 0
        for side in sides:
            self._allow_touch(near, k, [self._model.bodies[part][side] for part in ("hand", "wrist")])
        if contact.kind in ("grasp", "push") and obj.movable:
            self._move_with_hands(contact, hands)

    def _move_with_hands(self, contact: Contact, hands: Sequence[HandContact]) -> None:
        """Carry or push an object with the hands of one contact that hold it."""
        obj, k = self._scene[contact.object], self._scene.ids.index(contact.object)
        _, end = self._frames(contact)
        sides = [one.side for one in hands]
        grip = np.mean([one.pos for one in hands], axis=0)
        natural = self._palms[:, sides].mean(axis=1)
        level = self._targets.level_palms(self._model)[:, sides].mean(axis=1)
        if hands[0].fingers and end < len(self._times) - 1:
            natural = level
        elif len(sides) == 2 and obj.pos[2] + grip[2] > LOW:  # bent wrists twist under the pressure of the palms
            natural[:, 2] = np.minimum(natural[:, 2], level[:, 2])
        if contact.kind == "push":
            distance = self._push_distances.get(obj.id)
            self.poses[:, k] = pushed(self.poses[:, k], contact, natural, self._targets.fps, distance)
            return
        scene = Scene(objects=tuple(map(SceneObject.at, self._scene.objects, self.poses[end])))
        self.poses[:, k] = carried(
            scene,
            contact,
            self.poses[:, k],
            grip,
            natural,
            self._targets,
            self._model,
            self._destinations.get(obj.id),
            two_hands=len(sides) == 2,
        )

    def _add_seat(self, contact: Contact) -> None:
        """Lead the pelvis to just above a seat, and into it while the robot leans back."""
        begin, end = self._frames(contact)
        obj, k = self._scene[contact.object], self._scene.ids.index(contact.object)
        fps, model = self._targets.fps, self._model
        edge, ahead = seat_edge(obj, self._targets.heading(model, (begin + end) // 2))
        margin = round(_LEAN_BACK_SECONDS * fps)
        back = window(len(self._times), begin + margin, end - margin, margin)
        self._leans = np.maximum(self._leans, back)
        early = round(_SEAT_MARGIN * fps)
        near_seat = slice(max(0, begin - early), end + early + 1)
        height = edge[2] + _SEAT_APPROACH - (_SEAT_APPROACH + _SEAT_PRESS) * back
        self._bearing[near_seat, BEARING.index("seat")] = height[near_seat]
        offset = edge[:2] - _SEAT_DEPTH * ahead - self._pelvis_pos[begin : end + 1, :2].mean(axis=0)
        near = self._window(begin, end, 1.0)
        self._pelvis_pos[:, :2] += near[:, None] * offset
        self._allow_touch(near > 0, k, [model.pelvis, *(j + 1 for side in range(2) for j in model.hip[side])])

    def _add_foot(self, contact: Contact) -> None:
        """Lead a toe to an object that it kicks or pushes."""
        (begin, end), side = self._frames(contact), contact.side
        obj, k = self._scene[contact.object], self._scene.ids.index(contact.object)
        self._touch[self._times >= contact.start - 0.3, k] = True  # it has moved away by then
        toe = self._foot_pos[begin, side] + self._targets.foot_rot[begin, side] @ self._model.toes[side]
        heading = self._targets.heading(self._model, begin)
        offset = np.repeat((foot_goal(obj, contact, toe, heading) - toe)[None], len(self._times), axis=0)
        if contact.kind == "push":
            farther = _FOOT_LAG * ramp(self._times, contact.start, contact.end - contact.start)
            offset[:, :2] += farther[:, None] * [np.cos(heading), np.sin(heading)]
        self._foot_pos[:, side] += self._window(begin, end, 0.35)[:, None] * offset * [1.0, 1.0, 0.6]

    def result(self) -> tuple[Targets, np.ndarray]:
        """The targets with all contacts, and the closure (T, 2) of the hands."""
        targets, model = self._targets, self._model
        hand_targets, closure = self._led_hands()
        headings, straight = targets.headings(model), self._straightened(hand_targets)
        trunk = []
        for rot, rest in (
            (targets.pelvis_rot, model.rest["pelvis"][0]),
            (targets.torso_rot, model.rest["torso"][0]),
        ):
            turned = untwisted(rot @ rest.T, headings, straight)
            trunk.append(towards_upright(turned[:, :, 2], _UPRIGHT_SHARE * self._leans) @ turned @ rest)
        targets = replace(
            targets,
            pelvis_rot=trunk[0],
            torso_rot=trunk[1],
            bearing=self._bearing,
            foot_pos=self._foot_pos,
            pelvis_pos=self._pelvis_pos,
            meeting=targets.meeting * (1.0 - hand_targets["holding"].max(axis=1)),
            solids=solids_of(self._scene, self.poses, self._touch) if len(self._scene) else None,
            **hand_targets,
        )
        return targets.with_led_arms(model), closure

    def _straightened(self, hand_targets: dict[str, Any]) -> np.ndarray:
        """Degree (T,) to which the trunk bends straight ahead, since both hands are led to something low.

        The person's trunk is hidden there, and its estimate twisted; with an arm's length to the floor, a twist leaves
        one hand too high, and the other arm at the trunk.
        """
        low = hand_targets["palm_pos"][..., 2].max(axis=1) < LOW
        both = hand_targets["holding"].min(axis=1) * low
        return gaussian_filter1d(both, _STRAIGHTENING_SECONDS * self._targets.fps, mode="nearest")

    def _led_hands(self) -> tuple[dict[str, Any], np.ndarray]:
        """Fields of the targets for hands that objects lead and for what they carry; their closure (T, 2)."""
        t, dex3 = len(self._times), self._planner.hands == "dex3"
        rotation, pos, holding = self._targets.hand_rot.copy(), np.zeros((t, 2, 3)), np.zeros((t, 2))
        load = np.full((t, 2), EXTRA_MASS if dex3 else 0.0)
        closed, opens = np.zeros((t, 2)), np.zeros((t, 2))
        for one in self._hand_contacts:
            k, path = one.side, hand_path(one, self.poses, self._scene, self._targets, self._model)
            leads = _nearest(one, self._hand_contacts, self._times) & (path.lead > holding[:, k])
            rotation[leads, k], pos[leads, k] = path.rotation[leads], path.palm[leads]
            holding[leads, k] = path.lead[leads]
            closed[:, k] = np.maximum(closed[:, k], path.pressed if one.fingers else path.lead)
            opens[:, k] = np.maximum(opens[:, k], path.lead * one.fingers)
            if one.contact.kind == "grasp":
                hands_on_it = sum(other.contact.start == one.contact.start for other in self._hand_contacts)
                load[:, k] += path.pressed * self._scene.objects[one.index].mass / hands_on_it
        if dex3:  # the thumb of an open, hanging hand would touch the thigh
            hangs = 1.0 - smoothstep((self._palms[..., 2] - self._pelvis_pos[:, None, 2]) / _HANGING_HEIGHT)
            closed = np.maximum(closed, hangs * (1.0 - opens))
        return {"hand_rot": rotation, "palm_pos": pos, "holding": holding, "load": load}, closed


def _nearest(one: HandContact, all_contacts: Sequence[HandContact], times: np.ndarray) -> np.ndarray:
    """Frames (T,) in which no other contact of the hand is closer in time."""
    away = [
        np.maximum(np.maximum(other.contact.start - times, times - other.contact.end), 0.0)
        for other in (one, *(other for other in all_contacts if other.side == one.side))
    ]
    return np.asarray(away[0] <= np.min(away, axis=0))
