"""The one reader of the environment.

Every setting is an environment variable of the same name in capitals; docs/settings.md has a line for each of them.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from transcriber.errors import InvalidSettings

MEBIBYTE = 1024 * 1024

LIKENESS = 0.88
"""How alike (difflib's ratio) an unknown variable must be to a setting to be taken for a slip of the pen. The
environment is shared with the platform and other software, so other unknown names cannot be refused."""

OTHERS = "AWS_"
"""How names begin that belong to the AWS SDKs: AWS_ENDPOINT_URL is no slip of S3_ENDPOINT_URL."""

_ALLOWED_HOST = re.compile(r"\*|(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
PLACE = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^*]*\*?)?", re.ASCII)
"""An entry of ALLOWED_S3_PREFIXES; what it means stands in `audio/places.py`."""

Bytes = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, le=1e9)]
"""Up to some thirty years: what sockets and timers take, and `inf` does not pass for."""


class Settings(BaseSettings):
    """What the operator chose, read once at start and never again.

    Attributes are described, with unit, range, default and reason, in docs/settings.md.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=False, env_ignore_empty=True)

    model_id: str = "demo"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    device_index: str = "0"
    compute_type: str = "default"
    hf_home: str = "/tmp/hf"  # noqa: S108 - the only place SageMaker surely lets a container write
    model_cache_dir: str = "/opt/models"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    sagemaker_bind_to_port: Annotated[int, Field(ge=1, le=65535)] | None = None

    max_concurrent: Annotated[int, Field(ge=0, le=64)] = 0
    max_batch_windows: Annotated[int, Field(ge=0, le=95)] = 0
    max_threads_per_batch: Annotated[int, Field(ge=0, le=256)] = 0
    suppress_by_bias: Literal["auto", "on", "off"] = "auto"

    return_segments: bool = True
    default_vad_filter: bool = True

    max_body_bytes: Bytes = 1024 * MEBIBYTE
    max_json_bytes: Bytes = 128 * MEBIBYTE
    max_object_bytes: Bytes = 2048 * MEBIBYTE
    max_disk_bytes: Bytes = 16 * 1024 * MEBIBYTE
    max_audio_seconds: Seconds = 4 * 3600.0
    max_requests_in_flight: Annotated[int, Field(ge=1, le=1000)] = 64
    max_waiting_seconds: Seconds = 8 * 3600.0
    request_timeout_seconds: Seconds = 3600.0
    body_stall_seconds: Seconds = 30.0
    answer_stall_seconds: Seconds = 60.0
    decode_stall_seconds: Seconds = 20.0

    allowed_s3_prefixes: str | None = None
    s3_connect_timeout_seconds: Seconds = 5.0
    s3_read_timeout_seconds: Seconds = 30.0
    s3_max_attempts: Annotated[int, Field(ge=1, le=10)] = 4
    s3_endpoint_url: str | None = None

    allowed_url_hosts: str | None = None
    url_timeout_seconds: Seconds = 60.0

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    emf_namespace: Annotated[str, Field(max_length=255)] | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read only what `load` hands over, so that a test's environment is the whole environment."""
        return (init_settings,)

    @field_validator("device_index")
    @classmethod
    def _numbers(cls, value: str) -> str:
        if not all(part.strip().isdecimal() for part in value.split(",")):
            raise ValueError("must be device numbers with commas between them, such as 0 or 0,1")
        return value

    @field_validator("allowed_url_hosts")
    @classmethod
    def _hosts(cls, value: str | None) -> str | None:
        if value is not None and not all(_ALLOWED_HOST.fullmatch(part.strip().lower()) for part in value.split(",")):
            raise ValueError(
                "must be hosts with commas between them, such as media.example.com or *.example.com, or * for all"
            )
        return value

    @property
    def url_hosts(self) -> tuple[str, ...]:
        """The hosts of `allowed_url_hosts`, in lower case; none when nothing is fetched from the web."""
        return tuple(part.strip().lower() for part in (self.allowed_url_hosts or "").split(",") if part.strip())

    @field_validator("emf_namespace")
    @classmethod
    def _namespace(cls, value: str | None) -> str | None:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html, Namespace
        if value is not None and (
            re.fullmatch(r"[0-9A-Za-z._\-/#: ]+", value) is None or value.startswith(("AWS/", ":"))
        ):
            raise ValueError("must be letters, digits, spaces and . - _ / # : and begin neither with AWS/ nor with :")
        return value

    @field_validator("allowed_s3_prefixes")
    @classmethod
    def _places(cls, value: str | None) -> str | None:
        for place in _listed(value):
            if not PLACE.fullmatch(place) or {".", ".."} & set(place.split("/")):
                raise ValueError(
                    "must be places in s3 with commas between them, such as s3://bucket/folder/, s3://bucket or "
                    "s3://bucket/2026-*, without '.' or '..' between slashes"
                )
        return value

    @property
    def s3_places(self) -> tuple[str, ...]:
        """The entries of `allowed_s3_prefixes`, in its order."""
        return _listed(self.allowed_s3_prefixes)

    @property
    def device_indices(self) -> tuple[int, ...]:
        """The numbers of `device_index`, in its order."""
        return tuple(int(part) for part in self.device_index.split(","))

    @property
    def bind_port(self) -> int:
        """The port to listen on; SageMaker's own word goes before ours (multi-container endpoints set it)."""
        return self.sagemaker_bind_to_port or self.port


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings out of the environment.

    Raises:
        InvalidSettings: A value is ill-formed or out of range, or a variable's name is a misspelt setting. The message
            names each of them in one line.
    """
    known = {name.upper() for name in Settings.model_fields}
    slips = {name: close for name in sorted(environ) if name not in known and (close := _closest(name, known))}
    if slips:
        raise InvalidSettings(
            "; ".join(f"{name} is not a setting, did you mean {close}?" for name, close in slips.items())
            + " (docs/settings.md lists every setting)"
        )
    given = {name.lower(): value for name, value in environ.items() if name in known and value != ""}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(
            f"{str(fault['loc'][0]).upper()}={fault['input']!r}: {fault['msg'].removeprefix('Value error, ').lower()}"
            for fault in error.errors()
        )
        raise InvalidSettings(f"{faults} (docs/settings.md lists every setting)") from error


def _listed(value: str | None) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, (value or "").split(","))))


def _closest(name: str, known: set[str]) -> str | None:
    if name.startswith(OTHERS):
        return None
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=LIKENESS)), None)
