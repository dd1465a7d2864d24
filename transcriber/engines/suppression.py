"""The tokens that Whisper must never write, forbidden by the model itself instead of by each call.

`suppress_tokens` of CTranslate2 costs nothing on a CPU. On CUDA its list is merged into a sorted vector on the host for
each row at each step: 88 tokens take 0.6 ms a step at 80 rows and 5.9 ms at 320, as long as the step itself. A bias of
the last projection does the same for nothing: -10,000 leaves a token a probability of exactly 0.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tokenizers
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from transcriber.engines.model_file import BFLOAT16, FLOAT16, Table, float_type_of, packed, read_table, shape_of
from transcriber.engines.weights import MODEL_FILE
from transcriber.errors import ModelUnavailable

BIAS = "decoder/projection/bias"

NEVER = -1e4
"""Added to a logit: far below any other, and a number that float16 can hold (its least is -65,504)."""

LENT = "transcriber-model-"
"""How folders that are lent begin: nobody else's in the place for temporary files does."""

COPIES = 3
"""What memory must hold while a model is loaded: the file, what CTranslate2 makes of it, and as much to spare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """What Whisper must never write: symbols that are not spoken, and marks of the prompt.

    Attributes:
        by_bias: Ids that the model itself may forbid.
        by_call: Ids that each call must forbid: the mark of no speech, whose probability is asked for.
    """

    by_bias: tuple[int, ...]
    by_call: tuple[int, ...]


def suppressed(tokenizer: tokenizers.Tokenizer, vocabulary_size: int) -> Suppressed:
    """Return what must never be written by a model with this tokenizer."""
    plain = Tokenizer(tokenizer, multilingual=False)
    tokens = [token for token in get_suppressed_tokens(plain, [-1]) if 0 <= token < vocabulary_size]
    return Suppressed(
        by_bias=tuple(token for token in tokens if token != plain.no_speech),
        by_call=tuple(token for token in tokens if token == plain.no_speech),
    )


@contextmanager
def biased(folder: Path, tokens: Sequence[int]) -> Iterator[Path]:
    """Lend a folder from which CTranslate2 loads the model with a bias against some tokens.

    The model's own folder may be read-only, so the lent one has links to its files, and its model.bin is a file in
    memory into which the kernel copies the original around the bias. That memory, as much as the model's file, is free
    again when the block ends. A pipe would need none, but CTranslate2 asks how long its file is; handing the content
    over in `files` would keep it for as long as the model lives.

    Args:
        folder: The model's own.
        tokens: Ids below the model's vocabulary.

    Yields:
        The folder to load from, once, before the block ends.

    Raises:
        ModelUnavailable: The folder's model.bin cannot be read.
    """
    table = read_table(folder / MODEL_FILE)
    with (
        tempfile.TemporaryDirectory(prefix=LENT) as lent,
        _locked(Path(lent)),
        _in_memory(folder / MODEL_FILE, table, tokens) as link,
    ):
        for path in folder.iterdir():
            (Path(lent) / path.name).symlink_to(link if path.name == MODEL_FILE else path.absolute())
        yield Path(lent)


def sweep() -> None:
    """Remove folders that were lent by a process which was killed meanwhile; those whose lender lives are locked."""
    for left in Path(tempfile.gettempdir()).glob(f"{LENT}*"):
        with suppress(OSError), _locked(left):
            shutil.rmtree(left)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder for the length of the block; the kernel unlocks it when the process dies.

    Raises:
        BlockingIOError: Another process has it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def can_be_biased(table: Table, *, free_bytes: int) -> bool:
    """Tell whether the model has no bias of its own, and memory holds its file beside what loading takes anyway."""
    return BIAS not in table and free_bytes > COPIES * table.size_bytes


def free_host_bytes(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return how much memory the host can give without swapping; 0 when it does not tell."""
    try:
        told = meminfo.read_text("ascii")
    except OSError:
        return 0
    available = re.search(r"^MemAvailable:\s+(\d+) kB$", told, flags=re.MULTILINE)
    return int(available.group(1)) * 1024 if available else 0


@contextmanager
def _in_memory(model: Path, table: Table, tokens: Sequence[int]) -> Iterator[Path]:
    """Write the model with the bias in it to a file in memory, and lend the path that opens it."""
    with os.fdopen(os.memfd_create(MODEL_FILE), "wb", buffering=0) as copy, model.open("rb") as original:
        _append(copy, original, 0, table.count_offset)
        copy.write(struct.pack("<I", len(table.variables) + 1))
        _append(copy, original, table.count_offset + 4, table.end_offset)
        copy.write(_bias(table, tokens))
        _append(copy, original, table.end_offset, table.size_bytes)
        yield Path(f"/proc/self/fd/{copy.fileno()}")


def _append(copy: BinaryIO, original: BinaryIO, begin: int, end: int) -> None:
    while begin < end:
        sent = os.sendfile(copy.fileno(), original.fileno(), begin, end - begin)
        if sent == 0:
            raise ModelUnavailable("model.bin was cut off while it was read; fetch it again")
        begin += sent


def _bias(table: Table, tokens: Sequence[int]) -> bytes:
    bias = np.zeros(shape_of(table).vocabulary, np.float32)
    bias[list(tokens)] = NEVER
    type_id = float_type_of(table)
    if type_id == FLOAT16:
        data = bias.astype(np.float16).tobytes()
    elif type_id == BFLOAT16:
        data = (bias.view(np.uint32) >> 16).astype(np.uint16).tobytes()  # the upper half of a float32
    else:
        data = bias.tobytes()
    return packed(BIAS, bias.shape, type_id, data)
