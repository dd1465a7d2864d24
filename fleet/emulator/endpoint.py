"""An endpoint: its configuration, its instances and what it is doing."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from fleet import platform
from fleet.emulator import notifications
from fleet.emulator.answers import Place
from fleet.emulator.asynchronous import AsyncDesk
from fleet.emulator.aws import ACCOUNT
from fleet.emulator.instances import Group
from fleet.emulator.log_lines import Stream
from fleet.emulator.metrics import Meter
from fleet.emulator.process import Server
from fleet.emulator.world import World, arn

Document = Mapping[str, Any]
"""JSON as the control plane takes and gives it."""


class Status(StrEnum):
    """As DescribeEndpoint tells it."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    FAILED = "Failed"
    DELETING = "Deleting"


class Endpoint:
    """One endpoint; `keep` moves it on.

    Args:
        region: Where it is.
        name: Its name.
        config: What CreateEndpointConfig was given.
        model: What CreateModel was given for the model of its variant.
        world: What it shares with others.
    """

    def __init__(self, region: str, name: str, config: Document, model: Document, world: World) -> None:
        self.region, self.name = region, name
        self.config, self.model = config, model
        self.status = Status.CREATING
        self.failure = ""
        self.created_s = self.modified_s = time.time()
        self.place = Place(region=region, account=ACCOUNT, endpoint_name=name)
        self.meter = Meter(name, self.variant["VariantName"])
        self.changed = threading.Condition()
        self._world = world
        self._next: tuple[Group, Document, Document] | None = None
        self._closing: list[threading.Thread] = []
        self._to_announce = False
        self.group = self._group(config, model)
        self.desk: AsyncDesk | None = None
        if "AsyncInferenceConfig" in config:
            self.desk = AsyncDesk(self, world)
            self.desk.start()
        self.group.want(self.variant["InitialInstanceCount"])

    @property
    def arn(self) -> str:
        """The endpoint's ARN."""
        return arn(self.region, "endpoint", self.name)

    @property
    def variant(self) -> Document:
        """Its one production variant."""
        variant: Document = self.config["ProductionVariants"][0]
        return variant

    @property
    def serving(self) -> bool:
        """Whether it takes invocations."""
        return self.status in {Status.IN_SERVICE, Status.UPDATING}

    @property
    def pending(self) -> Document | None:
        """The configuration that an update brings, while it does."""
        return self._next[1] if self._next else None

    def update(self, config: Document, model: Document) -> None:
        """Start instances of another configuration; they take over when they are in service."""
        with self.changed:
            group = self._group(config, model)
            self._next = group, config, model
            self._move(Status.UPDATING)
            group.want(config["ProductionVariants"][0]["InitialInstanceCount"])

    def resize(self, count: int) -> None:
        """Have another number of instances."""
        with self.changed:
            self._world.tell(f"{self.name}: {self.group.desired} -> {count} instances")
            self._move(Status.UPDATING)
            self.group.want(count)

    def keep(self) -> None:
        """Look after the instances and move the status on; to be called now and then."""
        with self.changed:
            self.group.keep()
            if self._next is not None:
                self._next[0].keep()
                self._try_take_over(*self._next)
            elif self.status is Status.CREATING and self.group.last_failure:
                reason = self.group.last_failure
                self._move(Status.FAILED, f"The primary container did not pass the ping health check: {reason}")
                self._close_later(self.group)
            elif self.status in {Status.CREATING, Status.UPDATING} and self.group.ready == self.group.desired:
                self._move(Status.IN_SERVICE)
                self._to_announce = True
            announce, self._to_announce = self._to_announce, False
        if self.desk is not None:
            self.desk.keep()
            if announce:
                self.desk.notify_all(notifications.trial())

    def measure(self) -> None:
        """Note the metrics that are a state, not an event."""
        if self.desk is None:
            self.meter.add("ConcurrentRequestsPerModel", self.group.outstanding)
        else:
            for name, value in self.desk.levels().items():
                self.meter.add(name, value)

    def close(self) -> None:
        """End it: what is being worked on may end, the rest is dropped."""
        with self.changed:
            self._move(Status.DELETING)
            coming, self._next = self._next, None
        if self.desk is not None:
            self.desk.stop()
        if coming is not None:
            coming[0].close()
        self.group.close()
        for thread in self._closing:
            thread.join()
        if self.desk is not None:
            self.desk.join()

    def _try_take_over(self, group: Group, config: Document, model: Document) -> None:
        if group.last_failure:
            self._next = None
            self._close_later(group)
            self._move(Status.IN_SERVICE, f"The update was rolled back: {group.last_failure}")
        elif group.ready == group.desired:
            old, self.group, self._next = self.group, group, None
            self.config, self.model = config, model
            self.meter.variant_name = self.variant["VariantName"]
            self._close_later(old)
            self._move(Status.IN_SERVICE)
            self._to_announce = True

    def _move(self, status: Status, failure: str = "") -> None:
        self.status, self.failure, self.modified_s = status, failure, time.time()
        self._world.tell(f"{self.name}: {status}" + (f" ({failure})" if failure else ""))

    def _close_later(self, group: Group) -> None:
        thread = threading.Thread(target=group.close, name=f"closing {self.name}", daemon=True)
        thread.start()
        self._closing.append(thread)

    def _group(self, config: Document, model: Document) -> Group:
        variant: Document = config["ProductionVariants"][0]
        container: Document = model["PrimaryContainer"]

        def launch(instance_name: str) -> Server:
            return self._world.container(
                container.get("Environment", {}),
                region=self.region,
                isolated=bool(model.get("EnableNetworkIsolation")),
                log_stream=Stream(self.region, self.place.log_group, f"{variant['VariantName']}/{instance_name}"),
            )

        return Group(
            launch,
            changed=self.changed,
            patience=self._world.options.patience,
            tell=lambda what: self._world.tell(f"{self.name}: {what}"),
            ready_s=variant.get("ContainerStartupHealthCheckTimeoutInSeconds", platform.READY_WITHIN_S),
        )
