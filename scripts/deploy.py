#!/usr/bin/env python3
r"""Create or update a real-time and an asynchronous endpoint on SageMaker, with autoscaling.

    scripts/deploy.py --name transcriber --mode both --instance-type ml.g6.2xlarge --region eu-central-1 \
        --image 123456789012.dkr.ecr.eu-central-1.amazonaws.com/transcriber:gpu \
        --role arn:aws:iam::123456789012:role/transcriber \
        --input s3://acme-recordings/ --output s3://acme-transcripts/ --dry-run

The endpoints are NAME-realtime and NAME-async. Run it again with other arguments and what differs is updated; what is
right is left alone. Without --dry-run it makes what it shows. scripts/destroy.py removes it. docs/aws.md leads through.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fleet.aws import session_in
from fleet.deploy import callers, capacity, commands, desired, platform_facts
from fleet.deploy.apply import Hands
from fleet.deploy.desired import CannotDeploy, Deployment, Mode, Names, Place

TOPIC_WORDS = ("make", "none")


def main() -> int:
    """Deploy what the command line says; the status is 0 when it is there, 1 when AWS refused, 2 for wrong use."""
    arguments = _parser().parse_args()
    if (arguments.offline or arguments.json) and not arguments.dry_run:
        _warn("--offline and --json go with --dry-run")
        return commands.MISUSED
    try:
        session = session_in(arguments.region, refused=CannotDeploy)
        return commands.deploy(
            wanted_by(arguments, session.region_name),
            Hands(client=commands.clients_of(session), tell=_tell, warn=_warn, clock=time.monotonic, sleep=time.sleep),
            commands.Errand(
                inputs=arguments.input,
                shows=arguments.dry_run,
                is_offline=arguments.offline,
                as_json=arguments.json,
                waits=arguments.wait,
            ),
        )
    except CannotDeploy as error:
        _warn(str(error))
        return commands.MISUSED


def wanted_by(arguments: argparse.Namespace, region: str) -> Deployment:
    """Return the deployment that the command line describes.

    Raises:
        CannotDeploy: It cannot be.
    """
    role = desired.Role.parse(arguments.role)
    names = Names(
        deployment=arguments.name,
        place=Place(partition=role.partition, region=region, account=role.account),
    )
    container = desired.Container(
        image=arguments.image,
        role=arguments.role,
        environment=callers.allowing(_pairs("--env", arguments.env), arguments.input),
        model_data=arguments.model_data,
        is_isolated=arguments.network_isolation,
        subnets=tuple(arguments.subnets),
        security_groups=tuple(arguments.security_groups),
    )
    instances = desired.Instances(
        type=arguments.instance_type,
        machine_image=arguments.machine_image
        or platform_facts.machine_image_for(arguments.instance_type, arguments.cuda),
        startup_timeout_s=arguments.startup_timeout,
        download_timeout_s=arguments.download_timeout,
        volume_key=arguments.volume_key,
    )
    modes = tuple(Mode) if arguments.mode == "both" else (Mode(arguments.mode),)
    return Deployment(
        names=names,
        container=container,
        instances=instances,
        endpoints=tuple(_endpoint(mode, arguments, names, container) for mode in modes),
        tags=_pairs("--tag", arguments.tag),
    )


def _endpoint(
    mode: Mode, arguments: argparse.Namespace, names: Names, container: desired.Container
) -> desired.Endpoint:
    read = desired.read_settings(container.environment)
    if mode is Mode.REALTIME:
        least = arguments.min if arguments.mode == "realtime" else max(1, arguments.min)
        target = arguments.target_requests or capacity.requests_at_once(read, instance_type=arguments.instance_type)
        results = None
    else:
        least = arguments.min
        jobs = arguments.jobs_at_once or capacity.jobs_at_once(
            read, longest_recording_s=arguments.longest_recording * 60.0
        )
        capacity.check_jobs_at_once(jobs, read)
        target = arguments.target_jobs or jobs
        results = _results(arguments, names, jobs)
    return desired.Endpoint(
        mode=mode,
        scaling=desired.Scaling(
            least=least,
            most=arguments.max,
            target=target,
            out_cooldown_s=arguments.scale_out_cooldown,
            in_cooldown_s=arguments.scale_in_cooldown,
        ),
        results=results,
    )


def _results(arguments: argparse.Namespace, names: Names, jobs: int) -> desired.Results | None:
    if arguments.output is None:
        return None
    return desired.Results(
        folder=arguments.output,
        failures=arguments.failures or f"{arguments.output.rstrip('/')}/failures/",
        success_topic=_topic(arguments.success_topic, names.success_topic),
        error_topic=_topic(arguments.error_topic, names.error_topic),
        key=arguments.output_key,
        jobs_at_once=jobs,
    )


def _topic(said: str, ours: str) -> str | None:
    return {"make": ours, "none": None}.get(said, said)


def _pairs(option: str, given: Sequence[str]) -> Mapping[str, str]:
    pairs: dict[str, str] = {}
    for pair in given:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise CannotDeploy(f"{option} {pair} says nothing; it looks like {option} KEY=VALUE")
        if key in pairs:
            raise CannotDeploy(f"{option} {key} is given twice")
        pairs[key] = value
    return pairs


def _tell(line: str) -> None:
    print(line, flush=True)


def _warn(line: str) -> None:
    print(f"deploy.py: {line}", file=sys.stderr, flush=True)


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _positive(value: str) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{value} is not a number above 0")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_argument_group("what to deploy")
    what.add_argument("--name", required=True, help="name of the deployment; everything it makes starts with it")
    what.add_argument("--image", required=True, metavar="URI", help="image in ECR; build_and_push.sh prints it")
    what.add_argument("--role", required=True, metavar="ARN", help="execution role; docs/iam.md says how to make it")
    what.add_argument("--mode", choices=("realtime", "async", "both"), default="both", help="default: %(default)s")
    what.add_argument("--instance-type", default="ml.g6.2xlarge", help="default: %(default)s")
    what.add_argument("--region", help="default: that of your AWS configuration")
    what.add_argument(
        "--env", action="append", default=[], metavar="KEY=VALUE", help="a setting of the container (docs/settings.md)"
    )
    what.add_argument("--model-data", metavar="S3", help="a model in S3: a .tar.gz, or a folder ending in /")
    what.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="tag of everything that is made")

    files = parser.add_argument_group("asynchronous: recordings, transcripts, notifications")
    files.add_argument(
        "--input",
        metavar="S3",
        help="where recordings will be put; callers may name objects there and, unless --env ALLOWED_S3_PREFIXES says "
        "otherwise, nowhere else in S3",
    )
    files.add_argument("--output", metavar="S3", help="where transcripts are put; needed unless --mode realtime")
    files.add_argument(
        "--failures", metavar="S3", help="where answers to failed jobs are put (default: OUTPUT/failures/)"
    )
    for kind, told in (("success", "each transcript"), ("error", "each failure")):
        files.add_argument(
            f"--{kind}-topic",
            default="make",
            metavar="ARN",
            help=f"SNS topic told of {told}: an ARN, or make or none (default: %(default)s)",
        )
    files.add_argument(
        "--longest-recording",
        type=_positive,
        default=60.0,
        metavar="MINUTES",
        help="longest recording you expect; decides how many jobs an instance gets at once (default: %(default)g)",
    )
    files.add_argument("--jobs-at-once", type=int, metavar="N", help="jobs at once on an instance, instead of that")

    scaling = parser.add_argument_group("scaling")
    scaling.add_argument(
        "--min",
        type=int,
        default=1,
        help="least instances; 0 lets the asynchronous endpoint wait with none (default: 1)",
    )
    scaling.add_argument("--max", type=int, default=4, help="most instances of each endpoint (default: %(default)s)")
    scaling.add_argument(
        "--target-requests",
        type=_positive,
        metavar="N",
        help="real-time requests in flight on an instance to aim at (default: what its batches hold)",
    )
    scaling.add_argument(
        "--target-jobs",
        type=_positive,
        metavar="N",
        help="asynchronous jobs queued or worked on per instance to aim at (default: jobs at once)",
    )
    scaling.add_argument("--scale-out-cooldown", type=int, default=100, metavar="SECONDS", help="default: %(default)s")
    scaling.add_argument(
        "--scale-in-cooldown",
        type=int,
        default=600,
        metavar="SECONDS",
        help="longer than a job takes: an instance that goes leaves its jobs 30 seconds (default: %(default)s)",
    )

    machine = parser.add_argument_group("machines, network, keys")
    machine.add_argument(
        "--cuda", type=int, choices=(12, 13), default=12, help="CUDA in the image (default: %(default)s)"
    )
    machine.add_argument("--machine-image", metavar="VERSION", help="InferenceAmiVersion, instead of the one that fits")
    machine.add_argument(
        "--startup-timeout",
        type=int,
        default=900,
        metavar="SECONDS",
        help="until /ping says 200 (default: %(default)s)",
    )
    machine.add_argument(
        "--download-timeout", type=int, default=1800, metavar="SECONDS", help="for --model-data (default: %(default)s)"
    )
    machine.add_argument("--network-isolation", action="store_true", help="no network in the container, not even S3")
    machine.add_argument("--subnets", type=_listed, default=[], metavar="ID,ID", help="run in these subnets of a VPC")
    machine.add_argument("--security-groups", type=_listed, default=[], metavar="ID,ID", help="with --subnets")
    machine.add_argument(
        "--volume-key", metavar="KMS", help="key of the storage volumes (not of an instance's own disks)"
    )
    machine.add_argument("--output-key", metavar="KMS", help="key that transcripts are encrypted with")

    doing = parser.add_argument_group("doing")
    doing.add_argument("--dry-run", action="store_true", help="show the steps and change nothing")
    doing.add_argument("--offline", action="store_true", help="with --dry-run: ask AWS nothing, as if nothing existed")
    doing.add_argument("--json", action="store_true", help="with --dry-run: show the steps as JSON")
    doing.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="wait until endpoints are in service; without, scaling is set by running the same command again later",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
