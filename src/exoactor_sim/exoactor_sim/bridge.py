"""The robot's side of Unitree's DDS topics, around a simulated world."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.dex3 import HAND_MOTORS
from exoactor_core.robot import MODE_MACHINE
from exoactor_core.robot_state import NUM_JOINTS
from exoactor_sim.world import MotorCommand, World
from exoactor_unitree import sdk as unitree
from exoactor_unitree.wire import MOTOR_TIMEOUT, LowCmdBytes, LowStateBytes

log = logging.getLogger("exoactor.sim")


class Bridge:
    """Receives ``rt/lowcmd``, publishes ``rt/lowstate`` and ``rt/sportmodestate`` (truth), answers the motion switcher.

    A LowCmd with a wrong checksum is ignored and counted, as on the robot. So is one for the parallel motors of ankles
    and waist (mode_pr 1), which are not simulated. Dex3 hands have their own topics. Raises `Missing`, `BadInput`: as
    `exoactor_unitree.sdk.open_dds`.
    """

    def __init__(self, network_interface: str = "lo", domain: int = 1) -> None:
        unitree.open_dds(network_interface, domain)
        self.commands = 0
        """Number of LowCmd messages accepted so far."""
        self.rejected = 0
        """Number of LowCmd messages so far with a wrong checksum, or of a kind that is not simulated."""
        self._state = LowStateBytes.zeros()
        self._state.temperatures[:NUM_JOINTS], self._state.voltages[:NUM_JOINTS] = 35, 48.0
        self._truth = unitree.sport_mode_state()
        self._state_out = unitree.Publisher(unitree.LOW_STATE_TOPIC, unitree.LowState_)
        self._truth_out = unitree.Publisher(unitree.TRUTH_TOPIC, unitree.SportModeState_)
        self.motion_switcher = unitree.MotionSwitcherServer()
        self._command_in = unitree.RawReader(unitree.LOW_CMD_TOPIC, unitree.LowCmd_)
        self._hand_state = unitree.hand_state()
        self._hands_out = [unitree.Publisher(topic, unitree.HandState_) for topic in unitree.HAND_STATE_TOPICS]
        self._hands_in = [unitree.RawReader(topic, unitree.HandCmd_) for topic in unitree.HAND_COMMAND_TOPICS]

    def receive(self, world: World) -> None:
        """Pass the newest commands, if any, to the world."""
        if world.has_fingers:
            for hand, reader in enumerate(self._hands_in):
                if (data := reader.take()) is not None:
                    _command_hand(world, hand, unitree.HandCmd_.deserialize(data))
        data = self._command_in.take()
        if data is None:
            return
        try:
            message = LowCmdBytes(data)
            fault = "" if message.intact else "with a wrong checksum"
        except ValueError as error:
            fault = str(error)
        if not fault and message.mode_pr != 0:
            fault = "for the parallel motors of ankles and waist (mode AB), which are not simulated"
        if fault:
            self.rejected += 1
            if self.rejected & (self.rejected - 1) == 0:  # 1, 2, 4, 8, ...: reported, but not 500 times per second
                log.warning("Ignored a LowCmd %s (%d so far).", fault, self.rejected)
            return
        q, dq, tau, kp, kd = message.gains[:NUM_JOINTS].T.astype(np.float64)
        if not np.isfinite(message.gains[:NUM_JOINTS]).all():
            log.warning("Ignored a LowCmd that holds a number that is not finite.")
            return
        enabled = message.modes[:NUM_JOINTS] == 1
        world.command = MotorCommand(enabled=enabled, q=q, dq=dq, tau=tau, kp=kp, kd=kd)
        self.commands += 1

    def send_state(self, world: World) -> None:
        """Publish what the robot measures."""
        m = self._state
        quat = world.imu_quat_wxyz
        m.imu[:4], m.imu[4:7], m.imu[7:10] = quat, world.imu_gyro, world.imu_acc
        m.imu[10:] = Rotation.from_quat(quat, scalar_first=True).as_euler("xyz")
        motors = m.motors[:NUM_JOINTS]
        motors[:, 0], motors[:, 1], motors[:, 3] = world.joint_pos, world.joint_vel, world.torque
        m.motor_errors[:NUM_JOINTS] = MOTOR_TIMEOUT if world.commands_ceased else 0
        m.set_modes(np.broadcast_to(world.held | world.command.enabled, NUM_JOINTS))
        tick = int(world.data.time * 1000 + 0.5) & 0xFFFFFFFF
        self._state_out.write_bytes(m.seal(MODE_MACHINE, tick))

    def send_hands(self, world: World) -> None:
        """Publish what the hands measure, if they have motors."""
        for hand, writer in enumerate(self._hands_out if world.has_fingers else ()):
            values = zip(*(each.tolist() for each in world.hand_state(hand)), strict=True)
            for motor, (q, dq, tau) in zip(self._hand_state.motor_state, values, strict=True):
                motor.q, motor.dq, motor.tau_est = q, dq, tau
            writer.write(self._hand_state)

    def send_truth(self, world: World) -> None:
        """Publish the true pose of the pelvis, for metrics and display only."""
        m = self._truth
        seconds = world.data.time
        m.stamp.sec, m.stamp.nanosec = int(seconds), int(seconds % 1 * 1e9)
        m.position = world.root_pos.tolist()
        m.velocity = world.root_vel.tolist()
        m.body_height = float(world.root_pos[2])
        m.imu_state.quaternion = world.root_quat_wxyz.tolist()
        self._truth_out.write(m)


def _command_hand(world: World, hand: int, message: Any) -> None:
    """Apply a command to one hand; motors whose mode is not "working" are released."""
    motors = message.motor_cmd
    if len(motors) != len(HAND_MOTORS):
        log.warning("Ignored a HandCmd for %d motors: a Dex3 has %d.", len(motors), len(HAND_MOTORS))
        return
    q, tau, kp, kd = np.array([[motor.q, motor.tau, motor.kp, motor.kd] for motor in motors]).T
    if not np.isfinite([q, tau, kp, kd]).all():
        log.warning("Ignored a HandCmd that holds a number that is not finite.")
        return
    on = np.array([(motor.mode >> 4) & 7 == 1 for motor in motors])
    world.command_hand(hand, q, on * tau, on * kp, on * kd)
