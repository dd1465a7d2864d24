"""A Parakeet's two networks on ONNX Runtime, and the one file of the engine that knows ONNX Runtime."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from transcriber.engines.mel import Mel
from transcriber.engines.tdt import Floats, State
from transcriber.errors import DeviceFault, ModelUnavailable

QUIET = 3
"""ONNX Runtime's level of logging for errors alone."""

FAULTS: tuple[type[Exception], ...] = (
    *(kind for kind in vars(ort_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    RuntimeError,
    MemoryError,
)
"""What ONNX Runtime may raise; its own exceptions have no class in common but `Exception`."""

LOST = ("cuda failure", "cudnn failure", "cublas failure", "device reset", "illegal memory access")
"""Words of failures after which CUDA does not work again in this process; a lack of memory is none of them."""


class Value(Protocol):
    """An input of a network: axes that may have any length have a name, or None."""

    name: str
    shape: list[int | str | None]


class Session(Protocol):
    """As much of `onnxruntime.InferenceSession`, which has no types, as is used."""

    def get_inputs(self) -> list[Value]: ...  # noqa: D102

    def get_providers(self) -> list[str]: ...  # noqa: D102

    def run(self, output_names: list[str], input_feed: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]: ...  # noqa: D102


class ParakeetNetwork:
    """Both networks on one device; threads may share it."""

    def __init__(self, encoder: Path, decoder: Path, *, device: str, device_index: int, threads: int) -> None:
        """Load both networks.

        Args:
            encoder: Features in, encoder's output out.
            decoder: Prediction and joint network in one.
            device: `cpu` or `cuda`.
            device_index: Number of the CUDA device.
            threads: CPU threads that work on one call.

        Raises:
            ModelUnavailable: A file is not such a network, or the device cannot hold it.
        """
        if device == "cuda":
            onnxruntime.preload_dlls()  # CUDA's and cuDNN's libraries, from the packages that pip installed
        self._encoder = _session(encoder, device=device, device_index=device_index, threads=threads)
        self._decoder = _session(decoder, device=device, device_index=device_index, threads=threads)
        shapes = {value.name: value.shape for value in self._decoder.get_inputs()}
        match shapes.get("input_states_1"):
            case [int(layers), _windows, int(units)]:
                self._layers, self._units = layers, units
            case _:
                raise ModelUnavailable(f"{decoder.name} is not the prediction and joint network of a Parakeet")
        # On a CPU a window costs the same alone, and padding would cost on top.
        self._encodes_alone = device == "cpu" or _quantises_as_it_runs(encoder)
        self.decodes_alone = _quantises_as_it_runs(decoder)
        """Whether windows in company would change each other: one scale is found for the values of all of them."""

    @property
    def mels(self) -> int | None:
        """Rows of the features that the encoder wants; None when its file does not tell."""
        (signal,) = (value for value in self._encoder.get_inputs() if value.name == "audio_signal")
        return signal.shape[1] if isinstance(signal.shape[1], int) else None

    def outputs(self, mels: int) -> int:
        """Return how many logits a step gives, pieces and durations, for features of so many rows."""
        encoded, _lengths = self.encode([np.zeros((mels, 100), np.float32)])
        logits, _state = self.step(encoded[:, 0], np.zeros(1, np.int32), self.begin(1))
        return int(logits.shape[1])

    def encode(self, features: Sequence[Mel]) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Encode windows of any length.

        Args:
            features: Each of shape (mels, frames).

        Returns:
            The encoder's output, shape (windows, encoded frames, width), and how many of them belong to each window.

        Raises:
            DeviceFault: The device failed, or has not enough memory.
        """
        groups = [[row] for row in features] if self._encodes_alone else [list(features)]
        parts = [self._encoded(group) for group in groups]
        lengths = np.concatenate([lengths for _encoded, lengths in parts])
        frames, width = max(encoded.shape[1:] for encoded, _lengths in parts)
        whole = np.zeros((len(features), frames, width), np.float32)
        first = 0
        for encoded, _lengths in parts:
            whole[first : first + len(encoded), : encoded.shape[1]] = encoded
            first += len(encoded)
        return whole, lengths

    def _encoded(self, features: Sequence[Mel]) -> tuple[Floats, npt.NDArray[np.int64]]:
        lengths = np.array([row.shape[1] for row in features], np.int64)
        # A frame of nothing at the end, as NeMo's features have it: in 8 bits it counts for the scale.
        signal = np.zeros((len(features), len(features[0]), lengths.max() + 1), np.float32)
        for padded, row in zip(signal, features, strict=True):
            padded[:, : row.shape[1]] = row
        with faults_named():
            encoded, encoded_lengths = self._encoder.run(
                ["outputs", "encoded_lengths"], {"audio_signal": signal, "length": lengths}
            )
        return encoded.transpose(0, 2, 1), encoded_lengths

    def begin(self, windows: int) -> State:
        """Return the state in which so many windows begin."""
        shape = (self._layers, windows, self._units)
        return np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def step(self, encoded: Floats, last: npt.NDArray[np.int32], state: State) -> tuple[Floats, State]:
        """Tell what follows; see `tdt.Steps`.

        Raises:
            DeviceFault: The device failed, or has not enough memory.
        """
        with faults_named():
            logits, *following = self._decoder.run(
                ["outputs", "output_states_1", "output_states_2"],
                {
                    "encoder_outputs": encoded[:, :, None],
                    "targets": last[:, None],
                    "target_length": np.ones(len(last), np.int32),
                    "input_states_1": np.ascontiguousarray(state[0]),
                    "input_states_2": np.ascontiguousarray(state[1]),
                },
            )
        return logits[:, 0, 0], (following[0], following[1])


def has_cuda() -> bool:
    """Say whether this build of ONNX Runtime can use CUDA."""
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _session(path: Path, *, device: str, device_index: int, threads: int) -> Session:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    # Windows have any length: a plan of the memory for each length would be kept for ever.
    options.enable_mem_pattern = False
    # A thread that waits must not take a core from those that decode and find speech.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    cuda = [("CUDAExecutionProvider", {"device_id": str(device_index)})] if device == "cuda" else []
    try:
        session: Session = onnxruntime.InferenceSession(path, options, providers=[*cuda, "CPUExecutionProvider"])
    except FAULTS as error:
        raise ModelUnavailable(f"{path.name} cannot be loaded on {device}: {error}") from error
    if cuda and "CUDAExecutionProvider" not in session.get_providers():
        raise ModelUnavailable(
            f"ONNX Runtime cannot use CUDA device {device_index}: its libraries for CUDA 12 and cuDNN 9 are missing or "
            "do not fit the driver; build the image from Dockerfile.gpu, or set DEVICE to cpu"
        )
    return session


def _quantises_as_it_runs(path: Path) -> bool:
    """Say whether a network's file holds an operator that finds one scale for all values it is given."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"DynamicQuantize") >= 0


@contextmanager
def faults_named() -> Iterator[None]:
    """Turn what ONNX Runtime raises within the block into `DeviceFault`."""
    try:
        yield
    except FAULTS as error:
        said = str(error).lower()
        if isinstance(error, MemoryError) or "out of memory" in said or "failed to allocate" in said:
            raise DeviceFault("the device has not enough memory for this batch", out_of_memory=True) from error
        raise DeviceFault(f"the device failed: {error}", fatal=any(word in said for word in LOST)) from error
