"""Unitree's checksum of the SDK's messages, packed as the robot's C structures: what the wire format is tested by."""

import struct
from typing import Any

import numpy as np

from exoactor_unitree import wire
from exoactor_unitree.sdk import LowCmd_, LowState_

# Memory layouts of the robot's C structures (little-endian, 4-byte aligned), without the closing crc word.
LOW_CMD = struct.Struct("<2B2x" + "B3x5fI" * wire.NUM_SLOTS + "4I")
LOW_STATE = struct.Struct("<2I2B2xI" + "13fh2x" + "B3x4f2hf7I" * wire.NUM_SLOTS + "40B4I")


def packed(m: LowCmd_ | LowState_) -> bytes:
    """Return the message as the robot's C structure."""
    values: list[Any] = []
    if isinstance(m, LowCmd_):
        for c in m.motor_cmd:
            values += (c.mode, c.q, c.dq, c.tau, c.kp, c.kd, c.reserve)
        return LOW_CMD.pack(m.mode_pr, m.mode_machine, *values, *m.reserve)
    imu = m.imu_state
    values += (*imu.quaternion, *imu.gyroscope, *imu.accelerometer, *imu.rpy, imu.temperature)
    for s in m.motor_state:
        values += (s.mode, s.q, s.dq, s.ddq, s.tau_est, *s.temperature, s.vol, *s.sensor, s.motorstate, *s.reserve)
    head = (*m.version, m.mode_pr, m.mode_machine, m.tick)
    return LOW_STATE.pack(*head, *values, *m.wireless_remote, *m.reserve)


def checksum(message: LowCmd_ | LowState_) -> int:
    """Checksum that belongs in ``message.crc``."""
    return wire.checksum(np.frombuffer(packed(message), "<u4").astype(">u4").tobytes())
