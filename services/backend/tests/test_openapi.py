"""The OpenAPI document that is served says what the specs say."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from ruamel.yaml import YAML

SPECS = sorted((Path(__file__).parents[1] / "spec").glob("*.yaml"))
OPERATIONS = [
    (path, method, operation)
    for spec in SPECS
    for path, item in YAML(typ="safe").load(spec)["paths"].items()
    for method, operation in item.items()
]


@pytest.fixture
async def served(api: httpx.AsyncClient) -> Any:
    """The document under /openapi.json."""
    return (await api.get("/openapi.json")).json()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_served_document_is_valid(served: Any) -> None:
    """By the official schema of OpenAPI 3.1."""
    assert list(OpenAPIV31SpecValidator(served).iter_errors()) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
async def test_every_operation_is_served_as_its_spec_says(
    served: Any, path: str, method: str, operation: dict[str, Any]
) -> None:
    """Name, statuses, media types, deprecation: a client may be made from either document."""
    operation_served = served["paths"][path][method]
    assert operation_served["operationId"] == operation["operationId"]
    assert operation_served.get("deprecated", False) == operation.get("deprecated", False)
    assert operation_served["summary"] == operation["summary"]
    assert set(operation_served["responses"]) == set(operation["responses"])
    for status, response in operation["responses"].items():
        assert set(operation_served["responses"][status]["content"]) == set(response["content"])
        assert operation_served["responses"][status]["description"] == response["description"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_nothing_else_is_served(served: Any) -> None:
    """An operation without a spec is one of health."""
    specified = {operation["operationId"] for *_, operation in OPERATIONS}
    served_ids = {o["operationId"] for item in served["paths"].values() for o in item.values()}
    assert served_ids - specified == {"health", "ready"}
