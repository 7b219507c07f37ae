"""Alembic, run from inside the service: once, under a lock, while older versions keep serving.

Alembic is loaded only if there is something to migrate: with its dependencies (Mako, Pygments) it costs 8 MB of memory
and 50 ms at start, which every process would pay to find that its database is up to date.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from app.db.connection_options import ConnectOptions
from app.db.unlimited import connect_unlimited

APP_FOLDER = Path(__file__).resolve().parents[1]
# A wheel has them inside the package; a source tree has them at its root, where Alembic's own command finds them.
MIGRATIONS_FOLDER = packaged if (packaged := APP_FOLDER / "_alembic").is_dir() else APP_FOLDER.parent / "alembic"
MIGRATION_LOCK = 7_305_612_884  # any number, the same in every version of this service
LOCK_POLL_SECONDS = 0.1
# On a distributed database, so that one transaction may change a table and then a function; elsewhere without effect.
ONE_SHARD_AT_A_TIME = "set citus.multi_shard_modify_mode = 'sequential'"
ALL_ROLES = ("todo_user", "todo_auth", "todo_eraser", "todo_worker")  # so that a DBA has to create roles only once
ROLE_RIGHTS = "nologin nosuperuser nocreatedb nocreaterole noinherit nobypassrls"
# Since PostgreSQL 16 a membership may lack the right to SET ROLE: the creator of a role gets such a membership.
CREATE_ROLES = """
do $$
declare
    name text;
    needed constant text := case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end;
begin
    foreach name in array array[{names}] loop
        if not exists (select from pg_roles where rolname = name) then
            begin
                execute format('create role %I {rights}', name);
            exception when duplicate_object or unique_violation then null;  -- another migration created it concurrently
            end;
        end if;
        if not pg_has_role(current_user, name, needed) then
            execute format('grant %I to %I', name, current_user);
        end if;
    end loop;
exception when insufficient_privilege then
    raise insufficient_privilege using message = format(
        '%s. Let a DBA run (what exists already, left out): {create} grant {grant} to %I;', sqlerrm, current_user);
end $$;
"""


SCRIPT_PART = re.compile(
    r"""'[^']*' | "[^"]*" | --[^\n]* | /\*.*?\*/ | \$(\w*)\$.*?\$\1\$ | ; | [^;'"$/-]+ | .""", re.DOTALL | re.VERBOSE
)


class SchemaError(ValueError):
    """The database does not have the schema this version needs; the message names the remedy."""


@cache
def known_revisions() -> list[str]:
    """Lists this version's revisions, oldest first, from the names of the migration files."""
    return sorted(file.name.partition("_")[0] for file in (MIGRATIONS_FOLDER / "versions").glob("[0-9]*_*.py"))


def head_revision() -> str:
    """Returns the revision this code needs."""
    return known_revisions()[-1]


async def upgrade(options: ConnectOptions) -> None:
    """Upgrades the schema to ``head_revision``. A second process that starts concurrently waits, then does nothing.

    Raises SchemaError, OSError, TimeoutError or an asyncpg error.
    """
    if await read_revision(options) == head_revision():
        return
    await migrate_to(options, "head")


async def require_head(options: ConnectOptions) -> None:
    """Raises SchemaError if the database is behind or ahead."""
    found = await read_revision(options)
    if found is None:
        raise SchemaError("the database has no schema yet: run 'todo migrate'")
    if found != head_revision():
        require_known(found)
        raise SchemaError(
            f"the database is at revision {found}, and this version needs {head_revision()}: run 'todo migrate'"
        )


def require_known(revision: str, what: str = "the database") -> None:
    """Raises SchemaError if ``revision`` is not one of this version's."""
    if revision not in known_revisions():
        raise SchemaError(
            f"{what} is at revision {revision}, which this version does not know: a newer one migrated it"
        )


async def migrate_to(options: ConnectOptions, revision: str) -> None:
    """Migrates to ``revision``: up, or down if it begins with ``-`` or is ``base``."""

    async def connect() -> asyncpg.Connection:
        # Only the wait for a lock is bounded, so that it never queues every other query of a table behind itself for
        # long.
        connection = await connect_unlimited(options)
        await connection.execute(ONE_SHARD_AT_A_TIME)
        return connection

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as lock, engine.connect() as connection:
            await _take_lock(lock)
            await connection.run_sync(_run_alembic, revision)
    except DBAPIError as error:
        # SQLAlchemy's message contains the statement; the driver's message is one line.
        cause = error.orig.__cause__ if error.orig is not None else None
        raise SchemaError(f"the migration failed: {getattr(cause, 'message', None) or cause}") from error
    finally:
        await engine.dispose()


async def _take_lock(connection: AsyncConnection) -> None:
    """Waits for the lock of migrations, and holds it while the transaction of ``connection`` is open.

    Bound to a transaction, so it also works through a transaction pooler and ends with it: a transaction of its own, as
    a migration may end its transactions. Polls, without an open transaction in between: one that waited in a
    statement would have a snapshot, and an index that is created concurrently waits for older ones.
    """
    while not await connection.scalar(text("select pg_try_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK}):
        await connection.rollback()
        await asyncio.sleep(LOCK_POLL_SECONDS)
    await connection.execute(text("set local idle_in_transaction_session_timeout = 0"))


def _run_alembic(connection: Connection, revision: str) -> None:
    from alembic.config import Config

    from alembic import command

    config = Config(attributes={"connection": connection})
    # % begins an interpolation.
    config.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    if found := _revision(connection):
        require_known(found)
    connection.rollback()  # env.py begins the transaction of the migrations
    down = revision == "base" or revision.startswith("-")
    (command.downgrade if down else command.upgrade)(config, revision)


def _revision(connection: Connection) -> str | None:
    if connection.scalar(text("select to_regclass('alembic_version')")) is None:
        return None
    version: str | None = connection.scalar(text("select version_num from alembic_version"))
    return version


async def read_revision(options: ConnectOptions) -> str | None:
    """Reads the revision of the database; None if it is empty."""
    connection = await asyncpg.connect(**options.arguments())
    try:
        if await connection.fetchval("select to_regclass('alembic_version')") is None:
            return None
        version: str | None = await connection.fetchval("select version_num from alembic_version")
        return version
    finally:
        await connection.close()


def roles_script(*names: str) -> str:
    """Returns SQL that creates the service's roles and lets the login that migrates switch to them.

    Roles belong to the whole server, so another database on it, or a DBA, may have created them: then the login needs
    membership only. They cannot log in; the service's login switches to them at the start of each transaction.
    """
    return CREATE_ROLES.format(
        names=", ".join(f"'{name}'" for name in names),
        create=" ".join(f"create role {name} {ROLE_RIGHTS};" for name in ALL_ROLES),
        grant=", ".join(ALL_ROLES),
        rights=ROLE_RIGHTS,
    )


def run_script(sql: str) -> None:
    """Runs several commands, for migrations (SQLAlchemy's driver prepares one at a time).

    Each is sent alone: Citus passes on the text that it was sent, whole, and its other servers take one command.
    """

    async def run_commands(driver: asyncpg.Connection) -> None:
        for command in split_commands(sql):
            await driver.execute(command)

    run_on_driver(run_commands)


def split_commands(script: str) -> list[str]:
    """Splits SQL at the semicolons that are not part of a text, a name or the body of a function. Drops comments."""
    commands = [""]
    for part in SCRIPT_PART.finditer(script):
        if part[0] == ";":
            commands.append("")
        elif not part[0].startswith(("--", "/*")):  # the driver cannot send a comment alone
            commands[-1] += part[0]
    return [command.strip() for command in commands if command.strip()]


def run_on_driver(work: Callable[[asyncpg.Connection], Awaitable[object]]) -> None:
    """Runs ``work`` of a migration on the driver's own connection."""
    from alembic import op

    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    connection.run_async(work)
