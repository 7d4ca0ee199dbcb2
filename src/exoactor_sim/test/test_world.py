import numpy as np
import pytest

from exoactor_core.robot import EFFORT_LIMITS, STANDING
from exoactor_sim.world import COMMAND_TIMEOUT, MotorCommand, World

ON = np.ones(29, dtype=bool)
KP = np.array([100, 100, 100, 150, 40, 40] * 2 + [150] * 3 + ([40] * 4 + [4] * 3) * 2, dtype=float)
KD = np.array([2, 2, 2, 4, 2, 2] * 2 + [4] * 3 + ([5] * 4 + [0.2] * 3) * 2)


def run(world: World, seconds: float) -> None:
    for _ in range(round(seconds / world.model.opt.timestep)):
        world.step()


def test_begins_standing_and_is_held_while_the_command_is_limp():
    world = World()
    world.command = MotorCommand(enabled=ON, kd=np.full(29, 8.0))
    run(world, 2.0)
    assert world.held
    assert world.root_pos == pytest.approx([0, 0, world._hold_pos[2]], abs=0.01)
    assert np.abs(world.joint_pos - STANDING).max() < 0.05
    assert world.imu_acc == pytest.approx([0, 0, 9.81], abs=0.1)
    assert world.imu_quat_wxyz == pytest.approx([1, 0, 0, 0], abs=0.01)


def test_a_position_command_takes_over_and_is_obeyed_in_the_band():
    world = World(band=True)
    target = STANDING.copy()
    target[[15, 22]] = 0.5
    world.command = MotorCommand(enabled=ON, q=target, kp=KP, kd=KD)
    run(world, 3.0)
    assert not world.held
    assert not world.fallen
    assert world.joint_pos[[15, 22]] == pytest.approx([0.5, 0.5], abs=0.15)


def test_plain_pd_without_the_band_falls_and_is_picked_up_when_limp():
    world = World(pick_up_after=1.0)
    world.command = MotorCommand(enabled=ON, q=STANDING.copy(), kp=KP, kd=KD)
    run(world, 3.0)
    assert world.fallen
    time = world.data.time
    world.command = MotorCommand()
    run(world, 1.5)
    assert not world.fallen
    assert world.held
    assert world.data.time == pytest.approx(time + 1.5)


@pytest.mark.faults
def test_motors_keep_the_last_command_when_commands_cease_and_say_so():
    world = World(band=True)
    target = STANDING.copy()
    target[[15, 22]] = 0.5
    world.command = MotorCommand(enabled=ON, q=target, kp=KP, kd=KD)
    run(world, 0.5 * COMMAND_TIMEOUT)
    assert not world.commands_ceased
    run(world, 3.0)
    assert world.commands_ceased
    assert world.joint_pos[[15, 22]] == pytest.approx([0.5, 0.5], abs=0.15)
    world.command = world.command
    assert not world.commands_ceased


def test_torque_is_clipped_and_a_disabled_motor_gives_none():
    world = World(band=True)
    enabled = ON.copy()
    enabled[18] = False
    world.command = MotorCommand(enabled=enabled, q=np.full(29, 3.0), kp=np.full(29, 1e4))
    world.step()
    assert np.abs(world.torque).max() <= EFFORT_LIMITS.max()
    assert (np.abs(world.torque) <= EFFORT_LIMITS).all()
    assert world.torque[18] == 0.0
    assert world.torque[15] == pytest.approx(EFFORT_LIMITS[15])
