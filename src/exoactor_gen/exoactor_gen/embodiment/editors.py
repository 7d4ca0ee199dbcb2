"""Image editing by prompt: a pipeline of `diffusers` on this machine, or OpenAI's or Google's service."""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from exoactor_core.errors import BadInput, Missing, ServiceFailed
from exoactor_core.files import decoded
from exoactor_core.optional import optional_import
from exoactor_gen.http_client import HttpClient, Request, refusal
from exoactor_gen.image import base64_jpeg, fitted, jpeg
from exoactor_gen.waiting import Tick

Edit = Callable[[np.ndarray, str, str, int, Tick], np.ndarray]
"""Called with an image (H, W, 3) uint8 RGB, the prompt, the negative prompt, a seed, and a callback while waiting;
returns the edited image, of any size."""

IMAGE_AREA = 1024**2
"""px that editing models are trained for."""
DISTILLED_STEPS = 4
"""Steps of models that are distilled for few steps (FLUX.2 klein, by its README); the default of diffusers is 50."""
_TIMEOUT = 300.0
"""s after which a service without an answer is given up."""


def load_editor(name: str, url: str = "") -> Edit:
    """Create the editor for the options ``embody`` and ``embody_url``.

    Raises
    ------
    BadInput
        There is no such editor.
    Missing
        Its key, or something that it needs on this machine, is missing.
    """
    service, _, model = name.partition(":")
    if service == "openai":
        return OpenAIEditor(model or OpenAIEditor.default_model, url or OpenAIEditor.home)
    if service == "gemini":
        return GeminiEditor(model or GeminiEditor.default_model, url or GeminiEditor.home)
    if url:
        raise BadInput(f"A URL is given for the image editor, but {name} runs here: name openai or gemini.")
    return LocalEditor(name)


def working_size(image: np.ndarray, step: int) -> tuple[int, int]:
    """Width and height, px, with the image's aspect ratio and `IMAGE_AREA`, multiples of ``step``."""
    height, width = image.shape[:2]
    scale = math.sqrt(IMAGE_AREA / (width * height))
    return tuple(max(step, step * round(scale * side / step)) for side in (width, height))


class LocalEditor:
    """An image-editing pipeline of diffusers: Qwen-Image-Edit, FLUX Kontext, FLUX.2, LongCat and similar ones.

    On a GPU only the active part is loaded, since these models are larger than most GPUs.
    """

    def __init__(self, model: str) -> None:
        from exoactor_gen.diffusers_pipeline import Pipeline, PipelineOptions

        torch = optional_import("torch", "An image editor on this machine")
        offload: Literal["model", "none"] = "model" if torch.cuda.is_available() else "none"
        self.pipeline = Pipeline(PipelineOptions(model=model, offload=offload))
        self.pipeline.edit_images()

    def __call__(self, image: np.ndarray, prompt: str, negative: str, seed: int, tick: Tick) -> np.ndarray:
        """Edit an image; raises as `Pipeline.run`, and `ServiceFailed` if the result has no image."""
        from PIL import Image

        pipeline = self.pipeline
        pipeline.load(tick)
        width, height = working_size(image, 32)
        few = {"num_inference_steps": DISTILLED_STEPS} if pipeline.config.get("is_distilled") else {}
        result = pipeline.run(
            tick,
            lambda done: None,
            f"a smaller image (now {width} x {height} px)",
            image=Image.fromarray(fitted(image, (width, height))),
            prompt=prompt,
            negative_prompt=negative,
            width=width,
            height=height,
            generator=pipeline.torch.Generator("cpu").manual_seed(seed),
            max_area=IMAGE_AREA,
            _auto_resize=False,  # FLUX Kontext would choose another aspect ratio
            output_type="np",
            **few,
        )
        edited = np.asarray(result.images[0], np.float64)
        if not np.isfinite(edited).all():
            raise ServiceFailed(f"The pipeline {pipeline.model} gave no image but invalid numbers.")
        return np.clip(255.0 * edited[..., :3] + 0.5, 0, 255).astype(np.uint8)

    def free(self) -> None:
        """Free the memory."""
        self.pipeline.free()


class OpenAIEditor:
    """Image edits with OpenAI's Images API, and servers with the same protocol.

    Protocol: POST images/edits, multipart, https://platform.openai.com/docs/api-reference/images/createEdit; the answer
    has the image as base64. There is no seed: every attempt gives another image.
    """

    home = "https://api.openai.com/v1"
    default_model = "gpt-image-2.5-flare"

    def __init__(self, model: str, url: str) -> None:
        self.model = model
        self.web = _web("OpenAI's image editing", url, self.home, "OPENAI_API_KEY", ("Authorization", "Bearer "))

    def __call__(self, image: np.ndarray, prompt: str, negative: str, seed: int, tick: Tick) -> np.ndarray:
        """Edit an image; raises as `HttpClient.fetch`, and `ServiceFailed` if the answer has no image."""
        width, height = working_size(image, 16)
        form: dict[str, str | tuple[str, str, bytes]] = {
            "model": self.model,
            "prompt": f"{prompt} Avoid: {negative}.",
            "image": ("scene.jpg", "image/jpeg", jpeg(image, (width, height))),
            "size": f"{width}x{height}",
            "n": "1",
        }
        answer = self.web.fetch_json(Request("images/edits", "POST", form=form), tick)
        try:
            made = answer["data"][0]
            inline, url = made.get("b64_json"), made.get("url")
            data = base64.b64decode(inline) if inline else self.web.fetch(Request(url), tick) if url else b""
        except (KeyError, IndexError, TypeError, AttributeError, ValueError):
            raise ServiceFailed("OpenAI's image editing answered without an image: is the URL right?") from None
        return _decoded(data, "OpenAI's image editing")


class GeminiEditor:
    """Image edits with Google's Gemini API.

    Protocol: POST models/MODEL:generateContent, https://ai.google.dev/gemini-api/docs/image-generation; the answer's
    parts have the image as base64, or the finish reason why there is none.
    """

    home = "https://generativelanguage.googleapis.com/v1beta"
    default_model = "gemini-3.1-flash-image"

    def __init__(self, model: str, url: str) -> None:
        self.model = model
        self.web = _web("Gemini's image editing", url, self.home, "GEMINI_API_KEY", ("x-goog-api-key", ""))

    def __call__(self, image: np.ndarray, prompt: str, negative: str, seed: int, tick: Tick) -> np.ndarray:
        """Edit an image; raises as `HttpClient.fetch`, and `ServiceFailed` if the answer has no image."""
        parts = [
            {"inlineData": {"mimeType": "image/jpeg", "data": base64_jpeg(image)}},
            {"text": f"{prompt} Avoid: {negative}."},
        ]
        body = {
            "contents": [{"role": "user", "parts": parts}],
            "generationConfig": {"responseModalities": ["IMAGE"], "seed": seed},
        }
        answer = self.web.fetch_json(Request(f"models/{self.model}:generateContent", "POST", json=body), tick)
        return _decoded(self._image(answer), "Gemini's image editing")

    @staticmethod
    def _image(answer: Any) -> bytes:
        try:
            if not answer.get("candidates"):
                reason = answer["promptFeedback"]["blockReason"]
                raise refusal("Gemini's image editing", f"prohibited content, {reason}")
            candidate = answer["candidates"][0]
            for part in candidate.get("content", {}).get("parts", []):
                if part.get("inlineData"):
                    return base64.b64decode(part["inlineData"]["data"])
            said = candidate.get("finishMessage") or f"no image, {candidate['finishReason']}"
        except (KeyError, IndexError, TypeError, AttributeError, ValueError):
            raise ServiceFailed("Gemini's image editing answered without an image: is the URL right?") from None
        raise refusal("Gemini's image editing", said)


def _web(service: str, url: str, home: str, variable: str, header: tuple[str, str]) -> HttpClient:
    """The client of a service; its key is sent to the service only, self-hosted servers have their own or none."""
    own = url.rstrip("/") != home
    variable = "EXOACTOR_IMAGE_KEY" if own else variable
    key = os.environ.get(variable, "").strip()
    if not key and not own:
        raise Missing(f"{service} needs a key: set {variable} in the environment.")
    return HttpClient(service, url, key, variable, header, timeout=_TIMEOUT)


def _decoded(data: bytes, service: str) -> np.ndarray:
    image = decoded(data)
    if image is None:
        raise ServiceFailed(f"{service} delivered no image that can be read.")
    return image
