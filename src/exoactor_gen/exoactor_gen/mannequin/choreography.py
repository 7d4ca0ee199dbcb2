"""From an instruction or a plan to a person's motion: each action writes tracks, then one whole-body solution.

The movements write minimum-jerk tracks (feet, pressure under the feet, trunk, arms, head, fingers; Flash & Hogan 1985)
into a score, which `whole_body` turns into motion. Those of the body alone are in `gestures`, those done to objects in
`walking`, `handling` and `object_movements`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np

from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.interaction import Interaction
from exoactor_core.motion import HumanMotion
from exoactor_core.scene import Scene, joined
from exoactor_core.stages import GenerateRequest
from exoactor_core.validation import validated
from exoactor_gen.mannequin.actions import action_of, movements_of
from exoactor_gen.mannequin.gestures import GESTURES
from exoactor_gen.mannequin.handling import hands_for
from exoactor_gen.mannequin.language import Reading, gestures_of, read
from exoactor_gen.mannequin.movement import ARM_GESTURES, HANDLED, KINDS, MOVES_FEET, START, Movement
from exoactor_gen.mannequin.object_movements import handle, sit
from exoactor_gen.mannequin.objects import BROOM, ObjectMotion, objects_of
from exoactor_gen.mannequin.references import found_in
from exoactor_gen.mannequin.score import STAND_SECONDS, Score, arms_used
from exoactor_gen.mannequin.task import checks_of
from exoactor_gen.mannequin.whole_body import MEAN_STATURE, solve, stature
from exoactor_gen.plan import Plan

FPS = 30.0
PAUSE_SECONDS = 0.15
"""s between two actions."""
MAX_SECONDS = 120.0
_TIME_TOLERANCE = 0.3
"""s by which an action may deviate from its planned duration before its pace is changed."""
_PACES = (0.6, 1.3)
"""Minimum and maximum pace of an action that is adapted to its planned duration."""


def plan_of(instruction: str) -> Plan:
    """Plan an instruction of the task language, with the mannequin's own times.

    Raises
    ------
    BadInput
        As `exoactor_gen.mannequin.language.read`, or the actions are impossible with their objects.
    """
    return Choreography.of_instruction(instruction).plan


def reading_of(request: GenerateRequest) -> Reading:
    """How a request's plan is read, or else its instruction; raises `BadInput` as `read` and `movements_of`."""
    scene = request.scene
    if request.plan is None:
        return read(request.instruction, scene)
    plan = Plan.read(request.plan)
    movements = movements_of(plan)
    return Reading(movements if scene is None else found_in(scene, movements), plan=plan)


class Choreography:
    """What a person does, as tracks in time.

    Parameters
    ----------
    reading
        The movements in order, and the plan or the instruction that they are of.
    size
        Height of the person relative to `MEAN_STATURE`.
    scene
        The given objects; None: objects are imagined where they are needed.

    Raises
    ------
    BadInput
        A movement is impossible, for example with an object out of reach.
    """

    def __init__(self, reading: Reading, size: float = 1.0, scene: Scene | None = None) -> None:
        movements, plan = reading.movements, reading.plan
        taken = frozenset(m.name for m in movements if m.kind in HANDLED and m.object and m.at != "floor")
        self.score = Score(size=size, taken=taken, imagines=scene is None)
        if scene is not None:
            self.score.objects = objects_of(scene)
        self.movements: list[Movement] = []
        self.seconds: list[float] = []
        """Duration of each movement, including the pause after it."""
        self._shown: list[Movement] = []
        """The movements as shown: low objects are pushed with a foot rather than with hands."""
        timed = plan is not None and len(movements) == len(plan.actions)  # not if several actions are one movement
        for k, movement in enumerate(movements):
            self.score.stay_up = _staying_up(movements[k:])
            self.add(_timed(self.score, movement, plan.actions[k].seconds) if plan and timed else movement)
        self._reading = reading

    @classmethod
    def of_instruction(cls, instruction: str, size: float = 1.0, scene: Scene | None = None) -> Choreography:
        """Parse and choreograph an instruction; raises `BadInput` as `plan_of`."""
        return cls(read(instruction, scene), size, scene)

    @cached_property
    def plan(self) -> Plan:
        """The given plan, or the choreography as a plan; raises `BadInput` if it has too many actions."""
        if self._reading.plan:
            return self._reading.plan
        done = zip(self.movements, self.seconds, self._shown, strict=True)
        actions = [action_of(*each).model_dump() for each in done]
        data = {"instruction": self._reading.instruction, "planner": "rules", "actions": actions}
        if self._reading.notes:
            data["note"] = "; ".join(self._reading.notes)
        return validated(Plan, data, "The instruction")

    @property
    def scene(self) -> Scene | None:
        """The objects at the start; None if there are none."""
        items = [obj.scene_object for obj in self.score.objects.values() if obj.kind != BROOM]
        return joined(items) if items else None

    @property
    def mimed(self) -> tuple[str, ...]:
        """Objects of actions that do not exist."""
        named = dict.fromkeys(m.object for m in self.movements if m.object and m.object not in (START, "floor"))
        return tuple(name.replace("_", " ") for name in named if name not in self.score.objects)

    @property
    def interaction(self) -> Interaction | None:
        """The scene, its contacts in order of time, and the checks; None without objects."""
        scene, objects = self.scene, self.score.objects
        if scene is None:
            return None
        for obj in objects.values():  # still held at the end
            self.score.end_contacts(obj, self.score.now + STAND_SECONDS)
        contacts = tuple(sorted(self.score.contacts, key=lambda contact: contact.start))
        return Interaction(scene, contacts, checks_of(self.movements, objects, self.score.imagines))

    def add(self, movement: Movement) -> None:
        """Add a movement; objects in the hands that it needs are put down first.

        Raises
        ------
        BadInput
            The movement is impossible.
        """
        hands, held = hands_for(self.score, movement), self.score.held
        if len(held) == 1 and len(hands) == 1:
            movement = replace(movement, side="left" if hands == ("left",) else "right")
        for name in dict.fromkeys(held[side] for side in hands if side in held):
            self.add(Movement("place", object=name, at="floor"))
        begin, touched = self.score.now, len(self.score.contacts)
        if movement.kind in ("walk", "step") and movement.seconds:
            movement = _counted(self.score, movement, movement.seconds)
        _write(self.score, movement)
        shoved = movement.kind == "push" and any(c.body.endswith("foot") for c in self.score.contacts[touched:])
        self._shown.append(replace(movement, kind="nudge") if shoved else movement)
        self.movements.append(movement)
        self.seconds.append(self.score.now - begin)

    def perform(
        self, betas: np.ndarray, body: BodyModel | None = None, fps: float = FPS
    ) -> tuple[HumanMotion, tuple[ObjectMotion, ...]]:
        """The motion of a body, from the origin, facing +x, with soles at z = 0, and that of the objects.

        Parameters
        ----------
        betas
            (B,) shape coefficients of the body, which should match the choreography's ``size``.
        body
            The body model; None: the default one.
        fps
            Frames per second.

        Raises
        ------
        BadInput
            It takes longer than `MAX_SECONDS`.
        """
        if self.score.now > MAX_SECONDS:
            raise BadInput(f"The instruction takes longer than {MAX_SECONDS:g} s: give it in parts.")
        score = copy.copy(self.score)
        score.now += STAND_SECONDS
        return solve(score, body or BodyModel.load(), np.atleast_1d(np.asarray(betas, dtype=np.float64)), fps)


def choreograph(
    movements: tuple[Movement, ...], betas: np.ndarray, body: BodyModel | None = None, fps: float = FPS
) -> HumanMotion:
    """Only the motion of a body that carries out movements; raises as `Choreography`."""
    body, betas = body or BodyModel.load(), np.atleast_1d(np.asarray(betas, dtype=np.float64))
    return Choreography(Reading(movements), stature(body, betas) / MEAN_STATURE).perform(betas, body, fps)[0]


def _staying_up(movements: Sequence[Movement]) -> frozenset[str]:
    """Sides of the arms that the first movement raises and that stay up until a later movement."""
    first, *later = movements
    up = set(arms_used(first)) if first.kind == "raise" else set()
    stay: set[str] = set()
    for movement in later:
        used = arms_used(movement)
        stay |= up & used if movement.kind == "lower" else set()
        up -= used
    return frozenset(stay)


def _write(score: Score, movement: Movement) -> None:
    begin, touched = score.now, len(score.contacts)
    gestures = gestures_of(movement)
    if movement.kind == "sit":
        sit(score, movement, partial(_gesticulate, gestures=gestures, seconds=movement.seconds))
    elif not handle(score, movement):
        GESTURES[movement.kind](score, movement)
    if movement.kind in ARM_GESTURES and len(score.contacts) == touched:
        score.gesture(begin)
    score.now += PAUSE_SECONDS
    if gestures and movement.kind != "sit":
        end, score.now = score.now, begin
        _gesticulate(score, gestures, end - begin)
        score.now = max(score.now, end)


def _gesticulate(score: Score, gestures: Sequence[Movement], seconds: float | None) -> None:
    """Write gestures that are done during something else; one that is said no more of goes on for so long."""
    if gestures and score.held:
        raise BadInput(f"'{gestures[0].kind}' while the hands hold the {', '.join(set(score.held.values()))}.")
    for gesture in gestures:
        open_ended = seconds and len(gestures) == 1 and not (gesture.count or gesture.seconds)
        _write(score, _timed(score, gesture, seconds) if open_ended and seconds else gesture)


def _lasts(score: Score, movement: Movement) -> float:
    """Duration of a movement after those in the score, s."""
    trial = copy.deepcopy(score)
    _write(trial, movement)
    return trial.now - score.now


def _counted(score: Score, movement: Movement, seconds: float) -> Movement:
    """A walk with as many steps as take about so long."""
    one, two = (_lasts(score, replace(movement, count=n, seconds=None, meanwhile=None)) for n in (1, 2))
    return replace(movement, count=max(1, 1 + round((seconds - one) / (two - one))), seconds=None)


def _timed(score: Score, movement: Movement, seconds: float) -> Movement:
    """The movement adapted to take about so long after those in the score."""
    lasts = partial(_lasts, score)
    natural = lasts(movement)
    if abs(natural - seconds) <= _TIME_TOLERANCE:
        return movement
    if "seconds" in KINDS[movement.kind].takes and (movement.count or 1) == 1 and movement.kind not in MOVES_FEET:
        stay = seconds - (lasts(replace(movement, seconds=1.0)) - 1.0)
        tries = [replace(movement, seconds=max(0.2, round(stay + more, 2))) for more in (0.0, -0.3, 0.3)]
        return min(tries, key=lambda a: abs(lasts(a) - seconds))  # a wave consists of whole swings
    slowest, fastest = _PACES
    return replace(movement, pace=min(fastest, max(slowest, natural / seconds)))
