"""Properties of every operation of the OpenAPI document."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import pytest

from app.config import Settings
from app.http.openapi.document import SHARED_FAILURES
from app.main import create_app
from tests.support import SECRET

Json = dict[str, Any]
UNLIMITED = {"/health", "/ready"}
PROBLEM = {"$ref": "#/components/schemas/Problem"}


class Operation(NamedTuple):
    path: str
    method: str
    body: Json


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Json:
    settings = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("data"), jwt_secret=SECRET)
    return create_app(settings).openapi()


@pytest.fixture(scope="module")
def operations(document: Json) -> list[Operation]:
    return [Operation(p, method, body) for p, item in document["paths"].items() for method, body in item.items()]


def _errors(document: Json, operation: Operation) -> Iterator[tuple[int, Json]]:
    for status, response in operation.body["responses"].items():
        if int(status) >= 400:
            name = response.get("$ref", "").rpartition("/")[2]
            yield int(status), document["components"]["responses"][name] if name else response


def test_every_error_is_a_problem_with_an_example(document: Json, operations: list[Operation]) -> None:
    for operation in operations:
        for status, response in _errors(document, operation):
            assert list(response["content"]) == ["application/problem+json"], operation
            media = response["content"]["application/problem+json"]
            assert media["schema"] == PROBLEM
            assert media["example"]["status"] == status
            assert media["example"]["type"].endswith(media["example"]["code"])


def test_error_responses_follow_from_parameters_body_and_security(operations: list[Operation]) -> None:
    for path, _, body in operations:
        statuses = set(body["responses"])
        assert {"500", "503"} <= statuses, path
        assert ("422" in statuses) == bool(body.get("parameters") or "requestBody" in body), path
        assert ("429" in statuses) == (path not in UNLIMITED), path
        assert {"401", "403"} <= statuses or not body.get("security"), path
        # Logins are refused like tokens, and users of other issuers have no account: those routes have descriptions of
        # their own.
        own_words = path.startswith("/api/auth/")
        named_in_body = path.endswith("/chat")
        assert own_words or ({"401", "403"} <= statuses) == bool(body.get("security")), path
        assert "{user_id}" not in path or body["security"], path
        assert own_words or named_in_body or ("404" in statuses) == ("{" in path.replace("{user_id}", "")), path
        assert ({"400", "413", "415"} <= statuses) == ("requestBody" in body), path


def test_every_response_documents_its_request_id(document: Json, operations: list[Operation]) -> None:
    responses = [*document["components"]["responses"].values()]
    responses += [response for operation in operations for response in operation.body["responses"].values()]
    assert all("$ref" in response or "X-Request-ID" in response["headers"] for response in responses)
    shared = document["components"]["responses"]
    assert "WWW-Authenticate" in shared["Unauthorized"]["headers"]
    assert "Retry-After" in shared["TooManyRequests"]["headers"]
    assert "Retry-After" in shared["ServiceUnavailable"]["headers"]


def test_every_reference_resolves_and_no_framework_schema_remains(document: Json) -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (value for key, value in node.items() if key == "$ref" and isinstance(value, str))
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from references(child)

    for reference in set(references(document)):
        _, _, kind, name = reference.split("/")
        assert name in document["components"][kind], reference
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()
    assert len(document["components"]["responses"]) == len(SHARED_FAILURES)


def test_security_schemes_and_tags_are_described(document: Json) -> None:
    assert list(document["components"]["securitySchemes"]) == ["bearerAuth", "calendarToken"]
    assert document["components"]["securitySchemes"]["bearerAuth"]["bearerFormat"] == "JWT"
    assert all("description" in tag for tag in document["tags"])


def test_parameters_are_never_null_and_user_id_has_the_example_me(operations: list[Operation]) -> None:
    parameters = [parameter for operation in operations for parameter in operation.body.get("parameters", [])]
    assert parameters
    for parameter in parameters:
        assert {"type": "null"} not in parameter["schema"].get("anyOf", []), parameter["name"]
        assert parameter["name"] != "user_id" or parameter["example"] == "me"


@pytest.mark.slow
def test_the_document_is_the_same_in_every_process(tmp_path: Path) -> None:
    def printed(seed: str) -> bytes:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "JWT_SECRET": SECRET, "DATA_DIR": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-m", "app", "openapi"], env=environment, capture_output=True, check=True
        ).stdout

    assert printed("1") == printed("2") != b""


def test_idempotency_keys_are_documented_for_writes_of_user_data(operations: list[Operation]) -> None:
    for path, method, body in operations:
        taken = any(parameter["name"] == "Idempotency-Key" for parameter in body.get("parameters", []))
        assert taken == ("{user_id}" in path and method != "get"), path


def _with_examples(node: Any) -> Iterator[tuple[Json, Any]]:
    """Yields each schema with each of its example values: their own, and those of parameters and bodies."""
    if isinstance(node, dict):
        schema = node.get("schema", node)
        examples = [*node["examples"]] if isinstance(node.get("examples"), list) else []
        if isinstance(node.get("examples"), dict) and "schema" in node:
            examples += [example["value"] for example in node["examples"].values()]
        if "example" in node and "schema" in node:
            examples.append(node["example"])
        yield from ((schema, example) for example in examples)
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _with_examples(child)


def test_every_example_is_valid_for_its_schema(document: Json) -> None:
    found = list(_with_examples(document))
    assert len(found) > 20
    for schema, example in found:
        whole = {**schema, "components": document["components"]}
        jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(example)
    read = document["components"]["schemas"]["TaskRead"]["examples"][0]
    assert read["description"] is read["completed_at"] is None
    assert document["components"]["schemas"]["TaskUpdate"]["examples"][0]["due_date"] is None


def test_instants_and_large_integers_have_a_format(document: Json) -> None:
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        for field, shape in schema.get("properties", {}).items():
            formats = {branch.get("format") for branch in (shape, *shape.get("anyOf", ()))}
            assert not field.endswith("_at") or "date-time" in formats, (name, field)
    for name, field in (("TaskRead", "id"), ("TaskRead", "version"), ("ApiTokenRead", "id"), ("ApiTokenCreated", "id")):
        assert schemas[name]["properties"][field]["format"] == "int64"


def test_a_304_of_a_list_has_the_headers_of_a_list(document: Json) -> None:
    for path in ("/api/{user_id}/tasks", "/api/{user_id}/tasks/trash"):
        operation = document["paths"][path]["get"]
        shared = {"X-Request-ID", "RateLimit", "RateLimit-Policy"}
        assert set(operation["responses"]["304"]["headers"]) == {"ETag", "X-Revision"} | shared
        assert "query" in operation["responses"]["304"]["headers"]["ETag"]["description"]
        assert "If-None-Match".lower() in {parameter["name"].lower() for parameter in operation["parameters"]}


def test_health_and_readiness_have_a_schema_and_an_example(document: Json) -> None:
    for path, status in (("/health", "ok"), ("/ready", "ready")):
        content = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        assert schema["examples"] == [{"status": status}]
