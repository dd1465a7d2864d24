"""HTTP: routes, status codes, headers; nothing about audio or models."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from itertools import chain
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, BinaryIO, cast

from flask import Flask, Request, Response, request, stream_with_context
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from inference import ModelService, Story
from transcriber import settings as environment
from transcriber.audio.disk import Disk, DiskFile
from transcriber.audio.sources import Upload
from transcriber.audio.spool import spool
from transcriber.errors import Kind, MalformedRequest, ServiceError, TooLarge, TranscriberError
from transcriber.observability import ledger, logs
from transcriber.observability.accounts import NOWHERE, Account
from transcriber.observability.ledger import Ledger
from transcriber.observability.metrics import CONTENT_TYPE, Metrics
from transcriber.observability.timeline import Timeline
from transcriber.options import StreamFormat, Task
from transcriber.rendering import events, openai
from transcriber.rendering.documents import failure
from transcriber.rendering.formats import STREAM_MEDIA_TYPES, render
from transcriber.settings import MEBIBYTE, Settings
from transcriber.transcript import Segment, Transcript
from transcriber.wire import body, form, headers
from transcriber.wire.caller import Caller
from transcriber.wire.job import Defaults, Job

STATUS = MappingProxyType(
    {
        Kind.MALFORMED: 400,
        Kind.FORBIDDEN: 403,
        Kind.NOT_FOUND: 404,
        Kind.NOT_ACCEPTABLE: 406,
        Kind.TOO_LARGE: 413,
        Kind.NOT_AUDIO: 415,
        Kind.GONE: 499,  # nginx's number: nobody reads it but logs
        Kind.INTERNAL: 500,
        Kind.UPSTREAM: 502,
        Kind.UNAVAILABLE: 503,
        Kind.DEADLINE: 504,
    }
)

FORM_FIELD_BYTES = 1024 * 1024
"""Memory for the text fields of a form; files go to disk."""

LEAST_TRANSFORMS, MOST_TRANSFORMS = 4, 10
"""Recordings that batch transform sends at the same time. Few are enough, since the windows of each fill batches, and
fewer may each be larger."""

LARGEST_TRANSFORMS_MB = 100
"""What SageMaker lets them have together (CreateTransformJob, MaxPayloadInMB)."""

OPENAI_PATHS = "/v1/"
UNFORESEEN = "the container failed on this request; its log says why"


def create(settings: Settings | None = None, service: ModelService | None = None) -> Flask:
    """Build the application; without arguments, from the environment, with a model that begins to load.

    Raises:
        InvalidSettings: The environment cannot be understood.
    """
    timeline = Timeline()
    timeline.mark("imported")
    settings = settings or environment.load()
    metrics = Metrics(timeline)
    if service is None:
        service = ModelService(settings, timeline=timeline, metrics=metrics)
        service.start()
    app = _Application(__name__, static_folder=None)
    app.request_class = _Incoming
    app.config["MAX_FORM_MEMORY_SIZE"] = FORM_FIELD_BYTES
    app.extensions["service"] = service
    books = Ledger(
        app.wsgi_app,
        metrics=metrics,
        timeline=timeline,
        emf_namespace=settings.emf_namespace,
        is_debugging=settings.log_level == "DEBUG",
    )
    app.wsgi_app = books  # type: ignore[method-assign] # as Flask says that middleware is put around it
    door = _Door(settings, service, books)
    app.add_url_rule("/metrics", view_func=lambda: Response(metrics.page(), content_type=CONTENT_TYPE), methods=["GET"])
    app.add_url_rule("/ping", view_func=door.ping, methods=["GET", "POST"])
    app.add_url_rule("/invocations", view_func=door.invocations, methods=["POST"])
    app.add_url_rule("/v1/audio/transcriptions", view_func=door.transcriptions, methods=["POST"])
    app.add_url_rule("/v1/audio/translations", view_func=door.translations, methods=["POST"])
    app.add_url_rule("/v1/models", view_func=door.models, methods=["GET"])
    app.add_url_rule("/execution-parameters", view_func=door.execution_parameters, methods=["GET"])
    app.register_error_handler(TranscriberError, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(Exception, _fail)
    app.before_request(_identify)
    app.after_request(_finish)
    app.teardown_request(_forget)
    return app


class _Application(Flask):
    """Flask, which asks of each function before each call whether it is a coroutine: none of ours is."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return it as it is."""
        return func


class _Incoming(Request):
    """A request that knows whether its body has been read to the end.

    A form's files go to our disk, for as long as the stack lives; `_Door._part` sets both.
    """

    stack: ExitStack
    disk: Disk
    is_read = False

    def _get_file_stream(self, *_: object, **__: object) -> DiskFile:
        return self.stack.enter_context(self.disk.file())

    def close(self) -> None:
        """Leave the files to the stack: Flask closes requests before their streams are read on."""


class _Door:
    """The routes."""

    def __init__(self, settings: Settings, service: ModelService, books: Ledger) -> None:
        self._settings = settings
        self._service = service
        self._since_s = int(time.time())
        self._books = books
        self._defaults = Defaults(vad_filter=settings.default_vad_filter, return_segments=settings.return_segments)

    def ping(self) -> Response:
        """Say 200 when a request could be served now, 503 otherwise; SageMaker wants an empty body."""
        try:
            self._service.check()
        except TranscriberError:
            return Response(status=503)
        self._books.note_ping()
        return Response(status=200)

    def execution_parameters(self) -> Response:
        """Tell batch transform how much to send at once; what the job itself says goes before it.

        SageMaker refuses a product of the two numbers above 100. One recording is one record, whatever the strategy.
        """
        wanted = max(LEAST_TRANSFORMS, min(MOST_TRANSFORMS, 2 * self._service.capabilities.replicas))
        concurrent = min(wanted, self._settings.max_requests_in_flight)
        payload_mb = min(LARGEST_TRANSFORMS_MB // concurrent, max(1, self._settings.max_body_bytes // MEBIBYTE))
        parameters = {
            "MaxConcurrentTransforms": concurrent,
            "BatchStrategy": "SINGLE_RECORD",
            "MaxPayloadInMB": payload_mb,
        }
        return Response(json.dumps(parameters) + "\n", content_type="application/json")

    def models(self) -> Response:
        """List the one model, as OpenAI lists its own."""
        name = PurePosixPath(self._settings.model_id)  # a folder's place in the container is nobody's business
        listed = openai.models(name.name if name.is_absolute() else str(name), created_s=self._since_s)
        return Response(listed, content_type="application/json")

    def invocations(self) -> Response:
        """Turn the audio of one request into text, in whatever dialect it comes."""
        return self._answered(self._job)

    def transcriptions(self) -> Response:
        """Do so for OpenAI's clients."""
        return self._answered(partial(self._form, task=Task.TRANSCRIBE))

    def translations(self) -> Response:
        """Do so for OpenAI's clients who want English."""
        return self._answered(partial(self._form, task=Task.TRANSLATE))

    def _answered(self, understand: Callable[[_Incoming, ExitStack], Job]) -> Response:
        """Let a request in, understand it, and answer it; what was spooled lives until then."""
        with ExitStack() as stack:
            ticket = stack.enter_context(self._service.admit())
            job = understand(cast("_Incoming", request), stack)
            story = Story()
            _tell_job(job, story)
            if job.answer.stream is not None:
                parts = self._service.stream(job.source, job.options, ticket=ticket, story=story)
                return _streamed(parts, job, job.answer.stream, stack)
            transcript = self._service.transcribe(
                job.source, job.options, ticket=ticket, story=story, has_left=_caller(request).has_left
            )
            with _account().rendering(transcript.language):
                rendered = render(
                    transcript,
                    format=job.answer.format,
                    with_segments=job.answer.with_segments,
                    with_words=job.answer.with_words,
                    dialect=job.answer.dialect,
                )
        return Response(rendered.body, content_type=rendered.media_type)

    def _job(self, incoming: _Incoming, stack: ExitStack) -> Job:
        """Understand the body of an invocation."""
        if incoming.mimetype == "multipart/form-data":
            return self._form(incoming, stack)
        with _caller(incoming).sends_on(within_s=self._settings.body_stall_seconds):
            upload = stack.enter_context(
                spool(
                    cast("BinaryIO", incoming.stream),
                    disk=self._service.disk,
                    limit_bytes=self._settings.max_body_bytes,
                    announced_bytes=incoming.content_length,
                )
            )
        incoming.is_read = True
        return body.parse(
            upload,
            says_json=incoming.is_json,
            attributes=incoming.headers.get(headers.CUSTOM_ATTRIBUTES),
            accept=incoming.headers.get("Accept"),
            limit_json_bytes=self._settings.max_json_bytes,
            defaults=self._defaults,
        )

    def _form(self, incoming: _Incoming, stack: ExitStack, *, task: Task | None = None) -> Job:
        """Understand a form; the task is that of an OpenAI path."""
        if incoming.mimetype != "multipart/form-data":
            raise MalformedRequest(
                f"the content type is {incoming.mimetype[:60] or 'missing'!r}, but this path takes multipart/form-data "
                "with the audio as a file in a part named 'file'; other bodies go to POST /invocations"
            )
        with _caller(incoming).sends_on(within_s=self._settings.body_stall_seconds):
            part = self._part(incoming, stack)
        accept = incoming.headers.get("Accept")
        return form.parse(part, _fields(incoming), accept=accept, defaults=self._defaults, task=task)

    def _part(self, incoming: _Incoming, stack: ExitStack) -> Upload:
        """Take the file out of a form; werkzeug has written it to disk as it came."""
        incoming.max_content_length = self._settings.max_body_bytes
        incoming.stack, incoming.disk = stack, self._service.disk
        try:
            files = incoming.files
            incoming.is_read = True
        except RequestEntityTooLarge as error:
            raise TooLarge(
                f"the form is above the {self._settings.max_body_bytes} bytes that this container takes"
            ) from error
        name = form.file_part({name: len(parts) for name, parts in files.lists()})
        part = cast("BinaryIO", files[name].stream)
        size_bytes = part.seek(0, 2)
        part.seek(0)
        return Upload(file=part, size_bytes=size_bytes)


def _caller(incoming: Request) -> Caller:
    return Caller(incoming.environ.get("gunicorn.socket"))


def _fields(incoming: Request) -> dict[str | None, list[str]]:
    return {name: list(values) for name, values in incoming.form.lists()}  # werkzeug's None: a part without a name


def _identify() -> None:
    """Bind the caller's id, or one of our own, to every log line of the request, refusals included."""
    account = _account()
    account.request_id = headers.inference_id(request.headers.get) or f"{random.getrandbits(128):032x}"
    account.route = request.url_rule.rule if request.url_rule else None
    logs.request_id.set(account.request_id)


def _forget(_error: BaseException | None) -> None:
    """Unbind the id: the thread goes on to other requests."""
    logs.request_id.set(None)


def _streamed(
    parts: Generator[Segment | Transcript | None], job: Job, form: StreamFormat, stack: ExitStack
) -> Response:
    """Begin to answer piece by piece; what fails before the first piece is answered with its status.

    The stack holds the place among those in flight and the body; both are kept until the last piece has gone.
    """
    account = _account()
    first = next(parts)
    held = stack.pop_all()

    def records() -> Iterator[bytes]:
        logs.request_id.set(
            account.request_id
        )  # Flask has torn the request down once when the first record is asked for
        number = 0
        try:
            for part in chain([first], parts):
                match part:
                    case None:
                        yield events.heartbeat(form)
                    case Segment():
                        with account.rendering():
                            record = events.segment(number, part, with_words=job.answer.with_words, form=form)
                        yield record
                        number += 1
                    case Transcript():
                        with account.rendering(part.language):
                            record = events.done(part, form)
                        yield record
        except TranscriberError as error:
            _tell_refusal(error)
            yield events.error(error.message, code=error.slug, form=form)
        except Exception as error:  # noqa: BLE001 - the status has gone out: the caller can learn it only here
            ledger.fail(account, error)
            yield events.error(UNFORESEEN, code=TranscriberError.slug, form=form)

    answer = Response(stream_with_context(records()), content_type=STREAM_MEDIA_TYPES[form])
    answer.call_on_close(parts.close)
    answer.call_on_close(held.close)
    return answer


def _account() -> Account:
    """Return the account of the request that this thread works on."""
    return cast("Account", request.environ[ledger.KEY])


def _tell_job(job: Job, story: Story) -> None:
    """Note what was asked for, and where what it takes can be read."""
    account = _account()
    account.is_told = True
    account.source, account.address = job.source.kind, job.source.address
    account.form, account.is_streamed = str(job.answer.format), job.answer.stream is not None
    account.costs = story.costs


def _tell_refusal(error: TranscriberError) -> None:
    """Note a failure that was foreseen."""
    _account().refuse(error.slug, error.message, is_ours=STATUS[error.kind] >= 500)


def _refuse(error: TranscriberError) -> Response:
    """Answer a failure that was foreseen: one sentence and a slug."""
    status = STATUS[error.kind]
    _tell_refusal(error)
    answer = _failure(error.message, code=error.slug, status=status)
    if isinstance(error, ServiceError) and error.retry_after_s is not None:
        answer.headers["Retry-After"] = str(error.retry_after_s)
    return answer


def _refuse_http(error: HTTPException) -> Response:
    """Answer what Flask itself refuses, such as a path that does not exist."""
    if isinstance(error, RequestEntityTooLarge):
        return _refuse(TooLarge("a text field of the form is too large"))
    status = error.code or 500
    if status == 400:
        return _refuse(MalformedRequest("the request cannot be read as HTTP"))
    sentence = {
        404: "there is nothing at this path; send audio to POST /invocations, ask GET /ping for health",
        405: "this path does not take this method; send audio to POST /invocations, ask GET /ping for health",
    }.get(status, error.name)
    _account().refuse(NOWHERE, sentence, is_ours=False)
    return _failure(sentence, code=NOWHERE, status=status)


def _fail(error: Exception) -> Response:
    """Answer a failure that nobody foresaw; the caller learns nothing of the container's inside."""
    ledger.fail(_account(), error)
    return _failure(UNFORESEEN, code=TranscriberError.slug, status=STATUS[Kind.INTERNAL])


def _failure(sentence: str, *, code: str, status: int) -> Response:
    """Write a failure in the shape of those who call the path."""
    is_openai = request.path.startswith(OPENAI_PATHS)
    text = openai.failure(sentence, code=code, status=status) if is_openai else failure(sentence, code=code)
    return Response(text, status=status, content_type="application/json")


def _hear_out(incoming: _Incoming) -> None:
    """Read what nobody has read of the body, so that the answer gets read."""
    has_body = incoming.content_length or "Transfer-Encoding" in incoming.headers
    if incoming.is_read or not has_body:
        return
    with suppress(Exception):  # the caller has gone, or it is no HTTP any more; gunicorn hangs up then
        _caller(incoming).hear_out(incoming.environ["wsgi.input"])


def _finish(answer: Response) -> Response:
    """Give the caller back what tells this answer from others."""
    _hear_out(cast("_Incoming", request))
    answer.headers.update(headers.returned(request.headers.get))
    return answer
