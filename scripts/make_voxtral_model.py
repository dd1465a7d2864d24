#!/usr/bin/env python3
"""Make a Voxtral with random weights and the true interface, for tests: half a megabyte, in a second.

    python scripts/make_voxtral_model.py build/tiny-voxtral
    MODEL_ID=$PWD/build/tiny-voxtral ./serve

It wants the packages of requirements-voxtral.txt. What the model writes is made up: letters, spaces and full stops that
depend on the sound, on the language and on what was written before.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

AUDIO_TOKEN = 24
"""transformers' `VoxtralProcessor` takes no other."""

NAMED = {
    0: "<unk>",
    1: "<s>",
    2: "</s>",
    3: "[INST]",
    4: "[/INST]",
    5: "[AVAILABLE_TOOLS]",
    6: "[/AVAILABLE_TOOLS]",
    7: "[TOOL_RESULTS]",
    8: "[/TOOL_RESULTS]",
    9: "[TOOL_CALLS]",
    10: "[IMG]",
    11: "<pad>",
    12: "[IMG_BREAK]",
    13: "[IMG_END]",
    14: "[PREFIX]",
    15: "[MIDDLE]",
    16: "[SUFFIX]",
    17: "[SYSTEM_PROMPT]",
    18: "[/SYSTEM_PROMPT]",
    19: "[TOOL_CONTENT]",
    AUDIO_TOKEN: "[AUDIO]",
    25: "[BEGIN_AUDIO]",
    34: "[TRANSCRIBE]",
}
"""Special tokens at the places that they have in Voxtral's own tekken.json."""

SPECIALS = 64
BYTES = 256
END = 2
PAD = 11

WRITTEN = b"abcdefghijklmnopqrstuvwxyz ."
"""What it may write: every other token's row of the last layer is zero, so that it never wins."""

WIDTH = 32
MELS = 128
MERGED_FRAMES = 4
"""The projector joins so many frames of the encoder; transformers reads that off the encoder's feed-forward width."""

SPREAD = 0.4
"""Deviation of the weights. With the usual 0.02 the text would hardly depend on the sound."""


def main() -> None:
    """Make the model and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write; files of the same names are replaced")
    parser.add_argument(
        "--seed", type=int, default=41, help="of the weights (default: %(default)s, which ends most texts early)"
    )
    chosen = parser.parse_args()
    try:
        make(chosen.out, seed=chosen.seed)
    except ModuleNotFoundError as error:
        sys.exit(f"make_voxtral_model.py: {error.name} is not installed; it is in requirements-voxtral.txt")
    except OSError as error:
        sys.exit(f"make_voxtral_model.py: {chosen.out} cannot be written: {error.strerror}")
    size_kb = sum(path.stat().st_size for path in chosen.out.iterdir()) / 1000
    print(f"{chosen.out}: {size_kb:,.0f} kB")


def make(out: Path, *, seed: int = 41) -> None:
    """Write a folder that transformers and `serve` load as it is.

    Args:
        out: It is made when it is missing; files of other names stay.
        seed: The same one makes the same weights.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Imported here: --help is answered without them, and they take seconds.
    from transformers import GenerationConfig, WhisperFeatureExtractor  # noqa: PLC0415

    unfinished = out.with_name(f"{out.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    (unfinished / "tekken.json").write_text(json.dumps(tekken()) + "\n", encoding="utf-8")
    _network(seed).save_pretrained(unfinished)
    WhisperFeatureExtractor(feature_size=MELS, chunk_length=30).save_pretrained(unfinished)
    GenerationConfig(bos_token_id=1, eos_token_id=END, pad_token_id=PAD).save_pretrained(unfinished)
    out.mkdir(parents=True, exist_ok=True)
    for file in unfinished.iterdir():
        file.replace(out / file.name)
    unfinished.rmdir()


def tekken() -> dict[str, Any]:
    """Return a Tekken tokenizer in which every byte is a token."""
    return {
        "config": {
            "pattern": ".+",
            "num_vocab_tokens": BYTES,
            "default_vocab_size": SPECIALS + BYTES,
            "default_num_special_tokens": SPECIALS,
            "version": "v7",
        },
        "vocab": [
            {"rank": byte, "token_bytes": base64.b64encode(bytes([byte])).decode(), "token_str": None}
            for byte in range(BYTES)
        ],
        "special_tokens": [
            {"rank": rank, "token_str": NAMED.get(rank, f"<SPECIAL_{rank}>"), "is_control": True}
            for rank in range(SPECIALS)
        ],
        "audio": {
            "sampling_rate": 16000,
            "frame_rate": 12.5,
            "chunk_length_s": 30.0,
            "audio_encoding_config": {"num_mel_bins": MELS, "hop_length": 160, "window_size": 400},
        },
        "version": 1,
        "type": "tekken",
    }


def _network(seed: int) -> Any:  # noqa: ANN401 - of transformers, which need not be there
    import torch  # noqa: PLC0415
    from transformers import VoxtralConfig, VoxtralForConditionalGeneration  # noqa: PLC0415

    vocabulary = SPECIALS + BYTES
    config = VoxtralConfig(
        audio_token_id=AUDIO_TOKEN,
        audio_config={
            "model_type": "voxtral_encoder",
            "hidden_size": WIDTH,
            "intermediate_size": MERGED_FRAMES * WIDTH,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_mel_bins": MELS,
            "max_source_positions": 1500,
            "vocab_size": vocabulary,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": vocabulary,
            "hidden_size": WIDTH,
            "intermediate_size": 2 * WIDTH,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": WIDTH // 2,
            "max_position_embeddings": 4096,
        },
    )
    network = VoxtralForConditionalGeneration(config).eval()
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, SPREAD, generator=draw)
        able = torch.zeros(vocabulary, 1)
        able[[END, *(SPECIALS + byte for byte in WRITTEN)]] = 1.0
        network.lm_head.weight.mul_(able)
    return network


if __name__ == "__main__":
    main()
