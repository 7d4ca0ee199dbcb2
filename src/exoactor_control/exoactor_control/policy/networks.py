"""Networks as files: ONNX, run by onnxruntime on the CPU in one thread, or TorchScript where torch is installed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

from exoactor_core.errors import BadInput, Missing, reason
from exoactor_core.optional import optional_import

Shape = tuple[int | str | None, ...]


class Network(Protocol):
    """A network whose first input is the observation and whose first output is the action."""

    path: Path
    inputs: dict[str, Shape]
    """Shapes by name; a name or None instead of a number: any size. Empty: the file does not say."""
    outputs: dict[str, Shape]
    metadata: dict[str, str]

    def run(self, observation: np.ndarray, **inputs: Any) -> list[np.ndarray]:
        """Return every output for an observation (N,), or for several (B, N); inputs that are not given are zeros."""
        ...


def load_network(path: str | Path) -> Network:
    """Load a network.

    Raises
    ------
    Missing
        There is no such file, or torch is needed and not installed.
    BadInput
        It cannot be run.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise Missing(f"There is no policy file {path}.")
    return _TorchScript(path) if path.suffix in (".pt", ".jit") else _Onnx(path)


class _Onnx:
    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a dozen unrelated exception types for a bad file
            raise BadInput(f"The policy {path} is not an ONNX network that can be run: {reason(error)}.") from None
        self.path = path
        self.inputs = {i.name: tuple(i.shape) for i in self._session.get_inputs()}
        self.outputs = {o.name: tuple(o.shape) for o in self._session.get_outputs()}
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self._action = [next(iter(self.outputs))]
        self._others = {
            name: np.zeros([n if isinstance(n, int) else 1 for n in shape], dtype=np.float32)
            for name, shape in list(self.inputs.items())[1:]
        }

    def run(self, observation: np.ndarray, **inputs: Any) -> list[np.ndarray]:
        feed = {next(iter(self.inputs)): np.atleast_2d(observation), **self._others}
        for name, value in inputs.items():
            feed[name] = np.full_like(self._others[name], value)
        return self._session.run(None if inputs else self._action, feed)


@dataclass
class _TorchScript:
    path: Path
    inputs: dict[str, Shape] = field(default_factory=dict)
    outputs: dict[str, Shape] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._torch = torch = optional_import("torch", f"The policy {self.path} is TorchScript and")
        try:
            self._module = torch.jit.load(str(self.path), map_location="cpu").eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise BadInput(f"The policy {self.path} is not TorchScript: {reason(error)}.") from None

    def run(self, observation: np.ndarray, **_: Any) -> list[np.ndarray]:
        with self._torch.inference_mode():
            return [self._module(self._torch.from_numpy(np.atleast_2d(observation))).numpy()]
