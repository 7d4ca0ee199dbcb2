import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from control_helpers import TWIST2, needs_data
from typer.testing import CliRunner

from exoactor.cli import app
from exoactor_control.controller.safety import Safety
from exoactor_control.policy.policy import Policy
from exoactor_control.policy.spec import known_specs
from exoactor_control.reference.trajectory import STANDING_FRAME, Reference, Trajectory
from exoactor_control.rehearsal.rehearsal import Disturbance, SimulatedRobot
from exoactor_control.training import data
from exoactor_control.training.clips import Clips
from exoactor_control.training.environment import NOMINAL, OBSERVATION_WIDTH, DomainRandomization, Episode, Robots
from exoactor_control.training.references import mirror, random_task
from exoactor_control.training.student import Student, to_onnx
from exoactor_core.errors import BadInput, Cancelled, Missing
from exoactor_core.motion import JOINT_NAMES, RobotMotion
from exoactor_core.robot import JOINT_LIMITS, STANDING, forward_kinematics, standing_motion
from exoactor_core.robot_state import MotorCommand, RobotState
from exoactor_gen.mannequin.language import parse

LAYOUT = known_specs()["twist2"]


def waving() -> RobotMotion:
    still = standing_motion(2.0)
    t = np.arange(len(still)) / 50
    joints = still.joint_pos.copy()
    joints[:, JOINT_NAMES.index("left_shoulder_roll_joint")] += 0.5 * np.sin(3.0 * t)
    pos = still.root_pos + np.column_stack([0.2 * t, 0.1 * t, 0.0 * t])
    return RobotMotion(50.0, pos, still.root_quat_wxyz, joints)


def episode(stand: int = 5) -> Episode:
    return Episode.from_trajectory(Trajectory.blended(Reference(waving(), ()), STANDING, STANDING_FRAME, 1.0), stand)


def test_random_tasks_are_understood_by_the_generator():
    tasks = [random_task(np.random.default_rng(k)) for k in range(300)]
    for task in tasks:
        parse(task)
    assert len(set(tasks)) > 250


def test_mirroring_mirrors_every_link():
    rng = np.random.default_rng(0)
    n = 8
    quat = np.array([1.0, 0, 0, 0]) + 0.3 * rng.normal(size=(n, 4))
    quat /= np.linalg.norm(quat, axis=1, keepdims=True)
    motion = RobotMotion(50.0, rng.normal(size=(n, 3)), quat, 0.4 * rng.normal(size=(n, 29)))
    left, right = (
        tuple(f"{side}_{part}_link" for part in ("ankle_roll", "knee", "wrist_yaw")) for side in ("left", "right")
    )
    np.testing.assert_allclose(
        forward_kinematics(mirror(motion), left), forward_kinematics(motion, right) * (1, -1, 1), atol=1e-4
    )


def test_the_clips_vary_and_keep_the_limits(tmp_path):
    waving().save(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(b"no motion")
    clips = Clips([tmp_path / "a.npz", tmp_path / "b.npz"], {})
    assert clips.names == ["a.npz"]
    assert "b.npz" in clips.left_out["b.npz"]
    a, b = (clips.draw(np.random.default_rng(k)).episode for k in (1, 2))
    assert len(a) != len(b) or np.abs(a.mimic - b.mimic).max() > 0.01
    same = clips.draw(np.random.default_rng(1)).episode
    np.testing.assert_array_equal(a.mimic, same.mimic)
    with pytest.raises(Missing):
        Clips([], {})


def corrected() -> RobotMotion:
    motion = waving()
    return replace(motion, correction=np.random.default_rng(0).normal(size=(len(motion), 35)) * 0.1)


def test_a_correction_is_mirrored_as_what_it_is_added_to():
    motion = corrected()
    episode, other = (
        Episode.from_trajectory(Trajectory.blended(Reference(m, ()), STANDING, STANDING_FRAME, 1.0))
        for m in (motion, mirror(motion))
    )
    signs = np.sign(episode.mimic[:, :6] * other.mimic[:, :6]).sum(axis=0)
    np.testing.assert_array_equal(np.sign(signs)[[0, 1, 2]], [1, -1, 1])
    np.testing.assert_allclose(mirror(motion).correction[:, :6], motion.correction[:, :6] * (1, -1, 1, -1, 1, -1))


def test_the_simulated_robots_observe_what_the_deployed_policy_does(tmp_path):
    """Number by number over some steps, histories and last actions among them."""
    given = [episode()]
    robots = Robots(1, lambda i: given[0], LAYOUT, NOMINAL, seed=2, threads=1)
    robots.gains[:] = 0.0
    path = tmp_path / "p.onnx"
    import onnx

    onnx.save(to_onnx(Student()), str(path))
    policy = Policy.load(path, "twist2")
    rng = np.random.default_rng(0)
    trajectory = Trajectory.blended(Reference(waving(), ()), STANDING, STANDING_FRAME, 1.0)
    for t in range(20):
        state = RobotState(0.0, robots.qpos[0, 7:], robots.qvel[0, 6:], robots.qpos[0, 3:7], robots.qvel[0, 3:6])
        frame = STANDING_FRAME if t < 5 else trajectory.frame(t - 5)
        expected = policy.observe(state, frame)
        np.testing.assert_allclose(robots.observe()[0], expected, atol=1e-5)
        action = 0.3 * rng.normal(size=(1, 29))
        policy.last_action = action[0]
        robots.advance(action)


@pytest.mark.parametrize("delay", [0, 5])
def test_the_simulated_robots_move_as_the_rehearsed_one_does(delay):
    """Targets that jump leave the controller spread over the time in which the joint could follow."""
    robots = Robots(1, lambda i: episode(), LAYOUT, NOMINAL, seed=2, threads=1)
    robots._delay[:] = delay
    robot = SimulatedRobot(0.002, standing_motion(), False, Disturbance(delay=0.002 * delay))
    robot.data.qpos[:], robot.data.qvel[:] = robots.qpos[0], robots.qvel[0]
    safety = Safety(LAYOUT.effort_limits)
    safety.begin(STANDING, -0.002)
    hold = MotorCommand(q=STANDING, kp=LAYOUT.kp, kd=LAYOUT.kd)
    for _ in range(delay):
        robot.delayed(hold)
    for leap in (1.5, -1.5):
        action = np.zeros((1, 29))
        action[0, [3, 18]] = leap / np.broadcast_to(LAYOUT.action_scale, 29)[[3, 18]]  # left knee and elbow
        robots.advance(action)
        target = np.clip(LAYOUT.default_pose + LAYOUT.action_scale * action[0], *JOINT_LIMITS.T)
        for _ in range(10):
            command = safety.limit(replace(hold, q=target), robot.state(), robot.time)
            robot.advance(robot.delayed(command).torque(robot.joint_pos, robot.joint_vel))
        np.testing.assert_allclose(robots.qpos[0, 7:], robot.joint_pos, atol=2e-3)


def test_a_late_action_is_labelled_by_the_state_in_which_it_takes_effect():
    robots = Robots(1, lambda i: episode(), LAYOUT, NOMINAL, seed=2, threads=1)
    robots._delay[:] = 5
    seen = robots.observe()
    clean = robots.advance(np.full((1, 29), 0.5))
    moved = slice(35 + 5, 35 + 5 + 29)
    assert np.abs(clean - seen)[0, moved].max() > 1e-6
    robots = Robots(1, lambda i: episode(), LAYOUT, NOMINAL, seed=2, threads=1)
    seen = robots.observe()
    clean = robots.advance(np.full((1, 29), 0.5))
    np.testing.assert_allclose(clean, seen, atol=1e-6)


def test_the_teachers_command_feeds_the_joints_errors_back():
    robots = Robots(1, lambda i: episode(), LAYOUT, NOMINAL, seed=2, threads=1, teacher_feedback=0.5)
    robots.qpos[0, 7] += 0.2
    error = (robots.clean_now() - robots.observe())[0, 6:35]
    np.testing.assert_allclose(error, np.r_[-0.1, np.zeros(28)], atol=1e-6)


def test_pushes_are_punches_of_up_to_48_newton_seconds_at_torso_pelvis_and_arms():
    robots = Robots(1, lambda i: episode(), LAYOUT, DomainRandomization(push_every=0.1), seed=0, threads=1)
    impulses, bodies, rng = [0.0], set(), np.random.default_rng(0)
    for _ in range(3000):
        pushed = bool(robots._force.any())
        robots._push(rng)
        if robots._force.any():
            body = int(np.flatnonzero(robots._force[0].any(axis=1))[0])
            bodies.add(robots._base.body(body).name)
            impulses = impulses if pushed else [*impulses, 0.0]
            impulses[-1] += float(np.linalg.norm(robots._force[0, body])) / 50.0
    assert 36.0 < max(impulses) < 48.1
    assert np.median(impulses) < 16.0
    assert {"torso_link", "pelvis", "left_elbow_link", "right_shoulder_roll_link"} <= bodies


def test_robots_differ_as_they_are_told_to():
    robots = Robots(2, lambda i: episode(), LAYOUT, DomainRandomization(), seed=0, threads=1)
    a, b = robots._models
    assert np.abs(a.body_mass[1:] / b.body_mass[1:] - 1.0).max() > 0.005
    assert np.abs(a.actuator_gainprm[:, 0] - b.actuator_gainprm[:, 0]).max() > 0.1


def test_the_exported_network_is_the_student(tmp_path):
    import onnx

    student = Student()
    with torch.no_grad():  # the weights are kept in float16
        for layer in student.net[::2]:
            layer.weight.copy_(layer.weight.half())
    student.mean[:] = torch.randn(OBSERVATION_WIDTH)
    student.std[:] = torch.rand(OBSERVATION_WIDTH) + 0.5
    x = torch.randn(3, OBSERVATION_WIDTH)
    onnx.save(to_onnx(student), str(tmp_path / "s.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "s.onnx"))
    np.testing.assert_allclose(session.run(None, {"input": x.numpy()})[0], student(x).detach().numpy(), atol=1e-4)
    again = Student.from_onnx(tmp_path / "s.onnx")
    torch.testing.assert_close(again(x), student(x))


@needs_data
def test_a_network_of_others_is_none_of_ours():
    assert Student.from_onnx(TWIST2) is None


def test_the_command_says_what_is_wrong(tmp_path):
    result = CliRunner().invoke(app, ["train-tracker", "--teacher", str(tmp_path / "none.onnx")])
    assert isinstance(result.exception, Missing)
    assert "none.onnx" in str(result.exception)


def test_the_command_says_which_devices_there_are(tmp_path):
    result = CliRunner().invoke(app, ["train-tracker", "--device", "gpu", "-o", str(tmp_path)])
    assert isinstance(result.exception, BadInput)
    assert "not one of cpu, cuda" in str(result.exception)


def test_a_gpu_that_is_missing_is_told_before_the_references_are_made(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = CliRunner().invoke(app, ["train-tracker", "--device", "cuda", "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, Missing)
    assert "finds no NVIDIA GPU" in str(result.exception)
    assert not (tmp_path / "out").exists()


@needs_data
def test_the_command_wants_motions_that_are_there(tmp_path):
    (tmp_path / "motion.csv").write_text("0")
    for motions in (tmp_path, tmp_path / "motion.csv"):
        result = CliRunner().invoke(app, ["train-tracker", "--teacher", str(TWIST2), "--motions", str(motions)])
        assert isinstance(result.exception, BadInput)
        assert "no robot motion" in str(result.exception)


@needs_data
def test_folders_of_recordings_are_read(tmp_path, monkeypatch):
    read = []

    def stop(files, *_):
        read.extend(files)
        raise Cancelled

    monkeypatch.setattr(data, "from_people", stop)
    for name in ("a.bvh", "b.npz", "README.md"):
        (tmp_path / name).write_text("0")
    result = CliRunner().invoke(app, ["train-tracker", "--people", str(tmp_path), "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, Cancelled)
    assert [path.name for path in read] == ["a.bvh", "b.npz"]


def test_recordings_that_cannot_be_read_are_named_with_the_reason(tmp_path):
    (tmp_path / "torn.bvh").write_text("HIERARCHY")
    made, failed = data.from_people([tmp_path / "torn.bvh"], tmp_path / "out")
    assert not made
    assert "torn.bvh" in failed["torn.bvh"]


@pytest.mark.slow
@needs_data
def test_the_command_trains(tmp_path):
    arguments = ["--teacher", str(TWIST2), "--hours", "0.005", "--samples", "4000", "-o", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, ["train-tracker", *arguments])
    assert result.exit_code == 0, result.exception
    report = json.loads(result.stdout)
    assert report["samples"] > 1000
    for task in (tmp_path / "references").glob("*.txt"):
        parse(task.read_text())
    assert Policy.load(report["tracker"]).name == "anchored"
