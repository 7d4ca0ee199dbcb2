from dataclasses import replace

import numpy as np
import pytest
from control_helpers import DATA, needs_data
from scipy.spatial.transform import Rotation

from exoactor_control.reference.trajectory import STANDING_FRAME, Trajectory, prepare, starting_path, stopping_path
from exoactor_core.errors import BadInput, Refused
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import JOINT_LIMITS, STANDING, STANDING_HEIGHT, VELOCITY_LIMITS, sole_points


def motion(frames=100, fps=50.0, speed=0.0, turn=0.0, yaw=0.0, height=STANDING_HEIGHT):
    """Glide along the heading while turning."""
    t = np.arange(frames) / fps
    heading = yaw + turn * t
    steps = speed / fps * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    pos = np.column_stack([np.cumsum(steps, axis=0), np.full(frames, height)])
    quat = Rotation.from_euler("z", heading[:, None]).as_quat(scalar_first=True)
    return RobotMotion(fps, pos, quat, np.tile(STANDING, (frames, 1)))


def changed(m, **fields):
    return RobotMotion(**{**{k: getattr(m, k) for k in ("fps", "root_pos", "root_quat_wxyz", "joint_pos")}, **fields})


def test_a_good_motion_is_left_alone():
    m = motion(speed=1.0)
    reference = prepare(m)
    assert reference.notes == ()
    np.testing.assert_allclose(reference.motion.root_pos, m.root_pos)
    np.testing.assert_allclose(reference.motion.joint_pos, m.joint_pos)


@pytest.mark.parametrize("fps", [24.0, 29.87, 30.0, 120.0])
def test_resampled_to_50_hz(fps):
    m = motion(frames=int(2 * fps) + 1, fps=fps, speed=1.0, turn=1.0)
    r = prepare(m).motion
    assert r.fps == 50
    assert abs(r.duration - m.duration) < 1 / 50
    yaw = Rotation.from_quat(r.root_quat_wxyz, scalar_first=True).as_euler("ZYX")[:, 0]
    np.testing.assert_allclose(yaw, np.arange(len(r)) / 50, atol=1e-6)


def test_at_half_the_pace_it_takes_twice_as_long():
    walk = motion(speed=0.5)
    full, half = prepare(walk).motion, prepare(replace(walk, pace=0.5)).motion
    np.testing.assert_allclose(half.root_pos[::2], full.root_pos, atol=1e-3)
    assert half.pace == 1.0


def test_velocities_are_in_the_pelvis_frame():
    trajectory = Trajectory.blended(prepare(motion(200, speed=0.8, turn=0.5, yaw=2.0)), STANDING, STANDING_FRAME, 1.0)
    middle = slice(trajectory.begin + 20, trajectory.end - 20)
    np.testing.assert_allclose(trajectory.lin_vel_xy[middle], [[0.8, 0.0]] * 160, atol=0.01)
    np.testing.assert_allclose(trajectory.yaw_rate[middle], 0.5, atol=1e-6)


def test_blends_lead_from_the_present_pose_to_standing():
    rng = np.random.default_rng(0)
    measured = STANDING + rng.uniform(-0.2, 0.2, 29)
    m = changed(motion(speed=0.2), joint_pos=np.tile(STANDING + 0.1, (100, 1)))
    trajectory = Trajectory.blended(prepare(m), measured, STANDING_FRAME, 1.0)
    assert (trajectory.begin, trajectory.end, len(trajectory)) == (50, 150, 200)
    np.testing.assert_allclose(trajectory.joint_pos[0], measured, atol=1e-3)
    np.testing.assert_allclose(trajectory.joint_pos[-1], STANDING, atol=1e-3)
    assert np.abs(np.diff(trajectory.joint_pos, axis=0)).max() * 50 < 1.0
    np.testing.assert_allclose(trajectory.lin_vel_xy[[0, -1]], 0.0, atol=1e-6)
    past = trajectory.frame(10_000)
    np.testing.assert_array_equal(past.lin_vel_xy, 0.0)
    np.testing.assert_allclose(past.joint_pos, STANDING, atol=1e-3)


@pytest.mark.parametrize(("raised", "first"), [(3, 0), (9, 6)])
def test_a_motion_that_ends_in_mid_stride_is_walked_to_a_stop(raised, first):
    """The pelvis slows down over a second, the legs step by turns, the raised one first; then it stands."""
    joints = np.tile(STANDING, (100, 1))
    joints[50:, raised] += np.linspace(0.0, 0.4, 50)
    joints[50:, [raised - 3, raised + 1]] -= np.linspace(0.0, 0.2, 50)[:, None]
    reference = prepare(changed(motion(speed=1.0), joint_pos=joints))
    trajectory = Trajectory.blended(reference, STANDING, STANDING_FRAME, 0.4)
    out = trajectory.root_pos[trajectory.end - 1 :, 0]
    speed = np.diff(out) * 50
    assert len(speed) == 50
    assert speed[0] == pytest.approx(1.0, abs=0.02)
    assert (np.diff(speed) < 0.0).all()
    assert speed[-1] < 0.02
    assert out[-1] - out[0] == pytest.approx(0.5, abs=0.02)
    bent = trajectory.joint_pos[trajectory.end :, [3, 9]] - STANDING[3]
    assert bent[12].argmax() == first // 6
    assert bent[37].argmax() == 1 - first // 6
    np.testing.assert_allclose(trajectory.joint_pos[-1], STANDING, atol=1e-3)
    assert len(stopping_path(motion(speed=0.2))) == 0


@pytest.mark.parametrize(("raised", "last"), [(3, 0), (9, 6)])
def test_a_motion_that_begins_in_mid_stride_is_walked_into(raised, last):
    """The pelvis gets faster over a second, the legs step by turns, the raised one last."""
    joints = np.tile(STANDING, (100, 1))
    joints[:50, raised] += np.linspace(0.2, 0.0, 50)
    joints[:50, [raised - 3, raised + 1]] -= np.linspace(0.1, 0.0, 50)[:, None]
    reference = prepare(changed(motion(speed=1.0), joint_pos=joints))
    trajectory = Trajectory.blended(reference, STANDING, STANDING_FRAME, 0.4)
    assert trajectory.begin == 50
    way = trajectory.root_pos[: trajectory.begin + 1, 0]
    speed = np.diff(way) * 50
    assert speed[0] < 0.02
    assert (np.diff(speed) > 0.0).all()
    assert speed[-1] == pytest.approx(1.0, abs=0.02)
    assert way[-1] - way[0] == pytest.approx(0.5, abs=0.02)
    bent = trajectory.joint_pos[: trajectory.begin, [3, 9]] - STANDING[3]
    assert bent[12].argmax() == 1 - last // 6
    assert bent[37].argmax() == last // 6
    np.testing.assert_allclose(trajectory.joint_pos[0], STANDING, atol=1e-3)
    assert len(starting_path(motion(speed=0.2))) == 0


def test_a_motion_begins_and_ends_on_both_feet_if_it_can():
    """A foot that comes down within half a second is let come down; one that stays up is what the motion is about."""
    joints, bend = np.tile(STANDING, (100, 1)), np.array([-0.5, 1.0, -0.5])
    raised = joints.copy()
    raised[:, [0, 3, 4]] += bend
    joints[:20, [0, 3, 4]] += np.outer(np.linspace(1.0, 0.0, 20), bend)
    joints[90:, [0, 3, 4]] += np.outer(np.linspace(0.0, 1.0, 10), bend)
    reference = prepare(changed(motion(), joint_pos=joints))
    feet = sole_points(reference.motion)[..., 2].min(axis=2)
    assert feet[[0, -1]].max() < 0.05
    assert 0.1 < reference.begin < 0.4
    assert [note[:9] for note in reference.notes if "dropped" in note] == ["The first", "The last "]
    assert len(prepare(changed(motion(), joint_pos=raised)).motion) == 100


@pytest.mark.parametrize("offset", [0.08, -0.05])
def test_feet_are_set_on_the_floor(offset):
    reference = prepare(motion(height=STANDING_HEIGHT + offset))
    assert abs(sole_points(reference.motion)[..., 2].min()) < 1e-6
    assert ("down" if offset > 0 else "up") in reference.notes[0]


def test_broken_ends_are_dropped_and_jumps_between_refused():
    pos = motion().root_pos.copy()
    pos[0, 2] += 1.0
    reference = prepare(changed(motion(), root_pos=pos))
    assert len(reference.motion) == 97
    assert "first 3 frames" in reference.notes[0]
    pos = motion().root_pos.copy()
    pos[-2:, 0] += 1.0
    assert len(prepare(changed(motion(), root_pos=pos)).motion) == 98
    pos = motion().root_pos.copy()
    pos[50:, 0] += 1.0
    with pytest.raises(Refused, match=r"jumps at 0\.98 s.*50\.0 m/s"):
        prepare(changed(motion(), root_pos=pos))


def test_joints_are_held_inside_their_limits():
    joints = np.tile(STANDING, (100, 1))
    joints[:, 3] = JOINT_LIMITS[3, 1] + 0.5
    reference = prepare(changed(motion(), joint_pos=joints))
    assert (reference.motion.joint_pos <= JOINT_LIMITS[:, 1]).all()
    assert "0.50 rad" in " ".join(reference.notes)


def test_too_short_and_nan():
    with pytest.raises(Refused, match="too short"):
        prepare(motion(frames=1))
    joints = np.tile(STANDING, (100, 1))
    joints[7, 3] = np.nan
    with pytest.raises(BadInput, match="frame 7"):
        changed(motion(), joint_pos=joints)


@needs_data
def test_every_shared_motion_can_be_prepared():
    for path in sorted((DATA / "motions").glob("*.npz")):
        r = prepare(RobotMotion.load(path)).motion
        assert (np.linalg.norm(np.diff(r.root_pos, axis=0), axis=1) * 50 < 6).all(), path
        assert (np.abs(np.diff(r.joint_pos, axis=0)) * 50 < VELOCITY_LIMITS).all(), path
        lowest = sole_points(r)[..., 2].min(axis=(1, 2))
        assert abs(np.percentile(lowest, 20)) < 0.011, path
