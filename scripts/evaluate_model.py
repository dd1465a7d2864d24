#!/usr/bin/env python3
"""Measure how well a CTranslate2 Whisper model hears the recordings of a manifest.

    pip install -r requirements-train.txt
    python scripts/make_recordings.py evaluation-set build/evaluation
    python scripts/evaluate_model.py models/demo build/evaluation/manifest.jsonl --json build/evaluation.json

The manifest has one line of JSON for each recording: `path` (from the manifest's folder), `text` and `language` (null
where nothing is said); and optionally `translation` into English and `segments` with `start` and `end` in seconds.
Word error rates are jiwer's, over lower-case words without punctuation; characters where a language has no spaces.
"""

import argparse
import importlib.util
import json
import statistics
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.evaluation.manifest import CannotEvaluateError, Recording, Segment, read_manifest
from scripts.evaluation.scoring import UNSPACED, error_rate, words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from faster_whisper import WhisperModel

PACKAGES = ("faster_whisper", "jiwer", "tqdm")
MODEL_FILES = ("model.bin", "config.json", "tokenizer.json")
RATE_HZ = 16_000
WINDOW_FRAMES = 3000
LONG_S = 60.0
"""From this length on, a recording is decoded by the sequential and by the batched way, and listed apart."""

LANGUAGE_FROM_S = 2.0
"""Recordings longer than this count in the second column of language accuracy."""

WORD_START_TOLERANCE_S = 0.25


@dataclass(slots=True, kw_only=True)
class Heard:
    """What the model made of one recording; None where that was not asked.

    Attributes:
        duration_s: Of the recording.
        text: Transcribed by `WhisperModel.transcribe`, the language given.
        batched: Transcribed by `BatchedInferencePipeline`; long recordings only.
        voiced: Transcribed by `WhisperModel.transcribe` with its voice detection; long recordings only.
        untimed: Transcribed without timestamps, the language given.
        language: Detected.
        translation: Into English.
        segments: Found with `text`.
        word_starts: Start of the first word of each segment, where word timestamps were asked for.
        no_speech: Probability of `<|nospeech|>`.
    """

    duration_s: float
    text: str = ""
    batched: str | None = None
    voiced: str | None = None
    untimed: str | None = None
    language: str | None = None
    translation: str | None = None
    segments: list[Segment] = field(default_factory=list)
    word_starts: list[float] = field(default_factory=list)
    no_speech: float = 0.0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a CTranslate2 Whisper model")
    parser.add_argument("manifest", type=Path, help="recordings, one line of JSON each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here too")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda")
    parser.add_argument("--compute-type", default="default", help="CTranslate2's name of it (default: the model's own)")
    parser.add_argument("--workers", type=int, default=2, help="recordings decoded at the same time (default: 2)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N recordings of each language")
    parser.add_argument("--show-errors", action="store_true", help="print what was misheard, line by line")
    return parser.parse_args()


def require_packages() -> None:
    """Fail with the command to run when a package is missing.

    Raises:
        CannotEvaluateError: At least one is.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise CannotEvaluateError(f"not installed: {', '.join(missing)}; run: pip install -r requirements-train.txt")


def load_model(folder: Path, device: str, compute_type: str, workers: int) -> "WhisperModel":
    """Load a model folder.

    Raises:
        CannotEvaluateError: The folder or a file in it is missing, or CTranslate2 refuses it.
    """
    if not folder.is_dir():
        raise CannotEvaluateError(f"there is no model folder {folder}")
    for name in MODEL_FILES:
        if not (folder / name).is_file():
            raise CannotEvaluateError(f"{folder} is no CTranslate2 Whisper model: it has no {name}")
    from faster_whisper import WhisperModel  # noqa: PLC0415  only now known to be installed

    try:
        return WhisperModel(str(folder), device=device, compute_type=compute_type, cpu_threads=1, num_workers=workers)
    except (RuntimeError, ValueError) as error:
        raise CannotEvaluateError(f"{folder} cannot be loaded: {error}") from error


def hear(model: "WhisperModel", recording: Recording) -> Heard:
    """Ask a model everything that is measured about one recording."""
    from faster_whisper import BatchedInferencePipeline, decode_audio  # noqa: PLC0415  only now known to be installed

    samples = decode_audio(str(recording.path), sampling_rate=RATE_HZ)
    heard = Heard(duration_s=len(samples) / RATE_HZ)

    def text_of(**options: Any) -> str:  # noqa: ANN401  faster-whisper's own
        return "".join(segment.text for segment in model.transcribe(samples, **options)[0]).strip()

    if recording.language is None:
        heard.text = text_of()
        heard.untimed = text_of(without_timestamps=True)
        heard.no_speech = no_speech_probability(model, samples)
        return heard
    given = recording.language
    segments = list(model.transcribe(samples, language=given)[0])
    heard.text = "".join(segment.text for segment in segments).strip()
    heard.segments = [Segment(start=segment.start, end=segment.end) for segment in segments]
    heard.language = model.detect_language(samples)[0]
    timed = model.transcribe(samples, language=given, word_timestamps=True)[0]
    heard.word_starts = [segment.words[0].start for segment in timed if segment.words]
    if recording.translation is not None:
        heard.translation = text_of(language=given, task="translate")
    if heard.duration_s >= LONG_S:
        batched = BatchedInferencePipeline(model).transcribe(samples, language=given, batch_size=8)[0]
        heard.batched = "".join(segment.text for segment in batched).strip()
        heard.voiced = text_of(language=given, vad_filter=True)
    else:
        heard.untimed = text_of(language=given, without_timestamps=True)
    return heard


def no_speech_probability(model: "WhisperModel", samples: "npt.NDArray[np.float32]") -> float:
    """Give the probability of `<|nospeech|>` for the first 30 s."""
    import ctranslate2  # noqa: PLC0415  only now known to be installed
    import numpy as np  # noqa: PLC0415  only now known to be installed

    features = model.feature_extractor(samples)[:, :WINDOW_FRAMES]
    padded = np.pad(features, ((0, 0), (0, WINDOW_FRAMES - features.shape[1])))[None]
    storage = ctranslate2.StorageView.from_array(np.ascontiguousarray(padded, np.float32))
    start = model.hf_tokenizer.token_to_id("<|startoftranscript|>")
    prompt = [start, start + 1, model.hf_tokenizer.token_to_id("<|transcribe|>")]
    result = model.model.generate(storage, [prompt], max_length=8, return_no_speech_prob=True)[0]
    return float(result.no_speech_prob)


def share(decisions: Iterable[bool]) -> float | None:
    """Give the share that is true; None of nothing."""
    listed = list(decisions)
    return sum(listed) / len(listed) if listed else None


def boundary_errors(truth: Iterable[Segment], found: list[Segment]) -> Iterator[float]:
    """Give how far each true start and end lies from the nearest found one, in seconds."""
    for segment in truth:
        yield min((abs(segment.start - one.start) for one in found), default=segment.end)
        yield min((abs(segment.end - one.end) for one in found), default=segment.end)


def start_error(phrase: Segment, heard: Heard) -> float:
    """Give how far a phrase's start lies from the nearest first word of a segment, in seconds."""
    return min((abs(phrase.start - start) for start in heard.word_starts), default=phrase.end)


def spread(errors: list[float]) -> dict[str, float] | None:
    """Give median and 95th percentile; None of nothing."""
    if not errors:
        return None
    ordered = sorted(errors)
    return {"median": statistics.median(ordered), "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]}


Pair = tuple[Recording, Heard]


def figures_of(language: str, pairs: list[Pair]) -> dict[str, Any]:
    """Sum up the recordings of one language, as they stand in the JSON."""
    short = [(recording, heard) for recording, heard in pairs if heard.duration_s < LONG_S]
    long = [(recording, heard) for recording, heard in pairs if heard.duration_s >= LONG_S]
    timed = [(recording, heard) for recording, heard in short if recording.segments]
    boundaries = [error for one, heard in timed for error in boundary_errors(one.segments, heard.segments)]
    opening = [start_error(one.segments[0], heard) for one, heard in timed]
    later = [start_error(segment, heard) for one, heard in timed for segment in one.segments[1:]]
    return {
        "recordings": len(short),
        "measure": "characters" if language in UNSPACED else "words",
        "error_rate": error_rate(((one.text, heard.text) for one, heard in short), language),
        "error_rate_without_timestamps": error_rate(
            ((one.text, heard.untimed or "") for one, heard in short), language
        ),
        "wrong_recordings": sum(words(one.text, language) != words(heard.text, language) for one, heard in short),
        "translation_error_rate": error_rate(
            ((one.translation, heard.translation or "") for one, heard in short if one.translation is not None), "en"
        ),
        "language_right": share(heard.language == language for _, heard in short),
        "language_right_over_2_s": share(
            heard.language == language for _, heard in short if heard.duration_s > LANGUAGE_FROM_S
        ),
        "segment_count_right": share(len(one.segments) == len(heard.segments) for one, heard in timed),
        "segment_boundary_s": spread(boundaries),
        "opening_word_start_s": spread(opening),
        "later_first_word_start_s": spread(later),
        "first_words_within_0.25_s": share(error <= WORD_START_TOLERANCE_S for error in opening + later),
        "later_first_words_within_0.25_s": share(error <= WORD_START_TOLERANCE_S for error in later),
        "long": {
            "recordings": len(long),
            "sequential": error_rate(((one.text, heard.text) for one, heard in long), language),
            "sequential_with_vad": error_rate(((one.text, heard.voiced or "") for one, heard in long), language),
            "batched": error_rate(((one.text, heard.batched or "") for one, heard in long), language),
        },
    }


def silence_of(pairs: list[Pair]) -> dict[str, Any]:
    """Sum up the recordings in which nothing is said."""
    return {
        "recordings": len(pairs),
        "empty": sum(not heard.text and not heard.untimed for _, heard in pairs),
        "least_no_speech": min((heard.no_speech for _, heard in pairs), default=None),
    }


def evaluate(model: "WhisperModel", recordings: list[Recording], workers: int) -> tuple[dict[str, Any], list[Pair]]:
    """Decode all recordings, with a progress bar, and sum up by language."""
    from tqdm import tqdm  # noqa: PLC0415  only now known to be installed

    with ThreadPoolExecutor(workers) as pool:
        answers = pool.map(lambda recording: hear(model, recording), recordings)
        heard = list(tqdm(answers, total=len(recordings), desc="evaluating", unit="recording"))
    pairs = list(zip(recordings, heard, strict=True))
    languages = list(dict.fromkeys(one.language for one in recordings if one.language is not None))
    by_language = {
        language: figures_of(language, [pair for pair in pairs if pair[0].language == language])
        for language in languages
    }
    return {
        "languages": by_language,
        "silence": silence_of([pair for pair in pairs if pair[0].language is None]),
    }, pairs


def percent(value: float | None) -> str:
    """Write a share for the table."""
    return "-" if value is None else f"{100 * value:.1f} %"


def seconds(value: dict[str, float] | None) -> str:
    """Write a spread for the table: median and 95th percentile."""
    return "-" if value is None else f"{value['median']:.3f} / {value['p95']:.3f} s"


def table(figures: dict[str, Any]) -> str:
    """Write figures as a Markdown table, one column for each language."""
    by_language = figures["languages"]
    rows: list[tuple[str, list[str]]] = [
        ("recordings", [str(one["recordings"]) for one in by_language.values()]),
        ("error rate, language given", [percent(one["error_rate"]) for one in by_language.values()]),
        (
            "the same without timestamps",
            [percent(one["error_rate_without_timestamps"]) for one in by_language.values()],
        ),
        ("recordings with any error", [str(one["wrong_recordings"]) for one in by_language.values()]),
        ("language right", [percent(one["language_right"]) for one in by_language.values()]),
        ("language right, longer than 2 s", [percent(one["language_right_over_2_s"]) for one in by_language.values()]),
        (
            "translation into English: words wrong",
            [percent(one["translation_error_rate"]) for one in by_language.values()],
        ),
        ("right number of segments", [percent(one["segment_count_right"]) for one in by_language.values()]),
        (
            "segment boundaries off by, median / 95 %",
            [seconds(one["segment_boundary_s"]) for one in by_language.values()],
        ),
        (
            "first words of phrases within 0.25 s",
            [percent(one["first_words_within_0.25_s"]) for one in by_language.values()],
        ),
        (
            "a recording's very first word off by, median / 95 %",
            [seconds(one["opening_word_start_s"]) for one in by_language.values()],
        ),
        (
            "other phrases' first words off by, median / 95 %",
            [seconds(one["later_first_word_start_s"]) for one in by_language.values()],
        ),
        ("the same within 0.25 s", [percent(one["later_first_words_within_0.25_s"]) for one in by_language.values()]),
        ("a minute or longer: sequential", [percent(one["long"]["sequential"]) for one in by_language.values()]),
        (
            "the same with voice detection",
            [percent(one["long"]["sequential_with_vad"]) for one in by_language.values()],
        ),
        ("the same batched", [percent(one["long"]["batched"]) for one in by_language.values()]),
    ]
    head = [f"{code} ({one['measure']})" for code, one in by_language.items()]
    lines = [f"| | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    silence = figures["silence"]
    if silence["recordings"]:
        empty = f"Nothing said: {silence['empty']} of {silence['recordings']} recordings gave empty text"
        lines += ["", f"{empty}, and <|nospeech|> a probability of at least {silence['least_no_speech']:.3f}."]
    return "\n".join(lines)


def main() -> int:
    """Run, and turn what the user can mend into one line."""
    chosen = arguments()
    try:
        require_packages()
        recordings = read_manifest(chosen.manifest)
        if chosen.limit is not None:
            kept: dict[str | None, list[Recording]] = {}
            for recording in recordings:
                kept.setdefault(recording.language, []).append(recording)
            recordings = [one for group in kept.values() for one in group[: chosen.limit]]
        model = load_model(chosen.model, chosen.device, chosen.compute_type, chosen.workers)
        figures, pairs = evaluate(model, recordings, chosen.workers)
    except CannotEvaluateError as error:
        print(f"evaluate_model: {error}", file=sys.stderr)
        return 2
    print(table(figures))
    if chosen.show_errors:
        for one, heard in pairs:
            language = one.language or "en"
            if words(one.text, language) != words(heard.text, language) or heard.language != one.language:
                print(f"{one.path.name}: {one.text!r} was heard as {heard.text!r} ({heard.language})")
    if chosen.json:
        detail = [{"path": one.path.name, **asdict(heard)} for one, heard in pairs]
        chosen.json.write_text(
            json.dumps(figures | {"recordings": detail}, ensure_ascii=False, indent=1), encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
