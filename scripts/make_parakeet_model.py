#!/usr/bin/env python3
"""Make a Parakeet TDT with random weights and the true interface, for tests and for measuring the decoding loop.

    python scripts/make_parakeet_model.py tiny build/tiny-parakeet
    MODEL_ID=$PWD/build/tiny-parakeet ./serve

`tiny` takes a few hundred kilobytes and milliseconds. `v2` and `v3` have the prediction network, the joint network and
the vocabulary of parakeet-tdt-0.6b-v2 and -v3 at their true size, and an encoder that is much smaller than theirs: what
they cost in the loop from token to token is what the true models cost there. What any of them writes is made up.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from parakeet_model.graphs import SUBSAMPLING, Size, decoder_joint, encoder

BLANK = "<blk>"

MOST_TOKENS_PER_FRAME = 10

ENGLISH = (
    "<unk> ▁the ▁a ▁and ▁I ▁you ▁to ▁of ▁in ▁it ▁is ▁that ▁He ▁We ▁So ▁hello ▁world ▁yes ▁Mr ▁3 s t e i o n ed ing er "
    "re al ' . , ? !"
)
EUROPEAN = ENGLISH + " ▁und ▁où ▁niño ▁да ▁мир ▁και ▁λόγος ▁žena ▁łódź ß é ю ω"

ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "st")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")

PIECES = {"tiny": 0, "v2": 1024, "v3": 8192}
"""Without the blank; the tiny one has those above and no more."""


def pieces_of(shape: str) -> list[str]:
    """Return a shape's vocabulary, the blank last: a piece's place is its id, and ▁ begins a word."""
    named = (ENGLISH if shape == "v2" else EUROPEAN).split()
    return [*named, *map(_syllable, range(PIECES[shape] - len(named))), BLANK]


def _syllable(number: int) -> str:
    begins_word = "▁" if number % 3 == 0 else ""
    return f"{begins_word}{ONSETS[number % 16]}{VOWELS[number // 16 % 8]}{number // 128 or ''}"


SIZES = {
    "tiny": Size(width=16, blocks=1, units=8, joint=16, sharpness=2.5, blank_bias=2.0, stay_bias=-2.0),
    "v2": Size(width=1024, blocks=4, units=640, joint=640, sharpness=2.0, blank_bias=8.0, stay_bias=-8.0),
    "v3": Size(width=1024, blocks=4, units=640, joint=640, sharpness=2.0, blank_bias=10.0, stay_bias=-12.0),
}
"""Source of the true sizes: `decoder_joint-model.onnx` of istupakov/parakeet-tdt-0.6b-v2-onnx and -v3."""


def main() -> None:
    """Make the model that the command line names and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=tuple(SIZES), help="whose size the model has")
    parser.add_argument("out", type=Path, help="folder to write; files of the same names are replaced")
    parser.add_argument("--int8", action="store_true", help="write both networks in 8 bits too")
    parser.add_argument("--seed", type=int, default=1, help="of the weights (default: %(default)s)")
    chosen = parser.parse_args()
    try:
        make(chosen.shape, chosen.out, seed=chosen.seed, int8=chosen.int8)
    except OSError as error:
        sys.exit(f"make_parakeet_model.py: {chosen.out} cannot be written: {error.strerror}")
    size_kb = sum(path.stat().st_size for path in chosen.out.iterdir()) / 1000
    print(f"{chosen.out}: {chosen.shape}, {size_kb:,.0f} kB")


def make(shape: str, out: Path, *, seed: int, int8: bool = False) -> None:
    """Write a folder that onnx-asr and `serve` load as it is.

    Args:
        shape: A key of `SIZES`.
        out: It is made when it is missing; files of other names stay.
        seed: The same one makes the same bytes.
        int8: Whether to add both networks with weights in 8 bits and sounds quantised as they come.
    """
    size, pieces = SIZES[shape], pieces_of(shape)
    draw = np.random.default_rng(seed)
    unfinished = out.with_name(f"{out.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    onnx.save(encoder(size, draw), unfinished / "encoder-model.onnx")
    onnx.save(decoder_joint(size, draw, pieces=len(pieces)), unfinished / "decoder_joint-model.onnx")
    if int8:
        _quantise(unfinished)
    lines = [f"{piece} {number}\n" for number, piece in enumerate(pieces)]
    (unfinished / "vocab.txt").write_text("".join(lines), encoding="utf-8")
    config = {
        "model_type": "nemo-conformer-tdt",
        "features_size": size.mels,
        "subsampling_factor": SUBSAMPLING,
        "max_tokens_per_step": MOST_TOKENS_PER_FRAME,
    }
    (unfinished / "config.json").write_text(json.dumps(config) + "\n", encoding="utf-8")
    out.mkdir(parents=True, exist_ok=True)
    for file in unfinished.iterdir():
        file.replace(out / file.name)
    unfinished.rmdir()


def _quantise(folder: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - takes a second to import

    for name in ("encoder-model", "decoder_joint-model"):
        quantize_dynamic(folder / f"{name}.onnx", folder / f"{name}.int8.onnx", weight_type=QuantType.QUInt8)


if __name__ == "__main__":
    main()
