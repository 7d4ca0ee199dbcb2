"""Was the task done? Checks on the outcome of a scene and the robot, and their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import points_in_frame, sustained
from exoactor_core.contacts import BODY_PARTS, HANDS, BodyPart
from exoactor_core.errors import BadInput
from exoactor_core.scene import Scene, SceneObject
from exoactor_core.validation import FrozenModel, to_json, validated

CheckKind = Literal[
    "in",
    "on",
    "at",
    "set_down",
    "lifted",
    "moved",
    "turned",
    "opened",
    "closed",
    "touched",
    "wiped",
    "kicked",
    "sat",
    "stands",
    "robot_near",
    "robot_around",
    "robot_through",
    "robot_between",
]

_HELD = 0.3  # s for which an object must stay lifted, or sat on
_SINKING = 0.1  # s over which the downward speed is averaged: tracked poses are some mm off
_STANDING_PELVIS = 0.6  # m, of a robot that stands upright


class Check(FrozenModel):
    """One outcome that a task is to bring about.

    ============= =================================================== =======================
    kind          passed where                                        figure
    ============= =================================================== =======================
    in            the object's middle ends inside the target          m that it is outside
    on            it ends standing on the target ("": the floor)      m beside or above it
    at            it ends at ``place``, or at the target              m from there
    set_down      it never came down faster than ``tolerance`` m/s    m/s, over 0.1 s
    lifted        it was ``amount`` m higher for 0.3 s                m
    moved         it ends ``amount`` m away (along ``place``)         m
    turned        it ends turned ``amount`` rad about the vertical    rad
    opened        its articulation ends ``amount`` further            rad or m
    closed        the same, where it stood open                       rad or m
    touched       a body part pressed on it with ``amount`` N         N, over 20 ms
    wiped         hands pressed on it for ``amount`` s in all         s, with 1 N or more
    kicked        a foot touched it, and it moved ``amount`` m        m
    sat           the seat pressed on it with ``amount`` N for 0.3 s  N
    stands        it, or the robot, ends within ``tolerance`` upright rad
    robot_near    the robot ends within ``tolerance`` of it           m
    robot_around  it goes around it by ``amount`` rad in all          rad
    robot_through it crosses its middle plane, between its ends       m beside, or before it
    robot_between it crosses the line from it to the target           m beside, or before it
    ============= =================================================== =======================
    """

    kind: CheckKind
    object: str = ""
    """Id; empty: the robot (for `stands` and `at`)."""
    target: str = ""
    """Id of another object; empty: the floor (for `on`), or none."""
    amount: float | None = Field(default=None, ge=0.0)
    """In the unit of the figure; None: the kind's default."""
    tolerance: float | None = Field(default=None, ge=0.0)
    """Likewise."""
    place: tuple[float, float] | None = None
    """x, y: for `at` the target position, m; for `moved` a direction."""
    body: BodyPart | None = None
    """For `touched`: the body part; None: any."""


@dataclass(frozen=True)
class Rollout:
    """Recorded motion of objects and robot, T frames."""

    scene: Scene
    fps: float
    poses: np.ndarray
    """(T, n, 7) m and w, x, y, z of the objects in the world, in the scene's order."""
    root: np.ndarray
    """(T, 7) of the robot's pelvis."""
    forces: np.ndarray | None = None
    """(T, n, len(BODY_PARTS)) N, normal force of each body part on each object, mean over the frame; None: unknown."""
    unobserved: frozenset[str] = frozenset()
    """Ids of the objects whose final pose is unknown."""

    def path(self, object_id: str) -> np.ndarray:
        """(T, 7) poses of an object, or of the pelvis if the id is empty; raises `BadInput` for an unknown id."""
        if not object_id:
            return self.root
        self.scene[object_id]
        return self.poses[:, self.scene.ids.index(object_id)]

    def final(self, object_id: str) -> SceneObject:
        """An object at its final pose."""
        return self.scene[object_id].at(self.path(object_id)[-1])

    def pressed(self, object_id: str, parts: Sequence[str]) -> np.ndarray:
        """(T,) N, force of body parts on an object."""
        if self.forces is None:
            raise Unobserved("The forces on objects are not measured")
        chosen = [BODY_PARTS.index(part) for part in parts]
        return self.forces[:, self.scene.ids.index(object_id)][:, chosen].sum(axis=1)


@dataclass(frozen=True)
class Result:
    """Result of a check."""

    check: Check
    figure: float | None
    """None: unknown."""
    passed: bool | None
    """None: unknown."""
    sentence: str

    def data(self) -> dict[str, Any]:
        """JSON-ready values for a report."""
        wanted = self.check.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return {**wanted, "figure": self.figure, "passed": self.passed, "sentence": self.sentence}


class Unobserved(Exception):
    """The data for a check was not observed; the message is a clause."""


def evaluate(checks: Sequence[Check], rollout: Rollout) -> list[Result]:
    """Evaluate checks on a rollout; a check whose data was not observed is neither passed nor failed.

    Raises
    ------
    BadInput
        A check names an object that the scene lacks, or lacks what its kind needs.
    """
    results = []
    for check in checks:
        try:
            lost = sorted({check.object, check.target} & rollout.unobserved)
            if lost:
                raise Unobserved(f"The {lost[0]} was not observed to the end")
            results.append(_evaluated(check, rollout))
        except Unobserved as error:
            what = f"{check.kind.replace('_', ' ')}{f' ({check.object})' if check.object else ''}"
            results.append(Result(check, None, None, f"{error}: whether the check '{what}' passed is not known."))
    return results


def task_metrics(results: Sequence[Result], success: bool) -> dict[str, Any]:
    """``task_success`` and ``checks`` of a report, given whether the motion succeeded; None: unknown."""
    passed = [success, *(result.passed for result in results)]
    task_success = False if False in passed else None if None in passed else True
    return {"task_success": task_success, "checks": [result.data() for result in results]}


def _evaluated(check: Check, rollout: Rollout) -> Result:
    kind = _KINDS[check.kind]
    amount = kind.amount if check.amount is None else check.amount
    tolerance = kind.tolerance if check.tolerance is None else check.tolerance
    if not check.object and check.kind not in ("stands", "at"):
        raise BadInput(f"The check '{check.kind}' needs an object.")
    figure = kind.figure(check, rollout)
    if check.kind == "stands" and not check.object and rollout.root[-1, 2] < _STANDING_PELVIS:
        figure = max(figure, np.pi / 2)
    if check.kind == "kicked" and not rollout.pressed(check.object, ("left_foot", "right_foot")).any():
        figure = 0.0
    passed = figure <= tolerance if kind.at_most else figure >= amount - tolerance
    unit = kind.unit
    if (
        check.kind in ("opened", "closed")
        and (joint := rollout.scene[check.object].articulation)
        and joint.kind == "hinge"
    ):
        unit = "rad"
    limit = f"at most {tolerance:.3g}" if kind.at_most else f"at least {amount - tolerance:.3g}"
    target = "its place" if check.place else f"the {check.target or 'floor'}"
    said = kind.sentence.format(object=check.object or "robot", target=target, figure=f"{figure:.3g} {unit}")
    return Result(check, float(figure), bool(passed), f"{said}; {limit} {unit} is asked for.")


def _middle(obj: SceneObject, path: np.ndarray) -> np.ndarray:
    """(T, 3) m, the object's centre."""
    turns = Rotation.from_quat(path[:, 3:], scalar_first=True)
    return path[:, :3] + turns.apply(obj.bounds.mean(axis=0))


def _position(rollout: Rollout, object_id: str) -> np.ndarray:
    """Positions (T, 3) m of the centre of an object, or of the robot's pelvis."""
    path = rollout.path(object_id)
    return _middle(rollout.scene[object_id], path) if object_id else path[:, :3]


def _outside(check: Check, rollout: Rollout) -> float:
    target = rollout.final(check.target)
    point = points_in_frame(target.pose, _position(rollout, check.object)[-1])
    return float(_beyond(point, target.bounds).max())


def _beyond(point: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Distance of a point (D,) m from its bounds (2, D) m along each axis."""
    return np.maximum(np.maximum(bounds[0] - point, point - bounds[1]), 0.0)


def _above(check: Check, rollout: Rollout) -> float:
    low, _ = rollout.final(check.object).extent
    if not check.target:
        return abs(float(low[2]))
    target = rollout.final(check.target)
    beside = _beyond(_position(rollout, check.object)[-1], target.extent)[:2].max()
    # a shelf has several surfaces, and a chair's seat is lower than its back: the nearest one counts
    return float(max(beside, np.abs(low[2] - target.heights[:, 1]).min()))


def _distance(check: Check, rollout: Rollout) -> float:
    if check.place is None and not check.target:
        raise BadInput("The check 'at' needs a position or a target.")
    goal = np.array(check.place) if check.place else _position(rollout, check.target)[-1, :2]
    return float(np.linalg.norm(_position(rollout, check.object)[-1, :2] - goal))


def _risen(check: Check, rollout: Rollout) -> float:
    height = _position(rollout, check.object)[:, 2]
    return float(sustained(height - height[0], round(_HELD * rollout.fps)))


def _sinking(check: Check, rollout: Rollout) -> float:
    height = _position(rollout, check.object)[:, 2]
    frames = min(max(1, round(_SINKING * rollout.fps)), len(height) - 1)
    return float(np.max(height[:-frames] - height[frames:], initial=0.0)) * rollout.fps / frames


def _shift(check: Check, rollout: Rollout) -> float:
    path = _position(rollout, check.object)[:, :2]
    moved = path[-1] - path[0]
    if check.place is None:
        return float(np.linalg.norm(moved))
    return float(moved @ check.place / np.linalg.norm(check.place))


def _turned(check: Check, rollout: Rollout) -> float:
    turn = Rotation.from_quat(rollout.path(check.object)[[0, -1], 3:], scalar_first=True)
    return float(abs((turn[1] * turn[0].inv()).as_rotvec()[2]))


def _opened(check: Check, rollout: Rollout) -> float:
    joint = rollout.scene[check.object].articulation
    if joint is None:
        raise BadInput(f"The {check.object} cannot be opened: it has no articulation.")
    first, last = rollout.path(check.object)[[0, -1]]
    turn = Rotation.from_quat(first[3:], scalar_first=True)
    if joint.kind == "slide":
        return float(abs(turn.apply(joint.direction) @ (last[:3] - first[:3])))
    return float(abs((turn.inv() * Rotation.from_quat(last[3:], scalar_first=True)).as_rotvec() @ joint.direction))


def _touched(check: Check, rollout: Rollout) -> float:
    return float(rollout.pressed(check.object, (check.body,) if check.body else BODY_PARTS).max())


def _wiped(check: Check, rollout: Rollout) -> float:
    return float((rollout.pressed(check.object, HANDS) >= 1.0).sum() / rollout.fps)


def _sat(check: Check, rollout: Rollout) -> float:
    return float(sustained(rollout.pressed(check.object, ("seat",)), round(_HELD * rollout.fps)))


def _tilt(check: Check, rollout: Rollout) -> float:
    path = rollout.path(check.object)
    ups = Rotation.from_quat(path[:, 3:], scalar_first=True).as_matrix()[:, :, 2]
    upright = ups[0] if check.object else np.array([0.0, 0.0, 1.0])
    return float(np.arccos(np.clip(ups[-1] @ upright, -1.0, 1.0)))


def _robot_away(check: Check, rollout: Rollout) -> float:
    return float(rollout.final(check.object).floor_distance(rollout.root[-1, :2]))


def _swept(check: Check, rollout: Rollout) -> float:
    """Angle about the object that the robot swept; going back and forth counts once."""
    x, y = (rollout.root[:, :2] - _position(rollout, check.object)[0, :2]).T
    return float(np.ptp(np.unwrap(np.arctan2(y, x))))


def _beside_passage(check: Check, rollout: Rollout) -> float:
    """Distance beside the object as it stands at the start: a door, a bar, or two posts with a passage between them."""
    obj = rollout.scene[check.object].at(rollout.path(check.object)[0])
    path = points_in_frame(obj.pose, rollout.root[:, :3]) - obj.bounds.mean(axis=0)
    width, depth = np.ptp(obj.bounds, axis=0)[:2], int(np.argmin(np.ptp(obj.bounds, axis=0)[:2]))
    ahead, aside = path[:, depth], np.abs(path[:, 1 - depth])
    return _off_passage(ahead, np.maximum(aside - width[1 - depth] / 2.0, 0.0))


def _beside_gap(check: Check, rollout: Rollout) -> float:
    """Distance beside the line between the centres of two objects as they stand at the start."""
    one, two = (_position(rollout, name)[0, :2] for name in (check.object, check.target))
    along = (two - one) / max(float(np.linalg.norm(two - one)), 1e-9)
    path = rollout.root[:, :2] - one
    ahead, aside = path @ np.array([-along[1], along[0]]), path @ along
    return _off_passage(ahead, np.maximum(np.maximum(-aside, aside - (two - one) @ along), 0.0))


def _off_passage(ahead: np.ndarray, beside: np.ndarray) -> float:
    """Distance ``beside`` a passage (T,) m at which its line is crossed, or from that line: ``ahead`` (T,) m of it."""
    crosses = np.flatnonzero(ahead[1:] * ahead[:-1] <= 0.0)
    return float(beside[crosses].min() if len(crosses) else np.abs(ahead).min())


@dataclass(frozen=True)
class _Kind:
    """How a kind of check is evaluated."""

    figure: Callable[[Check, Rollout], float]
    sentence: str
    amount: float = 0.0
    """Default minimum of the figure."""
    tolerance: float = 0.0
    """Default tolerance below that; for kinds without an amount, the maximum of the figure."""
    unit: str = "m"

    @property
    def at_most(self) -> bool:
        """Whether the figure must be small."""
        return not self.amount


_KINDS: dict[CheckKind, _Kind] = {
    "in": _Kind(_outside, "The {object} is {figure} outside {target}", tolerance=0.01),
    "on": _Kind(_above, "The {object} is {figure} off {target}", tolerance=0.02),
    "at": _Kind(_distance, "The {object} is {figure} from {target}", tolerance=0.10),
    "set_down": _Kind(_sinking, "The {object} came down at up to {figure}", tolerance=1.2, unit="m/s"),
    "lifted": _Kind(_risen, "The {object} was lifted by {figure}", 0.05),
    "moved": _Kind(_shift, "The {object} was moved by {figure}", 0.10),
    "turned": _Kind(_turned, "The {object} was turned by {figure}", 0.35, unit="rad"),
    "opened": _Kind(_opened, "The {object} was opened by {figure}", 0.5),
    "closed": _Kind(_opened, "The {object} was closed by {figure}", 0.3),
    "touched": _Kind(_touched, "The {object} was touched with {figure}", 1.0, unit="N"),
    "wiped": _Kind(_wiped, "The {object} was wiped for {figure}", 2.0, unit="s"),
    "kicked": _Kind(_shift, "The {object} was kicked {figure} far", 0.20),
    "sat": _Kind(_sat, "The {object} was sat on with {figure}", 100.0, unit="N"),
    "stands": _Kind(_tilt, "The {object} is {figure} off upright", tolerance=0.35, unit="rad"),
    "robot_near": _Kind(_robot_away, "The robot is {figure} from the {object}", tolerance=0.6),
    "robot_around": _Kind(_swept, "The robot went {figure} around the {object}", 2.5, unit="rad"),
    "robot_through": _Kind(_beside_passage, "The robot was {figure} off the way through the {object}"),
    "robot_between": _Kind(_beside_gap, "The robot was {figure} off the way between the {object} and {target}"),
}


def checks_to_json(checks: Sequence[Check]) -> str:
    """Serialise checks as JSON text."""
    return to_json(tuple[Check, ...], tuple(checks))


def checks_from_json(text: str) -> tuple[Check, ...]:
    """Read checks from JSON text; raises `BadInput` if the text is invalid."""
    return validated(tuple[Check, ...], text, "The list of checks")
