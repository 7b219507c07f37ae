"""Dump and restore: all tables of the service, with policies and rights, from one consistent snapshot in one file.

The file is in PostgreSQL's own custom format: ``pg_restore --list`` reads it. It holds the service's tables and nothing
else of their database. The roles belong to the server, so they are created again rather than copied.
"""

import asyncio
import re
from pathlib import Path
from typing import Any

import asyncpg

from app.auth.private_files import private_file
from app.config import Settings
from app.db import migrations
from app.db.backup.client_programs import (
    ToolError,
    Tools,
    connection_environment,
    describe_tool_failure,
    find_tools,
    run_tool,
    running_program,
)
from app.db.citus.session import is_distributed
from app.db.connect import direct_options
from app.db.connection_options import ConnectOptions
from app.db.epoch import mark_as_restored
from app.models.sql_functions import SQL_FUNCTIONS

DUMP_CHUNK_BYTES = 1 << 16  # bytes
# From the catalogue, so that a dump includes tables of an older version: forced policies and the service's roles
# distinguish its tables from others in the schema.
SELECT_SERVICE_TABLES = """
    select c.relname from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
      and (c.relforcerowsecurity or c.relname = 'alembic_version')
      and exists (select from aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee where r.rolname = any($1))
    order by 1"""
SELECT_LOGIN = """
    select rolname as name, rolsuper or rolbypassrls as sees_all, current_setting('server_version_num')::int as version,
           (select count(*) from pg_stat_activity
            where datname = current_database() and usename = current_user and pid <> pg_backend_pid()) as others
    from pg_roles where rolname = current_user"""
SELECT_ANY_DISTRIBUTED = "select exists (select from pg_dist_partition where partmethod = 'h')"
DISTRIBUTED_REFUSAL = (
    "the database is distributed, and each of its servers has a snapshot of its own: back up the servers"
)
# Not part of a table; the migrations have the same.
SCHEMA_RIGHTS = f"""
grant usage on schema public to {", ".join(migrations.ALL_ROLES)};
alter default privileges in schema public grant select, delete on tables to todo_eraser;
"""
# Lines that other servers refuse: a setting, before 17, and a column option of some providers. Each is a whole line,
# and no row of a table with more than one column can be equal to it.
FOREIGN_LINES = re.compile(
    rb"^(?:SET transaction_timeout = 0;|ALTER TABLE ONLY \S+ ALTER COLUMN \S+ SET \(pg_attver=\d+\);)\n", re.MULTILINE
)


class BackupError(ValueError):
    """Nothing was written; the message gives the reason and the remedy."""


def dump_access(settings: Settings, options: ConnectOptions) -> tuple[ConnectOptions, dict[str, str]]:
    """Returns how this service and PostgreSQL's programs connect directly. Raises ValueError for a pooler."""
    direct = direct_options(settings, options)
    if direct.pooled:
        raise ValueError("this needs a direct connection, not a transaction pooler: set DIRECT_DATABASE_URL")
    url = settings.direct_database_url or settings.database_url
    return direct, connection_environment(url.get_secret_value() if url else options.dsn)


async def write_dump(options: ConnectOptions, environment: dict[str, str], file: Path) -> list[str]:
    """Writes ``file``, readable by its owner only; returns the names of its tables. A failure leaves no file.

    It gets its name only after ``pg_restore`` could list it. Raises BackupError, ToolError, OSError or PostgresError.
    """
    connection = await asyncpg.connect(**options.arguments())
    try:
        login = await connection.fetchrow(SELECT_LOGIN)
        tables = await _tables(connection)
        if await _has_distributed_tables(connection):
            raise BackupError(DISTRIBUTED_REFUSAL)
    finally:
        await connection.close()
    if not login["sees_all"]:
        raise BackupError(
            f"login {login['name']!r} is bound by row-level security and would save no rows: "
            f"use one with BYPASSRLS (alter role {login['name']} bypassrls) in DIRECT_DATABASE_URL"
        )
    if "users" not in tables:
        raise BackupError("there is nothing to save: the database has no schema yet")
    tools = await find_tools(login["version"] // 10_000)
    await _write_file(tools, environment, tables, file)
    return tables


async def _has_distributed_tables(connection: Any) -> bool:
    return await is_distributed(connection) and await connection.fetchval(SELECT_ANY_DISTRIBUTED)


async def _tables(connection: Any) -> list[str]:
    return [row["relname"] for row in await connection.fetch(SELECT_SERVICE_TABLES, list(migrations.ALL_ROLES))]


async def _write_file(tools: Tools, environment: dict[str, str], tables: list[str], file: Path) -> None:
    chosen = [f'--table=public."{name}"' for name in tables]
    try:
        with private_file(file) as draft:  # it holds the data of every user
            command = (tools.path("pg_dump"), "--format=custom", "--no-owner", f"--file={draft}", *chosen)
            await run_tool(*command, environment=environment)
            listed = await _list_tables(tools, draft)
            if missing := set(tables) - set(listed):
                raise BackupError(f"the dump lacks tables: {', '.join(sorted(missing))}")
    except FileExistsError:
        raise BackupError(f"{file} exists already") from None


async def restore_dump(options: ConnectOptions, environment: dict[str, str], file: Path, *, replace: bool) -> None:
    """Restores the service's roles and tables from ``file``, in one transaction, and marks them as restored.

    ``replace`` drops existing tables. The next ``ensure_epoch`` begins a new epoch. Raises BackupError and ToolError.
    """
    connection = await asyncpg.connect(**options.arguments())
    try:
        login = await connection.fetchrow(SELECT_LOGIN)
        if await _has_distributed_tables(connection):
            raise BackupError(
                "the database is distributed: restore into another one of its coordinator, and run 'todo distribute'"
            )
        present = await _tables(connection)
        occupied = "users" in present and (
            not login["sees_all"] or await connection.fetchval("select exists (select from public.users)")
        )
    finally:
        await connection.close()
    tools = await find_tools(login["version"] // 10_000)
    tables = await _check_dump(tools, file)
    if occupied and not replace:
        raise BackupError("the database has users already: --replace deletes what is there")
    if login["others"]:
        raise BackupError(f"{login['others']} other connections are open: stop the service first")
    names = ", ".join(f'public."{name}"' for name in present)
    drop = f"drop table {names} cascade;\n" if present else ""
    roles, functions = migrations.roles_script(*migrations.ALL_ROLES), "".join(SQL_FUNCTIONS)
    mark = mark_as_restored(replaced="users" in present)
    head = f"begin;\nset client_min_messages = warning;\n{roles}{mark}{drop}{functions}"  # columns call the functions
    analyze = "".join(f'analyze public."{name}";\n' for name in tables)
    await _replay(tools, environment, file, head, f"{SCHEMA_RIGHTS}commit;\n{analyze}")


async def _list_tables(tools: Tools, file: Path) -> list[str]:
    """Returns the tables in ``file``. Raises ToolError if it cannot be read."""
    listed = await run_tool(tools.path("pg_restore"), "--list", str(file), environment={})
    return re.findall(r"^\d+; \d+ \d+ TABLE public (\S+) ", listed, re.MULTILINE)


async def _check_dump(tools: Tools, file: Path) -> list[str]:
    """Returns the tables in ``file``. Raises ToolError, BackupError, or SchemaError if a newer version wrote it."""
    tables = await _list_tables(tools, file)
    if not {"users", "alembic_version"} <= set(tables):
        raise BackupError(f"{file} is not a dump of this service")
    select = ("--data-only", "--table=alembic_version", "--file=-")
    rows = await run_tool(tools.path("pg_restore"), *select, str(file), environment={})
    if version := re.search(r"^COPY .*\n(\S+)\n\\\.", rows, re.MULTILINE):
        migrations.require_known(version[1], "the dump")
    return tables


async def _replay(tools: Tools, environment: dict[str, str], file: Path, head: str, tail: str) -> None:
    """Feeds psql with the output of pg_restore. ``tail`` has the COMMIT and is sent only after all of the file."""
    psql = (tools.path("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1")
    pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    async with running_program(*psql, environment=environment, stdin=pipe, stdout=nowhere) as to:
        assert to.stdin is not None
        assert to.stderr is not None
        errors = asyncio.create_task(to.stderr.read())  # a full pipe would block it
        unreadable: ToolError | None = None
        try:
            to.stdin.write(head.encode())
            for section in ("pre-data", "data", "post-data"):
                await _send_section(tools, file, section, to.stdin)
            to.stdin.write(tail.encode())
            await to.stdin.drain()
        except ConnectionError:
            pass  # psql has stopped: its error output has the reason
        except ToolError as error:
            unreadable = error
        to.stdin.close()
        await to.wait()
        if to.returncode != 0:
            raise ToolError(describe_tool_failure("psql", await errors))
        await errors
        if unreadable is not None:
            raise unreadable


async def _send_section(tools: Tools, file: Path, section: str, to: asyncio.StreamWriter) -> None:
    """Sends one section. Raises ToolError if the file cannot be read, ConnectionError if the reader has stopped."""
    command = (tools.path("pg_restore"), "--no-owner", "--exit-on-error", f"--section={section}", "--file=-", str(file))
    async with running_program(*command, environment={}) as source:
        assert source.stdout is not None
        assert source.stderr is not None
        errors = asyncio.create_task(source.stderr.read())
        # Definitions are small and searched whole; of the data section only the lines before the rows.
        chunk = await source.stdout.read(DUMP_CHUNK_BYTES if section == "data" else -1)
        to.write(FOREIGN_LINES.sub(b"", chunk))
        while chunk := await source.stdout.read(DUMP_CHUNK_BYTES):
            to.write(chunk)
            await to.drain()
        if await source.wait() != 0:
            raise ToolError(describe_tool_failure("pg_restore", await errors))
        await errors
