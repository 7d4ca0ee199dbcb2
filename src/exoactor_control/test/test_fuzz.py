"""Random references, states, clocks, requests and policies: no command ever leaves the limits."""

import contextlib
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
from control_helpers import linear_onnx

from exoactor_control.controller.safety import MAX_KD, MAX_KP
from exoactor_control.controller.state_machine import Controller, State
from exoactor_control.policy.policy import Policy
from exoactor_control.reference.trajectory import Trajectory
from exoactor_core.errors import Refused
from exoactor_core.robot import EFFORT_LIMITS, JOINT_LIMITS, STANDING, STANDING_HEIGHT, VELOCITY_LIMITS
from exoactor_core.robot_state import RobotState

WILD = (np.nan, np.inf, -np.inf, 1e30, -1e30, 1e3, -1e3, 0.0)
GOOD = np.concatenate([STANDING, np.zeros(29), [1.0, 0, 0, 0], np.zeros(6), np.zeros(58)])
"""One state as numbers: joints, their speeds, orientation, gyroscope, accelerometer, torques, temperatures."""
FIELDS = np.cumsum([29, 29, 4, 3, 3, 29, 29])


def state_of(row, time, tick):
    pos, vel, quat, gyro, acc, torque, heat = np.split(row, FIELDS[:-1])
    return RobotState(time, pos, vel, quat, gyro, acc, torque, heat, tick)


def random_states(rng, n):
    """States (n, 126): half of them a robot near standing, the rest with one kind of nonsense or another."""
    rows = np.tile(GOOD, (n, 1))
    rows[:, :29] += rng.normal(0, 0.03, (n, 29))
    rows[:, 29:58] += rng.normal(0, 1.0, (n, 29)) * rng.choice([0.1, 1.0, 10.0], (n, 1))
    rows[:, 58:62] += rng.normal(0, 0.05, (n, 4))
    rows[:, 58:62] /= np.linalg.norm(rows[:, 58:62], axis=1, keepdims=True)
    rows[:, 68:97] += rng.normal(0, 0.3, (n, 29)) * EFFORT_LIMITS
    kind = rng.integers(0, 12, n)
    at, value = rng.integers(0, rows.shape[1], n), rng.choice(WILD, n)
    one = kind == 0  # one number is wild
    rows[one, at[one]] = value[one]
    rows[kind == 1] *= 10.0 ** rng.uniform(-3, 12, ((kind == 1).sum(), 1))
    jump = kind == 2
    rows[jump, at[jump] % 29] += rng.uniform(-1, 1, jump.sum())
    rows[kind == 3, :29] = rng.uniform(*(1.2 * JOINT_LIMITS.T), ((kind == 3).sum(), 29))
    rows[kind == 4, 58:62] = rng.normal(0, 1, ((kind == 4).sum(), 4))
    rows[kind == 5] = rng.choice(WILD, (1, rows.shape[1]))
    return rows


def random_reference(rng, n=64):
    """Frames that have nothing to do with each other; in some references one number is wild."""
    scale = 10.0 ** rng.uniform(-2, 2)
    joints = STANDING + rng.normal(0, scale, (n, 29))
    tilt = rng.normal(0, min(0.3, scale), (n, 3))
    pos = np.array([0, 0, STANDING_HEIGHT]) + rng.normal(0, scale, (n, 3))
    arrays = [rng.normal(0, scale, (n, 2)), pos, tilt, rng.normal(0, scale, n), joints]
    if rng.random() < 0.5:
        array = arrays[rng.integers(len(arrays))].reshape(n, -1)
        array[rng.integers(n), rng.integers(array.shape[1])] = rng.choice(WILD)
    velocities = {"joint_vel": rng.normal(0, scale, (n, 29)), "ang_vel_xy": np.zeros((n, 2))}
    return Trajectory(*arrays, begin=0, end=n, lin_vel_z=np.zeros(n), **velocities)


class Mad:
    """A policy whose gains and answers know no bounds."""

    name, effort_limits, inference_ms = "mad", 2.0 * EFFORT_LIMITS, 0.0
    spec = SimpleNamespace(single_support=False, outer_loop=True)

    def __init__(self, rng):
        self.rng = rng
        self.kp, self.kd = rng.normal(100, 300, 29), rng.normal(5, 30, 29)

    def reset(self):
        pass

    def check(self, reference):
        pass

    def act(self, *_):
        kind = self.rng.integers(20)
        if kind == 0:
            raise RuntimeError("mad")
        answer = self.rng.normal(STANDING, 10.0 ** self.rng.uniform(-1, 5))
        if kind == 1:
            return answer[:12]
        if kind == 2:
            answer[3] = self.rng.choice(WILD)
        return answer


def fuzz(policy, n, seed):
    """Drive a controller with n random states; return what it was shown, what it sent, and how often it drove."""
    rng = np.random.default_rng(seed)
    controller = Controller(policy)
    rows, sent = random_states(rng, n), np.empty((n, 5, 29))
    dt = rng.choice([0.002, 0.02, 0.02, 0.02, 0.0, 0.06, -0.01, -1.0, 10.0], n, p=[0.3, *[0.2] * 3, *[0.02] * 5])
    age = rng.choice([0.0, 0.01, 0.06, -0.2, np.nan], n, p=[0.94, *[0.015] * 4])
    order, asked = rng.random(n), [controller.stop, controller.zero_torque, controller.stand]
    now, driven, ticks = 0.0, 0, count(1)
    for i in range(n):
        now += dt[i]
        if controller.state in (State.DAMPING, State.ZERO_TORQUE) and order[i] > 0.3:  # up again, and off
            rows[i] = GOOD
            for _ in range(2):
                controller.step(state_of(GOOD, now, next(ticks)), now)
            controller.stand()
            controller._coming = random_reference(rng)
        elif order[i] < 0.02:
            with contextlib.suppress(Refused):
                asked[i % 3]()
        command = controller.step(state_of(rows[i], now - age[i], next(ticks)), now)
        sent[i] = command.q, command.dq, command.kp, command.kd, command.tau
        driven += controller.state is State.TRACK
    return rows, sent, driven


def assert_inside(rows, sent):
    q, dq, kp, kd, tau = sent.transpose(1, 0, 2)
    assert np.isfinite(sent).all()
    assert ((q >= JOINT_LIMITS[:, 0]) & (q <= JOINT_LIMITS[:, 1]) | (kp == 0)).all()
    assert (np.abs(dq) <= VELOCITY_LIMITS).all()
    assert ((kp >= 0) & (kp <= MAX_KP)).all()
    assert ((kd >= 0) & (kd <= MAX_KD)).all()
    assert (np.abs(tau) <= EFFORT_LIMITS).all()
    pos, vel = rows[:, :29], rows[:, 29:58]
    known = np.isfinite(pos).all(axis=1) & np.isfinite(vel).all(axis=1)
    assert not kp[~known].any()
    assert not tau[~known].any()
    assert (kd[~known] * VELOCITY_LIMITS <= EFFORT_LIMITS * (1 + 1e-9)).all()
    torque = (tau + kp * (q - pos) + kd * (dq - vel))[known]
    assert (np.abs(torque) <= EFFORT_LIMITS * (1 + 1e-6)).all()
    fast = np.abs(vel[known]) > VELOCITY_LIMITS
    assert (torque[fast] * vel[known][fast] <= 0).all()


def policies(tmp_path):
    rng = np.random.default_rng(7)
    weight, bias = rng.normal(0, 1.0, (1432, 29)), rng.normal(0, 2.0, 29)
    return [None, Mad(rng), Policy.load(linear_onnx(tmp_path / "p.onnx", weight=weight, bias=bias))]


def run(tmp_path, n):
    for seed, policy in enumerate(policies(tmp_path)):
        rows, sent, driven = fuzz(policy, n // 3, seed)
        assert_inside(rows, sent)
        assert driven > 0.15 * len(rows)  # not damped all the time
        assert sent[:, 2].any()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_command_leaves_the_limits(tmp_path):
    run(tmp_path, 6_000)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_command_of_a_hundred_thousand_leaves_the_limits(tmp_path):
    run(tmp_path, 100_000)
