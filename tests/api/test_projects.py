"""Projects over HTTP, and their tasks."""

import asyncio
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI

from app.services.changes.entities import PROJECT_ENTITY
from tests.support import Person, assert_problem


async def make(person: Person, name: str = "Home", **fields: Any) -> dict[str, Any]:
    answer = await person.post("/projects", {"name": name, **fields})
    assert answer.status_code == 201, answer.text
    project: dict[str, Any] = answer.json()
    return project


async def put_in(sql: Any, project: dict[str, Any], tasks: list[dict[str, Any]]) -> None:
    """Puts tasks into a project as if they had been created there."""
    for task in tasks:
        await sql.execute("update tasks set project_id = $1 where id = $2", project["id"], task["id"])
        await sql.execute(
            "update changes set data = data || jsonb_build_object('project_id', $1::bigint) where entity_id = $2"
            " and entity = 'task'",
            project["id"], task["id"],
        )  # fmt: skip


async def names(person: Person, query: str = "") -> list[str]:
    answer = await person.get(f"/projects{query}")
    assert answer.status_code == 200, answer.text
    return [project["name"] for project in answer.json()]


async def revision(person: Person) -> int:
    return int((await person.get("/tasks?limit=1")).headers["x-revision"])


async def test_a_project_is_created_read_and_updated(alice: Person) -> None:
    answer = await alice.post("/projects", {"name": "  Home ", "color": "#3366FF"})
    project = answer.json()
    assert (answer.status_code, project["name"], project["color"]) == (201, "Home", "#3366ff")
    assert answer.headers["location"] == f"/api/{alice.subject}/projects/{project['id']}"
    assert answer.headers["etag"] == '"1"'
    read = await alice.get(f"/projects/{project['id']}")
    assert read.json() == project
    condition = {"If-None-Match": read.headers["etag"]}
    assert (await alice.get(f"/projects/{project['id']}", headers=condition)).status_code == 304
    for method in ("PATCH", "PUT"):
        changed = await alice.call(
            method, f"/projects/{project['id']}", json={**project, "name": method, "color": None}
        )
        assert (changed.json()["name"], changed.json()["color"]) == (method, None)
    assert changed.json()["created_at"] == project["created_at"]
    stale = await alice.patch(f"/projects/{project['id']}", {"name": "x"}, headers={"If-Match": '"1"'})
    assert_problem(stale, 412, "version_conflict")
    assert (await alice.patch(f"/projects/{project['id']}", {"name": "y"}, headers={"If-Match": '"3"'})).is_success


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": ""}, {"name": " \u200b"}, {"name": "x" * 101}, {"name": None}, {"name": 3}, {"name": "a\0"},
        {"name": "x", "color": "red"}, {"name": "x", "color": "#12345"}, {"name": "x", "color": "#12345g"},
        {"name": "x", "colour": "#123456"}, {"name": "x", "color": "#123456\n"},
    ],
)  # fmt: skip
async def test_an_invalid_project_is_refused(alice: Person, body: dict[str, Any]) -> None:
    assert_problem(await alice.post("/projects", body), 422, "validation_error")
    if body:
        project = await make(alice)
        assert_problem(await alice.patch(f"/projects/{project['id']}", body), 422, "validation_error")
    assert_problem(await alice.patch("/projects/1", {}), 422)


async def test_project_names_are_unique_regardless_of_case(alice: Person, bob: Person) -> None:
    project, other = await make(alice, "Home"), await make(alice, "Work")
    assert_problem(await alice.post("/projects", {"name": "hOME"}), 409, "project_name_taken")
    assert_problem(await alice.patch(f"/projects/{other['id']}", {"name": "HOME"}), 409, "project_name_taken")
    await make(bob, "Home")
    assert (await alice.patch(f"/projects/{project['id']}", {"name": "HOME"})).json()["name"] == "HOME"
    assert (await alice.delete(f"/projects/{project['id']}")).status_code == 204
    await make(alice, "home")
    taken = await alice.post(f"/changes/{await revision(alice) - 1}/undo")
    assert_problem(taken, 409, "project_name_taken")


async def test_an_archived_project_is_not_listed_and_keeps_its_tasks(alice: Person) -> None:
    project = await make(alice)
    await make(alice, "Work")
    archived = (await alice.patch(f"/projects/{project['id']}", {"archived": True})).json()
    assert archived["archived_at"]
    again = (await alice.patch(f"/projects/{project['id']}", {"archived": True})).json()
    assert again["archived_at"] == archived["archived_at"]
    assert (await names(alice), await names(alice, "?archived=true")) == (["Work"], ["Home"])
    assert await names(alice, "?archived=all") == ["Home", "Work"]
    assert (await alice.patch(f"/projects/{project['id']}", {"archived": False})).json()["archived_at"] is None
    for query in ("?archived=maybe", "?archive=true", "?archived="):
        assert_problem(await alice.get(f"/projects{query}"), 422)


async def test_an_unchanged_list_of_projects_is_304(alice: Person) -> None:
    await make(alice)
    answer = await alice.get("/projects")
    assert answer.headers["x-revision"] == "1"
    condition = {"If-None-Match": answer.headers["etag"]}
    assert (await alice.get("/projects", headers=condition)).status_code == 304
    await make(alice, "Work")
    assert (await alice.get("/projects", headers=condition)).status_code == 200


async def test_moving_a_project_changes_no_other_row(alice: Person) -> None:
    a, b, c = [await make(alice, name) for name in "abc"]
    moved = (await alice.post(f"/projects/{c['id']}/move", {"before": a["id"]})).json()
    assert (moved["name"], moved["version"]) == ("c", 4)
    assert await names(alice) == ["c", "a", "b"]
    await alice.post(f"/projects/{c['id']}/move", {"after": a["id"]})
    assert await names(alice) == ["a", "c", "b"]
    await alice.post(f"/projects/{a['id']}/move", {"after": b["id"]})
    assert await names(alice) == ["c", "b", "a"]
    await make(alice, "d")
    assert await names(alice) == ["c", "b", "a", "d"]
    found = (await alice.get("/projects")).json()
    assert [project["version"] for project in found if project["name"] in "bd"] == [2, 7]
    await alice.post("/changes/4/undo")
    assert_problem(await alice.post("/changes/4/undo"), 409, "undo_conflict")


@pytest.mark.parametrize("body", [{}, {"before": 1, "after": 2}, {"before": "1"}, {"before": 0}, {"after": 2**63}])
async def test_an_invalid_project_move_is_refused(alice: Person, body: dict[str, Any]) -> None:
    project = await make(alice)
    assert_problem(await alice.post(f"/projects/{project['id']}/move", body), 422, "validation_error")


async def test_a_project_move_reports_an_unknown_neighbour(alice: Person, bob: Person) -> None:
    project, foreign, gone = await make(alice), await make(bob), await make(alice, "gone")
    await alice.delete(f"/projects/{gone['id']}")
    for reference in (foreign["id"], gone["id"], project["id"], 2**62):
        body = assert_problem(await alice.post(f"/projects/{project['id']}/move", {"after": reference}), 422)
        assert body["errors"][0]["loc"] == ["body", "after"]
    assert_problem(await alice.post(f"/projects/{foreign['id']}/move", {"after": project["id"]}), 404)


async def test_projects_of_other_users_are_404(alice: Person, bob: Person) -> None:
    project = await make(alice)
    path = f"/projects/{project['id']}"
    for answer in (
        await bob.get(path), await bob.patch(path, {"name": "x"}), await bob.call("PUT", path, json={"name": "x"}),
        await bob.delete(path), await bob.delete(path + "?tasks=move&to=inbox"),
        await bob.post(path + "/move", {"after": project["id"] + 1}),
        await bob.patch(path, {"name": "x"}, headers={"If-Match": '"1"'}), await bob.get("/projects/007"),
    ):  # fmt: skip
        assert answer.status_code in (404, 422)
        assert answer.json()["code"] in ("project_not_found", "not_found", "unknown_reference")
    assert (await alice.get("/projects")).json() == [project]
    assert await names(bob) == []


async def test_deleting_a_project_is_one_write_that_undo_reverts_completely(alice: Person, sql: Any) -> None:
    project = await make(alice)
    tasks = [await alice.add(title) for title in "ab"]
    other = await alice.add("c")
    await put_in(sql, project, tasks)
    before = await revision(alice)
    assert (await alice.delete(f"/projects/{project['id']}")).status_code == 204
    changes = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert [(c["revision"], c["entity"], c["action"]) for c in changes] == [
        (before + 1, "project", "deleted"), (before + 1, "task", "deleted"), (before + 1, "task", "deleted"),
    ]  # fmt: skip
    assert await alice.titles() == ["c"]
    assert_problem(await alice.get(f"/projects/{project['id']}"), 404, "project_not_found")
    undone = (await alice.post(f"/changes/{before + 1}/undo")).json()
    assert [c["action"] for c in undone["changes"]] == ["restored"] * 3
    assert undone["changes"][0]["data"] == (await alice.get(f"/projects/{project['id']}")).json()
    back = {task["id"]: task["project_id"] for task in (await alice.get("/tasks")).json()}
    assert back == {tasks[0]["id"]: project["id"], tasks[1]["id"]: project["id"], other["id"]: None}
    await alice.post(f"/changes/{undone['revision']}/undo")
    assert await alice.titles() == ["c"]


@pytest.mark.parametrize("to", ["inbox", "project"])
async def test_deleting_a_project_moves_its_tasks_when_requested(alice: Person, sql: Any, to: str) -> None:
    project, target = await make(alice), await make(alice, "Work")
    task = await alice.add("a")
    await put_in(sql, project, [task])
    where = "inbox" if to == "inbox" else target["id"]
    assert (await alice.delete(f"/projects/{project['id']}?tasks=move&to={where}")).status_code == 204
    moved = (await alice.get(f"/tasks/{task['id']}")).json()
    assert moved["project_id"] == (None if to == "inbox" else target["id"])
    await alice.post(f"/changes/{moved['version']}/undo")
    assert (await alice.get(f"/tasks/{task['id']}")).json()["project_id"] == project["id"]
    assert await names(alice) == ["Home", "Work"]


async def test_deleting_a_project_requires_a_valid_target_for_its_tasks(alice: Person, bob: Person) -> None:
    project, foreign = await make(alice), await make(bob)
    path = f"/projects/{project['id']}"
    for query in (
        "?tasks=move",
        "?to=inbox",
        "?tasks=trash&to=inbox",
        "?tasks=keep",
        "?tasks=move&to=x",
        "?tasks=move&to=0",
    ):
        assert_problem(await alice.delete(path + query), 422, "validation_error")
    for target in (foreign["id"], project["id"], 2**62):
        body = assert_problem(await alice.delete(f"{path}?tasks=move&to={target}"), 422, "unknown_reference")
        assert body["errors"][0]["loc"] == ["query", "to"]
    assert await names(alice) == ["Home"]
    assert_problem(await alice.delete(path, headers={"If-Match": '"7"'}), 412, "version_conflict")


async def test_projects_are_limited_per_user(alice: Person, sql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PROJECT_ENTITY.limit
    await make(alice)
    await sql.execute(
        "insert into projects (user_id, name, version) select $1, 'p' || n, 1 from generate_series(2, $2) n",
        alice.subject, PROJECT_ENTITY.limit.rows,
    )  # fmt: skip
    assert_problem(await alice.post("/projects", {"name": "one more"}), 409, "too_many_projects")
    assert len(await names(alice)) == PROJECT_ENTITY.limit.rows


async def test_twenty_concurrent_project_moves_leave_a_strict_order(alice: Person) -> None:
    made = [await make(alice, f"p{number}") for number in range(6)]
    first = made[0]["id"]
    answers = await asyncio.gather(
        *(alice.post(f"/projects/{made[1 + n % 5]['id']}/move", {"after": first}) for n in range(20))
    )
    assert {answer.status_code for answer in answers} == {200}
    found = (await alice.get("/projects")).json()
    positions = [project["position"] for project in found]
    assert positions == sorted(set(positions))
    assert len(found) == 6


async def test_the_database_refuses_a_project_of_another_user(alice: Person, bob: Person, sql: Any) -> None:
    project, task = await make(alice), await bob.add()
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="tasks_project_id_fkey"):
        await sql.execute("update tasks set project_id = $1 where id = $2", project["id"], task["id"])


async def test_project_writes_appear_in_the_change_feed_and_can_be_undone(alice: Person, app: FastAPI) -> None:
    project = await make(alice, color="#000000")
    change = (await alice.get("/changes")).json()["changes"][0]
    assert (change["entity"], change["action"], change["data"]) == ("project", "created", project)
    done = (await alice.post("/changes/1/undo")).json()
    assert [c["action"] for c in done["changes"]] == ["deleted"]
    assert await names(alice) == []
    await alice.post("/changes/2/undo")
    assert await names(alice) == ["Home"]
