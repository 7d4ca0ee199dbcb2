"""The G1 with 23 joints: the whole stack in processes of their own, since the robot is read once."""

import os
import subprocess
import sys
import textwrap

import pytest

from exoactor_core.robot import standing_motion

LOCKED = [f"waist_{axis}_joint" for axis in ("roll", "pitch")]
LOCKED += [f"{side}_wrist_{axis}_joint" for side in ("left", "right") for axis in ("pitch", "yaw")]


def run(script, robot="g1_23dof"):
    """Run a script on that G1; it sees the names of the joints that should be locked as LOCKED."""
    code = f"LOCKED = {LOCKED}\nimport numpy as np\n{textwrap.dedent(script)}"
    environment = os.environ | {"EXOACTOR_ROBOT": robot}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def passes(script):
    done = run(script)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_the_description_is_unitrees():
    passes("""
        import mujoco
        from exoactor_core import robot
        from exoactor_core.motion import JOINT_NAMES
        from exoactor_description import description

        assert [n for n, locked in zip(JOINT_NAMES, robot.LOCKED) if locked] == [n for n in JOINT_NAMES if n in LOCKED]
        for hands in ("fists", "dex3"):
            joints = {joint.get("name"): joint for joint in description(hands).iter("joint")}
            limits = [joints[name].find("limit").get(end) for name in LOCKED for end in ("lower", "upper")]
            assert not np.array(limits, dtype=float).any()
        model = robot.mujoco_spec(visuals=False).compile()
        assert abs(model.body("pelvis").subtreemass[0] - 32.107) < 0.01  # the masses of g1_23dof_rev_1_0.urdf added up
        assert (model.nq, model.nu) == (36, 29)  # arrays are as those of the other G1

        data = mujoco.MjData(model)  # a robot that is dropped, and whose motors all pull
        data.qpos[2] = 1.2
        data.ctrl[:] = robot.EFFORT_LIMITS
        for _ in range(500):
            mujoco.mj_step(model, data)
        assert np.abs(data.qpos[7:][robot.LOCKED]).max() < 0.02
        assert np.abs(data.qpos[7:][~robot.LOCKED]).max() > 1.0
    """)


def test_an_unknown_robot_is_named(tmp_path):
    standing_motion(1.0).save(tmp_path / "x.npz")
    arguments = ["exoactor", "track", str(tmp_path / "x.npz")]
    done = run(f"import sys; from exoactor.cli import main; sys.argv = {arguments}; main()", "h1")
    assert done.returncode == 2
    assert done.stderr.strip().endswith("EXOACTOR_ROBOT is 'h1', but g1 or g1_23dof is needed.")


def test_locked_joints_stay_at_zero_from_person_to_command():
    """Retargeted, prepared, rehearsed; and what the watchdog damps with."""
    passes("""
        from exoactor_control.controller.safety import Safety
        from exoactor_control.rehearsal.rehearsal import Rehearsal
        from exoactor_control.reference.trajectory import prepare
        from exoactor_core.motion import RobotMotion
        from exoactor_core.robot import LOCKED as locked
        from exoactor_core.stages import load_backend
        from exoactor_gen.mannequin.choreography import choreograph
        from exoactor_gen.mannequin.language import parse

        person = choreograph(parse("bow, then wave"), np.zeros(10))
        motion = load_backend("retarget", "trajectory_ik")(person).motion
        assert not motion.joint_pos[:, locked].any()
        assert np.ptp(motion.joint_pos[:, ~locked], axis=0).max() > 0.5

        bent = RobotMotion(motion.fps, motion.root_pos, motion.root_quat_wxyz, motion.joint_pos + 0.1 * locked)
        reference = prepare(bent)
        assert not reference.motion.joint_pos[:, locked].any()
        assert any("0.10 rad" in note for note in reference.notes)

        done = Rehearsal()(motion)
        assert done.metrics["success"], done.metrics["reason"]
        assert np.abs(done.motion.joint_pos[:, locked]).max() < 0.02
        assert not Safety().blind_damping(5.0)[locked].any()
    """)


def test_motors_that_are_not_there_are_not_commanded():
    """And a robot that says it is another is not made to stand."""
    pytest.importorskip("cyclonedds")
    passes("""
        from dataclasses import replace
        from exoactor_control.controller.safety import Safety
        from exoactor_core.robot import LOCKED as locked, STANDING
        from exoactor_core.robot_state import MotorCommand, RobotState
        from exoactor_unitree.robot_link import RobotLink
        from exoactor_unitree.wire import LowCmdBytes

        link = RobotLink("lo", 87)
        sent = []
        link._out.write_bytes = lambda data: sent.append(LowCmdBytes(bytes(data)))
        ones = np.ones(29)
        link.write(MotorCommand(q=ones, dq=ones, kp=ones, kd=ones, tau=ones))
        assert (sent[0].modes[:29] == ~locked).all() and not sent[0].modes[29:].any()
        assert (sent[0].gains[:29] == ~locked[:, None]).all()

        state = RobotState(0.0, STANDING, np.zeros(29), np.array([1.0, 0, 0, 0]), np.zeros(3), mode_machine=4)
        assert Safety().check_start(state) == ""
        assert "EXOACTOR_ROBOT=g1" in Safety().check_start(replace(state, mode_machine=5))
    """)
