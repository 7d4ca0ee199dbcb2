"""Report of what is installed, what is missing, and how to get it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from exoactor_core.errors import ExoActorError, reason
from exoactor_core.processes import interrupt_afterwards
from exoactor_core.stages import Stage, backend_class, backend_names


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    ok: bool
    needed: bool
    """Whether `exoactor run` needs it."""
    detail: str
    """What was found, or what is missing and how to get it."""


MAKE_ENV = "run 'make env'"
MAKE_EXTRAS = "run 'make extras' for video models on this machine, ViTPose, training and files with torch tensors"


def checks() -> list[Check]:
    """Run all checks; never raises."""
    stages: tuple[Stage, ...] = ("generate", "estimate", "retarget", "track")
    return [
        _python(),
        _check("simulation", _mujoco, MAKE_ENV, needed=True),
        _check("off-screen rendering", _rendering, "install libosmesa6, or set MUJOCO_GL=egl with a GPU", needed=True),
        _check("G1 description", _description, MAKE_ENV, needed=True),
        _check("person detector", _modules("mediapipe"), MAKE_ENV, needed=True),
        _check("heavy pose model", _heavy_model, f"{MAKE_ENV} with npm installed; without it the full model is used"),
        _check("policy run-time", _policy_runtime, MAKE_ENV, needed=True),
        _check("PyTorch, diffusers", _modules("torch", "transformers", "diffusers"), MAKE_EXTRAS),
        *(_backend(stage, name) for stage in stages for name in backend_names(stage)),
        _check("ROS 2 (up, send, call)", _ros, f"{MAKE_ENV}, or source a ROS 2"),
        _check("Unitree's DDS (up)", _dds, f"{MAKE_ENV}: it needs cyclonedds-dev and unitree-sdk2"),
        _check("GPU", _gpu, "none found; everything here runs without"),
    ]


def _check(name: str, probe: Callable[[], str], cure: str, needed: bool = False) -> Check:
    try:
        # A library whose import is interrupted by a signal may report that it is broken.
        with interrupt_afterwards():
            return Check(name, True, needed, probe())
    except ExoActorError as error:
        return Check(name, False, needed, str(error))
    except Exception as error:  # report any error of a broken installation
        return Check(name, False, needed, f"{reason(error)}: {cure}")


def _python() -> Check:
    version = ".".join(str(v) for v in sys.version_info[:3])
    ok = (3, 11) <= sys.version_info[:2] <= (3, 12)
    return Check("Python", ok, True, version if ok else f"{version}: 3.11 or 3.12 is needed")


def _heavy_model() -> str:
    from exoactor_pose.detection.detectors import model_file

    if not model_file(2).is_file():
        raise FileNotFoundError("it is not installed")
    return model_file(2).name


def _modules(*names: str) -> Callable[[], str]:
    def probe() -> str:
        for name in names:
            importlib.import_module(name)
        return ", ".join(name.partition(".")[0] for name in names)

    return probe


def _policy_runtime() -> str:
    import exoactor_control  # noqa: F401, before ONNX Runtime, whose telemetry it switches off

    return _modules("onnxruntime")()


def _mujoco() -> str:
    import mujoco

    return f"MuJoCo {mujoco.__version__}"


def _rendering() -> str:
    import mujoco

    from exoactor_core.offscreen import OffscreenRenderer

    with OffscreenRenderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 16, 16, 1) as renderer:
        renderer.render()
    return os.environ.get("MUJOCO_GL") or "OSMesa"


def _description() -> str:
    from exoactor_core.robot import LOCKED, ROBOT

    return f"{ROBOT}, {(~LOCKED).sum()} joints"


def _backend(stage: Stage, name: str) -> Check:
    def probe() -> str:
        return backend_class(stage, name).ready()

    return _check(f"{stage}: {name}", probe, "the package that brings it is broken")


def _ros() -> str:
    from exoactor_core.environment import check_environment

    check_environment()
    return _modules("rclpy", "exoactor_interfaces.action")()


def _dds() -> str:
    importlib.import_module("exoactor_unitree.sdk")
    return "cyclonedds, unitree_sdk2py"


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError("no CUDA device")
    return torch.cuda.get_device_name()
