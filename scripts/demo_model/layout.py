"""Training windows as sound: phrases of one language laid out in time.

Everything random comes from a `random.Random` that the caller passes in, so that a training step can be made again.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .acoustics import RATE_HZ, Samples, resampled
from .speech import LANGUAGE_SHARES, Bank, Clip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from .phrases import Language, Phrase

FULL_WINDOW_S = 30.0
SILENT_SHARE = 0.07
"""Of the windows; nothing is said in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A phrase at its place in a window."""

    start_s: float
    stop_s: float
    phrase: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a model would be given: up to 30 s of sound.

    Attributes:
        samples: 16 kHz, shape (samples,).
        spoken: The phrases that lie in it whole, in order.
        language: Of all of them.
        cut_start_s: Where a last phrase begins that the end of the window cuts off; None if there is none.
    """

    samples: Samples
    spoken: list[Spoken]
    language: Language
    cut_start_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What is said and how it may sound on its way to the model.

    Attributes:
        least_db: How far the loudest noise lies below the speech, in decibels.
        throats: Shortest and longest throat to pretend, as shares of the speaker's own.
        breathy: Share of the windows whose voices are half breath.
        repeats: Share of the phrases that are drawn among those in which something is said twice running, such as
            "five five": decoders lose count there. They are drawn otherwise as well.
        crowded: Share of the windows whose pauses are as short as between stretches that voice detection cuts out.
        cut: Share of the full windows that end in the middle of a phrase.
    """

    least_db: float = 3
    throats: tuple[float, float] = (0.94, 1.06)
    breathy: float = 0
    repeats: float = 0
    crowded: float = 0.25
    cut: float = 0.45


class Layout:
    """Lays phrases of a bank out in windows."""

    def __init__(self, bank: Bank) -> None:
        """Sort the bank's clips; it is kept, not copied."""
        self.bank = bank
        self.by_voice: dict[tuple[Language, str], list[tuple[int, Clip]]] = {}
        for language, clips in bank.clips.items():
            for shard, clip in clips:
                self.by_voice.setdefault((language, clip.voice), []).append((shard, clip))
        self.repeating = {
            language: [(shard, clip) for shard, clip in clips if _says_something_twice(clip.phrase)]
            for language, clips in bank.clips.items()
        }

    def window(self, length_s: float, sound: Sound, draw: Random) -> tuple[Window, float | None]:
        """Lay out a window of at most `length_s`; the gain of its speech is None when it holds none."""
        language = draw.choices(tuple(LANGUAGE_SHARES), tuple(LANGUAGE_SHARES.values()))[0]
        full = draw.random() < (0.6 if length_s < FULL_WINDOW_S else 0.5)
        short_s = draw.uniform(0.8, 3 if draw.random() < 0.6 else length_s)
        duration_s = length_s if full else min(length_s, short_s)
        if draw.random() < SILENT_SHARE:
            silence = np.zeros(int(duration_s * RATE_HZ), np.float32)
            return Window(samples=silence, spoken=[], language=language, cut_start_s=None), None
        gain = 10 ** draw.uniform(-1.4, 0)
        pauses = _pauses(sound.crowded, draw)
        # Room for the phrase that a short window is stretched to hold, and for a last one to be cut.
        samples = np.zeros(int((length_s + 14) * RATE_HZ), np.float32)
        spoken: list[Spoken] = []
        cut_start_s = None
        at_s = draw.choice((0, draw.uniform(0, 0.3), draw.uniform(0, 0.6), draw.uniform(0, 2.5)))
        for shard, clip in self._speakers(language, sound.repeats, draw):
            if at_s > duration_s - 0.3:
                break
            voice = self.bank.samples(shard, clip)
            if draw.random() < 0.4:
                voice = resampled(voice, draw.uniform(0.92, 1.09))
            stop_s = at_s + len(voice) / RATE_HZ
            if stop_s > duration_s and not full and not spoken and stop_s + 0.1 <= length_s:
                duration_s = stop_s + 0.1
            cut = stop_s > duration_s
            if cut and not (full and spoken and draw.random() < sound.cut):
                break
            first = int(at_s * RATE_HZ)
            samples[first : first + len(voice)] += voice * np.float32(gain * 10 ** draw.uniform(-0.25, 0.25))
            if cut:
                cut_start_s = at_s
                break
            spoken.append(Spoken(start_s=at_s, stop_s=stop_s, phrase=clip.phrase))
            at_s = stop_s + next(pauses)
        if spoken and not full:
            tail_s = draw.choice((0.02, draw.uniform(0, 1), draw.uniform(0, 4)))
            duration_s = min(duration_s, spoken[-1].stop_s + tail_s)
        window = Window(
            samples=samples[: int(duration_s * RATE_HZ)], spoken=spoken, language=language, cut_start_s=cut_start_s
        )
        return window, gain if spoken else None

    def _speakers(self, language: Language, repeats: float, draw: Random) -> Iterator[tuple[int, Clip]]:
        """Draw clips without end: half of the windows keep mostly to one voice."""
        clips = self.bank.clips[language]
        voice = draw.choice(clips)[1].voice if draw.random() < 0.5 else None

        def one() -> tuple[int, Clip]:
            if repeats and draw.random() < repeats:
                return draw.choice(self.repeating[language])
            if voice is not None and draw.random() < 0.8:
                return draw.choice(self.by_voice[language, voice])
            return draw.choice(clips)

        return iter(one, None)


def _pauses(crowded: float, draw: Random) -> Iterator[float]:
    """Draw the pauses between a window's phrases, without end, all in one manner.

    Usually people pause; a `crowded` share of the windows is pieced together from stretches of speech, as voice
    detection does.
    """
    if draw.random() < crowded:
        return iter(lambda: draw.uniform(0.1, 0.8), None)
    manner = draw.random()

    def one() -> float:
        if draw.random() < 0.6:
            return draw.uniform(0.35, 0.8)
        return draw.uniform(0.35, 5 if manner > 0.6 else 1.6)

    return iter(one, None)


def _says_something_twice(phrase: Phrase) -> bool:
    """Say whether a word, or a Chinese character, follows upon itself."""
    said = list(phrase.text) if phrase.language == "zh" else phrase.text.split()
    return any(one == other for one, other in itertools.pairwise(said))
