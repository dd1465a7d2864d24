"""The sound of one passage, which may still be coming."""

from __future__ import annotations

from collections import deque

import numpy as np

from transcriber.audio.waveform import Pcm, Samples, floats_of
from transcriber.vad.spans import Span
from transcriber.vad.windows import Passage


class Tape:
    """Spans and their samples, one behind the other; positions are samples of the tape, from its beginning.

    Whoever listens adds to its end and says when it is complete; whoever reads lets go of what has been read. Both are
    one thread.
    """

    def __init__(self) -> None:
        self._spans: deque[Span] = deque()
        self._blocks: deque[Pcm] = deque()
        self._length = 0
        self.is_complete = False

    def __len__(self) -> int:
        return self._length

    def add(self, span: Span, pcm: Pcm) -> None:
        """Put the next span of the passage at the end."""
        if len(span) != len(pcm):
            raise ValueError(f"a span of {len(span)} samples has as many, not {len(pcm)}")
        self._spans.append(span)
        self._blocks.append(pcm)
        self._length += len(span)

    def passage(self, stop: int) -> Passage:
        """Say where the first `stop` samples stand in the recording, or all of them where there are fewer."""
        spans = []
        left = stop
        for span in self._spans:
            if left <= 0:
                break
            spans.append(Span(span.start, min(span.stop, span.start + left)))
            left -= len(span)
        return Passage(spans=tuple(spans))

    def samples(self, start: int, stop: int) -> Samples:
        """Cut [start, stop) out of what is there, as floats in an array of their own."""
        if not 0 <= start < stop <= self._length:
            raise ValueError(f"[{start}, {stop}) is no stretch of {self._length} samples")
        pieces = []
        for block in self._blocks:
            if start < len(block) and stop > 0:
                pieces.append(block[max(0, start) : stop])
            start, stop = start - len(block), stop - len(block)
        return floats_of(np.concatenate(pieces))

    def forget(self, stop: int) -> None:
        """Let go of the first `stop` samples; the tape then begins behind them."""
        self._length -= stop
        while stop:
            span, block = self._spans.popleft(), self._blocks.popleft()
            if len(span) > stop:
                self._spans.appendleft(Span(span.start + stop, span.stop))
                self._blocks.appendleft(block[stop:])
            stop -= min(stop, len(span))
