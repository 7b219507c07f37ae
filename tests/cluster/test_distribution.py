"""``todo distribute`` makes the tables of any database distributed, does only what is missing, and refuses the rest."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.config import Settings
from app.db import migrations
from app.db.citus.distribution import DistributionError, distribute_tables, plan_distribution
from app.db.connection_options import ConnectOptions
from app.main import create_app
from app.services.changes.entities import DISTRIBUTED_TABLES
from tests.cluster.servers import Cluster
from tests.databases import Databases
from tests.processes import run_todo
from tests.support import SECRET, Person

COUNTS = [f"select count(*) from {table}" for table in ("users", "tasks", "changes")]
# Of the shards of each server and of its tables: what isolates users, and the rights of roles.
SELECT_PROTECTION = """
    select regexp_replace(c.relname, '_[0-9]{6,}$', '') as name, c.relrowsecurity and c.relforcerowsecurity as forced,
           (select string_agg(acl::text, ' ' order by acl::text) from unnest(relacl) acl) as rights,
           (select string_agg(attname || attacl::text, ' ' order by attname) from pg_attribute
            where attrelid = c.oid and attacl is not null) as column_rights,
           (select string_agg(format('%s %s %s', polname, polcmd, pg_get_expr(polqual, polrelid)), ' ' order by polname)
            from pg_policy where polrelid = c.oid) as policies
    from pg_class c where relnamespace = 'public'::regnamespace and relkind = 'r'"""


class NotStarted(Exception):
    """The service refused to start."""


@asynccontextmanager
async def serving(options: ConnectOptions) -> AsyncIterator[Callable[[str], Person]]:
    """Starts the application on a database; yields a function that makes its users."""
    settings = Settings(
        _env_file=None, database_url=options.dsn, jwt_secret=SECRET, access_log=False, pool_size=5, worker="off"
    )
    app = create_app(settings)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(app.router.lifespan_context(app))
        except SystemExit as error:  # it would end the test run
            raise NotStarted from error.__cause__
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        )
        yield lambda subject: Person(http, subject)


async def plan(options: ConnectOptions, tables: dict[str, str] = DISTRIBUTED_TABLES) -> list[str]:
    return [step.text for step in await plan_distribution(options, tables)]


async def protection(cluster: Cluster, name: str) -> list[tuple[Any, ...]]:
    """Lists tables and shards of each server, with what protects them."""
    found = []
    for server in cluster.servers:
        connection = await asyncpg.connect(server.url(name), server_settings={"citus.override_table_visibility": "off"})
        found += [(server.port, *row) for row in await connection.fetch(SELECT_PROTECTION)]
        await connection.close()
    return found


async def test_a_filled_database_of_one_server_is_distributed(cluster: Cluster, name: str) -> None:
    """It was made and used before it knew Citus. The first test of the cluster: its workers have no roles yet."""
    for server in cluster.servers:
        await server.run(f"create database {name}")
    async with serving(cluster.options(name)) as person:
        for number in range(20):
            await person(f"user-{number}").add("before", tags=["x"], uid=f"u{number}")
    counted = [await cluster.coordinator.run(sql, database=name) for sql in COUNTS]
    options = await cluster.connect(name)
    planned = await plan(options)
    assert any("functions" in text for text in planned)
    assert any(text.startswith("table tasks ") and "are copied" in text for text in planned)
    said: list[str] = []
    await distribute_tables(options, DISTRIBUTED_TABLES, said.append)
    assert said[: len(planned)] == planned
    assert said[len(planned) :][0].startswith("the coordinator's copies are deleted")
    assert await plan(options) == []
    assert [await cluster.coordinator.run(sql, database=name) for sql in COUNTS] == counted
    async with serving(options) as person:
        for number in range(20):
            assert (await person(f"user-{number}").get(f"/tasks/uid:u{number}")).json()["title"] == "before"
            await person(f"user-{number}").add("after")
        assert await person("user-7").titles("?sort=created_at&order=asc") == ["before", "after"]


async def test_a_dump_of_the_embedded_server_is_restored_and_distributed(
    cluster: Cluster, name: str, databases: Databases, undistributed: str, tmp_path: Path
) -> None:
    file = str(tmp_path / "before.dump")
    embedded = await databases.create(undistributed)
    async with serving(embedded) as person:
        await person("ann").add("before")
    assert run_todo("dump", file, cwd=tmp_path, database_url=embedded.dsn, jwt_secret=SECRET).returncode == 0
    for server in cluster.servers:
        await server.run(f"create database {name}")
    settings = {"database_url": cluster.options(name).dsn, "jwt_secret": SECRET}
    assert run_todo("restore", file, cwd=tmp_path, **settings).returncode == 0
    options = await cluster.connect(name)
    await distribute_tables(options, DISTRIBUTED_TABLES)
    async with serving(options) as person:
        await person("ann").add("after")
        assert await person("ann").titles("?sort=created_at&order=asc") == ["before", "after"]
    again = run_todo("restore", file, "--replace", cwd=tmp_path, **settings)
    assert (again.returncode, "the database is distributed" in again.stderr) == (1, True), again.stderr
    assert await cluster.coordinator.run("select count(*) from tasks", database=name) == 2


async def test_an_empty_database_is_distributed_and_protected_on_every_server(cluster: Cluster, name: str) -> None:
    options = await cluster.create_distributed(name)
    assert await plan(options) == []
    for table in DISTRIBUTED_TABLES:
        rows = [row for row in await protection(cluster, name) if row[1] == table]
        assert len(rows) >= 3 + 8, "the table on each server, and its shards"
        assert len({row[2:] for row in rows}) == 1, f"the shards of {table} are protected like it"
        assert rows[0][2] is True, table
    await distribute_tables(options, DISTRIBUTED_TABLES, lambda text: pytest.fail(text))


async def test_it_is_refused_while_the_service_runs(cluster: Cluster, name: str) -> None:
    options = await cluster.create(name)
    await migrations.upgrade(options)
    async with serving(options):
        with pytest.raises(DistributionError, match="stop the service first"):
            await distribute_tables(options, DISTRIBUTED_TABLES)


async def test_what_is_missing_is_named_before_anything_is_done(cluster: Cluster, name: str) -> None:
    coordinator = cluster.coordinator
    for server in cluster.servers:
        await server.run(f"create database {name}")
    options = cluster.options(name)
    await migrations.upgrade(options)
    expected = ["the extension citus is missing", "citus_set_coordinator_host", "citus_add_node"]
    for server in cluster.servers:
        with pytest.raises(DistributionError, match=expected[0]):
            await plan(options)
        if server is coordinator:
            continue
        await server.run("create extension citus", database=name)
    await coordinator.run("create extension citus", database=name)
    with pytest.raises(DistributionError, match=expected[1]):
        await plan(options)
    await coordinator.run(f"select citus_set_coordinator_host('127.0.0.1', {coordinator.port})", database=name)
    with pytest.raises(DistributionError, match=expected[2]):
        await plan(options)
    await coordinator.run(f"select citus_add_node('127.0.0.1', {cluster.workers[0].port})", database=name)
    await coordinator.run(
        f"select citus_set_node_property('127.0.0.1', {coordinator.port}, 'shouldhaveshards', true)", database=name
    )
    with pytest.raises(DistributionError, match="the coordinator has rows of users"):
        await plan(options)


@pytest.mark.parametrize(
    ("undo", "missing"),
    [
        ("alter role todo_worker nologin", "role todo_worker can log in"),
        ("alter role todo_user reset jit", "role todo_user can log in"),
        ("set citus.enable_ddl_propagation = off; alter function just_before cost 7", "functions are the same"),
        ("revoke insert on users from todo_auth", "may set every column"),
    ],
)
async def test_what_was_undone_is_done_again(cluster: Cluster, name: str, undo: str, missing: str) -> None:
    options = await cluster.create_distributed(name)
    await cluster.coordinator.run(*undo.split("; "), database=name)
    assert any(missing in text for text in await plan(options))
    await distribute_tables(options, DISTRIBUTED_TABLES)
    assert await plan(options) == []


async def test_the_service_does_not_start_with_a_table_that_is_not_distributed(cluster: Cluster, name: str) -> None:
    options = await cluster.create_distributed(name)
    await cluster.coordinator.run(
        "alter table token_use drop constraint token_use_user_id_fkey",
        "select undistribute_table('token_use')",
        database=name,
    )
    with pytest.raises(NotStarted):
        async with serving(options):
            pass
    await distribute_tables(options, DISTRIBUTED_TABLES)
    async with serving(options) as person:
        await person("alice").add()


async def test_settings_of_an_operator_stay(cluster: Cluster, name: str) -> None:
    options = await cluster.create_distributed(name)
    await cluster.coordinator.run("alter role todo_user set work_mem = '8MB'", database=name)
    assert await plan(options) == []
    await cluster.coordinator.run("alter role todo_user reset work_mem", database=name)


async def test_the_command_says_what_it_does(cluster: Cluster, name: str, tmp_path: Path) -> None:
    options = await cluster.create(name)
    settings = {"database_url": options.dsn, "jwt_secret": SECRET}
    refused = run_todo("distribute", cwd=tmp_path, **settings)
    assert (refused.returncode, refused.stderr) == (1, "todo: the database has no schema yet: run 'todo migrate'\n")
    await migrations.upgrade(options)
    checked = run_todo("distribute", "--check", cwd=tmp_path, **settings)
    assert checked.returncode == 1
    assert "missing: table tasks is distributed by user_id\n" in checked.stdout
    assert "FAIL  distribution" in run_todo("doctor", cwd=tmp_path, **settings).stdout
    done = run_todo("distribute", cwd=tmp_path, **settings)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "done"), done.stderr
    for arguments in (["distribute"], ["distribute", "--check"]):
        again = run_todo(*arguments, cwd=tmp_path, **settings)
        assert (again.returncode, again.stdout) == (0, "nothing is missing\n"), again.stderr
    examined = run_todo("doctor", cwd=tmp_path, **settings).stdout
    assert "ok    distribution" in examined
    assert "begin on the server that has the rows of their user" in examined
    assert "not by 'todo dump': the database is distributed" in examined
    dumped = run_todo("dump", "of-a-cluster", cwd=tmp_path, **settings)
    assert (dumped.returncode, (tmp_path / "of-a-cluster").exists()) == (1, False)
    assert "back up the servers" in dumped.stderr
