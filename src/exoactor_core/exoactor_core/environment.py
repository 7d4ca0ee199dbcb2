"""The environment variables that ROS 2 reads, looked at before its libraries do: they end the process, or raise."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from exoactor_core.errors import BadInput, Missing
from exoactor_core.files import check_folder

KEY_VARIABLE = "EXOACTOR_VERDICT_KEY"
"""Environment variable with the key by which the controller knows the rehearsal's verdicts. Whoever starts the graph
makes one for each launch (`exoactor.graph.launch_key`), and gives it to these two nodes alone."""


def check_environment() -> None:
    """See that rclpy can be imported and initialised here; imports nothing that depends on the middleware.

    Raises
    ------
    Missing
        RMW_IMPLEMENTATION names a middleware that is not installed; or ROS 2 cannot write its log.
    BadInput
        ROS_DOMAIN_ID is not a number from 0 to 232 (the ports of larger ones do not exist).
    """
    middleware, installed = os.environ.get("RMW_IMPLEMENTATION", ""), _middlewares()
    if middleware and installed and middleware not in installed:
        raise Missing(
            f"RMW_IMPLEMENTATION is {middleware}, which is not installed here: install it, or unset the variable "
            f"(installed: {', '.join(sorted(installed))})."
        )
    domain = os.environ.get("ROS_DOMAIN_ID", "")
    if domain and not (domain.isascii() and domain.isdigit() and int(domain) <= 232):
        raise BadInput(f"ROS_DOMAIN_ID is '{domain}', but a number from 0 to 232 is needed.")
    try:
        check_folder(_log_folder())
    except BadInput as error:
        raise Missing(
            f"ROS 2 cannot write its log ({error}) Set ROS_LOG_DIR to a folder that can be written."
        ) from None


def _middlewares() -> set[str]:
    """Names of the installed implementations of rmw, as the ament index has them; empty where there is no index."""
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    index = "share/ament_index/resource_index/rmw_typesupport"
    return {file.name for prefix in prefixes if prefix for file in Path(prefix, index).glob("rmw_*_cpp")}


def _log_folder() -> Path:
    """Where rcl_logging writes: https://docs.ros.org/en/jazzy/Concepts/Intermediate/About-Logging.html."""
    home = Path(os.environ.get("ROS_HOME") or "~/.ros")
    return Path(os.environ.get("ROS_LOG_DIR") or home / "log").expanduser()
