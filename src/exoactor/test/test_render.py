import numpy as np
import pytest

from exoactor import robot
from exoactor.errors import Cancelled
from exoactor.motion import RobotMotion
from exoactor.render import render_motion


def walk_straight(seconds=1.0, speed=1.0):
    still = robot.standing_motion(seconds)
    position = still.root_pos.copy()
    position[:, 0] += np.linspace(0, speed * seconds, len(still))
    return RobotMotion(still.fps, position, still.root_quat_wxyz, still.joint_pos)


def test_pictures_show_the_robot():
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


def test_camera_follows_the_robot_or_stands_still():
    motion = walk_straight()
    first, *_, last = (f.astype(int) for f in render_motion(motion, width=96, height=96, fps=2.0))
    still_first, *_, still_last = (
        f.astype(int) for f in render_motion(motion, width=96, height=96, fps=2.0, follow=False)
    )
    robot_rows = slice(10, 40)  # above the floor's tiles
    assert np.abs(first - last)[robot_rows, 30:66].mean() < np.abs(still_first - still_last)[robot_rows].mean()


def test_ghost_is_drawn_and_may_be_shorter():
    motion = robot.standing_motion(0.2)
    beside = robot.standing_motion()
    beside = RobotMotion(50.0, beside.root_pos + [0, 0.4, 0], beside.root_quat_wxyz, beside.joint_pos)
    alone = list(render_motion(motion, width=96, height=96, fps=5.0))
    both = list(render_motion(motion, width=96, height=96, fps=5.0, ghost=beside))
    assert len(alone) == len(both) == 2
    assert np.abs(alone[1].astype(int) - both[1]).mean() > 1.0


def test_cancelling_stops():
    def cancel(fraction, text):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        list(render_motion(robot.standing_motion(1.0), width=64, height=64, progress=cancel))
