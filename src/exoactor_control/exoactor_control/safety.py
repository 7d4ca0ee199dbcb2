"""The limits that no command leaves, and the signs that the robot must be let down."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor.motion import JOINT_NAMES, RobotMotion
from exoactor.robot import EFFORT_LIMITS, JOINT_LIMITS, VELOCITY_LIMITS, sole_points
from exoactor_control.reference import Frame

if TYPE_CHECKING:
    from exoactor_control.states import MotorCommand, RobotState

STALE = 0.05
"""s; a LowState older than this means that the robot is not heard."""
MAX_TILT = 1.0
"""rad between the pelvis' up and the reference's: the field's bound of a failed track."""
MAX_DROP = 0.3
"""m that the pelvis may be nearer to the lower sole than in the reference."""
MAX_TEMPERATURE = 90.0
"""degrees Celsius of a motor; chosen below the 120 that windings commonly bear, as sensors lag."""
MAX_OVERSHOOT = 0.15
"""rad that a measured joint may lie outside its limits (encoder offset, soft stops)."""
MAX_OVERSPEED = 1.5
"""Measured joint speed over the motor's greatest."""


class Safety:
    """Guards a controller.

    Parameters
    ----------
    effort_limits
        (29,) N m that the policy asks to stay under; the motors' own limits hold in any case.
    """

    def __init__(self, effort_limits: np.ndarray | None = None) -> None:
        self.effort_limits = EFFORT_LIMITS if effort_limits is None else np.minimum(effort_limits, EFFORT_LIMITS)

    def check_state(self, state: RobotState | None, now: float, reference: Frame | None = None) -> str:
        """Return why the robot must be damped, one clause; empty when all is well.

        ``reference`` is what it was told to do; None: tilt and height are not judged.
        """
        if state is None:
            return "no LowState has come"
        if not now - state.time <= STALE:
            return f"the last LowState is {1e3 * (now - state.time):.0f} ms old"
        for name in ("joint_pos", "joint_vel", "quat_wxyz", "ang_vel"):
            if not np.isfinite(getattr(state, name)).all():
                return f"LowState's {name} holds a number that is not finite"
        if abs(np.linalg.norm(state.quat_wxyz) - 1.0) > 0.05:
            return "LowState's IMU orientation is not a unit quaternion"
        for what, excess, unit in (
            ("hot", state.temperature - MAX_TEMPERATURE, "degrees over the limit"),
            ("outside its limits", np.maximum(*_outside(state.joint_pos)) - MAX_OVERSHOOT, "rad more than is borne"),
            ("too fast", np.abs(state.joint_vel) - MAX_OVERSPEED * VELOCITY_LIMITS, "rad/s over the limit"),
        ):
            worst = int(np.argmax(excess))
            if excess[worst] > 0.0:
                return f"{JOINT_NAMES[worst]} is {what}, {excess[worst]:.2f} {unit}"
        if reference is not None:
            tilt = _tilt(state.quat_wxyz, reference.roll_pitch)
            if tilt > MAX_TILT:
                return f"the robot tilts {tilt:.2f} rad away from the reference"
        return ""

    def check_height(self, state: RobotState, reference: Frame) -> str:
        """Return why the robot must be damped when its pelvis is far nearer to its soles than it should be; or empty.

        LowState knows no height: this is the pelvis above the lower sole, by the encoders and the IMU.
        """
        told = np.array([reference.roll_pitch[1], reference.roll_pitch[0]])
        level = Rotation.from_euler("YX", told).as_quat(scalar_first=True)
        pose = RobotMotion(
            1.0,
            np.zeros((2, 3)),
            np.stack([state.quat_wxyz, level]),
            np.stack([state.joint_pos, reference.joint_pos]),
        )
        is_, should = -sole_points(pose)[..., 2].min(axis=(1, 2))
        return f"the pelvis is {should - is_:.2f} m too low" if should - is_ > MAX_DROP else ""

    def limit(self, command: MotorCommand, state: RobotState) -> MotorCommand:
        """Bring a command inside every limit.

        Position targets stay inside the joint limits and velocity targets inside the motors' speeds; where the torque
        at the measured position and velocity would exceed the effort limit, the joint's gains and feed-forward are
        scaled down to meet it; a joint beyond its greatest speed is not driven further, only damped.

        Raises
        ------
        ValueError
            The command, or the state, holds a number that is not finite.
        """
        values = (command.q, command.dq, command.kp, command.kd, command.tau, state.joint_pos, state.joint_vel)
        if not all(np.isfinite(v).all() for v in values):
            raise ValueError("a command with a number that is not finite was held back")
        kp, kd = np.maximum(command.kp, 0.0), np.maximum(command.kd, 0.0)
        command = replace(
            command,
            q=np.clip(command.q, *JOINT_LIMITS.T),
            dq=np.clip(command.dq, -VELOCITY_LIMITS, VELOCITY_LIMITS),
            kp=kp,
            kd=kd,
        )
        torque = command.torque(state.joint_pos, state.joint_vel)
        runaway = (np.abs(state.joint_vel) > VELOCITY_LIMITS) & (torque * state.joint_vel > 0.0)
        command = replace(
            command,
            dq=np.where(runaway, 0.0, command.dq),
            kp=np.where(runaway, 0.0, command.kp),
            tau=np.where(runaway, 0.0, command.tau),
        )
        torque = np.abs(command.torque(state.joint_pos, state.joint_vel))
        scale = np.minimum(1.0, self.effort_limits / np.maximum(torque, 1e-9))
        return replace(command, kp=scale * command.kp, kd=scale * command.kd, tau=scale * command.tau)


def _outside(joint_pos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = JOINT_LIMITS.T
    return low - joint_pos, joint_pos - high


def _tilt(quat_wxyz: np.ndarray, roll_pitch: np.ndarray) -> float:
    """Angle in rad between the world's up as the two orientations see it."""
    w, x, y, z = quat_wxyz
    seen = np.array([2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z])
    roll, pitch = roll_pitch
    wanted = np.array([-np.sin(pitch), np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch)])
    return float(np.arccos(np.clip(seen @ wanted / np.linalg.norm(seen), -1.0, 1.0)))
