"""Hand trajectories: raised in front of the body, to beside an object, onto it, with it, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.scene import Scene
from exoactor_retarget.hand_contacts import LOW, HandContact
from exoactor_retarget.model import Model
from exoactor_retarget.object_geometry import rests_on, top_at
from exoactor_retarget.targets import Targets, headed, ramp

_RAISE_SECONDS = 1.3  # s for a hand to be raised to the body's front
_ADVANCE_SECONDS, _CLOSE_SECONDS = 0.7, 0.7  # s to beside the object, and onto it
_REACH_TIME = _CLOSE_SECONDS + _ADVANCE_SECONDS  # s before a contact from which a raised hand moves to it
LEAD_TIME = _RAISE_SECONDS + _ADVANCE_SECONDS + _CLOSE_SECONDS
"""s before a contact from which the object leads the hand."""
_BLEND_SECONDS = 0.3  # s over which the lead of a hand passes to an object, and back
_READY_OFFSET = 0.22, 0.15  # m: a hand in front of the body, ahead of the pelvis, and above what the object stands on
_READY_LATERAL = 0.10, 0.30  # m, likewise, to its own side
_FINGER_ROOM, _READY_NEAREST = 0.11, 0.12  # m: gap of a raised hand to its goal; minimum ahead
_OUT_OF_RIM = 0.12  # m that a hand rises out of a container before it comes back
_LEVEL_HEIGHT, _STEEP_HEIGHT = 0.7, 0.3  # m above the floor between which fingers pitch from level to steep
_MAX_FINGER_PITCH = 1.1  # rad, maximum pitch
PRESS_TIME = 0.4  # s in which the pressure of hands builds up, and vanishes


@dataclass(frozen=True)
class HandPath:
    """Path of a hand to an object, with it, and away from it, in T frames."""

    rotation: np.ndarray
    """(T, 3, 3) of the hand's link, in the world."""
    palm: np.ndarray
    """(T, 3) m."""
    lead: np.ndarray
    """(T,) degree to which the object leads the hand rather than the person's arm, 0 to 1."""
    pressed: np.ndarray
    """(T,) degree to which the hand presses, 0 to 1."""


@dataclass(frozen=True)
class _Timing:
    """Timing of a contact."""

    times: np.ndarray
    """(T,) s, of the frames of the motion."""
    start: float
    end: float

    @property
    def kept(self) -> bool:
        """Whether it lasts to the end of the motion."""
        return bool(self.end >= self.times[-1] - 0.05)

    @property
    def before(self) -> np.ndarray:
        """(T,) bool: the first half, in which a hand arrives."""
        return self.times < 0.5 * (self.start + self.end)

    def there(self, first: float, seconds: float) -> np.ndarray:
        """(T,) 0 until ``first`` s before the contact, 1 from ``seconds`` later on, and back symmetrically after it."""
        come = ramp(self.times, self.start - first, seconds)
        return come if self.kept else come * (1.0 - ramp(self.times, self.end + first - seconds, seconds))

    def pressed(self) -> np.ndarray:
        """(T,) degree to which a hand presses."""
        pressed = ramp(self.times, self.start, PRESS_TIME)
        if not self.kept:
            pressed *= 1.0 - ramp(self.times, self.end - PRESS_TIME, PRESS_TIME)
        return pressed


def hand_path(touch: HandContact, poses: np.ndarray, scene: Scene, targets: Targets, model: Model) -> HandPath:
    """Path of a hand to an object with ``poses`` (T, n, 7) of the scene's objects, with it, and away from it."""
    times, k = np.arange(len(targets)) / targets.fps, touch.side
    natural = targets.natural_palms(model)[:, k]
    contact = _Timing(times, touch.contact.start, touch.contact.end)
    left = min(round(contact.end * targets.fps), len(times) - 1)  # a door swings on by itself
    path = poses[np.minimum(np.arange(len(times)), left), touch.index]
    turn = Rotation.from_quat(path[:, 3:], scalar_first=True)
    normal, surface = turn.apply(touch.normal), turn.apply(touch.pos) + path[:, :3]
    if touch.contact.kind == "support" and not scene.objects[touch.index].movable:
        surface += _along(natural, normal, round(contact.start * targets.fps), left)
    rotation = turn.as_matrix() @ touch.rotation
    if touch.contact.kind == "grasp" and not touch.fingers:  # a hanging arm reaches lower, and the trunk bends less
        steep = _MAX_FINGER_PITCH * np.clip((_LEVEL_HEIGHT - surface[:, 2]) / (_LEVEL_HEIGHT - _STEEP_HEIGHT), 0.0, 1.0)
        rotation = rotation @ Rotation.from_euler("y", steep[:, None]).as_matrix()
    rim = _rim(touch, path[left], scene)
    retreat = turn.apply(touch.retreat)
    if rim:  # out of it, upwards
        retreat[~contact.before] = 0.0, 0.0, _OUT_OF_RIM
    beside = surface + retreat + rotation @ (model.palms[k] - touch.local)
    # when bending down the hands are in front, but open fingers would strike the object from above
    low = (np.where(contact.before, surface[0, 2], surface[left, 2]) < LOW) & (not touch.fingers)
    left_over = max(_ready_height(touch, path[left], scene), rim + _READY_OFFSET[1])
    over = np.where(contact.before, _ready_height(touch, path[0], scene), left_over)
    ready = np.where(low[:, None], natural, _ready(touch, beside, over, targets, model, natural))
    home = natural - _ahead(natural - ready, targets, model)  # it is raised before it reaches
    pressed = contact.pressed()
    palm = _approach(contact, home, ready, beside)
    closes = contact.there(_CLOSE_SECONDS, _CLOSE_SECONDS)
    palm -= closes[:, None] * retreat + (touch.press * pressed)[:, None] * normal
    raised, own = contact.there(LEAD_TIME, _RAISE_SECONDS)[:, None], Rotation.from_matrix(targets.hand_rot[:, k])
    towards = own * Rotation.from_rotvec(raised * (own.inv() * Rotation.from_matrix(rotation)).as_rotvec())
    lead = np.where(low, contact.there(_REACH_TIME, _BLEND_SECONDS), contact.there(LEAD_TIME, _BLEND_SECONDS))
    return HandPath(towards.as_matrix(), palm, lead, pressed)


def _approach(contact: _Timing, home: np.ndarray, ready: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """Path (T, 3) of a palm from ``home`` up to ``ready``, from there to ``beside`` the object, and back, m."""
    up = contact.there(LEAD_TIME, 0.6 * _RAISE_SECONDS)
    ahead = contact.there(LEAD_TIME - 0.4 * _RAISE_SECONDS, 0.6 * _RAISE_SECONDS)  # late: no edge above
    palm = home + np.column_stack([ahead, ahead, up]) * (ready - home)
    share = contact.there(_REACH_TIME, _ADVANCE_SECONDS)
    higher = beside[:, 2] > palm[:, 2]
    rises = np.where(higher, contact.there(_REACH_TIME, 0.6 * _ADVANCE_SECONDS), share)  # up first, then over it
    return palm + np.column_stack([share, share, rises]) * (beside - palm)


def _ahead(way: np.ndarray, targets: Targets, model: Model) -> np.ndarray:
    """The forward component (T, 3) of ways (T, 3), where it is positive."""
    facing = headed(targets.headings(model))[:, :, 0]
    return np.maximum(np.sum(way * facing, axis=1), 0.0)[:, None] * facing


def _along(palm: np.ndarray, normal: np.ndarray, first: int, last: int) -> np.ndarray:
    """Displacement (T, 3) m of a palm (T, 3) along a surface with normals (T, 3) while it is there."""
    frames = np.clip(np.arange(len(palm)), min(first, last), last)
    way = palm[frames] - palm[frames[0]]
    return way - np.sum(way * normal, axis=1, keepdims=True) * normal


def _ready_height(touch: HandContact, pose: np.ndarray, scene: Scene) -> float:
    """Height to which a hand is raised before it reaches over what an object with a pose (7,) stands on, m.

    For an object on the floor it is that of the contact: a hand that is led forward at the hips, and up there, folds
    the arm.
    """
    obj = scene.objects[touch.index].at(pose)
    under = [top_at(other, np.array(obj.pos[:2])) for other in scene.objects if rests_on(obj, other)]
    return max(under) + _READY_OFFSET[1] if under else float((obj.rotation.apply(touch.pos) + obj.pos)[2])


def _rim(touch: HandContact, pose: np.ndarray, scene: Scene) -> float:
    """Height of the rim of the container into which an object with a pose (7,) is released, m; 0: none."""
    rims = [
        float(other.extent[1, 2])
        for other in scene.objects
        if other.contains and other is not scene.objects[touch.index] and other.floor_distance(pose[:2]) == 0.0
    ]
    return max(rims, default=0.0)


def _ready(
    touch: HandContact, beside: np.ndarray, over: np.ndarray, targets: Targets, model: Model, natural: np.ndarray
) -> np.ndarray:
    """Position (T, 3) of a hand raised in front of the body, above ``over`` (T,) m, to advance to ``beside`` (T, 3)."""
    pelvis, turn = targets.pelvis_pos, headed(targets.headings(model))
    ahead, left = turn[:, :2, 0], turn[:, :2, 1]
    out = 1.0 if touch.side == 0 else -1.0
    aside = out * np.clip(out * np.sum((beside - pelvis)[:, :2] * left, axis=1), *_READY_LATERAL)
    height = np.maximum(natural[:, 2], over)  # so close to the body an arm folds to get higher
    far = np.full(len(pelvis), _READY_OFFSET[0])
    if touch.fingers:  # open fingers extend ahead of the hand, and would strike down close objects
        short = np.sum((beside - pelvis)[:, :2] * ahead, axis=1) - _FINGER_ROOM
        far = np.clip(short, _READY_NEAREST, _READY_OFFSET[0])
    return np.column_stack([pelvis[:, :2] + far[:, None] * ahead + aside[:, None] * left, height])
