"""Requests that SageMaker, CloudWatch and Application Auto Scaling get, spelt out where a slip would go unnoticed."""

from __future__ import annotations

from fleet.deploy import requests
from fleet.deploy.desired import Mode
from tests.fleet.deploy.wishes import container, results, wish

REALTIME, ASYNC = wish(least=0).endpoints


def test_an_asynchronous_endpoint_scales_on_its_backlog_per_instance() -> None:
    """By endpoint only: the metric has no variant, and such an endpoint publishes no invocations."""
    said = requests.tracking_policy(wish(), ASYNC)["TargetTrackingScalingPolicyConfiguration"]

    assert said == {
        "TargetValue": 8.0,
        "CustomizedMetricSpecification": {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": "transcriber-async"}],
            "Statistic": "Average",
        },
        "ScaleOutCooldown": 100,
        "ScaleInCooldown": 600,
    }


def test_a_real_time_endpoint_scales_on_requests_in_flight() -> None:
    said = requests.tracking_policy(wish(), REALTIME)

    assert said["ResourceId"] == "endpoint/transcriber-realtime/variant/AllTraffic"
    assert said["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"
    assert said["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    }


def test_the_first_instance_is_started_by_jobs_that_wait_without_one() -> None:
    policy = requests.wake_policy(wish(), ASYNC)
    alarm = requests.wake_alarm(wish(), ASYNC, action="arn")

    assert policy is not None
    assert policy["StepScalingPolicyConfiguration"]["StepAdjustments"] == [
        {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}
    ]
    assert (alarm["MetricName"], alarm["Threshold"], alarm["ComparisonOperator"]) == (
        "HasBacklogWithoutCapacity",
        1.0,
        "GreaterThanOrEqualToThreshold",
    )
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (60, 2, 2)
    assert alarm["TreatMissingData"] == "missing"


def test_a_cpu_instance_gets_no_machine_image_and_only_a_real_time_endpoint_is_routed() -> None:
    (on_cpu,) = requests.endpoint_config(wish(instance_type="ml.c7i.4xlarge"), REALTIME)["ProductionVariants"]
    (queued,) = requests.endpoint_config(wish(), ASYNC)["ProductionVariants"]

    assert "InferenceAmiVersion" not in on_cpu
    assert on_cpu["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    assert "RoutingConfig" not in queued
    assert queued["InitialInstanceCount"] == 1


def test_a_model_in_a_folder_and_one_in_an_archive_are_named_differently() -> None:
    folder = requests.model(wish(run=container(model_data="s3://acme-models/whisper/")))["PrimaryContainer"]
    archive = requests.model(wish(run=container(model_data="s3://acme-models/w.tar.gz")))["PrimaryContainer"]

    assert folder["ModelDataSource"]["S3DataSource"] == {
        "S3Uri": "s3://acme-models/whisper/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    assert archive["ModelDataUrl"] == "s3://acme-models/w.tar.gz"


def test_the_same_wish_has_the_same_name_and_another_wish_another() -> None:
    """Tags and the first number of instances do not count: changing them must not replace a fleet."""

    def name(**changes: object) -> str:
        wanted = wish(**changes)  # type: ignore[arg-type]
        endpoint = next(endpoint for endpoint in wanted.endpoints if endpoint.mode is Mode.ASYNC)
        said: str = requests.endpoint_config(wanted, endpoint)["EndpointConfigName"]
        return said

    assert name() == name(tags={"team": "speech"}) == name(least=2) == name(target=3)
    others = [
        {"instance_type": "ml.g5.xlarge"},
        {"run": container(environment={})},
        {"puts": results(jobs_at_once=2)},
        {"volume_key": "alias/k"},
    ]
    assert len({name(), *(name(**change) for change in others)}) == 1 + len(others)


def test_without_topics_nobody_is_notified() -> None:
    wanted = wish(puts=results(success_topic=None, error_topic=None))
    said = requests.endpoint_config(wanted, wanted.endpoints[1])

    assert "NotificationConfig" not in said["AsyncInferenceConfig"]["OutputConfig"]
