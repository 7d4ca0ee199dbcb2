"""The score of a performance: tracks of feet, weight, trunk, arms and hands, written by the movements."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import min_jerk
from exoactor_core.constants import GRAVITY
from exoactor_core.contacts import FLOOR, HANDS, SIDES, Contact, ContactKind
from exoactor_core.errors import BadInput
from exoactor_gen.mannequin.movement import ARMS_USED, KINDS, Movement
from exoactor_gen.mannequin.objects import RoomObject
from exoactor_gen.mannequin.timeline import Track

AHEAD = {"forward": (1, 0), "left": (0, 1), "backward": (-1, 0), "right": (0, -1)}
"""m forward and to the left, per m in a direction."""
STAND_SECONDS = 0.7
"""s of standing at the start and at the end."""
MAX_STEP = {"forward": 0.40, "backward": 0.30, "left": 0.26, "right": 0.26}
"""m, maximum step length."""
USUAL_STEP = {"forward": 0.38, "backward": 0.26, "left": 0.24, "right": 0.24}
"""m, default step length."""
MAX_TURN_STEP = 30.0
"""Degrees, maximum turn per step."""
SHORTEST_ADULT = 1.5 / 1.7
"""Relative size of the shortest person whose movements have adult lengths."""
HALF_STANCE = 0.09
TOE_OUT = math.radians(5.0)
SOLE_CENTRE = 0.045
"""m from the ankle forward to the point of the sole that carries the weight."""
ARM_SPEED = 4.2
"""rad/s, maximum speed of arm movements, which are slowed accordingly."""
HEEL_OFF_SECONDS = 0.18
"""s by which the heel leaves the floor before the toe when walking forward."""

CLEARANCE = {"chair": 0.02, "stool": 0.02, "bar": 0.0}
"""m by which the middle of the person may approach an object's area on the floor; 0.2 for others."""

# Arm pose: flexion (forward and up), abduction (to the side), inward twist of the upper arm, elbow; degrees.
IDLE = (2.0, 14.0, 4.0, 16.0)
GUARD = (28.0, 8.0, 18.0, 112.0)
"""Fists in front of the chest."""


@dataclass(frozen=True)
class Reach:
    """A hand moves to a point, and stays there until the next one."""

    begin: float
    end: float
    frame: str
    """'world'; 'body': relative to the centre of mass at the pelvis' height, with the person's heading; 'aim': a
    straight arm points at the point; 'free': the arm's own track applies."""
    point: np.ndarray
    """(3,) m, for the centre of the hand."""
    lift: float = 0.0
    """m above the straight line."""


@dataclass(frozen=True)
class Seat:
    """The person sits down between the first two times and rises between the others."""

    times: tuple[float, float, float, float]
    height: float
    """m, of the seat."""


@dataclass(frozen=True)
class Jump:
    """The person crouches, takes off from both feet and lands on them, with a landing that mirrors the take-off.

    Forces are constant before and after the flight, so that its times follow from the lengths, all in m.
    """

    begin: float
    """s."""
    bend_seconds: float
    """s for crouching, and for rising after the landing."""
    height: float
    """Maximum height of the soles."""
    lowest: float
    """Of the pelvis, relative to standing: before the take-off, and after the landing."""
    take_off_height: float
    """Likewise when the toes leave the floor, and when they land: with bent legs, whose joints would otherwise turn too
    fast."""
    heel_off: float = 0.12
    """Rise of the pelvis from when the heels leave the floor to the take-off."""

    @property
    def _speed(self) -> float:
        """m/s at the take-off and at the landing."""
        return math.sqrt(2.0 * GRAVITY * self.height)

    @property
    def bottom(self) -> float:
        """s, lowest point before the take-off."""
        return self.begin + self.bend_seconds

    @property
    def take_off(self) -> float:
        """Time at which the toes leave the floor, s."""
        return self.bottom + 2.0 * (self.take_off_height - self.lowest) / self._speed

    @property
    def landing(self) -> float:
        """Time at which the toes touch the floor again, s."""
        return self.take_off + 2.0 * self._speed / GRAVITY

    @property
    def end(self) -> float:
        """Time at which the person stands again, s."""
        return self.landing + self.take_off - self.begin

    def sample(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """At times (T,): m of the pelvis relative to standing, m of the soles, and lift of the heels in [0, 1]."""
        middle = (self.take_off + self.landing) / 2.0
        t = middle - np.abs(times - middle)
        push, air = np.clip(t - self.bottom, 0.0, self.take_off - self.bottom), np.maximum(t - self.take_off, 0.0)
        soles = self._speed * air - 0.5 * GRAVITY * np.square(air)
        pushed = 0.5 * self._speed / (self.take_off - self.bottom) * np.square(push)
        heels = np.clip(1.0 - (self.take_off_height - self.lowest - pushed) / self.heel_off, 0.0, 1.0)
        return self.lowest * min_jerk((t - self.begin) / self.bend_seconds) + pushed + soles, soles, heels


def other(side: str) -> str:
    """The other side."""
    return "right" if side == "left" else "left"


def sign(side: str) -> float:
    """1 for the left, -1 for the right: the direction of a side along y."""
    return 1.0 if side == "left" else -1.0


def sides_of(side: str | None, default: str = "right") -> tuple[str, ...]:
    """'left', 'right' or 'both' as a tuple."""
    side = side or default
    return SIDES if side == "both" else (side,)


def arms_used(movement: Movement) -> frozenset[str]:
    """Sides of the arms that a movement uses; empty if it uses none."""
    used = movement.kind in ARMS_USED
    return frozenset(sides_of(movement.side, KINDS[movement.kind].side)) if used else frozenset()


def heading_vector(yaw: float) -> np.ndarray:
    """(2,) unit vector in the direction of a heading, rad."""
    return np.array([math.cos(yaw), math.sin(yaw)])


def _centre(pose: ArrayLike, side: str, scale: float = 1.0) -> np.ndarray:
    """Sole centre and yaw (x, y, yaw) of a foot of a person who stands at x, y with a yaw."""
    (x, y, yaw), s, half = np.asarray(pose), sign(side), scale * HALF_STANCE
    return np.array([x - s * half * math.sin(yaw), y + s * half * math.cos(yaw), yaw + s * TOE_OUT])


@dataclass
class Score:
    """Tracks written by the movements; ``now`` is where the next one begins."""

    now: float = STAND_SECONDS
    size: float = 1.0
    """Height of the person relative to 1.70 m."""
    taken: frozenset[str] = frozenset()
    """Names of objects that hands take at some time, but not from the floor."""
    imagines: bool = True
    """Whether objects that are mentioned are added to the room; False: a scene was given."""
    pose: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """x, y, yaw of the standing person."""
    feet: dict[str, Track] = field(init=False)
    """Sole centre x, y and yaw."""
    air: dict[str, Track] = field(default_factory=lambda: {s: Track([0.0, 0.0]) for s in SIDES})
    """Height of the lowest point of the sole, pitch (toe down positive)."""
    swings: dict[str, list[tuple[float, float, float, float]]] = field(default_factory=lambda: {s: [] for s in SIDES})
    """Begin, end, clearance in m, roll of the foot in rad; clearance 0: the air track lifts it."""
    pressure: Track = field(default_factory=lambda: Track([0.0, 0.0]))
    """Centre of pressure, x, y."""
    drop: Track = field(default_factory=lambda: Track([0.0]))
    """m by which the pelvis is lowered."""
    trunk: Track = field(default_factory=lambda: Track([0.0, 0.0, 0.0]))
    """Pitch of the pelvis, pitch of the spine, turn of the spine to the left; degrees."""
    side_bend: Track = field(default_factory=lambda: Track([0.0]))
    """Of the spine, to the left; degrees."""
    head: Track = field(default_factory=lambda: Track([0.0, 0.0]))
    """Turn to the left, pitch down; degrees."""
    arms: dict[str, Track] = field(default_factory=lambda: {s: Track(IDLE) for s in SIDES})
    fingers: dict[str, Track] = field(default_factory=lambda: {s: Track([20.0, 18.0]) for s in SIDES})
    """Curl of each joint of the three outer fingers, and of the index finger; degrees."""
    hands: dict[str, list[Reach]] = field(default_factory=lambda: {s: [] for s in SIDES})
    """Hand targets; elsewhere the arms' own tracks apply."""
    palms: dict[str, Track] = field(default_factory=lambda: {s: Track([0.0]) for s in SIDES})
    """1: the palm lies flat on the surface below; 0: the wrist is straight."""
    seats: list[Seat] = field(default_factory=list)
    jumps: list[Jump] = field(default_factory=list)
    objects: dict[str, RoomObject] = field(default_factory=dict)
    """Objects in the room, by name."""
    held: dict[str, str] = field(default_factory=dict)
    """Name of the object held by the hand of each side."""
    turned: dict[str, float] = field(default_factory=dict)
    """rad, rotation of held objects relative to the person, by name."""
    contacts: list[Contact] = field(default_factory=list)
    """Planned contacts of the body with objects."""
    stay_up: frozenset[str] = frozenset()
    """Sides of the arms that the next movement leaves up, since they are lowered later."""
    rest: tuple[float, ...] = IDLE
    """Pose to which arms return after a gesture."""
    past: list[np.ndarray] = field(default_factory=lambda: [np.zeros(2)])
    """x, y of places where the person has stood."""

    def __post_init__(self) -> None:
        self.feet = {side: Track(_centre(self.pose, side, self.scale)) for side in SIDES}

    @property
    def scale(self) -> float:
        """Factor on lengths of movements, which is 1 for adults of any stature."""
        return min(1.0, self.size / SHORTEST_ADULT)

    @property
    def standing(self) -> list[RoomObject]:
        """Objects that no hand holds."""
        return [obj for name, obj in self.objects.items() if name not in self.held.values()]

    @property
    def low_reach(self) -> bool:
        """Whether the person has the robot's size, which can hardly reach the floor with one hand."""
        return self.size < 0.8

    def arm(self, side: str, target: tuple[float, ...], seconds: float, at: float | None = None) -> float:
        """Move an arm, no faster than `ARM_SPEED`; returns the time of arrival."""
        begin = self.now if at is None else at
        reach = math.radians(float(np.linalg.norm(np.asarray(target) - self.arms[side].value)))
        end = begin + max(seconds, 1.875 * reach / ARM_SPEED)
        self.arms[side].move(begin, end, target)
        return end

    def bend(
        self, begin: float, end: float, drop: float = 0.0, trunk: ArrayLike = (0.0, 0.0, 0.0), head: float = 0.0
    ) -> None:
        """Lower the pelvis by ``drop`` m, and pitch trunk and head; stand upright by default."""
        self.drop.move(begin, end, [drop])
        self.trunk.move(begin, end, trunk)
        self.head.move(begin, end, [0.0, head])

    def stand_on(self, side: str | None) -> np.ndarray:
        """Shift the weight to a foot, or to the middle between both; returns the position."""
        if side:
            return self.feet[side].value[:2]
        return (self.feet["left"].value[:2] + self.feet["right"].value[:2]) / 2.0

    def step(
        self,
        side: str,
        pace: float,
        swing: float = 0.42,
        double: float = 0.16,
        clearance: float = 0.06,
        roll: float = 0.0,
    ) -> None:
        """Shift the weight to the other foot and move this one to its place for a standing person at ``pose``."""
        swing, double = swing / pace, double / pace
        lift = self.now + double
        self.pressure.move(self.now, lift, self.stand_on(other(side)))
        self.now = lift + swing
        self.feet[side].move(lift, self.now, _centre(self.pose, side, self.scale))
        self.swings[side].append((lift, self.now, self.scale * clearance, roll))
        self.past.append(self.pose[:2].copy())
        for obj in self.standing:
            if obj.distance(self.pose) < self.scale * CLEARANCE.get(obj.kind, 0.2):
                raise BadInput(f"The path leads through the {obj.name}: go around it, or turn first.")

    def swing_foot(
        self, side: str, ways: Sequence[tuple[float, float, float, float]], pace: float
    ) -> list[tuple[float, float]]:
        """Stand on the other foot, move this one, and put it back down; returns begin and end of each way, s.

        Each of ``ways`` is the foot's position forward and up, m, its pitch, degrees, and the duration in s at the
        usual pace.
        """
        foot, air, home = self.feet[side], self.air[side], self.feet[side].value.copy()
        ahead = np.append(heading_vector(self.pose[2]), 0.0)
        self.pressure.move(self.now, self.now + 0.7, self.stand_on(other(side)))
        lift = self.now = self.now + 0.6
        times = []
        for distance, height, pitch, seconds in (*ways, (0.0, 0.0, 0.0, 0.45)):
            begin, self.now = self.now, self.now + seconds / pace
            foot.move(begin, self.now, home + distance * ahead)
            air.move(begin, self.now, [height, math.radians(pitch)])
            times.append((begin, self.now))
        self.swings[side].append((lift, self.now, 0.0, 0.0))
        return times

    @contextmanager
    def resting(self, arm: tuple[float, ...]) -> Iterator[None]:
        """Within it gestures leave trunk and pelvis where they are, and arms go back to a pose other than `IDLE`."""
        posture = self.trunk, self.drop
        self.trunk, self.drop, self.rest = copy.deepcopy(self.trunk), copy.deepcopy(self.drop), arm
        yield
        (self.trunk, self.drop), self.rest = posture, IDLE

    def settle(self, seconds: float = 0.45) -> None:
        """Bring the weight between the feet."""
        self.pressure.move(self.now, self.now + seconds, self.stand_on(None))
        self.now += seconds

    def walk(self, direction: str, count: int, length: float, pace: float = 1.0, first: str = "right") -> None:
        """Walk with equal steps, then bring the feet together; sideways each step is closed by the other foot."""
        dx, dy = AHEAD[direction]
        ahead = self.ahead(length * dx, length * dy) - self.pose[:2]
        side = direction if direction in SIDES else first
        roll = 0.34 * min(1.0, length / (0.4 * self.scale)) if direction == "forward" else 0.0
        closing = direction in SIDES
        for _ in range(count):
            self.pose[:2] += ahead
            self.step(side, pace, roll=roll)
            if closing:
                self.step(other(side), pace, swing=0.38)
            else:
                side = other(side)
        if not closing:
            self.step(side, pace, roll=roll / 2)
        self.settle()

    def walk_distance(self, direction: str, distance: float, pace: float = 1.0) -> None:
        """Walk a distance with as many steps as necessary."""
        count = max(1, math.ceil(distance / (self.scale * MAX_STEP[direction]) - 1e-9))
        self.walk(direction, count, distance / count, pace)

    def turn(self, degrees: float, pace: float = 1.0) -> None:
        """Turn on the spot, to the left if positive: the inner foot opens, the outer one closes."""
        count = max(1, math.ceil(abs(degrees) / MAX_TURN_STEP - 1e-9))
        inner = "left" if degrees > 0.0 else "right"
        for _ in range(count):
            self.pose[2] += math.radians(degrees / count)
            for side in (inner, other(inner)):
                self.step(side, pace, swing=0.38, clearance=0.05)
        self.settle()

    def ahead(self, forward: float, left: float = 0.0) -> np.ndarray:
        """x, y of a point relative to the standing person."""
        c, s = math.cos(self.pose[2]), math.sin(self.pose[2])
        x, y, _ = self.pose
        return np.array([x + c * forward - s * left, y + s * forward + c * left])

    def contact(
        self,
        body: str,
        obj: RoomObject,
        kind: ContactKind,
        start: float,
        end: float,
        point: ArrayLike | None = None,
        normal: tuple[float, float, float] | None = None,
    ) -> None:
        """Plan a contact; ``point`` (3,) m is the contact point in the world at the start.

        ``normal`` is that of the surface there, in the object's frame, if it is not the closest one.
        """
        pos = None
        if point is not None:
            turn = Rotation.from_euler("z", -obj.pose[3])
            local = turn.apply(np.asarray(point) - obj.pose[:3]) + obj.underside
            at = np.clip(local, *obj.item.nearest_box(local))  # the palm is in front of the hand's centre
            pos = tuple(at.tolist())
        self.contacts.append(
            Contact(
                body=body,  # type: ignore[arg-type]
                object=obj.item.id,
                kind=kind,
                start=start,
                end=end,
                pos_object=pos,
                normal_object=normal,
            )
        )

    def gesture(self, begin: float) -> None:
        """Plan a gesture of the arms that have moved since then: they must be visible, and touch nothing."""
        for side, body in zip(SIDES, HANDS, strict=True):
            moved = [*(start for start, *_ in self.arms[side].moves), *(reach.begin for reach in self.hands[side])]
            if max(moved, default=-math.inf) >= begin:
                self.contacts.append(Contact(body=body, object=FLOOR, kind="gesture", start=begin, end=self.now))

    def end_contacts(self, obj: RoomObject, end: float) -> None:
        """End the ongoing contacts with an object."""
        for k, contact in enumerate(self.contacts):
            if contact.object == obj.item.id and contact.end > end:
                self.contacts[k] = contact.model_copy(update={"end": end})

    def reach(self, side: str, frame: str, point: ArrayLike, begin: float, end: float, lift: float = 0.0) -> None:
        """Move a hand to a point."""
        self.hands[side].append(Reach(begin, end, frame, np.asarray(point, dtype=float), lift))
