"""The nodes and their parameters, and the check of a parameters file: ROS itself ignores unknown names."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from exoactor.options import TaskServerOptions
from exoactor_control.options import ControllerOptions
from exoactor_core.errors import BadInput
from exoactor_core.files import load_yaml
from exoactor_core.options import BaseOptions
from exoactor_core.stages import Stage, backend_class, backend_names
from exoactor_gen.video_judge.judge import Judge
from exoactor_sim.options import SimulatorOptions

STAGES: dict[str, Stage] = {
    "generator": "generate",
    "pose_estimator": "estimate",
    "retargeter": "retarget",
    "rehearsal": "track",
}
"""Stage of each node that has backends."""
NODES: dict[str, type[BaseOptions]] = {"task_server": TaskServerOptions, "controller": ControllerOptions}
"""Options of the other nodes that the parameters file configures."""
_OPTIONS = NODES | {"simulator": SimulatorOptions, "robot_state_publisher": BaseOptions}
_ROS = ("use_sim_time", "start_type_description_service", "qos_overrides")
"""Parameters that rclpy declares for every node."""


def option_groups(stage: Stage) -> dict[type[BaseOptions], list[str]]:
    """Return the option classes of a stage, each with the names of the backends that have it."""
    found: dict[type[BaseOptions], list[str]] = {}
    for name in backend_names(stage):
        found.setdefault(backend_class(stage, name).Options, []).append(name)
    return found | ({Judge.Options: ["judge"]} if stage == "generate" else {})


def check(path: str | Path) -> None:
    """Check that each parameter in a file (.yaml) exists in its node, or for ``/**`` in any node.

    Raises
    ------
    BadInput
        It is not a ROS parameters file, or names an unknown node or parameter.
    """
    for node, given in _sections(load_yaml(path), path):
        nodes = [*STAGES, *_OPTIONS] if set(node) == {"*"} else [node]
        known = {name for each in nodes for name in _parameters(each, path)}
        for name in given:
            if name not in known and name.partition(".")[0] not in _ROS:
                who = "No node has a" if len(nodes) > 1 else f"The node {node} has no"
                near = get_close_matches(name, sorted(known))
                hint = f"did you mean {', '.join(near)}?" if near else "'exoactor options' lists those of a backend."
                raise BadInput(f"{path}: {who} parameter {name}: {hint}")


def _parameters(node: str, path: str | Path) -> set[str]:
    """Names of a node's parameters."""
    if node in _OPTIONS:
        return {*_OPTIONS[node].model_fields, *(("backend", "autostart") if node == "controller" else ())}
    if node not in STAGES:
        raise BadInput(f"{path}: there is no node {node}: there are {', '.join([*STAGES, *_OPTIONS])}.")
    backends = ((b, kind) for kind, names in option_groups(STAGES[node]).items() for b in names)
    return {"backend", "autostart"} | {f"{backend}.{name}" for backend, kind in backends for name in kind.model_fields}


def _sections(content: Any, path: str | Path, node: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each node in a file, by its last name, with its parameters."""
    if not isinstance(content, dict):
        raise BadInput(f"{path} is not a file of ROS parameters: a node's name, 'ros__parameters:', then parameters.")
    for key, value in content.items():
        if key == "ros__parameters":
            yield node.rpartition("/")[2], list(_flat(value or {}))
        else:
            yield from _sections(value, path, str(key))


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
