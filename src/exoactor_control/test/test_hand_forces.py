from dataclasses import replace

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from exoactor_control.controller.hand_forces import ArmFeedforward, HandForces, dex3_weights, wanted_forces
from exoactor_control.reference.trajectory import POLICY_RATE, Reference
from exoactor_core.contacts import Contact
from exoactor_core.dex3 import EXTRA_MASS, EXTRA_MASS_POINT
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import HAND_LINKS, HAND_POINT, STANDING, link_poses, mujoco_spec, standing_motion
from exoactor_core.robot_state import RobotState
from exoactor_core.scene import everyday, joined

KP, KD = np.linspace(4.0, 30.0, 29), np.full(29, 0.2)
WEIGHT = 9.81


def box_between_the_hands(mass: float = 1.0, yaw: float = 0.0, kind: str = "grasp", hands=("left", "right")):
    box = everyday("box", pos=(0.3, 0.0, 0.8), yaw=yaw, size=(0.25, 0.25, 0.25), mass=mass, friction=0.8)
    turn = Rotation.from_euler("z", yaw).inv()
    contacts = tuple(
        Contact(
            body=f"{side}_hand",
            object="box",
            kind=kind,
            start=1.0,
            end=3.0,
            normal_object=tuple(turn.apply([0.0, 1.0 if side == "left" else -1.0, 0.0])),
        )
        for side in hands
    )
    motion = standing_motion(4.0)
    motion = RobotMotion(motion.fps, motion.root_pos, motion.root_quat_wxyz, motion.joint_pos, object_contacts=contacts)
    return Reference(motion, ()), joined([box])


def state(quat_wxyz=(1.0, 0.0, 0.0, 0.0)) -> RobotState:
    zeros = np.zeros(29)
    return RobotState(
        time=0.0,
        joint_pos=STANDING.copy(),
        joint_vel=zeros,
        quat_wxyz=np.array(quat_wxyz),
        ang_vel=np.zeros(3),
        accel=np.array([0.0, 0.0, 9.81]),
        torque=zeros,
        tick=0,
    )


def hand_point(joint_pos: np.ndarray, hand: str) -> np.ndarray:
    motion = RobotMotion(50.0, np.zeros((1, 3)), np.array([[1.0, 0.0, 0.0, 0.0]]), joint_pos[None])
    positions, rotations = link_poses(motion, [HAND_LINKS[hand]])
    return positions[0, 0] + rotations[0, 0] @ HAND_POINT


def offsets_at(seconds, reference, scene, quat=(1, 0, 0, 0)):
    loads = HandForces(reference, scene).at(round(seconds * POLICY_RATE))
    arms = ArmFeedforward(KP, KD)
    arms.update(state(list(quat)))
    return arms.offsets(loads, arms.gains(loads)[0])


@pytest.mark.parametrize("yaw", [0.0, 0.7])
def test_offsets_do_the_virtual_work_of_the_forces(yaw):
    reference, scene = box_between_the_hands(yaw=yaw)
    offsets = offsets_at(2.0, reference, scene)
    press, load = wanted_forces(reference.motion.object_contacts[0], scene["box"], 2)
    rng = np.random.default_rng(0)
    for _ in range(5):
        change = 1e-7 * rng.normal(size=29)
        work = 0.0
        for hand, inwards in (("left_hand", -1.0), ("right_hand", 1.0)):
            arm, carried = change.copy(), change.copy()
            arm[:15] = carried[:12] = 0.0  # the arm alone presses; the waist carries the load, too
            start = hand_point(STANDING, hand)
            work += (hand_point(STANDING + arm, hand) - start) @ [0.0, inwards * press, 0.0]
            work += (hand_point(STANDING + carried, hand) - start) @ [0.0, 0.0, load]
        assert (offsets * KP) @ change == pytest.approx(work, rel=1e-4, abs=1e-12)


def test_forces_act_where_the_hand_touches_the_object():
    reference, scene = box_between_the_hands()
    (contact, _), box = reference.motion.object_contacts, scene["box"]
    positions, turns = link_poses(standing_motion(0.02), [HAND_LINKS["left_hand"]])
    wanted = np.array([0.09, -0.05, 0.01])
    pos = tuple(map(float, box.rotation.inv().apply(positions[0, 0] + turns[0, 0] @ wanted - box.pos)))
    motion = replace(reference.motion, object_contacts=(contact.model_copy(update={"pos_object": pos}),))
    (load,) = HandForces(Reference(motion, ()), scene).at(round(2.0 * POLICY_RATE))
    np.testing.assert_allclose(load.point, wanted, atol=1e-9)


def test_the_body_is_not_pushed_over():
    reference, scene = box_between_the_hands(kind="push")
    offsets = offsets_at(2.0, reference, scene)
    assert np.abs(offsets[15:]).max() > 0.01
    assert not offsets[:15].any()


def test_the_trunk_does_not_sink_under_what_is_lifted():
    reference, scene = box_between_the_hands()
    offsets = offsets_at(2.0, reference, scene)
    yaw, roll, pitch = offsets[12:15] * KP[12:15]
    assert pitch == pytest.approx(-WEIGHT * hand_point(STANDING, "left_hand")[0], rel=0.1)  # so far ahead
    assert abs(yaw) < 1e-6
    assert abs(roll) < 0.02
    assert not offsets[:12].any()


@pytest.mark.parametrize("yaw", [0.0, 2.0])
def test_the_body_leans_away_from_what_the_hands_carry(yaw):
    arms, quat = ArmFeedforward(KP, KD), Rotation.from_euler("z", yaw).as_quat(scalar_first=True)
    arms.update(state(quat))

    def lean(seconds, **held):
        return arms.lean(HandForces(*box_between_the_hands(**held)).at(round(seconds * POLICY_RATE)))

    roll, pitch = lean(2.0)
    assert -0.1 < pitch < -0.01
    assert roll == pytest.approx(0.0, abs=1e-3)
    assert lean(2.0, mass=0.5)[1] == pytest.approx(pitch / 2)
    assert lean(2.0, hands=("left",))[0] > 0.01  # to the right
    assert lean(2.0, hands=("right",))[0] < -0.01
    assert not lean(0.9).any()
    assert np.abs(lean(2.0, mass=30.0)).max() < 0.2


def test_wrists_are_stiff_while_two_hands_hold():
    def gains(seconds, **held):
        return ArmFeedforward(KP, KD).gains(HandForces(*box_between_the_hands(**held)).at(round(seconds * POLICY_RATE)))

    kp, kd = gains(2.0)
    wrists = [19, 20, 21, 26, 27, 28]
    np.testing.assert_allclose(kp[wrists], np.maximum(KP[wrists], 20.0))
    np.testing.assert_allclose(kd[wrists], 1.0)
    others = np.delete(np.arange(29), wrists)
    np.testing.assert_allclose([kp[others], kd[others]], [KP[others], KD[others]])
    for soft in (gains(0.9), gains(3.5), gains(2.0, hands=("left",)), gains(2.0, kind="push")):
        np.testing.assert_allclose(soft, [KP, KD])


def test_forces_come_after_the_contact_begins_and_go_after_its_end():
    reference, scene = box_between_the_hands()
    sizes = [np.abs(offsets_at(t, reference, scene)).max() for t in (0.9, 1.0, 1.2, 2.0, 3.2, 3.5)]
    assert sizes[0] == sizes[1] == sizes[-1] == 0.0
    assert 0.0 < sizes[2] < sizes[3]
    assert 0.0 < sizes[4] < sizes[3]


def test_a_load_is_borne_upwards_however_the_robot_leans():
    reference, scene = box_between_the_hands(hands=("left",))  # held by fingers: nothing but the load
    tilt = Rotation.from_euler("y", 0.4).as_quat(scalar_first=True)
    upright, leaning = (offsets_at(2.0, reference, scene, quat) for quat in ([1, 0, 0, 0], tilt))
    assert not np.allclose(upright, leaning)


def test_two_hands_press_enough_to_hold_and_fingers_hold_by_themselves():
    reference, scene = box_between_the_hands(mass=1.0)
    contact, box = reference.motion.object_contacts[0], scene["box"]
    press, load = wanted_forces(contact, box, 2)
    assert load == pytest.approx(WEIGHT / 2)
    assert 2 * press * 0.5 >= WEIGHT  # the friction that is counted on holds it
    assert wanted_forces(contact, box, 1) == (0.0, pytest.approx(WEIGHT))


def test_a_drawer_is_pressed_on_as_it_slides_and_a_door_swings_by_itself():
    reference, _ = box_between_the_hands(kind="push")
    contact = reference.motion.object_contacts[0]
    assert wanted_forces(contact, everyday("door"), 1) == (0.0, 0.0)
    assert wanted_forces(contact, everyday("drawer"), 1)[0] >= 5.0


def test_a_push_overcomes_friction_and_bears_nothing():
    reference, scene = box_between_the_hands(mass=2.0, kind="push")
    press, load = wanted_forces(reference.motion.object_contacts[0], scene["box"], 2)
    assert 2 * press == pytest.approx(0.8 * 2.0 * WEIGHT)
    assert load == 0.0


def test_times_are_of_the_motion_as_it_was_given():
    reference, scene = box_between_the_hands()
    cut = Reference(reference.motion, (), begin=0.5)
    assert not offsets_at(0.6, reference, scene).any()
    assert offsets_at(0.6, cut, scene).any()


def test_the_weight_of_dex3_hands_is_that_of_the_descriptions():
    masses, moments = [], []
    for hands in ("fists", "dex3"):
        model = mujoco_spec(hands=hands).compile()
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        wrist = model.body("left_wrist_yaw_link").id
        masses.append(model.body_subtreemass[wrist])
        com = data.xmat[wrist].reshape(3, 3).T @ (data.subtree_com[wrist] - data.xpos[wrist])
        moments.append(masses[-1] * com)
    assert masses[1] - masses[0] == pytest.approx(EXTRA_MASS, abs=0.002)
    assert (moments[1] - moments[0]) / EXTRA_MASS == pytest.approx(np.array(EXTRA_MASS_POINT), abs=0.008)


def test_only_hands_that_are_fitted_are_borne():
    assert dex3_weights([False, False]) == []
    (left,) = dex3_weights([True, False])
    assert left.hand == "left_hand"
    arms = ArmFeedforward(KP, KD)
    arms.update(state())
    assert arms.offsets([left], KP)[15:22].any()
