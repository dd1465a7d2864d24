#!/usr/bin/env python3
"""Write faster-whisper's speech model anew, as products of matrices.

    python scripts/make_speech_model.py        # writes transcriber/vad/silero_vad_v6.onnx

Silero's network looks at 576 samples at a time: 4 spectra, then four convolutions over those 4 positions. ONNX Runtime
multiplies a matrix for each frame then, 4 columns wide, where a processor does 16 at once. Here each convolution is one
product over all frames, with a matrix that has the kernel at every position. The weights, the inputs and the outputs
are the same; docs/decisions/0010 has the numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "transcriber" / "vad" / "silero_vad_v6.onnx"
ORIGINAL = "faster_whisper/assets/silero_vad_v6.onnx"

OPSET, IR_VERSION = 18, 8
"""Those of the original."""

FRAME, BASIS, HOP = 576, 256, 128
"""Samples that a frame has, that a spectrum sees, and from one spectrum to the next."""

SPECTRA = 4
"""Positions that the first convolution sees; the last of them sees the frame's end twice, the second time mirrored."""

BINS = BASIS // 2 + 1
UNITS = 128

STRIDES = (1, 2, 2, 1)
"""Of the four convolutions, each of which sees one position to either side."""

Array = NDArray[np.float32]


def main() -> None:
    """Write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, nargs="?", default=TARGET, help="where to (default: the package)")
    target = parser.parse_args().target
    target.write_bytes(rewritten().SerializeToString(deterministic=True))


def rewritten() -> onnx.ModelProto:
    """Return the network of faster-whisper, in matrices."""
    original = onnx.load(str(distribution("faster-whisper").locate_file(ORIGINAL)))
    given = {tensor.name: numpy_helper.to_array(tensor) for tensor in original.graph.initializer}
    graph = _Graph()
    found = _spectra(graph, given["encoder.feature_extractor.forward_basis_buffer"][:, 0].T)
    positions = SPECTRA
    for number, stride in enumerate(STRIDES):
        layer = f"encoder.conv_layers.{number}"
        matrix, positions = _matrix_of(given[f"{layer}.weight"], positions, stride)
        bias = np.tile(given[f"{layer}.bias"], positions)
        found = graph.add("Relu", graph.add("Gemm", found, graph.keep(matrix), graph.keep(bias)))
    weights = [graph.keep(given[f"onnx::LSTM_{number}"]) for number in (209, 210, 211)]
    rows = graph.add("Unsqueeze", found, graph.integers(1))
    states = graph.add("LSTM", rows, *weights, "", "h", "c", names=("states", "hn", "cn"), hidden_size=UNITS)
    decoded = graph.add("Relu", graph.add("Reshape", states, graph.integers(-1, UNITS)))
    head = (given["decoder.conv1d.weight"].reshape(UNITS, 1), given["decoder.conv1d.bias"])
    scores = graph.add("Gemm", decoded, *map(graph.keep, head))
    graph.add("Reshape", graph.add("Sigmoid", scores), graph.integers(-1), names=("speech_probs",))
    return graph.model()


def _spectra(graph: _Graph, basis: Array) -> str:
    """Add the magnitudes of a frame's spectra, one after the other in a row."""
    starts = [HOP * number for number in range(SPECTRA)]
    pieces = [graph.slice("input", start, min(start + BASIS, FRAME)) for start in starts]
    mirrored = starts[-1] + BASIS - FRAME
    pieces.append(graph.slice("input", FRAME - 2, FRAME - 2 - mirrored, step=-1))
    windows = graph.add("Reshape", graph.add("Concat", *pieces, axis=1), graph.integers(-1, BASIS))
    products = graph.add("MatMul", windows, graph.keep(basis))
    parts = [graph.slice(products, first, first + BINS) for first in (0, BINS)]
    power = graph.add("Add", *(graph.add("Mul", part, part) for part in parts))
    return graph.add("Reshape", graph.add("Sqrt", power), graph.integers(-1, SPECTRA * BINS))


def _matrix_of(kernel: Array, positions: int, stride: int) -> tuple[Array, int]:
    """Return what a convolution does to all positions of a frame at once, and how many positions come out.

    Args:
        kernel: Shape (outputs, inputs, 3).
        positions: How many go in.
        stride: From one position that comes out to the next.
    """
    outputs, inputs, taps = kernel.shape
    left = (positions - 1) // stride + 1
    matrix = np.zeros((positions, inputs, left, outputs), np.float32)
    for target in range(left):
        for tap in range(taps):
            source = target * stride + tap - 1
            if 0 <= source < positions:
                matrix[source, :, target] = kernel[:, :, tap].T
    return matrix.reshape(positions * inputs, left * outputs), left


class _Graph:
    """Nodes as they are added; each is known by the name of its first output."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, names: Sequence[str] = (), **attributes: int) -> str:
        outputs = list(names) or [f"{kind}_{len(self._nodes)}"]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs[0]

    def keep(self, values: NDArray[np.generic]) -> str:
        name = f"kept_{len(self._tensors)}"
        self._tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def integers(self, *values: int) -> str:
        return self.keep(np.array(values, np.int64))

    def slice(self, name: str, start: int, end: int, *, step: int = 1) -> str:
        bounds = [self.integers(value) for value in (start, end, 1, step)]
        return self.add("Slice", name, *bounds)

    def model(self) -> onnx.ModelProto:
        state = [1, 1, UNITS]
        graph = helper.make_graph(
            self._nodes,
            "silero_vad_v6",
            [_floats("input", ["frames", FRAME]), _floats("h", state), _floats("c", state)],
            [_floats("speech_probs", ["frames"]), _floats("hn", state), _floats("cn", state)],
            self._tensors,
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="make_speech_model.py"
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _floats(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


if __name__ == "__main__":
    main()
