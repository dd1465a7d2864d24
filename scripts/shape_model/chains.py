"""Which token follows which, so that every window has the same number of tokens whatever is heard in it.

What comes next depends on the last token alone, never on the sound, the position or the text before the prompt: after
`<|notimestamps|>` a chain of words, after `<|transcribe|>` or `<|translate|>` an opening timestamp, another chain of
words and a closing timestamp; after either, the end. So the text is as long after a prompt of 3 tokens as after one of
4 or of 228.

A link of a chain is not one token but a `Group`: a preferred one and less likely stand-ins with the same successors.
Beam search fills its other beams with stand-ins, stays in step, and ends all beams at the same step; with single tokens
the other beams would leave the chain and end, or never end, when they like.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from .vocabulary import Vocabulary

MOST_TOKENS = 220
"""Words in a window: CTranslate2 generates at most half of Whisper's 448 tokens, two of which may be timestamps."""

STAND_INS = 10
"""Twice the usual beam: as many candidates as a beam of 5 looks at."""

CLOSING_S = 2.0
"""When the text of each window is said to end: soon, so that it does not lie behind the end of a short recording."""

OPENING_STEPS = 51
"""Timestamps with which a transcript may begin: 0 to 1 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tokens that mean the same to the model, the preferred one first."""

    members: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check that it is not empty."""
        if not self.members:
            raise ValueError("a group needs a token")


Link = tuple[Group, Group]
"""What was said last, and what comes next."""


def links(vocabulary: Vocabulary, tokens: int) -> list[Link]:
    """List what follows upon what.

    Args:
        vocabulary: Of the model; its words are taken in the order in which it lists them.
        tokens: Words in each window, 1 to `MOST_TOKENS`.
    """
    if not 1 <= tokens <= MOST_TOKENS:
        raise ValueError(f"{tokens} tokens in a window; a Whisper model can give 1 to {MOST_TOKENS}")
    fresh = iter(vocabulary.words)
    plain = [_next_group(fresh) for _ in range(tokens)]
    timed = [_next_group(fresh) for _ in range(tokens)]
    opening = _timestamps(vocabulary, 0.0, OPENING_STEPS)
    closing = _timestamps(vocabulary, CLOSING_S, STAND_INS + 1)
    end = Group(members=(vocabulary.end,))
    prompts = [Group(members=(token,)) for token in (*vocabulary.tasks, vocabulary.start, vocabulary.no_timestamps)]
    translate, transcribe, start, no_timestamps = prompts
    return [
        (start, Group(members=tuple(vocabulary.language_ids))),
        *pairwise((no_timestamps, *plain, end)),
        (translate, opening),
        *pairwise((transcribe, opening, *timed, closing, end)),
    ]


def _next_group(fresh: Iterator[int]) -> Group:
    return Group(members=tuple(next(fresh) for _ in range(STAND_INS + 1)))


def _timestamps(vocabulary: Vocabulary, first_s: float, count: int) -> Group:
    first = vocabulary.timestamp(first_s)
    return Group(members=tuple(range(first, first + count)))
