import numpy as np
import pytest
from control_helpers import standing_state
from scipy.spatial.transform import Rotation

from exoactor_control.controller.safety import Safety
from exoactor_control.reference.trajectory import STANDING_FRAME
from exoactor_core.robot import EFFORT_LIMITS, JOINT_LIMITS, VELOCITY_LIMITS
from exoactor_core.robot_state import MotorCommand


def tilted(angle):
    return Rotation.from_euler("y", angle).as_quat(scalar_first=True)


def one(index, value, size=29, base=0.0):
    array = np.full(size, base)
    array[index] = value
    return array


def test_random_commands_never_leave_the_limits():
    rng = np.random.default_rng(0)
    policy_limits = EFFORT_LIMITS * rng.uniform(0.3, 2.0, 29)
    safety = Safety(policy_limits)
    bound = np.minimum(policy_limits, EFFORT_LIMITS) * (1 + 1e-9)
    for _ in range(2000):
        scale = 10.0 ** rng.uniform(-2, 3)
        state = standing_state(
            joint_pos=rng.uniform(*JOINT_LIMITS.T) * rng.uniform(0, 1.2), joint_vel=rng.normal(0, 15, 29)
        )
        wild = MotorCommand(
            q=rng.normal(0, scale, 29),
            dq=rng.normal(0, scale, 29),
            kp=rng.normal(0, 10 * scale, 29),
            kd=rng.normal(0, scale, 29),
            tau=rng.normal(0, 10 * scale, 29),
        )
        c = safety.limit(wild, state)
        assert (c.q >= JOINT_LIMITS[:, 0]).all()
        assert (c.q <= JOINT_LIMITS[:, 1]).all()
        assert (np.abs(c.dq) <= VELOCITY_LIMITS).all()
        assert (c.kp >= 0).all()
        assert (c.kd >= 0).all()
        assert (c.kp <= np.maximum(wild.kp, 0)).all()
        torque = c.torque(state.joint_pos, state.joint_vel)
        assert (np.abs(torque) <= bound).all()
        runaway = np.abs(state.joint_vel) > VELOCITY_LIMITS
        assert (torque[runaway] * state.joint_vel[runaway] <= 0).all()


def test_a_modest_command_passes_unchanged():
    state = standing_state()
    command = MotorCommand(q=state.joint_pos + 0.01, kp=np.full(29, 40.0), kd=np.ones(29))
    limited = Safety().limit(command, state)
    for name in ("q", "dq", "kp", "kd", "tau"):
        np.testing.assert_array_equal(getattr(limited, name), getattr(command, name))


@pytest.mark.parametrize("field", ["q", "dq", "kp", "kd", "tau"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_command_that_is_not_finite_is_held_back(field, value):
    with pytest.raises(ValueError, match="not finite"):
        Safety().limit(MotorCommand(**{field: one(4, value)}), standing_state())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"time": -0.051}, "51 ms old"),
        ({"time": np.nan}, "old"),
        ({"joint_pos": one(3, np.nan)}, "joint_pos holds"),
        ({"joint_vel": one(3, np.inf)}, "joint_vel holds"),
        ({"ang_vel": np.array([0, np.nan, 0])}, "ang_vel holds"),
        ({"quat_wxyz": np.zeros(4)}, "unit quaternion"),
        ({"temperature": one(6, 95.0)}, "right_hip_pitch_joint is hot"),
        ({"joint_pos": one(3, JOINT_LIMITS[3, 1] + 0.2)}, "left_knee_joint is outside its limits"),
        ({"joint_pos": one(3, JOINT_LIMITS[3, 0] - 0.2)}, "left_knee_joint is outside its limits"),
        ({"joint_vel": one(3, -2 * VELOCITY_LIMITS[3])}, "left_knee_joint is too fast"),
        ({"quat_wxyz": tilted(1.1)}, "tilts 1.10 rad"),
    ],
)
def test_every_sign_of_trouble_is_named(changes, reason):
    assert reason in Safety().check_state(standing_state(**changes), 0.0, STANDING_FRAME)


def test_no_false_alarm():
    safety = Safety()
    assert safety.check_state(None, 0.0) == "no LowState has come"
    assert safety.check_state(standing_state(), 0.049, STANDING_FRAME) == ""
    assert safety.check_state(standing_state(quat_wxyz=tilted(0.9)), 0.0, STANDING_FRAME) == ""
    assert safety.check_height(standing_state(), STANDING_FRAME) == ""


def test_a_pelvis_that_sinks_is_seen_without_a_height_sensor():
    crouch = standing_state().joint_pos.copy()
    crouch[[0, 6]], crouch[[3, 9]] = -1.8, 2.8
    assert "too low" in Safety().check_height(standing_state(joint_pos=crouch), STANDING_FRAME)
