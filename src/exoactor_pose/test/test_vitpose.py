"""ViTPose behind the real loading code: tiny models, random or made by hand, that the library itself saved."""

import numpy as np
import pytest

from exoactor_core.errors import BadInput, Missing
from exoactor_core.stages import load_backend
from exoactor_pose.detection.anatomy import LANDMARK_NAMES
from exoactor_pose.detection.detectors import Person
from exoactor_pose.video.person_tracker import Tracker
from exoactor_pose.vitpose import VitposeDetector, landmarks_of

POSE_SIZE = {"height": 256, "width": 192}

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

LABELS = {0: "person", 1: "bicycle"}


def save_people(folder, kind="RTDetr", labels=LABELS):
    torch.manual_seed(1)
    sizes = dict(
        encoder_hidden_dim=16,
        encoder_in_channels=[16, 16, 16],
        encoder_ffn_dim=16,
        d_model=16,
        num_queries=6,
        decoder_in_channels=[16, 16, 16],
        decoder_ffn_dim=16,
        num_denoising=0,
        decoder_layers=2,
        encoder_layers=1,
        decoder_attention_heads=2,
        encoder_attention_heads=2,
        id2label=labels,
        label2id={v: k for k, v in labels.items()},
    )
    if kind == "RTDetr":
        backbone = transformers.RTDetrResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 16, 16, 16],
            depths=[1, 1, 1, 1],
            layer_type="basic",
            out_features=["stage2", "stage3", "stage4"],
        )
        model = transformers.RTDetrForObjectDetection(transformers.RTDetrConfig(backbone_config=backbone, **sizes))
    else:
        model = transformers.DFineForObjectDetection(transformers.DFineConfig(**sizes))
    with torch.no_grad():
        for layer in model.model.decoder.class_embed:
            layer.bias += torch.tensor([3.0, -3.0])  # it sees people everywhere
    model.save_pretrained(folder)
    transformers.RTDetrImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    return str(folder)


def save_pose(folder, keypoints=133, experts=1, seeing=False):
    """A ViTPose; ``seeing``: made so that its heatmaps are high where the image is bright."""
    torch.manual_seed(2)
    backbone = transformers.VitPoseBackboneConfig(
        image_size=list(POSE_SIZE.values()),
        patch_size=[16, 16],
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        mlp_ratio=2,
        out_indices=[1],
        num_experts=experts,
        part_features=4 if experts > 1 else 0,
    )
    model = transformers.VitPoseForPoseEstimation(
        transformers.VitPoseConfig(backbone_config=backbone, num_labels=keypoints, scale_factor=4)
    )
    if seeing:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
            model.backbone.embeddings.patch_embeddings.projection.weight[0] = 1 / 768  # brightness
            model.backbone.embeddings.patch_embeddings.projection.bias[1] = 3.0  # what it is compared with
            model.backbone.layernorm.weight.fill_(1.0)
            model.head.conv.weight[:, 0] = 1 / 9
    model.save_pretrained(folder)
    transformers.VitPoseImageProcessorPil(size=POSE_SIZE).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    return {
        "people": save_people(base / "people"),
        "body": save_pose(base / "body", 17),
        "whole": save_pose(base / "whole", 133),
        "seeing": save_pose(base / "seeing", 133, seeing=True),
    }


def test_landmarks_stand_where_cocos_keypoints_say():
    """In a body drawn by names, left is left and hands are where the wrists are."""
    keypoints = np.zeros((133, 3))
    keypoints[:, 0] = np.arange(133)
    keypoints[:, 2] = 0.5
    image, hands = landmarks_of(keypoints)
    at = dict(zip(LANDMARK_NAMES, image[:, 0].astype(int), strict=True))
    assert (at["nose"], at["left_shoulder"], at["right_wrist"], at["left_ankle"]) == (0, 5, 10, 15)
    assert (at["left_foot_index"], at["left_heel"], at["right_foot_index"], at["right_heel"]) == (17, 19, 20, 22)
    assert (at["right_eye_outer"], at["left_eye_outer"], at["left_mouth"]) == (59, 68, 77)
    assert (at["left_index"], at["right_pinky"], at["right_thumb"]) == (96, 129, 114)
    assert hands[0, :, 0].tolist() == list(range(91, 112))
    assert hands[1, 8, 0] == 120  # tip of the right forefinger
    assert (image[:, 2] == 0.5).all()


def test_a_body_without_feet_says_so():
    keypoints = np.column_stack([np.arange(17), np.arange(17), np.full(17, 0.9)])
    image, hands = landmarks_of(keypoints)
    seen = {name for name, point in zip(LANDMARK_NAMES, image, strict=True) if point[2] > 0}
    assert hands is None
    assert len(seen) == 17
    assert "left_heel" not in seen
    np.testing.assert_array_equal(image[LANDMARK_NAMES.index("left_heel"), :2], [15, 15])  # on the ankle


@pytest.mark.parametrize(("x", "y"), [(60, 40), (100, 90), (81, 63)])
def test_a_bright_spot_is_found_where_it_is(folders, x, y):
    """From the box through crop, network and heatmap back to the image's pixels, in a batch of unequal boxes."""
    detector = VitposeDetector(folders["people"], folders["seeing"], device="cpu")
    frame = np.zeros((160, 160, 3), np.uint8)
    frame[y - 4 : y + 5, x - 4 : x + 5] = 255
    boxes = [[40.0, 20.0, 80.0, 100.0], [50.0, 30.0, 60.0, 70.0]]
    poses = detector.find_landmarks([frame, frame], [Person(np.zeros(2), 1.0, box) for box in boxes])
    for pose, box in zip(poses, boxes, strict=True):
        step = 16 * 1.25 * max(box[3], box[2] * 4 / 3) / 256  # px of the image per patch
        np.testing.assert_allclose(pose.image[0, :2], [x, y], atol=0.75 * step)
        assert pose.world is None
        assert pose.hands.shape == (2, 21, 3)


def test_a_known_heatmap_becomes_known_pixels(folders, monkeypatch):
    detector = VitposeDetector(folders["people"], folders["body"], device="cpu")
    heatmaps = torch.full((2, 17, 64, 48), 1e-3)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(48.0), indexing="ij")
    for k in range(17):
        for n, (row, column) in enumerate(((10 + 2 * k, 20.0), (30.0, 5 + 2 * k))):
            heatmaps[n, k] += 0.8 * torch.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8)
    output = type("Output", (), {"heatmaps": heatmaps})
    monkeypatch.setattr(detector, "_run", lambda model, inputs: output)
    frames = [np.zeros((200, 200, 3), np.uint8)] * 2
    boxes = [[10.0, 20.0, 60.0, 80.0], [30.0, 50.0, 90.0, 60.0]]  # of the crop's own shape, and broader
    poses = detector.find_landmarks(frames, [Person(np.zeros(2), 1.0, box) for box in boxes])
    nose, wrist = LANDMARK_NAMES.index("nose"), LANDMARK_NAMES.index("right_wrist")
    width, height = 1.25 * 60, 1.25 * 80
    for landmark, k in ((nose, 0), (wrist, 10)):
        wanted = [40 - width / 2 + 20 / 47 * width, 60 - height / 2 + (10 + 2 * k) / 63 * height]
        np.testing.assert_allclose(poses[0].image[landmark, :2], wanted, atol=0.2)
        assert poses[0].image[landmark, 2] == pytest.approx(0.8, abs=0.02)
    width, height = 1.25 * 90, 1.25 * 120
    np.testing.assert_allclose(
        poses[1].image[wrist, :2], [75 - width / 2 + 25 / 47 * width, 80 - height / 2 + 30 / 63 * height], atol=0.2
    )


@pytest.mark.parametrize("kind", ["RTDetr", "DFine"])
def test_people_of_a_batch_are_those_of_single_frames(folders, tmp_path, kind):
    people = folders["people"] if kind == "RTDetr" else save_people(tmp_path / "people", kind)
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (90, 120, 3)).astype(np.uint8) for _ in range(3)]
    detector = VitposeDetector(people, folders["body"], min_confidence=0.0, device="cpu")
    together, alone = detector.find_people(frames), [detector.find_people([frame])[0] for frame in frames]
    assert all(together)
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose([p.region for p in a], [p.region for p in b], atol=0.1)
        for person in a:
            x, y, width, height = person.region
            assert 0 <= x <= x + width <= 120.001
            assert 0 <= y <= y + height <= 90.001
            np.testing.assert_allclose(person.centre, [x + width / 2, y + height / 2])
    detector.min_confidence = 1.0
    assert detector.find_people(frames) == [[], [], []]


def test_batches_give_the_same_landmarks(folders, monkeypatch):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (90, 120, 3)).astype(np.uint8) for _ in range(5)]
    somebody = Person(np.array([52.0, 45.0]), 80.0, [30.0, 5.0, 45.0, 80.0])
    results = []
    for batch in (1, 2, 4):
        detector = VitposeDetector(folders["people"], folders["whole"], device="cpu", batch=batch)
        monkeypatch.setattr(detector, "find_people", lambda some: [[somebody] for _ in some])
        tracker = Tracker(detector, 30.0)
        for k in range(0, 5, batch):
            tracker(frames[k : k + batch])
        results.append(tracker.landmarks(120, 90))
    for seen in results:
        assert seen.found.all()
        assert seen.world is None
        assert (seen.image.shape, seen.hands.shape) == ((5, 33, 3), (5, 2, 21, 3))
        np.testing.assert_allclose(seen.image, results[0].image, atol=1e-3)
    assert np.ptp(results[0].image[:, 0, 0]) > 0  # not the same frame five times


def test_a_mixture_of_experts_loads(folders, tmp_path):
    detector = VitposeDetector(folders["people"], save_pose(tmp_path / "moe", 133, experts=6), device="cpu")
    (pose,) = detector.find_landmarks(
        [np.zeros((90, 120, 3), np.uint8)], [Person(np.zeros(2), 1.0, [0.0, 0.0, 50.0, 80.0])]
    )
    assert pose.image.shape == (33, 3)


def test_models_that_are_not_there_or_others(folders, tmp_path, monkeypatch):
    monkeypatch.setattr("exoactor_core.hub.hub_is_there", lambda: False)
    with pytest.raises(Missing, match=r"nobody/none.*folder that holds it"):
        VitposeDetector("nobody/none", folders["body"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(Missing, match="folder that holds it"):
        VitposeDetector(folders["people"], str(tmp_path / "empty"))
    with pytest.raises(BadInput, match="none of its 2 labels"):
        VitposeDetector(save_people(tmp_path / "dogs", labels={0: "dog", 1: "cat"}), folders["body"])
    with pytest.raises(BadInput, match="gives 26 keypoints"):
        VitposeDetector(folders["people"], save_pose(tmp_path / "other", 26))
    with pytest.raises(BadInput, match="another kind"):
        VitposeDetector(folders["body"], folders["body"])
    with pytest.raises(Missing, match="device"):
        VitposeDetector(folders["people"], folders["body"], device="cuda:7")


def test_it_is_a_backend(folders):
    estimator = load_backend("estimate", "vitpose", person_model=folders["people"], pose_model=folders["whole"])
    detector = estimator.open_detector()
    assert (detector.batch, detector.min_confidence) == (8, 0.5)
