"""The robot of an image becomes a person: editors on this machine and behind HTTP, and the check of what they made."""

import base64
import importlib.util
import json
import threading
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from exoactor_core.errors import BadInput, Cancelled, Missing, Refused
from exoactor_core.motion import RobotMotion
from exoactor_core.stages import GenerateRequest, PersonDetection, load_backend
from exoactor_gen import http_client as web
from exoactor_gen.embodiment.editors import load_editor, working_size
from exoactor_gen.embodiment.embodiment import (
    NEGATIVE,
    PROMPT,
    Embodiment,
    box_of,
    difference,
    load_embodiment,
    overlap,
)
from exoactor_gen.options import VideoModelOptions

KEY = "sk-very-secret-1234567890"


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setattr("exoactor_core.hub.hub_is_there", lambda: False)
    monkeypatch.setattr(web, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "EXOACTOR_IMAGE_KEY"):
        monkeypatch.delenv(name, raising=False)


# --- the check, with the real detector --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def find():
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")
    return load_backend("people", "mediapipe")


@pytest.fixture(scope="module")
def robot():
    """An image of the G1."""
    from exoactor_core.render import render_motion

    stands = RobotMotion(30.0, np.tile([0, 0, 0.79], (2, 1)), np.tile([1.0, 0, 0, 0], (2, 1)), np.zeros((2, 29)))
    return next(iter(render_motion(stands, width=640, height=480)))


@pytest.fixture(scope="module")
def cut_out(find):
    """A person with some room around, and the box of eyes to toes in it."""
    made = load_backend("generate", "mannequin", seed=3, room="plain", fps=10)(GenerateRequest("wait 0.2 seconds"))
    image = next(made.video.frames())
    ((x0, y0, x1, y1),) = (figure.box for figure in find(image))
    left, top = int(x0) - 15, int(y0) - 30
    return image[top : int(y1) + 12, left : int(x1) + 15], (x0 - left, y0 - top, x1 - left, y1 - top)


def with_people(robot, find, cut_out, *places):
    """The robot's image with people instead: each so far from its middle, px, and of a share of its height."""
    (x0, y0, x1, y1) = find(robot)[0].box
    gone = np.zeros(robot.shape[:2], np.uint8)
    gone[int(y0) - 20 : int(y1) + 12, int(x0) - 12 : int(x1) + 12] = 255
    image = cv2.inpaint(robot, gone, 3, cv2.INPAINT_TELEA)
    patch, box = cut_out
    for dx, dy, size in places:
        scale = size * (y1 - y0) / (box[3] - box[1])
        small = cv2.resize(patch, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        left = round((x0 + x1) / 2 + dx - scale * (box[0] + box[2]) / 2)
        top = round((y0 + y1) / 2 + dy - scale * (box[1] + box[3]) / 2)
        bottom = min(top + len(small), len(image))
        image[top:bottom, left : left + small.shape[1]] = small[: bottom - top]
    return image


@pytest.fixture(scope="module")
def person(robot, find, cut_out):
    """The robot's image with a person at the same place and of the same height."""
    return with_people(robot, find, cut_out, (0, 0, 1))


def editor(*images):
    """An editor that gives one image after the other, and what it was asked."""
    asked = []

    def edit(image, prompt, negative, seed, tick):
        asked.append((prompt, negative, seed))
        return images[len(asked) - 1]

    return edit, asked


def test_the_robot_and_the_person_are_found(robot, person, find):
    (a,), (b,) = find(robot), find(person)
    assert a.full_body
    assert b.full_body
    assert overlap(a.box, b.box) > 0.5
    assert find(np.full((120, 160, 3), 90, np.uint8)) == []


def test_a_good_image_is_taken_at_once(robot, person, find):
    edit, asked = editor(person)
    made, record = Embodiment(edit, find, seed=7)(robot)
    np.testing.assert_array_equal(made, person)
    assert asked == [(PROMPT, NEGATIVE, 7)]
    assert (record["seed"], record["tries"], record["robot_found_by"]) == (7, 1, "shape")
    assert record["overlap"] > 0.5
    assert 0.9 < record["height_ratio"] < 1.1
    json.dumps(record)


def test_attempts_have_no_seed_in_common(robot, person, find):
    edit, asked = editor(person, person, robot, person)
    embody = Embodiment(edit, find, tries=4, seed=2**31 - 5)
    seeds = [embody(robot, attempt=attempt)[1]["seed"] for attempt in (0, 1, 2)]
    assert seeds == [2**31 - 5, 2**31 - 1, 4]
    assert [seed for _, _, seed in asked] == [2**31 - 5, 2**31 - 1, 3, 4]


def test_bad_images_are_refused_with_reasons_and_the_next_seed_is_tried(robot, person, find, cut_out):
    nobody, elsewhere, cropped, small, pair = (
        with_people(robot, find, cut_out, *places)
        for places in ((), ((150, 0, 1),), ((0, 210, 1),), ((0, 60, 0.6),), ((0, 0, 1), (170, 0, 1)))
    )
    other_room = np.clip(np.add(person, np.array([90, -80, 0])), 0, 255).astype(np.uint8)
    edit, asked = editor(nobody, elsewhere, cropped, small, robot, pair, other_room, person)
    _, record = Embodiment(edit, find, tries=8)(robot)
    assert record["tries"] == 8
    assert [seed for _, _, seed in asked] == list(range(8))
    for reason, said in zip(
        record["refused"],
        (
            "nobody",
            "elsewhere",
            "not seen from head to feet",
            "times as tall",
            "robot is still there",
            "2 people",
            "rest of the image",
        ),
        strict=True,
    ):
        assert said in reason
    edit, asked = editor(nobody, robot)
    with pytest.raises(Refused) as caught:
        Embodiment(edit, find, tries=2, seed=5)(robot)
    text = str(caught.value)
    assert "in 2 tries (seed 5: nobody is in the image; seed 6: the robot is still there)" in text
    assert "\n" not in text


def test_where_the_robot_is_not_seen_as_such_the_change_tells(robot, person, find, cut_out):
    def blind(image):  # to the robot
        return [] if image is robot else find(image)

    _, record = Embodiment(editor(person)[0], blind)(robot)
    assert record["robot_found_by"] == "change"
    beside = with_people(robot, find, cut_out, (150, 0, 1))
    with pytest.raises(Refused, match=r"elsewhere|times as tall"):
        Embodiment(editor(beside)[0], blind, tries=1)(robot)
    _, record = Embodiment(editor(person)[0], blind, robot=find(robot)[0].box)(robot)
    assert record["robot_found_by"] == "option"


def test_difference_ignores_what_changed_a_little_everywhere():
    rng = np.random.default_rng(0)
    before = rng.integers(60, 180, (120, 160, 3)).astype(np.uint8)
    after = np.clip(before + rng.normal(4, 3, before.shape), 0, 255).astype(np.uint8)
    assert not difference(before, after).any()
    after[30:90, 50:80] = 255
    assert np.abs(np.subtract(box_of(difference(before, after)), (50, 30, 80, 90))).max() <= 3
    assert box_of(np.zeros((4, 4), bool)) == (0, 0, 0, 0)


def test_two_robots_are_one_too_many(robot):
    def two(image):
        return [PersonDetection((0, 0, 10, 10), True), PersonDetection((20, 0, 30, 10), True)]

    with pytest.raises(BadInput, match="2 figures of a person's shape"):
        Embodiment(editor(robot)[0], two)(robot)


def test_no_image():
    with pytest.raises(BadInput, match="no image with the robot"):
        Embodiment(editor()[0], lambda image: [])(None)


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"embody": "openai"}, Missing, "set OPENAI_API_KEY"),
        ({"embody": "gemini"}, Missing, "set GEMINI_API_KEY"),
        ({"embody": "nobody/edits"}, Missing, "nobody/edits are not on this machine"),
        ({"embody": "nobody/edits", "embody_url": "http://localhost"}, BadInput, "runs here"),
        ({"embody": "openai", "embody_url": "http://localhost", "robot": "1,2,3"}, BadInput, "left,top,right,bottom"),
        ({"embody": "openai", "embody_url": "http://localhost", "robot": "9,0,3,4"}, BadInput, "left,top,right,bottom"),
    ],
)
def test_bad_options(options, kind, said):
    with pytest.raises(kind, match=said):
        load_embodiment(VideoModelOptions(**options))
    assert load_embodiment(VideoModelOptions()) is None
    with pytest.raises(BadInput, match=r"embody_tries is 0.*from 1 to 20"):
        load_backend("generate", "sora", embody_tries=0)


# --- editors on this machine ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kontext", "flux"])
def test_a_local_pipeline_edits(name, tmp_path, monkeypatch):
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    import tiny_pipelines as tiny
    from exoactor_gen.embodiment import editors

    monkeypatch.setattr(editors, "IMAGE_AREA", 64 * 64)
    edit = load_editor(tiny.saved(name, tmp_path))
    scene = tiny.image()
    ticks = []
    one = edit(scene, PROMPT, NEGATIVE, 1, lambda: ticks.append(1))
    assert one.shape[2] == 3
    assert one.dtype == np.uint8
    assert ticks
    kind = {"kontext": "FluxKontextPipeline", "flux": "FluxImg2ImgPipeline"}[name]
    assert edit.pipeline.kind.__name__ == kind
    np.testing.assert_array_equal(edit(scene, PROMPT, NEGATIVE, 1, lambda: None), one)
    assert np.abs(edit(scene, PROMPT, NEGATIVE, 2, lambda: None).astype(float) - one).mean() > 1
    edit.free()

    def cancel():
        raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        edit(scene, PROMPT, NEGATIVE, 1, cancel)


def test_an_editor_that_needs_torchvision_says_so(tmp_path, monkeypatch):
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    index = {"_class_name": "QwenImageEditPipeline", "processor": ["transformers", "Qwen2VLProcessor"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "torchvision" else find(name, *a))
    with pytest.raises(Missing, match="needs torchvision: install it from where PyTorch came from"):
        load_editor(str(tmp_path))


def test_a_distilled_pipeline_edits_in_few_steps(tmp_path, monkeypatch):
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    import tiny_pipelines as tiny
    from exoactor_gen.embodiment import editors

    monkeypatch.setattr(editors, "IMAGE_AREA", 64 * 64)
    edit = load_editor(tiny.saved("klein", tmp_path))
    steps = []
    pipe = edit.pipeline.load()
    pipe.transformer.register_forward_pre_hook(lambda *_: steps.append(1))
    assert edit(tiny.image(), PROMPT, NEGATIVE, 1, lambda: None).shape[2] == 3
    assert len(steps) == 4
    assert type(pipe).__name__ == "Flux2KleinPipeline"


def test_working_size():
    assert working_size(np.zeros((480, 640, 3)), 16) == (1184, 880)
    assert working_size(np.zeros((1080, 1920, 3)), 32) == (1376, 768)
    for shape in ((480, 640, 3), (1920, 1080, 3), (100, 100, 3)):
        width, height = working_size(np.zeros(shape), 16)
        assert abs(width / height / (shape[1] / shape[0]) - 1) < 0.02


# --- editors behind HTTP, which speak the documented protocols --------------------------------------------------------


class Fake:
    """A server on this machine that answers with what is queued, and keeps what it was asked."""

    def __init__(self):
        self.asked, self.answers = [], []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fake.asked.append((self.path, self.headers, body))
                status, content = fake.answers.pop(0)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("EXOACTOR_IMAGE_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "not for this server")
    fake = Fake()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


def png(image):
    return base64.b64encode(cv2.imencode(".png", image[..., ::-1])[1].tobytes()).decode()


SCENE = np.zeros((48, 64, 3), np.uint8)
MADE = np.full((40, 60, 3), (200, 30, 60), np.uint8)
OPENAI = {"created": 1, "data": [{"b64_json": png(MADE)}], "usage": {"total_tokens": 100}}
GEMINI = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [{"text": "Here it is."}, {"inlineData": {"mimeType": "image/png", "data": png(MADE)}}],
            },
            "finishReason": "STOP",
        }
    ]
}


def test_openai(server):
    server.answers = [(200, OPENAI)]
    made = load_editor("openai", server.url)(SCENE, "Make it red.", "blue", 3, lambda: None)
    np.testing.assert_array_equal(made, MADE)
    path, headers, body = server.asked[0]
    assert path == "/images/edits"
    assert headers["Authorization"] == f"Bearer {KEY}"
    form = BytesParser().parsebytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
    parts = {p.get_param("name", header="content-disposition"): p for p in form.walk() if not p.is_multipart()}
    values = {name: part.get_payload(decode=True) for name, part in parts.items()}
    assert values["prompt"] == b"Make it red. Avoid: blue."
    assert values["model"] == b"gpt-image-2.5-flare"
    assert parts["image"].get_content_type() == "image/jpeg"
    width, height = (int(v) for v in values["size"].split(b"x"))
    sent = cv2.imdecode(np.frombuffer(values["image"], np.uint8), cv2.IMREAD_COLOR)
    assert sent.shape == (height, width, 3)
    assert width % 16 == height % 16 == 0


def test_gemini(server):
    server.answers = [(200, GEMINI)]
    made = load_editor("gemini:gemini-9-image", server.url)(SCENE, "Make it red.", "blue", 3, lambda: None)
    np.testing.assert_array_equal(made, MADE)
    path, headers, body = server.asked[0]
    assert path == "/models/gemini-9-image:generateContent"
    assert headers["x-goog-api-key"] == KEY
    asked = json.loads(body)
    image, text = asked["contents"][0]["parts"]
    assert text == {"text": "Make it red. Avoid: blue."}
    assert base64.b64decode(image["inlineData"]["data"])[:2] == b"\xff\xd8"
    assert asked["generationConfig"] == {"responseModalities": ["IMAGE"], "seed": 3}


@pytest.mark.parametrize(
    ("name", "status", "answer", "kind", "said"),
    [
        ("openai", 401, {"error": {"message": f"Incorrect API key: {KEY}"}}, Missing, "does not accept the key"),
        (
            "openai",
            400,
            {"error": {"message": "Your request was rejected by our safety system.", "code": "moderation_blocked"}},
            Refused,
            "refuses the content",
        ),
        ("openai", 400, {"error": {"message": "Invalid size"}}, BadInput, "does not accept the request"),
        ("openai", 200, {"data": []}, Refused, "without an image"),
        ("openai", 200, {"data": [{"b64_json": "AAAA"}]}, Refused, "no image that can be read"),
        ("openai", 200, b"<html>", Refused, "not JSON"),
        ("gemini", 429, {"error": {"code": 429, "message": "Quota exceeded for your billing"}}, Refused, "busy"),
        ("gemini", 200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, Refused, "refuses the content"),
        ("gemini", 200, {"candidates": [{"finishReason": "IMAGE_SAFETY"}]}, Refused, "refuses the content"),
        ("gemini", 200, {"candidates": [{"finishReason": "NO_IMAGE"}]}, Refused, "no image, NO_IMAGE"),
        ("gemini", 200, {}, Refused, "without an image"),
    ],
)
def test_what_a_service_refuses_is_a_sentence(server, name, status, answer, kind, said):
    server.answers = [(status, answer)] * 5
    with pytest.raises(kind, match=said) as caught:
        load_editor(name, server.url)(SCENE, "Make it red.", "blue", 3, lambda: None)
    text = str(caught.value)
    assert "\n" not in text
    assert KEY not in text


def test_a_generator_begins_with_the_person(server, robot, person, tmp_path):
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")
    import tiny_pipelines as tiny

    server.answers = [(200, {"data": [{"b64_json": png(robot)}]}), (200, {"data": [{"b64_json": png(person)}]})]
    heard = []
    made = load_backend(
        "generate",
        "diffusers",
        model=tiny.saved("wan_i2v", tmp_path),
        steps=1,
        frames=5,
        fps=1.0,
        width=64,
        height=48,
        planner="verbatim",
        device="cpu",
        embody="openai",
        embody_url=server.url,
        seed=3,
    )(GenerateRequest("wave", robot), lambda fraction, text: heard.append(text))
    record = made.metrics["embodiment"]
    assert (record["tries"], record["seed"]) == (2, 4)
    np.testing.assert_array_equal(made.image, person)
    assert made.metrics["pipeline"] == "WanImageToVideoPipeline"
    assert any(text.startswith("Turning the robot into a person") for text in heard)
    with pytest.raises(BadInput, match="no image with the robot"):
        load_backend("generate", "sora", base_url=server.url, embody="openai", embody_url=server.url)(
            GenerateRequest("wave")
        )
