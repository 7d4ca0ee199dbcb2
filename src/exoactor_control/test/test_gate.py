"""What a rehearsed motion is refused for, on motions made for it, and in rehearsals."""

from dataclasses import replace

import numpy as np
import pytest
from control_helpers import DATA, TWIST2, linear_onnx, needs_data

from exoactor_control.rehearsal.gate import Load, judge
from exoactor_control.rehearsal.rehearsal import Rehearsal
from exoactor_core.errors import Refused
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import EFFORT_LIMITS, STANDING, VELOCITY_LIMITS, self_collision_depth, standing_motion

FINE = {"fell": False, "reason": ""}


def moved(motion, **by):
    """The motion with functions of its time (T,) s added to x, y, z of the pelvis."""
    pos = motion.root_pos.copy()
    t = np.arange(len(motion)) / motion.fps
    for axis, value in by.items():
        pos[:, "xyz".index(axis)] += value(t)
    return replace(motion, root_pos=pos)


def bent(motion, **joints):
    """The motion with joints held elsewhere."""
    joint_pos = motion.joint_pos.copy()
    for name, value in joints.items():
        joint_pos[:, motion.joint_names.index(f"{name}_joint")] = value
    return replace(motion, joint_pos=joint_pos)


def load(at_limit=0.0, speed=0.5, joint=9, pelvis_speed=1.0):
    """A load of 1000 steps in which one motor was at its limit for a share of the time."""
    found = Load(EFFORT_LIMITS)
    for i in range(1000):
        torque = 0.5 * EFFORT_LIMITS
        torque[joint] *= 1.95 if i < 1000 * at_limit else 1.0
        found.add(-torque, speed * VELOCITY_LIMITS, pelvis_speed)
    return found


def refused(reference, actual=None, bore=None, report=FINE, area=3.0):
    return judge(reference, reference if actual is None else actual, bore or load(), report, area)


STILL = standing_motion(2.0)


def test_standing_still_is_fit():
    assert refused(STILL) == []
    assert refused(moved(STILL, x=lambda t: 1.4 * t)) == []


def test_a_fall():
    (reason,) = refused(STILL, report={"fell": True, "reason": "the robot fell 1.20 s into the motion"})
    assert reason == "The robot falls: the robot fell 1.20 s into the motion."
    short = replace(
        STILL, **{k: getattr(STILL, k)[:20] for k in ("root_pos", "root_quat_wxyz", "joint_pos", "contacts")}
    )
    (reason,) = refused(STILL, short, report={"fell": False, "reason": "left_elbow_joint is hot"})
    assert "aborted: left_elbow_joint is hot" in reason


def test_self_collision():
    hands = bent(STILL, left_shoulder_yaw=-1.3, right_shoulder_yaw=1.3, left_elbow=0.9, right_elbow=0.9)
    (reason,) = refused(STILL, hands)
    assert "Self-collision" in reason
    assert "right_hip_roll_link and right_wrist_yaw_link" in reason
    assert "101 frames" in reason
    assert "the motion itself" not in reason
    (reason,) = refused(hands, hands)
    assert "In the motion itself right_hip_roll_link and right_wrist_yaw_link overlap by" in reason
    brief = hands.joint_pos.copy()
    brief[5:] = STANDING
    assert refused(STILL, replace(hands, joint_pos=brief)) == []


def test_links_that_press_on_each_other():
    bore = load()
    for _ in range(45):
        bore.press(80.0, ("left_knee_link", "right_knee_link"), 0.002)
    bore.press(30.0, ("left_elbow_link", "torso_link"), 1.0)
    assert refused(STILL, bore=bore) == []
    bore.press(120.0, ("right_hip_roll_link", "right_wrist_yaw_link"), 0.02)
    (reason,) = refused(STILL, bore=bore)
    assert reason == (
        "Self-collision: contact forces over 50 N for 0.1 s, up to 120 N between right_hip_roll_link and "
        "right_wrist_yaw_link."
    )


def test_links_stop_each_other_in_a_rehearsal():
    hands = bent(STILL, left_shoulder_yaw=-1.3, right_shoulder_yaw=1.3, left_elbow=0.9, right_elbow=0.9)
    assert self_collision_depth(hands)[0].max() > 0.03
    done = Rehearsal(policy="pd")(hands)
    assert self_collision_depth(done.motion)[0].max() < 0.02


def test_torque_saturation():
    assert refused(STILL, bore=load(at_limit=0.19)) == []
    (reason,) = refused(STILL, bore=load(at_limit=0.25))
    assert reason == "right_knee_joint is at its torque limit 25% of the time, more than 20%."


def test_speed():
    (reason,) = refused(STILL, bore=load(speed=1.1))
    assert "rad/s, more than its motor's" in reason
    (reason,) = refused(STILL, bore=load(pelvis_speed=3.6))
    assert "pelvis moves at 3.6 m/s, more than 3" in reason
    assert refused(STILL, moved(STILL, y=lambda t: 0.2 * (t > 1.0))) == []  # it stepped aside while the motion waited


@pytest.mark.parametrize("who", ["reference", "robot"])
def test_leaving_the_area(who):
    far, near = (moved(STILL, x=lambda t, v=v: v * t, y=lambda t, v=v: v * t) for v in (0.9, 0.6))
    motions = (far, near) if who == "reference" else (near, far)
    assert refused(*motions) == []
    (reason,) = refused(*motions, area=2.0)
    assert reason == "It gets 2.5 m away from its start, more than 2 m."
    assert refused(*motions, area=0.0) == []


def test_straying():
    assert refused(STILL, moved(STILL, x=lambda t: 0.45 * t)) == []
    (reason,) = refused(STILL, moved(STILL, x=lambda t: 0.6 * t))
    assert reason == "It is 1.2 m from where it should be at 2.0 s, more than 1 m."


def test_a_step_where_there_is_no_floor():
    up = moved(STILL, z=lambda t: 0.2 * np.clip(t - 0.5, 0, 1))
    (reason,) = refused(up, STILL)
    assert "A foot rests 20 cm above the floor" in reason
    (reason,) = refused(moved(STILL, z=lambda t: -0.2 * np.clip(t - 0.5, 0, 1)), STILL)
    assert "below the floor" in reason
    (reason,) = refused(moved(STILL, z=lambda t: 0.15 * (np.sin(9 * t) > 0.4)), STILL)  # quick feet
    assert "A foot rests 15 cm above the floor" in reason
    assert refused(moved(STILL, z=lambda t: np.maximum(0, 0.4 - 4.9 * (t - 1) ** 2)), STILL) == []  # a jump
    assert refused(bent(STILL, left_hip_pitch=-1.2, left_knee=1.5), STILL) == []  # on one leg
    assert refused(moved(STILL, z=lambda t: 0.02 + 0 * t), STILL) == []


def test_a_rehearsal_carries_its_reasons(tmp_path):
    bias = np.zeros(29)
    bias[[3, 9]] = 3.0  # knees bent by 1.5 rad more, at once
    metrics = Rehearsal(policy=str(linear_onnx(tmp_path / "p.onnx", bias=bias)))(standing_motion(2.0)).metrics
    assert any(reason.startswith("The robot falls") for reason in metrics["refused"])
    walk = moved(standing_motion(2.0), x=lambda t: 0.5 * t)
    assert Rehearsal(policy="pd")(walk).metrics["refused"] == []
    (reason,) = Rehearsal(policy="pd", area=0.5)(walk).metrics["refused"]
    assert "more than 0.5 m" in reason


def test_stairs_are_refused_in_a_rehearsal():
    t = np.arange(251) / 50
    rise = 0.17 * (np.clip((t - 1.8) / 0.4, 0, 1) + np.clip((t - 3.3) / 0.4, 0, 1))
    stairs = moved(standing_motion(5.0), x=lambda t: 0.1 * t, z=lambda _: rise)
    assert any("a step that is not there" in reason for reason in Rehearsal(policy="pd")(stairs).metrics["refused"])


def test_it_begins_where_the_robot_is():
    arms = STANDING.copy()
    arms[[15, 22]] = -1.5
    metrics = Rehearsal(policy="pd")(standing_motion(1.0), start=arms).metrics
    assert metrics["success"], metrics["reason"]
    assert metrics["from_present_pose"]
    sitting = np.array([-1.5, 0, 0, 2.6, -0.6, 0] * 2 + [0] * 17, dtype=float)
    with pytest.raises(Refused, match="above its soles"):
        Rehearsal(policy="pd")(standing_motion(1.0), start=sitting)


@needs_data
def test_twist2_stands_up_from_the_present_pose_and_walks():
    start = STANDING + np.random.default_rng(0).uniform(-0.3, 0.3, 29)
    walk = RobotMotion.load(DATA / "motions" / "asap_walk_level1.npz")
    metrics = Rehearsal(policy=str(TWIST2))(walk, start=start).metrics
    assert metrics["success"], metrics["reason"]
    assert not metrics["band"]
    assert metrics["refused"] == []


@pytest.mark.slow
@needs_data
def test_no_more_of_the_shared_motions_are_refused_than_deserve_it(capsys):
    rehearse = Rehearsal()
    found = {p.stem: rehearse(RobotMotion.load(p)).metrics for p in sorted((DATA / "motions").glob("*.npz"))}
    bad = {name: m["refused"] for name, m in found.items() if m["refused"]}
    with capsys.disabled():
        for name, reasons in bad.items():
            print(f"\n{name:34s} {' '.join(reasons)}", end="")
    assert len(bad) <= 13  # walks that leave the area, wrists that meet the hip, motors at their limit
    assert not any("no step there" in r or "falls" in r for reasons in bad.values() for r in reasons)
