"""The G1's limits, its pinocchio and MuJoCo models, and quantities derived from them.

Both models come from the URDF of `exoactor_description`. Joint arrays are in Unitree's motor order, lengths in m,
angles in rad, the world is z up.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from functools import lru_cache

import mujoco
import numpy as np
import pinocchio as pin

from exoactor_core.arrays import constant
from exoactor_core.dex3 import FINGER_JOINTS, HAND_EFFORTS, HAND_KD, HAND_KP
from exoactor_core.errors import BadInput
from exoactor_core.motion import JOINT_NAMES, RobotMotion
from exoactor_core.scene import Scene
from exoactor_core.scene_mjcf import OBJECT_BIT, add_objects
from exoactor_description import ROBOTS, Hands, description, robot, touching_links, urdf_path

KEY_BODIES: tuple[str, ...] = (
    "pelvis",
    *(f"{side}_{part}" for side in ("left", "right") for part in ("hip_roll_link", "knee_link", "ankle_roll_link")),
    "torso_link",
    *(
        f"{side}_{part}"
        for side in ("left", "right")
        for part in ("shoulder_roll_link", "elbow_link", "wrist_yaw_link")
    ),
)
"""Bodies by which a motion is judged: the 14 of BeyondMimic's trackers."""

HAND_LINKS = {"left_hand": "left_wrist_yaw_link", "right_hand": "right_wrist_yaw_link"}
"""The link that carries each hand."""
HAND_POINT = (0.125, 0.0, 0.0)
"""(3,) m, centre of a hand, fist or palm, in the frame of that link."""


try:
    ROBOT = robot()
except ValueError as error:
    raise BadInput(str(error)) from None
MODE_MACHINE = ROBOTS[ROBOT]
"""LowState.mode_machine of this G1 variant."""

_PINOCCHIO: pin.Model = pin.buildModelFromXML(ET.tostring(description(), "unicode"), pin.JointModelFreeFlyer())
if tuple(_PINOCCHIO.names)[2:] != JOINT_NAMES:
    raise AssertionError("The URDF's joints are not in Unitree's motor order.")

JOINT_LIMITS: np.ndarray = constant(
    np.stack([_PINOCCHIO.lowerPositionLimit[7:], _PINOCCHIO.upperPositionLimit[7:]], axis=1)
)
"""(29, 2) lower and upper joint limits, rad; both zero where the joint is locked."""

LOCKED: np.ndarray = constant(JOINT_LIMITS[:, 0] == JOINT_LIMITS[:, 1])
"""(29,) joints that this G1 variant (`exoactor_description.robot`) does not have: no motor moves them."""

EFFORT_LIMITS: np.ndarray = constant(_PINOCCHIO.effortLimit[6:].copy())
"""(29,) maximum joint torques, N m."""

VELOCITY_LIMITS: np.ndarray = constant(_PINOCCHIO.velocityLimit[6:].copy())
"""(29,) maximum joint speeds, rad/s."""


# Reflected rotor inertias of the G1's motors, kg m^2 (BeyondMimic's figures: kp = armature * (2 pi 10 Hz)^2).
_MOTOR_ARMATURE = {"7520_14": 0.010177520, "7520_22": 0.025101925, "5020": 0.003609725, "4010": 0.00425}


def _armature(joint: str) -> float:
    if "hip_roll" in joint or "knee" in joint:
        return _MOTOR_ARMATURE["7520_22"]
    if "hip" in joint or "waist_yaw" in joint:
        return _MOTOR_ARMATURE["7520_14"]
    if "ankle" in joint or "waist" in joint:  # two motors drive these through a parallel linkage
        return 2.0 * _MOTOR_ARMATURE["5020"]
    if "wrist_pitch" in joint or "wrist_yaw" in joint:
        return _MOTOR_ARMATURE["4010"]
    return _MOTOR_ARMATURE["5020"]


ARMATURE: np.ndarray = constant(np.array([_armature(name) for name in JOINT_NAMES]))
"""(29,) rotor inertia reflected to each joint, kg m^2."""
_PINOCCHIO.armature = np.r_[np.zeros(6), ARMATURE]

# Passive joint friction as in Unitree's MJCF.
_DAMPING = 0.05
_FRICTION_LOSS = constant(np.array([0.1 if "wrist" in name else 0.2 for name in JOINT_NAMES]))

_RIGID = (0.005, 1.0)  # s and damping ratio of the constraints that lock joints

_LEG = (-0.2, 0.0, 0.0, 0.4, -0.2, 0.0)
STANDING: np.ndarray = constant(
    np.array([*_LEG, *_LEG, 0, 0, 0, 0, 0.4, 0, 1.2, 0, 0, 0, 0, -0.4, 0, 1.2, 0, 0, 0], dtype=np.float64)
)
"""(29,) standing pose, rad: the default pose of TWIST2."""

IMU_SENSORS: tuple[str, ...] = ("imu_quat", "imu_gyro", "imu_acc")
"""MuJoCo sensors of the pelvis' IMU: orientation (w, x, y, z), angular velocity (rad/s), acceleration (m/s^2)."""

FOOT_LINKS = ("left_ankle_roll_link", "right_ankle_roll_link")

SOLE_NAMES: tuple[str, ...] = ("heel_left", "heel_right", "toe_left", "toe_right")
"""The four contact spheres of a foot, in the order of `sole_points`; left and right of the foot."""

OBJECT_PREFIX = "object/"
"""Prefix of the names of a scene's bodies, joints and geoms in a model with the robot."""

# Contact bits: the floor collides on bit 0, the robot with itself on bit 1.
_FLOOR_BIT, _SELF_BIT = 1, 2
_FINGERS = [joint.replace("_joint", "_link") for hand in FINGER_JOINTS for joint in hand]


# --- pinocchio ---


def pinocchio_model() -> pin.Model:
    """Return a new pinocchio model with a free flyer: q = position, quaternion x, y, z, w, 29 joints; nv = 35.

    ``model.armature`` holds the rotor inertias; links of fixed joints are frames.
    """
    return _PINOCCHIO.copy()


def configurations(motion: RobotMotion) -> np.ndarray:
    """Pinocchio configurations (T, 36) of a motion; note the quaternion's x, y, z, w order."""
    return np.concatenate([motion.root_pos, motion.root_quat_wxyz[:, [1, 2, 3, 0]], motion.joint_pos], axis=1)


def _frame_ids(model: pin.Model, bodies: Sequence[str]) -> list[int]:
    unknown = [body for body in bodies if not model.existFrame(body)]
    if unknown:
        raise BadInput(f"The G1 has no body '{unknown[0]}'.")
    return [model.getFrameId(body) for body in bodies]


def link_poses(motion: RobotMotion, links: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """World positions (T, L, 3) m and orientations (T, L, 3, 3) of links; raises `BadInput` for one that is unknown."""
    model = _PINOCCHIO
    data = model.createData()
    ids = _frame_ids(model, links)
    positions, rotations = np.empty((len(motion), len(ids), 3)), np.empty((len(motion), len(ids), 3, 3))
    for t, q in enumerate(configurations(motion)):
        pin.forwardKinematics(model, data, q)
        for b, frame in enumerate(ids):
            pose = pin.updateFramePlacement(model, data, frame)
            positions[t, b], rotations[t, b] = pose.translation, pose.rotation
    return positions, rotations


def forward_kinematics(motion: RobotMotion, bodies: Sequence[str] = KEY_BODIES) -> np.ndarray:
    """World positions of the origins of links of the URDF, (T, B, 3) m; raises as `link_poses`."""
    return link_poses(motion, bodies)[0]


def hand_poses(motion: RobotMotion) -> tuple[np.ndarray, np.ndarray]:
    """World positions (T, 2, 3) m of the centres of both hands, and orientations (T, 2, 3, 3) of their links."""
    positions, turns = link_poses(motion, tuple(HAND_LINKS.values()))
    return positions + turns @ HAND_POINT, turns


@lru_cache(maxsize=1)
def _sole_spheres() -> tuple[np.ndarray, float]:
    """Centres (2, 4, 3) of the contact spheres in their foot's frame, and their radius."""
    centres = np.empty((2, 4, 3))
    radii = set()
    for foot, name in enumerate(FOOT_LINKS):
        for shape in description().findall(f"link[@name='{name}']/collision/geometry/sphere/../.."):
            corner = SOLE_NAMES.index(shape.attrib["name"].split("ankle_roll_")[1])
            (origin,), (sphere,) = shape.iter("origin"), shape.iter("sphere")
            centres[foot, corner] = [float(v) for v in origin.attrib["xyz"].split()]
            radii.add(float(sphere.attrib["radius"]))
    (radius,) = radii
    return centres, radius


class Soles:
    """Computes sole positions pose by pose, in 30 us each. Every thread needs its own instance."""

    def __init__(self) -> None:
        self._model = _PINOCCHIO
        self._data = self._model.createData()
        self._ids = _frame_ids(self._model, FOOT_LINKS)
        self._q = np.zeros(36)

    def points(
        self, root_quat_wxyz: np.ndarray, joint_pos: np.ndarray, root_pos: np.ndarray | None = None
    ) -> np.ndarray:
        """As `sole_points`, of one pose: (2, 4, 3) m; without ``root_pos`` (3,) m from the pelvis."""
        centres, radius = _sole_spheres()
        self._q[:3] = 0.0 if root_pos is None else root_pos
        self._q[3:6], self._q[6], self._q[7:] = root_quat_wxyz[1:], root_quat_wxyz[0], joint_pos
        pin.forwardKinematics(self._model, self._data, self._q)
        points = np.empty((2, 4, 3))
        for foot, frame in enumerate(self._ids):
            pose = pin.updateFramePlacement(self._model, self._data, frame)
            points[foot] = centres[foot] @ pose.rotation.T + pose.translation
        points[..., 2] -= radius
        return points

    def pelvis_height(self, root_quat_wxyz: np.ndarray, joint_pos: np.ndarray) -> float:
        """Height of the pelvis above the lower sole, m, for one pose; the quaternion may have any length."""
        return -float(self.points(root_quat_wxyz / np.linalg.norm(root_quat_wxyz), joint_pos)[..., 2].min())


def sole_points(motion: RobotMotion) -> np.ndarray:
    """World positions of the lowest points of the soles' contact spheres, (T, 2, 4, 3) m: left, right; `SOLE_NAMES`."""
    soles = Soles()
    poses = zip(motion.root_quat_wxyz, motion.joint_pos, motion.root_pos, strict=True)
    return np.array([soles.points(*pose) for pose in poses]).reshape(-1, 2, 4, 3)


def standing_motion(duration: float = 0.0) -> RobotMotion:
    """Standing still at the origin, facing +x, soles at z = 0, for ``duration`` s."""
    fps = 50.0
    frames = round(duration * fps) + 1
    return RobotMotion(
        fps=fps,
        root_pos=np.tile([0.0, 0.0, STANDING_HEIGHT], (frames, 1)),
        root_quat_wxyz=np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1)),
        joint_pos=np.tile(STANDING, (frames, 1)),
        contacts=np.ones((frames, 2)),
    )


STANDING_HEIGHT: float = Soles().pelvis_height(np.array([1.0, 0.0, 0.0, 0.0]), STANDING)
"""Height of the pelvis in the pose `STANDING` with the soles at z = 0, m."""


# --- MuJoCo ---


def _robot_spec(visuals: bool, hands: Hands) -> mujoco.MjSpec:
    """Read the URDF into MuJoCo: a free joint, shapes in groups, fixed links merged and kept as sites."""
    root = description(hands)
    for name in np.array(JOINT_NAMES)[LOCKED]:  # by constraints: MuJoCo does not accept equal limits
        next(joint for joint in root.iter("joint") if joint.get("name") == name).set("type", "continuous")
    extension = ET.SubElement(root, "mujoco")
    ET.SubElement(extension, "compiler", fusestatic="true", discardvisual="false" if visuals else "true")
    ET.SubElement(root, "link", name="world")
    joint = ET.SubElement(root, "joint", name="floating_base_joint", type="floating")
    ET.SubElement(joint, "parent", link="world")
    ET.SubElement(joint, "child", link="pelvis")
    spec = mujoco.MjSpec.from_string(ET.tostring(root, encoding="unicode"))
    spec.fuse_static()  # now rather than in compile, which keeps bodies that anything refers to
    spec.compiler.fusestatic = False  # the fixed objects of a scene stay bodies
    for fixed in root.findall("joint[@type='fixed']"):
        _keep_as_site(spec, fixed)
    return spec


def _keep_as_site(spec: mujoco.MjSpec, fixed: ET.Element) -> None:
    tags: dict[str, dict[str, str]] = {"origin": {}} | {part.tag: part.attrib for part in fixed}
    xyz, rpy = ([float(v) for v in tags["origin"].get(key, "0 0 0").split()] for key in ("xyz", "rpy"))
    quat = pin.Quaternion(pin.rpy.rpyToMatrix(*rpy)).coeffs()[[3, 0, 1, 2]]
    body = spec.body(tags["parent"]["link"])
    body.add_site(name=tags["child"]["link"], pos=xyz, quat=quat, size=[0.01, 0.01, 0.01], group=4)


def _set_contacts(spec: mujoco.MjSpec, self_collision: bool, objects: bool) -> None:
    for geom in spec.geoms:
        if geom.contype == 0 and geom.conaffinity == 0:  # a visual
            geom.group = 1
            continue
        if geom.type == mujoco.mjtGeom.mjGEOM_CYLINDER:  # capsules collide faster and more exactly
            geom.type = mujoco.mjtGeom.mjGEOM_CAPSULE
            radius, half = geom.size[:2]
            geom.size = [radius, max(half - radius, 1e-4), 0.0]
        geom.group = 3  # not drawn unless asked for
        geom.condim = 3
        foot = geom.parent.name in FOOT_LINKS
        sole = foot and geom.type == mujoco.mjtGeom.mjGEOM_SPHERE
        # A foot collides with the floor by its four spheres alone, and with other bodies by its other shapes.
        geom.contype = 0
        geom.conaffinity = _FLOOR_BIT if sole or not foot else 0
        if self_collision and not sole:
            geom.contype = 0 if geom.parent.name in _FINGERS else _SELF_BIT  # no finger meets a finger
            geom.conaffinity |= _SELF_BIT
        if objects:
            geom.conaffinity |= OBJECT_BIT


def _exclude_touching(spec: mujoco.MjSpec) -> None:
    """Exclude the pairs of links that the SRDF names, and fingers with their own palm."""
    bodies = {body.name for body in spec.bodies}
    fingers = [(f"{finger.partition('_')[0]}_wrist_yaw_link", finger) for finger in _FINGERS]
    for pair in sorted(sorted(pair) for pair in [*touching_links(urdf_path()), *fingers]):
        if bodies.issuperset(pair):  # others are merged into their parents, whose pairs are listed themselves
            spec.add_exclude(bodyname1=pair[0], bodyname2=pair[1])


def mujoco_spec(
    timestep: float = 0.002,
    floor: bool = True,
    *,
    self_collision: bool = False,
    visuals: bool = True,
    hands: Hands = "fists",
    scene: Scene | None = None,
) -> mujoco.MjSpec:
    """G1 for MuJoCo: ``qpos`` is position, quaternion w, x, y, z, 29 joints; ``ctrl`` is the 29 joint torques, N m.

    The actuators are torque motors named as the joints, in Unitree's motor order, limited to `EFFORT_LIMITS` (without
    effect on locked joints); sensors are `IMU_SENSORS`. Links that fixed joints carry are merged into their
    parents and kept as sites. Shapes that only show are in group 1, shapes that collide in group 3.

    Parameters
    ----------
    timestep
        Physics step, s.
    floor
        Add the plane z = 0 ("floor") and a light.
    self_collision
        Let the robot's links collide with each other, except the pairs that the SRDF names.
    visuals
        Keep the shapes that only show (costs a little time a step).
    hands
        With "dex3", ``qpos`` has the joints of each hand after those of its arm, and 14 position servos with the gains
        that the project sends (`exoactor_core.dex3.FINGER_JOINTS`) follow the 29 motors. Fingers meet all but each
        other and their own palm.
    scene
        Objects beside the robot, their bodies and joints named `OBJECT_PREFIX` and their id. Their contacts have
        elliptic friction cones, so that what is held does not creep.

    Raises
    ------
    BadInput
        A mesh of the scene is missing, cannot be read, or is open.
    """
    spec = _robot_spec(visuals, hands)
    spec.modelname = "g1"
    spec.option.timestep = timestep
    _set_contacts(spec, self_collision, scene is not None)
    if self_collision:
        _exclude_touching(spec)
    _add_motors(spec)
    if hands == "dex3":
        _add_finger_servos(spec)
    _add_sensors(spec)
    if floor:
        _add_floor(spec)
    standing = dict(zip(JOINT_NAMES, STANDING, strict=True))
    joints = [standing.get(joint.name, 0.0) for joint in spec.joints[1:]]  # after the free joint
    spec.add_key(name="standing", qpos=[0, 0, STANDING_HEIGHT, 1, 0, 0, 0, *joints])
    if scene is not None:
        add_objects(spec, scene, OBJECT_PREFIX)
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        spec.option.impratio = 10.0
        spec.option.enableflags |= mujoco.mjtEnableBit.mjENBL_SLEEP  # objects at rest cost nothing until they are met
    return spec


def _add_sensors(spec: mujoco.MjSpec) -> None:
    kinds = (mujoco.mjtSensor.mjSENS_FRAMEQUAT, mujoco.mjtSensor.mjSENS_GYRO, mujoco.mjtSensor.mjSENS_ACCELEROMETER)
    for kind, name in zip(kinds, IMU_SENSORS, strict=True):
        spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname="imu_in_pelvis")


def _add_floor(spec: mujoco.MjSpec) -> None:
    plane = {"type": mujoco.mjtGeom.mjGEOM_PLANE, "size": [0, 0, 1], "rgba": [0.5, 0.5, 0.5, 1]}
    spec.worldbody.add_geom(name="floor", contype=_FLOOR_BIT, conaffinity=0, condim=3, **plane)
    light = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    spec.worldbody.add_light(name="sun", pos=[0, 0, 4], dir=[0.3, 0.2, -1], type=light)


def _add_motors(spec: mujoco.MjSpec) -> None:
    for i, name in enumerate(JOINT_NAMES):
        joint = spec.joint(name)
        joint.armature, joint.damping[0], joint.frictionloss = ARMATURE[i], _DAMPING, _FRICTION_LOSS[i]
        motor = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.set_to_motor()
        motor.ctrllimited, motor.ctrlrange = True, [-EFFORT_LIMITS[i], EFFORT_LIMITS[i]]
        if LOCKED[i]:
            motor.gear = np.zeros(6)
            lock = mujoco.mjtEq.mjEQ_JOINT
            spec.add_equality(type=lock, objtype=mujoco.mjtObj.mjOBJ_JOINT, name1=name, solref=_RIGID)


def _add_finger_servos(spec: mujoco.MjSpec) -> None:
    for hand, efforts in zip(FINGER_JOINTS, HAND_EFFORTS, strict=True):
        for name, effort in zip(hand, efforts, strict=True):
            spec.joint(name).damping[0] = HAND_KD  # which MuJoCo integrates implicitly: the links are light
            servo = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
            servo.set_to_position(kp=HAND_KP)
            servo.forcelimited = True
            servo.forcerange = [-effort, effort]


def as_servos(model: mujoco.MjModel, kp: np.ndarray, kd: np.ndarray, limits: np.ndarray) -> None:
    """Make a model's torque motors position servos: kp (q - joint_pos) - kd joint_vel, within limits (29,) N m."""
    model.actuator_gainprm[:, 0] = kp
    model.actuator_biastype[:] = mujoco.mjtBias.mjBIAS_AFFINE
    model.actuator_biasprm[:, 1] = -kp
    model.actuator_biasprm[:, 2] = -kd
    model.actuator_ctrllimited[:] = 0
    model.actuator_forcelimited[:] = 1
    model.actuator_forcerange[:] = np.stack([-limits, limits], axis=1)


def add_hand_load(model: mujoco.MjModel, hand: str, load: float) -> None:
    """Put a point mass, kg, at the centre of a hand (of `HAND_LINKS`).

    The resulting moment of inertia is taken to be the same about all axes.
    """
    body = model.body(HAND_LINKS[hand]).id
    lever = np.array(HAND_POINT) - model.body_ipos[body]
    share = load / (model.body_mass[body] + load)
    model.body_inertia[body] += share * model.body_mass[body] * (lever @ lever)
    model.body_ipos[body] += share * lever
    model.body_mass[body] += load


def set_state(data: mujoco.MjData, motion: RobotMotion, frame: int, start: int = 0) -> None:
    """Write one frame of a motion into ``data.qpos`` from index ``start``; velocities are unchanged."""
    data.qpos[start : start + 36] = np.concatenate(
        [motion.root_pos[frame], motion.root_quat_wxyz[frame], motion.joint_pos[frame]]
    )


@lru_cache(maxsize=2)
def _collision_model(hands: Hands) -> mujoco.MjModel:
    spec = mujoco_spec(floor=False, self_collision=True, visuals=False, hands=hands)
    for geom in spec.geoms:
        if geom.parent.name in _FINGERS:
            geom.conaffinity = 0
    return spec.compile()


def self_collision_depth(
    motion: RobotMotion, hands: Hands = "fists"
) -> tuple[np.ndarray, list[tuple[str, str] | None]]:
    """Self-penetration of the robot by the URDF's collision shapes; fingers, which are compliant, are ignored.

    Returns
    -------
    depth
        (T,) greatest penetration in m, 0 where there is none.
    pairs
        The two bodies of the greatest penetration, for each frame; None where there is none.
    """
    model = _collision_model(hands)
    data = mujoco.MjData(model)
    joints = [int(model.joint(name).qposadr[0]) for name in JOINT_NAMES]
    depth = np.zeros(len(motion))
    pairs: list[tuple[str, str] | None] = [None] * len(motion)
    for t in range(len(motion)):
        data.qpos[:3], data.qpos[3:7] = motion.root_pos[t], motion.root_quat_wxyz[t]
        data.qpos[joints] = motion.joint_pos[t]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_collision(model, data)
        if data.ncon:
            deepest = int(np.argmin(data.contact.dist))
            depth[t] = max(0.0, -float(data.contact.dist[deepest]))
            if depth[t] > 0.0:
                bodies = model.geom_bodyid[data.contact.geom[deepest]]
                pairs[t] = tuple(sorted(model.body(b).name for b in bodies))
    return depth, pairs
