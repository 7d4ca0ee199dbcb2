"""The gate between rehearsal and robot: reasons to refuse a rehearsed motion, one sentence each.

Lengths in m, angles in rad. The limits were chosen on the 28 shared motions and 292 of our generator, such that what a
G1 does well passes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from exoactor_control.metrics import SATURATION_THRESHOLD
from exoactor_control.reference.repair import resting
from exoactor_core.arrays import true_runs
from exoactor_core.motion import JOINT_NAMES, RobotMotion
from exoactor_core.robot import VELOCITY_LIMITS, self_collision_depth, sole_points
from exoactor_core.stages import Metrics
from exoactor_description import Hands

COLLISION_DEPTH = 0.02
"""m that links may overlap by the URDF's shapes: about how far two of them protrude from the real surfaces."""
COLLISION_FORCE = 50.0
"""N with which links may press on each other: twice an arm's weight. In the rehearsal's physics they hardly overlap."""
COLLISION_TIME = 0.1
"""s of either, in total."""
MAX_SATURATION = 0.2
"""Share of the time for which any one motor may be saturated."""
PELVIS_SPEED = 3.0
"""m/s; the G1 walks at 2."""
MAX_STRAY = 1.0
"""m of the pelvis from its position in the motion: a robot that saves itself from a fall by running is not where it
should be, though its posture is right."""
FLOOR_STEP = 0.03
"""m that a foot may rest above the floor when the other is no lower; the repair of a reference leaves up to this
much."""
_LONG_REST_SECONDS, _HIGH_RESTS_SECONDS = 0.5, 0.3  # continuously; in total, twice as high above the floor (stairs)


@dataclass
class Load:
    """Loads on the robot in the course of a motion; call `add` in every physics step."""

    torque_limits: np.ndarray
    """(29,) N m."""
    steps: int = 0
    saturated: np.ndarray = field(default_factory=lambda: np.zeros(len(JOINT_NAMES)))
    """(29,) number of steps in which each motor was saturated."""
    any_saturated: int = 0
    """Number of steps in which any motor was saturated."""
    fastest: np.ndarray = field(default_factory=lambda: np.zeros(len(JOINT_NAMES)))
    """(29,) rad/s."""
    pelvis_speed: float = 0.0
    """m/s, maximum."""
    pressed: float = 0.0
    """s for which links pressed on each other with more than `COLLISION_FORCE`."""
    greatest_force: float = 0.0
    """N, maximum force between two links."""
    pressing: tuple[str, str] | None = None
    """The two links with the maximum force."""

    def press(self, force: float, pair: tuple[str, str] | None, duration: float) -> None:
        """Add the largest force (N) between two links, and which two these are, for a duration (s)."""
        self.pressed += duration * (force > COLLISION_FORCE)
        if force > self.greatest_force:
            self.greatest_force, self.pressing = force, pair

    def add(self, torque: np.ndarray, joint_vel: np.ndarray, pelvis_speed: float = 0.0) -> None:
        """Add one step: commanded torques (29,) N m, joint velocities (29,) rad/s, the pelvis' speed, m/s."""
        high = np.abs(torque) >= SATURATION_THRESHOLD * self.torque_limits
        self.steps += 1
        self.saturated += high
        self.any_saturated += bool(high.any())
        self.fastest = np.maximum(self.fastest, np.abs(joint_vel))
        self.pelvis_speed = max(self.pelvis_speed, pelvis_speed)

    @property
    def saturation(self) -> float:
        """Share of the time in which any motor was saturated."""
        return self.any_saturated / max(1, self.steps)


def judge(
    reference: RobotMotion, actual: RobotMotion, load: Load, report: Metrics, area: float, hands: Hands = "fists"
) -> list[str]:
    """Return why a rehearsed motion must not go to a robot, one sentence each; empty if it may.

    ``reference`` is the prepared motion, ``actual`` the simulated robot's motion, ``load`` its loads, and ``report``
    the `exoactor_control.metrics.score`. The pelvis may get ``area`` m from its start; 0: no limit. ``hands`` are those
    that are fitted.
    """
    found = [
        _failure(report, len(actual) < len(reference)),
        _collision(reference, actual, load, hands),
        _saturation(load),
        _speed(load),
        _leaving(reference, actual, area),
        _straying(reference, actual),
        _off_floor(reference),
    ]
    return [reason for reason in found if reason]


def _failure(report: Metrics, aborted: bool) -> str:
    if report["fell"]:
        return f"The robot falls: {report['reason']}."
    return f"The motion was aborted: {report['reason']}." if aborted else ""


def _collision(reference: RobotMotion, actual: RobotMotion, load: Load, hands: Hands) -> str:
    depth, pairs = self_collision_depth(actual, hands)
    deep = depth > COLLISION_DEPTH
    if deep.sum() / actual.fps > COLLISION_TIME:
        found = f" deeper than {100 * COLLISION_DEPTH:g} cm in {deep.sum()} frames: {_deepest(actual, depth, pairs)}"
    elif load.pressed > COLLISION_TIME:
        where = " and ".join(load.pressing or ())
        found = (
            f": contact forces over {COLLISION_FORCE:g} N for {load.pressed:.1f} s, "
            f"up to {load.greatest_force:.0f} N between {where}"
        )
    else:
        return ""
    depth, pairs = self_collision_depth(reference, hands)
    itself = f" In the motion itself {_deepest(reference, depth, pairs)}." if depth.max() > COLLISION_DEPTH else ""
    return f"Self-collision{found}.{itself}"


def _deepest(motion: RobotMotion, depth: np.ndarray, pairs: list[tuple[str, str] | None]) -> str:
    """Which links overlap most according to `self_collision_depth`, how deep and when."""
    worst = int(depth.argmax())
    one, other = pairs[worst] or ("", "")
    return f"{one} and {other} overlap by {100 * depth[worst]:.1f} cm at {worst / motion.fps:.1f} s"


def _saturation(load: Load) -> str:
    share = load.saturated / max(1, load.steps)
    worst = int(share.argmax())
    if share[worst] <= MAX_SATURATION:
        return ""
    return (
        f"{JOINT_NAMES[worst]} is at its torque limit {share[worst]:.0%} of the time, more than {MAX_SATURATION:.0%}."
    )


def _speed(load: Load) -> str:
    share = load.fastest / VELOCITY_LIMITS
    worst = int(share.argmax())
    if share[worst] > 1.0:
        return (
            f"{JOINT_NAMES[worst]} turns at {load.fastest[worst]:.1f} rad/s, more than its motor's "
            f"{VELOCITY_LIMITS[worst]:g}."
        )
    speed = load.pelvis_speed
    return f"The pelvis moves at {speed:.1f} m/s, more than {PELVIS_SPEED:g}." if speed > PELVIS_SPEED else ""


def farthest(motion: RobotMotion) -> float:
    """Return the maximum horizontal distance of the pelvis from its start, m."""
    return float(np.linalg.norm(motion.root_pos[:, :2] - motion.root_pos[0, :2], axis=1).max(initial=0.0))


def _leaving(reference: RobotMotion, actual: RobotMotion, area: float) -> str:
    away = max(farthest(reference), farthest(actual))
    return f"It gets {away:.1f} m away from its start, more than {area:g} m." if away > area > 0.0 else ""


def strayed(reference: RobotMotion, actual: RobotMotion) -> np.ndarray:
    """Return the horizontal distance (T,) m of the pelvis from its position in the motion."""
    n = min(len(reference), len(actual))
    return np.linalg.norm((actual.root_pos[:n] - reference.root_pos[:n])[:, :2], axis=1)


def _straying(reference: RobotMotion, actual: RobotMotion) -> str:
    off = strayed(reference, actual)
    worst = int(off.argmax())
    if off[worst] <= MAX_STRAY:
        return ""
    return (
        f"It is {off[worst]:.1f} m from where it should be at {worst / reference.fps:.1f} s, more than {MAX_STRAY:g} m."
    )


def _off_floor(reference: RobotMotion) -> str:
    """A foot that rests where there is no floor, while the other is no lower: on a step or a box, or in a pit."""
    soles = sole_points(reference)
    lowest = soles[..., 2].min(axis=(1, 2))
    if len(reference) < 2:
        return ""
    rest = resting(soles, reference.fps).any(axis=1)
    for height, where in ((lowest, "above"), (-lowest, "below")):
        start, end = max(true_runs(rest & (height > FLOOR_STEP)), key=lambda run: run[1] - run[0], default=(0, 0))
        long = (end - start) / reference.fps > _LONG_REST_SECONDS
        high = rest & (height > 2.0 * FLOOR_STEP)
        if long or high.sum() / reference.fps > _HIGH_RESTS_SECONDS:
            start = start if long else int(high.argmax())
            return (
                f"A foot rests {100 * height[rest].max():.0f} cm {where} the floor from {start / reference.fps:.1f} s "
                f"on, more than {100 * FLOOR_STEP:g} cm: the motion needs a step that is not there."
            )
    return ""
