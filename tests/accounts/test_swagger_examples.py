"""The values that /docs fills in work unchanged, for a fresh account, in the order of the page."""

import json
import re
import uuid
from typing import Any

import httpx
import pytest

from app.config import Settings
from app.main import create_app
from tests.accounts.support import Visitor

Json = dict[str, Any]
DOCUMENT: Json = create_app(Settings(_env_file=None)).openapi()
# What a fresh account does not have, or what must not happen to it in between.
NOT_TRIED = {
    "register": "below", "log_in": "below",
    "chat": "needs a model", "import_tasks": "takes files", "stream_events": "does not end",
    "create_webhook": "the address must be one that answers", "read_calendar": "opens with a token of its own",
    "refresh": "needs its token", "log_out": "ends the session", "forgot_password": "mails",
    "reset_password": "needs a mailed token", "confirm_email": "needs a mailed token",
    "delete_account": "ends the account", "change_password": "ends it",
    "finish_login": "needs a login that waits", "create_totp": "needs the account's password",
    "confirm_totp": "needs an app", "delete_totp": "needs an app", "prove_factor": "needs an app",
    "create_recovery_codes": "needs an app", "describe_waiting_login": "needs a login that waits",
    **dict.fromkeys(("begin_passkey", "create_passkey", "begin_proof"), "needs a browser"),
    **dict.fromkeys(("begin_passkey_login", "log_in_with_passkey"), "needs a browser"),
    "move_project": "needs a second project", "skip_task": "needs a task that repeats",
}  # fmt: skip


def bodies(operation: Json) -> list[Any]:
    """Returns the bodies that the page fills in: an example of the body or of its schema."""
    media: Json = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if "example" in media:
        return [media["example"]]
    if "examples" in media:
        return [example["value"] for example in media["examples"].values()]
    shape = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
    found: list[Any] = DOCUMENT["components"]["schemas"].get(shape, {}).get("examples", [])
    return found


def tried() -> list[Any]:
    found = []
    for path, item in DOCUMENT["paths"].items():
        names = set(re.findall(r"{(\w+)}", path))
        if path.startswith("/api/") and names <= {"user_id", "task_id", "project_id"}:
            found += [(method, path, o) for method, o in item.items() if o["operationId"] not in NOT_TRIED]
    return found


@pytest.mark.parametrize(("method", "path", "operation"), [pytest.param(*o, id=o[2]["operationId"]) for o in tried()])
async def test_an_example_works_for_a_fresh_account(ann: Visitor, method: str, path: str, operation: Json) -> None:
    http, token = ann.client, {"Authorization": f"Bearer {ann.access}"}
    task = await http.post("/api/me/tasks", json={"title": "x", "due_date": "2031-01-01"}, headers=token)
    project = await http.post("/api/me/projects", json={"name": "y"}, headers=token)
    ids = {"user_id": "me", "task_id": task.json()["id"], "project_id": project.json()["id"]}
    for body in bodies(operation) or [None]:
        headers = token if body is None else token | {"Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        answer = await http.request(method, path.format(**ids), content=content, headers=headers)
        assert answer.is_success, (answer.text, body)


async def test_the_login_example_matches_the_registration_example(client: httpx.AsyncClient) -> None:
    operations = {o["operationId"]: o for item in DOCUMENT["paths"].values() for o in item.values()}
    account, login = bodies(operations["register"])[0], bodies(operations["log_in"])[0]
    assert login.items() <= account.items()
    own = {"email": f"{uuid.uuid4().hex}@example.com"}  # other tests register the example, and change its password
    assert (await client.post("/api/auth/register", json=account | own)).status_code == 201
    assert (await client.post("/api/auth/login", json=login | own)).status_code == 200


async def test_the_bearer_scheme_describes_where_tokens_come_from() -> None:
    told = DOCUMENT["components"]["securitySchemes"]["bearerAuth"]["description"]
    for way in ("/api/auth/register", "/api/auth/tokens", "todo token", "Better Auth"):
        assert way in told
    assert all("description" in tag for tag in DOCUMENT["tags"])
    assert [tag["name"] for tag in DOCUMENT["tags"]][:3] == ["auth", "tasks", "projects"]
