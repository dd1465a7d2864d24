"""The engine on PyTorch, held to what transformers makes of the same windows one by one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transcriber.audio.waveform import RATE_HZ, Samples
from transcriber.engines import catalogue
from transcriber.engines.base import Window
from transcriber.engines.voxtral import VoxtralEngine
from transcriber.engines.voxtral_rules import LANGUAGES, most_tokens
from transcriber.errors import ModelUnavailable
from transcriber.observability.timeline import Timeline
from transcriber.options import DecodingOptions
from transcriber.settings import Settings, load

RECORDINGS = 16


def recording(seed: int) -> Samples:
    """Make up a voice: a tone that wavers, with pauses, in some noise; 0.3 to 30 s."""
    draw = np.random.default_rng(seed)
    length = round(draw.choice([draw.uniform(0.3, 5), draw.uniform(5, 29.9), 30]) * RATE_HZ)
    clock = np.arange(length) / RATE_HZ
    tone = np.sin(2 * np.pi * clock * draw.uniform(80, 400) * (1 + 0.3 * np.sin(clock * draw.uniform(2, 8))))
    loudness = draw.uniform(size=length // 800 + 1).repeat(800)[:length]
    return (0.1 * tone * loudness + 0.01 * draw.standard_normal(length)).astype(np.float32)


def windows() -> list[Window]:
    languages = [None, *sorted(LANGUAGES)]
    return [
        Window(
            samples=recording(seed),
            start_sample=0,
            language=languages[seed % len(languages)],
            decoding=DecodingOptions(),
        )
        for seed in range(RECORDINGS)
    ]


@pytest.fixture(scope="module")
def alone(voxtral_folder: Path, voxtral: VoxtralEngine) -> list[str]:
    """The text of each window, as the model's card has transformers read it."""
    import torch
    from transformers import AutoProcessor, VoxtralForConditionalGeneration

    processor = AutoProcessor.from_pretrained(str(voxtral_folder))
    model = VoxtralForConditionalGeneration.from_pretrained(str(voxtral_folder), dtype=torch.float32)
    texts = []
    for window in windows():
        read = window.samples[: round(voxtral.prepare(window).length_s * RATE_HZ)]
        asked = processor.apply_transcription_request(
            language=window.language, audio=[read], model_id="any", sampling_rate=RATE_HZ, format=["wav"]
        )
        with torch.inference_mode():
            said = model.generate(**asked, max_new_tokens=most_tokens(len(read) / RATE_HZ), do_sample=False)
        texts += processor.batch_decode(said[:, asked["input_ids"].shape[1] :], skip_special_tokens=True)
    return texts


def settings_of(folder: Path, **environ: str) -> Settings:
    return load({"MODEL_ID": str(folder), "DEVICE": "cpu", "MAX_THREADS_PER_BATCH": "1", **environ})


def texts_of(engine: VoxtralEngine, batch: Sequence[Any]) -> list[str]:
    return ["".join(segment.text for segment in outcome.segments).strip() for outcome in engine.transcribe(batch)]  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [1, 3, RECORDINGS])
def test_batches_of_any_size_say_what_transformers_says_one_by_one(
    voxtral: VoxtralEngine, alone: list[str], size: int
) -> None:
    works = [voxtral.prepare(window) for window in windows()]
    batched_texts = [
        text
        for batch in [works[first : first + size] for first in range(0, RECORDINGS, size)]
        for text in texts_of(voxtral, batch)
    ]

    assert batched_texts == [text.strip() for text in alone]
    assert len(set(batched_texts)) > RECORDINGS / 2
    assert len({len(text) for text in batched_texts}) > RECORDINGS / 4


def test_each_row_has_as_many_tokens_as_it_may_have(voxtral: VoxtralEngine) -> None:
    """A neighbour that may write more neither prolongs nor shortens it."""
    long = next(window for window in windows() if len(texts_of(voxtral, [voxtral.prepare(window)])[0]) > 100)
    prompt = voxtral.prepare(long).prompt
    other = voxtral.prepare(windows()[1]).prompt
    assert prompt
    assert other
    with voxtral._networks.lent() as network:
        (whole,) = network.write([prompt], most_tokens=[80], temperature=0.0)
        (before, cut, after) = network.write([prompt, prompt, other], most_tokens=[80, 7, 30], temperature=0.0)
        (alone,) = network.write([other], most_tokens=[30], temperature=0.0)

    assert (len(whole), before, cut, after) == (80, whole, whole[:7], alone)


def test_prompts_tell_the_language_and_leave_what_is_not_known_out(voxtral: VoxtralEngine) -> None:
    window = windows()[0]
    prompts = [voxtral._prompts.prompt(window.samples[:RATE_HZ], language).tokens for language in (None, "fr")]
    spelled = tuple(64 + byte for byte in b"lang:fr")  # in the tiny model's tokenizer every byte is a token
    begin, begin_audio, audio, end, transcribe = (1, 3), 25, 24, 4, 34

    assert prompts[0] == (*begin, begin_audio, *[audio] * 375, end, transcribe)
    assert prompts[1] == (*prompts[0][:-1], *spelled, transcribe)


def test_text_may_be_drawn(voxtral: VoxtralEngine) -> None:
    window = Window(samples=recording(0), start_sample=0, language="en", decoding=DecodingOptions(temperatures=(1.0,)))
    works = [voxtral.prepare(window)] * 8

    assert len(set(texts_of(voxtral, works))) > 1


def test_the_catalogue_knows_the_family_by_its_files(voxtral_folder: Path) -> None:
    engine = catalogue.load(settings_of(voxtral_folder), timeline=Timeline())
    engine.warm_up()

    assert engine.capabilities.name == "Voxtral"
    assert engine.capabilities.largest_batch == 2
    engine.close()


def test_weights_may_be_held_in_half_the_bytes(voxtral_folder: Path) -> None:
    from transcriber.engines.voxtral_network import VoxtralNetwork

    whole, half = (
        VoxtralNetwork(voxtral_folder, device="cpu", float_type=name, end_token=2, pad_token=11)
        for name in ("float32", "bfloat16")
    )

    # The encoder's positions stay in 32 bits, as transformers wants them.
    assert half.size_bytes - 1500 * 32 * 4 == (whole.size_bytes - 1500 * 32 * 4) / 2
    assert (whole.shape.float_bytes, half.shape.float_bytes) == (4, 2)


@pytest.fixture
def copied(voxtral_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(voxtral_folder, tmp_path / "model"))


def says(path: Path, **changed: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changed}), "utf-8")


def spoil(folder: Path, what: str) -> None:
    match what:
        case "another type":
            says(folder / "config.json", model_type="voxtral_realtime")
        case "no config":
            (folder / "config.json").write_text("[]")
        case "another placeholder":
            says(folder / "config.json", audio_token_id=25)
        case "half the weights":
            weights = folder / "model.safetensors"
            weights.write_bytes(weights.read_bytes()[:100_000])
        case "no tokenizer":
            (folder / "tekken.json").write_text("{}")
        case "a deaf tokenizer":
            tokenizer = json.loads((folder / "tekken.json").read_text("utf-8"))
            del tokenizer["audio"]
            (folder / "tekken.json").write_text(json.dumps(tokenizer), "utf-8")
        case "no features":
            (folder / "preprocessor_config.json").unlink()
        case "other features":
            says(folder / "preprocessor_config.json", feature_size=80)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("another type", "config.json says model_type 'voxtral_realtime'; of transformers' models this container"),
        ("no config", "config.json is not what transformers writes"),
        ("another placeholder", "config.json says audio_token_id 25, and its prompts are written with 24"),
        ("half the weights", "the model cannot be loaded on cpu as float32"),
        ("no tokenizer", "tekken.json or preprocessor_config.json cannot be read"),
        ("a deaf tokenizer", "tekken.json or preprocessor_config.json cannot be read"),
        ("no features", "tekken.json or preprocessor_config.json cannot be read"),
        ("other features", "they belong to two models"),
    ],
)
def test_a_folder_that_is_no_whole_voxtral_is_refused_in_a_sentence(copied: Path, what: str, sentence: str) -> None:
    spoil(copied, what)

    with pytest.raises(ModelUnavailable) as refusal:
        catalogue.load(settings_of(copied), timeline=Timeline())
    assert sentence in refusal.value.message
    assert str(copied) not in refusal.value.message
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize("compute_type", ["float16", "int8"])
def test_a_type_that_it_is_not_computed_in_is_refused(voxtral_folder: Path, compute_type: str) -> None:
    settings = settings_of(voxtral_folder, COMPUTE_TYPE=compute_type)

    with pytest.raises(ModelUnavailable, match=f"COMPUTE_TYPE={compute_type}: .* one of default, float32, bfloat16"):
        catalogue.load(settings, timeline=Timeline())
