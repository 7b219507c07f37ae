"""Databases that a test may break: copies of the migrated one, in the same server, dropped afterwards."""

import itertools
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from app.db.connection_options import ConnectOptions

TEMPLATE = "template_migrated"
# Tables of the login role alone; the service's role has no privilege on them and no policy gives it a row.
AUTH = {
    "accounts",
    "api_tokens",
    "email_changes",
    "login_attempts",
    "password_resets",
    "rate_limits",
    "refresh_tokens",
    "sessions",
}

ADOPT_DATABASE = """
    update installation set database_oid = (select oid from pg_database where datname = current_database())"""


async def rows(options: ConnectOptions, sql: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(**options.arguments())
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


class Databases:
    def __init__(self, server: ConnectOptions) -> None:
        self._server = server
        self._numbers = itertools.count()
        self._made: list[str] = []

    def at(self, name: str) -> ConnectOptions:
        """Returns the options for connecting to database ``name`` of the server."""
        path = urlsplit(self._server.dsn).path
        return replace(self._server, dsn=self._server.dsn.replace(f"{path}?", f"/{name}?"))

    async def execute(self, sql: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(**self.at(database).arguments())
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def create(self, template: str = "template0", change: str = "", name: str = "") -> ConnectOptions:
        """Creates an empty database, or a copy of ``template`` in which ``change`` has run as superuser."""
        name = name or f"scratch_{next(self._numbers)}"
        await self.execute(f"create database {name} template {template}")
        self._made.append(name)
        if template == TEMPLATE:  # else the service takes it for data from elsewhere, and begins a new epoch
            await self.execute(ADOPT_DATABASE, name)
        if change:
            await self.execute(change, name)
        return self.at(name)

    async def drop(self) -> None:
        while self._made:
            await self.execute(f"drop database {self._made.pop()} with (force)")
