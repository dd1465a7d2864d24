#!/usr/bin/env python3
"""Send recordings to a real-time endpoint and print what was heard.

    scripts/invoke_realtime.py --endpoint transcriber-realtime recording.mp3
    scripts/invoke_realtime.py --endpoint transcriber-realtime --stream s3://acme-recordings/monday.mp3
    scripts/invoke_realtime.py --url http://127.0.0.1:8080 --response-format srt recording.mp3

Recordings are files, or objects in S3 that the endpoint itself may read. Transcripts go to stdout, everything else to
stderr; the exit status is 0 when every recording was transcribed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fleet import platform
from fleet.aws import session_in
from fleet.client import calls, wishes
from fleet.client.aws import clients_of
from fleet.client.commands import run, stage_of
from fleet.client.errors import Misused
from fleet.client.keeping import folder_for
from fleet.client.realtime import Realtime
from fleet.client.recordings import recording_of
from fleet.numbers import positive

CONTAINER_TIMEOUT_S = 3600.0
INSTEAD = "an asynchronous endpoint takes up to 1 GB: scripts/invoke_async.py"


def main() -> int:
    """Send what the command line names."""
    arguments = parse()
    stage = stage_of("invoke_realtime.py", columns=0)

    def errand() -> int:
        wished = wishes.wishes_of(
            language=arguments.language,
            task=arguments.task,
            words=arguments.words,
            form=arguments.response_format,
            more=tuple(arguments.option),
            stream=arguments.stream,
        )
        limit_bytes = None if arguments.url else platform.REALTIME_BODY_BYTES
        recordings = [recording_of(name, limit_bytes=limit_bytes, instead=INSTEAD) for name in arguments.recordings]
        folder = folder_for(arguments.out)
        is_verbatim = arguments.response_format is not None
        return Realtime(way=way_of(arguments), wishes=wished, is_verbatim=is_verbatim, folder=folder, stage=stage).call(
            recordings
        )

    return run(errand, stage)


def way_of(arguments: argparse.Namespace) -> calls.Way:
    """Return how the container is reached."""
    if arguments.url:
        return calls.container_at(arguments.url, timeout_s=arguments.timeout or CONTAINER_TIMEOUT_S)
    session = session_in(arguments.region, refused=Misused)
    timeout_s = platform.STREAM_TIMEOUT_S if arguments.stream else calls.READ_TIMEOUT_S
    clients = clients_of(session, read_timeout_s=arguments.timeout or timeout_s)
    return calls.Endpoint(runtime=clients("sagemaker-runtime"), name=arguments.endpoint, region=session.region_name)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", metavar="RECORDING", help="a file, or s3://bucket/key")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--endpoint", metavar="NAME", help="a real-time endpoint")
    where.add_argument("--url", help="a container without AWS, such as http://127.0.0.1:8080")
    parser.add_argument("--region", help="default: that of your AWS configuration")
    parser.add_argument("--language", help="code or English name (default: detected)")
    parser.add_argument("--task", choices=("transcribe", "translate"))
    parser.add_argument("--words", action="store_true", help="find out when each word begins and ends")
    parser.add_argument(
        "--response-format", choices=wishes.FORMS, help="print answers in this form as they are (default: the text)"
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="any other option of docs/http.md"
    )
    parser.add_argument("--stream", action="store_true", help="print each segment as soon as it is final")
    parser.add_argument("--out", metavar="DIR", help="keep answers as files in this folder, too")
    parser.add_argument(
        "--timeout", type=positive, metavar="SECONDS", help="wait this long for an answer (70; stream 480; --url 3600)"
    )
    arguments = parser.parse_args()
    if not (arguments.endpoint or arguments.url):
        parser.error("--endpoint and --url must say something")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
