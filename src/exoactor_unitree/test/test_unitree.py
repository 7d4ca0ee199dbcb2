import subprocess
import sys

import pytest

from exoactor_core.errors import BadInput, Missing
from unitree_checksum import LOW_CMD, LOW_STATE, checksum, packed

unitree = pytest.importorskip("exoactor_unitree.sdk")


def reference_crc(data: bytes) -> int:
    """Unitree's crc32 core, bit by bit: polynomial 0x04c11db7, start 0xffffffff, words from the highest bit."""
    value = 0xFFFFFFFF
    for i in range(0, len(data), 4):
        word = int.from_bytes(data[i : i + 4], "little")
        for bit in range(31, -1, -1):
            value = ((value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
            if word >> bit & 1:
                value ^= 0x04C11DB7
    return value


def test_layouts_have_the_sizes_of_the_robots_structures():
    assert LOW_CMD.size + 4 == 1004
    assert LOW_STATE.size + 4 == 2092


def test_checksum_is_unitrees():
    cmd, state = unitree.low_cmd(), unitree.low_state()
    cmd.mode_machine = 5
    cmd.motor_cmd[3].q, cmd.motor_cmd[28].kp, cmd.motor_cmd[0].mode = 0.4, 40.0, 1
    state.tick, state.imu_state.rpy[1], state.motor_state[7].q = 9, 0.3, -1.0
    assert checksum(cmd) == reference_crc(packed(cmd))
    assert checksum(state) == reference_crc(packed(state))
    before = checksum(cmd)
    cmd.motor_cmd[3].q = 0.41
    assert checksum(cmd) != before


def test_messages_survive_the_wire():
    cmd = unitree.low_cmd()
    cmd.motor_cmd[5].tau, cmd.mode_pr = 1.5, 1
    assert unitree.LowCmd_.deserialize(cmd.serialize()) == cmd


def test_wrong_interface_and_domain_are_told(monkeypatch):
    monkeypatch.setattr(unitree, "_opened", None)  # another test may have joined a domain in this process
    with pytest.raises(Missing, match=r"no network interface 'eth99'.*lo"):
        unitree.open_dds("eth99", 1)
    with pytest.raises(BadInput, match="300"):
        unitree.open_dds("lo", 300)


def test_lacking_sdk_is_told():
    code = (
        "import sys; sys.modules['cyclonedds'] = None\n"
        "from exoactor_core.errors import Missing\n"
        "try:\n    import exoactor_unitree.sdk\nexcept Missing as e:\n    print(e)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30).stdout
    assert "cyclonedds" in said
    assert "make env" in said
