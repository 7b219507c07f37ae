"""Tags across all tasks, over HTTP."""

from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import func

from app.models.tasks import TASKS
from app.services.tasks import tags as service
from tests.support import Person, assert_problem


async def tags(person: Person, query: str = "") -> list[tuple[str, int, int]]:
    answer = await person.get(f"/tags{query}")
    assert answer.status_code == 200, answer.text
    return [(tag["name"], tag["count"], tag["open"]) for tag in answer.json()]


async def tags_of(person: Person, task: dict[str, Any]) -> list[str]:
    found: list[str] = (await person.get(f"/tasks/{task['id']}")).json()["tags"]
    return found


async def test_tags_are_counted_without_deleted_tasks(alice: Person, bob: Person) -> None:
    assert await tags(alice) == []
    await bob.add(tags=["theirs"])
    for names, completed in ((["home", "Bank"], False), (["home"], True), (["bank", "home"], False)):
        await alice.add(tags=names, completed=completed)
    gone = await alice.add(tags=["gone", "home"])
    await alice.delete(f"/tasks/{gone['id']}")
    assert await tags(alice) == [("Bank", 1, 1), ("bank", 1, 1), ("home", 3, 2)]
    answer = await alice.get("/tags?limit=2")
    assert [tag["name"] for tag in answer.json()] == ["Bank", "bank"]
    following = answer.headers["link"].partition(", <")[2].partition(">")[0]
    assert [tag["name"] for tag in (await alice.get(following)).json()] == ["home"]
    assert 'rel="next"' not in (await alice.get(following)).headers["link"]
    assert_problem(await alice.get("/tags?cursor=x"), 422, "invalid_cursor")
    condition = {"If-None-Match": answer.headers["etag"]}
    assert (await alice.get("/tags?limit=2", headers=condition)).status_code == 304


async def test_a_tag_is_renamed_on_all_tasks_in_one_write(alice: Person, bob: Person) -> None:
    theirs = await bob.add(tags=["home"])
    first, second = await alice.add(tags=["a", "home", "b"]), await alice.add(tags=["home"], completed=True)
    gone, other = await alice.add(tags=["home"]), await alice.add(tags=["a"])
    await alice.delete(f"/tasks/{gone['id']}")
    answer = await alice.patch("/tags/home", {"name": "house"})
    assert answer.json() == {"name": "house", "count": 2, "open": 1, "color": None}
    assert await tags_of(alice, first) == ["a", "house", "b"]
    assert await tags_of(alice, other) == ["a"]
    changes = (await alice.get("/changes?since=5")).json()["changes"]
    assert [(c["revision"], c["entity_id"], c["action"]) for c in changes] == [
        (6, task["id"], "updated") for task in (first, second, gone)
    ]
    assert changes[0]["data"] == (await alice.get(f"/tasks/{first['id']}")).json()
    restored = (await alice.post(f"/tasks/{gone['id']}/restore")).json()
    assert restored["tags"] == ["house"], "the trash must not bring the old name back"
    assert await tags_of(bob, theirs) == ["home"]
    assert_problem(await alice.patch("/tags/home", {"name": "x"}), 404, "tag_not_found")
    assert (await alice.get("/tasks")).headers["x-revision"] == "7", "what was refused took no number"


async def test_a_tag_is_merged_only_when_requested(alice: Person) -> None:
    tasks = [await alice.add(tags=names) for names in (["a", "x", "b"], ["b", "x", "a"], ["a"], ["b"])]
    assert_problem(await alice.patch("/tags/a", {"name": "b"}), 409, "tag_exists")
    answer = await alice.patch("/tags/a", {"name": "b", "merge": True})
    assert answer.json() == {"name": "b", "count": 4, "open": 4, "color": None}
    assert [await tags_of(alice, task) for task in tasks] == [["x", "b"], ["b", "x"], ["b"], ["b"]]
    assert (await alice.get("/tasks")).headers["x-revision"] == "5"


async def test_a_tag_can_be_renamed_to_itself_or_another_case(alice: Person) -> None:
    task = await alice.add(tags=["home"])
    assert (await alice.patch("/tags/home", {"name": "home"})).json()["count"] == 1
    assert (await alice.get("/tasks")).headers["x-revision"] == "1", "nothing was written"
    assert (await alice.patch("/tags/home", {"name": "Home"})).json()["name"] == "Home"
    assert await tags_of(alice, task) == ["Home"]
    assert_problem(await alice.patch("/tags/nobody", {"name": "nobody"}), 404, "tag_not_found")


async def test_deleting_a_tag_removes_it_from_all_tasks(alice: Person) -> None:
    task, gone = await alice.add(tags=["a", "b"]), await alice.add(tags=["b"])
    await alice.delete(f"/tasks/{gone['id']}")
    assert (await alice.delete("/tags/b")).status_code == 204
    assert await tags(alice) == [("a", 1, 1)]
    assert await tags_of(alice, task) == ["a"]
    assert (await alice.post(f"/tasks/{gone['id']}/restore")).json()["tags"] == []
    assert_problem(await alice.delete("/tags/b"), 404, "tag_not_found")


@pytest.mark.parametrize("name", ["a/b", "/", "a/", "//", "tasks", "é", "?&#", "%2F", "a b", "..a", "x" * 50, "🏠"])
async def test_a_tag_with_any_characters_works_in_the_path(alice: Person, name: str) -> None:
    task = await alice.add(tags=[name])
    assert (await alice.patch(f"/tags/{quote(name, safe='')}", {"name": "plain"})).status_code == 200
    assert await tags_of(alice, task) == ["plain"]
    await alice.patch("/tags/plain", {"name": name})
    assert (await alice.delete(f"/tags/{quote(name, safe='')}")).status_code == 204
    assert await tags_of(alice, task) == []


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 51}, {"name": "a\0"}, {"name": 1}, {"into": "b"}])
async def test_an_invalid_tag_name_is_refused(alice: Person, body: dict[str, Any]) -> None:
    await alice.add(tags=["a"])
    assert_problem(await alice.patch("/tags/a", body), 422, "validation_error")
    assert_problem(await alice.delete("/tags/%00"), 422, "validation_error")
    assert_problem(await alice.delete(f"/tags/{'x' * 51}"), 422, "validation_error")


async def test_renaming_a_tag_on_many_tasks_is_written_in_batches(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "TAGGED_BATCH", 2)
    rename = service._write_tags(func.array_replace(TASKS.c.tags, service.OLD_TAG, service.NEW_TAG))
    monkeypatch.setattr(service, "RENAME_TAG", rename)
    for count in (3, 2):
        for _ in range(count):
            await alice.add(tags=["a"])
    before = int((await alice.get("/tasks")).headers["x-revision"])
    assert (await alice.patch("/tags/a", {"name": "b"})).json()["count"] == 5
    changes = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert [c["revision"] - before for c in changes] == [1, 1, 2, 2, 3]


async def test_undo_reverts_a_tag_merge_completely(alice: Person) -> None:
    tasks = [await alice.add(tags=names) for names in (["a", "x", "b"], ["a"], ["b"])]
    await alice.patch("/tags/a", {"name": "b", "merge": True})
    assert (await alice.post("/changes/4/undo")).status_code == 200
    assert [await tags_of(alice, task) for task in tasks] == [["a", "x", "b"], ["a"], ["b"]]
