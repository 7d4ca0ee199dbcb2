"""What the robot does with objects: contacts as targets in the objects' frames, and where its feet stand for them.

Palms, a foot and the seat are led to where they touch an object; the root path and the steps are shifted so that this
is where the robot's own arm (or leg) would be as it imitates the person. Held objects move with the hands: off what
they stand on, as the person carries them, and down onto where they are put.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial.transform import Rotation

from exoactor_core.contacts import BodyPart, Contact
from exoactor_core.errors import Refused
from exoactor_core.scene import Scene, SceneObject, articulated
from exoactor_retarget.contacts import foot_contacts
from exoactor_retarget.human import BEARING, Posture, at_times
from exoactor_retarget.model import SIDES, Model
from exoactor_retarget.relocation import heading_change, moved, steps_needed, with_steps
from exoactor_retarget.surroundings import Solids, solids_of
from exoactor_retarget.targets import Targets, headed, lateral, smoothstep, unit

_RAISE, _ADVANCE, _CLOSE = 1.3, 0.7, 0.7  # s of a hand to the body's front, to beside the object, and onto it
APPROACH = _RAISE + _ADVANCE + _CLOSE
_TAKE = 0.3  # s over which an object takes, and gives back, the lead of a hand
_READY = 0.17, 0.15  # m: a hand before the body, ahead of the pelvis, and above what the object stands on
_READY_ASIDE = 0.10, 0.30  # m, likewise, to its own side
_SETTLE = 3  # steps on the spot after a walk, in which the robot gets to where it should stand
_SLOW = 2.0  # how many times as long the person's reaching and putting down takes, from `_SLOWED` s before to after
_SLOWED = 1.0, 0.3
_PRESS = {"grasp": 0.02, "push": 0.02, "touch": 0.01, "support": 0.01}  # m that palms aim into an object
_AWAY, _BEFORE = 0.10, 0.05  # m in front of the surface, and nearer to the body, is the point before the contact
_PRESSED = 0.4  # s in which hands press, and let go
_DWELL = 0.6  # s after which what is taken is lifted
_LOWERED = 0.45  # s before the end of a contact at which what is put down stands
_CARRY, _LOWER = 1.0, 1.2  # s in which it gets to where the person would carry it, and from there to its place
_LIFTED = 0.10  # m that it is lifted at least
_HOVER, _OVER = 0.05, 0.03  # m above its place before it is lowered, and above what it passes
_PASSED = 1.1  # m, height of what an object is lifted over
_BODY = 0.13  # m from the middle of the robot's pelvis to its front, with room
_WIDEST, _NARROWEST = 0.46, 0.10  # m between two palms
_OVER_RIM = 0.05  # m over the rim of what contains it, at which the middle of an object is let go
_PUT = 0.8  # m around a hand in which something to put an object on, or into, is looked for
_ROOM = 0.33  # m from the middle of the robot to what it walks past
_STOP = 0.45  # m: what is so near to where the robot stops is what it goes to
_TALL = 0.06  # m: lower things are stepped over
_DEX3_PALM = 0.0415, 0.003  # m, the palm's link in that of the wrist, ahead and outward (Unitree's URDF)
_DEX3_AXIS, _DEX3_GAP = 0.065, 0.017  # m, along the palm's link to the axis of what is held, and aside to its surface
_DEX3_FIST, _DEX3_KNUCKLES = np.array([0.115, -0.058, 0.0]), np.array([0.145, -0.03, 0.0])
"""m, where a closed left hand touches what is beside it and ahead of it, in the link of the wrist."""
_DEX3_WIDEST, _DEX3_AWAY, _DEX3_INWARD = 0.095, 0.12, 0.35  # m, m and rad
_BEFORE_SEAT, _ON_SEAT = 0.13, 0.13  # m from the edge of a seat to the feet, and to the pelvis
_SUNK = 0.03  # m that the pelvis aims into a seat, for it to bear
_APART = 0.09  # m from the middle between two pushing hands to each
_LOW = 0.5  # m over the floor: what is lower is pushed with palms of hands that hang down
_OPEN, _SWING = 1.57, 3.0  # rad that a door is pushed open, and s that it swings
_EDGE = 0.05  # m from the edge of a surface to where a hand touches it
_KNEE = 0.06  # m from the middle of a knee to its front, with room
_FOREARMS = (0.26, 0.0, 0.10)  # m from a hip to what must have room too, so that arms are raised before an edge
_BACK = 0.3  # m that it stands back at most so that they have it
_LEAN = 0.05  # m that the body, which stands, leans towards an object rather than step


@dataclass(frozen=True)
class Touch:
    """A hand on an object."""

    side: int
    thing: int
    """Index in the scene."""
    contact: Contact
    pos: np.ndarray
    """(3,) m, where the object is touched, in its frame."""
    normal: np.ndarray
    """(3,) out of the object there, in its frame."""
    rotation: np.ndarray
    """(3, 3) of the hand's body in the object's frame."""
    local: np.ndarray
    """(3,) m, the point of the hand that touches, in its body."""
    retreat: np.ndarray
    """(3,) m, from there to the point before the contact, in the object's frame."""
    press: float
    """m that the hand aims into the object."""
    fingers: bool = False
    """They close about the object; otherwise it is a fist that touches it."""


def stretched(times: np.ndarray, start: float, seconds: float) -> np.ndarray:
    """0 before ``start``, 1 from ``seconds`` later on, smooth in between."""
    return smoothstep((times - start) / max(seconds, 1e-3))


class InteractionTargets:
    """The contacts of one motion with the objects of a scene.

    Parameters
    ----------
    model, scene
        Robot and objects.
    contacts
        With their objects; feet, seat and hands.
    hands
        "fists", which hold objects between the palms, or "dex3", one of which closes about what it holds.
    """

    def __init__(self, model: Model, scene: Scene, contacts: Sequence[Contact], hands: str) -> None:
        self.model, self.scene, self.hands = model, scene, hands
        self.contacts = [c for c in contacts if c.object]
        self._index = {name: k for k, name in enumerate(scene.ids)}
        for group in self._groups() if hands == "fists" else []:
            one = group[0]
            if one.kind == "grasp" and len(group) == 1:
                other: BodyPart = "right_hand" if one.body == "left_hand" else "left_hand"
                self.contacts.append(one.model_copy(update={"body": other}))

    # --- where the robot stands ---------------------------------------------------------------------------------------

    def slowed(self, person: Posture) -> Posture:
        """The person, who takes longer to reach for objects and to put them down; the contacts' times follow."""
        times = np.arange(len(person)) / person.fps
        pace = np.ones(len(person))
        for contact in self.contacts:
            slow = contact.kind in ("grasp", "push") and self.scene[contact.object].movable
            for at in (contact.start, contact.end) if slow else ():
                if at < times[-1] - 0.05:
                    pace[(times > at - _SLOWED[0]) & (times < at + _SLOWED[1])] = _SLOW
        pace = gaussian_filter1d(pace, 0.1 * person.fps, mode="nearest")
        late = np.r_[0.0, np.cumsum(pace[:-1])] / person.fps
        self._retime(lambda t: float(np.interp(t, times, late)))
        new = np.arange(int(late[-1] * person.fps + 1e-6) + 1) / person.fps
        return person if len(new) == len(person) else at_times(person, np.interp(new, late, times), person.fps)

    def relocated(self, person: Posture, targets: Targets) -> tuple[Posture, list[str]]:
        """The person moved to where the robot's hands, feet and seat meet the objects; sentences on what was done.

        The contacts' times follow where steps are put in.
        """
        anchors = self._anchors(targets)
        stands = foot_contacts(person.contacts, person.fps, 0.08)
        notes, sway = [], np.zeros((len(person), 2))
        placed: list[tuple[int, int, np.ndarray]] = [(0, 0, np.zeros(2))]
        put_in = 0
        for first, last, wanted in anchors:
            first, last = first + put_in, last + put_in
            before, since = placed[-1][2], placed[-1][1]
            way = wanted - before
            distance = float(np.linalg.norm(way))
            swings = _swings(stands[since : first + 1])
            count = steps_needed(distance, swings)
            if swings:
                count = max(count, _SETTLE)
            if count and not (swings == 0 and distance < _LEAN):
                at = _standing(person, stands, since, first - round(0.5 * person.fps))
                person, extra, frames = with_steps(person, at, count, way)
                stands = foot_contacts(person.contacts, person.fps, 0.08)
                sway = _inserted(sway, at, frames) + extra
                after, late = at / person.fps, frames / person.fps
                self._retime(lambda t, after=after, late=late: t + late if t > after else t)  # type: ignore[misc]
                first, last, put_in = first + frames, last + frames, put_in + frames
                share = min(1.0, 0.12 * swings / distance) if swings else 0.0
                if share:
                    placed.append((at, at, before + share * way))
                placed.append((at + frames, at + frames, wanted))
                notes.append(
                    f"The robot takes {count} more steps, {100 * distance:.0f} cm, to where it reaches the object."
                )
            elif swings == 0:
                wanted = before  # it leans
            placed.append((first, last, wanted))
        shift = _along_steps(placed, stands, person)
        shift = self._past_obstacles(person, shift, placed, stands)
        turn = heading_change(person, shift)
        for first, last, _ in placed:
            turn *= 1.0 - _window(len(person), first, last, round(0.6 * person.fps))
        return moved(person, stands, shift + sway, turn), notes

    def _retime(self, new: Callable[[float], float]) -> None:
        self.contacts = [c.model_copy(update={"start": new(c.start), "end": new(c.end)}) for c in self.contacts]

    def _anchors(self, targets: Targets) -> list[tuple[int, int, np.ndarray]]:
        """First and last frames in which the robot must be shifted by (2,) m from where the person's scale puts it."""
        fps, last = targets.fps, len(targets) - 1
        palms = natural_palms(targets, self.model)
        found = []
        for group in self._groups():
            contact = group[0]
            thing = self.scene[contact.object]
            begin, end = (min(round(t * fps), last) for t in (contact.start, contact.end))
            around = slice(max(0, begin - round(0.1 * fps)), min(last, begin + round(0.2 * fps)) + 1)
            sides = [SIDES.index(c.body.split("_")[0]) for c in group if c.body.endswith("hand")]
            if sides:
                natural = palms[around, sides].mean(axis=(0, 1))
                touches = self._touches(group, targets, palms[begin])
                point = thing.rotation.apply(np.mean([t.pos for t in touches], axis=0)) + thing.pos
                shift = self._clear(thing, targets, begin, point[:2] - natural[:2])
                if contact.kind == "grasp":
                    found.append((begin, min(begin + round(_DWELL * fps), last), shift))
                    if end < last - round(0.3 * fps):
                        at = max(0, end - round(_LOWERED * fps))
                        natural_end = palms[at, sides].mean(axis=0)
                        goal = self._put_down(thing, natural_end, found[-1][2])
                        held = goal[:2] + (point - np.array(thing.pos))[:2]
                        found.append((at, end, held - natural_end[:2]))
                else:
                    found.append((begin, begin if contact.kind == "push" else end, shift))
            elif contact.body == "seat":
                edge, ahead = self._seat_edge(thing, targets, (begin + end) // 2)
                feet = targets.foot_pos[begin : end + 1, :, :2].mean(axis=(0, 1))
                found.append((begin, end, edge[:2] + _BEFORE_SEAT * ahead - feet))
            elif contact.body.endswith("foot"):
                side = SIDES.index(contact.body.split("_")[0])
                toe = targets.foot_pos[begin, side] + targets.foot_rot[begin, side] @ self._toe(side)
                middle = thing.corners.mean(axis=0)
                found.append((begin, end, middle[:2] - toe[:2]))
        return sorted(found, key=lambda anchor: anchor[0])

    def _clear(self, thing: SceneObject, targets: Targets, begin: int, shift: np.ndarray) -> np.ndarray:
        """The shift (2,) m, further back where knees or toes would be in the object, or in what it stands on."""
        around = slice(max(0, begin - round(0.5 * targets.fps)), begin + round(_DWELL * targets.fps))
        model, part = self.model, targets[around]
        hips = part.pelvis_pos[:, None] + np.einsum(
            "tij,kj->tki", part.pelvis_rot @ model.rest["pelvis"][0].T, model.hips
        )
        knees = hips + np.linalg.norm(model.directions["thigh"][0]) * part.thigh
        toes = part.foot_pos + np.einsum("tkij,kj->tki", part.foot_rot, [self._toe(0), self._toe(1)])
        turn = headed(np.array([self._heading(targets, begin)]))[0]
        points = np.concatenate([knees, toes, hips + turn @ _FOREARMS], axis=1).transpose(1, 2, 0)
        others = [thing, *(other for other in self.scene.objects if _on(thing, other))]
        scene = Scene(objects=tuple(others))
        poses = np.repeat(scene.poses[None], points.shape[-1], axis=0)
        solids = solids_of(scene, poses, np.zeros((points.shape[-1], len(others), 0), dtype=bool))
        facing = turn[:2, 0]
        for back in np.arange(0.0, _BACK, 0.02):
            at = points + np.array([*(shift - back * facing), 0.0])[:, None]
            if all(solids.distance(k, at)[0].min() > _KNEE for k in range(len(solids))):
                return shift - back * facing
        return shift

    def _heading(self, targets: Targets, frame: int) -> float:
        """Where the robot faces in a frame, rad."""
        return float(lateral((targets.pelvis_rot[frame] @ self.model.rest["pelvis"][0].T)[:, 1]))

    def _headings(self, targets: Targets) -> np.ndarray:
        """Where (T,) it faces, rad."""
        heading = lateral((targets.pelvis_rot @ self.model.rest["pelvis"][0].T)[:, :, 1])
        return gaussian_filter1d(np.unwrap(heading), 0.1 * targets.fps, mode="nearest")

    def _seat_edge(self, thing: SceneObject, targets: Targets, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Middle (3,) of the edge of a seat that who sits in a frame has his knees over, and (2,) where he faces."""
        heading = self._heading(targets, frame)
        ahead = np.array([np.cos(heading), np.sin(heading)])
        middle = _seat(thing)
        local = thing.rotation.inv().apply([*ahead, 0.0])[:2]
        half = np.diff(thing.bounds[:, :2], axis=0)[0] / 2.0
        deep = float(np.min(half / np.maximum(np.abs(local), 1e-6)))
        return middle + np.array([*(deep * ahead), 0.0]), ahead

    def _toe(self, side: int) -> np.ndarray:
        sole = self.model.soles[side]
        front = sole[sole[:, 0] > sole[:, 0].mean()].mean(axis=0)
        return front + np.array([0.02, 0.0, 0.03])

    def _groups(self) -> list[list[Contact]]:
        """Contacts that belong together: those of both hands with one object at a time."""
        groups: list[list[Contact]] = []
        for contact in sorted(self.contacts, key=lambda c: c.start):
            for group in groups:
                one = group[0]
                same = one.object == contact.object and one.kind == contact.kind and contact.body.endswith("hand")
                if (
                    same
                    and one.body != contact.body
                    and one.body.endswith("hand")
                    and abs(one.start - contact.start) < 0.5
                ):
                    group.append(contact)
                    break
            else:
                groups.append([contact])
        return groups

    def _put_down(self, thing: SceneObject, near: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Where (3,) an object's frame ends that hands let go of at a point (3,), its underside on what is there."""
        half = thing.bounds[1, :2].max()
        low = thing.bounds[0, 2]
        candidates = []
        for other in self.scene.objects:
            if other.id == thing.id or not (other.supports or other.contains):
                continue
            for point in (near[:2], near[:2] + shift):
                local = other.rotation.inv().apply([*(point - np.array(other.pos[:2])), 0.0])
                least, most = other.bounds[:, :2] + np.array([[1.0], [-1.0]]) * (half + 0.02)
                middle = other.bounds[:, :2].mean(axis=0)
                inside = (
                    middle
                    if other.contains
                    else np.clip(local[:2], np.minimum(least, middle), np.maximum(most, middle))
                )
                away = float(np.linalg.norm(local[:2] - inside)) - (0.25 if other.contains else 0.0)
                at = other.rotation.apply([*inside, 0.0])[:2] + other.pos[:2]
                rim = other.extent[1, 2] + _OVER_RIM - thing.bounds[:, 2].mean()
                height = max(other.pos[2] + 0.02 - low, rim) if other.contains else top_at(other, at) - low
                candidates.append((away, np.array([*at, height])))
        away, goal = min(candidates, key=lambda c: c[0], default=(np.inf, np.zeros(3)))
        return goal if away < _PUT else np.array([*near[:2], -low])

    def _past_obstacles(
        self, person: Posture, shift: np.ndarray, placed: list[tuple[int, int, np.ndarray]], stands: np.ndarray
    ) -> np.ndarray:
        """The shift (T, 2) with what it takes to go round what stands in the way."""
        path = person.at("hip").mean(axis=1)[:, :2]
        stops = np.array([(path + shift)[frame] for first, last, _ in placed for frame in (first, last)])
        solids = self._obstacles(stops)
        if solids is None:
            return shift
        free = np.ones(len(person))
        for first, last, _ in placed:
            free *= 1.0 - _window(len(person), first, last, round(0.8 * person.fps))
        walking = gaussian_filter1d((~stands).any(axis=1).astype(float), 0.3 * person.fps, mode="nearest")
        free *= smoothstep(3.0 * walking)
        extra = np.zeros_like(shift)
        for _ in range(60):
            at = path + shift + extra
            push = np.zeros_like(at)
            for k in range(len(solids)):
                height = np.full(len(at), solids.pos[0, k, 2])
                away, normal = solids.distance(k, np.column_stack([at, height]).T[None])
                short = np.maximum(_ROOM - away[0], 0.0)
                push += short[:, None] * _aside(normal[0, :2].T, path)
            if np.abs(push).max() < 0.01:
                break
            extra += gaussian_filter1d(0.5 * push, 0.4 * person.fps, axis=0, mode="nearest") * free[:, None]
        return shift + extra

    def _obstacles(self, stops: np.ndarray) -> Solids | None:
        """What stands on the floor, but for what the robot stops at (N, 2)."""
        goals = {c.object for c in self.contacts}
        things = []
        for thing in self.scene.objects:
            low, high = thing.corners[:, 2].min(), thing.extent[1, 2]
            if thing.id in goals or low > 1.2 or high < _TALL or any(_on(thing, other) for other in self.scene.objects):
                continue
            corners = thing.corners[:, :2]
            least, most = corners.min(axis=0), corners.max(axis=0)
            if np.linalg.norm(stops - np.clip(stops, least, most), axis=1).min() > _STOP:
                things.append(thing)
        if not things:
            return None
        scene = Scene(objects=tuple(things))
        return solids_of(scene, scene.poses[None], np.zeros((1, len(things), 0), dtype=bool))

    # --- what hands do ------------------------------------------------------------------------------------------------

    def _touches(self, group: Sequence[Contact], targets: Targets, palms: np.ndarray) -> list[Touch]:
        """Where and how each hand of a group touches the object; ``palms`` (2, 3) m are where they would be."""
        contact = group[0]
        thing = self.scene[contact.object]
        frame = min(round(contact.start * targets.fps), len(targets) - 1)
        heading = self._heading(targets, frame)
        to_object = thing.rotation.inv()
        forward, left = (to_object.apply(v) for v in headed(np.array([heading]))[0].T[:2])
        sides = [SIDES.index(c.body.split("_")[0]) for c in group]
        near = to_object.apply(palms - np.array(thing.pos))
        middle = near[sides].mean(axis=0)
        touches = []
        for contact, side in zip(group, sides, strict=True):
            if contact.kind == "grasp" and len(group) == 1:
                touches.append(self._finger_grasp(side, contact, forward))
                continue
            if contact.pos_object is not None:
                pos = np.array(contact.pos_object)
                normal = _normal(thing, pos) if contact.normal_object is None else unit(np.array(contact.normal_object))
                if contact.kind == "push":
                    normal = _facing(thing, -forward, pos, contact.kind)[1]
            elif contact.kind == "grasp":
                pos, normal = self._between_palms(thing, left if side == 0 else -left, middle)
            else:
                pos, normal = _facing(thing, -forward, near[side], contact.kind)
            touches.append(self._touch(side, contact, pos, normal, forward))
        if len(touches) == 2 and contact.kind == "push":
            middle = (touches[0].pos + touches[1].pos) / 2.0
            wide = min(_APART, np.abs(np.diff(thing.bounds, axis=0)[0] @ np.abs(left)) / 2.0 - 0.03)
            touches = [
                self._touch(
                    one.side, one.contact, middle + (wide if one.side == 0 else -wide) * left, one.normal, forward
                )
                for one in touches
            ]
        return touches

    def _between_palms(self, thing: SceneObject, outward: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where a palm presses on the side of an object that lies ``outward`` (3,) of it, both in its frame."""
        low, high = thing.bounds
        middle = (low + high) / 2.0
        shape = max(thing.shapes, key=lambda s: float(np.prod(s.size)))
        middle[2] = np.clip(at[2], low[2] + 0.45 * (high[2] - low[2]), low[2] + 0.6 * (high[2] - low[2]))
        if shape.kind in ("cylinder", "sphere", "capsule") and np.abs(shape.rotation.as_matrix()[2, 2]) > 0.9:
            normal = unit(outward * [1.0, 1.0, 0.0])
            half = shape.size[0] / 2.0
            if shape.kind == "sphere":
                middle[2] = shape.pos[2]
            middle[:2] = shape.pos[:2]
        else:
            axis = int(np.argmax(np.abs(outward[:2])))
            normal = np.eye(3)[axis] * np.sign(outward[axis])
            half = (high - low)[axis] / 2.0
        if not _NARROWEST <= 2.0 * half <= _WIDEST:
            raise Refused(
                f"The robot cannot hold the {thing.category} between its palms: it is {200 * half:.0f} cm wide there, "
                f"and {100 * _NARROWEST:.0f} to {100 * _WIDEST:.0f} cm can be held. What is narrower takes Dex3 hands "
                f"(retarget.hands=dex3)."
            )
        return middle + half * normal, normal

    def _touch(self, side: int, contact: Contact, pos: np.ndarray, normal: np.ndarray, forward: np.ndarray) -> Touch:
        thing = self.scene[contact.object]
        low = _pushed_low(contact, thing.pos[2] + thing.rotation.apply(pos)[2])
        palm = contact.kind in ("grasp", "support") or abs(normal[2]) > 0.7 or low
        out = 1.0 if side == 0 else -1.0
        fist = self.hands == "dex3" and not low
        if palm:
            y = normal if side == 0 else -normal
            x = forward - (forward @ y) * y
            x = unit(x) if np.linalg.norm(x) > 0.3 else unit(np.array([0.0, 0.0, -1.0 if low else 1.0]) - y[2] * y)
            local = _DEX3_FIST * [1.0, out, 1.0] if fist else self.model.palms[side]
        else:
            x = -normal
            up = np.array([0.0, 0.0, 1.0])
            y = unit(np.cross(up, x))
            local = _DEX3_KNUCKLES * [1.0, out, 1.0] if fist else self.model.fingertips[side]
        rotation = np.stack([x, y, np.cross(x, y)], axis=1)
        filled = _filled(contact, pos, normal)
        index, press = self._index[contact.object], _PRESS[contact.kind]
        return Touch(side, index, filled, pos, normal, rotation, local, _AWAY * normal - _BEFORE * forward, press)

    def _finger_grasp(self, side: int, contact: Contact, forward: np.ndarray) -> Touch:
        """A Dex3-1 hand about an object, from in front and a little from its own side, the thumb up."""
        thing = self.scene[contact.object]
        shape = max(thing.shapes, key=lambda s: float(np.prod(s.size)))
        radius = min(shape.size[:2]) / 2.0
        if radius > _DEX3_WIDEST / 2.0:
            raise Refused(
                f"The robot cannot close a hand about the {thing.category}: it is {200 * radius:.0f} cm wide, and "
                f"{100 * _DEX3_WIDEST:.0f} cm can be held."
            )
        out = 1.0 if side == 0 else -1.0
        x = Rotation.from_euler("z", -out * _DEX3_INWARD).apply(forward)
        y = np.cross([0.0, 0.0, 1.0], x)
        axis = np.array(shape.pos)
        local = np.array([_DEX3_PALM[0] + _DEX3_AXIS, out * (_DEX3_PALM[1] - _DEX3_GAP - radius), 0.0])
        filled = _filled(contact, axis + out * radius * y, out * y)
        rotation = np.stack([x, y, np.cross(x, y)], axis=1)
        retreat = -_DEX3_AWAY * x + 0.02 * out * y
        return Touch(side, self._index[contact.object], filled, axis, out * y, rotation, local, retreat, 0.0, True)

    def targets(self, targets: Targets) -> tuple[Targets, np.ndarray, tuple[Contact, ...], np.ndarray]:
        """Targets that lead hands, feet and seat to the objects.

        Returns
        -------
        targets
            With the objects as solids.
        poses
            (T, n, 7) of the objects, m and w, x, y, z.
        contacts
            With the points where they touch.
        hands
            (T, 2) how far the hands are closed.
        """
        t, fps, model = len(targets), targets.fps, self.model
        times = np.arange(t) / fps
        poses = np.repeat(self.scene.poses[None], t, axis=0)
        touch = np.zeros((t, len(self.scene), len(model.description.mass)), dtype=bool)
        palms = natural_palms(targets, model)
        touches: list[Touch] = []
        contacts: list[Contact] = []
        bearing = targets.bearing.copy()
        foot_pos, pelvis_pos = targets.foot_pos.copy(), targets.pelvis_pos.copy()
        for group in self._groups():
            contact = group[0]
            thing, k = self.scene[contact.object], self._index[contact.object]
            begin, end = (min(round(s * fps), t - 1) for s in (contact.start, contact.end))
            near = _window(t, begin, end, round(0.5 * fps)) > 0
            if contact.body.endswith("hand"):
                sides = [SIDES.index(c.body.split("_")[0]) for c in group]
                its = self._touches(group, targets, palms[begin])
                touches += its
                contacts += [one.contact for one in its]
                for side in sides:
                    wrist = [model.bodies["hand"][side], model.bodies["wrist"][side]]
                    _allow(touch, near, k, wrist)
                if contact.kind == "push" and thing.articulation:
                    poses[:, k] = _swung(thing, its[0], times)
                    touch[times >= contact.start, k] = True  # it gives way
                elif contact.kind in ("grasp", "push") and thing.movable:
                    grip = np.mean([one.pos for one in its], axis=0)
                    natural = palms[:, sides].mean(axis=1)
                    way = self._carried if contact.kind == "grasp" else self._pushed
                    poses[:, k] = way(thing, poses[:, k], grip, natural, targets, contact)
                continue
            contacts.append(contact)
            if contact.body == "seat":
                edge, ahead = self._seat_edge(thing, targets, (begin + end) // 2)
                bearing[begin : end + 1, BEARING.index("seat")] = edge[2] - _SUNK
                off = edge[:2] - _ON_SEAT * ahead - pelvis_pos[begin : end + 1, :2].mean(axis=0)
                pelvis_pos[:, :2] += _window(t, begin, end, round(fps))[:, None] * off
                lower = [model.pelvis, *(j + 1 for side in range(2) for j in model.hip[side])]
                _allow(touch, _window(t, begin, end, round(fps)) > 0, k, lower)
            elif contact.body.endswith("foot"):
                side = SIDES.index(contact.body.split("_")[0])
                touch[times >= contact.start - 0.3, k] = True  # it is gone then
                middle = thing.rotation.apply(thing.bounds.mean(axis=0)) + thing.pos
                off = middle - (foot_pos[begin, side] + targets.foot_rot[begin, side] @ self._toe(side))
                foot_pos[:, side] += _window(t, begin, end, round(0.35 * fps))[:, None] * off * [1.0, 1.0, 0.6]
        rotation, pos, holding = targets.hand_rot.copy(), np.zeros((t, 2, 3)), np.zeros((t, 2))
        hands = np.zeros((t, 2))
        for one in touches:
            lead, pressed = self._lead(one, poses, times, rotation, pos, holding, targets, palms)
            hands[:, one.side] = np.maximum(hands[:, one.side], pressed if one.fingers else lead)
        out = replace(
            targets, hand_rot=rotation, palm_pos=pos, holding=holding, bearing=bearing, foot_pos=foot_pos,
            pelvis_pos=pelvis_pos,
            meeting=targets.meeting * (1.0 - holding.max(axis=1)),
            solids=solids_of(self.scene, poses, touch) if len(self.scene) else None,
        )  # fmt: skip
        return out, poses, tuple(sorted(contacts, key=lambda c: c.start)), hands

    def _lead(
        self,
        touch: Touch,
        poses: np.ndarray,
        times: np.ndarray,
        rotation: np.ndarray,
        pos: np.ndarray,
        holding: np.ndarray,
        targets: Targets,
        natural: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lead a hand to the object, with it, and off it: writes into (T, 2, ...) arrays.

        Returns how far (T,) it is led, and how far it presses.
        """
        start, end, k = touch.contact.start, touch.contact.end, touch.side
        left = min(round(end * targets.fps), len(times) - 1)  # a door swings on by itself
        path = poses[np.minimum(np.arange(len(times)), left), touch.thing]
        turn = Rotation.from_quat(path[:, 3:], scalar_first=True)
        normal, surface = turn.apply(touch.normal), turn.apply(touch.pos) + path[:, :3]
        turned = turn.as_matrix() @ touch.rotation
        kept = end >= times[-1] - 0.05  # to the end of the motion

        def there(first: float, seconds: float) -> np.ndarray:
            """(T,) 0 until so many s before the contact, 1 during it, and back as long after it."""
            come = stretched(times, start - first, seconds)
            return come if kept else come * (1.0 - stretched(times, end + first - seconds, seconds))

        pressed = stretched(times, start, _PRESSED)
        if not kept:
            pressed *= 1.0 - stretched(times, end - _PRESSED, _PRESSED)
        beside = surface + turn.apply(touch.retreat) + turned @ (self.model.palms[k] - touch.local)
        raised, share = there(APPROACH, _RAISE)[:, None], there(_CLOSE + _ADVANCE, _ADVANCE)[:, None]
        ahead, up = there(APPROACH - 0.4 * _RAISE, 0.6 * _RAISE), there(APPROACH, 0.6 * _RAISE)  # not under an edge
        low = _pushed_low(touch.contact, surface[0, 2])  # who bends down to it has the hands in front
        ready = natural[:, k] if low else self._ready(touch, beside, targets, natural)
        point = natural[:, k] + np.column_stack([ahead, ahead, up]) * (ready - natural[:, k])
        point += share * (beside - point)
        point -= there(_CLOSE, _CLOSE)[:, None] * turn.apply(touch.retreat) + (touch.press * pressed)[:, None] * normal
        own = Rotation.from_matrix(targets.hand_rot[:, k])
        towards = own * Rotation.from_rotvec(raised * (own.inv() * Rotation.from_matrix(turned)).as_rotvec())
        lead = there(_CLOSE + _ADVANCE if low else APPROACH, _TAKE)
        more = lead > holding[:, k]
        rotation[more, k] = towards.as_matrix()[more]
        pos[more, k], holding[more, k] = point[more], lead[more]
        return lead, pressed

    def _ready(self, touch: Touch, beside: np.ndarray, targets: Targets, natural: np.ndarray) -> np.ndarray:
        """Where (T, 3) a hand is raised to in front of the body, from where it advances to ``beside`` (T, 3)."""
        pelvis, turn = targets.pelvis_pos, headed(self._headings(targets))
        ahead, left = turn[:, :2, 0], turn[:, :2, 1]
        out = 1.0 if touch.side == 0 else -1.0
        aside = out * np.clip(out * np.sum((beside - pelvis)[:, :2] * left, axis=1), *_READY_ASIDE)
        thing = self.scene.objects[touch.thing]
        under = [top_at(other, np.array(thing.pos[:2])) for other in self.scene.objects if _on(thing, other)]
        height = np.maximum(np.maximum(beside[:, 2], natural[:, touch.side, 2]), max(under, default=0.0) + _READY[1])
        return np.column_stack([pelvis[:, :2] + _READY[0] * ahead + aside[:, None] * left, height])

    def _carried(
        self, thing: SceneObject, rest: np.ndarray, grip: np.ndarray, natural: np.ndarray, targets: Targets,
        contact: Contact,
    ) -> np.ndarray:  # fmt: skip
        """Poses (T, 7) of an object that hands hold at ``grip`` (3,) in its frame, and would carry ``natural``ly."""
        t, fps = len(rest), targets.fps
        times = np.arange(t) / fps
        heading = self._headings(targets)
        lifted, placed = contact.start + _DWELL, contact.end - _LOWERED
        kept = contact.end >= times[-1] - 0.05
        first = min(round(lifted * fps), t - 1)
        last = t - 1 if kept else min(max(round(placed * fps), first + 1), t - 1)
        long = max((last - first) / fps, 0.1)
        base = Rotation.from_quat(rest[0, 3:], scalar_first=True)
        turned = heading.copy() - heading[first]
        turned[:first], turned[last:] = 0.0, turned[last]
        rotation = Rotation.from_euler("z", turned[:, None]) * base
        # away from the body, as far as the object is deep
        forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
        deep = float(np.abs(thing.bounds[:, :2]).max())
        ahead = np.sum((natural[:, :2] - targets.pelvis_pos[:, :2]) * forward, axis=1)
        carried = natural.copy()
        carried[:, :2] += np.maximum(_BODY + deep - ahead, 0.0)[:, None] * forward
        begin = base.apply(grip) + rest[0, :3]
        carried[:, 2] = np.maximum(carried[:, 2], begin[2] + _LIFTED)
        go = stretched(times, lifted, min(_CARRY, 0.5 * long))
        center = (1.0 - go)[:, None] * begin + go[:, None] * carried
        if not kept:
            goal = self._put_down(thing, carried[last], np.zeros(2))
            over = goal + rotation[last].apply(grip) + [0.0, 0.0, _HOVER]
            seconds = min(_LOWER, 0.5 * long)
            come = stretched(times, last / fps - seconds, 0.75 * seconds)
            center = (1.0 - come)[:, None] * center + come[:, None] * over
            center[:, 2] -= _HOVER * stretched(times, last / fps - 0.3 * seconds, 0.3 * seconds)
        pos = center - rotation.apply(grip)
        pos[:, 2] += self._over_others(thing, pos, first, last, fps)
        out = rest.copy()
        out[first:, :3], out[first:, 3:] = pos[first:], rotation[first:].as_quat(scalar_first=True)
        out[last:] = out[last]
        return out

    def _over_others(self, thing: SceneObject, pos: np.ndarray, first: int, last: int, fps: float) -> np.ndarray:
        """How much (T,) higher an object must be so that it passes over others, where it is lifted and not yet put."""
        low, half = thing.bounds[0, 2], thing.bounds[1, :2].max()
        raised = np.zeros(len(pos))
        frames = np.arange(len(pos))
        room = _OVER * np.minimum(stretched(frames / fps, first / fps, 0.4), stretched(-frames / fps, -last / fps, 0.4))
        for other in self.scene.objects:
            if other.id == thing.id or other.contains:
                continue
            local = other.rotation.inv().apply(
                np.column_stack([pos[:, :2], np.zeros(len(pos))]) - [*other.pos[:2], 0.0]
            )
            inside = (
                np.abs(local[:, :2] - other.bounds[:, :2].mean(axis=0))
                < np.diff(other.bounds[:, :2], axis=0) / 2 + half
            )
            top = other.extent[1, 2]
            over = inside.all(axis=1) & (top < _PASSED)
            raised = np.maximum(raised, np.where(over, top + room - pos[:, 2] - low, 0.0))
        raised[: first + 1] = raised[last:] = 0.0
        wide = maximum_filter1d(np.maximum(raised, 0.0), round(0.3 * fps) | 1)
        return gaussian_filter1d(wide, 0.1 * fps, mode="nearest") * (room > 0) * np.minimum(room / _OVER * 2, 1.0)

    def _pushed(
        self, thing: SceneObject, rest: np.ndarray, grip: np.ndarray, natural: np.ndarray, targets: Targets,
        contact: Contact,
    ) -> np.ndarray:  # fmt: skip
        """Poses (T, 7) of an object that is pushed over what it stands on, as far as the hands would go."""
        fps, t = targets.fps, len(rest)
        first, last = (min(round(s * fps), t - 1) for s in (contact.start + _PRESSED, contact.end))
        way = natural[:, :2] - natural[first, :2]
        forward = way[last] / max(float(np.linalg.norm(way[last])), 1e-6)
        along = np.clip(np.maximum.accumulate(way @ forward), 0.0, None)
        along = gaussian_filter1d(along, 0.1 * fps, mode="nearest")
        along[:first], along[last:] = 0.0, along[last]
        along[first:] -= along[first]
        out = rest.copy()
        out[:, :2] += along[:, None] * forward
        return out


# --- geometry -------------------------------------------------------------------------------------------------------


def natural_palms(targets: Targets, model: Model) -> np.ndarray:
    """Where (T, 2, 3) the robot's palms are as it imitates the person, m."""
    wrist = (
        model.shoulders(targets.pelvis_pos, targets.pelvis_rot, targets.torso_rot)
        + model.upper_arm * targets.upper_arm
        + model.forearm * targets.forearm
    )
    return wrist + np.einsum("tkij,kj->tki", targets.hand_rot, model.palms - model.hand_points[:, 0])


def top_at(thing: SceneObject, point: np.ndarray) -> float:
    """Height of an object's highest surface over a point (2,) of the floor; its own height where it has none there."""
    tops = []
    for shape in thing.shapes:
        turn = thing.rotation * shape.rotation
        middle = thing.rotation.apply(shape.pos) + thing.pos
        local = turn.inv().apply([*(point - middle[:2]), 0.0])
        half = np.array(shape.size) / 2.0
        if (np.abs(local[:2]) <= half[:2]).all():
            tops.append(middle[2] + float(np.abs(turn.as_matrix()[2]) @ half))
    return max(tops, default=float(thing.extent[1, 2]))


def _swung(thing: SceneObject, touch: Touch, times: np.ndarray) -> np.ndarray:
    """Poses (T, 7) of a door or drawer that a hand pushes on, and lets swing."""
    joint = thing.articulation
    assert joint is not None
    lever = np.cross(joint.axis, touch.pos - joint.pos) if joint.kind == "hinge" else np.array(joint.axis)
    way = float(np.sign(-touch.normal @ lever))
    opened = np.clip(joint.initial + way * _OPEN * stretched(times, touch.contact.start, _SWING), *joint.limits)
    return np.array([articulated(thing, value).pose for value in opened])


def _seat(thing: SceneObject) -> np.ndarray:
    """(3,) middle of what is sat on: a chair's seat is in front of its back."""
    middle = thing.corners.mean(axis=0)[:2]
    return np.array([*middle, top_at(thing, middle)])


def _normal(thing: SceneObject, pos: np.ndarray) -> np.ndarray:
    """(3,) out of the box around an object, at a point (3,) of it, in its frame."""
    low, high = thing.bounds
    share = (pos - (low + high) / 2.0) / np.maximum((high - low) / 2.0, 1e-6)
    axis = int(np.argmax(np.abs(share)))
    return np.eye(3)[axis] * np.sign(share[axis])


def _facing(thing: SceneObject, towards: np.ndarray, at: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Point and normal of the surface that faces the robot, or of the top where the hand is above it."""
    low, high = thing.bounds
    edge = np.minimum(0.2 * (high - low), _EDGE)
    pos = np.clip(at, low + edge, high - edge)
    if kind == "support" or (kind == "touch" and thing.supports):
        pos[2] = high[2]
        return pos, np.array([0.0, 0.0, 1.0])
    axis = int(np.argmax(np.abs(towards[:2])))
    normal = np.eye(3)[axis] * np.sign(towards[axis])
    pos[axis] = high[axis] if normal[axis] > 0 else low[axis]
    shape = max(thing.shapes, key=lambda s: float(np.prod(s.size)))
    if shape.kind in ("cylinder", "sphere", "capsule"):
        normal = unit(towards * [1.0, 1.0, 0.0])
        pos[:2] = np.array(shape.pos[:2]) + shape.size[0] / 2.0 * normal[:2]
        if shape.kind == "sphere":
            pos[2] = shape.pos[2]
    return pos, normal


def _on(thing: SceneObject, under: SceneObject) -> bool:
    """Whether an object stands on, or in, another one."""
    if thing.id == under.id or not (under.supports or under.contains):
        return False
    local = under.rotation.inv().apply(np.array(thing.pos) - np.array(under.pos))
    low, high = under.bounds
    return bool((local > low - 0.02).all() and (local < high + np.array([0.02, 0.02, 0.05])).all())


def _on_other(scene: Scene, thing: SceneObject) -> bool:
    return any(_on(thing, other) for other in scene.objects)


def _window(frames: int, first: int, last: int, margin: int) -> np.ndarray:
    """(frames,) 1 from ``first`` to ``last``, going to 0 over ``margin`` frames on both sides."""
    t = np.arange(frames)
    away = np.maximum(np.maximum(first - t, t - last), 0)
    return smoothstep(1.0 - away / max(margin, 1))


def _allow(touch: np.ndarray, when: np.ndarray, thing: int, bodies: Sequence[int]) -> None:
    """Let bodies touch an object in frames (T,): writes into (T, n, B)."""
    touch[np.ix_(np.flatnonzero(when), np.array([thing]), np.array(bodies))] = True


def _pushed_low(contact: Contact, height: float) -> bool:
    return contact.kind == "push" and height < _LOW


def _filled(contact: Contact, pos: np.ndarray, normal: np.ndarray) -> Contact:
    at, out = ((float(v[0]), float(v[1]), float(v[2])) for v in (pos, normal))
    return contact.model_copy(update={"pos_object": at, "normal_object": out})


def _swings(stands: np.ndarray) -> int:
    """How often a foot is set down in (T, 2)."""
    return int((stands[1:] & ~stands[:-1]).sum())


def _standing(person: Posture, stands: np.ndarray, first: int, last: int) -> int:
    """A frame between two in which the person stands upright on both feet: the first after steps, or else the last."""
    hips = person.at("hip").mean(axis=1)[first : max(first, last) + 1, 2]
    both = stands[first : first + len(hips)].all(axis=1)
    walked = 0 if both.all() else int(np.flatnonzero(~both)[-1])
    upright = np.where(both, hips, 0.0)[walked:]
    return first + walked + int(np.flatnonzero(upright >= 0.98 * upright.max())[0 if walked else -1])


def _inserted(values: np.ndarray, at: int, frames: int) -> np.ndarray:
    return np.concatenate([values[: at + 1], np.repeat(values[at : at + 1], frames, axis=0), values[at + 1 :]])


def _along_steps(placed: list[tuple[int, int, np.ndarray]], stands: np.ndarray, person: Posture) -> np.ndarray:
    """Shift (T, 2) m that goes from one anchor to the next while the feet step, as fast as the body goes."""
    middle = person.at("hip").mean(axis=1)[:, :2]
    smooth = gaussian_filter1d(middle, 0.2 * person.fps, axis=0, mode="nearest")
    speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=1)
    stepping = gaussian_filter1d((~stands).any(axis=1).astype(float), 0.08 * person.fps, mode="nearest")
    done = np.cumsum(np.minimum(stepping * (speed + 0.1 / person.fps), 0.05))
    shift = np.repeat(placed[-1][2][None], len(middle), axis=0)
    for (_, begin, before), (end, last, after) in pairwise(placed):
        share = (done[begin : end + 1] - done[begin]) / max(done[end] - done[begin], 1e-9)
        shift[begin : end + 1] = before + share[:, None] * (after - before)
        shift[end : last + 1] = after
    return shift


def _aside(normal: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Normals (T, 2) turned aside of the way (T, 2), so that what stands right on it is passed on one side."""
    way = unit3(np.gradient(path, axis=0))
    left = np.stack([-way[:, 1], way[:, 0]], axis=1)
    side = np.sum(normal * left, axis=1)
    total = np.sign(np.sum(side)) or 1.0
    against = np.abs(side) < 0.5
    return np.where(against[:, None], 0.7 * total * left + 0.3 * normal, normal)


def unit3(vectors: np.ndarray) -> np.ndarray:
    """Vectors (T, 2) of length 1, or 0 where there is none."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(length, 1e-9) * (length > 1e-6)
