"""How a device is shared out: batches at the same time, threads for each, windows in each."""

from __future__ import annotations

from dataclasses import dataclass

from transcriber.engines.model_file import Shape

SMALL_MODEL_BYTES = 100 * 1024 * 1024
"""Below this a CPU serves more with one thread for each batch and one batch for each core: the demo model does 32
windows a second so, against 3.8 with two threads in one batch. tiny and base are of this size in int8."""

CPU_BATCH_WINDOWS = 8
"""On a CPU the encoder takes windows one by one, and the decoder gains little above this."""

SMALL_BATCH_WINDOWS = 2
"""A small model gains nothing by reading its weights once for many windows, whose beams fill the caches instead. Twenty
callers of the demo model on two cores, in turns: 14.8 requests/s in batches of 1, 15.5 of 2, 15.0 of 4, 12.8 of 8. The
decoder alone, windows a second in batches of 2, 4 and 8: the shape of tiny 2.7, 2.6 and 2.4, of base 1.07 to 1.11 of
each, of small, which is not small any more, 0.24, 0.30 and 0.35. All of this with MKL."""

CACHED_SCORES_BYTES = 1024 * 1024
"""With MKL, how much of a core's cache, 2 MiB on servers of today, the scores of all tokens may take, which every step
goes over several times. Twenty callers of the shape of tiny, with OpenAI's vocabulary, whose scores take 1 MB for each
window: 2.79 and 2.75 requests/s in batches of 1, 2.58 and 2.58 of 2. Of base, six callers: 1.19 and 1.21."""

ONEDNN_BATCH_WINDOWS = 4
"""With oneDNN what a small model gains by larger batches, up to this: docs/decisions/0013 has the figures."""

CACHED_MODEL_BYTES = 16 * 1024 * 1024
"""Below this there is nothing to gain with oneDNN, since the weights stay in a core's caches: the demo model has 6 MB,
tiny in int8, the smallest of OpenAI's, 40."""

WIDE_THREADS = 4
"""For a batch of a small model that has the cores to itself: as many as faster-whisper takes unless it is told."""

SCORE_BYTES = 4
BEAM = 5
"""What callers search with unless they say otherwise."""

ENCODED_FRAMES = 1500
"""The encoder's output of a window: one frame for 20 ms."""

TEXT_TOKENS = 224
"""The most that a window's text has: half of the model's 448."""

WIDEST_BEAM = 10
"""The most beams that a caller may ask for (`DecodingOptions.beam_size`). A batch that surely fits is worth more than
one that is a third larger: on an L4 large-v3 takes two batches of 14 windows instead of 20, and 4 % more time."""

KNEE_WINDOWS = 48
"""Above this a batch gains little: each step of the decoder then takes as long as its arithmetic, not its launches."""

FEW_WINDOWS = 8
"""Workers with less room than this would rather be one: each of their steps reads all of the decoder's weights."""

MOST_WORKERS = 4

RESERVE_BYTES = 10**9
"""Left to cuBLAS, the streams and the driver."""

MARGIN = 1.15
"""What an allocator loses between blocks."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many batches a device works on at the same time, and how many CPU threads each has."""

    workers: int
    threads: int


def on_cpu(*, cores: int, model_bytes: int, workers: int = 0, threads: int = 0) -> Share:
    """Share out a CPU.

    A model so large that one window takes seconds gets all cores for one batch, so that a lone caller does not wait
    several times as long.

    Args:
        cores: That this process may use.
        model_bytes: Size of the model's file.
        workers: What the operator wants; 0 for what the model's size suggests.
        threads: What the operator wants; 0 for an equal part of the cores.
    """
    workers = workers or (cores if model_bytes < SMALL_MODEL_BYTES else 1)
    return Share(workers, threads or max(1, cores // workers))


def wide_on_cpu(share: Share, *, cores: int, model_bytes: int, threads: int = 0) -> Share | None:
    """Share out a CPU among the few batches of a small model that come while the other cores are idle.

    Args:
        share: What `on_cpu` says of many.
        cores: That this process may use.
        model_bytes: Size of the model's file, which would be in memory twice.
        threads: What the operator wants; 0 for no wish.

    Returns:
        None where a batch has as many threads anyway, the operator has said how many, or the model is not small.

    Example:
        >>> wide_on_cpu(Share(8, 1), cores=8, model_bytes=40_000_000)
        Share(workers=2, threads=4)
    """
    wide = min(WIDE_THREADS, cores)
    if threads or share.threads >= wide or model_bytes >= SMALL_MODEL_BYTES:
        return None
    return Share(cores // wide, wide)


def windows_on_cpu(model_bytes: int) -> int:
    """Return how many windows a CPU takes in one batch.

    Args:
        model_bytes: Size of the weights.
    """
    return CPU_BATCH_WINDOWS if model_bytes >= SMALL_MODEL_BYTES else SMALL_BATCH_WINDOWS


def windows_of_ctranslate2_on_cpu(model_bytes: int, *, vocabulary: int, has_mkl: bool) -> int:
    """Return how many windows CTranslate2 takes in one batch on a CPU.

    Args:
        model_bytes: Size of the weights.
        vocabulary: Tokens that each step of a beam search scores.
        has_mkl: Whether it multiplies matrices by Intel's MKL; otherwise it is by oneDNN.
    """
    if model_bytes >= SMALL_MODEL_BYTES:
        return CPU_BATCH_WINDOWS
    if has_mkl:
        return max(1, min(CACHED_SCORES_BYTES // (BEAM * max(1, vocabulary) * SCORE_BYTES), SMALL_BATCH_WINDOWS))
    return ONEDNN_BATCH_WINDOWS if model_bytes >= CACHED_MODEL_BYTES else 1


def item_bytes(shape: Shape, *, float_bytes: int) -> int:
    """Return what one window takes of the device at its peak.

    The encoder's attention scores and hidden states are freed before the decoder's keys and values are taken. Of these,
    those for the encoder's output exist once for a window, those for the text once for each beam.

    Args:
        shape: Of the model.
        float_bytes: Bytes of a value that the device computes with.

    Example:
        >>> large = Shape(heads=20, width=1280, feed_forward=5120, decoder_layers=32, vocabulary=51866, float_bytes=2)
        >>> item_bytes(large, float_bytes=2) // 10**6
        612
    """
    scores = shape.heads * ENCODED_FRAMES**2
    hidden = ENCODED_FRAMES * (shape.feed_forward + 8 * shape.width)
    keys_and_values = 2 * shape.decoder_layers * shape.width
    decoder = keys_and_values * (ENCODED_FRAMES + WIDEST_BEAM * TEXT_TOKENS)
    return float_bytes * max(scores + hidden, decoder)


def largest_by_index(shape: Shape) -> int:
    """Return how many windows CTranslate2's encoder takes before the softmax of its attention overflows its index.

    Its CUDA kernel counts the scores in 32 bits and says nothing when they are more: 95 windows of 20 heads
    (large-v3, turbo), 119 of 16 (medium), 159 of 12 (small).
    """
    return (2**32 - 1) // (shape.heads * ENCODED_FRAMES**2)


def workers_on_cuda(shape: Shape, *, room_bytes: int, float_bytes: int) -> int:
    """Return how many batches a device works on at the same time.

    Two, so that one encodes while the other decodes: decoding waits for launches, encoding for arithmetic. More where
    each has room for a full batch, because the rules for timestamps run on the host and take a worker's thread there.
    One where two would hold next to nothing.

    Args:
        shape: Of the model.
        room_bytes: What the device has beside the weights.
        float_bytes: Bytes of a value that the device computes with.
    """
    windows = _windows(room_bytes, item_bytes(shape, float_bytes=float_bytes))
    least = 2 if windows >= 2 * FEW_WINDOWS else 1
    return min(MOST_WORKERS, max(least, windows // KNEE_WINDOWS))


def windows_on_cuda(shape: Shape, *, room_bytes: int, float_bytes: int, workers: int) -> int:
    """Return how many windows one batch holds at most, at least 1.

    Args:
        shape: Of the model.
        room_bytes: What is free once the weights are there.
        float_bytes: Bytes of a value that the device computes with.
        workers: Batches that may be there at the same time.
    """
    fitting = _windows(room_bytes, item_bytes(shape, float_bytes=float_bytes)) // workers
    return max(1, min(KNEE_WINDOWS, fitting, largest_by_index(shape)))


def float_bytes_of(compute_type: str, shape: Shape) -> int:
    """Return the bytes of a value that CTranslate2 computes with in a type of its own naming.

    Example:
        >>> large = Shape(heads=20, width=1280, feed_forward=5120, decoder_layers=32, vocabulary=51866, float_bytes=2)
        >>> [float_bytes_of(name, large) for name in ("default", "int8_float16", "float32", "int8")]
        [2, 2, 4, 4]
    """
    if compute_type == "default":
        return shape.float_bytes
    return 2 if compute_type == "auto" or compute_type.endswith("float16") else 4


def _windows(room_bytes: int, item: int) -> int:
    return int(max(0, room_bytes - RESERVE_BYTES) / item / MARGIN)
