"""The outer loop: what the policy is commanded when position or heading are off."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from control_helpers import DATA, TWIST2, needs_data, no_lead_in, standing_state
from scipy.spatial.transform import Rotation

from exoactor_control.controller.tracker import (
    LEAN,
    MAX_LEAN,
    MAX_SPEED,
    MAX_TURN,
    Additions,
    TrajectoryTracker,
    _on_stops,
)
from exoactor_control.reference.trajectory import Trajectory, prepare
from exoactor_control.rehearsal.rehearsal import Rehearsal
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import EFFORT_LIMITS, JOINT_LIMITS, STANDING, standing_motion
from exoactor_core.rotations import rotate_2d


class Listener:
    """Stands where a policy does and keeps its command."""

    kp = kd = np.ones(29)
    spec = SimpleNamespace(outer_loop=True)

    def act(self, state, frame, ahead):
        self.command = frame
        return frame.joint_pos

    def reset(self):
        pass


class Walk:
    """A tracker that follows a walk of 1 m/s along its own x, its yaw ``facing``; the robot stays where it is."""

    def __init__(self, robot_yaw=0.0, facing=0.0, heading_gain=0.0, position_gain=1.0, speed=1.0, additions=None):
        motion = standing_motion(4.0)
        t = np.arange(len(motion)) / 50.0
        along = rotate_2d(facing, np.array([1.0, 0.0]))
        pos = motion.root_pos + np.array([7.0, -3.0, 0.0]) + np.outer(speed * t, [*along, 0.0])
        quat = np.tile(_yaw(facing), (len(t), 1))
        self.listener, self.now = Listener(), 0.0
        self.tracker = TrajectoryTracker(self.listener, heading_gain, position_gain)
        self.robot_yaw, self.joints = robot_yaw, STANDING
        reference = prepare(RobotMotion(50.0, pos, quat, motion.joint_pos))
        present = self.tracker.frame
        with no_lead_in():
            trajectory = Trajectory.blended(reference, STANDING, present, 0.1)
        self.tracker.start(trajectory, self.state(), keep_policy=True, additions=additions)

    def state(self):
        return replace(standing_state(self.now, joint_pos=self.joints), quat_wxyz=_yaw(self.robot_yaw))

    def go(self, seconds):
        for _ in range(round(50 * seconds)):
            self.now += 0.02
            self.tracker.tick(self.state())
        return self.listener.command


def _yaw(angle):
    return Rotation.from_euler("z", angle).as_quat(scalar_first=True)


@pytest.mark.parametrize("robot_yaw", [0.0, 1.2, -2.9])
@pytest.mark.parametrize("facing", [0.0, 2.0])
def test_the_trajectory_begins_where_the_robot_stands_and_faces(robot_yaw, facing):
    """Wherever the reference's world lies in the robot's, a walk ahead is commanded as a walk ahead."""
    walk = Walk(robot_yaw, facing, position_gain=0.0)
    command = walk.go(2.0)
    np.testing.assert_allclose(command.lin_vel_xy, [1.0, 0.0], atol=1e-6)
    passed = 2.0 - 0.12  # s, less the blend and the tick under way
    np.testing.assert_allclose(
        walk.tracker.reference_position, rotate_2d(robot_yaw, np.array([passed, 0.0])), atol=0.01
    )


def test_what_the_way_into_the_motion_moved_is_let_be():
    walk = Walk(heading_gain=1.0, speed=0.0)
    walk.robot_yaw = 0.3
    assert walk.go(0.06).yaw_rate == pytest.approx(-0.3)  # still on the way
    assert walk.go(0.1).yaw_rate == pytest.approx(0.0)


class Objects:
    """Stands where hands are led to objects, which are 5 cm to the left of where the motion has them."""

    stances, holds = frozenset(), False

    def in_one_hand(self, index):
        return self.holds

    def moved(self, index, to_odometry):
        return np.array([0.0, 0.05])

    def corrected(self, index, frame, sway, to_odometry, joint_pos):
        return frame


def test_a_motion_with_objects_stays_where_they_are():
    walk = Walk(heading_gain=1.0, speed=0.0, additions=Additions(hand_reach=Objects()))
    walk.robot_yaw = 0.3
    assert walk.go(0.5).yaw_rate == pytest.approx(-0.3)
    np.testing.assert_allclose(walk.tracker.reference_position, [0.0, 0.05], atol=1e-9)


def test_before_a_reach_the_motion_waits_while_the_robot_steps_to_its_place():
    def indices(off, holds=False):
        hands = Objects()
        hands.holds = holds
        hands.stances, hands.moved = frozenset([50]), lambda index, to_odometry: np.array([0.0, off])
        walk = Walk(heading_gain=1.0, speed=0.0, additions=Additions(hand_reach=hands))
        found, lifted = [], []
        for _ in range(round(50 * 11.0)):
            command = walk.go(0.02)
            found.append(walk.tracker.motion_index)
            lifted.append(command.joint_pos[[3, 9]].max() - STANDING[3] > 0.3)
        return np.array(found), np.array(lifted)

    index, lifted = indices(0.12)
    waits = np.flatnonzero(index == 49)
    assert len(waits) == 1 + 4 * 100  # four rounds at most, of 2 s
    assert lifted[waits].any()
    assert not np.delete(lifted, waits).any()
    assert index.max() > 60
    for close in (indices(0.02), indices(0.10, holds=True)):
        index, lifted = close
        assert (index == 49).sum() == 1
        assert not lifted.any()


@pytest.mark.parametrize("robot_yaw", [0.0, 1.2])
def test_a_robot_left_behind_is_told_to_hurry_no_more_than_the_limit(robot_yaw):
    walk = Walk(robot_yaw, position_gain=1.0, speed=0.1)
    np.testing.assert_allclose(walk.go(1.14).lin_vel_xy, [0.2, 0.0], atol=0.003)  # 0.1 m behind
    fast = Walk(robot_yaw, position_gain=1.0, speed=1.0)
    np.testing.assert_allclose(fast.go(3.0).lin_vel_xy, [1.0 + 0.25 * MAX_SPEED, 0.0], atol=1e-6)  # it is a fast walk
    slow = Walk(robot_yaw, position_gain=1.0, speed=0.3)
    np.testing.assert_allclose(slow.go(3.5).lin_vel_xy, [0.3 + MAX_SPEED, 0.0], atol=1e-6)


def test_the_velocity_told_is_in_the_robots_own_heading():
    """The robot is turned to the left of the path: it is commanded to its right, not where its nose points."""
    walk = Walk(position_gain=0.0)
    walk.go(0.2)
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
        command = walk.go(0.02)
    np.testing.assert_allclose(command.lin_vel_xy, 0.068 * np.array(wanted), atol=0.01)
    assert command.roll_pitch[1] == pytest.approx(-0.068 * LEAN, abs=0.003)  # and to lean backward


def test_it_leans_towards_its_position_no_more_than_the_limit():
    """A robot turned to the left of its path and behind: its position is to its right, where a positive roll leans."""
    walk = Walk(position_gain=1.0, speed=0.35)
    walk.go(0.2)
    walk.robot_yaw = np.pi / 2
    roll, pitch = walk.go(3.0).roll_pitch
    assert roll == pytest.approx(MAX_LEAN, abs=0.002)
    assert abs(pitch) < 0.01
    assert walk.tracker.frame.roll_pitch == pytest.approx([0.0, 0.0])  # what it is judged by stays


def test_it_leans_away_from_the_weight_of_its_hands():
    command = {}
    for fitted in (False, True):
        walk = Walk(speed=0.0)
        walk.joints = STANDING.copy()
        walk.joints[[15, 22]] = -1.0  # arms ahead
        walk.tracker.fit_hands([fitted] * 2)
        command[fitted] = walk.go(1.0).roll_pitch
    roll, pitch = command[True] - command[False]
    assert pitch < -0.01
    assert roll == pytest.approx(0.0, abs=1e-3)


def test_a_waist_that_leans_on_its_stop_is_hardly_driven():
    waist, stop = 14, JOINT_LIMITS[14, 1]
    kp = np.full(29, 100.0)

    def torque(reference, measured):
        target, there = np.zeros(29), np.full(29, measured)
        return kp[waist] * (_on_stops(target, np.full(29, reference), there, kp) - there)[waist]

    assert torque(stop - 0.01, stop) == pytest.approx(-EFFORT_LIMITS[waist] / 2)
    assert torque(stop - 0.1, stop) == pytest.approx(-100.0 * stop)  # it is to come up
    assert torque(stop, stop - 0.1) == pytest.approx(-100.0 * (stop - 0.1))  # it is not there


@pytest.mark.parametrize(("additions", "wanted"), [(None, 0.0), (Additions(hand_reach=Objects()), -0.075)])
def test_a_waist_that_is_bent_more_than_the_motion_has_it_is_raised_where_hands_are_led(additions, wanted):
    walk, waist = Walk(speed=0.0, additions=additions), 14
    walk.joints = STANDING.copy()
    walk.joints[waist] += 0.1
    walk.go(0.5)
    assert (walk.tracker.target - walk.tracker.frame.joint_pos)[waist] == pytest.approx(wanted, abs=1e-3)
    walk.go(2.0)
    assert walk.tracker.target[waist] > STANDING[waist] - 0.13  # no further


def test_heading_is_turned_back_and_the_turn_limited():
    for start, error, wanted in (
        (0, 0.2, -0.2),
        (0, -0.2, 0.2),
        (0, 2.5, -MAX_TURN),
        (3.0, 0.3, -0.3),
        (-3.0, -0.3, 0.3),
    ):
        walk = Walk(start, heading_gain=1.0, speed=0.3)
        walk.robot_yaw += error
        assert walk.go(0.1).yaw_rate == pytest.approx(wanted, abs=1e-6)
    fast = Walk(heading_gain=1.0, speed=1.0)
    fast.go(1.0)
    fast.robot_yaw += 0.2
    assert fast.go(0.1).yaw_rate == pytest.approx(-0.2 * (1.0 + 0.25) / 2.0, abs=1e-6)  # the pelvis may sway


def test_standing_after_a_motion_keeps_the_position_where_it_should_have_ended():
    walk = Walk(robot_yaw=0.5, heading_gain=1.0, position_gain=1.0, speed=0.1)
    walk.go(4.5)
    position = walk.tracker.reference_position
    assert np.linalg.norm(position) == pytest.approx(0.4, abs=0.01)
    walk.robot_yaw = 0.7
    standing = Trajectory.standing(STANDING, 1.0)
    walk.tracker.start(standing, walk.state(), keep_policy=True, keep_position=True)
    command = walk.go(0.5)
    np.testing.assert_array_equal(walk.tracker.reference_position, position)
    assert command.yaw_rate == pytest.approx(-0.2)
    assert np.linalg.norm(command.lin_vel_xy) == pytest.approx(min(0.4, MAX_SPEED), abs=0.01)
    walk.tracker.start(standing, walk.state(), keep_policy=True)  # without it: here and so
    assert walk.go(0.5).yaw_rate == pytest.approx(0.0)
    np.testing.assert_allclose(walk.listener.command.lin_vel_xy, 0.0, atol=1e-6)


def test_in_a_motion_with_an_open_loop_nothing_is_fed_back_and_standing_goes_on_where_the_robot_is():
    walk = Walk(position_gain=1.0, heading_gain=1.0, speed=0.35)
    walk.tracker.trajectory = replace(walk.tracker.trajectory, open_loop=True)
    walk.go(1.0)
    walk.tracker.odometry.update = lambda state: None
    walk.tracker.odometry.position, walk.tracker.odometry.yaw = np.array([0.3, -0.4]), 0.2
    command = walk.go(0.02)
    assert command.yaw_rate == pytest.approx(0.0, abs=1e-6)
    assert np.linalg.norm(command.lin_vel_xy) == pytest.approx(0.35, abs=1e-6)
    assert not walk.tracker.settle()
    walk.tracker.start(Trajectory.standing(STANDING, 1.0), walk.state(), keep_policy=True, keep_position=True)
    np.testing.assert_array_equal(walk.tracker.reference_position, [0.3, -0.4])


class TestSteppingWhereTheMotionStands:
    """A robot on its two feet does not get back to its place, wherever it was pushed to."""

    @staticmethod
    def lifted(off, speed=0.0, seconds=2.5, **options):
        """Whether each foot is lifted, frame by frame, by a robot that is ``off`` m beside its place."""
        walk = Walk(speed=speed, **options)
        walk.go(0.5)
        walk.tracker.odometry.update = lambda state: None
        walk.tracker.odometry.position = walk.tracker.reference_position - [0.0, off]
        begin = walk.tracker.motion_index
        found = [walk.go(0.02).joint_pos[[3, 9]] - STANDING[[3, 9]] > 0.3 for _ in range(round(50 * seconds))]
        assert walk.tracker.motion_index == begin + len(found)  # the motion does not wait
        return np.array(found)

    def test_a_robot_that_is_astray_steps_by_turns_towards_its_place(self):
        left, right = self.lifted(0.3).T
        assert left.argmax() < right.argmax()  # its place is to the left
        assert right.any()
        assert not (left & right).any()
        left, right = self.lifted(-0.3).T
        assert left.argmax() > right.argmax()
        assert left.any()

    def test_it_stays_where_it_is_near_walks_or_is_open_loop(self):
        assert not self.lifted(0.1).any()
        assert not self.lifted(0.3, speed=0.3).any()
        assert not self.lifted(0.3, position_gain=0.0).any()

    def test_it_ends_on_both_feet(self):
        walk = Walk(speed=0.0)
        walk.go(0.5)
        walk.tracker.odometry.update = lambda state: None
        walk.tracker.odometry.position = walk.tracker.reference_position + np.array([0.3, 0.0])
        walk.go(3.5)
        assert walk.tracker.motion_index > 190
        np.testing.assert_allclose(walk.listener.command.joint_pos, STANDING, atol=0.02)


class TestSettle:
    """Steps on the spot after a motion that ended astray."""

    @staticmethod
    def ended(**options):
        walk = Walk(robot_yaw=0.5, **options)
        walk.go(0.02 * len(walk.tracker.trajectory))
        assert walk.tracker.finished
        return walk

    def test_a_robot_that_is_astray_steps_by_turns_and_is_commanded_there(self):
        walk = self.ended(speed=0.1)
        walk.robot_yaw = -0.5
        position = walk.tracker.reference_position
        assert walk.tracker.settle()
        assert not walk.tracker.finished
        lifted, seconds = [], 0
        while not walk.tracker.finished:
            command = walk.go(0.02)
            seconds += 0.02
            np.testing.assert_allclose(command.lin_vel_xy, rotate_2d(1.0, np.array([0.4, 0.0])), atol=0.05)
            assert not command.in_motion
            lifted.append(command.joint_pos[[3, 9]] - STANDING[[3, 9]] > 0.3)
        np.testing.assert_array_equal(walk.tracker.reference_position, position)
        left, right = np.array(lifted).T
        assert left.any()
        assert right.any()
        assert not (left & right).any()
        np.testing.assert_allclose(command.joint_pos, STANDING, atol=1e-6)  # it ends on both feet
        assert seconds == pytest.approx(2.0)
        assert walk.tracker.progress == 1.0

    def test_there_is_an_end_to_it(self):
        walk, rounds = self.ended(), 0
        while walk.tracker.settle():
            rounds += 1
            walk.go(2.0)
        assert rounds == 4

    def test_a_turned_robot_steps_round(self):
        walk = self.ended(speed=0.0)
        assert not walk.tracker.settle()
        walk.robot_yaw = 0.7
        walk.go(0.02)
        assert walk.tracker.settle()

    def test_open_loop_it_stays(self):
        assert not self.ended(position_gain=0.0).tracker.settle()


@needs_data
def test_twist2_ends_where_the_reference_does():
    """Tracked open loop it walks twice as far as it should."""
    motion = RobotMotion.load(DATA / "motions" / "asap_step_forward_forward_level1.npz")
    without = Rehearsal(policy=str(TWIST2), position_gain=0.0)(motion).metrics
    with_loop = Rehearsal(policy=str(TWIST2))(motion).metrics
    assert without["final_position_error"] > 0.4
    assert with_loop["end_position_error"] < 0.8 * without["end_position_error"]
    assert with_loop["final_position_error"] < 0.15
    assert with_loop["final_heading_error"] < 0.17
    assert with_loop["success"], with_loop["reason"]
    # and the odometry against simulated truth, over more than a metre
    assert without["odometry_error"] < 0.15 * without["final_position_error"] + 0.02
