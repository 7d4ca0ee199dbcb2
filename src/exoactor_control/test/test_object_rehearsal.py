"""Objects in the rehearsal's physics: what fists do to a box, how tasks are judged, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pinocchio as pin
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import least_squares

from dex3_facts import GRASP_POINT
from exoactor_control.metrics import contact_errors
from exoactor_control.reference.trajectory import prepare
from exoactor_control.rehearsal.rehearsal import Disturbance, Rehearsal
from exoactor_core.contacts import BODY_PARTS, Contact
from exoactor_core.errors import BadInput
from exoactor_core.interaction import Interaction
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import (
    HAND_LINKS,
    HAND_POINT,
    JOINT_LIMITS,
    STANDING,
    STANDING_HEIGHT,
    pinocchio_model,
    standing_motion,
)
from exoactor_core.scene import everyday, joined, perturbed
from exoactor_core.task_checks import Check

ARMS = {"left_hand": slice(15, 22), "right_hand": slice(22, 29)}
AHEAD, TOP, WIDTH = 0.36, 0.79, 0.25  # m


def reach(joints, points, at=HAND_POINT, upright=False):
    """Joint angles (29,) with points ``at`` of the hands' links at points (3,) in the world, hands pointing ahead."""
    model = pinocchio_model()
    data = model.createData()
    joints = joints.copy()
    for hand, point in points.items():
        arm, frame = ARMS[hand], model.getFrameId(HAND_LINKS[hand])

        def error(angles, arm=arm, frame=frame, point=point):
            q = np.r_[0, 0, STANDING_HEIGHT, 0, 0, 0, 1, joints]
            q[7:][arm] = angles
            pin.forwardKinematics(model, data, q)
            pose = pin.updateFramePlacement(model, data, frame)
            turned = pin.log3(pose.rotation) if upright else pose.rotation[:, 0] - [1, 0, 0]
            return np.r_[10 * (pose.act(np.array(at)) - point), turned, 0.02 * (angles - STANDING[arm])]

        low, high = JOINT_LIMITS[arm].T
        inside = np.clip(joints[arm], low + 1e-3, high - 1e-3)
        joints[arm] = least_squares(error, inside, bounds=(low, high)).x
    return joints


def through(keys, at=HAND_POINT, upright=False, **fields):
    """A motion on the spot through the hands' points at times in s."""
    times, joints = [0.0], [STANDING]
    for time, points in keys:
        times.append(time)
        joints.append(reach(joints[-1], points, at, upright))
    still = standing_motion(times[-1])
    at = np.arange(len(still)) / still.fps
    path = np.stack([np.interp(at, times, column) for column in np.array(joints).T], axis=1)
    path = gaussian_filter1d(path, 5, axis=0, mode="nearest")
    return RobotMotion(still.fps, still.root_pos, still.root_quat_wxyz, path, still.contacts, **fields)


def box_on_a_stand(mass=1.0):
    stand = everyday("stand", pos=(AHEAD + 0.05, 0, 0), size=(0.3, 0.2, TOP))
    return joined([stand, everyday("box", pos=(AHEAD, 0, TOP), size=(WIDTH, WIDTH, WIDTH), mass=mass, friction=1.0)])


def lifting(height=0.15):
    """Two fists press on the box from its sides, and raise it."""

    def both(y, z):
        return {"left_hand": np.array([AHEAD, y, z]), "right_hand": np.array([AHEAD, -y, z])}

    middle, near = TOP + WIDTH / 2, WIDTH / 2 - 0.03
    contacts = tuple(
        Contact(body=hand, object="box", kind="grasp", start=2.2, end=6.0, normal_object=(0.0, side, 0.0))
        for hand, side in (("left_hand", 1.0), ("right_hand", -1.0))
    )
    keys = [(1.5, both(near + 0.17, middle)), (2.5, both(near, middle)), (3.2, both(near, middle))]
    return through(
        [*keys, (4.4, both(near, middle + height)), (6.0, both(near, middle + height))], object_contacts=contacts
    )


def bottle_on_a_table(mirror, mass=0.5):
    bottle = everyday("bottle", pos=(AHEAD, mirror * 0.24, 0.74), mass=mass)
    return joined([everyday("table", pos=(AHEAD + 0.24, 0, 0)), bottle])


def picking(side):
    """One hand comes over the table from behind and outside of the bottle, closes, and rises."""
    mirror = 1.0 if side == "left" else -1.0
    hand, middle = f"{side}_hand", np.array([AHEAD, mirror * 0.24, 0.74 + 0.13])
    way = [(1.2, -0.16, 0.06, 0.16), (1.8, -0.10, 0.06, 0.02), (2.6, 0.0, 0.02, 0.0), (3.1, 0.0, 0.0, 0.0)]
    way += [(4.2, 0.0, 0.0, 0.0), (5.4, 0.0, 0.0, 0.12), (7.0, 0.0, 0.0, 0.12)]
    keys = [(time, {hand: middle + np.array([x, mirror * y, z])}) for time, x, y, z in way]
    held = {"kind": "grasp", "start": 3.1, "end": 9.0, "pos_object": (0, 0, 0.13), "normal_object": (0, mirror, 0)}
    grasp = Contact(body=hand, object="bottle", **held)
    palm = (0.0415 + GRASP_POINT[0], mirror * (0.003 - GRASP_POINT[1]), 0.0)
    motion = through(keys, at=palm, upright=True, object_contacts=(grasp,))
    closure = np.zeros((len(motion), 2))
    closure[:, 0 if side == "left" else 1] = np.interp(np.arange(len(motion)) / motion.fps, [3.3, 3.7], [0.0, 1.0])
    return replace(motion, hands=closure)


LIFTED = [Check(kind="lifted", object="box", amount=0.08), Check(kind="stands")]


def test_without_objects_nothing_is_told_of_a_task():
    metrics = Rehearsal(policy="pd")(standing_motion(1.0)).metrics
    assert not {"task_success", "checks", "risk"} & set(metrics)


def test_a_task_that_is_not_done_is_refused_with_the_check_s_sentence():
    tracking = Rehearsal(policy="pd")(standing_motion(1.0), interaction=Interaction(box_on_a_stand(), checks=LIFTED))
    metrics = tracking.metrics
    assert metrics["success"]
    assert not metrics["task_success"]
    (refused,) = metrics["refused"]
    assert refused.startswith("The task fails. The box was lifted by ")
    assert [check["passed"] for check in metrics["checks"]] == [False, True]
    assert "risk" not in metrics  # a task that fails is not rehearsed again and again
    json.dumps(metrics)
    rollout = tracking.rollout
    assert rollout.poses.shape[1:] == (2, 7)
    assert len(rollout.poses) > len(tracking.motion)  # until the robot stands again
    np.testing.assert_allclose(rollout.poses[-1], box_on_a_stand().poses, atol=0.002)


def test_a_scene_that_cannot_be_is_refused_before_it_is_simulated():
    floating = Interaction(joined([everyday("box", pos=(1, 0, 0.5))]))
    with pytest.raises(BadInput, match="hangs in the air"):
        Rehearsal(policy="pd")(standing_motion(1.0), interaction=floating)


def test_what_is_too_heavy_or_out_of_reach_is_refused_before_it_is_simulated():
    far = everyday("bag", pos=(5, 0, 0))
    scene = joined([everyday("box", pos=(1, 0, 0), mass=3.5), far])
    task = Interaction(scene, checks=(Check(kind="lifted", object="box"), Check(kind="touched", object="bag")))
    with pytest.raises(BadInput, match=r"box weighs 3\.5 kg.* bag is out of reach: it is 4\.8 m away"):
        Rehearsal(policy="pd")(standing_motion(1.0), interaction=task)


def test_objects_far_away_leave_the_robot_as_it_is():
    far = joined([everyday("box", pos=(1.5, 0, 0))])
    plain = Rehearsal(policy="pd", hands="fists")(standing_motion(1.0))
    beside = Rehearsal(policy="pd", hands="fists")(
        standing_motion(1.0), interaction=Interaction(far), disturbance=Disturbance(mass=0.0)
    )
    np.testing.assert_allclose(beside.motion.joint_pos, plain.motion.joint_pos, atol=0.01)
    np.testing.assert_allclose(beside.motion.root_pos, plain.motion.root_pos, atol=0.01)


def test_hands_are_measured_from_their_places_on_what_they_touch():
    scene, still = bottle_on_a_table(1.0), standing_motion(1.0)
    touch = Contact(body="left_hand", object="bottle", kind="touch", start=0.5, end=0.8)
    again = touch.model_copy(update={"start": 0.9, "end": 1.0})
    reference = prepare(replace(still, object_contacts=(touch, again)), scene=scene)
    moved = replace(reference.motion, root_pos=reference.motion.root_pos + np.array([0.1, 0.0, 0.0]))
    poses = np.tile([o.pose for o in scene.objects], (len(moved), 1, 1))
    forces = np.zeros((*poses.shape[:2], len(BODY_PARTS)))
    assert contact_errors(reference, moved, poses, forces) == pytest.approx([0.1])
    poses[..., 0] += 0.1  # hand and object together
    assert contact_errors(reference, moved, poses, forces) == pytest.approx([0.0], abs=1e-9)
    late = reference.frame_at(0.7)
    moved.root_pos[late:, 1] += 0.02
    forces[late:, scene.ids.index("bottle"), BODY_PARTS.index("left_hand")] = 1.0
    assert contact_errors(reference, moved, poses, forces) == pytest.approx([0.02])


def test_two_fists_lift_a_box_by_friction():
    tracking = Rehearsal(hands="fists", variations=0)(
        lifting(), interaction=Interaction(box_on_a_stand(), checks=LIFTED)
    )
    assert tracking.metrics["task_success"], tracking.metrics["checks"]
    forces = tracking.rollout.forces[tracking.rollout.poses[:, 1, 2] > TOP].sum(axis=0)[1]  # before it is let go
    assert forces[:2].min() > 100.0 > forces[2:4].max()  # hands, not feet


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_dex3_hand_picks_a_bottle_off_a_table(side):
    scene = bottle_on_a_table(1.0 if side == "left" else -1.0)
    lifted = [Check(kind="lifted", object="bottle", amount=0.08)]
    tracking = Rehearsal(variations=0)(picking(side), interaction=Interaction(scene, checks=lifted))
    assert not tracking.metrics["refused"]
    assert tracking.metrics["task_success"]


def test_fists_do_not_pick_a_bottle():
    lifted = [Check(kind="lifted", object="bottle", amount=0.08)]
    tracking = Rehearsal(hands="fists", variations=0)(
        picking("left"), interaction=Interaction(bottle_on_a_table(1.0), checks=lifted)
    )
    assert not tracking.metrics["task_success"]


def rehearsed_elsewhere(monkeypatch, *aheads, **options):
    """Rehearse with the box on its stand; perturbed, it is on the floor so many m ahead in turn; 0: on the stand."""
    places = iter(aheads)

    def moved(scene, rng):
        ahead = next(places)
        x, z = (ahead, 0.0) if ahead else (AHEAD, TOP)
        return joined([scene["stand"], scene["box"].at(np.r_[x, 0.0, z, 1.0, 0.0, 0.0, 0.0])])

    monkeypatch.setattr("exoactor_control.rehearsal.rehearsal.perturbed", moved)
    stays = Check(kind="on", object="box", target="stand")
    return Rehearsal(**options)(standing_motion(0.5), interaction=Interaction(box_on_a_stand(), checks=(stays,)))


def test_objects_that_are_elsewhere_are_rehearsed_and_their_failing_is_told(monkeypatch):
    metrics = rehearsed_elsewhere(monkeypatch, 0.0, 0.0, 0.0, 3.0, policy="pd", variations=4).metrics
    assert not metrics["refused"]
    assert metrics["perturbed"]["rehearsals"] == 4
    assert metrics["perturbed"]["failed"] == 1
    assert metrics["risk"].startswith("1 of 4 rehearsals with objects that are a little elsewhere failed: The task")
    json.dumps(metrics)


@pytest.mark.parametrize(("alternative", "taken"), [((0.0, 3.0), True), ((3.0, 3.0), False)])
def test_the_alternative_policy_is_taken_if_it_has_the_lower_risk(monkeypatch, alternative, taken):
    tracking = rehearsed_elsewhere(monkeypatch, 3.0, 3.0, *alternative, variations=2)
    assert (tracking.corrected is not None and tracking.corrected.alternative_policy) == taken
    assert tracking.metrics["perturbed"]["failed"] == (1 if taken else 2)
    assert any("1 of 2 rehearsals" in note and "instead of 2" in note for note in tracking.metrics["notes"]) == taken


def test_perturbed_objects_are_near_and_alike():
    scene = box_on_a_stand()
    drawn = [perturbed(scene, np.random.default_rng(k)) for k in range(50)]
    boxes = [each["box"] for each in drawn]
    away = np.array([np.subtract(box.pos, scene["box"].pos) for box in boxes])
    assert 0.01 < np.linalg.norm(away, axis=1).max() <= 0.02
    assert not away[:, 2].any()
    turns = [box.rotation.magnitude() for box in boxes]
    assert np.radians(3) < max(turns) <= np.radians(5)
    assert 0.8 <= min(box.mass for box in boxes) < 0.9 < 1.1 < max(box.mass for box in boxes) <= 1.2
    assert 0.5 <= min(box.friction for box in boxes) < 0.6 < 1.1 < max(box.friction for box in boxes) <= 1.2
    assert all(each["stand"].pos == scene["stand"].pos for each in drawn)


@pytest.mark.faults
def test_a_robot_that_has_dropped_something_stops_and_stands():
    scene = box_on_a_stand()
    heavy = scene.model_copy(
        update={"objects": tuple(o if o.id == "stand" else o.model_copy(update={"mass": 9.0}) for o in scene.objects)}
    )
    tracking = Rehearsal(hands="fists", variations=0)(
        lifting(height=0.35), disturbance=Disturbance(scene=heavy), interaction=Interaction(scene, checks=LIFTED)
    )
    assert not tracking.metrics["fell"]
    assert "the box is not in the hands any more" in tracking.metrics["reason"]
