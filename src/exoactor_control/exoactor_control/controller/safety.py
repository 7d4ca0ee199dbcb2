"""The limits that no command leaves, and the signs that the robot must be damped."""

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
"""s; a LowState older than this (or from the future, or a clock that goes back) means that the robot is not heard."""
MAX_TILT = 1.0
"""rad between the pelvis' up and the reference's: the field's bound of a failed track."""
MAX_DROP = 0.3
"""m that the pelvis may be nearer to the lower sole than in the reference."""
MAX_POSITION_ERROR = 2.5
"""m that the pelvis may be from where the reference is, by the legs' odometry. Of the rehearsals that succeed (the 28
shared motions and 15 tasks of the mannequin; our tracker and TWIST2, and ours on robots 10% heavier or lighter, 20 ms
late) none needs more than 1.97, and that in fast walks; robots that ran away got 2.5 to 12 m."""
MAX_SPEED_ERROR = 2.0
"""m/s by which the pelvis may be faster than the reference, likewise: they need up to 1.14; runaways had 1.8 to 4.1."""
MAX_TEMPERATURE = 90.0
"""degrees Celsius of a motor; chosen below the 120 that windings commonly withstand, as sensors lag."""
MAX_OVERSHOOT = 0.15
"""rad that a measured joint may lie outside its limits (encoder offset, soft stops)."""
MAX_OVERSPEED = 1.5
"""Measured joint speed over the motor's greatest."""
MAX_OVERLOAD, OVERLOAD_TIME = 1.2, 0.02
"""Estimated torque (LowState's tau_est, from the motor's current) over the motor's greatest by the URDF, and for how
many s: a drive limits its own current, so that more means a broken drive or a wrong estimate. Chosen: 20 % for the
estimate's error, 20 ms for what an impact reflects."""
ENCODER_SLACK, TICK = 0.05, 0.001
"""rad and s that a joint may move between two LowStates beyond `MAX_OVERSPEED` times its greatest speed: noise of the
encoder, and the resolution of the robot's clock. Chosen."""
MAX_KP, MAX_KD = 500.0, 50.0
"""N m/rad and N m s/rad that no command exceeds. Chosen above the policies in use (99 and 6.3 in BeyondMimic, 200 and
5 in Unitree RL Lab, 150 and 5 in TWIST2)."""
TAPER = 0.8
"""Share of a joint's greatest speed from which its driving torque falls, to nothing at that speed, as a motor's own
torque-speed line does. TWIST2 drives no joint faster than 0.77 on the shared motions."""
TARGET_SPEED = 1.5
"""Speed of the position target over the joint's greatest. A policy's target leads the joint, it is a torque in
disguise: TWIST2's jumps by up to 2.7 in a 20 ms step. Spread so, the shared motions are tracked as well as unlimited
(joint error 0.0841 rad both; 0.0844 at 1)."""
START_TILT, START_HEIGHT, START_SPIN = 0.5, 0.45, 2.0
"""What a robot may be made to stand up from: rad of the pelvis from upright, m of the pelvis above its lower sole (it
stands at 0.76; one that sits or lies with bent legs is lower) and rad/s of the pelvis. Chosen."""

_MEASURED = ("joint_pos", "joint_vel", "quat_wxyz", "ang_vel", "accel", "torque", "temperature")
_NO_COMMAND = ("position", "in_motion", "human")  # of a reference's frame
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


class Safety:
    """Guards a controller.

    ``effort_limits`` (29,) N m are what the policy asks to stay under; the motors' own limits hold in any case.
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
        self._target: tuple[np.ndarray, float] | None = None  # the last position target, and when

    def watch(self, state: RobotState | None) -> str:
        """Return what is wrong with the LowState in the light of those before it, one clause; empty when nothing is.

        An encoder that jumps (the joint cannot have moved so far) and a motor that is loaded with more than its maximum
        torque for a while. Call it with every LowState.
        """
        if state is None or not _finite(state.joint_pos, state.torque):
            return ""  # `check_state` says so
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
        """Return why the robot cannot be made to stand up from here, one clause; empty when it can.

        It must stand upright or hang in the band: LowState cannot tell the two apart, nor the height over the floor.
        Checked are: the pelvis is upright and does not spin (IMU), the legs are below it, not folded (joint encoders),
        and it is the G1 that the stack is set up for, by its own word.
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
        """Return why the robot must be damped, one clause; empty when all is well.

        ``reference`` is what it was commanded; None: tilt and height are not judged.
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
        if reference is not None:
            tilt = tilt_between(state.quat_wxyz, reference.roll_pitch)
            if tilt > MAX_TILT:
                return f"the robot tilts {tilt:.2f} rad away from the reference"
        return ""

    def check_height(self, state: RobotState, reference: Frame) -> str:
        """Return why the robot must be damped when its pelvis is far nearer to its soles than it should be; or empty.

        LowState knows no height: this is the pelvis above the lower sole, by the encoders and the IMU.
        """
        pitch_roll = np.array([reference.roll_pitch[1], reference.roll_pitch[0]])
        level = Rotation.from_euler("YX", pitch_roll).as_quat(scalar_first=True)
        is_ = self._soles.pelvis_height(state.quat_wxyz, state.joint_pos)
        should = self._soles.pelvis_height(level, reference.joint_pos)
        return f"the pelvis is {should - is_:.2f} m too low" if should - is_ > MAX_DROP else ""

    def check_runaway(self, position_error: float, speed_error: float) -> str:
        """Return why the robot must be damped when it runs away; or empty.

        ``position_error`` m lie between the pelvis and where the reference is, and it is ``speed_error`` m/s faster.
        """
        for error, limit, how in (
            (position_error, self.max_position_error, "m from"),
            (speed_error, self.max_speed_error, "m/s faster than"),
        ):
            if not error <= limit:
                return f"the robot ran away: it is {error:.2f} {how} the reference, more than {limit:g}"
        return ""

    def check_frame(self, frame: Frame) -> str:
        """Return why the reference is lost, one clause; empty when it is there."""
        values = [np.ravel(value) for name, value in vars(frame).items() if name not in _NO_COMMAND]
        return "" if _finite(*values) else "the reference holds a number that is not finite"

    def begin(self, joint_pos: np.ndarray, now: float) -> None:
        """Let the position targets set out from here: joints (29,) rad, ``now`` in s."""
        self._target = joint_pos, now

    def limit(self, command: MotorCommand, state: RobotState, now: float | None = None) -> MotorCommand:
        """Bring a command inside every limit.

        Position targets stay inside the joint limits and move no faster than `TARGET_SPEED` allows (where ``now`` says
        when); velocity targets stay inside the motors' speeds, gains inside `MAX_KP` and `MAX_KD`. What drives a joint
        on falls from `TAPER` of its greatest speed to nothing at that speed, beyond which it is only damped, and it
        would be gone at that speed if the joint reached it before the next command. Where the torque at the measured
        position and velocity would still exceed the effort limit, the joint's gains and feed-forward are scaled down to
        meet it.

        Raises
        ------
        ValueError
            The command, or the state, holds a number that is not finite, or not one for each motor.
        """
        values = (command.q, command.dq, command.kp, command.kd, command.tau, state.joint_pos, state.joint_vel)
        try:
            numbers = np.array(values, dtype=float)
        except ValueError:  # of different shapes
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
        """(29,) N m s/rad, at most ``gain``, whose torque is inside the limits at every speed: for an unknown one.

        None for a joint that is locked.
        """
        return np.where(LOCKED, 0.0, np.minimum(gain, self.effort_limits / VELOCITY_LIMITS))


def _fade(torque: np.ndarray, dq: np.ndarray, kd: np.ndarray, vel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``dq`` and ``kd`` by which the torque is gone at the joint's greatest speed, reached before the next command.

    Where the command's own damping is too weak for that, more damping about a velocity target that leaves the torque
    at the measured velocity as it is.
    """
    room = np.where(np.abs(vel) < VELOCITY_LIMITS, VELOCITY_LIMITS - np.sign(torque) * vel, np.inf)
    needed = np.abs(torque) / room
    if (needed <= kd).all():
        return dq, kd
    more = np.minimum(np.maximum(kd, needed), np.maximum(kd, MAX_KD))
    share = kd / np.maximum(more, 1e-9)
    return np.where(more > kd, vel + share * (dq - vel), dq), more


def _out_of_bounds(state: RobotState) -> str:
    """What is measured outside its bounds, one clause."""
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
    """Whether every number of one-dimensional arrays is finite: in one go, as 500 commands a second want it."""
    return bool(np.isfinite(np.concatenate(arrays)).all())


def _clip(values: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """As np.clip, without its overhead, which is most of it for 29 numbers."""
    return np.minimum(np.maximum(values, low), high)


def tilt_between(quat_wxyz: np.ndarray, roll_pitch: np.ndarray | tuple[float, float] = (0.0, 0.0)) -> float:
    """Angle in rad between the world's up as two orientations see it; ``roll_pitch`` is upright by default."""
    w, x, y, z = map(float, quat_wxyz)
    (sin_roll, sin_pitch), (cos_roll, cos_pitch) = np.sin(roll_pitch).tolist(), np.cos(roll_pitch).tolist()
    seen = 2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z
    wanted = -sin_pitch, sin_roll * cos_pitch, cos_roll * cos_pitch
    cosine = sum(a * b for a, b in zip(seen, wanted, strict=True)) / max(sqrt(sum(a * a for a in seen)), 1e-9)
    return acos(min(max(cosine, -1.0), 1.0))
