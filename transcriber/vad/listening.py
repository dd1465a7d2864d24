"""Blocks of sound -> tapes to read, while the blocks come.

Each step of a listener's generators takes one block's work and returns what that block has settled, which is often
nothing: so whoever pulls may do something else between two blocks, and no block is decoded before it is asked for.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from transcriber.audio.waveform import RATE_HZ, Pcm
from transcriber.vad.spans import Part, Span, SpanFinder
from transcriber.vad.speech import SpeechDetector
from transcriber.vad.tail import Tail
from transcriber.vad.tape import Tape
from transcriber.vad.windows import Packer

Steps = Iterator[Sequence[Tape]]
"""The tapes that begin with each block; in all there are as many as passages."""


@dataclass(slots=True)
class Heard:
    """What listening has come to so far; written by the one thread that listens, and logged with the request.

    Attributes:
        audio_s: Length of the recording.
        speech_s: How much of it is to be read.
        decode_s: Seconds that decoding took.
        find_speech_s: Seconds that finding speech took.
    """

    audio_s: float = 0.0
    speech_s: float = 0.0
    decode_s: float = 0.0
    find_speech_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Listens to one recording, in one of three ways."""

    detector: SpeechDetector
    limit_samples: int
    clock: Callable[[], float]
    heard: Heard = field(default_factory=Heard)

    def passages(self, blocks: Iterator[Pcm]) -> Steps:
        """Find speech and pack it into passages of one window each, to be read side by side."""
        packer = Packer(limit_samples=self.limit_samples)
        sounds: deque[Pcm] = deque()  # of the parts in the packer, which gives them back in their order
        for parts in self._speech(blocks):
            sounds.extend(sound for _part, sound in parts)
            yield [_tape(packed, sounds) for packed in packer.add(part for part, _sound in parts)]
        yield [_tape(packed, sounds) for packed in packer.finish()]

    def speech_in_order(self, blocks: Iterator[Pcm]) -> Steps:
        """Find speech and join all of it to one passage, to be read window after window."""
        tape = Tape()
        yield [tape]
        for parts in self._speech(blocks):
            for part, sound in parts:
                tape.add(part.span, sound)
            yield []
        tape.is_complete = True

    def everything_in_order(self, blocks: Iterator[Pcm]) -> Steps:
        """Take the whole recording for one passage."""
        tape = Tape()
        yield [tape]
        position = 0
        for block in self._decoded(blocks):
            tape.add(Span(position, position + len(block)), block)
            position += len(block)
            self.heard.speech_s = position / RATE_HZ
            yield []
        tape.is_complete = True

    def _speech(self, blocks: Iterator[Pcm]) -> Iterator[list[tuple[Part, Pcm]]]:
        """Yield the parts that each block settles, and those that the end does, with their samples."""
        hearing = self.detector.listen()
        finder = SpanFinder(limit_samples=self.limit_samples)
        recording = Tail(np.empty(0, np.int16))
        speech_samples = 0
        for block in itertools.chain(self._decoded(blocks), [None]):
            started_s = self.clock()
            if block is None:
                parts = finder.finish(hearing.finish(), length_samples=recording.stop)
            else:
                recording.extend(block)
                parts = finder.add(hearing.add(block))
            sounds = [(part, recording.between(part.span.start, part.span.stop).copy()) for part in parts]
            recording.forget(finder.earliest)
            speech_samples += sum(map(len, parts))
            self.heard.speech_s = speech_samples / RATE_HZ
            self.heard.find_speech_s += self.clock() - started_s
            yield sounds

    def _decoded(self, blocks: Iterator[Pcm]) -> Iterator[Pcm]:
        audio_samples = 0
        while True:
            started_s = self.clock()
            block = next(blocks, None)
            self.heard.decode_s += self.clock() - started_s
            if block is None:
                return
            audio_samples += len(block)
            self.heard.audio_s = audio_samples / RATE_HZ
            yield block


def _tape(parts: Sequence[Part], sounds: deque[Pcm]) -> Tape:
    tape = Tape()
    for part in parts:
        tape.add(part.span, sounds.popleft())
    tape.is_complete = True
    return tape
