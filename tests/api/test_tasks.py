"""Tasks over HTTP: create, read, update, complete, delete, restore."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.errors import NoEntityTag
from app.errors.findings import OTHER_SENTENCES
from app.main import create_app
from app.services.retention.trash import PURGE_BATCH
from tests.support import Person, assert_problem

FILL_TRASH = """
    insert into tasks (user_id, title, version, deleted_at) select $1, 'gone', 1, now() from generate_series(1, $2)"""
PURGED = """
    select revision, count(*) from changes where user_id = $1 and action = 'purged' group by revision order by 1"""


async def test_a_new_task_has_every_field(alice: Person) -> None:
    answer = await alice.post("/tasks", {"title": "  Buy milk  "})
    assert answer.status_code == 201
    task = answer.json()
    assert answer.headers["location"] == f"/api/{alice.subject}/tasks/{task['id']}"
    assert answer.headers["etag"] == '"1"'
    assert task == {
        "id": task["id"],
        "uid": task["uid"],
        "user_id": alice.subject,
        "title": "Buy milk",
        "description": None,
        "completed": False,
        "status": "pending",
        "completed_at": None,
        "priority": "medium",
        "due_date": None,
        "start_date": None,
        "deadline": None,
        "estimate_minutes": None,
        "favorite": False,
        "tags": [],
        "project_id": None,
        "parent_id": None,
        "position": task["position"],
        "recurrence": None,
        "recurrence_from": "due",
        "series_id": None,
        "reminders": [],
        "remind_at": None,
        "remind_channels": None,
        "version": 1,
        "created_at": task["created_at"],
        "updated_at": task["created_at"],
    }
    assert task["created_at"].endswith("Z")
    assert (await alice.get(f"/tasks/{task['id']}")).json() == task


async def test_a_task_that_was_read_can_be_put_back(alice: Person) -> None:
    task = await alice.add("a", tags=["x", "y", "x"], priority="high", due_date="2026-12-01", description="d")
    answer = await alice.call(
        "PUT", f"/tasks/{task['id']}", json=task | {"title": "b", "version": 99, "user_id": "eve"}
    )
    assert answer.status_code == 200
    assert answer.json() == task | {"title": "b", "version": 2, "updated_at": answer.json()["updated_at"]}
    assert task["tags"] == ["x", "y"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_an_update_changes_only_what_was_sent_and_null_clears(alice: Person, method: str) -> None:
    task = await alice.add("a", description="keep", priority="urgent", tags=["t"], due_date="2026-12-01")
    path = f"/tasks/{task['id']}"
    answer = await alice.call(method, path, json={"title": "b"})
    unchanged = {k: v for k, v in task.items() if k not in ("title", "version", "updated_at")}
    assert answer.json().items() >= unchanged.items()
    answer = await alice.call(
        method, path, json={"description": None, "priority": None, "tags": None, "due_date": None}
    )
    cleared: dict[str, Any] = {
        "title": "b",
        "description": None,
        "priority": "medium",
        "tags": [],
        "due_date": None,
        "version": 3,
    }
    assert answer.json().items() >= cleared.items()
    assert_problem(await alice.call(method, path, json={}), 422)
    assert_problem(await alice.call(method, path, json={"title": None}), 422)
    assert_problem(await alice.call(method, path, json={"completed": None}), 422)
    body = assert_problem(await alice.call(method, path, json={"titel": "x"}), 422, "validation_error")
    assert body["errors"] == [
        {"loc": ["body", "titel"], "msg": OTHER_SENTENCES["extra_forbidden"], "type": "extra_forbidden"}
    ]
    assert (await alice.get(path)).json()["version"] == 3


async def test_complete_toggles_without_a_body_and_sets_with_one(alice: Person) -> None:
    path = f"/tasks/{(await alice.add())['id']}/complete"
    done = (await alice.patch(path)).json()
    assert done["completed"]
    assert done["completed_at"].endswith("Z")
    again = (await alice.patch(path, {"completed": True})).json()
    assert again["completed_at"] == done["completed_at"]
    reopened = (await alice.patch(path)).json()
    assert (reopened["completed"], reopened["completed_at"]) == (False, None)
    assert not (await alice.patch(path, {"completed": False})).json()["completed"]
    assert_problem(await alice.patch(path, {"completed": "yes"}), 422)


async def test_a_deleted_task_is_only_in_the_trash_until_it_is_restored(alice: Person) -> None:
    task = await alice.add("gone", tags=["x"])
    path = f"/tasks/{task['id']}"
    answer = await alice.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for call in (
        alice.get(path),
        alice.patch(path, {"title": "x"}),
        alice.patch(path + "/complete"),
        alice.delete(path),
    ):
        assert_problem(await call, 404, "task_not_found")
    assert await alice.titles() == []
    assert [t["title"] for t in (await alice.get("/tasks/trash")).json()] == ["gone"]
    restored = await alice.post(path + "/restore")
    assert restored.status_code == 200
    assert restored.json() == task | {"version": 3, "updated_at": restored.json()["updated_at"]}
    assert await alice.titles() == ["gone"]


async def test_restoring_a_task_that_is_not_deleted_changes_nothing(alice: Person) -> None:
    task = await alice.add("kept")
    answer = await alice.post(f"/tasks/{task['id']}/restore")
    assert (answer.status_code, answer.json(), answer.headers["etag"]) == (200, task, '"1"')
    assert (await alice.get("/tasks")).headers["x-revision"] == "1"
    assert_problem(await alice.post("/tasks/999999/restore"), 404, "task_not_found")


async def test_emptying_the_trash_deletes_tasks_permanently(alice: Person) -> None:
    kept, gone = await alice.add("kept"), await alice.add("gone")
    await alice.delete(f"/tasks/{gone['id']}")
    assert (await alice.delete("/tasks/trash")).status_code == 204
    assert (await alice.get("/tasks/trash")).json() == []
    assert_problem(await alice.post(f"/tasks/{gone['id']}/restore"), 404)
    before = (await alice.get("/tasks")).headers["x-revision"]
    assert (await alice.delete("/tasks/trash")).status_code == 204
    assert (await alice.get("/tasks")).headers["x-revision"] == before == "4"
    assert await alice.titles() == [kept["title"]]


async def test_a_full_trash_is_emptied_in_batches_with_a_revision_each(alice: Person, postgres: ConnectOptions) -> None:
    """No batch is so large that its statement runs into the time limit, and none is empty."""
    await alice.add("kept")
    full = 2 * PURGE_BATCH
    connection = await asyncpg.connect(**postgres.arguments())
    await connection.execute(FILL_TRASH, alice.subject, full)
    assert (await alice.delete("/tasks/trash")).status_code == 204
    purged = await connection.fetch(PURGED, alice.subject)
    await connection.close()
    assert [tuple(row) for row in purged] == [(2, PURGE_BATCH), (3, PURGE_BATCH)]
    assert (await alice.get("/tasks/trash")).json() == []
    assert (await alice.get("/tasks")).headers["x-revision"] == "3"
    assert await alice.titles() == ["kept"]


async def test_if_match_writes_only_over_the_version_it_names(alice: Person) -> None:
    path = f"/tasks/{(await alice.add())['id']}"
    assert (await alice.patch(path, {"title": "b"}, headers={"If-Match": '"1"'})).headers["etag"] == '"2"'
    for stale in ('"1"', 'W/"1"', '"abc"', '2, "9"', '"99999999999999999999"'):
        assert_problem(await alice.patch(path, {"title": "c"}, headers={"If-Match": stale}), 412, "version_conflict")
        assert_problem(await alice.patch(path + "/complete", headers={"If-Match": stale}), 412)
        assert_problem(await alice.delete(path, headers={"If-Match": stale}), 412)
    assert (await alice.patch(path, {"title": "d"}, headers={"If-Match": "*"})).status_code == 200
    assert (await alice.delete(path, headers={"If-Match": '"1", "3"'})).status_code == 204
    assert_problem(await alice.patch(path, {"title": "e"}, headers={"If-Match": '"4"'}), 404)
    assert (await alice.get("/tasks")).headers["x-revision"] == "4"


async def test_if_none_match_returns_304_when_the_task_did_not_change(alice: Person) -> None:
    path = f"/tasks/{(await alice.add())['id']}"
    etag = (await alice.get(path)).headers["etag"]
    answer = await alice.get(path, headers={"If-None-Match": f'"x", W/{etag}'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    await alice.patch(path, {"title": "new"})
    assert (await alice.get(path, headers={"If-None-Match": etag})).status_code == 200


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2026-12-01", "2026-12-01"),
        ("2024-02-29", "2024-02-29"),
        ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00Z"),
        ("2026-12-01T09:00:00.123456+02:00", "2026-12-01T07:00:00.123456Z"),
        ("2026-12-01T09:00", "2026-12-01T09:00:00Z"),
        ("2199-12-31", "2199-12-31"),
    ],
)
async def test_days_and_instants_are_returned_as_they_were_sent(alice: Person, sent: str, stored: str) -> None:
    assert (await alice.add(due_date=sent))["due_date"] == stored


@pytest.mark.parametrize(
    "due",
    [
        "0001-01-01", "9999-12-31", "2200-01-01", "1899-12-31", "9999-12-31T23:59:59-10:00",
        "0001-01-01T00:00:00+14:00",
        "2026-02-30", "tomorrow", "", 5, 1.5, True, [], {}, "2026-12-01T25:00:00Z", "2026-W01-1", "20261201",
        "2026-12-01T09:00:00+99:00", "infinity", "1900-01-01T00:00:00+14:00",
    ],
)  # fmt: skip
async def test_a_due_date_out_of_range_is_refused(alice: Person, due: Any) -> None:
    assert_problem(await alice.post("/tasks", {"title": "x", "due_date": due}), 422, "validation_error")
    assert await alice.titles() == []


@pytest.mark.parametrize("unquoted", ["2", "W/2", "'2'", '"2', ""])
async def test_an_unquoted_if_match_is_refused_with_an_example(alice: Person, unquoted: str) -> None:
    path, headers = f"/tasks/{(await alice.add())['id']}", {"If-Match": unquoted}
    for call in (
        alice.patch(path, {"title": "c"}, headers=headers),
        alice.patch(path + "/complete", headers=headers),
        alice.delete(path, headers=headers),
    ):
        body = assert_problem(await call, 422, "no_entity_tag")
        assert body["detail"] == NoEntityTag.message
        assert body["errors"][0]["loc"] == ["header", "If-Match"]
    assert (await alice.get(path)).headers["etag"] == '"1"'


async def test_repeated_if_match_headers_are_combined(alice: Person) -> None:
    path = f"/api/me/tasks/{(await alice.add())['id']}"
    lines = [*alice.headers.items(), ("If-Match", '"8"'), ("If-Match", '"1"')]
    assert (await alice.client.patch(path, json={"title": "b"}, headers=lines)).status_code == 200
    lines = [*alice.headers.items(), ("If-None-Match", '"8"'), ("If-None-Match", '"2"')]
    assert (await alice.client.get(path, headers=lines)).status_code == 304


@pytest.mark.parametrize("shape", ["array", "envelope"])
async def test_a_task_in_the_trash_names_when_it_was_deleted(
    alice: Person, app: FastAPI, settings: Settings, shape: str
) -> None:
    task = await alice.add("gone")
    before = datetime.now(UTC)
    await alice.delete(f"/tasks/{task['id']}")
    other = create_app(settings.model_copy(update={"list_shape": shape}))
    other.state.verifier, other.state.database = app.state.verifier, app.state.database
    async with httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://test") as http:
        alice.client = http
        body = (await alice.get("/tasks/trash")).json()
        document = (await http.get("/openapi.json")).json()
    (row,) = body if shape == "array" else body["tasks"]
    assert before <= datetime.fromisoformat(row.pop("deleted_at")) <= datetime.now(UTC)
    assert row | {"version": 0, "updated_at": ""} == task | {"version": 0, "updated_at": ""}
    trash = document["paths"]["/api/{user_id}/tasks/trash"]["get"]["responses"]["200"]["content"]["application/json"]
    name = trash["schema"]["items" if shape == "array" else "$ref"]
    assert name == (
        {"$ref": "#/components/schemas/TrashedTaskRead"} if shape == "array" else "#/components/schemas/TrashPage"
    )


async def test_the_trash_returns_304_until_something_is_written(alice: Person) -> None:
    task = await alice.add("gone")
    await alice.delete(f"/tasks/{task['id']}")
    trash = await alice.get("/tasks/trash")
    assert trash.headers["cache-control"] == "private, no-cache"
    condition = {"If-None-Match": trash.headers["etag"]}
    again = await alice.get("/tasks/trash", headers=condition)
    assert (again.status_code, again.content) == (304, b"")
    assert {name: again.headers[name] for name in ("etag", "x-revision")} == {
        "etag": trash.headers["etag"],
        "x-revision": trash.headers["x-revision"],
    }
    assert (await alice.get("/tasks/trash?limit=5", headers=condition)).status_code == 200
    await alice.post(f"/tasks/{task['id']}/restore")
    assert (await alice.get("/tasks/trash", headers=condition)).json() == []
