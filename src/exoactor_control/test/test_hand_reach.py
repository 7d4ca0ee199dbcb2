from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from exoactor_control.controller.arms import ARMS
from exoactor_control.controller.hand_reach import CONFIRMED, MAX_SHIFT, MAX_SPEED, HandReach
from exoactor_control.reference.trajectory import POLICY_RATE, Frame, Reference
from exoactor_core.contacts import Contact
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import HAND_LINKS, HAND_POINT, STANDING, STANDING_HEIGHT, link_poses, standing_motion
from exoactor_core.scene import everyday, joined

AT_ORIGIN = (np.zeros(2), 0.0)
STILL = np.zeros(6)
BEFORE = round(1.0 * POLICY_RATE)  # a frame just before the contact


def reach(scene=(), seconds=5.0, **contact) -> HandReach:
    """For a motion that stands, its left hand on a bottle from 1 s to 3 s."""
    motion = standing_motion(seconds)
    values = {"body": "left_hand", "object": "bottle", "kind": "touch", "start": 1.0, "end": 3.0} | contact
    motion = RobotMotion(
        motion.fps,
        motion.root_pos,
        motion.root_quat_wxyz,
        motion.joint_pos,
        object_contacts=(Contact.model_validate(values),),
    )
    return HandReach(Reference(motion, ()), joined([everyday("bottle", pos=(0.3, 0.2, 0.7)), *scene]))


def standing(position=(0.0, 0.0), yaw: float = 0.0) -> Frame:
    return Frame(
        np.zeros(2), STANDING_HEIGHT, np.zeros(2), yaw, 0.0, STANDING, position=np.r_[position, STANDING_HEIGHT]
    )


def hand_point(joint_pos: np.ndarray, position=(0.0, 0.0), yaw: float = 0.0, hand: str = "left_hand") -> np.ndarray:
    quat = Rotation.from_euler("z", yaw).as_quat(scalar_first=True)
    motion = RobotMotion(50.0, np.r_[position, STANDING_HEIGHT][None], quat[None], joint_pos[None])
    positions, rotations = link_poses(motion, [HAND_LINKS[hand]])
    return positions[0, 0] + rotations[0, 0] @ HAND_POINT


def after(hands: HandReach, sway=STILL, frame=None, to_odometry=AT_ORIGIN, last: int = BEFORE, droop=0.0) -> np.ndarray:
    """(29,) joints of the last of the frames up to ``last``, the robot's being short of them by ``droop``."""
    frame = standing() if frame is None else frame
    joints = frame.joint_pos
    for index in range(last - 49, last + 1):
        joints = hands.corrected(index, frame, np.asarray(sway), to_odometry, joints - droop).joint_pos
    return joints


WANTED = hand_point(STANDING)


def pose(x, y, z=0.7, yaw=0.0):
    return np.r_[x, y, z, Rotation.from_euler("z", yaw).as_quat(scalar_first=True)]


def test_an_object_where_the_scene_has_it_moves_nothing():
    hands = reach()
    hands.observe("bottle", pose(0.3, 0.2))
    np.testing.assert_allclose(hand_point(after(hands)), WANTED, atol=2e-3)


def test_the_hand_follows_an_object_that_was_moved():
    hands = reach()
    hands.observe("bottle", pose(0.34, 0.17))
    np.testing.assert_allclose(hand_point(after(hands)) - WANTED, [0.04, -0.03, 0.0], atol=6e-3)


@pytest.mark.parametrize("away", [(-0.6, 0.0), (0.0, 0.5)])
def test_an_arm_that_does_not_get_to_its_object_is_still(away):
    hands = reach()
    hands.observe("bottle", pose(0.3, 0.2))
    joints = [
        hands.corrected(BEFORE - 1, standing(), np.r_[away, np.zeros(4)], AT_ORIGIN, STANDING) for _ in range(150)
    ]
    path = np.array([frame.joint_pos for frame in joints[-20:]])
    assert np.linalg.norm(hand_point(path[-1], away) - WANTED) > 0.1
    assert np.abs(np.diff(path, axis=0)).max() < 0.01


def test_an_arm_comes_back_from_another_branch_of_solutions():
    hands, arm = reach(), ARMS["left_hand"]
    hands.observe("bottle", pose(0.3, 0.2))
    folded = STANDING.copy()
    folded[arm] = [2.64, 2.06, -0.21, 1.33, -0.01, 0.09, 0.92]
    after(hands, frame=replace(standing(), joint_pos=folded))
    np.testing.assert_allclose(after(hands)[arm], STANDING[arm], atol=0.4)


def test_the_whole_motion_follows_the_object_until_the_hand_reaches_for_it():
    hands = reach(start=4.0, end=4.5)
    hands.observe("bottle", pose(0.34, 0.17))
    for index in range(round(2.7 * POLICY_RATE)):
        moved = hands.moved(index, AT_ORIGIN)
    np.testing.assert_allclose(moved, [0.04, -0.03], atol=2e-3)
    hands.observe("bottle", pose(0.4, 0.17))
    np.testing.assert_array_equal(hands.moved(round(3.0 * POLICY_RATE), AT_ORIGIN), moved)


def test_before_it_sits_down_the_whole_motion_follows_the_seat_and_the_robot_stands_in_its_place():
    body = reach(body="seat", kind="sit", start=4.0, end=4.5)
    body.observe("bottle", pose(0.34, 0.17))
    for index in range(round(2.7 * POLICY_RATE)):
        moved = body.moved(index, AT_ORIGIN)
    np.testing.assert_allclose(moved, [0.04, -0.03], atol=2e-3)
    (stands,) = body.stances
    assert 1.0 * POLICY_RATE < stands < 2.7 * POLICY_RATE


def test_before_it_steps_over_something_the_robot_stands_in_its_place():
    motion = standing_motion(5.0)
    motion.root_pos[:, 0] = np.clip(np.arange(len(motion)) / motion.fps - 3.0, 0.0, 0.8)
    for height, expected in ((0.05, 1), (0.004, 0), (0.3, 0)):  # a mat is walked over, a crate is not
        low = everyday("box", "low", pos=(0.4, 0.0, 0.0), size=(0.05, 1.0, height))
        assert len(HandReach(Reference(motion, ()), joined([low])).stances) == expected
    bar = joined([everyday("bar", pos=(0.4, 0.0, 0.0))])  # its posts' feet reach farther than its rail
    (stands,) = HandReach(Reference(motion, ()), bar).stances
    assert 2.3 * POLICY_RATE < stands < 2.8 * POLICY_RATE


def test_with_an_object_in_the_hand_the_motion_follows_what_it_is_put_on():
    hands = reach(scene=[everyday("stand", pos=(*WANTED[:2], 0.0))], kind="grasp", start=0.5, end=4.5)
    hands.observe("stand", pose(WANTED[0] - 0.05, WANTED[1] + 0.02, 0.0))
    assert hands.follows("stand")
    for index in range(round(0.6 * POLICY_RATE), round(2.4 * POLICY_RATE)):
        moved = hands.moved(index, AT_ORIGIN)
    np.testing.assert_allclose(moved, [-0.05, 0.02], atol=3e-3)


def test_who_has_just_taken_an_object_is_not_moved_at_once():
    stand = everyday("stand", pos=(*WANTED[:2], 0.0))
    hands = reach(scene=[stand], seconds=20.0, kind="grasp", start=0.5, end=19.5)
    hands.observe("stand", pose(WANTED[0] - 0.10, WANTED[1], 0.0))
    path = np.array([hands.moved(i, AT_ORIGIN) for i in range(round(0.6 * POLICY_RATE), round(17.4 * POLICY_RATE))])
    assert abs(path[round(1.0 * POLICY_RATE), 0]) < 0.02
    np.testing.assert_allclose(path[-1], [-0.10, 0.0], atol=3e-3)


def test_the_robot_stands_in_its_place_before_the_hand_is_raised_and_before_it_puts_something_down():
    stand = everyday("stand", pos=(*WANTED[:2], 0.0))
    (touched,) = reach(scene=[stand], kind="touch", start=4.0, end=4.5).stances
    assert 0.5 * POLICY_RATE < touched < 2.0 * POLICY_RATE
    assert len(reach(scene=[stand], kind="grasp", start=0.5, end=4.5).stances) == 2


def test_an_arm_that_droops_is_raised():
    hands = reach()
    droop = np.zeros(29)
    droop[15] = -0.1  # the left shoulder's pitch
    measured = after(hands, droop=droop) - droop
    assert abs(measured[15] - STANDING[15]) < 0.05


def test_a_hand_that_is_still_at_the_trunk_is_not_moved():
    """Nor is an arm then taken to droop that is only not where the correction will have it."""
    hands = reach(start=3.0, end=4.0)
    hands.observe("bottle", pose(0.3, 0.05))
    np.testing.assert_array_equal(after(hands, last=round(1.5 * POLICY_RATE)), STANDING)
    joints = after(hands, last=round(3.0 * POLICY_RATE))
    np.testing.assert_allclose(hand_point(joints) - WANTED, [0.0, -0.15, 0.0], atol=0.02)


def test_other_joints_stay():
    hands = reach()
    hands.observe("bottle", pose(0.34, 0.17))
    joints = after(hands)
    others = np.r_[:15, 22:29]
    np.testing.assert_array_equal(joints[others], STANDING[others])
    assert np.abs(joints[15:22] - STANDING[15:22]).max() > 0.02


def test_the_body_that_sways_is_made_up_for():
    joints = after(reach(), sway=(-0.03, 0.02, 0.0, 0.0, 0.0, 0.05))
    np.testing.assert_allclose(hand_point(joints, (-0.03, 0.02), 0.05), WANTED, atol=6e-3)


def test_the_body_that_is_lower_and_bent_more_is_made_up_for_until_one_hand_holds():
    hands = reach()
    posture = (0.0, 0.0, -0.03, 0.0, 0.10, 0.0)
    joints = after(hands, sway=posture)
    quat = Rotation.from_rotvec(posture[3:]).as_quat(scalar_first=True)
    body = RobotMotion(50.0, np.array([[0.0, 0.0, STANDING_HEIGHT - 0.03]]), quat[None], joints[None])
    positions, rotations = link_poses(body, [HAND_LINKS["left_hand"]])
    np.testing.assert_allclose(positions[0, 0] + rotations[0, 0] @ HAND_POINT, WANTED, atol=8e-3)
    for last in (2.0, 2.9):  # the load of a stretched arm bends the body, too
        holding = after(hands, sway=posture, last=round(last * POLICY_RATE))
    assert np.abs(joints - STANDING).max() > 0.1
    np.testing.assert_allclose(holding, STANDING, atol=0.03)


def test_a_waist_that_is_bent_more_is_made_up_for():
    hands, joints = reach(), STANDING.copy()
    measured = STANDING.copy()
    measured[14] += 0.1
    for index in range(BEFORE + 1):
        joints = hands.corrected(index, standing(), STILL, AT_ORIGIN, np.r_[measured[:15], joints[15:]]).joint_pos
    np.testing.assert_allclose(hand_point(np.r_[measured[:15], joints[15:]]), WANTED, atol=8e-3)


@pytest.mark.faults
@pytest.mark.parametrize("distance", [0.25, 5.0])
def test_an_object_that_is_far_off_is_not_lunged_for(distance):
    hands = reach()
    hands.observe("bottle", pose(0.3 + distance, 0.2))
    assert np.linalg.norm(hand_point(after(hands)) - WANTED) <= MAX_SHIFT + 0.01


@pytest.mark.faults
def test_an_observation_that_jumps_is_ignored_and_counted():
    hands = reach()
    hands.observe("bottle", pose(0.32, 0.2))
    hands.observe("bottle", pose(1.32, 0.2))
    assert hands.ignored == {"bottle": 1}
    np.testing.assert_allclose(hand_point(after(hands)) - WANTED, [0.02, 0.0, 0.0], atol=6e-3)


@pytest.mark.faults
def test_an_object_that_stays_where_it_jumped_to_is_believed_there():
    hands = reach()
    hands.observe("bottle", pose(1.34, 0.2))  # an error at first
    for _ in range(CONFIRMED - 1):
        hands.observe("bottle", pose(0.32, 0.2))
    hands.observe("bottle", pose(5.0, 0.2))  # nor do errors stop at one place
    for _ in range(CONFIRMED):
        hands.observe("bottle", pose(0.32, 0.2))
    np.testing.assert_allclose(hand_point(after(hands)) - WANTED, [0.02, 0.0, 0.0], atol=6e-3)
    led, ignored = hands.notes
    assert led.startswith("The hands were led to the bottle, 1.9 cm")
    assert ignored == f"{2 * CONFIRMED - 1} observations of the bottle were ignored: it jumped by over 0.3 m."


@pytest.mark.faults
def test_the_correction_changes_slowly_whatever_is_observed():
    hands, points = reach(start=4.0, end=4.5), []
    for index in range(round(3.9 * POLICY_RATE)):
        hands.observe("bottle", pose(0.3 + (0.14 if index % 25 < 12 else -0.14), 0.2))
        points.append(hand_point(hands.corrected(index, standing(), STILL, AT_ORIGIN, STANDING).joint_pos))
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).max() < 1.5 * MAX_SPEED / POLICY_RATE


@pytest.mark.faults
def test_what_is_not_observed_is_where_the_scene_has_it():
    hands = reach()
    np.testing.assert_allclose(hand_point(after(hands)), WANTED, atol=2e-3)
    assert hands.notes == ["The bottle was not observed: the hands went to where the scene has it."]


def test_the_correction_is_held_from_the_touch_on():
    hands = reach()
    hands.observe("bottle", pose(0.34, 0.2))
    touching = after(hands)
    hands.observe("bottle", pose(0.4, 0.3))
    held = after(hands, sway=(0.05, 0.05, 0.0, 0.0, 0.0, 0.05), last=round(2.5 * POLICY_RATE))
    np.testing.assert_allclose(held, touching, atol=5e-3)


def carrying() -> HandReach:
    """For a motion that stands, both hands on a box from 1 s to 7.5 s."""
    motion = standing_motion(8.0)
    taken = [
        Contact(body=f"{side}_hand", object="box", kind="grasp", start=1.0, end=7.5)  # type: ignore[arg-type]
        for side in ("left", "right")
    ]
    box = everyday("box", pos=(WANTED[0], 0.0, 0.6))
    return HandReach(Reference(replace(motion, object_contacts=tuple(taken)), ()), joined([box]))


def test_what_two_hands_carry_comes_back_before_the_body():
    """Where the robot stood as it took something, and what that moved the hands by, is left behind."""
    hands = carrying()
    hands.observe("box", pose(WANTED[0] + 0.02, 0.03, 0.6))
    sway = (-0.04, 0.0, 0.0, 0.0, 0.0, 0.1)
    touching = after(hands, sway=sway)
    assert np.linalg.norm(hand_point(touching) - WANTED) > 0.04
    held = after(hands, sway=sway, last=round(1.9 * POLICY_RATE))
    np.testing.assert_allclose(hand_point(held), hand_point(touching), atol=5e-3)
    for last in (2.9, 3.9, 4.9, 5.9):
        carried = after(hands, sway=sway, last=round(last * POLICY_RATE))
    np.testing.assert_allclose(hand_point(carried), WANTED, atol=6e-3)


def observing(hands: HandReach, seen: np.ndarray | None, first: float, last: float) -> np.ndarray:
    """(29,) joints of the last frame from ``first`` to ``last`` s, the box being observed in each where it is seen."""
    joints = STANDING
    for index in range(round(first * POLICY_RATE), round(last * POLICY_RATE) + 1):
        if seen is not None:
            hands.observe("box", seen)
        joints = hands.corrected(index, standing(), np.zeros(6), AT_ORIGIN, joints).joint_pos
    return joints


def test_two_hands_are_raised_for_what_slips_down_between_them():
    hands = carrying()
    level = observing(hands, pose(WANTED[0], 0.0, 0.6), 0.0, 3.0)
    slipped = observing(hands, pose(WANTED[0], 0.0, 0.56), 3.0, 6.0)
    assert 0.02 < hand_point(slipped)[2] - hand_point(level)[2] < 0.12
    assert not hands.lost


def test_two_hands_of_which_one_is_higher_are_raised_alike_for_what_slips():
    """One that was raised for being higher would tip the box further."""
    aslant, hands = STANDING.copy(), carrying()
    aslant[ARMS["left_hand"]][0] -= 0.3
    for index in range(round(5.0 * POLICY_RATE)):
        hands.observe("box", pose(WANTED[0], 0.0, 0.56))
        hands.corrected(index, standing(), STILL, AT_ORIGIN, aslant)
    assert hands._slip[0] == hands._slip[1] > 0.02


@pytest.mark.parametrize(
    ("gone", "lost"), [((0.0, 0.0, -0.5), "box"), ((0.0, 0.5, 0.0), "box"), ((0.0, 0.0, -0.05), "")]
)
def test_an_object_that_hands_have_no_more_is_lost(gone, lost):
    hands, there = carrying(), np.array([WANTED[0], 0.0, 0.6])
    observing(hands, pose(*there), 0.0, 3.0)
    assert not hands.lost
    observing(hands, pose(*(there + gone)), 3.0, 4.0)
    assert hands.lost == lost


def test_an_object_that_was_put_down_is_not_lost():
    hands = carrying()
    observing(hands, pose(WANTED[0], 0.0, 0.6), 0.0, 7.1)
    observing(hands, pose(WANTED[0] + 0.5, 0.0, 0.6), 7.2, 8.0)
    assert not hands.lost


def test_an_object_that_is_not_observed_while_it_is_carried_off_is_not_lost():
    hands = carrying()
    observing(hands, pose(WANTED[0], 0.0, 0.6), 0.0, 3.0)
    for index in range(round(3.0 * POLICY_RATE), round(6.0 * POLICY_RATE)):
        far = standing((0.01 * (index - 150), 0.0))
        hands.corrected(index, far, np.zeros(6), AT_ORIGIN, STANDING)
    assert not hands.lost


def carried_for(last: float, sinks: np.ndarray, yaw: float) -> np.ndarray:
    """Measured joints (29,) after so many s, those of the left arm being short of their targets by ``sinks`` (7,)."""
    hands = carrying()
    measured, droop = STANDING.copy(), np.zeros(29)
    droop[ARMS["left_hand"]] = sinks
    for index in range(round(last * POLICY_RATE)):
        joints = hands.corrected(index, standing(yaw=yaw), STILL, (np.zeros(2), yaw), measured).joint_pos
        measured += 0.25 * (joints - droop * (index > 1.2 * POLICY_RATE) - measured)
    return measured


@pytest.mark.parametrize("yaw", [0.0, 1.5])
def test_a_hand_that_sinks_and_tilts_under_what_two_carry_is_raised(yaw):
    elbow = np.array([0.0, 0.0, 0.0, -0.25, 0.0, 0.0, 0.0])  # which is higher the less it is bent

    def pose_of(joints):
        quat = Rotation.from_euler("z", yaw).as_quat(scalar_first=True)
        motion = RobotMotion(50.0, np.array([[0.0, 0.0, STANDING_HEIGHT]]), quat[None], joints[None])
        positions, rotations = link_poses(motion, [HAND_LINKS["left_hand"]])
        return (positions[0, 0] + rotations[0, 0] @ HAND_POINT)[2], np.arcsin(rotations[0, 0, 2, 0])

    level, sunk, raised = map(pose_of, (STANDING, *(carried_for(t, elbow, yaw) for t in (1.95, 7.0))))
    assert abs(sunk[0] - level[0]) > 0.015
    assert abs(sunk[1] - level[1]) > 0.08
    assert abs(raised[0] - level[0]) < 0.005
    assert abs(raised[1] - level[1]) < 0.02


def test_what_is_round_is_not_seen_to_turn():
    hands = reach()
    hands.observe("bottle", pose(0.3, 0.2, yaw=0.3))
    np.testing.assert_allclose(hand_point(after(hands)), WANTED, atol=2e-3)


def carried_to(stand, sway=STILL, last=7.3) -> np.ndarray:
    """(3,) m, the left hand as it puts a bottle on a stand at a place (2,) and yaw; the bottle was 4 cm beside."""
    hands = reach(scene=[everyday("stand", pos=(*WANTED[:2], 0.0))], seconds=10.0, kind="grasp", start=1.0, end=8.0)
    hands.observe("bottle", pose(0.34, 0.2))
    frame, joints = standing(), STANDING
    hands.observe("stand", stand)
    for index in range(round(last * POLICY_RATE)):
        now = sway if index > 5.5 * POLICY_RATE else STILL
        joints = hands.corrected(index, frame, np.asarray(now), AT_ORIGIN, joints).joint_pos
    return hand_point(joints, sway[:2])


def test_what_is_carried_goes_over_to_the_correction_of_what_it_is_put_on():
    here = WANTED[:2]
    np.testing.assert_allclose(carried_to(pose(*here, 0.0), last=1.5) - WANTED, [0.04, 0.0, 0.0], atol=8e-3)
    np.testing.assert_allclose(carried_to(pose(*here, 0.0)), WANTED, atol=8e-3)
    np.testing.assert_allclose(carried_to(pose(*(here + 0.03), 0.0)) - WANTED, [0.03, 0.03, 0.0], atol=1.6e-2)


def test_a_body_that_stands_beside_its_place_is_made_up_for_before_something_is_put_down():
    np.testing.assert_allclose(carried_to(pose(*WANTED[:2], 0.0), sway=(0.04, -0.03, 0, 0, 0, 0)), WANTED, atol=1.2e-2)


def test_an_unknown_object_is_none_of_its_business():
    hands = reach()
    hands.observe("cup", pose(0.5, 0.2))
    np.testing.assert_allclose(hand_point(after(hands)), WANTED, atol=2e-3)


def test_the_frame_of_the_odometry_counts():
    origin, yaw = np.array([2.0, -1.0]), 0.8
    turn = Rotation.from_euler("z", yaw)
    there = turn.apply([0.34, 0.17, 0.7]) + np.r_[origin, 0.0]
    hands = reach()
    hands.observe("bottle", pose(*there[:2], yaw=yaw))
    joints = after(hands, frame=standing(origin, yaw), to_odometry=(origin, yaw))
    np.testing.assert_allclose(hand_point(joints) - WANTED, [0.04, -0.03, 0.0], atol=6e-3)


def test_long_before_and_after_the_contact_the_frame_is_the_motions():
    hands = reach(start=2.0)
    hands.observe("bottle", pose(0.34, 0.17))
    for index in (0, round(4.0 * POLICY_RATE)):
        np.testing.assert_array_equal(
            hands.corrected(index, standing(), STILL, AT_ORIGIN, STANDING).joint_pos, STANDING
        )
