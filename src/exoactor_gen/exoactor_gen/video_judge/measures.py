"""How well a segment of a motion shows an action: one measure per kind of action."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from exoactor_core.arrays import sustained
from exoactor_core.contacts import SIDES
from exoactor_gen.mannequin.movement import DEEPEST_SQUAT
from exoactor_gen.video_judge.expected_actions import ExpectedAction
from exoactor_gen.video_judge.motion_features import FEATURE_RATE, MotionFeatures

PASS_SCORE = 0.5
"""Score from which an action counts as shown."""
DISTANCE_FACTOR = 1.7
"""Factor by which a distance may be missed: people in generated videos do not measure their way, and their stature and
the camera are uncertain; half the distance is still distinguished from all of it."""
ANGLE_TOLERANCE = 0.4
"""Share by which a turn may be missed, for the same reason."""
GRADES: dict[str, tuple[float, float]] = {
    "going": (0.1, 0.6),  # m, where no distance is planned; one step is 0.3
    "turning": (10.0, 50.0),  # degrees, where no angle is planned
    # arm lengths from the shoulder; arms at rest are at 0.1 ahead, 0.15 aside and -0.95 up, and swing to 0.5 ahead
    "raised": (-0.15, 0.4),  # 'raises the hand' may mean beside the head; straight up is 0.95
    "up": (0.1, 0.7),
    "waving": (-0.5, 0.0),  # many wave at the height of the chest
    "ahead": (0.4, 0.8),  # straight is 1.0, hands that clap are at 0.75
    "aside": (0.4, 0.85),
    "too high ahead": (0.45, 0.75),  # an arm that rises past its front does not reach ahead
    "too high for down": (-0.45, -0.05),
    "too high to take": (0.3, 0.7),
    "upright": (0.1, 0.6),  # sine of the forearm's elevation
    "working": (-0.7, -0.4),  # the same of hands at work; of an arm that swings it is -0.66
    "down": (0.15, 0.65),  # 1 is at the height of the knees, or well ahead below the shoulder
    "taking": (0.2, 0.8),
    "apart": (0.35, 0.5),  # m between wrists: claps are 0.15, a hidden arm is estimated up to 0.4, at rest 0.52
    "foot": (0.04, 0.14),  # m; a gentle kick is 0.15, an estimated step 0.04
    "swaying": (0.02, 0.08),  # m that the hips move aside over the feet: 0.1 onto one foot, 0.01 in standing
    "low": (0.08, 0.28),  # leg lengths that the pelvis goes down: squats and seats are 0.38 to 0.5, steps 0.07
    "too low to bow": (0.2, 0.4),
    "bowing": (8.0, 24.0),  # degrees, where no angle is planned
    "seen": (0.1, 0.4),  # confidence of an arm; the pose of a hidden one is a guess
    "moving": (0.1, 0.3),  # m; estimated joints of a standing person drift by up to 0.1
    # to be avoided
    "fidgeting": (0.4, 0.8),  # m that hands move while the person should stand still
    "away": (0.4, 0.8),  # m from where the person should stay; seats and kicks take up to 0.3
    "turned away": (30.0, 70.0),  # degrees; headings are estimated to 15
}
"""Values at which the score is 0, and at which it is 1; reversed for what is to be avoided."""
STEP_LENGTH = 0.35
"""m, step length: careful ones backwards are 0.25, brisk ones 0.7."""
SIDE_MARGIN = 0.15
"""Arm lengths, m and so on by which the planned arm or foot must exceed the other."""


Measured = tuple[float, str]
"""A score in [0, 1], and the observation, to follow 'the person'."""


def _grade(x: float, name: str) -> float:
    none, full = GRADES[name]
    return float(np.clip((x - none) / (full - none), 0.0, 1.0))


def _near(measured: float, expected: float, factor: float, slack: float) -> float:
    """Agreement of two amounts: passed within a factor, with a slack for small ones."""
    if measured <= 0.0:
        return 0.0
    return max(0.0, 1.0 - PASS_SCORE * abs(np.log((measured + slack) / (expected + slack))) / np.log(factor))


def _held(x: np.ndarray, seconds: float) -> np.ndarray:
    """Highest values (2,) of (N, 2) that last so long."""
    return sustained(x, round(seconds * FEATURE_RATE))


def _of_side(figure: np.ndarray, expected: ExpectedAction, name: str, margin: float = SIDE_MARGIN) -> float:
    """Grade a value (2,) of the two arms or feet: the planned side must exceed the other."""
    if expected.side == "both":
        return _grade(figure.min(), name)
    if expected.side is None:
        return _grade(figure.max(), name)
    return _grade(figure[SIDES.index(expected.side)], name) * _exceeds(figure, expected.side, margin)


def _exceeds(figure: np.ndarray, side: str, margin: float = SIDE_MARGIN) -> float:
    """Grade by how much the value of a side exceeds that of the other."""
    own, other = figure if side == "left" else figure[::-1]
    return float(np.clip((own - other + margin / 4.0) / (1.25 * margin), 0.0, 1.0))


def _hands(done: str, figure: np.ndarray, unit: str) -> str:
    return f"{done} the left hand {figure[0]:.2f} and the right one {figure[1]:.2f} {unit}"


_BACK = {"forward": "backward", "backward": "forward", "left": "right", "right": "left"}


def _travel(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    ahead, left = features.displacement
    yaw, off = np.radians(features.heading[0]), features.position[-1] - features.position[0]
    aside = float(off @ [-np.sin(yaw), np.cos(yaw)])  # to walk to the left one may also turn there
    way = expected.direction if expected.direction in _BACK else "forward"
    distance = {"forward": ahead, "backward": -ahead, "left": max(left, aside), "right": max(-left, -aside)}[way]
    if expected.has_object or (way == "backward" and "back to" in expected.text):
        distance = abs(ahead)
    to = way if distance > -0.05 else _BACK[way]
    text = f"goes {abs(distance):.1f} m {'to the ' if to in SIDES else ''}{to}"
    if expected.may_be_there:
        return 1.0, text
    if expected.has_object:
        short = min(1.0, distance / expected.distance) if expected.distance else 1.0
        near = _near(short, 1.0, DISTANCE_FACTOR**2, 0.0)  # the distance is only a guess of the planner
        return min(_grade(distance, "going"), near), text
    if expected.distance:
        return _near(distance, expected.distance, DISTANCE_FACTOR, 0.1), text
    if expected.count or expected.verb == "step":
        return _near(distance, STEP_LENGTH * (expected.count or 1.0), DISTANCE_FACTOR**2, 0.1), text
    return _grade(distance, "going"), text


def _turn(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    sign = {"left": 1.0, "right": -1.0}.get(expected.direction or "")
    turned = abs(features.turned) if sign is None else sign * features.turned
    text = f"turns {abs(features.turned):.0f} degrees to the {'left' if features.turned > 0 else 'right'}"
    angle = expected.angle or (180.0 if expected.direction == "around" else None)
    if angle is None:  # the person may already face the target
        return 1.0 if expected.has_object else _grade(turned, "turning"), text
    return max(0.0, 1.0 - PASS_SCORE * abs(turned - angle) / max(15.0, ANGLE_TOLERANCE * angle)), text


def _up(features: MotionFeatures, expected: ExpectedAction, name: str) -> Measured:
    up = _held(features.hand[..., 2], 0.2)
    return _of_side(up, expected, name), _hands("gets", up, "arm lengths above the shoulder")


def _ahead(features: MotionFeatures, expected: ExpectedAction, seconds: float = 0.3) -> Measured:
    ahead, up = _held(features.hand[..., 0], seconds), _held(features.hand[..., 2], 0.2)
    over = up[SIDES.index(expected.side) if expected.side in SIDES else ahead.argmax()]
    score = _of_side(ahead, expected, "ahead") * (1.0 - _grade(over, "too high ahead"))
    return score, _hands("stretches", ahead, "arm lengths ahead")


def _aside(features: MotionFeatures, expected: ExpectedAction, signs: tuple[float, float]) -> Measured:
    out = _held(features.hand[..., 1] * signs, 0.2)
    return _of_side(out, expected, "aside"), _hands("stretches", out, "arm lengths aside")


def _down(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    down = _held(np.maximum(features.low / 0.3, (features.hand[..., 0] - 0.15) / 0.45), 0.3)
    over = _grade(_held(features.hand[..., 2], 0.2).max(), "too high for down")
    return _of_side(down, expected, "down") * (1.0 - over), _hands("brings", down, "of the way down")


def _raised_by(features: MotionFeatures, expected: ExpectedAction, angle: float) -> Measured:
    up = _held(features.hand[..., 2], 0.2)
    raised = np.degrees(np.arccos(np.clip(-up, -1.0, 1.0)))
    near = 1.0 - PASS_SCORE * np.abs(raised - angle) / max(15.0, ANGLE_TOLERANCE * angle)
    text = f"raises the left arm {raised[0]:.0f} and the right one {raised[1]:.0f} degrees"
    if expected.side in SIDES:
        return max(0.0, float(near[SIDES.index(expected.side)])) * _exceeds(up, expected.side), text
    return max(0.0, float(near.min() if expected.side == "both" else near[raised.argmax()])), text


def _raise(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    if expected.angle:
        return _raised_by(features, expected, expected.angle)
    if expected.direction == "forward":
        return _ahead(features, expected)
    if expected.direction in ("side", "left", "right"):
        return _aside(features, expected, (1.0, -1.0))
    return _up(features, expected, "raised")


def _reach(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    ways: dict[str, Callable[[], Measured]] = {
        "forward": lambda: _ahead(features, expected),
        "up": lambda: _up(features, expected, "up"),
        "down": lambda: _down(features, expected),
        "left": lambda: _aside(features, expected, (1.0, 1.0)),
        "right": lambda: _aside(features, expected, (-1.0, -1.0)),
    }
    return ways[expected.direction]() if expected.direction in ways else max(way() for way in ways.values())


def _wave(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    """The hand's swing is not measured: the wrist may be still."""
    score, text = _up(features, expected, "waving")
    return score * _of_side(_held(features.forearm, 0.2), expected, "upright"), text


def _clap(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    gap = np.linalg.norm(features.wrist[:, 0] - features.wrist[:, 1], axis=1)
    ahead = features.hand[..., 0].min(axis=1) > 0.35
    near = float(gap[ahead].min()) if ahead.any() else float(gap.min())
    return float(ahead.any()) * (1.0 - _grade(near, "apart")), f"brings the wrists within {near:.2f} m of each other"


def _march(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    high = features.ankle[..., 2].max(axis=0)
    return _grade(high.min(), "foot"), f"lifts the left foot {high[0]:.2f} and the right one {high[1]:.2f} m"


def _kick(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    high = features.ankle[..., 2].max(axis=0)
    score = _of_side(high, expected, "foot", SIDE_MARGIN / 3.0)
    if expected.has_object:  # an estimate may miss a gentle kick, but not the shift of weight onto one foot
        sway = float(np.ptp(features.ankle[..., 1], axis=0).max())
        score = max(score, _grade(sway, "swaying") * (1.0 - _grade(features.distance, "away")))
    return score, f"lifts the left foot {high[0]:.2f} and the right one {high[1]:.2f} m"


def _squat(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    drop = float(features.drop.max())
    share = expected.distance / DEEPEST_SQUAT if expected.distance else 1.0
    return _grade(drop / share, "low"), f"goes down by {drop:.2f} leg lengths"


def _bow(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    lean, drop = float(features.lean.max()), float(features.drop.max())
    # from pelvis to neck the trunk leans a fifth less than the shoulders, whose angle is meant
    score = _near(lean, 0.8 * expected.angle, DISTANCE_FACTOR, 3.0) if expected.angle else _grade(lean, "bowing")
    return score * (1.0 - _grade(drop, "too low to bow")), f"bows {lean:.0f} degrees, {drop:.2f} leg lengths down"


def _bend(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    return max(_squat(features, expected), (_grade(float(features.lean.max()), "bowing"), _bow(features, expected)[1]))


def _take(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    """A hand stays low, or in front, for longer than a swinging one."""
    used = _held(np.maximum(features.low / 0.2, (features.hand[..., 0] - 0.15) / 0.3), 0.7)
    over = _grade(_held(features.hand[..., 2], 0.2).max(), "too high to take")
    far = used.min() if expected.side == "both" else used.max()
    return _grade(far, "taking") * (1.0 - over), _hands("brings", used, "of the way to something")


def _manual(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    moved = np.ptp(features.wrist, axis=0).max(axis=1)
    lifted = _grade(_held(features.forearm, 0.3).max(), "working")  # rather than just swinging
    return min(_grade(moved.max(), "moving"), lifted), _hands("moves", moved, "m")


def _moves(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    moved = max(
        float(np.ptp(x, axis=0).max()) for x in (features.position, features.wrist, features.ankle, features.drop)
    )
    return max(_grade(moved, "moving"), _grade(float(np.ptp(features.heading)), "turning")), f"moves by {moved:.2f} m"


def _stand(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    moved = max(float(np.ptp(x, axis=0).max()) for x in (features.wrist, features.drop))
    return 1.0 - _grade(moved, "fidgeting"), f"moves by {moved:.2f} m"


MEASURES: dict[str, Callable[[MotionFeatures, ExpectedAction], Measured]] = {
    "travel": _travel,
    "turn": _turn,
    "wave": _wave,
    "raise": _raise,
    "reach": _reach,
    "push": _ahead,
    "punch": lambda features, expected: _ahead(features, expected, 0.0),
    "clap": _clap,
    "kick": _kick,
    "squat": _squat,
    "march": _march,
    "sit": _squat,
    "bow": _bow,
    "bend": _bend,
    "take": _take,
    "hands": _manual,
    "stand": _stand,
    "still": lambda features, expected: (1.0, "stays"),
    "unspecified": lambda features, expected: (1.0, ""),
    "moves": _moves,
}


_BY_ARMS = frozenset(("wave", "raise", "reach", "push", "punch", "clap", "hands"))


def _seen(features: MotionFeatures, expected: ExpectedAction) -> float:
    """Visibility of the acting arms; what hands do to objects shows in the result."""
    touches = expected.has_object and expected.kind != "wave" and expected.verb != "point"
    if touches or expected.kind not in _BY_ARMS:
        return 1.0
    left, right = _held(features.confidence, 0.3)
    sure = {"left": left, "right": right, "both": min(left, right)}.get(expected.side or "", max(left, right))
    return _grade(sure, "seen")


def measure(features: MotionFeatures, expected: ExpectedAction) -> Measured:
    """How well a segment of the motion shows an action, and whether the person stays and keeps the heading."""
    score, text = MEASURES[expected.kind](features, expected)
    if (seen := _seen(features, expected)) < PASS_SCORE:
        arms = {"left": "the left arm is", "right": "the right arm is"}.get(expected.side or "", "the arms are")
        score, text = seen * score, f"{text}, by a guess ({arms} hardly seen)"
    if not expected.may_travel:
        distance = features.distance / (2.0 if expected.kind == "turn" else 1.0)  # people turn while they walk
        score *= 1.0 - _grade(distance, "away")
        text += f" and goes {features.distance:.1f} m away" if _grade(distance, "away") > 0.4 else ""
    if not expected.may_turn:
        away = _grade(abs(features.turned), "turned away")
        score *= 1.0 - away
        text += f" and turns {abs(features.turned):.0f} degrees away" if away > 0.4 else ""
    return score, text
