#!/usr/bin/env python3
"""Train the demo model: a very small Whisper that really transcribes a small world of phrases, without network or GPU.

    apt-get install espeak-ng
    pip install -r requirements-train.txt
    python scripts/train_demo_model.py

Speech is synthesised, the network trained on it on CPU and written to models/demo as a CTranslate2 model. What exists
in the work folder already is not made again: after an interruption, the same command goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

from demo_model.speech import EspeakMissingError, make_bank, require_espeak
from demo_model.tokenizer import cut_vocabulary, demo_tokenizer

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "ctranslate2", "faster_whisper", "tokenizers", "num2words", "numpy", "tqdm")
CLIPS = 44_000
"""Phrases in the bank, 16 h of speech; all of it is heard about twenty times, never twice through the same noise."""

SMALLEST_BANK_CLIPS = 800


class MissingPackagesError(RuntimeError):
    """Packages that training needs are not installed."""

    def __init__(self, names: list[str]) -> None:
        """Name the command that installs them."""
        super().__init__(f"not installed: {', '.join(names)}; run: pip install -r requirements-train.txt")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "models" / "demo", help="model folder to write (default: models/demo)"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=REPOSITORY / "build" / "demo-model",
        help="folder for speech and checkpoints, 2 GB (default: build/demo-model)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of speech, weights and windows (default: 1)")
    parser.add_argument(
        "--workers",
        type=int,
        default=2,
        help="training processes, one core each; another number is another run (default: 2)",
    )
    parser.add_argument(
        "--shrink", type=int, default=1, metavar="N", help="rehearse with an Nth of the speech and the steps"
    )
    parser.add_argument(
        "--only",
        choices=("speech", "train", "export"),
        help="do one stage; export takes the last checkpoint, finished or not",
    )
    parser.add_argument(
        "--cut-vocabulary",
        type=Path,
        metavar="FILE",
        help="only cut the vocabulary anew, after phrases changed, from openai-whisper's multilingual.tiktoken",
    )
    return parser.parse_args()


def require_packages() -> None:
    """Fail with the command to run when a package is missing.

    Raises:
        MissingPackagesError: At least one is.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingPackagesError(missing)


def run(chosen: argparse.Namespace) -> None:
    """Do the stages in turn, or the one asked for."""
    require_packages()
    if chosen.cut_vocabulary:
        cut_vocabulary(chosen.cut_vocabulary)
        return
    if chosen.only in (None, "speech"):
        require_espeak()
        clips = max(SMALLEST_BANK_CLIPS, CLIPS // chosen.shrink)
        make_bank(chosen.work / "bank", clips=clips, seed=chosen.seed)
    from demo_model.export import export  # noqa: PLC0415  both need packages that were only now found to exist
    from demo_model.training import Run, load_checkpoint, train  # noqa: PLC0415

    training = Run(work=chosen.work, seed=chosen.seed, workers=chosen.workers, shrink=chosen.shrink)
    if chosen.only in (None, "train"):
        train(training)
    if chosen.only in (None, "export"):
        export(load_checkpoint(training)["model"], demo_tokenizer(), training.shape, chosen.out)
        size = sum(file.stat().st_size for file in chosen.out.iterdir())
        print(f"{chosen.out}: {size / 1e6:.2f} MB")


def main() -> int:
    """Run, and turn what the user can mend into one line."""
    try:
        run(arguments())
    except (EspeakMissingError, MissingPackagesError, FileNotFoundError) as error:
        print(f"train_demo_model: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train_demo_model: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
