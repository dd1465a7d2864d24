from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from transcriber.engines.model_file import Shape, Variable, packed, read_table, shape_of, values_of
from transcriber.errors import ModelUnavailable


def model_file(*, heads: int = 20, width: int = 1280, layers: int = 2, float_type: int = 4, version: int = 6) -> bytes:
    """Return a model.bin with the shape of a Whisper, and one byte of each weight."""
    variables = [
        packed("decoder/embeddings/weight", (51866, width), 1, b"e"),
        packed("decoder/layer_norm/gamma", (width,), float_type, b"g"),
        *(packed(f"decoder/layer_{i}/ffn/linear_0/weight", (4 * width, width), 1, b"w") for i in range(layers)),
        packed("encoder/layer_0/ffn/linear_0/weight", (4 * width, width), 1, b"w"),
        packed("encoder/num_heads", (), 2, struct.pack("<h", heads)),
    ]
    name = b"WhisperSpec\0"
    head = struct.pack(f"<IH{len(name)}sII", version, len(name), name, 3, len(variables))
    return head + b"".join(variables) + struct.pack("<I", 0)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.bin"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("float_type", "float_bytes"), [(0, 4), (4, 2), (5, 2)])
def test_the_shape_is_told_by_the_table(tmp_path: Path, float_type: int, float_bytes: int) -> None:
    table = read_table(written(tmp_path, model_file(layers=32, float_type=float_type)))

    assert shape_of(table) == Shape(
        heads=20, width=1280, feed_forward=5120, decoder_layers=32, vocabulary=51866, float_bytes=float_bytes
    )
    assert table["encoder/num_heads"] == Variable(name="encoder/num_heads", shape=(), type_id=2, value=b"\x14\0")
    assert "decoder/projection/bias" not in table


def test_the_demo_model_is_read(demo_model: Path) -> None:
    path = demo_model / "model.bin"
    table = read_table(path)
    shape = shape_of(table)

    assert table.size_bytes == path.stat().st_size
    assert struct.unpack_from("<I", path.read_bytes(), table.count_offset) == (len(table.variables),)
    assert table["decoder/embeddings/weight"].shape == (shape.vocabulary, shape.width)


@pytest.mark.parametrize(
    ("type_id", "stored"),
    [
        (0, np.array([[1.5, -2], [0, 0.25]], "<f4").tobytes()),
        (4, np.array([[1.5, -2], [0, 0.25]], "<f2").tobytes()),
        (5, np.array([[0x3FC0, 0xC000], [0, 0x3E80]], "<u2").tobytes()),
    ],
    ids=["float32", "float16", "bfloat16"],
)
def test_values_come_in_32_bits_whatever_the_file_has(tmp_path: Path, type_id: int, stored: bytes) -> None:
    name = b"WhisperSpec\0"
    content = packed("before", (3,), 1, b"xyz") + packed("wanted", (2, 2), type_id, stored)
    path = written(tmp_path, struct.pack(f"<IH{len(name)}sII", 6, len(name), name, 3, 2) + content + bytes(4))
    wanted = read_table(path)["wanted"]

    assert values_of(path, wanted).tolist() == [[1.5, -2], [0, 0.25]]
    assert values_of(path, wanted, [1]).tolist() == [[0, 0.25]]
    assert values_of(path, wanted).dtype == np.float32


def test_values_behind_the_end_of_the_file_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, b"four")

    with pytest.raises(ValueError, match="mmap"):
        values_of(path, Variable(name="wanted", shape=(2, 2), type_id=0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut off"),
        (b"nothing", "is of version"),
        (model_file(version=3), "versions 4 to 6"),
        (model_file()[:100], "cut off"),
        (model_file().replace(b"encoder/num_heads", b"encoder/nom_heads"), "no 'encoder/num_heads'"),
    ],
)
def test_what_is_no_whisper_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ModelUnavailable, match=message):
        shape_of(read_table(written(tmp_path, content)))
