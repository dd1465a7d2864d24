"""What every part of a running emulator shares."""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet.emulator.aws import ACCOUNT, CREDENTIALS, Clients
from fleet.emulator.log_lines import LogLines, Stream
from fleet.emulator.options import Options
from fleet.emulator.process import RunningServer, ServeProcess, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The emulator's address, its clients of other services, who hears what happens, a folder for containers."""

    url: str
    options: Options
    clients: Clients
    tell: Callable[[str], None]
    scratch: Path
    logs: LogLines = field(default_factory=LogLines)

    def container(self, environ: Mapping[str, str], *, region: str, isolated: bool, log_stream: Stream) -> Server:
        """Make, and do not start, the container of one instance.

        Args:
            environ: What the model and the platform set.
            region: The endpoint's region.
            isolated: Without the network a container can reach no service of AWS, so it is told of none.
            log_stream: Where its lines go.
        """
        if self.options.running_url is not None:
            address = urllib.parse.urlsplit(self.options.running_url)
            return RunningServer((address.hostname or "127.0.0.1", address.port or 80))
        # S3 is all that the container calls.
        role = {} if isolated else {**CREDENTIALS, "AWS_ENDPOINT_URL_S3": self.url}
        return ServeProcess(
            self.options.command,
            {**self.options.image_environ, **role, "AWS_REGION": region, "AWS_DEFAULT_REGION": region, **environ},
            scratch=self.scratch / str(uuid.uuid4()),
            tell_line=lambda line: self.logs.add(log_stream, line),
        )


def arn(region: str, kind: str, name: str) -> str:
    """Name a thing of SageMaker's."""
    return f"arn:aws:sagemaker:{region}:{ACCOUNT}:{kind}/{name}"
