"""What goes into the decoder: features, or the encoder's output, on the host or on the device."""

from __future__ import annotations

from collections.abc import Sequence

import ctranslate2
import numpy as np

from transcriber.engines.whisper_work import Encoded, WhisperWork


class Encodings:
    """A batch after the encoder, or before it when decoding will encode by itself.

    Attributes:
        rows: The encoder's output of each window on the host, as far as it is there.
    """

    def __init__(self, rows: Sequence[Encoded | None], *, piece: ctranslate2.StorageView | None = None) -> None:
        """Store rows on the host, or the whole batch in one piece that is handed on as it is."""
        self.rows = list(rows)
        self._piece = piece

    def selection(self, wanted: Sequence[int]) -> tuple[ctranslate2.StorageView, Sequence[int]]:
        """Return rows for a call, and which window each of them is; all of them when they are in one piece."""
        if self._piece is not None:
            return self._piece, range(len(self.rows))
        rows = [row for i in wanted if (row := self.rows[i]) is not None]
        return ctranslate2.StorageView.from_array(rows[0] if len(rows) == 1 else np.concatenate(rows)), wanted

    def whole(self) -> ctranslate2.StorageView:
        """Return what stands for the whole batch."""
        return self.selection(range(len(self.rows)))[0]


def encode(model: ctranslate2.models.Whisper, batch: Sequence[WhisperWork]) -> Encodings:
    """Encode a batch as far as it must be before its decoding is asked for.

    On a CPU the windows are encoded singly: the encoder gains nothing from a batch there and loses half its speed to
    page faults, and a window's output does not depend on its company. On CUDA there are three ways:

    1. Languages known, no words: nothing. Decoding encodes by itself, which saves a call and a copy.
    2. A language unknown: the output is asked for its language and stays on the device, in one piece.
    3. Words: the rows come to the host, where they are regrouped for alignment.

    CTranslate2 gives each call to whichever worker is free. With several devices, output that stayed on one of them
    would be read by another, so there it takes the way over the host.
    """
    if model.device == "cpu":
        return Encodings([_encode_one(model, work) for work in batch])
    features = ctranslate2.StorageView.from_array(np.stack([work.mel for work in batch]))
    has_words = any(work.decoding.word_timestamps for work in batch)
    if not has_words and all(work.language is not None for work in batch):
        return Encodings([None] * len(batch), piece=features)
    output = model.encode(features, to_cpu=has_words or len(model.device_index) > 1)
    if not has_words:
        return Encodings([None] * len(batch), piece=output)
    rows = _to_numpy(output)
    return Encodings([rows[i : i + 1] for i in range(len(batch))])


def _encode_one(model: ctranslate2.models.Whisper, work: WhisperWork) -> Encoded:
    if work.encoded is not None:
        return work.encoded
    features = ctranslate2.StorageView.from_array(work.mel[np.newaxis])
    return _to_numpy(model.encode(features, to_cpu=True))


def _to_numpy(view: ctranslate2.StorageView) -> Encoded:
    """Return it as an array, which keeps its memory alive. Numpy has no bfloat16: such rows travel as float32."""
    if view.dtype == ctranslate2.DataType.bfloat16:
        view = view.to(ctranslate2.DataType.float32)
    return np.asarray(view)
