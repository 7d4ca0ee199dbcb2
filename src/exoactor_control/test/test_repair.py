"""References that are bad are repaired or refused before the robot moves."""

import numpy as np
import pytest
from control_helpers import DATA, needs_data
from scipy.spatial.transform import Rotation

from exoactor.errors import Refused
from exoactor.motion import RobotMotion
from exoactor.robot import STANDING, STANDING_HEIGHT, VELOCITY_LIMITS, sole_points
from exoactor_control.reference import ENTRY_SPEED, STANDING_FRAME, Trajectory, prepare

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
    frame0_high, frame0_sideways, frames_low, frame0_joint, frame0_joint_a_little, frame0_tilted, frame0_turned,
    last_frame,
]  # fmt: skip


@pytest.mark.parametrize("corrupt", TORN)
@pytest.mark.parametrize("motion", [walking, standing_still])
def test_torn_ends_are_dropped(corrupt, motion):
    arrays = motion()
    corrupt(*arrays)
    reference = prepared(*arrays)
    assert_sound(reference)
    assert N - 8 <= len(reference.motion) < N
    assert "torn off" in reference.notes[0]


@pytest.mark.parametrize("offset", [0.08, 1.0, -0.2, -0.9])
def test_every_frame_too_high_or_too_low(offset):
    pos, quat, joints = walking()
    pos[:, 2] += offset
    reference = prepared(pos, quat, joints)
    assert_sound(reference)
    assert f"{abs(offset):.3f} m onto the floor" in reference.notes[0]


@pytest.mark.parametrize("drift", [0.09 * np.linspace(0, 1, N), 0.04 * np.sin(np.linspace(0, 6, N)),
                                   -0.19 * np.linspace(0, 1, N)])  # fmt: skip
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
    found = lowest(prepared(pos, quat, joints).motion)
    assert np.ptp(found) > 0.35  # they are still there, for the rehearsal to refuse


def test_a_jump_is_flattened():
    pos, quat, joints = standing_still()
    t = np.arange(N) / FPS - 2.0
    flight = np.maximum(0.0, 0.3 - 4.9 * t**2)
    pos[:, 2] += flight
    reference = prepared(pos, quat, joints)
    np.testing.assert_allclose(lowest(reference.motion), np.minimum(flight, 0.05), atol=0.01)
    assert "jump 0.30 m high was flattened" in reference.notes[0]


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
    assert "torn off" in reference.notes[0]
    assert abs(lowest(reference.motion)[0]) < 0.05
