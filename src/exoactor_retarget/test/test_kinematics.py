from itertools import combinations

import numpy as np
import pinocchio as pin
import pytest
from scipy.spatial.transform import Rotation

from exoactor_core import robot
from exoactor_core.errors import BadInput
from exoactor_core.motion import RobotMotion
from exoactor_retarget.collision import CapsulePairs
from exoactor_retarget.description import read_urdf
from exoactor_retarget.initial import three_angles
from exoactor_retarget.kinematics import State
from exoactor_retarget.limits import nearest_within
from exoactor_retarget.retargeter import Retargeter
from exoactor_retarget.surroundings import clearances, near_solids
from exoactor_retarget.terms import clear_of_solids, parts_apart

FREE = np.full(29, 99.0)


@pytest.fixture(scope="module")
def model():
    return Retargeter().model


def random_state(frames, spread=0.5, seed=0):
    rng = np.random.default_rng(seed)
    joint = np.clip(robot.STANDING + rng.normal(0, spread, (frames, 29)), *robot.JOINT_LIMITS.T)
    return State(rng.normal(size=(frames, 3)), Rotation.random(frames, rng).as_matrix(), joint)


def motion_of(state):
    quat = Rotation.from_matrix(state.root_rot).as_quat(scalar_first=True)
    return RobotMotion(50.0, state.root_pos, quat, state.joint_pos)


def test_poses_and_centre_of_mass_are_pinocchios(model):
    state = random_state(5)
    poses = model.kinematics.poses(state)
    center = model.kinematics.center_of_mass(poses)
    reference = robot.pinocchio_model()
    data = reference.createData()
    for t, q in enumerate(robot.configurations(motion_of(state))):
        pin.forwardKinematics(reference, data, q)
        for j, name in enumerate(model.description.joint_names):
            placement = data.oMi[reference.getJointId(name)]
            np.testing.assert_allclose(poses.pos[j + 1, :, t], placement.translation, atol=1e-9)
            np.testing.assert_allclose(poses.rot[j + 1, :, :, t], placement.rotation, atol=1e-9)
        np.testing.assert_allclose(center[:, t], pin.centerOfMass(reference, data, q), atol=1e-6)


def test_jacobians_are_derivatives(model):
    kinematics, state, size = model.kinematics, random_state(3), 1e-6
    everything = np.arange(kinematics.size)
    poses = kinematics.poses(state)
    body, local = model.bodies["hand"][0], np.array([0.1, 0.02, -0.03])
    point = poses.points(body, local)
    linear = kinematics.point_jacobian(poses, [body], point[None], everything)
    center, balance = kinematics.center_of_mass(poses), kinematics.center_jacobian(poses, everything)
    for i in everything:
        step = np.zeros((3, kinematics.size))
        step[:, i] = size
        moved = kinematics.poses(state.moved(step, -FREE, FREE))
        np.testing.assert_allclose((moved.points(body, local) - point).T / size, linear[:, :, i], atol=1e-5)
        shifted = kinematics.center_of_mass(moved)
        np.testing.assert_allclose((shifted - center).T / size, balance[:, :, i], atol=1e-5)


def test_pairs_are_those_that_the_simulation_lets_collide(model):
    judge = robot.mujoco_spec(floor=False, self_collision=True, visuals=False).compile()
    name = {model.description.body(judge.body(i).name): judge.body(i).name for i in range(1, judge.nbody)}
    ours = {frozenset(name[b] for b in model.description.capsule_body[pair]) for pair in model.description.pairs}
    out = {frozenset(judge.body(b).name for b in (int(s) >> 16, int(s) & 0xFFFF)) for s in judge.exclude_signature}
    colliding = {judge.body(judge.geom_bodyid[g]).name for g in range(judge.ngeom) if judge.geom_contype[g] & 2}
    assert ours == {frozenset(pair) for pair in combinations(colliding, 2)} - out


def test_capsules_cover_the_shapes(model):
    state = random_state(300)
    poses, description = model.kinematics.poses(state), model.description
    judged, _ = robot.self_collision_depth(motion_of(state))
    pairs = CapsulePairs(description, description.pairs)
    every = pairs.distances(poses, np.inf)
    found = -every.distance.reshape(len(description.pairs), -1).min(axis=0)
    assert (judged > 0.002).sum() > 50
    # a box's edges stand out of its capsules by less than the clearance that the solver keeps
    assert (judged - np.maximum(found, 0))[judged > 0].max() < 0.012
    near = description.pairs[pairs.near(poses, 0.02)]
    assert {*map(tuple, near)} == {*map(tuple, description.pairs[every.pair[every.distance < 0.02]])}
    some = pairs.distances(poses, 0.02)
    np.testing.assert_array_equal(some.distance, every.distance[every.distance < 0.02])


def test_gaps_open_as_their_parts_move(model):
    state, size = random_state(40), 1e-6
    step = np.random.default_rng(1).normal(size=(40, model.size))
    poses, moved = (model.kinematics.poses(s) for s in (state, state.moved(size * step, -FREE, FREE)))
    pairs = CapsulePairs(model.description, model.description.pairs)
    near, apart = pairs.distances(poses, 0.1), np.zeros(len(pairs))
    gaps = parts_apart(model, poses, near, apart, 1.0)
    after = pairs.distances(moved, np.inf).distance.reshape(len(pairs), -1)[near.pair, near.frame]
    np.testing.assert_allclose((after - near.distance) / size, gaps.opening(step), atol=1e-3)
    np.testing.assert_allclose(np.sum(gaps.rows * step[gaps.frame], axis=1), gaps.opening(step), atol=1e-9)

    floor = near_solids(model.probes, poses, None, np.inf)
    before, after = (clearances(model.probes, p, floor, None, np.zeros((40, 2), dtype=bool)) for p in (poses, moved))
    gaps = clear_of_solids(model, poses, before, np.full(len(floor), 9.0), np.ones(len(floor)))
    np.testing.assert_allclose((after.distance - before.distance).ravel() / size, gaps.opening(step), atol=1e-4)
    np.testing.assert_allclose(np.sum(gaps.rows * step[gaps.frame], axis=1), gaps.opening(step), atol=1e-9)


def test_three_angles_turn_as_asked():
    rng = np.random.default_rng(1)
    tilt = Rotation.from_euler("x", 0.3).as_matrix()
    axes = np.stack([tilt @ [0, 1.0, 0], [1.0, 0, 0], [0, 0, 1.0]])
    wanted = Rotation.random(20, rng).as_matrix()
    for angles in three_angles(axes, wanted):
        turned = [Rotation.from_rotvec(angles[:, k, None] * axes[k]) for k in range(3)]
        np.testing.assert_allclose((turned[0] * turned[1] * turned[2]).as_matrix(), wanted, atol=1e-9)


def test_nearest_trajectory_within_limits():
    joint = np.where(np.arange(60)[:, None] < 30, 0.0, [[2.0, 0.5]])
    low, high, speed, jump = np.full(2, -1.0), np.full(2, 1.5), np.full(2, 0.2), np.full(2, 0.05)
    out = nearest_within(joint, low, high, speed, jump)
    assert (out <= high).all()
    assert (np.abs(np.diff(out, axis=0)) <= speed + 1e-9).all()
    assert (np.abs(np.diff(out, 2, axis=0)) <= jump * 1.01).all()
    np.testing.assert_allclose(out[:10], joint[:10], atol=0.02)
    np.testing.assert_allclose(out[-10:], np.minimum(joint, high)[-10:], atol=0.02)


def test_bad_descriptions_are_refused(tmp_path):
    with pytest.raises(BadInput, match="Cannot read"):
        read_urdf(tmp_path / "none.urdf")
    (tmp_path / "torn.urdf").write_text("<robot>")
    with pytest.raises(BadInput, match="not a URDF"):
        read_urdf(tmp_path / "torn.urdf")
    (tmp_path / "two.urdf").write_text('<robot name="x"><link name="a"/><link name="b"/></robot>')
    with pytest.raises(BadInput, match="one tree"):
        read_urdf(tmp_path / "two.urdf")
