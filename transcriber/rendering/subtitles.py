"""Segments -> cues that can be read from a screen -> SubRip and WebVTT.

Sources: SubRip as players read it; WebVTT, W3C, §4 (https://www.w3.org/TR/webvtt1/); the limits of a cue from Netflix,
"Timed Text Style Guide: General Requirements".
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from transcriber.rendering.timestamps import milliseconds, srt_clock, vtt_clock
from transcriber.transcript import Segment

LINE_COLUMNS = 42
"""Columns of a line; a Chinese, Japanese or Korean character takes two."""

CUE_COLUMNS = 2 * LINE_COLUMNS
"""Columns of a cue: two lines."""

LONGEST_MS = 7000
"""How long a cue may stand."""

SHORTEST_MS = 833
"""How long a cue stands at least: 5/6 of a second."""

PAUSE_MS = 1500
"""A pause that ends a cue, so that nothing is shown long before it is said. Chosen by eye."""

SENTENCE_ENDS = frozenset(".?!…。？！")
CLAUSE_ENDS = frozenset(",;:、，；：")
CLOSERS = frozenset("、。，．！？；：」』）】〉》〕…ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ")
OPENERS = frozenset("「『（【〈《〔")
"""What must not begin, and what must not end a line in Chinese and Japanese (JIS X 4051)."""

CONTROLS = frozenset({"Cc", "Cs"})
INVISIBLE = CONTROLS | {"Cf", "Mn", "Me"}
"""Unicode categories that are left out, and that take no column."""

SENTENCE_BONUS = 24
CLAUSE_BONUS = 12
"""Columns by which a cut may miss the even share to fall on the end of a sentence or a clause. Chosen by eye."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """What stands on the screen at one time.

    Attributes:
        start_ms: Milliseconds on the recording's clock.
        end_ms: Later than `start_ms`.
        lines: One or two, not empty, of at most `LINE_COLUMNS` columns, without `-->`.
    """

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """The smallest text that is never broken: a word, or one character of a script without spaces.

    Attributes:
        text: Without white space at its ends, not empty.
        columns: Its width.
        is_spaced: A space stands before it unless it begins a line.
    """

    text: str
    columns: int
    is_spaced: bool
    start_ms: int
    end_ms: int


def cues_of(segments: Iterable[Segment]) -> list[Cue]:
    """Cut segments into cues.

    A segment is cut at its pauses; what is too wide or too long then is cut between words, into even shares, rather at
    the end of a sentence or a clause than elsewhere. Where the words' times are not known, there are no pauses, and
    time is shared out by columns.

    Args:
        segments: On the recording's clock, ascending by start.

    Returns:
        Cues in order that do not overlap; each stands from `SHORTEST_MS` to `LONGEST_MS`. A cue that is too short to be
        read takes time from the silence after it, and where there is none the next one begins later.
    """
    cues = [
        Cue(start_ms=share[0].start_ms, end_ms=share[-1].end_ms, lines=_lines(share))
        for segment in segments
        for run in _runs(list(_pieces(segment)))
        for share in _shares(run)
    ]
    return list(_in_turn(cues))


def srt(cues: Sequence[Cue]) -> str:
    """Write cues as SubRip; the empty string when there are none."""
    return "\n".join(
        f"{number}\n{srt_clock(cue.start_ms)} --> {srt_clock(cue.end_ms)}\n{_block(cue.lines)}"
        for number, cue in enumerate(cues, start=1)
    )


def vtt(cues: Sequence[Cue]) -> str:
    """Write cues as WebVTT; only the header when there are none."""
    blocks = [
        f"{vtt_clock(cue.start_ms)} --> {vtt_clock(cue.end_ms)}\n{_block(map(_escaped, cue.lines))}" for cue in cues
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _block(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _escaped(line: str) -> str:
    """Write a line such that WebVTT sees no tag and no character reference in it."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _in_turn(cues: Sequence[Cue]) -> Iterator[Cue]:
    """Give every cue its time on the screen, one after the other."""
    free_ms = 0
    for cue, following in itertools.zip_longest(cues, cues[1:]):
        start_ms = max(cue.start_ms, free_ms)
        latest_ms = min(start_ms + LONGEST_MS, following.start_ms if following else math.inf)
        free_ms = int(max(min(cue.end_ms, latest_ms), start_ms + SHORTEST_MS))
        yield replace(cue, start_ms=start_ms, end_ms=free_ms)


def _runs(pieces: Sequence[_Piece]) -> Iterator[Sequence[_Piece]]:
    """Cut a segment at its pauses."""
    begin = 0
    for end in range(1, len(pieces) + 1):
        if end == len(pieces) or pieces[end].start_ms - pieces[end - 1].end_ms >= PAUSE_MS:
            yield pieces[begin:end]
            begin = end


def _shares(pieces: Sequence[_Piece]) -> Iterator[Sequence[_Piece]]:
    """Cut a run of speech into what single cues can hold."""
    while pieces:
        cut = _cut(pieces)
        yield pieces[:cut]
        pieces = pieces[cut:]


def _cut(pieces: Sequence[_Piece]) -> int:
    """Say how many pieces the next cue takes."""
    fitting = _fitting(pieces)
    if fitting == len(pieces):
        return fitting
    widths = list(itertools.accumulate(piece.columns + piece.is_spaced for piece in pieces))
    span_ms = pieces[-1].end_ms - pieces[0].start_ms
    cues = max(2, math.ceil(widths[-1] / CUE_COLUMNS), math.ceil(span_ms / LONGEST_MS))
    even = widths[-1] / cues
    return min(range(1, fitting + 1), key=lambda cut: abs(widths[cut - 1] - even) - _bonus(pieces[cut - 1].text))


def _bonus(text: str) -> int:
    last = text.rstrip("\"'”’»)")[-1:]
    return SENTENCE_BONUS if last in SENTENCE_ENDS else CLAUSE_BONUS if last in CLAUSE_ENDS else 0


def _fitting(pieces: Sequence[_Piece]) -> int:
    """Count the pieces from the first on that one cue can hold; one at least."""
    columns, lines = 0, 1
    for count, piece in enumerate(pieces):
        if count > 0 and piece.end_ms - pieces[0].start_ms > LONGEST_MS:
            return count
        columns += piece.columns + (piece.is_spaced and columns > 0)
        if columns > LINE_COLUMNS:
            columns, lines = piece.columns, lines + 1
        if lines > 2:
            return count
    return len(pieces)


def _lines(pieces: Sequence[_Piece]) -> tuple[str, ...]:
    """Write pieces that fit a cue as one line, or as two that are as even as they can be."""
    if _columns(pieces) <= LINE_COLUMNS:
        return (_joined(pieces),)
    middle = min(range(1, len(pieces)), key=lambda cut: max(_columns(pieces[:cut]), _columns(pieces[cut:])))
    return (_joined(pieces[:middle]), _joined(pieces[middle:]))


def _columns(pieces: Sequence[_Piece]) -> int:
    return sum(piece.columns + piece.is_spaced for piece in pieces) - pieces[0].is_spaced


def _joined(pieces: Sequence[_Piece]) -> str:
    line = "".join(" " * piece.is_spaced + piece.text for piece in pieces).lstrip()
    # Both formats would take the arrow for a line of times.
    return line.replace("-->", "→")


def _pieces(segment: Segment) -> Iterator[_Piece]:
    """Break a segment into pieces with times: its words', or its own time shared out by columns."""
    parts = segment.words or (segment,)
    for part in parts:
        start_ms = milliseconds(part.start_s)
        span_ms = max(0, milliseconds(part.end_s) - start_ms)
        atoms = list(_atoms(part.text))
        total = sum(columns for _, columns, _ in atoms)
        before = 0
        for text, columns, is_spaced in atoms:
            yield _Piece(
                text=text,
                columns=columns,
                is_spaced=is_spaced,
                start_ms=start_ms + span_ms * before // total,
                end_ms=start_ms + span_ms * (before + columns) // total,
            )
            before += columns


def _atoms(text: str) -> Iterator[tuple[str, int, bool]]:
    """Break text where a line may end: text, columns, and whether a space stands before it."""
    is_spaced = text[:1].isspace()
    for word in text.split():
        atom, columns = "", 0
        for character in word:
            width = _width(character)
            may_break = (
                width > 0
                and atom != ""
                and (_stands_alone(character) or _stands_alone(atom[-1]))
                and character not in CLOSERS
                and atom[-1] not in OPENERS
            )
            if columns > 0 and (may_break or columns + width > LINE_COLUMNS):
                yield atom, columns, is_spaced
                atom, columns, is_spaced = "", 0, False
            if unicodedata.category(character) not in CONTROLS:
                atom, columns = atom + character, columns + width
        if columns > 0:
            yield atom, columns, is_spaced
        is_spaced = True


def _stands_alone(character: str) -> bool:
    """Tell the scripts that break anywhere. Korean is as wide as they are, but has spaces between its words."""
    return _width(character) == 2 and not "\uac00" <= character <= "\ud7a3"


def _width(character: str) -> int:
    if unicodedata.category(character) in INVISIBLE:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
