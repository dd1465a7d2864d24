"""The web server: one process, because the model exists once; one thread for each request that may be in flight.

A thread is held for as long as its request waits for the model. If there were only as many threads as requests, /ping
would wait behind them, and SageMaker replaces an instance whose /ping takes longer than 2 seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transcriber import settings as environment

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker

PING_THREADS = 8
"""Threads that no transcription can take: for /ping, and for answering 503 to what is not admitted."""

_settings = environment.load()

bind = f"0.0.0.0:{_settings.bind_port}"
workers = 1
worker_class = "gthread"
threads = _settings.max_requests_in_flight + PING_THREADS
timeout = 0  # a request may take an hour; its own deadline ends it
graceful_timeout = 25  # SageMaker sends SIGKILL 30 s after SIGTERM
keepalive = 75
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
    application: Any = getattr(worker, "wsgi", None)
    if application is not None:
        application.extensions["service"].close()
