"""What a tracker is commanded beyond a motion that jumps."""

from dataclasses import replace

import numpy as np
import pytest

from exoactor_control.reference.repair import flight
from exoactor_control.reference.take_off import take_off_correction
from exoactor_control.reference.trajectory import prepare
from exoactor_control.training.whole_body import whole_body
from exoactor_core.robot import STANDING, sole_points, standing_motion

KNEES = 6 + np.array([3, 9])


@pytest.fixture(scope="module")
def jump():
    return whole_body("jump", np.random.default_rng(7), 1.0)


def test_a_motion_that_does_not_jump_is_left_alone():
    assert not take_off_correction(standing_motion(2.0)).any()


def test_it_bends_deeper_before_the_take_off_and_extends_at_it(jump):
    correction = take_off_correction(jump)
    start = int(np.flatnonzero(flight(jump))[0])
    assert np.abs(correction[: start - 30]).max() < 1e-6
    deepest = jump.joint_pos[:start, 3].max() - STANDING[3]
    bent = correction[:start, KNEES].max(axis=0)
    assert (bent > 0.1).all()
    assert (bent < deepest).all()
    assert (correction[start, KNEES] < -0.1).all()
    assert correction[start - 17, 2] < 0.0  # the pelvis is lower then
    ankles = KNEES + 1
    assert (correction[start, ankles] > 0.3).all()
    less = take_off_correction(jump, 0.8)
    assert (less[:start, KNEES].max(axis=0) < bent).all()


def test_feet_that_leave_the_floor_too_early_do_not_bring_the_take_off_forward(jump):
    jump = prepare(jump).motion
    start = int(np.flatnonzero(flight(jump))[0])
    pos = jump.root_pos.copy()
    pos[start - 6 : start, 2] += 0.06
    early = replace(jump, root_pos=pos)
    assert np.flatnonzero(flight(early))[0] == start - 6
    before, after = (take_off_correction(motion)[:, KNEES[0]].argmax() for motion in (jump, early))
    assert abs(int(before) - int(after)) <= 2


def test_a_leg_that_swings_does_not_push_off(jump):
    start = int(np.flatnonzero(flight(jump))[0])
    joints = jump.joint_pos.copy()
    joints[start - 10 : start, 3] += 1.0
    lifted = replace(jump, joint_pos=joints)
    assert sole_points(lifted)[start - 5, 0, :, 2].min() > 0.05
    correction = take_off_correction(lifted)
    start = int(np.flatnonzero(flight(lifted))[0])
    assert not correction[start - 5, KNEES[0]]
    assert correction[start - 17, KNEES[1]]
