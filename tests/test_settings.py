from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT
from transcriber.errors import InvalidSettings
from transcriber.settings import Settings, load


def test_without_anything_set_the_demo_model_is_served_on_8080() -> None:
    settings = load({})

    assert (settings.model_id, settings.bind_port, settings.default_vad_filter) == ("demo", 8080, True)


def test_only_the_environment_that_is_handed_over_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")

    assert load({}).port == 8080


def test_sagemakers_port_goes_before_ours() -> None:
    assert load({"PORT": "9000", "SAGEMAKER_BIND_TO_PORT": "9100"}).bind_port == 9100


def test_the_names_of_the_aws_sdks_are_not_taken_for_slips() -> None:
    assert load({"AWS_ENDPOINT_URL": "http://127.0.0.1:8090", "AWS_S3_ENDPOINT_URL": "http://127.0.0.1"}) == load({})


def test_an_empty_value_means_the_default() -> None:
    assert load({"MAX_CONCURRENT": "", "PORT": ""}) == load({})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PORT": "many"}, "PORT='many'"),
        ({"PORT": "0"}, "PORT='0'"),
        ({"DEVICE": "tpu"}, "'auto', 'cpu' or 'cuda'"),
        ({"DEFAULT_VAD_FILTER": "perhaps"}, "DEFAULT_VAD_FILTER='perhaps'"),
        ({"DEVICE_INDEX": "0,x"}, "device numbers with commas"),
        ({"MAX_AUDIO_SECONDS": "-1"}, "greater than 0"),
        ({"MAX_AUDIO_SECONDS": "nan"}, "MAX_AUDIO_SECONDS"),
        ({"BODY_STALL_SECONDS": "inf"}, "less than or equal to 1000000000"),
        ({"ANSWER_STALL_SECONDS": "1e10"}, "less than or equal to 1000000000"),
        ({"MAX_BATCH_WINDOWS": "96"}, "less than or equal to 95"),
        ({"EMF_NAMESPACE": "AWS/SageMaker"}, "neither with aws/"),
        ({"EMF_NAMESPACE": "Sprache\n"}, "must be letters, digits, spaces"),
        ({"EMF_NAMESPACE": "x" * 256}, "at most 255"),
        ({"MAX_CONCURENT": "1"}, "did you mean MAX_CONCURRENT"),
        ({"DEFAULT_VAD_FILTERS": "true"}, "did you mean DEFAULT_VAD_FILTER"),
        ({"PORT": "many", "DEVICE": "tpu"}, "DEVICE='tpu'"),
        ({"ALLOWED_URL_HOSTS": "https://example.com"}, "hosts with commas"),
        ({"ALLOWED_URL_HOSTS": "a.example.com,,b"}, "hosts with commas"),
        ({"ALLOWED_URL_HOSTS": "media.*.com"}, "hosts with commas"),
        ({"URL_TIMEOUT_SECONDS": "0"}, "URL_TIMEOUT_SECONDS"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(environ: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidSettings, match=re.escape(message)) as fault:
        load(environ)

    assert "\n" not in fault.value.message
    assert "docs/settings.md" in fault.value.message


def test_hosts_are_a_list_in_lower_case() -> None:
    assert load({"ALLOWED_URL_HOSTS": "Media.example.com, *.example.org"}).url_hosts == (
        "media.example.com",
        "*.example.org",
    )
    assert load({}).url_hosts == ()


@pytest.mark.parametrize("name", ["HOME", "SAGEMAKER_BATCH", "MODEL_NAME", "HF_TOKEN", "AWS_REGION", "HOSTNAME"])
def test_other_peoples_variables_are_let_be(name: str) -> None:
    load({name: "anything"})


def test_every_setting_is_documented_with_its_default() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (?:[^|]*) \| ([^|]*) \|", page, flags=re.MULTILINE))
    defaults = {
        name.upper(): str(field.default).lower() if field.default in (True, False, None) else str(field.default)
        for name, field in Settings.model_fields.items()
    }

    assert set(rows) == set(defaults)
    assert {name: cell.strip().strip("`") for name, cell in rows.items()} == defaults
