"""The projects and parents of imported rows: no file can create a state that requests cannot."""

import json
from typing import Any

import httpx
import pytest

from app.schemas.transfer import WARNINGS_MAX
from tests.api.test_transfer import CSV, ICS, JSON, counts, exported, imported
from tests.support import Person

DELETED_AT = "2020-01-01T00:00:00Z"


def document(**rows: Any) -> str:
    return json.dumps({"format": "todo/1", "user_id": "u", **rows})


async def tasks_of(person: Person) -> dict[str, dict[str, Any]]:
    return {task["title"]: task for task in (await person.get("/tasks")).json()}


async def assert_trash_can_be_emptied(person: Person) -> None:
    answer = await person.delete("/tasks/trash")
    assert answer.status_code == 204, answer.text


async def test_an_imported_open_task_is_never_in_a_deleted_project_or_below_a_deleted_task(alice: Person) -> None:
    file = document(
        projects=[{"id": 1, "name": "Gone", "deleted_at": DELETED_AT}],
        tasks=[
            {"id": 5, "title": "in it", "project_id": 1},
            {"id": 6, "title": "deleted", "project_id": 1, "deleted_at": DELETED_AT},
            {"id": 7, "title": "below", "parent_id": 6, "project_id": 1},
            {"id": 8, "title": "deleted too", "parent_id": 6, "project_id": 1, "deleted_at": DELETED_AT},
        ],
    )
    dry = await imported(alice, file, JSON, "?dry_run=true")
    report = await imported(alice, file, JSON)
    assert counts(report) == counts(dry) == (4, 0, 0)
    tasks = await tasks_of(alice)
    assert {title: (task["project_id"], task["parent_id"]) for title, task in tasks.items()} == {
        "in it": (None, None),
        "below": (None, None),
    }
    below, above = sorted((await alice.get("/tasks/trash")).json(), key=lambda task: task["title"], reverse=True)
    assert (below["title"], below["parent_id"]) == ("deleted too", above["id"])
    await assert_trash_can_be_emptied(alice)


async def test_a_second_import_does_not_restore_deleted_rows(alice: Person) -> None:
    projects = [{"id": 1, "name": "Home"}]
    rows = [{"id": 5, "title": "a", "project_id": 1}, {"id": 6, "title": "top"}]
    await imported(alice, document(projects=projects, tasks=rows), JSON)
    (project,) = (await alice.get("/projects")).json()
    await alice.delete(f"/projects/{project['id']}")
    await alice.delete(f"/tasks/{(await tasks_of(alice))['top']['id']}")
    rows += [{"id": 7, "title": "new", "project_id": 1}, {"id": 8, "title": "lower", "parent_id": 6}]
    assert counts(await imported(alice, document(projects=projects, tasks=rows), JSON)) == (2, 2, 0)
    tasks = await tasks_of(alice)
    assert [(tasks[title]["project_id"], tasks[title]["parent_id"]) for title in ("new", "lower")] == [(None, None)] * 2
    await assert_trash_can_be_emptied(alice)


async def test_emptying_the_trash_succeeds_when_a_task_refers_to_a_deleted_project(alice: Person, sql: Any) -> None:
    task = await alice.add("kept")
    made = (await alice.post("/projects", {"name": "x"})).json()
    await alice.delete(f"/projects/{made['id']}")
    await sql.execute("update tasks set project_id = $2 where id = $1", task["id"], made["id"])
    await assert_trash_can_be_emptied(alice)
    assert (await alice.get(f"/tasks/{task['id']}")).status_code == 200


async def test_an_imported_subtask_is_in_the_project_of_its_parent(alice: Person) -> None:
    file = document(
        projects=[{"id": 1, "name": "P1"}, {"id": 2, "name": "P2"}],
        tasks=[
            {"id": 1, "title": "A", "project_id": 1},
            {"id": 2, "title": "B", "project_id": 2, "parent_id": 1},
            {"id": 3, "title": "C", "parent_id": 2},
        ],
    )
    assert counts(await imported(alice, file, JSON)) == (3, 0, 0)
    first = {project["name"]: project["id"] for project in (await alice.get("/projects")).json()}["P1"]
    assert {task["project_id"] for task in (await tasks_of(alice)).values()} == {first}


async def test_two_projects_with_the_same_name_in_a_file_become_one(alice: Person) -> None:
    file = document(
        projects=[{"id": 1, "name": "Home"}, {"id": 2, "name": "home"}],
        tasks=[{"id": 1, "title": "A", "project_id": 1}, {"id": 2, "title": "B", "project_id": 2}],
    )
    report = await imported(alice, file, JSON)
    assert (report["created"]["projects"], report["skipped"]["projects"]) == (1, 1)
    (project,) = (await alice.get("/projects")).json()
    assert {task["project_id"] for task in (await tasks_of(alice)).values()} == {project["id"]}


async def test_a_long_chain_of_series_is_imported_with_few_writes(alice: Person) -> None:
    """Each level of the chain is a write; a chain as long as this is written by hand."""
    rows = [{"id": n, "title": str(n), "series_id": n + 1} for n in range(1, 1200)] + [{"id": 1200, "title": "last"}]
    dry = await imported(alice, document(tasks=rows), JSON, "?dry_run=true")
    report = await imported(alice, document(tasks=rows), JSON)
    assert counts(report) == counts(dry) == (1200, 0, 0)
    assert report["revision"] <= 53
    assert (report["warned"], {each["field"] for each in report["warnings"]}) == (1149, {"series_id"})
    assert len(report["warnings"]) == WARNINGS_MAX


@pytest.mark.parametrize("field", ["parent_id", "series_id"])
async def test_rows_that_form_a_cycle_come_to_the_top_with_a_warning(alice: Person, field: str) -> None:
    rows: list[dict[str, Any]] = [{"id": n, "title": str(n), field: n % 3 + 1} for n in (1, 2, 3)]
    rows += [{"id": 4, "title": "behind", field: 1}, {"id": 5, "title": "fine"}, {"id": 6, "title": "self", field: 6}]
    rows += [{"id": 7, "title": "behind that", field: 4}]
    dry = await imported(alice, document(tasks=rows), JSON, "?dry_run=true")
    report = await imported(alice, document(tasks=rows), JSON)
    assert counts(report) == counts(dry) == (7, 0, 0)
    assert report["warnings"] == dry["warnings"]
    assert {each["field"] for each in report["warnings"]} == {field}
    assert {each["uid"] for each in report["warnings"]} == {"1", "2", "3", "6"}
    tasks = await tasks_of(alice)
    refers = {title: task[field] for title, task in tasks.items() if task[field]}
    assert refers == {"behind": tasks["1"]["id"], "behind that": tasks["behind"]["id"]}


async def test_subtasks_before_their_parents_are_imported(alice: Person) -> None:
    """More than two batches of them."""
    rows = [{"id": n, "title": str(n), "parent_id": 3000 + n % 5} for n in range(1, 2001)]
    rows += [{"id": 3000 + n, "title": f"top {n}"} for n in range(5)]
    report = await imported(alice, document(tasks=rows), JSON)
    assert counts(report) == (2005, 0, 0)
    assert report["revision"] <= 4


async def test_an_import_is_cancelled_when_the_client_disconnects(alice: Person, app: Any) -> None:
    body = ("title\r\n" + "".join(f"t{n}\r\n" for n in range(5000))).encode()
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": body, "more_body": False},
        {"type": "http.disconnect"},
    ]
    request = httpx.Request("POST", "http://test/api/me/import", headers={**alice.headers, "Content-Type": "text/csv"})
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/api/me/import", "raw_path": b"/api/me/import", "query_string": b"", "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 1), "server": ("test", 80), "state": {},
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        pass

    await app(scope, receive, send)
    assert await alice.titles() == []


async def test_an_import_creates_no_more_projects_than_the_limit(alice: Person) -> None:
    file = document(projects=[{"id": n, "name": f"p{n}"} for n in range(1003)])
    dry = await imported(alice, file, JSON, "?dry_run=true")
    report = await imported(alice, file, JSON)
    assert (report["created"]["projects"], report["failed"]) == (dry["created"]["projects"], dry["failed"]) == (1000, 3)
    assert report["errors"][0]["errors"][0]["type"] == "too_many_projects"
    named = await imported(alice, "title,project\r\na,P5\r\nb,new\r\n", {"Content-Type": "text/csv"})
    assert counts(named) == (2, 0, 0)
    (warning,) = named["warnings"]
    assert (warning["row"], warning["field"], warning["value"]) == (2, "project", "new")
    assert (await tasks_of(alice))["b"]["project_id"] is None


@pytest.mark.parametrize("kind", ["csv", "ics"])
async def test_a_second_import_makes_no_project_again(alice: Person, bob: Person, kind: str) -> None:
    """A user renames what came in. A row that is new comes into a project of the name that it has in the file."""
    project = (await alice.post("/projects", {"name": "Home"})).json()["id"]
    await alice.add("a", project_id=project)
    headers = CSV if kind == "csv" else ICS
    await imported(bob, await exported(alice, kind), headers)
    (found,) = (await bob.get("/projects")).json()
    await bob.patch(f"/projects/{found['id']}", {"name": "House"})
    for query in ("?dry_run=true", ""):
        assert {*(await imported(bob, await exported(alice, kind), headers, query))["created"].values()} == {0}
    await alice.add("b", project_id=project)
    report = await imported(bob, await exported(alice, kind), headers)
    assert (report["created"]["projects"], report["created"]["tasks"]) == (1, 1)
    assert [each["name"] for each in (await bob.get("/projects")).json()] == ["House", "Home"]
