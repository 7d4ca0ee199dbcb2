"""The default generator: a person of simple shapes who does what the sentence says. No weights, no network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval

from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.motion import HumanMotion
from exoactor_core.stages import GenerateRequest, Generation, Generator, OnJob, OnPlan, Progress, Seed, no_progress
from exoactor_core.video import Video
from exoactor_gen.mannequin.choreography import choreograph, perform
from exoactor_gen.mannequin.language import Plan as LanguagePlan
from exoactor_gen.mannequin.language import parse
from exoactor_gen.mannequin.rendering.camera import VIEWS, frame_person
from exoactor_gen.mannequin.rendering.look import CLOTHES, LIGHTS, ROOMS, Look
from exoactor_gen.mannequin.rules import as_plan, to_language
from exoactor_gen.mannequin.scene import corners
from exoactor_gen.plan import Plan

BUILDS = {"slim": -1.5, "usual": 0.0, "heavy": 2.0}
"""Coefficient of girth."""


class Mannequin(Generator):
    """Imagine the task with a mannequin: a small task language, human motion made from it, and a drawn person.

    Parameters
    ----------
    seed
        Chooses whatever the options below leave open, and small changes of the camera; a request's attempt is added.
    camera
        Where the camera stands, seen from the person: front, three_quarter, side, back_three_quarter (to its right;
        with _left behind it, to its left) or back; empty: one of them by the seed.
    pan
        The camera turns after the person, instead of standing so far off that it sees the whole way.
    stature
        Height of the person in m, 1.4 to 2.1; 0: by the seed, 1.5 to 1.95.
    build
        slim, usual or heavy; empty: by the seed.
    clothes
        tshirt, long_sleeves, shorts or vest; empty: by the seed.
    room
        plain, pictures, windows, brick or wallpaper; empty: by the seed.
    light
        day, warm, cool, hard or soft; empty: by the seed.
    width, height
        Size of the image in pixels, even numbers.
    fps
        Frames per second, 10 to 120, a whole number.
    body
        SMPL-X npz file; empty: the project's own neutral body.
    """

    def __init__(
        self,
        seed: Seed = 0,
        camera: str = "three_quarter",
        pan: bool = False,
        stature: Annotated[float, Interval(ge=0.0, le=2.1)] = 0.0,
        build: str = "",
        clothes: str = "",
        room: str = "",
        light: str = "",
        width: Annotated[int, Interval(ge=64, le=4096)] = 640,
        height: Annotated[int, Interval(ge=64, le=4096)] = 480,
        fps: Annotated[int, Interval(ge=10, le=120)] = 30,
        body: str = "",
    ) -> None:
        for name, given, known in (
            ("camera", camera, VIEWS), ("build", build, BUILDS), ("clothes", clothes, CLOTHES), ("room", room, ROOMS),
            ("light", light, LIGHTS),
        ):  # fmt: skip
            if given and given not in known:
                raise BadInput(f"There is no {name} '{given}': there are {', '.join(known)}.")
        if stature and not 1.4 <= stature <= 2.1:
            raise BadInput(f"The stature is {stature} m, but it must lie between 1.4 and 2.1 (or be 0: by the seed).")
        for name, size in (("width", width), ("height", height)):
            if not 64 <= size <= 4096 or size % 2:
                raise BadInput(f"The {name} is {size}, but an even number from 64 to 4096 pixels is needed.")
        if not 10 <= fps <= 120 or fps != int(fps):
            raise BadInput(f"The frame rate is {fps}, but a whole number from 10 to 120 is needed.")
        if seed < 0:
            raise BadInput(f"The seed is {seed}, but it must not be negative.")
        self.seed, self.camera, self.pan, self.stature, self.build = int(seed), camera, bool(pan), stature, build
        self.clothes, self.room, self.light = clothes, room, light
        self.width, self.height, self.fps = width, height, int(fps)
        self.body = BodyModel.load(body or None)

    @classmethod
    def plan(cls, request: GenerateRequest, **options: Any) -> dict[str, Any]:
        """The plan alone.

        Raises
        ------
        BadInput
            As when it is called.
        """
        return cls._planned(request)[1].data()

    @staticmethod
    def _planned(request: GenerateRequest) -> tuple[LanguagePlan, Plan]:
        """What the mannequin does, and the same as a plan."""
        if request.plan is None:
            does = parse(request.instruction)
            return does, as_plan(request.instruction, does)
        planned = Plan.read(request.plan)
        return to_language(planned), planned

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
            The instruction is empty or not understood, or the plan is nothing that the mannequin can do.
        Missing
            The renderer cannot be started.
        """
        from exoactor_gen.mannequin.rendering.render import render  # MuJoCo and its off-screen renderer load here

        plan, planned = self._planned(request)
        progress(0.0, f"Plan: {plan}")
        if on_plan:
            on_plan(planned.data())
        # one stream of chance for each, so that an option fixes its own part and leaves the others alone
        seed = self.seed + request.attempt
        rng = [np.random.default_rng([seed, part]) for part in range(3)]
        look = Look.draw(rng[0], self.clothes, self.room, self.light)
        motion, things = perform(plan, self._shape(seed), self.body, self.fps)
        view = self.camera or list(VIEWS)[int(np.random.default_rng([seed, 3]).integers(len(VIEWS)))]
        camera = frame_person(
            self.body.joints(motion), view, self.width, self.height, rng[1], pan=self.pan, fps=self.fps,
            beside=np.concatenate([corners(thing) for thing in things], axis=1) if things else None,
        )  # fmt: skip

        def drawn() -> Iterator[np.ndarray]:
            for k, image in enumerate(render(motion, self.body, camera, look, rng[2], things)):
                progress(k / len(motion), f"Drawing frame {k + 1} of {len(motion)}")
                yield image

        video = Video.from_frames(drawn(), self.fps, camera.intrinsics)
        scene = "" if request.scene_image is None else "the scene image is not used by this backend"
        progress(1.0, f"{len(motion)} frames drawn{'; ' + scene if scene else ''}")
        metrics = {
            "plan": str(plan),
            "seconds": video.duration,
            "frames": len(motion),
            "seed": seed,
            "camera": view,
            "camera_position": camera.position.tolist(),
            "camera_rotation": camera.rotations[0].tolist(),
            "stature": stature(self.body, motion.betas),
        }
        if camera.pan is not None:
            metrics["camera_pan"] = (camera.pan - camera.pan[0]).tolist()  # rad to the left of the first frame
        if scene:
            metrics["note"] = scene
        return Generation(video, motion, metrics, planned.data())

    def motion(self, instruction: str) -> HumanMotion:
        """What the person in the video would do, without drawing it: quick, for making many references.

        Raises
        ------
        BadInput
            The instruction is empty or not understood.
        """
        return choreograph(parse(instruction), self._shape(self.seed), self.body, self.fps)

    def _shape(self, seed: int) -> np.ndarray:
        """Shape coefficients (10,) of the body; 0, 3 and the others mean stature, girth and proportions."""
        drawn = np.random.default_rng(seed).normal(size=6)
        betas = np.zeros(10)
        betas[1:6] = np.clip(drawn[1:], -1.5, 1.5) * (0.4, 0.4, 1.0, 0.4, 0.4)
        if self.build:
            betas[3] = BUILDS[self.build]
        wanted = self.stature or float(np.clip(1.70 + 0.10 * drawn[0], 1.5, 1.95))
        slope = stature(self.body, betas + np.eye(10)[0]) - stature(self.body, betas)
        betas[0] = (wanted - stature(self.body, betas)) / slope
        return betas


def stature(body: BodyModel, betas: np.ndarray) -> float:
    """Height of a standing person in m: the head joint stands at 0.90 of it."""
    return float(body.rest_joints(betas)[15, 1] - body.rest_foot_points(betas)[0, 1]) / 0.90
