"""Stands on one leg: which they are, what is made of the motion, and what keeps the robot up there."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest
from control_helpers import DATA, needs_data, standing_state
from scipy.linalg import solve_discrete_are
from scipy.spatial.transform import Rotation

from exoactor_control.controller import single_support as module
from exoactor_control.controller.single_support import SingleSupportRegulator, shift_com, single_support_phases
from exoactor_control.controller.state_machine import Controller
from exoactor_control.policy.policy import load_policy
from exoactor_control.policy.spec import known_specs
from exoactor_control.reference.trajectory import prepare
from exoactor_control.rehearsal.rehearsal import Disturbance, Rehearsal
from exoactor_control.training.references import mirror
from exoactor_core.errors import Refused
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import EFFORT_LIMITS, STANDING, as_servos, mujoco_spec, sole_points, standing_motion


def raising(seconds=3.0, knee=1.2, hip=-0.8):
    """Standing, then the right foot is up for so many seconds, then standing; a second each in between."""
    motion = standing_motion(seconds + 4.0)
    times = np.arange(len(motion)) / motion.fps
    up = np.clip(np.minimum(times - 1.0, seconds + 3.0 - times), 0.0, 1.0)
    up = up**2 * (3.0 - 2.0 * up)
    joints = motion.joint_pos.copy()
    joints[:, 6] += up * (hip - STANDING[6])
    joints[:, 9] += up * (knee - STANDING[9])
    return replace(motion, joint_pos=joints, contacts=None)


def test_a_stand_is_long_and_still_and_carried_by_its_foot():
    ((foot, first, end),) = single_support_phases(raising())
    assert foot == 0
    assert 1.0 < first / 50 < 2.0 < 5.0 < end / 50 < 6.0
    assert single_support_phases(mirror(raising()))[0] == (1, first, end)
    assert not single_support_phases(standing_motion(6.0))
    assert not single_support_phases(raising(seconds=0.5)), "a kick"
    motion = raising()
    wandering = motion.root_pos + np.linspace(0.0, 0.5, len(motion))[:, None] * (1.0, 0.0, 0.0)
    assert not single_support_phases(replace(motion, root_pos=wandering)), "hops"
    sitting = motion.joint_pos.copy()
    sitting[:, [0, 3, 6, 9]] = -1.5, 1.5, -1.9, 1.5
    assert not single_support_phases(replace(motion, joint_pos=sitting)), "a chair carries"


@pytest.mark.parametrize("motion", [raising(), mirror(raising())], ids=["left", "right"])
def test_a_stand_is_shifted_over_its_foot_and_the_sole_is_level(motion):
    tilted = motion.joint_pos.copy()
    ((foot, first, end),) = found = single_support_phases(motion)
    tilted[:, 5 + 6 * foot] += 0.1
    shifted, notes = shift_com(replace(motion, joint_pos=tilted), found)
    assert "lean up to 0." in notes[0]
    assert ("left", "right")[foot] in notes[0]
    body = module._Body(mujoco_spec(visuals=False).compile(), foot)
    for i in range(first + 25, end - 25, 10):
        body.place(np.r_[shifted.root_quat_wxyz[i], shifted.joint_pos[i]])
        off = np.abs(body.over()[:2] - module._COM_TARGET)
        assert (off < module._COM_TOLERANCE + 0.003).all()
    soles = sole_points(shifted)[first + 25 : end - 25, foot, :, 2]
    assert np.ptp(soles, axis=1).max() < 0.002
    before = sole_points(motion)[:, foot, :, 2].min(axis=1)
    assert np.abs(sole_points(shifted)[:, foot, :, 2].min(axis=1) - before).max() < 0.02
    assert np.array_equal(shifted.joint_pos[0], tilted[0]), "what is no stand stays as it was"


def test_a_motion_without_a_stand_stays_as_it_was():
    motion = standing_motion(2.0)
    same, notes = shift_com(motion, single_support_phases(motion))
    assert same is motion
    assert not notes


def test_doubling_solves_the_riccati_equation():
    rng = np.random.default_rng(0)
    a, b = np.eye(70) + 0.02 * rng.normal(size=(70, 70)), 0.1 * rng.normal(size=(70, 29))
    cost, kp = np.diag(rng.uniform(0.1, 2.0, 70)), rng.uniform(5.0, 100.0, 29)
    effort = np.diag((kp / (module._TORQUE_SHARE * EFFORT_LIMITS)) ** 2)
    p = solve_discrete_are(a, b, cost, effort)
    expected = np.linalg.solve(effort + b.T @ p @ b, b.T @ p @ a)
    np.testing.assert_allclose(module._gain(a, b, cost, kp), expected, atol=1e-6)


class Stander:
    """A robot on one leg, in MuJoCo, its targets by the regulator or, without it, by the motion."""

    def __init__(self, motion, mass=0.0):
        policy = load_policy("exoactor")
        ((_, first, self.end),) = self.found = single_support_phases(motion)
        motion, _ = shift_com(motion, self.found)
        self.motion, self.first = motion, first + 40
        self.model = mujoco_spec(visuals=False).compile()
        as_servos(self.model, policy.kp, policy.kd, EFFORT_LIMITS)
        self.model.body_mass *= 1.0 + mass
        self.model.body_inertia *= 1.0 + mass
        self.data = mujoco.MjData(self.model)
        mujoco.mj_setConst(self.model, self.data)
        self.regulator = SingleSupportRegulator(motion, self.found[0], policy.kp, policy.kd)
        i = self.first
        self.data.qpos[:] = np.r_[motion.root_pos[i], motion.root_quat_wxyz[i], motion.joint_pos[i]]

    def stand(self, regulated=True, push=0.0):
        """Degrees that the pelvis is tilted from the motion's at the end; ``push`` N from the right, for 0.2 s."""
        d = self.data
        self.regulator._share = 1.0
        for i in range(self.first, self.end - 20):
            target = self.motion.joint_pos[i]
            if regulated:
                target = self.regulator.mixed(i, target, d.qpos[3:], d.qvel[3:])
            d.ctrl[:] = target
            d.xfrc_applied[self.model.body("torso_link").id, 1] = push if 20 <= i - self.first < 30 else 0.0
            mujoco.mj_step(self.model, d, 10)
        turned = Rotation.from_quat(np.stack([d.qpos[3:7], self.motion.root_quat_wxyz[i]]), scalar_first=True)
        return np.degrees((turned[0].inv() * turned[1]).magnitude())


@pytest.mark.parametrize("motion", [raising(), mirror(raising())], ids=["left", "right"])
@pytest.mark.parametrize(("mass", "push"), [(0.0, 0.0), (0.1, 0.0), (-0.1, 8.0), (0.0, -8.0)])
def test_the_regulator_holds_the_robot_where_the_motion_alone_lets_it_fall(motion, mass, push):
    assert Stander(motion, mass).stand(push=push) < 5.0
    assert Stander(motion, mass).stand(regulated=False, push=push) > 20.0


def test_nothing_may_be_below_the_foot_that_carries():
    policy = load_policy("exoactor")
    with pytest.raises(Refused, match="below that foot"):
        SingleSupportRegulator(mirror(raising()), (0, 100, 200), policy.kp, policy.kd)


def test_what_cannot_be_held_is_the_policys():
    stander = Stander(raising())
    i, d = stander.first, stander.data
    policys = np.full(29, 7.0)

    def mixed(index, leftward=0.0):
        joint_vel = np.zeros(29)
        joint_vel[[1, 5]] = leftward  # the left leg's rolls: what is above goes to the right
        return stander.regulator.mixed(index, policys, d.qpos[3:], np.r_[np.zeros(3), joint_vel])

    assert np.array_equal(mixed(stander.found[0][1] - 1), policys), "before the stand"
    shares = [np.abs(mixed(i) - policys).max() for _ in range(30)]
    assert shares[0] < 0.1 * shares[-1], "taken over little by little"
    assert shares[-1] == pytest.approx(np.abs(mixed(i) - policys).max())
    for _ in range(5):
        mixed(i, leftward=2.0)
    assert np.array_equal(mixed(i, leftward=2.0), policys), "it falls: given back at once"
    assert np.array_equal(mixed(stander.end), policys), "after the stand"


@pytest.mark.parametrize("motion", [raising(), mirror(raising())], ids=["left", "right"])
def test_the_robot_stands_on_one_leg_as_the_person_does(motion):
    for disturbance in (Disturbance(), Disturbance(mass=0.1, delay=0.02)):
        report = Rehearsal()(motion, disturbance=disturbance).metrics
        assert report["success"], report["reason"]
        assert report["end_position_error"] < 0.5, "without the regulator it hops up to 2 m away"
        assert any("foot" in note for note in report["notes"])


def test_other_policies_have_it_only_if_they_say_so():
    """TWIST2's tracker, which hops, falls with the regulator."""
    assert load_policy("exoactor").spec.single_support
    assert not known_specs()["twist2"].single_support
    for held in (True, False):
        policy = load_policy("exoactor")
        policy.spec = replace(policy.spec, single_support=held)
        controller = Controller(policy)
        controller.step(standing_state(0.0), 0.0)
        controller.stand()
        for k in range(1, 1200):
            controller.step(standing_state(0.002 * k), 0.002 * k)
        assert bool(controller.track(prepare(raising()))) is held


@needs_data
def test_asap_stands_on_one_leg_where_it_hopped_away():
    motion = RobotMotion.load(DATA / "motions" / "asap_single_foot_balance_level2.npz")
    report = Rehearsal()(motion).metrics
    assert report["success"]
    assert report["end_position_error"] < 0.5
    assert len(single_support_phases(prepare(motion).motion)) == 1
