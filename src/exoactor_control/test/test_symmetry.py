"""Networks that do to one side what they do to the other."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from exoactor_control.policy.policy import Policy
from exoactor_control.policy.spec import FOLDER, SHIPPED
from exoactor_control.reference.trajectory import STANDING_FRAME
from exoactor_control.training.anchored import OBSERVATION_WIDTH as ANCHORED_WIDTH
from exoactor_control.training.environment import OBSERVATION_WIDTH
from exoactor_control.training.references import mirrored_joints
from exoactor_control.training.student import Student, to_onnx
from exoactor_control.training.symmetry import MIRRORED_OBSERVATIONS, symmetric
from exoactor_core.robot_state import RobotState

_FLIP_POSITION, _FLIP_TURN = np.array([1.0, -1.0, 1.0]), np.array([-1.0, 1.0, -1.0])


def states_and_frames(velocity=(0.3, -0.1), count=12):
    """What a robot that moves at random measures, and what it is commanded."""
    rng = np.random.default_rng(0)
    for t in range(count):
        quat = rng.normal(size=4) * (0.0, 0.2, 0.2, 0.2) + (1.0, 0.0, 0.0, 0.0)
        state = RobotState(
            0.02 * t,
            rng.normal(size=29),
            rng.normal(size=29),
            quat / np.linalg.norm(quat),
            rng.normal(size=3),
            position=rng.normal(size=3),
        )
        frame = replace(
            STANDING_FRAME,
            lin_vel_xy=np.array(velocity),
            roll_pitch=0.2 * rng.normal(size=2),
            yaw=0.2 * rng.normal(),
            yaw_rate=rng.normal(),
            joint_pos=rng.normal(size=29),
            position=rng.normal(size=3),
        )
        yield state, frame


def mirrored(state, frame):
    """The same for the robot's mirror image."""
    return (
        replace(
            state,
            joint_pos=mirrored_joints(state.joint_pos),
            joint_vel=mirrored_joints(state.joint_vel),
            quat_wxyz=state.quat_wxyz * (1.0, *_FLIP_TURN),
            ang_vel=state.ang_vel * _FLIP_TURN,
            position=state.position * _FLIP_POSITION,
        ),
        replace(
            frame,
            lin_vel_xy=frame.lin_vel_xy * _FLIP_POSITION[:2],
            roll_pitch=frame.roll_pitch * _FLIP_TURN[:2],
            yaw=-frame.yaw,
            yaw_rate=-frame.yaw_rate,
            joint_pos=mirrored_joints(frame.joint_pos),
            position=frame.position * _FLIP_POSITION,
        ),
    )


def mirrored_observation(observation):
    index, signs = MIRRORED_OBSERVATIONS[observation.shape[-1]]
    return (observation[..., index] * signs).astype(observation.dtype)


def saved(path, model):
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize(("layout", "width"), [("twist2", OBSERVATION_WIDTH), ("anchored", ANCHORED_WIDTH)])
def test_the_mirror_image_of_what_is_observed_is_what_the_mirror_image_observes(tmp_path, layout, width):
    policy, image = (Policy.load(saved(tmp_path / "p.onnx", to_onnx(Student(width, (8,)))), layout) for _ in range(2))
    for state, frame in states_and_frames():
        seen = policy.observe(state, frame, lambda _, frame=frame: frame)
        other_state, other = mirrored(state, frame)
        assert np.allclose(image.observe(other_state, other, lambda _, other=other: other), mirrored_observation(seen))


@pytest.mark.parametrize("better_side", [-1, 1])
def test_a_network_steps_to_its_worse_side_as_its_mirror_image(tmp_path, better_side):
    plain = to_onnx(Student(OBSERVATION_WIDTH, (8,)))
    network = Policy.load(saved(tmp_path / "plain.onnx", plain), "twist2").network
    whole = Policy.load(saved(tmp_path / "whole.onnx", symmetric(plain, better_side)), "twist2")
    for ahead, aside, share in [
        (0.0, 0.2, 0.0),
        (0.0, 0.0, 0.0),
        (0.0, -0.1, 0.5),
        (0.0, -0.2, 1.0),
        (-0.5, -0.2, 0.0),
    ]:
        for state, frame in states_and_frames((ahead, better_side * aside)):
            seen = whole.observe(state, frame)
        own, image = network.run(seen)[0], mirrored_joints(network.run(mirrored_observation(seen))[0])
        assert np.allclose(whole.network.run(seen)[0], own + share * (image - own), atol=1e-4)
        assert not np.allclose(own, image, atol=1e-2)


def test_the_shipped_tracker_steps_alike_to_both_sides():
    policy = Policy.load(FOLDER / f"{SHIPPED}.onnx")
    for state, frame in states_and_frames((0.0, 0.15)):
        seen = policy.observe(state, frame)
    image = policy.network.run(mirrored_observation(seen))[0]
    assert np.allclose(image, mirrored_joints(policy.network.run(seen)[0]), atol=1e-4)
