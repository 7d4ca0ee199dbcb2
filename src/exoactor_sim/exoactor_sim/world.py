"""A G1 in MuJoCo with motors as the robot's: position, velocity and torque commands closed by a PD law per joint.

Knows nothing of DDS or ROS.

What the motors do when LowCmd ceases is not documented. Unitree's table of errors has a bit of a motor's state for it
(`exoactor_unitree.wire.MOTOR_TIMEOUT`), without a time and without what follows; when a controller is interrupted,
Unitree's app reports a failure of low-level communication (unitree_rl_lab, issue 59); a bare motor of Unitree's keeps
the last command for ever (unitree_actuator_sdk, issue 29), and so does Unitree's simulator (unitree_mujoco, pull
request 121). The motors here keep it, too, which is the worst for whoever relies on them to let go, and set that bit
after `COMMAND_TIMEOUT`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core import robot_state
from exoactor_core.robot import EFFORT_LIMITS, STANDING
from exoactor_core.robot_state import NUM_JOINTS
from exoactor_core.scene import Scene
from exoactor_core.simulation import Simulation
from exoactor_description import Hands

# The hold takes the place of a person or gantry that steadies the robot until a controller takes over.
_HOLD_KP, _HOLD_KD = 300.0, 6.0
_HOLD_FORCE = np.array([20e3, 2e3])  # N/m, N s/m on the pelvis
_HOLD_TORQUE = np.array([2e3, 100.0])  # N m/rad, N m s/rad on the pelvis

COMMAND_TIMEOUT = 0.1
"""s without a command until the motors report it; our choice, since the documentation states none."""
FALLEN_HEIGHT = 0.4
"""m: a pelvis lower than this has fallen, the criterion commonly used for trackers."""


@dataclass(frozen=True)
class MotorCommand(robot_state.MotorCommand):
    """Command to the motors."""

    enabled: np.ndarray = field(default_factory=lambda: np.zeros(NUM_JOINTS, dtype=bool))
    """(29,) which motors are enabled."""

    @property
    def limp(self) -> bool:
        """Whether no motor holds a position: zero torque or damping."""
        return not np.any(self.enabled & (self.kp > 0))


class Band:
    """An elastic band from the torso to a trolley above, as in robot labs.

    It lifts as a one-sided spring and damper (it never pushes). The trolley follows the robot, so that it can walk, and
    a stiff swivel lets it turn but not spin.
    """

    def __init__(self, carried: float, height: float) -> None:
        """``carried`` N of the weight hang on the band when the torso is at ``height`` m."""
        self.stiffness = 4000.0  # N/m
        self.damping = 800.0  # N s/m
        self.sideways = 150.0  # N/m, that of a long rope at this load
        self.swivel = 20.0  # N m s/rad
        self.trolley_rate = 2.0  # 1/s
        self.top = height + carried / self.stiffness
        self.trolley: np.ndarray | None = None

    def wrench(self, pos: np.ndarray, vel: np.ndarray, turning: float, dt: float) -> np.ndarray:
        """Force N and torque N m (6,) on the torso; moves the trolley on by ``dt`` s.

        The torso is at ``pos`` m, moves with ``vel`` m/s and turns with ``turning`` rad/s about the vertical.
        """
        if self.trolley is None:
            self.trolley = pos[:2].copy()
        self.trolley += self.trolley_rate * dt * (pos[:2] - self.trolley)
        lift = max(0.0, self.stiffness * (self.top - pos[2]) - self.damping * vel[2])
        return np.array([*(self.sideways * (self.trolley - pos[:2])), lift, 0.0, 0.0, -self.swivel * turning])


class World(Simulation):
    """The simulated G1, its floor, and the objects on it.

    It begins standing and *held*: steadied at the pelvis with stiff joints, until the first command that is not limp
    arrives. A robot that lies on the floor limp for ``pick_up_after`` s is set on its feet and held again, as a person
    in a lab would do; None leaves it lying. ``band``: it hangs in the elastic band. The explicit PD law needs a
    ``timestep`` of 1 ms: at 5 ms damping gains of 5 on the arms ring.
    """

    def __init__(
        self,
        timestep: float = 0.001,
        band: bool = False,
        pick_up_after: float | None = 3.0,
        hands: Hands = "fists",
        scene: Scene | None = None,
    ) -> None:
        super().__init__(timestep, hands, scene)
        self._command, self._commanded = MotorCommand(), 0.0
        self.pick_up_after = pick_up_after
        self.band: Band | None = None
        self.reset()
        self.set_band(band)

    @property
    def command(self) -> MotorCommand:
        """The last command to the motors, however old."""
        return self._command

    @command.setter
    def command(self, command: MotorCommand) -> None:
        self._command, self._commanded = command, self.data.time

    # what the robot measures

    @property
    def commands_ceased(self) -> bool:
        """Whether the motors were commanded, but not within the last `COMMAND_TIMEOUT`."""
        return not self.held and self.data.time - self._commanded > COMMAND_TIMEOUT

    # the truth, for metrics and display only

    @property
    def root_pos(self) -> np.ndarray:
        """(3,) m, pelvis in the world."""
        return self.data.qpos[:3]

    @property
    def root_quat_wxyz(self) -> np.ndarray:
        """(4,) pelvis in the world."""
        return self.data.qpos[3:7]

    @property
    def root_vel(self) -> np.ndarray:
        """(3,) m/s, pelvis in the world."""
        return self.data.qvel[:3]

    @property
    def fallen(self) -> bool:
        """Whether the pelvis is lower than `FALLEN_HEIGHT`."""
        return bool(self.root_pos[2] < FALLEN_HEIGHT)

    def reset(self, objects: bool = True) -> None:
        """Put the robot on its feet at the origin, standing and held; the clock continues.

        ``objects``: also reset the objects to their poses in the scene.
        """
        time = self.data.time
        kept = self.data.qpos[self._objects_qpos].copy()
        mujoco.mj_resetData(self.model, self.data)
        self.data.time = time
        if not objects:
            self.data.qpos[self._objects_qpos] = kept
        self.data.qpos[:7] = (0, 0, 1, 1, 0, 0, 0)
        self.joint_pos = STANDING
        mujoco.mj_forward(self.model, self.data)
        self.data.qpos[2] -= self._clearance()
        mujoco.mj_forward(self.model, self.data)
        self.held = True
        self._hold_pos = self.root_pos.copy()
        self._lying = 0.0
        if self.band is not None:
            self.set_band(True)

    def _clearance(self) -> float:
        """Distance in m from the floor to the lowest geom that meets it."""
        m, d = self.model, self.data
        floor = next(
            i for i in range(m.ngeom) if m.geom_bodyid[i] == 0 and m.geom_type[i] == mujoco.mjtGeom.mjGEOM_PLANE
        )
        solid = np.flatnonzero((self._part >= 0) & (m.geom_conaffinity & m.geom_contype[floor] != 0))
        return min(mujoco.mj_geomDistance(m, d, floor, int(i), 2.0, None) for i in solid)

    def set_band(self, on: bool) -> None:
        """Attach the robot to the elastic band, or release it."""
        self.band = Band(0.75 * self._weight, float(self.data.xpos[self._torso, 2])) if on else None
        self.data.xfrc_applied[self._torso] = 0.0

    def step(self) -> None:
        """Advance by one physics step with the current command."""
        dt = self.model.opt.timestep
        if self.held and not self.command.limp:
            self.held = False
        if self.held:
            tau = _HOLD_KP * (STANDING - self.joint_pos) - _HOLD_KD * self.joint_vel
        else:
            tau = self.command.enabled * self.command.torque(self.joint_pos, self.joint_vel)
        self.torque = np.clip(tau, -EFFORT_LIMITS, EFFORT_LIMITS)
        self.data.xfrc_applied[self._pelvis] = self._holding_wrench() if self.held else 0.0
        if self.band is not None:
            vel = np.zeros(6)
            mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_XBODY, self._torso, vel, 0)
            self.data.xfrc_applied[self._torso] = self.band.wrench(self.data.xpos[self._torso], vel[3:], vel[2], dt)
        mujoco.mj_step(self.model, self.data)
        if not np.isfinite(self.data.qpos).all():  # MuJoCo resets a diverged state itself, which then counts as a fall
            self.reset()
        self._lying = self._lying + dt if self.fallen and self.command.limp else 0.0
        if self.pick_up_after is not None and self._lying > self.pick_up_after:
            self.reset(objects=False)

    def _holding_wrench(self) -> np.ndarray:
        """Force and torque (6,) on the pelvis that keep it in place, upright, facing ahead."""
        k, d = _HOLD_FORCE
        force = k * (self._hold_pos - self.root_pos) - d * self.root_vel
        rotation = Rotation.from_quat(self.root_quat_wxyz, scalar_first=True)
        k, d = _HOLD_TORQUE
        torque = -k * rotation.as_rotvec() - d * rotation.apply(self.data.qvel[3:6])
        return np.concatenate([force, torque])
