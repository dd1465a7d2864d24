"""Requests that nobody means, at every path of a real `./serve`: by the published schema, and by hand-made strategies.

    python -m tests.fuzz.routes --examples 100 --save build/fuzz-http.json

schemathesis makes requests that docs/openapi.json allows, and others that it forbids, and holds answers against it.
hypothesis makes what schemas do not think of: true recordings with odd fields in every dialect, JSON of any shape,
bytes of any kind, forms, headers. An answer must be a transcript or one of the failures that are meant for callers.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.chaos.callers import ANSWER_WITHIN_S, Books, Times, code_of, honest_callers, learn, publish
from tests.chaos.container import end_in_order, holdings_in_calm, running
from tests.chaos.faults import Scene, wait_ready
from tests.chaos.store import open_store
from tests.conftest import ROOT
from tests.fuzz.bodies import REQUESTS, Sent

SCHEMA = ROOT / "docs" / "openapi.json"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LIMITS = {"MAX_AUDIO_SECONDS": "60", "MAX_JSON_BYTES": "1000000"}
MEANT = {400, 403, 404, 405, 406, 413, 415, 431}
"""What a request that nobody means may be answered; 431 is gunicorn's."""

SHOWN = 600


@dataclass(slots=True, kw_only=True)
class Found:
    """What the requests came to."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


def by_schema(port: int, *, examples: int, seed: int, found: Found) -> None:
    """Send so many requests of each kind to each path, and hold the answers against the schema."""
    schema = schemathesis.openapi.from_dict(json.loads(SCHEMA.read_text("utf-8")))
    for operation in (result.ok() for result in schema.get_all_operations()):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            name = f"{operation.label}, {mode.value}"
            strategy = operation.as_strategy(generation_mode=mode)
            _try(name, strategy, _case_sender(port, name, found), examples, seed, found)


def _case_sender(port: int, name: str, found: Found) -> Callable[[schemathesis.Case], None]:
    def send(case: schemathesis.Case) -> None:
        answer = case.call(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_WITHIN_S)
        found.requests[name] += 1
        found.statuses[str(answer.status_code)] += 1
        case.validate_response(answer, checks=CHECKS)

    return send


def by_hand(port: int, *, examples: int, seed: int, found: Found) -> None:
    """Send so many requests of each kind that `bodies` makes."""
    for name, requests in REQUESTS.items():
        _try(name, requests, _sender(port, name, found), examples, seed, found)


def _sender(port: int, name: str, found: Found) -> Callable[[Sent], None]:
    def send(request: Sent) -> None:
        found.requests[name] += 1
        status, body = ask(port, request)
        found.statuses[str(status)] += 1
        has_no_body = request.is_no_http or request.method == "HEAD"
        is_refusal = status in MEANT and (bool(code_of(body)) or has_no_body)
        assert status == 200 or is_refusal, f"{status} {body[:SHOWN]!r}"

    return send


def ask(port: int, request: Sent) -> tuple[int, bytes]:
    """Send a request and return status and body."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)) as caller:
        caller.putrequest(request.method, request.path, skip_accept_encoding=True)
        for name, value in request.headers:
            caller.putheader(name, value)
        caller.putheader("Content-Length", str(len(request.body)))
        caller.endheaders(request.body)
        answer = caller.getresponse()
        return answer.status, answer.read()


def _try(name: str, strategy: Any, send: Callable[[Any], None], examples: int, seed: int, found: Found) -> None:
    """Let hypothesis send, and note what it finds and how to find it again."""
    run = seeded(seed)(
        settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )(given(strategy)(send))
    )
    print(name, file=sys.stderr, flush=True)
    try:
        run()
    except Unsatisfiable:
        found.requests[name] += 0  # nothing can be wrong with what has no parameters and no body
    except BaseException as error:  # groups of failures among them; it is what is looked for
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        text = "; ".join(str(one) for one in getattr(error, "exceptions", [error]))
        notes = " ".join(getattr(error, "__notes__", []))
        found.findings.append(f"{name}: {type(error).__name__}: {text[:SHOWN]} {notes[:SHOWN]}")


def figures_of(*, examples: int, seed: int) -> dict[str, Any]:
    """Fuzz a container beside honest callers, and return what is written into the record."""
    began = datetime.now(UTC).isoformat(timespec="seconds")
    found, honest, times = Found(), Books(), Times()
    with open_store(seed=seed) as store, running(S3_ENDPOINT_URL=store.url, **LIMITS) as container:
        scene = Scene(container=container, times=times, chance=None, honest=honest, hostile=Books())
        if not wait_ready(scene):
            sys.exit("fuzz: the container did not become ready\n" + "\n".join(container.log.last))
        honest.words = learn(container.port)
        before = holdings_in_calm(container, store.port)
        with honest_callers(container.port, n=1, seed=seed, times=times, books=honest):
            by_schema(container.port, examples=examples, seed=seed, found=found)
            by_hand(container.port, examples=examples, seed=seed, found=found)
        leaked = holdings_in_calm(container, store.port).beyond(before)
        leaked.pop("threads")  # gunicorn starts up to its number of them as callers come
        container.stop()
        leaked["processes"] = len(container.left_processes())
        leaked["temporary files"] += len(list(container.scratch.iterdir()))
        strange, statuses = list(container.log.strange), container.statuses
    return {
        "program": "HTTP",
        "began": began,
        "seed": seed,
        "examples of each kind": examples,
        "requests": sum(found.requests.values()),
        "kinds": dict(sorted(found.requests.items())),
        "statuses": dict(sorted(found.statuses.items())),
        "findings": found.findings,
        "honest": dict(sorted(honest.outcomes.items())),
        "honest callers not answered right": honest.faults,
        "leaked": leaked,
        "strange lines of the log": strange,
        "container ended with": statuses,
    }


def is_well(figures: dict[str, Any]) -> bool:
    """Say whether nothing happened that must not happen."""
    lists = ("findings", "honest callers not answered right", "strange lines of the log")
    return not any(figures[name] for name in lists) and not any(
        [*figures["leaked"].values(), *figures["container ended with"]]
    )


def main() -> None:
    """Fuzz, print; status 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100, help="requests of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of all of them (default: %(default)s)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures there as JSON")
    arguments = parser.parse_args()
    end_in_order()
    figures = figures_of(examples=arguments.examples, seed=arguments.seed)
    publish(figures, arguments.save)
    if not is_well(figures):
        sys.exit("fuzz: something was found; the figures above say what")


if __name__ == "__main__":
    main()
