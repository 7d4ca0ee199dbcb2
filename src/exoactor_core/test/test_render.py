import os
import subprocess
import sys

import numpy as np
import pytest

from exoactor_core import robot
from exoactor_core.errors import Cancelled
from exoactor_core.motion import RobotMotion
from exoactor_core.render import render_motion
from exoactor_core.scene import Scene, everyday


def walk_straight(seconds=1.0, speed=1.0):
    still = robot.standing_motion(seconds)
    position = still.root_pos.copy()
    position[:, 0] += np.linspace(0, speed * seconds, len(still))
    return RobotMotion(still.fps, position, still.root_quat_wxyz, still.joint_pos)


def test_images_show_the_robot():
    calls = []
    frames = list(
        render_motion(
            robot.standing_motion(0.5), width=160, height=120, fps=10.0, progress=lambda f, text: calls.append(f)
        )
    )
    assert len(frames) == 6  # both ends
    assert all(f.shape == (120, 160, 3) and f.dtype == np.uint8 for f in frames)
    assert calls[-1] == 1.0
    assert len(calls) == 6
    middle = frames[0][20:110, 50:110].reshape(-1, 3).astype(int)
    assert (middle.min(axis=1) > 170).any(), "nothing white"
    assert (middle.max(axis=1) < 60).any(), "nothing dark"


def test_objects_are_drawn_where_they_are():
    motion = robot.standing_motion(0.1)
    scene = Scene(objects=(everyday("ball", pos=(0.5, 0.0, 0.3), color=(1.0, 0.0, 0.0)),))
    moved = np.repeat(scene.poses[None], len(motion), axis=0)
    moved[-1, :, 2] += 0.4

    def row_of_ball(frame):
        return np.argwhere((frame[..., 0] > 120) & (frame[..., 1] < 60))[:, 0].mean()

    first, *_, last = render_motion(motion, width=160, height=160, objects=(scene, moved))
    assert row_of_ball(last) < row_of_ball(first) - 15
    finer = render_motion(motion, width=160, height=160, fps=2.0 * motion.fps, objects=(scene, moved))
    *_, before, between, after = map(row_of_ball, finer)
    assert between == pytest.approx((before + after) / 2.0, abs=1.5)


def column_of_robot(frame):
    """Mean column of the darkest pixels: visor, joints and hands."""
    return np.argwhere(frame.max(axis=2) < 50)[:, 1].mean()


@pytest.mark.parametrize("at", [{"pos": (0.5, 0.0, 0.0)}, {"pos": (0.0, 0.9, 0.0), "yaw": np.pi / 2.0}])
def test_a_door_does_not_hide_the_robot(at):
    motion = robot.standing_motion(0.1)
    scene = Scene(objects=(everyday("door", **at),))
    poses = np.tile(scene.poses, (len(motion), 1, 1))
    (image, *_) = render_motion(motion, width=120, height=120, fps=20, objects=(scene, poses))
    moved = RobotMotion(motion.fps, motion.root_pos, motion.root_quat_wxyz, motion.joint_pos + 0.5)
    (other, *_) = render_motion(moved, width=120, height=120, fps=20, objects=(scene, poses))
    changed = np.abs(image.astype(int) - other).max(axis=2) > 40
    assert changed.mean() > 0.09  # half as much from the front


def test_camera_follows_the_robot():
    first, *_, last = render_motion(walk_straight(), width=128, height=128, fps=1.0)
    assert abs(column_of_robot(first) - column_of_robot(last)) < 8


def test_mujoco_may_be_imported_first():
    script = """
import mujoco
from exoactor_core.render import render_motion
from exoactor_core.robot import standing_motion
print(int(next(render_motion(standing_motion(), width=64, height=64)).mean()))
"""
    env = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert 60 < int(done.stdout) < 200


def test_two_motions_are_drawn_in_turn():
    """As side by side in one video."""
    motion = robot.standing_motion(0.2)
    alone = list(render_motion(motion, width=64, height=64, fps=10.0))
    pairs = zip(
        render_motion(motion, width=64, height=64, fps=10.0),
        render_motion(walk_straight(0.2), width=96, height=64, fps=10.0),
        strict=True,
    )
    for expected, (one, other) in zip(alone, pairs, strict=True):
        np.testing.assert_array_equal(one, expected)
        assert other.shape == (64, 96, 3)


def test_ghost_is_drawn_and_may_be_shorter():
    motion = robot.standing_motion(0.2)
    beside = robot.standing_motion()
    beside = RobotMotion(50.0, beside.root_pos + np.array([0, 0.4, 0]), beside.root_quat_wxyz, beside.joint_pos)
    alone = list(render_motion(motion, width=96, height=96, fps=5.0))
    both = list(render_motion(motion, width=96, height=96, fps=5.0, ghost=beside))
    assert len(alone) == len(both) == 2
    assert np.abs(alone[1].astype(int) - both[1]).mean() > 1.0


def test_cancelling_stops():
    def cancel(fraction, text):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        list(render_motion(robot.standing_motion(1.0), width=64, height=64, progress=cancel))
