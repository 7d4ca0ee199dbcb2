"""The outer loop: what the policy is told when the robot is not where, or not facing as, it should."""

from dataclasses import replace

import numpy as np
import pytest
from control_helpers import standing_state
from scipy.spatial.transform import Rotation

from exoactor.motion import RobotMotion
from exoactor.robot import STANDING, standing_motion
from exoactor_control.reference import Trajectory, prepare
from exoactor_control.tracker import _MAX_SPEED, Tracker, turn


class Listener:
    """Stands where a policy does and keeps what it is told."""

    kp = kd = np.zeros(29)

    def act(self, state, frame, ahead):
        self.told = frame
        return frame.joint_pos

    def reset(self):
        pass


class Walk:
    """A tracker that follows a walk of 1 m/s along its own x, its yaw ``facing``; the robot stays where it is."""

    def __init__(self, robot_yaw=0.0, facing=0.0, heading_gain=0.0, position_gain=1.0, speed=1.0):
        motion = standing_motion(4.0)
        t = np.arange(len(motion)) / 50.0
        along = turn(facing, np.array([1.0, 0.0]))
        pos = motion.root_pos + np.array([7.0, -3.0, 0.0]) + np.outer(speed * t, [*along, 0.0])
        quat = np.tile(_yaw(facing), (len(t), 1))
        self.listener, self.now = Listener(), 0.0
        self.tracker = Tracker(self.listener, heading_gain, position_gain)
        self.robot_yaw, self.joints = robot_yaw, STANDING
        reference = prepare(RobotMotion(50.0, pos, quat, motion.joint_pos))
        present = self.tracker.frame
        self.tracker.start(Trajectory.blended(reference, STANDING, present, 0.1), self.state(), keep_policy=True)

    def state(self):
        return replace(standing_state(self.now, joint_pos=self.joints), quat_wxyz=_yaw(self.robot_yaw))

    def go(self, seconds):
        for _ in range(round(50 * seconds)):
            self.now += 0.02
            self.tracker.tick(self.state())
        return self.listener.told


def _yaw(angle):
    return Rotation.from_euler("z", angle).as_quat(scalar_first=True)


@pytest.mark.parametrize("robot_yaw", [0.0, 1.2, -2.9])
@pytest.mark.parametrize("facing", [0.0, 2.0])
def test_the_trajectory_begins_where_the_robot_stands_and_faces(robot_yaw, facing):
    """Wherever the reference's world lies in the robot's, a walk ahead is told as a walk ahead."""
    walk = Walk(robot_yaw, facing, position_gain=0.0)
    told = walk.go(2.0)
    np.testing.assert_allclose(told.lin_vel_xy, [1.0, 0.0], atol=1e-6)
    passed = 2.0 - 0.12  # s, less the blend and the tick under way
    np.testing.assert_allclose(walk.tracker.place, turn(robot_yaw, np.array([passed, 0.0])), atol=0.01)


@pytest.mark.parametrize("robot_yaw", [0.0, 1.2])
def test_a_robot_left_behind_is_told_to_hurry_no_more_than_the_limit(robot_yaw):
    walk = Walk(robot_yaw, position_gain=1.0, speed=0.1)
    np.testing.assert_allclose(walk.go(1.14).lin_vel_xy, [0.2, 0.0], atol=0.003)  # 0.1 m behind
    fast = Walk(robot_yaw, position_gain=1.0, speed=1.0)
    np.testing.assert_allclose(fast.go(3.0).lin_vel_xy, [1.0 + _MAX_SPEED, 0.0], atol=1e-6)


def test_the_velocity_told_is_in_the_robots_own_heading():
    """The robot is turned to the left of the path: it is told to go to its right, not where its nose points."""
    walk = Walk(position_gain=0.0)
    walk.robot_yaw = np.pi / 2
    np.testing.assert_allclose(walk.go(1.0).lin_vel_xy, [0.0, -1.0], atol=1e-6)


@pytest.mark.parametrize(("robot_yaw", "wanted"), [(0.0, [-1, 0]), (np.pi / 2, [-1, 0]), (np.pi, [-1, 0])])
def test_a_robot_that_was_carried_forward_is_told_to_go_back(robot_yaw, wanted):
    walk = Walk(robot_yaw, speed=0.0)
    walk.go(0.2)
    for amount in np.linspace(0.0, 0.1, 20):  # the legs lean: the pelvis goes forward by 0.07 m
        walk.joints = STANDING.copy()
        walk.joints[[0, 6]] += amount
        walk.joints[[4, 10]] -= amount
        told = walk.go(0.02)
    np.testing.assert_allclose(told.lin_vel_xy, 0.068 * np.array(wanted), atol=0.01)


def test_heading_is_turned_back_and_the_turn_limited():
    for error, wanted in ((0.2, -0.2), (-0.2, 0.2), (2.0, -0.5), (2 * np.pi - 0.1, 0.1)):
        walk = Walk(heading_gain=1.0)
        walk.robot_yaw = error
        assert walk.go(0.1).yaw_rate == pytest.approx(wanted, abs=1e-6)


def test_standing_after_a_motion_keeps_the_place_where_it_should_have_ended():
    walk = Walk(robot_yaw=0.5, heading_gain=1.0, position_gain=1.0, speed=0.1)
    walk.go(4.5)
    place = walk.tracker.place
    assert np.linalg.norm(place) == pytest.approx(0.4, abs=0.01)
    walk.robot_yaw = 0.7
    standing = Trajectory.standing(STANDING, 1.0)
    walk.tracker.start(standing, walk.state(), keep_policy=True, keep_place=True)
    told = walk.go(0.5)
    np.testing.assert_array_equal(walk.tracker.place, place)
    assert told.yaw_rate == pytest.approx(-0.2)
    assert np.linalg.norm(told.lin_vel_xy) == pytest.approx(min(0.4, _MAX_SPEED), abs=0.01)
    walk.tracker.start(standing, walk.state(), keep_policy=True)  # without it: here and so
    assert walk.go(0.5).yaw_rate == pytest.approx(0.0)
    np.testing.assert_allclose(walk.listener.told.lin_vel_xy, 0.0, atol=1e-6)
