"""Networks as files: ONNX, run by onnxruntime on the CPU in one thread, or TorchScript where torch is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

from exoactor_core.errors import BadInput, Missing, reason
from exoactor_core.optional import optional_import

Shape = tuple[int | str | None, ...]


class Network(Protocol):
    """A network whose first input is the observation."""

    path: Path
    inputs: dict[str, Shape]
    """Shapes by name; a name or None in place of a number means any size. Empty: the file does not say."""
    outputs: dict[str, Shape]
    metadata: dict[str, str]

    def run(
        self, observation: np.ndarray, inputs: Mapping[str, Any] | None = None, outputs: Sequence[str] = ()
    ) -> list[np.ndarray]:
        """Return the named outputs (default: the first) for an observation (N,), or for several (B, N).

        ``inputs`` are the further inputs by name, in any shape of the right size; missing ones are zeros.
        """
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
        except Exception as error:  # onnxruntime has a dozen unrelated exception types for bad files
            raise BadInput(f"The policy {path} is not an ONNX network that can be run: {reason(error)}.") from None
        self.path = path
        self.inputs = {i.name: tuple(i.shape) for i in self._session.get_inputs()}
        self.outputs = {o.name: tuple(o.shape) for o in self._session.get_outputs()}
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self._first, *others = self._session.get_inputs()
        self._others = {i.name: np.zeros(_sizes(i.shape), _DTYPES.get(i.type, np.float32)) for i in others}

    def run(
        self, observation: np.ndarray, inputs: Mapping[str, Any] | None = None, outputs: Sequence[str] = ()
    ) -> list[np.ndarray]:
        feed = {self._first.name: _shaped(observation, self._first.shape), **self._others}
        for name, value in (inputs or {}).items():
            zeros = self._others[name]
            feed[name] = zeros + np.asarray(value, zeros.dtype).reshape(zeros.shape if np.ndim(value) else ())
        return self._session.run(list(outputs) or [next(iter(self.outputs))], feed)


_DTYPES = {
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}


def _sizes(shape: Sequence[int | str | None]) -> list[int]:
    """Sizes of one sample; one for dimensions of any size."""
    return [n if isinstance(n, int) else 1 for n in shape]


def _shaped(observation: np.ndarray, shape: Sequence[int | str | None]) -> np.ndarray:
    """Reshape observations (N,) or (B, N) as the input requires."""
    rows = np.atleast_2d(observation)
    return rows if len(shape) <= 2 else rows.reshape(len(rows), *_sizes(shape)[1:])


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

    def run(
        self, observation: np.ndarray, inputs: Mapping[str, Any] | None = None, outputs: Sequence[str] = ()
    ) -> list[np.ndarray]:
        with self._torch.inference_mode():
            return [self._module(self._torch.from_numpy(np.atleast_2d(observation))).numpy()]
