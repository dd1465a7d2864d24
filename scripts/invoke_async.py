#!/usr/bin/env python3
"""Submit recordings to an asynchronous endpoint, wait for the transcripts and print a summary.

    scripts/invoke_async.py --endpoint transcriber-async --bucket acme-recordings --out transcripts *.mp3
    scripts/invoke_async.py --endpoint transcriber-async s3://acme-recordings/monday.mp3 s3://acme-recordings/calls/
    scripts/invoke_async.py --endpoint transcriber-async --manifest s3://acme-recordings/todo.txt
    scripts/invoke_async.py --resume build/async/LEDGER.jsonl --out transcripts

Files are uploaded to --bucket first; objects in S3 are taken where they are, and a name that ends with / is everything
below it. A ledger is written as jobs are accepted, so that whatever happens to this command, --resume fetches what they
left. The exit status is 0 when every recording was transcribed.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fleet import platform
from fleet.aws import session_in
from fleet.client import wishes
from fleet.client.asynchronous import Collection
from fleet.client.aws import clients_of
from fleet.client.batches import Batch, Patience, looker_for
from fleet.client.commands import DONE, Stage, run, stage_of
from fleet.client.errors import Misused
from fleet.client.jobs import Ledger, counted
from fleet.client.keeping import Keeper, folder_for
from fleet.client.recordings import Shelf, folder_of
from fleet.client.submitting import Desk
from fleet.numbers import positive, whole

LEDGERS = Path(__file__).resolve().parents[1] / "build" / "async"


def main() -> int:
    """Submit what the command line names, or go on where a ledger stopped."""
    arguments = parse()
    stage = stage_of("invoke_async.py", columns=shutil.get_terminal_size((120, 24)).columns)
    return run(lambda: errand(arguments, stage), stage)


def errand(arguments: argparse.Namespace, stage: Stage) -> int:
    """Submit, wait and sum up; the exit status.

    Raises:
        CannotCall: It cannot be done.
    """
    folder = folder_for(arguments.out)
    wished = wishes.wishes_of(
        language=arguments.language,
        task=arguments.task,
        words=arguments.words,
        form=arguments.response_format,
        more=tuple(arguments.option),
    )
    ledger = Ledger(Path(arguments.resume or arguments.ledger))
    submitted = ledger.jobs() if arguments.resume else []
    session = session_in(arguments.region or (submitted[0].region if submitted else None), refused=Misused)
    clients = clients_of(session)
    desk = Desk(
        client=clients,
        endpoint=submitted[0].endpoint if submitted else arguments.endpoint,
        region=session.region_name,
        ttl_s=arguments.ttl,
        timeout_s=arguments.invocation_timeout,
        clock=stage.now,
        sleep=stage.sleep,
    )
    batch = Batch(
        desk=desk,
        wishes=wished,
        ledger=ledger,
        folder=folder_of(f"{arguments.bucket}/{arguments.prefix}", "--bucket") if arguments.bucket else None,
        again=again(ledger, arguments),
        stage=stage,
    )
    looker = looker_for(desk, arguments.queue_url, stage)
    jobs = submitted
    if not submitted:
        shelf = Shelf(s3=clients("s3"), region=desk.region)
        named = [*arguments.recordings, *(name for one in arguments.manifest for name in shelf.manifest(one))]
        recordings = shelf.find(named, at_most=arguments.at_most, limit_bytes=platform.ASYNC_OBJECT_BYTES)
        jobs = batch.submit(recordings)
        if not arguments.wait:
            stage.print(f"submitted: {counted(len(jobs), 'job')}; to fetch what they leave: {batch.again}")
            return DONE
    patience = Patience(every_s=arguments.poll_seconds, patience_s=arguments.wait_minutes * 60)
    keeper = Keeper(s3=clients("s3"), region=desk.region, folder=folder)
    return Collection(keeper=keeper, again=batch.again, stage=stage).collect(jobs, batch.wait(jobs, looker, patience))


def again(ledger: Ledger, arguments: argparse.Namespace) -> str:
    """Return the command that fetches what the jobs of a ledger left."""
    words = ["scripts/invoke_async.py", "--resume", str(ledger.path)]
    for option, value in (("--out", arguments.out), ("--queue-url", arguments.queue_url)):
        words += [option, value] if value else []
    return shlex.join(words)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "recordings", nargs="*", metavar="RECORDING", help="a file, s3://bucket/key or s3://bucket/folder/"
    )
    parser.add_argument("--endpoint", metavar="NAME", help="an asynchronous endpoint; needed unless --resume")
    parser.add_argument("--region", help="default: that of your AWS configuration")
    parser.add_argument(
        "--manifest",
        action="append",
        default=[],
        metavar="FILE",
        help="a file or object that names recordings: one in each line, or SageMaker's JSON; may be repeated",
    )
    parser.add_argument("--bucket", help="where files are uploaded to")
    parser.add_argument("--prefix", default="async-input/", help="folder in that bucket (default: %(default)s)")
    parser.add_argument("--at-most", type=whole, default=1000, metavar="N", help="refuse more jobs (%(default)s)")

    wanted = parser.add_argument_group("what is wanted")
    wanted.add_argument("--language", help="code or English name (default: detected)")
    wanted.add_argument("--task", choices=("transcribe", "translate"))
    wanted.add_argument("--words", action="store_true", help="find out when each word begins and ends")
    wanted.add_argument("--response-format", choices=wishes.FORMS, help="form of the answers (default: json)")
    wanted.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="any other option of docs/http.md"
    )
    wanted.add_argument(
        "--ttl", type=whole, metavar="SECONDS", help="how long a job may wait in the queue (default: SageMaker's 21600)"
    )
    wanted.add_argument(
        "--invocation-timeout",
        type=whole,
        default=3600,
        metavar="SECONDS",
        help="how long the container may take (default: %(default)s, the most)",
    )

    waiting = parser.add_argument_group("waiting")
    waiting.add_argument("--out", metavar="DIR", help="keep transcripts as files in this folder")
    waiting.add_argument("--queue-url", metavar="URL", help="an SQS queue that hears the endpoint's topics")
    waiting.add_argument(
        "--poll-seconds", type=positive, default=5.0, metavar="S", help="time between two looks (default: %(default)g)"
    )
    waiting.add_argument(
        "--wait-minutes", type=positive, default=60.0, metavar="M", help="give up waiting then (default: %(default)g)"
    )
    waiting.add_argument("--no-wait", dest="wait", action="store_false", help="only submit")
    waiting.add_argument("--resume", metavar="LEDGER", help="submit nothing; fetch what the jobs of a ledger left")
    waiting.add_argument("--ledger", metavar="FILE", help="where to write the ledger (default: build/async/)")
    arguments = parser.parse_args()
    if arguments.queue_url == "":
        parser.error("--queue-url must say something, or be left out")
    named = bool(arguments.recordings or arguments.manifest)
    if arguments.resume and (named or not arguments.wait):
        parser.error("--resume submits nothing; leave recordings, --manifest and --no-wait out")
    if not arguments.resume and not arguments.endpoint:
        parser.error("--endpoint is needed")
    if not arguments.resume and not named:
        parser.error("name a recording, or a --manifest")
    if not arguments.ledger:
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}.jsonl"
        arguments.ledger = relative(LEDGERS / name)
    return arguments


def relative(path: Path) -> str:
    """Return a path as seen from here, if it is below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
