"""Epochs: after a restore, revisions and ids go on above every number that clients may have seen.

A restored database is older than what its clients hold. Went its numbers on from where they were, a client could not
tell a new revision 12 from the one that it has. So a new epoch begins, in one transaction: every owner's revision jumps
to the same number, far above all before it, changes from before it count as pruned, and the sequences of ids jump too.
Whatever a client has from before is then below: 410 for a position in the changes, 412 for a version.

The table ``installation`` holds the server, database and table that the data was last used in: where one differs, the
data was restored, copied or moved. Nothing inside a database tells when the disk below it was put back.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any, NamedTuple

import asyncpg

from app.db.citus.session import is_distributed
from app.db.connection_options import ConnectOptions
from app.db.migrations import ALL_ROLES, LOCK_POLL_SECONDS, MIGRATION_LOCK
from app.db.unlimited import unlimited_connection
from app.models.sql_functions import INITIAL_REVISION

log = logging.getLogger(__name__)

EPOCH_GAP = 1_000_000  # numbers that may have been given out since the backup
# Microseconds since 1970, from whole seconds: no user writes a million times a second, so the clock is ahead of every
# revision. It is below 2^53, which JavaScript can count to, until 2255; a wrong clock must not exceed it.
CLOCK_REVISION = "least(floor(extract(epoch from clock_timestamp()))::bigint, 9000000000) * 1000000"
INSTALLATION_TABLE = """
create table if not exists installation (
    system_identifier bigint,
    timeline integer,
    database_oid bigint,
    users_oid bigint,
    least_revision bigint not null default 0,
    least_id bigint not null default 0,
    recorded_at timestamptz not null default now()
);
grant select on installation to todo_worker;
revoke all on installation from todo_eraser;
"""
# Sequences of identity columns of the service's tables, which the catalogue distinguishes by forced policies.
SERVICE_SEQUENCES = """
    select d.objid as id from pg_depend d join pg_class t on t.oid = d.refobjid join pg_class s on s.oid = d.objid
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'i'
      and s.relkind = 'S' and t.relforcerowsecurity and t.relnamespace = 'public'::regnamespace"""
LAST_ID = f"(select max(pg_sequence_last_value(id)) from ({SERVICE_SEQUENCES}) sequences)"  # noqa: S608 - a constant
# Each may be forbidden or missing where the provider manages the server. The name of a WAL file begins with the
# timeline, also right after a promotion; the control file has it only after the next checkpoint.
SELECT_IDENTIFIER = "select system_identifier from pg_control_system()"
SELECT_TIMELINE = "select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer"
# pg_restore creates the tables anew, so the oid of ``users`` differs also in the same database.
SELECT_OIDS = """
    select oid::bigint as database_oid, 'users'::regclass::oid::bigint as users_oid
    from pg_database where datname = current_database()"""
# An older schema has neither this function nor the table. Only the table is missing where a file of 'todo dump' was
# restored by hand: it holds the tables of the users' data alone.
HAS_NO_EPOCHS = "select to_regproc('initial_revision') is null"
HAS_INSTALLATION = "select to_regclass('installation') is not null"
SELECT_RECORDED = "select system_identifier, timeline, database_oid, users_oid from installation"
RECORD_INSTALLATION = """
    insert into installation (system_identifier, timeline, database_oid, users_oid) values ($1, $2, $3, $4)"""
# A login that owns the tables, and is bound by their policies, sees every row only while these are not forced. The
# transaction holds the lock of the table, so no other one can use that.
RAISE_REVISIONS = f"""
do $$
declare
    reached bigint;
begin
    alter table users no force row level security;
    select max(revision) into reached from users;
    reached := greatest(reached, initial_revision(), (select max(least_revision) from installation)) + {EPOCH_GAP};
    reached := greatest(reached, {CLOCK_REVISION});
    update users set revision = reached, pruned_revision = reached;
    alter table users force row level security;
    execute replace($text${INITIAL_REVISION}$text$, '{{number}}', reached::text);
end $$;
"""  # noqa: S608
# A service that gives out many ids has given out many since its backup.
RAISE_IDS = f"""
    select max(setval(id, reached + greatest({EPOCH_GAP}, reached / 8)))
    from (select id, greatest(coalesce(pg_sequence_last_value(id), 0), (select max(least_id) from installation))
          from ({SERVICE_SEQUENCES}) found) sequences (id, reached)"""  # noqa: S608


class EpochError(ValueError):
    """A new epoch must begin, and this login may not do it; the message names the remedy."""


class Installation(NamedTuple):
    """The place of the data; None for what the login may not read."""

    system_identifier: int | None
    timeline: int | None
    database_oid: int | None
    users_oid: int | None


async def ensure_epoch(options: ConnectOptions) -> None:
    """Begins a new epoch if the data is not where it was last used. Of several processes at once, one does it.

    Called before anything is served or written. Raises EpochError, OSError, TimeoutError or an asyncpg error.
    """
    async with unlimited_connection(options) as connection:
        if await connection.fetchval(HAS_NO_EPOCHS):
            return
        here = await read_installation(connection)
        if await _read_recorded(connection) == here:
            return
        async with connection.transaction():
            await _lock(connection)
            await _compare(connection, await _read_recorded(connection), here)


async def begin_epoch(options: ConnectOptions) -> int:
    """Begins a new epoch, and returns the revision of all users. Raises what ``ensure_epoch`` raises."""
    async with unlimited_connection(options) as connection:
        here = await read_installation(connection)
        async with connection.transaction():
            await _lock(connection)
            return await _begin_epoch(connection, here, "by command")


def mark_as_restored(*, replaced: bool) -> str:
    """Returns SQL that makes the next ``ensure_epoch`` begin a new epoch, for the transaction of a restore.

    ``replaced``: there are tables, which the transaction is about to drop. Their numbers are not used again either.
    """
    reached = "least_revision, least_id) select coalesce((select max(revision) from users), 0), coalesce({}, 0)"
    numbers = reached.format(LAST_ID) if replaced else "least_id) values (0)"
    visible = "alter table users no force row level security;\n" if replaced else ""
    return f"{INSTALLATION_TABLE}{visible}delete from installation;\ninsert into installation ({numbers};\n"  # noqa: S608


async def _lock(connection: Any) -> None:
    while not await connection.fetchval("select pg_try_advisory_xact_lock($1)", MIGRATION_LOCK):
        await connection.execute("rollback and chain")  # a migration may wait for older snapshots to be gone
        await asyncio.sleep(LOCK_POLL_SECONDS)
    await connection.execute("set local lock_timeout = '10s'")


async def read_installation(connection: Any) -> Installation:
    oids = await connection.fetchrow(SELECT_OIDS)
    known: list[int | None] = []
    for statement in (SELECT_IDENTIFIER, SELECT_TIMELINE):
        try:
            known.append(await connection.fetchval(statement))
        except asyncpg.ObjectNotInPrerequisiteStateError:  # a replica, or a recovery that still runs
            raise
        except asyncpg.PostgresError as error:
            log.warning("a restore on another server may go unnoticed: run 'todo epoch new' after one (%s)", error)
            known.append(None)
    return Installation(known[0], known[1], oids["database_oid"], oids["users_oid"])


async def _read_recorded(connection: Any) -> Installation | None:
    """Reads the table as a role that may: the service's own role must not, and the login need not be its owner."""
    if not await connection.fetchval(HAS_INSTALLATION):
        return None
    async with connection.transaction():
        await connection.execute(f"set local role {ALL_ROLES[-1]}")
        row = await connection.fetchrow(SELECT_RECORDED)
        await connection.execute("reset role")
    return None if row is None else Installation(*row)


async def _compare(connection: Any, recorded: Installation | None, here: Installation) -> None:
    if recorded is None or recorded.users_oid is None:
        await _begin_epoch(connection, here, "a dump was restored")
        return
    moved = [
        f"{name} was {before}, is {now}"
        for name, before, now in zip(Installation._fields, recorded, here, strict=True)
        if before is not None and now is not None and before != now
    ]
    if moved:
        await _begin_epoch(connection, here, ", ".join(moved))
    elif any(before is None and now is not None for before, now in zip(recorded, here, strict=True)):
        known = (before if now is None else now for before, now in zip(recorded, here, strict=True))
        with suppress(asyncpg.InsufficientPrivilegeError):  # a login that does not own the tables: 'todo migrate' does
            async with connection.transaction():
                await _record(connection, Installation(*known))


async def _begin_epoch(connection: Any, here: Installation, reason: str) -> int:
    try:
        if not await connection.fetchval(HAS_INSTALLATION):
            await connection.execute(INSTALLATION_TABLE)
        if await is_distributed(connection):  # else it refuses to replace a function after a write to all shards
            await connection.execute("set local citus.multi_shard_modify_mode = 'sequential'")
        await connection.execute(RAISE_REVISIONS)
        await connection.fetchval(RAISE_IDS)
        await _record(connection, here)
    except asyncpg.InsufficientPrivilegeError as error:
        raise EpochError(
            f"the database is not where it was ({reason}), and this login may not begin a new epoch ({error}): "
            "run 'todo epoch new' with the login that owns the tables in DIRECT_DATABASE_URL"
        ) from error
    revision: int = await connection.fetchval("select initial_revision()")
    log.warning(
        "a new epoch has begun: %s; revisions go on from %d, and clients are told to begin again", reason, revision
    )
    return revision


async def _record(connection: Any, here: Installation) -> None:
    await connection.execute("delete from installation")
    await connection.execute(RECORD_INSTALLATION, *here)
