"""A G1 in MuJoCo with the objects of a scene: the common part of rehearsal and simulator."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.contacts import BODY_PARTS
from exoactor_core.dex3 import FINGER_JOINTS, HAND_MOTORS, hand_targets
from exoactor_core.motion import JOINT_NAMES
from exoactor_core.robot import IMU_SENSORS, OBJECT_PREFIX, mujoco_spec
from exoactor_core.scene import Scene
from exoactor_core.scene_mjcf import initial_qpos
from exoactor_description import Hands

_ROBOT, _OBJECT = 1, 4  # kinds of geoms, whose sums are unique

_PARTS = (
    ("hand", ("_hand_", "wrist_pitch", "wrist_yaw")),
    ("forearm", ("elbow", "wrist_roll")),
    ("foot", ("ankle",)),
    ("knee", ("knee",)),
    ("seat", ("pelvis", "hip")),
    ("back", ("torso", "waist", "shoulder")),
)
"""Parts of the body, and the words in the names of their links; the first match counts."""


def body_part(link: str) -> str:
    """The part of the body (`exoactor_core.contacts.BODY_PARTS`) to which a link belongs."""
    part = next(part for part, words in _PARTS if any(word in link for word in words))
    return part if part in BODY_PARTS else f"{link.partition('_')[0]}_{part}"


class Simulation:
    """The model with its ``timestep`` (s), its state, and the addresses of joints, fingers and objects in it."""

    def __init__(self, timestep: float, hands: Hands = "fists", scene: Scene | None = None) -> None:
        self.scene = scene if scene is not None and len(scene) else None
        self.model = mujoco_spec(timestep, self_collision=True, visuals=False, hands=hands, scene=self.scene).compile()
        self.data = mujoco.MjData(self.model)
        self._pelvis, self._torso = (self.model.body(name).id for name in ("pelvis", "torso_link"))
        self._weight = float(self.model.body_subtreemass[self._pelvis] * -self.model.opt.gravity[2])
        sensors = [self.model.sensor(name) for name in IMU_SENSORS]
        self._imu = [slice(int(s.adr[0]), int(s.adr[0] + s.dim[0])) for s in sensors]
        self._qpos, self._dof = map(_as_slice, self._addresses(JOINT_NAMES))
        self._motors = slice(0, len(JOINT_NAMES))
        self.has_fingers = hands == "dex3"
        self._fingers = np.arange(len(JOINT_NAMES), self.model.nu).reshape(-1, len(HAND_MOTORS))
        fingers = [joint for hand in FINGER_JOINTS for joint in hand] if self.has_fingers else []
        self._finger_qpos, self._finger_dof = (a.reshape(-1, len(HAND_MOTORS)) for a in self._addresses(fingers))
        moving = 0 if self.scene is None else len(initial_qpos(self.scene))
        self._objects_qpos = slice(self.model.nq - moving, self.model.nq)
        ids = self.scene.ids if self.scene else ()
        self._objects = [self.model.body(OBJECT_PREFIX + i).id for i in ids]
        names = [self.model.body(b).name for b in self.model.geom_bodyid]
        robot = self.model.body_rootid[self.model.geom_bodyid] == self._pelvis
        self._part = np.array([BODY_PARTS.index(body_part(n)) if r else -1 for n, r in zip(names, robot, strict=True)])
        """(geoms,) index of the robot's body part; -1 for geoms of other bodies."""
        index = {OBJECT_PREFIX + object_id: k for k, object_id in enumerate(ids)}
        self._object = np.array([index.get(n, -1) for n in names])
        """(geoms,) index of the object; -1 for geoms of other bodies."""
        self._kind = _ROBOT * (self._part >= 0) + _OBJECT * (self._object >= 0)
        self._pressed = np.zeros((len(ids), len(BODY_PARTS)))
        self._steps = 0

    def _addresses(self, joints: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Addresses of joints in ``qpos`` and ``qvel``."""
        numbers = [self.model.joint(name).id for name in joints]
        return self.model.jnt_qposadr[numbers], self.model.jnt_dofadr[numbers]

    @property
    def joint_pos(self) -> np.ndarray:
        """(29,) rad."""
        return self.data.qpos[self._qpos]

    @joint_pos.setter
    def joint_pos(self, value: np.ndarray) -> None:
        self.data.qpos[self._qpos] = value

    @property
    def joint_vel(self) -> np.ndarray:
        """(29,) rad/s."""
        return self.data.qvel[self._dof]

    @property
    def imu_quat_wxyz(self) -> np.ndarray:
        """(4,) orientation of the pelvis' IMU in the world."""
        return self.data.sensordata[self._imu[0]]

    @property
    def imu_gyro(self) -> np.ndarray:
        """(3,) rad/s, in the IMU's frame."""
        return self.data.sensordata[self._imu[1]]

    @property
    def imu_acc(self) -> np.ndarray:
        """(3,) m/s^2, in the IMU's frame; +g upwards at rest."""
        return self.data.sensordata[self._imu[2]]

    @property
    def torque(self) -> np.ndarray:
        """(29,) N m, commanded motor torques."""
        return self.data.ctrl[self._motors]

    @torque.setter
    def torque(self, value: np.ndarray) -> None:
        self.data.ctrl[self._motors] = value

    def close_hands(self, closure: np.ndarray) -> None:
        """Command both hands: closure (2,) of left and right in [0, 1]; no effect on rubber hands."""
        if self.has_fingers:
            self.data.ctrl[self._fingers] = hand_targets(1.0 - np.asarray(closure))

    def command_hand(self, hand: int, q: np.ndarray, tau: np.ndarray, kp: np.ndarray, kd: np.ndarray) -> None:
        """Command the motors of one hand (0: left), each (7,): rad, N m, N m/rad, N m s/rad."""
        motors, dofs = self._fingers[hand], self._finger_dof[hand]
        self.data.ctrl[motors] = q
        self.model.actuator_gainprm[motors, 0], self.model.actuator_biasprm[motors, 1] = kp, -kp
        self.model.dof_damping[dofs] = kd
        self.data.qfrc_applied[dofs] = tau

    def hand_state(self, hand: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Angle, speed and torque of the motors of one hand (0: left), each (7,): rad, rad/s, N m."""
        dofs = self._finger_dof[hand]
        torque = self.data.actuator_force[self._fingers[hand]] - self.model.dof_damping[dofs] * self.data.qvel[dofs]
        return self.data.qpos[self._finger_qpos[hand]], self.data.qvel[dofs], torque

    @property
    def object_poses(self) -> np.ndarray:
        """(n, 7) m and w, x, y, z of the objects in the world, in the scene's order."""
        return np.concatenate([self.data.xpos[self._objects], self.data.xquat[self._objects]], axis=1)

    def count_contacts(self) -> None:
        """Add the forces of this step to `contact_forces`."""
        self._steps += 1
        force = np.zeros(6)
        for i, part, obj in self._touching():
            mujoco.mj_contactForce(self.model, self.data, i, force)
            self._pressed[obj, part] += force[0]

    def _touching(self) -> list[tuple[int, int, int]]:
        """Contacts between robot and objects: index, body part, object."""
        geoms = self.data.contact.geom
        kinds = self._kind[geoms]
        found = []
        for i in (kinds[:, 0] + kinds[:, 1] == _ROBOT + _OBJECT).nonzero()[0].tolist():
            one, other = geoms[i] if kinds[i, 0] == _ROBOT else geoms[i, ::-1]
            found.append((i, int(self._part[one]), int(self._object[other])))
        return found

    def contact_forces(self) -> np.ndarray:
        """(n, parts) N, mean normal force of every body part on every object since the last call."""
        mean = self._pressed / max(1, self._steps)
        self._pressed, self._steps = np.zeros_like(self._pressed), 0
        return mean

    def self_contact(self) -> tuple[float, tuple[str, str] | None]:
        """Largest normal force, N, between two links now, and which two; 0 and None if no links touch."""
        geoms = self.data.contact.geom
        force, greatest, pair = np.zeros(6), 0.0, None
        for i in np.flatnonzero((self._part[geoms] >= 0).all(axis=1)) if len(geoms) else ():
            mujoco.mj_contactForce(self.model, self.data, int(i), force)
            if force[0] > greatest:
                greatest, pair = float(force[0]), geoms[i]
        if pair is None:
            return 0.0, None
        one, other = sorted(self.model.body(self.model.geom_bodyid[geom]).name for geom in pair)
        return greatest, (one, other)


def _as_slice(addresses: np.ndarray) -> slice | np.ndarray:
    """Addresses as a slice, which is faster, if they are contiguous."""
    return slice(addresses[0], addresses[-1] + 1) if (np.diff(addresses) == 1).all() else addresses


class ObjectSensor:
    """Measures the poses of objects like a camera-based tracker: at its own rate, with noise, delay and dropouts.

    Parameters
    ----------
    rate
        Hz.
    noise, turn_noise
        m and rad, standard deviation of every coordinate and of the rotation about every axis.
    delay
        s from a measurement until it can be read.
    dropout
        Share of the measurements in which an object is missing.
    seed
        Seed of the noise.
    """

    def __init__(
        self,
        rate: float = 30.0,
        noise: float = 0.005,
        turn_noise: float = 0.01,
        delay: float = 0.05,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._period, self._delay, self._dropout = 1.0 / rate, delay, dropout
        self._noise, self._turn_noise = noise, turn_noise
        self._rng = np.random.default_rng(seed)
        self._due = 0.0
        self._waiting: deque[tuple[float, dict[int, np.ndarray]]] = deque()

    def is_due(self, time: float) -> bool:
        """Whether a measurement is due at ``time`` (s, never decreasing)."""
        return time >= self._due - 1e-9

    def measure(self, time: float, poses: np.ndarray) -> None:
        """Take the true poses (n, 7), m and w, x, y, z, at ``time``."""
        self._due = max(self._due + self._period, time)
        pos = poses[:, :3] + self._rng.normal(scale=self._noise, size=(len(poses), 3))
        turn = Rotation.from_rotvec(self._rng.normal(scale=self._turn_noise, size=(len(poses), 3)))
        quat = (turn * Rotation.from_quat(poses[:, 3:], scalar_first=True)).as_quat(scalar_first=True)
        seen = np.concatenate([pos, quat], axis=1)
        there = self._rng.random(len(poses)) >= self._dropout
        self._waiting.append((time, {int(i): seen[i] for i in np.flatnonzero(there)}))

    def read(self, time: float) -> list[tuple[float, dict[int, np.ndarray]]]:
        """The measurements that became readable since the last call: when each was taken, and the poses by index."""
        ready = []
        while self._waiting and self._waiting[0][0] + self._delay <= time + 1e-9:
            ready.append(self._waiting.popleft())
        return ready
