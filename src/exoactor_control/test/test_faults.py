"""Each fault, injected into a simulated robot under control: what its motors got, and when."""

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from control_helpers import linear_onnx

from exoactor_control.controller.safety import MAX_POSITION_ERROR
from exoactor_control.controller.state_machine import Controller, State
from exoactor_control.policy.policy import Policy
from exoactor_control.reference.trajectory import ENTRY_SPEED, prepare
from exoactor_control.rehearsal.rehearsal import SimulatedRobot
from exoactor_core.errors import Refused
from exoactor_core.robot import EFFORT_LIMITS, JOINT_LIMITS, STANDING, VELOCITY_LIMITS, standing_motion
from exoactor_core.robot_state import DAMPING_GAIN, MotorCommand

pytestmark = pytest.mark.faults

STEP = 0.002
SOON = 0.02  # s within which every fault that can be seen at once, and stop, must have reached the motors


class Bench:
    """A simulated G1 that hangs in the band and is commanded at 500 Hz; ``spoil`` changes what LowState says."""

    def __init__(self, policy=None, blend=0.1, substeps=1):
        self.controller = Controller(policy)
        self.controller.blend = blend
        self.substeps = substeps  # of the motors' own PD, between two commands
        self.robot = SimulatedRobot(STEP / substeps, standing_motion(), with_band=True)
        self.spoil = lambda state: state
        self.sent = []  # (time, command, the true joint velocities)

    def run(self, seconds):
        for _ in range(round(seconds / STEP)):
            command = self.controller.step(self.spoil(self.robot.state()), self.robot.time)
            self.sent.append((self.robot.time, command, self.robot.joint_vel.copy()))
            for _ in range(self.substeps):
                self.robot.advance(command.torque(self.robot.joint_pos, self.robot.joint_vel))
        return self

    def stand(self):
        self.run(STEP)
        self.controller.stand()
        return self.run(0.1)

    def reach(self, state):
        self.run(0.02)
        if state is State.DAMPING:
            self.controller.damp()
        if state in (State.STAND, State.TRACK):
            self.stand()
        if state is State.TRACK:
            motion = standing_motion(3.0)
            joints = motion.joint_pos + 0.4 * np.sin(np.linspace(0, 12, len(motion)))[:, None] * (np.arange(29) == 22)
            self.controller.track(prepare(replace(motion, joint_pos=joints)))
            self.run(0.2)
        assert self.controller.status.state is state
        return self

    def assert_damped(self, after, within, reason):
        """From ``within`` s after the time ``after`` on the motors only ever got damping, and it says why."""
        late = [(t, c, v) for t, c, v in self.sent if t >= after + within - 1e-9]
        assert len(late) > 10
        for _, c, v in late:
            for name in ("dq", "kp", "tau"):
                np.testing.assert_array_equal(getattr(c, name), 0.0)
            assert (c.kd > 0).all()
            assert (c.kd <= DAMPING_GAIN).all()
            torque = c.torque(np.zeros(29), v)
            assert (torque * v <= 0).all()  # it resists
        status = self.controller.status
        assert status.state is State.DAMPING
        assert reason in status.fault
        assert reason in status.text


def assert_damping(command):
    np.testing.assert_array_equal(command.kp, 0.0)
    np.testing.assert_array_equal(command.tau, 0.0)
    assert (command.kd > 0).all()


def at(index, value, base):
    array = np.array(base, dtype=float)
    array[index] = value
    return array


# What LowState says wrongly, from some moment on; and the word that names it.
SPOILT = {
    "temperature": (lambda s: replace(s, temperature=at(9, 95.0, s.temperature)), "right_knee_joint is hot"),
    "encoder jump": (lambda s: replace(s, joint_pos=at(4, s.joint_pos[4] + 0.4, s.joint_pos)), "encoder jumped"),
    "beyond limits": (lambda s: replace(s, joint_pos=at(5, 0.5, s.joint_pos)), "left_ankle_roll_joint"),
    "too fast": (lambda s: replace(s, joint_vel=at(21, 40.0, s.joint_vel)), "left_wrist_yaw_joint is too fast"),
    "tilt": (lambda s: replace(s, quat_wxyz=np.array([np.cos(0.6), np.sin(0.6), 0, 0])), "tilts"),
    "no quaternion": (lambda s: replace(s, quat_wxyz=np.zeros(4)), "unit quaternion"),
    "from the future": (lambda s: replace(s, time=s.time + 1.0), "ahead"),
    "nan time": (lambda s: replace(s, time=np.nan), "old"),
    **{
        f"{value} {name}": (
            lambda s, name=name, value=value: replace(s, **{name: at(0, value, getattr(s, name))}),
            "not finite",
        )
        for name, value in (
            ("joint_pos", np.nan),
            ("joint_vel", np.inf),
            ("quat_wxyz", np.nan),
            ("ang_vel", np.nan),
            ("torque", np.nan),
            ("temperature", np.inf),
        )
    },
}


@pytest.mark.parametrize("fault", SPOILT)
@pytest.mark.parametrize("state", [State.STAND, State.TRACK])
def test_a_spoilt_low_state_damps_within_20_ms(fault, state):
    bench = Bench().reach(state)
    spoil, reason = SPOILT[fault]
    after, bench.spoil = bench.robot.time, spoil
    bench.run(0.1).assert_damped(after, SOON, reason)
    assert bench.controller.status.fell == (fault == "tilt")


def test_over_current_damps_after_20_ms_and_a_spike_does_not():
    bench = Bench().reach(State.STAND)
    heavy = lambda s: replace(s, torque=at(3, 1.3 * EFFORT_LIMITS[3], s.torque))  # noqa: E731
    bench.spoil = heavy
    bench.run(0.01)
    bench.spoil = lambda s: s
    bench.run(0.1)
    assert bench.controller.status.state is State.STAND
    after, bench.spoil = bench.robot.time, heavy
    bench.run(0.1).assert_damped(after, 0.02 + SOON, "left_knee_joint is loaded with 1.3 times its maximum torque")


@pytest.mark.parametrize("state", [State.STAND, State.TRACK])
def test_a_robot_that_is_not_heard_is_damped_after_50_ms(state):
    bench = Bench().reach(state)
    after, last = bench.robot.time, bench.robot.state()
    bench.spoil = lambda s: last
    bench.run(0.048)
    assert bench.controller.status.state is state
    bench.run(0.1).assert_damped(after, 0.05 + SOON, "ms old")


def test_a_clock_that_goes_back_damps():
    bench = Bench().reach(State.STAND)
    state = bench.robot.state()
    assert_damping(bench.controller.step(replace(state, time=state.time - 1.0), state.time - 1.0))
    assert "went back" in bench.controller.status.fault


def nan_reference(controller):
    tracker = controller.tracker
    tracker.trajectory = replace(tracker.trajectory, joint_pos=np.full_like(tracker.trajectory.joint_pos, np.nan))


def inf_reference_tilt(controller):
    tracker = controller.tracker
    tilt = np.full_like(tracker.trajectory.roll_pitch_yaw, np.inf)
    tracker.trajectory = replace(tracker.trajectory, roll_pitch_yaw=tilt)


def vanished_reference(controller):
    controller.tracker.trajectory = None


@pytest.mark.parametrize("lose", [nan_reference, inf_reference_tilt, vanished_reference])
@pytest.mark.parametrize("with_policy", [False, True])
def test_a_lost_reference_damps_within_20_ms(lose, with_policy, tmp_path):
    policy = Policy.load(linear_onnx(tmp_path / "p.onnx")) if with_policy else None
    bench = Bench(policy).reach(State.TRACK)
    after = bench.robot.time
    lose(bench.controller)
    bench.run(0.1).assert_damped(after, SOON, "reference")


class SickPolicy:
    """A tracker that goes mad when told to; a `Policy` as far as the controller can see."""

    name, effort_limits, inference_ms = "sick", EFFORT_LIMITS, 0.0
    spec = SimpleNamespace(single_support=False, outer_loop=True)
    kp, kd = np.full(29, 100.0), np.full(29, 3.0)

    def __init__(self, answer=lambda: STANDING):
        self.answer = answer

    def check(self, reference):
        pass

    def reset(self):
        pass

    def act(self, *_):
        return self.answer()


def broken():
    raise RuntimeError("no more memory")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: np.full(29, np.nan), "not finite"),
        (lambda: at(7, -np.inf, STANDING), "not finite"),
        (lambda: np.zeros(12), "29 numbers"),
        (broken, "no more memory"),
    ],
)
def test_a_policy_that_fails_damps_within_20_ms(answer, reason):
    policy = SickPolicy()
    bench = Bench(policy).reach(State.TRACK)
    after, policy.answer = bench.robot.time, answer
    bench.run(0.1).assert_damped(after, SOON, reason)


@pytest.mark.parametrize("state", [State.STAND, State.TRACK])
@pytest.mark.parametrize(
    ("speed", "within", "reason"),
    [(1.5, MAX_POSITION_ERROR / 1.5, "m from the reference"), (2.1, 0.0, "m/s faster than the reference")],
)
def test_a_robot_that_runs_away_is_damped(state, speed, within, reason):
    """By its own odometry, which is made to say so: the robot hangs in the band."""
    bench = Bench(SickPolicy()).reach(state)
    odometry, after = bench.controller.tracker.odometry, bench.robot.time

    def run_away(robot):
        odometry.position = np.array([-speed * (robot.time - after), 0.0])
        odometry.velocity = np.array([-speed, 0.0])

    odometry.update = run_away
    bench.run(within - SOON)
    assert bench.controller.status.state is state
    bench.run(0.2).assert_damped(after, within + 2 * SOON, reason)


def test_a_robot_that_is_pushed_over_is_damped_before_it_lies():
    bench = Bench().reach(State.STAND)
    bench.robot.band = False  # nothing balances it now
    bench.robot.data.xfrc_applied[:] = 0.0
    bench.robot.data.xfrc_applied[bench.robot.model.body("pelvis").id, 0] = 150.0
    bench.run(2.0)
    damped = next(i for i, (_, c, _) in enumerate(bench.sent) if i > 200 and not c.kp.any())
    assert "tilts" in bench.controller.status.fault
    assert bench.controller.status.fell
    bench.assert_damped(bench.sent[damped][0], 0.0, "tilts")


def test_a_robot_whose_legs_give_way_is_damped():
    bench = Bench().reach(State.STAND)
    bench.robot.band = False
    bench.robot.data.xfrc_applied[:] = 0.0
    upright = bench.robot.state().quat_wxyz
    bench.spoil = lambda s: replace(s, quat_wxyz=upright)  # it sinks between rails, without tilting
    real = bench.robot.advance
    bench.robot.advance = lambda torque: real(np.where(np.arange(29) < 12, 0.0, torque))
    bench.run(1.5)
    assert bench.controller.status.state is State.DAMPING
    assert "too low" in bench.controller.status.fault
    assert bench.controller.status.fell


@pytest.mark.parametrize("state", list(State))
def test_stop_reaches_the_motors_within_20_ms_from_every_state(state):
    bench = Bench().reach(state)
    after = bench.robot.time
    bench.controller.stop()
    bench.run(0.1).assert_damped(after, SOON, "")


def test_stop_reaches_the_motors_within_20_ms_while_the_loop_runs(tmp_path):
    """On the wall's clock, from another thread, with a policy in work."""
    controller = Controller(Policy.load(linear_onnx(tmp_path / "p.onnx")))
    robot = SimulatedRobot(STEP, standing_motion(), with_band=True)
    sent: list[tuple[float, MotorCommand]] = []
    end = threading.Event()

    def loop():
        while not end.is_set():
            now = time.monotonic()
            sent.append((time.monotonic(), controller.step(replace(robot.state(), time=now), now)))
            time.sleep(STEP)

    thread = threading.Thread(target=loop)
    thread.start()
    took = []
    try:
        for _ in range(10):
            time.sleep(0.02)
            controller.stand()
            time.sleep(0.05)
            asked = time.monotonic()
            controller.stop()
            time.sleep(0.04)
            took.append(next((t - asked for t, c in sent if t > asked and not c.kp.any()), np.inf))
    finally:
        end.set()
        thread.join()
    assert np.median(took) < SOON


@pytest.mark.parametrize("joint", [16, 18, 19, 20, 26, 28])
def test_no_joint_is_driven_beyond_its_greatest_speed(joint):
    """Whatever is asked of it; the others hold still, for a limb may be flung faster than any motor drives it."""
    policy = SickPolicy()
    policy.kp, policy.kd = np.full(29, 300.0), np.full(29, 0.5)
    bench = Bench(policy, substeps=4).reach(State.STAND)
    rng = np.random.default_rng(joint)
    low, high = JOINT_LIMITS[joint]
    policy.answer = lambda: at(joint, low + (high - low) * rng.choice([0.1, 0.9]), STANDING)
    bench.sent.clear()
    bench.run(0.6)
    speed = max(abs(v[joint]) for _, _, v in bench.sent) / VELOCITY_LIMITS[joint]
    assert 0.5 < speed < 1.1


def test_stands_up_no_faster_than_the_entry_speed():
    bench = Bench(blend=1.0)
    bench.robot.data.qpos[7:] = STANDING + at([15, 22, 18, 25], [-2.0, -2.0, 0.8, 0.8], np.zeros(29))
    bench.stand().run(3.0)
    assert bench.controller.status.state is State.STAND
    np.testing.assert_allclose(bench.robot.joint_pos[[15, 22]], STANDING[[15, 22]], atol=0.1)
    arms = np.array([np.abs(v[[15, 22]]) for t, _, v in bench.sent if t > 0.1])
    assert arms.max() < 1.2 * ENTRY_SPEED


SITTING = np.array([-1.5, 0, 0, 2.6, -0.6, 0] * 2 + [0] * 17, dtype=float)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quat_wxyz": np.array([np.cos(0.3), 0, np.sin(0.3), 0])}, r"leans by 0\.60 rad"),
        ({"quat_wxyz": np.array([0.0, 1.0, 0, 0])}, r"leans by 3\.14 rad"),
        ({"joint_pos": SITTING}, "above its soles"),
        ({"ang_vel": np.array([0, 3.0, 0])}, r"turns at 3\.0 rad/s"),
        ({"temperature": np.full(29, 95.0)}, "hot"),
        ({"joint_pos": np.full(29, np.nan)}, "not finite"),
    ],
)
def test_it_does_not_stand_up_unless_it_stands_or_hangs(change, reason):
    for state in (State.ZERO_TORQUE, State.DAMPING):
        bench = Bench().reach(state)
        bench.spoil = lambda s: replace(s, **change)
        bench.run(0.02)
        with pytest.raises(Refused, match=reason):
            bench.controller.stand()
        assert bench.controller.status.state is state
        assert not bench.run(0.1).sent[-1][1].kp.any()


def test_it_stands_up_from_hanging_limp():
    bench = Bench().reach(State.ZERO_TORQUE)
    bench.robot.anchor[0][2] += 0.3
    bench.run(1.0)
    bench.controller.stand()
    bench.run(1.0)
    assert bench.controller.status.state is State.STAND
