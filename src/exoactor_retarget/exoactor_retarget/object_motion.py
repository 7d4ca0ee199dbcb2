"""How objects move with the hands: carried and put down, pushed, or swung about their hinges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import smoothstep
from exoactor_core.contacts import Contact
from exoactor_core.scene import Scene, SceneObject, articulated
from exoactor_core.task_checks import Check
from exoactor_retarget.hand_contacts import LOW, HandContact
from exoactor_retarget.model import Model
from exoactor_retarget.object_geometry import rests_on, top_at
from exoactor_retarget.reaching import PRESS_TIME
from exoactor_retarget.targets import Targets, headed, ramp

LIFT_AFTER = 0.6  # s after which what is taken is lifted
PLACED_BEFORE = 0.45  # s before the end of a contact at which what is put down stands
_CARRY_SECONDS = 1.0  # s in which an object gets to where the person would carry it
_LOWER_SECONDS = 1.8  # s from there to its place
_MIN_LIFT = 0.10  # m that it is lifted at least
_CARRY_SAG, _CARRY_LEAD = 0.05, 0.15  # m that a box between two palms hangs lower, and that its carrier is ahead
_LOWERING = 0.35, 0.60  # m from where two hands took it, over which it is lowered to where they carry it
_THIGHS, _UPRIGHT = 0.05, (0.80, 0.92)
"""m below the pelvis to which the thighs of who walks rise, and shares of a pelvis' usual height at which who gets up
begins to have a box over them, and has it there."""
_REACH_OUT, _REACH_OUT_BEGIN, _REACH_OUT_SECONDS = 0.06, 3.0, 2.0
"""m beyond where it clears the bent knees, s before something stands low, and s over which two hands bring it there."""
_BEND_SECONDS = 4.0  # s before something stands from which the person may bend down with it
_HOVER_HEIGHT, _PASSING_HEIGHT = 0.05, 0.03  # m above its place before it is lowered, and above what it passes
_PASSING_SECONDS = 0.1, 0.25  # s over which it is raised for that, and let down: in one hand, and between two palms
_RIM_CLEARANCE = 0.08  # m above the rim of what it is put into: it hangs lower, and askew, in a real hand
_RIM_DISTANCE, _RAISE_SECONDS = 0.1, 0.7  # m before that rim at which it is over it, and s in which it is raised
_MAX_PASSED_HEIGHT = 1.1  # m, height of what an object is lifted over
_BODY_DEPTH = 0.13  # m from the middle of the robot's pelvis to its front, with room
_MAX_CARRY_GAP = 0.10  # m farther than that, at most, that an object is carried before it
_FARTHER, _FARTHER_AFTER, _FARTHER_SECONDS = 0.16, 0.4, 1.2
"""m farther at least that two hands hold it before who walks with it: thighs that swing do not strike it there, and the
elbows are not folded; s after lifting it from which, and s over which, they bring it there."""
_NEARER_BEFORE, _NEARER_SECONDS = 2.0, 1.5  # s before it stands at which it is near again, and over which
_CARRY_SMOOTHING, _BODY_SMOOTHING, _HEADING_SMOOTHING = 0.4, 0.2, 0.3
"""s, standard deviations with which distance, body and heading are smoothed for what two hands carry: a box slips
between palms at every jerk."""
KNEE = 0.06
"""m from the middle of a knee to its front, with room."""
_KNEE_CLEARANCE = 0.15  # m over the knees from which what is carried has room
_RELEASE_HEIGHT = 0.05  # m over the rim of what contains it, at which the middle of an object is let go
_DESTINATION_RADIUS = 0.8  # m around a hand in which something to put an object on, or into, is looked for
_EDGE_MARGIN = 0.02  # m from there to the edge, or the rim
_BESIDE_GAP = 0.10  # m between an object and what is put beside it, where a hand may be
_INSIDE_SHIFT = 0.10  # m from the middle of what contains something already, to where more is put into it
PUSH_LAG = 0.06  # m that the robot's hands stay behind
_MAX_PUSH_RATIO = 2.0  # times as far as they would go, at most
_OPEN_ANGLE, _SWING_TIME = 1.57, 1.6  # rad that a door is pushed open, and s that it swings


@dataclass(frozen=True)
class Destination:
    """Where a task has an object in the end."""

    target: str
    """Id of what it is on, or in; empty: the floor."""
    beside: str = ""
    """Id of what it is next to; empty: of nothing."""


def destinations(checks: Iterable[Check]) -> dict[str, Destination]:
    """Where the checks of a task have objects in the end, by their ids."""
    found: dict[str, Destination] = {}
    for check in checks:
        before = found.get(check.object, Destination(""))
        if check.kind in ("in", "on"):
            found[check.object] = replace(before, target=check.target)
        elif check.kind == "at" and check.object and check.target:
            found[check.object] = replace(before, beside=check.target)
    return found


def place_for(
    scene: Scene,
    obj: SceneObject,
    near: np.ndarray,
    shift: np.ndarray,
    heading: float,
    destination: Destination | None = None,
) -> tuple[np.ndarray, list[SceneObject]]:
    """Where (3,) an object's frame ends that hands let go of at a point (3,), and what is under it but the floor.

    ``shift`` (2,) m may have to be added to the point, and the robot faces ``heading``. Without a destination it ends
    on, or in, what is nearest.
    """
    left = headed(np.array([heading]))[0, :2, 1]
    low = obj.bounds[0, 2]
    floor = np.array([*near[:2], -low])
    if destination is not None and destination.beside:
        return _place_beside(scene, obj, near, shift, left, destination)
    if destination is not None and not destination.target:
        return floor, []
    candidates = []
    for other in scene.objects:
        if destination is not None and other.id != destination.target:
            continue
        if other.id == obj.id or not (destination or other.supports or other.contains):
            continue
        for point in (near[:2], near[:2] + shift):
            local = other.local([*point, other.pos[2]])
            inside = _inside(scene, other, obj, left) if other.contains else _on_top(other, obj, local[:2])
            away = float(np.linalg.norm(local[:2] - inside)) - (0.25 if other.contains else 0.0)
            at = other.rotation.apply([*inside, 0.0])[:2] + other.pos[:2]
            rim = other.extent[1, 2] + _RELEASE_HEIGHT - obj.bounds[:, 2].mean()
            height = max(other.pos[2] + 0.02 - low, rim) if other.contains else top_at(other, at) - low
            candidates.append((away, np.array([*at, height]), [other]))
    away, goal, under = min(candidates, key=lambda c: c[0], default=(np.inf, floor, []))
    return (goal, under) if away < _DESTINATION_RADIUS or destination else (floor, [])


def _on_top(other: SceneObject, obj: SceneObject, local: np.ndarray) -> np.ndarray:
    """The point (2,) on top of another object, in its frame, where an object stands that is nearest to a point (2,)."""
    half, middle = obj.bounds[1, :2].max(), other.bounds[:, :2].mean(axis=0)
    least, most = other.bounds[:, :2] + np.array([[1.0], [-1.0]]) * (half + _EDGE_MARGIN)
    return np.clip(local, np.minimum(least, middle), np.maximum(most, middle))


def _inside(scene: Scene, other: SceneObject, obj: SceneObject, left: np.ndarray) -> np.ndarray:
    """The point (2,) in what contains, in its frame, where an object is let go: the middle, or beside what is there."""
    middle = other.bounds[:, :2].mean(axis=0)
    there = [one for one in scene.objects if one.id != obj.id and one.movable and rests_on(one, other)]
    if not there:
        return middle
    aside = other.rotation.inv().apply([*left, 0.0])[:2]
    off = float(np.mean([(other.local(one.pos)[:2] - middle) @ aside for one in there]))
    room = float(np.abs(np.diff(other.bounds[:, :2], axis=0)).min() / 2.0 - obj.bounds[1, :2].max() - _EDGE_MARGIN)
    return middle - (1.0 if off > 0.0 else -1.0) * min(_INSIDE_SHIFT, max(room, 0.0)) * aside


def _place_beside(
    scene: Scene, obj: SceneObject, near: np.ndarray, shift: np.ndarray, left: np.ndarray, destination: Destination
) -> tuple[np.ndarray, list[SceneObject]]:
    """As `place_for`, to the left or right of another object."""
    neighbour, half = scene[destination.beside], obj.bounds[1, :2].max()
    middle = neighbour.extent[:, :2].mean(axis=0)
    point = min((near[:2], near[:2] + shift), key=lambda p: float(np.linalg.norm(p - middle)))
    ahead = np.array([left[1], -left[0]])
    deep, wide = (float(np.abs(axis) @ np.diff(neighbour.extent[:, :2], axis=0)[0]) / 2.0 for axis in (ahead, left))
    middle, wide = middle - max(deep - half, 0.0) * ahead, wide + half + _BESIDE_GAP
    side = 1.0 if (point - middle) @ left > 0.0 else -1.0
    if not destination.target:
        return np.array([*(middle + side * wide * left), -obj.bounds[0, 2]]), []
    under = scene[destination.target]

    def on_top(spot: np.ndarray) -> np.ndarray:
        inside = _on_top(under, obj, under.local([*spot, under.pos[2]])[:2])
        return under.rotation.apply([*inside, 0.0])[:2] + under.pos[:2]

    spots = [middle + s * wide * left for s in (side, -side)]
    spot = on_top(min(spots, key=lambda spot: float(np.linalg.norm(on_top(spot) - spot)) > _BESIDE_GAP / 2.0))
    return np.array([*spot, top_at(under, spot) - obj.bounds[0, 2]]), [under]


@dataclass(frozen=True)
class _Carry:
    """When hands carry an object."""

    times: np.ndarray
    """(T,) s, of all frames of the motion."""
    lifted: float
    """s."""
    first: int
    """Frame in which it is lifted."""
    last: int
    """Frame in which it stands again."""
    kept: bool
    """It is held to the end of the motion."""
    fps: float

    @classmethod
    def of(cls, contact: Contact, frames: int, fps: float) -> _Carry:
        """The frames of a grasp in a motion of so many."""
        times, end = np.arange(frames) / fps, frames - 1
        lifted, placed = contact.start + LIFT_AFTER, contact.end - PLACED_BEFORE
        kept = contact.end >= times[-1] - 0.05
        first = min(round(lifted * fps), end)
        last = end if kept else min(max(round(placed * fps), first + 1), end)
        return cls(times, lifted, first, last, bool(kept), fps)

    @property
    def seconds(self) -> float:
        """How long it is carried, s."""
        return max((self.last - self.first) / self.fps, 0.1)


def carried(
    scene: Scene,
    contact: Contact,
    rest: np.ndarray,
    grip: np.ndarray,
    natural: np.ndarray,
    targets: Targets,
    model: Model,
    destination: Destination | None = None,
    two_hands: bool = False,
) -> np.ndarray:
    """Poses (T, 7) of an object that hands hold at ``grip`` (3,) in its frame, and would carry ``natural``ly."""
    obj, carry = scene[contact.object], _Carry.of(contact, len(rest), targets.fps)
    headings, times, first, last = targets.headings(model), carry.times, carry.first, carry.last
    if two_hands:  # not swung with every step
        headings = gaussian_filter1d(headings, _HEADING_SMOOTHING * carry.fps, mode="nearest")
    base = Rotation.from_quat(rest[first, 3:], scalar_first=True)
    turned = headings - headings[first]
    turned[:first], turned[last:] = 0.0, turned[last]
    rotation = Rotation.from_euler("z", turned[:, None]) * base
    begin = base.apply(grip) + rest[first, :3]
    share = ramp(times, carry.lifted, min(_CARRY_SECONDS, 0.5 * carry.seconds))
    bottom = np.minimum(natural[:, 2], begin[2] + share * (natural[:, 2] - begin[2])) - grip[2] + obj.bounds[0, 2]
    hands = _before_body(obj, natural, bottom, carry, targets, model, headings, two_hands)
    rise = np.maximum(begin[2] + _MIN_LIFT - hands[:, 2], 0.0)
    hangs, draws = (_CARRY_SAG, _CARRY_LEAD) if two_hands else (0.0, 0.0)
    if two_hands:
        away = np.linalg.norm(hands[:, :2] - begin[:2], axis=1)
        rise *= 1.0 - np.maximum.accumulate(
            smoothstep((away - _LOWERING[0]) / (_LOWERING[1] - _LOWERING[0])) * (times > carry.lifted)
        )
        rise = np.maximum(rise, _over_thighs(targets) - bottom)
    center = begin + share[:, None] * (hands - begin)
    placed: list[tuple[np.ndarray, SceneObject]] = []
    if not carry.kept:
        goal, under = place_for(scene, obj, hands[last], np.zeros(2), headings[last], destination)
        placed = [(goal, other) for other in under]
        rims = [other.extent[1, 2] + _RIM_CLEARANCE - goal[2] - obj.bounds[0, 2] for other in under if other.contains]
        hover = max([_HOVER_HEIGHT + hangs * bool(under), *rims])
        over = goal + rotation[last].apply(grip) + [0.0, 0.0, hover]
        rise = _rise_before_placing(rise, obj, under if rims else [], hands, over, carry)
        seconds = min(_LOWER_SECONDS, 0.5 * carry.seconds)
        come = ramp(times, last / carry.fps - seconds, 0.75 * seconds)
        center += come[:, None] * (over - center)
        center[:, 2] -= hover * ramp(times, last / carry.fps - 0.3 * seconds, 0.3 * seconds)
        share *= 1.0 - come
    center[:, 2] += share * rise
    pos = center - rotation.apply(grip)
    taken = [(np.array(obj.pos), other) for other in scene.objects if rests_on(obj, other)]
    tops = _tops_to_pass(scene, obj, taken + placed)
    pos[:, 2] += _over_others(scene, obj, tops, pos, first, last, carry.fps, _PASSING_HEIGHT + hangs, draws)
    out = rest.copy()
    out[first:, :3], out[first:, 3:] = pos[first:], rotation[first:].as_quat(scalar_first=True)
    out[last:] = out[last]
    return out


def _before_body(
    obj: SceneObject,
    natural: np.ndarray,
    bottom: np.ndarray,
    carry: _Carry,
    targets: Targets,
    model: Model,
    headings: np.ndarray,
    two_hands: bool,
) -> np.ndarray:
    """Where (T, 3) hands hold an object whose lowest point is at ``bottom`` (T,) m: clear of the body and the knees.

    That is as far ahead, along the ``headings`` (T,) rad, as the object is deep, and not so far that the weight pulls
    the robot forward.
    """
    fps = carry.fps
    forward = np.stack([np.cos(headings), np.sin(headings)], axis=1)
    deep = float(np.abs(obj.bounds[:, :2]).max())
    ahead = np.sum((natural[:, :2] - targets.pelvis_pos[:, :2]) * forward, axis=1)
    knees = targets.knees(model)  # who bends down with it has it before the knees
    below = bottom - knees[..., 2].max(axis=1) - KNEE
    knees_ahead = np.einsum("tkj,tj->tk", (knees - targets.pelvis_pos[:, None])[..., :2], forward).max(axis=1)
    share = gaussian_filter1d(smoothstep(1.0 - below / _KNEE_CLEARANCE), 0.1 * fps, mode="nearest")
    near = deep + _BODY_DEPTH + share * np.maximum(knees_ahead + KNEE - _BODY_DEPTH, 0.0)
    hands, last = natural.copy(), carry.last
    if not two_hands:
        hands[:, :2] += (np.clip(ahead, near, near + _MAX_CARRY_GAP) - ahead)[:, None] * forward
        return hands
    body = gaussian_filter1d(targets.pelvis_pos[:, :2], _BODY_SMOOTHING * fps, axis=0, mode="nearest")
    walked = float(np.linalg.norm(body[carry.first : last + 1] - body[carry.first], axis=1).max())
    farther = _FARTHER * smoothstep(walked / _LOWERING[0])
    farther *= ramp(carry.times, carry.lifted + _FARTHER_AFTER, _FARTHER_SECONDS)
    if not carry.kept:
        farther *= ramp(-carry.times, _NEARER_BEFORE - last / fps, _NEARER_SECONDS)
    out = np.clip(ahead, near + farther, near + np.maximum(farther, _MAX_CARRY_GAP))
    out = gaussian_filter1d(out, _CARRY_SMOOTHING * fps, mode="nearest")
    if not carry.kept and natural[last, 2] < LOW:  # the thighs come forward and up as the robot crouches
        out += ramp(carry.times, last / fps - _REACH_OUT_BEGIN, _REACH_OUT_SECONDS) * (out[last] + _REACH_OUT - out)
    hands[:, :2] = body + out[:, None] * forward  # in the middle: the arms share the load, and neither twists
    return hands


def _over_thighs(targets: Targets) -> np.ndarray:
    """Height (T,) m at which thighs that swing do not meet what is carried before them; low where the body is low."""
    height = gaussian_filter1d(targets.pelvis_pos[:, 2], 0.6 * targets.fps, mode="nearest")
    low, high = np.percentile(height, 90) * np.array(_UPRIGHT)
    return smoothstep((height - low) / (high - low)) * (height - _THIGHS)


def _rise_before_placing(
    rise: np.ndarray,
    obj: SceneObject,
    containers: Sequence[SceneObject],
    hands: np.ndarray,
    over: np.ndarray,
    carry: _Carry,
) -> np.ndarray:
    """How much (T,) m higher than ``hands`` (T, 3) an object is held until it is lowered from ``over`` (3,).

    Who bends down to put it down takes it along; it is over the rim of ``containers`` before it gets there.
    """
    first, last, fps = carry.first, carry.last, carry.fps
    rise = rise.copy()
    bends = max(first, last - round(_BEND_SECONDS * fps))
    rise[bends:] = np.minimum(rise[bends:], rise[bends])
    if not containers:
        return rise
    away = np.linalg.norm(hands[first:last, :2] - over[:2], axis=1)
    widest = max(np.abs(other.bounds[:, :2]).max() for other in containers)
    far = _RIM_DISTANCE + np.abs(obj.bounds[:, :2]).max() + widest
    above = first + int(np.argmax(np.append(away, 0.0) < far)) - round(_RAISE_SECONDS * fps)
    above = min(bends, max(above, first))
    rise[above:] = np.maximum(over[2] - hands[above:, 2], rise[above:])
    return gaussian_filter1d(rise, 0.3 * _RAISE_SECONDS * fps, mode="nearest")


def _tops_to_pass(
    scene: Scene, obj: SceneObject, supports: Sequence[tuple[np.ndarray, SceneObject]]
) -> dict[str, float]:
    """Heights in m, by id, of what an object that is carried may have to pass over.

    ``supports`` are where (3,) it is taken and put, and on what: on a chair, the seat counts, not the back.
    """
    tops = {other.id: other.extent[1, 2] for other in scene.objects if other.id != obj.id and not other.contains}
    return tops | {other.id: top_at(other, at[:2]) for at, other in supports if other.id in tops}


def _over_others(
    scene: Scene,
    obj: SceneObject,
    tops: Mapping[str, float],
    pos: np.ndarray,
    first: int,
    last: int,
    fps: float,
    over: float,
    beside: float,
) -> np.ndarray:
    """How much (T,) higher an object must be, where it is lifted and not yet put, to pass ``over`` m above others.

    These are as high as ``tops`` says by their ids; it is so high from ``beside`` m beside them on.
    """
    low, half = obj.bounds[0, 2], obj.bounds[1, :2].max() + beside
    needed = np.full(len(pos), -np.inf)
    frames = np.arange(len(pos))
    room = over * np.minimum(ramp(frames / fps, first / fps, 0.4), ramp(-frames / fps, -last / fps, 0.4))
    for name, top in tops.items():
        other = scene[name]
        local = other.local(np.column_stack([pos[:, :2], np.full(len(pos), other.pos[2])]))
        inside = (
            np.abs(local[:, :2] - other.bounds[:, :2].mean(axis=0)) < np.diff(other.bounds[:, :2], axis=0) / 2 + half
        )
        above = inside.all(axis=1) & (top < _MAX_PASSED_HEIGHT)
        needed = np.maximum(needed, np.where(above, top + room - low, -np.inf))
    needed[: first + 1] = needed[last:] = -np.inf
    seconds = _PASSING_SECONDS[beside > 0.0]
    width = round(3.0 * seconds * fps) | 1
    raised = maximum_filter1d(np.maximum(needed - pos[:, 2], 0.0), width)
    wide = np.minimum(raised, np.maximum(maximum_filter1d(needed, width) - pos[:, 2], 0.0))  # no higher than needed
    return gaussian_filter1d(wide, seconds * fps, mode="nearest") * (room > 0) * np.minimum(room / over * 2, 1.0)


def pushed(rest: np.ndarray, contact: Contact, natural: np.ndarray, fps: float, far: float | None = None) -> np.ndarray:
    """Poses (T, 7) of an object that is pushed over what it stands on, as far as the hands would go, or ``far`` m."""
    t = len(rest)
    first, last = (min(round(s * fps), t - 1) for s in (contact.start + PRESS_TIME, contact.end))
    way = natural[:, :2] - natural[first, :2]
    forward = way[last] / max(float(np.linalg.norm(way[last])), 1e-6)
    along = np.zeros(t)  # before, the hands may have come from far beyond
    along[first:] = np.maximum(np.maximum.accumulate(way[first:] @ forward), 0.0)
    along = gaussian_filter1d(along, 0.1 * fps, mode="nearest")
    along[:first], along[last:] = 0.0, along[last]
    along[first:] -= along[first]
    if far and along[last] > 0.0:
        along *= min((far + PUSH_LAG) / along[last], _MAX_PUSH_RATIO)
    out = rest.copy()
    out[:, :2] += along[:, None] * forward
    return out


def swung(obj: SceneObject, touch: HandContact, times: np.ndarray, far: float) -> np.ndarray:
    """Poses (T, 7) of a door that a hand pushes on, and lets swing, or of a drawer that goes ``far`` m with it."""
    joint = obj.articulation
    assert joint is not None
    lever = np.cross(joint.axis, touch.pos - joint.pos) if joint.kind == "hinge" else np.array(joint.axis)
    way = float(np.sign(-touch.normal @ lever))
    if joint.kind == "slide":
        start = touch.contact.start + PRESS_TIME
        moved = far * ramp(times, start, touch.contact.end - start)
    else:
        moved = _OPEN_ANGLE * ramp(times, touch.contact.start, _SWING_TIME)
    opened = np.clip(joint.initial + way * moved, *joint.limits)
    return np.array([articulated(obj, value).pose for value in opened])


def within_reach(touch: HandContact, poses: np.ndarray, targets: Targets, model: Model) -> HandContact:
    """A hand's contact with what swings away with ``poses`` (T, 7), ended before the trunk would have to go after it.

    Who leans on a door that gives way falls through it.
    """
    times = np.arange(len(targets)) / targets.fps
    point = poses[:, :3] + Rotation.from_quat(poses[:, 3:], scalar_first=True).apply(touch.pos)
    shoulder = model.shoulders(targets.pelvis_pos, targets.pelvis_rot, targets.torso_rot)[:, touch.side]
    hand = float(np.linalg.norm(touch.local - model.hand_points[touch.side, 0]))
    far = np.linalg.norm(point - shoulder, axis=1) > model.upper_arm + model.forearm + hand
    late = times[far & (times > touch.contact.start + PRESS_TIME)]
    end = min([touch.contact.end, *late])
    return replace(touch, contact=touch.contact.model_copy(update={"end": end}))
