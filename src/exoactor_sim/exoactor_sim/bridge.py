"""The robot's side of Unitree's DDS topics, around a simulated world."""

from __future__ import annotations

import logging
import threading

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor import unitree
from exoactor_sim.world import NUM_JOINTS, MotorCommand, World

log = logging.getLogger("exoactor.sim")


class Bridge:
    """Takes ``rt/lowcmd``, gives ``rt/lowstate`` and ``rt/sportmodestate`` (truth), answers the motion switcher.

    A LowCmd whose checksum is wrong is ignored and counted, as on the robot. Parallel ankle and waist control
    (mode_pr 1) is not simulated: such commands are taken as pitch and roll.

    Raises
    ------
    Missing, BadInput
        As `exoactor.unitree.open_dds`.
    """

    def __init__(self, network_interface: str = "lo", domain: int = 1) -> None:
        unitree.open_dds(network_interface, domain)
        self.commands = 0
        """LowCmd taken so far."""
        self.rejected = 0
        """LowCmd with a wrong checksum so far."""
        self._lock = threading.Lock()
        self._command: MotorCommand | None = None
        self._mode_pr = 0
        self._state = unitree.low_state()
        self._truth = unitree.sport_mode_state()
        self._state_out = unitree.Publisher(unitree.LOW_STATE_TOPIC, unitree.LowState_)
        self._truth_out = unitree.Publisher(unitree.TRUTH_TOPIC, unitree.SportModeState_)
        self.motion_switcher = unitree.MotionSwitcherServer()
        self._command_in = unitree.Subscriber(unitree.LOW_CMD_TOPIC, unitree.LowCmd_, self._on_command)

    def _on_command(self, message: unitree.LowCmd_) -> None:
        if unitree.crc(message) != message.crc:
            self.rejected += 1
            if self.rejected & (self.rejected - 1) == 0:  # 1, 2, 4, 8, ...: said, but not 500 times a second
                log.warning("Ignored a LowCmd with a wrong checksum (%d so far).", self.rejected)
            return
        rows = np.array([(c.mode, c.q, c.dq, c.tau, c.kp, c.kd) for c in message.motor_cmd[:NUM_JOINTS]]).T
        if not np.isfinite(rows).all():
            log.warning("Ignored a LowCmd that holds a number that is not finite.")
            return
        mode, q, dq, tau, kp, kd = rows
        with self._lock:
            self._command = MotorCommand(enabled=mode == 1, q=q, dq=dq, tau=tau, kp=kp, kd=kd)
            self._mode_pr = message.mode_pr
        self.commands += 1

    def receive(self, world: World) -> None:
        """Hand the newest command, if one came, to the world."""
        with self._lock:
            command, self._command = self._command, None
        if command is not None:
            world.command = command

    def send_state(self, world: World) -> None:
        """Publish what the robot measures."""
        m = self._state
        m.mode_pr = self._mode_pr
        m.mode_machine = unitree.MODE_MACHINE_29DOF
        m.tick = int(world.data.time * 1000 + 0.5) & 0xFFFFFFFF
        quat = world.imu_quat_wxyz
        m.imu_state.quaternion = quat.tolist()
        m.imu_state.rpy = Rotation.from_quat(quat, scalar_first=True).as_euler("xyz").tolist()
        m.imu_state.gyroscope = world.imu_gyro.tolist()
        m.imu_state.accelerometer = world.imu_acc.tolist()
        m.imu_state.temperature = 40
        enabled = world.held | world.command.enabled
        for s, on, q, dq, tau in zip(
            m.motor_state,
            np.broadcast_to(enabled, NUM_JOINTS).tolist(),
            world.joint_pos.tolist(),
            world.joint_vel.tolist(),
            world.torque.tolist(),
            strict=False,
        ):
            s.mode, s.q, s.dq, s.tau_est = int(on), q, dq, tau
            s.temperature, s.vol = [35, 35], 48.0
        m.crc = unitree.crc(m)
        self._state_out.write(m)

    def send_truth(self, world: World) -> None:
        """Publish where the pelvis truly is: for metrics and display alone."""
        m = self._truth
        seconds = world.data.time
        m.stamp.sec, m.stamp.nanosec = int(seconds), int(seconds % 1 * 1e9)
        m.position = world.root_pos.tolist()
        m.velocity = world.root_vel.tolist()
        m.body_height = float(world.root_pos[2])
        m.imu_state.quaternion = world.root_quat_wxyz.tolist()
        self._truth_out.write(m)

    def close(self) -> None:
        """Leave the topics."""
        self._command_in.close()
