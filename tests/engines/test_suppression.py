"""A model that forbids tokens by itself writes what one does to which each call forbids them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import DEMO_MODEL, recordings
from tests.engines.test_model_file import model_file, written
from transcriber.audio.decode import decode
from transcriber.audio.waveform import RATE_HZ
from transcriber.engines import suppression, whisper_model
from transcriber.engines.base import Window
from transcriber.engines.model_file import read_table
from transcriber.engines.whisper import WhisperEngine
from transcriber.errors import ModelUnavailable
from transcriber.options import DecodingOptions
from transcriber.settings import load


def open_models() -> list[str]:
    """Return what this process has open of models in memory; other tests' sockets may close at any moment."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the descriptor of the listing itself
            targets.append(str(descriptor.readlink()))
    return sorted(target for target in targets if "memfd" in target)


@pytest.fixture(scope="module")
def biased_engine(demo_model: Path) -> Iterator[WhisperEngine]:
    engine = whisper_model.load(demo_model, load({"DEVICE": "cpu", "SUPPRESS_BY_BIAS": "on"}))
    yield engine
    engine.close()


@pytest.mark.parametrize("beam_size", [1, 5])
def test_the_text_and_its_score_are_the_same_bit_by_bit(
    engine: WhisperEngine, biased_engine: WhisperEngine, beam_size: int
) -> None:
    assert len(biased_engine._suppressed) == 1
    assert len(engine._suppressed) > 80
    for recording in recordings():
        with recording.path.open("rb") as file:
            samples = decode(file, limit_s=600).samples()[: 30 * RATE_HZ]
        plan = DecodingOptions(beam_size=beam_size, temperatures=(0.0,))
        work = engine.prepare(Window(samples=samples, start_sample=0, language="en", decoding=plan))
        features = ctranslate2.StorageView.from_array(work.mel[np.newaxis])
        by_call, by_bias = (
            each._model.generate(
                features,
                [each._prompts.prompt(work)],
                beam_size=beam_size,
                suppress_tokens=each._suppressed,
                return_scores=True,
                return_no_speech_prob=True,
            )[0]
            for each in (engine, biased_engine)
        )

        assert by_bias.sequences_ids == by_call.sequences_ids
        assert by_bias.scores == by_call.scores
        # The sum over all tokens lacks those forbidden, which have next to nothing there.
        assert by_bias.no_speech_prob == pytest.approx(by_call.no_speech_prob, rel=1e-5)


def test_what_is_forbidden_is_never_written_although_the_model_would(demo_model: Path, engine: WhisperEngine) -> None:
    """Forbid what the model writes most, so that the rule has something to do."""
    recording = next(recording for recording in recordings() if recording.text)
    with recording.path.open("rb") as file:
        samples = decode(file, limit_s=30).samples()
    work = engine.prepare(Window(samples=samples, start_sample=0, language="en", decoding=DecodingOptions()))
    features = ctranslate2.StorageView.from_array(work.mel[np.newaxis])
    prompts = [engine._prompts.prompt(work)]
    written_before = engine._model.generate(features, prompts)[0].sequences_ids[0]
    forbidden = sorted({token for token in written_before if token < 2000})[:5]
    by_call = engine._model.generate(features, prompts, suppress_tokens=forbidden, return_scores=True)[0]
    with suppression.biased(demo_model, forbidden) as folder:
        model = ctranslate2.models.Whisper(str(folder), device="cpu", intra_threads=1)
    by_bias = model.generate(features, prompts, suppress_tokens=[], return_scores=True)[0]

    assert forbidden
    assert by_call.sequences_ids[0] != written_before
    assert (by_bias.sequences_ids, by_bias.scores) == (by_call.sequences_ids, by_call.scores)


def test_a_folder_that_cannot_be_written_serves_and_nothing_stays_behind(demo_model: Path, tmp_path: Path) -> None:
    readonly = tmp_path / "model"
    readonly.mkdir()
    for path in demo_model.iterdir():
        (readonly / path.name).symlink_to(path)
    readonly.chmod(0o555)
    before = open_models()
    with suppression.biased(readonly, [1, 2, 3]) as folder:
        names = {path.name for path in folder.iterdir()}
        biased = read_table(folder / "model.bin")
        assert len(open_models()) == len(before) + 1

    assert names == {path.name for path in demo_model.iterdir()}
    assert biased.variables[:-1] == read_table(demo_model / "model.bin").variables
    assert biased.variables[-1].name == "decoder/projection/bias"
    assert not folder.exists()
    assert open_models() == before


@pytest.mark.parametrize(("float_type", "number"), [(0, np.float32), (4, np.float16), (5, np.uint16)])
def test_the_bias_is_of_the_models_own_type(tmp_path: Path, float_type: int, number: type) -> None:
    written(tmp_path, model_file(float_type=float_type))
    with suppression.biased(tmp_path, [7]) as folder:
        content = (folder / "model.bin").read_bytes()
    values = np.frombuffer(content[:-4][-51866 * np.dtype(number).itemsize :], number)

    assert values[7] == (0xC61C if float_type == 5 else -1e4)
    assert not values[np.arange(51866) != 7].any()


def test_the_mark_of_no_speech_is_left_to_each_call(demo_model: Path) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(demo_model / "tokenizer.json"))
    suppressed = suppression.suppressed(tokenizer, 10**6)

    assert suppressed.by_call == (tokenizer.token_to_id("<|nospeech|>"),)
    assert not set(suppressed.by_bias) & set(suppressed.by_call)


@pytest.mark.parametrize(
    ("told", "expected"), [("MemTotal: 9 kB\nMemAvailable:  2048 kB\n", 2**21), ("", 0), (None, 0)]
)
def test_memory_to_spare_is_asked_of_the_kernel(tmp_path: Path, told: str | None, expected: int) -> None:
    meminfo = tmp_path / "meminfo"
    if told is not None:
        meminfo.write_text(told)

    assert suppression.free_host_bytes(meminfo) == expected


def test_a_model_is_left_as_it_is_without_memory_or_with_a_bias_of_its_own(demo_model: Path, tmp_path: Path) -> None:
    table = read_table(demo_model / "model.bin")
    with suppression.biased(demo_model, [1]) as folder:
        biased = read_table(folder / "model.bin")

    assert suppression.can_be_biased(table, free_bytes=4 * table.size_bytes)
    assert not suppression.can_be_biased(table, free_bytes=2 * table.size_bytes)
    assert not suppression.can_be_biased(biased, free_bytes=2**40)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    written(tmp_path, model_file()[:-40])

    with pytest.raises(ModelUnavailable, match="cut off"), suppression.biased(tmp_path, [1]):
        pass


def test_folders_that_a_killed_process_left_are_swept_and_others_stay(tmp_path: Path) -> None:
    scratch = Path(tempfile.gettempdir())
    names = ["transcriber-model-left", "transcriber-model-lent", "somebody-elses"]
    for name in names:
        (scratch / name).mkdir()
        (scratch / name / "model.bin").symlink_to("/proc/self/fd/9")
    (scratch / "transcriber-model-link").symlink_to(tmp_path)
    with suppression._locked(scratch / "transcriber-model-lent"):
        suppression.sweep()
        left = {path.name for path in scratch.iterdir()}
    for name in (*names[1:], "transcriber-model-link"):
        (scratch / name).unlink() if (scratch / name).is_symlink() else shutil.rmtree(scratch / name)

    assert left == {"transcriber-model-lent", "somebody-elses", "transcriber-model-link"}
    assert tmp_path.exists()


@settings(max_examples=20)
@given(size=st.integers(1, 4000))
def test_no_token_beyond_the_vocabulary_is_ever_suppressed(size: int) -> None:
    """CTranslate2 would write beyond the end of its memory."""
    tokenizer = tokenizers.Tokenizer.from_file(str(DEMO_MODEL / "tokenizer.json"))
    found = suppression.suppressed(tokenizer, size)

    assert all(0 <= token < size for token in (*found.by_bias, *found.by_call))
