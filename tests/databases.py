"""Databases that a test may break: copies of the migrated one, in the same server, dropped afterwards."""

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

from app.db.connection_options import ConnectOptions
from tests.citus import CITUS_URL, create_everywhere, drop_everywhere, list_servers, url_at

TEMPLATE = f"template_migrated_{os.getpid()}"  # the processes of a run may share a cluster
UNDISTRIBUTED = f"template_undistributed_{os.getpid()}"
# Tables of the login role alone; the service's role has no privilege on them and no policy gives it a row.
AUTH = {
    "accounts",
    "api_tokens",
    "email_changes",
    "login_attempts",
    "login_challenges",
    "oauth_clients",
    "oauth_codes",
    "oidc_links",
    "oidc_sign_ins",
    "passkey_challenges",
    "passkeys",
    "password_resets",
    "rate_limits",
    "recovery_codes",
    "refresh_tokens",
    "sessions",
    "totp_secrets",
}

ADOPT_DATABASE = """
    update installation set database_oid = (select oid from pg_database where datname = current_database())"""


def server_address(options: ConnectOptions) -> str:
    """Returns the path of the server's socket, or its host and port."""
    parts = urlsplit(options.dsn)
    folder = parse_qs(parts.query).get("host")
    return f"{folder[0]}/.s.PGSQL.5432" if folder else f"{parts.hostname}:{parts.port}"


COUNT_WAITING = """
    select count(*) from pg_stat_activity
    where datname = $1 and wait_event_type = 'Lock' and backend_type = 'client backend'"""


@asynccontextmanager
async def counting_waits(options: ConnectOptions) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Yields a function that counts the transactions that wait for a lock: on a cluster they wait on a worker."""
    name = options.dsn.partition("?")[0].rpartition("/")[2]
    async with AsyncExitStack() as stack:
        urls = [url_at(*server, "postgres") for server in await list_servers()] if CITUS_URL else [options.dsn]
        connections = [await asyncpg.connect(url) for url in urls]
        for connection in connections:
            stack.push_async_callback(connection.close)

        async def count() -> int:
            return sum([await connection.fetchval(COUNT_WAITING, name) for connection in connections])

        yield count


async def rows(options: ConnectOptions, sql: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(**options.arguments())
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


class Databases:
    _numbers = itertools.count()

    def __init__(self, server: ConnectOptions) -> None:
        self._server = server
        self._made: list[str] = []

    def at(self, name: str) -> ConnectOptions:
        """Returns the options for connecting to database ``name`` of the server."""
        address, mark, query = self._server.dsn.partition("?")
        return replace(self._server, dsn=f"{address.rpartition('/')[0]}/{name}{mark}{query}")

    async def execute(self, sql: str, database: str = "postgres") -> None:
        """Runs statements. Citus takes several of them in one text only if none changes the schema."""
        statements = filter(str.strip, sql.split(";")) if CITUS_URL and "$$" not in sql else [sql]
        connection = await asyncpg.connect(**self.at(database).arguments())
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def create(self, template: str = "template0", change: str = "", name: str = "") -> ConnectOptions:
        """Creates an empty database, or a copy of ``template`` in which ``change`` has run as superuser."""
        name = name or f"scratch_{os.getpid()}_{next(self._numbers)}"
        if CITUS_URL and template != "template0":
            await create_everywhere(name, template, is_frozen=template in (TEMPLATE, UNDISTRIBUTED))
        else:
            await self.execute(f"create database {name} template {template}")
        self._made.append(name)
        if template in (
            TEMPLATE,
            UNDISTRIBUTED,
        ):  # else the service takes it for data from elsewhere, and begins a new epoch
            await self.execute(ADOPT_DATABASE, name)
        if change:
            await self.execute(change, name)
        return self.at(name)

    async def drop(self) -> None:
        while self._made:
            name = self._made.pop()
            if CITUS_URL:
                await drop_everywhere(name)
            else:
                await self.execute(f"drop database {name} with (force)")
