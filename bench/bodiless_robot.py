"""A simulated G1 without dynamics, over the loopback interface, for the benchmarks of the control loop."""

from __future__ import annotations

import os
import platform
import time
from typing import Any

import numpy as np
from cyclonedds._clayer import ddspy_take
from cyclonedds.core import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from exoactor_control.realtime.watchdog import take_priority
from exoactor_core.robot import STANDING
from exoactor_unitree import sdk as unitree
from exoactor_unitree.wire import LowStateBytes

PERIOD = 0.002


class BodilessRobot:
    """Stands still: publishes LowState every `PERIOD` and reads every LowCmd; none of its own controllers is active."""

    def __init__(self, domain: int) -> None:
        unitree.open_dds("lo", domain)
        take_priority(30)
        self.switcher = unitree.MotionSwitcherServer(mode="")
        self._out = unitree.Publisher(unitree.LOW_STATE_TOPIC, unitree.LowState_)
        topic = Topic(unitree._joined(), unitree.LOW_CMD_TOPIC, unitree.LowCmd_)
        self._reader = DataReader(unitree._joined(), topic, Qos(Policy.History.KeepAll))
        self.state = LowStateBytes.zeros()
        self.state.motors[:29, 0] = STANDING
        self.state.imu[0], self.state.imu[9] = 1.0, 9.81
        self.state.temperatures[:] = 35
        self.state.set_modes(np.ones(29))
        self.published = 0
        """Number of LowState messages so far."""
        self.published_ns = 0
        """Time of the last one, ns."""
        self._due = time.monotonic()

    def step(self, mode_machine: int = 5) -> list[tuple[int, bytes]]:
        """Publish, and wait for the next period; return the received LowCmd messages with source timestamps in ns."""
        self.published += 1
        message = self.state.seal(mode_machine, int(1000 * PERIOD * self.published))
        self.published_ns = time.time_ns()
        self._out.write_bytes(message)
        taken = ddspy_take(self._reader._ref, 64)
        self._due += PERIOD
        time.sleep(max(0.0, self._due - time.monotonic()))
        return [(info.source_timestamp, bytes(data)) for data, info in taken if info.valid_data]


def machine() -> dict[str, Any]:
    """Describe the machine."""
    return {
        "load_average": round(os.getloadavg()[0], 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
