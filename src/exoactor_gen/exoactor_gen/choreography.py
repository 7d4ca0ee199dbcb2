"""From a plan to a person's motion: footsteps, weight, posture and arms as tracks, then one whole-body solution.

The actions write minimum-jerk tracks (feet, pressure under the feet, trunk, arms, head, fingers). The whole-body
solution then takes the feet as they are, lets the centre of mass follow the pressure as a linear inverted pendulum
does, puts the pelvis where that centre of mass needs it, and closes the legs analytically, so that planted feet stay
where they are.

Sources: linear inverted pendulum, Kajita et al., ICRA 2001; minimum jerk, Flash & Hogan 1985; masses and centres of
the body's segments, de Leva, J. Biomech. 29 (1996), table 4, men.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_banded
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial.transform import Rotation

from exoactor.body import BodyModel
from exoactor.errors import BadInput
from exoactor.motion import HumanMotion
from exoactor_gen.language import Action, Plan
from exoactor_gen.timeline import Track, bump

SIDES = ("left", "right")
FPS = 30.0
STAND = 0.7
"""Seconds of standing at the start and at the end."""
PAUSE = 0.15
"""Seconds between two actions."""
MAX_SECONDS = 120.0
STEP = {"forward": 0.40, "backward": 0.30, "left": 0.26, "right": 0.26}
"""Longest step, m."""
TURN_STEP = 30.0
"""Largest turn per step, degrees."""
HALF_STANCE = 0.09
TOE_OUT = math.radians(5.0)
SOLE_CENTRE = 0.045
"""From the ankle forward to the point of the sole that carries the weight, m."""
ARM_SPEED = 4.2
"""Peak speed that arm moves are stretched to, rad/s."""
HEEL_OFF = 0.18
"""Walking forward, the heel leaves the floor this long before the toe, s."""
LEG_REACH = 0.985
"""Straightest leg, as a share of thigh plus shank."""
GRAVITY = 9.81

# Arm pose: flexion (forward and up), abduction (to the side), inward twist of the upper arm, elbow; degrees.
IDLE = (2.0, 9.0, 4.0, 16.0)

# SMPL-X rest frame (y up, facing +z) to the world (z up, facing +x).
UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def choreograph(plan: Plan, betas: np.ndarray, body: BodyModel | None = None, fps: float = FPS) -> HumanMotion:
    """Make a person carry out a plan, starting at the origin and facing +x.

    Parameters
    ----------
    plan
        What to do.
    betas
        (B,) shape coefficients of the body.
    body
        The body model; None: the default one.
    fps
        Frames per second.

    Returns
    -------
    HumanMotion
        With exact contacts; soles at z = 0.

    Raises
    ------
    BadInput
        The plan takes longer than `MAX_SECONDS`.
    """
    score = Score()
    for action in plan.actions:
        _ACTIONS[action.kind](score, action)
        score.now += PAUSE
        if score.now > MAX_SECONDS:
            raise BadInput(f"The instruction takes longer than {MAX_SECONDS:g} s: give it in parts.")
    score.now += STAND
    return _solve(score, body or BodyModel.load(), np.atleast_1d(np.asarray(betas, dtype=np.float64)), fps)


def durations(actions: Sequence[Action]) -> list[float]:
    """Seconds that each of the actions takes, the pause after it included."""
    score, ends = Score(), [STAND]
    for action in actions:
        _ACTIONS[action.kind](score, action)
        score.now += PAUSE
        ends.append(score.now)
    return np.diff(ends).tolist()


# --- the score: what the actions write --------------------------------------------------------------------------------


def _centre(x: float, y: float, yaw: float, side: str) -> np.ndarray:
    """Sole centre and yaw (x, y, yaw) of a foot of a person who stands at x, y and faces yaw."""
    s = 1.0 if side == "left" else -1.0
    return np.array([x - s * HALF_STANCE * math.sin(yaw), y + s * HALF_STANCE * math.cos(yaw), yaw + s * TOE_OUT])


@dataclass
class Score:
    """Tracks that the actions write; ``now`` is where the next action begins."""

    now: float = STAND
    place: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """x, y, yaw of the standing person."""
    feet: dict[str, Track] = field(default_factory=lambda: {s: Track(_centre(0, 0, 0, s)) for s in SIDES})
    """Sole centre x, y and yaw."""
    air: dict[str, Track] = field(default_factory=lambda: {s: Track([0.0, 0.0]) for s in SIDES})
    """Height of the lowest point of the sole, pitch (toe down positive)."""
    swings: dict[str, list[tuple[float, float, float, float]]] = field(default_factory=lambda: {s: [] for s in SIDES})
    """Begin, end, clearance in m, roll of the foot in rad; clearance 0: the air track lifts it."""
    pressure: Track = field(default_factory=lambda: Track([0.0, 0.0]))
    """Where the floor carries the person, x, y."""
    drop: Track = field(default_factory=lambda: Track([0.0]))
    """How far the pelvis is lowered, m."""
    trunk: Track = field(default_factory=lambda: Track([0.0, 0.0, 0.0]))
    """Pitch of the pelvis, pitch of the spine, turn of the spine to the left; degrees."""
    head: Track = field(default_factory=lambda: Track([0.0, 0.0]))
    """Turn to the left, pitch down; degrees."""
    arms: dict[str, Track] = field(default_factory=lambda: {s: Track(IDLE) for s in SIDES})
    fingers: dict[str, Track] = field(default_factory=lambda: {s: Track([20.0, 18.0]) for s in SIDES})
    """Curl of each joint of the three outer fingers, and of the index finger; degrees."""

    def arm(self, side: str, target: tuple[float, ...], seconds: float, at: float | None = None) -> float:
        """Move an arm, no faster than `ARM_SPEED`; returns the time of arrival."""
        begin = self.now if at is None else at
        reach = math.radians(float(np.linalg.norm(np.asarray(target) - self.arms[side].value)))
        end = begin + max(seconds, 1.875 * reach / ARM_SPEED)
        self.arms[side].move(begin, end, target)
        return end

    def stand_on(self, side: str | None) -> np.ndarray:
        """Where the weight goes: a foot's sole, or the middle between both."""
        if side:
            return self.feet[side].value[:2]
        return (self.feet["left"].value[:2] + self.feet["right"].value[:2]) / 2.0

    def step(self, side: str, pace: float, swing: float = 0.42, double: float = 0.16, clearance: float = 0.06,
             roll: float = 0.0) -> None:  # fmt: skip
        """Shift the weight to the other foot and put this one where the standing person of ``place`` has it."""
        swing, double = swing / pace, double / pace
        lift = self.now + double
        self.pressure.move(self.now, lift, self.stand_on(_other(side)))
        self.now = lift + swing
        self.feet[side].move(lift, self.now, _centre(*self.place, side))
        self.swings[side].append((lift, self.now, clearance, roll))

    def settle(self, seconds: float = 0.45) -> None:
        """Bring the weight between the feet."""
        self.pressure.move(self.now, self.now + seconds, self.stand_on(None))
        self.now += seconds


def _other(side: str) -> str:
    return "right" if side == "left" else "left"


def _sides(side: str | None, default: str = "right") -> tuple[str, ...]:
    side = side or default
    return SIDES if side == "both" else (side,)


def _travel(score: Score, action: Action) -> None:
    """Walk or step: equal steps, then the feet together; sideways each step is closed by the other foot."""
    way = action.direction or "forward"
    longest = STEP[way]
    if action.distance:
        count = action.count or max(1, math.ceil(action.distance / longest - 1e-9))
        length = action.distance / count
    else:
        count = action.count or (1 if action.kind == "step" else 4)
        length = {"forward": 0.38, "backward": 0.26, "left": 0.24, "right": 0.24}[way]
    dx, dy = {"forward": (1, 0), "backward": (-1, 0), "left": (0, 1), "right": (0, -1)}[way]
    yaw = score.place[2]
    ahead = length * np.array([dx * math.cos(yaw) - dy * math.sin(yaw), dx * math.sin(yaw) + dy * math.cos(yaw)])
    side = way if way in SIDES else action.side or "right"
    roll = 0.34 * min(1.0, length / 0.4) if way == "forward" else 0.0
    closing = way in SIDES
    for _ in range(count):
        score.place[:2] += ahead
        score.step(side, action.pace, roll=roll)
        if closing:
            score.step(_other(side), action.pace, swing=0.38)
        else:
            side = _other(side)
    if not closing:
        score.step(side, action.pace, roll=roll / 2)
    score.settle()


def _turn(score: Score, action: Action) -> None:
    """Turn on the spot: the inner foot opens, the outer one closes."""
    left = action.direction != "right"
    angle = action.angle or (180.0 if action.direction == "around" else 90.0)
    count = max(1, math.ceil(angle / TURN_STEP - 1e-9))
    inner = "left" if left else "right"
    for _ in range(count):
        score.place[2] += math.radians(angle / count) * (1.0 if left else -1.0)
        for side in (inner, _other(inner)):
            score.step(side, action.pace, swing=0.38, clearance=0.05)
    score.settle()


def _stand(score: Score, action: Action) -> None:
    score.now += action.seconds or 1.0


def _back_to_idle(score: Score, sides: tuple[str, ...], pace: float, fingers: bool = False) -> None:
    end = score.now
    for side in sides:
        end = max(end, score.arm(side, IDLE, 0.9 / pace))
        if fingers:
            score.fingers[side].move(score.now, score.now + 0.5, score.fingers[side].start)
    score.trunk.move(score.now, end, [0, 0, 0])
    score.now = end


def _wave(score: Score, action: Action) -> None:
    sides = _sides(action.side)
    half = 0.34 / action.pace
    swings = action.count or max(1, round((action.seconds or 3.0) / (2 * half)))
    ready, out, in_ = (8.0, 68.0, -88.0, 92.0), (8.0, 68.0, -88.0, 68.0), (8.0, 68.0, -88.0, 112.0)
    for side in sides:
        score.fingers[side].move(score.now, score.now + 0.5, [4.0, 4.0])
    score.now = max(score.arm(side, ready, 1.0 / action.pace) for side in sides)
    for k in range(2 * swings):
        score.now = max(score.arm(side, out if k % 2 == 0 else in_, half) for side in sides)
    _back_to_idle(score, sides, action.pace, fingers=True)


def _hold(score: Score, action: Action, poses: dict[str, tuple[float, ...]], trunk: tuple[float, float, float],
          drop: float = 0.0, index: float | None = None, hold: float = 1.0) -> None:  # fmt: skip
    """Move the arms (and trunk) to a pose, stay, and come back, as often as asked."""
    for _ in range(action.count or 1):
        begin = score.now
        arrive = max([score.arm(s, p, 1.0 / action.pace) for s, p in poses.items()], default=begin + 1.0)
        score.trunk.move(begin, arrive, trunk)
        score.drop.move(begin, arrive, [drop])
        for side in poses:
            curl = [8.0, 8.0] if index is None else [75.0, index]
            score.fingers[side].move(begin, begin + 0.6, curl)
        score.now = arrive + (action.seconds or hold)
        score.drop.move(score.now, score.now + (arrive - begin), [0.0])
        _back_to_idle(score, tuple(poses), action.pace, fingers=True)


def _raise(score: Score, action: Action) -> None:
    pose = {"up": (163.0, 6.0, 0.0, 8.0), "forward": (90.0, 2.0, 0.0, 6.0), "side": (0.0, 88.0, 0.0, 6.0)}
    target = pose[action.direction or "up"]
    _hold(score, action, dict.fromkeys(_sides(action.side), target), (0.0, 0.0, 0.0))


def _extend(score: Score, action: Action) -> None:
    """Reach or point."""
    way = action.direction or "forward"
    sides = _sides(action.side, way if way in SIDES else "right")
    straight = 4.0 if action.kind == "point" else 8.0
    lean = 0.0 if action.kind == "point" else 6.0
    drop, trunk = 0.0, (lean / 2, lean, 0.0)
    poses = {}
    for side in sides:
        outward = 1.0 if side == "left" else -1.0
        if way == "up":
            poses[side] = (150.0 if action.kind == "point" else 165.0, 5.0, 0.0, straight)
            trunk = (0.0, -2.0, 0.0)
        elif way == "down":
            poses[side] = (38.0, 10.0, 0.0, straight)
            if action.kind == "reach":
                poses[side], trunk, drop = (62.0, 6.0, 0.0, straight), (34.0, 18.0, 0.0), 0.14
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
    _hold(score, action, poses, trunk, drop, index=2.0 if action.kind == "point" else None, hold=1.2)
    score.head.move(score.now - 0.8, score.now, [0.0, 0.0])


def _squat(score: Score, action: Action) -> None:
    _go_down(score, action, 1.15, (78.0, 4.0, 0.0, 12.0), drop=0.34, trunk=(24.0, 12.0), head=-14.0, hold=0.3)


def _sit(score: Score, action: Action) -> None:
    _go_down(score, action, 1.6, (58.0, 4.0, 0.0, 30.0), drop=0.39, trunk=(30.0, 14.0), head=-18.0, hold=1.0)


def _go_down(
    score: Score,
    action: Action,
    seconds: float,
    arms: tuple[float, ...],
    drop: float,
    trunk: tuple[float, float],
    head: float,
    hold: float,
) -> None:
    """Bend the knees with the arms before one, and rise again."""
    down = seconds / action.pace
    for _ in range(action.count or 1):
        begin, end = score.now, score.now + down
        for side in SIDES:
            score.arm(side, arms, down)
        score.drop.move(begin, end, [drop])
        score.trunk.move(begin, end, [*trunk, 0.0])
        score.head.move(begin, end, [0.0, head])
        begin = end + (action.seconds or hold)
        end = begin + down
        for side in SIDES:
            end = max(end, score.arm(side, IDLE, down, at=begin))
        score.drop.move(begin, begin + down, [0.0])
        score.trunk.move(begin, begin + down, [0.0, 0.0, 0.0])
        score.head.move(begin, begin + down, [0.0, 0.0])
        score.now = end + 0.1


def _bow(score: Score, action: Action) -> None:
    angle = min(action.angle or 45.0, 80.0)
    down = max(1.0, angle / 45.0) / action.pace
    for _ in range(action.count or 1):
        begin, end = score.now, score.now + down
        score.trunk.move(begin, end, [0.62 * angle, 0.38 * angle, 0.0])
        score.head.move(begin, end, [0.0, 8.0])
        for side in SIDES:
            score.arm(side, (14.0 + 0.3 * angle, 10.0, 4.0, 14.0), down)
        begin = end + (action.seconds or 0.6)
        end = begin + down
        score.trunk.move(begin, end, [0.0, 0.0, 0.0])
        score.head.move(begin, end, [0.0, 0.0])
        for side in SIDES:
            score.arm(side, IDLE, down, at=begin)
        score.now = end + 0.1


def _kick(score: Score, action: Action) -> None:
    """Weight onto the other foot first; then back, forward, back under the body, and down."""
    side = action.side if action.side in SIDES else "right"
    foot, air, home = score.feet[side], score.air[side], score.feet[side].value.copy()
    ahead = np.array([math.cos(score.place[2]), math.sin(score.place[2]), 0.0])
    pace = action.pace
    score.pressure.move(score.now, score.now + 0.7, score.stand_on(_other(side)))
    lift = score.now + 0.6
    score.arm(side, (30.0, 16.0, 4.0, 30.0), 0.8)
    score.arm(_other(side), (-12.0, 22.0, 4.0, 24.0), 0.8)
    score.now = lift
    for _ in range(action.count or 1):
        for distance, height, pitch, seconds in (
            (-0.16, 0.14, 26.0, 0.50), (0.46, 0.32, -8.0, 0.52), (0.05, 0.12, 6.0, 0.55),
        ):  # fmt: skip
            end = score.now + seconds / pace
            foot.move(score.now, end, home + distance * ahead)
            air.move(score.now, end, [height, math.radians(pitch)])
            score.now = end
    end = score.now + 0.45 / pace
    foot.move(score.now, end, home)
    air.move(score.now, end, [0.0, 0.0])
    score.now = end
    score.swings[side].append((lift, end, 0.0, 0.0))
    for s in SIDES:
        score.arm(s, IDLE, 0.8, at=end - 0.3)
    score.settle(0.7)


def _clap(score: Score, action: Action) -> None:
    apart, together = (42.0, 4.0, 2.0, 72.0), (42.0, 0.0, 29.0, 72.0)
    half = 0.26 / action.pace
    claps = action.count or max(1, round((action.seconds or 2.0) / (2 * half)))
    for side in SIDES:
        score.fingers[side].move(score.now, score.now + 0.5, [4.0, 4.0])
    score.now = max(score.arm(side, apart, 0.8 / action.pace) for side in SIDES)
    for _ in range(claps):
        for pose in (together, apart):
            score.now = max(score.arm(side, pose, half) for side in SIDES)
    _back_to_idle(score, SIDES, action.pace, fingers=True)


def _punch(score: Score, action: Action) -> None:
    guard, reach = (28.0, 8.0, 18.0, 112.0), (82.0, 2.0, 8.0, 8.0)
    sides = _sides(action.side)
    for side in SIDES:
        score.fingers[side].move(score.now, score.now + 0.5, [78.0, 78.0])
    score.now = max(score.arm(side, guard, 0.8 / action.pace) for side in SIDES)
    for _ in range(action.count or 1):
        for side in sides:
            twist = 18.0 if side == "right" else -18.0
            begin = score.now
            hit = score.arm(side, reach, 0.5 / action.pace)
            score.trunk.move(begin, hit, [2.0, 3.0, twist])
            end = score.arm(side, guard, 0.6 / action.pace, at=hit + 0.08)
            score.trunk.move(hit + 0.08, end, [0.0, 0.0, 0.0])
            score.now = end + 0.08
    _back_to_idle(score, SIDES, action.pace, fingers=True)


def _push(score: Score, action: Action) -> None:
    sides = _sides(action.side, "both")
    ready, reach = (16.0, 12.0, 6.0, 105.0), (78.0, 5.0, 4.0, 14.0)
    for side in sides:
        score.fingers[side].move(score.now, score.now + 0.5, [4.0, 4.0])
    for _ in range(action.count or 1):
        score.now = max(score.arm(side, ready, 0.8 / action.pace) for side in sides)
        begin = score.now
        end = max(score.arm(side, reach, 1.0 / action.pace) for side in sides)
        score.trunk.move(begin, end, [5.0, 6.0, 0.0])
        score.now = end + (action.seconds or 0.6)
        score.trunk.move(score.now, score.now + 0.8, [0.0, 0.0, 0.0])
    _back_to_idle(score, sides, action.pace, fingers=True)


def _pick_up(score: Score, action: Action) -> None:
    sides = _sides(action.side, "both")
    down = 1.5 / action.pace
    for _ in range(action.count or 1):
        begin, end = score.now, score.now + down
        for side in sides:
            score.arm(side, (58.0, 4.0, 4.0, 10.0), down)
        score.drop.move(begin, end, [0.40])
        score.trunk.move(begin, end, [40.0, 26.0, 0.0])
        score.head.move(begin, end, [0.0, 4.0])
        for side in sides:
            score.fingers[side].move(end, end + 0.4, [45.0, 45.0])
        begin = end + 0.5
        end = begin + down
        for side in sides:
            score.arm(side, (22.0, 6.0, 8.0, 76.0), down, at=begin)
        score.drop.move(begin, end, [0.0])
        score.trunk.move(begin, end, [0.0, 0.0, 0.0])
        score.head.move(begin, end, [0.0, 0.0])
        score.now = end + 0.8
        _back_to_idle(score, sides, action.pace, fingers=True)


def _look(score: Score, action: Action) -> None:
    angle = action.angle
    if angle is not None and angle > 75.0:
        raise BadInput(f"The head cannot look {angle:g} degrees aside: up to 75 can be done.")
    yaw, pitch = {
        "left": (angle or 50.0, 0.0), "right": (-(angle or 50.0), 0.0), "up": (0.0, -min(angle or 30.0, 40.0)),
        "down": (0.0, min(angle or 32.0, 45.0)), "forward": (0.0, 0.0),
    }[action.direction or "forward"]  # fmt: skip
    move = 0.7 / action.pace
    for _ in range(action.count or 1):
        score.head.move(score.now, score.now + move, [yaw, pitch])
        score.now += move + (action.seconds or 0.8)
        score.head.move(score.now, score.now + move, [0.0, 0.0])
        score.now += move


def _nod(score: Score, action: Action) -> None:
    half = 0.35 / action.pace
    for _ in range(action.count or max(1, round((action.seconds or 1.5) / (2 * half)))):
        for pitch in (22.0, 0.0):
            score.head.move(score.now, score.now + half, [0.0, pitch])
            score.now += half


_ACTIONS = {
    "walk": _travel, "step": _travel, "turn": _turn, "stand": _stand, "wave": _wave, "raise": _raise,
    "reach": _extend, "point": _extend, "squat": _squat, "sit": _sit, "bow": _bow, "kick": _kick, "clap": _clap,
    "punch": _punch, "push": _push, "pick up": _pick_up, "look": _look, "nod": _nod,
}  # fmt: skip


# --- the whole body ---------------------------------------------------------------------------------------------------

_HIP, _KNEE, _ANKLE = {"left": 1, "right": 2}, {"left": 4, "right": 5}, {"left": 7, "right": 8}
_SHOULDER, _ELBOW, _WRIST = {"left": 16, "right": 17}, {"left": 18, "right": 19}, {"left": 20, "right": 21}
_SPINE, _NECK, _HEAD = (3, 6, 9), 12, 15
_MIDDLE1 = {"left": 28, "right": 43}


def pendulum(pressure: np.ndarray, height: float, fps: float) -> np.ndarray:
    """Centre of mass over a given centre of pressure: solve c - (h/g) c'' = p, at rest at both ends.

    Parameters
    ----------
    pressure
        (T, 2) centre of pressure, m.
    height
        Height of the centre of mass, m.
    fps
        Frames per second.

    Returns
    -------
    numpy.ndarray
        (T, 2) centre of mass, m.
    """
    t = len(pressure)
    k = height / GRAVITY * fps**2
    bands = np.zeros((3, t))
    bands[0, 2:], bands[1, 1:-1], bands[2, :-2] = -k, 1.0 + 2.0 * k, -k
    bands[1, [0, -1]] = 1.0
    return solve_banded((1, 1), bands, pressure)


def _turned(axis: str, angles: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) about an axis by angles (T,) in rad."""
    return Rotation.from_euler(axis, angles[:, None]).as_matrix()


def _rot(axis: str, degrees: np.ndarray) -> np.ndarray:
    return _turned(axis, np.radians(degrees))


def _arm_rotations(pose: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Local rotations of shoulder and elbow, (T, 3, 3) each, from the arm pose (T, 4) in degrees."""
    s = 1.0 if side == "left" else -1.0
    flexion, abduction, twist, elbow = pose.T
    shoulder = _rot("x", -flexion) @ _rot("z", s * (abduction - 90.0)) @ _rot("x", twist)
    return shoulder, _rot("y", -s * elbow)


def _leg(hip: np.ndarray, ankle: np.ndarray, thigh: np.ndarray, shank: np.ndarray, left_way: np.ndarray):
    """Close a leg: world rotations (T, 3, 3) of thigh and shank so that the ankle is reached; knees bend forward.

    ``left_way`` (T, 3) is the direction of the knee's hinge; ``thigh``, ``shank`` (3,) are the bones at rest.
    """
    target = ankle - hip
    distance = np.linalg.norm(target, axis=1)
    a = thigh[1] * shank[1] + thigh[2] * shank[2]
    b = thigh[2] * shank[1] - thigh[1] * shank[2]
    wanted = (distance**2 - thigh @ thigh - shank @ shank) / 2.0 - thigh[0] * shank[0]
    bend = np.arctan2(b, a) + np.arccos(np.clip(wanted / math.hypot(a, b), -1.0, 1.0))
    knee = _turned("x", bend)
    reach = thigh + knee @ shank

    def frame(along: np.ndarray, hinge: np.ndarray) -> np.ndarray:
        e1 = along / np.linalg.norm(along, axis=1, keepdims=True)
        e2 = hinge - e1 * np.sum(e1 * hinge, axis=1, keepdims=True)
        e2 /= np.linalg.norm(e2, axis=1, keepdims=True)
        return np.stack([e1, e2, np.cross(e1, e2)], axis=2)

    at_rest = frame(reach, np.broadcast_to([1.0, 0.0, 0.0], reach.shape))
    upper = frame(target, left_way) @ at_rest.transpose(0, 2, 1)
    return upper, upper @ knee


def _feet(score: Score, times: np.ndarray, heel: np.ndarray, toe: np.ndarray, side: str):
    """Ankle positions (T, 3), world rotations (T, 3, 3), yaw (T,), contacts of heel and toe (T, 2) of a foot.

    ``heel`` and ``toe`` (3,) are the sole points from the ankle at rest.
    """
    place, air = score.feet[side].sample(times), score.air[side].sample(times)
    clear, pitch = air[:, 0], air[:, 1].copy()
    contact = np.ones((len(times), 2))
    for begin, end, clearance, roll in score.swings[side]:
        s = (times - begin) / (end - begin)
        clear = clear + clearance * bump(s)
        if roll:  # the heel leaves before the toe, and lands first
            pitch += roll * bump((times - begin + HEEL_OFF) / (HEEL_OFF + 0.28))
            pitch -= 0.5 * roll * bump((s - 0.4) / 0.6)
            contact[(times > begin - HEEL_OFF + 1e-9) & (times <= begin), 0] = 0.0
        contact[(s > 1e-9) & (s < 1.0 - 1e-9)] = 0.0
    yaw = place[:, 2]
    turn = _turned("z", yaw)
    flat = turn @ UPRIGHT
    foot = flat @ _turned("x", pitch)
    lowest = np.minimum((foot @ heel)[:, 2], (foot @ toe)[:, 2])
    ankle = np.empty((len(times), 3))
    ankle[:, :2] = place[:, :2] - SOLE_CENTRE * turn[:, :2, 0]
    ankle[:, :2] += np.where(pitch > 0.0, ((flat - foot) @ toe)[:, :2].T, 0.0).T  # it rolls over the toe
    ankle[:, 2] = clear - lowest
    return ankle, foot, yaw, contact


def _solve(score: Score, body: BodyModel, betas: np.ndarray, fps: float) -> HumanMotion:
    times = np.arange(math.ceil(score.now * fps) + 1) / fps
    t = len(times)
    rest, sole = body.rest_joints(betas), body.rest_foot_points(betas)
    feet = {
        side: _feet(score, times, sole[2 * i] - rest[_ANKLE[side]], sole[2 * i + 1] - rest[_ANKLE[side]], side)
        for i, side in enumerate(SIDES)
    }
    heading = (feet["left"][2] + feet["right"][2]) / 2.0
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    lead = np.sum((feet["left"][0] - feet["right"][0])[:, :2] * forward, axis=1) / 2.0

    # posture: local rotations of the upper body
    trunk, head = score.trunk.sample(times), score.head.sample(times)
    local = np.tile(np.eye(3), (t, 55, 1, 1))
    pelvis = _turned("z", heading) @ UPRIGHT @ _rot("x", trunk[:, 0] + 1.5)
    turn = trunk[:, 2] + np.degrees(0.30 * lead)  # shoulders turn against the legs
    for joint in _SPINE:
        local[:, joint] = _rot("y", turn / 3.0) @ _rot("x", trunk[:, 1] / 3.0)
    for joint, share in ((_NECK, 0.4), (_HEAD, 0.6)):
        yaw = share * (head[:, 0] - np.degrees(0.30 * lead))
        local[:, joint] = _rot("y", yaw) @ _rot("x", share * head[:, 1])
    for side in SIDES:
        s = 1.0 if side == "left" else -1.0
        arm = score.arms[side].sample(times)
        swing = np.degrees(np.clip(1.7 * lead, -0.45, 0.45))
        arm[:, 0] -= s * swing
        arm[:, 3] += np.maximum(0.0, -s * swing) * 0.6
        local[:, _SHOULDER[side]], local[:, _ELBOW[side]] = _arm_rotations(arm, side)
        fingers = score.fingers[side].sample(times)
        first = 25 if side == "left" else 40
        for finger in range(4):
            for k in range(3):
                local[:, first + 3 * finger + k] = _rot("z", -s * fingers[:, 1 if finger == 0 else 0])
        thumb = np.clip(fingers[:, 1], 0.0, 40.0)
        for k in range(2):
            local[:, first + 13 + k] = _rot("y", s * 0.6 * thumb)

    # upper body with the pelvis at the origin; it does not change while the pelvis is placed
    pos = _upper_body(local, pelvis, rest, body.parents)
    upper_mass, upper_moment = _upper_mass(pos)
    height = float(np.mean([feet[s][0][0, 2] for s in SIDES]))
    length = {s: _bones(rest, s) for s in SIDES}
    stand = height + LEG_REACH * sum(float(np.linalg.norm(b)) for b in length["left"]) + float(rest[0, 1] - rest[1, 1])
    wanted = stand - 0.004 - score.drop.sample(times)[:, 0]
    mass = pendulum(score.pressure.sample(times), 0.57 * body_height(rest, sole), fps)

    root = np.column_stack([mass, wanted])
    for _ in range(8):
        root[:, 2] = wanted - _lowering(root, wanted, pos, feet, length, fps)
        legs = {}
        moment, total = upper_moment + upper_mass * root, upper_mass
        for side in SIDES:
            ankle, foot, yaw, _ = feet[side]
            hip = root + pos[:, _HIP[side]]
            hinge_yaw = (yaw + heading) / 2.0
            left_way = np.stack([-np.sin(hinge_yaw), np.cos(hinge_yaw), np.zeros(t)], axis=1)
            upper, lower = _leg(hip, ankle, *length[side], left_way)
            legs[side] = (upper, lower)
            knee = hip + upper @ length[side][0]
            ball = ankle + foot @ (sole[1 if side == "left" else 3] - rest[_ANKLE[side]])
            for a, b, share, where in (
                (hip, knee, 0.1416, 0.41), (knee, ankle, 0.0433, 0.446), (ankle, ball, 0.0137, 0.4),
            ):  # fmt: skip
                moment, total = moment + share * (a + where * (b - a)), total + share
        error = mass - (moment / total)[:, :2]
        root[:, :2] += error
    root[:, :2] -= error  # the legs were closed for the pelvis before the last correction

    for side in SIDES:
        upper, lower = legs[side]
        local[:, _HIP[side]] = pelvis.transpose(0, 2, 1) @ upper
        local[:, _KNEE[side]] = upper.transpose(0, 2, 1) @ lower
        local[:, _ANKLE[side]] = lower.transpose(0, 2, 1) @ feet[side][1]
    vectors = Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec().reshape(t, 55, 3)
    contact = np.concatenate([feet[s][3] for s in SIDES], axis=1)
    return HumanMotion(
        fps=fps,
        transl=root - rest[0],
        global_orient=Rotation.from_matrix(pelvis).as_rotvec(),
        body_pose=vectors[:, 1:22].reshape(t, 63),
        betas=betas,
        hand_pose=vectors[:, 25:].reshape(t, 90),
        contacts=contact,
    )


def body_height(rest: np.ndarray, sole: np.ndarray) -> float:
    """Stature in m, from the sole to the top of the head (the head joint lies at 0.9 of it)."""
    return float((rest[_HEAD, 1] - sole[0, 1]) / 0.9)


def _bones(rest: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    return rest[_KNEE[side]] - rest[_HIP[side]], rest[_ANKLE[side]] - rest[_KNEE[side]]


def _upper_body(local: np.ndarray, pelvis: np.ndarray, rest: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Joint positions (T, 55, 3) with the pelvis at the origin; below the hips they mean nothing yet."""
    rot, pos = np.empty_like(local), np.zeros(local.shape[:3])
    rot[:, 0] = pelvis
    for joint in range(1, 55):
        parent = parents[joint]
        rot[:, joint] = rot[:, parent] @ local[:, joint]
        pos[:, joint] = pos[:, parent] + rot[:, parent] @ (rest[joint] - rest[parent])
    return pos


def _upper_mass(pos: np.ndarray) -> tuple[float, np.ndarray]:
    """Mass share of everything but the legs, and its moment (T, 3) about the pelvis."""
    parts = [
        (0.1117, pos[:, 0]),
        (0.1633, pos[:, 6]),
        (0.1596, 0.5 * (pos[:, 9] + pos[:, 12])),
        (0.0694, pos[:, 15] + 0.35 * (pos[:, 15] - pos[:, 12])),
    ]
    for side in SIDES:
        shoulder, elbow, wrist = (pos[:, j[side]] for j in (_SHOULDER, _ELBOW, _WRIST))
        parts += [
            (0.0271, shoulder + 0.577 * (elbow - shoulder)),
            (0.0162, elbow + 0.457 * (wrist - elbow)),
            (0.0061, pos[:, _MIDDLE1[side]]),
        ]
    return sum(m for m, _ in parts), sum(m * p for m, p in parts)


def _lowering(root: np.ndarray, wanted: np.ndarray, pos: np.ndarray, feet: dict, length: dict, fps: float):
    """How far the pelvis must go below ``wanted`` (T,) so that both legs reach, smoothly; (T,) m."""
    need = np.zeros(len(root))
    for side in SIDES:
        hip = root + pos[:, _HIP[side]]
        ankle = feet[side][0]
        longest = LEG_REACH * sum(float(np.linalg.norm(b)) for b in length[side])
        flat = np.sum((hip - ankle)[:, :2] ** 2, axis=1)
        top = ankle[:, 2] + np.sqrt(np.maximum(longest**2 - flat, 0.01))
        need = np.maximum(need, wanted + pos[:, _HIP[side], 2] - top)
    # a moving maximum, then a smoothing no wider than it, never falls below the need
    width = max(1, round(0.18 * fps))
    envelope = maximum_filter1d(need, 2 * width + 1, mode="nearest")
    return gaussian_filter1d(envelope, width / 2.5, mode="nearest", truncate=2.5)
