"""Whether a person's motion shows what the plan says: did it walk, which arm rose, and in that order.

The motion is cut into as many stretches as the plan has actions, in their order, so that as many actions as possible
are seen each in its own stretch (dynamic programming over the cuts). Times count little: video models keep the order
of actions, but not their seconds. A verb has a measure, which compares a few figures of the joints with what the
action asks. Little is asked where joints tell little: of verbs that nobody knows the body has to move, and of looks
and nods it has to stay.

The estimate is what is judged, and not the video: it is what the robot will do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from exoactor.body import BODY_JOINT_NAMES, BodyModel
from exoactor.judging.check import Check
from exoactor.motion import HumanMotion

PASSED = 0.5
"""Score from which an action counts as seen."""
RATE = 15.0
"""Hz at which the motion is looked at: a clap takes 0.4 s, and estimates come at 10 frames per second or more."""
CUTS = 40
"""Places at which the motion may be cut; more only cost time: 10 s of video are cut to a quarter of a second."""
SHARES = 0.2
"""What a stretch loses that lasts the whole motion longer or shorter than its action's share of the plan: it decides
only between cuts that show the same."""

DISTANCE = 1.75
"""Factor by which a distance may be missed: people of video models do not measure their way, and the estimate knows
neither their stature nor the camera well; half the distance is still told from the whole."""
ANGLE = 0.4
"""Share by which a turn may be missed, for the same reason."""

_J = {name: k for k, name in enumerate(BODY_JOINT_NAMES)}
_SIDES = ("left", "right")


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


_STANDING_WRIST = 0.82
"""Height of a hanging arm's wrist over the ankles, leg lengths; of the neutral body."""


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

    left = rot[:, 0, :2, 0]  # across the pelvis: also of somebody who bows it is level
    heading = sampled(np.unwrap(np.arctan2(-left[:, 0], left[:, 1])))
    joints = sampled(pos[:, : len(BODY_JOINT_NAMES)])
    shoulder, elbow, wrist, hip, ankle = (
        joints[:, [_J[f"{side}_{name}"] for side in _SIDES]] for name in ("shoulder", "elbow", "wrist", "hip", "ankle")
    )
    cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]

    def own(v: np.ndarray) -> np.ndarray:
        return np.stack([cos * v[..., 0] + sin * v[..., 1], cos * v[..., 1] - sin * v[..., 0], v[..., 2]], axis=-1)

    rest = body.rest_joints(motion.betas)
    arm = sum(
        np.linalg.norm(rest[_J[f"left_{a}"]] - rest[_J[f"left_{b}"]])
        for a, b in (("shoulder", "elbow"), ("elbow", "wrist"))
    )
    leg = rest[_J["pelvis"], 1] - rest[_J["left_ankle"], 1]
    ground = np.percentile(ankle[..., 2].min(axis=1), 10)  # not the lowest: one bad frame would decide it

    def above(points: np.ndarray) -> np.ndarray:
        return np.concatenate([points.mean(axis=1)[:, :2], np.full((count, 1), ground)], axis=1)[:, None]

    trunk = own((joints[:, _J["neck"]] - joints[:, 0])[:, None])[:, 0]
    fore = wrist - elbow
    return Seen(
        place=ankle.mean(axis=1)[:, :2],
        heading=np.degrees(heading),
        hand=own(wrist - shoulder) / arm,
        forearm=fore[..., 2] / np.linalg.norm(fore, axis=2),
        wrist=own(wrist - above(ankle)),
        ankle=own(ankle - above(hip)),
        low=_STANDING_WRIST - (wrist[..., 2] - ground) / leg,
        drop=1.0 - (joints[:, 0, 2] - ground) / leg,
        lean=np.degrees(np.arctan2(trunk[:, 0], trunk[:, 2])),
    )


# --- what is asked ----------------------------------------------------------------------------------------------------

_VERBS = {
    "travel": "walk step go stroll march advance run jog sprint rush stride approach return carry bring shuffle",
    "turn": "turn rotate pivot spin twirl face",
    "wave": "wave greet",
    "raise": "raise lift",
    "reach": "reach stretch extend point",
    "push": "push shove press",
    "punch": "punch jab strike hit",
    "clap": "clap applaud",
    "kick": "kick",
    "lower": "squat crouch sit kneel lie duck",
    "bow": "bow",
    "bend": "bend stoop lean",
    "take": "pick take grab grasp touch place put lay set tap pat",
    "hands": "sweep wipe throw toss catch pour open close pull drag gesture stir mop brush",
    "stand": "stand wait stay pause remain",
    "still": "hold look nod glance watch gaze smile speak talk say listen think see breathe rise",
    "moves": "move jump vault hop leap dance climb crawl roll exercise swing shake play",
}
"""Verbs by what measures them; one that is not here is measured as moves."""
_LIMB = r"(?:hand|arm|fist|elbow|foot|leg|knee)"


def _forms(word: str) -> set[str]:
    bare = word.removesuffix("e")
    return {word, f"{word}s", f"{word}es", f"{bare}ing", f"{word}{word[-1]}ing"}


_KIND = {form: kind for kind, words in _VERBS.items() for word in words.split() for form in _forms(word)}


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
    things: bool
    """It is done to something, or to where something is."""
    there: bool
    """The person may be there already: it was done to this thing before."""
    goes: bool
    """The person may go elsewhere meanwhile: to a thing, or because the description says so."""
    turns: bool
    """The person may turn meanwhile."""


def read_plan(plan: Mapping[str, Any]) -> list[Asked]:
    """Understand a plan's actions; the description tells side and direction where their fields are empty."""
    actions = plan.get("actions")
    actions = [a for a in actions if isinstance(a, Mapping)] if isinstance(actions, list | tuple) else []
    seconds = [_number(action, "seconds") or 3.0 for action in actions]
    asked, before = [], set()
    for action, s in zip(actions, seconds, strict=True):
        asked.append(_asked(action, s / sum(seconds), before))
        before.update(_things(action))
    return asked


def _things(action: Mapping[str, Any]) -> tuple[str, ...]:
    things = action.get("objects")
    return tuple(str(thing) for thing in things) if isinstance(things, list | tuple) else ()


def _number(action: Mapping[str, Any], name: str) -> float | None:
    value = action.get(name)
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0.0 < value < float("inf")
    return float(value) if good else None


def _asked(action: Mapping[str, Any], share: float, before: set[str]) -> Asked:
    verb = str(action.get("verb") or "move").strip().lower().replace("_", " ")
    text = str(action.get("description") or verb).strip().rstrip(".")
    said = text.lower()
    words = re.findall(r"[a-z]+", f"{verb} {said}")
    kind = next((_KIND[word] for word in words if word in _KIND), "moves")
    arm, leg, head = (re.search(rf"\b{part}s?\b", said) for part in ("(?:hand|arm)", "(?:leg|foot|knee)", "head"))
    things = _things(action)
    if kind == "raise" and (leg or things):
        kind = "kick" if leg else "take"
    elif kind in ("raise", "turn", "bow", "bend") and head and not arm:
        kind = "still"
    elif kind == "stand" and "up" in words:
        kind = "still"  # 'stands up again'
    side, direction = action.get("side"), action.get("direction")
    limb = re.search(rf"\b(left|right) {_LIMB}\b", said)
    if not side and limb and kind in ("wave", "raise", "reach", "punch", "kick"):
        side = limb[1]
    way = re.search(rf"\b(left|right|backward|around)s?\b(?! (?:{_LIMB}|of)\b)", said)
    if not direction and way and kind in ("travel", "turn") and not things:
        direction = way[1]
    also = {_KIND.get(word) for word in words}
    distance = _number(action, "distance")
    anyhow = bool(things) or kind == "moves"
    return Asked(
        verb=verb, text=text, kind=kind, share=share, distance=distance, angle=_number(action, "angle"),
        side=side if side in ("left", "right", "both") else None,
        direction=direction if isinstance(direction, str) else None,
        count=_number(action, "count"), things=bool(things), there=bool(things) and things[-1] in before,
        goes=anyhow or "travel" in also,
        turns=anyhow or kind == "turn" or ("turn" in also and not head)
        or (kind == "travel" and not (direction or distance)),
    )  # fmt: skip


# --- measures ---------------------------------------------------------------------------------------------------------

Measured = tuple[float, str]
"""A score in [0, 1] and what was seen, to follow 'the person'."""


def _grade(x: float, none: float, full: float) -> float:
    """0 up to ``none``, 1 from ``full`` on."""
    return float(np.clip((x - none) / (full - none), 0.0, 1.0))


def _near(seen: float, asked: float, factor: float, slack: float) -> float:
    """How well two amounts agree: passed within a factor, with a slack for small ones; 0 for the other direction."""
    if seen <= 0.0:
        return 0.0
    return max(0.0, 1.0 - PASSED * abs(np.log((seen + slack) / (asked + slack))) / np.log(factor))


def _held(x: np.ndarray, seconds: float) -> np.ndarray:
    """(2,) highest value of (N, 2) that lasts so long."""
    n = min(len(x), max(1, round(seconds * RATE)))
    return np.lib.stride_tricks.sliding_window_view(x, n, axis=0).min(axis=-1).max(axis=0)


def _travel(seen: Seen, asked: Asked) -> Measured:
    """Walk, step, carry: metres in the direction. Distances of videos are rough, and unknown scale adds to it."""
    ahead, left = seen.way
    yaw = np.radians(seen.heading[0])
    off = seen.place[-1] - seen.place[0]
    aside = off @ [-np.sin(yaw), np.cos(yaw)]  # who is to walk to the left may turn there
    gone = {
        "backward": -ahead, "left": max(left, aside), "right": max(-left, -aside),
    }.get(asked.direction or "", ahead)  # fmt: skip
    if asked.direction == "backward" and "back to" in asked.text:
        gone = max(gone, ahead)
    way = asked.direction if asked.direction in ("backward", "left", "right") else "forward"
    if gone < -0.1:
        seen_text = f"goes {-gone:.1f} m {_OPPOSITE[way]}"
    else:
        seen_text = f"goes {abs(gone):.1f} m {way if way in ('forward', 'backward') else 'to the ' + way}"
    if asked.things:
        gone = ahead  # which may bend: around it, or by way of what is picked up
        score = 1.0 if asked.there else _grade(gone, 0.1, 0.5)
        if asked.distance and not asked.there:
            score = min(score, _near(min(gone, asked.distance), asked.distance, 2.5, 0.1))
    elif asked.distance:
        score = _near(gone, asked.distance, DISTANCE, 0.05)
    elif asked.count or asked.verb == "step":
        score = _near(gone, 0.35 * (asked.count or 1.0), 2.5, 0.1)
    else:
        score = _grade(gone, 0.1, 0.6)
    return score, seen_text


_OPPOSITE = {"forward": "backward", "backward": "forward", "left": "to the right", "right": "to the left"}


def _turn(seen: Seen, asked: Asked) -> Measured:
    """Degrees to that side; without a number any clear turn."""
    turned = -seen.turned if asked.direction == "right" else seen.turned
    if asked.direction not in ("left", "right"):
        turned = abs(turned)
    angle = asked.angle or (180.0 if asked.direction == "around" else None)
    off = abs(turned - angle) / max(15.0, ANGLE * angle) if angle else 0.0
    score = 1.0 - PASSED * off if angle else _grade(turned, 10.0, 50.0)
    return max(0.0, score), f"turns {abs(seen.turned):.0f} degrees to the {'left' if seen.turned > 0 else 'right'}"


def _by_side(figure: np.ndarray, asked: Asked, none: float, full: float, margin: float) -> float:
    """Grade a figure (2,) of the two arms or feet: of the side that is asked for, which must do more than the other."""
    if asked.side == "both":
        return _grade(figure.min(), none, full)
    if asked.side is None:
        return _grade(figure.max(), none, full)
    own, other = figure if asked.side == "left" else figure[::-1]
    return _grade(own, none, full) * _grade(own - other, -0.25 * margin, margin)


def _pair(what: str, figure: np.ndarray, digits: int = 2) -> str:
    return what.format(*(f"{x:.{digits}f}" for x in figure))


def _up(seen: Seen, asked: Asked, none: float, full: float) -> Measured:
    top = _held(seen.hand[..., 2], 0.2)
    text = _pair("raises the left wrist to {} and the right one to {} arm lengths from its shoulder", top)
    return _by_side(top, asked, none, full, 0.2), text


def _ahead(seen: Seen, asked: Asked, seconds: float) -> Measured:
    out = _held(seen.hand[..., 0], seconds)
    text = _pair("stretches the left hand {} and the right one {} arm lengths ahead", out)
    over = _held(seen.hand[..., 2], 0.2)[_SIDES.index(asked.side) if asked.side in _SIDES else out.argmax()]
    return _by_side(out, asked, 0.5, 0.85, 0.15) * (1.0 - _grade(over, 0.45, 0.75)), text


def _aside(seen: Seen, asked: Asked, left: float) -> Measured:
    """``left`` is 1 for both hands to the left, -1 to the right, and 0 for each to its own side."""
    signs = np.array([1.0, -1.0]) if left == 0.0 else np.array([left, left])
    out = _held(seen.hand[..., 1] * signs, 0.2)
    text = _pair("stretches the left hand {} and the right one {} arm lengths aside", out)
    return _by_side(out, asked, 0.4, 0.85, 0.15), text


def _down(seen: Seen, asked: Asked) -> Measured:
    low = _held(np.maximum(seen.low / 0.3, (seen.hand[..., 0] - 0.15) / 0.45), 0.3)
    text = _pair("brings the left hand {} and the right one {} of the way down", low)
    over = _held(seen.hand[..., 2], 0.2).max()
    return _by_side(low, asked, 0.2, 0.8, 0.15) * (1.0 - _grade(over, -0.45, -0.05)), text


def _raise(seen: Seen, asked: Asked) -> Measured:
    if asked.direction == "forward":
        return _ahead(seen, asked, 0.3)
    if asked.direction in ("side", "left", "right"):
        return _aside(seen, asked, 0.0)
    return _up(seen, asked, -0.1, 0.5)


def _reach(seen: Seen, asked: Asked) -> Measured:
    if asked.direction == "up":
        return _up(seen, asked, 0.1, 0.7)
    if asked.direction == "down":
        return _down(seen, asked)
    if asked.direction in ("left", "right"):
        return _aside(seen, asked, 1.0 if asked.direction == "left" else -1.0)
    return _ahead(seen, asked, 0.3)


def _wave(seen: Seen, asked: Asked) -> Measured:
    score, text = _up(seen, asked, -0.5, 0.0)
    steep = _held(seen.forearm, 0.2)
    return score * _by_side(steep, asked, 0.1, 0.6, 0.3), text


def _push(seen: Seen, asked: Asked) -> Measured:
    return _ahead(seen, asked, 0.2)


def _punch(seen: Seen, asked: Asked) -> Measured:
    return _ahead(seen, asked, 0.0)


def _clap(seen: Seen, asked: Asked) -> Measured:
    ahead = seen.hand[..., 0].min(axis=1) > 0.35
    gap = np.linalg.norm(seen.wrist[:, 0] - seen.wrist[:, 1], axis=1)
    nearest = float(gap[ahead].min()) if ahead.any() else float(gap.min())
    return _grade(-nearest, -0.5, -0.35) * float(ahead.any()), f"brings the wrists within {nearest:.2f} m of each other"


def _kick(seen: Seen, asked: Asked) -> Measured:
    high = seen.ankle[..., 2].max(axis=0)
    return _by_side(high, asked, 0.04, 0.14, 0.05), _pair("lifts the left foot {} and the right one {} m", high)


def _lower(seen: Seen, asked: Asked) -> Measured:
    drop = float(seen.drop.max())
    return _grade(drop, 0.08, 0.28), f"goes down by {drop:.2f} of the legs' length"


def _bow(seen: Seen, asked: Asked) -> Measured:
    lean, drop = float(seen.lean.max()), float(seen.drop.max())
    # the line from pelvis to neck turns less than the shoulders do, which an angle means: by a fifth
    score = _near(lean, 0.8 * asked.angle, 1.6, 3.0) if asked.angle else _grade(lean, 8.0, 24.0)
    return score * (1.0 - _grade(drop, 0.2, 0.4)), f"bows by {lean:.0f} degrees and goes down by {drop:.2f} leg lengths"


def _bend(seen: Seen, asked: Asked) -> Measured:
    return max(_lower(seen, asked), (_grade(float(seen.lean.max()), 8.0, 24.0), _bow(seen, asked)[1]))


def _take(seen: Seen, asked: Asked) -> Measured:
    over = _grade(_held(seen.hand[..., 2], 0.2).max(), 0.3, 0.7)
    used = (1.0 - over) * _held(np.maximum(seen.low / 0.2, (seen.hand[..., 0] - 0.15) / 0.3), 0.7)
    text = _pair("stretches the left hand {} and the right one {} of the way to something", used)
    return _grade(used.max() if asked.side != "both" else used.min(), 0.2, 0.8), text


def _hands(seen: Seen, asked: Asked) -> Measured:
    moved = np.ptp(seen.wrist, axis=0).max(axis=1)
    return _grade(moved.max(), 0.1, 0.3), _pair("moves the left hand by {} and the right one by {} m", moved)


def _moves(seen: Seen, asked: Asked) -> Measured:
    moved = max(np.ptp(x.reshape(len(seen), -1), axis=0).max() for x in (seen.place, seen.wrist, seen.ankle))
    moved = max(moved, float(np.ptp(seen.drop)), np.ptp(seen.heading) / 90.0)
    return _grade(moved, 0.1, 0.3), f"moves by {moved:.2f} m"


def _stand(seen: Seen, asked: Asked) -> Measured:
    moved = max(float(np.ptp(seen.wrist, axis=0).max()), float(np.ptp(seen.drop)))
    return 1.0 - _grade(moved, 0.4, 0.8), f"moves by {moved:.2f} m"


def _still(seen: Seen, asked: Asked) -> Measured:
    return 1.0, "stays"


_MEASURES: dict[str, Callable[[Seen, Asked], Measured]] = {
    "travel": _travel, "turn": _turn, "wave": _wave, "raise": _raise, "reach": _reach, "push": _push, "punch": _punch,
    "clap": _clap, "kick": _kick, "lower": _lower, "bow": _bow, "bend": _bend, "take": _take, "hands": _hands,
    "stand": _stand, "still": _still, "moves": _moves,
}  # fmt: skip


def measure(seen: Seen, asked: Asked) -> Measured:
    """How well a stretch of the motion shows an action, and that the person does not go or turn elsewhere meanwhile."""
    score, text = _MEASURES[asked.kind](seen, asked)
    if not asked.goes:
        some = 2.0 if asked.kind == "turn" else 1.0  # people turn while they walk
        score *= 1.0 - _grade(seen.gone, 0.4 * some, 0.8 * some)
        if seen.gone > 0.6 * some:
            text += f" and goes {seen.gone:.1f} m away"
    if not asked.turns:
        score *= 1.0 - _grade(abs(seen.turned), 30.0, 70.0)
        if abs(seen.turned) > 50.0:
            text += f" and turns {abs(seen.turned):.0f} degrees"
    return score, text


# --- the judge --------------------------------------------------------------------------------------------------------


def plausibility(motion: HumanMotion, plan: Mapping[str, Any], body: BodyModel | None = None) -> list[Check]:
    """Check the motion against each action of the plan, in their order.

    Parameters
    ----------
    motion
        The person's motion, as estimated from the video.
    plan
        JSON-ready values with ``actions``: a list of mappings with verb, description, seconds, side, direction,
        distance (m), angle (degrees), count and objects, as far as the planner tells them. Unknown verbs and missing
        or odd fields ask little.
    body
        The body model; None: the neutral one.

    Returns
    -------
    list[Check]
        One for each action, by its verb; none for a plan without actions.
    """
    actions = read_plan(plan)
    if not actions:
        return []
    seen = look_at(motion, body or BodyModel.load())
    cuts = align(seen, actions)
    checks = []
    for k, (asked, (begin, end)) in enumerate(zip(actions, cuts, strict=True)):
        score, text = measure(seen[begin : end + 1], asked)
        if asked.kind in ("travel", "turn"):
            score, text = min((score, text), _MEASURES[asked.kind](_around(seen, actions, cuts, k), asked))
        passed = score >= PASSED
        wanted = "" if passed else f", but the plan is: {asked.text}"
        when = f"From {begin / RATE:.1f} to {end / RATE:.1f} s"
        checks.append(Check(asked.verb, round(float(score), 3), bool(passed), f"{when} the person {text}{wanted}."))
    return checks


def align(seen: Seen, actions: list[Asked]) -> list[tuple[int, int]]:
    """Cut the motion into one stretch per action, in order: first and last frame of each (shared by neighbours)."""
    at = np.unique(np.linspace(0, len(seen) - 1, min(len(seen), max(CUTS, len(actions)) + 1)).round().astype(int))
    n = len(at)
    best, came = np.full(n, -np.inf), np.zeros((len(actions), n), dtype=int)
    best[0] = 0.0
    for k, asked in enumerate(actions):
        last = k == len(actions) - 1
        after = np.full(n, -np.inf)
        for j in [n - 1] if last else range(n):
            for i in range(j + 1):
                if not np.isfinite(best[i]):
                    continue
                score = measure(seen[at[i] : at[j] + 1], asked)[0]
                # one that is seen well does not pay for another that is not seen
                total = best[i] + score + (score >= PASSED) - SHARES * abs((at[j] - at[i]) / at[-1] - asked.share)
                if total > after[j]:
                    after[j], came[k, j] = total, i
        best = after
    cuts, j = [], n - 1
    for k in reversed(range(len(actions))):
        i = came[k, j]
        cuts.append((int(at[i]), int(at[j])))
        j = i
    return cuts[::-1]


def _around(seen: Seen, actions: list[Asked], cuts: list[tuple[int, int]], k: int) -> Seen:
    """A stretch with those beside it in which nobody is to go, or to turn: no part of a way or turn hides in them."""
    name = "goes" if actions[k].kind == "travel" else "turns"
    first = last = k
    while first > 0 and not getattr(actions[first - 1], name):
        first -= 1
    while last < len(actions) - 1 and not getattr(actions[last + 1], name):
        last += 1
    return seen[cuts[first][0] : cuts[last][1] + 1]
