from __future__ import annotations

import pytest

from transcriber.audio.sources import Upload
from transcriber.options import DecodingOptions, ResponseFormat, Task, TranscriptionOptions
from transcriber.wire import raw_body
from transcriber.wire.fields import OptionFields
from transcriber.wire.job import Answer, Defaults, Job

PLAIN = TranscriptionOptions()


def parse(upload: Upload, attributes: str | None, defaults: Defaults, *, accept: str | None = None) -> Job:
    return raw_body.parse(upload, attributes=attributes, accept=accept, defaults=defaults)


def test_bytes_alone_are_a_job(upload: Upload, defaults: Defaults) -> None:
    assert parse(upload, None, defaults) == Job(
        source=upload,
        options=PLAIN,
        answer=Answer(format=ResponseFormat.JSON, with_segments=True, with_words=False),
    )


def test_every_option_can_stand_in_the_attributes(upload: Upload, defaults: Defaults) -> None:
    attributes = (
        "task=translate;language=german;beam_size=1;vad_filter=false;return_segments=False;word_timestamps=true;"
        "initial_prompt=a%3Bb%20%C3%A9%25=c;hotwords=x y;temperature=0,0.5;condition_on_previous_text=true;"
        "compression_ratio_threshold=2;log_prob_threshold=null;no_speech_threshold=0.5;response_format=vtt;stream=false"
    )
    assert {part.partition("=")[0] for part in attributes.split(";")} == set(OptionFields.model_fields)

    assert parse(upload, attributes, defaults, accept="text/plain") == Job(
        source=upload,
        options=TranscriptionOptions(
            language="de",
            vad_filter=False,
            condition_on_previous_text=True,
            decoding=DecodingOptions(
                task=Task.TRANSLATE,
                beam_size=1,
                temperatures=(0.0, 0.5),
                initial_prompt="a;b é%=c",
                hotwords="x y",
                word_timestamps=True,
                compression_ratio_threshold=2.0,
                log_prob_threshold=None,
                no_speech_threshold=0.5,
            ),
        ),
        answer=Answer(format=ResponseFormat.VTT, with_segments=False, with_words=True),
    )


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        " ; ;",
        "c000b4f9-51c4-4e50-b7d2-0d9b1e9e6a55",
        "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1",
        "Self=1-67891234-12456789abcdef012345678;Lineage=a87bd80c:1",
        "route=/v1/audio/transcriptions",
        "x-request-id=17",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_what_belongs_to_tracing_and_routing_is_left_alone(attributes: str, upload: Upload, defaults: Defaults) -> None:
    assert parse(upload, attributes, defaults).options == PLAIN


def test_options_and_foreign_parts_may_stand_together(upload: Upload, defaults: Defaults) -> None:
    job = parse(upload, " Root=1-678 ; language = fr ;", defaults)

    assert job.options.language == "fr"


def test_accept_chooses_the_form(upload: Upload, defaults: Defaults) -> None:
    assert parse(upload, None, defaults, accept="text/vtt").answer.format is ResponseFormat.VTT


@pytest.mark.parametrize(
    ("first_bytes", "expected"),
    [
        (b'{"s3_uri":', True),
        (b' \r\n\t{"', True),
        (b"\xef\xbb\xbf{", True),
        (b"", False),
        (b"   ", False),
        (b"RIFF{", False),
        (b"ID3\x04", False),
        (b"[1]", False),
    ],
)
def test_a_brace_first_is_json(first_bytes: bytes, expected: bool) -> None:
    assert raw_body.looks_like_json(first_bytes) is expected
