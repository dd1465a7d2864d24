#!/usr/bin/env python3
"""Make a Whisper model of true size with random weights, to measure speed where no trained weights can be had.

    python scripts/make_shape_model.py turbo build/turbo-shape --quantization float16
    MODEL_ID=$PWD/build/turbo-shape ./serve

Layers, widths, heads, mels and vocabulary are those of OpenAI's model; so are the time and the memory that a window
takes. What it writes is not: whatever it hears, a fixed number of made-up words, the same in greedy and in beam search,
with and without timestamps. It says so with certainty, so that no window is tried again at another temperature. With
timestamps, one that opens and one that closes the text come on top.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
from pathlib import Path
from typing import Literal, get_args

from shape_model.chains import MOST_TOKENS, links
from shape_model.sizes import SIZES
from shape_model.vocabulary import BLANK, make_vocabulary
from shape_model.weights import RandomWeights, specification

Quantization = Literal["int8", "float16", "float32"]

TOKENS = 100
"""About what half a minute of speech has."""


def main() -> None:
    """Make the model that the command line names and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=tuple(SIZES), help="whose size the model has")
    parser.add_argument("out", type=Path, help="folder to write; files of the same names are replaced")
    parser.add_argument(
        "--tokens", type=int, default=TOKENS, help=f"words in each window, 1 to {MOST_TOKENS} (%(default)s)"
    )
    parser.add_argument("--quantization", choices=get_args(Quantization), default="int8", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the weights and the words (default: %(default)s)")
    chosen = parser.parse_args()
    if not 1 <= chosen.tokens <= MOST_TOKENS:
        parser.error(f"--tokens is {chosen.tokens}; a Whisper model can give 1 to {MOST_TOKENS}")
    try:
        make(chosen.shape, chosen.out, tokens=chosen.tokens, quantization=chosen.quantization, seed=chosen.seed)
    except OSError as error:
        sys.exit(f"make_shape_model.py: {chosen.out} cannot be written: {error.strerror}")
    parameters = SIZES[chosen.shape].parameters
    size_mb = (chosen.out / "model.bin").stat().st_size / 1e6
    print(f"{chosen.out}: {chosen.shape}, {parameters:,} parameters, model.bin {size_mb:,.1f} MB {chosen.quantization}")


def make(shape: str, out: Path, *, tokens: int, quantization: Quantization, seed: int) -> None:
    """Write a folder that faster-whisper and `serve` load as it is.

    Beside the model's own files lies shape.json, which says what the model was made from.

    Args:
        shape: A key of `SIZES`.
        out: It is made when it is missing; files of other names stay.
        tokens: Words in each window.
        quantization: In what the weights are stored.
        seed: The same one makes the same bytes.
    """
    size = SIZES[shape]
    vocabulary = make_vocabulary(has_cantonese=size.has_cantonese, draw=random.Random(seed))
    # 8-bit weights are made from 16-bit ones: of the largest model, 32-bit ones would take 6 GB of memory.
    weights = RandomWeights(seed, half=quantization != "float32")
    spec = specification(size, links(vocabulary, tokens), weights)
    spec.register_vocabulary(vocabulary.tokens())
    spec.config.suppress_ids = vocabulary.suppressed
    spec.config.suppress_ids_begin = [BLANK, vocabulary.end]
    spec.config.lang_ids = vocabulary.language_ids
    spec.config.alignment_heads = size.alignment_heads
    spec.validate()
    # What is not quantised stays in 32 bits, as in 8-bit models converted from 32-bit ones.
    spec.optimize(quantization="int8_float32" if quantization == "int8" else quantization)
    unfinished = out.with_name(f"{out.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    spec.save(str(unfinished))
    vocabulary.tokenizer.save(str(unfinished / "tokenizer.json"), pretty=False)
    _write_json(unfinished / "preprocessor_config.json", preprocessor(size.mels))
    made_from = {"shape": shape, "tokens": tokens, "quantization": quantization, "seed": seed}
    _write_json(unfinished / "shape.json", {**made_from, "parameters": size.parameters})
    out.mkdir(parents=True, exist_ok=True)
    for file in unfinished.iterdir():
        file.replace(out / file.name)
    unfinished.rmdir()


def preprocessor(mels: int) -> dict[str, object]:
    """Say how the model wants its features: what `preprocessor_config.json` of OpenAI's models says."""
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": mels,
        "sampling_rate": 16_000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": 30,
        "n_samples": 480_000,
        "nb_max_frames": 3_000,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
