"""Properties of every operation of the OpenAPI document."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import pytest
from pydantic import BaseModel, ValidationError

from app.config import Settings
from app.http.openapi.document import SHARED_FAILURES
from app.main import create_app
from app.models.types import RequestModel
from app.schemas.changes import CHANGE_SHAPES, EVENT_NAMES
from app.services.changes.entities import ENTITY_REGISTRY
from tests.support import SECRET, Person

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
        named_in_body = path.endswith(("/chat", "/batch"))
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


def test_the_examples_of_one_service_are_not_those_of_another(tmp_path: Path) -> None:
    """COMPLETED_NAME=both adds a name to them."""
    settings = Settings(_env_file=None, data_dir=tmp_path, jwt_secret=SECRET)
    for name in ("both", "completed"):
        schemas = create_app(settings.model_copy(update={"completed_name": name})).openapi()["components"]["schemas"]
        assert ("is_completed" in schemas["TaskRead"]["examples"][0]) == (name == "both")


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


def _nodes(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _nodes(child)


def _component(document: Json, name: str) -> Json:
    return {**document["components"]["schemas"][name], "components": document["components"]}


def test_bounds_are_whole_numbers_in_the_words_of_json_schema(document: Json, operations: list[Operation]) -> None:
    for node in _nodes(document):
        assert not {"ge", "le", "gt", "lt"} & node.keys()
        if node.get("type") == "integer":
            assert all(isinstance(node[bound], int) for bound in ("minimum", "maximum") if bound in node), node
    bounded = {"since", "before", "limit", "offset", "days", "Last-Event-ID"}
    for parameter in (each for operation in operations for each in operation.body.get("parameters", [])):
        if parameter["name"] in bounded:
            assert {"minimum", "maximum"} <= parameter["schema"].keys(), parameter


def test_the_document_names_server_licence_and_contact(document: Json) -> None:
    assert document["servers"] == [{"url": "/"}]
    assert document["info"]["license"] == {"name": "MIT", "identifier": "MIT"}
    assert document["info"]["contact"]["name"]


def test_every_operation_says_whether_it_needs_a_token(document: Json, operations: list[Operation]) -> None:
    assert all("security" in body for _, _, body in operations)
    public = {path for path, _, body in operations if body["security"] == []}
    assert public == {
        "/.well-known/jwks.json", "/health", "/ready",
        *(f"/api/auth/{name}" for name in (
            "register", "login", "login/factor", "login/factor/options", "login/passkey", "login/passkey/options",
            "oidc", "refresh", "password/forgot", "password/reset", "email/confirm",
        )),
    }  # fmt: skip
    assert document["paths"]["/api/auth/logout"]["post"]["security"] == [{"bearerAuth": []}, {}]


def test_alternatives_are_named_and_every_branch_has_a_type(document: Json) -> None:
    named = {"DueDate", "IdOrInbox", "IdOrNone", "IdOrUid", "LocationPart", "Reminder", "VersionCondition"}
    assert named <= document["components"]["schemas"].keys()
    allowed = [document["components"]["schemas"][name] for name in named]
    for node in _nodes(document):
        branches = [branch for branch in node.get("anyOf", ()) if branch != {"type": "null"}]
        assert len(branches) < 2 or node in allowed, node
        assert all({"type", "$ref", "anyOf", "oneOf"} & branch.keys() for branch in branches), node


def test_no_component_has_a_generic_name(document: Json) -> None:
    generic = {
        "Archived", "Done", "Format", "Kind", "Move", "Order", "PasswordAgain", "Scope", "Sort", "Status", "Subtasks",
        "WhatOfTasks",
    }  # fmt: skip
    assert not generic & document["components"]["schemas"].keys()


def test_every_successful_response_has_a_typed_body(document: Json, operations: list[Operation]) -> None:
    empty = {"201", "202", "200"}
    for path, method, body in operations:
        for status in body["responses"].keys() & empty:
            content = body["responses"][status].get("content", {})
            assert content, (method, path)
            for media in content.values():
                assert media["schema"].keys() & {"$ref", "type", "oneOf"}, (method, path)
    loose = [node for node in _nodes(document["paths"]) if node == {"type": "object"}]
    assert len(loose) == 1  # a file of /export


EXCLUSIONS: list[tuple[str, Json, bool]] = [
    ("ProjectMove", {"before": 1}, True),
    ("ProjectMove", {"before": 1, "after": None}, True),
    ("ProjectMove", {"before": 1, "after": 2}, False),
    ("ProjectMove", {}, False),
    ("TaskMove", {"before": 1, "project_id": 2}, True),
    ("TaskMove", {"before": 1, "after": 2}, False),
    ("TaskMove", {}, False),
    ("Snooze", {"minutes": 1}, True),
    ("Snooze", {}, False),
    ("BulkWrite", {"ids": [1], "action": "complete"}, True),
    ("BulkWrite", {"ids": [1], "filter": {}, "action": "complete"}, False),
    ("BulkWrite", {"action": "complete"}, False),
    ("BulkWrite", {"ids": [1], "action": "update"}, False),
    ("BulkWrite", {"ids": [1], "action": "delete", "change": {"priority": "low"}}, False),
    ("BulkWrite", {"ids": [1], "action": "update", "change": {"priority": "low"}}, True),
    ("BulkWrite", {"ids": [1], "action": "update", "change": {"project_id": 1, "parent_id": 2}}, False),
    ("BulkWrite", {"ids": [1], "action": "update", "change": {"tags": [], "add_tags": ["a"]}}, False),
    ("AccountUpdate", {"email": "a@example.com"}, False),
    ("AccountUpdate", {"email": "a@example.com", "current_password": "x"}, True),
    ("WebhookCreate", {"url": "HTTPS://example.com"}, True),
    ("WebhookCreate", {"url": "ftp://example.com"}, False),
    ("WebhookCreate", {"url": "https://example.com", "events": ["task.made"]}, False),
]


@pytest.mark.parametrize(("name", "body", "valid"), EXCLUSIONS)
def test_the_schema_and_the_model_agree_on_what_goes_together(
    document: Json, name: str, body: Json, valid: bool
) -> None:
    (model,) = [each for each in _models(RequestModel) if each.__name__ == name]
    assert jsonschema_rs.Draft202012Validator(_component(document, name)).is_valid(body) is valid
    if name == "WebhookCreate" and body["url"].startswith("ftp"):
        return  # the service refuses it, where it knows whether private addresses are allowed
    try:
        model.model_validate(body)
    except ValidationError:
        assert not valid
    else:
        assert valid


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def test_changes_are_typed_by_their_entity(document: Json) -> None:
    shapes = {shape.model_json_schema()["properties"]["entity"]["const"]: shape for shape in CHANGE_SHAPES}
    assert shapes.keys() == {entity.name for entity in ENTITY_REGISTRY}
    change = document["components"]["schemas"]["ChangeRead"]
    assert change["discriminator"]["propertyName"] == "entity"
    assert change["discriminator"]["mapping"].keys() == shapes.keys()
    message = document["webhooks"]["change"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert message == {"$ref": "#/components/schemas/WebhookMessage"}


async def test_every_kind_of_change_is_in_the_document(document: Json, alice: Person) -> None:
    project = (await alice.post("/projects", {"name": "x"})).json()["id"]
    task = await alice.add(project_id=project, recurrence="FREQ=DAILY", reminders=["-P1D"])
    path = f"/tasks/{task['id']}"
    await alice.post(f"{path}/skip")
    await alice.patch(f"{path}/complete", {"completed": True})
    other = await alice.add()
    await alice.patch(f"/tasks/{other['id']}/complete")
    await alice.patch(f"/tasks/{other['id']}/complete")
    await alice.patch(path, {"title": "y"})
    await alice.patch(f"/tasks/{other['id']}", {"status": "cancelled"})
    await alice.patch(f"/projects/{project}", {"name": "y"})
    comment = (await alice.post(f"{path}/comments", {"body": "x"})).json()["id"]
    await alice.patch(f"{path}/comments/{comment}", {"body": "y"})
    await alice.delete(f"{path}/comments/{comment}")
    view = (await alice.post("/views", {"name": "v", "parameters": {}})).json()["id"]
    await alice.patch(f"/views/{view}", {"name": "w"})
    await alice.delete(f"/views/{view}")
    channel = (await alice.post("/channels", {"kind": "mail"})).json()["id"]
    await alice.patch(f"/channels/{channel}", {"name": "w"})
    await alice.delete(f"/channels/{channel}")
    await alice.patch(path, {"tags": ["t"]})
    for color in ("#112233", "#445566", None):
        assert (await alice.patch("/tags/t", {"color": color})).status_code == 200
    await alice.delete(path)
    await alice.post(f"{path}/restore")
    deleted = await alice.delete(f"/projects/{project}")
    assert deleted.status_code == 204
    revision = (await alice.get("/tasks")).headers["x-revision"]
    await alice.post(f"/changes/{revision}/undo")
    await alice.delete(f"/projects/{project}")
    await alice.delete("/tasks/trash")
    page = (await alice.get("/changes?limit=1000")).json()
    jsonschema_rs.Draft202012Validator(_component(document, "ChangesPage"), validate_formats=True).validate(page)
    seen = {f"{change['entity']}.{change['action']}" for change in page["changes"]}
    assert seen <= set(EVENT_NAMES)
    by_hand = {name for name in EVENT_NAMES if name.split(".")[0] not in {"conversation", "message"}}
    others = {f"{name}.{action}" for name in ("comment", "view", "channel", "tag") for action in ("restored", "purged")}
    assert by_hand - seen <= {"task.reminded", *others}
