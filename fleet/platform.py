"""SageMaker's own numbers and limits, each with the page it comes from.

Pages are below https://docs.aws.amazon.com/sagemaker/latest/ unless another address is given. "Service model" is the
description of the API that botocore carries (`botocore/data/sagemaker*/service-2.json`); the emulator reads the limits
of single parameters from there and they are not repeated here.
"""

from __future__ import annotations

MEGABYTE = 1024 * 1024

# --- Hosting: dg/your-algorithms-inference-code.html

CONTAINER_PORT = 8080
"""Where a container listens when `SAGEMAKER_BIND_TO_PORT` is not set."""

ACCEPT_WITHIN_S = 0.25
"""A container must accept a connection within 250 ms."""

PING_TIMEOUT_S = 2.0
"""A container must answer /ping within 2 seconds."""

READY_WITHIN_S = 8 * 60.0
"""A container must answer /ping with 200 within 8 minutes of its start, unless the variant's
`ContainerStartupHealthCheckTimeoutInSeconds` says otherwise."""

KILL_AFTER_S = 30.0
"""SIGKILL follows SIGTERM after this long."""

PING_EVERY_S = 5.0
"""Time between two pings. Not published; SageMaker's local mode (github.com/aws/sagemaker-python-sdk,
`sagemaker-core/src/sagemaker/core/local`) takes 5 seconds."""

# --- Real-time: dg/model-deploy-faqs.html ("Model Hosting FAQs")

REALTIME_BODY_BYTES = 25 * MEGABYTE
"""Largest body of InvokeEndpoint. The service model still says 6,291,456; the FAQ and callers say 25 MB."""

REALTIME_TIMEOUT_S = 60.0
"""A container must answer InvokeEndpoint within 60 seconds."""

STREAM_TIMEOUT_S = 8 * 60.0
"""A response stream ends after 8 minutes."""

STREAM_FIRST_BYTE_WITHIN_S = 60.0
"""Streams that send nothing for a minute are reported as timed out (github.com/aws/sagemaker-python-sdk/issues/1119);
not an official number."""

ORIGINAL_MESSAGE_LENGTH = 2048
"""Characters of the container's answer that a ModelError carries (service model, sagemaker-runtime, `Message`)."""

RESPONSE_HEADERS_BYTES = 4096
"""A container's answer whose headers are longer is refused
(github.com/aws/deep-learning-containers/issues/4668: "headers with length greater than 4096 bytes")."""

# --- Asynchronous: dg/async-inference.html, dg/async-inference-troubleshooting.html, service model

ASYNC_OBJECT_BYTES = 1024 * MEGABYTE
"""Largest input object."""

ASYNC_INLINE_BYTES = 128_000
"""Largest inline `Body` (service model, `AsyncBodyBlob`)."""

ASYNC_TTL_S = 21_600
"""Default of `RequestTTLSeconds`: six hours."""

ASYNC_TIMEOUT_S = 900
"""Default of `InvocationTimeoutSeconds`: fifteen minutes."""

NOTIFIED_RESPONSE_BYTES = 128 * 1024
"""A notification carries the response (`IncludeInferenceResponseIn`) up to this size."""

# --- Batch transform: dg/your-algorithms-batch-code.html, dg/batch-transform.html, service model

TRANSFORM_CONCURRENT = 1
TRANSFORM_PAYLOAD_MB = 6
TRANSFORM_STRATEGY = "MULTI_RECORD"
"""Used when neither the job nor the container's /execution-parameters says anything."""

TRANSFORM_PAYLOAD_MB_MAX = 100
"""Largest `MaxPayloadInMB`, and largest product of it and `MaxConcurrentTransforms`."""

TRANSFORM_TIMEOUT_S = 600
TRANSFORM_RETRIES = 3
"""Defaults of `ModelClientConfig`."""

# --- Scaling: dg/async-inference-autoscale.html, dg/endpoint-auto-scaling.html,
#     https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html

SCALE_COOLDOWN_S = 300.0
"""Default of both cooldowns of target tracking on a SageMaker variant."""

SCALE_OUT_POINTS = 3
"""Metric points above the target before target tracking adds capacity."""

SCALE_IN_POINTS = 15
"""Metric points below 90 % of the target before target tracking takes capacity away."""

HIGH_RESOLUTION_S = 10.0
"""Period of the high-resolution concurrency metric; scaling in takes 90 of its points, 15 minutes as well
(github.com/aws-samples/sagemaker-genai-hosting-examples, scale_down_to_zero.ipynb)."""

# --- Metrics: dg/monitoring-cloudwatch.html, dg/async-inference-monitor.html

METRICS_NAMESPACE = "AWS/SageMaker"
"""The misspelt `InvocationsProcesssed`, three s, is how AWS's page writes it."""
INVOCATIONS_PROCESSED = "InvocationsProcesssed"
