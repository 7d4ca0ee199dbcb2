"""Movements of the body alone, written into a score: gestures, bends, kicks and steps without an object."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from exoactor_core.contacts import SIDES
from exoactor_gen.mannequin.movement import KINDS, Movement
from exoactor_gen.mannequin.score import GUARD, IDLE, MAX_STEP, USUAL_STEP, Jump, Score, other, sides_of, sign
from exoactor_gen.mannequin.timeline import Track


def _sides(movement: Movement) -> tuple[str, ...]:
    return sides_of(movement.side, KINDS[movement.kind].side)


def _travel(score: Score, movement: Movement) -> None:
    """Walk or step."""
    way = movement.direction or "forward"
    longest = score.scale * MAX_STEP[way]
    if movement.distance:
        count = movement.count or max(1, math.ceil(movement.distance / longest - 1e-9))
        length = movement.distance / count
    else:
        count = movement.count or (1 if movement.kind == "step" else 4)
        length = score.scale * USUAL_STEP[way]
    score.walk(way, count, length, movement.pace, movement.side or "right")


def _march(score: Score, movement: Movement) -> None:
    """Walk in place with high knees: lower steps are lost in the estimate, which takes the foot as planted."""
    step = 0.9 / movement.pace
    count = movement.count or max(2, round((movement.seconds or 4.0) / step))
    for k in range(count):
        score.step(SIDES[k % 2], movement.pace, swing=0.7, double=0.2, clearance=0.28)
    score.settle()


def _turn(score: Score, movement: Movement) -> None:
    """Turn on the spot."""
    left = movement.direction != "right"
    angle = movement.angle or (180.0 if movement.direction == "around" else 90.0)
    score.turn(angle if left else -angle, movement.pace)


def _stand(score: Score, movement: Movement) -> None:
    score.now += movement.seconds or 1.0


def _back_to_idle(score: Score, sides: tuple[str, ...], pace: float) -> None:
    end = score.now
    for side in sides:
        end = max(end, score.arm(side, score.rest, 0.9 / pace))
        score.fingers[side].move(score.now, score.now + 0.5, score.fingers[side].start)
    score.trunk.move(score.now, end, [0, 0, 0])
    score.now = end


@dataclass(frozen=True)
class Repeated:
    """Arms that move to a pose, repeat a cycle of poses, and return."""

    ready: tuple[float, ...]
    cycle: tuple[tuple[float, ...], ...]
    step_seconds: float
    """s from one pose of the cycle to the next."""
    seconds: float = 2.0
    """Default duration, s."""
    curl: float = 4.0
    """Curl of the fingers, degrees."""


_OVERHEAD = (163.0, 6.0, 0.0, 8.0)
_CLAP_OVERHEAD = Repeated((160.0, 10.0, 20.0, 30.0), ((160.0, -2.0, 29.0, 40.0), (160.0, 10.0, 20.0, 30.0)), 0.3)
_BESIDE = (18.0, 14.0, 0.0, 8.0)
REPEATED = {
    "wave": Repeated(
        (8.0, 68.0, -88.0, 92.0), ((8.0, 68.0, -88.0, 68.0), (8.0, 68.0, -88.0, 112.0)), 0.34, seconds=3.0
    ),
    "clap": Repeated((42.0, 4.0, 2.0, 72.0), ((42.0, 0.0, 29.0, 72.0), (42.0, 4.0, 2.0, 72.0)), 0.26),
    "knock": Repeated((62.0, 6.0, 10.0, 88.0), ((68.0, 4.0, 10.0, 58.0), (62.0, 6.0, 10.0, 88.0)), 0.26, curl=78.0),
    "cheer": Repeated(_OVERHEAD, ((128.0, 20.0, 0.0, 62.0), _OVERHEAD), 0.4, curl=78.0),
    "flap": Repeated((0.0, 72.0, 0.0, 20.0), ((0.0, 30.0, 0.0, 20.0), (0.0, 72.0, 0.0, 20.0)), 0.4),
    "circle arms": Repeated(
        _BESIDE, ((0.0, 88.0, 0.0, 8.0), (160.0, 12.0, 0.0, 8.0), (90.0, 4.0, 0.0, 8.0), _BESIDE), 0.6, seconds=4.8
    ),
}
"""Repetitive gestures of the arms."""
HELD: dict[str, dict[str, tuple[float, ...]]] = {
    "salute": dict.fromkeys(SIDES, (102.0, 57.0, 42.0, 134.0)),
    "high five": dict.fromkeys(SIDES, (100.0, 17.0, 15.0, 76.0)),
    "cross arms": {"left": (36.0, 8.0, 66.0, 104.0), "right": (24.0, 8.0, 66.0, 104.0)},
    "hands on hips": dict.fromkeys(SIDES, (-21.0, 46.0, 46.0, 103.0)),
    "hands on head": dict.fromkeys(SIDES, (172.0, 36.0, 87.0, 98.0)),
    "shrug": dict.fromkeys(SIDES, (1.0, 12.0, -40.0, 102.0)),
}
"""Poses in which arms are held, per side."""
NODS = {"nod": ((0.0, 22.0), (0.0, 0.0)), "shake head": ((25.0, 0.0), (-25.0, 0.0))}
"""Cycles of the head: turn to the left, pitch down; degrees."""


def _repeat(score: Score, movement: Movement) -> None:
    what = _CLAP_OVERHEAD if movement.kind == "clap" and movement.direction == "up" else REPEATED[movement.kind]
    sides = _sides(movement)
    step = what.step_seconds / movement.pace
    count = movement.count or max(1, round((movement.seconds or what.seconds) / (len(what.cycle) * step)))
    for side in sides:
        score.fingers[side].move(score.now, score.now + 0.5, [what.curl, what.curl])
    score.now = max(score.arm(side, what.ready, 1.0 / movement.pace) for side in sides)
    for pose in what.cycle * count:
        score.now = max(score.arm(side, pose, step) for side in sides)
    _back_to_idle(score, sides, movement.pace)


def _hold_arms(score: Score, movement: Movement) -> None:
    poses = {side: HELD[movement.kind][side] for side in _sides(movement)}
    _hold(score, movement, poses, (0.0, 0.0, 0.0), hold=1.5)


def _hold(
    score: Score,
    movement: Movement,
    poses: Mapping[str, tuple[float, ...]],
    trunk: tuple[float, float, float],
    drop: float = 0.0,
    index: float | None = None,
    hold: float = 1.0,
) -> None:
    """Move the arms (and trunk) to a pose, hold it, and return, for a number of times."""
    for _ in range(movement.count or 1):
        begin = score.now
        arrive = max([score.arm(s, p, 1.0 / movement.pace) for s, p in poses.items()], default=begin + 1.0)
        score.trunk.move(begin, arrive, trunk)
        score.drop.move(begin, arrive, [drop])
        for side in poses:
            curl = [8.0, 8.0] if index is None else [75.0, index]
            score.fingers[side].move(begin, begin + 0.6, curl)
        score.now = arrive + (movement.seconds or hold)
        score.drop.move(score.now, score.now + (arrive - begin), [0.0])
        _back_to_idle(score, tuple(side for side in poses if side not in score.stay_up), movement.pace)


def _lower(score: Score, movement: Movement) -> None:
    """Lower arms that stayed up."""
    _back_to_idle(score, _sides(movement), movement.pace)


def _raise(score: Score, movement: Movement) -> None:
    pose = {"up": (163.0, 6.0, 0.0, 8.0), "forward": (90.0, 2.0, 0.0, 6.0), "side": (0.0, 88.0, 0.0, 6.0)}
    target = pose[movement.direction or "up"]
    if movement.angle:
        target = (0.0, movement.angle, 0.0, 6.0) if movement.direction == "side" else (movement.angle, 2.0, 0.0, 6.0)
    _hold(score, movement, dict.fromkeys(_sides(movement), target), (0.0, 0.0, 0.0))


def _extend(score: Score, movement: Movement) -> None:
    """Reach or point."""
    way = movement.direction or "forward"
    sides = sides_of(movement.side, way if way in SIDES else "right")
    straight = 4.0 if movement.kind == "point" else 8.0
    lean = 0.0 if movement.kind == "point" else 6.0
    drop, trunk = 0.0, (lean / 2, lean, 0.0)
    poses = {}
    for side in sides:
        outward = sign(side)
        if way == "up":
            poses[side] = (150.0 if movement.kind == "point" else 165.0, 5.0, 0.0, straight)
            trunk = (0.0, -2.0, 0.0)
        elif way == "down":
            poses[side] = (38.0, 10.0, 0.0, straight)
            if movement.kind == "reach":
                poses[side], trunk, drop = (62.0, 6.0, 0.0, straight), (34.0, 18.0, 0.0), 0.14 * score.scale
        elif way == side:
            poses[side], trunk = (4.0, 86.0, 0.0, straight), (0.0, 0.0, 12.0 * outward)
        elif way in SIDES:
            poses[side], trunk = (80.0, -28.0, 10.0, straight + 6.0), (0.0, 4.0, -42.0 * outward)
        else:
            poses[side] = (84.0, 3.0, 0.0, straight)
            trunk = (lean / 2, lean, -8.0 * outward if len(sides) == 1 else 0.0)
    look = {"up": (0.0, -22.0), "down": (0.0, 22.0), "left": (38.0, 0.0), "right": (-38.0, 0.0)}.get(way, (0.0, 0.0))
    begin = score.now
    score.head.move(begin, begin + 0.9, look)
    _hold(score, movement, poses, trunk, drop, index=2.0 if movement.kind == "point" else None, hold=1.2)
    score.head.move(score.now - 0.8, score.now, [0.0, 0.0])


def _squat(score: Score, movement: Movement) -> None:
    full = 0.34 * score.scale
    drop = movement.distance or full
    depth = min(1.0, drop / full)
    arms = tuple(idle + depth * (arm - idle) for idle, arm in zip(IDLE, (78.0, 4.0, 0.0, 12.0), strict=True))
    trunk = (24.0 * depth, 12.0 * depth)
    _go_down(score, movement, 1.15, arms, trunk=trunk, head=-14.0 * depth, hold=0.3, drop=drop)


_JUMP_HEIGHTS = 0.24, -0.32, -0.03  # m of the soles, and of the pelvis at its lowest and at take-off
_JUMP_TRUNK = (22.0, 12.0, 0.0)


def _jump(score: Score, movement: Movement) -> None:
    """Crouch with the arms back, jump with the arms forward, and crouch to land, off and onto both feet."""
    for _ in range(movement.count or 1):
        jump = Jump(score.now, 0.7 / movement.pace, *(score.scale * np.array(_JUMP_HEIGHTS)))
        for side in SIDES:
            score.arm(side, (-30.0, 16.0, 4.0, 20.0), jump.bend_seconds)
            up = score.arm(side, (70.0, 10.0, 4.0, 30.0), jump.take_off - jump.bottom, at=jump.bottom)
            score.arm(side, IDLE, 0.8, at=max(up, jump.landing))
        landed = jump.landing + jump.take_off - jump.bottom
        for begin, end, trunk in (
            (jump.begin, jump.bottom, _JUMP_TRUNK),
            (jump.bottom, jump.take_off, (0.0, 0.0, 0.0)),
            (jump.landing, landed, _JUMP_TRUNK),
            (landed, jump.end, (0.0, 0.0, 0.0)),
        ):
            score.trunk.move(begin, end, trunk)
        score.jumps.append(jump)
        score.now = jump.end + 0.4


_HOP_HEIGHTS = 0.08, -0.14, -0.02
"""As `_JUMP_HEIGHTS`, off and onto one foot."""


def _hop(score: Score, movement: Movement) -> None:
    """Shift the weight to one foot and raise the other, jump from and onto the one, and lower the other."""
    heights = score.scale * np.array(_HOP_HEIGHTS)
    hop = Jump(0.0, 0.45 / movement.pace, *heights)
    each, count = hop.end + 0.35, movement.count or 1
    up = 0.0, score.scale * 0.14, 12.0
    for side in SIDES:
        score.arm(side, (10.0, 34.0, 4.0, 40.0), 0.8)
    ways = (*up, 0.7), (*up, movement.pace * each * count)
    _, (begin, _), *_ = score.swing_foot(other(movement.side or "right"), ways, movement.pace)
    score.jumps += [replace(hop, begin=begin + k * each) for k in range(count)]
    _onto_both_feet(score)


def _onto_both_feet(score: Score) -> None:
    """After standing on one leg, let the arms hang, and bring the weight between the feet."""
    for side in SIDES:
        score.arm(side, IDLE, 0.8, at=score.now - 0.3)
    score.settle(0.7)


def _bow(score: Score, movement: Movement) -> None:
    if movement.direction in SIDES:
        _bend_aside(score, movement)
        return
    angle = movement.angle or 45.0
    arms = (14.0 + 0.3 * angle, 10.0, 4.0, 14.0)
    _go_down(score, movement, max(1.0, angle / 45.0), arms, trunk=(0.62 * angle, 0.38 * angle), head=8.0, hold=0.6)


def _bend_aside(score: Score, movement: Movement) -> None:
    """Lean the trunk to the left or right, and return."""
    _there_and_back(score, movement, score.side_bend, [sign(movement.direction or "left") * (movement.angle or 20.0)])


def _twist(score: Score, movement: Movement) -> None:
    """Turn the trunk to the left or right above the hips, and return."""
    turn = sign(movement.direction or "left") * (movement.angle or 30.0)
    _there_and_back(score, movement, score.trunk, [0.0, 0.0, turn])


def _there_and_back(score: Score, movement: Movement, track: Track, target: Sequence[float]) -> None:
    """Move a track from zero to a target and back, for a number of times."""
    for _ in range(movement.count or 1):
        for value, stay in ((target, movement.seconds or 0.6), ([0.0] * len(target), 0.1)):
            track.move(score.now, score.now + 1.0 / movement.pace, value)
            score.now += 1.0 / movement.pace + stay


def _go_down(
    score: Score,
    movement: Movement,
    seconds: float,
    arms: tuple[float, ...],
    trunk: tuple[float, float],
    head: float,
    hold: float,
    drop: float = 0.0,
) -> None:
    """Bend the trunk, and the knees by ``drop`` m, and return."""
    down = seconds / movement.pace
    for _ in range(movement.count or 1):
        begin, end = score.now, score.now + down
        for side in SIDES:
            score.arm(side, arms, down)
        score.bend(begin, end, drop, (*trunk, 0.0), head)
        begin = end + (movement.seconds or hold)
        end = begin + down
        for side in SIDES:
            end = max(end, score.arm(side, IDLE, down, at=begin))
        score.bend(begin, begin + down)
        score.now = end + 0.1


def _kick(score: Score, movement: Movement) -> None:
    """Shift the weight to the other foot; swing back, forward, back under the body, and down."""
    side = movement.side or "right"
    k = score.scale
    score.arm(side, (30.0, 16.0, 4.0, 30.0), 0.8)
    score.arm(other(side), (-12.0, 22.0, 4.0, 24.0), 0.8)
    ways = (k * -0.16, k * 0.14, 26.0, 0.50), (k * 0.46, k * 0.32, -8.0, 0.52), (k * 0.05, k * 0.12, 6.0, 0.55)
    score.swing_foot(side, ways * (movement.count or 1), movement.pace)
    score.past.append(score.ahead(0.5))
    _onto_both_feet(score)


def _lift_knee(score: Score, movement: Movement) -> None:
    """Shift the weight to the other foot, raise the knee, and lower it; the arms balance."""
    side = movement.side or "right"
    k = score.scale
    for s in SIDES:
        score.arm(s, (10.0, 34.0, 4.0, 20.0), 0.8)
    up, stay = (k * 0.16, k * 0.24, 12.0), movement.pace * (movement.seconds or 0.6)
    score.swing_foot(side, ((*up, 0.8), (*up, stay), (0.0, k * 0.05, 0.0, 0.6)) * (movement.count or 1), movement.pace)
    _onto_both_feet(score)


def _lunge(score: Score, movement: Movement) -> None:
    """A long step forward, down, up, and back."""
    side = movement.side or "right"
    home = score.pose.copy()
    for _ in range(movement.count or 1):
        score.pose[:2] = score.ahead(0.42 * score.scale)
        score.step(side, movement.pace, swing=0.6)
        score.settle(0.6)
        for depth in (0.10 * score.scale, 0.0):
            score.drop.move(score.now, score.now + 0.9 / movement.pace, [depth])
            score.now += 0.9 / movement.pace + 0.3
        score.pose[:2] = home[:2]
        score.step(side, movement.pace, swing=0.6, double=0.4)
        score.settle()


_JACK_STEP = 0.24
"""m to the side that a foot steps out."""
_JACK_ARMS = (0.0, 120.0, 0.0, 12.0)


def _jumping_jack(score: Score, movement: Movement) -> None:
    """Step out to the side with the arms up, and back with the arms down, with one foot after the other."""
    home, seconds = score.pose.copy(), 1.2 / movement.pace
    count = movement.count or max(2, round((movement.seconds or 4 * seconds) / (2 * seconds)))
    for k in range(count):
        side = SIDES[(k + 1) % 2]
        for pose, arms in ((score.ahead(0.0, sign(side) * _JACK_STEP * score.scale), _JACK_ARMS), (home[:2], IDLE)):
            begin = score.now
            score.pose[:2] = pose
            score.step(side, movement.pace)
            score.settle(0.4 / movement.pace)
            score.now = max(score.now, *(score.arm(s, arms, seconds, at=begin) for s in SIDES))


def _dance(score: Score, movement: Movement) -> None:
    """Steps in place to a beat, with alternating arm swings and turning shoulders."""
    beat = 0.6 / movement.pace
    for k in range(max(4, round((movement.seconds or 6.0) / beat))):
        side = SIDES[k % 2]
        begin = score.now
        score.step(side, movement.pace, swing=0.42, double=0.18, clearance=0.12)
        for s in SIDES:
            score.arm(s, (62.0, 26.0, 20.0, 84.0) if s == side else (18.0, 22.0, 10.0, 60.0), beat, at=begin)
        score.trunk.move(begin, score.now, [0.0, 0.0, 10.0 * sign(side)])
    score.settle()
    _back_to_idle(score, SIDES, movement.pace)


def raise_guard(score: Score, sides: tuple[str, ...], pace: float) -> None:
    """Raise the fists in front of the chest."""
    for side in sides:
        score.fingers[side].move(score.now, score.now + 0.5, [78.0, 78.0])
    score.now = max(score.arm(side, GUARD, 0.8 / pace) for side in sides)


def _punch(score: Score, movement: Movement) -> None:
    reach = (82.0, 2.0, 8.0, 8.0)
    sides = _sides(movement)
    raise_guard(score, sides, movement.pace)
    for _ in range(movement.count or 1):
        for side in sides:
            twist = 18.0 if side == "right" else -18.0
            begin = score.now
            hit = score.arm(side, reach, 0.5 / movement.pace)
            score.trunk.move(begin, hit, [2.0, 3.0, twist])
            end = score.arm(side, GUARD, 0.6 / movement.pace, at=hit + 0.08)
            score.trunk.move(hit + 0.08, end, [0.0, 0.0, 0.0])
            score.now = end + 0.08
    _back_to_idle(score, sides, movement.pace)


def _push(score: Score, movement: Movement) -> None:
    sides = _sides(movement)
    ready, reach = (16.0, 12.0, 6.0, 105.0), (78.0, 5.0, 4.0, 14.0)
    for side in sides:
        score.fingers[side].move(score.now, score.now + 0.5, [4.0, 4.0])
    for _ in range(movement.count or 1):
        score.now = max(score.arm(side, ready, 0.8 / movement.pace) for side in sides)
        begin = score.now
        end = max(score.arm(side, reach, 1.0 / movement.pace) for side in sides)
        score.trunk.move(begin, end, [5.0, 6.0, 0.0])
        score.now = end + (movement.seconds or 0.6)
        score.trunk.move(score.now, score.now + 0.8, [0.0, 0.0, 0.0])
    _back_to_idle(score, sides, movement.pace)


def _pick_up(score: Score, movement: Movement) -> None:
    sides = _sides(movement)
    down = 1.5 / movement.pace
    for _ in range(movement.count or 1):
        begin, end = score.now, score.now + down
        for side in sides:
            score.arm(side, (58.0, 4.0, 4.0, 10.0), down)
        score.bend(begin, end, 0.40 * score.scale, (40.0, 26.0, 0.0), 4.0)
        for side in sides:
            score.fingers[side].move(end, end + 0.4, [45.0, 45.0])
        begin = end + 0.5
        end = begin + down
        for side in sides:
            score.arm(side, (22.0, 6.0, 8.0, 76.0), down, at=begin)
        score.bend(begin, end)
        score.now = end + 0.8
        _back_to_idle(score, sides, movement.pace)


def _look(score: Score, movement: Movement) -> None:
    angle = movement.angle
    yaw, pitch = {
        "left": (angle or 50.0, 0.0),
        "right": (-(angle or 50.0), 0.0),
        "up": (0.0, -(angle or 30.0)),
        "down": (0.0, angle or 32.0),
        "forward": (0.0, 0.0),
    }[movement.direction or "forward"]
    move = 0.7 / movement.pace
    for _ in range(movement.count or 1):
        score.head.move(score.now, score.now + move, [yaw, pitch])
        score.now += move + (movement.seconds or 0.8)
        score.head.move(score.now, score.now + move, [0.0, 0.0])
        score.now += move


def _nod(score: Score, movement: Movement) -> None:
    cycle = NODS[movement.kind]
    half = 0.35 / movement.pace
    count = movement.count or max(1, round((movement.seconds or 1.5) / (len(cycle) * half)))
    for pose in (*cycle * count, (0.0, 0.0)):
        if np.any(score.head.value != pose):
            score.head.move(score.now, score.now + half, pose)
            score.now += half


GESTURES: dict[str, Callable[[Score, Movement], None]] = {
    "walk": _travel,
    "step": _travel,
    "turn": _turn,
    "stand": _stand,
    "raise": _raise,
    "lower": _lower,
    "reach": _extend,
    "point": _extend,
    "squat": _squat,
    "jump": _jump,
    "hop": _hop,
    "bow": _bow,
    "kick": _kick,
    "jumping jack": _jumping_jack,
    "lift knee": _lift_knee,
    "lunge": _lunge,
    "twist": _twist,
    "punch": _punch,
    "push": _push,
    "pick up": _pick_up,
    "look": _look,
    "march": _march,
    "dance": _dance,
    **dict.fromkeys(NODS, _nod),
    **dict.fromkeys(REPEATED, _repeat),
    **dict.fromkeys(HELD, _hold_arms),
}
