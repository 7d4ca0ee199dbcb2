"""Backend diffusers on tiny pipelines with random weights, through the real loading code, without a network."""

import json
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="diffusers is not installed")

import tiny_pipelines as tiny
from exoactor_core.errors import BadInput, Cancelled, Missing, Refused
from exoactor_core.stages import GenerateRequest, backend_class, load_backend
from exoactor_gen import diffusers_pipeline as diffusion
from exoactor_gen.video_models import diffusers_video as local_video
from exoactor_gen.video_models.diffusers_video import VideoFormat, frames_for, size_for

TASK = "wave with your right hand"  # 5.06 s


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr("exoactor_core.hub.hub_is_there", lambda: False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pipelines")


def backend(folder, name, **options):
    small = {"steps": 2, "frames": 9, "fps": 4.0, "width": 64, "height": 32, "planner": "verbatim", "device": "cpu"}
    return load_backend("generate", "diffusers", model=tiny.saved(name, folder), **small | options)


def make(folder, name, scene=None, progress=lambda fraction, text: None, task="wave", **options):
    options = {"frames": 17} | options  # 4.25 s: the words as they stand take 4
    return backend(folder, name, **options)(GenerateRequest(task, scene), progress)


@pytest.mark.parametrize(
    ("name", "scene", "pipeline"),
    [
        ("wan", False, "WanPipeline"),
        ("ltx", False, "LTXPipeline"),
        ("wan_i2v", True, "WanImageToVideoPipeline"),
        ("ltx", True, "LTXImageToVideoPipeline"),
        ("wan_both", False, "WanPipeline"),
    ],
)
def test_a_video_of_a_text_or_an_image(folder, name, scene, pipeline):
    heard, plans = [], []
    made = backend(folder, name, frames=17, seed=4)(
        GenerateRequest("wave", tiny.image() if scene else None), lambda *said: heard.append(said), plans.append
    )
    figures = made.metrics
    frames = np.array(list(made.video.frames()))
    assert frames.shape == (17, 32, 64, 3)
    assert frames.std() > 5
    assert made.video.fps == 4
    assert figures["pipeline"] == pipeline
    assert (figures["frames"], figures["seconds"], figures["steps"], figures["seed"]) == (17, 4.25, 2, 4)
    assert figures["device"] == "cpu"
    assert "wave" in figures["prompt"]
    assert "note" not in figures
    assert [made.plan] == plans
    json.dumps(figures)
    fractions, texts = zip(*heard, strict=True)
    assert list(fractions) == sorted(fractions)
    assert fractions[-1] == 1.0
    assert texts[0].startswith("Plan: does this: wave")
    assert any(text.startswith("Loading") for text in texts)
    assert any(text.startswith(("Step 1 of 2", "Step 2 of 2", "Decoding")) for text in texts)


@pytest.mark.parametrize(
    ("name", "scene", "pipeline", "frames"),
    [
        ("cogvideox", False, "CogVideoXPipeline", 9),
        ("cogvideox_i2v", True, "CogVideoXImageToVideoPipeline", 9),
        ("hunyuan", False, "HunyuanVideoPipeline", 5),
    ],
)
def test_a_video_by_another_family(folder, name, scene, pipeline, frames):
    made = make(folder, name, tiny.image() if scene else None, steps=1, frames=5, fps=1.25)
    assert (made.metrics["pipeline"], made.metrics["frames"]) == (pipeline, frames)
    images = np.array(list(made.video.frames()))
    assert images.shape == (frames, 32, 64, 3)
    assert images.std() > 1
    assert ("multiple of 8, plus 1: not 5" in made.metrics.get("note", "")) == (frames == 9)


def test_the_seed_decides_everything(folder):
    wan = backend(folder, "wan", frames=17)

    def pixels(seed):
        wan.options = wan.options.model_copy(update={"seed": seed})
        return np.array(list(wan(GenerateRequest("wave")).video.frames()), float)

    one = pixels(1)
    np.testing.assert_array_equal(pixels(1), one)
    assert np.abs(pixels(2) - one).mean() > 1
    wan.options = wan.options.model_copy(update={"seed": 0})
    again = wan(GenerateRequest("wave", attempt=1))
    np.testing.assert_array_equal(np.array(list(again.video.frames()), float), one)
    assert again.metrics["seed"] == 1


def test_the_image_is_where_the_video_begins(folder):
    made = make(folder, "wan_i2v", tiny.image(), seed=1)
    other = make(folder, "wan_i2v", 255 - tiny.image(), seed=1)
    a, b = (np.array(list(video.frames()), float) for video in (made.video, other.video))
    assert np.abs(a[0] - b[0]).mean() > 0.5  # of random weights; nothing else differs


def test_an_image_and_a_pipeline_that_takes_none(folder):
    made = make(folder, "wan", tiny.image())
    assert made.metrics["pipeline"] == "WanPipeline"
    assert made.image is None
    assert "image is not used" in made.metrics["note"]


def test_no_image_and_a_pipeline_that_begins_with_one(folder):
    with pytest.raises(BadInput, match="begins with an image of the scene: give one"):
        make(folder, "wan_i2v")


def test_one_backend_serves_requests_with_and_without_an_image(folder):
    ltx = backend(folder, "ltx", frames=17)
    kinds = [ltx(GenerateRequest("wave", s)).metrics["pipeline"] for s in (tiny.image(), None, tiny.image())]
    assert kinds == ["LTXImageToVideoPipeline", "LTXPipeline", "LTXImageToVideoPipeline"]


def test_frames_and_sizes_become_what_the_pipeline_makes(folder):
    made = make(folder, "wan", frames=19, width=70, height=33)
    assert (made.video.width, made.video.height, made.video.frame_count) == (64, 32, 21)
    assert "a multiple of 4, plus 1: not 19" in made.metrics["note"]
    assert "multiples of 16: 64 x 32 px" in made.metrics["note"]


def test_length_comes_from_the_plan(folder):
    made = make(folder, "wan", frames=0, task="raise arm")  # 4 s, of at most 81 frames
    assert made.video.frame_count == 17
    with pytest.raises(BadInput, match=r"has at most 20\.25 s"):
        make(folder, "wan", frames=0, task="; ".join(["raise arm"] * 7))


def test_frames_for():
    assert frames_for(5.0, 16.0, 4, 81) == 77  # 4.81 s, no more than a quarter of a second too short
    assert frames_for(5.2, 16.0, 4, 81) == 81
    assert frames_for(60.0, 16.0, 4, 81) == 81
    assert frames_for(0.1, 16.0, 8, 161) == 9
    assert frames_for(2.0, 15.0, 4, 88) == 28  # Allegro: whole fours
    for seconds in np.linspace(0.5, 6, 20):
        count = frames_for(seconds, 24.0, 8, 161)
        assert count % 8 == 1
        assert seconds - 0.25 - 1e-9 <= count / 24 or count == 161
        assert (count - 8) / 24 < max(seconds, 0.7)


def test_size_for():
    made = VideoFormat(832, 480, 81, 16.0)
    assert size_for(made, (0, 0), None, 16) == (832, 480)
    assert size_for(made, (640, 0), None, 16) == (640, 368)
    assert size_for(made, (0, 0), np.zeros((1280, 720, 3)), 16) == (480, 848)  # as large, upright
    assert size_for(made, (0, 320), np.zeros((100, 100, 3)), 32) == (320, 320)
    assert size_for(VideoFormat(0, 0, 121, 24.0), (0, 0), None, 16) == (0, 0)


def test_a_model_that_reads_few_words_gets_the_short_prompt(folder):
    long = make(folder, "wan").metrics
    short = make(folder, "ltx").metrics
    assert (long["template"], short["template"]) == ("capture 2", "short 2")
    assert len(short["prompt"].split()) <= 128
    cut = make(folder, "ltx", extra='{"max_sequence_length": 10}').metrics
    assert "The model reads 10 tokens" in cut["note"]


def test_options_reach_the_pipeline(folder, monkeypatch):
    asked = {}
    real = diffusion.Pipeline.run

    def run(self, tick, on_step, smaller, **arguments):
        asked.update(arguments)
        return real(self, tick, on_step, smaller, **arguments)

    monkeypatch.setattr(diffusion.Pipeline, "run", run)
    make(folder, "wan", steps=1, guidance=1.5, negative="rain", extra='{"max_sequence_length": 64}')
    assert asked["num_inference_steps"] == 1
    assert asked["guidance_scale"] == 1.5
    assert asked["negative_prompt"] == "rain"
    assert asked["max_sequence_length"] == 64
    assert (asked["num_frames"], asked["height"], asked["width"]) == (17, 32, 64)


def test_an_option_that_the_pipeline_does_not_take_is_told(folder, monkeypatch):
    takes = diffusion.Pipeline.takes.fget
    fewer = property(lambda self: {n: v for n, v in takes(self).items() if n != "guidance_scale"})
    monkeypatch.setattr(diffusion.Pipeline, "takes", fewer)
    note = make(folder, "wan", guidance=3.0, steps=1, frames=5, fps=1.25).metrics["note"]
    assert note == "The option guidance is not used: WanPipeline takes no guidance_scale."


def test_cancelled_between_steps(folder):
    wan = backend(folder, "wan", frames=17, steps=400)
    said, passes = [], []
    wan.pipeline.load().transformer.register_forward_pre_hook(lambda *_: passes.append(1))

    def cancel(fraction, text):
        said.append(text)
        if passes:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        wan(GenerateRequest("wave"), cancel)
    done = len(passes)
    assert done < 2 * 400
    assert "of 400" in said[-1]
    time.sleep(0.2)
    assert len(passes) == done  # nobody goes on in the background
    wan.options = wan.options.model_copy(update={"steps": 1})
    assert wan(GenerateRequest("wave")).metrics["steps"] == 1  # and nothing is left of it


@pytest.mark.parametrize(("name", "decoded"), [("wan", "float32"), ("ltx", "bfloat16")])
def test_half_precision(folder, name, decoded):
    made = backend(folder, name, frames=17, dtype="bfloat16")
    pipe = made.pipeline.load()
    assert str(pipe.transformer.dtype) == str(pipe.text_encoder.dtype) == "torch.bfloat16"
    assert str(pipe.vae.dtype) == f"torch.{decoded}"  # Wan's authors decode in full precision
    assert made(GenerateRequest("wave")).metrics["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        "oom",
    ],
)
def test_too_little_memory_is_a_sentence(folder, monkeypatch, error):
    import torch

    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.") if error == "oom" else error
    wan = backend(folder, "wan", frames=17, tiling=False)
    decode = wan.pipeline.load().vae.decode

    def full(*args, **kwargs):
        raise error

    monkeypatch.setattr(wan.pipeline.load().vae, "decode", full)
    with pytest.raises(Refused) as caught:
        wan(GenerateRequest("wave"))
    text = str(caught.value)
    assert "\n" not in text
    assert "memory" in text
    for change in ("fewer frames (now 17)", "64 x 32 px", "dtype=bfloat16", "tiling=true", "a smaller model"):
        assert change in text
    wan.pipeline.load().vae.decode = decode
    assert wan(GenerateRequest("wave")).metrics["frames"] == 17


def test_numbers_that_are_no_image_are_refused(folder, monkeypatch):
    wan = backend(folder, "wan", frames=17)
    for weight in wan.pipeline.load().transformer.parameters():
        weight.data.fill_(float("nan"))
    with pytest.raises(Refused, match="gave no images"):
        wan(GenerateRequest("wave"))


def test_what_is_not_there_is_a_sentence(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    def message(kind, **options):
        with pytest.raises(kind) as caught:
            load_backend("generate", "diffusers", **options)(GenerateRequest("wave")) if options else None
        text = str(caught.value)
        assert "\n" not in text
        assert "Traceback" not in text
        return text

    text = message(Missing, model="nobody/no-such-video-model")
    assert "nobody/no-such-video-model are not on this machine" in text
    assert "hf download nobody/no-such-video-model" in text
    assert "hf download a/b --revision v2'" in message(Missing, model="a/b", revision="v2")
    assert "no folder /no/such" in message(BadInput, model="/no/such")
    assert "no folder ./models/wan" in message(BadInput, model="./models/wan")
    assert "holds no model_index.json" in message(BadInput, model=str(tmp_path))
    assert "model is empty" in message(BadInput, model=" ")
    (tmp_path / "model_index.json").write_text('{"_class_name": "SoonPipeline"}')
    assert "names the pipeline SoonPipeline, which diffusers 0." in message(BadInput, model=str(tmp_path))
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    assert "makes no videos" in message(BadInput, model=str(tmp_path))
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableVideoDiffusionPipeline"}')
    assert "takes no words" in message(BadInput, model=str(tmp_path))
    (tmp_path / "model_index.json").write_text('{"_class_name": "LucyEditPipeline"}')
    assert "it wants video" in message(BadInput, model=str(tmp_path))
    (tmp_path / "model_index.json").write_text('{"_class_na')
    assert "model_index.json is not valid JSON" in message(BadInput, model=str(tmp_path))
    broken = tmp_path / "broken"
    shutil.copytree(tiny.saved("wan", folder), broken)
    next((broken / "transformer").glob("*.safetensors")).unlink()
    small = {"planner": "verbatim", "device": "cpu"}
    assert "not complete" in message(Missing, model=str(broken), **small)
    shutil.copy(
        broken / "vae/diffusion_pytorch_model.safetensors", broken / "transformer/diffusion_pytorch_model.safetensors"
    )
    assert "cannot be loaded as WanPipeline" in message(BadInput, model=str(broken), **small)
    assert "device 'cuda:9'" in message(Missing, model=str(broken), device="cuda:9")


@pytest.mark.parametrize(
    ("code", "name", "kind", "said"),
    [
        (
            403,
            "GatedRepo",
            Missing,
            "licence of some/model must be accepted first: at https://huggingface.co/some/model",
        ),
        (401, "RepoNotFound", BadInput, "no folder and no public repository some/model"),
        (404, "EntryNotFound", BadInput, "some/model holds no diffusers pipeline"),
        (400, "", Missing, "cannot be reached or does not give them"),
    ],
)
def test_what_the_hub_answers_is_a_sentence(tmp_path, monkeypatch, code, name, kind, said):
    from huggingface_hub import constants

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(code)
            self.send_header("X-Error-Code", name)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr("exoactor_core.hub.hub_is_there", lambda: True)
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(kind, match=said) as caught:
            load_backend("generate", "diffusers", model="some/model")
        server.shutdown()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"dtype": "float16"}, "CPUs do not"),
        ({"offload": "disk"}, "offload is 'disk'"),
        ({"offload": "model"}, "device is the CPU"),
        ({"steps": -1}, "option steps is -1"),
        ({"fps": 1e6}, "option fps"),
        ({"seed": -3}, "option seed"),
        ({"extra": "[1]"}, "not a JSON object"),
        ({"extra": '{"speed": 1}'}, "names speed"),
        ({"planner": "oracle"}, "planner is 'oracle'"),
        ({"template": "/no/such.yaml"}, "There is no file"),
    ],
)
def test_bad_options(folder, options, said):
    with pytest.raises(BadInput, match=said):
        backend(folder, "wan", **options)


def test_what_pipelines_were_made_for(folder):
    def made(name):
        return local_video.native_format(backend(folder, name).pipeline)

    assert made("wan") == VideoFormat(832, 480, 81, 16.0)
    assert made("wan_both") == VideoFormat(1280, 704, 121, 24.0)
    assert made("ltx") == VideoFormat(704, 512, 161, 25.0)
    assert made("cogvideox") == VideoFormat(64, 32, 17, 8.0)
    assert made("hunyuan") == VideoFormat(1280, 720, 129, 24.0)


def test_doctor_says_why_it_cannot_run(monkeypatch):
    import torch

    backend_ = backend_class("generate", "diffusers")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Missing, match="no CUDA device"):
        backend_.ready()
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(Missing, match="needs torch, diffusers"):
        backend_.ready()
