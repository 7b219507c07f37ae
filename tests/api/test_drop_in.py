"""Names other than those of this service, which existing front-ends send and read: docs/drop-in.md."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.http.middleware import add_second_name
from app.main import create_app
from app.models.task_aliases import BODY_ALIASES, DONE_ALIASES, PAGE_ALIASES, SORT_ALIASES
from tests.accounts.conftest import Start
from tests.accounts.conftest import start as start
from tests.accounts.support import Visitor
from tests.http.test_findings import assert_sentence
from tests.support import Person, assert_problem

EXAMPLES = {"completed": True, "due_date": "2026-12-01", "project_id": None, "parent_id": None}


@pytest.mark.parametrize(("alias", "name"), BODY_ALIASES.items())
async def test_a_field_of_a_task_may_have_another_name(alice: Person, alias: str, name: str) -> None:
    value: Any = EXAMPLES[name]
    made = await alice.add(**{alias: value})
    assert made[name] == value
    assert alias not in made
    path = f"/tasks/{(await alice.add())['id']}"
    for method, body in (("PATCH", {alias: value}), ("PUT", {alias: value, name: value, "userId": "x"})):
        answer = await alice.call(method, path, json=body)
        assert (answer.status_code, answer.json()[name]) == (200, value), answer.text


@pytest.mark.parametrize("alias", DONE_ALIASES)
async def test_a_task_is_completed_under_any_name(alice: Person, alias: str) -> None:
    path = f"/tasks/{(await alice.add())['id']}"
    for done in (True, True, False):
        assert (await alice.patch(f"{path}/complete", {alias: done})).json()["completed"] is done
    body = {"filter": {alias: False}, "action": "update", "change": {"dueDate": "2026-12-01"}}
    answer = await alice.post("/tasks/bulk", body)
    assert [item["status"] for item in answer.json()["results"]] == ["updated"]
    assert (await alice.get(path)).json()["due_date"] == "2026-12-01"


@pytest.mark.parametrize("path", ["/tasks", "/tasks/{id}", "/tasks/{id}/complete"])
async def test_two_names_that_contradict_are_422(alice: Person, path: str) -> None:
    task = await alice.add()
    body = {"title": "x", "completed": True, "is_completed": False}
    method = "POST" if path == "/tasks" else "PATCH"
    answer = await alice.call(method, path.format(id=task["id"]), json=body)
    (error,) = assert_problem(answer, 422)["errors"]
    assert (error["loc"], error["type"]) == (["body", "is_completed"], "alias_conflict")
    assert_sentence(error["msg"])
    assert (await alice.get(f"/tasks/{task['id']}")).json() == task


async def test_null_contradicts_no_value_of_a_post(alice: Person) -> None:
    body: dict[str, Any] = {"completed": None, "is_completed": True, "isCompleted": None}
    body |= {"dueDate": "2026-12-01", "due_date": None}
    made = await alice.add(**body)
    assert (made["completed"], made["due_date"]) == (True, "2026-12-01")
    only_null = await alice.add(is_completed=None, due_at=None)
    assert (only_null["completed"], only_null["due_date"]) == (False, None)
    complete = await alice.patch(f"/tasks/{made['id']}/complete", {"completed": None, "is_completed": False})
    assert complete.json()["completed"] is False
    chosen = {"status": None, "is_completed": False, "tag": None, "tags": None, "search": None, "q": "x"}
    assert_problem(await alice.post("/tasks/bulk", {"filter": chosen, "action": "complete"}), 422)  # else it is wider
    assert (await alice.post("/views", {"name": "x", "parameters": chosen})).status_code == 201
    (error,) = assert_problem(await alice.patch(f"/tasks/{made['id']}", body), 422)["errors"]
    assert error["type"] == "alias_conflict"
    assert_problem(await alice.post("/views", {"name": "y", "parameters": {"wrong": None}}), 422)


@pytest.mark.parametrize("alias", DONE_ALIASES)
async def test_a_wrong_value_under_another_name_is_named_by_it(alice: Person, alias: str) -> None:
    (error,) = assert_problem(await alice.post("/tasks", {"title": "x", alias: "yes"}), 422)["errors"]
    assert error == {"loc": ["body", alias], "msg": "Expected true or false.", "type": "bool_type"}


@pytest.fixture
async def tasks(alice: Person) -> None:
    for title, completed in (("b", False), ("a", True), ("c", False)):
        await alice.add(title, completed=completed, tags=["x"] if title == "c" else [])


@pytest.mark.usefixtures("tasks")
async def test_parameters_of_a_list_may_have_other_names(alice: Person) -> None:
    samples = {"status": "pending", "search": "b", "tag": "x", "sort": "title", "order": "asc", "limit": "2"}
    for alias, name in PAGE_ALIASES.items():
        if name in samples and alias not in {"completed", *DONE_ALIASES}:
            found = await alice.titles(f"?{alias}={samples[name]}&{'' if name == 'sort' else 'sort=title'}")
            assert found == await alice.titles(f"?{name}={samples[name]}&{'' if name == 'sort' else 'sort=title'}")
    for alias in ("completed", *DONE_ALIASES):
        assert await alice.titles(f"?{alias}=true") == ["a"]
        assert await alice.titles(f"?{alias}=false&sort=title") == ["b", "c"]
        for status in ("pending", "completed"):
            (error,) = assert_problem(await alice.get(f"/tasks?{alias}=false&status={status}"), 422)["errors"]
            assert (error["loc"], error["type"]) == (["query", alias], "alias_conflict")
    assert await alice.titles("?sortBy=title&sortOrder=desc&page=2&per_page=2") == ["a"]
    assert await alice.titles("?page=2&pageSize=1&sort=title") == ["b"]


@pytest.mark.usefixtures("tasks")
async def test_values_of_a_list_may_have_other_names(alice: Person) -> None:
    for alias, value in SORT_ALIASES.items():
        for name in ("sort", "sort_by"):
            assert await alice.titles(f"?{name}={alias}") == await alice.titles(f"?sort={value}")
    assert (await alice.titles("?sort_by=status&order=asc"))[0] == "a"


async def test_a_status_that_no_task_has_is_422_with_those_that_there_are(alice: Person) -> None:
    (error,) = assert_problem(await alice.get("/tasks?status=doing"), 422)["errors"]
    assert error["msg"] == 'Expected "all", "pending", "in_progress", "waiting", "cancelled" or "completed".'
    for name in ("status", "priority", "tag", "project_id", "due_before", "overdue", "completed"):
        assert_problem(await alice.get(f"/tasks?{name}="), 422)
    assert (await alice.get("/tasks?search=")).status_code == 200


async def test_the_user_is_also_at_the_top_of_tokens(client: httpx.AsyncClient, sql: Any) -> None:
    await sql.execute("delete from login_attempts")
    body = {"email": "Flat.User@example.com", "password": "correct horse battery", "name": "Flat"}
    made = await client.post("/api/auth/signup", json=body)
    try:
        assert made.status_code == 201
        for answer in (made, await client.post("/api/auth/login", json={k: body[k] for k in ("email", "password")})):
            pair = answer.json()
            assert pair["name"] == "Flat"
            assert {name: pair["user"][name] for name in ("id", "email", "name", "created_at")}.items() <= pair.items()
    finally:
        headers = {"Authorization": f"Bearer {made.json()['access_token']}"}
        await client.request("DELETE", "/api/auth/me", json={"password": body["password"]}, headers=headers)


async def test_sentences_that_front_ends_look_for(client: httpx.AsyncClient, alice: Person, sql: Any) -> None:
    await sql.execute("delete from login_attempts")
    forbidden = assert_problem(await alice.get("/api/someone/tasks"), 403)
    assert "Not authorized" in forbidden["detail"]
    assert forbidden["status_code"] == 403
    login = await client.post("/api/auth/login", json={"email": "nobody@example.com", "password": "x"})
    detail = assert_problem(login, 401)["detail"]
    assert detail.startswith("Invalid email or password")
    assert "incorrect" in detail
    assert_sentence(detail)
    for task_id in ("abc", "0b0d9c5e-7e64-4f6e-9e0e-6f3a52e4f6c1", "999999999"):
        assert assert_problem(await alice.get(f"/tasks/{task_id}"), 404)["detail"] == "Task not found"


async def test_the_history_of_no_conversation_is_404(alice: Person) -> None:
    for path in ("history", "7", "history/messages"):
        found = assert_problem(await alice.get(f"/conversations/{path}"), 404, "conversation_not_found")
        assert found["detail"] == "Conversation not found"


async def test_ignored_names_are_reported(start: Start) -> None:
    ann = await Visitor(await start(unknown_fields="ignore")).register()
    made = await ann.call("POST", "/api/me/tasks", {"title": "x", "colour": 1, "is_completed": True, "id": 3})
    assert (made.status_code, made.headers["x-ignored-fields"], made.json()["completed"]) == (201, '["colour"]', True)
    path = f"/api/me/tasks/{made.json()['id']}"
    only = await ann.call("PATCH", path, {"is_completed": False})
    assert (only.status_code, only.json()["completed"]) == (200, False)
    assert "x-ignored-fields" not in only.headers
    for _ in range(2):  # the second time from the cache of queries
        headers = {"Origin": "http://localhost:3000"}
        listed = await ann.get("/api/me/tasks?assignee=me&stat%C3%BCs=done&limit=5&x%0D%0Ay%7F=1", headers=headers)
        assert json.loads(listed.headers["x-ignored-fields"]) == ["assignee", "stat\u00fcs", "x\r\ny\x7f"]
        assert listed.headers["x-ignored-fields"].isprintable()
        assert "X-Ignored-Fields" in listed.headers["access-control-expose-headers"]
    many = "&".join(f"{'n' * 90}{number}=1" for number in range(60))
    assert len(json.loads((await ann.get(f"/api/me/tasks?{many}")).headers["x-ignored-fields"])) == 20
    wide = {"filter": {"stauts": "completed"}, "action": "delete"}
    assert_problem(await ann.call("POST", "/api/me/tasks/bulk", wide), 422)  # a write never becomes wider
    assert (await ann.get(path)).status_code == 200


async def test_is_completed_is_written_under_its_setting(start: Start) -> None:
    http = await start(completed_name="both")
    ann = await Visitor(http).register()
    title = '"completed":true and \\"completed\\":false'
    made = await ann.call("POST", "/api/me/tasks", {"title": title, "tags": ["completed"]})
    task = made.json()
    assert (task["completed"], task["is_completed"], task["title"]) == (False, False, title)
    assert made.headers["content-length"] == str(len(made.content))
    done = await ann.call("PATCH", f"/api/me/tasks/{task['id']}", {"is_completed": True})
    assert (done.json()["completed"], done.json()["is_completed"]) == (True, True)
    for path in ("tasks", "tasks?count=true", f"tasks/{task['id']}"):
        found = (await ann.get(f"/api/me/{path}")).json()
        assert all(each["is_completed"] is True for each in (found if isinstance(found, list) else [found]))
    page = (await ann.get("/api/me/changes")).json()
    assert [change["data"]["is_completed"] for change in page["changes"]] == [False, True]
    assert (await ann.get("/api/me/stats")).json()["totals"]["completed"] == 1
    exported = (await ann.get("/api/me/export")).json()  # a file stays as an import reads it
    assert "is_completed" not in exported["tasks"][0]
    described = http._transport.app.openapi()["components"]["schemas"]  # type: ignore[attr-defined]
    assert "is_completed" in described["TaskRead"]["required"]


@pytest.mark.parametrize("text", [b'{"a":"\\"completed\\":true"}', b'{"completed":5}', b'["completed",true]', b""])
def test_only_members_of_objects_get_the_second_name(text: bytes) -> None:
    assert add_second_name(text) == text


def test_without_the_setting_nothing_is_installed(app: FastAPI, settings: Settings) -> None:
    assert settings.completed_name == "completed"
    both = create_app(settings.model_copy(update={"completed_name": "both"}))
    assert len(both.user_middleware) == len(app.user_middleware) + 1
