"""The control loop in its own process, without ROS executor, garbage collection or other threads' interpreter lock.

`ControlProcess` starts it and communicates over a pipe; it has the interface of `ControlLoop`. The process damps the
robot and ends when its parent ends, for whatever reason; if the process itself ends or freezes, a watchdog damps the
robot (`exoactor_control.realtime.watchdog`). If the system permits, it runs under SCHED_FIFO, ahead of everything
without deadlines (root, CAP_SYS_NICE, or an rtprio limit in /etc/security/limits.conf).
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection, Pipe
from typing import Any

import numpy as np

from exoactor_control.controller.safety import Safety
from exoactor_control.controller.state_machine import Controller
from exoactor_control.policy.policy import load_policy
from exoactor_control.realtime.control_loop import ControlLoop, NoAnswer, Settings
from exoactor_control.realtime.report import Report, Sample
from exoactor_control.realtime.watchdog import Watchdog, WatchdogMemory, create_memory, open_memory
from exoactor_control.reference.trajectory import Reference
from exoactor_core.errors import ExoActorError, Missing
from exoactor_core.processes import block_signals, take_priority
from exoactor_core.robot import MODE_MACHINE
from exoactor_core.robot_state import DAMPING_GAIN
from exoactor_unitree.robot_link import RobotLink

log = logging.getLogger("exoactor.control")

START_TIMEOUT = 60.0
"""s for the process to load its libraries and the policy."""
STOP_TIMEOUT = 1.0
"""s for the control process to answer a stop, after which the watchdog damps the robot."""
CLAIM_TIMEOUT = 3.0
"""s for the same if the motors are not ours, since the robot is first asked whose they are."""
SILENCE_TIMEOUT = 3.0
"""s without a report after which something is wrong; reports come at 50 Hz (1 Hz while the robot is not heard)."""
_AGAIN = "configure the controller anew, or start the whole graph again"
_ENDED = f"The control process has ended: {_AGAIN}."
_PRIORITY = 20  # of SCHED_FIFO: below the kernel's threads (50), above everything ordinary
_SWITCH_INTERVAL = 5e-5  # s, maximum time that the loop waits for another thread of its process


def make_loop(settings: Settings, memory: WatchdogMemory) -> ControlLoop:
    """Return the loop, not yet started; ``memory`` is shared with a watchdog.

    Raises
    ------
    Missing, BadInput
        The policy cannot be loaded, or DDS cannot be joined.
    """
    policy = load_policy(settings.policy, settings.policy_spec)
    controller = Controller(policy, settings)
    # not earlier, since loading takes long and must not starve others
    if not take_priority(_PRIORITY):
        log.info("No real-time priority here: on a busy computer the 500 Hz will not be steady.")
    link = RobotLink(settings.network_interface, settings.dds_domain)
    return ControlLoop(link, controller, settings, memory)


class ControlProcess:
    """A running `ControlLoop` in its own process.

    Raises
    ------
    Missing, BadInput
        As `make_loop`; or the process does not start.
    """

    def __init__(self, settings: Settings) -> None:
        self.samples: list[Sample] = []
        """One sample per frame of the present or last motion."""
        self.latest: Report | None = None
        """The newest report, at most about 20 ms old while the robot is heard; None before the first."""
        self._heard = time.monotonic()  # time of its arrival
        self._motion = 0
        self._asked = 0  # reports up to this number began before the last answered request
        self._answers: dict[int, list[Any]] = {}
        self._numbers = itertools.count(1)
        self._arrived = threading.Condition()
        self._sending = threading.Lock()
        self._ended = False
        self._pipe, other = Pipe()
        self._memory_fd, self._memory = create_memory()
        self._memory.set_command(Safety().blind_damping(DAMPING_GAIN), MODE_MACHINE)
        self._ending, alive = os.pipe()  # closed when the control process ends, the only holder of the other end
        fds = [other.fileno(), self._memory_fd, alive]
        with block_signals(signal.SIGINT):  # this process closes it in order
            self._process = subprocess.Popen(
                [sys.executable, "-m", "exoactor_control.realtime.control_process", *map(str, fds)],
                pass_fds=fds,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        other.close()
        os.close(alive)
        self._reader = threading.Thread(target=self._read, name="control process", daemon=True)
        self._reader.start()
        self._watchdog: Watchdog | None = None
        try:
            self._call("start", settings.model_dump(), timeout=START_TIMEOUT)
            self._heard = time.monotonic()
            self._watchdog = Watchdog(
                settings.network_interface,
                settings.dds_domain,
                settings.state_timeout,
                self._memory_fd,
                self._ending,
                self._process.pid,
            )
            self._watchdog.wait(START_TIMEOUT)
        except ExoActorError:
            self.close()
            raise

    # as ControlLoop

    @property
    def error(self) -> str:
        """Why the robot cannot be driven, one sentence; empty if it can."""
        if self._ended:
            return _ENDED
        if time.monotonic() - self._heard > SILENCE_TIMEOUT:
            return f"The control process has not reported for {SILENCE_TIMEOUT:g} s."
        return self.latest.error if self.latest is not None else "The control process has just begun."

    @property
    def pid(self) -> int:
        """Process id of the loop."""
        return self._process.pid

    def report(self) -> Report:
        """Return the newest report, which began after the last request was answered.

        Raises
        ------
        Missing
            There is none within 5 s.
        """

        def known() -> bool:
            return self.latest is not None and self.latest.number > self._asked

        with self._arrived:
            if not self._arrived.wait_for(lambda: known() or self._ended, 5.0) or not known() or self.latest is None:
                raise Missing(self.error or "The control process does not report.")
            return self.latest

    @property
    def alarm(self) -> str:
        """What is wrong with control process or watchdog, one sentence; empty if nothing is."""
        memory = self._memory
        if memory.tripped:
            sending = time.monotonic() - memory.sent_time < 0.5
            who = "The watchdog damps the motors" if sending else "Nothing damps the motors"
            return f"{who}: {memory.reason.decode()}{f'; {_AGAIN}' if self._ended else ''}."
        if self._ended or time.monotonic() - self._heard > SILENCE_TIMEOUT:
            return self.error
        return self._guard.error

    @property
    def _guard(self) -> Watchdog:
        if self._watchdog is None:
            raise Missing("The watchdog has not been started.")
        return self._watchdog

    def ask(self, what: str) -> str:
        """As `ControlLoop.ask`; for "stop" and "damp" it returns who damps the motors, one sentence.

        If the control process does not answer "stop" (or "damp", once the motors are ours) in time, the watchdog damps
        the motors.
        """
        ours = self._memory.armed
        if what != "stop" and not (what == "damp" and ours):
            self._call("ask", what)
            return "The control process damps the motors." if what == "damp" else ""
        try:
            self._call("ask", what, timeout=STOP_TIMEOUT if ours else CLAIM_TIMEOUT)
        except NoAnswer as error:
            self._guard.damp()
            return f"The watchdog damps the motors. {error}"
        return "The control process damps the motors."

    def track(self, reference: Reference) -> list[str]:
        """As `ControlLoop.track`."""
        notes = self._call("track", reference, self._motion + 1)
        self._motion, self.samples = self._motion + 1, []  # the first sample comes when the blend-in is over
        return notes

    def observe(self, poses: dict[str, np.ndarray]) -> None:
        """As `ControlLoop.observe`; poses that the process has no time for are dropped."""
        _offer(self._pipe, self._sending, (0, "observe", (poses,)))

    @property
    def reach_notes(self) -> list[str]:
        """As `ControlLoop.reach_notes`."""
        return self._call("reach_notes")

    def renew(self) -> None:
        """Renew the motion: once renewed, it continues only as long as this is called repeatedly."""
        self._memory.motion_renewed = time.monotonic()

    def release(self) -> None:
        """As `ControlLoop.release`."""
        self._call("release")

    @property
    def lateness_ms(self) -> tuple[float, float]:
        """Median and 99th percentile of the lateness of the last 5000 steps, ms."""
        return self._call("lateness_ms")

    def close(self) -> None:
        """Damp the robot, return it to its own controller, and end the process."""
        closed = self._ended
        if not self._ended:
            with contextlib.suppress(ExoActorError):
                self._call("close")
                closed = True
        self._end(10.0 if closed else 0.0)

    # the pipe

    def _call(self, what: str, *arguments: Any, timeout: float = 20.0) -> Any:
        if time.monotonic() - self._heard > SILENCE_TIMEOUT:
            timeout = min(timeout, STOP_TIMEOUT)
        number = next(self._numbers)
        # Another thread may be blocked sending a motion to a frozen process.
        if not self._sending.acquire(timeout=timeout):
            raise NoAnswer(f"The control process takes no request within {timeout:g} s.")
        try:
            self._pipe.send((number, what, arguments))
        except OSError:
            raise NoAnswer(_ENDED) from None
        finally:
            self._sending.release()
        with self._arrived:
            if not self._arrived.wait_for(lambda: number in self._answers or self._ended, timeout):
                raise NoAnswer(f"The control process does not answer within {timeout:g} s.")
            answer = self._answers.pop(number, None)
        if answer is None:
            raise NoAnswer(_ENDED)
        value, error, reports = answer
        self._asked = max(self._asked, reports)
        if error is not None:
            raise error
        return value

    def _read(self) -> None:
        try:
            while True:
                number, content = self._pipe.recv()
                with self._arrived:
                    if number:
                        self._answers[number] = content
                    else:
                        self.latest, self._heard = content, time.monotonic()
                        if content.motion == self._motion:
                            self.samples += content.samples
                    self._arrived.notify_all()
        except (EOFError, OSError):
            with self._arrived:
                self._ended = True
                self._arrived.notify_all()

    def _end(self, timeout: float) -> None:
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            log.warning("The control process does not end: it is killed.")
            self._process.kill()
            self._process.wait()
        if self._watchdog is not None:
            self._watchdog.close()
        self._reader.join(2.0)
        self._pipe.close()
        os.close(self._ending)
        os.close(self._memory_fd)


class _Server:
    """The process's end of the pipe."""

    def __init__(self, pipe: Connection, memory: WatchdogMemory) -> None:
        self._pipe, self._memory = pipe, memory
        self._sending = threading.Lock()
        self._loop: ControlLoop | None = None

    def serve(self) -> None:
        """Answer requests until closed or the parent is gone, each in its own thread, so that a stop never waits."""
        try:
            while True:
                number, what, arguments = self._pipe.recv()
                if what == "close":
                    self._close()
                    self._answer(number, None)
                    return
                if what == "start":
                    self._serve(number, what, arguments)
                elif what == "observe":  # does not wait, and has no answer
                    if self._loop is not None:
                        self._loop.observe(*arguments)
                else:
                    threading.Thread(target=self._serve, args=(number, what, arguments), daemon=True).start()
        except (EOFError, OSError):
            log.warning("The controller's node is gone: the robot is damped.")
        finally:
            self._close()

    def _close(self) -> None:
        if self._loop is not None:
            self._loop.on_report = None
            self._loop.close()
            self._loop = None

    def _serve(self, number: int, what: str, arguments: tuple[Any, ...]) -> None:
        value, error = None, None
        try:
            if what == "start":
                self._loop = make_loop(Settings(**arguments[0]), self._memory)
                self._loop.on_report = self._report
                _settle()
                self._loop.start()
            else:
                attribute = getattr(self._loop, what)
                value = attribute(*arguments) if callable(attribute) else attribute
        except ExoActorError as caught:
            error = caught
        except Exception as caught:
            log.exception("The control process failed at '%s'.", what)
            error = Missing(f"The control process failed at '{what}': {type(caught).__name__}: {caught}.")
        self._answer(number, value, error)

    def _answer(self, number: int, value: Any, error: Exception | None = None) -> None:
        reports = self._loop.reports if self._loop is not None else 0
        with contextlib.suppress(OSError), self._sending:
            self._pipe.send((number, (value, error, reports)))

    def _report(self, report: Report) -> None:
        _offer(self._pipe, self._sending, (0, report))


def _offer(pipe: Connection, sending: threading.Lock, message: Any) -> None:
    """Send a message if this does not block; other senders hold ``sending``."""
    if not sending.acquire(blocking=False):
        return
    try:
        if select.select([], [pipe], [], 0)[1]:  # then there is room for many
            pipe.send(message)
    except OSError:
        pass  # the other end is gone, which its next request will report
    finally:
        sending.release()


def _settle() -> None:
    """Disable garbage collection: existing objects are never collected, so that the loop has no pauses."""
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(_SWITCH_INTERVAL)


def main() -> int:
    """Serve the parent; the arguments are file descriptors: the pipe to it, shared memory, and a pipe to hold."""
    logging.basicConfig(format="[control] %(message)s")
    log.setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    pipe, memory, _ = map(int, sys.argv[1:])
    _Server(Connection(pipe), open_memory(memory)).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
