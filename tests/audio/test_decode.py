from __future__ import annotations

import gc
import io
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import pytest
from faster_whisper.audio import decode_audio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audio.sound_files import KINDS, chunk, encoded, film, fmt, noise, riff, sound_file
from transcriber.audio.decode import BLOCK_SAMPLES, DEMUXERS, decode, open_sound
from transcriber.audio.waveform import RATE_HZ, Pcm, Waveform
from transcriber.engines.environment import allocator
from transcriber.errors import NotAudio, TooLarge

ROOT = Path(__file__).resolve().parents[2]
PCM = noise(20_000)
SILENT_FRAME = b"\xff\xf8\x70\x08\x00\xff\xfe\x39\x00\x00\x00\x06\xd2"
"""65,535 samples of silence in FLAC: header, one constant subframe, checksum (RFC 9639 §9)."""


@pytest.fixture(autouse=True, scope="module")
def light_collections() -> Iterator[None]:
    """Keep what the test run has gathered so far from being searched each time that faster-whisper decodes a file."""
    gc.freeze()
    yield
    gc.unfreeze()


def decoded(file: bytes, *, limit_s: float = 60.0) -> Waveform:
    return decode(io.BytesIO(file), limit_s=limit_s)


def reference(file: bytes) -> Pcm:
    """What faster-whisper makes of a file."""
    return (decode_audio(io.BytesIO(file)) * 32768).astype(np.int16)


class TestSameSamplesAsFasterWhisper:
    @pytest.mark.parametrize("kind", KINDS)
    def test_of_every_kind_of_file(self, kind: str) -> None:
        file = sound_file(kind)

        samples = decoded(file).pcm

        assert np.array_equal(samples, reference(file))
        assert len(samples) / RATE_HZ == pytest.approx(1.5, abs=0.1)

    @pytest.mark.parametrize("kind", KINDS)
    def test_of_a_file_that_is_cut_short(self, kind: str) -> None:
        file = sound_file(kind)
        file = file[: len(file) * 2 // 3]

        try:
            expected = reference(file)
        except av.FFmpegError:  # the table of contents stands at the end: nothing can be read
            with pytest.raises(NotAudio, match="empty, damaged or cut short"):
                decoded(file)
        else:
            common = len(expected) - 64  # faster-whisper loses what the decoder still holds when the last packet is bad
            assert np.array_equal(decoded(file).pcm[:common], expected[:common])
            assert len(decoded(file)) >= len(expected)

    @pytest.mark.parametrize(
        "file",
        [
            pytest.param(riff(fmt(), chunk(b"data", PCM)), id="plain"),
            pytest.param(riff(chunk(b"LIST", b"INFOa"), fmt(), chunk(b"data", PCM), chunk(b"id3 ", b"x")), id="chunks"),
            pytest.param(riff(fmt(), chunk(b"data", PCM[:-1])), id="odd length"),
            pytest.param(riff(fmt(), chunk(b"data", PCM, size=0)), id="length 0"),
            pytest.param(riff(fmt(), chunk(b"data", PCM, size=0xFFFFFFFF)), id="length unknown"),
            pytest.param(riff(fmt(), chunk(b"data", PCM, size=0x7FFFF024)), id="length of a pipe"),
            pytest.param(riff(fmt(), chunk(b"data", PCM))[:-1001], id="cut short"),
            pytest.param(riff(fmt(), chunk(b"data", PCM)) + b"rubbish that is no chunk", id="rubbish after"),
            pytest.param(riff(fmt(), chunk(b"data", PCM[:2])), id="one sample"),
            pytest.param(riff(fmt(), chunk(b"data", PCM), chunk(b"data", PCM)), id="two stretches of sound"),
            pytest.param(riff(chunk(b"data", PCM), fmt()), id="sound before its description"),
        ],
    )
    def test_of_wav_files_of_every_shape(self, file: bytes) -> None:
        """Those that need no decoder included."""
        assert np.array_equal(decoded(file).pcm, reference(file))

    def test_of_the_sound_of_a_film(self) -> None:
        file = film(sound=True)

        assert np.array_equal(decoded(file).pcm, reference(file))

    @pytest.mark.parametrize("rate_hz", [4_000, 15_999, 44_056, 192_000])
    def test_at_odd_rates(self, rate_hz: int) -> None:
        file = riff(fmt(rate_hz=rate_hz), chunk(b"data", PCM))

        assert np.array_equal(decoded(file).pcm, reference(file))

    def test_longer_than_the_groups_that_are_resampled_at_a_time(self) -> None:
        file = riff(fmt(channels=2, rate_hz=44_100), chunk(b"data", noise(700_000)))

        assert np.array_equal(decoded(file).pcm, reference(file))

    def test_louder_than_full_scale(self) -> None:
        loud = (np.random.default_rng(0).standard_normal(8_000) * 100).astype("<f4")
        file = riff(fmt(tag=3, bits=32, rate_hz=8_000), chunk(b"data", loud.tobytes()))

        assert np.array_equal(decoded(file).pcm, reference(file))

    def test_on_many_threads_at_once(self) -> None:
        file = sound_file("mp3 stereo 44.1 kHz")

        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(lambda _: decoded(file).pcm, range(16)))

        expected = reference(file)
        assert all(np.array_equal(result, expected) for result in results)


class TestDamagedFiles:
    @pytest.mark.parametrize("kind", ["mp3 stereo 44.1 kHz", "aac adts", "mpeg-ts aac", "flac stereo 44.1 kHz"])
    def test_what_comes_after_it_is_kept(self, kind: str) -> None:
        file = sound_file(kind)
        middle = len(file) // 2

        assert decoded(file[:middle] + b"\xa5" * 400 + file[middle:]).duration_s == pytest.approx(1.5, abs=0.3)

    def test_numbers_that_are_none_are_silence(self) -> None:
        for value in (np.nan, np.inf, -np.inf):
            floats = np.full(1000, 0.25, np.float32)
            floats[500:600] = value
            samples = decoded(riff(fmt(tag=3, bits=32), chunk(b"data", floats.tobytes()))).pcm

            assert set(samples[:500]) == set(samples[600:]) == {8192}
            assert set(samples[500:600]) == {0}

    @pytest.mark.parametrize(("bits", "dtype"), [(32, np.float32), (64, np.float64)])
    def test_numbers_that_are_none_do_not_spread(self, bits: int, dtype: type[np.floating]) -> None:
        floats = np.full(8_000, 0.25, dtype)
        floats[::1000] = np.nan
        samples = decoded(riff(fmt(tag=3, bits=bits, rate_hz=8_000), chunk(b"data", floats.tobytes()))).pcm

        assert np.count_nonzero(np.abs(samples - 8192) > 400) < 8 * 20

    def test_numbers_without_measure_keep_their_sign(self) -> None:
        floats = np.full(1000, 1e30, np.float32)

        assert set(decoded(riff(fmt(tag=3, bits=32), chunk(b"data", floats.tobytes()))).pcm) == {32767}

    @settings(max_examples=200, deadline=None)
    @given(data=st.data())
    def test_of_any_kind_gives_sound_or_one_of_our_refusals(self, data: st.DataObject) -> None:
        file = bytearray(_short_file(data.draw(st.sampled_from(sorted(KINDS)))))
        for _ in range(data.draw(st.integers(1, 8))):
            at = data.draw(st.integers(0, min(len(file) - 1, data.draw(st.sampled_from([60, 300, 10**6])))))
            file[at : at + 1] = data.draw(st.binary(max_size=4))

        try:
            waveform = decoded(bytes(file), limit_s=30.0)
        except (NotAudio, TooLarge):
            return
        assert 0 < waveform.duration_s <= 30

    def test_a_header_cannot_ask_for_gigabytes(self) -> None:
        """FFmpeg clears as much memory as the length of a title tells it to: 2 GB for a hundred bytes."""
        title = chunk(b"ISFT", b"x", size=0x7A00000E)
        file = riff(fmt(), chunk(b"LIST", b"INFO" + title, size=0x7B000000))

        Path("/proc/self/clear_refs").write_text("5", "ascii")  # begins VmHWM anew
        before = memory_kib("VmHWM")
        with pytest.raises(NotAudio):
            decoded(file)
        assert memory_kib("VmHWM") < before + 300 * 1024


@cache
def _short_file(kind: str) -> bytes:
    return sound_file(kind, seconds=0.3)


def memory_kib(field: str) -> int:
    """A line of /proc: `VmHWM` is the most that was resident."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split(f"{field}:")[1].split()[0])


class TestChangingSound:
    @pytest.mark.parametrize(
        ("container", "codec", "second"),
        [
            ("mp3", "libmp3lame", (44_100, "stereo")),
            ("mp3", "libmp3lame", (22_050, "mono")),
            ("adts", "aac", (44_100, "stereo")),
            ("adts", "aac", (48_000, "5.1")),
        ],
    )
    def test_is_followed(self, container: str, codec: str, second: tuple[int, str]) -> None:
        file = encoded(container, codec, 44_100, "mono") + encoded(container, codec, *second)

        assert decoded(file).duration_s == pytest.approx(3.0, abs=0.2)

    def test_from_what_needs_no_resampling_is_followed(self) -> None:
        """FFmpeg's resampler, once it has passed frames on untouched, would do so with frames of any kind."""
        file = encoded("mp3", "libmp3lame", 16_000, "mono") + encoded("mp3", "libmp3lame", 24_000, "stereo")

        assert decoded(file).duration_s == pytest.approx(3.0, abs=0.2)


class TestLimit:
    @pytest.mark.parametrize("kind", ["wav 16-bit mono 16 kHz", "mp3 mono 16 kHz", "ogg opus", "flac mono 16 kHz"])
    def test_longer_sound_is_refused(self, kind: str) -> None:
        with pytest.raises(TooLarge, match=r"longer than 1.25 seconds, the most this container takes; cut it"):
            decoded(sound_file(kind), limit_s=1.25)

    @pytest.mark.parametrize("kind", ["wav 16-bit mono 16 kHz", "wav 16-bit stereo 44.1 kHz"])
    def test_exactly_the_limit_is_taken(self, kind: str) -> None:
        assert decoded(sound_file(kind), limit_s=1.5).duration_s == 1.5

    def test_days_of_silence_in_a_small_file_are_refused_at_the_limit(self) -> None:
        file = io.BytesIO(_silent_flac(hours=60, stated=False))

        with pytest.raises(TooLarge):
            decode(file, limit_s=600.0)
        assert file.tell() < 100_000

    def test_a_stated_length_far_beyond_the_limit_is_refused_before_decoding(self) -> None:
        file = io.BytesIO(_silent_flac(hours=60, stated=True))

        with pytest.raises(TooLarge):
            decode(file, limit_s=100_000.0)
        assert file.tell() < 1_000_000

    def test_a_wav_that_states_too_much_is_taken_for_what_it_holds(self) -> None:
        """Writers into a pipe state the most that fits into 32 bits."""
        file = riff(fmt(rate_hz=8_000), chunk(b"data", PCM, size=0x7FFFF024))

        assert decoded(file, limit_s=10.0).duration_s == 2.5


def _silent_flac(*, hours: float, stated: bool) -> bytes:
    samples = int(hours * 3600 * 48_000)
    sizes = struct.pack(">HH6xQ16x", 65_535, 65_535, 48_000 << 44 | 15 << 36 | (samples if stated else 0))
    return b"fLaC\x80\0\0\x22" + sizes + SILENT_FRAME * (samples // 65_535)


class TestNotAudio:
    def test_no_bytes(self) -> None:
        with pytest.raises(NotAudio, match="there are no bytes to decode; send WAV, MP3, FLAC"):
            decoded(b"")

    @pytest.mark.parametrize(
        ("file", "likeness"),
        [
            (b"\x89PNG\r\n\x1a\n" + bytes(500), "looks like a PNG picture"),
            (b'{"audio": "none"}', "looks like JSON"),
            (b"plain words", "looks like text"),
            (bytes(10_000), "is of no kind known here"),
            (np.random.default_rng(0).bytes(100_000), "is of no kind known here"),
        ],
    )
    def test_says_what_came_and_what_is_accepted(self, file: bytes, likeness: str) -> None:
        with pytest.raises(NotAudio, match=f"the file {likeness}, and no sound .* send WAV, MP3"):
            decoded(file)

    @pytest.mark.parametrize(
        "file",
        [
            pytest.param(riff(fmt(), chunk(b"data", b"")), id="no samples"),
            pytest.param(riff(fmt(), chunk(b"data", b"x")), id="half a sample"),
            pytest.param(riff(fmt(channels=2), chunk(b"data", b"")), id="no samples in stereo"),
            pytest.param(riff(fmt()), id="no stretch of sound"),
            pytest.param(riff(fmt())[:20], id="half a header"),
            pytest.param(b"fLaC" + bytes(100), id="no FLAC"),
            pytest.param(b"OggS" + bytes(1000), id="no Ogg"),
            pytest.param(sound_file("m4a aac")[:40], id="no MP4"),
        ],
    )
    def test_files_of_a_known_kind_without_sound_are_called_empty_or_damaged(self, file: bytes) -> None:
        with pytest.raises(NotAudio, match=r"looks like an? .* file, but no sound .* empty, damaged or cut short"):
            decoded(file)

    def test_a_film_without_sound(self) -> None:
        with pytest.raises(NotAudio, match="looks like an MP4, M4A or MOV file and has no sound track"):
            decoded(film(sound=False))

    def test_a_codec_that_nobody_knows(self) -> None:
        file = riff(fmt(tag=0x1234, channels=1), chunk(b"data", PCM))

        with pytest.raises(NotAudio, match="encrypted or of a codec unknown here"):
            decoded(file)

    @pytest.mark.parametrize("rate_hz", [1, 999, 768_001, 2**31 - 1])
    def test_absurd_rates(self, rate_hz: int) -> None:
        with pytest.raises(NotAudio, match=f"claims a sample rate of {rate_hz:,} Hz; send one from 1,000 to 768,000"):
            decoded(riff(fmt(rate_hz=rate_hz), chunk(b"data", PCM)))

    @pytest.mark.parametrize("channels", [9, 64, 255])
    def test_channels_that_cannot_be_mixed(self, channels: int) -> None:
        with pytest.raises(NotAudio, match=f"{channels} channels .* send mono or stereo"):
            decoded(riff(fmt(channels=channels), chunk(b"data", PCM)))

    @pytest.mark.parametrize("channels", [0, 513, 65_535])
    def test_channels_beyond_reason(self, channels: int) -> None:
        with pytest.raises(NotAudio):
            decoded(riff(fmt(channels=channels), chunk(b"data", PCM)))


DASH = """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>
<Representation id="1" mimeType="audio/mp4"><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>"""


class TestOtherFilesStayClosed:
    """Nothing that a caller sends makes FFmpeg open a file or an address."""

    @pytest.fixture
    def secret(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A sound file on the container's disk, in its working directory too."""
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "secret.wav"
        path.write_bytes(sound_file("wav 16-bit mono 16 kHz"))
        return path

    @pytest.mark.parametrize(
        "text",
        [
            "ffconcat version 1.0\nfile secret.wav\n",
            "ffconcat version 1.0\nfile {path}\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{path}\n#EXT-X-ENDLIST\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
            "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10,\nconcat:{url}|file://{path}\n#EXT-X-ENDLIST\n",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n",
            ";FFMETADATA1\ntitle={url}\n",
            DASH,
        ],
    )
    def test_by_a_list_of_other_files(self, text: str, secret: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            file = text.format(path=secret, url=f"http://127.0.0.1:{port}/secret.wav", port=port).encode()

            with pytest.raises(NotAudio):
                decoded(file)

            server.settimeout(0)
            with pytest.raises(BlockingIOError):
                server.accept()

    @pytest.mark.usefixtures("secret")
    def test_although_ffmpeg_would_open_them(self) -> None:
        with av.open(io.BytesIO(b"ffconcat version 1.0\nfile secret.wav\n"), mode="r") as container:
            assert container.format.name == "concat"

    def test_because_no_container_that_is_read_is_a_list(self) -> None:
        known = {part for name in av.formats_available for part in name.split(",")}

        assert set(DEMUXERS.split(",")) <= known
        assert not set(DEMUXERS.split(",")) & {"concat", "hls", "dash", "sdp", "rtsp", "image2", "ffmetadata", "lavfi"}


class TestFiles:
    def test_are_read_from_their_beginning_and_stay_open(self) -> None:
        file = io.BytesIO(sound_file("mp3 mono 16 kHz"))
        file.seek(100)
        first = decode(file, limit_s=9.0)

        assert np.array_equal(decode(file, limit_s=9.0).pcm, first.pcm)
        assert not file.closed

    @pytest.mark.parametrize("kind", ["wav 16-bit mono 16 kHz", "mp3 mono 16 kHz"])
    @pytest.mark.parametrize(
        "make", [tempfile.TemporaryFile, partial(tempfile.TemporaryFile, buffering=0), tempfile.SpooledTemporaryFile]
    )
    def test_may_be_of_any_make(self, kind: str, make: Callable[[], BinaryIO]) -> None:
        with make() as file:
            file.write(sound_file(kind))

            assert decode(file, limit_s=9.0).duration_s == pytest.approx(1.5, abs=0.1)


class TestBlocks:
    @pytest.mark.parametrize("kind", ["wav 16-bit mono 16 kHz", "flac stereo 44.1 kHz", "mp3 mono 16 kHz"])
    def test_are_of_one_length_but_the_last_and_make_up_the_recording(self, kind: str) -> None:
        file = sound_file(kind, seconds=25.0)
        with open_sound(io.BytesIO(file), limit_s=60.0) as sound:
            blocks = list(sound.blocks)

        assert [len(block) for block in blocks[:-1]] == [BLOCK_SAMPLES] * 2
        assert 0 < len(blocks[-1]) <= BLOCK_SAMPLES
        assert np.array_equal(np.concatenate(blocks), reference(file))

    @pytest.mark.parametrize("kind", ["wav 16-bit mono 16 kHz", "wav 16-bit stereo 44.1 kHz", "flac mono 16 kHz"])
    def test_are_decoded_when_they_are_asked_for(self, kind: str) -> None:
        file = io.BytesIO(sound_file(kind, seconds=60.0))
        size_bytes = len(file.getvalue())
        with open_sound(file, limit_s=90.0) as sound:
            next(sound.blocks)

            assert file.tell() < size_bytes / 3

    def test_before_the_limit_come_before_the_refusal(self) -> None:
        with open_sound(io.BytesIO(sound_file("mp3 mono 16 kHz", seconds=25.0)), limit_s=15.0) as sound:
            assert len(next(sound.blocks)) == BLOCK_SAMPLES
            with pytest.raises(TooLarge):
                next(sound.blocks)

    @pytest.mark.parametrize("kind", ["wav 16-bit mono 16 kHz", "flac mono 16 kHz", "m4a aac", "mp3 stereo 44.1 kHz"])
    def test_of_most_files_are_known_in_number_before(self, kind: str) -> None:
        with open_sound(io.BytesIO(sound_file(kind, seconds=4.0)), limit_s=60.0) as sound:
            assert sound.stated_s == pytest.approx(4.0, abs=0.2)

    def test_may_be_left_unread(self) -> None:
        file = io.BytesIO(sound_file("flac mono 16 kHz", seconds=25.0))
        with pytest.raises(ZeroDivisionError), open_sound(file, limit_s=60.0) as sound:
            next(sound.blocks)
            raise ZeroDivisionError

        assert not file.closed


MEASURE = """
import struct, sys, tempfile
from transcriber.audio.decode import open_sound
def memory_mib(field):
    with open("/proc/self/status") as status:
        return int(status.read().split(field + ":")[1].split()[0]) / 1024
channels, rate_hz, size = map(int, sys.argv[1:])
with tempfile.TemporaryFile() as file:
    fmt = struct.pack("<IHHIIHH", 16, 1, channels, rate_hz, rate_hz * channels * 2, channels * 2, 16)
    file.write(b"RIFF" + struct.pack("<I", size) + b"WAVEfmt " + fmt + b"data" + struct.pack("<I", size))
    file.truncate(file.tell() + size)
    before = memory_mib("VmRSS")
    with open_sound(file, limit_s=1e6) as sound:
        decoded = sum(block.nbytes for block in sound.blocks) / 2**20
    print(memory_mib("VmHWM") - before, decoded)
"""


@pytest.mark.parametrize("tunables", ["", allocator(2)], ids=["default allocator", "allocator of the image"])
@pytest.mark.parametrize(
    ("channels", "rate_hz", "megabytes"),
    [
        pytest.param(1, 16_000, 100, id="copied"),
        pytest.param(2, 16_000, 100, id="mixed"),
        pytest.param(1, 8_000, 40, id="stretched"),
    ],
)
def test_memory_does_not_rise_with_the_length(channels: int, rate_hz: int, megabytes: int, tunables: str) -> None:
    line = subprocess.run(
        [sys.executable, "-c", MEASURE, str(channels), str(rate_hz), str(megabytes * 1_000_000)],
        env={"PYTHONPATH": str(ROOT), "GLIBC_TUNABLES": tunables},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rise_mib, decoded_mib = map(float, line.split())

    assert decoded_mib > 45
    assert rise_mib < 30
