"""Clients of the other services: moto's, behind the emulator's own address."""

from __future__ import annotations

import threading
from typing import Any

import boto3
from botocore.config import Config

ACCOUNT = "123456789012"
"""moto's account."""

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}


class Clients:
    """boto3 clients, one for each service and region; safe for several threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}  # boto3's clients have no types of their own

    def get(self, service: str, region: str) -> Any:  # noqa: ANN401 - boto3's clients have no types of their own
        """Return the client of a service in a region."""
        with self._lock:
            key = service, region
            if key not in self._clients:
                self._clients[key] = boto3.client(
                    service,  # type: ignore[call-overload] # any service, by name
                    region_name=region,
                    endpoint_url=self._url,
                    aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                    config=Config(
                        max_pool_connections=64,
                        retries={"total_max_attempts": 2},
                        proxies={},
                        s3={"addressing_style": "path"},
                    ),
                )
            return self._clients[key]

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
