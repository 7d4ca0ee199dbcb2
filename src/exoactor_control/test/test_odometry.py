from dataclasses import replace

import numpy as np
import pytest
from control_helpers import DATA, TWIST2, needs_data, standing_state
from scipy.spatial.transform import Rotation

from exoactor_control.controller.odometry import Odometry
from exoactor_control.nodes.robot_tracker import _motion
from exoactor_control.realtime.report import Sample
from exoactor_control.rehearsal.rehearsal import Rehearsal
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import STANDING

HIP_PITCH, HIP_YAW, ANKLE_PITCH, HIP_ROLL, ANKLE_ROLL = [0, 6], [2, 8], [4, 10], [1, 7], [5, 11]


def sway(amount, hips, ankles):
    """Joint positions that carry the pelvis over feet that stay flat where they are."""
    joints = STANDING.copy()
    joints[hips] += amount
    joints[ankles] -= amount
    return joints


def walk_through(poses, yaw=0.0, seconds=1.0):
    """Feed poses in between the standing one and each of these, one after the other, at 50 Hz."""
    odometry, now, before = Odometry(), 0.0, STANDING
    quat = Rotation.from_euler("z", yaw).as_quat(scalar_first=True)
    for after in poses:
        for s in np.linspace(0, 1, round(50 * seconds)):
            now += 0.02
            odometry.update(standing_state(now, joint_pos=before + s * (after - before), quat_wxyz=quat))
        before = after
    return odometry


@pytest.mark.parametrize(
    ("hips", "ankles", "amount", "axis", "sign"),
    [(HIP_PITCH, ANKLE_PITCH, 0.1, 0, 1), (HIP_PITCH, ANKLE_PITCH, -0.1, 0, -1), (HIP_ROLL, ANKLE_ROLL, 0.1, 1, -1)],
)
def test_the_pelvis_goes_where_the_legs_lean(hips, ankles, amount, axis, sign):
    """Thighs swung backward (positive hip pitch) under feet that stay: the pelvis is carried forward; left likewise."""
    position = walk_through([sway(amount, hips, ankles)]).position
    assert 0.05 < sign * position[axis] < 0.09  # a leg of 0.7 m turned by 0.1 rad
    assert abs(position[1 - axis]) < 0.005


def test_it_comes_back_to_where_it_was():
    odometry = walk_through([sway(0.1, HIP_PITCH, ANKLE_PITCH), sway(0.1, HIP_ROLL, ANKLE_ROLL), STANDING])
    np.testing.assert_allclose(odometry.position, 0.0, atol=2e-3)


def test_the_frame_is_the_imus():
    ahead = walk_through([sway(0.1, HIP_PITCH, ANKLE_PITCH)]).position
    left = walk_through([sway(0.1, HIP_PITCH, ANKLE_PITCH)], yaw=np.pi / 2)
    np.testing.assert_allclose(left.position, [-ahead[1], ahead[0]], atol=1e-9)
    assert left.yaw == pytest.approx(np.pi / 2)


def test_a_foot_in_the_air_moves_nothing():
    lifted = STANDING.copy()
    lifted[[6, 9, 10]] += [-0.5, 1.0, -0.5]
    swung = lifted.copy()
    swung[6] += 0.6
    for poses in ([lifted], [lifted, swung], [lifted, swung, lifted, STANDING]):
        np.testing.assert_allclose(walk_through(poses).position, 0.0, atol=1e-3)


def test_velocity():
    odometry = walk_through([sway(0.1, HIP_PITCH, ANKLE_PITCH)])
    assert odometry.velocity[0] == pytest.approx(odometry.position[0], rel=0.2)  # it took one second


def test_old_states_and_pauses():
    odometry = Odometry()
    state = standing_state(1.0)
    odometry.update(state)
    leaning = replace(state, joint_pos=sway(0.1, HIP_PITCH, ANKLE_PITCH))
    odometry.update(leaning)  # no newer
    odometry.update(replace(leaning, time=0.9))
    np.testing.assert_array_equal(odometry.position, 0.0)
    odometry.update(replace(leaning, time=3.0))  # nobody knows what happened meanwhile
    np.testing.assert_array_equal(odometry.position, 0.0)
    np.testing.assert_array_equal(odometry.velocity, 0.0)


RESTING, FALLING = np.array([0.0, 0.0, 9.81]), np.array([0.0, 0.0, 0.5])  # m/s^2, what the accelerometer feels


def test_a_foot_that_slides_carries_the_robot_little():
    odometry = Odometry()
    for i in range(10):  # the feet dart back by 0.07 m in 20 ms, and nothing pushes the pelvis
        joints = STANDING if i < 5 else sway(0.1, HIP_PITCH, ANKLE_PITCH)
        odometry.update(standing_state(0.02 * i, joint_pos=joints, accel=RESTING))
    assert 0.0 < odometry.position[0] < 0.007


def test_in_free_fall_the_robot_moves_on_whatever_its_legs_do():
    odometry, lean = Odometry(), 0.0
    for i in range(100):  # the pelvis is carried at a constant speed, which the legs keep to for a second
        lean += 0.01 if i < 50 else -0.01 if i > 75 else 0.0
        feels = RESTING if i < 50 else FALLING
        odometry.update(standing_state(0.02 * i, joint_pos=sway(0.3 * lean, HIP_PITCH, ANKLE_PITCH), accel=feels))
        if i == 49:
            halfway = odometry.position
    assert halfway[0] > 0.08
    np.testing.assert_allclose(odometry.position, 2.0 * halfway, rtol=0.1, atol=0.002)


def test_what_the_accelerometer_feels_between_updates_counts():
    odometry = Odometry()
    for i in range(101):  # falling freely, the robot is pushed by 0.1 m/s before each update, not during it
        push = [50.0 if i % 10 == 5 else 0.0, 0.0, 0.0]
        state = standing_state(0.002 * i, accel=FALLING + push)
        odometry.integrate(state)
        if i % 10 == 0:
            odometry.update(state)
    assert odometry.position[0] == pytest.approx(0.02 * 0.1 * sum(range(11)))


def test_a_pelvis_that_begins_to_turn_on_the_spot_does_not_move():
    odometry, imu = Odometry(), np.array([0.04525, 0.0, -0.08339])  # m from the pelvis
    for i in range(11):
        speed, acceleration = np.array([0.0, 0.02 * i, 0.0]), np.array([0.0, 1.0, 0.0])
        odometry.update(standing_state(0.02 * i, ang_vel=speed, accel=FALLING + np.cross(acceleration, imu)))
    np.testing.assert_allclose(odometry.position, 0.0, atol=1e-9)


@needs_data
@pytest.mark.parametrize(
    ("clip", "share"),
    [("asap_walk_level2", 0.03), ("asap_step_forward_back_level2", 0.03), ("asap_lebron1", 0.09)],
)
def test_against_simulated_truth(clip, share):
    """Two walks and a leap, tracked by a policy: the error as a share of the robot's way, the pelvis' sway included."""
    tracking = Rehearsal(policy=str(TWIST2))(RobotMotion.load(DATA / "motions" / f"{clip}.npz"))
    way = np.linalg.norm(np.diff(tracking.motion.root_pos[:, :2], axis=0), axis=1).sum()
    assert way > 0.6
    assert tracking.metrics["odometry_error"] < share * way


@pytest.mark.parametrize("simulated", [True, False])
def test_the_path_reported_of_a_robot_without_truth_is_the_legs(simulated):
    samples, odometry = [], Odometry()
    for i, amount in enumerate(np.linspace(0.0, 0.1, 50)):
        state = standing_state(0.02 * i, joint_pos=sway(amount, HIP_PITCH, ANKLE_PITCH))
        truth = (np.array([7.0 + i, 0.0, 0.8]), state.quat_wxyz) if simulated else None
        odometry.update(state)
        samples.append(Sample(i, state, truth, saturated=False, position=odometry.position))
    motion, source = _motion(samples)
    moved = motion.root_pos[-1] - motion.root_pos[0]
    assert ("truth" in source) is simulated
    assert moved[0] == pytest.approx(49.0 if simulated else 0.068, abs=0.01)
    assert motion.root_pos[0, 2] == pytest.approx(0.79, abs=0.02)
