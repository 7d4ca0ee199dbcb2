"""Limits that every command satisfies, and conditions under which the robot is damped."""

from __future__ import annotations

from math import acos, sqrt

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_control.reference.trajectory import Frame
from exoactor_core.motion import JOINT_NAMES
from exoactor_core.robot import EFFORT_LIMITS, JOINT_LIMITS, LOCKED, ROBOT, VELOCITY_LIMITS, Soles
from exoactor_core.robot_state import MotorCommand, RobotState
from exoactor_description import ROBOT_VARIABLE, ROBOTS

STALE = 0.05
"""s; with a LowState older than this (or from the future, or with a clock that runs backwards) the robot counts as not
heard."""
MAX_TILT = 1.0
"""rad between the pelvis' up direction and the reference's: the field's bound for a failed track."""
MAX_DROP = 0.3
"""m by which the pelvis may be closer to the lower sole than in the reference."""
MAX_POSITION_ERROR = 2.5
"""m between the pelvis and the reference, by leg odometry. Successful rehearsals (the 28 shared motions and 15 tasks of
the mannequin; with our tracker and TWIST2, and with ours on robots 10% heavier or lighter and 20 ms late) need at most
1.97, in fast walks; robots that ran away got 2.5 to 12 m away."""
MAX_SPEED_ERROR = 2.0
"""m/s by which the pelvis may be faster than the reference; successes need up to 1.14, runaways had 1.8 to 4.1."""
MAX_TEMPERATURE = 90.0
"""degrees Celsius of a motor; chosen below the 120 that windings commonly withstand, since sensors lag."""
MAX_OVERSHOOT = 0.15
"""rad by which a measured joint may be outside its limits (encoder offset, soft stops)."""
MAX_OVERSPEED = 1.5
"""Measured joint speed relative to the motor's maximum."""
MAX_OVERLOAD, OVERLOAD_TIME = 1.2, 0.02
"""Estimated torque (LowState's tau_est, from the motor's current) relative to the motor's maximum in the URDF, and its
duration in s: drives limit their current, so that more means a broken drive or a wrong estimate. Chosen: 20% for the
error of the estimate, 20 ms for reflected impacts."""
ENCODER_SLACK, TICK = 0.05, 0.001
"""rad and s that a joint may move between two LowStates beyond `MAX_OVERSPEED` times its maximum speed: encoder noise,
and the resolution of the robot's clock. Chosen."""
MAX_KP, MAX_KD = 500.0, 50.0
"""N m/rad and N m s/rad, maximum gains of any command. Chosen above the policies in use (99 and 6.3 in BeyondMimic, 200
and 5 in Unitree RL Lab, 150 and 5 in TWIST2)."""
TAPER = 0.8
"""Share of a joint's maximum speed from which its driving torque decreases, to zero at the maximum, like a motor's
torque-speed curve. TWIST2 drives no joint faster than 0.77 on the shared motions."""
TARGET_SPEED = 1.5
"""Speed of the position target relative to the joint's maximum. A policy's target leads the joint, as a torque in
disguise: TWIST2's jumps by up to 2.7 in a 20 ms step. With this limit the shared motions are tracked as well as without
(joint error 0.0841 rad in both cases; 0.0844 with 1)."""
START_TILT, START_HEIGHT, START_SPIN = 0.5, 0.45, 2.0
"""Conditions for standing up: rad of the pelvis from upright, m of the pelvis above its lower sole (0.76 when standing;
less when sitting or lying with bent legs) and rad/s of the pelvis. Chosen."""

_MEASURED = ("joint_pos", "joint_vel", "quat_wxyz", "ang_vel", "accel", "torque", "temperature")
_NO_COMMAND = ("position", "in_motion", "human")  # fields of a reference's frame that are not commanded
_LOWEST, _HIGHEST = (np.ascontiguousarray(limit) for limit in JOINT_LIMITS.T)
_FINITE = np.finfo(float).max
_MEASURED_MAX = np.concatenate(
    [
        _HIGHEST + MAX_OVERSHOOT,
        MAX_OVERSPEED * VELOCITY_LIMITS,
        np.full(4 + 3 + 3 + len(EFFORT_LIMITS), _FINITE),
        np.full(len(EFFORT_LIMITS), MAX_TEMPERATURE),
    ]
)
"""Of `_MEASURED`, one after the other; `_MEASURED_MIN` likewise."""
_MEASURED_MIN = np.concatenate([_LOWEST - MAX_OVERSHOOT, -_MEASURED_MAX[29:-29], np.full(len(EFFORT_LIMITS), -_FINITE)])
_COMMAND_MAX = np.stack([VELOCITY_LIMITS, *np.full((2, 29), [[MAX_KP], [MAX_KD]]), EFFORT_LIMITS])
"""(4, 29) of dq, kp, kd and tau; `_COMMAND_MIN` likewise."""
_COMMAND_MIN = _COMMAND_MAX * [[-1.0], [0.0], [0.0], [-1.0]]


class Falling(str):
    """Why the robot must be damped if it is falling: it tilts, or its pelvis sinks, too far from the reference."""

    __slots__ = ()


class Safety:
    """Checks states and limits commands of a controller.

    ``effort_limits`` (29,) N m are those of the policy; the motors' own limits apply in any case.
    ``max_position_error`` m and ``max_speed_error`` m/s are the bounds of `check_runaway`.
    """

    def __init__(
        self,
        effort_limits: np.ndarray | None = None,
        max_position_error: float = MAX_POSITION_ERROR,
        max_speed_error: float = MAX_SPEED_ERROR,
    ) -> None:
        self.max_position_error, self.max_speed_error = max_position_error, max_speed_error
        self.effort_limits = EFFORT_LIMITS if effort_limits is None else np.minimum(effort_limits, EFFORT_LIMITS)
        self._soles = Soles()
        self._previous: RobotState | None = None
        self._overload = np.zeros(len(EFFORT_LIMITS))  # s
        self._target: tuple[np.ndarray, float] | None = None  # the last position target, and its time

    def watch(self, state: RobotState | None) -> str:
        """Return what is wrong with a LowState given the ones before it, one clause; empty if nothing is.

        Detects an encoder that jumps (farther than the joint can have moved) and a motor loaded beyond its maximum
        torque for some time. Call it with every LowState.
        """
        if state is None or not _finite(state.joint_pos, state.torque):
            return ""  # reported by `check_state`
        before, self._previous = self._previous, state
        if before is None:
            return ""
        ticks = state.tick - before.tick
        elapsed = 1e-3 * ticks if state.tick and before.tick else state.time - before.time
        if not elapsed > 0.0:
            elapsed = 0.0
        moved = np.abs(state.joint_pos - before.joint_pos)
        excess = moved - (MAX_OVERSPEED * VELOCITY_LIMITS * (elapsed + TICK) + ENCODER_SLACK)
        worst = int(excess.argmax())
        if excess[worst] > 0.0:
            return f"{JOINT_NAMES[worst]}'s encoder jumped by {moved[worst]:.2f} rad in {1e3 * elapsed:.0f} ms"
        load = np.abs(state.torque) / EFFORT_LIMITS
        self._overload = (self._overload + elapsed) * (load > MAX_OVERLOAD)
        worst = int(self._overload.argmax())
        if self._overload[worst] >= OVERLOAD_TIME:
            return f"{JOINT_NAMES[worst]} is loaded with {load[worst]:.1f} times its maximum torque"
        return ""

    def check_start(self, state: RobotState) -> str:
        """Return why the robot must not be made to stand up from here, one clause; empty if it may.

        It must stand upright or hang in the band: LowState cannot tell the two apart, nor does it contain the height
        over the floor. The checks: the pelvis is upright and does not spin (IMU), the legs are below it and not folded
        (joint encoders), and the robot reports the configured G1 variant.
        """
        says = {mode: name for name, mode in ROBOTS.items()}.get(state.mode_machine, ROBOT)
        if says != ROBOT:
            return f"it is a {says}, but this stack is set up for a {ROBOT}: set {ROBOT_VARIABLE}={says}"
        upright = tilt_between(state.quat_wxyz)
        if upright > START_TILT:
            return f"it leans by {upright:.2f} rad, more than {START_TILT:g}: set it on its feet or hang it in the band"
        height = self._soles.pelvis_height(state.quat_wxyz, state.joint_pos)
        if height < START_HEIGHT:
            return (
                f"its pelvis is {height:.2f} m above its soles, less than {START_HEIGHT:g}: "
                "set it on its feet or hang it in the band"
            )
        spin = float(np.linalg.norm(state.ang_vel))
        return f"its pelvis turns at {spin:.1f} rad/s, more than {START_SPIN:g}" if spin > START_SPIN else ""

    def check_state(self, state: RobotState | None, now: float, reference: Frame | None = None) -> str:
        """Return why the robot must be damped, one clause; empty if all is well.

        ``reference`` is the command; None: tilt and height are not checked.
        """
        if state is None:
            return "no LowState has come"
        if not now - state.time <= STALE:
            return f"the last LowState is {1e3 * (now - state.time):.0f} ms old"
        if state.time - now > STALE:
            return f"the last LowState is dated {1e3 * (state.time - now):.0f} ms ahead"
        measured = np.concatenate([getattr(state, name) for name in _MEASURED])
        if not ((measured >= _MEASURED_MIN) & (measured <= _MEASURED_MAX)).all():
            return _out_of_bounds(state)
        if abs(sqrt(state.quat_wxyz @ state.quat_wxyz) - 1.0) > 0.05:
            return "LowState's IMU orientation is not a unit quaternion"
        if reference is not None and (tilt := tilt_between(state.quat_wxyz, reference.roll_pitch)) > MAX_TILT:
            return Falling(f"the robot tilts {tilt:.2f} rad away from the reference")
        return ""

    def check_height(self, state: RobotState, reference: Frame) -> str:
        """Return why the robot must be damped if its pelvis is too close to its soles; empty otherwise.

        LowState has no height: this is the height of the pelvis above the lower sole, from encoders and IMU.
        """
        pitch_roll = np.array([reference.roll_pitch[1], reference.roll_pitch[0]])
        level = Rotation.from_euler("YX", pitch_roll).as_quat(scalar_first=True)
        is_ = self._soles.pelvis_height(state.quat_wxyz, state.joint_pos)
        should = self._soles.pelvis_height(level, reference.joint_pos)
        return Falling(f"the pelvis is {should - is_:.2f} m too low") if should - is_ > MAX_DROP else ""

    def check_runaway(self, position_error: float, speed_error: float) -> str:
        """Return why the robot must be damped if it runs away; empty otherwise.

        ``position_error`` m is the distance of the pelvis from the reference, and ``speed_error`` m/s its speed in
        excess of the reference's.
        """
        for error, limit, how in (
            (position_error, self.max_position_error, "m from"),
            (speed_error, self.max_speed_error, "m/s faster than"),
        ):
            if not error <= limit:
                return f"the robot ran away: it is {error:.2f} {how} the reference, more than {limit:g}"
        return ""

    def check_frame(self, frame: Frame) -> str:
        """Return why the reference is invalid, one clause; empty if it is valid."""
        values = [np.ravel(value) for name, value in vars(frame).items() if name not in _NO_COMMAND]
        return "" if _finite(*values) else "the reference holds a number that is not finite"

    def begin(self, joint_pos: np.ndarray, now: float) -> None:
        """Start the position targets here: joint positions (29,) rad, ``now`` in s."""
        self._target = joint_pos, now

    def limit(self, command: MotorCommand, state: RobotState, now: float | None = None) -> MotorCommand:
        """Limit a command.

        Position targets stay inside the joint limits and move no faster than `TARGET_SPEED` allows (if ``now`` is
        given); velocity targets stay inside the motors' speeds, gains inside `MAX_KP` and `MAX_KD`. The driving torque
        decreases from `TAPER` of a joint's maximum speed to zero at that speed, beyond which the joint is only damped;
        this also holds if the joint reaches that speed before the next command. If the torque at the measured position
        and velocity would still exceed the effort limit, the joint's gains and feedforward are scaled down to meet it.

        Raises
        ------
        ValueError
            The command or the state has non-finite numbers, or not one for each motor.
        """
        values = (command.q, command.dq, command.kp, command.kd, command.tau, state.joint_pos, state.joint_vel)
        try:
            numbers = np.array(values, dtype=float)
        except ValueError:  # shapes differ
            numbers = np.empty(0)
        if numbers.shape != (len(values), len(EFFORT_LIMITS)):
            raise ValueError(f"a command that is not {len(EFFORT_LIMITS)} numbers was held back")
        if not np.isfinite(numbers).all():
            raise ValueError("a command with a number that is not finite was held back")
        q, *_, pos, vel = numbers
        if now is not None and self._target is not None:
            last, then = self._target
            step = TARGET_SPEED * VELOCITY_LIMITS * max(0.0, now - then)
            q = _clip(q, last - step, last + step)
        q = _clip(q, _LOWEST, _HIGHEST)
        if now is not None:
            self._target = q, now
        dq, kp, kd, tau = _clip(numbers[1:5], _COMMAND_MIN, _COMMAND_MAX)
        off = q - pos
        if (np.abs(vel) > TAPER * VELOCITY_LIMITS).any():
            room = _clip((1.0 - np.abs(vel) / VELOCITY_LIMITS) / (1.0 - TAPER), 0.0, 1.0)
            room = np.where((kp * off + kd * dq + tau) * vel > 0.0, room, 1.0)
            dq, kp, tau = room * dq, room * kp, room * tau
        torque = tau + kp * off + kd * (dq - vel)
        if (np.abs(torque) > self.effort_limits).any():
            scale = np.minimum(1.0, self.effort_limits / np.maximum(np.abs(torque), 1e-9))
            kp, kd, tau = scale * kp, scale * kd, scale * tau
            torque = tau + kp * off + kd * (dq - vel)
        dq, kd = _fade(torque, dq, kd, vel)
        return type(command)(q=q, dq=dq, kp=kp, kd=kd, tau=tau)

    def blind_damping(self, gain: float) -> np.ndarray:
        """(29,) N m s/rad, at most ``gain``, whose torque is within the limits at every speed, even unknown ones.

        Zero for locked joints.
        """
        return np.where(LOCKED, 0.0, np.minimum(gain, self.effort_limits / VELOCITY_LIMITS))


def _fade(torque: np.ndarray, dq: np.ndarray, kd: np.ndarray, vel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``dq`` and ``kd`` with which the torque vanishes at the joint's maximum speed, reached before the next command.

    If the command's own damping is too weak for that, it is increased about a velocity target that keeps the torque at
    the measured velocity.
    """
    room = np.where(np.abs(vel) < VELOCITY_LIMITS, VELOCITY_LIMITS - np.sign(torque) * vel, np.inf)
    needed = np.abs(torque) / room
    if (needed <= kd).all():
        return dq, kd
    more = np.minimum(np.maximum(kd, needed), np.maximum(kd, MAX_KD))
    share = kd / np.maximum(more, 1e-9)
    return np.where(more > kd, vel + share * (dq - vel), dq), more


def _out_of_bounds(state: RobotState) -> str:
    """Measurements outside their bounds, one clause."""
    for name in _MEASURED:
        if not _finite(getattr(state, name)):
            return f"LowState's {name} holds a number that is not finite"
    outside = np.maximum(_LOWEST - state.joint_pos, state.joint_pos - _HIGHEST)
    excesses = (
        ("hot", state.temperature - MAX_TEMPERATURE, "degrees over the limit"),
        ("outside its limits", outside - MAX_OVERSHOOT, "rad more than is allowed"),
        ("too fast", np.abs(state.joint_vel) - MAX_OVERSPEED * VELOCITY_LIMITS, "rad/s over the limit"),
    )
    what, excess, unit = max(excesses, key=lambda each: each[1].max() > 0.0)
    worst = int(excess.argmax())
    return f"{JOINT_NAMES[worst]} is {what}, {excess[worst]:.2f} {unit}"


def _finite(*arrays: np.ndarray) -> bool:
    """Whether all numbers of one-dimensional arrays are finite, checked at once: it runs 500 times per second."""
    return bool(np.isfinite(np.concatenate(arrays)).all())


def _clip(values: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """Like np.clip, without its overhead, which dominates for 29 numbers."""
    return np.minimum(np.maximum(values, low), high)


def tilt_between(quat_wxyz: np.ndarray, roll_pitch: np.ndarray | tuple[float, float] = (0.0, 0.0)) -> float:
    """Angle in rad between the up directions of two orientations; ``roll_pitch`` is upright by default."""
    w, x, y, z = map(float, quat_wxyz)
    (sin_roll, sin_pitch), (cos_roll, cos_pitch) = np.sin(roll_pitch).tolist(), np.cos(roll_pitch).tolist()
    seen = 2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z
    wanted = -sin_pitch, sin_roll * cos_pitch, cos_roll * cos_pitch
    cosine = sum(a * b for a, b in zip(seen, wanted, strict=True)) / max(sqrt(sum(a * a for a in seen)), 1e-9)
    return acos(min(max(cosine, -1.0), 1.0))
