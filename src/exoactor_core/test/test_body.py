import contextlib
import io

import numpy as np
import pytest

from exoactor_core.body import HUMAN_JOINT_NAMES, HUMAN_PARENTS, STATURE, BodyModel, write_neutral_body
from exoactor_core.errors import BadInput
from exoactor_core.motion import HumanMotion


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    path = tmp_path_factory.mktemp("body") / "SMPLX_NEUTRAL.npz"
    write_neutral_body(path)
    return BodyModel.load(path)


@pytest.fixture(scope="module")
def smplx_model(body):
    smplx = pytest.importorskip("smplx")
    with contextlib.redirect_stdout(io.StringIO()):
        return smplx.create(str(body.path), model_type="smplx", ext="npz", use_pca=False, flat_hand_mean=True)


def random_motion(frames=4, seed=0):
    rng = np.random.default_rng(seed)
    return HumanMotion(
        fps=30,
        transl=rng.normal(size=(frames, 3)),
        global_orient=rng.normal(size=(frames, 3)),
        body_pose=rng.normal(size=(frames, 63)) * 0.6,
        betas=rng.normal(size=10),
        hand_pose=rng.normal(size=(frames, 90)) * 0.3,
    )


def test_joints_and_soles_equal_smplx(body, smplx_model):
    torch = pytest.importorskip("torch")
    motion = random_motion()
    as_tensor = lambda a: torch.tensor(a, dtype=torch.float32)  # noqa: E731
    zeros = torch.zeros(len(motion), 3)
    out = smplx_model(
        betas=as_tensor(motion.betas)[None].expand(len(motion), -1),
        expression=torch.zeros(len(motion), 10),
        transl=as_tensor(motion.transl),
        global_orient=as_tensor(motion.global_orient),
        body_pose=as_tensor(motion.body_pose),
        left_hand_pose=as_tensor(motion.hand_pose[:, :45]),
        right_hand_pose=as_tensor(motion.hand_pose[:, 45:]),
        jaw_pose=zeros,
        leye_pose=zeros,
        reye_pose=zeros,
    )
    np.testing.assert_allclose(body.joints(motion), out.joints[:, :55].detach().numpy(), atol=2e-5)
    # heels and toes are SMPL-X's own marked vertices (big toe, heel), which lie on the sole of this body
    marked = out.vertices[:, [8846, 5770, 8635, 8463]].detach().numpy()
    np.testing.assert_allclose(body.foot_points(motion), marked, atol=2e-5)


def test_neutral_body_is_a_person(body):
    rest = dict(zip(HUMAN_JOINT_NAMES, body.rest_joints(np.zeros(10)), strict=True))
    with np.load(body.path) as data:
        vertices = data["v_template"]
    assert abs(np.ptp(vertices[:, 1]) - STATURE) < 0.06  # the round head end rises a little above the crown
    assert rest["left_wrist"][0] > rest["left_elbow"][0] > rest["left_shoulder"][0] > 0  # left is +x
    assert rest["left_foot"][2] > rest["left_ankle"][2] + 0.05  # facing +z
    for name, point in rest.items():
        if name.startswith("left_"):
            np.testing.assert_allclose(point * [-1, 1, 1], rest[name.replace("left_", "right_")], atol=1e-12)
    soles = body.rest_foot_points(np.zeros(10))
    np.testing.assert_allclose(soles[:, 1], vertices[:, 1].min(), atol=1e-9)
    taller = body.rest_foot_points([1.0])[0, 1] - body.rest_joints([1.0])[15, 1]
    neutral = soles[0, 1] - rest["head"][1]
    assert 1.05 < taller / neutral < 1.07


def test_tree():
    assert len(HUMAN_JOINT_NAMES) == len(HUMAN_PARENTS) == 55
    parent = {n: HUMAN_JOINT_NAMES[p] for n, p in zip(HUMAN_JOINT_NAMES[1:], HUMAN_PARENTS[1:], strict=True)}
    assert parent["left_index1"] == "left_wrist"
    assert parent["right_thumb3"] == "right_thumb2"
    assert parent["right_pinky1"] == "right_wrist"
    assert parent["jaw"] == parent["left_eye"] == "head"


def test_default_body_is_cached_and_repaired(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    body = BodyModel.load()
    assert tmp_path in body.path.parents
    body.path.write_bytes(b"damaged")
    assert BodyModel.load().rest_joints(np.zeros(1)).shape == (55, 3)


def test_wrong_files_are_refused(tmp_path):
    with pytest.raises(BadInput, match="no body model file"):
        BodyModel.load(tmp_path / "none.npz")
    path = tmp_path / "other.npz"
    path.write_bytes(b"no zip")
    with pytest.raises(BadInput, match="not a readable"):
        BodyModel.load(path)
    np.savez(path, v_template=np.zeros((6890, 3)))
    with pytest.raises(BadInput, match="not an SMPL-X"):
        BodyModel.load(path)
