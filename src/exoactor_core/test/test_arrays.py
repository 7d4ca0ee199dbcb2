import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import flags_of_runs, interpolate, true_runs, unit
from exoactor_core.rotations import shortest_turn


@pytest.mark.parametrize(
    ("flags", "runs"),
    [([], []), ([0, 0], []), ([1], [(0, 1)]), ([1, 1, 0, 0, 1], [(0, 2), (4, 5)]), ([0, 1, 1, 0], [(1, 3)])],
)
def test_runs_of_true(flags, runs):
    assert true_runs(np.array(flags, bool)) == runs
    np.testing.assert_array_equal(flags_of_runs(len(flags), runs), np.array(flags, bool))


def test_interpolation_of_rows():
    values = np.array([[0.0, 10.0], [1.0, 20.0]])
    np.testing.assert_allclose(
        interpolate(np.array([-1.0, 0.5, 9.0]), np.array([0.0, 1.0]), values), [[0, 10], [0.5, 15], [1, 20]]
    )


def test_the_shortest_turn_takes_one_direction_to_another_about_their_normal():
    directions = unit(np.random.default_rng(1).normal(size=(2, 20, 3)))
    turns = shortest_turn(*directions)
    np.testing.assert_allclose(Rotation.from_rotvec(turns).apply(directions[0]), directions[1], atol=1e-12)
    np.testing.assert_allclose(np.sum(turns * directions, axis=-1), 0.0, atol=1e-12)
    assert not shortest_turn(directions[0], directions[0]).any()
