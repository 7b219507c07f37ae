"""Connections are reused, their reads committed late, replaced when they are old, and closed at shutdown."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from app.db import pool
from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.db.fair_semaphore import FairLanes, Lane
from app.errors import Unavailable
from tests.databases import Databases

VISIBLE_USERS = text("select id from users")  # the rows that the policies allow
PID = text("select pg_backend_pid()")
OPEN = """
    select pid from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'"""


@pytest.fixture
async def options(databases: Databases, undistributed: str) -> ConnectOptions:
    """Returns the options of a database of one server, whose connections the tests count."""
    return await databases.create(undistributed)


@pytest.fixture
async def database(options: ConnectOptions) -> AsyncIterator[Database]:
    """Opens a database with one connection."""
    opened = await Database(options, size=1, timeout=1).open()
    yield opened
    await opened.close()


@pytest.fixture
async def admin(options: ConnectOptions) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(**options.arguments())
    yield connection
    await connection.close()


async def until_empty(admin: Any, query: str, *arguments: Any) -> None:
    for _ in range(500):
        if not await admin.fetch(query, *arguments):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(query)


async def pid(database: Database) -> int:
    async with database.transaction("alice", read_only=True) as session:
        found: int = (await session.exec(PID)).one()
    return found


async def test_a_read_is_committed_by_the_next_transaction_or_soon_after(database: Database, admin: Any) -> None:
    first = await pid(database)
    assert [row["pid"] for row in await admin.fetch(OPEN)] == [first]
    assert await pid(database) == first
    await until_empty(admin, OPEN)
    assert await pid(database) == first  # the connection stays


async def test_a_deferred_commit_shows_no_old_snapshot_and_no_rows_of_another_user(
    database: Database, admin: Any
) -> None:
    for owner in ("alice", "bob"):
        await admin.execute("insert into users (id) values ($1)", owner)
    async with database.transaction("alice", read_only=True) as session:
        assert (await session.exec(VISIBLE_USERS)).all() == ["alice"]
    await admin.execute("update users set timezone = 'Europe/Berlin'")
    async with database.transaction("bob", read_only=True) as session:
        assert (await session.exec(VISIBLE_USERS)).all() == ["bob"]
        assert (await session.exec(text("select timezone from users"))).one() == "Europe/Berlin"
    async with database.transaction("alice") as session:  # and a write after a read is not read-only
        await session.exec(text("update users set timezone = 'UTC' where id = :owner"), {"owner": "alice"})
    assert await admin.fetchval("select timezone from users where id = 'alice'") == "UTC"


async def test_commits_are_not_deferred_with_a_transaction_pooler(options: ConnectOptions, admin: Any) -> None:
    database = await Database(replace(options, pooled=True), size=1, timeout=1).open()
    await pid(database)
    assert await admin.fetch(OPEN) == []
    await database.close()


async def test_a_connection_over_the_idle_limit_is_replaced(
    database: Database, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await pid(database)
    monkeypatch.setattr(pool, "POOL_IDLE_TIMEOUT", -1.0)
    second = await pid(database)
    assert second != first
    monkeypatch.undo()
    assert await pid(database) == second
    await until_empty(admin, "select pid from pg_stat_activity where pid = $1", first)


async def test_a_connection_lost_before_a_deferred_commit_is_replaced(database: Database, admin: Any) -> None:
    first = await pid(database)
    await admin.execute("select pg_terminate_backend($1::integer, 5000)", first)
    assert await pid(database) != first
    again = await pid(database)
    await admin.execute("select pg_terminate_backend($1::integer, 5000)", again)
    await asyncio.sleep(3 * pool.COMMIT_DELAY)  # the deferred COMMIT finds it closed
    assert await pid(database) != again


async def test_closing_waits_for_running_transactions_and_ends_deferred_ones(database: Database, admin: Any) -> None:
    await pid(database)
    async with database.transaction("alice") as session:
        await session.exec(PID)
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
    await closing
    others = """
        select pid from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"""
    await until_empty(admin, others)


@pytest.fixture
async def shared(options: ConnectOptions) -> AsyncIterator[Database]:
    """Opens a database with six connections, and a short wait for one."""
    opened = await Database(options, size=6, timeout=0.3).open()
    yield opened
    await opened.close()


async def test_no_owner_holds_all_connections(shared: Database) -> None:
    async with AsyncExitStack() as held:
        for read_only, most in ((False, 2), (True, 3)):
            for _ in range(most):
                session = await held.enter_async_context(shared.transaction("alice", read_only=read_only))
                await session.exec(PID)
            with pytest.raises(Unavailable):
                async with shared.transaction("alice", read_only=read_only) as session:
                    await session.exec(PID)
        async with shared.transaction("bob") as session:  # the sixth connection
            await session.exec(PID)
    assert shared.load == (0, 0, 6)


async def test_those_who_wait_for_a_place_of_their_owner_get_it(shared: Database) -> None:
    began: list[int] = []

    async def write(number: int) -> None:
        async with shared.transaction("alice") as session:
            await session.exec(PID)
            began.append(number)

    async with AsyncExitStack() as held:
        for _ in range(2):
            await (await held.enter_async_context(shared.transaction("alice"))).exec(PID)
        waiting = [asyncio.create_task(write(number)) for number in range(3)]
        await asyncio.sleep(0)
        assert shared.load == (2, 3, 6)
        waiting[1].cancel()
        await asyncio.sleep(0)
        assert (began, shared.load) == ([], (2, 2, 6))
    await asyncio.wait(waiting)
    assert sorted(began) == [0, 2]
    assert shared.load == (0, 0, 6)
    assert shared._lanes._inside == shared._lanes._waiting == {}


async def test_a_lane_is_first_come_first_served_and_passes_on_the_place_of_a_cancelled_task() -> None:
    lanes, lane = FairLanes(reads=1, writes=1, timeout=1), Lane("alice", read_only=False)
    await lanes.enter(lane)
    first, second, third = (asyncio.create_task(lanes.enter(lane)) for _ in range(3))
    await asyncio.sleep(0)
    lanes.leave(lane)
    first.cancel()
    await second
    assert not third.done()
    lanes.leave(lane)
    await third
    lanes.leave(lane)
    assert (lanes._inside, lanes.waiting) == ({}, 0)
