"""The graph's description, the state publisher, and `exoactor up` where it needs no running nodes."""

import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

from exoactor import up
from exoactor.graph import ARGUMENTS, environment, launch_key, processes, resolve, share
from exoactor.graph_lock import lock_graph
from exoactor.up import Graph, command, parse
from exoactor_core.environment import KEY_VARIABLE
from exoactor_core.errors import BadInput, Busy


def test_arguments_reach_the_right_processes(tmp_path):
    policy = tmp_path / "tracker.onnx"
    policy.write_bytes(b"x")
    values = resolve(parse([f"policy:={policy}", "generator:=file", "dds_domain:=7"]))
    graph = {p.name: p for p in processes(values)}
    assert graph["rehearsal"].parameters == {"mujoco.policy": f"'{policy}'", "mujoco.hands": "'auto'"}
    assert graph["controller"].parameters["policy"] == f"'{policy}'"
    assert graph["generator"].parameters == {"backend": "'file'"}
    link = {"network_interface": "'lo'", "dds_domain": "7"}
    assert graph["simulator"].parameters == link | {"band": "false", "hands": "'auto'"}
    graph = {p.name: p for p in processes(resolve({}))}
    assert graph["controller"].parameters["policy"] == "'exoactor'"
    assert graph["simulator"].parameters["band"] == "false"
    graph = {p.name: p for p in processes(resolve(parse(["policy:=pd"])))}
    assert graph["rehearsal"].parameters["mujoco.policy"] == "'pd'"
    assert graph["simulator"].parameters["band"] == "true"
    assert "simulator" not in {p.name for p in processes(resolve(parse(["robot:=real", "network_interface:=eth0"])))}
    words = command(graph["rehearsal"], values)
    assert words[:4] == [sys.executable, "-m", "exoactor_core.entry", "exoactor_control.nodes.rehearsal_node"]
    assert words[4:6] == ["--ros-args", "--params-file"]


def test_a_named_robots_processes(monkeypatch):
    values = resolve(parse(["namespace:=robot1", "dds_domain:=7"]))
    graph = {p.name: p.ros_arguments(values) for p in processes(values)}
    assert "__ns:=/robot1/exoactor" in graph["controller"]
    assert "/joint_states:=/robot1/joint_states" in graph["controller"]
    assert "__ns:=/robot1" in graph["simulator"]
    assert "-r" not in processes(resolve({}))[0].ros_arguments(resolve({}))


def test_the_network_is_set_for_the_middleware(monkeypatch):
    monkeypatch.delenv("RMW_IMPLEMENTATION", raising=False)
    monkeypatch.delenv("FASTDDS_BUILTIN_TRANSPORTS", raising=False)
    profile = str(share("config") / "fastdds_localhost.xml")
    assert environment("localhost") == {
        "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",  # the profile says the rest
        "FASTRTPS_DEFAULT_PROFILES_FILE": profile,
        "FASTDDS_DEFAULT_PROFILES_FILE": profile,
    }
    assert environment("subnet") == {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
    }
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")  # the user's own
    assert environment("subnet")["FASTDDS_BUILTIN_TRANSPORTS"] == "LARGE_DATA"
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    assert environment("localhost") == {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


MAPPED = """
import rclpy
rclpy.init(domain_id=101)
node = rclpy.create_node("alone")
print(open("/proc/self/maps").read())
"""


@pytest.mark.ros
@pytest.mark.faults
@pytest.mark.parametrize("network", ["localhost", "subnet"])
def test_messages_are_not_exchanged_in_shared_memory(network):
    """Nodes that are killed there can leave a mutex locked, and the others would freeze."""
    pytest.importorskip("rclpy")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FASTDDS", "FASTRTPS", "RMW"))}
    words = [sys.executable, "-c", MAPPED]
    done = subprocess.run(words, env=env | environment(network), capture_output=True, text=True, timeout=60, check=True)
    assert "libfastrtps" in done.stdout
    assert "/dev/shm/fast" not in done.stdout


def test_the_verdicts_key_goes_to_two_nodes_and_never_onto_a_command_line():
    values, key = resolve({}), launch_key()
    assert len(key) == 64
    assert key != launch_key()
    for process in processes(values):
        expected = {KEY_VARIABLE: key} if process.name in ("rehearsal", "controller") else {}
        assert process.key_environment(key) == expected
        assert key not in " ".join(command(process, values))


def test_stages_alone_are_respawned(monkeypatch, tmp_path):
    assert not any(p.respawn for p in processes(resolve({})))
    values = resolve({"respawn": "true"})
    respawned = {p.name for p in processes(values) if p.respawn}
    assert respawned == {"generator", "pose_estimator", "retargeter", "rehearsal"}
    monkeypatch.setattr(up, "RESPAWN_DELAY", 0.0)
    monkeypatch.setattr(up, "lock_graph", lambda values: [])  # somebody else may use the robot in DDS domain 1
    stay = tmp_path / "stay"
    program = f"import os, time; time.sleep(60 * os.path.exists({str(stay)!r}))"
    monkeypatch.setattr(up, "command", lambda process, values: [sys.executable, "-c", program])
    graph = Graph()
    graph.start(values)
    try:
        for process in graph._running.values():
            process.wait(20)
        lines = graph.reap()
        ended = {line.split()[0] for line in lines if "go on without it" in line}
        assert ended == {p.name for p in processes(values)} - respawned
        assert {line.split()[0] for line in lines if "it is started again" in line} == respawned
        stay.touch()
        graph.reap()
        assert set(graph.pids) == respawned
    finally:
        graph.stop()


def test_a_second_graph_in_the_same_place_is_refused_as_long_as_anything_of_the_first_lives(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", f"of_test_{os.getpid()}")
    first = {"namespace": "", "network_interface": f"test{os.getpid()}", "dds_domain": "1"}
    locks = lock_graph(first)
    with pytest.raises(Busy, match=f"already running in ROS domain .* kill -INT {os.getpid()},"):
        lock_graph(first)
    with pytest.raises(Busy, match="already drives the robot in DDS domain 1 of the interface test"):
        lock_graph(first | {"namespace": "robot2"})
    locks += lock_graph(first | {"namespace": "robot2", "dds_domain": "2"})
    words = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    node = subprocess.Popen(words, stdout=subprocess.PIPE, pass_fds=[lock.fileno() for lock in locks])
    try:
        node.stdout.readline()
        for lock in locks:
            lock.close()
        with pytest.raises(Busy, match=f"kill -INT {node.pid},"):
            lock_graph(first)
    finally:
        node.kill()
        node.communicate()
    for lock in lock_graph(first):
        lock.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["robot"], "NAME:=VALUE"),
        (["robots:=sim"], "no launch argument 'robots'"),
        (["robot:=toy"], "not one of sim, real"),
        (["dds_domain:=x"], "not a number"),
        (["network:=world"], "not one of localhost, subnet"),
        (["namespace:=robot 1"], "not a valid ROS name"),
        (["dds_domain:=0"], "ROS_DOMAIN_ID"),
        (["policy:=/nowhere.onnx"], "no policy file"),
        (["params_file:=/nowhere.yaml"], "no parameters file"),
    ],
)
def test_wrong_arguments(words, said, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "0")
    with pytest.raises(BadInput, match=said):
        resolve(parse(words))


def test_parameters_file_names_existing_nodes():
    names = {f"/**/{p.name}" for p in processes(resolve({}))}
    for node, content in yaml.safe_load((share("config") / "exoactor.yaml").read_text()).items():
        assert node in names
        assert content["ros__parameters"]


@pytest.mark.parametrize(
    ("node", "parameter", "said"),
    [
        ("/**/retargeter", "bakend", "node retargeter has no parameter bakend: did you mean backend"),
        ("/**", "trajectory_ik.iteratons", "No node has a parameter .* did you mean trajectory_ik.iterations"),
        ("/robot1/exoactor/task_server", "trys", "did you mean tries"),
        ("/**/retargter", "backend", "no node retargter"),
        ("generator", "qzx", "exoactor options"),
    ],
)
def test_a_parameters_file_with_a_name_that_there_is_not_is_refused(tmp_path, node, parameter, said):
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump({node: {"ros__parameters": {parameter: 1}}}))
    with pytest.raises(BadInput, match=said):
        resolve({"params_file": str(path)})


def test_a_parameters_file_may_set_what_some_node_has_of_all(tmp_path):
    everywhere = {"tries": 0, "use_sim_time": False, "mannequin": {"camera": "side"}, "autostart": True}
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": everywhere}}))
    assert resolve({"params_file": str(path)})["params_file"] == str(path)
    path.write_text("- tries")
    with pytest.raises(BadInput, match="not a file of ROS parameters"):
        resolve({"params_file": str(path)})


def test_launch_file_and_up_have_the_same_arguments():
    text = (share("launch") / "bringup.launch.py").read_text()
    assert "for a in ARGUMENTS" in text
    assert "processes(values)" in text
    assert len({a.name for a in ARGUMENTS}) == len(ARGUMENTS)


def test_up_reports_a_process_that_ends_and_ends_the_others(capfd):
    graph = Graph()
    graph._start("short", [sys.executable, "-c", "raise SystemExit(3)"])
    graph._start("long", [sys.executable, "-c", "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: pass"])
    graph._running["short"].wait(20)
    assert graph.reap() == ["short ended with exit code 3; the other nodes go on without it."]
    assert graph.reap() == []
    assert set(graph.pids) == {"long"}
    graph.stop()
    assert graph.pids == {}


@pytest.mark.ros
def test_transforms_agree_with_pinocchio():
    pytest.importorskip("rclpy")
    pin = pytest.importorskip("pinocchio")
    from builtin_interfaces.msg import Time
    from scipy.spatial.transform import Rotation

    from exoactor_core.motion import JOINT_NAMES
    from exoactor_core.robot import pinocchio_model
    from exoactor_description import urdf_path
    from exoactor_ros.state_publisher import LinkTransforms

    q = np.random.default_rng(3).uniform(-0.5, 0.5, 29)
    model = pinocchio_model()
    data = model.createData()
    full = pin.neutral(model)
    for name, angle in zip(JOINT_NAMES, q, strict=True):
        full[model.joints[model.getJointId(name)].idx_q] = angle
    pin.framesForwardKinematics(model, data, full)

    links = LinkTransforms(urdf_path().read_text(), "reference/")
    world = {"reference/pelvis": np.eye(4)}
    for t in links.at(dict(zip(JOINT_NAMES, q, strict=True)), Time()):
        step = np.eye(4)
        r, p = t.transform.rotation, t.transform.translation
        step[:3, :3] = Rotation.from_quat([r.x, r.y, r.z, r.w]).as_matrix()
        step[:3, 3] = p.x, p.y, p.z
        world[t.child_frame_id] = world[t.header.frame_id] @ step
    for link in ("left_wrist_yaw_link", "right_ankle_roll_link", "torso_link"):
        placed = data.oMf[model.getFrameId(link)].homogeneous
        np.testing.assert_allclose(world[f"reference/{link}"], placed, atol=1e-9, err_msg=link)


@pytest.mark.ros
def test_dex3_hands_are_shown_once_their_joints_are_heard():
    pytest.importorskip("rclpy")
    from builtin_interfaces.msg import Time
    from sensor_msgs.msg import JointState
    from std_msgs.msg import String
    from tf2_msgs.msg import TFMessage

    from exoactor_core.dex3 import FINGER_JOINTS
    from exoactor_ros.conversions import joint_state_message
    from exoactor_ros.qos import LATCHED, STATE
    from exoactor_ros.state_publisher import StatePublisher
    from ros_testing import spinning, until

    with spinning(StatePublisher) as (_, node):
        frames, descriptions = {}, []
        node.create_subscription(
            TFMessage, "/tf", lambda m: frames.update({t.child_frame_id: t for t in m.transforms}), 10
        )
        node.create_subscription(String, "/robot_description", lambda m: descriptions.append(m.data), LATCHED)
        publisher = node.create_publisher(JointState, "/joint_states", STATE)
        until(lambda: descriptions and "reference/left_rubber_hand" in frames)
        assert "left_hand_palm_link" not in descriptions[-1]

        def bent():
            publisher.publish(joint_state_message([0.5] * 7, Time(), names=FINGER_JOINTS[0]))
            finger = frames.get("left_hand_index_0_link")
            return finger is not None and abs(finger.transform.rotation.w) < 0.999

        until(bent)
        until(lambda: "reference/right_hand_index_1_link" in frames)
        assert "left_hand_palm_link" in descriptions[-1]


@pytest.mark.ros
def test_the_references_frames_are_there_from_the_start():
    """RViz and tf2 resolve them before anything was retargeted; the robot's own wait for its joint states."""
    pytest.importorskip("rclpy")
    from tf2_msgs.msg import TFMessage

    from exoactor_ros.state_publisher import StatePublisher
    from ros_testing import spinning, until

    with spinning(StatePublisher) as (_, node):
        frames = {}
        node.create_subscription(
            TFMessage, "/tf", lambda m: frames.update({t.child_frame_id: t for t in m.transforms}), 10
        )
        base = until(lambda: frames.get("reference/pelvis"))
        assert (base.header.frame_id, base.header.stamp.sec > 0) == ("world", True)
        assert base.transform.translation.z == pytest.approx(0.79, abs=0.02)
        assert frames["reference/left_wrist_yaw_link"].header.frame_id.startswith("reference/")
        assert "pelvis" not in frames
