#!/usr/bin/env python3
"""Make recordings of texts and voices that the demo model never heard, with a manifest of what is said in them.

    apt-get install espeak-ng ffmpeg
    pip install -r requirements-train.txt
    python scripts/make_recordings.py test-data                       the few that are committed, in tests/data
    python scripts/make_recordings.py evaluation-set build/evaluation   hundreds, to judge a model by

A manifest, manifest.jsonl, has one line of JSON for each recording: path, language, text, translation into English,
duration, voice, and segments with start, end, text and translation. Times are in seconds.
"""

import argparse
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

from demo_model.phrases import LANGUAGES, Language
from demo_model.recordings import (
    FfmpegMissingError,
    Recording,
    compose,
    encode,
    evaluation_recordings,
    manifest_line,
    require_ffmpeg,
    silences,
    two_minutes,
)
from demo_model.speech import EspeakMissingError, Utterance, held_out_utterances, require_espeak

REPOSITORY = Path(__file__).resolve().parent.parent
TEST_VOICE = "steph2"
TEST_ACCENTS: dict[Language, str] = {"en": "en-gb", "es": "es", "fr": "fr-fr", "de": "de", "zh": "cmn-latn-pinyin"}
SEED = "recordings"

FORMATS: dict[str, tuple[Language, int, tuple[str, ...]]] = {
    "en-one-phrase.wav": ("en", 1, ("-ac", "1")),
    "en-stereo-44100.wav": ("en", 1, ("-ar", "44100", "-ac", "2")),
    "en-two-phrases.mp3": ("en", 2, ("-ar", "16000", "-b:a", "48k")),
    "es-two-phrases.flac": ("es", 2, ("-ac", "1")),
    "fr-two-phrases.ogg": ("fr", 2, ("-c:a", "libopus", "-b:a", "32k")),
    "de-three-phrases.m4a": ("de", 3, ("-c:a", "aac", "-b:a", "64k")),
    "zh-two-phrases.webm": ("zh", 2, ("-c:a", "libopus", "-b:a", "32k")),
    "zh-three-phrases.wav": ("zh", 3, ("-ac", "1")),
    "de-one-phrase.mp3": ("de", 1, ("-ar", "44100", "-b:a", "64k")),
}
"""The committed recordings: name, language, number of phrases, and how ffmpeg is to write them."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_subparsers(dest="which", required=True)
    committed = which.add_parser("test-data", help="write tests/data")
    committed.add_argument("--out", type=Path, default=REPOSITORY / "tests" / "data", help="default: tests/data")
    large = which.add_parser("evaluation-set", help="write hundreds of recordings to judge a model by")
    large.add_argument("out", type=Path, help="folder to write")
    large.add_argument("--utterances", type=int, default=120, help="in each language (default: 120)")
    large.add_argument("--seed", default="evaluation", help="another word gives another set (default: evaluation)")
    return parser.parse_args()


def in_test_voice(utterance: Utterance) -> Utterance:
    """Have an utterance said calmly by the one voice of the committed recordings."""
    voice = f"{TEST_ACCENTS[utterance.phrase.language]}+{TEST_VOICE}"
    return replace(utterance, voice=voice, words_per_minute=150, pitch=50, stretch=1.0)


def write_test_data(folder: Path) -> None:
    """Write the committed recordings and their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    unseen = {
        language: map(in_test_voice, held_out_utterances(language, 60, f"{SEED}/{language}")) for language in LANGUAGES
    }
    made: list[tuple[str, Recording, tuple[str, ...]]] = []
    for name, (language, phrases, how) in FORMATS.items():
        own = [next(unseen[language]) for _ in range(phrases)]
        recording = compose(own, pauses_s=[0.9, 0.7][: phrases - 1], lead_s=0.15, tail_s=0.4)
        made.append((name, recording, how))
    made.append(("two-minutes.flac", two_minutes(list(unseen["en"]), seed=SEED), ("-compression_level", "12")))
    made.append(("silence.wav", dict(silences())["silence-5s"], ("-ac", "1")))
    lines = []
    for name, recording, how in made:
        encode(recording, folder / name, *how)
        lines.append(manifest_line(name, recording))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_evaluation_set(folder: Path, utterances: int, seed: str) -> None:
    """Write an evaluation set and its manifest."""
    from tqdm import tqdm  # noqa: PLC0415  only now known to be installed

    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, recording in tqdm(evaluation_recordings(utterances, seed), desc="encoding", unit="recording"):
        encode(recording, folder / f"{name}.flac")
        lines.append(manifest_line(f"{name}.flac", recording))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Run, and turn what the user can mend into one line."""
    chosen = arguments()
    missing = [name for name in ("num2words", "tqdm") if importlib.util.find_spec(name) is None]
    try:
        require_espeak()
        require_ffmpeg()
    except (EspeakMissingError, FfmpegMissingError) as error:
        print(f"make_recordings: {error}", file=sys.stderr)
        return 2
    if missing:
        print(
            f"make_recordings: not installed: {', '.join(missing)}; run: pip install -r requirements-train.txt",
            file=sys.stderr,
        )
        return 2
    if chosen.which == "test-data":
        write_test_data(chosen.out)
    else:
        write_evaluation_set(chosen.out, chosen.utterances, chosen.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
