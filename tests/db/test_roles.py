"""The privileges of each database role, as reported by the database."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI

from app.db.connection_options import ConnectOptions

AUTH_TABLES = ["accounts", "sessions", "refresh_tokens", "api_tokens", "password_resets", "login_attempts"]
AUTH_TABLES += ["email_changes", "oauth_clients", "oauth_codes", "oidc_links", "oidc_sign_ins", "rate_limits"]
AUTH_TABLES += ["login_challenges", "passkey_challenges", "passkeys", "recovery_codes", "totp_secrets"]
USER_TABLES = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> all($1)
"""


@pytest.fixture
async def connection(app: FastAPI, postgres: ConnectOptions) -> AsyncIterator[Any]:
    """Opens a connection with the service's own login, outside its pool, and rolls back what a test does."""
    found = await asyncpg.connect(**postgres.arguments())
    transaction = found.transaction()
    await transaction.start()
    yield found
    await transaction.rollback()
    await found.close()


@pytest.mark.parametrize("table", AUTH_TABLES)
async def test_the_service_role_has_no_privilege_on_auth_tables(connection: Any, table: str) -> None:
    await connection.execute("set local role todo_user; set local app.user_id = 'anybody'")
    for statement in (
        f"select * from {table}",
        f"select 1 from {table}",
        f"insert into {table} default values",
        f"delete from {table}",
        f"lock table {table} in share mode",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(statement)


async def test_the_auth_role_has_no_privilege_on_user_data(connection: Any) -> None:
    others = [row[0] for row in await connection.fetch(USER_TABLES, [*AUTH_TABLES, "alembic_version", "users"])]
    assert {"tasks", "changes"} <= set(others)
    await connection.execute("set local role todo_auth; set local app.user_id = 'anybody'")
    for table in others:
        for statement in (f"select 1 from {table}", f"delete from {table}", f"insert into {table} default values"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.execute(statement)
    for column in ("revision", "*"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(f"select {column} from users")


async def test_the_eraser_role_reads_only_the_owner_of_rows(connection: Any) -> None:
    await connection.execute("set local role todo_eraser; set local app.user_id = 'anybody'")
    for statement in (
        "select password_hash from accounts",
        "select token_hash from refresh_tokens",
        "select title from tasks",
        "update tasks set title = 'x'",
        "select * from login_attempts",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(statement)


async def test_the_eraser_role_can_delete_the_rows_of_one_user_from_every_table(connection: Any) -> None:
    others = ["alembic_version", "installation", "login_attempts", "oauth_clients", "oidc_sign_ins", "rate_limits"]
    others += ["passkey_challenges"]
    tables = [row[0] for row in await connection.fetch(USER_TABLES, others)]
    await connection.execute("set local role todo_eraser; set local app.user_id = 'anybody'")
    assert {"users", "tasks", "accounts"} <= set(tables)
    for table in tables:
        column = "id" if table == "users" else "user_id"
        assert await connection.execute(f"delete from {table} where {column} = 'anybody'") == "DELETE 0"


async def test_the_eraser_role_can_delete_from_tables_created_later(connection: Any) -> None:
    await connection.execute("create table later (user_id text, secret text)")
    assert await connection.fetchval("select has_table_privilege('todo_eraser', 'later', 'delete')")
    assert not await connection.fetchval("select has_table_privilege('todo_auth', 'later', 'select')")


@pytest.mark.one_server("roles log in on the servers of a cluster")
@pytest.mark.parametrize("role", ["todo_user", "todo_auth", "todo_eraser", "todo_worker"])
async def test_no_service_role_can_bypass_row_level_security(connection: Any, role: str) -> None:
    row = await connection.fetchrow(
        "select rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolinherit from pg_roles where rolname = $1", role
    )
    assert not any(row.values())
