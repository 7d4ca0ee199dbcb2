"""LowCmd and LowState as the bytes that DDS carries, read and written in place.

The SDK's generated classes create 250 to 500 Python objects per message, which takes 0.2 to 0.4 ms, 500 times a second.
Both messages have a fixed size, so that every field has a fixed offset in the serialised bytes, and numpy reads and
writes all of them in a few microseconds. The bytes are identical to the SDK's own serialisation: plain CDR,
little-endian, of the structures in its ``unitree_hg`` IDL.

Layout, after the 4 bytes that name the encoding, everything else 4-byte words::

    LowCmd    mode_pr u8, mode_machine u8; 35 x (mode u8, pad, q, dq, tau, kp, kd f4, reserve u4); reserve 4 u4; crc
    LowState  version 2 u4; mode_pr u8, mode_machine u8, pad; tick u4; quaternion 4 f4, gyroscope 3 f4,
              accelerometer 3 f4, rpy 3 f4, temperature i2; 35 x (mode u8, pad, q, dq, ddq, tau_est f4, temperature
              2 i2, voltage f4, sensor 2 u4, motorstate u4, reserve 4 u4); wireless_remote 40 u8; reserve 4 u4; crc

The first motor's mode follows its neighbour without a gap, which is where CDR and the robot's C structures, over which
the checksum is taken, differ.
"""

from __future__ import annotations

import numpy as np

from exoactor_core.errors import Missing

try:
    from fastcrc import crc32
except ImportError:
    crc32 = None  # type: ignore[assignment]  # a module or None has no type of its own

NUM_SLOTS = 35
"""Motor entries in a unitree_hg message; the G1 uses the first 29."""

MOTOR_TIMEOUT = 0x40000000
"""Bit of `LowStateBytes.motor_errors`: the motor no longer receives commands ("Motor determines that PC connection
timeout" in Unitree's table of errors, support.unitree.com/home/en/G1_developer/common_istakes_and_definitions)."""

_ENCODINGS = (b"\x00\x01", b"\x00\x07")  # little-endian plain CDR of either version: the same bytes for these types
_CMD_SIZE, _STATE_SIZE = 1004, 2092
_CMD_MOTORS = 8  # offset of the first motor's q


def checksum(words: bytes) -> int:
    """Return Unitree's checksum of 32-bit words, each with its high byte first: CRC-32/MPEG-2.

    Raises
    ------
    Missing
        The package fastcrc is not installed.
    """
    if crc32 is None:
        raise Missing("The Python package fastcrc is not installed: run 'make env'.")
    return crc32.mpeg_2(words)


def _zeros(size: int) -> bytearray:
    return bytearray(_ENCODINGS[0].ljust(size, b"\0"))


def _writable(data: bytes | bytearray) -> bytearray:
    if not isinstance(data, bytearray):
        raise TypeError("The message is read-only, as it came.")
    return data


class LowCmdBytes:
    """A LowCmd with its fields as views: all zeros, to be filled and `sealed`; or a received one, read-only.

    Raises
    ------
    ValueError
        The bytes are not a little-endian LowCmd.
    """

    def __init__(self, data: bytes | bytearray | None = None) -> None:
        if data is None:
            data = _zeros(_CMD_SIZE)
        elif len(data) != _CMD_SIZE or bytes(data[:2]) not in _ENCODINGS:
            raise ValueError(f"not a LowCmd: {len(data)} bytes of encoding {bytes(data[:2]).hex()}")
        self._bytes = data
        self._words = np.frombuffer(data, "<u4", offset=_CMD_MOTORS)
        motors = self._words[: 7 * NUM_SLOTS].reshape(NUM_SLOTS, 7)  # the last column is the next motor's mode
        self.gains = motors.view("<f4")[:, :5]
        """(35, 5) q rad, dq rad/s, tau N m, kp N m/rad, kd N m s/rad, one row per motor."""
        self._modes = motors[: NUM_SLOTS - 1, 6]
        self._checked = np.zeros(2 + len(self._words) - 1, ">u4")  # the robot's C structure without its crc

    @property
    def mode_pr(self) -> int:
        """How ankles and waist are commanded: 0 pitch and roll, 1 the parallel motors A and B."""
        return self._bytes[4]

    @property
    def modes(self) -> np.ndarray:
        """(35,) each motor's mode: 1 enabled, 0 not."""
        return np.concatenate([[self._bytes[6]], self._modes & 0xFF])

    @property
    def intact(self) -> bool:
        """The received checksum matches the content, padding counted as zeros."""
        return self._computed_crc() == self._words[-1]

    def set_modes(self, mode_pr: int, mode_machine: int, enabled: np.ndarray) -> None:
        """Set the message's two mode bytes, and the motors' modes: 1 for those ``enabled`` (N,), 0 for the others."""
        _writable(self._bytes)[4:7] = bytes((mode_pr, mode_machine, bool(enabled[0])))
        self._modes[:] = 0
        self._modes[: len(enabled) - 1] = enabled[1:]

    def sealed(self) -> bytearray:
        """Return the serialised message with its checksum; the next call changes it in place.

        Raises
        ------
        TypeError
            The message is read-only.
        """
        data = _writable(self._bytes)
        self._words[-1] = self._computed_crc()
        return data

    def _computed_crc(self) -> int:
        checked = self._checked
        checked[0] = self._bytes[4] | self._bytes[5] << 8
        checked[1] = self._bytes[6]
        checked[2:] = self._words[:-1]
        checked[8 : 2 + 7 * (NUM_SLOTS - 1) : 7] &= 0xFF
        return checksum(checked.tobytes())


class LowStateBytes:
    """A received LowState with its fields as views; read-only unless given a bytearray.

    Raises
    ------
    ValueError
        The bytes are not a little-endian LowState.
    """

    def __init__(self, data: bytes | bytearray) -> None:
        if len(data) != _STATE_SIZE or bytes(data[:2]) not in _ENCODINGS:
            raise ValueError(f"not a LowState: {len(data)} bytes of encoding {bytes(data[:2]).hex()}")
        self.data = data
        self._all = np.frombuffer(data, "<u4", offset=4)
        self._head, self._words = self._all[:17], self._all[18:]
        motors = self._words[: 14 * NUM_SLOTS].reshape(NUM_SLOTS, 14)
        self.motors = motors.view("<f4")[:, :4]
        """(35, 4) q rad, dq rad/s, ddq, tau_est N m, one row per motor."""
        self.temperatures = motors[:, 4:5].view("<i2")
        """(35, 2) degrees Celsius."""
        self.voltages = motors[:, 5].view("<f4")
        """(35,) V."""
        self.motor_errors = motors[:, 8]
        """(35,) each motor's error bits, such as `MOTOR_TIMEOUT`."""
        self._modes = motors[: NUM_SLOTS - 1, 13]  # of all motors but the first
        self.imu = self._head[4:].view("<f4")
        """(13,) quaternion wxyz, gyroscope rad/s, accelerometer m/s^2, roll, pitch and yaw rad."""

    @classmethod
    def zeros(cls) -> LowStateBytes:
        """Return a writable message of zeros."""
        return cls(_zeros(_STATE_SIZE))

    @property
    def mode_pr(self) -> int:
        """How ankles and waist are commanded: 0 pitch and roll, 1 the parallel motors A and B."""
        return self.data[12]

    @property
    def mode_machine(self) -> int:
        """The robot's variant."""
        return self.data[13]

    @property
    def tick(self) -> int:
        """The robot's clock, ms."""
        return int(self._head[3])

    @property
    def wireless_remote(self) -> bytes:
        """The 40 bytes of the remote control."""
        return bytes(self.data[2032:2072])

    @property
    def crc(self) -> int:
        """The received checksum."""
        return int(self._words[-1])

    def computed_crc(self) -> int:
        """Return the checksum of the content, padding counted as zeros."""
        swapped = self._all.byteswap()
        swapped[2] &= 0xFFFF0000
        swapped[18 : 18 + 14 * (NUM_SLOTS - 1)].reshape(NUM_SLOTS - 1, 14)[:, 13] &= 0xFF000000
        return self._checksum(swapped.tobytes())

    @property
    def intact(self) -> bool:
        """The received checksum matches the content."""
        # padding is usually zero, and then need not be masked
        return self._checksum(self._all.byteswap().tobytes()) == self.crc or self.computed_crc() == self.crc

    def _checksum(self, swapped: bytes) -> int:
        """Checksum of the words, high byte first; the robot's C structure separates the two halves of the 18th."""
        temperature, mode = self.data[73:71:-1], self.data[74]
        return checksum(b"".join((swapped[:68], b"\0\0", temperature, b"\0\0\0", bytes((mode,)), swapped[72:-4])))

    @property
    def modes(self) -> np.ndarray:
        """(35,) each motor's mode: 1 enabled, 0 not."""
        return np.concatenate([[self.data[74]], self._modes & 0xFF])

    def set_modes(self, modes: np.ndarray) -> None:
        """Set the motors' modes, (n,) for the first n: 1 enabled, 0 not."""
        _writable(self.data)[74] = int(modes[0])
        self._modes[: len(modes) - 1] = modes[1:]

    def seal(self, mode_machine: int, tick: int) -> bytearray:
        """Set the fields that change with every message, and the checksum; the next call changes the bytes in place.

        Raises
        ------
        TypeError
            The message is read-only.
        """
        data = _writable(self.data)
        data[13] = mode_machine
        self._head[3] = tick & 0xFFFFFFFF
        self._words[-1] = self.computed_crc()
        return data
