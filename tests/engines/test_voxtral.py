"""The engine without PyTorch: who is asked what, and where the answers go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from transcriber.audio.waveform import RATE_HZ, Samples
from transcriber.engines.base import Window
from transcriber.engines.voxtral import VoxtralEngine
from transcriber.engines.voxtral_rules import LONGEST_WINDOW_S, Prompt, most_tokens
from transcriber.errors import DeviceFault
from transcriber.options import DecodingOptions
from transcriber.transcript import Hypothesis


class FakePrompts:
    """A window's prompt is its length in samples, and its language's first letter."""

    def prompt(self, samples: Samples, language: str | None) -> Prompt:
        return Prompt(tokens=(len(samples), ord((language or "?")[0])), features=np.zeros((1, 128, 3000), np.float32))

    def text(self, tokens: Sequence[int]) -> str:
        return " ".join(map(str, tokens))


@dataclass
class FakeNetwork:
    """Writes its prompts down again."""

    holds: int = 99
    fault: DeviceFault = field(default_factory=lambda: DeviceFault("full", out_of_memory=True))
    calls: list[tuple[int, tuple[int, ...], float]] = field(default_factory=list)

    def write(
        self, prompts: Sequence[Prompt], *, most_tokens: Sequence[int], temperature: float
    ) -> list[tuple[int, ...]]:
        self.calls.append((len(prompts), tuple(most_tokens), temperature))
        if len(prompts) > self.holds:
            raise self.fault
        return [prompt.tokens for prompt in prompts]


def engine_of(*networks: FakeNetwork, largest_batch: int = 8, must_fit: bool = False) -> VoxtralEngine:
    return VoxtralEngine(FakePrompts(), networks, largest_batch=largest_batch, must_fit=must_fit)


def window(length_s: float, *, language: str | None = None, loudness: float = 0.5, start_s: float = 0.0) -> Window:
    samples = np.random.default_rng(0).uniform(-loudness, loudness, round(length_s * RATE_HZ)).astype(np.float32)
    return Window(samples=samples, start_sample=round(start_s * RATE_HZ), language=language, decoding=DecodingOptions())


def texts(outcomes: Sequence[object]) -> list[str]:
    assert all(isinstance(outcome, Hypothesis) for outcome in outcomes)
    return ["".join(segment.text for segment in outcome.segments) for outcome in outcomes]  # type: ignore[attr-defined]


def test_texts_go_to_their_windows_past_silent_ones() -> None:
    network = FakeNetwork()
    engine = engine_of(network)
    works = [
        engine.prepare(each)
        for each in (window(1, loudness=0), window(2, language="en"), window(3, loudness=0), window(4, language="fr"))
    ]
    outcomes = engine.transcribe(works)

    assert texts(outcomes) == ["", f" {2 * RATE_HZ} {ord('e')}", "", f" {4 * RATE_HZ} {ord('f')}"]
    assert network.calls == [(2, (most_tokens(2), most_tokens(4)), 0.0)]


def test_silence_is_not_shown_to_the_model() -> None:
    network = FakeNetwork()
    engine = engine_of(network)

    assert texts(engine.transcribe([engine.prepare(window(1, loudness=0))])) == [""]
    assert network.calls == []


def test_a_window_is_read_from_where_it_begins() -> None:
    engine = engine_of(FakeNetwork())
    (outcome,) = engine.transcribe([engine.prepare(window(5, start_s=2))])

    assert texts([outcome]) == [f" {3 * RATE_HZ} {ord('?')}"]
    assert isinstance(outcome, Hypothesis)
    assert outcome.consumed_s == 3


def test_a_full_window_is_settled_as_far_as_it_was_read() -> None:
    full = window(LONGEST_WINDOW_S)
    full.samples[round(27 * RATE_HZ) : round(27.4 * RATE_HZ)] = 0
    engine = engine_of(FakeNetwork())
    (outcome,) = engine.transcribe([engine.prepare(full)])

    assert isinstance(outcome, Hypothesis)
    assert outcome.consumed_s == outcome.segments[0].end_s == pytest.approx(27.2, abs=0.2)


def test_windows_of_one_temperature_share_a_batch() -> None:
    engine = engine_of(FakeNetwork())
    warm = replace(window(1), decoding=DecodingOptions(temperatures=(0.4,)))
    keys = [engine.batch_key(engine.prepare(each)) for each in (window(1), window(9, language="de"), warm)]

    assert keys[0] == keys[1] != keys[2]


def test_text_is_drawn_at_the_temperature_that_was_asked_for() -> None:
    network = FakeNetwork()
    engine = engine_of(network)
    (outcome,) = engine.transcribe(
        [engine.prepare(replace(window(1), decoding=DecodingOptions(temperatures=(0.4, 0.8))))]
    )

    assert [temperature for _windows, _most, temperature in network.calls] == [0.4]
    assert isinstance(outcome, Hypothesis)
    assert outcome.segments[0].temperature == 0.4


def test_devices_take_turns() -> None:
    networks = FakeNetwork(), FakeNetwork()
    engine = engine_of(*networks)
    for _batch in range(4):
        engine.transcribe([engine.prepare(window(1))])

    assert engine.capabilities.replicas == 2
    assert [len(network.calls) for network in networks] == [2, 2]


def test_a_device_that_failed_is_used_again() -> None:
    engine = engine_of(FakeNetwork(holds=1))
    work = engine.prepare(window(1))
    with pytest.raises(DeviceFault):
        engine.transcribe([work, work])

    assert len(engine.transcribe([work])) == 1


def test_the_warm_up_halves_the_batch_until_it_fits_every_device() -> None:
    networks = FakeNetwork(holds=9), FakeNetwork(holds=5)
    engine = engine_of(*networks, largest_batch=16, must_fit=True)
    engine.warm_up()

    assert engine.capabilities.largest_batch == 4
    assert [max(windows for windows, *_rest in network.calls) for network in networks] == [16, 8]


@pytest.mark.parametrize(
    ("holds", "fault"),
    [(0, DeviceFault("full", out_of_memory=True)), (2, DeviceFault("broken", fatal=True))],
    ids=["not even one window fits", "the device is broken"],
)
def test_the_warm_up_fails_where_halving_is_no_help(holds: int, fault: DeviceFault) -> None:
    engine = engine_of(FakeNetwork(holds=holds, fault=fault), must_fit=True)

    with pytest.raises(DeviceFault) as failure:
        engine.warm_up()
    assert failure.value is fault
