"""Hand trajectories: raised before the body, to beside an object, onto it, with it, and back."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.scene import Scene
from exoactor_retarget.hand_contacts import LOW, HandContact
from exoactor_retarget.model import Model
from exoactor_retarget.object_geometry import rests_on, top_at
from exoactor_retarget.targets import Targets, headed, ramp

_RAISE_SECONDS = 1.3  # s of a hand to the body's front
_ADVANCE_SECONDS, _CLOSE_SECONDS = 0.7, 0.7  # s to beside the object, and onto it
_REACH_TIME = _CLOSE_SECONDS + _ADVANCE_SECONDS  # s before a contact from which a raised hand goes to it
LEAD_TIME = _RAISE_SECONDS + _ADVANCE_SECONDS + _CLOSE_SECONDS
"""s before a contact from which a hand is led to it."""
_BLEND_SECONDS = 0.3  # s over which an object takes, and gives back, the lead of a hand
_READY_OFFSET = 0.22, 0.15  # m: a hand before the body, ahead of the pelvis, and above what the object stands on
_READY_LATERAL = 0.10, 0.30  # m, likewise, to its own side
_FINGER_ROOM, _READY_NEAREST = 0.10, 0.12  # m short of where it reaches from that a hand is raised; but so far ahead
_OUT_OF_RIM = 0.12  # m that a hand rises out of what it has put something into, before it comes back
_LEVEL_HEIGHT, _STEEP_HEIGHT = 0.7, 0.3  # m over the floor from, and to, which fingers point down
_MAX_FINGER_PITCH = 1.1  # rad by which they do
PRESS_TIME = 0.4  # s in which hands press, and let go


def lead_hand(
    touch: HandContact,
    poses: np.ndarray,
    scene: Scene,
    targets: Targets,
    model: Model,
    rotation: np.ndarray,
    pos: np.ndarray,
    holding: np.ndarray,
    when: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Lead a hand to the object, with it, and off it: writes into (T, 2, ...) arrays in frames ``when`` (T,).

    Returns how far (T,) it is led, and how far it presses.
    """
    times, natural = np.arange(len(targets)) / targets.fps, targets.natural_palms(model)
    start, end, k = touch.contact.start, touch.contact.end, touch.side
    left = min(round(end * targets.fps), len(times) - 1)  # a door swings on by itself
    path = poses[np.minimum(np.arange(len(times)), left), touch.index]
    turn = Rotation.from_quat(path[:, 3:], scalar_first=True)
    normal, surface = turn.apply(touch.normal), turn.apply(touch.pos) + path[:, :3]
    if touch.contact.kind == "support" and not scene.objects[touch.index].movable:
        surface += _along(natural[:, k], normal, round(start * targets.fps), left)
    turned = turn.as_matrix() @ touch.rotation
    if touch.contact.kind == "grasp" and not touch.fingers:  # an arm that hangs reaches lower, and the trunk bends less
        steep = _MAX_FINGER_PITCH * np.clip((_LEVEL_HEIGHT - surface[:, 2]) / (_LEVEL_HEIGHT - _STEEP_HEIGHT), 0.0, 1.0)
        turned = turned @ Rotation.from_euler("y", steep[:, None]).as_matrix()
    kept = end >= times[-1] - 0.05  # to the end of the motion

    def there(first: float, seconds: float) -> np.ndarray:
        """(T,) 0 until so many s before the contact, 1 during it, and back as long after it."""
        come = ramp(times, start - first, seconds)
        return come if kept else come * (1.0 - ramp(times, end + first - seconds, seconds))

    pressed = ramp(times, start, PRESS_TIME)
    if not kept:
        pressed *= 1.0 - ramp(times, end - PRESS_TIME, PRESS_TIME)
    before = times < 0.5 * (start + end)
    rim = _rim(touch, path[left], scene)
    retreat = turn.apply(touch.retreat)
    if rim:  # out of it, upwards
        retreat[~before] = 0.0, 0.0, _OUT_OF_RIM
    beside = surface + retreat + turned @ (model.palms[k] - touch.local)
    raised, share = there(LEAD_TIME, _RAISE_SECONDS)[:, None], there(_REACH_TIME, _ADVANCE_SECONDS)
    up = there(LEAD_TIME, 0.6 * _RAISE_SECONDS)
    ahead = there(LEAD_TIME - 0.4 * _RAISE_SECONDS, 0.6 * _RAISE_SECONDS)  # later: not under an edge
    low = np.where(before, surface[0, 2], surface[left, 2]) < LOW  # who bends down to it has the hands in front
    low &= not touch.fingers  # but open fingers would strike it from above
    left_over = max(_ready_height(touch, path[left], scene), rim + _READY_OFFSET[1])
    over = np.where(before, _ready_height(touch, path[0], scene), left_over)
    ready = np.where(low[:, None], natural[:, k], _ready(touch, beside, over, targets, model, natural))
    home = natural[:, k] - _ahead(natural[:, k] - ready, targets, model)  # it is raised before it reaches
    point = home + np.column_stack([ahead, ahead, up]) * (ready - home)
    higher = beside[:, 2] > point[:, 2]
    rises = np.where(higher, there(_REACH_TIME, 0.6 * _ADVANCE_SECONDS), share)  # above, then over it
    point += np.column_stack([share, share, rises]) * (beside - point)
    closes = there(_CLOSE_SECONDS, _CLOSE_SECONDS)
    point -= closes[:, None] * retreat + (touch.press * pressed)[:, None] * normal
    own = Rotation.from_matrix(targets.hand_rot[:, k])
    towards = own * Rotation.from_rotvec(raised * (own.inv() * Rotation.from_matrix(turned)).as_rotvec())
    lead = np.where(low, there(_REACH_TIME, _BLEND_SECONDS), there(LEAD_TIME, _BLEND_SECONDS))
    more = when & (lead > holding[:, k])
    rotation[more, k] = towards.as_matrix()[more]
    pos[more, k], holding[more, k] = point[more], lead[more]
    return lead, pressed


def _ahead(way: np.ndarray, targets: Targets, model: Model) -> np.ndarray:
    """The part (T, 3) of ways (T, 3) that goes ahead, where it does."""
    facing = headed(targets.headings(model))[:, :, 0]
    return np.maximum(np.sum(way * facing, axis=1), 0.0)[:, None] * facing


def _along(palm: np.ndarray, normal: np.ndarray, first: int, last: int) -> np.ndarray:
    """How far (T, 3) m a palm (T, 3) is moved along a surface with normals (T, 3) while it is there."""
    frames = np.clip(np.arange(len(palm)), min(first, last), last)
    way = palm[frames] - palm[frames[0]]
    return way - np.sum(way * normal, axis=1, keepdims=True) * normal


def _ready_height(touch: HandContact, pose: np.ndarray, scene: Scene) -> float:
    """Height to which a hand is raised before it reaches over what an object with a pose (7,) stands on, m.

    That of the contact where it stands on the floor: what is led ahead at the hips, and up there, folds the arm.
    """
    obj = scene.objects[touch.index].at(pose)
    under = [top_at(other, np.array(obj.pos[:2])) for other in scene.objects if rests_on(obj, other)]
    return max(under) + _READY_OFFSET[1] if under else float((obj.rotation.apply(touch.pos) + obj.pos)[2])


def _rim(touch: HandContact, pose: np.ndarray, scene: Scene) -> float:
    """Height of the rim of what an object with a pose (7,) is let go of in, m; 0: in nothing."""
    rims = [
        float(other.extent[1, 2])
        for other in scene.objects
        if other.contains and other is not scene.objects[touch.index] and other.floor_distance(pose[:2]) == 0.0
    ]
    return max(rims, default=0.0)


def _ready(
    touch: HandContact, beside: np.ndarray, over: np.ndarray, targets: Targets, model: Model, natural: np.ndarray
) -> np.ndarray:
    """Where (T, 3) a hand is raised to before the body, ``over`` (T,) m, to advance to ``beside`` (T, 3)."""
    pelvis, turn = targets.pelvis_pos, headed(targets.headings(model))
    ahead, left = turn[:, :2, 0], turn[:, :2, 1]
    out = 1.0 if touch.side == 0 else -1.0
    aside = out * np.clip(out * np.sum((beside - pelvis)[:, :2] * left, axis=1), *_READY_LATERAL)
    height = np.maximum(natural[:, touch.side, 2], over)  # an arm folds up to get higher so near to the body
    far = np.full(len(pelvis), _READY_OFFSET[0])
    if touch.fingers:  # open fingers reach ahead of the hand, and would strike what stands near down
        short = np.sum((beside - pelvis)[:, :2] * ahead, axis=1) - _FINGER_ROOM
        far = np.clip(short, _READY_NEAREST, _READY_OFFSET[0])
    return np.column_stack([pelvis[:, :2] + far[:, None] * ahead + aside[:, None] * left, height])
