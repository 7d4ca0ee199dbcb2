"""A tracker that steps to one side as well as to the other.

A tracker that learns from a limited number of motions is better at one side than at the other. Shown the mirror image
of its observation, it acts as its mirror image: steps to its worse side are done as the mirror image of steps to the
better one. The action is

    a = (1 - w) f(o) + w M f(M o),    w = clip((u - |v| - MIN_SPEED) / (FULL_SPEED - MIN_SPEED), 0, 1),

where M exchanges left and right, u is the commanded velocity towards the worse side and v the one ahead, both the mean
over what the observation remembers. Everything but side steps is left to f alone, which was chosen for it. (The mean of
both, as in symmetric ensembles, follows side steps half as well as this, and other motions worse than f.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from exoactor_control.training.anchored import LOOKAHEAD_STEPS
from exoactor_control.training.anchored import OBSERVATION_WIDTH as ANCHORED_WIDTH
from exoactor_control.training.environment import HISTORY_STEPS, OBSERVATION_WIDTH, STEP_WIDTH
from exoactor_control.training.references import MIRRORED_JOINTS, MIRRORED_SIGNS

MIN_SPEED, FULL_SPEED = 0.05, 0.15
"""m/s by which a step goes more sideways than ahead: from the first the mirror image takes part, from the second it
acts alone."""
_Mirror = tuple[np.ndarray, np.ndarray]
"""Index and sign of each number of a vector in its mirror image."""


def _signs(*signs: float) -> _Mirror:
    return np.arange(len(signs)), np.array(signs, dtype=float)


def _concatenated(parts: Sequence[_Mirror]) -> _Mirror:
    starts = np.cumsum([0, *(len(index) for index, _ in parts)])
    return (
        np.concatenate([index + start for (index, _), start in zip(parts, starts, strict=False)]),
        np.concatenate([signs for _, signs in parts]),
    )


_JOINTS: _Mirror = (MIRRORED_JOINTS, MIRRORED_SIGNS)
_MIMIC = _concatenated([_signs(1, -1), _signs(1), _signs(-1, 1), _signs(-1), _JOINTS])
_PROPRIO = _concatenated([_signs(-1, 1, -1), _signs(-1, 1), _JOINTS, _JOINTS, _JOINTS])
_ANCHOR = _signs(1, -1, 1, 1, -1, -1, 1, 1, -1)  # position, two columns of the rotation row by row
_OBSERVATION = _concatenated([*[_MIMIC, _PROPRIO] * (HISTORY_STEPS + 1), _MIMIC])
MIRRORED_OBSERVATIONS = {
    OBSERVATION_WIDTH: _OBSERVATION,
    ANCHORED_WIDTH: _concatenated([_OBSERVATION, _ANCHOR, *[_MIMIC, _ANCHOR] * len(LOOKAHEAD_STEPS)]),
}
"""Mirror images of the observations of the layouts twist2 and anchored, by width."""


def symmetric(model: onnx.ModelProto, better_side: int) -> onnx.ModelProto:
    """Combine a network ``input`` (batch, N) -> ``output`` (batch, 29) and its mirror image in one model.

    Parameters
    ----------
    model
        As `exoactor_control.training.student.to_onnx` writes it.
    better_side
        1: the network steps better to the left; -1: to the right.
    """
    (given,), (action,) = model.graph.input, model.graph.output
    width = given.type.tensor_type.shape.dim[1].dim_value
    index, signs = MIRRORED_OBSERVATIONS[width]
    ahead, aside = np.zeros((2, width, 1), np.float32)
    steps = STEP_WIDTH * np.arange(HISTORY_STEPS + 1)
    scale = 1.0 / ((FULL_SPEED - MIN_SPEED) * len(steps))
    ahead[steps], aside[steps + 1] = scale, -better_side * scale
    constants: dict[str, np.ndarray] = {
        "mirrored_index": index,
        "mirrored_signs": signs.astype(np.float32),
        "action_index": MIRRORED_JOINTS,
        "action_signs": MIRRORED_SIGNS.astype(np.float32),
        "ahead_weight": ahead,
        "aside_weight": aside,
        "share_offset": np.array(MIN_SPEED / (FULL_SPEED - MIN_SPEED), np.float32),
        "share_low": np.array(0.0, np.float32),
        "share_high": np.array(1.0, np.float32),
    }
    before = [
        helper.make_node("Gather", ["input", "mirrored_index"], ["exchanged"], axis=1),
        helper.make_node("Mul", ["exchanged", "mirrored_signs"], ["mirrored"]),
        helper.make_node("Concat", ["input", "mirrored"], ["both"], axis=0),
    ]
    network = []
    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        names = {given.name: "both", action.name: "both_actions"}
        for field in (copy.input, copy.output):
            renamed = [names.get(name, name) for name in field]
            del field[:]
            field.extend(renamed)
        network.append(copy)
    after = [
        helper.make_node("Split", ["both_actions"], ["own", "image"], axis=0),
        helper.make_node("Gather", ["image", "action_index"], ["exchanged_image"], axis=1),
        helper.make_node("Mul", ["exchanged_image", "action_signs"], ["mirrored_image"]),
        helper.make_node("MatMul", ["input", "ahead_weight"], ["ahead"]),
        helper.make_node("Abs", ["ahead"], ["ahead_speed"]),
        helper.make_node("MatMul", ["input", "aside_weight"], ["aside"]),
        helper.make_node("Sub", ["aside", "ahead_speed"], ["side_speed"]),
        helper.make_node("Sub", ["side_speed", "share_offset"], ["unlimited_share"]),
        helper.make_node("Clip", ["unlimited_share", "share_low", "share_high"], ["share"]),
        helper.make_node("Sub", ["mirrored_image", "own"], ["difference"]),
        helper.make_node("Mul", ["difference", "share"], ["shared_difference"]),
        helper.make_node("Add", ["own", "shared_difference"], ["output"]),
    ]
    shapes = {"input": width, "output": len(MIRRORED_JOINTS)}
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", size]) for n, size in shapes.items()]
    weights = [*model.graph.initializer, *(numpy_helper.from_array(v, name) for name, v in constants.items())]
    graph = helper.make_graph([*before, *network, *after], model.graph.name, values[:1], values[1:], weights)
    whole = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    onnx.checker.check_model(whole)
    return whole
