"""X-Revision on writes: every route that changed what ``/changes`` shows names the last revision that it took.

The list of routes is generated, so that it has every new one.
"""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.db.database import Database
from app.services.assistant.conversations import begin_turn
from tests.api.test_routes import PRIVATE, UIDS, body_by_uid, concrete, make_named_rows
from tests.support import Person, assert_problem

# Those that write no row of an entity. A chat needs a model: tests/assistant/test_chat.py.
UNRECORDED = ("/webhooks", "/calendar", "/channels/{channel_id}/test")
WRITES = [
    (method, path) for method, path in PRIVATE if method not in {"GET", "HEAD"} and not path.endswith(("/chat", "/mcp"))
]
BODIES: dict[str, Any] = {
    "/import": {"format": "todo/1", "tasks": [{"title": "imported"}]},
    "/bulk": {"uids": ["t"], "action": "complete"},
    "/projects": {"name": "new"},
    "/batch": {"operations": [{"operation": "create_task", "arguments": {"title": "x"}}]},
    "/webhooks": {"url": "https://example.com/"},
    "/webhooks/{webhook_id}": {"active": False},
}


async def revision_of(person: Person) -> int:
    return int((await person.get("/tasks?limit=1")).headers["x-revision"])


async def prepare(person: Person, database: Database, path: str) -> dict[str, Any]:
    """Creates what the path names, and rows that the write changes; returns the ids."""
    task = {"recurrence": "FREQ=DAILY"} if path.endswith("/skip") else {}
    await make_named_rows(person, tags=["x"], due_date="2090-01-01", reminders=["-P1D"], **task)
    ids: dict[str, Any] = {**UIDS, "revision": 1}
    if path.endswith("/restore"):
        await person.delete("/tasks/uid:t")
    if path.endswith("/trash"):
        for row in ("/tasks/uid:t/comments/uid:c", "/views/uid:v", "/projects/uid:p", "/tasks/uid:t"):
            assert (await person.delete(row)).status_code == 204
    if "{conversation_id}" in path:
        async with database.transaction(person.subject) as session:
            ids["conversation_id"] = (await begin_turn(session, person.subject, None, "x", history=1)).conversation_id
    if "{channel_id}" in path:
        ids["channel_id"] = (await person.post("/channels", {"kind": "mail"})).json()["id"]
    if "{webhook_id}" in path:
        ids["webhook_id"] = (await person.post("/webhooks", BODIES["/webhooks"])).json()["id"]
    if "{feed_id}" in path:
        ids["feed_id"] = (await person.post("/calendar", {"name": "x"})).json()["id"]
    return ids


def body_of(path: str) -> Any:
    return next((body for ending, body in BODIES.items() if path.endswith(ending)), body_by_uid(path))


def assert_named(answer: httpx.Response, before: int, after: int) -> None:
    named = answer.headers.get("x-revision")
    assert named == (None if after == before else str(after)), answer.text


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_a_write_names_its_last_revision_and_only_if_it_changed_something(
    alice: Person, app: FastAPI, method: str, path: str
) -> None:
    ids = await prepare(alice, app.state.database, path)
    url, body = concrete(path, alice.subject, **ids), body_of(path)
    before = await revision_of(alice)
    answer = await alice.call(method, url, json=body, headers={"Idempotency-Key": "k"})
    assert answer.is_success, answer.text
    after = await revision_of(alice)
    assert (after == before) == any(part in path for part in UNRECORDED), "what does this write?"
    assert_named(answer, before, after)
    again = await alice.call(method, url, json=body, headers={"Idempotency-Key": "k"})
    if "idempotent-replayed" in again.headers and again.is_success:
        assert again.headers.get("x-revision") == answer.headers.get("x-revision")
        assert await revision_of(alice) == after
    before = await revision_of(alice)
    third = await alice.call(method, url, json=body)
    assert_named(third, before, await revision_of(alice))


async def test_writes_of_several_revisions_name_the_last_one(alice: Person, app: FastAPI) -> None:
    await prepare(alice, app.state.database, "/trash")
    before = await revision_of(alice)
    answer = await alice.delete("/tasks/trash")
    after = await revision_of(alice)
    assert after == before + 3  # the task with its comment, the view, the project
    assert_named(answer, before, after)


async def test_an_import_in_batches_names_the_last_one(alice: Person) -> None:
    rows = [{"title": f"t{n}"} for n in range(1_001)]
    answer = await alice.post("/import", {"format": "todo/1", "projects": [{"name": "p"}], "tasks": rows})
    assert_named(answer, 0, 3)
    assert answer.json()["revision"] == 3
    for body in ({"format": "todo/1"}, {"format": "todo/1", "tasks": [{}]}):
        assert_named(await alice.post("/import", body), 3, 3)
    assert_named(await alice.post("/import?dry_run=true", {"format": "todo/1", "tasks": rows}), 3, 3)
    assert await revision_of(alice) == 3


async def test_a_task_with_subtasks_names_the_revision_of_the_whole_write(alice: Person) -> None:
    parent = await alice.add("parent")
    for title in "ab":
        await alice.add(title, parent_id=parent["id"])
    path = f"/tasks/{parent['id']}"
    for method, action in (("PATCH", "/complete"), ("PATCH", "/complete"), ("DELETE", ""), ("POST", "/restore")):
        before = await revision_of(alice)
        answer = await alice.call(method, path + action)
        assert_named(answer, before, before + 1)
        assert await revision_of(alice) == before + 1


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_batch_names_the_last_one_that_it_kept(alice: Person, atomic: bool) -> None:
    task = await alice.add()
    rename = {"operation": "update_task", "arguments": {"task_id": task["id"], "title": "b"}}
    create = {"operation": "create_task", "arguments": {"title": "x"}}
    for options, revisions in (({}, 1 if atomic else 2), ({"dry_run": True}, 0)):
        before = await revision_of(alice)
        answer = await alice.post("/batch", {"operations": [rename, create], "atomic": atomic, **options})
        assert answer.status_code == 200, answer.text
        assert_named(answer, before, before + revisions)
        assert await revision_of(alice) == before + revisions
    refused = {"operation": "update_task", "arguments": {"task_id": 2**40, "title": "b"}}
    before = await revision_of(alice)
    assert_named(await alice.post("/batch", {"operations": [refused], "atomic": atomic}), before, before)
    if not atomic:
        answer = await alice.post("/batch", {"operations": [rename, refused], "atomic": False})
        assert_named(answer, before, before + 1)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/tasks/uid:t", {"title": ""}),
        ("PATCH", "/tasks/999999", {"title": "x"}),
        ("POST", "/tasks", {"title": "x", "uid": "t"}),
        ("POST", "/changes/999/undo", None),
    ],
)
async def test_a_refusal_names_none(alice: Person, method: str, path: str, body: Any) -> None:
    await make_named_rows(alice)
    answer = await alice.call(method, path, **({} if body is None else {"json": body}))
    assert_problem(answer, answer.status_code)
    assert answer.is_client_error
    assert "x-revision" not in answer.headers


async def test_a_draft_names_none(alice: Person) -> None:
    answer = await alice.post("/tasks/quick", {"text": "Pay rent", "dry_run": True})
    assert answer.status_code == 200
    assert "x-revision" not in answer.headers
