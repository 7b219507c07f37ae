"""Saved views over HTTP."""

from typing import Any

import pytest

from app.errors import TooManyViews
from app.services import views as service
from app.services.changes.entities import VIEW_ENTITY, RowLimit
from tests.support import Person, assert_problem


async def save(person: Person, name: str = "Urgent", **parameters: Any) -> dict[str, Any]:
    answer = await person.post("/views", {"name": name, "parameters": parameters})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def titles(person: Person, view: dict[str, Any], query: str = "") -> list[str]:
    answer = await person.get(f"/views/{view['id']}/tasks{query}")
    assert answer.status_code == 200, answer.text
    return [task["title"] for task in answer.json()]


async def test_a_view_is_created_read_updated_and_deleted(alice: Person) -> None:
    answer = await alice.post("/views", {"name": " Urgent ", "parameters": {"completed": False, "q": "milk"}})
    view = answer.json()
    path = f"/views/{view['id']}"
    assert answer.headers["location"] == f"/api/{alice.subject}{path}"
    assert view == {
        "id": view["id"], "uid": view["uid"], "user_id": alice.subject, "name": "Urgent",
        "parameters": {"status": "pending", "search": "milk"}, "version": 1,
        "created_at": view["created_at"], "updated_at": view["created_at"],
    }  # fmt: skip
    assert (await alice.get(path)).json() == view
    second = await save(alice, "at home", tag=["home"], due_before="2026-12-01", overdue=True)
    assert second["parameters"] == {"tag": ["home"], "due_before": "2026-12-01", "overdue": True}
    assert (await alice.get("/views")).json() == [second, view]
    changed = await alice.patch(path, {**view, "name": "Milk"}, headers={"If-Match": '"1"'})
    assert changed.json() | {"updated_at": None} == {**view, "name": "Milk", "version": 3, "updated_at": None}
    assert_problem(await alice.patch(path, {"name": "x"}, headers={"If-Match": '"1"'}), 412, "version_conflict")
    assert (await alice.patch(path, {"parameters": {"sort": "title"}})).json()["parameters"] == {"sort": "title"}
    assert (await alice.delete(path)).status_code == 204
    for again in (await alice.get(path), await alice.delete(path), await alice.get(f"{path}/tasks")):
        assert_problem(again, 404, "view_not_found")
    told = (await alice.get("/changes?since=2")).json()["changes"]
    assert [(c["entity"], c["action"], c["revision"]) for c in told] == [
        ("view", "updated", 3), ("view", "updated", 4), ("view", "deleted", 5),
    ]  # fmt: skip
    assert told[0]["data"] == changed.json()


async def test_a_view_finds_the_same_tasks_as_its_list(alice: Person, bob: Person) -> None:
    for title, priority in (("a", "urgent"), ("b", "low"), ("c", "urgent"), ("d", "urgent")):
        await alice.add(title, priority=priority)
    await bob.add("theirs", priority="urgent")
    view = await save(alice, priority="urgent", sort="title")
    assert await titles(alice, view) == ["a", "c", "d"]
    answer = await alice.get(f"/views/{view['id']}/tasks?limit=2&count=true")
    assert (answer.headers["x-total-count"], answer.headers["x-revision"]) == ("3", "5")
    following = answer.headers["link"].partition(", <")[2].partition(">")[0]
    assert following.startswith(f"/api/{alice.subject}/views/{view['id']}/tasks?limit=2&count=true&cursor=")
    assert [task["title"] for task in (await alice.get(following)).json()] == ["d"]
    assert await titles(alice, view, "?offset=1&limit=1") == ["c"]
    condition = {"If-None-Match": answer.headers["etag"]}
    path = f"/views/{view['id']}/tasks?limit=2&count=true"
    assert (await alice.get(path, headers=condition)).status_code == 304
    await alice.patch(f"/views/{view['id']}", {"parameters": {"priority": ["low"]}})
    assert [task["title"] for task in (await alice.get(path, headers=condition)).json()] == ["b"]
    assert_problem(await alice.get(f"/views/{view['id']}/tasks?status=all"), 422, "validation_error")
    assert_problem(await alice.get(f"/views/{view['id']}/tasks?cursor=x"), 422, "invalid_cursor")


async def test_view_names_are_unique_per_user(alice: Person, bob: Person) -> None:
    view, other = await save(alice, "a"), await save(alice, "b")
    await save(bob, "a")
    assert_problem(await alice.post("/views", {"name": "a", "parameters": {}}), 409, "view_name_taken")
    assert_problem(await alice.patch(f"/views/{other['id']}", {"name": "a"}), 409, "view_name_taken")
    await alice.delete(f"/views/{view['id']}")
    assert (await save(alice, "a"))["name"] == "a"


async def test_views_of_other_users_are_404(alice: Person, bob: Person) -> None:
    view = await save(alice)
    path = f"/views/{view['id']}"
    for answer in (
        await bob.get(path),
        await bob.get(f"{path}/tasks"),
        await bob.patch(path, {"name": "x"}),
        await bob.delete(path),
    ):
        assert_problem(answer, 404, "view_not_found")
    assert (await bob.get("/views")).json() == []
    assert (await alice.get(path)).json() == view


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": "x"}, {"parameters": {}}, {"name": " ", "parameters": {}}, {"name": "x" * 101, "parameters": {}},
        {"name": "x", "parameters": {"limit": 5}}, {"name": "x", "parameters": {"cursor": "x"}},
        {"name": "x", "parameters": {"status": "done"}}, {"name": "x", "parameters": {"sort": "relevance"}},
        {"name": "x", "parameters": {"due_before": "soon"}}, {"name": "x", "parameters": []},
        {"name": "x", "parameters": {"search": "a\0"}}, {"name": "x", "parameters": {"tag": [1]}},
        {"name": "x", "parameters": {"overdue": []}}, {"name": "x", "parameters": {"completed": {}}},
    ],
)  # fmt: skip
async def test_parameters_unknown_to_the_task_list_are_refused(alice: Person, body: dict[str, Any]) -> None:
    assert_problem(await alice.post("/views", body), 422, "validation_error")
    assert (await alice.get("/views")).json() == []


async def test_views_are_limited_per_user(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "VIEW_ENTITY", VIEW_ENTITY._replace(limit=RowLimit(2, TooManyViews)))
    await save(alice, "a")
    view = await save(alice, "b")
    assert_problem(await alice.post("/views", {"name": "c", "parameters": {}}), 409, "too_many_views")
    await alice.delete(f"/views/{view['id']}")
    await save(alice, "c")


async def test_a_view_with_outdated_parameters_is_refused(alice: Person, sql: Any) -> None:
    view = await save(alice)
    await sql.execute("""update views set parameters = '{"colour": "red"}' where id = $1""", view["id"])
    assert_problem(await alice.get(f"/views/{view['id']}/tasks"), 422, "outdated_view")
    assert (await alice.get(f"/views/{view['id']}")).json()["parameters"] == {"colour": "red"}


async def test_undo_restores_a_view_when_its_name_is_free(alice: Person) -> None:
    view = await save(alice, "a")
    await alice.delete(f"/views/{view['id']}")
    other = await save(alice, "a")
    assert_problem(await alice.post("/changes/2/undo"), 409, "view_name_taken")
    await alice.patch(f"/views/{other['id']}", {"name": "b"})
    assert (await alice.post("/changes/2/undo")).status_code == 200
    assert [each["name"] for each in (await alice.get("/views")).json()] == ["a", "b"]
