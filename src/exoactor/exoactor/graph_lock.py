"""At most one graph per name in a ROS domain, and one per simulated or real robot: a second one is refused.

Two controllers of one robot, or two nodes of one name, would disturb each other silently.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from glob import iglob
from pathlib import Path

from exoactor_core.errors import Busy


def lock_graph(values: dict[str, str]) -> list[socket.socket]:
    """Lock the graph's name and its robot while this process, or one that inherits the sockets, lives.

    The locks are abstract sockets of Linux, which disappear with their last holder, however it ends, and are separate
    in each network namespace. ``values`` are the launch arguments as `exoactor.graph.resolve` returns them.

    Raises
    ------
    Busy
        Another graph has one of the two; the message says which process to end.
    """
    domain, robot = os.environ.get("ROS_DOMAIN_ID") or "0", values["namespace"]
    interface, dds = values["network_interface"], values["dds_domain"]
    named = f" under the name {robot}" if robot else ""
    wanted = {
        f"exoactor/ros/{domain}/{robot}": f"A graph is already running in ROS domain {domain}{named}: {{end}}, or "
        "start this in another ROS_DOMAIN_ID, or with a name and robot of its own (namespace:=robot2 dds_domain:=2).",
        f"exoactor/robot/{interface}/{dds}": f"A graph already drives the robot in DDS domain {dds} of the interface "
        f"{interface}: {{end}}, or choose another dds_domain:=NUMBER.",
    }
    locks: list[socket.socket] = []
    for name, taken in wanted.items():
        locks.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        try:
            locks[-1].bind(f"\0{name}")
        except OSError:
            for lock in locks:
                lock.close()
            kill = "".join(f" {pid}" for pid in _holders(name))
            raise Busy(taken.format(end="end it with Ctrl-C" + (f", or kill -INT{kill}" if kill else ""))) from None
    return locks


def _holders(name: str) -> list[int]:
    """Processes that hold an abstract socket, without children of other holders, which their parents end."""
    rows = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()]
    links = {f"socket:[{row[6]}]" for row in rows if row[-1] == f"@{name}"}
    parents: dict[int, int] = {}
    for fd in iglob("/proc/[0-9]*/fd/*"):
        with suppress(OSError):  # it has ended, or belongs to another user
            if os.readlink(fd) in links:
                pid = int(fd.split("/")[2])
                parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return sorted(pid for pid, parent in parents.items() if parent not in parents)
