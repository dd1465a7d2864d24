"""Keeps an account of each request and tells it when the request has ended: one log line, and the metrics.

It stands around the application as WSGI middleware (PEP 3333), because only what hands the answer to the server knows
when the last byte of it has gone, or that nobody took it.
"""

from __future__ import annotations

import logging
import socket
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from transcriber.errors import TranscriberError
from transcriber.observability import emf
from transcriber.observability.accounts import ABANDONED, COSTS, Account
from transcriber.observability.metrics import Metrics
from transcriber.observability.timeline import Timeline

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

KEY = "transcriber.account"
"""Where the application finds the account of the request it works on, in the request's WSGI environment."""

SOCKET = "gunicorn.socket"


class Ledger:
    """Opens an account for each request and closes it when its answer is out."""

    def __init__(
        self,
        application: WSGIApplication,
        *,
        metrics: Metrics,
        timeline: Timeline,
        emf_namespace: str | None = None,
        is_debugging: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Stand around an application.

        Args:
            application: What answers.
            metrics: Where requests are counted.
            timeline: Where the first healthy ping is marked.
            emf_namespace: CloudWatch's namespace for the lines' metrics; None for lines that are none.
            is_debugging: Whether lines may hold where a recording lies.
            clock: Monotonic seconds.
            wall_clock: Seconds since 1970.
        """
        self._application = application
        self._metrics = metrics
        self._timeline = timeline
        self._emf_namespace = emf_namespace
        self._is_debugging = is_debugging
        self._clock = clock
        self._wall_clock = wall_clock
        if emf_namespace is not None:
            log.setLevel(logging.INFO)  # LOG_LEVEL says what is worth reading, and metrics are not there to be read

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Let the application answer; whatever it does, the account is closed once."""
        began_s = self._clock()
        account = Account()
        environ[KEY] = account

        def note_status(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:  # noqa: ANN401 - PEP 3333
            account.status = int(status[:3])
            return start_response(status, headers, *failure)

        try:
            answer = self._application(environ, note_status)
        except BaseException as error:
            fail(account, error)
            account.status = account.status or 500  # which is what the server says then
            self._close(account, began_s)
            raise
        return _Sending(answer, account, environ.get(SOCKET), lambda: self._close(account, began_s))

    def note_ping(self) -> None:
        """Tell how the process came up, at the first ping that is answered well."""
        if self._timeline.mark("first_healthy_ping"):
            marks = self._timeline.seconds()
            line: dict[str, Any] = {**marks, "cold_start_s": marks["first_healthy_ping_after_s"]}
            log.info("first healthy ping", extra=self._with_metrics(line, emf.START_UNITS))

    def _close(self, account: Account, began_s: float) -> None:
        if not account.is_told:
            return
        account.total_s = self._clock() - began_s
        self._metrics.count_request(account)
        level = logging.ERROR if account.is_ours else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, _event(account), extra=self._line(account))

    def _line(self, account: Account) -> dict[str, Any]:
        costs = account.costs()
        house = self._metrics.occupancy()
        outcome = account.outcome
        line: dict[str, Any] = {
            "request_id": account.request_id,
            "route": account.route,
            "status": account.status,
            "outcome": outcome,
            "reason": account.told_reason(is_whole=self._is_debugging),
            "source": account.source.value,
            "form": account.form,
            "language": account.language,
            "streamed": account.is_streamed,
            "client_gone": account.is_gone,
            "answer_bytes": account.answer_bytes,
            **{name: _rounded(getattr(costs, name)) for name in COSTS},
            "render_s": round(account.render_s, 4),
            "total_s": round(account.total_s, 4),
            "in_flight": house.requests,
            "waiting_windows": house.waiting_windows,
            "waiting_audio_s": round(house.waiting_audio_s, 1),
        }
        if self._is_debugging:
            line["address"] = account.address
        if account.stack is not None:
            line["stack"] = account.stack if self._is_debugging else account.concealed(account.stack)
        if self._emf_namespace is None:
            return line
        line |= emf.counts(outcome, is_ours=account.is_ours)
        return self._with_metrics(line, emf.units_of(outcome))

    def _with_metrics(self, line: dict[str, Any], units: Mapping[str, emf.Unit]) -> dict[str, Any]:
        if self._emf_namespace is not None:
            line["_aws"] = emf.metadata(units, namespace=self._emf_namespace, now_s=self._wall_clock())
        return line


def fail(account: Account, error: BaseException) -> None:
    """Note a failure that nobody foresaw: its stack goes into the line, and nowhere else."""
    account.refuse(TranscriberError.slug, type(error).__name__, is_ours=True)
    account.stack = "".join(traceback.format_exception(error)).rstrip()


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if isinstance(value, float) else value


def _event(account: Account) -> str:
    if account.stack is not None:
        return "request failed"
    if account.slug is not None:
        return "request refused"
    return "request abandoned" if account.outcome == ABANDONED else "request done"


class _Sending:
    """An answer on its way out: counts it, and sees whether it is taken to its end."""

    def __init__(
        self, parts: Iterable[bytes], account: Account, connection: socket.socket | None, ended: Callable[[], None]
    ) -> None:
        self._parts = parts
        self._account = account
        self._connection = connection
        self._ended = ended
        self._is_out = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield the parts; that the server asks for another means that it could hand over the one before."""
        account = self._account
        account.is_gone = _has_hung_up(self._connection)
        try:
            for part in self._parts:
                yield part
                account.answer_bytes += len(part)
        except Exception as error:
            fail(account, error)
            raise
        self._is_out = True

    def close(self) -> None:
        """Close the application's answer and the account; the server calls it whether or not all was taken."""
        try:
            close = getattr(self._parts, "close", None)
            if close is not None:
                close()
        finally:
            self._account.is_gone = self._account.is_gone or not self._is_out
            self._ended()


def _has_hung_up(connection: socket.socket | None) -> bool:
    """Whether the caller has closed the connection; looks, and waits for nothing."""
    if connection is None:
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
