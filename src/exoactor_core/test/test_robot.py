import mujoco
import numpy as np
import pinocchio as pin
import pytest

from exoactor_core import robot
from exoactor_core.dex3 import FINGER_JOINTS, hand_targets
from exoactor_core.errors import BadInput
from exoactor_core.motion import JOINT_NAMES, RobotMotion

# TWIST2's gains, in motor order.
KP = np.array([100, 100, 100, 150, 40, 40] * 2 + [150] * 3 + [40, 40, 40, 40, 4, 4, 4] * 2, dtype=float)
KD = np.array([2, 2, 2, 4, 2, 2] * 2 + [4] * 3 + [5, 5, 5, 5, 0.2, 0.2, 0.2] * 2, dtype=float)


@pytest.fixture(scope="module")
def model():
    return robot.mujoco_spec().compile()


@pytest.fixture(scope="module")
def random_motion():
    rng = np.random.default_rng(1)
    low, high = robot.JOINT_LIMITS.T
    quat = rng.normal(size=(20, 4))
    return RobotMotion(
        fps=50.0,
        root_pos=rng.uniform(-1, 1, (20, 3)),
        root_quat_wxyz=quat / np.linalg.norm(quat, axis=1, keepdims=True),
        joint_pos=rng.uniform(low, high, (20, 29)),
    )


def one_frame(**joints):
    pose = robot.standing_motion()
    q = pose.joint_pos.copy()
    for name, value in joints.items():
        q[0, JOINT_NAMES.index(f"{name}_joint")] = value
    return RobotMotion(50.0, pose.root_pos, pose.root_quat_wxyz, q)


def test_limits_are_constant_and_ordered():
    assert robot.JOINT_LIMITS.shape == (29, 2)
    assert (robot.JOINT_LIMITS[:, 0] < robot.JOINT_LIMITS[:, 1]).all()
    assert robot.EFFORT_LIMITS[JOINT_NAMES.index("left_knee_joint")] == 139
    assert robot.VELOCITY_LIMITS[JOINT_NAMES.index("left_wrist_yaw_joint")] == 22
    with pytest.raises(ValueError, match="read-only"):
        robot.JOINT_LIMITS[0] = 0


def test_armature_gives_beyondmimics_gains():
    # kp = armature (2 pi 10 Hz)^2: 40.18, 99.10, 28.50 (two 5020), 14.25, 16.78 N m/rad
    kp = dict(zip(JOINT_NAMES, robot.ARMATURE * (20 * np.pi) ** 2, strict=True))
    expected = {
        "left_hip_pitch": 40.18,
        "left_knee": 99.10,
        "right_ankle_roll": 28.50,
        "waist_yaw": 40.18,
        "waist_pitch": 28.50,
        "left_elbow": 14.25,
        "right_wrist_yaw": 16.78,
    }
    for joint, value in expected.items():
        assert kp[f"{joint}_joint"] == pytest.approx(value, abs=0.01)


def test_models_are_fresh_copies():
    robot.pinocchio_model().armature[:] = 99
    assert robot.pinocchio_model().armature.max() < 1


def test_mujoco_layout(model):
    assert (model.nq, model.nv, model.nu) == (36, 35, 29)
    assert [model.actuator(i).name for i in range(29)] == list(JOINT_NAMES)
    assert [model.joint(i + 1).name for i in range(29)] == list(JOINT_NAMES)
    np.testing.assert_allclose(model.jnt_range[1:], robot.JOINT_LIMITS)
    np.testing.assert_allclose(model.actuator_ctrlrange[:, 1], robot.EFFORT_LIMITS)
    np.testing.assert_allclose(model.dof_armature, np.r_[np.zeros(6), robot.ARMATURE])
    assert {model.sensor(i).name for i in range(model.nsensor)} == set(robot.IMU_SENSORS)


@pytest.mark.parametrize("visuals", [True, False])
def test_mujoco_and_pinocchio_agree(random_motion, visuals):
    model = robot.mujoco_spec(visuals=visuals).compile()
    data = mujoco.MjData(model)
    reference = robot.pinocchio_model()
    reference_data = reference.createData()
    assert model.body_mass.sum() == pytest.approx(pin.computeTotalMass(reference), rel=1e-9)
    bodies = robot.KEY_BODIES
    sites = ("head_link", "imu_in_pelvis", "left_rubber_hand", "d435_link")
    expected = robot.forward_kinematics(random_motion, (*bodies, *sites))
    for t, q in enumerate(robot.configurations(random_motion)):
        robot.set_state(data, random_motion, t)
        mujoco.mj_forward(model, data)
        found = np.array([data.body(b).xpos for b in bodies] + [data.site(s).xpos for s in sites])
        np.testing.assert_allclose(found, expected[t], atol=1e-9)
        mass = np.zeros((35, 35))
        mujoco.mj_fullM(model, data, mass)
        # Joint block: the free joint's velocities differ in frame, the others do not.
        np.testing.assert_allclose(
            mass[6:, 6:], pin.crba(reference, reference_data, q)[6:, 6:], atol=1e-6 * mass[6:, 6:].max()
        )


def test_sole_points_are_the_contact_spheres(model, random_motion):
    data = mujoco.MjData(model)
    points = robot.sole_points(random_motion)
    assert points.shape == (20, 2, 4, 3)
    robot.set_state(data, random_motion, 7)
    mujoco.mj_kinematics(model, data)
    for f, side in enumerate(("left", "right")):
        for c, corner in enumerate(robot.SOLE_NAMES):
            geom = data.geom(f"{side}_ankle_roll_{corner}")
            lowest = geom.xpos - [0, 0, model.geom(geom.id).size[0]]
            np.testing.assert_allclose(points[7, f, c], lowest, atol=1e-9)


def test_unknown_body_is_named():
    with pytest.raises(BadInput, match="'tail'"):
        robot.forward_kinematics(robot.standing_motion(), ["pelvis", "tail"])


def test_standing_soles_touch_the_floor():
    motion = robot.standing_motion(1.0)
    assert len(motion) == 51
    assert robot.sole_points(motion)[..., 2] == pytest.approx(0.0, abs=1e-9)
    assert 0.75 < robot.STANDING_HEIGHT < 0.8


def test_dropped_g1_lands_on_its_soles(model):
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    data.qpos[2] += 0.02
    mujoco.mj_step(model, data)
    assert data.ncon == 0
    touched = set()
    for _ in range(150):  # 0.3 s: before a G1 without a balance controller tips over
        data.ctrl = KP * (robot.STANDING - data.qpos[7:]) - KD * data.qvel[6:]
        mujoco.mj_step(model, data)
        touched |= {model.geom(g).name for c in data.contact for g in c.geom}
    soles = {f"{side}_ankle_roll_{corner}" for side in ("left", "right") for corner in robot.SOLE_NAMES}
    assert touched == soles | {"floor"}
    now = RobotMotion(500.0, data.qpos[None, :3], data.qpos[None, 3:7], data.qpos[None, 7:])
    assert robot.sole_points(now)[..., 2] == pytest.approx(0.0, abs=3e-3)
    weight = 9.81 * model.body_mass.sum()
    force = np.zeros(6)
    total = 0.0
    for i in range(data.ncon):
        mujoco.mj_contactForce(model, data, i, force)
        total += force[0]
    assert total == pytest.approx(weight, rel=0.25)


def test_imu_reads_gravity_and_attitude(model):
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    data.qpos[3:7] = [np.cos(0.1), 0, np.sin(0.1), 0]
    data.qvel[5] = 0.5
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.sensor("imu_quat").data, data.qpos[3:7], atol=1e-9)
    np.testing.assert_allclose(data.sensor("imu_gyro").data, [0, 0, 0.5], atol=1e-9)
    data.qpos[:7] = [0, 0, 3, 1, 0, 0, 0]
    data.qvel[:] = 0
    mujoco.mj_forward(model, data)  # falling freely
    assert np.abs(data.sensor("imu_acc").data).max() < 2.0


def test_self_collision_names_the_pair():
    depth, pairs = robot.self_collision_depth(robot.standing_motion())
    assert depth[0] == 0.0
    assert pairs == [None]
    crossed = one_frame(left_hip_roll=-0.4, right_hip_roll=0.4)
    depth, pairs = robot.self_collision_depth(crossed)
    assert depth[0] > 0.01
    assert all(a.startswith("left") and b.startswith("right") for a, b in pairs)


def test_self_collision_is_that_of_the_hands_that_are_worn():
    """Where a rubber hand would reach into a thigh, the shorter palm of a Dex3 does not; its fingers give way."""
    bent = one_frame(right_shoulder_pitch=0.16, right_shoulder_roll=-0.26, right_shoulder_yaw=0.49, right_elbow=1.0)
    assert robot.self_collision_depth(bent)[0][0] > 0.01
    assert robot.self_collision_depth(bent, "dex3")[0][0] < 0.002


def test_fingers_meet_the_body():
    model = robot.mujoco_spec(floor=False, self_collision=True, hands="dex3").compile()
    data = mujoco.MjData(model)
    fingers = {joint.replace("_joint", "_link") for hand in FINGER_JOINTS for joint in hand}

    def met():
        mujoco.mj_forward(model, data)
        pairs = [{model.body(model.geom_bodyid[g]).name for g in pair} for pair in data.contact.geom]
        return [pair - fingers for pair in pairs if pair & fingers]

    mujoco.mj_resetDataKeyframe(model, data, 0)
    assert met() == []
    for hand, closed in zip(FINGER_JOINTS, hand_targets(np.zeros(2)), strict=True):
        for name, value in zip(hand, closed, strict=True):
            data.joint(name).qpos = value
    assert met() == []
    for name, value in {"pitch": 0.16, "roll": -0.26, "yaw": 0.49}.items():
        data.joint(f"right_shoulder_{name}_joint").qpos = value
    data.joint("right_elbow_joint").qpos = 1.0
    assert met()
    assert all(len(other) == 1 and "hip" in str(other) for other in met())


def test_each_joint_alone_moves_freely_near_standing():
    """Neighbours are excluded: turning one joint a little from the standing pose is no collision."""
    for i, name in enumerate(JOINT_NAMES):
        for sign in (-1.0, 1.0):
            q = float(np.clip(robot.STANDING[i] + 0.15 * sign, *robot.JOINT_LIMITS[i]))
            depth, pairs = robot.self_collision_depth(one_frame(**{name.removesuffix("_joint"): q}))
            assert depth[0] == 0.0, (name, pairs)


def test_self_collision_keeps_legs_apart_in_simulation():
    motion = one_frame(left_hip_roll=-0.3, right_hip_roll=0.3)
    counts = {}
    for on in (False, True):
        model = robot.mujoco_spec(floor=False, self_collision=on).compile()
        data = mujoco.MjData(model)
        robot.set_state(data, motion, 0)
        mujoco.mj_forward(model, data)
        counts[on] = data.ncon
    assert counts[False] == 0
    assert counts[True] > 0
