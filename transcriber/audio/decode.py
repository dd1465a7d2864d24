"""Any file that holds sound -> blocks of samples, bounded in seconds and in memory (PyAV)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, groupby
from typing import BinaryIO

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard

from transcriber.audio.riff import Stretch, find_plain_pcm
from transcriber.audio.signatures import HEAD_BYTES, Likeness, likeness_of
from transcriber.audio.waveform import RATE_HZ, Pcm, Waveform
from transcriber.errors import NotAudio, TooLarge

ACCEPTED = "send WAV, MP3, FLAC, Ogg (Opus, Vorbis), M4A/AAC, WebM, AMR, or a video such as MP4 that has sound"

DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,mov,mp3,mpeg,mpegts,nistsphere,ogg,sox,tta,"
    "voc,w64,wav,wv"
)
"""FFmpeg's names of the containers that are opened: those that hold sound and never name another file. Playlists (hls,
concat, dash, sdp) are absent on purpose: they would let a caller read local files and the network."""

CONTAINER_OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": ""}
"""The second is a second lock: should one of the containers ever name another file, nothing may open it."""

HONEST = frozenset({"flac", "mov,mp4,m4a,3gp,3g2,mj2"})
"""Containers whose stated length was written by whoever knew it, not guessed from a bit rate or left by a pipe."""

DOUBT = 2
"""A stated length is believed to be too long only beyond this many times the limit."""

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 768_000
"""Sample rates that recordings have. Far below, a few bytes become hours; far above, the filter of the resampler takes
gigabytes (its length is the ratio of the rates)."""

GROUP_SAMPLES = 65_536
"""Samples that are resampled at a time, because a call for each frame costs more than its work; at 64 channels of
double precision 34 MB. The result is the same for any number (FFmpeg's resampler keeps its state)."""

BLOCK_SAMPLES = 10 * RATE_HZ
"""Samples handed on at a time: enough that handing on costs nothing beside the work on them, few enough that whoever
waits for a thread at work on a block waits some 15 ms."""

PACKED_FLOATS = {"flt": "f4", "dbl": "f8"}
"""FFmpeg's names of sample formats -> numpy's."""

LOUDEST = 16_384.0
"""Where floating-point samples are cut, full scale being 1: beyond it the resampler's sum may leave the range of the 32
bits in which it is rounded, and come out with the wrong sign."""

LARGEST_ALLOCATION_BYTES = 256 * 1024 * 1024
"""The most that FFmpeg may ask of the memory at once. Its own limit is 2 GB, and some readers clear as much as a header
of a hundred bytes tells them to (`ff_read_riff_info`); the tables of a long film take some tens of megabytes."""

DAMAGE = (FFmpegError, IndexError)
"""How a container ends early. The second is PyAV's (`InputContainer.demux`, 18.1) over tracks that turn up only in the
middle of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A file that is being decoded.

    Attributes:
        stated_s: How long the file says it is, in seconds; some guess, some lie. None where it says nothing.
        blocks: Its samples, mono, 16 kHz, 16 bit, `BLOCK_SAMPLES` at a time, the last block what is left; to be read
            once, while the file is open. Each block is an array of its own.
    """

    stated_s: float | None
    blocks: Iterator[Pcm]


@contextmanager
def open_sound(file: BinaryIO, *, limit_s: float) -> Iterator[Sound]:
    """Lend the sound of a file, which is decoded as it is asked for.

    The first sound track counts. Samples are those of `faster_whisper.audio.decode_audio`, but for damaged files: what
    comes after a damaged frame is kept, and samples that are no numbers are silence.

    Args:
        file: Seekable, read from its beginning; stays open.
        limit_s: The longest recording that is taken, in seconds.

    Raises:
        NotAudio: Nothing in the file can be decoded to sound; the message says what the file looks like. Some files
            tell only when their blocks have been read.
        TooLarge: The recording states that it is much longer than `limit_s`; or, from its blocks, it is longer. No more
            than `limit_s` is decoded to find out.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not head:
        raise NotAudio(f"there are no bytes to decode; {ACCEPTED}")
    likeness = likeness_of(head)
    stretch = find_plain_pcm(file)
    if stretch:
        yield plain_sound(file, stretch, limit_s=limit_s)
        return
    _bound_allocations()
    file.seek(0)
    try:
        with av.open(file, mode="r", metadata_errors="ignore", container_options=CONTAINER_OPTIONS) as container:
            track = _first_track(container, likeness=likeness)
            stated_s = float(track.duration * track.time_base) if track.duration and track.time_base else None
            if stated_s and container.format.name in HONEST:
                _refuse(stated_s / DOUBT, limit_s)
            pieces = _mixed(_frames(container, track))
            yield Sound(stated_s=stated_s, blocks=_blocks(pieces, limit_s=limit_s, likeness=likeness))
    except FFmpegError as error:
        raise _nothing_in(likeness) from error


def plain_sound(file: BinaryIO, stretch: Stretch, *, limit_s: float) -> Sound:
    """Return the sound of a file that `find_plain_pcm` has found to need no decoder; the rest is as in `open_sound`."""
    duration_s = stretch.size_bytes / 2 / RATE_HZ
    _refuse(duration_s, limit_s)
    return Sound(stated_s=duration_s, blocks=_plain_blocks(file, stretch))


def decode(file: BinaryIO, *, limit_s: float) -> Waveform:
    """Decode a whole file at once: all the blocks of `open_sound`, which says what is taken and what is refused."""
    with open_sound(file, limit_s=limit_s) as sound:
        return Waveform(pcm=np.concatenate(list(sound.blocks)))


def _blocks(pieces: Iterator[bytes | memoryview], *, limit_s: float, likeness: Likeness) -> Iterator[Pcm]:
    """Gather pieces of any length to blocks of one length."""
    size_bytes = 2 * BLOCK_SAMPLES
    gathered = bytearray()
    total_bytes = 0
    for piece in pieces:
        total_bytes += len(piece)
        _refuse(total_bytes / 2 / RATE_HZ, limit_s)
        gathered += piece
        while len(gathered) >= size_bytes:
            yield np.frombuffer(gathered[:size_bytes], np.int16)
            del gathered[:size_bytes]
    if not total_bytes:
        raise _nothing_in(likeness)
    if gathered:
        yield np.frombuffer(gathered, np.int16)


def _refuse(duration_s: float, limit_s: float) -> None:
    if duration_s > limit_s:
        raise TooLarge(
            f"the audio is longer than {limit_s:,.10g} seconds, the most this container takes; cut it into parts"
        )


def _plain_blocks(file: BinaryIO, stretch: Stretch) -> Iterator[Pcm]:
    """Read what is samples already."""
    if not stretch.size_bytes:
        file.seek(0)
        raise _nothing_in(likeness_of(file.read(HEAD_BYTES)))
    file.seek(stretch.offset)
    left = stretch.size_bytes
    while left and (block := file.read(min(left, 2 * BLOCK_SAMPLES))):
        yield np.frombuffer(block, np.int16)
        left -= len(block)


def _bound_allocations() -> None:
    """Set FFmpeg's limit, which belongs to the process and which PyAV does not offer; setting it again is harmless."""
    bound = ctypes.CDLL(av._core.__file__).av_max_alloc  # noqa: SLF001 - any of PyAV's libraries leads to libavutil
    bound.argtypes = [ctypes.c_size_t]
    bound.restype = None
    bound(LARGEST_ALLOCATION_BYTES)


def _first_track(container: InputContainer, *, likeness: Likeness) -> AudioStream:
    """Return the first sound track, and let the demuxer skip all others: a film is mostly pictures."""
    if not container.streams.audio:
        raise NotAudio(f"the file {likeness} and has no sound track; {ACCEPTED}")
    track = container.streams.audio[0]
    if track.codec_context is None:
        raise NotAudio(f"the file {likeness}, and its sound is encrypted or of a codec unknown here; {ACCEPTED}")
    for other in container.streams:
        if other.index != track.index:
            other.discard = Discard.all
    return track


def _frames(container: InputContainer, track: AudioStream) -> Iterator[AudioFrame]:
    """Yield what can be decoded: a damaged packet is left out, a damaged container ends there."""
    with suppress(*DAMAGE):
        for packet in container.demux(track):
            with suppress(FFmpegError):
                yield from packet.decode()


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the frames of a run have in common."""

    format: str
    layout: str
    channels: int
    rate_hz: int

    def refuse(self) -> None:
        if not LOWEST_RATE_HZ <= self.rate_hz <= HIGHEST_RATE_HZ:
            raise NotAudio(
                f"the sound claims a sample rate of {self.rate_hz:,} Hz; send one from {LOWEST_RATE_HZ:,} to "
                f"{HIGHEST_RATE_HZ:,} Hz"
            )


def _kind_of(frame: AudioFrame) -> _Kind:
    return _Kind(frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate)


def _mixed(frames: Iterator[AudioFrame]) -> Iterator[memoryview]:
    """Turn frames of any kind into mono, 16 kHz, 16 bit; a piece is good until the next is asked for.

    Each run of frames of one kind gets a resampler and a queue of its own: FFmpeg's resampler keeps the setup of the
    first frame, and its queue reads beyond the end of a frame with fewer channels. A run that cannot be mixed is left
    out as long as there is another that can.
    """
    first: NotAudio | None = None
    is_empty = True
    for kind, run in groupby(frames, key=_kind_of):
        try:
            kind.refuse()
            for piece in _mixed_run(run, kind):
                is_empty = False
                yield piece
        except NotAudio as error:
            first = first or error
    if first and is_empty:
        raise first


def _mixed_run(run: Iterator[AudioFrame], kind: _Kind) -> Iterator[memoryview]:
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    try:
        for group in chain(_groups(run), [None]):
            for mono in resampler.resample(group):
                yield memoryview(mono.planes[0])[: 2 * mono.samples]
    except FFmpegError as error:
        raise NotAudio(
            f"the sound has {kind.channels} channels in an order that cannot be mixed down to one; send mono or stereo"
        ) from error


def _groups(run: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
    queue = AudioFifo()
    for frame in run:
        frame.pts = None  # samples follow each other, whatever the time stamps say
        queue.write(frame)
        if queue.samples >= GROUP_SAMPLES and (group := queue.read()):
            yield _numbers_only(group)
    if rest := queue.read():
        yield _numbers_only(rest)


def _numbers_only(frame: AudioFrame) -> AudioFrame:
    """Silence what is no number, in place, in the samples of PCM that is stored as floats.

    Such files carry whatever bits their writer left; one NaN would spoil all samples within reach of the resampler's
    filter. Decoders of compressed sound compute their floats, in planes.
    """
    if frame.format.name in PACKED_FLOATS:
        samples = np.frombuffer(memoryview(frame.planes[0]), dtype=PACKED_FLOATS[frame.format.name])
        np.nan_to_num(samples, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        np.clip(samples, -LOUDEST, LOUDEST, out=samples)
    return frame


def _nothing_in(likeness: Likeness) -> NotAudio:
    if likeness.holds_sound:
        return NotAudio(f"the file {likeness}, but no sound can be got out of it: it is empty, damaged or cut short")
    return NotAudio(f"the file {likeness}, and no sound can be got out of it; {ACCEPTED}")
