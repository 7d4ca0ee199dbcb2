import re
from dataclasses import replace

import numpy as np
import pytest

from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput, Cancelled
from exoactor_core.motion import HUMAN_ARRAYS
from exoactor_core.stages import GenerateRequest, load_backend
from exoactor_core.video import Video
from exoactor_gen.mannequin.choreography import Choreography, choreograph
from exoactor_gen.mannequin.language import parse
from exoactor_gen.mannequin.rendering.camera import VIEWS, frame_person
from exoactor_gen.mannequin.rendering.look import Look
from exoactor_gen.mannequin.rendering.render import render


def _mannequin(**options):
    return load_backend("generate", "mannequin", **{"width": 160, "height": 120, "fps": 10, **options})


@pytest.fixture(scope="module")
def nod():
    heard = []
    made = _mannequin(seed=3)(GenerateRequest("nod once"), lambda fraction, text: heard.append((fraction, text)))
    return made, heard


def test_video_has_the_size_length_and_intrinsics_that_it_states(nod):
    made, _ = nod
    frames = list(made.video.frames())
    assert len(frames) == len(made.truth) == made.metrics["frames"]
    assert frames[0].shape == (120, 160, 3)
    assert made.video.fps == made.truth.fps == 10
    assert Video.from_bytes(made.video.data).intrinsics == pytest.approx(made.video.intrinsics)
    assert made.metrics["plan"].startswith("nods once (")


def test_progress_rises_to_one(nod):
    fractions = [f for f, _ in nod[1]]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(fractions) > len(nod[0].truth)


def test_the_person_is_in_the_image_where_the_truth_says(nod):
    made, _ = nod
    position, rotation = np.array(made.metrics["camera_position"]), np.array(made.metrics["camera_rotation"])
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    chest = BodyModel.load().joints(made.truth)[0, 9]
    x, y, z = (chest - position) @ rotation
    fx, fy, cx, cy = made.video.intrinsics
    u, v = round(cx + fx * x / z), round(cy + fy * y / z)
    image = next(made.video.frames()).astype(float)
    assert np.ptp(image[v, u]) > 60  # the shirts are colourful, walls are not
    assert np.ptp(image[v, 5]) < 60


def test_seed_decides_everything():
    def pixels(seed):
        made = _mannequin(seed=seed)(GenerateRequest("wait 0.2 seconds"))
        return np.array(list(made.video.frames())), made.truth

    (a, truth_a), (b, truth_b), (c, truth_c) = pixels(1), pixels(1), pixels(2)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(truth_a.transl, truth_b.transl)
    assert not np.allclose(truth_a.betas, truth_c.betas)
    assert np.abs(a[0].astype(float) - c[0]).mean() > 5


@pytest.mark.parametrize("light", ["hard", "soft"])
def test_drawing_only_what_moves_changes_no_image(light):
    body = BodyModel.load()
    motion, objects = Choreography.of_instruction("put the bottle on the table").perform(np.zeros(10), body, 3.0)
    look = Look.draw(np.random.default_rng(0), light=light)
    camera = frame_person(body.joints(motion), "three_quarter", 320, 240, np.random.default_rng(1))
    turning = replace(camera, pan=np.zeros(len(motion)))  # of which every image is drawn whole
    parts, whole = (
        np.array(list(render(motion, body, seen, look, np.random.default_rng(2), objects)), dtype=int)
        for seen in (camera, turning)
    )
    assert np.ptp(whole, axis=0).max() > 60
    differ = np.abs(parts - whole).max(axis=-1) > 8
    assert differ.sum(axis=(1, 2)).max() < 8


def test_another_attempt_is_another_seed():
    ask = GenerateRequest("wait 0.2 seconds")
    first, second = (_mannequin(seed=1)(replace(ask, attempt=number)) for number in (0, 1))
    assert (first.metrics["seed"], second.metrics["seed"]) == (1, 2)
    np.testing.assert_array_equal(second.truth.betas, _mannequin(seed=2)(ask).truth.betas)
    assert not np.allclose(first.truth.betas, second.truth.betas)


def test_the_seed_chooses_the_camera_where_none_is_named():
    views = {
        _mannequin(seed=seed, camera="", width=64, height=64)(GenerateRequest("wait 0.2 seconds")).metrics["camera"]
        for seed in range(6)
    }
    assert len(views) > 2


def test_cancel():
    def cancel(fraction, text):
        if fraction > 0.1:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        _mannequin()(GenerateRequest("wave"), cancel)


def test_scene_image_is_said_to_be_unused():
    made = _mannequin()(GenerateRequest("wait 0.2 seconds", np.zeros((4, 4, 3), np.uint8)))
    assert "not used" in made.metrics["note"]


@pytest.mark.parametrize(
    "options",
    [
        {"camera": "above"},
        {"width": 161},
        {"height": 10},
        {"fps": 5},
        {"seed": -1},
        {"body": "/no/such.npz"},
        {"stature": 3.0},
        {"build": "round"},
        {"clothes": "armour"},
        {"room": "cellar"},
        {"light": "moon"},
    ],
)
def test_bad_options(options):
    with pytest.raises(BadInput):
        _mannequin(**options)


def test_bodies_are_as_tall_as_asked_and_vary_with_the_seed():
    body = BodyModel.load()

    def height(**options):  # the head joint stands at 0.90 of it
        joints = body.joints(_mannequin(**options).motion("wait 0.2 seconds"))
        return joints[0, 15, 2] / 0.90

    assert height(stature=1.9, build="heavy") == pytest.approx(1.9, abs=0.02)
    assert height(stature=1.5, seed=4) == pytest.approx(1.5, abs=0.02)
    heights = [height(seed=seed) for seed in range(12)]
    assert 1.45 < min(heights) < max(heights) < 2.0
    assert np.ptp(heights) > 0.15


def test_an_option_changes_its_part_and_leaves_the_others_alone():
    def image(**options):
        made = _mannequin(seed=5, **options)(GenerateRequest("wait 0.2 seconds"))
        return next(made.video.frames()).astype(float), made.metrics["camera_position"]

    plain, place = image(room="plain", clothes="tshirt")
    wall = np.s_[:20, :20]
    for options, moves_wall in (({"clothes": "vest"}, False), ({"room": "brick"}, True)):
        other, where = image(**{"room": "plain", "clothes": "tshirt"} | options)
        assert where == place
        changed = np.abs(other - plain).mean(axis=-1)
        assert changed.max() > 40
        assert (changed[wall].mean() > 4) == moves_wall


def test_a_camera_that_turns_follows_the_person():
    body = BodyModel.load()
    joints = body.joints(choreograph(parse("walk 4 m"), np.zeros(10), body))
    still, turning = (
        frame_person(joints, "side", 640, 480, np.random.default_rng(0), pan=pan) for pan in (False, True)
    )
    pixels = turning.project(joints)
    assert np.all((pixels > 10) & (pixels < np.array([630, 470])))
    assert np.abs(pixels[:, 0, 0] - 320).max() < 60  # the pelvis stays near the middle
    assert np.linalg.norm(turning.position - joints[:, 0].mean(axis=0)) < 4.0
    assert np.ptp(still.project(joints)[:, 0, 0]) > 300
    speed = np.abs(np.diff(turning.pan)) * 30
    assert np.degrees(np.ptp(turning.pan)) > 40
    assert np.degrees(speed.max()) < 20


def test_the_turns_that_are_told_are_those_of_the_image():
    made = _mannequin(seed=2, camera="side", pan=True, room="pictures")(GenerateRequest("walk 2 m"))
    pan = np.array(made.metrics["camera_pan"])
    assert len(pan) == len(made.truth)
    position, rotation = np.array(made.metrics["camera_position"]), np.array(made.metrics["camera_rotation"])
    fx, fy, cx, cy = made.video.intrinsics
    chest = BodyModel.load().joints(made.truth)[:, 9]
    frames = [image.astype(float) for image in made.video.frames()]
    for k in (0, len(pan) // 2, len(pan) - 1):
        c, s = np.cos(pan[k]), np.sin(pan[k])
        x, y, z = (chest[k] - position) @ (np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ rotation)
        u, v = cx + fx * x / z, cy + fy * y / z
        assert 0.3 * 160 < u < 0.7 * 160
        assert np.abs(frames[k][round(v), round(u)] - frames[k][round(v), 5]).sum() > 30  # the shirt, not the wall
    assert np.abs(frames[0] - frames[-1])[:40].mean() > 4  # the room moves through the image


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("task", ["walk 3 m", "walk left 2 m", "raise both arms", "turn around"])
def test_the_whole_person_stays_in_the_image(view, task):
    body = BodyModel.load()
    joints = body.joints(choreograph(parse(task), np.zeros(10), body))
    camera = frame_person(joints, view, 640, 480, np.random.default_rng(0))
    pixels = camera.project(joints)
    assert np.all((pixels > 10) & (pixels < np.array([630, 470])))
    assert np.ptp(pixels[..., 1], axis=1).max() > 150


@pytest.mark.parametrize(
    ("task", "view"), [("wave with your right hand", "front"), ("squat", "three_quarter"), ("walk 1 m", "side")]
)
def test_mediapipe_finds_the_person(task, view):
    mediapipe = pytest.importorskip("mediapipe", reason="mediapipe is not installed")
    from exoactor_gen.mannequin.rendering.look import Look
    from exoactor_gen.mannequin.rendering.render import render

    body = BodyModel.load()
    motion = choreograph(parse(task), np.zeros(10), body)
    some = np.linspace(0, len(motion) - 1, 5).astype(int)
    rng = np.random.default_rng(0)
    camera = frame_person(body.joints(motion), view, 640, 480, rng)
    motion = replace(motion, **{name: getattr(motion, name)[some] for name in HUMAN_ARRAYS})
    truth = camera.project(body.joints(motion))
    landmarks = {11: 16, 12: 17, 13: 18, 14: 19, 15: 20, 16: 21, 23: 1, 24: 2, 25: 4, 26: 5, 27: 7, 28: 8}
    errors = []
    with mediapipe.solutions.pose.Pose(model_complexity=1, static_image_mode=True) as pose:
        for frame, image in enumerate(render(motion, body, camera, Look.draw(rng), rng)):
            found = pose.process(image).pose_landmarks
            assert found is not None, f"nobody in frame {frame}"
            at = np.array([(p.x * 640, p.y * 480) for p in found.landmark])
            errors.append([np.linalg.norm(at[m] - truth[frame, j]) for m, j in landmarks.items()])
    assert np.median(errors) < 10  # the person is 330 pixels tall


# --- file -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def clip(tmp_path):
    frames = [np.full((64, 64, 3), 20 * k, np.uint8) for k in range(10)]
    path = tmp_path / "clip.mp4"
    Video.from_frames(frames, 25, (50.0, 50.0, 32.0, 32.0)).save(path)
    return path


def test_file_plays_a_video(clip):
    made = load_backend("generate", "file", path=str(clip))(GenerateRequest("anything"))
    assert made.video.data == clip.read_bytes()
    assert made.truth is None
    assert made.metrics["frames"] == 10
    assert "not used" in made.metrics["note"]


def test_file_errors_name_the_file(clip, tmp_path):
    def message(path):
        with pytest.raises(BadInput) as caught:
            load_backend("generate", "file", path=str(path) if path else "")(GenerateRequest("anything"))
        return str(caught.value)

    assert "option path" in message("")
    assert "no video file" in message(tmp_path / "none.mp4")
    assert "is a folder: name the video file in it" in message(tmp_path)
    (tmp_path / "empty.mp4").touch()
    assert "empty.mp4" in message(tmp_path / "empty.mp4")
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    assert "noise.mp4" in message(tmp_path / "noise.mp4")
    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    assert "cut.mp4" in message(tmp_path / "cut.mp4")


def test_plan_is_told_and_carried_out_again_when_edited():
    heard = []
    made = _mannequin(seed=3)(GenerateRequest("nod once, then clap twice"), lambda fraction, text: heard.append(text))
    assert re.sub(r" \([\d.]+ s\)", "", heard[0]) == (
        "Plan: nods once, then claps both hands in front of the chest 2 times"
    )
    edited = {**made.plan, "actions": made.plan["actions"][1:]}
    again = _mannequin(seed=3)(GenerateRequest("something else", None, edited))
    assert again.metrics["plan"].startswith("claps both hands in front of the chest 2 times (")
    assert again.metrics["seconds"] < made.metrics["seconds"] - 0.5
    edited["actions"][0]["verb"] = "juggle"
    with pytest.raises(BadInput, match="step 1 of the plan, 'juggle'"):
        _mannequin()(GenerateRequest("", None, edited))
