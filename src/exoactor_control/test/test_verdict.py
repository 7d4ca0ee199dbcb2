"""The rehearsal's verdict: nobody else gives it, and it holds for one motion, one policy and some time."""

import time
from dataclasses import replace

import numpy as np
import pytest
from control_helpers import linear_onnx
from exoactor_interfaces.action import TrackMotion

from exoactor_control.policy.policy import Policy
from exoactor_control.rehearsal import verdict
from exoactor_control.rehearsal.verdict import Verdicts
from exoactor_core.contacts import Contact
from exoactor_core.errors import Refused
from exoactor_core.interaction import Interaction
from exoactor_core.motion import CORRECTION_WIDTH, HumanMotion
from exoactor_core.robot import standing_motion
from exoactor_core.scene import everyday, joined
from exoactor_core.task_checks import Check
from exoactor_ros.conversions import (
    interaction_from_message,
    robot_from_message,
    robot_to_message,
    set_interaction,
)

KEY = "5" * 64
MOTION = standing_motion(1.0)
HUMAN = HumanMotion(30, np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 63)), np.zeros(10))

pytestmark = pytest.mark.faults


def moved(motion):
    joints = motion.joint_pos.copy()
    joints[5, 22] += 0.01
    return replace(motion, joint_pos=joints)


GRASP = Contact(body="left_hand", object="cup", kind="grasp", start=0.0, end=1.0)


CUP = everyday("cup", pos=(0.4, 0.0, 0.0))
TOUCH = Interaction(joined([CUP]), checks=(Check(kind="touched", object="cup"),))


def as_sent(interaction):
    goal = TrackMotion.Goal()
    set_interaction(goal, interaction)
    return interaction_from_message(goal)


def test_it_holds_for_the_motion_and_the_objects_as_messages_carry_them():
    given = Verdicts(KEY, None).give(MOTION, HUMAN, as_sent(TOUCH))
    Verdicts(KEY, None).check(given, robot_from_message(robot_to_message(MOTION)), HUMAN, 10.0, as_sent(TOUCH))


@pytest.mark.parametrize(
    "other",
    [
        None,
        Interaction(TOUCH.scene),
        replace(TOUCH, scene=joined([CUP.model_copy(update={"pos": (0.41, 0.0, 0.0)})])),
        replace(TOUCH, scene=joined([CUP, everyday("box", pos=(2.0, 0.0, 0.0))])),
    ],
    ids=["no objects", "no checks", "an object elsewhere", "an object added"],
)
def test_it_holds_for_no_other_objects(other):
    verdicts = Verdicts(KEY, None)
    for rehearsed, sent in ((TOUCH, other), (other, TOUCH)):
        with pytest.raises(Refused, match="with these objects"):
            verdicts.check(verdicts.give(MOTION, None, rehearsed), MOTION, None, 10.0, sent)


@pytest.mark.parametrize(
    ("motion", "human"),
    [
        (moved(MOTION), None),
        (replace(MOTION, correction=np.zeros((len(MOTION), CORRECTION_WIDTH))), None),
        (replace(MOTION, hands=np.zeros((len(MOTION), 2))), None),
        (replace(MOTION, object_contacts=(GRASP,)), None),
        (replace(MOTION, open_loop=True), None),
        (replace(MOTION, alternative_policy=True), None),
        (replace(MOTION, pace=0.5), None),
        (replace(MOTION, fps=60.0), None),
        (MOTION, HUMAN),
    ],
    ids=[
        "another motion",
        "a correction added",
        "hands closed",
        "a contact added",
        "the outer loop opened",
        "another policy",
        "another pace",
        "another speed",
        "a person added",
    ],
)
def test_it_holds_for_nothing_else(motion, human):
    verdicts = Verdicts(KEY, None)
    with pytest.raises(Refused, match="not the rehearsal's on this very motion"):
        verdicts.check(verdicts.give(MOTION, None), motion, human, 10.0)


def test_it_holds_for_the_policy_that_was_rehearsed(tmp_path):
    rng = np.random.default_rng(0)
    one, other = (
        Policy.load(linear_onnx(tmp_path / f"{i}.onnx", bias=rng.normal(size=29)), "twist2") for i in range(2)
    )
    given = Verdicts(KEY, one).give(MOTION, None)
    Verdicts(KEY, one).check(given, MOTION, None, 10.0)
    slower = Policy(one.network, replace(one.spec, action_scale=0.5 * one.spec.action_scale))
    for policy in (other, slower, None):
        with pytest.raises(Refused, match="with these objects and this policy"):
            Verdicts(KEY, policy).check(given, MOTION, None, 10.0)


@pytest.mark.parametrize("forged", ["1:" + "0" * 64, ":", "x", "²:" + "0" * 64, "1795848958"])
def test_what_was_made_up_is_refused(forged):
    with pytest.raises(Refused, match="not the rehearsal's"):
        Verdicts(KEY, None).check(forged, MOTION, None, 10.0)


def test_another_key_and_none_are_refused():
    given = Verdicts("6" * 64, None).give(MOTION, None)
    with pytest.raises(Refused, match="since this launch"):
        Verdicts(KEY, None).check(given, MOTION, None, 10.0)
    with pytest.raises(Refused, match="without the rehearsal's verdict"):
        Verdicts(KEY, None).check("", MOTION, None, 10.0)
    assert Verdicts("", None).give(MOTION, None) == ""
    with pytest.raises(Refused, match="started without EXOACTOR_VERDICT_KEY"):
        Verdicts("", None).check(given, MOTION, None, 10.0)


def test_it_expires_and_its_time_cannot_be_changed(monkeypatch):
    verdicts, now = Verdicts(KEY, None), time.time()
    given = verdicts.give(MOTION, None)
    monkeypatch.setattr(verdict.time, "time", lambda: now + 100.0)
    verdicts.check(given, MOTION, None, 110.0)
    with pytest.raises(Refused, match="100 s ago, more than 90 s"):
        verdicts.check(given, MOTION, None, 90.0)
    later = f"{now + 50.0:.0f}:{given.partition(':')[2]}"
    with pytest.raises(Refused, match="not the rehearsal's"):
        verdicts.check(later, MOTION, None, 90.0)


def test_the_key_is_taken_out_of_the_environment(monkeypatch):
    monkeypatch.setenv(verdict.KEY_VARIABLE, KEY)
    assert verdict.take_key() == KEY
    assert verdict.take_key() == ""
