"""Several processes that start concurrently on one database: one migrates, all serve."""

import asyncio
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.db.connection_options import ConnectOptions
from app.db.migrations import MIGRATION_LOCK, head_revision
from tests.databases import Databases
from tests.processes import Service, service, wait_until
from tests.support import SECRET, make_token

pytestmark = pytest.mark.slow

# Each change of the schema records the pid of its backend.
WITNESS = """
create table witness (pid int, at timestamptz default clock_timestamp());
create function witness() returns event_trigger language plpgsql as $$ begin
    insert into public.witness values (pg_backend_pid());
end $$;
create event trigger witness on ddl_command_end execute function witness();
"""

# Each waits for the lock of migrations by asking for it again and again, in a transaction of its own.
POLLING_PROCESSES = """
select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
and (query like '%pg_try_advisory_xact_lock(%' or query like 'ROLLBACK%')"""


@pytest.fixture
async def empty(databases: Databases) -> ConnectOptions:
    """Creates a database without a schema, from ``template0``, which contains nothing of the service."""
    return await databases.create("template0", WITNESS)


def create(running: Service, subject: str) -> int:
    headers = {"Authorization": f"Bearer {make_token(subject)}"}
    url = f"http://127.0.0.1:{running.port}/api/me/tasks"
    return httpx.post(url, json={"title": "one"}, headers=headers, timeout=10, trust_env=False).status_code


async def test_one_of_two_concurrent_starts_migrates_and_both_serve(tmp_path: Path, empty: ConnectOptions) -> None:
    settings = {"database_url": empty.dsn, "jwt_secret": SECRET, "worker": "off"}
    folders = [tmp_path / str(number) for number in range(2)]
    for folder in folders:
        folder.mkdir()
    connection = await asyncpg.connect(**empty.arguments())
    try:
        # Held by a session, so that both processes reach the lock before one can continue.
        await connection.execute("select pg_advisory_lock($1)", MIGRATION_LOCK)
        with (
            service(folders[0], **settings) as a,
            service(folders[1], web_concurrency=2, **settings) as b,
        ):
            for _ in range(300):
                if await connection.fetchval(POLLING_PROCESSES) == 2:
                    break
                await asyncio.sleep(0.1)
            assert await connection.fetchval(POLLING_PROCESSES) == 2
            await connection.execute("select pg_advisory_unlock($1)", MIGRATION_LOCK)
            for running in (a, b):
                await asyncio.to_thread(running.ready)
                assert await asyncio.to_thread(create, running, f"user-{running.port}") == 201
            assert await connection.fetchval("select count(distinct pid) from witness") == 1
            assert await connection.fetchval("select version_num from alembic_version") == head_revision()
    finally:
        await connection.close()


async def test_a_start_does_not_disturb_a_running_process(tmp_path: Path, empty: ConnectOptions) -> None:
    settings = {"database_url": empty.dsn, "jwt_secret": SECRET, "worker": "off"}
    (tmp_path / "new").mkdir()
    with service(tmp_path, **settings) as old:
        await asyncio.to_thread(old.ready)
        with service(tmp_path / "new", **settings) as new:
            statuses = []
            while "-d '{" not in new.banner:
                assert new.process.poll() is None, new.log
                statuses.append(await asyncio.to_thread(create, old, "steady"))
            assert set(statuses) == {201}
            assert await asyncio.to_thread(create, new, "steady") == 201
            await asyncio.to_thread(wait_until, lambda: old.get("/ready").status_code == 200)
