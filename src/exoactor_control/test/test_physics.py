"""Physics of many robots: MuJoCo Warp, on the CPU, beside MuJoCo."""

import os

import numpy as np
import pytest
from test_training import LAYOUT, episode

from exoactor_control.training import physics
from exoactor_control.training.environment import DomainRandomization, Robots
from exoactor_core.errors import Missing


@pytest.fixture(autouse=True)
def _warp():
    pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed: make extras")


@pytest.mark.slow  # Warp compiles its kernels
def test_robots_move_alike_by_warp_and_by_mujoco():
    ours, warps = (
        Robots(
            3,
            lambda i: episode(),
            LAYOUT,
            DomainRandomization(push=60.0, push_every=0.1),
            seed=0,
            threads=1,
            warp_device=w,
        )
        for w in ("", "cpu")
    )
    rng = np.random.default_rng(0)
    for _ in range(8):
        action = 0.3 * rng.normal(size=(3, 29))
        for robots in (ours, warps):
            robots.observe()
            robots.advance(action)
    assert np.abs(ours.qpos - ours.qpos[0]).max() > 0.05  # each is another one
    np.testing.assert_allclose(warps.qpos, ours.qpos, atol=0.01)
    np.testing.assert_allclose(warps._state, ours._state, atol=0.7)


@pytest.mark.slow
def test_a_robot_that_becomes_unstable_begins_again():
    robots = Robots(
        2, lambda i: episode(), LAYOUT, DomainRandomization(push_every=0.0), seed=0, threads=1, warp_device="cpu"
    )
    robots._state[0, 8:] = 1e9
    robots.advance(np.zeros((2, 29)))
    assert np.isfinite(robots.qpos).all()
    np.testing.assert_array_equal(robots.qpos[0], robots._base.qpos0)
    assert np.abs(robots.qpos[1, :2]).max() < 0.1


@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="there is a GPU")
def test_without_a_gpu_it_is_said():
    with pytest.raises(Missing, match="no NVIDIA GPU"):
        physics.WarpPhysics(Robots(1, lambda i: episode(), LAYOUT, threads=1)._base, 1, 1)
