"""Every hosted backend against a local server that speaks the service's documented protocol, and fails as asked."""

import base64
import email.utils
import json
import os
import re
import subprocess
import sys
import threading
import time
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from exoactor_core.errors import BadInput, Cancelled, Missing, Refused
from exoactor_core.scene import everyday, joined
from exoactor_core.stages import GenerateRequest, backend_class, load_backend
from exoactor_core.video import Video
from exoactor_gen import http_client as web
from exoactor_gen.mannequin.mannequin import ROBOT_STATURE
from exoactor_gen.video_models import hosted

VIDEO = Video.from_frames((np.full((48, 64, 3), 12 * i, np.uint8) for i in range(12)), 24.0).data
KEY = "sk-very-secret-1234567890"
TASK = "wave with your right hand"  # 5.06 s
PROJECT = "/v1/projects/p/locations/us-central1/publishers/google"


class Fake:
    """A server on this machine; ``faults`` are taken one after the other by the requests that they fit."""

    def __init__(self, service):
        self.service, self.asked, self.faults, self.looks = service, [], [], 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with fake.lock:
                    fake.asked.append((self.command, self.path, self.headers, body))
                    fault = next((f for f in fake.faults if re.fullmatch(f["on"], f"{self.command} {self.path}")), None)
                    if fault:
                        fake.faults.remove(fault)
                    else:
                        status, content = fake.service(fake, self.command, self.path, self.headers, body)
                fault = fault or {}
                if "delay" in fault:
                    fake.asleep.wait(fault["delay"])
                if "drip" in fault:
                    status, content = 200, b"{" + b" " * 1000
                elif "bytes" in fault:
                    status, content = fault.get("status", 200), fault["bytes"]
                elif "status" in fault or "json" in fault:
                    status, content = fault.get("status", 200), json.dumps(fault.get("json", {})).encode()
                elif fault:
                    status, content = 200, VIDEO
                try:
                    self.send_response(status)
                    for name, value in fault.get("headers", {}).items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    while "drip" in fault:
                        self.wfile.write(b" ")
                        self.wfile.flush()
                        fake.asleep.wait(fault["drip"])
                    self.wfile.write(content[: len(content) // 2] if fault.get("cut") else content)
                    self.close_connection = bool(fault.get("cut"))
                except OSError:
                    pass  # the client has left

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.lock, self.asleep = threading.Lock(), threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def fail(self, on, **how):
        self.faults.append({"on": on, **how})

    def lines(self, method=""):
        return [f"{m} {p}" for m, p, _, _ in self.asked if m.startswith(method)]

    def sent(self, number=0):
        """Body of a request: JSON, or the fields of a form."""
        _, _, headers, body = self.asked[number]
        if not headers["Content-Type"].startswith("multipart/"):
            return json.loads(body)
        form = BytesParser().parsebytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
        return {
            p.get_param("name", header="content-disposition"): p.get_payload(decode=True)
            for p in form.walk()
            if not p.is_multipart()
        }

    def close(self):
        self.asleep.set()
        self.server.shutdown()
        self.server.server_close()


def found(value, status=200):
    return status, json.dumps(value).encode()


# --- the services as they document themselves: the first look finds the job at work, the second finds it done ---------


def omni(fake, method, path, headers, body):
    if headers["x-goog-api-key"] != KEY:
        return found(
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT",
                }
            },
            400,
        )
    if (method, path) == ("POST", "/interactions"):
        asked = json.loads(body)
        assert asked["background"] is True
        assert asked["response_format"]["type"] == "video"
        assert re.fullmatch(r"\d+s", asked["response_format"]["duration"])
        return found({"id": "v1_x/y", "status": "in_progress"})
    if path == "/interactions/v1_x%2Fy":
        fake.looks += 1
        if fake.looks < 2:
            return found({"id": "v1_x/y", "status": "in_progress", "steps": []})
        content = [{"type": "video", "uri": f"{fake.url}/files/abc:download?alt=media", "mime_type": "video/mp4"}]
        return found({"id": "v1_x/y", "status": "completed", "steps": [{"type": "model_output", "content": content}]})
    if path.startswith("/files/"):
        return 200, VIDEO
    return found({}) if path.endswith("/cancel") else found({"error": {"message": "Not found"}}, 404)


def veo(fake, method, path, headers, body):
    model = f"{PROJECT}/models/veo-3.1-generate-001"
    name = f"{model}/operations/7".removeprefix("/v1/")
    if headers["Authorization"] != f"Bearer {KEY}":
        return found({"error": {"code": 401, "message": "Request had invalid authentication credentials."}}, 401)
    asked = json.loads(body)
    if (method, path) == ("POST", f"{model}:predictLongRunning"):
        assert asked["instances"][0]["prompt"]
        assert asked["parameters"]["sampleCount"] == 1
        return found({"name": name})
    if (method, path) == ("POST", f"{model}:fetchPredictOperation"):
        assert asked == {"operationName": name}
        fake.looks += 1
        if fake.looks < 2:
            return found({"name": name})
        video = {"bytesBase64Encoded": base64.b64encode(VIDEO).decode(), "mimeType": "video/mp4"}
        return found({"name": name, "done": True, "response": {"videos": [video], "raiMediaFilteredCount": 0}})
    return found({"error": {"code": 404, "message": "no such place"}}, 404)


def kling(fake, method, path, headers, body):
    if headers["Authorization"] != f"Bearer {KEY}" and "klingcdn" not in path:
        return found({"code": 1002, "message": "Authorization is invalid", "request_id": "r"}, 401)
    if method == "POST" and path in ("/text-to-video/kling-3.0", "/image-to-video/kling-3.0"):
        asked = json.loads(body)
        assert asked["settings"]["multi_shot"] is False
        assert 3 <= asked["settings"]["duration"] <= 15
        return found({"code": 0, "message": "SUCCEED", "request_id": "r", "data": {"id": "893", "status": "submitted"}})
    if path == "/tasks?task_ids=893":
        fake.looks += 1
        task = {"id": "893", "status": "processing", "message": "", "outputs": []}
        if fake.looks > 1:
            task |= {
                "status": "succeeded",
                "outputs": [
                    {"type": "video", "id": "1", "url": fake.url.replace("127.0.0.1", "localhost") + "/klingcdn/v.mp4"}
                ],
                "billing": [{"charge_type": "unit", "amount": "3.6", "package_type": "video"}],
            }
        return found({"code": 0, "message": "SUCCEED", "request_id": "r", "data": [task]})
    return (200, VIDEO) if path == "/klingcdn/v.mp4" else found({"code": 1203, "message": "no such task"}, 404)


def sora(fake, method, path, headers, body):
    if headers["Authorization"] != f"Bearer {KEY}":
        return found(
            {
                "error": {
                    "message": f"Incorrect API key provided: {headers.get('Authorization', '')[7:]}.",
                    "type": "invalid_request_error",
                    "code": "invalid_api_key",
                }
            },
            401,
        )
    job = {"id": "video_1", "object": "video", "model": "sora-2", "status": "queued", "progress": 0, "error": None}
    if (method, path) == ("POST", "/videos"):
        assert headers["Content-Type"].startswith("multipart/form-data")
        return found(job)
    if (method, path) == ("GET", "/videos/video_1"):
        fake.looks += 1
        done = {"status": "completed", "progress": 100} if fake.looks > 1 else {"status": "in_progress", "progress": 40}
        return found(job | done)
    if (method, path) == ("GET", "/videos/video_1/content"):
        return 200, VIDEO
    return found({"id": "video_1", "deleted": True}) if method == "DELETE" else found({}, 404)


def fal(fake, method, path, headers, body):
    if headers["Authorization"] != f"Key {KEY}" and "media" not in path:
        return found({"detail": "Invalid or missing key"}, 401)
    base = f"{fake.url}/alibaba/wan-3.0/requests/r1"
    if method == "POST":
        assert path in ("/alibaba/wan-3.0/text-to-video", "/alibaba/wan-3.0/image-to-video")
        assert 2 <= json.loads(body)["duration"] <= 30
        return found(
            {
                "request_id": "r1",
                "status": "IN_QUEUE",
                "response_url": base,
                "status_url": base + "/status",
                "cancel_url": base + "/cancel",
                "queue_position": 2,
            }
        )
    if path.endswith("/status"):
        fake.looks += 1
        if fake.looks < 2:
            return found({"status": "IN_QUEUE", "queue_position": 2, "response_url": base}, 202)
        return found({"status": "COMPLETED", "response_url": base, "metrics": {"inference_time": 41.2}})
    if path.endswith("/requests/r1"):
        return found({"video": {"url": fake.url + "/media/v.mp4", "content_type": "video/mp4"}, "seed": 5})
    return (200, VIDEO) if path == "/media/v.mp4" else found({"status": "CANCELLATION_REQUESTED"}, 202)


def replicate(fake, method, path, headers, body):
    if headers["Authorization"] != f"Bearer {KEY}" and "delivery" not in path:
        return found({"title": "Unauthenticated", "detail": "You did not pass a valid token", "status": 401}, 401)
    job = {"id": "gm3q", "status": "starting", "output": None, "error": None}
    if method == "POST" and path in (
        "/models/wan-video/wan-2.7-t2v/predictions",
        "/models/wan-video/wan-2.7-i2v/predictions",
        "/predictions",
    ):
        assert json.loads(body)["input"]["prompt"]
        return found(job, 201)
    if (method, path) == ("GET", "/predictions/gm3q"):
        fake.looks += 1
        if fake.looks < 2:
            return found(job | {"status": "processing"})
        return found(job | {"status": "succeeded", "output": fake.url + "/delivery/v.mp4"})
    return (200, VIDEO) if path == "/delivery/v.mp4" else found(job | {"status": "canceled"})


SERVICES = {"omni": omni, "veo": veo, "kling": kling, "sora": sora, "fal": fal, "replicate": replicate}
VARIABLES = {
    "omni": "GEMINI_API_KEY",
    "veo": "GOOGLE_ACCESS_TOKEN",
    "kling": "KLING_API_KEY",
    "sora": "OPENAI_API_KEY",
    "fal": "FAL_KEY",
    "replicate": "REPLICATE_API_TOKEN",
}
SUBMIT = {
    "omni": "POST /interactions",
    "veo": "POST .*:predictLongRunning",
    "kling": "POST /text-to-video/.*",
    "sora": "POST /videos",
    "fal": "POST /alibaba/.*",
    "replicate": "POST /models/.*",
}
LOOK = {
    "omni": "GET /interactions/.*",
    "veo": "POST .*:fetchPredictOperation",
    "kling": "GET /tasks.*",
    "sora": "GET /videos/video_1",
    "fal": "GET .*/status",
    "replicate": "GET /predictions/.*",
}
FILE = {  # Veo's comes with the look
    "omni": "GET /files/.*",
    "veo": LOOK["veo"],
    "kling": "GET /klingcdn/.*",
    "sora": "GET .*/content",
    "fal": "GET /media/.*",
    "replicate": "GET /delivery/.*",
}
REFUSALS = {  # on a look, as each service words it
    "omni": {
        "id": "x",
        "status": "completed",
        "steps": [{"type": "model_output", "content": [{"type": "text", "text": "I cannot make this video."}]}],
    },
    "veo": {
        "name": "n",
        "done": True,
        "response": {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["Veo could not: it shows a celebrity"]},
    },
    "kling": {
        "code": 0,
        "data": [{"id": "893", "status": "failed", "message": "Failure to pass the risk control system"}],
    },
    "sora": {
        "id": "video_1",
        "status": "failed",
        "error": {"code": "moderation_blocked", "message": "Your request was blocked by our moderation system."},
    },
    "fal": {
        "detail": [
            {
                "loc": ["body", "prompt"],
                "msg": "The content was flagged by a content checker.",
                "type": "content_policy_violation",
            }
        ],
        "status": "COMPLETED",
    },
    "replicate": {"id": "gm3q", "status": "failed", "error": "The input or output was flagged as sensitive (E005)"},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(web, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(hosted, "MIN_POLL_SECONDS", 0.01)
    for name in VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")


@pytest.fixture(params=SERVICES)
def service(request, monkeypatch):
    fake = Fake(SERVICES[request.param])
    fake.name = request.param
    monkeypatch.setenv(VARIABLES[request.param], KEY)
    yield fake
    fake.close()


def backend(fake, **options):
    base_url = fake.url + (PROJECT if fake.name == "veo" else "")
    return load_backend("generate", fake.name, **{"base_url": base_url, "poll": 0.01, **options})


def refuses(fake, kind, said, **options):
    """Make a video in vain; returns the sentence, which is one line and holds no key."""
    with pytest.raises(kind, match=said) as caught:
        backend(fake, **options)(GenerateRequest(TASK))
    text = str(caught.value)
    assert "\n" not in text
    assert KEY not in text
    assert len(text) < 700
    return text


# --- what every service must do -------------------------------------------------------------------------------------


def test_text_to_video(service):
    heard = []
    made = backend(service, seed=5)(GenerateRequest(TASK), lambda fraction, text: heard.append((fraction, text)))
    assert made.video.data == VIDEO
    figures = made.metrics
    assert figures["frames"] == 12
    assert figures["seconds"] == 0.5
    assert figures["job"]
    assert figures["template"] == "capture 2"
    assert "raises the right hand and waves" in figures["prompt"]
    assert "tripod 1.2 metres" in figures["prompt"]
    assert figures["seed"] in (5, None)
    assert made.plan["actions"][0]["verb"] == "wave"
    assert KEY not in json.dumps([figures, made.plan, heard])
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any(text.startswith("Plan: raises the right hand") for _, text in heard)
    sent = service.sent()
    text = json.dumps(sent, default=lambda v: v.decode())
    assert "raises the right hand and waves" in text
    if figures["seed"] is None:
        assert '"seed"' not in text
    assert "watermark" in text  # of the negative prompt, wherever it is said


def test_another_attempt_has_another_seed_and_the_same_plan(service):
    generator = backend(service, seed=5)
    first = generator(GenerateRequest(TASK))
    generator.planner = None  # planning may have cost something: it is not done again
    service.asked.clear()
    again = generator(GenerateRequest(TASK, None, first.plan, attempt=2))
    assert again.plan == first.plan
    assert again.metrics["seed"] == (None if first.metrics["seed"] is None else 7)
    sent = service.sent()
    sent = sent.get({"replicate": "input", "veo": "parameters"}.get(service.name), sent)
    assert int(sent.get("seed", 7)) == 7
    assert ("seed" in sent) == (again.metrics["seed"] is not None)


def test_image_to_video_begins_with_the_image(service):
    image = np.zeros((360, 640, 3), np.uint8)
    image[:, 320:] = 255
    made = backend(service)(GenerateRequest(TASK, image))
    assert made.video.data == VIDEO
    assert "It begins with the given picture" in made.metrics["prompt"]
    np.testing.assert_array_equal(made.image, image)
    sent = service.sent()
    if service.name == "sora":
        data = sent["input_reference"]
    else:
        texts = re.findall(r'"(?:data:image/jpeg;base64,)?([A-Za-z0-9+/=]{500,})"', json.dumps(sent))
        data = base64.b64decode(texts[0])
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == ((720, 1280, 3) if service.name == "sora" else (360, 640, 3))
    assert image[180, 20].max() < 20 < 235 < image[180, -20].min()
    assert service.lines("POST")[0].count("text-to-video") + service.lines("POST")[0].count("t2v") == 0


def test_key_goes_to_the_service_only(service):
    backend(service)(GenerateRequest(TASK))
    for method, path, headers, _ in service.asked:
        has = any(KEY in str(value) for value in headers.values())
        assert has == ("klingcdn" not in path), (method, path)  # Kling's files are on another host
        assert KEY not in path


def test_busy_and_broken_service_is_asked_again(service):
    busy = {"status": 429, "json": {"error": {"message": "slow down"}}, "headers": {"Retry-After": "0"}}
    service.fail(SUBMIT[service.name], **busy)
    for on in {LOOK[service.name], FILE[service.name]}:
        service.fail(on, **busy)
        service.fail(on, status=500, json={})
        service.fail(on, status=503, json={"detail": "overloaded"})
    made = backend(service)(GenerateRequest(TASK))
    assert made.video.data == VIDEO
    assert not service.faults


def test_retry_after_is_honoured(service):
    service.fail(LOOK[service.name], status=429, json={}, headers={"Retry-After": "0.5"})
    start = time.monotonic()
    backend(service)(GenerateRequest(TASK))
    assert time.monotonic() - start > 0.5
    service.fail(LOOK[service.name], status=429, json={}, headers={"Retry-After": "3600"})
    start = time.monotonic()
    refuses(service, Refused, "busy", timeout=2.0)
    assert time.monotonic() - start < 2.0


def test_service_that_stays_broken(service):
    for _ in range(web.MAX_ATTEMPTS):
        service.fail(LOOK[service.name], status=500, json={"message": "internal error"})
    text = refuses(service, Refused, "does not work at present .500: .*tried 5 times")
    assert "The job was" in text


def test_submit_that_is_not_answered_is_not_sent_twice(service, monkeypatch):
    generator = backend(service)
    generator.web.timeout = 0.3
    service.fail(SUBMIT[service.name], delay=2.0)
    with pytest.raises(Refused, match="left it open whether it took the request"):
        generator(GenerateRequest(TASK))
    assert len(service.lines("POST")) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_submit_that_a_proxy_answers_is_not_sent_twice(service, status):
    service.fail(SUBMIT[service.name], status=status, bytes=b"<html>Bad gateway</html>")
    refuses(service, Refused, "left it open whether it took the request")
    assert len(service.lines("POST")) == 1


def test_job_is_recorded_before_it_is_waited_for_and_its_video_is_fetched_by_another_process(service):
    records = []

    def on_job(record):
        records.append(json.loads(json.dumps(record)))
        assert len(service.asked) == 1  # nothing but the submission yet
        raise SystemExit("killed")

    with pytest.raises(SystemExit):
        backend(service, seed=5)(GenerateRequest(TASK), on_job=on_job)
    (record,) = records
    assert KEY not in json.dumps(record)
    assert backend_class("generate", record["generator"]).backend == service.name
    made = backend(service, base_url=record["base_url"], model=record["model"])(GenerateRequest("", job=record))
    assert made.video.data == VIDEO
    assert len([line for line in service.lines("POST") if re.fullmatch(SUBMIT[service.name], line)]) == 1
    assert made.plan["actions"][0]["verb"] == "wave"
    assert made.metrics["job"] == record["job"]
    assert made.metrics["template"] == "capture 2"


def generate(fake, *words):
    command = [sys.executable, "-m", "exoactor.cli", "generate", *words, "-s", "judge.tries=0"]
    return subprocess.Popen(command, env={**os.environ, VARIABLES[fake.name]: KEY}, text=True, stderr=subprocess.PIPE)


def test_command_that_is_killed_while_it_waits_is_resumed(one, tmp_path):
    fake = one("kling")
    video, record = tmp_path / "wave.mp4", tmp_path / "wave.job.json"
    for _ in range(1000):
        fake.fail(LOOK["kling"], json={"code": 0, "data": [{"status": "processing"}]})
    first = generate(fake, TASK, "--generator", "kling", "-s", f"generate.base_url={fake.url}", "-o", str(video))
    end = time.monotonic() + 60.0
    while not record.exists() and first.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    first.kill()
    first.communicate()
    assert not video.exists()
    fake.faults.clear()
    second = generate(fake, "--resume", str(record))
    _, said = second.communicate(timeout=60.0)
    assert second.returncode == 0, said
    assert video.read_bytes() == VIDEO
    assert len([line for line in fake.lines("POST") if re.fullmatch(SUBMIT["kling"], line)]) == 1


@pytest.mark.ros
def test_node_tells_the_job_before_the_result(one):
    testing = pytest.importorskip("ros_testing")
    from exoactor_interfaces.action import GenerateVideo
    from rclpy.parameter import Parameter

    from exoactor_gen.node import GeneratorNode

    fake = one("kling")
    overrides = [
        Parameter("backend", value="kling"),
        Parameter("kling.base_url", value=fake.url),
        Parameter("judge.tries", value=0),
    ]
    with testing.spinning(lambda **o: GeneratorNode(parameter_overrides=overrides, **o)) as (_, tester):
        caller = testing.Caller(tester, GenerateVideo, "generate_video")
        result = caller.result(GenerateVideo.Goal(instruction=TASK))
        assert (result.error_code, result.error_msg) == (0, "")
        (job,) = [json.loads(feedback.job_json) for feedback in caller.feedback if feedback.job_json]
    assert (job["generator"], job["job"]) == ("kling", json.loads(result.metrics_json)["job"])


def test_failed_download_names_the_job(service):
    junk = {"bytes": b"junk"}
    if service.name == "veo":  # it delivers the video in the answer
        videos = [{"bytesBase64Encoded": base64.b64encode(b"junk").decode()}]
        junk = {"json": {"done": True, "response": {"videos": videos}}}
    for _ in range(hosted.MAX_DOWNLOADS):
        service.fail(FILE[service.name], **junk)
    assert "The job was" in refuses(service, Refused, "no video that can be read")


def test_answer_of_a_byte_at_a_time_ends(service):
    generator = backend(service)
    generator.web.timeout = 0.3
    for _ in range(web.MAX_ATTEMPTS):
        service.fail(LOOK[service.name], drip=0.1)
    start = time.monotonic()
    with pytest.raises(Refused, match=r"no whole answer within 0\.3 s.*The job was"):
        generator(GenerateRequest(TASK))
    assert time.monotonic() - start < 20.0


def test_look_that_is_not_answered_is_made_again(service):
    generator = backend(service)
    generator.web.timeout = 0.3
    service.fail(LOOK[service.name], delay=2.0)
    assert generator(GenerateRequest(TASK)).video.data == VIDEO


def test_truncated_and_damaged_downloads_are_fetched_again(service):
    service.fail(FILE[service.name], cut=True)
    wrong = {"bytes": b"<html>busy</html>"}
    if service.name == "veo":  # in the answer, which tells by its length when it breaks off
        videos = [{"bytesBase64Encoded": base64.b64encode(wrong["bytes"]).decode()}]
        wrong = {"json": {"name": "n", "done": True, "response": {"videos": videos}}}
    else:
        service.fail(FILE[service.name], bytes=VIDEO[: len(VIDEO) // 2])
    assert backend(service)(GenerateRequest(TASK)).video.data == VIDEO
    for _ in range(3):
        service.fail(FILE[service.name], **wrong)
    refuses(service, Refused, "no video that can be read")


def test_refused_content(service):
    service.fail(LOOK[service.name], json=REFUSALS[service.name])
    said = "refuses the content: .*(cannot make|celebrity|risk control|moderation|flagged)"  # in the service's words
    assert "other words" in refuses(service, Refused, said)
    service.fail(SUBMIT[service.name], status=400, json={"error": {"message": "Blocked by the content policy"}})
    refuses(service, Refused, "refuses the content: Blocked")


def test_bad_parameter(service):
    service.fail(SUBMIT[service.name], status=422, json={"detail": [{"loc": ["body", "duration"], "msg": "too long"}]})
    refuses(service, BadInput, "does not accept the request .422: duration: too long")


def test_a_service_that_repeats_the_key_does_not_spread_it(service):
    said = f"cannot be charged to {KEY}"
    failed = failure(service, said)
    service.fail(LOOK[service.name], json=failed)
    assert "charged to [key]" in refuses(service, Refused, "failed")
    for length in (370, 385, 395):  # where a long text is cut
        service.fail(SUBMIT[service.name], status=400, bytes=("x" * length + " " + said).encode())
        assert "sk-very" not in refuses(service, BadInput, "does not accept")


def failure(service, reason):
    failed = json.loads(json.dumps(REFUSALS[service.name]))
    if service.name == "omni":
        failed |= {"status": "failed", "error": {"message": reason}}
    elif service.name == "veo":
        failed = {"name": "n", "done": True, "error": {"code": 13, "message": reason}}
    elif service.name == "kling":
        failed["data"][0]["message"] = reason
    elif service.name == "sora":
        failed["error"] = {"code": "server_error", "message": reason}
    else:
        failed |= {"detail": reason, "error": reason}
    return failed


def test_job_that_fails_for_another_reason(service):
    service.fail(LOOK[service.name], json=failure(service, "out of capacity"))
    refuses(service, Refused, "failed: .*out of capacity")


def test_expired_job(service):
    service.fail(LOOK[service.name], status=404, json={"error": {"message": "no such job"}})
    refuses(service, Refused, "no longer .404: no such job")
    service.fail(FILE[service.name], status=403, json={"message": "the link has expired"})
    refuses(service, (Refused, Missing), "403: the link has expired")


def test_wrong_key_is_named_by_its_variable(service, monkeypatch):
    wrong = "sk-wrong-0987654321"
    monkeypatch.setenv(VARIABLES[service.name], wrong)
    text = refuses(service, Missing, f"does not accept the key in {VARIABLES[service.name]}")
    assert wrong not in text


def test_no_key_is_told_when_it_is_loaded(service, monkeypatch):
    monkeypatch.delenv(VARIABLES[service.name])
    if service.name == "sora":  # a server of one's own may want none; this one does
        refuses(service, Missing, "needs a key .401")
        with pytest.raises(Missing, match="needs a key: set OPENAI_API_KEY"):
            load_backend("generate", "sora", base_url="https://api.openai.com/v1")
    else:
        with pytest.raises(Missing, match=f"needs a key: set {VARIABLES[service.name]} in the environment"):
            backend(service)
    with pytest.raises(Missing, match=f"{VARIABLES[service.name]}|set the option base_url"):
        backend_class("generate", service.name).ready()


@pytest.mark.parametrize("name", ["veo", "sora"])
def test_service_that_has_no_address_of_its_own_says_so(name, monkeypatch):
    monkeypatch.setenv(VARIABLES[name], KEY)
    for use in (backend_class("generate", name).ready, backend_class("generate", name)):
        with pytest.raises(Missing, match=r"set the option base_url to .*\.$"):
            use()


def test_job_that_takes_too_long_is_cancelled(service):
    service.looks = -(10**6)
    text = refuses(service, Refused, "not done after 0.4 s", timeout=0.4)
    assert "timeout" in text
    assert_cancelled(service)


def test_cancelled_between_looks_within_a_second(service):
    service.looks = -(10**6)
    begun = []

    def progress(fraction, text):
        if service.looks > -(10**6):
            begun.append(time.monotonic())
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        backend(service, poll=30.0)(GenerateRequest(TASK), progress)
    assert time.monotonic() - begun[0] < 1.0
    assert_cancelled(service)


def assert_cancelled(service):
    wanted = {
        "omni": "POST /interactions/v1_x%2Fy/cancel",
        "sora": "DELETE /videos/video_1",
        "fal": "PUT /alibaba/wan-3.0/requests/r1/cancel",
        "replicate": "POST /predictions/gm3q/cancel",
    }.get(service.name)
    deadline = time.monotonic() + 2.0
    while wanted and wanted not in service.lines() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert wanted is None or wanted in service.lines()


def test_cancelled_while_the_service_does_not_answer(service):
    service.fail(LOOK[service.name], delay=5.0)
    when = []

    def progress(fraction, text):
        if len(service.asked) > 1:
            when.append(time.monotonic())
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        backend(service)(GenerateRequest(TASK), progress)
    assert time.monotonic() - when[0] < 1.2


def test_service_that_is_not_there(service):
    service.server.shutdown()
    service.server.server_close()
    refuses(service, Missing, "cannot be reached at 127.0.0.1")
    service.server.server_close()


def test_answer_that_is_something_else(service):
    service.fail(SUBMIT[service.name], bytes=b"<html>Welcome</html>")
    refuses(service, Refused, "not JSON")
    service.fail(SUBMIT[service.name], json={"hello": "world"})
    refuses(service, Refused, "named no job")
    service.fail(LOOK[service.name], json={"hello": "world"} if service.name != "veo" else ["x"])
    refuses(service, Refused, "not known|no output|failed")


# --- what is particular ---------------------------------------------------------------------------------------------


@pytest.fixture
def one(monkeypatch):
    fakes = []

    def start(name, service=None):
        fake = Fake(service or SERVICES[name])
        fake.name = name
        monkeypatch.setenv(VARIABLES[name], KEY)
        fakes.append(fake)
        return fake

    yield start
    for fake in fakes:
        fake.close()


def test_a_scene_without_a_photograph_is_drawn_for_the_video_to_begin_with(one):
    scene = joined([everyday("ball", pos=(1.0, 0.0, 0.0))])
    made = backend(one("kling"))(GenerateRequest("kick the ball", scene=scene))
    assert made.image.shape == (720, 1280, 3)
    assert made.video.person_height == pytest.approx(ROBOT_STATURE, abs=0.02)
    assert made.metrics["first_frame"]["width"] == 1280
    assert "It begins with the given picture" in made.metrics["prompt"]
    assert made.interaction.scene.ids == ("ball",)


def test_videos_api_of_ones_own_server(one, monkeypatch):
    def own(fake, method, path, headers, body):
        assert headers["Authorization"] is None
        headers.add_header("authorization", f"Bearer {KEY}")
        return sora(fake, method, path, headers, body)

    fake = one("sora", own)
    monkeypatch.delenv("OPENAI_API_KEY")
    made = backend(fake, planner="rules", seed=7, extra='{"num_inference_steps": 20, "size": null}')(
        GenerateRequest(TASK)
    )
    sent = fake.sent()
    assert made.metrics["seed"] == 7
    assert (sent["seed"], sent["num_inference_steps"], sent["seconds"]) == (b"7", b"20", b"8")
    assert {"size", "model"}.isdisjoint(sent)
    assert b"watermark" in sent["negative_prompt"]


def test_any_sentence_is_taken_by_default(one):
    fake = one("kling")
    made = backend(fake)(GenerateRequest("open the window, then wave"))
    assert [a["verb"] for a in made.plan["actions"]] == ["open", "wave"]
    assert fake.sent()["settings"]["duration"] == 8
    assert "open the window" in made.metrics["prompt"]


def test_length_is_the_shortest_that_the_plan_fits_in(one):
    fake = one("kling")
    made = backend(fake, planner="rules")(GenerateRequest(TASK))
    assert fake.sent()["settings"]["duration"] == 5  # 5.06 s: a pause at the end does not matter
    assert "cost" not in made.metrics  # this is not Kling's own address
    assert made.metrics["billed"][0]["amount"] == "3.6"
    backend(fake, seconds=9)(GenerateRequest(TASK))
    assert fake.sent(-3)["settings"]["duration"] == 9
    with pytest.raises(BadInput, match="3 to 15 s, not of 20 s"):
        backend(fake, seconds=20)


def test_plan_that_is_too_long(one):
    fake, kept = one("veo"), []
    made = backend(fake, planner="rules")(GenerateRequest("walk forward two metres, then wave"))  # 9.1 s: 8 s will do
    assert sum(a["seconds"] for a in made.plan["actions"]) == pytest.approx(8.0, abs=0.02)
    with pytest.raises(BadInput, match=r"takes .* s, but a video of this generator has at most 8 s"):
        backend(fake)(GenerateRequest("walk forward ten metres"), on_plan=kept.append)
    assert kept[0]["actions"][0]["distance"] == 10  # to be shortened by hand


def test_given_plan_is_carried_out_and_the_instruction_is_not_read(one):
    fake = one("fal")
    plan = {"instruction": "x", "actions": [{"verb": "sweep", "description": "sweeps the floor", "seconds": 4}]}
    made = backend(fake)(GenerateRequest("no such thing at all", None, plan))
    assert "the person sweeps the floor" in fake.sent()["prompt"]
    assert made.plan["actions"][0]["verb"] == "sweep"
    with pytest.raises(BadInput, match=r"not valid at actions.0.seconds"):
        backend(fake)(
            GenerateRequest("", None, {"instruction": "x", "actions": [{**plan["actions"][0], "seconds": -1}]})
        )


def test_kling_job_that_is_not_listed_yet(one):
    fake = one("kling")
    fake.fail(LOOK["kling"], json={"code": 0, "message": "SUCCEED", "data": []})
    assert backend(fake)(GenerateRequest(TASK)).video.data == VIDEO


def test_kling_account_without_credit_is_not_asked_again(one):
    fake = one("kling")
    fake.fail("POST .*", status=429, json={"code": 1102, "message": "Resource pack depleted"})
    refuses(fake, Missing, "requires payment .429: Resource pack depleted")
    assert len(fake.asked) == 1
    fake.fail("POST .*", json={"code": 1301, "message": "Content safety policy triggered", "request_id": "r"})
    refuses(fake, Refused, "refuses the content")


def test_replicate_model_with_a_version(one):
    fake = one("replicate")
    extra = '{"duration": null, "num_frames": 81, "first_frame": null, "image": "{image}"}'
    generator = backend(fake, model="someone/model:abc123", extra=extra)
    made = generator(GenerateRequest(TASK))  # its schema is not to be had here: Wan's fields
    assert made.metrics["note"].startswith("What someone/model:abc123 takes could not be read (it is not in the form")
    assert fake.lines()[0] == "GET /models/someone/model/versions/abc123"
    sent = fake.sent(1)
    assert sent["version"] == "someone/model:abc123"
    assert sent["input"]["num_frames"] == 81
    assert {"duration", "image"}.isdisjoint(sent["input"])
    generator(GenerateRequest(TASK, np.zeros((64, 64, 3), np.uint8)))
    assert fake.sent(-3)["input"]["image"].startswith("data:image/jpeg;base64,")


def openapi(path, required=(), **fields):
    """A schema as fal (with a path) and Replicate (cog) publish them."""
    inputs = {"type": "object", "properties": fields, "required": list(required)}
    schemas = {"Output": {"type": "string"}, "Input": inputs, "duration": {"type": "integer", "enum": [5, 10]}}
    if not path:
        return {"components": {"schemas": schemas}, "paths": {"/predictions": {"post": {}}}}
    schemas["ImageToVideoInput"] = schemas.pop("Input")
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ImageToVideoInput"}}}}
    return {
        "components": {"schemas": schemas},
        "paths": {f"/{path}/requests/{{id}}": {"get": {}}, f"/{path}": {"post": {"requestBody": body}}},
    }


@pytest.fixture
def queue(one, monkeypatch):
    """fal with a model of this schema: what was sent to it for a task, and the video made."""

    def ask(task=TASK, scene=None, required=("prompt",), options=None, **fields):
        def service(fake, method, path, headers, body):
            if path.startswith("/catalogue"):
                assert headers["Authorization"] is None  # everybody may read it
                assert path == "/catalogue?endpoint_id=some%2Fmodel&expand=openapi-3.0"
                return found({"models": [{"openapi": openapi("some/model", required, **fields)}]})
            asked.update(json.loads(body) if method == "POST" else {})
            return fal(
                fake, method, path.replace("some/model", "alibaba/wan-3.0/text-to-video"), headers, b'{"duration": 5}'
            )

        asked = {}
        fake = one("fal", service)
        monkeypatch.setattr(
            backend_class("generate", "fal"), "catalogue", fake.url.replace("127.0.0.1", "localhost") + "/catalogue"
        )
        made = backend(fake, model="some/model", planner="rules", **options or {})(GenerateRequest(task, scene))
        return asked, made

    return ask


STRING, TRUE = {"type": "string"}, {"type": "boolean", "default": True}


def test_any_model_of_fal_is_asked_in_its_own_fields(queue):
    asked, made = queue(
        prompt={"type": "string", "maxLength": 2500},
        negative_prompt=STRING,
        generate_audio=TRUE,
        enhance_prompt=TRUE,
        duration={"type": "string", "enum": ["4s", "6s", "8s"], "default": "8s"},
        cfg_scale={"type": "number"},
        aspect_ratio={"type": "string", "enum": ["16:9", "9:16"]},
        seed={"anyOf": [{"type": "integer"}, {"type": "null"}]},
        resolution={"type": "string", "enum": ["768P", "1080P"], "default": "768P"},
        options={"seed": 3},
    )
    assert "raises the right hand and waves" in asked.pop("prompt")
    assert "watermark" in asked.pop("negative_prompt")
    assert asked == {
        "duration": "6s",
        "aspect_ratio": "16:9",
        "resolution": "768P",
        "seed": 3,
        "generate_audio": False,
        "enhance_prompt": False,
    }
    assert made.metrics["seed"] == 3
    assert "watermark" not in made.metrics["prompt"]


def test_a_model_that_begins_with_an_image_and_counts_frames(queue):
    fields = {
        "prompt": STRING,
        "image_url": STRING,
        "fps": {"type": "integer", "default": 16},
        "num_frames": {"type": "integer", "minimum": 17, "maximum": 101},
    }
    asked, made = queue(scene=np.zeros((64, 64, 3), np.uint8), required=("prompt", "image_url"), **fields)
    assert asked["image_url"].startswith("data:image/jpeg;base64,")
    assert asked["num_frames"] == 81  # 5 s
    assert "Avoid: second person" in asked["prompt"]  # it takes no negative prompt
    assert set(asked) == {"prompt", "image_url", "num_frames"}
    assert made.metrics["seed"] is None
    with pytest.raises(BadInput, match=r"takes .* s, but a video of this generator has at most 6 s"):
        queue("walk forward ten metres", **fields)
    with pytest.raises(BadInput, match=r"wants image_url too: give an image"):
        queue(required=("prompt", "image_url"), **fields)
    with pytest.raises(BadInput, match="some/model takes no image"):
        queue(scene=np.zeros((64, 64, 3), np.uint8), prompt=STRING)
    with pytest.raises(BadInput, match="5, 10 s, not of 7 s"):
        queue(prompt=STRING, duration={"$ref": "#/components/schemas/duration"}, options={"seconds": 7})


def test_any_model_of_replicate_is_asked_in_its_own_fields(one):
    document = openapi(
        "",
        ("prompt",),
        prompt=STRING,
        start_image=STRING,
        audio=TRUE,
        duration={"allOf": [{"$ref": "#/components/schemas/duration"}], "default": 5},
    )

    def service(fake, method, path, headers, body):
        if path == "/models/someone/model":
            return found({"latest_version": {"id": "v", "openapi_schema": document}})
        return replicate(fake, method, path.replace("someone/model", "wan-video/wan-2.7-t2v"), headers, body)

    fake = one("replicate", service)
    extra = '{"guidance": 4}'
    backend(fake, model="someone/model", extra=extra)(GenerateRequest("walk forward two metres, then wave"))
    sent = fake.sent(1)["input"]
    assert sent.pop("prompt")
    assert sent == {"duration": 10, "audio": False, "guidance": 4}


def test_cost_is_told_as_far_as_it_is_known(monkeypatch):
    monkeypatch.setenv("KLING_API_KEY", KEY)
    kling = load_backend("generate", "kling")
    assert kling._cost("kling-3.0", 5).startswith("about 0.42 USD (5 s at 0.084, kling.ai/document-api/pricing")
    assert kling._cost("kling-4", 5) == "5 s by kling.ai/document-api/pricing/base/video"
    monkeypatch.setenv("GOOGLE_ACCESS_TOKEN", KEY)
    veo = load_backend("generate", "veo", base_url=f"https://us-central1-aiplatform.googleapis.com{PROJECT}")
    assert veo._cost(veo.model, 8) == "8 s by cloud.google.com/vertex-ai/generative-ai/pricing"


def test_budget(monkeypatch):
    monkeypatch.setenv("KLING_API_KEY", KEY)
    monkeypatch.setattr(web.HttpClient, "fetch_json", lambda *_: pytest.fail("something was submitted"))
    with pytest.raises(Refused, match=r"1 video of 5 s cost about 0.42 USD, more than the budget of 0.4 USD: nothing"):
        load_backend("generate", "kling", planner="rules", budget=0.4)(GenerateRequest(TASK))
    with pytest.raises(Refused, match=r"3 videos of 5 s cost about 1.26 USD"):  # all attempts of one task
        load_backend("generate", "kling", planner="rules", budget=1.0)(GenerateRequest(TASK, attempt=2))
    with pytest.raises(Refused, match=r"price of kling-3.0 at 1080p is not known"):
        load_backend("generate", "kling", budget=9.0, resolution="1080p")(GenerateRequest(TASK))
    with pytest.raises(BadInput, match="budget is -1"):
        load_backend("generate", "kling", budget=-1.0)


def test_job_that_says_it_is_complete_for_ever_is_not_asked_without_pause(one, monkeypatch):
    fake = one("fal")
    monkeypatch.setattr(hosted, "MIN_POLL_SECONDS", 0.2)
    for _ in range(100):
        fake.fail("GET .*/requests/r1(/status)?", json={"status": "COMPLETED"})
    refuses(fake, Refused, "not done after 1 s, and its job was cancelled", timeout=1.0)
    assert len(fake.lines("GET")) < 10
    assert fake.lines("PUT")[0].endswith("/cancel")


@pytest.mark.parametrize("url", [None, "", 7])
def test_url_that_is_none(one, url):
    fake = one("fal")
    fake.fail(LOOK["fal"], json={"video": {"url": url}})
    text = refuses(fake, Refused, "not known")
    assert "The job was r1" in text
    assert fake.lines("PUT")[0].endswith("/cancel")


def test_state_that_is_not_known_ends_the_job(one):
    fake = one("replicate")
    fake.fail(LOOK["replicate"], json={"id": "gm3q", "status": "teleporting"})
    refuses(fake, Refused, "teleporting.*The job was")
    assert fake.lines("POST")[-1].endswith("/cancel")


@pytest.mark.parametrize(
    ("record", "said"),
    [({}, "at generator: Field required"), ({"generator": "fal", "job": 3}, "The record of a video job is not")],
)
def test_record_that_is_none(one, record, said):
    with pytest.raises(BadInput, match=said):
        backend(one("fal"))(GenerateRequest("", job=record))


def test_redirect_does_not_take_the_key_along(one):
    fake, other = one("sora"), one("sora", lambda *_: (200, VIDEO))
    fake.fail("GET .*/content", status=302, json={}, headers={"Location": other.url + "/elsewhere"})
    assert backend(fake)(GenerateRequest(TASK)).video.data == VIDEO
    assert KEY not in str(other.asked[0][2])


def test_key_that_was_copied_badly_is_not_said(monkeypatch):
    monkeypatch.setenv("FAL_KEY", "sk-first\nsecond-line")
    with pytest.raises(BadInput, match="key in FAL_KEY holds characters") as caught:
        load_backend("generate", "fal")
    assert "second" not in str(caught.value)


def test_error_of_the_queue_itself(one):
    fake = one("fal")
    failed = {"status": "COMPLETED", "error": "Request timed out", "error_type": "request_timeout"}
    fake.fail(LOOK["fal"], json=failed)
    refuses(fake, Refused, "fal failed: Request timed out")
    fake.fail("GET .*/requests/r1", status=422, json=REFUSALS["fal"])
    refuses(fake, Refused, "refuses the content: prompt: The content was flagged")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "m", "type": "t", "code": "c"}}, "m (c)"),
        ([{"error": {"code": 400, "message": "m", "status": "S"}}], "m (400)"),
        ({"code": 1301, "message": "m", "request_id": "r"}, "m (1301)"),
        ({"detail": [{"loc": ["body", "a", 0], "msg": "m", "type": "t"}, {"msg": "n"}]}, "a.0: m (t); n"),
        ({"title": "m", "detail": "more", "status": 401}, "more"),
        ({"detail": "m", "error_type": "x"}, "m"),
        ({"loc": "x"}, ""),
        (None, ""),
    ],
)
def test_sentence_in_an_error(body, said):
    assert web.explain(body) == said


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("kling", {"code": 0, "data": [{"status": "succeeded", "outputs": []}]}),
        ("veo", {"done": True, "response": {"videos": [{"bytesBase64Encoded": "x"}]}}),
        ("omni", {"status": "completed", "steps": [{"type": "model_output", "content": [{"type": "video"}]}]}),
        ("fal", {"video": {}}),
        ("replicate", {"status": "succeeded"}),
    ],
)
def test_done_without_a_video(one, name, answer):
    fake = one(name)
    fake.fail(LOOK[name], json=answer)
    refuses(fake, Refused, "answered in a way that is not known")


def test_retry_after_in_both_forms():
    assert web._retry_after("7") == 7.0
    assert web._retry_after(email.utils.formatdate(time.time() + 30, usegmt=True)) == pytest.approx(30, abs=2)
    assert web._retry_after("Fri, 31 Dec 1999 23:59:59 GMT") == 0.0
    assert web._retry_after("soon") is None
    assert web._retry_after(None) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aspect": "4:3"}, "16:9 or 9:16"),
        ({"resolution": "8k"}, "480p, 720p or 1080p"),
        ({"extra": "[1]"}, "not a JSON object"),
        ({"extra": "{"}, "not a JSON object"),
        ({"poll": -1.0}, "poll is -1.0"),
        ({"seed": -1}, "seed is -1"),
        ({"planner": "oracle"}, "planner is 'oracle'"),
        ({"planner": "endpoint"}, "planner_model"),
        ({"template": "/nowhere.yaml"}, "There is no file /nowhere.yaml"),
        ({"base_url": "queue.fal.run"}, "begins with https"),
        ({"base_url": "http://example.com"}, "unencrypted"),
        ({"base_url": "https://me:secret@example.com"}, "holds a password"),
        ({"base_url": f"https://example.com/v1?key={KEY}"}, "password or a '.'"),
    ],
)
def test_wrong_options(options, said, monkeypatch):
    monkeypatch.setenv("FAL_KEY", KEY)
    with pytest.raises((BadInput, Missing), match=said) as caught:
        load_backend("generate", "fal", **options)
    assert KEY not in str(caught.value)


def test_every_option_is_explained_and_the_key_named_by_the_docstring():
    for name in SERVICES:
        kind = backend_class("generate", name)
        assert all(field.description for field in kind.Options.model_fields.values())
        assert VARIABLES[name] in (kind.__doc__ or "").partition("\n")[0]
