#!/usr/bin/env python3
"""Measure what decoding a Parakeet's windows together gains over onnx-asr, which decodes them one after the other.

    python scripts/make_parakeet_model.py v3 build/parakeet-v3
    python scripts/compare_parakeet_batching.py build/parakeet-v3

The same recordings, noise of 5 to 30 s, go through onnx-asr one by one and through the engine in batches, in turns, so
that a machine's moods hit all alike. Tokens must be the same; otherwise the status is 1. Measured are CPU seconds of
the decoding loop alone, with everything encoded before: with a model of make_parakeet_model.py the loop costs what it
costs with the true one, but the encoder next to nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from transcriber.audio.waveform import RATE_HZ, Samples
from transcriber.engines import tdt
from transcriber.engines.families import PARAKEET
from transcriber.engines.nemo_features import NemoFeatures
from transcriber.engines.parakeet_network import ParakeetNetwork
from transcriber.engines.pieces import Vocabulary

LENGTHS_S = (5.0, 30.0)
MELS = 128
MOST_TOKENS_PER_FRAME = 10

Tokens = list[list[int]]

Encoded = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
"""The encoder's output, shape (windows, frames, width), and how many frames belong to each window."""


@dataclass
class Side:
    """One way of decoding what is encoded, and how long it took each time, in CPU seconds."""

    name: str
    loop: Callable[[], Tokens]
    spent_s: list[float] = field(default_factory=list)


def main() -> None:
    """Measure, print a table, and end with status 1 if the tokens are not the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a Parakeet TDT in ONNX, in 32 bits")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="(default: 1 2 4 8 16)")
    parser.add_argument("--windows", type=int, default=16, help="recordings (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each call (default: %(default)s)")
    chosen = parser.parse_args()
    if not PARAKEET.is_in(chosen.model):
        parser.error(f"{chosen.model} is not {PARAKEET.description}")
    recordings = [_noise(seed) for seed in range(chosen.windows)]
    sides = [
        _one_by_one(chosen.model, recordings, threads=chosen.threads),
        *_batched(chosen.model, recordings, chosen.batches, threads=chosen.threads),
    ]
    is_same = _measure(sides, rounds=chosen.rounds)
    _print(sides, recordings, is_same=is_same)
    sys.exit(0 if is_same else 1)


def _noise(seed: int) -> Samples:
    draw = np.random.default_rng(seed)
    length = round(draw.uniform(*LENGTHS_S) * RATE_HZ)
    loudness = np.repeat(draw.random(length // 1600 + 1), 1600)[:length]
    return (0.2 * draw.standard_normal(length) * loudness).astype(np.float32)


def _one_by_one(folder: Path, recordings: Sequence[Samples], *, threads: int) -> Side:
    import onnx_asr  # noqa: PLC0415 - --help must work without it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model: Any = onnx_asr.load_model(
        "nemo-conformer-tdt", folder, sess_options=options, providers=["CPUExecutionProvider"]
    ).asr

    def encoded(samples: Samples) -> Encoded:
        return model._encode(*model._preprocessor(samples[None], np.array([len(samples)])))  # noqa: SLF001

    def decoded(parts: Encoded) -> list[int]:
        ((tokens, _frames, _logprobs),) = model._decoding(*parts, need_logprobs=True)  # noqa: SLF001
        return list(tokens)

    ready = [encoded(samples) for samples in recordings]
    return Side(
        "onnx-asr, one by one",
        loop=lambda: [decoded(parts) for parts in ready],
    )


def _batched(folder: Path, recordings: Sequence[Samples], batches: Sequence[int], *, threads: int) -> Iterator[Side]:
    network = ParakeetNetwork(
        folder / "encoder-model.onnx",
        folder / "decoder_joint-model.onnx",
        device="cpu",
        device_index=0,
        threads=threads,
    )
    vocabulary = Vocabulary.read(folder / "vocab.txt")
    features = NemoFeatures(MELS)
    prepared = [features(samples) for samples in recordings]
    encoded, lengths = network.encode(prepared)

    def decoded(encoded: tdt.Floats, lengths: npt.NDArray[np.int64]) -> Tokens:
        texts = tdt.decode(
            network,
            encoded,
            lengths,
            pieces=len(vocabulary.pieces),
            blank=vocabulary.blank,
            most_tokens_per_frame=MOST_TOKENS_PER_FRAME,
        )
        return [[token.id for token in text] for text in texts]

    for batch in batches:
        groups = [slice(first, first + batch) for first in range(0, len(recordings), batch)]
        yield Side(
            f"batches of {batch}",
            loop=lambda groups=groups: [t for g in groups for t in decoded(encoded[g], lengths[g])],  # type: ignore[misc]
        )


def _measure(sides: Sequence[Side], *, rounds: int) -> bool:
    """Let the sides take turns; say whether all came to the same tokens."""
    expected = sides[0].loop()
    is_same = True
    for _round in range(rounds):
        for side in sides:
            started_s = time.process_time()
            tokens = side.loop()
            side.spent_s.append(time.process_time() - started_s)
            is_same = is_same and tokens == expected
    return is_same


def _print(sides: Sequence[Side], recordings: Sequence[Samples], *, is_same: bool) -> None:
    audio_s = sum(map(len, recordings)) / RATE_HZ
    tokens = sum(map(len, sides[0].loop()))
    print(
        f"{len(recordings)} recordings, {audio_s:.0f} s, {tokens} tokens, "
        f"tokens {'identical' if is_same else 'NOT IDENTICAL'}; onnxruntime {onnxruntime.__version__}\n"
    )
    print("| | CPU s | times | least | most |\n| --- | ---: | ---: | ---: | ---: |")
    for side in sides:
        ratios = [one / own for one, own in zip(sides[0].spent_s, side.spent_s, strict=True)]
        print(
            f"| {side.name} | {statistics.median(side.spent_s):.2f} "
            f"| {statistics.median(ratios):.1f} | {min(ratios):.1f} | {max(ratios):.1f} |"
        )


if __name__ == "__main__":
    main()
