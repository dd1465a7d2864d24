"""The servers that the container is measured against: each hears what faster-whisper hears, and stops when told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import wave
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from faster_whisper import BatchedInferencePipeline, WhisperModel

from scripts.demo import free_port
from tests.conftest import DATA, ROOT, recordings
from tests.patience import wait_until
from transcriber.audio.decode import decode

FOLDER = ROOT / "scripts" / "baselines"
PATIENCE_S = 100
ENGLISH, CHINESE = DATA / "en-one-phrase.wav", DATA / "zh-three-phrases.wav"


@contextmanager
def started(name: str, model: Path, *options: str) -> Iterator[str]:
    """Run a server until it is ready, yield its address, stop it and wait for the last of its processes."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # Two threads on a busy machine spend their time waiting for each other.
    command = [sys.executable, FOLDER / name, "--model", model, "--port", str(port), "--threads", "1", *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_ready(url) or server.poll() is not None, within_s=PATIENCE_S)
        assert server.poll() is None, f"{name} ended with status {server.returncode}"
        family = descendants(server.pid)
        yield url
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE_S)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), within_s=PATIENCE_S)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        return error.code != 503  # any other status is a fault, for the test to meet
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [one for each in lists for child in each.split() for one in (int(child), *descendants(int(child)))]


def send(url: str, body: bytes) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"{url}/invocations", data=body, headers={"Content-Type": "audio/wav"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def said_in(path: Path) -> str:
    return next(recording.text for recording in recordings() if recording.path == path)


def heard_by(transcribe: Callable[[str], Any], path: Path) -> dict[str, Any]:
    """What a plain call of faster-whisper makes of a recording, in the form of an answer."""
    segments, info = transcribe(str(path))
    heard = list(segments)
    return {
        "text": "".join(segment.text for segment in heard).strip(),
        "detected_language": info.language,
        "duration": info.duration,
        "segments": [{"start": it.start, "end": it.end, "text": it.text.strip()} for it in heard],
    }


def plain_call(model: Path) -> Callable[[str], Any]:
    whisper = WhisperModel(str(model), device="cpu", cpu_threads=1)
    return lambda path: whisper.transcribe(path, vad_filter=True)


def pipeline_call(model: Path) -> Callable[[str], Any]:
    return BatchedInferencePipeline(WhisperModel(str(model), device="cpu", cpu_threads=1)).transcribe


@pytest.mark.parametrize(
    ("name", "reference"), [("serial_server.py", plain_call), ("batched_server.py", pipeline_call)]
)
def test_server_hears_what_faster_whisper_hears_and_stops(
    name: str, reference: Callable[[Path], Callable[[str], Any]], demo_model: Path
) -> None:
    with started(name, demo_model) as url:
        status, answer = send(url, ENGLISH.read_bytes())

    assert status == 200
    assert answer == heard_by(reference(demo_model), ENGLISH)
    assert answer["text"] == said_in(ENGLISH)


@pytest.mark.parametrize(("predict", "reference"), [("each", plain_call), ("together", pipeline_call)])
def test_litserve_answers_each_recording_of_a_batch_for_itself(
    predict: str, reference: Callable[[Path], Callable[[str], Any]], demo_model: Path
) -> None:
    pytest.importorskip("litserve", reason="needs requirements-bench.txt")
    bodies = [ENGLISH.read_bytes(), b"no recording", CHINESE.read_bytes(), ENGLISH.read_bytes()]
    options = ("--predict", predict, "--workers", "1", "--batch", str(len(bodies)), "--batch-timeout", "5")
    with started("litserve_server.py", demo_model, *options) as url, ThreadPoolExecutor(len(bodies)) as callers:
        english, refused, chinese, again = callers.map(lambda body: send(url, body), bodies)

    transcribe = reference(demo_model)
    assert english == again == (200, heard_by(transcribe, ENGLISH))
    assert chinese == (200, heard_by(transcribe, CHINESE))
    assert refused[0] == 400


def roofline(model: Path, recording: Path, *options: str) -> subprocess.CompletedProcess[str]:
    arguments: Sequence[str | Path] = ["--model", model, "--recordings", recording, "--seconds", "0.2", *options]
    return subprocess.run(
        [sys.executable, FOLDER / "roofline.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def cut_20_s(path: Path) -> Path:
    with (DATA / "two-minutes.flac").open("rb") as file:
        pcm = decode(file, limit_s=600).pcm
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(pcm[: 20 * 16000].tobytes())
    return path


def test_roofline_is_the_best_of_what_was_tried(demo_model: Path, tmp_path: Path) -> None:
    plans = ("--workers", "1", "2", "--threads", "1", "--batches", "1")

    ended = roofline(demo_model, cut_20_s(tmp_path / "clip.wav"), *plans)

    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert set(found) == {"device", "with_preprocessing", "tried"}
    for key, is_whole in (("device", False), ("with_preprocessing", True)):
        tried = [
            {name: value for name, value in it.items() if name != "with_preprocessing"}
            for it in found["tried"]
            if it["with_preprocessing"] is is_whole
        ]
        assert found[key] == max(tried, key=lambda it: it["windows_per_s"])
        assert all(it["windows_per_s"] == it["requests_per_s"] > 0 for it in tried)  # 20 s are one window
        assert sorted((it["workers"], it["threads"], it["batch"]) for it in tried) == [(1, 1, 1), (2, 1, 1)]


def test_roofline_tells_each_window_until_it_is_stopped(demo_model: Path, tmp_path: Path) -> None:
    arguments: Sequence[str | Path] = ["--model", demo_model, "--recordings", cut_20_s(tmp_path / "clip.wav"), "--tell"]
    with subprocess.Popen(
        [sys.executable, FOLDER / "roofline.py", *arguments, "--workers", "1", "--batches", "2", "--encode", "singly"],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            told = process.stdout.read(4)
        finally:
            process.kill()

    assert told == b"...."


def test_roofline_of_silence_is_refused_in_one_sentence(demo_model: Path) -> None:
    ended = roofline(demo_model, DATA / "silence.wav", "--no-as-served")

    assert ended.returncode == 1
    assert ended.stderr == "roofline: there is no speech in the recordings\n"
