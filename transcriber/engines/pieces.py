"""Tokens of a transducer -> words, sentences, segments, and when they were said."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from transcriber.engines.tdt import Token
from transcriber.errors import ModelUnavailable
from transcriber.transcript import Segment, Word

BLANK = "<blk>"

SPACE = "\u2581"
"""What SentencePiece writes for the space before a word."""

CLOSING = frozenset(".,;:?!…%)]}»”")
"""A piece of nothing but these belongs to the word before it, whatever stands between them."""

ENDING = frozenset(".?!…")

QUOTES = "\"'»”’)"

PAUSE_S = 2.0
"""Who says nothing for so long has ended a sentence, whether or not a full stop was written."""

TRAILING_SILENCE_S = 1.0
"""A window that ends with so much silence was not cut off in the middle of a word."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The pieces that a model writes.

    Attributes:
        pieces: In the order of their ids, with the space before a word; empty for what is no text.
        blank: The id of the piece that says nothing.
    """

    pieces: tuple[str, ...]
    blank: int

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """Read a file with a piece and its id on each line.

        Raises:
            ModelUnavailable: It is no such file.
        """
        ids: dict[int, str] = {}
        try:
            for line in path.read_text("utf-8").splitlines():
                piece, number = line.split(" ")
                ids[int(number)] = piece
        except (OSError, ValueError) as error:
            raise ModelUnavailable(f"{path.name} must have a piece and its number on each line") from error
        blanks = [number for number, piece in ids.items() if piece == BLANK]
        if sorted(ids) != list(range(len(ids))) or len(blanks) != 1:
            raise ModelUnavailable(f"{path.name} must number its pieces from 0, each once, and hold {BLANK} once")
        return cls(tuple(_text(ids[number]) for number in range(len(ids))), blanks[0])

    @property
    def is_english(self) -> bool:
        """Whether it has no letters beyond those of English, as the vocabulary of v2, which has 1,024 pieces.

        That of v3 (8,192 pieces) writes Greek and Cyrillic too.
        """
        return not any("\u0370" <= letter <= "\u04ff" for piece in self.pieces for letter in piece)


def _text(piece: str) -> str:
    is_control = len(piece) > 2 and piece.startswith("<") and piece.endswith(">")
    return "" if is_control else piece.replace(SPACE, " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A word with the tokens it is made of."""

    word: Word
    tokens: tuple[Token, ...]

    @property
    def may_end_sentence(self) -> bool:
        """Whether it ends with a mark that ends sentences."""
        return self.word.text.rstrip(QUOTES)[-1:] in ENDING


def words_of(tokens: Sequence[Token], vocabulary: Vocabulary, *, frame_s: float, length_s: float) -> list[Said]:
    """Join tokens to words and tell when each was said.

    A word begins with its first token that is heard (a mark is not) and ends as many frames behind its last one as the
    network went on, at the latest with the next word. Words of one frame share it evenly.

    Args:
        tokens: Of one window.
        vocabulary: What they mean.
        frame_s: Length of an encoder's frame.
        length_s: Of the window.

    Returns:
        In order; times ascend, every word takes some, and none ends behind the window.

    Source: NeMo's `RNNTDecoding` for TDT, with marks taken out of the times as its `_refine_timestamps_tdt` does.
    """
    groups = [(text, group) for text, group in _grouped(tokens, vocabulary) if text.strip()]
    spans = [_heard(group, vocabulary) for _text, group in groups]
    words: list[Said] = []
    for begin, run in groupby(range(len(groups)), key=lambda i: spans[i][0]):
        shared = list(run)
        following = spans[shared[-1] + 1][0] if shared[-1] + 1 < len(groups) else math.inf
        end = min(following, max(spans[i][1] for i in shared))
        begin_s = begin * frame_s
        each_s = (min(end * frame_s, length_s) - begin_s) / len(shared)
        for place, i in enumerate(shared):
            text, group = groups[i]
            word = Word(
                start_s=begin_s + place * each_s,
                end_s=begin_s + (place + 1) * each_s,
                text=f" {text.lstrip()}",
                probability=sum(math.exp(token.logprob) for token in group) / len(group),
            )
            words.append(Said(word=word, tokens=tuple(group)))
    return words


def _grouped(tokens: Sequence[Token], vocabulary: Vocabulary) -> Iterator[tuple[str, list[Token]]]:
    text, group = "", list[Token]()
    for token in tokens:
        piece = vocabulary.pieces[token.id]
        is_mark = bool(piece.strip()) and set(piece.strip()) <= CLOSING
        if piece.startswith(" ") and not is_mark and group:
            yield text, group
            text, group = "", []
        if piece:
            text += piece.strip() if is_mark else piece
            group.append(token)
    if group:
        yield text, group


def _heard(group: Sequence[Token], vocabulary: Vocabulary) -> tuple[int, int]:
    """Return a word's first frame, and the frame behind its last."""
    voiced = [token for token in group if any(map(str.isalnum, vocabulary.pieces[token.id]))] or group
    return voiced[0].frame, max(token.frame + max(1, token.frames) for token in voiced)


def settled(words: Sequence[Said], *, length_s: float) -> tuple[int, float]:
    """Tell how far a window that was cut off can be believed: a word at the cut may have been cut in two.

    The end of a sentence is the best place to go on from, then the widest gap between two words; in the second half of
    the window.

    Returns:
        How many words are settled, and where the next window is to begin, in seconds of this one.
    """
    if len(words) < 2 or length_s - words[-1].word.end_s >= TRAILING_SILENCE_S:
        return len(words), length_s
    late = [i for i in range(1, len(words)) if words[i].word.start_s >= length_s / 2] or [len(words) - 1]
    cut = max(late, key=lambda i: (_is_sentence_end(words[i - 1], words[i]), _gap_s(words[i - 1], words[i]), i))
    return cut, (words[cut - 1].word.end_s + words[cut].word.start_s) / 2


def segments_of(words: Sequence[Said], *, with_words: bool) -> tuple[Segment, ...]:
    """Split words into sentences.

    Args:
        words: Of one window.
        with_words: Whether the caller wants them in the segments.
    """
    if not words:
        return ()
    logprobs = [token.logprob for said in words for token in said.tokens]
    avg_logprob = sum(logprobs) / len(logprobs)
    text = "".join(said.word.text for said in words).strip().encode()
    compression_ratio = len(text) / len(zlib.compress(text))
    return tuple(
        Segment(
            start_s=sentence[0].word.start_s,
            end_s=sentence[-1].word.end_s,
            text="".join(said.word.text for said in sentence),
            words=tuple(said.word for said in sentence) if with_words else None,
            tokens=tuple(token.id for said in sentence for token in said.tokens),
            avg_logprob=avg_logprob,
            compression_ratio=compression_ratio,
        )
        for sentence in _sentences(words)
    )


def _sentences(words: Sequence[Said]) -> Iterator[list[Said]]:
    sentence = [words[0]]
    for before, said in pairwise(words):
        if _is_sentence_end(before, said) or _gap_s(before, said) >= PAUSE_S:
            yield sentence
            sentence = []
        sentence.append(said)
    yield sentence


def _is_sentence_end(before: Said, following: Said) -> bool:
    """A small letter behind it tells an abbreviation from a full stop."""
    return before.may_end_sentence and not following.word.text.strip()[0].islower()


def _gap_s(before: Said, following: Said) -> float:
    return following.word.start_s - before.word.end_s
