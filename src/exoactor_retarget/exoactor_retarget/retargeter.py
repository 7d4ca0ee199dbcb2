"""The backend 'trajectory_ik': a person's motion fitted to the G1."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Interval, Unit
from scipy.spatial.transform import Rotation

from exoactor_core import stages
from exoactor_core.arrays import continuous_quaternions
from exoactor_core.body import BodyModel
from exoactor_core.contacts import SIDES
from exoactor_core.errors import BadInput, UnsafeMotion
from exoactor_core.files import load_yaml
from exoactor_core.interaction import Interaction
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_core.options import BaseOptions
from exoactor_core.stages import Progress, Retargeting, no_progress
from exoactor_description import HandsOption, chosen_hands
from exoactor_retarget.contacts import ground
from exoactor_retarget.human import Posture, posture, resample
from exoactor_retarget.interaction import InteractionTargets
from exoactor_retarget.kinematics import State
from exoactor_retarget.metrics import floor_depth, measure, measure_contacts, sole_corners, sole_tilts
from exoactor_retarget.model import Model
from exoactor_retarget.object_contacts import find_contacts, left_alone, with_idle_arms_hanging
from exoactor_retarget.solver import Solver
from exoactor_retarget.targets import Targets, make_targets

_MAPPING = Path(__file__).parent / "mapping" / "g1.yaml"
_FLOOR_DEPTH = 0.01  # m that a part may be below the floor
_MAX_SOLE_TILT = 0.1  # rad of a planted foot to the floor: it is flat unless the legs are too wide apart


class Retargeter(stages.Retargeter):
    """Fits a person's motion to the G1: whole-trajectory inverse kinematics with planted feet, within all limits.

    Raises
    ------
    BadInput
        The mapping cannot be read, or the body model cannot.
    """

    class Options(BaseOptions):
        """Resolution, mapping, body and hands."""

        fps: Annotated[float, Interval(ge=10.0, le=200.0), Unit("Hz")] = 50.0
        """Frame rate of the robot's motion."""
        mapping: str = ""
        """YAML file that maps the person's joints to the robot's links, with weights; empty: the package's own
        (mapping/g1.yaml)."""
        body_model: str = ""
        """SMPL-X npz of the licensed model; empty: the project's neutral body."""
        iterations: Annotated[int, Interval(ge=1, le=1000)] = 12
        """Maximum number of solver iterations."""
        scale: Literal["auto", "world", "robot"] = "auto"
        """Paths are as long as the person's in metres (world), or scaled by the ratio of leg lengths (robot); auto:
        robot for files, and for tasks without objects that are beyond the legs' reach; otherwise world."""
        hands: HandsOption = "auto"
        """Hands of the robot: fists hold objects between both palms, dex3 are Unitree's three-fingered hands; auto:
        dex3 in tasks with objects, as in the rehearsal."""

    options: Options

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        path = Path(self.options.mapping or _MAPPING)
        self.mapping = load_yaml(path)
        if not isinstance(self.mapping, dict):
            raise BadInput(f"{path} is not a mapping of the retargeter: it has no keys.")
        try:
            self.model = Model(self.mapping, path.parent)
            self.solver = Solver(self.mapping, self.model)
        except (KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{path} is not a mapping of the retargeter: {error!r}.") from None
        self.body = BodyModel.load(self.options.body_model or None)

    def targets(self, motion: HumanMotion, task: bool = False) -> Targets:
        """Targets for a person's motion, of a task or any other."""
        metric = self.options.scale == "world" or (task and self.options.scale == "auto")
        return make_targets(self._person(motion), self.model, self.mapping, metric=metric)

    def object_targets(
        self, motion: HumanMotion, interaction: Interaction
    ) -> tuple[Targets, np.ndarray, dict[str, Any], list[str]]:
        """Targets for a motion with objects.

        Returns
        -------
        targets
            In metres.
        poses
            (T, n, 7) of the objects as they move.
        fields
            Of the robot's motion: contacts and closure of the hands.
        notes
            Sentences on what was changed.

        Raises
        ------
        BadInput
            A contact names an object that the scene lacks.
        Refused
            An object cannot be held.
        """
        scene, metric = interaction.scene, self.options.scale != "robot"
        person = self._person(with_idle_arms_hanging(motion, interaction))
        contacts = find_contacts(person, scene, interaction.contacts, left_alone(scene, interaction.checks))
        hands = chosen_hands(self.options.hands, True)
        objects = InteractionTargets(self.model, interaction.scene, contacts, hands, interaction.checks)
        person = objects.slowed(person)
        first = objects.within_ability(make_targets(person, self.model, self.mapping, metric=metric))
        person, notes = objects.relocated(person, first)
        targets = objects.within_ability(make_targets(person, self.model, self.mapping, metric=metric))
        targets, poses, found, closed = objects.targets(targets)
        return targets, poses, {"object_contacts": found, "hands": closed}, notes

    def _person(self, motion: HumanMotion) -> Posture:
        person = ground(posture(motion, self.body, self.mapping["human"]), self.mapping["contacts"])
        return resample(person, self.options.fps)

    def fit(self, targets: Targets, progress: Progress = no_progress) -> State:
        """Joint positions and root for given targets, for any robot; raises `BadInput` if the targets are empty."""
        state = self.solver.solve(
            targets, self.options.iterations, lambda share: progress(0.1 + 0.8 * share, "Fitting")
        )
        if not (np.isfinite(state.joint_pos).all() and np.isfinite(state.root_pos).all()):
            raise BadInput("The human motion could not be fitted to the robot: the solution is not finite.")
        return state

    def __call__(
        self, motion: HumanMotion, progress: Progress = no_progress, *, interaction: Interaction | None = None
    ) -> Retargeting:
        """Retarget a motion.

        Parameters
        ----------
        motion, progress
            The person's motion, which begins at the scene's origin, facing +x.
        interaction
            Objects around the robot, if any, and planned contacts with them; without planned contacts they are detected
            in the motion. None: the motion is not part of a task.

        Raises
        ------
        BadInput
            The motion cannot be fitted.
        UnsafeMotion
            A part of the robot would be below the floor.
        """
        start = time.perf_counter()
        progress(0.0, "Preparing targets")
        extra: dict[str, Any] = {}
        notes: list[str] = []
        poses = None
        if interaction is None or not interaction.scene:
            targets = self.targets(motion, task=interaction is not None)
        else:
            targets, poses, extra, notes = self.object_targets(motion, interaction)
        state = self.fit(targets, progress)
        fault = self._in_floor(state)
        scalable = self.options.scale == "auto" and interaction is not None and not interaction.scene
        if scalable and (too_wide := fault or self._tilted(state, targets)):
            targets = self.targets(motion)
            state = self.fit(targets, progress)
            notes = [
                f"Paths are shorter than the person's by the ratio of the legs' lengths: at full length {too_wide}."
            ]
            fault = self._in_floor(state)
        if fault:
            raise UnsafeMotion(f"The robot cannot do this motion: {fault}.")
        robot_motion = replace(robot_motion_of(state, targets, self.model), **extra)
        seconds = time.perf_counter() - start
        progress(0.9, "Measuring")
        metrics = measure(robot_motion, targets, self.model)
        if poses is not None:
            metrics |= measure_contacts(state, targets, self.model)
        if notes:
            metrics["notes"] = notes
        metrics["frames_per_second"] = len(robot_motion) / seconds
        progress(1.0, "Retargeted")
        return Retargeting(robot_motion, metrics)

    def _tilted(self, state: State, targets: Targets) -> str:
        """Description of the foot that stands tilted most; empty: none, unless the legs are too wide apart."""
        tilt = np.where(targets.contact, sole_tilts(sole_corners(state, self.model)), 0.0)
        worst, side = np.unravel_index(int(tilt.argmax()), tilt.shape)
        if tilt[worst, side] <= _MAX_SOLE_TILT:
            return ""
        degrees = np.degrees(tilt[worst, side])
        return f"its {SIDES[side]} foot would stand tilted by {degrees:.0f} degrees at {worst / self.options.fps:.1f} s"

    def _in_floor(self, state: State) -> str:
        """Description of the part that is deepest below the floor; empty: none."""
        depth, body = floor_depth(state, self.model)
        worst = int(depth.argmax())
        if depth[worst] <= _FLOOR_DEPTH:
            return ""
        link = next(name for name, (b, _, _) in self.model.description.links.items() if b == body[worst])
        name = link.replace("_", " ").removesuffix(" link")
        return f"its {name} would be {100 * depth[worst]:.1f} cm in the floor at {worst / self.options.fps:.1f} s"


def robot_motion_of(state: State, targets: Targets, model: Model) -> RobotMotion:
    """Convert to the G1's motion; raises `BadInput` if the model is of another robot."""
    return RobotMotion(
        fps=targets.fps,
        root_pos=state.root_pos,
        root_quat_wxyz=continuous_quaternions(Rotation.from_matrix(state.root_rot).as_quat(scalar_first=True)),
        joint_pos=state.joint_pos,
        contacts=targets.contact.astype(np.float64),
        joint_names=model.description.joint_names,
    )
