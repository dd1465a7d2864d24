from __future__ import annotations

import pytest

from transcriber.transcript import Segment, Transcript, Word


@pytest.fixture
def speech() -> Transcript:
    """Two sentences, one of them too wide for a cue, with everything that a format could stumble over."""
    return Transcript(
        segments=(
            Segment(
                start_s=0.0,
                end_s=2.01,
                text=" Ünder <b>Tom & Jerry</b>,",
                words=(
                    Word(start_s=0.0, end_s=0.5, text=" Ünder", probability=0.98765),
                    Word(start_s=0.5, end_s=1.2, text=" <b>Tom", probability=0.5),
                    Word(start_s=1.2, end_s=1.4, text=" &", probability=0.25),
                    Word(start_s=1.4, end_s=2.01, text=" Jerry</b>,", probability=1.0),
                ),
                tokens=(50364, 9652, 50464),
                temperature=0.0,
                avg_logprob=-0.23456,
                compression_ratio=1.2345,
                no_speech_prob=0.01239,
            ),
            Segment(
                start_s=2.5,
                end_s=3725.9996,
                text=" go on --> for an hour,\n\nand then say at last that nothing in it was worth the wait.",
                words=(
                    Word(start_s=2.5, end_s=2.7, text=" go", probability=0.9),
                    Word(start_s=2.7, end_s=3.0, text=" on", probability=0.9),
                    Word(start_s=3.0, end_s=3.1, text=" -->", probability=0.9),
                    Word(start_s=3.1, end_s=3.3, text=" for", probability=0.9),
                    Word(start_s=3.3, end_s=3.5, text=" an", probability=0.9),
                    Word(start_s=3.5, end_s=4.0, text=" hour,\n\n", probability=0.9),
                    Word(start_s=3720.0, end_s=3720.2, text="and", probability=0.9),
                    Word(start_s=3720.2, end_s=3720.5, text=" then", probability=0.9),
                    Word(start_s=3720.5, end_s=3720.9, text=" say", probability=0.9),
                    Word(start_s=3720.9, end_s=3721.1, text=" at", probability=0.9),
                    Word(start_s=3721.1, end_s=3721.6, text=" last", probability=0.9),
                    Word(start_s=3721.6, end_s=3721.9, text=" that", probability=0.9),
                    Word(start_s=3721.9, end_s=3722.6, text=" nothing", probability=0.9),
                    Word(start_s=3722.6, end_s=3722.8, text=" in", probability=0.9),
                    Word(start_s=3722.8, end_s=3723.0, text=" it", probability=0.9),
                    Word(start_s=3723.0, end_s=3723.3, text=" was", probability=0.9),
                    Word(start_s=3723.3, end_s=3723.9, text=" worth", probability=0.9),
                    Word(start_s=3723.9, end_s=3724.1, text=" the", probability=0.9),
                    Word(start_s=3724.1, end_s=3725.9996, text=" wait.", probability=0.9),
                ),
                tokens=(50464, 352, 322, 51864),
                temperature=0.2,
                avg_logprob=-0.5,
                compression_ratio=1.5,
                no_speech_prob=0.0,
            ),
        ),
        language="en",
        language_probability=0.98449,
        duration_s=3726.25,
        speech_s=8.5,
        task="transcribe",
    )


@pytest.fixture
def silence() -> Transcript:
    return Transcript(
        segments=(), language=None, language_probability=0.0, duration_s=5.0, speech_s=0.0, task="transcribe"
    )
