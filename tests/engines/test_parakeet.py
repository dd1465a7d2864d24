"""The Parakeet engine against onnx-asr itself, one recording after the other, on the same sounds."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_asr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import DATA
from transcriber.audio.decode import decode
from transcriber.audio.waveform import RATE_HZ, Samples
from transcriber.engines import parakeet_model, tdt
from transcriber.engines.base import Window, transcribe_batch
from transcriber.engines.nemo_features import NemoFeatures, mel_filters
from transcriber.engines.parakeet import EUROPEAN, LONGEST_WINDOW_S, ParakeetEngine
from transcriber.engines.parakeet_network import faults_named
from transcriber.engines.tdt import Token
from transcriber.errors import DeviceFault, UnsupportedOption
from transcriber.languages import NAMES
from transcriber.options import DecodingOptions, Task
from transcriber.settings import load
from transcriber.transcript import Hypothesis

LEAST_SAMPLES = 320
"""onnx-asr divides by zero below."""


@dataclass(frozen=True)
class Sound:
    """A random recording: noise whose loudness changes ten times a second."""

    seed: int
    length: int

    def samples(self) -> Samples:
        draw = np.random.default_rng(self.seed)
        loudness = np.repeat(draw.random(self.length // 1600 + 1), 1600)[: self.length]
        return (0.2 * draw.standard_normal(self.length) * loudness).astype(np.float32)


sounds = st.lists(
    st.builds(Sound, seed=st.integers(0, 2**32 - 1), length=st.integers(LEAST_SAMPLES, 4 * RATE_HZ)),
    min_size=1,
    max_size=12,
)


def window(samples: Samples, **options: Any) -> Window:
    return Window(samples=samples, start_sample=0, language=None, decoding=DecodingOptions(**options))


def tokens_of(engine: ParakeetEngine, recordings: Sequence[Samples]) -> list[list[Token]]:
    """Run the engine as far as its tokens, all recordings in one batch."""
    with engine._networks.lent() as network:
        encoded, lengths = network.encode([engine._features(samples) for samples in recordings])
        return tdt.decode(
            network,
            encoded,
            lengths,
            pieces=len(engine._vocabulary.pieces),
            blank=engine._vocabulary.blank,
            most_tokens_per_frame=engine._most_tokens_per_frame,
        )


def read(engine: ParakeetEngine, recordings: Sequence[Samples], **options: Any) -> list[Hypothesis]:
    works = [engine.prepare(window(samples, **options)) for samples in recordings]
    outcomes = transcribe_batch(engine, works)
    assert all(isinstance(outcome, Hypothesis) for outcome in outcomes)
    return [outcome for outcome in outcomes if isinstance(outcome, Hypothesis)]


def reference(folder: Path, quantization: str | None = None) -> Any:
    model = onnx_asr.load_model(
        "nemo-conformer-tdt", folder, quantization=quantization, providers=["CPUExecutionProvider"]
    )
    return model.with_timestamps()


@pytest.fixture(scope="session")
def onnx_asr_model(parakeet_folder: Path) -> Any:
    return reference(parakeet_folder)


@pytest.fixture(scope="session")
def padding(parakeet_folder: Path) -> ParakeetEngine:
    """The engine as it encodes on CUDA: the windows of a batch together, the shorter ones filled up."""
    engine = parakeet_model.load(parakeet_folder, load({"DEVICE": "cpu", "MAX_CONCURRENT": "1"}))
    with engine._networks.lent() as network:
        network._encodes_alone = False
    return engine


def assert_equal(engine: ParakeetEngine, found: Sequence[Token], expected: Any) -> None:
    pieces = [engine._vocabulary.pieces[token.id] or "<unk>" for token in found]

    assert pieces == expected.tokens
    assert [token.frame * engine._frame_s for token in found] == pytest.approx(expected.timestamps)
    assert [token.logprob for token in found] == pytest.approx(expected.logprobs, abs=1e-3)


@settings(max_examples=25)
@given(recordings=sounds)
def test_the_tokens_of_any_batch_are_those_of_onnx_asr_one_by_one(
    parakeet: ParakeetEngine, onnx_asr_model: Any, recordings: list[Sound]
) -> None:
    heard = [sound.samples() for sound in recordings]

    for found, samples in zip(tokens_of(parakeet, heard), heard, strict=True):
        assert_equal(parakeet, found, onnx_asr_model.recognize(samples))


@pytest.mark.parametrize("length_s", [7, 29.9])
def test_the_tokens_of_long_windows_are_those_of_onnx_asr(
    parakeet: ParakeetEngine, onnx_asr_model: Any, length_s: float
) -> None:
    samples = Sound(seed=4, length=round(length_s * RATE_HZ)).samples()
    (found,) = tokens_of(parakeet, [samples])

    assert len(found) > 10 * length_s
    assert_equal(parakeet, found, onnx_asr_model.recognize(samples))


def test_the_text_is_that_of_onnx_asr(parakeet: ParakeetEngine, onnx_asr_model: Any) -> None:
    with (DATA / "en-one-phrase.wav").open("rb") as file:
        speech = decode(file, limit_s=60).samples()
    hypothesis = read(parakeet, [speech])[0]
    said = "".join(segment.text for segment in hypothesis.segments)

    assert said.strip() == onnx_asr_model.recognize(speech).text.replace("<unk>", "")


@settings(max_examples=15)
@given(recordings=sounds)
def test_padding_never_changes_a_neighbours_tokens(padding: ParakeetEngine, recordings: list[Sound]) -> None:
    heard = [sound.samples() for sound in recordings]
    alone = [tokens_of(padding, [samples])[0] for samples in heard]

    for found, expected in zip(tokens_of(padding, heard), alone, strict=True):
        assert [(token.id, token.frame, token.frames) for token in found] == [
            (token.id, token.frame, token.frames) for token in expected
        ]


def test_windows_in_8_bits_are_those_of_onnx_asr_too(parakeet_folder: Path, tmp_path: Path) -> None:
    """One scale for all values of a batch would make neighbours change each other; so they are decoded one by one."""
    from onnx_asr.preprocessors.numpy_preprocessor import NemoPreprocessorNumpy

    upstream = NemoPreprocessorNumpy("nemo128")
    for path in parakeet_folder.iterdir():
        if not path.name.endswith("-model.onnx"):
            shutil.copy(path, tmp_path)
    engine = parakeet_model.load(tmp_path, load({"DEVICE": "cpu"}))
    # Rounding to 8 bits shows where the features differ in their last bits.
    engine._features = lambda samples: upstream(samples[None], np.array([len(samples)]))[0][0, :, :-1]
    model = reference(tmp_path, "int8")
    heard = [Sound(seed=seed, length=seed * RATE_HZ).samples() for seed in (1, 3, 2, 4)]
    texts = ["".join(segment.text for segment in h.segments).strip() for h in read(engine, heard)]

    assert texts == [model.recognize(samples).text.replace("<unk>", "") for samples in heard]
    for samples in heard:
        assert_equal(engine, tokens_of(engine, [samples])[0], model.recognize(samples))


class Recorder:
    """An encoder that keeps what it is given."""

    def run(self, _outputs: list[str], feed: dict[str, Any]) -> list[Any]:
        self.feed = feed
        return [np.zeros((1, 1, 1), np.float32), np.ones(1, np.int64)]


def test_the_encoder_is_given_what_onnx_asr_gives_it(parakeet_folder: Path, onnx_asr_model: Any) -> None:
    """To the last frame, which is nothing: in 8 bits it counts for the scale."""
    engine = parakeet_model.load(parakeet_folder, load({"DEVICE": "cpu", "MAX_CONCURRENT": "1"}))
    samples = Sound(seed=6, length=2 * RATE_HZ).samples()
    expected, lengths = onnx_asr_model.asr._preprocessor(samples[None], np.array([len(samples)]))
    encoder = Recorder()
    with engine._networks.lent() as network:
        network._encoder = encoder
        network.encode([engine._features(samples)])

    assert encoder.feed["length"] == lengths
    assert encoder.feed["audio_signal"].shape == expected.shape
    assert encoder.feed["audio_signal"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("mels", [80, 128])
def test_features_are_those_of_onnx_asr(mels: int) -> None:
    from onnx_asr.preprocessors.numpy_preprocessor import NemoPreprocessorNumpy

    upstream = NemoPreprocessorNumpy(f"nemo{mels}")
    features = NemoFeatures(mels)

    assert np.abs(mel_filters(mels) - upstream._melscale_fbanks).max() < 1e-7
    for length in (LEAST_SAMPLES, 399, 400, 16_000, 161_234):
        samples = Sound(seed=length, length=length).samples()
        expected, lengths = upstream(samples[None], np.array([length]))
        assert features(samples).shape == (mels, lengths[0])
        # Of few frames the deviation is next to nothing, and what is divided by it shows the last bits.
        assert features(samples) == pytest.approx(expected[0, :, : lengths[0]], abs=2e-3 if length < 500 else 1e-4)


def test_a_window_of_next_to_nothing_is_filled_up(parakeet: ParakeetEngine) -> None:
    for length in (0, 1, 159, 319):
        assert read(parakeet, [np.zeros(length, np.float32)])[0].segments == ()


def test_reading_begins_where_the_window_says(parakeet: ParakeetEngine) -> None:
    samples = Sound(seed=9, length=3 * RATE_HZ).samples()
    later = Window(samples=samples, start_sample=RATE_HZ, language=None, decoding=DecodingOptions())

    assert parakeet.transcribe([parakeet.prepare(later)]) == read(parakeet, [samples[RATE_HZ:]])


def test_words_are_there_when_they_are_asked_for_and_change_nothing(parakeet: ParakeetEngine) -> None:
    samples = Sound(seed=2, length=3 * RATE_HZ).samples()
    (plain,), (worded,) = read(parakeet, [samples]), read(parakeet, [samples], word_timestamps=True)

    assert [s.text for s in plain.segments] == [s.text for s in worded.segments]
    assert all(segment.words is None for segment in plain.segments)
    for segment in worded.segments:
        assert segment.words
        assert "".join(word.text for word in segment.words) == segment.text
        assert (segment.words[0].start_s, segment.words[-1].end_s) == (segment.start_s, segment.end_s)


def test_a_window_that_was_cut_off_leaves_its_end_to_the_next(parakeet: ParakeetEngine) -> None:
    samples = Sound(seed=1, length=round(LONGEST_WINDOW_S * RATE_HZ)).samples()
    (cut,), (whole,) = read(parakeet, [samples]), read(parakeet, [samples[:-RATE_HZ]])

    assert LONGEST_WINDOW_S / 2 <= cut.consumed_s < LONGEST_WINDOW_S
    assert cut.segments[-1].end_s <= cut.consumed_s
    assert whole.consumed_s == LONGEST_WINDOW_S - 1


def test_the_language_is_the_callers_or_none(parakeet: ParakeetEngine) -> None:
    samples = Sound(seed=2, length=RATE_HZ).samples()
    told = Window(samples=samples, start_sample=0, language="de", decoding=DecodingOptions())
    (by_caller,) = parakeet.transcribe([parakeet.prepare(told)])
    (untold,) = read(parakeet, [samples])

    assert isinstance(by_caller, Hypothesis)
    assert (by_caller.language, by_caller.language_probability) == ("de", 1.0)
    assert (untold.language, untold.language_probability) == (None, 0.0)
    assert parakeet.capabilities.languages == EUROPEAN <= NAMES.keys()


def test_an_english_vocabulary_makes_an_english_model(parakeet_folder: Path, tmp_path: Path) -> None:
    english = shutil.copytree(parakeet_folder, tmp_path / "v2")
    lines = (english / "vocab.txt").read_text("utf-8")
    (english / "vocab.txt").write_text("".join("e" if "\u0370" <= c <= "\u04ff" else c for c in lines), "utf-8")
    engine = parakeet_model.load(english, load({"DEVICE": "cpu"}))
    (heard,) = read(engine, [Sound(seed=2, length=RATE_HZ).samples()])

    assert engine.capabilities.languages == {"en"}
    assert (heard.language, heard.language_probability) == ("en", 1.0)
    with pytest.raises(UnsupportedOption, match="Parakeet does not know the language 'de'; it knows en"):
        engine.capabilities.refuse(DecodingOptions(), "de")


def test_translation_is_refused_by_name(parakeet: ParakeetEngine) -> None:
    with pytest.raises(UnsupportedOption, match="translate is not something Parakeet can do; it can transcribe"):
        parakeet.capabilities.refuse(DecodingOptions(task=Task.TRANSLATE), None)


def test_what_the_operator_says_about_sharing_the_device_is_done(parakeet_folder: Path) -> None:
    chosen = load({"DEVICE": "cpu", "MAX_CONCURRENT": "3", "MAX_BATCH_WINDOWS": "7"})
    engine = parakeet_model.load(parakeet_folder, chosen)

    assert (engine.capabilities.replicas, engine.capabilities.largest_batch) == (3, 7)
    engine.close()


class FullDevice:
    """A network on a device that holds four windows, and that hears nothing."""

    decodes_alone = False

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode(self, features: Sequence[Any]) -> tuple[Any, Any]:
        self.batches.append(len(features))
        if len(features) > 4:
            raise DeviceFault("full", out_of_memory=True)
        return np.zeros((len(features), 1, 1), np.float32), np.zeros(len(features), np.int64)

    def begin(self, windows: int) -> tdt.State:
        return np.zeros((2, windows, 1), np.float32), np.zeros((2, windows, 1), np.float32)


def test_on_cuda_the_largest_batch_is_halved_until_every_device_holds_it(parakeet: ParakeetEngine) -> None:
    devices: list[Any] = [FullDevice(), FullDevice()]
    engine = ParakeetEngine(
        devices,
        parakeet._vocabulary,
        mels=128,
        subsampling=8,
        most_tokens_per_frame=10,
        largest_batch=16,
        replicas=2,
        must_fit=True,
    )
    engine.warm_up()

    assert engine.capabilities.largest_batch == 4
    assert {size for device in devices for size in device.batches} == {1, 2, 16, 8, 4}
    assert all(device.batches[-1] == 4 for device in devices)


@pytest.mark.parametrize(
    ("error", "fatal", "out_of_memory"),
    [
        (RuntimeError("Failed to allocate memory for requested buffer of size 99"), False, True),
        (RuntimeError("CUDA failure 2: out of memory"), False, True),
        (MemoryError(), False, True),
        (RuntimeError("CUDA failure 700: an illegal memory access was encountered"), True, False),
        (RuntimeError("Non-zero status code returned while running Gather node"), False, False),
    ],
)
def test_a_fault_of_the_device_says_what_can_be_done(error: Exception, fatal: bool, out_of_memory: bool) -> None:
    with pytest.raises(DeviceFault) as fault, faults_named():
        raise error

    assert (fault.value.fatal, fault.value.out_of_memory) == (fatal, out_of_memory)
