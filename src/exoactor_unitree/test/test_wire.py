import dataclasses

import numpy as np
import pytest

from exoactor_unitree.wire import LowCmdBytes, LowStateBytes
from unitree_checksum import checksum

unitree = pytest.importorskip("exoactor_unitree.sdk")


def random_state(rng):
    """A LowState with every field random, as the SDK's class."""
    state = unitree.low_state()
    f4 = lambda n: rng.normal(size=n).astype(np.float32).tolist()  # noqa: E731
    words = lambda n: rng.integers(0, 2**32, n).tolist()  # noqa: E731
    state.version, state.reserve, state.tick = words(2), words(4), words(1)[0]
    state.mode_pr, state.mode_machine = 1, 5
    state.wireless_remote = rng.integers(0, 256, 40).tolist()
    imu = state.imu_state
    imu.quaternion, imu.gyroscope, imu.accelerometer, imu.rpy, imu.temperature = f4(4), f4(3), f4(3), f4(3), -7
    for i, motor in enumerate(state.motor_state):
        motor.mode, motor.temperature = (i * 37) % 256, [-20, 90 + i]
        motor.q, motor.dq, motor.ddq, motor.tau_est, motor.vol = f4(5)
        motor.sensor, motor.motorstate, motor.reserve = words(2), words(1)[0], words(4)
    state.crc = checksum(state)
    return state


@pytest.mark.parametrize("seed", range(20))
def test_command_has_the_bytes_of_the_sdks_serialisation(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(scale=10.0, size=(29, 5)).astype(np.float32)
    enabled = int(rng.integers(0, 30))
    mine, theirs = LowCmdBytes(), unitree.low_cmd()
    for _ in range(2):  # the second message replaces the first in place
        mine.gains[:29] = values
        mine.set_modes(seed % 2, seed, np.arange(29) < enabled)
        theirs.mode_pr, theirs.mode_machine = seed % 2, seed
        for i, (motor, row) in enumerate(zip(theirs.motor_cmd, values.tolist(), strict=False)):
            motor.mode = int(i < enabled)
            motor.q, motor.dq, motor.tau, motor.kp, motor.kd = row
        theirs.crc = checksum(theirs)
        assert bytes(mine.sealed()) == theirs.serialize()
        values, enabled = -values, 29


@pytest.mark.parametrize("seed", range(5))
def test_state_is_read_as_the_sdk_reads_it(seed):
    theirs = random_state(np.random.default_rng(seed))
    mine = LowStateBytes(theirs.serialize())
    assert mine.crc == theirs.crc == mine.computed_crc()
    assert (mine.mode_pr, mine.mode_machine, mine.tick) == (theirs.mode_pr, theirs.mode_machine, theirs.tick)
    assert list(mine.wireless_remote) == list(theirs.wireless_remote)
    imu = theirs.imu_state
    assert mine.imu.tolist() == [*imu.quaternion, *imu.gyroscope, *imu.accelerometer, *imu.rpy]
    assert mine.motors.tolist() == [[m.q, m.dq, m.ddq, m.tau_est] for m in theirs.motor_state]
    assert mine.temperatures.tolist() == [list(m.temperature) for m in theirs.motor_state]
    assert mine.motor_errors.tolist() == [m.motorstate for m in theirs.motor_state]
    assert mine.modes.tolist() == [m.mode for m in theirs.motor_state]
    with pytest.raises(ValueError, match="read-only"):
        mine.motors[0, 0] = 1.0


def test_state_can_be_written_too():
    mine, theirs = LowStateBytes.zeros(), unitree.low_state()
    mine.motors[28, 1], mine.imu[0], mine.temperatures[3, 1], mine.voltages[34] = 2.5, 1.0, 40, 48.0
    mine.set_modes(np.array([1, 0, 1]))
    theirs.motor_state[0].mode = theirs.motor_state[2].mode = 1
    theirs.motor_state[34].vol = 48.0
    theirs.motor_state[28].dq, theirs.imu_state.quaternion[0] = 2.5, 1.0
    theirs.motor_state[3].temperature = [0, 40]
    theirs.mode_machine, theirs.tick = 5, 77
    theirs.crc = checksum(theirs)
    assert bytes(mine.seal(5, 77)) == theirs.serialize()


def test_one_wrong_bit_changes_the_checksum_but_padding_does_not():
    data = bytearray(random_state(np.random.default_rng(0)).serialize())
    state = LowStateBytes(data)
    for padding in (14, 75, 76 + 53):
        data[padding] ^= 0xFF
        assert state.computed_crc() == state.crc
        assert state.intact
    for content in (4, 13, 73, 74, 76 + 52, 2040):
        data[content] ^= 1
        assert state.computed_crc() != state.crc
        assert not state.intact
        data[content] ^= 1


def test_command_is_read_back():
    rng = np.random.default_rng(3)
    theirs = unitree.low_cmd()
    theirs.mode_pr, theirs.mode_machine, theirs.reserve = 1, 5, [1, 2, 3, 2**32 - 1]
    for i, motor in enumerate(theirs.motor_cmd):
        motor.mode, motor.reserve = i, int(rng.integers(0, 2**32))
        motor.q, motor.dq, motor.tau, motor.kp, motor.kd = rng.normal(size=5).astype(np.float32).tolist()
    theirs.crc = checksum(theirs)
    data = bytearray(theirs.serialize())
    mine = LowCmdBytes(bytes(data))
    assert mine.intact
    assert mine.mode_pr == 1
    assert mine.modes.tolist() == list(range(35))
    assert mine.gains.tolist() == [[m.q, m.dq, m.tau, m.kp, m.kd] for m in theirs.motor_cmd]
    data[33] ^= 0xFF  # padding after the second motor's mode
    assert LowCmdBytes(data).intact
    for content in (4, 6, 32, 30, 999):
        data[content] ^= 1
        assert not LowCmdBytes(data).intact
        data[content] ^= 1


def test_other_bytes_are_refused():
    with pytest.raises(ValueError, match="not a LowCmd"):
        LowCmdBytes(b"\x00\x01" + bytes(90))
    good = unitree.low_state().serialize()
    for wrong in (good[:-4], b"\x00\x00" + good[2:], unitree.low_cmd().serialize(), b""):
        with pytest.raises(ValueError, match="not a LowState"):
            LowStateBytes(wrong)


def test_the_sdks_classes_read_what_is_written():
    command = LowCmdBytes()
    command.gains[7] = 0.5, 0.25, 1.0, 20.0, 2.0
    command.set_modes(0, 9, np.ones(29, dtype=bool))
    read = unitree.LowCmd_.deserialize(bytes(command.sealed()))
    assert dataclasses.astuple(read.motor_cmd[7]) == (1, 0.5, 0.25, 1.0, 20.0, 2.0, 0)
    assert (read.mode_machine, read.motor_cmd[28].mode, read.motor_cmd[29].mode) == (9, 1, 0)
    assert read.crc == checksum(read)


def test_a_message_as_it_came_is_not_written_to():
    with pytest.raises(TypeError, match="read-only"):
        LowCmdBytes(bytes(LowCmdBytes().sealed())).sealed()
    with pytest.raises(TypeError, match="read-only"):
        LowStateBytes(bytes(LowStateBytes.zeros().data)).seal(5, 1)
