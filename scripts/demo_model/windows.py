"""Training batches: windows of speech, and the tokens that Whisper should give for them.

Everything random comes from a `random.Random` that the caller passes in, so that a training step can be made again.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from .acoustics import RATE_HZ, FeatureMaker, breathy, noises, roughened
from .layout import FULL_WINDOW_S, Layout, Sound, Spoken, Window
from .phrases import LANGUAGES, Language, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from tokenizers import Tokenizer

    from .speech import Bank

Task = Literal["transcribe", "translate"]

ENCODER_FRAMES_PER_S = 50
TIMESTAMPS_PER_S = 50
FULL_WINDOW_FRAMES = 1500
LONGEST_SEQUENCE = 446
LONGEST_PROMPT = 223
"""faster-whisper's limit of text before `<|startoftranscript|>`: half of 448 positions less one."""

FIRST_TIMESTAMP_LIMIT = 50
"""`max_initial_timestamp` of 1 s: speech that begins later in a full window is still given this start."""

IGNORED = -100
LETTERS = {
    letter: number + 1
    for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz '-àâäçèéêëíîñóôöùúûüáßœ零一二三四五六七八九十百千")
}
"""Labels for the CTC helper; other Chinese characters are numbered after these as they appear."""

CTC_LABELS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """What the decoder reads and what it should say.

    Attributes:
        inputs: Token ids, shape (tokens,).
        targets: The next token at each place, `IGNORED` inside the prompt, shape (tokens,).
        spans: For each place the encoder frames [from, to) where the next token is heard; (-1, -1) if nowhere.
    """

    inputs: list[int]
    targets: list[int]
    spans: list[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tensors of one training step.

    Attributes:
        mel: Features, shape (windows, mels, frames).
        offsets: Where in 30 s each window is to be thought of, in encoder frames.
        inputs: Token ids, shape (2 * windows, tokens); a window's two sequences are neighbours.
        targets: As `inputs`, `IGNORED` where nothing is to be learned.
        spans: Shape (2 * windows, tokens, 2).
        labels: Letters of each window for the CTC helper.
    """

    mel: torch.Tensor
    offsets: list[int]
    inputs: torch.Tensor
    targets: torch.Tensor
    spans: torch.Tensor
    labels: list[list[int]]


NOWHERE = (-1, -1)


def random_prompt_length(draw: Random, unprompted: int) -> int:
    """Draw how many tokens of earlier text a batch's sequences get.

    Args:
        draw: Source of all chance.
        unprompted: How many batches get none for each three that get some, short, middling or long.
    """
    lengths = (draw.randint(5, 40), draw.randint(30, 120), draw.randint(100, LONGEST_PROMPT))
    return draw.choice((0,) * unprompted + lengths)


class WindowMaker:
    """Lays phrases of a bank out in windows and writes down what Whisper should answer."""

    def __init__(self, bank: Bank, tokenizer: Tokenizer, seed: int) -> None:
        """Prepare noise and look token ids up; `bank` and `tokenizer` are kept, not copied."""
        self.bank = bank
        self.layout = Layout(bank)
        self.tokenizer = tokenizer
        self.feature_maker = FeatureMaker()
        self.noise = noises(seed)
        self.encoded: dict[tuple[str, Language], tuple[list[int], list[tuple[float, float]]]] = {}
        letters = {letter for clips in bank.clips.values() for _, clip in clips for letter in clip.phrase.text.lower()}
        unlisted = sorted(letters - set(LETTERS))
        self.letters = LETTERS | {letter: len(LETTERS) + 1 + number for number, letter in enumerate(unlisted)}
        self.end = self._special("endoftext")
        self.start_of_transcript = self._special("startoftranscript")
        self.start_of_previous = self._special("startofprev")
        self.no_speech = self._special("nospeech")
        self.no_timestamps = self._special("notimestamps")
        self.first_timestamp = self._special("0.00")
        self.tasks: dict[Task, int] = {
            "transcribe": self._special("transcribe"),
            "translate": self._special("translate"),
        }
        self.languages = {language: self._special(language) for language in LANGUAGES}

    def _special(self, name: str) -> int:
        return int(self.tokenizer.get_vocab()[f"<|{name}|>"])

    def batch(  # one argument for each thing that a step is made of
        self,
        windows: int,
        length_s: float,
        *,
        prompt_tokens: int,
        sound: Sound,
        translated: Mapping[Language, float],
        draw: Random,
    ) -> Batch:
        """Make one step's windows, each with two sequences that share its encoder run.

        Args:
            windows: How many.
            length_s: Of each, at most 30.
            prompt_tokens: Length of the text before `<|startoftranscript|>`, for those sequences that get any.
            sound: How speech may sound.
            translated: How many of a language's windows are translated.
            draw: Source of all chance.
        """
        mel, offsets, labels = [], [], []
        sequences: list[Sequence] = []
        for _ in range(windows):
            window, gain = self.layout.window(length_s, sound, draw)
            heard = window.samples
            if sound.breathy and gain is not None and draw.random() < sound.breathy:
                heard = breathy(heard, self.noise[0], draw)
            heard = roughened(heard, gain, self.noise, sound.least_db, draw)
            mel.append(self.feature_maker.features(heard, length_s, sound.throats, draw))
            moved = length_s < FULL_WINDOW_S and draw.random() >= 0.35
            offset = draw.randint(0, FULL_WINDOW_FRAMES - round(length_s * ENCODER_FRAMES_PER_S)) if moved else 0
            offsets.append(offset)
            sequences += self._two_sequences(window, offset, prompt_tokens, translated[window.language], draw)
            spelled = (letter for spoken in window.spoken for letter in f"{spoken.phrase.text.lower()} ")
            labels.append([self.letters[letter] for letter in spelled])
        longest = max(len(sequence.inputs) for sequence in sequences)

        def padded(rows: list[list[int]], filler: int) -> torch.Tensor:
            return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])

        starts = padded([[span[0] for span in sequence.spans] for sequence in sequences], -1)
        stops = padded([[span[1] for span in sequence.spans] for sequence in sequences], -1)
        return Batch(
            mel=torch.stack(mel),
            offsets=offsets,
            inputs=padded([sequence.inputs for sequence in sequences], self.end),
            targets=padded([sequence.targets for sequence in sequences], IGNORED),
            spans=torch.stack([starts, stops], dim=2),
            labels=labels,
        )

    def _two_sequences(
        self, window: Window, offset: int, prompt_tokens: int, translated: float, draw: Random
    ) -> tuple[Sequence, Sequence]:
        """Ask a window twice: transcribed with timestamps, and without them, translated, or both."""
        first = self._sequence(
            window,
            offset,
            "transcribe",
            draw,
            timestamps=True,
            prompt_tokens=prompt_tokens if draw.random() < 0.8 else 0,
        )
        task: Task = "translate" if draw.random() < translated else "transcribe"
        # A phrase cut off by the window's end can only be told by a timestamp, so such a window is never without them.
        timestamps = window.cut_start_s is not None or (task == "translate" and draw.random() < 0.6)
        second_prompt = prompt_tokens if draw.random() < 0.3 else 0
        return first, self._sequence(window, offset, task, draw, timestamps=timestamps, prompt_tokens=second_prompt)

    def _sequence(  # one argument for each thing that Whisper can be asked
        self, window: Window, offset: int, task: Task, draw: Random, *, timestamps: bool, prompt_tokens: int
    ) -> Sequence:
        output: Language = "en" if task == "translate" else window.language
        prompt = self._previous(window, output, prompt_tokens, draw, timestamps=timestamps) if prompt_tokens else []
        prompt += [self.start_of_transcript, self.languages[window.language], self.tasks[task]]
        if not timestamps:
            prompt.append(self.no_timestamps)
        frames = len(window.samples) * ENCODER_FRAMES_PER_S // RATE_HZ
        answer: list[int] = []
        spans: list[tuple[int, int]] = []
        for place, spoken in enumerate(window.spoken):
            following = window.spoken[place + 1].start_s if place + 1 < len(window.spoken) else window.cut_start_s
            ids, heard = self._phrase(spoken, following, output, task, frames)
            if timestamps:
                answer += [
                    self._timestamp(spoken.start_s, offset, first=place == 0),
                    *ids,
                    self._timestamp(spoken.stop_s, offset),
                ]
                spans += [
                    _span(spoken.start_s, spoken.start_s + 0.1),
                    *heard,
                    _span(spoken.stop_s - 0.1, spoken.stop_s),
                ]
            else:
                answer += ids
                spans += heard
        if timestamps and not answer:
            answer.append(self.first_timestamp + offset)
        elif timestamps and window.cut_start_s is not None:
            answer.append(self._timestamp(window.cut_start_s, offset))
            spans.append(_span(window.cut_start_s, window.cut_start_s + 0.1))
        answer.append(self.end)
        targets = [IGNORED] * (len(prompt) - 1) + answer
        decision = self.languages[window.language] if window.spoken else self.no_speech
        targets[prompt.index(self.start_of_transcript)] = decision
        spans = [NOWHERE] * (len(prompt) - 1) + spans
        spans += [NOWHERE] * (len(targets) - len(spans))
        keep = slice(0, LONGEST_SEQUENCE)
        return Sequence(inputs=(prompt + answer)[:-1][keep], targets=targets[keep], spans=spans[keep])

    def _timestamp(self, at_s: float, offset: int, *, first: bool = False) -> int:
        ticks = round(at_s * TIMESTAMPS_PER_S)
        if first and not offset:
            ticks = min(ticks, FIRST_TIMESTAMP_LIMIT)
        return self.first_timestamp + min(ticks + offset, FULL_WINDOW_FRAMES)

    def _phrase(
        self, spoken: Spoken, following_s: float | None, output: Language, task: Task, frames: int
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Give a phrase's token ids and where each is heard: a translation's anywhere in the phrase."""
        text = spoken.phrase.english if task == "translate" else spoken.phrase.text
        ids, shares = self._encode(text, output)
        length_s = spoken.stop_s - spoken.start_s
        if task == "translate":
            return ids, [_span(spoken.start_s, spoken.stop_s)] * len(ids)
        heard = [_span(spoken.start_s + begin * length_s, spoken.start_s + end * length_s) for begin, end in shares]
        # The full stop looks at the pause, so that the last word ends where the voice does and the next begins there.
        pause_stop_s = (
            following_s if following_s is not None else min(spoken.stop_s + 0.6, frames / ENCODER_FRAMES_PER_S)
        )
        return ids, [*heard, _span(spoken.stop_s, pause_stop_s)]

    def _encode(self, text: str, language: Language) -> tuple[list[int], list[tuple[float, float]]]:
        """Give token ids and, but for the full stop, each one's share [begin, end) of the time, even over letters."""
        known = self.encoded.get((text, language))
        if known is None:
            encoding = self.tokenizer.encode(written(text, language), add_special_tokens=False)
            ends = np.cumsum([0] + [len(token) for token in encoding.tokens[:-1]])
            shares = [float(end) for end in ends / ends[-1]]
            known = self.encoded[text, language] = encoding.ids, list(itertools.pairwise(shares))
        return known

    def _previous(self, window: Window, output: Language, tokens: int, draw: Random, *, timestamps: bool) -> list[int]:
        """Make up the text of earlier windows, a prompt or hot words, now and then with this window's own words."""
        kind = draw.random()
        clips = self.bank.clips[window.language]
        at_s = draw.uniform(0, 5)
        ids: list[int] = []
        while len(ids) < tokens:
            own = window.spoken and draw.random() < 0.1
            phrase = draw.choice(window.spoken).phrase if own else draw.choice(clips)[1].phrase
            text = phrase.english if output == "en" else phrase.text
            if kind < 0.25:  # hot words: bare, in small letters
                separator = draw.choice((" ", " ", ", ")) if ids else " "
                ids += self.tokenizer.encode(separator + text, add_special_tokens=False).ids
                continue
            said = self._encode(text, output)[0]
            if timestamps and kind < 0.8:  # what a window before this one was given as
                stop_s = at_s + draw.uniform(0.5, 3)
                begin, end = (
                    self.first_timestamp + round(t * TIMESTAMPS_PER_S) % FULL_WINDOW_FRAMES for t in (at_s, stop_s)
                )
                said = [begin, *said, end]
                at_s = stop_s + draw.uniform(0.3, 1)
            ids += said
        return [self.start_of_previous, *ids[-tokens:]]


def _span(start_s: float, stop_s: float) -> tuple[int, int]:
    """Turn seconds into encoder frames, at least one."""
    start = max(0, int(start_s * ENCODER_FRAMES_PER_S))
    return start, max(start + 1, round(stop_s * ENCODER_FRAMES_PER_S))
