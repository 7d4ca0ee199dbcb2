"""Whether a person's motion shows what the plan says: did it walk, which arm rose, and in that order.

The motion is cut into as many stretches as the plan has actions, in their order, so that as many actions as possible
are seen each in its own stretch (dynamic programming over the cuts). Times count little: video models keep the order
of actions, but not their seconds. A verb has a measure, which compares a few figures of the joints with what the
action asks. Little is asked where joints tell little: of verbs that are not known here the body has to move, and of
looks and nods it has to stay.

The estimate is what is judged, and not the video: it is what the robot will do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from exoactor_core.body import BODY_JOINT_NAMES, BodyModel
from exoactor_core.motion import HumanMotion
from exoactor_gen.video_judge.check import Check

PASSED = 0.5
"""Score from which an action counts as seen."""
DISTANCE = 1.7
"""Factor by which a distance may be missed: people of video models do not measure their way, and the estimate knows
neither their stature nor the camera well; half the distance is still told from the whole."""
ANGLE = 0.4
"""Share by which a turn may be missed, for the same reason."""
RATE = 15.0
"""Hz at which the motion is looked at: a clap takes 0.4 s, and estimates come at 10 frames per second or more."""
CUTS = 40
"""Parts between which the motion may be cut: of 10 s of video each lasts a quarter of a second. More cost only time."""
SHARES = 0.2
"""What an action's score loses where its stretch is longer or shorter than planned by the whole motion: this decides
only between cuts that show the same."""
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
    "moving": (0.1, 0.3),  # m; estimated joints of somebody who stands wander by up to 0.1
    # what must not be
    "fidgeting": (0.4, 0.8),  # m that hands of somebody who is to stand still move
    "away": (0.4, 0.8),  # m from where one is to stay; seats and kicks take up to 0.3
    "turned away": (30.0, 70.0),  # degrees; headings are estimated to 15
}
"""For figures that are measured: at which the score is 0, and at which it is 1; reversed for what must not be."""
MARGIN = 0.15
"""Arm lengths, m and the like that the planned arm or foot must do more than the other."""

_VERBS = {
    "travel": "walk step go stroll march advance run jog sprint rush stride approach carry shuffle",
    "turn": "turn rotate pivot spin twirl",
    "wave": "wave greet",
    "raise": "raise lift",
    "reach": "reach stretch extend point",
    "push": "push shove press",
    "punch": "punch jab strike hit",
    "clap": "clap applaud",
    "kick": "kick",
    "squat": "squat crouch kneel duck",
    "sit": "sit lie",
    "bow": "bow",
    "bend": "bend stoop lean",
    "take": "pick take grab grasp touch place put lay set tap pat",
    "hands": "sweep wipe throw toss catch pour open close pull drag gesture stir mop brush",
    "stand": "stand wait stay pause remain",
    "still": "look nod face hold glance watch gaze smile speak talk say listen think see breathe rise",
    "untold": "return relax recover reset finish end start begin prepare continue repeat adjust rest",
    "moves": "move jump vault hop leap dance climb crawl roll exercise swing shake play",
}
"""Verbs by what measures them; one that is not here is measured as moves."""
_UNCHECKED = ("moves", "still", "hands")
"""Of these, little is measured: that the body moves, that it stays, or that hands move."""
_WAYS = {
    "forward": "forward forwards ahead", "backward": "backward backwards", "left": "left", "right": "right",
    "up": "up upward upwards overhead high", "down": "down downward downwards", "around": "around",
    "side": "side sides sideways",
}  # fmt: skip
_TAKES = {
    "travel": "forward backward left right", "turn": "left right around", "raise": "forward up side",
    "reach": "forward up down left right",
}  # fmt: skip
"""Directions that are looked for in the description where their field is empty."""
_ONE_SIDED = ("wave", "raise", "reach", "punch", "kick")
"""What is measured of the planned side; hands that push or take something often do it together."""

_LIMB = r"(?:hand|arm|fist|elbow|foot|leg|knee)"
_JOINT = {name: k for k, name in enumerate(BODY_JOINT_NAMES)}
_SIDES = ("left", "right")


def _forms(word: str) -> set[str]:
    bare = word.removesuffix("e")
    return {word, f"{word}s", f"{word}es", f"{word[:-1]}ies", f"{bare}ing", f"{word}{word[-1]}ing"}


_FAST = frozenset(form for word in ("run", "jog", "sprint", "rush") for form in _forms(word))
"""Ways in haste are not measured: the estimate makes them far too short where the camera follows."""
_KIND = {form: kind for kind, words in _VERBS.items() for word in words.split() for form in _forms(word)}
_WAY = {word: way for way, words in _WAYS.items() for word in words.split()}


def plausibility(motion: HumanMotion, plan: Mapping[str, Any], body: BodyModel | None = None) -> list[Check]:
    """Check a motion against each action of the plan, in their order.

    Parameters
    ----------
    motion
        The person's motion, as estimated from the video.
    plan
        JSON-ready values with ``actions``: a list of mappings with verb, description, seconds, side, direction,
        distance (m), angle (degrees), count and objects, as far as the planner tells them. Of unknown verbs, and where
        fields are missing or odd, little is asked.
    body
        The body model; None: the neutral one.

    Returns
    -------
    list[Check]
        One for each action, by its verb; none for those that bodies do not tell, such as 'begins' or 'relaxes'.
    """
    actions = read_plan(plan)
    if not actions:
        return []
    seen = look_at(motion, body or BodyModel.load())
    cuts = align(seen, actions)
    checks = []
    for k, (asked, (begin, end)) in enumerate(zip(actions, cuts, strict=True)):
        own, wide = seen[begin : end + 1], _beside(seen, actions, cuts, k)
        score, text = measure(own, asked)
        wider = {"travel": wide.gone > own.gone, "turn": abs(wide.turned) > abs(own.turned)}
        if wider.get(asked.kind):
            score, text = min((score, text), _MEASURES[asked.kind](wide, asked))
        if asked.kind == "untold":
            continue
        passed = bool(score >= PASSED)
        wanted = "" if passed else f", but the plan is: {asked.text}"
        when = f"From {begin / RATE:.1f} to {end / RATE:.1f} s"
        unchecked = asked.text if asked.kind in _UNCHECKED or asked.own_words else ""
        more = f"; whether the person {unchecked} was not checked" if unchecked and passed else ""
        checks.append(
            Check(asked.verb, round(float(score), 3), passed, f"{when} the person {text}{wanted}{more}.", unchecked)
        )
    return checks


# --- what is seen -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What is measured of a motion, N times; pairs are left, right, and triples ahead, to the left, up."""

    place: np.ndarray
    """(N, 2) middle between the ankles in the world, m."""
    heading: np.ndarray
    """(N,) of the pelvis in the world, degrees, without jumps, positive to the left."""
    hand: np.ndarray
    """(N, 2, 3) from shoulder to wrist, arm lengths."""
    forearm: np.ndarray
    """(N, 2) how steeply it points up: sine."""
    wrist: np.ndarray
    """(N, 2, 3) from the middle between the ankles, on the floor, to the wrist, m."""
    ankle: np.ndarray
    """(N, 2, 3) from under the hips, where standing ankles are, to the ankle, m."""
    low: np.ndarray
    """(N, 2) how much lower the wrist is than in standing, leg lengths."""
    drop: np.ndarray
    """(N,) how much lower the pelvis is than in standing, leg lengths."""
    lean: np.ndarray
    """(N,) of the trunk to the front, degrees."""

    def __getitem__(self, part: slice) -> Seen:
        return Seen(**{name: value[part] for name, value in vars(self).items()})

    def __len__(self) -> int:
        return len(self.heading)

    @property
    def turned(self) -> float:
        """Degrees to the left, from the first to the last."""
        return float(self.heading[-1] - self.heading[0])

    @property
    def gone(self) -> float:
        """Metres from the first place to the last."""
        return float(np.linalg.norm(self.place[-1] - self.place[0]))

    @property
    def way(self) -> np.ndarray:
        """(2,) m gone ahead and to the left, each bit of it as the person then faced."""
        step, yaw = np.diff(self.place, axis=0), np.radians(self.heading[:-1])
        ahead, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
        return np.array([np.sum(step * ahead.T), np.sum(step * left.T)])


_HANGING = 0.82
"""Height of the wrist of a hanging arm over the ankles, leg lengths; of the neutral body."""


def look_at(motion: HumanMotion, body: BodyModel) -> Seen:
    """Measure a motion at `RATE`, a little smoothed."""
    rot, pos = body.transforms(motion)
    count = max(2, round(motion.duration * RATE) + 1)
    at = np.linspace(0.0, len(motion) - 1.0, count)

    def sampled(values: np.ndarray) -> np.ndarray:
        columns = values.reshape(len(values), -1).T
        x = np.stack([np.interp(at, np.arange(len(values)), column) for column in columns], axis=1)
        x = np.concatenate([x[:1], x, x[-1:]])
        return (0.25 * x[:-2] + 0.5 * x[1:-1] + 0.25 * x[2:]).reshape(count, *values.shape[1:])

    left = rot[:, 0, :2, 0]  # across the pelvis: it stays level when somebody bows
    heading = sampled(np.unwrap(np.arctan2(-left[:, 0], left[:, 1])))
    joints = sampled(pos[:, : len(BODY_JOINT_NAMES)])
    shoulder, elbow, wrist, hip, ankle = (
        joints[:, [_JOINT[f"{side}_{name}"] for side in _SIDES]]
        for name in ("shoulder", "elbow", "wrist", "hip", "ankle")
    )
    cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]

    def own(v: np.ndarray) -> np.ndarray:
        return np.stack([cos * v[..., 0] + sin * v[..., 1], cos * v[..., 1] - sin * v[..., 0], v[..., 2]], axis=-1)

    rest = body.rest_joints(motion.betas)
    bones = np.diff(rest[[_JOINT[f"left_{name}"] for name in ("shoulder", "elbow", "wrist")]], axis=0)
    arm = np.linalg.norm(bones, axis=1).sum()
    leg = rest[_JOINT["pelvis"], 1] - rest[_JOINT["left_ankle"], 1]
    ground = np.percentile(ankle[..., 2].min(axis=1), 10)  # not the lowest: one bad frame would decide it

    def under(points: np.ndarray) -> np.ndarray:
        return np.concatenate([points.mean(axis=1)[:, :2], np.full((count, 1), ground)], axis=1)[:, None]

    trunk = own((joints[:, _JOINT["neck"]] - joints[:, 0])[:, None])[:, 0]
    fore = wrist - elbow
    return Seen(
        place=ankle.mean(axis=1)[:, :2],
        heading=np.degrees(heading),
        hand=own(wrist - shoulder) / arm,
        forearm=fore[..., 2] / np.linalg.norm(fore, axis=2),
        wrist=own(wrist - under(ankle)),
        ankle=own(ankle - under(hip)),
        low=_HANGING - (wrist[..., 2] - ground) / leg,
        drop=1.0 - (joints[:, 0, 2] - ground) / leg,
        lean=np.degrees(np.arctan2(trunk[:, 0], trunk[:, 2])),
    )


# --- what is asked ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """An action of a plan, as far as the body can show it; None is what the plan leaves open."""

    verb: str
    text: str
    kind: str
    """What measures it."""
    share: float
    """Of the plan's time."""
    side: str | None
    direction: str | None
    distance: float | None
    angle: float | None
    count: float | None
    thing: bool
    """It is done to something, or to where something is."""
    there: bool
    """The person may be there already: the thing was named before."""
    goes: bool
    """The person may go elsewhere: it is asked, or there is a thing to go to."""
    turns: bool
    """The person may turn."""
    own_words: bool = False
    """The planner took the words as they stand, and what measures them knows one of them at most."""


def read_plan(plan: Mapping[str, Any]) -> list[Asked]:
    """Understand a plan's actions; descriptions tell side and direction where their fields are empty."""
    actions = plan.get("actions")
    actions = [a for a in actions if isinstance(a, Mapping)] if isinstance(actions, list | tuple) else []
    seconds = [_number(action, "seconds") or 3.0 for action in actions]
    asked, before = [], set()
    for action, s in zip(actions, seconds, strict=True):
        things = action.get("objects")
        things = [str(thing) for thing in things] if isinstance(things, list | tuple) else []
        asked.append(_asked(action, s / sum(seconds), bool(things), bool(things) and things[-1] in before))
        before.update(things)
    return asked


def _number(action: Mapping[str, Any], name: str) -> float | None:
    value = action.get(name)
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0.0 < value < float("inf")
    return float(value) if good else None


def _asked(action: Mapping[str, Any], share: float, thing: bool, there: bool) -> Asked:
    verb = str(action.get("verb") or "move").strip().lower().replace("_", " ")
    described = str(action.get("description") or verb).strip().rstrip(".")
    text = described.removeprefix("does this: ")
    said = text.lower()
    words = re.findall(r"[a-z]+", f"{verb} {said}")
    kind = next((_KIND[word] for word in words if word in _KIND), "moves")
    arm, leg, head = (re.search(rf"\b{part}s?\b", said) for part in ("(?:hand|arm)", "(?:leg|foot|knee)", "head"))
    if kind == "raise" and (leg or thing):
        kind = "kick" if leg else "take"
    elif (kind in ("raise", "turn", "bow", "bend") and head and not arm) or (kind == "stand" and "up" in words):
        kind = "still"  # 'turns the head', 'stands up again'
    side, direction = action.get("side"), action.get("direction")
    limb = re.search(rf"\b(left|right|both) {_LIMB}", said)
    if not side and limb and kind in _ONE_SIDED:
        side = limb[1]
    if not direction and not (thing and kind in ("travel", "turn")):
        elsewhere = re.sub(rf"\b(?:left|right) (?:{_LIMB}|of\b)", "", said)
        ways = [_WAY[word] for word in re.findall(r"[a-z]+", elsewhere) if word in _WAY]
        direction = next((way for way in ways if way in _TAKES.get(kind, "").split()), None)
    also = {_KIND.get(word) for word in words}
    if kind == "travel" and re.search(r"\b(?:in place|on the spot)\b", said):
        kind, also = "march", set()
    distance, count = _number(action, "distance"), _number(action, "count")
    if kind == "travel" and not _FAST.isdisjoint(words):
        distance = None
    free = thing or kind in ("sit", "hands", "moves", "untold")  # to sit one goes to a seat, and turns its back to it
    travels = "travel" in also
    return Asked(
        verb=verb, text=text, kind=kind, share=share, side=side if side in ("left", "right", "both") else None,
        direction=direction if isinstance(direction, str) else None, distance=distance, count=count,
        angle=_number(action, "angle"), thing=thing, there=there, goes=free or travels,
        turns=free or kind in ("turn", "still") or ("turn" in also and not head)
        or (travels and not (distance or count)),
        own_words=text != described,
    )  # fmt: skip


# --- measures ---------------------------------------------------------------------------------------------------------

Measured = tuple[float, str]
"""A score in [0, 1], and what was seen, to follow 'the person'."""


def _grade(x: float, name: str) -> float:
    none, full = GRADES[name]
    return float(np.clip((x - none) / (full - none), 0.0, 1.0))


def _near(seen: float, asked: float, factor: float, slack: float) -> float:
    """How well two amounts agree: passed within a factor, with a slack for small ones."""
    if seen <= 0.0:
        return 0.0
    return max(0.0, 1.0 - PASSED * abs(np.log((seen + slack) / (asked + slack))) / np.log(factor))


def _held(x: np.ndarray, seconds: float) -> np.ndarray:
    """Highest values (2,) of (N, 2) that last so long."""
    n = min(len(x), max(1, round(seconds * RATE)))
    return np.lib.stride_tricks.sliding_window_view(x, n, axis=0).min(axis=-1).max(axis=0)


def _of_side(figure: np.ndarray, asked: Asked, name: str, margin: float = MARGIN) -> float:
    """Grade a figure (2,) of the two arms or feet: of the side that is planned, which must do more than the other."""
    if asked.side == "both":
        return _grade(figure.min(), name)
    if asked.side is None:
        return _grade(figure.max(), name)
    own, other = figure if asked.side == "left" else figure[::-1]
    return _grade(own, name) * float(np.clip((own - other + margin / 4.0) / (1.25 * margin), 0.0, 1.0))


def _hands(done: str, figure: np.ndarray, unit: str) -> str:
    return f"{done} the left hand {figure[0]:.2f} and the right one {figure[1]:.2f} {unit}"


_BACK = {"forward": "backward", "backward": "forward", "left": "right", "right": "left"}


def _travel(seen: Seen, asked: Asked) -> Measured:
    ahead, left = seen.way
    yaw, off = np.radians(seen.heading[0]), seen.place[-1] - seen.place[0]
    aside = float(off @ [-np.sin(yaw), np.cos(yaw)])  # who is to walk to the left may also turn there
    way = asked.direction if asked.direction in _BACK else "forward"
    gone = {"forward": ahead, "backward": -ahead, "left": max(left, aside), "right": max(-left, -aside)}[way]
    if asked.thing or (way == "backward" and "back to" in asked.text):
        gone = abs(ahead)
    to = way if gone > -0.05 else _BACK[way]
    text = f"goes {abs(gone):.1f} m {'to the ' if to in _SIDES else ''}{to}"
    if asked.there:
        return 1.0, text
    if asked.thing:
        short = min(1.0, gone / asked.distance) if asked.distance else 1.0
        return min(_grade(gone, "going"), _near(short, 1.0, DISTANCE**2, 0.0)), text  # only a guess of the planner
    if asked.distance:
        return _near(gone, asked.distance, DISTANCE, 0.1), text
    if asked.count or asked.verb == "step":
        return _near(gone, STEP * (asked.count or 1.0), DISTANCE**2, 0.1), text
    return _grade(gone, "going"), text


STEP = 0.35
"""Length of a step, m: careful ones backwards are 0.25, brisk ones 0.7."""


def _turn(seen: Seen, asked: Asked) -> Measured:
    turned = seen.turned * {"left": 1.0, "right": -1.0}.get(asked.direction or "", np.sign(seen.turned))
    text = f"turns {abs(seen.turned):.0f} degrees to the {'left' if seen.turned > 0 else 'right'}"
    angle = asked.angle or (180.0 if asked.direction == "around" else None)
    if angle is None:  # who is to turn to something may face it already
        return 1.0 if asked.thing else _grade(turned, "turning"), text
    return max(0.0, 1.0 - PASSED * abs(turned - angle) / max(15.0, ANGLE * angle)), text


def _up(seen: Seen, asked: Asked, name: str) -> Measured:
    up = _held(seen.hand[..., 2], 0.2)
    return _of_side(up, asked, name), _hands("gets", up, "arm lengths above the shoulder")


def _ahead(seen: Seen, asked: Asked, seconds: float = 0.3) -> Measured:
    ahead, up = _held(seen.hand[..., 0], seconds), _held(seen.hand[..., 2], 0.2)
    over = up[_SIDES.index(asked.side) if asked.side in _SIDES else ahead.argmax()]
    score = _of_side(ahead, asked, "ahead") * (1.0 - _grade(over, "too high ahead"))
    return score, _hands("stretches", ahead, "arm lengths ahead")


def _aside(seen: Seen, asked: Asked, signs: tuple[float, float]) -> Measured:
    out = _held(seen.hand[..., 1] * signs, 0.2)
    return _of_side(out, asked, "aside"), _hands("stretches", out, "arm lengths aside")


def _down(seen: Seen, asked: Asked) -> Measured:
    down = _held(np.maximum(seen.low / 0.3, (seen.hand[..., 0] - 0.15) / 0.45), 0.3)
    over = _grade(_held(seen.hand[..., 2], 0.2).max(), "too high for down")
    return _of_side(down, asked, "down") * (1.0 - over), _hands("brings", down, "of the way down")


def _raise(seen: Seen, asked: Asked) -> Measured:
    if asked.direction == "forward":
        return _ahead(seen, asked)
    if asked.direction in ("side", "left", "right"):
        return _aside(seen, asked, (1.0, -1.0))
    return _up(seen, asked, "raised")


def _reach(seen: Seen, asked: Asked) -> Measured:
    ways: dict[str, Callable[[], Measured]] = {
        "forward": lambda: _ahead(seen, asked),
        "up": lambda: _up(seen, asked, "up"),
        "down": lambda: _down(seen, asked),
        "left": lambda: _aside(seen, asked, (1.0, 1.0)),
        "right": lambda: _aside(seen, asked, (-1.0, -1.0)),
    }
    return ways[asked.direction]() if asked.direction in ways else max(way() for way in ways.values())


def _wave(seen: Seen, asked: Asked) -> Measured:
    """The hand's to and fro is not asked for: the wrist may stay."""
    score, text = _up(seen, asked, "waving")
    return score * _of_side(_held(seen.forearm, 0.2), asked, "upright"), text


def _clap(seen: Seen, asked: Asked) -> Measured:
    gap = np.linalg.norm(seen.wrist[:, 0] - seen.wrist[:, 1], axis=1)
    ahead = seen.hand[..., 0].min(axis=1) > 0.35
    near = float(gap[ahead].min()) if ahead.any() else float(gap.min())
    return float(ahead.any()) * (1.0 - _grade(near, "apart")), f"brings the wrists within {near:.2f} m of each other"


def _march(seen: Seen, asked: Asked) -> Measured:
    high = seen.ankle[..., 2].max(axis=0)
    return _grade(high.min(), "foot"), f"lifts the left foot {high[0]:.2f} and the right one {high[1]:.2f} m"


def _kick(seen: Seen, asked: Asked) -> Measured:
    high = seen.ankle[..., 2].max(axis=0)
    score = _of_side(high, asked, "foot", MARGIN / 3.0)
    if asked.thing:  # an estimate may lose a gentle kick, but not that the weight goes onto one foot
        sway = float(np.ptp(seen.ankle[..., 1], axis=0).max())
        score = max(score, _grade(sway, "swaying") * (1.0 - _grade(seen.gone, "away")))
    return score, f"lifts the left foot {high[0]:.2f} and the right one {high[1]:.2f} m"


def _squat(seen: Seen, asked: Asked) -> Measured:
    drop = float(seen.drop.max())
    return _grade(drop, "low"), f"goes down by {drop:.2f} leg lengths"


def _bow(seen: Seen, asked: Asked) -> Measured:
    lean, drop = float(seen.lean.max()), float(seen.drop.max())
    # from pelvis to neck the trunk leans a fifth less than the shoulders do, whose angle is meant
    score = _near(lean, 0.8 * asked.angle, DISTANCE, 3.0) if asked.angle else _grade(lean, "bowing")
    return score * (1.0 - _grade(drop, "too low to bow")), f"bows {lean:.0f} degrees, {drop:.2f} leg lengths down"


def _bend(seen: Seen, asked: Asked) -> Measured:
    return max(_squat(seen, asked), (_grade(float(seen.lean.max()), "bowing"), _bow(seen, asked)[1]))


def _take(seen: Seen, asked: Asked) -> Measured:
    """A hand stays low, or ahead, for longer than a swinging one."""
    used = _held(np.maximum(seen.low / 0.2, (seen.hand[..., 0] - 0.15) / 0.3), 0.7)
    over = _grade(_held(seen.hand[..., 2], 0.2).max(), "too high to take")
    far = used.min() if asked.side == "both" else used.max()
    return _grade(far, "taking") * (1.0 - over), _hands("brings", used, "of the way to something")


def _manual(seen: Seen, asked: Asked) -> Measured:
    moved = np.ptp(seen.wrist, axis=0).max(axis=1)
    lifted = _grade(_held(seen.forearm, 0.3).max(), "working")  # and does not just swing
    return min(_grade(moved.max(), "moving"), lifted), _hands("moves", moved, "m")


def _moves(seen: Seen, asked: Asked) -> Measured:
    moved = max(float(np.ptp(x, axis=0).max()) for x in (seen.place, seen.wrist, seen.ankle, seen.drop))
    return max(_grade(moved, "moving"), _grade(float(np.ptp(seen.heading)), "turning")), f"moves by {moved:.2f} m"


def _stand(seen: Seen, asked: Asked) -> Measured:
    moved = max(float(np.ptp(x, axis=0).max()) for x in (seen.wrist, seen.drop))
    return 1.0 - _grade(moved, "fidgeting"), f"moves by {moved:.2f} m"


_MEASURES: dict[str, Callable[[Seen, Asked], Measured]] = {
    "travel": _travel, "turn": _turn, "wave": _wave, "raise": _raise, "reach": _reach,
    "push": _ahead, "punch": lambda seen, asked: _ahead(seen, asked, 0.0), "clap": _clap, "kick": _kick,
    "squat": _squat, "march": _march,
    "sit": _squat, "bow": _bow, "bend": _bend, "take": _take, "hands": _manual, "stand": _stand,
    "still": lambda seen, asked: (1.0, "stays"), "untold": lambda seen, asked: (1.0, ""), "moves": _moves,
}  # fmt: skip


def measure(seen: Seen, asked: Asked) -> Measured:
    """How well a stretch of the motion shows an action, and that the person does not go or turn away meanwhile."""
    score, text = _MEASURES[asked.kind](seen, asked)
    if not asked.goes:
        gone = seen.gone / (2.0 if asked.kind == "turn" else 1.0)  # people turn while they walk
        score *= 1.0 - _grade(gone, "away")
        text += f" and goes {seen.gone:.1f} m away" if _grade(gone, "away") > 0.4 else ""
    if not asked.turns:
        away = _grade(abs(seen.turned), "turned away")
        score *= 1.0 - away
        text += f" and turns {abs(seen.turned):.0f} degrees away" if away > 0.4 else ""
    return score, text


# --- which stretch of the motion is which action ----------------------------------------------------------------------


def align(seen: Seen, actions: list[Asked]) -> list[tuple[int, int]]:
    """Cut the motion into one stretch per action, in order: first and last sample of each, shared by neighbours."""
    at = np.unique(np.linspace(0, len(seen) - 1, max(CUTS, len(actions)) + 1).round().astype(int))
    n = len(at)
    best, came = np.where(np.arange(n) == 0, 0.0, -np.inf), []
    for k, asked in enumerate(actions):
        total = np.full((n, n), -np.inf)  # from, to
        for i in np.flatnonzero(np.isfinite(best)):
            for j in range(i, n) if k < len(actions) - 1 else [n - 1]:
                score = measure(seen[at[i] : at[j] + 1], asked)[0]
                # an action that is seen very well does not make up for another that is not
                total[i, j] = best[i] + score + (score >= PASSED) - SHARES * abs((at[j] - at[i]) / at[-1] - asked.share)
        came.append(total.argmax(axis=0))
        best = total.max(axis=0)
    cuts, j = [], n - 1
    for back in reversed(came):
        cuts.append((int(at[back[j]]), int(at[j])))
        j = back[j]
    return cuts[::-1]


def _beside(seen: Seen, actions: list[Asked], cuts: list[tuple[int, int]], k: int) -> Seen:
    """A stretch and those beside it in which nobody is to go, or to turn: no part of a way or turn hides in them."""
    free = [a.goes if actions[k].kind == "travel" else a.turns for a in actions]
    first = last = k
    while first > 0 and not free[first - 1]:
        first -= 1
    while last < len(actions) - 1 and not free[last + 1]:
        last += 1
    return seen[cuts[first][0] : cuts[last][1] + 1]
