import numpy as np
import pytest

from exoactor_control.controller.foot_placement import FootPlacement
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import STANDING, sole_points, standing_motion

LEFT, RIGHT, NONE = np.array([True, False]), np.array([False, True]), np.zeros(2, dtype=bool)


def feet(joints: np.ndarray) -> np.ndarray:
    """(2, 2) m, the middles of the soles from the pelvis, ahead and left."""
    one = standing_motion(0.1)
    motion = RobotMotion(50.0, one.root_pos[:1] * [0, 0, 1], one.root_quat_wxyz[:1], (STANDING + joints)[None])
    return sole_points(motion)[0].mean(axis=1)[:, :2]


def after(placement: FootPlacement, swings: np.ndarray, behind, ticks: int) -> np.ndarray:
    for _ in range(ticks):
        joints, _ = placement.update(swings, np.asarray(behind))
    return joints


def test_a_foot_that_swings_is_set_down_by_the_position_error_and_the_other_stays():
    placement = FootPlacement()
    first = after(placement, LEFT, (0.05, 0.03), 25)
    apart = np.diff(feet(first) - feet(np.zeros(29)), axis=0)[0]
    np.testing.assert_allclose(apart, [-0.05, -0.03], atol=0.012)
    both = after(placement, NONE, (0.05, 0.03), 50)
    np.testing.assert_allclose(feet(both).mean(axis=0), feet(np.zeros(29)).mean(axis=0), atol=0.012)  # between them


def test_two_steps_bring_the_pelvis_there_and_the_legs_are_as_before():
    placement, way = FootPlacement(), np.zeros(2)
    for swings, behind in ((LEFT, (-0.06, 0.02)), (RIGHT, (0.0, 0.0)), (NONE, (0.0, 0.0))):
        for _ in range(60):
            joints, velocity = placement.update(swings, np.array(behind))
            way += velocity / 50.0
    np.testing.assert_allclose(way, [-0.06, 0.02], atol=1e-3)
    np.testing.assert_allclose(joints, 0.0, atol=1e-3)


def test_a_step_is_longer_by_a_limit_at_most():
    assert np.linalg.norm(np.diff(feet(after(FootPlacement(), LEFT, (5.0, 0.0), 25)), axis=0)[0, 0]) < 0.1


@pytest.mark.parametrize("behind", [(0.1, 0.0), (0.0, -0.1)])
def test_who_stands_is_not_moved(behind):
    np.testing.assert_array_equal(after(FootPlacement(), NONE, behind, 50), 0.0)
