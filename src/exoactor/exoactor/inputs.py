"""Inputs of commands: backends with their options, tasks, plans, images and scenes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from exoactor.pipeline import instruction_of
from exoactor_core.errors import BadInput
from exoactor_core.files import decoded, load_json, need_file
from exoactor_core.options import Configurable
from exoactor_core.stages import GenerateRequest, Generator, Stage, backend_class, check_instruction, load_backend

if TYPE_CHECKING:
    from exoactor_core.scene import Scene

DEFAULTS = {"generate": "mannequin", "estimate": "mediapipe", "retarget": "trajectory_ik", "track": "mujoco"}


class Backends:
    """Backends with their options as given on the command line."""

    def __init__(self, settings: list[str] | None = None, policy: str = "", **names: str) -> None:
        self.names = {**DEFAULTS, **names}
        self.options: dict[str, dict[str, Any]] = {stage: {} for stage in (*DEFAULTS, "judge")}
        for setting in settings or []:
            key, equals, value = setting.partition("=")
            stage, dot, option = key.partition(".")
            if not equals or not dot or stage not in self.options:
                raise BadInput(
                    f"'--set {setting}' is not STAGE.OPTION=VALUE with a stage of {', '.join(self.options)}: "
                    "for example --set generate.camera=side."
                )
            self.options[stage][option] = self._typed(stage, option, value)
        if policy:
            self.options["track"].setdefault("policy", policy)

    def _typed(self, stage: str, option: str, text: str) -> Any:
        options = self.class_of(stage).Options
        if option not in options.model_fields:
            known = ", ".join(options.model_fields) or "none"
            name = f"backend '{self.names[stage]}' of {stage}" if stage in self.names else stage
            raise BadInput(f"The {name} has no option '{option}': it has {known}.")
        return getattr(options(**{option: text}), option)

    def load(self, stage: Stage) -> Any:
        """Construct the backend of a stage; a generator with its judge."""
        backend = load_backend(stage, self.names[stage], **self.options[stage])
        if not isinstance(backend, Generator):
            return backend
        from exoactor_gen.video_judge.judge import Judge, Judged

        return Judged(backend, Judge(**self.options["judge"]))

    def class_of(self, stage: Any) -> type[Configurable]:
        """The class of a stage's backend, or of the judge."""
        if stage != "judge":
            return backend_class(stage, self.names[stage])
        from exoactor_gen.video_judge.judge import Judge

        return Judge


def read_task(task: str, plan: Path | None) -> tuple[str, dict[str, Any] | None]:
    """The instruction, which may be the plan's, and the plan if there is one."""
    content = None if plan is None else load_json(plan)
    task = instruction_of(task, content)
    check_instruction(task)
    return task, content


def read_request(task: str, plan: Path | None, image: Path | None, scene: Path | None) -> GenerateRequest:
    """Build the request for a generator from the files given on the command line."""
    instruction, content = read_task(task, plan)
    photograph, objects = None if image is None else read_image(image), None if scene is None else read_scene(scene)
    return GenerateRequest(instruction, photograph, content, scene=objects)


def read_image(path: Path) -> Any:
    """Read an image as (H, W, 3) uint8 RGB."""
    image = decoded(need_file(path, "image").read_bytes(), str(path))
    if image is None:
        raise BadInput(f"{path} is not an image that can be read (png or jpeg).")
    return image


def read_scene(path: Path) -> Scene:
    """Read a scene from a file; raises `BadInput` if it is not a valid scene."""
    from exoactor_core.scene import Scene
    from exoactor_core.scene_mjcf import check, from_mjcf

    scene = from_mjcf(path) if path.suffix == ".xml" else Scene.load(path)
    check(scene)
    return scene
