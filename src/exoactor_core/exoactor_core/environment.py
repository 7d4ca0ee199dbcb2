"""Check of the environment variables that ROS 2 reads, before its libraries read them and abort or raise."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from exoactor_core.errors import BadInput, Missing
from exoactor_core.files import check_folder

KEY_VARIABLE = "EXOACTOR_VERDICT_KEY"
"""Environment variable with the key that the rehearsal signs its verdicts with and the controller checks them with.

Whoever starts the graph makes a key for each launch (`exoactor.graph.launch_key`) and passes it to these two nodes
only.
"""


def check_environment() -> None:
    """Check that rclpy can be imported and initialised; imports nothing that depends on the middleware.

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


def middleware() -> str:
    """Name of the rmw implementation to use: RMW_IMPLEMENTATION, or Fast DDS where it is installed, or another."""
    installed = _middlewares()
    default = "rmw_fastrtps_cpp" if "rmw_fastrtps_cpp" in installed or not installed else min(installed)
    return os.environ.get("RMW_IMPLEMENTATION") or default


def _middlewares() -> set[str]:
    """Names of the installed rmw implementations according to the ament index; empty if there is no index."""
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    index = "share/ament_index/resource_index/rmw_typesupport"
    return {file.name for prefix in prefixes if prefix for file in Path(prefix, index).glob("rmw_*_cpp")}


def _log_folder() -> Path:
    """Log folder of rcl_logging: https://docs.ros.org/en/jazzy/Concepts/Intermediate/About-Logging.html."""
    home = Path(os.environ.get("ROS_HOME") or "~/.ros")
    return Path(os.environ.get("ROS_LOG_DIR") or home / "log").expanduser()
