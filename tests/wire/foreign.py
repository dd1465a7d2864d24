"""What the tests of the dialects share: a body in, a job or a refusal out."""

from __future__ import annotations

import json

from transcriber.wire import json_body
from transcriber.wire.job import Defaults, Job

DEFAULTS = Defaults(vad_filter=True, return_segments=True)


def parse(body: object, *, accept: str | None = None) -> Job:
    return json_body.parse(json.dumps(body).encode(), defaults=DEFAULTS, accept=accept)
