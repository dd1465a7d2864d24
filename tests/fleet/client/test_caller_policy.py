"""Whoever calls may do what the clients do, and nothing else; the calls are counted in the code."""

from __future__ import annotations

import ast
import json
from typing import Any

from botocore import xform_name
from botocore.session import get_session

from tests.conftest import ROOT
from tests.policies import grants

STATEMENTS: list[dict[str, Any]] = json.loads((ROOT / "docs" / "caller-policy.json").read_text("utf-8"))["Statement"]
PAGE = (ROOT / "docs" / "iam.md").read_text("utf-8")
SERVICES = {"s3": "s3", "sqs": "sqs", "cloudwatch": "cloudwatch", "sagemaker": "sagemaker"}
SERVICES["sagemaker-runtime"] = "sagemaker"

CALLED_OTHERWISE = {
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "sagemaker:InvokeEndpointWithResponseStream": "sagemaker:InvokeEndpoint",
}
"""Operations whose permission has another name."""

OF_UPLOAD_FILE = {"s3:PutObject", "s3:AbortMultipartUpload"}
"""What boto3's `upload_file` calls, in parts or in one piece."""


def called() -> set[str]:
    """Return the operations that the code names: as a method, or for a paginator."""
    operations = {
        xform_name(name): f"{prefix}:{name}"
        for service, prefix in SERVICES.items()
        for name in get_session().get_service_model(service).operation_names
    }
    names = {
        name
        for path in (ROOT / "fleet" / "client").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if ast.unparse(node.func.value) != "re"  # SageMaker has a Search, too
        for name in (node.func.attr, *(one.value for one in node.args if isinstance(one, ast.Constant)))
        if name in operations
    }
    return {operations[str(name)] for name in names}


def test_caller_may_do_what_the_clients_do_and_no_more() -> None:
    actions = {CALLED_OTHERWISE.get(action, action) for action in called()}

    assert "sagemaker:InvokeEndpointAsync" in actions
    assert {action for action, _ in grants(STATEMENTS)} == actions | OF_UPLOAD_FILE


def test_only_metrics_are_granted_on_everything() -> None:
    assert [action for action, resource in grants(STATEMENTS) if resource == "*"] == ["cloudwatch:GetMetricData"]


def test_every_statement_has_a_name_of_its_own_that_the_page_explains() -> None:
    names = [statement["Sid"] for statement in STATEMENTS]

    assert len(set(names)) == len(names)
    assert [name for name in names if f"| `{name}` |" not in PAGE] == []
