"""Policies with several inputs: tiny networks in the layouts of ProtoMotions, HoloMotion, MOSAIC, mjlab and our own."""

import itertools
from dataclasses import replace

import numpy as np
import onnx
import pytest
import yaml
from control_helpers import steps_ahead
from onnx import TensorProto, helper, numpy_helper
from scipy.spatial.transform import Rotation

from exoactor_control.policy.policy import Policy
from exoactor_control.policy.spec import FOLDER
from exoactor_control.reference.trajectory import Trajectory
from exoactor_core.errors import BadInput
from exoactor_core.motion import JOINT_NAMES
from exoactor_core.robot_state import RobotState

WAIST = [JOINT_NAMES.index(f"waist_{axis}_joint") for axis in ("yaw", "roll", "pitch")]
ORDER = [*range(0, 29, 2), *range(1, 29, 2)]  # of a policy's joints, some other than the motors'
JOINTS = [JOINT_NAMES[i] for i in ORDER]


def tiny_onnx(path, inputs, outputs, metadata=None):
    """Write a network whose outputs are constants plus the means of all inputs; both by name."""
    nodes, constants, means = [], [], []
    for name in inputs:
        nodes.append(helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("ReduceMean", [f"{name}_f"], [f"{name}_m"], keepdims=0))
        means.append(f"{name}_m")
    nodes.append(helper.make_node("Sum", means, ["sum"]))
    for name, (shape, value) in outputs.items():
        constants.append(numpy_helper.from_array(np.full(shape, value, np.float32), f"{name}_c"))
        nodes.append(helper.make_node("Add", [f"{name}_c", "sum"], [name]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, (shape, kind) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, (shape, _) in outputs.items()],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def trajectory(rng, n=60):
    return Trajectory(
        lin_vel_xy=rng.normal(size=(n, 2)),
        root_pos=rng.normal(size=(n, 3)),
        roll_pitch_yaw=rng.uniform(-1, 1, (n, 3)),
        yaw_rate=rng.normal(size=n),
        joint_pos=0.3 * rng.normal(size=(n, 29)),
        begin=0,
        end=n,
        lin_vel_z=rng.normal(size=n),
        joint_vel=rng.normal(size=(n, 29)),
        ang_vel_xy=rng.normal(size=(n, 2)),
    )


def robot_states(rng, n):
    for k in range(n):
        quat = Rotation.random(random_state=int(rng.integers(1000))).as_quat(scalar_first=True)
        yield RobotState(0.02 * k, 0.3 * rng.normal(size=29), rng.normal(size=29), quat, rng.normal(size=3))


def fed(policy):
    """Keep what the network is fed: (observation, further inputs by name)."""
    kept, run = [], policy.network.run

    def listen(observation, inputs=None, outputs=()):
        kept.append((observation, dict(inputs or {})))
        return run(observation, inputs, outputs)

    policy.network.run = listen
    return kept


def drive(policy, steps=4, seed=0):
    """Run a policy; yields the robot's state, the trajectory, the step, and the targets that came of it."""
    rng = np.random.default_rng(seed)
    t = trajectory(rng)
    for k, state in enumerate(robot_states(rng, steps)):
        yield state, t, k, policy.act(state, t.frame(k), lambda ahead, k=k: t.frame(k + ahead))


def torso(quat_wxyz, joints):
    waist = Rotation.from_euler("ZXY", joints[WAIST])
    return Rotation.from_quat(quat_wxyz, scalar_first=True) * waist


def reference_pelvis(t, k):
    return Rotation.from_euler("ZYX", t.roll_pitch_yaw[k][::-1])


def same_rotation(quat, rotation):
    return (Rotation.from_quat(quat).inv() * rotation).magnitude() < 1e-5


PROTO_INPUTS = {  # of unified_pipeline.yaml in data/pretrained_models/motion_tracker/g1-bones-deploy
    "current_anchor_rot": ("current.anchor_rot", [1, 4]),
    "current_dof_pos": ("current.dof_pos", [1, 29]),
    "current_dof_vel": ("current.dof_vel", [1, 29]),
    "current_root_local_ang_vel": ("current.root_local_ang_vel", [1, 3]),
    "historical_processed_actions": ("historical.processed_actions", [1, 1, 29]),
    "mimic_future_anchor_rot": ("mimic.future_anchor_rot", [1, 4, 4]),
    "mimic_future_dof_pos": ("mimic.future_dof_pos", [1, 4, 29]),
    "mimic_future_dof_vel": ("mimic.future_dof_vel", [1, 4, 29]),
}


def protomotions(folder, **changes):
    """Write a tiny network and its YAML as ProtoMotions exports them; returns the network's path."""
    data = {
        "type": "unified_pipeline",
        "dt": 0.02,
        "policy_inputs": [{"name": n, "key": k, "shape": s} for n, (k, s) in PROTO_INPUTS.items()],
        "robot": {"anchor_body_name": "torso_link", "joint_names": JOINTS},
        "control": {
            "stiffness": np.linspace(10, 90, 29).tolist(),
            "damping": [2.0] * 29,
            "effort_limits": None,
            "pd_target_max_accel": None,
            "action_ema_alpha": 1.0,
        },
        "motion": {"future_step_indices": [1, 2, 4, 8]},
    }
    for key, value in changes.items():
        data[key] = {**data[key], **value} if isinstance(value, dict) else value
    (folder / "unified_pipeline.yaml").write_text(yaml.safe_dump(data))
    inputs = {name: (shape, TensorProto.FLOAT) for name, (_, shape) in PROTO_INPUTS.items()}
    outputs = {"actions": ([1, 29], 9.0), "joint_pos_targets": ([1, 29], 0.1)}
    outputs |= {"stiffness_targets": ([1, 29], 5.0), "damping_targets": ([1, 29], 5.0)}
    return tiny_onnx(folder / "unified_pipeline.onnx", inputs, outputs)


def test_protomotions_number_by_number(tmp_path):
    policy = Policy.load(protomotions(tmp_path))
    assert (policy.name, steps_ahead(policy)) == ("protomotions", 8)
    np.testing.assert_allclose(policy.kp[ORDER], np.linspace(10, 90, 29))
    kept, before = fed(policy), np.zeros(29)
    for state, t, k, target in drive(policy):
        first, others = kept[-1]
        assert same_rotation(first, torso(state.quat_wxyz, state.joint_pos))
        ahead = [k + 1, k + 2, k + 4, k + 8]
        for row, j in zip(others["mimic_future_anchor_rot"].reshape(4, 4), ahead, strict=True):
            pelvis = reference_pelvis(t, j).as_quat(scalar_first=True)
            assert same_rotation(row, torso(pelvis, t.joint_pos[j]))
        np.testing.assert_allclose(others["current_dof_pos"], state.joint_pos[ORDER], atol=1e-6)
        np.testing.assert_allclose(others["current_dof_vel"], state.joint_vel[ORDER], atol=1e-6)
        np.testing.assert_allclose(others["current_root_local_ang_vel"], state.ang_vel, atol=1e-6)
        np.testing.assert_allclose(others["mimic_future_dof_pos"], t.joint_pos[ahead][:, ORDER].ravel(), atol=1e-6)
        np.testing.assert_allclose(others["mimic_future_dof_vel"], t.joint_vel[ahead][:, ORDER].ravel(), atol=1e-6)
        np.testing.assert_allclose(others["historical_processed_actions"], before, atol=1e-6)
        before = target[ORDER]  # the output joint_pos_targets, not actions, and in rad as it is
        assert np.ptp(target) < 1e-6
        assert abs(target[0]) < 5.0


def test_what_protomotions_wants_beyond_that_is_named(tmp_path):
    wanting = {
        "odom_disp_start_corrupt": {"policy_inputs": [{"name": "odom", "key": "odom_disp_start_corrupt"}]},
        "filtered": {"control": {"action_ema_alpha": 0.8}},
        "head": {"robot": {"anchor_body_name": "head"}},
        "100 Hz": {"dt": 0.01},
        "but the network has": {"policy_inputs": [{"name": "current_dof_pos", "key": "current.dof_pos"}]},
    }
    for match, change in wanting.items():
        with pytest.raises(BadInput, match=match):
            Policy.load(protomotions(tmp_path, **change))


def isaac_metadata(**more):
    """Write metadata as Isaac Lab's exporters do."""
    numbers = {
        "joint_stiffness": np.linspace(10, 90, 29),
        "joint_damping": np.full(29, 2.0),
        "default_joint_pos": np.linspace(-0.2, 0.2, 29),
        "action_scale": np.full(29, 0.25),
    }
    return {"joint_names": ",".join(JOINTS)} | {k: ",".join(map(str, v)) for k, v in numbers.items()} | more


POSE = np.linspace(-0.2, 0.2, 29)
CURRENT = (
    "ref_gravity_projection_cur",
    "ref_base_linvel_cur",
    "ref_base_angvel_cur",
    "ref_dof_pos_cur",
    "ref_root_height_cur",
    "ref_robot_yaw_error_sin_cos",
    "projected_gravity",
    "rel_robot_root_ang_vel",
    "dof_pos",
    "dof_vel",
    "last_action",
)
FUTURE = (
    "ref_dof_pos_fut",
    "ref_root_height_fut",
    "ref_gravity_projection_fut",
    "ref_base_linvel_fut",
    "ref_base_angvel_fut",
    "ref_future_yaw_delta_sin_cos",
    "ref_future_root_ori_robot_frame_6d",
)
CACHE = [1, 2, 2, 4, 3]


def holomotion(folder, longest=0):
    """Write a tiny transformer and its config.yaml as HoloMotion lays them out; returns the network's path."""
    terms = [{f"actor_{name}": {"history_length": "${obs.context_length}"}} for name in CURRENT]
    terms += [{f"actor_{name}": {"params": {}}} for name in FUTURE]
    terms += [{"critic_dof_pos": {}}]
    config = {
        "obs": {
            "context_length": 1,
            "n_fut_frames": 10,
            "obs_groups": {"unified": {"atomic_obs_list": terms[::-1], "additional_atomic_obs_list": []}},
        },
        "modules": {
            "actor": {
                "obs_schema": {
                    "flattened_obs": {
                        "seq_len": "${obs.context_length}",
                        "terms": [f"unified/actor_{n}" for n in CURRENT],
                    },
                    "flattened_obs_fut": {
                        "seq_len": "${obs.n_fut_frames}",
                        "terms": [f"unified/actor_{n}" for n in FUTURE],
                    },
                }
            }
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "exported").mkdir(exist_ok=True)
    return tiny_onnx(
        folder / "exported" / "model_1.onnx",
        {
            "obs": ([1, 134 + 470], TensorProto.FLOAT),
            "past_key_values": (CACHE, TensorProto.FLOAT),
            "step_idx": ([1], TensorProto.INT64),
        },
        {"actions": ([1, 29], 0.2), "present_key_values": (CACHE, 0.5)},
        isaac_metadata(**({"rope_max_seq_len": str(longest)} if longest else {})),
    )


def test_holomotion_number_by_number(tmp_path):
    policy = Policy.load(holomotion(tmp_path))
    assert (policy.name, steps_ahead(policy)) == ("holomotion", 10)
    kept, last = fed(policy), np.zeros(29)

    def gravity(rotation):
        return rotation.inv().apply([0.0, 0.0, -1.0])

    for state, t, k, target in drive(policy):
        seen, _ = kept[-1]
        robot, here = Rotation.from_quat(state.quat_wxyz, scalar_first=True), reference_pelvis(t, k)
        yaw = t.roll_pitch_yaw[:, 2]
        off = yaw[k] - robot.as_euler("ZYX")[0]
        now = [
            gravity(here),
            t.lin_vel_xy[k],
            [t.lin_vel_z[k]],
            t.ang_vel_xy[k],
            [t.yaw_rate[k]],
            t.joint_pos[k][ORDER],
            [t.root_pos[k, 2]],
            [np.sin(off), np.cos(off)],
            gravity(robot),
            state.ang_vel,
            state.joint_pos[ORDER] - POSE,
            state.joint_vel[ORDER],
            last,
        ]
        j = np.arange(k + 1, k + 11)
        later = [
            t.joint_pos[j][:, ORDER],
            t.root_pos[j, 2],
            [gravity(reference_pelvis(t, i)) for i in j],
            np.column_stack([t.lin_vel_xy[j], t.lin_vel_z[j]]),
            np.column_stack([t.ang_vel_xy[j], t.yaw_rate[j]]),
            np.column_stack([np.sin(yaw[j] - yaw[k]), np.cos(yaw[j] - yaw[k])]),
            [(robot.inv() * reference_pelvis(t, i)).as_matrix()[:, :2] for i in j],
        ]
        wanted = np.concatenate([np.ravel(part) for part in (*now, *later)])
        np.testing.assert_allclose(seen, wanted, atol=1e-5)
        last = (target[ORDER] - POSE) / 0.25
    assert np.ptp(last) < 1e-4


def test_a_cache_is_fed_back_and_starts_anew_in_time(tmp_path):
    policy = Policy.load(holomotion(tmp_path, longest=64 + 3))
    assert policy.spec.max_steps == 3
    kept = fed(policy)
    for _ in drive(policy, 5):
        pass
    steps = [int(inputs["step_idx"]) for _, inputs in kept]
    assert steps == [0, 1, 2, 0, 1]
    assert ["past_key_values" in inputs for _, inputs in kept] == [False, True, True, False, True]
    assert kept[1][1]["past_key_values"].shape == tuple(CACHE)
    policy.reset()
    next(iter(drive(policy)))
    assert int(kept[-1][1]["step_idx"]) == 0


def test_what_is_unknown_of_holomotion_is_named(tmp_path):
    path = holomotion(tmp_path)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    config["modules"]["actor"]["obs_schema"]["flattened_obs"]["terms"].append("unified/actor_smell")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(BadInput, match="actor_smell"):
        Policy.load(path)


MOSAIC = ("command", "motion_anchor_ori_b", "base_ang_vel", "joint_pos", "joint_vel", "actions")


@pytest.mark.parametrize("estimator", [False, True])
def test_mosaic_number_by_number(tmp_path, estimator):
    history = 5
    size = history * (58 + 6 + 3 + 29 * 3) + estimator * history * (58 + 3)
    meta = isaac_metadata(
        observation_names=",".join(MOSAIC),
        observation_history_lengths=",".join([f"{history}.000"] * len(MOSAIC)),
        anchor_body_name="torso_link",
    )
    path = tiny_onnx(
        tmp_path / "p.onnx", {"obs": ([1, size], TensorProto.FLOAT)}, {"actions": ([1, 29], 0.2)}, metadata=meta
    )
    policy = Policy.load(path)
    assert policy.name == "mosaic"
    assert policy.motion is None
    kept, steps = fed(policy), []
    for state, t, k, target in drive(policy):
        wanted = torso(reference_pelvis(t, k).as_quat(scalar_first=True), t.joint_pos[k])
        robot = torso(state.quat_wxyz, state.joint_pos)
        command = np.r_[t.joint_pos[k][ORDER], t.joint_vel[k][ORDER]]
        last = steps[-1]["next"] if steps else np.zeros(29)
        steps.append(
            {
                "command": command,
                "ori": (robot.inv() * wanted).as_matrix()[:, :2].ravel(),
                "gyro": state.ang_vel,
                "pos": state.joint_pos[ORDER] - POSE,
                "vel": state.joint_vel[ORDER],
                "last": last,
                "gravity": wanted.inv().apply([0, 0, -1.0]),
                "next": (target[ORDER] - POSE) / 0.25,
            }
        )
        rows = [steps[max(0, k - i)] for i in range(history - 1, -1, -1)]
        names = ("command", "ori", "gyro", "pos", "vel", "last", *(("command", "gravity") if estimator else ()))
        np.testing.assert_allclose(kept[-1][0], np.concatenate([row[n] for n in names for row in rows]), atol=1e-5)


MJLAB = {  # term: its history, clip and scale, as `mjlab.rl.exporter_utils` writes them
    "command": ("0.000", "-inf;inf", "1.000"),
    "motion_anchor_ori_b": ("0.000", "-inf;inf", "1.000"),
    "base_lin_vel": ("0.000", "-inf;inf", "0.500;1.000;2.000"),
    "base_ang_vel": ("3.000", "-0.500;0.500", "0.250"),
    "joint_pos": ("2.000", "-inf;inf", "1.000"),
    "actions": ("0.000", "-inf;inf", "1.000"),
}


def mjlab(path, outputs, **more):
    """Write a tiny network as mjlab's tracking task exports it, with further inputs and outputs."""
    shaped = zip(("history_length", "clip", "scale"), zip(*MJLAB.values(), strict=True), strict=True)
    meta = isaac_metadata(
        observation_names=",".join(MJLAB),
        anchor_body_name="torso_link",
        action_scale="0.250",  # the same of all joints
        **{f"observation_terms_{key}": ",".join(values) for key, values in shaped},
    )
    inputs = {"obs": ([1, 58 + 6 + 3 + 9 + 58 + 29], TensorProto.FLOAT), **more}
    return tiny_onnx(path, inputs, {"actions": ([1, 29], 0.2), **outputs}, metadata=meta)


def test_mjlab_number_by_number(tmp_path):
    policy = Policy.load(mjlab(tmp_path / "p.onnx", {}))
    assert (policy.name, policy.spec.action_scale[0]) == ("mjlab", 0.25)
    rng = np.random.default_rng(3)
    t, steps, last = trajectory(rng), [], np.zeros(29)
    for k, state in enumerate(robot_states(rng, 4)):
        state = replace(state, lin_vel=rng.normal(size=3), position=np.zeros(3))
        seen = policy.observe(state, t.frame(k))
        wanted = torso(reference_pelvis(t, k).as_quat(scalar_first=True), t.joint_pos[k])
        pelvis = Rotation.from_quat(state.quat_wxyz, scalar_first=True)
        of_imu = pelvis.inv().apply(state.lin_vel) + np.cross(state.ang_vel, [0.04525, 0.0, -0.08339])
        steps.append((0.25 * np.clip(state.ang_vel, -0.5, 0.5), state.joint_pos[ORDER] - POSE))
        rows = [
            t.joint_pos[k][ORDER],
            t.joint_vel[k][ORDER],
            (torso(state.quat_wxyz, state.joint_pos).inv() * wanted).as_matrix()[:, :2].ravel(),
            of_imu * [0.5, 1.0, 2.0],
            *[steps[max(0, k - i)][0] for i in (2, 1, 0)],
            *[steps[max(0, k - i)][1] for i in (1, 0)],
            last,
        ]
        np.testing.assert_allclose(seen, np.concatenate(rows), atol=1e-6)
        policy.last_action = last = rng.normal(size=29)


def test_the_state_of_a_recurrent_network_is_fed_back(tmp_path):
    """By the names of rsl_rl's exporter, in any format; an input without its output stays unknown."""
    state = {f"{gate}_in": ([1, 1, 4], TensorProto.FLOAT) for gate in "hc"}
    policy = Policy.load(mjlab(tmp_path / "p.onnx", {f"{gate}_out": ([1, 1, 4], 0.5) for gate in "hc"}, **state))
    kept = fed(policy)
    rng = np.random.default_rng(3)
    t = trajectory(rng)
    for k, robot in enumerate(robot_states(rng, 3)):
        policy.act(replace(robot, lin_vel=np.zeros(3), position=np.zeros(3)), t.frame(k))
    assert kept[0][1] == {}
    first, second = (inputs["h_in"] for _, inputs in kept[1:])
    assert first.shape == (1, 1, 4)
    assert not np.array_equal(first, second)
    with pytest.raises(BadInput, match="must say what h_in, c_in take"):
        Policy.load(mjlab(tmp_path / "p.onnx", {}, **state))


def test_a_spec_of_our_own_describes_several_inputs(tmp_path):
    """And the network is refused where the spec leaves one out, or gives it another size."""
    path = tiny_onnx(
        tmp_path / "p.onnx",
        {
            "obs": ([1, 3], TensorProto.FLOAT),
            "tilt": ([1, 2, 1], TensorProto.FLOAT),
            "hidden": ([1, 4], TensorProto.FLOAT),
            "count": ([1], TensorProto.INT64),
        },
        {"next_hidden": ([1, 4], 0.5), "action": ([1, 29], 0.1)},
    )
    spec = yaml.safe_load((FOLDER / "twist2.yaml").read_text()) | {
        "input": [1, 3],
        "groups": {"gyro": ["ang_vel"], "tilt": ["roll_pitch"], "height": ["reference_height"]},
        "observation": [{"groups": ["gyro"]}],
        "inputs": {"tilt": [{"groups": ["tilt"]}]},
        "feedback": {"hidden": "next_hidden"},
        "step_input": "count",
        "action_output": "action",
    }

    def load(**changes):
        (tmp_path / "p.yaml").write_text(yaml.safe_dump(spec | changes))
        return Policy.load(path)

    policy = load()
    kept = fed(policy)
    for state, *_ in drive(policy, 3):
        tilt = Rotation.from_quat(state.quat_wxyz, scalar_first=True).as_euler("ZYX")[:0:-1]
        np.testing.assert_allclose(kept[-1][1]["tilt"], tilt, atol=1e-6)
    assert [int(inputs["count"]) for _, inputs in kept] == [0, 1, 2]
    hidden = [inputs["hidden"] for _, inputs in kept[1:]]
    assert all(a.shape == (1, 4) for a in hidden)
    assert len({float(a[0, 0]) for a in hidden}) == 2
    wrong = [{"feedback": {}}, {"step_input": ""}, {"inputs": {}}, {"inputs": {"tilt": [{"groups": ["height"]}]}}]
    wrong += [{"action_output": "else"}, {"feedback": {"hidden": "else"}}]
    for change in wrong:
        with pytest.raises(BadInput, match="inputs"):
            load(**change)
    for a, b in itertools.pairwise(hidden):
        assert not np.array_equal(a, b)
