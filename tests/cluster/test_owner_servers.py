"""Reads go to the server that has an owner's rows, also while owners are moved to another one."""

import json
import re
from collections.abc import Callable

import psutil
import pytest
from sqlalchemy import text

from app.db import migrations
from app.db.citus.distribution import DistributionError, distribute_tables, require_distribution
from app.db.database import Database
from app.db.epoch import begin_epoch
from app.services.changes.entities import DISTRIBUTED_TABLES
from app.services.tasks.create_update import get_task
from app.services.users import get_revision
from tests.accounts.support import Visitor
from tests.cluster.servers import Cluster, Server, opened
from tests.cluster.test_distribution import serving
from tests.support import Person

PORT = text("select cast(current_setting('port') as integer)")
TITLES = text("select title from tasks where user_id = :owner")
OWNERS = [f"user-{number}" for number in range(8)]
MOVE = """
    select citus_move_shard_placement(shardid, nodename, nodeport, '127.0.0.1', {port}, 'block_writes')
    from citus_shards where table_name = 'tasks'::regclass
      and shardid = get_shard_id_for_distribution_column('tasks', '{owner}')"""


async def read(database: Database, owner: str) -> tuple[int, list[str]]:
    """Returns the port of the server that was asked, and the titles of the owner's tasks."""
    async with database.transaction(owner, read_only=True) as session:
        return (await session.exec(PORT)).one(), (await session.exec(TITLES, {"owner": owner})).all()


async def add_one_each(person: Callable[[str], Person], title: str) -> None:
    for owner in OWNERS:
        await person(owner).add(title)


async def test_a_read_is_of_the_server_with_the_rows_and_finds_what_was_written(cluster: Cluster, name: str) -> None:
    options = await cluster.create_distributed(name)
    async with opened(options) as database, serving(options) as person:
        for number, owner in enumerate(OWNERS):
            await person(owner).add(f"task {number}")
            worker = await cluster.find_worker(name, owner)
            assert await read(database, owner) == (worker.port, [f"task {number}"])
            await person(owner).add("a second one")
            assert await person(owner).titles() == ["a second one", f"task {number}"]
            assert len((await read(database, owner))[1]) == 2
        async with database.transaction(OWNERS[0]) as session:
            assert (await session.exec(PORT)).one() == cluster.coordinator.port


async def test_an_owner_who_has_moved_is_read_wherever_the_read_begins(cluster: Cluster, name: str) -> None:
    options = await cluster.create_distributed(name)
    async with serving(options) as person:
        await person(OWNERS[0]).add("before")
    async with opened(options) as database:
        before = await cluster.find_worker(name, OWNERS[0])
        assert await read(database, OWNERS[0]) == (before.port, ["before"])
        after = next(worker for worker in cluster.workers if worker.port != before.port)
        await cluster.coordinator.run(MOVE.format(owner=OWNERS[0], port=after.port), database=name)
        assert await read(database, OWNERS[0]) == (before.port, ["before"])  # which asks the other one
        assert database._servers is not None
        database._servers._known.clear()  # five minutes later
        assert await read(database, OWNERS[0]) == (after.port, ["before"])


async def test_before_the_tables_are_distributed_all_is_read_from_the_coordinator(cluster: Cluster, name: str) -> None:
    options = await cluster.create(name)
    await migrations.upgrade(options)
    async with serving(options) as person:
        await person(OWNERS[0]).add("here")
        assert await person(OWNERS[0]).titles() == ["here"]
    async with opened(options) as database:
        assert await read(database, OWNERS[0]) == (cluster.coordinator.port, ["here"])
        assert await database.find_unreachable() is None


async def test_a_server_without_the_tables_is_left_to_the_coordinator(cluster: Cluster, name: str) -> None:
    options = await cluster.create_distributed(name)
    async with serving(options) as person:
        await add_one_each(person, "there")
    await cluster.coordinator.run(
        f"select stop_metadata_sync_to_node('127.0.0.1', {cluster.workers[0].port})", database=name
    )
    async with opened(options) as database:
        places = set()
        for owner in OWNERS:
            port, titles = await read(database, owner)
            places.add(port)
            assert titles == ["there"]
        assert places == {cluster.coordinator.port, cluster.workers[1].port}


async def test_the_start_refuses_a_coordinator_with_rows_of_users(cluster: Cluster, name: str) -> None:
    """Its catalogue has parts of tables: the export of an account must not."""
    options = await cluster.create_distributed(name)
    own = f"'127.0.0.1', {cluster.coordinator.port}"
    await cluster.coordinator.run(
        f"select citus_set_node_property({own}, 'shouldhaveshards', true)",
        "select rebalance_table_shards(shard_transfer_mode := 'block_writes')",
        f"select citus_set_node_property({own}, 'shouldhaveshards', false)",  # what is left would not be noticed
        database=name,
    )
    async with opened(options) as database:
        with pytest.raises(DistributionError, match="the coordinator has rows of users"):
            await require_distribution(database, DISTRIBUTED_TABLES)


async def test_a_new_epoch_reaches_owners_who_have_not_written(cluster: Cluster, name: str) -> None:
    """Their revision is that of a function, which each server has."""
    options = await cluster.create_distributed(name)
    async with serving(options) as person:
        await person(OWNERS[0]).add("before")
    revision = await begin_epoch(options)
    async with opened(options) as database:
        for owner in OWNERS[1:]:
            async with database.transaction(owner, read_only=True) as session:
                assert await get_revision(session, owner) == revision


async def test_an_export_of_an_account_has_no_secret_and_each_row_once(cluster: Cluster, name: str) -> None:
    options = await cluster.create_distributed(name)
    async with serving(options) as person:
        ann = await Visitor(person(OWNERS[0]).client).register()
        for path, body in (("webhooks", {"url": "https://example.com/hook"}), ("tasks", {"title": "once"})):
            assert (await ann.call("POST", f"/api/me/{path}", body)).status_code == 201
        exported = (await ann.get("/api/auth/me/export")).text
    found = json.loads(exported)
    assert [row["title"] for row in found["tasks"]] == ["once"]
    assert exported.count("https://example.com/hook") == 1
    assert "whsec_" not in exported
    assert not [key for key in found if re.search(r"_\d{6,}$", key)]


async def test_servers_that_a_process_cannot_reach_are_named(cluster: Cluster, name: str) -> None:
    options = await cluster.create_distributed(name)
    async with opened(options) as database:
        assert await database.find_unreachable() == []
        cluster.workers[0].kill()
        try:
            found = await database.find_unreachable()
            assert found is not None
            assert [f"127.0.0.1:{cluster.workers[0].port}: " in one for one in found] == [True]
        finally:
            await cluster.workers[0].start()


async def test_a_foreign_row_is_invisible_on_the_server_that_has_it(cluster: Cluster, name: str) -> None:
    options = await cluster.create_distributed(name)
    async with serving(options) as person:
        await add_one_each(person, "private")
    async with opened(options) as database:
        for owner in OWNERS:
            async with database.transaction(owner, read_only=True) as session:
                for other in OWNERS:
                    assert (await session.exec(TITLES, {"owner": other})).all() == ["private"] * (other == owner)


async def test_many_reads_of_one_connection_keep_its_memory(cluster: Cluster, name: str) -> None:
    """Citus 13.2.1 to 14.0.1 would keep 90 KB of each execution of a plan for any values: 180 MB of these."""
    options = await cluster.create_distributed(name)
    async with serving(options) as person:
        task = (await person(OWNERS[0]).add("read often"))["id"]
    worker = await cluster.find_worker(name, OWNERS[0])
    async with opened(options) as database:
        used = []
        for reads in (50, 2000):
            for _ in range(reads):
                async with database.transaction(OWNERS[0], read_only=True) as session:
                    assert (await get_task(session, OWNERS[0], task)).title == "read often"
            used.append(await _largest(worker, name))
        assert used[1] - used[0] < 20_000 * 1024


async def _largest(server: Server, name: str) -> int:
    """Returns the memory of the largest connection of a database, without what connections share, in bytes."""
    pids = await server.run(
        f"""select array_agg(pid) from pg_stat_activity
            where datname = '{name}' and usename is not null and pid <> pg_backend_pid()"""
    )
    return max(psutil.Process(pid).memory_full_info().uss for pid in pids)


async def test_a_new_server_is_read_once_it_has_rows(cluster: Cluster, name: str) -> None:
    """No restart is needed: a server is found by the owner whose rows it has."""
    options = await cluster.create(name)
    await cluster.coordinator.run(f"select citus_remove_node('127.0.0.1', {cluster.workers[1].port})", database=name)

    await migrations.upgrade(options)
    await distribute_tables(options, DISTRIBUTED_TABLES)
    async with serving(options) as person:
        await add_one_each(person, "before")
        await cluster.coordinator.run(f"select citus_add_node('127.0.0.1', {cluster.workers[1].port})", database=name)
        await distribute_tables(options, DISTRIBUTED_TABLES)
        moved = [owner for owner in OWNERS if await cluster.find_worker(name, owner) is cluster.workers[1]]
        assert moved
        async with opened(options) as database:
            for owner in OWNERS:
                assert await person(owner).titles() == ["before"]
                assert await read(database, owner) == ((await cluster.find_worker(name, owner)).port, ["before"])
