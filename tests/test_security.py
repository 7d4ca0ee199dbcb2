"""Keys and permissions of SROS 2: what scripts/keystore.sh makes, and what it lets whom do."""

import fnmatch
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from exoactor.graph import enclave, processes, resolve, share

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="the program openssl is not installed")


@pytest.fixture(scope="module")
def keystore(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys") / "store"
    subprocess.run([ROOT / "scripts/keystore.sh", folder, "2"], check=True, capture_output=True)
    return folder


def may_publish(name, topic):
    """What DDS decides: the first rule of the grant that names the topic, else its default."""
    grants = ElementTree.parse(share("config") / "security_permissions.xml").getroot().iter("grant")
    grant = next(g for g in grants if g.findtext("subject_name") == f"CN=/exoactor/{name}")
    for rule in grant:
        if any(fnmatch.fnmatchcase(topic, t.text) for t in rule.findall("publish/topics/topic")):
            return rule.tag == "allow_rule"
    return grant.findtext("default") == "ALLOW"


@pytest.mark.parametrize("robot", ["", "robot1/"])
def test_only_the_operator_approves_stands_and_sets(robot):
    stand, approve = f"rq/{robot}exoactor/standRequest", f"rq/{robot}exoactor/approveRequest"
    settings = [
        f"rq/{robot}exoactor/{node}/{service}Request"
        for node in ("controller", "task_server")
        for service in ("set_parameters", "set_parameters_atomically", "change_state")
        if (node, service) != ("task_server", "change_state")
    ]
    for topic in (stand, approve, *settings):
        assert may_publish("operator", topic)
        assert not may_publish("stages", topic)
        assert not may_publish("controller", topic)
    for name in ("operator", "controller", "stages"):  # everybody stops the robot
        assert may_publish(name, f"rq/{robot}exoactor/stopRequest")
        assert may_publish(name, f"rt/{robot}exoactor/odometry")


def test_keys_are_signed_by_the_ca(keystore):
    ca = keystore / "public/ca.cert.pem"
    for name in ("operator", "controller", "stages"):
        folder = keystore / "enclaves/exoactor" / name
        subject = subprocess.run(
            ["openssl", "x509", "-in", folder / "cert.pem", "-noout", "-subject", "-nameopt", "RFC2253"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert subject.strip() == f"subject=CN=/exoactor/{name}"
        subprocess.run(["openssl", "verify", "-CAfile", ca, folder / "cert.pem"], check=True, capture_output=True)
        for signed in ("governance.p7s", "permissions.p7s"):
            text = subprocess.run(
                ["openssl", "smime", "-verify", "-text", "-in", folder / signed, "-CAfile", ca],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            assert "NOT_BEFORE" not in text
            ElementTree.fromstring(text.replace("\r", "").partition("\n")[2])  # after the XML declaration
        assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    again = subprocess.run([ROOT / "scripts/keystore.sh", keystore], capture_output=True, text=True, check=False)
    assert (again.returncode, "has keys already" in again.stderr) == (2, True)


def test_the_graph_takes_its_enclaves(monkeypatch):
    monkeypatch.delenv("ROS_SECURITY_ENABLE", raising=False)
    values = resolve({})
    assert not any("--enclave" in p.ros_arguments(values) for p in processes(values))
    monkeypatch.setenv("ROS_SECURITY_ENABLE", "true")
    own = {p.name: p.ros_arguments(values)[-1] for p in processes(values)}
    assert set(own.values()) == {"/exoactor/stages", "/exoactor/controller"}
    assert own["controller"] == "/exoactor/controller"
    assert enclave("operator") == ["--enclave", "/exoactor/operator"]


ASK = """
import sys
import rclpy
from rcl_interfaces.srv import SetParameters
from exoactor.graph import enclave
rclpy.init(args=["--ros-args", *enclave(sys.argv[1])])
node = rclpy.create_node("asker")
client = node.create_client(SetParameters, "/exoactor/robot_state_publisher/set_parameters")
answered = client.wait_for_service(10.0)
if answered:
    future = client.call_async(SetParameters.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=5.0)
    answered = future.done()
print("answered" if answered else "refused")
"""


@pytest.mark.ros
@pytest.mark.slow
def test_the_middleware_holds_it(keystore):
    """Needs a Fast DDS that is built with DDS Security, as ROS 2's own packages are; the wheels' is not."""
    pytest.importorskip("exoactor_interfaces.action")
    from exoactor.up import command
    from ros_testing import use_own_domain

    env = {
        **os.environ,
        **use_own_domain(),
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(keystore),
    }

    def ask(name):
        return subprocess.run(
            [sys.executable, "-c", ASK, name], env=env, capture_output=True, text=True, check=False, timeout=60
        )

    if "security" in (said := ask("operator").stderr.lower()) and "doesn't have" in said:
        pytest.skip("the Fast DDS of this environment is built without DDS Security")
    values = resolve({})
    publisher = next(p for p in processes(values) if p.name == "robot_state_publisher")
    words = [*command(publisher, values), *([] if enclave("stages") else ["--enclave", "/exoactor/stages"])]
    node = subprocess.Popen(words, env=env)
    try:
        assert ask("operator").stdout.strip() == "answered"
        assert ask("stages").stdout.strip() != "answered"
    finally:
        node.terminate()
        node.wait(20)
