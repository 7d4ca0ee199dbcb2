import numpy as np
import pytest

from exoactor_core.arrays import interpolate, true_runs


@pytest.mark.parametrize(
    ("flags", "runs"),
    [([], []), ([0, 0], []), ([1], [(0, 1)]), ([1, 1, 0, 0, 1], [(0, 2), (4, 5)]), ([0, 1, 1, 0], [(1, 3)])],
)
def test_runs_of_true(flags, runs):
    assert true_runs(np.array(flags, bool)) == runs


def test_interpolation_of_rows():
    values = np.array([[0.0, 10.0], [1.0, 20.0]])
    np.testing.assert_allclose(
        interpolate(np.array([-1.0, 0.5, 9.0]), np.array([0.0, 1.0]), values), [[0, 10], [0.5, 15], [1, 20]]
    )
