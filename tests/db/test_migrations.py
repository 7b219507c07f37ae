"""The schema of the migrations equals that of the models, and every table is isolated."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from app.db import migrations
from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.models import METADATA
from app.services.changes.entities import ENTITY_REGISTRY
from app.services.operations.isolation_check import verify_isolation
from tests.databases import AUTH, Databases, rows

DISTRIBUTED_SINCE = "0015"  # migrations from here on may run on distributed tables
NO_USER_DATA = {"alembic_version", "installation"}  # of the schema and of the server
PURGED = {str(entity.table.name) for entity in ENTITY_REGISTRY if entity.purge_order}
# The privileges of the service's role: only those it needs. No role can rewrite the record of changes.
GRANTS = {
    **{
        name: {"SELECT", "INSERT", "UPDATE", "DELETE"}
        for name in (
            "channels",
            "comments",
            "deliveries",
            "idempotency_keys",
            "projects",
            "tags",
            "views",
            "webhooks",
            "webhook_deliveries",
        )
    },
    **{name: {"SELECT", "INSERT", "DELETE"} for name in ("conversations", "messages", "agent_writes")},
    "token_use": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "alembic_version": {"SELECT"},
    "calendar_feeds": {"SELECT", "INSERT", "DELETE"},
    "changes": {"SELECT", "INSERT"},
    "channel_secrets": {"SELECT", "INSERT", "UPDATE"},
    "tasks": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "users": {"SELECT", "INSERT", "UPDATE"},
}
# In addition, privileges on columns: for finding the users that have something due.
WORKER_GRANTS = {"todo_worker: changes": {"DELETE"}, "todo_worker: idempotency_keys": {"DELETE"}}
WORKER_GRANTS |= {"todo_worker: deliveries": {"DELETE"}}
WORKER_GRANTS |= {"todo_worker: installation": {"SELECT"}}  # the service's role must not see a table without policies
# The worker reads across users, and deletes only old rows, of one owner at a time.
WORKER_POLICIES = {(name, "r t") for name in ("users", "webhooks", "deliveries", *PURGED)}
WORKER_POLICIES |= {("changes", "d f")}
# Neither unique nor foreign, for lookups across users.
CROSS_USER = {"users_by_prune_at", "tasks_by_remind_at"}
CROSS_USER |= {"channels_by_next_digest_at", "deliveries_by_next_attempt_at"}
CROSS_USER |= {f"{name}_trash_by_age" for name in PURGED}
# Looked up before the owner is known: an e-mail, a token's hash, an IP address.
BEFORE_OWNER = {
    "accounts_email_key_key": "email_key",
    "api_tokens_by_hash": "token_hash",
    "login_attempts_by_last_at": "last_at",
    "login_attempts_pkey": "account",
    "login_challenges_by_hash": "challenge_hash",
    "email_changes_by_hash": "token_hash",
    "oauth_clients_pkey": "client_id",
    "oauth_clients_unused": "created_at",
    "oauth_codes_by_hash": "code_hash",
    "oidc_links_by_subject": "issuer",
    "oidc_sign_ins_by_end": "expires_at",
    "oidc_sign_ins_pkey": "state_hash",
    "passkey_challenges_by_end": "expires_at",
    "passkey_challenges_pkey": "challenge_hash",
    "passkeys_by_credential": "credential_id",
    "password_resets_by_hash": "token_hash",
    "rate_limits_pkey": "key",
    "refresh_tokens_by_hash": "token_hash",
}
SCHEMA = """
    select 'column', table_name, column_name, data_type || is_nullable || coalesce(column_default, '')
           || coalesce(generation_expression, '') from information_schema.columns where table_schema = 'public'
    union all select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
    union all select 'policy', tablename, policyname, qual || with_check || cmd || roles::text from pg_policies
    union all select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
              from pg_constraint where connamespace = 'public'::regnamespace
    union all select 'function', '', proname, pg_get_functiondef(oid) from pg_proc
              where pronamespace = 'public'::regnamespace
    order by 1, 2, 3"""


@pytest.fixture
async def connection(databases: Databases, migrated: str) -> AsyncIterator[Any]:
    """Connects to a migrated database, as superuser."""
    options = await databases.create(migrated)
    opened = await asyncpg.connect(**options.arguments())
    yield opened
    await opened.close()


def test_migrations_are_ordered_by_their_file_names() -> None:
    """So a start can check whether its database is up to date without importing Alembic."""
    files = ScriptDirectory(migrations.MIGRATIONS_FOLDER).walk_revisions()
    assert [file.revision for file in files] == migrations.known_revisions()[::-1]


def test_later_migrations_add_constraints_by_commands_of_their_own() -> None:
    """On a distributed table a column cannot be added together with a constraint, which would have no name there."""
    together = re.compile(r"add column [^;,]*\b(check|references|unique|primary key)\b", re.IGNORECASE)
    files = (migrations.MIGRATIONS_FOLDER / "versions").glob("[0-9]*_*.py")
    later = [file for file in files if file.name > DISTRIBUTED_SINCE]
    assert [found[0] for file in later for found in together.finditer(file.read_text())] == []
    assert together.search("alter table tasks add column energy smallint check (energy > 0);")


def test_a_script_is_split_into_its_commands() -> None:
    body = "create function f() returns text language sql as $$ select ';' ; $$"
    quoted = """insert into "a;b" values ('it''s; -- one', $tag$ $$;$$ $tag$, 1 - 2 / 3)"""
    commented = "-- one; two\nselect 1 /* three; four */"
    assert migrations.split_commands(f"{body};\n{quoted};{commented};;\n-- end") == [body, quoted, "select 1"]


async def test_upgrading_downgrading_and_upgrading_again_gives_the_same_schema(databases: Databases) -> None:
    empty = await databases.create()
    assert await migrations.read_revision(empty) is None
    await migrations.upgrade(empty)
    assert await migrations.read_revision(empty) == migrations.head_revision()
    first = await rows(empty, SCHEMA)

    await migrations.migrate_to(empty, "base")
    assert await rows(empty, "select tablename from pg_tables where schemaname = 'public'") == [("alembic_version",)]
    types = "select typname from pg_type where typnamespace = 'public'::regnamespace order by 1"
    assert await rows(empty, types) == [("_alembic_version",), ("alembic_version",)]

    await migrations.upgrade(empty)
    assert await rows(empty, SCHEMA) == first


async def test_autogenerate_finds_no_difference(databases: Databases, migrated: str) -> None:
    """Tables, columns, types, defaults, keys and indexes; the next test compares the rest."""
    options = await databases.create(migrated)

    async def connect() -> Any:
        return await asyncpg.connect(**options.arguments())

    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        wanted = {"include_name": lambda name, kind, _: kind != "table" or name not in NO_USER_DATA}
        context = MigrationContext.configure(connection, opts={**options, **wanted})
        return list(compare_metadata(context, METADATA))

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect)
    async with engine.connect() as connection:
        found = await connection.run_sync(compare)
    await engine.dispose()
    assert found == []


@pytest.mark.one_server("compares the whole catalogue, to which Citus adds")
async def test_checks_expressions_and_partial_indexes_equal_those_of_the_models(
    databases: Databases, migrated: str
) -> None:
    """Created from the models in another database, they have the same text."""
    options, bare = await databases.create(migrated), await databases.create()

    async def connect() -> Any:
        return await asyncpg.connect(**bare.arguments())

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect)
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    await engine.dispose()

    wanted = set(await rows(bare, SCHEMA))
    made = {row for row in await rows(options, SCHEMA) if row[0] != "policy" and row[1] not in NO_USER_DATA}
    assert made == wanted


async def test_every_table_of_user_data_is_isolated(connection: Any) -> None:
    tables = await connection.fetch(
        """select c.relname as name, relrowsecurity and relforcerowsecurity as forced,
                  (select a.attname from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
                   where i.indrelid = c.oid and i.indisprimary) as key,
                  (select array_agg(format('%s %s', polcmd, polpermissive)) from pg_policy
                   where polrelid = c.oid and not polroles && array[
                       'todo_auth', 'todo_eraser', 'todo_worker']::regrole[]::oid[]) as policies
           from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
           and relname <> all($1) order by 1""",
        list(NO_USER_DATA),
    )
    assert [table["name"] for table in tables] == sorted(METADATA.tables)
    for table in tables:
        assert table["forced"], table["name"]
        if table["name"] not in {
            "login_attempts",
            "oauth_clients",
            "oidc_sign_ins",
            "passkey_challenges",
            "rate_limits",
        }:
            assert table["key"] == ("id" if table["name"] == "users" else "user_id"), table["name"]
        assert table["policies"] == (None if table["name"] in AUTH else ["* t"]), table["name"]


async def test_every_unique_and_foreign_key_begins_with_the_owner(connection: Any) -> None:
    """Keys bypass row-level security: without the owner they would tell one user about the rows of another."""
    first = await connection.fetch(
        """select conrelid::regclass::text as table, conname, a.attname as first
           from pg_constraint k join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
           where contype in ('p', 'u', 'f') and connamespace = 'public'::regnamespace
             and conrelid <> 'alembic_version'::regclass
           union all
           select i.indrelid::regclass::text, i.indexrelid::regclass::text, a.attname
           from pg_index i join pg_class c on c.oid = i.indexrelid
           left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
           where c.relnamespace = 'public'::regnamespace and i.indrelid <> 'alembic_version'::regclass"""
    )
    assert first
    for row in first:
        if row["conname"] not in CROSS_USER:
            wanted = BEFORE_OWNER.get(row["conname"], "id" if row["table"] == "users" else "user_id")
            assert row["first"] == wanted, row["conname"]


@pytest.mark.one_server("todo distribute grants one privilege more, and lets roles log in")
async def test_only_the_service_roles_have_privileges_and_only_those_needed(connection: Any) -> None:
    granted = await connection.fetch(
        """select c.relname, r.grantee::regrole::text as grantee, r.privilege_type
           from pg_class c, aclexplode(c.relacl) r
           where c.relnamespace = 'public'::regnamespace and r.grantee <> c.relowner"""
    )
    found: dict[str, set[str]] = {}
    for row in granted:
        if row["grantee"] == "todo_auth":
            assert row["relname"] in AUTH
        elif row["grantee"] == "todo_eraser":
            # it may read only the owner's column of tables of its own migration; later tables come by default
            # privileges
            assert row["privilege_type"] in {"DELETE", "SELECT"}
        elif row["grantee"] == "todo_worker":
            found.setdefault(f"todo_worker: {row['relname']}", set()).add(row["privilege_type"])
        else:
            assert row["grantee"] == "todo_user"
            found.setdefault(row["relname"], set()).add(row["privilege_type"])
    assert found == GRANTS | WORKER_GRANTS
    policies = await connection.fetch(
        "select polrelid::regclass::text as name, format('%s %s', polcmd, polpermissive) as kind from pg_policy "
        "where polroles = array['todo_worker'::regrole::oid]"
    )
    assert {tuple(row) for row in policies} == WORKER_POLICIES
    assert not await connection.fetchval("select has_schema_privilege('todo_user', 'public', 'create')")
    role = await connection.fetchrow(
        """select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication or rolcanlogin
           from pg_roles where rolname = 'todo_user'"""
    )
    assert role[0] is False
    assert await connection.fetch("select from pg_auth_members where member = 'todo_user'::regrole") == []


async def test_concurrent_migrations_are_serialized_and_a_second_one_does_nothing(databases: Databases) -> None:
    empty = await databases.create()
    await asyncio.gather(*(migrations.upgrade(empty) for _ in range(3)))
    assert await migrations.read_revision(empty) == migrations.head_revision()
    before = await rows(empty, "select xmin::text from alembic_version")
    await migrations.upgrade(empty)
    await migrations.migrate_to(empty, "head")
    assert await rows(empty, "select xmin::text from alembic_version") == before


async def test_a_migration_waits_for_a_running_one(databases: Databases) -> None:
    empty = await databases.create()
    other = await asyncpg.connect(**empty.arguments())
    transaction = other.transaction()
    await transaction.start()
    await other.execute("select pg_advisory_xact_lock($1)", migrations.MIGRATION_LOCK)
    waiting = asyncio.create_task(migrations.upgrade(empty))
    await asyncio.sleep(5 * migrations.LOCK_POLL_SECONDS)
    assert not waiting.done()
    assert await other.fetchval("select to_regclass('tasks')") is None
    await transaction.commit()
    await other.close()
    await waiting
    assert await migrations.read_revision(empty) == migrations.head_revision()


async def test_a_failed_migration_leaves_the_schema_unchanged(databases: Databases) -> None:
    taken = await databases.create(change="create table changes (mine int)")
    with pytest.raises((migrations.SchemaError, asyncpg.PostgresError), match='relation "changes" already exists'):
        await migrations.upgrade(taken)
    assert await rows(taken, "select tablename from pg_tables where schemaname = 'public'") == [("changes",)]


ROLES = migrations.ALL_ROLES


@pytest.fixture
async def plain_login(databases: Databases, migrated: str) -> AsyncIterator[ConnectOptions]:
    """Creates an empty database and a login that owns it, which may not create roles; all roles exist already."""
    options = await databases.create()
    name = urlsplit(options.dsn).path[1:]
    await databases.execute(f"create role plain_login login password 'x'; alter database {name} owner to plain_login")
    parts = urlsplit(options.dsn)
    _, _, place = parts.netloc.rpartition("@")
    yield replace(options, dsn=urlunsplit(parts._replace(netloc=f"plain_login:x@{place}")))
    await databases.drop()
    await databases.execute("drop role plain_login")


async def test_a_login_with_the_roles_needs_no_privilege_to_create_them(
    databases: Databases, plain_login: ConnectOptions
) -> None:
    await databases.execute(f"grant {', '.join(ROLES)} to plain_login")
    await migrations.upgrade(plain_login)
    assert await migrations.read_revision(plain_login) == migrations.head_revision()
    database = await Database(plain_login, size=1, timeout=1).open()
    await verify_isolation(database)
    await database.close()


async def test_a_login_without_the_roles_fails_with_the_commands_for_the_dba(plain_login: ConnectOptions) -> None:
    with pytest.raises(
        asyncpg.InsufficientPrivilegeError,
        match=r"create role todo_user nologin .* grant todo_user, todo_auth, todo_eraser, todo_worker to plain_login;",
    ):
        await migrations.upgrade(plain_login)
    assert await migrations.read_revision(plain_login) is None


async def test_membership_without_set_is_completed_by_the_migration(
    databases: Databases, plain_login: ConnectOptions
) -> None:
    """PostgreSQL 16 gives this membership to the login that creates a role."""
    await databases.execute(f"grant {', '.join(ROLES)} to plain_login with admin true, inherit false, set false")
    await migrations.upgrade(plain_login)
    for role in ROLES:
        assert await rows(plain_login, f"select pg_has_role('{role}', 'set')") == [(True,)]


async def test_concurrent_migrations_of_two_databases_create_the_roles_once(databases: Databases) -> None:
    first, second = await databases.create(), await databases.create()
    connections = [await asyncpg.connect(**options.arguments()) for options in (first, second)]
    script = migrations.roles_script("todo_race")
    for connection in connections:
        await connection.execute("begin")
    await connections[0].execute(script)
    waiting = asyncio.create_task(connections[1].execute(script))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await connections[0].execute("commit")
    await waiting
    await connections[1].execute("commit")
    for connection in connections:
        await connection.close()
    await databases.execute("drop role todo_race")
