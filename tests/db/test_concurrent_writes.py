"""Two concurrent writers of one owner: the change of the second records its effect on the row that the first one
left."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.models.tasks import TaskCreate, TaskUpdate
from app.services import user_settings
from app.services.tasks import completion, create_update, creation, trash
from tests.databases import counting_waits
from tests.support import Person

LATEST = text("select action from changes where user_id = :owner order by revision desc limit 1")
DUE_WITH_REMINDER: dict[str, Any] = {"due_date": "2090-07-01", "reminders": ["PT9H"]}
Set = Callable[[Person, int, bool], Coroutine[Any, Any, Any]]


@pytest.fixture
def database(app: FastAPI) -> Database:
    found: Database = app.state.database
    return found


@pytest.fixture
async def wait_for_blocked_writer(postgres: ConnectOptions) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    async with counting_waits(postgres) as count:

        async def wait() -> None:
            async with asyncio.timeout(5):
                while not await count():
                    pass  # each poll is a round trip

        yield wait


async def by_update(person: Person, task_id: int, completed: bool) -> Any:
    return await person.patch(f"/tasks/{task_id}", {"title": "b", "completed": completed})


async def by_complete(person: Person, task_id: int, completed: bool) -> Any:
    return await person.patch(f"/tasks/{task_id}/complete", {"completed": completed})


@pytest.mark.parametrize("set_completed", [by_update, by_complete])
@pytest.mark.parametrize(
    ("before", "first", "second", "action"),
    [
        (True, False, False, "updated"),
        (False, True, False, "reopened"),
        (False, True, True, "updated"),
        (True, False, True, "completed"),
    ],
)
async def test_a_change_records_the_effect_on_the_row_that_another_writer_left(
    alice: Person,
    database: Database,
    wait_for_blocked_writer: Callable[[], Awaitable[None]],
    set_completed: Set,
    before: bool,
    first: bool,
    second: bool,
    action: str,
) -> None:
    task_id = (await alice.add(completed=before))["id"]
    async with database.transaction(alice.subject) as session:
        await completion.complete_task(session, alice.subject, task_id, first)
        later = asyncio.create_task(set_completed(alice, task_id, second))
        await wait_for_blocked_writer()
    answer = await later
    assert (answer.status_code, answer.json()["completed"]) == (200, second)
    async with database.transaction(alice.subject, read_only=True) as session:
        assert (await session.exec(LATEST, {"owner": alice.subject})).one() == action


@pytest.mark.parametrize("change", [{"title": "b"}, {"completed": True}], ids=str)
async def test_updated_at_does_not_decrease_when_a_writer_waited(
    alice: Person, database: Database, wait_for_blocked_writer: Callable[[], Awaitable[None]], change: dict[str, Any]
) -> None:
    """The waiting writer began first: its transaction has the earlier time."""
    task_id = (await alice.add())["id"]
    async with database.transaction(alice.subject) as late:
        await create_update.get_task(late, alice.subject, task_id)
        async with database.transaction(alice.subject) as early:
            before = await create_update.update_task(early, alice.subject, task_id, TaskUpdate(title="a"))
            waiting = asyncio.create_task(create_update.update_task(late, alice.subject, task_id, TaskUpdate(**change)))
            await wait_for_blocked_writer()
        after = await waiting
    assert after.version > before.version
    assert after.updated_at >= before.updated_at
    assert after.completed_at is None or after.completed_at >= before.updated_at


async def test_updated_at_does_not_decrease_when_a_task_is_deleted(alice: Person, database: Database) -> None:
    task_id = (await alice.add())["id"]
    async with database.transaction(alice.subject) as late:
        await create_update.get_task(late, alice.subject, task_id)
        updated_at = (await alice.patch(f"/tasks/{task_id}", {"title": "b"})).json()["updated_at"]
        deleted = await trash.delete_task(late, alice.subject, task_id)
    assert deleted.updated_at >= datetime.fromisoformat(updated_at)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("", {"completed": False}),
        ("/complete", {"completed": False}),
        ("/complete", None),
        ("", DUE_WITH_REMINDER | {"completed": False}),
        (None, DUE_WITH_REMINDER),
    ],
    ids=["update", "complete", "toggle", "date", "create"],
)
async def test_a_writer_that_waited_computes_reminders_in_the_time_zone_of_the_one_before(
    alice: Person,
    database: Database,
    wait_for_blocked_writer: Callable[[], Awaitable[None]],
    path: str | None,
    change: dict[str, Any] | None,
) -> None:
    """No task is open that a change of the zone would shift, so it takes no revision."""
    task_id = (await alice.add(**DUE_WITH_REMINDER, completed=True))["id"]
    async with database.transaction(alice.subject) as session:
        await user_settings.set_timezone(session, alice.subject, "Asia/Tokyo")
        write = (
            alice.post("/tasks", {"title": "x", **DUE_WITH_REMINDER})
            if path is None
            else alice.patch(f"/tasks/{task_id}{path}", change)
        )
        later = asyncio.create_task(write)
        await wait_for_blocked_writer()
    assert (await later).json()["remind_at"] == "2090-07-01T00:00:00Z"


async def test_writes_that_wait_for_each_other_leave_connections_to_other_users(
    alice: Person, bob: Person, database: Database, wait_for_blocked_writer: Callable[[], Awaitable[None]]
) -> None:
    await alice.add()
    *_, size = database.load
    async with database.transaction(alice.subject) as session:
        await creation.create_task(session, alice.subject, TaskCreate(title="first"))
        writes = [asyncio.create_task(alice.post("/tasks", {"title": "x"})) for _ in range(3 * size)]
        await wait_for_blocked_writer()
        assert (await bob.add())["title"]
        assert (await alice.get("/tasks")).status_code == 200  # nor are her reads held up
        assert database.load[1] == len(writes) - 1
    assert {(await write).status_code for write in writes} == {201}
