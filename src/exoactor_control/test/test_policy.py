import os
import subprocess
import sys

import numpy as np
import pytest
import yaml
from control_helpers import TWIST2, linear_onnx, needs_data, standing_state
from scipy.spatial.transform import Rotation

from exoactor_control.policy.policy import Policy
from exoactor_control.policy.spec import FOLDER
from exoactor_control.reference.trajectory import Frame
from exoactor_core.errors import BadInput, Missing

# Written out here from the published layout, not read from the spec that is under test.
LEG = [-0.2, 0, 0, 0.4, -0.2, 0]
DEFAULT = np.array([*LEG, *LEG, 0, 0, 0, 0, 0.4, 0, 1.2, 0, 0, 0, 0, -0.4, 0, 1.2, 0, 0, 0])


def frame(rng):
    return Frame(
        lin_vel_xy=rng.normal(size=2),
        height=0.77,
        roll_pitch=rng.normal(size=2),
        yaw=0.3,
        yaw_rate=0.6,
        joint_pos=rng.normal(size=29),
    )


def robot(rng, roll=0.1, pitch=-0.2, yaw=2.0):
    return standing_state(
        joint_pos=rng.normal(size=29),
        joint_vel=rng.normal(size=29),
        ang_vel=rng.normal(size=3),
        quat_wxyz=Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_quat(scalar_first=True),
    )


def by_hand(state, ref, last_action):
    mimic = [*ref.lin_vel_xy, ref.height, *ref.roll_pitch, ref.yaw_rate, *ref.joint_pos]
    vel = state.joint_vel * 0.05
    vel[[4, 5, 10, 11]] = 0.0
    return [*mimic, *(state.ang_vel * 0.25), 0.1, -0.2, *(state.joint_pos - DEFAULT), *vel, *last_action], mimic


def test_twist2_observation_number_by_number(tmp_path):
    rng = np.random.default_rng(0)
    bias = rng.normal(size=29)
    policy = Policy.load(linear_onnx(tmp_path / "p.onnx", bias=bias))
    history = [np.zeros(127)] * 10
    action = np.zeros(29)
    for _ in range(13):
        state, ref = robot(rng), frame(rng)
        step, mimic = by_hand(state, ref, action)
        wanted = np.concatenate([step, *history, mimic])
        history = [*history[1:], np.array(step)]
        seen = policy.observe(state, ref)
        assert seen.dtype == np.float32
        assert seen.shape == (1432,)
        np.testing.assert_allclose(seen, wanted, atol=1e-6)
        action = rng.normal(size=29)
        policy.last_action = action


def test_action_is_clipped_scaled_and_remembered_raw(tmp_path):
    bias = np.linspace(-20, 20, 29)
    policy = Policy.load(linear_onnx(tmp_path / "p.onnx", bias=bias))
    rng = np.random.default_rng(1)
    target = policy.act(robot(rng), frame(rng))
    np.testing.assert_allclose(target, DEFAULT + 0.5 * np.clip(bias, -10, 10), atol=1e-6)
    np.testing.assert_allclose(policy.last_action, bias, atol=1e-5)
    assert policy.inference_ms > 0


def test_reset_forgets(tmp_path):
    policy = Policy.load(linear_onnx(tmp_path / "p.onnx", bias=np.ones(29)))
    rng = np.random.default_rng(2)
    policy.act(robot(rng), frame(rng))
    policy.reset()
    seen = policy.observe(robot(rng), frame(rng))
    assert not seen[127 : 127 + 1270].any()
    assert not seen[98:127].any()


def test_another_joint_order_is_brought_into_motor_order(tmp_path):
    layout = yaml.safe_load((FOLDER / "twist2.yaml").read_text())
    for key in ("joint_order", "default_pose", "kp", "kd", "effort_limits"):
        layout[key] = layout[key][::-1]
    layout["name"] = "reversed"
    path = tmp_path / "reversed.yaml"
    path.write_text(yaml.safe_dump(layout))
    bias = np.arange(29) / 10.0
    policy = Policy.load(linear_onnx(tmp_path / "p.onnx", bias=bias), path)
    rng = np.random.default_rng(3)
    state, ref = robot(rng), frame(rng)
    np.testing.assert_allclose(policy.act(state, ref), DEFAULT + 0.5 * bias[::-1], atol=1e-6)
    np.testing.assert_array_equal(policy.kp[:6], [100, 100, 100, 150, 40, 40])
    seen = policy.observe(state, ref)
    np.testing.assert_allclose(seen[6:35], ref.joint_pos[::-1], atol=1e-6)


@pytest.mark.parametrize(("inputs", "outputs"), [(154, 29), (1432, 23)])
def test_wrong_shape_tells_found_and_needed(tmp_path, inputs, outputs):
    path = linear_onnx(tmp_path / "p.onnx", inputs, outputs)
    with pytest.raises(BadInput) as error:
        Policy.load(path)
    text = str(error.value)
    for part in (f"[1, {inputs}]", f"[1, {outputs}]", "[1, 1432]", "[1, 29]"):
        assert part in text
    assert "\n" not in text


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(Missing, match=r"no policy file .*none\.onnx"):
        Policy.load(tmp_path / "none.onnx")
    for name, data in (("junk.onnx", b"not a network"), ("empty.onnx", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadInput, match="not an ONNX network"):
            Policy.load(tmp_path / name)


def with_term(good, term):
    return {**good, "groups": {**good["groups"], "proprio": [term]}}


def test_bad_descriptions(tmp_path):
    network = linear_onnx(tmp_path / "p.onnx")
    good = yaml.safe_load((FOLDER / "twist2.yaml").read_text())
    cases = {
        "not a policy spec: there is no entry 'kp'": {k: v for k, v in good.items() if k != "kp"},
        "make 1305 numbers": {
            **good,
            "observation": [good["observation"][0], {**good["observation"][1], "history": 9}, good["observation"][2]],
        },
        "names 'left_tail_joint', which is not": {**good, "joint_order": ["left_tail_joint", *good["joint_order"][1:]]},
        "names 'right_wrist_yaw_joint' twice": {
            **good,
            "joint_order": [good["joint_order"][-1], *good["joint_order"][1:]],
        },
        "default_pose must be 28": {**good, "joint_order": good["joint_order"][:-1]},
        "kd must be 29": {**good, "kd": [1.0]},
        "the rate is 100 Hz": {**good, "rate": 100},
        r"output \[1, 23\] does not end in 29": {**good, "output": [1, 23]},
        "no observation term 'smell'": {**good, "groups": {**good["groups"], "mimic": ["smell"]}},
        "term 'ang_vel' has an entry 'size'": with_term(good, {"term": "ang_vel", "size": 3}),
        "term 'ang_vel' has 3 numbers, not 4": with_term(good, {"term": "ang_vel", "width": 4}),
        "term 'joint_vel' has 29 numbers, but its scale has 2": with_term(good, {"term": "joint_vel", "scale": [1, 2]}),
        "term 'joint_vel' names the joint 'tail'": with_term(good, {"term": "joint_vel", "joints": ["tail"]}),
        "term 'ang_vel' is not of joints": with_term(good, {"term": "ang_vel", "joints": ["waist_yaw_joint"]}),
        "term 'ang_vel' has 3 numbers, but its clip": with_term(good, {"term": "ang_vel", "clip": [1, 2, 3]}),
        "term 'token' needs a width": with_term(good, {"term": "token"}),
        "the group 'memes'": {**good, "observation": [{"groups": ["memes"]}]},
        "entry 'futures'": {**good, "observation": [{"groups": ["mimic"], "futures": [1]}]},
        "'zeros' or 'first', not with 'ones'": {**good, "observation": [{"groups": ["mimic"], "fill": "ones"}]},
        "not both": {**good, "observation": [{"groups": ["mimic"], "history": 2, "steps": [1]}]},
        "must not lie in the past": {**good, "observation": [{"groups": ["mimic"], "steps": [-1]}]},
        "action_clip is 0": {**good, "action_clip": 0},
        "action_scale must be 29": {**good, "action_scale": [0.5, 0.5]},
    }
    for match, layout in cases.items():
        path = tmp_path / "d.yaml"
        path.write_text(yaml.safe_dump(layout))
        with pytest.raises(BadInput, match=match) as error:
            Policy.load(network, path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(Missing):
        Policy.load(network, tmp_path / "none.yaml")


@needs_data
def test_the_published_network_fits(tmp_path):
    assert Policy.load(TWIST2).name == "twist2"
    with pytest.raises(BadInput, match=r"\[1, 480\]"):
        Policy.load(TWIST2.parent / "unitree_rl_lab_g1_velocity_v0.onnx", "twist2")


@pytest.mark.parametrize(
    "code",
    [
        "from exoactor_control.policy.policy import load_policy; load_policy('exoactor')",
        "from exoactor.doctor import _policy_runtime; _policy_runtime()",
    ],
    ids=["policy", "doctor"],
)
def test_onnx_runtime_reports_nothing_to_anybody(tmp_path, code):
    """Its telemetry keeps its records in the home folder."""
    hidden = {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "ORT_DISABLE_TELEMETRY": ""}
    env = {name: value for name, value in {**os.environ, **hidden}.items() if value}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
    assert not [p for p in tmp_path.rglob("*") if "onnxruntime" in p.name]
