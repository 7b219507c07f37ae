"""Comments on tasks over HTTP."""

import re
from typing import Any

import asyncpg
import pytest

from tests.support import Person, assert_problem


async def comment(person: Person, task: dict[str, Any], body: str = "The oat one") -> dict[str, Any]:
    answer = await person.post(f"/tasks/{task['id']}/comments", {"body": body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def bodies(person: Person, task: dict[str, Any], query: str = "") -> list[str]:
    answer = await person.get(f"/tasks/{task['id']}/comments{query}")
    assert answer.status_code == 200, answer.text
    return [each["body"] for each in answer.json()]


async def test_a_comment_is_created_read_updated_and_deleted(alice: Person) -> None:
    task = await alice.add()
    answer = await alice.post(f"/tasks/{task['id']}/comments", {"body": "  The oat one "})
    made = answer.json()
    path = f"/tasks/{task['id']}/comments/{made['id']}"
    assert answer.headers["location"] == f"/api/{alice.subject}{path}"
    assert made == {
        "id": made["id"], "uid": made["uid"], "user_id": alice.subject, "task_id": task["id"], "body": "The oat one",
        "version": 2,
        "created_at": made["created_at"], "updated_at": made["created_at"],
    }  # fmt: skip
    got = await alice.get(path)
    assert (got.json(), got.headers["etag"]) == (made, '"2"')
    assert (await alice.get(path, headers={"If-None-Match": '"2"'})).status_code == 304
    changed = (await alice.patch(path, {**made, "body": "The soy one"}, headers={"If-Match": '"2"'})).json()
    assert changed == {**made, "body": "The soy one", "version": 3, "updated_at": changed["updated_at"]}
    assert_problem(await alice.patch(path, {"body": "x"}, headers={"If-Match": '"2"'}), 412, "version_conflict")
    assert_problem(await alice.delete(path, headers={"If-Match": '"2"'}), 412, "version_conflict")
    assert (await alice.get(f"/tasks/{task['id']}")).json() == task
    assert (await alice.delete(path)).status_code == 204
    for again in (await alice.get(path), await alice.delete(path), await alice.patch(path, {"body": "x"})):
        assert_problem(again, 404, "comment_not_found")
    assert await bodies(alice, task) == []


async def test_comments_are_paged_oldest_first(alice: Person) -> None:
    task, other = await alice.add(), await alice.add()
    for number in range(5):
        await comment(alice, task, str(number))
    await comment(alice, other, "elsewhere")
    assert await bodies(alice, task) == ["0", "1", "2", "3", "4"]
    url, seen = f"/tasks/{task['id']}/comments?limit=2", []
    while url:
        answer = await alice.get(url)
        assert answer.headers["x-revision"] == "8"
        seen += [each["body"] for each in answer.json()]
        found = re.search(r'<([^>]*)>; rel="next"', answer.headers["link"])
        url = found[1] if found else ""
    assert seen == ["0", "1", "2", "3", "4"]
    assert_problem(await alice.get(f"/tasks/{task['id']}/comments?cursor=x"), 422, "invalid_cursor")


async def test_comments_are_hidden_while_their_task_is_in_the_trash(alice: Person) -> None:
    task = await alice.add()
    made = await comment(alice, task)
    path = f"/tasks/{task['id']}"
    await alice.delete(path)
    for answer in (
        await alice.get(f"{path}/comments"),
        await alice.post(f"{path}/comments", {"body": "x"}),
        await alice.get(f"{path}/comments/{made['id']}"),
        await alice.patch(f"{path}/comments/{made['id']}", {"body": "x"}),
        await alice.delete(f"{path}/comments/{made['id']}"),
    ):
        assert_problem(answer, 404, "task_not_found")
    revision = (await alice.get("/tasks")).headers["x-revision"]
    await alice.post(f"{path}/restore")
    assert (await alice.get(f"{path}/comments")).json() == [made]
    assert int(revision) == 3, "what was refused took no number"
    await alice.delete(path)
    await alice.delete("/tasks/trash")
    assert_problem(await alice.get(f"{path}/comments"), 404, "task_not_found")


async def test_a_comment_belongs_to_one_task_of_one_user(alice: Person, bob: Person, sql: Any) -> None:
    task, other, bobs = await alice.add(), await alice.add(), await bob.add()
    made = await comment(alice, task)
    assert_problem(await alice.get(f"/tasks/{other['id']}/comments/{made['id']}"), 404, "comment_not_found")
    assert_problem(await bob.get(f"/tasks/{bobs['id']}/comments/{made['id']}"), 404, "comment_not_found")
    for answer in (
        await bob.get(f"/tasks/{task['id']}/comments"),
        await bob.post(f"/tasks/{task['id']}/comments", {"body": "x"}),
        await bob.patch(f"/tasks/{task['id']}/comments/{made['id']}", {"body": "x"}),
        await bob.delete(f"/tasks/{task['id']}/comments/{made['id']}"),
    ):
        assert_problem(answer, 404, "task_not_found")
    assert (await alice.get(f"/tasks/{task['id']}/comments")).json() == [made]
    # The database refuses it also: the foreign key to the task begins with its owner.
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await sql.execute(
            "insert into comments (user_id, task_id, body, version) values ($1, $2, 'x', 1)", bob.subject, task["id"]
        )


@pytest.mark.parametrize(
    "body", [{}, {"body": ""}, {"body": " \u200b"}, {"body": "a\0"}, {"body": "x" * 5001}, {"b": 1}]
)
async def test_an_invalid_comment_is_refused(alice: Person, body: dict[str, Any]) -> None:
    task = await alice.add()
    assert_problem(await alice.post(f"/tasks/{task['id']}/comments", body), 422, "validation_error")


async def test_comment_writes_appear_in_the_change_feed(alice: Person) -> None:
    task = await alice.add()
    made = await comment(alice, task)
    path = f"/tasks/{task['id']}/comments/{made['id']}"
    changed = (await alice.patch(path, {"body": "x"})).json()
    await alice.delete(path)
    told = (await alice.get("/changes?since=1")).json()["changes"]
    assert [(c["entity"], c["entity_id"], c["action"], c["revision"]) for c in told] == [
        ("comment", made["id"], "created", 2),
        ("comment", made["id"], "updated", 3),
        ("comment", made["id"], "deleted", 4),
    ]  # fmt: skip
    assert [c["data"] for c in told[:2]] == [made, changed]


async def test_undo_restores_a_deleted_comment(alice: Person) -> None:
    task = await alice.add()
    made = await comment(alice, task)
    path = f"/tasks/{task['id']}/comments/{made['id']}"
    await alice.patch(path, {"body": "x"})
    await alice.delete(path)
    for revision, body in ((4, "x"), (3, "The oat one")):
        assert (await alice.post(f"/changes/{revision}/undo")).status_code == 200
        assert (await alice.get(path)).json()["body"] == body
    assert await bodies(alice, task) == ["The oat one"]
