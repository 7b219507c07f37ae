"""History and undo over HTTP."""

from typing import Any

import pytest
from fastapi import FastAPI

from app.models.tasks import TaskCreate
from app.services.tasks.creation import create_task
from tests.support import Person, assert_problem


async def history(person: Person, task_id: int, query: str = "") -> list[dict[str, Any]]:
    answer = await person.get(f"/tasks/{task_id}/history{query}")
    assert answer.status_code == 200, answer.text
    told: list[dict[str, Any]] = answer.json()
    return told


async def undo(person: Person, revision: int) -> dict[str, Any]:
    answer = await person.post(f"/changes/{revision}/undo")
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


async def test_history_lists_old_and_new_values_of_changed_fields(alice: Person) -> None:
    task = await alice.add("a", tags=["x"])
    path = f"/tasks/{task['id']}"
    await alice.patch(path, {"title": "b", "due_date": "2026-12-01"})
    await alice.patch(path + "/complete")
    await alice.delete(path)
    deleted, completed, updated, created = await history(alice, task["id"])
    assert [e["action"] for e in (created, updated, completed, deleted)] == [
        "created", "updated", "completed", "deleted",
    ]  # fmt: skip
    assert {"field": "title", "from": None, "to": "a"} in created["changes"]
    assert updated["changes"] == [
        {"field": "title", "from": "a", "to": "b"},
        {"field": "due_date", "from": None, "to": "2026-12-01"},
    ]
    assert [c["field"] for c in completed["changes"]] == ["completed", "status", "completed_at"]
    assert deleted["changes"] == []
    assert all(e["through"] == "api" and e["at"].endswith("Z") for e in (created, deleted))
    assert await history(alice, task["id"], "?limit=1&before=3") == [updated]
    assert await history(alice, task["id"], "?before=1") == []


async def test_history_names_the_api_token(alice: Person) -> None:
    made = await alice.post("/api/auth/tokens", {"name": "my script", "scope": "write"})
    assert made.status_code == 201, made.text
    script = Person(alice.client, alice.subject)
    script.headers = {"Authorization": f"Bearer {made.json()['token']}"}
    task = await script.add("a")
    await alice.patch(f"/tasks/{task['id']}", {"title": "b"})
    assert [e["through"] for e in await history(alice, task["id"])] == ["api", "token:my script"]


async def test_history_names_the_source_of_a_change(alice: Person, app: FastAPI) -> None:
    async with app.state.database.transaction(alice.subject) as session:
        session.source = "mcp"
        task = await create_task(session, alice.subject, TaskCreate(title="by an agent"))
    assert [e["through"] for e in await history(alice, task.id)] == ["mcp"]


async def test_history_of_missing_and_foreign_tasks_is_404(alice: Person, bob: Person) -> None:
    task = await alice.add()
    assert_problem(await bob.get(f"/tasks/{task['id']}/history"), 404, "task_not_found")
    assert_problem(await bob.post("/changes/1/undo"), 404, "change_not_found")
    assert_problem(await alice.post("/changes/99/undo"), 404, "change_not_found")
    assert_problem(await alice.post("/changes/x/undo"), 404)


BODY: dict[str, Any] = {"description": "d", "tags": ["x"], "due_date": "2026-12-01T09:00:00Z", "priority": "low"}
BODY |= {"start_date": "2026-11-01T09:00:00Z", "deadline": "2026-12-24", "estimate_minutes": 30, "favorite": True}


@pytest.mark.parametrize(
    ("write", "action"),
    [
        (("PATCH", "", {"title": "b", "due_date": "2026-12-02", "tags": []}), "updated"),
        (("PATCH", "", {"description": None, "priority": None}), "updated"),
        (("PATCH", "", {"start_date": "2026-11-02", "deadline": None}), "updated"),
        (("PATCH", "", {"estimate_minutes": None, "favorite": None}), "updated"),
        (("PATCH", "/complete", None), "reopened"),
        (("DELETE", "", None), "restored"),
    ],
)
async def test_undo_restores_the_previous_values_and_can_be_undone(alice: Person, write: Any, action: str) -> None:
    task = await alice.add("a", **BODY)
    method, tail, body = write
    path = f"/tasks/{task['id']}"
    await alice.call(method, path + tail, **({"json": body} if body else {}))
    after = (await alice.get(path)).json()
    done = await undo(alice, 2)
    assert (done["revision"], [c["action"] for c in done["changes"]]) == (3, [action])
    back = (await alice.get(path)).json()
    assert done["changes"][0]["data"] == back
    moved = {"version", "updated_at", "request_id"}
    assert {k: v for k, v in back.items() if k not in moved} == {k: v for k, v in task.items() if k not in moved}
    assert (await undo(alice, 3))["revision"] == 4
    again = (await alice.get(path)).json()
    assert {k: v for k, v in again.items() if k not in moved} == {k: v for k, v in after.items() if k not in moved}


async def test_undoing_a_creation_deletes_the_task_and_undoing_that_restores_it(alice: Person) -> None:
    task = await alice.add("a")
    assert [c["action"] for c in (await undo(alice, 1))["changes"]] == ["deleted"]
    assert await alice.titles() == []
    assert [t["id"] for t in (await alice.get("/tasks/trash")).json()] == [task["id"]]
    assert [c["action"] for c in (await undo(alice, 2))["changes"]] == ["restored"]
    assert await alice.titles() == ["a"]


async def test_undoing_an_import_leaves_what_came_into_the_trash_there(alice: Person) -> None:
    """A full export has the trash: its rows share writes with the others."""
    deleted_at = "2020-01-01T00:00:00Z"
    projects = [
        {"id": 1, "name": "Home"},
        {"id": 2, "name": "Gone", "parent_id": 1, "deleted_at": deleted_at},
        {"id": 3, "name": "Garden", "parent_id": 1},
    ]
    tasks = [
        {"id": 1, "title": "live", "project_id": 3},
        {"id": 2, "title": "trashed", "project_id": 3, "deleted_at": deleted_at},
        {"id": 3, "title": "below", "parent_id": 1, "project_id": 3},
    ]
    file = {"format": "todo/1", "user_id": "other", "projects": projects, "tasks": tasks}
    report = (await alice.post("/import", file)).json()
    assert report["created"]["tasks"] == 3
    for revision in range(report["revision"], 0, -1):
        await undo(alice, revision)
    assert (await alice.get("/tasks")).json() == (await alice.get("/projects")).json() == []
    trashed = {task["title"]: task["id"] for task in (await alice.get("/tasks/trash")).json()}
    assert trashed.keys() == {"live", "trashed", "below"}


async def test_undoing_an_import_is_refused_when_a_task_that_came_into_the_trash_was_restored(alice: Person) -> None:
    tasks = [{"id": 1, "title": "a"}, {"id": 2, "title": "b", "deleted_at": "2020-01-01T00:00:00Z"}]
    report = (await alice.post("/import", {"format": "todo/1", "user_id": "other", "tasks": tasks})).json()
    [trashed] = (await alice.get("/tasks/trash")).json()
    await alice.post(f"/tasks/{trashed['id']}/restore")
    answer = await alice.post(f"/changes/{report['revision']}/undo")
    assert "deleted" in assert_problem(answer, 409, "undo_conflict")["detail"]


async def test_undo_is_refused_with_the_names_of_fields_changed_since(alice: Person) -> None:
    task = await alice.add("a")
    path = f"/tasks/{task['id']}"
    await alice.patch(path, {"title": "b", "due_date": "2026-12-01", "priority": "low"})
    await alice.patch(path, {"title": "c", "due_date": "2026-12-02"})
    body = assert_problem(await alice.post("/changes/2/undo"), 409, "undo_conflict")
    assert "due_date, title" in body["detail"]
    assert_problem(await alice.post("/changes/1/undo"), 409)
    assert (await alice.get("/tasks")).headers["x-revision"] == "3"
    await alice.patch(path, {"description": "new"})
    await undo(alice, 3)  # later changes of other fields are no conflict
    found = (await alice.get(path)).json()
    assert (found["title"], found["due_date"], found["description"]) == ("b", "2026-12-01", "new")


async def test_undo_is_refused_when_the_task_is_deleted_permanently(alice: Person) -> None:
    task = await alice.add("a")
    await alice.delete(f"/tasks/{task['id']}")
    await alice.delete("/tasks/trash")
    for revision in (1, 2, 3):
        body = assert_problem(await alice.post(f"/changes/{revision}/undo"), 409, "undo_conflict")
        assert "deleted permanently" in body["detail"]


async def test_an_undo_without_changes_takes_no_revision(alice: Person) -> None:
    task = await alice.add("a")
    await alice.patch(f"/tasks/{task['id']}", {"title": "a"})
    assert await undo(alice, 2) == {"revision": 2, "changes": []}
    assert (await alice.get("/tasks")).headers["x-revision"] == "2"


async def test_undo_of_an_earlier_change_is_refused_when_the_task_is_deleted(alice: Person) -> None:
    task = await alice.add("a")
    path = f"/tasks/{task['id']}"
    await alice.patch(path, {"title": "b"})
    await alice.delete(path)
    body = assert_problem(await alice.post("/changes/2/undo"), 409, "undo_conflict")
    assert "deleted" in body["detail"]
    assert (await alice.get("/tasks")).headers["x-revision"] == "3"
    await undo(alice, 3)
    await undo(alice, 2)
    assert await alice.titles() == ["a"]


@pytest.mark.parametrize(
    ("cleared", "later"), [("2026-12-01", "2026-12-02T09:00:00Z"), ("2026-12-02T09:00:00Z", "2026-12-01")]
)
async def test_undo_treats_days_and_instants_as_one_due_date_field(alice: Person, cleared: str, later: str) -> None:
    task = await alice.add("a", due_date=cleared)
    path = f"/tasks/{task['id']}"
    await alice.patch(path, {"due_date": None})
    await alice.patch(path, {"due_date": later})
    body = assert_problem(await alice.post("/changes/2/undo"), 409, "undo_conflict")
    assert "due_date" in body["detail"]
    await undo(alice, 3)
    await undo(alice, 2)
    assert (await alice.get(path)).json()["due_date"] == cleared


async def test_history_is_empty_when_the_changes_are_pruned(alice: Person, sql: Any) -> None:
    task = await alice.add("a")
    gone = await alice.add("b")
    await alice.delete(f"/tasks/{gone['id']}")
    await sql.execute("delete from changes where user_id = $1", alice.subject)
    assert await history(alice, task["id"]) == []
    assert await history(alice, gone["id"]) == []
    assert_problem(await alice.get("/tasks/999999/history"), 404, "task_not_found")
