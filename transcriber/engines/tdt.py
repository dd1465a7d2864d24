"""Greedy decoding of a token-and-duration transducer (TDT), many windows at a time.

In each step every window that is not read yet asks the network for one token, at the frame it has come to, and for how
many frames to go on. Windows stand at different frames and need different numbers of steps; those that are read leave
the batch. What a window is told does not hang on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

State = tuple[Floats, Floats]
"""The two halves of an LSTM's state, each of shape (layers, windows, units)."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text.

    Attributes:
        id: Its place in the vocabulary.
        frame: The encoder's frame in which it was heard.
        frames: How many frames the network went on behind it; 0 when another token was heard in the same one.
        logprob: Its logarithmic probability.
    """

    id: int
    frame: int
    frames: int
    logprob: float


class Steps(Protocol):
    """The prediction and joint network."""

    def begin(self, windows: int) -> State:
        """Return the state in which so many windows begin."""
        ...

    def step(self, encoded: Floats, last: npt.NDArray[np.int32], state: State) -> tuple[Floats, State]:
        """Tell what follows.

        Args:
            encoded: The encoder's output at each window's frame, shape (windows, width).
            last: Each window's last token; the blank before the first, shape (windows,).
            state: As `last` left it.

        Returns:
            Logits of the pieces, the blank among them, then of the durations, shape (windows, pieces + durations); and
            the state behind `last`.
        """
        ...


def decode(
    network: Steps,
    encoded: Floats,
    lengths: npt.NDArray[np.int64],
    *,
    pieces: int,
    blank: int,
    most_tokens_per_frame: int,
) -> list[list[Token]]:
    """Read windows side by side.

    Args:
        network: Asked once for each step, for all windows that are not read yet.
        encoded: Shape (windows, frames, width).
        lengths: How many frames of each window are sound, shape (windows,).
        pieces: Size of the vocabulary, the blank counted.
        blank: The token that says nothing.
        most_tokens_per_frame: So many tokens without a step, and the window is moved on by a frame.

    Returns:
        The tokens of each window, blanks left out, in the order of the windows.

    Source: `_AsrWithTransducerDecoding._decoding` of onnx-asr 0.12, token by token the same, which reads one window
    after the other.
    """
    texts: list[list[Token]] = [[] for _ in lengths]
    rows = np.flatnonzero(lengths > 0)
    frames = np.zeros(len(rows), np.int64)
    here = np.zeros(len(rows), np.int64)
    last = np.full(len(rows), blank, np.int32)
    state = network.begin(len(rows))
    while len(rows):
        logits, following = network.step(encoded[rows, frames], last, state)
        tokens = logits[:, :pieces].argmax(axis=1).astype(np.int32)
        durations = logits[:, pieces:].argmax(axis=1)
        is_said = tokens != blank
        said = np.flatnonzero(is_said)
        _write(texts, rows, frames, tokens, durations, logits[:, :pieces], said)
        state = _taken(state, following, said)
        last = np.where(is_said, tokens, last)
        here += is_said
        is_stuck = (durations == 0) & (~is_said | (here == most_tokens_per_frame))
        steps = durations + is_stuck
        frames += steps
        here[steps > 0] = 0
        going = np.flatnonzero(frames < lengths[rows])
        if len(going) < len(rows):
            rows, frames, here, last = rows[going], frames[going], here[going], last[going]
            state = (state[0][:, going], state[1][:, going])
    return texts


def _write(
    texts: Sequence[list[Token]],
    rows: npt.NDArray[np.intp],
    frames: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.int32],
    durations: npt.NDArray[np.intp],
    logits: Floats,
    said: npt.NDArray[np.intp],
) -> None:
    """Add the tokens that were said to the texts of their windows."""
    if not len(said):
        return
    voiced = logits[said]
    # The token is the largest: its logarithmic probability is minus the logarithm of all of them relative to it.
    logprobs = -np.log(np.exp(voiced - voiced.max(axis=1, keepdims=True)).sum(axis=1))
    for i, logprob in zip(said.tolist(), logprobs.tolist(), strict=True):
        texts[rows[i]].append(Token(int(tokens[i]), int(frames[i]), int(durations[i]), logprob))


def _taken(before: State, following: State, said: npt.NDArray[np.intp]) -> State:
    """Return the next state: where nothing was said, the one before holds on."""
    if len(said) == before[0].shape[1]:
        return following
    for old, new in zip(before, following, strict=True):
        old[:, said] = new[:, said]
    return before
