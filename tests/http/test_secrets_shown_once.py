"""Secrets that are shown once are not stored, not even in the response that an Idempotency-Key keeps."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from app.config import Settings
from app.main import create_app
from tests.support import Person

DOCUMENT = create_app(Settings(_env_file=None)).openapi()
UNSAFE = {"post", "put", "patch", "delete"}
NAMES_OF_SECRETS = "secrets"  # of a channel: which of them are set
SECRET_NAME = re.compile(r"token|secret|password|credential|(^|_)key$", re.IGNORECASE)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def names(schema: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yields every property below ``schema``."""
    reference = schema.get("$ref", "")
    if reference in above:
        return
    schema = resolved(schema)
    above = (*above, reference) if reference else above
    for name, below in schema.get("properties", {}).items():
        yield name
        yield from names(below, above)
    for below in (schema.get("items"), *schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        if below:
            yield from names(below, above)


def secret_names(operation: dict[str, Any]) -> set[str]:
    """Returns the names of secrets in successful responses."""
    contents = [r.get("content", {}) for status, r in operation["responses"].items() if status.startswith("2")]
    schemas = [media["schema"] for content in contents for media in content.values() if "schema" in media]
    return {name for schema in schemas for name in names(schema) if SECRET_NAME.search(name)} - {NAMES_OF_SECRETS}


OPERATIONS = [
    (method, path, found)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if path.startswith("/api/{user_id}") and method in UNSAFE and (found := secret_names(operation))
]


def body_of(method: str, path: str) -> Any:
    """Returns the smallest valid body, from the examples of the document."""
    content = DOCUMENT["paths"][path][method].get("requestBody", {}).get("content", {})
    if not content:
        return None
    schema = resolved(content["application/json"]["schema"])
    return {name: resolved(schema["properties"][name])["examples"][0] for name in schema.get("required", ())}


async def path_with_ids(person: Person, path: str) -> str:
    """Returns ``path`` with the id of a new row for each parameter."""
    while (found := re.search(r"\{(\w+_id)\}", path.replace("{user_id}", "me"))) is not None:
        collection = path[: path.index(found[0])].rstrip("/")
        made = await person.post(collection.replace("{user_id}", "me"), body_of("post", collection))
        assert made.status_code == 201, made.text
        path = path.replace(found[0], str(made.json()["id"]))
    return path.replace("{user_id}", "me")


def secrets_in(answer: Any, wanted: set[str]) -> set[str]:
    """Returns the values of the properties ``wanted`` at any depth."""
    if isinstance(answer, list):
        return {value for each in answer for value in secrets_in(each, wanted)}
    if not isinstance(answer, dict):
        return set()
    own = {value for name, value in answer.items() if name in wanted and isinstance(value, str)}
    return own.union(*(secrets_in(value, wanted) for value in answer.values()))


def test_secret_operations_are_found_in_the_document() -> None:
    assert {(method, path) for method, path, _ in OPERATIONS} >= {
        ("post", "/api/{user_id}/calendar"),
        ("post", "/api/{user_id}/webhooks"),
        ("post", "/api/{user_id}/webhooks/{webhook_id}/rotate"),
    }


@pytest.mark.parametrize(("method", "path", "wanted"), OPERATIONS, ids=str)
async def test_a_repeated_request_has_no_effect_and_its_secret_is_not_stored(
    alice: Person, sql: Any, method: str, path: str, wanted: set[str]
) -> None:
    address, body = await path_with_ids(alice, path), body_of(method, path)
    sent = {"Idempotency-Key": uuid.uuid4().hex}
    first = await alice.call(method.upper(), address, json=body, headers=sent)
    assert first.is_success, first.text
    secrets = secrets_in(first.json(), wanted)
    assert secrets
    before = await _rows(sql, alice.subject)
    again = await alice.call(method.upper(), address, json=body, headers=sent)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (409, "true")
    assert again.json()["code"] == "secret_shown_once"
    assert "carried out" in again.json()["detail"]
    assert await _rows(sql, alice.subject) == before
    other = {"Idempotency-Key": uuid.uuid4().hex}
    assert secrets_in((await alice.call(method.upper(), address, json=body, headers=other)).json(), wanted) - secrets
    for row in await sql.fetch("select headers::text, body from idempotency_keys where user_id = $1", alice.subject):
        stored = row["headers"].encode() + row["body"]
        assert not [secret for secret in secrets if secret.encode() in stored or secret.encode()[6:-6] in stored]


async def _rows(sql: Any, owner: str) -> list[str]:
    """Returns every row that a repeated request could have written twice."""
    return [
        row[0]
        for table in ("webhooks", "calendar_feeds", "changes")
        for row in await sql.fetch(f"select t::text from {table} t where user_id = $1 order by 1", owner)
    ]
