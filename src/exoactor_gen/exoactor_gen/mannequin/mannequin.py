"""The default generator: a person of simple shapes who follows the instruction. No weights, no network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, MultipleOf, Unit

from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.interaction import Interaction
from exoactor_core.motion import HumanMotion
from exoactor_core.options import BaseOptions, OneOf, Seed
from exoactor_core.stages import GenerateRequest, Generation, Generator, OnJob, OnPlan, Progress, no_progress
from exoactor_core.video import Intrinsics, Video
from exoactor_gen.mannequin.choreography import Choreography, choreograph, reading_of
from exoactor_gen.mannequin.language import Reading, parse
from exoactor_gen.mannequin.movement import uses_objects
from exoactor_gen.mannequin.objects import ObjectMotion, corners
from exoactor_gen.mannequin.rendering.camera import VIEWS, Camera, frame_person
from exoactor_gen.mannequin.rendering.look import CLOTHES, LIGHTS, ROOMS, Look
from exoactor_gen.mannequin.rendering.visibility import clear_view
from exoactor_gen.mannequin.whole_body import MEAN_STATURE, stature

ROBOT_STATURE = 1.32
"""m, height of a person with the G1's proportions: objects are then used at heights that the robot reaches."""
BUILDS = {"slim": -1.5, "usual": 0.0, "heavy": 2.0}
"""Shape coefficient of girth."""


class Mannequin(Generator):
    """Renders the task with a mannequin: a small task language, human motion generated from it, and a simple person."""

    class Options(BaseOptions):
        """Options that are left open are random, by the seed."""

        seed: Seed = 0
        """Random seed for everything that the other options leave open, and for small changes of the camera; the number
        of a request's attempt is added."""
        camera: Annotated[str, OneOf(("auto", "", *VIEWS))] = "auto"
        """Position of the camera relative to the person: in front, to the right (with _left: to the left) or behind;
        auto: three_quarter, or in tasks with objects the side from which the person is seen best; empty: random."""
        pan: bool = False
        """The camera turns to follow the person, instead of standing so far away that the whole path is in view."""
        stature: Annotated[float, Interval(ge=0.0, le=2.1), Unit("m")] = 0.0
        """Height of the person, 1.2 or more; 0: the robot's in tasks with objects, otherwise random from 1.5 to
        1.95."""
        build: Annotated[str, OneOf(("", *BUILDS))] = ""
        """Empty: random."""
        clothes: Annotated[str, OneOf(("", *CLOTHES))] = ""
        """Empty: random."""
        room: Annotated[str, OneOf(("", *ROOMS))] = ""
        """Empty: random."""
        light: Annotated[str, OneOf(("", *LIGHTS))] = ""
        """Empty: random."""
        width: Annotated[int, Interval(ge=64, le=4096), MultipleOf(2), Unit("px")] = 640
        """Size of the image."""
        height: Annotated[int, Interval(ge=64, le=4096), MultipleOf(2), Unit("px")] = 480
        """Size of the image."""
        fps: Annotated[int, Interval(ge=10, le=120), Unit("Hz")] = 30
        """Frame rate."""
        body: str = ""
        """SMPL-X npz file; empty: the project's own neutral body."""

    options: Options

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if 0.0 < self.options.stature < 1.2:
            raise BadInput(
                f"The stature is {self.options.stature} m, but it must lie between 1.2 and 2.1 (or be 0: random)."
            )
        self.body = BodyModel.load(self.options.body or None)

    @classmethod
    def plan(cls, request: GenerateRequest, **options: Any) -> dict[str, Any]:
        """Return the plan alone.

        Raises
        ------
        BadInput
            As the call.
        """
        reading = reading_of(request)
        size = ROBOT_STATURE / MEAN_STATURE if request.scene or uses_objects(reading.movements) else 1.0
        return Choreography(reading, size, request.scene).plan.data()

    def __call__(
        self,
        request: GenerateRequest,
        progress: Progress = no_progress,
        on_plan: OnPlan | None = None,
        on_job: OnJob | None = None,
    ) -> Generation:
        """Make the video.

        Raises
        ------
        BadInput
            The instruction is empty or not understood, or the mannequin cannot carry out the plan.
        Missing
            The renderer cannot be started.
        """
        given = self.options
        seed = given.seed + request.attempt
        reading = reading_of(request)
        with_objects = bool(request.scene) or uses_objects(reading.movements)
        betas = self._shape(seed, ROBOT_STATURE if with_objects else 0.0)
        height = stature(self.body, betas)
        choreography = Choreography(reading, height / MEAN_STATURE, request.scene)
        plan = choreography.plan
        progress(0.0, f"Plan: {plan}")
        if on_plan:
            on_plan(plan.data())
        motion, objects = choreography.perform(betas, self.body, given.fps)
        interaction = choreography.interaction
        view, camera = self._camera(seed, motion, objects, interaction)

        def drawn() -> Iterator[np.ndarray]:
            for k, image in enumerate(self._images(seed, motion, camera, objects)):
                progress(k / len(motion), f"Drawing frame {k + 1} of {len(motion)}")
                yield image

        video = Video.from_frames(drawn(), given.fps, camera.intrinsics, height)
        notes = [f"there is no {name}: what is done to it is mimed" for name in choreography.mimed]
        if plan.note:
            notes.append(plan.note)
        if request.scene_image is not None:
            notes.append("the scene image is not used by this backend")
        progress(1.0, "; ".join([f"{len(motion)} frames drawn", *notes]))
        metrics = {
            "plan": str(plan),
            "seconds": video.duration,
            "frames": len(motion),
            "seed": seed,
            "camera": view,
            "camera_position": camera.position.tolist(),
            "camera_rotation": camera.rotations[0].tolist(),
            "stature": height,
        }
        if camera.pan is not None:
            metrics["camera_pan"] = (camera.pan - camera.pan[0]).tolist()  # rad to the left relative to the first frame
        if notes:
            metrics["note"] = "; ".join(notes)
        return Generation(video, motion, metrics, plan.data(), interaction=interaction)

    def first_frame(self, interaction: Interaction) -> tuple[np.ndarray, Intrinsics, float]:
        """Image (H, W, 3) uint8 RGB of a person who is about to act, its camera, and the person's height in m.

        Raises
        ------
        Missing
            The renderer cannot be started.
        """
        given = self.options
        betas = self._shape(given.seed, ROBOT_STATURE)
        height = stature(self.body, betas)
        choreography = Choreography(Reading(()), height / MEAN_STATURE, interaction.scene)
        motion, objects = choreography.perform(betas, self.body, given.fps)
        _, camera = self._camera(given.seed, motion, objects, interaction)
        return next(self._images(given.seed, motion, camera, objects)), camera.intrinsics, height

    def _images(
        self, seed: int, motion: HumanMotion, camera: Camera, objects: tuple[ObjectMotion, ...]
    ) -> Iterator[np.ndarray]:
        """The rendered frames; each option has its own random stream, so that it does not affect the others."""
        from exoactor_gen.mannequin.rendering.render import render  # imports MuJoCo and its off-screen renderer

        given = self.options
        look = Look.draw(np.random.default_rng([seed, 0]), given.clothes, given.room, given.light)
        return render(motion, self.body, camera, look, np.random.default_rng([seed, 2]), objects)

    def _camera(
        self, seed: int, motion: HumanMotion, objects: tuple[ObjectMotion, ...], interaction: Interaction | None
    ) -> tuple[str, Camera]:
        """The camera, and the name of its view."""
        given, joints = self.options, self.body.joints(motion)
        camera_of = partial(
            frame_person,
            joints,
            width=given.width,
            height=given.height,
            rng=[seed, 1],
            pan=given.pan,
            fps=given.fps,
            beside=np.concatenate([corners(obj) for obj in objects], axis=1) if objects else None,
        )
        view = given.camera or list(VIEWS)[int(np.random.default_rng([seed, 3]).integers(len(VIEWS)))]
        if view == "auto" and interaction is not None:
            view = clear_view(camera_of, joints, objects, interaction.contacts, given.fps)
        elif view == "auto":
            view = "three_quarter"
        return view, camera_of(view)

    def motion(self, instruction: str) -> HumanMotion:
        """The person's motion without rendering it, for generating many references quickly.

        Raises
        ------
        BadInput
            The instruction is empty or not understood.
        """
        movements = parse(instruction)
        betas = self._shape(self.options.seed, ROBOT_STATURE if uses_objects(movements) else 0.0)
        return choreograph(movements, betas, self.body, self.options.fps)

    def _shape(self, seed: int, usual: float = 0.0) -> np.ndarray:
        """Shape coefficients (10,) of the body; 0, 3 and the others mean stature, girth and proportions.

        ``usual`` is the height in m unless the option sets one; 0: random.
        """
        drawn = np.random.default_rng(seed).normal(size=6)
        betas = np.zeros(10)
        betas[1:6] = np.clip(drawn[1:], -1.5, 1.5) * (0.4, 0.4, 1.0, 0.4, 0.4)
        if self.options.build:
            betas[3] = BUILDS[self.options.build]
        wanted = self.options.stature or usual or float(np.clip(1.70 + 0.10 * drawn[0], 1.5, 1.95))
        slope = stature(self.body, betas + np.eye(10)[0]) - stature(self.body, betas)
        betas[0] = (wanted - stature(self.body, betas)) / slope
        return betas
