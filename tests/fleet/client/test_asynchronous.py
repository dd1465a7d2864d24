"""Jobs, waited for and summed up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.client.asynchronous import Collection
from fleet.client.batches import Patience, looker_for
from fleet.client.jobs import Ending
from fleet.client.keeping import Keeper
from fleet.client.recordings import S3Object
from fleet.client.tables import columns_of
from fleet.client.waiting import End
from tests.fleet.client.cloud import REGION, Cloud
from tests.fleet.client.fakes import S3, Theatre, job, refusal

RECORDINGS = [S3Object("in", f"{name}.mp3") for name in ("monday", "tuesday", "wednesday")]
BAD = b'{"error": "this is no audio", "code": "not_audio"}'


def collect(cloud: Cloud, folder: Path, *, out: Path | None = None, patience_s: float = 100.0) -> int:
    theatre = cloud.theatre
    batch = cloud.batch(folder)
    jobs = batch.submit(RECORDINGS)
    looker = looker_for(batch.desk, None, theatre.stage)
    keeper = Keeper(s3=cloud.s3, region=REGION, folder=out)
    rounds = batch.wait(jobs, looker, Patience(every_s=5, patience_s=patience_s))
    return Collection(keeper=keeper, again=batch.again, stage=theatre.stage).collect(jobs, rounds)


def test_every_job_with_a_transcript_is_success(cloud: Cloud, theatre: Theatre, tmp_path: Path) -> None:
    cloud.answer = lambda number: (
        True,
        f'{{"text": "Ja {number}.", "detected_language": "de", "duration": 2}}'.encode(),
    )

    assert collect(cloud, tmp_path) == 0
    assert theatre.printed[0].splitlines() == [
        "job        audio s  language  time s  text, or why it failed",
        "monday         2.0  de            10  Ja 1.",
        "tuesday        2.0  de            20  Ja 2.",
        "wednesday      2.0  de            30  Ja 3.",
    ]
    assert theatre.told == ["3 jobs: 3 done, 0 failed, 0 still running"]
    assert "3/3 ended" in theatre.screen.getvalue()


def test_one_failure_is_a_failure_with_its_sentence(cloud: Cloud, theatre: Theatre, tmp_path: Path) -> None:
    cloud.answer = lambda number: (number != 2, BAD if number == 2 else b"1\n00:00 --> 00:01\nJa.\n")

    assert collect(cloud, tmp_path) == 1
    assert theatre.printed[0].splitlines()[1:3] == [
        "monday           -  -             10  1 00:00 --> 00:01 Ja.",
        "tuesday          -  -             20  failed: this is no audio",
    ]
    assert theatre.told == ["3 jobs: 2 done, 1 failed, 0 still running"]


def test_transcripts_and_failures_are_kept_as_files(cloud: Cloud, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    cloud.answer = lambda number: (number != 2, BAD if number == 2 else b'{"text": "Ja."}')
    collect(cloud, tmp_path, out=out)

    assert {path.name: path.read_text() for path in out.iterdir()} == {
        "monday.json": '{"text": "Ja."}',
        "tuesday.error.txt": "this is no audio\n",
        "wednesday.json": '{"text": "Ja."}',
    }


def test_when_patience_is_over_the_rest_is_named_with_how_to_fetch_it(
    cloud: Cloud, theatre: Theatre, tmp_path: Path
) -> None:
    assert collect(cloud, tmp_path, patience_s=12) == 1
    assert theatre.told == ["3 jobs: 1 done, 0 failed, 2 still running"]
    assert theatre.warned == [
        "still running: tuesday, wednesday",
        "they go on without you; to fetch what they leave: scripts/invoke_async.py --resume ledger.jsonl",
    ]


def test_ctrl_c_sums_up_what_there_is(cloud: Cloud, theatre: Theatre, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    theatre.clock.at(15, interrupt)

    assert collect(cloud, tmp_path) == 130
    assert theatre.printed[0].splitlines()[1].startswith("monday")
    assert theatre.warned[0] == "still running: tuesday, wednesday"


def test_losing_s3_half_way_sums_up_what_there_is(cloud: Cloud, s3: S3, theatre: Theatre, tmp_path: Path) -> None:
    theatre.clock.at(15, lambda: s3.refuses.update(HeadObject=refusal("HeadObject", "ExpiredToken", "", 400)))

    assert collect(cloud, tmp_path) == 1
    assert theatre.warned[0].startswith("AWS does not accept your credentials (ExpiredToken)")
    assert theatre.warned[1] == "still running: tuesday, wednesday"


def test_a_failure_that_was_only_notified_has_its_reason(cloud: Cloud, s3: S3, theatre: Theatre) -> None:
    def rounds() -> Iterator[list[End]]:
        yield [(job("a", failure=None), Ending(is_done=False, took_s=1.5, reason="ClientError: expired"))]

    keeper = Keeper(s3=s3, region=REGION, folder=None)
    Collection(keeper=keeper, again="", stage=theatre.stage).collect([job("a", failure=None)], rounds())

    assert theatre.printed[0].splitlines()[1].endswith("1.5  failed: ClientError: expired")


@pytest.mark.parametrize("text", ["", "word " * 100, "八" * 100])
def test_the_table_fits_the_screen(text: str, cloud: Cloud, theatre: Theatre, tmp_path: Path) -> None:
    cloud.answer = lambda _number: (True, f'{{"text": "{text}", "duration": 2}}'.encode())
    collect(cloud, tmp_path)

    assert all(columns_of(line) <= 100 for line in theatre.printed[0].splitlines())
