from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.engines.model_file import Shape
from transcriber.engines.shares import (
    CACHED_MODEL_BYTES,
    CPU_BATCH_WINDOWS,
    KNEE_WINDOWS,
    MOST_WORKERS,
    ONEDNN_BATCH_WINDOWS,
    SMALL_BATCH_WINDOWS,
    SMALL_MODEL_BYTES,
    Share,
    item_bytes,
    largest_by_index,
    on_cpu,
    wide_on_cpu,
    windows_of_ctranslate2_on_cpu,
    windows_on_cpu,
    windows_on_cuda,
    workers_on_cuda,
)

GB = 10**9
LARGE = Shape(heads=20, width=1280, feed_forward=5120, decoder_layers=32, vocabulary=51866, float_bytes=2)
TURBO = Shape(heads=20, width=1280, feed_forward=5120, decoder_layers=4, vocabulary=51866, float_bytes=2)
TINY = Shape(heads=6, width=384, feed_forward=1536, decoder_layers=4, vocabulary=51865, float_bytes=2)

shapes = st.builds(
    Shape,
    heads=st.integers(1, 32),
    width=st.sampled_from([64, 384, 1280]),
    feed_forward=st.sampled_from([256, 5120]),
    decoder_layers=st.integers(1, 32),
    vocabulary=st.just(51866),
    float_bytes=st.sampled_from([2, 4]),
)


@pytest.mark.parametrize(("heads", "expected"), [(20, 95), (16, 119), (12, 159), (6, 318)])
def test_the_index_of_the_softmax_never_overflows(heads: int, expected: int) -> None:
    shape = Shape(heads=heads, width=64, feed_forward=64, decoder_layers=1, vocabulary=9, float_bytes=2)

    assert largest_by_index(shape) == expected
    assert expected * heads * 1500 * 1500 < 2**32 <= (expected + 1) * heads * 1500 * 1500


@pytest.mark.parametrize(
    ("shape", "card_gb", "weights_gb", "workers", "windows"),
    [
        (LARGE, 15.6, 3.1, 2, 8),  # T4
        (LARGE, 24.0, 3.1, 2, 14),  # L4, A10G
        (LARGE, 48.0, 3.1, 2, 31),  # L40S
        (LARGE, 141.0, 3.1, 4, 48),  # H200
        (TURBO, 24.0, 1.6, 2, 48),
        (TURBO, 80.0, 1.6, 4, 48),
        (LARGE, 8.0, 3.1, 1, 5),
        (TINY, 4.0, 0.1, 2, 30),
    ],
)
def test_a_card_is_shared_out_by_its_memory(
    shape: Shape, card_gb: float, weights_gb: float, workers: int, windows: int
) -> None:
    room = int((card_gb - weights_gb) * GB)
    actual = workers_on_cuda(shape, room_bytes=room, float_bytes=2)

    assert actual == workers
    assert windows_on_cuda(shape, room_bytes=room, float_bytes=2, workers=actual) == windows


@given(shapes, st.integers(0, 200 * GB), st.sampled_from([2, 4]))
def test_what_is_shared_out_fits_and_is_never_nothing(shape: Shape, room: int, float_bytes: int) -> None:
    workers = workers_on_cuda(shape, room_bytes=room, float_bytes=float_bytes)
    windows = windows_on_cuda(shape, room_bytes=room, float_bytes=float_bytes, workers=workers)

    assert 1 <= workers <= MOST_WORKERS
    assert 1 <= windows <= min(KNEE_WINDOWS, largest_by_index(shape))
    assert windows == 1 or workers * windows * item_bytes(shape, float_bytes=float_bytes) <= room


def test_a_window_of_the_encoders_own_size_decides_for_turbo_and_the_decoders_for_large() -> None:
    assert 120 <= item_bytes(TURBO, float_bytes=2) / 10**6 <= 140
    assert 600 <= item_bytes(LARGE, float_bytes=2) / 10**6 <= 620
    assert item_bytes(LARGE, float_bytes=4) == 2 * item_bytes(LARGE, float_bytes=2)


@pytest.mark.parametrize(
    ("model_bytes", "chosen", "expected"),
    [
        (SMALL_MODEL_BYTES - 1, {}, Share(8, 1)),
        (SMALL_MODEL_BYTES, {}, Share(1, 8)),
        (SMALL_MODEL_BYTES, {"workers": 3}, Share(3, 2)),
        (1, {"workers": 16}, Share(16, 1)),
        (1, {"threads": 4}, Share(8, 4)),
    ],
)
def test_a_cpu_is_shared_out_by_the_models_size(model_bytes: int, chosen: dict[str, int], expected: Share) -> None:
    assert on_cpu(cores=8, model_bytes=model_bytes, **chosen) == expected


@pytest.mark.parametrize(
    ("cores", "model_bytes", "chosen", "expected"),
    [
        (1, 1, {}, None),
        (2, 1, {}, Share(1, 2)),
        (3, 1, {}, Share(1, 3)),
        (8, 1, {}, Share(2, 4)),
        (9, 1, {"workers": 3}, Share(2, 4)),
        (8, SMALL_MODEL_BYTES, {}, None),
        (8, SMALL_MODEL_BYTES, {"workers": 8}, None),
        (8, 1, {"workers": 2}, None),
        (8, 1, {"threads": 1}, None),
    ],
)
def test_a_batch_of_a_small_model_that_is_alone_gets_more_threads(
    cores: int, model_bytes: int, chosen: dict[str, int], expected: Share | None
) -> None:
    share = on_cpu(cores=cores, model_bytes=model_bytes, **chosen)

    wide = wide_on_cpu(share, cores=cores, model_bytes=model_bytes, threads=chosen.get("threads", 0))

    assert wide == expected


@pytest.mark.parametrize(
    ("model_bytes", "expected"), [(SMALL_MODEL_BYTES - 1, SMALL_BATCH_WINDOWS), (SMALL_MODEL_BYTES, CPU_BATCH_WINDOWS)]
)
def test_a_model_that_stays_in_the_caches_gets_small_batches(model_bytes: int, expected: int) -> None:
    assert windows_on_cpu(model_bytes) == expected


@pytest.mark.parametrize(
    ("model_bytes", "vocabulary", "with_mkl", "with_onednn"),
    [
        (1, 3638, SMALL_BATCH_WINDOWS, 1),
        (1, 51_865, 1, 1),
        (CACHED_MODEL_BYTES - 1, 3638, SMALL_BATCH_WINDOWS, 1),
        (CACHED_MODEL_BYTES, 3638, SMALL_BATCH_WINDOWS, ONEDNN_BATCH_WINDOWS),
        (CACHED_MODEL_BYTES, 51_865, 1, ONEDNN_BATCH_WINDOWS),
        (SMALL_MODEL_BYTES - 1, 1_000_000, 1, ONEDNN_BATCH_WINDOWS),
        (SMALL_MODEL_BYTES, 3638, CPU_BATCH_WINDOWS, CPU_BATCH_WINDOWS),
        (SMALL_MODEL_BYTES, 51_865, CPU_BATCH_WINDOWS, CPU_BATCH_WINDOWS),
    ],
)
def test_ctranslate2_gets_batches_that_suit_its_products_of_matrices(
    model_bytes: int, vocabulary: int, with_mkl: int, with_onednn: int
) -> None:
    of = partial(windows_of_ctranslate2_on_cpu, model_bytes, vocabulary=vocabulary)

    assert (of(has_mkl=True), of(has_mkl=False)) == (with_mkl, with_onednn)
