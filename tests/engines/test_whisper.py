"""The Whisper engine against faster-whisper itself, on the same sounds."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Recording, recordings
from transcriber.audio.decode import decode
from transcriber.audio.waveform import RATE_HZ, Samples
from transcriber.engines import whisper_model
from transcriber.engines.base import Retry, Window, transcribe_batch
from transcriber.engines.encodings import encode
from transcriber.engines.prompts import CONTEXT_TOKENS
from transcriber.engines.whisper import WhisperEngine, _max_length
from transcriber.engines.whisper_work import WhisperWork
from transcriber.errors import ModelUnavailable, UnsupportedOption
from transcriber.options import DecodingOptions, Task
from transcriber.settings import load
from transcriber.transcript import Hypothesis

GREEDY = DecodingOptions(beam_size=1)


def sound(recording: Recording) -> Samples:
    with recording.path.open("rb") as file:
        return decode(file, limit_s=600).samples()[: 30 * RATE_HZ]


def short_recordings() -> list[Recording]:
    return [recording for recording in recordings() if recording.duration <= 30]


def window(samples: Samples, **changes: Any) -> Window:
    return replace(
        Window(samples=samples, start_sample=0, language=None, decoding=DecodingOptions(), is_first=True), **changes
    )


def read(engine: WhisperEngine, works: Sequence[WhisperWork]) -> list[Hypothesis]:
    """Run works to their end, each retry in a batch of its own."""
    outcomes = transcribe_batch(engine, works)
    return [read(engine, [o.work])[0] if isinstance(o, Retry) else o for o in outcomes]


def read_all(engine: WhisperEngine, samples: Samples, first: Window) -> list[tuple[float, Hypothesis]]:
    """Read a sound of one window from its start to its end, as a passage is read."""
    read_so_far: list[tuple[float, Hypothesis]] = []
    start = 0
    while start < len(samples) - RATE_HZ // 100:
        hypothesis = read(engine, [engine.prepare(replace(first, start_sample=start, is_first=start == 0))])[0]
        read_so_far.append((start / RATE_HZ, hypothesis))
        start += max(1, round(hypothesis.consumed_s * RATE_HZ))
    return read_so_far


@pytest.mark.parametrize(
    "decoding",
    [
        DecodingOptions(),
        GREEDY,
        DecodingOptions(word_timestamps=True),
        DecodingOptions(task=Task.TRANSLATE),
        DecodingOptions(initial_prompt="Turn on the light."),
        DecodingOptions(hotwords="kitchen garden"),
        DecodingOptions(temperatures=(0.0,), compression_ratio_threshold=None, log_prob_threshold=None),
    ],
    ids=["beam", "greedy", "words", "translate", "prompt", "hotwords", "no thresholds"],
)
@pytest.mark.parametrize("recording", short_recordings(), ids=lambda recording: recording.path.name)
def test_the_text_times_and_words_are_faster_whispers(
    engine: WhisperEngine, recording: Recording, decoding: DecodingOptions
) -> None:
    samples = sound(recording)
    reference, info = engine._whisper.transcribe(
        samples,
        task=str(decoding.task),
        beam_size=decoding.beam_size,
        temperature=decoding.temperatures,
        initial_prompt=decoding.initial_prompt,
        hotwords=decoding.hotwords,
        word_timestamps=decoding.word_timestamps,
        condition_on_previous_text=False,
        compression_ratio_threshold=decoding.compression_ratio_threshold,
        log_prob_threshold=decoding.log_prob_threshold,
    )
    expected = [
        (
            round(segment.start, 3),
            round(segment.end, 3),
            segment.text,
            [(word.word, round(float(word.start), 3), round(float(word.end), 3)) for word in segment.words or ()],
            round(segment.avg_logprob, 6),
        )
        for segment in reference
        if segment.temperature == 0.0
    ]

    pieces = read_all(engine, samples, window(samples, decoding=decoding))
    actual = [
        (
            round(offset + segment.start_s, 3),
            round(offset + segment.end_s, 3),
            segment.text,
            [
                (word.text, round(offset + word.start_s, 3), round(offset + word.end_s, 3))
                for word in segment.words or ()
            ],
            round(segment.avg_logprob, 6),
        )
        for offset, hypothesis in pieces
        for segment in hypothesis.segments
        if segment.temperature == 0.0
    ]

    assert actual == expected
    if expected:
        assert pieces[0][1].language == info.language
        assert pieces[0][1].language_probability == pytest.approx(info.language_probability)


def test_a_window_is_the_same_alone_and_in_company(engine: WhisperEngine) -> None:
    """Mixed languages, tasks, words and lengths in one batch: bit for bit what each gives alone."""
    plans = [
        DecodingOptions(),
        DecodingOptions(word_timestamps=True),
        DecodingOptions(task=Task.TRANSLATE),
    ]
    works = [
        engine.prepare(window(sound(recording), decoding=plans[i % 3], language=None if i % 2 else recording.language))
        for i, recording in enumerate(short_recordings())
    ]
    alone = [transcribe_batch(engine, [work])[0] for work in works]
    together = transcribe_batch(engine, works)

    for apart, joined in zip(alone, together, strict=True):
        if isinstance(apart, Retry) or isinstance(joined, Retry):
            assert isinstance(apart, Retry)
            assert isinstance(joined, Retry)
            assert joined.work.attempts == apart.work.attempts
        else:
            assert joined == apart


def test_windows_with_other_searches_or_other_lengths_of_text_before_do_not_share_a_batch(
    engine: WhisperEngine,
) -> None:
    samples = np.zeros(RATE_HZ, np.float32)
    plain = engine.prepare(window(samples))
    others = [
        engine.prepare(window(samples, decoding=decoding))
        for decoding in (
            GREEDY,
            DecodingOptions(temperatures=(0.4,)),
            DecodingOptions(hotwords="kitchen"),
            DecodingOptions(initial_prompt="one two"),
        )
    ]
    alike = [
        engine.prepare(window(samples, decoding=decoding, language=language))
        for decoding in (DecodingOptions(task=Task.TRANSLATE), DecodingOptions(word_timestamps=True))
        for language in (None, "de")
    ]

    assert all(engine.batch_key(work) != engine.batch_key(plain) for work in others)
    assert all(engine.batch_key(work) == engine.batch_key(plain) for work in alike)


@pytest.mark.parametrize("loudness", [0.0, 0.0005])
def test_silence_has_no_text_and_no_language(engine: WhisperEngine, loudness: float) -> None:
    noise = (np.random.default_rng(3).standard_normal(5 * RATE_HZ) * loudness).astype(np.float32)
    hypothesis = read(engine, [engine.prepare(window(noise))])[0]

    assert (hypothesis.segments, hypothesis.language, hypothesis.has_speech) == ((), None, False)
    assert hypothesis.consumed_s >= 4.9


def test_a_doubtful_window_returns_with_what_was_tried_and_is_not_encoded_again(engine: WhisperEngine) -> None:
    recording = short_recordings()[0]
    strict = DecodingOptions(log_prob_threshold=0.0, no_speech_threshold=None, temperatures=(0.0, 0.2))
    outcome = transcribe_batch(engine, [engine.prepare(window(sound(recording), decoding=strict))])[0]

    assert isinstance(outcome, Retry)
    assert [attempt.temperature for attempt in outcome.work.attempts] == [0.0]
    assert outcome.work.encoded is not None
    assert outcome.work.temperature == 0.2
    last = transcribe_batch(engine, [outcome.work])[0]
    assert isinstance(last, Hypothesis)
    assert last.has_speech


def test_text_before_never_fills_the_models_room(engine: WhisperEngine) -> None:
    endless = "turn on the kitchen light " * 500
    work = engine.prepare(
        window(
            np.zeros(RATE_HZ, np.float32),
            decoding=DecodingOptions(hotwords=endless, initial_prompt=endless),
            context=(),
        )
    )

    assert len(work.before) == CONTEXT_TOKENS
    assert read(engine, [work])


def test_context_is_handed_on_and_cut_from_the_left(engine: WhisperEngine) -> None:
    recording = next(r for r in short_recordings() if r.text)
    context = tuple(range(300, 300 + 400))
    hypothesis = read(engine, [engine.prepare(window(sound(recording), context=context, is_first=False))])[0]

    assert len(hypothesis.context) == CONTEXT_TOKENS
    assert hypothesis.context[0] > 300


def test_ids_that_would_end_the_process_never_reach_the_device(engine: WhisperEngine) -> None:
    samples = np.zeros(RATE_HZ, np.float32)
    work = engine.prepare(window(samples, context=(10**6, -5, 7), is_first=False))

    assert work.before == (7,)
    with pytest.raises(ModelUnavailable, match="do not belong together"):
        engine.transcribe([replace(work, before=(10**6,))])


@pytest.mark.parametrize("options", ["initial_prompt", "hotwords"])
def test_marks_of_the_model_that_a_caller_writes_out_are_no_marks(engine: WhisperEngine, options: str) -> None:
    """They would be more starts of the transcript than CTranslate2 expects, in everybody's batch."""
    text = "a<|startoftranscript|> b <|en|><|endoftext|><|nospeech|><|0.00|>"
    marked = window(np.zeros(RATE_HZ, np.float32), decoding=DecodingOptions(**{options: text}))
    work = engine.prepare(marked)

    assert work.before
    assert max(work.before) < engine._prompts.tokenizer("en", Task.TRANSCRIBE).eot


@pytest.mark.parametrize("recording", short_recordings(), ids=lambda recording: recording.path.name)
def test_a_lone_window_is_read_as_in_company(engine: WhisperEngine, recording: Recording) -> None:
    """By another copy of the model, with more threads."""
    works = [engine.prepare(window(sound(recording)))]
    alone = read(engine, works)
    with engine._copies.at_work(os.cpu_count() or 1):
        in_company = read(engine, works)

    assert alone == in_company


def test_an_empty_batch_never_reaches_the_device(engine: WhisperEngine) -> None:
    """An empty list of prompts would end the process."""
    with pytest.raises(ModelUnavailable):
        engine.transcribe([])


@pytest.mark.parametrize("length", [1, 159, 161, 400, 1600])
def test_the_shortest_windows_are_read_with_words(engine: WhisperEngine, length: int) -> None:
    noise = (np.random.default_rng(length).standard_normal(length) * 0.3).astype(np.float32)
    eager = DecodingOptions(
        word_timestamps=True, no_speech_threshold=None, log_prob_threshold=None, compression_ratio_threshold=None
    )

    assert isinstance(engine.transcribe([engine.prepare(window(noise, decoding=eager))])[0], Hypothesis)


def test_a_vocabulary_that_is_larger_than_the_model_is_refused(demo_model: Path, tmp_path: Path) -> None:
    for path in demo_model.iterdir():
        (tmp_path / path.name).symlink_to(path)
    vocabulary = [*json.loads((demo_model / "vocabulary.json").read_text("utf-8")), "one more"]
    (tmp_path / "vocabulary.json").unlink()
    (tmp_path / "vocabulary.json").write_text(json.dumps(vocabulary), "utf-8")

    with pytest.raises(ModelUnavailable, match="convert the model again"):
        whisper_model.load(tmp_path, load({"DEVICE": "cpu"}))


def test_a_batch_is_capped_whatever_the_operator_says(demo_model: Path) -> None:
    engine = whisper_model.load(demo_model, load({"DEVICE": "cpu", "MAX_BATCH_WINDOWS": "95", "MAX_CONCURRENT": "3"}))

    assert (engine.capabilities.largest_batch, engine.capabilities.replicas) == (95, 3)
    engine.close()


def test_what_the_model_cannot_do_is_refused_by_name(engine: WhisperEngine) -> None:
    engine.capabilities.refuse(DecodingOptions(word_timestamps=True), "zh")

    with pytest.raises(UnsupportedOption, match="'xx'"):
        engine.capabilities.refuse(DecodingOptions(), "xx")


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"nothing")
    with pytest.raises(ModelUnavailable, match=r"vocabulary\.json"):
        whisper_model.load(tmp_path, load({"DEVICE": "cpu"}))
    (tmp_path / "vocabulary.json").write_text("[]")
    with pytest.raises(ModelUnavailable, match=r"model\.bin is of version"):
        whisper_model.load(tmp_path, load({"DEVICE": "cpu"}))


def test_a_type_that_is_none_is_refused(demo_model: Path) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be loaded on cpu as float17"):
        whisper_model.load(demo_model, load({"DEVICE": "cpu", "COMPUTE_TYPE": "float17"}))


@pytest.mark.parametrize(
    ("frames", "prompt_tokens", "new_tokens"),
    [(3000, 4, 224), (500, 4, 224), (300, 4, 152), (1, 4, 33), (100, 228, 72)],
)
def test_a_window_may_write_forty_tokens_a_second_and_some(
    engine: WhisperEngine, frames: int, prompt_tokens: int, new_tokens: int
) -> None:
    short = replace(engine.prepare(window(np.zeros(RATE_HZ, np.float32))), n_frames=1)
    long = replace(short, n_frames=frames)
    max_length = _max_length([short, long], prompt_tokens=prompt_tokens)

    # CTranslate2: the last token of the prompt counts as written.
    assert min(max_length // 2, max_length - prompt_tokens) == new_tokens


def test_a_window_that_repeats_itself_is_stopped(engine: WhisperEngine) -> None:
    """Whatever a text of a second may be, it ends long before the model's own end."""
    noise = (np.random.default_rng(5).standard_normal(RATE_HZ) * 0.3).astype(np.float32)
    plan = DecodingOptions(temperatures=(1.0,), no_speech_threshold=None)
    work = engine.prepare(window(noise, decoding=plan, language="en"))
    attempts = engine._generate(engine._model, [work] * 8, encode(engine._model, [work] * 8))
    most = max(len(attempt.tokens) for attempt in attempts)

    assert most <= 72


def test_every_path_is_warmed_up(engine: WhisperEngine) -> None:
    engine.warm_up()


def test_a_wide_copy_is_warmed_up_by_one_window(demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone caller is not the first who meets it, and nobody waits for each path twice."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1})
    engine = whisper_model.load(demo_model, load({"DEVICE": "cpu"}))
    encoded: list[object] = []
    encoder = engine._copies.encoder

    def noted(*, others: int) -> object:
        encoded.append(model := encoder(others=others))
        return model

    monkeypatch.setattr(engine._copies, "encoder", noted)
    engine.warm_up()
    engine.close()

    assert encoded[-1] is not engine._model
    assert len(encoded) > 1
    assert all(model is engine._model for model in encoded[:-1])
