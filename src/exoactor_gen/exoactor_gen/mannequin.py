"""The default generator: a person of simple shapes who does what the sentence says. No weights, no network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from exoactor.body import BodyModel
from exoactor.errors import BadInput
from exoactor.motion import HumanMotion
from exoactor.stages import GenerateRequest, Generation, Progress, no_progress
from exoactor.video import Video
from exoactor_gen.camera import VIEWS, frame_person
from exoactor_gen.choreography import choreograph
from exoactor_gen.language import parse


class Mannequin:
    """Imagine the task with a mannequin: a small task language, human motion made from it, and a drawn person.

    Parameters
    ----------
    seed
        Chooses body shape, skin, hair, clothes, room and small changes of the camera.
    camera
        Where the camera stands: front, three_quarter, three_quarter_left, side or side_left.
    width, height
        Size of the picture in pixels, even numbers.
    fps
        Frames per second, 10 to 120, a whole number.
    body
        SMPL-X npz file; empty: the project's own neutral body.
    """

    def __init__(self, seed: int = 0, camera: str = "three_quarter", width: int = 640, height: int = 480,
                 fps: int = 30, body: str = "") -> None:  # fmt: skip
        if camera not in VIEWS:
            raise BadInput(f"There is no camera '{camera}': there are {', '.join(VIEWS)}.")
        for name, size in (("width", width), ("height", height)):
            if not 64 <= size <= 4096 or size % 2:
                raise BadInput(f"The {name} is {size}, but an even number from 64 to 4096 pixels is needed.")
        if not 10 <= fps <= 120 or fps != int(fps):
            raise BadInput(f"The frame rate is {fps}, but a whole number from 10 to 120 is needed.")
        if seed < 0:
            raise BadInput(f"The seed is {seed}, but it must not be negative.")
        self.seed, self.camera, self.width, self.height, self.fps = int(seed), camera, width, height, int(fps)
        self.body = BodyModel.load(body or None)

    def __call__(self, request: GenerateRequest, progress: Progress = no_progress) -> Generation:
        """Make the video.

        Raises
        ------
        BadInput
            The instruction is empty or not understood.
        Missing
            The renderer cannot be started.
        """
        from exoactor_gen.render import Look, render  # MuJoCo and its off-screen renderer load here

        plan = parse(request.instruction)
        progress(0.0, f"Plan: {plan}")
        rng = np.random.default_rng(self.seed)
        betas = _shape(rng)
        look = Look.draw(rng)
        motion = choreograph(plan, betas, self.body, self.fps)
        camera = frame_person(self.body.joints(motion), self.camera, self.width, self.height, rng)

        def drawn() -> Iterator[np.ndarray]:
            for k, image in enumerate(render(motion, self.body, camera, look, rng)):
                progress(k / len(motion), f"Drawing frame {k + 1} of {len(motion)}")
                yield image

        video = Video.from_frames(drawn(), self.fps, camera.intrinsics)
        scene = "" if request.scene_image is None else "the scene image is not used by this backend"
        progress(1.0, f"{len(motion)} frames drawn{'; ' + scene if scene else ''}")
        metrics = {
            "plan": str(plan),
            "seconds": video.duration,
            "frames": len(motion),
            "seed": self.seed,
            "camera": self.camera,
            "camera_position": camera.position.tolist(),
            "camera_rotation": camera.rotation.tolist(),
        }
        if scene:
            metrics["note"] = scene
        return Generation(video, motion, metrics)

    def motion(self, instruction: str) -> HumanMotion:
        """What the person in the video would do, without drawing it: quick, for making many references.

        Raises
        ------
        BadInput
            The instruction is empty or not understood.
        """
        return choreograph(parse(instruction), _shape(np.random.default_rng(self.seed)), self.body, self.fps)


def _shape(rng: np.random.Generator) -> np.ndarray:
    """Draw the shape coefficients (10,) of a body."""
    betas = np.zeros(10)
    betas[:6] = np.clip(rng.normal(size=6), -1.5, 1.5) * (0.6, 0.4, 0.4, 0.5, 0.4, 0.4)
    return betas
