"""The change feed over HTTP: a client that lists once and then applies the changes has the same state as the server."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.services.changes.feed import list_changes
from tests.support import Person, assert_problem


async def changes(person: Person, since: int = 0, **query: Any) -> dict[str, Any]:
    answer = await person.get("/changes", params={"since": since, **query})
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_each_write_is_one_change_with_the_task_as_get_returns_it(alice: Person) -> None:
    task = await alice.add("a", due_date="2026-12-01", tags=["x"])
    path = f"/tasks/{task['id']}"
    seen = [task]
    for body in ({"title": "b"}, {"due_date": "2026-12-01T09:00:00.120Z"}, {"completed": True}):
        await alice.patch(path, body)
        seen.append((await alice.get(path)).json())
    await alice.delete(path)
    await alice.post(path + "/restore")
    page = await changes(alice)
    found = page["changes"]
    assert [(c["revision"], c["action"]) for c in found] == [
        (1, "created"), (2, "updated"), (3, "updated"), (4, "completed"), (5, "deleted"), (6, "restored"),
    ]  # fmt: skip
    assert [c["data"] for c in found[:4]] == seen
    assert all((c["entity"], c["entity_id"], c["through"]) == ("task", task["id"], "api") for c in found)
    assert found[0]["at"] == task["created_at"]
    assert (page["next"], page["has_more"]) == (6, False)
    assert (await changes(alice, 4))["changes"] == found[4:]
    assert await changes(alice, 6) == {"changes": [], "next": 6, "has_more": False}


async def test_pages_never_split_the_changes_of_one_write(alice: Person) -> None:
    ids = [(await alice.add(f"t{n}"))["id"] for n in range(3)]
    for number in ids:
        await alice.delete(f"/tasks/{number}")
    await alice.delete("/tasks/trash")  # three rows, one revision
    await alice.add("last")
    page = await changes(alice, 5, limit=2)
    assert [c["revision"] for c in page["changes"]] == [6, 7, 7, 7]
    assert [c["entity_id"] for c in page["changes"][1:]] == sorted(ids)
    assert {c["action"] for c in page["changes"][1:]} == {"purged"}
    assert (page["next"], page["has_more"]) == (7, True)
    page = await changes(alice, 7, limit=1)
    assert ([c["revision"] for c in page["changes"]], page["next"], page["has_more"]) == ([8], 8, False)


async def test_changes_of_another_user_are_not_visible(alice: Person, bob: Person) -> None:
    await alice.add("secret")
    assert (await changes(bob))["changes"] == []
    assert_problem(await bob.get(f"/api/{alice.subject}/changes"), 403)


async def test_since_returns_410_when_the_revision_is_pruned_or_in_the_future(alice: Person, app: FastAPI) -> None:
    for title in "abc":
        await alice.add(title)
    async with app.state.database.transaction(alice.subject) as session:
        await session.exec(text("update users set pruned_revision = 2 where id = :owner"), {"owner": alice.subject})
    assert [c["revision"] for c in (await changes(alice, 2))["changes"]] == [3]
    for since in (0, 1, 4):
        assert_problem(await alice.get(f"/changes?since={since}"), 410, "changes_gone")


@pytest.mark.parametrize("query", ["since=-1", "since=x", "since=1_0", "limit=0", "limit=1001", "from=1", "since="])
async def test_an_invalid_query_is_refused(alice: Person, query: str) -> None:
    assert_problem(await alice.get(f"/changes?{query}"), 422)


async def test_a_page_of_changes_costs_two_round_trips(alice: Person, app: FastAPI) -> None:
    await alice.add()
    async with app.state.database.transaction(alice.subject, read_only=True) as session:
        await list_changes(session, alice.subject, since=0, limit=10)
    assert session.round_trips == 2


WRITES = st.one_of(
    st.tuples(st.just("add"), st.sampled_from("abcdef")),
    st.tuples(st.just("title"), st.integers(0, 5), st.sampled_from("uvwxyz")),
    st.tuples(st.sampled_from(["complete", "delete", "restore"]), st.integers(0, 5)),
    st.tuples(st.just("empty")),
)


async def write(person: Person, ids: list[int], kind: str, *details: Any) -> None:
    if kind == "add":
        ids.append((await person.add(details[0]))["id"])
    elif kind == "empty":
        await person.delete("/tasks/trash")
    elif ids:
        path = f"/tasks/{ids[details[0] % len(ids)]}"
        match kind:
            case "title":
                await person.patch(path, {"title": details[1]})
            case "complete":
                await person.patch(path + "/complete")
            case "delete":
                await person.delete(path)
            case "restore":
                await person.post(path + "/restore")


class Mirror:
    """A client that keeps a list: it lists once, and from then on only applies changes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.tasks, self.position = limit, dict[int, Any](), 0

    async def list_once(self, person: Person) -> None:
        answer = await person.get("/tasks?limit=1000")
        self.tasks = {task["id"]: task for task in answer.json()}
        self.position = int(answer.headers["x-revision"])

    async def sync(self, person: Person) -> None:
        more = True
        while more:
            page = await changes(person, self.position, limit=self.limit)
            for change in page["changes"]:
                if change["action"] in ("deleted", "purged"):
                    self.tasks.pop(change["entity_id"], None)
                else:
                    self.tasks[change["entity_id"]] = change["data"]
            self.position, more = page["next"], page["has_more"]


# The writes of a burst run concurrently; the number selects the client that syncs after it.
BURSTS = st.lists(st.tuples(st.lists(WRITES, min_size=1, max_size=4), st.integers(0, 3)), max_size=15)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(bursts=BURSTS, joins_at=st.integers(0, 10))
async def test_a_client_that_applies_changes_has_the_same_tasks_as_the_server(
    new_person: Callable[[], Person], bursts: list[Any], joins_at: int
) -> None:
    person, ids = new_person(), list[int]()
    mirrors = [Mirror(limit) for limit in (1, 2, 1000)]
    for number, (writes, turn) in enumerate(bursts):
        if number == joins_at:
            for mirror in mirrors:
                await mirror.list_once(person)
        await asyncio.gather(*(write(person, ids, *each) for each in writes))
        if turn < len(mirrors):
            await mirrors[turn].sync(person)
    truth = {task["id"]: task for task in (await person.get("/tasks?limit=1000")).json()}
    for mirror in mirrors:
        await mirror.sync(person)
        assert mirror.tasks == truth
