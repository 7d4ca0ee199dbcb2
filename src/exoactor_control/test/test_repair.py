"""References that are bad are repaired or refused before the robot moves."""

from dataclasses import replace

import numpy as np
import pytest
from control_helpers import DATA, needs_data
from scipy.spatial.transform import Rotation

from exoactor_control.reference.repair import flight, set_on_floor
from exoactor_control.reference.trajectory import ENTRY_SPEED, STANDING_FRAME, Trajectory, lowered, only_lowers, prepare
from exoactor_core.errors import Refused
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import (
    JOINT_LIMITS,
    STANDING,
    STANDING_HEIGHT,
    VELOCITY_LIMITS,
    forward_kinematics,
    sole_points,
)

N, FPS = 200, 50.0


def walking():
    """Glide along x with the feet on the floor, the arms swinging."""
    t = np.arange(N) / FPS
    pos = np.column_stack([0.4 * t, np.zeros(N), np.full(N, STANDING_HEIGHT)])
    joints = np.tile(STANDING, (N, 1))
    joints[:, [15, 22]] += 0.3 * np.sin(2 * np.pi * t)[:, None] * [1, -1]
    return pos, np.tile([1.0, 0, 0, 0], (N, 1)), joints


def standing_still():
    pos, quat, joints = walking()
    pos[:, 0] = 0.0
    return pos, quat, joints


def prepared(pos, quat, joints):
    return prepare(RobotMotion(FPS, pos, quat, joints))


def lowest(motion):
    return sole_points(motion)[..., 2].min(axis=(1, 2))


def assert_sound(reference):
    """It begins, and goes on, with its soles on the floor, and nothing in it jumps."""
    m = reference.motion
    assert np.abs(lowest(m)).max() < 0.03
    assert (np.linalg.norm(np.diff(m.root_pos, axis=0), axis=1) * FPS < 1.0).all()
    assert (np.abs(np.diff(m.joint_pos, axis=0)) * FPS < 0.25 * VELOCITY_LIMITS).all()
    rotation = Rotation.from_quat(m.root_quat_wxyz, scalar_first=True)
    assert ((rotation[:-1].inv() * rotation[1:]).magnitude() * FPS < 2.0).all()


def frame0_high(p, q, j):
    p[0, 2] = 1.8


def frame0_sideways(p, q, j):
    p[0, 1] += 0.1


def frames_low(p, q, j):
    p[:4, 2] -= 0.3


def frame0_joint(p, q, j):
    j[0, 3] += 1.5


def frame0_joint_a_little(p, q, j):
    j[0, 18] += 0.5


def frame0_tilted(p, q, j):
    q[0] = Rotation.from_euler("y", 0.5).as_quat(scalar_first=True)


def frame0_turned(p, q, j):
    q[0] = Rotation.from_euler("z", 3.0).as_quat(scalar_first=True)


def last_frame(p, q, j):
    p[-1] += 1.0


TORN = [
    frame0_high,
    frame0_sideways,
    frames_low,
    frame0_joint,
    frame0_joint_a_little,
    frame0_tilted,
    frame0_turned,
    last_frame,
]


@pytest.mark.parametrize("corrupt", TORN)
@pytest.mark.parametrize("motion", [walking, standing_still])
def test_torn_ends_are_dropped(corrupt, motion):
    arrays = motion()
    corrupt(*arrays)
    reference = prepared(*arrays)
    assert_sound(reference)
    assert N - 8 <= len(reference.motion) < N
    assert "jumps between them and the rest" in reference.notes[0]


@pytest.mark.parametrize("offset", [0.08, 1.0, -0.2, -0.9])
def test_every_frame_too_high_or_too_low(offset):
    pos, quat, joints = walking()
    pos[:, 2] += offset
    reference = prepared(pos, quat, joints)
    assert_sound(reference)
    assert f"{abs(offset):.3f} m onto the floor" in reference.notes[0]


@pytest.mark.parametrize(
    "drift", [0.09 * np.linspace(0, 1, N), 0.04 * np.sin(np.linspace(0, 6, N)), -0.19 * np.linspace(0, 1, N)]
)
def test_a_floor_that_floats_is_followed(drift):
    pos, quat, joints = walking()
    pos[:, 2] += drift
    reference = prepared(pos, quat, joints)
    assert_sound(reference)
    assert "floated between" in reference.notes[0]


@pytest.mark.parametrize("height", [0.2, -0.2])
def test_stairs_are_not_taken_for_a_floating_floor(height):
    pos, quat, joints = walking()
    t = np.arange(N) / FPS
    up = np.clip((t - 1.8) / 0.4, 0, 1) + np.clip((t - 2.8) / 0.4, 0, 1)
    pos[:, 2] += height * (up if height > 0 else up[::-1] - 2)
    found, *_ = set_on_floor(RobotMotion(FPS, pos, quat, joints))
    assert np.ptp(lowest(found)) > 0.35  # they are still there, for the gate to refuse


def jumping(height):
    pos, quat, joints = standing_still()
    t = np.arange(N) / FPS - 2.0
    flying = np.maximum(0.0, height - 4.9 * t**2)
    pos[:, 2] += flying
    return pos, quat, joints, flying


@pytest.mark.parametrize("pace", [1.0, 0.5])
def test_nobody_flies_for_longer_than_a_jump(pace):
    *arrays, _ = jumping(0.3)
    prepare(replace(RobotMotion(FPS, *arrays), pace=pace))
    pos, quat, joints = walking()
    pos[:, 2] += 0.4 * np.clip(4.0 * (1.2 - np.abs(np.arange(N) / FPS - 2.2)), 0.0, 1.0)
    with pytest.raises(Refused, match=r"From 1\.1 s to 3\.3 s nothing supports the robot: it is up to 0\.40 m above"):
        prepare(replace(RobotMotion(FPS, pos, quat, joints), pace=pace))


def test_a_jump_is_kept_and_can_be_lowered():
    *arrays, flying = jumping(0.3)
    reference = prepared(*arrays)
    np.testing.assert_allclose(lowest(reference.motion), flying, atol=0.01)
    assert not reference.notes
    np.testing.assert_allclose(flight(reference.motion), np.where(flying > 0.02, flying, 0.0), atol=1e-6)
    half, none = (lowered(reference.motion, share) for share in (0.5, 0.0))
    np.testing.assert_allclose(flying + half[:, 2], np.minimum(flying, (flying + 0.05) / 2), atol=1e-6)
    np.testing.assert_allclose(flying + none[:, 2], np.minimum(flying, 0.05), atol=1e-6)
    assert only_lowers(none)
    assert not lowered(reference.motion, 1.0).any()


def lowest_foot_at(z, quat, joints):
    """Root positions (N, 3) m with which the lower sole is at these heights (N,)."""
    pos = np.zeros((N, 3))
    pos[:, 2] = z - lowest(RobotMotion(FPS, pos, quat, joints))
    return pos


def test_raised_heels_are_no_leaning_floor():
    _, quat, joints = standing_still()
    t = np.arange(N) / FPS
    deep = np.clip(np.minimum(t, 4.0 - t) / 0.5, 0.0, 1.0)[:, None]  # in the squat for three of four seconds
    joints[:, [0, 6]] -= 1.6 * deep
    joints[:, [3, 9]] += 1.9 * deep
    joints[:, [4, 10]] += 0.42 * deep  # the soles pitch forward with the pelvis, 0.7 rad
    reference = prepared(lowest_foot_at(0.0, quat, joints), quat, joints)
    assert not any("levelled" in note for note in reference.notes)
    np.testing.assert_allclose(reference.motion.root_quat_wxyz, quat, atol=1e-9)


def test_standing_on_the_toes_is_no_leaning_floor():
    _, quat, joints = standing_still()
    joints[:, [4, 10]] += 0.5
    reference = prepared(lowest_foot_at(0.0, quat, joints), quat, joints)
    np.testing.assert_allclose(reference.motion.root_quat_wxyz, quat, atol=1e-9)


def test_feet_in_the_air_over_the_hands_are_no_jump():
    """Half a second upside down, the arms stretched to the floor, as in a cartwheel."""
    pos, quat, joints = standing_still()
    t = np.arange(N) / FPS
    over = np.pi * np.clip(np.minimum(t - 1.0, 2.1 - t) / 0.45, 0.0, 1.0)
    quat = Rotation.from_euler("x", over[:, None]).as_quat(scalar_first=True)
    joints[:, [15, 22]] -= (np.pi * over / np.pi)[:, None]
    joints[:, [18, 25]] = STANDING[18] + (over / np.pi)[:, None] * (np.pi / 2 - STANDING[18])
    motion = RobotMotion(FPS, pos, quat, joints)
    hands = forward_kinematics(motion, ("left_wrist_yaw_link", "right_wrist_yaw_link"))[..., 2].min(axis=1)
    pos[:, 2] -= np.minimum(lowest(motion), hands - 0.15)
    given = pos.copy()
    assert (lowest(RobotMotion(FPS, pos, quat, joints)) > 0.3).sum() > 20
    reference = prepared(pos, quat, joints)
    assert not flight(reference.motion).any()
    np.testing.assert_allclose(np.diff(reference.motion.root_pos[:, 2]), np.diff(given[:, 2]), atol=0.002)


def test_who_sits_on_the_floor_with_raised_feet_is_neither_levelled_nor_sunk():
    """The feet tell where the floor is only while nothing is lower than they are: in the first and the last second."""
    n = 600
    down = np.clip(np.minimum(np.arange(n) - 10, n - 10 - np.arange(n)) / 40, 0.0, 1.0)
    quat = Rotation.from_euler("y", -0.5 * down[:, None]).as_quat(scalar_first=True)
    joints = np.tile(STANDING, (n, 1))
    joints[:, [0, 6]] -= 1.6 * down[:, None]
    joints[:, [4, 10]] += 0.2 * down[:, None]
    pos = np.zeros((n, 3))
    pos[:, 2] = np.maximum(-lowest(RobotMotion(FPS, pos, quat, joints)), 0.1)  # soles or seat on the floor
    assert lowest(RobotMotion(FPS, pos, quat, joints))[n // 2] > 0.2
    reference = prepared(pos, quat, joints)
    assert not reference.notes
    np.testing.assert_allclose(reference.motion.root_pos, pos, atol=1e-9)
    assert not flight(reference.motion).any()


def test_what_was_repaired_is_measured_and_the_motion_as_given_kept():
    pos, quat, joints = walking()
    pos[:, 2] += 0.08 + 0.09 * np.linspace(0, 1, N)
    joints[100:, 18] = 2.4
    reference = prepared(pos, quat, joints)
    assert reference.repaired_by["height"] == pytest.approx(0.065, abs=0.02)
    assert reference.repaired_by["joints"] == pytest.approx(2.4 - JOINT_LIMITS[18, 1], abs=0.01)
    np.testing.assert_allclose(np.ptp(reference.given.root_pos[:, 2]), 0.09, atol=1e-6)
    np.testing.assert_array_equal(reference.given.joint_pos, joints)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_leaning_world_is_levelled(axis):
    pos, quat, joints = standing_still()
    pos[:, 0] = 0.1 * np.arange(N) / FPS
    lean = Rotation.from_euler(axis, 0.5)
    reference = prepared(lean.apply(pos), np.tile(lean.as_quat(scalar_first=True), (N, 1)), joints)
    assert_sound(reference)
    assert "leaned by 0.50 rad" in reference.notes[0]
    np.testing.assert_allclose(reference.motion.root_quat_wxyz, quat, atol=1e-3)


def test_what_cannot_be_repaired_is_refused():
    for lean in (1.0, np.pi):
        pos, _, joints = standing_still()
        turn = Rotation.from_euler("y", lean)
        with pytest.raises(Refused, match="leans by"):
            prepared(turn.apply(pos), np.tile(turn.as_quat(scalar_first=True), (N, 1)), joints)
    pos, quat, joints = walking()
    pos[:, 2] += 0.5 * np.clip(1.6 - np.arange(N) / FPS, 0, 1)  # comes down from 0.5 m after a while
    with pytest.raises(Refused, match=r"begins with its feet 0\.50 m above"):
        prepared(pos, quat, joints)
    pos, quat, joints = walking()
    pos[100:, 0] += 1.0
    with pytest.raises(Refused, match="jumps at"):
        prepared(pos, quat, joints)


def test_feet_that_come_down_soon_are_waited_for():
    pos, quat, joints = walking()
    pos[:15, 2] += np.linspace(0.5, 0.0, 15)
    reference = prepared(pos, quat, joints)
    assert np.abs(lowest(reference.motion)[0]) < 0.1
    assert any("feet were not on the floor" in note for note in reference.notes)


@pytest.mark.parametrize("far", [0.5, 2.0])
def test_no_joint_is_led_faster_than_the_entry_speed(far):
    pos, quat, joints = standing_still()
    joints[:, 18] = STANDING[18] - far
    reference = prepared(pos, quat, joints)
    for trajectory in (
        Trajectory.blended(reference, STANDING, STANDING_FRAME, 1.0),
        Trajectory.standing(joints[0], 1.0),
    ):
        fastest = np.abs(np.diff(trajectory.joint_pos[:, 18])).max() * FPS
        assert fastest < ENTRY_SPEED * 1.01
        assert fastest == pytest.approx(min(ENTRY_SPEED, 1.875 * far), rel=0.2)  # nor needlessly slow


@needs_data
@pytest.mark.parametrize(
    "corrupt", sorted(set(TORN) - {frame0_sideways, frame0_joint_a_little}, key=lambda f: f.__name__)
)
def test_torn_ends_of_a_real_motion(corrupt):
    m = RobotMotion.load(DATA / "motions" / "asap_walk_level1.npz")
    arrays = m.root_pos.copy(), m.root_quat_wxyz.copy(), m.joint_pos.copy()
    corrupt(*arrays)
    reference = prepare(RobotMotion(m.fps, *arrays))
    assert "jumps between them and the rest" in reference.notes[0]
    assert abs(lowest(reference.motion)[0]) < 0.05
