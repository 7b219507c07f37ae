"""A foreign row is invisible through any server, and the service does not start where one lacks the protection."""

import asyncpg
import pytest

from app.db.database import quote_owner
from app.services.changes.entities import DISTRIBUTED_TABLES
from app.services.operations.isolation_check import NotIsolated, verify_isolation
from tests.cluster.servers import Cluster, Server, opened
from tests.cluster.test_distribution import serving

BEGIN = "begin; set local role todo_user; set local citus.propagate_set_commands = 'local'; set local app.user_id = "
SELECT_SHARDS = r"""
    select c.oid::regclass::text from pg_class c
    where relkind = 'r' and relname ~ '^({tables})_[0-9]{{6,}}$' and relnamespace = 'public'::regnamespace"""


async def open_shards(server: Server, name: str) -> asyncpg.Connection:
    return await asyncpg.connect(server.url(name), server_settings={"citus.override_table_visibility": "off"})


async def test_a_foreign_row_is_invisible_through_any_server(cluster: Cluster, name: str) -> None:
    options = await cluster.create_distributed(name)
    async with serving(options) as person:
        for number in range(8):
            await person(f"user-{number}").add("private")
    for server in cluster.servers:
        connection = await open_shards(server, name)
        try:
            for number in range(8):
                other = quote_owner(f"user-{(number + 1) % 8}")
                await connection.execute(f"{BEGIN}'user-{number}'")
                assert await connection.fetchval(f"select count(*) from tasks where user_id = {other}") == 0
                assert await connection.fetchval(f"select count(*) from tasks where user_id = 'user-{number}'") == 1
                await connection.execute("rollback")
            await connection.execute("set role todo_user")
            for table, column in DISTRIBUTED_TABLES.items():
                assert await connection.fetchval(f"select count({column}) from {table}") == 0, "without an owner"
        finally:
            await connection.close()


async def test_a_foreign_row_is_invisible_in_the_shards_themselves(cluster: Cluster, name: str) -> None:
    options = await cluster.create_distributed(name)
    async with serving(options) as person:
        for number in range(8):
            await person(f"user-{number}").add("private")
    stored = visible = 0
    for worker in cluster.workers:
        connection = await open_shards(worker, name)
        try:
            shards = [row[0] for row in await connection.fetch(SELECT_SHARDS.format(tables="tasks|changes"))]
            assert shards
            for shard in shards:
                stored += await connection.fetchval(f"select count(*) from {shard}")
                await connection.execute(f"{BEGIN}'user-3'")
                visible += await connection.fetchval(f"select count(*) from {shard}")
                assert await connection.fetchval(f"select count(*) from {shard} where user_id <> 'user-3'") == 0
                await connection.execute("rollback; set role todo_user")
                assert await connection.fetchval(f"select count(*) from {shard}") == 0
                await connection.execute("reset role")
        finally:
            await connection.close()
    assert (stored, visible) == (16, 2)


@pytest.mark.parametrize(
    "change",
    [
        "alter table {shard} disable row level security",
        "alter table {shard} no force row level security",
        "drop policy owner on {shard}",
        "create policy open on {shard} for select using (true)",
    ],
)
async def test_a_start_asks_every_server_for_its_shards(cluster: Cluster, name: str, change: str) -> None:
    options = await cluster.create_distributed(name)
    async with opened(options) as database:
        await verify_isolation(database)
        connection = await open_shards(cluster.workers[1], name)
        try:
            shard = await connection.fetchval(SELECT_SHARDS.format(tables="comments") + " limit 1")
            await connection.execute("set citus.enable_manual_changes_to_shards = on")
            await connection.execute(change.format(shard=shard))
        finally:
            await connection.close()
        with pytest.raises(NotIsolated, match=rf"on server 127.0.0.1:{cluster.workers[1].port} .*{shard}"):
            await verify_isolation(database)


async def test_a_policy_that_becomes_permissive_on_shards_is_refused(cluster: Cluster, name: str) -> None:
    """Citus 14.0.1 leaves out "as restrictive" there, so that the policy adds rows in place of taking some away."""
    options = await cluster.create_distributed(name)
    await cluster.coordinator.run(
        "create policy fewer on tasks as restrictive using (title <> 'x')", "select 1", database=name
    )
    async with opened(options) as database:
        with pytest.raises(NotIsolated, match="rows of one user are visible to another in: tasks"):
            await verify_isolation(database)
