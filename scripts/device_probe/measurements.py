"""What is worth knowing about a device before a scheduler is tuned for it, one function for each question."""

from __future__ import annotations

import functools
import itertools
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ctranslate2 import StorageView

from transcriber.engines import cuda

from .memory import Pool, cuda_version, meter_of
from .model import Model, Search, largest_difference, suppressed_tokens, timed, windows_per_s

Case = Mapping[str, int | str | bool]
"""What one point of a measurement is measured at."""

Point = dict[str, int | float | str | bool]
"""A case with its `value`, and what else came of it."""

BEAM = 5
HEAD_WIDTH = 64
LARGE_HEADS = 20
TOO_LARGE_BATCH = 96
"""Windows of a model with 20 heads whose attention, 20 x 1500 x 1500 numbers each, outgrows a 32-bit index."""

FEW_TOKENS_LENGTH = 8
SECONDS_PER_RATE = 1.0
"""For which new batches are begun, after one of each caller that is not counted."""


class NotApplicableError(Exception):
    """This device or this model has nothing to measure here; the message says why."""


@dataclass(slots=True, kw_only=True)
class Probe:
    """A device and a model, loaded the way that a measurement asks for.

    Attributes:
        compute_type: Unless a measurement asks for another.
    """

    folder: Path
    device: str
    compute_type: str
    _key: tuple[object, ...] = ()
    _loaded: Model | None = None
    _lent: ExitStack = field(default_factory=ExitStack)

    @property
    def on_cuda(self) -> bool:
        """Whether the device is a GPU."""
        return self.device == "cuda"

    def model(self, *, workers: int = 1, compute_type: str | None = None, biased: bool = False) -> Model:
        """Return the model, loaded anew when it was loaded another way; one is loaded at a time."""
        key = (workers, compute_type, biased)
        if self._loaded is None or key != self._key:
            self.close()
            if self.on_cuda:
                cuda.prepare((0,))
            folder = self._lent.enter_context(_biased(self.folder)) if biased else self.folder
            self._loaded = Model(
                folder, device=self.device, compute_type=compute_type or self.compute_type, workers=workers
            )
            self._key = key
        return self._loaded

    def close(self) -> None:
        """Unload the model."""
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None
        self._lent.close()


Measure = Callable[[Probe, Case], Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One question to a device.

    Attributes:
        name: In the record.
        unit: Of each point's `value`.
        question: In a sentence.
        measure: Answers it at one case.
        on_cuda: The cases on a GPU, those first that are missed most when time runs out.
        on_cpu: The cases on a CPU, which takes tens of times as long; empty when it does not apply there.
        weight: Its part of the time, against the others'.
        is_alone: Whether it wants a process for itself, in which nothing ran before.
        environment: Added to the process's.
    """

    name: str
    unit: str
    question: str
    measure: Measure
    on_cuda: Sequence[Case]
    on_cpu: Sequence[Case] = ()
    weight: float = 1.0
    is_alone: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    def cases(self, device: str) -> Sequence[Case]:
        """Return what is measured on a device."""
        return self.on_cuda if device == "cuda" else self.on_cpu


def driver(_probe: Probe, _case: Case) -> Point:
    """Ask nvidia-smi and the driver."""
    query = "--query-gpu=name,driver_version,memory.total,compute_cap"
    told = subprocess.run(
        ["nvidia-smi", query, "--format=csv,noheader,nounits"], capture_output=True, text=True, check=True, timeout=30
    )
    name, number, memory_mib, capability = (part.strip() for part in told.stdout.splitlines()[0].split(","))
    return {
        "value": cuda_version(),
        "driver": number,
        "gpu": name,
        "memory_mib": float(memory_mib),
        "compute_capability": capability,
    }


def first_tokens(probe: Probe, case: Case) -> Point:
    """Load the model, or write the first tokens of a window: the parts of a start, in their order."""
    began_s = time.perf_counter()
    model = probe.model()
    if case["stage"] != "load":
        model.search(model.windows(1), Search(beam=1, max_length=FEW_TOKENS_LENGTH))
    return {"value": time.perf_counter() - began_s}


def encode(probe: Probe, case: Case) -> Point:
    """Time the encoder alone."""
    model = probe.model()
    windows = model.windows(int(case["batch"]))
    timing = timed(lambda: model.encode(windows))
    return {"value": timing.median_s * 1000 / int(case["batch"]), "calls": timing.calls}


def encode_too_many(probe: Probe, _case: Case) -> Point:
    """Encode 96 windows in one call and in two."""
    model = probe.model()
    width = model.encode(model.windows(1)).shape[2]
    if width != LARGE_HEADS * HEAD_WIDTH:
        raise NotApplicableError(f"only models with {LARGE_HEADS} heads outgrow the index; this one has {width // 64}")
    noise = np.array(model.windows(TOO_LARGE_BATCH))
    outputs = [_encoded(model, part) for part in (noise, *np.split(noise, 2))]
    difference, differing = largest_difference(outputs[0], outputs[1:])
    return {"value": difference, "batch": TOO_LARGE_BATCH, "windows_that_differ": differing}


def decode(probe: Probe, case: Case, *, biased: bool = False) -> Point:
    """Time the search alone, over windows that are encoded already.

    The list of tokens that every call forbids is `suppressed`: `list` as the library has it, `none`; with `biased` it
    is in the model.
    """
    model = probe.model(biased=biased)
    batch, beam = int(case["batch"]), int(case["beam"])
    suppressed = model.suppressed if case.get("suppressed", "list") == "list" and not biased else ()
    search = Search(beam=beam, timestamps=bool(case.get("timestamps")), suppressed=suppressed)
    encoded = model.encode(model.windows(batch))
    steps: list[int] = []
    timing = timed(lambda: steps.append(model.search(encoded, search)))
    return {
        "value": timing.median_s * 1000 / steps[-1],
        "rows": batch * beam,
        "steps": steps[-1],
        "windows_per_s": batch / timing.median_s,
        "calls": timing.calls,
    }


def throughput(probe: Probe, case: Case, *, keeps_memory: bool = False) -> Point:
    """Keep the device busy with batches, encoded and searched."""
    model = probe.model(workers=int(case.get("workers", 1)))
    if keeps_memory:
        Pool().keep()
    search = Search(beam=int(case["beam"]), suppressed=model.suppressed)
    return {"value": windows_per_s(model, batch=int(case["batch"]), search=search, seconds=SECONDS_PER_RATE)}


def memory(probe: Probe, case: Case) -> Point:
    """Find what one window more in a batch takes: the slope between two batches."""
    model = probe.model()
    meter = meter_of(probe.device)
    small, large = (16, 32) if probe.on_cuda else (1, 3)
    peaks_mib = []
    for batch in (small, large):
        windows = model.windows(batch)
        meter.reset()
        if case["part"] == "encode":
            model.encode(windows)
        else:
            model.search(windows, Search(beam=int(case["beam"])))
        peaks_mib.append(meter.peak_mib())
    slope_mib = (peaks_mib[1] - peaks_mib[0]) / (large - small)
    return {"value": slope_mib, "small_batch": small, "large_batch": large, "peak_mib": peaks_mib[1]}


def compute_types(probe: Probe, case: Case) -> Point:
    """Time the encoder or the search with weights of another type."""
    model = probe.model(compute_type=str(case["compute_type"]))
    windows = model.windows(int(case["batch"]))
    if case["part"] == "encode":
        timing = timed(lambda: model.encode(windows))
    else:
        encoded = model.encode(windows)
        timing = timed(lambda: model.search(encoded, Search(beam=BEAM)))
    return {"value": timing.median_s * 1000 / int(case["batch"]), "calls": timing.calls}


def _biased(folder: Path) -> AbstractContextManager[Path]:
    try:
        from transcriber.engines.suppression import biased  # noqa: PLC0415 - see below
    except ImportError as error:
        raise NotApplicableError("this version of the container does not put the list into the model") from error
    return biased(folder, suppressed_tokens(folder))


def _encoded(model: Model, noise: np.ndarray) -> np.ndarray:
    return np.array(model.encode(StorageView.from_array(np.ascontiguousarray(noise)), to_cpu=True))


def _product(**choices: Sequence[int | str | bool]) -> list[Case]:
    """Return every combination, the last name's values changing fastest."""
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


RATES = _product(batch=(16, 48), beam=(BEAM,))

MEASUREMENTS = (
    Measurement(
        name="driver",
        unit="newest CUDA that it runs",
        question="Which driver and GPU are these?",
        measure=driver,
        on_cuda=[{}],
        weight=0.1,
    ),
    Measurement(
        name="first_tokens",
        unit="s",
        question="How long is it from nothing to the first tokens, where the driver may have to compile the kernels?",
        measure=first_tokens,
        on_cuda=_product(stage=("load", "first", "second")),
        on_cpu=_product(stage=("load", "first", "second")),
        weight=2,
        is_alone=True,
    ),
    Measurement(
        name="first_tokens_again",
        unit="s",
        question="And in the next process, which finds the kernels compiled?",
        measure=first_tokens,
        on_cuda=_product(stage=("load", "first", "second")),
        on_cpu=_product(stage=("load", "first", "second")),
        is_alone=True,
    ),
    Measurement(
        name="encode",
        unit="ms/window",
        question="What does the encoder take, by windows in a batch?",
        measure=encode,
        on_cuda=_product(batch=(1, 16, 64, 8, 32, 4, 2)),
        on_cpu=_product(batch=(1, 4, 2)),
        weight=1.5,
    ),
    Measurement(
        name="decode",
        unit="ms/step",
        question="What does a step of the search take, by rows (windows x beam), with and without a suppress list?",
        measure=decode,
        on_cuda=_product(batch=(16, 64, 1, 32), suppressed=("list", "none"), beam=(BEAM, 1)),
        on_cpu=_product(batch=(1, 4), suppressed=("list", "none"), beam=(BEAM, 1)),
        weight=4,
    ),
    Measurement(
        name="timestamps",
        unit="ms/step",
        question="And with timestamps?",
        measure=decode,
        on_cuda=_product(timestamps=(True,), batch=(16, 1, 64), beam=(BEAM, 1)),
        on_cpu=_product(timestamps=(True,), batch=(1, 4), beam=(BEAM, 1)),
        weight=3,
    ),
    Measurement(
        name="memory",
        unit="MiB/window",
        question="What memory does a window more in a batch take?",
        measure=memory,
        on_cuda=[{"part": "encode"}, {"part": "all", "beam": BEAM}, {"part": "all", "beam": 1}],
        on_cpu=[{"part": "encode"}, {"part": "all", "beam": BEAM}],
    ),
    Measurement(
        name="decode_biased",
        unit="ms/step",
        question="What does a step take with the suppress list as a bias inside the model?",
        measure=functools.partial(decode, biased=True),
        on_cuda=_product(batch=(16, 64), beam=(BEAM, 1)),
        on_cpu=_product(batch=(1,), beam=(BEAM,)),
        weight=1.5,
    ),
    Measurement(
        name="workers",
        unit="windows/s",
        question="How many windows are read, by calls at the same time?",
        measure=throughput,
        on_cuda=[
            *_product(workers=(1, 2, 4, 3), batch=(16, 48), beam=(BEAM,)),
            *_product(workers=(1, 2, 4, 3), batch=(16, 48), beam=(1,)),
        ],
        on_cpu=_product(workers=(1, 2), batch=(1, 4), beam=(BEAM,)),
        weight=8,
    ),
    Measurement(
        name="compute_types",
        unit="ms/window",
        question="What do 8-bit weights gain?",
        measure=compute_types,
        on_cuda=_product(compute_type=("float16", "int8_float16"), batch=(16, 1), part=("encode", "decode")),
        on_cpu=_product(compute_type=("int8", "float32"), batch=(1,), part=("encode", "decode")),
        weight=1.5,
    ),
    Measurement(
        name="encode_too_many",
        unit="largest difference",
        question="Is the encoder's output for 96 windows the same in one call as in two?",
        measure=encode_too_many,
        on_cuda=[{}],
        weight=0.5,
    ),
    Measurement(
        name="allocator_default",
        unit="windows/s",
        question="How many windows are read while freed memory goes back to the driver?",
        measure=throughput,
        on_cuda=RATES,
        is_alone=True,
    ),
    Measurement(
        name="allocator_keeps",
        unit="windows/s",
        question="And when the memory pool keeps it (release threshold)?",
        measure=functools.partial(throughput, keeps_memory=True),
        on_cuda=RATES,
        is_alone=True,
    ),
    Measurement(
        name="allocator_caching",
        unit="windows/s",
        question="And with CT2_CUDA_ALLOCATOR=cub_caching?",
        measure=throughput,
        on_cuda=RATES,
        is_alone=True,
        environment={"CT2_CUDA_ALLOCATOR": "cub_caching"},
    ),
)
