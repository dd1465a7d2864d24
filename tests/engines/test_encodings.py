"""What the engine asks of a CUDA device: a model on the CPU that calls itself one, and notes what it is asked."""

from __future__ import annotations

import logging
import threading
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import recordings
from transcriber.audio.decode import decode
from transcriber.engines import whisper_model
from transcriber.engines.base import Retry, Window, transcribe_batch
from transcriber.engines.whisper import WhisperEngine
from transcriber.engines.whisper_work import WhisperWork
from transcriber.errors import DeviceFault
from transcriber.options import DecodingOptions
from transcriber.settings import load


class PretendedCuda:
    """CTranslate2's Whisper, with another device in its papers."""

    device = "cuda"

    def __init__(self, model: Any, *, devices: int = 1, memory_windows: int = 100) -> None:
        self._model = model
        self.device_index = list(range(devices))
        self.memory_windows = memory_windows
        self.asked: list[str] = []
        self.sizes: list[int] = []
        self.lock = threading.Lock()

    def encode(self, features: Any, *, to_cpu: bool) -> Any:
        self._ask(f"encode {features.shape[0]} {'to host' if to_cpu else 'on device'}", features)
        return self._model.encode(features, to_cpu=to_cpu)

    def detect_language(self, features: Any) -> Any:
        self._ask(f"detect {features.shape[0]}", features)
        return self._model.detect_language(features)

    def generate(self, features: Any, prompts: Any, **options: Any) -> Any:
        kind = "features" if features.shape[-1] == 3000 else "encoded"
        self._ask(f"generate {len(prompts)} {kind}", features)
        return self._model.generate(features, prompts, **options)

    def align(self, *arguments: Any, **options: Any) -> Any:
        self.asked.append("align")
        return self._model.align(*arguments, **options)

    def _ask(self, what: str, features: Any) -> None:
        with self.lock:
            self.asked.append(what)
            self.sizes.append(features.shape[0])
        if features.shape[0] > self.memory_windows:
            raise RuntimeError("CUDA failed with error out of memory")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def with_model(engine: WhisperEngine, model: Any, *, largest_batch: int = 8, replicas: int = 1) -> WhisperEngine:
    """Return an engine for which CTranslate2 tells the languages."""
    whisper = copy(engine._whisper)
    whisper.model = model
    return WhisperEngine(
        whisper,
        vocabulary_size=engine._vocabulary_size,
        largest_batch=largest_batch,
        replicas=replicas,
        suppressed=engine._suppressed,
    )


def on_cuda(engine: WhisperEngine, *, largest_batch: int = 8, replicas: int = 1, **pretence: int) -> WhisperEngine:
    model = PretendedCuda(engine._model, **pretence)
    return with_model(engine, model, largest_batch=largest_batch, replicas=replicas)


def asked(engine: WhisperEngine) -> list[str]:
    pretended: PretendedCuda = engine._model
    return pretended.asked


def works(engine: WhisperEngine, languages: list[str | None], **plan: Any) -> list[WhisperWork]:
    spoken = [recording for recording in recordings() if recording.text and recording.duration < 20]
    prepared = []
    for recording, language in zip(spoken, languages, strict=False):
        with recording.path.open("rb") as file:
            samples = decode(file, limit_s=30).samples()
        decoding = DecodingOptions(beam_size=1, **plan)
        prepared.append(engine.prepare(Window(samples=samples, start_sample=0, language=language, decoding=decoding)))
    return prepared


@pytest.fixture
def on_cpu(engine: WhisperEngine) -> WhisperEngine:
    """The same on the CPU, which tells languages as CUDA does."""
    return with_model(engine, engine._model)


@pytest.fixture
def cuda(engine: WhisperEngine) -> WhisperEngine:
    return on_cuda(engine)


def test_with_known_languages_one_call_encodes_and_decodes(engine: WhisperEngine, cuda: WhisperEngine) -> None:
    batch = works(engine, ["en", "de"])

    assert transcribe_batch(cuda, batch) == transcribe_batch(engine, batch)
    assert asked(cuda) == ["generate 2 features"]


def test_with_an_unknown_language_what_is_encoded_stays_on_the_device(
    engine: WhisperEngine, on_cpu: WhisperEngine, cuda: WhisperEngine
) -> None:
    batch = works(engine, ["en", None])

    assert transcribe_batch(cuda, batch) == transcribe_batch(on_cpu, batch)
    assert asked(cuda) == ["encode 2 on device", "detect 2", "generate 2 encoded"]


def test_words_bring_what_is_encoded_to_the_host(
    engine: WhisperEngine, on_cpu: WhisperEngine, cuda: WhisperEngine
) -> None:
    batch = [*works(engine, ["en"], word_timestamps=True), *works(engine, [None])]

    assert transcribe_batch(cuda, batch) == transcribe_batch(on_cpu, batch)
    assert asked(cuda) == ["encode 2 to host", "detect 1", "generate 2 encoded", "align"]


def test_with_several_devices_nothing_encoded_stays_on_one_of_them(
    engine: WhisperEngine, on_cpu: WhisperEngine
) -> None:
    cuda = on_cuda(engine, devices=2)
    unknown, known = works(engine, [None]), works(engine, ["en"])

    assert transcribe_batch(cuda, unknown) == transcribe_batch(on_cpu, unknown)
    assert transcribe_batch(cuda, known) == transcribe_batch(on_cpu, known)
    assert asked(cuda) == ["encode 1 to host", "detect 1", "generate 1 encoded", "generate 1 features"]


@pytest.mark.parametrize("words", [True, False])
def test_a_doubtful_window_leaves_nothing_on_the_host(engine: WhisperEngine, cuda: WhisperEngine, words: bool) -> None:
    plan = {"log_prob_threshold": 0.0, "no_speech_threshold": None, "temperatures": (0.0, 0.2)}
    outcome = transcribe_batch(cuda, works(engine, ["en"], word_timestamps=words, **plan))[0]

    assert isinstance(outcome, Retry)
    assert outcome.work.encoded is None
    assert not isinstance(transcribe_batch(cuda, [outcome.work])[0], Retry)


def test_lack_of_memory_is_told_apart_from_a_device_that_failed(engine: WhisperEngine) -> None:
    with pytest.raises(DeviceFault, match="not enough memory") as fault:
        transcribe_batch(on_cuda(engine, memory_windows=1), works(engine, ["en", "de"]))

    assert (fault.value.out_of_memory, fault.value.fatal) == (True, False)


def test_every_replica_is_warmed_up_and_the_largest_batch_is_one_that_fits(
    engine: WhisperEngine, caplog: pytest.LogCaptureFixture
) -> None:
    cuda = on_cuda(engine, largest_batch=7, replicas=2, memory_windows=3)
    with caplog.at_level(logging.WARNING, logger="transcriber"):
        cuda.warm_up()

    assert cuda.capabilities.largest_batch == 3
    assert cuda._model.sizes.count(7) == 2
    assert cuda._model.sizes.count(3) == 2
    assert [record.message for record in caplog.records] == ["largest batch does not fit"]


def test_a_device_that_holds_not_one_window_cannot_be_used(engine: WhisperEngine) -> None:
    with pytest.raises(DeviceFault, match="not enough memory"):
        on_cuda(engine, memory_windows=0).warm_up()


def test_a_cpu_encodes_windows_singly(demo_model: Path) -> None:
    engine = whisper_model.load(demo_model, load({"DEVICE": "cpu", "MAX_CONCURRENT": "1"}))
    model = PretendedCuda(engine._model)
    model.device = "cpu"
    engine._whisper.model = model
    transcribe_batch(engine, works(engine, [None, "de", "en"]))

    assert model.asked == [*["encode 1 to host"] * 3, "generate 3 encoded"]
    engine.close()


def test_a_cpu_asks_ctranslate2_for_languages_where_it_cannot_tell_them(engine: WhisperEngine) -> None:
    model = PretendedCuda(engine._model)
    model.device = "cpu"
    cpu = with_model(engine, model)
    transcribe_batch(cpu, works(engine, [None, "de", None]))

    assert model.asked == [*["encode 1 to host"] * 3, "detect 2", "generate 3 encoded"]
