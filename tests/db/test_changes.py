"""The central idea: every write takes the next revision and records a row in ``changes``, also under concurrency."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.db.database import Database
from tests.support import Person, assert_problem

LOG = text("select revision, entity, entity_id, action, data from changes where user_id = :owner order by revision")


@pytest.fixture
def database(app: FastAPI) -> Database:
    found: Database = app.state.database
    return found


async def log_of(database: Database, owner: str) -> list[Any]:
    async with database.transaction(owner, read_only=True) as session:
        return (await session.exec(LOG, {"owner": owner})).all()


async def test_each_write_records_its_revision_action_and_row(alice: Person, database: Database) -> None:
    task = await alice.add("a", due_date="2026-12-01", tags=["t"])
    path = f"/tasks/{task['id']}"
    await alice.patch(path, {"title": "b"})
    await alice.patch(path, {"title": "b", "completed": False})
    await alice.patch(path, {"completed": True})
    await alice.patch(path + "/complete", {"completed": True})
    await alice.patch(path + "/complete")
    await alice.patch(path + "/complete")
    await alice.delete(path)
    await alice.post(path + "/restore")
    await alice.delete(path)
    await alice.delete("/tasks/trash")
    log = await log_of(database, alice.subject)
    assert [row.revision for row in log] == list(range(1, 12))
    assert [row.action for row in log] == [
        "created", "updated", "updated", "completed", "updated", "reopened", "completed", "deleted", "restored",
        "deleted", "purged",
    ]  # fmt: skip
    assert {(row.entity, row.entity_id) for row in log} == {("task", task["id"])}


async def test_the_recorded_row_is_the_row_after_the_write(alice: Person, database: Database) -> None:
    task = await alice.add("a", description="d", due_date="2026-12-01T10:00:00+01:00", tags=["t", "u"], priority="low")
    await alice.delete(f"/tasks/{task['id']}")
    async with database.transaction(alice.subject, read_only=True) as session:
        statement = text(
            "select data, to_jsonb(t) - array['due_sort', 'completed_sort', 'priority_sort', 'title_sort'] "
            "- 'search_text' as row "
            "from changes c join tasks t on t.id = entity_id and t.user_id = c.user_id where c.user_id = :owner "
            "order by revision desc limit 1"
        )
        row = (await session.exec(statement, {"owner": alice.subject})).one()
    assert row.data == row.row


async def test_a_failed_write_takes_no_revision(alice: Person, database: Database) -> None:
    task = await alice.add("a")
    path = f"/tasks/{task['id']}"
    assert_problem(await alice.patch(path, {"title": "b"}, headers={"If-Match": '"9"'}), 412)
    assert_problem(await alice.patch("/tasks/999999", {"title": "b"}), 404)
    assert_problem(await alice.delete("/tasks/999999"), 404)
    assert_problem(await alice.patch(path, {"title": ""}), 422)
    await alice.patch(path, {"title": "c"})
    assert [row.revision for row in await log_of(database, alice.subject)] == [1, 2]


async def test_concurrent_writers_leave_no_gap_and_no_duplicate_revision(alice: Person, database: Database) -> None:
    await asyncio.gather(*(alice.add(str(number)) for number in range(40)))
    ids = [task["id"] for task in (await alice.get("/tasks")).json()]
    await asyncio.gather(*(alice.patch(f"/tasks/{ids[number % 5]}/complete") for number in range(60)))
    log = await log_of(database, alice.subject)
    assert [row.revision for row in log] == list(range(1, 101))
    for task in (await alice.get("/tasks")).json():
        of_task = [row for row in log if row.entity_id == task["id"]]
        assert task["version"] == of_task[-1].revision
        toggles = len(of_task) - 1
        assert task["completed"] == bool(toggles % 2)
        assert Counter(row.action for row in of_task)["completed"] == (toggles + 1) // 2


async def test_one_of_many_writers_with_the_same_version_succeeds(alice: Person) -> None:
    path = f"/tasks/{(await alice.add())['id']}"
    attempts = (alice.patch(path, {"title": str(n)}, headers={"If-Match": '"1"'}) for n in range(20))
    statuses = Counter(answer.status_code for answer in await asyncio.gather(*attempts))
    assert statuses == {200: 1, 412: 19}
    assert (await alice.get("/tasks")).headers["x-revision"] == "2"


@pytest.mark.slow
async def test_a_reader_never_misses_a_revision(alice: Person, database: Database) -> None:
    """Two writers, and a reader that only ever requests the changes after the last revision it saw."""
    seen: list[int] = []
    after = text("select revision from changes where user_id = :owner and revision > :since order by revision")
    writing = asyncio.gather(*(write_repeatedly(alice, name) for name in ("x", "y")))
    done = False
    while not done:
        done = writing.done()  # then the following read is the last one, also when a writer failed
        async with database.transaction(alice.subject, read_only=True) as session:
            since = seen[-1] if seen else 0
            seen += (await session.exec(after, {"owner": alice.subject, "since": since})).all()
        await asyncio.sleep(0)
        assert seen == list(range(1, len(seen) + 1))
    await writing
    assert len(seen) == 60


async def write_repeatedly(person: Person, name: str) -> None:
    for number in range(30):
        await person.add(f"{name}{number}")


async def test_a_list_and_its_revision_are_from_one_snapshot(alice: Person) -> None:
    """With only creations the newest task's version is the revision: a mixture of two snapshots would show."""
    writing = asyncio.gather(*(write_repeatedly(alice, name) for name in ("x", "y")))
    checked = 0
    while not writing.done():
        answer = await alice.get("/tasks?limit=1000")
        versions = [task["version"] for task in answer.json()]
        revision = int(answer.headers["x-revision"])
        assert sorted(versions) == list(range(1, revision + 1))
        checked += 1
    await writing
    assert checked > 3


async def test_users_do_not_wait_for_each_other(alice: Person, bob: Person, database: Database) -> None:
    await alice.add()
    async with database.transaction(alice.subject) as session:
        lock = text("select 1 from users where id = :owner for update")
        await session.exec(lock, {"owner": alice.subject})
        assert (await asyncio.wait_for(bob.add(), 1))["version"] == 1
