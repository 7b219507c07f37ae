"""The real service on a migrated database of its own, with what an operator does to the rows of one user."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import asyncpg
import httpx
from pydantic import SecretStr

from app.config import Settings
from app.db.citus.session import set_everywhere
from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.db.epoch import begin_epoch, ensure_epoch, mark_as_restored
from app.jobs.retention import prune_user
from app.main import create_app
from app.models.sql_functions import INITIAL_REVISION

KEPT_DAYS = 90
# Columns that are not computed, of each table with rows of users, as pg_dump copies them.
SELECT_TABLES = """
    select c.relname as name, case c.relname when 'users' then 'id' else 'user_id' end as owner,
           array_agg(a.attname::text order by a.attnum) as columns
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relforcerowsecurity and c.relnamespace = 'public'::regnamespace
      and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    group by c.relname having c.relname = 'users' or 'user_id' = any(array_agg(a.attname))"""
SELECT_SEQUENCES = """
    select s.relname from pg_class s join pg_depend d on d.objid = s.oid join pg_class t on t.oid = d.refobjid
    where s.relkind = 'S' and d.deptype = 'i' and t.relforcerowsecurity"""
SELECT_CHANGES = """
    select revision, entity, action, data ->> 'uid' as uid, data from changes
    where user_id = $1 and revision > $2 order by revision, entity, entity_id"""
SELECT_VERSIONS = """
    select 'task' as entity, uid, version from tasks where user_id = $1 and deleted_at is null
    union all select 'comment', uid, version from comments where user_id = $1 and deleted_at is null
    union all select 'project', uid, version from projects where user_id = $1 and deleted_at is null"""

Backup = dict[str, bytes]  # the rows of one user, by table


@dataclass
class Service:
    http: httpx.AsyncClient
    options: ConnectOptions
    database: Database
    connection: Any  # a superuser's
    tables: dict[str, tuple[str, list[str]]]  # the column of the owner, and the columns to copy

    async def backup(self, owner: str) -> Backup:
        rows = {}
        for table, (column, columns) in self.tables.items():
            file = BytesIO()
            query = f"select {', '.join(columns)} from {table} where {column} = $1"
            await self.connection.copy_from_query(query, owner, output=file, format="binary")
            rows[table] = file.getvalue()
        return rows

    async def put_back(self, owner: str, backup: Backup, *, days: float) -> None:
        """Replaces the rows of ``owner``, as a disk that is put back does: no number is raised. ``days`` old."""
        async with self.connection.transaction():
            await self._remove(owner)
            for table, rows in backup.items():
                columns = self.tables[table][1]
                await self.connection.copy_to_table(table, source=BytesIO(rows), columns=columns, format="binary")
        await self.age(owner, days)

    async def mark_as_restored(self) -> None:
        """Does what ``todo restore --replace`` does before it replaces the tables.

        One statement after the other: Citus repeats the whole text that a change of a table came with.
        """
        async with self.connection.transaction():
            for sql in filter(str.strip, mark_as_restored(replaced=True).split(";")):
                await self.connection.execute(sql)

    async def begin_epoch(self, *, by_command: bool) -> None:
        """Does what ``todo epoch new`` does, or what follows a restore."""
        await (begin_epoch if by_command else ensure_epoch)(self.options)

    async def age(self, owner: str, days: float) -> None:
        """Makes what decides about retention ``days`` older."""
        if days:
            for table, column in (("changes", "at"), ("idempotency_keys", "created_at")):
                older = f"({column} at time zone 'UTC' - make_interval(hours => $2)) at time zone 'UTC'"  # immutable
                query = f"update {table} set {column} = {older} where user_id = $1"
                await self.connection.execute(query, owner, int(days * 24))

    async def prune(self, owner: str) -> None:
        await prune_user(self.database, owner, days=KEPT_DAYS)

    async def revision(self, owner: str) -> int:
        query = "select coalesce((select revision from users where id = $1), initial_revision())"
        reached: int = await self.connection.fetchval(query, owner)
        return reached

    async def changes(self, owner: str, after: int) -> list[Any]:
        rows: list[Any] = await self.connection.fetch(SELECT_CHANGES, owner, after)
        return rows

    async def versions(self, owner: str) -> dict[tuple[str, str], int]:
        rows = await self.connection.fetch(SELECT_VERSIONS, owner)
        return {(row["entity"], row["uid"]): row["version"] for row in rows}

    async def forget(self, owner: str) -> None:
        """Removes the user, and all epochs: else their numbers would overtake the clock, as no service's do."""
        async with self.connection.transaction():
            await self._remove(owner)
        if await self.connection.fetchval("select initial_revision()"):
            await self.connection.execute(INITIAL_REVISION.format(number=0))
            for sequence in await self.connection.fetch(SELECT_SEQUENCES):
                await self.connection.execute("select setval($1::regclass, 1, false)", sequence["relname"])

    async def _remove(self, owner: str) -> None:
        deletes = "; ".join(f"delete from {table} where {key[0]} = '{owner}'" for table, key in self.tables.items())
        await self.connection.execute(set_everywhere("SET LOCAL session_replication_role = replica"))
        await self.connection.execute(deletes)


@asynccontextmanager
async def serving(options: ConnectOptions, settings: Settings) -> AsyncIterator[Service]:
    app = create_app(settings.model_copy(update={"database_url": SecretStr(options.dsn)}))
    connection = await asyncpg.connect(**options.arguments())
    try:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http,
        ):
            tables = {row["name"]: (row["owner"], row["columns"]) for row in await connection.fetch(SELECT_TABLES)}
            yield Service(http, options, app.state.database, connection, tables)
    finally:
        await connection.close()
