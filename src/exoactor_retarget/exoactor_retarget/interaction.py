"""What the robot does with objects: contacts as targets in the objects' frames, and where its feet stand for them.

Palms, a foot and the seat are led to where they touch an object; the root path and the steps are shifted so that this
is where the robot's own arm (or leg) would be as it imitates the person. Held objects move with the hands: off what
they stand on, as the person carries them, and down onto where they are put.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, minimum_filter1d
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import smoothstep, true_runs, unit
from exoactor_core.contacts import BodyPart, Contact
from exoactor_core.scene import Scene
from exoactor_core.task_checks import Check
from exoactor_retarget.contact_targets import ContactTargets
from exoactor_retarget.contacts import foot_contacts
from exoactor_retarget.footsteps import headings, unreliable_walks, with_footsteps
from exoactor_retarget.hand_contacts import LOW, HandContactPlanner, contact_groups
from exoactor_retarget.human import BEARING, Posture, at_times
from exoactor_retarget.model import Model
from exoactor_retarget.object_motion import destinations, place_for
from exoactor_retarget.obstacles import past_obstacles, round_seat
from exoactor_retarget.reaching import LEAD_TIME
from exoactor_retarget.relocation import (
    along_steps,
    heading_change,
    moved,
    standing_frame,
    steps_needed,
    swing_count,
    with_steps,
)
from exoactor_retarget.stance import Stance, near_stance, stances
from exoactor_retarget.stepping_over import crossing_pace, stepped_over
from exoactor_retarget.targets import Targets, headed, window

_SETTLING_STEPS = 3  # on the spot after a walk, in which the robot gets to where it should stand
_SLOWDOWN = 2.0  # how many times as long the person's reaching and putting down takes
_SLOW_SECONDS = 1.0, 0.3  # before and after a contact's start or end, in which it does
_SLOW_SECONDS_TAKING_LOW, _SLOW_SECONDS_LEAVING_LOW = (0.8, 0.3), (1.6, 0.3)
"""s, likewise of who bends down: the waist does not carry the trunk for long."""
_STEPPING_SLOWDOWN = 1.6  # times as long as the person takes to go or turn, where it is not seen how the feet step
_SEATED_SECONDS = 1.5  # before and after a seat supports the body, in which feet are left where they are
_CROUCH_HEIGHTS = 0.7, 0.5  # m over the floor: hands that work lower make the body crouch, from here as the person
_CROUCH_SECONDS = 3.0  # before and after a grasp in which the body crouches no further than that
_MIN_PELVIS_HEIGHT = 0.50  # m: trackers do not crouch lower and use their hands; the trunk bends instead
_MAX_BEND = 0.26  # rad of the trunk of who stands
_STANDING_RANGE = 0.15  # m over `_MIN_PELVIS_HEIGHT` from which a pelvis stands
_DESCENT_SECONDS = 1.2  # before and after a crouch, in which the trunk bends with the legs: one that waits for them is
# thrown forward in the end
_STANDING_TOLERANCE = 0.02  # m below its usual height at which a pelvis still stands
_LOW_TOPS, _CROUCHED_BENDS = (0.22, 0.28), (1.0, 0.8)  # m; rad, likewise, of who crouches to take a box with its top so
# high: the waist does not carry a trunk that is level, and arms that are too short for a low one twist
_MAX_OFF_FEET = 0.10  # m from the middle of the ankles to the pelvis, ahead or back
_LEAN_DISTANCE = 0.05  # m that the body, which stands, leans towards an object rather than step


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
    checks
        Of the task, which say where what is held is put.
    """

    def __init__(
        self, model: Model, scene: Scene, contacts: Sequence[Contact], hands: str, checks: Sequence[Check] = ()
    ) -> None:
        self.model, self.scene = model, scene
        taken = Counter(group[0].object for group in contact_groups(contacts) if group[0].kind == "grasp")
        self._destinations = {name: put for name, put in destinations(checks).items() if taken[name] == 1}
        strokes = Counter(group[0].object for group in contact_groups(contacts) if group[0].kind == "push")
        self._push_distances = {
            c.object: c.amount / strokes[c.object]
            for c in checks
            if c.kind == "moved" and c.amount and strokes[c.object]
        }
        """m that each object is pushed at a time."""
        self._goals = [c.object for c in checks if c.kind == "robot_near"]
        """What the robot stands at in the end."""
        self._hands = HandContactPlanner(model, scene, hands)
        self.contacts = [c for c in contacts if c.object]
        for group in contact_groups(self.contacts) if hands == "fists" else []:
            one = group[0]
            if one.kind == "grasp" and len(group) == 1:
                other: BodyPart = "right_hand" if one.body == "left_hand" else "left_hand"
                self.contacts.append(one.model_copy(update={"body": other}))

    def slowed(self, person: Posture) -> Posture:
        """The person, who takes longer to reach for objects and to put them down; the contacts' times follow.

        Before a contact early on the person waits, so that hands are raised to it from where they are. Who turns on
        feet that are not seen to step is slowed down and given steps; a quick swing over something, too.
        """
        times = np.arange(len(person)) / person.fps
        goes = unreliable_walks(person)
        for contact in self.contacts:
            if contact.body.endswith("foot"):  # feet that touch objects are left as they are
                goes[:] = False
            elif contact.body == "seat":
                goes &= (times < contact.start - _SEATED_SECONDS) | (times > contact.end + _SEATED_SECONDS)
        pace = np.where(goes, _STEPPING_SLOWDOWN, crossing_pace(person, self.scene))
        for contact in self.contacts:
            slow = contact.body.endswith("hand") and contact.kind != "touch" and self.scene[contact.object].movable
            for at in (contact.start, contact.end) if slow else ():
                if at < times[-1] - 0.05:
                    low = person.at("wrist")[round(at * person.fps), :, 2].min() < LOW
                    bent = _SLOW_SECONDS_TAKING_LOW if at == contact.start else _SLOW_SECONDS_LEAVING_LOW
                    before, after = bent if low else _SLOW_SECONDS
                    pace[(times > at - before) & (times < at + after)] = _SLOWDOWN
        pace = gaussian_filter1d(pace, 0.1 * person.fps, mode="nearest")
        late = np.r_[0.0, np.cumsum(pace[:-1])] / person.fps
        reached = [np.interp(c.start, times, late) for c in self.contacts if c.body.endswith("hand")]
        late += max(0.0, LEAD_TIME - min(reached, default=np.inf))
        self._retime(lambda t: float(np.interp(t, times, late)))
        new = np.arange(int(late[-1] * person.fps + 1e-6) + 1) / person.fps
        if len(new) != len(person):
            person = at_times(person, np.interp(new, late, times), person.fps)
        return with_footsteps(person, goes[np.rint(np.interp(new, late, times) * person.fps).astype(int)])

    def within_ability(self, targets: Targets) -> Targets:
        """With the pelvis no lower than hands need it and trackers get, and the trunk of who stands bent no further.

        What sits or kneels is left as it is; the trunk of who crouches bends with the legs. The arms do what the trunk
        of a person does who leans over: a trunk that is bent further than this makes trackers step forward, and the
        solver bends it where the arms are too short.
        """
        if not any(contact.body.endswith("hand") for contact in self.contacts):
            return targets
        targets = self._over_feet(self._with_free_hands(targets))
        short = _raised(targets.pelvis_pos[:, 2], self._lowest_pelvis(targets))
        short *= np.isinf(targets.bearing).all(axis=1)
        pelvis_pos = targets.pelvis_pos.copy()
        pelvis_pos[:, 2] += gaussian_filter1d(short, 0.1 * targets.fps, mode="nearest")
        lowest = minimum_filter1d(pelvis_pos[:, 2], 2 * round(_DESCENT_SECONDS * targets.fps) + 1, mode="nearest")
        stands = smoothstep((lowest - _MIN_PELVIS_HEIGHT) / _STANDING_RANGE)
        stands = gaussian_filter1d(stands, 0.2 * targets.fps, mode="nearest")
        reaches = stands * self._at_work(targets, self.contacts)
        torso_rot = _less_bent(targets.torso_rot, _MAX_BEND, reaches)
        pelvis_rot = _less_bent(targets.pelvis_rot, 0.5 * _MAX_BEND, reaches)
        pairs = [c for group in contact_groups(self.contacts) if len(group) == 2 for c in group if c.kind == "grasp"]
        lifts = self._at_work(targets, pairs) * np.isinf(targets.bearing).all(axis=1)
        tops = [self.scene[c.object].extent[1, 2] for c in pairs]
        most = float(np.interp(min(tops, default=_LOW_TOPS[0]), _LOW_TOPS, _CROUCHED_BENDS))
        torso_rot = _less_bent(torso_rot, most, lifts, scaled=True)
        pelvis_rot = _less_bent(pelvis_rot, 0.5 * most, lifts, scaled=True)
        # The waist bends first, and comes up last: it cannot raise a trunk that the hips have not raised before
        beyond = np.maximum(_bend(torso_rot) - self.model.waist_bend, 0.0)
        pelvis_rot = _less_bent(pelvis_rot, beyond, lifts * (1.0 - stands))
        return replace(targets, pelvis_pos=pelvis_pos, pelvis_rot=pelvis_rot, torso_rot=torso_rot)

    def _with_free_hands(self, targets: Targets) -> Targets:
        """With hands that do not bear the body where they reach for objects, however near to the floor that is."""
        bearing = targets.bearing.copy()
        for contact in self.contacts:
            if contact.body.endswith("hand") and contact.kind != "support":
                at_work = self._at_work(targets, [contact]) > 0.0
                bearing[at_work, BEARING.index(contact.body)] = np.inf
        return replace(targets, bearing=bearing)

    def _over_feet(self, targets: Targets) -> Targets:
        """With the pelvis no further behind the feet, or ahead of them, than of who stands and bends down.

        An estimate of who bends down and faces away from the camera has it 0.3 to 0.5 m off, and the hands with it.
        """
        ahead = headed(targets.headings(self.model))[:, :2, 0]
        off = np.sum((targets.pelvis_pos[:, :2] - targets.foot_pos[:, :, :2].mean(axis=1)) * ahead, axis=1)
        stands = targets.contact.any(axis=1) & np.isinf(targets.bearing).all(axis=1)
        beyond = np.where(stands, np.clip(off, -_MAX_OFF_FEET, _MAX_OFF_FEET) - off, 0.0)
        pelvis_pos = targets.pelvis_pos.copy()
        pelvis_pos[:, :2] += gaussian_filter1d(beyond, 0.1 * targets.fps, mode="nearest")[:, None] * ahead
        return replace(targets, pelvis_pos=pelvis_pos)

    def _at_work(self, targets: Targets, contacts: Sequence[Contact]) -> np.ndarray:
        """How much (T,) hands are at an object, on the way there, or back."""
        margin, fps = round(_CROUCH_SECONDS * targets.fps), targets.fps
        hands = [contact for contact in contacts if contact.body.endswith("hand")]
        near = [window(len(targets), round(c.start * fps), round(c.end * fps), margin) for c in hands]
        return np.minimum(2.0 * np.max([np.zeros(len(targets)), *near], axis=0), 1.0)

    def _lowest_pelvis(self, targets: Targets) -> np.ndarray:
        """Height (T,) m below which the pelvis need not get for hands to take, and to put, what the scene has."""
        fps, times, palms = targets.fps, np.arange(len(targets)) / targets.fps, targets.natural_palms(self.model)
        lowest, stands = np.full(len(targets), _MIN_PELVIS_HEIGHT), float(np.percentile(targets.pelvis_pos[:, 2], 90))
        for group in contact_groups(self.contacts):
            contact = group[0]
            if contact.kind != "grasp":
                continue
            obj, end = self.scene[contact.object], min(round(contact.end * fps), len(targets) - 1)
            palm, facing = palms[end, [c.side for c in group]].mean(axis=0), targets.heading(self.model, end)
            put, _ = place_for(self.scene, obj, palm, np.zeros(2), facing, self._destinations.get(obj.id))
            works = np.where(times < 0.5 * (contact.start + contact.end), obj.pos[2], put[2]) + obj.bounds[:, 2].mean()
            bends = smoothstep((_CROUCH_HEIGHTS[0] - works) / (_CROUCH_HEIGHTS[0] - _CROUCH_HEIGHTS[1]))
            around = (times > contact.start - _CROUCH_SECONDS) & (times < contact.end + _CROUCH_SECONDS)
            lowest = np.where(around, np.maximum(lowest, stands - bends * (stands - _MIN_PELVIS_HEIGHT)), lowest)
        return lowest

    def relocated(self, person: Posture, targets: Targets) -> tuple[Posture, list[str]]:
        """The person moved to where the robot's hands, feet and seat meet the objects; sentences on what was done.

        The contacts' times follow where steps are put in.
        """
        wanted_stances = stances(self._hands, self.contacts, targets, self._destinations)
        shift = wanted_stances[-1].shift if wanted_stances else np.zeros(2)
        works = bool(wanted_stances)
        goals = [near_stance(self.scene[name], targets, shift, works) for name in self._goals]
        wanted_stances += [stance for stance in goals if stance]
        stands = foot_contacts(person.contacts, person.fps, 0.08)
        notes, sway = [], np.zeros((len(person), 2))
        placed = [Stance(0, 0, np.zeros(2))]
        inserted = 0
        for first, last, wanted in wanted_stances:
            first, last = first + inserted, last + inserted
            _, since, before = placed[-1]
            way = wanted - before
            distance = float(np.linalg.norm(way))
            swings = swing_count(stands[since : first + 1])
            count = steps_needed(way, headings(person, 0.1)[first], swings)
            if swings and works:
                count = max(count, _SETTLING_STEPS)
            if count and not (swings == 0 and distance < _LEAN_DISTANCE):
                at = standing_frame(person, stands, since, first - round(0.5 * person.fps))
                person, extra, frames = with_steps(person, at, count, way)
                stands = foot_contacts(person.contacts, person.fps, 0.08)
                sway = np.insert(sway, at + 1, np.repeat(sway[at : at + 1], frames, axis=0), axis=0) + extra
                after, late = at / person.fps, frames / person.fps
                self._retime(lambda t, after=after, late=late: t + late if t > after else t)  # type: ignore[misc]
                first, last, inserted = first + frames, last + frames, inserted + frames
                share = min(1.0, 0.12 * swings / max(distance, 1e-6))
                if share:
                    placed.append(Stance(at, at, before + share * way))
                placed.append(Stance(at + frames, at + frames, wanted))
                notes.append(
                    f"The robot takes {count} more steps, {100 * distance:.0f} cm, to where it reaches the object."
                )
            elif swings == 0:
                wanted = before  # it leans
            placed.append(Stance(first, last, wanted))
        shift = along_steps(placed, stands, person)
        shift = past_obstacles(person, shift, placed, stands, self.scene, {c.object for c in self.contacts})
        for contact in self.contacts:
            if contact.body == "seat":
                sits = round(contact.start * person.fps)
                shift = round_seat(person, shift, placed, stands, self.scene[contact.object], sits)
        turn = heading_change(person, shift)
        for first, last, _ in placed:
            turn *= 1.0 - window(len(person), first, last, round(0.6 * person.fps))
        return moved(person, stands, shift + sway, turn), notes

    def _retime(self, new: Callable[[float], float]) -> None:
        self.contacts = [c.at_times(new(c.start), new(c.end)) for c in self.contacts]

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
        targets = stepped_over(targets, self.scene, self.model)
        built = ContactTargets(targets, self._hands, self._destinations, self._push_distances)
        for group in contact_groups(self.contacts):
            built.add(group)
        led, hands = built.result()
        return led, built.poses, tuple(sorted(built.contacts, key=lambda c: c.start)), hands


def _raised(height: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """How much (T,) m higher a pelvis is to be for a crouch to get no lower than ``lowest`` (T,) m.

    The whole crouch is made shallower, so that the body goes on rising and sinking with the person's.
    """
    stands = float(np.percentile(height, 90)) - _STANDING_TOLERANCE
    raised = np.maximum(lowest - height, 0.0)
    for begin, end in true_runs(height < stands):
        deepest = begin + int(height[begin:end].argmin())
        crouch = stands - height[begin:end]
        share = raised[deepest] / max(float(stands - height[deepest]), 1e-6)
        raised[begin:end] = np.maximum(raised[begin:end], min(share, 1.0) * crouch)
    return raised


def _bend(rotation: np.ndarray) -> np.ndarray:
    """How far (T,) rad a trunk with orientations (T, 3, 3) is bent forward, over pi / 2 where it reaches the floor."""
    return np.arctan2(-rotation[:, 2, 0], rotation[:, 2, 2])


def _less_bent(rotation: np.ndarray, most: float | np.ndarray, share: np.ndarray, scaled: bool = False) -> np.ndarray:
    """Orientations (T, 3, 3) of a trunk bent forward by 0 to ``most`` rad, () or (T,), as far as a share (T,) says.

    ``scaled``: the whole bend is made smaller, rather than cut off; ``most`` is one number then.
    """
    bent = _bend(rotation)
    left = unit(rotation[:, :, 1] * [1.0, 1.0, 0.0])
    less = np.clip(bent, 0.0, most)
    if scaled:
        less = bent * np.minimum(1.0, most / max(float((share * bent).max(initial=0.0)), 1e-6))
    back = share * (less - bent)
    return Rotation.from_rotvec(back[:, None] * left).as_matrix() @ rotation
