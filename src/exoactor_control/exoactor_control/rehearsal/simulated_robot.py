"""The robot in MuJoCo that a rehearsal commands, and disturbances unknown to its controller."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_control.reference.trajectory import POLICY_RATE
from exoactor_control.rehearsal.gate import Load
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import HAND_LINKS, STANDING, STANDING_HEIGHT, Soles, add_hand_load
from exoactor_core.robot_state import MotorCommand, RobotState
from exoactor_core.rotations import yaw_from_quat
from exoactor_core.scene import Scene
from exoactor_core.simulation import ObjectSensor, Simulation
from exoactor_core.task_checks import Rollout
from exoactor_description import Hands

COMMAND_PERIOD = 0.002
"""s between commands, as on the robot."""


@dataclass(frozen=True)
class Push:
    """A horizontal force for some time."""

    force: tuple[float, float]
    """N, in the world."""
    time: float = 1.0
    """s after the motion's first frame, start of the push."""
    seconds: float = 0.2
    body: str = "torso_link"
    """The link whose centre of mass it acts on."""


@dataclass(frozen=True)
class Disturbance:
    """Disturbances of the simulated robot that are unknown to its controller."""

    mass: float = 0.0
    """Share added to every link's mass and inertia."""
    delay: float = 0.0
    """s of delay of the commands to the motors."""
    load: float = 0.0
    """kg in each hand."""
    pushes: tuple[Push, ...] = ()
    scene: Scene | None = None
    """The actual objects; None: as the controller believes them to be."""
    sensor: Callable[[], ObjectSensor] = ObjectSensor
    """Creates the sensor that observes them."""


class SimulatedRobot(Simulation):
    """The robot in MuJoCo: sensors out, torques in.

    It starts where the motion does, standing upright on its feet with the joints at ``joint_pos`` (29,) rad.
    """

    def __init__(
        self,
        timestep: float,
        start: RobotMotion,
        with_band: bool,
        disturbance: Disturbance | None = None,
        joint_pos: np.ndarray = STANDING,
        scene: Scene | None = None,
        hands: Hands = "fists",
    ) -> None:
        disturbance = disturbance or Disturbance()
        super().__init__(timestep, hands, scene)
        self._recorded: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # object poses, pelvis, forces
        self.motion_time: float | None = None
        """s after the motion's first frame, for the pushes; None: before it."""
        self._pushes = [(push, self.model.body(push.body).id) for push in disturbance.pushes]
        self._commands: deque[MotorCommand] = deque(maxlen=round(disturbance.delay / COMMAND_PERIOD) + 1)
        robot = self.model.body_rootid == self._pelvis
        self.model.body_mass[robot] *= 1.0 + disturbance.mass
        self.model.body_inertia[robot] *= 1.0 + disturbance.mass
        for hand in HAND_LINKS:
            add_hand_load(self.model, hand, disturbance.load)
        mujoco.mj_setConst(self.model, self.data)
        self.band = with_band
        self.load: Load | None = None
        """Measures the motors' load, if set."""
        yaw = float(yaw_from_quat(start.root_quat_wxyz[0]))
        self.anchor = (np.array([*start.root_pos[0, :2], STANDING_HEIGHT]), np.array([0.0, 0.0, yaw]))
        """Target of the band: position (3,) m of the pelvis, and its roll, pitch, yaw (3,) rad."""
        self.data.qpos[:3] = self.anchor[0]
        self.data.qpos[3:7] = Rotation.from_euler("z", yaw).as_quat(scalar_first=True)
        self.joint_pos = joint_pos
        self.data.qpos[2] = Soles().pelvis_height(self.data.qpos[3:7], self.joint_pos)
        mujoco.mj_forward(self.model, self.data)
        self._limits = self.model.actuator_ctrlrange[self._motors].T

    @property
    def time(self) -> float:
        """Simulated time, s."""
        return float(self.data.time)

    @property
    def pose(self) -> np.ndarray:
        """(36,) the truth, for metrics only: position, quaternion w, x, y, z, joints."""
        return np.concatenate([self.data.qpos[:7], self.joint_pos])

    def state(self) -> RobotState:
        """Return the present LowState."""
        return RobotState(
            time=self.time,
            joint_pos=self.joint_pos.copy(),
            joint_vel=self.joint_vel.copy(),
            quat_wxyz=self.imu_quat_wxyz.copy(),
            ang_vel=self.imu_gyro.copy(),
            accel=self.imu_acc.copy(),
            torque=self.torque.copy(),
            tick=round(1e3 * self.time),
        )

    def delayed(self, command: MotorCommand) -> MotorCommand:
        """Queue a command; return the one that reaches the motors now."""
        self._commands.append(command)
        return self._commands[0]

    def advance(self, torque: np.ndarray) -> None:
        """Advance by one physics step; the motors clip to their own limits."""
        if self.load is not None:
            self.load.add(torque, self.joint_vel, float(np.linalg.norm(self.data.qvel[:3])))
        self.torque = np.clip(torque, *self._limits)
        self.data.xfrc_applied[:] = 0.0
        if self.band:
            self.data.xfrc_applied[self._pelvis] = self._band()
        for push, body in self._pushes:
            if self.motion_time is not None and 0.0 <= self.motion_time - push.time < push.seconds:
                self.data.xfrc_applied[body, :2] += push.force
        mujoco.mj_step(self.model, self.data)
        if self.load is not None:
            self.load.press(*self.self_contact(), self.model.opt.timestep)
        if self.scene is not None:
            self.count_contacts()

    def record_objects(self) -> None:
        """Record the present moment for `rollout`."""
        if self.scene is not None:
            self._recorded.append((self.object_poses, self.pose[:7], self.contact_forces()))

    @property
    def recorded(self) -> int:
        """Number of recorded moments."""
        return len(self._recorded)

    def rollout(self) -> Rollout | None:
        """Recorded motion of the objects; None if there are none, or nothing was recorded."""
        if self.scene is None or not self._recorded:
            return None
        poses, roots, forces = (np.array(each) for each in zip(*self._recorded, strict=True))
        return Rollout(self.scene, POLICY_RATE, poses, roots, forces)

    def _band(self) -> np.ndarray:
        """Force and torque (6,) of a harness that guides the pelvis and carries most of the weight."""
        pos, rpy = self.anchor
        turned = Rotation.from_quat(self.data.qpos[3:7], scalar_first=True)
        error = (Rotation.from_euler("ZYX", rpy[::-1]) * turned.inv()).as_rotvec()
        force = 4000.0 * (pos - self.data.qpos[:3]) - 400.0 * self.data.qvel[:3]
        force[2] += 0.8 * self._weight
        return np.r_[force, 400.0 * error - 20.0 * turned.apply(self.data.qvel[3:6])]
