"""The policies of others: every observation number by number, against what their formats say, computed anew here."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import yaml
from control_helpers import DATA, no_lead_in, standing_state, steps_ahead
from onnx import TensorProto, helper, numpy_helper
from scipy.spatial.transform import Rotation

from exoactor_control.controller.state_machine import Controller
from exoactor_control.controller.tracker import TrajectoryTracker
from exoactor_control.policy import policy as policy_module
from exoactor_control.policy.policy import PD_KD, PD_KP, Policy, load_policy
from exoactor_control.reference.human_keypoints import Human
from exoactor_control.reference.trajectory import STANDING_FRAME, Reference, Trajectory, prepare
from exoactor_control.rehearsal.rehearsal import Rehearsal
from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput, Missing, Refused
from exoactor_core.motion import JOINT_NAMES, HumanMotion, RobotMotion
from exoactor_core.robot import STANDING, STANDING_HEIGHT, forward_kinematics, standing_motion

# Isaac Lab's order of the G1's joints, as motor indices (unitree_rl_lab's joint_ids_map).
ISAAC = [0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 22, 4, 10, 16, 23, 5, 11, 17, 24, 18, 25, 19, 26, 20, 27, 21, 28]
NAMES = [JOINT_NAMES[i] for i in ISAAC]
LEG, ARM = [-0.312, 0, 0, 0.669, -0.363, 0], [0, 0.6, 0, 0, 0]
POSE = np.array([*LEG, *LEG, 0, 0, 0, 0.2, 0.2, *ARM, 0.2, -0.2, *ARM])  # BeyondMimic's, motor order
NO_WRISTS = [i for i, name in enumerate(JOINT_NAMES) if "wrist" not in name]


def rx(a):
    return np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])


def ry(a):
    return np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])


def rz(a):
    return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])


def matrix(rpy):
    return rz(rpy[2]) @ ry(rpy[1]) @ rx(rpy[0])


def quat(rpy):
    """(w, x, y, z) of Rz Ry Rx, by half angles."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(np.array(rpy) / 2), np.sin(np.array(rpy) / 2)
    return np.array(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ]
    )


def torso(pelvis, joints):
    return pelvis @ rz(joints[12]) @ rx(joints[13]) @ ry(joints[14])


def six(a, b):
    m = a.T @ b
    return [m[0, 0], m[0, 1], m[1, 0], m[1, 1], m[2, 0], m[2, 1]]


class Robot:
    """A random robot state whose roll, pitch and yaw are known."""

    def __init__(self, rng):
        self.rpy = np.array([0, 0, 2.0]) + rng.uniform(-0.5, 0.5, 3)
        self.state = standing_state(
            joint_pos=rng.normal(size=29),
            joint_vel=rng.normal(size=29),
            ang_vel=rng.normal(size=3),
            quat_wxyz=quat(self.rpy),
        )
        self.matrix = matrix(self.rpy)
        self.gravity = -self.matrix[2]


def trajectory(rng, n=150, human=False):
    person = Human(rng.normal(size=(n, 24, 3)), _rotations(rng, n).as_matrix()) if human else None
    return Trajectory(
        lin_vel_xy=rng.normal(size=(n, 2)), root_pos=rng.normal(size=(n, 3)),
        roll_pitch_yaw=rng.uniform(-1, 1, (n, 3)), yaw_rate=rng.normal(size=n), joint_pos=rng.normal(size=(n, 29)),
        begin=0, end=n, lin_vel_z=rng.normal(size=n), joint_vel=rng.normal(size=(n, 29)), human=person,
        ang_vel_xy=rng.normal(size=(n, 2)),
    )  # fmt: skip


def _rotations(rng, n):
    return Rotation.from_rotvec(rng.normal(size=(n, 3)))


def ahead(t, i, turn=0.0):
    return lambda steps: t.frame(i + steps).turned(turn)


def network(path, inputs, outputs=29, names=("obs", "actions"), tables=None, metadata=None, bias=None, weight=None):
    """Write output = input @ weight + bias; ``tables``: more outputs, rows chosen by the input time_step."""
    weight = np.zeros((inputs, outputs)) if weight is None else weight
    bias = np.zeros(outputs) if bias is None else bias
    nodes = [helper.make_node("Gemm", [names[0], "w", "b"], [names[1]])]
    ins = [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, [1, inputs])]
    outs = [helper.make_tensor_value_info(names[1], TensorProto.FLOAT, [1, outputs])]
    constants = [numpy_helper.from_array(weight.astype(np.float32), "w")]
    constants.append(numpy_helper.from_array(bias.astype(np.float32), "b"))
    if tables:
        rows = len(next(iter(tables.values())))
        ins.append(helper.make_tensor_value_info("time_step", TensorProto.FLOAT, [1, 1]))
        constants.append(numpy_helper.from_array(np.array(rows - 1, dtype=np.float32), "last"))
        constants.append(numpy_helper.from_array(np.array([1], dtype=np.int64), "flat"))
        nodes.append(helper.make_node("Min", ["time_step", "last"], ["clamped"]))
        nodes.append(helper.make_node("Reshape", ["clamped", "flat"], ["row"]))
        nodes.append(helper.make_node("Cast", ["row"], ["index"], to=TensorProto.INT64))
        for name, table in tables.items():
            constants.append(numpy_helper.from_array(table.astype(np.float32), f"{name}_table"))
            nodes.append(helper.make_node("Gather", [f"{name}_table", "index"], [name], axis=0))
            outs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *table.shape[1:]]))
    graph = helper.make_graph(nodes, "policy", ins, outs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


def csv(values):
    return ",".join(v if isinstance(v, str) else f"{v:.3f}" for v in values)


# --- BeyondMimic and holosoma ---

KP, KD, SCALE = np.arange(29) + 10.0, np.arange(29) / 10 + 1.0, np.arange(29) / 100 + 0.1
BEYOND_MIMIC = {
    "run_path": "a/b/c",
    "joint_names": csv(NAMES),
    "joint_stiffness": csv(KP),
    "joint_damping": csv(KD),
    "default_joint_pos": csv(POSE[ISAAC]),
    "command_names": "motion",
    "action_scale": csv(SCALE),
    "observation_names": "command,motion_anchor_ori_b,base_ang_vel,joint_pos,joint_vel,actions",
    "observation_history_lengths": csv([1] * 6),
    "anchor_body_name": "torso_link",
    "body_names": "pelvis,torso_link",
}


def table(rows=7):
    rng = np.random.default_rng(5)
    return {"joint_pos": rng.normal(size=(rows, 29)) * 0.3, "joint_vel": rng.normal(size=(rows, 29))}


def test_beyond_mimic(tmp_path):
    path = network(tmp_path / "p.onnx", 154, tables=table(), metadata=BEYOND_MIMIC, bias=np.arange(29) / 10)
    policy = Policy.load(path)
    assert policy.name == "beyond_mimic"
    rng = np.random.default_rng(0)
    t, robot, action = trajectory(rng), Robot(rng), np.zeros(29)
    for i in (3, 4):
        seen = policy.observe(robot.state, ahead(t, i, 0.7)(0))
        s, rpy = robot.state, t.roll_pitch_yaw[i] + [0, 0, 0.7]
        wanted = [
            *t.joint_pos[i][ISAAC],
            *t.joint_vel[i][ISAAC],
            *six(torso(robot.matrix, s.joint_pos), torso(matrix(rpy), t.joint_pos[i])),
            *s.ang_vel,
            *(s.joint_pos - POSE)[ISAAC],
            *s.joint_vel[ISAAC],
            *action,
        ]
        np.testing.assert_allclose(seen, wanted, atol=1e-6)
        action = policy.last_action = rng.normal(size=29)
    policy.reset()
    wanted = np.empty(29)
    wanted[ISAAC] = POSE[ISAAC] + SCALE * np.arange(29) / 10
    np.testing.assert_allclose(policy.act(robot.state, t.frame(0)), wanted, atol=1e-6)
    np.testing.assert_allclose(policy.kp[ISAAC], KP)
    np.testing.assert_allclose(policy.kd[ISAAC], KD)


def test_beyond_mimic_with_state_estimation(tmp_path):
    names = "command,motion_anchor_pos_b,motion_anchor_ori_b,base_lin_vel,base_ang_vel,joint_pos,joint_vel,actions"
    meta = {**BEYOND_MIMIC, "observation_names": names, "observation_history_lengths": "1,1,1,1,1,1,1,1"}
    policy = Policy.load(network(tmp_path / "p.onnx", 160, tables=table(), metadata=meta))
    rng = np.random.default_rng(0)
    t, robot = trajectory(rng), Robot(rng)
    frame = replace(t.frame(3), position=np.array([1.0, 2.0, 0.8]))
    state = replace(robot.state, position=np.array([0.7, 2.1, 0.75]), lin_vel=np.array([0.4, -0.2, 0.1]))

    def torso_pos(position, rotation, joints):
        quat_wxyz = Rotation.from_matrix(rotation).as_quat(scalar_first=True)
        return forward_kinematics(RobotMotion(50.0, position[None], quat_wxyz[None], joints[None]), ("torso_link",))[
            0, 0
        ]

    pelvis = matrix(t.roll_pitch_yaw[3])
    there = torso_pos(frame.position, pelvis, t.joint_pos[3])
    here = torso_pos(state.position, robot.matrix, state.joint_pos)
    seen = policy.observe(state, frame)
    np.testing.assert_allclose(seen[58:61], torso(robot.matrix, state.joint_pos).T @ (there - here), atol=1e-6)
    np.testing.assert_allclose(seen[67:70], robot.matrix.T @ state.lin_vel, atol=1e-6)
    np.testing.assert_allclose(seen[70:73], state.ang_vel, atol=1e-6)
    policy = Policy.load(
        network(tmp_path / "p.onnx", 160, tables=table(), metadata={**meta, "anchor_body_name": "pelvis"})
    )
    seen = policy.observe(state, frame)
    np.testing.assert_allclose(seen[58:61], robot.matrix.T @ [0.3, -0.1, 0.05], atol=1e-6)
    np.testing.assert_allclose(seen[61:67], six(robot.matrix, pelvis), atol=1e-6)


def test_the_torso_is_where_the_model_says():
    rng = np.random.default_rng(1)
    rpy, joints = rng.uniform(-0.5, 0.5, 3), rng.uniform(-0.4, 0.4, 29)
    motion = RobotMotion(50.0, np.zeros((1, 3)), quat(rpy)[None], joints[None])
    shoulders = ("left_shoulder_pitch_link", "right_shoulder_pitch_link")  # fixed points of the torso
    left, right = forward_kinematics(motion, shoulders)[0]
    upright = RobotMotion(50.0, np.zeros((1, 3)), np.eye(4)[:1], np.zeros((1, 29)))
    across = np.subtract(*forward_kinematics(upright, shoulders)[0])
    np.testing.assert_allclose(torso(matrix(rpy), joints) @ across, left - right, atol=1e-9)


@pytest.mark.parametrize("kind", ["beyond_mimic", "holosoma"])
def test_the_motion_inside_a_file_is_read(tmp_path, kind):
    rng = np.random.default_rng(2)
    n = 9
    rpy = rng.uniform(-0.3, 0.3, (n, 3))
    joints = rng.uniform(-0.3, 0.3, (n, 29))
    motion = RobotMotion(50.0, rng.normal(size=(n, 3)), np.array([quat(a) for a in rpy]), joints)
    torso_pos = forward_kinematics(motion, ("torso_link",))[:, 0]
    waist = [torso(matrix(a), q) for a, q in zip(rpy, joints, strict=True)]
    torso_quat = Rotation.from_matrix(waist).as_quat()
    if kind == "holosoma":
        tables = {"joint_pos": joints, "joint_vel": 0 * joints, "ref_pos_xyz": torso_pos, "ref_quat_xyzw": torso_quat}
        meta = {"dof_names": json.dumps(JOINT_NAMES), "kp": json.dumps([1.0] * 29), "kd": json.dumps([1.0] * 29)}
    else:
        both = (
            np.stack([motion.root_pos, torso_pos], axis=1),
            np.stack([motion.root_quat_wxyz, torso_quat[:, [3, 0, 1, 2]]], axis=1),
        )
        tables = {"joint_pos": joints[:, ISAAC], "joint_vel": 0 * joints, "body_pos_w": both[0], "body_quat_w": both[1]}
        meta = BEYOND_MIMIC
    read = Policy.load(network(tmp_path / "p.onnx", 154, tables=tables, metadata=meta)).motion
    assert len(read) == n
    np.testing.assert_allclose(read.joint_pos, joints, atol=1e-6)
    np.testing.assert_allclose(read.root_pos, motion.root_pos, atol=1e-5)
    np.testing.assert_allclose(np.abs((read.root_quat_wxyz * motion.root_quat_wxyz).sum(axis=1)), 1.0, atol=1e-6)


def test_a_file_without_its_motion_says_so(tmp_path):
    path = network(tmp_path / "p.onnx", 154, tables=table(), metadata=BEYOND_MIMIC)
    with pytest.raises(BadInput, match="no output 'ref_pos_xyz'"):
        _ = Policy.load(path).motion
    assert Policy.load(network(tmp_path / "q.onnx", 1432)).motion is None


def test_holosoma_is_fed_in_alphabetical_order(tmp_path):
    meta = {"dof_names": json.dumps(JOINT_NAMES), "kp": json.dumps(KP.tolist()), "kd": json.dumps(KD.tolist())}
    policy = Policy.load(network(tmp_path / "p.onnx", 154, tables=table(), metadata=meta, bias=np.arange(29) / 10))
    rng = np.random.default_rng(3)
    t, robot = trajectory(rng), Robot(rng)
    policy.last_action = rng.normal(size=29)
    s = robot.state
    wanted = [
        *policy.last_action,
        *s.ang_vel,
        *(s.joint_pos - POSE),
        *s.joint_vel,
        *t.joint_pos[8],
        *t.joint_vel[8],
        *six(torso(robot.matrix, s.joint_pos), torso(matrix(t.roll_pitch_yaw[8]), t.joint_pos[8])),
    ]
    np.testing.assert_allclose(policy.observe(s, t.frame(8)), wanted, atol=1e-6)
    np.testing.assert_allclose(policy.act(s, t.frame(8)), POSE + np.arange(29) / 10, atol=1e-6)
    np.testing.assert_allclose(policy.kp, KP)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            {"observation_names": BEYOND_MIMIC["observation_names"].replace("base_ang_vel", "height_scan")},
            "height_scan",
        ),
        ({"joint_names": csv(["tail_joint", *NAMES[1:]])}, "tail_joint"),
        ({"joint_stiffness": csv(KP[:-1])}, "kp must be 29"),
        ({"anchor_body_name": "left_knee_link"}, "left_knee_link"),
        (
            {"observation_names": "command,base_ang_vel", "observation_history_lengths": "1,1"},
            r"\[1, 154\].*\[1, 61\] \(command 58, base_ang_vel 3\)",
        ),
        ({"observation_history_lengths": "1,1"}, "6 observation terms, but 2"),
        ({"action_scale": None}, "lack 'action_scale'"),
        ({"default_joint_pos": csv(["a"] * 29)}, "could not convert"),
    ],
)
def test_beyond_mimic_that_does_not_fit_is_refused(tmp_path, change, match):
    meta = {k: v for k, v in {**BEYOND_MIMIC, **change}.items() if v is not None}
    with pytest.raises(BadInput, match=match) as error:
        Policy.load(network(tmp_path / "p.onnx", 154, tables=table(), metadata=meta))
    assert "p.onnx" in str(error.value)
    assert "\n" not in str(error.value)


# --- Unitree RL Lab ---


def deploy():
    """A deploy.yaml as Unitree RL Lab writes it, with numbers that tell joints apart."""
    term = {"params": {}, "clip": None, "history_length": 5}
    return {
        "joint_ids_map": ISAAC, "step_dt": 0.02,
        "stiffness": KP.tolist(), "damping": KD.tolist(), "default_joint_pos": (np.arange(29) / 100).tolist(),
        "commands": {"base_velocity": {"ranges": {
            "lin_vel_x": [-0.5, 1.0], "lin_vel_y": [-0.3, 0.3], "ang_vel_z": [-0.2, 0.2], "heading": None}}},
        "actions": {"JointPositionAction": {
            "clip": None, "joint_names": [".*"], "scale": SCALE.tolist(), "offset": (np.arange(29) / 100).tolist(),
            "joint_ids": None}},
        "observations": {
            "base_ang_vel": {**term, "scale": [0.2, 0.3, 0.4], "clip": [-0.5, 0.5]},
            "projected_gravity": {**term, "scale": [1.0] * 3},
            "velocity_commands": {**term, "scale": [1.0, 2.0, 3.0], "params": {"command_name": "base_velocity"}},
            "joint_pos_rel": {**term, "scale": [1.0] * 29},
            "joint_vel_rel": {**term, "scale": [0.05] * 29},
            "last_action": {**term, "scale": [1.0] * 29},
        },
    }  # fmt: skip


def write(path, data):
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def test_unitree_rl_lab(tmp_path):
    text = write(tmp_path / "p.deploy.yaml", deploy()).read_text()
    # Isaac Lab writes its slice so; nothing is made of it
    text = text.replace("joint_ids: null", "joint_ids: !!python/object/apply:builtins.slice [null, null, null]")
    (tmp_path / "p.deploy.yaml").write_text(text)
    policy = Policy.load(network(tmp_path / "p.onnx", 480, bias=np.arange(29) / 10))
    assert policy.name == "unitree_rl_lab"
    rng = np.random.default_rng(0)
    t, action, steps = trajectory(rng), np.zeros(29), []
    for i in range(7):
        robot = Robot(rng)
        s = robot.state
        command = np.clip([*t.lin_vel_xy[i], t.yaw_rate[i]], [-0.5, -0.3, -0.2], [1.0, 0.3, 0.2])
        steps.append(
            [
                np.clip(s.ang_vel, -0.5, 0.5) * [0.2, 0.3, 0.4],
                robot.gravity,
                command * [1, 2, 3],
                s.joint_pos[ISAAC] - np.arange(29) / 100,
                0.05 * s.joint_vel[ISAAC],
                action,
            ]
        )
        window = ([steps[0]] * 4 + steps)[-5:]  # oldest first, filled with the first
        wanted = np.concatenate([step[term] for term in range(6) for step in window])
        np.testing.assert_allclose(policy.observe(s, t.frame(i)), wanted, atol=1e-6)
        action = policy.last_action = rng.normal(size=29)
    np.testing.assert_allclose(policy.kp, KP)  # these are in motor order in the file
    np.testing.assert_allclose(policy.kd, KD)
    target = policy.act(robot.state, t.frame(0))
    np.testing.assert_allclose(target[ISAAC], np.arange(29) / 100 + SCALE * np.arange(29) / 10, atol=1e-6)


def test_unitree_rl_lab_that_does_not_fit_is_refused(tmp_path):
    file = network(tmp_path / "p.onnx", 480)
    cases = {
        "the rate is 100 Hz": lambda d: d.update(step_dt=0.01),
        "'gait_phase' is not known": lambda d: d["observations"].update(gait_phase={"scale": [1, 1]}),
        "'ang_vel' has 3 numbers, but its scale": lambda d: d["observations"]["base_ang_vel"].update(scale=[1, 1]),
        r"\[1, 480\].*\[1, 384\].*unitree": lambda d: [o.update(history_length=4) for o in d["observations"].values()],
        "offset is not default_joint_pos": lambda d: d["actions"]["JointPositionAction"].update(offset=[0.0] * 29),
        "JointEffortAction": lambda d: d.update(actions={"JointEffortAction": {}}),
        "no entry 'step_dt'": lambda d: d.pop("step_dt"),
        "action_scale must be 29": lambda d: d["actions"]["JointPositionAction"].update(scale=[1.0] * 28),
    }
    for match, change in cases.items():
        data = deploy()
        change(data)
        with pytest.raises(BadInput, match=match):
            Policy.load(file, write(tmp_path / "d.yaml", data))


# --- GMT ---


def gmt_observation(t, i, states, actions):
    """As GMT's sim2sim.py builds it: 20 future frames, the present, 20 past steps."""
    mimic = []
    for step in [1, *range(5, 100, 5)]:
        j = min(i + step, len(t) - 1)
        inside = i + step < len(t)  # held still past the end
        mimic += [
            t.root_pos[j, 2],
            *t.roll_pitch_yaw[j, :2],
            *(inside * t.lin_vel_xy[j]),
            inside * t.lin_vel_z[j],
            inside * t.yaw_rate[j],
            *t.joint_pos[j][NO_WRISTS],
        ]
    leg = [-0.2, 0, 0, 0.4, -0.2, 0]
    default = np.array([*leg, *leg, 0, 0, 0, 0, 0.4, 0, 1.2, 0, -0.4, 0, 1.2])
    steps = []
    for robot, action in zip(states, actions, strict=True):
        vel = 0.05 * robot.state.joint_vel[NO_WRISTS]
        vel[[4, 5, 10, 11]] = 0.0
        steps.append(
            np.concatenate(
                [0.25 * robot.state.ang_vel, robot.rpy[:2], robot.state.joint_pos[NO_WRISTS] - default, vel, action]
            )
        )
    history = [np.zeros(74)] * 20 + steps[:-1]
    return np.concatenate([mimic, steps[-1], *history[-20:]])


def test_gmt(tmp_path):
    policy = Policy.load(network(tmp_path / "p.onnx", 2154, 23, bias=np.arange(23) / 10))
    assert (policy.name, steps_ahead(policy)) == ("gmt", 95)
    rng = np.random.default_rng(0)
    t, robots, actions = trajectory(rng), [], [np.zeros(23)]
    for i in range(40, 63):  # the window runs over the end
        robots.append(Robot(rng))
        seen = policy.observe(robots[-1].state, t.frame(i), ahead(t, i))
        np.testing.assert_allclose(seen, gmt_observation(t, i, robots, actions), atol=1e-6)
        actions.append(rng.normal(size=23))
        policy.last_action = actions[-1]
    with pytest.raises(ValueError, match="frames ahead"):
        policy.observe(robots[0].state, t.frame(0))


def test_the_tracker_tells_where_the_robot_is(tmp_path):
    names = "motion_anchor_pos_b,base_lin_vel"
    meta = {
        **BEYOND_MIMIC,
        "observation_names": names,
        "observation_history_lengths": "1,1",
        "anchor_body_name": "pelvis",
    }
    weight = np.zeros((6, 29))
    weight[:6, :6] = np.eye(6)
    policy = Policy.load(network(tmp_path / "p.onnx", 6, tables=table(), metadata=meta, weight=weight))
    n = 101
    walk = standing_motion(2.0)
    walk = RobotMotion(
        50.0, walk.root_pos + np.c_[np.arange(n) / 50, np.zeros((n, 2))], walk.root_quat_wxyz, walk.joint_pos
    )
    tracker = TrajectoryTracker(policy, 0.0, 0.0)
    with no_lead_in():
        trajectory = Trajectory.blended(Reference(walk, ()), STANDING, STANDING_FRAME, 0.02)
    tracker.start(trajectory, standing_state(), False)
    for i in range(51):  # the reference walks off, the robot stands still
        tracker.tick(standing_state(time=0.02 * i))
    np.testing.assert_allclose(policy.last_action[:6], [0.98, 0, 0, 0, 0, 0], atol=0.02)


def test_joints_that_are_not_the_policys_hold_the_reference(tmp_path):
    policy = Policy.load(network(tmp_path / "p.onnx", 2154, 23, bias=np.full(23, 100.0)))
    t = trajectory(np.random.default_rng(1))
    target = policy.act(standing_state(), t.frame(4), ahead(t, 4))
    wrists = [i for i in range(29) if i not in NO_WRISTS]
    assert len(wrists) == 6
    np.testing.assert_allclose(target[wrists], t.joint_pos[4][wrists])
    np.testing.assert_allclose(target[:6], np.array([-0.2, 0, 0, 0.4, -0.2, 0]) + 5.0, atol=1e-6)
    np.testing.assert_allclose(policy.kp[wrists], PD_KP[wrists])
    np.testing.assert_allclose(policy.kd[wrists], PD_KD[wrists])
    assert policy.kp[3] == 150
    assert policy.effort_limits[1] == 139


def test_gmt_as_torchscript(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(2154, 23)
    torch.jit.trace(module, torch.zeros(1, 2154)).save(str(tmp_path / "p.pt"))
    policy = Policy.load(tmp_path / "p.pt")
    rng = np.random.default_rng(0)
    t, robot = trajectory(rng), Robot(rng)
    policy.act(robot.state, t.frame(0), ahead(t, 0))
    x = torch.from_numpy(gmt_observation(t, 0, [robot], [np.zeros(23)]).astype(np.float32))
    np.testing.assert_allclose(policy.last_action, module(x).detach().numpy(), atol=1e-5)
    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(BadInput, match="not TorchScript"):
        Policy.load(tmp_path / "junk.pt")


def test_the_tracker_gives_the_frames_ahead_in_the_robots_heading(tmp_path):
    weight = np.zeros((2154, 23))
    last = 19 * 30
    weight[last + 7, 0] = 1.0  # the left hip pitch of the frame 95 steps ahead
    policy = Policy.load(network(tmp_path / "p.onnx", 2154, 23, weight=weight))
    t = trajectory(np.random.default_rng(2))
    tracker = TrajectoryTracker(policy, heading_gain=0.0, position_gain=0.0)
    state = standing_state(quat_wxyz=quat([0, 0, 1.5]))
    tracker.start(t, state, keep_policy=False)
    for i in range(3):
        tracker.tick(state)
        assert policy.last_action[0] == pytest.approx(t.joint_pos[i + 95, 0], abs=1e-6)
    assert tracker.frame.yaw - t.roll_pitch_yaw[2, 2] == pytest.approx(1.5 - t.roll_pitch_yaw[0, 2])


# --- SONIC ---

RELEASE = {
    "observations": [{"name": name, "enabled": True} for name in (
        "token_state", "his_base_angular_velocity_10frame_step1", "his_body_joint_positions_10frame_step1",
        "his_body_joint_velocities_10frame_step1", "his_last_actions_10frame_step1", "his_gravity_dir_10frame_step1")],
    "encoder": {
        "dimension": 64,
        "encoder_observations": [{"name": name, "enabled": True} for name in (
            "encoder_mode_4", "motion_joint_positions_10frame_step5", "motion_joint_velocities_10frame_step5",
            "motion_root_z_position_10frame_step5", "motion_root_z_position", "motion_anchor_orientation",
            "motion_anchor_orientation_10frame_step5", "motion_joint_positions_lowerbody_10frame_step5",
            "motion_joint_velocities_lowerbody_10frame_step5", "vr_3point_local_target", "vr_3point_local_orn_target",
            "smpl_joints_10frame_step1", "smpl_anchor_orientation_10frame_step1",
            "motion_joint_positions_wrists_10frame_step1")],
        "encoder_modes": [
            {"name": "g1", "mode_id": 0, "required_observations": [
                "encoder_mode_4", "motion_joint_positions_10frame_step5", "motion_joint_velocities_10frame_step5",
                "motion_anchor_orientation_10frame_step5"]},
            {"name": "teleop", "mode_id": 1, "required_observations": [
                "encoder_mode_4", "motion_joint_positions_lowerbody_10frame_step5",
                "motion_joint_velocities_lowerbody_10frame_step5", "vr_3point_local_target",
                "vr_3point_local_orn_target", "motion_anchor_orientation"]},
            {"name": "smpl", "mode_id": 2, "required_observations": [
                "encoder_mode_4", "smpl_joints_10frame_step1", "smpl_anchor_orientation_10frame_step1",
                "motion_joint_positions_wrists_10frame_step1"]},
        ],
    },
}  # fmt: skip


def sonic(folder, config=None, decoder_bias=None, encoder_bias=None, encoder_inputs=1762):
    network(folder / "model_encoder.onnx", encoder_inputs, 64, ("obs_dict", "encoded_tokens"), bias=encoder_bias)
    if config is not None:
        write(folder / "observation_config.yaml", config)
    return network(folder / "model_decoder.onnx", 994, 29, ("obs_dict", "action"), bias=decoder_bias)


@pytest.mark.parametrize("config", [None, RELEASE], ids=["described here", "its own configuration"])
def test_sonic_follows_the_robots_motion(tmp_path, config):
    rng = np.random.default_rng(0)
    tokens, bias = rng.normal(size=64), np.arange(29) / 10
    policy = Policy.load(sonic(tmp_path, config, bias, tokens))
    assert (policy.name, steps_ahead(policy), policy.needs_human) == ("sonic", 45, False)
    t, steps, action = trajectory(rng), [], np.zeros(29)
    for i in range(100, 112):
        robot = Robot(rng)
        s = robot.state
        rows = [min(i + k, 149) for k in range(0, 50, 5)]
        inside = [i + k < 150 for k in range(0, 50, 5)]
        encoder = np.concatenate(
            [
                [0, 0, 0, 0],
                t.joint_pos[rows][:, ISAAC].ravel(),
                (t.joint_vel[rows][:, ISAAC] * np.array(inside)[:, None]).ravel(),
                np.zeros(10 + 1 + 6),
                np.ravel([six(robot.matrix, matrix(t.roll_pitch_yaw[j] + [0, 0, 0.4])) for j in rows]),
                np.zeros(120 + 120 + 9 + 12 + 720 + 60 + 60),
            ]
        )
        assert len(encoder) == 1762
        now = ahead(t, i, 0.4)
        np.testing.assert_allclose(policy.encode(s, now(0), now), encoder, atol=1e-6)
        steps.append([s.ang_vel, (s.joint_pos - POSE)[ISAAC], s.joint_vel[ISAAC], action, robot.gravity])
        window = ([steps[0]] * 9 + steps)[-10:]
        decoder = np.concatenate([policy.token, *(step[term] for term in range(5) for step in window)])
        assert len(decoder) == 994
        np.testing.assert_allclose(policy.observe(s, now(0), now), decoder, atol=1e-6)
        action = policy.last_action = rng.normal(size=29)
    policy.reset()
    target = policy.act(s, now(0), now)
    np.testing.assert_allclose(policy.token, tokens, atol=1e-6)
    scale = 0.25 * np.array([139, 139, 88]) / np.array([99.098, 99.098, 40.179])  # hip pitch, roll, yaw
    np.testing.assert_allclose(target[:3], POSE[:3] + scale * bias[[0, 3, 6]], atol=1e-4)
    np.testing.assert_allclose(policy.kp[:6], [99.098, 99.098, 40.179, 99.098, 28.501, 28.501], atol=1e-3)
    np.testing.assert_allclose(policy.kd[19:22], [0.907, 1.068, 1.068], atol=1e-3)


def test_sonic_follows_the_persons_motion(tmp_path):
    policy = Policy.load(sonic(tmp_path, {**RELEASE, "mode": "smpl"}))
    assert policy.needs_human
    rng = np.random.default_rng(0)
    t, robot = trajectory(rng, human=True), Robot(rng)
    i, now = 145, ahead(t, 145, 0.4)
    rows = [min(i + k, 149) for k in range(10)]
    wrists = [19, 26, 20, 27, 21, 28]  # left and right roll, pitch, yaw
    root = [rz(0.4) @ m for m in t.human.root]
    wanted = np.concatenate(
        [
            [2, 0, 0, 0],
            np.zeros(290 + 290 + 10 + 1 + 6 + 60 + 120 + 120 + 9 + 12),
            t.human.joints[rows].ravel(),
            np.ravel([six(robot.matrix, root[j]) for j in rows]),
            t.joint_pos[rows][:, wrists].ravel(),
        ]
    )
    np.testing.assert_allclose(policy.encode(robot.state, now(0), now), wanted, atol=1e-6)
    # standing and in the blends it follows the robot's reference
    still = replace(now(0), in_motion=False)
    assert policy.encode(robot.state, still, now)[0] == 0
    assert policy.encode(robot.state, still, now)[4:33] == pytest.approx(t.joint_pos[i][ISAAC], abs=1e-6)


def test_a_policy_that_follows_people_refuses_a_motion_without_one(tmp_path):
    policy = Policy.load(sonic(tmp_path, {**RELEASE, "mode": "smpl"}))
    with pytest.raises(Refused, match="follows the person's motion itself"):
        Controller(policy).track(prepare(standing_motion(1.0)))
    policy.check(prepare(standing_motion(1.0), person(26, 25.0)))


def test_sonic_by_heading_alone(tmp_path):
    text = yaml.safe_dump({**RELEASE, "mode": "smpl"}).replace("_orientation_10", "_orientation_heading_10")
    policy = Policy.load(sonic(tmp_path, yaml.safe_load(text)))
    rng = np.random.default_rng(0)
    t, robot = trajectory(rng, human=True), Robot(rng)
    seen = policy.encode(robot.state, t.frame(7), ahead(t, 7))
    wanted = six(rz(robot.rpy[2]), t.human.root[7])
    np.testing.assert_allclose(seen[-120:-114], wanted, atol=1e-6)
    seen = policy.encode(robot.state, replace(t.frame(7), in_motion=False), ahead(t, 7))
    at = 4 + 290 + 290 + 17
    np.testing.assert_allclose(seen[at : at + 6], six(rz(robot.rpy[2]), matrix(t.roll_pitch_yaw[7])), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("release_observation_config", 1762),
        ("sonic_v1_1_observation_config", 1751),
        ("release_observation_config_low_latency", 1247),
    ],
)
def test_sonics_own_configurations(tmp_path, name, size):
    config = DATA / "policies" / "sonic_config" / f"{name}.yaml"
    if not config.is_file():
        pytest.skip(f"{config} is not there")
    policy = Policy.load(sonic(tmp_path, encoder_inputs=size), config)
    assert policy.spec.input == (1, 994)
    policy.act(standing_state(), STANDING_FRAME, lambda _: STANDING_FRAME)


def test_sonic_that_does_not_fit_is_refused(tmp_path):
    path = sonic(tmp_path)
    cases = {
        "'motion_tail_3frame_step1' is not known": ("motion_root_z_position_10frame_step5", "motion_tail_3frame_step1"),
        r"input \[1, 1473\] \(encoder_mode_4 4, motion_joint_positions_10frame_step5 290, .* is needed": (
            "motion_joint_velocities_10frame_step5",
            "motion_root_z_position",
        ),
        "every 2th step": ("his_gravity_dir_10frame_step1", "his_gravity_dir_10frame_step2"),
    }
    for match, change in cases.items():
        config = yaml.safe_load(yaml.safe_dump(RELEASE).replace(f"name: {change[0]}\n", f"name: {change[1]}\n"))
        with pytest.raises(BadInput, match=match):
            Policy.load(path, write(tmp_path / "c.yaml", config))
    with pytest.raises(BadInput, match="its mode is 'teleop'"):
        Policy.load(path, write(tmp_path / "c.yaml", {**RELEASE, "mode": "teleop"}))
    (tmp_path / "model_encoder.onnx").unlink()
    with pytest.raises(Missing, match="model_encoder"):
        Policy.load(path)


def test_a_network_with_an_input_that_no_spec_mentions_is_refused(tmp_path):
    path = network(tmp_path / "p.onnx", 1432, tables=table())
    model = onnx.load(path)
    model.graph.input[1].name = "hidden_state"
    next(node for node in model.graph.node if node.op_type == "Min").input[0] = "hidden_state"
    onnx.save(model, path)
    with pytest.raises(BadInput, match=r"inputs \[1, 1432\], hidden_state \[1, 1\].*must say what hidden_state take"):
        Policy.load(path)


# --- the person ---


def person(frames, fps):
    """A person in the rest pose who walks and turns left: 0.5 rad/s."""
    t = np.arange(frames) / fps
    rest = Rotation.from_matrix([[0, 0, 1], [1, 0, 0], [0, 1, 0]])  # looks along x, z up
    orient = (Rotation.from_euler("z", 0.5 * t[:, None]) * rest).as_rotvec()
    return HumanMotion(fps, np.c_[t, 0 * t, 0 * t + 1], orient, np.zeros((frames, 63)), np.zeros(10))


def test_the_person_in_the_pelvis_own_axes():
    motion = person(26, 25.0)
    human = Human.sample(motion, np.array([-1.0, 0.0, 0.53, 9.0]))
    for yaw, root in zip([0.0, 0.0, 0.265, 0.5], human.root, strict=True):
        np.testing.assert_allclose(root, rz(yaw), atol=1e-9)
    body = BodyModel.load()
    rest = body.rest_joints(np.zeros(10))[[*range(22), 39, 54]]
    assert (body.joint_names[39], body.joint_names[54]) == ("left_thumb3", "right_thumb3")
    local = (rest - rest[0])[:, [2, 0, 1]]  # forward, left, up
    np.testing.assert_allclose(human.joints, np.tile(local, (4, 1, 1)), atol=1e-9)
    assert human.joints[0, 15, 2] > 0.4  # the head is up
    assert human.joints[0, 20, 1] > 0.4  # the left wrist is on the left


def test_a_reference_carries_the_person_in_step():
    n = 51
    still = standing_motion(1.0)
    moved = np.array(still.root_pos)
    moved[:, 0] += 10.0 * (np.arange(n) < 2)  # torn: the first frames are dropped
    reference = prepare(RobotMotion(50.0, moved, still.root_quat_wxyz, still.joint_pos), person(26, 25.0))
    dropped = n - len(reference.motion)
    assert dropped >= 2
    assert len(reference.human.joints) == len(reference.motion)
    yaw = np.arctan2(reference.human.root[:, 1, 0], reference.human.root[:, 0, 0])
    np.testing.assert_allclose(yaw, 0.5 * np.arange(dropped, n) / 50, atol=1e-9)
    t = Trajectory.blended(reference, STANDING, STANDING_FRAME, 1.0)
    np.testing.assert_allclose(t.frame(t.begin + 3).human.root, rz(yaw[3]), atol=1e-9)
    np.testing.assert_allclose(t.frame(0).human.root, rz(yaw[0]), atol=1e-9)
    assert [t.frame(i).in_motion for i in (t.begin - 1, t.begin, t.end - 1, t.end)] == [False, True, True, False]


def test_velocities_of_a_trajectory():
    n = 61
    s = np.arange(n) / 50
    joints = STANDING + 0.3 * s[:, None]
    motion = RobotMotion(
        50.0, np.c_[0.2 * s, 0 * s, STANDING_HEIGHT + 0.05 * s], np.tile(quat([0, 0.3, 0]), (n, 1)), joints
    )
    t = Trajectory.blended(Reference(motion, ()), STANDING, STANDING_FRAME, 0.5)
    frame = t.frame((t.begin + t.end) // 2)
    np.testing.assert_allclose(frame.joint_vel, 0.3, atol=1e-9)
    velocity = ry(0.3).T @ [0.2, 0.0, 0.05]
    np.testing.assert_allclose([*frame.lin_vel_xy, frame.lin_vel_z], velocity, atol=2e-3)


# --- names ---


def test_the_policy_that_is_shipped():
    policy = load_policy("exoactor")
    assert policy.name == "exoactor"
    assert (policy_module.FOLDER / "exoactor.onnx").stat().st_size < 5e6


def test_policies_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(policy_module, "FOLDER", tmp_path)
    assert load_policy("pd") is None
    with pytest.raises(Missing, match="exoactor"):
        load_policy("exoactor")
    with pytest.raises(Missing, match="nowhere"):
        load_policy("nowhere.onnx")
    write(tmp_path / "exoactor.yaml", deploy())
    network(tmp_path / "exoactor.onnx", 480)
    assert load_policy("exoactor").name == "unitree_rl_lab"
    network(tmp_path / "other.onnx", 1432)
    assert load_policy(str(tmp_path / "other.onnx")).name == "twist2"
    with pytest.raises(BadInput, match=r"\[1, 480\]"):
        load_policy(str(tmp_path / "other.onnx"), str(tmp_path / "exoactor.yaml"))


# --- files of others, where they are ---


def _file(name):
    path = DATA / "policies" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def test_holosomas_dancer_dances(tmp_path):
    path = _file("holosoma_g1_dancing.onnx")
    m = Policy.load(path).motion
    assert len(m) > 6000
    short = RobotMotion(m.fps, m.root_pos[:500], m.root_quat_wxyz[:500], m.joint_pos[:500])
    metrics = Rehearsal(policy=str(path))(short).metrics
    assert metrics["success"], metrics["reason"]
    assert metrics["joint_error_mean"] < 0.11


def test_unitrees_walker_walks():
    path = _file("unitree_rl_lab_g1_velocity_v0.onnx")
    t = np.arange(500) / 50
    x = 0.5 * np.where(t < 1, t * t / 2, t - 0.5)
    still = standing_motion(9.98)
    walk = RobotMotion(50.0, np.c_[x, 0 * x, still.root_pos[:, 2]], still.root_quat_wxyz, still.joint_pos)
    # its wrists' damping (10 N m s/rad on small inertias) is too much for explicit PD at 2 ms
    tracking = Rehearsal(policy=str(path), timestep=0.0005)(walk)
    assert not tracking.metrics["fell"]
    assert tracking.metrics["torque_saturation"] < 0.05
    assert tracking.metrics["frames"] == 500
    assert tracking.motion.root_pos[-1, 0] == pytest.approx(4.75, rel=0.2)
