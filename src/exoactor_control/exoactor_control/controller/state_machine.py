"""States of the controller, and the motor commands in each; no DDS, no ROS, so that robot and rehearsal share it.

ZERO_TORQUE <-> DAMPING -> STAND <-> TRACK; `Controller.stop` and every fault lead to DAMPING from every state.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from exoactor_control.controller.hand_forces import HandForces
from exoactor_control.controller.hand_reach import HandReach
from exoactor_control.controller.options import TrackingOptions
from exoactor_control.controller.safety import STALE, Falling, Safety
from exoactor_control.controller.single_support import (
    SingleSupportRegulator,
    robot_model,
    shift_com,
    single_support_phases,
)
from exoactor_control.controller.tracker import Additions, TrajectoryTracker
from exoactor_control.policy.policy import Policy
from exoactor_control.reference.trajectory import POLICY_RATE, Reference, Trajectory
from exoactor_core.errors import Refused, RobotNotReady
from exoactor_core.motion import RobotMotion
from exoactor_core.robot_state import DAMPING_GAIN, MotorCommand, RobotState

STOPPED = (
    "The robot was stopped: let it stand (exoactor call stand, or Start on the remote) before it is sent a motion."
)


class State(StrEnum):
    """State of the controller."""

    ZERO_TORQUE = "zero torque"
    DAMPING = "damping"
    STAND = "stand"
    TRACK = "track"


@dataclass(frozen=True)
class Status:
    """Status of the controller."""

    state: State
    text: str
    """One line for display."""
    progress: float
    """Share of the motion commanded so far, in [0, 1]; 0 outside TRACK until ``done``."""
    done: bool
    """Whether the last motion given to `Controller.track` was completed."""
    policy: str
    """Name of the policy; "pd (elastic band)" if there is none."""
    fault: str
    """Why the controller went to damping by itself; empty otherwise."""
    fell: bool = False
    """Whether the robot was falling when the fault was detected."""
    stopped: bool = False
    """Whether a stop is in effect: no motion makes the robot stand up before the operator does."""
    ended: str = ""
    """Why the last motion was ended early, with the robot standing; one clause, empty otherwise."""


class Controller:
    """Computes the motor commands from LowState alone. Every method may be called from any thread.

    ``policy`` is the tracker; None: plain joint PD, which does not balance: the robot must hang on an elastic band, and
    is not damped for running away. Of the ``options``, the outer loop's gains, the bounds of a runaway and ``reach``
    are used.
    """

    blend = 1.0
    """s of the blends from the present pose to a motion's first frame, and from its last frame to standing."""

    def __init__(self, policy: Policy | None = None, options: TrackingOptions | None = None) -> None:
        options = options or TrackingOptions()
        self.policy = policy
        self._reach = options.reach == "auto"
        self.tracker = TrajectoryTracker(policy, options.heading_gain, options.position_gain)
        effort_limits = None if policy is None else policy.effort_limits
        self.safety = Safety(effort_limits, options.max_position_error, options.max_speed_error)
        self._lock = threading.RLock()
        self.state = State.ZERO_TORQUE
        self._coming: Trajectory | None = None  # to be started at the next step
        self._coming_additions = Additions()
        self._coming_policy = policy
        self._halts = 0  # number of transitions to damping
        self._fault = self._ended = ""
        self._stopped = self._done = self._fell = False
        self._next_tick = 0.0
        self._last: tuple[RobotState | None, float] = (None, 0.0)
        if policy is not None and policy.spec.single_support:
            robot_model()  # now, while nothing waits for the interpreter's lock

    # requests

    def zero_torque(self) -> None:
        """Release the motors. Raises `RobotNotReady` if the robot stands or moves: it would drop."""
        with self._lock:
            if self.state in (State.STAND, State.TRACK):
                raise RobotNotReady("Zero torque would drop a robot that is on its feet: damp it first.")
            self.state = State.ZERO_TORQUE

    def damp(self) -> None:
        """Go to damping, from any state."""
        with self._lock:
            self.state = State.DAMPING
            self._coming = None
            self._halts += 1
            self._done = self._fell = False
            self._fault = ""

    def stop(self) -> None:
        """Go to damping, from any state, and stay there until `stand`."""
        with self._lock:
            self.damp()
            self._stopped = True

    def trip(self, reason: str) -> None:
        """Go to damping because of a fault that the caller detected; ``reason`` is one clause."""
        with self._lock:
            self._fail(reason, None)

    def stand(self, for_motion: bool = False) -> None:
        """Move to the standing pose and stay there; a running motion is ended. Clears a fault and a stop.

        ``for_motion``: it is requested by a motion that is about to begin rather than by the operator. Raises
        `RobotNotReady` if the robot was stopped and this is for a motion; if there is no fresh LowState; or if it is
        not fit to stand up, neither standing nor hanging in the band (see
        `exoactor_control.controller.safety.Safety.check_start`).
        """
        with self._lock:
            (state, now), halts = self._last, self._halts
            if for_motion and self._stopped:
                raise RobotNotReady(STOPPED)
            reason = self.safety.check_state(state, now)
            if not reason and state is not None and self.state in (State.ZERO_TORQUE, State.DAMPING):
                reason = self.safety.check_start(state)
            if reason or state is None:
                raise RobotNotReady(f"The robot cannot stand up: {reason}.")
        blend = Trajectory.standing(state.joint_pos, 2.0 * self.blend)  # slow: the loop continues meanwhile
        with self._lock:
            self._go_on_unless_halted(halts)
            tracking = self.state is State.TRACK or self._coming is not None
            self._ended = "the robot was asked to stand" if tracking else ""
            self._stopped = False
            self._fault, self._fell, self._done, self._coming = "", False, False, None
            self._begin_stand(state, blend)

    def stand_for_motion(self) -> None:
        """As `stand`, for a motion that is about to begin."""
        self.stand(for_motion=True)

    def end_motion(self, reason: str) -> None:
        """End the motion being tracked, if any: the robot stands. ``reason`` is one clause."""
        with self._lock:
            if self._coming is not None:
                self._coming, self._ended = None, reason
            state, halts = self._last[0], self._halts
            if state is None or self.state is not State.TRACK:
                return
        blend = Trajectory.standing(state.joint_pos, 2.0 * self.blend)  # slow: the loop continues meanwhile
        with self._lock:
            if self._halts == halts and self.state is State.TRACK:
                self._ended = reason
                self._begin_stand(state, blend)

    def _go_on_unless_halted(self, halts: int) -> None:
        if self._halts != halts:
            raise RobotNotReady("The robot was stopped meanwhile.")

    def track(self, reference: Reference) -> list[str]:
        """Carry out a motion, then stand; return notes on changes to it beyond `prepare`, one sentence each.

        Raises
        ------
        RobotNotReady
            The robot does not stand.
        UnsafeMotion
            It stands on one leg with something else on the floor (see `SingleSupportRegulator`).
        Refused
            It lacks something that the policy needs.
        """
        policy = self._chosen_policy(reference.motion)
        if policy is not None:
            policy.check(reference)
        with self._lock:
            if self.state is not State.STAND:
                raise RobotNotReady(
                    f"The robot is in the state '{self.state}': let it stand before it tracks a motion."
                )
            state, frame, halts = self._last[0], self.tracker.frame, self._halts
            assert state is not None  # it stands
        # The following is slow: the loop continues meanwhile
        reference, additions, notes = self._prepared(reference, policy)
        coming = Trajectory.blended(reference, state.joint_pos, frame, self.blend)
        with self._lock:
            self._go_on_unless_halted(halts)
            self._coming, self._coming_additions, self._coming_policy = coming, additions, policy
            self._done, self._ended = False, ""
        return notes

    def _chosen_policy(self, motion: RobotMotion) -> Policy | None:
        if self.policy is None or not motion.alternative_policy:
            return self.policy
        if self.policy.alternative is None:
            raise Refused(f"The motion is to be tracked with an alternative that the policy {self.policy.name} lacks.")
        return self.policy.alternative

    def _prepared(self, reference: Reference, policy: Policy | None) -> tuple[Reference, Additions, list[str]]:
        """The motion as it is tracked, what acts beside the policy, and notes on changes, one sentence each."""
        scene = reference.scene
        if policy is None:
            return reference, Additions(), []
        regulators: tuple[SingleSupportRegulator, ...] = ()
        notes: list[str] = []
        if policy.spec.single_support:
            found = single_support_phases(reference.motion)
            motion, notes = shift_com(reference.motion, found)
            reference = replace(reference, motion=motion)
            regulators = tuple(SingleSupportRegulator(motion, stand, policy.kp, policy.kd) for stand in found)
        if scene is None:
            return reference, Additions(regulators), notes
        reach = HandReach(reference, scene) if self._reach else None
        return reference, Additions(regulators, HandForces(reference, scene), reach), notes

    # the loop

    def step(self, state: RobotState | None, now: float, advance: bool = True) -> MotorCommand:
        """Return the command for this moment, within all limits.

        ``state`` is the newest LowState, None before the first; ``now`` is in s on the clock of ``state.time``. Call
        this often (the robot needs 500 Hz); the policy keeps its own rate. With ``advance`` False the caller calls
        `advance` itself, once the command has been sent.
        """
        with self._lock:
            back = self._last[1] - now
            self._last = (state, now)
            sudden = self.safety.watch(state)
            if back > STALE:
                sudden = f"the clock went back by {1e3 * back:.0f} ms"
            if self.state is State.ZERO_TORQUE:
                return MotorCommand()
            if self.state is State.DAMPING:
                return self._damping(state)
            reason = self.safety.check_state(state, now, self.tracker.frame) or sudden
            if reason or state is None:
                return self._fail(reason, state)
            self.tracker.odometry.integrate(state)
            if advance:
                self.advance(state, now)
                if self.state is State.DAMPING:
                    return self._damping(state)
            target = self.tracker.target
            command = MotorCommand(q=target, kp=self.tracker.kp, kd=self.tracker.kd)
            try:
                return self.safety.limit(command, state, now)
            except ValueError as error:
                return self._fail(str(error), state)

    def advance(self, state: RobotState | None, now: float) -> bool:
        """Advance reference and policy by one frame if their 20 ms have passed; says whether they have.

        This is the slow part of a step: a loop with deadlines first sends the command of `step`.
        """
        with self._lock:
            if state is None or self.state not in (State.STAND, State.TRACK):
                return False
            if self._coming is not None:
                self._begin_track(state, self._coming)
            if now < self._next_tick - 1e-6:
                return False
            # keep the exact rate, but never run several ticks at once after a pause
            self._next_tick = max(self._next_tick, now - 1.0 / POLICY_RATE) + 1.0 / POLICY_RATE
            if reason := self._tick(state):
                self._fail(reason, state)
            return True

    def _tick(self, state: RobotState) -> str:
        """Advance by one frame; returns why the robot must be damped, or nothing."""
        if self.state is State.TRACK and self.tracker.finished and not self.tracker.settle():
            self._done = True
            self._begin_stand(state, Trajectory.standing(state.joint_pos, self.blend), keep_policy=True)
        if self.state is State.TRACK and (lost := self.tracker.lost):  # it could stumble over a dropped object
            self.end_motion(f"the {lost} is not in the hands any more")
        if self.tracker.trajectory is None:
            return "there is no reference any more"
        try:
            self.tracker.tick(state)
        except Exception as error:  # whatever fails in a policy, the motors get a command in time
            return f"the policy failed: {type(error).__name__}: {error}"
        frame, safety = self.tracker.frame, self.safety
        if reason := safety.check_frame(frame) or safety.check_height(state, frame):
            return reason
        return "" if self.policy is None else safety.check_runaway(*self.tracker.runaway_errors)

    def _begin_stand(self, state: RobotState, blend: Trajectory, keep_policy: bool = False) -> None:
        self.tracker.start(blend, state, keep_policy, keep_position=self._done)
        self.state = State.STAND
        self._next_tick = self._last[1]
        if not keep_policy:
            self.safety.begin(state.joint_pos, self._last[1])

    def _begin_track(self, state: RobotState, trajectory: Trajectory) -> None:
        self._coming = None
        additions, policy = self._coming_additions, self._coming_policy
        self.tracker.start(trajectory, state, keep_policy=True, additions=additions, policy=policy)
        self.state = State.TRACK

    def _fail(self, reason: str, state: RobotState | None) -> MotorCommand:
        self.damp()
        self._fault, self._fell = str(reason), isinstance(reason, Falling)
        return self._damping(state)

    def _damping(self, state: RobotState | None) -> MotorCommand:
        """Damping, at once and in full: a ramp would only prolong the motion."""
        command = MotorCommand.damping()
        try:
            return command if state is None else self.safety.limit(command, state)
        except ValueError:  # joint speeds are unknown
            return replace(command, kd=self.blind_damping)

    @property
    def blind_damping(self) -> np.ndarray:
        """(29,) N m s/rad, damping of joints with unknown speeds."""
        return self.safety.blind_damping(DAMPING_GAIN)

    def observe(self, object_id: str, pose: np.ndarray) -> None:
        """Update the pose of an object: position and quaternion (7,), m and w, x, y, z, in the frame of the pelvis."""
        with self._lock:
            if self._last[0] is not None:
                self.tracker.observe(object_id, pose, self._last[0])

    @property
    def reach_notes(self) -> list[str]:
        """Notes on where the objects of the last motion were observed, one sentence each."""
        reach = self._coming_additions.hand_reach
        return [] if reach is None else reach.notes

    # reports

    @property
    def hand_closure(self) -> np.ndarray | None:
        """(2,) desired closure of the hands, in [0, 1]; None: the motion does not say."""
        index, trajectory = self.tracking_frame, self.tracker.trajectory
        if index is None or trajectory is None or trajectory.hands is None:
            return None
        return trajectory.hands[min(max(index, 0), len(trajectory.hands) - 1)]

    @property
    def tracking_frame(self) -> int | None:
        """Index of the motion's commanded frame (at 50 Hz); negative while blending in; None outside TRACK."""
        return self.tracker.motion_index if self.state is State.TRACK else None

    @property
    def status(self) -> Status:
        """The controller's present status."""
        with self._lock:
            policy = "pd (elastic band)" if self.tracker.policy is None else self.tracker.policy.name
            tracking = self.state is State.TRACK
            progress = self.tracker.progress if tracking else float(self._done)
            text = {
                State.ZERO_TORQUE: "Motors are free.",
                State.DAMPING: f"Damping: {self._fault}." if self._fault else "Damping.",
                State.STAND: f"Motion done, standing with {policy}." if self._done else f"Standing with {policy}.",
                State.TRACK: f"Tracking with {policy}, {progress:.0%}.",
            }[self.state]
            return Status(
                self.state, text, progress, self._done, policy, self._fault, self._fell, self._stopped, self._ended
            )
