"""Recordings to test and judge a model with: unseen texts in unseen voices, with the truth about them."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .phrases import LANGUAGES, Language, written
from .speech import RATE_HZ, Utterance, held_out_utterances, speak

Samples = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]

PAUSE_S = (0.4, 1.2)
LONG_PAUSE_S = (0.6, 3.5)
LEAD_S = (0.1, 0.3)
TAIL_S = (0.3, 0.8)
LONG_S = 120.0
LONG_RECORDINGS = 3
"""Of two minutes in an evaluation set, in each language: one alone is a matter of luck."""

PHRASES_FOR_LONG = 80
"""More than are ever said in two minutes."""


class FfmpegMissingError(RuntimeError):
    """ffmpeg is not installed."""

    def __init__(self) -> None:
        super().__init__("ffmpeg is not installed, and all recordings are encoded by it; run: apt-get install ffmpeg")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueSegment:
    """One phrase of a recording: when it is said, what, and what that is in English."""

    start: float
    end: float
    text: str
    translation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Sound and what is said in it.

    Attributes:
        samples: 16 kHz, shape (samples,), in [-1, 1].
        language: None when nothing is said.
        voice: espeak-ng's name of it; None when nothing is said.
        segments: What is said, in order.
    """

    samples: Samples
    language: Language | None
    voice: str | None
    segments: tuple[TrueSegment, ...]

    @property
    def text(self) -> str:
        """All that is said, as Whisper writes it."""
        return ("" if self.language == "zh" else " ").join(segment.text for segment in self.segments)

    @property
    def translation(self) -> str:
        """All that is said, in English."""
        return " ".join(segment.translation for segment in self.segments)


def _spoken(utterance: Utterance) -> Pcm:
    """Speak an utterance.

    Raises:
        RuntimeError: espeak-ng gave no sound, as a damaged installation does.
    """
    pcm = speak(utterance)
    if pcm is None:
        raise RuntimeError(f"espeak-ng gave no sound for {utterance.phrase.text!r} in the voice {utterance.voice}")
    return pcm


def compose(utterances: list[Utterance], *, pauses_s: list[float], lead_s: float, tail_s: float) -> Recording:
    """Speak utterances one after the other.

    Args:
        utterances: All in one language; at least one.
        pauses_s: Silence after each but the last.
        lead_s: Silence before the first.
        tail_s: Silence after the last.
    """
    pieces = [np.zeros(int(lead_s * RATE_HZ), np.int16)]
    segments: list[TrueSegment] = []
    for utterance, pause_s in zip(utterances, [*pauses_s, tail_s], strict=True):
        voice = _spoken(utterance)
        start = sum(map(len, pieces)) / RATE_HZ
        phrase = utterance.phrase
        segments.append(
            TrueSegment(
                start=round(start, 3),
                end=round(start + len(voice) / RATE_HZ, 3),
                text=written(phrase.text, phrase.language).strip(),
                translation=written(phrase.english, "en").strip(),
            )
        )
        pieces += [voice, np.zeros(int(pause_s * RATE_HZ), np.int16)]
    return Recording(
        samples=(np.concatenate(pieces) / 32768).astype(np.float32),
        language=utterances[0].phrase.language,
        voice=utterances[0].voice,
        segments=tuple(segments),
    )


def with_noise(recording: Recording, *, decibels: float, gain: float, seed: str) -> Recording:
    """Make a recording quieter and noisier.

    Args:
        recording: Not changed.
        decibels: Of the speech's mean power over that of the noise.
        gain: Factor of the speech's amplitude.
        seed: Of the noise.
    """
    draw = random.Random(seed)
    noise = np.random.default_rng(draw.randrange(2**32)).standard_normal(len(recording.samples))
    if draw.random() < 0.5:
        noise = np.convolve(noise, np.ones(4) / 2, "same")
    speech = recording.samples * gain
    level = np.sqrt(np.mean(speech[speech != 0] ** 2)) * 10 ** (-decibels / 20)
    return replace(recording, samples=np.clip(speech + noise * level, -1, 1).astype(np.float32))


def random_recording(utterances: list[Utterance], *, long: bool, seed: str) -> Recording:
    """Speak utterances in the first one's voice, with random pauses, gain and light noise (half have none)."""
    draw = random.Random(f"{seed}/manner")
    first = utterances[0]
    same = [replace(first, phrase=utterance.phrase) for utterance in utterances]
    pauses_s = [draw.uniform(*(LONG_PAUSE_S if long else PAUSE_S)) for _ in same[1:]]
    recording = compose(same, pauses_s=pauses_s, lead_s=draw.uniform(*LEAD_S), tail_s=draw.uniform(*TAIL_S))
    if draw.random() < 0.5:
        return recording
    return with_noise(recording, decibels=draw.uniform(20, 40), gain=draw.uniform(0.1, 1), seed=f"{seed}/noise")


def evaluation_recordings(utterances: int, seed: str) -> list[tuple[str, Recording]]:
    """Draw the recordings of an evaluation set, with their names.

    In each language: utterances of one to three phrases, and recordings of two minutes. Beside them, recordings
    in which nothing is said.
    """
    named: list[tuple[str, Recording]] = []
    for language in LANGUAGES:
        counts = random.Random(f"{seed}/{language}").choices((1, 2, 3), (60, 25, 15), k=utterances)
        unseen = held_out_utterances(
            language, sum(counts) + LONG_RECORDINGS * PHRASES_FOR_LONG, f"{seed}/{language}/phrases"
        )
        for number, count in enumerate(counts):
            own = [next(unseen) for _ in range(count)]
            name = f"{language}-{number:03}"
            named.append((name, random_recording(own, long=False, seed=f"{seed}/{name}")))
        for number in range(LONG_RECORDINGS):
            own = list(itertools.islice(unseen, PHRASES_FOR_LONG))
            name = f"{language}-two-minutes-{number}"
            named.append((name, two_minutes(own, seed=f"{seed}/{name}")))
    return named + silences()


def two_minutes(utterances: list[Utterance], *, seed: str) -> Recording:
    """Speak as many utterances as fit into two minutes with pauses, all in the first one's voice and manner."""
    draw = random.Random(seed)
    first = utterances[0]
    chosen: list[Utterance] = []
    pauses_s: list[float] = []
    at_s = 1.0
    for utterance in utterances:
        same = replace(first, phrase=utterance.phrase)
        voice = _spoken(same)
        at_s += len(voice) / RATE_HZ
        if at_s > LONG_S - 0.5:
            break
        chosen.append(same)
        pauses_s.append(draw.uniform(*LONG_PAUSE_S))
        at_s += pauses_s[-1]
    recording = compose(chosen, pauses_s=pauses_s[:-1], lead_s=0.2, tail_s=0.5)
    fill = max(0, int(LONG_S * RATE_HZ) - len(recording.samples))
    return replace(recording, samples=np.pad(recording.samples, (0, fill))[: int(LONG_S * RATE_HZ)])


def silences() -> list[tuple[str, Recording]]:
    """Make recordings in which nothing is said: digital silence, noise of several kinds, mains hum."""
    source = np.random.default_rng(8)
    turns = 2 * np.pi * np.arange(8 * RATE_HZ) / RATE_HZ
    kinds = {
        "silence-5s": np.zeros(5 * RATE_HZ),
        "silence-40s": np.zeros(40 * RATE_HZ),
        "noise-faint": source.standard_normal(10 * RATE_HZ) * 0.001,
        "noise-soft": source.standard_normal(5 * RATE_HZ) * 0.01,
        "noise-loud": source.standard_normal(8 * RATE_HZ) * 0.2,
        "noise-40s": source.standard_normal(40 * RATE_HZ) * 0.02,
        "rumble": np.convolve(source.standard_normal(8 * RATE_HZ), np.ones(64) / 64, "same") * 0.3,
        "hum": np.sin(50 * turns) * 0.05 + np.sin(150 * turns) * 0.02,
    }
    return [
        (name, Recording(samples=samples.astype(np.float32), language=None, voice=None, segments=()))
        for name, samples in kinds.items()
    ]


def manifest_line(path: str, recording: Recording) -> str:
    """Write down the truth about a recording as one line of JSON."""
    entry = {
        "path": path,
        "language": recording.language,
        "text": recording.text,
        "translation": recording.translation,
        "duration": round(len(recording.samples) / RATE_HZ, 3),
        "voice": recording.voice,
        "segments": [asdict(segment) for segment in recording.segments],
    }
    return json.dumps(entry, ensure_ascii=False)


def require_ffmpeg() -> None:
    """Fail with the command to run when ffmpeg is missing.

    Raises:
        FfmpegMissingError: There is no `ffmpeg` on the path.
    """
    if shutil.which("ffmpeg") is None:
        raise FfmpegMissingError


def encode(recording: Recording, path: Path, *arguments: str) -> None:
    """Write a recording in the format that the file's name asks for.

    Args:
        recording: What to write.
        path: Where to; its suffix chooses the container.
        arguments: For ffmpeg, about the output: codec, rate, channels.
    """
    command = ["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", str(RATE_HZ), "-ac", "1", "-i", "-"]
    # No version or date of the encoder in the file, so that it is the same each time.
    command += [*arguments, "-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact", str(path)]
    subprocess.run(command, input=np.int16(recording.samples * 32767).tobytes(), check=True)
