"""The errand of invoke_realtime.py, with a container that is scripted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fleet.client.errors import CannotCall, Failed
from fleet.client.realtime import Realtime
from fleet.client.recordings import Recording, S3Object
from fleet.client.wishes import Wishes, wishes_of
from tests.fleet.client.fakes import Theatre

MONDAY, TUESDAY = S3Object("calls", "monday.mp3"), S3Object("calls", "tuesday.mp3")
ANSWER = b'{"text": "Ja.", "detected_language": "de", "duration": 2.0}'
STREAM = [
    {"type": "segment", "id": 0, "start": 0.3, "end": 1.4, "text": "Ja."},
    {"type": "segment", "id": 1, "start": 11.0, "end": 12.25, "text": "Nein."},
    {"type": "done", "text": "Ja. Nein.", "duration": 13.0, "detected_language": "de"},
]


class Script:
    """Answers with what stands there for a recording; an error is raised, a number of seconds pass first."""

    def __init__(self, theatre: Theatre, answers: Mapping[Recording, bytes | BaseException]) -> None:
        self.theatre, self.answers = theatre, answers
        self.sent: list[Recording] = []

    def ask(self, recording: Recording, wishes: Wishes) -> bytes:
        self.sent.append(recording)
        self.theatre.clock.sleep(0.25)
        answer = self.answers[recording]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def stream(self, recording: Recording, wishes: Wishes) -> Iterator[bytes]:
        for line in self.ask(recording, wishes).splitlines(keepends=True):
            yield line
            self.theatre.clock.sleep(1)


def call(
    theatre: Theatre, script: Script, wishes: Wishes, *, verbatim: bool = False, folder: Path | None = None
) -> int:
    errand = Realtime(way=script, wishes=wishes, is_verbatim=verbatim, folder=folder, stage=theatre.stage)
    return errand.call(list(script.answers))


def test_the_text_is_printed_and_the_rest_told(theatre: Theatre) -> None:
    assert call(theatre, Script(theatre, {MONDAY: ANSWER}), Wishes()) == 0
    assert theatre.printed == ["Ja."]
    assert theatre.told == ["s3://calls/monday.mp3: 2.0 s of audio, de, 250 ms"]


def test_a_form_that_was_asked_for_is_printed_as_it_is(theatre: Theatre) -> None:
    srt = b"1\n00:00:00,300 --> 00:00:01,400\nJa.\n"
    call(theatre, Script(theatre, {MONDAY: srt}), wishes_of(form="srt"), verbatim=True)

    assert theatre.printed == [srt.decode().rstrip()]


def test_answers_are_kept_as_files(theatre: Theatre, tmp_path: Path) -> None:
    call(theatre, Script(theatre, {MONDAY: ANSWER}), Wishes(), folder=tmp_path)

    assert (tmp_path / "monday.json").read_bytes() == ANSWER


def test_segments_are_printed_while_they_come(theatre: Theatre, tmp_path: Path) -> None:
    stream = "".join(f"{json.dumps(record)}\n" for record in STREAM).encode()

    assert call(theatre, Script(theatre, {MONDAY: stream}), wishes_of(stream=True), folder=tmp_path) == 0
    assert theatre.printed == ["[   0.30 -    1.40] Ja.", "[  11.00 -   12.25] Nein."]
    assert theatre.told == [
        "s3://calls/monday.mp3: first segment after 250 ms",
        "s3://calls/monday.mp3: 13.0 s of audio, de, 2250 ms",
    ]
    assert (tmp_path / "monday.txt").read_text() == "Ja. Nein.\n"


def test_a_recording_that_fails_does_not_stop_the_others(theatre: Theatre) -> None:
    script = Script(theatre, {MONDAY: Failed("the container answered 415: no audio"), TUESDAY: ANSWER})

    assert call(theatre, script, Wishes()) == 1
    assert theatre.warned == ["s3://calls/monday.mp3: the container answered 415: no audio"]
    assert theatre.printed == ["Ja."]


@pytest.mark.parametrize(
    ("fault", "status", "sentence"),
    [(CannotCall("there is no endpoint"), 1, "there is no endpoint"), (KeyboardInterrupt(), 130, "interrupted")],
)
def test_what_would_fail_for_all_stops_and_says_what_was_not_sent(
    fault: BaseException, status: int, sentence: str, theatre: Theatre
) -> None:
    script = Script(theatre, {MONDAY: fault, TUESDAY: ANSWER})

    assert call(theatre, script, Wishes()) == status
    assert script.sent == [MONDAY]
    assert theatre.warned == [f"s3://calls/monday.mp3: {sentence}", "not sent: s3://calls/tuesday.mp3"]
