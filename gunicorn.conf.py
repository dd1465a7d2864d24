"""The web server: one process, because the model exists once; one thread for each request that may be in flight.

A thread is held for as long as its request waits for the model. If there were only as many threads as requests, /ping
would wait behind them, and SageMaker replaces an instance whose /ping takes longer than 2 seconds.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import TConn, ThreadWorker

from transcriber import settings as environment

PING_THREADS = 8
"""Threads that no transcription can take: for /ping, and for answering 503 to what is not admitted."""

LAST_WORDS_S = 3
"""How long before the end of `graceful_timeout` requests that still wait for the model are told so, with 503."""


SILENT_S = 2
"""How long after SIGTERM a connection on which nobody has said anything may stay; gunicorn's own number for those that
are kept alive."""


class PatientWorker(ThreadWorker):
    """gunicorn's worker with threads, for callers who come long before they speak, and for an end without losses."""

    def enqueue_req(self, conn: TConn) -> None:
        """Give a connection a thread once there is something to read.

        gunicorn lets a thread wait 5 seconds on each new connection: a few dozen that say nothing would hold up /ping.
        """
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def set_accept_enabled(self, enabled: bool | None) -> None:  # noqa: FBT001 - gunicorn's signature
        """Accept connections or do not; after SIGTERM, never again.

        gunicorn leaves its socket listening until the last request has ended: whoever connects meanwhile would wait for
        that long and then be cut off, instead of being refused at once and going elsewhere.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            taken = -1
            while taken != self.nr_conns:  # those whom the kernel has let in already
                taken = self.nr_conns
                self.accept(listener)
            listener.close()
        silent_until_s = time.monotonic() + SILENT_S
        for conn in self.pending_conns:
            conn.timeout = silent_until_s
        last_words = threading.Timer(self.cfg.graceful_timeout - LAST_WORDS_S, _close, [self])
        last_words.daemon = True
        last_words.start()


_settings = environment.load()

bind = f"0.0.0.0:{_settings.bind_port}"
workers = 1
worker_class = PatientWorker
threads = _settings.max_requests_in_flight + PING_THREADS
timeout = 0  # a request may take an hour; its own deadline ends it
graceful_timeout = 25  # SageMaker sends SIGKILL 30 s after SIGTERM
keepalive = 75
limit_request_line = 2048  # bytes; our paths have less than twenty
limit_request_fields = 64  # SageMaker sends about a dozen
limit_request_field_size = 8190  # bytes; the longest that we read has 1,024 characters
worker_tmp_dir = "/tmp"  # noqa: S108 - the only place that surely can be written
control_socket_disable = True
wsgi_app = "app:create()"
logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "transcriber.observability.logs.JsonFormatter"}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
    "root": {"level": _settings.log_level, "handlers": ["stdout"]},
    "loggers": {
        "gunicorn.error": {"level": _settings.log_level, "handlers": ["stdout"], "propagate": False},
        "gunicorn.access": {"level": "ERROR", "handlers": [], "propagate": False},
    },
}


def worker_exit(_server: object, worker: Worker) -> None:
    """Give the device back when the worker ends."""
    _close(worker)


def _close(worker: Worker) -> None:
    application: Any = getattr(worker, "wsgi", None)
    if application is not None:
        application.extensions["service"].close()
