"""A Citus cluster in place of the embedded server. CITUS_URL is the URL of a superuser's database at its coordinator.

The database must know the other servers (``citus_add_node``), which take the same login. Each process of the run has
databases of its own, on all of them.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from app.config import Settings
from app.db import migrations
from app.db.citus.distribution import distribute_tables
from app.db.citus.session import DISTRIBUTED_SETTINGS
from app.db.connection_options import ConnectOptions, connect_options
from app.services.changes.entities import DISTRIBUTED_TABLES

CITUS_URL = os.environ.get("CITUS_URL", "")
SUITE_DATABASE = f"todo_suite_{os.getpid()}" if CITUS_URL else "todo"  # the embedded server's has that name
SELECT_SERVERS = """
    select nodename as host, nodeport as port from pg_dist_node where noderole = 'primary' order by groupid"""


def url_at(host: str, port: int, database: str) -> str:
    """Returns the URL of a database of one server."""
    parts = urlsplit(CITUS_URL)
    login = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{login}@{host}:{port}", path=f"/{database}").geturl()


async def list_servers() -> list[tuple[str, int]]:
    """Returns the host and port of each server, the coordinator first."""
    connection = await asyncpg.connect(CITUS_URL)
    try:
        return [tuple(row) for row in await connection.fetch(SELECT_SERVERS)]
    finally:
        await connection.close()


async def run_everywhere(*statements: str, database: str = "postgres") -> None:
    for host, port in await list_servers():
        connection = await asyncpg.connect(url_at(host, port, database))
        try:
            for sql in statements:
                await connection.execute(sql)
        finally:
            await connection.close()


async def create_everywhere(name: str, template: str, *, is_frozen: bool = False) -> None:
    """Creates a database on each server. A copy of a distributed one is distributed, too."""
    await drop_everywhere(name)  # of a run that was ended
    if template != "template0" and not is_frozen:
        await freeze(template)
    await run_everywhere(f"create database {name} template {template}")
    if template != "template0" and not is_frozen:
        await run_everywhere(f"alter database {template} with allow_connections true")


async def drop_everywhere(name: str) -> None:
    await run_everywhere(f"drop database if exists {name} with (force)")


async def create_distributed(name: str) -> ConnectOptions:
    """Creates a migrated database whose tables are distributed."""
    waiting = await asyncpg.connect(CITUS_URL)
    try:  # one process at a time: databases share the roles of their servers, and Citus alters them
        await waiting.execute("select pg_advisory_lock(1)")
        return await _create_distributed(name)
    finally:
        await waiting.close()


async def _create_distributed(name: str) -> ConnectOptions:
    await create_everywhere(name, "template0")
    await run_everywhere("create extension citus", database=name)
    (host, port), *workers = await list_servers()
    options = connect_options(url_at(host, port, name), Settings(_env_file=None))
    options = options.with_settings(DISTRIBUTED_SETTINGS)
    connection = await asyncpg.connect(**options.arguments())
    try:
        await connection.execute("select citus_set_coordinator_host($1, $2)", host, port)
        for worker in workers:
            await connection.execute("select citus_add_node($1, $2)", *worker)
    finally:
        await connection.close()
    await migrations.upgrade(options)
    await distribute_tables(options, DISTRIBUTED_TABLES)
    return options


async def freeze(name: str) -> None:
    """Ends all connections to a database, so that it can be copied."""
    await run_everywhere(
        f"alter database {name} with allow_connections false",
        f"select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{name}'",
    )


@asynccontextmanager
async def citus_database() -> AsyncIterator[ConnectOptions]:
    """Provides the database of this process."""
    try:
        yield await create_distributed(SUITE_DATABASE)
    finally:
        await drop_everywhere(SUITE_DATABASE)
