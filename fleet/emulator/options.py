"""What somebody who starts an emulator may choose."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet import platform

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long SageMaker waits, in seconds; the defaults are its own numbers.

    Attributes:
        minute_s: How long a minute of the scaling lasts: the points of its metrics and its cooldowns shrink with it.
        publish_s: How often metrics go to CloudWatch and log lines to CloudWatch Logs.
        unhealthy_pings: Pings in a row that may fail before an instance is replaced. AWS publishes no number.
    """

    accept_s: float = platform.ACCEPT_WITHIN_S
    ping_s: float = platform.PING_TIMEOUT_S
    ping_every_s: float = platform.PING_EVERY_S
    unhealthy_pings: int = 3
    kill_s: float = platform.KILL_AFTER_S
    realtime_s: float = platform.REALTIME_TIMEOUT_S
    first_byte_s: float = platform.STREAM_FIRST_BYTE_WITHIN_S
    stream_s: float = platform.STREAM_TIMEOUT_S
    minute_s: float = 60.0
    publish_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an emulator runs and where it listens.

    Attributes:
        port: 0 takes a free one.
        command: What is started for each instance, as `docker run <image> serve` would be.
        running_url: A container that runs already; every instance is that one, nothing is started or stopped.
        image_environ: Environment that the image sets, below the environment of the model.
        async_concurrency: Concurrent invocations of an instance when the endpoint's configuration does not say.
    """

    port: int = 0
    command: tuple[str, ...] = (sys.executable, str(ROOT / "serve"), "serve")
    running_url: str | None = None
    image_environ: Mapping[str, str] = field(default_factory=dict)
    async_concurrency: int = 4
    patience: Patience = field(default_factory=Patience)
