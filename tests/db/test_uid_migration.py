"""The migration that gives every row a uid: on filled tables, next to older processes, stopped half-way."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from app.db import migrations
from app.db.connection_options import ConnectOptions
from tests.databases import Databases, rows

UID_TABLES = ("tasks", "projects", "comments", "views")
# As a process of the older version writes them. The first user has more tasks than a batch.
OLD_ROWS = """
insert into users (id, revision) select 'user' || n, 7 from generate_series(1, 6) n;
insert into users (id, revision) values ('it''s', 7);
insert into tasks (user_id, title, version, created_at, updated_at)
    select u.id, 'task ' || n, 7, moment, moment
    from users u, generate_series(1, 50) n,
         lateral (select timestamptz '1950-01-01' + n * interval '1000 days' as moment);
insert into projects (user_id, name, version) select id, 'Home', 7 from users;
insert into comments (user_id, task_id, body, version) select user_id, id, 'x', 7 from tasks where title = 'task 1';
insert into views (user_id, name, parameters, version) select id, 'Mine', '{}', 7 from users;
insert into tasks (user_id, title, version) select 'user1', 'more', 7 from generate_series(1, 6000);
"""


@pytest.fixture
async def filled(databases: Databases) -> ConnectOptions:
    """Creates a database of the version before, with rows."""
    options = await databases.create()
    await migrations.migrate_to(options, "0013")
    connection = await asyncpg.connect(**options.arguments())
    for statement in filter(None, OLD_ROWS.split(";\n")):
        await connection.execute(statement)
    await connection.close()
    return options


@pytest.fixture
async def connection(filled: ConnectOptions) -> AsyncIterator[Any]:
    opened = await asyncpg.connect(**filled.arguments())
    yield opened
    await opened.close()


async def assert_complete(options: ConnectOptions) -> None:
    for table in UID_TABLES:
        ((count, given, distinct),) = await rows(
            options, f"select count(*), count(uid), count(distinct (user_id, uid)) from {table}"
        )
        assert count == given == distinct > 0
    # Neither a revision nor a version: a backfill is no write of a user.
    assert await rows(options, "select distinct revision from users") == [(7,)]
    assert await rows(options, "select distinct version, updated_at = created_at from projects") == [(7, True)]
    assert await rows(options, "select count(*) from pg_constraint where conname like '%uid_check'") == [(0,)]
    valid = "select count(*) from pg_index where indexrelid::regclass::text like '%_uid_key' and indisvalid"
    assert await rows(options, valid) == [(4,)]


async def test_every_row_gets_a_uuid_of_its_creation(filled: ConnectOptions) -> None:
    await migrations.upgrade(filled)
    await assert_complete(filled)
    made = "select uid, floor(extract(epoch from created_at) * 1000)::bigint from tasks where user_id = 'it''s'"
    for uid, milliseconds in await rows(filled, made):
        parsed = uuid.UUID(uid)
        assert (parsed.version, str(parsed)) == (7, uid)
        assert parsed.int >> 80 == max(0, milliseconds)


async def test_a_migration_that_was_stopped_continues(filled: ConnectOptions, connection: Any) -> None:
    """Stopped between its batches; then with an index that is not valid."""
    upgrade = asyncio.create_task(migrations.upgrade(filled))
    stop = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> $1"
    waiting = "select count(*) from pg_locks where not granted and pid <> pg_backend_pid()"
    async with connection.transaction():
        await connection.execute("select from users where id = 'user4' for update")  # where it is stopped
        deadline = time.monotonic() + 20
        while not await connection.fetchval(waiting):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        await connection.fetch(stop, connection.get_server_pid())
    with pytest.raises((migrations.SchemaError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await upgrade
    assert await migrations.read_revision(filled) == "0013"
    assert await rows(filled, "select count(uid) > 6000, count(*) > count(uid) from tasks") == [(True, True)]

    # What an older process writes now has the default.
    await connection.execute("insert into projects (user_id, name, version) values ('user1', 'New', 7)")
    await connection.execute("insert into views (user_id, name, parameters, version) values ('user1', 'a', '{}', 7)")
    await connection.execute("update views set uid = 'same' where user_id = 'user1'")
    with pytest.raises((migrations.SchemaError, asyncpg.PostgresError), match="views_uid_key"):
        await migrations.upgrade(filled)
    await connection.execute("update views set uid = id::text where uid = 'same'")
    await migrations.upgrade(filled)
    await assert_complete(filled)


async def test_older_processes_write_while_it_runs(filled: ConnectOptions, connection: Any) -> None:
    """They lock their owner, then their rows: nobody waits for the other in a circle, or longer than for a batch."""
    upgrade = asyncio.create_task(migrations.upgrade(filled))
    written = 0
    while not upgrade.done():
        async with asyncio.timeout(10), connection.transaction():
            await connection.execute("update users set revision = revision where id = 'user1'")
            await connection.execute("update tasks set title = title where user_id = 'user1' and title <> 'more'")
            await connection.execute("insert into tasks (user_id, title, version) values ('user1', 'new', 7)")
        written += 1
    await upgrade
    assert written > 1
    await assert_complete(filled)
    assert await connection.fetchval("select count(*) from tasks where title = 'new'") == written


async def test_a_login_that_is_bound_by_the_policies_fills_the_rows(
    databases: Databases, filled: ConnectOptions
) -> None:
    """It owns the tables, whose policies are forced: without an owner it would find no row."""
    database = filled.dsn.partition("?")[0].rpartition("/")[2]
    await databases.execute("create role uid_login login password 'x'")
    await databases.execute(f"grant {', '.join(migrations.ALL_ROLES)} to uid_login")
    await databases.execute("grant all on schema public to uid_login", database)
    for (table,) in await rows(filled, "select tablename from pg_tables where schemaname = 'public'"):
        await databases.execute(f"alter table {table} owner to uid_login", database)
    functions = "select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace"
    for (function,) in await rows(filled, f"{functions} and probin is null"):
        await databases.execute(f"alter function {function} owner to uid_login", database)
    scheme, _, rest = filled.dsn.partition("://")
    try:
        await migrations.upgrade(replace(filled, dsn=f"{scheme}://uid_login:x@{rest.rpartition('@')[2]}"))
        await assert_complete(filled)
    finally:
        await databases.drop()
        await databases.execute("drop role uid_login")
