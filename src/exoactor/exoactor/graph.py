"""The node graph, described once: `exoactor up` and launch/bringup.launch.py both start it.

Imports nothing of ROS.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from exoactor_core.environment import KEY_VARIABLE, middleware
from exoactor_core.errors import BadInput
from exoactor_core.files import need_file

RESET = "simulator/reset"
"""Service of the simulator, which is outside the namespace exoactor."""
SERVICES = ("stop", "damp", "stand", "approve", "zero_torque", "open_hands", "close_hands", "task_server/stop", RESET)
"""Services of the controller, the task server and the simulator that operators call."""


@dataclass(frozen=True)
class Argument:
    """A launch argument, ``name:=value``."""

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


ARGUMENTS = (
    Argument("robot", "sim", "Robot that the controller drives.", ("sim", "real")),
    Argument("network_interface", "lo", "Interface of Unitree's DDS; the real robot's cable, e.g. eth0."),
    Argument("dds_domain", "1", "DDS domain of Unitree's topics: 1 for the simulator, 0 for the real robot."),
    Argument("network", "localhost", "Who can reach the nodes: this machine, or the subnet.", ("localhost", "subnet")),
    Argument("namespace", "", "Name of the robot if there are several, e.g. robot1; empty: the only one."),
    Argument(
        "policy", "exoactor", "Tracker: exoactor (ours), a policy file, or pd: joint PD, the G1 on an elastic band."
    ),
    Argument(
        "hands", "auto", "Hands of the simulated G1; auto: Dex3-1 in scenes with objects.", ("auto", "dex3", "fists")
    ),
    Argument("scene", "", "Scene (.yaml) with the objects in the simulator; empty: no objects."),
    Argument("generator", "", "Video generator; empty: as in params_file."),
    Argument("params_file", "", "Parameters of the nodes (.yaml); empty: config/exoactor.yaml."),
    Argument("runs", "", "Folder for the run folders; empty: ~/.exoactor/runs."),
    Argument(
        "respawn", "false", "Restart a stage's node when it ends; never controller or simulator.", ("true", "false")
    ),
    Argument("rviz", "false", "Start RViz.", ("true", "false")),
)


RESPAWN_DELAY = 2.0
"""s after which a node that ended is restarted."""

POLICIES = ("exoactor", "pd")
"""Trackers that need no file."""


GLOBAL_TOPICS = ("/joint_states", "/robot_description")
"""Topics outside the nodes' namespace, where the standard tools look for them."""


@dataclass(frozen=True)
class Process:
    """One process of the graph: a console script of one of our packages."""

    module: str
    name: str
    """Name of the node and of its console script."""
    parameters: dict[str, str] = field(default_factory=dict)
    """ROS parameter: value as YAML; all others come from the parameters file."""
    namespace: str = "/exoactor"
    """Namespace if there is only one robot."""
    respawn: bool = False
    """It is restarted when it ends."""

    @property
    def package(self) -> str:
        """The ROS package."""
        return self.module.partition(".")[0]

    def key_environment(self, key: str) -> dict[str, str]:
        """The key of this launch as an environment variable, if the process needs it."""
        return {KEY_VARIABLE: key} if self.name in ("rehearsal", "controller") else {}

    def ros_arguments(self, values: dict[str, str]) -> list[str]:
        """Arguments after the executable; ``values`` are the launch arguments as `resolve` returns them."""
        overrides = [v for name, value in self.parameters.items() for v in ("-p", f"{name}:={value}")]
        keys = enclave("controller" if self.name == "controller" else "stages")
        names = self._remapping(values["namespace"])
        return ["--ros-args", "--params-file", values["params_file"], *overrides, *names, *keys]

    def _remapping(self, robot: str) -> list[str]:
        """Remapping rules of a named robot; /tf is shared, and its frames begin with the robot's name."""
        if not robot:
            return []
        rules = {
            "__ns": f"/{robot}{self.namespace}".rstrip("/"),
            **{topic: f"/{robot}{topic}" for topic in GLOBAL_TOPICS},
        }
        return [v for name, value in rules.items() for v in ("-r", f"{name}:={value}")]


def resolve(given: dict[str, str]) -> dict[str, str]:
    """Complete the given launch arguments with defaults, and check them.

    Raises
    ------
    BadInput
        An argument is unknown or has an invalid value.
    """
    known = {a.name: a for a in ARGUMENTS}
    for name, value in given.items():
        if name not in known:
            raise BadInput(f"There is no launch argument '{name}': there are {', '.join(known)}.")
        if known[name].choices and value not in known[name].choices:
            raise BadInput(f"{name}:={value} is not one of {', '.join(known[name].choices)}.")
    values = {a.name: given.get(a.name, a.default) for a in ARGUMENTS}
    if not values["dds_domain"].isdigit() or not 0 <= int(values["dds_domain"]) <= 232:
        raise BadInput(f"dds_domain:={values['dds_domain']} is not a number from 0 to 232.")
    if values["network_interface"] == "lo" and values["dds_domain"] == os.environ.get("ROS_DOMAIN_ID", "0"):
        raise BadInput(
            f"dds_domain:={values['dds_domain']} is ROS 2's own domain (ROS_DOMAIN_ID), whose ports collide with it on "
            "this machine: choose another number."
        )
    values["namespace"] = robot_name(values["namespace"])
    if values["policy"] not in POLICIES:
        values["policy"] = _file("policy", values["policy"], f": give a file, or one of {', '.join(POLICIES)}")
    if values["scene"]:
        values["scene"] = _file("scene", values["scene"])
    given_file = values["params_file"]
    values["params_file"] = _file("parameters", given_file or str(share("config") / "exoactor.yaml"))
    if given_file:
        from exoactor import parameters_file  # loads the backends' classes

        parameters_file.check(values["params_file"])
    return values


def robot_name(text: str) -> str:
    """Check the value of the launch argument ``namespace``; raises `BadInput` if it is not a valid ROS name."""
    name = text.strip("/")
    if not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", name):
        raise BadInput(f"namespace:={text} is not a valid ROS name: letters, digits and _, a letter first.")
    return name


def _file(what: str, path: str, hint: str = "") -> str:
    """Make a path absolute; raises `BadInput` if the file does not exist."""
    return str(need_file(Path(path).expanduser().resolve(), f"{what} file", hint))


def processes(values: dict[str, str]) -> list[Process]:
    """The processes for these launch arguments (as `resolve` returns them)."""
    quoted = {name: f"'{value}'" for name, value in values.items()}  # so that YAML reads strings
    link = {"network_interface": quoted["network_interface"], "dds_domain": values["dds_domain"]}
    runs = {"runs": quoted["runs"]} if values["runs"] else {}
    generator = {"backend": quoted["generator"]} if values["generator"] else {}
    driven = {**link, "robot": quoted["robot"], "policy": quoted["policy"]}
    retargeter = {"trajectory_ik.hands": quoted["hands"]}
    rehearsal = {"mujoco.policy": quoted["policy"], "mujoco.hands": quoted["hands"]}
    respawn = values["respawn"] == "true"
    graph = [
        Process("exoactor.task_server", "task_server", {"robot": quoted["robot"], **runs}),
        Process("exoactor_gen.node", "generator", generator, respawn=respawn),
        Process("exoactor_pose.node", "pose_estimator", respawn=respawn),
        Process("exoactor_retarget.node", "retargeter", retargeter, respawn=respawn),
        Process("exoactor_control.nodes.rehearsal_node", "rehearsal", rehearsal, respawn=respawn),
        Process("exoactor_control.nodes.controller_node", "controller", driven),
        Process("exoactor_ros.state_publisher", "robot_state_publisher"),
    ]
    if values["robot"] == "sim":
        # Joint PD does not balance: the G1 hangs on the band from the start.
        world = {"band": "true" if values["policy"] == "pd" else "false", "hands": quoted["hands"]}
        if values["scene"]:
            world["scene"] = quoted["scene"]
        graph.append(Process("exoactor_sim.simulator", "simulator", link | world, "/"))
    return graph


def launch_key() -> str:
    """A new key for the rehearsal's verdicts in one launch: 256 bits, hexadecimal."""
    return secrets.token_hex(32)


def enclave(name: str) -> list[str]:
    """ROS arguments that select an enclave of SROS 2: "operator", "controller" or "stages"; none if SROS 2 is off."""
    on = os.environ.get("ROS_SECURITY_ENABLE", "").lower() == "true"
    return ["--enclave", f"/exoactor/{name}"] if on else []


def rviz_arguments(robot: str) -> list[str]:
    """Arguments of rviz2, with the topics and frames of a named robot."""
    view = ["-d", str(share("config") / "exoactor.rviz")]
    if not robot:
        return view
    shown = ("human/markers", "object_markers", "video/image/compressed")
    topics = (*GLOBAL_TOPICS, *(f"/exoactor/{topic}" for topic in shown))
    rules = [v for topic in topics for v in ("-r", f"{topic}:=/{robot}{topic}")]
    return [*view, "-f", f"{robot}/world", "--ros-args", *rules]


def environment(network: str) -> dict[str, str]:
    """Environment variables of ROS's middleware for the launch argument ``network``.

    With ``localhost`` nodes discover and reach each other on this machine only. Fast DDS exchanges no messages in
    shared memory: a process that is killed there can leave a mutex locked, and all others freeze. Raises `BadInput` for
    other values.
    """
    if network not in ("localhost", "subnet"):
        raise BadInput(f"network:={network} is not one of localhost, subnet.")
    if network == "subnet":
        transports = os.environ.get("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
        return {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "FASTDDS_BUILTIN_TRANSPORTS": transports}
    if not (chosen := middleware()).startswith("rmw_fastrtps"):
        return {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    profile = str(share("config") / "fastdds_localhost.xml")
    return {
        "RMW_IMPLEMENTATION": chosen,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",  # LOCALHOST adds a shared-memory transport
        "FASTRTPS_DEFAULT_PROFILES_FILE": profile,  # up to Fast DDS 2
        "FASTDDS_DEFAULT_PROFILES_FILE": profile,
    }


def share(folder: str) -> Path:
    """A folder of package ``exoactor`` (config or launch), in the source tree or installed."""
    source = Path(__file__).resolve().parent.parent / folder
    if source.is_dir():
        return source
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        installed = Path(prefix, "share", "exoactor", folder)
        if prefix and installed.is_dir():
            return installed
    raise BadInput(f"The folder '{folder}' of package exoactor is not found: source the workspace's setup file.")
