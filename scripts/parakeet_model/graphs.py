"""The two networks of a Parakeet TDT with random weights, as ONNX graphs of the true interface.

Names, types and axes of inputs and outputs are those that NeMo exports: the encoder takes features, the other network
is prediction and joint in one, and steps through the text token by token.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 9

DURATIONS = 5
"""A token may stand for 0 to 4 frames."""

SUBSAMPLING = 8

LSTM_LAYERS = 2

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a model is.

    Attributes:
        mels: Rows of the features.
        width: Of the encoder's output.
        blocks: Feed-forward blocks in the encoder, each four times as wide inside.
        units: Of each layer of the prediction network.
        joint: Width of the joint network.
        sharpness: How far apart the logits lie.
        blank_bias: What stands in favour of saying nothing; it sets how dense the text is.
        stay_bias: What stands in favour of a token that stands for no frame, so that another follows in the same one.
    """

    mels: int = 128
    width: int
    blocks: int
    units: int
    joint: int
    sharpness: float
    blank_bias: float
    stay_bias: float


@dataclass(slots=True)
class _Graph:
    """A graph in the making."""

    draw: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, operator: str, inputs: list[str], outputs: list[str], **attributes: object) -> None:
        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))

    def weight(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def random(self, name: str, *shape: int, std: float) -> str:
        return self.weight(name, self.draw.standard_normal(shape, np.float32) * np.float32(std))

    def model(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def encoder(size: Size, draw: np.random.Generator) -> onnx.ModelProto:
    """Make an encoder: one convolution over 24 frames of features, then feed-forward blocks; padding is masked.

    `audio_signal` (batch, mels, frames) and `length` (batch,) -> `outputs` (batch, width, frames / 8 rounded up) and
    `encoded_lengths` (batch,).
    """
    graph = _Graph(draw)
    graph.weight("zero", 0, np.int64)
    graph.weight("one", 1, np.int64)
    graph.weight("subsampling", SUBSAMPLING, np.int64)
    graph.weight("last", [1], np.int64)
    graph.weight("time", 2, np.int64)
    # Padding is nothing: whatever lies behind `length` must not reach a window's own frames.
    graph.add("Shape", ["audio_signal"], ["shape"])
    graph.add("Gather", ["shape", "time"], ["frames"], axis=0)
    graph.add("Range", ["zero", "frames", "one"], ["positions"])
    graph.add("Unsqueeze", ["length", "last"], ["lengths"])
    graph.add("Less", ["positions", "lengths"], ["is_sound"])
    graph.add("Unsqueeze", ["is_sound", "last"], ["is_sound_row"])
    graph.add("Cast", ["is_sound_row"], ["mask"], to=TensorProto.FLOAT)
    graph.add("Mul", ["audio_signal", "mask"], ["sound"])
    kernel = 3 * SUBSAMPLING
    filters = draw.standard_normal((size.width, size.mels, kernel), np.float32) * np.float32(
        (size.mels * kernel) ** -0.5
    )
    # Silence has the same value in all mels, and must be heard as nothing.
    graph.weight("convolution", filters - filters.mean(axis=1, keepdims=True))
    graph.add(
        "Conv",
        ["sound", "convolution"],
        ["convolved"],
        kernel_shape=[kernel],
        strides=[SUBSAMPLING],
        pads=[SUBSAMPLING, 2 * SUBSAMPLING - 1],
    )
    graph.add("Transpose", ["convolved"], ["hidden_0"], perm=[0, 2, 1])
    for number in range(size.blocks):
        graph.random(f"up_{number}", size.width, 4 * size.width, std=size.width**-0.5)
        graph.random(f"down_{number}", 4 * size.width, size.width, std=(4 * size.width) ** -0.5)
        graph.add("MatMul", [f"hidden_{number}", f"up_{number}"], [f"wide_{number}"])
        graph.add("Relu", [f"wide_{number}"], [f"bent_{number}"])
        graph.add("MatMul", [f"bent_{number}", f"down_{number}"], [f"change_{number}"])
        graph.add("Add", [f"hidden_{number}", f"change_{number}"], [f"hidden_{number + 1}"])
    graph.add("Transpose", [f"hidden_{size.blocks}"], ["outputs"], perm=[0, 2, 1])
    graph.add("Sub", ["length", "one"], ["before_last"])
    graph.add("Div", ["before_last", "subsampling"], ["whole"])
    graph.add("Add", ["whole", "one"], ["encoded_lengths"])
    return graph.model(
        "encoder",
        [
            helper.make_tensor_value_info("audio_signal", TensorProto.FLOAT, ["batch", size.mels, "frames"]),
            helper.make_tensor_value_info("length", TensorProto.INT64, ["batch"]),
        ],
        [
            helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["batch", size.width, "encoded_frames"]),
            helper.make_tensor_value_info("encoded_lengths", TensorProto.INT64, ["batch"]),
        ],
    )


def decoder_joint(size: Size, draw: np.random.Generator, *, pieces: int) -> onnx.ModelProto:
    """Make the prediction network, two layers of LSTM, and the joint network behind it.

    `encoder_outputs` (batch, width, frames), `targets` (batch, tokens), `target_length` (batch,) and the two halves of
    the state (layers, batch, units) -> `outputs` (batch, frames, tokens, pieces + durations) and the next state.

    Args:
        size: Of the model.
        draw: Gives the weights.
        pieces: Size of the vocabulary, the blank counted; the blank is the last of them.
    """
    graph = _Graph(draw)
    embedding = draw.standard_normal((pieces, size.units), np.float32)
    embedding[-1] = 0  # what stands before the first token
    graph.weight("embedding", embedding)
    graph.weight("joint_axis", [1], np.int64)
    graph.weight("text_axis", [2], np.int64)
    graph.weight("direction", [1], np.int64)
    graph.add("Gather", ["embedding", "targets"], ["embedded"])
    graph.add("Transpose", ["embedded"], ["text_0"], perm=[1, 0, 2])
    states = {half: [f"{half}_{layer}" for layer in range(LSTM_LAYERS)] for half in ("h", "c")}
    graph.add("Split", ["input_states_1"], states["h"], axis=0)
    graph.add("Split", ["input_states_2"], states["c"], axis=0)
    for layer in range(LSTM_LAYERS):
        graph.random(f"input_{layer}", 1, 4 * size.units, size.units, std=size.units**-0.5)
        graph.random(f"recurrence_{layer}", 1, 4 * size.units, size.units, std=size.units**-0.5)
        graph.random(f"lstm_bias_{layer}", 1, 8 * size.units, std=0.1)
        graph.add(
            "LSTM",
            [
                f"text_{layer}",
                f"input_{layer}",
                f"recurrence_{layer}",
                f"lstm_bias_{layer}",
                "",
                f"h_{layer}",
                f"c_{layer}",
            ],
            [f"lstm_{layer}", f"next_h_{layer}", f"next_c_{layer}"],
            hidden_size=size.units,
        )
        graph.add("Squeeze", [f"lstm_{layer}", "direction"], [f"text_{layer + 1}"])
    graph.add("Concat", [f"next_h_{layer}" for layer in range(LSTM_LAYERS)], ["output_states_1"], axis=0)
    graph.add("Concat", [f"next_c_{layer}" for layer in range(LSTM_LAYERS)], ["output_states_2"], axis=0)
    graph.add("Transpose", [f"text_{LSTM_LAYERS}"], ["predicted"], perm=[1, 0, 2])
    graph.random("text_to_joint", size.units, size.joint, std=4 * size.units**-0.5)
    graph.random("sound_to_joint", size.width, size.joint, std=2 * size.width**-0.5)
    graph.random("joint_to_logits", size.joint, pieces + DURATIONS, std=size.sharpness * size.joint**-0.5)
    bias = np.zeros(pieces + DURATIONS, np.float32)
    bias[pieces - 1] = size.blank_bias
    bias[pieces] = size.stay_bias
    graph.weight("logits_bias", bias)
    graph.add("Transpose", ["encoder_outputs"], ["heard"], perm=[0, 2, 1])
    graph.add("MatMul", ["heard", "sound_to_joint"], ["heard_joint"])
    graph.add("MatMul", ["predicted", "text_to_joint"], ["text_joint"])
    graph.add("Unsqueeze", ["heard_joint", "text_axis"], ["heard_grid"])
    graph.add("Unsqueeze", ["text_joint", "joint_axis"], ["text_grid"])
    graph.add("Add", ["heard_grid", "text_grid"], ["both"])
    graph.add("Relu", ["both"], ["joined"])
    graph.add("MatMul", ["joined", "joint_to_logits"], ["unbiased"])
    graph.add("Add", ["unbiased", "logits_bias"], ["outputs"])
    graph.add("Identity", ["target_length"], ["prednet_lengths"])
    state = [LSTM_LAYERS, "batch", size.units]
    return graph.model(
        "decoder_joint",
        [
            helper.make_tensor_value_info("encoder_outputs", TensorProto.FLOAT, ["batch", size.width, "frames"]),
            helper.make_tensor_value_info("targets", TensorProto.INT32, ["batch", "tokens"]),
            helper.make_tensor_value_info("target_length", TensorProto.INT32, ["batch"]),
            helper.make_tensor_value_info("input_states_1", TensorProto.FLOAT, state),
            helper.make_tensor_value_info("input_states_2", TensorProto.FLOAT, state),
        ],
        [
            helper.make_tensor_value_info(
                "outputs", TensorProto.FLOAT, ["batch", "frames", "tokens", pieces + DURATIONS]
            ),
            helper.make_tensor_value_info("prednet_lengths", TensorProto.INT32, ["batch"]),
            helper.make_tensor_value_info("output_states_1", TensorProto.FLOAT, state),
            helper.make_tensor_value_info("output_states_2", TensorProto.FLOAT, state),
        ],
    )
