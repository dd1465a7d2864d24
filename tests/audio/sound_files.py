"""Small sound files of many kinds, made with PyAV's own encoders."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.audio.fifo import AudioFifo
from av.audio.resampler import AudioResampler

KINDS = {
    "wav 16-bit mono 16 kHz": ("wav", "pcm_s16le", 16_000, "mono"),
    "wav 16-bit stereo 44.1 kHz": ("wav", "pcm_s16le", 44_100, "stereo"),
    "wav 16-bit 5.1 48 kHz": ("wav", "pcm_s16le", 48_000, "5.1"),
    "wav 8-bit mono 11 kHz": ("wav", "pcm_u8", 11_025, "mono"),
    "wav 24-bit mono 8 kHz": ("wav", "pcm_s24le", 8_000, "mono"),
    "wav float stereo 48 kHz": ("wav", "pcm_f32le", 48_000, "stereo"),
    "wav double mono 16 kHz": ("wav", "pcm_f64le", 16_000, "mono"),
    "wav mu-law": ("wav", "pcm_mulaw", 8_000, "mono"),
    "mp3 stereo 44.1 kHz": ("mp3", "libmp3lame", 44_100, "stereo"),
    "mp3 mono 16 kHz": ("mp3", "libmp3lame", 16_000, "mono"),
    "flac stereo 44.1 kHz": ("flac", "flac", 44_100, "stereo"),
    "flac mono 16 kHz": ("flac", "flac", 16_000, "mono"),
    "ogg vorbis": ("ogg", "vorbis", 44_100, "stereo"),
    "ogg opus": ("ogg", "libopus", 48_000, "stereo"),
    "m4a aac": ("ipod", "aac", 44_100, "stereo"),
    "m4a alac": ("ipod", "alac", 44_100, "stereo"),
    "aac adts": ("adts", "aac", 22_050, "mono"),
    "webm opus": ("webm", "libopus", 48_000, "mono"),
    "amr narrow-band": ("amr", "libopencore_amrnb", 8_000, "mono"),
    "3gp amr": ("3gp", "libopencore_amrnb", 8_000, "mono"),
    "aiff": ("aiff", "pcm_s16be", 16_000, "mono"),
    "au": ("au", "pcm_mulaw", 8_000, "mono"),
    "caf": ("caf", "pcm_s16le", 16_000, "mono"),
    "w64": ("w64", "pcm_s16le", 16_000, "mono"),
    "avi mp3": ("avi", "libmp3lame", 44_100, "stereo"),
    "asf": ("asf", "wmav2", 44_100, "stereo"),
    "mpeg-ts aac": ("mpegts", "aac", 44_100, "stereo"),
}


def tones(*, rate_hz: int, layout: str, seconds: float) -> npt.NDArray[np.float32]:
    """Rising tones with a little noise, one per channel, interleaved, of shape (1, samples * channels)."""
    channels = av.AudioLayout(layout).nb_channels
    time_s = np.arange(int(rate_hz * seconds)) / rate_hz
    noise = np.random.default_rng(7).standard_normal((len(time_s), channels)) * 0.01
    pitches = 200 + 100 * np.arange(channels)
    waves = 0.4 * np.sin(2 * np.pi * pitches * time_s[:, None] * (1 + time_s[:, None] / 9)) + noise
    return waves.astype(np.float32).reshape(1, -1)


def sound_file(kind: str, *, seconds: float = 1.5) -> bytes:
    return encoded(*KINDS[kind], seconds=seconds)


def encoded(
    container: str, codec: str, rate_hz: int, layout: str, *, seconds: float = 1.5, video: bool = False
) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        pictures = picture_track(out) if video else None
        track = out.add_stream(codec, rate=rate_hz, layout=layout, options={"strict": "experimental", "b": "64k"})
        out.start_encoding()
        if pictures:
            mux_pictures(out, pictures)
        frame = av.AudioFrame.from_ndarray(tones(rate_hz=rate_hz, layout=layout, seconds=seconds), "flt", layout)
        frame.sample_rate = rate_hz
        converter = AudioResampler(track.codec_context.codec.audio_formats[0].name, layout, rate_hz)
        queue = AudioFifo()
        for converted in converter.resample(frame) + converter.resample(None):
            converted.pts = None
            queue.write(converted)
        for piece in queue.read_many(track.codec_context.frame_size or 1024, partial=True):
            piece.pts = None
            out.mux(track.encode(piece))
        out.mux(track.encode(None))
    return file.getvalue()


def film(*, sound: bool) -> bytes:
    if sound:
        return encoded("mp4", "aac", 44_100, "stereo", video=True)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        mux_pictures(out, picture_track(out))
    return file.getvalue()


def picture_track(out: av.container.OutputContainer) -> av.VideoStream:
    track = out.add_stream("mpeg4", rate=10)
    track.width, track.height, track.pix_fmt = 32, 32, "yuv420p"
    return track


def mux_pictures(out: av.container.OutputContainer, track: av.VideoStream) -> None:
    for number in range(10):
        picture = av.VideoFrame(32, 32, "yuv420p")
        picture.pts, picture.time_base = number, Fraction(1, 10)
        out.mux(track.encode(picture))
    out.mux(track.encode(None))


def chunk(kind: bytes, body: bytes, *, size: int | None = None) -> bytes:
    """A RIFF chunk, padded to an even length; `size` is what its header claims."""
    return kind + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def fmt(*, tag: int = 1, channels: int = 1, rate_hz: int = 16_000, bits: int = 16) -> bytes:
    width = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * width % 2**32, width % 2**16, bits))


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def noise(samples: int) -> bytes:
    """16-bit samples, little endian."""
    return (np.random.default_rng(3).standard_normal(samples) * 3000).astype("<i2").tobytes()
