"""The network to be trained, in PyTorch and as ONNX, and its imitation loss."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from exoactor_control.training.environment import OBSERVATION_WIDTH

JOINTS = 29
TEACHER_FEEDBACK = np.r_[np.full(12, 0.4), np.full(17, 0.6)]
"""Share of each joint's error that is added to the teacher's command: legs, then waist and arms."""
_CLIP = 8.0  # of the normalised observation
_LEG_WEIGHT = torch.tensor([2.0] * 12 + [1.0] * 17)


class Student(nn.Module):
    """Observation (N, ``inputs``) -> raw action (N, ``outputs``)."""

    def __init__(
        self, inputs: int = OBSERVATION_WIDTH, hidden: Sequence[int] = (512, 256, 128), outputs: int = JOINTS
    ) -> None:
        super().__init__()
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise((inputs, *hidden)):
            layers += [nn.Linear(a, b), nn.ELU()]
        self.net = nn.Sequential(*layers, nn.Linear(hidden[-1], outputs))

    @classmethod
    def from_onnx(cls, path: Path) -> Student | None:
        """Read a file written by `to_onnx`; None: the network is not one of ours."""
        model = onnx.load(str(path))
        weights = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in model.graph.initializer}
        student = cls()
        for name, value in student.state_dict().items():
            read = weights.get(_onnx_name(name))
            if read is None or read.shape != value.shape:
                return None
            value.copy_(read)
        return student

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Normalise and run the network."""
        return self.net(((observation - self.mean) / self.std).clamp(-_CLIP, _CLIP))

    def normalise_by(self, sample: torch.Tensor, known: int = 0) -> None:
        """Set mean and deviation of the observations from a sample (N, inputs); the first ``known`` are kept."""
        self.mean[known:] = sample.mean(dim=0)[known:]
        self.std[known:] = sample.std(dim=0).clamp(min=0.05)[known:]

    def average_in(self, other: Student, decay: float) -> None:
        """Update the moving average with another student's weights."""
        with torch.no_grad():
            for average, now in zip(self.parameters(), other.parameters(), strict=True):
                average.lerp_(now, 1.0 - decay)


def _onnx_name(name: str) -> str:
    """Name of one of `Student`'s parameters in `to_onnx`'s file."""
    _, _, parameter = name.partition(".")
    number, _, kind = parameter.partition(".")
    return f"{kind}{number}" if kind else name


def to_onnx(student: Student) -> onnx.ModelProto:
    """Write a student as ONNX: ``input`` (batch, inputs) -> ``output`` (batch, 29), opset 13, weights in float16."""
    nodes, weights = [], []

    def constant(name: str, value: torch.Tensor, kept_as: type = np.float32) -> str:
        weights.append(numpy_helper.from_array(value.numpy(force=True).astype(kept_as), name))
        return name

    nodes.append(helper.make_node("Sub", ["input", constant("mean", student.mean)], ["centred"]))
    nodes.append(helper.make_node("Div", ["centred", constant("std", student.std)], ["scaled"]))
    bounds = [constant("low", torch.tensor(-_CLIP)), constant("high", torch.tensor(_CLIP))]
    nodes.append(helper.make_node("Clip", ["scaled", *bounds], ["x0"]))
    x = "x0"
    for k, layer in enumerate(student.net):
        y = "output" if k == len(student.net) - 1 else f"x{k + 1}"
        if isinstance(layer, nn.Linear):
            weight = constant(f"weight{k}", layer.weight, np.float16)
            nodes.append(helper.make_node("Cast", [weight], [f"{weight}_float32"], to=TensorProto.FLOAT))
            inputs = [x, f"{weight}_float32", constant(f"bias{k}", layer.bias)]
            nodes.append(helper.make_node("Gemm", inputs, [y], transB=1))
        else:
            nodes.append(helper.make_node("Elu", [x], [y]))
        x = y
    graph = helper.make_graph(
        nodes,
        "exoactor",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", len(student.mean)])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", JOINTS])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def load_teacher(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Load a tracker: observations (N, M) -> raw actions (N, 29), clipped as TWIST2's are."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: np.clip(session.run(None, {name: x})[0], -10.0, 10.0)


class ImitationBuffer:
    """The newest observations (N, ``width``) with a teacher's actions, at most ``size``."""

    def __init__(self, size: int, width: int) -> None:
        self._observations = np.zeros((size, width), np.float16)
        self._actions = np.zeros((size, JOINTS), np.float32)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._actions))

    def add(self, observations: np.ndarray, actions: np.ndarray) -> None:
        """Add samples, replacing the oldest."""
        rows = (self._added + np.arange(len(actions))) % len(self._actions)
        self._observations[rows], self._actions[rows] = observations, actions
        self._added += len(actions)

    def loss(self, student: Student, count: int, rng: np.random.Generator) -> torch.Tensor:
        """Huber loss of the student's actions in a random batch; the legs' count twice."""
        rows = rng.integers(0, len(self), count)
        device = student.mean.device
        seen, wanted = (torch.from_numpy(a[rows]).to(device) for a in (self._observations, self._actions))
        error = nn.functional.smooth_l1_loss(student(seen.float()), wanted, reduction="none", beta=0.5)
        return (_LEG_WEIGHT.to(device) * error).mean()
