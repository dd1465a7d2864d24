#!/usr/bin/env python3
"""Remove what scripts/deploy.py made: scaling, alarms, endpoints, configurations, models and topics.

    scripts/destroy.py --name transcriber --region eu-central-1

Shows what it will remove and asks. Only what carries the deployment's tag is removed; buckets, images, the role and
logs stay. Run it as often as you like.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fleet.aws import session_in
from fleet.deploy import commands
from fleet.deploy.apply import Hands
from fleet.deploy.desired import CannotDeploy


def main() -> int:
    """Remove the deployment; the status is 0 when nothing of it is left, 1 when something is, 2 for wrong use."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="name of the deployment, as deploy.py was given it")
    parser.add_argument("--region", help="default: that of your AWS configuration")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="show what would be removed, and remove nothing")
    arguments = parser.parse_args()
    try:
        session = session_in(arguments.region, refused=CannotDeploy)
        return commands.destroy(
            arguments.name,
            session.region_name,
            Hands(client=commands.clients_of(session), tell=_tell, warn=_warn, clock=time.monotonic, sleep=time.sleep),
            shows=arguments.dry_run,
            agrees=(lambda _: True) if arguments.yes else _agrees,
        )
    except CannotDeploy as error:
        _warn(str(error))
        return commands.MISUSED


def _agrees(steps: int) -> bool:
    if not sys.stdin.isatty():
        _warn("nobody is there to ask; add --yes to remove it all")
        return False
    try:
        return input(f"make these {steps} steps? [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, KeyboardInterrupt):
        return False


def _tell(line: str) -> None:
    print(line, flush=True)


def _warn(line: str) -> None:
    print(f"destroy.py: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
