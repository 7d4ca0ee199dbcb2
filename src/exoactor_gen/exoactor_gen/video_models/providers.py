"""The services that `hosted` can ask, each as it documents itself; where it does is said with it."""

from __future__ import annotations

import base64
import os
import urllib.parse
from typing import Any

from exoactor_gen.http_client import Request, explain, is_unencrypted
from exoactor_gen.image import base64_jpeg, jpeg
from exoactor_gen.video_models.hosted import Hosted
from exoactor_gen.video_models.inputs import Inputs
from exoactor_gen.video_models.jobs import Job, JobDone, JobRunning, VideoRequest
from exoactor_gen.waiting import Tick


class Omni(Hosted):
    """Google's Gemini Omni by the Gemini API; key in GEMINI_API_KEY.

    The successor of Veo there. Protocol: Interactions API, https://ai.google.dev/gemini-api/docs/omni and the types of
    github.com/googleapis/python-genai (interactions: background, response_format of type video, status, steps).
    """

    backend = "omni"
    title = "Gemini Omni"
    home = "https://generativelanguage.googleapis.com/v1beta"
    key_name = "GEMINI_API_KEY"
    key_header = ("x-goog-api-key", "")
    key_from = "from aistudio.google.com"
    default_model = "gemini-omni-1.2-flash"
    lengths = tuple(range(3, 16))
    takes_negative = takes_seed = False
    price_list = "ai.google.dev/gemini-api/docs/pricing"

    def submit(self, request: VideoRequest) -> Request:
        """POST interactions."""
        given: Any = request.prompt.combined
        if request.image is not None:
            image = {"type": "image", "data": base64_jpeg(request.image), "mime_type": "image/jpeg"}
            given = [image, {"type": "text", "text": request.prompt.combined}]
        form = {
            "type": "video",
            "delivery": "uri",
            "aspect_ratio": request.aspect,
            "resolution": "360p" if request.resolution == "480p" else request.resolution,
            "duration": f"{request.prompt.seconds}s",
        }
        body = request.fields(model=request.model, input=given, background=True, response_format=form)
        return Request("interactions", "POST", json=body)

    def poll(self, job: Job) -> Request:
        """GET interactions/ID."""
        return Request(f"interactions/{_quoted(job.id)}")

    def parse_status(self, job: Job, answer: Any) -> JobRunning | JobDone:
        """{status, steps: [{type, content: [{type: video, uri}]}], error}; a refusal is complete, with words only."""
        status = answer["status"]
        if status in ("queued", "in_progress"):
            return JobRunning(status.replace("_", " "))
        contents = [c for s in answer.get("steps") or [] for c in s.get("content") or [] if s["type"] == "model_output"]
        for content in contents:
            if content["type"] == "video":
                if content.get("data"):
                    return JobDone(data=base64.b64decode(content["data"]))
                return JobDone(content["uri"])
        said = explain(answer.get("error") or answer.get("errors")) or " ".join(c.get("text", "") for c in contents)
        if status == "completed":
            raise self.failed(f"no video, blocked by its safety policy: {said}")
        raise self.failed(said or status)

    def cancel(self, job: Job) -> Request:
        """POST interactions/ID/cancel."""
        return Request(f"interactions/{_quoted(job.id)}/cancel", "POST", idempotent=True)


class Veo(Hosted):
    """Google's Veo, in a project of Google Cloud; key in GOOGLE_ACCESS_TOKEN.

    Protocol: predictLongRunning and fetchPredictOperation of
    https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/video/generate-videos-from-text.
    """

    backend = "veo"
    title = "Veo"
    home = ""
    needs_url = (
        "Veo is asked in your own project of Google Cloud: set the option base_url to its address, as "
        "docs/generators.md has it, and GOOGLE_ACCESS_TOKEN in the environment (from gcloud auth print-access-token)."
    )
    key_name = "GOOGLE_ACCESS_TOKEN"
    key_from = "from gcloud auth print-access-token"
    default_model = "veo-3.1-generate-001"
    lengths = (4, 6, 8)
    price_list = "cloud.google.com/vertex-ai/generative-ai/pricing"

    def submit(self, request: VideoRequest) -> Request:
        """POST models/MODEL:predictLongRunning."""
        instance: dict[str, Any] = {"prompt": request.prompt.text}
        if request.image is not None:
            instance["image"] = {"bytesBase64Encoded": base64_jpeg(request.image), "mimeType": "image/jpeg"}
        parameters = request.fields(
            aspectRatio=request.aspect,
            durationSeconds=request.prompt.seconds,
            resolution="1080p" if request.resolution == "1080p" else "720p",
            negativePrompt=request.prompt.negative or None,
            personGeneration="allow_adult",
            seed=request.seed,
            generateAudio=False,
            sampleCount=1,
        )
        body = {"instances": [instance], "parameters": parameters}
        return Request(f"models/{_quoted(request.model)}:predictLongRunning", "POST", json=body)

    def parse_job(self, answer: Any) -> Job:
        """{name}: of the operation."""
        return Job(answer["name"])

    def poll(self, job: Job) -> Request:
        """POST models/MODEL:fetchPredictOperation."""
        what = {"operationName": job.id}
        return Request(f"models/{_quoted(self.model)}:fetchPredictOperation", "POST", json=what, idempotent=True)

    def parse_status(self, job: Job, answer: Any) -> JobRunning | JobDone:
        """{done, error, response: {videos: [{bytesBase64Encoded}], raiMediaFilteredReasons}}."""
        if not answer.get("done"):
            return JobRunning("generating")
        if answer.get("error"):
            raise self.failed(explain(answer["error"]))
        response = answer["response"]
        if videos := response.get("videos"):
            return JobDone(data=base64.b64decode(videos[0]["bytesBase64Encoded"]))
        reasons = response.get("raiMediaFilteredReasons") or ["no video came"]
        raise self.failed("its safety filter kept the video: " + " ".join(map(str, reasons)))


class Kling(Hosted):
    """Kuaishou's Kling; key in KLING_API_KEY.

    Protocol: text-to-video/MODEL, image-to-video/MODEL and tasks of
    https://kling.ai/document-api/api/video/3-0-omni/text-to-video and .../image-to-video, errors of
    https://kling.ai/document-api/api/get-started/error-codes.
    """

    backend = "kling"
    title = "Kling"
    home = "https://api-singapore.klingai.com"
    key_name = "KLING_API_KEY"
    key_from = "from kling.ai/dev"
    default_model = "kling-3.0"
    lengths = tuple(range(3, 16))
    longest_prompt = 3072
    takes_negative = takes_seed = False
    price_list = "kling.ai/document-api/pricing/base/video"
    prices = {"kling-3.0": 0.084, "kling-3.0-turbo": 0.112}  # noqa: RUF012
    prices_read = "2026-10-08"

    def is_temporary(self, reason: str) -> bool:
        """1100 to 1102: the account is in arrears, or its package is used up."""
        return not any(f"({code})" in reason for code in (1100, 1101, 1102))

    def submit(self, request: VideoRequest) -> Request:
        """POST text-to-video/MODEL or image-to-video/MODEL; several shots in one video are the default there."""
        settings = {
            "resolution": "1080p" if request.resolution == "1080p" else "720p",
            "duration": request.prompt.seconds,
            "audio": "off",
            "multi_shot": False,
        }
        if request.image is None:
            body = request.fields(prompt=request.prompt.combined, settings=settings | {"aspect_ratio": request.aspect})
            return Request(f"text-to-video/{_quoted(request.model)}", "POST", json=body)
        contents = [
            {"type": "prompt", "text": request.prompt.combined},
            {"type": "first_frame", "url": base64_jpeg(request.image)},
        ]
        body = request.fields(contents=contents, settings=settings)
        return Request(f"image-to-video/{_quoted(request.model)}", "POST", json=body)

    def parse_job(self, answer: Any) -> Job:
        """{code, message, data: {id}}."""
        return Job(self._data(answer)["id"])

    def poll(self, job: Job) -> Request:
        """GET tasks?task_ids=ID."""
        return Request(f"tasks?task_ids={_quoted(job.id)}")

    def parse_status(self, job: Job, answer: Any) -> JobRunning | JobDone:
        """{code, data: [{status, message, outputs: [{type, url}], billing}]}; results are kept for 30 days."""
        data = self._data(answer)
        if data == []:  # so new that it is not listed yet
            return JobRunning("waiting")
        task = data[0] if isinstance(data, list) else data
        status = task["status"]
        if status in ("submitted", "processing"):
            return JobRunning("waiting" if status == "submitted" else "generating")
        if status != "succeeded":
            raise self.failed(task.get("message") or status)
        billed = {"billed": task["billing"]} if task.get("billing") else {}
        urls = [output["url"] for output in task["outputs"] if output["type"] == "video"]
        return JobDone(urls[0], notes=billed)

    def _data(self, answer: Any) -> Any:
        if answer["code"]:
            raise self.failed(explain(answer))
        return answer["data"]


class Sora(Hosted):
    """OpenAI's Videos API, also offered by some servers that you can host; key in OPENAI_API_KEY.

    OpenAI itself closed it on 2026-09-24. With base_url, such as http://gpu:8091/v1, it reaches Wan, HunyuanVideo and
    others on a vLLM-Omni or another server that speaks the same, with no key where the server wants none. Protocol:
    https://developers.openai.com/api/docs/guides/video-generation and
    https://docs.vllm.ai/projects/vllm-omni/en/latest/serving/videos_api.
    """

    backend = "sora"
    title = "Sora"
    home = "https://api.openai.com/v1"
    needs_url = (
        "OpenAI closed its Videos API on 2026-09-24: set the option base_url to your own server with the same API, "
        "such as vLLM-Omni."
    )
    key_name = "OPENAI_API_KEY"
    key_from = "from platform.openai.com; your own server, in base_url, may need none"
    default_model = "sora-2"
    lengths = (4, 8, 12, 16, 20)
    price_list = "openai.com/api/pricing"

    @classmethod
    def key(cls, base_url: str) -> str:
        """Your own server may need none, and gets none without https, where others could read it."""
        if base_url == cls.home:
            return super().key(base_url)
        return "" if is_unencrypted(base_url) else os.environ.get(cls.key_name, "").strip()

    @property
    def _own(self) -> bool:
        return self.base_url != self.home

    @property
    def takes_negative(self) -> bool:  # type: ignore[override]
        """OpenAI takes no negative prompt; the others do."""
        return self._own

    @property
    def takes_seed(self) -> bool:  # type: ignore[override]
        """OpenAI takes no seed; the others do."""
        return self._own

    def model_for(self, with_image: bool) -> str:
        """Your own server has a single model."""
        return "" if self._own else self.default_model

    def submit(self, request: VideoRequest) -> Request:
        """POST videos, as a form; the image must have the video's size."""
        width, height = self._size()
        fields = request.fields(
            model=request.model or None,
            prompt=request.prompt.text if self._own else request.prompt.combined,
            seconds=request.prompt.seconds,
            size=f"{width}x{height}",
            negative_prompt=request.prompt.negative if self._own else None,
            seed=request.seed if self._own else None,
        )
        form: dict[str, Any] = {name: str(value) for name, value in fields.items()}
        if request.image is not None:
            form["input_reference"] = ("scene.jpg", "image/jpeg", jpeg(request.image, (width, height)))
        return Request("videos", "POST", form=form)

    def poll(self, job: Job) -> Request:
        """GET videos/ID."""
        return Request(f"videos/{_quoted(job.id)}")

    def parse_status(self, job: Job, answer: Any) -> JobRunning | JobDone:
        """{status, progress, error}; the video is at videos/ID/content."""
        status = answer["status"]
        if status in ("queued", "in_progress"):
            return JobRunning(status.replace("_", " "), (answer.get("progress") or 0) / 100.0)
        if status != "completed":
            raise self.failed(explain(answer.get("error")) or status)
        return JobDone(f"videos/{_quoted(job.id)}/content")

    def cancel(self, job: Job) -> Request:
        """DELETE videos/ID."""
        return Request(f"videos/{_quoted(job.id)}", "DELETE")


class Fal(Hosted):
    """Any video model of fal.ai, by its queue; key in FAL_KEY.

    The model is its path there. The fields of Wan 3.0 are known, https://fal.ai/models/alibaba/wan-3.0/text-to-video/api
    and .../image-to-video/api; those of another model are read in its schema, and the option extra adds to them.
    Protocol: https://fal.ai/docs/documentation/model-apis/inference/queue and .../errors, .../request-errors; schemas:
    https://fal.ai/docs/platform-apis/v1/models (expand=openapi-3.0), which want no key.
    """

    backend = "fal"
    title = "fal"
    home = "https://queue.fal.run"
    catalogue = "https://api.fal.ai/v1/models"
    key_name = "FAL_KEY"
    key_header = ("Authorization", "Key ")
    key_from = "from fal.ai/dashboard/keys"
    default_model = "alibaba/wan-3.0/text-to-video"
    lengths = tuple(range(2, 31))
    takes_negative = False
    price_list = "fal.ai/models"
    prices = {"alibaba/wan-3.0/text-to-video": 0.1, "alibaba/wan-3.0/image-to-video": 0.1}  # noqa: RUF012
    prices_read = "2026-11"

    def model_for(self, with_image: bool) -> str:
        """Text and image have an endpoint each."""
        return "alibaba/wan-3.0/image-to-video" if with_image else self.default_model

    def inputs(self, model: str, tick: Tick) -> Inputs | None:
        """GET the platform's models?endpoint_id=MODEL&expand=openapi-3.0: {models: [{openapi}]}."""
        if model in (self.default_model, self.model_for(True)):
            return None
        answer = self.web.fetch_json(Request(f"{self.catalogue}?endpoint_id={_quoted(model)}&expand=openapi-3.0"), tick)
        return Inputs(answer["models"][0]["openapi"], model)

    def submit(self, request: VideoRequest) -> Request:
        """POST MODEL, with the model's own fields; expanding the prompt would lose what it asks for."""
        body = request.fields(
            prompt=request.prompt.combined,
            start_image_url="{image}",
            aspect_ratio=request.aspect if request.image is None else None,
            resolution=request.resolution,
            duration=request.prompt.seconds,
            enable_prompt_expansion=False,
            audio=False,
            seed=request.seed,
        )
        return Request(urllib.parse.quote(request.model), "POST", json=body)

    def parse_job(self, answer: Any) -> Job:
        """{request_id, status_url, response_url, cancel_url}."""
        links = {name: answer[f"{name}_url"] for name in ("status", "response", "cancel")}
        return Job(answer["request_id"], links)

    def poll(self, job: Job) -> Request:
        """GET its status and, when it is complete, its response."""
        return Request(job.links.get("next", job.links["status"]))

    def parse_status(self, job: Job, answer: Any) -> JobRunning | JobDone:
        """{status, queue_position, error}, and then {video: {url}}; an error stands in either."""
        status = answer.get("status")
        if status == "IN_QUEUE":
            return JobRunning(f"waiting, {answer.get('queue_position', 0)} before it")
        if status == "IN_PROGRESS":
            return JobRunning("generating")
        if answer.get("error") or answer.get("detail"):
            raise self.failed(explain(answer))
        if status == "COMPLETED":
            job.links["next"] = job.links["response"]
            return JobRunning("complete", 1.0, poll_at_once=True)
        video = answer.get("video") or answer["videos"][0]
        return JobDone(video if isinstance(video, str) else video["url"])

    def cancel(self, job: Job) -> Request:
        """PUT its cancel URL."""
        return Request(job.links["cancel"], "PUT")


class Replicate(Hosted):
    """Any video model of Replicate, by its predictions; key in REPLICATE_API_TOKEN.

    The model is OWNER/NAME, or OWNER/NAME:VERSION for those of the community. The fields of Wan 2.7 are known,
    https://replicate.com/wan-video/wan-2.7-t2v/api and .../wan-2.7-i2v/api; those of another model are read in its
    schema, and the option extra adds to them. Protocol: https://replicate.com/docs/reference/http (predictions.create,
    .get, .cancel, models.get, models.versions.get).
    """

    backend = "replicate"
    title = "Replicate"
    home = "https://api.replicate.com/v1"
    key_name = "REPLICATE_API_TOKEN"
    key_from = "from replicate.com/account/api-tokens"
    default_model = "wan-video/wan-2.7-t2v"
    lengths = tuple(range(2, 16))
    price_list = "replicate.com/pricing"

    def model_for(self, with_image: bool) -> str:
        """Text and image have a model each."""
        return "wan-video/wan-2.7-i2v" if with_image else self.default_model

    def inputs(self, model: str, tick: Tick) -> Inputs | None:
        """GET models/OWNER/NAME: {latest_version: {openapi_schema}}, or models/OWNER/NAME/versions/VERSION."""
        if model in (self.default_model, self.model_for(True)):
            return None
        name, _, version = model.partition(":")
        path = f"models/{urllib.parse.quote(name)}" + (f"/versions/{_quoted(version)}" if version else "")
        answer = self.web.fetch_json(Request(path), tick)
        return Inputs((answer if version else answer["latest_version"])["openapi_schema"], model)

    def submit(self, request: VideoRequest) -> Request:
        """POST models/OWNER/NAME/predictions, or predictions with a version."""
        given = request.fields(
            prompt=request.prompt.text,
            negative_prompt=request.prompt.negative or None,
            first_frame="{image}",
            aspect_ratio=request.aspect if request.image is None else None,
            resolution="1080p" if request.resolution == "1080p" else "720p",
            duration=request.prompt.seconds,
            enable_prompt_expansion=False,
            seed=request.seed,
        )
        if ":" in request.model:
            return Request("predictions", "POST", json={"version": request.model, "input": given})
        return Request(f"models/{urllib.parse.quote(request.model)}/predictions", "POST", json={"input": given})

    def poll(self, job: Job) -> Request:
        """GET predictions/ID."""
        return Request(f"predictions/{_quoted(job.id)}")

    def parse_status(self, job: Job, answer: Any) -> JobRunning | JobDone:
        """{status, output, error}; outputs are kept for an hour."""
        status = answer["status"]
        if status in ("starting", "processing"):
            return JobRunning("starting" if status == "starting" else "generating")
        if status != "succeeded":
            raise self.failed(explain(answer.get("error")) or status)
        output = answer["output"]
        if not output:
            raise self.failed("the job's output has expired" if answer.get("data_removed") else "it made no output")
        return JobDone(output if isinstance(output, str) else output[0])

    def cancel(self, job: Job) -> Request:
        """POST predictions/ID/cancel."""
        return Request(f"predictions/{_quoted(job.id)}/cancel", "POST", idempotent=True)


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
