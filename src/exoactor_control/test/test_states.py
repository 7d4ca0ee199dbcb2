from dataclasses import replace

import numpy as np
import pytest
from control_helpers import linear_onnx, standing_state

from exoactor_control.controller.options import TrackingOptions
from exoactor_control.controller.state_machine import Controller, State
from exoactor_control.controller.tracker import MAX_TURN
from exoactor_control.policy.policy import Policy
from exoactor_control.policy.spec import PolicySpec
from exoactor_control.reference.trajectory import prepare
from exoactor_core.errors import BadInput, Missing, Refused
from exoactor_core.robot import JOINT_LIMITS, STANDING, standing_motion
from exoactor_core.robot_state import DAMPING_GAIN

STEP = 0.002


class Bench:
    """A controller and a robot that follows nothing: the state is what the test says."""

    def __init__(self, policy=None, **options):
        self.controller = Controller(policy, TrackingOptions(**options))
        self.now = 0.0
        self.state = standing_state()

    def step(self, seconds=STEP, fresh=True):
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            if fresh:
                self.state = replace(self.state, time=self.now)
            command = self.controller.step(self.state, self.now)
        return command

    def standing(self):
        self.step()
        self.controller.stand()
        self.step(0.1)
        return self

    def tracking(self):
        self.standing()
        self.controller.track(prepare(standing_motion(1.0)))
        self.step(0.1)
        assert self.controller.status.state is State.TRACK
        return self


def assert_damping(command):
    for name in ("q", "dq", "kp", "tau"):
        np.testing.assert_array_equal(getattr(command, name), 0.0)
    np.testing.assert_array_equal(command.kd, DAMPING_GAIN)


def assert_free(command):
    for name in ("kp", "kd", "tau"):
        np.testing.assert_array_equal(getattr(command, name), 0.0)


def reach(state):
    bench = Bench()
    bench.step()
    if state is State.DAMPING:
        bench.controller.damp()
    elif state is State.STAND:
        bench.standing()
    elif state is State.TRACK:
        bench.tracking()
    assert bench.controller.status.state is state
    return bench


def test_begins_with_free_motors_and_needs_no_state_for_it():
    controller = Controller()
    assert_free(controller.step(None, 0.0))
    assert controller.status.state is State.ZERO_TORQUE


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("request_", ["stop", "damp"])
def test_stop_reaches_damping_from_every_state(state, request_):
    bench = reach(state)
    getattr(bench.controller, request_)()
    assert_damping(bench.step())
    assert bench.controller.status.state is State.DAMPING
    assert bench.controller.status.fault == ""
    assert_damping(bench.step(0.5))  # and stays there


def test_transitions():
    for state in (State.STAND, State.TRACK):
        with pytest.raises(Refused, match="drop"):
            reach(state).controller.zero_torque()
    for state in (State.ZERO_TORQUE, State.DAMPING, State.TRACK):
        with pytest.raises(Refused, match="let it stand"):
            reach(state).controller.track(prepare(standing_motion(1.0)))
    bench = reach(State.DAMPING)
    bench.controller.zero_torque()
    assert_free(bench.step())
    bench = reach(State.TRACK)
    bench.controller.stand()
    assert bench.controller.status.state is State.STAND


def test_standing_up_needs_a_fresh_state():
    with pytest.raises(Refused, match="no LowState"):
        Controller().stand()
    bench = Bench()
    bench.step()
    bench.step(0.2, fresh=False)
    with pytest.raises(Refused, match="old"):
        bench.controller.stand()


def test_stands_up_gently_from_where_it_is():
    bench = Bench()
    bench.state = standing_state(joint_pos=np.clip(np.zeros(29), *JOINT_LIMITS.T))
    bench.step()
    bench.controller.stand()
    first = bench.step()
    np.testing.assert_allclose(first.q, 0.0, atol=1e-3)
    last = bench.step(2.5)
    np.testing.assert_allclose(last.q, STANDING, atol=1e-3)


def test_a_motion_is_carried_out_then_it_stands():
    bench = Bench().standing()
    motion = standing_motion(1.0)
    joints = motion.joint_pos.copy()
    joints[:, 18] += np.linspace(0, 0.3, len(joints))
    bench.controller.track(prepare(replace(motion, joint_pos=joints)))
    assert not bench.controller.status.done
    seen, frames, progress = [], [], []
    for _ in range(2000):
        command = bench.step()
        status = bench.controller.status
        if status.state is State.TRACK:
            seen.append(command.q[18])
            frames.append(bench.controller.tracking_frame)
            progress.append(status.progress)
        if status.done:
            break
    assert bench.controller.status.done
    assert bench.controller.status.state is State.STAND
    assert bench.controller.status.progress == 1.0
    assert progress == sorted(progress)
    inside = [q for q, k in zip(seen, frames, strict=True) if 0 <= k < len(joints)]
    np.testing.assert_allclose(inside, np.repeat(joints[:, 18], 10), atol=1e-9)  # 500 Hz over 50 Hz
    assert (frames[0], frames[-1]) == (-50, len(joints) + 49)


FAULTS = {
    "not heard": ("ms old", None),
    "nan": ("not finite", {"joint_vel": np.full(29, np.nan)}),
    "tilt": ("tilts", {"quat_wxyz": np.array([0.7071068, 0.7071068, 0, 0])}),
    "hot": ("hot", {"temperature": np.full(29, 99.0)}),
    "limits": ("outside its limits", {"joint_pos": JOINT_LIMITS[:, 1] + 0.3}),
    "fast": ("too fast", {"joint_vel": np.full(29, 100.0)}),
    "jump": ("encoder jumped", {"joint_pos": STANDING + 0.5 * (np.arange(29) == 18)}),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("start", ["standing", "tracking"])
def test_every_fault_damps_at_once_and_says_why(fault, start):
    reason, change = FAULTS[fault]
    bench = getattr(Bench(), start)()
    if change is None:
        bench.step(0.048, fresh=False)
        assert bench.controller.status.state is not State.DAMPING
        command = bench.step(0.006, fresh=False)
    else:
        bench.state = replace(bench.state, **change)
        command = bench.step(0.02)  # at most one policy step
    np.testing.assert_array_equal(command.kp, 0.0)
    np.testing.assert_array_equal(command.tau, 0.0)
    assert (command.kd > 0).all()
    status = bench.controller.status
    assert status.state is State.DAMPING
    assert reason in status.fault
    assert reason in status.text
    bench.state = standing_state(bench.now)
    assert_damping(bench.step(0.5))  # it does not come back by itself
    bench.controller.stand()
    assert bench.step().kp.any()
    assert bench.controller.status.fault == ""


def test_a_policy_that_gives_nan_is_held_back(tmp_path):
    policy = Policy.load(linear_onnx(tmp_path / "p.onnx", bias=np.full(29, np.nan)))
    bench = Bench(policy)
    bench.step()
    bench.controller.stand()
    assert_damping(bench.step())
    assert "not finite" in bench.controller.status.fault


def test_the_policy_keeps_its_own_rate(tmp_path):
    policy = Policy.load(linear_onnx(tmp_path / "p.onnx"))
    bench = Bench(policy)
    bench.step()
    bench.controller.stand()
    bench.step(2.0)
    assert policy._count in (100, 101)
    bench.now += 0.04  # a pause is not made up for by a burst
    bench.step(0.02)
    assert policy._count <= 103
    np.testing.assert_array_equal(bench.step().kp, policy.kp)
    assert bench.controller.status.policy == "twist2"


@pytest.mark.parametrize(
    ("yaw", "gain", "wanted"), [(0.2, 1.0, -0.2), (-0.2, 1.0, 0.2), (2.0, 1.5, -MAX_TURN), (0.2, 0.0, 0.0)]
)
def test_heading_error_turns_the_reference_back(tmp_path, yaw, gain, wanted):
    weight = np.zeros((1432, 29))
    weight[5, 0] = 1.0  # the commanded yaw rate goes to the first joint
    policy = Policy.load(linear_onnx(tmp_path / "p.onnx", weight=weight))
    bench = Bench(policy, heading_gain=gain).standing()
    bench.state = replace(bench.state, quat_wxyz=np.array([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]))
    bench.step(0.04)
    assert policy.last_action[0] == pytest.approx(wanted, abs=1e-6)


def test_without_a_policy_the_status_says_so():
    assert "pd (elastic band)" in Bench().standing().controller.status.text


@pytest.mark.faults
def test_a_stop_holds_until_the_operator_lets_it_stand():
    bench = reach(State.TRACK)
    bench.controller.stop()
    bench.step()
    with pytest.raises(Refused, match="was stopped: let it stand"):
        bench.controller.stand_for_motion()
    assert bench.controller.status.stopped
    bench.controller.damp()
    with pytest.raises(Refused, match="was stopped"):
        bench.controller.stand_for_motion()
    bench.controller.stand()
    assert not bench.controller.status.stopped
    bench.controller.damp()
    bench.step()
    bench.controller.stand_for_motion()
    assert bench.controller.status.state is State.STAND


def test_a_motion_that_is_ended_leaves_the_robot_standing_and_says_why():
    bench = reach(State.TRACK)
    bench.controller.end_motion("its sender is gone")
    bench.step()
    status = bench.controller.status
    assert (status.state, status.done, status.ended) == (State.STAND, False, "its sender is gone")
    bench.step(3.0)
    bench.controller.track(prepare(standing_motion(1.0)))
    assert bench.controller.status.ended == ""
    bench.controller.end_motion("cancelled")  # before it has begun
    bench.step(0.1)
    assert (bench.controller.status.state, bench.controller.status.ended) == (State.STAND, "cancelled")
    for state in (State.DAMPING, State.ZERO_TORQUE):
        bench = reach(state)
        bench.controller.end_motion("cancelled")
        bench.step()
        assert bench.controller.status.state is state


class TestAlternativePolicy:
    """A motion that the rehearsal gives to the policy's alternative is tracked by it; the next one by the policy."""

    MOTION = replace(standing_motion(0.5), alternative_policy=True)

    def bench(self, tmp_path):
        for name in ("one.onnx", "other.onnx"):
            linear_onnx(tmp_path / name)
        (tmp_path / "one.yaml").write_text("base: twist2\nname: one\nalternative: other.onnx\n")
        (tmp_path / "other.yaml").write_text("base: twist2\nname: other\n")
        return Bench(Policy.load(tmp_path / "one.onnx"))

    def test_it_takes_over_until_the_next_motion(self, tmp_path):
        bench = self.bench(tmp_path).standing()
        bench.controller.track(prepare(self.MOTION))
        bench.step(0.1)
        assert bench.controller.status.policy == "other"
        bench.step(5.0)
        status = bench.controller.status
        assert (status.state, status.done, status.policy) == (State.STAND, True, "other")
        bench.controller.track(prepare(standing_motion(0.5)))
        bench.step(0.1)
        assert bench.controller.status.policy == "one"

    def test_after_damping_the_policy_itself_stands(self, tmp_path):
        bench = self.bench(tmp_path).standing()
        bench.controller.track(prepare(self.MOTION))
        bench.step(0.1)
        bench.controller.damp()
        assert bench.standing().controller.status.policy == "one"

    def test_a_policy_without_one_refuses_such_a_motion(self, tmp_path):
        bench = Bench(Policy.load(linear_onnx(tmp_path / "p.onnx"))).standing()
        with pytest.raises(Refused, match="alternative"):
            bench.controller.track(prepare(self.MOTION))

    def test_its_file_and_gains_must_fit(self, tmp_path):
        self.bench(tmp_path)
        spec = PolicySpec.load(tmp_path / "other.yaml")
        (tmp_path / "other.yaml").write_text(f"base: twist2\nname: other\nkp: {(2.0 * spec.kp).tolist()}\n")
        with pytest.raises(BadInput, match="differ in kp"):
            Policy.load(tmp_path / "one.onnx")
        (tmp_path / "other.onnx").unlink()
        with pytest.raises(Missing, match=r"other\.onnx"):
            Policy.load(tmp_path / "one.onnx")
