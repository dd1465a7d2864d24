"""A Voxtral on PyTorch, and the one file of the engine that knows PyTorch, transformers and mistral-common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mistral_common.exceptions import MistralCommonException
from safetensors import SafetensorError
from transformers import (
    StoppingCriteria,
    StoppingCriteriaList,
    VoxtralForConditionalGeneration,
    VoxtralProcessor,
    WhisperFeatureExtractor,
)
from transformers.tokenization_mistral_common import MistralCommonBackend
from transformers.utils import logging as transformers_logging

from transcriber.audio.waveform import RATE_HZ, Samples
from transcriber.engines import voxtral_rules
from transcriber.engines.voxtral_rules import Prompt, Shape
from transcriber.errors import ModelUnavailable

FLOAT_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Not float16: the model was trained in bfloat16, whose range is that of 32 bits."""

FAULTS = (RuntimeError, ValueError, OSError, KeyError, AssertionError, MemoryError, SafetensorError)
"""What the libraries raise over files that are not theirs, and over a device that is not there or full."""

TOKENIZER_FILE = "tekken.json"


class VoxtralPrompts:
    """Makes prompts and reads answers; threads may share it."""

    def __init__(self, folder: Path) -> None:
        """Load tokenizer and features' description.

        Raises:
            ModelUnavailable: They are missing or not such.
        """
        _quieten()
        try:
            self._tokenizer = MistralCommonBackend(tokenizer_path=str(folder / TOKENIZER_FILE))
            extractor = WhisperFeatureExtractor.from_pretrained(str(folder), local_files_only=True)
            self._processor = VoxtralProcessor(extractor, self._tokenizer)
            self.mels = self.prompt(np.zeros(RATE_HZ, np.float32), None).features.shape[1]
            """Rows of the features."""
        except (*FAULTS, MistralCommonException, TypeError) as error:
            raise ModelUnavailable(
                f"the model's {TOKENIZER_FILE} or preprocessor_config.json cannot be read, or is not Voxtral's: "
                f"{_told(error, folder)}"
            ) from error

    @property
    def tokens(self) -> int:
        """How many tokens there are, ids counted from 0."""
        return len(self._tokenizer)

    @property
    def audio_token(self) -> int:
        """The placeholder for sound."""
        return int(self._processor.audio_token_id)

    @property
    def end_token(self) -> int:
        """What ends a text."""
        return int(self._tokenizer.eos_token_id)

    @property
    def pad_token(self) -> int:
        """What fills up a row."""
        return int(self._tokenizer.pad_token_id)

    def prompt(self, samples: Samples, language: str | None) -> Prompt:
        """Ask for a transcript.

        Args:
            samples: Mono, 16 kHz, at least one, none beyond what a float can say.
            language: Code; None to let the model find out.
        """
        asked = self._processor.apply_transcription_request(
            audio=[samples],
            model_id=voxtral_rules.NAME,  # mistral-common wants a name and does nothing with it
            language=[language],
            sampling_rate=RATE_HZ,
            format=["wav"],
        )
        return Prompt(tokens=tuple(asked["input_ids"][0].tolist()), features=asked["input_features"].numpy())

    def text(self, tokens: Sequence[int]) -> str:
        """Turn what the model wrote into text."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))


class VoxtralNetwork:
    """The model on one device, for one thread at a time."""

    def __init__(self, folder: Path, *, device: str, float_type: str, end_token: int, pad_token: int) -> None:
        """Load the weights onto a device.

        Args:
            folder: Of transformers' files; nothing is looked for elsewhere.
            device: In PyTorch's words: cpu, or cuda:0.
            float_type: A key of `FLOAT_TYPES`.
            end_token: What ends a text.
            pad_token: What fills up a row.

        Raises:
            ModelUnavailable: The files are not such a model, or the device cannot hold it.
        """
        _quieten()
        self._device = torch.device(device)
        self._end_token, self._pad_token = end_token, pad_token
        try:
            model: Any = VoxtralForConditionalGeneration.from_pretrained(
                str(folder), dtype=FLOAT_TYPES[float_type], local_files_only=True, use_safetensors=True
            )
            self._model = model.to(self._device)  # transformers loads for inference, without dropout
        except FAULTS as error:
            raise ModelUnavailable(
                f"the model cannot be loaded on {device} as {float_type}: {_told(error, folder)}"
            ) from error

    @property
    def tokens(self) -> int:
        """How many tokens the model tells apart."""
        return int(self._model.config.text_config.vocab_size)

    @property
    def mels(self) -> int:
        """Rows of the features that the encoder takes."""
        return int(self._model.config.audio_config.num_mel_bins)

    @property
    def audio_token(self) -> int | None:
        """The placeholder for sound, as the model knows it."""
        token: int | None = self._model.config.audio_token_id
        return token

    @property
    def size_bytes(self) -> int:
        """What the weights take."""
        return sum(weights.numel() * weights.element_size() for weights in self._model.parameters())

    @property
    def shape(self) -> Shape:
        """What decides how much memory a window takes."""
        text, audio = self._model.config.text_config, self._model.config.audio_config
        return Shape(
            layers=text.num_hidden_layers,
            key_heads=text.num_key_value_heads,
            head_width=text.head_dim,
            vocabulary=text.vocab_size,
            encoder_heads=audio.num_attention_heads,
            encoder_width=audio.hidden_size,
            float_bytes=self._model.dtype.itemsize,
        )

    def free_bytes(self) -> int:
        """Return how much of a CUDA device's memory nobody has taken."""
        free, _total = torch.cuda.mem_get_info(self._device)
        return int(free)

    def write(
        self, prompts: Sequence[Prompt], *, most_tokens: Sequence[int], temperature: float
    ) -> list[tuple[int, ...]]:
        """Write a text for each prompt.

        Prompts of different lengths are filled up at their left, where the mask hides it, and each row ends by itself:
        no row changes another.

        Args:
            prompts: At least one.
            most_tokens: How many tokens each may have.
            temperature: 0 to take the likeliest token each time, else they are drawn.

        Returns:
            The tokens of each, without the end of text.

        Raises:
            DeviceFault: The device failed, or has not enough memory.
        """
        try:
            return self._write(prompts, most_tokens=most_tokens, temperature=temperature)
        except (RuntimeError, MemoryError) as error:
            fault = voxtral_rules.device_fault(error)
        # Out here the failure is forgotten, and with it the frames that hold the batch.
        if fault.out_of_memory and self._device.type == "cuda":
            torch.cuda.empty_cache()  # what is kept in pieces for this batch is in the way of a smaller one
        raise fault

    def _write(
        self, prompts: Sequence[Prompt], *, most_tokens: Sequence[int], temperature: float
    ) -> list[tuple[int, ...]]:
        width = max(len(prompt.tokens) for prompt in prompts)
        tokens = torch.full((len(prompts), width), self._pad_token)
        mask = torch.zeros_like(tokens)
        for row, prompt in enumerate(prompts):
            tokens[row, width - len(prompt.tokens) :] = torch.tensor(prompt.tokens)
            mask[row, width - len(prompt.tokens) :] = 1
        features = torch.from_numpy(np.concatenate([prompt.features for prompt in prompts]))
        with torch.inference_mode():
            said = self._model.generate(
                input_ids=tokens.to(self._device),
                attention_mask=mask.to(self._device),
                input_features=features.to(self._device, self._model.dtype),
                max_new_tokens=max(most_tokens),
                stopping_criteria=StoppingCriteriaList([_Full(width, most_tokens, self._device)]),
                eos_token_id=self._end_token,
                pad_token_id=self._pad_token,
                **({"do_sample": True, "temperature": temperature, "top_k": 0} if temperature > 0 else GREEDY),
            )
        return [
            _until(row[:most], self._end_token) for row, most in zip(said[:, width:].tolist(), most_tokens, strict=True)
        ]


GREEDY = {"do_sample": False, "num_beams": 1}


class _Full(StoppingCriteria):  # type: ignore[misc]  # transformers has no types where it is not installed
    """Ends each row when it has as many tokens as it may have."""

    def __init__(self, width: int, most_tokens: Sequence[int], device: torch.device) -> None:
        self._limits = width + torch.tensor(most_tokens, device=device)

    def __call__(self, input_ids: Any, scores: Any, **_others: Any) -> Any:  # noqa: ANN401, ARG002 - the library's
        return input_ids.shape[1] >= self._limits


def _until(row: Sequence[int], end: int) -> tuple[int, ...]:
    return tuple(row[: row.index(end)] if end in row else row)


def _quieten() -> None:
    """Let transformers' log go where ours goes, without bars drawn for a terminal."""
    transformers_logging.disable_progress_bar()
    transformers_logging.disable_default_handler()
    transformers_logging.enable_propagation()


def _told(error: Exception, folder: Path) -> str:
    """Take the first line of what a library says, without telling where the model lies."""
    said = str(error).replace(str(folder), "the model's folder")
    return next((line for line in said.splitlines() if line.strip()), type(error).__name__)


def has_cuda() -> bool:
    """Tell whether PyTorch sees a CUDA device."""
    return bool(torch.cuda.is_available())


def use_threads(threads: int) -> None:
    """Say how many CPU threads work on one call."""
    torch.set_num_threads(threads)
