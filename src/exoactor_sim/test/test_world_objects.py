import numpy as np
import pytest

from exoactor_core.contacts import BODY_PARTS
from exoactor_core.dex3 import hand_targets
from exoactor_core.scene import everyday, joined
from exoactor_sim.world import World

SCENE = joined(
    [everyday("table", pos=(1.2, 0, 0)), everyday("cup", pos=(1.0, 0, 0.74)), everyday("door", pos=(0, 2, 0.01))]
)


def run(world: World, seconds: float) -> None:
    for _ in range(round(seconds / world.model.opt.timestep)):
        world.step()


def test_objects_rest_where_the_scene_has_them():
    world = World(scene=SCENE)
    run(world, 0.5)
    assert world.held
    np.testing.assert_allclose(world.object_poses, SCENE.poses, atol=2e-3)
    world.count_contacts()
    assert world.contact_forces().shape == (3, len(BODY_PARTS))


def test_a_robot_that_is_picked_up_leaves_objects_where_they_are_and_a_reset_does_not():
    world = World(scene=SCENE)
    start = world.data.qpos[world._objects_qpos].copy()
    moved = start + np.array([0.3, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5])
    world.data.qpos[world._objects_qpos] = moved
    world.reset(objects=False)
    np.testing.assert_allclose(world.data.qpos[world._objects_qpos], moved)
    assert world.root_pos[:2] == pytest.approx([0, 0])
    world.reset()
    np.testing.assert_allclose(world.data.qpos[world._objects_qpos], start)


def test_the_robot_stands_on_its_soles_beside_objects_too():
    plain, beside = World(), World(scene=SCENE)
    assert beside.root_pos[2] == pytest.approx(plain.root_pos[2])


def test_hands_do_what_they_are_commanded():
    world = World(hands="dex3", band=True)
    assert world.has_fingers
    closed = hand_targets(np.zeros(2))
    world.command_hand(0, closed[0], np.zeros(7), np.full(7, 1.5), np.full(7, 0.1))
    world.command_hand(1, closed[1], np.zeros(7), np.zeros(7), np.full(7, 0.1))  # without stiffness it stays limp
    run(world, 1.0)
    q, dq, torque = world.hand_state(0)
    assert q == pytest.approx(closed[0], abs=0.1)
    assert np.abs(dq).max() < 0.2
    assert np.abs(torque).max() < 0.3
    assert np.abs(world.hand_state(1)[0]).max() < 0.5
    assert not World().has_fingers
