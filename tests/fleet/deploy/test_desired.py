"""What can be wanted, and what is refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from fleet.deploy.desired import (
    CannotDeploy,
    Image,
    Mode,
    Names,
    advice,
    read_settings,
)
from tests.fleet.deploy.wishes import NAMES, container, results, wish
from transcriber.settings import load


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (lambda: Names(deployment="under_score", place=NAMES.place), "letters, digits, and hyphens"),
        (lambda: Names(deployment="a" * 41, place=NAMES.place), "has 41 characters; at most 40"),
        (lambda: container(image="docker.io/transcriber:gpu"), "is not an image in ECR.*build_and_push.sh"),
        (lambda: container(role="transcriber"), "is not a role; its ARN looks like"),
        (lambda: container(subnets=("subnet-1",)), "both subnets and security groups"),
        (lambda: container(model_data="s3://acme-models/whisper.zip"), r"is a \.tar\.gz in S3, or a folder"),
        (lambda: container(environment={"LOG_LEVL": "INFO"}), "the container would not start.*did you mean LOG_LEVEL"),
        (lambda: container(environment={"MAX_CONCURRENT": "many"}), "the container would not start: MAX_CONCURRENT"),
        (lambda: container(environment={"PORT": "80"}), "SageMaker calls port 8080"),
        (lambda: container(environment={"A-B": "x"}), "cannot be the name of an environment variable"),
        (lambda: container(environment={"A": "x" * 1025}), "A has 1025 bytes; SageMaker takes 1024"),
        (lambda: container(environment={f"A{n}": "" for n in range(101)}), "has 101 entries"),
        (lambda: container(environment={f"A{n}": "x" * 1000 for n in range(40)}), "SageMaker takes 32768 altogether"),
        (lambda: wish(instance_type="ml.c7g.xlarge"), "its processor is ARM"),
        (lambda: wish(instance_type="ml.inf2.xlarge"), "AWS's own accelerator"),
        (lambda: wish(run=container(environment={"DEVICE": "cuda"}), instance_type="ml.m5.large"), "needs a GPU"),
        (lambda: wish(least=3, most=2), "3 to 2 instances cannot be"),
        (lambda: wish(target=0), "must be above 0"),
        (lambda: wish(puts=results(folder="acme-transcripts")), "is not a place in S3"),
        (lambda: wish(puts=results(success_topic="transcribed")), "is not a topic"),
        (lambda: wish(puts=results(error_topic="arn:aws:sns:us-east-1:123456789012:x")), "lies in us-east-1"),
        (
            lambda: wish(run=container(image="123456789012.dkr.ecr.us-east-1.amazonaws.com/transcriber:gpu")),
            "the image lies in us-east-1 and the endpoint shall run in eu-central-1",
        ),
    ],
)
def test_a_mistake_is_refused_with_one_sentence(mistake: Callable[[], object], sentence: str) -> None:
    with pytest.raises(CannotDeploy, match=sentence) as caught:
        mistake()
    assert "\n" not in str(caught.value)


def test_a_real_time_endpoint_never_has_no_instance_and_an_asynchronous_one_needs_a_place_for_results() -> None:
    realtime, asynchronous = wish().endpoints

    with pytest.raises(CannotDeploy, match="keeps at least 1 instance"):
        replace(realtime, scaling=replace(realtime.scaling, least=0))
    with pytest.raises(CannotDeploy, match="needs a place in S3 for its results: --output"):
        replace(asynchronous, results=None)


def test_advice_is_given_for_what_works_and_surprises() -> None:
    limited = {"ALLOWED_S3_PREFIXES": "s3://acme-recordings/"}

    assert advice(wish()) == ()
    assert advice(wish(run=container(environment={"ALLOWED_S3_PREFIXES": ""}))) == ()
    assert "every object that the role may read" in advice(wish(run=container(environment={})))[0]
    assert "cuBLAS 12.8" in advice(wish(instance_type="ml.g7e.2xlarge"))[0]
    assert "leaves the GPU" in advice(wish(run=container(environment={"DEVICE": "cpu"})))[0]
    assert "cannot name an s3_uri" in advice(wish(run=container(is_isolated=True)))[0]
    rehearsal = {**limited, "S3_ENDPOINT_URL": "http://localhost:1"}
    assert "rehearsals" in advice(wish(run=container(environment=rehearsal)))[0]


def test_an_image_is_taken_apart() -> None:
    by_digest = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/transcriber@sha256:" + "0" * 64
    image = Image.parse(by_digest)

    assert (image.region, image.repository, image.tag) == ("cn-north-1", "team/transcriber", None)
    assert f"{image.registry}/{image.repository}@{image.digest}" == by_digest


def test_names_fit_into_sagemakers() -> None:
    names = Names(deployment="a" * 40, place=NAMES.place)

    assert all(len(f"{names.endpoint(mode)}-{'0' * 10}") <= 63 for mode in Mode)


def test_settings_are_read_as_the_container_reads_them() -> None:
    assert read_settings({"MODEL_ID": "demo", "GLIBC_TUNABLES": "x"}) == load({"MODEL_ID": "demo"})
