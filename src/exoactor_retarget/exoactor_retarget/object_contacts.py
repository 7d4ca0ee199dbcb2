"""Detection of contacts between a person's hands, feet or seat and objects: which, when, and how.

An estimate of a person is 10 to 20 cm off, and an object may have been moved since the video was made. So a planned
contact begins where the part comes closest to the object, however close that is, rather than within some distance;
without a plan a part has to come close to an object, and stay there.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np
from scipy.ndimage import gaussian_filter1d

from exoactor_core.arrays import smoothed_speed, true_runs, unit
from exoactor_core.body import with_hanging_arms
from exoactor_core.contacts import SIDES, Contact
from exoactor_core.interaction import Interaction
from exoactor_core.motion import HumanMotion
from exoactor_core.scene import Scene, SceneObject
from exoactor_core.task_checks import Check
from exoactor_retarget.hand_contacts import contact_groups
from exoactor_retarget.human import Posture
from exoactor_retarget.surroundings import solids_of

_MAX_EARLY, _MAX_LATE = 1.0, 1.0  # s before and after the planned times in which a contact is searched
_KICK_SWING = 0.15  # m before the closest point, in which a kicking foot is fastest
_DISTANCE_TOLERANCE = 0.03  # m beyond the smallest distance that still count as there
_BEHIND = 0.3  # cosine of the angle between its side of the object and straight away from the body
_DRAWN_DROP = 0.04  # m by which a hand that has drawn an object near is lower when it comes back
_MAX_REST_SPEED = 0.15  # m/s of a hand that rests there
_TOUCH_RANGE = 0.15  # m at which a part touches an object without a plan
_MIN_CONTACT_SECONDS = 0.25  # s, likewise
_PALM_OFFSET = 0.09  # m from the wrist to the centre of the palm
_HOLD_SPEED, _KICK_SPEED = 0.35, 1.2  # m/s of a part that stays at an object, and of a kicking foot
_STAY_DISTANCE = 0.01  # m from its final place at which an object is already there
_HIDDEN_CONFIDENCE, _SEEN_CONFIDENCE = 0.6, 0.8  # of an idle arm that is made to hang, and of one that is kept as seen
_BUSY_SECONDS = 2.5  # before and after a planned contact of a hand, in which its arm is not idle
_EVIDENCE_SECONDS = 0.3  # over which the confidence is averaged
_SPACING_TOLERANCE = 0.25  # relative change of the hands' distance while they hold something


def part_paths(person: Posture) -> dict[str, np.ndarray]:
    """Paths (T, 3) m of the body parts that touch objects: palms, toes, knees, elbows, seat."""
    palms = person.at("wrist") + _PALM_OFFSET * unit(person.at("wrist") - person.at("elbow"))
    paths = {}
    for k, side in enumerate(("left", "right")):
        paths[f"{side}_hand"], paths[f"{side}_foot"] = palms[:, k], person.soles[:, 2 * k + 1]
        paths[f"{side}_knee"], paths[f"{side}_forearm"] = person.at("knee")[:, k], person.at("elbow")[:, k]
    paths["seat"] = person.at("hip").mean(axis=1) - [0.0, 0.0, 0.1]
    paths["back"] = person.at("shoulder").mean(axis=1)
    return paths


def left_alone(scene: Scene, checks: Sequence[Check]) -> set[str]:
    """Ids of the objects that a task does not touch: goals of walks, obstacles, and objects without checks."""

    def stays(check: Check) -> bool:
        if check.kind == "at" and check.object and check.place is not None:
            return np.allclose(scene[check.object].pos[:2], check.place, atol=_STAY_DISTANCE)
        return check.kind == "stands" or check.kind.startswith("robot")

    return {obj.id for obj in scene.objects} - {c.object for c in checks if not stays(c)} if checks else set()


def with_idle_arms_hanging(motion: HumanMotion, interaction: Interaction) -> HumanMotion:
    """The person's motion with idle arms that are hardly visible hanging.

    An arm is hidden by the body or by the other arm, whose landmarks the detector then takes for it, so that both seem
    to reach. If neither planned contacts nor checks say what the task is, all arms are kept.
    """
    if not (interaction.checks or any(contact.object for contact in interaction.contacts)):
        return motion
    smooth = gaussian_filter1d(np.asarray(motion.limb_confidence)[:, :2], _EVIDENCE_SECONDS * motion.fps, axis=0)
    hang = ((_SEEN_CONFIDENCE - smooth) / (_SEEN_CONFIDENCE - _HIDDEN_CONFIDENCE)).clip(0.0, 1.0)
    for contact in interaction.contacts:
        if contact.body.endswith("hand"):
            first, last = (round(t * motion.fps) for t in (contact.start - _BUSY_SECONDS, contact.end + _BUSY_SECONDS))
            hang[max(first, 0) : last, SIDES.index(contact.body.removesuffix("_hand"))] = 0.0
    return with_hanging_arms(motion, gaussian_filter1d(hang, 0.5 * _EVIDENCE_SECONDS * motion.fps, axis=0))


def find_contacts(
    person: Posture, scene: Scene, planned: Sequence[Contact] = (), untouched: Set[str] = frozenset()
) -> tuple[Contact, ...]:
    """Contacts with the objects of a scene: planned ones are located in the motion; without a plan they are detected.

    None are detected with the objects whose ids are ``untouched``, which may stand where the person walked.

    Raises
    ------
    BadInput
        A planned contact names an object that the scene lacks.
    """
    paths = part_paths(person)
    if planned := [contact for contact in planned if contact.object]:
        return _together(planned, [_timed(contact, planned, paths, scene, person.fps) for contact in planned])
    return _unplanned_contacts(paths, [obj for obj in scene.objects if obj.id not in untouched], person.fps)


def _distance(path: np.ndarray, obj: SceneObject) -> np.ndarray:
    """Distance (T,) m of a path from an object at its initial pose."""
    solids = solids_of(Scene(objects=(obj,)), obj.pose[None, None])
    away = [solids.distance(k, path[..., None])[0][:, 0] for k in range(len(solids))]
    return np.maximum(np.min(away, axis=0), 0.0)


def _timed(
    contact: Contact, planned: Sequence[Contact], paths: dict[str, np.ndarray], scene: Scene, fps: float
) -> Contact:
    """A planned contact with the times from the motion, closer to its own plan than to others of the same part."""
    path, hips = paths[contact.body], paths["seat"]
    others = [other for other in planned if other.body == contact.body]
    earlier = [0.5 * (other.end + contact.start) for other in others if other.end <= contact.start]
    later = [0.5 * (other.start + contact.end) for other in others if other.start >= contact.end]
    end_of_motion = len(path) - 1
    first, last = round(max(earlier, default=0.0) * fps), end_of_motion
    if later:
        last = min(last, round(min(later) * fps))
    away = _distance(path, scene[contact.object])
    speed = smoothed_speed(path, fps, 0.06)
    begin, end = contact.frames(fps, last)
    around = slice(
        max(first, begin - round(_MAX_EARLY * fps)), min(begin + round(_MAX_LATE * fps), max(end, begin + 1)) + 1
    )
    whole = slice(max(first, begin - round(_MAX_EARLY * fps)), min(last, end + round(_MAX_LATE * fps)) + 1)
    if contact.kind == "strike":
        closing = np.where(away[whole] < away[whole].min() + _KICK_SWING, -np.gradient(away)[whole], -np.inf)
        start = stop = whole.start + int(closing.argmax())
    elif contact.kind == "sit":
        low = np.flatnonzero(path[whole, 2] < path[whole, 2].min() + _DISTANCE_TOLERANCE)
        start, stop = whole.start + int(low[0]), whole.start + int(low[-1])
    else:
        near = away[around] < away[around].min() + _DISTANCE_TOLERANCE
        # in a bow, the hands are there before the body is down
        rests = near & (speed[around] < _MAX_REST_SPEED) & (contact.kind == "grasp")
        reach = np.linalg.norm((path - hips)[:, :2], axis=1)
        drawn = contact.kind == "push" and _is_behind(contact, scene[contact.object], hips[begin])
        if drawn or (contact.kind == "grasp" and not rests.any()):
            # an estimate is off, and may be closest on its way back
            start = _far_out(reach, speed, begin, around, fps)
        else:
            start = around.start + int(np.argmax(rests if rests.any() else near))
        if contact.kind in ("grasp", "push"):  # it ends before the hand comes back
            around = slice(max(start + 1, end - round(_MAX_EARLY * fps)), min(last, end + round(_MAX_LATE * fps)) + 1)
            if drawn:  # and the hand comes back along the same way, but lower
                fallen = np.flatnonzero(path[end:, 2] < np.median(path[start : end + 1, 2]) - _DRAWN_DROP)
                around = slice(around.start, min(around.stop, end + int(fallen[0]) if len(fallen) else around.stop))
            stop = _far_out(-reach if drawn else reach, speed, end, around, fps)
        else:
            around = slice(start, min(last, end + round(_MAX_LATE * fps)) + 1)
            stop = around.start + int(np.flatnonzero(away[around] < away[start] + 2 * _DISTANCE_TOLERANCE)[-1])
    if end >= end_of_motion - 0.3 * fps and contact.kind == "grasp":
        stop = end_of_motion  # it is held to the end
    return contact.at_times(start / fps, max(start, stop) / fps)


def _is_behind(contact: Contact, obj: SceneObject, body: np.ndarray) -> bool:
    """Whether a hand touches the object on the side away from the body at (3,) m, and so draws it near."""
    if contact.pos_object is None:
        return False
    inner = contact.normal_object or np.array(contact.pos_object) - obj.bounds.mean(axis=0)
    outward = obj.rotation.apply(inner)[:2]
    return bool(unit(outward) @ unit((obj.pos - body)[:2]) > _BEHIND)


def _far_out(reach: np.ndarray, speed: np.ndarray, planned: int, around: slice, fps: float) -> int:
    """The frame in which a hand is far out and slow, near the planned one, which is the fallback."""
    frames = np.arange(around.start, around.stop)
    out = reach[around] - 0.3 * speed[around] - 0.02 * np.abs(frames - planned) / fps
    return int(frames[out.argmax()]) if len(frames) else planned


def _together(planned: Sequence[Contact], found: Sequence[Contact]) -> tuple[Contact, ...]:
    """Contacts in order; hands that are planned together grasp and release an object at the same times."""
    out: list[Contact] = []
    for group in contact_groups(planned):
        its = [found[planned.index(contact)] for contact in group]
        start, end = (sum(times) / len(its) for times in zip(*((c.start, c.end) for c in its), strict=True))
        out += [one.at_times(start, end) for one in its]
    return tuple(sorted(out, key=lambda c: c.start))


def _unplanned_contacts(
    paths: dict[str, np.ndarray], objects: Sequence[SceneObject], fps: float
) -> tuple[Contact, ...]:
    found: list[Contact] = []
    walks = smoothed_speed(paths["seat"][:, :2], fps, 0.2)
    shortest = round(_MIN_CONTACT_SECONDS * fps)
    between = np.linalg.norm(paths["left_hand"] - paths["right_hand"], axis=1)
    for obj in objects:
        near = {}
        for body, path in paths.items():
            away, speed = _distance(path, obj), smoothed_speed(path, fps, 0.06)
            near[body] = [
                (a, b) for a, b in true_runs((away < _TOUCH_RANGE) & (speed < _HOLD_SPEED)) if b - a >= shortest
            ]
            if body.endswith("foot") and obj.movable:
                for a, b in true_runs(away < _TOUCH_RANGE):
                    hit = a + int(np.argmin(away[a:b]))
                    if speed[a:b].max() > _KICK_SPEED and walks[hit] < _HOLD_SPEED:
                        found.append(_contact(body, obj.id, "strike", hit, hit, fps))
        for a, b in near["seat"]:
            top = obj.extent[1, 2]
            if obj.supports and paths["seat"][a:b, 2].min() < top + _TOUCH_RANGE:
                found.append(_contact("seat", obj.id, "sit", a, b, fps))
        hands = [near["left_hand"], near["right_hand"]]
        if obj.movable and hands[0] and hands[1]:
            a = max(hands[0][0][0], hands[1][0][0])
            if a < min(hands[0][0][1], hands[1][0][1]):
                held = np.abs(between[a:] / between[a] - 1.0) < _SPACING_TOLERANCE
                b = a + (int(np.argmin(held)) if not held.all() else len(held) - 1)
                found += [_contact(f"{side}_hand", obj.id, "grasp", a, b, fps) for side in ("left", "right")]
                continue
        for side, runs in zip(("left", "right"), hands, strict=True):
            found += [_contact(f"{side}_hand", obj.id, "touch", a, b - 1, fps) for a, b in runs]
    return tuple(sorted(found, key=lambda c: c.start))


def _contact(body: str, object_id: str, kind: str, first: int, last: int, fps: float) -> Contact:
    return Contact(body=body, object=object_id, kind=kind, start=first / fps, end=last / fps)  # type: ignore[arg-type]
