"""InvokeEndpointAsync: orders wait, instances take them, answers go to S3 and word of them to SNS."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from fleet import platform
from fleet.emulator import answers, locations, notifications
from fleet.emulator.backlog import Backlog, Order
from fleet.emulator.container import Broken, Call, Readable, Timeout, ask
from fleet.emulator.instances import Instance
from fleet.emulator.log_lines import Stream
from fleet.emulator.refusals import InvalidInvocation
from fleet.emulator.world import World

if TYPE_CHECKING:
    from fleet.emulator.endpoint import Endpoint

LOOK_AGAIN_S = 0.5
"""How long the dispatcher sleeps when nobody wakes it."""


class Failed(Exception):
    """The order came to nothing.

    Attributes:
        reason: What the notification says.
        answer: What the container answered, if it did.
        metric: A metric that counts this kind.
    """

    def __init__(self, reason: str, *, answer: answers.Answer | None = None, metric: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.answer, self.metric = reason, answer, metric


class AsyncDesk:
    """Takes the orders of one endpoint and sees to it that they are done."""

    def __init__(self, endpoint: Endpoint, world: World) -> None:
        self._endpoint = endpoint
        self._world = world
        self._backlog = Backlog()
        self._stopped = False
        self._dispatcher = threading.Thread(target=self._dispatch, name=f"orders {endpoint.name}", daemon=True)
        self._workers: set[threading.Thread] = set()

    @property
    def _config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self._endpoint.config["AsyncInferenceConfig"]
        return config

    @property
    def concurrency(self) -> int:
        """Orders that an instance works on at once."""
        client: Mapping[str, int] = self._config.get("ClientConfig", {})
        return client.get("MaxConcurrentInvocationsPerInstance", self._world.options.async_concurrency)

    def submit(self, asked: Mapping[str, Any], body: bytes | None) -> Order:
        """Let an order wait.

        Args:
            asked: The members of InvokeEndpointAsync, checked against the service model.
            body: The inline body, if there is one.

        Raises:
            InvalidInvocation: There is no input, or there are two; or there is nowhere to put the result.
        """
        if (asked.get("InputLocation") is None) == (body is None):
            raise InvalidInvocation("Exactly one of InputLocation and Body must be given.")
        if body is not None and len(body) > platform.ASYNC_INLINE_BYTES:
            raise InvalidInvocation(
                f"A Body of {len(body)} bytes is above the {platform.ASYNC_INLINE_BYTES} that are accepted;"
                " put it into S3 and name it by InputLocation."
            )
        output = self._config.get("OutputConfig", {})
        if not output.get("S3OutputPath"):
            raise InvalidInvocation("The endpoint's configuration names no S3OutputPath.")
        number = uuid.uuid4()
        folder = locations.parse(output["S3OutputPath"])
        if asked.get("S3OutputPathExtension"):
            folder = folder.below(asked["S3OutputPathExtension"].strip("/"))
        failure = locations.parse(output["S3FailurePath"]) if output.get("S3FailurePath") else None
        if asked.get("InputLocation"):
            locations.parse(asked["InputLocation"])
        order = Order(
            inference_id=asked.get("InferenceId") or str(uuid.uuid4()),
            received_s=time.time(),
            ttl_s=asked.get("RequestTTLSeconds", platform.ASYNC_TTL_S),
            timeout_s=asked.get("InvocationTimeoutSeconds", platform.ASYNC_TIMEOUT_S),
            input_location=asked.get("InputLocation"),
            body=body,
            output_location=str(folder.below(asked.get("Filename") or f"{number}.out")),
            failure_location=str(failure.below(f"{number}-error.out")) if failure else None,
            headers=_headers(asked),
        )
        with self._endpoint.changed:
            self._backlog.add(order)
            self._endpoint.changed.notify_all()
        self._world.tell(f"{self._endpoint.name}: order {order.inference_id} waits")
        return order

    def levels(self) -> dict[str, float]:
        """Return the metrics of the backlog."""
        now_s = time.time()
        with self._endpoint.changed:
            size, ready = self._backlog.size, self._endpoint.group.ready
            levels = {
                "ApproximateBacklogSize": float(size),
                "ApproximateAgeOfOldestRequest": self._backlog.oldest_s(now_s=now_s),
                "HasBacklogWithoutCapacity": float(size > 0 and ready == 0),
            }
        if ready:
            levels["ApproximateBacklogSizePerInstance"] = size / ready
        return levels

    def keep(self) -> None:
        """Give up the orders that have waited too long; to be called now and then."""
        with self._endpoint.changed:
            late = self._backlog.expire(now_s=time.time())
        for order in late:
            self._endpoint.meter.add("ExpiredRequests")
            self._fail(order, Failed(f"ClientError: The request expired after {order.ttl_s:.0f} s in the queue."))

    def notify_all(self, message: Mapping[str, object]) -> None:
        """Send a message to both topics."""
        topics = self._config.get("OutputConfig", {}).get("NotificationConfig", {})
        for topic in {topics.get("SuccessTopic"), topics.get("ErrorTopic")} - {None}:
            self._publish(topic, message)

    def start(self) -> None:
        """Begin to hand orders to instances."""
        self._dispatcher.start()

    def stop(self) -> None:
        """Hand out no more orders."""
        with self._endpoint.changed:
            self._stopped = True
            self._endpoint.changed.notify_all()

    def join(self) -> None:
        """Wait for the orders that are being worked on."""
        self._dispatcher.join()
        with self._endpoint.changed:
            workers = list(self._workers)
        for worker in workers:
            worker.join()

    def _dispatch(self) -> None:
        changed = self._endpoint.changed
        with changed:
            while not self._stopped:
                group = self._endpoint.group
                instance = group.try_acquire(limit=self.concurrency) if self._backlog.waiting else None
                if instance is None:
                    changed.wait(LOOK_AGAIN_S)
                    continue
                order = self._backlog.take(now_s=time.time())
                if order is None:
                    group.release(instance)
                    changed.wait(LOOK_AGAIN_S)
                    continue
                worker = threading.Thread(target=self._work, args=(order, instance), name="order", daemon=True)
                self._workers.add(worker)
                worker.start()

    def _work(self, order: Order, instance: Instance) -> None:
        meter = self._endpoint.meter
        started_s = time.time()
        meter.add("TimeInBacklog", (started_s - order.received_s) * 1000)
        try:
            try:
                answer = self._ask(order, instance)
            finally:
                with self._endpoint.changed:
                    self._endpoint.group.release(instance)
            self._deliver(order, answer)
        except Failed as failed:
            self._fail(order, failed)
        finally:
            meter.add("TotalProcessingTime", (time.time() - started_s) * 1000)
            with self._endpoint.changed:
                self._backlog.done()
                self._workers.discard(threading.current_thread())
                self._endpoint.changed.notify_all()

    def _ask(self, order: Order, instance: Instance) -> answers.Answer:
        """Send the input to the container and return an answer that can be passed on."""
        body, size = self._input(order)
        asked_s = time.monotonic()
        patience = self._world.options.patience
        call = Call(body=body, size=size, headers=order.headers, timeout_s=order.timeout_s, accept_s=patience.accept_s)
        try:
            answer = ask(instance.address, call)
        except Timeout as error:
            raise self._logged(order, instance, f"ClientError: {answers.TIMED_OUT}") from error
        except Broken as error:
            raise self._logged(order, instance, f"InternalServerError: {answers.BROKE_OFF}") from error
        except BotoCoreError as error:  # S3 broke off while its object was on the way to the container
            raise Failed(f"ClientError: The input cannot be read: {error}", metric="RequestDownloadFailures") from error
        self._endpoint.meter.add("ModelLatency", (time.monotonic() - asked_s) * 1e6)
        if answers.header_bytes(answer.headers) > platform.RESPONSE_HEADERS_BYTES:
            raise self._logged(order, instance, f"ClientError: {answers.LONG_HEADERS}")
        if not 200 <= answer.status < 300:
            kind = "client" if 400 <= answer.status < 500 else "server"
            raise Failed(
                f"ClientError: Received {kind} error ({answer.status}) from model. See the SageMaker Endpoint logs in"
                " your account for more information.",
                answer=answer,
            )
        if answer.header("Content-Length") is None:
            raise self._logged(order, instance, f"ClientError: {answers.NO_LENGTH}")
        return answer

    def _input(self, order: Order) -> tuple[bytes | Readable, int]:
        if order.input_location is None:
            inline = order.body or b""
            return inline, len(inline)
        location = locations.parse(order.input_location)
        started_s = time.monotonic()
        try:
            found = self._s3().get_object(Bucket=location.bucket, Key=location.key)
        except (ClientError, BotoCoreError) as error:
            raise Failed(
                f"ClientError: The input {location} cannot be read: {error}", metric="RequestDownloadFailures"
            ) from error
        size: int = found["ContentLength"]
        if size > platform.ASYNC_OBJECT_BYTES:
            raise Failed(
                f"ClientError: The input {location} of {size} bytes is above the {platform.ASYNC_OBJECT_BYTES} bytes"
                " accepted."
            )
        self._endpoint.meter.add("RequestDownloadLatency", (time.monotonic() - started_s) * 1000)
        body: Readable = found["Body"]
        return body, size

    def _deliver(self, order: Order, answer: answers.Answer) -> None:
        content_type = answer.header("Content-Type")
        started_s = time.monotonic()
        self._put(order.output_location, answer.body, content_type)
        meter = self._endpoint.meter
        meter.add("ResponseUploadLatency", (time.monotonic() - started_s) * 1000)
        meter.add("InvocationsProcesssed")
        self._world.tell(f"{self._endpoint.name}: order {order.inference_id} done: {order.output_location}")
        outcome = self._outcome(order, answer_content_type=content_type, output_location=order.output_location)
        self._notify("SuccessTopic", "SUCCESS_NOTIFICATION_TOPIC", outcome, (content_type or "", answer.body))

    def _fail(self, order: Order, failed: Failed) -> None:
        meter = self._endpoint.meter
        meter.add("InvocationFailures")
        if failed.metric:
            meter.add(failed.metric)
        self._world.tell(f"{self._endpoint.name}: order {order.inference_id} failed: {failed.reason}")
        answer = failed.answer
        content = answer.body if answer else failed.reason.encode()
        content_type = answer.header("Content-Type") if answer else "text/plain"
        if order.failure_location:
            try:
                self._put(order.failure_location, content, content_type)
            except Failed as second:
                self._world.tell(f"{self._endpoint.name}: {second.reason}")
        outcome = self._outcome(order, failure_reason=failed.reason)
        self._notify("ErrorTopic", "ERROR_NOTIFICATION_TOPIC", outcome, (content_type or "", content))

    def _outcome(
        self,
        order: Order,
        *,
        answer_content_type: str | None = None,
        output_location: str | None = None,
        failure_reason: str | None = None,
    ) -> notifications.Outcome:
        return notifications.Outcome(
            region=self._endpoint.region,
            endpoint_name=self._endpoint.name,
            inference_id=order.inference_id,
            received_s=order.received_s,
            ended_s=time.time(),
            status="Completed" if failure_reason is None else "Failed",
            accept=order.headers.get("Accept"),
            content_type=order.headers.get("Content-Type"),
            input_location=order.input_location,
            answer_content_type=answer_content_type,
            output_location=output_location,
            failure_reason=failure_reason,
        )

    def _notify(self, which: str, included: str, outcome: notifications.Outcome, answer: notifications.Body) -> None:
        topics = self._config.get("OutputConfig", {}).get("NotificationConfig", {})
        if which in topics:
            wanted = included in topics.get("IncludeInferenceResponseIn", [])
            self._publish(topics[which], notifications.result(outcome, answer=answer if wanted else None))

    def _publish(self, topic: str, message: Mapping[str, object]) -> None:
        region = topic.split(":")[3]
        try:
            self._world.clients.get("sns", region).publish(TopicArn=topic, Message=json.dumps(message))
        except (ClientError, BotoCoreError) as error:
            self._endpoint.meter.add("NotificationFailures")
            self._world.tell(f"{self._endpoint.name}: {topic} cannot be notified: {error}")

    def _put(self, uri: str, content: bytes, content_type: str | None) -> None:
        location = locations.parse(uri)
        given = {"ContentType": content_type} if content_type else {}
        try:
            self._s3().put_object(Bucket=location.bucket, Key=location.key, Body=content, **given)
        except (ClientError, BotoCoreError) as error:
            raise Failed(
                f"ClientError: The output {location} cannot be written: {error}", metric="ResponseUploadFailures"
            ) from error

    def _s3(self) -> Any:  # noqa: ANN401 - boto3's clients have no types of their own
        return self._world.clients.get("s3", self._endpoint.region)

    def _logged(self, order: Order, instance: Instance, reason: str) -> Failed:
        """Write the platform's own line where AWS does, `<variant>/<instance>/data-log`, and make the failure."""
        endpoint = self._endpoint
        name = f"{endpoint.variant['VariantName']}/{instance.name}/data-log"
        line = f"[{order.inference_id}] {reason.partition(': ')[2]}"
        self._world.logs.add(Stream(endpoint.region, endpoint.place.log_group, name), line)
        return Failed(reason)


def _headers(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return what the container sees: the ordinary names, and nothing about S3."""
    names = {
        "Content-Type": "ContentType",
        "Accept": "Accept",
        "X-Amzn-SageMaker-Custom-Attributes": "CustomAttributes",
        "X-Amzn-SageMaker-Inference-Id": "InferenceId",
    }
    return {header: asked[name] for header, name in names.items() if asked.get(name)}
