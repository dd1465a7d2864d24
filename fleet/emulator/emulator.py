"""SageMaker on this machine: one address that unmodified boto3 clients and the AWS CLI can use for every service."""

from __future__ import annotations

import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from botocore.exceptions import BotoCoreError, ClientError
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Response

from fleet.emulator import metrics
from fleet.emulator.aws import Clients
from fleet.emulator.control import Control
from fleet.emulator.door import Door
from fleet.emulator.options import Options
from fleet.emulator.world import World

KEEP_EVERY_S = 0.1
"""How often instances, statuses and queues are looked after."""


class Emulator:
    """SageMaker, and moto behind the same address for everything else.

    Args:
        options: What to run.
        tell: Hears one line for each thing that happens.

    Example:
        with Emulator(Options()) as emulator:
            boto3.client("sagemaker", endpoint_url=emulator.url)
    """

    def __init__(self, options: Options, *, tell: Callable[[str], None] = lambda _what: None) -> None:
        self._options = options
        self._tell = tell
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server: BaseWSGIServer | None = None
        self._world: World | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._control: Control | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.close()

    def start(self) -> None:
        """Listen, and begin to look after what will be created.

        Raises:
            OSError: The port is taken.
        """
        with socket.create_server(("127.0.0.1", self._options.port), backlog=128) as listening:
            host, port = listening.getsockname()
            self._server = make_server(
                host,
                port,
                Response(status=503),
                threaded=True,
                request_handler=_QuietHandler,
                fd=listening.fileno(),
            )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._scratch = tempfile.TemporaryDirectory(prefix="emulator-", ignore_cleanup_errors=True)
        self._world = World(
            url=self.url,
            options=self._options,
            clients=Clients(self.url),
            tell=self._tell,
            scratch=Path(self._scratch.name),
        )
        self._control = Control(self._world)
        # the clients need the address, so the server comes before its application
        self._server.app = Door(self._control, self._options.patience, random.Random())  # noqa: S311 - no secret is made
        self._threads = [
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="emulator http"),
            threading.Thread(target=self._keep, name="emulator keeper"),
            threading.Thread(target=self._report, args=[self._world], name="emulator reporter"),
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def close(self) -> None:
        """Stop every container and whatever else was started."""
        server, world, control = self._server, self._world, self._control
        if server is None or world is None or control is None:
            return
        control.close()
        self._ending.set()
        for thread in self._threads[1:]:
            thread.join()
        server.shutdown()
        self._threads[0].join()
        server.server_close()
        world.clients.close()
        if self._scratch is not None:
            self._scratch.cleanup()
        self._server = None

    def _keep(self) -> None:
        """Look after endpoints, and scale them once a minute, as long as that minute is."""
        control = self._running()
        minute_s = self._options.patience.minute_s
        scale_s = time.monotonic() + minute_s
        while not self._ending.wait(KEEP_EVERY_S):
            for endpoint in control.endpoints:
                endpoint.keep()
            if time.monotonic() >= scale_s:
                scale_s += minute_s
                self._guarded(control.scale)

    def _report(self, world: World) -> None:
        """Publish metrics and log lines, now and then and at the end."""
        ending = False
        while not ending:
            ending = self._ending.wait(self._options.patience.publish_s)
            self._guarded(lambda: self._publish_metrics(world))
            self._guarded(lambda: world.logs.send(world.clients))

    def _publish_metrics(self, world: World) -> None:
        for endpoint in self._running().endpoints:
            endpoint.measure()
            metrics.publish(world.clients.get("cloudwatch", endpoint.region), endpoint.meter)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do something that asks moto; what moto refuses must not end the thread."""
        try:
            work()
        except (ClientError, BotoCoreError) as error:
            self._tell(f"emulator: {error}")

    def _running(self) -> Control:
        if self._control is None:
            raise RuntimeError("the emulator has not been started")
        return self._control


class _QuietHandler(MotoRequestHandler):
    """Writes no line for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing."""
