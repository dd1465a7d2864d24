"""Speech made by espeak-ng: one phrase, or a bank of many thousands of them on disk.

A *voice* is an espeak-ng accent (`en-gb`) and a variant of it (`f2`) that sets pitch, formants and roughness.
Some variants are held out: no training clip is spoken by them.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .phrases import Language, Phrase, is_held_out, is_open, random_phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

Pcm = npt.NDArray[np.int16]

RATE_HZ = 16_000
ESPEAK_RATE_HZ = 22_050
WAV_HEADER_BYTES = 44
PEAK = 24_000
"""Largest sample of a clip: about 0.73 of full scale."""

LONGEST_CLIP_SAMPLES = 12 * RATE_HZ
SHORTEST_CLIP_SAMPLES = 2_000
SHARD_CLIPS = 4_000
"""Clips in one file of the bank, about half a minute's work: what an interruption costs."""

TRAINING_VARIANTS = (  # noqa: SIM905  a list of words reads better as words
    "m1 m2 m3 m4 m5 m7 m8 f1 f2 f3 f5 adam Alex Andrea Andy Annie antonio aunty belinda benjamin boris caleb Denis ed"
    " edward edward2 Gene Gene2 grandma grandpa Henrique Hugo iven iven3 Jacky john klatt klatt2 klatt4 Lee marcelo"
    " Marco Mario max Michael michel miguel Mike norbert pablo pedro quincy rob robert sandro shelby steph steph3"
    " travis zac"
).split()
PLAIN_VARIANTS = ("", "", "", "")
"""The accent's own voice, as often as four variants."""

HELD_OUT_VARIANTS = ("f4", "m6", "Alicia", "Diogo", "linda", "paul", "steph2", "victor", "david")
"""Never used in training. Each has relatives there: f4 f1-f5, m6 m1-m8, Diogo Henrique, linda belinda, steph2 steph."""

ACCENTS: dict[Language, tuple[str, ...]] = {
    "en": ("en-us", "en-us", "en-gb", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-029", "en-us-nyc"),
    "es": ("es", "es-419"),
    "fr": ("fr-fr", "fr-be", "fr-ch"),
    "de": ("de",),
    # Plain `cmn` reads Chinese characters with English sounds; this one reads them as Mandarin.
    "zh": ("cmn-latn-pinyin",),
}
HELD_OUT_ACCENTS: dict[Language, tuple[str, ...]] = ACCENTS | {"en": ("en-us", "en-gb", "en-gb-x-rp")}

LANGUAGE_SHARES: dict[Language, float] = {"en": 0.28, "es": 0.17, "fr": 0.2, "de": 0.2, "zh": 0.15}
"""How often each language is drawn; the ones that were hardest to learn more often."""


class EspeakMissingError(RuntimeError):
    """espeak-ng is not installed."""

    def __init__(self) -> None:
        """Name the command that installs it."""
        super().__init__("espeak-ng is not installed, and all speech is made by it; run: apt-get install espeak-ng")


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One phrase and the manner in which it is to be spoken.

    Attributes:
        phrase: What is said.
        voice: espeak-ng's accent and variant: "en-gb+f2".
        words_per_minute: Speed, 80-240.
        pitch: espeak-ng's own scale, 0-99; 50 is the voice's usual pitch.
        stretch: Playback rate: over 1 is faster and higher, as from a smaller speaker.
    """

    phrase: Phrase
    voice: str
    words_per_minute: int
    pitch: int
    stretch: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A phrase in a bank: who says it, and where its samples are."""

    phrase: Phrase
    voice: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """Spoken phrases, back to back.

    Attributes:
        pcm: All samples at 16 kHz, one memory-mapped array for each shard.
        clips: Clips of each language, with the shard that they lie in.
    """

    pcm: list[Pcm]
    clips: dict[Language, list[tuple[int, Clip]]] = field(default_factory=dict)

    def samples(self, shard: int, clip: Clip) -> npt.NDArray[np.float32]:
        """Copy a clip's samples out, in [-1, 1], shape (samples,)."""
        return (self.pcm[shard][clip.start : clip.stop] / 32768).astype(np.float32)


def require_espeak() -> None:
    """Fail with the command to run when espeak-ng is missing.

    Raises:
        EspeakMissingError: There is no `espeak-ng` on the path.
    """
    if shutil.which("espeak-ng") is None:
        raise EspeakMissingError


def speak(utterance: Utterance) -> Pcm | None:
    """Synthesise an utterance at 16 kHz and cut the silence around it.

    Returns:
        Samples, shape (samples,), or None when espeak-ng gave next to nothing (some variants do for some accents).
    """
    command = ["espeak-ng", "-v", utterance.voice, "-s", str(utterance.words_per_minute), "-p", str(utterance.pitch)]
    wav = subprocess.run([*command, "--stdout", utterance.phrase.text], capture_output=True, check=False).stdout
    raw = np.frombuffer(wav[WAV_HEADER_BYTES : len(wav) // 2 * 2], np.int16).astype(np.float32)
    if len(raw) < SHORTEST_CLIP_SAMPLES or not raw.any():
        return None
    length = int(len(raw) * RATE_HZ / ESPEAK_RATE_HZ / utterance.stretch)
    voice = np.fft.irfft(np.fft.rfft(raw)[: length // 2 + 1], length) * (length / len(raw))
    loudness = np.sqrt(np.convolve(voice * voice, np.ones(160) / 160, "same"))
    heard = np.nonzero(loudness > 0.012 * loudness.max())[0]
    voice = voice[max(0, heard[0] - 80) : heard[-1] + 240]
    pcm: Pcm = (voice / np.abs(voice).max() * PEAK).astype(np.int16)
    return pcm


def random_manner(phrase: Phrase, draw: random.Random, *, held_out_voice: bool) -> Utterance:
    """Draw who says a phrase, how fast and how high."""
    accents = HELD_OUT_ACCENTS if held_out_voice else ACCENTS
    variant = draw.choice(HELD_OUT_VARIANTS if held_out_voice else (*TRAINING_VARIANTS, *PLAIN_VARIANTS))
    hurried = draw.random() < (0.0 if held_out_voice else 0.2)
    return Utterance(
        phrase=phrase,
        voice=draw.choice(accents[phrase.language]) + (f"+{variant}" if variant else ""),
        words_per_minute=draw.randint(80, 240) if hurried else draw.randint(110, 210),
        pitch=draw.randint(20, 80),
        stretch=draw.uniform(0.9, 1.1) if held_out_voice else draw.uniform(0.86, 1.16),
    )


def training_utterances(count: int, seed: str) -> Iterator[Utterance]:
    """Draw utterances for training: no held-out text, no held-out voice."""
    draw = random.Random(seed)
    languages, shares = tuple(LANGUAGE_SHARES), tuple(LANGUAGE_SHARES.values())
    while count:
        phrase = random_phrase(draw.choices(languages, shares)[0], draw)
        if not is_held_out(phrase.text):
            yield random_manner(phrase, draw, held_out_voice=False)
            count -= 1


def held_out_utterances(language: Language, count: int, seed: str) -> Iterator[Utterance]:
    """Draw utterances to judge a model by: each another open text never trained on, in voices never trained on."""
    draw = random.Random(seed)
    said: set[str] = set()
    while count:
        phrase = random_phrase(language, draw)
        if phrase.text not in said and is_open(phrase.text) and is_held_out(phrase.text):
            said.add(phrase.text)
            yield random_manner(phrase, draw, held_out_voice=True)
            count -= 1


def make_bank(folder: Path, *, clips: int, seed: int) -> None:
    """Fill a folder with spoken training phrases, in shards; a shard that exists already is kept.

    Args:
        folder: Where `bank-NN.npy` (int16, 16 kHz) and `bank-NN.json` (the clips in it) go.
        clips: Phrases in all.
        seed: The same seed gives the same bank.
    """
    from tqdm import tqdm  # noqa: PLC0415  needed to train only

    folder.mkdir(parents=True, exist_ok=True)
    with tqdm(total=clips, desc="speech", unit="phrase", smoothing=0.05) as progress, multiprocessing.Pool() as pool:
        for shard, first in enumerate(range(0, clips, SHARD_CLIPS)):
            size = min(SHARD_CLIPS, clips - first)
            index = folder / f"bank-{shard:02}.json"
            if not index.exists():
                utterances = list(training_utterances(size, f"{seed}/bank/{shard}"))
                _write_shard(index, utterances, pool.map(speak, utterances, chunksize=32))
            progress.update(size)


def _write_shard(index: Path, utterances: list[Utterance], spoken: list[Pcm | None]) -> None:
    pieces: list[Pcm] = []
    clips: list[dict[str, Any]] = []  # Any: JSON
    position = 0
    for utterance, pcm in zip(utterances, spoken, strict=True):
        if pcm is not None and len(pcm) < LONGEST_CLIP_SAMPLES:
            span = {"start": position, "stop": position + len(pcm)}
            clips.append({"phrase": asdict(utterance.phrase), "voice": utterance.voice} | span)
            pieces.append(pcm)
            position += len(pcm)
    np.save(index.with_suffix(".npy"), np.concatenate(pieces))
    # The index is written last and in one move: where it exists, the shard is whole.
    unfinished = index.with_suffix(".part")
    unfinished.write_text(json.dumps(clips, ensure_ascii=False), encoding="utf-8")
    unfinished.replace(index)


def open_bank(folder: Path) -> Bank:
    """Open a bank that `make_bank` made; its samples stay on disk until they are used."""
    bank = Bank(pcm=[])
    for shard, index in enumerate(sorted(folder.glob("bank-*.json"))):
        bank.pcm.append(np.load(index.with_suffix(".npy"), mmap_mode="r"))
        for entry in json.loads(index.read_text(encoding="utf-8")):
            phrase = Phrase(**entry.pop("phrase"))
            bank.clips.setdefault(phrase.language, []).append((shard, Clip(phrase=phrase, **entry)))
    return bank
