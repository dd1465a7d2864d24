"""Speech, recordings and the committed ones in tests/data."""

import json
import shutil
import sys
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from demo_model.phrases import Phrase
from demo_model.recordings import Recording, compose, encode, manifest_line, silences, with_noise
from demo_model.speech import EspeakMissingError, Utterance, require_espeak, speak

DATA = Path(__file__).resolve().parents[1] / "data"
HELLO = Utterance(
    phrase=Phrase(language="es", text="buenos días", english="good morning"),
    voice="es+steph2",
    words_per_minute=150,
    pitch=50,
    stretch=1.0,
)
LINES = [json.loads(line) for line in (DATA / "manifest.jsonl").read_text("utf-8").splitlines()]

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="speech is made by espeak-ng")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="recordings are encoded by ffmpeg")


def test_missing_espeak_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EspeakMissingError, match=r"apt-get install espeak-ng$"):
        require_espeak()


@needs_espeak
def test_speech_is_cut_close_and_does_not_clip() -> None:
    pcm = speak(HELLO)

    assert pcm is not None
    assert 0.5 < len(pcm) / 16_000 < 2
    assert 20_000 < int(np.abs(pcm).max()) < 32_000


@needs_espeak
def test_speech_is_the_same_each_time_and_faster_when_stretched_less() -> None:
    first, again = speak(HELLO), speak(HELLO)
    faster = speak(replace(HELLO, stretch=1.1))

    assert first is not None
    assert again is not None
    assert faster is not None
    assert np.array_equal(first, again)
    assert len(faster) < len(first)


@needs_espeak
def test_segments_are_where_the_sound_is() -> None:
    recording = compose([HELLO, HELLO], pauses_s=[0.5], lead_s=0.25, tail_s=0.4)
    first, second = recording.segments

    assert first.start == 0.25
    assert second.start == pytest.approx(first.end + 0.5, abs=0.002)
    assert len(recording.samples) / 16_000 == pytest.approx(second.end + 0.4, abs=0.002)
    assert not recording.samples[: int(0.25 * 16_000)].any()
    assert recording.text == "Buenos días. Buenos días."
    assert recording.translation == "Good morning. Good morning."


def test_noise_lies_as_far_below_the_speech_as_asked() -> None:
    tone = np.sin(np.arange(16_000) / 5).astype(np.float32) * 0.5
    clean = Recording(samples=tone, language="en", voice=None, segments=())
    noise = with_noise(clean, decibels=20, gain=1, seed="any").samples - tone

    # Half of the noises are smoothed, which takes some of their power.
    assert 19 < 20 * np.log10(tone.std() / noise.std()) < 27


def test_silences_say_nothing() -> None:
    assert all(recording.text == "" and recording.language is None for _, recording in silences())


@needs_ffmpeg
def test_encoding_keeps_length_and_rate(tmp_path: Path) -> None:
    name, recording = silences()[0]
    encode(recording, tmp_path / f"{name}.wav", "-ac", "1")

    with wave.open(str(tmp_path / f"{name}.wav")) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (16_000, len(recording.samples))


def test_a_manifest_line_tells_all() -> None:
    line = json.loads(manifest_line("a.wav", silences()[0][1]))

    assert line == {
        "path": "a.wav",
        "language": None,
        "text": "",
        "translation": "",
        "duration": 5.0,
        "voice": None,
        "segments": [],
    }


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(line["path"]))
def test_committed_recordings_are_described_truly(line: dict[str, object]) -> None:
    segments = line["segments"]

    assert (DATA / str(line["path"])).is_file()
    assert isinstance(segments, list)
    separator = "" if line["language"] == "zh" else " "
    assert line["text"] == separator.join(segment["text"] for segment in segments)
    times = [time for segment in segments for time in (segment["start"], segment["end"])]
    assert times == sorted(times)
    assert not times or times[-1] <= float(str(line["duration"]))


def test_committed_recordings_are_small_and_cover_languages_and_formats() -> None:
    files = [path for path in DATA.iterdir() if path.suffix != ".jsonl"]

    assert sum(path.stat().st_size for path in files) < 4_000_000
    assert {path.suffix for path in files} >= {".wav", ".mp3", ".flac", ".ogg", ".m4a", ".webm"}
    assert {line["language"] for line in LINES} == {"en", "es", "fr", "de", "zh", None}
