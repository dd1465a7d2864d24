#!/usr/bin/env python3
r"""Submit many jobs at once to an asynchronous endpoint and watch how it copes.

    scripts/load_test_async.py --endpoint transcriber-async --bucket acme-recordings --jobs 50 recording.mp3
    scripts/load_test_async.py --endpoint transcriber-async --bucket sagemaker-transcriber --scale-seconds 5 \
        --failing 5 tests/data/two-minutes.flac

Looks at instances, backlog and completions until every job has ended, prints tables, and writes OUT/record.json and
OUT/load.png. The recordings take turns; each is uploaded once. In the emulator a minute of scaling is shorter than one
of the clock: say --scale-seconds as it was told to. The exit status is 0 when all jobs but those that were to fail have
a transcript.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fleet import platform
from fleet.aws import session_in
from fleet.client import load_file, load_plot, wishes
from fleet.client.aws import Clients, clients_of
from fleet.client.batches import Batch, Patience, looker_for
from fleet.client.commands import DONE, FAILED, Stage, run, stage_of
from fleet.client.errors import CannotCall, Misused
from fleet.client.jobs import Ledger
from fleet.client.keeping import Keeper
from fleet.client.load import Observed, Watch, record_of
from fleet.client.load_record import LoadRecord
from fleet.client.load_report import report
from fleet.client.recordings import Recording, Shelf, folder_of, recording_of
from fleet.client.submitting import Desk
from fleet.numbers import count, positive, whole

OUT = Path(__file__).resolve().parents[1] / "build" / "async-load"
LOOKS_PER_MINUTE = 12
NO_AUDIO = b"This is not a recording: a load test put it here to see a job fail.\n"


def main() -> int:
    """Load the endpoint that the command line names, or draw anew what was measured."""
    arguments = parse()
    stage = stage_of("load_test_async.py", columns=120)
    if arguments.report:
        return run(lambda: show(load_file.read(Path(arguments.report)), arguments, stage), stage)
    with tempfile.TemporaryDirectory(prefix="load-test-") as scratch:
        return run(lambda: errand(arguments, stage, Path(scratch)), stage)


def errand(arguments: argparse.Namespace, stage: Stage, scratch: Path) -> int:
    """Submit, watch and write; the exit status.

    Raises:
        CannotCall: It cannot be done.
    """
    if arguments.plot:
        load_plot.check()
    session = session_in(arguments.region, refused=Misused)
    clients = clients_of(session)
    endpoint, region = arguments.endpoint, session.region_name
    ledger = Ledger(Path(arguments.out) / f"jobs-{time.strftime('%Y%m%d-%H%M%S')}.jsonl")
    desk = Desk(
        client=clients, endpoint=endpoint, region=region, ttl_s=None, timeout_s=3600, clock=stage.now, sleep=stage.sleep
    )
    batch = Batch(
        desk=desk,
        wishes=wishes.wishes_of(language=arguments.language, more=tuple(arguments.option)),
        ledger=ledger,
        folder=folder_of(f"{arguments.bucket}/{arguments.prefix}", "--bucket") if arguments.bucket else None,
        again=shlex.join(["scripts/invoke_async.py", "--resume", str(ledger.path)]),
        stage=stage,
    )
    shelf = Shelf(s3=clients("s3"), region=region)
    recordings = shelf.find(arguments.recordings, at_most=arguments.jobs, limit_bytes=platform.ASYNC_OBJECT_BYTES)
    observed = Observed(client=clients, endpoint=endpoint, region=region, minute_s=arguments.scale_seconds)
    observed.sample(0.0)
    looker = looker_for(desk, arguments.queue_url, stage)
    jobs = batch.submit(mixed(recordings, arguments.jobs, failing(scratch, arguments.failing)))
    patience = Patience(every_s=arguments.scale_seconds / LOOKS_PER_MINUTE, patience_s=arguments.wait_minutes * 60)
    watch = Watch(
        observed=observed, keeper=Keeper(s3=clients("s3"), region=region, folder=None), tell=stage.tell, now=stage.now
    )
    outcomes, samples, broken = watch.follow(jobs, batch.wait(jobs, looker, patience))
    try:
        metrics = observed.metrics(jobs[0].submitted_s, stage.now())
    except CannotCall as error:
        stage.warn(f"note: {error}; going on without them")
        metrics = {}
    record = record_of(
        jobs,
        outcomes,
        title=arguments.title or f"{len(jobs)} jobs at once, {endpoint}{elsewhere(clients)}",
        command=shlex.join(["scripts/load_test_async.py", *sys.argv[1:]]),
        minute_s=arguments.scale_seconds,
        samples=samples,
        metrics=metrics,
    )
    load_file.write(record, Path(arguments.out) / "record.json")
    show(record, arguments, stage)
    if running := len(jobs) - len(outcomes):
        stage.warn(f"{broken or 'patience is over'}; {running} of {len(jobs)} jobs had not ended and go on")
        stage.warn(f"to fetch what they leave: {batch.again}")
    failed = sum(outcome.facts is None for outcome in outcomes)
    return DONE if not running and failed == arguments.failing else FAILED


def elsewhere(clients: Clients) -> str:
    """Say where it was measured, if not at AWS."""
    url = str(clients("sagemaker-runtime").meta.endpoint_url)
    return "" if "amazonaws.com" in url else f", not AWS but {url}"


def show(record: LoadRecord, arguments: argparse.Namespace, stage: Stage) -> int:
    """Print the tables and draw the picture."""
    stage.print(report(record))
    if arguments.plot:
        path = Path(arguments.out) / "load.png"
        load_plot.draw(record, path)
        stage.tell(f"drawn: {path}")
    return DONE


def mixed(recordings: Sequence[Recording], jobs: int, poison: Sequence[Recording]) -> list[Recording]:
    """Return a recording for each job, those that must fail spread evenly among the others.

    Example:
        >>> mixed(["a", "b"], 6, ["x", "y"])
        ['x', 'a', 'b', 'y', 'a', 'b']
    """
    good = islice(cycle(recordings), jobs - len(poison))
    places = {number * jobs // len(poison): one for number, one in enumerate(poison)}
    return [places[number] if number in places else next(good) for number in range(jobs)]


def failing(scratch: Path, count: int) -> list[Recording]:
    """Make files that are no audio."""
    made: list[Recording] = []
    for number in range(count):
        path = scratch / f"no-audio-{number + 1}.wav"
        path.write_bytes(NO_AUDIO)
        made.append(recording_of(str(path)))
    return made


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "recordings", nargs="*", metavar="RECORDING", help="files, s3://bucket/key or s3://bucket/folder/"
    )
    parser.add_argument("--endpoint", metavar="NAME", help="an asynchronous endpoint; needed unless --report")
    parser.add_argument("--region", help="default: that of your AWS configuration")
    parser.add_argument("--jobs", type=whole, default=50, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument(
        "--failing", type=count, default=0, metavar="N", help="so many of them are no audio and must fail (default: 0)"
    )
    parser.add_argument("--bucket", help="where files are uploaded to")
    parser.add_argument("--prefix", default="load-test/", help="folder in that bucket (default: %(default)s)")
    parser.add_argument("--language", help="code or English name (default: detected)")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="any other option of docs/http.md"
    )
    parser.add_argument("--queue-url", metavar="URL", help="an SQS queue that hears the endpoint's topics: exact times")
    parser.add_argument(
        "--scale-seconds",
        type=positive,
        default=60.0,
        metavar="S",
        help="how long a minute of the endpoint's scaling lasts: 60, but for the emulator (default: 60)",
    )
    parser.add_argument(
        "--wait-minutes", type=positive, default=120.0, metavar="M", help="give up then (default: %(default)g)"
    )
    parser.add_argument("--title", help="heading of tables and picture")
    parser.add_argument("--out", default=str(OUT), metavar="DIR", help="where to write (default: build/async-load)")
    parser.add_argument("--no-plot", dest="plot", action="store_false", help="draw no picture")
    parser.add_argument("--report", metavar="RECORD", help="measure nothing; tables and picture of a record")
    arguments = parser.parse_args()
    if arguments.queue_url == "":
        parser.error("--queue-url must say something, or be left out")
    if not arguments.report and not arguments.endpoint:
        parser.error("--endpoint is needed")
    if not arguments.report and not arguments.recordings:
        parser.error("name a recording, such as tests/data/two-minutes.flac")
    if arguments.failing >= arguments.jobs:
        parser.error("--failing must be less than --jobs")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
