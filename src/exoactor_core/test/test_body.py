import contextlib
import io

import numpy as np
import pytest

from exoactor_core.body import HUMAN_JOINT_NAMES, HUMAN_PARENTS, NUM_VERTICES, STATURE, BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.motion import HumanMotion

SOLE = {8846: 7, 5770: 10, 8635: 8, 8463: 11}  # SMPL-X's heels and big toes, and the joints that they move with


@pytest.fixture(scope="module")
def smplx_file(tmp_path_factory):
    """The neutral body in SMPL-X's npz layout: six vertices around each joint, those of the soles, the rest at will."""
    neutral = BodyModel.load()
    others = np.setdiff1d(np.arange(NUM_VERTICES), list(SOLE))
    joint = np.zeros(len(others), int)
    joint[:330] = np.repeat(np.arange(55), 6)
    vertices, shapedirs = (
        np.zeros((NUM_VERTICES, 3)),
        np.zeros((NUM_VERTICES, 3, 20)),
    )  # ten of shape, ten of expression
    weights, regressor = np.zeros((NUM_VERTICES, 55), np.float32), np.zeros((55, NUM_VERTICES))
    vertices[others], shapedirs[others, :, :10] = neutral.joint_template[joint], neutral.joint_shapedirs[joint]
    vertices[others[:330]] += np.tile(0.01 * np.concatenate([np.eye(3), -np.eye(3)]), (55, 1))
    weights[others, joint] = 1.0
    regressor[joint[:330], others[:330]] = 1 / 6
    for k, (vertex, moved_by) in enumerate(SOLE.items()):
        vertices[vertex], shapedirs[vertex, :, :10] = neutral.sole_template[k], neutral.sole_shapedirs[k]
        weights[vertex, moved_by] = 1.0
    path = tmp_path_factory.mktemp("body") / "SMPLX_NEUTRAL.npz"
    np.savez(
        path,
        v_template=vertices,
        f=np.zeros((1, 3), np.int32),
        shapedirs=shapedirs,
        posedirs=np.zeros((NUM_VERTICES, 3, 54 * 9), dtype=np.float16),
        J_regressor=regressor,
        weights=weights,
        kintree_table=np.stack([np.where(HUMAN_PARENTS < 0, 2**32 - 1, HUMAN_PARENTS), np.arange(55)]),
        lmk_faces_idx=np.zeros(51, dtype=np.int64),
        lmk_bary_coords=np.tile([1.0, 0.0, 0.0], (51, 1)),
        dynamic_lmk_faces_idx=np.zeros((79, 17), dtype=np.int64),
        dynamic_lmk_bary_coords=np.tile([1.0, 0.0, 0.0], (79, 17, 1)),
        hands_componentsl=np.eye(45),
        hands_componentsr=np.eye(45),
        hands_meanl=np.zeros(45),
        hands_meanr=np.zeros(45),
    )
    return path


@pytest.fixture(scope="module")
def body(smplx_file):
    return BodyModel.load(smplx_file)


@pytest.fixture(scope="module")
def smplx_model(smplx_file):
    smplx = pytest.importorskip("smplx")
    with contextlib.redirect_stdout(io.StringIO()):
        return smplx.create(str(smplx_file), model_type="smplx", ext="npz", use_pca=False, flat_hand_mean=True)


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
    neutral = BodyModel.load()
    for name in ("joint_template", "joint_shapedirs", "sole_template", "sole_shapedirs"):
        np.testing.assert_allclose(getattr(body, name), getattr(neutral, name), atol=1e-12)  # by way of a file
    rest = dict(zip(HUMAN_JOINT_NAMES, body.rest_joints(np.zeros(10)), strict=True))
    assert rest["left_wrist"][0] > rest["left_elbow"][0] > rest["left_shoulder"][0] > 0  # left is +x
    assert rest["left_foot"][2] > rest["left_ankle"][2] + 0.05  # facing +z
    for name, point in rest.items():
        if name.startswith("left_"):
            np.testing.assert_allclose(point * [-1, 1, 1], rest[name.replace("left_", "right_")], atol=1e-12)
    soles = body.rest_foot_points(np.zeros(10))
    np.testing.assert_allclose(soles[:, 1], soles[0, 1], atol=1e-9)
    lowest = min(point[1] for point in rest.values())
    assert 0.0 < lowest - soles[0, 1] < 0.03  # nothing is under the soles
    assert abs(rest["left_eye"][1] - soles[0, 1] - 0.936 * STATURE) < 1e-9
    taller = body.rest_foot_points([1.0])[0, 1] - body.rest_joints([1.0])[15, 1]
    shorter = soles[0, 1] - rest["head"][1]
    assert 1.05 < taller / shorter < 1.07


def test_people_on_average_have_the_bones_of_smpls_mean_body():
    body = BodyModel.load()
    pelvis, hip, knee, ankle, shoulder, elbow, wrist = body.rest_joints(body.mean_betas)[[0, 1, 4, 7, 16, 18, 20]]
    bones = [(hip, knee), (knee, ankle), (shoulder, elbow), (elbow, wrist)]
    lengths = [np.linalg.norm(b - a) for a, b in bones]
    np.testing.assert_allclose(lengths, [0.381, 0.401, 0.262, 0.249], rtol=0.02)
    np.testing.assert_allclose([pelvis[1] - hip[1], shoulder[1] - pelvis[1]], [0.091, 0.449], atol=0.025)


def test_tree():
    assert len(HUMAN_JOINT_NAMES) == len(HUMAN_PARENTS) == 55
    parent = {n: HUMAN_JOINT_NAMES[p] for n, p in zip(HUMAN_JOINT_NAMES[1:], HUMAN_PARENTS[1:], strict=True)}
    assert parent["left_index1"] == "left_wrist"
    assert parent["right_thumb3"] == "right_thumb2"
    assert parent["right_pinky1"] == "right_wrist"
    assert parent["jaw"] == parent["left_eye"] == "head"


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
