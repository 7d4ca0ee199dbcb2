"""The watchdog: a small process with a DDS writer of its own, which damps the motors when the control process cannot.

Three processes watch each other: the controller's node, the control process and this one. They share one page of memory
(`WatchdogMemory`) and know of each other's death by pipes that close. The watchdog sends damping commands

- at once when the control process ends while it has the motors,
- when the control process, frozen or starved, has begun no step for `timeout`, and until it damps the motors itself,
- when the node asks for it, since the control process did not answer a stop.

It outlives both: with node and control process gone, it damps the motors for `LAST_DAMPING_SECONDS` and gives them back
to the robot's own controller. The node starts another when it ends or freezes (`Watchdog`).
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import numpy as np

from exoactor_core.errors import ExoActorError, Missing, RobotNotReady
from exoactor_core.processes import block_signals, take_priority
from exoactor_unitree.wire import LowCmdBytes

log = logging.getLogger("exoactor.control")

LAST_DAMPING_SECONDS = 3.0
"""s of damping after the last of the other processes has gone; then the motors are returned. Chosen: a standing G1 that
is damped is on the floor by then."""
SILENCE_TIMEOUT = 1.0
"""s without a sign of life after which the watchdog counts as frozen, and is replaced."""
FROZEN_TIMEOUT = 2.0
"""s without a step after which a control process is killed if its node is gone."""
PRIORITY = 21
"""Of SCHED_FIFO: one above the control loop's."""
_ANSWER_TIMEOUT = 1.0  # s
_IDLE_PERIOD_MS, _COMMAND_PERIOD_MS = 5, 2  # ms between two checks, and between two commands
_COMMAND_SIZE = len(LowCmdBytes().sealed())
_REASON_SIZE = 256


class WatchdogMemory(ctypes.Structure):
    """Memory shared by the three processes. Each field has one writer, except for `armed` and `own_mode`."""

    _fields_ = (
        ("control_beat", ctypes.c_double),  # s, monotonic clock, when the control process began its last step
        ("watchdog_beat", ctypes.c_double),  # s, when the watchdog last looked
        ("armed", ctypes.c_bool),  # the motors are ours: by the control process, or by the watchdog once it damps them
        ("requests", ctypes.c_uint64),  # of the node to damp
        ("answered", ctypes.c_uint64),  # of them, by the watchdog
        ("trips", ctypes.c_uint64),  # times that the watchdog began to damp
        ("acknowledged", ctypes.c_uint64),  # of them: the control process damps the motors itself now
        ("sent", ctypes.c_uint64),  # damping commands of the watchdog
        ("sent_time", ctypes.c_double),  # s, the last of them
        ("reason", ctypes.c_char * _REASON_SIZE),  # of the last trip, or why a request was refused; one clause
        ("own_mode", ctypes.c_char * 32),  # name of the robot's own controller that gets the motors back
        ("command", ctypes.c_char * _COMMAND_SIZE),  # the LowCmd that damps, serialised
        ("motion_renewed", ctypes.c_double),  # s, when the node last renewed the motion; 0: never
    )

    @property
    def tripped(self) -> bool:
        """Whether the watchdog is damping the motors."""
        return self.trips != self.acknowledged

    @property
    def watched(self) -> bool:
        """Whether there is a watchdog that is not frozen."""
        return time.monotonic() - self.watchdog_beat < SILENCE_TIMEOUT

    def set_reason(self, reason: str) -> None:
        """Set the reason of a trip or a refusal, shortened to what has room."""
        self.reason = reason.encode()[: _REASON_SIZE - 1]

    def set_command(self, damping: np.ndarray, mode_machine: int) -> None:
        """Set the command: damping (29,) N m s/rad, and the robot's variant."""
        command = LowCmdBytes()
        command.gains[: len(damping), 4] = damping
        command.set_modes(0, mode_machine, damping > 0.0)
        ctypes.memmove(ctypes.addressof(self) + WatchdogMemory.command.offset, bytes(command.sealed()), _COMMAND_SIZE)

    def command_bytes(self) -> bytes:
        """Return the command, as it is sent."""
        return ctypes.string_at(ctypes.addressof(self) + WatchdogMemory.command.offset, _COMMAND_SIZE)


def create_memory() -> tuple[int, WatchdogMemory]:
    """Create shared memory, all zeros: its file descriptor and its content."""
    fd = os.memfd_create("exoactor_watchdog")
    os.ftruncate(fd, mmap.PAGESIZE)
    return fd, open_memory(fd)


def open_memory(fd: int) -> WatchdogMemory:
    """Return the shared memory behind a file descriptor."""
    return WatchdogMemory.from_buffer(mmap.mmap(fd, mmap.PAGESIZE))


class Watchdog:
    """The node's side: a watchdog process, which is replaced when it ends or freezes.

    ``network_interface`` and ``domain`` are those of Unitree's DDS; the motors are damped after ``timeout`` s without a
    step of the control process. ``memory_fd`` is the file descriptor of the shared memory, ``control_fd`` the read end
    of a pipe whose other end is held only by the control process, whose id is ``control_pid``.
    """

    def __init__(
        self, network_interface: str, domain: int, timeout: float, memory_fd: int, control_fd: int, control_pid: int
    ) -> None:
        self.memory = open_memory(memory_fd)
        self._fds = (memory_fd, control_fd)
        self._arguments = (network_interface, str(domain), str(timeout), str(control_pid))
        self._closing = threading.Event()
        self._alive = -1  # write end of the pipe through which the watchdog sees that the node lives
        self.error = ""
        """Why no watchdog guards the motors, one sentence; empty if one does."""
        self._process: subprocess.Popen[bytes]
        self._start()
        self._thread = threading.Thread(target=self._keep, name="watchdog", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Process id of the current watchdog."""
        return self._process.pid

    def wait(self, timeout: float) -> None:
        """Wait until the watchdog runs. Raises `Missing` if it does not within ``timeout`` s."""
        end = time.monotonic() + timeout
        while not self.memory.watched:
            if time.monotonic() > end:
                raise Missing(self.error or f"The watchdog does not start within {timeout:g} s.")
            time.sleep(0.01)

    def damp(self) -> None:
        """Make the watchdog damp the motors; return when it has sent a command.

        Raises
        ------
        RobotNotReady
            The robot's own controller has the motors.
        Missing
            The watchdog does not answer within 1 s.
        """
        memory = self.memory
        sent = memory.sent
        memory.requests += 1
        request, end = memory.requests, time.monotonic() + _ANSWER_TIMEOUT
        while time.monotonic() < end:
            if memory.sent > sent:
                return
            if memory.answered >= request and not memory.tripped:
                raise RobotNotReady(f"Nothing was sent: {memory.reason.decode()}.")
            time.sleep(0.002)
        raise Missing(f"The watchdog does not answer within {_ANSWER_TIMEOUT:g} s: nothing damps the motors.")

    def close(self) -> None:
        """Let the watchdog end, after the control process has: it damps and returns motors that are still ours."""
        self._closing.set()
        self._thread.join()
        self._leave()
        end = time.monotonic() + LAST_DAMPING_SECONDS + 5.0
        while self._process.poll() is None and (self.memory.watched or self.memory.armed) and time.monotonic() < end:
            time.sleep(0.01)
        if self._process.poll() is None:
            log.warning("The watchdog does not end: it is killed.")
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        alive, self._alive = os.pipe()
        words = [
            sys.executable,
            "-m",
            "exoactor_control.realtime.watchdog",
            *self._arguments,
            *map(str, (*self._fds, alive)),
        ]
        with block_signals(signal.SIGINT):
            self._process = subprocess.Popen(words, pass_fds=[*self._fds, alive], start_new_session=True)
        os.close(alive)
        self._since = time.monotonic()

    def _leave(self) -> None:
        if self._alive >= 0:
            os.close(self._alive)
        self._alive = -1

    def _keep(self) -> None:
        """Replace a watchdog that has ended or frozen."""
        while not self._closing.wait(0.05):
            ended = self._process.poll() is not None
            starting = time.monotonic() - self._since < 10.0 and self.memory.watchdog_beat < self._since
            if ended or not (self.memory.watched or starting):
                how = f"has ended (exit code {self._process.returncode})" if ended else "does not answer"
                self.error = f"The watchdog {how}: the robot does not start until another runs."
                log.error("%s", self.error)
                self._process.kill()
                self._process.wait()
                self._leave()
                if time.monotonic() - self._since < 1.0:  # it fails immediately: do not retry at once
                    self._closing.wait(1.0)
                self._start()
            elif self.memory.watched and self.memory.watchdog_beat > self._since:
                self.error = ""


class _Guard:
    """The watchdog process: detects faults and damps."""

    def __init__(
        self, network_interface: str, domain: int, timeout: float, memory: WatchdogMemory, control_pid: int
    ) -> None:
        from exoactor_unitree import sdk as unitree

        unitree.open_dds(network_interface, domain)
        self._out = unitree.Publisher(unitree.LOW_CMD_TOPIC, unitree.LowCmd_)
        self._switcher = unitree.MotionSwitcherClient()
        self._memory, self._timeout, self._control_pid = memory, timeout, control_pid
        self._since = 0.0  # start of damping

    def run(self, control: int, node: int) -> None:
        """Watch until control process and node are gone; each argument is the end of a pipe that closes then."""
        memory = self._memory
        poller = select.poll()
        for fd in (control, node):
            poller.register(fd, select.POLLIN)
        gone: set[int] = set()
        while True:
            for fd, _ in poller.poll(_COMMAND_PERIOD_MS if memory.tripped else _IDLE_PERIOD_MS):
                poller.unregister(fd)
                gone.add(fd)
            now = memory.watchdog_beat = time.monotonic()
            if not memory.tripped and (reason := self._reason(control in gone, now)):
                self._trip(reason, now)
            if memory.tripped:
                self._send()
            if memory.answered != memory.requests:
                memory.answered = memory.requests
            if node not in gone:
                continue
            if control not in gone:
                if now - memory.control_beat > FROZEN_TIMEOUT:
                    log.error("The control process is frozen and its node gone: it is killed.")
                    with suppress(ProcessLookupError):
                        os.kill(self._control_pid, signal.SIGKILL)
            elif not memory.armed:
                return
            elif memory.tripped and now - self._since > LAST_DAMPING_SECONDS:
                self._give_back()
                return

    def _reason(self, control_gone: bool, now: float) -> str:
        """Why the motors must be damped, one clause; empty: they need not be."""
        memory = self._memory
        if memory.requests != memory.answered:
            if not memory.armed and (mode := self._switcher.check(0.5)):
                memory.set_reason(f"the robot's own controller '{mode}' has the motors")
                return ""
            return "the controller's node asked for it"
        if not memory.armed:
            return ""
        if control_gone:
            return "the control process has ended"
        if now - memory.control_beat > self._timeout:
            return f"the control process has done nothing for {1e3 * (now - memory.control_beat):.0f} ms"
        return ""

    def _trip(self, reason: str, now: float) -> None:
        memory = self._memory
        memory.set_reason(reason)
        self._since = now
        memory.armed = True
        memory.trips += 1
        self._send()
        log.error("The motors are damped: %s.", reason)

    def _send(self) -> None:
        with suppress(OSError):  # tried again in 2 ms
            self._out.write_bytes(self._memory.command_bytes())
            self._memory.sent, self._memory.sent_time = self._memory.sent + 1, time.monotonic()

    def _give_back(self) -> None:
        memory = self._memory
        memory.armed = False
        self._switcher.give_back(memory.own_mode.decode())


def main() -> int:
    """Run the watchdog; the arguments are those that `Watchdog` passes."""
    logging.basicConfig(format="[watchdog] %(message)s")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends when the other two have
    interface, domain, timeout, pid, memory, control, node = sys.argv[1:]
    take_priority(PRIORITY)
    try:
        guard = _Guard(interface, int(domain), float(timeout), open_memory(int(memory)), int(pid))
    except ExoActorError as error:
        log.error("%s", error)
        return error.exit_code
    guard.run(int(control), int(node))
    return 0


if __name__ == "__main__":
    sys.exit(main())
