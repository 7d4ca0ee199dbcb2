"""The loop between the robot link and the controller, at a fixed rate.

`ControlLoop` runs in a thread; `exoactor_control.realtime.control_process` gives it a process of its own, in which that
thread has the interpreter to itself. In each period it reads the newest LowState, steps the controller and sends the
LowCmd; slower work (the policy's inference, reports) comes after the command has been sent.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from exoactor_control.controller.state_machine import Controller, State
from exoactor_control.metrics import SATURATION_THRESHOLD
from exoactor_control.options import ControllerOptions
from exoactor_control.realtime.motor_ownership import INTRUDER, MotorOwnership
from exoactor_control.realtime.report import Report, Sample
from exoactor_control.realtime.watchdog import WatchdogMemory
from exoactor_control.reference.trajectory import POLICY_RATE, Reference
from exoactor_core.errors import ExoActorError, Missing, RobotNotReady
from exoactor_core.robot_state import MotorCommand, RobotState
from exoactor_unitree.dex3 import Hands
from exoactor_unitree.joystick import Remote
from exoactor_unitree.robot_link import RobotLink

log = logging.getLogger("exoactor.control")

STATE_LOST = 2.0
"""s without a LowState until the robot counts as gone: it may be restarted, and is then waited for."""
RENEWAL_TIMEOUT = 0.7
"""s that a motion continues without renewal: its sender is frozen. With the time to notice it, less than a second."""

DAMPING_TIMEOUT = 0.5
"""s for a stop's damping to be sent; otherwise it has failed. It takes 2 ms if the computer has time for the loop."""

_MAX_EXTRAPOLATION = 0.004  # s: LowState comes every 2 ms; the robot's clock is extrapolated by no more than this
_WRONG_MODE = "the robot measures its ankles and waist by their parallel motors (mode AB), not by pitch and roll (PR)"
_MONITOR_PERIOD = 1.0  # s between queries of the motion switcher, made only while they cannot disturb

# The loop stays in phase with LowState, so that each command closely follows the newest one: now and then it observes
# an arrival and adjusts its phase slightly.
_MARGIN = 3e-4  # s from the arrival to the loop's step
_SYNC_PERIOD = 25  # periods
_OBSERVATIONS = 8  # maximum number of object observations waiting for the loop
_MAX_SYNC = 4e-5  # s, maximum phase adjustment


class Settings(ControllerOptions):
    """Settings of the loop."""

    state_timeout: float = 0.05
    """s without a LowState until the controller damps the robot (at least the controller's own 50 ms)."""
    robot_clock: bool = False
    """Measure time in LowState's ticks, so that a simulation slower than real time is controlled in its own time;
    otherwise with this computer's clock."""


class NoAnswer(Missing):
    """The control loop or its process has ended, or does not respond in time."""


class ControlLoop:
    """Steps a controller at a fixed rate while the robot is heard.

    Nothing is sent until the robot is first asked to stand, damp or release its motors: only then are the motors taken
    over from the robot's own controller, which gets them back on `release` and `close`. "stop" also damps motors that
    nobody has. A loop that stalled for longer than ``state_timeout`` damps a robot that stands or moves.

    ``memory`` is shared with a watchdog, without which the robot neither stands up nor moves.
    """

    def __init__(self, link: RobotLink, controller: Controller, settings: Settings, memory: WatchdogMemory) -> None:
        self.link, self.controller = link, controller
        self.error = "not started"
        """Why the robot cannot be driven, one sentence; empty if it can."""
        self._memory = memory
        self.motors = MotorOwnership(link, controller.blind_damping, memory)
        self._damping_sent = threading.Event()
        self.samples: list[Sample] = []
        """One sample per frame of the present or last motion."""
        self.on_report: Callable[[Report], None] | None = None
        """Called at about 50 Hz, in the loop's thread, after a command has been sent."""
        self._hands = Hands()
        self._openness: np.ndarray | None = None  # (2,) requested openness; None: no request yet
        self._remote = Remote()
        self._observations: deque[dict[str, np.ndarray]] = deque(maxlen=_OBSERVATIONS)
        self._period = 1.0 / settings.rate
        self._state_timeout, self._robot_clock = settings.state_timeout, settings.robot_clock
        self._tracked = 0.0  # when the motion was given
        self._late, self._beats = np.zeros(5000), 0
        self._go_presses = self._motion = self._reported = self._stop_count = self.reports = 0
        self._wrong_mode = 0  # consecutive steps in which the robot measured in mode AB
        self._request_lock = threading.Lock()  # one request at a time
        self._releasing = threading.Event()  # asks the loop's thread to stop sending
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._monitor = threading.Thread(target=self._monitor_mode, name="motion switcher", daemon=True)

    def start(self) -> None:
        """Start looking for the robot."""
        self._thread.start()
        self._monitor.start()

    def close(self) -> None:
        """Damp the robot, return it to its own controller, and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(8.0)
        self.motors.give_back()

    @property
    def lateness_ms(self) -> tuple[float, float]:
        """Median and 99th percentile of the lateness of the last 5000 steps, ms."""
        late = self._late[: self._beats] if 0 < self._beats < len(self._late) else self._late
        return float(1e3 * np.median(late)), float(1e3 * np.percentile(late, 99))

    # requests

    def ask(self, what: str) -> None:
        """Request "stop", "damp", "stand", "zero_torque", "open_hands" or "close_hands".

        A motion that begins requests "stand_for_motion" (refused after a stop), a cancelled one "end_motion". The first
        request that needs the motors takes them over from the robot's own controller, except "stop": it damps motors
        that are ours or that nobody has, since these may hold the last command of a dead controller. "stop" and "damp"
        return when damping has been sent.

        Raises
        ------
        Missing
            The robot is not heard (damping is sent nevertheless), its own controller does not release the motors, or
            there is no watchdog.
        RobotNotReady
            The robot is not fit for it, its own controller has the motors, or another controller commands it ("stop" is
            sent nevertheless).
        """
        if what == "stop" or (what == "damp" and self.motors.ours):
            self._damp_now()  # waits for no other request
        elif what == "end_motion":
            self.controller.end_motion("it was cancelled")
        elif what in ("open_hands", "close_hands"):
            self._request_hands(float(what == "open_hands"))
        else:
            self._change_state(what)
            if what == "damp":
                self._await_damping()

    def _request_hands(self, openness: float) -> None:
        if not self.motors.ours:
            raise RobotNotReady("The hands are not moved before the robot is driven: let it stand first.")
        if not any(self._hands.heard):
            raise Missing("No Dex3 hand is heard: the robot has none, or its service is off.")
        self._openness = np.full(2, openness)

    def _change_state(self, what: str) -> None:
        """Have the controller do what was requested, once the motors are ours."""
        if what == "zero_torque" and not self.motors.ours:
            raise RobotNotReady(
                "The motors are not this controller's, which cannot release them: damp the robot first."
            )
        with self._request_lock:
            stops, stands = self._stop_count, what in ("stand", "stand_for_motion")
            if stands:
                self._require_fit_to_stand()
            if not self.motors.ours:
                self._take_over(what)
            elif stands and self.motors.intruded:
                raise RobotNotReady(f"The robot cannot stand up: {INTRUDER}.")
            if self._stop_count != stops:
                raise RobotNotReady("The robot was stopped meanwhile.")
            getattr(self.controller, what)()

    def _require_fit_to_stand(self) -> None:
        self._require_watchdog()
        state = self.link.read()
        if state is not None and state.mode_pr != 0:
            raise RobotNotReady(f"The robot cannot stand up: {_WRONG_MODE}. Set it to PR.")

    def track(self, reference: Reference, number: int) -> list[str]:
        """As `exoactor_control.controller.state_machine.Controller.track`."""
        with self._request_lock:
            self._require_watchdog()
            notes = self.controller.track(reference)
            self.samples, self._reported, self._motion = [], 0, number
            self._tracked = time.monotonic()
        return notes

    def observe(self, poses: dict[str, np.ndarray]) -> None:
        """Update the poses of objects: by id (7,), m and w, x, y, z, in the frame of the pelvis."""
        self._observations.append(poses)

    @property
    def reach_notes(self) -> list[str]:
        """As `exoactor_control.controller.state_machine.Controller.reach_notes`."""
        return self.controller.reach_notes

    def _end_unrenewed(self) -> None:
        """End a motion that was renewed (`WatchdogMemory.motion_renewed`), and no longer is."""
        renewed = self._memory.motion_renewed
        if self.controller.state is not State.TRACK or not renewed:
            return
        if time.monotonic() - max(renewed, self._tracked) > RENEWAL_TIMEOUT:
            self._tracked = time.monotonic()  # once is enough
            log.error("The motion is ended, the robot stands: the controller's node does not renew it any more.")
            reason = "the controller's node was frozen"
            threading.Thread(target=self.controller.end_motion, args=(reason,), name="end", daemon=True).start()

    def _require_watchdog(self) -> None:
        if not self._memory.watched:
            raise Missing("No watchdog guards the motors: the robot does not move until one runs again.")

    def _damp_now(self) -> None:
        self._halt()
        if not self.motors.ours:
            if mode := self.motors.mode():
                raise RobotNotReady(
                    f"Nothing was sent: the robot's own controller '{mode}' has the motors. "
                    "Damp it by the remote (L2 + B)."
                )
            self.motors.ours = True
        self._await_damping()
        if self.link.age > STATE_LOST:
            raise Missing(f"Damping is sent, but the robot is not heard. {self.error}")
        if self.motors.intruded:
            raise RobotNotReady(f"Damping is sent, but {INTRUDER}: end it.")

    def _await_damping(self) -> None:
        self._damping_sent.clear()
        if not self._damping_sent.wait(DAMPING_TIMEOUT):
            raise NoAnswer(f"The control loop has sent no damping within {DAMPING_TIMEOUT:g} s.")

    def _halt(self) -> None:
        self._stop_count += 1
        self.controller.stop()

    def release(self) -> None:
        """Damp the robot, stop sending, and return the motors to the robot's own controller."""
        with self._request_lock:
            self.controller.damp()
            if self.motors.ours and self._thread.is_alive():
                self._releasing.set()
                end = time.monotonic() + 2.0
                while self.motors.ours and time.monotonic() < end:
                    time.sleep(0.005)
            self.motors.give_back()

    def _take_over(self, what: str) -> None:
        if self.error:
            raise Missing(self.error)
        if what in ("stand", "stand_for_motion"):  # if refused, the motors stay where they are
            getattr(self.controller, what)()
        self.controller.damp()
        self.motors.take()

    def _monitor_mode(self) -> None:
        """Monitor who has the motors while they are idle or not ours; release them to the robot's own controller."""
        while not self._stop.wait(_MONITOR_PERIOD):
            if self.motors.ours and self.controller.state in (State.STAND, State.TRACK):
                continue
            with self._request_lock:  # not while another thread is making it release them
                mode = self.motors.mode()
                if mode and self.motors.ours:
                    log.warning("The robot's own controller '%s' has the motors now: nothing is sent any more.", mode)
                    self.controller.damp()
                    self.motors.lose()
            self.motors.update_holder(mode)

    # the loop's thread

    def _beat(self) -> str:
        """Tell the watchdog that the loop runs; returns why it damps the motors, one clause; empty: it does not."""
        memory = self._memory
        memory.control_beat = time.monotonic()
        if not memory.tripped:
            return ""
        self.motors.taken_by_watchdog()
        return memory.reason.decode()

    def _write(self, command: MotorCommand, damping: bool) -> None:
        trips = self._memory.trips  # before the command: a later one is not answered by it
        self.link.write(command)
        if damping:
            self._damping_sent.set()
            self._memory.acknowledged = trips

    def _wait_for_robot(self) -> None:
        """Wait until the robot is heard, as `RobotLink.wait_for_state`; motors that are ours are damped meanwhile."""

        def meanwhile() -> None:
            if reason := self._beat():
                self.controller.trip(reason)
            if self.motors.ours:
                self._write(MotorCommand(kd=self.controller.blind_damping), damping=True)

        self.link.wait_for_state(1.0, meanwhile)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._wait_for_robot()
            except ExoActorError as error:
                if self.error != str(error):
                    log.warning(error)
                self.error = str(error)
                self._publish_report(self.link.read())
                continue
            log.info("The robot is heard.")
            self.error = ""
            try:
                self._drive()
            except Exception:
                log.exception("The control loop failed: the robot is damped.")
                self.controller.trip("the control loop failed")
                with contextlib.suppress(OSError):
                    self._send_damping()
        self.error = "The control loop has ended."

    def _drive(self) -> None:
        due = before = time.monotonic()
        count = reported = 0
        while not self._stop.is_set():
            state = self.link.read()
            now = time.monotonic()
            tripped, gap, before = self._beat(), now - before, now
            moving = self.controller.state in (State.STAND, State.TRACK)
            if gap > self._state_timeout and (moving or tripped):
                self.controller.trip(f"the control loop stood still for {1e3 * gap:.0f} ms")
            elif tripped:
                self.controller.trip(tripped)
            if state is None or now - state.time > STATE_LOST:
                self.error = f"The robot is not heard any more: no LowState for {STATE_LOST:g} s."
                self.controller.step(state, now + 1.0)  # it sees a stale state, and damps
                return
            self._end_unrenewed()
            long = self._step(state, now)
            count += 1
            if not long and count - reported >= 1.0 / (POLICY_RATE * self._period):
                reported = count
                self._publish_report(state)
            if self._releasing.is_set():
                self._send_damping()
                self.motors.ours = False
                self._releasing.clear()
            due = self._wait(due, synchronise=count % _SYNC_PERIOD == 0 and not long)
        self.controller.damp()
        self._send_damping()
        self.motors.ours = False

    def _wait(self, due: float, synchronise: bool) -> float:
        """Sleep until the next period after ``due``; return when that is."""
        period = self._period
        due += period
        if synchronise:
            arrival = self.link.wait(max(0.0, due - time.monotonic()))
            off = 1.0 if arrival is None else (arrival + _MARGIN - due + 0.5 * period) % period - 0.5 * period
            due += min(max(off, -_MAX_SYNC), _MAX_SYNC)
        ahead = due - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        self._late[self._beats % len(self._late)] = max(0.0, time.monotonic() - due)
        self._beats += 1
        return due if ahead > -0.02 else due - ahead  # never catch up with a burst

    def _step(self, state: RobotState, received_now: float) -> bool:
        """Step the controller and send; says whether the policy ran."""
        age = received_now - state.time
        if self._robot_clock:
            state = replace(state, time=1e-3 * state.tick)
            now = state.time + (age if age > self._state_timeout else min(age, _MAX_EXTRAPOLATION))
        elif age <= self._state_timeout:
            now = min(received_now, state.time + 0.04)  # within the controller's own time-out
        else:
            now = received_now
        self._handle_remote(state.buttons)
        controller = self.controller
        if self.motors.ours:
            self._guard(state)
        command = controller.step(state, now, advance=False)
        if self.motors.ours:
            self._write(command, damping=not command.kp.any() and bool(command.kd.all()))
        while self._observations:
            for name, pose in self._observations.popleft().items():
                controller.observe(name, pose)
        long = controller.advance(state, now)
        index = controller.tracking_frame
        samples = self.samples  # replaced when a new motion is given
        if index is not None and index >= 0 and (not samples or index > samples[-1].index):
            limits = SATURATION_THRESHOLD * controller.safety.effort_limits
            saturated = bool((np.abs(command.torque(state.joint_pos, state.joint_vel)) >= limits).any())
            position = controller.tracker.odometry.position
            samples.append(Sample(index, state, self.link.truth(), saturated, position))
        return long

    def _guard(self, state: RobotState) -> None:
        """Trip if another controller also commands the motors, or if they measure in the wrong mode."""
        if self.controller.state in (State.ZERO_TORQUE, State.DAMPING):
            return
        if self.motors.intruded:
            self.controller.trip(INTRUDER)
        self._wrong_mode = self._wrong_mode + 1 if state.mode_pr else 0
        if self._wrong_mode * self._period > 0.01:
            self.controller.trip(_WRONG_MODE)

    def _handle_remote(self, buttons: int) -> None:
        for request in self._remote.requests(buttons):
            if request == "go":
                self._go_presses += 1
            elif request == "stop" or (request == "damp" and self.motors.ours):
                self._halt()  # in this very step
            elif not self._request_lock.locked():
                threading.Thread(target=self._ask_for_remote, args=(request,), name="remote", daemon=True).start()

    def _ask_for_remote(self, request: str) -> None:
        try:
            self.ask(request)
        except ExoActorError as error:
            log.warning("The remote asked for '%s': %s", request, error)

    def _publish_report(self, state: RobotState | None) -> None:
        """Report, and move the hands: work that can wait until the command is sent."""
        self._hands.listen()
        self.controller.tracker.fit_hands(self._hands.heard)
        self._move_hands()
        if self.on_report is not None:
            self.on_report(self._report(state))

    def _move_hands(self) -> None:
        closure = self.controller.hand_closure
        if closure is not None:
            self._openness = 1.0 - closure
        if self.motors.ours and self._openness is not None:
            self._hands.follow(self._openness)

    def _report(self, state: RobotState | None) -> Report:
        self.reports += 1
        number = self.reports  # before anything else is read
        reported, self._reported = self._reported, len(self.samples)
        policy, odometry = self.controller.policy, self.controller.tracker.odometry
        return Report(
            number=number,
            finished=self.controller.tracker.finished,
            state=state,
            truth=self.link.truth(),
            status=self.controller.status,
            error=self.error,
            driving=self.motors.ours,
            holder=self.motors.holder,
            go_presses=self._go_presses,
            inference_ms=0.0 if policy is None else policy.inference_ms,
            band=policy is None,
            motion=self._motion,
            pelvis=np.r_[
                odometry.position, odometry.height, (1.0, 0.0, 0.0, 0.0) if state is None else state.quat_wxyz
            ],
            hands=tuple(self._hands.states),
            stop_count=self._stop_count,
            samples=tuple(self.samples[reported:]),
        )

    def _send_damping(self) -> None:
        """Leave the motors damped rather than in the last command."""
        for _ in range(10 if self.motors.ours else 0):
            self.link.write(MotorCommand.damping())
            time.sleep(self._period)
