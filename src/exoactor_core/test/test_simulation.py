"""What rehearsal and simulator have in common: grasping by friction, and forces by body part."""

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dex3_facts import GRASP_POINT, HAND_LIMITS
from exoactor_core.arrays import poses_from_frame, poses_in_frame
from exoactor_core.contacts import BODY_PARTS
from exoactor_core.dex3 import FINGER_JOINTS
from exoactor_core.motion import JOINT_NAMES
from exoactor_core.robot import STANDING, STANDING_HEIGHT, mujoco_spec
from exoactor_core.scene import everyday, joined
from exoactor_core.simulation import ObjectSensor, Simulation, body_part

TOP = 0.9  # m, of what the bottle stands on
RIGID = 1e6  # kg and kg m^2, so that the arm does not give


class HandOnASlide:
    """One Dex3 hand at the height of an upright bottle's middle, the rest of the robot stiff and without contacts."""

    def __init__(self, side, diameter, mass, friction=0.8, off=(0.0, 0.0)):
        mirror = -1.0 if side == "left" else 1.0
        wrist = np.array([0.0, 0.0, TOP + 0.1])
        palm = wrist + np.array([0.0415, -mirror * 0.003, 0.0])
        x, y = palm[:2] + np.array([1.0, mirror]) * (np.array(GRASP_POINT) + off)
        bottle = {"size": (diameter, diameter, 0.2), "mass": mass, "friction": friction}
        scene = joined(
            [
                everyday("stand", pos=(x + 0.2, y, 0), size=(0.6, 0.6, TOP)),
                everyday("can", "bottle", pos=(x, y, TOP), **bottle),
            ]
        )
        self.simulation = simulation = Simulation(0.002, "dex3", scene)
        model, self.data = simulation.model, simulation.data
        fingers = [model.joint(name) for hand in FINGER_JOINTS for name in hand]
        thing = model.joint("object/bottle")
        moving = {int(j.dofadr[0]) for j in fingers} | set(range(thing.dofadr[0], thing.dofadr[0] + 6))
        self.still = [i for i in range(model.nv) if i not in moving]
        mujoco.mj_forward(model, self.data)
        body = model.body(f"{side}_wrist_yaw_link").id
        level = Rotation.from_matrix(self.data.xmat[body].reshape(3, 3)).inv()
        self.data.qpos[3:7] = level.as_quat(scalar_first=True)
        self.data.qpos[:3] = wrist - level.apply(self.data.xpos[body] - self.data.qpos[:3])
        for geom in range(model.ngeom):
            name = model.body(model.geom_bodyid[geom]).name
            if not name.startswith("object/") and f"{side}_hand" not in name and body != model.geom_bodyid[geom]:
                model.geom_contype[geom] = model.geom_conaffinity[geom] = 0
        model.dof_armature[self.still] = RIGID
        mujoco.mj_forward(model, self.data)
        self.model = model

    def go(self, seconds, closure, rise=0.0):
        """Close the hands so far, and raise them at so many m/s."""
        self.simulation.close_hands(np.full(2, closure))
        for _ in range(round(seconds / self.model.opt.timestep)):
            self.data.qvel[self.still] = 0.0
            self.data.qvel[2] = rise
            mujoco.mj_step(self.model, self.data)

    @property
    def height(self):
        return float(self.simulation.object_poses[1, 2])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("diameter", "mass", "off"),
    [
        (0.066, 0.4, (0.0, 0.0)),
        (0.066, 0.8, (0.0, 0.0)),
        (0.066, 0.8, (0.01, 0.01)),
        (0.08, 0.5, (0.0, 0.0)),
        (0.09, 0.3, (0.0, 0.0)),
    ],
)
def test_a_dex3_hand_lifts_a_bottle_by_friction(side, diameter, mass, off):
    hand = HandOnASlide(side, diameter, mass, off=off)
    hand.go(0.3, 0.0)
    hand.go(1.0, 1.0)
    hand.go(1.5, 1.0, rise=0.25 / 1.5)
    hand.go(2.0, 1.0)
    assert hand.height - TOP == pytest.approx(0.25, abs=0.02)
    hand.go(1.0, 0.0)
    assert hand.height - TOP < 0.1  # and lets go of it


def test_what_is_too_slippery_is_not_lifted():
    hand = HandOnASlide("left", 0.066, 0.8, friction=0.05)
    hand.go(1.3, 1.0)
    hand.go(1.5, 1.0, rise=0.25 / 1.5)
    assert hand.height - TOP < 0.05


def test_joints_keep_their_order_with_hands_between_the_arms():
    fists, dex3 = Simulation(0.002), Simulation(0.002, "dex3")
    pose = np.linspace(-0.1, 0.1, 29)
    for simulation in (fists, dex3):
        simulation.joint_pos = pose
        for name, value in zip(JOINT_NAMES, pose, strict=True):
            assert simulation.data.joint(name).qpos == pytest.approx(value)
        simulation.torque = np.arange(29)
        assert simulation.data.actuator("right_wrist_yaw_joint").ctrl == 28
    assert fists.model.nu == 29
    assert dex3.model.nu == 43
    np.testing.assert_allclose(
        [dex3.model.joint(name).range for hand in FINGER_JOINTS for name in hand],
        HAND_LIMITS.reshape(14, 2),
        atol=0.12,  # of thumb_1 Unitree's URDF says 0.611, its MJCF 0.724
    )
    fists.close_hands(np.ones(2))  # does nothing


def test_forces_are_told_by_body_part():
    """A chair under the pelvis of a robot in the air supports its weight."""
    scene = joined([everyday("stand", pos=(0, 0, 0), size=(0.3, 0.3, 1.0))])
    simulation = Simulation(0.002, scene=scene)
    mujoco.mj_resetDataKeyframe(simulation.model, simulation.data, 0)
    simulation.data.qpos[2] = 1.2
    for step in range(500):
        tau = 300.0 * (STANDING - simulation.joint_pos) - 6.0 * simulation.joint_vel
        simulation.torque = np.clip(tau, -80, 80)
        mujoco.mj_step(simulation.model, simulation.data)
        if step >= 300:
            simulation.count_contacts()
    forces = simulation.contact_forces()
    assert forces.shape == (1, len(BODY_PARTS))
    assert forces[0, BODY_PARTS.index("seat")] > 200.0
    assert forces[0].sum() == pytest.approx(35 * 9.81, rel=0.4)
    assert not simulation.contact_forces().any()


def test_links_stop_each_other():
    simulation = Simulation(0.002)
    pose = STANDING.copy()
    pose[[JOINT_NAMES.index(f"{side}_hip_roll_joint") for side in ("left", "right")]] = -0.4, 0.4
    simulation.joint_pos = pose
    simulation.data.qpos[2] = 2.0
    mujoco.mj_forward(simulation.model, simulation.data)
    force, pair = simulation.self_contact()
    assert force > 0.0
    assert pair is not None
    assert all(link.startswith(side) for link, side in zip(pair, ("left", "right"), strict=True))


def test_every_link_is_a_part_of_the_body():
    for hands in ("fists", "dex3"):
        model = mujoco_spec(hands=hands).compile()
        parts = {body_part(model.body(b).name) for b in range(1, model.nbody)}
        assert parts == set(BODY_PARTS)
    assert STANDING_HEIGHT > 0.7


def test_a_sensor_is_noisy_late_and_misses_some():
    sensor = ObjectSensor(rate=50.0, noise=0.005, turn_noise=0.02, delay=0.1, dropout=0.25, seed=1)
    truth = np.array([[1.0, 2.0, 3.0, 1.0, 0.0, 0.0, 0.0]] * 2)
    read, measured = [], 0
    for step in range(5000):
        time = step / 500
        if sensor.is_due(time):
            measured += 1
            sensor.measure(time, truth)
        read += [(time - taken, pose) for taken, found in sensor.read(time) for pose in found.values()]
    assert measured == pytest.approx(500, abs=1)
    late, poses = np.array([age for age, _ in read]), np.array([pose for _, pose in read])
    assert late == pytest.approx(0.1, abs=0.003)
    assert len(poses) == pytest.approx(0.75 * 2 * measured, rel=0.1)
    assert (poses[:, :3] - truth[0, :3]).std(axis=0) == pytest.approx(0.005, rel=0.15)
    turns = Rotation.from_quat(poses[:, 3:], scalar_first=True).as_rotvec()
    assert turns.std(axis=0) == pytest.approx(0.02, rel=0.15)


def test_poses_are_seen_from_a_frame():
    frame = np.r_[1.0, 0.0, 0.0, Rotation.from_euler("z", np.pi / 2).as_quat(scalar_first=True)]
    poses = np.array([[1.0, 2.0, 0.5, 1.0, 0.0, 0.0, 0.0]])
    (seen,) = poses_in_frame(frame, poses)
    np.testing.assert_allclose(poses_from_frame(frame, seen[None]), poses, atol=1e-12)
    np.testing.assert_allclose(seen[:3], [2.0, 0.0, 0.5], atol=1e-12)
    assert Rotation.from_quat(seen[3:], scalar_first=True).as_euler("ZYX")[0] == pytest.approx(-np.pi / 2)
