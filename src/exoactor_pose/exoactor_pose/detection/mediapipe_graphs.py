"""MediaPipe's graphs (finding people, placing landmarks in a region), each run on single images without memory.

The graphs are those in the MediaPipe wheel, with the stream names documented in its ``modules/*/*.pbtxt``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any

import numpy as np

from exoactor_core.errors import Missing

_STDERR = RLock()
_OPERATORS_FIELD = 10
"""Index in a SubGraph's table in TensorFlow Lite's FlatBuffer schema."""


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Silence the output of C++ libraries: TensorFlow Lite has no other switch."""
    with _STDERR:  # otherwise one thread would restore the other's null device as the real one
        sys.stderr.flush()
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


@contextmanager
def _without_modules(*names: str) -> Iterator[None]:
    """Replace imports of modules that have not been imported yet by empty ones.

    MediaPipe draws with Matplotlib, which takes longer to import than the rest of it, and nothing is drawn here.
    """
    empty = {name: ModuleType(name) for name in names if name not in sys.modules}
    sys.modules.update(empty)
    try:
        yield
    finally:
        for name in empty:
            del sys.modules[name]


def modules_folder() -> Path:
    """The folder of MediaPipe's modules with their model files.

    Raises
    ------
    Missing
        MediaPipe is not installed.
    """
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with quiet_stderr(), _without_modules("matplotlib", "matplotlib.pyplot"):
            import mediapipe
    except ImportError as error:
        raise Missing(f"MediaPipe cannot be loaded: {error}. Run 'make env'.") from None
    return Path(mediapipe.__file__).parent / "modules"


class Graph:
    """One of MediaPipe's graphs, for an image and, if required, a region of it.

    Parameters
    ----------
    name
        Registered name of the graph, such as PoseLandmarkByRoiCpu.
    outputs
        Tags of its output streams.
    roi
        Whether it takes a region.
    model
        A TensorFlow Lite model to run in place of the graph's own.
    threshold
        Confidence in [0, 1] below which the graph outputs nothing.

    Raises
    ------
    Missing
        MediaPipe is not installed.
    """

    def __init__(
        self,
        name: str,
        outputs: tuple[str, ...],
        roi: bool = False,
        model: bytes | None = None,
        threshold: float = 0.5,
    ) -> None:
        folder = modules_folder()
        with quiet_stderr():
            from mediapipe.framework import calculator_pb2
            from mediapipe.python import packet_creator
            from mediapipe.python._framework_bindings import calculator_graph, resource_util, validated_graph_config

            resource_util.set_resource_dir(str(folder.parent.parent))
            inputs = ["IMAGE"] + ["ROI"] * roi
            config = calculator_pb2.CalculatorGraphConfig(
                input_stream=[tag.lower() for tag in inputs],
                output_stream=[tag.lower() for tag in outputs],
            )
            config.node.add(
                calculator=name,
                input_stream=[f"{tag}:{tag.lower()}" for tag in inputs],
                output_stream=[f"{tag}:{tag.lower()}" for tag in outputs],
            )
            flat = validated_graph_config.ValidatedGraphConfig()
            flat.initialize(graph_config=config)
            config = calculator_pb2.CalculatorGraphConfig.FromString(flat.binary_config)
            _set_threshold(config, threshold)
            packets = {}
            if model is not None:
                _set_model(config, "model")
                packets["model"] = packet_creator.create_string(model)
            self._graph = calculator_graph.CalculatorGraph(graph_config=config)
            self._got: dict[str, Any] = {}
            for tag in outputs:
                self._graph.observe_output_stream(tag.lower(), self._keep)
            self._graph.start_run(packets)
            self._time, self._warm = 0, False
            self(np.zeros((64, 64, 3), np.uint8), np.array([32.0, 32.0, 64.0, 0.0]) if roi else None)  # loads the model

    def _keep(self, name: str, packet: Any) -> None:
        self._got[name.upper()] = packet

    def __call__(self, image: np.ndarray, roi: np.ndarray | None = None) -> dict[str, Any]:
        """Run on one RGB image, (H, W, 3) uint8.

        ``roi`` is a square: x, y of its centre and its side in px, and its rotation in rad, clockwise in the image.

        Returns
        -------
        The packets of available outputs, by tag: read them with ``mediapipe.python.packet_getter``.
        """
        from mediapipe.framework.formats import rect_pb2
        from mediapipe.python import packet_creator
        from mediapipe.python._framework_bindings.image_frame import ImageFormat

        self._got, self._time = {}, self._time + 1
        # A model's first result comes with messages on standard error.
        with nullcontext() if self._warm else quiet_stderr():
            if roi is not None:
                height, width = image.shape[:2]
                x, y, side, turn = (float(v) for v in roi)
                rect = rect_pb2.NormalizedRect(
                    x_center=x / width, y_center=y / height, width=side / width, height=side / height, rotation=turn
                )
                self._graph.add_packet_to_input_stream("roi", packet_creator.create_proto(rect).at(self._time))
            pixels = np.ascontiguousarray(image).view()
            pixels.flags.writeable = False  # otherwise it is copied
            frame = packet_creator.create_image_frame(pixels, image_format=ImageFormat.SRGB)
            self._graph.add_packet_to_input_stream("image", frame.at(self._time))
            self._graph.wait_until_idle()
        self._warm |= bool(self._got)
        return self._got

    def close(self) -> None:
        """End the graph's threads, and free its model."""
        self._graph.close_all_packet_sources()
        self._graph.wait_until_done()
        del self._graph


def landmark_array(packet: Any) -> np.ndarray:
    """The landmarks of a packet: (N, 4) x, y, z, visibility, in the packet's own units."""
    from mediapipe.python import packet_getter

    return np.array([(p.x, p.y, p.z, p.visibility) for p in packet_getter.get_proto(packet).landmark])


def _set_threshold(config: Any, threshold: float) -> None:
    """Set the threshold in all nodes of a flat graph that have one."""
    from mediapipe.calculators.tensor import tensors_to_detections_calculator_pb2 as to_detections
    from mediapipe.calculators.util import thresholding_calculator_pb2 as thresholding

    for node in config.node:
        if node.calculator == "TensorsToDetectionsCalculator":
            node.options.Extensions[to_detections.TensorsToDetectionsCalculatorOptions.ext].min_score_thresh = threshold
        elif node.calculator == "ThresholdingCalculator":
            node.options.Extensions[thresholding.ThresholdingCalculatorOptions.ext].threshold = threshold


def _set_model(config: Any, side_packet: str) -> None:
    """Let a flat graph take its model from a side packet instead of a file."""
    for index, node in reversed(list(enumerate(config.node))):
        if node.calculator == "TfLiteModelCalculator":
            node.input_side_packet[:] = [f"MODEL_BLOB:{side_packet}"]
        elif "modelloader" in node.name:
            del config.node[index]
    config.input_side_packet.append(side_packet)


def without_output(model: bytes, number: int) -> bytes:
    """A TensorFlow Lite model without the computation of one of its outputs, which becomes a copy of its first output.

    Operators are removed from the list in the FlatBuffer, in place; weights are unchanged.
    """
    from mediapipe.tasks.metadata.schema_py_generated import Model

    data = bytearray(model)
    graph = Model.GetRootAsModel(data, 0).Subgraphs(0)
    outputs = graph.OutputsAsNumpy()
    outputs[number] = outputs[0]
    needed, kept = set(outputs.tolist()), list[int]()
    for index in reversed(range(graph.OperatorsLength())):  # operators are in order of execution
        operator = graph.Operators(index)
        if needed.intersection(operator.OutputsAsNumpy().tolist()):
            needed.update(operator.InputsAsNumpy().tolist())
            kept.insert(0, index)
    start = graph._tab.Vector(graph._tab.Offset(_OPERATORS_FIELD))
    offsets = np.frombuffer(data, np.uint32, graph.OperatorsLength(), start)  # each offset counts from its own position
    positions = start + offsets.itemsize * np.arange(len(offsets))
    offsets[: len(kept)] = (positions + offsets)[kept] - positions[: len(kept)]
    np.frombuffer(data, np.uint32, 1, start - 4)[0] = len(kept)
    return bytes(data)
