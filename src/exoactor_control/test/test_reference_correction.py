"""Corrections: what a policy is commanded beyond the motion, and how they are found."""

from dataclasses import replace

import numpy as np
import pytest
from control_helpers import DATA, linear_onnx, needs_data

from exoactor_control.policy.policy import load_policy
from exoactor_control.reference.trajectory import STANDING_FRAME, Trajectory, prepare
from exoactor_control.rehearsal import reference_correction as module
from exoactor_control.rehearsal.reference_correction import find_correction
from exoactor_control.rehearsal.rehearsal import Rehearsal
from exoactor_control.training.environment import Episode
from exoactor_control.training.references import mirror
from exoactor_core.errors import BadInput
from exoactor_core.motion import CORRECTION_WIDTH, RobotMotion
from exoactor_core.robot import standing_motion


def corrected(motion, **values):
    """The motion with a correction that says the same all along; or grows by one a second in ``ramp``'s column."""
    correction = np.zeros((len(motion), CORRECTION_WIDTH))
    correction[:, values.get("column", 0)] = values.get("value", np.arange(len(motion)) / motion.fps)
    return replace(motion, correction=correction)


def test_a_guide_keeps_to_the_moments_of_its_motion():
    still = standing_motion(4.0)
    motion = RobotMotion(25.0, still.root_pos[::2], still.root_quat_wxyz[::2], still.joint_pos[::2])
    pos = motion.root_pos.copy()
    pos[:4, 2] += 3.0  # torn off: dropped
    reference = prepare(corrected(replace(motion, root_pos=pos)))
    assert reference.begin >= 4 / 25
    assert reference.motion.correction[:, 0] == pytest.approx(reference.begin + np.arange(len(reference.motion)) / 50)
    trajectory = Trajectory.blended(reference, still.joint_pos[0], STANDING_FRAME, 1.0)
    assert trajectory.correction_at(trajectory.begin)[0] == pytest.approx(reference.begin)
    assert not trajectory.correction_at(trajectory.begin - 1).any()
    assert not trajectory.correction_at(trajectory.end).any()


def test_the_policy_heeds_a_guide_and_the_report_says_so():
    motion = standing_motion(1.0)
    plain = Rehearsal()(motion)
    lower = Rehearsal()(corrected(motion, column=9, value=0.5))  # left knee
    assert lower.motion.joint_pos[25:, 3].mean() > plain.motion.joint_pos[25:, 3].mean() + 0.2
    assert any("correction" in note for note in lower.metrics["notes"])
    assert lower.metrics["joint_error_mean"] > plain.metrics["joint_error_mean"], "judged by the motion itself"


def test_only_policies_that_are_fed_as_twist2_is(tmp_path):
    with pytest.raises(BadInput, match="No reference correction can be found"):
        find_correction(standing_motion(1.0), "pd")
    with pytest.raises(BadInput, match="free batch size"):
        find_correction(standing_motion(1.0), str(linear_onnx(tmp_path / "one_at_a_time.onnx")))


def test_twins_go_on_from_a_state_as_they_did_before():
    policy = load_policy("exoactor")
    trajectory = Trajectory.blended(prepare(standing_motion(1.0)), np.zeros(29), STANDING_FRAME, 1.0)
    rollouts = module.ParallelRollouts(2, policy.network, policy.spec, Episode.from_trajectory(trajectory, 50), 100)
    nothing = np.zeros((2, 15, CORRECTION_WIDTH))
    rollouts.run(nothing)
    state = rollouts.state
    first, _ = rollouts.run(nothing)
    assert np.abs(first[0] - first[1]).max() < 1e-9, "samples that are told the same do the same"
    assert np.abs(first[0, 0] - first[0, 1]).max() > 1e-4, "the rollouts differ"
    rollouts.state = state
    assert np.array_equal(rollouts.run(nothing)[0], first)


def test_what_succeeds_is_let_be():
    motion = standing_motion(1.0)
    assert find_correction(motion).correction is None


def test_the_correction_that_was_judged_is_what_the_policy_is_commanded(monkeypatch):
    judged = []

    class Found:
        def __init__(self, reference, *_):
            self.correction = np.zeros((len(reference.motion), CORRECTION_WIDTH))

        def worst(self):
            judged.append(self.correction.copy())
            return np.array([[0.5 if self.correction.any() else 2.0, 0.0]])

        def run(self, _):
            self.correction = np.random.default_rng(0).normal(size=self.correction.shape)  # more than 30 Hz can hold

    monkeypatch.setattr(module, "_Search", Found)
    still, t = standing_motion(4.0), np.arange(121) / 30.0
    motion = RobotMotion(
        30.0, still.root_pos[:121], still.root_quat_wxyz[:121], still.joint_pos[:121] + 0.1 * np.sin(t)[:, None]
    )
    corrected_, plain = prepare(find_correction(motion)).motion, prepare(motion).motion
    assert corrected_.correction == pytest.approx(judged[-1], abs=1e-9)
    assert np.array_equal(corrected_.joint_pos, plain.joint_pos)


def test_corrections_are_tried_until_one_does(monkeypatch):
    seeds = []

    def two_corrections(motion, policy, spec, seed, progress):
        seeds.append(seed)
        return corrected(motion, column=9, value=2.5 if seed == 0 else 0.01)  # left knee: first it falls

    monkeypatch.setattr("exoactor_control.rehearsal.rehearsal.find_correction", two_corrections)
    done = Rehearsal().correct(standing_motion(1.0), tries=3)
    assert (seeds, done.metrics["success"]) == ([0, 1], True)
    assert done.corrected.correction[0, 9] == 0.01


def test_a_motion_that_fails_is_tried_with_a_correction_and_one_that_does_not_is_not(monkeypatch):
    tried = []

    def unchanged(motion, *_, **__):
        tried.append(motion)
        return motion

    monkeypatch.setattr("exoactor_control.rehearsal.rehearsal.find_correction", unchanged)
    assert Rehearsal(correction_tries=1)(standing_motion(0.5)).metrics["success"]
    assert not tried
    fallen = corrected(standing_motion(1.0), column=9, value=2.5)
    assert not Rehearsal(outer_loop="closed", correction_tries=1)(fallen).metrics["success"]
    assert len(tried) == 1


@needs_data
@pytest.mark.slow
def test_a_motion_that_fails_succeeds_with_its_guide():
    motion = mirror(RobotMotion.load(DATA / "motions" / "asap_kick_level2.npz"))
    rehearsals = [Rehearsal(), Rehearsal(correction_tries=1)]
    for rehearsal in rehearsals:
        rehearsal.policy.alternative = None
    plain, done = (rehearsal(motion) for rehearsal in rehearsals)
    assert not plain.metrics["success"], "the test needs a motion at which the tracker fails"
    assert done.metrics["success"]
    assert np.abs(done.corrected.correction).max() > 0.1
    assert np.array_equal(done.corrected.joint_pos, motion.joint_pos), "the motion itself is as it was"
