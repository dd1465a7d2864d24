from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor
from hypothesis import given, settings
from hypothesis import strategies as st

from transcriber.engines.mel import BLOCK_FRAMES, HOP_SAMPLES, MelSpectrogram, cut


@pytest.mark.parametrize("mels", [80, 128])
@settings(deadline=None, max_examples=25)
@given(
    length=st.one_of(
        st.integers(201, 40_000),
        st.integers(BLOCK_FRAMES * HOP_SAMPLES - 400, BLOCK_FRAMES * HOP_SAMPLES + 400),
    ),
    loudness=st.sampled_from([0.0, 1e-4, 0.1, 1.0]),
)
def test_features_are_the_reference_bit_for_bit(mels: int, length: int, loudness: float) -> None:
    samples = (np.random.default_rng(length).standard_normal(length) * loudness).astype(np.float32)
    reference = FeatureExtractor(feature_size=mels)

    features = MelSpectrogram(reference.mel_filters)(samples)

    assert np.array_equal(features, reference(samples))


@pytest.mark.parametrize("length", [1, 40, 160, 200])
def test_the_shortest_sounds_have_features(length: int) -> None:
    """The reference reflects more than such a sound holds; numpy's padding repeats the reflection."""
    samples = np.full(length, 0.5, np.float32)
    reference = FeatureExtractor(feature_size=80)

    assert np.array_equal(MelSpectrogram(reference.mel_filters)(samples), reference(samples))


def test_a_window_is_filled_with_zeros_behind_the_sound() -> None:
    mel = np.ones((80, 101), np.float32)

    window, n_frames = cut(mel, 40)

    assert n_frames == 60
    assert window.shape == (80, 3000)
    assert window[:, :60].all()
    assert not window[:, 60:].any()


def test_a_window_is_never_longer_than_the_model_takes() -> None:
    window, n_frames = cut(np.ones((80, 9000), np.float32), 10)

    assert (n_frames, window.shape) == (3000, (80, 3000))
