from dataclasses import replace
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from exoactor_core import robot
from exoactor_core.arrays import true_runs
from exoactor_core.body import BodyModel
from exoactor_core.contacts import Contact
from exoactor_core.dex3 import EXTRA_MASS, FINGER_JOINTS, hand_targets
from exoactor_core.errors import BadInput, Refused
from exoactor_core.interaction import Interaction
from exoactor_core.scene import Scene, everyday
from exoactor_core.task_checks import Check
from exoactor_retarget.collision import CapsulePairs
from exoactor_retarget.contacts import foot_contacts
from exoactor_retarget.footsteps import unreliable_walks, with_footsteps
from exoactor_retarget.hand_contacts import HandContactPlanner
from exoactor_retarget.human import BEARING, POINTS, posture, resample
from exoactor_retarget.interaction import InteractionTargets, _less_bent
from exoactor_retarget.kinematics import State
from exoactor_retarget.object_contacts import find_contacts, with_idle_arms_hanging
from exoactor_retarget.object_motion import Destination, carried, destinations, place_for, pushed, swung
from exoactor_retarget.obstacles import past_obstacles, round_seat
from exoactor_retarget.reaching import LEAD_TIME
from exoactor_retarget.relocation import Stance, along_steps, moved, standing_frame, steps_needed
from exoactor_retarget.retargeter import Retargeter
from exoactor_retarget.stance import stances
from exoactor_retarget.surroundings import Solids
from exoactor_retarget.targets import headed
from exoactor_retarget.terms import pelvis_rotation

language = pytest.importorskip("exoactor_gen.mannequin.language")
choreographer = pytest.importorskip("exoactor_gen.mannequin.choreography")

SIDES = ("left", "right")


@pytest.fixture(scope="module")
def retarget():
    return Retargeter()


def person_doing(task):
    return choreographer.choreograph(language.parse(task), np.zeros(10))


def box_at(x, y=0.0, z=0.0, **given):
    return everyday("box", "box", (x, y, z), size=(0.26, 0.30, 0.32), **given)


def held(thing, start, end, sides=SIDES, kind="grasp"):
    return tuple(Contact(body=f"{s}_hand", object=thing, kind=kind, start=start, end=end) for s in sides)


def assert_sound(result):
    motion, metrics = result.motion, result.metrics
    assert metrics["frames_outside_limits"] == 0
    assert metrics["self_collision_max"] < 10.0
    assert metrics["floor_depth_max"] < 2.0
    assert metrics["foot_slide_max"] < 3.5
    assert metrics["object_depth_max"] < 5.0
    assert np.abs(np.diff(motion.joint_pos, axis=0)).max() * motion.fps < 0.81 * robot.VELOCITY_LIMITS.max()


@pytest.mark.parametrize("metres", ["one metre", "two metres"])
def test_metres_are_metres_in_tasks(retarget, metres):
    human, wanted = person_doing(f"walk forward {metres}"), {"one metre": 1.0, "two metres": 2.0}[metres]

    def walked(retargeter, interaction):
        path = retargeter(human, interaction=interaction).motion.root_pos[:, :2]
        return np.linalg.norm(path[-1] - path[0])

    assert walked(retarget, Interaction()) == walked(Retargeter(scale="world"), None) == pytest.approx(wanted, rel=0.05)
    assert walked(retarget, None) == walked(Retargeter(scale="robot"), Interaction()) < 0.85 * wanted


@pytest.mark.parametrize("off", [(0.0, 0.0), (0.15, -0.1), (0.8, 0.4)])  # as it was, an estimate that is off, moved
def test_a_box_is_taken_where_it_is(retarget, off):
    scene = Scene(objects=(box_at(0.44 + off[0], off[1]),))
    targets, poses, _, _ = retarget.object_targets(
        person_doing("pick up the box"), Interaction(scene, held("box", 2.8, 5.6))
    )
    result = retarget(person_doing("pick up the box"), interaction=Interaction(scene, held("box", 2.8, 5.6)))
    assert_sound(result)
    assert result.metrics["palm_error_mean"] < 20.0
    assert result.metrics["palm_error_p90"] < 40.0
    assert poses[-1, 0, 2] > 0.3
    motion = result.motion
    begin = round(motion.object_contacts[0].start * motion.fps)
    np.testing.assert_array_equal(poses[begin, 0], poses[0, 0])  # it stays until both hands press
    assert {c.body for c in motion.object_contacts} == {"left_hand", "right_hand"}
    for contact in motion.object_contacts:
        pos, normal = np.array(contact.pos_object), np.array(contact.normal_object)
        assert abs(pos[1]) == pytest.approx(0.15)
        assert normal @ pos > 0
    assert motion.hands[begin - 20].min() == 1.0  # fists before they touch
    assert motion.hands[-1].min() == 1.0
    between = np.linalg.norm(targets.palm_pos[-1, 0] - targets.palm_pos[-1, 1])
    assert between == pytest.approx(0.30 - 0.04 + 0.056, abs=0.01)  # 2 cm into it, fists being 3 cm deeper than palms
    moved = np.linalg.norm(motion.root_pos[-1, :2] - motion.root_pos[0, :2])
    assert moved > np.linalg.norm(off) - 0.1


def test_steps_are_put_in_while_the_body_stands_and_goes_on_standing(retarget):
    person = posture(person_doing("pick up the box from the floor"), retarget.body, retarget.mapping["human"])
    height = person.at("hip").mean(axis=1)[:, 2]
    deepest, stands = int(height.argmin()), np.ones((len(person), 2), dtype=bool)
    at = standing_frame(person, stands, 0, deepest)
    assert 0 < at < deepest
    assert height[at : at + round(0.45 * person.fps)].min() > 0.98 * height[:deepest].max()


def test_a_box_on_the_floor_is_taken_once_the_body_is_down(retarget):
    plan = choreographer.Choreography.of_instruction("pick up the box from the floor")
    human, _ = plan.perform(np.zeros(10))
    person = resample(posture(human, retarget.body, retarget.mapping["human"]), 50.0)
    contact, *_ = find_contacts(person, plan.scene, plan.interaction.contacts)
    hips = person.at("hip")[..., 2].mean(axis=1)
    assert hips[round(contact.start * 50.0)] < hips.min() + 0.05
    motion = retarget(human, interaction=plan.interaction).motion
    taken = round(motion.object_contacts[0].start * motion.fps)
    assert motion.root_pos[:taken, 2].min() > motion.root_pos[taken, 2] - 0.05  # the hands do not pull it down before
    assert motion.root_pos[:, 2].min() > 0.45  # nor lower than trackers get
    rises = motion.root_pos[taken:, 2] > motion.root_pos[taken, 2] + 0.1
    assert np.argmax(rises) / motion.fps < 2.0  # the waist does not bear a bent trunk for long
    assert motion.object_contacts[0].pos_object[2] > 0.15 + 0.02  # near the top of 25 cm
    fingers = robot.link_poses(motion, list(robot.HAND_LINKS.values()))[1][..., 2, 0]
    assert fingers[taken].max() < -0.7  # down
    assert fingers[-1].min() > -0.3  # and level where it is carried


def test_who_bends_down_to_a_box_stays_over_the_feet_and_does_not_bow(retarget):
    plan = choreographer.Choreography.of_instruction("pick up the box from the floor")
    human, _ = plan.perform(np.zeros(10))
    motion = retarget(human, interaction=plan.interaction).motion
    trunk = robot.link_poses(motion, ["torso_link"])[1][:, 0]
    assert np.degrees(np.arcsin(-trunk[:, 2, 0].min())) < 70.0
    taken = round(motion.object_contacts[0].start * motion.fps)
    turns = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True).as_matrix()
    kinematics, state = retarget.model.kinematics, State(motion.root_pos, turns, motion.joint_pos)
    center = kinematics.center_of_mass(kinematics.poses(state))[:, taken]
    ankles = robot.forward_kinematics(motion, ["left_ankle_roll_link", "right_ankle_roll_link"])[taken]
    assert center[0] - ankles[:, 0].mean() < 0.10  # the toes are 12 cm ahead of the ankles


def test_the_trunk_of_who_bends_down_to_a_box_bends_with_the_legs_and_the_hips_raise_it_before_the_waist(retarget):
    plan = choreographer.Choreography.of_instruction("pick up the box from the floor")
    targets, *_ = retarget.object_targets(plan.perform(np.zeros(10))[0], plan.interaction)
    trunk, pelvis = (np.arctan2(-r[:, 2, 0], r[:, 2, 2]) for r in (targets.torso_rot, targets.pelvis_rot))
    height = targets.pelvis_pos[:, 2]
    half_way = int(np.argmax(height < 0.65))
    assert trunk[half_way] > 0.35 * trunk.max()
    crouches = height < 0.65
    most = np.maximum(trunk - retarget.model.waist_bend, 0.0)
    assert (pelvis - most)[crouches].max() < 0.02


def inner_points(within: float) -> np.ndarray:
    """(n, 3) m, points of a closed left Dex3-1 that are nearest to what is beside it, in the link of the wrist."""
    model = robot.mujoco_spec(hands="dex3", self_collision=True).compile()
    data = mujoco.MjData(model)
    for joint, angle in zip(FINGER_JOINTS[0], hand_targets(np.zeros(2))[0], strict=True):
        data.joint(joint).qpos = angle
    mujoco.mj_kinematics(model, data)
    wrist = data.body(robot.HAND_LINKS["left_hand"])
    turn, points = wrist.xmat.reshape(3, 3), []
    for geom in range(model.ngeom):
        if "left_hand" in model.body(model.geom_bodyid[geom]).name and (
            model.geom_contype[geom] or model.geom_conaffinity[geom]
        ):
            radius, half, _ = model.geom_size[geom]
            axis = turn.T @ data.geom_xmat[geom].reshape(3, 3)[:, 2]
            middle = turn.T @ (data.geom_xpos[geom] - wrist.xpos)
            points += [middle + end * half * axis - [0.0, radius, 0.0] for end in (-1.0, 1.0)]
    found = np.array(points)
    return found[found[:, 1] < found[:, 1].min() + within]


def test_fists_are_led_to_boxes_with_what_they_touch_them_with(retarget):
    human = choreographer.Choreography.of_instruction("pick up the box from the floor").perform(np.zeros(10))[0]
    targets, model = retarget.targets(human, task=True), retarget.model
    for height in (0.0, 0.7):
        planner = HandContactPlanner(model, Scene(objects=(box_at(0.5, z=height),)), "dex3")
        left, right = planner.plan(held("box", 4.0, 6.0), targets, targets.natural_palms(model))
        np.testing.assert_allclose(left.local, inner_points(0.012).mean(axis=0), atol=0.012)
        np.testing.assert_allclose(right.local, left.local * [1.0, -1.0, 1.0])


def test_what_is_put_down_on_the_floor_stands_before_the_knees_and_the_hands_come_back_low(retarget):
    plan = choreographer.Choreography.of_instruction("pick up the box, carry it one metre and put it down")
    human, _ = plan.perform(np.zeros(10))
    result = retarget(human, interaction=plan.interaction)
    assert_sound(result)
    motion = result.motion
    end = round(motion.object_contacts[0].end * motion.fps)
    positions, turns = robot.link_poses(motion, list(robot.HAND_LINKS.values()))
    hands = positions + turns @ robot.HAND_POINT
    assert hands[end : end + 50, :, 2].max() < 0.45


def test_what_is_put_down_on_the_floor_is_brought_clear_of_the_knees_before_it_is_as_low(retarget):
    plan = choreographer.Choreography.of_instruction("pick up the box, carry it one metre and put it down")
    targets, poses, _, _ = retarget.object_targets(plan.perform(np.zeros(10))[0], plan.interaction)
    box, knees = poses[:, plan.scene.ids.index("box"), :3], targets.knees(retarget.model)
    forward = headed(targets.headings(retarget.model))[:, :, 0]
    gap = np.einsum("tki,ti->tk", box[:, None] - knees, forward).min(axis=1) - plan.scene["box"].bounds[1, 0]
    lowered = (box[:, 2] < 0.5) & (np.arange(len(box)) > np.argmax(box[:, 2] > 0.5))
    assert lowered.sum() > 50
    assert gap[lowered].min() > 0.10


def test_a_bottle_passes_over_the_rim_of_the_bin(retarget):
    human = person_doing("walk to the table, pick up the bottle with your left hand and put it into the basket")
    stand = everyday("stand", "stand", (1.2, 1.68, 0.0), size=(0.4, 0.4, 0.5))
    bin_ = everyday("bin", "bin", (1.2, 1.68, 0.5))
    scene = Scene(objects=(everyday("bottle", "bottle", (1.595, 0.28, 0.76)), stand, bin_))
    _, poses, _, _ = retarget.object_targets(human, Interaction(scene, held("bottle", 5.2, 15.2, ("left",))))
    beside = np.abs(poses[:, 0, :2] - [1.2, 1.68]).max(axis=1)
    rim = (beside > 0.15 - 0.033 - 0.01) & (beside < 0.15 + 0.033)
    assert rim.any()
    assert poses[rim, 0, 2].min() > 0.85


def test_a_cup_is_over_the_rim_of_the_basket_before_the_robot_walks_up_to_it(retarget):
    stands = [
        everyday("stand", name, (*at, 0.0), size=(0.4, 0.4, 0.6)) for name, at in (("a", (0.5, 0)), ("b", (0, 1.7)))
    ]
    things = [everyday("cup", "cup", (0.54, 0.0, 0.6)), everyday("basket", "basket", (0.0, 1.72, 0.6))]
    plan = choreographer.Choreography.of_instruction(
        "put the cup into the basket", scene=Scene(objects=(*things, *stands))
    )
    human, _ = plan.perform(np.zeros(10))
    targets, poses, fields, _ = retarget.object_targets(human, plan.interaction)
    away = np.linalg.norm(poses[:, 0, :2] - things[1].pos[:2], axis=1)
    lowered = np.arange(len(away)) > (fields["object_contacts"][0].end - 1.2) * targets.fps
    assert poses[(away < 0.3) & ~lowered, 0, 2].min() > things[1].extent[1, 2] + 0.02
    assert np.abs(np.diff(poses[~lowered, 0, 2])).max() * targets.fps < 0.8  # m/s


def test_hands_come_over_the_edge_of_a_table_once_the_robot_has_settled_before_it(retarget):
    human = person_doing("walk to the table and pick up the box")
    table = everyday("table", "table", (1.82, 0.0, 0.0), size=(0.6, 1.1, 0.76))
    edge = 1.52
    scene = Scene(objects=(table, box_at(edge + 0.18, z=0.76)))
    motion = retarget(human, interaction=Interaction(scene, held("box", 5.2, 8.0))).motion
    begin = round(motion.object_contacts[0].start * motion.fps)
    links, turns = robot.link_poses(motion, list(robot.HAND_LINKS.values()))
    hands = (links + turns @ robot.HAND_POINT)[:begin]
    assert hands[hands[..., 0] > edge - 0.06, 2].min() > 0.80
    assert motion.root_pos[:begin, 0].max() < edge - 0.19
    lifted = (motion.contacts[:begin, :2] < 0.5).any(axis=1)
    still = np.linalg.norm(np.gradient(motion.root_pos[:begin, :2], axis=0), axis=1) * motion.fps < 0.2
    steps = np.flatnonzero(np.diff((lifted & still).astype(int)) > 0)
    assert (steps > begin - 6 * motion.fps).sum() >= 3


def test_what_is_put_down_stands_on_the_table(retarget):
    human = person_doing("pick up the box and put it on the table")
    scene = Scene(objects=(box_at(0.44), everyday("table", "table", (1.82, 0.0, 0.0), size=(0.6, 1.1, 0.76))))
    end = 9.2
    _, poses, _, _ = retarget.object_targets(human, Interaction(scene, held("box", 2.8, end)))
    assert poses[-1, 0, 2] == pytest.approx(0.76, abs=0.005)
    assert abs(poses[-1, 0, 0] - 1.82) < 0.2
    over = np.abs(poses[:, 0, 0] - 1.82) < 0.3 + 0.13  # and it does not pass through it
    assert poses[over, 0, 2].min() > 0.75
    assert np.linalg.norm(np.diff(poses[:, 0, :3], axis=0), axis=1).max() * 50 < 2.0
    result = retarget(human, interaction=Interaction(scene, held("box", 2.8, end)))
    assert_sound(result)
    assert result.motion.hands[-1].min() == 1.0  # they hang, and a thumb would be in the thigh


def test_a_bottle_goes_into_the_basket(retarget):
    human = person_doing("walk to the table, pick up the bottle with your left hand and put it into the basket")
    scene = Scene(
        objects=(
            everyday("table", "table", (1.82, 0.0, 0.0), size=(0.6, 1.1, 0.76)),
            everyday("bottle", "bottle", (1.595, 0.28, 0.76)),
            everyday("basket", "basket", (1.2, 1.69, 0.0)),
        )
    )
    planned = held("bottle", 5.2, 15.2, ("left",))
    _, poses, fields, _ = retarget.object_targets(human, Interaction(scene, planned))
    assert np.linalg.norm(poses[-1, 1, :2] - [1.2, 1.69]) < 0.1
    assert poses[-1, 1, 2] == pytest.approx(0.26 + 0.05 - 0.11, abs=0.01)  # let go with its middle over the rim
    assert fields["hands"][:, 1].min() == 1.0  # it hangs beside the thigh, with the thumb in
    takes, lets_go = (
        round(time * 50) for time in (fields["object_contacts"][0].start, fields["object_contacts"][0].end)
    )
    assert fields["hands"][takes - 60 : takes, 0].max() == 0.0  # open to reach for it
    assert fields["hands"][takes + 25 : lets_go - 25, 0].min() == 1.0
    assert fields["hands"][lets_go + 2 : lets_go + 45, 0].max() == 0.0
    with pytest.raises(Refused, match=r"bottle between its palms.*Dex3"):
        Retargeter(hands="fists").object_targets(human, Interaction(scene, planned))


def test_open_fingers_are_raised_short_of_what_stands_near(retarget):
    made = choreographer.Choreography.of_instruction("pick up the bottle from the table")
    bottle = everyday("bottle", pos=(0.353, -0.25, 0.74))
    near = Scene(objects=(everyday("table", pos=(0.58, 0.0, 0.0)), bottle))
    motion = retarget(made.perform(np.zeros(10))[0], interaction=replace(made.interaction, scene=near)).motion
    (contact,) = motion.object_contacts
    raised = robot.hand_poses(motion)[0][round((contact.start - 1.4) * motion.fps), 1]
    assert bottle.pos[0] - raised[0] > 0.165


def test_a_hand_leaves_a_basket_upwards(retarget):
    scene = Scene(
        objects=(
            everyday("bottle", "bottle", (0.55, 0.2, 0.76)),
            everyday("table", "table", (0.8, 0.0, 0.0), size=(0.6, 1.1, 0.76)),
            everyday("stand", "stand", (0.9, 1.3, 0.0)),
            everyday("basket", "basket", (0.9, 1.3, 0.60)),
        )
    )
    made = choreographer.Choreography.of_instruction("put the bottle into the basket", scene=scene)
    human, _ = made.perform(np.zeros(10))
    motion = retarget(human, interaction=made.interaction).motion
    (contact,) = motion.object_contacts
    hand = robot.hand_poses(motion)[0][:, 0 if contact.body == "left_hand" else 1]
    end = round(contact.end * motion.fps)
    inside = np.abs(hand[end:, :2] - (0.9, 1.3)).max(axis=1) < 0.15
    leaves = end + int(np.argmin(inside))
    assert hand[leaves : leaves + 10, 2].min() > scene["basket"].extent[1, 2] + 0.08


def test_who_walks_past_something_high_has_room_for_hands_and_stops_before_the_goal(retarget):
    high, basket = everyday("box", pos=(1.0, 0.05, 0.0), size=(0.4, 0.4, 0.9)), everyday("basket", pos=(2.5, 0.0, 0.0))
    made = choreographer.Choreography.of_instruction("walk to the basket", scene=Scene(objects=(high, basket)))
    motion = retarget(made.perform(np.zeros(10))[0], interaction=made.interaction).motion
    beside = np.abs(motion.root_pos[:, 0] - 0.95) < 0.2
    assert high.floor_distance(motion.root_pos[beside, :2]).min() > 0.36
    assert basket.floor_distance(motion.root_pos[:, :2]).min() > 0.38
    assert basket.floor_distance(motion.root_pos[-1, :2]) < 0.6


def test_what_is_carried_is_held_near_the_body(retarget):
    human = person_doing("pick up the bottle with your left hand and carry it two metres")
    bottle = everyday("bottle", "bottle", (0.6, 0.2, 0.76))
    targets = retarget.targets(human)
    far = targets.pelvis_pos + np.array([0.6, 0.2, 0.1])
    contact = held("bottle", 2.0, len(targets) / targets.fps, ("left",))[0]
    rest = np.repeat(bottle.pose[None], len(targets), axis=0)
    poses = carried(Scene(objects=(bottle,)), contact, rest, np.zeros(3), far, targets, retarget.model)
    assert poses[-1, 0] - targets.pelvis_pos[-1, 0] < 0.30


@pytest.mark.parametrize(
    ("check", "ends"),
    [
        ({"kind": "on", "target": "stand"}, (0.5, 0.5, 0.6)),  # though the table is nearer
        ({"kind": "on", "target": ""}, (1.0, 0.25, 0.0)),
        ({"kind": "in", "target": "basket"}, (1.2, -0.3, 0.94)),
    ],
)
def test_what_is_held_goes_where_the_task_has_it(check, ends):
    table, stand = everyday("table", "table", (1.2, 0.0, 0.0)), everyday("stand", "stand", (0.5, 0.5, 0.0))
    basket = everyday("basket", "basket", (1.2, -0.3, 0.74))
    scene = Scene(objects=(everyday("bottle", "bottle"), table, stand, basket))
    put = destinations([Check(object="bottle", **check)])["bottle"]
    goal, under = place_for(scene, scene["bottle"], np.array([1.0, 0.25, 0.8]), np.zeros(2), 0.0, put)
    assert [obj.id for obj in under] == [name for name in [check["target"]] if name]
    np.testing.assert_allclose(goal, ends, atol=0.16 if check["target"] == "stand" else 0.01)


@pytest.mark.parametrize("y", [0.10, -0.10, 0.52])  # the cup, before the middle of the robot; at the table's left end
def test_what_is_put_beside_something_stands_on_the_nearer_side_that_has_room(y):
    table, cup = everyday("table", "table", (1.2, 0.0, 0.0)), everyday("cup", "cup", (1.0, y, 0.74))
    scene = Scene(objects=(everyday("bottle", "bottle"), table, cup))
    put = destinations(
        [Check(kind="on", object="bottle", target="table"), Check(kind="at", object="bottle", target="cup")]
    )["bottle"]
    hand = np.array([1.05, 0.0 if y < 0.5 else 0.6, 0.85])
    goal, _ = place_for(scene, scene["bottle"], hand, np.zeros(2), 0.0, put)
    assert (goal[1] > y) == (y < 0.0)
    assert abs(goal[1] - y) == pytest.approx(0.04 + 0.033 + 0.10)
    assert goal[2] == pytest.approx(0.74)


def test_what_is_put_beside_something_near_the_edge_stands_on_that_side_clear_of_the_edge():
    table, cup = everyday("table", "table", (1.2, 0.0, 0.0)), everyday("cup", "cup", (0.98, 0.1, 0.74))
    scene = Scene(objects=(everyday("bottle", "bottle"), table, cup))
    put = Destination("table", beside="cup")
    goal, _ = place_for(scene, scene["bottle"], np.array([0.95, 0.3, 0.85]), np.zeros(2), 0.25, put)
    assert goal[1] == pytest.approx(0.1 + 0.173 * np.cos(0.25), abs=0.02)
    assert goal[0] == pytest.approx(table.extent[0, 0] + 0.033 + 0.02, abs=1e-3)


def test_a_second_thing_in_a_basket_stands_beside_the_first():
    basket = everyday("basket", "basket", (1.0, 0.0, 0.6))
    scene = Scene(objects=(everyday("bottle", "bottle"), everyday("cup", "cup", (1.0, 0.01, 0.61)), basket))
    goal, _ = place_for(scene, scene["bottle"], np.array([1.0, 0.0, 0.9]), np.zeros(2), 0.0)
    assert goal[1] == pytest.approx(-0.10)


def test_what_was_put_down_before_is_carried_on_from_there(retarget):
    human = person_doing("pick up the bottle with your left hand and carry it two metres")
    bottle = everyday("bottle", "bottle", (0.6, 0.2, 0.76))
    targets = retarget.targets(human)
    contact = held("bottle", 2.0, len(targets) / targets.fps, ("left",))[0]
    rest = np.repeat(bottle.pose[None], len(targets), axis=0)
    rest[round(targets.fps) :, 1] += 0.5  # put down elsewhere after a second
    natural = targets.pelvis_pos + np.array([0.3, 0.2, 0.1])
    poses = carried(Scene(objects=(bottle,)), contact, rest, np.zeros(3), natural, targets, retarget.model)
    assert np.abs(np.diff(poses[round(1.5 * targets.fps) :, :3], axis=0)).max() < 0.1


@pytest.mark.parametrize("aside", [0.0, 0.35])  # as an estimate may have the arm
def test_what_is_put_into_a_basket_is_let_go_of_before_the_robot_and_clear_of_the_stand(retarget, aside):
    human = person_doing("walk to the table, pick up the bottle with your left hand and put it into the basket")
    stand = everyday("stand", "stand", (1.2, 1.68, 0.0), size=(0.4, 0.4, 0.6))
    basket = everyday("basket", "basket", (1.2, 1.68, 0.6))
    scene = Scene(objects=(everyday("bottle", "bottle", (1.595, 0.28, 0.76)), stand, basket))
    targets = retarget.targets(human, task=True)
    model = retarget.model
    turned = Rotation.from_euler("z", np.arcsin(aside / 0.4))
    arms = {name: getattr(targets, name).copy() for name in ("upper_arm", "forearm")}
    for arm in arms.values():
        arm[:, 0] = turned.apply(arm[:, 0])
    targets = replace(targets, **arms)
    contacts = held("bottle", 5.2, 15.2, ("left",))
    placing = stances(HandContactPlanner(model, scene, "dex3"), contacts, targets)[-1]
    pelvis = targets.pelvis_pos[placing.first, :2] + placing.shift
    heading = targets.heading(model, placing.first)
    away = Rotation.from_euler("z", -heading).apply([*(np.array([1.2, 1.68]) - pelvis), 0.0])
    assert -0.02 < away[1] < 0.22
    assert away[0] > 0.2 + 0.2  # the stand's half depth, and room for knees and toes


def test_sitting_down_is_on_the_seat(retarget):
    human = person_doing("sit down on the chair and stand up")
    scene = Scene(objects=(everyday("chair", "chair", (-0.26, 0.0, 0.0), size=(0.42, 0.42, 0.44)),))
    result = retarget(human, interaction=Interaction(scene))
    assert_sound(result)
    (sit,) = result.motion.object_contacts
    assert (sit.body, sit.kind) == ("seat", "sit")
    frame = round((sit.start + sit.end) / 2 * 50)
    assert result.motion.root_pos[frame, 2] == pytest.approx(0.57, abs=0.03)  # 3 cm into it: it bears
    assert -0.45 < result.motion.root_pos[frame, 0] < -0.05


def test_walking_goes_round_what_stands_in_the_way(retarget):
    scene = Scene(objects=(everyday("chair", "chair", (1.5, 0.05, 0.0)),))
    result = retarget(person_doing("walk forward three metres"), interaction=Interaction(scene))
    assert_sound(result)
    half = scene["chair"].bounds[1, :2].max()
    beside = np.abs(result.motion.root_pos[:, 0] - 1.5) < half
    assert np.abs(result.motion.root_pos[beside, 1] - 0.05).min() > half + 0.1
    np.testing.assert_allclose(result.motion.root_pos[-1, :2] - result.motion.root_pos[0, :2], [3.0, 0.0], atol=0.15)


def test_who_sits_down_goes_round_the_chair_first(retarget):
    person = resample(
        posture(person_doing("walk forward three metres"), retarget.body, retarget.mapping["human"]), 50.0
    )
    chair, still = everyday("chair", pos=(1.5, 0.05, 0.0)), np.zeros((len(person), 2))
    shift = round_seat(person, still, [Stance(0, 0, still[0])], person.contacts[:, ::2] > 0.5, chair, len(person) - 1)
    path = person.at("hip").mean(axis=1)[:, :2] + shift
    beyond = np.maximum(np.abs(path - [1.5, 0.05]) - 0.21, 0.0)
    assert np.linalg.norm(beyond, axis=1).min() > 0.28
    np.testing.assert_allclose(shift[-1], 0.0, atol=1e-3)


def test_who_is_seated_leans_back_and_rises_leaning_forward(retarget):
    human = person_doing("sit down on the chair for two seconds and stand up")
    scene = Scene(objects=(everyday("chair", pos=(-0.26, 0.0, 0.0)),))
    motion = retarget(human, interaction=Interaction(scene)).motion
    (sit,) = motion.object_contacts
    leans = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True).as_matrix()[:, 0, 2]
    start, middle, end = (round(at * motion.fps) for at in (sit.start, (sit.start + sit.end) / 2, sit.end))
    assert leans[middle] < 0.6 * min(leans[start], leans[end])
    height = motion.root_pos[:, 2]  # bearing the weight in front of it, the seat would tip the robot off
    assert height[[start, end]].min() > height[middle] + 0.015


@pytest.mark.parametrize("task", ["step over the bar", "pass under the bar"])
def test_a_bar_is_walked_over_or_under_and_not_round(retarget, task):
    plan = choreographer.Choreography.of_instruction(task, 0.78)
    human, _ = plan.perform(np.zeros(10))
    result = retarget(human, interaction=plan.interaction)
    assert result.metrics["object_depth_max"] < 2.0
    assert np.abs(result.motion.root_pos[:, 1]).max() < 0.15
    assert result.motion.root_pos[-1, 0] > plan.scene["bar"].pos[0] + 0.5


def clearance(retarget, motion, bar):
    """Least height in m of soles over a bar's rail, and least distance of soles that stand from it."""
    turns = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True).as_matrix()
    poses = retarget.model.kinematics.poses(State(motion.root_pos, turns, motion.joint_pos))
    over, beside = [], []
    for k, body in enumerate(retarget.model.bodies["foot"]):
        share = np.linspace(0.0, 1.0, 9)[:, None]
        sole = (1.0 - share) * retarget.model.soles[k][0] + share * retarget.model.soles[k][2]
        points = np.moveaxis(poses.rotation(body) @ sole.T, 2, 1) + poses.pos[body].T[:, None]
        away = np.abs(points[..., 0] - bar.pos[0]) - 0.015
        over.append(points[away < 0.0][:, 2].min() - 0.05)
        beside.append(away[motion.contacts[:, k] > 0.5].min())
    return min(over), min(beside)


@pytest.mark.parametrize("off", [-0.1, 0.0, 0.08])
def test_both_feet_swing_clear_of_a_bar_and_stand_clear_of_it(retarget, off):
    plan = choreographer.Choreography.of_instruction("step over the bar", 0.78)
    human, _ = plan.perform(np.zeros(10))
    bar = plan.scene["bar"]
    bar = bar.at(np.r_[bar.pos + np.array([off, 0.0, 0.0]), bar.quat_wxyz])  # an estimate is off
    result = retarget(human, interaction=replace(plan.interaction, scene=Scene(objects=(bar,))))
    over, beside = clearance(retarget, result.motion, bar)
    assert over > 0.04
    assert beside > 0.05
    assert result.metrics["floor_depth_max"] < 2.0


@pytest.mark.parametrize("task", ["step over the bar", "quickly step over the bar"])
def test_a_foot_takes_its_time_to_swing_over_a_bar(retarget, task):
    plan = choreographer.Choreography.of_instruction(task, 0.78)
    human, _ = plan.perform(np.zeros(10))
    motion = retarget(human, interaction=plan.interaction).motion
    raised = robot.sole_points(motion)[..., 2].min(axis=2) > 0.10
    for k in range(2):
        air = [run for run in true_runs(motion.contacts[:, k] < 0.5) if raised[slice(*run), k].any()]
        assert [(b - a) / motion.fps for a, b in air] == pytest.approx([0.7], abs=0.04)


def test_a_hand_that_wipes_goes_along_the_surface(retarget):
    scene = Scene(objects=(everyday("table", "table", (0.7, 0.0, 0.0)),))
    plan = choreographer.Choreography.of_instruction("wipe the table", 0.78, scene)
    human, _ = plan.perform(np.zeros(10))
    result = retarget(human, interaction=plan.interaction)
    assert_sound(result)
    (contact,) = result.motion.object_contacts
    rubs = slice(round(contact.start * 50) + 20, round(contact.end * 50) - 20)
    positions, turns = robot.link_poses(result.motion, [robot.HAND_LINKS[contact.body]])
    hand = (positions + turns @ robot.HAND_POINT)[rubs, 0]
    assert np.ptp(hand[:, 1]) > 0.12
    assert np.ptp(hand[:, 2]) < 0.02


def test_a_door_is_shoved_within_the_arm_s_reach(retarget):
    scene = Scene(objects=(everyday("door", "door", (0.6, 0.0, 0.0)),))
    plan = choreographer.Choreography.of_instruction("push the door open and walk through", 1.0, scene)
    human, _ = plan.perform(np.zeros(10))
    result = retarget(human, interaction=plan.interaction)
    (contact,) = result.motion.object_contacts
    pushes = slice(round(contact.start * 50), round((contact.end + 1.0) * 50))
    _, turns = robot.link_poses(result.motion, ["torso_link"])
    assert np.arccos(turns[pushes, 0, 2, 2]).max() < 0.25  # who leans on it falls through as it gives way
    hand = robot.forward_kinematics(result.motion, [robot.HAND_LINKS[contact.body]])[pushes, 0]
    assert np.ptp(hand[:, 0]) > 0.08


def test_a_kick_goes_through_the_ball(retarget):
    human = person_doing("walk to the ball and kick it")
    ball = everyday("ball", "ball", (1.75, 0.1, 0.0))
    planned = Contact(body="right_foot", object="ball", kind="strike", start=5.0, end=5.4)
    result = retarget(human, interaction=Interaction(Scene(objects=(ball,)), (planned,)))
    assert_sound(result)
    foot = robot.forward_kinematics(result.motion, ["right_ankle_roll_link"])[:, 0]
    toe = foot + Rotation.from_quat(result.motion.root_quat_wxyz, scalar_first=True).apply([0.13, 0.0, 0.0])
    away = np.linalg.norm(toe - ball.corners.mean(axis=0), axis=1)
    hit = int(away.argmin())
    assert away[hit] < ball.bounds[1, 0]
    assert np.linalg.norm(foot[hit + 1] - foot[hit - 1]) * 25 > 0.4


def test_a_foot_pushes_low_on_the_front_and_goes_farther_by_the_load(retarget):
    scene = Scene(objects=(everyday("box", "box", (1.4, 0.05, 0.0), size=(0.4, 0.4, 0.6), mass=2.0),))
    plan = choreographer.Choreography.of_instruction("walk to the box and push it forward", 0.78, scene)
    human, _ = plan.perform(np.zeros(10))
    result = retarget(human, interaction=plan.interaction)
    contact = result.motion.object_contacts[0]
    toe = robot.sole_points(result.motion)[:, 1]
    begin, end = (round(t * result.motion.fps) for t in (contact.start, contact.end))
    assert toe[begin, :, 0].max() == pytest.approx(1.2, abs=0.05)
    assert 1.2 + 0.10 + 0.08 < toe[end, :, 0].max() < 1.2 + 0.10 + 0.2
    assert toe[begin:end, :, 2].max() < 0.12  # higher it would tip


def test_one_hand_pushes_at_the_middle_and_as_far_as_is_asked_for(retarget):
    table = everyday("table", "table", (1.6, 0.0, 0.0))
    scene = Scene(objects=(table, everyday("box", "box", (1.42, -0.1, 0.74), size=(0.15, 0.15, 0.15))))
    plan = choreographer.Choreography.of_instruction("push the box forward with your right hand", 0.78, scene)
    human, _ = plan.perform(np.zeros(10))
    result = retarget(human, interaction=plan.interaction)
    (contact,) = result.motion.object_contacts
    assert contact.pos_object[1] == pytest.approx(0.0, abs=1e-6)  # beside it the box turns, and the hand slips off
    asked = plan.interaction.checks[0].amount
    hand = robot.hand_poses(result.motion)[0][:, 1]
    begin, end = (round(t * result.motion.fps) for t in (contact.start, contact.end))
    assert np.ptp(hand[begin:end, 0]) > asked


def test_a_chair_that_would_tip_over_is_not_pushed_by_its_back(retarget):
    chair = everyday("chair", pos=(0.55, 0.0, 0.0), yaw=np.pi)
    push = tuple(
        Contact(body=f"{side}_hand", object="chair", kind="push", start=2.0, end=3.5, pos_object=(-0.21, y, 0.84))
        for side, y in (("left", -0.09), ("right", 0.09))
    )
    person = person_doing("push the chair")
    with pytest.raises(Refused, match=r"tip over rather than slide.* 84 cm up; .*lower than 35 cm"):
        retarget(person, interaction=Interaction(Scene(objects=(chair,)), push))
    slippery = chair.model_copy(update={"friction": 0.2})
    assert retarget(person, interaction=Interaction(Scene(objects=(slippery,)), push)).motion.object_contacts


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("pick up the cup from the floor", "pick up the cup from there with one hand.* 5 cm over the floor"),
        ("put the bottle on the floor", "put the bottle down there with one hand.* 8 cm over the floor"),
    ],
)
def test_one_hand_does_not_get_to_the_floor(retarget, task, said):
    plan = choreographer.Choreography.of_instruction(task, 0.78)
    with pytest.raises(Refused, match=said):
        retarget(plan.perform(np.zeros(10))[0], interaction=plan.interaction)


def test_a_ball_on_the_floor_is_lower_than_palms_get(retarget):
    person = person_doing("pick up the box")
    with pytest.raises(Refused, match="11 cm over the floor, and they get down to 16 cm"):
        retarget(
            person,
            interaction=Interaction(Scene(objects=(everyday("ball", pos=(0.5, 0.0, 0.0)),)), held("ball", 2.0, 6.0)),
        )


def test_what_is_drawn_moves_with_the_hand_though_the_robot_came_from_where_it_is_drawn_to():
    fps, rest = 50.0, np.tile(everyday("bottle", pos=(1.5, 0.0, 0.74)).pose, (300, 1))
    palm = np.zeros((300, 3))
    palm[:, 0] = np.interp(np.arange(300), [0, 100, 200, 250], [0.2, 1.5, 1.5, 1.25])  # it walks there, and draws
    push = Contact(body="right_hand", object="bottle", kind="push", start=3.0, end=5.0)
    poses = pushed(rest, push, palm, fps)
    assert poses[:150] == pytest.approx(rest[:150])
    assert poses[-1, 0] == pytest.approx(1.25, abs=0.02)


def test_who_knocks_on_a_door_meets_its_leaf_from_the_front(retarget):
    plan = choreographer.Choreography.of_instruction("knock on the door")
    motion = retarget(plan.perform(np.zeros(10))[0], interaction=plan.interaction).motion
    for contact in motion.object_contacts:
        assert contact.normal_object == (-1.0, 0.0, 0.0)
        hit = robot.hand_poses(motion)[1][round(contact.start * motion.fps) + 10, 1]
        assert hit[0, 0] > 0.9  # the knuckles ahead
    first = round(motion.object_contacts[0].start * motion.fps)
    assert motion.root_pos[:first, 2].min() > 0.97 * motion.root_pos[0, 2]  # it does not crouch to raise the hand


def test_a_fist_meets_the_bag_that_it_punches(retarget):
    plan = choreographer.Choreography.of_instruction("punch the bag with your right fist", 0.78)
    human, _ = plan.perform(np.zeros(10))
    result = retarget(human, interaction=plan.interaction)
    (contact,) = result.motion.object_contacts
    assert (contact.kind, contact.body) == ("strike", "right_hand")
    bag = plan.interaction.scene[contact.object]
    hit = robot.hand_poses(result.motion)[0][round(contact.start * result.motion.fps), 1]
    assert bag.floor_distance(hit[:2]) < 0.15  # of the wrist: the knuckles are as far ahead


def test_who_walks_to_something_that_was_moved_ends_near_it(retarget):
    human = person_doing("walk to the chair")
    for x in (1.3, 2.6):
        chair = everyday("chair", "chair", (x, 0.2, 0.0))
        checks = (Check(kind="robot_near", object="chair"),)
        result = retarget(human, interaction=Interaction(Scene(objects=(chair,)), checks=checks))
        assert chair.floor_distance(result.motion.root_pos[-1, :2]) < 0.55


def test_a_foot_is_not_led_to_what_the_task_leaves_where_it_is(retarget):
    made = choreographer.Choreography.of_instruction("kick the ball")
    human, scene = made.perform(np.zeros(10))[0], made.interaction.scene
    x, y, _ = scene["ball"].pos
    for checks, found in (
        ((), ["strike"]),
        ((Check(kind="kicked", object="ball"),), ["strike"]),
        ((Check(kind="stands", object="ball"), Check(kind="at", object="ball", place=(x, y))), []),  # as of a bar
    ):
        motion = retarget(human, interaction=Interaction(scene, checks=checks)).motion
        assert [contact.kind for contact in motion.object_contacts] == found


def test_an_arm_that_is_hidden_and_idle_hangs():
    human = person_doing("raise both arms forward")
    sure = np.ones((len(human), 5))
    sure[:, 0] = 0.5
    seen, hidden = replace(human, limb_confidence=np.ones((len(human), 5))), replace(human, limb_confidence=sure)
    body, middle = BodyModel.load(), len(human) // 2

    def raised(motion, planned, checks=()):
        joints = body.joints(with_idle_arms_hanging(motion, Interaction(contacts=planned, checks=checks)))[middle]
        return [joints[wrist, 2] > joints[wrist - 4, 2] - 0.2 for wrist in (20, 21)]

    right, both = held("cup", 1.0, 2.0, ("right",)), held("cup", 1.0, 2.0)
    shown = Contact(body="left_hand", object="", kind="gesture", start=1.0, end=2.0)
    assert raised(hidden, right) == [False, True]
    for motion, planned in ((seen, right), (hidden, both), (hidden, ()), (hidden, (*right, shown))):
        assert raised(motion, planned) == [True, True]
    assert raised(hidden, (), (Check(kind="stands"),)) == [False, True]  # the plan touches nothing


def test_no_foot_is_set_down_on_the_other_where_steps_are_shifted(retarget):
    human = person_doing("take four steps to the right")
    person = resample(posture(human, retarget.body, retarget.mapping["human"]), 50.0)
    stands = foot_contacts(person.contacts, person.fps, 0.08)
    landing = np.flatnonzero(stands[1:, 0] & ~stands[:-1, 0])[0]  # of the left foot, which follows the right one
    first, end = next(run for run in true_runs(stands[:, 1]) if run[0] < landing < run[1])
    shift = np.zeros((len(person), 2))
    shift[:, 1] = -0.2 * (np.arange(len(person)) > (first + end) // 2)  # where the right foot stands already
    carried = moved(person, stands, shift, np.zeros(len(person)))

    def apart(posture):
        left, right = posture.at("foot")[stands.all(axis=1), :, 1].T
        return (left - right).min()

    assert apart(person) > 0.14
    assert apart(carried) > 0.13


def test_who_leaves_what_it_has_stopped_at_gets_no_nearer_to_it(retarget):
    human = person_doing("turn left 90 degrees, then walk forward one metre")
    person = resample(posture(human, retarget.body, retarget.mapping["human"]), 50.0)
    stands, last = foot_contacts(person.contacts, person.fps, 0.08), len(person) - 1
    stand = everyday("stand", pos=(0.5, 0.0, 0.0), size=(0.4, 0.4, 0.6))
    placed = [*(Stance(k, k, np.zeros(2)) for k in (0, 30)), Stance(last, last, np.array([0.4, 0.0]))]
    shift = along_steps(placed, stands, person)
    path = person.at("hip").mean(axis=1)[:, :2]
    round_it = past_obstacles(person, shift, placed, stands, Scene(objects=(stand,)), set())
    assert stand.floor_distance(path + shift).min() < 0.15
    assert stand.floor_distance(path + round_it).min() > 0.24  # 0.30 where it stops, less its sway
    np.testing.assert_allclose(round_it[-1], shift[-1], atol=0.01)


def test_who_walks_off_along_a_table_gets_farther_from_it(retarget):
    human = person_doing("turn left 90 degrees, then walk forward one metre")
    person = resample(posture(human, retarget.body, retarget.mapping["human"]), 50.0)
    stands, last = foot_contacts(person.contacts, person.fps, 0.08), len(person) - 1
    table = everyday("table", pos=(0.6, 0.4, 0.0), size=(0.6, 1.2, 0.75))
    placed = [*(Stance(k, k, np.zeros(2)) for k in (0, 30)), Stance(last, last, np.zeros(2))]
    path = person.at("hip").mean(axis=1)[:, :2]
    shift = past_obstacles(person, np.zeros((len(person), 2)), placed, stands, Scene(objects=(table,)), set())
    away = table.floor_distance(path + shift)
    assert away[0] == pytest.approx(0.3, abs=0.03)
    beside = np.linalg.norm(path - path[0], axis=1)
    assert away[(beside > 0.5) & (beside < 0.8)].min() > 0.33


def test_who_stops_before_a_goal_does_not_leave_the_path_round_an_obstacle(retarget):
    chair, basket = everyday("chair", pos=(1.08, 0.07, 0.0)), everyday("basket", pos=(2.3, -0.13, 0.0))
    made = choreographer.Choreography.of_instruction("walk to the basket", 0.78, Scene(objects=(chair, basket)))
    motion = retarget(made.perform(np.zeros(10))[0], interaction=made.interaction).motion
    assert chair.floor_distance(motion.root_pos[:, :2]).min() > 0.25
    assert basket.floor_distance(motion.root_pos[-1, :2]) > 0.4


def test_a_touch_meets_the_surface(retarget):
    scene = Scene(objects=(everyday("table", "table", (0.75, 0.0, 0.0), size=(0.6, 1.1, 0.76)),))
    human = person_doing("touch the table")
    interaction = Interaction(scene, held("table", 2.3, 3.5, ("right",), "touch"))
    result = retarget(human, interaction=interaction)
    assert_sound(result)
    (contact,) = result.motion.object_contacts
    touches = slice(*(round(at * result.motion.fps) for at in (contact.start, contact.end)))
    pos, rotation = robot.link_poses(result.motion, ("right_wrist_yaw_link",))
    palm = (pos + rotation @ retarget.model.palms[1])[touches, 0]
    wanted = retarget.object_targets(human, interaction)[0].palm_pos[touches, 1]
    assert np.linalg.norm(palm - wanted, axis=1).max() < 0.005


def test_rounding_does_not_decide_how_the_arms_go(retarget):
    scene = Scene(objects=(everyday("table", "table", (0.75, 0.0, 0.0), size=(0.6, 1.1, 0.76)),))
    interaction = Interaction(scene, held("table", 2.3, 3.5, ("right",), "touch"))
    human = person_doing("touch the table")
    noise = 1e-9 * np.random.default_rng(0).normal(size=human.body_pose.shape)
    one, other = (
        retarget(replace(human, body_pose=human.body_pose + share * noise), interaction=interaction).motion
        for share in (0.0, 1.0)
    )
    np.testing.assert_allclose(one.joint_pos, other.joint_pos, atol=1e-4)


def test_a_hand_that_touches_a_top_is_not_raised_to_it_before_the_chest(retarget):
    table = everyday("table", "table", (1.87, 0.0, 0.0), size=(0.6, 1.2, 0.78))
    bottle = everyday("bottle", "bottle", (1.67, 0.1, 0.78))
    plan = choreographer.Choreography.of_instruction(
        "walk to the table and touch the bottle with your left hand", scene=Scene(objects=(table, bottle))
    )
    human, _ = plan.perform(np.zeros(10))
    result = retarget(human, interaction=plan.interaction)
    assert_sound(result)
    motion = result.motion
    start = round(motion.object_contacts[0].start * motion.fps)
    arm = motion.joint_pos[start - round(LEAD_TIME * motion.fps) : start, 15:18]
    assert arm[:, 0].max() < 1.6  # an arm that folds up turns its shoulder back


def test_before_an_early_contact_the_hand_is_raised_from_where_it_is(retarget):
    scene = Scene(objects=(everyday("table", "table", (0.75, 0.0, 0.0), size=(0.6, 1.1, 0.76)),))
    person = person_doing("touch the table")
    result = retarget(person, interaction=Interaction(scene, held("table", 1.2, 2.4, ("right",), "touch")))
    assert_sound(result)
    motion = result.motion
    hand, alone = (
        robot.forward_kinematics(each, ["right_wrist_yaw_link"])[0, 0] - each.root_pos[0]
        for each in (motion, retarget(person).motion)
    )
    assert np.linalg.norm(hand - alone) < 0.05
    assert motion.object_contacts[0].start >= LEAD_TIME


def test_arms_trunk_and_legs_keep_apart_among_objects(retarget):
    interaction = Interaction(Scene(objects=(box_at(0.5),)), held("box", 2.8, 5.6))
    motion = retarget(person_doing("pick up the box from the floor"), interaction=interaction).motion
    model = retarget.model
    turns = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True).as_matrix()
    poses = model.kinematics.poses(State(motion.root_pos, turns, motion.joint_pos))
    bodies = model.description.capsule_body[model.description.pairs]
    legs = model.of_leg[bodies].any(axis=1) & ~(model.of_leg[bodies] | (bodies == model.pelvis)).all(axis=1)
    apart = model.description.pairs[legs | (model.of_arm[bodies].sum(axis=1) == 1)]

    def least(pairs):
        found = CapsulePairs(model.description, pairs).distances(poses, np.inf)
        return found.distance.reshape(len(pairs), -1).min(axis=0)

    assert np.quantile(least(apart), 0.1) > 0.025
    hands = np.isin(bodies, model.bodies["hand"]).any(axis=1) & model.of_hips[bodies].any(axis=1)
    assert np.quantile(least(model.description.pairs[hands]), 0.1) > 0.045  # a Dex3 hand's thumb stands out


def test_contacts_are_found_in_an_estimate_that_is_off(retarget):
    human = person_doing("pick up the box")
    rng = np.random.default_rng(0)
    drift = rng.normal(0, 0.05, (4, 3)).repeat(len(human) // 4 + 1, axis=0)[: len(human)]
    scene = Scene(objects=(box_at(0.44),))

    def found(motion, planned=()):
        person = resample(posture(motion, retarget.body, retarget.mapping["human"]), 50.0)
        return find_contacts(person, scene, planned)

    truth = found(human, held("box", 2.8, 5.6))
    off = found(replace(human, transl=human.transl + [0.15, -0.1, 0.0] + 0.3 * drift), held("box", 2.3, 5.6))
    seen = found(human)
    assert [c.body for c in truth] == ["left_hand", "right_hand"]
    assert {c.kind for c in seen} == {"grasp"}
    for contacts in (off, seen):
        assert abs(contacts[0].start - truth[0].start) < 0.4
        assert contacts[0].end == pytest.approx(truth[0].end, abs=0.3)


def test_what_a_hand_draws_near_is_let_go_of_before_the_hand_comes_down_the_same_way(retarget):
    table = everyday("table", pos=(1.2, 0.0, 0.0), size=(0.6, 1.2, 0.74))
    scene = Scene(objects=(table, everyday("bottle", pos=(1.0, 0.0, 0.74))))
    made = choreographer.Choreography.of_instruction("sweep the bottle off the table", 0.78, scene)
    person = resample(posture(made.perform(np.zeros(10))[0], retarget.body, retarget.mapping["human"]), 50.0)
    (planned,) = made.interaction.contacts
    points, wrist = person.points.copy(), POINTS.index("wrist")
    share = np.clip((np.arange(len(person)) / 50.0 - planned.end) / 0.8, 0.0, 1.0)[:, None]
    points[:, [POINTS.index("elbow"), wrist], 1] += (share * (-0.2, 0.0, -0.2))[:, None]  # home, and slowly
    (found,) = find_contacts(replace(person, points=points), scene, [planned])
    drawn, let_go = (points[round(time * 50.0), wrist, 1, 2] for time in (planned.end, found.end))
    assert drawn - let_go < 0.06
    assert abs(found.end - planned.end) < 0.4


def test_hands_that_are_planned_together_take_together_though_one_is_seen_there_late(retarget):
    person = resample(posture(person_doing("pick up the box"), retarget.body, retarget.mapping["human"]), 50.0)
    arm, late = [POINTS.index("elbow"), POINTS.index("wrist")], 70
    points = person.points.copy()
    points[late:, arm, 0] = person.points[:-late, arm, 0]
    planned = held("box", 2.8, (len(person) - 1) / 50.0)
    left, right = find_contacts(replace(person, points=points), Scene(objects=(box_at(0.44),)), planned)
    assert (left.start, left.end) == (right.start, right.end)
    assert left.start == pytest.approx(2.8, abs=0.4)


def test_an_arm_that_an_object_leads_keeps_its_elbow_low(retarget):
    table = everyday("table", pos=(1.4, 0.0, 0.0), size=(0.6, 1.2, 0.75))
    scene = Scene(objects=(table, everyday("box", pos=(1.27, 0.0, 0.75), size=(0.3, 0.28, 0.3))))
    plan = choreographer.Choreography.of_instruction("walk to the table and pick up the box", scene=scene)
    human, _ = plan.perform(np.zeros(10))
    motion = retarget(human, interaction=plan.interaction).motion
    elbows = robot.forward_kinematics(motion, ["left_elbow_link", "right_elbow_link"])[..., 2]
    shoulders = robot.forward_kinematics(motion, ["left_shoulder_roll_link", "right_shoulder_roll_link"])[..., 2]
    taken = round(motion.object_contacts[0].start * motion.fps)
    assert (elbows - shoulders)[:taken].max() < 0.0


def test_how_a_person_s_hidden_arms_are_twisted_does_not_matter_to_led_straight_arms(retarget):
    targets = retarget.targets(person_doing("stand still for one second"))
    shoulders = retarget.model.shoulders(targets.pelvis_pos, targets.pelvis_rot, targets.torso_rot)
    reach = retarget.model.upper_arm + retarget.model.forearm - 0.005
    palms = shoulders + np.array([0.7, 0.0, -0.7]) * reach + targets.hand_rot @ retarget.model.wrist_to_palm[0]
    led = replace(targets, palm_pos=palms, holding=np.ones_like(targets.holding))
    twisted = replace(led, arm_rot=led.arm_rot @ Rotation.from_euler("z", 2.0).as_matrix())
    np.testing.assert_allclose(
        twisted.with_led_arms(retarget.model).arm_rot, led.with_led_arms(retarget.model).arm_rot, atol=1e-9
    )


def test_what_two_hands_carry_is_steady_before_the_middle_of_the_body(retarget):
    human = person_doing("walk forward two metres")
    targets = retarget.targets(human)
    times = np.arange(len(targets)) / targets.fps
    box = box_at(0.5, 0.0, 0.7)
    aside = np.stack([0.4 + 0.1 * np.sin(9.0 * times), 0.1 * np.cos(7.0 * times), 0.2 + 0.0 * times], axis=1)
    contact = held("box", 0.5, times[-1] + 1.0)[0]
    rest = np.repeat(box.pose[None], len(targets), axis=0)
    natural, grip = targets.pelvis_pos + aside, np.array([0.0, 0.0, 0.2])
    poses = carried(Scene(objects=(box,)), contact, rest, grip, natural, targets, retarget.model, two_hands=True)
    walks = times > 3.0
    assert np.abs(poses[walks, 1] - targets.pelvis_pos[walks, 1]).max() < 0.04
    assert (poses[walks, 0] - targets.pelvis_pos[walks, 0]).min() > 0.15 + 0.13 + 0.1
    assert np.abs(np.diff(poses[walks, :2], n=2, axis=0)).max() * targets.fps**2 < 3.0


@pytest.mark.parametrize("onto_chair", [True, False])
def test_what_is_put_on_a_seat_or_taken_from_it_is_not_lifted_over_the_back(retarget, onto_chair):
    targets = retarget.targets(person_doing("walk forward one metre"))
    chair = everyday("chair", pos=(1.5 if onto_chair else 0.5, 0.0, 0.0))
    chair = chair.at(np.r_[chair.pos, Rotation.from_euler("z", np.pi).as_quat(scalar_first=True)])
    box = box_at(0.5, 0.0, 0.0 if onto_chair else 0.44)
    contact = held("box", 0.5, len(targets) / targets.fps - 0.5)[0]
    rest = np.repeat(box.pose[None], len(targets), axis=0)
    natural = targets.pelvis_pos + np.array([0.35, 0.0, -0.05])
    where = Destination("chair" if onto_chair else "")
    poses = carried(
        Scene(objects=(box, chair)),
        contact,
        rest,
        np.array([0.0, 0.0, 0.15]),
        natural,
        targets,
        retarget.model,
        where,
        two_hands=True,
    )
    assert poses[:, 2].max() < chair.extent[1, 2]
    assert poses[-1, 2] == pytest.approx(0.44 if onto_chair else 0.0, abs=0.01)


def test_who_takes_a_box_off_a_table_hardly_bends_and_has_the_load_over_the_feet(retarget):
    table = everyday("table", pos=(1.4, 0.0, 0.0), size=(0.6, 1.2, 0.75))
    box = everyday("box", pos=(1.32, 0.0, 0.75), size=(0.3, 0.28, 0.3), mass=2.0)
    plan = choreographer.Choreography.of_instruction(
        "walk to the table and pick up the box", scene=Scene(objects=(table, box))
    )
    targets, _, fields, _ = retarget.object_targets(plan.perform(np.zeros(10))[0], plan.interaction)
    state = retarget.fit(targets)
    poses = retarget.model.kinematics.poses(state)
    taken = round(fields["object_contacts"][0].start * targets.fps)
    work = slice(taken - 50, taken + 50)
    torso = poses.rotation(retarget.model.description.links["torso_link"][0])[work]
    assert np.arcsin(-torso[:, 2, 0]).max() < np.radians(22.0)
    mass, load = retarget.model.description.mass.sum(), targets.load[work]
    np.testing.assert_allclose(load[-1], 1.0 + EXTRA_MASS)
    center = retarget.model.kinematics.center_of_mass(poses)[:2].T[work]
    held = np.einsum("tk,tkj->tj", load, targets.palms(retarget.model)[work, :, :2])
    whole = (mass * center + held) / (mass + load.sum(axis=1, keepdims=True))
    ahead = (whole - targets.foot_pos[work, :, :2].mean(axis=1)) @ [1.0, 0.0]  # it faces +x
    assert ahead.max() < 0.05


def bottle_task(retarget):
    plan = choreographer.Choreography.of_instruction(
        "walk to the table, pick up the bottle with your left hand and put it into the basket"
    )
    human, _ = plan.perform(np.zeros(10))
    return plan, human


def test_a_hand_that_passes_an_object_on_its_way_back_has_taken_it_where_it_was_far_out(retarget):
    plan, human = bottle_task(retarget)
    person = resample(posture(human, retarget.body, retarget.mapping["human"]), 50.0)
    (planned,) = plan.interaction.contacts
    (truth,) = find_contacts(person, plan.scene, [planned])
    bottle = plan.scene["bottle"]
    nearer = bottle.at(bottle.pose - np.array([0.16, 0.02, -0.08, 0.0, 0.0, 0.0, 0.0]))
    others = [nearer if obj.id == "bottle" else obj for obj in plan.scene.objects]
    (found,) = find_contacts(person, Scene(objects=tuple(others)), [planned])
    assert truth.start - 0.1 < found.start < planned.start + 0.1


def test_the_robot_does_not_crouch_for_what_one_hand_reaches_standing(retarget):
    plan, human = bottle_task(retarget)
    stand = everyday("stand", "stand", (1.2, 1.68, 0.0), size=(0.4, 0.4, 0.6))
    basket = everyday("basket", "basket", (1.2, 1.68, 0.6))
    scene = Scene(objects=(plan.scene["table"], plan.scene["bottle"], stand, basket))
    motion = retarget(human, interaction=replace(plan.interaction, scene=scene)).motion
    assert motion.root_pos[:, 2].min() > 0.7  # the person puts the bottle down with bent knees


def test_one_hand_carries_with_a_level_forearm_however_the_person_holds_it(retarget):
    plan, human = bottle_task(retarget)
    (contact,) = plan.interaction.contacts
    targets = retarget.targets(human, True)
    targets = replace(targets, forearm=np.broadcast_to([0.0, 0.0, 1.0], targets.forearm.shape))
    led, *_ = InteractionTargets(retarget.model, plan.scene, [contact], "dex3").targets(targets)
    carries = slice(round((contact.start + 2.0) * led.fps), round((contact.end - 4.5) * led.fps))
    assert led.palm_pos[carries, 0, 2].max() < 1.0  # the shoulder is at 1.06 m


def test_a_box_off_a_table_is_carried_over_the_thighs_and_high_over_what_it_is_put_on(retarget):
    table = everyday("table", "table", (1.3, 0.0, 0.0), size=(0.6, 1.2, 0.78))
    stand = everyday("stand", "stand", (0.7, 2.0, 0.0), size=(0.5, 0.5, 0.7))
    scene = Scene(objects=(table, stand, box_at(1.16, z=0.78)))
    task = "pick up the box, carry it to the stand and put it on the stand"
    plan = choreographer.Choreography.of_instruction(task, scene=scene)
    targets, poses, _, _ = retarget.object_targets(plan.perform(np.zeros(10))[0], plan.interaction)
    box = poses[:, 2, :3]
    near, over = (np.linalg.norm(box[:, :2] - at, axis=1) < 0.3 for at in (box[0, :2], box[-1, :2]))
    assert box[near, 2].max() > 0.78 + 0.09
    between = slice(np.flatnonzero(near)[-1] + 50, np.flatnonzero(over)[0] - 50)
    over_thighs = box[between, 2] - targets.pelvis_pos[between, 2] + 0.05
    assert over_thighs.min() > -0.03
    assert over_thighs.min() < 0.02  # and it is lowered to there
    assert box[over, 2].max() > 0.7 + 0.07
    np.testing.assert_allclose(box[-1, 2], 0.7, atol=1e-6)
    assert np.diff(box[:, 2]).min() * targets.fps > -0.6  # and it does not drop off an edge that it has passed


def test_a_hand_that_is_led_does_not_reach_out_before_it_is_raised(retarget):
    plan, human = bottle_task(retarget)
    (contact,) = plan.interaction.contacts
    late = contact.model_copy(update={"start": contact.start + 1.0})
    targets, *_ = InteractionTargets(retarget.model, plan.scene, [late], "dex3").targets(retarget.targets(human, True))
    times = np.arange(len(targets)) / targets.fps
    led = (targets.holding[:, 0] > 0.99) & (times < late.start - 1.5)
    facing = headed(targets.headings(retarget.model))[led, :, 0]
    ahead = np.sum((targets.palm_pos[led, 0] - targets.pelvis_pos[led]) * facing, axis=1)
    assert led.any()
    assert ahead.max() < 0.25  # where it is raised to; the person reaches farther


def test_a_body_that_is_estimated_far_behind_its_feet_as_it_bends_stands_over_them(retarget):
    plan, human = bottle_task(retarget)
    (contact,) = plan.interaction.contacts
    targets = retarget.targets(human, True)
    put = round(contact.end * targets.fps)
    pelvis_pos = targets.pelvis_pos.copy()
    pelvis_pos[put - 30 : put + 30] -= 0.4 * headed(targets.headings(retarget.model))[put, :, 0]
    objects = InteractionTargets(retarget.model, plan.scene, [contact], "dex3")
    plain, off = (objects.within_ability(t) for t in (targets, replace(targets, pelvis_pos=pelvis_pos)))
    palms = [t.natural_palms(retarget.model)[put, 0] for t in (plain, off)]
    for true, estimated in ((plain.pelvis_pos[put], off.pelvis_pos[put]), palms):
        assert np.linalg.norm(estimated - true) < 0.2


def test_what_cannot_be_done_is_refused(retarget):
    human = person_doing("pick up the box")
    with pytest.raises(BadInput, match="no object 'cup'"):
        retarget(human, interaction=Interaction(Scene(objects=(box_at(0.44),)), held("cup", 2.8, 5.6)))
    wide = everyday("box", "box", (0.44, 0.0, 0.0), size=(0.3, 0.7, 0.3))
    with pytest.raises(Refused, match="70 cm wide"):
        retarget(human, interaction=Interaction(Scene(objects=(wide,)), held("box", 2.8, 5.6)))
    with pytest.raises(BadInput, match="scale"):
        Retargeter(scale="moon")
    with pytest.raises(BadInput, match="hands"):
        Retargeter(hands="gloves")


@pytest.mark.parametrize("kind", ["box", "cylinder", "sphere", "capsule"])
def test_distances_from_solids_grow_along_their_normals(kind):
    rng = np.random.default_rng(2)
    half = {"box": [0.2, 0.3, 0.1], "cylinder": [0.2, 0.2, 0.3], "capsule": [0.1, 0.1, 0.4]}.get(kind, [0.2, 0.2, 0.2])
    turn = Rotation.random(1, rng).as_matrix()[:, None]
    solid = Solids((kind,), np.array([half]), np.array([[[0.3, 0.2, 0.1]]]), turn, np.zeros((1, 1, 0), dtype=bool))
    points = np.array([0.3, 0.2, 0.1])[:, None] + rng.normal(0, 0.4, (200, 3, 1))
    away, normal = solid.distance(0, points)
    further, _ = solid.distance(0, points + 1e-5 * normal)
    smooth = np.abs((further - away) / 1e-5 - 1.0) < 1e-3
    assert smooth.mean() > 0.95
    outside = away[:, 0] > 0
    on_surface, _ = solid.distance(0, points - away[:, None] * normal)
    assert np.abs(on_surface[outside]).max() < 1e-9


def pivoting(person):
    """As an estimate may have a person who turns: on both feet, which creep along with the body."""
    hips = person.at("hip")
    middle, left = hips.mean(axis=1), hips[:, 0] - hips[:, 1]
    turn = headed(np.arctan2(-left[:, 0], left[:, 1]))
    on_floor = [1.0, 1.0, 0.0]

    def along(points):
        local = np.einsum("ji,...j->...i", turn[0], points[0] - middle[0] * on_floor)
        return middle[:, None] * on_floor + np.einsum("tij,nj->tni", turn, local)

    points, foot = person.points.copy(), POINTS.index("foot")
    points[:, foot] = along(points[:, foot])
    return replace(person, points=points, soles=along(person.soles), contacts=np.ones((len(person), 4)))


def test_who_turns_on_feet_that_do_not_step_is_given_steps(retarget):
    person = retarget._person(person_doing("turn left"))
    assert not unreliable_walks(person).any()
    pivots = pivoting(person)
    stepped = with_footsteps(pivots, unreliable_walks(pivots))
    stands = stepped.contacts[:, ::2] > 0.5
    assert stands.any(axis=1).all()
    feet = stepped.at("foot")
    for k in range(2):
        runs = true_runs(stands[:, k])
        assert 3 <= len(runs) <= 7
        assert all(np.ptp(feet[a:b, k], axis=0).max() == 0.0 for a, b in runs)
    toes = stepped.soles[:, 1::2] - stepped.soles[:, ::2]
    turned = np.unwrap(np.arctan2(toes[..., 1], toes[..., 0]), axis=0)
    np.testing.assert_allclose(turned[-1] - turned[0], np.pi / 2, atol=0.15)
    hips = stepped.at("hip").mean(axis=1)[:, :2]
    assert np.linalg.norm(hips - feet[..., :2].mean(axis=1), axis=1).max() < 0.12


def test_who_sways_before_a_turn_does_not_walk_yet(retarget):
    person = retarget._person(person_doing("stand for 3 seconds, then turn left"))
    sways = 0.25 * np.sin(np.linspace(-0.3, np.pi, 120))
    turn = headed(np.pad(sways, (0, len(person) - 120)))
    hips = person.at("hip").mean(axis=1)[:, None, None]
    swaying = replace(person, points=hips + np.einsum("tij,tnkj->tnki", turn, person.points - hips))
    begins = [np.flatnonzero(unreliable_walks(pivoting(each)))[0] for each in (person, swaying)]
    assert begins[1] == pytest.approx(begins[0], abs=5)
    assert begins[1] > 120


def test_whose_estimate_drifts_before_a_turn_does_not_walk_yet(retarget):
    person = retarget._person(person_doing("stand for 6 seconds, then turn left"))
    turn = headed(np.pad(0.25 * np.linspace(0.0, 1.0, 280), (0, len(person) - 280), mode="edge"))
    hips = person.at("hip").mean(axis=1)[:, None, None]
    drifting = replace(person, points=hips + np.einsum("tij,tnkj->tnki", turn, person.points - hips))
    begins = [np.flatnonzero(unreliable_walks(pivoting(each)))[0] for each in (person, drifting)]
    assert begins[1] == pytest.approx(begins[0], abs=20)


def test_a_hand_that_gets_low_for_an_object_does_not_bear_the_body(retarget):
    plan = choreographer.Choreography.of_instruction("pick up the box from the floor")
    human, _ = plan.perform(np.zeros(10))
    targets = retarget.targets(human, task=True)
    contacts = plan.interaction.contacts
    taken = round(contacts[0].start * targets.fps)
    bearing = targets.bearing.copy()
    bearing[taken - 20 : taken + 20, BEARING.index("left_hand")] = 0.0
    objects = InteractionTargets(retarget.model, plan.interaction.scene, contacts, "dex3")
    plain, bears = (objects.within_ability(t) for t in (targets, replace(targets, bearing=bearing)))
    np.testing.assert_array_equal(bears.pelvis_pos, plain.pelvis_pos)
    assert np.isinf(bears.bearing).all()


@pytest.mark.parametrize("ahead", [-0.4, 0.4])
def test_a_pelvis_is_over_the_feet_of_who_carries_a_box(retarget, ahead):
    plan = choreographer.Choreography.of_instruction("pick up the box from the floor")
    targets = retarget.targets(plan.perform(np.zeros(10))[0], task=True)
    pelvis_pos = targets.pelvis_pos + np.array([ahead, 0.0, 0.0])
    objects = InteractionTargets(retarget.model, plan.interaction.scene, plan.interaction.contacts, "dex3")
    over = objects.within_ability(replace(targets, pelvis_pos=pelvis_pos))
    assert np.abs(over.pelvis_pos[:, 0] - over.foot_pos[..., 0].mean(axis=1)).max() < 0.12


@pytest.mark.parametrize("bent", [0.3, 1.2, 1.8])
def test_a_trunk_that_is_bent_too_far_is_bent_less(bent):
    heading = Rotation.from_euler("z", 0.7)
    trunk = (heading * Rotation.from_euler("y", bent)).as_matrix()[None]
    less = (heading * Rotation.from_euler("y", min(bent, 0.8))).as_matrix()[None]
    np.testing.assert_allclose(_less_bent(trunk, 0.8, np.ones(1)), less, atol=1e-6)


def test_steps_to_the_side_are_half_as_long():
    ahead, aside = np.array([0.6, 0.0]), np.array([0.0, 0.6])
    assert steps_needed(ahead, 0.0, 0) == steps_needed(aside, np.pi / 2, 0) == 3
    assert steps_needed(aside, 0.0, 0) == steps_needed(ahead, np.pi / 2, 0) == 6


def test_feet_keep_apart_on_the_way_to_something_that_was_moved_aside(retarget):
    plan = choreographer.Choreography.of_instruction("walk to the table and pick up the bottle with your left hand")
    shifted = [obj.at(np.r_[obj.pos + np.array([0.0, 0.7, 0.0]), obj.quat_wxyz]) for obj in plan.scene.objects]
    interaction = replace(plan.interaction, scene=Scene(objects=tuple(shifted)))
    human = plan.perform(np.zeros(10))[0]
    here, there = (retarget(human, interaction=one).motion for one in (plan.interaction, interaction))
    assert there.root_pos[-1, 1] > here.root_pos[-1, 1] + 0.6
    assert not robot.self_collision_depth(there)[0].any()
    soles = robot.sole_points(there).mean(axis=2)
    apart = np.linalg.norm(np.diff(soles[..., :2], axis=1)[:, 0], axis=1)
    assert apart[(there.contacts > 0.5).all(axis=1)].min() > 0.11


@pytest.mark.parametrize(("normal", "far", "slid"), [(-1.0, 0.2, 0.2), (-1.0, 2.0, 0.36), (1.0, 0.2, 0.0)])
def test_a_drawer_goes_as_far_as_the_hand_where_its_articulation_lets_it(normal, far, slid):
    drawer = everyday("drawer", pos=(1.0, 0.0, 0.7), yaw=np.pi)  # its front towards the robot
    contact = Contact(body="right_hand", object="drawer", kind="push", start=1.0, end=2.4)
    touch = SimpleNamespace(contact=contact, pos=np.array([0.21, 0.0, 0.12]), normal=np.array([normal, 0.0, 0.0]))
    x = swung(drawer, touch, np.arange(90) / 30.0, far)[:, 0]
    assert np.all(x[:30] == 1.0)
    assert x[-1] == pytest.approx(1.0 - slid)


def test_a_hand_gets_behind_the_front_of_a_drawer_from_above(retarget):
    drawer = everyday("drawer", pos=(1.0, 0.0, 0.5), yaw=np.pi)
    contact = Contact(body="right_hand", object="drawer", kind="push", start=1.0, end=2.4)
    planner = HandContactPlanner(retarget.model, Scene(objects=(drawer,)), "dex3")
    forward, front = np.array([-1.0, 0.0, 0.0]), np.array([0.21, 0.0, 0.12])
    drawn, pushed_shut = (planner._contact(1, contact, front, way * forward, forward).retreat for way in (1.0, -1.0))
    assert drawn[2] > 0.1
    assert pushed_shut[2] == 0.0


@pytest.mark.parametrize(("axis", "most"), [("x", 7.0), ("z", 3.0)])  # a person who leans, or is turned, to one side
def test_who_crouches_is_not_tilted_to_a_side(retarget, axis, most):
    human, aside = person_doing("pick up the box from the floor"), Rotation.from_euler(axis, 6.0, degrees=True)
    human = replace(human, global_orient=(aside * Rotation.from_rotvec(human.global_orient)).as_rotvec())
    interaction = Interaction(Scene(objects=(box_at(0.5),)), held("box", 2.8, 5.6))
    motion = retarget(human, interaction=interaction).motion
    left = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True).as_matrix()[:, 2, 1]
    assert np.degrees(np.abs(np.arcsin(left))).max() < most


def test_who_bends_down_for_both_hands_bends_straight_ahead_without_twisting_the_arms(retarget):
    human = person_doing("pick up the box from the floor")
    twisted = human.body_pose.reshape(len(human), -1, 3).copy()
    for joint in (2, 5, 8):  # of the spine, whose estimate is twisted and tilted by 42 and 18 degrees
        turn = Rotation.from_euler("zy", [6.0, 14.0], degrees=True) * Rotation.from_rotvec(twisted[:, joint])
        twisted[:, joint] = turn.as_rotvec()
    interaction = Interaction(Scene(objects=(box_at(0.5),)), held("box", 2.8, 5.6))
    motion = retarget(replace(human, body_pose=twisted.reshape(human.body_pose.shape)), interaction=interaction).motion
    at_box = motion.joint_pos[round(motion.object_contacts[0].start * motion.fps)]
    waist, arms = at_box[12:15], at_box[15:].reshape(2, 7)
    assert np.abs(waist[:2]).max() < 0.1
    assert np.abs(arms[:, [2, 4]]).max() < 0.5, "yaw of the shoulder, roll of the wrist"


@pytest.mark.parametrize(("deep", "dearer"), [(0.5, 4.0), (0.75, 1.0)])
def test_a_pelvis_that_crouches_for_an_object_is_bent_less_rather_than_more(retarget, deep, dearer):
    human = person_doing("pick up the box from the floor")
    targets = retarget.targets(human, task=True)[:1]
    targets = replace(targets, pelvis_pos=np.array([[0.0, 0.0, deep]]), holding=np.ones((1, 2)))
    weights = []
    for bend in (0.3, -0.3):
        turn = targets.pelvis_rot @ Rotation.from_euler("y", bend).as_matrix()
        state = State(targets.pelvis_pos, turn, np.zeros((1, 29)))
        term = pelvis_rotation(
            retarget.model, retarget.model.kinematics.poses(state), targets, {"pelvis_rotation": 1.0}
        )
        assert term.residual[0, 1] == pytest.approx(-bend, abs=0.02)
        weights.append(term.weight[0, 1])
    assert weights[0] == pytest.approx(dearer * weights[1])
