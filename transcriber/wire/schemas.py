"""What each dialect takes, as JSON Schema: published in docs/schemas."""

from __future__ import annotations

from transcriber.options import Dialect
from transcriber.wire.fields import Fields
from transcriber.wire.form import FormFields
from transcriber.wire.hugging_face import HuggingFaceFields
from transcriber.wire.json_body import JsonFields
from transcriber.wire.jumpstart import JumpStartFields
from transcriber.wire.parakeet import ParakeetFields
from transcriber.wire.voxtral import VoxtralFields

BODIES: dict[Dialect, type[Fields]] = {
    Dialect.OWN: JsonFields,
    Dialect.OPENAI: FormFields,
    Dialect.JUMPSTART: JumpStartFields,
    Dialect.HUGGING_FACE: HuggingFaceFields,
    Dialect.VOXTRAL: VoxtralFields,
    Dialect.PARAKEET: ParakeetFields,
}


def schema_of(dialect: Dialect) -> dict[str, object]:
    """Return the JSON Schema (2020-12) of a body; of OpenAI's, the fields of the form beside the file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **BODIES[dialect].model_json_schema(),
    }
