"""Counts that a process remembers: for an owner with many tasks tags and statistics are those of all tasks."""

import random
from typing import Any

import pytest
from fastapi import FastAPI

from app.db.session import Session
from app.models.tasks import TaskCreate
from app.services.tasks import counts, creation, stats, tags
from app.services.tasks.counts import count_tasks
from app.services.users import get_revision
from tests.support import Person


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes three tasks many."""
    monkeypatch.setattr(counts, "PART_ROWS", 3)


async def no_counts(session: Session, owner: str) -> tuple[int, None]:
    return await get_revision(session, owner), None


async def answers(person: Person) -> tuple[Any, Any, Any]:
    found = [await person.get(path) for path in ("/tags", "/tags?limit=1", "/stats?days=9")]
    assert [answer.status_code for answer in found] == [200, 200, 200]
    return found[0].json(), found[1].json(), found[2].json()


async def check(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compares what is remembered with what one statement counts of all tasks."""
    remembered = await answers(person)
    with monkeypatch.context() as patch:
        patch.setattr(tags, "count_tasks", no_counts)
        patch.setattr(stats, "count_tasks", no_counts)
        assert remembered == await answers(person)


@pytest.mark.usefixtures("few")
async def test_counts_follow_every_kind_of_write(alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compares after each write: nothing that changes a number may go unnoticed."""
    home, work = [(await alice.post("/projects", {"name": name})).json()["id"] for name in ("Home", "Work")]
    day = "2030-01-02"
    places: list[dict[str, Any]] = [{}, {"project_id": home, "due_date": "2020-01-02"}, {"project_id": work}]
    ids = [(await alice.add(f"t{n}", **places[n % 3], tags=["a", "B"][: n % 3]))["id"] for n in range(12)]
    await bob.add(tags=["a"])
    long = (await alice.add("long", description="x" * 600, tags=["a"]))["id"]
    many = (await alice.add("many", tags=[f"tag {n}" for n in range(9)], estimate_minutes=5))["id"]
    await check(alice, monkeypatch)
    writes: list[tuple[str, str, Any]] = [
        ("POST", "/tasks", {"title": "new", "tags": ["new"]}),
        ("PATCH", f"/tasks/{ids[0]}", {"tags": ["c"]}),
        ("PATCH", f"/tasks/{ids[1]}", {"project_id": None}),
        ("PATCH", f"/tasks/{ids[2]}/complete", None),
        ("PATCH", f"/tasks/{ids[2]}/complete", None),
        ("PATCH", f"/tasks/{ids[3]}", {"status": "cancelled"}),
        ("PATCH", f"/tasks/{ids[4]}", {"description": "y" * 600}),
        ("PATCH", f"/tasks/{long}", {"description": "", "completed": True}),
        ("PATCH", f"/tasks/{many}", {"tags": []}),
        ("PATCH", f"/tasks/{ids[5]}", {"due_date": day, "recurrence": "FREQ=DAILY"}),
        ("PATCH", f"/tasks/{ids[5]}/complete", None),
        ("DELETE", f"/tasks/{ids[6]}", None),
        ("POST", f"/tasks/{ids[6]}/restore", None),
        ("POST", "/changes/{revision}/undo", None),
        ("POST", "/tasks/bulk", {"ids": ids[:6], "action": "complete"}),
        ("PATCH", "/tags/a", {"name": "z", "color": "#b4552d"}),
        ("DELETE", f"/projects/{home}", None),
        ("DELETE", "/tasks/trash", None),
        ("DELETE", "/tags/z", None),
    ]
    for method, path, body in writes:
        revision = (await alice.get("/tasks?limit=1")).headers["x-revision"]
        answer = await alice.call(method, path.format(revision=revision), **({} if body is None else {"json": body}))
        assert answer.is_success, (method, path, answer.text)
        await check(alice, monkeypatch)


@pytest.mark.usefixtures("few")
async def test_only_the_parts_with_a_change_are_counted_again(
    alice: Person, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [await alice.add(str(number), tags=["a"]) for number in range(20)]
    await alice.get("/tags")
    ranges = []
    count_range = counts._count_range

    async def spy(session: Any, owner: str, start: Any, until: Any) -> Any:
        ranges.append((start, until))
        return await count_range(session, owner, start, until)

    monkeypatch.setattr(counts, "_count_range", spy)
    await alice.get("/tags")
    assert ranges == []
    await alice.patch(f"/tasks/{tasks[7]['id']}", {"tags": ["b"]})
    assert [tag["count"] for tag in (await alice.get("/tags")).json()] == [19, 1]
    assert len(ranges) == 1
    await alice.post("/tasks/bulk", {"ids": [task["id"] for task in tasks], "action": "complete"})
    assert [tag["open"] for tag in (await alice.get("/tags")).json()] == [0, 0]
    assert ranges[1:] == [(counts.BEFORE_ALL, counts.AFTER_ALL)]  # all of them changed


@pytest.mark.usefixtures("few")
async def test_what_is_rolled_back_is_not_remembered(alice: Person, app: FastAPI) -> None:
    for number in range(9):
        await alice.add(str(number))
    before = (await alice.get("/stats")).json()

    session = app.state.database.transaction(alice.subject)
    await creation.create_task(session, alice.subject, TaskCreate(title="x", tags=["gone"]))
    _, found = await count_tasks(session, alice.subject)
    assert found is not None
    assert found.total.live == 10
    await session.rollback()
    await alice.add("another", tags=["kept"])  # takes the revision of the write that was rolled back
    assert (await alice.get("/stats")).json()["totals"]["open"] == before["totals"]["open"] + 1
    assert [tag["name"] for tag in (await alice.get("/tags")).json()] == ["kept"]


@pytest.mark.usefixtures("few")
async def test_a_restored_database_is_counted_again(alice: Person, sql: Any) -> None:
    for number in range(9):
        await alice.add(str(number), tags=["a"])
    await alice.get("/tags")
    await sql.execute("delete from tasks where user_id = $1 and title > '4'", alice.subject)
    await sql.execute("update users set revision = revision - 4 where id = $1", alice.subject)
    assert [tag["count"] for tag in (await alice.get("/tags")).json()] == [5]
    await sql.execute("delete from tasks where user_id = $1 and title > '3'", alice.subject)
    lift = "update users set revision = revision + 1000000, pruned_revision = revision + 1000000 where id = $1"
    await sql.execute(lift, alice.subject)
    assert [tag["count"] for tag in (await alice.get("/tags")).json()] == [4]


@pytest.mark.usefixtures("few")
async def test_a_subject_that_was_erased_and_came_again_is_counted_again(alice: Person, sql: Any) -> None:
    for number in range(9):
        await alice.add(str(number), tags=["a"])
    await alice.get("/tags")
    for table in ("tasks", "changes"):
        await sql.execute(f"delete from {table} where user_id = $1", alice.subject)
    await sql.execute("delete from users where id = $1", alice.subject)
    for number in range(10):
        await alice.add(str(number), tags=["b"])
    assert [(tag["name"], tag["count"]) for tag in (await alice.get("/tags")).json()] == [("b", 10)]


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "REMEMBERED_MAX", 100)
    memory, chosen = counts.CountMemory(), random.Random(1)
    for number in range(200):
        part = counts.CountedPart(
            counts.BEFORE_ALL, dict.fromkeys(range(chosen.randrange(1, 70)), counts.Tally(1, 1, 0))
        )
        memory.remember(f"user {number % 9}", counts.TaskCounts(number, counts.BEFORE_ALL, [part]))
        assert memory._size == sum(each.size for each in memory._by_owner.values()) <= 100
    assert memory.find("user 1") is not None or memory._by_owner
