"""Unitree's Python SDK and its DDS messages, for the robot link and the simulator.

Two editions of ``unitree_sdk2py`` exist. The one on the package index (1.0.1) lacks the ``b2`` module that its own
``__init__`` imports, the native CRC library and the motion-switcher client; Unitree's git tree has all of them. This
module makes both work: import the SDK only through it.

Raises `exoactor_core.errors.Missing` on import where the SDK or Cyclone DDS is not installed.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import socket
import sys
import threading
import time
import types
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from exoactor_core.errors import BadInput, Missing

log = logging.getLogger("exoactor.control")

LOW_CMD_TOPIC = "rt/lowcmd"
LOW_STATE_TOPIC = "rt/lowstate"
TRUTH_TOPIC = "rt/sportmodestate"
"""Topic on which Unitree's simulators publish the true position and velocity of the base."""

HAND_COMMAND_TOPICS = ("rt/dex3/left/cmd", "rt/dex3/right/cmd")
HAND_STATE_TOPICS = ("rt/dex3/left/state", "rt/dex3/right/state")
"""Topics of the left and right Dex3 hand; the robot's own service publishes there if hands are fitted."""


def _import_sdk() -> None:
    """Import unitree_sdk2py, with an empty ``b2`` module if the installed edition lacks it."""
    spec = find_spec("unitree_sdk2py")
    if spec is None or spec.submodule_search_locations is None:
        raise Missing("Unitree's SDK (Python module unitree_sdk2py) is not installed: run 'make env'.")
    if not any((Path(p) / "b2").exists() for p in spec.submodule_search_locations):
        sys.modules.setdefault("unitree_sdk2py.b2", types.ModuleType("unitree_sdk2py.b2"))
    try:
        import unitree_sdk2py  # noqa: F401
    except ImportError as error:
        raise Missing(
            f"Unitree's SDK cannot be loaded: {error}. It needs the Python package cyclonedds 0.10.2: run 'make env'."
        ) from None


_import_sdk()

from cyclonedds._clayer import ddspy_take, ddspy_write  # noqa: E402
from cyclonedds.core import InstanceState, Policy, Qos, ReadCondition, SampleState, ViewState, WaitSet  # noqa: E402
from cyclonedds.domain import DomainParticipant  # noqa: E402
from cyclonedds.pub import DataWriter  # noqa: E402
from cyclonedds.sub import DataReader  # noqa: E402
from cyclonedds.topic import Topic  # noqa: E402
from cyclonedds.util import duration  # noqa: E402
from unitree_sdk2py.core import channel as _channel  # noqa: E402
from unitree_sdk2py.core.channel import ChannelFactory  # noqa: E402
from unitree_sdk2py.idl import default as _default  # noqa: E402
from unitree_sdk2py.idl.unitree_go.msg.dds_ import SportModeState_  # noqa: E402
from unitree_sdk2py.idl.unitree_hg.msg.dds_ import HandCmd_, HandState_, LowCmd_, LowState_  # noqa: E402
from unitree_sdk2py.rpc.client import Client  # noqa: E402
from unitree_sdk2py.rpc.server import Server  # noqa: E402

low_cmd: Callable[[], LowCmd_] = _default.unitree_hg_msg_dds__LowCmd_
"""A new unitree_hg LowCmd, all zeros."""

low_state: Callable[[], LowState_] = _default.unitree_hg_msg_dds__LowState_
"""A new unitree_hg LowState, all zeros."""

hand_cmd: Callable[[], HandCmd_] = _default.unitree_hg_msg_dds__HandCmd_
"""A new unitree_hg HandCmd of 7 motors, all zeros."""

hand_state: Callable[[], HandState_] = _default.unitree_hg_msg_dds__HandState_
"""A new unitree_hg HandState of 7 motors, all zeros."""

sport_mode_state: Callable[[], SportModeState_] = _default.unitree_go_msg_dds__SportModeState_
"""A new unitree_go SportModeState, all zeros."""


# --- channels -------------------------------------------------------------------------------------------------------

# The SDK's configuration traces into one fixed file under /tmp, which fails for the second user of a machine.
_channel.ChannelConfigHasInterface = re.sub(
    r"<Tracing>.*?</Tracing>", "", _channel.ChannelConfigHasInterface, flags=re.DOTALL
)

_opened: tuple[str, int] | None = None
_participant: DomainParticipant | None = None


def open_dds(network_interface: str, domain: int) -> None:
    """Join a DDS domain on a network interface; a process joins once and stays.

    Raises
    ------
    BadInput
        The domain number is out of range, or this process already joined another domain or interface.
    Missing
        There is no such network interface, or DDS cannot use it.
    """
    global _opened, _participant
    if not 0 <= domain <= 232:
        raise BadInput(f"The DDS domain is {domain}, but it must lie between 0 and 232.")
    if _opened == (network_interface, domain):
        return
    if _opened is not None:
        raise BadInput(
            f"This process already uses DDS on interface {_opened[0]}, domain {_opened[1]}: "
            f"restart it to use interface {network_interface}, domain {domain}."
        )
    interfaces = [name for _, name in socket.if_nameindex()]
    if network_interface not in interfaces:
        raise Missing(
            f"There is no network interface '{network_interface}' here; there are {', '.join(interfaces)}. "
            "Set network_interface (lo for the simulator)."
        )
    said, before = io.StringIO(), _sockets()
    with contextlib.redirect_stdout(said):  # the SDK prints its errors
        joined = ChannelFactory().Init(domain, network_interface)
    if not joined:
        detail = " ".join(said.getvalue().split())
        raise Missing(f"DDS cannot use the network interface '{network_interface}', domain {domain}: {detail}")
    _participant = DomainParticipant(domain)
    if network_interface == "lo":
        _bind_to_loopback(_sockets() - before)
    _opened = (network_interface, domain)


def _sockets() -> set[int]:
    """File descriptors of this process's sockets."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                found.add(int(name))
    return found


def _bind_to_loopback(descriptors: set[int]) -> None:
    """Keep UDP sockets to the loopback device.

    Cyclone DDS 0.10 binds those that it receives on to every address, whichever interface is set; on ``lo`` no packets
    of others are wanted. (Not on a cable: what one host says to itself arrives on ``lo`` there, too.)
    """
    for descriptor in descriptors:
        with socket.socket(fileno=os.dup(descriptor)) as held:
            if held.family == socket.AF_INET and held.type == socket.SOCK_DGRAM:
                held.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")


def _joined() -> DomainParticipant:
    if _participant is None:
        raise RuntimeError("open_dds comes first.")
    return _participant


class Publisher:
    """Writes one topic; `open_dds` comes first."""

    def __init__(self, topic: str, message_type: type) -> None:
        participant = _joined()
        self._writer: DataWriter[Any] = DataWriter(participant, Topic(participant, topic, message_type))

    def write(self, message: Any) -> None:
        """Send a message; having no readers is not an error."""
        self._writer.write(message)

    def write_bytes(self, serialised: bytes | bytearray) -> None:
        """Send a serialised message (see `exoactor_unitree.wire`). Raises `OSError`: DDS cannot send it."""
        code = ddspy_write(self._writer._ref, serialised)
        if code < 0:
            raise OSError(f"DDS cannot send a message: error {code}.")


class RawReader:
    """Reads the newest message of a topic as bytes on request, without a thread or deserialisation.

    ``ignore_own``: ignore messages that this process sends.
    """

    def __init__(self, topic: str, message_type: type, ignore_own: bool = False) -> None:
        participant = _joined()
        qos = Qos(Policy.IgnoreLocal.Participant) if ignore_own else None
        self._reader: DataReader[Any] = DataReader(participant, Topic(participant, topic, message_type), qos)
        self._new = ReadCondition(self._reader, ViewState.Any | InstanceState.Alive | SampleState.NotRead)
        self._waitset = WaitSet(participant)
        self._waitset.attach(self._new)

    def take(self) -> bytes | None:
        """Return the newest message, once; None if there is no new one."""
        taken = ddspy_take(self._reader._ref, 1)
        if isinstance(taken, int) or not taken or not taken[0][1].valid_data:
            return None
        return taken[0][0]

    def wait(self, seconds: float) -> bool:
        """Wait for a message to `take`; returns False after ``seconds`` without one."""
        return self._waitset.wait(duration(nanoseconds=int(1e9 * seconds))) > 0


# --- motion switcher ------------------------------------------------------------------------------------------------

# Names and numbers of the service that turns the robot's own walking controller on and off, from Unitree's SDK
# (unitree_sdk2py/comm/motion_switcher), which the edition on the package index lacks.
_SERVICE = "motion_switcher"
_SERVICE_VERSION = "1.0.0.1"
_CHECK_MODE, _SELECT_MODE, _RELEASE_MODE = 1001, 1002, 1003
_DEBUG_MODE = "put the robot in debug mode (L2 + R2)"


class MotionSwitcherClient(Client):
    """Reports which of the robot's own controllers is active, and releases it so that LowCmd drives the motors."""

    def __init__(self) -> None:
        super().__init__(_SERVICE, False)
        self._SetApiVerson(_SERVICE_VERSION)
        for api in (_CHECK_MODE, _SELECT_MODE, _RELEASE_MODE):
            self._RegistApi(api, 0)
        self._asking = threading.Lock()  # one request at a time

    def check(self, timeout: float = 1.0) -> str | None:
        """Name of the active controller; empty if none is, None without an answer within ``timeout`` s."""
        code, data = self._ask(_CHECK_MODE, timeout=timeout)
        return None if code != 0 else str(json.loads(data).get("name", ""))

    def active(self, timeout: float) -> str:
        """As `check`; raises `Missing`: the service does not answer within ``timeout`` s."""
        end = time.monotonic() + timeout
        while (name := self.check()) is None:
            if time.monotonic() > end:
                raise Missing(f"The robot's motion switcher does not answer within {timeout:g} s: {_DEBUG_MODE}.")
            time.sleep(0.05)
        return name

    def release(self, timeout: float) -> str:
        """Make the active controller release the motors; return its name, empty if none was active.

        Raises
        ------
        Missing
            The service does not answer, or does not release the controller, within ``timeout`` s.
        """
        end = time.monotonic() + timeout
        first = active = self.active(timeout)
        while active:
            if time.monotonic() > end:
                raise Missing(
                    f"The robot's motion switcher does not release the controller '{active}' within {timeout:g} s: "
                    f"{_DEBUG_MODE}."
                )
            self._ask(_RELEASE_MODE)
            time.sleep(0.05)
            active = self.active(timeout)
        return first

    def give_back(self, name: str) -> None:
        """Return the motors to the controller that `release` named; empty: there was none."""
        if name and self._ask(_SELECT_MODE, json.dumps({"name": name}))[0] != 0:
            log.warning("The robot's own controller '%s' did not take the motors back: use its remote.", name)

    def _ask(self, api: int, parameter: str = "{}", timeout: float = 1.0) -> tuple[int, str]:
        with self._asking, contextlib.redirect_stdout(io.StringIO()):
            self.SetTimeout(timeout)
            return self._Call(api, parameter)


class MotionSwitcherServer(Server):
    """The robot's side of the service, for the simulator; ``mode`` is active until it is released."""

    def __init__(self, mode: str = "ai") -> None:
        super().__init__(_SERVICE)
        self.mode = mode
        with contextlib.redirect_stdout(io.StringIO()):  # the SDK prints a message
            self._SetApiVersion(_SERVICE_VERSION)
            self._RegistHandler(_CHECK_MODE, lambda _: self._check(), False)
            self._RegistHandler(_SELECT_MODE, self._select, False)
            self._RegistHandler(_RELEASE_MODE, lambda _: self._set(""), False)
            self.Start()

    def _check(self) -> tuple[int, str]:
        return 0, json.dumps({"form": "0", "name": self.mode})

    def _set(self, mode: str) -> tuple[int, str]:
        self.mode = mode
        return 0, ""

    def _select(self, parameter: str) -> tuple[int, str]:
        return self._set(str(json.loads(parameter).get("name", "")))
