"""The table of contents of a model.bin, and what it tells of the model's shape."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from transcriber.errors import ModelUnavailable

VERSIONS: Final = range(4, 7)
"""Versions of the binary format whose table looks as it is read here (CTranslate2 4.8.5 writes 6)."""

WIDTHS: Final = (4, 1, 2, 4, 2, 2)
"""Bytes of a value by CTranslate2's type number: float32, int8, int16, int32, float16, bfloat16."""

FLOAT16: Final = 4
BFLOAT16: Final = 5
NUMPY_TYPES: Final = ("<f4", "i1", "<i2", "<i4", "<f2", "<u2")
"""What numpy reads them as. It has no bfloat16, which is the upper half of a float32."""

Values = npt.NDArray[np.float32]

Rows = slice | Sequence[int]
EVERY: Final = slice(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One entry of the table.

    Attributes:
        shape: Empty for a scalar.
        type_id: CTranslate2's number of the type, an index of `WIDTHS`.
        value: Little-endian, of a scalar; empty for others, which stay in the file.
        offset: Where the values of such others begin in the file.
    """

    name: str
    shape: tuple[int, ...]
    type_id: int
    value: bytes = b""
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a model.bin holds, and where another variable could be put in.

    Source: `ModelSpec._serialize` in ctranslate2/specs/model_spec.py, 4.8.5: version, name of the architecture,
    revision, number of variables, the variables, the aliases.

    Attributes:
        count_offset: Where the number of variables stands, an unsigned 32-bit integer.
        end_offset: Where the variables end and the aliases begin.
        size_bytes: Of the whole file.
    """

    variables: tuple[Variable, ...]
    count_offset: int
    end_offset: int
    size_bytes: int

    def __getitem__(self, name: str) -> Variable:
        """Return the variable of that name; KeyError when there is none."""
        for variable in self.variables:
            if variable.name == name:
                return variable
        raise KeyError(name)

    def __contains__(self, name: str) -> bool:
        return any(variable.name == name for variable in self.variables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large the parts of a Whisper are.

    Attributes:
        heads: Attention heads of an encoder layer.
        width: Values in a hidden state.
        feed_forward: Values in the inner layer of a block.
        decoder_layers: Blocks of the decoder.
        vocabulary: Tokens.
        float_bytes: Bytes of a value that is not quantized.
    """

    heads: int
    width: int
    feed_forward: int
    decoder_layers: int
    vocabulary: int
    float_bytes: int


def read_table(path: Path) -> Table:
    """Read the table of a model.bin without its weights.

    Raises:
        ModelUnavailable: It is not a file of CTranslate2, or of a version that is not known here.
    """
    size_bytes = path.stat().st_size
    try:
        with path.open("rb") as file:
            version = _number(file, "<I")
            if version not in VERSIONS:
                raise ModelUnavailable(
                    f"model.bin is of version {version}; versions {VERSIONS[0]} to {VERSIONS[-1]} are known, made by "
                    "ct2-transformers-converter"
                )
            _text(file)
            _number(file, "<I")
            count_offset = file.tell()
            variables = tuple(_variable(file) for _ in range(_number(file, "<I")))
            end_offset = file.tell()
    except (struct.error, UnicodeDecodeError) as error:
        raise ModelUnavailable("model.bin is cut off or is not a model of CTranslate2; fetch it again") from error
    if end_offset > size_bytes:
        raise ModelUnavailable("model.bin is cut off; fetch it again")
    return Table(variables=variables, count_offset=count_offset, end_offset=end_offset, size_bytes=size_bytes)


def shape_of(table: Table) -> Shape:
    """Return the shape of a Whisper.

    Raises:
        ModelUnavailable: The file holds another kind of model.
    """
    try:
        embeddings = table["decoder/embeddings/weight"]
        feed_forward = table["encoder/layer_0/ffn/linear_0/weight"].shape[0]
        float_bytes = WIDTHS[float_type_of(table)]
        heads = int.from_bytes(table["encoder/num_heads"].value, "little")
    except (KeyError, IndexError) as error:
        raise ModelUnavailable(
            f"MODEL_ID must name a Whisper in CTranslate2's format; this model has no {error}"
        ) from error
    vocabulary, width = embeddings.shape
    return Shape(
        heads=heads,
        width=width,
        feed_forward=feed_forward,
        decoder_layers=len(
            {match.group() for v in table.variables if (match := re.match(r"decoder/layer_\d+/", v.name))}
        ),
        vocabulary=vocabulary,
        float_bytes=float_bytes,
    )


def values_of(path: Path, variable: Variable, rows: Rows = EVERY) -> Values:
    """Read the values of a variable that is no scalar, or some of its rows, in 32 bits whatever the file has.

    Raises:
        ValueError: The file is shorter than its table says.
    """
    whole = np.memmap(path, NUMPY_TYPES[variable.type_id], mode="r", offset=variable.offset, shape=variable.shape)
    stored = whole[rows]
    if variable.type_id == BFLOAT16:
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(np.float32)


def float_type_of(table: Table) -> int:
    """Return the number of the type in which the file keeps what is never quantized."""
    return table["decoder/layer_norm/gamma"].type_id


def packed(name: str, shape: Sequence[int], type_id: int, data: bytes) -> bytes:
    """Return a variable as it stands in the file."""
    named = name.encode() + b"\0"
    return (
        struct.pack(f"<H{len(named)}sB{len(shape)}IBI", len(named), named, len(shape), *shape, type_id, len(data))
        + data
    )


def _variable(file: BinaryIO) -> Variable:
    name = _text(file)
    rank = _number(file, "<B")
    shape = tuple(_number(file, "<I") for _ in range(rank))
    type_id = _number(file, "<B")
    size_bytes = _number(file, "<I")
    if rank == 0:
        return Variable(name=name, shape=shape, type_id=type_id, value=file.read(size_bytes))
    offset = file.tell()
    file.seek(size_bytes, 1)
    return Variable(name=name, shape=shape, type_id=type_id, offset=offset)


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "<H")).rstrip(b"\0").decode("utf-8")


def _number(file: BinaryIO, form: str) -> int:
    (number,) = struct.unpack(form, file.read(struct.calcsize(form)))
    return int(number)
