"""Backend ``diffusers``: a video model on this machine, any text-to-video or image-to-video pipeline of `diffusers`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, Unit

from exoactor_core.errors import BadInput, Missing, ServiceFailed
from exoactor_core.stages import GenerateRequest, Generation, Generator, OnJob, OnPlan, Progress, no_progress
from exoactor_core.video import MAX_FPS, Video
from exoactor_gen.diffusers_pipeline import Pipeline, PipelineOptions, library
from exoactor_gen.embodiment.editors import LocalEditor
from exoactor_gen.embodiment.embodiment import load_embodiment
from exoactor_gen.first_frame import first_image, known_of
from exoactor_gen.image import fitted
from exoactor_gen.mannequin.task import interaction_of
from exoactor_gen.options import VideoModelOptions, attempt_seed, read_extra
from exoactor_gen.plan import Plan
from exoactor_gen.planning.planners import load_planner, plan_only, plan_within
from exoactor_gen.video_models.prompt import SHORT, Prompt, Template
from exoactor_gen.waiting import ElapsedProgress

DEFAULT_MODEL = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"
"""Apache-2.0, text and image to video with the same weights, on one GPU."""
_SIBLINGS = {
    "LTXPipeline": "LTXImageToVideoPipeline",
    "LTX2Pipeline": "LTX2ImageToVideoPipeline",
    "WanPipeline": "WanImageToVideoPipeline",
}
"""Pipelines without and with an image that share their weights; Wan's only if one model was trained for both."""
_FRAME_RATES = {
    "CogVideoX": 8,
    "ConsisID": 8,
    "EasyAnimate": 8,
    "StableVideo": 7,
    "Allegro": 15,
    "Wan": 16,
    "AnyFlow": 16,
    "ChronoEdit": 16,
    "Sana": 16,
    "Cosmos2": 16,
    "HunyuanVideoFramepack": 30,
    "HunyuanVideo": 24,
    "Mochi": 30,
    "Cosmos": 30,
    "AnimateDiff": 8,
    "Latte": 8,
}
"""Frame rates that pipelines were trained for, by the beginning of their names, if the pipeline does not state it: from
the examples in diffusers' documentation of each; HunyuanVideo's from its own README. Others: 24."""
_MAX_FRAMES = {"Mochi": 163, "Allegro": 88}
"""Maximum number of frames, if the pipeline does not state it: from their READMEs."""


@dataclass(frozen=True)
class VideoFormat:
    """Size, length and rate of a video."""

    width: int
    height: int
    """px; 0: the pipeline's default."""
    frames: int
    fps: float


def native_format(pipeline: Pipeline) -> VideoFormat:
    """Format that a pipeline's model was trained for, from the pipeline's arguments and configuration."""
    name, takes = pipeline.kind.__name__, pipeline.takes
    width, height, frames = takes.get("width") or 0, takes.get("height") or 0, takes.get(_frames_argument(pipeline))
    fps = next((value for start, value in _FRAME_RATES.items() if name.startswith(start)), 24.0)
    fps = next((takes[n] for n in ("frame_rate", "fps") if isinstance(takes.get(n), int | float)), fps)
    if name.startswith("Wan") and pipeline.config.get("expand_timesteps"):  # Wan 2.2 with 5B, as its README has it
        width, height, frames, fps = 1280, 704, 121, 24.0
    if name.startswith("CogVideoX"):
        part = pipeline.part("transformer")
        width, height = 8 * part.get("sample_width", 90), 8 * part.get("sample_height", 60)
        frames, fps = part.get("sample_frames", 49), 16.0 if part.get("patch_size_t") else 8.0  # 1.5 or the first
    frames = next((value for start, value in _MAX_FRAMES.items() if name.startswith(start)), frames)
    return VideoFormat(width, height, frames or 121, float(fps))


def _frames_argument(pipeline: Pipeline) -> str:
    """The pipeline's name of the number of frames; empty if it makes no videos."""
    return next((name for name in ("num_frames", "frames", "video_length") if name in pipeline.takes), "")


def steps_of(pipe: Any) -> tuple[int, int]:
    """Factors of a loaded pipeline's number of frames (minus one) and of the sides of its images."""
    names = ("vae_scale_factor_temporal", "vae_temporal_compression_ratio", "vae_temporal_scale_factor")
    in_time = next((getattr(pipe, name) for name in names if getattr(pipe, name, None)), 1)
    if type(pipe).__name__.startswith("CogVideoX"):  # 8 or, 1.5, 16, as its README has it: it decodes by twos
        in_time *= 4 if getattr(pipe.transformer.config, "patch_size_t", None) else 2
    spatial = (*(name.replace("temporal", "spatial") for name in names), "vae_scale_factor")
    in_space = next((getattr(pipe, name) for name in spatial if getattr(pipe, name, None)), 8)
    model = getattr(pipe, "transformer", None) or getattr(pipe, "transformer_2", None) or getattr(pipe, "unet", None)
    patch = getattr(getattr(model, "config", None), "patch_size", 1)
    patch = patch[-1] if isinstance(patch, list | tuple) else patch
    return int(in_time), math.lcm(2, int(in_space) * int(patch or 1))


def frames_for(seconds: float, fps: float, step: int, max_frames: int) -> int:
    """The smallest number of frames for a duration minus 0.25 s: ``max_frames``, or less by a multiple of ``step``."""
    rest = max_frames % step
    steps = math.ceil(((seconds - 0.25) * fps - rest) / step)
    return min(rest + step * max(1, steps), max_frames)


def size_for(native: VideoFormat, wanted: tuple[int, int], image: np.ndarray | None, step: int) -> tuple[int, int]:
    """Width and height, px, multiples of ``step``, for an image of the scene (H, W, 3), if any.

    As ``wanted`` (0: unspecified), or else the model's own area with the image's aspect ratio.
    """
    width: float
    height: float
    width, height = wanted
    if not (width or height) and image is None:
        width, height = native.width, native.height
    elif not (width and height):
        shape = (native.width or 832) / (native.height or 480) if image is None else image.shape[1] / image.shape[0]
        if width or height:
            width, height = width or height * shape, height or width / shape
        else:
            area = (native.width or 832) * (native.height or 480)
            width, height = math.sqrt(area * shape), math.sqrt(area / shape)
    sides = [step * max(1, round(side / step)) if side else 0 for side in (width, height)]
    return sides[0], sides[1]


class DiffusersVideo(Generator):
    """A video model on this machine, run by diffusers."""

    class Options(VideoModelOptions, PipelineOptions):
        """0 and empty: the default of the pipeline or its model."""

        model: str = DEFAULT_MODEL
        """Repository id on the Hugging Face hub, or folder, of a text-to-video or image-to-video pipeline of diffusers:
        Wan, LTX, CogVideoX, HunyuanVideo, Cosmos, Mochi, SkyReels, Kandinsky and others."""
        steps: Annotated[int, Interval(ge=0, le=1000)] = 0
        """Denoising steps; 0: the pipeline's default."""
        guidance: Annotated[float, Interval(ge=0.0, le=100.0)] = 0.0
        """Guidance scale: how strictly the prompt is followed; 0: the pipeline's default. 1 disables the negative
        prompt and takes half the time."""
        frames: Annotated[int, Interval(ge=0, le=10000)] = 0
        """Number of frames; 0: the fewest that the plan fits in, up to the model's usual number."""
        fps: Annotated[float, Interval(ge=0.0, le=MAX_FPS), Unit("Hz")] = 0.0
        """Frame rate; 0: the model's own."""
        width: Annotated[int, Interval(ge=0, le=8192), Unit("px")] = 0
        """Size of the image; 0: the model's own, with the aspect ratio of the scene's image."""
        height: Annotated[int, Interval(ge=0, le=8192), Unit("px")] = 0
        """Likewise."""
        negative: str = ""
        """Negative prompt; empty: the template's."""

    options: Options

    @classmethod
    def plan(cls, request: GenerateRequest, **options: Any) -> dict[str, Any]:
        """Return the plan alone; raises as `planned`. If the model does not state its length, the maximum is 5 s."""
        given = cls.Options(**options)
        return plan_only(request, given.frames / given.fps if given.frames and given.fps else 5.0, given)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        given = self.options
        model = given.model
        self.extra = read_extra(given.extra, '{"decode_timestep": 0.05}')
        self.planner = load_planner(given)
        self.templates = [Template.load(given.template)] if given.template else [Template.load(), Template.load(SHORT)]
        self.pipeline = Pipeline(given)
        if not _frames_argument(self.pipeline):
            raise BadInput(f"The pipeline {self.pipeline.kind.__name__} of {model} makes no videos.")
        if "prompt" not in self.pipeline.takes:
            raise BadInput(f"The pipeline {self.pipeline.kind.__name__} of {model} takes no words to say what to do.")
        lacking = [name for name in self.pipeline.takes if self.pipeline.needs(name)]
        lacking = sorted(set(lacking) - {"prompt", "image", *self.extra})
        if lacking:
            raise BadInput(
                f"The pipeline {self.pipeline.kind.__name__} of {model} needs more than a text and an image: "
                f"it wants {', '.join(lacking)}."
            )
        unknown = set(self.extra) - set(self.pipeline.takes)
        if unknown:
            raise BadInput(f"The option extra names {min(unknown)}, which {self.pipeline.kind.__name__} does not take.")
        self._native = native_format(self.pipeline)
        self.embody = load_embodiment(given)

    @classmethod
    def ready(cls) -> str:
        """What `exoactor doctor` shows; raises `Missing` if it cannot run, or only too slowly to be useful."""
        version = library().__version__
        import torch

        if not torch.cuda.is_available():
            raise Missing(
                f"diffusers {version} is there, but no CUDA device: a video takes hours, and weights need 20 GB and "
                "more; use a hosted generator, or a machine with a GPU of 24 GB"
            )
        from huggingface_hub import try_to_load_from_cache

        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        there = isinstance(try_to_load_from_cache(DEFAULT_MODEL, "model_index.json"), str)
        weights = f"{DEFAULT_MODEL} is downloaded" if there else f"{DEFAULT_MODEL} is downloaded at first use"
        return f"diffusers {version}, {torch.cuda.get_device_name(0)} with {memory:.0f} GiB; {weights}"

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
            The plan cannot be made or is too long, or the pipeline does not fit the request.
        Missing
            Its weights are missing.
        ServiceFailed
            It needs too much memory, or returns no images.
        """
        status, pipeline, native = ElapsedProgress(progress), self.pipeline, self._native
        notes: list[str] = []
        fps, max_frames = self.options.fps or native.fps, self.options.frames or native.frames
        plan = plan_within(request, self.planner, max_frames / fps, status.tick, progress, on_plan)
        if self.embody and isinstance(self.embody.edit, LocalEditor):
            pipeline.free()  # one GPU usually cannot hold both models
        takes_image = "image" in pipeline.takes or bool(_sibling(pipeline))
        image, record = first_image(request, plan, self.embody, self._shape() if takes_image else None, status)
        image = self._choose(image, notes)
        notes += self._unused_options()
        status.set(0.0, f"Loading {pipeline.model}")
        pipe = pipeline.load(status.tick)
        wanted = self._format(pipe, plan.seconds, image, notes)
        prompt = self._prompt(pipe, plan, round(wanted.frames / fps), image is not None, notes)
        seed = attempt_seed(self.options.seed, request.attempt)
        images, steps = self._run(self._arguments(prompt, image, seed, wanted), wanted, status)
        first = record.get("first_frame")
        known = known_of(first, *images[0].shape[1::-1]) if first else ()
        video = Video.from_frames(images, fps, *known)
        progress(1.0, f"{len(images)} frames from {pipeline.model}")
        metrics: dict[str, Any] = {
            "model": pipeline.model,
            "revision": pipeline.revision,
            "pipeline": pipeline.kind.__name__,
            "device": str(pipeline.device),
            "dtype": pipeline.dtype,
            "seed": seed,
            "steps": steps,
            "frames": len(images),
            "seconds": round(len(images) / video.fps, 3),
            "waited": round(status.seconds, 1),
            **prompt.record(),
            **record,
        }
        if notes:
            metrics["note"] = " ".join(notes)
        interaction = interaction_of(plan, request.scene)
        return Generation(video, None, metrics, plan.data(), image=image, interaction=interaction)

    def _unused_options(self) -> list[str]:
        """Sentences on options for which the pipeline has no argument."""
        name, takes = self.pipeline.kind.__name__, self.pipeline.takes
        return [
            f"The option {option} is not used: {name} takes no {argument}."
            for option, argument in (("steps", "num_inference_steps"), ("guidance", "guidance_scale"))
            if getattr(self.options, option) and argument not in takes
        ]

    def _format(self, pipe: Any, seconds: float, image: np.ndarray | None, notes: list[str]) -> VideoFormat:
        """The closest format to the request that a loaded pipeline supports; differences are noted."""
        options, native = self.options, self._native
        frame_step, pixel_step = steps_of(pipe)
        fps = options.fps or native.fps
        frames = options.frames or frames_for(seconds, fps, frame_step, native.frames)
        rest = native.frames % frame_step
        if (frames - rest) % frame_step:
            notes.append(f"The frames of this model are a multiple of {frame_step}, plus {rest}: not {frames}.")
            frames = rest + frame_step * math.ceil((frames - rest) / frame_step)
        width, height = size_for(native, (options.width, options.height), image, pixel_step)
        if any(asked not in (0, side) for asked, side in ((options.width, width), (options.height, height))):
            notes.append(f"The sides of its images are multiples of {pixel_step}: {width} x {height} px are made.")
        return VideoFormat(width, height, frames, fps)

    def _run(
        self, arguments: dict[str, Any], wanted: VideoFormat, status: ElapsedProgress
    ) -> tuple[list[np.ndarray], int]:
        """The pipeline's images, and the number of denoising steps."""
        default = self.pipeline.takes.get("num_inference_steps") or 50
        steps = self.options.steps or default
        status.set(0.1, f"Step 0 of {steps}")

        def on_step(done: int) -> None:
            if done:
                status.set(0.1 + 0.8 * min(1.0, done / steps), f"Step {done} of {steps}")
            if done >= steps:
                status.text = "Decoding"

        smaller = f"fewer frames (now {wanted.frames}), a smaller image (now {wanted.width} x {wanted.height} px)"
        return as_images(self.pipeline.run(status.tick, on_step, smaller, **arguments), self.pipeline.model), steps

    def _shape(self) -> tuple[int, int]:
        """Width and height of an image of the scene, px, even."""
        width, height = size_for(self._native, (self.options.width, self.options.height), None, 2)
        return width or 832, height or 480

    def _choose(self, image: np.ndarray | None, notes: list[str]) -> np.ndarray | None:
        """Choose the pipeline variant for the request; returns the image that is used."""
        pipeline, name, other = self.pipeline, self.pipeline.kind.__name__, _sibling(self.pipeline)
        if image is None and (pipeline.needs("image") or "ImageToVideo" in name):
            if not other:
                raise BadInput(
                    f"The pipeline {name} of {pipeline.model} begins with an image of the scene: give one (--image), "
                    "or a model that makes videos of text."
                )
            pipeline.become(other)
        elif image is not None and "image" not in pipeline.takes:
            if not other:
                notes.append(f"The image is not used: the pipeline {name} makes videos of text only.")
                return None
            pipeline.become(other)
        return image

    def _prompt(self, pipe: Any, plan: Plan, seconds: int, with_image: bool, notes: list[str]) -> Prompt:
        """Phrase the plan within the number of words that the model reads."""
        budget = self.extra.get("max_sequence_length") or self.pipeline.takes.get("max_sequence_length")
        for template in self.templates:
            prompt = template.fill(plan, seconds, with_image)
            prompt = replace(prompt, negative=self.options.negative or prompt.negative)
            if "negative_prompt" not in self.pipeline.takes:
                prompt = replace(prompt, text=prompt.combined, negative="")
            count = len(pipe.tokenizer(prompt.text).input_ids) if getattr(pipe, "tokenizer", None) else 0
            if not budget or count <= budget:
                return prompt
        notes.append(
            f"The model reads {budget} tokens, but the prompt has {count}: its end is cut off. Shorten the plan."
        )
        return prompt

    def _arguments(self, prompt: Prompt, image: np.ndarray | None, seed: int, wanted: VideoFormat) -> dict[str, Any]:
        """Arguments of the pipeline's call, which drops those that it does not support."""
        import torch
        from PIL import Image

        arguments: dict[str, Any] = {
            "prompt": prompt.text,
            "negative_prompt": prompt.negative or None,
            _frames_argument(self.pipeline): wanted.frames,
            "fps": wanted.fps,
            "frame_rate": wanted.fps,
            "generator": torch.Generator("cpu").manual_seed(seed),
            "output_type": "np",
        }
        if self.options.steps:
            arguments["num_inference_steps"] = self.options.steps
        if self.options.guidance:
            arguments["guidance_scale"] = self.options.guidance
        if wanted.width:
            arguments |= {"width": wanted.width, "height": wanted.height}
        if image is not None:
            arguments["image"] = Image.fromarray(
                fitted(image, (wanted.width, wanted.height)) if wanted.width else image
            )
        return arguments | self.extra


def _sibling(pipeline: Pipeline) -> str:
    """The pipeline with the same weights that starts with an image, or without; empty: there is none."""
    name = pipeline.kind.__name__
    if name.startswith("Wan") and not pipeline.config.get("expand_timesteps"):
        return ""
    return _SIBLINGS.get(name) or next((plain for plain, other in _SIBLINGS.items() if other == name), "")


def as_images(result: Any, model: str) -> list[np.ndarray]:
    """The frames of a pipeline's result: each (H, W, 3) uint8 RGB with even sides.

    Raises
    ------
    ServiceFailed
        The result has no images.
    """
    videos = next((getattr(result, name) for name in ("frames", "video", "videos") if hasattr(result, name)), None)
    frames = [np.asarray(frame) for frame in (result if videos is None else videos)[0]]
    if not frames or not all(np.isfinite(frame).all() for frame in frames):
        raise ServiceFailed(f"The pipeline {model} gave no images but invalid numbers: try dtype=bfloat16 or float32.")
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    if frames[0].dtype != np.uint8:
        frames = [np.clip(255.0 * frame + 0.5, 0, 255).astype(np.uint8) for frame in frames]
    return [frame[:height, :width, :3] for frame in frames]
