import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput, Cancelled, Missing
from exoactor_core.stages import GenerateRequest, load_backend
from exoactor_core.video import Video
from exoactor_gen.video_judge.video_quality import check_video_quality
from exoactor_pose.detection import detectors
from exoactor_pose.detection.detectors import MediapipeDetector
from exoactor_pose.detection.mediapipe_graphs import Graph, landmark_array, without_output
from exoactor_pose.estimator import MediapipeEstimator
from exoactor_pose.streaming import joined

pytest.importorskip("mediapipe")

DATA = Path(os.environ.get("EXOACTOR_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture(scope="module")
def waving():
    """A short clip of the mannequin and the motion behind it."""
    pytest.importorskip("exoactor_gen.mannequin.mannequin", reason="the generator is not installed")
    made = load_backend("generate", "mannequin", seed=3, fps=15)(GenerateRequest("wave with your right hand"))
    frames = [image for image, _ in zip(made.video.frames(), range(24), strict=False)]
    return Video.from_frames(frames, 15, made.video.intrinsics), made.truth


def test_estimate_of_a_generated_clip(waving):
    video, truth = waving
    body = BodyModel.load()
    fractions = []
    estimate = MediapipeEstimator()(video, lambda fraction, text: fractions.append(fraction))
    motion = estimate.motion
    assert len(motion) == 24
    assert motion.fps == 15
    assert estimate.keypoints.shape == (24, 33, 3)
    assert estimate.metrics["found_share"] > 0.9
    assert estimate.metrics["ground_penetration_mm_max"] < 0.01
    assert json.loads(json.dumps(estimate.metrics["video"])) == estimate.metrics["video"]
    assert estimate.metrics["video"]["seconds"] == pytest.approx(24 / 15, abs=1e-3)
    assert all(check.passed for check in check_video_quality(estimate.metrics["video"]))
    assert (estimate.metrics["person_height_m"], estimate.metrics["person_height_std_m"]) == (1.70, 0.09)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    joints = body.joints(motion)[:, :22]
    wanted = body.joints(truth)[:24, :22]
    relative = joints - joints[:, :1] - (wanted - wanted[:, :1])
    assert np.linalg.norm(relative, axis=-1).mean() < 0.12
    assert body.foot_points(motion)[..., 2].min(axis=1).max() < 0.05  # on the floor, not above it


def test_walking_past_a_camera_that_turns_is_walking():
    whole_body = pytest.importorskip("exoactor_gen.mannequin.whole_body", reason="the generator is not installed")
    generator = load_backend("generate", "mannequin", seed=2, fps=15, camera="side", pan=True, room="pictures")
    made = generator(GenerateRequest("walk 1 m"))
    estimate = MediapipeEstimator(hands=False)(made.video)  # which states the person's stature
    assert estimate.metrics["person_height_std_m"] == 0.0
    body = BodyModel.load()
    assert whole_body.stature(body, estimate.motion.betas) == pytest.approx(made.metrics["stature"], abs=0.005)
    root = body.joints(estimate.motion)[:, 0]
    assert np.linalg.norm((root[-1] - root[0])[:2] - [1.0, 0.0]) < 0.15  # the image shows it in the middle throughout
    assert any("camera turns" in note for note in estimate.metrics["notes"])


def test_streaming_tells_the_motion_in_segments(waving):
    video, _ = waving
    twice = Video.from_frames([*video.frames(), *list(video.frames())[::-1]], 15, video.intrinsics)
    when, segments, fractions = [], [], []

    def on_segment(segment):
        segments.append(segment)
        when.append(fractions[-1])

    estimate = MediapipeEstimator(streaming=True)(twice, lambda fraction, text: fractions.append(fraction), on_segment)
    assert len(segments) == 3
    assert when[0] < 0.7  # before the video ends
    assert fractions == sorted(fractions)
    assert sum(len(s) for s in segments) == len(estimate.motion) == 48
    np.testing.assert_array_equal(joined(segments, BodyModel.load()).transl, estimate.motion.transl)
    np.testing.assert_array_equal(np.concatenate([s.body_pose for s in segments]), estimate.motion.body_pose)
    assert estimate.keypoints.shape == (48, 33, 3)
    assert estimate.metrics["found_share"] > 0.9


def test_cancel_is_obeyed(waving):
    def stop(fraction, text):
        if fraction > 0.65:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        MediapipeEstimator()(waving[0], stop)


def test_a_video_without_a_person_is_refused():
    video = Video.from_frames([np.full((240, 320, 3), 128, np.uint8)] * 5, 30)
    with pytest.raises(BadInput, match="found in 0 of 5 frames"):
        MediapipeEstimator()(video)


def test_a_damaged_video_is_refused():
    rng = np.random.default_rng(0)
    video = Video.from_frames([rng.integers(0, 255, (240, 320, 3)).astype(np.uint8) for _ in range(8)], 30)
    damaged = Video(video.data[:2000], video.fps, video.width, video.height)
    with pytest.raises(BadInput):
        MediapipeEstimator()(damaged)


@pytest.mark.parametrize(
    "options", [{"person_height": 17.0}, {"person_height": 0.2}, {"fov_deg": 0.0}, {"iterations": 0}]
)
def test_wrong_options_are_refused(options):
    with pytest.raises(BadInput):
        MediapipeEstimator(**options)


def test_models_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(detectors, "model_file", lambda complexity: tmp_path / f"{detectors.MODELS[complexity]}.tflite")
    with pytest.raises(Missing, match="heavy"):
        MediapipeDetector(model_complexity=2)
    with pytest.raises(BadInput):
        MediapipeDetector(model_complexity=7)


def test_auto_has_the_heavy_model_too_where_it_is_installed(monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr(detectors, "model_file", lambda complexity: tmp_path / f"{detectors.MODELS[complexity]}.tflite")
    monkeypatch.setattr(detectors, "Graph", lambda *given, model=None, **named: opened.append(model))
    monkeypatch.setattr(detectors, "without_output", lambda model, number: model)
    for model in ("full", "heavy"):
        (tmp_path / f"{model}.tflite").write_text(model)
        assert len(MediapipeDetector("auto").notes) == (model == "full")
    assert opened == [None, b"full", None, b"full", b"heavy"]


def test_without_the_silhouette_landmarks_are_the_same(waving):
    region = np.array([320.0, 240.0, 500.0, 0.0])
    outputs = ("LANDMARKS", "WORLD_LANDMARKS", "AUXILIARY_LANDMARKS")
    whole = Graph("PoseLandmarkByRoiCpu", outputs, roi=True)
    model = detectors.model_file(1).read_bytes()
    cut = without_output(model, 2)
    assert operators(cut) < operators(model)
    less = Graph("PoseLandmarkByRoiCpu", outputs, roi=True, model=cut)
    frame = next(waving[0].frames())
    a, b = whole(frame, region), less(frame, region)
    whole.close(), less.close()
    for name in outputs:
        assert np.array_equal(landmark_array(a[name]), landmark_array(b[name]))


def operators(model):
    """How many operators a TensorFlow Lite model runs."""
    from mediapipe.tasks.metadata.schema_py_generated import Model

    return Model.GetRootAsModel(model, 0).Subgraphs(0).OperatorsLength()


def test_people_are_found_who_are_small_in_a_wide_image(waving):
    """The people detector alone, shown the whole image, finds nobody in it."""
    frame = next(waving[0].frames())
    wide = np.full((frame.shape[0], 2 * frame.shape[0], 3), frame[0, 0], np.uint8)
    small = cv2.resize(frame, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    lefts = (40, wide.shape[1] - 40 - width)
    for left in lefts:
        wide[-height:, left : left + width] = small
    detector = MediapipeDetector(1)
    people = sorted(detector.find_people([wide])[0], key=lambda person: person.centre[0])
    (one,) = detector.find_people([frame])[0]
    detector.close()
    assert len(people) == 2
    for left, person in zip(lefts, people, strict=True):
        wanted = 0.4 * one.centre + [left, wide.shape[0] - height]
        assert np.linalg.norm(person.centre - wanted) < 0.15 * 0.4 * one.size
        assert person.size == pytest.approx(0.4 * one.size, rel=0.25)


def detector_of(monkeypatch, *graphs):
    """A detector whose landmark models, full and heavy, are these graphs; their packets are arrays. It finds nobody."""
    detector = object.__new__(MediapipeDetector)
    detector._people_graph, detector._models = lambda image: {}, []
    for name, graph in zip(("full", "heavy"), graphs, strict=False):
        model = object.__new__(detectors._LandmarkModel)
        model.name, model.runs, model._graph = name, 0, graph
        detector._models.append(model)
    monkeypatch.setattr(detectors, "landmark_array", lambda packet: packet)
    return detector


def test_a_body_outside_the_image_is_not_found(monkeypatch):
    image = np.ones((33, 4))
    ends = np.array([[0.5, 0.5, 0.0, 1.0], [0.5, 0.25, 0.0, 1.0]])
    packets = {"LANDMARKS": image, "WORLD_LANDMARKS": image, "AUXILIARY_LANDMARKS": ends}
    detector = detector_of(monkeypatch, lambda *_: packets)
    person = detectors._person(detectors._Track(np.array([[200.0, 200.0], [200.0, 100.0]])))
    found = []
    for inside in (22, 8, 4, 0):
        image[11:, 0] = np.where(np.arange(22) < inside, 0.5, -0.1)
        found.append(detector.find_landmarks([np.zeros((400, 400, 3), np.uint8)], [person])[0] is not None)
    assert found == [True, True, False, False]


def test_a_person_found_in_the_wrong_place_is_looked_at_closer(monkeypatch):
    """The people detector is off where people are small; landmarks placed there are too, or there are none."""
    true, regions = np.array([[0.5, 0.5], [0.5, 0.25]]), []

    def graph(frame, region):
        regions.append(region)
        region = np.array(region)
        off = np.linalg.norm(region[:2] / 400 - true[0])
        ends = np.ones((2, 4))
        ends[:, :2] = true + 0.3 * (region[:2] / 400 - true[0])
        image = np.full((33, 4), 0.5 + off)
        packets = {"LANDMARKS": image, "WORLD_LANDMARKS": image, "AUXILIARY_LANDMARKS": ends}
        return packets if off < 0.2 else {}

    def ends_in(part):
        corner = part[0, 0, :2]
        return [true * 400 - [160.0, 0.0] - corner, true * 400 - corner] if there else []

    frame = np.zeros((400, 400, 3), np.uint8)
    frame[..., :2] = np.stack(np.meshgrid(np.arange(400), np.arange(400)), axis=-1).clip(max=255)
    detector = detector_of(monkeypatch, graph)
    monkeypatch.setattr(detector, "_ends_in", ends_in)

    def look(x):
        regions.clear()
        person = detectors._person(detectors._Track(np.array([[x, 200.0], [x, 100.0]])))
        (pose,) = detector.find_landmarks([frame], [person])
        return (pose and pytest.approx(abs(pose.image[0, 0] - 200.0)), len(regions))

    there = True
    assert [look(210.0), look(240.0), look(290.0)] == [(10.0, 1), (0.0, 2), (0.0, 2)]
    there = False
    assert [look(210.0), look(240.0), look(290.0)] == [(10.0, 1), (12.0, 2), (None, 1)]


def followed(monkeypatch, place, frames, lost=None):
    """Poses of a person of 200 px whose landmarks are at ``place(frame)`` px, and which frames were looked at."""
    looked = []

    def graph(frame, region):
        looked.append(int(frame[0, 0, 0]))
        if looked[-1] == lost:
            return {}
        image, x = np.ones((33, 4)), place(looked[-1]) / 400
        image[:, 0] = x
        ends = np.array([[x, 0.5, 0.0, 1.0], [x, 0.25, 0.0, 1.0]])
        return {"LANDMARKS": image, "WORLD_LANDMARKS": image, "AUXILIARY_LANDMARKS": ends}

    detector = detector_of(monkeypatch, graph)
    images = [np.full((400, 400, 3), k, np.uint8) for k in range(frames)]
    person, poses = detectors._person(detectors._Track(np.array([[0.0, 200.0], [0.0, 100.0]]))), []
    for k in range(0, frames, detector.batch):
        batch = images[k : k + detector.batch]
        poses += detector.find_landmarks(batch, [person] * len(batch))
        person = poses[-1] and poses[-1].person
    return poses, looked


def test_fewer_frames_are_looked_at_the_more_even_the_motion_is(monkeypatch):
    poses, looked = followed(monkeypatch, lambda t: 5.0 * t, 16)
    assert looked == [0, 1, 2, 3, 5, 7, 11, 15]
    assert np.allclose([pose.image[5, 0] for pose in poses], 5.0 * np.arange(16))
    assert np.allclose([pose.world[5, 0] for pose in poses], 5.0 / 400 * np.arange(16))
    assert poses[12].person.centre[0] < poses[13].person.centre[0] < poses[15].person.centre[0]


def test_landmarks_of_frames_between_follow_their_acceleration(monkeypatch):
    poses, looked = followed(monkeypatch, lambda t: 0.7 * t**2, 16)
    assert looked == [0, 1, 2, 3, 5, 7, 9, 11, 13, 15]
    assert np.allclose([pose.image[5, 0] for pose in poses], 0.7 * np.arange(16) ** 2)


def test_frames_of_a_sudden_motion_are_looked_at_in_hindsight(monkeypatch):
    _, looked = followed(monkeypatch, lambda t: 40.0 * (t > 13), 20)
    assert looked[7:11] == [15, 13, 14, 16]


def test_a_person_lost_in_a_later_frame_is_looked_for_in_each(monkeypatch):
    poses, looked = followed(monkeypatch, lambda t: 5.0 * t, 12, lost=11)
    assert looked[-4:] == [11, 8, 10, 11]
    assert [pose is None for pose in poses] == [False] * 11 + [True]


def test_the_heavy_model_looks_where_full_is_unsure(monkeypatch):
    """That is as soon as somebody is followed, and where full has them turned, small, hidden or lost, or limbs swapped.

    Not where a joint is only quick.
    """
    facing, visibility, hidden, size, wrist, apart, looked = 1.0, 1.0, False, 0.5, 0.5, 0.05, []

    def packets(name, facing, visibility):
        looked.append(name)
        image = np.full((33, 4), 0.5)
        image[15, 1] = wrist if name == "full" else 0.5
        image[25:27, 1] += np.array([1.0, -1.0]) * (apart if name == "full" else 0.05)
        image[:, 3], image[[11, 23], 0] = visibility, 0.5 + 0.1 * facing
        ends = np.array([[0.5, 0.5, 0.0, 1.0], [0.5, 0.5 - 0.5 * size, 0.0, 1.0]])
        return {"LANDMARKS": image, "WORLD_LANDMARKS": image, "AUXILIARY_LANDMARKS": ends}

    def full(frame, region):
        return packets("full", facing, visibility) if visibility else looked.append("full") or {}

    detector = detector_of(monkeypatch, full, lambda *_: packets("heavy", 1.0, 0.3 if hidden else 1.0))
    person = detectors._person(detectors._Track(np.array([[200.0, 200.0], [200.0, 100.0]])))

    def look():
        nonlocal person
        looked.clear()
        (pose,) = detector.find_landmarks([np.zeros((400, 400, 3), np.uint8)], [person])
        person = pose.person
        return list(looked)

    assert look() == ["full"]
    assert look() == ["heavy"]
    assert look() == ["full"]
    facing = -1.0
    assert look() == ["full", "heavy"]
    facing, visibility = 1.0, 0.3
    assert look() == ["full", "heavy"]
    visibility = 0.0
    assert look() == ["full", "heavy"]
    visibility, hidden = 0.3, True
    assert look() == ["full", "heavy"]
    visibility, hidden = 1.0, False
    assert look() == ["heavy"], "as little shows as in the last look"
    assert look() == ["full"]
    wrist = 0.55
    assert look() == ["full"]
    wrist = 0.5
    assert look() == ["full"]
    apart = -0.05
    assert look() == ["full", "heavy"]
    apart = 0.05
    assert look() == ["full"]
    size = 0.1
    while person.size > detectors.UNSURE_SIZE_PX:
        look()
    assert look() == ["heavy"]
    assert detector.model == "full, heavy"


def test_standard_error_stays_quiet():
    code = (
        "import numpy as np; from exoactor_pose.detection.detectors import MediapipeDetector, Person;"
        "image = np.zeros((240, 320, 3), np.uint8); detector = MediapipeDetector();"
        "detector.find_people([image]); detector.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.slow
def test_a_generated_vault_without_a_known_camera():
    path = DATA / "videos" / "vault_over_block_720p24.mp4"
    if not path.is_file():
        pytest.skip(f"the test video {path} is not here")
    video = Video.load(path)
    estimate = MediapipeEstimator()(video)
    assert len(estimate.motion) > 0.95 * video.frame_count  # from the first foot on the floor to the last
    assert estimate.metrics["found_share"] > 0.9
    assert estimate.metrics["reprojection_px_mean"] < 25
    assert not estimate.metrics["camera_known"]
    joints = BodyModel.load().joints(estimate.motion)
    assert np.isfinite(joints).all()
    assert 0.3 < np.median(joints[:, 0, 2]) < 1.3
